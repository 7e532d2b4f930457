//! Certificates, requests, names, keys and sealed values.

use crate::utf8;
use ferrohub_model::limits;
use ferrohub_model::random::SeededRandom;
use ferrohub_pki::age::{Identity, Reader, Recipient, Unlock};
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::chain::{Anchor, verify_client_chain};
use ferrohub_pki::csr::CertificateRequest;
use ferrohub_pki::external::check_chain;
use ferrohub_pki::key::verify_secret;
use ferrohub_pki::name::SubjectName;
use ferrohub_pki::public_key::PublicKey;
use ferrohub_pki::seal::{MasterKey, key_id_of};
use ferrohub_pki::signer::{Signer, SoftwareSigner};
use ferrohub_pki::tpm::{TpmPublic, seal_key};
use jiff::Timestamp;
use std::io::Read;
use uuid::Uuid;

/// DER, PEM or base64: what is read prints to PEM that reads back as the same bytes.
pub(crate) fn certificate(data: &[u8]) {
    if let Ok(certificate) = Certificate::from_der(data) {
        assert_eq!(certificate.der(), data);
        survives(&certificate);
    }
    let Some(text) = utf8(data) else { return };
    if let Ok(certificate) = Certificate::from_pem_or_base64(text) {
        survives(&certificate);
    }
    if let Ok(chain) = Certificate::chain_from_pem(text) {
        assert!(!chain.is_empty() && chain.len() <= limits::CHAIN_LENGTH);
    }
}

fn survives(certificate: &Certificate) {
    let again = Certificate::from_pem(&certificate.to_pem());
    assert_eq!(again.ok().map(|again| again.der().to_vec()).as_deref(), Some(certificate.der()));
    let _ = (certificate.key_kind(), certificate.is_ca(), certificate.path_length(), certificate.credential_id());
    let _ = (certificate.is_self_issued(), certificate.verify_signed_by(certificate));
    let _ = (certificate.uri_sans(), certificate.dns_sans(), certificate.ip_sans(), format!("{certificate:?}"));
    name_survives(certificate.subject());
    name_survives(certificate.issuer());
}

/// DER certificates one after another, the last of which is the anchor.
pub(crate) fn chain(data: &[u8]) {
    let mut items = Vec::new();
    let mut rest = data;
    while let Some((item, tail)) = split_item(rest) {
        items.push(item);
        rest = tail;
    }
    let Some((anchor, presented)) = items.split_last() else { return };
    // 2027-01-01, within the validity of the seeds.
    let Ok(now) = Timestamp::from_second(1_798_761_600) else { return };
    let Ok(anchor) = Certificate::from_der(anchor) else { return };
    if let Ok(leaf) = verify_client_chain(presented, &[Anchor::new(anchor)], now) {
        assert!(leaf.anchor_index == 0 && leaf.valid_until >= now);
        assert!(Certificate::from_der(presented[0]).is_ok(), "a chain passes whose leaf is not readable");
    }
}

/// A certificate request, DER, and the PEM chain that somebody's own root answers it with: what is accepted is for the key of the request.
pub(crate) fn external_chain(data: &[u8]) {
    let Some((request, pem)) = split_item(data) else { return };
    // 2027-01-01, within the validity of the seeds.
    let Ok(now) = Timestamp::from_second(1_798_761_600) else { return };
    let (Some(pem), Ok(asked)) = (utf8(pem), CertificateRequest::from_der(request)) else { return };
    if let Ok(chain) = check_chain(pem, request, now) {
        assert_eq!(chain.issuing.public_key_info_der(), asked.public_key_info_der());
        assert!(chain.issuing.is_ca() && chain.root.is_ca() && chain.root.is_self_issued());
        assert!(chain.issuing.verify_signed_by(&chain.root).is_ok());
    }
}

/// Keys of the age format: a recipient prints as what reads back, and no identity shows in `Debug`.
pub(crate) fn age_keys(data: &[u8]) {
    let Some(text) = utf8(data) else { return };
    if let Ok(recipient) = text.parse::<Recipient>() {
        assert!(recipient.to_string().parse::<Recipient>().is_ok_and(|again| again == recipient));
    }
    if let Ok(identity) = text.parse::<Identity>() {
        assert!(identity.recipient().is_ok_and(|own| own.to_string().parse::<Recipient>().is_ok()));
        assert!(!format!("{identity:?}").contains(text.trim()));
    }
}

/// The first DER element with a length of one to three bytes, and what follows.
fn split_item(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, length) = match *data {
        [_, short @ 0..=0x7f, ..] => (2, usize::from(short)),
        [_, 0x81, a, ..] => (3, usize::from(a)),
        [_, 0x82, a, b, ..] => (4, usize::from(a) << 8 | usize::from(b)),
        _ => return None,
    };
    data.split_at_checked(header + length)
}

/// The stored form of a client secret's hash.
pub(crate) fn client_secret(data: &[u8]) {
    if let Some(stored) = utf8(data) {
        assert!(!verify_secret("a secret that none of these hashes", stored));
    }
}

/// DER, or base64 of DER: what is accepted is the request itself, with a name and a key that read back.
pub(crate) fn csr(data: &[u8]) {
    if let Ok(request) = CertificateRequest::from_der(data) {
        assert_eq!(request.der(), data);
        name_survives(request.subject());
        let key = PublicKey::from_spki(request.public_key_info_der());
        assert_eq!(key.ok().map(|key| key.kind()), Some(request.key_kind()));
    }
    if let Some(text) = utf8(data) {
        let _ = CertificateRequest::from_base64(text, limits::CSR_BASE64_BYTES);
    }
}

/// DER or text: a name that we would write reads back as the same.
pub(crate) fn distinguished_name(data: &[u8]) {
    if let Ok(name) = SubjectName::from_der(data) {
        name_survives(&name);
    }
    if let Some(name) = utf8(data).and_then(|text| SubjectName::parse(text).ok()) {
        assert_eq!(SubjectName::parse(&name.to_string()).ok().as_ref(), Some(&name));
        let der = name.to_der().unwrap_or_default();
        assert_eq!(SubjectName::from_der(&der).ok().as_ref(), Some(&name), "{name}");
    }
}

fn name_survives(name: &SubjectName) {
    assert!(name.matches(name));
    let _ = (name.common_name(), name.canonical(), name.to_string());
    if let Ok(der) = name.to_der() {
        assert!(SubjectName::from_der(&der).is_ok_and(|again| again.matches(name)), "{name}");
    }
}

#[expect(clippy::disallowed_methods, reason = "the decoder itself is tried")]
pub(crate) fn pkcs8(data: &[u8]) {
    if let Ok(signer) = SoftwareSigner::from_pkcs8(data) {
        assert!(PublicKey::from_spki(signer.public_key_info_der()).is_ok());
        let _ = format!("{signer:?}");
    }
}

pub(crate) fn public_key(data: &[u8]) {
    match PublicKey::from_spki(data) {
        Ok(key) => assert!(!key.bits().is_empty()),
        Err(problem) => assert!(!problem.to_string().is_empty()),
    }
}

/// What parses prints to the same bytes, and can be sealed to.
pub(crate) fn tpm_public(data: &[u8]) {
    match TpmPublic::parse(data) {
        Ok(public) => {
            assert_eq!(public.to_bytes(), data);
            assert!(seal_key(&public, &public, &[7; 32], &SeededRandom::new(1)).is_ok());
        }
        Err(problem) => assert!(!problem.is_empty()),
    }
}

/// No bytes open as a data key of a master key that wrapped none of them.
pub(crate) fn sealed(data: &[u8]) {
    let _ = key_id_of(data);
    if let Ok(master) = MasterKey::from_bytes(&[7; 32]) {
        assert!(master.unwrap(key_id_of(data).unwrap_or(Uuid::nil()), data).is_err());
    }
    if let Some(master) = utf8(data).and_then(|text| MasterKey::from_text(text).ok()) {
        assert!(MasterKey::from_text(&master.to_hex()).is_ok());
    }
}

/// The key that the seed was encrypted for; it guards nothing else.
const IDENTITY: &str = "AGE-SECRET-KEY-1SH68VNPXKAV2S2TTXTCV2C904CH5EJY0TUYYN8485YQMGZ7Y7D7SMQR6YP";

/// Nobody who has not the file key makes a file that opens: what is given out is the seed's, from its beginning, and where
/// the end was reached all of it.
pub(crate) fn age(data: &[u8]) {
    let Ok(identity) = IDENTITY.parse::<Identity>() else { return };
    let Ok(mut reader) = Reader::new(data, &Unlock::Identities(vec![identity])) else { return };
    let mut plain = Vec::new();
    let whole = reader.read_to_end(&mut plain).is_ok();
    let seed = b"a file for ferrohub\n";
    assert!(seed.starts_with(&plain) && (!whole || plain == seed));
}
