//! Rows of device sessions: what all processes know of a device's connections, and what is remembered of lasting sessions.

use super::identity::DeviceRef;
use super::{contended, processes, twins};
use crate::platform::{Change, Platform};
use crate::tables::{DEVICE_SESSIONS, DEVICES, PROCESSES, TWINS};
use ferrohub_model::device::{ConnectionView, DeviceIdentity};
use ferrohub_model::device_session::{DeviceSession, SessionKind, Sighting, Subscriptions};
use ferrohub_model::error::Result;
use ferrohub_model::uid::{parse_uid_key, uid_key};
use ferrohub_store::{Put, Row, Store, StoreError, UnitOfWork};
use std::collections::HashMap;
use uuid::Uuid;

/// Under which name a row remembers the session of whom it is of: each module has a row of its own.
const OWN: &str = "";

/// A device session with the version of its row; no version: there is no row yet.
#[derive(Debug, Clone, Default)]
pub(super) struct StoredSession {
    pub(super) session: DeviceSession,
    version: Option<u64>,
}

/// The session of the device with this uid.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn load(store: &dyn Store, device: Uuid) -> Result<StoredSession> {
    from_row(store.get(&DEVICE_SESSIONS, &uid_key(device)).await?.as_deref())
}

/// The session in a row of [`DEVICE_SESSIONS`], or of a device that has none.
///
/// # Errors
/// Internal, when the document does not parse.
pub(super) fn from_row(row: Option<&Row>) -> Result<StoredSession> {
    let Some(row) = row else { return Ok(StoredSession::default()) };
    let mut session = row.parse::<DeviceSession>()?.as_ref().clone();
    session.holder = row.columns.first().and_then(Option::as_deref).and_then(parse_uid_key);
    Ok(StoredSession { session, version: Some(row.version) })
}

impl StoredSession {
    /// Whether there is a row.
    pub(super) fn is_stored(&self) -> bool {
        self.version.is_some()
    }

    /// Adds the changed session to `unit`, which does not hold when the row changed meanwhile, or the device is gone.
    ///
    /// # Errors
    /// When the document does not serialize.
    pub(super) fn add(
        &self,
        device: Uuid,
        next: &DeviceSession,
        unit: &mut UnitOfWork,
    ) -> std::result::Result<(), StoreError> {
        let key = uid_key(device);
        match self.version {
            // The row goes with its device.
            Some(version) => unit.expect_version(&DEVICE_SESSIONS, key.clone(), version),
            None => unit.expect_absent(&DEVICE_SESSIONS, key.clone()).expect_exists(&DEVICES, key.clone()),
        };
        unit.put(Put::new(&DEVICE_SESSIONS, key, vec![next.holder.map(uid_key)], next)?);
        Ok(())
    }
}

/// How a device's connection is shown: as this process knows it where it holds the connection, else as the row says.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn connection(platform: &Platform, device: &DeviceIdentity) -> Result<ConnectionView> {
    let own = platform.presence.sighting(device.uid).map(|(seen, _)| seen);
    let mut session = DeviceSession::default();
    if !own.is_some_and(|seen| seen.connected) {
        session = load(platform.store.as_ref(), device.uid).await?.session;
    }
    shown(platform, session, own, &mut HashMap::new()).await
}

/// The same of many devices, in their order, from one look at their rows.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn connections(platform: &Platform, devices: &[DeviceIdentity]) -> Result<Vec<ConnectionView>> {
    let keys: Vec<String> = devices.iter().map(|device| uid_key(device.uid)).collect();
    let rows = platform.store.get_many(&DEVICE_SESSIONS, &keys).await?;
    let (mut views, mut leases) = (Vec::with_capacity(devices.len()), HashMap::new());
    for (device, row) in devices.iter().zip(&rows) {
        let own = platform.presence.sighting(device.uid).map(|(seen, _)| seen);
        views.push(shown(platform, from_row(row.as_deref())?.session, own, &mut leases).await?);
    }
    Ok(views)
}

/// A session as it is shown; `leases` are those that were looked up before.
async fn shown(
    platform: &Platform,
    mut session: DeviceSession,
    own: Option<Sighting>,
    leases: &mut HashMap<Uuid, Option<i64>>,
) -> Result<ConnectionView> {
    let now = platform.now().as_microsecond();
    if let Some(seen) = &own {
        session.see(seen, true);
    }
    let lease = match session.holder {
        // What this process holds, it knows.
        Some(holder) if holder == platform.presence.process() => own.filter(|seen| seen.connected).map(|_| now),
        Some(holder) => match leases.get(&holder) {
            Some(known) => *known,
            None => {
                let lease = processes::lease(platform.store.as_ref(), holder, now).await?;
                leases.insert(holder, lease);
                lease
            }
        },
        None => None,
    };
    Ok(session.view(lease, now))
}

/// What a connection of `kind` begins with: nothing for a clean one, which also forgets; what was remembered of a lasting one.
/// The twin says whether there can be anything, so that most connections cost no look at all.
///
/// # Errors
/// When the store cannot be read or written.
pub(super) async fn begin(
    platform: &Platform,
    device: DeviceRef<'_>,
    kind: SessionKind,
    had_one: bool,
) -> Result<Option<Subscriptions>> {
    if !had_one {
        return Ok(None);
    }
    let found = load(platform.store.as_ref(), device.uid).await?.session.remembered.get(OWN).copied();
    match (kind, found) {
        (SessionKind::Lasting, found) => Ok(found),
        (SessionKind::Clean, None) => Ok(None),
        (SessionKind::Clean, Some(_)) => {
            remember(platform, device, None, || Ok(())).await?;
            Ok(None)
        }
    }
}

/// Remembers what a device wants to hear, or forgets it; committed when it returns. `may` is asked before each try.
///
/// # Errors
/// What `may` refuses with; `DeviceNotFound` when the device was deleted; when the store cannot be written.
pub(super) async fn remember(
    platform: &Platform,
    device: DeviceRef<'_>,
    wanted: Option<Subscriptions>,
    may: impl Fn() -> Result<()>,
) -> Result<()> {
    let _turn = platform.twin_turn(&device.client.to_string()).await;
    let mut attempts = platform.attempts();
    loop {
        attempts.begin(|| contended(&format!("The session of '{}'", device.client))).await?;
        may()?;
        let was = load(platform.store.as_ref(), device.uid).await?;
        let mut next = was.session.clone();
        let before = match wanted {
            Some(wanted) => next.remembered.insert(OWN.to_owned(), wanted),
            None => next.remembered.remove(OWN),
        };
        if before == wanted {
            return Ok(());
        }
        let mut change = Change::new();
        // What is to be written of the connection goes along, where another try did not fail with it.
        let seen =
            platform.presence.sighting(device.uid).filter(|_| platform.presence.is_leased() && !attempts.again());
        let seen = seen.filter(|(seen, _)| next.see(seen, true));
        if seen.is_some() {
            change.unit.expect_exists(&PROCESSES, uid_key(platform.presence.process()));
        }
        was.add(device.uid, &next, &mut change.unit)?;
        if wanted.is_some() {
            mark_twin(platform, device, &mut change).await?;
        }
        if platform.try_commit(change).await? {
            if let Some((_, number)) = seen {
                platform.presence.settle(device.uid, number);
            }
            return Ok(());
        }
    }
}

/// Notes in the twin that from now on there is something to look for.
async fn mark_twin(platform: &Platform, device: DeviceRef<'_>, change: &mut Change) -> Result<()> {
    let was = twins::require(platform, device).await?;
    if was.twin.had_lasting_session {
        return Ok(());
    }
    let mut twin = (*was.twin).clone();
    twin.had_lasting_session = true;
    // No change that anybody is told of: versions stay.
    change.unit.expect_version(&TWINS, uid_key(device.uid), was.version);
    change.unit.put(twins::put(device.uid, &twin)?);
    Ok(())
}
