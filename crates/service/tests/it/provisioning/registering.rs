//! Registration with and without a certificate request.

use super::world::{World, csr, openssl, verify_chain};
use crate::owner::REGISTRY_API;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::device::DeviceStatus;
use ferrohub_model::limits;
use ferrohub_model::twin::Twin;
use ferrohub_service::hub::HubRef;
use ferrohub_service::hub::identity::{self, Credentials, DeviceRef, DeviceSpec};
use ferrohub_service::hub::twins;
use ferrohub_service::platform::Change;
use ferrohub_service::provisioning::{DeviceCaller, purge};
use ferrohub_service::resources::{self, tag};
use ferrohub_service::tables::{DEVICES, ENROLLMENT_GROUPS, REGISTRATIONS, SERIAL_BLOCKS, TWINS};
use ferrohub_service::{certificate, registry};
use ferrohub_wire::sas_token::derive_device_key;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_device_without_a_request_gets_its_derived_keys() {
    let world = World::new().await;
    let key =
        world.group("g1", json!({"initialTwin": {"tags": {"line": 7}, "properties": {"desired": {"rate": 5}}}})).await;
    let done = world.register(&key, "sensor-1", None).await;
    let state = &done["registrationState"];
    assert_eq!((&done["status"], &state["substatus"]), (&json!("assigned"), &json!("initialAssignment")));
    assert_eq!((&state["assignedHub"], &state["deviceId"]), (&json!(world.hub_host), &json!("sensor-1")));
    assert_eq!(state["symmetricKey"], json!({"enrollmentGroupId": "g1"}));
    assert!(state.get("issuedCertificateChain").is_none());

    let store = world.platform().store.as_ref();
    let hub = world.stored(&world.hub_id("hub1")).await.uid;
    let device = identity::load(store, hub, "sensor-1").await.unwrap().unwrap().device;
    let keys = identity::open_keys(world.platform(), &device).await.unwrap().unwrap();
    assert_eq!(*keys.0, STANDARD.encode(derive_device_key(&key, "sensor-1")));
    assert_ne!(*keys.0, *keys.1);
    let twin = twins::load(store, device.uid).await.unwrap().unwrap().twin;
    assert_eq!((&twin.tags["line"], &twin.desired.properties["rate"]), (&json!(7), &json!(5)));

    let registry = world.registry().await;
    let mirrored = &registry["sensor-1"];
    assert_eq!(mirrored["uid"], device.uid.to_string());
    assert_eq!((&mirrored["name"], &mirrored["location"]), (&json!("sensor-1"), &json!("eastus")));
    assert_eq!(
        mirrored["properties"]["endpoints"]["outbound"]["assigned"]["hub1"],
        json!({"endpointType": "Microsoft.Devices/IotHubs", "address": world.hub_host})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_brings_a_chain_that_openssl_verifies() {
    let world = World::new().await;
    let folder = world.folder.path();
    let key = world.group("g1", json!({"credentialPolicyName": "default"})).await;
    // What a request asks for beyond its key does not count.
    let greedy =
        csr(folder, "Pump:7", &["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign"]);
    let done = world.register(&key, "Pump:7", Some(greedy)).await;
    assert_eq!(done["status"], "assigned");
    verify_chain(folder, &done);
    let text = String::from_utf8(openssl(folder, &["x509", "-in", "leaf.pem", "-noout", "-text"])).unwrap();
    for wanted in [
        "CN = Pump:7",
        "CA:FALSE",
        "TLS Web Client Authentication",
        "URI:urn:uuid:",
        "http://127.0.0.1:8080/crl/",
        "http://127.0.0.1:8080/ca/",
    ] {
        assert!(text.contains(wanted) || text.contains(&wanted.replace(" = ", "=")), "{wanted} is not in {text}");
    }
    assert!(!text.contains("Certificate Sign"));
    openssl(folder, &["x509", "-in", "leaf.pem", "-noout", "-checkend", &(41 * 86_400).to_string()]);

    let hub = world.stored(&world.hub_id("hub1")).await.uid;
    let device = identity::load(world.platform().store.as_ref(), hub, "Pump:7").await.unwrap().unwrap().device;
    assert_eq!(device.authentication.kind.as_str(), "certificateAuthority");
    assert!(text.contains(&device.credential_id.unwrap().to_string()));
    let registry = world.registry().await;
    assert!(registry["Pump:7"]["name"].as_str().unwrap().starts_with("Pump-7-"));
    assert!(registry["Pump:7"]["properties"]["policy"]["resourceId"].as_str().unwrap().ends_with("/policies/default"));
    assert_eq!(world.certificates("issued").await, 1);

    let token = world.token(&key, "Pump:7");
    let caller = DeviceCaller {
        id_scope: &world.scope,
        registration_id: "Pump:7",
        api_version: None,
        authorization: Some(&token),
        peer_chain: &[],
        peer: Default::default(),
    };
    let seen = world.service().registration_lookup(caller, false).await.unwrap();
    assert_eq!(seen["status"], "assigned");
    assert!(!seen.to_string().contains("issuedCertificateChain"));
    assert!(
        !world
            .service()
            .registration(&world.caller().await, &world.dps().await, "pump:7")
            .await
            .unwrap()
            .to_string()
            .contains("issuedCertificateChain")
    );
    assert_eq!(world.service().registration_lookup(caller, true).await.unwrap_err().numeric_code(), 400_004);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_publishing_point_serves_what_the_leaf_names() {
    let world = World::new().await;
    let folder = world.folder.path();
    let policy = world.stored(&world.policy_id("default")).await;
    let issuing = certificate::authority_of(world.platform(), policy.uid).await.unwrap().unwrap();
    assert_eq!(certificate::ca_certificate(world.platform(), issuing.id).await.unwrap(), issuing.certificate_der);
    let list = certificate::crl(world.platform(), issuing.id).await.unwrap();
    assert_eq!(list, certificate::crl(world.platform(), issuing.id).await.unwrap());
    std::fs::write(folder.join("ca.der"), &issuing.certificate_der).unwrap();
    std::fs::write(folder.join("list.der"), list.as_slice()).unwrap();
    openssl(folder, &["x509", "-inform", "DER", "-in", "ca.der", "-out", "ca.pem"]);
    openssl(folder, &["crl", "-inform", "DER", "-in", "list.der", "-noout", "-CAfile", "ca.pem"]);

    world.owner.delete(&policy.id, REGISTRY_API).await;
    assert!(certificate::authority_of(world.platform(), policy.uid).await.unwrap().is_none());
    std::fs::write(folder.join("last.der"), certificate::crl(world.platform(), issuing.id).await.unwrap().as_slice())
        .unwrap();
    openssl(folder, &["crl", "-inform", "DER", "-in", "last.der", "-noout", "-CAfile", "ca.pem"]);
    let retired = certificate::authority(world.platform(), issuing.id).await.unwrap().unwrap();
    assert!(retired.key.is_none());
    // Its subject is free again.
    world.write_policy("default", Some(&issuing.subject)).await.unwrap();
    let taken = world.write_policy("other", Some(&issuing.subject.to_lowercase())).await.unwrap_err();
    assert_eq!((taken.code, taken.http_status()), ("SubjectAlreadyExists", 409));
}

#[tokio::test(flavor = "multi_thread")]
async fn registering_again_keeps_the_device_and_renews_the_certificate() {
    let world = World::new().await;
    let folder = world.folder.path();
    let key = world.group("g1", json!({"credentialPolicyName": "default"})).await;
    let request = csr(folder, "d1", &[]);
    let first = world.register(&key, "d1", Some(request.clone())).await;
    let hub = world.stored(&world.hub_id("hub1")).await.uid;
    let before = identity::load(world.platform().store.as_ref(), hub, "d1").await.unwrap().unwrap().device;
    let second = world.register(&key, "d1", Some(request)).await;
    verify_chain(folder, &second);
    assert_eq!(second["registrationState"]["substatus"], "deviceDataMigrated");
    let leaf = |status: &serde_json::Value| status["registrationState"]["issuedCertificateChain"][0].clone();
    assert_ne!(leaf(&first), leaf(&second));
    let after = identity::load(world.platform().store.as_ref(), hub, "d1").await.unwrap().unwrap().device;
    assert_eq!(
        (before.uid, before.credential_id, &before.generation_id),
        (after.uid, after.credential_id, &after.generation_id)
    );
    assert_eq!(world.registry().await.len(), 1);
    assert_eq!(world.certificates("issued").await, 2);
    let third = world.register(&key, "d1", None).await;
    assert_eq!(third["status"], "assigned");
    let keyed = identity::load(world.platform().store.as_ref(), hub, "d1").await.unwrap().unwrap().device;
    assert_eq!((keyed.authentication.kind.as_str(), keyed.uid), ("sas", before.uid));
}

/// ADR 0029.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_the_hub_has_is_taken_over() {
    let world = World::new().await;
    let key = world.group("g1", json!({"initialTwin": {"tags": {"line": 1}}})).await;
    let hub = world.hubs().by_host(&world.hub_host).await.unwrap();
    let store = world.platform().store.as_ref();
    // Made by hand, disabled, with a twin and a certificate of its own.
    let print = "AB".repeat(20);
    let mut spec = DeviceSpec::new("d1", Credentials::Thumbprints { primary: Some(print), secondary: None });
    spec.status = DeviceStatus::Disabled;
    let mut made = identity::draft(world.platform(), &hub, spec).await.unwrap();
    let mut twin = Twin::new("2026-11-20T00:00:00Z");
    twin.patch(&json!({"tags": {"made": "by hand"}}), "2026-11-20T00:00:00Z").unwrap();
    let mut change = Change::new();
    identity::add_create(world.platform(), &mut made, &twin, &mut change).unwrap();
    world.platform().commit(change).await.unwrap();

    let done = world.register(&key, "d1", None).await;
    assert_eq!(
        (&done["status"], &done["registrationState"]["substatus"]),
        (&json!("assigned"), &json!("reprovisionedToInitialAssignment"))
    );
    let device = identity::load(store, hub.uid, "d1").await.unwrap().unwrap().device;
    assert_eq!((device.uid, &device.generation_id), (made.uid, &made.generation_id));
    assert_eq!((device.authentication.kind.as_str(), device.status), ("sas", DeviceStatus::Disabled));
    let kept = twins::load(store, device.uid).await.unwrap().unwrap().twin;
    assert_eq!(serde_json::Value::Object(kept.tags.clone()), json!({"made": "by hand"}));

    // Left by a registration that was deleted.
    let dps = world.dps().await;
    assert_eq!(world.register(&key, "d2", None).await["registrationState"]["substatus"], "initialAssignment");
    world.service().delete_registration(&world.caller().await, &dps, "d2", None).await.unwrap();
    let again = world.register(&key, "d2", None).await;
    assert_eq!(again["registrationState"]["substatus"], "reprovisionedToInitialAssignment");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_keeps_its_own_result() {
    let world = World::new().await;
    let key = world.group("g1", json!({"credentialPolicyName": "default"})).await;
    let request = csr(world.folder.path(), "d1", &[]);
    let first = world.service().register(world.request(&key, "d1", Some(request.clone()))).await.unwrap();
    let second = world.service().register(world.request(&key, "d1", Some(request))).await.unwrap();
    assert_ne!(first.operation_id, second.operation_id);
    let chains = [&first, &second].map(|operation| world.poll(&key, "d1", operation));
    let [one, two] = futures_util::future::join_all(chains).await.try_into().unwrap();
    let leaf = |status: &serde_json::Value| status["registrationState"]["issuedCertificateChain"][0].clone();
    assert!(leaf(&one).is_string() && leaf(&one) != leaf(&two));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_after_a_restart() {
    let mut world = World::new().await;
    let key = world.group("g1", json!({"credentialPolicyName": "default"})).await;
    let first = world.service().register(world.request(&key, "d1", None)).await.unwrap();
    world.reopen().await;
    assert_eq!(world.poll(&key, "d1", &first).await["status"], "assigned");
    // Sealed keys open again: of the group, of the linked hub and of the authority.
    let done = world.register(&key, "d1", Some(csr(world.folder.path(), "d1", &[]))).await;
    verify_chain(world.folder.path(), &done);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_in_the_registry_are_free_and_legal() {
    let world = World::new().await;
    let key = world.group("g1", json!({})).await;
    for id in ["sensor1", "sensor-1.a", "sensor-1:a"] {
        world.register(&key, id, None).await;
    }
    world.write_hub("hub2", true).await;
    // ADR names ignore case and are shared by the hubs of a namespace; device ids are neither.
    for (hub, id) in [("hub1", "SENSOR1"), ("hub2", "sensor1")] {
        let hub = HubRef::of(world.stored(&world.hub_id(hub)).await);
        // What acts as the identity does so where the identity was looked up.
        let platform = world.platform();
        let actor = platform.identity_actor(&world.dps_principal).await.unwrap();
        let spec = DeviceSpec::new(id, Credentials::None);
        let device = identity::draft(world.platform(), &hub, spec).await.unwrap();
        let mut change = Change::new();
        let namespace = world.stored(&world.namespace).await;
        let name = registry::mirror_put(platform, &actor, &namespace, &device, None, &mut change).await.unwrap();
        world.platform().commit(change).await.unwrap();
        assert!(name.to_lowercase().starts_with("sensor1-"), "{name}");
    }
    let namespace = world.stored(&world.namespace).await;
    let devices = resources::children(world.platform(), namespace.uid, &namespace.id, Some(tag::DEVICE)).await.unwrap();
    let names: std::collections::HashSet<String> =
        devices.iter().map(|stored| stored.resource.name.to_lowercase()).collect();
    assert_eq!((devices.len(), names.len()), (5, 5));
    assert!(names.iter().all(|name| ferrohub_model::device_id::is_registry_name(name)));
}

/// A device without a registration is taken for new; where it is not, the commit tells and the next attempt looks.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_known_without_a_registration_is_found() {
    let world = World::new().await;
    let key = world.group("g1", json!({"credentialPolicyName": "default"})).await;
    world.register(&key, "d1", Some(csr(world.folder.path(), "d1", &[]))).await;
    let uid = world.registry().await["d1"]["uid"].clone();
    let mut change = Change::new();
    for row in world.rows(&REGISTRATIONS).await {
        change.unit.delete(&REGISTRATIONS, row.key.clone());
    }
    world.platform().commit(change).await.unwrap();
    let done = world.register(&key, "d1", Some(csr(world.folder.path(), "d1", &[]))).await;
    verify_chain(world.folder.path(), &done);
    let registry = world.registry().await;
    assert_eq!((registry.len(), &registry["d1"]["uid"]), (1, &uid));
    assert_eq!(world.certificates("issued").await, 2);
    assert!(world.rows(&SERIAL_BLOCKS).await.len() <= world.processes(), "a block of each process that issued");

    // The registry's name for it may be another device's.
    world.write_hub("hub2", true).await;
    let hub = HubRef::of(world.stored(&world.hub_id("hub2")).await);
    let actor = world.platform().identity_actor(&world.dps_principal).await.unwrap();
    let device = identity::draft(world.platform(), &hub, DeviceSpec::new("D2", Credentials::None)).await.unwrap();
    let (namespace, mut change) = (world.stored(&world.namespace).await, Change::new());
    registry::mirror_put(world.platform(), &actor, &namespace, &device, None, &mut change).await.unwrap();
    world.platform().commit(change).await.unwrap();
    assert_eq!(world.register(&key, "d2", None).await["status"], "assigned");
    let devices = resources::children(world.platform(), namespace.uid, &namespace.id, Some(tag::DEVICE)).await.unwrap();
    assert!(devices.iter().any(|stored| stored.name().starts_with("d2-")), "{:?}", devices.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_does_not_trust_the_namespace_gets_no_certificates() {
    let world = World::new().await;
    world.write_hub("hub3", false).await;
    world.link(&["hub3"]).await;
    let key = world.group("g1", json!({"credentialPolicyName": "default"})).await;
    let done = world.register(&key, "d1", Some(csr(world.folder.path(), "d1", &[]))).await;
    assert_eq!(done["registrationState"]["errorCode"], 400_209);
    assert!(
        done["registrationState"]["errorMessage"].as_str().unwrap().contains("not linked to the namespace 'plant'")
    );
    // Without a request the device is the hub's alone.
    assert_eq!(world.register(&key, "d1", None).await["status"], "assigned");
    assert!(world.registry().await.is_empty());
    // And it does not follow into a namespace, nor out of one.
    world.link(&["hub1"]).await;
    assert_eq!(world.register(&key, "d1", None).await["status"], "assigned");
    world.link(&["hub3"]).await;
    let refused = world.register(&key, "d1", None).await;
    assert_eq!(refused["registrationState"]["errorCode"], 409_000, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_service_leaves_nothing_behind() {
    let world = World::new().await;
    let key = world.group("g1", json!({})).await;
    for number in 0..3 {
        world.register(&key, &format!("d{number}"), None).await;
    }
    let uid = world.dps().await.uid;
    for _ in 0..2 {
        purge(world.platform(), uid).await.unwrap();
        assert!(world.rows(&ENROLLMENT_GROUPS).await.is_empty() && world.rows(&REGISTRATIONS).await.is_empty());
    }
    assert_eq!(world.rows(&DEVICES).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_api_version_knows_no_csr() {
    let world = World::new().await;
    let key = world.group("g1", json!({"credentialPolicyName": "default"})).await;
    for (version, certificates) in
        [("2019-03-31", false), ("2021-10-01", false), ("2025-07-01-preview", true), ("2026-11-01", true)]
    {
        let mut request = world.request(&key, "d1", Some(csr(world.folder.path(), "d1", &[])));
        request.api_version = Some(version.into());
        let first = world.service().register(request).await.unwrap();
        let done = world.poll(&key, "d1", &first).await;
        assert_eq!(done["registrationState"].get("issuedCertificateChain").is_some(), certificates, "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_moves_with_its_twin_when_its_hub_is_no_longer_linked() {
    let world = World::new().await;
    let key = world.group("g1", json!({"initialTwin": {"tags": {"line": 1}}})).await;
    world.register(&key, "d1", None).await;
    let hub1 = world.stored(&world.hub_id("hub1")).await.uid;
    world.write_hub("hub2", true).await;
    world.link(&["hub2"]).await;
    let done = world.register(&key, "d1", None).await;
    let hub2 = world.stored(&world.hub_id("hub2")).await.uid;
    assert_eq!(done["registrationState"]["assignedHub"], "hub2.azure-devices.localhost");
    assert_eq!(done["registrationState"]["substatus"], "deviceDataMigrated");
    let store = world.platform().store.as_ref();
    assert!(identity::load(store, hub1, "d1").await.unwrap().is_none());
    assert_eq!(world.rows(&TWINS).await.len(), 1, "one twin, that of the new place");
    let moved = identity::load(store, hub2, "d1").await.unwrap().unwrap().device;
    assert_eq!(twins::load(store, moved.uid).await.unwrap().unwrap().twin.tags["line"], 1);
    let registry = world.registry().await;
    assert_eq!(
        registry["d1"]["properties"]["endpoints"]["outbound"]["assigned"],
        json!({"hub2":
        {"endpointType": "Microsoft.Devices/IotHubs", "address": "hub2.azure-devices.localhost"}})
    );
    assert_eq!(registry.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_may_ask_for_a_fresh_twin() {
    let world = World::new().await;
    let policy = json!({"reprovisionPolicy": {"updateHubAssignment": true, "migrateDeviceData": false}, "initialTwin": {"tags": {"line": 1}}});
    let key = world.group("g1", policy).await;
    world.register(&key, "d1", None).await;
    let hub = world.stored(&world.hub_id("hub1")).await.uid;
    let store = world.platform().store.as_ref();
    let device = identity::load(store, hub, "d1").await.unwrap().unwrap().device;
    let was = twins::load(store, device.uid).await.unwrap().unwrap();
    let mut twin = (*was.twin).clone();
    twin.patch(&json!({"tags": {"line": 2, "more": true}}), "2026-11-20T00:00:00Z").unwrap();
    let mut change = Change::new();
    twins::add_change(DeviceRef::of(&device), &was, &twin, None, &mut change).unwrap();
    world.platform().commit(change).await.unwrap();
    let done = world.register(&key, "d1", None).await;
    assert_eq!(done["registrationState"]["substatus"], "deviceDataReset");
    let twin = twins::load(store, device.uid).await.unwrap().unwrap().twin;
    assert_eq!(serde_json::Value::Object(twin.tags.clone()), json!({"line": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_registers_in_a_loop_is_told_to_wait() {
    let world = World::new().await;
    let key = world.group("g1", json!({"credentialPolicyName": "default"})).await;
    let folder = world.folder.path();
    let again = csr(folder, "loop", &[]);
    let mut made = 0;
    let error = loop {
        match world.service().register(world.request(&key, "loop", Some(again.clone()))).await {
            Ok(_) => made += 1,
            Err(error) => break error,
        }
        assert!(made <= 2 * limits::REGISTRATION_BURST, "each of two processes counts for itself");
    };
    assert!(made >= limits::REGISTRATION_BURST, "{made}");
    assert_eq!((error.http_status(), error.numeric_code()), (429, 429_001));
    let wait = error.retry_after_seconds.unwrap();
    assert!(u64::from(wait) <= limits::REGISTRATION_PERIOD.as_secs() + 1, "{wait}");
    assert_eq!(world.register(&key, "another", None).await["status"], "assigned");
}
