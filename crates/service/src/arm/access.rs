//! What there is to ask about rights beside roles and their assignments: the caller's permissions, whether somebody may do
//! something, and deny assignments (there are none).

use super::query;
use super::request::{ArmRequest, ArmResponse};
use super::types::{ROLE_ASSIGNMENT, role_assignment_lookup};
use crate::authz::Plane;
use crate::directory;
use crate::platform::Platform;
use crate::resources;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::principal::Principal;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_wire::odata::{Filter, Terms};
use serde_json::{Map, Value, json};

/// Reading deny assignments, and changing them.
pub(super) const READ_DENIALS: &str = "Microsoft.Authorization/denyAssignments/read";
pub(super) const WRITE_DENIALS: &str = "Microsoft.Authorization/denyAssignments/write";
/// Reading the system-assigned identity of a resource.
pub(super) const READ_IDENTITIES: &str = "Microsoft.ManagedIdentity/identities/read";
/// Actions of one check: ours.
const CHECKED: usize = 200;
/// Milliseconds for which an answer holds (Azure's own).
const HOLDS_MS: u32 = 300_000;
/// `$filter` of deny assignments; whatever is asked for, there is none.
static DENIAL_TERMS: Terms = Terms {
    fields: &["denyAssignmentName", "principalId", "gdprExportPrincipalId"],
    marks: &["atScope", "assignedTo"],
};

/// The scope before `providers/Microsoft.Authorization/…`, of whose segments `tail` follow it.
fn scope_of(segments: &[String], tail: usize) -> Result<ResourceId> {
    ResourceId::parse(&format!("/{}", segments[..segments.len().saturating_sub(tail)].join("/")))
}

fn check_version(request: &ArmRequest) -> Result<()> {
    query::version(request).map(drop)
}

/// What the caller may do at a scope, one entry for each role that counts there.
pub(super) fn permissions(platform: &Platform, request: &ArmRequest, segments: &[String]) -> Result<Vec<Value>> {
    check_version(request)?;
    let scope = scope_of(segments, 3)?;
    let all = platform.access().permissions_at(request.actor.id(), &scope);
    Ok(all.into_iter().map(|p| serde_json::to_value(p).unwrap_or(Value::Null)).collect())
}

/// The deny assignments at a scope: none, for whoever may read them.
pub(super) fn denials(platform: &Platform, request: &ArmRequest, segments: &[String]) -> Result<Vec<Value>> {
    check_version(request)?;
    platform.authorize(&request.actor, READ_DENIALS, &scope_of(segments, 3)?)?;
    query::check(request, query::FILTERED)?;
    Filter::parse(request.query("$filter").unwrap_or_default(), &DENIAL_TERMS)?;
    Ok(Vec::new())
}

/// One deny assignment: there is none, and none can be made.
///
/// # Errors
/// Always.
pub(super) fn denial(platform: &Platform, request: &ArmRequest, segments: &[String]) -> Result<Option<ArmResponse>> {
    check_version(request)?;
    let (scope, reads) = (scope_of(segments, 4)?, matches!(request.method.as_str(), "GET" | "HEAD"));
    platform.authorize(&request.actor, if reads { READ_DENIALS } else { WRITE_DENIALS }, &scope)?;
    if reads {
        let name: String = segments.last().map(String::as_str).unwrap_or_default().chars().take(80).collect();
        return Err(
            Error::not_found(format!("The deny assignment '{name}' is not found.")).with_code("DenyAssignmentNotFound")
        );
    }
    Err(Error::not_implemented(
        "Ferrohub does not have deny assignments (Microsoft.Authorization/denyAssignments); give narrower roles instead.",
    ))
}

/// Whether somebody may do each of some actions. The caller may ask about itself; about others, who may read roles there.
pub(super) async fn check(platform: &Platform, request: &ArmRequest, segments: &[String]) -> Result<ArmResponse> {
    check_version(request)?;
    query::check(request, &[])?;
    let body = request.body.as_ref().and_then(Value::as_object).ok_or_else(|| {
        Error::invalid("The body is an object with 'Subject', 'Actions' and, where it is another one, 'Resource'.")
            .with_code("InvalidRequestContent")
    })?;
    let above = scope_of(segments, 3)?;
    let scope = match member(body, "Resource").and_then(|resource| member(resource.as_object()?, "Id")) {
        Some(Value::String(id)) => ResourceId::parse(id)?,
        Some(_) => return Err(Error::invalid_property("Resource.Id", "'Resource.Id' is the id of a scope.")),
        None => above.clone(),
    };
    if !scope.is_within(&above) {
        return Err(Error::invalid_property("Resource.Id", format!("'{scope}' does not lie at or below '{above}'.")));
    }
    let subject = member(body, "Subject").and_then(|subject| member(subject.as_object()?, "Attributes"));
    let subject = subject.and_then(|attributes| member(attributes.as_object()?, "ObjectId")).and_then(Value::as_str);
    let subject = subject.unwrap_or(request.actor.id()).to_ascii_lowercase();
    if subject != request.actor.id() {
        platform.authorize(&request.actor, "Microsoft.Authorization/roleAssignments/read", &scope)?;
    }
    let known = directory::by_id(platform.store.as_ref(), &subject).await?.filter(|principal| !principal.disabled);
    let actions = member(body, "Actions").and_then(Value::as_array).filter(|list| (1..=CHECKED).contains(&list.len()));
    let actions = actions.ok_or_else(|| {
        Error::invalid_property(
            "Actions",
            format!("'Actions' is a list of 1 to {CHECKED} objects with 'Id' and 'IsDataAction'."),
        )
    })?;
    let mut answers = Vec::with_capacity(actions.len());
    for action in actions {
        answers.push(decision(platform, known.as_deref(), action, &scope).await?);
    }
    Ok(ArmResponse::new(200, Some(Value::Array(answers))))
}

async fn decision(platform: &Platform, who: Option<&Principal>, action: &Value, scope: &ResourceId) -> Result<Value> {
    let asked =
        action.as_object().and_then(|action| Some((member(action, "Id")?.as_str()?, member(action, "IsDataAction"))));
    let (id, is_data) = asked.ok_or_else(|| {
        Error::invalid_property(
            "Actions",
            "Each of 'Actions' is an object with the text 'Id', such as Microsoft.Devices/IotHubs/read.",
        )
    })?;
    let is_data = is_data.and_then(Value::as_bool).unwrap_or(false);
    let plane = if is_data { Plane::Data } else { Plane::Control };
    let grant = who.and_then(|principal| platform.access().grant(&principal.id, plane, id, scope));
    let assignment = match &grant {
        Some(grant) => assignment(platform, &grant.scope, &grant.principal, &grant.role).await?,
        None => Value::Null,
    };
    Ok(json!({
        "actionId": id,
        "isDataAction": is_data,
        "accessDecision": if grant.is_some() { "Allowed" } else { "NotAllowed" },
        "roleAssignment": assignment,
        "denyAssignment": null,
        "timeToLiveInMs": HOLDS_MS
    }))
}

/// The assignment of a role to a principal at the scope with this key.
async fn assignment(platform: &Platform, scope: &str, principal: &str, role: &str) -> Result<Value> {
    let scope = ResourceId::parse(scope)?;
    let Some(uid) = resources::uid_of(platform, &scope).await? else { return Ok(Value::Null) };
    let found = role_assignment_lookup(uid, principal, role);
    let Some(stored) = resources::by_lookup(platform, "lookup", &found).await? else { return Ok(Value::Null) };
    let text = |name: &str| stored.resource.properties.get(name).cloned().unwrap_or(Value::Null);
    Ok(json!({
        "id": ROLE_ASSIGNMENT.child_of(&scope, stored.name()).to_string(),
        "roleDefinitionId": text("roleDefinitionId"),
        "principalId": text("principalId"),
        "principalType": text("principalType"),
        "scope": scope.to_string(),
        "condition": null,
        "conditionVersion": null,
        "canDelegate": false
    }))
}

/// A member of an object, whatever the case of its name: clients write it both ways.
fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
        .filter(|value| !value.is_null())
}

/// The system-assigned identity of a resource, as a resource of its own.
pub(super) async fn system_identity(
    platform: &Platform,
    request: &ArmRequest,
    segments: &[String],
) -> Result<ArmResponse> {
    check_version(request)?;
    query::check(request, &[])?;
    let scope = scope_of(segments, 4)?;
    platform.authorize(&request.actor, READ_IDENTITIES, &scope)?;
    let stored = resources::require(platform, &scope).await?;
    let id = scope.resource("Microsoft.ManagedIdentity", "identities", "default");
    let own = stored.resource.identity.as_ref().and_then(|identity| identity.system_principal_id.clone());
    let principal = match own {
        Some(principal) => directory::by_id(platform.store.as_ref(), &principal).await?,
        None => None,
    };
    let principal = principal.ok_or_else(|| resources::missing(&id))?;
    Ok(ArmResponse::new(
        200,
        Some(json!({
            "id": id.to_string(),
            "name": "default",
            "type": "Microsoft.ManagedIdentity/identities",
            "location": stored.resource.location,
            "tags": stored.resource.tags,
            "properties": {
                "tenantId": platform.tenancy.tenant_id,
                "principalId": principal.id,
                "clientId": principal.app_id
            }
        })),
    ))
}
