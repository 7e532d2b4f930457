//! What was promised: every acknowledged write, as long as nothing that came later may have undone it.

use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Promises by key, such as `device/dev1` or `tree/2/hub`.
#[derive(Default)]
pub(super) struct Ledger {
    things: BTreeMap<String, Thing>,
    /// Bodies of acknowledged messages.
    pub(super) published: BTreeSet<String>,
    /// Serial numbers of certificates that devices were given.
    pub(super) serials: BTreeSet<String>,
    /// The last chain that each device was given, DER.
    pub(super) chains: BTreeMap<String, Vec<Vec<u8>>>,
    /// Renewals that were accepted, by device: our name, and until when the outcome is kept.
    pub(super) renewals: BTreeMap<String, (Uuid, Timestamp)>,
    /// How many renewals of a device have begun.
    renewing: BTreeMap<String, u64>,
    /// Counts of what was met, to be sure that the workload does something.
    pub(super) acknowledged: u64,
}

#[derive(Default)]
struct Thing {
    /// Whether it is there for certain.
    present: bool,
    /// Whether it is gone for certain.
    absent: bool,
    /// Lowest version of its desired properties.
    version: u64,
    creating: u64,
    removing: u64,
    /// Grows with every beginning.
    turn: u64,
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
                (thing.present, thing.version) = (false, 0);
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
            self.renewals.insert(device.to_owned(), (operation, expires));
        }
    }

    /// A removal goes on behind an answer; only [`Self::settle`] ends it.
    pub(super) fn goes_on(&mut self) {
        self.acknowledged += 1;
    }

    /// Which life of a thing this is, if it is there for certain.
    pub(super) fn life(&self, key: &str) -> Option<u64> {
        self.things.get(key).filter(|thing| thing.present).map(|thing| thing.turn)
    }

    /// A change of a thing was acknowledged with this version; `life` is the one in which it began.
    pub(super) fn version(&mut self, key: &str, version: u64, life: Option<u64>) {
        self.acknowledged += 1;
        let Some(thing) = self.things.get_mut(key) else { return };
        if thing.present && life == Some(thing.turn) {
            assert!(version > 0, "{key} has a version");
            thing.version = thing.version.max(version);
        }
    }

    /// Nothing is under way any more: a crash, or the end of all work.
    pub(super) fn settle(&mut self) {
        for thing in self.things.values_mut() {
            (thing.creating, thing.removing) = (0, 0);
        }
    }

    /// Keys below `prefix` with: there for certain, gone for certain, lowest version.
    pub(super) fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, bool, bool, u64)> {
        let things = self.things.iter().filter(move |(key, _)| key.starts_with(prefix));
        things.map(|(key, thing)| (&key[..], thing.present, thing.absent, thing.version))
    }
}
