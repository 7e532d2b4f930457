//! The log's own errors, in the product's terms.

use ferrohub_model::error::{Error, ErrorKind};
use std::fmt;
use std::io;
use std::path::Path;

/// The disk failed while the log is running; the caller may not know more.
pub(crate) fn disk(what: impl fmt::Display, error: &io::Error) -> Error {
    if is_full(error) {
        return Error::unavailable(
            "The disk of the event log is full or cannot be written; no event was stored. Free space or shorten the retention.",
            30,
        )
        .with_context(format!("event log: {what}: {error}"));
    }
    Error::internal(format!("event log: {what}: {error}"))
}

/// Whether the disk takes no more, for want of space, by a quota or a limit, or because it is read-only.
pub(crate) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge | ReadOnlyFilesystem)
}

/// The log cannot be opened; whoever starts the program reads this.
pub(crate) fn open(what: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, "InternalServerError", format!("The event log cannot be opened: {what}"))
}

/// A record that is not what it must be, in a file that is otherwise whole.
pub(crate) fn damaged(file: &Path, position: u64, what: &str) -> Error {
    Error::internal(format!("event log: damaged record in {} at offset {position}: {what}", file.display()))
}

/// The log stopped taking events after a failure; `cause` is for the server's log.
pub(crate) fn poisoned(cause: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        "InternalServerError",
        "The event log takes no more events because its disk failed; check the disk and restart Ferrohub.",
    )
    .with_context(format!("event log: {cause}"))
}

/// Events for a stream that was dropped.
pub(crate) fn dropped() -> Error {
    Error::not_found("The hub was deleted; it takes no events any more.")
}

/// The log is closed.
pub(crate) fn closed() -> Error {
    Error::unavailable("The event log is closed because the server is stopping.", 5)
}
