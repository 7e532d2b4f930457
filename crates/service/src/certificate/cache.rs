//! Opened authorities, held in memory.

use ferrohub_model::limits::OPEN_AUTHORITIES;
use ferrohub_pki::issue::Issuer;
use quick_cache::sync::Cache;
use std::sync::Arc;
use uuid::Uuid;

/// Opened authorities: those that are asked for stay, the others make room.
pub struct AuthorityCache {
    issuers: Cache<Uuid, Arc<Issuer>>,
}

impl Default for AuthorityCache {
    fn default() -> Self {
        Self { issuers: Cache::new(OPEN_AUTHORITIES) }
    }
}

impl AuthorityCache {
    pub(super) fn issuer(&self, id: Uuid) -> Option<Arc<Issuer>> {
        self.issuers.get(&id)
    }

    pub(super) fn keep_issuer(&self, id: Uuid, issuer: Arc<Issuer>) {
        self.issuers.insert(id, issuer);
    }

    pub(super) fn forget(&self, id: Uuid) {
        self.issuers.remove(&id);
    }
}
