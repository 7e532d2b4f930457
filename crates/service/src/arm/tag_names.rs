//! The names of tags in use over a subscription, and those made ahead of their use (`/subscriptions/{id}/tagNames`).

use super::activity;
use super::listing::Walk;
use super::request::{ArmRequest, ArmResponse};
use crate::platform::{Change, Platform};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::subscription::Subscription;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Reading the names.
pub(super) const READ: &str = "Microsoft.Resources/subscriptions/tagNames/read";
/// Making one ahead of its use, or a value of it.
pub(super) const WRITE: &str = "Microsoft.Resources/subscriptions/tagNames/write";
/// Taking one away that nothing uses.
pub(super) const DELETE: &str = "Microsoft.Resources/subscriptions/tagNames/delete";

/// Distinct pairs of name and value that one answer counts, and names or values that are made ahead: ours.
const PAIRS: usize = 10_000;

/// A tag name: as it was first seen, how many resources have it, and its values.
#[derive(Default)]
struct Used {
    name: String,
    count: u64,
    values: BTreeMap<String, u64>,
}

/// By lower-cased name.
type Names = BTreeMap<String, Used>;

/// All names, with how many resources use each.
pub(super) async fn list(platform: &Platform, request: &ArmRequest, known: &Subscription) -> Result<Vec<Value>> {
    let scope = scope_of(known);
    platform.authorize(&request.actor, READ, &scope)?;
    let names = names(platform, known).await?;
    Ok(names.values().map(|used| view(&scope, used)).collect())
}

/// PUT or DELETE of a name, or of a value of one.
pub(super) async fn change(
    platform: &Platform,
    request: &ArmRequest,
    known: &Subscription,
    (name, value): (&str, Option<&str>),
) -> Result<ArmResponse> {
    let scope = scope_of(known);
    let deletes = request.method == "DELETE";
    let action = if deletes { DELETE } else { WRITE };
    platform.authorize(&request.actor, action, &scope)?;
    check(name, value)?;
    let names = names(platform, known).await?;
    let used = names.get(&name.to_lowercase());
    let there = used.is_some_and(|used| value.is_none_or(|value| used.values.contains_key(value)));
    let uses = used.map_or(0, |used| value.map_or(used.count, |value| used.values.get(value).copied().unwrap_or(0)));
    if deletes && uses > 0 {
        return Err(Error::conflict(format!(
            "The tag '{name}' cannot be deleted: {uses} resource(s) have it{}. Take it off them first.",
            value.map(|value| format!(" with the value '{value}'")).unwrap_or_default()
        ))
        .with_code("TagInUse"));
    }
    let status = match (deletes, there) {
        (true, true) | (false, true) => 200,
        (true, false) => 204,
        (false, false) => 201,
    };
    let row = activity::success_row(platform, request, &scope, action, status)?;
    let write = |known: &mut Subscription, unit: &mut Change| {
        match deletes {
            true => forget(known, name, value),
            false => make(known, name, value)?,
        }
        unit.unit.put(row.clone());
        Ok(())
    };
    let written = platform.change_subscription(known.id, &write).await?;
    if deletes {
        return Ok(ArmResponse::new(status, None));
    }
    let names = self::names(platform, &written).await?;
    let used = names.get(&name.to_lowercase());
    let body = match value {
        Some(value) => value_view(&scope, name, value, uses),
        None => used.map_or(Value::Null, |used| view(&scope, used)),
    };
    Ok(ArmResponse::new(status, Some(body)))
}

fn scope_of(known: &Subscription) -> ResourceId {
    ResourceId::subscription(&known.id.to_string())
}

/// Those made ahead, and those of every group and tracked resource.
async fn names(platform: &Platform, known: &Subscription) -> Result<Names> {
    let mut names = Names::new();
    for (name, values) in &known.tag_names {
        let used = entry(&mut names, name);
        for value in values {
            used.values.entry(value.clone()).or_default();
        }
    }
    let mut pairs = known.tags.iter().collect::<Vec<_>>();
    count(&mut names, &mut pairs);
    let mut walk = Walk::start(platform, &scope_of(known), None).await?;
    while let Some(stored) = walk.next(platform).await? {
        if platform.types.tagged(stored.kind.tag).is_some_and(|decl| decl.tracked) {
            count(&mut names, &mut stored.resource.tags.iter().flatten().collect());
        }
        if names.values().map(|used| used.values.len()).sum::<usize>() > PAIRS {
            return Err(Error::invalid(format!(
                "More than {PAIRS} pairs of tag name and value are in use; ask for resources by a tag in $filter instead."
            ))
            .with_code("TagNamesLimitExceeded"));
        }
    }
    Ok(names)
}

fn entry<'a>(names: &'a mut Names, name: &str) -> &'a mut Used {
    names.entry(name.to_lowercase()).or_insert_with(|| Used { name: name.to_owned(), ..Used::default() })
}

fn count(names: &mut Names, tags: &mut Vec<(&String, &Value)>) {
    for (name, value) in tags.drain(..) {
        let used = entry(names, name);
        used.count += 1;
        *used.values.entry(value.as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
}

fn make(known: &mut Subscription, name: &str, value: Option<&str>) -> Result<()> {
    let made: usize = known.tag_names.values().map(|values| values.len() + 1).sum();
    if made >= PAIRS {
        return Err(Error::conflict(format!("More than {PAIRS} tag names and values were made ahead of their use."))
            .with_code("TagNamesLimitExceeded"));
    }
    let own = known.tag_names.keys().find(|known| known.eq_ignore_ascii_case(name)).cloned();
    let values = known.tag_names.entry(own.unwrap_or_else(|| name.to_owned())).or_default();
    if let Some(value) = value
        && !values.iter().any(|known| known == value)
    {
        values.push(value.to_owned());
    }
    Ok(())
}

fn forget(known: &mut Subscription, name: &str, value: Option<&str>) {
    match value {
        Some(value) => {
            for (_, values) in known.tag_names.iter_mut().filter(|(known, _)| known.eq_ignore_ascii_case(name)) {
                values.retain(|known| known != value);
            }
        }
        None => known.tag_names.retain(|known, _| !known.eq_ignore_ascii_case(name)),
    }
}

fn check(name: &str, value: Option<&str>) -> Result<()> {
    let bad = |c: char| c.is_control() || "<>%&\\?/".contains(c);
    let fits = |text: &str, most: usize| text.chars().count() <= most;
    if !name.is_empty()
        && !name.chars().any(bad)
        && fits(name, limits::TAG_NAME_CHARS)
        && value.is_none_or(|value| fits(value, limits::TAG_VALUE_CHARS))
    {
        return Ok(());
    }
    Err(Error::invalid(
        "Names of tags have 1 to 512 characters and none of < > % & \\ ? /, values up to 256 characters.",
    )
    .with_code("InvalidTags"))
}

fn view(scope: &ResourceId, used: &Used) -> Value {
    let values: Vec<Value> =
        used.values.iter().map(|(value, count)| value_view(scope, &used.name, value, *count)).collect();
    json!({
        "id": format!("{scope}/tagNames/{}", used.name),
        "tagName": used.name,
        "count": {"type": "Total", "value": used.count},
        "values": values
    })
}

fn value_view(scope: &ResourceId, name: &str, value: &str, count: u64) -> Value {
    json!({
        "id": format!("{scope}/tagNames/{name}/tagValues/{value}"),
        "tagValue": value,
        "count": {"type": "Total", "value": count}
    })
}
