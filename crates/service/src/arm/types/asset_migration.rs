//! `namespaces/{namespace}/migrate`: assets of resource groups become assets of the namespace, their endpoint profiles
//! devices of it (ADR 0038). Each asset moves whole or not at all, and has its own result.

use super::{asset_endpoint_profile, namespace_asset};
use crate::arm::activity::{self, Origin};
use crate::arm::body;
use crate::arm::context::SubContext;
use crate::arm::declaration::SubAnswer;
use crate::arm::schema::{Check, Property, acted};
use crate::locks::{Locks, Operation};
use crate::platform::Change;
use crate::registry;
use crate::resources::{self, Entry, RowExtra, Stored, Told, tag};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::resource::Resource;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_store::Put;
use serde_json::{Map, Value, json};

/// The action's name.
pub(super) const MIGRATE: &str = "migrate";

const IDS: &str = "resourceIds";
/// Most assets of one request: ours. Each is a unit of work.
const MOST: usize = 200;
const REQUEST: &[Property] =
    &[acted("scope", Check::OneOf(&["Resources"])), acted(IDS, Check::Each(&Check::Text(2048), MOST)).required()];

/// Answers 200 with a result for each asset.
pub(super) async fn answer(cx: &SubContext<'_>) -> Result<SubAnswer> {
    let sent = body::action(cx, REQUEST)?;
    let ids = sent.get(IDS).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if ids.is_empty() {
        return Err(Error::invalid_property(IDS, "'resourceIds' names the assets to move, one at least."));
    }
    let mut results = Vec::with_capacity(ids.len());
    for text in ids.iter().filter_map(Value::as_str) {
        results.push(match migrate(cx, text).await {
            Ok(()) => json!({"resourceId": text, "result": "Succeeded"}),
            Err(error) if matches!(error.kind, ErrorKind::Internal | ErrorKind::Unavailable) => return Err(error),
            Err(error) => {
                let error = json!({"code": error.code, "message": error.message, "details": []});
                json!({"resourceId": text, "result": "Failed", "error": error})
            }
        });
    }
    Ok(SubAnswer::Done(200, Some(json!({"migrateResults": results}))))
}

async fn migrate(cx: &SubContext<'_>, text: &str) -> Result<()> {
    let id = ResourceId::parse(text)?;
    if cx.platform.kinds.of(&id).is_none_or(|kind| kind.tag != tag::ASSET) {
        return Err(Error::invalid_property(
            IDS,
            format!("'{id}' is not the id of an asset in a resource group (Microsoft.DeviceRegistry/assets)."),
        ));
    }
    let mut attempts = cx.platform.attempts();
    loop {
        attempts
            .begin(|| Error::conflict(format!("'{id}' is being changed by others at the same time; try again.")))
            .await?;
        let mut change = Change::new();
        plan(cx, &id, &mut change).await?;
        if cx.platform.try_commit(change).await? {
            return Ok(());
        }
    }
}

/// Adds the move of one asset to `change`: as far as locks go, a delete here and a write there.
async fn plan(cx: &SubContext<'_>, id: &ResourceId, change: &mut Change) -> Result<()> {
    let platform = cx.platform;
    let may =
        |verb: &str, on: &ResourceId| platform.authorize(cx.actor, &format!("Microsoft.DeviceRegistry/{verb}"), on);
    may("assets/read", id)?;
    may("assets/delete", id)?;
    may("namespaces/assets/write", &cx.stored.id)?;
    let asset = resources::require(platform, id).await?;
    let locks = platform.locks().await?;
    locks.check(Operation::Delete, &asset.id)?;
    let namespace = resources::by_uid(platform, cx.stored.uid).await?.ok_or_else(|| resources::missing(cx.id))?;
    if namespace.is_going() {
        return Err(Error::conflict(format!("'{}' is being deleted; nothing can be moved into it.", namespace.id))
            .with_code("ParentResourceBeingDeleted"));
    }
    let kind = &namespace_asset::DECL.kind;
    let target = kind.child_of(&namespace.id, asset.name());
    if resources::get(platform, &target).await?.is_some() {
        return Err(Error::conflict(format!(
            "'{target}' exists already; an asset of that name cannot be moved there."
        ))
        .with_code("ResourceExists"));
    }
    let profile = profile_of(cx, &asset).await?;
    may("assetEndpointProfiles/read", &profile.id)?;
    locks.check(Operation::Write, &target)?;
    let device = profile.name().to_owned();
    add_device(cx, &namespace, &profile, &locks, change).await?;
    locks.expect(change);
    change.unit.put(row(cx, &asset.id, "assets/delete")?);
    let told = Told::Row(row(cx, &target, "namespaces/assets/write")?);
    let resource =
        Resource { properties: converted(&asset.resource.properties, &device), ..asset.resource.as_ref().clone() };
    resources::become_another(platform, cx.actor, (&asset, resource), (kind, namespace.uid), told, change)
}

/// The row of the activity log of one of the writes that the action makes.
fn row(cx: &SubContext<'_>, id: &ResourceId, what: &str) -> Result<Put> {
    let origin = Origin::service(cx.actor, cx.request.request_id, cx.request.correlation_id);
    activity::of_service(cx.platform, &origin, id, &format!("Microsoft.DeviceRegistry/{what}"))
}

/// The endpoint profile that an asset names: in its own group, by name or by id.
async fn profile_of(cx: &SubContext<'_>, asset: &Stored) -> Result<Stored> {
    let name = asset.resource.text(&["assetEndpointProfileRef"]).unwrap_or_default();
    let kind = &asset_endpoint_profile::DECL.kind;
    let id = match ResourceId::parse(name) {
        Ok(id) if name.starts_with('/') && cx.platform.kinds.of(&id) == Some(kind) => Some(id),
        _ => asset.id.parent().filter(|_| !name.contains('/')).map(|group| kind.child_of(&group, name)),
    };
    let found = match &id {
        Some(id) => resources::get(cx.platform, id).await?,
        None => None,
    };
    found.ok_or_else(|| {
        Error::not_found(format!(
            "The asset '{}' names the endpoint profile '{name}', which does not exist in its resource group; a device of the namespace cannot be made from it.",
            asset.name()
        ))
        .with_code("AssetEndpointProfileNotFound")
    })
}

/// Adds the device that stands for an endpoint profile, with one inbound endpoint of its name; one that has it stays.
async fn add_device(
    cx: &SubContext<'_>,
    namespace: &Stored,
    profile: &Stored,
    locks: &Locks,
    change: &mut Change,
) -> Result<()> {
    let (platform, name) = (cx.platform, profile.name());
    let id = registry::DEVICE.child_of(&namespace.id, name);
    let was = resources::get(platform, &id).await?;
    let there = was.as_ref().and_then(|was| was.resource.value(&["endpoints", "inbound", name]));
    if there.is_some() {
        return Ok(());
    }
    platform.authorize(cx.actor, registry::DEVICES_WRITE, &id)?;
    locks.check(Operation::Write, &id)?;
    if let Some(was) = &was {
        registry::hold_link_of(platform, was, change).await?;
    }
    let told = Told::Row(row(cx, &id, "namespaces/devices/write")?);
    let mut resource = match &was {
        Some(was) => was.resource.as_ref().clone(),
        None => Resource {
            name: name.to_owned(),
            location: namespace.resource.location.clone(),
            extended_location: profile.resource.extended_location.clone(),
            properties: [("enabled".to_owned(), true.into()), ("externalDeviceId".to_owned(), name.into())]
                .into_iter()
                .collect(),
            ..Resource::default()
        },
    };
    let endpoints = resource.properties.entry("endpoints").or_insert_with(|| json!({}));
    if !endpoints["inbound"].is_object() {
        endpoints["inbound"] = json!({});
    }
    endpoints["inbound"][name] = endpoint(&profile.resource.properties);
    let entry = Entry {
        uid: was.as_ref().map_or_else(|| platform.new_id(), |was| was.uid),
        kind: &registry::DEVICE,
        parent: namespace.uid,
        id,
        below_new: false,
        was: was.as_ref(),
        resource,
        extra: was.as_ref().map_or_else(RowExtra::default, |was| was.extra.clone()),
    };
    resources::put(platform, cx.actor, entry, told, change).map(drop)
}

/// The inbound endpoint that an endpoint profile describes.
fn endpoint(profile: &Map<String, Value>) -> Value {
    let mut made = Map::new();
    for (from, to) in [
        ("endpointProfileType", "endpointType"),
        ("targetAddress", "address"),
        ("authentication", "authentication"),
        ("additionalConfiguration", "additionalConfiguration"),
    ] {
        made.extend(profile.get(from).map(|value| (to.to_owned(), value.clone())));
    }
    Value::Object(made)
}

/// The properties of an asset of a namespace: topics are destinations there, and events lie in a group.
fn converted(asset: &Map<String, Value>, device: &str) -> Map<String, Value> {
    let mut made = asset.clone();
    for old in ["assetEndpointProfileRef", "defaultTopic", "datasets", "events", "status"] {
        made.shift_remove(old);
    }
    made.insert("deviceRef".into(), json!({"deviceName": device, "endpointName": device}));
    if let Some(destinations) = destinations(asset.get("defaultTopic")) {
        made.insert("defaultDatasetsDestinations".into(), destinations.clone());
        made.insert("defaultEventsDestinations".into(), destinations);
    }
    if let Some(Value::Array(datasets)) = asset.get("datasets") {
        made.insert("datasets".into(), datasets.iter().map(dataset).collect());
    }
    if let Some(Value::Array(events)) = asset.get("events").filter(|events| *events != &json!([])) {
        let events: Value = events.iter().map(event).collect();
        made.insert("eventGroups".into(), json!([{"name": "default", "events": events}]));
    }
    made
}

fn dataset(old: &Value) -> Value {
    let mut made = picked(old, &[("name", "name"), ("datasetConfiguration", "datasetConfiguration")]);
    made.extend(destinations(old.get("topic")).map(|found| ("destinations".to_owned(), found)));
    if let Some(Value::Array(points)) = old.get("dataPoints") {
        let members =
            [("name", "name"), ("dataSource", "dataSource"), ("dataPointConfiguration", "dataPointConfiguration")];
        made.insert("dataPoints".into(), points.iter().map(|point| Value::Object(picked(point, &members))).collect());
    }
    Value::Object(made)
}

fn event(old: &Value) -> Value {
    let members = [("name", "name"), ("eventNotifier", "dataSource"), ("eventConfiguration", "eventConfiguration")];
    let mut made = picked(old, &members);
    made.extend(destinations(old.get("topic")).map(|found| ("destinations".to_owned(), found)));
    Value::Object(made)
}

fn picked(old: &Value, members: &[(&str, &str)]) -> Map<String, Value> {
    let found = |(from, to): &(&str, &str)| old.get(from).map(|value| ((*to).to_owned(), value.clone()));
    members.iter().filter_map(found).collect()
}

/// A topic as the list of destinations that it is in a namespace.
fn destinations(topic: Option<&Value>) -> Option<Value> {
    let configuration = picked(topic?, &[("path", "topic"), ("retain", "retain")]);
    Some(json!([{"target": "Mqtt", "configuration": configuration}]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_become_destinations_and_events_a_group() {
        let asset = json!({
            "assetEndpointProfileRef": "aep1", "displayName": "Press", "version": 4, "defaultTopic": {"path": "t", "retain": "Keep"},
            "datasets": [{"name": "d", "topic": {"path": "d/t"}, "dataPoints": [{"name": "p", "dataSource": "s", "observabilityMode": "Gauge"}]}],
            "events": [{"name": "e", "eventNotifier": "n", "observabilityMode": "Log"}]
        });
        let mqtt = |configuration: Value| json!([{"target": "Mqtt", "configuration": configuration}]);
        assert_eq!(
            Value::Object(converted(asset.as_object().unwrap(), "aep1")),
            json!({
                "displayName": "Press", "version": 4, "deviceRef": {"deviceName": "aep1", "endpointName": "aep1"},
                "defaultDatasetsDestinations": mqtt(json!({"topic": "t", "retain": "Keep"})),
                "defaultEventsDestinations": mqtt(json!({"topic": "t", "retain": "Keep"})),
                "datasets": [{"name": "d", "destinations": mqtt(json!({"topic": "d/t"})), "dataPoints": [{"name": "p", "dataSource": "s"}]}],
                "eventGroups": [{"name": "default", "events": [{"name": "e", "dataSource": "n"}]}]
            })
        );
        let bare = json!({"assetEndpointProfileRef": "aep1", "events": []});
        assert_eq!(
            Value::Object(converted(bare.as_object().unwrap(), "a")),
            json!({"deviceRef": {"deviceName": "a", "endpointName": "a"}})
        );
    }
}
