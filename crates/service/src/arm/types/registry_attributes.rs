//! `registryDevices/{device}/attributes/{name}`: sets of attributes that somebody reports about a device, each with its reporter.
//!
//! They lie in the device's row, so that they come and go with it whoever deletes it: a person, a hub, a namespace. A write of one
//! is none of the device: its stamps, version and etag stay.

use super::registry_profiles::missing;
use crate::arm::context::SubContext;
use crate::arm::declaration::SubAnswer;
use crate::arm::query;
use crate::platform::Change;
use crate::registry;
use crate::resources::{self, Stored};
use ferrohub_model::device_id::is_registry_name;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{ATTRIBUTE_SET_BYTES, ATTRIBUTE_SETS};
use ferrohub_model::resource::SystemData;
use ferrohub_model::time::rfc3339;
use ferrohub_wire::etag::EtagCondition;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The member of the device's row; no api-version shows it.
const MEMBER: &str = "attributeSets";
const TYPE: &str = "Microsoft.DeviceRegistry/namespaces/registryDevices/attributes";
/// Who reports a set.
const REPORTED_BY: &str = "reportedBy";
const USER: &str = "User";
const DEVICE_UPDATE: &str = "Microsoft.DeviceUpdate";
/// Where the shape of a set is described.
const SCHEMA: &str = "schema";
/// Longest address of a schema: ours.
const SCHEMA_CHARS: usize = 2048;

/// One set as it is stored.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Set {
    /// Its name with the case that was used last.
    name: String,
    properties: Map<String, Value>,
    system_data: SystemData,
    etag: String,
}

/// By lower-cased name.
type Sets = BTreeMap<String, Set>;

/// Answers a request on the sets of a device.
pub(super) async fn answer(cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
    if cx.is("GET", &["*"]) {
        query::check(cx.request, &[])?;
        let sets = sets(cx.stored)?;
        let value: Vec<Value> = sets.values().map(|set| set.view(cx)).collect();
        return Ok(Some(SubAnswer::Done(200, Some(json!({ "value": value })))));
    }
    let [_, name] = cx.tail else { return Ok(None) };
    match cx.method {
        "GET" => {
            query::check(cx.request, &[])?;
            let set = sets(cx.stored)?.remove(&name.to_lowercase()).ok_or_else(|| missing(cx, "attributes", name))?;
            Ok(Some(SubAnswer::Done(200, Some(set.view(cx)))))
        }
        "PUT" => put(cx, name).await.map(Some),
        "DELETE" => delete(cx, name).await.map(Some),
        _ => Ok(None),
    }
}

impl Set {
    fn view(&self, cx: &SubContext<'_>) -> Value {
        json!({
            "id": format!("{}/attributes/{}", cx.id, self.name),
            "name": self.name,
            "type": TYPE,
            "etag": self.etag,
            "properties": self.properties,
            "systemData": self.system_data.view(),
        })
    }
}

fn sets(stored: &Stored) -> Result<Sets> {
    match stored.resource.properties.get(MEMBER) {
        Some(value) => serde_json::from_value(value.clone())
            .map_err(|error| Error::internal(format!("the attributes of '{}': {error}", stored.id))),
        None => Ok(Sets::new()),
    }
}

/// What the sets of a device say, by their names.
pub(super) fn summary(stored: &Stored) -> Result<Value> {
    let sets = sets(stored)?.into_values();
    Ok(Value::Object(sets.map(|set| (set.name, Value::Object(set.properties))).collect()))
}

async fn put(cx: &SubContext<'_>, name: &str) -> Result<SubAnswer> {
    check_name(name)?;
    let properties = wanted(cx.body)?;
    let _turn = cx.platform.turn(&cx.stored.key()).await;
    let mut attempts = cx.platform.attempts();
    loop {
        attempts.begin(|| resources::contended(cx.id)).await?;
        let stored = again(cx).await?;
        let mut sets = sets(&stored)?;
        let was = sets.get(&name.to_lowercase());
        check_conditions(cx, was)?;
        if was.is_none() && sets.len() >= ATTRIBUTE_SETS {
            return Err(Error::conflict(format!(
                "The device '{}' has {ATTRIBUTE_SETS} sets of attributes, which is the most; delete one first.",
                cx.id.name()
            ))
            .with_code("QuotaExceeded"));
        }
        let (now, by, kind) = (rfc3339(cx.platform.now()), cx.actor.name().to_owned(), cx.actor.kind_name().to_owned());
        let mut system_data = was.map_or_else(
            || SystemData {
                created_by: by.clone(),
                created_by_type: kind.clone(),
                created_at: now.clone(),
                ..SystemData::default()
            },
            |was| was.system_data.clone(),
        );
        (system_data.last_modified_by, system_data.last_modified_by_type, system_data.last_modified_at) =
            (by, kind, now);
        let status = if was.is_none() { 201 } else { 200 };
        let etag = cx.platform.random.uuid_v4().to_string();
        let set = Set { name: name.to_owned(), properties: properties.clone(), system_data, etag };
        let shown = set.view(cx);
        sets.insert(name.to_lowercase(), set);
        if commit(cx, &stored, &sets, status).await? {
            return Ok(SubAnswer::Written(status, Some(shown)));
        }
    }
}

async fn delete(cx: &SubContext<'_>, name: &str) -> Result<SubAnswer> {
    let _turn = cx.platform.turn(&cx.stored.key()).await;
    let mut attempts = cx.platform.attempts();
    loop {
        attempts.begin(|| resources::contended(cx.id)).await?;
        let stored = again(cx).await?;
        let mut sets = sets(&stored)?;
        let was = sets.remove(&name.to_lowercase());
        check_conditions(cx, was.as_ref())?;
        if was.is_none() || commit(cx, &stored, &sets, 204).await? {
            return Ok(SubAnswer::Written(204, None));
        }
    }
}

async fn again(cx: &SubContext<'_>) -> Result<Stored> {
    resources::by_uid(cx.platform, cx.stored.uid).await?.ok_or_else(|| resources::missing(cx.id))
}

/// Writes the sets with the row of the activity log; `false` where the device's row has changed meanwhile.
async fn commit(cx: &SubContext<'_>, stored: &Stored, sets: &Sets, status: u16) -> Result<bool> {
    let mut resource = stored.resource.as_ref().clone();
    match sets.is_empty() {
        true => drop(resource.properties.shift_remove(MEMBER)),
        false => {
            let value = serde_json::to_value(sets).map_err(|error| Error::internal(format!("attributes: {error}")))?;
            resource.properties.insert(MEMBER.into(), value);
        }
    }
    let mut change = Change::new();
    cx.unlocked(&mut change).await?;
    resources::rewrite(stored, resource, &mut change)?;
    registry::hold_link_of(cx.platform, stored, &mut change).await?;
    change.unit.put(cx.told(status)?);
    cx.platform.try_commit(change).await
}

fn check_conditions(cx: &SubContext<'_>, was: Option<&Set>) -> Result<()> {
    let etag = was.map(|set| set.etag.as_str());
    let unmet = |header: &str| {
        Error::precondition(format!(
            "The condition of {header} is not met by the attributes as they are; read them again and repeat."
        ))
    };
    if let Some(text) = &cx.request.if_match
        && !EtagCondition::parse(text).allows_match(etag)
    {
        return Err(unmet("If-Match"));
    }
    if let Some(text) = &cx.request.if_none_match
        && !EtagCondition::parse(text).allows_none_match(etag)
    {
        return Err(unmet("If-None-Match"));
    }
    Ok(())
}

fn check_name(name: &str) -> Result<()> {
    if (3..=63).contains(&name.len()) && is_registry_name(name) {
        return Ok(());
    }
    let shown: String = name.chars().take(100).collect();
    Err(Error::invalid(format!(
        "The name '{shown}' is not valid for attributes: 3 to 63 characters, letters, digits and '-', starting with a letter or digit."
    ))
    .with_code("InvalidResourceName")
    .with_target("name"))
}

fn bad(at: &str, text: impl Into<String>) -> Error {
    Error::invalid(text).with_code("InvalidRequestContent").with_target(at)
}

/// The properties that a body wants; what of the rest a client puts back is not looked at.
fn wanted(body: Option<&Value>) -> Result<Map<String, Value>> {
    const SHOWN: [&str; 5] = ["id", "name", "type", "etag", "systemData"];
    let Some(Value::Object(body)) = body else {
        return Err(bad("", "The body of attributes is a JSON object with 'properties'."));
    };
    let unknown = body.keys().find(|name| *name != "properties" && !SHOWN.contains(&name.as_str()));
    if let Some(name) = unknown {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
        return Err(bad(&shown, format!("Attributes have no '{shown}'; what they say stands in 'properties'.")));
    }
    let Some(Value::Object(properties)) = body.get("properties") else {
        return Err(Error::invalid_property("properties", "'properties' is a JSON object."));
    };
    let path = format!("properties.{REPORTED_BY}");
    match properties.get(REPORTED_BY).and_then(Value::as_str) {
        Some(reporter) if reporter.eq_ignore_ascii_case(USER) => {}
        Some(reporter) if reporter.eq_ignore_ascii_case(DEVICE_UPDATE) => {
            return Err(Error::not_implemented(format!(
                "Attributes that are reported by {DEVICE_UPDATE} come from Device Update, which is not part of Ferrohub. Report them as '{USER}'."
            ))
            .with_target(path));
        }
        _ => return Err(Error::invalid_property(path, format!("Attributes need a '{REPORTED_BY}': {USER}."))),
    }
    let fits = |value: &Value| value.as_str().is_some_and(|text| text.chars().count() <= SCHEMA_CHARS);
    if properties.get(SCHEMA).filter(|schema| !schema.is_null()).is_some_and(|schema| !fits(schema)) {
        return Err(Error::invalid_property(
            format!("properties.{SCHEMA}"),
            format!("'{SCHEMA}' is an address of at most {SCHEMA_CHARS} characters."),
        ));
    }
    let mut kept = properties.clone();
    kept.retain(|_, value| !value.is_null());
    kept.insert(REPORTED_BY.into(), USER.into());
    if Value::Object(kept.clone()).to_string().len() > ATTRIBUTE_SET_BYTES {
        return Err(Error::invalid_property(
            "properties",
            format!("A set of attributes is at most {ATTRIBUTE_SET_BYTES} bytes of JSON."),
        ));
    }
    Ok(kept)
}
