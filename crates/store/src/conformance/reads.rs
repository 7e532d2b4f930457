//! What reads promise.

use super::*;

pub(super) async fn get_many_keeps_the_order(store: &dyn Store) {
    for key in ["a", "b", "c"] {
        put(store, thing(key, None, None, json!(key))).await;
    }
    let wanted: Vec<String> = ["c", "missing", "a", "c"].map(str::to_owned).to_vec();
    let rows = store.get_many(&THINGS, &wanted).await.expect("get_many works");
    let docs: Vec<Option<Value>> = rows.into_iter().map(|row| row.map(|row| row.doc)).collect();
    assert_eq!(docs, [Some(json!("c")), None, Some(json!("a")), Some(json!("c"))]);
    assert_eq!(store.get_many(&THINGS, &[]).await, Ok(Vec::new()));
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
        let rows = store.last(&THINGS, prefix, 3).await;
        assert_eq!(keys(&rows.expect("the scan works")), wanted, "last of prefix {prefix:?}");
    }
    let rows = store.scan(&THINGS, "tenant/", Page::following("a", 100)).await;
    assert_eq!(keys(&rows.expect("the scan works")), ["tenant/1/x", "tenant/10/x"]);
    let rows = store.scan(&THINGS, "a", Page::following("tenant", 100)).await;
    assert!(rows.expect("the scan works").is_empty());
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
