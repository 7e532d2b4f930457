//! What a device wants to hear, kept over a reconnect of a session that is not clean.

use ferrohub_model::limits;
use ferrohub_wire::hub_topic::HubSubscription;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The topics of one device: the hub knows only a handful, so a flag for each is enough.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Subscriptions {
    /// Answers to twin requests.
    pub(super) twin: bool,
    /// Changes of desired properties.
    pub(super) desired: bool,
    /// Answers to certificate requests.
    pub(super) credentials: bool,
}

impl Subscriptions {
    /// Switches one topic on or off; false for a filter that is not this device's.
    pub(super) fn set(&mut self, filter: &str, device: &str, module: Option<&str>, on: bool) -> bool {
        match HubSubscription::parse(filter) {
            HubSubscription::TwinResponses => self.twin = on,
            HubSubscription::DesiredPatches => self.desired = on,
            HubSubscription::CredentialResponses => self.credentials = on,
            // Stock SDKs always subscribe to these. Nothing is ever delivered: methods and
            // cloud-to-device messages are not built.
            HubSubscription::Methods => {}
            HubSubscription::DeviceBound { device: d, module: m } => return d == device && m == module,
            HubSubscription::ModuleInputs { device: d, module: m } => return d == device && Some(m) == module,
            HubSubscription::Unknown(_) => return false,
        }
        true
    }
}

/// Subscriptions of sessions that outlive their connection (CONNECT with clean session 0), by host and client id.
#[derive(Default)]
pub(super) struct Remembered(Mutex<HashMap<String, Subscriptions>>);

impl Remembered {
    /// The state with which a connection starts, and whether there was one: CONNACK's session-present flag.
    pub(super) fn open(&self, key: &str, clean: bool) -> (Subscriptions, bool) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if clean {
            known.remove(key);
            return (Subscriptions::default(), false);
        }
        known.get(key).map_or((Subscriptions::default(), false), |subscriptions| (*subscriptions, true))
    }

    /// Keeps the state of a session that is not clean. A full memory forgets some other session, whose
    /// device then sees session-present 0 and subscribes again.
    pub(super) fn keep(&self, key: &str, subscriptions: Subscriptions) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= limits::CONNECTIONS && !known.contains_key(key) {
            let victim = known.keys().next().cloned();
            if let Some(victim) = victim {
                known.remove(&victim);
            }
        }
        known.insert(key.to_owned(), subscriptions);
    }
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
            assert!(own.set(filter, "d", None, true), "{filter}");
        }
        assert!(own.twin && own.desired && !own.credentials);
        for filter in [
            "devices/other/messages/devicebound/#",
            "#",
            "a/b",
            "devices/d/modules/m/inputs/#",
            "devices/d/messages/events/#",
        ] {
            assert!(!own.set(filter, "d", None, true), "{filter}");
        }
        assert!(own.set("devices/d/modules/m/inputs/#", "d", Some("m"), true));
        assert!(own.set("$iothub/twin/res/#", "d", None, false));
        assert!(!own.twin);
    }

    #[test]
    fn only_an_unclean_session_is_remembered() {
        let remembered = Remembered::default();
        let some = Subscriptions { twin: true, ..Subscriptions::default() };
        assert_eq!(remembered.open("h/d", false), (Subscriptions::default(), false));
        remembered.keep("h/d", some);
        assert_eq!(remembered.open("h/d", false), (some, true));
        assert_eq!(remembered.open("h/other", false), (Subscriptions::default(), false));
        assert_eq!(remembered.open("h/d", true), (Subscriptions::default(), false));
        assert_eq!(remembered.open("h/d", false), (Subscriptions::default(), false));
    }
}
