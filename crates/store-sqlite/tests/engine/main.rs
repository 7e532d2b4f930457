//! The SQLite engine against the Store's contract.

#![expect(clippy::unwrap_used, reason = "a test reports by panicking")]

mod crash;
mod folder;

use async_trait::async_trait;
use ferrohub_store::conformance::{self, Place};
use ferrohub_store::{Store, StoreError, Table};
use ferrohub_store_sqlite::{Options, SqliteStore};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(format!("{name}.db"))
    }
}

#[async_trait]
impl Place for Folder {
    async fn open(&self, name: &str, tables: &[&'static Table]) -> Result<Arc<dyn Store>, StoreError> {
        let store = SqliteStore::open(&self.file(name), tables, Options::default())?;
        Ok(Arc::new(store))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance() {
    conformance::run(&Folder::new()).await;
}
