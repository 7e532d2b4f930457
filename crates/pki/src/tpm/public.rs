//! The public part of an endorsement key or a storage root key (TPM2B_PUBLIC), RSA or on a NIST curve.

use super::wire::{Reader, sized};
use aws_lc_rs::agreement::{ECDH_P256, ECDH_P384, ParsedPublicKey, UnparsedPublicKey};
use aws_lc_rs::digest::{self, SHA256, SHA384, digest};
use aws_lc_rs::rsa::{PublicEncryptingKey, PublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::error::{Error, Result};

/// Largest TPM2B_PUBLIC: an RSA-4096 key has about 600 bytes. Ours.
pub const TPM_PUBLIC_BYTES: usize = 1024;

/// TPMA_OBJECT bits that make a key one that opens credentials and nothing else, and never leaves its TPM.
const FIXED_TPM: u32 = 1 << 1;
const FIXED_PARENT: u32 = 1 << 4;
const RESTRICTED: u32 = 1 << 16;
const DECRYPT: u32 = 1 << 17;
const SIGN: u32 = 1 << 18;

const ALG_RSA: u16 = 0x0001;
const ALG_AES: u16 = 0x0006;
const ALG_SHA256: u16 = 0x000B;
const ALG_SHA384: u16 = 0x000C;
const ALG_NULL: u16 = 0x0010;
const ALG_ECC: u16 = 0x0023;
const ALG_CFB: u16 = 0x0043;
const CURVE_P256: u16 = 0x0003;
const CURVE_P384: u16 = 0x0004;

/// A storage key of a TPM, the endorsement key or a storage root key, that can be encrypted to. Nothing about it is trusted by being parsed.
#[derive(Clone, PartialEq, Eq)]
pub struct TpmPublic {
    /// TPMT_PUBLIC, as it was sent.
    content: Vec<u8>,
    pub(super) hash: NameHash,
    /// Bytes of the AES key that protects what lies below it.
    pub(super) aes_bytes: usize,
    pub(super) key: Key,
}

/// Hash of names and of key derivation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameHash {
    Sha256,
    Sha384,
}

/// What is encrypted to.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// Modulus and public exponent.
    Rsa(Vec<u8>, Vec<u8>),
    /// Curve, and the point in SEC 1's uncompressed form.
    Ecc(Curve, Vec<u8>),
}

/// A curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
}

impl NameHash {
    pub(super) fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
        }
    }

    fn id(self) -> u16 {
        match self {
            Self::Sha256 => ALG_SHA256,
            Self::Sha384 => ALG_SHA384,
        }
    }
}

impl Curve {
    /// Bytes of a coordinate.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }
}

impl std::fmt::Debug for TpmPublic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match &self.key {
            Key::Rsa(modulus, _) => format!("RSA-{}", modulus.len() * 8),
            Key::Ecc(curve, _) => format!("{curve:?}"),
        };
        f.debug_tuple("TpmPublic").field(&kind).finish()
    }
}

impl TpmPublic {
    /// Parses the base64 of a TPM2B_PUBLIC, as clients send it. `what` names it in the refusal.
    ///
    /// # Errors
    /// `Invalid` saying what is wrong.
    pub fn from_base64(what: &str, text: &str) -> Result<Self> {
        let bytes = match text.len() > TPM_PUBLIC_BYTES * 2 {
            true => None,
            false => STANDARD.decode(text).ok(),
        };
        let problem = match bytes {
            Some(bytes) => match Self::parse(&bytes) {
                Ok(public) => return Ok(public),
                Err(problem) => problem,
            },
            None => "it is not base64 of at most 1024 bytes",
        };
        Err(Error::invalid(format!(
            "The {what} is not the public part (TPM2B_PUBLIC) of a TPM's storage key: {problem}."
        )))
    }

    /// Parses a TPM2B_PUBLIC.
    ///
    /// # Errors
    /// What is wrong, completing "The key is not usable: …".
    pub fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let mut outer = Reader::new(bytes);
        let content = outer.sized().filter(|_| outer.is_empty()).ok_or("its length does not fit")?;
        let mut reader = Reader::new(content);
        let short = "it ends too early";
        let kind = reader.u16().ok_or(short)?;
        let hash = match reader.u16().ok_or(short)? {
            ALG_SHA256 => NameHash::Sha256,
            ALG_SHA384 => NameHash::Sha384,
            _ => return Err("its name algorithm is neither SHA-256 nor SHA-384"),
        };
        check_attributes(reader.u32().ok_or(short)?)?;
        let _policy = reader.sized().ok_or(short)?;
        let aes_bytes = symmetric(&mut reader)?;
        if reader.u16().ok_or(short)? != ALG_NULL {
            return Err("it has a scheme, which a storage key has not");
        }
        let key = match kind {
            ALG_RSA => rsa(&mut reader)?,
            ALG_ECC => ecc(&mut reader)?,
            _ => return Err("it is neither RSA nor ECC"),
        };
        if !reader.is_empty() {
            return Err("something stands behind it");
        }
        Ok(Self { content: content.to_vec(), hash, aes_bytes, key })
    }

    /// The key as a TPM2B_PUBLIC.
    pub fn to_bytes(&self) -> Vec<u8> {
        sized(&self.content)
    }

    /// Name of the object: the name algorithm and the hash of the public part.
    pub fn name(&self) -> Vec<u8> {
        let hash = digest(self.hash.algorithm(), &self.content);
        [&self.hash.id().to_be_bytes()[..], hash.as_ref()].concat()
    }
}

fn check_attributes(attributes: u32) -> Result<(), &'static str> {
    let has = |bits: u32| attributes & bits == bits;
    if !has(FIXED_TPM | FIXED_PARENT) {
        return Err("it may leave its TPM (fixedTPM and fixedParent are not set)");
    }
    if !has(RESTRICTED | DECRYPT) || has(SIGN) {
        return Err("it is no restricted decryption key");
    }
    Ok(())
}

/// TPMT_SYM_DEF_OBJECT: bytes of the AES key.
fn symmetric(reader: &mut Reader<'_>) -> Result<usize, &'static str> {
    match (reader.u16(), reader.u16(), reader.u16()) {
        (Some(ALG_AES), Some(bits @ (128 | 256)), Some(ALG_CFB)) => Ok(usize::from(bits / 8)),
        _ => Err("its symmetric algorithm is not AES-128 or AES-256 in CFB mode"),
    }
}

fn rsa(reader: &mut Reader<'_>) -> Result<Key, &'static str> {
    let (Some(bits), Some(exponent), Some(modulus)) = (reader.u16(), reader.u32(), reader.sized()) else {
        return Err("it ends too early");
    };
    // Zero stands for the default.
    let exponent = if exponent == 0 { 65_537 } else { exponent };
    if !matches!(bits, 2048 | 3072 | 4096) || modulus.len() * 8 != usize::from(bits) {
        return Err("its RSA key has not 2048, 3072 or 4096 bits");
    }
    let odd = modulus.last().is_some_and(|byte| byte % 2 == 1) && exponent % 2 == 1 && exponent > 2;
    if !odd || modulus.first().is_none_or(|byte| byte & 0x80 == 0) {
        return Err("its RSA key is not usable");
    }
    let exponent: Vec<u8> = exponent.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    let usable: Result<PublicEncryptingKey, _> = PublicKeyComponents { n: modulus, e: exponent.as_slice() }.try_into();
    usable.map_err(|_| "its RSA key is not usable")?;
    Ok(Key::Rsa(modulus.to_vec(), exponent))
}

fn ecc(reader: &mut Reader<'_>) -> Result<Key, &'static str> {
    let (curve, algorithm) = match reader.u16() {
        Some(CURVE_P256) => (Curve::P256, &ECDH_P256),
        Some(CURVE_P384) => (Curve::P384, &ECDH_P384),
        _ => return Err("its curve is neither P-256 nor P-384"),
    };
    if reader.u16() != Some(ALG_NULL) {
        return Err("it has a key derivation scheme, which a storage key has not");
    }
    let (Some(x), Some(y)) = (reader.sized(), reader.sized()) else { return Err("it ends too early") };
    let mut point = vec![4];
    for coordinate in [x, y] {
        point.extend(padded(coordinate, curve.bytes()).ok_or("its point is too long")?);
    }
    ParsedPublicKey::try_from(UnparsedPublicKey::new(algorithm, &point))
        .map_err(|_| "its point is not on the curve")?;
    Ok(Key::Ecc(curve, point))
}

/// `bytes` with zeros in front, up to `length`; TPMs may leave them out.
fn padded(bytes: &[u8], length: usize) -> Option<Vec<u8>> {
    let missing = length.checked_sub(bytes.len())?;
    Some([vec![0; missing].as_slice(), bytes].concat())
}
