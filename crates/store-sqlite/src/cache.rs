//! Rows kept in memory, never older than what was answered.
//!
//! The file is ours alone, so the one writer sees every change. Around each commit it takes the keys that it touches out of
//! the cache and holds their shards closed to readers who would fill them; after the commit it puts the new rows in, and
//! only then answers. A reader that missed may fill a shard only if no commit touched the shard since it looked.
//!
//! Look-ups by a unique value go through hints: the key that a value led to. A hint proves nothing; what it leads to counts
//! when the row, which is current, still has the value.

use ferrohub_store::{Row, Table};
use quick_cache::unsync::Cache;
use quick_cache::{Equivalent, Weighter};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Independent parts, so that readers seldom wait for each other: ours.
const SHARDS: usize = 32;
/// Bytes that a kept row takes beside its document, key and columns: an estimate.
const ROW_BYTES: u64 = 256;

/// What a look-up came to.
pub(crate) enum Lookup {
    /// The row as it is.
    Hit(Arc<Row>),
    /// Not kept; with the stamp, what the file has may be kept.
    Miss(Stamp),
}

/// When a look-up missed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    shard: usize,
    epoch: u64,
}

/// A key that a commit touches, and its row afterwards.
pub(crate) struct Touched {
    /// The table.
    pub(crate) table: &'static Table,
    /// The key.
    pub(crate) key: String,
    /// The row after the commit; `None` when it is gone.
    pub(crate) row: Option<Arc<Row>>,
}

/// The rows kept in memory.
pub(crate) struct RowCache {
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
    hints: Vec<Mutex<Cache<HintKey, Arc<str>>>>,
}

struct Shard {
    rows: Cache<RowKey, Arc<Row>, RowWeight>,
    /// Grows when a commit begins and when it ends.
    epoch: u64,
    /// Commits under way that touch the shard.
    writing: u32,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct RowKey {
    table: &'static str,
    key: Box<str>,
}

#[derive(PartialEq, Eq, Hash)]
struct RowName<'a> {
    table: &'static str,
    key: &'a str,
}

impl Equivalent<RowKey> for RowName<'_> {
    fn equivalent(&self, other: &RowKey) -> bool {
        self.table == other.table && *self.key == *other.key
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct HintKey {
    table: &'static str,
    column: usize,
    value: Box<str>,
}

#[derive(PartialEq, Eq, Hash)]
struct HintName<'a> {
    table: &'static str,
    column: usize,
    value: &'a str,
}

impl Equivalent<HintKey> for HintName<'_> {
    fn equivalent(&self, other: &HintKey) -> bool {
        self.table == other.table && self.column == other.column && *self.value == *other.value
    }
}

#[derive(Clone)]
struct RowWeight;

impl Weighter<RowKey, Arc<Row>> for RowWeight {
    fn weight(&self, key: &RowKey, row: &Arc<Row>) -> u64 {
        let columns: usize = row.columns.iter().flatten().map(String::len).sum();
        // What was parsed out of the document takes about as much once more.
        ROW_BYTES + (key.key.len() + columns + 2 * row.text().len()) as u64
    }
}

impl RowCache {
    /// A cache of about `bytes`; 0 keeps nothing.
    pub(crate) fn new(bytes: u64) -> Self {
        let (each, rows) = (bytes / SHARDS as u64, usize::try_from(bytes / SHARDS as u64 / 1024).unwrap_or(1).max(1));
        let shard = || Mutex::new(Shard { rows: Cache::with_weighter(rows, each, RowWeight), epoch: 0, writing: 0 });
        Self {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hints: (0..SHARDS).map(|_| Mutex::new(Cache::new(2 * rows))).collect(),
        }
    }

    /// The row with `key`, if it is kept.
    pub(crate) fn get(&self, table: &'static Table, key: &str) -> Lookup {
        let name = RowName { table: table.name, key };
        let index = self.shard_of(&name);
        let shard = lock(&self.shards[index]);
        match shard.rows.get(&name) {
            Some(row) => Lookup::Hit(Arc::clone(row)),
            None => Lookup::Miss(Stamp { shard: index, epoch: shard.epoch }),
        }
    }

    /// Keeps a row that was read after the look-up that gave `stamp`, unless a commit came between.
    pub(crate) fn fill(&self, stamp: Stamp, table: &'static Table, row: &Arc<Row>) {
        let mut shard = lock(&self.shards[stamp.shard]);
        if shard.epoch == stamp.epoch && shard.writing == 0 {
            shard.rows.insert(RowKey { table: table.name, key: row.key.as_str().into() }, Arc::clone(row));
        }
    }

    /// The row that a hint leads to, if that row is kept and has `value` in `column`; else the key that is hinted at.
    pub(crate) fn find(
        &self,
        table: &'static Table,
        column: usize,
        value: &str,
    ) -> (Option<Arc<Row>>, Option<Arc<str>>) {
        let name = HintName { table: table.name, column, value };
        let hint = lock(&self.hints[self.shard_of(&name)]).get(&name).cloned();
        let row = hint.as_deref().and_then(|key| match self.get(table, key) {
            Lookup::Hit(row) => Some(row).filter(|row| has(row, column, value)),
            Lookup::Miss(_) => None,
        });
        (row, hint)
    }

    /// Notes the key that a value led to.
    pub(crate) fn hint(&self, table: &'static Table, column: usize, value: &str, key: &str) {
        let key_of = HintKey { table: table.name, column, value: value.into() };
        lock(&self.hints[self.shard_of(&key_of)]).insert(key_of, key.into());
    }

    /// A commit that touches these keys is about to become visible.
    pub(crate) fn begin(&self, touched: &[Touched]) {
        for Touched { table, key, .. } in touched {
            let name = RowName { table: table.name, key };
            let mut shard = lock(&self.shards[self.shard_of(&name)]);
            shard.epoch += 1;
            shard.writing += 1;
            shard.rows.remove(&name);
        }
    }

    /// The commit is over; where it `succeeded`, its rows are kept.
    pub(crate) fn end(&self, touched: Vec<Touched>, succeeded: bool) {
        for Touched { table, key, row } in touched {
            let name = RowName { table: table.name, key: &key };
            let mut shard = lock(&self.shards[self.shard_of(&name)]);
            shard.epoch += 1;
            shard.writing -= 1;
            let Some(row) = row.filter(|_| succeeded) else {
                shard.rows.remove(&name);
                continue;
            };
            let values: Vec<(usize, String)> = table
                .columns
                .iter()
                .enumerate()
                .filter(|(_, column)| column.unique)
                .filter_map(|(index, _)| Some((index, row.columns.get(index)?.clone()?)))
                .collect();
            shard.rows.insert(RowKey { table: table.name, key: key.as_str().into() }, row);
            drop(shard);
            for (column, value) in values {
                self.hint(table, column, &value, &key);
            }
        }
    }

    fn shard_of(&self, name: &impl Hash) -> usize {
        let mut hasher = self.hasher.build_hasher();
        name.hash(&mut hasher);
        usize::try_from(hasher.finish() % SHARDS as u64).unwrap_or(0)
    }
}

/// Whether a row has the value in the column with this index.
pub(crate) fn has(row: &Row, column: usize, value: &str) -> bool {
    row.columns.get(column).and_then(Option::as_deref) == Some(value)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_store::{Column, Put};
    use serde_json::json;

    static ITEMS: Table =
        Table { name: "items", columns: &[Column { name: "serial", unique: true }], schema_version: 1, migrate: &[] };

    fn row(key: &str, serial: &str, version: u64) -> Arc<Row> {
        Arc::new(Row::written(Put::new(&ITEMS, key, vec![Some(serial.into())], &json!(version)).unwrap(), version))
    }

    fn touched(key: &str, row: Option<Arc<Row>>) -> Vec<Touched> {
        vec![Touched { table: &ITEMS, key: key.into(), row }]
    }

    fn stamp(cache: &RowCache, key: &str) -> Stamp {
        match cache.get(&ITEMS, key) {
            Lookup::Miss(stamp) => stamp,
            Lookup::Hit(row) => panic!("kept: {row:?}"),
        }
    }

    fn kept(cache: &RowCache, key: &str) -> Option<u64> {
        match cache.get(&ITEMS, key) {
            Lookup::Hit(row) => Some(row.version),
            Lookup::Miss(_) => None,
        }
    }

    #[test]
    fn what_was_read_before_a_commit_is_not_kept_after_it() {
        let cache = RowCache::new(1 << 20);
        let early = stamp(&cache, "a");
        cache.fill(early, &ITEMS, &row("a", "s", 1));
        assert_eq!(kept(&cache, "a"), Some(1));

        cache.begin(&touched("a", None));
        assert_eq!(kept(&cache, "a"), None, "from here on the file answers");
        let during = stamp(&cache, "a");
        cache.fill(during, &ITEMS, &row("a", "s", 1));
        assert_eq!(kept(&cache, "a"), None, "a commit is under way");
        cache.end(touched("a", Some(row("a", "s", 2))), true);
        for old in [early, during] {
            cache.fill(old, &ITEMS, &row("a", "s", 1));
        }
        assert_eq!(kept(&cache, "a"), Some(2));

        let gone = touched("a", None);
        cache.begin(&gone);
        cache.end(gone, true);
        cache.fill(during, &ITEMS, &row("a", "s", 2));
        assert_eq!(kept(&cache, "a"), None, "what was deleted does not come back");

        let failed = touched("a", Some(row("a", "s", 3)));
        cache.begin(&failed);
        cache.end(failed, false);
        assert_eq!(kept(&cache, "a"), None, "nobody knows whether a failed commit was applied");
    }

    #[test]
    fn a_hint_counts_only_while_its_row_has_the_value() {
        let cache = RowCache::new(1 << 20);
        let put = |key: &str, serial: &str, version| {
            let all = touched(key, Some(row(key, serial, version)));
            cache.begin(&all);
            cache.end(all, true);
        };
        put("a", "s1", 1);
        assert_eq!(cache.find(&ITEMS, 0, "s1").0.map(|row| row.version), Some(1));
        put("a", "s2", 2);
        let (row, hint) = cache.find(&ITEMS, 0, "s1");
        assert!(row.is_none() && hint.as_deref() == Some("a"));
        put("b", "s1", 3);
        assert_eq!(cache.find(&ITEMS, 0, "s1").0.map(|row| row.key.clone()).as_deref(), Some("b"));
        assert_eq!(cache.find(&ITEMS, 0, "never"), (None, None));
    }

    #[test]
    fn it_stays_within_its_bytes() {
        let cache = RowCache::new(SHARDS as u64 * 4096);
        for number in 0..10_000u64 {
            let key = number.to_string();
            let stamp = stamp(&cache, &key);
            cache.fill(stamp, &ITEMS, &row(&key, &key, number));
        }
        let bytes: u64 = cache.shards.iter().map(|shard| lock(shard).rows.weight()).sum();
        assert!(bytes <= SHARDS as u64 * 4096, "{bytes}");
        let nothing = RowCache::new(0);
        nothing.fill(stamp(&nothing, "a"), &ITEMS, &row("a", "s", 1));
        assert_eq!(kept(&nothing, "a"), None);
    }
}
