//! The rights that a registration needs: each one taken away gives a refusal that names it, and granting what the
//! refusal says lets the next try pass without a restart.

use super::world::{World, csr};
use ferrohub_model::error::ErrorKind;
use ferrohub_service::hub::identity;
use ferrohub_service::registry;
use ferrohub_service::tables::{DEVICES, REGISTRATIONS, SERIAL_BLOCKS, TWINS};
use serde_json::{Value, json};

const WRITE: &str = "Microsoft.DeviceRegistry/namespaces/devices/write";
const READ: &str = "Microsoft.DeviceRegistry/namespaces/credentials/policies/read";
const ISSUE: &str = "Microsoft.DeviceRegistry/namespaces/credentials/policies/issueCertificate/action";

/// IoT Hub Registry Contributor.
const REGISTRY_CONTRIBUTOR: &str = "4ea46cd5-c1b2-4a8e-910b-273211f9ce47";

/// The refusal prints one grant, at the namespace; with it the registration passes.
#[tokio::test(flavor = "multi_thread")]
async fn the_one_grant_that_a_refusal_prints_is_enough() {
    let world = World::new().await;
    let key = world.group("g1", json!({"credentialPolicyName": "default"})).await;
    let request = || Some(csr(world.folder.path(), "d1", &[]));
    world.revoke_all().await;
    let refused = world.register(&key, "d1", request()).await;
    let message = refused["registrationState"]["errorMessage"].as_str().unwrap();
    let wanted = format!("--role \"Azure Device Registry Contributor\" --scope \"{}\"", world.namespace);
    assert_eq!(message.matches("az role assignment create").count(), 1, "{message}");
    assert!(message.ends_with(&wanted), "{message}");
    world.grant(&world.dps_principal, &world.namespace, "a5c3590a-3a1a-4cd4-9648-ea0a32b15137").await;
    assert_eq!(world.register(&key, "d1", request()).await["status"], "assigned");
}

fn assert_refused(done: &Value, world: &World, action: &str) {
    let state = &done["registrationState"];
    assert_eq!((&done["status"], &state["errorCode"]), (&json!("failed"), &json!(403_000)), "{done}");
    let message = state["errorMessage"].as_str().unwrap();
    assert!(message.contains(action) && message.contains(&world.dps_principal), "{message}");
    assert!(message.contains("az role assignment create --assignee-object-id"), "{message}");
    assert!(message.to_lowercase().contains(&world.namespace.key()), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_missing_right_is_named_and_a_grant_works_at_once() {
    let world = World::new().await;
    let key = world.group("g1", json!({"credentialPolicyName": "default"})).await;
    let request = || Some(csr(world.folder.path(), "d1", &[]));
    world.revoke_all().await;
    assert_refused(&world.register(&key, "d1", None).await, &world, WRITE);
    assert_refused(&world.register(&key, "d1", request()).await, &world, READ);
    for table in [&DEVICES, &TWINS] {
        assert!(world.rows(table).await.is_empty());
    }
    assert!(world.registry().await.is_empty());

    let writer = world.role(&[WRITE], &[]).await;
    world.grant(&world.dps_principal, &world.namespace, &writer).await;
    assert_refused(&world.register(&key, "d1", request()).await, &world, READ);
    assert_eq!((world.certificates("issued").await, world.rows(&SERIAL_BLOCKS).await.len()), (0, 0));
    assert_eq!(world.register(&key, "d1", None).await["status"], "assigned");

    let reader = world.role(&[READ], &[]).await;
    world.grant(&world.dps_principal, &world.namespace, &reader).await;
    assert_eq!(world.register(&key, "d1", request()).await["status"], "assigned");

    // The data action does as well as the control action.
    world.revoke_all().await;
    let issuer = world.role(&[WRITE], &[ISSUE]).await;
    world.grant(&world.dps_principal, &world.namespace, &issuer).await;
    assert_eq!(world.register(&key, "d1", request()).await["status"], "assigned");

    // A device that registered before is refused like a new one, and keeps its assignment.
    world.revoke_all().await;
    let refused = world.register(&key, "d1", None).await;
    assert_refused(&refused, &world, WRITE);
    let seen = world.service().registration(&world.caller().await, &world.dps().await, "d1").await.unwrap();
    assert_eq!((&seen["status"], &seen["assignedHub"]), (&json!("failed"), &json!(world.hub_host)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_is_linked_by_identity_is_opened_by_its_role() {
    const HUB_DATA_CONTRIBUTOR: &str = "4fc6c259-987e-4a07-842e-c321cc9d413f";
    const NEWEST: &str = "2026-11-01";
    let world = World::new().await;
    let key = world.group("g1", json!({})).await;
    let mut dps = world.owner.get(&world.dps, NEWEST).await;
    dps["properties"]["iotHubs"] = json!([{"hostName": world.hub_host, "authenticationType": "SystemAssigned"}]);
    world.owner.put(&world.dps, NEWEST, dps).await;
    let refused = |done: &Value, action: &str| {
        let state = &done["registrationState"];
        assert_eq!((&done["status"], &state["errorCode"]), (&json!("failed"), &json!(400_209)), "{done}");
        let message = state["errorMessage"].as_str().unwrap();
        assert!(message.contains(action) && message.contains(&world.dps_principal), "{message}");
        assert!(message.contains("az role assignment create --assignee-object-id"), "{message}");
    };
    refused(&world.register(&key, "d1", None).await, "Microsoft.Devices/IotHubs/devices/write");
    let half = world.role(&[], &["Microsoft.Devices/IotHubs/devices/*"]).await;
    world.grant(&world.dps_principal, &world.hub_id("hub1"), &half).await;
    refused(&world.register(&key, "d1", None).await, "Microsoft.Devices/IotHubs/twins/write");
    let granted = world.grant(&world.dps_principal, &world.hub_id("hub1"), HUB_DATA_CONTRIBUTOR).await;
    let done = world.register(&key, "d1", None).await;
    assert_eq!(
        (&done["status"], &done["registrationState"]["assignedHub"]),
        (&json!("assigned"), &json!(world.hub_host))
    );
    // A key of the hub that is made anew changes nothing; the role that goes does, at once.
    world.rotate_hub_key("hub1").await;
    assert_eq!(world.register(&key, "d2", None).await["status"], "assigned");
    world.owner.delete(&granted, crate::owner::ROLE_API).await;
    refused(&world.register(&key, "d3", None).await, "Microsoft.Devices/IotHubs/twins/write");
    // Whoever links it so must be able to read the hub.
    world.link(&["hub1"]).await;
    assert_eq!(world.register(&key, "d3", None).await["status"], "assigned");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_linked_hub_whose_key_was_rotated_must_be_linked_again() {
    let world = World::new().await;
    let key = world.group("g1", json!({})).await;
    world.rotate_hub_key("hub1").await;
    let done = world.register(&key, "d1", None).await;
    assert_eq!((&done["status"], &done["registrationState"]["errorCode"]), (&json!("failed"), &json!(400_209)));
    assert!(done["registrationState"]["errorMessage"].as_str().unwrap().contains("az iot dps linked-hub delete"));
    world.link(&["hub1"]).await;
    assert_eq!(world.register(&key, "d1", None).await["status"], "assigned");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_hubs_says_so() {
    let world = World::new().await;
    let key = world.group("g1", json!({})).await;
    world.link(&[]).await;
    let done = world.register(&key, "d1", None).await;
    assert_eq!(done["registrationState"]["errorCode"], 400_208);
    assert_eq!(world.rows(&REGISTRATIONS).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn disabling_the_registry_device_disables_the_hub_identity() {
    let world = World::new().await;
    let key = world.group("g1", json!({})).await;
    world.register(&key, "d1", None).await;
    let hub = world.stored(&world.hub_id("hub1")).await.uid;
    let device = identity::load(world.platform().store.as_ref(), hub, "d1").await.unwrap().unwrap().device.uid;
    let mut bus = world.platform().bus.subscribe(&ferrohub_service::platform::device_subject(hub, "d1")).await.unwrap();
    let mut change = ferrohub_service::platform::Change::new();
    let (dps, id) =
        (world.platform().identity_actor(&world.dps_principal).await.unwrap(), world.namespace.child("devices", "d1"));
    let policy = world.caller().await;
    let off = registry::Followed { right: registry::DEVICES_WRITE, enabled: Some(false), policy: None };
    let refused = registry::apply_to_hub(world.platform(), &policy, device, &id, off, &mut change).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Forbidden, "a policy has no say in the registry");
    // What is changed in the registry reaches the hub as the namespace, which needs its role there.
    let apply = async |change: &mut _| registry::apply_to_hub(world.platform(), &dps, device, &id, off, change).await;
    let refused = apply(&mut change).await.unwrap_err();
    let hub_id = world.hub_id("hub1").to_string();
    assert_eq!((refused.kind, refused.code), (ErrorKind::Forbidden, "AuthorizationFailed"));
    assert!(refused.message.contains("Microsoft.Devices/IotHubs/devices/write"), "{refused}");
    assert!(
        refused.message.ends_with(&format!("--role \"IoT Hub Registry Contributor\" --scope \"{hub_id}\"")),
        "{refused}"
    );
    let principal = refused.denial.as_ref().unwrap().principal_id.clone();
    let namespace = world.stored(&world.namespace).await;
    assert_eq!(namespace.resource.identity.as_ref().unwrap().system_principal_id.as_ref(), Some(&principal));
    world.grant(&principal, &world.hub_id("hub1"), REGISTRY_CONTRIBUTOR).await;
    apply(&mut change).await.unwrap();
    world.platform().commit(change).await.unwrap();
    assert!(bus.try_next().is_some());
    let identity = identity::load(world.platform().store.as_ref(), hub, "d1").await.unwrap().unwrap().device;
    assert_eq!(identity.status.as_str(), "disabled");
    // Registering again does not enable it, and the mirror says what the identity is.
    world.register(&key, "d1", None).await;
    assert_eq!(world.registry().await["d1"]["properties"]["enabled"], false);
}
