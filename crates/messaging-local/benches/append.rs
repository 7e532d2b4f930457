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
use ferrohub_messaging::disk::RealDisk;
use ferrohub_messaging::{EventLog, EventProperties, NewEvent};
use ferrohub_messaging_local::{LocalEventLog, Options};
use ferrohub_model::clock::SystemClock;
use std::cell::Cell;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

const WRITERS: usize = 64;
const RECORD_BYTES: usize = 256;
/// The framing of a record in the journal.
const HEADER_BYTES: usize = 64;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let mut criterion =
        Criterion::default().sample_size(10).measurement_time(Duration::from_secs(5)).configure_from_args();

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let log =
        LocalEventLog::open(Arc::new(RealDisk), &folder.path().join("log"), Arc::new(SystemClock), Options::default());
    let log: Arc<dyn EventLog> = Arc::new(log.unwrap());
    let (rounds, spent) = (Cell::new(0), Cell::new(Duration::ZERO));
    criterion.bench_function("64 writers, one record each", |bencher| {
        bencher.iter_custom(|count| {
            let took = runtime.block_on(append_rounds(&log, count));
            rounds.set(rounds.get() + count);
            spent.set(spent.get() + took);
            took
        });
    });
    let append = spent.get() / u32::try_from(rounds.get().max(1)).unwrap();

    let mut file = OpenOptions::new().create(true).append(true).open(folder.path().join("probe")).unwrap();
    let bytes = vec![7; WRITERS * (RECORD_BYTES + HEADER_BYTES)];
    let (rounds, spent) = (Cell::new(0), Cell::new(Duration::ZERO));
    criterion.bench_function("probe: append and fdatasync of the same bytes", |bencher| {
        bencher.iter_custom(|count| {
            let started = Instant::now();
            for _ in 0..count {
                file.write_all(&bytes).unwrap();
                file.sync_data().unwrap();
            }
            rounds.set(rounds.get() + count);
            spent.set(spent.get() + started.elapsed());
            started.elapsed()
        });
    });
    let probe = spent.get() / u32::try_from(rounds.get().max(1)).unwrap();
    println!(
        "64 appends take {append:?}, the probe {probe:?}: ratio {:.2}; {:.0} records per second",
        append.as_secs_f64() / probe.as_secs_f64().max(f64::EPSILON),
        WRITERS as f64 / append.as_secs_f64().max(f64::EPSILON)
    );
    criterion.final_summary();
}

/// Each writer appends `count` records, one after the other.
async fn append_rounds(log: &Arc<dyn EventLog>, count: u64) -> Duration {
    let body = Bytes::from(vec![7; RECORD_BYTES]);
    let started = Instant::now();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (log, body) = (Arc::clone(log), body.clone());
            tokio::spawn(async move {
                for _ in 0..count {
                    let event = NewEvent {
                        stream: Uuid::nil(),
                        partition: (writer % 4) as u16,
                        body: body.clone(),
                        properties: EventProperties::default(),
                    };
                    log.append(vec![event]).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    started.elapsed()
}
