//! The DPS dialect on MQTT 3.1.1: user name, topics and the one filter.
//!
//! The Python SDK cuts the response topic at `$`, so no further `$` may stand in it.

use ferrohub_model::device_id::check_registration_id;
use ferrohub_model::error::{Error, Result};

use crate::query_text::{self, value_of};

/// The one filter that DPS grants.
pub const RESPONSES_FILTER: &str = "$dps/registrations/res/#";

const REGISTER: &str = "$dps/registrations/PUT/iotdps-register/";
const OPERATION_STATUS: &str = "$dps/registrations/GET/iotdps-get-operationstatus/";
const RESPONSE: &str = "$dps/registrations/res/";

/// Every topic that [`DpsPublish::parse`] knows, with `{rid}` and `{operationId}` for what differs.
pub fn publish_topics() -> [String; 2] {
    [register("{rid}"), operation_status("{rid}", "{operationId}")]
}

/// What the user name `{idScope}/registrations/{registrationId}/api-version=..&ClientVersion=..` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DpsLogin {
    /// Id scope as sent, not empty.
    pub id_scope: String,
    /// Registration id as sent, legal; DPS compares it ignoring case, but signs it as sent.
    pub registration_id: String,
    /// `api-version`.
    pub api_version: Option<String>,
    /// `ClientVersion`, decoded.
    pub client_version: Option<String>,
}

impl DpsLogin {
    /// Parses a user name; a `?` before the query and a missing query are tolerated.
    ///
    /// # Errors
    /// `Unauthenticated` if the form is another, `Invalid` if the registration id or the encoding is not legal.
    pub fn parse(user_name: &str) -> Result<Self> {
        let malformed = || {
            Error::unauthenticated(
                "The MQTT user name is not valid: write {id scope}/registrations/{registration id}/api-version={version}.",
            )
        };
        let mut parts = user_name.splitn(4, '/');
        let id_scope = parts.next().filter(|scope| !scope.is_empty()).ok_or_else(malformed)?;
        let keyword = parts.next().ok_or_else(malformed)?;
        let registration_id = parts.next().ok_or_else(malformed)?;
        if !keyword.eq_ignore_ascii_case("registrations") {
            return Err(malformed());
        }
        check_registration_id(registration_id)?;
        let query = parts.next().unwrap_or_default();
        let mut login = Self {
            id_scope: id_scope.to_owned(),
            registration_id: registration_id.to_owned(),
            api_version: None,
            client_version: None,
        };
        for (key, value) in query_text::pairs(query.strip_prefix('?').unwrap_or(query)) {
            let field = match key.to_ascii_lowercase().as_str() {
                "api-version" => &mut login.api_version,
                "clientversion" => &mut login.client_version,
                _ => continue,
            };
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                *field = Some(query_text::decode(value, "MQTT user name")?);
            }
        }
        Ok(login)
    }

    /// Whether CONNECT's client id is the registration id, ignoring case.
    pub fn matches_client_id(&self, client_id: &str) -> bool {
        self.registration_id.eq_ignore_ascii_case(client_id)
    }

    /// The user name text of this login, for the device role.
    pub fn user_name(&self) -> String {
        let mut text = format!("{}/registrations/{}/", self.id_scope, self.registration_id);
        let mut separator = "";
        for (key, value) in [("api-version", &self.api_version), ("ClientVersion", &self.client_version)] {
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

/// What a device's PUBLISH to DPS means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DpsPublish<'a> {
    /// Wants to be registered.
    Register {
        /// Request id.
        rid: &'a str,
    },
    /// Asks how the registration goes.
    OperationStatus {
        /// Request id.
        rid: &'a str,
        /// Operation id, as an earlier response gave it.
        operation_id: &'a str,
    },
    /// Nothing that DPS knows: it closes the connection.
    Unknown,
}

impl<'a> DpsPublish<'a> {
    /// Classifies a topic name.
    pub fn parse(topic: &'a str) -> Self {
        Self::recognise(topic).unwrap_or(Self::Unknown)
    }

    fn recognise(topic: &'a str) -> Option<Self> {
        let query = |prefix| topic.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('?'));
        let filled = |query, key| value_of(query, key).filter(|value| !value.is_empty());
        if let Some(query) = query(REGISTER) {
            return Some(Self::Register { rid: filled(query, "$rid")? });
        }
        let query = query(OPERATION_STATUS)?;
        let rid = filled(query, "$rid")?;
        Some(Self::OperationStatus { rid, operation_id: filled(query, "operationId")? })
    }
}

/// Whether a filter is the one that DPS grants; all others get SUBACK 0x80.
pub fn is_response_filter(filter: &str) -> bool {
    filter == RESPONSES_FILTER
}

/// Topic of a response; `retry_after_seconds` while the device has to ask again.
pub fn response(status: u16, rid: &str, retry_after_seconds: Option<u32>) -> String {
    match retry_after_seconds {
        Some(seconds) => format!("{RESPONSE}{status}/?$rid={rid}&retry-after={seconds}"),
        None => format!("{RESPONSE}{status}/?$rid={rid}"),
    }
}

/// Topic of a wish to be registered (device role).
pub fn register(rid: &str) -> String {
    format!("{REGISTER}?$rid={rid}")
}

/// Topic of a question for an operation (device role).
pub fn operation_status(rid: &str, operation_id: &str) -> String {
    format!("{OPERATION_STATUS}?$rid={rid}&operationId={operation_id}")
}

/// What a response topic says (device role).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DpsResponse<'a> {
    /// HTTP-like status.
    pub status: u16,
    /// Request id.
    pub rid: &'a str,
    /// Seconds after which to ask again.
    pub retry_after_seconds: Option<u32>,
}

impl<'a> DpsResponse<'a> {
    /// Parses a response topic; `None` if it is none.
    pub fn parse(topic: &'a str) -> Option<Self> {
        let (status, query) = topic.strip_prefix(RESPONSE)?.split_once("/?")?;
        Some(Self {
            status: status.parse().ok()?,
            rid: value_of(query, "$rid")?,
            retry_after_seconds: value_of(query, "retry-after").and_then(|seconds| seconds.parse().ok()),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_login_of_the_python_sdk() {
        let login = DpsLogin::parse(
            "0ne00000A0A/registrations/Sn-007/api-version=2019-03-31&ClientVersion=azure-iot-device%2F2.14.0",
        )
        .unwrap();
        assert_eq!(login.id_scope, "0ne00000A0A");
        assert_eq!(login.registration_id, "Sn-007");
        assert_eq!(login.api_version.as_deref(), Some("2019-03-31"));
        assert_eq!(login.client_version.as_deref(), Some("azure-iot-device/2.14.0"));
        assert!(login.matches_client_id("sn-007"));
        assert!(!login.matches_client_id("sn-008"));
    }

    #[test]
    fn lenient_and_faulty_logins() {
        let login = DpsLogin::parse("s/registrations/r/?api-version=2025-07-01-preview").unwrap();
        assert_eq!(login.api_version.as_deref(), Some("2025-07-01-preview"));
        assert_eq!(DpsLogin::parse("s/registrations/r").unwrap().api_version, None);
        for bad in
            ["", "s", "s/registrations", "/registrations/r", "s/devices/r", "s/registrations//x", "s/registrations/r_"]
        {
            assert!(DpsLogin::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn publishes() {
        assert_eq!(DpsPublish::parse(&register("1")), DpsPublish::Register { rid: "1" });
        assert_eq!(
            DpsPublish::parse(&operation_status("2", "4.55.ab")),
            DpsPublish::OperationStatus { rid: "2", operation_id: "4.55.ab" }
        );
        for topic in [
            "",
            "$dps/registrations/PUT/iotdps-register/",
            "$dps/registrations/PUT/iotdps-register/?$rid=",
            "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1",
            "$dps/registrations/res/200/?$rid=1",
        ] {
            assert_eq!(DpsPublish::parse(topic), DpsPublish::Unknown, "{topic}");
        }
        assert!(is_response_filter("$dps/registrations/res/#"));
        assert!(!is_response_filter("#"));
    }

    #[test]
    fn responses_have_exactly_two_dollars() {
        let topic = response(202, "1", Some(3));
        assert_eq!(topic, "$dps/registrations/res/202/?$rid=1&retry-after=3");
        assert_eq!(topic.matches('$').count(), 2);
        assert_eq!(
            DpsResponse::parse(&topic),
            Some(DpsResponse { status: 202, rid: "1", retry_after_seconds: Some(3) })
        );
        assert_eq!(response(200, "1", None), "$dps/registrations/res/200/?$rid=1");
        assert_eq!(DpsResponse::parse("$dps/registrations/res/x/?$rid=1"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_panic(
            text in prop_oneof!["\\PC{0,60}", "(s/registrations/|r|/|\\?|api-version=|&|%|é|\\$dps/registrations/){0,8}"],
        ) {
            let _ = DpsLogin::parse(&text);
            let _ = DpsPublish::parse(&text);
            let _ = DpsResponse::parse(&text);
        }

        #[test]
        fn what_is_printed_parses_to_the_same(
            id_scope in "[A-Za-z0-9]{1,12}",
            registration_id in "[A-Za-z0-9._:-]{0,20}[A-Za-z0-9-]",
            api_version in prop::option::of("[0-9-]{1,10}"),
            client_version in prop::option::of(".{1,20}"),
        ) {
            let login = DpsLogin { id_scope, registration_id, api_version, client_version };
            prop_assert_eq!(DpsLogin::parse(&login.user_name()).unwrap(), login);
        }
    }
}
