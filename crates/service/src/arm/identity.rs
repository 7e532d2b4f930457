//! Managed identities of a resource: attached and detached as `identity` of a body asks.

use super::call::Call;
use super::context::PutContext;
use super::declaration::IdentityRule;
use super::view;
use crate::authz;
use crate::departure::remove_principal;
use crate::directory;
use crate::resources::{self, tag};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource::{AssignedIdentity, Identity};
use ferrohub_model::resource_id::ResourceId;
use serde_json::{Map, Value};

impl Call<'_> {
    /// Attaches and detaches managed identities as `identity` of the body asks.
    pub(super) async fn apply_identity(&self, cx: &mut PutContext<'_>) -> Result<()> {
        if self.decl.identity == IdentityRule::No || !view::shows(self.view, "identity") {
            return Ok(());
        }
        let Some(sent) = cx.body.get("identity").filter(|value| !value.is_null()).cloned() else { return Ok(()) };
        let words = identity_words(&sent)?;
        let mut identity = cx.resource.identity.take().unwrap_or_default();
        if words.system && identity.system_principal_id.is_none() {
            identity.system_principal_id = Some(self.new_system_identity(cx)?);
        }
        if !words.system
            && let Some(gone) = identity.system_principal_id.take()
        {
            remove_principal(self.platform, &self.request.actor, &gone, &mut cx.change).await?;
        }
        let wanted = if words.user {
            sent.get("userAssignedIdentities").and_then(Value::as_object).cloned().unwrap_or_default()
        } else {
            Map::new()
        };
        let users = view::shows(self.view, view::USER_IDENTITIES);
        if words.user && !(users && matches!(self.decl.identity, IdentityRule::Both(_))) {
            return Err(Error::invalid_property(
                "identity.type",
                format!(
                    "Resources of type '{}' have a system-assigned identity only, with the api-version {}.",
                    self.decl.full(),
                    self.version
                ),
            ));
        }
        let mut assigned: Vec<AssignedIdentity> = Vec::new();
        for (id, value) in wanted.iter().filter(|(_, value)| !value.is_null()) {
            let identity = self.user_identity(&identity, id, value).await?;
            if !assigned.iter().any(|known| known.uid == identity.uid) {
                assigned.push(identity);
            }
        }
        // What a shape does not know stays.
        if users {
            identity.user_assigned = assigned;
        }
        cx.resource.identity = if identity.is_none() { None } else { Some(identity) };
        Ok(())
    }

    fn new_system_identity(&self, cx: &mut PutContext<'_>) -> Result<String> {
        let principal = directory::new_identity(self.platform, cx.uid, cx.id.name());
        cx.change.unit.put(directory::put(&principal)?);
        Ok(principal.id)
    }

    /// The identity that an entry of the body means. One that is attached stays without a right of its own, also when it is
    /// gone; whoever is behind its name now is another one, and is attached by those who may assign it.
    async fn user_identity(&self, before: &Identity, id: &str, value: &Value) -> Result<AssignedIdentity> {
        let parsed = ResourceId::parse(id)?;
        if self.platform.kinds.of(&parsed).is_none_or(|kind| kind.tag != tag::USER_ASSIGNED_IDENTITY) {
            return Err(Error::invalid_property(
                "identity.userAssignedIdentities",
                format!("'{id}' is not the id of a user-assigned identity."),
            ));
        }
        let found = resources::get(self.platform, &parsed).await?;
        if let Some(gone) = self.gone(before, &parsed).await?
            && (found.is_none() || value.get("principalId").and_then(Value::as_str) == Some(&gone.principal_id))
        {
            return Ok(gone.clone());
        }
        let stored = found.ok_or_else(|| {
            Error::invalid(format!(
                "The user-assigned identity '{id}' does not exist. Make it first: az identity create --name {} --resource-group {}",
                parsed.name(),
                parsed.resource_group.as_deref().unwrap_or_default()
            ))
            .with_code("FailedIdentityOperation")
        })?;
        if before.assigned(stored.uid).is_none() {
            self.platform
                .authorize(
                    &self.request.actor,
                    "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
                    &parsed,
                )
                .map_err(authz::linked)?;
        }
        let text = |name: &str| stored.resource.text(&[name]).unwrap_or_default().to_string();
        let (principal_id, client_id) = (text("principalId"), text("clientId"));
        Ok(AssignedIdentity { uid: stored.uid, id: parsed.to_string(), principal_id, client_id })
    }

    /// The attached identity that was deleted and is still shown under this id.
    async fn gone<'a>(&self, before: &'a Identity, id: &ResourceId) -> Result<Option<&'a AssignedIdentity>> {
        for assigned in &before.user_assigned {
            let named = ResourceId::parse(&assigned.id).is_ok_and(|known| known.same(id));
            if named && resources::id_of(self.platform, assigned.uid).await?.is_none() {
                return Ok(Some(assigned));
            }
        }
        Ok(None)
    }
}

/// The `identity` of a PATCH merged into the one that is shown: ids are the same whatever their case.
pub(super) fn merge_identity(shown: &mut Value, patch: &Value) {
    let mut patch = patch.clone();
    let known: Vec<String> = keys_of(shown).map(str::to_owned).collect();
    if let Some(sent) = patch.get_mut("userAssignedIdentities").and_then(Value::as_object_mut) {
        let as_shown = |id: String| known.iter().find(|known| known.eq_ignore_ascii_case(&id)).cloned().unwrap_or(id);
        *sent = std::mem::take(sent).into_iter().map(|(id, value)| (as_shown(id), value)).collect();
    }
    view::merge_patch(shown, &patch);
}

fn keys_of(identity: &Value) -> impl Iterator<Item = &str> {
    identity.get("userAssignedIdentities").and_then(Value::as_object).into_iter().flatten().map(|(id, _)| id.as_str())
}

struct IdentityWords {
    system: bool,
    user: bool,
}

/// Parses `identity.type`: `None`, `SystemAssigned`, `UserAssigned` or both with a comma, with or without a space.
fn identity_words(sent: &Value) -> Result<IdentityWords> {
    let text = sent.get("type").and_then(Value::as_str).ok_or_else(|| {
        let rule = "'identity' is an object with a 'type': None, SystemAssigned, UserAssigned, or 'SystemAssigned,UserAssigned'.";
        Error::invalid_property("identity.type", rule)
    })?;
    let mut words = IdentityWords { system: false, user: false };
    for word in text.split(',').map(str::trim) {
        match word.to_ascii_lowercase().as_str() {
            "systemassigned" => words.system = true,
            "userassigned" => words.user = true,
            "none" | "" => {}
            _ => {
                return Err(Error::invalid_property(
                    "identity.type",
                    format!(
                        "The identity type '{}' is not valid: None, SystemAssigned, UserAssigned, or 'SystemAssigned,UserAssigned'.",
                        word.chars().take(40).collect::<String>()
                    ),
                ));
            }
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_takes_identities_off_whatever_the_case_of_their_ids() {
        let mut shown =
            json!({"type": "UserAssigned", "userAssignedIdentities": {"/a/B": {"principalId": "p"}, "/c": {}}});
        merge_identity(&mut shown, &json!({"userAssignedIdentities": {"/A/b": null, "/D": {}}}));
        assert_eq!(shown["userAssignedIdentities"], json!({"/c": {}, "/D": {}}));
    }

    #[test]
    fn identity_types_with_and_without_the_space() {
        for text in ["SystemAssigned,UserAssigned", "systemAssigned, userassigned"] {
            let words = identity_words(&json!({"type": text})).unwrap();
            assert!(words.system && words.user);
        }
        for bad in [json!({"type": "Sometimes"}), json!({}), json!("SystemAssigned"), json!({"type": 1})] {
            assert!(identity_words(&bad).is_err(), "{bad}");
        }
    }
}
