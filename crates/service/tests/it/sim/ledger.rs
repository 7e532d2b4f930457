//! What was promised: every acknowledged write, as long as nothing that came later may have undone it.

use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Promises by key, such as `device/dev1` or `tree/2/hub`.
#[derive(Default)]
pub(super) struct Ledger {
    /// The seed, for who reads what fails.
    pub(super) seed: u64,
    things: BTreeMap<String, Thing>,
    /// Bodies of acknowledged messages.
    pub(super) published: BTreeSet<String>,
    /// Certificates that devices were given, by serial number: what it was given for, a registration or a renewal.
    pub(super) serials: BTreeMap<String, String>,
    /// The last chain that each device was given, DER.
    pub(super) chains: BTreeMap<String, Vec<Vec<u8>>>,
    /// The latest that the wall clock said.
    latest: Timestamp,
    /// Renewals that were accepted, by device.
    renewals: BTreeMap<String, Renewing>,
    /// How many renewals of a device have begun.
    renewing: BTreeMap<String, u64>,
    /// Counts of what was met, to be sure that the workload does something.
    pub(super) acknowledged: u64,
    /// How often the wall clock was set.
    pub(super) jumps: u64,
}

#[derive(Default)]
struct Thing {
    /// Whether it is there for certain.
    present: bool,
    /// Whether it is gone for certain.
    absent: bool,
    /// Lowest versions that its parts may have.
    versions: Versions,
    /// What an ETag stood for, by the version in it.
    states: BTreeMap<u64, String>,
    creating: u64,
    removing: u64,
    /// Grows with every beginning.
    turn: u64,
}

/// Versions of what a thing is made of, by its name, such as `desired`.
pub(super) type Versions = BTreeMap<&'static str, u64>;

/// What is known of a key: there for certain, gone for certain, lowest versions.
pub(super) type Known = (String, bool, bool, Versions);

/// A renewal that was accepted.
#[derive(Clone, Copy)]
pub(super) struct Renewing {
    /// Our name of it.
    pub(super) operation: Uuid,
    /// Until when the outcome is kept.
    pub(super) expires: Timestamp,
    /// Whether the outcome was seen.
    ended: bool,
}

/// A write that has begun.
pub(super) struct Begun {
    keys: Vec<String>,
    turns: Vec<u64>,
    alone: Vec<bool>,
    removes: bool,
}

impl Ledger {
    pub(super) fn create(&mut self, key: impl Into<String>) -> Begun {
        self.begin(vec![key.into()], false)
    }

    /// Something goes, and all that lies in it.
    pub(super) fn remove(&mut self, keys: Vec<String>) -> Begun {
        self.begin(keys, true)
    }

    fn begin(&mut self, keys: Vec<String>, removes: bool) -> Begun {
        let (mut turns, mut alone) = (Vec::new(), Vec::new());
        for key in &keys {
            let thing = self.things.entry(key.clone()).or_default();
            alone.push(if removes { thing.creating == 0 } else { thing.removing == 0 });
            if removes {
                thing.present = false;
                (thing.versions, thing.states) = Default::default();
                thing.removing += 1;
            } else {
                thing.absent = false;
                thing.creating += 1;
            }
            thing.turn += u64::from(removes) + (u64::from(!removes) << 32);
            turns.push(thing.turn);
        }
        Begun { keys, turns, alone, removes }
    }

    /// The write came back, and `done` is whether it was acknowledged as a whole.
    pub(super) fn end(&mut self, begun: &Begun, done: bool) {
        self.acknowledged += u64::from(done);
        for (index, key) in begun.keys.iter().enumerate() {
            let thing = self.things.entry(key.clone()).or_default();
            let (now, then) = (thing.turn, begun.turns[index]);
            if begun.removes {
                thing.removing -= 1;
                thing.absent |= done && begun.alone[index] && now >> 32 == then >> 32;
            } else {
                thing.creating -= 1;
                thing.present |= done && begun.alone[index] && now as u32 == then as u32;
            }
        }
    }

    /// A device asks for a certificate; what it asked for before may give way.
    pub(super) fn renew(&mut self, device: &str) -> u64 {
        self.renewals.remove(device);
        let turn = self.renewing.entry(device.to_owned()).or_default();
        *turn += 1;
        *turn
    }

    /// The request that was the `turn`th was accepted.
    pub(super) fn accepted(&mut self, device: &str, turn: u64, operation: Uuid, expires: Timestamp) {
        self.acknowledged += 1;
        if self.renewing.get(device) == Some(&turn) {
            self.renewals.insert(device.to_owned(), Renewing { operation, expires, ended: false });
        }
    }

    /// A removal goes on behind an answer; only [`Self::settle`] ends it.
    pub(super) fn goes_on(&mut self) {
        self.acknowledged += 1;
    }

    /// A certificate was given for something; the same one may be given for it again.
    pub(super) fn given(&mut self, serial: String, purpose: String) {
        let former = self.serials.entry(serial.clone()).or_insert_with(|| purpose.clone());
        assert_eq!(*former, purpose, "seed {}: serial {serial} was given twice", self.seed);
    }

    /// The wall clock says this.
    pub(super) fn it_is(&mut self, now: Timestamp) {
        self.latest = self.latest.max(now);
    }

    /// The renewals whose outcome is kept at `now`. One that the wall clock saw run out before it was carried out has none, also
    /// where the clock was set back since; an outcome that was there stays.
    pub(super) fn kept_renewals(&self, now: Timestamp) -> Vec<(String, Renewing)> {
        let kept =
            self.renewals.iter().filter(|(_, one)| now < one.expires && (one.ended || self.latest < one.expires));
        kept.map(|(device, one)| (device.clone(), *one)).collect()
    }

    /// The outcome of a renewal was seen.
    pub(super) fn ended(&mut self, device: &str) {
        self.renewals.entry(device.to_owned()).and_modify(|one| one.ended = true);
    }

    /// Which life of a thing this is, and the versions that it has at least, if it is there for certain.
    pub(super) fn life(&self, key: &str) -> Option<(u64, Versions)> {
        self.things.get(key).filter(|thing| thing.present).map(|thing| (thing.turn, thing.versions.clone()))
    }

    /// A change of a thing was acknowledged, which then had these versions; `begun` is the life in which it began, and what it
    /// had then.
    pub(super) fn changed(&mut self, key: &str, versions: &Versions, begun: Option<(u64, Versions)>) {
        self.acknowledged += 1;
        let (Some(thing), Some((life, before))) = (self.things.get_mut(key), begun) else { return };
        if !thing.present || life != thing.turn {
            return;
        }
        for (part, version) in versions {
            let was = before.get(part).copied().unwrap_or_default();
            assert!(*version >= was, "seed {}: {part} of {key} fell from {was} to {version}", self.seed);
            let known = thing.versions.entry(part).or_default();
            *known = (*known).max(*version);
        }
    }

    /// The ETag with this version stood for `state`; it stands for nothing else, as long as the thing lives.
    pub(super) fn stood_for(&mut self, key: &str, version: u64, state: &str, life: Option<u64>) {
        let Some(thing) = self.things.get_mut(key).filter(|thing| thing.present && life == Some(thing.turn)) else {
            return;
        };
        let was = thing.states.entry(version).or_insert_with(|| state.to_owned());
        assert_eq!(was, state, "seed {}: the ETag {version} of {key} stood for something else", self.seed);
    }

    /// Nothing is under way any more: a crash, or the end of all work.
    pub(super) fn settle(&mut self) {
        for thing in self.things.values_mut() {
            (thing.creating, thing.removing) = (0, 0);
        }
    }

    /// What is known of the keys below `prefix`.
    pub(super) fn below(&self, prefix: &str) -> Vec<Known> {
        let things = self.things.iter().filter(|(key, _)| key.starts_with(prefix));
        things.map(|(key, thing)| (key.clone(), thing.present, thing.absent, thing.versions.clone())).collect()
    }
}
