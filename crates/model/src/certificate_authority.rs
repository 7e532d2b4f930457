//! Certificate authorities of a Device Registry namespace, and the certificates that they issue.

use crate::key_reference::KeyReference;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Whether an authority may still sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AuthorityState {
    /// It signs.
    Active,
    /// Its resource was deleted: the key is gone, the certificate and a last revocation list stay published.
    Retired,
}

/// Key and certificate of a certificate authority, root or issuing, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorityRecord {
    /// Internal id; names the authority's files at the publishing point.
    pub id: Uuid,
    /// Uid of the namespace.
    pub namespace: Uuid,
    /// Uid of the certificate authority resource whose key and certificate these are.
    pub owner: Uuid,
    /// Distinguished name, RFC 4514.
    pub subject: String,
    /// Its certificate, DER.
    #[serde(with = "base64_bytes")]
    pub certificate_der: Vec<u8>,
    /// Start of its validity.
    pub not_before: Timestamp,
    /// End of its validity.
    pub not_after: Timestamp,
    /// SHA-256 of the certificate, upper-case hex.
    pub thumbprint: String,
    /// The authority that signed it; `None` for a root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Uuid>,
    /// Whether it may sign.
    pub state: AuthorityState,
    /// Where its key lives; `None` once retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyReference>,
    /// The last revocation list, signed when the authority was retired, DER.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "base64_bytes")]
    pub last_crl: Vec<u8>,
}

/// The signed revocation list of a living authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevocationList {
    /// DER.
    #[serde(with = "base64_bytes")]
    pub der: Vec<u8>,
    /// When a newer one must be there.
    pub next_update: Timestamp,
    /// The revocations of the authority that it knows of: what grows with each of them asks for a new list.
    #[serde(default)]
    pub generation: u64,
}

/// Whether an issued certificate is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CertificateState {
    /// Signed and handed to the device.
    Issued,
    /// Revoked; on the revocation list until it expires.
    Revoked,
}

impl CertificateState {
    /// The word in the document.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Revoked => "revoked",
        }
    }
}

/// A certificate issued to a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateRecord {
    /// Serial number, lower-case hex, no sign octet.
    pub serial: String,
    /// The authority that signs.
    pub issuer: Uuid,
    /// Root and issuing authority under which it was asked for, leaf's issuer first.
    pub chain: Vec<Uuid>,
    /// Uid of the hub device identity.
    pub device: Uuid,
    /// Device id or registration id in the subject's common name.
    pub subject: String,
    /// The device's credential id that stands in the certificate.
    pub credential_id: Uuid,
    /// Whether it is good.
    pub state: CertificateState,
    /// When it was asked for.
    pub created: Timestamp,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// SHA-256 of the signed certificate, upper-case hex.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sha256: String,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
}

mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_survives_its_document_and_a_retired_one_has_no_key() {
        let record = AuthorityRecord {
            id: Uuid::from_u128(1),
            namespace: Uuid::from_u128(2),
            owner: Uuid::from_u128(3),
            subject: "CN=Root".into(),
            certificate_der: vec![0x30, 0x03, 0xff],
            not_before: Timestamp::from_second(10).unwrap(),
            not_after: Timestamp::from_second(20).unwrap(),
            thumbprint: "AB".into(),
            issuer: None,
            state: AuthorityState::Retired,
            key: None,
            last_crl: vec![1],
        };
        let doc = serde_json::to_value(&record).unwrap();
        assert_eq!(doc["certificateDer"], "MAP/");
        assert!(doc.get("key").is_none());
        assert_eq!(serde_json::from_value::<AuthorityRecord>(doc).unwrap(), record);
    }

    #[test]
    fn states_write_the_word_of_their_column() {
        for state in [CertificateState::Issued, CertificateState::Revoked] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
