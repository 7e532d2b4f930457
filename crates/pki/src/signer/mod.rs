//! The keys of certificate authorities, behind a trait, so that a key can live in a PKCS#11 token.

mod software;

pub use software::SoftwareSigner;

use crate::algorithm::SignatureAlgorithm;
use ferrohub_model::error::Result;

/// A private key that signs. It never shows the key; an implementation may call a device, so callers
/// must expect it to take milliseconds and to fail.
pub trait Signer: Send + Sync {
    /// DER SubjectPublicKeyInfo of the key.
    fn public_key_info_der(&self) -> &[u8];

    /// The one algorithm that [`Signer::sign`] uses.
    fn algorithm(&self) -> SignatureAlgorithm;

    /// Whether the key lives in this process. What a device signs is verified each time before it is handed out; the
    /// provider's own signature only when the signer is taken into use (verifying costs more than twice what signing does).
    fn is_in_process(&self) -> bool {
        false
    }

    /// Hashes and signs `message`; an ECDSA signature is ASN.1 DER.
    ///
    /// # Errors
    /// `Unavailable` where the device behind the key does not answer, `Internal` on a fault of the provider.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>>;
}
