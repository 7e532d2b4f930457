//! Verifying the chain that a TLS client presented.
//!
//! Any CA certificate may be an anchor, an issuing CA too: synchronize puts the issuing CA on the
//! hub, and devices send one, two or three certificates. Sizes are capped before a path is built.

use crate::certificate::{Certificate, Tbs};
use crate::encode::split_signed;
use crate::public_key::{KeyProblem, PublicKey};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits;
use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use std::time::Duration;
use uuid::Uuid;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

pub use crate::certificate::thumbprints;

/// IoT numeric code of an unreadable or oversized client certificate (401002: "Invalid certificate.").
pub const CODE_BAD_CERTIFICATE: u32 = 401_002;
/// IoT numeric code of a client certificate that is not trusted (401003 IotHubUnauthorized).
pub const CODE_UNTRUSTED: u32 = 401_003;

/// What a verified leaf says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedLeaf {
    /// First common name of the subject.
    pub common_name: Option<String>,
    /// Credential id of a certificate issued by Ferrohub.
    pub credential_id: Option<Uuid>,
    /// SHA-1 thumbprint, upper-case hex.
    pub sha1: String,
    /// SHA-256 thumbprint, upper-case hex.
    pub sha256: String,
    /// Serial number, upper-case hex.
    pub serial_hex: String,
    /// End of the leaf's validity.
    pub not_after: Timestamp,
    /// Which of the given anchors the chain ends in.
    pub anchor_index: usize,
    /// SHA-256 thumbprint of that anchor, upper-case hex.
    pub anchor_sha256: String,
}

/// Verifies `presented` (leaf first) for client authentication against `anchors` (DER CA certificates,
/// roots or issuing CAs) at `now`.
///
/// # Errors
/// `Unauthenticated`: code 401002 where the chain is empty, too long, malformed or has a key that is
/// refused; 401003 where it is expired, not yet valid, from an unknown issuer or not for client authentication.
pub fn verify_client_chain(
    presented: &[impl AsRef<[u8]>],
    anchors: &[impl AsRef<[u8]>],
    now: Timestamp,
) -> Result<VerifiedLeaf> {
    check_sizes(presented)?;
    let ders: Vec<CertificateDer<'_>> = presented.iter().map(|der| CertificateDer::from(der.as_ref())).collect();
    let (leaf_der, intermediates) = ders.split_first().ok_or_else(no_certificate)?;
    let anchor_ders: Vec<CertificateDer<'_>> =
        anchors.iter().take(limits::CHAIN_ANCHORS).map(|der| CertificateDer::from(der.as_ref())).collect();
    // An anchor that does not parse can verify nothing, and must not take the others down with it.
    let trusted: Vec<(usize, TrustAnchor<'_>)> = anchor_ders
        .iter()
        .enumerate()
        .filter_map(|(index, der)| anchor_from_trusted_cert(der).ok().map(|anchor| (index, anchor)))
        .collect();
    let trust: Vec<TrustAnchor<'_>> = trusted.iter().map(|(_, anchor)| anchor.clone()).collect();
    let leaf = Certificate::from_der(leaf_der).map_err(|error| malformed(error.context.unwrap_or_default()))?;
    let end_entity = EndEntityCert::try_from(leaf_der).map_err(|error| explain(&error, &leaf))?;
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let path = end_entity
        .verify_for_usage(ALL_VERIFICATION_ALGS, &trust, intermediates, time, KeyUsage::client_auth(), None, None)
        .map_err(|error| explain(&error, &leaf))?;
    let position = trust.iter().position(|anchor| std::ptr::eq(anchor, path.anchor()));
    let anchor_index = position.and_then(|found| trusted.get(found)).map(|(index, _)| *index);
    let anchor_index = anchor_index.ok_or_else(|| Error::internal("the verified path ends in no anchor"))?;
    let anchor_sha256 = anchors.get(anchor_index).map(|der| thumbprints(der.as_ref()).1).unwrap_or_default();
    Ok(VerifiedLeaf {
        common_name: leaf.common_name().map(str::to_owned),
        credential_id: leaf.credential_id(),
        sha1: leaf.sha1().to_owned(),
        sha256: leaf.sha256().to_owned(),
        serial_hex: leaf.serial_hex().to_owned(),
        not_after: leaf.not_after(),
        anchor_index,
        anchor_sha256,
    })
}

/// Everything that makes path building dear: length, bytes, RSA sizes.
fn check_sizes(presented: &[impl AsRef<[u8]>]) -> Result<()> {
    if presented.is_empty() {
        return Err(no_certificate());
    }
    if presented.len() > limits::CHAIN_LENGTH {
        return Err(refused(
            CODE_BAD_CERTIFICATE,
            format!(
                "The client presented {} certificates; at most {} are accepted.",
                presented.len(),
                limits::CHAIN_LENGTH
            ),
        ));
    }
    for der in presented {
        let der = der.as_ref();
        if der.len() > limits::CERTIFICATE_BYTES {
            return Err(refused(
                CODE_BAD_CERTIFICATE,
                format!(
                    "The client presented a certificate of {} bytes; at most {} are accepted.",
                    der.len(),
                    limits::CERTIFICATE_BYTES
                ),
            ));
        }
        let signed = split_signed(der).map_err(|error| malformed(error.to_string()))?;
        let tbs = Tbs::parse(signed.content).map_err(|error| malformed(error.to_string()))?;
        if let Err(problem) = PublicKey::from_spki(tbs.public_key_info) {
            return Err(bad_key(&problem));
        }
    }
    Ok(())
}

fn explain(error: &webpki::Error, leaf: &Certificate) -> Error {
    let name = leaf.subject();
    let (code, message) = match error {
        webpki::Error::CertExpired { .. } => (
            CODE_UNTRUSTED,
            format!(
                "The client certificate '{name}' or a certificate above it has expired (the client's own ends on {}); provision the device again.",
                leaf.not_after()
            ),
        ),
        webpki::Error::CertNotValidYet { .. } => (
            CODE_UNTRUSTED,
            format!("The client certificate '{name}' or a certificate above it is not valid yet; check the clocks."),
        ),
        webpki::Error::UnknownIssuer => (
            CODE_UNTRUSTED,
            format!(
                "The client certificate '{name}' has the unknown issuer '{}'; synchronize the credential policy to this hub or upload the CA certificate.",
                leaf.issuer()
            ),
        ),
        webpki::Error::RequiredEkuNotFoundContext(_) => (
            CODE_UNTRUSTED,
            format!(
                "The client certificate '{name}' is not for client authentication; its extended key usage lacks clientAuth."
            ),
        ),
        webpki::Error::CaUsedAsEndEntity => (
            CODE_UNTRUSTED,
            format!("The client certificate '{name}' is a CA certificate; present a device certificate."),
        ),
        webpki::Error::InvalidSignatureForPublicKey => (
            CODE_UNTRUSTED,
            format!("The signature of the client certificate '{name}' or of a certificate above it is wrong."),
        ),
        webpki::Error::PathLenConstraintViolated
        | webpki::Error::MaximumPathDepthExceeded
        | webpki::Error::MaximumPathBuildCallsExceeded
        | webpki::Error::MaximumSignatureChecksExceeded => {
            (CODE_UNTRUSTED, format!("The chain above the client certificate '{name}' is too long."))
        }
        _ => (
            CODE_BAD_CERTIFICATE,
            format!("The client certificate '{name}' or a certificate above it is not acceptable."),
        ),
    };
    refused(code, message).with_context(format!("webpki: {error:?}"))
}

fn no_certificate() -> Error {
    refused(CODE_BAD_CERTIFICATE, "The client presented no certificate.".to_owned())
}

fn malformed(context: String) -> Error {
    refused(CODE_BAD_CERTIFICATE, "The client presented a malformed certificate.".to_owned()).with_context(context)
}

fn bad_key(problem: &KeyProblem) -> Error {
    refused(CODE_BAD_CERTIFICATE, format!("The client presented a certificate whose key is not usable: {problem}."))
}

fn refused(code: u32, message: String) -> Error {
    Error::unauthenticated(message).with_iot_code(code)
}
