//! The stored form of every ARM resource. Views of an api-version are made from it, never stored.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Who made and last changed a resource, and when (RFC 3339).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SystemData {
    /// Principal that created it.
    pub created_by: String,
    /// `User`, `Application` or `ManagedIdentity`.
    pub created_by_type: String,
    /// Creation time.
    pub created_at: String,
    /// Principal that last changed it.
    pub last_modified_by: String,
    /// Kind of that principal.
    pub last_modified_by_type: String,
    /// Time of the last change.
    pub last_modified_at: String,
}

/// The managed identities of a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Identity {
    /// Object id of the system-assigned identity, if it has one.
    pub system_principal_id: Option<String>,
    /// User-assigned identities: ARM id as the client wrote it -> object id and client id.
    pub user_assigned: BTreeMap<String, AssignedIdentity>,
}

/// A user-assigned identity as attached to a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AssignedIdentity {
    /// Object id of the identity's principal.
    pub principal_id: String,
    /// Its application id.
    pub client_id: String,
}

impl Identity {
    /// Whether no identity is attached.
    pub fn is_none(&self) -> bool {
        self.system_principal_id.is_none() && self.user_assigned.is_empty()
    }

    /// The attached user-assigned identity with this ARM id, compared ignoring case.
    pub fn user_assigned(&self, id: &str) -> Option<&AssignedIdentity> {
        self.user_assigned.iter().find(|(key, _)| key.eq_ignore_ascii_case(id)).map(|(_, value)| value)
    }
}

/// A resource as stored: the superset of all its views.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// ARM id with the case it was made with.
    pub id: String,
    /// Internal id (UUID version 7); never reused, survives a rename of nothing: it is what other rows point to.
    pub uid: Uuid,
    /// Last segment of the id.
    pub name: String,
    /// Full type in its canonical case.
    #[serde(rename = "type")]
    pub kind: String,
    /// Region, short form; `None` for proxy resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Tags; `None` when the client never sent any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Map<String, Value>>,
    /// SKU as the type shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Value>,
    /// Managed identities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// Properties in the newest shape of the type, without secrets.
    #[serde(default)]
    pub properties: Map<String, Value>,
    /// Sealed secrets by field name, base64; never part of a view.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// Creation and change stamps.
    pub system_data: SystemData,
    /// Entity tag without quotes.
    pub etag: String,
}

impl Resource {
    /// A text property by its path, such as `["deviceRegistry", "namespaceResourceId"]`.
    pub fn text(&self, path: &[&str]) -> Option<&str> {
        self.value(path)?.as_str()
    }

    /// A property by its path.
    pub fn value(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.properties.get(*first)?, |at, step| at.get(step))
    }
}
