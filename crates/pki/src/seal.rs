//! Sealing of secrets at rest: a master key wraps data keys, a data key seals fields (AES-256-GCM).
//!
//! A sealed value is `version (1) | key id (16, UUID) | nonce (12) | ciphertext | tag (16)`. The version,
//! the key id and the place of the field (table, row, field) are authenticated, so that a value moved to
//! another place does not open. Nonces are random; 2^32 values under one data key keep the risk of a
//! repeat below 2^-32 (NIST SP 800-38D, 8.3).

use aws_lc_rs::aead::{self, AES_256_GCM, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::SEALED_PLAINTEXT_BYTES;
use ferrohub_model::random::Random;
use std::fmt;
use uuid::Uuid;
use zeroize::{Zeroize, Zeroizing};

/// Bytes of a master key and of a data key.
pub const KEY_BYTES: usize = 32;
/// Bytes that sealing adds to a plaintext.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + NONCE_LEN + TAG_BYTES;

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 1 + 16;
const TAG_BYTES: usize = 16;

/// Where a sealed value lives. It opens only there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aad<'a> {
    /// Table of the store.
    pub table: &'a str,
    /// Row's key, as text.
    pub row: &'a str,
    /// Field of the row.
    pub field: &'a str,
}

/// The key that wraps all data keys. `Debug` does not show it.
pub struct MasterKey(Zeroizing<[u8; KEY_BYTES]>);

/// The key of one namespace, hub or DPS. `Debug` does not show it.
pub struct DataKey(Zeroizing<[u8; KEY_BYTES]>);

impl MasterKey {
    /// A new master key.
    pub fn generate(random: &dyn Random) -> Self {
        Self(random_key(random))
    }

    /// A master key of raw bytes.
    ///
    /// # Errors
    /// `Invalid` where there are not exactly 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        key_of(bytes).map(Self).ok_or_else(bad_master_key)
    }

    /// A master key of 64 hex digits or 44 base64 characters, as a key file or an environment variable
    /// carries it; outer white space is ignored.
    ///
    /// # Errors
    /// `Invalid` where it is neither; the message never repeats the text.
    pub fn from_text(text: &str) -> Result<Self> {
        let text = text.trim();
        let bytes = if text.len() == 2 * KEY_BYTES { hex::decode(text).ok() } else { STANDARD.decode(text).ok() };
        let bytes = Zeroizing::new(bytes.ok_or_else(bad_master_key)?);
        Self::from_bytes(&bytes)
    }

    /// The key as 64 hex digits, for writing a new key file.
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.0.as_slice()))
    }

    /// A text from which the key cannot be computed, stored beside the data: 64 hex digits.
    pub fn check_value(&self) -> String {
        hex::encode(self.derive("ferrohub master key check v1").as_slice())
    }

    /// By what a person tells master keys apart: the first 16 digits of the check value.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.check_value()).to_owned()
    }

    /// Refuses a master key that is not the one the data was sealed with. Compares in constant time.
    ///
    /// # Errors
    /// `Conflict` where `stored` is another key's check value.
    pub fn verify_check_value(&self, stored: &str) -> Result<()> {
        let own = self.check_value();
        constant_time::verify_slices_are_equal(own.as_bytes(), stored.trim().as_bytes()).map_err(|_| {
            Error::conflict("The master key is not the one that this data folder was sealed with; start with the right key file or environment variable.")
        })
    }

    /// Wraps a data key under its id.
    ///
    /// # Errors
    /// `Internal` on a fault of the provider.
    pub fn wrap(&self, key_id: Uuid, key: &DataKey, random: &dyn Random) -> Result<Vec<u8>> {
        seal_with(&self.wrapping_key(), key_id, &wrap_place(key_id), key.0.as_slice(), random)
    }

    /// Unwraps a data key.
    ///
    /// # Errors
    /// `Internal` where it was wrapped by another master key, under another id, or is damaged.
    pub fn unwrap(&self, key_id: Uuid, wrapped: &[u8]) -> Result<DataKey> {
        let plain = open_with(&self.wrapping_key(), key_id, &wrap_place(key_id), wrapped)?;
        key_of(&plain).map(DataKey).ok_or_else(|| Error::internal("a wrapped data key has the wrong length"))
    }

    fn wrapping_key(&self) -> Zeroizing<[u8; KEY_BYTES]> {
        self.derive("ferrohub data key wrapping v1")
    }

    /// One key per purpose, so that the check value says nothing about the wrapping key.
    fn derive(&self, purpose: &str) -> Zeroizing<[u8; KEY_BYTES]> {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice()), purpose.as_bytes());
        let mut out = Zeroizing::new([0; KEY_BYTES]);
        out.copy_from_slice(tag.as_ref());
        out
    }
}

/// The part of a check value by which a person tells master keys apart.
pub fn fingerprint(check_value: &str) -> &str {
    check_value.get(..16).unwrap_or(check_value)
}

impl DataKey {
    /// A new data key.
    pub fn generate(random: &dyn Random) -> Self {
        Self(random_key(random))
    }

    /// A secret that follows from this key, what it is for, and `parts`: the same each time, and of no use for any other.
    pub fn derive(&self, label: &str, parts: &[&[u8]]) -> Zeroizing<[u8; KEY_BYTES]> {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice()));
        for part in [&[label.as_bytes()], parts].concat() {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut secret = Zeroizing::new([0; KEY_BYTES]);
        secret.copy_from_slice(context.sign().as_ref());
        secret
    }
}

/// Seals `plaintext` for one place, with `key`, whose id is written in front.
///
/// # Errors
/// `Internal` where the plaintext is over [`SEALED_PLAINTEXT_BYTES`] or on a fault of the provider.
pub fn seal(key_id: Uuid, key: &DataKey, aad: &Aad<'_>, plaintext: &[u8], random: &dyn Random) -> Result<Vec<u8>> {
    if plaintext.len() > SEALED_PLAINTEXT_BYTES {
        return Err(Error::internal(format!(
            "a secret of {} bytes is over the limit of {SEALED_PLAINTEXT_BYTES}",
            plaintext.len()
        )));
    }
    seal_with(&key.0, key_id, &place(aad), plaintext, random)
}

/// Opens what [`seal`] made for the same place. `key_id` says which key `key` is.
///
/// # Errors
/// `Internal` where the value is damaged, of another key, another place or another version; the
/// context names the place, never the content.
pub fn open(key_id: Uuid, key: &DataKey, aad: &Aad<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    open_with(&key.0, key_id, &place(aad), sealed).map_err(|error| {
        error.with_context(format!("sealed value {}/{}/{} does not open", aad.table, aad.row, aad.field))
    })
}

/// Id of the key that a sealed value needs.
///
/// # Errors
/// `Internal` where the value is too short or of another version.
pub fn key_id_of(sealed: &[u8]) -> Result<Uuid> {
    let (header, _) = sealed.split_first_chunk::<HEADER_BYTES>().ok_or_else(cannot_open)?;
    let (version, id) = header.split_first().ok_or_else(cannot_open)?;
    if *version != VERSION {
        return Err(Error::internal(format!("a sealed value has the unknown version {version}")));
    }
    Uuid::from_slice(id).map_err(|_| cannot_open())
}

fn seal_with(
    key: &[u8; KEY_BYTES],
    key_id: Uuid,
    place: &[u8],
    plaintext: &[u8],
    random: &dyn Random,
) -> Result<Vec<u8>> {
    let mut nonce = [0; NONCE_LEN];
    random.fill(&mut nonce);
    let mut out = Vec::with_capacity(plaintext.len() + OVERHEAD_BYTES);
    out.push(VERSION);
    out.extend_from_slice(key_id.as_bytes());
    let aad = authenticated(&out, place);
    out.extend_from_slice(&nonce);
    let mut buffer = Zeroizing::new(plaintext.to_vec());
    let tag = aes(key)?
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aead::Aad::from(&aad), &mut buffer)
        .map_err(|_| Error::internal("sealing a secret failed"))?;
    out.extend_from_slice(&buffer);
    out.extend_from_slice(tag.as_ref());
    Ok(out)
}

fn open_with(key: &[u8; KEY_BYTES], key_id: Uuid, place: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    if key_id_of(sealed)? != key_id
        || sealed.len() < OVERHEAD_BYTES
        || sealed.len() > SEALED_PLAINTEXT_BYTES + OVERHEAD_BYTES
    {
        return Err(cannot_open());
    }
    let (header, rest) = sealed.split_at(HEADER_BYTES);
    let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(cannot_open)?;
    let mut buffer = Zeroizing::new(body.to_vec());
    let aad = authenticated(header, place);
    let length = aes(key)?
        .open_in_place(Nonce::assume_unique_for_key(*nonce), aead::Aad::from(&aad), &mut buffer)
        .map_err(|_| cannot_open())?
        .len();
    buffer.truncate(length);
    Ok(buffer)
}

fn aes(key: &[u8; KEY_BYTES]) -> Result<LessSafeKey> {
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| Error::internal("making an AES key failed"))?;
    Ok(LessSafeKey::new(key))
}

fn authenticated(header: &[u8], place: &[u8]) -> Vec<u8> {
    [header, place].concat()
}

/// Each part with its length in front, so that no two places have the same bytes.
fn place(aad: &Aad<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [aad.table, aad.row, aad.field] {
        bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

fn wrap_place(key_id: Uuid) -> Vec<u8> {
    place(&Aad { table: "data-key", row: &key_id.to_string(), field: "wrapped" })
}

fn random_key(random: &dyn Random) -> Zeroizing<[u8; KEY_BYTES]> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    random.fill(key.as_mut_slice());
    key
}

fn key_of(bytes: &[u8]) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let mut array = <[u8; KEY_BYTES]>::try_from(bytes).ok()?;
    let key = Zeroizing::new(array);
    array.zeroize();
    Some(key)
}

fn bad_master_key() -> Error {
    Error::invalid("The master key is not usable; give exactly 32 bytes as 64 hex digits or as base64.")
}

fn cannot_open() -> Error {
    Error::internal("a sealed value does not open: wrong key, wrong place or damaged")
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;

    const AAD: Aad<'_> = Aad { table: "authority", row: "1", field: "key" };

    #[test]
    fn a_value_opens_only_with_its_key_in_its_place_and_undamaged() {
        let (id, key) = (Uuid::from_u128(7), DataKey::generate(&SystemRandom));
        let sealed = seal(id, &key, &AAD, b"secret", &SystemRandom).unwrap();
        assert_eq!(sealed.len(), 6 + OVERHEAD_BYTES);
        assert_eq!(key_id_of(&sealed).unwrap(), id);
        assert_eq!(open(id, &key, &AAD, &sealed).unwrap().as_slice(), b"secret");
        assert_ne!(seal(id, &key, &AAD, b"secret", &SystemRandom).unwrap(), sealed, "the nonce must differ");

        assert!(open(id, &DataKey::generate(&SystemRandom), &AAD, &sealed).is_err());
        assert!(open(Uuid::from_u128(8), &key, &AAD, &sealed).is_err());
        for place in
            [Aad { row: "2", ..AAD }, Aad { table: "authority1", row: "", ..AAD }, Aad { field: "keys", ..AAD }]
        {
            assert!(open(id, &key, &place, &sealed).is_err());
        }
        for index in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[index] ^= 1;
            assert!(open(id, &key, &AAD, &damaged).is_err(), "byte {index}");
            assert!(open(id, &key, &AAD, &sealed[..index]).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn a_wrong_master_key_is_refused_by_its_check_value() {
        let (master, other) = (MasterKey::generate(&SystemRandom), MasterKey::generate(&SystemRandom));
        let stored = master.check_value();
        master.verify_check_value(&stored).unwrap();
        assert!(other.verify_check_value(&stored).unwrap_err().message.contains("master key"));
        let (id, key) = (Uuid::from_u128(1), DataKey::generate(&SystemRandom));
        let wrapped = master.wrap(id, &key, &SystemRandom).unwrap();
        assert_eq!(*master.unwrap(id, &wrapped).unwrap().0, *key.0);
        assert!(other.unwrap(id, &wrapped).is_err());
        assert!(master.unwrap(Uuid::from_u128(2), &wrapped).is_err());
    }

    #[test]
    fn master_keys_come_as_hex_and_base64_and_are_never_shown() {
        let master = MasterKey::from_bytes(&[0xAB; 32]).unwrap();
        for text in [format!("{}\n", "ab".repeat(32)), STANDARD.encode([0xAB; 32])] {
            assert_eq!(MasterKey::from_text(&text).unwrap().check_value(), master.check_value());
        }
        for text in ["", "abcd", &"zz".repeat(32), &"ab".repeat(31)] {
            let error = MasterKey::from_text(text).unwrap_err();
            assert!(text.is_empty() || !error.message.contains(text));
        }
        assert_eq!(format!("{master:?}"), "MasterKey(..)");
        assert_eq!(MasterKey::from_text(&master.to_hex()).unwrap().check_value(), master.check_value());
    }
}
