//! Telemetry messages: the properties a device may set, those the hub adds, and the size rule.
//!
//! Names are those that Event Hubs consumers see. The device's own names stand in the table of
//! "Communicate with IoT Hub using MQTT" (`$.mid` and so on) and of the HTTPS device API.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{MESSAGE_PROPERTIES, TELEMETRY_BYTES};
use serde_json::json;

/// How a connection proved its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthMethod {
    /// With a SAS token under a key of the device.
    DeviceSas,
    /// With a SAS token under a policy of the hub.
    HubSas,
    /// With a certificate, known by thumbprint or by its chain.
    X509,
}

impl AuthMethod {
    /// Value of `iothub-connection-auth-method`.
    pub fn annotation(self) -> String {
        let (scope, kind) = match self {
            Self::DeviceSas => ("device", "sas"),
            Self::HubSas => ("hub", "sas"),
            Self::X509 => ("device", "x509"),
        };
        json!({"scope": scope, "type": kind, "issuer": "iothub", "acceptingIpFilterRule": null}).to_string()
    }
}

/// What the hub knows about the connection that a message came over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The device id.
    pub device_id: String,
    /// Generation of the device identity.
    pub generation_id: String,
    /// How it was authenticated.
    pub method: AuthMethod,
}

/// System properties that a device may set: the wire's name and the name in the log.
const SETTABLE: &[(&str, &str)] = &[
    ("$.mid", "message-id"),
    ("$.cid", "correlation-id"),
    ("$.uid", "user-id"),
    ("$.ct", "content-type"),
    ("$.ce", "content-encoding"),
    ("$.to", "to"),
    ("$.exp", "absolute-expiry-time"),
    ("$.sub", "dt-subject"),
    ("$.ifid", "iothub-interface-id"),
    ("$.ctime", "iothub-creation-time-utc"),
    ("$.on", "iothub-outputname"),
    ("$.diagid", "diagnostic-id"),
    ("$.diagctx", "diagnostic-context"),
    ("iothub-ack", "iothub-ack"),
];

/// Name under which the log keeps a system property that a device set, from either spelling. `None`: a device may not set it.
pub fn system_name(name: &str) -> Option<&'static str> {
    SETTABLE.iter().find(|(wire, log)| *wire == name || *log == name).map(|(_, log)| *log)
}

/// The system properties of a stored message: those of the device that it may set, then those the hub adds.
/// `enqueued` is RFC 3339. What else the device sent under a system name is dropped, so that it cannot pose as another.
pub fn stored_system(given: &[(String, String)], origin: &Origin, enqueued: &str) -> Vec<(String, String)> {
    let mut stored: Vec<(String, String)> = Vec::with_capacity(given.len() + 5);
    for (name, value) in given {
        match system_name(name) {
            Some(name) if !stored.iter().any(|(known, _)| known == name) => {
                stored.push((name.to_owned(), value.clone()))
            }
            _ => {}
        }
    }
    for (name, value) in [
        ("iothub-connection-device-id", origin.device_id.clone()),
        ("iothub-connection-auth-method", origin.method.annotation()),
        ("iothub-connection-auth-generation-id", origin.generation_id.clone()),
        ("iothub-enqueuedtime", enqueued.to_owned()),
        ("iothub-message-source", "Telemetry".to_owned()),
    ] {
        stored.push((name.to_owned(), value));
    }
    stored
}

/// Checks payload and properties of one message against IoT Hub's 256 KB and our number of properties.
///
/// # Errors
/// `MessageTooLarge` (413001) with the size and the limit; `ArgumentInvalid` (400004) for too many properties.
pub fn check_size(
    payload_bytes: usize,
    system: &[(String, String)],
    application: &[(String, Option<String>)],
) -> Result<()> {
    let properties = system.len() + application.len();
    if properties > MESSAGE_PROPERTIES {
        return Err(Error::invalid(format!(
            "The message has {properties} properties; at most {MESSAGE_PROPERTIES} are allowed."
        ))
        .with_code("ArgumentInvalid")
        .with_iot_code(400_004));
    }
    let system_bytes: usize = system.iter().map(|(name, value)| name.len() + value.len()).sum();
    let application_bytes: usize =
        application.iter().map(|(name, value)| name.len() + value.as_ref().map_or(0, String::len)).sum();
    let bytes = payload_bytes.saturating_add(system_bytes).saturating_add(application_bytes);
    if bytes > TELEMETRY_BYTES {
        return Err(Error::new(
            ErrorKind::TooLarge,
            "MessageTooLarge",
            format!(
                "The message has {bytes} bytes with its properties; at most {TELEMETRY_BYTES} are allowed. Split it."
            ),
        )
        .with_iot_code(413_001));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin { device_id: "d".into(), generation_id: "638".into(), method: AuthMethod::X509 }
    }

    #[test]
    fn the_hub_adds_where_a_message_came_from() {
        let given = vec![("$.mid".into(), "1".into()), ("content-type".into(), "application/json".into())];
        let stored = stored_system(&given, &origin(), "2026-11-20T10:00:00.0000000Z");
        let value = |name: &str| stored.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        assert_eq!(value("message-id"), Some("1"));
        assert_eq!(value("content-type"), Some("application/json"));
        assert_eq!(value("iothub-connection-device-id"), Some("d"));
        assert_eq!(
            value("iothub-connection-auth-method"),
            Some(r#"{"scope":"device","type":"x509","issuer":"iothub","acceptingIpFilterRule":null}"#)
        );
        assert_eq!(value("iothub-message-source"), Some("Telemetry"));
    }

    #[test]
    fn a_device_cannot_pose_as_another() {
        let given = vec![
            ("iothub-connection-device-id".into(), "other".into()),
            ("$.cdid".into(), "other".into()),
            ("$.mid".into(), "1".into()),
            ("message-id".into(), "2".into()),
        ];
        let stored = stored_system(&given, &origin(), "t");
        let named = |name: &str| {
            stored.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(named("iothub-connection-device-id"), ["d"]);
        assert_eq!(named("message-id"), ["1"]);
        assert!(!stored.iter().any(|(_, value)| value == "other"));
    }

    #[test]
    fn the_limit_counts_payload_and_properties() {
        let application = vec![("ab".to_owned(), Some("cd".to_owned())), ("e".to_owned(), None)];
        assert!(check_size(TELEMETRY_BYTES - 5, &[], &application).is_ok());
        let error = check_size(TELEMETRY_BYTES - 4, &[], &application).unwrap_err();
        assert_eq!((error.kind, error.numeric_code()), (ErrorKind::TooLarge, 413_001));
        let many = vec![(String::new(), None); MESSAGE_PROPERTIES + 1];
        assert_eq!(check_size(0, &[], &many).unwrap_err().numeric_code(), 400_004);
        assert!(check_size(usize::MAX, &[("a".into(), "b".into())], &[]).is_err());
    }
}
