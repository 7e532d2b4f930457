//! Rows as read: shared, and parsed once.

use crate::{Put, StoreError, Table};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// A row as read. Its document is JSON text in the table's newest schema; what [`Row::parse`] makes
/// of it is remembered, so that a row which several callers share is parsed once.
pub struct Row {
    /// The key.
    pub key: String,
    /// Grows with each put of this key and is never used twice, even after a delete.
    pub version: u64,
    /// The columns in the order of the table's declaration.
    pub columns: Vec<Option<String>>,
    table: &'static Table,
    doc: String,
    parsed: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Row {
    /// A row of `table` as an engine read it, its document brought up from `schema`.
    ///
    /// # Errors
    /// Those of [`Table::upgrade`].
    pub fn stored(
        table: &'static Table,
        key: String,
        version: u64,
        columns: Vec<Option<String>>,
        schema: u32,
        doc: String,
    ) -> Result<Self, StoreError> {
        let doc = table.upgrade(&key, schema, doc)?;
        Ok(Self { key, version, columns, table, doc, parsed: OnceLock::new() })
    }

    /// The row that `put` made with `version`.
    pub fn written(put: Put, version: u64) -> Self {
        let Put { table, key, columns, doc, parsed } = put;
        Self { key, version, columns, table, doc, parsed: parsed.map(OnceLock::from).unwrap_or_default() }
    }

    /// The document's JSON text.
    pub fn text(&self) -> &str {
        &self.doc
    }

    /// The document as `T`. The first `T` asked for is remembered; any other is parsed anew each time.
    ///
    /// # Errors
    /// [`StoreError::Engine`] naming table and key when the document is no `T`.
    pub fn parse<T: DeserializeOwned + Send + Sync + 'static>(&self) -> Result<Arc<T>, StoreError> {
        if let Some(known) = self.parsed.get().filter(|known| known.is::<T>())
            && let Ok(known) = Arc::clone(known).downcast::<T>()
        {
            return Ok(known);
        }
        let parsed = Arc::new(self.part::<T>()?);
        // When two parse at once the first stays remembered; both have the same value.
        let _ = self.parsed.set(Arc::<T>::clone(&parsed));
        Ok(parsed)
    }

    /// The document as a JSON value, parsed anew.
    ///
    /// # Errors
    /// [`StoreError::Engine`] naming table and key when the document is no JSON.
    pub fn value(&self) -> Result<Value, StoreError> {
        self.part()
    }

    /// The document as a `T` that wants only a part of it: parsed anew and not remembered, so that it takes no memory.
    ///
    /// # Errors
    /// [`StoreError::Engine`] naming table and key when the document is no `T`.
    pub fn part<T: DeserializeOwned>(&self) -> Result<T, StoreError> {
        serde_json::from_str(&self.doc).map_err(|error| self.table.no_document(&self.key, &error))
    }
}

/// Two rows are equal when everything stored is; what was parsed does not count.
impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.table == other.table
            && self.key == other.key
            && self.version == other.version
            && self.columns == other.columns
            && self.doc == other.doc
    }
}

/// Without the document, which may hold what no log should.
impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("table", &self.table.name)
            .field("key", &self.key)
            .field("version", &self.version)
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    static HUBS: Table = Table::new("hubs", &[]);

    fn row(doc: &str) -> Row {
        Row::stored(&HUBS, "a".into(), 7, Vec::new(), 1, doc.to_owned()).unwrap()
    }

    #[test]
    fn a_document_is_parsed_once_and_another_type_does_no_harm() {
        let row = row("[1, 2]");
        let first = row.parse::<Vec<u8>>().unwrap();
        assert!(Arc::ptr_eq(&first, &row.parse().unwrap()));
        let other = row.parse::<Value>().unwrap();
        assert_eq!(*other, json!([1, 2]));
        assert!(!Arc::ptr_eq(&other, &row.parse().unwrap()));
        assert!(Arc::ptr_eq(&first, &row.parse().unwrap()));
    }

    #[test]
    fn a_document_that_does_not_parse_names_table_and_key() {
        let row = row("{\"secret\": 1}");
        let Err(StoreError::Engine(text)) = row.parse::<Vec<u8>>() else { panic!("an object is no list") };
        assert!(text.contains("\"hubs\"") && text.contains("\"a\""), "{text}");
        assert_eq!(row.value().unwrap(), json!({"secret": 1}));
        assert!(!format!("{row:?}").contains("secret"));
    }

    #[test]
    fn what_was_written_equals_what_is_read() {
        let put = Put::new(&HUBS, "a", Vec::new(), &json!([1])).unwrap();
        let written = Row::written(put, 7);
        assert_eq!(written, row("[1]"));
        assert!(written.parse::<Vec<u8>>().is_ok());
        assert_eq!(written, row("[1]"));
        let doc = Arc::new(vec![1_u8]);
        let put = Put::shared(&HUBS, "a", Vec::new(), &doc).unwrap();
        let shared = Row::written(put, 7);
        assert_eq!(shared, written);
        assert!(Arc::ptr_eq(&shared.parse().unwrap(), &doc));
        assert_eq!(*shared.parse::<Value>().unwrap(), json!([1]));
    }
}
