//! What an engine may answer, and how it reads to the rest of the product.

use ferrohub_model::error::{Error, ErrorKind};

/// Which expectation did not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConflictKind {
    /// `Expect::Version`: the row has another version.
    Version,
    /// `Expect::Absent`: the row is there.
    Absent,
    /// `Expect::Exists`: the row is not there.
    Exists,
    /// `Expect::NoneWith`, `NonePrefixed`, `NoneBelow` or a unique column: another row has the value.
    Unique,
    /// `Expect::Version`: the row is not there at all.
    NoRow,
}

/// Why a store refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A unit of work was not applied because the data is not as it expected.
    #[error("conflict ({kind:?}) in table {table} on {key_or_column:?}")]
    Conflict {
        /// Which expectation did not hold.
        kind: ConflictKind,
        /// Name of the table.
        table: &'static str,
        /// The key; for [`ConflictKind::Unique`] the name of the column.
        key_or_column: String,
    },
    /// The engine's queue is full; nothing was done.
    #[error("the store's queue is full")]
    Busy,
    /// A unit, key, column or document is over its limit; the sentence says which.
    #[error("{0}")]
    TooLarge(String),
    /// The caller broke a rule of this crate; the sentence says which.
    #[error("{0}")]
    Invalid(String),
    /// A newer program wrote the data; the sentence says what to do.
    #[error("{0}")]
    Newer(String),
    /// A program before the first release wrote the data; the sentence says what to do.
    #[error("{0}")]
    Older(String),
    /// The engine's disk takes no more: it is full, over its quota or read-only. Nothing was done, and reading goes on; the
    /// text is for the log.
    #[error("the store cannot be written: {0}")]
    Unwritable(String),
    /// What is stored is not what was written; the text says where and is for the log.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The engine failed; the text is for the log.
    #[error("the store's engine failed: {0}")]
    Engine(String),
}

impl StoreError {
    /// A conflict of `kind` in `table` on a key or column.
    pub fn conflict(kind: ConflictKind, table: &'static str, key_or_column: impl Into<String>) -> Self {
        Self::Conflict { kind, table, key_or_column: key_or_column.into() }
    }

    /// Whether reading again and submitting a new unit makes sense.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }
}

/// The default reading of a store's refusal. A service that can name the thing in the user's own
/// terms maps conflicts itself and says more.
impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { kind, table, key_or_column } => conflict(kind, table, &key_or_column),
            StoreError::Busy => {
                Error::unavailable("Ferrohub has more writes waiting than it takes at once; try again in a second.", 1)
            }
            StoreError::Unwritable(context) => Error::unavailable(
                "The server's disk is full or cannot be written, so nothing was changed; reading goes on. Free space on the server and repeat the request.",
                10,
            )
            .with_context(format!("store: {context}")),
            StoreError::TooLarge(sentence) => Error::new(
                ErrorKind::TooLarge,
                "RequestTooLarge",
                "The change is larger than Ferrohub stores in one step; make it smaller or split it.",
            )
            .with_context(sentence),
            StoreError::Invalid(context)
            | StoreError::Newer(context)
            | StoreError::Older(context)
            | StoreError::Damaged(context)
            | StoreError::Engine(context) => Error::internal(format!("store: {context}")),
        }
    }
}

fn conflict(kind: ConflictKind, table: &'static str, key_or_column: &str) -> Error {
    let error = match kind {
        ConflictKind::Version => Error::precondition(
            "The resource was changed by somebody else since it was read; read it again and repeat the change.",
        ),
        ConflictKind::NoRow => Error::precondition(
            "The resource was deleted by somebody else since it was read; create it again if it is still wanted.",
        ),
        ConflictKind::Absent => Error::conflict("The resource exists already; choose another name or update it."),
        ConflictKind::Exists => Error::conflict(
            "A resource that this change builds on was deleted meanwhile; create it first and repeat the change.",
        ),
        ConflictKind::Unique => Error::conflict(format!(
            "Another resource has the same {}; choose another one.",
            key_or_column.replace('_', " ")
        )),
    };
    error.with_context(format!("store: {kind:?} in {table} on {key_or_column:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_kind_and_keeps_the_engine_private() {
        let of = |error: StoreError| Error::from(error);
        let version = of(StoreError::conflict(ConflictKind::Version, "hubs", "k"));
        assert_eq!(version.kind, ErrorKind::PreconditionFailed);
        assert_eq!(of(StoreError::conflict(ConflictKind::NoRow, "hubs", "k")).kind, ErrorKind::PreconditionFailed);
        let unique = of(StoreError::conflict(ConflictKind::Unique, "hubs", "host_name"));
        assert_eq!(unique.kind, ErrorKind::Conflict);
        assert!(unique.message.contains("host name"));
        let busy = of(StoreError::Busy);
        assert_eq!((busy.kind, busy.retry_after_seconds), (ErrorKind::Unavailable, Some(1)));
        let full = of(StoreError::Unwritable("WAL".into()));
        assert_eq!((full.kind, full.retry_after_seconds), (ErrorKind::Unavailable, Some(10)));
        assert!(full.message.contains("disk is full") && !full.message.contains("WAL"));
        let damaged = of(StoreError::Damaged("disk page 7".into()));
        assert!(damaged.kind == ErrorKind::Internal && !damaged.message.contains("page"));
        let engine = of(StoreError::Engine("disk I/O error".into()));
        assert_eq!(engine.kind, ErrorKind::Internal);
        assert!(!engine.message.contains("disk"));
        assert!(engine.context.is_some_and(|text| text.contains("disk")));
    }
}
