//! Twins: their rows, the twin part of a hub's service API, and the twin as a device sees it.

use super::access::{READ_TWIN, WRITE_TWIN};
use super::devices::check_match;
use super::identity::{ClientId, DeviceRef};
use super::{HubRef, HubService, contended, device_sessions, parents};
use crate::authz::Actor;
use crate::platform::{self, Change, Platform};
use crate::tables::TWINS;
use ferrohub_model::device::{DeviceIdentity, argument_invalid};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::time::rfc3339;
use ferrohub_model::twin::{DesiredChange, Twin};
use ferrohub_model::uid::uid_key;
use ferrohub_store::{Put, Store};
use ferrohub_wire::etag::EtagCondition;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

/// A twin with the version of its row.
#[derive(Debug, Clone)]
pub struct StoredTwin {
    /// The twin.
    pub twin: Arc<Twin>,
    /// Version of its row.
    pub version: u64,
}

/// The twin of the device with this uid, if there is one.
///
/// # Errors
/// When the store cannot be read.
pub async fn load(store: &dyn Store, device: Uuid) -> Result<Option<StoredTwin>> {
    let Some(row) = store.get(&TWINS, &uid_key(device)).await? else { return Ok(None) };
    Ok(Some(StoredTwin { twin: row.parse()?, version: row.version }))
}

/// The row of a twin.
///
/// # Errors
/// Internal, when the document does not serialize.
pub(super) fn put(device: Uuid, twin: &Twin) -> Result<Put> {
    Ok(Put::new(&TWINS, uid_key(device), Vec::new(), twin)?)
}

impl HubService {
    /// A twin as `GET /twins/{id}` shows it.
    ///
    /// # Errors
    /// The refusal of an actor without the right; `DeviceNotFound` (404001), `ModuleNotFound` (404010); `ArgumentInvalid` (400004) for an illegal id.
    pub async fn get_twin<'a>(&self, actor: &Actor, hub: &HubRef, client: impl Into<ClientId<'a>>) -> Result<Value> {
        self.authorize(actor, hub, &READ_TWIN).await?;
        let device = self.require_device(hub, client).await?.device;
        let stored = self.require_twin(hub, &device).await?;
        self.twin_view(&device, &stored.twin).await
    }

    /// Merges `tags` and `properties.desired` of the body into a twin, as `PATCH /twins/{id}` does, and tells a connected device.
    ///
    /// # Errors
    /// The refusal of an actor without the right; `ArgumentInvalid` (400004) naming the path and the limit,
    /// `DeviceNotFound` (404001), `PreconditionFailed` (412001).
    pub async fn patch_twin<'a>(
        &self,
        actor: &Actor,
        hub: &HubRef,
        client: impl Into<ClientId<'a>>,
        body: &Value,
        if_match: Option<&str>,
    ) -> Result<Value> {
        let client = client.into();
        expect_same_client(body, client)?;
        self.write_twin(actor, hub, client, if_match, |twin, now| twin.patch(body, now)).await
    }

    /// Replaces `tags` and `properties.desired` where the body has them, as `PUT /twins/{id}` does, and tells a connected device.
    ///
    /// # Errors
    /// As [`HubService::patch_twin`].
    pub async fn replace_twin<'a>(
        &self,
        actor: &Actor,
        hub: &HubRef,
        client: impl Into<ClientId<'a>>,
        body: &Value,
        if_match: Option<&str>,
    ) -> Result<Value> {
        let client = client.into();
        expect_same_client(body, client)?;
        self.write_twin(actor, hub, client, if_match, |twin, now| twin.replace(body, now)).await
    }

    async fn write_twin(
        &self,
        actor: &Actor,
        hub: &HubRef,
        client: ClientId<'_>,
        if_match: Option<&str>,
        apply: impl Fn(&mut Twin, &str) -> Result<Option<DesiredChange>>,
    ) -> Result<Value> {
        self.authorize(actor, hub, &WRITE_TWIN).await?;
        self.change_twin(hub, client, if_match, apply).await
    }

    /// Changes a twin and gives it as it then is.
    ///
    /// # Errors
    /// Those of [`HubService::patch_twin`] but the missing right.
    pub(super) async fn change_twin(
        &self,
        hub: &HubRef,
        client: ClientId<'_>,
        if_match: Option<&str>,
        apply: impl Fn(&mut Twin, &str) -> Result<Option<DesiredChange>>,
    ) -> Result<Value> {
        let condition = if_match.map(EtagCondition::parse);
        let _turn = self.platform.twin_turn(&client.to_string()).await;
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(|| contended(&format!("The twin of '{client}'"))).await?;
            let device = self.require_device(hub, client).await?.device;
            let was = self.require_twin(hub, &device).await?;
            if let Some(condition) = &condition {
                check_match(condition, &was.twin.etag())?;
            }
            let mut twin = (*was.twin).clone();
            let desired = apply(&mut twin, &rfc3339(self.platform.now()))?;
            if twin.version == was.twin.version {
                // Neither tags nor desired properties were named: nothing is written.
                return self.twin_view(&device, &twin).await;
            }
            if commit_twin(&self.platform, DeviceRef::of(&device), &was, &twin, desired.as_ref()).await? {
                return self.twin_view(&device, &twin).await;
            }
        }
    }

    async fn require_twin(&self, hub: &HubRef, device: &DeviceIdentity) -> Result<StoredTwin> {
        let found = load(self.platform.store.as_ref(), device.uid).await?;
        found.ok_or_else(|| DeviceRef::of(device).client.not_found(hub))
    }

    async fn twin_view(&self, device: &DeviceIdentity, twin: &Twin) -> Result<Value> {
        let connection = device_sessions::connection(&self.platform, device).await?;
        Ok(twin.service_view(device, &connection, &parents::scopes(&self.platform, device).await?))
    }
}

/// A twin that was read of one device or module is not written to another by mistake.
fn expect_same_client(body: &Value, client: ClientId<'_>) -> Result<()> {
    for (member, wanted) in [("deviceId", Some(client.device_id)), ("moduleId", client.module_id)] {
        let sent = body.get(member).filter(|sent| !sent.is_null() && sent.as_str() != Some(""));
        if sent.is_some_and(|sent| sent.as_str() != wanted) {
            return Err(argument_invalid(format!(
                "The body's {member} is not that of '{client}', which the request is for."
            )));
        }
    }
    Ok(())
}

/// Merges a device's report and gives the new `$version`. A patch that was made for the `version` of the reported properties
/// is taken only as long as that is theirs.
///
/// # Errors
/// `ArgumentInvalid` (400004) naming the path and the limit; `PreconditionFailed` (412001) for another version;
/// `DeviceNotFound` (404001) when the device was deleted.
pub(super) async fn report(
    platform: &Platform,
    device: DeviceRef<'_>,
    patch: &Value,
    version: Option<u64>,
) -> Result<u64> {
    let _turn = platform.twin_turn(&device.client.to_string()).await;
    let mut attempts = platform.attempts();
    loop {
        attempts.begin(|| contended(&format!("The twin of '{}'", device.client))).await?;
        let was = require(platform, device).await?;
        let current = was.twin.reported.version;
        if let Some(version) = version.filter(|version| *version != current) {
            return Err(Error::precondition(format!(
                "The reported properties of '{}' have the $version {current}, not {version}; read the twin and make the patch anew.",
                device.client
            ))
            .with_iot_code(412_001));
        }
        let mut twin = (*was.twin).clone();
        let version = twin.patch_reported(patch, &rfc3339(platform.now()))?;
        if commit_twin(platform, device, &was, &twin, None).await? {
            return Ok(version);
        }
    }
}

/// Notes the model that a device announced when it connected; one that connects without a model keeps the one that it announced before.
///
/// # Errors
/// `DeviceNotFound` (404001) when the device was deleted; when the store cannot be read or written.
pub(super) async fn announce(platform: &Platform, device: DeviceRef<'_>, model_id: &str) -> Result<()> {
    let _turn = platform.twin_turn(&device.client.to_string()).await;
    let mut attempts = platform.attempts();
    loop {
        attempts.begin(|| contended(&format!("The twin of '{}'", device.client))).await?;
        let was = require(platform, device).await?;
        let mut twin = (*was.twin).clone();
        twin.announce_model(model_id);
        if commit_twin(platform, device, &was, &twin, None).await? {
            return Ok(());
        }
    }
}

/// The twin of a device that is connected.
///
/// # Errors
/// `DeviceNotFound` (404001) when the device was deleted.
pub(super) async fn require(platform: &Platform, device: DeviceRef<'_>) -> Result<StoredTwin> {
    load(platform.store.as_ref(), device.uid).await?.ok_or_else(|| gone(device))
}

/// What a connection wants to know of the device's twin. The twin is not parsed whole for it and so not kept in memory:
/// every device that connects wants this, and many never look at their twin.
///
/// # Errors
/// `DeviceNotFound` (404001); when the store cannot be read.
pub(super) async fn outline(platform: &Platform, device: DeviceRef<'_>) -> Result<Outline> {
    let row = platform.store.get(&TWINS, &uid_key(device.uid)).await?.ok_or_else(|| gone(device))?;
    Ok(row.part::<Outline>()?)
}

/// The part of a stored [`Twin`] that every connection needs.
#[derive(Deserialize)]
pub(super) struct Outline {
    /// The desired properties.
    pub(super) desired: SectionVersion,
    /// Whether a session of the device may be remembered.
    #[serde(default)]
    pub(super) had_lasting_session: bool,
    /// The model that the device announced last.
    #[serde(default)]
    pub(super) model_id: String,
}

#[derive(Deserialize)]
pub(super) struct SectionVersion {
    /// Their `$version`.
    pub(super) version: u64,
}

fn gone(device: DeviceRef<'_>) -> Error {
    let gone = Error::not_found(format!("The device '{}' was deleted.", device.client));
    match device.client.module_id {
        Some(_) => gone.with_code("ModuleNotFound").with_iot_code(404_010),
        None => gone.with_code("DeviceNotFound").with_iot_code(404_001),
    }
}

/// Adds a changed twin to `change`, and tells an open connection when desired properties changed.
///
/// # Errors
/// Internal, when the document does not serialize.
pub fn add_change(
    device: DeviceRef<'_>,
    was: &StoredTwin,
    twin: &Twin,
    desired: Option<&DesiredChange>,
    change: &mut Change,
) -> Result<()> {
    debug_assert!(
        twin.version > was.twin.version && twin.desired.version >= was.twin.desired.version,
        "versions of a twin only grow"
    );
    change.unit.expect_version(&TWINS, uid_key(device.uid), was.version);
    change.unit.put(put(device.uid, twin)?);
    if let Some(desired) = desired {
        let notice = serde_json::to_vec(desired)
            .map_err(|e| Error::internal(format!("desired change does not serialize: {e}")))?;
        change.notices.push((platform::desired_subject(device.hub, &device.client.to_string()), notice.into()));
    }
    Ok(())
}

/// `false` when somebody else changed the twin meanwhile.
async fn commit_twin(
    platform: &Platform,
    device: DeviceRef<'_>,
    was: &StoredTwin,
    twin: &Twin,
    desired: Option<&DesiredChange>,
) -> Result<bool> {
    let mut change = Change::new();
    add_change(device, was, twin, desired, &mut change)?;
    match platform.commit(change).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_conflict() => Ok(false),
        Err(error) => Err(error.into()),
    }
}
