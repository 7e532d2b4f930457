//! Topic filters as what a device wants to hear.

use ferrohub_model::device_session::Subscriptions;
use ferrohub_wire::hub_topic::HubSubscription;

/// Switches one topic on or off; false for a filter that is not this device's.
pub(super) fn set(wanted: &mut Subscriptions, filter: &str, device: &str, module: Option<&str>, on: bool) -> bool {
    let topic = match HubSubscription::parse(filter) {
        HubSubscription::TwinResponses => &mut wanted.twin,
        HubSubscription::DesiredPatches => &mut wanted.desired,
        HubSubscription::CredentialResponses => &mut wanted.credentials,
        // Nothing is ever delivered here: cloud-to-device messages are not built. Java's SDK subscribes whenever it connects, and
        // programs over azure-sdk-for-c end where they are refused.
        HubSubscription::DeviceBound { device: d, module: m } if is_own(d, device) && m == module => {
            &mut wanted.device_bound
        }
        HubSubscription::ModuleInputs { device: d, module: m } if d == device && Some(m) == module => {
            &mut wanted.inputs
        }
        // No method is ever called: they are not built. SDKs subscribe when a program sets a handler, and no SDK breaks on a refusal.
        HubSubscription::Methods
        | HubSubscription::DeviceBound { .. }
        | HubSubscription::ModuleInputs { .. }
        | HubSubscription::Unknown(_) => return false,
    };
    *topic = on;
    true
}

/// Whether the device of a filter is `own`: by its id, or by the wildcard that azure-sdk-for-c writes, under which a device hears only
/// what is its own.
fn is_own(device: &str, own: &str) -> bool {
    device == own || device == "+"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_topics_only() {
        let mut own = Subscriptions::default();
        for filter in
            ["$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#", "devices/d/messages/devicebound/#"]
        {
            assert!(set(&mut own, filter, "d", None, true), "{filter}");
        }
        let wanted = Subscriptions { twin: true, desired: true, device_bound: true, ..own };
        assert_eq!((own, own.credentials, own.inputs), (wanted, false, false));
        for filter in [
            "devices/other/messages/devicebound/#",
            "devices/+/messages/#",
            "devices/+/messages/events/#",
            "devices/+/modules/+/inputs/#",
            "$iothub/methods/POST/#",
            "#",
            "a/b",
            "devices/d/modules/m/inputs/#",
            "devices/d/messages/events/#",
        ] {
            assert!(!set(&mut own, filter, "d", None, true), "{filter}");
        }
        assert_eq!(own, wanted, "what was refused changed nothing");
        let mut embedded = Subscriptions::default();
        assert!(set(&mut embedded, "devices/+/messages/devicebound/#", "d", None, true));
        assert_eq!(embedded, Subscriptions { device_bound: true, ..Subscriptions::default() });
        assert!(!set(&mut embedded, "devices/+/modules/m/messages/devicebound/#", "d", None, true));
        assert!(set(&mut own, "devices/d/modules/m/inputs/#", "d", Some("m"), true));
        assert!(set(&mut own, "$iothub/twin/res/#", "d", None, false));
        assert!(own.inputs && !own.twin);
    }
}
