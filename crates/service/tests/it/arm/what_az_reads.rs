//! What Azure's own `az` reads in answers of Resource Manager, and cannot do without.

use super::fixture::{ADR, DPS, HUB, World, plant};
use ferrohub_service::arm::metadata;
use ferrohub_service::authz::builtin;
use serde_json::json;

#[tokio::test]
async fn a_resource_without_identity_says_so() {
    let world = World::new().await;
    let plant = plant(&world).await;
    for (kind, name, version) in [
        ("Microsoft.Devices/IotHubs", "hub2", HUB),
        ("Microsoft.Devices/IotHubs", "hub3", "2023-06-30"),
        ("Microsoft.Devices/provisioningServices", "dps2", DPS),
        ("Microsoft.DeviceRegistry/namespaces", "other", ADR),
    ] {
        let id = format!("{}/providers/{kind}/{name}", plant.group);
        let mut body = json!({"location": "westeurope"});
        if kind.starts_with("Microsoft.Devices/") {
            body["sku"] = json!({"name": "S1"});
        }
        let made = world.put(&id, version, body).await;
        assert_eq!(made["identity"], json!({"type": "None"}), "{id}");
        // What was read can be put back, and an identity given and taken away.
        world.put(&id, version, made.clone()).await;
        let mut given = made;
        given["identity"] = json!({"type": "SystemAssigned"});
        assert_eq!(world.put(&id, version, given.clone()).await["identity"]["type"], "SystemAssigned");
        given["identity"] = json!({"type": "None"});
        assert_eq!(world.put(&id, version, given).await["identity"], json!({"type": "None"}), "{id}");
    }
    // An api-version that knows no identity shows none.
    let id = format!("{}/providers/Microsoft.Devices/provisioningServices/dps2", plant.group);
    assert!(world.get(&id, "2021-10-15").await.get("identity").is_none());
}

#[tokio::test]
async fn a_hub_lies_in_its_region_and_the_paired_one() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let locations = &world.get(&plant.hub, HUB).await["properties"]["locations"];
    let two =
        json!([{"location": "West Europe", "role": "primary"}, {"location": "North Europe", "role": "secondary"}]);
    assert_eq!(*locations, two);
    let alone = format!("{}/providers/Microsoft.Devices/IotHubs/alone", plant.group);
    let made = world.put(&alone, HUB, json!({"location": "qatarcentral", "sku": {"name": "S1"}})).await;
    assert_eq!(made["properties"]["locations"], json!([{"location": "Qatar Central", "role": "primary"}]));
}

#[tokio::test]
async fn the_first_metadata_document_has_its_own_shape() {
    let world = World::new().await;
    let settings = &world.platform().settings;
    let first = metadata::endpoints("https://h", Some("2015-01-01"), settings);
    for pointer in ["/galleryEndpoint", "/graphEndpoint", "/portalEndpoint", "/authentication/loginEndpoint"] {
        assert!(first.pointer(pointer).unwrap().as_str().unwrap().starts_with("https://h"), "{pointer}");
    }
    assert_eq!(first["authentication"]["audiences"][0], "https://h/");
    for other in [None, Some("2022-09-01")] {
        assert_eq!(metadata::endpoints("https://h", other, settings)["resourceManager"], "https://h");
    }
}

#[tokio::test]
async fn any_provider_of_azures_can_be_registered() {
    let world = World::new().await;
    let path = |provider: &str| format!("/subscriptions/{}/providers/{provider}", world.subscription);
    for provider in ["Microsoft.Devices", "microsoft.devices", "Microsoft.Storage", "Microsoft.Insights"] {
        let register = format!("{}/register", path(provider));
        for (method, path) in [("POST", register.as_str()), ("GET", &path(provider))] {
            let answer = world.send(&world.owner, method, path, "2021-04-01", None).await.unwrap().body.unwrap();
            assert_eq!(answer["registrationState"], "Registered", "{method} {path}");
            assert!(answer["namespace"].as_str().unwrap().eq_ignore_ascii_case(provider));
        }
    }
    // One that we do not know may still be Azure's when somebody registers it; nobody is told that it is there.
    let register = format!("{}/register", path("Microsoft.A.B"));
    let answer = world.send(&world.owner, "POST", &register, "2021-04-01", None).await.unwrap().body.unwrap();
    assert_eq!((&answer["registrationState"], &answer["namespace"]), (&json!("Registered"), &json!("Microsoft.A.B")));
    let missing = world.refused(&world.owner, "GET", &path("Microsoft.A.B"), "2021-04-01", None).await;
    assert_eq!(missing.code, "InvalidResourceNamespace");
    for provider in ["No.Such", "Microsoft.", "Microsoft", "Microsoft.x y", "Microsoft..x"] {
        let error =
            world.refused(&world.owner, "POST", &format!("{}/register", path(provider)), "2021-04-01", None).await;
        assert_eq!(error.code, "InvalidResourceNamespace", "{provider}");
    }
}

#[tokio::test]
async fn who_names_the_type_of_a_principal_is_not_asked_whether_it_is_there() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let stranger = world.stranger().await;
    let assign = async |number: u8, principal: &str, kind: Option<&str>| {
        let role = format!("/providers/Microsoft.Authorization/roleDefinitions/{}", builtin::READER);
        let path = format!(
            "{}/providers/Microsoft.Authorization/roleAssignments/00000000-0000-0000-0000-0000000000{number:02}",
            plant.group
        );
        let mut properties = json!({"roleDefinitionId": role, "principalId": principal});
        if let Some(kind) = kind {
            properties["principalType"] = kind.into();
        }
        world.send(&world.owner, "PUT", &path, "2022-04-01", Some(json!({"properties": properties}))).await
    };
    let nobody = |last: u8| format!("99999999-9999-9999-9999-9999999999{last:02}");
    for (number, kind) in [(1, "ServicePrincipal"), (2, "user"), (3, "Group"), (4, "ForeignGroup"), (5, "Device")] {
        let made = assign(number, &nobody(number), Some(kind)).await.unwrap().body.unwrap();
        assert!(made["properties"]["principalType"].as_str().unwrap().eq_ignore_ascii_case(kind));
    }
    assert_eq!(assign(6, &nobody(6), None).await.unwrap_err().code, "PrincipalNotFound");
    assert_eq!(assign(6, &nobody(6), Some("Robot")).await.unwrap_err().http_status(), 400);
    assert_eq!(assign(6, stranger.id(), Some("User")).await.unwrap_err().code, "UnmatchedPrincipalType");
    assert_eq!(assign(6, stranger.id(), Some("ServicePrincipal")).await.unwrap().status, 201);
}

#[tokio::test]
async fn a_scope_may_come_with_its_slashes_encoded() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let encoded = plant.hub.trim_start_matches('/').replace('/', "%2F");
    for scope in [encoded.clone(), format!("%2F{encoded}")] {
        let path = format!("/{scope}/providers/Microsoft.Authorization/roleAssignments");
        let plain = format!("{}/providers/Microsoft.Authorization/roleAssignments", plant.hub);
        let listed = world.get(&path, "2022-04-01").await;
        assert_eq!(listed["value"], world.get(&plain, "2022-04-01").await["value"]);
        assert!(!listed["value"].as_array().unwrap().is_empty());
    }
}
