//! The one thread that writes: group commit.

use crate::cache::{Batch, Fate, RowCache, Touch};
use crate::schema::SEQUENCE;
use crate::sql::Statements;
use crate::{Tables, checksum, engine, unknown_table};
use ferrohub_model::clock::Clock;
use ferrohub_model::limits;
use ferrohub_model::pace::Pace;
use ferrohub_store::{Committed, ConflictKind, Expect, Put, RowChange, StoreError, Table, UnitOfWork};
use rusqlite::{Connection, OptionalExtension, ToSql, params};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle};
use tokio::sync::oneshot;

/// Versions that are reserved on disk at a time, so that not every commit has to write where they stand: ours.
const VERSIONS_RESERVED: i64 = 100_000;

/// How many times as long as the last batch took its callers are waited for: ours. A certificate takes a quarter of a millisecond to issue and a
/// sync as long, so a shorter wait leaves most of 64 callers with a sync each; a longer one than [`Pace`] allows makes no difference.
const WAITED_BATCHES: u32 = 2;

/// The bounded queue before the writing thread.
pub(crate) struct Writer {
    queue: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

struct Job {
    expectations: Vec<Expect>,
    changes: Vec<Write>,
    answer: oneshot::Sender<Result<Committed, StoreError>>,
}

/// A change with the statements of its table.
enum Write {
    Put { statements: Arc<Statements>, put: Put },
    Delete { statements: Arc<Statements>, key: String },
}

/// Where the units of a batch that came before have written: number of the table, and key.
type Changed<'a> = HashSet<(u16, &'a str)>;

impl Write {
    /// Number of the table, and the key.
    fn place(&self) -> (u16, &str) {
        match self {
            Self::Put { statements, put } => (statements.number, &put.key),
            Self::Delete { statements, key } => (statements.number, key),
        }
    }

    /// Number of the table, and what changes there.
    fn touch(&self) -> (u16, Touch<'_>) {
        match self {
            Self::Put { statements, put } => (statements.number, Touch::Put(put)),
            Self::Delete { statements, key } => (statements.number, Touch::Delete(key)),
        }
    }
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(
        connection: Connection,
        tables: Tables,
        cache: Arc<RowCache>,
        clock: Arc<dyn Clock>,
        batch_units: usize,
    ) -> Result<Self, StoreError> {
        let (queue, jobs) = sync_channel(limits::STORE_QUEUE);
        let mut batcher = Batcher { connection, tables, cache, clock, sequence: 0, reserved: 0 };
        batcher.sequence = batcher.read_sequence()?;
        batcher.reserved = batcher.sequence;
        let thread = Builder::new()
            .name("store-write".to_owned())
            .spawn(move || batcher.serve(&jobs, batch_units))
            .map_err(|error| StoreError::Engine(format!("starting the writer: {error}")))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Queues a checked unit and waits until it is synced or refused.
    pub(crate) async fn commit(&self, tables: &Tables, unit: UnitOfWork) -> Result<Committed, StoreError> {
        let (expectations, changes) = unit.into_parts();
        let changes = changes.into_iter().map(|change| prepare(tables, change)).collect::<Result<_, _>>()?;
        let (answer, answered) = oneshot::channel();
        let job = Job { expectations, changes, answer };
        let queue = self.queue.as_ref().ok_or_else(gone)?;
        queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => gone(),
        })?;
        answered.await.map_err(|_| gone())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn gone() -> StoreError {
    StoreError::Engine("the writer has stopped".into())
}

fn prepare(tables: &Tables, change: RowChange) -> Result<Write, StoreError> {
    let statements = |table: &'static Table| {
        let found = tables.get(table.name).map(Arc::clone);
        found.ok_or_else(|| unknown_table(table))
    };
    match change {
        RowChange::Put(put) => Ok(Write::Put { statements: statements(put.table)?, put }),
        RowChange::Delete { table, key } => Ok(Write::Delete { statements: statements(table)?, key }),
    }
}

/// `batch` and everything that waits behind it, up to `most`. Callers that are known are waited for as [`Pace`] says: a sync
/// costs far more. The thread sleeps meanwhile; whatever the clock says, each wait is for a caller more or ends by itself.
#[expect(
    clippy::disallowed_methods,
    reason = "a thread waits for a message, a millisecond at most; no clock has to move for it"
)]
fn gather(mut batch: Vec<Job>, jobs: &Receiver<Job>, most: usize, pace: &Pace, clock: &dyn Clock) -> Vec<Job> {
    let started = clock.monotonic();
    loop {
        batch.extend(jobs.try_iter().take(most.saturating_sub(batch.len())));
        let patience = pace.patience(batch.len(), clock.monotonic().since(started));
        if batch.len() >= most || patience.is_zero() {
            return batch;
        }
        match jobs.recv_timeout(patience) {
            Ok(job) => batch.push(job),
            Err(_) => return batch,
        }
    }
}

/// How the units of one transaction are kept apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Apart {
    /// Not at all: a unit whose expectations hold is trusted to go through. Nearly all do, and SQLite copies every page that
    /// a savepoint may have to bring back to a file of its own.
    Trusted,
    /// Each in a savepoint, after one of them broke a unique column that it had not named as an expectation.
    Savepoints,
}

/// The state of the writing thread.
struct Batcher {
    connection: Connection,
    tables: Tables,
    cache: Arc<RowCache>,
    clock: Arc<dyn Clock>,
    /// The last version given out.
    sequence: i64,
    /// Versions up to this one are reserved on disk: none of them is given out again after a restart.
    reserved: i64,
}

type UnitResult = Result<Committed, StoreError>;

/// What became of every key that the applied units changed, in order.
fn fates(batch: &mut [Job], outcomes: &[UnitResult]) -> Vec<(u16, Fate)> {
    let mut fates = Vec::with_capacity(batch.len());
    for (job, outcome) in batch.iter_mut().zip(outcomes) {
        let Ok(committed) = outcome else { continue };
        let mut versions = committed.versions.iter().copied();
        for change in std::mem::take(&mut job.changes) {
            match change {
                Write::Put { statements, put } => {
                    let version = versions.next();
                    debug_assert!(version.is_some(), "a put without a version");
                    fates.extend(version.map(|version| (statements.number, Fate::Put(put, version))));
                }
                Write::Delete { statements, key } => fates.push((statements.number, Fate::Deleted(key))),
            }
        }
    }
    fates
}

impl Batcher {
    fn serve(&mut self, jobs: &Receiver<Job>, batch_units: usize) {
        let mut pace = Pace::default();
        let mut came: Vec<Job> = Vec::new();
        loop {
            if came.is_empty() {
                match jobs.recv() {
                    Ok(first) => came.push(first),
                    Err(_) => return,
                }
            }
            let batch = gather(came, jobs, batch_units, &pace, self.clock.as_ref());
            let (units, started) = (batch.len(), self.clock.monotonic());
            self.run(batch);
            let took = self.clock.monotonic().since(started);
            // Those that came while the others were served are callers besides them, and next time all are waited for: callers
            // that work between their commits would otherwise have a sync for every one or two of them.
            came = jobs.try_iter().take(batch_units).collect();
            pace = Pace::after(units + came.len(), took * WAITED_BATCHES);
        }
    }

    fn run(&mut self, mut batch: Vec<Job>) {
        let started = self.clock.monotonic();
        let cache = Arc::clone(&self.cache);
        let outcomes = match self.transaction(&batch, &cache) {
            Ok((outcomes, in_memory)) => {
                // Before anybody is answered: whoever reads after an answer sees what it was about.
                in_memory.committed(fates(&mut batch, &outcomes));
                outcomes
            }
            Err(error) => {
                tracing::error!(%error, units = batch.len(), "a commit failed");
                self.abandon();
                batch.iter().map(|_| Err(error.clone())).collect()
            }
        };
        let applied = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        metrics::counter!("ferrohub_store_commits_total").increment(applied as u64);
        metrics::histogram!("ferrohub_store_batch_units").record(batch.len() as f64);
        metrics::histogram!("ferrohub_store_commit_seconds").record(self.clock.monotonic().since(started));
        for (job, outcome) in batch.into_iter().zip(outcomes) {
            // A caller that went away wants no answer.
            let _ = job.answer.send(outcome);
        }
    }

    /// Applies a batch; an error here means that none of it was committed, as far as we can know.
    fn transaction<'a>(
        &mut self,
        batch: &[Job],
        cache: &'a RowCache,
    ) -> Result<(Vec<UnitResult>, Batch<'a>), StoreError> {
        let (reserved, outcomes) = match self.units(batch, Apart::Trusted)? {
            (reserved, Some(outcomes)) => (reserved, outcomes),
            (_, None) => {
                self.execute("ROLLBACK")?;
                let (reserved, outcomes) = self.units(batch, Apart::Savepoints)?;
                (reserved, outcomes.ok_or_else(|| StoreError::Engine("a unit broke within its savepoint".into()))?)
            }
        };
        let applied = batch.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_ok());
        let in_memory = cache.begin(applied.flat_map(|(job, _)| job.changes.iter().map(Write::touch)));
        self.execute("COMMIT")?;
        self.reserved = reserved;
        Ok((outcomes, in_memory))
    }

    /// Begins a transaction and applies the units; gives up to where versions are reserved with it, and what became of each
    /// unit, or `None` when one broke with some of its changes made and nothing to undo them by.
    fn units(&mut self, batch: &[Job], apart: Apart) -> Result<(i64, Option<Vec<UnitResult>>), StoreError> {
        self.execute("BEGIN IMMEDIATE")?;
        let wanted = batch.iter().map(|job| job.changes.len()).sum::<usize>();
        let reserved = self.reserve(wanted)?;
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut changed = Changed::default();
        for job in batch {
            // Expectations write nothing, so most units that are refused leave no trace.
            let outcome = match self.expect(job, &changed) {
                Err(error) => Err(error),
                Ok(()) if apart == Apart::Savepoints => self.guarded(job, &changed)?,
                Ok(()) => match self.apply(job, &changed) {
                    // A statement that fails undoes itself: only those before it would stay.
                    Err(_) if job.changes.len() > 1 && !self.connection.is_autocommit() => return Ok((reserved, None)),
                    outcome => outcome,
                },
            };
            if let Err(error) = &outcome
                && self.connection.is_autocommit()
            {
                // On a full disk or an I/O error SQLite may have rolled the whole transaction back.
                return Err(error.clone());
            }
            outcomes.push(outcome);
            changed.extend(job.changes.iter().map(Write::place));
        }
        Ok((reserved, Some(outcomes)))
    }

    /// Makes sure that `wanted` more versions are reserved on disk once the transaction is committed; answers up to where.
    fn reserve(&mut self, wanted: usize) -> Result<i64, StoreError> {
        let needed = self.sequence.saturating_add(i64::try_from(wanted).unwrap_or(i64::MAX));
        if needed <= self.reserved {
            return Ok(self.reserved);
        }
        let reserved = needed.saturating_add(VERSIONS_RESERVED);
        self.write_sequence(reserved)?;
        Ok(reserved)
    }

    /// Applies one unit inside a savepoint. The outer error ends the whole batch.
    fn guarded(&mut self, job: &Job, changed: &Changed<'_>) -> Result<UnitResult, StoreError> {
        self.execute("SAVEPOINT unit")?;
        let outcome = self.apply(job, changed);
        if let Err(error) = &outcome {
            if self.connection.is_autocommit() {
                return Err(error.clone());
            }
            self.execute("ROLLBACK TO unit")?;
        }
        self.execute("RELEASE unit")?;
        Ok(outcome)
    }

    fn expect(&self, job: &Job, changed: &Changed<'_>) -> Result<(), StoreError> {
        job.expectations.iter().try_for_each(|expectation| self.check(expectation, changed))
    }

    fn apply(&mut self, job: &Job, changed: &Changed<'_>) -> UnitResult {
        let mut versions = Vec::new();
        // Of a row that this unit wrote before, memory says nothing either.
        let mut own = Changed::default();
        for change in &job.changes {
            let fresh = own.insert(change.place()) && !changed.contains(&change.place());
            match change {
                Write::Put { statements, put } => versions.push(self.put(statements, put, fresh)?),
                Write::Delete { statements, key } => self.delete(statements, key)?,
            }
        }
        Ok(Committed { versions })
    }

    fn check(&self, expectation: &Expect, changed: &Changed<'_>) -> Result<(), StoreError> {
        let conflict = |kind, table: &Table, name: &str| Err(StoreError::conflict(kind, table.name, name));
        match expectation {
            Expect::Version { table, key, version } => match self.version(table, key, changed)? {
                Some(found) if found == *version => Ok(()),
                Some(_) => conflict(ConflictKind::Version, table, key),
                None => conflict(ConflictKind::NoRow, table, key),
            },
            Expect::Absent { table, key } => match self.version(table, key, changed)? {
                Some(_) => conflict(ConflictKind::Absent, table, key),
                None => Ok(()),
            },
            Expect::Exists { table, key } => match self.version(table, key, changed)? {
                Some(_) => Ok(()),
                None => conflict(ConflictKind::Exists, table, key),
            },
            Expect::NoneWith { table, column, value } => {
                if self.exists_with(table, column, value)? {
                    return conflict(ConflictKind::Unique, table, column);
                }
                Ok(())
            }
            Expect::NonePrefixed { table, column, prefix } => {
                let index = ferrohub_store::check_unique_column(table, column, prefix)?;
                if self.exists_in(table, &self.statements(table)?.exists_prefixed[index], prefix)? {
                    return conflict(ConflictKind::Unique, table, column);
                }
                Ok(())
            }
            Expect::NoneBelow { table, prefix } => {
                if self.exists_in(table, &self.statements(table)?.exists_below, prefix)? {
                    return conflict(ConflictKind::Unique, table, "key");
                }
                Ok(())
            }
        }
    }

    /// The version of a row as the units before left it. Memory has what the last batch left, and is right about what this one
    /// has not changed.
    fn version(&self, table: &'static Table, key: &str, changed: &Changed<'_>) -> Result<Option<u64>, StoreError> {
        let statements = self.statements(table)?;
        if !changed.contains(&(statements.number, key))
            && let Some(known) = self.cache.get(statements.number, key)
        {
            return Ok(known.map(|row| row.version));
        }
        let version: Option<i64> = self
            .connection
            .prepare_cached(&statements.version)
            .and_then(|mut statement| statement.query_row([key], |row| row.get(0)).optional())
            .map_err(|error| failed(table, &error))?;
        Ok(version.map(i64::unsigned_abs))
    }

    /// Whether the statement, over a range, finds a row that starts with `prefix`.
    fn exists_in(&self, table: &'static Table, sql: &str, prefix: &str) -> Result<bool, StoreError> {
        let end = ferrohub_store::prefix_end(prefix)
            .ok_or_else(|| StoreError::Invalid(format!("a prefix {prefix:?} of table {:?} has no end", table.name)))?;
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.exists([prefix, end.as_str()]))
            .map_err(|error| failed(table, &error))
    }

    fn exists_with(&self, table: &'static Table, column: &str, value: &str) -> Result<bool, StoreError> {
        let index = ferrohub_store::check_column(table, column, value)?;
        self.connection
            .prepare_cached(&self.statements(table)?.exists_with[index])
            .and_then(|mut statement| statement.exists([value]))
            .map_err(|error| failed(table, &error))
    }

    fn put(&mut self, statements: &Statements, put: &Put, fresh: bool) -> Result<u64, StoreError> {
        self.sequence += 1;
        let doc = put.text();
        let schema = put.table.schema_version;
        let sum = checksum::of(&put.key, self.sequence, schema, doc, statements.named(&put.columns));
        let fixed: [&dyn ToSql; 5] = [&put.key, &self.sequence, &schema, &doc, &sum];
        let run = |sql: &str, values: &mut dyn Iterator<Item = &dyn ToSql>| {
            self.connection
                .prepare_cached(sql)
                .and_then(|mut statement| statement.execute(rusqlite::params_from_iter(values)))
                .map_err(|error| refused(statements.table, &error))
        };
        let rewritten = match &statements.rewrite {
            Some(rewrite) if fresh && self.keeps_columns(statements, put) => run(rewrite, &mut fixed.into_iter())? > 0,
            _ => false,
        };
        if !rewritten {
            let columns = put.columns.iter().map(|value| value as &dyn ToSql);
            run(&statements.put, &mut fixed.into_iter().chain(columns))?;
        }
        Ok(self.sequence.unsigned_abs())
    }

    /// Whether the row, which this batch has not changed, is known to stand in the file with the values that it is to have in its columns.
    fn keeps_columns(&self, statements: &Statements, put: &Put) -> bool {
        !put.table.log
            && self.cache.get(statements.number, &put.key).flatten().is_some_and(|row| row.columns == put.columns)
    }

    fn delete(&self, statements: &Statements, key: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(&statements.delete)
            .and_then(|mut statement| statement.execute([key]))
            .map_err(|error| failed(statements.table, &error))?;
        Ok(())
    }

    fn statements(&self, table: &'static Table) -> Result<&Statements, StoreError> {
        let found = self.tables.get(table.name);
        found.map(Arc::as_ref).ok_or_else(|| unknown_table(table))
    }

    fn read_sequence(&self) -> Result<i64, StoreError> {
        self.connection
            .prepare_cached("SELECT value FROM ferrohub_meta WHERE name = ?1")
            .and_then(|mut statement| statement.query_row([SEQUENCE], |row| row.get(0)))
            .map_err(|error| engine("reading the sequence", &error))
    }

    fn write_sequence(&self, reserved: i64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE ferrohub_meta SET value = ?2 WHERE name = ?1")
            .and_then(|mut statement| statement.execute(params![SEQUENCE, reserved]))
            .map_err(|error| engine("writing the sequence", &error))?;
        Ok(())
    }

    fn execute(&self, sql: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .map_err(|error| engine(sql, &error))?;
        Ok(())
    }

    /// Ends a transaction that failed, unless SQLite did so itself.
    fn abandon(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.execute("ROLLBACK")
        {
            tracing::error!(%error, "rolling back failed");
        }
    }
}

fn failed(table: &Table, error: &rusqlite::Error) -> StoreError {
    engine(&format!("writing table {:?}", table.name), error)
}

/// A violated unique column is a conflict; anything else is a failure.
fn refused(table: &'static Table, error: &rusqlite::Error) -> StoreError {
    if let rusqlite::Error::SqliteFailure(code, Some(text)) = error
        && code.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE
    {
        // "UNIQUE constraint failed: t_things.c_serial"
        let column = text.rsplit_once(".c_").map(|(_, name)| name);
        if let Some(index) = column.and_then(|name| table.column_index(name)) {
            let name = table.columns[index].name;
            return StoreError::conflict(ConflictKind::Unique, table.name, name);
        }
    }
    failed(table, error)
}
