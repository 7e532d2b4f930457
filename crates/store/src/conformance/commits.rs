//! What a commit promises.

use super::*;
use crate::Expect;
use ferrohub_model::limits;
use futures_util::future::join_all;

pub(super) async fn read_your_write(store: &dyn Store) {
    assert_eq!(get(store, "a").await, None);
    let version = put(store, thing("a", Some("s1"), None, json!({"z": 1, "a": "ü\u{0}\"'"}))).await;
    let row = get(store, "a").await.expect("the row is there");
    assert_eq!((row.key.as_str(), row.version), ("a", version));
    assert_eq!(row.columns, [Some("s1".to_owned()), None]);
    assert_eq!(doc(&row), json!({"z": 1, "a": "ü\u{0}\"'"}));
    let value = doc(&row);
    let members: Vec<&String> = value.as_object().expect("an object").keys().collect();
    assert_eq!(members, ["z", "a"], "the order of members is kept");
    assert_eq!(store.get(&OTHERS, "a").await, Ok(None), "tables are apart from each other");

    let next = put(store, thing("a", None, Some("red"), json!(2))).await;
    assert!(next > version, "versions grow");
    let row = get(store, "a").await.expect("the row is there");
    assert_eq!((row.version, doc(&row)), (next, json!(2)));
    assert_eq!(row.columns, [None, Some("red".to_owned())], "a put replaces every column");

    let mut unit = UnitOfWork::new();
    unit.delete(&THINGS, "a").delete(&THINGS, "never-there");
    let committed = store.commit(unit).await.expect("the delete commits");
    assert!(committed.versions.is_empty());
    assert_eq!(get(store, "a").await, None);
    let committed = store.commit(UnitOfWork::new()).await.expect("an empty unit commits");
    assert!(committed.versions.is_empty());
}

pub(super) async fn every_expectation(store: &dyn Store) {
    let version = put(store, thing("a", Some("s1"), Some("red"), json!(1))).await;
    let a = || "a".to_owned();
    let b = || "b".to_owned();
    let table = &THINGS;
    let none_with = |column, value: &str| Expect::NoneWith { table, column, value: value.to_owned() };
    let none_prefixed = |prefix: &str| Expect::NonePrefixed { table, column: "serial", prefix: prefix.to_owned() };
    let none_below = |prefix: &str| Expect::NoneBelow { table, prefix: prefix.to_owned() };
    let holds = [
        Expect::Version { table, key: a(), version },
        Expect::Absent { table, key: b() },
        Expect::Exists { table, key: a() },
        none_with("colour", "blue"),
        none_prefixed("s2"),
        none_prefixed("s11"),
        none_below("b"),
        none_below("aa"),
    ];
    let mut unit = UnitOfWork::new();
    for expectation in holds {
        unit.expect(expectation);
    }
    unit.put(other("o", json!(1)));
    store.commit(unit).await.expect("expectations that hold let the unit through");

    let fails = [
        (Expect::Version { table, key: a(), version: version + 1 }, (ConflictKind::Version, "a")),
        (Expect::Version { table, key: b(), version }, (ConflictKind::NoRow, "b")),
        (Expect::Absent { table, key: a() }, (ConflictKind::Absent, "a")),
        (Expect::Exists { table, key: b() }, (ConflictKind::Exists, "b")),
        (none_with("colour", "red"), (ConflictKind::Unique, "colour")),
        (none_prefixed("s"), (ConflictKind::Unique, "serial")),
        (none_prefixed("s1"), (ConflictKind::Unique, "serial")),
        (none_below("a"), (ConflictKind::Unique, "key")),
    ];
    for (expectation, (kind, name)) in fails {
        let mut unit = UnitOfWork::new();
        unit.expect(expectation).put(other("never", json!(1)));
        let found = conflict_of(store.commit(unit).await);
        assert_eq!(found, (kind, "things", name.to_owned()));
    }
    assert_eq!(store.get(&OTHERS, "never").await, Ok(None));
}

pub(super) async fn unique_columns(store: &dyn Store) {
    put(store, thing("a", Some("s1"), Some("red"), json!(1))).await;
    put(store, thing("b", None, Some("red"), json!(1))).await;
    put(store, thing("c", None, Some("red"), json!(1))).await;
    put(store, thing("a", Some("s1"), None, json!(2))).await;
    let mut unit = UnitOfWork::new();
    unit.put(thing("d", Some("s1"), None, json!(1)));
    let found = conflict_of(store.commit(unit).await);
    assert_eq!(found, (ConflictKind::Unique, "things", "serial".to_owned()), "a unique value");
    put(store, thing("d", Some("S1"), None, json!(1))).await;

    let mut unit = UnitOfWork::new();
    unit.delete(&THINGS, "a").put(thing("e", Some("s1"), None, json!(1)));
    store.commit(unit).await.expect("a unit may hand a unique value over");
    assert_eq!(get(store, "a").await, None);
}

/// What a unit does with a row: deletes it, or writes it with this serial and this colour.
type Step = Option<(&'static str, Option<&'static str>)>;

/// Whatever a write does with columns - keeps them, exchanges them, takes them away, within a unit that deleted the row or wrote it
/// before - look-ups find what the last one said, and nothing else.
pub(super) async fn columns_are_those_of_the_last_write(store: &dyn Store) {
    let (red, blue) = (Some("red"), Some("blue"));
    let units: &[&[Step]] = &[
        &[Some(("s0", red))],
        &[Some(("s0", red))],
        &[None, Some(("s0", red))],
        &[Some(("s0", blue))],
        &[Some(("s1", blue))],
        &[Some(("s1", None))],
        &[Some(("s1", None))],
        &[None, Some(("s2", None))],
        &[Some(("s2", red))],
        &[Some(("s2", blue)), Some(("s2", red))],
        &[Some(("s2", red))],
        &[Some(("s3", blue)), None, Some(("s2", red))],
        &[Some(("s3", blue)), Some(("s3", blue)), Some(("s2", red))],
        &[Some(("s2", red)), Some(("s3", blue))],
    ];
    for (turn, writes) in units.iter().enumerate() {
        let mut unit = UnitOfWork::new();
        for write in *writes {
            match write {
                Some((serial, colour)) => unit.put(thing("a", Some(serial), *colour, json!(turn))),
                None => unit.delete(&THINGS, "a"),
            };
        }
        store.commit(unit).await.expect("the unit commits");
        let (last, colour) = writes.last().copied().flatten().expect("the row stays");
        for serial in ["s0", "s1", "s2", "s3"] {
            let found = store.find_one(&THINGS, "serial", serial).await.expect("the look-up works");
            let expected = (serial == last).then(|| json!(turn));
            assert_eq!(found.map(|row| doc(&row)), expected, "the row with the serial {serial} after unit {turn}");
        }
        for asked in ["red", "blue"] {
            let found = store.find(&THINGS, "colour", asked, Page::first(10)).await.expect("the look-up works");
            let expected: &[&str] = if colour == Some(asked) { &["a"] } else { &[] };
            assert_eq!(keys(&found), expected, "rows with the colour {asked} after unit {turn}");
        }
    }
}

/// Rows of a log are found by their keys, though no engine keeps them in memory.
pub(super) async fn logs_are_read_by_their_keys(store: &dyn Store) {
    for number in 0..20 {
        let mut unit = UnitOfWork::new();
        unit.put(made(&EVENTS, &format!("e{number:02}"), Vec::new(), &json!(number)));
        unit.put(thing("counter", None, None, json!(number)));
        store.commit(unit).await.expect("the unit commits");
    }
    let last = store.last(&EVENTS, "", Page::first(3)).await.expect("the scan works");
    assert_eq!(keys(&last), ["e19", "e18", "e17"], "the newest come first");
    let mut unit = UnitOfWork::new();
    unit.put(made(&EVENTS, "e19", Vec::new(), &json!("again")));
    unit.delete(&EVENTS, "e18");
    store.commit(unit).await.expect("the unit commits");
    let found = store.get(&EVENTS, "e19").await.expect("the get works").expect("it is there");
    assert_eq!(doc(&found), json!("again"), "a row that was read before is read again");
    assert!(store.get(&EVENTS, "e18").await.expect("the get works").is_none(), "a swept row is gone");
}

pub(super) async fn a_unit_is_atomic(store: &dyn Store) {
    put(store, thing("held", Some("s1"), None, json!(1))).await;
    put(store, thing("stays", None, None, json!("old"))).await;
    let writes = |unit: &mut UnitOfWork| {
        unit.put(other("new", json!(1))).put(thing("stays", None, None, json!("new"))).delete(&THINGS, "held");
    };
    let mut by_expectation = UnitOfWork::new();
    writes(&mut by_expectation);
    by_expectation.expect_absent(&THINGS, "stays");
    let mut by_unique_column = UnitOfWork::new();
    by_unique_column.put(other("new", json!(1))).put(thing("stays", Some("s1"), None, json!("new")));
    for unit in [by_expectation, by_unique_column] {
        conflict_of(store.commit(unit).await);
        assert_eq!(store.get(&OTHERS, "new").await, Ok(None));
        assert_eq!(get(store, "stays").await.map(|row| doc(&row)), Some(json!("old")));
        assert!(get(store, "held").await.is_some());
    }

    // Failing and passing units submitted together must not touch each other.
    let units = (0..64).map(|number| {
        let mut unit = UnitOfWork::new();
        unit.put(other(&format!("many-{number:02}"), json!(number)));
        if number % 2 == 1 {
            unit.expect_exists(&THINGS, "nobody");
        }
        store.commit(unit)
    });
    for (number, result) in join_all(units).await.into_iter().enumerate() {
        assert_eq!(result.is_ok(), number % 2 == 0, "unit {number}");
        let row = store.get(&OTHERS, &format!("many-{number:02}")).await;
        assert_eq!(row.expect("the get works").is_some(), number % 2 == 0, "unit {number}");
    }
}

/// Tasks of the race for one row, and increments by each.
const TASKS: usize = 64;
const INCREMENTS: usize = 3;

pub(super) async fn concurrent_increments(store: Arc<dyn Store>) {
    put(&*store, thing("counter", None, None, json!(0))).await;
    let tasks = (0..TASKS).map(|_| {
        let store = Arc::clone(&store);
        async move {
            for _ in 0..INCREMENTS {
                increment(&*store).await;
            }
        }
    });
    join_all(tasks).await;
    let row = get(&*store, "counter").await.expect("the counter is there");
    assert_eq!(doc(&row), json!(TASKS * INCREMENTS), "an increment was lost or doubled");
}

async fn increment(store: &dyn Store) {
    loop {
        let row = get(store, "counter").await.expect("the counter is there");
        let next = doc(&row).as_u64().expect("a number") + 1;
        let mut unit = UnitOfWork::new();
        unit.expect_version(&THINGS, "counter", row.version).put(thing("counter", None, None, json!(next)));
        match store.commit(unit).await {
            Ok(_) => return,
            Err(error) => assert!(error.is_conflict(), "a race gives a conflict, not: {error}"),
        }
    }
}

pub(super) async fn versions_are_never_reused(store: &dyn Store) {
    let mut highest = 0;
    for round in 0..5 {
        let version = put(store, thing("a", None, None, json!(round))).await;
        assert!(version > highest, "a deleted and recreated row starts anew");
        let mut unit = UnitOfWork::new();
        unit.put(thing("a", None, None, json!("first"))).put(thing("a", None, None, json!("second")));
        let versions = store.commit(unit).await.expect("two puts commit").versions;
        assert!(version < versions[0] && versions[0] < versions[1], "each put has its own version");
        let row = get(store, "a").await.expect("the row is there");
        assert_eq!((row.version, doc(&row)), (versions[1], json!("second")));
        highest = versions[1];
        let mut unit = UnitOfWork::new();
        unit.delete(&THINGS, "a");
        store.commit(unit).await.expect("the delete commits");
    }
}

pub(super) async fn limits_hold(store: &dyn Store) {
    let of = |count: usize| {
        let mut unit = UnitOfWork::new();
        for number in 0..count {
            unit.put(other(&format!("{number:04}"), json!(number)));
        }
        unit
    };
    let refused = store.commit(of(limits::UNIT_ROWS + 1)).await;
    assert!(matches!(refused, Err(StoreError::TooLarge(_))));
    assert_eq!(store.get(&OTHERS, "0000").await, Ok(None));
    let taken = store.commit(of(limits::UNIT_ROWS)).await.expect("a full unit commits");
    assert_eq!(taken.versions.len(), limits::UNIT_ROWS);

    let longest = "k".repeat(limits::STORE_KEY_BYTES);
    put(store, other(&longest, json!(1))).await;
    assert!(matches!(store.get(&OTHERS, &longest).await, Ok(Some(_))));
    let wrong = [
        other(&format!("{longest}k"), json!(1)),
        other("", json!(1)),
        other("nul\0", json!(1)),
        Put { columns: vec![None], ..other("columns", json!(1)) },
        thing("a", Some(&"v".repeat(limits::STORE_COLUMN_BYTES + 1)), None, json!(1)),
        other("doc", json!("x".repeat(limits::STORE_DOCUMENT_BYTES))),
    ];
    for put in wrong {
        let key = put.key.clone();
        let mut unit = UnitOfWork::new();
        unit.put(put);
        let result = store.commit(unit).await;
        assert!(matches!(result, Err(StoreError::TooLarge(_) | StoreError::Invalid(_))), "{key:?}");
    }
    for limit in [0, limits::STORE_PAGE + 1] {
        let result = store.scan(&OTHERS, "", Page::first(limit)).await;
        assert!(matches!(result, Err(StoreError::Invalid(_))));
    }
    let result = store.find(&THINGS, "no_such_column", "x", Page::first(1)).await;
    assert!(matches!(result, Err(StoreError::Invalid(_))));
}

pub(super) async fn large_documents(store: &dyn Store) {
    let text = "0123456789abcdef".repeat(limits::STORE_DOCUMENT_BYTES / 16 - 1);
    put(store, other("large", json!({ "text": text }))).await;
    let row = store.get(&OTHERS, "large").await.expect("the get works");
    let row = row.expect("the row is there");
    assert_eq!(doc(&row)["text"].as_str(), Some(text.as_str()));
}
