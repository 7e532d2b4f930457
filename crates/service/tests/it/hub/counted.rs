//! The real store with a counter before it, and switches that make its reads slow or fail.

use async_trait::async_trait;
use ferrohub_model::clock::Clock;
use ferrohub_store::{Changes, Committed, Page, Row, Store, StoreError, Table, UnitOfWork};
use ferrohub_store_sqlite::SqliteStore;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub(super) struct Counted {
    store: SqliteStore,
    reads: AtomicUsize,
    busy: AtomicUsize,
    fault: Mutex<Option<StoreError>>,
    pause: Mutex<Option<(Arc<dyn Clock>, Duration)>>,
    at_once: AtomicUsize,
    most: AtomicUsize,
}

impl Counted {
    pub(super) fn new(store: SqliteStore) -> Self {
        Self {
            store,
            reads: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            fault: Mutex::new(None),
            pause: Mutex::new(None),
            at_once: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        }
    }

    /// Reads asked for until now.
    pub(super) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    /// Reads that were answered with `Busy` until now.
    pub(super) fn refusals(&self) -> usize {
        self.busy.load(Ordering::SeqCst)
    }

    /// What every read is answered with from now on; `None` = by the real store.
    pub(super) fn fail(&self, fault: Option<StoreError>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// From now on each read takes `pause` of `clock`; `None` = no longer than it takes. Forgets how many there were at once.
    pub(super) fn slow_down(&self, pause: Option<(Arc<dyn Clock>, Duration)>) {
        *self.pause.lock().unwrap_or_else(PoisonError::into_inner) = pause;
        self.most.store(0, Ordering::SeqCst);
    }

    /// Most reads that went on at one time since the store was slowed down.
    pub(super) fn most_at_once(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    async fn read<T>(&self, reading: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(at_once, Ordering::SeqCst);
        let _ends = Ends(&self.at_once);
        let pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((clock, pause)) = pause {
            clock.sleep(pause).await;
        }
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let answer = match fault {
            Some(fault) => Err(fault),
            None => reading.await,
        };
        if matches!(answer, Err(StoreError::Busy)) {
            self.busy.fetch_add(1, Ordering::SeqCst);
        }
        answer
    }
}

/// A read ends, also when whoever asked is gone.
struct Ends<'a>(&'a AtomicUsize);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Store for Counted {
    async fn commit(&self, unit: UnitOfWork) -> Result<Committed, StoreError> {
        self.store.commit(unit).await
    }

    async fn get(&self, table: &'static Table, key: &str) -> Result<Option<Arc<Row>>, StoreError> {
        self.read(self.store.get(table, key)).await
    }

    async fn get_many(&self, table: &'static Table, keys: &[String]) -> Result<Vec<Option<Arc<Row>>>, StoreError> {
        self.read(self.store.get_many(table, keys)).await
    }

    async fn find_one(
        &self,
        table: &'static Table,
        column: &'static str,
        value: &str,
    ) -> Result<Option<Arc<Row>>, StoreError> {
        self.read(self.store.find_one(table, column, value)).await
    }

    async fn range(
        &self,
        table: &'static Table,
        column: &'static str,
        prefix: &str,
        page: Page,
    ) -> Result<Vec<Arc<Row>>, StoreError> {
        self.read(self.store.range(table, column, prefix, page)).await
    }

    async fn find(
        &self,
        table: &'static Table,
        column: &'static str,
        value: &str,
        page: Page,
    ) -> Result<Vec<Arc<Row>>, StoreError> {
        self.read(self.store.find(table, column, value, page)).await
    }

    async fn scan(&self, table: &'static Table, prefix: &str, page: Page) -> Result<Vec<Arc<Row>>, StoreError> {
        self.read(self.store.scan(table, prefix, page)).await
    }

    async fn count(&self, table: &'static Table, column: &'static str, value: &str) -> Result<u64, StoreError> {
        self.read(self.store.count(table, column, value)).await
    }

    async fn count_between(
        &self,
        table: &'static Table,
        column: &'static str,
        start: &str,
        end: &str,
    ) -> Result<u64, StoreError> {
        self.read(self.store.count_between(table, column, start, end)).await
    }

    async fn last(&self, table: &'static Table, prefix: &str, page: Page) -> Result<Vec<Arc<Row>>, StoreError> {
        self.read(self.store.last(table, prefix, page)).await
    }

    async fn changes(&self, tables: &[&'static Table], after: Option<u64>) -> Result<Changes, StoreError> {
        self.store.changes(tables, after).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.store.ready().await
    }
}
