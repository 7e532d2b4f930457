//! Declarations of tables.

use crate::StoreError;
use serde_json::Value;

/// A column beside the document, for queries: optional text, indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Name: a lower-case letter, then lower-case letters, digits and `_`; at most 48 bytes.
    pub name: &'static str,
    /// Whether two rows may not have the same value; `None` never collides.
    pub unique: bool,
}

/// One step of a document's migration: the document of version n in, of version n+1 out.
pub type MigrateStep = fn(Value) -> Value;

/// A table, declared once as a `static`; every engine builds it from this.
///
/// A column may be added by a later program; rows written before have `None` there.
#[derive(Debug)]
pub struct Table {
    /// Name, under the same rule as [`Column::name`].
    pub name: &'static str,
    /// The columns, in the order in which `Row::columns` and `Put::columns` give them.
    pub columns: &'static [Column],
    /// Version of the document's shape that this program writes; starts at 1.
    pub schema_version: u32,
    /// `migrate[i]` turns version i+1 into i+2; as many as `schema_version - 1`. Applied on read.
    pub migrate: &'static [MigrateStep],
    /// Whether it is a log: a row is written once, under a key that no other ever has, and seldom read. Engines keep none of its
    /// rows in memory, where they would push out what is read all the time.
    pub log: bool,
}

/// Two declarations are the same table when they carry the same name.
impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Table {}

const NAME_BYTES: usize = 48;

impl Table {
    /// A table in the first version of its documents.
    pub const fn new(name: &'static str, columns: &'static [Column]) -> Self {
        Self { name, columns, schema_version: 1, migrate: &[], log: false }
    }

    /// A log, in the first version of its documents. It has no columns: it is read by its keys.
    pub const fn log(name: &'static str) -> Self {
        Self { log: true, ..Self::new(name, &[]) }
    }

    /// Position of the column called `name`.
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Checks the declaration: names, no column twice, one migration step per older version.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] with a sentence that names the table and the rule.
    pub fn check(&self) -> Result<(), StoreError> {
        let invalid = |text: String| StoreError::Invalid(format!("table {:?}: {text}", self.name));
        if !is_name(self.name) {
            return Err(invalid("the name is not a plain lower-case name".into()));
        }
        if self.log && !self.columns.is_empty() {
            return Err(invalid("a log is read by its keys and has no columns".into()));
        }
        for (index, column) in self.columns.iter().enumerate() {
            if !is_name(column.name) {
                return Err(invalid(format!("column {:?} is not a plain lower-case name", column.name)));
            }
            if self.column_index(column.name) != Some(index) {
                return Err(invalid(format!("column {:?} is declared twice", column.name)));
            }
        }
        if self.schema_version == 0 || self.migrate.len() + 1 != self.schema_version as usize {
            return Err(invalid(format!(
                "schema version {} needs {} migration steps, {} are declared",
                self.schema_version,
                self.schema_version.saturating_sub(1),
                self.migrate.len()
            )));
        }
        Ok(())
    }

    /// Brings the text of a document of `schema` up to this table's `schema_version`; a document of
    /// that version is handed back as it is.
    ///
    /// # Errors
    /// [`StoreError::Newer`] when `schema` is above `schema_version`, [`StoreError::Engine`] when it
    /// is 0 or an old document is no JSON.
    pub fn upgrade(&self, key: &str, schema: u32, doc: String) -> Result<String, StoreError> {
        if schema == self.schema_version {
            return Ok(doc);
        }
        if schema > self.schema_version {
            return Err(StoreError::Newer(format!(
                "row {key:?} of table {:?} was written by a newer Ferrohub (document version {schema}, this \
                 program knows {}): start the newer program again",
                self.name, self.schema_version
            )));
        }
        let Some(done) = (schema as usize).checked_sub(1) else {
            return Err(StoreError::Engine(format!("row {key:?} of table {:?} carries document version 0", self.name)));
        };
        let value: Value = serde_json::from_str(&doc).map_err(|error| self.no_document(key, &error))?;
        Ok(self.migrate.iter().skip(done).fold(value, |doc, step| step(doc)).to_string())
    }

    /// A document that cannot be read, named by table and key.
    pub(crate) fn no_document(&self, key: &str, error: &serde_json::Error) -> StoreError {
        StoreError::Engine(format!("row {key:?} of table {:?} does not parse: {error}", self.name))
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= NAME_BYTES
        && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NAME: Column = Column { name: "name", unique: true };

    fn table(name: &'static str, columns: &'static [Column], version: u32, migrate: &'static [MigrateStep]) -> Table {
        Table { schema_version: version, migrate, ..Table::new(name, columns) }
    }

    #[test]
    fn declarations_are_checked() {
        assert!(table("hubs", &[NAME], 1, &[]).check().is_ok());
        assert!(table("Hubs", &[], 1, &[]).check().is_err());
        assert!(table("h\"; drop", &[], 1, &[]).check().is_err());
        assert!(table("", &[], 1, &[]).check().is_err());
        assert!(table("hubs", &[NAME, NAME], 1, &[]).check().is_err());
        assert!(table("hubs", &[], 2, &[]).check().is_err());
        assert!(table("hubs", &[], 0, &[]).check().is_err());
    }

    #[test]
    fn documents_climb_the_chain_from_where_they_are() {
        let steps: &'static [MigrateStep] =
            &[|_| json!("two"), |doc| json!(format!("{}+three", doc.as_str().unwrap_or("?")))];
        let table = table("hubs", &[], 3, steps);
        let upgrade = |schema, doc: &str| table.upgrade("k", schema, doc.to_owned());
        assert_eq!(upgrade(1, "\"one\"").unwrap(), "\"two+three\"");
        assert_eq!(upgrade(2, "\"x\"").unwrap(), "\"x+three\"");
        assert_eq!(upgrade(3, " \"x\"").unwrap(), " \"x\"", "the newest is not touched");
        assert!(matches!(upgrade(4, "1"), Err(StoreError::Newer(_))));
        assert!(matches!(upgrade(0, "1"), Err(StoreError::Engine(_))));
        assert!(
            matches!(upgrade(1, "{"), Err(StoreError::Engine(text)) if text.contains("hubs") && text.contains("\"k\""))
        );
    }
}
