//! kill -9: every acknowledged commit is there afterwards.

use super::*;
use ferrohub_store::{Page, Put, UnitOfWork};
use serde_json::json;
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Tells this test that it is the child, and where the file is.
const CHILD: &str = "FERROHUB_TEST_CRASH_STORE";
/// Acknowledged commits after which the child is killed.
const ACKNOWLEDGED: usize = 300;
const ROUNDS: usize = 3;
const TASKS: usize = 16;

static KEPT: Table = Table::new("kept", &[]);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_commits_outlive_kill_minus_nine() {
    if let Some(path) = std::env::var_os(CHILD) {
        commit_for_ever(Path::new(&path)).await;
    }
    let folder = Folder::new();
    let path = folder.file("kept");
    let mut acknowledged = HashSet::new();
    for round in 0..ROUNDS {
        acknowledged.extend(kill_while_committing(&path));
        let store = SqliteStore::open(&path, &[&KEPT], SystemClock::shared(), Options::default()).unwrap();
        let mut found = HashSet::new();
        let mut page = Page::first(1000);
        loop {
            let rows = store.scan(&KEPT, "", page).await.unwrap();
            let Some(last) = rows.last() else { break };
            page = Page::following(last.key.clone(), 1000);
            found.extend(rows.iter().map(|row| row.key.clone()));
        }
        let lost: Vec<_> = acknowledged.difference(&found).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?}");
    }
    assert!(acknowledged.len() >= ROUNDS * ACKNOWLEDGED);
}

fn kill_while_committing(path: &Path) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::acknowledged_commits_outlive_kill_minus_nine", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let acknowledged = output
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("acknowledged ").map(str::to_owned))
        .take(ACKNOWLEDGED)
        .collect();
    child.kill().unwrap();
    child.wait().unwrap();
    acknowledged
}

/// Commits from several tasks and prints each key once it is acknowledged, until killed.
async fn commit_for_ever(path: &Path) -> ! {
    let store = SqliteStore::open(path, &[&KEPT], SystemClock::shared(), Options::default()).unwrap();
    let store = Arc::new(store);
    for task in 0..TASKS {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in 0u64.. {
                let key = format!("{}-{task}-{number}", std::process::id());
                let mut unit = UnitOfWork::new();
                let doc = json!({ "padding": "x".repeat(500) });
                unit.put(Put::new(&KEPT, key.clone(), Vec::new(), &doc).unwrap());
                store.commit(unit).await.unwrap();
                let mut out = std::io::stdout().lock();
                writeln!(out, "acknowledged {key}").unwrap();
                out.flush().unwrap();
            }
        });
    }
    std::future::pending().await
}
