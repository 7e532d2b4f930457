//! Requests of every kind that openssl makes: accepted ones get a certificate that openssl verifies.

use crate::openssl::{Oracle, Pair, assert_ok, leaf_fields, ready};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::limits;
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::csr::{CODE_BAD_PAYLOAD, CODE_BAD_REQUEST, CertificateRequest};
use ferrohub_pki::issue::Serial;
use ferrohub_pki::profile::Profile;
use ferrohub_pki::random::SystemRandom;

const P256: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256";
const P384: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-384";
const P521: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-521";

/// Issues a leaf for the request and lets openssl judge chain, key and extensions.
fn issue_and_verify(oracle: &Oracle, pair: &Pair, der: &[u8], kind: KeyKind, what: &str) {
    let request = CertificateRequest::from_base64(&STANDARD.encode(der), limits::CSR_BASE64_BYTES)
        .unwrap_or_else(|error| panic!("{what}: {error} ({:?})", error.context));
    assert_eq!(request.common_name(), Some("device-1"), "{what}");
    assert_eq!(request.key_kind(), kind, "{what}");
    let profile = Profile::leaf(leaf_fields("device-1")).unwrap();
    let serial = Serial::random(&SystemRandom);
    let prepared = pair.issuing.prepare(&profile, request.public_key_info_der(), serial, pair.now).unwrap();
    assert!(!prepared.was_cut());
    let leaf = ready(prepared.issue()).unwrap();
    assert_eq!(leaf.serial_hex(), serial.to_hex());
    assert_eq!(leaf.public_key_info_der(), request.public_key_info_der(), "{what}: the key must be verbatim");

    let (root, issuing) = (pair.root.certificate().to_pem(), pair.issuing.certificate().to_pem());
    assert_ok(&oracle.verify("sslclient", &leaf.to_pem(), &issuing, &root, &[]), what);
    oracle.write("request.der", der);
    let requested = oracle.run(&["req", "-inform", "DER", "-in", "request.der", "-noout", "-pubkey"]);
    assert_eq!(oracle.run(&["x509", "-in", "leaf.pem", "-noout", "-pubkey"]), requested, "{what}");
    let text = oracle.run(&["x509", "-in", "leaf.pem", "-noout", "-text"]);
    assert!(text.contains("CA:FALSE") && !text.contains("CA:TRUE"), "{what}");
    assert!(text.contains("TLS Web Client Authentication") && !text.contains("Code Signing"), "{what}");
    assert!(text.contains("URI:urn:uuid:01234567-89ab-4def-8123-456789abcdef"), "{what}");
    assert!(text.contains("ecdsa-with-SHA384"), "{what}");
}

#[test]
fn every_curve_with_every_digest_gets_a_certificate() {
    let (oracle, pair) = (Oracle::new(), Pair::new());
    for (key, kind) in [(P256, KeyKind::P256), (P384, KeyKind::P384), (P521, KeyKind::P521)] {
        for digest in ["-sha256", "-sha384", "-sha512"] {
            let der = oracle.request("device-1", key, digest);
            issue_and_verify(&oracle, &pair, &der, kind, &format!("{kind} {digest}"));
        }
    }
}

#[test]
fn rsa_and_ed25519_get_a_certificate() {
    let (oracle, pair) = (Oracle::new(), Pair::new());
    let der = oracle.request("device-1", "-newkey ed25519", "");
    issue_and_verify(&oracle, &pair, &der, KeyKind::Ed25519, "Ed25519");
    for bits in [2048, 3072, 4096] {
        let der = oracle.request("device-1", &format!("-newkey rsa:{bits}"), "-sha256");
        issue_and_verify(&oracle, &pair, &der, KeyKind::Rsa(bits), &format!("RSA-{bits}"));
    }
    oracle.run(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "rsa.key"]);
    let existing = "-key rsa.key";
    for signing in [
        "-sha384",
        "-sha512",
        "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest",
        "-sha384 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest",
        "-sha512 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest",
        "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:max",
        "-sha512 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:max",
    ] {
        let der = oracle.request("device-1", existing, signing);
        issue_and_verify(&oracle, &pair, &der, KeyKind::Rsa(2048), signing);
    }
}

#[test]
fn requested_extensions_are_ignored() {
    let (oracle, pair) = (Oracle::new(), Pair::new());
    for extension in [
        "-addext subjectKeyIdentifier=hash",
        "-addext extendedKeyUsage=codeSigning,serverAuth",
        "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign",
        "-addext subjectAltName=URI:urn:uuid:ffffffff-ffff-4fff-8fff-ffffffffffff,DNS:evil.test",
    ] {
        let der = oracle.request("device-1", P256, extension);
        issue_and_verify(&oracle, &pair, &der, KeyKind::P256, extension);
        assert!(!oracle.run(&["x509", "-in", "leaf.pem", "-noout", "-text"]).contains("ffffffff-ffff"));
    }
}

fn refusal(der: &[u8]) -> String {
    let error = CertificateRequest::from_der(der).unwrap_err();
    assert_eq!(error.iot_code, CODE_BAD_REQUEST, "{error}");
    error.message
}

#[test]
fn unusable_keys_are_refused_each_with_its_own_sentence() {
    let oracle = Oracle::new();
    let weak = refusal(&oracle.request("d", "-newkey rsa:1024", ""));
    assert!(weak.contains("1024 bits is too weak"), "{weak}");
    let large = refusal(&oracle.request("d", "-newkey rsa:8200 -pkeyopt rsa_keygen_primes:5", ""));
    assert!(large.contains("8200 bits is too large"), "{large}");
    let curve = refusal(&oracle.request("d", "-newkey ec -pkeyopt ec_paramgen_curve:secp256k1", ""));
    assert!(curve.contains("elliptic curve 1.3.132.0.10 is not supported"), "{curve}");
    let explicit = refusal(&oracle.request("d", &format!("{P256} -pkeyopt ec_param_enc:explicit"), ""));
    assert!(explicit.contains("explicit parameters"), "{explicit}");
    let ed448 = refusal(&oracle.request("d", "-newkey ed448", ""));
    assert!(ed448.contains("key algorithm 1.3.101.113 is not supported"), "{ed448}");
    oracle.run(&["ecparam", "-name", "P-256", "-genkey", "-noout", "-conv_form", "compressed", "-out", "point.key"]);
    oracle.run(&["ec", "-in", "point.key", "-conv_form", "compressed", "-out", "short.key"]);
    let compressed = refusal(&oracle.request("d", "-key short.key", ""));
    assert!(compressed.contains("compressed"), "{compressed}");
}

#[test]
fn wrong_signatures_and_digests_are_refused() {
    let oracle = Oracle::new();
    let good = oracle.request("device-1", P256, "");
    let mut corrupted = good.clone();
    let last = corrupted.len() - 1;
    corrupted[last] ^= 1;
    assert!(refusal(&corrupted).contains("signature does not match its public key"));
    let at = good.windows(8).position(|window| window == b"device-1").unwrap();
    let mut renamed = good.clone();
    renamed[at + 7] = b'2';
    assert!(refusal(&renamed).contains("signature does not match its public key"));
    let sha1 = refusal(&oracle.request("d", P256, "-sha1"));
    assert!(sha1.contains("signature algorithm") && sha1.contains("not supported"), "{sha1}");
    let mut trailing = good;
    trailing.push(0);
    assert!(refusal(&trailing).contains("followed by further data"));
}

#[test]
fn a_certificate_or_pem_in_place_of_a_request_is_refused() {
    let (oracle, pair) = (Oracle::new(), Pair::new());
    assert!(refusal(pair.root.certificate().der()).contains("not a DER-encoded PKCS#10"));
    oracle.request("d", P256, "");
    oracle.run(&["req", "-inform", "DER", "-in", "request.der", "-out", "request.pem"]);
    let pem = String::from_utf8(oracle.read("request.pem")).unwrap();
    let error = CertificateRequest::from_base64(&pem, limits::CSR_BASE64_BYTES).unwrap_err();
    assert_eq!(error.iot_code, CODE_BAD_PAYLOAD);
    let error = CertificateRequest::from_base64(&STANDARD.encode([0x30; 300]), 256).unwrap_err();
    assert!(error.message.contains("maximum allowed length of 256"), "{error}");
}
