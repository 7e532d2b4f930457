//! The services over the real embedded engines.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test reports by panicking")]

mod arm;
mod authz;
mod hub;
mod owner;
mod provisioning;
mod sim;

use ferrohub_pki::signer::SoftwareSigner;
use ferrohub_service::authn::SigningKey;
use std::sync::Arc;

/// A new key for tokens, in this process.
fn token_key() -> SigningKey {
    SigningKey::new(Arc::new(SoftwareSigner::generate(SigningKey::KIND).unwrap())).unwrap()
}
