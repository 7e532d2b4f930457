//! Client chains: what is trusted, what is refused, and with which code.

use crate::openssl::{Oracle, Pair, issue, leaf_fields, new_key, ready};
use ferrohub_model::error::{Error, ErrorKind};
use ferrohub_model::limits;
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::authority::create_issuing;
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::chain::{self, Anchor, CODE_BAD_CERTIFICATE, CODE_UNTRUSTED, VerifiedLeaf};
use ferrohub_pki::profile::{Profile, ServerFields};
use ferrohub_pki::random::SystemRandom;
use jiff::Timestamp;

/// The anchors of a hub, from what it holds.
pub(crate) fn anchors(ders: &[&[u8]]) -> Vec<Anchor> {
    ders.iter().map(|der| Anchor::new(Certificate::from_der(der).unwrap())).collect()
}

fn verify_client_chain(presented: &[&[u8]], trusted: &[&[u8]], now: Timestamp) -> Result<VerifiedLeaf, Error> {
    chain::verify_client_chain(presented, &anchors(trusted), now)
}

fn refused(presented: &[&[u8]], trusted: &[&[u8]], now: Timestamp, code: u32) -> Error {
    let error = verify_client_chain(presented, trusted, now).unwrap_err();
    assert_eq!((error.kind, error.iot_code), (ErrorKind::Unauthenticated, code), "{error} {:?}", error.context);
    error
}

#[test]
fn an_issuing_ca_is_an_anchor_for_one_two_and_three_certificates() {
    let pair = Pair::new();
    let other = Pair::new();
    let end = pair.leaf("device-1");
    let (ica, root) = (pair.issuing.certificate(), pair.root.certificate());
    let strange = other.root.certificate().der();
    for presented in [vec![end.der()], vec![end.der(), ica.der()], vec![end.der(), ica.der(), root.der()]] {
        let verified = verify_client_chain(&presented, &[strange, ica.der()], pair.now).unwrap();
        assert_eq!(verified.common_name.as_deref(), Some("device-1"));
        assert_eq!(verified.credential_id, Some(leaf_fields("").credential_id));
        assert_eq!((verified.sha256.as_str(), verified.serial_hex.as_str()), (end.sha256(), end.serial_hex()));
        assert_eq!((verified.anchor_index, verified.anchor_sha256.as_str()), (1, ica.sha256()));
        assert_eq!(verified.valid_until, end.not_after());
    }
}

#[test]
fn a_root_is_an_anchor_where_the_issuing_ca_is_sent() {
    let pair = Pair::new();
    let end = pair.leaf("device-1");
    let (ica, root) = (pair.issuing.certificate(), pair.root.certificate());
    for presented in
        [vec![end.der(), ica.der()], vec![end.der(), ica.der(), root.der()], vec![end.der(), root.der(), ica.der()]]
    {
        assert_eq!(verify_client_chain(&presented, &[root.der()], pair.now).unwrap().anchor_index, 0);
    }
    let error = refused(&[end.der()], &[root.der()], pair.now, CODE_UNTRUSTED);
    assert!(error.message.contains("unknown issuer 'CN=Policy A,O=Plant 7'"), "{error}");
    refused(&[end.der(), ica.der()], &[], pair.now, CODE_UNTRUSTED);
}

#[test]
fn an_issuing_ca_of_the_same_name_with_another_key_is_not_trusted() {
    let (pair, twin) = (Pair::new(), Pair::new());
    let end = pair.leaf("device-1");
    refused(&[end.der()], &[twin.issuing.certificate().der()], pair.now, CODE_UNTRUSTED);
    refused(&[end.der(), pair.issuing.certificate().der()], &[twin.root.certificate().der()], pair.now, CODE_UNTRUSTED);
}

#[test]
fn time_purpose_and_kind_are_checked() {
    let pair = Pair::new();
    let end = pair.leaf("device-1");
    let anchor = pair.issuing.certificate();
    let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
    let expired = refused(&[end.der()], &[anchor.der()], at(end.not_after().as_second() + 1), CODE_UNTRUSTED);
    assert!(expired.message.contains("expired"), "{expired}");
    let early = refused(&[end.der()], &[anchor.der()], at(end.not_before().as_second() - 1), CODE_UNTRUSTED);
    assert!(early.message.contains("not valid yet"), "{early}");
    let fields = ServerFields { dns_names: vec!["hub.test".to_owned()], ip_addresses: vec![], days: 30 };
    let server = issue(&pair.issuing, &Profile::server(fields).unwrap(), pair.now);
    let purpose = refused(&[server.der()], &[anchor.der()], pair.now, CODE_UNTRUSTED);
    assert!(purpose.message.contains("not for client authentication"), "{purpose}");
    let authority = refused(&[anchor.der()], &[pair.root.certificate().der()], pair.now, CODE_UNTRUSTED);
    assert!(authority.message.contains("CA certificate"), "{authority}");
}

/// An issuing CA (path length 0) must not make another CA that devices are trusted through.
#[test]
fn a_path_longer_than_the_constraint_is_refused() {
    let pair = Pair::new();
    let profile = Profile::issuing(ferrohub_pki::name::SubjectName::parse("CN=Below").unwrap(), None).unwrap();
    let below =
        ready(create_issuing(&pair.issuing, &profile, new_key(KeyKind::P384), &SystemRandom, pair.now)).unwrap();
    let end = issue(&below, &Profile::leaf(leaf_fields("device-1")).unwrap(), pair.now);
    let presented = [end.der(), below.certificate().der(), pair.issuing.certificate().der()];
    let error = refused(&presented, &[pair.root.certificate().der()], pair.now, CODE_UNTRUSTED);
    assert!(error.message.contains("too long"), "{error} {:?}", error.context);
}

#[test]
fn sizes_are_capped_before_a_path_is_built() {
    let pair = Pair::new();
    let end = pair.leaf("device-1");
    let anchor = pair.issuing.certificate().der();
    assert!(refused(&[], &[anchor], pair.now, CODE_BAD_CERTIFICATE).message.contains("no certificate"));
    let many = vec![end.der(); limits::CHAIN_LENGTH + 1];
    assert!(refused(&many, &[anchor], pair.now, CODE_BAD_CERTIFICATE).message.contains("9 certificates"));
    let large = vec![0x30; limits::CERTIFICATE_BYTES + 1];
    assert!(refused(&[end.der(), &large], &[anchor], pair.now, CODE_BAD_CERTIFICATE).message.contains("bytes"));
    assert!(refused(&[b"garbage"], &[anchor], pair.now, CODE_BAD_CERTIFICATE).message.contains("malformed"));
    let mut corrupted = end.der().to_vec();
    let last = corrupted.len() - 1;
    corrupted[last] ^= 1;
    refused(&[&corrupted], &[anchor], pair.now, CODE_UNTRUSTED);

    let oracle = Oracle::new();
    // Several primes are found sooner.
    for (bits, primes, word) in [("rsa:1024", "2", "too weak"), ("rsa:8200", "5", "too large")] {
        let primes = format!("rsa_keygen_primes:{primes}");
        oracle.run(&[
            "req", "-x509", "-newkey", bits, "-pkeyopt", &primes, "-nodes", "-keyout", "k", "-outform", "DER", "-out",
            "c.der", "-subj", "/CN=x",
        ]);
        let error = refused(&[end.der(), &oracle.read("c.der")], &[anchor], pair.now, CODE_BAD_CERTIFICATE);
        assert!(error.message.contains(word), "{error}");
    }
}
