//! A store in memory that decides by a seed when it is busy, when it fails and when others get their turn.

use async_trait::async_trait;
use ferrohub_model::limits;
use ferrohub_model::random::{Random, SeededRandom};
use ferrohub_store::conformance::{self, Place};
use ferrohub_store::{
    Changes, Committed, ConflictKind, Expect, Page, Put, Row, RowChange, Store, StoreError, Table, UnitOfWork,
    check_column, check_page, check_unique_column, column_of, may_be_key, unique_column_of,
};
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::task::JoinSet;

/// What is on the disk: rows of every table, and the last version given out.
#[derive(Default, Clone)]
pub(super) struct Rows {
    tables: BTreeMap<&'static str, BTreeMap<String, Arc<Kept>>>,
    sequence: u64,
}

struct Kept {
    version: u64,
    schema: u32,
    columns: Vec<Option<String>>,
    doc: String,
}

/// One process's handle. What it acknowledged is in `rows`, which outlive it.
pub(super) struct SimStore {
    rows: Arc<Mutex<Rows>>,
    random: SeededRandom,
    alive: AtomicBool,
    /// One call in so many fails; 0 for none.
    faults: AtomicU64,
    calls: AtomicU64,
}

impl SimStore {
    pub(super) fn over(rows: Arc<Mutex<Rows>>, seed: u64) -> Self {
        let random = SeededRandom::new(seed);
        Self { rows, random, alive: AtomicBool::new(true), faults: AtomicU64::new(0), calls: AtomicU64::new(0) }
    }

    /// Lets one call in `rate` fail from now on; 0 for none.
    pub(super) fn fail_one_in(&self, rate: u64) {
        self.faults.store(rate, Ordering::Relaxed);
    }

    /// The power goes off: nothing is read or written through this handle any more.
    pub(super) fn die(&self) {
        self.alive.store(false, Ordering::Relaxed);
    }

    /// Calls so far.
    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    fn below(&self, limit: u64) -> u64 {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        u64::from_le_bytes(bytes) % limit
    }

    fn strikes(&self, times: u64) -> bool {
        match self.faults.load(Ordering::Relaxed) {
            0 => false,
            rate => self.below(rate * times) == 0,
        }
    }

    /// Lets others run, and gives the rows unless this call fails.
    async fn enter(&self) -> Result<std::sync::MutexGuard<'_, Rows>, StoreError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        for _ in 0..self.below(3) {
            tokio::task::yield_now().await;
        }
        if !self.alive.load(Ordering::Relaxed) {
            return Err(StoreError::Engine("the power is off".into()));
        }
        if self.strikes(1) {
            return Err(StoreError::Busy);
        }
        Ok(self.rows.lock().unwrap())
    }

    async fn select(
        &self,
        table: &'static Table,
        wanted: impl Fn(&str, &[Option<String>]) -> bool,
    ) -> Result<Vec<Arc<Row>>, StoreError> {
        let rows = self.enter().await?;
        let Some(kept) = rows.tables.get(table.name) else { return Ok(Vec::new()) };
        let found = kept.iter().filter(|(key, kept)| wanted(key, &kept.padded(table)));
        found.map(|(key, kept)| kept.row(table, key)).collect()
    }
}

impl Kept {
    /// The columns as declared now: a later program may have added some.
    fn padded(&self, table: &Table) -> Vec<Option<String>> {
        let mut columns = self.columns.clone();
        columns.resize(table.columns.len(), None);
        columns
    }

    fn row(&self, table: &'static Table, key: &str) -> Result<Arc<Row>, StoreError> {
        let doc = self.doc.clone();
        Row::stored(table, key.to_owned(), self.version, self.padded(table), self.schema, doc).map(Arc::new)
    }
}

impl Rows {
    /// Takes a row away behind everybody's back.
    pub(super) fn lose_one_of(&mut self, table: &Table) -> String {
        self.tables.get_mut(table.name).and_then(BTreeMap::pop_last).expect("there is a row to lose").0
    }

    /// Takes this row away behind everybody's back.
    pub(super) fn lose(&mut self, table: &Table, key: &str) {
        self.tables.get_mut(table.name).and_then(|rows| rows.remove(key)).expect("the row is there");
    }

    fn table(&self, table: &Table) -> impl Iterator<Item = (&String, &Arc<Kept>)> {
        self.tables.get(table.name).into_iter().flatten()
    }

    fn get(&self, table: &Table, key: &str) -> Option<&Arc<Kept>> {
        self.tables.get(table.name)?.get(key)
    }

    fn check(&self, expectation: &Expect) -> Result<(), StoreError> {
        let refuse = |kind, table: &'static Table, what: &str| Err(StoreError::conflict(kind, table.name, what));
        match expectation {
            Expect::Version { table, key, version } => match self.get(table, key) {
                None => refuse(ConflictKind::NoRow, table, key),
                Some(kept) if kept.version != *version => refuse(ConflictKind::Version, table, key),
                Some(_) => Ok(()),
            },
            Expect::Absent { table, key } if self.get(table, key).is_some() => refuse(ConflictKind::Absent, table, key),
            Expect::Exists { table, key } if self.get(table, key).is_none() => refuse(ConflictKind::Exists, table, key),
            Expect::NoneWith { table, column, value } => {
                let index = check_column(table, column, value)?;
                let mut rows = self.table(table);
                match rows.any(|(_, kept)| kept.padded(table)[index].as_deref() == Some(value)) {
                    true => refuse(ConflictKind::Unique, table, column),
                    false => Ok(()),
                }
            }
            Expect::NonePrefixed { table, column, prefix } => {
                let index = check_unique_column(table, column, prefix)?;
                let starts =
                    |kept: &Kept| kept.padded(table)[index].as_ref().is_some_and(|text| text.starts_with(prefix));
                match self.table(table).any(|(_, kept)| starts(kept)) {
                    true => refuse(ConflictKind::Unique, table, column),
                    false => Ok(()),
                }
            }
            Expect::NoneBelow { table, prefix } => match self.table(table).any(|(key, _)| key.starts_with(prefix)) {
                true => refuse(ConflictKind::Unique, table, "key"),
                false => Ok(()),
            },
            Expect::Absent { .. } | Expect::Exists { .. } => Ok(()),
        }
    }

    fn put(&mut self, put: &Put) -> Result<u64, StoreError> {
        for (index, column) in put.table.columns.iter().enumerate().filter(|(_, column)| column.unique) {
            let Some(value) = &put.columns[index] else { continue };
            let mut others = self.table(put.table).filter(|(key, _)| **key != put.key);
            if others.any(|(_, kept)| kept.padded(put.table)[index].as_ref() == Some(value)) {
                return Err(StoreError::conflict(ConflictKind::Unique, put.table.name, column.name));
            }
        }
        self.sequence += 1;
        let (version, schema) = (self.sequence, put.table.schema_version);
        let kept = Kept { version, schema, columns: put.columns.clone(), doc: put.text().to_owned() };
        self.tables.entry(put.table.name).or_default().insert(put.key.clone(), Arc::new(kept));
        Ok(version)
    }

    /// Applies a unit whole or not at all.
    fn apply(&mut self, unit: &UnitOfWork) -> Result<Committed, StoreError> {
        unit.expectations().iter().try_for_each(|expectation| self.check(expectation))?;
        let before = self.tables.clone();
        let mut versions = Vec::new();
        for change in unit.changes() {
            match change {
                RowChange::Put(put) => match self.put(put) {
                    Ok(version) => versions.push(version),
                    Err(error) => {
                        self.tables = before;
                        return Err(error);
                    }
                },
                RowChange::Delete { table, key } => {
                    self.tables.entry(table.name).or_default().remove(key);
                }
            }
        }
        Ok(Committed { versions })
    }
}

#[async_trait]
impl Store for SimStore {
    async fn commit(&self, unit: UnitOfWork) -> Result<Committed, StoreError> {
        unit.check()?;
        let outcome = {
            let mut rows = self.enter().await?;
            // An engine that fails has either done it or not.
            match (self.strikes(2), self.below(2)) {
                (true, 0) => Err(StoreError::Engine("a fault before the write".into())),
                (true, _) => {
                    let _ = rows.apply(&unit);
                    Err(StoreError::Engine("a fault behind the write".into()))
                }
                (false, _) => rows.apply(&unit),
            }
        };
        // Whoever is dropped here was not told.
        for _ in 0..self.below(3) {
            tokio::task::yield_now().await;
        }
        if self.alive.load(Ordering::Relaxed) { outcome } else { Err(StoreError::Engine("the power is off".into())) }
    }

    async fn get(&self, table: &'static Table, key: &str) -> Result<Option<Arc<Row>>, StoreError> {
        if !may_be_key(key) {
            return Ok(None);
        }
        let rows = self.enter().await?;
        rows.get(table, key).map(|kept| kept.row(table, key)).transpose()
    }

    async fn get_many(&self, table: &'static Table, keys: &[String]) -> Result<Vec<Option<Arc<Row>>>, StoreError> {
        if keys.len() > limits::STORE_PAGE {
            return Err(StoreError::TooLarge(format!("a look-up of {} keys", keys.len())));
        }
        let rows = self.enter().await?;
        keys.iter().map(|key| rows.get(table, key).map(|kept| kept.row(table, key)).transpose()).collect()
    }

    async fn find_one(
        &self,
        table: &'static Table,
        column: &'static str,
        value: &str,
    ) -> Result<Option<Arc<Row>>, StoreError> {
        let index = unique_column_of(table, column)?;
        Ok(self.select(table, |_, columns| columns[index].as_deref() == Some(value)).await?.pop())
    }

    async fn find(
        &self,
        table: &'static Table,
        column: &'static str,
        value: &str,
        page: Page,
    ) -> Result<Vec<Arc<Row>>, StoreError> {
        let index = column_of(table, column)?;
        check_page(&page)?;
        let after = page.after.unwrap_or_default();
        let wanted =
            |key: &str, columns: &[Option<String>]| key > after.as_str() && columns[index].as_deref() == Some(value);
        let mut found = self.select(table, wanted).await?;
        found.truncate(page.limit);
        Ok(found)
    }

    async fn range(
        &self,
        table: &'static Table,
        column: &'static str,
        prefix: &str,
        page: Page,
    ) -> Result<Vec<Arc<Row>>, StoreError> {
        let index = unique_column_of(table, column)?;
        check_page(&page)?;
        let wanted = |_: &str, columns: &[Option<String>]| {
            let value = columns[index].as_deref();
            value.is_some_and(|value| {
                value.starts_with(prefix) && page.after.as_deref().is_none_or(|after| value > after)
            })
        };
        let mut found = self.select(table, wanted).await?;
        found.sort_by(|one, other| one.columns[index].cmp(&other.columns[index]));
        found.truncate(page.limit);
        Ok(found)
    }

    async fn scan(&self, table: &'static Table, prefix: &str, page: Page) -> Result<Vec<Arc<Row>>, StoreError> {
        check_page(&page)?;
        let after = page.after.unwrap_or_default();
        let mut found = self.select(table, |key, _| key.starts_with(prefix) && key > after.as_str()).await?;
        found.truncate(page.limit);
        Ok(found)
    }

    async fn count(&self, table: &'static Table, column: &'static str, value: &str) -> Result<u64, StoreError> {
        let index = column_of(table, column)?;
        Ok(self.select(table, |_, columns| columns[index].as_deref() == Some(value)).await?.len() as u64)
    }

    async fn count_between(
        &self,
        table: &'static Table,
        column: &'static str,
        start: &str,
        end: &str,
    ) -> Result<u64, StoreError> {
        let index = unique_column_of(table, column)?;
        let within = |_: &str, columns: &[Option<String>]| {
            columns[index].as_deref().is_some_and(|value| value >= start && value < end)
        };
        Ok(self.select(table, within).await?.len() as u64)
    }

    async fn last(&self, table: &'static Table, prefix: &str, page: Page) -> Result<Vec<Arc<Row>>, StoreError> {
        check_page(&page)?;
        let below = |key: &str| page.after.as_deref().is_none_or(|after| key < after);
        let mut found = self.select(table, |key, _| key.starts_with(prefix) && below(key)).await?;
        found.reverse();
        found.truncate(page.limit);
        Ok(found)
    }

    async fn changes(&self, _tables: &[&'static Table], _after: Option<u64>) -> Result<Changes, StoreError> {
        // It remembers nothing: who follows reads everything each time.
        self.enter().await.map(|_| Changes { upto: 0, keys: None })
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.enter().await.map(|_| ())
    }
}

/// Data sets by name.
#[derive(Default)]
struct Sets(Mutex<BTreeMap<String, Arc<Mutex<Rows>>>>);

#[async_trait]
impl Place for Sets {
    async fn open(&self, name: &str, _tables: &[&'static Table]) -> Result<Arc<dyn Store>, StoreError> {
        let rows = Arc::clone(self.0.lock().unwrap().entry(name.to_owned()).or_default());
        Ok(Arc::new(SimStore::over(rows, 1)))
    }

    async fn second(
        &self,
        name: &str,
        tables: &[&'static Table],
        _first: &Arc<dyn Store>,
    ) -> Result<Arc<dyn Store>, StoreError> {
        self.open(name, tables).await
    }

    async fn together(&self, tasks: Vec<BoxFuture<'static, ()>>) {
        let mut running: JoinSet<()> = tasks.into_iter().collect();
        while let Some(ended) = running.join_next().await {
            ended.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_simulated_store_is_a_store() {
    conformance::run(&Sets::default()).await;
}
