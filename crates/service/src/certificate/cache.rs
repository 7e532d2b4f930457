//! Opened authorities and signed revocation lists, held in memory.

use ferrohub_model::limits::OPEN_AUTHORITIES;
use ferrohub_pki::issue::Issuer;
use jiff::Timestamp;
use quick_cache::sync::Cache;
use std::sync::Arc;
use uuid::Uuid;

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

/// Opened authorities and revocation lists: those that are asked for stay, the others make room.
pub struct AuthorityCache {
    issuers: Cache<Uuid, Arc<Issuer>>,
    lists: Cache<Uuid, SignedList>,
}

impl Default for AuthorityCache {
    fn default() -> Self {
        Self { issuers: Cache::new(OPEN_AUTHORITIES), lists: Cache::new(OPEN_AUTHORITIES) }
    }
}

impl AuthorityCache {
    pub(super) fn issuer(&self, id: Uuid) -> Option<Arc<Issuer>> {
        self.issuers.get(&id)
    }

    pub(super) fn keep_issuer(&self, id: Uuid, issuer: Arc<Issuer>) {
        self.issuers.insert(id, issuer);
    }

    pub(super) fn list(&self, id: Uuid) -> Option<SignedList> {
        self.lists.get(&id)
    }

    pub(super) fn keep_list(&self, id: Uuid, list: SignedList) {
        self.lists.insert(id, list);
    }

    pub(super) fn forget(&self, id: Uuid) {
        self.issuers.remove(&id);
        self.lists.remove(&id);
    }
}
