//! The header: the file key, wrapped for everybody who may open the file, under a MAC.

use super::{FileKey, Key, Lock, Recipient, Unlock, derive, unwrap, wrap};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::random::Random;
use std::io::{self, Read, Write};

const INTRODUCTION: &str = "age-encryption.org/v1";
const SCRYPT_LABEL: &[u8] = b"age-encryption.org/v1/scrypt";
/// Work of scrypt for a new file, as a power of two: 128 MiB of memory (OWASP's figure for r = 8, p = 1).
const WORK: u8 = 17;
/// Most work that a file may ask of us: 1 GiB of memory. A header is not to be trusted before its MAC was checked.
const MOST_WORK: u8 = 20;
/// Longest header, bytes, and longest line: ours (a recipient takes 100 bytes).
const MOST_BYTES: usize = 64 * 1024;
/// Columns of a body's lines, as the format has it.
const COLUMNS: usize = 64;

struct Stanza {
    arguments: Vec<String>,
    body: Vec<u8>,
}

/// Writes a header that wraps `file_key`.
pub(super) fn write(out: &mut dyn Write, lock: &Lock, file_key: &FileKey, random: &dyn Random) -> Result<()> {
    let stanzas = match lock {
        Lock::Passphrase(passphrase) => vec![for_passphrase(passphrase, file_key, random)?],
        Lock::Recipients(recipients) if recipients.is_empty() => {
            return Err(Error::invalid("Nobody could open a file that is encrypted for nobody."));
        }
        Lock::Recipients(recipients) => {
            recipients.iter().map(|recipient| for_recipient(recipient, file_key)).collect::<Result<_>>()?
        }
    };
    let mut text = format!("{INTRODUCTION}\n");
    for stanza in stanzas {
        text.push_str("-> ");
        text.push_str(&stanza.arguments.join(" "));
        text.push('\n');
        let body = STANDARD_NO_PAD.encode(&stanza.body);
        let mut rest = body.as_str();
        // The last line is shorter than the others, be it empty.
        while rest.len() >= COLUMNS {
            let (line, later) = rest.split_at(COLUMNS);
            text.push_str(line);
            text.push('\n');
            rest = later;
        }
        text.push_str(rest);
        text.push('\n');
    }
    text.push_str("---");
    let mac = STANDARD_NO_PAD.encode(mac(file_key, text.as_bytes())?);
    text.push(' ');
    text.push_str(&mac);
    text.push('\n');
    out.write_all(text.as_bytes()).map_err(|error| Error::invalid(format!("Cannot write: {error}.")))
}

/// Reads a header and gives the file key.
///
/// # Errors
/// `Invalid` where this is no age file, or one that is damaged or too large; `Forbidden` where `unlock` does not open it.
pub(super) fn read(input: &mut dyn Read, unlock: &Unlock) -> Result<FileKey> {
    let mut seen = Vec::new();
    if line(input, &mut seen)? != INTRODUCTION {
        return Err(Error::invalid("This is no file that is encrypted with age."));
    }
    let mut stanzas: Vec<Stanza> = Vec::new();
    let (end, claimed) = loop {
        let before = seen.len();
        let text = line(input, &mut seen)?;
        if let Some(claimed) = text.strip_prefix("--- ") {
            break (before + "---".len(), claimed.to_owned());
        }
        let arguments = text.strip_prefix("-> ").ok_or_else(damaged)?.split(' ').map(str::to_owned).collect();
        stanzas.push(Stanza { arguments, body: body(input, &mut seen)? });
    };
    let file_key = match unlock {
        Unlock::Passphrase(passphrase) => with_passphrase(passphrase, &stanzas)?,
        Unlock::Identities(identities) => {
            let mut found = None;
            for (share, stanza) in stanzas.iter().filter_map(|stanza| Some((share(stanza)?, stanza))) {
                for identity in identities {
                    found = found.map_or_else(|| identity.unwrap(&share, &stanza.body), |key| Ok(Some(key)))?;
                }
            }
            found.ok_or_else(|| not_for_these_keys(&stanzas))?
        }
    };
    let claimed = STANDARD_NO_PAD.decode(claimed).map_err(|_| damaged())?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, mac_key(&file_key)?.as_slice());
    hmac::verify(&key, &seen[..end], &claimed).map_err(|_| damaged())?;
    Ok(file_key)
}

fn for_recipient(recipient: &Recipient, file_key: &FileKey) -> Result<Stanza> {
    let (share, body) = recipient.wrap(file_key)?;
    Ok(Stanza { arguments: vec!["X25519".into(), STANDARD_NO_PAD.encode(share)], body })
}

fn for_passphrase(passphrase: &str, file_key: &FileKey, random: &dyn Random) -> Result<Stanza> {
    let mut salt = [0; 16];
    random.fill(&mut salt);
    let key = stretch(passphrase, &salt, WORK)?;
    let arguments = vec!["scrypt".into(), STANDARD_NO_PAD.encode(salt), WORK.to_string()];
    Ok(Stanza { arguments, body: wrap(&key, file_key)? })
}

fn with_passphrase(passphrase: &str, stanzas: &[Stanza]) -> Result<FileKey> {
    let [Stanza { arguments, body }] = stanzas else { return Err(not_for_a_passphrase()) };
    let [kind, salt, work] = arguments.as_slice() else { return Err(not_for_a_passphrase()) };
    if kind != "scrypt" {
        return Err(not_for_a_passphrase());
    }
    let salt = STANDARD_NO_PAD.decode(salt).map_err(|_| damaged())?;
    let work = work.parse::<u8>().ok().filter(|work| (1..=MOST_WORK).contains(work)).ok_or_else(damaged)?;
    let key = stretch(passphrase, &salt, work)?;
    unwrap(&key, body).ok_or_else(|| Error::forbidden("The passphrase does not open this file."))
}

fn stretch(passphrase: &str, salt: &[u8], work: u8) -> Result<Key> {
    let failed = |what: &str| Error::internal(format!("scrypt: {what}"));
    let parameters = scrypt::Params::new(work, 8, 1).map_err(|error| failed(&error.to_string()))?;
    let mut key = Key::default();
    scrypt::scrypt(passphrase.as_bytes(), &[SCRYPT_LABEL, salt].concat(), &parameters, key.as_mut_slice())
        .map_err(|error| failed(&error.to_string()))?;
    Ok(key)
}

fn share(stanza: &Stanza) -> Option<[u8; 32]> {
    match stanza.arguments.as_slice() {
        [kind, share] if kind == "X25519" => STANDARD_NO_PAD.decode(share).ok()?.try_into().ok(),
        _ => None,
    }
}

fn mac_key(file_key: &FileKey) -> Result<Key> {
    derive(file_key.as_slice(), &[], b"header")
}

fn mac(file_key: &FileKey, header: &[u8]) -> Result<Vec<u8>> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, mac_key(file_key)?.as_slice());
    Ok(hmac::sign(&key, header).as_ref().to_vec())
}

/// The next line without its end. Byte by byte: what follows the header is the payload's.
fn line(input: &mut dyn Read, seen: &mut Vec<u8>) -> Result<String> {
    let begun = seen.len();
    loop {
        let mut byte = [0];
        match input.read_exact(&mut byte) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(damaged()),
            Err(error) => return Err(Error::invalid(format!("Cannot read: {error}."))),
        }
        seen.extend_from_slice(&byte);
        if byte == *b"\n" {
            let text = seen.get(begun..seen.len() - 1).unwrap_or_default();
            return String::from_utf8(text.to_vec()).map_err(|_| damaged());
        }
        if seen.len() > MOST_BYTES {
            return Err(damaged());
        }
    }
}

fn body(input: &mut dyn Read, seen: &mut Vec<u8>) -> Result<Vec<u8>> {
    let mut text = String::new();
    loop {
        let next = line(input, seen)?;
        if next.len() > COLUMNS {
            return Err(damaged());
        }
        text.push_str(&next);
        if next.len() < COLUMNS {
            return STANDARD_NO_PAD.decode(text).map_err(|_| damaged());
        }
    }
}

fn damaged() -> Error {
    Error::invalid("The header of the encrypted file is damaged, or it is no file that is encrypted with age.")
}

fn not_for_a_passphrase() -> Error {
    Error::forbidden("This file is encrypted for keys, not with a passphrase: name the file of a secret key.")
}

fn not_for_these_keys(stanzas: &[Stanza]) -> Error {
    if stanzas.iter().any(|stanza| stanza.arguments.first().is_some_and(|kind| kind == "scrypt")) {
        return Error::forbidden("This file is encrypted with a passphrase, not for a key.");
    }
    Error::forbidden("This file is not encrypted for this key.")
}
