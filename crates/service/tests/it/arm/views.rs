//! A write never drops what its view cannot express, for every type and every view: the types and their api-versions are
//! found by iteration.

use super::fixture::{HUB, World, plant};
use super::widget;
use ferrohub_service::arm::declaration::TypeDecl;
use ferrohub_service::arm::types::Types;
use ferrohub_service::resources::{self, Stored, tag};
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

/// A world in which every type has a resource.
pub(super) async fn world_of_everything() -> World {
    let world = World::with_types(Types::built_in().with(&[&widget::DECL])).await;
    let plant = plant(&world).await;
    let policy = format!("{}/credentials/default/policies/default", plant.namespace);
    let device = format!("{}/devices/pump-1", plant.namespace);
    world
        .put(&device, "2026-03-01-preview", json!({"location": "westeurope", "tags": {"a": "b"}, "properties": {"enabled": true, "attributes": {"line": "B"}, "policy": {"resourceId": policy}}}))
        .await;
    let synchronize = format!("{}/credentials/default/synchronize", plant.namespace);
    world.send(&world.owner, "POST", &synchronize, "2026-03-01-preview", None).await.unwrap();
    let role = format!(
        "/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/10000000-0000-0000-0000-000000000007",
        world.subscription
    );
    world
        .put(&role, "2022-04-01", json!({"properties": {"roleName": "Viewer", "assignableScopes": [plant.group], "permissions": [{"actions": ["*/read"]}]}}))
        .await;
    world.put(&format!("{}/widgets/w1", widget::provider(&plant.group)), "2030-01-01", widget::body()).await;
    world
}

/// Every id under which something is reached, with its type.
pub(super) async fn everything(world: &World) -> Vec<(&'static TypeDecl, String)> {
    let platform = world.platform();
    let mut stored: Vec<Stored> = Vec::new();
    for tag in [tag::RESOURCE_GROUP, tag::ROLE_DEFINITION, tag::ROLE_ASSIGNMENT] {
        stored.extend(resources::every(platform, tag).await.unwrap());
    }
    let mut index = 0;
    while index < stored.len() {
        let (uid, id) = (stored[index].uid, stored[index].id.clone());
        let children = resources::children(platform, uid, &id, None).await.unwrap();
        stored.extend(children.into_iter().filter(|child| !child.is(tag::ROLE_ASSIGNMENT)));
        index += 1;
    }
    let mut found = Vec::new();
    for stored in stored {
        for id in resources::ids_of(platform, stored.uid).await.unwrap() {
            let kind = platform.kinds.of(&id).unwrap();
            found.push((platform.types.tagged(kind.tag).unwrap(), id.to_string()));
        }
    }
    found
}

#[tokio::test]
async fn get_then_put_through_any_view_keeps_everything() {
    let world = world_of_everything().await;
    let all = everything(&world).await;
    for decl in world.platform().types.all() {
        assert!(
            all.iter().any(|(known, _)| known.kind == decl.kind),
            "no resource of '{}' is put through its views",
            decl.full()
        );
    }
    for (decl, path) in &all {
        for version in decl.versions() {
            let before = shapes(&world, &all, path).await;
            let view = world.get(path, version).await;
            let answer = world
                .send(&world.owner, "PUT", path, version, Some(view))
                .await
                .unwrap_or_else(|e| panic!("{path} {version}: {e} {:?}", e.context));
            assert_eq!(answer.status, decl.put.1, "{path} {version}");
            assert_eq!(before, shapes(&world, &all, path).await, "{path} through {version}");
        }
    }
}

/// What every id that shows the same row answers in every api-version that it has.
async fn shapes(world: &World, all: &[(&'static TypeDecl, String)], path: &str) -> Vec<(String, Value)> {
    let platform = world.platform();
    let uid = async |path: &str| {
        let id = ferrohub_model::resource_id::ResourceId::parse(path).unwrap();
        resources::get(platform, &id).await.unwrap().map(|stored| stored.uid)
    };
    let row = uid(path).await;
    let mut shapes = Vec::new();
    for (decl, other) in all {
        if uid(other).await == row {
            for version in decl.versions() {
                shapes.push((format!("{other} {version}"), stable(world.get(other, version).await)));
            }
        }
    }
    shapes
}

#[tokio::test]
async fn every_view_is_a_pair_there_and_back() {
    let world = world_of_everything().await;
    for (decl, path) in everything(&world).await {
        // A type that lives on shows its newest shape to whoever is newer than all that is known.
        let last = decl.views.last().unwrap();
        let newest = if last.last.is_none() { "2099-12-31" } else { decl.versions()[0] };
        let mut newest_doc = world.get(&path, newest).await;
        (last.from)(&mut newest_doc);
        for view in decl.views {
            let mut doc = newest_doc.clone();
            (view.to)(&mut doc);
            (view.from)(&mut doc);
            assert_eq!(doc, newest_doc, "{path} through the view of {}", view.first);
        }
    }
}

#[tokio::test]
async fn an_api_version_that_never_had_a_type_gets_arms_own_error() {
    let world = world_of_everything().await;
    for (decl, path) in everything(&world).await.into_iter().filter(|(decl, _)| !decl.any_version) {
        let served = decl.versions();
        for version in decl.family.iter().chain(&["2001-01-01", "2025-02-30-preview"]).filter(|v| !served.contains(*v))
        {
            for (method, body) in [("GET", None), ("PUT", Some(json!({"location": "westeurope"}))), ("DELETE", None)] {
                let error = world.refused(&world.owner, method, &path, version, body).await;
                assert_eq!(error.code, "NoRegisteredProviderFound", "{method} {path} {version}");
                assert!(error.message.contains(served[0]), "{}", error.message);
            }
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
            "Microsoft.DeviceRegistry/namespaces/certificateAuthorities",
            "Microsoft.DeviceRegistry/namespaces/certificateAuthorities",
            "Microsoft.DeviceRegistry/namespaces/certificateAuthorities/certificatePolicies",
            "Microsoft.Devices/IotHubs",
            "Microsoft.Devices/provisioningServices",
            "Microsoft.ManagedIdentity/userAssignedIdentities"
        ]
    );
}
