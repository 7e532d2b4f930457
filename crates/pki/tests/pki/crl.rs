//! Revocation lists, read and applied by openssl.

use crate::openssl::{Oracle, Pair, assert_ok, ready};
use ferrohub_pki::crl::{RevocationReason, RevokedEntry, build_crl};
use jiff::Timestamp;
use std::time::Duration;

/// Builds a list, converts it with openssl and returns openssl's view of it, signature checked.
fn show(oracle: &Oracle, pair: &Pair, number: u64, revoked: &[RevokedEntry]) -> String {
    let start = pair.now.checked_sub(Duration::from_secs(60)).unwrap();
    let end = pair.now.checked_add(Duration::from_secs(86_400)).unwrap();
    oracle.write("list.der", ready(build_crl(&pair.issuing, number, start, end, revoked)).unwrap());
    oracle.write("issuing.pem", pair.issuing.certificate().to_pem());
    oracle.run(&["crl", "-inform", "DER", "-in", "list.der", "-out", "list.pem"]);
    oracle.run(&["crl", "-in", "list.pem", "-noout", "-text", "-CAfile", "issuing.pem"])
}

fn entry(serial_hex: &str, revoked_at: Timestamp, reason: RevocationReason) -> RevokedEntry {
    RevokedEntry { serial_hex: serial_hex.to_owned(), revoked_at, reason }
}

#[test]
fn openssl_reads_an_empty_list_and_refuses_a_revoked_leaf() {
    let (oracle, pair) = (Oracle::new(), Pair::new());
    let leaf = pair.leaf("device-1");
    let (issuing, root) = (pair.issuing.certificate().to_pem(), pair.root.certificate().to_pem());
    let check = ["-crl_check", "-CRLfile", "list.pem"];

    let empty = show(&oracle, &pair, 1, &[]);
    for word in ["Version 2", "No Revoked Certificates", "verify OK"] {
        assert!(empty.contains(word), "{word}: {empty}");
    }
    assert_ok(&oracle.verify("sslclient", &leaf.to_pem(), &issuing, &root, &check), "not revoked");

    let revoked = [
        entry(leaf.serial_hex(), pair.now, RevocationReason::KeyCompromise),
        entry("7F", pair.now, RevocationReason::Unspecified),
    ];
    let list = show(&oracle, &pair, 258, &revoked);
    for word in [leaf.serial_hex(), "Key Compromise", "verify OK", "258", "Authority Key Identifier"] {
        assert!(list.contains(word), "{word}: {list}");
    }
    let output = oracle.verify("sslclient", &leaf.to_pem(), &issuing, &root, &check);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("certificate revoked"));
}

#[test]
fn nonsense_is_refused() {
    let pair = Pair::new();
    let later = pair.now.checked_add(Duration::from_secs(1)).unwrap();
    assert!(ready(build_crl(&pair.issuing, 1, later, pair.now, &[])).is_err());
    for serial_hex in ["xyz", &"FF".repeat(21), ""] {
        let bad = entry(serial_hex, pair.now, RevocationReason::Superseded);
        assert!(ready(build_crl(&pair.issuing, 1, pair.now, later, &[bad])).is_err(), "'{serial_hex}'");
    }
}
