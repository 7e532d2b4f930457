//! The one thread that writes: append, sync once, publish, answer.

use crate::fault;
use crate::horizon::Horizons;
use crate::index::{Run, Segment};
use crate::log::{Options, Shared};
use crate::record::{Head, Header, Key, Kind, Record};
use crate::recovery;
use crate::reserve;
use crate::seal::Seal;
use crate::segment::{records_path, remove_if_there, sidecar_path};
use crate::sidecar;
use ferrohub_messaging::disk::DiskFile;
use ferrohub_messaging::{NewEvent, Position};
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::pace::Pace;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use tokio::sync::oneshot;
use uuid::Uuid;

/// The share of what the last batch took, one in so many, that its callers are waited for: ours. Those who wait for the log are devices that
/// send, and mind the time.
const WAITED_SHARE: u32 = 4;

/// What the thread is asked for.
pub(crate) enum Message {
    Append(Append),
    Expire { marks: Vec<(Key, u64)>, answer: oneshot::Sender<Result<u64>> },
    Drop { stream: Uuid, answer: oneshot::Sender<Result<u64>> },
    Close { answer: oneshot::Sender<Result<()>> },
}

/// Events to append, and who waits for them.
pub(crate) struct Append {
    pub(crate) events: Vec<NewEvent>,
    /// Length of the events in the journal.
    pub(crate) bytes: usize,
    pub(crate) answer: oneshot::Sender<Result<Vec<Position>>>,
}

/// The state of the writing thread.
pub(crate) struct Journal {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    options: Options,
    /// The segment being written, its file, its seal and its length.
    active: u64,
    file: Arc<dyn DiskFile>,
    seal: Seal,
    length: u64,
    /// A new segment could not be begun. Its remains may come back after a crash and would make the
    /// present one a sealed one, so nothing more may be written here.
    must_roll: bool,
    /// The next segment, where it stands on the disk and could not be named there.
    begun: Option<recovery::Last>,
    /// What retention took and which segments there are, as it stands on the disk.
    horizons: Horizons,
    /// Segments that are out of the index but perhaps not off the disk.
    doomed: VecDeque<u64>,
    /// The batch's bytes; kept for its capacity.
    buffer: Vec<u8>,
    pace: Pace,
}

/// An event of the batch at hand.
struct Placed {
    key: Key,
    position: u32,
    head: Head,
}

impl Journal {
    /// A journal whose last segment has this seal and `length` bytes.
    pub(crate) fn new(
        shared: Arc<Shared>,
        clock: Arc<dyn Clock>,
        options: Options,
        horizons: Horizons,
        seal: Seal,
        length: u64,
    ) -> Self {
        let (active, file) = {
            let published = shared.published();
            (published.active, Arc::clone(&published.file))
        };
        Self {
            shared,
            clock,
            options,
            active,
            file,
            seal,
            length,
            must_roll: false,
            begun: None,
            horizons,
            doomed: VecDeque::new(),
            buffer: Vec::new(),
            pace: Pace::default(),
        }
    }

    /// Works until it is told to close or everyone who could ask is gone.
    pub(crate) fn serve(&mut self, messages: &Receiver<Message>) {
        let mut kept = None;
        while let Some(message) = kept.take().or_else(|| messages.recv().ok()) {
            match message {
                Message::Append(first) => {
                    let (batch, other) = self.gather(first, messages);
                    kept = other;
                    let (appends, started) = (batch.len(), self.clock.monotonic());
                    self.write(batch);
                    self.pace = Pace::after(appends, self.clock.monotonic().since(started) / WAITED_SHARE);
                }
                Message::Expire { marks, answer } => {
                    // A caller that went away wants no answer; so below.
                    let _ = answer.send(self.with_room(|journal| journal.expire(&marks)));
                }
                Message::Drop { stream, answer } => {
                    let _ = answer.send(self.with_room(|journal| journal.drop_stream(stream)));
                }
                Message::Close { answer } => {
                    let _ = answer.send(self.check_poison());
                    return;
                }
            }
        }
    }

    /// Everything that waits behind `first`, up to the size of a batch or another message. Where the last batch was larger,
    /// its callers are waited for as [`Pace`] says: a sync costs far more, and a lone caller loses nothing. The thread
    /// sleeps meanwhile; whatever the clock says, each wait is for a message more or ends by itself.
    #[expect(
        clippy::disallowed_methods,
        reason = "a thread waits for a message, a millisecond at most; no clock has to move for it"
    )]
    fn gather(&self, first: Append, messages: &Receiver<Message>) -> (Vec<Append>, Option<Message>) {
        let started = self.clock.monotonic();
        let mut bytes = first.bytes;
        let mut batch = vec![first];
        while bytes < self.options.batch_bytes {
            let message = match messages.try_recv() {
                Ok(message) => message,
                Err(_) => {
                    let patience = self.pace.patience(batch.len(), self.clock.monotonic().since(started));
                    let waited = (!patience.is_zero()).then(|| messages.recv_timeout(patience));
                    match waited {
                        Some(Ok(message)) => message,
                        Some(Err(_)) | None => break,
                    }
                }
            };
            match message {
                Message::Append(append) => {
                    bytes += append.bytes;
                    batch.push(append);
                }
                other => return (batch, Some(other)),
            }
        }
        (batch, None)
    }

    fn write(&mut self, batch: Vec<Append>) {
        let bytes: usize = batch.iter().map(|append| append.bytes).sum();
        let batch = self.refuse_dropped(batch);
        let written = self.store(&batch);
        self.shared.queued.fetch_sub(bytes, Ordering::AcqRel);
        match written {
            Ok(positions) => {
                let mut positions = positions.into_iter();
                for append in batch {
                    let mine = positions.by_ref().take(append.events.len()).collect();
                    let _ = append.answer.send(Ok(mine));
                }
            }
            Err(error) => {
                for append in batch {
                    let _ = append.answer.send(Err(error.clone()));
                }
            }
        }
    }

    /// Answers those who bring events of a dropped stream; gives the others.
    fn refuse_dropped(&self, batch: Vec<Append>) -> Vec<Append> {
        let published = self.shared.published();
        let dropped = &published.index.dropped;
        if dropped.is_empty() {
            return batch;
        }
        let is_dropped = |append: &Append| append.events.iter().any(|event| dropped.contains(&event.stream));
        let (refused, taken): (Vec<_>, Vec<_>) = batch.into_iter().partition(is_dropped);
        for append in refused {
            let _ = append.answer.send(Err(fault::dropped()));
        }
        taken
    }

    /// Makes a batch durable and visible; gives the position of each event.
    fn store(&mut self, batch: &[Append]) -> Result<Vec<Position>> {
        self.check_poison()?;
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let bytes: usize = batch.iter().map(|append| append.bytes).sum();
        let full = self.length + bytes as u64 > self.options.segment_bytes;
        if self.must_roll || (full && self.has_events()) {
            self.roll()?;
        }
        let placed = self.encode(batch)?;
        self.write_through()?;
        metrics::counter!("ferrohub_log_appended_total").increment(placed.len() as u64);
        metrics::histogram!("ferrohub_log_batch_records").record(placed.len() as f64);
        self.length += self.buffer.len() as u64;
        let mut published = self.shared.publish();
        for run in placed.chunk_by(|one, next| one.key == next.key) {
            let events = run.iter().map(|event| (event.position, event.head));
            published.index.publish(self.active, run[0].key, events);
        }
        drop(published);
        self.shared.announce(placed.iter().map(|event| event.key));
        let position = |event: Placed| Position {
            sequence: event.head.next_sequence - 1,
            offset: event.head.last_offset,
            enqueued_ms: event.head.last_enqueued_ms,
        };
        Ok(placed.into_iter().map(position).collect())
    }

    /// Numbers the events of a batch and encodes them into the buffer.
    fn encode(&mut self, batch: &[Append]) -> Result<Vec<Placed>> {
        let now_ms = self.clock.now().as_millisecond();
        let batch_start = place(self.length)?;
        let mut heads: HashMap<Key, Head> = HashMap::new();
        let mut placed = Vec::with_capacity(batch.iter().map(|append| append.events.len()).sum());
        self.buffer.clear();
        let published = self.shared.published();
        let events = batch.iter().map(|append| append.events.as_slice());
        // A device's events are all of one partition.
        for run in events.flat_map(|events| events.chunk_by(|one, next| key(one) == key(next))) {
            let key = key(&run[0]);
            let head = heads.entry(key).or_insert_with(|| published.index.head(key));
            for event in run {
                let record = Record {
                    header: Header {
                        kind: Kind::Event,
                        key,
                        sequence: head.next_sequence,
                        offset: head.next_offset,
                        // A clock that was set back must not make time fall within a partition.
                        enqueued_ms: now_ms.max(head.last_enqueued_ms),
                        batch_start,
                    },
                    properties: event.properties.as_bytes(),
                    body: &event.body,
                };
                *head = Head::after(&record.header, record.length());
                placed.push(Placed { key, position: place(self.length + self.buffer.len() as u64)?, head: *head });
                record.encode(self.seal, &mut self.buffer);
            }
        }
        Ok(placed)
    }

    /// Appends and syncs the buffer. A failed append is undone if possible; a failed sync ends the
    /// log, because the kernel may have dropped the pages and a later sync would not say so.
    fn write_through(&mut self) -> Result<()> {
        if let Err(error) = self.file.append(&self.buffer) {
            return Err(self.undo("appending", &error));
        }
        let started = self.clock.monotonic();
        let synced = self.file.sync();
        metrics::histogram!("ferrohub_log_sync_seconds").record(self.clock.monotonic().since(started));
        match synced {
            Ok(()) => Ok(()),
            // Some file systems find room only when they sync. What was synced before is not touched by taking the rest back.
            Err(error) if fault::is_full(&error) => Err(self.undo("syncing", &error)),
            Err(error) => Err(self.poison(&format!("syncing: {error}"))),
        }
    }

    /// Takes back what was written and is not durable.
    fn undo(&self, what: &str, error: &io::Error) -> Error {
        match self.file.truncate(self.length).and_then(|()| self.file.sync()) {
            Ok(()) => fault::disk(what, error),
            Err(second) => self.poison(&format!("{what}: {error}; undoing it: {second}")),
        }
    }

    fn has_events(&self) -> bool {
        let published = self.shared.published();
        let segment = published.index.segments.get(&self.active);
        segment.is_some_and(|segment| segment.events > 0)
    }

    /// Seals the segment and begins the next one.
    fn roll(&mut self) -> Result<()> {
        self.must_roll = true;
        let shared = Arc::clone(&self.shared);
        let (disk, dir) = (&*shared.disk, &shared.dir);
        let sealed = self.seal();
        let next = self.active + 1;
        let begun = match self.begun.take() {
            Some(begun) => begun,
            None => self.begin(next)?,
        };
        let first = self.horizons.segments().map_or(next, |(first, _)| first);
        if let Err(error) = self.horizons.name_segments(disk, dir, first, next) {
            // It may be named all the same, and so it stays.
            self.begun = Some(begun);
            return Err(fault::disk("naming a segment", &error));
        }
        let mut published = self.shared.publish();
        if let Some(runs) = sealed {
            for (key, run) in runs {
                let last = published.index.partition(key).runs.back_mut();
                if let Some(known) = last.filter(|known| known.segment == run.segment) {
                    *known = run;
                }
            }
        }
        published.index.segments.insert(next, Segment::empty(begun.seal));
        published.active = next;
        published.file = Arc::clone(&begun.file);
        drop(published);
        self.active = next;
        self.file = begun.file;
        self.seal = begun.seal;
        self.length = begun.length;
        self.must_roll = false;
        Ok(())
    }

    fn begin(&self, next: u64) -> Result<recovery::Last> {
        let (disk, dir) = (&*self.shared.disk, &self.shared.dir);
        let heads = self.shared.published().index.heads();
        recovery::start(disk, dir, next, &heads).map_err(|error| {
            match remove_if_there(disk, &records_path(dir, next)) {
                Ok(()) => fault::disk("beginning a segment", &error),
                Err(second) => self.poison(&format!("beginning a segment: {error}; removing its remains: {second}")),
            }
        })
    }

    /// Writes the segment's index. Without it the positions stay in memory and the next start reads
    /// the segment.
    fn seal(&self) -> Option<BTreeMap<Key, Run>> {
        let bytes = {
            let published = self.shared.published();
            let runs = published.index.partitions.iter().filter_map(|(key, partition)| {
                let run = partition.runs.back()?;
                (run.segment == self.active).then_some((key, run))
            });
            sidecar::encode(self.length, self.seal, runs)
        };
        let written = recovery::write_sidecar(&*self.shared.disk, &self.shared.dir, self.active, &bytes);
        if let Err(error) = written {
            tracing::warn!(segment = self.active, %error, "an index of the event log could not be written");
            return None;
        }
        sidecar::decode(self.active, self.length, &bytes).ok().map(|(_, runs)| runs)
    }

    /// Frees segments. On a full disk the reserve gives way, so that they can be freed at all; it comes back when there is room.
    fn with_room(&mut self, free: impl Fn(&mut Self) -> Result<u64>) -> Result<u64> {
        let shared = Arc::clone(&self.shared);
        let mut freed = free(self);
        if freed.as_ref().is_err_and(|error| error.kind == ErrorKind::Unavailable)
            && reserve::give(&*shared.disk, &shared.dir).is_ok()
        {
            freed = free(self);
        }
        if freed.is_ok()
            && let Err(error) = reserve::keep(&*shared.disk, &shared.dir)
        {
            tracing::debug!(%error, "no room is kept in the event log's folder for a full disk");
        }
        freed
    }

    /// Moves partitions' first kept events, and removes the segments in which nothing is kept.
    fn expire(&mut self, marks: &[(Key, u64)]) -> Result<u64> {
        self.check_poison()?;
        let mut horizons = self.horizons.clone();
        if horizons.take(marks) {
            self.keep(horizons)?;
            let mut published = self.shared.publish();
            marks.iter().for_each(|(key, first)| published.index.keep_from(*key, *first));
        }
        self.remove_spent()
    }

    /// Takes all events of a stream and refuses further ones.
    fn drop_stream(&mut self, stream: Uuid) -> Result<u64> {
        self.check_poison()?;
        let known = self.shared.published().index.knows(stream);
        let mut horizons = self.horizons.clone();
        if known && horizons.drop_stream(stream) {
            self.keep(horizons)?;
            self.shared.publish().index.drop_stream(stream);
        }
        self.remove_spent()
    }

    /// Makes what retention takes durable, before a reader may miss it.
    fn keep(&mut self, mut horizons: Horizons) -> Result<()> {
        let saved = horizons.save(&*self.shared.disk, &self.shared.dir);
        saved.map_err(|error| fault::disk("writing what retention took", &error))?;
        self.horizons = horizons;
        Ok(())
    }

    /// Removes the oldest segments as long as nothing in them is kept.
    fn remove_spent(&mut self) -> Result<u64> {
        let mut removed = self.remove_doomed()?;
        loop {
            let oldest = {
                let published = self.shared.published();
                let first = published.index.segments.first_key_value();
                first
                    .filter(|(number, _)| published.index.is_spent(**number))
                    .map(|(number, found)| (*number, found.events))
            };
            let Some((number, events)) = oldest else {
                return Ok(removed);
            };
            if number == self.active {
                if events == 0 {
                    return Ok(removed);
                }
                self.roll()?;
            }
            self.shared.publish().index.forget(number);
            self.doomed.push_back(number);
            removed += self.remove_doomed()?;
        }
    }

    /// Removes files in order, with a directory sync after each, so that a crash leaves no hole.
    fn remove_doomed(&mut self) -> Result<u64> {
        let shared = Arc::clone(&self.shared);
        let (disk, dir) = (&shared.disk, &shared.dir);
        let mut removed = 0;
        if let Some(spent) = self.doomed.back() {
            let named = self.horizons.name_segments(&**disk, dir, spent + 1, self.active);
            named.map_err(|error| fault::disk("naming the segments that are kept", &error))?;
        }
        while let Some(number) = self.doomed.front() {
            remove_if_there(&**disk, &records_path(dir, *number))
                .and_then(|()| remove_if_there(&**disk, &sidecar_path(dir, *number)))
                .and_then(|()| disk.sync_dir(dir))
                .map_err(|error| fault::disk(format_args!("removing segment {number}"), &error))?;
            self.doomed.pop_front();
            removed += 1;
        }
        Ok(removed)
    }

    fn check_poison(&self) -> Result<()> {
        match self.shared.poison.get() {
            Some(cause) => Err(fault::poisoned(cause)),
            None => Ok(()),
        }
    }

    /// Ends the log: everything fails from now on until the program is started again.
    fn poison(&self, cause: &str) -> Error {
        tracing::error!(cause, "the event log stops: its disk failed");
        fault::poisoned(self.shared.poison.get_or_init(|| cause.to_owned()))
    }
}

fn key(event: &NewEvent) -> Key {
    (event.stream, event.partition)
}

/// A position within a segment, which the limits keep below 4 GiB.
fn place(position: u64) -> Result<u32> {
    u32::try_from(position).map_err(|_| fault::disk("placing an event", &io::Error::other("the segment is too long")))
}
