//! What must hold across a restart, and from one program version to the next.

use super::*;

pub(super) async fn a_commit_outlives_the_store(place: &dyn Place) {
    let store = open(place, "reopen").await;
    let version = put(&*store, thing("a", Some("s1"), Some("red"), json!({"n": 1}))).await;
    let last = put(&*store, thing("gone", None, None, json!(1))).await;
    let mut unit = UnitOfWork::new();
    unit.delete(&THINGS, "gone");
    store.commit(unit).await.expect("the delete commits");
    drop(store);

    let store = open(place, "reopen").await;
    let row = get(&*store, "a").await.expect("the row outlived the store");
    assert_eq!((row.version, doc(&row)), (version, json!({"n": 1})));
    assert_eq!(get(&*store, "gone").await, None);
    let next = put(&*store, thing("gone", None, None, json!(2))).await;
    assert!(next > last, "versions are not reused after a restart");
    let mut unit = UnitOfWork::new();
    unit.put(thing("b", Some("s1"), None, json!(1)));
    let found = conflict_of(store.commit(unit).await);
    assert_eq!(found.0, ConflictKind::Unique, "unique columns outlive the store");
}

const FIRST_STEP: MigrateStep = |doc| json!({ "name": doc });
const SECOND_STEP: MigrateStep = |mut doc| {
    doc["display"] = doc["name"].clone();
    doc
};

static FIRST: Table = Table::new("evolving", &[]);
static SECOND: Table = Table { schema_version: 2, migrate: &[FIRST_STEP], ..Table::new("evolving", &[]) };
static THIRD: Table = Table { schema_version: 3, migrate: &[FIRST_STEP, SECOND_STEP], ..Table::new("evolving", &[]) };

pub(super) async fn documents_are_migrated(place: &dyn Place) {
    let generations: [(&'static Table, &str, Value); 3] = [
        (&FIRST, "one", json!("x")),
        (&SECOND, "two", json!({"name": "y"})),
        (&THIRD, "three", json!({"name": "z", "display": "Z"})),
    ];
    for (table, key, doc) in generations {
        let store = place.open("migrate", &[table]).await.expect("the data set opens");
        let mut unit = UnitOfWork::new();
        unit.put(made(table, key, Vec::new(), &doc));
        store.commit(unit).await.expect("the put commits");
    }
    let store = place.open("migrate", &[&THIRD]).await.expect("the data set opens");
    let rows = store.scan(&THIRD, "", Page::first(10)).await.expect("the scan works");
    let docs: Vec<Value> = rows.iter().map(|row| doc(row)).collect();
    assert_eq!(
        docs,
        [
            json!({"name": "x", "display": "x"}),
            json!({"name": "z", "display": "Z"}),
            json!({"name": "y", "display": "y"}),
        ]
    );
    drop(store);
    let store = place.open("migrate", &[&FIRST]).await.expect("the data set opens");
    assert!(matches!(store.get(&FIRST, "one").await, Ok(Some(_))));
    let newer = store.get(&FIRST, "three").await;
    assert!(matches!(newer, Err(StoreError::Newer(_))), "a newer document is not guessed at");
}

static NARROW: Table = Table::new("widening", &[]);
static WIDE: Table = Table::new("widening", &[Column { name: "serial", unique: true }]);

pub(super) async fn columns_may_be_added(place: &dyn Place) {
    let row = |table: &'static Table, key: &str, columns| made(table, key, columns, &json!(1));
    let store = place.open("widen", &[&NARROW]).await.expect("the data set opens");
    put(&*store, row(&NARROW, "old", vec![])).await;
    drop(store);
    let store = place.open("widen", &[&WIDE]).await.expect("the data set opens");
    put(&*store, row(&WIDE, "new", vec![Some("s1".to_owned())])).await;
    let old = store.get(&WIDE, "old").await.expect("the get works").expect("the row stays");
    assert_eq!(old.columns, [None]);
    let found = store.find(&WIDE, "serial", "s1", Page::first(10)).await;
    assert_eq!(keys(&found.expect("the find works")), ["new"]);
    let mut unit = UnitOfWork::new();
    unit.put(row(&WIDE, "twin", vec![Some("s1".to_owned())]));
    assert_eq!(conflict_of(store.commit(unit).await).0, ConflictKind::Unique);
    drop(store);
    let store = place.open("widen", &[&NARROW]).await.expect("the program before still opens it");
    put(&*store, row(&NARROW, "older", vec![])).await;
}
