//! Reads of one row by key and by a unique value: from memory, and from the file with the cache off.
//!
//! Times differ between machines; compare the lines of one run. `valgrind --tool=callgrind` on this binary
//! with `memory` or `file` as its only argument counts instructions instead, over [`COUNTED`] reads.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its result and stops at the first failure"
)]

use criterion::Criterion;
use ferrohub_clock::SystemClock;
use ferrohub_store::{Column, Put, Store, Table, UnitOfWork};
use ferrohub_store_sqlite::{Options, SqliteStore};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

static ROWS: Table = Table::new("rows", &[Column { name: "place", unique: true }]);
const COUNT: usize = 5000;
/// About what a device's row takes.
const DOCUMENT_BYTES: usize = 300;
/// Reads of a run under callgrind.
const COUNTED: usize = 20_000;

#[derive(Deserialize)]
struct Document {
    members: BTreeMap<String, String>,
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let open = |name: &str, cache_bytes| runtime.block_on(filled(&folder.path().join(name), cache_bytes));
    let counted = std::env::args().nth(1);
    if let Some(cache_bytes) = match counted.as_deref() {
        Some("memory") => Some(Options::default().cache_bytes),
        Some("file") => Some(0),
        _ => None,
    } {
        let store = open("counted.db", cache_bytes);
        for number in 0..COUNTED {
            runtime.block_on(get(&store, number));
        }
        println!("{COUNTED} reads");
        return;
    }
    let mut criterion =
        Criterion::default().sample_size(20).measurement_time(Duration::from_secs(3)).configure_from_args();
    for (name, cache_bytes) in [("memory", Options::default().cache_bytes), ("file", 0)] {
        let store = open(&format!("{name}.db"), cache_bytes);
        let mut number = 0;
        criterion.bench_function(&format!("get by key and parse, {name}"), |bencher| {
            bencher.iter(|| {
                number += 1;
                runtime.block_on(get(&store, number));
            });
        });
        criterion.bench_function(&format!("find by a unique value, {name}"), |bencher| {
            bencher.iter(|| {
                number += 1;
                let place = place(number);
                runtime.block_on(store.find_one(&ROWS, "place", &place)).unwrap().unwrap();
            });
        });
    }
    criterion.final_summary();
}

fn key(number: usize) -> String {
    // Spread over the table, as uids are.
    format!("00000000-0000-7000-8000-{:012x}", (number % COUNT) * 7919 % COUNT)
}

fn place(number: usize) -> String {
    format!("11111111-1111-7111-8111-111111111111/{}", key(number))
}

async fn get(store: &SqliteStore, number: usize) {
    let row = store.get(&ROWS, &key(number)).await.unwrap().unwrap();
    assert!(!row.parse::<Document>().unwrap().members.is_empty());
}

async fn filled(path: &Path, cache_bytes: u64) -> SqliteStore {
    let store = SqliteStore::open(path, &[&ROWS], SystemClock::shared(), Options { cache_bytes, ..Options::default() })
        .unwrap();
    let members: BTreeMap<String, String> =
        (0..6).map(|number| (format!("member{number}"), "x".repeat(DOCUMENT_BYTES / 6 - 14))).collect();
    let doc = json!({ "members": members });
    for numbers in (0..COUNT).collect::<Vec<_>>().chunks(250) {
        let mut unit = UnitOfWork::new();
        for number in numbers {
            unit.put(Put::new(&ROWS, key(*number), vec![Some(place(*number))], &doc).unwrap());
        }
        store.commit(unit).await.unwrap();
    }
    store
}
