//! The real store, in which a test lets something happen between what a writer read and its commit.

use async_trait::async_trait;
use ferrohub_service::arm::types::Types;
use ferrohub_service::tables;
use ferrohub_store::{Changes, Committed, Page, Row, RowChange, Store, StoreError, Table, UnitOfWork};
use ferrohub_store_sqlite::SqliteStore;
use futures_util::future::BoxFuture;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Which commits are meant.
type Meant = Box<dyn Fn(&UnitOfWork) -> bool + Send>;

/// What happens first, and before which commit.
struct Meanwhile {
    before: Meant,
    happens: BoxFuture<'static, ()>,
}

/// What happens first, and before which look at a table.
struct BeforeRead {
    table: &'static str,
    /// Looks that are let go before.
    skipped: usize,
    happens: BoxFuture<'static, ()>,
}

pub(super) struct Between {
    store: SqliteStore,
    meanwhile: Mutex<Option<Meanwhile>>,
    before_read: Mutex<Option<BeforeRead>>,
    refused: Mutex<Option<Meant>>,
    /// The table of each page that was scanned.
    scanned: Mutex<Vec<&'static str>>,
    untold: Untold,
    /// Whether the test writes resources by itself, which nothing tells of.
    unwatched: AtomicBool,
}

/// Resources that were written, and no log tells of it; there must be none in the end.
#[derive(Default)]
struct Untold(Mutex<Vec<String>>);

impl Drop for Untold {
    fn drop(&mut self) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(all.is_empty() || std::thread::panicking(), "nothing tells of what was written: {all:#?}");
    }
}

/// Tables one of whose rows tells of the resources in its unit: the activity log; an operation, which has rows of its own there; what
/// the data planes write, which that log is not of; what the first start makes.
const TELLING: [&Table; 4] = [&tables::ACTIVITY, &tables::OPERATIONS, &tables::DEVICES, &tables::META];

/// How the document says so of what an operation takes away that tells of it by its own rows.
const GOING: &str = r#""provisioningState":"Deleting""#;

/// Whether a row is of a resource below another one, whose end tells of it.
fn is_nested(row: &Row) -> bool {
    let place = row.columns.first().and_then(Option::as_deref).unwrap_or_default();
    let decl = place.split('/').nth(1).and_then(|tag| Types::built_in().tagged(tag));
    decl.is_some_and(|decl| decl.kind.is_nested())
}

/// The etag of a resource's document; what is written without a new one is no change in the sense of Resource Manager.
fn etag(document: &str) -> Option<String> {
    serde_json::from_str::<Value>(document).ok()?.get("etag")?.as_str().map(str::to_owned)
}

/// Whether a unit writes this row.
pub(super) fn writes(table: &'static Table, key: &str) -> impl Fn(&UnitOfWork) -> bool + Send + use<> {
    let key = key.to_owned();
    move |unit| {
        unit.changes().iter().any(|change| match change {
            RowChange::Put(put) => put.table.name == table.name && put.key == key,
            RowChange::Delete { table: of, key: gone } => of.name == table.name && *gone == key,
        })
    }
}

/// Whether a unit writes any row of this table.
pub(super) fn writes_any(table: &'static Table) -> impl Fn(&UnitOfWork) -> bool + Send + use<> {
    move |unit| {
        unit.changes().iter().any(|change| match change {
            RowChange::Put(put) => put.table.name == table.name,
            RowChange::Delete { table: of, .. } => of.name == table.name,
        })
    }
}

impl Between {
    pub(super) fn new(store: SqliteStore) -> Self {
        Self {
            store,
            meanwhile: Mutex::new(None),
            before_read: Mutex::new(None),
            refused: Mutex::new(None),
            scanned: Mutex::default(),
            untold: Untold::default(),
            unwatched: AtomicBool::new(false),
        }
    }

    pub(super) fn into_inner(self) -> SqliteStore {
        self.store
    }

    /// Lets `happens` happen, once, right before the first commit of which `before` is true.
    pub(super) fn meanwhile(
        &self,
        before: impl Fn(&UnitOfWork) -> bool + Send + 'static,
        happens: impl Future<Output = ()> + Send + 'static,
    ) {
        let meanwhile = Meanwhile { before: Box::new(before), happens: Box::pin(happens) };
        *self.meanwhile.lock().unwrap_or_else(PoisonError::into_inner) = Some(meanwhile);
    }

    /// Lets `happens` happen, once, right before somebody looks for a row of `table` by its key, or for rows by a column, after `skipped`
    /// who did.
    pub(super) fn before_read(
        &self,
        table: &Table,
        skipped: usize,
        happens: impl Future<Output = ()> + Send + 'static,
    ) {
        let due = BeforeRead { table: table.name, skipped, happens: Box::pin(happens) };
        *self.before_read.lock().unwrap_or_else(PoisonError::into_inner) = Some(due);
    }

    /// From now on the test writes resources by itself.
    pub(super) fn unwatched(&self) {
        self.unwatched.store(true, Ordering::Relaxed);
    }

    /// Whether an operation that runs takes this resource away.
    async fn goes_by_itself(&self, key: &str) -> bool {
        let running = self.store.find(&tables::OPERATIONS, "state", "running", Page::first(1000)).await.unwrap();
        running.iter().any(|row| row.value().unwrap()["input"]["uid"] == key)
    }

    /// The resources that a unit writes without what tells of it.
    async fn untold(&self, unit: &UnitOfWork) -> Vec<String> {
        if self.unwatched.load(Ordering::Relaxed) || TELLING.iter().any(|table| writes_any(table)(unit)) {
            return Vec::new();
        }
        let mut untold = Vec::new();
        for change in unit.changes() {
            match change {
                RowChange::Put(put) if put.table.name == tables::RESOURCES.name => {
                    let was = self.store.get(put.table, &put.key).await.unwrap();
                    if was.is_none_or(|was| etag(was.text()) != etag(put.text())) {
                        untold.push(format!("put {:?}", put.columns));
                    }
                }
                RowChange::Delete { table, key } if table.name == tables::RESOURCES.name => {
                    let was = self.store.get(table, key).await.unwrap();
                    if let Some(was) = was.filter(|was| !was.text().contains(GOING) && !is_nested(was))
                        && !self.goes_by_itself(key).await
                    {
                        untold.push(format!("delete {:?}", was.columns));
                    }
                }
                _ => {}
            }
        }
        untold
    }

    async fn looked_at(&self, table: &Table) {
        let due = {
            let mut waits = self.before_read.lock().unwrap_or_else(PoisonError::into_inner);
            waits.take_if(|due| {
                let this = due.table == table.name && due.skipped == 0;
                due.skipped -= usize::from(due.table == table.name && !this);
                this
            })
        };
        if let Some(due) = due {
            due.happens.await;
        }
    }

    /// From now on answers `Busy` to each commit of which `refused` is true.
    pub(super) fn refuse(&self, refused: impl Fn(&UnitOfWork) -> bool + Send + 'static) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(refused));
    }

    /// Pages of a table that were scanned until now.
    pub(super) fn scans(&self, table: &Table) -> usize {
        let scanned = self.scanned.lock().unwrap_or_else(PoisonError::into_inner);
        scanned.iter().filter(|name| **name == table.name).count()
    }

    /// Whether what was to happen has.
    pub(super) fn happened(&self) -> bool {
        self.meanwhile.lock().unwrap_or_else(PoisonError::into_inner).is_none()
            && self.before_read.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

#[async_trait]
impl Store for Between {
    async fn commit(&self, unit: UnitOfWork) -> Result<Committed, StoreError> {
        let due = {
            let mut waits = self.meanwhile.lock().unwrap_or_else(PoisonError::into_inner);
            waits.take_if(|meanwhile| (meanwhile.before)(&unit))
        };
        if let Some(due) = due {
            due.happens.await;
        }
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|it| it(&unit));
        if refused {
            return Err(StoreError::Busy);
        }
        let untold = self.untold(&unit).await;
        let done = self.store.commit(unit).await?;
        self.untold.0.lock().unwrap_or_else(PoisonError::into_inner).extend(untold);
        Ok(done)
    }

    async fn get(&self, table: &'static Table, key: &str) -> Result<Option<Arc<Row>>, StoreError> {
        self.looked_at(table).await;
        self.store.get(table, key).await
    }

    async fn get_many(&self, table: &'static Table, keys: &[String]) -> Result<Vec<Option<Arc<Row>>>, StoreError> {
        self.store.get_many(table, keys).await
    }

    async fn find_one(
        &self,
        table: &'static Table,
        column: &'static str,
        value: &str,
    ) -> Result<Option<Arc<Row>>, StoreError> {
        self.store.find_one(table, column, value).await
    }

    async fn range(
        &self,
        table: &'static Table,
        column: &'static str,
        prefix: &str,
        page: Page,
    ) -> Result<Vec<Arc<Row>>, StoreError> {
        self.store.range(table, column, prefix, page).await
    }

    async fn find(
        &self,
        table: &'static Table,
        column: &'static str,
        value: &str,
        page: Page,
    ) -> Result<Vec<Arc<Row>>, StoreError> {
        self.looked_at(table).await;
        self.store.find(table, column, value, page).await
    }

    async fn scan(&self, table: &'static Table, prefix: &str, page: Page) -> Result<Vec<Arc<Row>>, StoreError> {
        self.scanned.lock().unwrap_or_else(PoisonError::into_inner).push(table.name);
        self.store.scan(table, prefix, page).await
    }

    async fn count(&self, table: &'static Table, column: &'static str, value: &str) -> Result<u64, StoreError> {
        self.store.count(table, column, value).await
    }

    async fn count_between(
        &self,
        table: &'static Table,
        column: &'static str,
        start: &str,
        end: &str,
    ) -> Result<u64, StoreError> {
        self.store.count_between(table, column, start, end).await
    }

    async fn last(&self, table: &'static Table, prefix: &str, page: Page) -> Result<Vec<Arc<Row>>, StoreError> {
        self.store.last(table, prefix, page).await
    }

    async fn changes(&self, tables: &[&'static Table], after: Option<u64>) -> Result<Changes, StoreError> {
        self.store.changes(tables, after).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.store.ready().await
    }
}
