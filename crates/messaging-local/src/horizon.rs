//! What retention took: for each partition the first event that is still kept, and the streams that were dropped. And which
//! segments there are, so that one that is missing is seen, be it the first, the last or the only one.
//!
//! A segment holds the events of many streams, and each stream has a retention of its own, so most events are given out no
//! more long before their segment can go. Where that line is stands in a small file beside the segments, written anew
//! under the next number and synced before readers may see the change; the file before it goes afterwards. A crash leaves
//! one of the two whole, so a newest one that is not whole with none before it was damaged by something else.
//!
//! A segment is named here once it stands on the disk and before anything is written to it, and is not named any more before
//! it is removed: a crash leaves at most an empty segment more than is named, or spent ones.
//!
//! Little-endian: magic `FHH2`, CRC-32C of all that follows, first and last segment (8 each), number of partitions (4), then for
//! each stream (16), partition (2), first sequence number kept (8); number of dropped streams (4), then each stream (16). Files
//! with the magic `FHH1` have no segments.

use crate::index::Index;
use crate::record::{Fields, Key};
use crate::segment::{self, remove_if_there};
use crc32c::crc32c;
use ferrohub_messaging::disk::Disk;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use uuid::Uuid;

const MAGIC: [u8; 4] = *b"FHH2";
const MAGIC_WITHOUT_SEGMENTS: [u8; 4] = *b"FHH1";
/// What the names of these files end in.
pub(crate) const ENDING: &str = ".hor";

/// The lines, as they stand on the disk under `number`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Horizons {
    number: u64,
    /// The first and the last segment.
    segments: Option<(u64, u64)>,
    first_kept: BTreeMap<Key, u64>,
    dropped: BTreeSet<Uuid>,
}

impl Horizons {
    /// The newest whole file among `names`.
    ///
    /// # Errors
    /// Of the file system; a sentence when the only file is damaged.
    pub(crate) fn load(disk: &dyn Disk, dir: &Path, names: &[String]) -> io::Result<Self> {
        let (newest, others) = Self::newest(disk, dir, names)?;
        if !others.is_empty() {
            // A process that ended before its sync leaves what looks whole and is not on the disk.
            let file = disk.open(&path(dir, newest.number))?;
            let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
            let count = file.read_at(0, &mut bytes)?;
            file.rewrite(0, &bytes[..count])?;
            file.sync()?;
            disk.sync_dir(dir)?;
            others.iter().try_for_each(|older| remove_if_there(disk, &path(dir, *older)))?;
        }
        Ok(newest)
    }

    /// The newest whole file among `names`, and the numbers of those before it.
    ///
    /// # Errors
    /// As [`Horizons::load`].
    pub(crate) fn newest(disk: &dyn Disk, dir: &Path, names: &[String]) -> io::Result<(Self, Vec<u64>)> {
        let numbers: BTreeSet<u64> = names.iter().filter_map(|name| segment::number(name, ENDING)).collect();
        for number in numbers.iter().rev().copied() {
            let file = disk.open(&path(dir, number))?;
            let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
            let count = file.read_at(0, &mut bytes)?;
            match decode(number, &bytes[..count]) {
                Ok(horizons) => {
                    return Ok((horizons, numbers.range(..number).copied().collect()));
                }
                Err(what) => tracing::warn!(number, what, "what retention took is read from an older file"),
            }
        }
        match numbers.last() {
            // The first one may have been torn when the log was made.
            None | Some(1) => Ok((Self::default(), Vec::new())),
            Some(number) => Err(io::Error::other(format!(
                "{} is damaged, and with it what says which segments there are; restore the folder from a backup",
                path(dir, *number).display()
            ))),
        }
    }

    /// The first and the last segment, where that is known.
    pub(crate) const fn segments(&self) -> Option<(u64, u64)> {
        self.segments
    }

    /// Name and content of the file for a copy of the log that has the segments from `first` to `last`. It is never the first
    /// of its numbers, so that damage is told from what a crash left.
    pub(crate) fn copy(&self, first: u64, last: u64) -> (String, Vec<u8>) {
        let copy = Self { segments: Some((first, last)), ..self.clone() };
        (format!("{:020}{ENDING}", self.number.max(2)), copy.encode())
    }

    /// Makes durable which segments there are, unless that is so already.
    pub(crate) fn name_segments(&mut self, disk: &dyn Disk, dir: &Path, first: u64, last: u64) -> io::Result<()> {
        if self.segments == Some((first, last)) {
            return Ok(());
        }
        let mut next = Self { segments: Some((first, last)), ..self.clone() };
        // From the second file on a damaged one is told from one that was torn by a crash.
        let times = if next.number == 0 { 2 } else { 1 };
        (0..times).try_for_each(|_| next.save(disk, dir))?;
        *self = next;
        Ok(())
    }

    /// Moves lines; they never move back. Says whether one moved.
    pub(crate) fn take(&mut self, marks: &[(Key, u64)]) -> bool {
        let mut moved = false;
        for (key, first) in marks {
            let line = self.first_kept.entry(*key).or_default();
            moved |= *first > *line;
            *line = (*line).max(*first);
        }
        moved
    }

    /// Drops a stream. Says whether it was there.
    pub(crate) fn drop_stream(&mut self, stream: Uuid) -> bool {
        self.first_kept.retain(|(of, _), _| *of != stream);
        self.dropped.insert(stream)
    }

    /// Makes the lines durable.
    pub(crate) fn save(&mut self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        let before = path(dir, self.number);
        self.number += 1;
        // What a failed try left.
        remove_if_there(disk, &path(dir, self.number))?;
        let file = disk.create(&path(dir, self.number))?;
        file.append(&self.encode())?;
        file.sync()?;
        disk.sync_dir(dir)?;
        remove_if_there(disk, &before)
    }

    /// Draws the lines in what was read from the segments, and forgets those of streams that no segment knows any more.
    pub(crate) fn apply(&mut self, index: &mut Index) {
        self.dropped.retain(|stream| index.knows(*stream));
        self.first_kept.retain(|key, _| index.partitions.contains_key(key));
        for (key, first) in &self.first_kept {
            index.keep_from(*key, *first);
        }
        for stream in &self.dropped {
            index.drop_stream(*stream);
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[0; 4]);
        let (first, last) = self.segments.unwrap_or_default();
        out.extend_from_slice(&first.to_le_bytes());
        out.extend_from_slice(&last.to_le_bytes());
        out.extend_from_slice(&(self.first_kept.len() as u32).to_le_bytes());
        for ((stream, partition), first) in &self.first_kept {
            out.extend_from_slice(stream.as_bytes());
            out.extend_from_slice(&partition.to_le_bytes());
            out.extend_from_slice(&first.to_le_bytes());
        }
        out.extend_from_slice(&(self.dropped.len() as u32).to_le_bytes());
        for stream in &self.dropped {
            out.extend_from_slice(stream.as_bytes());
        }
        let crc = crc32c(&out[8..]);
        out[4..8].copy_from_slice(&crc.to_le_bytes());
        out
    }
}

fn decode(number: u64, bytes: &[u8]) -> Result<Horizons, &'static str> {
    let mut fields = Fields(bytes);
    let magic = fields.take::<4>()?;
    if magic != MAGIC && magic != MAGIC_WITHOUT_SEGMENTS {
        return Err("no such file starts here");
    }
    if u32::from_le_bytes(fields.take()?) != crc32c(&bytes[8..]) {
        return Err("the checksum does not match");
    }
    let mut horizons = Horizons { number, ..Horizons::default() };
    if magic == MAGIC {
        horizons.segments = Some((u64::from_le_bytes(fields.take()?), u64::from_le_bytes(fields.take()?)));
    }
    for _ in 0..u32::from_le_bytes(fields.take()?) {
        let stream = Uuid::from_bytes(fields.take()?);
        let partition = u16::from_le_bytes(fields.take()?);
        horizons.first_kept.insert((stream, partition), u64::from_le_bytes(fields.take()?));
    }
    for _ in 0..u32::from_le_bytes(fields.take()?) {
        horizons.dropped.insert(Uuid::from_bytes(fields.take()?));
    }
    if fields.0.is_empty() { Ok(horizons) } else { Err("something lies behind its end") }
}

fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}{ENDING}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_written_and_damage_is_noticed() {
        let (hub, gone) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut horizons = Horizons { number: 3, segments: Some((4, 9)), ..Horizons::default() };
        assert!(horizons.take(&[((hub, 0), 7), ((hub, 9), 1), ((gone, 0), 4)]));
        assert!(!horizons.take(&[((hub, 0), 6)]), "never back");
        assert!(horizons.drop_stream(gone));
        assert!(!horizons.drop_stream(gone));
        let bytes = horizons.encode();
        assert_eq!(decode(3, &bytes), Ok(horizons));
        for at in 0..bytes.len() {
            assert!(decode(3, &bytes[..at]).is_err(), "cut at {at}");
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(decode(3, &damaged).is_err(), "damaged at {at}");
        }
    }
}
