//! Copies of the journal for a backup: what was acknowledged before is in them, whatever the log does meanwhile.

use super::*;
use ferrohub_messaging_local::snapshot::{Snapshot, is_part};
use std::collections::BTreeMap;

type Files = BTreeMap<String, Vec<u8>>;

fn copied(snapshot: &Snapshot, disk: &ForgetfulDisk, mut between: impl FnMut(usize)) -> Files {
    let mut files = Files::new();
    snapshot
        .copy(disk, &mut |name, length, content| {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes.len() as u64, length, "{name}");
            assert!(is_part(name), "{name}");
            files.insert(name.to_owned(), bytes);
            between(files.len());
            Ok(())
        })
        .unwrap();
    files
}

/// A disk with just these files.
fn laid(files: &Files) -> ForgetfulDisk {
    let disk = ForgetfulDisk::new();
    disk.create_dir(dir()).unwrap();
    for (name, bytes) in files {
        let file = disk.create(&dir().join(name)).unwrap();
        file.append(bytes).unwrap();
        file.sync().unwrap();
    }
    disk.sync_dir(dir()).unwrap();
    disk
}

#[tokio::test]
async fn a_copy_has_what_was_there_and_goes_on() {
    let disk = ForgetfulDisk::new();
    let log = open(&disk).unwrap();
    fill(&log, 0, 40).await;
    let snapshot = Snapshot::take(&disk, dir()).unwrap();
    assert!(snapshot.bytes(&disk).unwrap() > 40 * 500);
    // More comes, in further segments, before and while it is copied.
    fill(&log, 40, 30).await;
    let copy = laid(&copied(&snapshot, &disk, |_| {}));
    assert_eq!(LocalEventLog::check(&copy, dir()).unwrap(), Vec::<String>::new());
    let restored = open(&copy).unwrap();
    assert_filled(&everything(&restored).await.unwrap(), 40);
    fill(&restored, 40, 5).await;
    drop(restored);
    assert_filled(&everything(&open(&copy).unwrap()).await.unwrap(), 45);
}

#[tokio::test]
async fn what_retention_takes_meanwhile_is_missing_from_the_front_only() {
    let disk = ForgetfulDisk::new();
    let log = open(&disk).unwrap();
    fill(&log, 0, 40).await;
    let snapshot = Snapshot::take(&disk, dir()).unwrap();
    // As if retention had come between the look and the copy.
    for number in 0..3 {
        disk.remove(&segments::log_file(number)).unwrap();
    }
    let copy = laid(&copied(&snapshot, &disk, |_| {}));
    assert_eq!(LocalEventLog::check(&copy, dir()).unwrap(), Vec::<String>::new());
    let restored = open(&copy).unwrap();
    let events = everything(&restored).await.unwrap();
    let first = events.first().unwrap().sequence;
    assert!(first > 0 && events.last().unwrap().sequence == 39);
    assert_eq!(events.len() as u64, 40 - first, "none is missing between");
    // One that is missing between others is no work of retention.
    disk.remove(&segments::log_file(5)).unwrap();
    let error = snapshot.copy(&disk, &mut |_, _, _| Ok(())).unwrap_err();
    assert!(error.context.unwrap_or(error.message).contains("00005.log is missing"));
}

#[tokio::test]
async fn every_moment_of_a_busy_log_gives_a_whole_copy() {
    let disk = ForgetfulDisk::new();
    let log = open(&disk).unwrap();
    for acknowledged in 0..60 {
        fill(&log, acknowledged, 1).await;
        let snapshot = Snapshot::take(&disk, dir()).unwrap();
        let restored = open(&laid(&copied(&snapshot, &disk, |_| {}))).unwrap();
        assert_filled(&everything(&restored).await.unwrap(), acknowledged + 1);
    }
}

#[test]
fn names_of_parts() {
    assert!(is_part("00000000000000000007.log") && is_part("00000000000000000007.hor"));
    for name in ["7.log", "0000000000000000000x.log", "00000000000000000007.tmp", "../00000000000000000007.log", ""] {
        assert!(!is_part(name), "{name}");
    }
}
