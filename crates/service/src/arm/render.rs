//! From a stored resource to what an api-version shows of it.

use super::context::SubContext;
use super::declaration::{IdentityRule, TypeDecl};
use super::view::{View, hide};
use crate::platform::Platform;
use crate::resources::{self, Stored};
use ferrohub_model::error::Result;
use ferrohub_model::resource::{AssignedIdentity, Identity, Reference};
use serde_json::{Map, Value, json};

/// Most members of a document's root.
const MEMBERS: usize = 12;

/// The stored resource in its newest shape, before the type adds to it and a view takes away.
pub(super) async fn full(platform: &Platform, decl: &TypeDecl, stored: &Stored) -> Result<Value> {
    let resource = stored.resource.as_ref();
    let mut doc = Map::with_capacity(MEMBERS);
    doc.insert("id".into(), stored.id.to_string().into());
    doc.insert("name".into(), stored.id.name().into());
    doc.insert("type".into(), decl.full().into());
    if let Some(location) = &resource.location {
        doc.insert("location".into(), location.clone().into());
    }
    if let Some(place) = &resource.extended_location {
        doc.insert("extendedLocation".into(), place.clone());
    }
    if decl.tracked {
        doc.insert("tags".into(), Value::Object(resource.tags.clone().unwrap_or_default()));
    }
    if let Some(sku) = &resource.sku {
        doc.insert("sku".into(), sku.clone());
    }
    if decl.identity != IdentityRule::No {
        let joint = if let IdentityRule::Both(joint) = decl.identity { joint } else { "" };
        let identity = match &resource.identity {
            Some(identity) if !identity.is_none() => identity_view(platform, identity, joint).await?,
            // As Azure: clients read the type before they add an identity.
            _ => json!({"type": "None"}),
        };
        doc.insert("identity".into(), identity);
    }
    doc.insert("properties".into(), Value::Object(resource.properties.clone()));
    doc.insert("systemData".into(), resource.system_data.view());
    doc.insert("etag".into(), resource.etag.clone().into());
    Ok(Value::Object(doc))
}

/// The resource as an api-version shows it.
pub(crate) async fn render(platform: &Platform, decl: &TypeDecl, view: &View, stored: &Stored) -> Result<Value> {
    let mut doc = full(platform, decl, stored).await?;
    decl.behavior.decorate(platform, stored, view, &mut doc).await?;
    hide(view, &mut doc);
    (view.to)(&mut doc);
    Ok(doc)
}

impl SubContext<'_> {
    /// The resource, as it was just written, in the client's shape.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn render(&self, stored: &Stored) -> Result<Value> {
        render(self.platform, self.decl, self.view, stored).await
    }
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
