//! The unit of work: expectations and changes, submitted whole.

use crate::{StoreError, Table, check_column, check_key, check_unique_column};
use ferrohub_model::limits;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::Any;
use std::collections::HashSet;
use std::sync::Arc;

/// What must hold before a unit is applied. All expectations are checked before the first change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// The row is there with exactly this version.
    Version {
        /// The table.
        table: &'static Table,
        /// The row's key.
        key: String,
        /// The version as read.
        version: u64,
    },
    /// There is no row with this key.
    Absent {
        /// The table.
        table: &'static Table,
        /// The key.
        key: String,
    },
    /// There is a row with this key, in any version.
    Exists {
        /// The table.
        table: &'static Table,
        /// The key.
        key: String,
    },
    /// No row has this value in this column.
    NoneWith {
        /// The table.
        table: &'static Table,
        /// Name of the column.
        column: &'static str,
        /// The value.
        value: String,
    },
    /// No row has a value in this unique column that starts with `prefix`.
    NonePrefixed {
        /// The table.
        table: &'static Table,
        /// Name of the unique column.
        column: &'static str,
        /// The prefix, not empty.
        prefix: String,
    },
    /// No row has a key that starts with `prefix`.
    NoneBelow {
        /// The table.
        table: &'static Table,
        /// The prefix, not empty.
        prefix: String,
    },
}

/// A row to write: inserted, or replaced whole when the key is there.
#[derive(Debug, Clone)]
pub struct Put {
    /// The table.
    pub table: &'static Table,
    /// The key.
    pub key: String,
    /// One value for each declared column, in the order of the declaration.
    pub columns: Vec<Option<String>>,
    /// The document in the table's `schema_version`, as JSON text.
    pub(crate) doc: String,
    /// What the document was made of, where readers want just that.
    pub(crate) parsed: Option<Arc<dyn Any + Send + Sync>>,
}

/// Two puts are equal when everything that is stored is.
impl PartialEq for Put {
    fn eq(&self, other: &Self) -> bool {
        self.table == other.table && self.key == other.key && self.columns == other.columns && self.doc == other.doc
    }
}

impl Put {
    /// A row of `table` with `doc` as its document, which is written as JSON text here.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when `doc` cannot be JSON, for example a map whose keys are no text.
    pub fn new(
        table: &'static Table,
        key: impl Into<String>,
        columns: Vec<Option<String>>,
        doc: &impl Serialize,
    ) -> Result<Self, StoreError> {
        let key = key.into();
        match serde_json::to_string(doc) {
            Ok(doc) => Ok(Self { table, key, columns, doc, parsed: None }),
            Err(error) => Err(StoreError::Invalid(format!(
                "row {key:?} of table {:?} would have a document that is no JSON: {error}",
                table.name
            ))),
        }
    }

    /// The same for a document that is kept: whoever reads the row as a `T` while it is in memory shares it and parses nothing.
    ///
    /// # Errors
    /// Those of [`Put::new`].
    pub fn shared<T: Serialize + DeserializeOwned + Send + Sync + 'static>(
        table: &'static Table,
        key: impl Into<String>,
        columns: Vec<Option<String>>,
        doc: &Arc<T>,
    ) -> Result<Self, StoreError> {
        let put = Self::new(table, key, columns, doc.as_ref())?;
        debug_assert!(
            serde_json::from_str::<T>(&put.doc)
                .is_ok_and(|read| serde_json::to_string(&read).ok() == Some(put.doc.clone())),
            "a document of table {:?} is read as another one than was written",
            table.name
        );
        Ok(Self { parsed: Some(Arc::<T>::clone(doc)), ..put })
    }

    /// The document's JSON text.
    pub fn text(&self) -> &str {
        &self.doc
    }
}

/// A change of a unit, for engines.
#[derive(Debug, Clone, PartialEq)]
pub enum RowChange {
    /// Insert or replace a row.
    Put(Put),
    /// Remove a row; nothing happens when it is not there.
    Delete {
        /// The table.
        table: &'static Table,
        /// The key.
        key: String,
    },
}

/// What a commit made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The new version of each put, in the order of the puts.
    pub versions: Vec<u64>,
}

/// A unit of work: applied whole or not at all. Changes are applied in the order given, so a unit
/// may delete the row that holds a unique value and put another row with it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UnitOfWork {
    expectations: Vec<Expect>,
    changes: Vec<RowChange>,
}

impl UnitOfWork {
    /// An empty unit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an expectation.
    pub fn expect(&mut self, expectation: Expect) -> &mut Self {
        self.expectations.push(expectation);
        self
    }

    /// Adds the expectation that `key` has `version`.
    pub fn expect_version(&mut self, table: &'static Table, key: impl Into<String>, version: u64) -> &mut Self {
        self.expect(Expect::Version { table, key: key.into(), version })
    }

    /// Adds the expectation that there is no row `key`.
    pub fn expect_absent(&mut self, table: &'static Table, key: impl Into<String>) -> &mut Self {
        self.expect(Expect::Absent { table, key: key.into() })
    }

    /// Adds the expectation that there is a row `key`.
    pub fn expect_exists(&mut self, table: &'static Table, key: impl Into<String>) -> &mut Self {
        self.expect(Expect::Exists { table, key: key.into() })
    }

    /// Adds a row to write.
    pub fn put(&mut self, put: Put) -> &mut Self {
        self.changes.push(RowChange::Put(put));
        self
    }

    /// Adds a row to remove. A row that is not there is no error; add `Expect::Exists` to insist.
    pub fn delete(&mut self, table: &'static Table, key: impl Into<String>) -> &mut Self {
        self.changes.push(RowChange::Delete { table, key: key.into() });
        self
    }

    /// Adds everything of `other` behind what is here.
    pub fn append(&mut self, other: UnitOfWork) -> &mut Self {
        self.expectations.extend(other.expectations);
        self.changes.extend(other.changes);
        self
    }

    /// Number of rows that the unit writes or removes.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether the unit writes and removes nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// A row that is put twice, of which only the later would be seen: its table and key. A row may be deleted and put again.
    pub fn put_twice(&self) -> Option<(&'static str, &str)> {
        let mut seen = HashSet::with_capacity(self.changes.len());
        self.changes.iter().find_map(|change| match change {
            RowChange::Put(put) => {
                (!seen.insert((put.table.name, put.key.as_str()))).then_some((put.table.name, put.key.as_str()))
            }
            RowChange::Delete { .. } => None,
        })
    }

    /// The expectations, in order.
    pub fn expectations(&self) -> &[Expect] {
        &self.expectations
    }

    /// The changes, in order.
    pub fn changes(&self) -> &[RowChange] {
        &self.changes
    }

    /// The expectations and changes, for an engine.
    pub fn into_parts(self) -> (Vec<Expect>, Vec<RowChange>) {
        (self.expectations, self.changes)
    }

    /// Checks limits, keys and columns. Every engine calls it before it takes a unit.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] for more than `limits::UNIT_ROWS` rows or expectations, a long key,
    /// a long column value or a large document; [`StoreError::Invalid`] for an empty key, NUL or
    /// wrong columns.
    pub fn check(&self) -> Result<(), StoreError> {
        for (what, count) in [("rows", self.changes.len()), ("expectations", self.expectations.len())] {
            if count > limits::UNIT_ROWS {
                return Err(StoreError::TooLarge(format!(
                    "a unit of work with {count} {what}; at most {} are taken",
                    limits::UNIT_ROWS
                )));
            }
        }
        self.expectations.iter().try_for_each(check_expectation)?;
        self.changes.iter().try_for_each(check_change)
    }
}

fn check_expectation(expectation: &Expect) -> Result<(), StoreError> {
    match expectation {
        Expect::Version { table, key, .. } | Expect::Absent { table, key } | Expect::Exists { table, key } => {
            check_key(table, key)
        }
        Expect::NoneWith { table, column, value } => check_column(table, column, value).map(|_| ()),
        Expect::NonePrefixed { table, column, prefix } => check_unique_column(table, column, prefix).map(|_| ()),
        Expect::NoneBelow { table, prefix } => check_key(table, prefix),
    }
}

fn check_change(change: &RowChange) -> Result<(), StoreError> {
    let put = match change {
        RowChange::Put(put) => put,
        RowChange::Delete { table, key } => return check_key(table, key),
    };
    check_key(put.table, &put.key)?;
    if put.columns.len() != put.table.columns.len() {
        return Err(StoreError::Invalid(format!(
            "row {:?} of table {:?} has {} columns, {} are declared",
            put.key,
            put.table.name,
            put.columns.len(),
            put.table.columns.len()
        )));
    }
    if put.doc.len() > limits::STORE_DOCUMENT_BYTES {
        return Err(StoreError::TooLarge(format!(
            "row {:?} of table {:?} has a document of {} bytes; at most {} are taken",
            put.key,
            put.table.name,
            put.doc.len(),
            limits::STORE_DOCUMENT_BYTES
        )));
    }
    for (column, value) in put.table.columns.iter().zip(&put.columns) {
        if let Some(value) = value {
            check_column(put.table, column.name, value)?;
        }
    }
    Ok(())
}
