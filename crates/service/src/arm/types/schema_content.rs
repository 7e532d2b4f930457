//! What the content of a schema version must be, by the format of its schema.

use ferrohub_model::json_size;
use serde_json::{Map, Value};

/// JSON Schema, draft 07.
pub(super) const JSON_SCHEMA: &str = "JsonSchema/draft-07";
/// The schema of a Delta table.
pub(super) const DELTA: &str = "Delta/1.0";
/// JSON-LD 1.1.
pub(super) const JSON_LD: &str = "JsonLD/1.1";

/// Why a text is no content of the format; `None` for one that is.
pub(super) fn fault(format: &str, content: &str) -> Option<String> {
    // A text in a document that is no longer than a body, and may hold as much as one.
    if let Err(too_many) = json_size::check(content.as_bytes()) {
        return Some(format!("{too_many}."));
    }
    let parsed: Value = match serde_json::from_str(content) {
        Ok(parsed) => parsed,
        Err(error) => return Some(format!("it is not JSON ({error}).")),
    };
    match format {
        JSON_SCHEMA => json_schema(&parsed, "#"),
        DELTA => delta(&parsed),
        _ if parsed.is_object() || parsed.is_array() => None,
        _ => Some("it is neither an object nor a list.".into()),
    }
}

/// Keywords of draft 07 whose value is one schema.
const SCHEMAS: &[&str] =
    &["additionalItems", "contains", "additionalProperties", "propertyNames", "if", "then", "else", "not"];
/// Those whose value is an object of schemas.
const SCHEMAS_BY_NAME: &[&str] = &["properties", "patternProperties", "definitions"];
/// Those whose value is a list of schemas, of one at least.
const SCHEMA_LISTS: &[&str] = &["allOf", "anyOf", "oneOf"];
/// Those whose value is a whole number from 0 on.
const COUNTS: &[&str] = &["maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties"];
/// Those whose value is a number.
const NUMBERS: &[&str] = &["maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"];
/// Those whose value is a text.
const TEXTS: &[&str] =
    &["$id", "$ref", "$comment", "title", "description", "pattern", "format", "contentMediaType", "contentEncoding"];
/// Those whose value is true or false.
const SWITCHES: &[&str] = &["readOnly", "writeOnly", "uniqueItems"];
/// What `type` may say.
const TYPES: &[&str] = &["array", "boolean", "integer", "null", "number", "object", "string"];

/// Checks a schema against the meta-schema of draft 07; `at` is where it stands. JSON is parsed to a bounded depth, so this is
/// bounded too.
fn json_schema(schema: &Value, at: &str) -> Option<String> {
    let members = match schema {
        Value::Bool(_) => return None,
        Value::Object(members) => members,
        _ => return Some(format!("a schema is an object, true or false, which what stands at {at} is not.")),
    };
    members.iter().find_map(|(keyword, value)| keyword_fault(keyword, value, &format!("{at}/{keyword}")))
}

fn keyword_fault(keyword: &str, value: &Value, at: &str) -> Option<String> {
    let is = |known: &[&str]| known.contains(&keyword);
    let unless = |holds: bool, rule: &str| (!holds).then(|| format!("{at} is {rule}."));
    match keyword {
        "$schema" => {
            let draft = value.as_str().is_some_and(|text| text.trim_end_matches('#').ends_with("draft-07/schema"));
            unless(draft, "'http://json-schema.org/draft-07/schema#', or left out")
        }
        "type" => unless(is_type(value), &format!("one of {}, or a list of different ones", TYPES.join(", "))),
        "enum" => unless(value.is_array(), "a list"),
        "required" => unless(texts(value), "a list of different texts"),
        "multipleOf" => unless(value.as_f64().is_some_and(|number| number > 0.0), "a number above 0"),
        "items" => match value {
            Value::Array(list) => each(list, at),
            _ => json_schema(value, at),
        },
        "dependencies" => match value {
            Value::Object(map) => map.iter().find_map(|(name, value)| {
                let at = format!("{at}/{name}");
                if value.is_array() {
                    unless(texts(value), "a list of different texts")
                } else {
                    json_schema(value, &at)
                }
            }),
            _ => unless(false, "an object"),
        },
        _ if is(SCHEMAS) => json_schema(value, at),
        _ if is(SCHEMAS_BY_NAME) => match value {
            Value::Object(map) => named(map, at),
            _ => unless(false, "an object of schemas"),
        },
        _ if is(SCHEMA_LISTS) => match value {
            Value::Array(list) if !list.is_empty() => each(list, at),
            _ => unless(false, "a list of one schema at least"),
        },
        _ if is(COUNTS) => {
            let whole = value.as_u64().is_some() || value.as_f64().is_some_and(|n| n >= 0.0 && n.fract() == 0.0);
            unless(whole, "a whole number from 0 on")
        }
        _ if is(NUMBERS) => unless(value.is_number(), "a number"),
        _ if is(TEXTS) => unless(value.is_string(), "a text"),
        _ if is(SWITCHES) => unless(value.is_boolean(), "true or false"),
        // Draft 07 lets everything else stand, whatever it is.
        _ => None,
    }
}

fn each(list: &[Value], at: &str) -> Option<String> {
    list.iter().enumerate().find_map(|(index, schema)| json_schema(schema, &format!("{at}/{index}")))
}

fn named(map: &Map<String, Value>, at: &str) -> Option<String> {
    map.iter().find_map(|(name, schema)| json_schema(schema, &format!("{at}/{name}")))
}

fn is_type(value: &Value) -> bool {
    let known = |value: &Value| value.as_str().is_some_and(|word| TYPES.contains(&word));
    match value {
        Value::Array(list) => !list.is_empty() && list.iter().all(known) && texts(value),
        _ => known(value),
    }
}

/// Whether a value is a list of different texts.
fn texts(value: &Value) -> bool {
    let Some(list) = value.as_array() else { return false };
    let mut seen: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
    seen.sort_unstable();
    seen.dedup();
    seen.len() == list.len()
}

/// The schema of a Delta table, bare or as Azure IoT Operations writes it: `{"$schema": "Delta/1.0", "type": "object",
/// "properties": {"type": "struct", "fields": [...]}}`.
fn delta(schema: &Value) -> Option<String> {
    if let Some(word) = schema.get("$schema").filter(|word| word.as_str() != Some(DELTA)) {
        return Some(format!("'$schema' is '{DELTA}', or left out, not {word}."));
    }
    let table = if schema.get("fields").is_some() { Some(schema) } else { schema.get("properties") };
    match table.and_then(|table| table.get("fields")) {
        Some(_) => table.and_then(|table| structure(table, "the table")),
        None => Some("it has no 'fields', the list of the table's columns.".into()),
    }
}

fn structure(table: &Value, name: &str) -> Option<String> {
    if table.get("type").and_then(Value::as_str) != Some("struct") {
        return Some(format!("the 'type' of {name} is 'struct'."));
    }
    let Some(fields) = table.get("fields").and_then(Value::as_array) else {
        return Some(format!("the 'fields' of {name} are a list."));
    };
    fields.iter().enumerate().find_map(|(index, field)| {
        let Some(column) = field.get("name").and_then(Value::as_str) else {
            return Some(format!("the field {index} of {name} has no 'name'."));
        };
        match field.get("type") {
            Some(Value::String(_)) => None,
            Some(below @ Value::Object(_)) if below.get("fields").is_some() => {
                structure(below, &format!("the field '{column}'"))
            }
            // A list or a map of others.
            Some(below @ Value::Object(_)) if below.get("type").is_some_and(Value::is_string) => None,
            _ => Some(format!("the field '{column}' of {name} has no 'type'.")),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn contents_are_what_their_format_says() {
        let column = json!({"name": "id", "type": "string", "nullable": false, "metadata": {}});
        let table =
            json!({"type": "struct", "fields": [column, {"name": "at", "type": {"type": "struct", "fields": []}}]});
        for (format, good) in [
            (
                JSON_SCHEMA,
                json!({"type": "object", "properties": {"t": {"type": ["number", "null"]}}, "required": ["t"]}),
            ),
            (JSON_SCHEMA, json!({"$schema": "http://json-schema.org/draft-07/schema#", "items": [true, {}], "x": 1})),
            (JSON_SCHEMA, json!(true)),
            (JSON_SCHEMA, json!({"minLength": 2.0, "dependencies": {"a": ["b"], "c": {}}, "anyOf": [{}]})),
            (DELTA, table.clone()),
            (DELTA, json!({"$schema": "Delta/1.0", "type": "object", "properties": table})),
            (JSON_LD, json!({"@context": "https://www.w3.org/2022/wot/td/v1.1"})),
        ] {
            assert_eq!(fault(format, &good.to_string()), None, "{good}");
        }
        let many = format!("[{}0]", "0,".repeat(100_000));
        for (format, bad, word) in [
            (JSON_LD, many.as_str(), "more than 100000 values"),
            (JSON_SCHEMA, "{", "not JSON"),
            (JSON_SCHEMA, "[]", "at #"),
            (JSON_SCHEMA, r#"{"type": "text"}"#, "#/type"),
            (JSON_SCHEMA, r#"{"type": []}"#, "#/type"),
            (JSON_SCHEMA, r#"{"properties": {"a": {"properties": []}}}"#, "#/properties/a/properties"),
            (JSON_SCHEMA, r#"{"required": ["a", "a"]}"#, "#/required"),
            (JSON_SCHEMA, r#"{"required": "a"}"#, "#/required"),
            (JSON_SCHEMA, r#"{"minLength": -1}"#, "#/minLength"),
            (JSON_SCHEMA, r#"{"items": 3}"#, "#/items"),
            (JSON_SCHEMA, r#"{"allOf": []}"#, "#/allOf"),
            (JSON_SCHEMA, r#"{"$schema": "https://json-schema.org/draft/2020-12/schema"}"#, "#/$schema"),
            (DELTA, r#"{"type": "object"}"#, "no 'fields'"),
            (DELTA, r#"{"type": "struct", "fields": [{"type": "string"}]}"#, "no 'name'"),
            (DELTA, r#"{"type": "struct", "fields": [{"name": "a"}]}"#, "no 'type'"),
            (DELTA, r#"{"type": "struct", "fields": 1}"#, "a list"),
            (JSON_LD, "7", "neither"),
        ] {
            assert!(fault(format, bad).is_some_and(|why| why.contains(word)), "{bad}: {:?}", fault(format, bad));
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(fault(JSON_SCHEMA, &deep).is_some());
    }
}
