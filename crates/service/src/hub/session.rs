//! An open connection of a device: what it may send, what it is told, and what ends it.

use super::access::HubKeys;
use super::connect::{Proof, recheck_token};
use super::presence::Present;
use super::telemetry::{self, Telemetry};
use super::trust::Trust;
use super::{HubRef, HubService, identity, twins};
use crate::platform::{self, Platform};
use crate::resources;
use ferrohub_messaging::{Claim, Delivery, Subscription, partition_for};
use ferrohub_model::device::{DeviceIdentity, DeviceStatus};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::message::Origin;
use ferrohub_model::time::rfc3339;
use ferrohub_model::twin::DesiredChange;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// The longest sleep until the clock is looked at again, so that a corrected clock is noticed: ours.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The device connected again (IoT Hub's 400027 ConnectionForcefullyClosedOnNewConnection).
    Replaced,
    /// The device was disabled.
    Disabled,
    /// The device was deleted.
    Deleted,
    /// The key or certificate that the connection rests on was changed.
    CredentialsChanged,
    /// The hub does not trust the chain any more.
    TrustLost,
    /// The hub was deleted.
    HubDeleted,
    /// The SAS token's time is over.
    TokenExpired,
    /// A check that must be made could not be made; the device may come back at once.
    Unavailable,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replaced => "the device connected again",
            Self::Disabled => "the device was disabled",
            Self::Deleted => "the device was deleted",
            Self::CredentialsChanged => "the credentials of the device were changed",
            Self::TrustLost => "the hub no longer trusts the device's certificate chain",
            Self::HubDeleted => "the hub was deleted",
            Self::TokenExpired => "the SAS token expired",
            Self::Unavailable => "the connection could not be checked",
        })
    }
}

/// What a session tells its front door.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionEvent {
    /// Desired properties changed; the patch carries `$version`.
    Desired {
        /// The new `$version`.
        version: u64,
        /// The patch.
        patch: Value,
    },
    /// The connection must be closed.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// The subscriptions of a session.
pub(super) struct Ears {
    device: Subscription,
    desired: Subscription,
    trust: Subscription,
}

/// What a device may do with its connection. Cheap to share between the tasks of one connection.
pub struct Link {
    platform: Arc<Platform>,
    hub: Uuid,
    partition: u16,
    origin: Origin,
    present: Present,
    closed: AtomicBool,
}

/// What has to be looked at before the next wait. Kept in the session, so that dropping
/// [`Session::next_event`] half-way forgets nothing.
#[derive(Default)]
struct Todo {
    device: bool,
    trust: bool,
    desired: Option<DesiredChange>,
    all_desired: bool,
    bus_is_gone: bool,
}

/// An open connection of a device. The device counts as disconnected when the session and all its links are dropped.
pub struct Session {
    link: Arc<Link>,
    hub: HubRef,
    uid: Uuid,
    proof: Proof,
    chain: Vec<Vec<u8>>,
    trust: Arc<Trust>,
    keys: Arc<HubKeys>,
    claim: Claim,
    ears: Ears,
    todo: Todo,
    /// `$version` of the desired properties that the device knows of.
    told: u64,
    closed: Option<CloseReason>,
}

impl HubService {
    pub(super) async fn listen(&self, hub: &HubRef, device_id: &str) -> Result<Ears> {
        let bus = &self.platform.bus;
        Ok(Ears {
            device: bus.subscribe(&platform::device_subject(hub.uid, device_id)).await?,
            desired: bus.subscribe(&platform::desired_subject(hub.uid, device_id)).await?,
            trust: bus.subscribe(&platform::trust_subject(hub.uid)).await?,
        })
    }

    pub(super) async fn open_session(
        &self,
        hub: HubRef,
        device: DeviceIdentity,
        proof: Proof,
        chain: Vec<Vec<u8>>,
        ears: Ears,
    ) -> Result<Session> {
        let told = twins::require(&self.platform, hub.uid, &device.device_id).await?.twin.desired.version;
        // Only an authenticated device gets here, so a stranger cannot throw one out.
        let claim = self.platform.bus.claim(&platform::device_subject(hub.uid, &device.device_id)).await?;
        let link = Arc::new(Link {
            platform: Arc::clone(&self.platform),
            hub: hub.uid,
            partition: partition_for(&device.device_id, hub.partition_count),
            present: self.presence.enter(hub.uid, &device.device_id, Arc::clone(&self.platform.clock)),
            origin: Origin { device_id: device.device_id, generation_id: device.generation_id, method: proof.method() },
            closed: AtomicBool::new(false),
        });
        let chain = if matches!(proof, Proof::Chain { .. }) { chain } else { Vec::new() };
        let (trust, keys) = (Arc::clone(&self.trust), Arc::clone(&self.keys));
        Ok(Session {
            link,
            hub,
            uid: device.uid,
            proof,
            chain,
            trust,
            keys,
            claim,
            ears,
            todo: Todo::default(),
            told,
            closed: None,
        })
    }
}

impl Link {
    /// The device id.
    pub fn device_id(&self) -> &str {
        &self.origin.device_id
    }

    /// Appends messages to the hub's log; they are on disk when this returns `Ok`.
    ///
    /// # Errors
    /// 413001 or 400004 for a message against the rules, and then none is stored; the log's own errors.
    pub async fn publish(&self, messages: Vec<Telemetry>) -> Result<()> {
        self.check_open()?;
        let enqueued = rfc3339(self.platform.now());
        let event = |message| telemetry::event(message, self.hub, self.partition, &self.origin, &enqueued);
        let events = messages.into_iter().map(event).collect::<Result<Vec<_>>>()?;
        self.present.heard();
        if !events.is_empty() {
            self.platform.log.append(events).await?;
        }
        Ok(())
    }

    /// The twin as the device sees it: `{desired, reported}`.
    ///
    /// # Errors
    /// `DeviceNotFound` (404001) when the device was deleted; when the store cannot be read.
    pub async fn twin(&self) -> Result<Value> {
        self.check_open()?;
        self.present.heard();
        Ok(twins::require(&self.platform, self.hub, self.device_id()).await?.twin.device_view())
    }

    /// Merges a patch into the reported properties and gives their new `$version`.
    ///
    /// # Errors
    /// `ArgumentInvalid` (400004) naming the path and the limit; when the store cannot be written.
    pub async fn patch_reported(&self, patch: Value) -> Result<u64> {
        self.check_open()?;
        self.present.heard();
        twins::report(&self.platform, self.hub, self.device_id(), &patch).await
    }

    /// Notes that the device was heard, for a keep-alive.
    pub fn heard(&self) {
        self.present.heard();
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::unauthenticated("The connection was closed; connect again.")
                .with_code("IotHubUnauthorized")
                .with_iot_code(401_003));
        }
        Ok(())
    }
}

impl Session {
    /// What the device may do, to share with other tasks of the connection.
    pub fn link(&self) -> Arc<Link> {
        Arc::clone(&self.link)
    }

    /// [`Link::publish`].
    ///
    /// # Errors
    /// As there.
    pub async fn publish(&self, messages: Vec<Telemetry>) -> Result<()> {
        self.link.publish(messages).await
    }

    /// [`Link::twin`].
    ///
    /// # Errors
    /// As there.
    pub async fn twin(&self) -> Result<Value> {
        self.link.twin().await
    }

    /// [`Link::patch_reported`].
    ///
    /// # Errors
    /// As there.
    pub async fn patch_reported(&self, patch: Value) -> Result<u64> {
        self.link.patch_reported(patch).await
    }

    /// Waits for the next event. May be dropped and called again without loss. After `Closed` it gives `Closed` again.
    pub async fn next_event(&mut self) -> SessionEvent {
        loop {
            if let Some(reason) = self.ended().await {
                self.closed = Some(reason);
                self.link.closed.store(true, Ordering::Release);
                return SessionEvent::Closed { reason };
            }
            if let Some(change) = self.next_desired().await {
                return SessionEvent::Desired { version: change.version, patch: change.patch };
            }
            self.wait().await;
        }
    }

    /// Waits until something is to be looked at; writes into `todo` only after the wait.
    async fn wait(&mut self) {
        let sleep = self.proof.expiry_unix().map_or(LONGEST_SLEEP, |expiry| {
            let left = expiry.saturating_sub(self.link.platform.clock.unix_seconds());
            Duration::from_secs(u64::try_from(left).unwrap_or(0)).min(LONGEST_SLEEP)
        });
        tokio::select! {
            () = self.claim.lost() => {}
            delivery = self.ears.device.next() => self.todo.note_device(delivery.as_ref()),
            delivery = self.ears.trust.next() => self.todo.note_trust(delivery.as_ref()),
            delivery = self.ears.desired.next() => self.todo.note_desired(delivery),
            () = tokio::time::sleep(sleep) => {}
        }
    }

    async fn ended(&mut self) -> Option<CloseReason> {
        if self.closed.is_some() {
            return self.closed;
        }
        if self.claim.is_lost() {
            return Some(CloseReason::Replaced);
        }
        if self.todo.bus_is_gone {
            return Some(CloseReason::Unavailable);
        }
        if self.proof.expiry_unix().is_some_and(|expiry| self.link.platform.clock.unix_seconds() >= expiry) {
            return Some(CloseReason::TokenExpired);
        }
        if self.todo.device {
            let reason = self.check_device().await;
            if reason.is_some() {
                return reason;
            }
            self.todo.device = false;
        }
        if self.todo.trust {
            let reason = self.check_trust().await;
            if reason.is_some() {
                return reason;
            }
            self.todo.trust = false;
        }
        None
    }

    async fn check_device(&self) -> Option<CloseReason> {
        let found = match identity::load(self.link.platform.store.as_ref(), self.hub.uid, self.link.device_id()).await {
            Ok(found) => found,
            Err(error) => return Some(self.unavailable(&error)),
        };
        let Some(device) = found.map(|found| found.device).filter(|device| device.uid == self.uid) else {
            return Some(CloseReason::Deleted);
        };
        if device.status == DeviceStatus::Disabled {
            return Some(CloseReason::Disabled);
        }
        (!self.proof.still_holds(&device)).then_some(CloseReason::CredentialsChanged)
    }

    /// The hub was written, or the CAs that it trusts.
    async fn check_trust(&self) -> Option<CloseReason> {
        let platform = &self.link.platform;
        let found = match resources::get(platform.store.as_ref(), &self.hub.id).await {
            Ok(found) => found.filter(|hub| hub.resource.uid == self.hub.uid).map(HubRef::of).transpose(),
            Err(error) => Err(error),
        };
        let hub = match found {
            Ok(Some(hub)) => hub,
            Ok(None) => return Some(CloseReason::HubDeleted),
            Err(error) => return Some(self.unavailable(&error)),
        };
        let token = recheck_token(platform, &self.keys, &hub, self.link.device_id(), &self.proof).await;
        if let Err(error) = token {
            return Some(self.refused(&error, CloseReason::CredentialsChanged));
        }
        if self.chain.is_empty() {
            return None;
        }
        let verified = self.trust.verify(platform.store.as_ref(), &hub, &self.chain, platform.now()).await;
        verified.err().map(|error| self.refused(&error, CloseReason::TrustLost))
    }

    /// `reason` when the check itself said no, else that it could not be made.
    fn refused(&self, error: &Error, reason: CloseReason) -> CloseReason {
        if error.kind == ErrorKind::Unauthenticated { reason } else { self.unavailable(error) }
    }

    fn unavailable(&self, error: &Error) -> CloseReason {
        tracing::warn!(%error, context = error.context, device = self.link.device_id(), "a session ends because it could not be checked");
        CloseReason::Unavailable
    }

    /// The next change that the device does not know yet. A gap in the versions, or lost notices, are filled
    /// with all desired properties.
    async fn next_desired(&mut self) -> Option<DesiredChange> {
        if let Some(change) = self.todo.desired.take() {
            if change.version == self.told.saturating_add(1) {
                self.told = change.version;
                return Some(change);
            }
            self.todo.all_desired |= change.version > self.told;
        }
        if !self.todo.all_desired {
            return None;
        }
        let found = twins::require(&self.link.platform, self.hub.uid, self.link.device_id()).await;
        self.todo.all_desired = false;
        match found {
            Ok(stored) if stored.twin.desired.version > self.told => {
                self.told = stored.twin.desired.version;
                Some(DesiredChange { version: self.told, patch: stored.twin.desired_view() })
            }
            Ok(_) => None,
            Err(error) => {
                // The device's next look at its twin shows the change; closing would help no more.
                tracing::warn!(%error, context = error.context, device = self.link.device_id(), "desired properties could not be read");
                None
            }
        }
    }
}

impl Todo {
    /// A lost notice is noted like one that came. Without a bus nothing keeps the connection honest.
    fn note_device(&mut self, delivery: Option<&Delivery>) {
        self.device = true;
        self.bus_is_gone |= delivery.is_none();
    }

    fn note_trust(&mut self, delivery: Option<&Delivery>) {
        self.trust = true;
        self.bus_is_gone |= delivery.is_none();
    }

    fn note_desired(&mut self, delivery: Option<Delivery>) {
        match delivery {
            Some(Delivery::Message(payload)) => {
                self.desired = serde_json::from_slice(&payload).ok();
                self.all_desired |= self.desired.is_none();
            }
            Some(Delivery::Lagged(_)) => self.all_desired = true,
            None => self.bus_is_gone = true,
        }
    }
}
