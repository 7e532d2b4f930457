//! Kinds of keys, signature algorithms, and the pairs of them that are verified.

use crate::oid;
use aws_lc_rs::signature::{self as sig, RsaPssSaltLength, VerificationAlgorithm};
use const_oid::ObjectIdentifier;
use der::asn1::AnyRef;
use der::{Reader, Sequence, TagMode, TagNumber};
use spki::{AlgorithmIdentifierOwned, AlgorithmIdentifierRef};
use std::fmt;

/// The kind of a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// NIST P-256 (secp256r1).
    P256,
    /// NIST P-384 (secp384r1).
    P384,
    /// NIST P-521 (secp521r1).
    P521,
    /// RSA with a modulus of so many bits.
    Rsa(usize),
    /// Ed25519.
    Ed25519,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::P256 => f.write_str("P-256"),
            Self::P384 => f.write_str("P-384"),
            Self::P521 => f.write_str("P-521"),
            Self::Rsa(bits) => write!(f, "RSA-{bits}"),
            Self::Ed25519 => f.write_str("Ed25519"),
        }
    }
}

/// The algorithms with which a [`crate::signer::Signer`] signs. ECDSA signatures are ASN.1 DER; RSA signs tokens
/// (RS256) and, with a key of its own that is large enough, certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256Sha256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384Sha384,
    /// ECDSA on P-521 with SHA-512.
    EcdsaP521Sha512,
    /// RSA, PKCS#1 v1.5 with SHA-256.
    RsaPkcs1Sha256,
}

impl SignatureAlgorithm {
    /// The algorithm that a key of `kind` signs with; none for kinds that no key of ours has.
    pub fn for_key(kind: KeyKind) -> Option<Self> {
        match kind {
            KeyKind::P256 => Some(Self::EcdsaP256Sha256),
            KeyKind::P384 => Some(Self::EcdsaP384Sha384),
            KeyKind::P521 => Some(Self::EcdsaP521Sha512),
            KeyKind::Rsa(_) => Some(Self::RsaPkcs1Sha256),
            KeyKind::Ed25519 => None,
        }
    }

    /// Object identifier of the algorithm.
    pub fn oid(self) -> ObjectIdentifier {
        match self {
            Self::EcdsaP256Sha256 => oid::ECDSA_SHA256,
            Self::EcdsaP384Sha384 => oid::ECDSA_SHA384,
            Self::EcdsaP521Sha512 => oid::ECDSA_SHA512,
            Self::RsaPkcs1Sha256 => oid::RSA_SHA256,
        }
    }

    /// X.509 algorithm identifier: ECDSA has no parameters (RFC 5758, 3.2), RSA has NULL (RFC 4055, 5).
    pub fn identifier(self) -> AlgorithmIdentifierOwned {
        let parameters = (self == Self::RsaPkcs1Sha256).then(|| der::asn1::Null.into());
        AlgorithmIdentifierOwned { oid: self.oid(), parameters }
    }

    pub(crate) fn verifier(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::EcdsaP256Sha256 => &sig::ECDSA_P256_SHA256_ASN1,
            Self::EcdsaP384Sha384 => &sig::ECDSA_P384_SHA384_ASN1,
            Self::EcdsaP521Sha512 => &sig::ECDSA_P521_SHA512_ASN1,
            Self::RsaPkcs1Sha256 => &sig::RSA_PKCS1_2048_8192_SHA256,
        }
    }
}

/// Why a signature could not be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum VerifyFailure {
    /// The algorithm, or its use with this kind of key, is not supported.
    Unsupported(String),
    /// The signature is wrong.
    BadSignature,
}

/// Verifies `signature` over `message` with the key bits of a SubjectPublicKeyInfo.
pub(crate) fn verify(
    kind: KeyKind,
    key_bits: &[u8],
    algorithm: &AlgorithmIdentifierRef<'_>,
    message: &[u8],
    signature: &[u8],
) -> Result<(), VerifyFailure> {
    let verifier = verifier_for(kind, algorithm)?;
    sig::UnparsedPublicKey::new(verifier, key_bits).verify(message, signature).map_err(|_| VerifyFailure::BadSignature)
}

/// Every pair of key and digest is listed: a library that derives one from the other gets
/// P-384 with SHA-256 wrong (rcgen did; reference/crates.md 7.2).
fn verifier_for(
    kind: KeyKind,
    algorithm: &AlgorithmIdentifierRef<'_>,
) -> Result<&'static dyn VerificationAlgorithm, VerifyFailure> {
    let id = algorithm.oid;
    let found: Option<&'static dyn VerificationAlgorithm> = match (kind, id) {
        (KeyKind::P256, oid::ECDSA_SHA256) => Some(&sig::ECDSA_P256_SHA256_ASN1),
        (KeyKind::P256, oid::ECDSA_SHA384) => Some(&sig::ECDSA_P256_SHA384_ASN1),
        (KeyKind::P256, oid::ECDSA_SHA512) => Some(&sig::ECDSA_P256_SHA512_ASN1),
        (KeyKind::P384, oid::ECDSA_SHA256) => Some(&sig::ECDSA_P384_SHA256_ASN1),
        (KeyKind::P384, oid::ECDSA_SHA384) => Some(&sig::ECDSA_P384_SHA384_ASN1),
        (KeyKind::P384, oid::ECDSA_SHA512) => Some(&sig::ECDSA_P384_SHA512_ASN1),
        (KeyKind::P521, oid::ECDSA_SHA256) => Some(&sig::ECDSA_P521_SHA256_ASN1),
        (KeyKind::P521, oid::ECDSA_SHA384) => Some(&sig::ECDSA_P521_SHA384_ASN1),
        (KeyKind::P521, oid::ECDSA_SHA512) => Some(&sig::ECDSA_P521_SHA512_ASN1),
        (KeyKind::Rsa(_), oid::RSA_SHA256) => Some(&sig::RSA_PKCS1_2048_8192_SHA256),
        (KeyKind::Rsa(_), oid::RSA_SHA384) => Some(&sig::RSA_PKCS1_2048_8192_SHA384),
        (KeyKind::Rsa(_), oid::RSA_SHA512) => Some(&sig::RSA_PKCS1_2048_8192_SHA512),
        (KeyKind::Rsa(bits), oid::RSA_PSS) => pss_verifier(bits, algorithm.parameters),
        (KeyKind::Ed25519, oid::ED25519) => Some(&sig::ED25519),
        _ => None,
    };
    found.ok_or_else(|| VerifyFailure::Unsupported(format!("{} with a {kind} key", algorithm_name(id))))
}

fn algorithm_name(id: ObjectIdentifier) -> String {
    let name = match id {
        oid::ECDSA_SHA256 => "ECDSA with SHA-256",
        oid::ECDSA_SHA384 => "ECDSA with SHA-384",
        oid::ECDSA_SHA512 => "ECDSA with SHA-512",
        oid::RSA_SHA256 => "RSA with SHA-256",
        oid::RSA_SHA384 => "RSA with SHA-384",
        oid::RSA_SHA512 => "RSA with SHA-512",
        oid::RSA_PSS => "RSA-PSS with these parameters",
        oid::ED25519 => "Ed25519",
        _ => return format!("algorithm {id}"),
    };
    name.to_owned()
}

/// RSASSA-PSS-params (RFC 4055, 3.1), the members that decide what is verified.
#[derive(Sequence)]
struct Mgf1<'a> {
    algorithm: ObjectIdentifier,
    digest: AlgorithmIdentifierRef<'a>,
}

/// The digest must be the same for message and mask; the salt the digest's length or the longest
/// possible: what openssl writes with `rsa_pss_saltlen` digest and max.
fn pss_verifier(bits: usize, parameters: Option<AnyRef<'_>>) -> Option<&'static dyn VerificationAlgorithm> {
    let (digest, salt) = pss_parameters(parameters?).ok()??;
    let digest_bytes = match digest {
        oid::SHA256 => 32,
        oid::SHA384 => 48,
        oid::SHA512 => 64,
        _ => return None,
    };
    // RFC 8017, 9.1.1: emLen = ceil((bits - 1) / 8), longest salt = emLen - digest - 2.
    let longest = (bits.checked_sub(1)?.div_ceil(8)).checked_sub(digest_bytes + 2)?;
    if salt == digest_bytes {
        return match digest {
            oid::SHA256 => Some(&sig::RSA_PSS_2048_8192_SHA256),
            oid::SHA384 => Some(&sig::RSA_PSS_2048_8192_SHA384),
            _ => Some(&sig::RSA_PSS_2048_8192_SHA512),
        };
    }
    if salt != longest {
        return None;
    }
    match digest {
        oid::SHA256 => Some(&const { sig::RSA_PSS_2048_8192_SHA256.with_pss_salt_length(RsaPssSaltLength::Max) }),
        oid::SHA384 => Some(&const { sig::RSA_PSS_2048_8192_SHA384.with_pss_salt_length(RsaPssSaltLength::Max) }),
        _ => Some(&const { sig::RSA_PSS_2048_8192_SHA512.with_pss_salt_length(RsaPssSaltLength::Max) }),
    }
}

/// Digest and salt length, or none where the parameters are the SHA-1 defaults or mixed.
fn pss_parameters(parameters: AnyRef<'_>) -> der::Result<Option<(ObjectIdentifier, usize)>> {
    parameters.sequence(|reader| {
        let digest = reader.context_specific::<AlgorithmIdentifierRef<'_>>(TagNumber(0), TagMode::Explicit)?;
        let mask = reader.context_specific::<Mgf1<'_>>(TagNumber(1), TagMode::Explicit)?;
        let salt = reader.context_specific::<u32>(TagNumber(2), TagMode::Explicit)?;
        let trailer = reader.context_specific::<u32>(TagNumber(3), TagMode::Explicit)?;
        let (Some(digest), Some(mask)) = (digest, mask) else {
            return Ok(None);
        };
        let same = mask.algorithm == oid::MGF1 && mask.digest.oid == digest.oid;
        if !same || trailer.unwrap_or(1) != 1 {
            return Ok(None);
        }
        // 20 is the DEFAULT of RFC 4055.
        let salt = usize::try_from(salt.unwrap_or(20)).unwrap_or(usize::MAX);
        Ok(Some((digest.oid, salt)))
    })
}
