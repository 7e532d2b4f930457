//! A write never drops what its view cannot express, for every type and every view: the types and their api-versions are
//! found by iteration.

use super::fixture::{ADR, DPS, HUB, Plant, World, plant};
use super::{registry, widget};
use ferrohub_service::arm::declaration::TypeDecl;
use ferrohub_service::arm::types::Types;
use ferrohub_service::resources::{self, Stored, tag};
use serde_json::{Value, json};

/// The parts of an answer that a get followed by a put must not change.
pub(super) fn stable(mut view: Value) -> Value {
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
    let group = json!({"properties": {"groupType": "RegistryDevice", "queryFilter": "*", "displayName": "all"}});
    world.put(&format!("{}/groups/all-of-them", plant.namespace), "2026-11-02-preview", group).await;
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
    registry::fill(&world, &plant).await;
    let lock = format!("{}/widgets/w1/providers/Microsoft.Authorization/locks/keep", widget::provider(&plant.group));
    world.put(&lock, "2020-05-01", json!({"properties": {"level": "CanNotDelete"}})).await;
    link_as_identity(&world, &plant).await;
    let list = world.get(&format!("{}/certificates", plant.hub), HUB).await;
    let upload =
        json!({"properties": {"certificate": list["value"][0]["properties"]["certificate"], "isVerified": true}});
    world.put(&format!("{}/certificates/factory", plant.dps), DPS, upload).await;
    world
}

/// Links two further hubs to the provisioning service by its identities, and one by a key.
async fn link_as_identity(world: &World, plant: &Plant) {
    let mut hubs = Vec::new();
    for (name, kind) in [("hub2", "SystemAssigned"), ("hub3", "UserAssigned"), ("hub4", "KeyBased")] {
        let id = format!("{}/providers/Microsoft.Devices/IotHubs/{name}", plant.group);
        world.put(&id, HUB, json!({"location": "westeurope", "sku": {"name": "S1", "capacity": 1}})).await;
        let host = format!("{name}.azure-devices.localhost");
        hubs.push(match kind {
            "KeyBased" => {
                let path = format!("{id}/IotHubKeys/iothubowner/listkeys");
                let key = world.send(&world.owner, "POST", &path, HUB, None).await.unwrap().body.unwrap();
                let key = key["primaryKey"].as_str().unwrap();
                json!({"connectionString": format!("HostName={host};SharedAccessKeyName=iothubowner;SharedAccessKey={key}")})
            }
            "UserAssigned" => {
                json!({"hostName": host, "authenticationType": kind, "selectedUserAssignedIdentityResourceId": plant.identity, "allocationWeight": 3})
            }
            kind => json!({"hostName": host, "authenticationType": kind}),
        });
    }
    let mut dps = world.get(&plant.dps, "2026-03-01-preview").await;
    dps["identity"]["type"] = "SystemAssigned, UserAssigned".into();
    dps["properties"]["iotHubs"] = hubs.into();
    world.put(&plant.dps, "2026-03-01-preview", dps).await;
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
    // What has no rows.
    let billing = "providers/Microsoft.DeviceRegistry/billingContainers/adr-billing";
    let path = format!("/subscriptions/{}/{billing}", world.subscription);
    found.push((platform.types.tagged(tag::BILLING_CONTAINER).unwrap(), path));
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
    for (decl, path) in all.iter().filter(|(decl, _)| !decl.read_only) {
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
        let last = decl.views.last().unwrap();
        let mut newest_doc = world.get(&path, decl.versions()[0]).await;
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
async fn an_api_version_of_the_future_gets_arms_own_error() {
    let world = world_of_everything().await;
    for (decl, path) in everything(&world).await {
        let code = if decl.full() == "Microsoft.Resources/resourceGroups" {
            "InvalidApiVersionParameter"
        } else {
            "NoRegisteredProviderFound"
        };
        for (method, body) in [("GET", None), ("PUT", Some(json!({"location": "westeurope"}))), ("DELETE", None)] {
            let error = world.refused(&world.owner, method, &path, "2099-12-31", body).await;
            assert_eq!((error.code, error.http_status()), (code, 400), "{method} {path}");
            assert!(error.message.contains(decl.versions()[0]), "{}", error.message);
        }
    }
    for path in [
        "/tenants".to_owned(),
        "/subscriptions".to_owned(),
        format!("/subscriptions/{}", world.subscription),
        format!("/subscriptions/{}/resourceGroups", world.subscription),
        format!("/subscriptions/{}/resources", world.subscription),
        format!("/subscriptions/{}/providers", world.subscription),
        "/providers/Microsoft.Devices".to_owned(),
    ] {
        let error = world.refused(&world.owner, "GET", &path, "2099-12-31", None).await;
        assert_eq!(error.code, "InvalidApiVersionParameter", "{path}");
        assert!(error.message.contains("2025-04-01"), "{error}");
    }
}

#[tokio::test]
async fn the_newest_hub_says_as_what_it_acts_and_where_the_data_plane_is() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let uuid = world.get(&plant.namespace, ADR).await["properties"]["uuid"].clone();
    for version in ["2026-10-01-preview", "2026-11-01"] {
        let mut hub = world.get(&plant.hub, version).await;
        let link = &hub["properties"]["deviceRegistry"];
        assert_eq!(
            *link,
            json!({
                "namespaceResourceId": plant.namespace, "namespaceUuid": uuid,
                "dataPlaneHostName": "westeurope.api.deviceregistry.localhost",
                "identity": {"type": "UserAssigned", "userAssignedIdentity": plant.identity},
                "linkingProperties": {"state": "Success"}
            })
        );
        // It says as what it acts: also its own identity, which the older shape says by leaving the id out.
        hub["identity"]["type"] = "SystemAssigned, UserAssigned".into();
        hub["properties"]["deviceRegistry"]["identity"] = json!({"type": "SystemAssigned"});
        let own = world.put(&plant.hub, version, hub.clone()).await;
        assert_eq!(own["properties"]["deviceRegistry"]["identity"], json!({"type": "SystemAssigned"}));
        let old = world.get(&plant.hub, HUB).await;
        assert_eq!(old["properties"]["deviceRegistry"], json!({"namespaceResourceId": plant.namespace}));
        let put_back = world.put(&plant.hub, HUB, old).await;
        assert_eq!(put_back["properties"]["deviceRegistry"], json!({"namespaceResourceId": plant.namespace}));
        for identity in [
            json!({"type": "UserAssigned"}),
            json!({"type": "Anonymous"}),
            json!({"type": "SystemAssigned", "userAssignedIdentity": plant.identity}),
            json!({}),
        ] {
            hub["properties"]["deviceRegistry"]["identity"] = identity.clone();
            let error = world.refused(&world.owner, "PUT", &plant.hub, version, Some(hub.clone())).await;
            assert_eq!(error.target.as_deref(), Some("properties.deviceRegistry.identity"), "{identity}: {error}");
        }
        hub["properties"]["deviceRegistry"]["identityResourceId"] = plant.identity.clone().into();
        let error = world.refused(&world.owner, "PUT", &plant.hub, version, Some(hub.clone())).await;
        assert_eq!(error.target.as_deref(), Some("properties.deviceRegistry.identityResourceId"), "{error}");
        hub["properties"]["deviceRegistry"] = json!({"namespaceResourceId": plant.namespace, "identity": {"type": "UserAssigned", "userAssignedIdentity": plant.identity}});
        world.put(&plant.hub, version, hub).await;
    }
    let made = format!("{}/providers/Microsoft.Devices/IotHubs/newest", plant.group);
    let body = json!({
        "location": "westeurope", "sku": {"name": "S1", "capacity": 1}, "identity": {"type": "SystemAssigned"},
        "properties": {"deviceRegistry": {"namespaceResourceId": plant.namespace, "identity": {"type": "SystemAssigned"}}}
    });
    let made = world.put(&made, "2026-10-01-preview", body).await;
    assert_eq!(made["properties"]["deviceRegistry"]["linkingProperties"]["state"], "Success");
}

#[tokio::test]
async fn the_newest_dps_lists_its_namespace_and_keeps_it() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let uuid = world.get(&plant.namespace, ADR).await["properties"]["uuid"].clone();
    let listed = json!([{
        "resourceId": plant.namespace, "authenticationType": "UserAssigned",
        "selectedUserAssignedIdentityResourceId": plant.identity, "namespaceUuid": uuid,
        "dataAddress": "westeurope.api.deviceregistry.localhost", "location": "westeurope", "linkingState": "Succeeded"
    }]);
    let newest = world.get(&plant.dps, "2026-11-01").await;
    assert_eq!(newest["properties"]["deviceRegistryNamespaces"], listed);
    assert!(newest["properties"].get("deviceRegistryNamespace").is_none());
    assert!(world.get(&plant.dps, "2026-08-31").await["properties"].get("deviceRegistryNamespaces").is_none());
    let writable = world.get(&plant.dps, DPS).await["properties"]["deviceRegistryNamespace"].clone();
    assert_eq!(
        writable,
        json!({"resourceId": plant.namespace, "authenticationType": "UserAssigned", "selectedUserAssignedIdentityResourceId": plant.identity})
    );
    // An identity that the link would not act as is not taken and dropped.
    let mut unused = world.get(&plant.dps, DPS).await;
    unused["identity"]["type"] = "SystemAssigned, UserAssigned".into();
    unused["properties"]["deviceRegistryNamespace"]["authenticationType"] = "SystemAssigned".into();
    let error = world.refused(&world.owner, "PUT", &plant.dps, DPS, Some(unused)).await;
    let path = "properties.deviceRegistryNamespace.selectedUserAssignedIdentityResourceId";
    assert_eq!(error.target.as_deref(), Some(path), "{error}");
    // The link of older shapes is none of this one's.
    let mut both = newest.clone();
    both["properties"]["deviceRegistryNamespace"] = writable.clone();
    let error = world.refused(&world.owner, "PUT", &plant.dps, "2026-11-01", Some(both)).await;
    assert_eq!(error.target.as_deref(), Some("properties.deviceRegistryNamespaces"), "{error}");
    // Put back, left out or emptied, it stays: it is read-only there. Another one is refused.
    for sent in [listed.clone(), json!([]), serde_json::Value::Null] {
        let mut body = newest.clone();
        body["properties"]["deviceRegistryNamespaces"] = sent;
        let kept = world.put(&plant.dps, "2026-11-01", body).await;
        assert_eq!(kept["properties"]["deviceRegistryNamespaces"], listed);
    }
    for sent in [
        json!([{"resourceId": format!("{}-other", plant.namespace)}]),
        json!([{"resourceId": plant.namespace, "authenticationType": "SystemAssigned"}]),
        json!([listed[0], listed[0]]),
    ] {
        let mut body = newest.clone();
        body["properties"]["deviceRegistryNamespaces"] = sent.clone();
        let error = world.refused(&world.owner, "PUT", &plant.dps, "2026-11-01", Some(body)).await;
        assert!(error.message.contains("read-only") && error.message.contains("az iot dps update"), "{sent}: {error}");
    }
}

#[tokio::test]
async fn hubs_are_linked_by_identity_and_every_older_shape_keeps_them_so() {
    let world = world_of_everything().await;
    let group = world.group("rg1");
    let dps = format!("{group}/providers/Microsoft.Devices/provisioningServices/dps1");
    let identity = format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/uami1");
    let newest = world.get(&dps, "2026-11-01").await["properties"]["iotHubs"].clone();
    let host = |n: u8| format!("hub{n}.azure-devices.localhost");
    assert_eq!(
        newest,
        json!([
            {"name": host(2), "hostName": host(2), "authenticationType": "SystemAssigned", "location": "westeurope", "applyAllocationPolicy": true, "allocationWeight": 1},
            {"name": host(3), "hostName": host(3), "authenticationType": "UserAssigned", "selectedUserAssignedIdentityResourceId": identity, "location": "westeurope", "applyAllocationPolicy": true, "allocationWeight": 3},
            {"name": host(4), "hostName": host(4), "authenticationType": "KeyBased", "connectionString": format!("HostName={};SharedAccessKeyName=iothubowner;SharedAccessKey=****", host(4)), "location": "westeurope", "applyAllocationPolicy": true, "allocationWeight": 1}
        ])
    );
    for version in ["2021-10-15", "2022-12-12", DPS] {
        let mut old = world.get(&dps, version).await;
        for entry in old["properties"]["iotHubs"].as_array().unwrap() {
            assert!(entry.get("authenticationType").is_none() && entry["connectionString"].is_string(), "{entry}");
        }
        old["tags"] = json!({"through": version});
        world.put(&dps, version, old).await;
        assert_eq!(world.get(&dps, "2026-11-01").await["properties"]["iotHubs"], newest, "{version}");
    }
    let at = |change: Value| {
        let mut hub = newest[0].clone();
        for (name, value) in change.as_object().unwrap() {
            hub[name] = value.clone();
        }
        hub
    };
    let mut body = world.get(&dps, "2026-11-01").await;
    for (entry, target) in [
        (at(json!({"authenticationType": "Magic"})), "authenticationType"),
        (at(json!({"hostName": "nowhere.azure-devices.localhost"})), "hostName"),
        (at(json!({"hostName": ""})), "hostName"),
        (at(json!({"connectionString": format!("HostName={}", host(2))})), "connectionString"),
        (at(json!({"authenticationType": "UserAssigned"})), "selectedUserAssignedIdentityResourceId"),
        (at(json!({"selectedUserAssignedIdentityResourceId": identity})), "selectedUserAssignedIdentityResourceId"),
        (at(json!({"authenticationType": "KeyBased"})), "connectionString"),
    ] {
        body["properties"]["iotHubs"] = json!([entry]);
        let error = world.refused(&world.owner, "PUT", &dps, "2026-11-01", Some(body.clone())).await;
        assert!(error.target.as_deref().is_some_and(|path| path.ends_with(&format!(".{target}"))), "{entry}: {error}");
    }
    // Its own identity cannot go while a link acts as it.
    body["properties"]["iotHubs"] = newest;
    body["identity"]["type"] = "UserAssigned".into();
    let error = world.refused(&world.owner, "PUT", &dps, "2026-11-01", Some(body)).await;
    assert!(error.message.contains("system-assigned"), "{error}");
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
