//! Statements of a table. Text is made of declared, checked names only; every value is bound.
//!
//! Tables have a rowid on purpose: documents run to kilobytes, and SQLite keeps large rows of a
//! WITHOUT ROWID table in the inner pages of the key's tree.

mod sums;

use crate::cache::lists::Ask;
use crate::cache::{RowCache, Ticket};
use crate::{checksum, engine};
use ferrohub_store::{Column, Page, Row, StoreError, Table, prefix_end};
use rusqlite::{Connection, OptionalExtension, Params, params};
use std::sync::Arc;

/// What a read looks at: the file as a connection sees it, and the rows in memory.
pub(crate) struct View<'a> {
    pub(crate) connection: &'a Connection,
    cache: &'a RowCache,
    ticket: Ticket,
}

impl<'a> View<'a> {
    /// To be made before the first statement runs.
    pub(crate) fn new(connection: &'a Connection, cache: &'a RowCache) -> Self {
        Self { connection, cache, ticket: cache.ticket() }
    }
}

/// The statements of one table, as text; connections keep them prepared.
pub(crate) struct Statements {
    /// Number of the table in this engine.
    pub(crate) number: u16,
    /// The declaration.
    pub(crate) table: &'static Table,
    /// Columns that the file has and the declaration has not, by the names of their declarations: of another program. Rows
    /// that have values in them were summed with them.
    foreign: Vec<String>,
    /// Version of the row with key ?1.
    pub(crate) version: String,
    /// Inserts or replaces: key, version, schema, doc, checksum, then the columns.
    pub(crate) put: String,
    /// The same for a row that is there and keeps the values of its columns, and so leaves their indexes as they are; `None`
    /// where the file has foreign columns, which every write clears.
    pub(crate) rewrite: Option<String>,
    /// Removes the row with key ?1.
    pub(crate) delete: String,
    /// For each column: whether a row has value ?1.
    pub(crate) exists_with: Vec<String>,
    /// For each column: whether a row has a value from ?1 up to, without, ?2.
    pub(crate) exists_prefixed: Vec<String>,
    /// Whether a row has a key from ?1 up to, without, ?2.
    pub(crate) exists_below: String,
    get: String,
    scan: Range,
    last: Range,
    find: Vec<String>,
    count: Vec<String>,
    count_between: Vec<String>,
    /// For each column: the row with value ?1 in it, if the column is unique.
    find_one: Vec<String>,
    /// For each column: rows by value, if the column is unique.
    range: Vec<Range>,
    /// Rows behind the rowid ?1, at most ?2, without foreign columns.
    every: String,
    /// The same with everything that a checksum is over, and the rowid at the end.
    checked: String,
    /// Sets the checksum ?2 of the row with rowid ?1.
    set_sum: String,
}

/// A statement over a range of keys or values, with an upper end and without.
struct Range {
    bounded: String,
    open: String,
}

impl Statements {
    /// The statements of a checked declaration over a table that has `foreign` columns too.
    pub(crate) fn new(number: u16, table: &'static Table, foreign: Vec<String>) -> Self {
        let name = format!("t_{}", table.name);
        let columns: String = table.columns.iter().map(|column| format!(", c_{}", column.name)).collect();
        let others: String = foreign.iter().map(|column| format!(", \"c_{column}\"")).collect();
        let select = format!("SELECT key, version, schema, doc, sum{columns}{others} FROM {name}");
        let range = |by: &str, order: &str| Range {
            bounded: format!("{select} WHERE {by} >= ?1 AND {by} < ?2 ORDER BY {by} {order} LIMIT ?3"),
            open: format!("{select} WHERE {by} >= ?1 ORDER BY {by} {order} LIMIT ?2"),
        };
        let each = |text: &dyn Fn(&str) -> String| table.columns.iter().map(|column| text(column.name)).collect();
        Self {
            number,
            table,
            version: format!("SELECT version FROM {name} WHERE key = ?1"),
            put: put(table, &name, &columns, &foreign),
            rewrite: foreign
                .is_empty()
                .then(|| format!("UPDATE {name} SET version = ?2, schema = ?3, doc = ?4, sum = ?5 WHERE key = ?1")),
            delete: format!("DELETE FROM {name} WHERE key = ?1"),
            exists_with: each(&|column| format!("SELECT 1 FROM {name} WHERE c_{column} = ?1 LIMIT 1")),
            exists_prefixed: each(&|column| {
                format!("SELECT 1 FROM {name} WHERE c_{column} >= ?1 AND c_{column} < ?2 LIMIT 1")
            }),
            exists_below: format!("SELECT 1 FROM {name} WHERE key >= ?1 AND key < ?2 LIMIT 1"),
            get: format!("{select} WHERE key = ?1"),
            scan: range("key", "ASC"),
            last: range("key", "DESC"),
            find: each(&|column| format!("{select} WHERE c_{column} = ?1 AND key > ?2 ORDER BY key LIMIT ?3")),
            count: each(&|column| format!("SELECT count(*) FROM {name} WHERE c_{column} = ?1")),
            count_between: each(&|column| {
                format!("SELECT count(*) FROM {name} WHERE c_{column} >= ?1 AND c_{column} < ?2")
            }),
            find_one: each(&|column| format!("{select} WHERE c_{column} = ?1")),
            range: table.columns.iter().map(|column| range(&format!("c_{}", column.name), "ASC")).collect(),
            every: format!(
                "SELECT rowid, key, version, schema, doc{columns} FROM {name} WHERE rowid > ?1 ORDER BY rowid LIMIT ?2"
            ),
            checked: format!(
                "SELECT key, version, schema, doc, sum{columns}{others}, rowid FROM {name} WHERE rowid > ?1 ORDER BY rowid LIMIT ?2"
            ),
            set_sum: format!("UPDATE {name} SET sum = ?2 WHERE rowid = ?1"),
            foreign,
        }
    }

    /// Name of the table in SQL.
    pub(crate) fn sql_name(&self) -> String {
        format!("t_{}", self.table.name)
    }

    /// Makes the table without its columns.
    pub(crate) fn create_table(&self) -> String {
        format!(
            "CREATE TABLE IF NOT EXISTS t_{} (key TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL, \
             schema INTEGER NOT NULL, doc TEXT NOT NULL, sum INTEGER) STRICT",
            self.table.name
        )
    }

    /// Adds the column of checksums to a table of format 2.
    pub(crate) fn add_sum(&self) -> String {
        format!("ALTER TABLE t_{} ADD COLUMN sum INTEGER", self.table.name)
    }

    /// The values of a row's columns with their names; foreign ones follow the declared.
    pub(crate) fn named<'a>(
        &'a self,
        values: &'a [Option<String>],
    ) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        let names = self.table.columns.iter().map(|column| column.name).chain(self.foreign.iter().map(String::as_str));
        names.zip(values).map(|(name, value)| (name, value.as_deref()))
    }

    /// Adds a column, NULL in the rows that are there.
    pub(crate) fn add_column(&self, column: &Column) -> String {
        format!("ALTER TABLE t_{} ADD COLUMN c_{} TEXT", self.table.name, column.name)
    }

    /// Makes a column's index, in which rows without a value take no place, and drops the one of the other kind from an older declaration.
    pub(crate) fn create_index(&self, column: &Column) -> String {
        let (table, column, unique) = (self.table.name, column.name, column.unique);
        // Two underscores part the names, since a name may hold single ones; a name with two of its
        // own could only collide with a declaration that differs by nothing else.
        if unique {
            format!(
                "DROP INDEX IF EXISTS i_{table}__{column}; \
                 CREATE UNIQUE INDEX IF NOT EXISTS u_{table}__{column} ON t_{table} (c_{column}) \
                 WHERE c_{column} IS NOT NULL"
            )
        } else {
            format!(
                "DROP INDEX IF EXISTS u_{table}__{column}; \
                 CREATE INDEX IF NOT EXISTS i_{table}__{column} ON t_{table} (c_{column}, key) \
                 WHERE c_{column} IS NOT NULL"
            )
        }
    }

    /// The row with `key`.
    pub(crate) fn get(&self, view: &View<'_>, key: &str) -> Result<Option<Arc<Row>>, StoreError> {
        let found = self.one(view, &self.get, key)?;
        if found.is_none() && !self.table.log {
            view.cache.keep_absent(self.number, key, view.ticket);
        }
        Ok(found)
    }

    /// The rows with `keys`, from one snapshot.
    pub(crate) fn get_many(&self, view: &View<'_>, keys: &[String]) -> Result<Vec<Option<Arc<Row>>>, StoreError> {
        // Dropped at the end, which ends the snapshot.
        let _snapshot = view.connection.unchecked_transaction().map_err(|error| self.failed(&error))?;
        keys.iter().map(|key| self.get(view, key)).collect()
    }

    /// Rows with `value` in column `index`.
    pub(crate) fn find(
        &self,
        view: &View<'_>,
        index: usize,
        value: &str,
        page: &Page,
    ) -> Result<Vec<Arc<Row>>, StoreError> {
        let after = page.after.as_deref().unwrap_or("");
        let rows = self.rows(view, true, &self.find[index], params![value, after, limit(page.limit)])?;
        if let Some(ask) = Ask::equal(self.number, self.table, index, value, page) {
            view.cache.keep_list(&ask, &rows, view.ticket);
        }
        Ok(rows)
    }

    /// The row with `value` in the unique column `index`.
    pub(crate) fn find_one(&self, view: &View<'_>, index: usize, value: &str) -> Result<Option<Arc<Row>>, StoreError> {
        let row = self.one(view, &self.find_one[index], value)?;
        if let Some(row) = &row {
            view.cache.hint(self.number, index, value, row);
        }
        Ok(row)
    }

    /// Rows whose unique column `index` starts with `prefix`, ascending by it.
    pub(crate) fn range(
        &self,
        view: &View<'_>,
        index: usize,
        prefix: &str,
        page: &Page,
    ) -> Result<Vec<Arc<Row>>, StoreError> {
        let rows = self.following(view, true, &self.range[index], prefix, page)?;
        if let Some(ask) = Ask::below(self.number, index, prefix, page) {
            view.cache.keep_list(&ask, &rows, view.ticket);
        }
        Ok(rows)
    }

    /// Rows whose key starts with `prefix`, ascending.
    pub(crate) fn scan(&self, view: &View<'_>, prefix: &str, page: &Page) -> Result<Vec<Arc<Row>>, StoreError> {
        self.following(view, false, &self.scan, prefix, page)
    }

    /// Rows whose key starts with `prefix`, descending.
    pub(crate) fn last(&self, view: &View<'_>, prefix: &str, page: &Page) -> Result<Vec<Arc<Row>>, StoreError> {
        let behind = prefix_end(prefix);
        let end = match (&behind, &page.after) {
            (Some(behind), Some(after)) => Some(behind.min(after)),
            (one, other) => one.as_ref().or(other.as_ref()),
        };
        match end {
            Some(end) => self.rows(view, false, &self.last.bounded, params![prefix, end, limit(page.limit)]),
            None => self.rows(view, false, &self.last.open, params![prefix, limit(page.limit)]),
        }
    }

    /// Number of rows with `value` in column `index`.
    pub(crate) fn count(&self, connection: &Connection, index: usize, value: &str) -> Result<u64, StoreError> {
        self.counted(connection, &self.count[index], [value])
    }

    /// Number of rows with a value from `start` up to, without, `end` in the unique column `index`.
    pub(crate) fn count_between(
        &self,
        connection: &Connection,
        index: usize,
        start: &str,
        end: &str,
    ) -> Result<u64, StoreError> {
        self.counted(connection, &self.count_between[index], [start, end])
    }

    fn counted(&self, connection: &Connection, sql: &str, values: impl Params) -> Result<u64, StoreError> {
        let count: i64 = connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(values, |row| row.get(0)))
            .map_err(|error| self.failed(&error))?;
        Ok(count.unsigned_abs())
    }

    fn following(
        &self,
        view: &View<'_>,
        keep: bool,
        range: &Range,
        prefix: &str,
        page: &Page,
    ) -> Result<Vec<Arc<Row>>, StoreError> {
        // Keys and values hold no NUL, so what comes after `after` is not below this.
        let successor = page.after.as_ref().map(|after| format!("{after}\0"));
        let start = successor.as_deref().map_or(prefix, |next| next.max(prefix));
        self.within(view, keep, range, start, prefix, page.limit)
    }

    fn within(
        &self,
        view: &View<'_>,
        keep: bool,
        range: &Range,
        start: &str,
        prefix: &str,
        count: usize,
    ) -> Result<Vec<Arc<Row>>, StoreError> {
        match prefix_end(prefix) {
            Some(end) => self.rows(view, keep, &range.bounded, params![start, end, limit(count)]),
            None => self.rows(view, keep, &range.open, params![start, limit(count)]),
        }
    }

    fn one(&self, view: &View<'_>, sql: &str, value: &str) -> Result<Option<Arc<Row>>, StoreError> {
        let found = view
            .connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row([value], |row| self.read(view, row)).optional())
            .map_err(|error| self.failed(&error))?;
        found.map(|found| self.row(view, true, found)).transpose()
    }

    /// The rows of a statement. Only with `keep` do new ones stay in memory: a sweep over a whole table
    /// should not.
    fn rows(&self, view: &View<'_>, keep: bool, sql: &str, values: impl Params) -> Result<Vec<Arc<Row>>, StoreError> {
        let found: Vec<Found> = view
            .connection
            .prepare_cached(sql)
            .and_then(|mut statement| {
                statement.query_map(values, |row| self.read(view, row))?.collect::<rusqlite::Result<_>>()
            })
            .map_err(|error| self.failed(&error))?;
        found.into_iter().map(|found| self.row(view, keep, found)).collect()
    }

    /// Reads a row; one that is in memory in the same version is not read again, and is parsed already.
    fn read(&self, view: &View<'_>, row: &rusqlite::Row<'_>) -> rusqlite::Result<Found> {
        let version = row.get::<_, i64>(1)?.unsigned_abs();
        if let Some(known) = view.cache.same(self.number, row.get_ref(0)?.as_str()?, version) {
            return Ok(Found::Known(known));
        }
        self.raw(row)
    }

    fn raw(&self, row: &rusqlite::Row<'_>) -> rusqlite::Result<Found> {
        let columns = (0..self.table.columns.len() + self.foreign.len()).map(|index| row.get(FIXED_COLUMNS + index));
        Ok(Found::Raw {
            key: row.get(0)?,
            version: row.get::<_, i64>(1)?.unsigned_abs(),
            schema: row.get(2)?,
            doc: row.get(3)?,
            sum: row.get(4)?,
            columns: columns.collect::<rusqlite::Result<_>>()?,
        })
    }

    fn row(&self, view: &View<'_>, keep: bool, found: Found) -> Result<Arc<Row>, StoreError> {
        if let Found::Known(row) = found {
            return Ok(row);
        }
        let row = self.whole(found)?;
        if keep && !self.table.log {
            view.cache.keep(self.number, &row, view.ticket);
        }
        Ok(row)
    }

    /// A row that was read, held against its checksum.
    fn whole(&self, found: Found) -> Result<Arc<Row>, StoreError> {
        let (key, version, schema, doc, sum, mut columns) = match found {
            Found::Known(row) => return Ok(row),
            Found::Raw { key, version, schema, doc, sum, columns } => (key, version, schema, doc, sum, columns),
        };
        if sum != Some(checksum::of(&key, version.cast_signed(), schema, &doc, self.named(&columns))) {
            return Err(StoreError::Damaged(format!(
                "the row {key:?} of table {:?} is not what was written: its checksum differs",
                self.table.name
            )));
        }
        columns.truncate(self.table.columns.len());
        Ok(Arc::new(Row::stored(self.table, key, version, columns, schema, doc)?))
    }

    fn failed(&self, error: &rusqlite::Error) -> StoreError {
        engine(&format!("reading table {:?}", self.table.name), error)
    }
}

/// Columns before the declared ones: key, version, schema, doc, checksum.
const FIXED_COLUMNS: usize = 5;

enum Found {
    Known(Arc<Row>),
    Raw { key: String, version: u64, schema: u32, doc: String, sum: Option<i64>, columns: Vec<Option<String>> },
}

fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn put(table: &Table, name: &str, columns: &str, foreign: &[String]) -> String {
    let values: String = (0..FIXED_COLUMNS + table.columns.len())
        .map(|index| if index == 0 { "?1".to_owned() } else { format!(", ?{}", index + 1) })
        .collect();
    let updates: String = table.columns.iter().map(|column| format!(", c_{0} = excluded.c_{0}", column.name)).collect();
    let cleared: String = foreign.iter().map(|column| format!(", \"c_{column}\" = NULL")).collect();
    format!(
        "INSERT INTO {name} (key, version, schema, doc, sum{columns}) VALUES ({values}) ON CONFLICT (key) DO UPDATE SET \
         version = excluded.version, schema = excluded.schema, doc = excluded.doc, sum = excluded.sum{updates}{cleared}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    static ITEMS: Table =
        Table::new("items", &[Column { name: "label", unique: false }, Column { name: "serial", unique: true }]);

    #[test]
    fn every_look_up_uses_an_index_and_sorts_nothing() {
        let statements = Statements::new(0, &ITEMS, Vec::new());
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(&statements.create_table()).unwrap();
        for column in ITEMS.columns {
            connection.execute_batch(&statements.add_column(column)).unwrap();
            connection.execute_batch(&statements.create_index(column)).unwrap();
        }
        let (key, label, serial) = ("autoindex_t_items", "i_items__label", "u_items__serial");
        let expected = [
            (&statements.version, key),
            (&statements.get, key),
            (&statements.scan.bounded, key),
            (&statements.scan.open, key),
            (&statements.last.bounded, key),
            (&statements.last.open, key),
            (&statements.delete, key),
            (statements.rewrite.as_ref().unwrap(), key),
            (&statements.find[0], label),
            (&statements.count[0], label),
            (&statements.exists_with[0], label),
            (&statements.count[1], serial),
            (&statements.count_between[1], serial),
            (&statements.find_one[1], serial),
            (&statements.range[1].bounded, serial),
            (&statements.range[1].open, serial),
            (&statements.exists_with[1], serial),
            (&statements.exists_prefixed[1], serial),
            (&statements.exists_below, key),
        ];
        for (sql, index) in expected {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let values = vec!["1"; statement.parameter_count()];
            let plan: Vec<String> = statement
                .query_map(rusqlite::params_from_iter(values), |row| row.get(3))
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            assert_eq!(plan.len(), 1, "{sql}: {plan:?}");
            assert!(plan[0].starts_with("SEARCH") && plan[0].contains(index), "{sql}: {plan:?}");
        }
    }
}
