//! The stored form of every ARM resource. Views of an api-version are made from it, never stored.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Who made and last changed a resource, and when (RFC 3339). Stored as a list of three texts, or of six once it was
/// changed: devices have one each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
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

impl SystemData {
    /// ARM's `systemData`.
    pub fn view(&self) -> Value {
        let members = [
            ("createdBy", &self.created_by),
            ("createdByType", &self.created_by_type),
            ("createdAt", &self.created_at),
            ("lastModifiedBy", &self.last_modified_by),
            ("lastModifiedByType", &self.last_modified_by_type),
            ("lastModifiedAt", &self.last_modified_at),
        ];
        let mut view = Map::with_capacity(members.len());
        view.extend(members.map(|(name, text)| (name.to_owned(), text.as_str().into())));
        Value::Object(view)
    }
}

impl From<Vec<String>> for SystemData {
    fn from(texts: Vec<String>) -> Self {
        let changed = texts.len() >= 6;
        let mut texts = texts.into_iter();
        let mut next = || texts.next().unwrap_or_default();
        let (created_by, created_by_type, created_at) = (next(), next(), next());
        if changed {
            let (last_modified_by, last_modified_by_type, last_modified_at) = (next(), next(), next());
            return Self {
                created_by,
                created_by_type,
                created_at,
                last_modified_by,
                last_modified_by_type,
                last_modified_at,
            };
        }
        Self {
            last_modified_by: created_by.clone(),
            last_modified_by_type: created_by_type.clone(),
            last_modified_at: created_at.clone(),
            created_by,
            created_by_type,
            created_at,
        }
    }
}

impl From<SystemData> for Vec<String> {
    fn from(data: SystemData) -> Self {
        let same = data.last_modified_by == data.created_by
            && data.last_modified_by_type == data.created_by_type
            && data.last_modified_at == data.created_at;
        let mut texts = vec![data.created_by, data.created_by_type, data.created_at];
        if !same {
            texts.extend([data.last_modified_by, data.last_modified_by_type, data.last_modified_at]);
        }
        texts
    }
}

/// What a resource points at: the row, and the id under which the client named it, which is shown once the row is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Internal id of the resource that is meant.
    #[serde(with = "crate::uid::short")]
    pub uid: Uuid,
    /// ARM id as it was when the reference was made; empty where nobody needs it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
}

/// The managed identities of a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Identity {
    /// Object id of the system-assigned identity, if it has one.
    pub system_principal_id: Option<String>,
    /// User-assigned identities.
    pub user_assigned: Vec<AssignedIdentity>,
}

/// A user-assigned identity as attached to a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AssignedIdentity {
    /// Internal id of the identity's resource: one made anew under the same name is another identity.
    #[serde(with = "crate::uid::short")]
    pub uid: Uuid,
    /// ARM id as it was when it was attached; shown once the resource is gone.
    pub id: String,
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

    /// The attached user-assigned identity whose resource has this internal id.
    pub fn assigned(&self, uid: Uuid) -> Option<&AssignedIdentity> {
        self.user_assigned.iter().find(|assigned| assigned.uid == uid)
    }
}

/// The document of a resource's row: the superset of all its views. Its internal id is the row's key; its type, its
/// parent and with them its ARM id follow from the row's place.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// Name with the case that was used last.
    pub name: String,
    /// Region, short form; `None` for proxy resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Where beside its region it lies, as the type shows it: a custom location of Azure Arc.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_location: Option<Value>,
    /// Tags; `None` when the client never sent any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Map<String, Value>>,
    /// SKU as the type shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Value>,
    /// Managed identities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// What it points at, by the type's own words (`namespace`, `identity`, `policy`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, Reference>,
    /// Properties in the newest shape of the type, without secrets and without references.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
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
    /// A text property by its path, such as `["eventHubEndpoints", "events"]`.
    pub fn text(&self, path: &[&str]) -> Option<&str> {
        self.value(path)?.as_str()
    }

    /// A property by its path.
    pub fn value(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.properties.get(*first)?, |at, step| at.get(step))
    }

    /// Internal id of what the reference `word` points at.
    pub fn link(&self, word: &str) -> Option<Uuid> {
        self.links.get(word).map(|reference| reference.uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_of_an_unchanged_resource_are_three_texts() {
        let text = |data: &SystemData| serde_json::to_string(data).unwrap();
        let mut data = SystemData::from(["a", "User", "t1"].map(str::to_owned).to_vec());
        assert_eq!(data.last_modified_at, "t1");
        assert_eq!(text(&data), r#"["a","User","t1"]"#);
        data.last_modified_at = "t2".into();
        assert_eq!(text(&data), r#"["a","User","t1","a","User","t2"]"#);
        assert_eq!(serde_json::from_str::<SystemData>(&text(&data)).unwrap(), data);
    }
}
