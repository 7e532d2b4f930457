//! An issuing CA under somebody else's root: openssl reads the request and signs it, well and badly.

use crate::openssl::{Oracle, new_key, ready};
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::external::{check_chain, request, request_pem};
use ferrohub_pki::name::SubjectName;
use jiff::{Timestamp, ToSpan};

const SUBJECT: &str = "CN=Plant 7 Issuing,O=Acme";
const USAGE: &str = "keyUsage=critical,digitalSignature,keyCertSign,cRLSign";
const ROOT: &[&str] = &["basicConstraints=critical,CA:TRUE,pathlen:1", USAGE, "subjectKeyIdentifier=hash"];
const ISSUING: &[&str] = &["basicConstraints=critical,CA:TRUE,pathlen:0", USAGE, "subjectKeyIdentifier=hash"];
const P384: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-384";

/// A request of ours and a folder in which openssl answers it.
struct Customer {
    oracle: Oracle,
    request: Vec<u8>,
    now: Timestamp,
}

impl Customer {
    fn new() -> Self {
        let oracle = Oracle::new();
        let key = new_key(KeyKind::P384);
        let request = ready(request(&SubjectName::parse(SUBJECT).unwrap(), key.as_ref())).unwrap();
        oracle.write("ica.csr", request_pem(&request));
        // An hour on, so that what is made here is valid.
        Self { oracle, request, now: SystemClock.now() + 1.hours() }
    }

    fn key(&self, name: &str, words: &str) {
        let file = format!("{name}.key");
        let mut args = vec!["genpkey", "-out", &file];
        args.extend(words.split_whitespace());
        self.oracle.run(&args);
    }

    /// A root `name`, self-signed with a key of its own; gives its PEM.
    fn root(&self, name: &str, key: &str, extensions: &[&str]) -> String {
        self.key(name, key);
        let (file, pem, ext) = (format!("{name}.key"), format!("{name}.pem"), format!("{name}.ext"));
        let subject = format!("/O=Acme/CN={name}");
        self.oracle.run(&["req", "-new", "-key", &file, "-subj", &subject, "-out", "root.csr"]);
        self.oracle.write(&ext, extensions.join("\n"));
        let mut sign =
            vec!["x509", "-req", "-in", "root.csr", "-signkey", &file, "-days", "3650", "-sha384", "-out", &pem];
        if !extensions.is_empty() {
            sign.extend(["-extfile", &ext]);
        }
        self.oracle.run(&sign);
        self.text(&pem)
    }

    /// A certificate for the request, signed by the root `by`; without extensions given it copies those of the request.
    fn sign(&self, by: &str, extensions: Option<&[&str]>, words: &str) -> String {
        let (ca, key) = (format!("{by}.pem"), format!("{by}.key"));
        let mut sign =
            vec!["x509", "-req", "-in", "ica.csr", "-CA", &ca, "-CAkey", &key, "-CAcreateserial", "-out", "ica.pem"];
        match extensions {
            Some(lines) => {
                self.oracle.write("ica.ext", lines.join("\n"));
                sign.extend(["-extfile", "ica.ext"]);
            }
            None => sign.extend(["-copy_extensions", "copy"]),
        }
        let words = if words.is_empty() { "-days 730 -sha384" } else { words };
        sign.extend(words.split_whitespace());
        self.oracle.run(&sign);
        self.text("ica.pem")
    }

    fn text(&self, file: &str) -> String {
        String::from_utf8(self.oracle.read(file)).unwrap()
    }

    /// Code and target of the refusal; its sentence must hold `says`.
    fn refusal(&self, pem: &str, says: &str) -> (&'static str, String) {
        let error = check_chain(pem, &self.request, self.now).expect_err(says);
        assert!(error.message.contains(says), "'{says}' is not in: {}", error.message);
        (error.code, error.target.unwrap_or_default())
    }

    /// The same, of a rule on a property of a certificate.
    fn broken(&self, pem: &str, member: &str, says: &str) {
        let expected = ("InvalidPropertyValue", format!("properties.certificateProperties.{member}"));
        assert_eq!(self.refusal(pem, says), expected);
    }
}

#[test]
fn openssl_reads_the_request_and_what_it_signs_is_taken() {
    let customer = Customer::new();
    let seen = customer.oracle.run(&["req", "-in", "ica.csr", "-noout", "-text", "-verify"]);
    for wanted in ["self-signature verify OK", "CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign", "secp384r1"] {
        assert!(seen.contains(wanted), "{wanted} is not in {seen}");
    }
    let root = customer.root("root", P384, ROOT);
    let signed = customer.sign("root", None, "");
    let chain = check_chain(&format!("{signed}\n{root}"), &customer.request, customer.now).unwrap();
    assert_eq!(chain.issuing.subject().to_string(), SUBJECT);
    assert_eq!(chain.root.to_pem(), root);
    customer.oracle.run(&["verify", "-x509_strict", "-CAfile", "root.pem", "ica.pem"]);
    // Another curve, another digest, and clientAuth among the purposes.
    let small = customer.root("small", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256", ROOT);
    let purposes = [ISSUING, &["extendedKeyUsage=serverAuth,clientAuth"]].concat();
    let signed = customer.sign("small", Some(&purposes), "-days 730 -sha256");
    check_chain(&format!("{signed}{small}"), &customer.request, customer.now).unwrap();
}

#[test]
fn the_subject_is_compared_without_case_and_white_space() {
    let customer = Customer::new();
    let root = customer.root("root", P384, ROOT);
    let key = new_key(KeyKind::P384);
    for (subject, good) in [("CN=plant  7 ISSUING,O=ACME", true), ("CN=Plant 7 Issuing,O=Other", false)] {
        let ours = ready(request(&SubjectName::parse(SUBJECT).unwrap(), key.as_ref())).unwrap();
        // openssl of before 3.2 cannot set a subject while it signs, so it signs a request with another spelling.
        let theirs = ready(request(&SubjectName::parse(subject).unwrap(), key.as_ref())).unwrap();
        customer.oracle.write("ica.csr", request_pem(&theirs));
        let chain = format!("{}{root}", customer.sign("root", Some(ISSUING), ""));
        let checked = check_chain(&chain, &ours, customer.now);
        match good {
            true => assert!(checked.is_ok(), "{checked:?}"),
            false => assert_eq!(checked.unwrap_err().code, "CertificateSubjectMismatch"),
        }
    }
}

#[test]
fn a_chain_of_another_shape_is_refused() {
    let customer = Customer::new();
    let root = customer.root("root", P384, ROOT);
    let good = customer.sign("root", None, "");
    let chain = |pem: &str, says: &str| {
        assert_eq!(customer.refusal(pem, says), ("InvalidCertificateChain", "certificateChain".to_owned()));
    };
    chain("", "no '-----BEGIN CERTIFICATE-----'");
    chain("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "not a DER-encoded");
    chain(&format!("{good}{}", customer.text("root.key")), "private key");
    chain(&good, "add the root");
    chain(&format!("{root}{good}"), "wrong order");
    chain(&format!("{good}{root}{root}"), "has 3 certificates");
    chain(&format!("{good}{}", root.repeat(20)), "more than 8");
    // Somebody else's root of the same name, and one that is no root.
    customer.oracle.run(&["req", "-new", "-key", "root.key", "-subj", "/O=Acme/CN=below", "-out", "below.csr"]);
    customer.oracle.write("below.ext", ISSUING.join("\n"));
    customer.oracle.run(&[
        "x509",
        "-req",
        "-in",
        "below.csr",
        "-CA",
        "root.pem",
        "-CAkey",
        "root.key",
        "-CAcreateserial",
        "-days",
        "900",
        "-sha384",
        "-extfile",
        "below.ext",
        "-out",
        "below.pem",
    ]);
    chain(&format!("{good}{}", customer.text("below.pem")), "is no root");
    let other = customer.root("other", P384, ROOT);
    chain(&format!("{good}{other}"), "was issued by 'CN=root,O=Acme'");
    let twin = customer.root("root", P384, ROOT);
    chain(&format!("{good}{twin}"), "does not verify");
}

#[test]
fn each_rule_of_a_certificate_has_its_sentence() {
    let customer = Customer::new();
    let root = customer.root("root", P384, ROOT);
    let with = |change: &dyn Fn(&str) -> Option<String>| -> String {
        let lines: Vec<String> = ISSUING.iter().filter_map(|line| change(line)).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        format!("{}{root}", customer.sign("root", Some(&lines), ""))
    };
    let instead = |start: &str, line: &str| {
        with(&|had| Some(if had.starts_with(start) { line.to_owned() } else { had.to_owned() }))
    };
    let without = |start: &str| with(&|had| (!had.starts_with(start)).then(|| had.to_owned()));
    let beside = |line: &str| format!("{}{root}", customer.sign("root", Some(&[ISSUING, &[line]].concat()), ""));

    customer.broken(&without("basicConstraints"), "basicConstraints", "has no basic constraints");
    customer.broken(
        &instead("basic", "basicConstraints=critical,CA:FALSE"),
        "basicConstraints",
        "no certificate authority",
    );
    customer.broken(&instead("basic", "basicConstraints=CA:TRUE,pathlen:0"), "basicConstraints", "critical");
    customer.broken(&instead("basic", "basicConstraints=critical,CA:TRUE"), "pathLength", "no path length");
    customer.broken(&instead("basic", "basicConstraints=critical,CA:TRUE,pathlen:3"), "pathLength", "path length 3");
    customer.broken(&without("keyUsage"), "keyUsage", "lacks digitalSignature, keyCertSign, cRLSign");
    customer.broken(
        &instead("keyUsage", "keyUsage=critical,keyCertSign,digitalSignature"),
        "keyUsage",
        "lacks cRLSign",
    );
    customer.broken(
        &instead("subjectKey", "subjectKeyIdentifier=none"),
        "subjectKeyIdentifier",
        "no subject key identifier",
    );
    customer.broken(&beside("extendedKeyUsage=serverAuth"), "extendedKeyUsage", "lacks clientAuth");
    customer.broken(
        &beside("nameConstraints=critical,permitted;DNS:acme.example"),
        "nameConstraints",
        "name constraints",
    );
    customer.broken(&beside("1.2.3.4=critical,DER:0500"), "extensions", "1.2.3.4");
    let sha1 = format!("{}{root}", customer.sign("root", Some(ISSUING), "-days 730 -sha1"));
    customer.broken(&sha1, "signatureAlgorithm", "ECDSA with SHA-256");

    let soon = format!("{}{root}", customer.sign("root", Some(ISSUING), "-days 364"));
    let at = |member: &str| format!("properties.certificateProperties.{member}");
    assert_eq!(customer.refusal(&soon, "365 days"), ("CertificateExpiringSoon", at("validityNotAfter")));
    let chain = format!("{}{root}", customer.sign("root", None, ""));
    let early = check_chain(&chain, &customer.request, customer.now - 24.hours()).unwrap_err();
    assert_eq!((early.code, early.target), ("CertificateNotYetValid", Some(at("validityNotBefore"))));
    let late = check_chain(&chain, &customer.request, customer.now + (24 * 4000).hours()).unwrap_err();
    assert_eq!((late.code, late.target), ("CertificateExpired", Some(at("validityNotAfter"))));

    let key = new_key(KeyKind::P384);
    let newer = ready(request(&SubjectName::parse(SUBJECT).unwrap(), key.as_ref())).unwrap();
    let error = check_chain(&chain, &newer, customer.now).unwrap_err();
    assert_eq!((error.code, error.target), ("CertificateKeyMismatch", Some(at("publicKey"))));
}

#[test]
fn the_root_is_held_to_the_same() {
    let customer = Customer::new();
    let chain = |name: &str, key: &str, extensions: &[&str]| {
        let root = customer.root(name, key, extensions);
        format!("{}{root}", customer.sign(name, Some(ISSUING), ""))
    };
    let short = &["basicConstraints=critical,CA:TRUE,pathlen:0", USAGE, "subjectKeyIdentifier=hash"];
    customer.broken(&chain("short", P384, short), "pathLength", "path length 0");
    customer.broken(&chain("rsa", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048", ROOT), "publicKey", "RSA-2048");
    let explicit = format!("{P384} -pkeyopt ec_param_enc:explicit");
    customer.broken(&chain("explicit", &explicit, ROOT), "publicKey", "explicit parameters");
    customer.broken(
        &chain("curve", "-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1", ROOT),
        "publicKey",
        "not supported",
    );
}
