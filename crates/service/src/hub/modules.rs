//! Modules of devices: the part of a hub's service API that makes, shows and deletes their identities. A module is an identity
//! beside its device's, with keys or certificates of its own; it connects as itself and goes with its device.

use super::access::{DELETE_DEVICE, READ_DEVICE, WRITE_DEVICE};
use super::devices::{Wish, check_match, credentials};
use super::identity::{self, ClientId, DeviceSpec, StoredDevice};
use super::{HubRef, HubService, contended};
use crate::authz::Actor;
use crate::platform::Change;
use ferrohub_model::device::{AuthenticationPut, DeviceIdentity, ModulePut};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::limits::MODULES_PER_DEVICE;
use ferrohub_model::time::rfc3339;
use ferrohub_model::twin::Twin;
use ferrohub_wire::etag::EtagCondition;
use serde_json::Value;

impl HubService {
    /// The modules of a device with their keys, as `GET /devices/{id}/modules` shows them.
    ///
    /// # Errors
    /// The refusal of an actor without the right; `DeviceNotFound` (404001); `ArgumentInvalid` (400004) for an illegal id.
    pub async fn list_modules(&self, actor: &Actor, hub: &HubRef, device_id: &str) -> Result<Vec<Value>> {
        self.authorize(actor, hub, &READ_DEVICE).await?;
        self.require_device(hub, device_id).await?;
        let mut views = Vec::new();
        for module in identity::modules(self.platform.store.as_ref(), hub.uid, device_id).await? {
            views.push(self.device_view(&module.device).await?);
        }
        Ok(views)
    }

    /// A module with its keys, as `GET /devices/{id}/modules/{module}` shows it.
    ///
    /// # Errors
    /// The refusal of an actor without the right; `DeviceNotFound` (404001), `ModuleNotFound` (404010); `ArgumentInvalid`
    /// (400004) for an illegal id.
    pub async fn get_module(&self, actor: &Actor, hub: &HubRef, client: ClientId<'_>) -> Result<Value> {
        self.authorize(actor, hub, &READ_DEVICE).await?;
        let found = self.require_device(hub, client).await?;
        self.device_view(&found.device).await
    }

    /// Creates (no `If-Match`) or changes (`If-Match`) a module and, with it, its twin; gives it, and whether it is new.
    ///
    /// # Errors
    /// The refusal of an actor without the right; `ArgumentInvalid` (400004), `DeviceNotFound` (404001), `ModuleNotFound` (404010),
    /// `ModuleAlreadyExistsOnDevice` (409301), `PreconditionFailed` (412001), `TooManyModulesOnDevice` (413003).
    pub async fn put_module(
        &self,
        actor: &Actor,
        hub: &HubRef,
        client: ClientId<'_>,
        body: &Value,
        if_match: Option<&str>,
    ) -> Result<(Value, bool)> {
        self.authorize(actor, hub, &WRITE_DEVICE).await?;
        let wanted = ModulePut::parse(client.device_id, client.module_id.unwrap_or_default(), body)?;
        let (module, new) = self.write_module(hub, client, &wanted, &Wish::of(if_match), None).await?;
        Ok((self.device_view(&module).await?, new))
    }

    /// Writes a module as it is wanted and tells whether it is new; a new one begins with `twin`.
    ///
    /// # Errors
    /// Those of [`HubService::put_module`] but the missing right.
    pub(super) async fn write_module(
        &self,
        hub: &HubRef,
        client: ClientId<'_>,
        wanted: &ModulePut,
        wish: &Wish,
        twin: Option<&Twin>,
    ) -> Result<(DeviceIdentity, bool)> {
        let (device_id, module_id) = (client.device_id, client.module_id.unwrap_or_default());
        // Of the device: its modules go with it.
        let _turn = self.platform.twin_turn(device_id).await;
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(|| contended(&format!("The module '{client}'"))).await?;
            let owner = self.require_device(hub, device_id).await?;
            let was = identity::load(self.platform.store.as_ref(), hub.uid, client).await?;
            let new = was.is_none();
            let mut change = Change::new();
            let module = match (wish, was) {
                (Wish::New, Some(_)) => return Err(already_exists(client)),
                (Wish::New | Wish::Either(_), None) => {
                    let twin = twin.cloned().unwrap_or_else(|| Twin::new(&rfc3339(self.platform.now())));
                    self.create_module(hub, &owner, module_id, wanted, &twin, &mut change).await?
                }
                (Wish::Present(_), None) => return Err(client.not_found(hub)),
                (Wish::Present(condition) | Wish::Either(condition), Some(was)) => {
                    check_match(condition, &was.device.etag)?;
                    self.update_module(&was, wanted, &mut change).await?
                }
            };
            if self.platform.try_commit(change).await? {
                return Ok((module, new));
            }
        }
    }

    /// Deletes a module with its twin. Without `If-Match`, whatever is there.
    ///
    /// # Errors
    /// The refusal of an actor without the right; `DeviceNotFound` (404001), `ModuleNotFound` (404010), `PreconditionFailed` (412001).
    pub async fn delete_module(
        &self,
        actor: &Actor,
        hub: &HubRef,
        client: ClientId<'_>,
        if_match: Option<&str>,
    ) -> Result<()> {
        self.authorize(actor, hub, &DELETE_DEVICE).await?;
        self.remove_module(hub, client, if_match.map(EtagCondition::parse)).await
    }

    /// Deletes a module.
    ///
    /// # Errors
    /// Those of [`HubService::delete_module`] but the missing right.
    pub(super) async fn remove_module(
        &self,
        hub: &HubRef,
        client: ClientId<'_>,
        condition: Option<EtagCondition>,
    ) -> Result<()> {
        let _turn = self.platform.twin_turn(client.device_id).await;
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(|| contended(&format!("The module '{client}'"))).await?;
            let was = self.require_device(hub, client).await?;
            if let Some(condition) = &condition {
                check_match(condition, &was.device.etag)?;
            }
            let mut change = Change::new();
            identity::add_delete(&self.platform, &was, &mut change).await?;
            if self.platform.try_commit(change).await? {
                return Ok(());
            }
        }
    }

    async fn create_module(
        &self,
        hub: &HubRef,
        owner: &StoredDevice,
        module_id: &str,
        wanted: &ModulePut,
        twin: &Twin,
        change: &mut Change,
    ) -> Result<DeviceIdentity> {
        let device_id = owner.device.device_id.as_str();
        let present = identity::modules(self.platform.store.as_ref(), hub.uid, device_id).await?;
        if present.len() >= MODULES_PER_DEVICE {
            return Err(Error::new(
                ErrorKind::TooLarge,
                "TooManyModulesOnDevice",
                format!("The device '{device_id}' has {MODULES_PER_DEVICE} modules, the most that a device can have; delete one first."),
            )
            .with_iot_code(413_003));
        }
        let given = wanted.authentication.clone().unwrap_or(AuthenticationPut::Sas { primary: None, secondary: None });
        let spec = DeviceSpec {
            module_id: Some(module_id.to_owned()),
            managed_by: wanted.managed_by.clone().flatten(),
            ..DeviceSpec::new(device_id, credentials(given))
        };
        let mut module = identity::draft(&self.platform, hub, spec).await?;
        identity::add_create(&self.platform, &mut module, twin, change)?;
        // Whoever deletes the device without knowing of the module meets another version of it.
        identity::add_touch(owner, change)?;
        Ok(module)
    }

    async fn update_module(
        &self,
        was: &StoredDevice,
        wanted: &ModulePut,
        change: &mut Change,
    ) -> Result<DeviceIdentity> {
        let mut module = (*was.device).clone();
        if let Some(managed_by) = &wanted.managed_by {
            module.managed_by.clone_from(managed_by);
        }
        if let Some(given) = &wanted.authentication {
            identity::set_credentials(&self.platform, &mut module, credentials(given.clone())).await?;
        }
        identity::add_update(&self.platform, was, &mut module, change)?;
        Ok(module)
    }
}

fn already_exists(client: ClientId<'_>) -> Error {
    let text = format!(
        "The device '{}' has a module '{}' already; send If-Match to change it.",
        client.device_id,
        client.module_id.unwrap_or_default()
    );
    Error::conflict(text).with_code("ModuleAlreadyExistsOnDevice").with_iot_code(409_301)
}
