//! The control plane of the main job, and the rules of each type on the way.

use super::fixture::{ADR, DPS, HUB, World, plant};
use serde_json::json;

#[tokio::test]
async fn the_seeds_resources_link_and_synchronize() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let keys = world
        .send(&world.owner, "POST", &format!("{}/IotHubKeys/iothubowner/listkeys", plant.hub), HUB, None)
        .await
        .unwrap()
        .body
        .unwrap();
    assert_eq!(keys["rights"], "RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect");
    let connection = format!(
        "HostName=hub1.azure-devices.localhost;SharedAccessKeyName=iothubowner;SharedAccessKey={}",
        keys["primaryKey"].as_str().unwrap()
    );
    let mut dps = world.get(&plant.dps, DPS).await;
    assert_eq!(dps["properties"]["iotHubs"], json!([]));
    assert_eq!(dps["resourcegroup"], "rg1");
    dps["properties"]["iotHubs"] = json!([{"connectionString": connection, "location": "West Europe"}]);
    let linked = world.put(&plant.dps, DPS, dps).await;
    let shown = linked["properties"]["iotHubs"][0]["connectionString"].as_str().unwrap();
    assert!(shown.ends_with("SharedAccessKey=****"), "{shown}");
    // What was read can be put back: the masked key keeps the stored one.
    let again = world.put(&plant.dps, DPS, linked.clone()).await;
    assert_eq!(again["properties"]["iotHubs"], linked["properties"]["iotHubs"]);

    let tagged = world.send(&world.owner, "PATCH", &plant.dps, DPS, Some(json!({"tags": {"a": "b"}}))).await.unwrap();
    assert_eq!(tagged.body.unwrap()["properties"]["iotHubs"], linked["properties"]["iotHubs"]);

    let answer = world
        .send(&world.owner, "POST", &format!("{}/credentials/default/synchronize", plant.namespace), ADR, None)
        .await
        .unwrap();
    assert_eq!(answer.status, 202);
    let location = answer.headers.iter().find(|(name, _)| *name == "Location").unwrap().1.clone();
    let path = location.strip_prefix(super::fixture::BASE).unwrap().split('?').next().unwrap().to_string();
    assert_eq!(world.send(&world.owner, "GET", &path, ADR, None).await.unwrap().status, 204);
    let certificates = world.get(&format!("{}/certificates", plant.hub), HUB).await;
    let list = certificates["value"].as_array().unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(
        list[0]["properties"]["policyResourceId"],
        format!("{}/credentials/default/policies/default", plant.namespace)
    );
    assert_eq!(list[0]["properties"]["isVerified"], true);
    let namespace = world.get(&plant.namespace, ADR).await;
    assert_eq!(namespace["properties"]["messaging"]["endpoints"]["hub1"]["address"], "hub1.azure-devices.localhost");
}

#[tokio::test]
async fn names_regions_and_uniqueness() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let ns = |name: &str| format!("{}/providers/Microsoft.DeviceRegistry/namespaces/{name}", plant.group);
    for bad in ["ab", "-ab", "ab-", "aB3", &"a".repeat(65)] {
        let error = world.refused(&world.owner, "PUT", &ns(bad), ADR, Some(json!({"location": "westeurope"}))).await;
        assert_eq!(error.code, "InvalidResourceName", "{bad}");
    }
    let other = format!("{}/providers/Microsoft.Devices/IotHubs/HUB1", world.group("rg2"));
    world.put(&world.group("rg2"), "2024-11-01", json!({"location": "eastus"})).await;
    let error = world.refused(&world.owner, "PUT", &other, HUB, Some(json!({"location": "eastus"}))).await;
    assert_eq!(error.code, "NameNotAvailable");
    let moon = world.refused(&world.owner, "PUT", &ns("plant8"), ADR, Some(json!({"location": "moon"}))).await;
    assert_eq!(moon.code, "LocationNotAvailableForResourceType");
    let moved = world.refused(&world.owner, "PUT", &plant.namespace, ADR, Some(json!({"location": "eastus"}))).await;
    assert_eq!(moved.code, "InvalidResourceLocation");
    let no_group = format!("{}/providers/Microsoft.Devices/IotHubs/hub9", world.group("nowhere"));
    assert_eq!(
        world.refused(&world.owner, "PUT", &no_group, HUB, Some(json!({"location": "eastus"}))).await.code,
        "ResourceGroupNotFound"
    );
    let far = format!("{}/providers/Microsoft.Devices/provisioningServices/dps2", plant.group);
    let body = json!({"location": "eastus", "identity": {"type": "SystemAssigned"}, "properties": {"deviceRegistryNamespace": {"resourceId": plant.namespace, "authenticationType": "SystemAssigned"}}});
    let error = world.refused(&world.owner, "PUT", &far, DPS, Some(body)).await;
    assert!(error.message.contains("region of its namespace"), "{error}");
    let id = world.get(&plant.namespace.to_uppercase().replace("/SUBSCRIPTIONS", "/subscriptions"), ADR).await;
    assert_eq!(id["name"], "plant7");
}

#[tokio::test]
async fn policies_keep_their_subject_and_bounds() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let policy = |name: &str| format!("{}/credentials/default/policies/{name}", plant.namespace);
    let body = |subject: &str, days: i64| json!({"properties": {"certificate": {"certificateAuthorityConfiguration": {"keyType": "ECC", "subject": subject}, "leafCertificateConfiguration": {"validityPeriodInDays": days}}}});
    let made = world.put(&policy("custom"), ADR, body("CN=TestDevice", 3650)).await;
    assert_eq!(made["properties"]["certificate"]["certificateAuthorityConfiguration"]["subject"], "CN=TestDevice");
    assert!(made.get("location").is_none() && made.get("tags").is_none());
    // The same DN in another spelling is no change; another one is.
    world.put(&policy("custom"), ADR, body("cn = testdevice", 1)).await;
    assert_eq!(
        world.refused(&world.owner, "PUT", &policy("custom"), ADR, Some(body("CN=Other", 30))).await.code,
        "PropertyChangeNotAllowed"
    );
    assert_eq!(
        world
            .refused(&world.owner, "PUT", &policy("second"), ADR, Some(body("CN= TESTDEVICE", 30)))
            .await
            .http_status(),
        409
    );
    for days in [0, 3651, -1] {
        let error = world.refused(&world.owner, "PUT", &policy("third"), ADR, Some(body("CN=Third", days))).await;
        assert_eq!(error.http_status(), 400, "{days}");
    }
    let idempotent = world.put(&policy("custom"), ADR, json!({"properties": {}})).await;
    assert_eq!(idempotent["properties"]["certificate"]["leafCertificateConfiguration"]["validityPeriodInDays"], 1);
    let error =
        world.refused(&world.owner, "DELETE", &format!("{}/credentials/default", plant.namespace), ADR, None).await;
    assert!(error.message.contains("custom") && error.message.contains("default"), "{error}");
}

#[tokio::test]
async fn a_hubs_namespace_is_chosen_once() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let other = format!("{}/providers/Microsoft.DeviceRegistry/namespaces/other", plant.group);
    world.put(&other, ADR, json!({"location": "westeurope"})).await;
    let mut hub = world.get(&plant.hub, HUB).await;
    hub["properties"]["deviceRegistry"]["namespaceResourceId"] = json!(other);
    let error = world.refused(&world.owner, "PUT", &plant.hub, HUB, Some(hub)).await;
    assert_eq!(error.code, "PropertyChangeNotAllowed");
    let plain = format!("{}/providers/Microsoft.Devices/IotHubs/plain1", plant.group);
    world.put(&plain, HUB, json!({"location": "eastus", "sku": {"name": "S1", "capacity": 1}})).await;
    let late = json!({"location": "eastus", "identity": {"type": "UserAssigned", "userAssignedIdentities": {plant.identity.clone(): {}}},
        "properties": {"deviceRegistry": {"namespaceResourceId": plant.namespace, "identityResourceId": plant.identity}}});
    assert_eq!(world.refused(&world.owner, "PUT", &plain, HUB, Some(late)).await.code, "PropertyChangeNotAllowed");
    let error = world.refused(&world.owner, "DELETE", &plant.namespace, ADR, None).await;
    assert_eq!(error.code, "NamespaceInUse");
    assert!(error.message.contains("hub1") && error.message.contains("dps1"), "{error}");
}

#[tokio::test]
async fn etags_and_bodies() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let hub = world.get(&plant.hub, HUB).await;
    let etag = hub["etag"].as_str().unwrap().to_string();
    let stale =
        world.request(&world.owner, "PUT", &plant.hub, HUB, Some(hub.clone()), Some("\"other\"")).await.unwrap_err();
    assert_eq!(stale.code, "PreconditionFailed");
    let fresh =
        world.request(&world.owner, "PUT", &plant.hub, HUB, Some(hub), Some(&format!("\"{etag}\""))).await.unwrap();
    assert_eq!(fresh.status, 200);
    for body in [None, Some(json!([])), Some(json!("x"))] {
        assert_eq!(world.refused(&world.owner, "PUT", &plant.hub, HUB, body).await.code, "InvalidRequestContent");
    }
    let patched = world
        .send(&world.owner, "PATCH", &plant.hub, HUB, Some(json!({"tags": {"a": "b"}})))
        .await
        .unwrap()
        .body
        .unwrap();
    assert_eq!(patched["tags"], json!({"a": "b"}));
    assert_eq!(patched["properties"]["deviceRegistry"]["namespaceResourceId"], plant.namespace);
    for (path, version, code) in [
        (plant.hub.clone(), "", "MissingApiVersionParameter"),
        (plant.hub.clone(), "yesterday", "InvalidApiVersionParameter"),
        (plant.hub.clone(), "2011-01-01", "NoRegisteredProviderFound"),
        (format!("{}/credentials/default", plant.namespace), "2026-02-01", "NoRegisteredProviderFound"),
    ] {
        assert_eq!(world.refused(&world.owner, "GET", &path, version, None).await.code, code, "{version}");
    }
}

#[tokio::test]
async fn a_deleted_hub_can_be_unlinked() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let keys = format!("{}/IotHubKeys/iothubowner/listkeys", plant.hub);
    let key = world.send(&world.owner, "POST", &keys, HUB, None).await.unwrap().body.unwrap();
    let host = "hub1.azure-devices.localhost";
    let connection = format!(
        "HostName={host};SharedAccessKeyName=iothubowner;SharedAccessKey={}",
        key["primaryKey"].as_str().unwrap()
    );
    let mut dps = world.get(&plant.dps, DPS).await;
    dps["properties"]["iotHubs"] = json!([{"connectionString": connection}]);
    let linked = world.put(&plant.dps, DPS, dps).await;
    world.send(&world.owner, "DELETE", &plant.hub, HUB, None).await.unwrap();
    let mut kept = world.put(&plant.dps, DPS, linked).await;
    assert_eq!(kept["properties"]["iotHubs"][0]["name"], host);
    kept["properties"]["iotHubs"] = json!([]);
    assert_eq!(world.put(&plant.dps, DPS, kept).await["properties"]["iotHubs"], json!([]));
}

#[tokio::test]
async fn what_is_not_built_is_not_promised() {
    let world = World::new().await;
    let plant = plant(&world).await;
    for properties in [
        json!({"routing": {"routes": [{"name": "r", "source": "DeviceMessages", "endpointNames": ["events"], "isEnabled": true}]}}),
        json!({"networkRuleSets": {"defaultAction": "Deny", "ipRules": []}}),
        json!({"enableFileUploadNotifications": true}),
    ] {
        let error =
            world.refused(&world.owner, "PATCH", &plant.hub, HUB, Some(json!({"properties": properties}))).await;
        assert_eq!(error.code, "NotImplemented", "{error}");
    }
}

#[tokio::test]
async fn a_link_that_a_shape_cannot_write_is_refused_not_stored() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let endpoint =
        |kind: &str, id: &str| json!({"endpoints": {"e1": {"endpointType": kind, "resourceId": id, "address": "a"}}});
    let nowhere = format!("{}/providers/Microsoft.Devices/IotHubs/nowhere", plant.group);
    let newest = "2026-11-02-preview";
    for (room, kind, id, version, code) in [
        ("messaging", "Microsoft.Devices/IotHubs", nowhere.as_str(), ADR, "NotImplemented"),
        ("messaging", "Microsoft.Devices/IotHubs", &nowhere, newest, "InvalidPropertyValue"),
        ("provisioning", "Microsoft.Devices/provisioningServices", &plant.dps, ADR, "InvalidRequestContent"),
        ("updating", "Microsoft.DeviceUpdate/updateInstances", "/x", ADR, "InvalidRequestContent"),
        ("updating", "Microsoft.DeviceUpdate/updateInstances", "/x", newest, "NotImplemented"),
    ] {
        let mut body = json!({"location": "westeurope", "properties": {room: endpoint(kind, id)}});
        if room != "messaging" {
            body["properties"][room]["endpoints"]["e1"].as_object_mut().unwrap().shift_remove("address");
        }
        let error = world.refused(&world.owner, "PUT", &plant.namespace, version, Some(body)).await;
        assert_eq!(error.code, code, "{room} {version}: {error}");
    }
    let broker = json!({"messaging": endpoint("Microsoft.EventGrid/namespaces", "/x")});
    let kept = world.put(&plant.namespace, ADR, json!({"location": "westeurope", "properties": broker})).await;
    assert_eq!(kept["properties"]["messaging"]["endpoints"]["e1"]["address"], "a");
}

#[tokio::test]
async fn what_is_planned_says_so() {
    let world = World::new().await;
    let metrics = format!("/subscriptions/{}/providers/Microsoft.Insights/metrics", world.subscription);
    for (method, path) in [("POST", "/providers/Microsoft.ResourceGraph/resourcesHistory"), ("GET", metrics.as_str())] {
        let error = world.refused(&world.owner, method, path, "2021-03-01", Some(json!({}))).await;
        assert_eq!(error.code, "NotImplemented", "{path}");
        assert!(error.message.contains("Ferrohub does not have"), "{error}");
    }
}

#[tokio::test]
async fn the_key_that_a_policy_leaves_out_is_made_anew() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let keys = format!("{}/IotHubKeys/service/listkeys", plant.hub);
    let read = async || world.send(&world.owner, "POST", &keys, HUB, None).await.unwrap().body.unwrap();
    let before = read().await;
    let rule = |primary: serde_json::Value| json!({"properties": {"authorizationPolicies": [{"keyName": "service", "rights": "ServiceConnect", "primaryKey": primary, "secondaryKey": before["secondaryKey"]}]}});
    world.send(&world.owner, "PATCH", &plant.hub, HUB, Some(rule(json!(null)))).await.unwrap();
    let renewed = read().await;
    assert_ne!(renewed["primaryKey"], before["primaryKey"]);
    assert_eq!(renewed["secondaryKey"], before["secondaryKey"]);
    world.send(&world.owner, "PATCH", &plant.hub, HUB, Some(json!({"tags": {"a": "b"}}))).await.unwrap();
    assert_eq!(read().await, renewed);
    world.send(&world.owner, "PATCH", &plant.hub, HUB, Some(rule(before["primaryKey"].clone()))).await.unwrap();
    assert_eq!(read().await, before);
}
