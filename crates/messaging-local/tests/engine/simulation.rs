//! A seeded simulation: power cuts at random points, over and over, on a disk that forgets.
//!
//! Invariants after every power cut: each acknowledged event is there with its body and its number,
//! unless it was old enough to expire (and then it is gone for good, but no other stream's); numbers have no gap; nothing is there twice; nothing is there
//! that nobody appended; what was once seen stays.

use super::*;
use ferrohub_model::random::{Random, SeededRandom};
use futures_util::future::join_all;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

const SEEDS: u64 = 300;
const POWER_CUTS: usize = 4;
const PARTITIONS: [(Uuid, u16); 4] = [(HUB, 0), (HUB, 1), (Uuid::from_u128(2), 0), (Uuid::from_u128(2), 9)];

#[tokio::test]
async fn power_cuts_lose_nothing_acknowledged() {
    let mut total = Tally::default();
    for seed in 0..SEEDS {
        let tally = Simulation::new(seed).run().await;
        total.acknowledged += tally.acknowledged;
        total.refused += tally.refused;
        total.expired += tally.expired;
        total.failed_opens += tally.failed_opens;
    }
    // The simulation must really have met what it is there for.
    assert!(total.acknowledged > 20_000, "{total:?}");
    assert!(total.refused > 1_000, "{total:?}");
    assert!(total.expired > 100, "{total:?}");
    assert!(total.failed_opens > 50, "{total:?}");
}

#[derive(Debug, Default)]
struct Tally {
    acknowledged: u64,
    refused: u64,
    expired: u64,
    failed_opens: u64,
}

struct Simulation {
    seed: u64,
    random: SeededRandom,
    disk: ForgetfulDisk,
    clock: Arc<ManualClock>,
    /// Acknowledged or once seen: body and time by partition and number.
    known: BTreeMap<(Uuid, u16), BTreeMap<u64, (Bytes, i64)>>,
    /// Every body that was ever handed in.
    tried: HashSet<Bytes>,
    /// By stream: events older than this may be gone.
    expired_ms: BTreeMap<Uuid, i64>,
    /// By stream: events older than this are gone for certain.
    gone_ms: BTreeMap<Uuid, i64>,
    tally: Tally,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            random: SeededRandom::new(seed),
            disk: ForgetfulDisk::new(),
            clock: clock(),
            known: BTreeMap::new(),
            tried: HashSet::new(),
            expired_ms: BTreeMap::new(),
            gone_ms: BTreeMap::new(),
            tally: Tally::default(),
        }
    }

    fn below(&self, limit: u64) -> u64 {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        u64::from_le_bytes(bytes) % limit
    }

    fn open(&self) -> Result<LocalEventLog> {
        let disk = Arc::new(self.disk.clone());
        LocalEventLog::open(disk, dir(), Arc::clone(&self.clock) as _, SMALL)
    }

    async fn run(mut self) -> Tally {
        for _ in 0..POWER_CUTS {
            // The power may fail while a start repairs what the last power cut left.
            while self.below(2) == 0 {
                self.disk.die_at(1 + self.below(6));
                if self.open().is_err() {
                    self.tally.failed_opens += 1;
                }
                self.power_cut();
            }
            let log = self.open();
            let log = log.unwrap_or_else(|error| panic!("seed {}: {error:?}", self.seed));
            self.verify(&log).await;
            match self.below(3) {
                0 => self.disk.fail_at(1 + self.below(80)),
                _ => self.disk.die_at(1 + self.below(120)),
            }
            self.work(log).await;
            self.power_cut();
        }
        let log = self.open();
        let log = log.unwrap_or_else(|error| panic!("seed {}: {error:?}", self.seed));
        self.verify(&log).await;
        self.tally
    }

    fn power_cut(&mut self) {
        let seed = self.below(u64::MAX);
        let torn = self.below(4) != 0;
        self.disk = self.disk.crash(torn.then_some(seed));
    }

    async fn work(&mut self, mut log: LocalEventLog) {
        for _ in 0..self.below(50) {
            match self.below(20) {
                0 => {
                    let now_ms = ferrohub_model::clock::Clock::now(&*self.clock).as_millisecond();
                    let older_than_ms = now_ms - i64::try_from(self.below(2_000)).unwrap();
                    let (stream, _) = PARTITIONS[usize::try_from(self.below(4)).unwrap()];
                    let may_be = self.expired_ms.entry(stream).or_insert(i64::MIN);
                    *may_be = older_than_ms.max(*may_be);
                    if let Ok(removed) = log.expire(stream, older_than_ms).await {
                        self.tally.expired += removed;
                        let is = self.gone_ms.entry(stream).or_insert(i64::MIN);
                        *is = older_than_ms.max(*is);
                    }
                }
                1 => {
                    drop(log);
                    match self.open() {
                        Ok(opened) => log = opened,
                        Err(_) => {
                            self.tally.failed_opens += 1;
                            return;
                        }
                    }
                }
                _ => self.append(&log).await,
            }
            self.clock.advance(Duration::from_millis(self.below(200)));
        }
    }

    /// Some appends at once.
    async fn append(&mut self, log: &LocalEventLog) {
        let batches: Vec<Vec<NewEvent>> =
            (0..1 + self.below(4)).map(|_| (0..1 + self.below(3)).map(|_| self.event()).collect()).collect();
        let results = join_all(batches.iter().map(|batch| log.append(batch.clone()))).await;
        for (batch, result) in batches.into_iter().zip(results) {
            let Ok(positions) = result else {
                self.tally.refused += 1;
                continue;
            };
            for (event, position) in batch.into_iter().zip(positions) {
                let known = self.known.entry((event.stream, event.partition)).or_default();
                let highest = known.last_key_value().map(|(sequence, _)| *sequence);
                assert!(highest < Some(position.sequence), "seed {}: a number was given twice", self.seed);
                known.insert(position.sequence, (event.body, position.enqueued_ms));
                self.tally.acknowledged += 1;
            }
        }
    }

    fn event(&mut self) -> NewEvent {
        let (stream, partition) = PARTITIONS[usize::try_from(self.below(4)).unwrap()];
        let length = match self.below(10) {
            0 => 3_000,
            1 => 0,
            _ => self.below(400),
        };
        let mut body = format!("{}:", self.tried.len()).into_bytes();
        body.resize(body.len() + usize::try_from(length).unwrap(), b'x');
        if self.below(4) == 0 {
            // A device may send anything, a record too.
            let batch_start = u32::try_from(self.below(SMALL.segment_bytes)).unwrap();
            body.extend(forgery::forged(0, batch_start, b"hi"));
        }
        let body = Bytes::from(body);
        self.tried.insert(body.clone());
        NewEvent { stream, partition, body, properties: Packed::default() }
    }

    async fn verify(&mut self, log: &LocalEventLog) {
        let seed = self.seed;
        let mut seen = HashSet::new();
        for key @ (stream, partition) in PARTITIONS {
            let found = log.read(stream, partition, ReadFrom::Beginning, usize::MAX, usize::MAX);
            let found = found.await;
            let found = found.unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
            let bounds = log.bounds(stream, partition).await.unwrap();
            let known = self.known.entry(key).or_default();
            let last_known = known.last_key_value().map(|(sequence, _)| *sequence);
            let last = bounds.map(|bounds| bounds.last_sequence);
            assert!(last >= last_known, "seed {seed}: {key:?} fell back to {last:?} from {last_known:?}");
            let mut next = bounds.map_or(0, |bounds| bounds.first_sequence);
            let mut time_ms = self.gone_ms.get(&stream).copied().unwrap_or(i64::MIN);
            for event in &found {
                assert_eq!(event.sequence, next, "seed {seed}: {key:?} has a gap");
                assert!(
                    event.enqueued_ms >= time_ms,
                    "seed {seed}: {key:?}: time fell, or what retention took came back"
                );
                assert!(self.tried.contains(&event.body), "seed {seed}: {key:?} invented an event");
                assert!(seen.insert(event.body.clone()), "seed {seed}: {key:?} doubled an event");
                let value = (event.body.clone(), event.enqueued_ms);
                let before = known.entry(event.sequence).or_insert_with(|| value.clone());
                assert_eq!(*before, value, "seed {seed}: {key:?} {} changed", event.sequence);
                (next, time_ms) = (next + 1, event.enqueued_ms);
            }
            let first = found.first().map_or(next, |event| event.sequence);
            for (sequence, (_, enqueued_ms)) in known.iter().take_while(|(sequence, _)| **sequence < first) {
                let may_be = self.expired_ms.get(&stream).copied().unwrap_or(i64::MIN);
                assert!(*enqueued_ms < may_be, "seed {seed}: {key:?} lost {sequence}");
            }
        }
    }
}
