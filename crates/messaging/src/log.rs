//! The durable log of events.

use crate::{NewEvent, Position, StoredEvent};
use async_trait::async_trait;
use ferrohub_model::error::Result;
use tokio::sync::watch;
use uuid::Uuid;

/// Where a read starts. An event that retention took away is passed over in silence: the read
/// starts at the first one that is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFrom {
    /// The oldest event that is kept.
    Beginning,
    /// The event with this sequence number, inclusive.
    Sequence(u64),
    /// The first event whose offset is above this one.
    OffsetAfter(u64),
    /// The first event enqueued later than this, milliseconds since the Unix epoch.
    EnqueuedAfter(i64),
    /// Behind the newest event: the read gives nothing. To follow a partition from here, take
    /// `last_sequence + 1` of [`EventLog::bounds`] and read with [`ReadFrom::Sequence`].
    End,
}

/// What a partition holds. It is empty when `first_sequence > last_sequence`, which only happens
/// after retention took everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Sequence number of the oldest event kept; the next number to be given when there is none.
    pub first_sequence: u64,
    /// Sequence number of the newest event ever stored.
    pub last_sequence: u64,
    /// When the newest event was enqueued, milliseconds since the Unix epoch.
    pub last_enqueued_ms: i64,
    /// Offset of the newest event.
    pub last_offset: u64,
}

/// A durable, partitioned log. Readers see synced events only.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Appends `events` and gives one position for each, in their order; synced to disk when it
    /// returns `Ok`. Not atomic: after a crash before `Ok` any first part of them may be there.
    ///
    /// # Errors
    /// Unavailable when the queue (`limits::LOG_QUEUE_BYTES`) or the disk is full or the log is
    /// closed, not found for a dropped stream, too large for an event over `limits::LOG_RECORD_BYTES`, internal when the disk failed.
    async fn append(&self, events: Vec<NewEvent>) -> Result<Vec<Position>>;

    /// Events of a partition in order of sequence: at most `max_events`, and at most `max_bytes` of
    /// bodies and properties, but never none when there is one.
    ///
    /// # Errors
    /// Internal when the disk fails or holds damaged records.
    async fn read(
        &self,
        stream: Uuid,
        partition: u16,
        from: ReadFrom,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<StoredEvent>>;

    /// What a partition holds; `None` when nothing was ever appended to it.
    ///
    /// # Errors
    /// Unavailable or internal when the engine cannot say.
    async fn bounds(&self, stream: Uuid, partition: u16) -> Result<Option<Bounds>>;

    /// Partitions of a stream that were ever appended to, ascending.
    ///
    /// # Errors
    /// Unavailable or internal when the engine cannot say.
    async fn partitions(&self, stream: Uuid) -> Result<Vec<u16>>;

    /// Streams that were ever appended to and not dropped.
    ///
    /// # Errors
    /// Unavailable or internal when the engine cannot say.
    async fn streams(&self) -> Result<Vec<Uuid>>;

    /// Changes after each synced batch with events of `stream`; what a receiver sees only grows while the log is open.
    fn appended(&self, stream: Uuid) -> watch::Receiver<u64>;

    /// Takes the events of `stream` that were enqueued before `older_than_ms`: they are given out no more, also after a
    /// restart, and reads below start at the first one that is left. Sequence numbers go on as before. Space comes back in
    /// whole segments, the oldest first, once nothing in them is kept for any stream. Gives the number of segments removed.
    ///
    /// # Errors
    /// Internal when the disk fails; the next try makes up for it.
    async fn expire(&self, stream: Uuid, older_than_ms: i64) -> Result<u64>;

    /// Takes all events of `stream` for good: it is unknown from now on, and appends to it are refused. Gives the number of
    /// segments removed. A stream that is unknown already is no error.
    ///
    /// # Errors
    /// As [`Self::expire`].
    async fn drop_stream(&self, stream: Uuid) -> Result<u64>;

    /// `Ok` when events can be stored: writes and syncs a little beside them, and leaves nothing behind.
    ///
    /// # Errors
    /// Unavailable when the disk is full, internal when it failed.
    async fn ready(&self) -> Result<()>;

    /// Finishes what is queued and closes; later appends are refused. Closing twice is no error.
    ///
    /// # Errors
    /// Internal when the last batch could not be synced.
    async fn close(&self) -> Result<()>;
}
