//! The tags API: the tags of a subscription, a group or a tracked resource as a resource of their own,
//! `{scope}/providers/Microsoft.Resources/tags/default`. What it writes goes the way of a PATCH of the resource itself, so
//! every rule of its type holds.

use super::activity;
use super::call::Call;
use super::query::check_version;
use super::request::{ArmRequest, ArmResponse};
use super::tags::{self, TagChange};
use crate::platform::{Change, Platform};
use crate::resources::{self, missing};
use crate::subscriptions;
use ferrohub_model::api_version::ApiVersion;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::subscription::Subscription;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Reading tags.
pub(super) const READ: &str = "Microsoft.Resources/tags/read";
/// Setting tags, and changing some of them.
pub(super) const WRITE: &str = "Microsoft.Resources/tags/write";
/// Taking all tags away.
pub(super) const DELETE: &str = "Microsoft.Resources/tags/delete";

/// Segments behind the scope: `providers/Microsoft.Resources/tags/default`.
const TAIL: usize = 4;

/// Answers a request for the tags of the scope that the path begins with.
pub(super) async fn answer(platform: &Platform, request: &ArmRequest, segments: &[String]) -> Result<ArmResponse> {
    check_version(platform, request)?;
    let scope = ResourceId::parse(&format!("/{}", segments[..segments.len() - TAIL].join("/")))?;
    let Some(subscription) = scope.subscription.clone() else {
        return Err(Error::invalid("Tags are those of a subscription, a resource group or a resource.")
            .with_code("InvalidScope"));
    };
    subscriptions::require(platform, &subscription)?;
    let action = match request.method.as_str() {
        "GET" => READ,
        "DELETE" => DELETE,
        _ => WRITE,
    };
    platform.authorize(&request.actor, action, &scope)?;
    let change = TagChange::read(request)?;
    let below = scope.resource_group.is_some() || !scope.providers.is_empty();
    let tags = match (below, change) {
        (false, None) => platform.subscription(&subscription).map(|known| known.tags.clone()).unwrap_or_default(),
        (false, Some(change)) => of_subscription(platform, request, &scope, action, &change).await?,
        (true, change) => of_resource(platform, request, &scope, action, change).await?,
    };
    let body = json!({
        "id": format!("{scope}/providers/Microsoft.Resources/tags/default"),
        "name": "default",
        "type": "Microsoft.Resources/tags",
        "properties": {"tags": tags}
    });
    Ok(ArmResponse::new(200, (request.method != "DELETE").then_some(body)))
}

async fn of_subscription(
    platform: &Platform,
    request: &ArmRequest,
    scope: &ResourceId,
    action: &str,
    change: &TagChange,
) -> Result<Map<String, Value>> {
    let id = Uuid::parse_str(scope.name()).map_err(|_| missing(scope))?;
    let row = activity::success_row(platform, request, scope, action, 200)?;
    let write = |known: &mut Subscription, unit: &mut Change| {
        known.tags = tags::tags(Some(&change.apply(&known.tags)))?.unwrap_or_default();
        unit.unit.put(row.clone());
        Ok(())
    };
    let written = platform.change_subscription(id, &write).await?;
    Ok(written.tags)
}

async fn of_resource(
    platform: &Platform,
    request: &ArmRequest,
    scope: &ResourceId,
    action: &'static str,
    change: Option<TagChange>,
) -> Result<Map<String, Value>> {
    let decl = platform.kinds.of(scope).and_then(|kind| platform.types.tagged(kind.tag));
    let Some((decl, view)) = decl.filter(|decl| decl.tracked).and_then(|decl| Some((decl, decl.views.last()?))) else {
        return Err(Error::invalid(format!("Resources of type '{}' have no tags.", scope.resource_type()))
            .with_code("TagsNotSupported"));
    };
    if let Some(change) = change {
        let newest = decl.versions().first().copied().unwrap_or_default();
        let call = Call { platform, request, decl, view, version: ApiVersion::parse(newest)?, asked: scope };
        call.write_tags(scope, action, change).await?;
    }
    let stored = resources::require(platform, scope).await?;
    Ok(stored.resource.tags.clone().unwrap_or_default())
}
