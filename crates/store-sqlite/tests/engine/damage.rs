//! A file that is not as it was written: what is read is what was written, or an error. Never less, never something else.

use super::*;
use ferrohub_model::random::{Random, SeededRandom};
use ferrohub_store::{Column, Page, Put, Row, UnitOfWork};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

static VALVES: Table =
    Table::new("valves", &[Column { name: "serial", unique: true }, Column { name: "site", unique: false }]);

const ROWS: usize = 200;

/// Opens once the file is known to be whole or not, however busy the machine is.
fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    open_after(path, Duration::from_secs(60))
}

fn open_after(path: &Path, check_wait: Duration) -> Result<SqliteStore, StoreError> {
    let options = Options { cache_bytes: 0, check_wait, ..Options::default() };
    SqliteStore::open(path, &[&VALVES], SystemClock::shared(), options)
}

/// Everything that can be asked, and answered.
#[derive(Debug, PartialEq)]
struct Answers {
    scan: Vec<Arc<Row>>,
    range: Vec<Arc<Row>>,
    found: Vec<Arc<Row>>,
    last: Vec<Arc<Row>>,
    count: u64,
    each: Vec<Option<Arc<Row>>>,
}

async fn ask(store: &SqliteStore) -> Result<Answers, StoreError> {
    let keys: Vec<String> = (0..ROWS).map(|number| format!("valve-{number:04}")).collect();
    let page = || Page::first(ROWS);
    Ok(Answers {
        scan: store.scan(&VALVES, "", page()).await?,
        range: store.range(&VALVES, "serial", "s", page()).await?,
        found: store.find(&VALVES, "site", "north", page()).await?,
        last: store.last(&VALVES, "valve-", Page::first(ROWS)).await?,
        count: store.count(&VALVES, "site", "north").await?,
        each: store.get_many(&VALVES, &keys).await?,
    })
}

async fn fill(path: &Path) -> Answers {
    let store = open(path).unwrap();
    let mut unit = UnitOfWork::new();
    for number in 0..ROWS {
        let columns = vec![Some(format!("s{:04}", number * 7 % ROWS)), (number % 3 == 0).then(|| "north".to_owned())];
        let doc = json!({"number": number, "text": "y".repeat(number % 200)});
        unit.put(Put::new(&VALVES, format!("valve-{number:04}"), columns, &doc).unwrap());
    }
    store.commit(unit).await.unwrap();
    ask(&store).await.unwrap()
}

#[tokio::test]
async fn a_bit_that_flips_anywhere_is_an_error_or_changes_nothing() {
    let folder = Folder::new();
    let whole = fill(&folder.file("whole")).await;
    let bytes = std::fs::read(folder.file("whole")).unwrap();
    let random = SeededRandom::new(7);
    let (mut refused, mut answered, mut unchanged) = (0, 0, 0);
    for round in 0..150 {
        let mut number = [0; 8];
        random.fill(&mut number);
        let (at, bit) = (usize::try_from(u64::from_le_bytes(number) % bytes.len() as u64).unwrap(), number[7] % 8);
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << bit;
        let path = folder.file(&format!("damaged-{round}"));
        std::fs::write(&path, &damaged).unwrap();
        match open(&path) {
            Err(_) => refused += 1,
            Ok(store) => match ask(&store).await {
                Err(StoreError::Damaged(_) | StoreError::Engine(_)) => answered += 1,
                Err(other) => panic!("byte {at}, bit {bit}: {other}"),
                Ok(answers) => {
                    assert_eq!(answers, whole, "byte {at}, bit {bit}");
                    unchanged += 1;
                }
            },
        }
        for file in std::fs::read_dir(path.parent().unwrap()).unwrap() {
            let file = file.unwrap().path();
            if file.file_name().unwrap().to_string_lossy().starts_with("damaged") {
                std::fs::remove_file(file).unwrap();
            }
        }
    }
    // What changes nothing lies in pages that are free, in the space between cells and in the file's statistics.
    assert!(refused > 5 && answered > 25, "{refused} refused, {answered} errors, {unchanged} unchanged");
}

#[tokio::test]
async fn a_page_that_is_lost_is_never_a_shorter_list() {
    let folder = Folder::new();
    let whole = fill(&folder.file("whole")).await;
    let bytes = std::fs::read(folder.file("whole")).unwrap();
    for page in 0..bytes.len() / 4096 {
        {
            let fill = if page % 2 == 0 { 0 } else { 0xff };
            let mut damaged = bytes.clone();
            damaged[page * 4096..(page + 1) * 4096].fill(fill);
            let path = folder.file("damaged");
            std::fs::write(&path, &damaged).unwrap();
            if let Ok(store) = open(&path)
                && let Ok(answers) = ask(&store).await
            {
                assert_eq!(answers, whole, "page {page}");
            }
            let faults = SqliteStore::check(&path, &[&VALVES]);
            assert!(faults.is_err() || !faults.unwrap().is_empty(), "doctor finds page {page}");
        }
    }
    assert_eq!(SqliteStore::check(&folder.file("whole"), &[&VALVES]).unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_found_after_the_opening_ends_lists_and_commits() {
    let folder = Folder::new();
    fill(&folder.file("whole")).await;
    let bytes = std::fs::read(folder.file("whole")).unwrap();
    let (path, mut late) = (folder.file("late"), 0);
    for page in 1..bytes.len() / 4096 {
        let mut damaged = bytes.clone();
        damaged[page * 4096..(page + 1) * 4096].fill(0);
        std::fs::write(&path, &damaged).unwrap();
        let Ok(store) = open_after(&path, Duration::ZERO) else { continue };
        late += 1;
        while !matches!(store.count(&VALVES, "site", "north").await, Err(StoreError::Damaged(_))) {
            tokio::task::yield_now().await;
        }
        let mut unit = UnitOfWork::new();
        unit.put(Put::new(&VALVES, "new", vec![None, None], &json!({})).unwrap());
        assert!(matches!(store.commit(unit).await, Err(StoreError::Damaged(_))), "page {page}");
        assert!(matches!(store.ready().await, Err(StoreError::Damaged(_))), "page {page}");
    }
    assert!(late > 0, "no opening was faster than the check");
}

#[tokio::test]
async fn a_row_that_was_changed_behind_the_stores_back_is_named() {
    let folder = Folder::new();
    let path = folder.file("changed");
    fill(&path).await;
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("UPDATE t_valves SET doc = '{}' WHERE key = 'valve-0007'; UPDATE t_valves SET sum = NULL WHERE key = 'valve-0009'").unwrap();
    drop(connection);
    let store = open(&path).unwrap();
    for key in ["valve-0007", "valve-0009"] {
        let Err(StoreError::Damaged(text)) = store.get(&VALVES, key).await else { panic!("{key} is served") };
        assert!(text.contains(key) && text.contains("valves"), "{text}");
    }
    assert!(store.get(&VALVES, "valve-0008").await.unwrap().is_some(), "what is whole is served");
    assert!(matches!(store.scan(&VALVES, "", Page::first(ROWS)).await, Err(StoreError::Damaged(_))));
    drop(store);
    let faults = SqliteStore::check(&path, &[&VALVES]).unwrap();
    assert_eq!(faults.len(), 2, "{faults:?}");
}

#[tokio::test]
async fn columns_of_another_program_are_summed_and_do_no_harm() {
    static NEWER: Table = Table::new(
        "valves",
        &[
            Column { name: "owner", unique: false },
            Column { name: "serial", unique: true },
            Column { name: "site", unique: false },
        ],
    );
    let folder = Folder::new();
    let path = folder.file("both");
    fill(&path).await;
    let newer = || SqliteStore::open(&path, &[&NEWER], SystemClock::shared(), Options::default()).unwrap();
    let store = newer();
    assert_eq!(store.scan(&NEWER, "", Page::first(ROWS)).await.unwrap().len(), ROWS, "rows of before are whole");
    let mut unit = UnitOfWork::new();
    for key in ["valve-0001", "valve-0002"] {
        let columns = vec![Some("ana".to_owned()), Some(format!("new-{key}")), None];
        unit.put(Put::new(&NEWER, key, columns, &json!({"n": 1})).unwrap());
    }
    store.commit(unit).await.unwrap();
    drop(store);
    let store = open(&path).unwrap();
    assert_eq!(
        store.scan(&VALVES, "", Page::first(ROWS)).await.unwrap().len(),
        ROWS,
        "and so are those of the newer one"
    );
    let mut unit = UnitOfWork::new();
    unit.put(Put::new(&VALVES, "valve-0001", vec![Some("again".to_owned()), None], &json!({"n": 2})).unwrap());
    store.commit(unit).await.unwrap();
    drop(store);
    let store = newer();
    assert_eq!(store.scan(&NEWER, "", Page::first(ROWS)).await.unwrap().len(), ROWS);
    assert_eq!(store.count(&NEWER, "owner", "ana").await.unwrap(), 1, "what the older one wrote over is without it");
}
