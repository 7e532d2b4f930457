//! The event log as its callers see it.

use crate::fault;
use crate::index::Index;
use crate::reader;
use crate::record::{self, Key};
use crate::recovery;
use crate::reserve;
use crate::segment::remove_if_there;
use crate::writer::{Append, Journal, Message};
use async_trait::async_trait;
use ferrohub_messaging::disk::{Disk, DiskFile};
use ferrohub_messaging::{Bounds, EventLog, NewEvent, Position, ReadFrom, StoredEvent};
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::limits;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::{Builder, JoinHandle};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

/// How the log runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Length at which a segment is sealed, bytes; 4 KiB to 1 GiB. Opening the log reads one segment.
    pub segment_bytes: u64,
    /// Most bytes that are written before a sync, as long as a single append has no more.
    pub batch_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 64 * 1024 * 1024, batch_bytes: 8 * 1024 * 1024 }
    }
}

const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = 4 * 1024..=1024 * 1024 * 1024;

/// File of a probe, and its bytes: ours, some blocks.
const PROBE: &str = "probe.tmp";
const PROBE_BYTES: usize = 16 * 1024;

/// An [`EventLog`] in one folder. The folder must be locked by the caller: one process at a time.
/// Dropping it finishes the appends under way; it blocks until they are synced.
pub struct LocalEventLog {
    shared: Arc<Shared>,
    queue: Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the writing thread and the readers share.
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    published: RwLock<Published>,
    /// Why the log takes no more events.
    pub(crate) poison: OnceLock<String>,
    probing: Mutex<()>,
    /// Bytes waiting for the writing thread.
    pub(crate) queued: AtomicUsize,
    /// Who waits for events, by stream.
    watchers: Mutex<HashMap<Uuid, watch::Sender<u64>>>,
}

/// What readers may see.
pub(crate) struct Published {
    pub(crate) index: Index,
    /// The segment being written, and its file.
    pub(crate) active: u64,
    pub(crate) file: Arc<dyn DiskFile>,
}

impl Shared {
    pub(crate) fn published(&self) -> RwLockReadGuard<'_, Published> {
        self.published.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn publish(&self) -> RwLockWriteGuard<'_, Published> {
        self.published.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those who wait for events of these partitions.
    pub(crate) fn announce(&self, keys: impl Iterator<Item = Key>) {
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        if watchers.is_empty() {
            return;
        }
        let mut counts: HashMap<Uuid, u64> = HashMap::new();
        keys.for_each(|(stream, _)| *counts.entry(stream).or_default() += 1);
        for (stream, count) in counts {
            if let Some(watcher) = watchers.get(&stream) {
                watcher.send_modify(|appended| *appended += count);
            }
        }
        watchers.retain(|_, watcher| watcher.receiver_count() > 0);
    }

    fn reserve(&self, bytes: usize) -> Result<()> {
        let reserved = self.queued.fetch_update(Ordering::AcqRel, Ordering::Acquire, |queued| {
            Some(queued + bytes).filter(|sum| *sum <= limits::LOG_QUEUE_BYTES)
        });
        match reserved {
            Ok(_) => Ok(()),
            Err(queued) => Err(Error::unavailable(
                "The event log has more events waiting than it takes at once; try again in a second.",
                1,
            )
            .with_context(format!("event log: {queued} bytes are waiting"))),
        }
    }
}

impl LocalEventLog {
    /// Opens the log in `dir` on `disk`, made when it is not there, and starts its thread. Cuts off
    /// what a crash left half written. Blocks on the disk.
    ///
    /// # Errors
    /// Internal, with a sentence for the operator, when the disk fails, a record that was
    /// acknowledged is damaged (file and offset are named) or the journal has another format.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, clock: Arc<dyn Clock>, options: Options) -> Result<Self> {
        let recovered = recovery::open(&*disk, dir)?;
        if let Err(error) = reserve::keep(&*disk, dir) {
            tracing::warn!(%error, "no room could be kept in the event log's folder for a full disk");
        }
        let last = recovered.last;
        let published = Published { index: recovered.index, active: recovered.active, file: last.file };
        let shared = Arc::new(Shared {
            disk,
            dir: dir.to_owned(),
            published: RwLock::new(published),
            poison: OnceLock::new(),
            probing: Mutex::default(),
            queued: AtomicUsize::new(0),
            watchers: Mutex::default(),
        });
        let options = Options {
            segment_bytes: options.segment_bytes.clamp(*SEGMENT_BYTES.start(), *SEGMENT_BYTES.end()),
            ..options
        };
        let mut journal = Journal::new(Arc::clone(&shared), clock, options, recovered.horizons, last.seal, last.length);
        let (queue, messages) = channel();
        let thread = Builder::new()
            .name("event-log".to_owned())
            .spawn(move || journal.serve(&messages))
            .map_err(|error| fault::open(format!("its thread cannot be started: {error}")))?;
        Ok(Self { shared, queue, thread: Mutex::new(Some(thread)) })
    }

    /// Reads every record of the log in `dir`, which nobody may have open, and changes nothing. Gives what is wrong, a
    /// sentence each. Blocks on the disk.
    ///
    /// # Errors
    /// Internal when the disk fails.
    pub fn check(disk: &dyn Disk, dir: &Path) -> Result<Vec<String>> {
        recovery::check(disk, dir)
    }

    async fn ask<T>(&self, make: impl FnOnce(oneshot::Sender<Result<T>>) -> Message) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        self.queue.send(make(answer)).map_err(|_| fault::closed())?;
        answered.await.map_err(|_| fault::closed())?
    }
}

impl Drop for LocalEventLog {
    fn drop(&mut self) {
        let (answer, _) = oneshot::channel();
        // Nobody listens when it was closed before.
        let _ = self.queue.send(Message::Close { answer });
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            let _ = thread.join();
        }
    }
}

/// The first event of each partition that is not older. Blocks on the disk.
fn first_kept(shared: &Shared, stream: Uuid, older_than_ms: i64) -> Result<Vec<(Key, u64)>> {
    let partitions = shared.published().index.partitions_of(stream);
    let mut marks = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let key = (stream, partition);
        // Before the search: what is appended meanwhile is not old.
        let end = shared.published().index.head(key).next_sequence;
        let from = ReadFrom::EnqueuedAfter(older_than_ms.saturating_sub(1));
        marks.push((key, reader::locate(shared, key, from)?.unwrap_or(end)));
    }
    Ok(marks)
}

/// Writes, syncs and removes a file that is none of the log's. Blocks on the disk.
fn probe(shared: &Shared) -> Result<()> {
    // One at a time: they share the name.
    let _turn = shared.probing.lock().unwrap_or_else(PoisonError::into_inner);
    let path = shared.dir.join(PROBE);
    let written = remove_if_there(&*shared.disk, &path).and_then(|()| {
        let file = shared.disk.create(&path)?;
        file.append(&[0; PROBE_BYTES])?;
        file.sync()
    });
    let removed = remove_if_there(&*shared.disk, &path);
    written.and(removed).map_err(|error| fault::disk("probing", &error))
}

fn too_large(length: usize, limit: usize) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        "MessageTooLarge",
        format!("The message takes {length} bytes in the event log, at most {limit} are stored; send less at once."),
    )
}

#[async_trait]
impl EventLog for LocalEventLog {
    async fn append(&self, events: Vec<NewEvent>) -> Result<Vec<Position>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(cause) = self.shared.poison.get() {
            return Err(fault::poisoned(cause));
        }
        let mut bytes = 0;
        for event in &events {
            let length = record::length_of(event);
            if length > limits::LOG_RECORD_BYTES {
                return Err(too_large(length, limits::LOG_RECORD_BYTES));
            }
            bytes += length;
        }
        if bytes > limits::LOG_QUEUE_BYTES {
            return Err(too_large(bytes, limits::LOG_QUEUE_BYTES));
        }
        self.shared.reserve(bytes)?;
        self.ask(|answer| Message::Append(Append { events, bytes, answer })).await
    }

    async fn read(
        &self,
        stream: Uuid,
        partition: u16,
        from: ReadFrom,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<StoredEvent>> {
        let key = (stream, partition);
        // Followers mostly ask for what is not there yet: no thread for that.
        let next = self.shared.published().index.head(key).next_sequence;
        let nothing_new = match from {
            ReadFrom::End => true,
            ReadFrom::Sequence(sequence) => sequence >= next,
            _ => next == 0,
        };
        if nothing_new || max_events == 0 {
            return Ok(Vec::new());
        }
        let shared = Arc::clone(&self.shared);
        let work = move || reader::read(&shared, key, from, max_events, max_bytes);
        let joined = tokio::task::spawn_blocking(work).await;
        joined.map_err(|error| Error::internal(format!("event log: a read ended early: {error}")))?
    }

    async fn bounds(&self, stream: Uuid, partition: u16) -> Result<Option<Bounds>> {
        Ok(self.shared.published().index.bounds((stream, partition)))
    }

    async fn partitions(&self, stream: Uuid) -> Result<Vec<u16>> {
        Ok(self.shared.published().index.partitions_of(stream))
    }

    async fn streams(&self) -> Result<Vec<Uuid>> {
        Ok(self.shared.published().index.streams().into_iter().collect())
    }

    fn appended(&self, stream: Uuid) -> watch::Receiver<u64> {
        let mut watchers = self.shared.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.entry(stream).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    async fn expire(&self, stream: Uuid, older_than_ms: i64) -> Result<u64> {
        let shared = Arc::clone(&self.shared);
        let work = move || first_kept(&shared, stream, older_than_ms);
        let joined = tokio::task::spawn_blocking(work).await;
        let marks = joined.map_err(|error| Error::internal(format!("event log: a sweep ended early: {error}")))??;
        self.ask(|answer| Message::Expire { marks, answer }).await
    }

    async fn drop_stream(&self, stream: Uuid) -> Result<u64> {
        self.ask(|answer| Message::Drop { stream, answer }).await
    }

    async fn ready(&self) -> Result<()> {
        if let Some(cause) = self.shared.poison.get() {
            return Err(fault::poisoned(cause));
        }
        let shared = Arc::clone(&self.shared);
        let joined = tokio::task::spawn_blocking(move || probe(&shared)).await;
        joined.map_err(|error| Error::internal(format!("event log: a probe ended early: {error}")))?
    }

    async fn close(&self) -> Result<()> {
        match self.ask(|answer| Message::Close { answer }).await {
            // Closed before.
            Err(error) if error.kind == ErrorKind::Unavailable => Ok(()),
            result => result,
        }
    }
}
