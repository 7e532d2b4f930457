//! The registry part of a hub's service API: devices as JSON.

use super::access::{DELETE_DEVICE, READ_DEVICE, WRITE_DEVICE};
use super::identity::{self, ClientId, Credentials, DeviceSpec, StoredDevice};
use super::{HubRef, HubService, contended, device_sessions, parents, unknown_hub};
use crate::authz::Actor;
use crate::platform::Change;
use crate::registry;
use crate::resources;
use crate::tables::RESOURCES;
use ferrohub_model::device::{AuthenticationPut, DeviceIdentity, DeviceLive, DevicePut, Scopes};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::time::rfc3339;
use ferrohub_model::twin::Twin;
use ferrohub_wire::etag::EtagCondition;
use serde_json::Value;

/// What must be there already where something is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    /// Nothing.
    New,
    /// What the condition allows.
    Present(EtagCondition),
    /// Nothing, or what the condition allows.
    Either(EtagCondition),
}

impl Wish {
    /// What a PUT with this `If-Match` wishes.
    pub(super) fn of(if_match: Option<&str>) -> Self {
        if_match.map_or(Self::New, |text| Self::Present(EtagCondition::parse(text)))
    }
}

impl HubService {
    /// A device with its keys, as `GET /devices/{id}` shows it.
    ///
    /// # Errors
    /// The refusal of an actor without the right; `DeviceNotFound` (404001); `ArgumentInvalid` (400004) for an illegal id.
    pub async fn get_device(&self, actor: &Actor, hub: &HubRef, device_id: &str) -> Result<Value> {
        self.authorize(actor, hub, &READ_DEVICE).await?;
        let found = self.require_device(hub, device_id).await?;
        self.device_view(&found.device).await
    }

    /// Creates (no `If-Match`) or changes (`If-Match`) a device, with its twin and its ADR device, as `PUT /devices/{id}` does.
    ///
    /// # Errors
    /// The refusal of an actor without the right; `ArgumentInvalid` (400004), `InvalidDeviceScope` (400028), `DeviceAlreadyExists` (409001), `DeviceNotFound` (404001), `PreconditionFailed` (412001);
    /// 403000 when the hub's identity may not write devices on its namespace.
    pub async fn put_device(
        &self,
        actor: &Actor,
        hub: &HubRef,
        device_id: &str,
        body: &Value,
        if_match: Option<&str>,
    ) -> Result<Value> {
        self.authorize(actor, hub, &WRITE_DEVICE).await?;
        let wanted = DevicePut::parse(device_id, body)?;
        let (device, _) = self.write_device(hub, device_id, &wanted, &Wish::of(if_match), None).await?;
        self.device_view(&device).await
    }

    /// Writes a device as it is wanted and tells whether it is new; a new one begins with `twin`.
    ///
    /// # Errors
    /// Those of [`HubService::put_device`] but the missing right.
    pub(super) async fn write_device(
        &self,
        hub: &HubRef,
        device_id: &str,
        wanted: &DevicePut,
        wish: &Wish,
        twin: Option<&Twin>,
    ) -> Result<(DeviceIdentity, bool)> {
        let mut hub = hub.clone();
        let _turn = self.platform.twin_turn(device_id).await;
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(|| contended(&format!("The device '{device_id}'"))).await?;
            if attempts.again() {
                // Somebody was faster: what they left decides whether this is a conflict for the caller too.
                hub = self.again(&hub).await?;
            }
            let was = identity::load(self.platform.store.as_ref(), hub.uid, device_id).await?;
            let new = was.is_none();
            let mut change = Change::new();
            let device = match (wish, was) {
                (Wish::New, Some(_)) => return Err(already_exists(&hub, device_id)),
                (Wish::New | Wish::Either(_), None) => self.create(&hub, device_id, wanted, twin, &mut change).await?,
                (Wish::Present(_), None) => return Err(not_found(&hub, device_id)),
                (Wish::Present(condition) | Wish::Either(condition), Some(was)) => {
                    check_match(condition, &was.device.etag)?;
                    self.update(&hub, &was, wanted, &mut change).await?
                }
            };
            if self.platform.try_commit(change).await? {
                return Ok((device, new));
            }
        }
    }

    /// Deletes a device with its twin and its ADR device. Without `If-Match`, whatever is there.
    ///
    /// # Errors
    /// The refusal of an actor without the right; `DeviceNotFound` (404001), `PreconditionFailed` (412001); 403000 when the hub's identity may not delete devices on its namespace.
    pub async fn delete_device(
        &self,
        actor: &Actor,
        hub: &HubRef,
        device_id: &str,
        if_match: Option<&str>,
    ) -> Result<()> {
        self.authorize(actor, hub, &DELETE_DEVICE).await?;
        self.remove_device(actor, hub, device_id, if_match.map(EtagCondition::parse)).await
    }

    /// Deletes a device.
    ///
    /// # Errors
    /// Those of [`HubService::delete_device`] but the missing right.
    pub(super) async fn remove_device(
        &self,
        actor: &Actor,
        hub: &HubRef,
        device_id: &str,
        condition: Option<EtagCondition>,
    ) -> Result<()> {
        let mut hub = hub.clone();
        let _turn = self.platform.twin_turn(device_id).await;
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(|| contended(&format!("The device '{device_id}'"))).await?;
            if attempts.again() {
                hub = self.again(&hub).await?;
            }
            let was = self.require_device(&hub, device_id).await?;
            if let Some(condition) = &condition {
                check_match(condition, &was.device.etag)?;
            }
            let mut change = Change::new();
            identity::add_delete(&self.platform, &was, &mut change).await?;
            // As whom it goes from a namespace, and from which.
            change.unit.expect_version(&RESOURCES, hub.stored.key(), hub.stored.version);
            if let Some(edge) = registry::hub_edge(&self.platform, &hub.stored).await? {
                registry::mirror_delete(&self.platform, actor, &edge, &was.device, &mut change).await?;
            } else if let Some(left) = resources::by_uid(&self.platform, was.device.uid).await? {
                // The hub was unlinked, and the namespace has not let it go yet.
                registry::remove_mirrored(&self.platform, actor, &left, &mut change).await?;
            }
            if self.platform.try_commit(change).await? {
                return Ok(());
            }
        }
    }

    /// The hub as it is now.
    pub(super) async fn again(&self, hub: &HubRef) -> Result<HubRef> {
        let found = resources::by_uid(&self.platform, hub.uid).await?;
        found.map(HubRef::of).ok_or_else(|| unknown_hub(&hub.host))
    }

    pub(super) async fn require_device<'a>(
        &self,
        hub: &HubRef,
        client: impl Into<ClientId<'a>>,
    ) -> Result<StoredDevice> {
        let client = client.into();
        let found = identity::load(self.platform.store.as_ref(), hub.uid, client).await?;
        if found.is_none() && client.module_id.is_some() {
            // What is missing may be the device.
            let owner = identity::load(self.platform.store.as_ref(), hub.uid, client.device_id).await?;
            owner.ok_or_else(|| not_found(hub, client.device_id))?;
        }
        found.ok_or_else(|| client.not_found(hub))
    }

    async fn create(
        &self,
        hub: &HubRef,
        device_id: &str,
        wanted: &DevicePut,
        twin: Option<&Twin>,
        change: &mut Change,
    ) -> Result<DeviceIdentity> {
        let given = wanted.authentication.clone().unwrap_or(AuthenticationPut::Sas { primary: None, secondary: None });
        let mut spec = DeviceSpec::new(device_id, credentials(given));
        spec.status = wanted.status.unwrap_or_default();
        spec.status_reason = wanted.status_reason.clone().flatten();
        spec.iot_edge = wanted.iot_edge.unwrap_or(false);
        let mut device = identity::draft(&self.platform, hub, spec).await?;
        parents::set_parent(&self.platform, hub, &mut device, wanted, &Scopes::default(), change).await?;
        if let Some(edge) = registry::hub_edge(&self.platform, &hub.stored).await? {
            registry::mirror_new(&self.platform, &edge.actor, &edge.namespace, &device, device.policy, change).await?;
        }
        let twin = twin.cloned().unwrap_or_else(|| Twin::new(&rfc3339(self.platform.now())));
        identity::add_create(&self.platform, &mut device, &twin, change)?;
        // The hub must still be there, and the same: a device made while it is deleted, or made anew under its name,
        // would be left behind.
        registry::hold_link(&hub.stored, change)?;
        Ok(device)
    }

    async fn update(
        &self,
        hub: &HubRef,
        was: &StoredDevice,
        wanted: &DevicePut,
        change: &mut Change,
    ) -> Result<DeviceIdentity> {
        let mut device = (*was.device).clone();
        device.status = wanted.status.unwrap_or(device.status);
        device.iot_edge = wanted.iot_edge.unwrap_or(device.iot_edge);
        if let Some(reason) = &wanted.status_reason {
            device.status_reason.clone_from(reason);
        }
        if let Some(given) = &wanted.authentication {
            identity::set_credentials(&self.platform, &mut device, credentials(given.clone())).await?;
        }
        let shown = parents::scopes(&self.platform, &was.device).await?;
        parents::set_parent(&self.platform, hub, &mut device, wanted, &shown, change).await?;
        if let Some(edge) = registry::hub_edge(&self.platform, &hub.stored).await? {
            registry::mirror_put(&self.platform, &edge.actor, &edge.namespace, &device, device.policy, change).await?;
        }
        identity::add_update(&self.platform, was, &mut device, change)?;
        // What was read of its link must be so still: else the device comes to a namespace that lets it go.
        registry::hold_link(&hub.stored, change)?;
        Ok(device)
    }

    pub(super) async fn device_view(&self, device: &DeviceIdentity) -> Result<Value> {
        let keys = identity::open_keys(&self.platform, device).await?;
        let keys = keys.map(|(primary, secondary)| (primary.to_string(), secondary.to_string()));
        let connection = device_sessions::connection(&self.platform, device).await?;
        let parent_scope = parents::parent_scope(&self.platform, device).await?;
        let live = DeviceLive { keys, connection, parent_scope };
        Ok(if device.module_id.is_some() { device.module_view(&live) } else { device.view(&live) })
    }
}

pub(super) fn credentials(given: AuthenticationPut) -> Credentials {
    match given {
        AuthenticationPut::Sas { primary, secondary } => Credentials::Keys { primary, secondary },
        AuthenticationPut::SelfSigned { primary, secondary } => Credentials::Thumbprints { primary, secondary },
        AuthenticationPut::CertificateAuthority => Credentials::CertificateAuthority,
        AuthenticationPut::None => Credentials::None,
    }
}

/// 412001 unless the condition allows a change of a thing with this etag.
pub(super) fn check_match(condition: &EtagCondition, etag: &str) -> Result<()> {
    if condition.allows_match(Some(etag)) {
        return Ok(());
    }
    Err(Error::precondition(
        "Precondition failed: the If-Match value is not the current etag; read again and repeat the change.",
    )
    .with_iot_code(412_001))
}

pub(super) fn not_found(hub: &HubRef, device_id: &str) -> Error {
    Error::not_found(format!("The hub '{}' has no device '{device_id}'; check its case, or create it.", hub.name))
        .with_code("DeviceNotFound")
        .with_iot_code(404_001)
}

fn already_exists(hub: &HubRef, device_id: &str) -> Error {
    Error::conflict(format!("The hub '{}' has a device '{device_id}' already; send If-Match to change it.", hub.name))
        .with_code("DeviceAlreadyExists")
        .with_iot_code(409_001)
}
