//! A row of the log as Azure Monitor shows it (reference: resource-manager.md section 14).

use super::entry::{ACTIVE, Entry, FAILED, STARTED};
use crate::platform::Tenancy;
use ferrohub_model::resource_id::ResourceId;
use serde_json::{Map, Value, json};

/// Every member of an event: what `$select` may name.
pub(super) const MEMBERS: &[&str] = &[
    "authorization",
    "caller",
    "category",
    "claims",
    "correlationId",
    "description",
    "eventDataId",
    "eventName",
    "eventTimestamp",
    "httpRequest",
    "id",
    "level",
    "operationId",
    "operationName",
    "properties",
    "resourceGroupName",
    "resourceId",
    "resourceProviderName",
    "resourceType",
    "status",
    "subStatus",
    "submissionTimestamp",
    "subscriptionId",
    "tenantId",
];
/// The only category that Ferrohub has.
const CATEGORY: &str = "Administrative";
/// Azure's names of claims (WS-Federation and Entra's own).
const CLAIM_OBJECT_ID: &str = "http://schemas.microsoft.com/identity/claims/objectidentifier";
const CLAIM_TENANT: &str = "http://schemas.microsoft.com/identity/claims/tenantid";
const CLAIM_UPN: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn";

/// Azure's categories of events. Ferrohub writes the first.
pub(super) fn categories() -> Vec<Value> {
    let names = ["Administrative", "Security", "ServiceHealth", "Alert", "Recommendation", "Policy"];
    names.iter().map(|name| json!({"value": name, "localizedValue": spaced(name)})).collect()
}

/// The event of the row with this key.
pub(super) fn event(tenancy: &Tenancy, key: &str, entry: &Entry<'_>) -> Value {
    let id = ResourceId::parse(&entry.resource_id).ok();
    let (provider, kind) = provider_and_type(id.as_ref());
    let began = entry.status == STARTED;
    let (name, told) = if began { ("BeginRequest", "Begin request") } else { ("EndRequest", "End request") };
    let status = status_name(entry.http_status);
    let sub_status = match entry.http_status {
        0 => String::new(),
        code => format!("{} (HTTP Status Code: {code})", spaced(status)),
    };
    let mut event = json!({
        "authorization": {"action": entry.operation_name, "scope": entry.resource_id},
        "caller": entry.caller,
        "category": {"value": CATEGORY, "localizedValue": CATEGORY},
        "claims": claims(tenancy, entry),
        "correlationId": entry.correlation_id,
        "description": description(entry),
        "eventDataId": key,
        "eventName": {"value": name, "localizedValue": told},
        "eventTimestamp": entry.time,
        "id": format!("{}/events/{key}/ticks/{}", entry.resource_id, ticks(&entry.time)),
        "level": level(entry),
        "operationId": entry.request_id,
        "operationName": {"value": entry.operation_name, "localizedValue": operation_title(&entry.operation_name)},
        "properties": properties(entry, status),
        "resourceGroupName": id.as_ref().and_then(|id| id.resource_group.as_deref()).unwrap_or_default(),
        "resourceId": entry.resource_id,
        "resourceProviderName": {"value": provider, "localizedValue": provider},
        "resourceType": {"value": kind, "localizedValue": kind},
        "status": {"value": entry.status, "localizedValue": entry.status},
        "subStatus": {"value": status, "localizedValue": sub_status},
        "submissionTimestamp": entry.time,
        "subscriptionId": id.as_ref().and_then(|id| id.subscription.as_deref()).unwrap_or_default(),
        "tenantId": tenancy.tenant_id
    });
    if !entry.method.is_empty() {
        event["httpRequest"] = http_request(entry);
    }
    event
}

/// The channel that a row is in: what was done, or what came about.
pub(super) fn channel(entry: &Entry<'_>) -> &'static str {
    if entry.status == ACTIVE { "Admin" } else { "Operation" }
}

/// The level of a row.
pub(super) fn level<'e>(entry: &'e Entry<'_>) -> &'e str {
    match (&entry.level, &*entry.status) {
        (Some(level), _) => level,
        (None, FAILED) => "Error",
        (None, _) => "Informational",
    }
}

/// The provider of what an id means.
pub(super) fn provider_of(id: &ResourceId) -> &str {
    id.providers.last().map_or("Microsoft.Resources", |provider| &provider.namespace)
}

fn provider_and_type(id: Option<&ResourceId>) -> (&str, String) {
    let Some(id) = id else { return ("", String::new()) };
    let kind = match (id.resource_group.as_deref(), id.providers.as_slice()) {
        (Some(_), []) => "Microsoft.Resources/subscriptions/resourceGroups".to_owned(),
        _ => id.resource_type(),
    };
    (provider_of(id), kind)
}

/// What the log keeps of the token's claims: who, of which tenant, and how.
fn claims(tenancy: &Tenancy, entry: &Entry<'_>) -> Value {
    let mut claims = Map::new();
    claims.insert(CLAIM_TENANT.into(), tenancy.tenant_id.as_str().into());
    if !entry.caller_id.contains(':') {
        claims.insert(CLAIM_OBJECT_ID.into(), entry.caller_id.clone().into());
    }
    match &*entry.caller_kind {
        "User" => {
            claims.insert("idtyp".into(), "user".into());
            claims.insert("name".into(), entry.caller.clone().into());
            claims.insert(CLAIM_UPN.into(), entry.caller.clone().into());
        }
        "Application" | "ManagedIdentity" if !entry.caller_id.contains(':') => {
            claims.insert("idtyp".into(), "app".into());
            claims.insert("appid".into(), entry.caller.clone().into());
        }
        _ => {}
    }
    Value::Object(claims)
}

fn description<'e>(entry: &'e Entry<'_>) -> &'e str {
    let warned = entry.error.as_ref().filter(|_| entry.status == ACTIVE);
    warned.and_then(|error| error.get("message")).and_then(Value::as_str).unwrap_or_default()
}

fn http_request(entry: &Entry<'_>) -> Value {
    let mut request = Map::new();
    let mut set = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            request.insert(name.into(), value.into());
        }
    };
    set("clientRequestId", entry.client_request_id.as_deref());
    set("clientIpAddress", entry.address.as_deref());
    set("method", Some(&entry.method));
    set("uri", entry.uri.as_deref());
    Value::Object(request)
}

/// Texts by name, all of them texts.
fn properties(entry: &Entry<'_>, status: &str) -> Value {
    let mut properties = json!({
        "eventCategory": CATEGORY,
        "entity": entry.resource_id,
        "message": entry.operation_name
    });
    if !status.is_empty() {
        properties["statusCode"] = status.into();
        properties["serviceRequestId"] = entry.request_id.to_string().into();
    }
    if let Some(error) = &entry.error {
        properties["statusMessage"] = json!({"error": error}).to_string().into();
    }
    if let Some(repeats) = entry.repeats {
        properties["repeats"] = repeats.to_string().into();
    }
    properties
}

/// An operation for people: `Microsoft.Devices/IotHubs/listkeys/action` is "Listkeys of iot hubs".
fn operation_title(action: &str) -> String {
    let mut parts: Vec<&str> = action.split('/').skip(1).collect();
    let verb = parts.pop().unwrap_or_default();
    let verb = match verb {
        "write" => "Create or update".to_owned(),
        "action" => format!("{} of", first_upper(&spaced(parts.pop().unwrap_or_default()))),
        verb => first_upper(verb),
    };
    let what = parts.last().map(|kind| spaced(kind).to_lowercase()).unwrap_or_default();
    format!("{verb} {what}").trim_end().trim_end_matches(" of").to_owned()
}

fn first_upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// `NoContent` is "No Content"; `OK` stays.
fn spaced(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    let mut before = ' ';
    for letter in name.chars() {
        if letter.is_uppercase() && before.is_lowercase() {
            text.push(' ');
        }
        text.push(letter);
        before = letter;
    }
    text
}

/// An HTTP status as the log calls it.
fn status_name(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "NoContent",
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        409 => "Conflict",
        412 => "PreconditionFailed",
        413 => "RequestEntityTooLarge",
        415 => "UnsupportedMediaType",
        429 => "TooManyRequests",
        500 => "InternalServerError",
        501 => "NotImplemented",
        503 => "ServiceUnavailable",
        _ => "",
    }
}

/// 100 ns since the year 1, as .NET counts.
fn ticks(time: &str) -> i128 {
    const UNIX_EPOCH: i128 = 621_355_968_000_000_000;
    time.parse::<jiff::Timestamp>().map_or(0, |at| at.as_nanosecond() / 100 + UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_named_for_people() {
        for (action, title) in [
            ("Microsoft.DeviceRegistry/namespaces/write", "Create or update namespaces"),
            ("Microsoft.Devices/IotHubs/delete", "Delete iot hubs"),
            ("Microsoft.Devices/IotHubs/listkeys/action", "Listkeys of iot hubs"),
            (
                "Microsoft.DeviceRegistry/namespaces/credentials/policies/revokeIssuer/action",
                "Revoke Issuer of policies",
            ),
            ("Ferrohub/owner/reset/action", "Reset of owner"),
            ("Microsoft.Resources/subscriptions/read", "Read subscriptions"),
            ("", ""),
        ] {
            assert_eq!(operation_title(action), title, "{action}");
        }
        assert_eq!(spaced("NoContent"), "No Content");
        assert_eq!(spaced("OK"), "OK");
        assert_eq!(ticks("1970-01-01T00:00:00Z"), 621_355_968_000_000_000);
    }
}
