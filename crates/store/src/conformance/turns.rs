//! Two handles of one data set that take turns, so that every check crosses from one to the other.

use crate::{Changes, Committed, Page, Row, Store, StoreError, Table, UnitOfWork};
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(super) struct Turns {
    handles: [Arc<dyn Store>; 2],
    turn: AtomicUsize,
}

impl Turns {
    pub(super) fn new(first: Arc<dyn Store>, second: Arc<dyn Store>) -> Self {
        Self { handles: [first, second], turn: AtomicUsize::new(0) }
    }

    fn next(&self) -> &dyn Store {
        &*self.handles[self.turn.fetch_add(1, Ordering::Relaxed) % 2]
    }
}

#[async_trait]
impl Store for Turns {
    async fn commit(&self, unit: UnitOfWork) -> Result<Committed, StoreError> {
        self.next().commit(unit).await
    }

    async fn get(&self, table: &'static Table, key: &str) -> Result<Option<Arc<Row>>, StoreError> {
        self.next().get(table, key).await
    }

    async fn get_many(&self, table: &'static Table, keys: &[String]) -> Result<Vec<Option<Arc<Row>>>, StoreError> {
        self.next().get_many(table, keys).await
    }

    async fn find_one(
        &self,
        table: &'static Table,
        column: &'static str,
        value: &str,
    ) -> Result<Option<Arc<Row>>, StoreError> {
        self.next().find_one(table, column, value).await
    }

    async fn find(
        &self,
        table: &'static Table,
        column: &'static str,
        value: &str,
        page: Page,
    ) -> Result<Vec<Arc<Row>>, StoreError> {
        self.next().find(table, column, value, page).await
    }

    async fn range(
        &self,
        table: &'static Table,
        column: &'static str,
        prefix: &str,
        page: Page,
    ) -> Result<Vec<Arc<Row>>, StoreError> {
        self.next().range(table, column, prefix, page).await
    }

    async fn scan(&self, table: &'static Table, prefix: &str, page: Page) -> Result<Vec<Arc<Row>>, StoreError> {
        self.next().scan(table, prefix, page).await
    }

    async fn count(&self, table: &'static Table, column: &'static str, value: &str) -> Result<u64, StoreError> {
        self.next().count(table, column, value).await
    }

    async fn count_between(
        &self,
        table: &'static Table,
        column: &'static str,
        start: &str,
        end: &str,
    ) -> Result<u64, StoreError> {
        self.next().count_between(table, column, start, end).await
    }

    async fn last(&self, table: &'static Table, prefix: &str, page: Page) -> Result<Vec<Arc<Row>>, StoreError> {
        self.next().last(table, prefix, page).await
    }

    async fn changes(&self, tables: &[&'static Table], after: Option<u64>) -> Result<Changes, StoreError> {
        // Where a reader stands is a matter of its handle.
        self.handles[0].changes(tables, after).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        for handle in &self.handles {
            handle.ready().await?;
        }
        Ok(())
    }
}
