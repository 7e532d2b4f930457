//! Exchanging the master key: whole, and cut off at every commit.

use async_trait::async_trait;
use ferrohub_clock::SystemClock;
use ferrohub_model::error::ErrorKind;
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::seal::MasterKey;
use ferrohub_service::keyring::Keyring;
use ferrohub_service::master_key;
use ferrohub_service::tables::{self, DATA_KEYS, META};
use ferrohub_store::{Changes, Committed, Page, Put, Row, Store, StoreError, Table, UnitOfWork};
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

/// A store that stops taking commits, as a process that is killed does.
struct Dying(SqliteStore, AtomicUsize);

#[async_trait]
impl Store for Dying {
    async fn commit(&self, unit: UnitOfWork) -> Result<Committed, StoreError> {
        let left = self.1.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map_err(|_| StoreError::Engine("killed".into()))?;
        self.0.commit(unit).await
    }
    async fn get(&self, table: &'static Table, key: &str) -> Result<Option<Arc<Row>>, StoreError> {
        self.0.get(table, key).await
    }
    async fn get_many(&self, table: &'static Table, keys: &[String]) -> Result<Vec<Option<Arc<Row>>>, StoreError> {
        self.0.get_many(table, keys).await
    }
    async fn find_one(
        &self,
        table: &'static Table,
        column: &'static str,
        value: &str,
    ) -> Result<Option<Arc<Row>>, StoreError> {
        self.0.find_one(table, column, value).await
    }
    async fn range(
        &self,
        table: &'static Table,
        column: &'static str,
        prefix: &str,
        page: Page,
    ) -> Result<Vec<Arc<Row>>, StoreError> {
        self.0.range(table, column, prefix, page).await
    }
    async fn find(
        &self,
        table: &'static Table,
        column: &'static str,
        value: &str,
        page: Page,
    ) -> Result<Vec<Arc<Row>>, StoreError> {
        self.0.find(table, column, value, page).await
    }
    async fn scan(&self, table: &'static Table, prefix: &str, page: Page) -> Result<Vec<Arc<Row>>, StoreError> {
        self.0.scan(table, prefix, page).await
    }
    async fn count(&self, table: &'static Table, column: &'static str, value: &str) -> Result<u64, StoreError> {
        self.0.count(table, column, value).await
    }
    async fn count_between(
        &self,
        table: &'static Table,
        column: &'static str,
        start: &str,
        end: &str,
    ) -> Result<u64, StoreError> {
        self.0.count_between(table, column, start, end).await
    }
    async fn last(&self, table: &'static Table, prefix: &str, page: Page) -> Result<Vec<Arc<Row>>, StoreError> {
        self.0.last(table, prefix, page).await
    }
    async fn changes(&self, tables: &[&'static Table], after: Option<u64>) -> Result<Changes, StoreError> {
        self.0.changes(tables, after).await
    }
    async fn ready(&self) -> Result<(), StoreError> {
        self.0.ready().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_off_anywhere_exactly_one_of_the_keys_opens_everything() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_store(folder.path());
    let texts = sealed(&store).await;
    let (mut store, mut switched, mut commits) = (store, false, 0);
    loop {
        // Killed after one commit more each time: so every place is met, going on where the last one ended.
        let dying = Dying(store, AtomicUsize::new(1));
        let outcome = master_key::exchange(&dying, &key(1), &key(2), &SystemRandom).await;
        store = dying.0;
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
    let dying = Dying(store, AtomicUsize::new(2));
    master_key::exchange(&dying, &key(1), &key(2), &SystemRandom).await.unwrap_err();
    let store = dying.0;
    // The server ran again under its old key meanwhile, and made another data key.
    let keyring = Keyring::new(key(1), Arc::new(SystemRandom));
    let late = keyring.seal(&store, "late", "t", "r", "f", b"late").await.unwrap();
    assert_eq!(master_key::exchange(&store, &key(1), &key(3), &SystemRandom).await.unwrap(), OWNERS + 1);
    assert!(opens(&store, key(3), &texts).await);
    assert!(!opens(&store, key(2), &texts).await);
    let keyring = Keyring::new(key(3), Arc::new(SystemRandom));
    assert_eq!(keyring.open(&store, "late", "t", "r", "f", &late).await.unwrap().as_slice(), b"late");
}
