//! Names of the files, and walking through a segment's records.

use crate::index::{Positions, Run};
use crate::record::{self, Head, Key, Kind};
use crate::seal::Seal;
use ferrohub_messaging::disk::Disk;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Path of a segment's records.
pub(crate) fn records_path(dir: &Path, segment: u64) -> PathBuf {
    dir.join(format!("{segment:020}.log"))
}

/// Path of a sealed segment's index.
pub(crate) fn sidecar_path(dir: &Path, segment: u64) -> PathBuf {
    dir.join(format!("{segment:020}.idx"))
}

/// The segment of a file name with this ending.
pub(crate) fn number(name: &str, ending: &str) -> Option<u64> {
    name.strip_suffix(ending)?.parse().ok()
}

/// What a walk through a segment found.
#[derive(Debug)]
pub(crate) struct Walk {
    /// What all records behind the first are sealed with.
    pub(crate) seal: Seal,
    /// What partitions had reached when the segment began.
    pub(crate) heads: Vec<(Key, Head)>,
    /// Events by partition.
    pub(crate) runs: BTreeMap<Key, Run>,
    /// Where the good records end.
    pub(crate) end: usize,
    /// Where the batch of the last good record starts.
    pub(crate) batch_start: usize,
    /// Why the walk stopped before the end of the file.
    pub(crate) damage: Option<&'static str>,
    /// The journal's format when it is not this program's.
    pub(crate) other_format: Option<u64>,
}

/// Walks through the records of `segment`, up to the first that is not whole.
pub(crate) fn walk(segment: u64, bytes: &[u8]) -> Walk {
    let mut walk = Walk {
        seal: Seal::OPEN,
        heads: Vec::new(),
        runs: BTreeMap::new(),
        end: 0,
        batch_start: 0,
        damage: None,
        other_format: None,
    };
    while walk.end < bytes.len() {
        if let Err(damage) = step(&mut walk, segment, bytes) {
            walk.damage = Some(damage);
            break;
        }
    }
    if walk.end == 0 && walk.damage.is_none() {
        walk.damage = Some("the file is empty");
    }
    walk
}

fn step(walk: &mut Walk, segment: u64, bytes: &[u8]) -> Result<(), &'static str> {
    let record = record::decode(walk.seal, &bytes[walk.end..])?;
    let header = &record.header;
    if walk.end == 0 && header.kind != Kind::Heads {
        return Err("the segment does not begin with its heads");
    }
    match header.kind {
        Kind::Heads => {
            if header.sequence != segment {
                return Err("the records are those of another segment");
            }
            if header.offset != record::FORMAT {
                walk.other_format = Some(header.offset);
                return Err("the journal has another format");
            }
            walk.seal = header.seal();
            walk.heads.extend(record::decode_heads(record.body)?);
        }
        Kind::Event => {
            let position = u32::try_from(walk.end).map_err(|_| "the segment is too long")?;
            let run = walk.runs.entry(header.key).or_insert_with(|| Run {
                segment,
                first_sequence: header.sequence,
                count: 0,
                head: Head::EMPTY,
                positions: Positions::Memory(Vec::new()),
            });
            if header.sequence != run.first_sequence + u64::from(run.count) {
                return Err("the sequence number does not follow the one before");
            }
            run.push(position, Head::after(header, record.length()));
        }
    }
    if header.batch_start as usize > walk.end {
        return Err("the record's batch starts behind it");
    }
    walk.batch_start = header.batch_start as usize;
    walk.end += record.length();
    Ok(())
}

/// Whether the damage at which the walk ended lies before bytes that had been synced earlier, so that
/// it cannot be the torn tail of the last batch: some record behind it names a batch that starts
/// between the damage and itself. One such record is evidence enough, because only this program can
/// have sealed it; that its batch be whole is not asked for, or damage before a torn batch would be
/// cut off as if it were one with it.
pub(crate) fn synced_behind(bytes: &[u8], walk: &Walk) -> bool {
    let marker = walk.seal.marker();
    let mut at = walk.end;
    while let Some(found) = bytes[at..].windows(marker.len()).position(|window| window == marker) {
        at += found;
        if let Ok(record) = record::decode(walk.seal, &bytes[at..]) {
            let batch_start = record.header.batch_start as usize;
            if walk.end < batch_start && batch_start <= at {
                return true;
            }
        }
        at += 1;
    }
    false
}

/// Removes a file that may be gone already.
pub(crate) fn remove_if_there(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
