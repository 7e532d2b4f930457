//! What is known of a device's connections, and what of a session outlives its connection.
//!
//! Several processes write this row of one device, each what it saw itself; [`DeviceSession::see`] says what stands.

use crate::device::ConnectionView;
use crate::time::rfc3339;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Whether a session outlives its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKind {
    /// It ends with its connection, and an older one is forgotten (MQTT: clean session 1).
    Clean,
    /// What the device wants to hear is kept for its next connection (MQTT: clean session 0).
    Lasting,
}

/// What a device wants to hear: a hub has a handful of topics, so a flag for each is enough.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "a set of topics")]
pub struct Subscriptions {
    /// Answers to twin requests.
    #[serde(skip_serializing_if = "is_off")]
    pub twin: bool,
    /// Changes of desired properties.
    #[serde(skip_serializing_if = "is_off")]
    pub desired: bool,
    /// Answers to certificate requests.
    #[serde(skip_serializing_if = "is_off")]
    pub credentials: bool,
    /// Cloud-to-device messages. Kept although none is sent yet, so that a session of today is whole tomorrow.
    #[serde(skip_serializing_if = "is_off")]
    pub device_bound: bool,
    /// Inputs of a module; as cloud-to-device messages.
    #[serde(skip_serializing_if = "is_off")]
    pub inputs: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_off(flag: &bool) -> bool {
    !flag
}

/// The connections of a device, as they are stored. Times are microseconds since the Unix epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSession {
    /// The process that holds the device's connection, while there is one. A column of the row.
    #[serde(skip)]
    pub holder: Option<Uuid>,
    /// When that connection was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// When the device last became connected or disconnected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated: Option<i64>,
    /// When the device was last heard, some minutes late while it is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<i64>,
    /// Subscriptions of the lasting session of whom the row is of, under the empty name; no other name is used.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub remembered: BTreeMap<String, Subscriptions>,
}

/// What one process knows of a device's connection. Times as in [`DeviceSession`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// The process.
    pub process: Uuid,
    /// Whether it holds the newest connection of the device.
    pub connected: bool,
    /// When its last connection of the device was made.
    pub since: i64,
    /// When the device last became connected or disconnected there.
    pub updated: i64,
    /// When it was last heard there.
    pub heard: i64,
}

impl DeviceSession {
    /// Adds what a process saw, whatever was written meanwhile. A connection takes over from any other process, except from
    /// one that lives (`holder_lives`) and got the device later; then `false`: whoever still has a connection looks again.
    /// The end of a connection takes away only the process's own.
    pub fn see(&mut self, seen: &Sighting, holder_lives: bool) -> bool {
        let own = self.holder == Some(seen.process);
        let later = self.since.is_some_and(|since| since > seen.since);
        if seen.connected && self.holder.is_some() && !own && holder_lives && later {
            return false;
        }
        self.heard = self.heard.max(Some(seen.heard));
        if seen.connected {
            (self.holder, self.since, self.updated) = (Some(seen.process), Some(seen.since), Some(seen.updated));
        } else if own {
            self.end(seen.updated);
        } else if self.holder.is_none() {
            self.updated = self.updated.max(Some(seen.updated));
        }
        true
    }

    /// The connection ended at `at`, or its process did.
    pub fn end(&mut self, at: i64) {
        (self.holder, self.since, self.updated) = (None, None, Some(at));
    }

    /// What a service is shown at `now`. `lease` is until when the holder counts as living; without one it is gone.
    pub fn view(&self, lease: Option<i64>, now: i64) -> ConnectionView {
        let connected = self.holder.is_some() && lease.is_some_and(|until| until >= now);
        let gone = self.holder.is_some() && !connected;
        // A process that died was last known to live when its lease ended.
        let updated = if gone { lease.or(self.heard.max(self.updated)) } else { self.updated };
        ConnectionView { connected, updated: updated.and_then(shown), last_activity: self.heard.and_then(shown) }
    }
}

fn shown(at: i64) -> Option<String> {
    Timestamp::from_microsecond(at).ok().map(rfc3339)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Uuid = Uuid::from_u128(1);
    const B: Uuid = Uuid::from_u128(2);

    fn seen(process: Uuid, connected: bool, since: i64, updated: i64) -> Sighting {
        Sighting { process, connected, since, updated, heard: updated }
    }

    /// Every order of what A and B write of a device that went from A to B.
    #[test]
    fn a_device_that_moved_is_where_it_moved_to() {
        // A's connection may be written by itself, or only its end.
        for from_a in [&[seen(A, true, 1, 1), seen(A, false, 1, 3)][..], &[seen(A, false, 1, 3)]] {
            let to_b = seen(B, true, 2, 2);
            for place in 0..=from_a.len() {
                let mut session = DeviceSession::default();
                let mut writes = from_a.to_vec();
                writes.insert(place, to_b);
                for write in &writes {
                    // Where B's later connection stands, A's is not written; its end follows and takes nothing away.
                    let written = session.see(write, true);
                    assert!(written || (write.process == A && write.connected), "{writes:?}");
                }
                assert_eq!((session.holder, session.updated), (Some(B), Some(2)), "{writes:?}");
                assert!(session.view(Some(9), 9).connected);
            }
        }
    }

    #[test]
    fn who_is_gone_keeps_nobody_out() {
        let mut session = DeviceSession::default();
        assert!(session.see(&seen(A, true, 5, 5), true));
        assert!(!session.see(&seen(B, true, 4, 4), true), "A got the device later");
        assert!(session.see(&seen(B, true, 4, 4), false), "A is gone, whatever the clocks say");
        assert_eq!((session.holder, session.heard), (Some(B), Some(5)));
        assert!(session.see(&seen(B, false, 4, 6), true));
        assert!(session.see(&seen(A, false, 3, 3), true));
        assert_eq!((session.holder, session.since, session.updated), (None, None, Some(6)));
    }

    #[test]
    fn a_holder_counts_while_its_lease_holds() {
        let mut session = DeviceSession::default();
        assert_eq!(session.view(None, 0), ConnectionView::default());
        session.see(&seen(A, true, 1_000_000, 1_000_000), true);
        let view = session.view(Some(2_000_000), 2_000_000);
        assert!(view.connected && view.updated.as_deref() == Some("1970-01-01T00:00:01.0000000Z"));
        let view = session.view(Some(2_000_000), 2_000_001);
        assert!(!view.connected && view.updated.as_deref() == Some("1970-01-01T00:00:02.0000000Z"));
        let view = session.view(None, 3_000_000);
        assert!(!view.connected && view.updated.as_deref() == Some("1970-01-01T00:00:01.0000000Z"));
    }

    #[test]
    fn the_stored_form_is_small() {
        let mut session = DeviceSession { holder: Some(A), since: Some(1), ..DeviceSession::default() };
        assert_eq!(serde_json::to_string(&session).unwrap(), r#"{"since":1}"#);
        session.end(7);
        session.remembered.insert(String::new(), Subscriptions { twin: true, ..Subscriptions::default() });
        let text = serde_json::to_string(&session).unwrap();
        assert_eq!(text, r#"{"updated":7,"remembered":{"":{"twin":true}}}"#);
        assert_eq!(serde_json::from_str::<DeviceSession>(&text).unwrap(), session);
    }
}
