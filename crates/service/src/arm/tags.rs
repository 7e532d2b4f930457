//! Tags of a resource, under ARM's rules.

use super::request::ArmRequest;
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
        let Some(text) = value.as_str() else {
            return Err(Error::invalid(format!("The tag '{name}' must have a text value.")).with_code("InvalidTags"));
        };
        check(name, text)?;
        if checked.keys().any(|known: &String| known.eq_ignore_ascii_case(name)) {
            return Err(Error::invalid(format!("The tag '{name}' stands twice; names of tags ignore case."))
                .with_code("InvalidTags"));
        }
        checked.insert(name.clone(), value.clone());
    }
    Ok(Some(checked))
}

/// Checks the name and the value of one tag against ARM's limits.
///
/// # Errors
/// `InvalidTags`.
pub(super) fn check(name: &str, value: &str) -> Result<()> {
    let bad = |c: char| c.is_control() || "<>%&\\?/".contains(c);
    if (1..=limits::TAG_NAME_CHARS).contains(&name.chars().count())
        && !name.chars().any(bad)
        && value.chars().count() <= limits::TAG_VALUE_CHARS
    {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "The tag '{}' is not valid: names have 1 to 512 characters and none of < > % & \\ ? /, values up to 256 characters.",
        name.chars().take(60).collect::<String>()
    ))
    .with_code("InvalidTags"))
}

/// What a request of the tags API does to tags.
pub(super) struct TagChange {
    operation: TagOperation,
    tags: Map<String, Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TagOperation {
    /// Sets these and keeps the others.
    Merge,
    /// Sets these and nothing else.
    Replace,
    /// Takes these away: where a value is given, only from where it stands.
    Delete,
}

/// The operations of a PATCH, by their names.
const OPERATIONS: &[(&str, TagOperation)] =
    &[("Merge", TagOperation::Merge), ("Replace", TagOperation::Replace), ("Delete", TagOperation::Delete)];

impl TagChange {
    /// What the request wants; `None` for one that only reads.
    ///
    /// # Errors
    /// For a body that is not the API's.
    pub(super) fn read(request: &ArmRequest) -> Result<Option<Self>> {
        let body = request.body.as_ref().unwrap_or(&Value::Null);
        let operation = match request.method.as_str() {
            "GET" => return Ok(None),
            "DELETE" => return Ok(Some(Self { operation: TagOperation::Replace, tags: Map::new() })),
            "PATCH" => {
                let named = body.get("operation").and_then(Value::as_str).unwrap_or_default();
                let known = OPERATIONS.iter().find(|(name, _)| name.eq_ignore_ascii_case(named));
                known.map(|(_, operation)| *operation).ok_or_else(|| {
                    Error::invalid_property("operation", "'operation' is one of: Merge, Replace, Delete.")
                })?
            }
            _ => TagOperation::Replace,
        };
        let tags = body.pointer("/properties/tags").and_then(Value::as_object).cloned().ok_or_else(|| {
            Error::invalid_property("properties.tags", "'properties.tags' is an object of text values.")
        })?;
        Ok(Some(Self { operation, tags }))
    }

    /// The tags as they are afterwards; names ignore case, and keep the case in which they were set last.
    pub(super) fn apply(&self, former: &Map<String, Value>) -> Value {
        let named = |name: &str| self.tags.iter().find(|(sent, _)| sent.eq_ignore_ascii_case(name));
        let mut kept = Map::new();
        for (name, value) in former {
            let stays = match (self.operation, named(name)) {
                (TagOperation::Replace, _) | (TagOperation::Merge, Some(_)) => false,
                (TagOperation::Delete, Some((_, sent))) => !is_blank(sent) && sent != value,
                (TagOperation::Merge | TagOperation::Delete, None) => true,
            };
            if stays {
                kept.insert(name.clone(), value.clone());
            }
        }
        if self.operation != TagOperation::Delete {
            kept.extend(self.tags.clone());
        }
        Value::Object(kept)
    }
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(str::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_tags() {
        let former = json!({"Keep": "1", "Site": "a"});
        for (operation, sent, want) in [
            (TagOperation::Merge, json!({"site": "b", "new": ""}), json!({"Keep": "1", "site": "b", "new": ""})),
            (TagOperation::Replace, json!({"x": "y"}), json!({"x": "y"})),
            (TagOperation::Delete, json!({"SITE": "", "none": "1"}), json!({"Keep": "1"})),
            (TagOperation::Delete, json!({"site": "other", "keep": "1"}), json!({"Site": "a"})),
            (TagOperation::Delete, json!({"site": null}), json!({"Keep": "1"})),
        ] {
            let change = TagChange { operation, tags: sent.as_object().unwrap().clone() };
            assert_eq!(change.apply(former.as_object().unwrap()), want, "{operation:?} {sent}");
        }
    }
    use serde_json::json;

    #[test]
    fn tag_rules() {
        assert!(tags(Some(&json!({"a": "b"}))).unwrap().is_some());
        for bad in [json!({"a": 1}), json!({"a/b": "x"}), json!({"A": "x", "a": "y"}), json!([]), json!({"": "x"})] {
            assert_eq!(tags(Some(&bad)).unwrap_err().code, "InvalidTags", "{bad}");
        }
    }
}
