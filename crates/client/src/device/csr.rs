//! The device's own key and the request for its certificate.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use der::Encode;
use der::asn1::BitString;
use der::asn1::SetOfVec;
use ferrohub_model::error::{Error, Result};
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::name::SubjectName;
use ferrohub_pki::signer::{Signer, SoftwareSigner};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use spki::SubjectPublicKeyInfoOwned;
use spki::der::Decode;
use x509_cert::request::{CertReq, CertReqInfo, Version};

/// A device's key (one made here is EC P-256); it never leaves the device.
#[derive(Debug)]
pub struct DeviceKey(SoftwareSigner);

impl DeviceKey {
    /// A new key.
    ///
    /// # Errors
    /// `Internal` on a fault of the provider.
    pub fn generate() -> Result<Self> {
        SoftwareSigner::generate(KeyKind::P256).map(Self)
    }

    /// The key in a PEM file: PKCS#8 (P-256, P-384, RSA).
    ///
    /// # Errors
    /// `Invalid` where there is none or it is of another kind; the key is never in the message.
    #[expect(clippy::disallowed_methods, reason = "a device keeps its own key")]
    pub fn from_pem(pem: &[u8]) -> Result<Self> {
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| {
            Error::invalid(
                "The key file has no unencrypted PKCS#8 key; convert it with 'openssl pkcs8 -topk8 -nocrypt'.",
            )
        })?;
        SoftwareSigner::from_pkcs8(key.secret_pkcs8_der()).map(Self)
    }

    /// A PKCS#10 request for a certificate whose common name is `registration_id`, signed with the
    /// key: standard base64 of the DER, without armour or line breaks, as DPS takes it.
    ///
    /// # Errors
    /// `Invalid` where the registration id is no common name (see `limits::COMMON_NAME_CHARS`).
    pub fn certificate_request(&self, registration_id: &str) -> Result<String> {
        let public_key = SubjectPublicKeyInfoOwned::from_der(self.0.public_key_info_der()).map_err(encoding)?;
        let info = CertReqInfo {
            version: Version::V1,
            subject: SubjectName::from_common_name(registration_id)?.to_x509()?,
            public_key,
            attributes: SetOfVec::new(),
        };
        let signature = self.0.sign_in_process(&info.to_der().map_err(encoding)?)?;
        let request = CertReq {
            info,
            algorithm: self.0.algorithm().identifier(),
            signature: BitString::from_bytes(&signature).map_err(encoding)?,
        };
        Ok(STANDARD.encode(request.to_der().map_err(encoding)?))
    }

    /// The key as TLS takes it.
    ///
    /// # Errors
    /// `Internal` on a fault of the provider.
    #[expect(clippy::disallowed_methods, reason = "a device keeps its own key, and its TLS stack signs with it")]
    pub(super) fn for_tls(&self) -> Result<PrivateKeyDer<'static>> {
        Ok(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.0.to_pkcs8()?.to_vec())))
    }
}

fn encoding(error: der::Error) -> Error {
    Error::internal(format!("encoding a certificate request: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_model::limits::COMMON_NAME_CHARS;
    use ferrohub_model::limits::CSR_BASE64_BYTES;
    use ferrohub_pki::csr::CertificateRequest;

    #[test]
    fn the_server_accepts_the_request_and_reads_key_and_name_from_it() {
        let key = DeviceKey::generate().unwrap();
        let text = key.certificate_request("sn-007.a:b_c").unwrap();
        let request = CertificateRequest::from_base64(&text, CSR_BASE64_BYTES).unwrap();
        assert_eq!(request.common_name(), Some("sn-007.a:b_c"));
        assert_eq!(request.key_kind(), KeyKind::P256);
        assert_eq!(request.public_key_info_der(), key.0.public_key_info_der());
    }

    #[test]
    fn a_name_that_fits_no_certificate_is_refused() {
        let key = DeviceKey::generate().unwrap();
        assert!(key.certificate_request("").is_err());
        assert!(key.certificate_request(&"x".repeat(COMMON_NAME_CHARS + 1)).is_err());
    }
}
