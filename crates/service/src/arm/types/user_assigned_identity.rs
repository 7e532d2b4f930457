//! User-assigned managed identities (`Microsoft.ManagedIdentity/userAssignedIdentities`).

use crate::arm::context::{DeleteContext, PutContext, SubContext};
use crate::arm::declaration::{Behavior, IdentityRule, NameRule, SubAnswer, TypeDecl, View};
use crate::arm::query;
use crate::arm::schema::{Check, PROVISIONING_STATE, read_only, unbuilt};
use crate::departure::remove_principal;
use crate::directory;
use crate::platform::Platform;
use crate::resources::{self, Kind, Stored, tag};
use crate::subscriptions;
use async_trait::async_trait;
use ferrohub_model::error::Result;
use serde_json::json;

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    tracked: true,
    any_version: true,
    name: NameRule {
        min: 3,
        max: 128,
        legal: |name| {
            name.starts_with(|c: char| c.is_ascii_alphanumeric())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        },
        text: "letters, digits, '-' and '_', starting with a letter or digit",
    },
    properties: &[
        unbuilt(
            "isolationScope",
            Check::OneOf(&["None"]),
            "An identity of Ferrohub can be attached to resources of every region.",
        ),
        read_only("tenantId"),
        read_only("principalId"),
        read_only("clientId"),
        PROVISIONING_STATE,
    ],
    subs: &[("POST", ASSOCIATED)],
    further_actions: &["assign"],
    behavior: &UserAssignedIdentity,
    ..TypeDecl::new(
        Kind {
            listed: true,
            ..Kind::new(tag::USER_ASSIGNED_IDENTITY, "Microsoft.ManagedIdentity", &["userAssignedIdentities"])
        },
        &["2018-11-30", "2021-09-30-preview", "2022-01-31-preview", "2023-01-31", "2024-11-30", "2025-05-31-preview"],
        &[View::hiding("2018-11-30", None, &["etag"])],
    )
};

/// What an identity is attached to (2021-09-30-preview and later previews; `az identity list-resources`).
const ASSOCIATED: &str = "listAssociatedResources";
/// Resources of one page (Azure: 100).
const PAGE: usize = 100;

struct UserAssignedIdentity;

#[async_trait]
impl Behavior for UserAssignedIdentity {
    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        if !cx.is_new() {
            return Ok(());
        }
        let principal = directory::new_identity(cx.platform, cx.uid, cx.id.name());
        let properties = &mut cx.resource.properties;
        properties.insert("tenantId".into(), cx.platform.tenancy.tenant_id.clone().into());
        properties.insert("principalId".into(), principal.id.clone().into());
        properties.insert("clientId".into(), principal.app_id.clone().into());
        cx.change.unit.put(directory::put(&principal)?);
        Ok(())
    }

    /// The identity's principal goes with it, and the principal's roles. What it was attached to keeps a dangling id, as in
    /// Azure; services then refuse by name.
    async fn before_delete(&self, cx: &mut DeleteContext<'_>) -> Result<()> {
        if let Some(principal) = cx.stored.resource.text(&["principalId"]) {
            remove_principal(cx.platform, cx.actor, principal, &mut cx.change).await?;
        }
        Ok(())
    }

    async fn sub(&self, cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
        if !cx.is("POST", &[ASSOCIATED]) {
            return Ok(None);
        }
        query::check(cx.request, query::PAGED)?;
        let mut all = Vec::new();
        for holder in holders(cx.platform, cx.stored).await? {
            if cx.platform.authorize(cx.actor, &format!("{}/read", holder.full_type()), &holder.id).is_ok() {
                let own = subscriptions::require(cx.platform, holder.id.subscription.as_deref().unwrap_or_default())?;
                all.push(json!({
                    "id": holder.id.to_string(),
                    "name": holder.name(),
                    "type": holder.full_type(),
                    "resourceGroup": holder.group(),
                    "subscriptionId": own.id,
                    "subscriptionDisplayName": own.name
                }));
            }
        }
        let total = all.len();
        let (value, next) = query::page_of(cx.request, all, PAGE)?;
        Ok(Some(SubAnswer::Done(200, Some(json!({"totalCount": total, "value": value, "nextLink": next})))))
    }

    /// As in Azure, an attached identity may go; the log says what is left without it.
    async fn after_delete(&self, platform: &Platform, stored: &Stored) -> Result<()> {
        // It is gone already: what cannot be read now is not worth a failure.
        for holder in holders(platform, stored).await.unwrap_or_default() {
            tracing::warn!(identity = %stored.id, resource = %holder.id, "a deleted identity is still attached to a resource, which cannot act as it any more");
        }
        Ok(())
    }
}

/// The resources that an identity is attached to.
async fn holders(platform: &Platform, identity: &Stored) -> Result<Vec<Stored>> {
    let mut found = Vec::new();
    for decl in platform.types.all().iter().filter(|decl| matches!(decl.identity, IdentityRule::Both(_))) {
        let mut all = resources::every(platform, decl.kind.tag).await?;
        all.retain(|holder| holder.resource.identity.as_ref().is_some_and(|own| own.assigned(identity.uid).is_some()));
        found.append(&mut all);
    }
    Ok(found)
}
