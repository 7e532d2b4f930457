//! Bodies that hold well-formed records must never be taken for the journal's own.

use super::segments::{crc32c_bitwise, log_file, refusal};
use super::*;
use ferrohub_model::random::{Random, SeededRandom};

const SEEDS: u64 = 300;
/// The header of a record, and the length of a segment's start without partitions.
const HEADER: usize = 64;
/// The seed in the first record.
const SEED_AT: std::ops::Range<usize> = 48..56;

/// What a device is assumed to know of the segment's seed. It always knows the layout and all positions.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Knows {
    Nothing,
    Marker,
    Checksum,
    Everything,
}

/// A record with a right checksum under `seed` (upper half: marker, lower half: checksum).
pub(super) fn forged(seed: u64, batch_start: u32, body: &[u8]) -> Vec<u8> {
    let marker = u32::from_le_bytes(*b"FHR1") ^ u32::try_from(seed >> 32).unwrap();
    let mut record = marker.to_le_bytes().to_vec();
    record.extend(u32::try_from(HEADER + body.len()).unwrap().to_le_bytes());
    record.extend([0; 48]);
    record.extend(batch_start.to_le_bytes());
    record.extend([0; 4]);
    record.extend(body);
    let covered = record[..8].iter().chain(&record[12..]);
    let crc = crc32c_bitwise(u32::try_from(seed & 0xffff_ffff).unwrap(), covered);
    record[8..12].copy_from_slice(&crc.to_le_bytes());
    record
}

fn below(random: &SeededRandom, limit: u64) -> u64 {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    u64::from_le_bytes(bytes) % limit
}

/// A body that will lie at `position`, full of records that name batches in it and far behind it. Gives
/// the places of those that are believable: the others' batches start behind themselves.
fn hostile(random: &SeededRandom, position: usize, seed: u64) -> (Vec<u8>, Vec<std::ops::Range<usize>>) {
    let (mut body, mut places) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        let gap = usize::try_from(below(random, 90)).unwrap();
        body.resize(body.len() + gap, b'x');
        let at = position + body.len();
        let own = u32::try_from(at).unwrap();
        let batch_start = match below(random, 4) {
            0 => u32::MAX,
            1 => u32::try_from(position - HEADER + 1).unwrap(),
            _ => own,
        };
        body.extend(forged(seed, batch_start, b"hi"));
        if batch_start != u32::MAX {
            places.push(at..position + body.len());
        }
    }
    (body, places)
}

fn open_large(disk: &ForgetfulDisk) -> Result<LocalEventLog> {
    LocalEventLog::open(Arc::new(disk.clone()), dir(), clock(), Options::default())
}

/// Cuts the power while a hostile body is written; gives how often a forged record outlived it whole
/// in a torn one, and how often the log was refused then.
async fn tear(knows: Knows) -> (u32, u32) {
    let (mut met, mut refused) = (0, 0);
    for seed in 0..SEEDS {
        let random = SeededRandom::new(seed);
        let disk = ForgetfulDisk::new();
        let log = open_large(&disk).unwrap();
        let before = below(&random, 4);
        fill(&log, 0, before).await;
        let written = disk.contents(&log_file(0)).unwrap();
        let real = u64::from_le_bytes(written[SEED_AT].try_into().unwrap());
        let guess = below(&random, u64::MAX) | 1 | 1 << 32;
        let known = match knows {
            Knows::Nothing => [0, guess][usize::try_from(seed % 2).unwrap()],
            Knows::Marker => real ^ (guess & 0xffff_ffff),
            Knows::Checksum => real ^ (guess & !0xffff_ffff),
            Knows::Everything => real,
        };
        let (body, places) = hostile(&random, written.len() + HEADER, known);
        let start = written.len() + HEADER;
        // Half of the record is handed to the disk; what of that outlives the power cut, the seed says.
        disk.die_at(1);
        log.append(vec![event(body.clone())]).await.unwrap_err();
        drop(log);
        let disk = disk.crash(Some(seed));
        let torn = disk.contents(&log_file(0)).unwrap();
        let outlived = places.into_iter().any(|place| {
            let sent = &body[place.start - start..place.end - start];
            torn.get(place) == Some(sent)
        });
        met += u32::from(outlived);
        match open_large(&disk) {
            Ok(log) => {
                let found = everything(&log).await.unwrap();
                assert_filled(&found, before);
                assert_eq!(append(&log, "on").await.unwrap().sequence, before, "seed {seed}");
            }
            Err(error) => {
                assert!(outlived && knows == Knows::Everything, "seed {seed}, knows {knows:?}: {error:?}");
                refused += 1;
            }
        }
    }
    (met, refused)
}

#[tokio::test]
async fn forged_records_behind_a_torn_tail_are_bytes() {
    for knows in [Knows::Nothing, Knows::Marker, Knows::Checksum] {
        let (met, refused) = tear(knows).await;
        assert!(met > 100 && refused == 0, "{knows:?}: met {met}, refused {refused}");
    }
    // The forgeries are good ones: with the whole seed each would be believed.
    let (met, refused) = tear(Knows::Everything).await;
    assert!(met > 100 && refused == met, "met {met}, refused {refused}");
}

#[tokio::test]
async fn acknowledged_damage_is_found_among_forged_records() {
    for seed in 0..SEEDS {
        let random = SeededRandom::new(seed);
        let disk = ForgetfulDisk::new();
        let log = open_large(&disk).unwrap();
        let mut starts = Vec::new();
        for _ in 0..4 {
            let start = disk.contents(&log_file(0)).unwrap().len();
            starts.push(start);
            let (body, _) = hostile(&random, start + HEADER, 0);
            log.append(vec![event(body), event("second of its batch")]).await.unwrap();
        }
        drop(log);
        let damaged = usize::try_from(below(&random, 3)).unwrap();
        let length = u64::try_from(starts[damaged + 1] - starts[damaged] - HEADER - 19).unwrap();
        disk.damage(&log_file(0), starts[damaged] + usize::try_from(below(&random, length)).unwrap()).unwrap();
        // The batches behind it may have lost their first records as well.
        for start in &starts[damaged + 1..] {
            disk.damage(&log_file(0), start + 70).unwrap();
        }
        let text = refusal(&disk);
        let wanted = format!("is damaged at offset {}", starts[damaged]);
        assert!(text.contains(&wanted), "seed {seed}: {text}");
    }
}

#[tokio::test]
async fn a_damaged_first_record_is_damage_once_there_were_events() {
    for at in 0..HEADER {
        let disk = ForgetfulDisk::new();
        drop(open(&disk).unwrap());
        disk.damage(&log_file(0), at).unwrap();
        // Nothing was stored: begun again, whatever the byte was.
        let log = open(&disk).unwrap();
        fill(&log, 0, 1).await;
        drop(log);
        disk.damage(&log_file(0), at).unwrap();
        let text = refusal(&disk);
        assert!(text.contains("is damaged at offset 0"), "byte {at}: {text}");
    }
}

#[tokio::test]
async fn every_segment_has_a_seed_of_its_own() {
    let disk = ForgetfulDisk::new();
    let log = open(&disk).unwrap();
    fill(&log, 0, 40).await;
    let names = disk.list(dir()).unwrap();
    let segments: Vec<_> = names.iter().filter(|name| name.ends_with(".log")).collect();
    let seeds: std::collections::HashSet<_> =
        segments.iter().map(|name| disk.contents(&dir().join(name)).unwrap()[SEED_AT].to_vec()).collect();
    assert!(segments.len() > 4);
    assert_eq!(seeds.len(), segments.len());
    // With and without its indexes the log is read again.
    drop(log);
    assert_filled(&everything(&open(&disk).unwrap()).await.unwrap(), 40);
    for name in names.iter().filter(|name| name.ends_with(".idx")) {
        disk.remove(&dir().join(name)).unwrap();
    }
    assert_filled(&everything(&open(&disk).unwrap()).await.unwrap(), 40);
}
