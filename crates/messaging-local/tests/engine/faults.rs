//! A disk that fails, and one that is slow.

use super::*;
use ferrohub_messaging::disk::DiskFile;
use ferrohub_model::error::ErrorKind;
use ferrohub_model::limits;
use futures_util::future::join_all;
use std::io;
use std::sync::{Mutex, PoisonError};

#[tokio::test]
async fn a_failed_sync_ends_the_log_until_it_is_opened_again() {
    let disk = ForgetfulDisk::new();
    let log = open(&disk).unwrap();
    append(&log, "kept").await.unwrap();
    disk.fail_at(2);
    let error = append(&log, "lost").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Internal);
    for _ in 0..3 {
        let error = append(&log, "refused").await.unwrap_err();
        assert!(error.message.contains("check the disk and restart"), "{error}");
    }
    assert!(log.expire(HUB, 0).await.is_err());
    let found = everything(&log).await.unwrap();
    assert_eq!(found.len(), 1, "what was synced is still read, nothing else is");
    assert!(log.close().await.is_err());
    drop(log);
    let log = open(&disk.crash(None)).unwrap();
    assert_eq!(append(&log, "again").await.unwrap().sequence, 1);
}

#[tokio::test]
async fn a_failed_append_is_undone() {
    let disk = ForgetfulDisk::new();
    let log = open(&disk).unwrap();
    append(&log, "one").await.unwrap();
    disk.fail_at(1);
    append(&log, "torn").await.unwrap_err();
    assert_eq!(append(&log, "two").await.unwrap().sequence, 1);
    drop(log);
    let log = open(&disk.crash(None)).unwrap();
    let found = everything(&log).await.unwrap();
    let bodies: Vec<&[u8]> = found.iter().map(|event| event.body.as_ref()).collect();
    assert_eq!(bodies, [&b"one"[..], b"two"]);
}

/// Every operation in turn fails once, while segments come and go; then the power is cut. Whatever
/// was acknowledged is there.
#[tokio::test]
async fn any_single_failure_loses_nothing_acknowledged() {
    let mut failures = 0;
    for operation in 1..120 {
        let disk = ForgetfulDisk::new();
        let log = open(&disk).unwrap();
        disk.fail_at(operation);
        let mut acknowledged = Vec::new();
        for number in 0..40 {
            // Short ones fit where a long one needed a new segment.
            let body = format!("{number:00$}", if number % 3 == 0 { 700 } else { 20 });
            match append(&log, &body).await {
                Ok(position) => acknowledged.push((position.sequence, body)),
                Err(_) => failures += 1,
            }
            if number == 30 && log.expire(HUB, i64::MIN + 1).await.is_err() {
                failures += 1;
            }
        }
        drop(log);
        for seed in 0..6 {
            verify_after_power_cut(&disk, operation * 10 + seed, &acknowledged).await;
        }
    }
    assert!(failures > 60, "only {failures} failures were met");
}

/// A segment that could not be begun may come back after a power cut and must not make the torn end
/// of the one before it look like damage.
#[tokio::test]
async fn a_segment_that_could_not_be_begun_does_no_harm() {
    let long = "x".repeat(700);
    let mut refused = 0;
    for operation in 1..12 {
        let disk = ForgetfulDisk::new();
        let log = open(&disk).unwrap();
        let mut acknowledged = Vec::new();
        for _ in 0..5 {
            acknowledged.push((append(&log, &long).await.unwrap().sequence, long.clone()));
        }
        disk.fail_at(operation);
        for body in [long.as_str(), "short", "shorter"] {
            match append(&log, body).await {
                Ok(position) => acknowledged.push((position.sequence, body.to_owned())),
                Err(_) => refused += 1,
            }
        }
        disk.die_at(1);
        append(&log, "torn").await.unwrap_err();
        drop(log);
        for seed in 0..20 {
            verify_after_power_cut(&disk, operation * 100 + seed, &acknowledged).await;
        }
    }
    assert!(refused >= 6, "only {refused} appends met the failure");
}

async fn verify_after_power_cut(disk: &ForgetfulDisk, seed: u64, acknowledged: &[(u64, String)]) {
    let log = open(&disk.crash(Some(seed)));
    let log = log.unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
    let found = everything(&log).await.unwrap();
    for (sequence, body) in acknowledged {
        let event = found.get(usize::try_from(*sequence).unwrap());
        let event = event.map(|event| (event.sequence, event.body.as_ref()));
        assert_eq!(event, Some((*sequence, body.as_bytes())), "seed {seed}");
    }
}

/// A disk whose syncs wait while the gate is held, and that may be full: for what is appended, or only found out by a sync.
#[derive(Clone, Default)]
struct Gated(ForgetfulDisk, Arc<Mutex<()>>, Arc<Mutex<Room>>);

#[derive(Clone, Copy, Default, PartialEq)]
enum Room {
    #[default]
    Free,
    NoneForAppends,
    /// None as long as the log keeps its reserve.
    OnlyTheReserve,
    /// Only what is longer than this many bytes finds none.
    NoneForSyncs(u64),
}

struct GatedFile(Arc<dyn DiskFile>, Gated);

impl Gated {
    fn wrap(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(GatedFile(file, self.clone()))
    }
    fn has_room(&self) -> bool {
        match self.room() {
            Room::NoneForAppends => false,
            Room::OnlyTheReserve => !self.0.list(dir()).unwrap_or_default().iter().any(|name| name == "reserve"),
            Room::Free | Room::NoneForSyncs(_) => true,
        }
    }
    fn room(&self) -> Room {
        *self.2.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn set(&self, room: Room) {
        *self.2.lock().unwrap_or_else(PoisonError::into_inner) = room;
    }
}

impl Disk for Gated {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.create_dir(dir)
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(self.0.create(path)?))
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(self.0.open(path)?))
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.0.list(dir)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.sync_dir(dir)
    }
}

impl DiskFile for GatedFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        if !self.1.has_room() {
            self.0.append(&bytes[..bytes.len() / 2])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.append(bytes)
    }
    fn rewrite(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.rewrite(position, bytes)
    }
    fn sync(&self) -> io::Result<()> {
        let _gate = self.1.1.lock().unwrap_or_else(PoisonError::into_inner);
        if let Room::NoneForSyncs(most) = self.1.room()
            && self.0.len()? > most
        {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.sync()
    }
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(position, buffer)
    }
    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.truncate(length)
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_nothing_before_its_sync() {
    let disk = Gated::default();
    let log = LocalEventLog::open(Arc::new(disk.clone()), dir(), clock(), SMALL).unwrap();
    let log = Arc::new(log);
    let (hold, holding) = tokio::sync::oneshot::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let gate = Arc::clone(&disk.1);
    let holder = std::thread::spawn(move || {
        let _gate = gate.lock().unwrap_or_else(PoisonError::into_inner);
        hold.send(()).unwrap();
        let _ = released.recv();
    });
    holding.await.unwrap();
    let before = disk.0.operations();
    let appending = tokio::spawn({
        let log = Arc::clone(&log);
        async move { append(&log, "unsynced").await }
    });
    while disk.0.operations() == before {
        tokio::task::yield_now().await;
    }
    assert!(everything(&log).await.unwrap().is_empty());
    assert_eq!(log.bounds(HUB, 0).await.unwrap(), None);
    assert!(!appending.is_finished());

    // Meanwhile the queue fills up, and says so.
    let body = Bytes::from(vec![7; limits::LOG_RECORD_BYTES - 1024]);
    let more = limits::LOG_QUEUE_BYTES / body.len() + 8;
    let waiting = join_all((0..more).map(|_| log.append(vec![event(body.clone())])));
    let open_gate = async { release.send(()).unwrap() };
    let (results, ()) = tokio::join!(waiting, open_gate);
    let refused = results.iter().filter_map(|result| result.as_ref().err());
    let kinds: Vec<ErrorKind> = refused.map(|error| error.kind).collect();
    assert!(!kinds.is_empty() && kinds.iter().all(|kind| *kind == ErrorKind::Unavailable));
    assert_eq!(appending.await.unwrap().unwrap().sequence, 0);
    let last = log.bounds(HUB, 0).await.unwrap().unwrap().last_sequence;
    assert_eq!(last, (more - kinds.len()) as u64, "what was not refused is there");
    holder.join().unwrap();
}

#[tokio::test]
async fn retention_frees_segments_of_a_full_disk_with_the_room_that_was_kept() {
    let disk = Gated::default();
    let log = LocalEventLog::open(Arc::new(disk.clone()), dir(), clock(), SMALL).unwrap();
    for number in 0..20 {
        append(&log, &format!("{number} {}", "x".repeat(1000))).await.unwrap();
    }
    let segments = || disk.0.list(dir()).unwrap().iter().filter(|name| name.ends_with(".log")).count();
    let before = segments();
    assert!(before > 3, "{before} segments");
    disk.set(Room::OnlyTheReserve);
    let refused = append(&log, "more").await.unwrap_err();
    assert!(refused.message.contains("disk of the event log is full"), "{refused}");

    // The reserve makes way for the file that says what goes.
    let freed = log.expire(HUB, i64::MAX).await.unwrap();
    assert!(freed as usize >= before - 1 && segments() <= 2, "{freed} of {before}");
    assert!(everything(&log).await.unwrap().is_empty());
    append(&log, "after").await.unwrap();
    disk.set(Room::Free);
    log.expire(HUB, 0).await.unwrap();
    assert!(disk.0.list(dir()).unwrap().iter().any(|name| name == "reserve"), "room is kept again");
    drop(log);
    let log = open(&disk.0.crash(None)).unwrap();
    let bodies: Vec<Bytes> = everything(&log).await.unwrap().into_iter().map(|event| event.body).collect();
    assert_eq!(bodies, ["after"]);
}

#[tokio::test]
async fn a_full_disk_refuses_and_what_comes_after_it_is_stored_without_a_restart() {
    let disk = Gated::default();
    let log = LocalEventLog::open(Arc::new(disk.clone()), dir(), clock(), SMALL).unwrap();
    append(&log, "before").await.unwrap();
    log.ready().await.unwrap();
    let length = disk.0.open(&dir().join("00000000000000000000.log")).unwrap().len().unwrap();
    for (number, room) in [Room::NoneForAppends, Room::NoneForSyncs(length + 200)].into_iter().enumerate() {
        disk.set(room);
        for body in [String::from("x").repeat(300), "x".repeat(5000)] {
            let refused = append(&log, &body).await.unwrap_err();
            assert_eq!(refused.kind, ErrorKind::Unavailable, "{refused}");
            assert!(refused.message.contains("disk of the event log is full"), "{refused}");
        }
        assert_eq!(log.ready().await.unwrap_err().kind, ErrorKind::Unavailable);
        assert_eq!(everything(&log).await.unwrap().len(), 1 + number, "reading goes on");
        disk.set(Room::Free);
        log.ready().await.unwrap();
        append(&log, "after").await.unwrap();
    }
    drop(log);
    let left = disk.0.list(dir()).unwrap();
    assert!(left.iter().all(|name| !name.contains("probe")), "{left:?}");
    let log = open(&disk.0.crash(None)).unwrap();
    let bodies: Vec<Bytes> = everything(&log).await.unwrap().into_iter().map(|event| event.body).collect();
    assert_eq!(bodies, ["before", "after", "after"]);
}
