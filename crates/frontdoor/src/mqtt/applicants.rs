//! The connections of devices that are being provisioned: a few of each at a time, so that one key cannot fill the port. A hub
//! has one connection of a device; here the newest [`CONNECTIONS_OF_APPLICANT`] stay, and the oldest goes.

use ferrohub_model::limits::CONNECTIONS_OF_APPLICANT;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

type Connections = HashMap<String, VecDeque<(u64, CancellationToken)>>;

/// The present connections, by id scope and registration id.
#[derive(Clone, Default)]
pub(super) struct Applicants(Arc<Mutex<Connections>>);

/// The place of one connection; it is given up when this is dropped.
pub(super) struct Presence {
    all: Applicants,
    key: String,
    number: u64,
    token: CancellationToken,
}

impl Applicants {
    /// Takes a place for a connection of this device, and tells its oldest one to end where it has too many.
    pub(super) fn enter(&self, id_scope: &str, registration_id: &str) -> Presence {
        let key = format!("{id_scope}/{registration_id}").to_ascii_lowercase();
        let token = CancellationToken::new();
        let mut connections = self.lock();
        let of_device = connections.entry(key.clone()).or_default();
        let number = of_device.back().map_or(0, |(last, _)| last.wrapping_add(1));
        of_device.push_back((number, token.clone()));
        while of_device.len() > CONNECTIONS_OF_APPLICANT {
            if let Some((_, oldest)) = of_device.pop_front() {
                oldest.cancel();
            }
        }
        drop(connections);
        Presence { all: self.clone(), key, number, token }
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Presence {
    /// Returns once newer connections of the same device have taken the place.
    pub(super) async fn displaced(&self) {
        self.token.cancelled().await;
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut connections = self.all.lock();
        if let Some(of_device) = connections.get_mut(&self.key) {
            of_device.retain(|(number, _)| *number != self.number);
            if of_device.is_empty() {
                connections.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_and_nothing_is_left_behind() {
        let applicants = Applicants::default();
        let mut present: VecDeque<Presence> =
            (0..CONNECTIONS_OF_APPLICANT).map(|_| applicants.enter("0ne1", "d")).collect();
        let other = applicants.enter("0ne1", "e");
        assert!(present.iter().all(|presence| !presence.token.is_cancelled()));
        present.push_back(applicants.enter("0NE1", "D"));
        let ended: Vec<bool> = present.iter().map(|presence| presence.token.is_cancelled()).collect();
        assert!(ended[0] && !ended[1..].contains(&true), "{ended:?}");
        assert!(!other.token.is_cancelled());
        drop((present, other));
        assert!(applicants.lock().is_empty());
    }
}
