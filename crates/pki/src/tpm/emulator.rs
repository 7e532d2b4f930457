//! As much of a TPM as opens what is sealed to it, for tests of whoever seals: every check that TPM2_ActivateCredential and
//! TPM2_Import make of their input. Keys are RSA-2048 after the templates of Azure's SDKs.

use super::public::NameHash;
use super::wire::{Reader, sized};
use super::wrap::{INTEGRITY, Protection, STORAGE, decrypt_cfb, internal};
use super::{ALG_KEYEDHASH, TpmPublic};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rsa::{KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use ferrohub_model::error::Result;
use zeroize::Zeroizing;

/// A TPM with an endorsement key and a storage root key.
pub struct TpmEmulator {
    endorsement: StorageKey,
    storage: StorageKey,
}

struct StorageKey {
    private: OaepPrivateDecryptingKey,
    public: TpmPublic,
}

/// Attributes of an endorsement key: fixedTPM, fixedParent, sensitiveDataOrigin, adminWithPolicy, restricted, decrypt.
const ENDORSEMENT: u32 = 0x0003_00B2;
/// Those of a storage root key: userWithAuth and noDA in place of adminWithPolicy.
const STORAGE_ROOT: u32 = 0x0003_0472;

impl TpmEmulator {
    /// A TPM with keys of its own.
    ///
    /// # Errors
    /// Internal, when the provider fails.
    pub fn new() -> Result<Self> {
        Ok(Self { endorsement: StorageKey::new(ENDORSEMENT)?, storage: StorageKey::new(STORAGE_ROOT)? })
    }

    /// The endorsement key's public part.
    pub fn endorsement(&self) -> &TpmPublic {
        &self.endorsement.public
    }

    /// The storage root key's public part.
    pub fn storage(&self) -> &TpmPublic {
        &self.storage.public
    }

    /// The HMAC key that was sealed to this TPM; `None` for what is sealed to another one, or changed on its way.
    pub fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let mut reader = Reader::new(sealed);
        let (credential, secret) = (reader.sized()?, reader.sized()?);
        let (duplicate, seed, public, _) = (reader.sized()?, reader.sized()?, reader.sized()?, reader.sized()?);
        let inner = self.activate(credential, secret).filter(|_| reader.is_empty())?;
        let name = [&0x000B_u16.to_be_bytes()[..], digest(&SHA256, public).as_ref()].concat();
        let mut wrapped = self.storage.unwrap(b"DUPLICATE", seed, duplicate, &name)?;
        let inner = Reader::new(&inner).sized()?.to_vec();
        decrypt_cfb(&inner, &mut wrapped).ok()?;
        let mut reader = Reader::new(&wrapped);
        let integrity = reader.sized()?;
        let sensitive = reader.sized().filter(|_| reader.is_empty())?;
        let checked = digest(&SHA256, &[&sized(sensitive), name.as_slice()].concat());
        verify_slices_are_equal(integrity, checked.as_ref()).ok()?;
        loaded(public, sensitive)
    }

    /// TPM2_ActivateCredential.
    fn activate(&self, credential: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
        self.endorsement.unwrap(b"IDENTITY", secret, credential, &self.storage.public.name())
    }
}

impl StorageKey {
    fn new(attributes: u32) -> Result<Self> {
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(|_| internal("RSA key"))?;
        let components = private.public_key();
        let der = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(&components)
            .map_err(|_| internal("RSA key"))?;
        let info = crate::public_key::PublicKey::from_spki(der.as_ref()).map_err(|_| internal("RSA key"))?;
        // SEQUENCE, modulus with a leading zero, exponent: the modulus begins at the tenth byte of a 2048-bit key.
        let modulus = info.bits().get(9..265).ok_or_else(|| internal("RSA key"))?;
        let mut content = Vec::new();
        content.extend([0x00, 0x01, 0x00, 0x0B]);
        content.extend(attributes.to_be_bytes());
        content.extend(sized(&[]));
        // AES-128, CFB, no scheme, 2048 bits, the usual exponent.
        content.extend([0x00, 0x06, 0x00, 0x80, 0x00, 0x43, 0x00, 0x10, 0x08, 0x00, 0, 0, 0, 0]);
        content.extend(sized(modulus));
        let public = TpmPublic::parse(&sized(&content)).map_err(internal)?;
        let private = OaepPrivateDecryptingKey::new(private).map_err(|_| internal("RSA key"))?;
        Ok(Self { private, public })
    }

    /// What is protected by a seed for this key, and meant for the object of this name.
    fn unwrap(&self, label: &[u8], secret: &[u8], protected: &[u8], name: &[u8]) -> Option<Vec<u8>> {
        let label = [label, &[0]].concat();
        let mut seed = vec![0; self.private.min_output_size()];
        let seed = self.private.decrypt(&OAEP_SHA256_MGF1SHA256, secret, &mut seed, Some(&label)).ok()?;
        let protection = Protection {
            hash: NameHash::Sha256,
            aes_bytes: self.public.aes_bytes,
            seed: Zeroizing::new(seed.to_vec()),
            encrypted: Vec::new(),
        };
        let mut reader = Reader::new(protected);
        let integrity = reader.sized()?;
        let mut content = reader.rest().to_vec();
        let signed = protection.sign(&protection.key(INTEGRITY, &[]), &[&content, name]);
        verify_slices_are_equal(integrity, &signed).ok()?;
        decrypt_cfb(&protection.key(STORAGE, name), &mut content).ok()?;
        Some(content)
    }
}

/// TPM2_Load of an HMAC key: the public part must belong to the private one.
fn loaded(public: &[u8], sensitive: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(sensitive);
    let kind = reader.u16()?;
    let (_, obfuscation, key) = (reader.sized()?, reader.sized()?, reader.sized()?);
    let unique = digest(&SHA256, &[obfuscation, key].concat());
    let belongs = kind == ALG_KEYEDHASH && reader.is_empty() && public.ends_with(&sized(unique.as_ref()));
    belongs.then(|| key.to_vec())
}
