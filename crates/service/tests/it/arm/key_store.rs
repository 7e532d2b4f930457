//! Keys behind their seam: the engine in the store, an engine far away, and what becomes of keys that nobody uses.

use super::fixture::{ADR, World, plant};
use async_trait::async_trait;
use ferrohub_clock::SystemClock;
use ferrohub_model::error::ErrorKind;
use ferrohub_model::key_reference::KeyReference;
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::key_store::KeyStore;
use ferrohub_pki::key_store::conformance::{self, Place};
use ferrohub_pki::key_store::distant::{self, DistantKeys};
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::seal::MasterKey;
use ferrohub_service::arm::types::Types;
use ferrohub_service::certificate::{self, AuthorityRecord, AuthorityState};
use ferrohub_service::key_store::choice::TAG;
use ferrohub_service::key_store::{ENGINE, KeyUse, OtherKeys, SealedKeys, authorities_elsewhere};
use ferrohub_service::keyring::Keyring;
use ferrohub_service::tables::{self, AUTHORITIES, LOOSE_KEYS, SEALED_KEYS};
use ferrohub_store::{Page, Store, Table, UnitOfWork};
use ferrohub_store_sqlite::SqliteStore;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const NAMESPACE: &str = "0198c0de-0000-7000-8000-000000000001";

async fn rows(world: &World, table: &'static Table) -> Vec<String> {
    let rows = world.platform().store.scan(table, "", Page::first(100)).await.unwrap();
    rows.into_iter().map(|row| row.key.clone()).collect()
}

/// The one living authority that signs leaves.
async fn issuing(world: &World) -> AuthorityRecord {
    let rows = world.platform().store.scan(&AUTHORITIES, "", Page::first(100)).await.unwrap();
    let records = rows.iter().map(|row| row.parse::<AuthorityRecord>().unwrap());
    let mut living = records.filter(|record| record.state == AuthorityState::Active && record.issuer.is_some());
    let found = living.next().unwrap();
    assert!(living.next().is_none());
    (*found).clone()
}

struct InTheStore(Arc<dyn Store>);

#[async_trait]
impl Place for InTheStore {
    async fn open(&self) -> Arc<dyn KeyStore> {
        // A keyring of its own each time: nothing that was opened before is remembered.
        let keyring = Keyring::new(MasterKey::from_bytes(&[7; 32]).unwrap(), Arc::new(SystemRandom));
        Arc::new(SealedKeys::new(Arc::clone(&self.0), Arc::new(keyring)))
    }

    fn exports(&self) -> bool {
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_the_store_pass_the_suite() {
    let folder = tempfile::tempdir().unwrap();
    let store =
        SqliteStore::open(&folder.path().join("store.db"), tables::ALL, SystemClock::shared(), Default::default())
            .unwrap();
    conformance::run(&InTheStore(Arc::new(store)), &SystemRandom).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_in_use_once_its_unit_is_committed() {
    let world = World::new().await;
    let (keys, store) = (&world.platform().keys, &world.platform().store);
    let before = rows(&world, &SEALED_KEYS).await.len();
    let mut unit = UnitOfWork::new();
    let (used, signer) = keys.generate(KeyUse::Signing, NAMESPACE, KeyKind::P256, &mut unit).await.unwrap();
    store.commit(unit).await.unwrap();
    // Its unit is never committed: a crash, a conflict, a refusal later in the request.
    let mut lost = UnitOfWork::new();
    let (loose, _) = keys.generate(KeyUse::Signing, NAMESPACE, KeyKind::P256, &mut lost).await.unwrap();
    assert_eq!(rows(&world, &LOOSE_KEYS).await, [loose.id.to_string()]);
    assert_eq!(keys.sweep().await.unwrap(), 0, "it may still come into use");
    world.clock.advance(Duration::from_secs(3601));
    assert_eq!(keys.sweep().await.unwrap(), 1);
    assert!(keys.open(&loose).await.is_err());
    assert!(store.commit(lost).await.unwrap_err().is_conflict(), "too late: its key is gone");
    let opened = keys.open(&used).await.unwrap();
    assert_eq!(opened.public_key_info_der(), signer.public_key_info_der());

    let mut unit = UnitOfWork::new();
    keys.give_up(&used, &mut unit).unwrap();
    store.commit(unit).await.unwrap();
    assert_eq!(keys.sweep().await.unwrap(), 1, "whoever is given up goes at once");
    assert!(keys.open(&used).await.is_err());
    assert!(rows(&world, &LOOSE_KEYS).await.is_empty());
    assert_eq!(rows(&world, &SEALED_KEYS).await.len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_policy_takes_its_key_along() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let policy = format!("{}/credentials/default/policies/default", plant.namespace);
    let key = issuing(&world).await.key.unwrap();
    assert_eq!((key.engine.as_str(), key.exportable), (ENGINE, false));
    assert!(rows(&world, &SEALED_KEYS).await.contains(&key.id.to_string()));
    world.send(&world.owner, "DELETE", &policy, ADR, None).await.unwrap();
    world.platform().keys.sweep().await.unwrap();
    assert!(!rows(&world, &SEALED_KEYS).await.contains(&key.id.to_string()));
    assert!(rows(&world, &LOOSE_KEYS).await.is_empty(), "every other key is in use");
}

/// A world with a device beside the key store in its rows.
async fn with_device(is_default: bool) -> (World, DistantKeys) {
    let device = DistantKeys::default();
    let other = OtherKeys { engine: Arc::new(device.clone()), is_default };
    (World::with(Types::built_in(), Some(other)).await, device)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_whose_namespaces_keys_are_far_away() {
    let (world, device) = with_device(true).await;
    // Nobody could sign in while the device is lost, if these were there: token key, platform CA, listener.
    assert_eq!((device.ids().len(), rows(&world, &SEALED_KEYS).await.len()), (0, 3));
    let plant = plant(&world).await;
    assert_eq!(device.ids().len(), 2, "root, policy");
    let policy = format!("{}/credentials/default/policies/default", plant.namespace);
    let platform = world.platform();
    let record = issuing(&world).await;
    let key: KeyReference = record.key.unwrap();
    assert_eq!(key.engine, distant::ENGINE);
    assert!(device.ids().contains(&key.id));
    assert!(!certificate::crl(platform, record.id).await.unwrap().is_empty(), "its key signs");

    world.send(&world.owner, "DELETE", &policy, ADR, None).await.unwrap();
    platform.keys.sweep().await.unwrap();
    assert!(!device.ids().contains(&key.id) && device.ids().len() == 1);
    let body = json!({"properties": {}});
    world.put(&policy, ADR, body).await;
    assert_eq!(device.ids().len(), 2, "a new key for a new policy");
}

/// A namespace with a credential; its tags.
async fn namespace(world: &World, name: &str, tags: serde_json::Value) -> String {
    let group = world.group("keys");
    world.put(&group, "2024-11-01", json!({"location": "westeurope"})).await;
    let path = format!("{group}/providers/Microsoft.DeviceRegistry/namespaces/{name}");
    world.put(&path, ADR, json!({"location": "westeurope", "tags": tags})).await;
    world.put(&format!("{path}/credentials/default"), ADR, json!({"location": "westeurope"})).await;
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_says_where_its_keys_are_made() {
    let (world, device) = with_device(false).await;
    let sealed = rows(&world, &SEALED_KEYS).await.len();
    namespace(&world, "plain", json!({})).await;
    assert_eq!((device.ids().len(), rows(&world, &SEALED_KEYS).await.len()), (0, sealed + 1));
    let guarded = namespace(&world, "guarded", json!({TAG: distant::ENGINE, "site": "7"})).await;
    assert_eq!((device.ids().len(), rows(&world, &SEALED_KEYS).await.len()), (1, sealed + 1));
    let elsewhere = authorities_elsewhere(world.platform().store.as_ref()).await.unwrap();
    assert_eq!(elsewhere.into_iter().collect::<Vec<_>>(), [(distant::ENGINE.to_owned(), 1)]);
    // The default of the server is not what counts here.
    let (other, far) = with_device(true).await;
    namespace(&other, "plain", json!({TAG: ENGINE})).await;
    assert!(far.ids().is_empty());

    let body = |tags: serde_json::Value| Some(json!({"location": "westeurope", "tags": tags}));
    let unknown = world.refused(&world.owner, "PUT", &guarded, ADR, body(json!({TAG: "hsm"}))).await;
    assert_eq!(unknown.code, "InvalidPropertyValue");
    assert!(unknown.message.contains("'sealed' and 'distant'"), "{unknown}");
    for method in ["PUT", "PATCH"] {
        let dropped = world.refused(&world.owner, method, &guarded, ADR, body(json!({"site": "8"}))).await;
        assert!(dropped.message.contains("ferrohub-key-store=distant"), "{dropped}");
    }
    // Another choice holds for keys that are made from then on; those that are there stay and sign.
    world.send(&world.owner, "PATCH", &guarded, ADR, Some(json!({"tags": {TAG: ENGINE}}))).await.unwrap();
    world.put(&format!("{guarded}/credentials/default/policies/first"), ADR, json!({"properties": {}})).await;
    assert_eq!((device.ids().len(), rows(&world, &SEALED_KEYS).await.len()), (1, sealed + 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_device_stops_nothing_else() {
    let (world, device) = with_device(false).await;
    let guarded = namespace(&world, "guarded", json!({TAG: distant::ENGINE})).await;
    let plain = namespace(&world, "plain", json!({})).await;
    let policy = |of: &str| format!("{of}/credentials/default/policies/first");
    for of in [&guarded, &plain] {
        world.put(&policy(of), ADR, json!({"properties": {}})).await;
    }
    let sealed = rows(&world, &SEALED_KEYS).await.len();
    // Given up, with the key of the guarded namespace first in the row.
    for of in [&guarded, &plain] {
        world.send(&world.owner, "DELETE", &policy(of), ADR, None).await.unwrap();
    }
    device.lose(true);
    let error = world.platform().keys.sweep().await.unwrap_err();
    assert!(error.message.contains("'distant'"), "{error}");
    assert_eq!(rows(&world, &SEALED_KEYS).await.len(), sealed - 1, "the other's key went all the same");
    let refused = world.refused(&world.owner, "PUT", &policy(&guarded), ADR, Some(json!({"properties": {}}))).await;
    assert_eq!((refused.kind, refused.message.contains("'distant'")), (ErrorKind::Unavailable, true), "{refused}");
    world.put(&policy(&plain), ADR, json!({"properties": {}})).await;
    world.token("https://management.azure.com/.default").await;

    device.lose(false);
    world.platform().keys.sweep().await.unwrap();
    assert!(rows(&world, &LOOSE_KEYS).await.len() <= 1, "at most the key that was refused, until it is old");
    world.put(&policy(&guarded), ADR, json!({"properties": {}})).await;
    assert_eq!(device.ids().len(), 2, "root and policy");
}
