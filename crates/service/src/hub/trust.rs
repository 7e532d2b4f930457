//! Which CAs a hub trusts, and whether a presented chain ends in one of them.

use super::HubRef;
use super::shared_read::SharedRead;
use crate::certificate::{self, AuthorityRecord, AuthorityState};
use crate::platform::Platform;
use crate::registry;
use crate::resources::{self, tag};
use aws_lc_rs::digest::{Context, SHA256};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits;
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::chain::{Anchor, CODE_UNTRUSTED, VerifiedLeaf, verify_client_chain};
use jiff::Timestamp;
use quick_cache::sync::Cache;
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;
use uuid::Uuid;

type Hash = [u8; 32];

/// The verified CA certificates of a hub at one moment.
struct Anchors {
    /// Hash over ids and versions of the rows they came from, and over the states of the namespace's authorities: changes with
    /// every change of trust.
    generation: Hash,
    cas: Vec<Anchor>,
    /// By SHA-256 thumbprint, upper-case hex: the certificate authority of the hub's namespace whose certificate it is, by the
    /// uid of its resource; `None` for a CA of others.
    prints: HashMap<String, Option<Uuid>>,
    /// Keys of revoked authorities of the hub's namespace, by hash: nothing is trusted that one of them signed, in whatever
    /// entry it ends. Keys, because a certificate can be spelled anew.
    revoked: HashSet<Hash>,
}

/// A hub and whom it trusts, as they stood at one moment.
pub(super) struct View {
    /// The hub.
    pub(super) hub: HubRef,
    anchors: Arc<Anchors>,
}

type Look = SharedRead<Option<Arc<View>>>;

/// A chain that was found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trusted {
    /// What the leaf says.
    pub(super) leaf: VerifiedLeaf,
    /// The certificate authority of the hub's namespace in which the chain ends, by the uid of its resource. Only what such a
    /// one signed is known to be ours, so only then does a credential id in the leaf count.
    pub(super) authority: Option<Uuid>,
}

struct Verified {
    leaf: VerifiedLeaf,
    from: Timestamp,
    generation: Hash,
    /// Keys of the certificates above the leaf, by hash.
    keys: Vec<Hash>,
}

/// Anchors and verified chains. The rows are read anew for everybody who asks, in one reading for all who ask at the
/// same time. What is remembered is the parsing, under the generation of the rows, and to which anchor a chain led,
/// which counts for as long as that anchor is trusted: nothing has to be told when trust changes, and sessions that
/// a change does not concern cost no signature check.
pub(super) struct Trust {
    looks: Cache<Uuid, Arc<Look>>,
    anchors: Cache<Uuid, Arc<Anchors>>,
    verified: Cache<Hash, Arc<Verified>>,
}

impl Default for Trust {
    fn default() -> Self {
        Self {
            looks: Cache::new(limits::REMEMBERED_HUBS),
            anchors: Cache::new(limits::REMEMBERED_HUBS),
            verified: Cache::new(limits::VERIFIED_CHAINS),
        }
    }
}

impl Trust {
    /// The hub and its anchors as they are now; `None` when the hub is gone, or another one of its name took its place.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn look(&self, platform: &Platform, hub: Uuid) -> Result<Option<Arc<View>>> {
        let Ok(look) = self.looks.get_or_insert_with(&hub, || Ok::<_, Infallible>(Arc::default()));
        look.get(self.read(platform, hub)).await
    }

    async fn read(&self, platform: &Platform, hub: Uuid) -> Result<Option<Arc<View>>> {
        let Some(found) = resources::by_uid(platform, hub).await? else { return Ok(None) };
        let hub = HubRef::of(found);
        let anchors = self.anchors(platform, &hub).await?;
        Ok(Some(Arc::new(View { hub, anchors })))
    }

    /// Verifies a chain against the CA certificates of the hub in `view`.
    ///
    /// # Errors
    /// Those of [`verify_client_chain`].
    pub(super) fn verify(&self, view: &View, chain: &[Vec<u8>], now: Timestamp) -> Result<Trusted> {
        let key = chain_hash(chain);
        if let Some(trusted) = self.remembered(&key, &view.anchors, now) {
            return Ok(trusted);
        }
        let verified = verify_client_chain(chain, &view.anchors.cas, now);
        // What a revoked CA signed has a wrong signature by the one that took its place under the same name: that is not why it is refused.
        let keys = keys_above(chain);
        if let Ok(keys) = &keys
            && keys.iter().any(|key| view.anchors.revoked.contains(key))
        {
            return Err(revoked(chain));
        }
        let (leaf, keys) = (verified?, keys?);
        let authority = view.anchors.prints.get(&leaf.anchor_sha256).copied().flatten();
        let generation = view.anchors.generation;
        self.verified.insert(key, Arc::new(Verified { leaf: leaf.clone(), from: now, generation, keys }));
        Ok(Trusted { leaf, authority })
    }

    fn remembered(&self, key: &Hash, anchors: &Anchors, now: Timestamp) -> Option<Trusted> {
        let known = self.verified.get(key)?;
        let authority = *anchors.prints.get(&known.leaf.anchor_sha256)?;
        // A chain that led to a CA of others may lead to one of ours by now.
        let same = authority.is_some() || known.leaf.credential_id.is_none() || known.generation == anchors.generation;
        let revoked = known.keys.iter().any(|key| anchors.revoked.contains(key));
        let holds = same && !revoked && (known.from..known.leaf.valid_until).contains(&now);
        holds.then(|| Trusted { leaf: known.leaf.clone(), authority })
    }

    async fn anchors(&self, platform: &Platform, hub: &HubRef) -> Result<Arc<Anchors>> {
        let rows = resources::children(platform, hub.uid, &hub.id, Some(tag::HUB_CERTIFICATE)).await?;
        let mut context = Context::new(&SHA256);
        context.update(hub.uid.as_bytes());
        for row in &rows {
            context.update(row.uid.as_bytes());
            context.update(&row.version.to_be_bytes());
        }
        let authorities = self.authorities(platform, hub).await?;
        for record in &authorities {
            context.update(record.id.as_bytes());
            context.update(&[record.state as u8, u8::from(record.is_trusted())]);
        }
        let generation = finish(context);
        if let Some(known) = self.anchors.get(&hub.uid).filter(|known| known.generation == generation) {
            return Ok(known);
        }
        let ours: HashMap<&str, Uuid> = authorities
            .iter()
            .filter(|record| record.is_trusted())
            .map(|record| (record.thumbprint.as_str(), record.owner))
            .collect();
        let revoked = revoked_keys(&authorities, platform.now())?;
        let (mut cas, mut prints) = (Vec::new(), HashMap::new());
        for row in rows
            .iter()
            .filter(|row| row.resource.value(&["isVerified"]).and_then(serde_json::Value::as_bool) == Some(true))
        {
            match Certificate::from_pem_or_base64(row.resource.text(&["certificate"]).unwrap_or_default()) {
                Ok(certificate) if revoked.contains(&hash(certificate.public_key_info_der())) => {
                    tracing::debug!(id = %row.id, "the certificate of a revoked authority; it trusts nobody");
                }
                Ok(certificate) => {
                    // Those beyond the verifier's limit verify nothing.
                    if cas.len() < limits::CHAIN_ANCHORS {
                        let brought = row.resource.link(registry::AUTHORITY);
                        let authority = brought.or_else(|| ours.get(certificate.sha256()).copied());
                        let known: &mut Option<Uuid> = prints.entry(certificate.sha256().to_owned()).or_default();
                        *known = known.or(authority);
                        cas.push(Anchor::new(certificate));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, id = %row.id, "a CA certificate of the hub does not parse; it trusts nobody")
                }
            }
        }
        let fresh = Arc::new(Anchors { generation, cas, prints, revoked });
        self.anchors.insert(hub.uid, Arc::clone(&fresh));
        Ok(fresh)
    }

    /// The authorities of the namespace that the hub is linked to: one of them may have been uploaded by hand.
    async fn authorities(&self, platform: &Platform, hub: &HubRef) -> Result<Vec<Arc<AuthorityRecord>>> {
        match hub.stored.resource.link(registry::NAMESPACE) {
            Some(namespace) => certificate::of_namespace(platform, namespace).await,
            None => Ok(Vec::new()),
        }
    }
}

/// The keys of revoked authorities that have not ended, by hash.
fn revoked_keys(authorities: &[Arc<AuthorityRecord>], now: Timestamp) -> Result<HashSet<Hash>> {
    let mut keys = HashSet::new();
    for record in authorities.iter().filter(|record| record.state == AuthorityState::Revoked && record.not_after > now)
    {
        keys.insert(hash(Certificate::from_der(&record.certificate_der)?.public_key_info_der()));
    }
    Ok(keys)
}

/// The keys of the certificates above the leaf of a chain that was parsed before, by hash.
fn keys_above(chain: &[Vec<u8>]) -> Result<Vec<Hash>> {
    let above = chain.iter().skip(1);
    above.map(|der| Certificate::from_der(der).map(|above| hash(above.public_key_info_der()))).collect()
}

fn revoked(chain: &[Vec<u8>]) -> Error {
    let subject =
        chain.first().and_then(|leaf| Certificate::from_der(leaf).ok()).map(|leaf| leaf.subject().to_string());
    Error::unauthenticated(format!(
        "The issuing CA above the client certificate '{}' was revoked; provision the device again.",
        subject.unwrap_or_default()
    ))
    .with_iot_code(CODE_UNTRUSTED)
}

fn hash(bytes: &[u8]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    finish(context)
}

/// Whether the CA with this SHA-256 thumbprint is a verified one of the hub.
pub(super) async fn trusts(platform: &Platform, hub: &HubRef, sha256: &str) -> Result<bool> {
    let rows = resources::children(platform, hub.uid, &hub.id, Some(tag::HUB_CERTIFICATE)).await?;
    let mut verified = rows
        .iter()
        .filter(|row| row.resource.value(&["isVerified"]).and_then(serde_json::Value::as_bool) == Some(true))
        .filter_map(|row| {
            Certificate::from_pem_or_base64(row.resource.text(&["certificate"]).unwrap_or_default()).ok()
        });
    Ok(verified.any(|certificate| certificate.sha256().eq_ignore_ascii_case(sha256)))
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
