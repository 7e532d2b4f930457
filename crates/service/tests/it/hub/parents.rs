//! The hierarchy of IoT Edge devices, as Node's and C#'s registry suites use it.

use super::fixture::{World, put_hub};
use serde_json::{Value, json};

async fn put(world: &World, id: &str, body: Value, if_match: Option<&str>) -> Result<Value, u32> {
    let made = world.service().put_device(&world.caller, &world.hub, id, &body, if_match).await;
    made.map_err(|error| error.numeric_code())
}

async fn edge(world: &World, id: &str, parent: Option<&Value>) -> Value {
    let mut body = json!({"deviceId": id, "capabilities": {"iotEdge": true}});
    if let Some(parent) = parent {
        body["parentScopes"] = json!([parent]);
    }
    put(world, id, body, None).await.unwrap()["deviceScope"].clone()
}

#[tokio::test]
async fn an_edge_device_gets_a_scope_and_children_take_it() {
    let world = World::new().await;
    let gate = put(&world, "gate", json!({"capabilities": {"iotEdge": true}}), None).await.unwrap();
    let scope = gate["deviceScope"].clone();
    assert_eq!(scope, json!(format!("ms-azure-iot-edge://gate-{}", gate["generationId"].as_str().unwrap())));
    assert_eq!(gate["parentScopes"], json!([]));
    let leaf = put(&world, "leaf", json!({"deviceScope": scope}), None).await.unwrap();
    assert_eq!((&leaf["deviceScope"], &leaf["parentScopes"]), (&scope, &json!([scope])));
    let read = world.service().get_device(&world.caller, &world.hub, "leaf").await.unwrap();
    assert_eq!(read, leaf);
    let twin = world.service().get_twin(&world.caller, &world.hub, "leaf").await.unwrap();
    assert_eq!((&twin["deviceScope"], &twin["parentScopes"]), (&scope, &json!([scope])));
    assert_eq!(put(&world, "leaf", leaf.clone(), Some("*")).await.unwrap()["deviceScope"], scope, "put back as read");
    let kept = put(&world, "leaf", json!({"status": "disabled"}), Some("*")).await.unwrap();
    assert_eq!(kept["deviceScope"], scope, "what is not given stays");

    let mut other = leaf.clone();
    other["deviceScope"] = json!("5f0c9f2e-0000-4000-8000-000000000001");
    assert_eq!(put(&world, "leaf", other, Some("*")).await, Err(400_028));
    let mut own = gate.clone();
    own["deviceScope"] = json!("ms-azure-iot-edge://gate-1");
    assert_eq!(put(&world, "gate", own, Some("*")).await, Err(400_028), "read-only where it is the device's own");

    let free = put(&world, "leaf", json!({"deviceScope": "", "parentScopes": []}), Some("*")).await.unwrap();
    assert!(free.get("deviceScope").is_none() && free.get("parentScopes").is_none(), "{free}");
}

#[tokio::test]
async fn a_scope_of_no_edge_device_is_refused() {
    let world = World::new().await;
    let gate = edge(&world, "gate", None).await;
    world.sas_device("plain").await;
    let plain = world.service().get_device(&world.caller, &world.hub, "plain").await.unwrap();
    let of_plain = format!("ms-azure-iot-edge://plain-{}", plain["generationId"].as_str().unwrap());
    let stale = "ms-azure-iot-edge://gate-1";
    for scope in ["x", "ms-azure-iot-edge://missing-1", "ms-azure-iot-edge://a/b-1", of_plain.as_str(), stale] {
        for body in [
            json!({"deviceScope": scope}),
            json!({"parentScopes": [scope]}),
            json!({"capabilities": {"iotEdge": true}, "parentScopes": [scope]}),
        ] {
            assert_eq!(put(&world, "new", body.clone(), None).await, Err(400_028), "{body}");
        }
    }
    assert_eq!(
        put(&world, "new", json!({"capabilities": {"iotEdge": true}, "deviceScope": gate}), None).await,
        Err(400_028)
    );
    assert_eq!(put(&world, "new", json!({"deviceScope": gate, "parentScopes": [of_plain]}), None).await, Err(400_028));
    assert_eq!(world.service().get_device(&world.caller, &world.hub, "new").await.unwrap_err().numeric_code(), 404_001);

    // Another hub's devices are nobody's parents here.
    put_hub(&world, "hub2", serde_json::Map::new()).await;
    let other = world.service().by_host("hub2.azure-devices.localhost").await.unwrap();
    let caller = world.caller_of(&other).await;
    let refused = world.service().put_device(&caller, &other, "d", &json!({"deviceScope": gate}), None).await;
    assert_eq!(refused.unwrap_err().numeric_code(), 400_028);
}

#[tokio::test]
async fn edge_devices_nest_without_rings_and_only_so_deep() {
    let world = World::new().await;
    let mut scopes = vec![edge(&world, "e1", None).await];
    for layer in 2..=5 {
        let scope = edge(&world, &format!("e{layer}"), scopes.last()).await;
        scopes.push(scope);
    }
    let e3 = world.service().get_device(&world.caller, &world.hub, "e3").await.unwrap();
    assert_eq!((&e3["deviceScope"], &e3["parentScopes"]), (&scopes[2], &json!([scopes[1]])));
    let leaf = put(&world, "leaf", json!({"deviceScope": scopes[4], "parentScopes": [scopes[4]]}), None).await.unwrap();
    assert_eq!(leaf["parentScopes"], json!([scopes[4]]));
    let sixth = json!({"capabilities": {"iotEdge": true}, "parentScopes": [scopes[4]]});
    assert_eq!(put(&world, "e6", sixth, None).await, Err(400_028));
    for (id, parent) in [("e1", &scopes[0]), ("e1", &scopes[1]), ("e1", &scopes[4]), ("e3", &scopes[3])] {
        assert_eq!(put(&world, id, json!({"parentScopes": [parent]}), Some("*")).await, Err(400_028), "{id} {parent}");
    }
    let moved = put(&world, "e3", json!({"parentScopes": [scopes[0]]}), Some("*")).await.unwrap();
    assert_eq!(moved["parentScopes"], json!([scopes[0]]));
}

#[tokio::test]
async fn a_parent_that_went_leaves_its_children_without_one() {
    let world = World::new().await;
    let scope = edge(&world, "gate", None).await;
    put(&world, "leaf", json!({"deviceScope": scope}), None).await.unwrap();
    world.service().delete_device(&world.caller, &world.hub, "gate", Some("*")).await.unwrap();
    let shown = async || world.service().get_device(&world.caller, &world.hub, "leaf").await.unwrap();
    assert!(shown().await.get("deviceScope").is_none());
    world.clock.advance(std::time::Duration::from_secs(1));
    let again = edge(&world, "gate", None).await;
    assert_ne!(again, scope, "another device under the same id");
    assert!(shown().await.get("deviceScope").is_none());
    put(&world, "leaf", json!({"deviceScope": again}), Some("*")).await.unwrap();
    let turned = put(
        &world,
        "gate",
        json!({"capabilities": {"iotEdge": false}, "deviceScope": again, "parentScopes": []}),
        Some("*"),
    )
    .await
    .unwrap();
    assert!(turned.get("deviceScope").is_none(), "{turned}");
    assert!(shown().await.get("deviceScope").is_none(), "no edge device any more");
    put(&world, "gate", json!({"capabilities": {"iotEdge": true}}), Some("*")).await.unwrap();
    assert_eq!(shown().await["deviceScope"], again);
    let turned =
        put(&world, "leaf", json!({"capabilities": {"iotEdge": true}, "deviceScope": again}), Some("*")).await.unwrap();
    assert!(turned["deviceScope"].as_str().unwrap().contains("://leaf-"), "{turned}");
    assert_eq!(turned["parentScopes"], json!([again]), "the parent stays");
}
