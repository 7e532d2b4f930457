//! Arrays and objects: made with room for so much only, looked into, and put together.

use super::functions::made_of;
use super::value::{DYNAMIC_BYTES, Sought, Value, json_weight};
use serde_json::{Map, Value as Json};
use std::sync::Arc;

pub(super) fn array<'s>(items: Vec<Json>) -> Value<'s> {
    Value::Dynamic(Arc::new(Json::Array(items)))
}

/// What is left for an array or object that is made; without room it is nothing.
pub(super) struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Self(DYNAMIC_BYTES)
    }
}

impl Room {
    fn take(&mut self, bytes: usize) -> bool {
        let left = self.0.checked_sub(bytes);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }

    /// Whether there is room for a text, which then is taken.
    pub(super) fn for_text(&mut self, text: &str) -> bool {
        self.take(48 + text.len())
    }

    fn for_json(&mut self, json: &Json) -> bool {
        self.take(json_weight(json))
    }

    fn for_value(&mut self, value: &Value<'_>) -> bool {
        match value {
            Value::Text(text) => self.for_text(text),
            Value::Dynamic(json) => self.for_json(json),
            _ => self.take(48),
        }
    }
}

/// The texts of an array; of anything else its own text.
pub(super) fn listed(value: &Value<'_>) -> Vec<String> {
    match value {
        Value::Dynamic(json) => match json.as_ref() {
            Json::Array(items) => items.iter().map(|item| Value::of_json(item).to_text().to_string()).collect(),
            other => vec![other.to_string()],
        },
        other => vec![other.to_text().to_string()],
    }
}

pub(super) fn parse_json<'s>(v: &[Value<'s>]) -> Value<'s> {
    match &v[0] {
        // What is no JSON stays the text that it is.
        Value::Text(text) => {
            serde_json::from_str::<Json>(text).map_or_else(|_| v[0].clone(), |json| Value::of_json(&json))
        }
        other => other.clone(),
    }
}

pub(super) fn with_array<'s>(value: &Value<'s>, then: impl FnOnce(&[Json]) -> Value<'s>) -> Value<'s> {
    match value {
        Value::Dynamic(json) => json.as_array().map_or(Value::Null, |items| then(items)),
        _ => Value::Null,
    }
}

pub(super) fn place_of(items: &[Json], wanted: &Value<'_>) -> Option<usize> {
    let sought = Sought::new(wanted, false);
    items.iter().position(|item| sought.is_json(item))
}

fn object<'a>(value: &'a Value<'_>) -> Option<&'a Map<String, Json>> {
    match value {
        Value::Dynamic(json) => json.as_object(),
        _ => None,
    }
}

pub(super) fn array_concat<'s>(v: &[Value<'s>]) -> Value<'s> {
    let (mut all, mut room) = (Vec::new(), Room::default());
    for value in v {
        if let Value::Dynamic(json) = value
            && let Json::Array(items) = json.as_ref()
        {
            if !room.for_json(json) {
                return Value::Null;
            }
            all.extend_from_slice(items);
        }
    }
    array(all)
}

pub(super) fn pack_array<'s>(v: &[Value<'s>]) -> Value<'s> {
    let mut room = Room::default();
    v.iter()
        .map(|value| room.for_value(value).then(|| value.to_json()))
        .collect::<Option<_>>()
        .map_or(Value::Null, array)
}

pub(super) fn strcat_array<'s>(v: &[Value<'s>]) -> Value<'s> {
    let words: Vec<Value<'s>> = listed(&v[0]).into_iter().map(Value::made).collect();
    made_of(words.iter(), &v[1].to_text())
}

pub(super) fn bag_keys<'s>(v: &[Value<'s>]) -> Value<'s> {
    object(&v[0]).map_or(Value::Null, |map| array(map.keys().map(|name| Json::from(name.as_str())).collect()))
}

pub(super) fn bag_has_key<'s>(v: &[Value<'s>]) -> Value<'s> {
    object(&v[0]).map_or(Value::Null, |map| Value::Bool(map.contains_key(&*v[1].to_text())))
}

pub(super) fn bag_merge<'s>(v: &[Value<'s>]) -> Value<'s> {
    let (mut merged, mut room) = (Map::new(), Room::default());
    // The first one that has a name keeps it.
    for (name, value) in v.iter().filter_map(object).flatten() {
        if !merged.contains_key(name) {
            if !room.for_text(name) || !room.for_json(value) {
                return Value::Null;
            }
            merged.insert(name.clone(), value.clone());
        }
    }
    Value::Dynamic(Arc::new(Json::Object(merged)))
}

pub(super) fn bag_pack<'s>(v: &[Value<'s>]) -> Value<'s> {
    let (mut map, mut room) = (Map::new(), Room::default());
    for pair in v.chunks_exact(2) {
        let name = pair[0].to_text();
        if !room.for_text(&name) || !room.for_value(&pair[1]) {
            return Value::Null;
        }
        map.insert(name.to_string(), pair[1].to_json());
    }
    Value::Dynamic(Arc::new(Json::Object(map)))
}
