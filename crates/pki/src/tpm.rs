//! Keys for a TPM 2.0: sealing one so that only the TPM with a given endorsement key opens it.
//!
//! Attestation by TPM (reference: iot-hub-and-dps.md A.6) hands a device an HMAC key as TPM2_ActivateCredential and
//! TPM2_Import take it. Structures and algorithms: TCG, Trusted Platform Module Library 2.0, Part 1 (chapters 11.4.10, 23.3 and 24)
//! and Part 2.

pub mod emulator;
mod public;
mod wire;
mod wrap;

pub use public::{TPM_PUBLIC_BYTES, TpmPublic};

use aws_lc_rs::digest::{SHA256, digest};
use ferrohub_model::error::Result;
use ferrohub_model::random::Random;
use wire::{sized, sized_all};
use wrap::{INTEGRITY, Protection, STORAGE, cfb, internal};
use zeroize::Zeroizing;

/// Fewest and most bytes of a key that can be sealed: an HMAC-SHA256 key of a TPM is no longer than the hash's block.
pub const SEALED_KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

/// Bytes of the AES key of the inner wrapper.
const INNER_KEY_BYTES: usize = 16;
/// TPM_ALG_SHA256.
const ALG_SHA256: u16 = 0x000B;
/// TPM_ALG_HMAC.
const ALG_HMAC: u16 = 0x0005;
/// TPM_ALG_KEYEDHASH.
const ALG_KEYEDHASH: u16 = 0x0008;
/// TPMA_OBJECT: userWithAuth, noDA, sign. It may be duplicated no further than its owner wants, having come from outside.
const ATTRIBUTES: u32 = (1 << 6) | (1 << 10) | (1 << 18);

/// Seals `key`, an HMAC-SHA256 key, to the TPM of `endorsement` and `storage`: the bytes that clients of Azure's SDKs take apart
/// as TPM2B_ID_OBJECT, TPM2B_ENCRYPTED_SECRET (both for TPM2_ActivateCredential), TPM2B_PRIVATE, TPM2B_ENCRYPTED_SECRET and
/// TPM2B_PUBLIC (for TPM2_Import and TPM2_Load below the storage root key), and a last sized text that is empty.
///
/// # Errors
/// Internal, where `key` has another length than [`SEALED_KEY_BYTES`] or the provider fails.
pub fn seal_key(endorsement: &TpmPublic, storage: &TpmPublic, key: &[u8], random: &dyn Random) -> Result<Vec<u8>> {
    if !SEALED_KEY_BYTES.contains(&key.len()) {
        return Err(internal("the key to be sealed has another length"));
    }
    let mut inner = Zeroizing::new([0u8; INNER_KEY_BYTES]);
    random.fill(inner.as_mut_slice());
    let object = Object::new(key, random);
    let (credential, secret) = make_credential(endorsement, &storage.name(), inner.as_slice(), random)?;
    let (duplicate, seed) = object.duplicate(storage, inner.as_slice(), random)?;
    Ok([credential, sized(&secret), duplicate, sized(&seed), sized(&object.public), sized(&[])].concat())
}

/// TPM2_MakeCredential: `credential` for the holder of `endorsement` that has the object of this name loaded. Gives the
/// TPM2B_ID_OBJECT and the encrypted seed.
fn make_credential(
    endorsement: &TpmPublic,
    name: &[u8],
    credential: &[u8],
    random: &dyn Random,
) -> Result<(Vec<u8>, Vec<u8>)> {
    let protection = Protection::new(endorsement, b"IDENTITY", random)?;
    let mut identity = sized(credential);
    cfb(&protection.key(STORAGE, name), &mut identity)?;
    let integrity = protection.sign(&protection.key(INTEGRITY, &[]), &[&identity, name]);
    Ok((sized_all(&[&sized(&integrity), &identity]), protection.encrypted))
}

/// An HMAC key as an object of a TPM.
struct Object {
    /// TPMT_PUBLIC.
    public: Vec<u8>,
    /// TPM2B_SENSITIVE.
    sensitive: Zeroizing<Vec<u8>>,
}

impl Object {
    fn new(key: &[u8], random: &dyn Random) -> Self {
        // What hides the key from whoever sees the public part (Part 1, 27.5.3.3): as long as the name's hash.
        let mut obfuscation = Zeroizing::new([0u8; 32]);
        random.fill(obfuscation.as_mut_slice());
        let unique = digest(&SHA256, &Zeroizing::new([obfuscation.as_slice(), key].concat()));
        let mut public = Vec::new();
        for word in [ALG_KEYEDHASH, ALG_SHA256] {
            public.extend(word.to_be_bytes());
        }
        public.extend(ATTRIBUTES.to_be_bytes());
        public.extend(sized(&[]));
        for word in [ALG_HMAC, ALG_SHA256] {
            public.extend(word.to_be_bytes());
        }
        public.extend(sized(unique.as_ref()));
        let parts = [sized(&[]), sized(obfuscation.as_slice()), sized(key)].map(Zeroizing::new);
        let kind = ALG_KEYEDHASH.to_be_bytes();
        let sensitive = Zeroizing::new(sized_all(&[&kind, &parts[0], &parts[1], &parts[2]]));
        Self { public, sensitive }
    }

    /// The object's name: algorithm and hash of its public part.
    fn name(&self) -> Vec<u8> {
        [&ALG_SHA256.to_be_bytes()[..], digest(&SHA256, &self.public).as_ref()].concat()
    }

    /// The object for TPM2_Import below `storage`, with an inner wrapper under the AES key `inner` and an outer one: the
    /// TPM2B_PRIVATE and the encrypted seed.
    fn duplicate(&self, storage: &TpmPublic, inner: &[u8], random: &dyn Random) -> Result<(Vec<u8>, Vec<u8>)> {
        let name = self.name();
        let checked = Zeroizing::new([self.sensitive.as_slice(), &name].concat());
        let mut wrapped = [&sized(digest(&SHA256, &checked).as_ref()), self.sensitive.as_slice()].concat();
        cfb(inner, &mut wrapped)?;
        let protection = Protection::new(storage, b"DUPLICATE", random)?;
        cfb(&protection.key(STORAGE, &name), &mut wrapped)?;
        let integrity = protection.sign(&protection.key(INTEGRITY, &[]), &[&wrapped, &name]);
        Ok((sized_all(&[&sized(&integrity), &wrapped]), protection.encrypted))
    }
}
