//! Authorities, validity, profiles, and authorities that openssl made.

use crate::openssl::{Oracle, Pair, assert_ok, issue, leaf_fields, new_key, ready};
use async_trait::async_trait;
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{ErrorKind, Result};
use ferrohub_pki::algorithm::{KeyKind, SignatureAlgorithm};
use ferrohub_pki::authority::{create_issuing, create_root, create_self_signed};
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::chain::{Anchor, verify_client_chain};
use ferrohub_pki::crl::build_crl;
use ferrohub_pki::csr::CertificateRequest;
use ferrohub_pki::issue::{Issuer, Serial, SerialBlock};
use ferrohub_pki::name::SubjectName;
use ferrohub_pki::profile::{LeafFields, Profile};
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::signer::{Signer, SoftwareSigner};
use jiff::Timestamp;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const DAY: i64 = 86_400;

fn later(now: Timestamp, days: i64) -> Timestamp {
    Timestamp::from_second(now.as_second() + days * DAY).unwrap()
}

fn leaf(issuer: &Issuer, fields: LeafFields, now: Timestamp) -> Certificate {
    issue(issuer, &Profile::leaf(fields).unwrap(), now)
}

#[test]
fn authorities_have_the_asked_subject_validity_and_constraints() {
    let pair = Pair::new();
    let (root, issuing) = (pair.root.certificate(), pair.issuing.certificate());
    assert_eq!(root.subject().to_string(), "CN=Test Root,O=Plant 7");
    assert!(root.is_ca() && root.is_self_issued() && root.path_length() == Some(1));
    assert!(issuing.is_ca() && !issuing.is_self_issued() && issuing.path_length() == Some(0));
    assert_eq!(issuing.issuer(), root.subject());
    issuing.verify_signed_by(root).unwrap();
    root.verify_signed_by(root).unwrap();
    assert!(root.verify_signed_by(issuing).is_err());
    let years = |certificate: &Certificate| (certificate.not_after().as_second() - pair.now.as_second()) / (365 * DAY);
    assert_eq!((years(root), years(issuing)), (40, 20));
    assert_eq!(pair.now.as_second() - issuing.not_before().as_second(), 300);

    let oracle = Oracle::new();
    oracle.write("root.pem", root.to_pem());
    let text = oracle.run(&["x509", "-in", "root.pem", "-noout", "-text"]);
    assert!(text.contains("CA:TRUE, pathlen:1") && text.contains("Digital Signature, Certificate Sign, CRL Sign"));
    // 40 years from now is past 2049: GeneralizedTime, 13 for the start.
    let asn1 = oracle.run(&["asn1parse", "-in", "root.pem"]);
    assert!(asn1.contains("UTCTIME") && asn1.contains("GENERALIZEDTIME"), "{asn1}");
}

/// Every kind of key that an authority may have, as root and as issuing CA, with a leaf of every kind of key that a device
/// may have: openssl takes chain and revocation list, and so do we.
#[test]
fn authorities_of_every_kind_of_key_are_good_to_openssl() {
    let (oracle, now) = (Oracle::new(), SystemClock.now());
    let kinds = [KeyKind::P384, KeyKind::P256, KeyKind::P521, KeyKind::Rsa(3072)];
    for (index, kind) in kinds.into_iter().enumerate() {
        let above = kinds[(index + 1) % kinds.len()];
        let root = ready(create_root(SubjectName::parse("CN=R").unwrap(), new_key(above), &SystemRandom, now)).unwrap();
        let profile = Profile::issuing(SubjectName::parse("CN=I").unwrap(), None).unwrap();
        let issuing = ready(create_issuing(&root, &profile, new_key(kind), &SystemRandom, now)).unwrap();
        let (root_pem, issuing_pem) = (root.certificate().to_pem(), issuing.certificate().to_pem());
        let (start, end) = (later(now, -1), later(now, 1));
        let mut lists = String::new();
        for (name, issuer) in [("issuing", &issuing), ("root", &root)] {
            oracle.write("list.der", ready(build_crl(issuer, 1, start, end, &[])).unwrap());
            oracle.run(&["crl", "-inform", "DER", "-in", "list.der", "-out", name]);
            lists += &String::from_utf8(oracle.read(name)).unwrap();
        }
        oracle.write("lists.pem", lists);
        for key in [
            "-newkey ec -pkeyopt ec_paramgen_curve:P-256",
            "-newkey ec -pkeyopt ec_paramgen_curve:P-384",
            "-newkey ec -pkeyopt ec_paramgen_curve:P-521",
            "-newkey rsa:2048",
            "-newkey rsa:3072",
            "-newkey ed25519",
        ] {
            let request = CertificateRequest::from_der(&oracle.request("d", key, "")).unwrap();
            let profile = Profile::leaf(leaf_fields("d")).unwrap();
            let serial = Serial::random(&SystemRandom);
            let prepared = issuing.prepare(&profile, request.public_key_info_der(), serial, now).unwrap();
            let leaf = ready(prepared.issue()).unwrap();
            let checked = ["-crl_check_all", "-CRLfile", "lists.pem"];
            let output = oracle.verify("sslclient", &leaf.to_pem(), &issuing_pem, &root_pem, &checked);
            assert_ok(&output, &format!("{kind} under {above}, leaf {key}"));
            let chain = [leaf.der().to_vec(), issuing.certificate().der().to_vec()];
            let anchor = Anchor::new(root.certificate().clone());
            verify_client_chain(&chain, &[anchor], now).unwrap();
        }
    }
}

#[test]
fn certificates_survive_pem_and_base64() {
    let pair = Pair::new();
    let root = pair.root.certificate();
    assert_eq!(&Certificate::from_pem(&root.to_pem()).unwrap(), root);
    assert_eq!(&Certificate::from_pem_or_base64(&root.to_base64()).unwrap(), root);
    let both = format!("{}{}", pair.issuing.certificate().to_pem(), root.to_pem());
    assert_eq!(Certificate::chain_from_pem(&both).unwrap().len(), 2);
    assert!(Certificate::chain_from_pem(&both.repeat(5)).is_err(), "more than the limit");
    for text in ["", "hello", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"] {
        assert!(Certificate::from_pem_or_base64(text).is_err());
    }
    let oracle = Oracle::new();
    oracle.write("root.pem", root.to_pem());
    let print = oracle.run(&["x509", "-in", "root.pem", "-noout", "-fingerprint", "-sha256"]).replace(':', "");
    assert!(print.contains(root.sha256()), "{print}");
    let print = oracle.run(&["x509", "-in", "root.pem", "-noout", "-fingerprint", "-sha1"]).replace(':', "");
    assert!(print.contains(root.sha1()), "{print}");
    assert!(oracle.run(&["x509", "-in", "root.pem", "-noout", "-serial"]).contains(root.serial_hex()));
}

/// Whoever signs without reading gets what a reader finds in the bytes, fractions of a second and a cut end included.
#[test]
fn what_was_signed_says_what_its_bytes_say() {
    let pair = Pair::new();
    let key = SoftwareSigner::generate(KeyKind::P256).unwrap();
    let profile = Profile::leaf(leaf_fields("device-1")).unwrap();
    let odd = pair.now.checked_add(std::time::Duration::from_millis(678)).unwrap();
    for now in [odd, later(pair.issuing.certificate().not_after(), -10)] {
        let serial = Serial::from_random([9; 16]);
        let prepared = pair.issuing.prepare(&profile, key.public_key_info_der(), serial, now).unwrap();
        let signed = ready(prepared.sign()).unwrap();
        let read = Certificate::from_der(signed.der()).unwrap();
        assert_eq!((signed.not_before(), signed.not_after()), (read.not_before(), read.not_after()));
        assert_eq!((signed.sha256().as_str(), read.serial_hex()), (read.sha256(), serial.to_hex().as_str()));
    }
}

#[test]
fn a_leaf_never_outlives_its_issuer_and_says_that_it_was_cut() {
    let pair = Pair::new();
    let end = pair.issuing.certificate().not_after();
    let near = later(end, -10);
    let key = SoftwareSigner::generate(KeyKind::P256).unwrap();
    let profile = Profile::leaf(leaf_fields("device-1")).unwrap();
    let prepared =
        pair.issuing.prepare(&profile, key.public_key_info_der(), Serial::from_random([9; 16]), near).unwrap();
    assert!(prepared.was_cut());
    assert_eq!(ready(prepared.issue()).unwrap().not_after(), end);
    let after = pair.issuing.prepare(&profile, key.public_key_info_der(), Serial::from_random([9; 16]), end);
    assert_eq!(after.unwrap_err().kind, ErrorKind::Conflict);
    let long = leaf(&pair.issuing, LeafFields { days: 3650, ..leaf_fields("device-1") }, pair.now);
    assert_eq!(long.not_after().as_second(), pair.now.as_second() + 3650 * DAY);
}

#[test]
fn a_root_too_near_its_end_makes_no_issuing_authority() {
    let pair = Pair::new();
    let profile = Profile::issuing(SubjectName::parse("CN=Late").unwrap(), None).unwrap();
    let late = later(pair.root.certificate().not_after(), -3000);
    let error = ready(create_issuing(&pair.root, &profile, new_key(KeyKind::P384), &SystemRandom, late)).unwrap_err();
    assert!(error.message.contains("create a new root first"), "{error}");
}

#[test]
fn fields_out_of_range_are_refused() {
    let name = || SubjectName::parse("CN=x").unwrap();
    for (years, issuing) in [(29, 14), (101, 101)] {
        assert_eq!(Profile::root(name(), Some(years)).unwrap_err().target.as_deref(), Some("validityYears"));
        assert!(Profile::issuing(name(), Some(issuing)).is_err());
    }
    let bad = [
        LeafFields { days: 0, ..leaf_fields("d") },
        LeafFields { days: 3651, ..leaf_fields("d") },
        leaf_fields(""),
        leaf_fields(&"a".repeat(129)),
        LeafFields { crl_url: Some("ftp://x/y".to_owned()), ..leaf_fields("d") },
        LeafFields { issuer_url: Some("http://x/a b".to_owned()), ..leaf_fields("d") },
    ];
    for fields in bad {
        assert_eq!(Profile::leaf(fields.clone()).unwrap_err().code, "InvalidPropertyValue", "{fields:?}");
    }
    let pair = Pair::new();
    let longest = leaf(&pair.issuing, leaf_fields(&"a".repeat(128)), pair.now);
    assert_eq!(longest.common_name().map(str::len), Some(128));
    let garbage = pair.issuing.prepare(
        &Profile::leaf(leaf_fields("d")).unwrap(),
        b"no key",
        Serial::from_random([1; 16]),
        pair.now,
    );
    assert_eq!(garbage.unwrap_err().kind, ErrorKind::Invalid);
}

#[test]
fn an_issuer_needs_its_own_key_and_a_ca_certificate() {
    let now = SystemClock.now();
    let own = new_key(KeyKind::P384);
    let name = SubjectName::parse("CN=Own Root").unwrap();
    let root = ready(create_root(name.clone(), own.clone(), &SystemRandom, now)).unwrap();
    ready(Issuer::new(root.certificate().clone(), own.clone())).unwrap();
    let error = ready(Issuer::new(root.certificate().clone(), new_key(KeyKind::P384))).unwrap_err();
    assert!(error.message.contains("does not belong"), "{error}");
    let pair = Pair::new();
    let end = leaf(&pair.issuing, leaf_fields("d"), pair.now);
    let error = ready(Issuer::new(end, own)).unwrap_err();
    assert!(error.message.contains("CA:TRUE"), "{error}");
    let error = ready(create_root(name, new_key(KeyKind::Rsa(2048)), &SystemRandom, now)).unwrap_err();
    assert_eq!(error.target.as_deref(), Some("keyType"), "{error}");
}

/// A device that, after `good` signatures, returns well-formed ones over something else.
struct Faulty {
    key: Arc<SoftwareSigner>,
    good: AtomicUsize,
}

#[async_trait]
impl Signer for Faulty {
    fn public_key_info_der(&self) -> &[u8] {
        self.key.public_key_info_der()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let left = self.good.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        self.key.sign_in_process(if left.is_ok() { message } else { b"something else" })
    }
}

#[test]
fn a_signature_that_does_not_verify_is_never_handed_out() {
    let pair = Pair::new();
    let own = new_key(KeyKind::P384);
    let root = create_root(SubjectName::parse("CN=Faulty").unwrap(), own.clone(), &SystemRandom, pair.now);
    let certificate = ready(root).unwrap().certificate().clone();
    let faulty = |good| Arc::new(Faulty { key: own.clone(), good: AtomicUsize::new(good) });
    assert!(ready(Issuer::new(certificate.clone(), faulty(0))).is_err());
    let issuer = ready(Issuer::new(certificate, faulty(1))).unwrap();
    let key = SoftwareSigner::generate(KeyKind::P256).unwrap();
    let profile = Profile::leaf(leaf_fields("device-1")).unwrap();
    let serial = Serial::from_random([3; 16]);
    let prepared = issuer.prepare(&profile, key.public_key_info_der(), serial, pair.now).unwrap();
    let error = ready(prepared.issue()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Internal);
    assert!(error.context.unwrap().contains("does not verify"));
}

#[test]
fn serials_of_a_block_begin_alike_and_end_at_random() {
    let block = SerialBlock::random(&SystemRandom);
    assert_ne!(block, SerialBlock::random(&SystemRandom));
    let serials: HashSet<Serial> = (0..100).map(|_| Serial::in_block(block, &SystemRandom)).collect();
    assert_eq!(serials.len(), 100);
    for serial in serials {
        assert!(serial.to_hex().to_ascii_lowercase().starts_with(&block.to_hex()));
        assert!((0x40..0x80).contains(&serial.as_bytes()[0]), "positive, and always 32 digits");
    }
}

#[test]
fn a_p256_authority_issues_with_sha256() {
    let (oracle, now) = (Oracle::new(), SystemClock.now());
    let profile = Profile::root(SubjectName::parse("CN=Small Root").unwrap(), Some(30)).unwrap();
    let root = ready(create_self_signed(&profile, new_key(KeyKind::P256), &SystemRandom, now)).unwrap();
    let profile = Profile::issuing(SubjectName::parse("CN=Small ICA").unwrap(), Some(15)).unwrap();
    let issuing = ready(create_issuing(&root, &profile, new_key(KeyKind::P256), &SystemRandom, now)).unwrap();
    let end = leaf(&issuing, leaf_fields("device-1"), now);
    assert_ok(
        &oracle.verify("sslclient", &end.to_pem(), &issuing.certificate().to_pem(), &root.certificate().to_pem(), &[]),
        "P-256 chain",
    );
    assert!(oracle.run(&["x509", "-in", "leaf.pem", "-noout", "-text"]).contains("ecdsa-with-SHA256"));
}

/// Bring your own CA: root and issuing CA by openssl, leaf by us.
#[test]
fn an_authority_made_by_openssl_can_issue() {
    let oracle = Oracle::new();
    let ca = "basicConstraints=critical,CA:TRUE,pathlen:1";
    let usage = "keyUsage=critical,digitalSignature,keyCertSign,cRLSign";
    oracle.run(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-384",
        "-nodes",
        "-keyout",
        "r.key",
        "-out",
        "r.pem",
        "-days",
        "9000",
        "-subj",
        "/C=DE/O=Plant 7/CN=Own Root",
        "-addext",
        ca,
        "-addext",
        usage,
    ]);
    oracle.write("ext.cnf", format!("basicConstraints=critical,CA:TRUE,pathlen:0\n{usage}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"));
    oracle.run(&[
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "i.key",
        "-out",
        "i.csr",
        "-subj",
        "/C=DE/O=Plant 7/CN=Own ICA",
    ]);
    oracle.run(&[
        "x509", "-req", "-in", "i.csr", "-CA", "r.pem", "-CAkey", "r.key", "-days", "8000", "-extfile", "ext.cnf",
        "-out", "i.pem",
    ]);
    oracle.run(&["pkcs8", "-topk8", "-nocrypt", "-in", "i.key", "-outform", "DER", "-out", "i.p8"]);
    let certificate = Certificate::from_pem(&String::from_utf8(oracle.read("i.pem")).unwrap()).unwrap();
    assert_eq!(certificate.subject().to_string(), "CN=Own ICA,O=Plant 7,C=DE");
    let signer = SoftwareSigner::from_pkcs8(&oracle.read("i.p8")).unwrap();
    let issuer = ready(Issuer::new(certificate, Arc::new(signer))).unwrap();
    // openssl's certificate starts now, in whole seconds: the backdated start must be cut to it.
    let now = SystemClock.now().checked_add(Duration::from_secs(2)).unwrap();
    let end = leaf(&issuer, leaf_fields("device-1"), now);
    let (issuing, root) = (oracle.read("i.pem"), oracle.read("r.pem"));
    let (issuing, root) = (String::from_utf8(issuing).unwrap(), String::from_utf8(root).unwrap());
    assert_ok(&oracle.verify("sslclient", &end.to_pem(), &issuing, &root, &[]), "own CA");
}
