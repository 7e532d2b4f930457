//! Passwords that people choose: what they must be, and the form in which they are stored.

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::random::Random;
use zeroize::Zeroizing;

const SCHEME: &str = "argon2id";
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// Memory of one hash in KiB, passes over it, lanes (OWASP's password storage cheat sheet: 19 MiB, 2, 1).
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);
/// Fewest and most characters (Entra: 8 to 256).
const CHARACTERS: (usize, usize) = (8, 256);
/// Kinds of characters of which a password has at least three (Entra's).
const KINDS: [fn(char) -> bool; 4] =
    [|c| c.is_lowercase(), |c| c.is_uppercase(), |c| c.is_numeric(), |c| !c.is_alphanumeric()];

/// Whether a password is one that Entra takes: 8 to 256 characters, of three kinds out of lower case, upper case, digits and symbols,
/// none of them a control character.
pub fn is_complex(password: &str) -> bool {
    let (least, most) = CHARACTERS;
    (least..=most).contains(&password.chars().count())
        && !password.chars().any(char::is_control)
        && KINDS.iter().filter(|kind| password.chars().any(kind)).count() >= 3
}

/// The stored form of a password: `argon2id$<memory>,<passes>,<lanes>$<salt>$<hash>`. Slow on purpose: tens of milliseconds and 19 MiB.
///
/// # Errors
/// Internal, when the parameters are none.
pub fn hash(password: &str, random: &dyn Random) -> Result<String> {
    let mut salt = [0; SALT_BYTES];
    random.fill(&mut salt);
    let (memory, passes, lanes) = COST;
    let hash = hashed(password, &salt, COST)?;
    Ok(format!(
        "{SCHEME}${memory},{passes},{lanes}${}${}",
        URL_SAFE_NO_PAD.encode(salt),
        URL_SAFE_NO_PAD.encode(hash.as_slice())
    ))
}

/// Compares a password with its stored form; false where that is malformed. A stored form that nobody has (`""`) takes as long as a
/// real one, so that time tells nobody who exists.
pub fn verify(password: &str, stored: &str) -> bool {
    match parts(stored) {
        Some((cost, salt, hash)) => hashed(password, &salt, cost)
            .is_ok_and(|made| constant_time::verify_slices_are_equal(made.as_slice(), &hash).is_ok()),
        None => {
            let _ = hashed(password, &[0; SALT_BYTES], COST);
            false
        }
    }
}

type Parts = ((u32, u32, u32), Vec<u8>, Vec<u8>);

fn parts(stored: &str) -> Option<Parts> {
    let mut parts = stored.split('$');
    let (Some(SCHEME), cost, salt, hash, None) =
        (parts.next(), parts.next()?, parts.next()?, parts.next()?, parts.next())
    else {
        return None;
    };
    let numbers: Vec<u32> = cost.split(',').map(str::parse).collect::<Result<_, _>>().ok()?;
    let [memory, passes, lanes] = numbers.as_slice() else { return None };
    Some(((*memory, *passes, *lanes), URL_SAFE_NO_PAD.decode(salt).ok()?, URL_SAFE_NO_PAD.decode(hash).ok()?))
}

fn hashed(
    password: &str,
    salt: &[u8],
    (memory, passes, lanes): (u32, u32, u32),
) -> Result<Zeroizing<[u8; HASH_BYTES]>> {
    let bad = |error: argon2::Error| Error::internal(format!("password hash: {error}"));
    let params = Params::new(memory, passes, lanes, Some(HASH_BYTES)).map_err(bad)?;
    let mut hash = Zeroizing::new([0; HASH_BYTES]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), salt, hash.as_mut_slice())
        .map_err(bad)?;
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;

    #[test]
    fn a_password_opens_its_own_hash_only() {
        let stored = hash("Correct-Horse-1", &SystemRandom).unwrap();
        assert!(verify("Correct-Horse-1", &stored) && !verify("correct-horse-1", &stored));
        assert_ne!(stored, hash("Correct-Horse-1", &SystemRandom).unwrap(), "salted");
        for malformed in ["", "argon2id$1$2$3", "sha256$a$b", &stored[..stored.len() - 1], &format!("{stored}$x")] {
            assert!(!verify("Correct-Horse-1", malformed), "{malformed}");
        }
    }

    #[test]
    fn what_is_complex_enough() {
        for (password, want) in [
            ("Passw0rd", true),
            ("aB3!aB3", false),
            ("aaaaaaaaA1", true),
            ("aaaaaaaa1", false),
            ("lower case with blanks 1", true),
            ("Ünicode-größe", true),
            ("Passw0rd\n", false),
        ] {
            assert_eq!(is_complex(password), want, "{password:?}");
        }
        assert!(!is_complex(&format!("A1{}", "a".repeat(255))));
    }
}
