//! Hub device identities: the stored form, IoT Hub's JSON view of it, and the body of a PUT.
//!
//! Names and shapes follow IoT Hub's service API (`Device`, api-versions 2020-09-30 to 2025-08-01-preview).

use crate::device_id::check_device_id;
use crate::error::{Error, Result};
use crate::limits::{DEVICE_KEY_BYTES, STATUS_REASON_CHARS};
use crate::time::NEVER;
use crate::uid::uid_key;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

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

/// A device identity. Its row's key is [`DeviceIdentity::uid`], its place `{hub uid}/{device id}`; the document holds the rest.
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
    /// Id that every certificate issued to the device carries; rotated to revoke them all.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::uid::short_option")]
    pub credential_id: Option<Uuid>,
    /// Uid of the certificate policy that its certificates come from.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::uid::short_option")]
    pub policy: Option<Uuid>,
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

/// What a view needs and the stored identity does not hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceLive {
    /// Opened symmetric keys, primary and secondary, base64; `None` hides them.
    pub keys: Option<(String, String)>,
    /// The connection as the asking process sees it.
    pub connection: ConnectionView,
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

impl DeviceIdentity {
    /// The `Device` document of IoT Hub's service API.
    pub fn view(&self, live: &DeviceLive) -> Value {
        let (primary, secondary) = live.keys.clone().unzip();
        json!({
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
        })
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

/// What a client asks for with a PUT of a device. `None` is "not given": create takes the
/// default, update keeps what is there. Read-only and unknown members are ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DevicePut {
    /// New status.
    pub status: Option<DeviceStatus>,
    /// New reason; an inner `None` clears it.
    pub status_reason: Option<Option<String>>,
    /// New credentials.
    pub authentication: Option<AuthenticationPut>,
    /// Whether it is an IoT Edge device.
    pub iot_edge: Option<bool>,
}

/// The credentials of a PUT.
#[derive(Clone, PartialEq, Eq)]
pub enum AuthenticationPut {
    /// Symmetric keys, base64 of 16 to 64 bytes; a missing one is kept or generated.
    Sas {
        /// Primary key.
        primary: Option<String>,
        /// Secondary key.
        secondary: Option<String>,
    },
    /// Thumbprints, upper-case hexadecimal; at least one.
    SelfSigned {
        /// Primary thumbprint.
        primary: Option<String>,
        /// Secondary thumbprint.
        secondary: Option<String>,
    },
    /// A chain to a CA of the hub.
    CertificateAuthority,
    /// No credentials.
    None,
}

/// Keys never reach a log.
impl std::fmt::Debug for AuthenticationPut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind().as_str())
    }
}

impl AuthenticationPut {
    /// The type it stands for.
    pub fn kind(&self) -> AuthenticationType {
        match self {
            Self::Sas { .. } => AuthenticationType::Sas,
            Self::SelfSigned { .. } => AuthenticationType::SelfSigned,
            Self::CertificateAuthority => AuthenticationType::CertificateAuthority,
            Self::None => AuthenticationType::None,
        }
    }
}

impl DevicePut {
    /// Reads the body of `PUT /devices/{device_id}`.
    ///
    /// # Errors
    /// `ArgumentInvalid` (400004) naming the member and the rule.
    pub fn parse(device_id: &str, body: &Value) -> Result<Self> {
        check_device_id(device_id)?;
        let Some(body) = body.as_object() else {
            return Err(argument_invalid("The body of a device is a JSON object."));
        };
        match body.get("deviceId") {
            None | Some(Value::Null) => {}
            Some(Value::String(given)) if given == device_id => {}
            Some(_) => {
                return Err(argument_invalid(format!(
                    "The member 'deviceId' of the body is not the device id '{device_id}' of the path; make them equal or leave it out."
                )));
            }
        }
        Ok(Self {
            status: status(body)?,
            status_reason: status_reason(body)?,
            authentication: body.get("authentication").map_or(Ok(None), authentication)?,
            iot_edge: iot_edge(body)?,
        })
    }
}

fn status(body: &Map<String, Value>) -> Result<Option<DeviceStatus>> {
    let Some(text) = text(body, "status")? else {
        return Ok(None);
    };
    match text.to_ascii_lowercase().as_str() {
        "enabled" => Ok(Some(DeviceStatus::Enabled)),
        "disabled" => Ok(Some(DeviceStatus::Disabled)),
        _ => Err(argument_invalid("The member 'status' is 'enabled' or 'disabled'.")),
    }
}

fn status_reason(body: &Map<String, Value>) -> Result<Option<Option<String>>> {
    if !body.contains_key("statusReason") {
        return Ok(None);
    }
    match text(body, "statusReason")? {
        Some(reason) if reason.chars().count() > STATUS_REASON_CHARS => {
            Err(argument_invalid(format!("The member 'statusReason' is longer than {STATUS_REASON_CHARS} characters.")))
        }
        reason => Ok(Some(reason.map(str::to_owned).filter(|reason| !reason.is_empty()))),
    }
}

fn iot_edge(body: &Map<String, Value>) -> Result<Option<bool>> {
    match body.get("capabilities").and_then(|capabilities| capabilities.get("iotEdge")) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(edge)) => Ok(Some(*edge)),
        // az writes booleans of `--set` as text.
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(_) => Err(argument_invalid("The member 'capabilities.iotEdge' is true or false.")),
    }
}

fn authentication(value: &Value) -> Result<Option<AuthenticationPut>> {
    let Some(given) = value.as_object() else {
        return if value.is_null() {
            Ok(None)
        } else {
            Err(argument_invalid("The member 'authentication' is a JSON object."))
        };
    };
    let keys = pair(given, "symmetricKey", "primaryKey", "secondaryKey")?;
    let prints = pair(given, "x509Thumbprint", "primaryThumbprint", "secondaryThumbprint")?;
    let kind = match text(given, "type")? {
        Some(name) => AuthenticationType::parse(name).ok_or_else(|| {
            argument_invalid(
                "The member 'authentication.type' is 'sas', 'selfSigned', 'certificateAuthority' or 'none'.",
            )
        })?,
        // Clients older than the type name it by what they send.
        None if prints != (None, None) => AuthenticationType::SelfSigned,
        None => AuthenticationType::Sas,
    };
    match kind {
        AuthenticationType::Sas => {
            let primary = keys.0.map(|key| check_key("primaryKey", key)).transpose()?;
            let secondary = keys.1.map(|key| check_key("secondaryKey", key)).transpose()?;
            Ok(Some(AuthenticationPut::Sas { primary, secondary }))
        }
        AuthenticationType::SelfSigned => {
            let primary = prints.0.map(|print| thumbprint("primaryThumbprint", print)).transpose()?;
            let secondary = prints.1.map(|print| thumbprint("secondaryThumbprint", print)).transpose()?;
            if primary.is_none() && secondary.is_none() {
                return Err(argument_invalid(
                    "A device of type 'selfSigned' needs 'authentication.x509Thumbprint' with a primary or secondary thumbprint.",
                ));
            }
            Ok(Some(AuthenticationPut::SelfSigned { primary, secondary }))
        }
        AuthenticationType::CertificateAuthority => Ok(Some(AuthenticationPut::CertificateAuthority)),
        AuthenticationType::None => Ok(Some(AuthenticationPut::None)),
    }
}

type Pair<'a> = (Option<&'a str>, Option<&'a str>);

fn pair<'a>(given: &'a Map<String, Value>, member: &str, first: &str, second: &str) -> Result<Pair<'a>> {
    match given.get(member) {
        None | Some(Value::Null) => Ok((None, None)),
        Some(Value::Object(pair)) => {
            let filled = |name| Ok(text(pair, name)?.filter(|text: &&str| !text.is_empty()));
            Ok((filled(first)?, filled(second)?))
        }
        Some(_) => Err(argument_invalid(format!("The member 'authentication.{member}' is a JSON object."))),
    }
}

fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(argument_invalid(format!("The member '{name}' is a text."))),
    }
}

fn check_key(name: &str, key: &str) -> Result<String> {
    let length = STANDARD.decode(key).map(|bytes| bytes.len());
    let (least, most) = DEVICE_KEY_BYTES;
    match length {
        Ok(length) if (least..=most).contains(&length) => Ok(key.to_owned()),
        Ok(length) => Err(argument_invalid(format!(
            "The member '{name}' has {length} bytes; give base64 of {least} to {most} bytes."
        ))),
        Err(_) => {
            Err(argument_invalid(format!("The member '{name}' is not base64; give base64 of {least} to {most} bytes.")))
        }
    }
}

fn thumbprint(name: &str, given: &str) -> Result<String> {
    let print: String = given.chars().filter(|c| *c != ':').collect::<String>().to_ascii_uppercase();
    if matches!(print.len(), 40 | 64) && print.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(print);
    }
    Err(argument_invalid(format!(
        "The member '{name}' is a SHA-1 (40) or SHA-256 (64) thumbprint in hexadecimal digits."
    )))
}

/// IoT Hub's answer to a malformed member: `ArgumentInvalid` (400004).
pub fn argument_invalid(message: impl Into<String>) -> Error {
    Error::invalid(message).with_code("ArgumentInvalid").with_iot_code(400_004)
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
