//! Device twins: tags, desired and reported properties, merge patch with metadata, and their rules.
//!
//! The rules are IoT Hub's ("Understand and use device twins"): sizes, depth, keys and values stand in
//! [`crate::limits`]. A change is applied whole or not at all.

use crate::device::{ConnectionView, DeviceIdentity, Scopes, argument_invalid};
use crate::error::Result;
use crate::limits::{
    TWIN_DEPTH, TWIN_INTEGER, TWIN_KEY_BYTES, TWIN_PROPERTIES_BYTES, TWIN_STRING_BYTES, TWIN_TAGS_BYTES,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Desired or reported properties with what IoT Hub records about them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// The properties, without `$metadata` and `$version`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub properties: Map<String, Value>,
    /// The `$metadata` object: the same tree, with `$lastUpdated` (and `$lastUpdatedVersion` for desired) at each level.
    pub metadata: Map<String, Value>,
    /// The `$version`; starts at 1.
    pub version: u64,
}

/// A device twin; its row's key is the device's uid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Twin {
    /// Tags, seen by services only.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub tags: Map<String, Value>,
    /// What services want.
    pub desired: Section,
    /// What the device says.
    pub reported: Section,
    /// Grows with every change.
    pub version: u64,
    /// Grows with every change of tags or desired properties; see [`Twin::etag`].
    pub revision: u64,
    /// Whether the device ever had a lasting session ([`crate::device_session`]), so that one which never had is let in
    /// without a look for it. Shown to nobody.
    #[serde(default, skip_serializing_if = "is_off")]
    pub had_lasting_session: bool,
    /// The model that the device last announced when it connected, a DTMI; empty where it never did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model_id: String,
}

/// A change of desired properties, as a device is told about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DesiredChange {
    /// The new `$version`.
    pub version: u64,
    /// The patch, with `$version`.
    pub patch: Value,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_off(flag: &bool) -> bool {
    !flag
}

impl Section {
    fn new(now: &str, records_version: bool) -> Self {
        let mut section = Self { properties: Map::new(), metadata: Map::new(), version: 1 };
        Stamp { now, version: records_version.then_some(1) }.write(&mut section.metadata);
        section
    }

    fn with_version(&self) -> Map<String, Value> {
        let mut shown = self.properties.clone();
        shown.insert("$version".into(), json!(self.version));
        shown
    }

    fn with_metadata(&self) -> Map<String, Value> {
        let mut shown = self.properties.clone();
        shown.insert("$metadata".into(), Value::Object(self.metadata.clone()));
        shown.insert("$version".into(), json!(self.version));
        shown
    }
}

impl Twin {
    /// An empty twin, made at `now` (RFC 3339).
    pub fn new(now: &str) -> Self {
        Self {
            tags: Map::new(),
            desired: Section::new(now, true),
            reported: Section::new(now, false),
            version: 2,
            revision: 1,
            had_lasting_session: false,
            model_id: String::new(),
        }
    }

    /// A twin that starts with tags and desired properties, as an enrollment's `initialTwin` gives them.
    ///
    /// # Errors
    /// `ArgumentInvalid` (400004) naming the path and the limit.
    pub fn initial(tags: Option<&Value>, desired: Option<&Value>, now: &str) -> Result<Self> {
        let mut twin = Self::new(now);
        if let Some(tags) = tags.filter(|tags| !tags.is_null()) {
            twin.tags = replaced("tags", tags, TWIN_TAGS_BYTES)?;
        }
        if let Some(desired) = desired.filter(|desired| !desired.is_null()) {
            twin.desired.properties = replaced(DESIRED, desired, TWIN_PROPERTIES_BYTES)?;
            twin.desired.metadata = Stamp { now, version: Some(1) }.tree(&twin.desired.properties);
        }
        Ok(twin)
    }

    /// The entity tag without quotes: base64 of the revision as 8 bytes, such as `AAAAAAAAAAE=`.
    /// Reports of the device do not change it.
    pub fn etag(&self) -> String {
        STANDARD.encode(self.revision.to_be_bytes())
    }

    /// Applies the body of `PATCH /twins/{id}`: merge patches of `tags` and `properties.desired`; null deletes.
    /// Other members are ignored. Gives the change of desired properties, if the body has any.
    ///
    /// # Errors
    /// `ArgumentInvalid` (400004) naming the path and the limit; the twin is then as it was.
    pub fn patch(&mut self, body: &Value, now: &str) -> Result<Option<DesiredChange>> {
        let (tags, desired) = members(body)?;
        let tags = tags.map(|patch| merged("tags", &self.tags, patch, TWIN_TAGS_BYTES)).transpose()?;
        let Some(patch) = desired else {
            self.commit_tags(tags);
            return Ok(None);
        };
        let version = self.desired.version.saturating_add(1);
        let (section, patch) = patched(DESIRED, &self.desired, patch, Stamp { now, version: Some(version) })?;
        self.commit_tags(tags);
        Ok(Some(self.commit_desired(section, patch)))
    }

    /// Applies the body of `PUT /twins/{id}`: `tags` and `properties.desired` are replaced whole where given.
    /// The change tells a device the difference, so that its copy is right after a merge.
    ///
    /// # Errors
    /// `ArgumentInvalid` (400004) naming the path and the limit; the twin is then as it was.
    pub fn replace(&mut self, body: &Value, now: &str) -> Result<Option<DesiredChange>> {
        let (tags, desired) = members(body)?;
        let tags = tags.map(|tags| replaced("tags", tags, TWIN_TAGS_BYTES)).transpose()?;
        let Some(desired) = desired else {
            self.commit_tags(tags);
            return Ok(None);
        };
        let properties = replaced(DESIRED, desired, TWIN_PROPERTIES_BYTES)?;
        let patch = difference(&self.desired.properties, &properties);
        let version = self.desired.version.saturating_add(1);
        let metadata = Stamp { now, version: Some(version) }.tree(&properties);
        self.commit_tags(tags);
        Ok(Some(self.commit_desired(Section { properties, metadata, version }, patch)))
    }

    /// Applies a device's merge patch of its reported properties and gives the new `$version`.
    ///
    /// # Errors
    /// `ArgumentInvalid` (400004) naming the path and the limit; the twin is then as it was.
    pub fn patch_reported(&mut self, patch: &Value, now: &str) -> Result<u64> {
        let (section, _) = patched(REPORTED, &self.reported, patch, Stamp { now, version: None })?;
        self.reported = section;
        self.version = self.version.saturating_add(1);
        Ok(self.reported.version)
    }

    /// What the device gets: desired and reported properties with their `$version`, no metadata, no tags.
    pub fn device_view(&self) -> Value {
        json!({"desired": self.desired.with_version(), "reported": self.reported.with_version()})
    }

    /// All desired properties with `$version`, in the shape of a patch.
    pub fn desired_view(&self) -> Value {
        Value::Object(self.desired.with_version())
    }

    /// The `Twin` document of IoT Hub's service API.
    pub fn service_view(&self, device: &DeviceIdentity, connection: &ConnectionView, scopes: &Scopes) -> Value {
        let mut view = json!({
            "deviceId": device.device_id,
            "moduleId": device.module_id,
            "etag": self.etag(),
            "deviceEtag": device.etag,
            "status": device.status.as_str(),
            "statusReason": device.status_reason,
            "statusUpdateTime": device.status_updated,
            "connectionState": connection.state(),
            "lastActivityTime": connection.last_activity.as_deref().unwrap_or(crate::time::NEVER),
            "cloudToDeviceMessageCount": 0,
            "authenticationType": device.authentication.kind.as_str(),
            "x509Thumbprint": device.thumbprints(),
            "modelId": self.model_id,
            "version": self.version,
            "tags": self.tags,
            "properties": {"desired": self.desired.with_metadata(), "reported": self.reported.with_metadata()},
            "capabilities": {"iotEdge": device.iot_edge},
        });
        if let Some(view) = view.as_object_mut() {
            for (member, has) in
                [("statusReason", device.status_reason.is_some()), ("moduleId", device.module_id.is_some())]
            {
                if !has {
                    view.shift_remove(member);
                }
            }
        }
        scopes.show(&mut view);
        view
    }

    /// Notes the model that the device announced. The etag stays: services did not change anything.
    pub fn announce_model(&mut self, model_id: &str) {
        model_id.clone_into(&mut self.model_id);
        self.version = self.version.saturating_add(1);
    }

    fn commit_tags(&mut self, tags: Option<Map<String, Value>>) {
        if let Some(tags) = tags {
            self.tags = tags;
            self.bump();
        }
    }

    fn commit_desired(&mut self, section: Section, mut patch: Map<String, Value>) -> DesiredChange {
        let version = section.version;
        self.desired = section;
        self.bump();
        patch.insert("$version".into(), json!(version));
        DesiredChange { version, patch: Value::Object(patch) }
    }

    fn bump(&mut self) {
        self.version = self.version.saturating_add(1);
        self.revision = self.revision.saturating_add(1);
    }
}

const DESIRED: &str = "properties.desired";
const REPORTED: &str = "properties.reported";

/// The time and, for desired properties, the version that a change leaves in the metadata.
#[derive(Clone, Copy)]
struct Stamp<'a> {
    now: &'a str,
    version: Option<u64>,
}

impl Stamp<'_> {
    fn write(self, metadata: &mut Map<String, Value>) {
        metadata.insert("$lastUpdated".into(), json!(self.now));
        if let Some(version) = self.version {
            metadata.insert("$lastUpdatedVersion".into(), json!(version));
        }
    }

    /// Metadata of properties that are all new.
    fn tree(self, properties: &Map<String, Value>) -> Map<String, Value> {
        let mut metadata = Map::new();
        self.write(&mut metadata);
        for (key, value) in properties {
            let empty = Map::new();
            let below = value.as_object().unwrap_or(&empty);
            metadata.insert(key.clone(), Value::Object(self.tree(below)));
        }
        metadata
    }
}

type Members<'a> = (Option<&'a Value>, Option<&'a Value>);

/// `tags` and `properties.desired` of a body.
fn members(body: &Value) -> Result<Members<'_>> {
    let body = body.as_object().ok_or_else(|| argument_invalid("The body of a twin is a JSON object."))?;
    let desired = match body.get("properties") {
        None | Some(Value::Null) => None,
        Some(Value::Object(properties)) => properties.get("desired"),
        Some(_) => return Err(argument_invalid("The member 'properties' of a twin is a JSON object.")),
    };
    Ok((body.get("tags"), desired))
}

/// The section after a merge patch, and the patch without what clients send back by habit.
fn patched(path: &str, section: &Section, patch: &Value, stamp: Stamp<'_>) -> Result<(Section, Map<String, Value>)> {
    let patch = checked(path, patch, &section.properties)?;
    let mut next = section.clone();
    next.version = section.version.saturating_add(1);
    merge(&mut next.properties, Some((&mut next.metadata, stamp)), &patch);
    check_size(path, &next.properties, TWIN_PROPERTIES_BYTES)?;
    Ok((next, patch))
}

fn merged(path: &str, target: &Map<String, Value>, patch: &Value, most_bytes: usize) -> Result<Map<String, Value>> {
    let patch = checked(path, patch, target)?;
    let mut next = target.clone();
    merge(&mut next, None, &patch);
    check_size(path, &next, most_bytes)?;
    Ok(next)
}

/// A whole section, in which null has nothing to remove.
fn replaced(path: &str, value: &Value, most_bytes: usize) -> Result<Map<String, Value>> {
    if let Value::Object(object) = value {
        object
            .iter()
            .filter(|(key, _)| !matches!(key.as_str(), "$metadata" | "$version"))
            .try_for_each(|(key, value)| refuse_nulls(&format!("{path}.{key}"), value))?;
    }
    merged(path, &Map::new(), value, most_bytes)
}

fn refuse_nulls(path: &str, value: &Value) -> Result<()> {
    match value {
        Value::Null => Err(argument_invalid(format!(
            "The value at '{path}' is null, which removes a property in a patch only; leave the property out."
        ))),
        Value::Object(object) => {
            object.iter().try_for_each(|(key, value)| refuse_nulls(&format!("{path}.{key}"), value))
        }
        // Items are looked at in every case.
        _ => Ok(()),
    }
}

/// The patch as an object without `$metadata` and `$version`, its keys and values checked. Null removes all there is.
fn checked(path: &str, patch: &Value, present: &Map<String, Value>) -> Result<Map<String, Value>> {
    let mut patch = match patch {
        Value::Object(patch) => patch.clone(),
        Value::Null => present.keys().map(|key| (key.clone(), Value::Null)).collect(),
        _ => return Err(argument_invalid(format!("'{path}' is a JSON object."))),
    };
    patch.shift_remove("$metadata");
    patch.shift_remove("$version");
    check_object(path, &patch, 1)?;
    Ok(patch)
}

/// RFC 7396: an object merges, null removes, anything else replaces. Every touched level is stamped.
fn merge(
    target: &mut Map<String, Value>,
    mut stamped: Option<(&mut Map<String, Value>, Stamp<'_>)>,
    patch: &Map<String, Value>,
) {
    if let Some((metadata, stamp)) = &mut stamped {
        stamp.write(metadata);
    }
    for (key, value) in patch {
        let below = stamped.as_mut().map(|(metadata, stamp)| (&mut **metadata, *stamp));
        match value {
            Value::Null => {
                target.shift_remove(key);
                if let Some((metadata, _)) = below {
                    metadata.shift_remove(key);
                }
            }
            Value::Object(patch) => merge_child(target, below, key, patch),
            plain => {
                target.insert(key.clone(), plain.clone());
                if let Some((metadata, stamp)) = below {
                    metadata.insert(key.clone(), Value::Object(stamp.tree(&Map::new())));
                }
            }
        }
    }
}

fn merge_child(
    target: &mut Map<String, Value>,
    stamped: Option<(&mut Map<String, Value>, Stamp<'_>)>,
    key: &str,
    patch: &Map<String, Value>,
) {
    let fresh = !target.get(key).is_some_and(Value::is_object);
    if fresh {
        target.insert(key.to_owned(), Value::Object(Map::new()));
    }
    let Some(Value::Object(child)) = target.get_mut(key) else {
        return;
    };
    let Some((metadata, stamp)) = stamped else {
        return merge(child, None, patch);
    };
    // What stood under a plain value says nothing about the object that replaces it.
    if fresh || !metadata.get(key).is_some_and(Value::is_object) {
        metadata.insert(key.to_owned(), Value::Object(Map::new()));
    }
    if let Some(Value::Object(below)) = metadata.get_mut(key) {
        merge(child, Some((below, stamp)), patch);
    }
}

/// The merge patch that turns `old` into `new`.
fn difference(old: &Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    let mut patch = Map::new();
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in new {
        match (old.get(key), value) {
            (Some(was), now) if was == now => {}
            (Some(Value::Object(was)), Value::Object(now)) => {
                patch.insert(key.clone(), Value::Object(difference(was, now)));
            }
            _ => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    patch
}

fn check_object(path: &str, object: &Map<String, Value>, depth: usize) -> Result<()> {
    if depth > TWIN_DEPTH && !object.is_empty() {
        return Err(argument_invalid(format!("'{path}' is nested deeper than {TWIN_DEPTH} levels; flatten it.")));
    }
    for (key, value) in object {
        check_name(path, key)?;
        check_value(&format!("{path}.{key}"), value, depth)?;
    }
    Ok(())
}

fn check_name(path: &str, key: &str) -> Result<()> {
    if key.is_empty() || key.len() > TWIN_KEY_BYTES {
        return Err(argument_invalid(format!(
            "A key in '{path}' has {} bytes; keys have 1 to {TWIN_KEY_BYTES}.",
            key.len()
        )));
    }
    if key.chars().any(|c| c.is_control() || matches!(c, '.' | '$' | '#' | ' ')) {
        let shown: String = key.chars().filter(|c| !c.is_control()).take(64).collect();
        return Err(argument_invalid(format!(
            "The key '{shown}' in '{path}' has a '.', '$', '#', space or control character; rename it."
        )));
    }
    Ok(())
}

fn check_value(path: &str, value: &Value, depth: usize) -> Result<()> {
    match value {
        Value::Object(object) => check_object(path, object, depth + 1),
        Value::Array(items) if depth >= TWIN_DEPTH && !items.is_empty() => {
            Err(argument_invalid(format!("'{path}' is nested deeper than {TWIN_DEPTH} levels; flatten it.")))
        }
        Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
            let path = format!("{path}[{index}]");
            if item.is_null() {
                return Err(argument_invalid(format!("The item '{path}' is null; arrays hold values only.")));
            }
            check_value(&path, item, depth + 1)
        }),
        Value::String(text) if text.len() > TWIN_STRING_BYTES => Err(argument_invalid(format!(
            "The text at '{path}' has {} bytes; at most {TWIN_STRING_BYTES} are allowed.",
            text.len()
        ))),
        Value::Number(number) if !integer_fits(number) => Err(argument_invalid(format!(
            "The integer at '{path}' is outside -{TWIN_INTEGER} to {}.",
            TWIN_INTEGER - 1
        ))),
        _ => Ok(()),
    }
}

/// The first whole number that 64 bits with a sign do not hold.
const I64_END: f64 = 9_223_372_036_854_775_808.0;
/// From here on JavaScript, and with it JSON out of it, writes numbers with an exponent, and they are floats (ECMA-262, 6.1.6.1.20).
const LONGEST_DIGITS: f64 = 1e21;

fn integer_fits(number: &serde_json::Number) -> bool {
    match (number.as_i64(), number.as_u64()) {
        (Some(value), _) => (-TWIN_INTEGER..TWIN_INTEGER).contains(&value),
        (None, Some(_)) => false,
        // An integer that is too long for 64 bits arrives as a float. Above this, most clients write exponents themselves.
        (None, None) => number
            .as_f64()
            .is_none_or(|value| value.fract() != 0.0 || !(I64_END..LONGEST_DIGITS).contains(&value.abs())),
    }
}

fn check_size(path: &str, properties: &Map<String, Value>, most: usize) -> Result<()> {
    let bytes = serde_json::to_vec(properties).map_or(usize::MAX, |text| text.len());
    if bytes > most {
        return Err(argument_invalid(format!(
            "'{path}' would have {bytes} bytes of JSON; at most {most} are allowed. Remove properties."
        )));
    }
    Ok(())
}

#[cfg(test)]
#[path = "twin_tests.rs"]
mod tests;
