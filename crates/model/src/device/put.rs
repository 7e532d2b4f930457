//! The body of a PUT of a device.

use super::{AuthenticationType, DeviceStatus, argument_invalid};
use crate::device_id::check_device_id;
use crate::error::Result;
use crate::limits::{DEVICE_KEY_BYTES, STATUS_REASON_CHARS};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// Members of a device that the hub writes. Clients send back what they read, so these are taken and say nothing.
const READ_ONLY: &[&str] = &[
    "deviceId",
    "generationId",
    "etag",
    "connectionState",
    "connectionStateUpdatedTime",
    "statusUpdatedTime",
    "lastActivityTime",
    "cloudToDeviceMessageCount",
];
/// What programs keep beside a device in the same object: it is theirs, and no property of a device. Node's twin suite sends it.
const OF_THE_CLIENT: &[&str] = &["connectionString"];
/// Members that a client writes.
const WRITTEN: &[&str] = &["status", "statusReason", "authentication", "capabilities", "deviceScope", "parentScopes"];

/// What a client asks for with a PUT of a device. `None` is "not given": create takes the
/// default, update keeps what is there. Read-only members say nothing, unknown ones are refused.
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
    /// `deviceScope`: an edge device's own, another device's parent. Empty takes the parent away.
    pub device_scope: Option<String>,
    /// `parentScopes`: the parent, one at most. An empty list takes it away.
    pub parent_scopes: Option<Vec<String>>,
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
        only(body, "", &[READ_ONLY, OF_THE_CLIENT, WRITTEN])?;
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
            device_scope: text(body, "deviceScope")?.map(str::to_owned),
            parent_scopes: parent_scopes(body)?,
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
    let capabilities = match body.get("capabilities") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(capabilities)) => capabilities,
        Some(_) => return Err(argument_invalid("The member 'capabilities' is a JSON object.")),
    };
    only(capabilities, "capabilities.", &[&["iotEdge"]])?;
    match capabilities.get("iotEdge") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(edge)) => Ok(Some(*edge)),
        // az writes booleans of `--set` as text.
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(_) => Err(argument_invalid("The member 'capabilities.iotEdge' is true or false.")),
    }
}

fn parent_scopes(body: &Map<String, Value>) -> Result<Option<Vec<String>>> {
    let wrong = || argument_invalid("The member 'parentScopes' is a list of at most one scope of an IoT Edge device.");
    match body.get("parentScopes") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(scopes)) if scopes.len() <= 1 => scopes
            .iter()
            .map(|scope| scope.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect::<Result<_>>()
            .map(Some),
        Some(_) => Err(wrong()),
    }
}

/// Refuses a member that nobody knows, and that says something: it would be lost in silence.
pub(super) fn only(body: &Map<String, Value>, path: &str, known: &[&[&str]]) -> Result<()> {
    let lost = |name: &str, value: &Value| !value.is_null() && !known.iter().any(|names| names.contains(&name));
    match body.iter().find(|(name, value)| lost(name, value)) {
        None => Ok(()),
        Some((unknown, _)) => {
            let shown: String = unknown.chars().filter(|c| !c.is_control()).take(64).collect();
            let known: Vec<&str> = known.last().copied().unwrap_or_default().to_vec();
            Err(argument_invalid(format!(
                "The member '{path}{shown}' is not one of a device, or not built; {} be written.",
                match known.as_slice() {
                    [one] => format!("only '{path}{one}' can"),
                    many => format!("{} can", many.join(", ")),
                }
            )))
        }
    }
}

pub(super) fn authentication(value: &Value) -> Result<Option<AuthenticationPut>> {
    let Some(given) = value.as_object() else {
        return if value.is_null() {
            Ok(None)
        } else {
            Err(argument_invalid("The member 'authentication' is a JSON object."))
        };
    };
    only(given, "authentication.", &[&["type", "symmetricKey", "x509Thumbprint"]])?;
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
            only(pair, &format!("authentication.{member}."), &[&[first, second]])?;
            let filled = |name| Ok(text(pair, name)?.filter(|text: &&str| !text.is_empty()));
            Ok((filled(first)?, filled(second)?))
        }
        Some(_) => Err(argument_invalid(format!("The member 'authentication.{member}' is a JSON object."))),
    }
}

pub(super) fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>> {
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
