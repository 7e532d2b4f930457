//! What a device may do with its open connection, shared by the tasks of that connection.

use super::identity::{ClientId, DeviceRef};
use super::presence::Present;
use super::telemetry::{self, Telemetry};
use super::{device_sessions, twins};
use crate::allowance;
use crate::authz::Actor;
use crate::platform::Platform;
use ferrohub_messaging::NewEvent;
use ferrohub_model::device_session::{SessionKind, Subscriptions};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits;
use ferrohub_model::message::Origin;
use ferrohub_model::time::rfc3339;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// What of a session may outlive its connection.
pub(super) struct Lasting {
    pub(super) kind: SessionKind,
    /// The model that the device announces.
    pub(super) model_id: Option<String>,
}

/// What a device may do with its connection. Cheap to share between the tasks of one connection.
pub struct DeviceConnection {
    pub(super) platform: Arc<Platform>,
    pub(super) uid: Uuid,
    /// The device, proven. It may do everything here, for here is nothing but its own.
    pub(super) actor: Actor,
    pub(super) hub: Uuid,
    pub(super) partition: u16,
    pub(super) origin: Origin,
    pub(super) present: Present,
    pub(super) lasting: Lasting,
    /// What is remembered of a lasting session, as this connection knows it.
    pub(super) remembered: Mutex<Option<Subscriptions>>,
    /// Whether messages go to the log; without a route, and with the fallback route off, they go nowhere.
    pub(super) keeps_messages: AtomicBool,
    pub(super) closed: AtomicBool,
    /// The credential id in the certificate that the connection rests on.
    pub(super) credential_id: Option<Uuid>,
    /// Whether the hub lets its devices ask for faults.
    pub(super) may_fault: bool,
}

impl DeviceConnection {
    pub(super) fn device(&self) -> DeviceRef<'_> {
        DeviceRef { uid: self.uid, hub: self.hub, client: self.client() }
    }

    /// Who acts by this connection.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The device id; of a module, that of its device.
    pub fn device_id(&self) -> &str {
        &self.origin.device_id
    }

    /// The ids of the device or module.
    pub(super) fn client(&self) -> ClientId<'_> {
        ClientId { device_id: &self.origin.device_id, module_id: self.origin.module_id.as_deref() }
    }

    /// Appends messages to the hub's log; they are on disk when this returns `Ok`. A device that writes more than one may waits first
    /// ([`limits::DEVICE_WRITES_PER_SECOND`]). Where the hub's fallback route is off no route has them, and they are dropped, as IoT Hub does.
    ///
    /// # Errors
    /// 413001 or 400004 for a message against the rules, and then none is stored; the log's own errors.
    pub async fn publish(&self, messages: &[Telemetry]) -> Result<()> {
        self.check_open()?;
        let added = telemetry::added(&self.origin, &rfc3339(self.platform.now()));
        let event = |message| telemetry::event(message, self.hub, self.partition, &added);
        let events = messages.iter().map(event).collect::<Result<Vec<_>>>()?;
        self.present.heard();
        if !self.keeps_messages.load(Ordering::Acquire) {
            metrics::counter!("ferrohub_messages_without_route_total").increment(events.len() as u64);
            return Ok(());
        }
        if events.is_empty() {
            return Ok(());
        }
        let wait = self.platform.writes.take(self.uid, cost(&events), self.platform.clock.monotonic());
        if !wait.is_zero() {
            metrics::counter!("ferrohub_device_writes_delayed_total").increment(1);
            self.platform.clock.sleep(wait).await;
            self.check_open()?;
        }
        self.platform.log.append(events).await?;
        Ok(())
    }

    /// The twin as the device sees it: `{desired, reported}`.
    ///
    /// # Errors
    /// `DeviceNotFound` (404001) when the device was deleted; when the store cannot be read.
    pub async fn twin(&self) -> Result<Value> {
        self.check_open()?;
        self.present.heard();
        Ok(twins::require(&self.platform, self.device()).await?.twin.device_view())
    }

    /// Merges a patch into the reported properties and gives their new `$version`; one that was made for the `version` of
    /// them only as long as that is theirs.
    ///
    /// # Errors
    /// `ArgumentInvalid` (400004) naming the path and the limit; `PreconditionFailed` (412001); 429001 where the device has changed
    /// them too often of late; when the store cannot be written.
    pub async fn patch_reported(&self, patch: Value, version: Option<u64>) -> Result<u64> {
        self.check_open()?;
        self.present.heard();
        let cost = Duration::from_secs(1) / limits::REPORTS_PER_SECOND;
        let now = self.platform.clock.monotonic();
        self.platform.writes.try_take(self.uid, cost, now).map_err(|wait| {
            let text = format!("The device '{}' changes its reported properties too often", self.device_id());
            allowance::too_much(&text, wait)
        })?;
        twins::report(&self.platform, self.device(), &patch, version).await
    }

    /// Keeps what the device wants to hear for its next connection, if its session is a lasting one; committed when this
    /// returns. What changes nothing costs nothing.
    ///
    /// # Errors
    /// `DeviceNotFound` (404001) when the device was deleted; 401003 when it connected anew; when the store cannot be written.
    pub async fn remember(&self, wanted: Subscriptions) -> Result<()> {
        if self.lasting.kind == SessionKind::Clean || self.remembered() == Some(wanted) {
            return Ok(());
        }
        device_sessions::remember(&self.platform, self.device(), Some(wanted), || self.check_own()).await?;
        *self.remembered.lock().unwrap_or_else(PoisonError::into_inner) = Some(wanted);
        Ok(())
    }

    pub(super) fn remembered(&self) -> Option<Subscriptions> {
        *self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the device may ask for faults of its connection: the hub had the tag [`super::FAULTS_TAG`] when it connected.
    pub fn may_fault(&self) -> bool {
        self.may_fault
    }

    /// Notes that the device was heard, for a keep-alive.
    pub fn heard(&self) {
        self.present.heard();
    }

    pub(super) fn check_open(&self) -> Result<()> {
        self.refuse_if(self.closed.load(Ordering::Acquire))
    }

    /// Refuses also when a newer connection has the device: what this one wants does not count any more.
    pub(super) fn check_own(&self) -> Result<()> {
        self.refuse_if(self.closed.load(Ordering::Acquire) || self.present.claim().is_lost())
    }

    fn refuse_if(&self, closed: bool) -> Result<()> {
        if closed {
            return Err(Error::unauthenticated("The connection was closed; connect again.")
                .with_code("IotHubUnauthorized")
                .with_iot_code(401_003));
        }
        Ok(())
    }
}

/// The time that these events take a device that writes as much as one may.
fn cost(events: &[NewEvent]) -> Duration {
    let (bytes, messages) = limits::DEVICE_WRITES_PER_SECOND;
    let written: usize = events.iter().map(|event| event.body.len()).sum();
    let written = u32::try_from(written).unwrap_or(u32::MAX);
    let number = u32::try_from(events.len()).unwrap_or(u32::MAX);
    Duration::from_secs(1) / bytes * written + Duration::from_secs(1) / messages * number
}
