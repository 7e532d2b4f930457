//! The names of tags in use over a subscription, and those made ahead of their use (`/subscriptions/{id}/tagNames`).

use super::activity;
use super::listing::Walk;
use super::request::{ArmRequest, ArmResponse};
use super::tags;
use crate::platform::{Change, Platform};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::subscription::Subscription;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Reading the names.
pub(super) const READ: &str = "Microsoft.Resources/subscriptions/tagNames/read";
/// Making one ahead of its use, or a value of it.
pub(super) const WRITE: &str = "Microsoft.Resources/subscriptions/tagNames/write";
/// Taking one away that nothing uses.
pub(super) const DELETE: &str = "Microsoft.Resources/subscriptions/tagNames/delete";

/// Distinct pairs of name and value that one answer counts, and names or values that are made ahead: ours.
const PAIRS: usize = 10_000;
/// Groups and resources that one answer counts: ours.
const LOOKED_AT: usize = 50_000;
/// Bytes of all that is made ahead in a subscription, whose row each of its requests reads: ours.
const BYTES: usize = 256 * 1024;

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
    tags::check(name, value.unwrap_or_default())?;
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

/// Those made ahead, and those of every group and tracked resource. What is numerous is left out: whoever makes a
/// name would wait for all of them.
async fn names(platform: &Platform, known: &Subscription) -> Result<Names> {
    let mut names = Names::new();
    for (name, values) in &known.tag_names {
        let used = entry(&mut names, name);
        for value in values {
            used.values.entry(value.clone()).or_default();
        }
    }
    let mut pairs = names.values().map(|used| used.values.len()).sum::<usize>() + count(&mut names, &known.tags);
    let mut walk = Walk::start(platform, &scope_of(known), None).await?.without_numerous();
    let (mut looked_at, nothing) = (0, Map::new());
    while let Some(stored) = walk.next(platform).await? {
        looked_at += 1;
        if platform.types.tagged(stored.kind.tag).is_some_and(|decl| decl.tracked) {
            pairs += count(&mut names, stored.resource.tags.as_ref().unwrap_or(&nothing));
        }
        if pairs > PAIRS || looked_at > LOOKED_AT {
            return Err(Error::invalid(format!(
                "There are more than {PAIRS} pairs of tag name and value or {LOOKED_AT} resources to count; ask for resources by a tag in $filter instead."
            ))
            .with_code("TagNamesLimitExceeded"));
        }
    }
    Ok(names)
}

fn entry<'a>(names: &'a mut Names, name: &str) -> &'a mut Used {
    names.entry(name.to_lowercase()).or_insert_with(|| Used { name: name.to_owned(), ..Used::default() })
}

/// Counts the tags of one resource; gives how many pairs are new.
fn count(names: &mut Names, tags: &Map<String, Value>) -> usize {
    let mut new = 0;
    for (name, value) in tags {
        let used = entry(names, name);
        used.count += 1;
        let uses = used.values.entry(value.as_str().unwrap_or_default().to_owned()).or_default();
        new += usize::from(*uses == 0);
        *uses += 1;
    }
    new
}

fn make(known: &mut Subscription, name: &str, value: Option<&str>) -> Result<()> {
    let made: usize = known.tag_names.values().map(|values| values.len() + 1).sum();
    if made >= PAIRS {
        return Err(Error::conflict(format!("More than {PAIRS} tag names and values were made ahead of their use."))
            .with_code("TagNamesLimitExceeded"));
    }
    let bytes = |(name, values): (&String, &Vec<String>)| name.len() + values.iter().map(String::len).sum::<usize>();
    let kept = known.tag_names.iter().map(bytes).sum::<usize>();
    if kept + name.len() + value.map_or(0, str::len) > BYTES {
        return Err(Error::conflict(format!(
            "Tag names and values that were made ahead of their use have {BYTES} bytes at most in one subscription; delete some that are not needed."
        ))
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
