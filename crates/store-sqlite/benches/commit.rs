//! Commits from 64 concurrent callers, against a bare append and fdatasync of as many bytes.
//!
//! Disks differ tenfold between machines; the ratio printed at the end is what to compare.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its result and stops at the first failure"
)]

use criterion::Criterion;
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use ferrohub_store::{Put, Store, Table, UnitOfWork};
use ferrohub_store_sqlite::{Options, SqliteStore};
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

const CALLERS: usize = 64;
/// About what a twin's row takes.
const DOCUMENT_BYTES: usize = 300;

static ROWS: Table = Table::new("rows", &[]);
/// Pairs of measurements behind the ratio.
const TURNS: usize = 300;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let mut criterion =
        Criterion::default().sample_size(10).measurement_time(Duration::from_secs(5)).configure_from_args();

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let path = folder.path().join("bench.db");
    let store: Arc<dyn Store> =
        Arc::new(SqliteStore::open(&path, &[&ROWS], SystemClock::shared(), Options::default()).unwrap());
    criterion.bench_function("64 callers, one commit each", |bencher| {
        bencher.iter_custom(|count| runtime.block_on(commit_rounds(&store, count)));
    });

    let file = folder.path().join("probe");
    let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
    let bytes = vec![7; CALLERS * (DOCUMENT_BYTES + 64)];
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
        ours.push(runtime.block_on(commit_rounds(&store, 1)));
        let started = SystemClock.monotonic();
        file.write_all(&bytes).unwrap();
        file.sync_data().unwrap();
        bare.push(SystemClock.monotonic().since(started));
    }
    let (ours, bare) = (median(ours), median(bare));
    println!(
        "medians: 64 commits take {ours:?}, the probe {bare:?}: ratio {:.2}; {:.0} commits per second",
        ours.as_secs_f64() / bare.as_secs_f64().max(f64::EPSILON),
        64.0 / ours.as_secs_f64().max(f64::EPSILON)
    );
    criterion.final_summary();
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Each caller commits `count` times, one after the other.
async fn commit_rounds(store: &Arc<dyn Store>, count: u64) -> Duration {
    let started = SystemClock.monotonic();
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                for number in 0..count {
                    let mut unit = UnitOfWork::new();
                    let doc = json!({ "text": "x".repeat(DOCUMENT_BYTES) });
                    unit.put(Put::new(&ROWS, format!("{caller}-{}", number % 1000), Vec::new(), &doc).unwrap());
                    store.commit(unit).await.unwrap();
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    SystemClock.monotonic().since(started)
}
