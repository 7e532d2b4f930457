//! The platform's own TLS: a root that people install in their trust stores, and server certificates.

use crate::algorithm::KeyKind;
use crate::authority;
use crate::certificate::Certificate;
use crate::issue::{Issuer, Serial};
use crate::name::SubjectName;
use crate::profile::{Profile, ServerFields};
use crate::signer::Signer;
use ferrohub_model::error::Result;
use ferrohub_model::random::Random;
use jiff::Timestamp;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Key kind of the platform's root and server where none is asked for: every TLS client knows it.
pub const DEFAULT_KEY: KeyKind = KeyKind::P256;

/// A server certificate with its chain and key. `Debug` does not show the key.
pub struct ServerIdentity {
    /// Leaf first, then the platform's root.
    pub chain: Vec<Certificate>,
    /// What [`crate::key_store::KeyStore::export`] gave: PKCS#8, DER; erased from memory when dropped.
    pub key_pkcs8: Zeroizing<Vec<u8>>,
}

impl ServerIdentity {
    /// The chain as DER, leaf first, the root included (clients without a trust store pin it).
    pub fn chain_der(&self) -> Vec<Vec<u8>> {
        self.chain.iter().map(|certificate| certificate.der().to_vec()).collect()
    }

    /// The chain as PEM, leaf first.
    pub fn chain_pem(&self) -> String {
        self.chain.iter().map(Certificate::to_pem).collect()
    }

    /// The key as PEM (`PRIVATE KEY`).
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(crate::certificate::pem("PRIVATE KEY", &self.key_pkcs8))
    }
}

impl fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerIdentity").field("chain", &self.chain.len()).finish_non_exhaustive()
    }
}

/// Makes the platform's root with `key`: the default validity of a root.
///
/// # Errors
/// As [`authority::create_self_signed`].
pub async fn create_platform_root(
    subject: SubjectName,
    key: Arc<dyn Signer>,
    random: &dyn Random,
    now: Timestamp,
) -> Result<Issuer> {
    authority::create_self_signed(&Profile::platform_root(subject, None)?, key, random, now).await
}

/// Makes a root with `key` that can vouch for `permitted` and what is below these names only: for names that belong to
/// somebody else in the world outside.
///
/// # Errors
/// As [`Profile::constrained_root`] and [`authority::create_self_signed`].
pub async fn create_constrained_root(
    subject: SubjectName,
    days: u32,
    permitted: Vec<String>,
    key: Arc<dyn Signer>,
    random: &dyn Random,
    now: Timestamp,
) -> Result<Issuer> {
    authority::create_self_signed(&Profile::constrained_root(subject, days, permitted)?, key, random, now).await
}

/// Issues a server certificate for a key, DNS names (wildcards too) and IP addresses. Leaf first, then the root.
///
/// # Errors
/// `InvalidPropertyValue` where a name is malformed; otherwise as [`Issuer::prepare`].
pub async fn create_server_chain(
    root: &Issuer,
    fields: ServerFields,
    public_key_info: &[u8],
    random: &dyn Random,
    now: Timestamp,
) -> Result<Vec<Certificate>> {
    let profile = Profile::server(fields)?;
    let leaf = root.prepare(&profile, public_key_info, Serial::random(random), now)?.issue().await?;
    Ok(vec![leaf, root.certificate().clone()])
}
