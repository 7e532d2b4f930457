//! Hub device identities: the stored form, IoT Hub's JSON view of it, and the body of a PUT.
//!
//! Names and shapes follow IoT Hub's service API (`Device`, api-versions 2020-09-30 to 2025-08-01-preview).

use crate::device_id::check_device_id;
use crate::error::{Error, Result};
use crate::time::NEVER;
use crate::uid::{UID_CHARS, parse_uid_key, uid_key};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

mod module;
mod put;
mod scope;

pub use module::{ModulePut, check_module_id, module_not_found};
pub use put::{AuthenticationPut, DevicePut};
pub use scope::{EdgeScope, ParentWish, Scopes, invalid_scope, wanted_parent};

/// Whether a device may connect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DeviceStatus {
    /// It may.
    #[default]
    Enabled,
    /// It may not; a live connection is closed.
    Disabled,
}

impl DeviceStatus {
    /// IoT Hub's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }
}

/// How a device proves who it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AuthenticationType {
    /// One of two symmetric keys.
    #[default]
    Sas,
    /// A certificate known by its thumbprint.
    SelfSigned,
    /// A certificate chain to a verified CA of the hub.
    CertificateAuthority,
    /// Nothing: the device cannot connect by itself.
    None,
}

impl AuthenticationType {
    /// IoT Hub's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sas => "sas",
            Self::SelfSigned => "selfSigned",
            Self::CertificateAuthority => "certificateAuthority",
            Self::None => "none",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Sas, Self::SelfSigned, Self::CertificateAuthority, Self::None]
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
    }
}

/// What is stored of a device's credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Authentication {
    /// Which credentials count.
    #[serde(rename = "type")]
    pub kind: AuthenticationType,
    /// Primary key, sealed, base64. Present exactly when `kind` is [`AuthenticationType::Sas`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealed_primary_key: Option<String>,
    /// Secondary key, sealed, base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealed_secondary_key: Option<String>,
    /// Primary thumbprint: SHA-1 or SHA-256, upper-case hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_thumbprint: Option<String>,
    /// Secondary thumbprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secondary_thumbprint: Option<String>,
}

/// A device identity, or that of a module of a device. Its row's key is [`DeviceIdentity::uid`], its place `{hub uid}/{device id}` or
/// `{hub uid}+{device id}/{module id}`; the document holds the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceIdentity {
    /// Internal id of the hub.
    #[serde(skip)]
    pub hub: Uuid,
    /// Internal id of the device; a device made again under the same name has another one.
    #[serde(skip)]
    pub uid: Uuid,
    /// The device id; case matters.
    #[serde(skip)]
    pub device_id: String,
    /// The module id, where this is a module of the device; case matters.
    #[serde(skip)]
    pub module_id: Option<String>,
    /// Who manages the module, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_by: Option<String>,
    /// Tells devices of the same name apart: 100-nanosecond ticks since year 1 at its creation, as text.
    pub generation_id: String,
    /// Entity tag without quotes.
    pub etag: String,
    /// Whether it may connect.
    #[serde(default, skip_serializing_if = "is_default")]
    pub status: DeviceStatus,
    /// Why it has this status, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// When the status last changed (RFC 3339), or [`NEVER`].
    #[serde(default = "never", skip_serializing_if = "is_never")]
    pub status_updated: String,
    /// Its credentials.
    #[serde(default)]
    pub authentication: Authentication,
    /// Whether it is an IoT Edge device.
    #[serde(default, skip_serializing_if = "is_default")]
    pub iot_edge: bool,
    /// Uid of the IoT Edge device of the same hub under which it stands. Who shows it looks whether that one is still there.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::uid::short_option")]
    pub parent: Option<Uuid>,
    /// Id that every certificate issued to the device carries; rotated to revoke them all.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::uid::short_option")]
    pub credential_id: Option<Uuid>,
    /// Uid of the certificate policy that its certificates come from.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::uid::short_option")]
    pub policy: Option<Uuid>,
    /// Uids of the policies that it had before, newest last: their certificates count until it shows one of its policy.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "crate::uid::short_list")]
    pub former_policies: Vec<Uuid>,
    /// Whether it was provisioned with a chain of its own: what was issued to it before counts no more.
    #[serde(default, skip_serializing_if = "is_default")]
    pub own_chain: bool,
    /// When it was made (RFC 3339).
    pub created: String,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn never() -> String {
    NEVER.into()
}

fn is_never(time: &str) -> bool {
    time == NEVER
}

/// The place of a device's row: `{hub uid}/{device id}`, unique.
///
/// # Errors
/// `ArgumentInvalid` for an illegal device id.
pub fn device_place(hub: Uuid, device_id: &str) -> Result<String> {
    check_device_id(device_id)?;
    Ok(format!("{}/{device_id}", uid_key(hub)))
}

/// The place of a module's row: `{hub uid}+{device id}/{module id}`, unique.
///
/// # Errors
/// `ArgumentInvalid` for an illegal device or module id.
pub fn module_place(hub: Uuid, device_id: &str, module_id: &str) -> Result<String> {
    check_device_id(device_id)?;
    check_module_id(module_id)?;
    Ok(format!("{}/{module_id}", modules_of(hub, Some(device_id))))
}

/// What the places of a hub's devices begin with.
pub fn devices_of(hub: Uuid) -> String {
    format!("{}/", uid_key(hub))
}

/// What the places of modules begin with: of a hub, or (with a `/` behind it) of one device.
pub fn modules_of(hub: Uuid, device_id: Option<&str>) -> String {
    format!("{}+{}", uid_key(hub), device_id.unwrap_or_default())
}

/// What a view needs and the stored identity does not hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceLive {
    /// Opened symmetric keys, primary and secondary, base64; `None` hides them.
    pub keys: Option<(String, String)>,
    /// The connection as the asking process sees it.
    pub connection: ConnectionView,
    /// The scope of the parent, where it has one that is still there.
    pub parent_scope: Option<String>,
}

/// Whether a device is connected, and when that changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionView {
    /// Whether a session is open.
    pub connected: bool,
    /// When that last changed (RFC 3339); `None` is never.
    pub updated: Option<String>,
    /// When the device last connected or sent something (RFC 3339); `None` is never.
    pub last_activity: Option<String>,
}

impl ConnectionView {
    /// IoT Hub's word for the state.
    pub fn state(&self) -> &'static str {
        if self.connected { "Connected" } else { "Disconnected" }
    }
}

/// Most former policies that are remembered of a device; a namespace has three at a time: ours.
const FORMER_POLICIES: usize = 8;

impl DeviceIdentity {
    /// Gives it another policy, or none. Certificates of the one before stay good, so that it can come for a new one.
    pub fn change_policy(&mut self, policy: Option<Uuid>) {
        if let Some(before) = std::mem::replace(&mut self.policy, policy) {
            self.former_policies.retain(|former| *former != before);
            self.former_policies.push(before);
        }
        self.former_policies.retain(|former| Some(*former) != policy);
        let excess = self.former_policies.len().saturating_sub(FORMER_POLICIES);
        self.former_policies.drain(..excess);
    }

    /// Where its row is found.
    ///
    /// # Errors
    /// `ArgumentInvalid` for an illegal id.
    pub fn place(&self) -> Result<String> {
        match &self.module_id {
            Some(module) => module_place(self.hub, &self.device_id, module),
            None => device_place(self.hub, &self.device_id),
        }
    }

    /// Notes whose it is, from the place of its row; `false` where that is none.
    #[must_use]
    pub fn stand_at(&mut self, place: &str) -> bool {
        let Some((hub, rest)) = place.split_at_checked(UID_CHARS) else { return false };
        let Some(hub) = parse_uid_key(hub) else { return false };
        let (device, module) =
            match (rest.strip_prefix('/'), rest.strip_prefix('+').and_then(|ids| ids.split_once('/'))) {
                (Some(device), _) => (device, None),
                (None, Some((device, module))) => (device, Some(module)),
                (None, None) => return false,
            };
        self.hub = hub;
        device.clone_into(&mut self.device_id);
        self.module_id = module.map(str::to_owned);
        true
    }

    /// The name of the client that it is of, within its hub: the device id, for a module with `/` and the module id.
    pub fn client(&self) -> String {
        match &self.module_id {
            Some(module) => format!("{}/{module}", self.device_id),
            None => self.device_id.clone(),
        }
    }

    /// The `Device` document of IoT Hub's service API.
    pub fn view(&self, live: &DeviceLive) -> Value {
        let (primary, secondary) = live.keys.clone().unzip();
        let mut view = json!({
            "deviceId": self.device_id,
            "generationId": self.generation_id,
            "etag": self.etag,
            "connectionState": live.connection.state(),
            "status": self.status.as_str(),
            "statusReason": self.status_reason,
            "connectionStateUpdatedTime": or_never(live.connection.updated.as_deref()),
            "statusUpdatedTime": self.status_updated,
            "lastActivityTime": or_never(live.connection.last_activity.as_deref()),
            "cloudToDeviceMessageCount": 0,
            "capabilities": {"iotEdge": self.iot_edge},
            "authentication": {
                "type": self.authentication.kind.as_str(),
                "symmetricKey": {"primaryKey": primary, "secondaryKey": secondary},
                "x509Thumbprint": self.thumbprints(),
            },
        });
        self.scopes(live.parent_scope.as_deref()).show(&mut view);
        view
    }

    /// The `x509Thumbprint` object of `Device` and `Twin`.
    pub fn thumbprints(&self) -> Value {
        json!({
            "primaryThumbprint": self.authentication.primary_thumbprint,
            "secondaryThumbprint": self.authentication.secondary_thumbprint,
        })
    }
}

fn or_never(time: Option<&str>) -> &str {
    time.unwrap_or(NEVER)
}

/// IoT Hub's answer to a malformed member: `ArgumentInvalid` (400004).
pub fn argument_invalid(message: impl Into<String>) -> Error {
    Error::invalid(message).with_code("ArgumentInvalid").with_iot_code(400_004)
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
