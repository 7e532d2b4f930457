//! The bus of a single process.

use async_trait::async_trait;
use bytes::Bytes;
use ferrohub_messaging::{Bus, Claim, ClaimHold, Publisher, Subscription};
use ferrohub_model::error::Result;
use ferrohub_model::limits;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A [`Bus`] within this process. Clones share everything.
#[derive(Clone, Default)]
pub struct LocalBus(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    subjects: HashMap<Arc<str>, Subject>,
    claims: HashMap<Arc<str>, Holder>,
    last_epoch: u64,
}

#[derive(Default)]
struct Subject {
    publishers: Vec<Publisher>,
    /// How many subscribers left that are still among the publishers.
    left: usize,
}

struct Holder {
    epoch: u64,
    /// Dropped when a newer claim takes its place, which is what tells the older one.
    _hold: ClaimHold,
}

impl LocalBus {
    /// A bus without subscribers and claims.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn release(&self, key: &str, epoch: u64) {
        let mut state = self.state();
        if state.claims.get(key).is_some_and(|holder| holder.epoch == epoch) {
            state.claims.remove(key);
        }
    }
}

#[async_trait]
impl Bus for LocalBus {
    async fn publish(&self, subject: &str, payload: Bytes) -> Result<()> {
        let mut state = self.state();
        if let Some(known) = state.subjects.get_mut(subject) {
            known.publishers.retain(|publisher| publisher.send(payload.clone()));
            known.left = 0;
            if known.publishers.is_empty() {
                state.subjects.remove(subject);
            }
        }
        Ok(())
    }

    async fn subscribe(&self, subject: &str) -> Result<Subscription> {
        let (publisher, subscription) = Subscription::channel(limits::BUS_QUEUE);
        let bus = Arc::downgrade(&self.0);
        let mut state = self.state();
        let name = match state.subjects.get_key_value(subject) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(subject),
        };
        let subject = state.subjects.entry(Arc::clone(&name)).or_default();
        subject.publishers.push(publisher);
        // A subject that nobody publishes to any more must not keep its dead subscribers.
        let subscription = subscription.on_drop(move || {
            if let Some(state) = bus.upgrade() {
                LocalBus(state).sweep(&name);
            }
        });
        Ok(subscription)
    }

    async fn claim(&self, key: &str) -> Result<Claim> {
        let (bus, key) = (Arc::downgrade(&self.0), Arc::<str>::from(key));
        let mut state = self.state();
        state.last_epoch += 1;
        let epoch = state.last_epoch;
        let released = Arc::clone(&key);
        let (hold, claim) = Claim::held(epoch, move || {
            if let Some(state) = bus.upgrade() {
                LocalBus(state).release(&released, epoch);
            }
        });
        state.claims.insert(key, Holder { epoch, _hold: hold });
        Ok(claim)
    }
}

impl LocalBus {
    /// Lets go of those who left once they are half of a subject's subscribers, so that a fleet that goes at once, all
    /// listening to its hub, does not search the whole list for each.
    fn sweep(&self, subject: &str) {
        let mut state = self.state();
        let Some(known) = state.subjects.get_mut(subject) else { return };
        known.left += 1;
        if known.left * 2 < known.publishers.len() {
            return;
        }
        known.publishers.retain(|publisher| !publisher.is_closed());
        known.left = 0;
        if known.publishers.is_empty() {
            state.subjects.remove(subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_kept_for_those_who_left() {
        let bus = LocalBus::new();
        let subscriptions = [bus.subscribe("a").await, bus.subscribe("b").await];
        let claims = [bus.claim("a").await, bus.claim("a").await, bus.claim("b").await];
        assert_eq!(bus.state().subjects.len(), 2);
        assert_eq!(bus.state().claims.len(), 2);
        drop((subscriptions, claims));
        assert!(bus.state().subjects.is_empty());
        assert!(bus.state().claims.is_empty());
    }
}
