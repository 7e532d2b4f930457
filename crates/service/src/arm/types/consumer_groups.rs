//! Consumer groups of a hub's built-in endpoint (reference: iot-hub-and-dps.md G.1). They are names that the hub remembers: whoever
//! reads events keeps a place of their own, so a group changes nothing about what is read.

use crate::arm::context::SubContext;
use crate::arm::declaration::SubAnswer;
use crate::arm::schema::{Property, read_only};
use crate::platform::Change;
use crate::resources::{self, Entry, Stored, Told};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::time::rfc3339;
use serde_json::{Value, json};

/// The member of a hub that holds them, and which no view shows.
pub(super) const PROPERTY: Property = read_only("consumerGroups");
/// Its path.
pub(super) const PATH: &str = "properties.consumerGroups";

const MEMBER: &str = "consumerGroups";
/// The one that every endpoint has.
const DEFAULT: &str = "$Default";
/// The hub's only endpoint.
const ENDPOINT: &str = "events";
/// Consumer groups of one endpoint (Event Hubs quotas: 20 in the standard tier).
const GROUPS: usize = 20;
/// Length of a name (Event Hubs: 1 to 50 characters).
const NAME_CHARS: usize = 50;

/// Answers a request about consumer groups.
///
/// # Errors
/// `ResourceNotFound` for an endpoint or a group that there is not; `InvalidPropertyValue` for a name; `QuotaExceeded`.
pub(super) async fn answer(cx: &SubContext<'_>) -> Result<SubAnswer> {
    let endpoint = &cx.tail[1];
    if !endpoint.eq_ignore_ascii_case(ENDPOINT) {
        return Err(Error::not_found(format!(
            "The hub '{}' has no event hub endpoint '{}'; it has '{ENDPOINT}'.",
            cx.stored.name(),
            shown(endpoint)
        )));
    }
    let done = |value: Value| SubAnswer::Done(200, Some(value));
    let Some(name) = cx.tail.get(3) else {
        let all = stored_groups(cx.stored);
        let first = std::iter::once((DEFAULT.to_owned(), created(cx.stored)));
        let value: Vec<Value> = first.chain(all).map(|(name, made)| view(cx, &name, &made)).collect();
        return Ok(done(json!({ "value": value })));
    };
    match cx.method {
        "PUT" => put(cx, name).await,
        "DELETE" => delete(cx, name).await.map(|()| SubAnswer::Written(200, None)),
        _ => find(cx.stored, name).map(|(name, made)| done(view(cx, &name, &made))).ok_or_else(|| missing(cx, name)),
    }
}

async fn put(cx: &SubContext<'_>, name: &str) -> Result<SubAnswer> {
    let sent = cx.body.and_then(|body| body.pointer("/properties/name").or_else(|| body.get("name")));
    if sent.and_then(Value::as_str).is_some_and(|sent| !sent.eq_ignore_ascii_case(name)) {
        return Err(Error::invalid_property(
            "properties.name",
            format!("The name in the body is not the '{}' of the path.", shown(name)),
        ));
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if find(cx.stored, name).is_none() && (name.is_empty() || name.len() > NAME_CHARS || !name.chars().all(legal)) {
        return Err(Error::invalid_property(
            "properties.name",
            format!("The name of a consumer group has 1 to {NAME_CHARS} letters, digits, '-', '.' and '_'."),
        ));
    }
    let now = rfc3339(cx.platform.now());
    let mut attempts = cx.platform.attempts();
    loop {
        attempts.begin(contended).await?;
        let hub = resources::require(cx.platform, cx.id).await?;
        if let Some((name, made)) = find(&hub, name) {
            return Ok(SubAnswer::Done(200, Some(view(cx, &name, &made))));
        }
        let mut groups = stored_groups(&hub);
        if groups.len() + 1 >= GROUPS {
            let text = format!("An endpoint has {GROUPS} consumer groups at most; delete one first.");
            return Err(Error::conflict(text).with_code("QuotaExceeded"));
        }
        groups.push((name.to_owned(), now.clone()));
        if write(cx, &hub, &groups).await? {
            return Ok(SubAnswer::Written(200, Some(view(cx, name, &now))));
        }
    }
}

async fn delete(cx: &SubContext<'_>, name: &str) -> Result<()> {
    if name.eq_ignore_ascii_case(DEFAULT) {
        return Err(Error::conflict(format!(
            "The consumer group '{DEFAULT}' cannot be deleted: every endpoint has it."
        )));
    }
    if find(cx.stored, name).is_none() {
        return Err(missing(cx, name));
    }
    let mut attempts = cx.platform.attempts();
    loop {
        attempts.begin(contended).await?;
        let hub = resources::require(cx.platform, cx.id).await?;
        let mut groups = stored_groups(&hub);
        groups.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        if write(cx, &hub, &groups).await? {
            return Ok(());
        }
    }
}

/// `false` when somebody else changed the hub meanwhile.
async fn write(cx: &SubContext<'_>, hub: &Stored, groups: &[(String, String)]) -> Result<bool> {
    let mut resource = (*hub.resource).clone();
    let list = groups.iter().map(|(name, made)| json!({"name": name, "created": made})).collect();
    resource.properties.insert(MEMBER.into(), Value::Array(list));
    let entry = Entry {
        uid: hub.uid,
        kind: hub.kind,
        parent: hub.parent,
        id: hub.id.clone(),
        below_new: false,
        was: Some(hub),
        resource,
        extra: hub.extra.clone(),
    };
    let mut change = Change::new();
    cx.unlocked(&mut change).await?;
    resources::put(cx.platform, cx.actor, entry, Told::Row(cx.told(200)?), &mut change)?;
    cx.platform.try_commit(change).await
}

/// Names, and when they were made.
fn stored_groups(hub: &Stored) -> Vec<(String, String)> {
    let list = hub.resource.value(&[MEMBER]).and_then(Value::as_array).into_iter().flatten();
    let text = |group: &Value, member: &str| group.get(member).and_then(Value::as_str).map(str::to_owned);
    list.filter_map(|group| Some((text(group, "name")?, text(group, "created")?))).collect()
}

fn find(hub: &Stored, name: &str) -> Option<(String, String)> {
    if name.eq_ignore_ascii_case(DEFAULT) {
        return Some((DEFAULT.to_owned(), created(hub)));
    }
    stored_groups(hub).into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name))
}

/// When the hub was made.
fn created(hub: &Stored) -> String {
    hub.resource.system_data.created_at.clone()
}

fn view(cx: &SubContext<'_>, name: &str, made: &str) -> Value {
    json!({
        "id": format!("{}/eventHubEndpoints/{ENDPOINT}/ConsumerGroups/{name}", cx.stored.id),
        "name": name,
        "type": "Microsoft.Devices/IotHubs/EventHubEndpoints/ConsumerGroups",
        "properties": {"created": made},
        "etag": Value::Null,
    })
}

fn contended() -> Error {
    Error::unavailable("The hub is being changed by many at once; try again in a second.", 1)
}

fn missing(cx: &SubContext<'_>, name: &str) -> Error {
    let known: Vec<String> = stored_groups(cx.stored).into_iter().map(|(name, _)| name).collect();
    Error::not_found(format!(
        "The endpoint '{ENDPOINT}' of the hub '{}' has no consumer group '{}'; it has {DEFAULT}{}.",
        cx.stored.name(),
        shown(name),
        known.iter().map(|name| format!(", {name}")).collect::<String>()
    ))
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}
