//! Private keys that sign, behind a trait, so that a key can live in a PKCS#11 token or with a remote service.

mod software;

pub use software::SoftwareSigner;

use crate::algorithm::SignatureAlgorithm;
use async_trait::async_trait;
use ferrohub_model::error::Result;

/// A private key that signs. It never shows the key; an implementation may call a device or a service, so signing is
/// asynchronous, may take milliseconds, and may fail. [`crate::key_store::KeyStore`] makes and opens signers.
#[async_trait]
pub trait Signer: Send + Sync {
    /// DER SubjectPublicKeyInfo of the key.
    fn public_key_info_der(&self) -> &[u8];

    /// The one algorithm that [`Signer::sign`] uses.
    fn algorithm(&self) -> SignatureAlgorithm;

    /// Whether the key lives in this process. What a device signs is verified each time before it is handed out; the
    /// provider's own signature only when the signer is taken into use (verifying costs more than twice what signing
    /// does). The future of an in-process signer is ready when it is polled first.
    fn is_in_process(&self) -> bool {
        false
    }

    /// Hashes and signs `message`; an ECDSA signature is ASN.1 DER.
    ///
    /// # Errors
    /// `Unavailable` where the device behind the key does not answer, `Internal` on a fault of the provider.
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>>;
}
