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
}
