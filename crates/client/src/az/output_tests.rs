//! Tests of the output formats.

use super::*;
use serde_json::json;

fn show(value: Value, format: Format, query: Option<&str>) -> Option<String> {
    let query = query.map(|text| Query::compile(text).unwrap());
    render(value.into(), format, query.as_ref(), false).unwrap()
}

fn group() -> Value {
    json!({"name": "rg", "location": "westus", "tags": null, "properties": {"provisioningState": "Succeeded"},
        "id": "/subscriptions/s/resourceGroups/rg"})
}

#[test]
fn json_is_sorted_at_every_level_and_keeps_unicode() {
    let text = show(json!({"b": {"z": 1, "a": "é"}, "a": []}), Format::Json, None).unwrap();
    assert_eq!(text, "{\n  \"a\": [],\n  \"b\": {\n    \"a\": \"é\",\n    \"z\": 1\n  }\n}\n");
    assert_eq!(show(json!("id"), Format::Json, None).unwrap(), "\"id\"\n");
    assert_eq!(
        show(json!({"x": {"b": 1, "a": 2}}), Format::Json, Some("x.{q:b, p:a}")).unwrap(),
        "{\n  \"p\": 2,\n  \"q\": 1\n}\n"
    );
}

#[test]
fn null_prints_nothing_but_empty_values_print() {
    for format in [Format::Json, Format::Tsv, Format::Table, Format::Yaml] {
        assert_eq!(show(json!({"a": 1}), format, Some("missing")), None);
        assert_eq!(show(Value::Null, format, None), None);
    }
    assert_eq!(show(json!([]), Format::Json, None).unwrap(), "[]\n");
    assert_eq!(show(json!({}), Format::Json, None).unwrap(), "{}\n");
    assert_eq!(show(json!(false), Format::Json, None).unwrap(), "false\n");
    assert_eq!(show(json!(1), Format::None, None), None);
}

#[test]
fn tsv_rows() {
    assert_eq!(show(json!("abc"), Format::Tsv, None).unwrap(), "abc\n");
    assert_eq!(show(json!(true), Format::Tsv, None).unwrap(), "true\n");
    let row = json!({"b": "x", "a": [1, 2], "c": {"q": 1}, "d": null, "e": true});
    assert_eq!(show(row, Format::Tsv, None).unwrap(), "2\tx\t\tNone\tTrue\n");
    assert_eq!(show(json!([["a", "b"], ["c", null]]), Format::Tsv, None).unwrap(), "a\tb\nc\tNone\n");
    assert_eq!(show(json!([[], "x"]), Format::Tsv, None).unwrap(), "\nx\n");
    assert_eq!(show(json!([]), Format::Tsv, None).unwrap(), "");
}

#[test]
fn a_multiselect_hash_keeps_its_order_in_tsv_and_table() {
    let value = json!([{"a": 1, "b": 2}]);
    assert_eq!(show(value.clone(), Format::Tsv, Some("[].{z:b, y:a}")).unwrap(), "2\t1\n");
    assert_eq!(show(value, Format::Table, Some("[].{z:b, y:a}")).unwrap(), "Z    Y\n---  ---\n2    1\n");
    assert!(!has_multiselect_hash("a[?b=='{'] | `{}`"));
}

#[test]
fn the_table_drops_what_az_drops() {
    let row = json!({"name": "h", "id": "x", "type": "t", "etag": "e", "n": null, "tags": {}, "list": [], "ok": true});
    assert_eq!(show(row, Format::Table, None).unwrap(), "Name    Ok\n------  ----\nh       True\n");
    assert_eq!(show(json!("v"), Format::Table, None).unwrap(), "Result\n--------\nv\n");
    assert_eq!(
        show(json!([["a", "b"]]), Format::Table, None).unwrap(),
        "Column1    Column2\n---------  ---------\na          b\n"
    );
}

#[test]
fn a_commands_own_columns_yield_to_a_query() {
    let columns: Columns = &[("Name", "name"), ("Location", "location"), ("Status", "properties.provisioningState")];
    let shown = render(Output::with_columns(group(), columns), Format::Table, None, false).unwrap().unwrap();
    assert_eq!(shown, "Name    Location    Status\n------  ----------  ---------\nrg      westus      Succeeded\n");
    let query = Query::compile("{n:name}").unwrap();
    let shown = render(Output::with_columns(group(), columns), Format::Table, Some(&query), false).unwrap().unwrap();
    assert_eq!(shown, "N\n---\nrg\n");
}

#[test]
fn resource_groups_are_added_where_an_id_has_one() {
    let id = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.X/ys/z";
    let text = show(json!({"value": [{"id": id}]}), Format::Tsv, Some("value[0].resourceGroup")).unwrap();
    assert_eq!(text, "rg\n");
    assert_eq!(show(json!({"id": id, "resourcegroup": "own"}), Format::Tsv, Some("resourceGroup")), None);
    assert_eq!(show(group(), Format::Tsv, Some("resourceGroup")), None);
}

#[test]
fn a_bad_query_is_a_usage_error() {
    let failure = Query::compile("[").err().unwrap();
    assert_eq!(failure.exit, 2);
    assert!(
        failure.message.starts_with("argument --query: invalid jmespath_type value: '['\nIt is a JMESPath expression")
    );
}

#[test]
fn a_query_that_fails_on_the_value_is_an_error() {
    let query = Query::compile("length(a)").unwrap();
    let failure = render(json!({"a": 1}).into(), Format::Json, Some(&query), false).unwrap_err();
    assert_eq!(failure.exit, 1);
    assert!(failure.message.starts_with("Invalid jmespath query supplied for `--query`: "), "{}", failure.message);
}

#[test]
fn what_a_device_chose_does_not_steer_a_terminal() {
    let evil = "a\u{1b}[31m\u{9b}2J\u{202e}b\nc";
    let value = json!([{"name": evil, "value": {evil: evil}}]);
    let acts = |text: &str| text.chars().any(|c| c != '\n' && ferrohub_model::terminal::acts(c));
    for format in [Format::Json, Format::Yaml, Format::Table] {
        let text = show(value.clone(), format, None).unwrap();
        assert!(!acts(&text), "{format:?}: {text:?}");
    }
    let read: Value = serde_json::from_str(&show(value.clone(), Format::Json, None).unwrap()).unwrap();
    assert_eq!(read, value, "JSON reads as before");
    assert_eq!(show(json!([{"name": evil}]), Format::Table, None).unwrap().lines().count(), 3, "a cell is one line");
    assert!(show(json!([{evil: 1}]), Format::Table, None).is_some_and(|text| !acts(&text)), "titles too");
    let tsv = |to_terminal| render(json!(evil).into(), Format::Tsv, None, to_terminal).unwrap().unwrap();
    assert_eq!(tsv(false), format!("{evil}\n"), "a script gets the value");
    assert!(!acts(&tsv(true)));
    let text = |to_terminal| render(Output::text(evil), Format::Json, None, to_terminal).unwrap().unwrap();
    assert_eq!(text(false), evil);
    assert!(!acts(&text(true)));
}
