//! What reads promise.

use super::*;

pub(super) async fn get_many_keeps_the_order(store: &dyn Store) {
    for key in ["a", "b", "c"] {
        put(store, thing(key, None, None, json!(key))).await;
    }
    let wanted: Vec<String> = ["c", "missing", "a", "c"].map(str::to_owned).to_vec();
    let rows = store.get_many(&THINGS, &wanted).await.expect("get_many works");
    let docs: Vec<Option<Value>> = rows.into_iter().map(|row| row.map(|row| doc(&row))).collect();
    assert_eq!(docs, [Some(json!("c")), None, Some(json!("a")), Some(json!("c"))]);
    assert_eq!(store.get_many(&THINGS, &[]).await, Ok(Vec::new()));
}

/// What clients send is looked for as it comes: texts that no row can have are in none, and no error.
pub(super) async fn what_cannot_exist_is_not_found(store: &dyn Store) {
    put(store, thing("a", Some("s1"), Some("red"), json!(1))).await;
    put(store, thing("b", Some("s2"), Some("red"), json!(2))).await;
    let first = || Page::first(10);
    let (long_key, long_value) = ("k".repeat(limits::STORE_KEY_BYTES + 1), "s".repeat(limits::STORE_COLUMN_BYTES + 1));
    for key in ["", "a\0", "\0", long_key.as_str()] {
        assert_eq!(store.get(&THINGS, key).await, Ok(None), "{} bytes", key.len());
        let wanted: Vec<String> = ["a", key, "missing", key, "b"].map(str::to_owned).to_vec();
        let found = store.get_many(&THINGS, &wanted).await.expect("the others are found");
        let docs: Vec<Option<Value>> = found.into_iter().map(|row| row.map(|row| doc(&row))).collect();
        assert_eq!(docs, [Some(json!(1)), None, None, None, Some(json!(2))]);
        let none = store.get_many(&THINGS, &[key.to_owned()]).await;
        assert_eq!(none, Ok(vec![None]));
    }
    for prefix in ["a\0", "\0", long_key.as_str()] {
        assert_eq!(store.scan(&THINGS, prefix, first()).await, Ok(Vec::new()));
        assert_eq!(store.last(&THINGS, prefix, first()).await, Ok(Vec::new()));
    }
    for value in ["s1\0", "\0", long_value.as_str()] {
        assert_eq!(store.find_one(&THINGS, "serial", value).await, Ok(None), "{} bytes", value.len());
        assert_eq!(store.range(&THINGS, "serial", value, first()).await, Ok(Vec::new()));
        assert_eq!(store.find(&THINGS, "colour", value, first()).await, Ok(Vec::new()));
        assert_eq!(store.count(&THINGS, "colour", value).await, Ok(0));
        assert_eq!(store.count_between(&THINGS, "serial", value, value).await, Ok(0));
    }
    assert_eq!(store.count_between(&THINGS, "serial", "s1\0", "s2\0").await, Ok(1));
    // Behind or below a text that no row has.
    for (after, behind, below) in [("a\0", "b", "a"), ("a\0\0x", "b", "a")] {
        let page = || Page::following(after, 10);
        assert_eq!(keys(&store.scan(&THINGS, "", page()).await.expect("the scan works")), [behind]);
        assert_eq!(keys(&store.last(&THINGS, "", page()).await.expect("the scan works")), [below]);
        assert_eq!(keys(&store.find(&THINGS, "colour", "red", page()).await.expect("the find works")), [behind]);
    }
    let page = Page::following("s1\0", 10);
    assert_eq!(keys(&store.range(&THINGS, "serial", "s", page).await.expect("the range works")), ["b"]);
    // A fault of the caller is told whatever it looks for.
    for column in ["no_such_column", "colour"] {
        let result = store.find_one(&THINGS, column, "\0").await;
        assert!(matches!(result, Err(StoreError::Invalid(_))), "{column}");
    }
}

pub(super) async fn a_reader_sees_every_row_once(store: &dyn Store) {
    let mut wanted = Vec::new();
    for number in 0..25 {
        let (key, serial) = (format!("k{number:02}"), format!("s{:02}", 24 - number));
        put(store, thing(&key, Some(&serial), Some("red"), json!(number))).await;
        wanted.push(key);
    }
    put(store, thing("other", None, Some("blue"), json!(0))).await;
    for (rows, full) in [(1, 25), (5, 5), (10, 3), (25, 1), (100, 1)] {
        for mut pages in [
            Pages::scan(store, &THINGS, "k", rows),
            Pages::last(store, &THINGS, "k", rows),
            Pages::find(store, &THINGS, "colour", "red", rows),
            Pages::range(store, &THINGS, "serial", "s", rows),
        ] {
            let (mut seen, mut count) = (Vec::new(), 0);
            while let Some(page) = pages.next().await.expect("the page is read") {
                assert!(!page.is_empty() && page.len() <= rows, "a page of {} rows, {rows} were asked for", page.len());
                seen.extend(page.iter().map(|row| row.key.clone()));
                count += 1;
            }
            assert_eq!(pages.next().await, Ok(None), "it stays at its end");
            seen.sort_unstable();
            assert_eq!((seen, count), (wanted.clone(), full), "{rows} rows a page");
        }
    }
    assert_eq!(Pages::scan(store, &THINGS, "none", 10).next().await, Ok(None));
    for (mut pages, first) in [
        (Pages::scan(store, &THINGS, "k", 10).following(Some("k03".into())), "k04"),
        (Pages::last(store, &THINGS, "k", 10).following(Some("k03".into())), "k02"),
        (Pages::find(store, &THINGS, "colour", "red", 10).following(Some("k03".into())), "k04"),
        (Pages::range(store, &THINGS, "serial", "s", 10).following(Some("s03".into())), "k20"),
        (Pages::last(store, &THINGS, "k", 10).following(None), "k24"),
    ] {
        let page = pages.next().await.expect("the page is read").expect("there are rows");
        assert_eq!(page[0].key, first);
    }
}

pub(super) async fn pages_are_stable(store: &dyn Store) {
    for number in (0..25).rev() {
        put(store, thing(&format!("k{number:02}"), None, Some("red"), json!(number))).await;
    }
    let mut page = Page::first(10);
    let mut seen = Vec::new();
    loop {
        let rows = store.scan(&THINGS, "k", page.clone()).await.expect("the scan works");
        let found = store.find(&THINGS, "colour", "red", page.clone()).await;
        assert_eq!(found.expect("the find works"), rows, "find pages as scan does");
        let Some(last) = rows.last() else { break };
        page = Page::following(last.key.clone(), 10);
        seen.extend(rows.iter().map(|row| row.key.clone()));
        // Changes on either side of the page's edge: one seen row and the edge itself go away, one
        // row comes before the edge.
        let mut unit = UnitOfWork::new();
        unit.delete(&THINGS, rows[0].key.clone()).delete(&THINGS, last.key.clone()).put(thing(
            "k00-late",
            None,
            None,
            json!("late"),
        ));
        store.commit(unit).await.expect("the change commits");
    }
    let all: Vec<String> = (0..25).map(|number| format!("k{number:02}")).collect();
    assert_eq!(seen, all, "every row once, in order");
}

pub(super) async fn prefixes_are_literal(store: &dyn Store) {
    let all = [
        "a",
        "a%",
        "a%b",
        "a_",
        "a_b",
        "ab",
        "A",
        "é",
        "éa",
        "\u{D7FF}x",
        "\u{E000}",
        "\u{10FFFF}z",
        "tenant/1/x",
        "tenant/10/x",
    ];
    for key in all {
        put(store, thing(key, None, None, json!(key))).await;
    }
    for prefix in ["", "a", "a%", "a_", "ab", "b", "A", "é", "\u{D7FF}", "\u{10FFFF}", "tenant/1/", "*", "?"] {
        let mut wanted: Vec<&str> = all.into_iter().filter(|key| key.starts_with(prefix)).collect();
        wanted.sort_unstable();
        let rows = store.scan(&THINGS, prefix, Page::first(100)).await;
        assert_eq!(keys(&rows.expect("the scan works")), wanted, "prefix {prefix:?}");
        wanted.reverse();
        wanted.truncate(3);
        let rows = store.last(&THINGS, prefix, Page::first(3)).await;
        assert_eq!(keys(&rows.expect("the scan works")), wanted, "last of prefix {prefix:?}");
    }
    let last = async |prefix, page| keys(&store.last(&THINGS, prefix, page).await.expect("the scan works")).join(" ");
    assert_eq!(last("tenant/", Page::following("tenant/10/x", 9)).await, "tenant/1/x");
    assert_eq!(last("tenant/", Page::following("tenant/5", 9)).await, "tenant/10/x tenant/1/x", "no row has that key");
    assert_eq!(last("tenant/", Page::following("z", 1)).await, "tenant/10/x", "behind the prefix");
    assert_eq!(last("tenant/", Page::following("tenant/1/x", 9)).await, "");
    assert_eq!(last("tenant/", Page::following("a", 9)).await, "", "before the prefix");
    assert_eq!(last("", Page::following("b", 2)).await, "ab a_b");
    let rows = store.scan(&THINGS, "tenant/", Page::following("a", 100)).await;
    assert_eq!(keys(&rows.expect("the scan works")), ["tenant/1/x", "tenant/10/x"]);
    let rows = store.scan(&THINGS, "a", Page::following("tenant", 100)).await;
    assert!(rows.expect("the scan works").is_empty());
}

pub(super) async fn unique_values_find_one_row(store: &dyn Store) {
    put(store, thing("a", Some("s1"), Some("red"), json!(1))).await;
    put(store, thing("b", None, Some("red"), json!(1))).await;
    let one = |value: &'static str| async move {
        let row = store.find_one(&THINGS, "serial", value).await.expect("the look-up works");
        row.map(|row| (row.key.clone(), row.version))
    };
    assert_eq!(one("s2").await, None);
    assert_eq!(one("S1").await, None, "values are not folded to one case");
    // The value moves to another row, comes back and goes away; each look-up sees what was just answered.
    let version = put(store, thing("a", Some("s1"), None, json!(2))).await;
    assert_eq!(one("s1").await, Some(("a".to_owned(), version)));
    let mut unit = UnitOfWork::new();
    unit.put(thing("a", Some("s2"), None, json!(3))).put(thing("b", Some("s1"), None, json!(3)));
    let versions = store.commit(unit).await.expect("the value is handed over").versions;
    assert_eq!(one("s1").await, Some(("b".to_owned(), versions[1])));
    assert_eq!(one("s2").await, Some(("a".to_owned(), versions[0])));
    let mut unit = UnitOfWork::new();
    unit.delete(&THINGS, "b").put(thing("a", None, None, json!(4)));
    store.commit(unit).await.expect("the delete commits");
    assert_eq!((one("s1").await, one("s2").await), (None, None));
    for column in ["colour", "no_such_column"] {
        let result = store.find_one(&THINGS, column, "red").await;
        assert!(matches!(result, Err(StoreError::Invalid(_))), "{column} is no unique column");
        let result = store.range(&THINGS, column, "red", Page::first(1)).await;
        assert!(matches!(result, Err(StoreError::Invalid(_))), "{column} is no unique column");
    }
}

pub(super) async fn unique_columns_have_ranges(store: &dyn Store) {
    // Keys run against the order of the values, and one row has none.
    let all = ["hub/a", "hub/a%", "hub/ab", "hub/b", "hub0", "hubs/a", "\u{10FFFF}z"];
    for (number, serial) in all.into_iter().enumerate() {
        put(store, thing(&format!("k{}", 9 - number), Some(serial), None, json!(1))).await;
    }
    put(store, thing("without", None, None, json!(1))).await;
    let serials = |rows: Vec<Arc<Row>>| -> Vec<String> {
        rows.iter().filter_map(|row| row.columns.first().cloned().flatten()).collect()
    };
    for prefix in ["", "hub/", "hub/a", "hub/a%", "hub", "none", "\u{10FFFF}"] {
        let mut wanted: Vec<&str> = all.into_iter().filter(|serial| serial.starts_with(prefix)).collect();
        wanted.sort_unstable();
        let mut found = Vec::new();
        let mut page = Page::first(2);
        loop {
            let rows = store.range(&THINGS, "serial", prefix, page).await.expect("the range works");
            let values = serials(rows);
            let Some(last) = values.last() else { break };
            page = Page::following(last.clone(), 2);
            found.extend(values);
        }
        assert_eq!(found, wanted, "prefix {prefix:?}");
    }
    // The page's edge need not exist, nor start with the prefix.
    let rows = store.range(&THINGS, "serial", "hub/", Page::following("hub/aa", 10)).await;
    assert_eq!(serials(rows.expect("the range works")), ["hub/ab", "hub/b"]);
    let rows = store.range(&THINGS, "serial", "hub/", Page::following("a", 1)).await;
    assert_eq!(serials(rows.expect("the range works")), ["hub/a"]);
    let rows = store.range(&THINGS, "serial", "hub/", Page::following("hubs", 10)).await;
    assert!(rows.expect("the range works").is_empty());
}

pub(super) async fn a_row_is_parsed_once(store: &dyn Store) {
    put(store, thing("a", Some("s1"), None, json!(["x", "y"]))).await;
    let row = get(store, "a").await.expect("the row is there");
    let parsed = row.parse::<Vec<String>>().expect("the document parses");
    assert_eq!(*parsed, ["x", "y"]);
    let again = row.parse::<Vec<String>>().expect("the document parses");
    assert!(Arc::ptr_eq(&parsed, &again), "the parsed document is remembered");
    assert_eq!(*row.parse::<Value>().expect("another type parses"), json!(["x", "y"]));
    let Err(StoreError::Engine(sentence)) = row.parse::<u64>() else { unreachable_row(&row) };
    assert!(sentence.contains("things") && sentence.contains("\"a\""), "{sentence}");
    // What was remembered belongs to the version that was read.
    put(store, thing("a", Some("s1"), None, json!(["z"]))).await;
    let next = get(store, "a").await.expect("the row is there");
    assert_eq!(*next.parse::<Vec<String>>().expect("the document parses"), ["z"]);
    assert_eq!(*row.parse::<Vec<String>>().expect("the document parses"), ["x", "y"]);
}

#[expect(clippy::panic, reason = "a conformance suite reports by panicking")]
fn unreachable_row(row: &Row) -> ! {
    panic!("{row:?} was parsed as a number")
}

pub(super) async fn find_and_count(store: &dyn Store) {
    let colours = [Some("red"), Some("Red"), Some("red"), None, Some(""), Some("re%")];
    for (number, colour) in colours.into_iter().enumerate() {
        put(store, thing(&format!("{number}"), None, colour, json!(1))).await;
    }
    for (value, wanted) in
        [("red", vec!["0", "2"]), ("Red", vec!["1"]), ("", vec!["4"]), ("re%", vec!["5"]), ("%", vec![])]
    {
        let rows = store.find(&THINGS, "colour", value, Page::first(10)).await.expect("the find works");
        assert_eq!(keys(&rows), wanted, "colour {value:?}");
        let count = store.count(&THINGS, "colour", value).await;
        assert_eq!(count, Ok(wanted.len() as u64), "colour {value:?}");
    }
    let rows = store.find(&THINGS, "colour", "red", Page::following("0", 10)).await;
    assert_eq!(keys(&rows.expect("the find works")), ["2"]);
}

pub(super) async fn count_between(store: &dyn Store) {
    for (key, serial) in [("1", Some("a/1")), ("2", Some("a/10")), ("3", Some("a/2")), ("4", Some("b/1")), ("5", None)]
    {
        put(store, thing(key, serial, None, json!(1))).await;
    }
    for (start, end, wanted) in
        [("a/", "a0", 3), ("a/1", "a/2", 2), ("a/10", "a/10", 0), ("", "z", 4), ("z", "a", 0), ("a/2", "b/1", 1)]
    {
        let count = store.count_between(&THINGS, "serial", start, end).await;
        assert_eq!(count, Ok(wanted), "serials from {start:?} to {end:?}");
    }
    let plain = store.count_between(&THINGS, "colour", "a", "b").await;
    assert!(matches!(plain, Err(StoreError::Invalid(_))), "a plain column is refused: {plain:?}");
}

pub(super) async fn keys_are_compared_in_binary_order(store: &dyn Store) {
    let mut all = ["b", "B", "a", "ä", "Z", "10", "2", "a b", "a-b", "z", "😀"];
    for key in all {
        put(store, thing(key, None, None, json!(1))).await;
    }
    all.sort_unstable();
    let rows = store.scan(&THINGS, "", Page::first(100)).await.expect("the scan works");
    assert_eq!(keys(&rows), all);
    assert!(get(store, "Ä").await.is_none(), "keys are not folded to one case");
}

pub(super) async fn changes_name_what_was_written(store: &dyn Store) {
    put(store, thing("old", None, None, json!(0))).await;
    let start = store.changes(&[&THINGS], None).await.expect("changes are told");
    assert_eq!(start.keys, None, "who follows nothing yet reads everything");
    put(store, thing("a", None, None, json!(1))).await;
    put(store, other("elsewhere", json!(1))).await;
    let mut unit = UnitOfWork::new();
    unit.delete(&THINGS, "old");
    store.commit(unit).await.expect("the row goes");
    let next = store.changes(&[&THINGS], Some(start.upto)).await.expect("changes are told");
    // An engine may remember nothing; what it tells is whole.
    if let Some(mut keys) = next.keys {
        keys.sort();
        keys.dedup();
        assert_eq!(keys, [("things", "a".to_owned()), ("things", "old".to_owned())]);
    }
    let none = store.changes(&[&THINGS], Some(next.upto)).await.expect("changes are told");
    assert!(none.keys.is_none_or(|keys| keys.is_empty()));

    // Who follows another table from here on is told of both.
    let both = store.changes(&[&OTHERS], None).await.expect("changes are told");
    put(store, thing("b", None, None, json!(1))).await;
    put(store, other("b", json!(1))).await;
    for (table, name, after) in [(&THINGS, "things", next.upto), (&OTHERS, "others", both.upto)] {
        let told = store.changes(&[table], Some(after)).await.expect("changes are told");
        assert!(told.keys.is_none_or(|keys| keys == [(name, "b".to_owned())]));
    }
}
