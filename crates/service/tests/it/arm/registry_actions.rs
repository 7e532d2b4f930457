//! What the registry does beside keeping documents: moving assets into a namespace, refusing to act where nobody is connected,
//! billing containers, endpoints of a namespace, what it says it can do.

use super::fixture::{ADR, Plant, World, plant};
use ferrohub_service::arm::types::Types;
use ferrohub_service::authz::builtin;
use serde_json::{Value, json};

const GA: &str = "2026-04-01";
const OLD: &str = "2024-11-01";

fn place() -> Value {
    json!({"type": "CustomLocation", "name": "/subscriptions/s/resourceGroups/g/providers/Microsoft.ExtendedLocation/customLocations/site7"})
}

fn body(properties: Value) -> Value {
    json!({"location": "westeurope", "extendedLocation": place(), "properties": properties})
}

fn provider(plant: &Plant) -> String {
    format!("{}/providers/Microsoft.DeviceRegistry", plant.group)
}

/// An asset with its endpoint profile, as the first generation has them.
async fn asset(world: &World, plant: &Plant, name: &str, profile: &str) -> String {
    let provider = provider(plant);
    let aep = json!({"targetAddress": "opc.tcp://10.0.0.5:4840", "endpointProfileType": "Microsoft.OpcUa", "authentication": {"method": "Anonymous"}});
    world.put(&format!("{provider}/assetEndpointProfiles/{profile}"), OLD, body(aep)).await;
    let path = format!("{provider}/assets/{name}");
    let properties = json!({
        "assetEndpointProfileRef": profile, "enabled": true, "displayName": "Press", "defaultTopic": {"path": "t"},
        "datasets": [{"name": "d", "dataPoints": [{"name": "t", "dataSource": "ns=2;s=T", "observabilityMode": "Gauge"}]}],
        "events": [{"name": "e", "eventNotifier": "ns=2;i=1"}]
    });
    world.put(&path, OLD, body(properties)).await;
    path
}

async fn migrate(world: &World, plant: &Plant, ids: &[&str]) -> Vec<Value> {
    let path = format!("{}/migrate", plant.namespace);
    let sent = json!({"scope": "Resources", "resourceIds": ids});
    let answer = world.send(&world.owner, "POST", &path, ADR, Some(sent)).await.unwrap();
    assert_eq!(answer.status, 200);
    answer.body.unwrap()["migrateResults"].as_array().unwrap().clone()
}

#[tokio::test]
async fn assets_move_into_a_namespace_with_what_they_are() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let one = asset(&world, &plant, "press-1", "aep-1").await;
    let two = asset(&world, &plant, "press-2", "aep-1").await;
    let uuid = world.get(&one, OLD).await["properties"]["uuid"].clone();
    let stranger = world.stranger().await;
    world.assign(stranger.id(), builtin::READER, &one).await;
    let results = migrate(&world, &plant, &[&one, &two]).await;
    assert_eq!(
        results,
        [json!({"resourceId": one, "result": "Succeeded"}), json!({"resourceId": two, "result": "Succeeded"})]
    );
    assert_eq!(world.refused(&world.owner, "GET", &one, OLD, None).await.http_status(), 404);
    let moved = format!("{}/assets/press-1", plant.namespace);
    let asset = world.get(&moved, ADR).await;
    let properties = &asset["properties"];
    assert_eq!((&properties["uuid"], &asset["extendedLocation"]), (&uuid, &place()));
    assert_eq!(properties["deviceRef"], json!({"deviceName": "aep-1", "endpointName": "aep-1"}));
    assert_eq!(properties["eventGroups"][0]["events"][0]["dataSource"], "ns=2;i=1");
    // What it reads can be put back: the document is one of its new type.
    world.put(&moved, ADR, asset).await;
    let device = world.get(&format!("{}/devices/aep-1", plant.namespace), ADR).await;
    assert_eq!(
        device["properties"]["endpoints"]["inbound"]["aep-1"],
        json!({"endpointType": "Microsoft.OpcUa", "address": "opc.tcp://10.0.0.5:4840", "authentication": {"method": "Anonymous"}})
    );
    world.put(&format!("{}/devices/aep-1", plant.namespace), ADR, device).await;
    // The profile stays, and so does a role that somebody had on the asset.
    world.get(&format!("{}/assetEndpointProfiles/aep-1", provider(&plant)), OLD).await;
    assert_eq!(world.send(&stranger, "GET", &moved, ADR, None).await.unwrap().status, 200);
    world.send(&world.owner, "DELETE", &moved, ADR, None).await.unwrap();
}

#[tokio::test]
async fn each_asset_that_does_not_move_says_why_and_stays() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let good = asset(&world, &plant, "press-1", "aep-1").await;
    let lost = asset(&world, &plant, "press-2", "aep-2").await;
    let gone = format!("{}/assetEndpointProfiles/aep-2", provider(&plant));
    world.send(&world.owner, "DELETE", &gone, OLD, None).await.unwrap();
    let taken = asset(&world, &plant, "press-3", "aep-1").await;
    let reference = json!({"deviceRef": {"deviceName": "d", "endpointName": "e"}});
    world.put(&format!("{}/assets/press-3", plant.namespace), ADR, body(reference)).await;
    let missing = format!("{}/assets/nowhere", provider(&plant));
    let results = migrate(&world, &plant, &[&lost, &taken, &missing, &plant.hub, "nonsense", &good, &good]).await;
    let codes: Vec<&str> = results.iter().map(|one| one["error"]["code"].as_str().unwrap_or("-")).collect();
    let property = "InvalidPropertyValue";
    assert_eq!(
        codes,
        [
            "AssetEndpointProfileNotFound",
            "ResourceExists",
            "ResourceNotFound",
            property,
            "InvalidResourceId",
            "-",
            "ResourceNotFound"
        ]
    );
    for asset in [&lost, &taken] {
        world.get(asset, OLD).await;
    }
    let path = format!("{}/migrate", plant.namespace);
    for (sent, target) in [
        (Some(json!({})), Some("resourceIds")),
        (Some(json!({"resourceIds": []})), Some("resourceIds")),
        (Some(json!({"resourceIds": "x"})), Some("resourceIds")),
        (Some(json!({"resourceIds": [7]})), Some("resourceIds[0]")),
        (Some(json!({"resourceIds": vec!["x"; 201]})), Some("resourceIds")),
        (Some(json!({"scope": "Everything", "resourceIds": [good]})), Some("scope")),
        (Some(json!({"resourceIds": [good], "dryRun": true})), Some("dryRun")),
        (Some(json!([])), None),
        (None, None),
    ] {
        let error = world.refused(&world.owner, "POST", &path, ADR, sent.clone()).await;
        assert_eq!((error.http_status(), error.target.as_deref()), (400, target), "{sent:?}: {error}");
    }
}

#[tokio::test]
async fn moving_takes_rights_on_both_sides() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let asset = asset(&world, &plant, "press-1", "aep-1").await;
    let stranger = world.stranger().await;
    let path = format!("{}/migrate", plant.namespace);
    let sent = json!({"resourceIds": [asset]});
    assert_eq!(world.refused(&stranger, "POST", &path, ADR, Some(sent.clone())).await.http_status(), 403);
    world.assign(stranger.id(), builtin::CONTRIBUTOR, &plant.namespace).await;
    let answer = world.send(&stranger, "POST", &path, ADR, Some(sent.clone())).await.unwrap().body.unwrap();
    assert_eq!(answer["migrateResults"][0]["error"]["code"], "AuthorizationFailed", "{answer}");
    world.assign(stranger.id(), builtin::CONTRIBUTOR, &asset).await;
    let answer = world.send(&stranger, "POST", &path, ADR, Some(sent.clone())).await.unwrap().body.unwrap();
    let message = answer["migrateResults"][0]["error"]["message"].as_str().unwrap();
    assert!(message.contains("assetEndpointProfiles/read"), "{message}");
    world.assign(stranger.id(), builtin::CONTRIBUTOR, &plant.group).await;
    let answer = world.send(&stranger, "POST", &path, ADR, Some(sent)).await.unwrap().body.unwrap();
    assert_eq!(answer["migrateResults"][0]["result"], "Succeeded", "{answer}");
}

#[tokio::test]
async fn an_action_that_nobody_can_carry_out_fails_honestly() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let asset = format!("{}/assets/press-1", plant.namespace);
    let groups =
        json!([{"name": "motor", "actions": [{"name": "stop", "targetUri": "ns=2;s=Stop", "actionType": "Call"}]}]);
    let reference = json!({"deviceName": "d", "endpointName": "e"});
    world.put(&asset, GA, body(json!({"deviceRef": reference, "managementGroups": groups}))).await;
    let path = format!("{asset}/executeAction");
    let wanted = json!({"managementGroupName": "motor", "managementActionName": "stop", "payload": {"hard": true}});
    let answer = world.send(&world.owner, "POST", &path, GA, Some(wanted.clone())).await.unwrap();
    let said = answer.body.unwrap();
    assert_eq!((answer.status, &said["status"], &said["assetResourceId"]), (200, &json!("Failed"), &json!(asset)));
    assert_eq!(said["error"]["code"], "NoConnectedInstance");
    for version in ["2025-10-01", ADR] {
        let error = world.refused(&world.owner, "POST", &path, version, Some(wanted.clone())).await;
        assert_eq!(error.code, "NoRegisteredProviderFound", "{error}");
        assert!(error.message.contains(GA) && error.message.contains("executeAction"), "{error}");
    }
    for (sent, target) in [
        (json!({"managementGroupName": "motor"}), "managementActionName"),
        (json!({"managementGroupName": "pump", "managementActionName": "stop"}), "managementGroupName"),
        (json!({"managementGroupName": "motor", "managementActionName": "go"}), "managementActionName"),
        (json!({"managementGroupName": "motor", "managementActionName": "stop", "payload": []}), "payload"),
        (json!({"managementGroupName": "motor", "managementActionName": "stop", "now": true}), "now"),
    ] {
        let error = world.refused(&world.owner, "POST", &path, GA, Some(sent.clone())).await;
        assert_eq!((error.http_status(), error.target.as_deref()), (400, Some(target)), "{sent}: {error}");
    }
}

#[tokio::test]
async fn a_billing_container_is_there_once_there_is_something_to_bill() {
    let world = World::new().await;
    let list = format!("/subscriptions/{}/providers/Microsoft.DeviceRegistry/billingContainers", world.subscription);
    let one = format!("{list}/adr-billing");
    assert_eq!(world.get(&list, OLD).await["value"], json!([]));
    assert_eq!(world.refused(&world.owner, "GET", &one, OLD, None).await.http_status(), 404);
    let plant = plant(&world).await;
    let listed = world.get(&list, GA).await["value"].clone();
    assert_eq!(listed[0], world.get(&one, OLD).await);
    assert_eq!((&listed[0]["id"], &listed[0]["properties"]), (&json!(one), &json!({"provisioningState": "Succeeded"})));
    assert!(listed[0]["etag"].is_string() && listed[0].get("systemData").is_none(), "{listed}");
    for method in ["PUT", "PATCH", "DELETE"] {
        let error = world.refused(&world.owner, method, &one, GA, Some(json!({}))).await;
        assert_eq!((error.http_status(), error.code), (405, "MethodNotAllowed"), "{error}");
    }
    for path in [
        format!("{}/billingContainers/adr-billing", provider(&plant)),
        format!("{}/billingContainers", provider(&plant)),
    ] {
        let error = world.refused(&world.owner, "GET", &path, GA, None).await;
        assert_eq!((error.http_status(), error.code), (400, "InvalidResourceId"), "{path}: {error}");
    }
    assert_eq!(world.send(&world.owner, "HEAD", &one, GA, None).await.unwrap().status, 204);
}

#[tokio::test]
async fn endpoints_of_a_namespace_are_those_of_their_version() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let whole =
        json!({"endpointType": "Microsoft.EventGrid/namespaces", "address": "a", "scopeId": "s", "resourceId": "/r"});
    let of = |properties: Value| json!({"location": "westeurope", "properties": properties});
    let management = |endpoint: &Value| of(json!({"management": {"endpoints": {"one": endpoint}}}));
    let error = world.refused(&world.owner, "PUT", &plant.namespace, ADR, Some(management(&whole))).await;
    assert_eq!(error.target.as_deref(), Some("properties.management"));
    assert!(error.message.contains(GA), "{error}");
    for member in ["endpointType", "address", "scopeId", "resourceId"] {
        let mut part = whole.clone();
        part.as_object_mut().unwrap().shift_remove(member);
        let error = world.refused(&world.owner, "PUT", &plant.namespace, GA, Some(management(&part))).await;
        let path = format!("properties.management.endpoints.one.{member}");
        assert_eq!((error.code, error.target.as_deref()), ("InvalidRequestContent", Some(path.as_str())));
    }
    let mut namespace = world.get(&plant.namespace, GA).await;
    namespace["properties"]["management"] = json!({"endpoints": {"one": whole}});
    world.put(&plant.namespace, GA, namespace).await;
    // What the older shape does not know is kept by its writes.
    let old = world.get(&plant.namespace, "2025-10-01").await;
    assert!(old["properties"].get("management").is_none(), "{old}");
    world.put(&plant.namespace, "2025-10-01", old).await;
    let kept = world.get(&plant.namespace, GA).await;
    assert_eq!(kept["properties"]["management"]["endpoints"]["one"], whole);
    // Messaging endpoints have an address, but in the newest shape, which finds it.
    let broker = of(json!({"messaging": {"endpoints": {"grid": {"endpointType": "Microsoft.EventGrid/namespaces"}}}}));
    let error = world.refused(&world.owner, "PUT", &plant.namespace, GA, Some(broker)).await;
    assert_eq!(error.target.as_deref(), Some("properties.messaging.endpoints.grid.address"), "{error}");
    // One that the newest shape wrote without can be put back by the older.
    let bare = of(json!({"messaging": {"endpoints": {"bare": {"endpointType": "Microsoft.EventGrid/namespaces"}}}}));
    world.put(&plant.namespace, "2026-11-02-preview", bare).await;
    world.put(&plant.namespace, GA, world.get(&plant.namespace, GA).await).await;
    let patch = json!({"properties": {"messaging": {"endpoints": {"grid": {"address": "g", "endpointType": "Microsoft.EventGrid/namespaces"}}}}});
    let patched = world.send(&world.owner, "PATCH", &plant.namespace, GA, Some(patch)).await.unwrap();
    assert_eq!(patched.body.unwrap()["properties"]["messaging"]["endpoints"]["grid"]["address"], "g");
}

#[tokio::test]
async fn the_provider_lists_every_action_that_can_be_asked_for() {
    let world = World::new().await;
    let listed = world.get("/providers/Microsoft.DeviceRegistry/operations", GA).await;
    let listed = listed["value"].as_array().unwrap();
    for operation in listed {
        let display = &operation["display"];
        for member in ["provider", "resource", "operation", "description"] {
            assert!(display[member].as_str().is_some_and(|text| !text.is_empty()), "{operation}");
        }
        assert!(operation["isDataAction"].is_boolean() && operation["origin"].is_string(), "{operation}");
    }
    let named = |name: &str, data: bool| listed.iter().any(|one| one["name"] == name && one["isDataAction"] == data);
    for decl in Types::built_in().all().iter().filter(|decl| decl.kind.provider == "Microsoft.DeviceRegistry") {
        for action in decl.actions() {
            assert!(named(&action, false), "{action} is not listed");
        }
    }
    assert!(named(ferrohub_service::registry::ISSUE_CERTIFICATE, true));
    assert!(!named("Microsoft.DeviceRegistry/billingContainers/write", false));
    let mut names: Vec<&str> = listed.iter().map(|one| one["name"].as_str().unwrap()).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "an action is listed twice");
}

#[tokio::test]
async fn nothing_moves_past_a_lock_and_the_log_tells_what_moved() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let asset = asset(&world, &plant, "press-1", "aep-1").await;
    let device = format!("{}/devices/aep-1", plant.namespace);
    let target = format!("{}/assets/press-1", plant.namespace);
    world.put(&device, ADR, json!({"location": "westeurope", "properties": {}})).await;
    for (scope, level) in
        [(&asset, "CanNotDelete"), (&plant.group, "CanNotDelete"), (&plant.group, "ReadOnly"), (&device, "ReadOnly")]
    {
        let lock = format!("{scope}/providers/Microsoft.Authorization/locks/keep");
        world.put(&lock, "2020-05-01", json!({"properties": {"level": level}})).await;
        let path = format!("{}/migrate", plant.namespace);
        let answer = world.send(&world.owner, "POST", &path, ADR, Some(json!({"resourceIds": [asset]}))).await;
        let code = match answer {
            Ok(answer) => answer.body.unwrap()["migrateResults"][0]["error"]["code"].clone(),
            Err(error) => error.code.into(),
        };
        assert_eq!(code, "ScopeLocked", "{scope} {level}");
        world.get(&asset, OLD).await;
        world.send(&world.owner, "DELETE", &lock, "2020-05-01", None).await.unwrap();
    }
    assert_eq!(migrate(&world, &plant, &[&asset]).await[0]["result"], "Succeeded");
    for (action, id) in
        [("assets/delete", &asset), ("namespaces/assets/write", &target), ("namespaces/devices/write", &device)]
    {
        let path = format!(
            "/subscriptions/{}/providers/Microsoft.Insights/eventtypes/management/values?$filter=eventTimestamp ge '2026-11-01T00:00:00Z' and resourceUri eq '{id}'",
            world.subscription
        );
        let log = world.get(&path, "2015-04-01").await;
        let action = format!("Microsoft.DeviceRegistry/{action}");
        let told = log["value"].as_array().unwrap().iter().any(|event| event["operationName"]["value"] == action);
        assert!(told, "{action}: {log}");
    }
}
