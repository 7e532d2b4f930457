//! The embedded Store: SQLite with one writer, group commit and readers beside it.
//!
//! One thread owns the writing connection. It takes every unit of work that waits, applies each
//! whole or not at all in one transaction, commits once with a full sync and then answers all of
//! them. A small pool of threads, each with a connection of its own, serves reads beside it (WAL). Rows that
//! were read or written lately are answered from memory, without a thread (`cache.rs`).
//!
//! Tables are built from their declarations (`schema.rs`); statements are made once per table from
//! declared names only (`sql.rs`), every value is bound.

mod cache;
mod checksum;
mod followed;
mod health;
mod reader;
mod schema;
mod sql;
mod writer;

use crate::cache::RowCache;
use crate::cache::lists::Ask;
use crate::health::{Damage, Watch};
use crate::reader::Readers;
use crate::sql::{Statements, View};
use crate::writer::Writer;
use async_trait::async_trait;
use ferrohub_model::clock::Clock;
use ferrohub_model::limits;
use ferrohub_store::{
    Changes, Committed, Page, Row, Store, StoreError, Table, UnitOfWork, check_page, column_of, may_be_key,
    may_be_value, unique_column_of,
};
use quick_cache::DefaultHashBuilder;
use rusqlite::{ErrorCode, ffi};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How the engine runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads that read, 1 to 64.
    pub readers: usize,
    /// Most units of work in one synced transaction, at least 1.
    pub batch_units: usize,
    /// Bytes of memory for rows that were read or written, with what was parsed of them; 0 for none.
    pub cache_bytes: u64,
    /// How long an opening waits for the check of the whole file. A file for which that is not enough is served meanwhile.
    pub check_wait: Duration,
}

/// What a start spends on that: ours. It is enough for some megabytes, and a start takes no longer with more devices.
const CHECK_WAIT: Duration = Duration::from_millis(15);

impl Default for Options {
    fn default() -> Self {
        Self { readers: 2, batch_units: 512, cache_bytes: limits::STORE_CACHE_BYTES, check_wait: CHECK_WAIT }
    }
}

const MOST_READERS: usize = 64;

/// A [`Store`] in one SQLite file. The folder must be locked by the caller: one process at a time.
/// Dropping it finishes the commits under way and closes the file; it blocks until that is done.
pub struct SqliteStore {
    tables: Tables,
    cache: Arc<RowCache>,
    damage: Damage,
    _watch: Watch,
    // Before the writer, so that the writer closes last and folds the write-ahead log in.
    readers: Readers,
    writer: Writer,
}

/// Statements by the name of their table.
pub(crate) type Tables = Arc<HashMap<&'static str, Arc<Statements>, DefaultHashBuilder>>;

impl SqliteStore {
    /// Opens the file at `path`, made (mode 0600) when it is not there, with exactly `tables`.
    /// Missing tables, columns and indexes are added. `clock` times the groups of commits. Blocks on the disk.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the file is found not to be whole, [`StoreError::Newer`] or [`StoreError::Older`] when another program wrote it, [`StoreError::Invalid`] for a wrong
    /// declaration, [`StoreError::Engine`] when the file is no store or cannot be opened.
    pub fn open(
        path: &Path,
        tables: &[&'static Table],
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<Self, StoreError> {
        for (number, table) in tables.iter().enumerate() {
            table.check()?;
            if tables[..number].iter().any(|other| other.name == table.name) {
                return Err(StoreError::Invalid(format!("table {:?} is declared twice", table.name)));
            }
        }
        let (connection, tables) = schema::open(path, tables)?;
        let cache = Arc::new(RowCache::new(options.cache_bytes));
        let writer =
            Writer::start(connection, Arc::clone(&tables), Arc::clone(&cache), clock, options.batch_units.max(1))?;
        let readers = Readers::start(path, options.readers.clamp(1, MOST_READERS), &cache)?;
        let damage = Damage::default();
        let watch = Watch::start(path, &damage, options.check_wait)?;
        damage.refuse()?;
        Ok(Self { tables, cache, damage, _watch: watch, readers, writer })
    }

    /// Checks the file at `path` from end to end: its trees, and every row of `tables` against its checksum. Gives what is
    /// wrong, a sentence each. No other program may have the file open; it is brought up to date as by an opening. Blocks on
    /// the disk.
    ///
    /// # Errors
    /// Those of [`SqliteStore::open`], damage apart.
    pub fn check(path: &Path, tables: &[&'static Table]) -> Result<Vec<String>, StoreError> {
        match schema::open(path, tables).and_then(|(_, tables)| health::check(path, &tables)) {
            Err(StoreError::Damaged(text)) => Ok(vec![text]),
            outcome => outcome,
        }
    }

    /// Writes a copy of the file at `from`, as it is at one moment, to `to`, which must not be there or be empty. A program
    /// may have the file open and write to it, this one or another: it goes on meanwhile, and its write-ahead log grows. Rows
    /// that were deleted leave no trace in the copy. Blocks on the disk.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the file is found not to be whole, else [`StoreError`] of the file system.
    pub fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
        let fail = |error: rusqlite::Error| engine(&format!("copying {}", from.display()), &error);
        let connection = reader::connect(from).map_err(fail)?;
        let target = to.to_str().ok_or_else(|| StoreError::Invalid(format!("{} is no UTF-8", to.display())))?;
        connection.execute("VACUUM INTO ?1", [target]).map_err(fail)?;
        Ok(())
    }

    fn statements(&self, table: &'static Table) -> Result<&Arc<Statements>, StoreError> {
        self.tables.get(table.name).ok_or_else(|| unknown_table(table))
    }
}

fn unknown_table(table: &Table) -> StoreError {
    StoreError::Invalid(format!("table {:?} was not named when the store was opened", table.name))
}

/// An error of SQLite that is no conflict.
pub(crate) fn engine(what: &str, error: &rusqlite::Error) -> StoreError {
    let text = format!("{what}: {error}");
    let Some(found) = error.sqlite_error() else { return StoreError::Engine(text) };
    match found.code {
        ErrorCode::DiskFull | ErrorCode::ReadOnly => StoreError::Unwritable(text),
        // A quota, or a limit of the process.
        _ if found.extended_code == ffi::SQLITE_IOERR_WRITE => StoreError::Unwritable(text),
        ErrorCode::DatabaseCorrupt => StoreError::Damaged(text),
        _ => StoreError::Engine(text),
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, unit: UnitOfWork) -> Result<Committed, StoreError> {
        unit.check()?;
        // What an expectation does not find may be there.
        self.damage.refuse()?;
        self.writer.commit(&self.tables, unit).await
    }

    async fn get(&self, table: &'static Table, key: &str) -> Result<Option<Arc<Row>>, StoreError> {
        let statements = self.statements(table)?;
        if !may_be_key(key) {
            return Ok(None);
        }
        if let Some(known) = self.cache.get(statements.number, key) {
            return Ok(known);
        }
        let (statements, key) = (Arc::clone(statements), key.to_owned());
        self.readers.run(move |view| statements.get(view, &key)).await
    }

    async fn get_many(&self, table: &'static Table, keys: &[String]) -> Result<Vec<Option<Arc<Row>>>, StoreError> {
        if keys.len() > limits::STORE_PAGE {
            return Err(StoreError::TooLarge(format!(
                "a look-up of {} keys; at most {} are taken",
                keys.len(),
                limits::STORE_PAGE
            )));
        }
        let statements = self.statements(table)?;
        if !keys.iter().all(|key| may_be_key(key)) {
            let possible: Vec<String> = keys.iter().filter(|key| may_be_key(key)).cloned().collect();
            let mut found = self.get_many(table, &possible).await?.into_iter();
            return Ok(keys.iter().map(|key| may_be_key(key).then(|| found.next()).flatten().flatten()).collect());
        }
        if let Some(rows) = self.cache.get_all(statements.number, keys) {
            return Ok(rows);
        }
        let (statements, keys) = (Arc::clone(statements), keys.to_vec());
        self.readers.run(move |view| statements.get_many(view, &keys)).await
    }

    async fn find_one(
        &self,
        table: &'static Table,
        column: &'static str,
        value: &str,
    ) -> Result<Option<Arc<Row>>, StoreError> {
        let index = unique_column_of(table, column)?;
        self.damage.refuse()?;
        let statements = self.statements(table)?;
        if !may_be_value(value) {
            return Ok(None);
        }
        if let Some(row) = self.cache.find_one(statements.number, index, value) {
            return Ok(Some(row));
        }
        let (statements, value) = (Arc::clone(statements), value.to_owned());
        self.readers.run(move |view| statements.find_one(view, index, &value)).await
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
        self.damage.refuse()?;
        let statements = self.statements(table)?;
        if !may_be_value(prefix) {
            return Ok(Vec::new());
        }
        if let Some(rows) = Ask::below(statements.number, index, prefix, &page).and_then(|ask| self.cache.list(&ask)) {
            return Ok(rows);
        }
        let (statements, prefix) = (Arc::clone(statements), prefix.to_owned());
        self.readers.run(move |view| statements.range(view, index, &prefix, &page)).await
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
        self.damage.refuse()?;
        let statements = self.statements(table)?;
        if !may_be_value(value) {
            return Ok(Vec::new());
        }
        let ask = Ask::equal(statements.number, table, index, value, &page);
        if let Some(rows) = ask.and_then(|ask| self.cache.list(&ask)) {
            return Ok(rows);
        }
        let (statements, value) = (Arc::clone(statements), value.to_owned());
        self.readers.run(move |view| statements.find(view, index, &value, &page)).await
    }

    async fn scan(&self, table: &'static Table, prefix: &str, page: Page) -> Result<Vec<Arc<Row>>, StoreError> {
        check_page(&page)?;
        self.damage.refuse()?;
        let (statements, prefix) = (Arc::clone(self.statements(table)?), prefix.to_owned());
        self.readers.run(move |view| statements.scan(view, &prefix, &page)).await
    }

    async fn count(&self, table: &'static Table, column: &'static str, value: &str) -> Result<u64, StoreError> {
        let index = column_of(table, column)?;
        self.damage.refuse()?;
        let (statements, value) = (Arc::clone(self.statements(table)?), value.to_owned());
        self.readers.run(move |view| statements.count(view.connection, index, &value)).await
    }

    async fn count_between(
        &self,
        table: &'static Table,
        column: &'static str,
        start: &str,
        end: &str,
    ) -> Result<u64, StoreError> {
        let index = unique_column_of(table, column)?;
        self.damage.refuse()?;
        let (statements, start, end) = (Arc::clone(self.statements(table)?), start.to_owned(), end.to_owned());
        self.readers.run(move |view| statements.count_between(view.connection, index, &start, &end)).await
    }

    async fn last(&self, table: &'static Table, prefix: &str, page: Page) -> Result<Vec<Arc<Row>>, StoreError> {
        check_page(&page)?;
        self.damage.refuse()?;
        let (statements, prefix) = (Arc::clone(self.statements(table)?), prefix.to_owned());
        self.readers.run(move |view| statements.last(view, &prefix, &page)).await
    }

    async fn changes(&self, tables: &[&'static Table], after: Option<u64>) -> Result<Changes, StoreError> {
        self.damage.refuse()?;
        let numbered = tables.iter().map(|table| Ok((self.statements(table)?.number, table.name)));
        let numbered: Vec<(u16, &'static str)> = numbered.collect::<Result<_, StoreError>>()?;
        let numbers: Vec<u16> = numbered.iter().map(|(number, _)| *number).collect();
        let (upto, keys) = self.cache.changes(&numbers, after);
        let named = |(number, key): (u16, String)| {
            let name = numbered.iter().find(|(known, _)| *known == number).map_or("", |(_, name)| name);
            (name, key)
        };
        Ok(Changes { upto, keys: keys.map(|keys| keys.into_iter().map(named).collect()) })
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.damage.refuse()?;
        // An empty unit begins and ends a transaction without touching the disk.
        self.writer.commit(&self.tables, UnitOfWork::new()).await?;
        let probe = |view: &View<'_>| {
            let result = view.connection.query_row("SELECT 1", [], |_| Ok(()));
            result.map_err(|error| engine("probing", &error))
        };
        self.readers.run(probe).await
    }
}
