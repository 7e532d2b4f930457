//! The embedded Store: SQLite with one writer, group commit and readers beside it.
