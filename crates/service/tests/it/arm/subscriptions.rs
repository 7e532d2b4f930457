//! More than one subscription; which providers one is registered for; what it uses; who may ask for names.

use super::fixture::{ADR, HUB, World, plant};
use super::namespace_links::NEWEST;
use ferrohub_model::limits;
use ferrohub_model::resource::Resource;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_service::authz::builtin;
use ferrohub_service::platform::Change;
use ferrohub_service::{resources, tables};
use ferrohub_store::Pages;
use serde_json::{Value, json};

const GROUPS: &str = "2024-11-01";
const ALIASES: &str = "2021-10-01";
const LOG: &str = "2015-04-01";

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

#[tokio::test]
async fn the_audit_log_of_the_installation_is_read_by_who_may_on_the_first_subscription() {
    let world = World::new().await;
    let other = second(&world, "plant2").await;
    let stranger = world.stranger().await;
    world.assign(stranger.id(), builtin::OWNER, &format!("/subscriptions/{other}")).await;
    let log = |subscription: &str| {
        format!(
            "/subscriptions/{subscription}/providers/Ferrohub/auditEvents?$filter=eventTimestamp ge '2026-11-01T00:00:00Z'"
        )
    };
    let first = world.subscription.clone();
    for subscription in [&first, &other] {
        let error = world.refused(&stranger, "GET", &log(subscription), LOG, None).await;
        assert_eq!(error.code, "AuthorizationFailed", "{subscription}");
        assert!(
            error.message.contains("Ferrohub/auditEvents/list/action") && error.message.contains(&first),
            "{error}"
        );
        world.get(&log(subscription), LOG).await;
    }
    world.assign(stranger.id(), builtin::CONTRIBUTOR, &format!("/subscriptions/{first}")).await;
    world.send(&stranger, "GET", &log(&other), LOG, None).await.unwrap();
}

/// Names of the assignments at a scope, and below it.
async fn roles_at(world: &World, scope: &str) -> usize {
    let path = format!("{scope}/providers/Microsoft.Authorization/roleAssignments");
    world.get(&path, "2022-04-01").await["value"].as_array().unwrap().len()
}

#[tokio::test]
async fn roles_of_a_subscription_go_with_it_or_not_at_all() {
    let world = World::new().await;
    for round in 0..12 {
        let other = second(&world, &format!("plant-{round}")).await;
        let scope = format!("/subscriptions/{other}");
        let cancel = format!("{scope}/providers/Microsoft.Subscription/cancel");
        let group = format!("{scope}/resourceGroups/rg1");
        let late = async {
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
            world.send(&world.owner, "PUT", &group, GROUPS, Some(json!({"location": "westeurope"}))).await
        };
        let gone = world.send(&world.owner, "POST", &cancel, ALIASES, None);
        let both = async { tokio::join!(gone, late) };
        let (gone, made) = Box::pin(world.while_time_passes(both)).await;
        assert_ne!(gone.is_ok(), made.is_ok(), "{round}: {gone:?} {made:?}");
        if let Err(error) = gone {
            assert_eq!(error.code, "SubscriptionInUse", "{error}");
            assert_eq!(roles_at(&world, &scope).await, 1, "its Owner went before it");
        }
    }
}

#[tokio::test]
async fn a_subscription_with_many_roles_goes_and_the_log_tells_of_each() {
    let world = World::new().await;
    let other = second(&world, "plant2").await;
    let scope = format!("/subscriptions/{other}");
    let stranger = world.stranger().await;
    let (definitions, mut given) = (format!("{scope}/providers/Microsoft.Authorization/roleDefinitions"), 0);
    let known = world.get(&definitions, "2022-04-01").await;
    let known: Vec<&str> = known["value"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    while given < 210 {
        let principal =
            if given < known.len() { stranger.id().to_owned() } else { world.stranger().await.id().to_owned() };
        for role in &known {
            world.assign(&principal, role, &scope).await;
            given += 1;
        }
    }
    let cancel = format!("{scope}/providers/Microsoft.Subscription/cancel");
    world.send(&world.owner, "POST", &cancel, ALIASES, None).await.unwrap();
    assert_eq!(world.refused(&world.owner, "GET", &scope, GROUPS, None).await.code, "SubscriptionNotFound");
    let mut rows = 0;
    let mut pages = Pages::scan(world.platform().store.as_ref(), &tables::ACTIVITY, "", 500);
    while let Some(page) = pages.next().await.unwrap() {
        let is = |row: &&std::sync::Arc<ferrohub_store::Row>| {
            let row = row.parse::<Value>().unwrap();
            row["operationName"] == "Microsoft.Authorization/roleAssignments/delete"
        };
        rows += page.iter().filter(is).count();
    }
    assert_eq!(rows, given + 1);
}

#[tokio::test]
async fn the_limit_of_devices_holds_whatever_shape_makes_one() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let device = format!("{}/devices/pump-0", plant.namespace);
    world.put(&device, ADR, json!({"location": "westeurope", "properties": {}})).await;
    let first = resources::get(world.platform(), &ResourceId::parse(&device).unwrap()).await.unwrap().unwrap();
    world.store.unwatched();
    let numbers: Vec<usize> = (1..limits::DEVICES_OF_NAMESPACE).collect();
    for some in numbers.chunks(100) {
        let mut change = Change::new();
        for number in some {
            let name = format!("pump-{number}");
            let entry = resources::Entry {
                uid: world.platform().new_id(),
                kind: first.kind,
                parent: first.parent,
                id: first.kind.child_of(&ResourceId::parse(&plant.namespace).unwrap(), &name),
                below_new: false,
                was: None,
                resource: Resource { name, ..first.resource.as_ref().clone() },
                extra: first.extra.clone(),
            };
            resources::put(world.platform(), &world.owner, entry, resources::Told::DataPlane, &mut change).unwrap();
        }
        assert!(world.platform().try_commit(change).await.unwrap());
    }
    let subscription = format!("/subscriptions/{}", world.subscription);
    let tags = format!("{subscription}/providers/Microsoft.Resources/tags/default");
    world.put(&tags, GROUPS, json!({"properties": {"tags": {"ferrohub-quotas": "enforced"}}})).await;
    let used = world.get(&format!("{subscription}/providers/Microsoft.DeviceRegistry/usages"), ADR).await;
    assert_eq!(used["value"][1]["currentValue"], limits::DEVICES_OF_NAMESPACE);
    for (kind, version) in [("devices", ADR), ("registryDevices", NEWEST)] {
        let path = format!("{}/{kind}/one-more", plant.namespace);
        let body = json!({"location": "westeurope", "properties": {}});
        let error = world.refused(&world.owner, "PUT", &path, version, Some(body)).await;
        assert_eq!((error.http_status(), error.code), (409, "QuotaExceeded"), "{kind}: {error}");
    }
}

#[tokio::test]
async fn a_custom_role_is_one_of_each_subscription_that_it_reaches_and_leaves_one_that_goes() {
    let world = World::new().await;
    let other = second(&world, "plant2").await;
    let (first, second) = (format!("/subscriptions/{}", world.subscription), format!("/subscriptions/{other}"));
    let guid = |n: u8| format!("20000000-0000-4000-8000-0000000000{n:02}");
    let at = |scope: &str, n: u8| format!("{scope}/providers/Microsoft.Authorization/roleDefinitions/{}", guid(n));
    let body = |name: &str, scopes: &[&String]| json!({"properties": {"roleName": name, "assignableScopes": scopes, "permissions": [{"actions": ["*/read"]}]}});
    let version = "2022-04-01";
    world.put(&at(&first, 1), version, body("here", &[&first])).await;
    let made = world.put(&at(&second, 2), version, body("there", &[&second])).await;
    assert_eq!(made["id"], at(&second, 2), "under the id by which it was made");
    world.put(&at(&second, 3), version, body("both", &[&first, &second])).await;
    let listed = async |scope: &str| -> Vec<String> {
        let path = format!("{scope}/providers/Microsoft.Authorization/roleDefinitions?$filter=type eq 'CustomRole'");
        let list = world.get(&path, version).await;
        let ids = list["value"].as_array().unwrap().iter().map(|role| role["id"].as_str().unwrap().to_owned());
        // Made in one millisecond, they are listed in any order.
        let mut ids: Vec<String> = ids.collect();
        ids.sort();
        ids
    };
    assert_eq!(listed(&first).await, [at(&first, 1), at(&first, 3)]);
    assert_eq!(listed(&second).await, [at(&second, 2), at(&second, 3)]);
    assert_eq!(world.get(&at(&second, 3), version).await["id"], at(&second, 3));
    let reader = format!("{second}/providers/Microsoft.Authorization/roleDefinitions/{}", builtin::READER);
    assert_eq!(world.get(&reader, version).await["id"], reader);
    for (scope, n) in [(&first, 2), (&second, 1)] {
        let missing = world.refused(&world.owner, "GET", &at(scope, n), version, None).await;
        assert_eq!(missing.http_status(), 404, "{scope} {n}: {missing}");
    }
    let stranger = world.stranger().await;
    world.assign(stranger.id(), &guid(2), &second).await;
    let cancel = format!("{second}/providers/Microsoft.Subscription/cancel");
    world.send(&world.owner, "POST", &cancel, ALIASES, None).await.unwrap();
    // Where else it can be assigned it stays; what was of that subscription only is gone with it.
    let both = world.get(&at(&first, 3), version).await;
    assert_eq!(both["properties"]["assignableScopes"], json!([first]));
    assert_eq!(listed(&first).await, [at(&first, 1), at(&first, 3)]);
    world.put(&at(&first, 3), version, both).await;
    assert_eq!(world.refused(&world.owner, "GET", &at(&first, 2), version, None).await.http_status(), 404);
    // Its name is free again.
    world.put(&at(&first, 4), version, body("there", &[&first])).await;
}

#[tokio::test]
async fn a_role_that_is_made_while_its_subscription_goes_does_not_name_it() {
    let world = World::new().await;
    let first = format!("/subscriptions/{}", world.subscription);
    for round in 0..10u8 {
        let scope = format!("/subscriptions/{}", second(&world, &format!("plant-{round}")).await);
        let role = format!(
            "{first}/providers/Microsoft.Authorization/roleDefinitions/20000000-0000-4000-8000-0000000001{round:02}"
        );
        let body = json!({"properties": {"roleName": format!("r{round}"), "assignableScopes": [first, scope], "permissions": [{"actions": ["*/read"]}]}});
        let make = async {
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
            world.send(&world.owner, "PUT", &role, "2022-04-01", Some(body)).await
        };
        let cancel = format!("{scope}/providers/Microsoft.Subscription/cancel");
        let gone = world.send(&world.owner, "POST", &cancel, ALIASES, None);
        let both = async { tokio::join!(gone, make) };
        let (gone, made) = Box::pin(world.while_time_passes(both)).await;
        gone.unwrap();
        match made {
            Ok(_) => {
                let shown = world.get(&role, "2022-04-01").await;
                assert_eq!(shown["properties"]["assignableScopes"], json!([first]), "{round}");
            }
            Err(error) => assert_eq!(error.target.as_deref(), Some("properties.assignableScopes"), "{round}: {error}"),
        }
    }
}
