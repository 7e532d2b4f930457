//! The file, its format and the queue.

use super::*;
use ferrohub_model::limits;
use ferrohub_store::{Column, Put, UnitOfWork};
use futures_util::future::join_all;
use serde_json::json;

static ITEMS: Table = Table::new("items", &[Column { name: "label", unique: false }]);

fn unit(key: &str) -> UnitOfWork {
    let mut unit = UnitOfWork::new();
    unit.put(Put::new(&ITEMS, key, vec![Some("x".to_owned())], &json!({ "key": key })).unwrap());
    unit
}

fn open(folder: &Folder) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(&folder.file("items"), &[&ITEMS], SystemClock::shared(), Options::default())
}

#[tokio::test]
async fn a_file_of_a_newer_program_is_refused_with_a_sentence() {
    let folder = Folder::new();
    open(&folder).unwrap().commit(unit("a")).await.unwrap();
    let set = |sql: &str| {
        let connection = rusqlite::Connection::open(folder.file("items")).unwrap();
        connection.execute_batch(sql).unwrap();
    };
    // A newer format that still lets this program work, for one step back.
    set("PRAGMA user_version = 4");
    open(&folder).unwrap().commit(unit("b")).await.unwrap();
    set("UPDATE ferrohub_meta SET value = 4 WHERE name = 'oldest_reader'");
    let Err(StoreError::Newer(sentence)) = open(&folder) else {
        panic!("a newer file was opened");
    };
    assert!(sentence.contains("items.db") && sentence.contains("data format 4, this program knows 3"));
}

#[tokio::test]
async fn a_file_from_before_the_first_release_is_refused_with_a_sentence_and_left_alone() {
    let folder = Folder::new();
    drop(open(&folder).unwrap());
    let connection = rusqlite::Connection::open(folder.file("items")).unwrap();
    connection
        .execute_batch("PRAGMA user_version = 1; UPDATE ferrohub_meta SET value = 1 WHERE name = 'oldest_reader'")
        .unwrap();
    drop(connection);
    let before = std::fs::read(folder.file("items")).unwrap();
    let Err(StoreError::Older(sentence)) = open(&folder) else {
        panic!("an early file was opened");
    };
    let told =
        "items.db has format 1, made by an early Ferrohub; this program starts at 2: start with an empty data folder";
    assert!(sentence.contains(told), "{sentence}");
    assert_eq!(std::fs::read(folder.file("items")).unwrap(), before);
}

#[tokio::test]
async fn a_database_of_another_program_is_left_alone() {
    let folder = Folder::new();
    let path = folder.file("items");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(open(&folder), Err(StoreError::Engine(text)) if text.contains("another program")));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    std::fs::write(&path, vec![7; 8192]).unwrap();
    assert!(matches!(open(&folder), Err(StoreError::Engine(_))));
}

#[tokio::test]
async fn the_file_is_for_its_owner_only_and_whole_after_close() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let store = open(&folder).unwrap();
    store.commit(unit("a")).await.unwrap();
    for entry in std::fs::read_dir(folder.folder.path()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    drop(store);
    let names: Vec<_> =
        std::fs::read_dir(folder.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["items.db"], "the write-ahead log is folded in");
}

#[tokio::test]
async fn a_full_queue_answers_busy_and_loses_nothing_it_took() {
    let folder = Folder::new();
    let store = open(&folder).unwrap();
    let keys: Vec<String> = (0..4 * limits::STORE_QUEUE).map(|number| format!("{number:05}")).collect();
    // A writer that is held back by another connection's lock lets the queue fill up.
    let blocker = rusqlite::Connection::open(folder.file("items")).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let commits = join_all(keys.iter().map(|key| store.commit(unit(key))));
    let release = async {
        tokio::task::yield_now().await;
        blocker.execute_batch("ROLLBACK").unwrap();
    };
    let (results, ()) = tokio::join!(commits, release);
    let mut refused = 0;
    for (key, result) in keys.iter().zip(results) {
        let found = store.get(&ITEMS, key).await.unwrap();
        match result {
            Ok(_) => assert!(found.is_some(), "{key} was acknowledged"),
            Err(StoreError::Busy) => {
                refused += 1;
                assert!(found.is_none(), "{key} was refused");
            }
            Err(error) => panic!("{key}: {error}"),
        }
    }
    assert!(refused > 0, "the queue never filled up");
    store.ready().await.unwrap();
}
