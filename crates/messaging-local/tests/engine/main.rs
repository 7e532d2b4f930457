//! The local log and bus against their contracts.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test reports by panicking")]

mod crash;
mod faults;
mod forgery;
mod segments;
mod simulation;
mod snapshots;

use async_trait::async_trait;
use bytes::Bytes;
use ferrohub_clock::SystemClock;
use ferrohub_messaging::conformance::{self, Place};
use ferrohub_messaging::disk::{Disk, ForgetfulDisk, RealDisk};
use ferrohub_messaging::{EventLog, NewEvent, Packed, Position, ReadFrom, StoredEvent};
use ferrohub_messaging_local::{LocalBus, LocalEventLog, Options};
use ferrohub_model::clock::ManualClock;
use ferrohub_model::error::Result;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

const HUB: Uuid = Uuid::from_u128(1);
/// Small segments, so that tests go through many of them.
const SMALL: Options = Options { segment_bytes: 4096, batch_bytes: 1024 * 1024 };

struct On<D>(D, PathBuf, Options);

#[async_trait]
impl<D: Disk + Clone> Place for On<D> {
    async fn open(&self, name: &str) -> Result<Arc<dyn EventLog>> {
        let disk = Arc::new(self.0.clone());
        let clock = SystemClock::shared();
        let log = LocalEventLog::open(disk, &self.1.join(name), clock, self.2.clone())?;
        Ok(Arc::new(log))
    }

    /// The folder is one process's: whatever else that process has is another handle on the same engine.
    async fn second(&self, _name: &str, first: &Arc<dyn EventLog>) -> Result<Arc<dyn EventLog>> {
        Ok(Arc::clone(first))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_on_the_real_disk() {
    let folder = tempfile::tempdir().unwrap();
    let place = On(RealDisk, folder.path().to_owned(), Options::default());
    conformance::event_log(&place, &SystemClock).await;
}

#[tokio::test]
async fn conformance_with_small_segments_in_memory() {
    let place = On(ForgetfulDisk::new(), PathBuf::from("/log"), SMALL);
    conformance::event_log(&place, &SystemClock).await;
}

#[tokio::test]
async fn conformance_of_the_bus() {
    let bus = LocalBus::new();
    conformance::bus(&bus, &bus.clone(), &SystemClock).await;
}

fn dir() -> &'static Path {
    Path::new("/log")
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(jiff::Timestamp::from_second(1_800_000_000).unwrap()))
}

fn open(disk: &ForgetfulDisk) -> Result<LocalEventLog> {
    LocalEventLog::open(Arc::new(disk.clone()), dir(), clock(), SMALL)
}

fn event(body: impl Into<Bytes>) -> NewEvent {
    NewEvent { stream: HUB, partition: 0, body: body.into(), properties: Packed::default() }
}

async fn append(log: &LocalEventLog, body: &str) -> Result<Position> {
    Ok(log.append(vec![event(body.to_owned())]).await?[0])
}

/// `count` appended events of some 500 bytes, `from`, `from`+1 and so on.
async fn fill(log: &LocalEventLog, from: u64, count: u64) {
    for number in from..from + count {
        let position = append(log, &format!("{number:0500}")).await.unwrap();
        assert_eq!(position.sequence, number);
    }
}

async fn everything(log: &LocalEventLog) -> Result<Vec<StoredEvent>> {
    log.read(HUB, 0, ReadFrom::Beginning, usize::MAX, usize::MAX).await
}

fn assert_filled(events: &[StoredEvent], count: u64) {
    assert_eq!(events.len() as u64, count);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event.sequence, number as u64);
        assert_eq!(event.body, format!("{number:0500}"));
    }
}
