//! What is read below hubs and provisioning services: consumer groups, quotas, health, and the lists of what there is none of.

use super::fixture::{HUB, World, plant};
use ferrohub_model::error::{Error, ErrorKind};
use ferrohub_service::arm::request::ArmResponse;
use serde_json::{Value, json};

const DPS: &str = "2026-11-01";

async fn send(world: &World, method: &str, path: &str, body: Option<Value>) -> Result<ArmResponse, Error> {
    let version = if path.to_ascii_lowercase().contains("provisioningservices") { DPS } else { HUB };
    world.request(&world.owner, method, path, version, body, None).await
}

async fn read(world: &World, path: &str) -> Value {
    send(world, "GET", path, None).await.unwrap().body.unwrap()
}

async fn names(world: &World, groups: &str) -> Vec<String> {
    let listed = read(world, groups).await;
    listed["value"].as_array().unwrap().iter().map(|group| group["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn consumer_groups_are_remembered() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let groups = format!("{}/eventHubEndpoints/events/ConsumerGroups", plant.hub);
    assert_eq!(names(&world, &groups).await, ["$Default"]);
    let one = format!("{groups}/cg-1");
    // azure-mgmt-iothub sends the name in the body, older clients send nothing.
    for (path, body) in [(&one, Some(json!({"properties": {"name": "cg-1"}}))), (&format!("{groups}/b"), None)] {
        let made = send(&world, "PUT", path, body).await.unwrap();
        assert_eq!(made.status, 200);
        assert_eq!(made.body.unwrap(), read(&world, path).await);
    }
    let again = send(&world, "PUT", &one.replace("cg-1", "CG-1"), None).await.unwrap().body.unwrap();
    assert_eq!(again, read(&world, &one).await, "made once, whatever the case");
    assert_eq!(names(&world, &groups).await, ["$Default", "cg-1", "b"]);
    assert!(read(&world, &one).await["id"].as_str().unwrap().ends_with("/ConsumerGroups/cg-1"));

    let hub = read(&world, &plant.hub).await;
    assert_eq!(hub["properties"].get("consumerGroups"), None);
    send(&world, "PUT", &plant.hub, Some(hub)).await.unwrap();
    assert_eq!(names(&world, &groups).await, ["$Default", "cg-1", "b"], "a hub that is put back keeps them");

    assert_eq!(send(&world, "DELETE", &one, None).await.unwrap().status, 200);
    assert_eq!(names(&world, &groups).await, ["$Default", "b"]);
    for (method, path, kind) in [
        ("GET", one.clone(), ErrorKind::NotFound),
        ("DELETE", one.clone(), ErrorKind::NotFound),
        ("GET", groups.replace("/events/", "/other/"), ErrorKind::NotFound),
        ("DELETE", format!("{groups}/$Default"), ErrorKind::Conflict),
        ("PUT", format!("{groups}/a b"), ErrorKind::Invalid),
        ("PUT", format!("{groups}/{}", "x".repeat(51)), ErrorKind::Invalid),
    ] {
        assert_eq!(send(&world, method, &path, None).await.unwrap_err().kind, kind, "{method} {path}");
    }
    let other = send(&world, "PUT", &one, Some(json!({"properties": {"name": "other"}}))).await.unwrap_err();
    assert_eq!(other.target.as_deref(), Some("properties.name"));
    for number in 0..18 {
        send(&world, "PUT", &format!("{groups}/g{number}"), None).await.unwrap();
    }
    let full = send(&world, "PUT", &format!("{groups}/last"), None).await.unwrap_err();
    assert_eq!((full.kind, full.code), (ErrorKind::Conflict, "QuotaExceeded"));
}

#[tokio::test]
async fn quotas_and_health_are_told() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let metrics = read(&world, &format!("{}/quotaMetrics", plant.hub)).await;
    let of =
        |name: &str| metrics["value"].as_array().unwrap().iter().find(|metric| metric["name"] == name).unwrap().clone();
    assert_eq!(of("TotalMessages")["currentValue"], 0);
    assert!(of("TotalMessages")["maxValue"].as_u64().unwrap() >= 8_000);
    assert_eq!(of("TotalDeviceCount")["currentValue"], 0);
    let health = read(&world, &format!("{}/routingEndpointsHealth", plant.hub)).await;
    assert_eq!(health, json!({"value": [{"endpointId": "events", "healthStatus": "healthy"}]}));
}

#[tokio::test]
async fn usages_count_hubs_and_services() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let subscription: String = plant.hub.split('/').take(3).collect::<Vec<_>>().join("/");
    let usages = read(&world, &format!("{subscription}/providers/Microsoft.Devices/usages")).await;
    let of = |name: &str| {
        usages["value"].as_array().unwrap().iter().find(|one| one["name"]["value"] == name).unwrap().clone()
    };
    assert_eq!((&of("IotHubs")["currentValue"], &of("IotHubs")["unit"]), (&json!(1), &json!("Count")));
    assert_eq!(of("ProvisioningServices")["currentValue"], 1);
}

#[tokio::test]
async fn what_there_is_none_of_is_an_empty_list() {
    let world = World::new().await;
    let plant = plant(&world).await;
    for owner in [&plant.hub, &plant.dps] {
        // The SDKs read the one as a bare list and the other as a page.
        assert_eq!(read(&world, &format!("{owner}/privateEndpointConnections")).await, json!([]));
        assert_eq!(read(&world, &format!("{owner}/privateLinkResources")).await, json!({"value": []}));
        for (method, tail) in [
            ("GET", "privateEndpointConnections/x"),
            ("DELETE", "privateEndpointConnections/x"),
            ("GET", "privateLinkResources/iotHub"),
        ] {
            let error = send(&world, method, &format!("{owner}/{tail}"), Some(json!({}))).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::NotFound, "{method} {tail}");
            assert!(error.message.contains("has none at all"), "{}", error.message);
        }
    }
    for owner in [&plant.hub, &plant.dps] {
        let path = format!("{owner}/privateEndpointConnections/x");
        assert_eq!(send(&world, "PUT", &path, Some(json!({}))).await.unwrap_err().kind, ErrorKind::NotImplemented);
    }
    let perimeters = format!("{}/networkSecurityPerimeterConfigurations", plant.hub);
    assert_eq!(read(&world, &perimeters).await, json!({"value": []}));
    assert_eq!(send(&world, "GET", &format!("{perimeters}/x"), None).await.unwrap_err().kind, ErrorKind::NotFound);
}
