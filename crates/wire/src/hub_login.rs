//! The MQTT user name of an IoT Hub device.

use ferrohub_model::device_id::check_device_id;
use ferrohub_model::error::{Error, Result};

use crate::query_text;

/// What `{hubHost}/{deviceId}[/{moduleId}]/?api-version=..&DeviceClientType=..[&model-id=..]` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubLogin {
    /// Host of the hub as sent, not empty; compare it ignoring case.
    pub host: String,
    /// Device id, legal.
    pub device_id: String,
    /// Module id, if the login is a module's.
    pub module_id: Option<String>,
    /// `api-version`; old clients leave it out.
    pub api_version: Option<String>,
    /// `DeviceClientType`, decoded: name and version of the SDK.
    pub client_type: Option<String>,
    /// `model-id`, decoded: a DTMI.
    pub model_id: Option<String>,
}

impl HubLogin {
    /// Parses a user name as leniently as the real hub: the `?`, the api-version and the whole query may be
    /// missing. Ids are taken as they are, because clients do not percent-encode them here.
    ///
    /// # Errors
    /// `Unauthenticated` if host or device id are missing, `Invalid` if an id or the encoding is not legal.
    pub fn parse(user_name: &str) -> Result<Self> {
        let malformed = || {
            Error::unauthenticated(
                "The MQTT user name is not valid: write {hub host}/{device id}/?api-version={version}.",
            )
        };
        let (host, rest) = user_name.split_once('/').ok_or_else(malformed)?;
        if host.is_empty() || rest.is_empty() {
            return Err(malformed());
        }
        let (ids, query) = split_query(rest);
        let mut ids = ids.trim_end_matches('/').split('/');
        let device_id = ids.next().unwrap_or_default();
        let module_id = ids.next();
        if ids.next().is_some() {
            return Err(malformed());
        }
        check_device_id(device_id)?;
        if let Some(module_id) = module_id {
            check_device_id(module_id)?;
        }
        let mut login = Self {
            host: host.to_owned(),
            device_id: device_id.to_owned(),
            module_id: module_id.map(str::to_owned),
            api_version: None,
            client_type: None,
            model_id: None,
        };
        login.take_query(query)?;
        Ok(login)
    }

    fn take_query(&mut self, query: &str) -> Result<()> {
        for (key, value) in query_text::pairs(query) {
            let field = match key.to_ascii_lowercase().as_str() {
                "api-version" => &mut self.api_version,
                "deviceclienttype" => &mut self.client_type,
                "model-id" => &mut self.model_id,
                _ => continue,
            };
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                *field = Some(query_text::decode(value, "MQTT user name")?);
            }
        }
        Ok(())
    }

    /// The client id that belongs to this login: `{deviceId}` or `{deviceId}/{moduleId}`.
    pub fn client_id(&self) -> String {
        match &self.module_id {
            Some(module) => format!("{}/{module}", self.device_id),
            None => self.device_id.clone(),
        }
    }

    /// Whether CONNECT's client id names the same device and module; case matters.
    pub fn matches_client_id(&self, client_id: &str) -> bool {
        self.client_id() == client_id
    }

    /// The user name text of this login, for the device role.
    pub fn user_name(&self) -> String {
        let mut text = format!("{}/{}/?", self.host, self.client_id());
        let parts =
            [("api-version", &self.api_version), ("DeviceClientType", &self.client_type), ("model-id", &self.model_id)];
        let mut separator = "";
        for (key, value) in parts {
            if let Some(value) = value {
                text.push_str(separator);
                text.push_str(key);
                text.push('=');
                text.push_str(&query_text::encode(value));
                separator = "&";
            }
        }
        text
    }
}

/// Ids and query. An id may itself contain `?` and `=`, so a query starts only where one is recognised.
fn split_query(rest: &str) -> (&str, &str) {
    for mark in ["/?", "?api-version=", "/api-version="] {
        if let Some((ids, query)) = rest.split_once(mark) {
            // All but the first mark cut into the first pair, which is given back.
            let skipped = mark.strip_prefix(['/', '?']).filter(|key| key.starts_with("api"));
            let start = rest.len() - query.len() - skipped.map_or(0, str::len);
            return (ids, &rest[start..]);
        }
    }
    (rest, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_device_of_the_python_sdk() {
        let login = HubLogin::parse(
            "h1.azure-devices.net/Pump:42/?api-version=2019-10-01&DeviceClientType=azure-iot-device%2F2.14.0%20%28py%29",
        )
        .unwrap();
        assert_eq!(login.host, "h1.azure-devices.net");
        assert_eq!(login.device_id, "Pump:42");
        assert_eq!(login.module_id, None);
        assert_eq!(login.api_version.as_deref(), Some("2019-10-01"));
        assert_eq!(login.client_type.as_deref(), Some("azure-iot-device/2.14.0 (py)"));
        assert!(login.matches_client_id("Pump:42"));
        assert!(!login.matches_client_id("pump:42"));
    }

    #[test]
    fn a_module_with_a_model() {
        let login = HubLogin::parse("h/d/m/?api-version=2020-09-30&model-id=dtmi:com:x;1").unwrap();
        assert_eq!(login.module_id.as_deref(), Some("m"));
        assert_eq!(login.model_id.as_deref(), Some("dtmi:com:x;1"));
        assert!(login.matches_client_id("d/m"));
    }

    #[test]
    fn lenient_forms() {
        let version = Some("2018-06-30");
        for (text, wanted) in [
            ("h/d", None),
            ("h/d/", None),
            ("h/d/?", None),
            ("h/d/api-version=2018-06-30", version),
            ("h/d?api-version=2018-06-30", version),
            ("h/d/?DeviceClientType=x&api-version=2018-06-30", version),
            ("h/d/?api-version=", None),
        ] {
            let login = HubLogin::parse(text).unwrap();
            assert_eq!(login.device_id, "d", "{text}");
            assert_eq!(login.api_version.as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn faults() {
        for bad in ["", "h", "h/", "/d", "h//?api-version=1", "h/d/m/x", "h/a b", "h/d/?api-version=%ff"] {
            assert!(HubLogin::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_panic(text in "\\PC{0,60}") {
            let _ = HubLogin::parse(&text);
        }

        #[test]
        fn what_is_printed_parses_to_the_same(
            device_id in "[A-Za-z0-9._:=-]{1,20}",
            module_id in prop::option::of("[A-Za-z0-9._:]{1,20}"),
            api_version in prop::option::of("[0-9-]{1,10}"),
            client_type in prop::option::of(".{1,20}"),
            model_id in prop::option::of("dtmi:[a-z]{1,10};[0-9]"),
        ) {
            let host = "h.example".to_owned();
            let login = HubLogin { host, device_id, module_id, api_version, client_type, model_id };
            prop_assert_eq!(HubLogin::parse(&login.user_name()).unwrap(), login);
        }
    }
}
