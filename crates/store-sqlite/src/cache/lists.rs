//! Look-ups by a column that find several rows, or none, remember the keys of what they found.
//!
//! A row joins a list only by a put that carries the value, so a batch that is about to be committed
//! removes the lists that its puts may join; a reader puts one in under the same rule as a row. A row
//! that leaves a list needs no care: it is not in memory any more, or says that it has another value,
//! and then the file is asked. Between two looks at the same list nothing has joined it and
//! none of its rows was written, so the rows found in between are what it held at the first look.

use super::{Entry, Look, RowCache, Ticket};
use ferrohub_store::{Page, Put, Row, Table};
use std::sync::Arc;

/// Lists of the rows with one value in a plain column stand above this number...
pub(super) const EQUAL: u16 = 0x4000;
/// ...and those of the rows whose unique column has one prefix above this one.
pub(super) const BELOW: u16 = 0x8000;
/// Longer lists are not remembered: who reads them asks for much besides.
const LIST_ROWS: usize = 64;
/// A prefix is remembered when it ends with the first or second of these in the value, as in `{parent}/` and
/// `{parent}/{kind}/`: so a put knows which prefixes its value has.
const STEP: char = '/';
const STEPS: usize = 2;
/// What a key in a list takes beside its text, bytes.
const KEY_BYTES: usize = 16;

/// The first keys of a look-up.
pub(crate) struct List {
    keys: Box<[Box<str>]>,
    /// How many were asked for: fewer keys are all that there are.
    limit: usize,
}

impl List {
    pub(super) fn bytes(&self) -> usize {
        self.keys.iter().map(|key| key.len() + KEY_BYTES).sum()
    }
}

/// What a look-up for several rows asks for.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    look: Look<'a>,
    column: usize,
    limit: usize,
}

impl<'a> Ask<'a> {
    /// The first page of the rows with `value` in `column`; `None` for what is not remembered.
    pub(crate) fn equal(table: u16, of: &Table, column: usize, value: &'a str, page: &Page) -> Option<Self> {
        let kept = page.after.is_none() && !of.columns[column].unique;
        kept.then(|| Self { look: equal(table, column, value), column, limit: page.limit })
    }

    /// The first page of the rows whose unique `column` starts with `prefix`; `None` for what is not remembered.
    pub(crate) fn below(table: u16, column: usize, prefix: &'a str, page: &Page) -> Option<Self> {
        let kept = page.after.is_none() && prefix.ends_with(STEP) && prefix.matches(STEP).count() <= STEPS;
        kept.then(|| Self { look: below(table, column, prefix), column, limit: page.limit })
    }

    fn holds(&self, row: &Row) -> bool {
        let value = row.columns.get(self.column).and_then(Option::as_deref);
        value.is_some_and(|value| match self.look.by {
            by if by >= BELOW => value.starts_with(self.look.text),
            _ => value == self.look.text,
        })
    }
}

fn equal(table: u16, column: usize, value: &str) -> Look<'_> {
    Look { table, by: number(EQUAL, column), text: value }
}

fn below(table: u16, column: usize, prefix: &str) -> Look<'_> {
    Look { table, by: number(BELOW, column), text: prefix }
}

fn number(base: u16, column: usize) -> u16 {
    base + u16::try_from(column).unwrap_or(EQUAL - 1).min(EQUAL - 1)
}

/// The lists that the row of `put` joins or stays in.
pub(super) fn joined(table: u16, put: &Put) -> impl Iterator<Item = Look<'_>> {
    let values = put.table.columns.iter().zip(&put.columns).enumerate();
    values.filter_map(|(index, (column, value))| Some((index, column, value.as_deref()?))).flat_map(
        move |(index, column, value)| {
            let plain = (!column.unique).then(|| equal(table, index, value));
            let steps = if column.unique { STEPS } else { 0 };
            let prefixes = value.match_indices(STEP).take(steps);
            plain.into_iter().chain(prefixes.map(move |(at, step)| below(table, index, &value[..at + step.len()])))
        },
    )
}

impl RowCache {
    /// What a look-up finds, if it is in memory: the rows as they stood at one moment.
    pub(crate) fn list(&self, ask: &Ask<'_>) -> Option<Vec<Arc<Row>>> {
        let list = self.remembered(ask)?;
        if list.keys.len() == list.limit && list.limit < ask.limit {
            return None;
        }
        let rows = list
            .keys
            .iter()
            .take(ask.limit)
            .map(|key| self.get(ask.look.table, key).flatten().filter(|row| ask.holds(row)));
        let rows = rows.collect::<Option<Vec<_>>>()?;
        let still = rows.is_empty() || self.remembered(ask).is_some_and(|now| Arc::ptr_eq(&now, &list));
        still.then_some(rows)
    }

    fn remembered(&self, ask: &Ask<'_>) -> Option<Arc<List>> {
        match self.entries.get(&ask.look) {
            Some(Entry::List(list)) => Some(list),
            _ => None,
        }
    }

    /// Keeps what a look-up found after `ticket` was taken, unless a row may have joined it since.
    pub(crate) fn keep_list(&self, ask: &Ask<'_>, rows: &[Arc<Row>], ticket: Ticket) {
        if rows.len() > LIST_ROWS {
            return;
        }
        let keys = rows.iter().map(|row| row.key.as_str().into()).collect();
        let list = Arc::new(List { keys, limit: ask.limit });
        let stripe = self.stripe(ask.look);
        if *stripe <= ticket.0 {
            self.entries.insert(ask.look.owned(), Entry::List(list));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Touch;
    use super::*;
    use ferrohub_store::Column;

    static ITEMS: Table =
        Table::new("items", &[Column { name: "label", unique: false }, Column { name: "place", unique: true }]);

    fn put(key: &str, label: &str, place: &str) -> Put {
        Put::new(&ITEMS, key, vec![Some(label.to_owned()), Some(place.to_owned())], &0).unwrap()
    }

    fn row(key: &str, label: &str, place: &str, version: u64) -> Arc<Row> {
        Arc::new(Row::written(put(key, label, place), version))
    }

    fn keys(cache: &RowCache, ask: Option<Ask<'_>>) -> Option<Vec<String>> {
        cache.list(&ask?).map(|rows| rows.iter().map(|row| row.key.clone()).collect())
    }

    fn red(limit: usize) -> Option<Ask<'static>> {
        Ask::equal(0, &ITEMS, 0, "red", &Page::first(limit))
    }

    fn in_p(limit: usize) -> Option<Ask<'static>> {
        Ask::below(0, 1, "p/", &Page::first(limit))
    }

    fn keep(cache: &RowCache, ask: Option<Ask<'_>>, rows: &[Arc<Row>]) {
        rows.iter().for_each(|row| cache.keep(0, row, cache.ticket()));
        cache.keep_list(&ask.unwrap(), rows, cache.ticket());
    }

    #[test]
    fn a_put_removes_what_it_may_join_and_nothing_else() {
        let cache = RowCache::new(1 << 20);
        let (a, b) = (row("a", "red", "p/x/1", 1), row("b", "red", "q/x/1", 2));
        keep(&cache, red(10), &[a.clone(), b.clone()]);
        keep(&cache, in_p(10), std::slice::from_ref(&a));
        assert_eq!(keys(&cache, red(10)).unwrap(), ["a", "b"]);
        let other = put("c", "blue", "q/x/2");
        drop(cache.begin([(0, Touch::Put(&other))].into_iter()));
        assert_eq!(keys(&cache, red(10)).unwrap(), ["a", "b"]);
        assert_eq!(keys(&cache, in_p(10)).unwrap(), ["a"]);
        let ticket = cache.ticket();
        let joins = put("c", "red", "p/y/2");
        drop(cache.begin([(0, Touch::Put(&joins))].into_iter()));
        assert_eq!((keys(&cache, red(10)), keys(&cache, in_p(10))), (None, None));
        cache.keep_list(&red(10).unwrap(), &[a, b], ticket);
        assert_eq!(keys(&cache, red(10)), None, "what was read before the batch does not come back");
    }

    #[test]
    fn a_row_that_leaves_shows_itself() {
        let cache = RowCache::new(1 << 20);
        keep(&cache, red(10), &[row("a", "red", "p/x/1", 1), row("b", "red", "p/x/2", 2)]);
        cache.keep(0, &row("b", "blue", "p/x/2", 3), cache.ticket());
        assert_eq!(keys(&cache, red(10)), None, "b has another label");
        assert_eq!(keys(&cache, red(1)).unwrap(), ["a"], "which is nothing to the first row");
        drop(cache.begin([(0, Touch::Delete("a"))].into_iter()));
        assert_eq!(keys(&cache, red(1)), None, "a is gone");
    }

    #[test]
    fn fewer_rows_than_were_asked_for_are_all_there_are() {
        let cache = RowCache::new(1 << 20);
        let (a, b) = (row("a", "red", "p/x/1", 1), row("b", "red", "p/x/2", 2));
        keep(&cache, in_p(2), &[a.clone(), b]);
        assert_eq!(keys(&cache, in_p(1)).unwrap(), ["a"]);
        assert_eq!(keys(&cache, in_p(3)), None, "there may be a third");
        keep(&cache, red(2), std::slice::from_ref(&a));
        assert_eq!(keys(&cache, red(9)).unwrap(), ["a"]);
        let none = Ask::equal(0, &ITEMS, 0, "green", &Page::first(5));
        keep(&cache, none, &[]);
        assert_eq!(keys(&cache, none).unwrap().len(), 0);
    }

    #[test]
    fn only_prefixes_that_a_put_knows_are_remembered() {
        let page = Page::first(5);
        assert!(Ask::below(0, 1, "p/x/", &page).is_some());
        for other in ["", "p", "p/x", "p/x/y/"] {
            assert!(Ask::below(0, 1, other, &page).is_none(), "{other}");
        }
        assert!(Ask::below(0, 1, "p/", &Page::following("p/x/1", 5)).is_none());
        assert!(Ask::equal(0, &ITEMS, 1, "p/x/1", &page).is_none());
    }
}
