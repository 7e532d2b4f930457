//! Files in the age format, version 1 (age-encryption.org/v1, C2SP): what a backup is encrypted with.
//!
//! Why this format: anybody can open a backup with age, a small tool that many systems package, should there ever be no
//! Ferrohub at hand. Why it is written here: the `age` crate brings a second cryptographic provider and some twenty
//! crates in versions that we have otherwise (ADR 0035). What is here is the format's own part, over aws-lc-rs; the test
//! has the age tool of the system open what we write and write what we open.
//!
//! A random file key is wrapped for a passphrase (scrypt) or for public keys (X25519); the payload follows in pieces of
//! 64 KiB, each sealed with ChaCha20-Poly1305 under its number and whether it is the last. So memory is bounded, a changed
//! byte, a piece that is missing or moved and a cut end are all noticed, and nothing is given out unchecked.

mod header;
mod keys;
mod stream;

pub use keys::{Identity, Recipient};
pub use stream::{Reader, Writer};

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use ferrohub_model::error::{Error, Result};
use zeroize::Zeroizing;

/// Whom a file is encrypted for.
pub enum Lock {
    /// Whoever knows the passphrase.
    Passphrase(Zeroizing<String>),
    /// The holders of these keys, each alone.
    Recipients(Vec<Recipient>),
}

/// What a file is opened with.
pub enum Unlock {
    /// The passphrase.
    Passphrase(Zeroizing<String>),
    /// Secret keys, one of which fits.
    Identities(Vec<Identity>),
}

type Key = Zeroizing<[u8; 32]>;
type FileKey = Zeroizing<[u8; 16]>;

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-SHA-256 (RFC 5869), 32 bytes.
fn derive(secret: &[u8], salt: &[u8], info: &[u8]) -> Result<Key> {
    let mut key = Key::default();
    let failed = |_| Error::internal("deriving a key failed");
    let extracted = Salt::new(HKDF_SHA256, salt).extract(secret);
    extracted.expand(&[info], Length(key.len())).and_then(|out| out.fill(key.as_mut_slice())).map_err(failed)?;
    Ok(key)
}

fn cipher(key: &Key) -> Result<LessSafeKey> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_slice());
    Ok(LessSafeKey::new(key.map_err(|_| Error::internal("making a ChaCha20 key failed"))?))
}

/// Wraps a file key. The wrapping key is used once, so the nonce is zero.
fn wrap(key: &Key, file_key: &FileKey) -> Result<Vec<u8>> {
    let mut bytes = file_key.to_vec();
    let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
    let sealed = cipher(key)?.seal_in_place_append_tag(nonce, Aad::empty(), &mut bytes);
    sealed.map_err(|_| Error::internal("wrapping a file key failed"))?;
    Ok(bytes)
}

/// The file key, where `key` wrapped it.
fn unwrap(key: &Key, wrapped: &[u8]) -> Option<FileKey> {
    let mut bytes = Zeroizing::new(wrapped.to_vec());
    let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
    let opened = cipher(key).ok()?.open_in_place(nonce, Aad::empty(), &mut bytes).ok()?;
    let mut file_key = FileKey::default();
    (opened.len() == file_key.len()).then(|| file_key.copy_from_slice(opened))?;
    Some(file_key)
}
