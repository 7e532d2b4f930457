//! Rows of identities of devices and of their modules: building, sealing and writing them. Shared by the service API and by provisioning.
//!
//! A caller drafts an identity, lets the registry mirror it, and adds the rows to its own unit of work:
//! [`draft`], [`add_create`], or [`load`], [`set_credentials`], [`add_update`].

use super::{HubRef, twins};
use crate::platform::{self, Change, Platform};
use crate::tables::{DEVICE_SESSIONS, DEVICES, RENEWALS, TWINS};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::device::{
    Authentication, AuthenticationType, DeviceIdentity, DeviceStatus, device_place, module_not_found, module_place,
    modules_of,
};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::MODULES_PER_DEVICE;
use ferrohub_model::time::{NEVER, rfc3339};
use ferrohub_model::twin::Twin;
use ferrohub_model::uid::{parse_uid_key, uid_key};
use ferrohub_pki::key::generate_symmetric_key;
use ferrohub_store::{Expect, Page, Put, Row, Store};
use jiff::Timestamp;
use std::fmt;
use std::sync::Arc;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Ticks of 100 ns from year 1 to the Unix epoch, as .NET counts them.
const UNIX_EPOCH_TICKS: i128 = 621_355_968_000_000_000;

/// The line that lets a disabled device in again.
pub fn enabling(hub: &str, device: &str) -> String {
    format!("az iot hub device-identity update --hub-name {hub} --device-id {device} --status enabled")
}

/// The credentials that a device gets.
#[derive(Clone)]
pub enum Credentials {
    /// Symmetric keys as base64 text; a missing one is kept where the device has one, else generated.
    Keys {
        /// Primary key.
        primary: Option<String>,
        /// Secondary key.
        secondary: Option<String>,
    },
    /// Thumbprints in upper-case hexadecimal.
    Thumbprints {
        /// Primary thumbprint.
        primary: Option<String>,
        /// Secondary thumbprint.
        secondary: Option<String>,
    },
    /// A chain to a verified CA of the hub.
    CertificateAuthority,
    /// Nothing.
    None,
}

/// A device, or a module of one, to be made.
#[derive(Clone)]
pub struct DeviceSpec {
    /// Device id, legal by [`ferrohub_model::device_id::check_device_id`].
    pub device_id: String,
    /// Module id, where it is a module of the device.
    pub module_id: Option<String>,
    /// Who manages the module.
    pub managed_by: Option<String>,
    /// Its credentials.
    pub credentials: Credentials,
    /// Its status.
    pub status: DeviceStatus,
    /// Why it has that status.
    pub status_reason: Option<String>,
    /// Whether it is an IoT Edge device.
    pub iot_edge: bool,
    /// Id that its certificates carry.
    pub credential_id: Option<Uuid>,
    /// Uid of the certificate policy that its certificates come from.
    pub policy: Option<Uuid>,
    /// Its uid, where it comes from another hub: keys are sealed for it.
    pub uid: Option<Uuid>,
}

impl DeviceSpec {
    /// An enabled device with these credentials.
    pub fn new(device_id: impl Into<String>, credentials: Credentials) -> Self {
        Self {
            device_id: device_id.into(),
            module_id: None,
            managed_by: None,
            credentials,
            status: DeviceStatus::Enabled,
            status_reason: None,
            iot_edge: false,
            credential_id: None,
            policy: None,
            uid: None,
        }
    }
}

/// Which device or module is meant: by its uid in rows, by hub and name in notices.
#[derive(Debug, Clone, Copy)]
pub struct DeviceRef<'a> {
    /// Uid of the device or module.
    pub uid: Uuid,
    /// Uid of its hub.
    pub hub: Uuid,
    /// Its ids.
    pub client: ClientId<'a>,
}

impl<'a> DeviceRef<'a> {
    /// The device or module that an identity is of.
    pub fn of(device: &'a DeviceIdentity) -> Self {
        let client = ClientId { device_id: &device.device_id, module_id: device.module_id.as_deref() };
        Self { uid: device.uid, hub: device.hub, client }
    }
}

/// The ids of a device, or of a module of one. Printed as `device` and `device/module`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientId<'a> {
    /// Device id.
    pub device_id: &'a str,
    /// Module id, where a module is meant.
    pub module_id: Option<&'a str>,
}

impl<'a> ClientId<'a> {
    /// A module of a device.
    pub fn module(device_id: &'a str, module_id: &'a str) -> Self {
        Self { device_id, module_id: Some(module_id) }
    }

    /// Where its row is found.
    fn place(self, hub: Uuid) -> Result<String> {
        match self.module_id {
            Some(module_id) => module_place(hub, self.device_id, module_id),
            None => device_place(hub, self.device_id),
        }
    }

    /// The refusal where there is none: 404001, or 404010 for a module.
    pub(super) fn not_found(self, hub: &HubRef) -> Error {
        match self.module_id {
            Some(module_id) => module_not_found(self.device_id, module_id),
            None => super::devices::not_found(hub, self.device_id),
        }
    }
}

impl<'a> From<&'a str> for ClientId<'a> {
    fn from(device_id: &'a str) -> Self {
        Self { device_id, module_id: None }
    }
}

impl<'a> From<&'a String> for ClientId<'a> {
    fn from(device_id: &'a String) -> Self {
        device_id.as_str().into()
    }
}

impl fmt::Display for ClientId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.module_id {
            Some(module_id) => write!(f, "{}/{module_id}", self.device_id),
            None => f.write_str(self.device_id),
        }
    }
}

/// An identity with the version of its row.
#[derive(Debug, Clone)]
pub struct StoredDevice {
    /// The identity.
    pub device: Arc<DeviceIdentity>,
    /// Version of its row.
    pub version: u64,
}

/// The identity of a device or module, if there is one.
///
/// # Errors
/// `ArgumentInvalid` for an illegal id; when the store cannot be read.
pub async fn load<'a>(store: &dyn Store, hub: Uuid, client: impl Into<ClientId<'a>>) -> Result<Option<StoredDevice>> {
    let place = client.into().place(hub)?;
    store.find_one(&DEVICES, "place", &place).await?.as_deref().map(device_from_row).transpose()
}

/// The modules of a device, in the order of their ids.
///
/// # Errors
/// When the store cannot be read.
pub async fn modules(store: &dyn Store, hub: Uuid, device_id: &str) -> Result<Vec<StoredDevice>> {
    let prefix = format!("{}/", modules_of(hub, Some(device_id)));
    let rows = store.range(&DEVICES, "place", &prefix, Page::first(MODULES_PER_DEVICE)).await?;
    rows.iter().map(|row| device_from_row(row)).collect()
}

/// The identity with this uid, if there is one.
///
/// # Errors
/// When the store cannot be read.
pub async fn by_uid(store: &dyn Store, uid: Uuid) -> Result<Option<StoredDevice>> {
    store.get(&DEVICES, &uid_key(uid)).await?.as_deref().map(device_from_row).transpose()
}

/// The identity in a row of [`DEVICES`].
///
/// # Errors
/// Internal, when the document does not parse.
pub fn device_from_row(row: &Row) -> Result<StoredDevice> {
    Ok(StoredDevice {
        device: Arc::new(placed(row, row.parse::<DeviceIdentity>()?.as_ref().clone())?),
        version: row.version,
    })
}

/// The same for whoever goes through many rows: what was parsed is not remembered.
///
/// # Errors
/// Internal, when the document does not parse.
pub(super) fn passing(row: &Row) -> Result<DeviceIdentity> {
    placed(row, row.part::<DeviceIdentity>()?)
}

fn placed(row: &Row, mut device: DeviceIdentity) -> Result<DeviceIdentity> {
    let broken = || Error::internal(format!("device row {} has no place", row.key));
    device.uid = parse_uid_key(&row.key).ok_or_else(broken)?;
    let place = row.columns.first().and_then(Option::as_deref).ok_or_else(broken)?;
    if device.stand_at(place) { Ok(device) } else { Err(broken()) }
}

/// A new identity that is not stored yet; its keys are generated where none are given, and sealed.
///
/// # Errors
/// `ArgumentInvalid` for an illegal id; when sealing fails.
pub async fn draft(platform: &Platform, hub: &HubRef, spec: DeviceSpec) -> Result<DeviceIdentity> {
    let now = platform.now();
    let mut device = DeviceIdentity {
        hub: hub.uid,
        uid: spec.uid.unwrap_or_else(|| platform.new_id()),
        device_id: spec.device_id,
        module_id: spec.module_id,
        managed_by: spec.managed_by,
        generation_id: generation(now),
        etag: String::new(),
        status: spec.status,
        status_reason: spec.status_reason,
        status_updated: NEVER.into(),
        authentication: Authentication { kind: AuthenticationType::None, ..Authentication::default() },
        iot_edge: spec.iot_edge,
        parent: None,
        credential_id: spec.credential_id,
        policy: spec.policy,
        former_policies: Vec::new(),
        own_chain: false,
        created: rfc3339(now),
    };
    device.place()?;
    set_credentials(platform, &mut device, spec.credentials).await?;
    Ok(device)
}

/// Gives `device` these credentials. A key that stays the same keeps its sealed text, so that connections
/// which rest on it stay open.
///
/// # Errors
/// When sealing or opening fails.
pub async fn set_credentials(platform: &Platform, device: &mut DeviceIdentity, credentials: Credentials) -> Result<()> {
    let mut next = Authentication::default();
    match credentials {
        Credentials::Keys { primary, secondary } => {
            let was = device.authentication.clone();
            next.kind = AuthenticationType::Sas;
            next.sealed_primary_key = Some(sealed(platform, device, "primary", primary, was.sealed_primary_key).await?);
            next.sealed_secondary_key =
                Some(sealed(platform, device, "secondary", secondary, was.sealed_secondary_key).await?);
        }
        Credentials::Thumbprints { primary, secondary } => {
            next.kind = AuthenticationType::SelfSigned;
            next.primary_thumbprint = primary;
            next.secondary_thumbprint = secondary;
        }
        Credentials::CertificateAuthority => next.kind = AuthenticationType::CertificateAuthority,
        Credentials::None => next.kind = AuthenticationType::None,
    }
    device.authentication = next;
    Ok(())
}

async fn sealed(
    platform: &Platform,
    device: &DeviceIdentity,
    field: &'static str,
    wanted: Option<String>,
    was: Option<String>,
) -> Result<String> {
    let wanted = match (wanted, was) {
        (None, Some(was)) => return Ok(was),
        (None, None) => generate_symmetric_key(platform.random.as_ref()),
        (Some(wanted), None) => Zeroizing::new(wanted),
        (Some(wanted), Some(was)) => {
            let wanted = Zeroizing::new(wanted);
            if open_key(platform, device, field, &was).await?.as_slice() == wanted.as_bytes() {
                return Ok(was);
            }
            wanted
        }
    };
    let (row, owner) = (uid_key(device.uid), uid_key(device.hub));
    platform.keyring.seal(platform.store.as_ref(), &owner, DEVICES.name, &row, field, wanted.as_bytes()).await
}

async fn open_key(
    platform: &Platform,
    device: &DeviceIdentity,
    field: &'static str,
    sealed: &str,
) -> Result<Zeroizing<Vec<u8>>> {
    let (row, owner) = (uid_key(device.uid), uid_key(device.hub));
    platform.keyring.open(platform.store.as_ref(), &owner, DEVICES.name, &row, field, sealed).await
}

/// The device's keys as base64 text, primary and secondary; `None` unless it is of type `sas`.
///
/// # Errors
/// Internal, when a sealed key does not open.
pub async fn open_keys(
    platform: &Platform,
    device: &DeviceIdentity,
) -> Result<Option<(Zeroizing<String>, Zeroizing<String>)>> {
    let authentication = &device.authentication;
    let (Some(primary), Some(secondary)) = (&authentication.sealed_primary_key, &authentication.sealed_secondary_key)
    else {
        return Ok(None);
    };
    let text = |bytes: Zeroizing<Vec<u8>>| {
        let text = std::str::from_utf8(&bytes).map_err(|_| Error::internal("an opened device key is not text"))?;
        Ok::<_, Error>(Zeroizing::new(text.to_owned()))
    };
    let primary = text(open_key(platform, device, "primary", primary).await?)?;
    let secondary = text(open_key(platform, device, "secondary", secondary).await?)?;
    Ok(Some((primary, secondary)))
}

/// Adds a new device or module and its twin to `change`; the unit meets a conflict when it is there already.
///
/// # Errors
/// Internal, when a document does not serialize.
pub fn add_create(platform: &Platform, device: &mut DeviceIdentity, twin: &Twin, change: &mut Change) -> Result<()> {
    device.etag = new_etag(platform);
    let value = device.place()?;
    change.unit.expect(Expect::NoneWith { table: &DEVICES, column: "place", value });
    change.unit.put(device_put(device)?);
    change.unit.put(twins::put(device.uid, twin)?);
    Ok(())
}

/// Adds the changed identity to `change`: new etag, the time of a changed status, and the notice to an open
/// connection when status or credentials changed.
///
/// # Errors
/// Internal, when the document does not serialize.
pub fn add_update(
    platform: &Platform,
    was: &StoredDevice,
    device: &mut DeviceIdentity,
    change: &mut Change,
) -> Result<()> {
    device.etag = new_etag(platform);
    if device.status != was.device.status {
        device.status_updated = rfc3339(platform.now());
    }
    change.unit.expect_version(&DEVICES, uid_key(device.uid), was.version);
    change.unit.put(device_put(device)?);
    let same = device.status == was.device.status
        && device.authentication == was.device.authentication
        && device.credential_id == was.device.credential_id;
    if !same {
        notify(device, change);
    }
    Ok(())
}

/// Adds the identity without its former policies to `change`, which is no change in the sense of the service API: the etag stays.
///
/// # Errors
/// Internal, when the document does not serialize.
pub fn add_settled_policy(was: &StoredDevice, change: &mut Change) -> Result<()> {
    let mut device = was.device.as_ref().clone();
    device.former_policies.clear();
    change.unit.expect_version(&DEVICES, uid_key(device.uid), was.version);
    change.unit.put(device_put(&device)?);
    Ok(())
}

/// Adds to `change` that the identity stays as it is and has another version all the same: whoever read it before, to delete it, reads again.
///
/// # Errors
/// Internal, when the document does not serialize.
pub(crate) fn add_touch(was: &StoredDevice, change: &mut Change) -> Result<()> {
    change.unit.expect_version(&DEVICES, uid_key(was.device.uid), was.version);
    change.unit.put(device_put(&was.device)?);
    Ok(())
}

/// Adds the removal of a device with its modules, their twins, sessions and renewals to `change`, and the notices to open connections.
///
/// # Errors
/// When the store cannot be read.
pub async fn add_delete(platform: &Platform, was: &StoredDevice, change: &mut Change) -> Result<()> {
    add_delete_one(was, change);
    if was.device.module_id.is_none() {
        for module in modules(platform.store.as_ref(), was.device.hub, &was.device.device_id).await? {
            add_delete_one(&module, change);
        }
    }
    Ok(())
}

fn add_delete_one(was: &StoredDevice, change: &mut Change) {
    let key = uid_key(was.device.uid);
    change.unit.expect_version(&DEVICES, key.clone(), was.version);
    change.unit.delete(&DEVICES, key.clone());
    change.unit.delete(&TWINS, key.clone());
    change.unit.delete(&DEVICE_SESSIONS, key.clone());
    change.unit.delete(&RENEWALS, key);
    notify(&was.device, change);
}

/// Announces a change of the identity to an open connection.
pub fn notify(device: &DeviceIdentity, change: &mut Change) {
    change.notices.push((platform::device_subject(device.hub, &device.client()), bytes::Bytes::new()));
}

fn device_put(device: &DeviceIdentity) -> Result<Put> {
    let columns = vec![Some(device.place()?)];
    Ok(Put::new(&DEVICES, uid_key(device.uid), columns, device)?)
}

/// IoT Hub's device etags are base64 of a decimal number.
fn new_etag(platform: &Platform) -> String {
    let mut bytes = [0; 4];
    platform.random.fill(&mut bytes);
    STANDARD.encode(u32::from_be_bytes(bytes).to_string())
}

fn generation(now: Timestamp) -> String {
    (now.as_nanosecond() / 100 + UNIX_EPOCH_TICKS).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_count_dotnet_ticks() {
        assert_eq!(generation(Timestamp::UNIX_EPOCH), "621355968000000000");
        assert_eq!(generation(Timestamp::new(1, 200).unwrap()), "621355968010000002");
    }
}
