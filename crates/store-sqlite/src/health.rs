//! Whether the file is whole. A row that is read is held against its checksum; what an index leaves out is seen by no read, so
//! the trees themselves are gone through: at each opening, and by `ferrohub doctor`.

use crate::sql::Statements;
use crate::{Tables, engine, reader};
use ferrohub_store::StoreError;
use rusqlite::{Connection, InterruptHandle};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Faults that are told of one file: ours.
const FAULTS: usize = 20;
/// Rows summed in one step.
const ROWS: i64 = 1_000;

/// What is wrong with the file, as sentences for the log; empty when it is whole.
#[derive(Debug, Clone, Default)]
pub(crate) struct Damage(Arc<OnceLock<String>>);

impl Damage {
    /// Refuses once damage was found: what an index leaves out may be what is asked for.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub(crate) fn refuse(&self) -> Result<(), StoreError> {
        match self.0.get() {
            None => Ok(()),
            Some(text) => Err(StoreError::Damaged(text.clone())),
        }
    }
}

/// The check of an opening, in a thread of its own. Dropped, it ends.
pub(crate) struct Watch {
    interrupt: InterruptHandle,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to check the file, and waits for the outcome, `most` long. What is found is in [`Damage`], and in the log.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be opened.
    pub(crate) fn start(path: &Path, damage: &Damage, most: Duration) -> Result<Self, StoreError> {
        let connection = reader::connect(path).map_err(|error| engine("opening a reader", &error))?;
        let interrupt = connection.get_interrupt_handle();
        let (path, damage) = (path.to_owned(), damage.clone());
        let (done, outcome) = sync_channel(1);
        let thread = Builder::new()
            .name("store-check".to_owned())
            .spawn(move || {
                if let Some(text) = faults_of(&connection, &path) {
                    tracing::error!(%text, "the store is damaged: lists and counts are not served any more");
                    let _ = damage.0.set(text);
                }
                // Nobody listens any more where it took longer.
                let _ = done.try_send(());
            })
            .map_err(|error| StoreError::Engine(format!("starting the check: {error}")))?;
        let watch = Self { interrupt, thread: Some(thread) };
        wait(&outcome, most);
        Ok(watch)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a thread waits for a message, some milliseconds; no clock has to move for it"
)]
fn wait(outcome: &Receiver<()>, most: Duration) {
    // The thread sleeps; whatever a clock says, this ends by itself.
    if outcome.recv_timeout(most) == Err(RecvTimeoutError::Timeout) {
        tracing::info!("the store is still being checked for damage; it is served meanwhile");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.interrupt.interrupt();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the trees of the file have lost, as one text; `None` when they are whole or the check was interrupted.
fn faults_of(connection: &Connection, path: &Path) -> Option<String> {
    match trees(connection) {
        Ok(faults) if faults.is_empty() => None,
        Ok(faults) => Some(format!("{}: {}", path.display(), faults.join("; "))),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) => None,
        Err(error) => Some(format!("{}: {error}", path.display())),
    }
}

/// What SQLite finds in tables and indexes: pages that are none, entries that are missing or too many.
fn trees(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({FAULTS})"))?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

/// Checks the file at `path`, which a server may have open, from end to end: its trees, and every row of `tables` against
/// its checksum. Gives what is wrong, a sentence each. Blocks on the disk.
///
/// # Errors
/// [`StoreError`] when the file cannot be opened or read at all.
pub(crate) fn check(path: &Path, tables: &Tables) -> Result<Vec<String>, StoreError> {
    let path: PathBuf = path.to_owned();
    let connection = reader::connect(&path).map_err(|error| engine(&format!("opening {}", path.display()), &error))?;
    let mut faults = trees(&connection).map_err(|error| engine(&format!("checking {}", path.display()), &error))?;
    for statements in tables.values() {
        rows(&connection, statements, &mut faults)?;
    }
    Ok(faults)
}

fn rows(connection: &Connection, statements: &Statements, faults: &mut Vec<String>) -> Result<(), StoreError> {
    let mut behind = 0;
    while faults.len() < FAULTS {
        match statements.check_rows(connection, behind, ROWS) {
            Ok((Some(last), wrong)) => {
                faults.extend(wrong);
                behind = last;
            }
            Ok((None, _)) => return Ok(()),
            Err(StoreError::Damaged(text)) => {
                faults.push(text);
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
