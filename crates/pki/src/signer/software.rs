//! A key in the memory of this process.

use super::Signer;
use crate::algorithm::{KeyKind, SignatureAlgorithm};
use crate::public_key::PublicKey;
use async_trait::async_trait;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self as sig, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair, RsaKeyPair};
use ferrohub_model::error::{Error, Result};
use std::fmt;
use zeroize::Zeroizing;

/// A key held by aws-lc-rs: ECDSA (P-521 signs with SHA-512, P-384 with SHA-384, P-256 with SHA-256) or RSA (PKCS#1 v1.5 with SHA-256).
///
/// Its PKCS#8 form is for the engine that keeps it and for a client's own key; everybody else has a
/// [`crate::key_store::KeyStore`] and sees a [`Signer`].
pub struct SoftwareSigner {
    key: Key,
    algorithm: SignatureAlgorithm,
    public_key_info: Vec<u8>,
}

enum Key {
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl SoftwareSigner {
    /// A new key of `kind`, from the provider's own generator (it takes no other).
    ///
    /// # Errors
    /// `InvalidPropertyValue` (target `keyType`) for kinds other than P-256, P-384, P-521 and RSA of 2048, 3072 or
    /// 4096 bits; `Internal` on a fault of the provider.
    pub fn generate(kind: KeyKind) -> Result<Self> {
        let failed = |_| Error::internal(format!("generating a key of kind {kind} failed"));
        let refused = || {
            Error::invalid_property(
                "keyType",
                format!(
                    "Keys of kind {kind} cannot be made; use P-384, P-256, P-521 or RSA of 2048, 3072 or 4096 bits."
                ),
            )
        };
        let algorithm = SignatureAlgorithm::for_key(kind).ok_or_else(refused)?;
        let key = match (ecdsa(algorithm), kind) {
            (Some(signing), _) => Key::Ecdsa(EcdsaKeyPair::generate(signing).map_err(failed)?),
            (None, KeyKind::Rsa(2048)) => Key::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?),
            (None, KeyKind::Rsa(3072)) => Key::Rsa(RsaKeyPair::generate(KeySize::Rsa3072).map_err(failed)?),
            (None, KeyKind::Rsa(4096)) => Key::Rsa(RsaKeyPair::generate(KeySize::Rsa4096).map_err(failed)?),
            (None, _) => return Err(refused()),
        };
        Self::new(key, algorithm)
    }

    /// The key of a PKCS#8 document (DER; P-256, P-384, P-521 or RSA).
    ///
    /// # Errors
    /// `Invalid` where the document is malformed or of another kind; the key material is never in the message.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self> {
        for algorithm in [
            SignatureAlgorithm::EcdsaP384Sha384,
            SignatureAlgorithm::EcdsaP256Sha256,
            SignatureAlgorithm::EcdsaP521Sha512,
        ] {
            if let Some(Ok(key)) = ecdsa(algorithm).map(|signing| EcdsaKeyPair::from_pkcs8(signing, pkcs8)) {
                return Self::new(Key::Ecdsa(key), algorithm);
            }
        }
        if let Ok(key) = RsaKeyPair::from_pkcs8(pkcs8) {
            return Self::new(Key::Rsa(key), SignatureAlgorithm::RsaPkcs1Sha256);
        }
        Err(Error::invalid(
            "The private key is not a PKCS#8 document of a P-256, P-384, P-521 or RSA key; convert it with 'openssl pkcs8 -topk8 -nocrypt -outform DER'.",
        ))
    }

    /// The key as PKCS#8 version 1, DER; erased from memory when dropped.
    ///
    /// # Errors
    /// `Internal` on a fault of the provider.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>> {
        let failed = |_| Error::internal("encoding a private key failed");
        match &self.key {
            Key::Ecdsa(key) => Ok(Zeroizing::new(key.to_pkcs8v1().map_err(failed)?.as_ref().to_vec())),
            Key::Rsa(key) => {
                let document: Pkcs8V1Der<'_> = key.as_der().map_err(failed)?;
                Ok(Zeroizing::new(document.as_ref().to_vec()))
            }
        }
    }

    /// What [`Signer::sign`] does, without a future: for callers that hold this very type, such as a client with a
    /// key of its own.
    ///
    /// # Errors
    /// `Internal` on a fault of the provider.
    pub fn sign_in_process(&self, message: &[u8]) -> Result<Vec<u8>> {
        let failed = |_| Error::internal("signing with a key of this process failed");
        let random = SystemRandom::new();
        match &self.key {
            Key::Ecdsa(key) => Ok(key.sign(&random, message).map_err(failed)?.as_ref().to_vec()),
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&sig::RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
        }
    }

    fn new(key: Key, algorithm: SignatureAlgorithm) -> Result<Self> {
        let spki: std::result::Result<PublicKeyX509Der<'_>, _> = match &key {
            Key::Ecdsa(key) => key.public_key().as_der(),
            Key::Rsa(key) => key.public_key().as_der(),
        };
        let public_key_info = spki.map_err(|_| Error::internal("encoding a public key failed"))?.as_ref().to_vec();
        PublicKey::from_spki(&public_key_info).map_err(|problem| Error::internal(format!("own key: {problem}")))?;
        Ok(Self { key, algorithm, public_key_info })
    }
}

#[async_trait]
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

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        self.sign_in_process(message)
    }
}

impl fmt::Debug for SoftwareSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftwareSigner").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

fn ecdsa(algorithm: SignatureAlgorithm) -> Option<&'static EcdsaSigningAlgorithm> {
    match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => Some(&sig::ECDSA_P256_SHA256_ASN1_SIGNING),
        SignatureAlgorithm::EcdsaP384Sha384 => Some(&sig::ECDSA_P384_SHA384_ASN1_SIGNING),
        SignatureAlgorithm::EcdsaP521Sha512 => Some(&sig::ECDSA_P521_SHA512_ASN1_SIGNING),
        SignatureAlgorithm::RsaPkcs1Sha256 => None,
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "keys of a test")]
mod tests {
    use super::*;
    use spki::AlgorithmIdentifierRef;

    #[test]
    fn a_key_survives_pkcs8_and_its_signature_verifies() {
        for kind in [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Rsa(2048)] {
            let first = SoftwareSigner::generate(kind).unwrap();
            let second = SoftwareSigner::from_pkcs8(&first.to_pkcs8().unwrap()).unwrap();
            assert_eq!(first.public_key_info_der(), second.public_key_info_der());
            let signature = second.sign_in_process(b"message").unwrap();
            let key = PublicKey::from_spki(first.public_key_info_der()).unwrap();
            assert_eq!(key.kind(), kind);
            let id = AlgorithmIdentifierRef { oid: second.algorithm().oid(), parameters: None };
            crate::algorithm::verify(kind, key.bits(), &id, b"message", &signature).unwrap();
            assert!(crate::algorithm::verify(kind, key.bits(), &id, b"messagE", &signature).is_err());
        }
    }

    #[test]
    fn other_kinds_and_garbage_are_refused() {
        for kind in [KeyKind::Ed25519, KeyKind::Rsa(1024), KeyKind::Rsa(8192)] {
            assert_eq!(SoftwareSigner::generate(kind).unwrap_err().target.as_deref(), Some("keyType"));
        }
        assert!(SoftwareSigner::from_pkcs8(b"not a key").is_err());
        let signer = SoftwareSigner::generate(KeyKind::P256).unwrap();
        assert!(!format!("{signer:?}").contains("key:"));
    }
}
