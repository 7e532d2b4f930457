//! Connection strings: `HostName=..;SharedAccessKeyName=..;SharedAccessKey=..` and their relatives.

use std::fmt;

use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::CONNECTION_STRING_BYTES;

const HOST_NAME: &str = "HostName";
const DEVICE_ID: &str = "DeviceId";
const KEY_NAME: &str = "SharedAccessKeyName";
const KEY: &str = "SharedAccessKey";

/// Fields whose value never shows in `Debug`.
const SECRETS: [&str; 2] = [KEY, "SharedAccessSignature"];

/// A connection string: named fields in the order in which they were written.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionString {
    fields: Vec<(String, String)>,
}

impl ConnectionString {
    /// Parses `name=value;..`; a value may contain `=`, names ignore case, a last `;` is allowed.
    ///
    /// # Errors
    /// `Invalid` for a part without `=`, a doubled name, an over-long text, or when neither `HostName` nor
    /// `Endpoint` is given. Values are not repeated in the message.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > CONNECTION_STRING_BYTES {
            return Err(malformed("it is too long"));
        }
        let mut parsed = Self { fields: Vec::new() };
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part
                .split_once('=')
                .map(|(name, value)| (name.trim(), value))
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| malformed("a part is not name=value"))?;
            if parsed.get(name).is_some() {
                return Err(malformed(&format!("'{name}' is there twice")));
            }
            parsed.fields.push((name.to_owned(), value.to_owned()));
        }
        if parsed.get(HOST_NAME).or(parsed.get("Endpoint")).is_none_or(str::is_empty) {
            return Err(malformed("'HostName' is missing"));
        }
        Ok(parsed)
    }

    /// For a shared access policy of a hub or DPS; `key` in base64.
    pub fn for_policy(host: &str, policy: &str, key: &str) -> Self {
        Self::of(&[(HOST_NAME, host), (KEY_NAME, policy), (KEY, key)])
    }

    /// For a device with a symmetric key in base64.
    pub fn for_device(host: &str, device_id: &str, key: &str) -> Self {
        Self::of(&[(HOST_NAME, host), (DEVICE_ID, device_id), (KEY, key)])
    }

    /// For a device with a certificate.
    pub fn for_x509_device(host: &str, device_id: &str) -> Self {
        Self::of(&[(HOST_NAME, host), (DEVICE_ID, device_id), ("x509", "true")])
    }

    /// For a module; with a certificate where there is no key.
    pub fn for_module(host: &str, device_id: &str, module_id: &str, key: Option<&str>) -> Self {
        let proof = key.map_or(("x509", "true"), |key| (KEY, key));
        Self::of(&[(HOST_NAME, host), (DEVICE_ID, device_id), ("ModuleId", module_id), proof])
    }

    /// For the Event Hubs-compatible endpoint (`sb://host/`); `key` in base64.
    pub fn for_event_hub(endpoint: &str, policy: &str, key: &str, entity_path: &str) -> Self {
        Self::of(&[("Endpoint", endpoint), (KEY_NAME, policy), (KEY, key), ("EntityPath", entity_path)])
    }

    fn of(fields: &[(&str, &str)]) -> Self {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { fields }
    }

    /// Value of a field, its name ignoring case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.as_str())
    }

    /// `HostName`; may have a port.
    pub fn host_name(&self) -> Option<&str> {
        self.get(HOST_NAME)
    }

    /// `SharedAccessKeyName`: the policy.
    pub fn policy(&self) -> Option<&str> {
        self.get(KEY_NAME)
    }

    /// `SharedAccessKey`, base64.
    pub fn key(&self) -> Option<&str> {
        self.get(KEY)
    }

    /// `DeviceId`.
    pub fn device_id(&self) -> Option<&str> {
        self.get(DEVICE_ID)
    }

    /// `ModuleId`.
    pub fn module_id(&self) -> Option<&str> {
        self.get("ModuleId")
    }

    /// `GatewayHostName`.
    pub fn gateway_host_name(&self) -> Option<&str> {
        self.get("GatewayHostName")
    }

    /// Whether `x509=true` is given.
    pub fn is_x509(&self) -> bool {
        self.get("x509").is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The whole text, secrets included. There is no `Display`, so that it cannot slip into a log.
    pub fn reveal(&self) -> String {
        let parts: Vec<String> = self.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        parts.join(";")
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in &self.fields {
            let secret = SECRETS.iter().any(|secret| secret.eq_ignore_ascii_case(name));
            map.entry(name, if secret { &"(hidden)" } else { value });
        }
        map.finish()
    }
}

fn malformed(fault: &str) -> Error {
    Error::invalid(format!(
        "The connection string is malformed: {fault}. Write 'HostName={{host}};SharedAccessKeyName={{policy}};SharedAccessKey={{key}}'."
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_ignore_case_and_values_may_have_equal_signs() {
        let parsed = ConnectionString::parse(
            "hostname=h.example:8443;DEVICEID=d=1;SharedAccessKey=a+b/c==;GatewayHostName=g;ModuleId=m;",
        )
        .unwrap();
        assert_eq!(parsed.host_name(), Some("h.example:8443"));
        assert_eq!(parsed.device_id(), Some("d=1"));
        assert_eq!(parsed.key(), Some("a+b/c=="));
        assert_eq!(parsed.gateway_host_name(), Some("g"));
        assert_eq!(parsed.module_id(), Some("m"));
        assert_eq!(parsed.policy(), None);
        assert!(!parsed.is_x509());
    }

    #[test]
    fn the_kinds_that_the_cli_prints() {
        assert_eq!(
            ConnectionString::for_device("h", "d1", "a2V5").reveal(),
            "HostName=h;DeviceId=d1;SharedAccessKey=a2V5"
        );
        assert_eq!(
            ConnectionString::for_policy("h", "iothubowner", "a2V5").reveal(),
            "HostName=h;SharedAccessKeyName=iothubowner;SharedAccessKey=a2V5"
        );
        let x509 = ConnectionString::for_x509_device("h", "d1");
        assert_eq!(x509.reveal(), "HostName=h;DeviceId=d1;x509=true");
        assert!(x509.is_x509());
        assert_eq!(
            ConnectionString::for_event_hub("sb://e/", "p", "a2V5", "h").reveal(),
            "Endpoint=sb://e/;SharedAccessKeyName=p;SharedAccessKey=a2V5;EntityPath=h"
        );
    }

    #[test]
    fn faults_do_not_show_values() {
        let long = format!("HostName={}", "x".repeat(CONNECTION_STRING_BYTES));
        for bad in [
            "",
            ";",
            "HostName=",
            "HostName=h;sesame",
            "HostName=h;=sesame",
            "SharedAccessKey=sesame",
            "HostName=h;SharedAccessKey=sesame;sharedaccesskey=sesame",
            &long,
        ] {
            let error = ConnectionString::parse(bad).unwrap_err();
            assert!(!error.message.contains("sesame"), "{}", error.message);
        }
    }

    #[test]
    fn a_key_is_not_printed() {
        let parsed = ConnectionString::parse("HostName=h;sharedaccesskey=sesame").unwrap();
        let printed = format!("{parsed:?}");
        assert!(printed.contains("\"h\"") && !printed.contains("sesame"), "{printed}");
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_panic(text in prop_oneof!["\\PC{0,60}", "(HostName|DeviceId|=|;|é| ){0,12}"]) {
            if let Ok(parsed) = ConnectionString::parse(&text) {
                prop_assert_eq!(ConnectionString::parse(&parsed.reveal()).unwrap(), parsed);
            }
        }
    }
}
