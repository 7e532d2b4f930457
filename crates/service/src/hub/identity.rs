//! Rows of device identities: building, sealing and writing them. Shared by the service API and by provisioning.
//!
//! A caller drafts an identity, lets the registry mirror it, and adds the rows to its own unit of work:
//! [`draft`], [`add_create`], or [`load`], [`set_credentials`], [`add_update`].

use super::{HubRef, twins};
use crate::platform::{self, Change, Platform};
use crate::tables::{DEVICE_SESSIONS, DEVICES, RENEWALS, TWINS};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::device::{Authentication, AuthenticationType, DeviceIdentity, DeviceStatus, device_place};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::time::{NEVER, rfc3339};
use ferrohub_model::twin::Twin;
use ferrohub_model::uid::{parse_uid_key, uid_key};
use ferrohub_pki::key::generate_symmetric_key;
use ferrohub_store::{Expect, Put, Row, Store};
use jiff::Timestamp;
use std::sync::Arc;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Ticks of 100 ns from year 1 to the Unix epoch, as .NET counts them.
const UNIX_EPOCH_TICKS: i128 = 621_355_968_000_000_000;

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

/// A device to be made.
#[derive(Clone)]
pub struct DeviceSpec {
    /// Device id, legal by [`ferrohub_model::device_id::check_device_id`].
    pub device_id: String,
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

/// Which device is meant: by its uid in rows, by hub and device id in notices.
#[derive(Debug, Clone, Copy)]
pub struct DeviceRef<'a> {
    /// Uid of the device.
    pub uid: Uuid,
    /// Uid of its hub.
    pub hub: Uuid,
    /// Its device id.
    pub device_id: &'a str,
}

impl<'a> DeviceRef<'a> {
    /// The device that an identity is of.
    pub fn of(device: &'a DeviceIdentity) -> Self {
        Self { uid: device.uid, hub: device.hub, device_id: &device.device_id }
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

/// The identity of a device, if there is one.
///
/// # Errors
/// `ArgumentInvalid` for an illegal id; when the store cannot be read.
pub async fn load(store: &dyn Store, hub: Uuid, device_id: &str) -> Result<Option<StoredDevice>> {
    store.find_one(&DEVICES, "place", &device_place(hub, device_id)?).await?.as_deref().map(device_from_row).transpose()
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
    let broken = || Error::internal(format!("device row {} has no place", row.key));
    let mut device = row.parse::<DeviceIdentity>()?.as_ref().clone();
    let place = row.columns.first().and_then(Option::as_deref).and_then(|place| place.split_once('/'));
    let (hub, device_id) = place.ok_or_else(broken)?;
    device.hub = parse_uid_key(hub).ok_or_else(broken)?;
    device.uid = parse_uid_key(&row.key).ok_or_else(broken)?;
    device.device_id = device_id.to_owned();
    Ok(StoredDevice { device: Arc::new(device), version: row.version })
}

/// A new identity that is not stored yet; its keys are generated where none are given, and sealed.
///
/// # Errors
/// `ArgumentInvalid` for an illegal id; when sealing fails.
pub async fn draft(platform: &Platform, hub: &HubRef, spec: DeviceSpec) -> Result<DeviceIdentity> {
    device_place(hub.uid, &spec.device_id)?;
    let now = platform.now();
    let mut device = DeviceIdentity {
        hub: hub.uid,
        uid: spec.uid.unwrap_or_else(|| platform.new_id()),
        device_id: spec.device_id,
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

/// Adds a new device and its twin to `change`; the unit meets a conflict when the device is there already.
///
/// # Errors
/// Internal, when a document does not serialize.
pub fn add_create(platform: &Platform, device: &mut DeviceIdentity, twin: &Twin, change: &mut Change) -> Result<()> {
    device.etag = new_etag(platform);
    let value = device_place(device.hub, &device.device_id)?;
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

/// Adds the removal of a device, its twin, its session and its renewals to `change`, and the notice to an open connection.
pub fn add_delete(was: &StoredDevice, change: &mut Change) {
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
    change.notices.push((platform::device_subject(device.hub, &device.device_id), bytes::Bytes::new()));
}

fn device_put(device: &DeviceIdentity) -> Result<Put> {
    let columns = vec![Some(device_place(device.hub, &device.device_id)?)];
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
