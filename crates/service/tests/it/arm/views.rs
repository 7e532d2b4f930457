//! A write never drops what its view cannot express, for every type and every view.

use super::fixture::{HUB, World, plant};
use ferrohub_service::arm::types;
use serde_json::{Value, json};

/// The parts of an answer that a get followed by a put must not change.
fn stable(mut view: Value) -> Value {
    if let Some(map) = view.as_object_mut() {
        map.shift_remove("etag");
        map.shift_remove("systemData");
    }
    for path in ["updatedOn", "version", "lastTransitionTime"] {
        if let Some(properties) = view.get_mut("properties").and_then(Value::as_object_mut) {
            properties.shift_remove(path);
        }
    }
    view
}

#[tokio::test]
async fn get_then_put_through_any_view_keeps_everything() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let device = format!("{}/devices/pump-1", plant.namespace);
    let policy_id = format!("{}/credentials/default/policies/default", plant.namespace);
    world
        .put(&device, "2026-03-01-preview", json!({"location": "westeurope", "tags": {"a": "b"}, "properties": {"enabled": true, "attributes": {"line": "B"}, "policy": {"resourceId": policy_id}}}))
        .await;
    let everything = [
        (plant.group.clone(), "microsoft.resources/resourcegroups"),
        (plant.identity.clone(), "microsoft.managedidentity/userassignedidentities"),
        (plant.namespace.clone(), "microsoft.deviceregistry/namespaces"),
        (format!("{}/credentials/default", plant.namespace), "microsoft.deviceregistry/namespaces/credentials"),
        (policy_id, "microsoft.deviceregistry/namespaces/credentials/policies"),
        (device, "microsoft.deviceregistry/namespaces/devices"),
        (plant.hub.clone(), "microsoft.devices/iothubs"),
        (plant.dps.clone(), "microsoft.devices/provisioningservices"),
    ];
    for (path, kind) in everything {
        let decl = types::by_key(kind).unwrap();
        for version in decl.views.iter().flat_map(|view| view.versions) {
            let mut before = Vec::new();
            for shape in decl.views.iter().filter_map(|view| view.versions.last()) {
                before.push(stable(world.get(&path, shape).await));
            }
            let view = world.get(&path, version).await;
            let answer = world
                .send(&world.owner, "PUT", &path, version, Some(view))
                .await
                .unwrap_or_else(|e| panic!("{path} {version}: {e}"));
            assert_eq!(answer.status, decl.put.1, "{path} {version}");
            let mut after = Vec::new();
            for shape in decl.views.iter().filter_map(|view| view.versions.last()) {
                after.push(stable(world.get(&path, shape).await));
            }
            assert_eq!(before, after, "{path} through {version}");
        }
    }
}

#[tokio::test]
async fn the_older_az_keeps_a_dps_linked() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let mut old = world.get(&plant.dps, "2021-10-15").await;
    assert!(old.get("identity").is_none() && old["properties"].get("deviceRegistryNamespace").is_none());
    old["tags"] = json!({"changed": "yes"});
    world.put(&plant.dps, "2021-10-15", old).await;
    let now = world.get(&plant.dps, "2025-02-01-preview").await;
    assert_eq!(now["properties"]["deviceRegistryNamespace"]["resourceId"], plant.namespace);
    assert_eq!(now["identity"]["type"], "UserAssigned");
    assert_eq!(now["tags"]["changed"], "yes");
}

#[tokio::test]
async fn listed_resources_are_those_that_were_made() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let hubs =
        world.get(&format!("/subscriptions/{}/providers/Microsoft.Devices/IotHubs", world.subscription), HUB).await;
    assert_eq!(hubs["value"].as_array().unwrap().len(), 1);
    assert!(hubs.get("nextLink").is_none());
    let all = world.get(&format!("{}/resources", plant.group), "2024-11-01").await;
    let mut kinds: Vec<&str> = all["value"].as_array().unwrap().iter().map(|r| r["type"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [
            "Microsoft.DeviceRegistry/namespaces",
            "Microsoft.DeviceRegistry/namespaces/credentials",
            "Microsoft.DeviceRegistry/namespaces/credentials/policies",
            "Microsoft.Devices/IotHubs",
            "Microsoft.Devices/provisioningServices",
            "Microsoft.ManagedIdentity/userAssignedIdentities"
        ]
    );
}
