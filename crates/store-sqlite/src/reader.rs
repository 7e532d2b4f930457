//! Threads that read, each with its own connection.

use crate::cache::RowCache;
use crate::engine;
use crate::sql::View;
use ferrohub_model::limits;
use ferrohub_store::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce(&View<'_>) + Send>;

/// Page cache of one reading connection, KiB.
const CACHE_KIB: i64 = 16 * 1024;
/// Statements that a connection keeps prepared: some ten for each of some fifty tables.
pub(crate) const STATEMENT_CACHE: usize = 512;

/// A bounded queue before a few threads.
pub(crate) struct Readers {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

/// Jobs in order. A thread is woken only when one sleeps: under load none has to be.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    came: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    asleep: usize,
    closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, job: Job) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.jobs.len() >= limits::STORE_QUEUE {
            return Err(StoreError::Busy);
        }
        state.jobs.push_back(job);
        let sleeps = state.asleep > 0;
        drop(state);
        if sleeps {
            self.came.notify_one();
        }
        Ok(())
    }

    /// The next job; `None` once the queue is closed and empty.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state.asleep += 1;
            state = self.came.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.asleep -= 1;
        }
    }

    fn close(&self) {
        self.lock().closed = true;
        self.came.notify_all();
    }
}

impl Readers {
    /// Opens `count` connections on `path` and starts their threads.
    pub(crate) fn start(path: &Path, count: usize, cache: &Arc<RowCache>) -> Result<Self, StoreError> {
        let mut readers = Self { queue: Arc::new(Queue::default()), threads: Vec::with_capacity(count) };
        for number in 0..count {
            let connection = connect(path).map_err(|error| engine("opening a reader", &error))?;
            let (queue, cache) = (Arc::clone(&readers.queue), Arc::clone(cache));
            let thread = Builder::new()
                .name(format!("store-read-{number}"))
                .spawn(move || serve(&queue, &connection, &cache))
                .map_err(|error| StoreError::Engine(format!("starting a reader: {error}")))?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// Runs `work` on one of the threads.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&View<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |view| {
            // A caller that went away wants no answer.
            if !answer.is_closed() {
                let _ = answer.send(work(view));
            }
        });
        self.queue.push(job)?;
        answered.await.map_err(|_| gone())?
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue.close();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn gone() -> StoreError {
    StoreError::Engine("the readers have stopped".into())
}

pub(crate) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    stable_plans(&connection)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    Ok(connection)
}

/// Keeps a statement's plan whatever is bound to it. Without, the bundled SQLite, built with STAT4,
/// prepares a statement anew each time another value is bound.
pub(crate) fn stable_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(|_| ())
}

fn serve(queue: &Queue, connection: &Connection, cache: &RowCache) {
    while let Some(job) = queue.next() {
        job(&View::new(connection, cache));
    }
}
