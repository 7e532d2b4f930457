//! Finding the enrollment group of a device that never registered.

use super::world::World;
use ferrohub_model::error::Error;
use ferrohub_model::limits::ENROLLMENT_GROUPS;
use ferrohub_service::provisioning::{DeviceCaller, ProvisioningService};
use ferrohub_service::tables;
use serde_json::json;

/// Makes a group with generated keys.
async fn make(world: &World, name: &str) -> Result<(), Error> {
    let body = json!({"enrollmentGroupId": name, "attestation": {"type": "symmetricKey", "symmetricKey": {}}});
    world.service().put_group(&world.caller().await, &world.dps().await, name, &body, None).await.map(|_| ())
}

async fn delete(world: &World, name: &str) {
    world.service().delete_group(&world.caller().await, &world.dps().await, name, None).await.unwrap();
}

/// Whether `service` lets a device in that it does not know, by its token.
async fn admits(world: &World, service: &ProvisioningService, key: &[u8], registration: &str) -> bool {
    let request = world.request(key, registration, None);
    let caller = DeviceCaller {
        id_scope: &request.id_scope,
        registration_id: registration,
        authorization: request.authorization.as_deref(),
        peer_chain: &[],
        peer: Default::default(),
    };
    // Nobody registered: who is let in learns that, a stranger learns nothing.
    let refused = service.registration_lookup(caller, false).await.unwrap_err();
    assert!([404_202, 401_002].contains(&refused.numeric_code()), "{refused}");
    refused.numeric_code() == 404_202
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_any_group_counts_at_once_in_every_process() {
    let world = World::new().await;
    // A second one remembers groups of its own, as another process does.
    let elsewhere = world.elsewhere();
    let first = world.group("first", json!({})).await;
    assert!(admits(&world, &elsewhere, &first, "d1").await);
    let second = world.group("second", json!({})).await;
    assert!(admits(&world, &elsewhere, &second, "d2").await, "a new group");
    let keys = json!({"attestation": {"type": "symmetricKey", "symmetricKey": {
        "primaryKey": "bmV3LXByaW1hcnkta2V5LW9mLXRoZS1ncm91cA==", "secondaryKey": "bmV3LXNlY29uZGFyeS1rZXktb2YtZ3JvdXA="}}});
    let renewed = world.group("second", keys).await;
    assert_ne!(renewed, second);
    assert!(admits(&world, &elsewhere, &renewed, "d2").await, "a new key");
    assert!(!admits(&world, &elsewhere, &second, "d2").await, "the old key");
    delete(&world, "second").await;
    assert!(!admits(&world, &elsewhere, &renewed, "d2").await, "a deleted group");
    assert!(admits(&world, &elsewhere, &first, "d1").await, "the other group is as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_as_many_as_a_stranger_may_cost() {
    let world = World::new().await;
    let mut last = Vec::new();
    for number in 0..ENROLLMENT_GROUPS - 1 {
        last = world.group(&format!("g{number}"), json!({})).await;
    }
    assert!(admits(&world, world.service(), &last, "d1").await, "found among them all");
    // Of those who ask at the same time for the last place, one gets it.
    let place = async |name: &str| make(&world, name).await.map_err(|error| error.code);
    let (a, b, c) = tokio::join!(place("a"), place("b"), place("c"));
    let made = [&a, &b, &c].iter().filter(|made| made.is_ok()).count();
    assert_eq!(made, 1, "{a:?} {b:?} {c:?}");
    assert_eq!([a, b, c].into_iter().flat_map(Result::err).collect::<Vec<_>>(), ["QuotaExceeded"; 2]);
    assert_eq!(world.rows(&tables::ENROLLMENT_GROUPS).await.len(), ENROLLMENT_GROUPS);
    // Those that are there can be changed, and a place that is given up can be taken.
    world.group("g0", json!({})).await;
    delete(&world, "g1").await;
    make(&world, "another").await.unwrap();
    assert!(!admits(&world, world.service(), b"a key of no group at all, nowhere", "d1").await);
}
