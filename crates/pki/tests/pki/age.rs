//! Files in the age format: round trips, files of the age tool, and every kind of damage.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::error::{ErrorKind, Result};
use ferrohub_pki::age::{Identity, Lock, Reader, Recipient, Unlock, Writer};
use ferrohub_pki::random::SystemRandom;
use std::io::{Read, Write};
use zeroize::Zeroizing;

/// A key that age-keygen 1.1.1 made for this test, and files that age 1.1.1 encrypted for it and with a passphrase.
const IDENTITY: &str = "AGE-SECRET-KEY-1SH68VNPXKAV2S2TTXTCV2C904CH5EJY0TUYYN8485YQMGZ7Y7D7SMQR6YP";
const RECIPIENT: &str = "age1hr7l73e2nq56x80ydr0rz3es4m2vlyjnvvrp8kc0xpym6l4rvy8qfz2zyy";
const FOR_KEY: &str = "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBkaTc3NjJRQmovMHpiZCtSNVd4QmEwMkdYWkVDZkhndWlvRS9hWXgrdXc4ClkxRGpmMTJQRFNudjU3dFcvZ3Bma0YrQjhTM2JUOFJ2TXdmSjZQbE54WnMKLS0tIExNMjN2VEZTZjJob1VRYldaNitVRjY4bS9QVlpRcExHU25haURkTnJaUTgK1eL2ChOulApR3pi8jD/2Q4XOLwWaQXXISAGtar9pltE6BvCl2y09CjNAGua7t5gncpKpyA==";
const WITH_PASSPHRASE: &str = "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCBLY0tQQnAyb0NLNlFyb2ZHUE5IYkF3IDE4CmpCUVVXYkJoR21HblIzOW0rMENPOUw2eE9qVUdyakVCQnZRd2lmMXM5RlEKLS0tIGc3cnRYNHVHYmZqa3U4Q2ZIcjJMNUJRU3Vzd0ZFU2xMODRYZGdhOTZ6TVUKM1FqKjVbiug+RdftM+/YG+a8Pp9/bBO3zIcTbrEI33bvxc31SqYUP4TU10hb8DCBhSe+dg==";
const PLAIN: &str = "a file for ferrohub\n";

fn passphrase(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

fn keys(identity: &str) -> Unlock {
    Unlock::Identities(vec![identity.parse().unwrap()])
}

fn encrypt(lock: &Lock, plain: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), lock, &SystemRandom).unwrap();
    // In uneven parts, as files come.
    for part in plain.chunks(9_999) {
        writer.write_all(part).unwrap();
    }
    writer.finish().unwrap()
}

/// What comes out before the end or the first fault.
fn decrypt(bytes: &[u8], unlock: &Unlock) -> Result<(Vec<u8>, std::io::Result<()>)> {
    let mut reader = Reader::new(bytes, unlock)?;
    let mut plain = Vec::new();
    let outcome = reader.read_to_end(&mut plain).map(|_| ());
    Ok((plain, outcome))
}

fn whole(bytes: &[u8], unlock: &Unlock) -> Vec<u8> {
    let (plain, outcome) = decrypt(bytes, unlock).unwrap();
    outcome.unwrap();
    plain
}

#[test]
fn files_of_the_age_tool_open() {
    let file = STANDARD.decode(FOR_KEY).unwrap();
    assert_eq!(whole(&file, &keys(IDENTITY)), PLAIN.as_bytes());
    let file = STANDARD.decode(WITH_PASSPHRASE).unwrap();
    assert_eq!(whole(&file, &Unlock::Passphrase(passphrase("correct horse"))), PLAIN.as_bytes());
    let identity: Identity = IDENTITY.parse().unwrap();
    assert_eq!(identity.recipient().unwrap().to_string(), RECIPIENT);
    assert_eq!(identity.to_text().unwrap().as_str(), IDENTITY);
}

#[test]
fn what_was_written_is_read() {
    let identity = Identity::generate(&SystemRandom);
    let recipients = vec![RECIPIENT.parse::<Recipient>().unwrap(), identity.recipient().unwrap()];
    let lock = Lock::Recipients(recipients);
    for length in [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000] {
        let plain: Vec<u8> = (0..length).map(|number| (number % 251) as u8).collect();
        let file = encrypt(&lock, &plain);
        assert_eq!(whole(&file, &keys(IDENTITY)), plain, "{length}");
        assert_eq!(whole(&file, &keys(&identity.to_text().unwrap())), plain, "{length}");
    }
    let file = encrypt(&Lock::Passphrase(passphrase("a b")), b"x");
    assert_eq!(whole(&file, &Unlock::Passphrase(passphrase("a b"))), b"x");
}

#[test]
fn whoever_has_no_key_is_told_what_it_needs() {
    let stranger = keys(&Identity::generate(&SystemRandom).to_text().unwrap());
    let refused = |file: &[u8], unlock: &Unlock| {
        let error = Reader::new(file, unlock).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Forbidden, "{error}");
        error.message
    };
    let for_key = STANDARD.decode(FOR_KEY).unwrap();
    let with_passphrase = STANDARD.decode(WITH_PASSPHRASE).unwrap();
    assert!(refused(&for_key, &stranger).contains("not encrypted for this key"));
    assert!(refused(&for_key, &Unlock::Passphrase(passphrase("x"))).contains("encrypted for keys"));
    assert!(refused(&with_passphrase, &stranger).contains("with a passphrase"));
    assert!(refused(&with_passphrase, &Unlock::Passphrase(passphrase("x"))).contains("does not open"));
    assert!(Writer::new(Vec::new(), &Lock::Recipients(Vec::new()), &SystemRandom).is_err());
    for wrong in ["", "age1", "age1qqqq", IDENTITY] {
        assert!(wrong.parse::<Recipient>().is_err(), "{wrong}");
    }
    assert!(RECIPIENT.parse::<Identity>().is_err());
    assert!(!format!("{:?}", IDENTITY.parse::<Identity>().unwrap()).contains("SECRET"));
}

#[test]
fn every_changed_byte_and_every_cut_is_noticed_and_nothing_false_is_given_out() {
    let plain: Vec<u8> = (0..70_000_u32).map(|number| (number % 253) as u8).collect();
    let file = encrypt(&Lock::Recipients(vec![RECIPIENT.parse().unwrap()]), &plain);
    let unlock = keys(IDENTITY);
    let header = file.len() - 70_000 - 2 * 16;
    let places = (0..header + 40).chain([header + 65_536, header + 65_552, file.len() - 17, file.len() - 1]);
    for at in places {
        let mut damaged = file.clone();
        damaged[at] ^= 1;
        noticed(&damaged, &unlock, &plain, &format!("byte {at}"));
    }
    for length in (0..header + 40).chain([header + 65_551, header + 65_552, header + 65_553, file.len() - 1]) {
        noticed(&file[..length], &unlock, &plain, &format!("cut at {length}"));
    }
    let longer = [file.as_slice(), b"x"].concat();
    noticed(&longer, &unlock, &plain, "a byte more");
    // The two pieces, one after the other, the wrong way round.
    let (front, back) = file.split_at(header);
    let (first, second) = back.split_at(65_552);
    noticed(&[front, second, first].concat(), &unlock, &plain, "pieces that changed places");
}

fn noticed(bytes: &[u8], unlock: &Unlock, plain: &[u8], what: &str) {
    if let Ok((out, outcome)) = decrypt(bytes, unlock) {
        assert!(outcome.is_err(), "{what} passed");
        assert!(plain.starts_with(&out), "{what}: something false was given out");
    }
}

#[test]
fn a_header_cannot_ask_for_much() {
    let unlock = Unlock::Passphrase(passphrase("x"));
    let asks = |text: &str| {
        let error = Reader::new(text.as_bytes(), &unlock).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Invalid, "{text:.60}: {error}");
    };
    let introduction = "age-encryption.org/v1\n";
    asks(&format!("{introduction}-> scrypt AAAAAAAAAAAAAAAAAAAAAA 21\nAAAA\n--- AAAA\n"));
    asks(&format!("{introduction}-> scrypt AAAAAAAAAAAAAAAAAAAAAA 255\nAAAA\n--- AAAA\n"));
    asks(&format!("{introduction}{}", "-> X25519 AAAA\nAAAA\n".repeat(100_000)));
    asks(&"x".repeat(1_000_000));
    asks("");
    asks("age-encryption.org/v2\n");
}
