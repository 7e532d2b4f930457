//! Appends of 256-byte records from 64 writers, against a bare append and fdatasync of as many bytes.
//!
//! Disks differ tenfold between machines; the ratio printed at the end is what to compare.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its result and stops at the first failure"
)]

use bytes::Bytes;
use criterion::Criterion;
use ferrohub_clock::SystemClock;
use ferrohub_messaging::disk::RealDisk;
use ferrohub_messaging::{EventLog, NewEvent, Packed};
use ferrohub_messaging_local::{LocalEventLog, Options};
use ferrohub_model::clock::Clock;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const WRITERS: usize = 64;
const RECORD_BYTES: usize = 256;
/// The framing of a record in the journal.
const HEADER_BYTES: usize = 64;
/// Pairs of measurements behind the ratio.
const TURNS: usize = 300;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let mut criterion =
        Criterion::default().sample_size(10).measurement_time(Duration::from_secs(5)).configure_from_args();

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let log =
        LocalEventLog::open(Arc::new(RealDisk), &folder.path().join("log"), SystemClock::shared(), Options::default());
    let log: Arc<dyn EventLog> = Arc::new(log.unwrap());
    criterion.bench_function("64 writers, one record each", |bencher| {
        bencher.iter_custom(|count| runtime.block_on(append_rounds(&log, count)));
    });

    let mut file = OpenOptions::new().create(true).append(true).open(folder.path().join("probe")).unwrap();
    let bytes = vec![7; WRITERS * (RECORD_BYTES + HEADER_BYTES)];
    criterion.bench_function("probe: append and fdatasync of the same bytes", |bencher| {
        bencher.iter_custom(|count| {
            let started = SystemClock.monotonic();
            for _ in 0..count {
                file.write_all(&bytes).unwrap();
                file.sync_data().unwrap();
            }
            SystemClock.monotonic().since(started)
        });
    });
    // In turns, so that whatever else the machine does strikes both alike.
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        ours.push(runtime.block_on(append_rounds(&log, 1)));
        let started = SystemClock.monotonic();
        file.write_all(&bytes).unwrap();
        file.sync_data().unwrap();
        bare.push(SystemClock.monotonic().since(started));
    }
    let (ours, bare) = (median(ours), median(bare));
    println!(
        "medians: 64 appends take {ours:?}, the probe {bare:?}: ratio {:.2}; {:.0} records per second",
        ours.as_secs_f64() / bare.as_secs_f64().max(f64::EPSILON),
        64.0 / ours.as_secs_f64().max(f64::EPSILON)
    );
    criterion.final_summary();
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Each writer appends `count` records, one after the other.
async fn append_rounds(log: &Arc<dyn EventLog>, count: u64) -> Duration {
    let body = Bytes::from(vec![7; RECORD_BYTES]);
    let started = SystemClock.monotonic();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (log, body) = (Arc::clone(log), body.clone());
            tokio::spawn(async move {
                for _ in 0..count {
                    let event = NewEvent {
                        stream: Uuid::nil(),
                        partition: (writer % 4) as u16,
                        body: body.clone(),
                        properties: Packed::default(),
                    };
                    log.append(vec![event]).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    SystemClock.monotonic().since(started)
}
