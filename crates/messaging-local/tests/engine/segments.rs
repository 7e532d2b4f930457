//! Segments: their indexes, damage in them, and what a start makes of it.

use super::*;
use std::time::Duration;

pub(super) fn log_file(number: u64) -> PathBuf {
    dir().join(format!("{number:020}.log"))
}

fn index_file(number: u64) -> PathBuf {
    dir().join(format!("{number:020}.idx"))
}

/// A disk with events 0 to 39 in several segments.
async fn filled() -> ForgetfulDisk {
    let disk = ForgetfulDisk::new();
    let log = open(&disk).unwrap();
    fill(&log, 0, 40).await;
    assert!(disk.list(dir()).unwrap().len() > 8);
    disk
}

pub(super) fn refusal(disk: &ForgetfulDisk) -> String {
    match open(disk) {
        Ok(_) => String::new(),
        Err(error) => error.message,
    }
}

#[tokio::test]
async fn reads_cross_segments_from_any_start() {
    let disk = filled().await;
    let log = open(&disk).unwrap();
    assert_filled(&everything(&log).await.unwrap(), 40);
    for from in 0..40 {
        let found = log.read(HUB, 0, ReadFrom::Sequence(from), 9, usize::MAX);
        let found: Vec<u64> = found.await.unwrap().iter().map(|event| event.sequence).collect();
        assert_eq!(found, (from..40.min(from + 9)).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_missing_torn_or_stale_index_is_made_again() {
    let disk = filled().await;
    let good = disk.contents(&index_file(1)).unwrap();
    disk.remove(&index_file(0)).unwrap();
    disk.damage(&index_file(1), good.len() - 1).unwrap();
    disk.open(&index_file(2)).unwrap().truncate(10).unwrap();
    let other = disk.contents(&index_file(3)).unwrap();
    let stale = disk.open(&index_file(4)).unwrap();
    stale.truncate(0).unwrap();
    stale.append(&other[..other.len() - 4]).unwrap();
    let log = open(&disk).unwrap();
    assert_filled(&everything(&log).await.unwrap(), 40);
    assert_eq!(disk.contents(&index_file(1)).unwrap(), good);
    drop(log);
    let before = disk.operations();
    drop(open(&disk).unwrap());
    let operations = disk.operations() - before;
    assert_eq!(operations, 3, "a second start only syncs the last batch");
}

#[tokio::test]
async fn damage_in_a_sealed_segment_names_file_and_offset() {
    let disk = filled().await;
    disk.damage(&log_file(1), 700).unwrap();
    // The index still vouches for the segment: the damage shows when the record is read.
    let log = open(&disk).unwrap();
    let error = everything(&log).await.unwrap_err();
    let context = error.context.unwrap();
    assert!(context.contains("00001.log at offset 678"), "{context}");
    drop(log);
    // Without its index the segment is read when the log is opened.
    disk.remove(&index_file(1)).unwrap();
    let text = refusal(&disk);
    assert!(text.contains("00001.log is damaged at offset 678"), "{text}");
}

#[tokio::test]
async fn a_torn_tail_is_cut_but_acknowledged_damage_is_not() {
    let disk = ForgetfulDisk::new();
    let log = open(&disk).unwrap();
    fill(&log, 0, 3).await;
    drop(log);
    let whole = disk.contents(&log_file(0)).unwrap();

    // Half a record, or one with a hole, at the end: the batch was never acknowledged.
    let file = disk.open(&log_file(0)).unwrap();
    file.append(&whole[64..64 + 300]).unwrap();
    let log = open(&disk).unwrap();
    assert_filled(&everything(&log).await.unwrap(), 3);
    fill(&log, 3, 1).await;
    drop(log);

    // A bad record before a batch that was written later: it had been acknowledged.
    let second = 64 + 564 + 100;
    disk.damage(&log_file(0), second).unwrap();
    let text = refusal(&disk);
    assert!(text.contains("00000.log is damaged at offset 628"), "{text}");
}

/// The power fails in the first batch of a segment, and once more while the start repairs that.
#[tokio::test]
async fn a_segment_with_nothing_but_a_torn_batch_outlives_a_power_cut_in_its_repair() {
    /// Length of a record that `fill` makes.
    const RECORD: usize = 564;
    let disk = filled().await;
    let names = disk.list(dir()).unwrap();
    let last = (0..).take_while(|number| names.iter().any(|name| log_file(*number).ends_with(name))).last().unwrap();
    let whole = disk.contents(&log_file(last)).unwrap();
    let (heads, events) = (whole.len() % RECORD, whole.len() / RECORD);
    let file = disk.open(&log_file(last)).unwrap();
    file.truncate(heads as u64).unwrap();
    file.append(&whole[heads..heads + RECORD / 2]).unwrap();
    file.sync().unwrap();
    for operation in 1..12 {
        let cut = disk.crash(None);
        cut.die_at(operation);
        let repaired = open(&cut).is_ok();
        for seed in 0..16 {
            let log = open(&cut.crash(Some(seed))).unwrap_or_else(|error| panic!("{operation} {seed}: {error:?}"));
            assert_filled(&everything(&log).await.unwrap(), 40 - events as u64);
        }
        assert!(repaired || operation < 11, "a repair has an end");
    }
    // Nothing but damage empties a segment that was whole once.
    let disk = disk.crash(None);
    disk.open(&log_file(last)).unwrap().truncate(0).unwrap();
    assert!(refusal(&disk).contains("is damaged at offset 0"), "{}", refusal(&disk));
}

#[tokio::test]
async fn a_missing_segment_and_another_format_are_refused() {
    let disk = filled().await;
    disk.remove(&log_file(2)).unwrap();
    let text = refusal(&disk);
    assert!(text.contains("00002.log is missing"), "{text}");

    for format in [2, 4] {
        let disk = ForgetfulDisk::new();
        drop(open(&disk).unwrap());
        let mut heads = disk.contents(&log_file(0)).unwrap();
        heads[40] = format;
        let crc = crc32c_bitwise(0, heads[..8].iter().chain(&heads[12..]));
        heads[8..12].copy_from_slice(&crc.to_le_bytes());
        let file = disk.open(&log_file(0)).unwrap();
        file.truncate(0).unwrap();
        file.append(&heads).unwrap();
        let text = refusal(&disk);
        assert!(text.contains(&format!("has journal format {format}, this program knows 3")), "{text}");
    }
}

/// An independent way to the same checksum.
pub(super) fn crc32c_bitwise<'a>(seed: u32, bytes: impl Iterator<Item = &'a u8>) -> u32 {
    !bytes.fold(!seed, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0x82F6_3B78 } else { 0 })
    })
}

fn horizons(disk: &ForgetfulDisk) -> Vec<String> {
    disk.list(dir()).unwrap().into_iter().filter(|name| name.ends_with(".hor")).collect()
}

#[tokio::test]
async fn a_segment_that_is_missing_is_named_wherever_it_stood() {
    let whole = ForgetfulDisk::new();
    let log = open(&whole).unwrap();
    fill(&log, 0, 40).await;
    drop(log);
    let names: Vec<String> = whole.list(dir()).unwrap().into_iter().filter(|name| name.ends_with(".log")).collect();
    assert!(names.len() > 3);
    for name in &names {
        let disk = whole.copy();
        disk.remove(&dir().join(name)).unwrap();
        let text = refusal(&disk);
        assert!(text.contains(name) && text.contains("is missing; restore the folder from a backup"), "{text}");
    }
    // All of them, and an only one.
    let disk = whole.copy();
    names.iter().for_each(|name| disk.remove(&dir().join(name)).unwrap());
    assert!(refusal(&disk).contains(&names[0]), "an empty log is not begun in silence");
    let only = ForgetfulDisk::new();
    let log = open(&only).unwrap();
    append(&log, "one").await.unwrap();
    drop(log);
    only.remove(&dir().join(&names[0])).unwrap();
    assert!(refusal(&only).contains(&names[0]));
    // What says which there are is itself held to its checksum; a folder of before has none and gets one.
    let disk = whole.copy();
    disk.damage(&dir().join(&horizons(&disk)[0]), 9).unwrap();
    assert!(refusal(&disk).contains("which segments there are"));
    disk.remove(&dir().join(&horizons(&disk)[0])).unwrap();
    assert_eq!(everything(&open(&disk).unwrap()).await.unwrap().len(), 40);
    disk.remove(&dir().join(names.last().unwrap())).unwrap();
    assert!(refusal(&disk).contains(names.last().unwrap()));
}

#[tokio::test]
async fn expiry_takes_whole_old_segments_and_their_files() {
    let disk = ForgetfulDisk::new();
    let clock = clock();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let log = LocalEventLog::open(shared, dir(), Arc::clone(&clock) as _, SMALL).unwrap();
    fill(&log, 0, 20).await;
    clock.advance(Duration::from_secs(3600));
    fill(&log, 20, 20).await;
    let before = disk.list(dir()).unwrap().len();
    let moment = everything(&log).await.unwrap()[20].enqueued_ms;
    let removed = log.expire(HUB, moment).await.unwrap();
    assert!(removed >= 2);
    assert_eq!(disk.list(dir()).unwrap().len() as u64, before as u64 - 2 * removed);
    assert_eq!(horizons(&disk).len(), 1, "one file says what was taken");
    let left = everything(&log).await.unwrap();
    assert_eq!(left[0].sequence, 20, "nothing older is given out");
    assert_eq!(left.last().map(|event| event.sequence), Some(39));
    assert_eq!(log.expire(HUB, moment).await.unwrap(), 0);
    drop(log);
    assert_eq!(everything(&open(&disk).unwrap()).await.unwrap(), left);
}

/// One journal holds a hub that keeps its events for a day and one that keeps them for a week.
#[tokio::test]
async fn each_stream_has_its_own_retention_in_one_journal() {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let (mut disk, clock, week_hub) = (ForgetfulDisk::new(), clock(), Uuid::from_u128(2));
    let reopen = |disk: &ForgetfulDisk| {
        LocalEventLog::open(Arc::new(disk.clone()), dir(), Arc::clone(&clock) as _, SMALL).unwrap()
    };
    let mut log = reopen(&disk);
    for day in 0..10_u64 {
        for _ in 0..4 {
            let body = Bytes::from(vec![b'x'; 500]);
            let both = [HUB, week_hub].map(|stream| NewEvent { stream, ..event(body.clone()) });
            log.append(both.to_vec()).await.unwrap();
        }
        clock.advance(DAY);
        let now_ms = ferrohub_model::clock::Clock::now(&*clock).as_millisecond();
        for (stream, days) in [(HUB, 1), (week_hub, 7)] {
            log.expire(stream, now_ms - days * DAY.as_millis() as i64).await.unwrap();
        }
        // The power fails in the middle of a batch that nobody was told of.
        disk.die_at(1);
        log.append(vec![event("torn")]).await.unwrap_err();
        drop(log);
        disk = disk.crash(Some(day));
        log = reopen(&disk);
        for (stream, days) in [(HUB, 1), (week_hub, 7)] {
            let bounds = log.bounds(stream, 0).await.unwrap().unwrap();
            let found = log.read(stream, 0, ReadFrom::Beginning, usize::MAX, usize::MAX).await.unwrap();
            let kept = found.iter().filter(|event| event.body != "torn").count() as u64;
            assert_eq!(kept, 4 * (day + 1).min(days), "day {day}, kept for {days}");
            assert_eq!(found[0].sequence, bounds.first_sequence);
        }
    }
    let segments = disk.list(dir()).unwrap().iter().filter(|name| name.ends_with(".log")).count();
    assert!(segments < 7 * 2 + 3, "space comes back: {segments} segments");
    log.drop_stream(week_hub).await.unwrap();
    let left = disk.list(dir()).unwrap().iter().filter(|name| name.ends_with(".log")).count();
    assert!(left <= 4, "only the last day keeps segments: {left}");
}

#[tokio::test]
async fn time_never_falls_when_the_clock_does() {
    let disk = ForgetfulDisk::new();
    let ahead = clock();
    ahead.advance(Duration::from_secs(60));
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let log = LocalEventLog::open(shared, dir(), ahead, SMALL).unwrap();
    let first = append(&log, "ahead").await.unwrap();
    drop(log);
    let log = open(&disk).unwrap();
    let second = append(&log, "back").await.unwrap();
    assert_eq!(second.enqueued_ms, first.enqueued_ms);
    let found = log.read(HUB, 0, ReadFrom::EnqueuedAfter(first.enqueued_ms - 1), 9, 99);
    assert_eq!(found.await.unwrap().len(), 2);
}
