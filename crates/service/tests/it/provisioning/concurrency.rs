//! Many registrations at once, also of one device: none is half made, no serial number is used twice.

use super::world::{World, csr};
use ferrohub_model::limits::SERIALS_PER_BLOCK;
use ferrohub_service::hub::identity;
use ferrohub_service::provisioning::EnrollmentKind::Group;
use ferrohub_service::tables::{CERTIFICATES, DEVICES, REGISTRATIONS, SERIAL_BLOCKS, TWINS};
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;

const DEVICES_AT_ONCE: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_registrations_of_a_hundred_devices() {
    let world = Arc::new(World::new().await);
    let key = Arc::new(world.group("g1", json!({"credentialPolicyName": "default"})).await);
    // Two services share no lock: only the units' expectations keep them apart, as between two processes.
    let services = [(); 2].map(|()| Arc::new(world.elsewhere()));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..DEVICES_AT_ONCE {
        let id = format!("device-{number:03}");
        let request = csr(world.folder.path(), &id, &[]);
        // Each device twice at once: the second time every other one comes without a request.
        for (csr, service) in [Some(request.clone()), (number % 2 == 0).then_some(request)].into_iter().zip(&services) {
            let (world, key, id, service) = (Arc::clone(&world), Arc::clone(&key), id.clone(), Arc::clone(service));
            tasks.spawn(async move {
                let wants_chain = csr.is_some();
                let done = world.register_at(&service, &key, &id, csr).await;
                assert_eq!(done["status"], "assigned", "{done}");
                (id, wants_chain, done["registrationState"].get("issuedCertificateChain").cloned())
            });
        }
    }
    let mut leaves = HashSet::new();
    let mut chains = 0;
    while let Some(result) = tasks.join_next().await {
        let (id, wants_chain, chain) = result.unwrap();
        assert_eq!(wants_chain, chain.is_some(), "{id}");
        if let Some(chain) = chain {
            chains += 1;
            assert!(leaves.insert(chain[0].to_string()), "{id} got a certificate twice");
        }
    }
    let registry = world.registry().await;
    assert_eq!(registry.len(), DEVICES_AT_ONCE);
    for table in [&DEVICES, &TWINS, &REGISTRATIONS] {
        assert_eq!(world.rows(table).await.len(), DEVICES_AT_ONCE, "{}", table.name);
    }
    for row in world.rows(&DEVICES).await {
        let device = identity::device_from_row(&row).unwrap().device;
        let mirrored = &registry[&device.device_id];
        assert_eq!((&mirrored["uid"], &mirrored["name"]), (&json!(device.uid.to_string()), &json!(device.device_id)));
    }
    assert_eq!(world.certificates("issued").await, chains);
    let serials: HashSet<String> = world.rows(&CERTIFICATES).await.iter().map(|row| row.key.clone()).collect();
    assert!(serials.len() == chains && serials.iter().all(|serial| serial.len() == 32));
    // Few reservations were enough, also for who drew a number in vain, and what they reserved is what was signed.
    let blocks = world.rows(&SERIAL_BLOCKS).await;
    let fewest = chains.div_ceil(SERIALS_PER_BLOCK);
    assert!((fewest..=fewest + crate::PROCESSES).contains(&blocks.len()), "{}", blocks.len());
    assert!(serials.iter().all(|serial| blocks.iter().any(|block| serial.starts_with(&block.key))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_enrollment_that_is_deleted_while_devices_register_registers_whole_devices_or_none() {
    let world = Arc::new(World::new().await);
    let key = Arc::new(world.group("g1", json!({"credentialPolicyName": "default"})).await);
    let services = [(); 2].map(|()| Arc::new(world.elsewhere()));
    let mut tasks = tokio::task::JoinSet::new();
    for (number, service) in (0..DEVICES_AT_ONCE).zip(services.iter().cycle()) {
        let id = format!("device-{number:03}");
        let request = world.request(&key, &id, Some(csr(world.folder.path(), &id, &[])));
        let service = Arc::clone(service);
        tasks.spawn(async move { service.register(request).await });
    }
    let (dps, caller) = (world.dps().await, world.caller().await);
    let (mut registered, mut refused, mut deleted) = (0, 0, false);
    while let Some(result) = tasks.join_next().await {
        match result.unwrap() {
            Ok(_) => registered += 1,
            Err(error) => {
                assert!(deleted, "refused while it was there: {error}");
                assert_eq!(error.numeric_code(), 401_002, "{error}");
                refused += 1;
            }
        }
        if registered == 10 && !deleted {
            deleted = true;
            world.service().delete_enrollment(&caller, &dps, Group, "g1", None).await.unwrap();
        }
    }
    assert_eq!(registered + refused, DEVICES_AT_ONCE);
    // Identity, twin, certificate and registry device come together, or none of them does.
    for table in [&DEVICES, &TWINS, &CERTIFICATES] {
        assert_eq!(world.rows(table).await.len(), registered, "{}", table.name);
    }
    assert_eq!(world.registry().await.len(), registered);
    let late = world.service().register(world.request(&key, "late", None)).await.unwrap_err();
    assert_eq!(late.numeric_code(), 401_002, "{late}");
}
