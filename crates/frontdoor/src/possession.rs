//! The client certificate in a handshake: the peer proves that it holds the key, and no more.
//!
//! Certificates of version 1, as Azure's tutorials make them, prove it like others. The TLS library reads version 3 only, so for
//! them the signature is checked with the key alone.

use ferrohub_model::limits;
use ferrohub_pki::certificate::{Certificate, version_of};
use ferrohub_pki::public_key::{KeyProblem, PublicKey};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme};
use std::sync::Arc;

/// Accepts any certificate within the limits whose key the peer proves it holds.
#[derive(Debug)]
pub(crate) struct Possession {
    algorithms: WebPkiSupportedAlgorithms,
}

impl Possession {
    /// With the signatures that `provider` verifies.
    pub(crate) fn new(provider: &CryptoProvider) -> Self {
        Self { algorithms: provider.signature_verification_algorithms }
    }

    fn algorithms_of(
        &self,
        signed: &DigitallySignedStruct,
    ) -> Result<&'static [&'static dyn SignatureVerificationAlgorithm], rustls::Error> {
        let found = self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme);
        found
            .map(|(_, possible)| *possible)
            .ok_or_else(|| refused(format!("the signature scheme {:?} is not supported", signed.scheme)))
    }
}

impl ClientCertVerifier for Possession {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// No hints: the authorities of a hub are nobody else's business, and self-signed devices have none.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    /// Runs before the signature is checked, so that nothing large is ever computed with.
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if intermediates.len() + 1 > limits::CHAIN_LENGTH {
            return Err(refused(format!(
                "the chain has {} certificates, at most {} are read",
                intermediates.len() + 1,
                limits::CHAIN_LENGTH
            )));
        }
        for certificate in std::iter::once(end_entity).chain(intermediates) {
            if certificate.len() > limits::CERTIFICATE_BYTES {
                return Err(refused(format!(
                    "a certificate has {} bytes, at most {} are read",
                    certificate.len(),
                    limits::CERTIFICATE_BYTES
                )));
            }
        }
        let leaf = parsed(end_entity)?;
        match PublicKey::from_spki(leaf.public_key_info_der()) {
            Err(problem @ (KeyProblem::LargeRsa(_) | KeyProblem::WeakRsa(_))) => Err(refused(problem.to_string())),
            // Other kinds are left to the signature check, which knows what TLS can use.
            _ => Ok(ClientCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if version_of(certificate) == Some(1) {
            // Any curve goes with any digest.
            return verify_with_key(certificate, message, signed, self.algorithms_of(signed)?);
        }
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if version_of(certificate) == Some(1) {
            // RFC 8446, 4.2.3: PKCS#1 v1.5 signs no handshake, and a scheme names its curve, which the first of it is for.
            return match signed.scheme {
                SignatureScheme::RSA_PKCS1_SHA256
                | SignatureScheme::RSA_PKCS1_SHA384
                | SignatureScheme::RSA_PKCS1_SHA512 => Err(refused("PKCS#1 v1.5 signs no TLS 1.3 handshake".into())),
                _ => {
                    let first = self.algorithms_of(signed)?.get(..1).unwrap_or_default();
                    verify_with_key(certificate, message, signed, first)
                }
            };
        }
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn parsed(der: &CertificateDer<'_>) -> Result<Certificate, rustls::Error> {
    Certificate::from_der(der).map_err(|error| refused(error.message))
}

/// Verifies with the key of a certificate that the TLS library does not read.
fn verify_with_key(
    certificate: &CertificateDer<'_>,
    message: &[u8],
    signed: &DigitallySignedStruct,
    possible: &[&dyn SignatureVerificationAlgorithm],
) -> Result<HandshakeSignatureValid, rustls::Error> {
    let leaf = parsed(certificate)?;
    let (algorithm, key) = leaf.key_parts().map_err(|error| refused(error.message))?;
    let mut fits = possible.iter().filter(|with| with.public_key_alg_id().as_ref() == algorithm.as_slice());
    if fits.any(|with| with.verify_signature(key, message, signed.signature()).is_ok()) {
        return Ok(HandshakeSignatureValid::assertion());
    }
    Err(rustls::Error::InvalidCertificate(CertificateError::BadSignature))
}

/// A refusal whose reason reaches the log.
fn refused(reason: String) -> rustls::Error {
    rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Refusal(reason)))))
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refusal(String);
