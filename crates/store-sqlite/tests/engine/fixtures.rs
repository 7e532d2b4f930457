//! Files that earlier programs made: each is opened, read and written by this one.
//!
//! `tests/fixtures/format-N.db` was made by the first program of format N and is never made anew. After the
//! format was raised: `FERROHUB_MAKE_FIXTURE=1 cargo test -p ferrohub-store-sqlite --test engine fixtures`
//! adds the file that is missing.

use super::*;
use ferrohub_store::{Column, Page, Put, Row, UnitOfWork};
use serde_json::json;
use std::path::Path;

const MAKE: &str = "FERROHUB_MAKE_FIXTURE";

/// As declared when the first file was made; a later format may add columns and migration steps.
static PUMPS: Table =
    Table::new("pumps", &[Column { name: "serial", unique: true }, Column { name: "site", unique: false }]);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn format_of(path: &Path) -> i64 {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.query_row("SELECT user_version FROM pragma_user_version", [], |row| row.get(0)).unwrap()
}

async fn fill(path: &Path) {
    let store = SqliteStore::open(path, &[&PUMPS], SystemClock::shared(), Options::default()).unwrap();
    for number in 0..20 {
        let mut unit = UnitOfWork::new();
        let columns = vec![Some(format!("s{number:02}")), (number % 2 == 0).then(|| "north".to_owned())];
        unit.put(Put::new(&PUMPS, format!("pump-{number:02}"), columns, &json!({"name": "Bär", "n": number})).unwrap());
        store.commit(unit).await.unwrap();
    }
    let mut unit = UnitOfWork::new();
    let large = json!({"name": "large", "text": "0123456789abcdef".repeat(1000)});
    unit.put(Put::new(&PUMPS, "pump-large", vec![None, None], &large).unwrap()).delete(&PUMPS, "pump-19");
    store.commit(unit).await.unwrap();
}

#[tokio::test]
async fn files_of_every_format_are_opened() {
    if std::env::var_os(MAKE).is_some() {
        let folder = Folder::new();
        fill(&folder.file("made")).await;
        let path = self::folder().join(format!("format-{}.db", format_of(&folder.file("made"))));
        assert!(!path.exists(), "{} stays as it was made", path.display());
        std::fs::copy(folder.file("made"), path).unwrap();
    }
    let mut formats = Vec::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        formats.push(format_of(&path));
        let folder = Folder::new();
        std::fs::copy(&path, folder.file("copy")).unwrap();
        check(&folder.file("copy")).await;
    }
    let folder = Folder::new();
    fill(&folder.file("new")).await;
    assert!(formats.contains(&format_of(&folder.file("new"))), "the present format has no fixture: set {MAKE}");
}

async fn check(path: &Path) {
    let store = SqliteStore::open(path, &[&PUMPS], SystemClock::shared(), Options::default()).unwrap();
    let names = |rows: Vec<Arc<Row>>| -> Vec<String> { rows.iter().map(|row| row.key.clone()).collect() };
    assert_eq!(store.scan(&PUMPS, "pump-", Page::first(100)).await.unwrap().len(), 20);
    assert_eq!(store.count(&PUMPS, "site", "north").await.unwrap(), 10);
    let found = store.find(&PUMPS, "site", "north", Page::following("pump-14", 10)).await.unwrap();
    assert_eq!(names(found), ["pump-16", "pump-18"]);
    let row = store.find_one(&PUMPS, "serial", "s07").await.unwrap().unwrap();
    assert_eq!((row.key.as_str(), row.value().unwrap()), ("pump-07", json!({"name": "Bär", "n": 7})));
    let large = store.get(&PUMPS, "pump-large").await.unwrap().unwrap();
    assert_eq!(large.value().unwrap()["text"].as_str().unwrap().len(), 16_000);
    assert!(store.get(&PUMPS, "pump-19").await.unwrap().is_none());
    // Versions go on above all that were given out.
    let mut unit = UnitOfWork::new();
    unit.expect_version(&PUMPS, "pump-07", row.version);
    unit.put(Put::new(&PUMPS, "pump-07", vec![Some("s07".to_owned()), None], &json!({"n": 8})).unwrap());
    let version = store.commit(unit).await.unwrap().versions[0];
    assert!(version > large.version, "{version}");
}
