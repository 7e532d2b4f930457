//! What readers see: partitions, their runs in the segments, and nothing that is not synced.

use crate::record::{Head, Key};
use crate::seal::Seal;
use ferrohub_messaging::Bounds;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use uuid::Uuid;

/// The events of one partition in one segment: consecutive sequence numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// The segment.
    pub(crate) segment: u64,
    /// Sequence number of the first.
    pub(crate) first_sequence: u64,
    /// Number of events.
    pub(crate) count: u32,
    /// How far the partition had come with the last.
    pub(crate) head: Head,
    /// Where the records start in the segment.
    pub(crate) positions: Positions,
}

/// Positions of a run's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Positions {
    /// In memory: the segment is being written, or its index file could not be.
    Memory(Vec<u32>),
    /// From this byte of the segment's index file.
    Sidecar(u64),
}

impl Run {
    /// Adds the next event.
    pub(crate) fn push(&mut self, position: u32, head: Head) {
        if let Positions::Memory(positions) = &mut self.positions {
            positions.push(position);
        }
        self.count += 1;
        self.head = head;
    }
}

/// A partition: how far it has come, and its runs in order.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) head: Head,
    pub(crate) runs: VecDeque<Run>,
    /// Events before this one were taken by retention; they may still be in their segment.
    pub(crate) first_kept: u64,
}

/// A segment as retention sees it, and what reads its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) seal: Seal,
    pub(crate) events: u64,
}

impl Segment {
    /// A segment without events.
    pub(crate) const fn empty(seal: Seal) -> Self {
        Self { seal, events: 0 }
    }
}

/// The whole log. The segment with the highest number is the one being written.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) partitions: BTreeMap<Key, Partition>,
    pub(crate) segments: BTreeMap<u64, Segment>,
    /// Streams that take no events any more and give none out.
    pub(crate) dropped: BTreeSet<Uuid>,
}

/// Some consecutive records of a partition in one segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) segment: u64,
    pub(crate) seal: Seal,
    pub(crate) first_sequence: u64,
    pub(crate) places: Places,
}

/// Where the records of a stretch are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Places {
    /// At these positions.
    Known(Vec<u32>),
    /// At the positions in the index file from byte `at`, `count` of them.
    Sidecar { at: u64, count: usize },
}

impl Index {
    /// Takes over a segment and its runs, which must continue what is known.
    pub(crate) fn add_runs(&mut self, segment: u64, seal: Seal, runs: BTreeMap<Key, Run>) -> Result<(), String> {
        let mut summary = Segment::empty(seal);
        for (key, run) in runs {
            summary.events += u64::from(run.count);
            let partition = self.partition(key);
            if run.first_sequence != partition.head.next_sequence {
                return Err(format!(
                    "partition {} of stream {} goes on with event {}, {} was expected",
                    key.1, key.0, run.first_sequence, partition.head.next_sequence
                ));
            }
            partition.head = run.head;
            partition.runs.push_back(run);
        }
        self.segments.insert(segment, summary);
        Ok(())
    }

    /// Publishes synced events of one partition of the segment being written: where they start and how far the
    /// partition came with each.
    pub(crate) fn publish(&mut self, segment: u64, key: Key, events: impl IntoIterator<Item = (u32, Head)>) {
        let partition = self.partition(key);
        let mut count = 0;
        for (position, head) in events {
            partition.head = head;
            match partition.runs.back_mut() {
                Some(run) if run.segment == segment => run.push(position, head),
                _ => partition.runs.push_back(Run {
                    segment,
                    first_sequence: head.next_sequence - 1,
                    count: 1,
                    head,
                    positions: Positions::Memory(vec![position]),
                }),
            }
            count += 1;
        }
        // Begun segments are in the index before anything is written to them.
        if let Some(summary) = self.segments.get_mut(&segment) {
            summary.events += count;
        }
    }

    /// Forgets the oldest segment's events; partitions keep their count.
    pub(crate) fn forget(&mut self, segment: u64) {
        self.segments.remove(&segment);
        for partition in self.partitions.values_mut() {
            while partition.runs.front().is_some_and(|run| run.segment <= segment) {
                partition.runs.pop_front();
            }
        }
    }

    /// Whether no event of the oldest segment is kept.
    pub(crate) fn is_spent(&self, segment: u64) -> bool {
        let runs =
            self.partitions.values().filter_map(|partition| Some((partition.runs.front()?, partition.first_kept)));
        !runs.filter(|(run, _)| run.segment == segment).any(|(run, first_kept)| run.head.next_sequence > first_kept)
    }

    /// Lets a partition begin with this event.
    pub(crate) fn keep_from(&mut self, key: Key, first: u64) {
        if let Some(partition) = self.partitions.get_mut(&key) {
            partition.first_kept = partition.first_kept.max(first.min(partition.head.next_sequence));
        }
    }

    /// Takes all events of a stream, for good.
    pub(crate) fn drop_stream(&mut self, stream: Uuid) {
        self.dropped.insert(stream);
        for (_, partition) in self.partitions.range_mut((stream, 0)..=(stream, u16::MAX)) {
            partition.first_kept = partition.head.next_sequence;
        }
    }

    /// Whether a segment names the stream.
    pub(crate) fn knows(&self, stream: Uuid) -> bool {
        self.partitions.range((stream, 0)..=(stream, u16::MAX)).next().is_some()
    }

    /// Every stream that is not dropped.
    pub(crate) fn streams(&self) -> BTreeSet<Uuid> {
        self.partitions.keys().map(|(stream, _)| *stream).filter(|stream| !self.dropped.contains(stream)).collect()
    }

    /// The heads of all partitions that may get another event.
    pub(crate) fn heads(&self) -> Vec<(Key, Head)> {
        let partitions = self.partitions.iter().filter(|((stream, _), _)| !self.dropped.contains(stream));
        partitions.map(|(key, partition)| (*key, partition.head)).collect()
    }

    /// A partition, made when it is new.
    pub(crate) fn partition(&mut self, key: Key) -> &mut Partition {
        self.partitions.entry(key).or_insert_with(|| Partition {
            head: Head::EMPTY,
            runs: VecDeque::new(),
            first_kept: 0,
        })
    }

    /// The head of a partition.
    pub(crate) fn head(&self, key: Key) -> Head {
        let partition = self.partitions.get(&key);
        partition.map_or(Head::EMPTY, |partition| partition.head)
    }

    /// Sequence number of the oldest event kept, or the next one to be given.
    pub(crate) fn first_sequence(&self, key: Key) -> u64 {
        let partition = self.partitions.get(&key);
        let first =
            partition.and_then(|partition| Some(partition.runs.front()?.first_sequence.max(partition.first_kept)));
        first.unwrap_or_else(|| self.head(key).next_sequence)
    }

    /// What a partition holds.
    pub(crate) fn bounds(&self, key: Key) -> Option<Bounds> {
        let head = self.partitions.get(&key).filter(|_| !self.dropped.contains(&key.0))?.head;
        Some(Bounds {
            first_sequence: self.first_sequence(key),
            last_sequence: head.next_sequence.checked_sub(1)?,
            last_enqueued_ms: head.last_enqueued_ms,
            last_offset: head.last_offset,
        })
    }

    /// The partitions of a stream.
    pub(crate) fn partitions_of(&self, stream: Uuid) -> Vec<u16> {
        if self.dropped.contains(&stream) {
            return Vec::new();
        }
        let range = self.partitions.range((stream, 0)..=(stream, u16::MAX));
        range.filter(|(_, partition)| partition.head.next_sequence > 0).map(|((_, number), _)| *number).collect()
    }

    /// Sequence numbers, first and last, of the first run whose head satisfies `reached`.
    pub(crate) fn run_where(&self, key: Key, reached: impl Fn(&Head) -> bool) -> Option<(u64, u64)> {
        let runs = &self.partitions.get(&key)?.runs;
        let found = runs.get(runs.partition_point(|run| !reached(&run.head)))?;
        Some((found.first_sequence, found.head.next_sequence - 1))
    }

    /// At most `most` records from `sequence` (or the first one kept) on, all in one segment.
    pub(crate) fn stretch(&self, key: Key, sequence: u64, most: usize) -> Option<Stretch> {
        let Partition { runs, first_kept, .. } = self.partitions.get(&key)?;
        let sequence = sequence.max(*first_kept);
        let run = runs.get(runs.partition_point(|run| run.head.next_sequence <= sequence))?;
        let first_sequence = sequence.max(run.first_sequence);
        let skip = usize::try_from(first_sequence - run.first_sequence).ok()?;
        let count = (run.count as usize - skip).min(most);
        let places = match &run.positions {
            Positions::Memory(positions) => Places::Known(positions[skip..skip + count].to_vec()),
            Positions::Sidecar(at) => Places::Sidecar { at: at + skip as u64 * 4, count },
        };
        let seal = self.segments.get(&run.segment)?.seal;
        Some(Stretch { segment: run.segment, seal, first_sequence, places })
    }
}
