//! SubjectPublicKeyInfo: what kind of key it is, and whether it is one that may be used.

use crate::algorithm::KeyKind;
use crate::oid;
use const_oid::ObjectIdentifier;
use der::asn1::{AnyRef, UintRef};
use der::{Decode, Sequence};
use ferrohub_model::limits;
use spki::SubjectPublicKeyInfoRef;
use std::fmt;

/// Why a key is not accepted. `Display` is a clause for a sentence such as "the request's key is not usable: ...".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyProblem {
    /// The bytes are not a SubjectPublicKeyInfo.
    Malformed,
    /// An elliptic curve given by its parameters instead of its name.
    ExplicitParameters,
    /// An algorithm or curve that is not supported; the text names it.
    Unsupported(String),
    /// RSA with fewer than [`limits::RSA_MIN_BITS`] bits; holds the bits found.
    WeakRsa(usize),
    /// RSA with more than `limits::RSA_MAX_BITS` bits; holds the bits found.
    LargeRsa(usize),
}

impl fmt::Display for KeyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the public key is malformed"),
            Self::ExplicitParameters => f.write_str(
                "its elliptic curve is given by explicit parameters; use a named curve (P-256, P-384 or P-521)",
            ),
            Self::Unsupported(what) => {
                write!(f, "{what} is not supported; use P-256, P-384, P-521, RSA of 2048 to 8192 bits or Ed25519")
            }
            Self::WeakRsa(bits) => {
                write!(f, "RSA with {bits} bits is too weak; use at least {} bits", limits::RSA_MIN_BITS)
            }
            Self::LargeRsa(bits) => {
                write!(f, "RSA with {bits} bits is too large; use at most {} bits", limits::RSA_MAX_BITS)
            }
        }
    }
}

/// RSAPublicKey (RFC 8017, A.1.1).
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

/// A checked public key that borrows from its SubjectPublicKeyInfo.
#[derive(Debug, Clone, Copy)]
pub struct PublicKey<'a> {
    kind: KeyKind,
    bits: &'a [u8],
}

impl<'a> PublicKey<'a> {
    /// Parses a DER SubjectPublicKeyInfo and checks kind and size.
    ///
    /// # Errors
    /// A [`KeyProblem`]; the caller puts it into a sentence with the code of its interface.
    pub fn from_spki(spki: &'a [u8]) -> Result<Self, KeyProblem> {
        let info = SubjectPublicKeyInfoRef::<'a>::from_der(spki).map_err(|_| KeyProblem::Malformed)?;
        let bits = info.subject_public_key.as_bytes().ok_or(KeyProblem::Malformed)?;
        let kind = match info.algorithm.oid {
            oid::EC_PUBLIC_KEY => ec_kind(info.algorithm.parameters, bits)?,
            oid::RSA_ENCRYPTION => rsa_kind(bits)?,
            oid::ED25519 => ed25519_kind(info.algorithm.parameters, bits)?,
            other => return Err(KeyProblem::Unsupported(format!("key algorithm {other}"))),
        };
        Ok(Self { kind, bits })
    }

    /// Kind and size of the key.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Modulus and exponent of an RSA key, big-endian without leading zeros; none for other kinds.
    pub fn rsa_components(&self) -> Option<(&'a [u8], &'a [u8])> {
        let KeyKind::Rsa(_) = self.kind else { return None };
        let key = RsaPublicKey::from_der(self.bits).ok()?;
        Some((key.modulus.as_bytes(), key.exponent.as_bytes()))
    }

    /// Content of the subjectPublicKey BIT STRING.
    pub fn bits(&self) -> &'a [u8] {
        self.bits
    }
}

fn ec_kind(parameters: Option<AnyRef<'_>>, bits: &[u8]) -> Result<KeyKind, KeyProblem> {
    let parameters = parameters.ok_or(KeyProblem::Malformed)?;
    if parameters.header().tag() == der::Tag::Sequence {
        return Err(KeyProblem::ExplicitParameters);
    }
    let curve = parameters.decode_as::<ObjectIdentifier>().map_err(|_| KeyProblem::Malformed)?;
    let (kind, field_bytes) = match curve {
        oid::P256 => (KeyKind::P256, 32),
        oid::P384 => (KeyKind::P384, 48),
        oid::P521 => (KeyKind::P521, 66),
        other => return Err(KeyProblem::Unsupported(format!("elliptic curve {other}"))),
    };
    // RFC 5480, 2.2: compressed points are optional, and TLS peers commonly refuse them.
    match bits.first() {
        Some(4) if bits.len() == 1 + 2 * field_bytes => Ok(kind),
        Some(2 | 3) => Err(KeyProblem::Unsupported("a compressed elliptic curve point".to_owned())),
        _ => Err(KeyProblem::Malformed),
    }
}

fn rsa_kind(bits: &[u8]) -> Result<KeyKind, KeyProblem> {
    let key = RsaPublicKey::from_der(bits).map_err(|_| KeyProblem::Malformed)?;
    let modulus = key.modulus.as_bytes();
    let size = match modulus.first() {
        Some(first) => modulus.len() * 8 - first.leading_zeros() as usize,
        None => 0,
    };
    if key.exponent.as_bytes() == [1] {
        return Err(KeyProblem::Unsupported("an RSA exponent of 1".to_owned()));
    }
    if size < limits::RSA_MIN_BITS {
        return Err(KeyProblem::WeakRsa(size));
    }
    if size > limits::RSA_MAX_BITS {
        return Err(KeyProblem::LargeRsa(size));
    }
    Ok(KeyKind::Rsa(size))
}

fn ed25519_kind(parameters: Option<AnyRef<'_>>, bits: &[u8]) -> Result<KeyKind, KeyProblem> {
    // RFC 8410, 3: the parameters must be absent.
    if parameters.is_some() || bits.len() != 32 {
        return Err(KeyProblem::Malformed);
    }
    Ok(KeyKind::Ed25519)
}
