//! kill -9: every acknowledged event is there afterwards.

use super::*;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// Tells this test that it is the child, and where the log is.
const CHILD: &str = "FERROHUB_TEST_CRASH_LOG";
/// Acknowledged events after which the child is killed.
const ACKNOWLEDGED: usize = 500;
const ROUNDS: usize = 3;
const TASKS: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_events_outlive_kill_minus_nine() {
    if let Some(dir) = std::env::var_os(CHILD) {
        append_for_ever(Path::new(&dir)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged: HashMap<u64, String> = HashMap::new();
    for round in 0..ROUNDS {
        for (sequence, body) in kill_while_appending(folder.path()) {
            let before = acknowledged.insert(sequence, body);
            assert_eq!(before, None, "round {round}: sequence {sequence} was given twice");
        }
        let log = open_real(folder.path());
        let found = everything(&log).await.unwrap();
        for (number, event) in found.iter().enumerate() {
            assert_eq!(event.sequence, number as u64, "round {round}");
        }
        for (sequence, body) in &acknowledged {
            let event = found.get(usize::try_from(*sequence).unwrap());
            assert_eq!(event.map(|event| event.body.as_ref()), Some(body.as_bytes()), "round {round}");
        }
    }
    assert!(acknowledged.len() >= ROUNDS * ACKNOWLEDGED);
}

fn open_real(dir: &Path) -> LocalEventLog {
    let options = Options { segment_bytes: 64 * 1024, ..Options::default() };
    LocalEventLog::open(Arc::new(RealDisk), dir, SystemClock::shared(), options).unwrap()
}

fn kill_while_appending(dir: &Path) -> Vec<(u64, String)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::acknowledged_events_outlive_kill_minus_nine", "--nocapture"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let acknowledged = output
        .lines()
        .map_while(std::result::Result::ok)
        .filter_map(|line| {
            let (sequence, body) = line.strip_prefix("acknowledged ")?.split_once(' ')?;
            Some((sequence.parse().ok()?, body.to_owned()))
        })
        .take(ACKNOWLEDGED)
        .collect();
    child.kill().unwrap();
    child.wait().unwrap();
    acknowledged
}

/// Appends from several tasks and prints each event once it is acknowledged, until killed.
async fn append_for_ever(dir: &Path) -> ! {
    let log = Arc::new(open_real(dir));
    for task in 0..TASKS {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            for number in 0u64.. {
                let body = format!("{}-{task}-{number:0200}", std::process::id());
                let position = append(&log, &body).await.unwrap();
                let mut out = std::io::stdout().lock();
                writeln!(out, "acknowledged {} {body}", position.sequence).unwrap();
                out.flush().unwrap();
            }
        });
    }
    std::future::pending().await
}
