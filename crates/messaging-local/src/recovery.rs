//! Opening the journal: what is believed after a crash, and why.
//!
//! - A sealed segment was synced whole before the next one was begun. A bad record in it is damage
//!   and stops the opening with the file and the offset. Its index file is only a short cut: when it
//!   is missing, torn or stale, the segment is read and the index written again.
//! - The last segment may end in the torn remains of a batch that was never acknowledged; they are
//!   cut off. Each record names the start of its batch, and all before that start had been synced:
//!   so a bad record with a later batch behind it is damage too, not a torn tail. What lies behind a
//!   torn record are bytes that devices chose: only the segment's seal makes one a record.
//! - What was found whole is synced before readers may see it: after `kill -9` it may so far only
//!   be in the machine's memory. The last batch is written again first: if its sync failed, the
//!   kernel shows its bytes but no longer knows that they are not on the disk.
//! - Which segments there are is on the disk (`horizon.rs`), so one that is missing, wherever it stood, means that somebody
//!   else removed a file. What lies before the first was being removed.

use crate::fault;
use crate::horizon::Horizons;
use crate::index::Index;
use crate::record::{self, Head, Key, Kind};
use crate::seal::Seal;
use crate::segment::{self, Walk, records_path, remove_if_there, sidecar_path};
use crate::sidecar::{self, Sealed};
use ferrohub_messaging::disk::{Disk, DiskFile};
use ferrohub_model::error::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The journal as found.
pub(crate) struct Recovered {
    pub(crate) index: Index,
    pub(crate) active: u64,
    pub(crate) last: Last,
    pub(crate) horizons: Horizons,
}

/// The segment that is written to.
pub(crate) struct Last {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) seal: Seal,
    pub(crate) length: u64,
}

/// Opens the journal in `dir`, made when it is not there.
pub(crate) fn open(disk: &dyn Disk, dir: &Path) -> Result<Recovered> {
    let at = |error: io::Error| fault::open(format!("{}: {error}", dir.display()));
    disk.create_dir(dir).map_err(at)?;
    let names = disk.list(dir).map_err(at)?;
    let numbers = |ending| -> BTreeSet<u64> { names.iter().filter_map(|name| segment::number(name, ending)).collect() };
    let (mut segments, sidecars) = (numbers(".log"), numbers(".idx"));
    let mut horizons = Horizons::load(disk, dir, &names).map_err(at)?;
    check_set(disk, dir, &mut segments, horizons.segments())?;
    let Some(active) = segments.pop_last() else {
        let last = start(disk, dir, 0, &[]).map_err(at)?;
        let mut index = Index::default();
        index.add_runs(0, last.seal, BTreeMap::new()).map_err(fault::open)?;
        horizons.name_segments(disk, dir, 0, 0).map_err(at)?;
        horizons.apply(&mut index);
        return Ok(Recovered { index, active: 0, last, horizons });
    };
    // A segment's index without the segment, or beside the one that is written to, is left over.
    for stale in sidecars.difference(&segments) {
        disk.remove(&sidecar_path(dir, *stale)).map_err(at)?;
    }
    let mut index = Index::default();
    for (position, number) in segments.iter().enumerate() {
        let (seal, runs) = sealed(disk, dir, *number, (position == 0).then_some(&mut index))?;
        index.add_runs(*number, seal, runs).map_err(|text| broken_chain(dir, *number, &text))?;
    }
    let named = horizons.segments().is_some_and(|(_, last)| last >= active);
    let last = last(disk, dir, active, Standing { alone: segments.is_empty(), named }, &mut index)?;
    let first = segments.first().copied().unwrap_or(active);
    match horizons.name_segments(disk, dir, first, active) {
        Ok(()) => {}
        // What is there can be read; the next segment is not begun before this is written.
        Err(error) if fault::is_full(&error) => {
            tracing::warn!(%error, "which segments the event log has could not be written");
        }
        Err(error) => return Err(at(error)),
    }
    horizons.apply(&mut index);
    Ok(Recovered { index, active, last, horizons })
}

/// Reads every record of the journal in `dir`, which nobody may have open, and changes nothing; gives what is wrong, a
/// sentence each.
pub(crate) fn check(disk: &dyn Disk, dir: &Path) -> Result<Vec<String>> {
    let at = |error: io::Error| fault::open(format!("{}: {error}", dir.display()));
    let names = disk.list(dir).map_err(at)?;
    let segments: BTreeSet<u64> = names.iter().filter_map(|name| segment::number(name, ".log")).collect();
    let mut faults = Vec::new();
    let named = match Horizons::newest(disk, dir, &names) {
        Ok((horizons, _)) => horizons.segments(),
        Err(error) => {
            faults.push(error.to_string());
            None
        }
    };
    let ends = named.or_else(|| Some((*segments.first()?, *segments.last()?)));
    let missing = ends.into_iter().flat_map(|(first, last)| first..=last).filter(|number| !segments.contains(number));
    faults.extend(missing.map(|number| format!("{} is missing", records_path(dir, number).display())));
    for number in &segments {
        let path = records_path(dir, *number);
        let bytes = disk.open(&path).and_then(|file| read_all(&*file)).map_err(at)?;
        let walk = segment::walk(*number, &bytes);
        let torn = segments.last() == Some(number) && !segment::synced_behind(&bytes, &walk);
        if let Some(what) = walk.damage.filter(|_| !torn) {
            faults.push(format!("{} is damaged at offset {}: {what}", path.display(), walk.end));
        }
    }
    Ok(faults)
}

/// Makes a segment's file, with a seal of its own and its heads, durably.
pub(crate) fn start(disk: &dyn Disk, dir: &Path, number: u64, heads: &[(Key, Head)]) -> io::Result<Last> {
    let path = records_path(dir, number);
    remove_if_there(disk, &path)?;
    let file = disk.create(&path)?;
    let seal = Seal::random();
    let bytes = record::encode_heads(number, seal, heads);
    file.append(&bytes)?;
    file.sync()?;
    disk.sync_dir(dir)?;
    Ok(Last { file, seal, length: bytes.len() as u64 })
}

/// Writes a sealed segment's index; its name becomes durable with the next directory sync.
pub(crate) fn write_sidecar(disk: &dyn Disk, dir: &Path, number: u64, bytes: &[u8]) -> io::Result<()> {
    let path = sidecar_path(dir, number);
    remove_if_there(disk, &path)?;
    let file = disk.create(&path)?;
    file.append(bytes)?;
    file.sync()
}

/// Refuses when one of the segments that are `named` is not there, or one between them; removes those before the first.
fn check_set(disk: &dyn Disk, dir: &Path, segments: &mut BTreeSet<u64>, named: Option<(u64, u64)>) -> Result<()> {
    let ends = (segments.first().copied(), segments.last().copied());
    let (first, last) = match (named, ends) {
        (None, (Some(first), Some(last))) => (first, last),
        (None, _) => return Ok(()),
        (Some((first, last)), (_, highest)) => (first, highest.unwrap_or(last).max(last)),
    };
    for spent in segments.extract_if(..first, |_| true) {
        let removed = remove_if_there(disk, &records_path(dir, spent));
        removed.map_err(|error| fault::open(format!("{}: {error}", records_path(dir, spent).display())))?;
    }
    match (first..=last).find(|number| !segments.contains(number)) {
        None => Ok(()),
        Some(missing) => Err(fault::open(format!(
            "{} is missing; restore the folder from a backup",
            records_path(dir, missing).display()
        ))),
    }
}

/// The seal and the runs of a sealed segment, from its index or from its records. `first` takes the heads of the
/// oldest segment.
fn sealed(disk: &dyn Disk, dir: &Path, number: u64, first: Option<&mut Index>) -> Result<Sealed> {
    let path = records_path(dir, number);
    let at = |error: io::Error| fault::open(format!("{}: {error}", path.display()));
    let file = disk.open(&path).map_err(at)?;
    let length = file.len().map_err(at)?;
    if let Some(index) = first {
        take_heads(index, read_heads(&*file, &path, number)?);
    }
    let reason = match sidecar_of(disk, dir, number, length) {
        Ok(sealed) => return Ok(sealed),
        Err(reason) => reason,
    };
    tracing::info!(segment = number, %reason, "rebuilding the index of a segment of the event log");
    let bytes = read_all(&*file).map_err(at)?;
    let walk = segment::walk(number, &bytes);
    if let Some(what) = walk.damage {
        return Err(damaged(&path, walk.end, what));
    }
    rebuild(disk, dir, number, length, walk)
}

fn sidecar_of(disk: &dyn Disk, dir: &Path, number: u64, length: u64) -> Result<Sealed, String> {
    let file = disk.open(&sidecar_path(dir, number)).map_err(|error| error.to_string())?;
    let bytes = read_all(&*file).map_err(|error| error.to_string())?;
    sidecar::decode(number, length, &bytes).map_err(str::to_owned)
}

fn rebuild(disk: &dyn Disk, dir: &Path, number: u64, length: u64, walk: Walk) -> Result<Sealed> {
    let bytes = sidecar::encode(length, walk.seal, walk.runs.iter());
    let written = write_sidecar(disk, dir, number, &bytes).and_then(|()| disk.sync_dir(dir));
    match written {
        Ok(()) => sidecar::decode(number, length, &bytes).map_err(fault::open),
        Err(error) => {
            tracing::warn!(segment = number, %error, "an index of the event log could not be written");
            Ok((walk.seal, walk.runs))
        }
    }
}

/// What is known of the last segment beside what it says.
#[derive(Clone, Copy)]
struct Standing {
    /// There is no other.
    alone: bool,
    /// It is named as one that is there, so it was synced with all its heads.
    named: bool,
}

/// Walks the last segment, cuts a torn tail and syncs the rest.
fn last(disk: &dyn Disk, dir: &Path, number: u64, standing: Standing, index: &mut Index) -> Result<Last> {
    let Standing { alone, named } = standing;
    let path = records_path(dir, number);
    let at = |error: io::Error| fault::open(format!("{}: {error}", path.display()));
    let file = disk.open(&path).map_err(at)?;
    let bytes = read_all(&*file).map_err(at)?;
    let walk = segment::walk(number, &bytes);
    if let Some(format) = walk.other_format {
        return Err(other_format(&path, format));
    }
    if let Some(what) = walk.damage {
        // Events are written once the heads are synced: a file longer than those had its heads whole.
        let had_heads = bytes.len() > record::heads_length(index.partitions.len());
        let synced = if walk.end == 0 { had_heads } else { segment::synced_behind(&bytes, &walk) };
        if synced {
            return Err(damaged(&path, walk.end, what));
        }
        // The oldest segment alone knows what expired partitions had reached; and one behind it that is named had its heads.
        if (if alone { number > 0 } else { named }) && walk.end == 0 {
            return Err(damaged(&path, 0, what));
        }
        tracing::warn!(file = %path.display(), offset = walk.end, cut = bytes.len() - walk.end,
            "cutting off the torn end of the event log");
        // One that is named must not be away for a moment: the power may fail again.
        if walk.runs.is_empty() && !((alone || named) && walk.end > 0) {
            // The crash came while the segment was begun; older ones know everything it would say.
            let begun = start(disk, dir, number, &index.heads()).map_err(at)?;
            index.add_runs(number, begun.seal, BTreeMap::new()).map_err(fault::open)?;
            return Ok(begun);
        }
        file.truncate(walk.end as u64).map_err(at)?;
    }
    let last_batch = &bytes[walk.batch_start..walk.end];
    file.rewrite(walk.batch_start as u64, last_batch).map_err(at)?;
    file.sync().map_err(at)?;
    disk.sync_dir(dir).map_err(at)?;
    if alone {
        take_heads(index, walk.heads);
    }
    index.add_runs(number, walk.seal, walk.runs).map_err(|text| broken_chain(dir, number, &text))?;
    Ok(Last { file, seal: walk.seal, length: walk.end as u64 })
}

fn take_heads(index: &mut Index, heads: Vec<(Key, Head)>) {
    for (key, head) in heads {
        index.partition(key).head = head;
    }
}

/// The heads at the start of a segment.
fn read_heads(file: &dyn DiskFile, path: &Path, number: u64) -> Result<Vec<(Key, Head)>> {
    let at = |error: io::Error| fault::open(format!("{}: {error}", path.display()));
    let mut heads = Vec::new();
    let mut seal = Seal::OPEN;
    let mut position = 0;
    let mut buffer = vec![0; ferrohub_model::limits::LOG_RECORD_BYTES];
    loop {
        let count = file.read_at(position, &mut buffer).map_err(at)?;
        if count == 0 && position > 0 {
            return Ok(heads);
        }
        let place = usize::try_from(position).unwrap_or(usize::MAX);
        let record = record::decode(seal, &buffer[..count]).map_err(|what| damaged(path, place, what))?;
        if record.header.kind != Kind::Heads {
            return Ok(heads);
        }
        if record.header.offset != record::FORMAT {
            return Err(other_format(path, record.header.offset));
        }
        if record.header.sequence != number {
            return Err(damaged(path, place, "the records are those of another segment"));
        }
        heads.extend(record::decode_heads(record.body).map_err(|what| damaged(path, place, what))?);
        seal = record.header.seal();
        position += record.length() as u64;
    }
}

fn read_all(file: &dyn DiskFile) -> io::Result<Vec<u8>> {
    let length = usize::try_from(file.len()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    let count = file.read_at(0, &mut bytes)?;
    bytes.truncate(count);
    Ok(bytes)
}

fn damaged(path: &Path, offset: usize, what: &str) -> ferrohub_model::error::Error {
    fault::open(format!("{} is damaged at offset {offset}: {what}; restore the folder from a backup", path.display()))
}

fn broken_chain(dir: &Path, number: u64, what: &str) -> ferrohub_model::error::Error {
    fault::open(format!(
        "{} does not continue the segment before it: {what}; restore the folder from a backup",
        records_path(dir, number).display()
    ))
}

fn other_format(path: &Path, format: u64) -> ferrohub_model::error::Error {
    fault::open(format!(
        "{} has journal format {format}, this program knows {}: start the Ferrohub that wrote it, or restore a backup \
         made by this one",
        path.display(),
        record::FORMAT
    ))
}
