//! Subscriptions: what resource groups lie in. The first start makes one; more are made through Resource Manager.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A subscription as it is stored. Nothing of its resources is in it: they lie below its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// Its id, under which its groups lie.
    pub id: Uuid,
    /// Name for people.
    pub name: String,
    /// Name under which it was asked for, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Tags.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub tags: Map<String, Value>,
    /// Names of tags that were made ahead of their use, each with its values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tag_names: BTreeMap<String, Vec<String>>,
    /// Resource providers that it is not registered for, lower case; it is for all others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unregistered: Vec<String>,
}

impl Subscription {
    /// One with nothing in it.
    pub fn new(id: Uuid, name: impl Into<String>) -> Self {
        Self {
            id,
            name: name.into(),
            alias: None,
            tags: Map::new(),
            tag_names: BTreeMap::new(),
            unregistered: Vec::new(),
        }
    }

    /// Whether it is registered for a resource provider.
    pub fn is_registered(&self, provider: &str) -> bool {
        !self.unregistered.iter().any(|known| known.eq_ignore_ascii_case(provider))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_one_is_two_members() {
        let mut one = Subscription::new(Uuid::nil(), "A");
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(text, r#"{"id":"00000000-0000-0000-0000-000000000000","name":"A"}"#);
        assert_eq!(serde_json::from_str::<Subscription>(&text).unwrap(), one);
        assert!(one.is_registered("Microsoft.Devices"));
        one.unregistered.push("microsoft.devices".into());
        assert!(!one.is_registered("Microsoft.Devices"));
    }
}
