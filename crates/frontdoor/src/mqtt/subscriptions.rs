//! Topic filters as what a device wants to hear.

use ferrohub_model::device_session::Subscriptions;
use ferrohub_wire::hub_topic::HubSubscription;

/// Switches one topic on or off; false for a filter that is not this device's.
pub(super) fn set(wanted: &mut Subscriptions, filter: &str, device: &str, module: Option<&str>, on: bool) -> bool {
    let topic = match HubSubscription::parse(filter) {
        HubSubscription::TwinResponses => &mut wanted.twin,
        HubSubscription::DesiredPatches => &mut wanted.desired,
        HubSubscription::CredentialResponses => &mut wanted.credentials,
        // Stock SDKs always subscribe to these. Nothing is ever delivered: methods and
        // cloud-to-device messages are not built.
        HubSubscription::Methods => &mut wanted.methods,
        HubSubscription::DeviceBound { device: d, module: m } if d == device && m == module => &mut wanted.device_bound,
        HubSubscription::ModuleInputs { device: d, module: m } if d == device && Some(m) == module => {
            &mut wanted.inputs
        }
        HubSubscription::DeviceBound { .. } | HubSubscription::ModuleInputs { .. } | HubSubscription::Unknown(_) => {
            return false;
        }
    };
    *topic = on;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_topics_only() {
        let mut own = Subscriptions::default();
        for filter in [
            "$iothub/twin/res/#",
            "$iothub/twin/PATCH/properties/desired/#",
            "$iothub/methods/POST/#",
            "devices/d/messages/devicebound/#",
        ] {
            assert!(set(&mut own, filter, "d", None, true), "{filter}");
        }
        let wanted = Subscriptions { twin: true, desired: true, methods: true, device_bound: true, ..own };
        assert_eq!((own, own.credentials, own.inputs), (wanted, false, false));
        for filter in [
            "devices/other/messages/devicebound/#",
            "#",
            "a/b",
            "devices/d/modules/m/inputs/#",
            "devices/d/messages/events/#",
        ] {
            assert!(!set(&mut own, filter, "d", None, true), "{filter}");
        }
        assert_eq!(own, wanted, "what was refused changed nothing");
        assert!(set(&mut own, "devices/d/modules/m/inputs/#", "d", Some("m"), true));
        assert!(set(&mut own, "$iothub/twin/res/#", "d", None, false));
        assert!(own.inputs && !own.twin);
    }
}
