//! Hubs that a namespace offers to its provisioning services: endpoints with `provisioning` (2026-11-02-preview).

use super::world::{CONTRIBUTOR, World, csr};
use crate::owner::{HUB_API, REGISTRY_API};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_service::arm::{operation, operations};
use ferrohub_service::authz::builtin;
use ferrohub_service::hub::DeviceLogin;
use serde_json::{Value, json};

const NEWEST: &str = "2026-11-02-preview";

/// What the namespace says of its hubs.
async fn endpoints(world: &World, entries: Value) -> Value {
    let body = json!({"properties": {"messaging": {"endpoints": entries}}});
    let answer = world.owner.ask("PATCH", &world.namespace, NEWEST, Some(body)).await.unwrap();
    answer.body.unwrap()["properties"]["messaging"]["endpoints"].clone()
}

/// A world in which the provisioning service lists no hub, and the namespace has the unlinked hub `hub2` as an endpoint.
async fn offering() -> World {
    let world = World::new().await;
    world.link(&[]).await;
    world.write_hub("hub2", false).await;
    let hub = world.hub_id("hub2");
    let namespace = world.owner.get(&world.namespace, REGISTRY_API).await;
    let principal = namespace["identity"]["principalId"].as_str().unwrap().to_owned();
    for hub in [&hub, &world.hub_id("hub1")] {
        world.grant(&principal, hub, CONTRIBUTOR).await;
    }
    let shown = world.owner.get(&hub, HUB_API).await;
    world.grant(shown["identity"]["principalId"].as_str().unwrap(), &world.namespace, CONTRIBUTOR).await;
    let entry = json!({"endpointType": "Microsoft.Devices/IotHubs", "resourceId": hub.to_string(), "inboundCallerIdentity": {"type": "SystemAssigned"}});
    let shown = endpoints(&world, json!({ "second": entry })).await;
    assert_eq!(shown["second"]["linkingState"], "Succeeded", "{shown}");
    world
}

/// What a worker does with the operations that nobody drives.
async fn carry_out(world: &World) {
    let waiting = operation::abandoned(world.platform(), &mut String::new(), 10).await.unwrap();
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    for id in waiting {
        assert!(matches!(
            operations::drive(world.platform(), &id).await.unwrap(),
            operations::OperationOutcome::Succeeded
        ));
    }
}

/// The role with which the namespace gives devices to the hub.
async fn let_assign(world: &World) {
    let namespace = world.owner.get(&world.namespace, REGISTRY_API).await;
    let principal = namespace["identity"]["principalId"].as_str().unwrap();
    let data = "4fc6c259-987e-4a07-842e-c321cc9d413f";
    assert!(builtin::definitions().iter().any(|role| role.guid == data));
    world.grant(principal, &world.hub_id("hub2"), data).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_goes_to_a_hub_that_the_namespace_offers() {
    let world = offering().await;
    let key = world.group("g1", json!({})).await;
    let refused = world.register(&key, "dev-1", None).await;
    let state = &refused["registrationState"];
    assert_eq!(state["errorCode"], 400_209, "{refused}");
    assert!(state["errorMessage"].as_str().unwrap().contains("IotHubs/devices/write"), "{state}");
    let_assign(&world).await;
    let done = world.register(&key, "dev-1", None).await;
    assert_eq!(done["registrationState"]["assignedHub"], "hub2.azure-devices.localhost", "{done}");
    // The device is one of the namespace, and its capability is named like the endpoint.
    let id = format!("{}/registryDevices/dev-1/capabilities", world.namespace);
    let capabilities = world.owner.look(&id, NEWEST).await.unwrap().body.unwrap();
    assert_eq!(capabilities["value"][0]["name"], "second");
    // While it has devices there, the link stays.
    let gone = json!({"properties": {"messaging": {"endpoints": {"second": null}}}});
    let error = world.owner.ask("PATCH", &world.namespace, NEWEST, Some(gone.clone())).await.unwrap_err();
    assert_eq!((error.http_status(), error.code), (409, "EndpointInUse"));
    assert!(error.message.contains("'dev-1'"), "{error}");

    endpoints(&world, json!({"second": {"provisioning": {"availability": "Disabled"}}})).await;
    let refused = world.register(&key, "dev-2", None).await;
    assert_eq!(refused["registrationState"]["errorCode"], 400_208, "{refused}");
    // Hubs that are linked from their own side are offered once that is said.
    let namespace = world.owner.get(&world.namespace, REGISTRY_API).await;
    let principal = namespace["identity"]["principalId"].as_str().unwrap().to_owned();
    world.grant(&principal, &world.hub_id("hub1"), "4fc6c259-987e-4a07-842e-c321cc9d413f").await;
    endpoints(&world, json!({"hub1": {"provisioning": {"availability": "Available", "allocationWeight": 2}}})).await;
    let done = world.register(&key, "dev-2", None).await;
    assert_eq!(done["registrationState"]["assignedHub"], "hub1.azure-devices.localhost", "{done}");
    // Enrollments may name what is offered.
    endpoints(&world, json!({"second": {"provisioning": {"availability": "Available"}}})).await;
    let hubs = json!({"allocationPolicy": "static", "iotHubs": ["hub2.azure-devices.localhost"]});
    let key = world.group("g2", hubs).await;
    let done = world.register(&key, "dev-3", None).await;
    assert_eq!(done["registrationState"]["assignedHub"], "hub2.azure-devices.localhost", "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn authorities_come_to_linked_hubs_without_being_asked_for() {
    let world = offering().await;
    let_assign(&world).await;
    carry_out(&world).await;
    let authority = world.namespace.child("certificateAuthorities", "ica1");
    let root = world.namespace.child("certificateAuthorities", "default-root");
    let issuer = json!({"issuerType": "Microsoft", "certificateAuthorityResourceId": root.to_string()});
    let body = json!({"location": "eastus", "properties": {"certificateAuthorityType": "ICA", "keyType": "ECC", "issuer": issuer}});
    world.owner.put(&authority, NEWEST, body).await;
    let policy = authority.child("certificatePolicies", "leaf30");
    world.owner.put(&policy, NEWEST, json!({"properties": {"certificate": {"validityPeriodInDays": 30}}})).await;
    carry_out(&world).await;
    for policy in ["default", "ica1"] {
        let key = world.group(policy, json!({"credentialPolicyName": policy})).await;
        let device = format!("of-{policy}");
        let done = world.register(&key, &device, Some(csr(world.folder.path(), &device, &[]))).await;
        let chain = done["registrationState"]["issuedCertificateChain"].as_array().unwrap_or_else(|| panic!("{done}"));
        let chain = chain.iter().map(|text| STANDARD.decode(text.as_str().unwrap()).unwrap()).collect();
        let login = DeviceLogin {
            host: "hub2.azure-devices.localhost".into(),
            device_id: device,
            module_id: None,
            model_id: None,
            token: None,
            peer_chain: chain,
            peer: Default::default(),
        };
        world.hubs().connect(login).await.unwrap();
    }
    // With the link the CAs go that were brought for it.
    let certificates = format!("{}/certificates", world.hub_id("hub2"));
    let there = world.owner.look(&certificates, HUB_API).await.unwrap().body.unwrap();
    assert_eq!(there["value"].as_array().unwrap().len(), 2);
}
