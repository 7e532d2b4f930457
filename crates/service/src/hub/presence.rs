//! Which devices are connected to this process, and when they were last heard.

use ferrohub_model::clock::Clock;
use ferrohub_model::device::ConnectionView;
use ferrohub_model::limits;
use ferrohub_model::time::rfc3339;
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

type Key = (Uuid, String);

struct Entry {
    /// Open sessions; two for a moment when a device reconnects before the old session ended.
    open: u32,
    updated: Timestamp,
    activity: Arc<AtomicI64>,
}

/// The connection states that this process knows. Lost at its end: a device is then `Disconnected` until it returns.
#[derive(Default)]
pub(super) struct Presence(Mutex<HashMap<Key, Entry>>);

/// A session's entry; leaves when dropped.
pub(super) struct Present {
    presence: Arc<Presence>,
    key: Key,
    clock: Arc<dyn Clock>,
    activity: Arc<AtomicI64>,
}

impl Presence {
    /// Enters a device that has just connected.
    pub(super) fn enter(self: &Arc<Self>, hub: Uuid, device_id: &str, clock: Arc<dyn Clock>) -> Present {
        let now = clock.now();
        let key = (hub, device_id.to_owned());
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= limits::PRESENCE_ENTRIES && !entries.contains_key(&key) {
            entries.retain(|_, entry| entry.open > 0);
        }
        let entry =
            entries.entry(key.clone()).or_insert_with(|| Entry { open: 0, updated: now, activity: Arc::default() });
        if entry.open == 0 {
            entry.updated = now;
        }
        entry.open = entry.open.saturating_add(1);
        entry.activity.store(now.as_microsecond(), Ordering::Relaxed);
        let activity = Arc::clone(&entry.activity);
        Present { presence: Arc::clone(self), key, clock, activity }
    }

    /// What is known of a device.
    pub(super) fn view(&self, hub: Uuid, device_id: &str) -> ConnectionView {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = entries.get(&(hub, device_id.to_owned())) else {
            return ConnectionView::default();
        };
        let activity = Timestamp::from_microsecond(entry.activity.load(Ordering::Relaxed)).ok();
        ConnectionView {
            connected: entry.open > 0,
            updated: Some(rfc3339(entry.updated)),
            last_activity: activity.map(rfc3339),
        }
    }

    /// Forgets a deleted device, unless a session still has to end.
    pub(super) fn forget(&self, hub: Uuid, device_id: &str) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (hub, device_id.to_owned());
        if entries.get(&key).is_some_and(|entry| entry.open == 0) {
            entries.remove(&key);
        }
    }
}

impl Present {
    /// Notes that the device was heard.
    pub(super) fn heard(&self) {
        self.activity.store(self.clock.now().as_microsecond(), Ordering::Relaxed);
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let now = self.clock.now();
        let mut entries = self.presence.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get_mut(&self.key) {
            entry.open = entry.open.saturating_sub(1);
            if entry.open == 0 {
                entry.updated = now;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_model::clock::ManualClock;
    use std::time::Duration;

    #[test]
    fn the_state_follows_the_sessions() {
        let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let presence = Arc::new(Presence::default());
        assert_eq!(presence.view(Uuid::nil(), "d"), ConnectionView::default());
        let first = presence.enter(Uuid::nil(), "d", clock.clone());
        clock.advance(Duration::from_secs(1));
        let second = presence.enter(Uuid::nil(), "d", clock.clone());
        drop(first);
        let view = presence.view(Uuid::nil(), "d");
        assert!(view.connected && view.updated.unwrap().starts_with("1970-01-01T00:00:00"));
        clock.advance(Duration::from_secs(1));
        second.heard();
        clock.advance(Duration::from_secs(1));
        drop(second);
        let view = presence.view(Uuid::nil(), "d");
        assert!(!view.connected);
        assert_eq!(view.last_activity.unwrap(), "1970-01-01T00:00:02.0000000Z");
        assert_eq!(view.updated.unwrap(), "1970-01-01T00:00:03.0000000Z");
        presence.forget(Uuid::nil(), "d");
        assert_eq!(presence.view(Uuid::nil(), "d"), ConnectionView::default());
    }
}
