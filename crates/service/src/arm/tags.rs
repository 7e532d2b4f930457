//! Tags of a resource, under ARM's rules.

use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits;
use serde_json::{Map, Value};

/// Checks tags against ARM's limits.
pub(super) fn tags(sent: Option<&Value>) -> Result<Option<Map<String, Value>>> {
    let map = match sent {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(map)) => map,
        Some(_) => return Err(Error::invalid("'tags' must be an object of text values.").with_code("InvalidTags")),
    };
    if map.len() > limits::TAGS {
        return Err(Error::invalid(format!("A resource has at most {} tags; {} were sent.", limits::TAGS, map.len()))
            .with_code("InvalidTags"));
    }
    let mut checked = Map::new();
    for (name, value) in map {
        let bad = |c: char| c.is_control() || "<>%&\\?/".contains(c);
        let Some(text) = value.as_str() else {
            return Err(Error::invalid(format!("The tag '{name}' must have a text value.")).with_code("InvalidTags"));
        };
        if name.is_empty()
            || name.chars().count() > limits::TAG_NAME_CHARS
            || name.chars().any(bad)
            || text.chars().count() > limits::TAG_VALUE_CHARS
        {
            return Err(Error::invalid(format!(
                "The tag '{}' is not valid: names have 1 to 512 characters and none of < > % & \\ ? /, values up to 256 characters.",
                name.chars().take(60).collect::<String>()
            ))
            .with_code("InvalidTags"));
        }
        if checked.keys().any(|known: &String| known.eq_ignore_ascii_case(name)) {
            return Err(Error::invalid(format!("The tag '{name}' stands twice; names of tags ignore case."))
                .with_code("InvalidTags"));
        }
        checked.insert(name.clone(), value.clone());
    }
    Ok(Some(checked))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tag_rules() {
        assert!(tags(Some(&json!({"a": "b"}))).unwrap().is_some());
        for bad in [json!({"a": 1}), json!({"a/b": "x"}), json!({"A": "x", "a": "y"}), json!([]), json!({"": "x"})] {
            assert_eq!(tags(Some(&bad)).unwrap_err().code, "InvalidTags", "{bad}");
        }
    }
}
