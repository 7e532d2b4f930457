//! An open session of a device: what it may send, what it is told, and what ends it.

use super::connect::{Proof, recheck_token};
use super::device_connection::{DeviceConnection, Lasting};
use super::identity::{ClientId, DeviceRef};
use super::patience::Patience;
use super::renewal::RenewalEnded;
use super::telemetry::Telemetry;
use super::trust::Trust;
use super::{HubRef, HubService, device_sessions, identity, twins};
use crate::authz::{Actor, DeviceProof};
use crate::platform;
use ferrohub_messaging::{Claim, Delivery, Subscription, partition_for};
use ferrohub_model::device::{DeviceIdentity, DeviceStatus};
use ferrohub_model::device_session::Subscriptions;
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::message::Origin;
use ferrohub_model::network::Peer;
use ferrohub_model::twin::DesiredChange;
use serde_json::Value;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
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
    /// The hub does not let the device's address in any more.
    AddressRefused,
    /// The hub was deleted.
    HubDeleted,
    /// The SAS token's time is over.
    TokenExpired,
    /// The `notAfter` of the device's certificate passed.
    CertificateExpired,
    /// A check that must be made could not be made, or not for a minute; the device may come back at once.
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
            Self::AddressRefused => "the hub no longer lets the device's address in",
            Self::HubDeleted => "the hub was deleted",
            Self::TokenExpired => "the SAS token expired",
            Self::CertificateExpired => "the device's certificate expired",
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
    /// Renewals of the device's certificate have ended.
    Renewed {
        /// What they came to. Each is told again until [`DeviceConnection::renewals_delivered`] says that the device has it.
        ended: Vec<RenewalEnded>,
    },
    /// The connection must be closed.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// What a session listens to.
pub(super) struct Ears {
    device: Subscription,
    /// What a module's device hears: a module goes, and is shut out, with it.
    owner: Option<Subscription>,
    desired: Subscription,
    trust: Subscription,
}

/// From where a device came.
pub(super) struct From {
    /// Certificates of the TLS peer, leaf first.
    pub(super) chain: Vec<Vec<u8>>,
    pub(super) peer: Peer,
}

/// What has to be looked at before the next wait. Kept in the session, so that dropping
/// [`OpenSession::next_event`] half-way forgets nothing.
#[derive(Default)]
struct Todo {
    device: bool,
    trust: bool,
    renewals: bool,
    desired: Option<DesiredChange>,
    all_desired: bool,
    bus_is_gone: bool,
}

/// The session of a device that is connected. The device counts as disconnected when the session, and every hold on its connection,
/// is dropped.
///
/// It ends by itself when what it rests on ends: the SAS token with its `se`, the client certificate with its
/// `notAfter`. Of a change of the device, of the hub or of its trust it hears by a notice, and looks at them again. When
/// the store is too busy for that, the session stays open, keeps in mind what it must look at, gives out no desired
/// properties, and tries again after random pauses of up to 5 seconds; after 60 seconds without an answer it closes.
pub struct OpenSession {
    connection: Arc<DeviceConnection>,
    hub: Uuid,
    uid: Uuid,
    proof: Proof,
    chain: Vec<Vec<u8>>,
    peer: Peer,
    trust: Arc<Trust>,
    claim: Arc<Claim>,
    ears: Ears,
    todo: Todo,
    patience: Patience,
    /// `$version` of the desired properties that the device knows of.
    told: u64,
    closed: Option<CloseReason>,
}

impl HubService {
    pub(super) async fn listen(&self, hub: &HubRef, client: ClientId<'_>) -> Result<Ears> {
        let bus = &self.platform.bus;
        let owner = client.module_id.map(|_| platform::device_subject(hub.uid, client.device_id));
        let name = client.to_string();
        Ok(Ears {
            device: bus.subscribe(&platform::device_subject(hub.uid, &name)).await?,
            owner: match owner {
                Some(subject) => Some(bus.subscribe(&subject).await?),
                None => None,
            },
            desired: bus.subscribe(&platform::desired_subject(hub.uid, &name)).await?,
            trust: bus.subscribe(&platform::trust_subject(hub.uid)).await?,
        })
    }

    pub(super) async fn open_session(
        &self,
        hub: &HubRef,
        device: &DeviceIdentity,
        lasting: Lasting,
        proof: Proof,
        from: From,
        ears: Ears,
    ) -> Result<OpenSession> {
        let twin = twins::outline(&self.platform, DeviceRef::of(device)).await?;
        let told = twin.desired.version;
        if let Some(model) = lasting.model_id.as_deref().filter(|model| *model != twin.model_id) {
            twins::announce(&self.platform, DeviceRef::of(device), model).await?;
        }
        let had_one = twin.had_lasting_session;
        let remembered = device_sessions::begin(&self.platform, DeviceRef::of(device), lasting.kind, had_one).await?;
        // What ended while the device was away; the device itself asks by subscribing, unless that is remembered.
        let hears_of_renewals = remembered.is_some_and(|wanted| wanted.credentials);
        if hears_of_renewals {
            // The connection before this one may just be noting what arrived; whoever reads after this turn sees it.
            drop(self.platform.twin_turn(&device.client()).await);
        }
        // Only an authenticated device gets here, so a stranger cannot throw one out.
        let claim = self.platform.bus.claim(&platform::device_subject(hub.uid, &device.client())).await?;
        let claim = Arc::new(claim);
        let counted = device.module_id.is_none().then_some(hub.uid);
        let connection = Arc::new(DeviceConnection {
            platform: Arc::clone(&self.platform),
            uid: device.uid,
            actor: Actor::device(DeviceProof { home: hub.uid, id: device.client() }),
            hub: hub.uid,
            partition: partition_for(&device.device_id, hub.partition_count),
            present: self.platform.presence.enter(device.uid, counted, Arc::clone(&claim))?,
            remembered: Mutex::new(remembered),
            origin: Origin {
                device_id: device.device_id.clone(),
                module_id: device.module_id.clone(),
                generation_id: device.generation_id.clone(),
                method: if device.module_id.is_some() { proof.method().of_module() } else { proof.method() },
                model_id: lasting.model_id.clone(),
            },
            keeps_messages: AtomicBool::new(hub.keeps_messages()),
            lasting,
            closed: AtomicBool::new(false),
            credential_id: proof.credential_id(),
            may_fault: hub.allows_faults(),
        });
        let chain = if matches!(proof, Proof::Chain { .. }) { from.chain } else { Vec::new() };
        let trust = Arc::clone(&self.trust);
        Ok(OpenSession {
            connection,
            hub: hub.uid,
            uid: device.uid,
            proof,
            chain,
            peer: from.peer,
            trust,
            claim,
            ears,
            todo: Todo { renewals: hears_of_renewals, ..Todo::default() },
            patience: Patience::default(),
            told,
            closed: None,
        })
    }
}

impl OpenSession {
    /// What the device may do, to share with other tasks of the connection.
    pub fn connection(&self) -> Arc<DeviceConnection> {
        Arc::clone(&self.connection)
    }

    /// What was remembered of an earlier lasting session when this one began; `None`: there was none.
    pub fn remembered(&self) -> Option<Subscriptions> {
        self.connection.remembered()
    }

    /// [`DeviceConnection::publish`].
    ///
    /// # Errors
    /// As there.
    pub async fn publish(&self, messages: &[Telemetry]) -> Result<()> {
        self.connection.publish(messages).await
    }

    /// [`DeviceConnection::twin`].
    ///
    /// # Errors
    /// As there.
    pub async fn twin(&self) -> Result<Value> {
        self.connection.twin().await
    }

    /// [`DeviceConnection::patch_reported`].
    ///
    /// # Errors
    /// As there.
    pub async fn patch_reported(&self, patch: Value, version: Option<u64>) -> Result<u64> {
        self.connection.patch_reported(patch, version).await
    }

    /// Waits for the next event. May be dropped and called again without loss. After `Closed` it gives `Closed` again.
    pub async fn next_event(&mut self) -> SessionEvent {
        loop {
            // Boxed: a session that waits, which is what it mostly does, does not keep room for the checks.
            match Box::pin(self.look()).await {
                Ok(Some(event)) => return event,
                Ok(None) => {}
                Err(error) => {
                    if let Some(reason) = self.postpone(&error) {
                        return self.close(reason);
                    }
                }
            }
            self.wait().await;
        }
    }

    /// Waits until something is to be looked at; writes into `todo` only after the wait.
    async fn wait(&mut self) {
        let left = self.proof.expiry_unix().saturating_sub(self.connection.platform.clock.unix_seconds());
        let sleep = Duration::from_secs(u64::try_from(left).unwrap_or(0)).min(LONGEST_SLEEP);
        let clock = &self.connection.platform.clock;
        let until = clock.monotonic() + sleep;
        let until = self.patience.due().map_or(until, |due| due.min(until));
        let sleep = clock.sleep_until(until);
        tokio::select! {
            () = self.claim.lost() => {}
            delivery = self.ears.device.next() => self.todo.note_device(delivery.as_ref()),
            delivery = heard_of(self.ears.owner.as_mut()) => self.todo.note_device(delivery.as_ref()),
            delivery = self.ears.trust.next() => self.todo.note_trust(delivery.as_ref()),
            delivery = self.ears.desired.next() => self.todo.note_desired(delivery),
            () = sleep => {}
        }
    }

    /// Looks at everything that is to be looked at, unless the pause after a failed try is not over.
    async fn look(&mut self) -> Result<Option<SessionEvent>> {
        if let Some(reason) = self.over() {
            return Ok(Some(self.close(reason)));
        }
        if self.patience.waits(self.connection.platform.clock.monotonic()) {
            return Ok(None);
        }
        if let Some(reason) = self.check().await? {
            return Ok(Some(self.close(reason)));
        }
        if self.todo.renewals {
            let ended = self.connection.read_ended().await?;
            self.todo.renewals = false;
            self.patience.rest();
            if !ended.is_empty() {
                return Ok(Some(SessionEvent::Renewed { ended }));
            }
        }
        let change = self.next_desired().await?;
        self.patience.rest();
        Ok(change.map(|change| SessionEvent::Desired { version: change.version, patch: change.patch }))
    }

    fn close(&mut self, reason: CloseReason) -> SessionEvent {
        self.closed = Some(reason);
        self.connection.closed.store(true, Ordering::Release);
        SessionEvent::Closed { reason }
    }

    /// Keeps a check that the store was too busy for; gives why the session ends when it cannot be kept.
    fn postpone(&mut self, error: &Error) -> Option<CloseReason> {
        let busy = error.kind == ErrorKind::Unavailable;
        let platform = &self.connection.platform;
        if busy && self.patience.failed(platform.clock.monotonic(), platform.random.as_ref()) {
            tracing::debug!(%error, device = self.connection.device_id(), "a session will be checked later");
            return None;
        }
        tracing::warn!(%error, context = error.context, device = self.connection.device_id(), "a session ends because it could not be checked");
        Some(CloseReason::Unavailable)
    }

    /// What ends the session without a look at the store.
    fn over(&self) -> Option<CloseReason> {
        if self.closed.is_some() {
            return self.closed;
        }
        if self.claim.is_lost() {
            return Some(CloseReason::Replaced);
        }
        if self.todo.bus_is_gone {
            return Some(CloseReason::Unavailable);
        }
        (self.connection.platform.clock.unix_seconds() >= self.proof.expiry_unix()).then(|| self.proof.expired())
    }

    async fn check(&mut self) -> Result<Option<CloseReason>> {
        if self.todo.device {
            let reason = self.check_device().await?;
            if reason.is_some() {
                return Ok(reason);
            }
            self.todo.device = false;
        }
        if self.todo.trust {
            let reason = self.check_trust().await?;
            if reason.is_some() {
                return Ok(reason);
            }
            self.todo.trust = false;
        }
        Ok(None)
    }

    async fn check_device(&self) -> Result<Option<CloseReason>> {
        let (store, client) = (self.connection.platform.store.as_ref(), self.connection.client());
        let found = identity::load(store, self.hub, client).await?;
        let Some(device) = found.map(|found| found.device).filter(|device| device.uid == self.uid) else {
            return Ok(Some(CloseReason::Deleted));
        };
        if device.status == DeviceStatus::Disabled {
            return Ok(Some(CloseReason::Disabled));
        }
        if client.module_id.is_some() {
            // A module has no status of its own.
            let owner = identity::load(store, self.hub, client.device_id).await?;
            match owner.map(|owner| owner.device.status) {
                None => return Ok(Some(CloseReason::Deleted)),
                Some(DeviceStatus::Disabled) => return Ok(Some(CloseReason::Disabled)),
                Some(DeviceStatus::Enabled) => {}
            }
        }
        Ok((!self.proof.still_holds(&device)).then_some(CloseReason::CredentialsChanged))
    }

    /// The hub was written, or the CAs that it trusts.
    async fn check_trust(&mut self) -> Result<Option<CloseReason>> {
        let platform = Arc::clone(&self.connection.platform);
        let platform = platform.as_ref();
        let Some(view) = self.trust.look(platform, self.hub).await? else {
            return Ok(Some(CloseReason::HubDeleted));
        };
        if view.hub.closed_to(self.peer).is_some() {
            return Ok(Some(CloseReason::AddressRefused));
        }
        self.connection.keeps_messages.store(view.hub.keeps_messages(), Ordering::Release);
        let token = recheck_token(platform, &view.hub, self.connection.client(), &self.proof).await;
        let reason = refused(token, CloseReason::CredentialsChanged)?;
        if reason.is_some() || self.chain.is_empty() {
            return Ok(reason);
        }
        let trusted = self.trust.verify(&view, &self.chain, platform.now());
        if let (Ok(trusted), Proof::Chain { credential_id, authority, expiry_unix }) = (&trusted, &mut self.proof) {
            if credential_id.is_some() && trusted.authority != *authority {
                return Ok(Some(CloseReason::TrustLost));
            }
            // Another path may end sooner.
            *expiry_unix = trusted.leaf.valid_until.as_second();
        }
        refused(trusted, CloseReason::TrustLost)
    }

    /// The next change that the device does not know yet. A gap in the versions, or lost notices, are filled
    /// with all desired properties.
    async fn next_desired(&mut self) -> Result<Option<DesiredChange>> {
        if let Some(change) = self.todo.desired.take() {
            if change.version == self.told.saturating_add(1) {
                self.told = change.version;
                return Ok(Some(change));
            }
            self.todo.all_desired |= change.version > self.told;
        }
        if !self.todo.all_desired {
            return Ok(None);
        }
        let found = twins::require(&self.connection.platform, self.connection.device()).await;
        if let Err(error) = &found
            && error.kind == ErrorKind::Unavailable
        {
            return Err(error.clone());
        }
        self.todo.all_desired = false;
        match found {
            Ok(stored) if stored.twin.desired.version > self.told => {
                self.told = stored.twin.desired.version;
                Ok(Some(DesiredChange { version: self.told, patch: stored.twin.desired_view() }))
            }
            Ok(_) => Ok(None),
            Err(error) => {
                // The device's next look at its twin shows the change; closing would help no more.
                tracing::warn!(%error, context = error.context, device = self.connection.device_id(), "desired properties could not be read");
                Ok(None)
            }
        }
    }
}

/// What the device of a module hears; nothing, ever, where there is none.
async fn heard_of(owner: Option<&mut Subscription>) -> Option<Delivery> {
    match owner {
        Some(owner) => owner.next().await,
        None => std::future::pending().await,
    }
}

/// `reason` when a check said no; its error when it could not be made.
fn refused<T>(outcome: Result<T>, reason: CloseReason) -> Result<Option<CloseReason>> {
    match outcome {
        Ok(_) => Ok(None),
        Err(error) if error.kind == ErrorKind::Unauthenticated => Ok(Some(reason)),
        Err(error) => Err(error),
    }
}

impl Todo {
    /// A lost notice is noted like one that came. Without a bus nothing keeps the connection honest.
    fn note_device(&mut self, delivery: Option<&Delivery>) {
        match delivery {
            Some(Delivery::Message(what)) if what.as_ref() == platform::RENEWAL_ENDED => self.renewals = true,
            Some(Delivery::Message(_)) => self.device = true,
            Some(Delivery::Lagged(_)) | None => (self.device, self.renewals) = (true, true),
        }
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
