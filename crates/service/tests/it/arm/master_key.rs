//! Exchanging the master key: whole, and cut off at every commit.

use super::between::Between;
use ferrohub_clock::SystemClock;
use ferrohub_model::error::ErrorKind;
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::seal::MasterKey;
use ferrohub_service::keyring::Keyring;
use ferrohub_service::master_key;
use ferrohub_service::tables::{self, DATA_KEYS, META};
use ferrohub_store::{Page, Put, Store, UnitOfWork};
use ferrohub_store_sqlite::SqliteStore;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn key(number: u8) -> MasterKey {
    MasterKey::from_bytes(&[number; 32]).unwrap()
}

/// Secrets of more owners than one commit takes; what was sealed.
async fn sealed(store: &dyn Store) -> Vec<String> {
    let keyring = Keyring::new(key(1), Arc::new(SystemRandom));
    let mut unit = UnitOfWork::new();
    unit.put(Put::new(&META, "master-check", Vec::new(), &keyring.check_value()).unwrap());
    store.commit(unit).await.unwrap();
    let mut texts = Vec::new();
    for number in 0..OWNERS {
        texts.push(keyring.seal(store, &owner(number), "t", "r", "f", b"secret").await.unwrap());
    }
    texts
}

const OWNERS: usize = 450;

fn owner(number: usize) -> String {
    format!("owner-{number:04}")
}

/// Whether this key opens the installation, and then all of it.
async fn opens(store: &dyn Store, master: MasterKey, texts: &[String]) -> bool {
    let keyring = Keyring::new(master, Arc::new(SystemRandom));
    let check = master_key::check_value(store).await.unwrap().unwrap();
    if keyring.verify_check_value(&check).is_err() {
        return false;
    }
    for (number, text) in texts.iter().enumerate() {
        let plain = keyring.open(store, &owner(number), "t", "r", "f", text).await.unwrap();
        assert_eq!(plain.as_slice(), b"secret", "{number}");
    }
    true
}

fn open_store(folder: &std::path::Path) -> SqliteStore {
    SqliteStore::open(&folder.join("store.db"), tables::ALL, SystemClock::shared(), Default::default()).unwrap()
}

/// A store that takes so many commits and no more, as of a process that is killed.
fn dying(store: SqliteStore, commits: usize) -> Between {
    let (store, left) = (Between::new(store), AtomicUsize::new(commits));
    store.refuse(move |_| left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err());
    store
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_off_anywhere_exactly_one_of_the_keys_opens_everything() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_store(folder.path());
    let texts = sealed(&store).await;
    let (mut store, mut switched, mut commits) = (store, false, 0);
    loop {
        // Killed after one commit more each time: so every place is met, going on where the last one ended.
        let dying = dying(store, 1);
        let outcome = master_key::exchange(&dying, &key(1), &key(2), &SystemRandom).await;
        store = dying.into_inner();
        let (former, new) = (opens(&store, key(1), &texts).await, opens(&store, key(2), &texts).await);
        assert_ne!(former, new, "after {commits} commits");
        assert!(!(switched && former), "the former key came back");
        switched = new;
        if outcome.is_ok() {
            break;
        }
        commits += 1;
        assert!(commits < 50, "it makes no headway");
    }
    assert!(switched && commits > 4, "{commits}");
    assert_eq!(master_key::verify(&store, &key(2)).await.unwrap(), OWNERS);
    let rows = store.scan(&DATA_KEYS, "", Page::first(1000)).await.unwrap();
    assert!(rows.iter().all(|row| row.value().unwrap().get("next").is_none()), "nothing of the former key is left");
    let error = master_key::exchange(&store, &key(1), &key(3), &SystemRandom).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_was_given_up_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_store(folder.path());
    let texts = sealed(&store).await;
    let dying = dying(store, 2);
    master_key::exchange(&dying, &key(1), &key(2), &SystemRandom).await.unwrap_err();
    let store = dying.into_inner();
    // The server ran again under its old key meanwhile, and made another data key.
    let keyring = Keyring::new(key(1), Arc::new(SystemRandom));
    let late = keyring.seal(&store, "late", "t", "r", "f", b"late").await.unwrap();
    assert_eq!(master_key::exchange(&store, &key(1), &key(3), &SystemRandom).await.unwrap(), OWNERS + 1);
    assert!(opens(&store, key(3), &texts).await);
    assert!(!opens(&store, key(2), &texts).await);
    let keyring = Keyring::new(key(3), Arc::new(SystemRandom));
    assert_eq!(keyring.open(&store, "late", "t", "r", "f", &late).await.unwrap().as_slice(), b"late");
}
