//! Reading events: from the published index to the records.

use crate::fault;
use crate::index::{Places, Stretch};
use crate::log::Shared;
use crate::record::{self, Header, Key, Kind, Record};
use crate::seal::Seal;
use crate::segment::{records_path, sidecar_path};
use bytes::Bytes;
use ferrohub_messaging::disk::DiskFile;
use ferrohub_messaging::{Packed, ReadFrom, StoredEvent};
use ferrohub_model::error::{Error, Result};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Records whose positions are looked up at once.
const STRETCH: usize = 1024;
/// Most bytes that one read of the disk fetches, unless a single record is longer.
const WINDOW: u64 = 256 * 1024;
/// A record this far behind the one before it gets a read of its own.
const GAP: u64 = 16 * 1024;
/// Bytes fetched for a record whose length is not known yet.
const GUESS: u64 = 4 * 1024;

/// Events of a partition. Blocks on the disk.
pub(crate) fn read(
    shared: &Shared,
    key: Key,
    from: ReadFrom,
    max_events: usize,
    max_bytes: usize,
) -> Result<Vec<StoredEvent>> {
    let Some(mut sequence) = locate(shared, key, from)? else {
        return Ok(Vec::new());
    };
    let (mut events, mut bytes) = (Vec::new(), 0usize);
    while events.len() < max_events {
        let most = (max_events - events.len()).min(STRETCH);
        let stretch = shared.published().index.stretch(key, sequence, most);
        let Some(stretch) = stretch else { break };
        sequence = stretch.first_sequence;
        let Some(mut source) = Source::open(shared, stretch)? else {
            // Retention took the segment meanwhile; the index has moved on.
            continue;
        };
        for index in 0..source.positions.len() {
            let record = source.record(index, key, sequence)?;
            debug_assert_eq!(record.header.sequence, sequence, "events of a partition come in order, none left out");
            let size = record.properties.len() + record.body.len();
            bytes = bytes.saturating_add(size);
            if bytes > max_bytes && !events.is_empty() {
                return Ok(events);
            }
            events.push(stored(&record)?);
            sequence += 1;
        }
    }
    Ok(events)
}

/// The sequence number at which a read starts.
pub(crate) fn locate(shared: &Shared, key: Key, from: ReadFrom) -> Result<Option<u64>> {
    match from {
        ReadFrom::Beginning => Ok(Some(0)),
        ReadFrom::Sequence(sequence) => Ok(Some(sequence)),
        ReadFrom::End => Ok(None),
        ReadFrom::OffsetAfter(offset) => {
            let run = {
                let index = &shared.published().index;
                index.run_where(key, |head| head.last_offset > offset)
            };
            search(shared, key, run, |header| header.offset > offset)
        }
        ReadFrom::EnqueuedAfter(moment) => {
            let run = {
                let index = &shared.published().index;
                index.run_where(key, |head| head.last_enqueued_ms > moment)
            };
            search(shared, key, run, |header| header.enqueued_ms > moment)
        }
    }
}

/// The first event of a run that is far enough; the last one of it is.
fn search(
    shared: &Shared,
    key: Key,
    run: Option<(u64, u64)>,
    far_enough: impl Fn(&Header) -> bool,
) -> Result<Option<u64>> {
    let Some((mut low, mut high)) = run else {
        return Ok(None);
    };
    while low < high {
        let middle = low + (high - low) / 2;
        match header_at(shared, key, middle)? {
            Some(header) if far_enough(&header) => high = middle,
            // Not there: retention took it while we searched.
            _ => low = middle + 1,
        }
    }
    Ok(Some(low))
}

fn header_at(shared: &Shared, key: Key, sequence: u64) -> Result<Option<Header>> {
    let stretch = shared.published().index.stretch(key, sequence, 1);
    let Some(stretch) = stretch.filter(|stretch| stretch.first_sequence == sequence) else {
        return Ok(None);
    };
    let Some(mut source) = Source::open(shared, stretch)? else {
        return Ok(None);
    };
    Ok(Some(source.record(0, key, sequence)?.header))
}

fn stored(record: &Record<'_>) -> Result<StoredEvent> {
    let header = &record.header;
    let properties = Packed::unpack(record.properties).map_err(|error| {
        Error::internal(format!(
            "event log: properties of event {} of partition {} of stream {}: {error}",
            header.sequence, header.key.1, header.key.0
        ))
    })?;
    Ok(StoredEvent {
        stream: header.key.0,
        partition: header.key.1,
        sequence: header.sequence,
        offset: header.offset,
        enqueued_ms: header.enqueued_ms,
        body: Bytes::copy_from_slice(record.body),
        properties,
    })
}

/// A segment's file with the positions to read, and a window of its bytes.
struct Source {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    seal: Seal,
    positions: Vec<u32>,
    window: Vec<u8>,
    window_start: u64,
}

impl Source {
    /// `None` when retention has taken the segment.
    fn open(shared: &Shared, stretch: Stretch) -> Result<Option<Self>> {
        let path = records_path(&shared.dir, stretch.segment);
        let active = {
            let published = shared.published();
            (published.active == stretch.segment).then(|| Arc::clone(&published.file))
        };
        let file = match active {
            Some(file) => Some(file),
            None => open_sealed(shared, stretch.segment, &path)?,
        };
        let Some(file) = file else { return Ok(None) };
        let positions = match stretch.places {
            Places::Known(positions) => positions,
            Places::Sidecar { at, count } => {
                let path = sidecar_path(&shared.dir, stretch.segment);
                let Some(sidecar) = open_sealed(shared, stretch.segment, &path)? else {
                    return Ok(None);
                };
                read_positions(&*sidecar, &path, at, count)?
            }
        };
        Ok(Some(Self { file, path, seal: stretch.seal, positions, window: Vec::new(), window_start: 0 }))
    }

    /// The record at `positions[index]`, which must be event `sequence` of partition `key`.
    fn record(&mut self, index: usize, key: Key, sequence: u64) -> Result<Record<'_>> {
        let position = u64::from(self.positions[index]);
        let damaged = |path: &Path, what| fault::damaged(path, position, what);
        let length = match self.held(position).map(|held| record::length(self.seal, held)) {
            Some(Ok(length)) => length,
            // Not in the window, or the window ends within the header.
            Some(Err(_)) | None => {
                let ahead = self.ahead(index);
                self.fill(position, ahead)?;
                let held = self.held(position).unwrap_or_default();
                record::length(self.seal, held).map_err(|what| damaged(&self.path, what))?
            }
        };
        if self.held(position).is_none_or(|held| held.len() < length) {
            let ahead = self.ahead(index).max(length as u64);
            self.fill(position, ahead)?;
        }
        let held = self.held(position).unwrap_or_default();
        let found = record::decode(self.seal, held).map_err(|what| damaged(&self.path, what))?;
        let header = &found.header;
        if (header.kind, header.key, header.sequence) != (Kind::Event, key, sequence) {
            return Err(damaged(&self.path, "another event is here"));
        }
        Ok(found)
    }

    /// The window's bytes from `position` on.
    fn held(&self, position: u64) -> Option<&[u8]> {
        let skip = usize::try_from(position.checked_sub(self.window_start)?).ok()?;
        self.window.get(skip..).filter(|held| !held.is_empty())
    }

    /// Bytes worth fetching from `positions[index]` on: up to where the next wanted record is far away.
    fn ahead(&self, index: usize) -> u64 {
        let start = u64::from(self.positions[index]);
        let mut end = start;
        for position in &self.positions[index + 1..] {
            let position = u64::from(*position);
            if position - end > GAP || position - start > WINDOW {
                break;
            }
            end = position;
        }
        end - start + GUESS
    }

    fn fill(&mut self, position: u64, length: u64) -> Result<()> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.window.resize(length, 0);
        let count =
            self.file.read_at(position, &mut self.window).map_err(|error| fault::disk(self.path.display(), &error))?;
        self.window.truncate(count);
        self.window_start = position;
        Ok(())
    }
}

/// Opens a file of a sealed segment; `None` when retention has taken it.
fn open_sealed(shared: &Shared, segment: u64, path: &Path) -> Result<Option<Arc<dyn DiskFile>>> {
    match shared.disk.open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if shared.published().index.segments.contains_key(&segment) {
                return Err(fault::disk(path.display(), &error));
            }
            Ok(None)
        }
        Err(error) => Err(fault::disk(path.display(), &error)),
    }
}

fn read_positions(file: &dyn DiskFile, path: &Path, at: u64, count: usize) -> Result<Vec<u32>> {
    let mut bytes = vec![0; count * 4];
    let read = file.read_at(at, &mut bytes).map_err(|error| fault::disk(path.display(), &error))?;
    if read < bytes.len() {
        return Err(fault::damaged(path, at, "the index is cut short"));
    }
    let (positions, _) = bytes.as_chunks::<4>();
    Ok(positions.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect())
}
