//! How a device proves that it belongs to an enrollment: as stored, as shown, as asked for.

use crate::time::rfc3339;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The attestation of a stored enrollment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attestation {
    /// A symmetric key: of the device itself, or of a group, from which the device's own is derived.
    #[serde(rename = "keys")]
    SymmetricKey(SymmetricKeys),
    /// A client certificate.
    #[serde(rename = "x509")]
    X509(X509Attestation),
    /// A TPM; of individual enrollments only.
    #[serde(rename = "tpm")]
    Tpm(TpmKeys),
}

/// Both keys of a symmetric-key attestation: base64 text, or sealed base64 in a stored enrollment.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymmetricKeys {
    /// Primary key.
    pub primary: String,
    /// Secondary key.
    pub secondary: String,
}

impl std::fmt::Debug for SymmetricKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SymmetricKeys { .. }")
    }
}

/// The public keys of a TPM, base64 of TPM2B_PUBLIC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TpmKeys {
    /// Endorsement key.
    pub endorsement_key: String,
    /// Storage root key, where the enrollment names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_root_key: Option<String>,
}

/// A primary and a secondary thing, of which at least one is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair<T> {
    /// Primary.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub primary: Option<T>,
    /// Secondary.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub secondary: Option<T>,
}

fn none<T>() -> Option<T> {
    None
}

impl<T> Pair<T> {
    /// Those that are there, primary first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.primary.iter().chain(&self.secondary)
    }
}

/// Which certificates count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum X509Attestation {
    /// The device's own; of individual enrollments only.
    ClientCertificates(Pair<EnrolledCertificate>),
    /// Those of CAs above the device's, roots or intermediates; of groups only.
    SigningCertificates(Pair<EnrolledCertificate>),
    /// The same by their names as certificates of the provisioning service, where they are verified.
    CaReferences(Pair<String>),
}

/// A certificate that an enrollment names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolledCertificate {
    /// Base64 of its DER.
    pub certificate: String,
    /// What it says.
    pub info: Box<CertificateInfo>,
}

/// `X509CertificateInfo` of the APIs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateInfo {
    /// Subject.
    pub subject_name: String,
    /// SHA-1, upper-case hexadecimal.
    pub sha1_thumbprint: String,
    /// SHA-256, upper-case hexadecimal.
    pub sha256_thumbprint: String,
    /// Issuer.
    pub issuer_name: String,
    /// Start of the validity.
    pub not_before: Timestamp,
    /// End of the validity.
    pub not_after: Timestamp,
    /// Serial number, upper-case hexadecimal.
    pub serial_number: String,
    /// Version of X.509: 3, or 1.
    pub version: u8,
}

impl CertificateInfo {
    /// The document of the APIs.
    pub fn view(&self) -> Value {
        json!({
            "subjectName": self.subject_name,
            "sha1Thumbprint": self.sha1_thumbprint,
            "sha256Thumbprint": self.sha256_thumbprint,
            "issuerName": self.issuer_name,
            "notBeforeUtc": rfc3339(self.not_before),
            "notAfterUtc": rfc3339(self.not_after),
            "serialNumber": self.serial_number,
            "version": self.version,
        })
    }
}

impl Attestation {
    /// The word of the APIs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::SymmetricKey(_) => "symmetricKey",
            Self::X509(_) => "x509",
            Self::Tpm(_) => "tpm",
        }
    }

    /// What everybody who may read the enrollment sees: no symmetric keys, and of a certificate what it says.
    pub fn view(&self) -> Value {
        match self {
            Self::SymmetricKey(_) => json!({"type": self.word()}),
            Self::X509(x509) => json!({"type": self.word(), "x509": x509.view(false)}),
            Self::Tpm(keys) => json!({"type": self.word(), "tpm": keys}),
        }
    }
}

impl X509Attestation {
    /// The document of the APIs, with the certificates themselves or without.
    pub fn view(&self, whole: bool) -> Value {
        let shown = |pair: &Pair<EnrolledCertificate>| {
            let mut view = json!({});
            for (name, given) in [("primary", &pair.primary), ("secondary", &pair.secondary)] {
                let Some(given) = given else { continue };
                view[name] = json!({"info": given.info.view()});
                if whole {
                    view[name]["certificate"] = json!(given.certificate);
                }
            }
            view
        };
        match self {
            Self::ClientCertificates(pair) => json!({"clientCertificates": shown(pair)}),
            Self::SigningCertificates(pair) => json!({"signingCertificates": shown(pair)}),
            Self::CaReferences(pair) => json!({"caReferences": pair}),
        }
    }

    /// The certificates that it holds itself, primary first.
    pub fn certificates(&self) -> impl Iterator<Item = &EnrolledCertificate> {
        let pair = match self {
            Self::ClientCertificates(pair) | Self::SigningCertificates(pair) => Some(pair),
            Self::CaReferences(_) => None,
        };
        pair.into_iter().flat_map(Pair::iter)
    }
}

/// The attestation that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestedAttestation {
    /// Symmetric keys; absent ones are kept or generated.
    SymmetricKey(RequestedKeys),
    /// Certificates.
    X509(RequestedX509),
    /// A TPM's keys.
    Tpm(TpmKeys),
}

/// Keys that a request names; absent ones are kept or generated.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RequestedKeys {
    /// Primary key, base64.
    pub primary: Option<String>,
    /// Secondary key, base64.
    pub secondary: Option<String>,
}

impl std::fmt::Debug for RequestedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RequestedKeys { .. }")
    }
}

/// Certificates that a request names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestedX509 {
    /// The device's own.
    ClientCertificates(Pair<RequestedCertificate>),
    /// Those of CAs.
    SigningCertificates(Pair<RequestedCertificate>),
    /// Names of certificates of the provisioning service.
    CaReferences(Pair<String>),
}

/// A certificate of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestedCertificate {
    /// PEM or base64.
    Text(String),
    /// The one with this SHA-256 thumbprint, upper-case hexadecimal, which the enrollment has already: who puts back what
    /// he read has no more of it.
    Kept(String),
}
