//! Going through many rows, page by page.

use crate::{Page, Row, Store, StoreError, Table};
use std::sync::Arc;

/// A reader of all rows of a look-up. Each page is read on its own, so that a row that is written meanwhile may or may
/// not be seen; rows before the last one seen are never seen twice.
///
/// ```text
/// let mut pages = Pages::scan(store, &THINGS, "", 500);
/// while let Some(rows) = pages.next().await? { … }
/// ```
pub struct Pages<'a> {
    store: &'a dyn Store,
    table: &'static Table,
    by: By<'a>,
    after: Option<String>,
    rows: usize,
    ended: bool,
}

enum By<'a> {
    Prefix(&'a str),
    Last(&'a str),
    Column(&'static str, &'a str),
    Range(&'static str, &'a str),
}

impl<'a> Pages<'a> {
    /// Rows whose key starts with `prefix`, so many at a time (1 to `limits::STORE_PAGE`).
    pub fn scan(store: &'a dyn Store, table: &'static Table, prefix: &'a str, rows: usize) -> Self {
        Self::new(store, table, By::Prefix(prefix), rows)
    }

    /// The same from the last key to the first.
    pub fn last(store: &'a dyn Store, table: &'static Table, prefix: &'a str, rows: usize) -> Self {
        Self::new(store, table, By::Last(prefix), rows)
    }

    /// Rows whose `column` equals `value`, so many at a time.
    pub fn find(
        store: &'a dyn Store,
        table: &'static Table,
        column: &'static str,
        value: &'a str,
        rows: usize,
    ) -> Self {
        Self::new(store, table, By::Column(column, value), rows)
    }

    /// Rows whose unique `column` starts with `prefix`, ordered by it, so many at a time.
    pub fn range(
        store: &'a dyn Store,
        table: &'static Table,
        column: &'static str,
        prefix: &'a str,
        rows: usize,
    ) -> Self {
        Self::new(store, table, By::Range(column, prefix), rows)
    }

    fn new(store: &'a dyn Store, table: &'static Table, by: By<'a>, rows: usize) -> Self {
        Self { store, table, by, after: None, rows, ended: false }
    }

    /// The same, beginning after this key, or with [`Pages::range`] after this value; `None` leaves it at the first row.
    #[must_use]
    pub fn following(mut self, after: Option<String>) -> Self {
        self.after = after;
        self
    }

    /// The next page, never an empty one; `None` after the last.
    ///
    /// # Errors
    /// The store's. The same page can be asked for again.
    pub async fn next(&mut self) -> Result<Option<Vec<Arc<Row>>>, StoreError> {
        if self.ended {
            return Ok(None);
        }
        let page = Page { after: self.after.clone(), limit: self.rows };
        let rows = match self.by {
            By::Prefix(prefix) => self.store.scan(self.table, prefix, page).await?,
            By::Last(prefix) => self.store.last(self.table, prefix, page).await?,
            By::Column(column, value) => self.store.find(self.table, column, value, page).await?,
            By::Range(column, prefix) => self.store.range(self.table, column, prefix, page).await?,
        };
        self.ended = rows.len() < self.rows;
        let Some(last) = rows.last() else { return Ok(None) };
        self.after = match self.by {
            By::Prefix(_) | By::Last(_) | By::Column(..) => Some(last.key.clone()),
            By::Range(column, _) => {
                let index = self.table.column_index(column);
                index.and_then(|index| last.columns.get(index).cloned().flatten())
            }
        };
        debug_assert!(self.after.is_some(), "a row that a column found has a value in it");
        Ok(Some(rows))
    }
}
