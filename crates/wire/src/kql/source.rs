//! What a plan is run over: tables in parts, each with rows of columns.

use super::value::{Type, Value};

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub struct ColumnInfo {
    /// Its name, as answers spell it; queries may spell it in any case.
    pub name: &'static str,
    /// What it holds.
    pub kind: Type,
}

/// A table.
#[derive(Debug, Clone, Copy)]
pub struct TableInfo {
    /// Its name; queries may spell it in any case.
    pub name: &'static str,
    /// Its columns.
    pub columns: &'static [ColumnInfo],
}

/// The tables there are; the first is the one that a query without a table asks.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// The tables.
    pub tables: &'static [TableInfo],
}

/// Rows of a table that have something in common.
pub trait Part: Sync {
    /// How many rows it has.
    fn rows(&self) -> usize;

    /// The value that all its rows have in this column, where they have one: a part whose rows a filter does not want is
    /// then never looked at.
    fn constant(&self, column: usize) -> Option<Value<'_>> {
        let _ = column;
        None
    }

    /// The value of a column in a row.
    fn column(&self, row: usize, column: usize) -> Value<'_>;

    /// The value at a path within a dynamic column; the number is that of [`super::Plan::paths`].
    fn path(&self, row: usize, path: usize) -> Value<'_>;

    /// Whether the texts of all its rows in this column begin with `wanted` (in lower case where `ignore_case`), or of none;
    /// `None` where it differs, or is not known without a look at each.
    fn begins(&self, column: usize, wanted: &str, ignore_case: bool) -> Option<bool> {
        let _ = (column, wanted, ignore_case);
        None
    }

    /// Whether any of its rows may have the text `wanted` (in lower case where `ignore_case`) in this column.
    fn may_have(&self, column: usize, wanted: &str, ignore_case: bool) -> bool {
        let _ = (column, wanted, ignore_case);
        true
    }

    /// Whether the row's text in this column is `wanted` (in lower case where `ignore_case`): what may be answered without
    /// making the text. `None` leaves it to the caller.
    fn is_text(&self, row: usize, column: usize, wanted: &str, ignore_case: bool) -> Option<bool> {
        let _ = (row, column, wanted, ignore_case);
        None
    }
}

/// The tables of one moment.
pub trait Source: Sync {
    /// The parts of the table with this number in the schema, in the order of its rows.
    fn parts(&self, table: usize) -> Vec<&dyn Part>;
}
