//! The platform's own TLS certificates.

use crate::openssl::{Oracle, assert_ok, new_key, ready};
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::issue::Issuer;
use ferrohub_pki::name::SubjectName;
use ferrohub_pki::platform::{
    DEFAULT_KEY, ServerIdentity, create_constrained_root, create_platform_root, create_server_chain,
};
use ferrohub_pki::profile::{Profile, ServerFields};
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::signer::{Signer, SoftwareSigner};
use jiff::Timestamp;
use std::net::IpAddr;

fn fields(dns: &[&str], ips: &[&str]) -> ServerFields {
    ServerFields {
        dns_names: dns.iter().map(|name| (*name).to_owned()).collect(),
        ip_addresses: ips.iter().map(|ip| ip.parse::<IpAddr>().unwrap()).collect(),
        days: 397,
    }
}

fn root(kind: KeyKind, now: Timestamp) -> Issuer {
    let name = SubjectName::parse("CN=Ferrohub Platform Root").unwrap();
    ready(create_platform_root(name, new_key(kind), &SystemRandom, now)).unwrap()
}

fn server(root: &Issuer, fields: ServerFields, now: Timestamp) -> ServerIdentity {
    let key = new_key(DEFAULT_KEY);
    let chain = ready(create_server_chain(root, fields, key.public_key_info_der(), &SystemRandom, now)).unwrap();
    ServerIdentity { chain, key_pkcs8: key.to_pkcs8().unwrap() }
}

#[test]
fn openssl_accepts_the_server_for_each_of_its_names() {
    let (oracle, now) = (Oracle::new(), SystemClock.now());
    for kind in [KeyKind::P256, KeyKind::P384] {
        let names = fields(&["localhost", "*.azure-devices.test"], &["127.0.0.1", "::1"]);
        let identity = server(&root(kind, now), names, now);
        let (leaf, root) = (identity.chain[0].to_pem(), identity.chain[1].to_pem());
        assert_eq!(identity.chain_pem(), format!("{leaf}{root}"));
        for extra in [
            ["-verify_hostname", "localhost"],
            ["-verify_hostname", "hub1.azure-devices.test"],
            ["-verify_ip", "127.0.0.1"],
            ["-verify_ip", "::1"],
        ] {
            assert_ok(&oracle.verify("sslserver", &leaf, "", &root, &extra), &format!("{kind} {extra:?}"));
        }
        let wrong = oracle.verify("sslserver", &leaf, "", &root, &["-verify_hostname", "other.test"]);
        assert!(!wrong.status.success());
        let client = oracle.verify("sslclient", &leaf, "", &root, &[]);
        assert!(!client.status.success(), "a server certificate is not for clients");
        assert_eq!(identity.chain[0].dns_sans(), ["localhost", "*.azure-devices.test"]);
        assert_eq!(identity.chain[0].ip_sans().len(), 2);
        let key = SoftwareSigner::from_pkcs8(&identity.key_pkcs8).unwrap();
        assert_eq!(key.public_key_info_der(), identity.chain[0].public_key_info_der());
        assert!(!format!("{identity:?}").contains("key_pkcs8"));
        oracle.write("server.key", identity.key_pem().as_bytes());
        let public = oracle.run(&["pkey", "-in", "server.key", "-pubout"]);
        assert_eq!(public, oracle.run(&["x509", "-in", "leaf.pem", "-noout", "-pubkey"]));
    }
}

#[test]
fn a_server_of_addresses_only_has_an_empty_subject_and_critical_names() {
    let (oracle, now) = (Oracle::new(), SystemClock.now());
    let identity = server(&root(KeyKind::P256, now), fields(&[], &["10.1.2.3"]), now);
    let extra = ["-verify_ip", "10.1.2.3"];
    assert_ok(
        &oracle.verify("sslserver", &identity.chain[0].to_pem(), "", &identity.chain[1].to_pem(), &extra),
        "ip only",
    );
    assert!(oracle.run(&["x509", "-in", "leaf.pem", "-noout", "-text"]).contains("Subject Alternative Name: critical"));
}

#[test]
fn a_constrained_root_vouches_for_its_names_only() {
    let (oracle, now) = (Oracle::new(), SystemClock.now());
    let name = SubjectName::parse("CN=Constrained").unwrap();
    let permitted = vec!["management.example".to_owned(), "devices.example".to_owned()];
    let made = create_constrained_root(name.clone(), 30, permitted, new_key(DEFAULT_KEY), &SystemRandom, now);
    let root = ready(made).unwrap();
    let verify = |dns: &[&str], ips: &[&str], extra: [&str; 2]| {
        let identity = server(&root, fields(dns, ips), now);
        oracle.verify("sslserver", &identity.chain[0].to_pem(), "", &root.certificate().to_pem(), &extra)
    };
    for (dns, host) in [("management.example", "management.example"), ("*.devices.example", "hub1.devices.example")] {
        assert_ok(&verify(&[dns], &[], ["-verify_hostname", host]), host);
    }
    for dns in ["other.example", "example", "xdevices.example"] {
        let refused = verify(&[dns], &[], ["-verify_hostname", dns]);
        assert!(!refused.status.success(), "vouches for {dns}");
    }
    let address = verify(&["management.example"], &["192.0.2.1"], ["-verify_ip", "192.0.2.1"]);
    assert!(!address.status.success(), "vouches for an address");
    oracle.write("constrained.pem", root.certificate().to_pem().as_bytes());
    let text = oracle.run(&["x509", "-in", "constrained.pem", "-noout", "-text"]);
    assert!(text.contains("X509v3 Name Constraints: critical"), "{text}");
    for wrong in [vec![], vec!["*.devices.example".to_owned()], vec!["a b".to_owned()]] {
        assert!(Profile::constrained_root(name.clone(), 30, wrong.clone()).is_err(), "{wrong:?}");
    }
    assert!(Profile::constrained_root(name, 0, vec!["a.example".to_owned()]).is_err());
}

#[test]
fn malformed_names_are_refused() {
    for dns in [
        "",
        "a..b",
        "-a.test",
        "a-.test",
        "*",
        "a.*.test",
        "ab*.test",
        "a b",
        "ü.test",
        &"a".repeat(64),
        &"a.".repeat(130),
    ] {
        let error = Profile::server(fields(&[dns], &[])).unwrap_err();
        assert_eq!(error.target.as_deref(), Some("dnsNames"), "{dns}");
    }
    assert!(Profile::server(fields(&[], &[])).is_err());
    assert!(Profile::server(ServerFields { days: 0, ..fields(&["a.test"], &[]) }).is_err());
}
