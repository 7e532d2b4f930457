//! Billing containers (`Microsoft.DeviceRegistry/billingContainers`): one per subscription that uses the registry, stored nowhere.

use super::registry_versions::REGISTRY_FAMILY;
use crate::arm::context::ListContext;
use crate::arm::declaration::{Behavior, NameRule, TypeDecl, View};
use crate::arm::schema::PROVISIONING_STATE;
use crate::platform::Platform;
use crate::resources::{self, Kind, RowExtra, Scope, Stored, root_of, tag};
use async_trait::async_trait;
use ferrohub_model::error::Result;
use ferrohub_model::resource::Resource;
use ferrohub_model::resource_id::ResourceId;
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    read_only: true,
    name: NameRule {
        min: 3,
        max: 64,
        legal: |name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
        text: "letters, digits and '-', starting with a letter or digit",
    },
    properties: &[PROVISIONING_STATE],
    behavior: &BillingContainer,
    ..TypeDecl::new(
        Kind {
            listed: true,
            scope: Scope::InSubscription,
            ..Kind::new(tag::BILLING_CONTAINER, "Microsoft.DeviceRegistry", &["billingContainers"])
        },
        REGISTRY_FAMILY,
        &[View::hiding("2024-11-01", None, &["systemData"])],
    )
};

/// The name of the one that there is.
const NAME: &str = "adr-billing";
/// What Azure would bill.
const BILLED: &[&str] = &[tag::NAMESPACE, tag::ASSET];

struct BillingContainer;

#[async_trait]
impl Behavior for BillingContainer {
    async fn virtual_get(&self, platform: &Platform, id: &ResourceId) -> Result<Option<Stored>> {
        let asked = id.name().eq_ignore_ascii_case(NAME);
        if asked { the_one(platform, id.subscription.as_deref().unwrap_or_default()).await } else { Ok(None) }
    }

    async fn list(&self, cx: &ListContext<'_>) -> Result<Option<Vec<Stored>>> {
        let found = the_one(cx.platform, cx.scope.subscription.as_deref().unwrap_or_default()).await?;
        Ok(Some(found.into_iter().collect()))
    }
}

/// The billing container of a subscription, once there is something in it that Azure would bill.
async fn the_one(platform: &Platform, subscription: &str) -> Result<Option<Stored>> {
    let above = ResourceId::subscription(subscription);
    let Some(etag) = first_billed(platform, &above).await? else { return Ok(None) };
    let resource = Resource {
        name: NAME.into(),
        etag,
        properties: [("provisioningState".to_owned(), json!("Succeeded"))].into_iter().collect(),
        ..Resource::default()
    };
    Ok(Some(Stored {
        uid: Uuid::nil(),
        kind: &DECL.kind,
        parent: root_of(&above).unwrap_or_default(),
        id: DECL.kind.child_of(&above, NAME),
        resource: Arc::new(resource),
        extra: RowExtra::default(),
        version: 0,
    }))
}

/// The key of the first resource in the groups of a subscription that is billed: one row a group and type is looked at, however many
/// there are.
async fn first_billed(platform: &Platform, subscription: &ResourceId) -> Result<Option<String>> {
    let Some(uid) = root_of(subscription) else { return Ok(None) };
    let groups = resources::children(platform, uid, subscription, Some(tag::RESOURCE_GROUP)).await?;
    for kind in BILLED {
        for group in &groups {
            let found = resources::children_page(platform, group.uid, &group.id, Some(kind), None, 1).await?;
            if let Some(first) = found.first() {
                return Ok(Some(first.key()));
            }
        }
    }
    Ok(None)
}
