//! More than one subscription; which providers one is registered for; what it uses; who may ask for names.

use super::fixture::{ADR, HUB, World, plant};
use ferrohub_service::authz::builtin;
use serde_json::{Value, json};

const GROUPS: &str = "2024-11-01";
const ALIASES: &str = "2021-10-01";

async fn second(world: &World, alias: &str) -> String {
    let path = format!("/providers/Microsoft.Subscription/aliases/{alias}");
    let body = json!({"properties": {"displayName": "Second plant", "workload": "Production"}});
    let made = world.put(&path, ALIASES, body).await;
    assert_eq!(made["properties"]["provisioningState"], "Succeeded");
    made["properties"]["subscriptionId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_second_subscription_has_everything_of_its_own() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let other = second(&world, "plant2").await;
    assert_eq!(second(&world, "PLANT2").await, other, "the same alias is the same subscription");
    let list = world.get("/subscriptions", GROUPS).await;
    let names: Vec<&str> =
        list["value"].as_array().unwrap().iter().filter_map(|one| one["displayName"].as_str()).collect();
    assert_eq!(names, ["Ferrohub", "Second plant"]);
    let scope = format!("/subscriptions/{other}");
    assert_eq!(world.get(&scope, GROUPS).await["subscriptionId"], other.as_str());
    // The same names once more, and nothing of the first one in its lists.
    let group = format!("{scope}/resourceGroups/rg1");
    world.put(&group, GROUPS, json!({"location": "westeurope"})).await;
    let namespace = format!("{group}/providers/Microsoft.DeviceRegistry/namespaces/plant7");
    world.put(&namespace, ADR, json!({"location": "westeurope", "identity": {"type": "SystemAssigned"}})).await;
    let hub = format!("{group}/providers/Microsoft.Devices/IotHubs/hub1");
    let body = json!({"location": "westeurope", "sku": {"name": "S1", "capacity": 1}});
    let error = world.refused(&world.owner, "PUT", &hub, HUB, Some(body.clone())).await;
    assert_eq!(error.http_status(), 409, "a hub's name is one of all subscriptions: {error}");
    let hub = hub.replace("hub1", "hub1b");
    world.put(&hub, HUB, body).await;
    for (path, version, want) in [
        (format!("{scope}/resourceGroups"), GROUPS, 1),
        (format!("{scope}/resources"), GROUPS, 2),
        (format!("{scope}/providers/Microsoft.Devices/IotHubs"), HUB, 1),
        (format!("/subscriptions/{}/resourceGroups", world.subscription), GROUPS, 1),
        (format!("/subscriptions/{}/providers/Microsoft.Devices/IotHubs", world.subscription), HUB, 1),
    ] {
        let list = world.get(&path, version).await;
        assert_eq!(list["value"].as_array().unwrap().len(), want, "{path}: {list}");
    }
    let locations = world.get(&format!("{scope}/locations"), GROUPS).await;
    assert!(locations["value"][0]["id"].as_str().unwrap().starts_with(&scope));
    // Resource Graph knows whose is what, and looks where it is asked to.
    let graph = "/providers/Microsoft.ResourceGraph/resources";
    for (subscriptions, want) in [
        (json!(null), vec![world.subscription.as_str(), other.as_str()]),
        (json!([other]), vec![other.as_str()]),
        (json!([world.subscription]), vec![world.subscription.as_str()]),
    ] {
        let query = "resources | where type =~ 'microsoft.devices/iothubs' | project subscriptionId";
        let body = json!({"query": query, "subscriptions": subscriptions});
        let found = world.send(&world.owner, "POST", graph, "2022-10-01", Some(body)).await.unwrap().body.unwrap();
        let mut seen: Vec<&str> =
            found["data"].as_array().unwrap().iter().filter_map(|row| row["subscriptionId"].as_str()).collect();
        let mut want = want;
        seen.sort_unstable();
        want.sort_unstable();
        assert_eq!(seen, want, "{found}");
    }
    // Rights of one are none in the other.
    let stranger = world.stranger().await;
    world.assign(stranger.id(), builtin::READER, &scope).await;
    assert_eq!(
        world.send(&stranger, "GET", "/subscriptions", GROUPS, None).await.unwrap().body.unwrap()["value"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    world.send(&stranger, "GET", &hub, HUB, None).await.unwrap();
    assert_eq!(world.refused(&stranger, "GET", &plant.hub, HUB, None).await.http_status(), 403);
    let error =
        world.refused(&stranger, "PUT", "/providers/Microsoft.Subscription/aliases/x", ALIASES, Some(json!({}))).await;
    assert!(error.message.contains("Microsoft.Subscription/aliases/write"), "{error}");
    // Between subscriptions resources move as between groups.
    let identity = plant.identity.replace(&format!("/subscriptions/{}", world.subscription), &scope);
    let wanted = json!({"resources": [plant.identity], "targetResourceGroup": group});
    let moved = world.send(&world.owner, "POST", &format!("{}/moveResources", plant.group), GROUPS, Some(wanted)).await;
    assert_eq!(moved.unwrap().status, 204);
    world.get(&identity, "2025-05-31-preview").await;
    assert_eq!(world.get(&plant.hub, HUB).await["properties"]["deviceRegistry"]["identityResourceId"], identity);
    let gone = world.send(&world.owner, "DELETE", &hub, HUB, None).await.unwrap();
    assert!(matches!(gone.status, 200 | 202 | 204));
}

#[tokio::test]
async fn aliases_and_names_of_subscriptions() {
    let world = World::new().await;
    let other = second(&world, "plant2").await;
    let alias = "/providers/Microsoft.Subscription/aliases/plant2";
    assert_eq!(
        world.get("/providers/Microsoft.Subscription/aliases", ALIASES).await["value"].as_array().unwrap().len(),
        1
    );
    assert_eq!(world.get(alias, ALIASES).await["properties"]["displayName"], "Second plant");
    let stranger = world.stranger().await;
    assert_eq!(world.refused(&stranger, "GET", alias, ALIASES, None).await.http_status(), 404);
    let rename = format!("/subscriptions/{other}/providers/Microsoft.Subscription/rename");
    world.send(&world.owner, "POST", &rename, ALIASES, Some(json!({"subscriptionName": "North"}))).await.unwrap();
    assert_eq!(world.get(&format!("/subscriptions/{other}"), GROUPS).await["displayName"], "North");
    for body in [json!({}), json!({"subscriptionName": ""}), json!({"subscriptionName": "a<b"})] {
        assert_eq!(world.refused(&world.owner, "POST", &rename, ALIASES, Some(body)).await.http_status(), 400);
    }
    for body in [json!({"properties": {"displayName": 3}}), json!({"properties": {"displayName": "x".repeat(65)}})] {
        let error = world
            .refused(&world.owner, "PUT", "/providers/Microsoft.Subscription/aliases/y", ALIASES, Some(body))
            .await;
        assert_eq!(error.http_status(), 400);
    }
    let foreign = json!({"properties": {"subscriptionId": other}});
    let error =
        world.refused(&world.owner, "PUT", "/providers/Microsoft.Subscription/aliases/y", ALIASES, Some(foreign)).await;
    assert_eq!(error.http_status(), 501);
    assert_eq!(world.send(&world.owner, "DELETE", alias, ALIASES, None).await.unwrap().status, 200);
    assert_eq!(world.send(&world.owner, "DELETE", alias, ALIASES, None).await.unwrap().status, 204);
    world.get(&format!("/subscriptions/{other}"), GROUPS).await;
    let both = async { tokio::join!(second(&world, "twice"), second(&world, "twice")) };
    let (one, two) = Box::pin(world.while_time_passes(both)).await;
    assert_eq!(one, two);
}

#[tokio::test]
async fn an_empty_subscription_can_go() {
    let world = World::new().await;
    let other = second(&world, "plant2").await;
    let scope = format!("/subscriptions/{other}");
    let stranger = world.stranger().await;
    world.assign(stranger.id(), builtin::READER, &scope).await;
    let cancel = |subscription: &str| format!("/subscriptions/{subscription}/providers/Microsoft.Subscription/cancel");
    let group = format!("{scope}/resourceGroups/rg1");
    world.put(&group, GROUPS, json!({"location": "westeurope"})).await;
    for subscription in [&other, &world.subscription] {
        let error = world.refused(&world.owner, "POST", &cancel(subscription), ALIASES, None).await;
        assert_eq!(error.code, "SubscriptionInUse", "{error}");
    }
    let error = world.refused(&stranger, "POST", &cancel(&other), ALIASES, None).await;
    assert!(error.message.contains("Microsoft.Subscription/cancel/action"), "{error}");
    world.send(&world.owner, "DELETE", &group, GROUPS, None).await.unwrap();
    world.send(&world.owner, "POST", &cancel(&other), ALIASES, None).await.unwrap();
    let error = world.refused(&world.owner, "PUT", &group, GROUPS, Some(json!({"location": "westeurope"}))).await;
    assert_eq!(error.code, "SubscriptionNotFound");
    let roles = format!("/subscriptions/{}/providers/Microsoft.Authorization/roleAssignments", world.subscription);
    assert_eq!(world.get(&roles, "2022-04-01").await["value"].as_array().unwrap().len(), 1);
    assert_eq!(world.get("/subscriptions", GROUPS).await["value"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_provider_that_is_not_registered_takes_no_write() {
    let world = World::new().await;
    let other = second(&world, "plant2").await;
    let scope = format!("/subscriptions/{other}");
    let group = format!("{scope}/resourceGroups/rg1");
    world.put(&group, GROUPS, json!({"location": "westeurope"})).await;
    let provider = format!("{scope}/providers/microsoft.devices");
    let state = |doc: &Value| doc["registrationState"].as_str().unwrap().to_owned();
    assert_eq!(state(&world.get(&provider, "2016-02-01").await), "Registered");
    let act =
        async |verb: &str| world.send(&world.owner, "POST", &format!("{provider}/{verb}"), "2016-02-01", None).await;
    let off = act("unregister").await.unwrap().body.unwrap();
    assert_eq!(state(&off), "NotRegistered");
    let hub = format!("{group}/providers/Microsoft.Devices/IotHubs/hub7");
    let body = json!({"location": "westeurope", "sku": {"name": "S1", "capacity": 1}});
    let error = world.refused(&world.owner, "PUT", &hub, HUB, Some(body.clone())).await;
    assert_eq!((error.http_status(), error.code), (409, "MissingSubscriptionRegistration"));
    // azure-mgmt-core reads the provider between the last quotes.
    assert!(
        error.message.contains("namespace 'Microsoft.Devices'") && error.message.matches('\'').count() == 2,
        "{error}"
    );
    let first = format!("/subscriptions/{}/providers/Microsoft.Devices", world.subscription);
    assert_eq!(state(&world.get(&first, GROUPS).await), "Registered");
    assert_eq!(state(&act("register").await.unwrap().body.unwrap()), "Registered");
    world.put(&hub, HUB, body).await;
    let error = act("unregister").await.unwrap_err();
    assert!(error.http_status() == 409 && error.message.contains(&hub), "{error}");
    for always in ["Microsoft.Resources", "Microsoft.Authorization", "Microsoft.Nowhere"] {
        let path = format!("{scope}/providers/{always}/unregister");
        assert_eq!(world.refused(&world.owner, "POST", &path, GROUPS, None).await.http_status(), 409, "{always}");
    }
    let stranger = world.stranger().await;
    let error = world.refused(&stranger, "POST", &format!("{provider}/unregister"), GROUPS, None).await;
    assert!(error.message.contains("Microsoft.Devices/unregister/action"), "{error}");
    let tenant = world.get("/providers/Microsoft.Devices", GROUPS).await;
    assert!(tenant.get("registrationState").is_none() && tenant.get("id").is_none(), "{tenant}");
}

#[tokio::test]
async fn names_are_told_to_those_who_have_something_here() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let stranger = world.stranger().await;
    let subscription = format!("/subscriptions/{}", world.subscription);
    for (action, name) in [("checkNameAvailability", "hub1"), ("checkProvisioningServiceNameAvailability", "dps1")] {
        let path = format!("{subscription}/providers/Microsoft.Devices/{action}");
        let error = world.refused(&stranger, "POST", &path, HUB, Some(json!({"name": name}))).await;
        assert!(error.message.contains(&format!("Microsoft.Devices/{action}/action")), "{error}");
    }
    world.assign(stranger.id(), builtin::READER, &plant.hub).await;
    let path = format!("{subscription}/providers/Microsoft.Devices/checkNameAvailability");
    let told = world.send(&stranger, "POST", &path, HUB, Some(json!({"name": "HUB1"}))).await.unwrap().body.unwrap();
    assert_eq!(told["nameAvailable"], false);
}

#[tokio::test]
async fn usages_count_and_limits_hold_where_they_are_asked_for() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let subscription = format!("/subscriptions/{}", world.subscription);
    for name in ["pump-1", "pump-2"] {
        world
            .put(
                &format!("{}/devices/{name}", plant.namespace),
                ADR,
                json!({"location": "westeurope", "properties": {}}),
            )
            .await;
    }
    for path in ["usages", "locations/westeurope/usages"] {
        let list = world.get(&format!("{subscription}/providers/Microsoft.DeviceRegistry/{path}"), ADR).await;
        let seen: Vec<(&str, u64, u64)> = list["value"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                (
                    one["name"]["value"].as_str().unwrap(),
                    one["currentValue"].as_u64().unwrap(),
                    one["limit"].as_u64().unwrap(),
                )
            })
            .collect();
        assert_eq!(seen, [("namespaces", 1, 100), ("namespaces-plant7-devices", 2, 10_000)]);
    }
    let body = json!({"location": "westeurope"});
    let namespace =
        |number: usize| format!("{}/providers/Microsoft.DeviceRegistry/namespaces/full-{number}", plant.group);
    for number in 1..101 {
        world.put(&namespace(number), ADR, body.clone()).await;
    }
    let tags = format!("{subscription}/providers/Microsoft.Resources/tags/default");
    world.put(&tags, GROUPS, json!({"properties": {"tags": {"Ferrohub-Quotas": "Enforced"}}})).await;
    let error = world.refused(&world.owner, "PUT", &namespace(101), ADR, Some(body.clone())).await;
    assert_eq!((error.http_status(), error.code), (409, "QuotaExceeded"));
    world.put(&namespace(100), ADR, body.clone()).await;
    world
        .put(&format!("{}/devices/pump-3", plant.namespace), ADR, json!({"location": "westeurope", "properties": {}}))
        .await;
    world.send(&world.owner, "DELETE", &tags, GROUPS, None).await.unwrap();
    world.put(&namespace(101), ADR, body).await;
}
