//! Finding the enrollment group of a device that never registered.

use super::world::World;
use ferrohub_model::error::Error;
use ferrohub_model::limits::WAITING_GROUP_SEARCHES;
use ferrohub_service::provisioning::EnrollmentKind::Group;
use ferrohub_service::provisioning::{DeviceCaller, ProvisioningService};
use serde_json::json;

/// More than Azure has of them, and more than are tried at once.
const GROUPS: usize = 300;

/// Makes a group with generated keys.
async fn make(world: &World, name: &str) -> Result<(), Error> {
    let body = json!({"enrollmentGroupId": name, "attestation": {"type": "symmetricKey", "symmetricKey": {}}});
    world
        .service()
        .put_enrollment(&world.caller().await, &world.dps().await, Group, name, &body, None)
        .await
        .map(|_| ())
}

async fn delete(world: &World, name: &str) {
    world.service().delete_enrollment(&world.caller().await, &world.dps().await, Group, name, None).await.unwrap();
}

/// Whether `service` lets a device in that it does not know, by its token.
async fn admits(world: &World, service: &ProvisioningService, key: &[u8], registration: &str) -> bool {
    let request = world.request(key, registration, None);
    let caller = DeviceCaller {
        id_scope: &request.id_scope,
        registration_id: registration,
        api_version: None,
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
async fn a_device_is_found_among_many_groups() {
    let world = World::new().await;
    let mut keys = Vec::new();
    for number in 0..GROUPS {
        keys.push(world.group(&format!("g{number}"), json!({})).await);
    }
    for (number, key) in keys.iter().enumerate() {
        assert!(admits(&world, world.service(), key, &format!("d{number}")).await, "found among them all");
    }
    assert!(!admits(&world, world.service(), b"a key of no group at all, nowhere", "d1").await);
    // Each is still found when others come and go.
    delete(&world, "g1").await;
    make(&world, "another").await.unwrap();
    assert!(!admits(&world, world.service(), &keys[1], "d1").await);
    assert!(admits(&world, world.service(), &keys[GROUPS - 1], "d2").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_wait_for_each_other_and_the_many_come_again() {
    let world = World::new().await;
    for number in 0..GROUPS {
        make(&world, &format!("g{number}")).await.unwrap();
    }
    let stranger = async |number: usize| {
        let request = world.request(b"a key of no group at all, nowhere", &format!("d{number}"), None);
        world.service().register(request).await.unwrap_err().numeric_code()
    };
    let codes = futures_util::future::join_all((0..4 * WAITING_GROUP_SEARCHES).map(stranger)).await;
    assert!(codes.iter().all(|code| [401_002, 429_001].contains(code)), "{codes:?}");
    assert!(codes.contains(&401_002));
    // Nobody keeps a place.
    assert_eq!(stranger(0).await, 401_002);
}
