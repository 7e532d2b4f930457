//! The parts that a plan runs over: what the caller may read of a snapshot, as rows of tables.

use super::packed::{self, Found, Names, Packed};
use super::partition::{Chunk, Slot};
use super::projection::Snapshot;
use super::schema::{self, COLUMNS};
use super::shown::{Shown, ShownRow};
use ferrohub_model::resource::SystemData;
use ferrohub_wire::kql::{Part, Plan, Source, Step, Value};
use serde_json::{Map, Value as Json, json};
use std::collections::HashSet;
use std::sync::Arc;
use uuid::Uuid;

/// A path of the plan, resolved in a snapshot.
pub(super) struct Path {
    column: usize,
    /// Whether it begins in a member that devices of a namespace do not show.
    hidden: bool,
    steps: Vec<Step>,
    found: Vec<Found>,
}

/// The paths of a plan.
pub(super) fn resolve(plan: &Plan, snapshot: &Snapshot) -> Vec<Path> {
    let names = &snapshot.names;
    let shows = |step: &Step| match step {
        Step::Member(name) => snapshot.declared.iter().chain(MADE).any(|declared| declared.eq_ignore_ascii_case(name)),
        Step::Element(_) => false,
    };
    let one = |path: &ferrohub_wire::kql::SourcePath| Path {
        hidden: path.column == schema::PROPERTIES && !path.steps.first().is_some_and(shows),
        column: path.column,
        steps: path.steps.clone(),
        found: path.steps.iter().map(|step| names.resolve(step)).collect(),
    };
    plan.paths.iter().map(one).collect()
}

/// The value at steps within JSON.
fn within<'j>(json: &'j Json, steps: &[Step]) -> Option<&'j Json> {
    steps.iter().try_fold(json, |at, step| match step {
        Step::Member(name) => {
            let map = at.as_object()?;
            map.get(name).or_else(|| Some(map.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?.1))
        }
        Step::Element(number) => {
            let items = at.as_array()?;
            let from_end = || items.len().checked_sub(usize::try_from(number.unsigned_abs()).ok()?);
            items.get(usize::try_from(*number).ok().or_else(from_end)?)
        }
    })
}

fn value_of(json: Option<&Json>) -> Value<'_> {
    match json {
        Some(Json::String(text)) => Value::text(text),
        Some(json) => Value::of_json(json),
        None => Value::Null,
    }
}

/// Resources that are shown whole.
pub(super) struct ShownPart<'s> {
    pub(super) rows: Vec<&'s Map<String, Json>>,
    pub(super) paths: &'s [Path],
}

impl Part for ShownPart<'_> {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn column(&self, row: usize, column: usize) -> Value<'_> {
        value_of(self.rows[row].get(COLUMNS[column].name))
    }

    fn path(&self, row: usize, path: usize) -> Value<'_> {
        let path = &self.paths[path];
        let json = self.rows[row].get(COLUMNS[path.column].name);
        value_of(json.and_then(|json| within(json, &path.steps)))
    }
}

/// What all devices of a namespace or hub have in common.
pub(super) struct Parent<'s> {
    /// The parent as it is shown.
    pub(super) shown: &'s ShownRow,
    /// What their ids begin with.
    pub(super) prefix: String,
    pub(super) prefix_lower: String,
    pub(super) group: String,
    pub(super) tenant: &'s str,
    pub(super) all: &'s Shown,
    pub(super) names: &'s Names,
    pub(super) declared: &'s [&'static str],
    pub(super) paths: &'s [Path],
}

impl<'s> Parent<'s> {
    pub(super) fn new(shown: &'s ShownRow, snapshot: &'s Snapshot, paths: &'s [Path], tenant: &'s str) -> Self {
        let prefix = format!("{}/devices/", shown.id);
        Self {
            prefix_lower: prefix.to_lowercase(),
            prefix,
            group: shown.id.resource_group.as_deref().unwrap_or_default().to_lowercase(),
            shown,
            tenant,
            all: &snapshot.shown,
            names: &snapshot.names,
            declared: &snapshot.declared,
            paths,
        }
    }

    fn subscription(&self) -> &str {
        self.shown.id.subscription.as_deref().unwrap_or_default()
    }

    fn packed<'a>(&'a self, bytes: &'a [u8]) -> Packed<'a> {
        Packed::new(bytes, self.names)
    }

    fn prefix_in(&self, ignore_case: bool) -> &str {
        if ignore_case { &self.prefix_lower } else { &self.prefix }
    }

    /// Whether the id of a device with this name is `wanted`.
    fn is_id(&self, name: &str, wanted: &str, ignore_case: bool) -> bool {
        let rest = wanted.strip_prefix(self.prefix_in(ignore_case));
        rest.is_some_and(|wanted| is_name(name, wanted, ignore_case))
    }

    /// Whether the ids of all devices begin with `wanted`, or of none.
    fn begins(&self, wanted: &str, ignore_case: bool) -> Option<bool> {
        let prefix = self.prefix_in(ignore_case);
        match prefix.starts_with(wanted) {
            true => Some(true),
            false if wanted.starts_with(prefix) => None,
            false => Some(false),
        }
    }
}

/// Whether a name is `wanted`, which is in lower case where case does not count.
fn is_name(name: &str, wanted: &str, ignore_case: bool) -> bool {
    match ignore_case {
        false => name == wanted,
        true if name.is_ascii() => name.eq_ignore_ascii_case(wanted),
        true => name.to_lowercase() == wanted,
    }
}

/// A chunk of devices, whole or only some of its rows.
pub(super) struct Devices<'s> {
    pub(super) parent: Arc<Parent<'s>>,
    pub(super) chunk: &'s Chunk,
    pub(super) only: Option<Vec<u32>>,
}

impl<'s> Devices<'s> {
    /// Only the devices with these names, in lower case.
    pub(super) fn named(parent: Arc<Parent<'s>>, chunk: &'s Chunk, names: &HashSet<String>) -> Self {
        let is_meant = |slot: &Slot| {
            let name = parent.packed(&slot.doc).member("name").and_then(Packed::text).unwrap_or_default();
            names.contains(&name.to_lowercase())
        };
        let only =
            chunk.iter().enumerate().filter(|(_, slot)| is_meant(slot)).filter_map(|(at, _)| u32::try_from(at).ok());
        let only = Some(only.collect());
        Self { parent, chunk, only }
    }

    fn slot(&self, row: usize) -> &'s Slot {
        match &self.only {
            Some(only) => &self.chunk[only[row] as usize],
            None => &self.chunk[row],
        }
    }

    fn count(&self) -> usize {
        self.only.as_ref().map_or(self.chunk.len(), Vec::len)
    }

    fn numbered(&self, row: usize, number: u32) -> Option<Packed<'_>> {
        self.parent.packed(&self.slot(row).doc).numbered(number)
    }

    fn member(&self, row: usize, name: &str) -> Option<Packed<'_>> {
        self.parent.packed(&self.slot(row).doc).member(name)
    }
}

/// Devices of a namespace: rows of `resources`.
pub(super) struct NamespaceDevices<'s>(pub(super) Devices<'s>);

/// First steps within the properties of a device that are put together and stand in no document.
const MADE: &[&str] = &["uuid", "lastTransitionTime", "provisioningState", "externalDeviceId", "endpoints", "policy"];

impl NamespaceDevices<'_> {
    fn name(&self, row: usize) -> &str {
        self.0.numbered(row, packed::NAME).and_then(Packed::text).unwrap_or_default()
    }

    fn system_data(&self, row: usize) -> SystemData {
        let texts = self.0.member(row, "systemData").map(Packed::json).unwrap_or_default();
        SystemData::from(serde_json::from_value::<Vec<String>>(texts).unwrap_or_default())
    }

    /// The hub on which the device has its identity, and that.
    fn identity(&self, row: usize) -> Option<(Uuid, Packed<'_>)> {
        let (hub, doc) = self.0.slot(row).beside.as_ref()?;
        Some((*hub, self.0.parent.packed(doc)))
    }

    fn external_id(&self, row: usize) -> Option<Packed<'_>> {
        let own = || self.0.member(row, "properties").and_then(|properties| properties.member("externalDeviceId"));
        self.identity(row).and_then(|(_, identity)| identity.member("deviceId")).or_else(own)
    }

    /// The properties, as a GET shows them.
    fn properties(&self, row: usize) -> Json {
        let mut properties = self.0.member(row, "properties").map_or_else(|| json!({}), Packed::json);
        if let Some(shown) = properties.as_object_mut() {
            shown.retain(|name, _| self.0.parent.declared.contains(&name.as_str()));
        }
        properties["uuid"] = self.0.slot(row).uid.to_string().into();
        properties["lastTransitionTime"] = self.system_data(row).last_modified_at.into();
        properties["provisioningState"] = "Succeeded".into();
        if let Some(id) = self.external_id(row) {
            properties["externalDeviceId"] = id.json();
        }
        let hub = self.identity(row).and_then(|(hub, _)| self.0.parent.all.get(hub));
        if let Some(hub) = hub {
            let address = hub.doc.get("properties").and_then(|properties| properties.get("hostName"));
            let assigned = json!({
                (hub.id.name()): {"endpointType": "Microsoft.Devices/IotHubs", "address": address}
            });
            for path in ["/endpoints", "/endpoints/outbound"] {
                if !properties.pointer(path).is_some_and(Json::is_object) {
                    let (above, name) = path.rsplit_once('/').unwrap_or_default();
                    if let Some(above) = properties.pointer_mut(above) {
                        above[name] = json!({});
                    }
                }
            }
            properties["endpoints"]["outbound"]["assigned"] = assigned;
        }
        let policy = self.0.member(row, "links").and_then(|links| links.member("policy")?.member("uid")?.text());
        let policy =
            policy.and_then(ferrohub_model::uid::parse_uid_key).and_then(|uid| self.0.parent.all.ids.get(&uid));
        if let Some(policy) = policy {
            properties["policy"] = json!({"resourceId": policy.to_string()});
        }
        properties
    }
}

impl Part for NamespaceDevices<'_> {
    fn rows(&self) -> usize {
        self.0.count()
    }

    fn constant(&self, column: usize) -> Option<Value<'_>> {
        match column {
            schema::TYPE => Some(Value::text(schema::DEVICE_TYPE)),
            schema::TENANT => Some(Value::text(self.0.parent.tenant)),
            schema::GROUP => Some(Value::text(&self.0.parent.group)),
            schema::SUBSCRIPTION => Some(Value::text(self.0.parent.subscription())),
            _ => None,
        }
    }

    fn column(&self, row: usize, column: usize) -> Value<'_> {
        match column {
            schema::ID => Value::made(format!("{}{}", self.0.parent.prefix, self.name(row))),
            schema::NAME => Value::text(self.name(row)),
            schema::LOCATION => self.0.member(row, "location").map_or(Value::Null, Packed::value),
            schema::TAGS => self.0.member(row, "tags").map_or(Value::Null, Packed::value),
            schema::PROPERTIES => Value::Dynamic(Arc::new(self.properties(row))),
            schema::SYSTEM_DATA => Value::Dynamic(Arc::new(self.system_data(row).view())),
            column => self.constant(column).unwrap_or(Value::Null),
        }
    }

    fn path(&self, row: usize, path: usize) -> Value<'_> {
        let path = &self.0.parent.paths[path];
        match (path.column, path.steps.first()) {
            (schema::TAGS, _) => {
                let tags = self.0.numbered(row, packed::TAGS).and_then(|tags| tags.at(&path.found));
                tags.map_or(Value::Null, Packed::value)
            }
            (schema::PROPERTIES, Some(Step::Member(first)))
                if MADE.iter().any(|made| made.eq_ignore_ascii_case(first)) =>
            {
                if path.steps.len() == 1 && first.eq_ignore_ascii_case("externalDeviceId") {
                    return self.external_id(row).map_or(Value::Null, Packed::value);
                }
                within(&self.properties(row), &path.steps).map_or(Value::Null, Value::of_json)
            }
            (schema::PROPERTIES, _) if path.hidden => Value::Null,
            (schema::PROPERTIES, _) => {
                let properties = self.0.numbered(row, packed::PROPERTIES);
                let properties = properties.and_then(|properties| properties.at(&path.found));
                properties.map_or(Value::Null, Packed::value)
            }
            (schema::SYSTEM_DATA, _) => {
                within(&self.system_data(row).view(), &path.steps).map_or(Value::Null, Value::of_json)
            }
            _ => Value::Null,
        }
    }

    fn is_text(&self, row: usize, column: usize, wanted: &str, ignore_case: bool) -> Option<bool> {
        match column {
            schema::ID => Some(self.0.parent.is_id(self.name(row), wanted, ignore_case)),
            schema::NAME => Some(is_name(self.name(row), wanted, ignore_case)),
            _ => None,
        }
    }

    fn begins(&self, column: usize, wanted: &str, ignore_case: bool) -> Option<bool> {
        if column == schema::ID { self.0.parent.begins(wanted, ignore_case) } else { None }
    }

    fn may_have(&self, column: usize, wanted: &str, ignore_case: bool) -> bool {
        column != schema::ID || wanted.starts_with(self.0.parent.prefix_in(ignore_case))
    }
}

/// Identities of a hub: rows of `iothubdevices`.
pub(super) struct HubDevices<'s> {
    pub(super) devices: Devices<'s>,
    /// Whether the caller may read twins.
    pub(super) twins: bool,
    pub(super) hub_id: String,
}

impl HubDevices<'_> {
    fn text(&self, row: usize, name: &str) -> Option<&str> {
        self.devices.member(row, name).and_then(Packed::text)
    }

    fn twin(&self, row: usize) -> Option<Packed<'_>> {
        let (_, doc) = self.devices.slot(row).beside.as_ref().filter(|_| self.twins)?;
        Some(self.devices.parent.packed(doc))
    }

    fn status(&self, row: usize) -> &str {
        self.text(row, "status").unwrap_or("enabled")
    }

    fn authentication(&self, row: usize) -> &str {
        self.devices.member(row, "authentication").and_then(|how| how.member("type")?.text()).unwrap_or("sas")
    }

    /// The identity by the names of IoT Hub's service API, and the twin's properties.
    fn properties(&self, row: usize) -> Json {
        let own = |name: &str| self.devices.member(row, name).map_or(Json::Null, Packed::json);
        let twin = |names: &[&str]| {
            let found = self.twin(row).and_then(|twin| names.iter().try_fold(twin, |at, name| at.member(name)));
            found.map_or(Json::Null, Packed::json)
        };
        let mut properties = json!({
            "deviceId": own("deviceId"),
            "generationId": own("generationId"),
            "etag": own("etag"),
            "status": self.status(row),
            "statusReason": own("statusReason"),
            "statusUpdatedTime": self.text(row, "statusUpdated").unwrap_or(ferrohub_model::time::NEVER),
            "authenticationType": self.authentication(row),
            "capabilities": {"iotEdge": own("iotEdge") == Json::Bool(true)},
            "createdTime": own("created"),
        });
        if self.twins {
            for part in ["desired", "reported"] {
                let shown = twin(&[part, "properties"]);
                properties[part] = if shown.is_null() { json!({}) } else { shown };
            }
            properties["version"] = twin(&["version"]);
            properties["modelId"] = twin(&["modelId"]);
        }
        properties
    }
}

impl Part for HubDevices<'_> {
    fn rows(&self) -> usize {
        self.devices.count()
    }

    fn constant(&self, column: usize) -> Option<Value<'_>> {
        let parent = &self.devices.parent;
        match column {
            schema::TYPE => Some(Value::text(schema::HUB_DEVICE_TYPE)),
            schema::TENANT => Some(Value::text(parent.tenant)),
            schema::HUB => Some(Value::text(parent.shown.id.name())),
            schema::HUB_ID => Some(Value::text(&self.hub_id)),
            schema::LOCATION => Some(value_of(parent.shown.doc.get("location"))),
            schema::GROUP => Some(Value::text(&parent.group)),
            schema::SUBSCRIPTION => Some(Value::text(parent.subscription())),
            _ => None,
        }
    }

    fn column(&self, row: usize, column: usize) -> Value<'_> {
        let name = || self.text(row, "deviceId").unwrap_or_default();
        match column {
            schema::ID => Value::made(format!("{}{}", self.devices.parent.prefix, name())),
            schema::NAME => Value::text(name()),
            schema::STATUS => Value::text(self.status(row)),
            schema::AUTHENTICATION => Value::text(self.authentication(row)),
            schema::PROPERTIES => Value::Dynamic(Arc::new(self.properties(row))),
            schema::TAGS => match self.twin(row) {
                Some(twin) => twin.member("tags").map_or_else(|| Value::of_json(&json!({})), Packed::value),
                None => Value::Null,
            },
            column => self.constant(column).unwrap_or(Value::Null),
        }
    }

    fn path(&self, row: usize, path: usize) -> Value<'_> {
        let path = &self.devices.parent.paths[path];
        match (path.column, path.steps.as_slice()) {
            (schema::TAGS, _) => {
                let tags = self.twin(row).and_then(|twin| twin.member("tags")?.at(&path.found));
                tags.map_or(Value::Null, Packed::value)
            }
            (schema::PROPERTIES, [Step::Member(first), rest @ ..])
                if !rest.is_empty() && matches!(first.as_str(), "desired" | "reported") =>
            {
                let part = self.twin(row).and_then(|twin| twin.member(first)?.member("properties"));
                part.and_then(|part| part.at(&path.found[1..])).map_or(Value::Null, Packed::value)
            }
            (schema::PROPERTIES, [Step::Member(first)]) if first == "deviceId" || first == "generationId" => {
                self.devices.member(row, first).map_or(Value::Null, Packed::value)
            }
            (schema::PROPERTIES, [Step::Member(first)]) if first == "status" => Value::text(self.status(row)),
            (schema::PROPERTIES, steps) => within(&self.properties(row), steps).map_or(Value::Null, Value::of_json),
            _ => Value::Null,
        }
    }

    fn is_text(&self, row: usize, column: usize, wanted: &str, ignore_case: bool) -> Option<bool> {
        let name = self.devices.numbered(row, packed::DEVICE_ID).and_then(Packed::text).unwrap_or_default();
        match column {
            schema::ID => Some(self.devices.parent.is_id(name, wanted, ignore_case)),
            schema::NAME => Some(is_name(name, wanted, ignore_case)),
            _ => None,
        }
    }

    fn begins(&self, column: usize, wanted: &str, ignore_case: bool) -> Option<bool> {
        if column == schema::ID { self.devices.parent.begins(wanted, ignore_case) } else { None }
    }

    fn may_have(&self, column: usize, wanted: &str, ignore_case: bool) -> bool {
        column != schema::ID || wanted.starts_with(self.devices.parent.prefix_in(ignore_case))
    }
}

/// The parts of every table.
pub(super) struct Parts<'s> {
    pub(super) tables: Vec<Vec<Box<dyn Part + 's>>>,
}

impl Source for Parts<'_> {
    fn parts(&self, table: usize) -> Vec<&dyn Part> {
        self.tables.get(table).into_iter().flatten().map(AsRef::as_ref).collect()
    }
}
