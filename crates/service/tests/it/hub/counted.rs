//! The real store with a counter before it, and a switch that makes its reads fail.

use async_trait::async_trait;
use ferrohub_store::{Committed, Page, Row, Store, StoreError, Table, UnitOfWork};
use ferrohub_store_sqlite::SqliteStore;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub(super) struct Counted {
    store: SqliteStore,
    reads: AtomicUsize,
    busy: AtomicUsize,
    fault: Mutex<Option<StoreError>>,
}

impl Counted {
    pub(super) fn new(store: SqliteStore) -> Self {
        Self { store, reads: AtomicUsize::new(0), busy: AtomicUsize::new(0), fault: Mutex::new(None) }
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

    fn check(&self) -> Result<(), StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone();
        fault.map_or(Ok(()), |fault| self.note(Err(fault)))
    }

    fn note<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        if matches!(answer, Err(StoreError::Busy)) {
            self.busy.fetch_add(1, Ordering::SeqCst);
        }
        answer
    }
}

#[async_trait]
impl Store for Counted {
    async fn commit(&self, unit: UnitOfWork) -> Result<Committed, StoreError> {
        self.store.commit(unit).await
    }

    async fn get(&self, table: &'static Table, key: &str) -> Result<Option<Arc<Row>>, StoreError> {
        self.check()?;
        self.note(self.store.get(table, key).await)
    }

    async fn get_many(&self, table: &'static Table, keys: &[String]) -> Result<Vec<Option<Arc<Row>>>, StoreError> {
        self.check()?;
        self.note(self.store.get_many(table, keys).await)
    }

    async fn find_one(
        &self,
        table: &'static Table,
        column: &'static str,
        value: &str,
    ) -> Result<Option<Arc<Row>>, StoreError> {
        self.check()?;
        self.note(self.store.find_one(table, column, value).await)
    }

    async fn range(
        &self,
        table: &'static Table,
        column: &'static str,
        prefix: &str,
        page: Page,
    ) -> Result<Vec<Arc<Row>>, StoreError> {
        self.check()?;
        self.note(self.store.range(table, column, prefix, page).await)
    }

    async fn find(
        &self,
        table: &'static Table,
        column: &'static str,
        value: &str,
        page: Page,
    ) -> Result<Vec<Arc<Row>>, StoreError> {
        self.check()?;
        self.note(self.store.find(table, column, value, page).await)
    }

    async fn scan(&self, table: &'static Table, prefix: &str, page: Page) -> Result<Vec<Arc<Row>>, StoreError> {
        self.check()?;
        self.note(self.store.scan(table, prefix, page).await)
    }

    async fn count(&self, table: &'static Table, column: &'static str, value: &str) -> Result<u64, StoreError> {
        self.check()?;
        self.note(self.store.count(table, column, value).await)
    }

    async fn last(&self, table: &'static Table, prefix: &str, limit: usize) -> Result<Vec<Arc<Row>>, StoreError> {
        self.check()?;
        self.note(self.store.last(table, prefix, limit).await)
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.store.ready().await
    }
}
