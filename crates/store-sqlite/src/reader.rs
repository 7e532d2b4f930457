//! Threads that read, each with its own connection.

use crate::engine;
use ferrohub_model::limits;
use ferrohub_store::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// Page cache of one reading connection, KiB.
const CACHE_KIB: i64 = 16 * 1024;
/// Statements that a connection keeps prepared: some ten for each of some fifty tables.
pub(crate) const STATEMENT_CACHE: usize = 512;

/// A bounded queue before a few threads.
pub(crate) struct Readers {
    queue: Option<SyncSender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Opens `count` connections on `path` and starts their threads.
    pub(crate) fn start(path: &Path, count: usize) -> Result<Self, StoreError> {
        let (queue, jobs) = sync_channel(limits::STORE_QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        let mut threads = Vec::with_capacity(count);
        for number in 0..count {
            let connection = connect(path).map_err(|error| engine("opening a reader", &error))?;
            let jobs = Arc::clone(&jobs);
            let thread = Builder::new()
                .name(format!("store-read-{number}"))
                .spawn(move || serve(&jobs, connection))
                .map_err(|error| StoreError::Engine(format!("starting a reader: {error}")))?;
            threads.push(thread);
        }
        Ok(Self { queue: Some(queue), threads })
    }

    /// Runs `work` on one of the threads.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // A caller that went away wants no answer.
            if !answer.is_closed() {
                let _ = answer.send(work(connection));
            }
        });
        let queue = self.queue.as_ref().ok_or_else(gone)?;
        queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => gone(),
        })?;
        answered.await.map_err(|_| gone())?
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn gone() -> StoreError {
    StoreError::Engine("the readers have stopped".into())
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    // Every look-up has one index by design: a plan need not be made again for each bound value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    Ok(connection)
}

fn serve(jobs: &Mutex<Receiver<Job>>, mut connection: Connection) {
    loop {
        // One idle thread waits inside the lock, the others for the lock: each job wakes one.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        job(&mut connection);
    }
}
