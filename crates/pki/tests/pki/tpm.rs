use ferrohub_model::random::SeededRandom;
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::tpm::emulator::TpmEmulator;
use ferrohub_pki::tpm::{TpmPublic, seal_key};

#[test]
fn what_is_sealed_to_a_tpm_opens_there_and_nowhere_else() {
    let (mine, other) = (TpmEmulator::new().unwrap(), TpmEmulator::new().unwrap());
    let seal = |key: &[u8]| seal_key(mine.endorsement(), mine.storage(), key, &SystemRandom).unwrap();
    for length in [16, 32, 64] {
        let key: Vec<u8> = (0..length).collect();
        let sealed = seal(&key);
        assert_eq!(mine.open(&sealed), Some(key.clone()));
        assert_eq!(other.open(&sealed), None);
        assert!(!sealed.windows(16).any(|part| part == &key[..16]), "it is not readable");
        assert_ne!(seal(&key), sealed, "no two are the same");
    }
    // Sealed to this endorsement key, but to another storage root key: the credential names another object.
    let mixed = seal_key(mine.endorsement(), other.storage(), &[1; 32], &SystemRandom).unwrap();
    assert_eq!((mine.open(&mixed), other.open(&mixed)), (None, None));
    for length in [0, 15, 65] {
        assert!(seal_key(mine.endorsement(), mine.storage(), &vec![1; length], &SystemRandom).is_err());
    }
}

#[test]
fn a_sealed_key_that_was_touched_does_not_open() {
    let tpm = TpmEmulator::new().unwrap();
    let sealed = seal_key(tpm.endorsement(), tpm.storage(), &[9; 32], &SystemRandom).unwrap();
    // The last two bytes say that nothing follows.
    for at in 0..sealed.len() - 2 {
        let mut touched = sealed.clone();
        touched[at] ^= 1;
        assert_eq!(tpm.open(&touched), None, "{at}");
    }
    for end in 0..sealed.len() {
        assert_eq!(tpm.open(&sealed[..end]), None, "{end}");
    }
}

/// Public parts of swtpm's endorsement and storage root keys, RSA and P-256.
const KEYS: [&[u8]; 4] = [
    include_bytes!("../../../../fuzz/seeds/tpm_public/ek_rsa"),
    include_bytes!("../../../../fuzz/seeds/tpm_public/srk_rsa"),
    include_bytes!("../../../../fuzz/seeds/tpm_public/ek_ecc"),
    include_bytes!("../../../../fuzz/seeds/tpm_public/srk_ecc"),
];

#[test]
fn storage_keys_of_a_tpm_parse_and_their_names_are_hashes() {
    for key in KEYS {
        let public = TpmPublic::parse(key).unwrap();
        assert_eq!(public.to_bytes(), key);
        assert_eq!((public.name().len(), &public.name()[..2]), (34, &[0x00, 0x0B][..]));
        let sealed = seal_key(&public, &public, &[7; 32], &SeededRandom::new(3)).unwrap();
        assert!(sealed.len() > 300);
    }
}

#[test]
fn what_no_key_may_be_encrypted_to_is_refused_with_its_reason() {
    let with = |at: usize, bytes: &[u8]| {
        let mut key = KEYS[0].to_vec();
        key[at..at + bytes.len()].copy_from_slice(bytes);
        TpmPublic::parse(&key).map(drop)
    };
    for (at, bytes, word) in [
        (0, &[0xFF, 0xFF][..], "length"),
        (2, &[0x00, 0x08], "neither RSA nor ECC"),
        (4, &[0x00, 0x04], "name algorithm"),
        (6, &[0x00, 0x03, 0x00, 0xB0], "fixedTPM"),
        (6, &[0x00, 0x01, 0x00, 0xB2], "restricted decryption key"),
        (6, &[0x00, 0x02, 0x00, 0xB2], "restricted decryption key"),
        (6, &[0x00, 0x07, 0x00, 0xB2], "restricted decryption key"),
        (10, &[0x7F, 0xFF], "too early"),
        (44, &[0x00, 0x10], "symmetric algorithm"),
        (48, &[0x00, 0x42], "symmetric algorithm"),
        (50, &[0x00, 0x14], "scheme"),
        (52, &[0x04, 0x00], "2048, 3072 or 4096"),
    ] {
        let problem = with(at, bytes).unwrap_err();
        assert!(problem.contains(word), "{at}: {problem}");
    }
    let mut off = KEYS[3].to_vec();
    *off.last_mut().unwrap() ^= 1;
    assert!(TpmPublic::parse(&off).unwrap_err().contains("not on the curve"));
    for key in KEYS {
        for end in 0..key.len() {
            assert!(TpmPublic::parse(&key[..end]).is_err());
        }
        assert!(TpmPublic::parse(&[key, &[0]].concat()).is_err());
    }
    for text in ["", "!!!", "AAAA", "A".repeat(5000).as_str()] {
        let error = TpmPublic::from_base64("endorsement key", text).unwrap_err();
        assert!(error.http_status() == 400 && error.message.contains("endorsement key"), "{error}");
    }
}
