//! Resource groups (`Microsoft.Resources/resourceGroups`, `Microsoft.Resources/subscriptions/resourceGroups` in roles).

use crate::arm::context::PutContext;
use crate::arm::declaration::{Behavior, IdentityRule, NameRule, Scope, TypeDecl, View};
use crate::resources::kind;
use async_trait::async_trait;
use ferrohub_model::error::Result;

/// The declaration.
pub static DECL: TypeDecl = TypeDecl {
    namespace: "Microsoft.Resources",
    kinds: &["resourceGroups"],
    key: kind::RESOURCE_GROUP,
    scope: Scope::Group,
    tracked: true,
    singleton: None,
    views: &[View {
        versions: &["2016-09-01", "2019-10-01", "2020-06-01", "2021-04-01", "2022-09-01", "2024-11-01", "2025-04-01"],
        hidden: &["systemData", "etag"],
    }],
    any_version: true,
    name: NameRule {
        min: 1,
        max: 90,
        legal: |name| !name.ends_with('.') && name.chars().all(|c| c.is_alphanumeric() || "-_().".contains(c)),
        text: "letters, digits, '-', '_', '(', ')' and '.', not ending in '.'",
    },
    global_name: None,
    properties: &[],
    read_only: &["provisioningState"],
    create_only: &[],
    identity: IdentityRule::No,
    sku: false,
    put: (201, 200),
    delete: (200, 404),
    tree: true,
    subscription_list: true,
    behavior: &ResourceGroup,
};

struct ResourceGroup;

#[async_trait]
impl Behavior for ResourceGroup {
    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        cx.resource.properties.entry("provisioningState").or_insert_with(|| "Succeeded".into());
        Ok(())
    }
}
