//! The devices that are connected to this process, and what of it is not written yet.
//!
//! A connect or disconnect is noted here and costs no more; [`super::presence_writer`] brings it to the rows. An entry
//! stays for as long as there is a connection or something to write.

use ferrohub_messaging::Claim;
use ferrohub_model::clock::Clock;
use ferrohub_model::device_session::Sighting;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{PRESENCE_ACTIVITY_PERIOD, PRESENCE_ENTRIES};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::Notify;
use uuid::Uuid;

/// Connections of devices to this process. Times are microseconds since the Unix epoch.
pub(crate) struct Presence {
    process: Uuid,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Something waits to be written.
    noted: Notify,
    /// Whether the row of this process is there, so that rows may name it.
    leased: AtomicBool,
}

#[derive(Default)]
struct State {
    entries: HashMap<Uuid, Entry>,
    /// Devices in the order in which they are written. One may stand here in vain; its entry says so.
    queue: VecDeque<Uuid>,
}

struct Entry {
    /// The hub of a device; `None` of a module.
    hub: Option<Uuid>,
    /// Whether the newest session is open.
    open: bool,
    /// The claim of that session: one that was lost has the device no more, even if it does not know it yet.
    claim: Weak<Claim>,
    since: i64,
    updated: i64,
    heard: Arc<Heard>,
    /// Grows with each change.
    number: u64,
    written: Written,
}

/// Where an entry stands on its way to its row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    /// The row has it.
    Yes,
    /// It stands in the queue.
    Queued,
    /// The writer has it in hand.
    Taken,
}

#[derive(Default)]
struct Heard {
    at: AtomicI64,
    /// The time that was last handed to the writer.
    noted: AtomicI64,
}

/// A session's entry; leaves when dropped.
pub(super) struct Present {
    presence: Arc<Presence>,
    device: Uuid,
    claim: Arc<Claim>,
    heard: Arc<Heard>,
}

impl Presence {
    pub(crate) fn new(process: Uuid, clock: Arc<dyn Clock>) -> Self {
        let (state, noted, leased) = (Mutex::default(), Notify::new(), AtomicBool::new(false));
        Self { process, clock, state, noted, leased }
    }

    /// Uid of this process, made at its start.
    pub(super) fn process(&self) -> Uuid {
        self.process
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        self.clock.now().as_microsecond()
    }

    /// Enters a device that has just connected, with its hub (`None` of a module) and the claim that its session holds.
    ///
    /// # Errors
    /// Unavailable when the ends of so many connections wait for the store that no more are taken.
    pub(super) fn enter(self: &Arc<Self>, device: Uuid, hub: Option<Uuid>, claim: Arc<Claim>) -> Result<Present> {
        let now = self.now();
        let mut state = self.state();
        if state.entries.len() >= PRESENCE_ENTRIES && !state.entries.contains_key(&device) {
            return Err(Error::unavailable("Too many devices wait to be noted as disconnected; try again soon.", 5));
        }
        let entry = state.entries.entry(device).or_insert_with(|| Entry {
            hub,
            open: false,
            claim: Weak::new(),
            since: now,
            updated: now,
            heard: Arc::default(),
            number: 0,
            written: Written::Yes,
        });
        if !entry.open {
            entry.updated = now;
        }
        (entry.open, entry.claim, entry.since) = (true, Arc::downgrade(&claim), now);
        entry.heard.at.store(now, Ordering::Relaxed);
        entry.heard.noted.store(now, Ordering::Relaxed);
        let heard = Arc::clone(&entry.heard);
        self.note(&mut state, device);
        drop(state);
        Ok(Present { presence: Arc::clone(self), device, claim, heard })
    }

    fn note(&self, state: &mut State, device: Uuid) {
        let Some(entry) = state.entries.get_mut(&device) else { return };
        entry.number += 1;
        if entry.written == Written::Yes {
            entry.written = Written::Queued;
            self.queue(state, device);
        }
    }

    fn queue(&self, state: &mut State, device: Uuid) {
        state.queue.push_back(device);
        if state.queue.len() == 1 {
            self.noted.notify_one();
        }
    }

    /// What this process knows of a device, with the number of that knowledge.
    pub(super) fn sighting(&self, device: Uuid) -> Option<(Sighting, u64)> {
        let state = self.state();
        let entry = state.entries.get(&device)?;
        let connected = entry.open && entry.claim.upgrade().is_some_and(|claim| !claim.is_lost());
        let heard = entry.heard.at.load(Ordering::Relaxed);
        let (since, updated) = (entry.since, entry.updated);
        Some((Sighting { process: self.process, connected, since, updated, heard }, entry.number))
    }

    /// How many devices of a hub are connected to this process.
    pub(super) fn connected_of(&self, hub: Uuid) -> usize {
        let state = self.state();
        let holds = |entry: &&Entry| {
            entry.hub == Some(hub) && entry.open && entry.claim.upgrade().is_some_and(|claim| !claim.is_lost())
        };
        state.entries.values().filter(holds).count()
    }

    /// Whether this process has a connection of the device, or had one a moment ago.
    pub(super) fn knows(&self, device: Uuid) -> bool {
        self.state().entries.contains_key(&device)
    }

    /// Waits until something is to be written.
    pub(super) async fn noted(&self) {
        while self.state().queue.is_empty() {
            self.noted.notified().await;
        }
    }

    /// Whether there is a connection, or something to write.
    pub(super) fn is_empty(&self) -> bool {
        self.state().entries.is_empty()
    }

    pub(super) fn is_leased(&self) -> bool {
        self.leased.load(Ordering::Acquire)
    }

    pub(super) fn set_leased(&self, leased: bool) {
        self.leased.store(leased, Ordering::Release);
    }

    /// Takes up to `most` devices that are to be written.
    pub(super) fn take(&self, most: usize) -> Vec<Uuid> {
        let mut state = self.state();
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(device) = state.queue.pop_front()
        {
            if let Some(entry) = state.entries.get_mut(&device).filter(|entry| entry.written == Written::Queued) {
                entry.written = Written::Taken;
                taken.push(device);
            }
        }
        taken
    }

    /// Gives back what was taken and is not written yet.
    pub(super) fn give_back(&self, devices: &[Uuid]) {
        let mut state = self.state();
        for device in devices {
            if let Some(entry) = state.entries.get_mut(device).filter(|entry| entry.written == Written::Taken) {
                entry.written = Written::Queued;
                self.queue(&mut state, *device);
            }
        }
    }

    /// The knowledge with this number is written, or needs not to be.
    pub(super) fn settle(&self, device: Uuid, number: u64) {
        let mut state = self.state();
        let Some(entry) = state.entries.get_mut(&device) else { return };
        if entry.number != number {
            // The writer has what is old; what came since follows.
            if entry.written == Written::Taken {
                entry.written = Written::Queued;
                self.queue(&mut state, device);
            }
            return;
        }
        entry.written = Written::Yes;
        if !entry.open {
            state.entries.remove(&device);
        }
    }

    /// Lets everything be written once more: another process may have written that this one is gone, or a writer ended in
    /// the middle of it.
    pub(super) fn note_all(&self) {
        let mut state = self.state();
        let devices: Vec<Uuid> = state.entries.keys().copied().collect();
        state.queue.clear();
        for device in devices {
            if let Some(entry) = state.entries.get_mut(&device) {
                entry.number += 1;
                entry.written = Written::Queued;
            }
            self.queue(&mut state, device);
        }
    }
}

impl Present {
    /// Notes that the device was heard.
    pub(super) fn heard(&self) {
        let now = self.presence.now();
        self.heard.at.store(now, Ordering::Relaxed);
        let age = now.saturating_sub(self.heard.noted.load(Ordering::Relaxed));
        if i128::from(age) >= i128::try_from(PRESENCE_ACTIVITY_PERIOD.as_micros()).unwrap_or(i128::MAX) {
            self.heard.noted.store(now, Ordering::Relaxed);
            self.presence.note(&mut self.presence.state(), self.device);
        }
    }

    /// The claim on the device, which the newest session holds.
    pub(super) fn claim(&self) -> &Claim {
        &self.claim
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let now = self.presence.now();
        let mut state = self.presence.state();
        let own = |entry: &&mut Entry| std::ptr::eq(entry.claim.as_ptr(), Arc::as_ptr(&self.claim));
        // Where a newer session has the device, nothing ends.
        if let Some(entry) = state.entries.get_mut(&self.device).filter(own) {
            entry.open = false;
            entry.updated = now;
            self.presence.note(&mut state, self.device);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_messaging::ClaimHold;
    use ferrohub_model::clock::ManualClock;
    use jiff::Timestamp;
    use std::time::Duration;

    const DEVICE: Uuid = Uuid::nil();
    const HUB: Uuid = Uuid::from_u128(7);

    struct Rig {
        presence: Arc<Presence>,
        clock: Arc<ManualClock>,
        hold: Option<ClaimHold>,
    }

    impl Rig {
        fn new() -> Self {
            let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
            let presence = Arc::new(Presence::new(Uuid::max(), clock.clone()));
            Self { presence, clock, hold: None }
        }

        fn enter(&mut self) -> Present {
            // The newest claim takes the device from the one before.
            let (hold, claim) = Claim::held(0, || {});
            self.hold = Some(hold);
            self.presence.enter(DEVICE, Some(HUB), Arc::new(claim)).unwrap()
        }

        fn seen(&self) -> Option<(bool, i64, i64)> {
            let seen = self.presence.sighting(DEVICE)?.0;
            Some((seen.connected, seen.updated / 1_000_000, seen.heard / 1_000_000))
        }

        fn pass(&self, seconds: u64) {
            self.clock.advance(Duration::from_secs(seconds));
        }

        /// Takes what waits and says that it is written.
        fn write(&self) -> usize {
            let taken = self.presence.take(10);
            for device in &taken {
                let number = self.presence.sighting(*device).unwrap().1;
                self.presence.settle(*device, number);
            }
            taken.len()
        }
    }

    #[test]
    fn the_state_follows_the_newest_session() {
        let mut rig = Rig::new();
        assert_eq!(rig.seen(), None);
        let first = rig.enter();
        rig.pass(1);
        let second = rig.enter();
        drop(first);
        assert_eq!(rig.seen(), Some((true, 0, 1)));
        rig.pass(1);
        second.heard();
        rig.pass(1);
        drop(second);
        assert_eq!(rig.seen(), Some((false, 3, 2)));
        assert_eq!(rig.write(), 1);
        assert_eq!(rig.seen(), None, "nothing is kept of who is gone and written");
    }

    #[test]
    fn who_lost_the_claim_has_the_device_no_more() {
        let mut rig = Rig::new();
        let present = rig.enter();
        rig.hold = None;
        assert_eq!(rig.seen(), Some((false, 0, 0)), "another process has it");
        drop(present);
        assert_eq!((rig.write(), rig.seen()), (1, None));
    }

    #[test]
    fn each_change_is_written_once_and_none_is_lost() {
        let mut rig = Rig::new();
        let present = rig.enter();
        let taken = rig.presence.take(10);
        let number = rig.presence.sighting(DEVICE).unwrap().1;
        assert_eq!((taken.len(), rig.presence.take(10).len()), (1, 0));
        // It ends while its beginning is written.
        drop(present);
        assert!(rig.presence.take(10).is_empty());
        rig.presence.settle(DEVICE, number);
        assert_eq!(rig.seen(), Some((false, 0, 0)));
        let taken = rig.presence.take(10);
        assert_eq!(taken.len(), 1);
        rig.presence.give_back(&taken);
        assert_eq!((rig.write(), rig.write(), rig.seen()), (1, 0, None));
    }

    #[test]
    fn activity_is_written_rarely() {
        let mut rig = Rig::new();
        let present = rig.enter();
        assert_eq!(rig.write(), 1);
        rig.pass(299);
        present.heard();
        assert_eq!((rig.write(), rig.seen()), (0, Some((true, 0, 299))));
        rig.pass(1);
        present.heard();
        assert_eq!(rig.write(), 1);
        rig.presence.note_all();
        assert_eq!((rig.write(), rig.write()), (1, 0));
    }
}
