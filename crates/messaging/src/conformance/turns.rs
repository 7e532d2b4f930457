//! Two handles of one log that take turns, so that every check crosses from one to the other.

use crate::{Bounds, EventLog, NewEvent, Position, ReadFrom, StoredEvent};
use async_trait::async_trait;
use ferrohub_model::error::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;
use uuid::Uuid;

pub(super) struct Turns {
    handles: [Arc<dyn EventLog>; 2],
    turn: AtomicUsize,
}

impl Turns {
    pub(super) fn new(first: Arc<dyn EventLog>, second: Arc<dyn EventLog>) -> Self {
        Self { handles: [first, second], turn: AtomicUsize::new(0) }
    }

    fn next(&self) -> &dyn EventLog {
        &*self.handles[self.turn.fetch_add(1, Ordering::Relaxed) % 2]
    }
}

#[async_trait]
impl EventLog for Turns {
    async fn append(&self, events: Vec<NewEvent>) -> Result<Vec<Position>> {
        self.next().append(events).await
    }

    async fn read(
        &self,
        stream: Uuid,
        partition: u16,
        from: ReadFrom,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<StoredEvent>> {
        self.next().read(stream, partition, from, max_events, max_bytes).await
    }

    async fn bounds(&self, stream: Uuid, partition: u16) -> Result<Option<Bounds>> {
        self.next().bounds(stream, partition).await
    }

    async fn partitions(&self, stream: Uuid) -> Result<Vec<u16>> {
        self.next().partitions(stream).await
    }

    async fn streams(&self) -> Result<Vec<Uuid>> {
        self.next().streams().await
    }

    fn appended(&self, stream: Uuid) -> watch::Receiver<u64> {
        self.next().appended(stream)
    }

    async fn expire(&self, stream: Uuid, older_than_ms: i64) -> Result<u64> {
        self.next().expire(stream, older_than_ms).await
    }

    async fn drop_stream(&self, stream: Uuid) -> Result<u64> {
        self.next().drop_stream(stream).await
    }

    async fn ready(&self) -> Result<()> {
        self.next().ready().await
    }

    async fn close(&self) -> Result<()> {
        for handle in &self.handles {
            handle.close().await?;
        }
        Ok(())
    }
}
