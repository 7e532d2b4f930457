//! Generated secrets: shared access keys, and client secrets with their stored form.

use aws_lc_rs::{constant_time, digest};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ferrohub_model::random::Random;
use zeroize::Zeroizing;

/// Bytes of a generated symmetric key: 64, base64 of 88 characters (Azure's DPS writes 64, IoT Hub 32; both accept 16 to 64).
pub const SYMMETRIC_KEY_BYTES: usize = 64;
/// Bytes of a generated client secret: 256 bits.
pub const CLIENT_SECRET_BYTES: usize = 32;

const SCHEME: &str = "sha256";
const SALT_BYTES: usize = 16;

/// A random symmetric key in base64, erased from memory when dropped.
pub fn generate_symmetric_key(random: &dyn Random) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; SYMMETRIC_KEY_BYTES]);
    random.fill(bytes.as_mut_slice());
    Zeroizing::new(STANDARD.encode(bytes.as_slice()))
}

/// A random client secret: 64 lower-case hex digits. They need no escaping in a URL, a shell or a form, and are never taken for an
/// option: `az login -p -Q3x...` ends with "expected one argument", and one secret in 64 begins with a dash in base64url.
pub fn generate_client_secret(random: &dyn Random) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; CLIENT_SECRET_BYTES]);
    random.fill(bytes.as_mut_slice());
    Zeroizing::new(hex::encode(bytes.as_slice()))
}

/// The stored form of a *generated* secret: `sha256$<salt>$<hash>`.
///
/// Salted SHA-256 and not argon2id on purpose: these secrets are generated here with 256 random bits,
/// so guessing is hopeless at any speed, while a slow hash on every token request would let anybody
/// without a secret use up the server's processor. Passwords that people choose are [`crate::password`]'s.
pub fn hash_secret(secret: &str, random: &dyn Random) -> String {
    let mut salt = [0; SALT_BYTES];
    random.fill(&mut salt);
    format!("{SCHEME}${}${}", URL_SAFE_NO_PAD.encode(salt), URL_SAFE_NO_PAD.encode(salted(&salt, secret)))
}

/// Compares a secret with its stored form in constant time; false where the stored form is malformed.
pub fn verify_secret(secret: &str, stored: &str) -> bool {
    let mut parts = stored.split('$');
    let (Some(SCHEME), Some(salt), Some(hash), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let (Ok(salt), Ok(hash)) = (URL_SAFE_NO_PAD.decode(salt), URL_SAFE_NO_PAD.decode(hash)) else {
        return false;
    };
    constant_time::verify_slices_are_equal(salted(&salt, secret).as_ref(), &hash).is_ok()
}

fn salted(salt: &[u8], secret: &str) -> digest::Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(salt);
    context.update(secret.as_bytes());
    context.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;

    #[derive(Debug)]
    struct Constant(u8);

    impl Random for Constant {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn keys_have_their_length_and_differ() {
        let key = generate_symmetric_key(&SystemRandom);
        assert_eq!(STANDARD.decode(key.as_str()).unwrap().len(), 64);
        assert_ne!(*key, *generate_symmetric_key(&SystemRandom));
    }

    #[test]
    fn no_client_secret_looks_like_an_option_of_a_command_line() {
        for byte in 0..=u8::MAX {
            let secret = generate_client_secret(&Constant(byte));
            assert_eq!(secret.len(), 64);
            assert!(secret.bytes().all(|b| b.is_ascii_hexdigit()), "{}", *secret);
        }
    }

    #[test]
    fn a_secret_verifies_only_against_its_own_hash() {
        let secret = generate_client_secret(&SystemRandom);
        let stored = hash_secret(&secret, &SystemRandom);
        assert!(!stored.contains(secret.as_str()));
        assert!(verify_secret(&secret, &stored));
        assert!(!verify_secret("other", &stored));
        assert_ne!(stored, hash_secret(&secret, &SystemRandom), "the salt must differ");
        for malformed in ["", "sha256", "sha256$$", "md5$AA$AA", "sha256$AA$!!", &format!("{stored}$x")] {
            assert!(!verify_secret(&secret, malformed), "{malformed}");
        }
    }
}
