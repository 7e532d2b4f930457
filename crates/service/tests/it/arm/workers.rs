//! The worker of each process at once: what must be done once is done once, and nothing is left.

use super::fixture::{ADR, World, plant};
use crate::installation::let_time_pass;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ferrohub_clock::SystemClock;
use ferrohub_messaging::NewEvent;
use ferrohub_model::clock::Clock;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_service::arm::operation::{self, State, StoredOperation};
use ferrohub_service::arm::operations;
use ferrohub_service::key_store::KeyUse;
use ferrohub_service::platform::Change;
use ferrohub_service::provisioning::EnrollmentKind::{Group, Individual};
use ferrohub_service::provisioning::RegisterRequest;
use ferrohub_service::tables::{
    ACTIVITY, AUTHORITIES, DEVICES, ENROLLMENT_GROUPS, GROUP_GENERATIONS, INDIVIDUAL_ENROLLMENTS, LOOSE_KEYS,
    OPERATIONS, REGISTRATIONS, RESOURCES, REVOCATION_LISTS, SEALED_KEYS, TWINS,
};
use ferrohub_service::{resources, worker};
use ferrohub_store::{Page, Table, UnitOfWork};
use ferrohub_wire::sas_token::{derive_device_key, sign};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

/// Groups that are deleted at once.
const GROUPS: usize = 6;

async fn count(world: &World, table: &'static Table) -> usize {
    world.platform().store.scan(table, "", Page::first(1000)).await.unwrap().len()
}

/// Lets the worker of every process run until `done`; between two looks the clock goes on by `step`. Nothing goes on the word of a
/// clock that jumps, so time is lived through.
pub(super) async fn work_until(world: &World, what: &str, step: Duration, done: impl AsyncFn() -> bool) {
    let (stop, stopped) = watch::channel(false);
    let mut running: JoinSet<()> =
        world.platforms().iter().map(|platform| worker::run(Arc::clone(platform), stopped.clone())).collect();
    let begun = SystemClock.monotonic();
    while !done().await {
        assert!(
            SystemClock.monotonic().since(begun) < Duration::from_secs(60),
            "the workers did not come to it: {what}"
        );
        world.clock.advance(step);
        SystemClock.sleep(Duration::from_millis(10)).await;
    }
    stop.send(true).unwrap();
    while let Some(ended) = world.while_time_passes(running.join_next()).await {
        ended.unwrap();
    }
}

/// A group with a namespace that signs.
async fn group(world: &World, number: usize) -> String {
    let group = world.group(&format!("group{number}"));
    let namespace = format!("{group}/providers/Microsoft.DeviceRegistry/namespaces/ns{number}");
    world.put(&group, "2024-11-01", json!({"location": "westeurope"})).await;
    world.put(&namespace, ADR, json!({"location": "westeurope"})).await;
    world.put(&format!("{namespace}/credentials/default"), ADR, json!({"location": "westeurope"})).await;
    world.put(&format!("{namespace}/credentials/default/policies/default"), ADR, json!({"properties": {}})).await;
    group
}

/// Registers a device at the provisioning service of the plant, which has no hub for it: the registration says so and stays.
async fn register(world: &World, dps: &str) {
    let scope = world.get(dps, super::fixture::DPS).await["properties"]["idScope"].as_str().unwrap().to_owned();
    let policy = format!("{dps}/keys/provisioningserviceowner/listkeys");
    let key = world.send(&world.owner, "POST", &policy, super::fixture::DPS, None).await.unwrap().body.unwrap();
    let key = STANDARD.decode(key["primaryKey"].as_str().unwrap()).unwrap();
    let expiry = world.clock.unix_seconds() + 3600;
    let provisioning = &world.service().provisioning;
    let service = provisioning.dps_by_scope(&scope).await.unwrap();
    let token = sign("dps1.azure-devices-provisioning.localhost", &key, expiry, Some("provisioningserviceowner"));
    let caller = provisioning.authenticate(&service, Some(&token)).await.unwrap();
    let body = json!({"attestation": {"type": "symmetricKey", "symmetricKey": {}}});
    provisioning.put_enrollment(&caller, &service, Group, "eg1", &body, None).await.unwrap();
    provisioning.put_enrollment(&caller, &service, Individual, "d9", &body, None).await.unwrap();
    let keys = provisioning.attestation_mechanism(&caller, &service, Group, "eg1").await.unwrap();
    let group_key = STANDARD.decode(keys["symmetricKey"]["primaryKey"].as_str().unwrap()).unwrap();
    let own = derive_device_key(&group_key, "d1");
    let token = sign(&format!("{scope}/registrations/d1"), &own, expiry, Some("registration"));
    let request = RegisterRequest {
        id_scope: scope,
        registration_id: "d1".into(),
        authorization: Some(token),
        ..RegisterRequest::default()
    };
    provisioning.register(request).await.unwrap();
}

/// Starts the delete of a group and leaves it to the workers.
async fn begin_delete(world: &World, group: &str) -> String {
    let platform = world.platform();
    let id = ResourceId::parse(group).unwrap();
    let uid = resources::require(platform, &id).await.unwrap().key();
    let input = json!({ "uid": uid });
    let record =
        StoredOperation::with(platform, world.owner.id(), Uuid::nil(), "rg", operation::DELETE, &id, 200, input);
    operations::start(platform, record, Change::new()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_workers_of_all_processes_do_each_thing_once_and_leave_nothing() {
    let world = World::new().await;
    let_time_pass(&world.clock);
    let keys_before = count(&world, &SEALED_KEYS).await;
    let plant = plant(&world).await;
    let hub = world.service().hub.by_host("hub1.azure-devices.localhost").await.unwrap();
    let caller = world.hub_owner(&plant.hub, &hub.host).await;
    for id in ["d1", "d2"] {
        let _ = world.service().hub.put_device(&caller, &hub, id, &json!({}), None).await;
    }
    register(&world, &plant.dps).await;
    let gone = NewEvent {
        stream: Uuid::from_u128(7),
        partition: 0,
        properties: Default::default(),
        body: Bytes::from_static(b"x"),
    };
    world.platform().log.append(vec![gone]).await.unwrap();
    // A key whose unit is never committed.
    let mut lost = UnitOfWork::new();
    let scope = "0198c0de-0000-7000-8000-000000000001";
    world.platform().keys.generate(KeyUse::Signing, scope, KeyKind::P256, &mut lost).await.unwrap();

    let mut groups = vec![plant.group.clone()];
    for number in 0..GROUPS {
        groups.push(group(&world, number).await);
    }
    for authority in world.platform().store.scan(&AUTHORITIES, "", Page::first(1000)).await.unwrap() {
        world.service().crl(Uuid::parse_str(&authority.key).unwrap()).await.unwrap();
    }
    assert_eq!(count(&world, &REVOCATION_LISTS).await, 2 * groups.len(), "a root and a policy each");
    let mut running = Vec::new();
    for group in &groups {
        running.push(begin_delete(&world, group).await);
    }
    let ended = async || operation::abandoned(world.platform(), &mut String::new(), 100).await.unwrap().is_empty();
    let states = async || {
        let mut states = Vec::new();
        for id in &running {
            states.push(operation::load(world.platform(), id).await.unwrap().unwrap().0);
        }
        states
    };
    work_until(&world, "ended operations", Duration::ZERO, async || {
        ended().await && states().await.iter().all(|record| record.state != State::Running)
    })
    .await;
    for (record, group) in states().await.iter().zip(&groups) {
        // Whoever takes an operation up counts it.
        assert_eq!((record.state, record.attempts), (State::Succeeded, 1), "{group}: {:?}", record.error);
    }
    assert_eq!(count(&world, &RESOURCES).await, 1, "the owner's assignment");
    let provisioning = [&ENROLLMENT_GROUPS, &INDIVIDUAL_ENROLLMENTS, &GROUP_GENERATIONS, &REGISTRATIONS];
    assert_eq!(count(&world, &REVOCATION_LISTS).await, 2 * groups.len(), "the last ones of each");
    for table in [&DEVICES, &TWINS].into_iter().chain(provisioning) {
        assert_eq!(count(&world, table).await, 0, "{}", table.name);
    }

    // The key that never came into use goes after an hour, those of the deleted authorities at once; each just once.
    work_until(&world, "destroyed keys", Duration::from_secs(600), async || count(&world, &LOOSE_KEYS).await == 0)
        .await;
    assert_eq!(count(&world, &SEALED_KEYS).await, keys_before);
    assert!(world.platform().log.streams().await.unwrap().is_empty());

    let day = Duration::from_secs(24 * 3600);
    work_until(&world, "swept rows", day, async || {
        count(&world, &ACTIVITY).await + count(&world, &OPERATIONS).await == 0
    })
    .await;
}
