//! Directory principals: applications and managed identities that may hold roles.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What kind of principal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrincipalKind {
    /// A person.
    User,
    /// An application's service principal.
    ServicePrincipal,
    /// The identity of a resource, or a user-assigned identity.
    ManagedIdentity,
    /// An application whose service principal was deleted: nobody can act as it, and its row is kept under the
    /// application's object id.
    Application,
}

/// A secret of an application: its salted hash and when it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientSecret {
    /// Id of the secret, shown in listings.
    pub key_id: String,
    /// Salted hash made by `ferrohub_pki::key::hash_secret`.
    pub hash: String,
    /// Unix seconds after which the secret is refused.
    pub expires: i64,
    /// What is shown of it besides.
    #[serde(flatten)]
    pub label: CredentialLabel,
}

/// A certificate of an application: it signs in with assertions that the certificate's key signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateCredential {
    /// Id of the credential, shown in listings.
    pub key_id: String,
    /// DER of the certificate, base64.
    pub certificate: String,
    /// Unix seconds after which it is refused.
    pub expires: i64,
    /// What is shown of it besides.
    #[serde(flatten)]
    pub label: CredentialLabel,
}

/// What secrets and certificates of an application have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CredentialLabel {
    /// Name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Unix seconds from which it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts: Option<i64>,
    /// The first characters of a secret, by which people know it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Whether it was given to the service principal and not to its application: it goes with that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub of_principal: bool,
}

/// A principal of the directory, stored under its object id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Principal {
    /// Object id (lower-case GUID).
    pub id: String,
    /// Application (client) id, lower-case GUID.
    pub app_id: String,
    /// Name for people.
    pub display_name: String,
    /// Kind of principal.
    pub kind: PrincipalKind,
    /// Internal id of the resource whose identity this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Uuid>,
    /// Object id of the application object, for service principals made through Graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_object_id: Option<String>,
    /// Secrets of the application.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<ClientSecret>,
    /// Certificates of the application.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<CertificateCredential>,
}
