//! The SQLite engine against the Store's contract.

#![expect(clippy::unwrap_used, reason = "a test reports by panicking")]

mod copies;
mod crash;
mod damage;
mod fixtures;
mod folder;

use async_trait::async_trait;
use ferrohub_clock::SystemClock;
use ferrohub_store::conformance::{self, Place};
use ferrohub_store::{Store, StoreError, Table};
use ferrohub_store_sqlite::{Options, SqliteStore};
use futures_util::future::BoxFuture;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

struct Folder {
    folder: TempDir,
    options: Options,
}

impl Folder {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), options: Options::default() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.db"))
    }
}

#[async_trait]
impl Place for Folder {
    async fn open(&self, name: &str, tables: &[&'static Table]) -> Result<Arc<dyn Store>, StoreError> {
        let store = SqliteStore::open(&self.file(name), tables, SystemClock::shared(), self.options.clone())?;
        Ok(Arc::new(store))
    }

    async fn second(
        &self,
        _name: &str,
        _tables: &[&'static Table],
        first: &Arc<dyn Store>,
    ) -> Result<Arc<dyn Store>, StoreError> {
        // One process holds the file.
        Ok(Arc::clone(first))
    }

    async fn together(&self, tasks: Vec<BoxFuture<'static, ()>>) {
        let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conformance() {
    conformance::run(&Folder::new()).await;
}

/// A cache that hardly holds a row evicts all the time; one of nothing shows what the file alone does.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conformance_with_little_memory_and_with_none() {
    for cache_bytes in [4096, 0] {
        let options = Options { cache_bytes, ..Options::default() };
        conformance::run(&Folder { options, ..Folder::new() }).await;
    }
}
