//! Views: the shape of a stored resource in one api-version, and the way back.
//!
//! A write never drops what its view cannot express: hidden and read-only members keep their stored values.

use super::declaration::{IdentityRule, TypeDecl, View};
use crate::platform::Platform;
use crate::resources::{self, Stored};
use ferrohub_model::error::Result;
use ferrohub_model::resource::{AssignedIdentity, Identity, Reference, Resource};
use serde_json::{Map, Value, json};

/// The stored resource in its newest shape, before the type adds to it and a view takes away.
pub(super) async fn full(platform: &Platform, decl: &TypeDecl, stored: &Stored) -> Result<Value> {
    let (resource, tenant) = (stored.resource.as_ref(), &platform.tenancy.tenant_id);
    let mut doc = Map::new();
    doc.insert("id".into(), stored.id.to_string().into());
    doc.insert("name".into(), stored.id.name().into());
    doc.insert("type".into(), decl.full().into());
    if let Some(location) = &resource.location {
        doc.insert("location".into(), location.clone().into());
    }
    if decl.tracked {
        doc.insert("tags".into(), Value::Object(resource.tags.clone().unwrap_or_default()));
    }
    if let Some(sku) = &resource.sku {
        doc.insert("sku".into(), sku.clone());
    }
    if let IdentityRule::Both(joint) = decl.identity {
        if let Some(identity) = resource.identity.as_ref().filter(|identity| !identity.is_none()) {
            doc.insert("identity".into(), identity_view(platform, identity, joint).await?);
        }
    } else if let Some(id) = resource.identity.as_ref().and_then(|identity| identity.system_principal_id.as_ref()) {
        doc.insert("identity".into(), json!({"type": "SystemAssigned", "principalId": id, "tenantId": tenant}));
    }
    doc.insert("properties".into(), Value::Object(resource.properties.clone()));
    doc.insert("systemData".into(), resource.system_data.view());
    doc.insert("etag".into(), resource.etag.clone().into());
    Ok(Value::Object(doc))
}

/// The resource as an api-version shows it.
pub(super) async fn render(platform: &Platform, decl: &TypeDecl, view: &View, stored: &Stored) -> Result<Value> {
    let mut doc = full(platform, decl, stored).await?;
    decl.behavior.decorate(platform, stored, &mut doc).await?;
    hide(view, &mut doc);
    (view.to)(&mut doc);
    Ok(doc)
}

/// The id of what a reference points at, as it is now; the one that the client wrote, once it is gone.
pub(super) async fn reference_id(platform: &Platform, reference: &Reference) -> Result<String> {
    let now = resources::id_of(platform, reference.uid).await?;
    Ok(now.map_or_else(|| reference.id.clone(), |id| id.to_string()))
}

async fn identity_view(platform: &Platform, identity: &Identity, joint: &str) -> Result<Value> {
    let mut view = Map::new();
    let kind = match (identity.system_principal_id.is_some(), identity.user_assigned.is_empty()) {
        (true, false) => joint,
        (true, true) => "SystemAssigned",
        (false, _) => "UserAssigned",
    };
    view.insert("type".into(), kind.into());
    if let Some(id) = &identity.system_principal_id {
        view.insert("principalId".into(), id.clone().into());
        view.insert("tenantId".into(), platform.tenancy.tenant_id.clone().into());
    }
    if !identity.user_assigned.is_empty() {
        let mut assigned = Map::new();
        for AssignedIdentity { uid, id, principal_id, client_id } in &identity.user_assigned {
            let id = reference_id(platform, &Reference { uid: *uid, id: id.clone() }).await?;
            assigned.insert(id, json!({"principalId": principal_id, "clientId": client_id}));
        }
        view.insert("userAssignedIdentities".into(), Value::Object(assigned));
    }
    Ok(Value::Object(view))
}

/// Takes away what the view does not know.
pub(super) fn hide(view: &View, doc: &mut Value) {
    for path in view.hidden {
        let steps: Vec<&str> = path.split('.').collect();
        remove(doc, &steps);
    }
}

/// Whether the view shows the root member or property path.
pub(super) fn shows(view: &View, path: &str) -> bool {
    !view
        .hidden
        .iter()
        .any(|hidden| *hidden == path || path.strip_prefix(hidden).is_some_and(|rest| rest.starts_with('.')))
}

/// The properties to store for a PUT of `sent` (in the newest shape) through `view`: the known ones of the body, with the stored values
/// of everything that the view hides or that only the server writes.
pub(super) fn merge_properties(
    decl: &TypeDecl,
    view: &View,
    sent: &Map<String, Value>,
    existing: Option<&Resource>,
) -> Map<String, Value> {
    let known = |name: &str| decl.properties.contains(&name);
    // What the type does not know, another generation that shows the same row may: it stays.
    let kept = existing.into_iter().flat_map(|resource| &resource.properties).filter(|(name, _)| !known(name));
    let given = sent.iter().filter(|(name, _)| known(name));
    let mut merged = Value::Object(kept.chain(given).map(|(name, value)| (name.clone(), value.clone())).collect());
    let stored = existing.map(|resource| Value::Object(resource.properties.clone()));
    let hidden = view.hidden.iter().filter_map(|path| path.strip_prefix("properties."));
    for path in decl.read_only.iter().copied().chain(hidden) {
        let steps: Vec<&str> = path.split('.').collect();
        remove(&mut merged, &steps);
        if let Some(value) = stored.as_ref().and_then(|doc| get(doc, &steps)) {
            set(&mut merged, &steps, value.clone());
        }
    }
    match merged {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The value at a path of object members.
pub(super) fn get<'a>(doc: &'a Value, steps: &[&str]) -> Option<&'a Value> {
    steps.iter().try_fold(doc, |at, step| at.get(*step))
}

/// Removes the member at a path, if it is there.
pub(super) fn remove(doc: &mut Value, steps: &[&str]) {
    let Some((last, parents)) = steps.split_last() else { return };
    let parent = parents.iter().try_fold(doc, |at, step| at.get_mut(*step));
    if let Some(map) = parent.and_then(Value::as_object_mut) {
        map.shift_remove(*last);
    }
}

/// Sets the member at a path, making objects on the way.
pub(super) fn set(doc: &mut Value, steps: &[&str], value: Value) {
    let Some((first, rest)) = steps.split_first() else {
        *doc = value;
        return;
    };
    if !doc.is_object() {
        *doc = Value::Object(Map::new());
    }
    if let Some(map) = doc.as_object_mut() {
        set(map.entry((*first).to_string()).or_insert(Value::Null), rest, value);
    }
}

/// RFC 7396 merge patch: `null` removes, objects merge, everything else replaces.
pub(super) fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(map) = target.as_object_mut() else { return };
    for (name, value) in members {
        if value.is_null() {
            map.shift_remove(name);
        } else {
            merge_patch(map.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_patches() {
        let mut doc = json!({"a": {"b": 1, "c": 2}});
        set(&mut doc, &["a", "d", "e"], json!(3));
        remove(&mut doc, &["a", "b"]);
        remove(&mut doc, &["x", "y"]);
        assert_eq!(doc, json!({"a": {"c": 2, "d": {"e": 3}}}));
        merge_patch(&mut doc, &json!({"a": {"c": null, "f": [1]}, "g": {"h": null}}));
        assert_eq!(doc, json!({"a": {"d": {"e": 3}, "f": [1]}, "g": {}}));
    }

    #[test]
    fn a_hidden_path_hides_what_is_below() {
        let view = View::hiding("2020-01-01", None, &["identity", "properties.deviceRegistry"]);
        assert!(!shows(&view, "properties.deviceRegistry.namespaceResourceId"));
        assert!(shows(&view, "properties.deviceRegistryNamespace"));
    }
}
