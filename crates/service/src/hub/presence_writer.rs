//! Brings what [`super::presence`] notes to the rows of device sessions: many devices in one unit, at most every second.

use super::device_sessions;
use super::processes::{self, OwnLease, Renewal};
use crate::platform::Platform;
use crate::tables::{DEVICE_SESSIONS, DEVICES, PROCESSES};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{PRESENCE_LEASE, PRESENCE_WRITE_PERIOD};
use ferrohub_model::uid::uid_key;
use ferrohub_store::{StoreError, UnitOfWork};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Devices written in one unit: two expectations each and one more stay below `limits::UNIT_ROWS`.
const DEVICES_A_UNIT: usize = 200;
/// Tries to write the last ends of connections before the process goes; who cannot leaves it to its lease.
const LAST_TRIES: usize = 10;
/// Pause between them: ours.
const LAST_PAUSE: Duration = Duration::from_millis(200);

/// The one writer of a process.
pub(crate) struct PresenceWriter {
    platform: Arc<Platform>,
    lease: OwnLease,
}

/// A unit that was built for some devices.
#[derive(Default)]
struct Batch {
    unit: UnitOfWork,
    /// Devices that are written with it, with the number of what is written.
    done: Vec<(Uuid, u64)>,
    /// Devices to look at again: a later connection at another process stands.
    again: Vec<Uuid>,
}

impl PresenceWriter {
    pub(crate) fn new(platform: Arc<Platform>) -> Self {
        let lease = OwnLease::new(platform.presence.process());
        Self { platform, lease }
    }

    /// Writes for as long as it is polled. May be dropped at any moment; [`PresenceWriter::leave`] writes the rest.
    pub(crate) async fn run(&mut self) {
        let (presence, clock) = (Arc::clone(&self.platform.presence), Arc::clone(&self.platform.clock));
        loop {
            let holds = !presence.is_empty();
            tokio::select! {
                // Who connects in the next second is written with it.
                () = presence.noted() => clock.sleep(PRESENCE_WRITE_PERIOD).await,
                () = clock.sleep(PRESENCE_LEASE / 3), if holds => {}
            }
            if let Err(error) = self.write().await {
                tracing::warn!(%error, context = error.context, "connection states could not be written; they are tried again");
            }
        }
    }

    /// Writes the ends of connections, and that this process holds none any more.
    pub(crate) async fn leave(mut self) {
        let presence = Arc::clone(&self.platform.presence);
        for attempt in 1..=LAST_TRIES {
            // Also what a writer that was dropped had in hand.
            presence.note_all();
            let written = self.write().await;
            let gone = match written {
                Ok(()) => processes::retire(&self.platform, presence.process(), None).await,
                Err(error) => Err(error),
            };
            let Err(error) = gone else {
                presence.set_leased(false);
                return;
            };
            tracing::warn!(%error, context = error.context, attempt, "the ends of connections could not be written");
            self.platform.clock.sleep(LAST_PAUSE).await;
        }
    }

    /// Writes everything that waits now, and renews the lease where there are connections.
    async fn write(&mut self) -> Result<()> {
        let presence = Arc::clone(&self.platform.presence);
        if presence.is_empty() {
            return Ok(());
        }
        let (mut again, mut outcome) = (Vec::new(), Ok(()));
        loop {
            // Once for each unit: to write many takes its time.
            if let Err(error) = self.renew().await {
                outcome = Err(error);
                break;
            }
            let taken = presence.take(DEVICES_A_UNIT);
            if taken.is_empty() {
                break;
            }
            match self.write_some(&taken).await {
                Ok(later) => again.extend(later),
                Err(error) => {
                    again.extend(taken);
                    outcome = Err(error);
                    break;
                }
            }
        }
        presence.give_back(&again);
        outcome
    }

    async fn renew(&mut self) -> Result<()> {
        let renewal = self.lease.renew(&self.platform).await?;
        let presence = &self.platform.presence;
        if renewal == Renewal::Begun && presence.is_leased() {
            // Another process believed this one dead.
            tracing::warn!("the lease of this process was lost; all connections are written anew");
            presence.note_all();
        }
        presence.set_leased(true);
        Ok(())
    }

    /// Writes these devices; gives those to look at again.
    async fn write_some(&mut self, devices: &[Uuid]) -> Result<Vec<Uuid>> {
        let (mut devices, mut later) = (devices.to_vec(), Vec::new());
        let platform = Arc::clone(&self.platform);
        let mut attempts = platform.attempts();
        loop {
            attempts.begin(|| Error::unavailable("connection states are being changed by many at once", 1)).await?;
            let batch = self.build(&devices).await?;
            let committed = if batch.unit.is_empty() { Ok(()) } else { self.commit(batch.unit).await };
            match committed {
                Ok(()) => {
                    for (device, number) in batch.done {
                        self.platform.presence.settle(device, number);
                    }
                    later.extend(batch.again);
                    return Ok(later);
                }
                Err(StoreError::Conflict { table, .. }) if table == PROCESSES.name => {
                    self.lease.lose();
                    self.renew().await?;
                }
                // A device whose row is written by others right now shall not hold up the rest.
                Err(StoreError::Conflict { key_or_column, .. }) => {
                    let busy = |device: &Uuid| uid_key(*device) == key_or_column;
                    later.extend(devices.iter().copied().filter(busy));
                    devices.retain(|device| !busy(device));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn commit(&self, mut unit: UnitOfWork) -> std::result::Result<(), StoreError> {
        // Who takes this process off the list and this unit must not pass each other.
        unit.expect_exists(&PROCESSES, uid_key(self.platform.presence.process()));
        self.platform.store.commit(unit).await.map(|_| ())
    }

    async fn build(&self, devices: &[Uuid]) -> Result<Batch> {
        let (store, presence) = (self.platform.store.as_ref(), &self.platform.presence);
        let keys: Vec<String> = devices.iter().map(|device| uid_key(*device)).collect();
        let rows = store.get_many(&DEVICE_SESSIONS, &keys).await?;
        let new: Vec<String> =
            keys.iter().zip(&rows).filter(|(_, row)| row.is_none()).map(|(key, _)| key.clone()).collect();
        let known = if new.is_empty() { Vec::new() } else { store.get_many(&DEVICES, &new).await? };
        let mut known = known.iter();
        let (mut batch, mut leases) = (Batch::default(), HashMap::new());
        for (device, row) in devices.iter().copied().zip(&rows) {
            let deleted = row.is_none() && known.next().is_none_or(Option::is_none);
            let Some((seen, number)) = presence.sighting(device) else { continue };
            if deleted {
                batch.done.push((device, number));
                continue;
            }
            let was = device_sessions::from_row(row.as_deref())?;
            let holder = was.session.holder.filter(|holder| *holder != seen.process);
            let lives = match holder {
                Some(holder) => self.lives(holder, &mut leases).await?,
                None => false,
            };
            let mut next = was.session.clone();
            if !next.see(&seen, lives) {
                batch.again.push(device);
                continue;
            }
            batch.done.push((device, number));
            if next != was.session || !was.is_stored() {
                was.add(device, &next, &mut batch.unit)?;
            }
        }
        Ok(batch)
    }

    async fn lives(&self, process: Uuid, leases: &mut HashMap<Uuid, bool>) -> Result<bool> {
        if let Some(lives) = leases.get(&process) {
            return Ok(*lives);
        }
        let now = self.platform.now().as_microsecond();
        let until = processes::lease(self.platform.store.as_ref(), process, now).await?;
        let lives = until.is_some_and(|until| until >= now);
        leases.insert(process, lives);
        Ok(lives)
    }
}
