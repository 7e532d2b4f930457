//! A key in the memory of this process.

use super::Signer;
use crate::algorithm::{KeyKind, SignatureAlgorithm};
use crate::public_key::PublicKey;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self as sig, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair};
use ferrohub_model::error::{Error, Result};
use std::fmt;
use zeroize::Zeroizing;

/// An ECDSA key held by aws-lc-rs. P-384 signs with SHA-384, P-256 with SHA-256.
pub struct SoftwareSigner {
    key: EcdsaKeyPair,
    algorithm: SignatureAlgorithm,
    public_key_info: Vec<u8>,
}

impl SoftwareSigner {
    /// A new key of `kind`, from the provider's own generator (it takes no other).
    ///
    /// # Errors
    /// `InvalidPropertyValue` (target `keyType`) for kinds other than P-256 and P-384; `Internal` on a fault of the provider.
    pub fn generate(kind: KeyKind) -> Result<Self> {
        let algorithm = SignatureAlgorithm::for_key(kind).ok_or_else(|| {
            Error::invalid_property(
                "keyType",
                format!("A certificate authority cannot have a key of kind {kind}; use P-384 or P-256."),
            )
        })?;
        let key =
            EcdsaKeyPair::generate(signing(algorithm)).map_err(|_| Error::internal("generating an EC key failed"))?;
        Self::new(key, algorithm)
    }

    /// The key of a PKCS#8 document (DER, P-256 or P-384).
    ///
    /// # Errors
    /// `Invalid` where the document is malformed or of another kind; the key material is never in the message.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self> {
        for algorithm in [SignatureAlgorithm::EcdsaP384Sha384, SignatureAlgorithm::EcdsaP256Sha256] {
            if let Ok(key) = EcdsaKeyPair::from_pkcs8(signing(algorithm), pkcs8) {
                return Self::new(key, algorithm);
            }
        }
        Err(Error::invalid(
            "The private key is not a PKCS#8 document of a P-384 or P-256 key; convert it with 'openssl pkcs8 -topk8 -nocrypt -outform DER'.",
        ))
    }

    /// The key as PKCS#8 version 1, DER; erased from memory when dropped.
    ///
    /// # Errors
    /// `Internal` on a fault of the provider.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>> {
        let document = self.key.to_pkcs8v1().map_err(|_| Error::internal("encoding an EC key failed"))?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    fn new(key: EcdsaKeyPair, algorithm: SignatureAlgorithm) -> Result<Self> {
        let spki = key.public_key().as_der().map_err(|_| Error::internal("encoding an EC public key failed"))?;
        let public_key_info = spki.as_ref().to_vec();
        PublicKey::from_spki(&public_key_info).map_err(|problem| Error::internal(format!("own key: {problem}")))?;
        Ok(Self { key, algorithm, public_key_info })
    }
}

impl Signer for SoftwareSigner {
    fn public_key_info_der(&self) -> &[u8] {
        &self.public_key_info
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn is_in_process(&self) -> bool {
        true
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let signature = self
            .key
            .sign(&SystemRandom::new(), message)
            .map_err(|_| Error::internal("signing with an EC key failed"))?;
        Ok(signature.as_ref().to_vec())
    }
}

impl fmt::Debug for SoftwareSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftwareSigner").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

fn signing(algorithm: SignatureAlgorithm) -> &'static EcdsaSigningAlgorithm {
    match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => &sig::ECDSA_P256_SHA256_ASN1_SIGNING,
        SignatureAlgorithm::EcdsaP384Sha384 => &sig::ECDSA_P384_SHA384_ASN1_SIGNING,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spki::AlgorithmIdentifierRef;

    #[test]
    fn a_key_survives_pkcs8_and_its_signature_verifies() {
        for kind in [KeyKind::P256, KeyKind::P384] {
            let first = SoftwareSigner::generate(kind).unwrap();
            let second = SoftwareSigner::from_pkcs8(&first.to_pkcs8().unwrap()).unwrap();
            assert_eq!(first.public_key_info_der(), second.public_key_info_der());
            let signature = second.sign(b"message").unwrap();
            let key = PublicKey::from_spki(first.public_key_info_der()).unwrap();
            assert_eq!(key.kind(), kind);
            let id = AlgorithmIdentifierRef { oid: second.algorithm().oid(), parameters: None };
            crate::algorithm::verify(kind, key.bits(), &id, b"message", &signature).unwrap();
            assert!(crate::algorithm::verify(kind, key.bits(), &id, b"messagE", &signature).is_err());
        }
    }

    #[test]
    fn other_kinds_and_garbage_are_refused() {
        assert!(SoftwareSigner::generate(KeyKind::P521).is_err());
        assert!(SoftwareSigner::from_pkcs8(b"not a key").is_err());
        let signer = SoftwareSigner::generate(KeyKind::P256).unwrap();
        assert!(!format!("{signer:?}").contains("key:"));
    }
}
