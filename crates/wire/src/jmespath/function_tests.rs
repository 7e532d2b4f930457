//! The functions, one by one.

use serde_json::json;

use super::RuntimeError;
use super::tests::{check, failure};

#[test]
fn number_functions() {
    let value = json!({"n": [3, -1, 2], "f": [1.5, 2], "none": [], "s": ["b", "a"], "m": [1, "a"]});
    check(
        &value,
        &[
            ("abs(n[1])", json!(1)),
            ("abs(`-1.5`)", json!(1.5)),
            ("avg(n[::2])", json!(2.5)),
            ("avg(f)", json!(1.75)),
            ("avg(none)", json!(null)),
            ("ceil(`1.2`)", json!(2)),
            ("ceil(`-1.2`)", json!(-1)),
            ("floor(`1.9`)", json!(1)),
            ("floor(`3`)", json!(3)),
            ("floor(`1e300`)", json!(1e300)),
            ("sum(n)", json!(4)),
            ("sum(f)", json!(3.5)),
            ("sum(none)", json!(0)),
            ("max(n)", json!(3)),
            ("min(n)", json!(-1)),
            ("max(s)", json!("b")),
            ("min(s)", json!("a")),
            ("max(none)", json!(null)),
            ("sort(n)", json!([-1, 2, 3])),
            ("sort(s)", json!(["a", "b"])),
            ("to_number('12')", json!(12)),
            ("to_number('-1.5e1')", json!(-15.0)),
            ("to_number('x')", json!(null)),
            ("to_number(n)", json!(null)),
            ("to_number(`true`)", json!(null)),
        ],
    );
    for text in ["abs('a')", "sum(s)", "max(m)", "sort(m)", "avg(@)", "max(`[true]`)"] {
        assert!(matches!(failure(text, &value), RuntimeError::Type { .. }), "{text}");
    }
}

#[test]
fn text_and_collection_functions() {
    let value = json!({"s": "añb", "l": ["x", "y"], "o": {"b": 1, "a": null}, "n": [1, 2.0]});
    check(
        &value,
        &[
            ("length(s)", json!(3)),
            ("length(l)", json!(2)),
            ("length(o)", json!(2)),
            ("reverse(s)", json!("bña")),
            ("reverse(l)", json!(["y", "x"])),
            ("contains(s, 'ñ')", json!(true)),
            ("contains(s, `1`)", json!(false)),
            ("contains(n, `2`)", json!(true)),
            ("contains(l, 'z')", json!(false)),
            ("starts_with(s, 'añ')", json!(true)),
            ("ends_with(s, 'a')", json!(false)),
            ("join('-', l)", json!("x-y")),
            ("join('', `[]`)", json!("")),
            ("keys(o)", json!(["b", "a"])),
            ("values(o)", json!([1, null])),
            ("merge(o, `{\"a\": 2, \"c\": 3}`)", json!({"b": 1, "a": 2, "c": 3})),
            ("merge(`{}`)", json!({})),
            ("not_null(none, o.a, s)", json!("añb")),
            ("not_null(none)", json!(null)),
            ("to_array(s)", json!(["añb"])),
            ("to_array(l)", json!(["x", "y"])),
            ("to_string(s)", json!("añb")),
            ("to_string(o)", json!("{\"b\":1,\"a\":null}")),
            ("to_string(n)", json!("[1,2.0]")),
            (
                "[type(s), type(l), type(o), type(n[0]), type(none), type(`true`)]",
                json!(["string", "array", "object", "number", "null", "boolean"]),
            ),
            ("o.length(@)", json!(2)),
            ("l[*].length(@)", json!([1, 1])),
        ],
    );
}

#[test]
fn functions_over_expressions() {
    let value = json!([{"n": "b", "v": 2}, {"n": "a", "v": 3}, {"n": "c", "v": 2}, {"n": "d", "v": 3}]);
    check(
        &value,
        &[
            ("sort_by(@, &n)[].n", json!(["a", "b", "c", "d"])),
            ("sort_by(@, &v)[].n", json!(["b", "c", "a", "d"])),
            ("sort_by(@, &v)[0].n", json!("b")),
            ("max_by(@, &v).n", json!("a")),
            ("min_by(@, &v).n", json!("b")),
            ("max_by(`[]`, &v)", json!(null)),
            ("sort_by(`[]`, &v)", json!([])),
            ("map(&v, @)", json!([2, 3, 2, 3])),
            ("map(&none, @)", json!([null, null, null, null])),
            ("map(&[n, v][], [0:1])", json!([["b", 2]])),
            ("map(&(v || `0`), `[{}, {\"v\": 1}]`)", json!([0, 1])),
        ],
    );
    for text in [
        "sort_by(@, &none)",
        "sort_by(`[{\"a\": 1}, {\"a\": \"1\"}]`, &a)",
        "max_by(@, &@)",
        "sort_by(@, n)",
        "length(&n)",
        "type(&n)",
        "map(@, &n)",
    ] {
        assert!(matches!(failure(text, &value), RuntimeError::Type { .. }), "{text}");
    }
}

#[test]
fn errors_read_as_az_prints_them() {
    for (text, wanted) in [
        ("nothing(@)", "Unknown function: nothing()"),
        ("length()", "Expected 1 argument for function length(), received 0"),
        ("join('a')", "Expected 2 arguments for function join(), received 1"),
        ("merge()", "Expected at least 1 argument for function merge(), received 0"),
        (
            "length(`5`)",
            "In function length(), invalid type for value: 5, expected one of: ['string', 'array', 'object'], received: \"number\"",
        ),
    ] {
        assert_eq!(failure(text, &json!({})).to_string(), wanted);
    }
}
