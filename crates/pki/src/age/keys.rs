//! Keys of recipients: X25519, as `age1…` and `AGE-SECRET-KEY-1…`.

use super::{FileKey, Key, derive, unwrap, wrap};
use aws_lc_rs::agreement::{self, EphemeralPrivateKey, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::rand::SystemRandom;
use bech32::{Bech32, Hrp};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::random::Random;
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

const RECIPIENT: &str = "age";
const IDENTITY: &str = "age-secret-key-";
/// Names the use of the shared secret.
const INFO: &[u8] = b"age-encryption.org/v1/X25519";

/// A public key that a file is encrypted for.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient([u8; 32]);

/// The secret key of a [`Recipient`]. `Debug` does not show it.
pub struct Identity(Key);

impl Recipient {
    /// The stanza's argument, and the file key wrapped for this recipient.
    pub(super) fn wrap(&self, file_key: &FileKey) -> Result<([u8; 32], Vec<u8>)> {
        let failed = || Error::internal("agreeing on a key failed");
        let ephemeral = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).map_err(|_| failed())?;
        let public = ephemeral.compute_public_key().map_err(|_| failed())?;
        let share: [u8; 32] = public.as_ref().try_into().map_err(|_| failed())?;
        let peer = UnparsedPublicKey::new(&X25519, self.0);
        let key = agreement::agree_ephemeral(ephemeral, peer, failed(), |shared| {
            derive(shared, &[share, self.0].concat(), INFO)
        })?;
        Ok((share, wrap(&key, file_key)?))
    }
}

impl Identity {
    /// A new key.
    pub fn generate(random: &dyn Random) -> Self {
        let mut key = Key::default();
        random.fill(key.as_mut_slice());
        Self(key)
    }

    /// Its public half.
    ///
    /// # Errors
    /// `Internal` on a fault of the provider.
    pub fn recipient(&self) -> Result<Recipient> {
        let public =
            self.private()?.compute_public_key().map_err(|_| Error::internal("computing a public key failed"))?;
        public.as_ref().try_into().map(Recipient).map_err(|_| Error::internal("a public key of the wrong length"))
    }

    /// The key as text, for the file of whoever keeps it.
    ///
    /// # Errors
    /// `Internal` on a fault of the encoder.
    pub fn to_text(&self) -> Result<Zeroizing<String>> {
        let hrp = Hrp::parse(IDENTITY).map_err(|error| Error::internal(error.to_string()))?;
        let text = bech32::encode_upper::<Bech32>(hrp, self.0.as_slice());
        text.map(Zeroizing::new).map_err(|error| Error::internal(error.to_string()))
    }

    /// The file key of a stanza with this argument, where it was wrapped for this key.
    pub(super) fn unwrap(&self, share: &[u8; 32], wrapped: &[u8]) -> Result<Option<FileKey>> {
        let own = self.recipient()?;
        let peer = UnparsedPublicKey::new(&X25519, share);
        let agreed = agreement::agree(&self.private()?, peer, (), |shared| {
            derive(shared, &[*share, own.0].concat(), INFO).map_err(|_| ())
        });
        // A share with which no key can be agreed on is none of ours.
        Ok(agreed.ok().and_then(|key| unwrap(&key, wrapped)))
    }

    fn private(&self) -> Result<PrivateKey> {
        PrivateKey::from_private_key(&X25519, self.0.as_slice())
            .map_err(|_| Error::internal("a secret key that is none"))
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hrp = Hrp::parse(RECIPIENT).map_err(|_| fmt::Error)?;
        f.write_str(&bech32::encode_lower::<Bech32>(hrp, &self.0).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

impl FromStr for Recipient {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        decode(text, RECIPIENT).map(|key| Self(*key)).ok_or_else(|| no_recipient(text))
    }
}

impl FromStr for Identity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let key = decode(text, IDENTITY);
        key.map(Self).ok_or_else(|| Error::invalid("This is no secret key: secret keys start with 'AGE-SECRET-KEY-1'."))
    }
}

/// What is given may be a secret, so it is not repeated.
fn no_recipient(text: &str) -> Error {
    let is_secret = text.trim().to_lowercase().starts_with(&format!("{IDENTITY}1"));
    Error::invalid(match is_secret {
        true => {
            "What was given is a secret key and no recipient: the recipient is its public key, which starts with 'age1' and stands above it in the file of 'ferrohub backup-key'."
        }
        false => {
            "What was given is no recipient: a recipient is a public key that starts with 'age1', as 'ferrohub backup-key' and age-keygen print it."
        }
    })
}

fn decode(text: &str, hrp: &str) -> Option<Key> {
    let (found, bytes) = bech32::decode(text.trim()).ok()?;
    let bytes = Zeroizing::new(bytes);
    let mut key = Key::default();
    (found.to_lowercase() == hrp && bytes.len() == key.len()).then(|| key.copy_from_slice(&bytes))?;
    Some(key)
}
