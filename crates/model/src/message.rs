//! Telemetry messages: the properties a device may set, those the hub adds, and the size rule.
//!
//! Names are those that Event Hubs consumers see. The device's own names stand in the table of
//! "Communicate with IoT Hub using MQTT" (`$.mid` and so on) and of the HTTPS device API.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{MESSAGE_PROPERTIES, TELEMETRY_BYTES};

const DEVICE_SAS: &str = r#"{"scope":"device","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}"#;
const HUB_SAS: &str = r#"{"scope":"hub","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}"#;
const X509: &str = r#"{"scope":"device","type":"x509","issuer":"iothub","acceptingIpFilterRule":null}"#;
const MODULE_SAS: &str = r#"{"scope":"module","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}"#;
const MODULE_X509: &str = r#"{"scope":"module","type":"x509","issuer":"iothub","acceptingIpFilterRule":null}"#;

/// Texts that stand in most messages, for logs that write them as a number: their place here. To be added to at the end
/// only; at most 128.
pub const WORDS: &[&str] = &[
    "iothub-connection-device-id",
    "iothub-connection-auth-method",
    "iothub-connection-auth-generation-id",
    "iothub-enqueuedtime",
    "iothub-message-source",
    "Telemetry",
    DEVICE_SAS,
    HUB_SAS,
    X509,
    "message-id",
    "correlation-id",
    "user-id",
    "content-type",
    "content-encoding",
    "to",
    "absolute-expiry-time",
    "dt-subject",
    "iothub-interface-id",
    "iothub-creation-time-utc",
    "iothub-outputname",
    "diagnostic-id",
    "diagnostic-context",
    "iothub-ack",
    "application/json",
    "utf-8",
    "iothub-MessageType",
    "Will",
    "mqtt-retain",
    "true",
    "false",
    "dt-dataschema",
    "iothub-connection-module-id",
    MODULE_SAS,
    MODULE_X509,
];

/// How a connection proved its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthMethod {
    /// With a SAS token under a key of the device.
    DeviceSas,
    /// With a SAS token under a policy of the hub.
    HubSas,
    /// With a certificate, known by thumbprint or by its chain.
    X509,
    /// A module with a SAS token under a key of its own.
    ModuleSas,
    /// A module with a certificate.
    ModuleX509,
}

impl AuthMethod {
    /// Value of `iothub-connection-auth-method`.
    pub fn annotation(self) -> &'static str {
        match self {
            Self::DeviceSas => DEVICE_SAS,
            Self::HubSas => HUB_SAS,
            Self::X509 => X509,
            Self::ModuleSas => MODULE_SAS,
            Self::ModuleX509 => MODULE_X509,
        }
    }

    /// The same where a module was proven by it.
    #[must_use]
    pub fn of_module(self) -> Self {
        match self {
            Self::DeviceSas | Self::ModuleSas => Self::ModuleSas,
            Self::X509 | Self::ModuleX509 => Self::ModuleX509,
            Self::HubSas => Self::HubSas,
        }
    }
}

/// What the hub knows about the connection that a message came over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The device id.
    pub device_id: String,
    /// The module id, where a module of the device connected.
    pub module_id: Option<String>,
    /// Generation of the identity.
    pub generation_id: String,
    /// How it was authenticated.
    pub method: AuthMethod,
    /// The model that the device announced.
    pub model_id: Option<String>,
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

/// The system properties that a device gave and may set, under the log's names, the first of each. What else it sent
/// under a system name is dropped, so that it cannot pose as another.
pub fn settable(given: &[(String, String)]) -> impl Iterator<Item = (&'static str, &str)> {
    given.iter().enumerate().filter_map(|(index, (name, value))| {
        let name = system_name(name)?;
        let earlier = given.iter().take(index).any(|(before, _)| system_name(before) == Some(name));
        (!earlier).then_some((name, value.as_str()))
    })
}

/// The system properties that the hub adds behind those of the device. `enqueued` is RFC 3339.
pub fn annotations<'a>(origin: &'a Origin, enqueued: &'a str) -> impl Iterator<Item = (&'static str, &'a str)> {
    let model = origin.model_id.as_deref().map(|model| ("dt-dataschema", model));
    let module = origin.module_id.as_deref().map(|module| ("iothub-connection-module-id", module));
    let always: [(&'static str, &'a str); 5] = [
        ("iothub-connection-device-id", &origin.device_id),
        ("iothub-connection-auth-method", origin.method.annotation()),
        ("iothub-connection-auth-generation-id", &origin.generation_id),
        ("iothub-enqueuedtime", enqueued),
        ("iothub-message-source", "Telemetry"),
    ];
    always.into_iter().chain(module).chain(model)
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
        Origin {
            device_id: "d".into(),
            module_id: None,
            generation_id: "638".into(),
            method: AuthMethod::X509,
            model_id: None,
        }
    }

    #[test]
    fn the_hub_adds_where_a_message_came_from() {
        let origin = origin();
        let added: Vec<_> = annotations(&origin, "2026-11-20T10:00:00.0000000Z").collect();
        let value = |name: &str| added.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        assert_eq!(value("iothub-connection-device-id"), Some("d"));
        assert_eq!(
            value("iothub-connection-auth-method"),
            Some(r#"{"scope":"device","type":"x509","issuer":"iothub","acceptingIpFilterRule":null}"#)
        );
        assert_eq!(value("iothub-enqueuedtime"), Some("2026-11-20T10:00:00.0000000Z"));
        assert_eq!(value("iothub-message-source"), Some("Telemetry"));
        assert_eq!(value("dt-dataschema"), None);
        let origin = Origin { model_id: Some("dtmi:com:x;1".into()), ..origin.clone() };
        assert!(annotations(&origin, "t").any(|added| added == ("dt-dataschema", "dtmi:com:x;1")));
    }

    #[test]
    fn what_a_device_may_set_is_kept_under_the_names_of_the_log() {
        let given = vec![("$.mid".into(), "1".into()), ("content-type".into(), "application/json".into())];
        let kept: Vec<_> = settable(&given).collect();
        assert_eq!(kept, [("message-id", "1"), ("content-type", "application/json")]);
    }

    #[test]
    fn a_device_cannot_pose_as_another() {
        let given = vec![
            ("iothub-connection-device-id".into(), "other".into()),
            ("$.cdid".into(), "other".into()),
            ("$.mid".into(), "1".into()),
            ("message-id".into(), "2".into()),
        ];
        assert_eq!(settable(&given).collect::<Vec<_>>(), [("message-id", "1")]);
    }

    #[test]
    fn every_name_and_annotation_is_a_word() {
        let origin = Origin { module_id: Some("m".into()), model_id: Some("true".into()), ..origin() };
        let names = SETTABLE.iter().map(|(_, log)| *log);
        let added = annotations(&origin, "t").map(|(name, _)| name);
        let methods = [AuthMethod::DeviceSas, AuthMethod::HubSas, AuthMethod::X509].map(AuthMethod::annotation);
        for word in names.chain(added).chain(methods) {
            assert!(WORDS.contains(&word), "{word}");
        }
        let distinct: std::collections::HashSet<_> = WORDS.iter().collect();
        assert_eq!(distinct.len(), WORDS.len());
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
