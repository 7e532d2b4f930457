//! CAs that a hub trusts, and those between, are held to what they say of themselves. The certificates come from openssl.

use crate::chain::anchors;
use crate::openssl::Oracle;
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use ferrohub_model::error::Error;
use ferrohub_model::limits;
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::chain::{
    Anchor, CODE_BAD_CERTIFICATE, CODE_UNTRUSTED, VerifiedLeaf, verify_client_chain, verify_client_chain_with,
};
use jiff::{Timestamp, ToSpan};
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};
use std::sync::atomic::{AtomicUsize, Ordering};

const CA: &str = "basicConstraints=critical,CA:TRUE";
const CERT_SIGN: &str = "keyUsage=critical,keyCertSign,cRLSign";
const LEAF: &str = "extendedKeyUsage=clientAuth";

/// Certificates by name in one folder of openssl's.
struct Made {
    oracle: Oracle,
    now: Timestamp,
}

impl Made {
    fn new() -> Self {
        // An hour on, so that what is made here is valid.
        Self { oracle: Oracle::new(), now: SystemClock.now() + 1.hours() }
    }

    /// A certificate `name`, signed by `issuer` or by itself, with these lines of extensions. Returns its DER.
    fn make(&self, name: &str, issuer: Option<&str>, days: u32, extensions: &[&str]) -> Vec<u8> {
        self.named(name, name, issuer, days, extensions)
    }

    fn named(&self, name: &str, subject: &str, issuer: Option<&str>, days: u32, extensions: &[&str]) -> Vec<u8> {
        let file = |ending: &str| format!("{name}.{ending}");
        let (key, csr, ext, pem, der) = (file("key"), file("csr"), file("ext"), file("pem"), file("der"));
        let (subject, days) = (format!("/CN={subject}"), days.to_string());
        self.oracle.write(&ext, extensions.join("\n"));
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        self.oracle.run(&[&["req", "-new", "-keyout", &key, "-out", &csr, "-subj", &subject], &curve[..]].concat());
        let by = issuer.map(|issuer| (format!("{issuer}.pem"), format!("{issuer}.key")));
        let mut sign = vec!["x509", "-req", "-in", &csr, "-days", &days, "-out", &pem, "-sha256"];
        match &by {
            Some((ca, ca_key)) => sign.extend(["-CA", ca, "-CAkey", ca_key, "-CAcreateserial"]),
            None => sign.extend(["-signkey", &key]),
        }
        if !extensions.is_empty() {
            sign.extend(["-extfile", &ext]);
        }
        self.oracle.run(&sign);
        self.oracle.run(&["x509", "-in", &pem, "-outform", "DER", "-out", &der]);
        self.oracle.read(&der)
    }

    fn verify(&self, presented: &[&[u8]], trusted: &[&[u8]]) -> Result<VerifiedLeaf, Error> {
        verify_client_chain(presented, &anchors(trusted), self.now)
    }

    fn refusal(&self, presented: &[&[u8]], trusted: &[&[u8]]) -> String {
        let error = self.verify(presented, trusted).unwrap_err();
        assert_eq!(error.iot_code, CODE_UNTRUSTED, "{error} {:?}", error.context);
        error.message
    }
}

#[test]
fn an_anchor_that_says_it_may_not_is_no_anchor() {
    let made = Made::new();
    for (name, extensions, word) in [
        ("usage", vec![CA, "keyUsage=critical,digitalSignature,cRLSign"], "lacks keyCertSign"),
        ("purpose", vec![CA, CERT_SIGN, "extendedKeyUsage=serverAuth"], "lacks clientAuth"),
        ("plain", vec!["basicConstraints=critical,CA:FALSE"], "is no certificate authority"),
    ] {
        let anchor = made.make(name, None, 30, &extensions);
        let leaf = made.make(&format!("{name}-leaf"), Some(name), 30, &[LEAF]);
        let message = made.refusal(&[&leaf], &[&anchor]);
        assert!(message.contains(word) && message.contains(name), "{message}");
        assert!(Anchor::new(Certificate::from_der(&anchor).unwrap()).certificate().lasting_ca_fault().is_some());
    }
    for (name, extensions) in [("bare", vec![CA]), ("any", vec![CA, CERT_SIGN, "extendedKeyUsage=anyExtendedKeyUsage"])]
    {
        let anchor = made.make(name, None, 30, &extensions);
        let leaf = made.make(&format!("{name}-leaf"), Some(name), 30, &[LEAF]);
        assert!(made.verify(&[&leaf], &[&anchor]).is_ok(), "{name}");
    }
}

#[test]
fn an_anchor_ends_and_begins_with_its_own_validity() {
    let mut made = Made::new();
    let anchor = made.make("root", None, 5, &[CA, CERT_SIGN]);
    let leaf = made.make("leaf", Some("root"), 30, &[LEAF]);
    let verified = made.verify(&[&leaf], &[&anchor]).unwrap();
    assert_eq!(
        verified.valid_until,
        Certificate::from_der(&anchor).unwrap().not_after(),
        "the path ends with its root"
    );
    made.now += (24 * 6).hours();
    let message = made.refusal(&[&leaf], &[&anchor]);
    assert!(message.contains("'CN=root'") && message.contains("has expired on"), "{message}");

    // The same name and key with a longer life: what has ended takes nothing away.
    made.oracle.run(&[
        "x509",
        "-in",
        "root.pem",
        "-signkey",
        "root.key",
        "-days",
        "60",
        "-outform",
        "DER",
        "-out",
        "again.der",
    ]);
    let again = made.oracle.read("again.der");
    assert_eq!(made.verify(&[&leaf], &[&anchor, &again]).unwrap().anchor_index, 1);

    made.now = SystemClock.now() - 48.hours();
    let message = made.refusal(&[&leaf], &[&anchor]);
    assert!(message.contains("not valid"), "{message}");
}

#[test]
fn a_self_signature_that_is_wrong_and_a_key_that_is_weak_make_no_anchor() {
    let made = Made::new();
    let mut anchor = made.make("root", None, 30, &[CA, CERT_SIGN]);
    let leaf = made.make("leaf", Some("root"), 30, &[LEAF]);
    let last = anchor.len() - 1;
    anchor[last] ^= 1;
    let message = made.refusal(&[&leaf], &[&anchor]);
    assert!(message.contains("wrong signature"), "{message}");

    made.oracle.run(&[
        "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-keyout", "weak.key", "-out", "weak.pem", "-subj",
        "/CN=weak", "-addext", CERT_SIGN,
    ]);
    made.oracle.run(&["x509", "-in", "weak.pem", "-outform", "DER", "-out", "weak.der"]);
    let leaf = made.make("below", Some("weak"), 30, &[LEAF]);
    let message = made.refusal(&[&leaf], &[&made.oracle.read("weak.der")]);
    assert!(message.contains("1024 bits"), "{message}");
}

#[test]
fn those_between_are_held_to_their_key_usage_and_the_anchor_to_its_path_length() {
    let made = Made::new();
    let root = made.make("root", None, 30, &[CA, CERT_SIGN]);
    let middle = made.make("middle", Some("root"), 30, &[CA, "keyUsage=critical,digitalSignature"]);
    let leaf = made.make("leaf", Some("middle"), 30, &[LEAF]);
    let message = made.refusal(&[&leaf, &middle], &[&root]);
    assert!(message.contains("'CN=middle'") && message.contains("lacks keyCertSign"), "{message}");

    let short = made.make("short", None, 30, &["basicConstraints=critical,CA:TRUE,pathlen:0", CERT_SIGN]);
    let middle = made.make("below", Some("short"), 30, &[CA, CERT_SIGN]);
    let leaf = made.make("last", Some("below"), 30, &[LEAF]);
    let message = made.refusal(&[&leaf, &middle], &[&short]);
    assert!(message.contains("'CN=short' above") && message.contains("allows 0 further"), "{message}");
    assert!(made.verify(&[&leaf, &middle], &[&middle]).is_ok(), "the one below may be trusted for itself");
    let direct = made.make("direct", Some("short"), 30, &[LEAF]);
    assert!(made.verify(&[&direct], &[&short]).is_ok());
}

#[test]
fn knotted_chains_lead_nowhere_and_a_straight_one_is_found_in_any_order() {
    let made = Made::new();
    let root = made.make("root", None, 30, &[CA, CERT_SIGN]);
    let ring: Vec<Vec<u8>> = {
        // Seven that each name the next as issuer, the last the first, which is made twice so that the ring closes.
        made.make("r0", Some("root"), 30, &[CA, CERT_SIGN]);
        for at in (1..7).rev() {
            let issuer = format!("r{}", (at + 1) % 7);
            made.make(&format!("r{at}"), Some(&issuer), 30, &[CA, CERT_SIGN]);
        }
        made.oracle.run(&[
            "x509", "-req", "-in", "r0.csr", "-CA", "r1.pem", "-CAkey", "r1.key", "-out", "r0.pem", "-extfile",
            "r0.ext",
        ]);
        made.oracle.run(&["x509", "-in", "r0.pem", "-outform", "DER", "-out", "r0.der"]);
        (0..7).map(|at| made.oracle.read(&format!("r{at}.der"))).collect()
    };
    let leaf = made.make("leaf", Some("r3"), 30, &[LEAF]);
    let presented: Vec<&[u8]> = [leaf.as_slice()].into_iter().chain(ring.iter().map(Vec::as_slice)).collect();
    assert_eq!(presented.len(), limits::CHAIN_LENGTH);
    let message = made.refusal(&presented, &[&root]);
    assert!(message.contains("unknown issuer 'CN=r3'"), "{message}");
    assert_eq!(signatures(&presented, &[&root], made.now), 0, "a ring costs nothing");
    // Where the ring has the name of an anchor, its line is tried once.
    let stranger = made.named("stranger", "r3", None, 30, &[CA, CERT_SIGN]);
    let looked_at = signatures(&presented, &[&stranger], made.now);
    assert!(looked_at <= limits::CHAIN_LENGTH, "{looked_at}");

    let high = made.make("high", Some("root"), 30, &[CA, CERT_SIGN]);
    let low = made.make("low", Some("high"), 20, &[CA, CERT_SIGN]);
    let end = made.make("end", Some("low"), 30, &[LEAF]);
    for presented in [[&end, &low, &high, &root], [&end, &root, &high, &low], [&end, &high, &root, &low]] {
        let presented: Vec<&[u8]> = presented.into_iter().map(Vec::as_slice).collect();
        let verified = made.verify(&presented, &[&root]).unwrap();
        assert_eq!(verified.valid_until, Certificate::from_der(&low).unwrap().not_after());
        assert_eq!(signatures(&presented, &[&root], made.now), 3);
    }
    // Two of one name: the key identifier says which is meant.
    let other = made.named("other", "low", Some("high"), 30, &[CA, CERT_SIGN]);
    assert!(made.verify(&[&end, &other, &low, &high], &[&root]).is_ok());
}

#[test]
fn a_certificate_without_an_end_is_one_and_version_1_makes_no_chain() {
    let made = Made::new();
    made.make("root", None, 30, &[CA, CERT_SIGN]);
    made.oracle.write("index", "");
    made.oracle.write(
        "ca.cnf",
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n",
    );
    made.oracle.run(&[
        "ca",
        "-batch",
        "-config",
        "ca.cnf",
        "-selfsign",
        "-in",
        "root.csr",
        "-keyfile",
        "root.key",
        "-extfile",
        "root.ext",
        "-enddate",
        "99991231235959Z",
        "-out",
        "endless.pem",
        "-notext",
    ]);
    made.oracle.run(&["x509", "-in", "endless.pem", "-outform", "DER", "-out", "endless.der"]);
    let endless = made.oracle.read("endless.der");
    assert_eq!(Certificate::from_der(&endless).unwrap().not_after(), Timestamp::MAX);
    let leaf = made.make("leaf", Some("root"), 30, &[LEAF]);
    assert!(made.verify(&[&leaf], &[&endless]).is_ok());

    let old = made.make("old", Some("root"), 30, &[]);
    let error = made.verify(&[&old], &[&endless]).unwrap_err();
    assert_eq!(error.iot_code, CODE_BAD_CERTIFICATE);
    assert!(error.message.contains("older version"), "{error} {:?}", error.context);
}

#[test]
fn many_anchors_of_one_name_are_few_signatures() {
    let made = Made::new();
    let (without, key_id) = ("subjectKeyIdentifier=none", "authorityKeyIdentifier=none");
    let twins: Vec<Vec<u8>> =
        (0..20).map(|nth| made.named(&format!("t{nth}"), "twin", None, 30, &[CA, CERT_SIGN])).collect();
    let mut trusted: Vec<&[u8]> = twins.iter().map(Vec::as_slice).collect();
    // The key that the leaf names is the nineteenth.
    let leaf = made.make("leaf", Some("t18"), 30, &[LEAF]);
    assert_eq!(made.verify(&[&leaf], &trusted).unwrap().anchor_index, 18);
    assert_eq!(signatures(&[&leaf], &trusted, made.now), 1);
    // One that names none is tried with a few.
    let bare = made.named("bare", "twin", None, 30, &[CA, CERT_SIGN, without, key_id]);
    let leaf = made.make("anonymous", Some("bare"), 30, &[LEAF, key_id]);
    assert!(made.verify(&[&leaf], &[&bare]).is_ok());
    trusted.push(&bare);
    assert!(signatures(&[&leaf], &trusted, made.now) <= limits::CHAIN_CANDIDATES);
}

/// How many signatures are looked at until the chain is accepted or refused.
fn signatures(presented: &[&[u8]], trusted: &[&[u8]], now: Timestamp) -> usize {
    let counting: Vec<Counting> = webpki::ALL_VERIFICATION_ALGS.iter().map(|inner| Counting::of(*inner)).collect();
    let algorithms: Vec<&dyn SignatureVerificationAlgorithm> =
        counting.iter().map(|one| one as &dyn SignatureVerificationAlgorithm).collect();
    // Whether it is good others tests say.
    let _ = verify_client_chain_with(&algorithms, presented, &anchors(trusted), now);
    counting.iter().map(|one| one.looked_at.load(Ordering::Relaxed)).sum()
}

/// An algorithm that counts what it is asked.
#[derive(Debug)]
struct Counting {
    inner: &'static dyn SignatureVerificationAlgorithm,
    looked_at: AtomicUsize,
}

impl Counting {
    fn of(inner: &'static dyn SignatureVerificationAlgorithm) -> Self {
        Self { inner, looked_at: AtomicUsize::new(0) }
    }
}

impl SignatureVerificationAlgorithm for Counting {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let outcome = self.inner.verify_signature(key, message, signature);
        self.looked_at.fetch_add(1, Ordering::Relaxed);
        outcome
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.inner.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.inner.signature_alg_id()
    }
}
