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
        Self::with(KeyKind::P384)
    }

    /// One whose issuing CA has a key of this kind.
    fn with(kind: KeyKind) -> Self {
        let oracle = Oracle::new();
        let key = new_key(kind);
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
        self.root_by(name, key, extensions, "-sha384")
    }

    /// The same, signed over this digest.
    fn root_by(&self, name: &str, key: &str, extensions: &[&str], digest: &str) -> String {
        self.key(name, key);
        let (file, pem, ext) = (format!("{name}.key"), format!("{name}.pem"), format!("{name}.ext"));
        let subject = format!("/O=Acme/CN={name}");
        self.oracle.run(&["req", "-new", "-key", &file, "-subj", &subject, "-out", "root.csr"]);
        self.oracle.write(&ext, extensions.join("\n"));
        let mut sign =
            vec!["x509", "-req", "-in", "root.csr", "-signkey", &file, "-days", "3650", digest, "-out", &pem];
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
    let plain = format!("{}{root}", customer.sign("root", Some(&[]), ""));
    customer.broken(&plain, "version", "'CN=Plant 7 Issuing,O=Acme' is of X.509 version 1; 3 is needed");
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
    // Names of roots are part of what is told, so that nobody takes the issuing CA for the one that is wrong.
    let refused = |name: &str, extensions: &[&str], member: &str, says: &str| {
        let root = customer.root(name, P384, extensions);
        let chain = format!("{}{root}", customer.sign(name, Some(ISSUING), ""));
        customer.broken(&chain, member, &format!("'CN={name},O=Acme' {says}"));
    };
    let basic = |line: &'static str| [line, USAGE, "subjectKeyIdentifier=hash"];
    let usage = |line: &'static str| [ROOT[0], line, "subjectKeyIdentifier=hash"];
    refused("plain", &[], "version", "is of X.509 version 1; 3 is needed");
    refused("bare", &ROOT[1..], "basicConstraints", "has no basic constraints");
    refused("leaf", &basic("basicConstraints=critical,CA:FALSE"), "basicConstraints", "is no certificate authority");
    let lax = basic("basicConstraints=CA:TRUE,pathlen:1");
    refused("lax", &lax, "basicConstraints", "does not mark its basic constraints as critical");
    refused("short", &basic("basicConstraints=critical,CA:TRUE,pathlen:0"), "pathLength", "has the path length 0");
    refused("long", &basic("basicConstraints=critical,CA:TRUE,pathlen:2"), "pathLength", "has the path length 2");
    refused("endless", &basic("basicConstraints=critical,CA:TRUE"), "pathLength", "has no path length");
    refused("unused", &[ROOT[0], ROOT[2]], "keyUsage", "lacks digitalSignature, keyCertSign, cRLSign");
    refused("silent", &usage("keyUsage=critical,keyCertSign,cRLSign"), "keyUsage", "lacks digitalSignature;");
    refused("listless", &usage("keyUsage=critical,digitalSignature,keyCertSign"), "keyUsage", "lacks cRLSign;");
    let nameless = [ROOT[0], USAGE, "subjectKeyIdentifier=none"];
    refused("nameless", &nameless, "subjectKeyIdentifier", "has no subject key identifier");
    let beside = |line: &'static str| [ROOT, &[line]].concat();
    refused("server", &beside("extendedKeyUsage=serverAuth"), "extendedKeyUsage", "lacks clientAuth");
    let names = beside("nameConstraints=critical,permitted;DNS:acme.example");
    refused("narrow", &names, "nameConstraints", "has name constraints");
    refused("odd", &beside("1.2.3.4=critical,DER:0500"), "extensions", "has the critical extension 1.2.3.4");
}

#[test]
fn only_keys_and_digests_of_the_table_are_taken() {
    let customer = Customer::new();
    let chain = |name: &str, key: &str, digest: &str| {
        let root = customer.root_by(name, key, ROOT, digest);
        format!("{}{root}", customer.sign(name, Some(ISSUING), &format!("-days 730 {digest}")))
    };
    for bits in ["2048", "3072", "4096"] {
        let rsa = format!("-algorithm RSA -pkeyopt rsa_keygen_bits:{bits}");
        customer.broken(&chain("rsa", &rsa, "-sha256"), "publicKey", &format!("it is RSA-{bits}, and a P-256, P-384"));
    }
    customer.broken(&chain("ed", "-algorithm ED25519", "-sha256"), "publicKey", "it is Ed25519, and a P-256, P-384");
    let explicit = format!("{P384} -pkeyopt ec_param_enc:explicit");
    customer.broken(&chain("explicit", &explicit, "-sha384"), "publicKey", "explicit parameters");
    let curve = |name: &str| format!("-algorithm EC -pkeyopt ec_paramgen_curve:{name}");
    customer.broken(&chain("curve", &curve("secp256k1"), "-sha256"), "publicKey", "not supported");
    for name in ["P-256", "P-384", "P-521"] {
        for digest in ["-sha1", "-sha224"] {
            let weak = chain("weak", &curve(name), digest);
            customer.broken(&weak, "signatureAlgorithm", "'CN=weak,O=Acme' is signed with the algorithm");
        }
        for digest in ["-sha256", "-sha384", "-sha512"] {
            let good = check_chain(&chain("good", &curve(name), digest), &customer.request, customer.now);
            assert!(good.is_ok(), "{name} {digest}: {good:?}");
        }
    }
}

#[test]
fn the_issuing_key_is_of_the_table_too() {
    for (kind, good) in
        [(KeyKind::P256, true), (KeyKind::P384, true), (KeyKind::P521, true), (KeyKind::Rsa(3072), false)]
    {
        let customer = Customer::with(kind);
        let root = customer.root("root", P384, ROOT);
        let chain = format!("{}{root}", customer.sign("root", None, ""));
        match good {
            true => assert!(check_chain(&chain, &customer.request, customer.now).is_ok(), "{kind}"),
            false => customer.broken(&chain, "publicKey", "Issuing,O=Acme' is not usable: it is RSA-3072"),
        }
    }
}

/// Its issuer has its name, so it passes for a root by what it says.
#[test]
fn a_root_that_did_not_sign_itself_is_refused() {
    let customer = Customer::new();
    customer.root("root", P384, ROOT);
    customer.key("other", P384);
    customer.oracle.run(&["req", "-new", "-key", "other.key", "-subj", "/O=Acme/CN=root", "-out", "other.csr"]);
    let words = "x509 -req -in other.csr -CA root.pem -CAkey root.key -CAcreateserial -days 3650 -sha384 -extfile root.ext -out other.pem";
    customer.oracle.run(&words.split(' ').collect::<Vec<_>>());
    let chain = format!("{}{}", customer.sign("other", Some(ISSUING), ""), customer.text("other.pem"));
    let expected = ("InvalidCertificateChain", "certificateChain".to_owned());
    assert_eq!(customer.refusal(&chain, "self-signed with a wrong signature"), expected);
}
