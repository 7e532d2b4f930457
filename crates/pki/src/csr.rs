//! PKCS#10 requests: parsing and proof of possession.
//!
//! Only the key is taken from a request, and the common name for the caller to compare. Requested
//! extensions (CA:TRUE, key usages) are never read: the profile decides everything.

use crate::algorithm::{self, KeyKind, VerifyFailure};
use crate::encode::{Signed, split_signed};
use crate::name::SubjectName;
use crate::public_key::{KeyProblem, PublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use der::{Decode, Header, Reader, SliceReader};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits;

/// IoT numeric code where the `csr` member itself is missing, too long or no base64 (measured; reference/certificates.md 3.1).
pub const CODE_BAD_PAYLOAD: u32 = 400_004;
/// IoT numeric code where the request was decoded but did not pass (measured; reference/certificates.md 3.1).
pub const CODE_BAD_REQUEST: u32 = 400_037;

/// A request whose signature was verified with the key that it asks a certificate for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRequest {
    der: Vec<u8>,
    subject: SubjectName,
    public_key_info: Vec<u8>,
    key_kind: KeyKind,
}

/// CertificationRequestInfo, borrowed; the attributes are skipped.
struct RequestInfo<'a> {
    subject: &'a [u8],
    public_key_info: &'a [u8],
}

impl CertificateRequest {
    /// Decodes standard base64 of a DER PKCS#10 request (no PEM armour, no line breaks) and verifies it.
    /// `max_length` is in base64 characters; callers pass `limits::CSR_BASE64_BYTES` (8 KB in IoT Hub).
    ///
    /// # Errors
    /// `Invalid`: code 400004 where it is empty, too long or not base64; else as [`CertificateRequest::from_der`].
    pub fn from_base64(text: &str, max_length: usize) -> Result<Self> {
        if text.is_empty() {
            return Err(bad_payload(
                "The 'csr' is missing or empty; send the base64 text of a DER-encoded PKCS#10 request.",
            ));
        }
        if text.len() > max_length {
            return Err(bad_payload(format!(
                "The 'csr' has {} characters and exceeds the maximum allowed length of {max_length}; send a smaller request.",
                text.len()
            )));
        }
        if text.trim_start().starts_with("-----BEGIN") {
            return Err(bad_payload(
                "The 'csr' is PEM and not valid base64; send the base64 text without the BEGIN and END lines and without line breaks.",
            ));
        }
        let der = STANDARD.decode(text).map_err(|error| {
            bad_payload("The 'csr' is not valid base64; use the standard alphabet with padding and no line breaks.")
                .with_context(error.to_string())
        })?;
        Self::from_der(&der)
    }

    /// Parses a DER PKCS#10 request and verifies its proof of possession.
    ///
    /// # Errors
    /// `Invalid`, code 400037: not a request, trailing data, an unusable key (see [`KeyProblem`]), an
    /// unsupported signature algorithm, or a signature that does not verify.
    pub fn from_der(der: &[u8]) -> Result<Self> {
        if der.len() > limits::CSR_BASE64_BYTES {
            return Err(bad_payload(format!(
                "The 'csr' has {} bytes and exceeds the maximum allowed length of {}; send a smaller request.",
                der.len(),
                limits::CSR_BASE64_BYTES
            )));
        }
        let signed = split_signed(der).map_err(|error| not_a_request(&error))?;
        let info = request_info(signed.content).map_err(|error| not_a_request(&error))?;
        let subject = SubjectName::from_der(info.subject).map_err(|error| not_a_request(&error))?;
        let key = PublicKey::from_spki(info.public_key_info).map_err(|problem| bad_key(&problem))?;
        prove_possession(&key, &signed)?;
        Ok(Self { der: der.to_vec(), subject, public_key_info: info.public_key_info.to_vec(), key_kind: key.kind() })
    }

    /// The whole request, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The subject's first common name, which DPS and IoT Hub compare with the registration or device id.
    pub fn common_name(&self) -> Option<&str> {
        self.subject.common_name()
    }

    /// The whole subject.
    pub fn subject(&self) -> &SubjectName {
        &self.subject
    }

    /// DER SubjectPublicKeyInfo, byte for byte as in the request.
    pub fn public_key_info_der(&self) -> &[u8] {
        &self.public_key_info
    }

    /// Kind of the key.
    pub fn key_kind(&self) -> KeyKind {
        self.key_kind
    }
}

fn request_info(content: &[u8]) -> der::Result<RequestInfo<'_>> {
    let mut reader = SliceReader::new(content)?;
    let info = reader.sequence(|inner| {
        let version = u8::decode(inner)?;
        if version != 0 {
            return Err(der::Tag::Integer.value_error().to_error());
        }
        let subject = inner.tlv_bytes()?;
        let public_key_info = inner.tlv_bytes()?;
        // Attributes are [0]; some small clients leave the empty set out.
        if !inner.is_finished() {
            let header = Header::peek(inner)?;
            if header.tag().number() != der::TagNumber(0) || !header.tag().is_context_specific() {
                return Err(header.tag().unexpected_error(None).to_error());
            }
            inner.tlv_bytes()?;
        }
        Ok(RequestInfo { subject, public_key_info })
    })?;
    reader.finish()?;
    Ok(info)
}

fn prove_possession(key: &PublicKey<'_>, signed: &Signed<'_>) -> Result<()> {
    algorithm::verify(key.kind(), key.bits(), &signed.algorithm, signed.content, signed.signature).map_err(|failure| {
        match failure {
            VerifyFailure::Unsupported(what) => bad_request(format!(
                "The certificate request did not pass verification: its signature algorithm ({what}) is not supported; sign it with SHA-256, SHA-384, SHA-512 or Ed25519."
            )),
            VerifyFailure::BadSignature => bad_request(
                "The certificate request did not pass verification: its signature does not match its public key; sign it with the private key that belongs to it.",
            ),
        }
    })
}

fn not_a_request(error: &der::Error) -> Error {
    let trailing = matches!(error.kind(), der::ErrorKind::TrailingData { .. });
    let message = if trailing {
        "The certificate request is followed by further data; send exactly one DER-encoded PKCS#10 request."
    } else {
        "The 'csr' is not a DER-encoded PKCS#10 certificate request."
    };
    bad_request(message).with_context(error.to_string())
}

fn bad_key(problem: &KeyProblem) -> Error {
    bad_request(format!("The certificate request's key is not usable: {problem}."))
}

fn bad_payload(message: impl Into<String>) -> Error {
    Error::invalid(message).with_iot_code(CODE_BAD_PAYLOAD)
}

fn bad_request(message: impl Into<String>) -> Error {
    Error::invalid(message).with_iot_code(CODE_BAD_REQUEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(text: &str) -> Error {
        CertificateRequest::from_base64(text, limits::CSR_BASE64_BYTES).unwrap_err()
    }

    #[test]
    fn payload_faults_are_400004() {
        for text in ["", "!!!!", "-----BEGIN CERTIFICATE REQUEST-----", "MII\nAAA=", &"A".repeat(8193)] {
            assert_eq!(failure(text).iot_code, CODE_BAD_PAYLOAD, "{text}");
        }
        assert!(failure("-----BEGIN X").message.contains("PEM"));
        assert!(failure(&"A".repeat(8193)).message.contains("8193"));
    }

    #[test]
    fn base64_of_something_else_is_400037() {
        let error = failure(&STANDARD.encode(b"hello, this is no request"));
        assert_eq!(error.iot_code, CODE_BAD_REQUEST);
        assert!(error.message.contains("not a DER-encoded PKCS#10"));
    }
}
