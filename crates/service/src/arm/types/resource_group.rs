//! Resource groups (`Microsoft.Resources/resourceGroups`, `Microsoft.Resources/subscriptions/resourceGroups` in roles).

use super::resource_group_move::{self as moving, MOVE, VALIDATE};
use crate::arm::context::{PutContext, SubContext};
use crate::arm::declaration::{Behavior, NameRule, SubAnswer, TypeDecl, View};
use crate::arm::operation::{Lease, StoredOperation};
use crate::arm::schema::{Check, unbuilt};
use crate::platform::Platform;
use crate::resources::{Kind, Scope, tag};
use async_trait::async_trait;
use ferrohub_model::error::Result;

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    tracked: true,
    any_version: true,
    name: NameRule {
        min: 1,
        max: 90,
        legal: |name| !name.ends_with('.') && name.chars().all(|c| c.is_alphanumeric() || "-_().".contains(c)),
        text: "letters, digits, '-', '_', '(', ')' and '.', not ending in '.'",
    },
    beside: &[unbuilt(
        "managedBy",
        Check::Off,
        "Ferrohub has no groups that another resource manages: whoever has the rights on a group can delete it.",
    )],
    delete: (200, 404),
    tree: true,
    marked: true,
    action_path: Some("Microsoft.Resources/subscriptions/resourceGroups"),
    subs: &[("POST", MOVE), ("POST", VALIDATE)],
    behavior: &ResourceGroup,
    ..TypeDecl::new(
        Kind {
            scope: Scope::Group,
            listed: true,
            ..Kind::new(tag::RESOURCE_GROUP, "Microsoft.Resources", &["resourceGroups"])
        },
        &["2016-09-01", "2019-10-01", "2020-06-01", "2021-04-01", "2022-09-01", "2024-11-01", "2025-04-01"],
        &[View::hiding("2016-09-01", None, &["systemData", "etag"])],
    )
};

struct ResourceGroup;

#[async_trait]
impl Behavior for ResourceGroup {
    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        cx.resource.properties.entry("provisioningState").or_insert_with(|| "Succeeded".into());
        Ok(())
    }

    async fn sub(&self, cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
        moving::answer(cx).await.map(Some)
    }

    async fn run(&self, platform: &Platform, record: &StoredOperation, lease: &mut Lease) -> Result<()> {
        moving::run(platform, record, lease).await
    }
}
