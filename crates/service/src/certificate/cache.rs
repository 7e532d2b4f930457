//! Opened authorities and signed revocation lists, held in memory.

use ferrohub_pki::issue::Issuer;
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// Authorities whose opened key stays in memory: ours (a namespace has one root and at most 100 policies).
const OPEN_AUTHORITIES: usize = 512;

/// A signed revocation list.
#[derive(Clone)]
pub(super) struct SignedList {
    /// DER.
    pub(super) der: Arc<Vec<u8>>,
    /// When a newer one must be there.
    pub(super) next_update: Timestamp,
    /// How many certificates it lists: one more asks for a new list.
    pub(super) entries: usize,
}

/// Opened authorities and revocation lists. Both are bounded; a full map is emptied, because filling
/// it again costs one opened key each.
#[derive(Default)]
pub struct AuthorityCache {
    issuers: Mutex<HashMap<Uuid, Arc<Issuer>>>,
    lists: Mutex<HashMap<Uuid, SignedList>>,
}

impl AuthorityCache {
    pub(super) fn issuer(&self, id: Uuid) -> Option<Arc<Issuer>> {
        lock(&self.issuers).get(&id).cloned()
    }

    pub(super) fn keep_issuer(&self, id: Uuid, issuer: Arc<Issuer>) {
        insert_bounded(&mut lock(&self.issuers), id, issuer);
    }

    pub(super) fn list(&self, id: Uuid) -> Option<SignedList> {
        lock(&self.lists).get(&id).cloned()
    }

    pub(super) fn keep_list(&self, id: Uuid, list: SignedList) {
        insert_bounded(&mut lock(&self.lists), id, list);
    }

    pub(super) fn forget(&self, id: Uuid) {
        lock(&self.issuers).remove(&id);
        lock(&self.lists).remove(&id);
    }
}

fn insert_bounded<T>(map: &mut HashMap<Uuid, T>, id: Uuid, value: T) {
    if map.len() >= OPEN_AUTHORITIES && !map.contains_key(&id) {
        map.clear();
    }
    map.insert(id, value);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maps_are_bounded() {
        let mut map = HashMap::new();
        for number in 0..(OPEN_AUTHORITIES as u128 * 3) {
            insert_bounded(&mut map, Uuid::from_u128(number), number);
            assert!(map.len() <= OPEN_AUTHORITIES);
        }
        assert_eq!(
            map.get(&Uuid::from_u128(OPEN_AUTHORITIES as u128 * 3 - 1)),
            Some(&(OPEN_AUTHORITIES as u128 * 3 - 1))
        );
    }
}
