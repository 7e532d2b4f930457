//! Copies of the file for a backup, taken while it is written to.

use super::*;
use ferrohub_store::{Page, Put, UnitOfWork};
use serde_json::json;
use std::path::Path;

static PAIRS: Table = Table::new("pairs", &[]);

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, &[&PAIRS], SystemClock::shared(), Options::default()).unwrap()
}

/// Two rows that always say the same.
async fn write(store: &SqliteStore, number: u32) {
    let mut unit = UnitOfWork::new();
    for name in ["left", "right"] {
        unit.put(Put::new(&PAIRS, name, Vec::new(), &json!({"number": number})).unwrap());
    }
    unit.put(Put::new(&PAIRS, format!("row-{number:06}"), Vec::new(), &json!({"text": "x".repeat(500)})).unwrap());
    store.commit(unit).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_busy_file_is_of_one_moment() {
    let folder = Folder::new();
    let path = folder.file("store");
    let store = Arc::new(open(&path));
    for number in 0..100 {
        write(&store, number).await;
    }
    let writer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in 100..1_000 {
                write(&store, number).await;
            }
        })
    };
    let mut last = 0;
    for copy in 0..5 {
        let (from, to) = (path.clone(), folder.file(&format!("copy{copy}")));
        let made = to.clone();
        tokio::task::spawn_blocking(move || SqliteStore::copy(&from, &made).unwrap()).await.unwrap();
        assert_eq!(SqliteStore::check(&to, &[&PAIRS]).unwrap(), Vec::<String>::new());
        let copied = open(&to);
        let number =
            async |name: &str| copied.get(&PAIRS, name).await.unwrap().unwrap().value().unwrap()["number"].as_u64();
        let (left, right) = (number("left").await.unwrap(), number("right").await.unwrap());
        assert_eq!(left, right);
        let rows = copied.scan(&PAIRS, "row-", Page::first(5_000)).await.unwrap().len() as u64;
        assert_eq!(rows, left + 1);
        assert!(left >= last, "a later copy is of a later moment");
        last = left;
        // It goes on from where the file was: no version is given out twice.
        write(&copied, 1_000_000).await;
    }
    writer.await.unwrap();
    assert!(SqliteStore::copy(&path, &folder.file("copy0")).is_err(), "nothing is written over");
}

#[tokio::test]
async fn a_file_that_nobody_has_open_is_copied_with_what_lies_in_its_log() {
    let folder = Folder::new();
    let path = folder.file("store");
    let store = open(&path);
    write(&store, 7).await;
    // As after kill -9: the write-ahead log was not folded in.
    let left = folder.file("left");
    for ending in ["", "-wal"] {
        let name = |path: &Path| format!("{}{ending}", path.display());
        std::fs::copy(name(&path), name(&left)).unwrap();
    }
    drop(store);
    let copy = folder.file("copy");
    SqliteStore::copy(&left, &copy).unwrap();
    let row = open(&copy).get(&PAIRS, "left").await.unwrap().unwrap();
    assert_eq!(row.value().unwrap()["number"], 7);
}
