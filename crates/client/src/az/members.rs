//! Members of JSON objects.

use super::failure::{Failure, Result};
use serde_json::{Map, Value};

/// The text at a JSON pointer, or an empty one.
pub(crate) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Sets `key` of an object where there is a value.
pub(crate) fn put(object: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        object.insert(key.to_owned(), value);
    }
}

/// Sets a member of the object at a JSON pointer, making the objects on the way.
///
/// # Errors
/// Where something on the way is not an object.
pub(crate) fn set_at(root: &mut Value, path: &[&str], value: Value) -> Result<()> {
    let mut at = root;
    for key in path {
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(members) = at else {
            return Err(Failure::error(format!("The server's answer has no object where '{key}' belongs.")));
        };
        at = members.entry((*key).to_owned()).or_insert(Value::Null);
    }
    *at = value;
    Ok(())
}

/// Lifts the members of `properties` to the top, as core `az` prints some types.
pub(crate) fn flattened(mut resource: Value) -> Value {
    if let Value::Object(members) = &mut resource
        && let Some(Value::Object(properties)) = members.shift_remove("properties")
    {
        members.extend(properties);
    }
    resource
}
