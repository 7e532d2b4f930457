//! Random and damaged bytes never panic, and damaged signed things are never accepted.

use crate::chain::anchors;
use crate::openssl::{Oracle, Pair};
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::chain::verify_client_chain;
use ferrohub_pki::csr::CertificateRequest;
use ferrohub_pki::name::SubjectName;
use ferrohub_pki::public_key::PublicKey;
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::seal::{Aad, DataKey, MasterKey, key_id_of, open};
use ferrohub_pki::signer::SoftwareSigner;
use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::LazyLock;
use uuid::Uuid;

/// All valid, DER.
struct Good {
    request: Vec<u8>,
    leaf: Vec<u8>,
    issuing: Vec<u8>,
    now: Timestamp,
}

static GOOD: LazyLock<Good> = LazyLock::new(|| {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256";
    let request = Oracle::new().request("device-1", key, "-addext basicConstraints=CA:TRUE");
    let pair = Pair::new();
    let leaf = pair.leaf("device-1").der().to_vec();
    Good { request, leaf, issuing: pair.issuing.certificate().der().to_vec(), now: pair.now }
});

fn damaged(bytes: &[u8], at: prop::sample::Index, xor: u8) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    let index = at.index(copy.len());
    copy[index] ^= xor;
    copy
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_refused(bytes in vec(any::<u8>(), 0..600)) {
        prop_assert!(CertificateRequest::from_der(&bytes).is_err());
        prop_assert!(Certificate::from_der(&bytes).is_err());
        prop_assert!(PublicKey::from_spki(&bytes).is_err());
        prop_assert!(SoftwareSigner::from_pkcs8(&bytes).is_err());
        let good = &*GOOD;
        prop_assert!(verify_client_chain(&[&bytes], &anchors(&[&good.issuing]), good.now).is_err());
        let key = DataKey::generate(&SystemRandom);
        let place = Aad { table: "t", row: "r", field: "f" };
        prop_assert!(open(Uuid::nil(), &key, &place, &bytes).is_err());
        let _ = key_id_of(&bytes);
        prop_assert_eq!(MasterKey::from_bytes(&bytes).is_ok(), bytes.len() == 32);
    }

    #[test]
    fn random_text_never_panics(text in any::<String>()) {
        prop_assert!(CertificateRequest::from_base64(&text, 8192).is_err());
        prop_assert!(Certificate::from_pem_or_base64(&text).is_err());
        prop_assert!(MasterKey::from_text(&text).is_err());
        let _ = SubjectName::parse(&text);
        let _ = ferrohub_pki::key::verify_secret("s", &text);
    }

    #[test]
    fn names_survive_text_and_der(common_name in "[^\\p{C}]{1,128}", organization in "[^\\p{C}]{1,60}") {
        let plain = SubjectName::from_common_name(&common_name).unwrap();
        prop_assert_eq!(plain.common_name(), Some(common_name.as_str()));
        prop_assert_eq!(&SubjectName::parse(&plain.to_string()).unwrap(), &plain);
        let text = format!("{plain},O={}", SubjectName::from_common_name(&organization).unwrap().to_string().trim_start_matches("CN="));
        let both = SubjectName::parse(&text).unwrap();
        prop_assert_eq!(both.to_string(), text);
        prop_assert_eq!(&SubjectName::from_der(&both.to_der().unwrap()).unwrap(), &both);
        prop_assert!(both.matches(&both) && !both.matches(&plain));
    }

    #[test]
    fn a_damaged_request_is_never_accepted(at in any::<prop::sample::Index>(), xor in 1u8..=255) {
        prop_assert!(CertificateRequest::from_der(&damaged(&GOOD.request, at, xor)).is_err());
    }

    #[test]
    fn a_damaged_chain_is_never_accepted(at in any::<prop::sample::Index>(), xor in 1u8..=255) {
        let good = &*GOOD;
        prop_assert!(verify_client_chain(&[&good.leaf], &anchors(&[&good.issuing]), good.now).is_ok());
        let leaf = damaged(&good.leaf, at, xor);
        prop_assert!(verify_client_chain(&[&leaf], &anchors(&[&good.issuing]), good.now).is_err());
        let _ = Certificate::from_der(&leaf);
    }

    #[test]
    fn a_cut_request_or_certificate_is_never_accepted(at in any::<prop::sample::Index>()) {
        let good = &*GOOD;
        prop_assert!(CertificateRequest::from_der(&good.request[..at.index(good.request.len())]).is_err());
        prop_assert!(Certificate::from_der(&good.leaf[..at.index(good.leaf.len())]).is_err());
    }
}
