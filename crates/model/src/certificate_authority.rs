//! Certificate authorities of a Device Registry namespace, and the certificates that they issue.

use crate::key_reference::KeyReference;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Where an authority stands. Its resource, the owner, has several over time: at most one that waits and one that is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AuthorityState {
    /// It will take over: its key is there, its certificate is asked for, or on its way to the hubs.
    Pending,
    /// It signs.
    Active,
    /// Another one took over, or its resource was deleted: it signs revocation lists only, and is trusted until its last certificate ends.
    Superseded,
    /// It is on its root's revocation list and trusted by nobody. The key is gone, a last revocation list stays published.
    Revoked,
    /// Its resource was deleted, or its last certificate has ended: the key is gone, the certificate and a last revocation list
    /// stay published.
    Retired,
    /// A root of somebody else that signed an authority here: only its certificate is known.
    External,
}

impl AuthorityState {
    /// Whether it signs revocation lists: it has its key, and certificates that may have to be revoked.
    pub fn signs_lists(self) -> bool {
        matches!(self, Self::Active | Self::Superseded)
    }
}

/// Key and certificate of a certificate authority, root or issuing, as stored. One that waits for its certificate has an empty
/// one, no thumbprint, and a validity that begins and ends when it was made.
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
    /// The authority that signed it; `None` for a root and for one that waits to be signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Uuid>,
    /// Whether it may sign.
    pub state: AuthorityState,
    /// Where its key lives; `None` once retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyReference>,
    /// The last revocation list of an authority that an older program retired or revoked, DER. It lies among the lists since.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "base64_bytes")]
    pub last_crl: Vec<u8>,
    /// The request (PKCS#10, DER) that somebody else's root is to sign; empty where a root of ours signs.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "base64_bytes")]
    pub request_der: Vec<u8>,
    /// The authority after which it comes, whose subject it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<Uuid>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
    /// Whether its owner was told that it ends and nothing takes its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warned: bool,
    /// Whether its resource was deleted while devices had certificates of it, so that no hub gets it any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left: bool,
}

impl AuthorityRecord {
    /// Whether it is made to issue certificates to devices.
    pub fn is_issuing(&self) -> bool {
        self.issuer.is_some() || !self.request_der.is_empty()
    }

    /// Whether a root of somebody else signed it, or is to.
    pub fn is_external(&self) -> bool {
        !self.request_der.is_empty()
    }

    /// Whether its certificate is there.
    pub fn has_certificate(&self) -> bool {
        !self.certificate_der.is_empty()
    }

    /// Whether it issues to devices now, did, or is about to, so that hubs trust it.
    pub fn is_trusted(&self) -> bool {
        let stands = match self.state {
            AuthorityState::Active | AuthorityState::Superseded => true,
            AuthorityState::Pending => self.has_certificate(),
            AuthorityState::Revoked | AuthorityState::Retired | AuthorityState::External => false,
        };
        stands && self.is_issuing()
    }
}

/// The signed revocation list of an authority; the last one where it does not sign any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevocationList {
    /// DER; empty where the list has parts.
    #[serde(default, with = "base64_bytes")]
    pub der: Vec<u8>,
    /// How many rows hold the list where one is too small for it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub parts: u16,
    /// Its CRL number, by which its parts are known.
    #[serde(default)]
    pub number: u64,
    /// From when on it counts; one of an older program does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub this_update: Option<Timestamp>,
    /// When a newer one must be there.
    pub next_update: Timestamp,
    /// The revocations of the authority that it knows of: what grows with each of them asks for a new list.
    #[serde(default)]
    pub generation: u64,
}

/// A part of a revocation list that does not fit one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevocationListPart {
    /// CRL number of the list.
    pub number: u64,
    /// Its bytes of the DER.
    #[serde(with = "base64_bytes")]
    pub der: Vec<u8>,
}

fn is_zero(parts: &u16) -> bool {
    *parts == 0
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
            request_der: Vec::new(),
            follows: None,
            revoked: None,
            warned: false,
            left: false,
        };
        let doc = serde_json::to_value(&record).unwrap();
        assert_eq!(doc["certificateDer"], "MAP/");
        assert!(doc.get("key").is_none());
        assert_eq!(serde_json::from_value::<AuthorityRecord>(doc).unwrap(), record);
    }

    #[test]
    fn rows_of_before_there_were_successors_read() {
        let doc = serde_json::json!({"id": Uuid::from_u128(1), "namespace": Uuid::from_u128(2), "owner": Uuid::from_u128(3),
            "subject": "CN=x", "certificateDer": "MAP/", "notBefore": "2026-01-01T00:00:00Z", "notAfter": "2046-01-01T00:00:00Z",
            "thumbprint": "AB", "issuer": Uuid::from_u128(4), "state": "active"});
        let record: AuthorityRecord = serde_json::from_value(doc.clone()).unwrap();
        assert!(record.is_issuing() && record.is_trusted() && !record.is_external());
        assert_eq!(serde_json::to_value(&record).unwrap(), doc);
        let waiting = AuthorityRecord {
            state: AuthorityState::Pending,
            certificate_der: Vec::new(),
            issuer: None,
            request_der: vec![1],
            ..record.clone()
        };
        assert!(waiting.is_issuing() && waiting.is_external() && !waiting.is_trusted());
        let revoked = AuthorityRecord { state: AuthorityState::Revoked, ..record };
        assert!(!revoked.is_trusted() && !revoked.state.signs_lists());
    }

    #[test]
    fn states_write_the_word_of_their_column() {
        for state in [CertificateState::Issued, CertificateState::Revoked] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
