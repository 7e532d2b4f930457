//! The file: its format, its settings, and the tables built from declarations.

use crate::reader::{STATEMENT_CACHE, stable_plans};
use crate::sql::Statements;
use crate::{Tables, engine};
use ferrohub_store::{StoreError, Table};
use quick_cache::DefaultHashBuilder;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

/// Marks the file as ours in SQLite's header: "FHub".
const APPLICATION_ID: i64 = 0x4648_7562;
/// Format of the file that this program writes (`PRAGMA user_version`). Raise it with each change
/// that is not an added table, column or index. From 2 on there is a way from each format to the next.
const FORMAT: i64 = 3;
/// The first format that a program opens; 1 was never released.
const FIRST_FORMAT: i64 = 2;
/// The oldest format whose programs can still work with what this program writes. Keep it at the
/// format before, so that going back one release works. Format 3 sums its rows, which a program of format 2 would not do.
const OLDEST_READER: i64 = 3;
/// The write-ahead log is cut back to this after a burst, bytes.
const WAL_BYTES: i64 = 64 * 1024 * 1024;
/// Pages in the write-ahead log after which they are copied to the file, by the commit that comes upon it. SQLite's own 1,000 copy
/// and sync every page that is written often again and again.
const CHECKPOINT_PAGES: i64 = 4_000;
/// Page cache of the writing connection, KiB. No more: a commit in which a page split goes through all slots of the cache (SQLite looks there
/// for pages past the end of the file), and what is not in it is still in the kernel's.
const CACHE_KIB: i64 = 8 * 1024;

/// Rows that get their checksum in one transaction.
const UPGRADED_ROWS: i64 = 10_000;

/// Name under which the last version given out is kept in `ferrohub_meta`.
pub(crate) const SEQUENCE: &str = "sequence";

/// Opens the writing connection and brings the file up to date; gives the statements that fit the file's tables.
pub(crate) fn open(path: &Path, tables: &[&'static Table]) -> Result<(Connection, Tables), StoreError> {
    let at = |what: &str| format!("{what} {}", path.display());
    let fail = |error: rusqlite::Error| engine(&at("opening"), &error);
    // SQLite gives its log the mode of the file, so the file is made with the right one.
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| StoreError::Engine(format!("{}: {error}", at("making"))))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(fail)?;
    let format = check_format(&connection, path)?;
    configure(&connection).map_err(fail)?;
    if format == 0 {
        create(&mut connection).map_err(fail)?;
    }
    let mut statements = HashMap::with_hasher(DefaultHashBuilder::default());
    for (number, table) in (0..).zip(tables) {
        let made = build(&mut connection, number, table)
            .map_err(|error| engine(&at(&format!("building table {:?} in", table.name)), &error))?;
        statements.insert(table.name, Arc::new(made));
    }
    if (FIRST_FORMAT..FORMAT).contains(&format) {
        upgrade(&mut connection, &statements).map_err(|error| engine(&at("bringing up to format 3"), &error))?;
    }
    Ok((connection, Arc::new(statements)))
}

/// From format 2 to 3: every row gets its checksum. Cut off half-way, the next start begins anew, and what a program of
/// format 2 wrote in between is summed as well.
fn upgrade(
    connection: &mut Connection,
    tables: &HashMap<&'static str, Arc<Statements>, DefaultHashBuilder>,
) -> rusqlite::Result<()> {
    tracing::info!("the store is brought to format {FORMAT}: its rows get checksums");
    for statements in tables.values() {
        let mut behind = 0;
        loop {
            let transaction = connection.transaction()?;
            let last = statements.sum_rows(&transaction, behind, UPGRADED_ROWS)?;
            transaction.commit()?;
            match last {
                Some(last) => behind = last,
                None => break,
            }
        }
    }
    let transaction = connection.transaction()?;
    transaction.execute("UPDATE ferrohub_meta SET value = ?1 WHERE name = 'oldest_reader'", [OLDEST_READER])?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

/// Refuses a file of a newer program, of one before the first release or of another one, before anything is written. Gives the
/// file's format, 0 for a new file.
fn check_format(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let number = |sql: &str| {
        connection
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .map_err(|error| engine(&format!("reading {}", path.display()), &error))
    };
    let application = number("SELECT application_id FROM pragma_application_id")?;
    if application != APPLICATION_ID {
        if number("SELECT count(*) FROM sqlite_schema")? == 0 {
            return Ok(0);
        }
        return Err(StoreError::Engine(format!(
            "{} is a database of another program: name another data folder",
            path.display()
        )));
    }
    let format = number("SELECT user_version FROM pragma_user_version")?;
    let oldest_reader = connection
        .query_row("SELECT value FROM ferrohub_meta WHERE name = 'oldest_reader'", [], |row| row.get::<_, i64>(0))
        .optional()
        .map_err(|error| engine(&format!("reading {}", path.display()), &error))?;
    if oldest_reader.unwrap_or(format) > FORMAT {
        return Err(StoreError::Newer(format!(
            "the data in {} was written by a newer Ferrohub (data format {format}, this program knows {FORMAT}): \
             start the newer program again, or restore a backup made by this one",
            path.display()
        )));
    }
    if format < FIRST_FORMAT {
        return Err(StoreError::Older(format!(
            "the data in {} has format {format}, made by an early Ferrohub; this program starts at {FIRST_FORMAT}: \
             start with an empty data folder, or start the program that made it",
            path.display()
        )));
    }
    Ok(format)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // No statistics are gathered either: every look-up has one index that fits, and the plans that a test
    // looks at are then the plans of every file, large or small.
    stable_plans(connection)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    Ok(())
}

/// Makes a new file ours.
fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction
        .execute_batch("CREATE TABLE ferrohub_meta (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) STRICT")?;
    for (name, value) in [(SEQUENCE, 0), ("oldest_reader", OLDEST_READER)] {
        transaction.execute("INSERT INTO ferrohub_meta (name, value) VALUES (?1, ?2)", params![name, value])?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

/// Adds what the declaration has and the file has not; gives the statements for what is there then. Columns that only another
/// program knows stay.
fn build(connection: &mut Connection, number: u16, table: &'static Table) -> rusqlite::Result<Statements> {
    let statements = Statements::new(number, table, Vec::new());
    let transaction = connection.transaction()?;
    transaction.execute_batch(&statements.create_table())?;
    let present: Vec<String> = transaction
        .prepare("SELECT name FROM pragma_table_info(?1)")?
        .query_map([statements.sql_name()], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    if !present.iter().any(|name| name == "sum") {
        transaction.execute_batch(&statements.add_sum())?;
    }
    for column in table.columns {
        if !present.contains(&format!("c_{}", column.name)) {
            transaction.execute_batch(&statements.add_column(column))?;
        }
        transaction.execute_batch(&statements.create_index(column))?;
    }
    transaction.commit()?;
    let names = present.iter().filter_map(|name| name.strip_prefix("c_"));
    let foreign = names.filter(|name| table.column_index(name).is_none()).map(str::to_owned).collect();
    Ok(Statements::new(number, table, foreign))
}
