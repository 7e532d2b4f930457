//! The suite that every engine passes.
//!
//! An engine's test implements [`Place`] and calls [`run`]. Each check uses a data set of its own, works
//! on two handles of it in turns (as two processes would) and panics with a sentence when the engine breaks the contract of [`crate::Store`].
#![expect(clippy::expect_used, reason = "a conformance suite reports by panicking, as tests do")]

mod commits;
mod durability;
mod races;
mod reads;
mod turns;

use crate::{Column, ConflictKind, MigrateStep, Page, Pages, Put, Row, Store, StoreError, Table, UnitOfWork};
use async_trait::async_trait;
use ferrohub_model::limits;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use std::sync::Arc;

/// Where an engine keeps the suite's data sets.
#[async_trait]
pub trait Place: Send + Sync {
    /// Opens the data set called `name`, made empty when it is new, with `tables`. The suite drops
    /// every handle of a data set before it opens the same one again.
    ///
    /// # Errors
    /// The engine's own.
    async fn open(&self, name: &str, tables: &[&'static Table]) -> Result<Arc<dyn Store>, StoreError>;

    /// A second handle of the data set that `first` was opened on, as another process would have it; the same
    /// one where an engine holds its data for itself.
    ///
    /// # Errors
    /// The engine's own.
    async fn second(
        &self,
        name: &str,
        tables: &[&'static Table],
        first: &Arc<dyn Store>,
    ) -> Result<Arc<dyn Store>, StoreError>;

    /// Runs `tasks` at the same time, on several threads, until all have ended; panics when one does.
    async fn together(&self, tasks: Vec<BoxFuture<'static, ()>>);
}

/// Runs every check.
pub async fn run(place: &dyn Place) {
    commits::read_your_write(&*open(place, "read_your_write").await).await;
    commits::every_expectation(&*open(place, "every_expectation").await).await;
    commits::unique_columns(&*open(place, "unique_columns").await).await;
    commits::columns_are_those_of_the_last_write(&*open(place, "last_columns").await).await;
    commits::logs_are_read_by_their_keys(&*open(place, "logs").await).await;
    commits::a_unit_is_atomic(&*open(place, "a_unit_is_atomic").await).await;
    commits::concurrent_increments(open(place, "concurrent_increments").await).await;
    commits::versions_are_never_reused(&*open(place, "versions").await).await;
    commits::limits_hold(&*open(place, "limits").await).await;
    commits::large_documents(&*open(place, "large_documents").await).await;
    reads::what_cannot_exist_is_not_found(&*open(place, "impossible").await).await;
    reads::get_many_keeps_the_order(&*open(place, "get_many").await).await;
    reads::a_reader_sees_every_row_once(&*open(place, "every_row").await).await;
    reads::pages_are_stable(&*open(place, "pages").await).await;
    reads::prefixes_are_literal(&*open(place, "prefixes").await).await;
    reads::unique_values_find_one_row(&*open(place, "find_one").await).await;
    reads::unique_columns_have_ranges(&*open(place, "range").await).await;
    reads::a_row_is_parsed_once(&*open(place, "parse").await).await;
    reads::find_and_count(&*open(place, "find_and_count").await).await;
    reads::count_between(&*open(place, "count_between").await).await;
    reads::changes_name_what_was_written(&*open(place, "changes").await).await;
    reads::keys_are_compared_in_binary_order(&*open(place, "binary_order").await).await;
    races::reads_see_what_was_answered(place).await;
    durability::a_commit_outlives_the_store(place).await;
    durability::documents_are_migrated(place).await;
    durability::columns_may_be_added(place).await;
}

/// The suite's table: a unique column, a plain one, schema 1.
static THINGS: Table =
    Table::new("things", &[Column { name: "serial", unique: true }, Column { name: "colour", unique: false }]);

/// A second table, so that one engine's table cannot stand in for another.
static OTHERS: Table = Table::new("others", &[]);

/// A log.
static EVENTS: Table = Table::log("events");

/// The data set behind two handles that take turns.
async fn open(place: &dyn Place, name: &str) -> Arc<dyn Store> {
    let tables = [&THINGS, &OTHERS, &EVENTS];
    let first = place.open(name, &tables).await.expect("the data set opens");
    let second = place.second(name, &tables, &first).await.expect("a second handle opens");
    let store = Arc::new(turns::Turns::new(first, second));
    store.ready().await.expect("an open store is ready");
    store
}

fn thing(key: &str, serial: Option<&str>, colour: Option<&str>, doc: Value) -> Put {
    made(&THINGS, key, vec![serial.map(str::to_owned), colour.map(str::to_owned)], &doc)
}

fn other(key: &str, doc: Value) -> Put {
    made(&OTHERS, key, Vec::new(), &doc)
}

fn made(table: &'static Table, key: &str, columns: Vec<Option<String>>, doc: &Value) -> Put {
    Put::new(table, key, columns, doc).expect("a JSON value is a document")
}

/// The document of a row, parsed.
fn doc(row: &Row) -> Value {
    row.value().expect("the document parses")
}

async fn put(store: &dyn Store, put: Put) -> u64 {
    let mut unit = UnitOfWork::new();
    unit.put(put);
    let committed = store.commit(unit).await.expect("the put commits");
    assert_eq!(committed.versions.len(), 1, "one put gives one version");
    committed.versions[0]
}

async fn get(store: &dyn Store, key: &str) -> Option<Arc<Row>> {
    store.get(&THINGS, key).await.expect("the get works")
}

fn keys(rows: &[Arc<Row>]) -> Vec<&str> {
    rows.iter().map(|row| row.key.as_str()).collect()
}

fn conflict_of(result: Result<crate::Committed, StoreError>) -> (ConflictKind, &'static str, String) {
    match result.expect_err("the unit must be refused") {
        StoreError::Conflict { kind, table, key_or_column } => (kind, table, key_or_column),
        error => unexpected(&error),
    }
}

#[expect(clippy::panic, reason = "a conformance suite reports by panicking")]
fn unexpected(error: &StoreError) -> ! {
    panic!("expected a conflict, got: {error}")
}
