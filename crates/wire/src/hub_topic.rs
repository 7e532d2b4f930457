//! The IoT Hub dialect on MQTT 3.1.1: what topics and filters mean, and how they are written.
//!
//! Ids stand in topics as they are; only the property bag is percent-encoded. Request ids are
//! echoed exactly as they came.

pub use crate::hub_login::HubLogin;
pub use crate::property_bag::PropertyBag;

use crate::query_text::value_of;

/// What the topics of one device or module begin with.
const OF_DEVICES: &str = "devices/";
/// Path of telemetry below the device or module; the property bag follows.
const EVENTS: &str = "messages/events";
/// What all other topics begin with.
const OF_HUB: &str = "$iothub/";
/// Path of cloud-to-device messages below the device.
pub(crate) const DEVICE_BOUND: &str = "messages/devicebound";
/// Filter for [`HubSubscription::TwinResponses`].
pub const TWIN_RESPONSES_FILTER: &str = "$iothub/twin/res/#";
/// Filter for [`HubSubscription::DesiredPatches`].
pub const DESIRED_PATCHES_FILTER: &str = "$iothub/twin/PATCH/properties/desired/#";
/// Filter for [`HubSubscription::Methods`].
pub const METHODS_FILTER: &str = "$iothub/methods/POST/#";
/// Filter for [`HubSubscription::CredentialResponses`].
pub const CREDENTIAL_RESPONSES_FILTER: &str = "$iothub/credentials/res/#";

/// What a topic below `$iothub/` is for.
#[derive(Debug, Clone, Copy)]
enum Word {
    TwinGet,
    TwinReportedPatch,
    CredentialIssue,
    MethodResponse,
}

/// The topics below `$iothub/` to which devices publish, without their query; behind a last slash stands a status.
const WORDS: [(&str, Word); 4] = [
    ("twin/GET", Word::TwinGet),
    ("twin/PATCH/properties/reported", Word::TwinReportedPatch),
    ("credentials/POST/issueCertificate", Word::CredentialIssue),
    ("methods/res/", Word::MethodResponse),
];

/// Every topic that [`HubPublish::parse`] knows, with `{device}`, `{module}`, `{status}` and `{rid}` for what differs.
pub fn publish_topics() -> Vec<String> {
    let events = ["{device}", "{device}/modules/{module}"].map(|of| format!("{OF_DEVICES}{of}/{EVENTS}/"));
    let words = WORDS.map(|(path, _)| {
        let status = if path.ends_with('/') { "{status}" } else { "" };
        format!("{OF_HUB}{path}{status}/?$rid={{rid}}")
    });
    events.into_iter().chain(words).collect()
}

/// What a device's PUBLISH to the hub means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HubPublish<'a> {
    /// A device-to-cloud message.
    Telemetry {
        /// Device id in the topic; the caller compares it with the login.
        device: &'a str,
        /// Module id in the topic.
        module: Option<&'a str>,
        /// Raw property bag, for [`PropertyBag::parse`].
        bag: &'a str,
    },
    /// Wants the twin.
    TwinGet {
        /// Request id.
        rid: &'a str,
    },
    /// Changes reported properties.
    TwinReportedPatch {
        /// Request id.
        rid: &'a str,
        /// `$version` of the reported properties that the patch was made for, as it is written; without one it is for any.
        version: Option<&'a str>,
    },
    /// Answers a direct method.
    MethodResponse {
        /// Status that the device's method gives; any integer.
        status: i32,
        /// Request id of the call.
        rid: &'a str,
    },
    /// Wants a new certificate.
    CredentialIssue {
        /// Request id; without one the hub stays silent.
        rid: Option<&'a str>,
    },
    /// Nothing that the hub knows: it closes the connection.
    Unknown,
}

impl<'a> HubPublish<'a> {
    /// Classifies a topic name.
    pub fn parse(topic: &'a str) -> Self {
        Self::recognise(topic).unwrap_or(Self::Unknown)
    }

    fn recognise(topic: &'a str) -> Option<Self> {
        if let Some(rest) = topic.strip_prefix(OF_DEVICES) {
            let (device, module, rest) = split_ids(rest)?;
            let bag = rest.strip_prefix(EVENTS)?;
            let bag = if bag.is_empty() { bag } else { bag.strip_prefix('/')? };
            return Some(Self::Telemetry { device, module, bag });
        }
        let rest = topic.strip_prefix(OF_HUB)?;
        let (path, query) = rest.split_once("/?").unwrap_or((rest.trim_end_matches('/'), ""));
        let rid = value_of(query, "$rid").filter(|rid| !rid.is_empty());
        let known = |(word, meant): (&str, Word)| {
            let status = path.strip_prefix(word)?;
            (status.is_empty() || word.ends_with('/')).then_some((meant, status))
        };
        let (meant, status) = WORDS.into_iter().find_map(known)?;
        Some(match meant {
            Word::TwinGet => Self::TwinGet { rid: rid? },
            Word::TwinReportedPatch => {
                let version = value_of(query, "$version").filter(|text| !text.is_empty());
                Self::TwinReportedPatch { rid: rid?, version }
            }
            Word::CredentialIssue => Self::CredentialIssue { rid },
            Word::MethodResponse => Self::MethodResponse { status: status.parse().ok()?, rid: rid? },
        })
    }
}

/// What a filter of a device's SUBSCRIBE asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HubSubscription<'a> {
    /// Cloud-to-device messages.
    DeviceBound {
        /// Device id in the filter; the caller compares it with the login.
        device: &'a str,
        /// Module id in the filter.
        module: Option<&'a str>,
    },
    /// Messages to the inputs of a module.
    ModuleInputs {
        /// Device id in the filter.
        device: &'a str,
        /// Module id in the filter.
        module: &'a str,
    },
    /// Answers to twin requests.
    TwinResponses,
    /// Changes of desired properties.
    DesiredPatches,
    /// Calls of direct methods.
    Methods,
    /// Answers to certificate requests.
    CredentialResponses,
    /// Nothing that the hub knows; holds the filter. SUBACK 0x80.
    Unknown(&'a str),
}

/// The filters without ids.
const FILTERS: [(&str, HubSubscription<'static>); 4] = [
    (TWIN_RESPONSES_FILTER, HubSubscription::TwinResponses),
    (DESIRED_PATCHES_FILTER, HubSubscription::DesiredPatches),
    (METHODS_FILTER, HubSubscription::Methods),
    (CREDENTIAL_RESPONSES_FILTER, HubSubscription::CredentialResponses),
];

/// The paths of filters below a module, beside those of messages. The C SDK subscribes to everything below it.
const OF_MODULE: [&str; 2] = ["inputs", ""];

/// Every filter that [`HubSubscription::parse`] knows, with `{device}` and `{module}` for what differs.
pub fn filters() -> Vec<String> {
    let bound = ["{device}", "{device}/modules/{module}"].map(|of| format!("{OF_DEVICES}{of}/{DEVICE_BOUND}/#"));
    let of_module = OF_MODULE.map(|path| {
        let slash = if path.is_empty() { "" } else { "/" };
        format!("{OF_DEVICES}{{device}}/modules/{{module}}/{path}{slash}#")
    });
    FILTERS.iter().map(|(filter, _)| (*filter).to_owned()).chain(bound).chain(of_module).collect()
}

impl<'a> HubSubscription<'a> {
    /// Classifies a topic filter.
    pub fn parse(filter: &'a str) -> Self {
        match FILTERS.iter().find(|(known, _)| *known == filter) {
            Some((_, meant)) => *meant,
            None => Self::with_ids(filter).unwrap_or(Self::Unknown(filter)),
        }
    }

    fn with_ids(filter: &'a str) -> Option<Self> {
        let (device, module, rest) = split_ids(filter.strip_prefix(OF_DEVICES)?)?;
        let path = rest.strip_suffix('#')?.trim_end_matches('/');
        match module {
            _ if path.eq_ignore_ascii_case(DEVICE_BOUND) => Some(Self::DeviceBound { device, module }),
            Some(module) if OF_MODULE.contains(&path) => Some(Self::ModuleInputs { device, module }),
            _ => None,
        }
    }
}

/// Topic of a twin answer; `version` only after a reported patch.
pub fn twin_response(status: u16, rid: &str, version: Option<u64>) -> String {
    match version {
        Some(version) => format!("$iothub/twin/res/{status}/?$rid={rid}&$version={version}"),
        None => format!("$iothub/twin/res/{status}/?$rid={rid}"),
    }
}

/// Topic of a change of desired properties.
pub fn desired_patch(version: u64) -> String {
    format!("$iothub/twin/PATCH/properties/desired/?$version={version}")
}

/// Topic of a direct method call. `name` stands there as it is, so it must not have `+`, `#` or `/`.
pub fn method_request(name: &str, rid: &str) -> String {
    format!("$iothub/methods/POST/{name}/?$rid={rid}")
}

/// Topic of an answer to a certificate request. Nothing may follow the request id: C, C# and Java
/// clients take everything to the end of the topic for it.
pub fn credential_response(status: u16, rid: &str) -> String {
    format!("$iothub/credentials/res/{status}/?$rid={rid}")
}

/// Topic of a cloud-to-device message.
pub fn device_bound(device: &str, bag: &PropertyBag) -> String {
    format!("devices/{device}/{DEVICE_BOUND}/{bag}")
}

/// Filter of a device's cloud-to-device messages (device role).
pub fn device_bound_filter(device: &str) -> String {
    format!("devices/{device}/{DEVICE_BOUND}/#")
}

/// Topic of telemetry (device role).
pub fn telemetry(device: &str, module: Option<&str>, bag: &PropertyBag) -> String {
    match module {
        Some(module) => format!("devices/{device}/modules/{module}/messages/events/{bag}"),
        None => format!("devices/{device}/messages/events/{bag}"),
    }
}

/// Topic of a wish for the twin (device role).
pub fn twin_get(rid: &str) -> String {
    format!("$iothub/twin/GET/?$rid={rid}")
}

/// Topic of a change of reported properties (device role).
pub fn reported_patch(rid: &str) -> String {
    format!("$iothub/twin/PATCH/properties/reported/?$rid={rid}")
}

/// Topic of an answer to a direct method (device role).
pub fn method_response(status: i32, rid: &str) -> String {
    format!("$iothub/methods/res/{status}/?$rid={rid}")
}

/// Topic of a certificate request (device role).
pub fn credential_issue(rid: &str) -> String {
    format!("$iothub/credentials/POST/issueCertificate/?$rid={rid}")
}

/// `{d}/rest` or `{d}/modules/{m}/rest` into its parts; ids are not empty.
fn split_ids(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let (device, rest) = text.split_once('/').filter(|(device, _)| !device.is_empty())?;
    match rest.strip_prefix("modules/") {
        Some(rest) => {
            let (module, rest) = rest.split_once('/').filter(|(module, _)| !module.is_empty())?;
            Some((device, Some(module), rest))
        }
        None => Some((device, None, rest)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn publishes() {
        let telemetry = |device, module, bag| HubPublish::Telemetry { device, module, bag };
        for (topic, wanted) in [
            ("devices/d/messages/events/", telemetry("d", None, "")),
            ("devices/d/messages/events", telemetry("d", None, "")),
            ("devices/d/messages/events/a=1&$.ct=x", telemetry("d", None, "a=1&$.ct=x")),
            ("devices/d/modules/m/messages/events/a", telemetry("d", Some("m"), "a")),
            ("$iothub/twin/GET/?$rid=a-1", HubPublish::TwinGet { rid: "a-1" }),
            (
                "$iothub/twin/PATCH/properties/reported/?$rid=2&$version=3",
                HubPublish::TwinReportedPatch { rid: "2", version: Some("3") },
            ),
            ("$iothub/methods/res/200/?$rid=1f", HubPublish::MethodResponse { status: 200, rid: "1f" }),
            ("$iothub/methods/res/-1/?$rid=1", HubPublish::MethodResponse { status: -1, rid: "1" }),
            ("$iothub/credentials/POST/issueCertificate/?$rid=r", HubPublish::CredentialIssue { rid: Some("r") }),
            ("$iothub/credentials/POST/issueCertificate/", HubPublish::CredentialIssue { rid: None }),
            ("$iothub/credentials/POST/issueCertificate/?$rid=", HubPublish::CredentialIssue { rid: None }),
        ] {
            assert_eq!(HubPublish::parse(topic), wanted, "{topic}");
        }
        for topic in [
            "",
            "devices/d/messages/eventsx",
            "devices//messages/events/",
            "devices/d/messages/devicebound/",
            "$iothub/twin/GET/",
            "$iothub/twin/GET/?$rid=",
            "$iothub/methods/res/ok/?$rid=1",
            "$iothub/nothing/?$rid=1",
            "any/topic",
        ] {
            assert_eq!(HubPublish::parse(topic), HubPublish::Unknown, "{topic}");
        }
    }

    #[test]
    fn subscriptions() {
        let bound = |module| HubSubscription::DeviceBound { device: "d", module };
        let inputs = HubSubscription::ModuleInputs { device: "d", module: "m" };
        for (filter, wanted) in [
            ("devices/d/messages/devicebound/#", bound(None)),
            ("devices/d/messages/deviceBound/#", bound(None)),
            ("devices/d/modules/m/messages/devicebound/#", bound(Some("m"))),
            ("devices/d/modules/m/inputs/#", inputs),
            ("devices/d/modules/m/#", inputs),
            ("$iothub/twin/res/#", HubSubscription::TwinResponses),
            ("$iothub/twin/PATCH/properties/desired/#", HubSubscription::DesiredPatches),
            ("$iothub/methods/POST/#", HubSubscription::Methods),
            ("$iothub/credentials/res/#", HubSubscription::CredentialResponses),
        ] {
            assert_eq!(HubSubscription::parse(filter), wanted, "{filter}");
        }
        for filter in ["#", "devices/#", "devices/d/#", "devices/+/messages/events/#", "$iothub/#", ""] {
            assert_eq!(HubSubscription::parse(filter), HubSubscription::Unknown(filter), "{filter}");
        }
    }

    #[test]
    fn response_topics_are_what_clients_split() {
        assert_eq!(twin_response(200, "7", None), "$iothub/twin/res/200/?$rid=7");
        assert_eq!(twin_response(204, "7", Some(3)), "$iothub/twin/res/204/?$rid=7&$version=3");
        assert_eq!(desired_patch(4), "$iothub/twin/PATCH/properties/desired/?$version=4");
        assert_eq!(method_request("reboot", "1f"), "$iothub/methods/POST/reboot/?$rid=1f");
        assert_eq!(credential_response(202, "r-1"), "$iothub/credentials/res/202/?$rid=r-1");
        let bag = PropertyBag::parse("$.to=%2Fdevices%2Fd%2Fmessages%2FdeviceBound&a=1").unwrap();
        assert_eq!(
            device_bound("d", &bag),
            "devices/d/messages/devicebound/$.to=%2Fdevices%2Fd%2Fmessages%2FdeviceBound&a=1"
        );
    }

    #[test]
    fn the_hub_understands_what_a_device_sends() {
        let bag = PropertyBag::parse("a=1").unwrap();
        assert_eq!(HubPublish::parse(&twin_get("1")), HubPublish::TwinGet { rid: "1" });
        assert_eq!(HubPublish::parse(&reported_patch("1")), HubPublish::TwinReportedPatch { rid: "1", version: None });
        assert_eq!(HubPublish::parse(&credential_issue("1")), HubPublish::CredentialIssue { rid: Some("1") });
        assert_eq!(HubPublish::parse(&method_response(404, "1")), HubPublish::MethodResponse { status: 404, rid: "1" });
        assert_eq!(
            HubPublish::parse(&telemetry("d", Some("m"), &bag)),
            HubPublish::Telemetry { device: "d", module: Some("m"), bag: "a=1" }
        );
        assert!(matches!(HubSubscription::parse(&device_bound_filter("d")), HubSubscription::DeviceBound { .. }));
    }

    proptest! {
        #[test]
        fn any_topic_is_classified_without_panic(
            text in prop_oneof!["\\PC{0,60}", "(devices/|\\$iothub/|twin/|res/|/|\\?|\\$rid=|&|#|a|1|é){0,12}"],
        ) {
            let _ = HubPublish::parse(&text);
            let _ = HubSubscription::parse(&text);
        }
    }
}
