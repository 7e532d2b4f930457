//! Names of the files, and walking through a segment's records.

use crate::index::{Positions, Run};
use crate::record::{self, Head, Key, Kind};
use std::collections::BTreeMap;
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
#[derive(Debug, Default)]
pub(crate) struct Walk {
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
    /// The journal's format when it is newer than this program's.
    pub(crate) newer_format: Option<u64>,
}

/// Walks through the records of `segment`, up to the first that is not whole.
pub(crate) fn walk(segment: u64, bytes: &[u8]) -> Walk {
    let mut walk = Walk::default();
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
    let record = record::decode(&bytes[walk.end..])?;
    let header = &record.header;
    if walk.end == 0 && header.kind != Kind::Heads {
        return Err("the segment does not begin with its heads");
    }
    match header.kind {
        Kind::Heads => {
            if header.sequence != segment {
                return Err("the records are those of another segment");
            }
            if header.offset > record::FORMAT {
                walk.newer_format = Some(header.offset);
            }
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

/// Whether the damage at `end` lies before bytes that had been synced earlier, so that it cannot be
/// the torn tail of the last batch: some later record names a batch that starts behind `end`. Gives
/// that record's position.
pub(crate) fn synced_behind(bytes: &[u8], end: usize) -> Option<usize> {
    let mut at = end;
    while let Some(found) = bytes[at..].windows(record::MAGIC.len()).position(|window| window == record::MAGIC) {
        at += found;
        if let Ok(record) = record::decode(&bytes[at..])
            && record.header.batch_start as usize > end
        {
            return Some(at);
        }
        at += 1;
    }
    None
}
