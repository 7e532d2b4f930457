//! The managed identities of a resource, as its `identity` member has them.

use super::members::text;
use serde_json::{Map, Value, json};

/// How a hub writes that it has identities of both kinds.
pub(crate) const BOTH_OF_A_HUB: &str = "SystemAssigned, UserAssigned";
/// How every other service writes it.
pub(crate) const BOTH: &str = "SystemAssigned,UserAssigned";

/// Identities of a resource as a set: its own one, and the users' ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identities {
    /// Whether it has one of its own.
    pub(crate) own: bool,
    /// Ids of the user-assigned ones.
    pub(crate) users: Vec<String>,
}

impl Identities {
    /// Those of a resource.
    pub(crate) fn of(resource: &Value) -> Self {
        let users = resource.pointer("/identity/userAssignedIdentities").and_then(Value::as_object);
        Self {
            own: text(resource, "/identity/type").to_lowercase().contains("systemassigned"),
            users: users.map(|users| users.keys().cloned().collect()).unwrap_or_default(),
        }
    }

    /// Whether a user-assigned identity is among them.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.users.iter().any(|held| held.eq_ignore_ascii_case(id))
    }

    /// The ARM object; `both` is how the service writes that there are both kinds.
    pub(crate) fn body(&self, both: &str) -> Value {
        let kind = match (self.own, self.users.is_empty()) {
            (true, true) => "SystemAssigned",
            (true, false) => both,
            (false, false) => "UserAssigned",
            (false, true) => "None",
        };
        let mut body = Map::new();
        body.insert("type".to_owned(), json!(kind));
        if !self.users.is_empty() {
            let users = self.users.iter().map(|id| (id.clone(), json!({}))).collect();
            body.insert("userAssignedIdentities".to_owned(), Value::Object(users));
        }
        Value::Object(body)
    }

    /// The `identity` of a PATCH: an identity that goes is named with null, since a PATCH leaves what it does not name.
    pub(crate) fn patch(&self, held: &Self, both: &str) -> Value {
        let mut body = self.body(both);
        // Without any of the kind, the type alone says that all of them go.
        if let Some(users) = body.get_mut("userAssignedIdentities").and_then(Value::as_object_mut) {
            users.extend(held.users.iter().filter(|id| !self.has(id)).map(|id| (id.clone(), Value::Null)));
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_round_trip() {
        let resource = json!({"identity": {"type": "SystemAssigned, UserAssigned", "userAssignedIdentities": {"/A": {"clientId": "c"}}}});
        let identities = Identities::of(&resource);
        assert!(identities.own && identities.has("/a"));
        assert_eq!(
            identities.body(BOTH),
            json!({"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": {"/A": {}}})
        );
        assert_eq!(Identities::of(&json!({})).body(BOTH_OF_A_HUB), json!({"type": "None"}));
    }

    #[test]
    fn a_patch_names_what_goes() {
        let held = Identities { own: true, users: vec!["/a".into(), "/b".into()] };
        let wanted = Identities { own: false, users: vec!["/B".into()] };
        let named = json!({"type": "UserAssigned", "userAssignedIdentities": {"/B": {}, "/a": null}});
        assert_eq!(wanted.patch(&held, BOTH), named);
        assert_eq!(Identities::default().patch(&held, BOTH), json!({"type": "None"}));
    }
}
