//! How a TPM protects what is sent to it: a seed that only it recovers, and keys derived from the seed (Part 1, 11.4.10 and 24.3).

use super::public::{Curve, Key, NameHash, TpmPublic};
use super::wire::sized;
use aws_lc_rs::agreement::{ECDH_P256, ECDH_P384, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::cipher::{
    AES_128, AES_256, AES_256_KEY_LEN, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext,
    UnboundCipherKey,
};
use aws_lc_rs::digest::Context;
use aws_lc_rs::hmac::{self, HMAC_SHA256, HMAC_SHA384};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OaepPublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents,
};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::random::Random;
use zeroize::Zeroizing;

/// Label of keys that encrypt.
pub(super) const STORAGE: &[u8] = b"STORAGE";
/// Label of keys that sign.
pub(super) const INTEGRITY: &[u8] = b"INTEGRITY";

/// A seed shared with a TPM, and the keys that follow from it.
pub(super) struct Protection {
    pub(super) hash: NameHash,
    pub(super) aes_bytes: usize,
    pub(super) seed: Zeroizing<Vec<u8>>,
    /// The seed for the TPM: content of a TPM2B_ENCRYPTED_SECRET.
    pub(super) encrypted: Vec<u8>,
}

impl Protection {
    /// A new seed for the holder of `public`; `label` says what it is for.
    pub(super) fn new(public: &TpmPublic, label: &[u8], random: &dyn Random) -> Result<Self> {
        let (seed, encrypted) = match &public.key {
            Key::Rsa(modulus, exponent) => by_rsa(public.hash, modulus, exponent, label, random)?,
            Key::Ecc(curve, point) => by_agreement(public.hash, *curve, point, label)?,
        };
        Ok(Self { hash: public.hash, aes_bytes: public.aes_bytes, seed, encrypted })
    }

    /// The derived key for `label`, for the object of this name: an AES key for [`STORAGE`], else an HMAC key.
    pub(super) fn key(&self, label: &[u8], name: &[u8]) -> Zeroizing<Vec<u8>> {
        let bytes = if label == STORAGE { self.aes_bytes } else { self.hash.algorithm().output_len() };
        kdfa(self.hash, &self.seed, label, name, bytes)
    }

    /// HMAC over `parts` in their order.
    pub(super) fn sign(&self, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        mac(self.hash, key, parts).as_ref().to_vec()
    }
}

fn by_rsa(
    hash: NameHash,
    modulus: &[u8],
    exponent: &[u8],
    label: &[u8],
    random: &dyn Random,
) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>)> {
    let mut seed = Zeroizing::new(vec![0; hash.algorithm().output_len()]);
    random.fill(&mut seed);
    let key: PublicEncryptingKey =
        PublicKeyComponents { n: modulus, e: exponent }.try_into().map_err(|_| internal("RSA key"))?;
    let key = OaepPublicEncryptingKey::new(key).map_err(|_| internal("RSA key"))?;
    let algorithm = match hash {
        NameHash::Sha256 => &OAEP_SHA256_MGF1SHA256,
        NameHash::Sha384 => &OAEP_SHA384_MGF1SHA384,
    };
    // The label ends with a zero byte (Part 1, B.4).
    let label = [label, &[0]].concat();
    let mut encrypted = vec![0; key.ciphertext_size()];
    key.encrypt(algorithm, &seed, &mut encrypted, Some(&label)).map_err(|_| internal("RSA-OAEP"))?;
    Ok((seed, encrypted))
}

/// One-pass ECDH with an ephemeral key of ours, and KDFe (Part 1, C.6.1 and 11.4.10.3).
fn by_agreement(hash: NameHash, curve: Curve, point: &[u8], label: &[u8]) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>)> {
    let algorithm = match curve {
        Curve::P256 => &ECDH_P256,
        Curve::P384 => &ECDH_P384,
    };
    let ours = PrivateKey::generate(algorithm).map_err(|_| internal("ECDH key"))?;
    let public = ours.compute_public_key().map_err(|_| internal("ECDH key"))?;
    let x = |point: &[u8]| point.get(1..=curve.bytes()).map(<[u8]>::to_vec).ok_or_else(|| internal("ECDH point"));
    let (our_x, their_x) = (x(public.as_ref())?, x(point)?);
    let our_y = public.as_ref().get(curve.bytes() + 1..).ok_or_else(|| internal("ECDH point"))?;
    let theirs = UnparsedPublicKey::new(algorithm, point);
    let seed = agree(&ours, theirs, internal("ECDH"), |shared| {
        // One block is as long as the hash, and no more is asked for.
        let mut context = Context::new(hash.algorithm());
        for part in [&1u32.to_be_bytes()[..], shared, label, &[0], &our_x, &their_x] {
            context.update(part);
        }
        Ok(Zeroizing::new(context.finish().as_ref().to_vec()))
    })?;
    Ok((seed, [sized(&our_x), sized(our_y)].concat()))
}

/// KDFa (Part 1, 11.4.10.2) with an empty second context.
fn kdfa(hash: NameHash, key: &[u8], label: &[u8], context: &[u8], bytes: usize) -> Zeroizing<Vec<u8>> {
    // No derived key here is longer than the hash, so there is one block.
    let bits = u32::try_from(bytes * 8).unwrap_or_default().to_be_bytes();
    let block = mac(hash, key, &[&1u32.to_be_bytes(), label, &[0], context, &bits]);
    Zeroizing::new(block.as_ref().iter().copied().take(bytes).collect())
}

fn mac(hash: NameHash, key: &[u8], parts: &[&[u8]]) -> hmac::Tag {
    let algorithm = match hash {
        NameHash::Sha256 => HMAC_SHA256,
        NameHash::Sha384 => HMAC_SHA384,
    };
    let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, key));
    parts.iter().for_each(|part| context.update(part));
    context.sign()
}

/// Encrypts in place with AES in CFB mode. The initialization vector is zero, as a TPM has it: each key is used once.
pub(super) fn cfb(key: &[u8], bytes: &mut [u8]) -> Result<()> {
    let key = EncryptingKey::cfb128(aes(key)?).map_err(|_| internal("AES-CFB"))?;
    let start = EncryptionContext::Iv128(FixedLength::from([0; 16]));
    key.less_safe_encrypt(bytes, start).map(drop).map_err(|_| internal("AES-CFB"))
}

/// The way back.
pub(super) fn decrypt_cfb(key: &[u8], bytes: &mut [u8]) -> Result<()> {
    let key = DecryptingKey::cfb128(aes(key)?).map_err(|_| internal("AES-CFB"))?;
    let start = DecryptionContext::Iv128(FixedLength::from([0; 16]));
    key.decrypt(bytes, start).map(drop).map_err(|_| internal("AES-CFB"))
}

fn aes(key: &[u8]) -> Result<UnboundCipherKey> {
    let algorithm = if key.len() == AES_256_KEY_LEN { &AES_256 } else { &AES_128 };
    UnboundCipherKey::new(algorithm, key).map_err(|_| internal("AES key"))
}

pub(super) fn internal(what: &str) -> Error {
    Error::internal(format!("sealing a key to a TPM failed: {what}"))
}
