//! Rows in memory, coherent with the file: the file is ours alone, so the writer sees every change.
//!
//! A batch that is about to be committed removes its keys first ([`RowCache::begin`]) and puts the
//! new rows in after the commit, before it answers anybody. Between the two, reads of these keys go to
//! the file. A reader that loads a row puts it in only when no batch has touched the key's stripe
//! since before its snapshot began ([`RowCache::keep`]), so an old row never comes back. Hence what
//! is in here at any moment is what the last commit left.
//!
//! Look-ups by a unique column remember only the key that had the value; the row itself says
//! whether it still has it, so these hints need no care. Look-ups that find several rows, or none,
//! remember the keys (`lists.rs`). Rows of logs are never in here.

pub(crate) mod lists;

use crate::followed::{Followed, Noted};
use ferrohub_store::{Put, Row};
use lists::List;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, Equivalent, OptionsBuilder, Weighter};
use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Keys of different stripes never make a reader give up what it loaded.
const STRIPES: usize = 1024;
/// What an entry takes beside its texts, bytes: row, key, slots and counters.
const ENTRY_BYTES: usize = 256;
/// A parsed document takes about twice its text, and the text is kept beside it.
const BYTES_PER_TEXT: usize = 3;
/// An entry's usual weight: what the crate sizes its book-keeping by.
const USUAL_ENTRY_BYTES: u64 = 2048;

/// Where an entry stands: in a table, by key, by the value of a unique column, or as a list by a column.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    table: u16,
    /// 0 for the key, 1 + its position for a column, and the same above [`lists::EQUAL`] or [`lists::BELOW`] for a list.
    by: u16,
    text: &'a str,
}

impl<'a> Look<'a> {
    pub(crate) fn key(table: u16, text: &'a str) -> Self {
        Self { table, by: 0, text }
    }

    pub(crate) fn value(table: u16, column: usize, text: &'a str) -> Self {
        Self { table, by: u16::try_from(column + 1).unwrap_or(u16::MAX), text }
    }

    fn owned(self) -> Id {
        Id { table: self.table, by: self.by, text: self.text.into() }
    }
}

impl Hash for Look<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u32(u32::from(self.table) << 16 | u32::from(self.by));
        state.write(self.text.as_bytes());
    }
}

impl Equivalent<Id> for Look<'_> {
    fn equivalent(&self, id: &Id) -> bool {
        self.table == id.table && self.by == id.by && *self.text == *id.text
    }
}

#[derive(Clone, PartialEq, Eq)]
struct Id {
    table: u16,
    by: u16,
    text: Box<str>,
}

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Look { table: self.table, by: self.by, text: &self.text }.hash(state);
    }
}

#[derive(Clone)]
enum Entry {
    Row(Arc<Row>),
    /// The key of the row that had the value.
    Hint(Arc<str>),
    /// There is no row with this key.
    Absent,
    List(Arc<List>),
}

#[derive(Clone)]
struct Weight;

impl Weighter<Id, Entry> for Weight {
    fn weight(&self, id: &Id, entry: &Entry) -> u64 {
        let texts = id.text.len()
            + match entry {
                Entry::Hint(key) => key.len(),
                Entry::Absent => 0,
                Entry::List(list) => list.bytes(),
                Entry::Row(row) => {
                    let columns: usize = row.columns.iter().flatten().map(String::len).sum();
                    row.key.len() + columns + BYTES_PER_TEXT * row.text().len()
                }
            };
        (ENTRY_BYTES + texts) as u64
    }
}

/// A change that a batch is about to commit.
#[derive(Clone, Copy)]
pub(crate) enum Touch<'a> {
    Put(&'a Put),
    Delete(&'a str),
}

/// What a commit made of a key.
pub(crate) enum Fate {
    Put(Put, u64),
    Deleted(String),
}

impl Fate {
    fn key(&self) -> &str {
        match self {
            Self::Put(put, _) => &put.key,
            Self::Deleted(key) => key,
        }
    }
}

/// The number of the last batch that a reader may count on to have seen.
#[derive(Clone, Copy)]
pub(crate) struct Ticket(u64);

/// The rows in memory. Batches are begun and ended by one thread.
pub(crate) struct RowCache {
    entries: Cache<Id, Entry, Weight, DefaultHashBuilder, DefaultLifecycle<Id, Entry>>,
    hasher: DefaultHashBuilder,
    /// For each stripe the number of the last batch that touched one of its keys.
    stripes: Box<[Mutex<u64>]>,
    begun: AtomicU64,
    ended: AtomicU64,
    followed: Followed,
}

impl RowCache {
    /// A cache of about `bytes`; 0 keeps nothing.
    pub(crate) fn new(bytes: u64) -> Self {
        let usual = usize::try_from(bytes / USUAL_ENTRY_BYTES).unwrap_or(usize::MAX);
        let hasher = DefaultHashBuilder::default();
        let built = OptionsBuilder::new().estimated_items_capacity(usual).weight_capacity(bytes).build();
        let entries = match built {
            Ok(options) => Cache::with_options(options, Weight, hasher.clone(), DefaultLifecycle::default()),
            // Both capacities are given, so this does not happen.
            Err(_) => Cache::with(usual, bytes, Weight, hasher.clone(), DefaultLifecycle::default()),
        };
        let stripes = (0..STRIPES).map(|_| Mutex::new(0)).collect();
        Self {
            entries,
            hasher,
            stripes,
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            followed: Followed::default(),
        }
    }

    /// The row with `key`, or that there is none, if that is in memory.
    pub(crate) fn get(&self, table: u16, key: &str) -> Option<Option<Arc<Row>>> {
        match self.entries.get(&Look::key(table, key))? {
            Entry::Row(row) => Some(Some(row)),
            Entry::Absent => Some(None),
            Entry::Hint(_) | Entry::List(_) => None,
        }
    }

    /// The row with `value` in the unique `column`, if it is in memory.
    pub(crate) fn find_one(&self, table: u16, column: usize, value: &str) -> Option<Arc<Row>> {
        let Some(Entry::Hint(key)) = self.entries.get(&Look::value(table, column, value)) else { return None };
        self.get(table, &key)?.filter(|row| has(row, column, value))
    }

    /// All rows with `keys` as one snapshot, if they are all in memory and no batch came between.
    pub(crate) fn get_all(&self, table: u16, keys: &[String]) -> Option<Vec<Option<Arc<Row>>>> {
        let before = self.ended.load(Ordering::Acquire);
        if self.begun.load(Ordering::Acquire) != before {
            return None;
        }
        let rows = keys.iter().map(|key| self.get(table, key)).collect::<Option<Vec<_>>>()?;
        (self.begun.load(Ordering::Acquire) == before).then_some(rows)
    }

    /// To be taken before a read's snapshot begins.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(self.ended.load(Ordering::Acquire))
    }

    /// The row of memory with this key and version, which is the same as the file's.
    pub(crate) fn same(&self, table: u16, key: &str, version: u64) -> Option<Arc<Row>> {
        match self.entries.peek(&Look::key(table, key)) {
            Some(Entry::Row(row)) if row.version == version => Some(row),
            _ => None,
        }
    }

    /// Keeps a row that was read after `ticket` was taken, unless its key may have changed since.
    pub(crate) fn keep(&self, table: u16, row: &Arc<Row>, ticket: Ticket) {
        self.put_in(Look::key(table, &row.key), Entry::Row(Arc::clone(row)), ticket);
    }

    /// The same for a key that had no row: a device that registers is looked for several times before it is there.
    pub(crate) fn keep_absent(&self, table: u16, key: &str, ticket: Ticket) {
        self.put_in(Look::key(table, key), Entry::Absent, ticket);
    }

    fn put_in(&self, look: Look<'_>, entry: Entry, ticket: Ticket) {
        let stripe = self.stripe(look);
        if *stripe <= ticket.0 {
            self.entries.insert(look.owned(), entry);
        }
    }

    /// Remembers which row had `value`.
    pub(crate) fn hint(&self, table: u16, column: usize, value: &str, row: &Row) {
        self.entries.insert(Look::value(table, column, value).owned(), Entry::Hint(row.key.as_str().into()));
    }

    /// Begins a batch, before its commit: from here on the keys of its `changes`, and the lists that they join, are
    /// read from the file.
    pub(crate) fn begin<'a>(&self, changes: impl Iterator<Item = (u16, Touch<'a>)> + Clone) -> Batch<'_> {
        let noted = self.followed.note(changes.clone());
        let number = self.ended.load(Ordering::Relaxed) + 1;
        self.begun.store(number, Ordering::Release);
        let leave = |look: Look<'_>| {
            let mut stripe = self.stripe(look);
            *stripe = number;
            self.entries.remove(&look);
        };
        for (table, change) in changes {
            match change {
                Touch::Put(put) if put.table.log => {}
                Touch::Put(put) => {
                    leave(Look::key(table, &put.key));
                    lists::joined(table, put).for_each(leave);
                }
                Touch::Delete(key) => leave(Look::key(table, key)),
            }
        }
        Batch { cache: self, number, noted }
    }

    /// What was written in these tables since `after`, and where things stand now.
    pub(crate) fn changes(&self, tables: &[u16], after: Option<u64>) -> (u64, Option<Vec<(u16, String)>>) {
        self.followed.since(tables, after, &self.ended)
    }

    fn stripe(&self, look: Look<'_>) -> MutexGuard<'_, u64> {
        // The low bits choose the shard of the cache itself; others spread better here.
        let number = (self.hasher.hash_one(look) >> 20) as usize % STRIPES;
        self.stripes[number].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn has(row: &Row, column: usize, value: &str) -> bool {
    row.columns.get(column).and_then(Option::as_deref) == Some(value)
}

/// A batch between begin and end. Dropped without [`Batch::committed`], its keys are simply not in memory.
pub(crate) struct Batch<'a> {
    cache: &'a RowCache,
    number: u64,
    noted: Option<Noted>,
}

impl Batch<'_> {
    /// Puts in what the commit made, given in the order in which it was made.
    pub(crate) fn committed(self, fates: Vec<(u16, Fate)>) {
        // Backwards, so that of several changes of a key only the last is ever seen.
        let mut decided = HashSet::with_capacity_and_hasher(fates.len(), self.cache.hasher.clone());
        let kept = fates.into_iter().rev().filter(|(_, fate)| !matches!(fate, Fate::Put(put, _) if put.table.log));
        for (table, fate) in kept {
            let id = Look::key(table, fate.key()).owned();
            if !decided.insert(id.clone()) {
                continue;
            }
            if let Fate::Put(put, version) = fate {
                let table_of = put.table;
                let row = Arc::new(Row::written(put, version));
                let values = table_of.columns.iter().zip(&row.columns).enumerate();
                // A device that was just made is looked up by its place next.
                for (column, (_, value)) in values.filter(|(_, (column, _))| column.unique) {
                    if let Some(value) = value {
                        self.cache.hint(table, column, value, &row);
                    }
                }
                self.cache.entries.insert(id, Entry::Row(row));
            }
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.cache.followed.ended(self.number, self.noted.take());
        self.cache.ended.store(self.number, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_store::{Column, Table};

    static ITEMS: Table = Table::new("items", &[Column { name: "serial", unique: true }]);

    fn put(key: &str, serial: &str) -> Put {
        Put::new(&ITEMS, key, vec![Some(serial.to_owned())], &serial).unwrap()
    }

    fn row(key: &str, serial: &str, version: u64) -> Arc<Row> {
        Arc::new(Row::written(put(key, serial), version))
    }

    fn begin<'a>(cache: &'a RowCache, change: Touch<'_>) -> Batch<'a> {
        cache.begin([(0, change)].into_iter())
    }

    fn version(cache: &RowCache, key: &str) -> Option<u64> {
        cache.get(0, key).flatten().map(|row| row.version)
    }

    #[test]
    fn a_row_that_was_read_before_a_batch_does_not_come_back() {
        let cache = RowCache::new(1 << 20);
        let ticket = cache.ticket();
        cache.keep(0, &row("a", "s", 1), ticket);
        assert_eq!(version(&cache, "a"), Some(1));
        let batch = begin(&cache, Touch::Delete("a"));
        assert_eq!(version(&cache, "a"), None);
        cache.keep(0, &row("a", "s", 1), cache.ticket());
        assert_eq!(version(&cache, "a"), None, "a batch is under way");
        batch.committed(vec![(0, Fate::Put(put("a", "s"), 2)), (0, Fate::Put(put("a", "s"), 3))]);
        assert_eq!(version(&cache, "a"), Some(3), "the last change counts");
        cache.keep(0, &row("a", "s", 1), ticket);
        assert_eq!(version(&cache, "a"), Some(3));
        begin(&cache, Touch::Delete("a")).committed(vec![(0, Fate::Deleted("a".to_owned()))]);
        cache.keep(0, &row("a", "s", 3), ticket);
        assert_eq!(version(&cache, "a"), None, "what is deleted stays deleted");
        // A commit that failed leaves the key to the file.
        drop(begin(&cache, Touch::Delete("a")));
        cache.keep(0, &row("a", "s", 3), cache.ticket());
        assert_eq!(version(&cache, "a"), Some(3));
    }

    #[test]
    fn that_a_row_is_not_there_is_true_until_it_is_put() {
        let cache = RowCache::new(1 << 20);
        assert!(cache.get(0, "a").is_none(), "nobody has looked yet");
        let ticket = cache.ticket();
        cache.keep_absent(0, "a", ticket);
        assert_eq!(cache.get(0, "a"), Some(None));
        assert_eq!(cache.get_all(0, &["a".to_owned()]), Some(vec![None]));
        let batch = begin(&cache, Touch::Delete("a"));
        cache.keep_absent(0, "a", cache.ticket());
        assert!(cache.get(0, "a").is_none(), "a batch is under way");
        batch.committed(vec![(0, Fate::Put(put("a", "s"), 1))]);
        cache.keep_absent(0, "a", ticket);
        assert_eq!(version(&cache, "a"), Some(1), "an old look does not take a row away");
        begin(&cache, Touch::Delete("a")).committed(vec![(0, Fate::Deleted("a".to_owned()))]);
        assert!(cache.get(0, "a").is_none(), "the file is asked again");
    }

    #[test]
    fn hints_are_checked_against_the_row_and_snapshots_against_batches() {
        let cache = RowCache::new(1 << 20);
        cache.keep(0, &row("a", "s", 1), cache.ticket());
        cache.hint(0, 0, "s", &row("a", "s", 1));
        assert!(cache.find_one(0, 0, "s").is_some());
        assert!(cache.get(1, "a").is_none(), "tables are apart");
        let keys = ["a".to_owned()];
        assert!(cache.get_all(0, &keys).is_some());
        let batch = begin(&cache, Touch::Delete("b"));
        assert!(cache.get_all(0, &keys).is_none(), "a batch is under way");
        batch.committed(Vec::new());
        assert!(cache.get_all(0, &keys).is_some());
        begin(&cache, Touch::Put(&put("a", "t"))).committed(vec![(0, Fate::Put(put("a", "t"), 2))]);
        assert!(cache.find_one(0, 0, "s").is_none());
        assert_eq!(cache.find_one(0, 0, "t").map(|row| row.version), Some(2), "what was written is found");
    }

    #[test]
    fn rows_of_logs_take_no_place() {
        static EVENTS: Table = Table::log("events");
        let cache = RowCache::new(1 << 20);
        let event = Put::new(&EVENTS, "a", vec![], &1).unwrap();
        let batch = begin(&cache, Touch::Put(&event));
        batch.committed(vec![(1, Fate::Put(event.clone(), 1)), (0, Fate::Put(put("a", "s"), 2))]);
        assert!(cache.get(1, "a").is_none());
        assert_eq!(version(&cache, "a"), Some(2), "what it was written with does");
    }

    #[test]
    fn it_stays_within_its_bytes() {
        let cache = RowCache::new(256 * 1024);
        for number in 0..10_000 {
            cache.keep(0, &row(&format!("{number}"), "s", number), cache.ticket());
        }
        assert!(cache.entries.weight() <= 256 * 1024 && cache.entries.len() > 100);
        let nothing = RowCache::new(0);
        nothing.keep(0, &row("a", "s", 1), nothing.ticket());
        assert_eq!(version(&nothing, "a"), None);
    }
}
