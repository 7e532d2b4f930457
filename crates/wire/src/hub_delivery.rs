//! The topics that the hub sends, as its device reads them.

use crate::hub_topic::DEVICE_BOUND;
use crate::query_text::value_of;

/// What a topic that the hub sent means: the device's side of the same dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HubDelivery<'a> {
    /// A cloud-to-device message.
    DeviceBound {
        /// Device id.
        device: &'a str,
        /// Raw property bag, for [`crate::hub_topic::PropertyBag::parse`].
        bag: &'a str,
    },
    /// Answer to a twin request.
    TwinResponse {
        /// HTTP-like status.
        status: u16,
        /// Request id.
        rid: &'a str,
        /// Version of the reported properties after a patch.
        version: Option<u64>,
    },
    /// Desired properties changed.
    DesiredPatch {
        /// Version of the desired properties.
        version: u64,
    },
    /// A direct method is called.
    MethodRequest {
        /// Method name.
        name: &'a str,
        /// Request id.
        rid: &'a str,
    },
    /// Answer to a certificate request.
    CredentialResponse {
        /// HTTP-like status.
        status: u16,
        /// Request id.
        rid: &'a str,
    },
    /// Nothing that a device knows.
    Unknown,
}

impl<'a> HubDelivery<'a> {
    /// Classifies a topic name.
    pub fn parse(topic: &'a str) -> Self {
        Self::recognise(topic).unwrap_or(Self::Unknown)
    }

    fn recognise(topic: &'a str) -> Option<Self> {
        if let Some(rest) = topic.strip_prefix("devices/") {
            let (device, rest) = rest.split_once('/')?;
            let bag = rest.strip_prefix(DEVICE_BOUND)?.strip_prefix('/')?;
            return Some(Self::DeviceBound { device, bag });
        }
        let (path, query) = topic.strip_prefix("$iothub/")?.split_once("/?")?;
        let version = value_of(query, "$version").and_then(|version| version.parse().ok());
        if path == "twin/PATCH/properties/desired" {
            return Some(Self::DesiredPatch { version: version? });
        }
        let rid = value_of(query, "$rid")?;
        if let Some(status) = path.strip_prefix("twin/res/") {
            return Some(Self::TwinResponse { status: status.parse().ok()?, rid, version });
        }
        if let Some(status) = path.strip_prefix("credentials/res/") {
            return Some(Self::CredentialResponse { status: status.parse().ok()?, rid });
        }
        let name = path.strip_prefix("methods/POST/")?;
        Some(Self::MethodRequest { name, rid })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hub_topic::{
        PropertyBag, credential_response, desired_patch, device_bound, method_request, twin_response,
    };

    #[test]
    fn a_device_understands_what_the_hub_sends() {
        let bag = PropertyBag::parse("a=1").unwrap();
        assert_eq!(
            HubDelivery::parse(&twin_response(204, "1", Some(2))),
            HubDelivery::TwinResponse { status: 204, rid: "1", version: Some(2) }
        );
        assert_eq!(HubDelivery::parse(&desired_patch(2)), HubDelivery::DesiredPatch { version: 2 });
        assert_eq!(HubDelivery::parse(&method_request("m", "1")), HubDelivery::MethodRequest { name: "m", rid: "1" });
        assert_eq!(
            HubDelivery::parse(&credential_response(200, "1")),
            HubDelivery::CredentialResponse { status: 200, rid: "1" }
        );
        assert_eq!(HubDelivery::parse(&device_bound("d", &bag)), HubDelivery::DeviceBound { device: "d", bag: "a=1" });
        assert_eq!(HubDelivery::parse("devices/d"), HubDelivery::Unknown);
    }

    proptest! {
        #[test]
        fn any_topic_is_classified_without_panic(
            text in prop_oneof!["\\PC{0,60}", "(devices/|\\$iothub/|twin/|res/|/|\\?|\\$rid=|&|a|1|é){0,12}"],
        ) {
            let _ = HubDelivery::parse(&text);
        }
    }
}
