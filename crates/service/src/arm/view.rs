//! Views: the shape of a stored resource in one api-version, and the way back.
//!
//! A write never drops what its view cannot express: hidden and read-only members keep their stored values.

use super::schema::{self, Meaning, Property};
use ferrohub_model::api_version::ApiVersion;
use ferrohub_model::resource::Resource;
use serde_json::{Map, Value};

/// One shape of a type, from a first to a last api-version of its family.
pub struct View {
    /// First api-version of the shape.
    pub first: &'static str,
    /// Last api-version of the shape; `None` while newer ones keep it.
    pub last: Option<&'static str>,
    /// Dotted paths from the resource's root that this shape does not know, such as `properties.deviceRegistry`; `*` stands
    /// for any entry of a list or map. What is hidden in a list belongs to no entry for good, so only the server writes it.
    pub hidden: &'static [&'static str],
    /// From the newest shape, less what is hidden, to this one.
    pub to: fn(&mut Value),
    /// From this shape back to the newest one.
    pub from: fn(&mut Value),
}

impl View {
    /// A shape that only knows less than the newest one.
    pub const fn hiding(first: &'static str, last: Option<&'static str>, hidden: &'static [&'static str]) -> Self {
        Self { first, last, hidden, to: unchanged, from: unchanged }
    }

    /// Whether an api-version has this shape.
    pub(super) fn covers(&self, version: &ApiVersion) -> bool {
        version.cmp_declared(self.first).is_ge() && self.last.is_none_or(|last| version.cmp_declared(last).is_le())
    }
}

fn unchanged(_: &mut Value) {}

/// Takes away what the view does not know.
pub(super) fn hide(view: &View, doc: &mut Value) {
    if !shows(view, USER_IDENTITIES) {
        system_identity_only(doc);
    }
    for path in view.hidden {
        remove(doc, path);
    }
}

/// The user-assigned identities of a resource. A shape that does not know them knows system-assigned ones only.
pub(super) const USER_IDENTITIES: &str = "identity.userAssignedIdentities";

fn system_identity_only(doc: &mut Value) {
    let Some(kind) = doc.pointer_mut("/identity/type") else { return };
    let system = kind.as_str().is_some_and(|kind| kind.to_ascii_lowercase().contains("systemassigned"));
    *kind = if system { "SystemAssigned" } else { "None" }.into();
}

/// Whether the view shows the root member or property path.
pub(super) fn shows(view: &View, path: &str) -> bool {
    !view
        .hidden
        .iter()
        .any(|hidden| *hidden == path || path.strip_prefix(hidden).is_some_and(|rest| rest.starts_with('.')))
}

/// The properties to store for a PUT of `sent` (in the newest shape) through `view`: those of the body that a client may write, with the
/// stored values of everything that the view hides, that only the server writes, or that cannot change and was left out.
pub(super) fn merge_properties(
    known: &'static [Property],
    view: &View,
    sent: &Map<String, Value>,
    existing: Option<&Resource>,
) -> Map<String, Value> {
    let mut merged = sent.clone();
    schema::strip_members(known, &mut merged);
    let Some(existing) = existing else { return without_hidden(view, merged) };
    let written = |name: &str| known.iter().any(|p| p.name == name && p.meaning != Meaning::ReadOnly);
    // What the type does not know, another generation that shows the same row may: it stays.
    let kept = existing.properties.iter().filter(|(name, _)| !written(name));
    merged.extend(kept.map(|(name, value)| (name.clone(), value.clone())));
    let mut merged = Value::Object(without_hidden(view, merged));
    for steps in schema::paths(known, |p| p.meaning == Meaning::ReadOnly || p.create_only) {
        let above = &steps[..steps.len() - 1];
        let left_out = get(&merged, &steps).is_none_or(Value::is_null);
        if left_out
            && get(&merged, above).is_some_and(Value::is_object)
            && let Some(value) = member(&existing.properties, &steps)
        {
            set(&mut merged, &steps, value.clone());
        }
    }
    let mut hidden = hidden_properties(view).peekable();
    if hidden.peek().is_some() {
        let stored = Value::Object(existing.properties.clone());
        hidden.for_each(|path| keep(&mut merged, &stored, &path.split('.').collect::<Vec<_>>()));
    }
    match merged {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Paths of hidden properties, below `properties`.
fn hidden_properties(view: &View) -> impl Iterator<Item = &'static str> {
    view.hidden.iter().filter_map(|path| path.strip_prefix("properties."))
}

fn without_hidden(view: &View, properties: Map<String, Value>) -> Map<String, Value> {
    let mut doc = Value::Object(properties);
    for path in hidden_properties(view) {
        remove(&mut doc, path);
    }
    match doc {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The value at a path of object members.
pub(super) fn get<'a>(doc: &'a Value, steps: &[&str]) -> Option<&'a Value> {
    steps.iter().try_fold(doc, |at, step| at.get(*step))
}

/// The same below the members of an object.
pub(super) fn member<'a>(members: &'a Map<String, Value>, steps: &[&str]) -> Option<&'a Value> {
    let (first, below) = steps.split_first()?;
    get(members.get(*first)?, below)
}

/// Whether a document says something at a path, in any entry where that has a `*`.
pub(super) fn says(doc: &Value, steps: &[&str]) -> bool {
    match (steps, doc) {
        ([], _) => !doc.is_null(),
        (["*", rest @ ..], Value::Array(list)) => list.iter().any(|entry| says(entry, rest)),
        (["*", rest @ ..], Value::Object(map)) => map.values().any(|entry| says(entry, rest)),
        ([step, rest @ ..], _) => doc.get(*step).is_some_and(|below| says(below, rest)),
    }
}

/// Removes what is at a dotted path, if it is there; in every entry, where the path has a `*`. Every answer in an older shape
/// asks this of many paths, most of which lead nowhere.
pub(super) fn remove(doc: &mut Value, path: &str) {
    match (path.split_once('.'), doc) {
        (Some(("*", rest)), Value::Array(list)) => list.iter_mut().for_each(|entry| remove(entry, rest)),
        (Some(("*", rest)), Value::Object(map)) => map.values_mut().for_each(|entry| remove(entry, rest)),
        (None, Value::Object(map)) => drop(map.shift_remove(path)),
        (Some((step, rest)), Value::Object(map)) => {
            if let Some(below) = map.get_mut(step) {
                remove(below, rest);
            }
        }
        _ => {}
    }
}

/// Takes over what is stored at a path; below a `*`, into the entries of a map that are there under the same name.
fn keep(doc: &mut Value, stored: &Value, steps: &[&str]) {
    let Some(at) = steps.iter().position(|step| *step == "*") else {
        if let Some(value) = get(stored, steps) {
            set(doc, steps, value.clone());
        }
        return;
    };
    let (above, below) = (&steps[..at], &steps[at + 1..]);
    let found = above.iter().try_fold(doc, |at, step| at.get_mut(*step)).and_then(Value::as_object_mut);
    let (Some(map), Some(Value::Object(stored))) = (found, get(stored, above)) else { return };
    for (name, entry) in map {
        if let Some(was) = stored.get(name) {
            keep(entry, was, below);
        }
    }
}

/// Sets the member at a path, making objects on the way.
pub(super) fn set(doc: &mut Value, steps: &[&str], value: Value) {
    let Some((first, rest)) = steps.split_first() else {
        *doc = value;
        return;
    };
    if !doc.is_object() {
        *doc = Value::Object(Map::new());
    }
    if let Some(map) = doc.as_object_mut() {
        set(map.entry((*first).to_string()).or_insert(Value::Null), rest, value);
    }
}

/// RFC 7396 merge patch: `null` removes, objects merge, everything else replaces.
pub(super) fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(map) = target.as_object_mut() else { return };
    for (name, value) in members {
        if value.is_null() {
            map.shift_remove(name);
        } else {
            merge_patch(map.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_and_patches() {
        let mut doc = json!({"a": {"b": 1, "c": 2}});
        set(&mut doc, &["a", "d", "e"], json!(3));
        remove(&mut doc, "a.b");
        remove(&mut doc, "x.y");
        let mut any = json!({"e": {"a": {"x": 1, "y": 2}, "b": {"x": 3}, "c": 4}});
        assert!(says(&any, &["e", "*", "y"]) && !says(&any, &["e", "*", "z"]) && !says(&any, &["*", "x"]));
        remove(&mut any, "e.*.x");
        assert_eq!(any, json!({"e": {"a": {"y": 2}, "b": {}, "c": 4}}));
        assert_eq!(doc, json!({"a": {"c": 2, "d": {"e": 3}}}));
        merge_patch(&mut doc, &json!({"a": {"c": null, "f": [1]}, "g": {"h": null}}));
        assert_eq!(doc, json!({"a": {"d": {"e": 3}, "f": [1]}, "g": {}}));
    }

    #[test]
    fn what_is_hidden_in_entries_is_taken_away_and_kept() {
        let stored = json!({"a": {"x": {"b": 1, "c": 2}, "y": {"c": 3}}, "l": [{"c": 4, "d": 5}]});
        let mut doc = stored.clone();
        remove(&mut doc, "a.*.c");
        remove(&mut doc, "l.*.c");
        assert_eq!(doc, json!({"a": {"x": {"b": 1}, "y": {}}, "l": [{"d": 5}]}));
        assert!(says(&stored, &["l", "*", "c"]) && !says(&doc, &["l", "*", "c"]) && !says(&doc, &["a", "*", "c"]));
        let mut sent = json!({"a": {"x": {"b": 7}, "z": {}}});
        keep(&mut sent, &stored, &["a", "*", "c"]);
        assert_eq!(sent, json!({"a": {"x": {"b": 7, "c": 2}, "z": {}}}));
    }

    #[test]
    fn a_hidden_path_hides_what_is_below() {
        let view = View::hiding("2020-01-01", None, &["identity", "properties.deviceRegistry"]);
        assert!(!shows(&view, "properties.deviceRegistry.namespaceResourceId"));
        assert!(shows(&view, "properties.deviceRegistryNamespace"));
    }
}
