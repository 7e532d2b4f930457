//! Processes that hold connections of devices. What one says of its connections counts for as long as its lease holds.

use super::device_sessions;
use crate::lease;
use crate::platform::Platform;
use crate::tables::{DEVICE_SESSIONS, PROCESSES};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::PRESENCE_LEASE;
use ferrohub_model::uid::{parse_uid_key, uid_key};
use ferrohub_store::{Page, Pages, Put, Store, UnitOfWork};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Rows changed in one unit when a process is taken off the list, and processes read at a time.
const ROWS: usize = 200;
/// How long after its end a lease is still respected by the sweep, microseconds: ours. Views do not wait for it.
const GRACE_US: i64 = 60_000_000;

/// A process as it is stored.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Process {
    /// Until when it counts as living, microseconds since the Unix epoch.
    until: i64,
}

/// How long a lease lasts, microseconds.
fn length() -> i64 {
    i64::try_from(PRESENCE_LEASE.as_micros()).unwrap_or(i64::MAX)
}

/// Until when a process counts as living that is asked about at `now`, both in microseconds since the Unix epoch; `None`: it is
/// gone, or nobody knows since when because the clock was set back.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn lease(store: &dyn Store, process: Uuid, now: i64) -> Result<Option<i64>> {
    let row = store.get(&PROCESSES, &uid_key(process)).await?;
    let until = row.map(|row| row.parse::<Process>()).transpose()?.map(|process| process.until);
    Ok(until.filter(|until| lease::is_possible(*until, now, length())))
}

/// The processes that count as living at `now`.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn living(store: &dyn Store, now: Timestamp) -> Result<Vec<Uuid>> {
    let (now, mut living) = (now.as_microsecond(), Vec::new());
    let mut pages = Pages::scan(store, &PROCESSES, "", ROWS);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            let until = row.parse::<Process>()?.until;
            if until >= now && lease::is_possible(until, now, length()) {
                living.extend(parse_uid_key(&row.key));
            }
        }
    }
    Ok(living)
}

/// What a renewal found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Renewal {
    /// The lease holds, as it did.
    Holds,
    /// The lease is new: another process may have taken this one off the list and its connections with it.
    Begun,
}

/// The lease of this process.
pub(super) struct OwnLease {
    process: Uuid,
    /// Version of the row, and until when it holds.
    held: Option<(u64, i64)>,
}

impl OwnLease {
    pub(super) fn new(process: Uuid) -> Self {
        Self { process, held: None }
    }

    /// Forgets what is known of the row, so that the next renewal begins anew.
    pub(super) fn lose(&mut self) {
        self.held = None;
    }

    /// Extends the lease once a third of it has passed.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(super) async fn renew(&mut self, platform: &Platform) -> Result<Renewal> {
        let now = platform.now().as_microsecond();
        if self.held.is_some_and(|(_, until)| lease::is_fresh(until, now, length())) {
            return Ok(Renewal::Holds);
        }
        let begun = self.held.is_none();
        let (key, process) = (uid_key(self.process), Process { until: now.saturating_add(length()) });
        let mut attempts = platform.attempts();
        loop {
            attempts.begin(|| Error::unavailable("the row of this process is being changed by another", 1)).await?;
            let mut unit = UnitOfWork::new();
            if self.held.is_none() {
                let found = platform.store.get(&PROCESSES, &key).await?;
                self.held = found.map(|row| (row.version, 0));
            }
            match self.held {
                Some((version, _)) => unit.expect_version(&PROCESSES, key.clone(), version),
                None => unit.expect_absent(&PROCESSES, key.clone()),
            };
            unit.put(Put::new(&PROCESSES, key.clone(), Vec::new(), &process)?);
            match platform.store.commit(unit).await {
                Ok(committed) => {
                    self.held = committed.versions.first().map(|version| (*version, process.until));
                    return Ok(if begun || attempts.again() { Renewal::Begun } else { Renewal::Holds });
                }
                Err(error) if error.is_conflict() => self.held = None,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Takes the processes off the list whose lease ended a while before `now`, and says how many: their devices are
/// disconnected since then.
///
/// # Errors
/// When the store cannot be read or written.
pub(crate) async fn sweep(platform: &Platform, now: Timestamp) -> Result<usize> {
    let (now, mut gone) = (now.as_microsecond(), 0);
    let mut pages = Pages::scan(platform.store.as_ref(), &PROCESSES, "", ROWS);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            let until = row.parse::<Process>()?.until;
            let process = parse_uid_key(&row.key).filter(|process| *process != platform.presence.process());
            if let Some(process) = process.filter(|_| until.saturating_add(GRACE_US) < now) {
                retire(platform, process, Some(until)).await?;
                gone += 1;
            }
        }
    }
    Ok(gone)
}

/// Writes that no device is connected to `process` since `ended` (now, where it is not given), and takes it off the list. Does
/// nothing more when the process turns out to live: when its lease is not the one that ended then.
///
/// # Errors
/// When the store cannot be read or written.
pub(super) async fn retire(platform: &Platform, process: Uuid, ended: Option<i64>) -> Result<()> {
    let (store, key) = (platform.store.as_ref(), uid_key(process));
    let mut attempts = platform.attempts();
    loop {
        // A device that comes back meanwhile makes the unit fail; where that does not end, the next sweep goes on.
        attempts.begin(|| Error::unavailable("the devices of a process that is gone change all the time", 1)).await?;
        let Some(row) = store.get(&PROCESSES, &key).await? else { return Ok(()) };
        if ended.is_some_and(|ended| row.parse::<Process>().is_ok_and(|process| process.until != ended)) {
            return Ok(());
        }
        let at = ended.unwrap_or_else(|| platform.now().as_microsecond());
        let held = store.find(&DEVICE_SESSIONS, "process", &key, Page::first(ROWS)).await?;
        let mut unit = UnitOfWork::new();
        unit.expect_version(&PROCESSES, key.clone(), row.version);
        if held.is_empty() {
            unit.delete(&PROCESSES, key.clone());
        }
        for row in &held {
            let was = device_sessions::from_row(Some(row))?;
            let mut next = was.session.clone();
            next.end(at);
            if let Some(device) = parse_uid_key(&row.key) {
                was.add(device, &next, &mut unit)?;
            }
        }
        match store.commit(unit).await {
            Ok(_) if held.is_empty() => return Ok(()),
            Ok(_) => attempts = platform.attempts(),
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
    }
}
