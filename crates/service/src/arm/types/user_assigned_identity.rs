//! User-assigned managed identities (`Microsoft.ManagedIdentity/userAssignedIdentities`).

use crate::arm::context::{DeleteContext, PutContext};
use crate::arm::declaration::{Behavior, NameRule, TypeDecl, View};
use crate::directory;
use crate::resources::{Kind, tag};
use crate::tables::PRINCIPALS;
use async_trait::async_trait;
use ferrohub_model::error::Result;
use ferrohub_model::principal::{Principal, PrincipalKind};

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
    properties: &["isolationScope"],
    read_only: &["tenantId", "principalId", "clientId"],
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

struct UserAssignedIdentity;

#[async_trait]
impl Behavior for UserAssignedIdentity {
    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        if !cx.is_new() {
            return Ok(());
        }
        let principal = Principal {
            id: cx.platform.random.uuid_v4().to_string(),
            app_id: cx.platform.random.uuid_v4().to_string(),
            display_name: cx.id.name().into(),
            kind: PrincipalKind::ManagedIdentity,
            resource: Some(cx.uid),
            application_object_id: None,
            secrets: Vec::new(),
            certificates: Vec::new(),
        };
        let properties = &mut cx.resource.properties;
        properties.insert("tenantId".into(), cx.platform.tenancy.tenant_id.clone().into());
        properties.insert("principalId".into(), principal.id.clone().into());
        properties.insert("clientId".into(), principal.app_id.clone().into());
        cx.change.unit.put(directory::put(&principal)?);
        Ok(())
    }

    /// The identity's principal goes with it. What it was assigned to keeps a dangling id, as in Azure; services then refuse by name.
    async fn before_delete(&self, cx: &mut DeleteContext<'_>) -> Result<()> {
        if let Some(principal) = cx.stored.resource.text(&["principalId"]) {
            cx.change.unit.delete(&PRINCIPALS, principal);
        }
        Ok(())
    }
}
