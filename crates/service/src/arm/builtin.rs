//! What is no resource type: subscriptions, tenants, locations, providers, resource listings, name checks, polls.

use super::declaration::TypeDecl;
use super::request::{ArmRequest, ArmResponse};
use super::{listing, name_check, operations, providers, read, region, render, require_subscription};
use crate::platform::Platform;
use crate::resources::{self, tag};
use ferrohub_model::api_version::ApiVersion;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use serde_json::{Value, json};

/// Answers the request if its path is one of these; `None` leaves it to the resource types.
pub(super) async fn answer(
    platform: &Platform,
    request: &ArmRequest,
    segments: &[String],
) -> Result<Option<ArmResponse>> {
    let words: Vec<&str> = segments.iter().map(String::as_str).collect();
    let lower: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    let get = request.method == "GET";
    let owned = matches!(lower.as_slice(), ["tenants" | "subscriptions", ..]) && !lower.contains(&"providers");
    let with_group = lower.len() > 3 && lower[2] == "resourcegroups" && lower.get(4) != Some(&"resources");
    if owned && !with_group {
        check_version(request)?;
    }
    if let [.., "operationstatuses" | "operationresults" | "asyncoperationstatuses", _] = lower.as_slice()
        && get
    {
        let results = lower[lower.len() - 2] == "operationresults";
        return operations::poll(platform, request, results, words[words.len() - 1]).await.map(Some);
    }
    match lower.as_slice() {
        ["tenants"] if get => done(tenants(platform)),
        ["subscriptions"] if get => done(json!({"value": visible_subscriptions(platform, request)})),
        ["subscriptions", id] if get => {
            require_subscription(platform, id)?;
            platform.authorize(
                &request.actor,
                "Microsoft.Resources/subscriptions/read",
                &ResourceId::subscription(id),
            )?;
            done(subscription(platform))
        }
        ["subscriptions", id, "locations"] if get => {
            require_subscription(platform, id)?;
            done(region::listing(&platform.tenancy.subscription_id))
        }
        ["subscriptions", id, "providers", provider, word]
            if request.method == "POST" && name_checked(platform, provider, word).is_some() =>
        {
            require_subscription(platform, id)?;
            match name_checked(platform, provider, word) {
                Some(decl) => name_check::answer(platform, request, decl).await.map(Some),
                None => Ok(None),
            }
        }
        ["subscriptions", id, "providers", ..] => {
            require_subscription(platform, id)?;
            providers::answer(platform, &platform.types, request, &segments[3..])
        }
        ["providers", ..] => providers::answer(platform, &platform.types, request, &segments[1..]),
        ["subscriptions", id, "resources"] if get => {
            require_subscription(platform, id)?;
            listing::answer(platform, request, &ResourceId::subscription(id)).await.map(Some)
        }
        ["subscriptions", id, "resourcegroups", _, "resources"] if get => {
            require_subscription(platform, id)?;
            listing::answer(platform, request, &ResourceId::group(id, words[3])).await.map(Some)
        }
        ["subscriptions", id, "resourcegroups"] if get => {
            require_subscription(platform, id)?;
            groups(platform, request, id).await.map(Some)
        }
        [.., "providers", "microsoft.authorization", "permissions"] if get => {
            permissions(platform, request, segments).map(Some)
        }
        _ => Ok(None),
    }
}

/// The type whose names this action of a provider checks.
fn name_checked(platform: &Platform, provider: &str, word: &str) -> Option<&'static TypeDecl> {
    platform.types.all().iter().copied().find(|decl| {
        decl.kind.provider.eq_ignore_ascii_case(provider)
            && decl.name_check.is_some_and(|action| action.eq_ignore_ascii_case(word))
    })
}

/// ARM's own types take any well-formed api-version, but they take one.
fn check_version(request: &ArmRequest) -> Result<()> {
    let version = request.query("api-version").ok_or_else(|| {
        Error::invalid("The api-version query parameter (?api-version=) is required for all requests.")
            .with_code("MissingApiVersionParameter")
    })?;
    ApiVersion::parse(version).map(drop)
}

fn done(body: Value) -> Result<Option<ArmResponse>> {
    Ok(Some(ArmResponse::new(200, Some(body))))
}

fn tenants(platform: &Platform) -> Value {
    let id = &platform.tenancy.tenant_id;
    json!({"value": [{
        "id": format!("/tenants/{id}"),
        "tenantId": id,
        "displayName": "Ferrohub",
        "defaultDomain": platform.settings.domain,
        "domains": [platform.settings.domain],
        "tenantCategory": "Home",
        "tenantType": "AAD"
    }]})
}

fn subscription(platform: &Platform) -> Value {
    let id = &platform.tenancy.subscription_id;
    json!({
        "id": format!("/subscriptions/{id}"),
        "subscriptionId": id,
        "tenantId": platform.tenancy.tenant_id,
        "displayName": "Ferrohub",
        "state": "Enabled",
        "subscriptionPolicies": {"locationPlacementId": "Public_2014-09-01", "quotaId": "Ferrohub", "spendingLimit": "Off"},
        "authorizationSource": "RoleBased",
        "managedByTenants": []
    })
}

/// A caller sees the subscription when any of its roles reads something in it.
fn visible_subscriptions(platform: &Platform, request: &ArmRequest) -> Vec<Value> {
    let scope = ResourceId::subscription(&platform.tenancy.subscription_id);
    if platform.access().reaches_into(request.actor.id(), &scope) { vec![subscription(platform)] } else { Vec::new() }
}

async fn groups(platform: &Platform, request: &ArmRequest, subscription: &str) -> Result<ArmResponse> {
    let scope = ResourceId::subscription(subscription);
    let Some(decl) = platform.types.tagged(tag::RESOURCE_GROUP) else { return Ok(read::envelope(Vec::new(), None)) };
    let everything = platform.authorize(&request.actor, &decl.action("read"), &scope).is_ok();
    let mut value = Vec::new();
    let Some(shape) = decl.views.last() else { return Ok(read::envelope(value, None)) };
    for stored in resources::every(platform, decl.kind.tag).await? {
        if everything || platform.authorize(&request.actor, &decl.action("read"), &stored.id).is_ok() {
            value.push(render::render(platform, decl, shape, &stored).await?);
        }
    }
    Ok(read::envelope(value, None))
}

fn permissions(platform: &Platform, request: &ArmRequest, segments: &[String]) -> Result<ArmResponse> {
    let scope = ResourceId::parse(&format!("/{}", segments[..segments.len() - 3].join("/")))?;
    let value: Vec<Value> = platform
        .access()
        .permissions_at(request.actor.id(), &scope)
        .into_iter()
        .map(|p| serde_json::to_value(p).unwrap_or(Value::Null))
        .collect();
    Ok(read::envelope(value, None))
}
