//! The Store trait, the unit of work and the conformance suite that every engine passes.
//!
//! A table is declared once ([`Table`]); every engine builds it. A row is a key, a version, some
//! columns that queries need and a JSON document, kept as text and parsed once per row object. The
//! service reads first, then submits a
//! [`UnitOfWork`] whole, and retries when the engine names a conflict; no transaction stays open
//! across an await.
//!
//! To add an engine: implement [`Store`] in a crate of its own and call [`conformance::run`] from
//! its tests. To add a table: declare a `static` [`Table`] in the service room and name it where
//! the binary opens the engine. To change a document's shape: raise `schema_version` by one and
//! append one step to `migrate`.

mod changes;
mod check;
pub mod conformance;
mod error;
mod pages;
mod row;
mod table;
mod unit;

pub use changes::Changes;
pub use check::{
    check_column, check_key, check_page, check_unique_column, column_of, may_be_key, may_be_value, prefix_end,
    unique_column_of,
};
pub use error::{ConflictKind, StoreError};
pub use pages::Pages;
pub use row::Row;
pub use table::{Column, MigrateStep, Table};
pub use unit::{Committed, Expect, Put, RowChange, UnitOfWork};

use async_trait::async_trait;
use std::sync::Arc;

/// Which part of an ordered result is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The key after which the page starts, exclusive; for [`Store::range`] the column's value. It
    /// need not exist any more.
    pub after: Option<String>,
    /// Most rows to return, 1 to `limits::STORE_PAGE`.
    pub limit: usize,
}

impl Page {
    /// The first page of at most `limit` rows.
    pub fn first(limit: usize) -> Self {
        Self { after: None, limit }
    }

    /// The page of at most `limit` rows whose keys (or values) follow `after`.
    pub fn following(after: impl Into<String>, limit: usize) -> Self {
        Self { after: Some(after.into()), limit }
    }
}

/// A durable set of document tables.
///
/// Keys are UTF-8 text of 1 to `limits::STORE_KEY_BYTES` bytes without NUL, compared in binary
/// order; lower-casing is the caller's job. A unit with another text is refused; a read that asks for one finds nothing, so that
/// callers need not sift what clients send. Every read sees every commit that was answered before
/// the read began. Rows are shared: an engine may hand the same object to several callers. Every method fails with [`StoreError::Busy`] when the engine's queue is full,
/// [`StoreError::Invalid`] when an argument breaks a rule of this crate, [`StoreError::Newer`]
/// when a newer program wrote the row, [`StoreError::Damaged`] when what is read is not what was written, and
/// [`StoreError::Engine`] when the engine itself fails.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Applies `unit` whole or not at all; synced to disk when it returns `Ok`.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when an expectation or a unique column does not hold,
    /// [`StoreError::TooLarge`] when the unit, a key or a document is over its limit, [`StoreError::Unwritable`] when the
    /// disk takes no more. A unit that
    /// got [`StoreError::Engine`] may or may not have been applied: read before trying again.
    async fn commit(&self, unit: UnitOfWork) -> Result<Committed, StoreError>;

    /// The row with `key`, its document in the table's newest schema.
    async fn get(&self, table: &'static Table, key: &str) -> Result<Option<Arc<Row>>, StoreError>;

    /// The rows with `keys` (at most `limits::STORE_PAGE`), in the order of `keys`, from one snapshot.
    async fn get_many(&self, table: &'static Table, keys: &[String]) -> Result<Vec<Option<Arc<Row>>>, StoreError>;

    /// The row whose unique `column` equals `value`; [`StoreError::Invalid`] for a plain column.
    async fn find_one(
        &self,
        table: &'static Table,
        column: &'static str,
        value: &str,
    ) -> Result<Option<Arc<Row>>, StoreError>;

    /// Rows whose `column` equals `value`, ordered by key.
    async fn find(
        &self,
        table: &'static Table,
        column: &'static str,
        value: &str,
        page: Page,
    ) -> Result<Vec<Arc<Row>>, StoreError>;

    /// Rows whose unique `column` starts with `prefix` (empty: all that have a value), ordered by it,
    /// paged after a value of it; [`StoreError::Invalid`] for a plain column.
    async fn range(
        &self,
        table: &'static Table,
        column: &'static str,
        prefix: &str,
        page: Page,
    ) -> Result<Vec<Arc<Row>>, StoreError>;

    /// Rows whose key starts with `prefix` (empty: all), ordered by key.
    async fn scan(&self, table: &'static Table, prefix: &str, page: Page) -> Result<Vec<Arc<Row>>, StoreError>;

    /// Number of rows whose `column` equals `value`.
    async fn count(&self, table: &'static Table, column: &'static str, value: &str) -> Result<u64, StoreError>;

    /// Number of rows whose unique `column` has a value from `start` up to, without, `end`: counted in the column's index, no row
    /// is read. [`StoreError::Invalid`] for a plain column.
    async fn count_between(
        &self,
        table: &'static Table,
        column: &'static str,
        start: &str,
        end: &str,
    ) -> Result<u64, StoreError>;

    /// Rows whose key starts with `prefix` (empty: all), in descending order of key; a page's `after` is the key below which
    /// it starts, exclusive.
    async fn last(&self, table: &'static Table, prefix: &str, page: Page) -> Result<Vec<Arc<Row>>, StoreError>;

    /// What was written in `tables` since `after`, which an earlier call gave; `None` only asks where things stand. Whoever holds
    /// rows in a form of his own reads all of them once and follows from there on, and sees what was answered before the call
    /// began. [`StoreError::Invalid`] for a table that the store does not know.
    async fn changes(&self, tables: &[&'static Table], after: Option<u64>) -> Result<Changes, StoreError>;

    /// `Ok` when the engine can read and write: it reads and looks for room, and leaves writing a row to the caller.
    async fn ready(&self) -> Result<(), StoreError>;
}
