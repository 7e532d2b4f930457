//! From closed to ready, with few rows and with many, after a clean end and after a kill: none of it may grow
//! with the rows.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its result and stops at the first failure"
)]

use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use ferrohub_store::{Column, Put, Store, Table, UnitOfWork};
use ferrohub_store_sqlite::{Options, SqliteStore};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

static ROWS: Table = Table::new("rows", &[Column { name: "place", unique: true }]);
/// Rows of the small and of the large file; a device is three.
const SIZES: [usize; 2] = [3_000, 180_000];
const TURNS: usize = 15;
const DOCUMENT_BYTES: usize = 300;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for size in SIZES {
        let folder = tempfile::tempdir().unwrap();
        let (clean, killed) = (folder.path().join("clean.db"), folder.path().join("killed.db"));
        let store = runtime.block_on(filled(&clean, size));
        // What a kill leaves: the file with its write-ahead log, copied while nobody writes.
        for end in ["", "-wal"] {
            std::fs::copy(with_end(&clean, end), with_end(&killed, end)).unwrap();
        }
        drop(store);
        for (name, from) in [("a clean end", &clean), ("a kill", &killed)] {
            let mut times: Vec<Duration> = (0..TURNS).map(|_| runtime.block_on(open(folder.path(), from))).collect();
            times.sort_unstable();
            println!("open to ready, {size} rows, after {name}: median {:?}", times[TURNS / 2]);
        }
    }
}

fn with_end(path: &Path, end: &str) -> String {
    format!("{}{end}", path.display())
}

/// Opens a copy.
async fn open(folder: &Path, from: &Path) -> Duration {
    let path = folder.join("copy.db");
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(with_end(&path, end));
        if end != "-shm" && Path::new(&with_end(from, end)).exists() {
            std::fs::copy(with_end(from, end), with_end(&path, end)).unwrap();
        }
    }
    let started = SystemClock.monotonic();
    let store = SqliteStore::open(&path, &[&ROWS], SystemClock::shared(), Options::default()).unwrap();
    store.ready().await.unwrap();
    SystemClock.monotonic().since(started)
}

async fn filled(path: &Path, size: usize) -> SqliteStore {
    let store = SqliteStore::open(path, &[&ROWS], SystemClock::shared(), Options::default()).unwrap();
    let doc = json!({ "text": "x".repeat(DOCUMENT_BYTES) });
    for first in (0..size).step_by(250) {
        let mut unit = UnitOfWork::new();
        for number in first..size.min(first + 250) {
            let key = format!("00000000-0000-7000-8000-{number:012x}");
            let place = format!("11111111-1111-7111-8111-111111111111/{number:012}");
            unit.put(Put::new(&ROWS, key, vec![Some(place)], &doc).unwrap());
        }
        store.commit(unit).await.unwrap();
    }
    store
}
