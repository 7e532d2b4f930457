//! An issuing CA that somebody else's root signs: the request that goes out, and the chain that comes back.
//!
//! The rules are those of reference/certificates.md section 1.2 (IoT Hub's "external root CA"). Each that is broken is told by
//! its own sentence, so that whoever signs knows what to change.

use crate::algorithm::KeyKind;
use crate::certificate::{Certificate, Tbs};
use crate::csr::CertificateRequest;
use crate::encode::{self, split_signed};
use crate::name::SubjectName;
use crate::oid;
use crate::profile::Profile;
use crate::public_key::{KeyProblem, PublicKey};
use crate::signer::Signer;
use const_oid::ObjectIdentifier;
use der::asn1::AnyRef;
use der::{Decode, Encode, Tag};
use ferrohub_model::error::{Error, ErrorKind, Result};
use jiff::Timestamp;
use std::time::Duration;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

/// extensionRequest (RFC 2985, 5.4.2).
const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
/// nameConstraints (RFC 5280, 4.2.1.10).
const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
/// How long an issuing CA must still be good when it is activated (reference/certificates.md 1.2: 365 days).
pub const LEAST_REMAINING: Duration = Duration::from_secs(365 * 86_400);
/// The member under which Azure reports what is wrong with a certificate of the chain (reference/certificates.md 1.1).
const MEMBER: &str = "properties.certificateProperties";
/// Critical extensions that every verifier of ours, and of devices, knows.
const KNOWN_CRITICAL: &[ObjectIdentifier] =
    &[oid::BASIC_CONSTRAINTS, oid::KEY_USAGE, oid::EXTENDED_KEY_USAGE, oid::SUBJECT_ALT_NAME];

/// A chain that may be used: the issuing CA's certificate and the root that signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalChain {
    /// The certificate for the key of the request.
    pub issuing: Certificate,
    /// The root, which signed itself.
    pub root: Certificate,
}

/// A PKCS#10 request, DER, for the certificate of an issuing CA with the key of `signer`. It asks for the extensions that the
/// certificate must have; `openssl x509 -req -copy_extensions copy` keeps them.
///
/// # Errors
/// The signer's; `Internal` on a fault of the encoding.
pub async fn request(subject: &SubjectName, signer: &dyn Signer) -> Result<Vec<u8>> {
    let profile = Profile::issuing(subject.clone(), None)?;
    let key = PublicKey::from_spki(signer.public_key_info_der())
        .map_err(|problem| Error::internal(format!("the signer's public key: {problem}")))?;
    let extensions = profile.extensions(key.bits(), None)?.to_der().map_err(encode::internal)?;
    let id = EXTENSION_REQUEST.to_der().map_err(encode::internal)?;
    let attribute = encode::sequence(&[&id, &wrapped(Tag::Set, &extensions)?])?;
    let version = 0u8.to_der().map_err(encode::internal)?;
    // [0] IMPLICIT SET OF: constructed and context-specific.
    let attributes = wrapped(Tag::ContextSpecific { number: der::TagNumber(0), constructed: true }, &attribute)?;
    let content = encode::sequence(&[&version, &subject.to_der()?, signer.public_key_info_der(), &attributes])?;
    let signature = signer.sign(&content).await?;
    let algorithm = signer.algorithm().identifier().to_der().map_err(encode::internal)?;
    encode::join_signed(&content, &algorithm, &signature)
}

/// The request as PEM.
pub fn request_pem(der: &[u8]) -> String {
    crate::certificate::pem("CERTIFICATE REQUEST", der)
}

/// Reads `pem` (the issuing CA first, then its root) and checks it against the request that it answers.
///
/// # Errors
/// A sentence and a code for each rule: see the module.
pub fn check_chain(pem: &str, request_der: &[u8], now: Timestamp) -> Result<ExternalChain> {
    let asked = CertificateRequest::from_der(request_der)
        .map_err(|error| Error::internal(format!("a stored certificate request: {error}")))?;
    let mut chain = Certificate::chain_from_pem(pem).map_err(|error| bad_chain(error.message))?;
    check_order(&chain, &asked)?;
    let (Some(root), Some(issuing)) = (chain.pop(), chain.pop()) else {
        return Err(Error::internal("a chain of two has no two"));
    };
    check_is_asked_for(&issuing, &asked)?;
    check_ca(&root, Place::Root)?;
    check_ca(&issuing, Place::Issuing)?;
    check_validity(&root, now)?;
    check_validity(&issuing, now)?;
    let end = issuing.not_after().min(root.not_after());
    if end < now.checked_add(LEAST_REMAINING).unwrap_or(Timestamp::MAX) {
        return Err(refused(
            "CertificateExpiringSoon",
            "validityNotAfter",
            format!(
                "The issuing CA '{}' could be used until {end} only, less than 365 days from now. Sign it for longer; 730 days give time to renew.",
                issuing.subject()
            ),
        ));
    }
    root.verify_signed_by(&root)
        .map_err(|_| bad_chain(format!("The root '{}' is self-signed with a wrong signature.", root.subject())))?;
    issuing.verify_signed_by(&root).map_err(|error| bad_chain(error.message))?;
    Ok(ExternalChain { issuing, root })
}

/// Two certificates, the asked-for one first and a root that names itself last.
fn check_order(chain: &[Certificate], asked: &CertificateRequest) -> Result<()> {
    let has_the_key = |certificate: &Certificate| certificate.public_key_info_der() == asked.public_key_info_der();
    match chain {
        [first, .., last] if !has_the_key(first) && has_the_key(last) => Err(bad_chain(
            "The chain is in the wrong order: the certificate that was made from the request comes first and the root last.",
        )),
        [only] => Err(bad_chain(format!(
            "The chain has the one certificate '{}'; add the root that signed it after it, because devices are handed the whole chain.",
            only.subject()
        ))),
        [_, root] if !root.is_self_issued() => Err(bad_chain(format!(
            "The last certificate of the chain, '{}', is no root: it was issued by '{}'. The root that signs itself is expected.",
            root.subject(),
            root.issuer()
        ))),
        [_, _] => Ok(()),
        _ => Err(bad_chain(format!(
            "The chain has {} certificates and exactly two are expected, the issuing CA and the root that signed it: a device's chain has three certificates, with nothing between issuing CA and root.",
            chain.len()
        ))),
    }
}

fn check_is_asked_for(issuing: &Certificate, asked: &CertificateRequest) -> Result<()> {
    if !issuing.subject().matches(asked.subject()) {
        return Err(refused(
            "CertificateSubjectMismatch",
            "subject",
            format!(
                "The first certificate is for '{}'; the request asks for '{}'. Keep the subject of the request.",
                issuing.subject(),
                asked.subject()
            ),
        ));
    }
    if issuing.public_key_info_der() != asked.public_key_info_der() {
        if let Err(problem @ KeyProblem::ExplicitParameters) = PublicKey::from_spki(issuing.public_key_info_der()) {
            return Err(bad_key(issuing, &problem.to_string()));
        }
        return Err(refused(
            "CertificateKeyMismatch",
            "publicKey",
            format!(
                "The first certificate '{}' has another key than the request that waits. Sign the request that is shown now; an older one no longer counts.",
                issuing.subject()
            ),
        ));
    }
    Ok(())
}

/// Where in the chain a CA stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Issuing,
    Root,
}

/// What holds for a CA of the chain, whatever the time.
fn check_ca(ca: &Certificate, place: Place) -> Result<()> {
    let name = ca.subject();
    if ca.version() != 3 {
        return Err(invalid(
            "version",
            format!("The certificate '{name}' is of X.509 version {}; 3 is needed.", ca.version()),
        ));
    }
    let key = PublicKey::from_spki(ca.public_key_info_der()).map_err(|problem| bad_key(ca, &problem.to_string()))?;
    if !matches!(key.kind(), KeyKind::P256 | KeyKind::P384 | KeyKind::P521) {
        return Err(bad_key(ca, &format!("it is {}, and a P-256, P-384 or P-521 key is needed", key.kind())));
    }
    let signed = split_signed(ca.der()).map_err(encode::internal)?;
    if ![oid::ECDSA_SHA256, oid::ECDSA_SHA384, oid::ECDSA_SHA512].contains(&signed.algorithm.oid) {
        return Err(invalid(
            "signatureAlgorithm",
            format!(
                "The certificate '{name}' is signed with the algorithm {}; ECDSA with SHA-256, SHA-384 or SHA-512 is needed.",
                signed.algorithm.oid
            ),
        ));
    }
    let extensions = Tbs::parse(signed.content).map_err(encode::internal)?.extensions;
    check_constraints(ca, &extensions, place)?;
    check_usages(ca, &extensions)?;
    if ca.subject_key_id().is_none() {
        return Err(invalid(
            "subjectKeyIdentifier",
            format!("The certificate '{name}' has no subject key identifier; add it (subjectKeyIdentifier = hash)."),
        ));
    }
    check_critical(ca, &extensions)
}

fn check_constraints(ca: &Certificate, extensions: &[Extension], place: Place) -> Result<()> {
    let name = ca.subject();
    let wanted = match place {
        Place::Issuing => "critical, CA:TRUE, pathlen:0",
        Place::Root => "critical, CA:TRUE, pathlen:1",
    };
    let rule = |what: &str| {
        let kept = match place {
            Place::Issuing => {
                " The request asks for it: keep its extensions (openssl x509 -req -copy_extensions copy)."
            }
            Place::Root => "",
        };
        invalid(
            "basicConstraints",
            format!("The certificate '{name}' {what}; basic constraints must be '{wanted}'.{kept}"),
        )
    };
    let Some(found) = extensions.iter().find(|extension| extension.extn_id == oid::BASIC_CONSTRAINTS) else {
        return Err(rule("has no basic constraints"));
    };
    let constraints = BasicConstraints::from_der(found.extn_value.as_bytes()).map_err(encode::internal)?;
    if !constraints.ca {
        return Err(rule("is no certificate authority"));
    }
    if !found.critical {
        return Err(rule("does not mark its basic constraints as critical"));
    }
    let length = match place {
        Place::Issuing => 0,
        Place::Root => 1,
    };
    match constraints.path_len_constraint {
        Some(found) if found == length => Ok(()),
        Some(found) => Err(invalid(
            "pathLength",
            format!("The certificate '{name}' has the path length {found}; basic constraints must be '{wanted}'."),
        )),
        None => Err(invalid(
            "pathLength",
            format!("The certificate '{name}' has no path length; basic constraints must be '{wanted}'."),
        )),
    }
}

fn check_usages(ca: &Certificate, extensions: &[Extension]) -> Result<()> {
    let name = ca.subject();
    let value = |id: ObjectIdentifier| extensions.iter().find(|extension| extension.extn_id == id);
    let usage = match value(oid::KEY_USAGE) {
        Some(found) => Some(KeyUsage::from_der(found.extn_value.as_bytes()).map_err(encode::internal)?),
        None => None,
    };
    let lacks = match &usage {
        None => vec!["digitalSignature", "keyCertSign", "cRLSign"],
        Some(usage) => {
            let bits = [
                (usage.digital_signature(), "digitalSignature"),
                (usage.key_cert_sign(), "keyCertSign"),
                (usage.crl_sign(), "cRLSign"),
            ];
            bits.into_iter().filter(|(there, _)| !there).map(|(_, name)| name).collect()
        }
    };
    if !lacks.is_empty() {
        return Err(invalid(
            "keyUsage",
            format!(
                "The key usage of the certificate '{name}' lacks {}; it must name digitalSignature, keyCertSign and cRLSign.",
                lacks.join(", ")
            ),
        ));
    }
    let Some(found) = value(oid::EXTENDED_KEY_USAGE) else { return Ok(()) };
    let purposes = ExtendedKeyUsage::from_der(found.extn_value.as_bytes()).map_err(encode::internal)?;
    if purposes.0.contains(&oid::CLIENT_AUTH) {
        return Ok(());
    }
    Err(invalid(
        "extendedKeyUsage",
        format!(
            "The extended key usage of the certificate '{name}' lacks clientAuth (1.3.6.1.5.5.7.3.2); name it, or leave the extension out."
        ),
    ))
}

/// What a verifier does not know it must refuse, and names of ours are not the customer's to allow.
fn check_critical(ca: &Certificate, extensions: &[Extension]) -> Result<()> {
    let name = ca.subject();
    if extensions.iter().any(|extension| extension.extn_id == NAME_CONSTRAINTS) {
        return Err(invalid(
            "nameConstraints",
            format!(
                "The certificate '{name}' has name constraints, which the names in device certificates would break; leave them out."
            ),
        ));
    }
    match extensions.iter().find(|extension| extension.critical && !KNOWN_CRITICAL.contains(&extension.extn_id)) {
        None => Ok(()),
        Some(found) => Err(invalid(
            "extensions",
            format!(
                "The certificate '{name}' has the critical extension {}, which verifiers would refuse; leave it out or make it non-critical.",
                found.extn_id
            ),
        )),
    }
}

fn check_validity(ca: &Certificate, now: Timestamp) -> Result<()> {
    let name = ca.subject();
    if now < ca.not_before() {
        return Err(refused(
            "CertificateNotYetValid",
            "validityNotBefore",
            format!("The certificate '{name}' is not valid before {}; it must be valid now.", ca.not_before()),
        ));
    }
    if now > ca.not_after() {
        return Err(refused(
            "CertificateExpired",
            "validityNotAfter",
            format!("The certificate '{name}' has expired on {}.", ca.not_after()),
        ));
    }
    Ok(())
}

fn wrapped(tag: Tag, content: &[u8]) -> Result<Vec<u8>> {
    AnyRef::new(tag, content).and_then(|any| any.to_der()).map_err(encode::internal)
}

fn bad_key(ca: &Certificate, problem: &str) -> Error {
    invalid("publicKey", format!("The key of the certificate '{}' is not usable: {problem}.", ca.subject()))
}

fn bad_chain(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, "InvalidCertificateChain", message).with_target("certificateChain")
}

fn invalid(member: &str, message: String) -> Error {
    Error::invalid_property(format!("{MEMBER}.{member}"), message)
}

fn refused(code: &'static str, member: &str, message: String) -> Error {
    Error::invalid(message).with_code(code).with_target(format!("{MEMBER}.{member}"))
}
