//! Which CAs a hub trusts, and whether a presented chain ends in one of them.

use super::{CACHED_HUBS, HubRef};
use crate::resources::{self, kind};
use aws_lc_rs::digest::{Context, SHA256};
use ferrohub_model::error::Result;
use ferrohub_model::limits;
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::chain::{VerifiedLeaf, verify_client_chain};
use ferrohub_store::Store;
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// Seconds after which a chain is verified anew, so that the end of an intermediate's validity is seen: ours.
const VERIFIED_SECONDS: i64 = 3600;

type Hash = [u8; 32];

/// The verified CA certificates of a hub at one moment.
struct Anchors {
    /// Hash over ids and versions of the rows they came from: changes with every change of trust.
    generation: Hash,
    ders: Vec<Vec<u8>>,
}

struct Verified {
    leaf: VerifiedLeaf,
    at: i64,
}

/// Anchors and verified chains. The rows are read each time; what is remembered is the parsing and the verifying,
/// under the generation of the rows, so nothing has to be told when trust changes.
#[derive(Default)]
pub(super) struct Trust {
    anchors: Mutex<HashMap<Uuid, Arc<Anchors>>>,
    verified: Mutex<HashMap<(Hash, Hash), Verified>>,
}

impl Trust {
    /// Verifies a chain against the hub's CA certificates as they are now.
    ///
    /// # Errors
    /// Those of [`verify_client_chain`]; the store's.
    pub(super) async fn verify(
        &self,
        store: &dyn Store,
        hub: &HubRef,
        chain: &[Vec<u8>],
        now: Timestamp,
    ) -> Result<VerifiedLeaf> {
        let anchors = self.anchors(store, hub).await?;
        let key = (chain_hash(chain), anchors.generation);
        if let Some(leaf) = self.remembered(&key, now) {
            return Ok(leaf);
        }
        let leaf = verify_client_chain(chain, &anchors.ders, now)?;
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.len() >= limits::VERIFIED_CHAINS {
            verified.clear();
        }
        verified.insert(key, Verified { leaf: leaf.clone(), at: now.as_second() });
        Ok(leaf)
    }

    fn remembered(&self, key: &(Hash, Hash), now: Timestamp) -> Option<VerifiedLeaf> {
        let verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        let known = verified.get(key)?;
        let age = now.as_second().saturating_sub(known.at);
        let fresh = (0..VERIFIED_SECONDS).contains(&age) && now < known.leaf.not_after;
        fresh.then(|| known.leaf.clone())
    }

    async fn anchors(&self, store: &dyn Store, hub: &HubRef) -> Result<Arc<Anchors>> {
        let mut rows = resources::all_where(store, "parent", &hub.id.key()).await?;
        rows.retain(|row| row.resource.kind.eq_ignore_ascii_case(kind::HUB_CERTIFICATE));
        let mut context = Context::new(&SHA256);
        context.update(hub.uid.as_bytes());
        for row in &rows {
            context.update(row.resource.uid.as_bytes());
            context.update(&row.version.to_be_bytes());
        }
        let generation = finish(context);
        let known = self.anchors.lock().unwrap_or_else(PoisonError::into_inner).get(&hub.uid).cloned();
        if let Some(known) = known.filter(|known| known.generation == generation) {
            return Ok(known);
        }
        let mut ders = Vec::new();
        for row in rows
            .iter()
            .filter(|row| row.resource.value(&["isVerified"]).and_then(serde_json::Value::as_bool) == Some(true))
        {
            match Certificate::from_pem_or_base64(row.resource.text(&["certificate"]).unwrap_or_default()) {
                Ok(certificate) => ders.push(certificate.der().to_vec()),
                Err(error) => {
                    tracing::warn!(%error, id = row.resource.id, "a CA certificate of the hub does not parse; it trusts nobody")
                }
            }
        }
        let fresh = Arc::new(Anchors { generation, ders });
        let mut all = self.anchors.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= CACHED_HUBS {
            all.clear();
        }
        all.insert(hub.uid, Arc::clone(&fresh));
        Ok(fresh)
    }
}

/// Hash of a chain with its lengths, so that no two chains share one.
fn chain_hash(chain: &[Vec<u8>]) -> Hash {
    let mut context = Context::new(&SHA256);
    for der in chain {
        context.update(&der.len().to_be_bytes());
        context.update(der);
    }
    finish(context)
}

fn finish(context: Context) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_of_the_same_bytes_have_different_hashes() {
        assert_ne!(chain_hash(&[vec![1, 2], vec![3]]), chain_hash(&[vec![1], vec![2, 3]]));
        assert_ne!(chain_hash(&[vec![1]]), chain_hash(&[vec![1], vec![]]));
    }
}
