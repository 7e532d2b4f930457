//! The rules of the published specification, feature by feature.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

pub(super) fn search(text: &str, value: &Value) -> Value {
    compile(text).unwrap().search(value).unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub(super) fn failure(text: &str, value: &Value) -> RuntimeError {
    compile(text).unwrap().search(value).unwrap_err()
}

pub(super) fn check(value: &Value, cases: &[(&str, Value)]) {
    for (text, wanted) in cases {
        // Texts are compared, so that the order of members counts and 1 differs from 1.0.
        assert_eq!(search(text, value).to_string(), wanted.to_string(), "{text}");
    }
}

#[test]
fn what_is_not_in_the_grammar() {
    for bad in [
        "",
        " ",
        ".",
        "a.",
        ".a",
        "a b",
        "a.b.",
        "a..b",
        "a[",
        "a]",
        "[",
        "a[0",
        "a[a]",
        "a.[0]",
        "[a,]",
        "[ ]",
        "{}",
        "{a}",
        "{a:}",
        "{a: b,}",
        "{a: b c: d}",
        "{'a': b}",
        "a{b: c}",
        "(a",
        "a)",
        "a[?]",
        "a[?b",
        "a[?b==]",
        "a ||",
        "|| a",
        "&a",
        "[&a]",
        "f(",
        "f(a,)",
        "f(a b)",
        "f(,a)",
        "\"f\"(a)",
        "(f)(a)",
        "a[1:2:3:4]",
        "a[1 2:3]",
        "a[:1 2]",
        "a.1",
        "a.'b'",
        "a.`1`",
        "*a",
        "a[*]b",
        "a*",
        "a[**]",
        "!",
        "a =",
        "a = b",
        "@(a)",
        "a[1,2]",
        "a.b[",
        "1",
        "-1",
    ] {
        assert!(compile(bad).is_err(), "{bad}");
    }
}

#[test]
fn identifiers() {
    let value = json!({"foo": {"bar": ["zero", {"baz": 1}]}, "with space": 2, "é": 3, "": 4, "a.b": 5});
    check(
        &value,
        &[
            ("foo.bar[1].baz", json!(1)),
            (" foo . bar [ 0 ] ", json!("zero")),
            ("\"with space\"", json!(2)),
            ("\"\\u00e9\"", json!(3)),
            ("\"\"", json!(4)),
            ("\"a.b\"", json!(5)),
            ("foo.\"bar\"[-1].baz", json!(1)),
            ("foo.bar[2]", json!(null)),
            ("foo.bar[-3]", json!(null)),
            ("foo[0]", json!(null)),
            ("foo.nothing.at.all", json!(null)),
            ("foo.bar.baz", json!(null)),
            ("@.foo.bar[0]", json!("zero")),
            ("foo.bar[0].baz", json!(null)),
            ("foo.bar[99999999999999999999]", json!(null)),
        ],
    );
    assert_eq!(search("@", &value), value);
    check(&json!([[1, 2], [3]]), &[("[0][1]", json!(2)), ("[1]", json!([3])), ("[-1][0]", json!(3))]);
}

#[test]
fn slices() {
    let value = json!({"n": [0, 1, 2, 3, 4], "o": [{"a": 1}, {"a": 2}, {}], "s": "text"});
    check(
        &value,
        &[
            ("n[1:3]", json!([1, 2])),
            ("n[:2]", json!([0, 1])),
            ("n[3:]", json!([3, 4])),
            ("n[::2]", json!([0, 2, 4])),
            ("n[::-1]", json!([4, 3, 2, 1, 0])),
            ("n[-2:]", json!([3, 4])),
            ("n[:-10]", json!([])),
            ("n[10:]", json!([])),
            ("n[3:0:-2]", json!([3, 1])),
            ("n[:]", json!([0, 1, 2, 3, 4])),
            ("o[:2].a", json!([1, 2])),
            ("o[0:3].a", json!([1, 2])),
            ("s[0:1]", json!(null)),
            ("none[:1]", json!(null)),
            ("n[:2] | [0]", json!(0)),
        ],
    );
    assert_eq!(failure("n[::0]", &value), RuntimeError::ZeroStep);
}

#[test]
fn wildcards_and_flatten() {
    let value = json!({
        "list": [{"a": {"b": 1}}, {"a": {"b": 2}}, {"c": 3}, null],
        "map": {"y": {"n": 1}, "x": {"n": 2}, "z": 5},
        "nested": [[1, [2]], 3, [], [{"k": [4]}]],
        "reservations": [{"i": [{"s": "on"}, {"s": "off"}]}, {"i": [{"s": "on"}]}, {}],
    });
    check(
        &value,
        &[
            ("list[*].a.b", json!([1, 2])),
            ("list[*].c", json!([3])),
            ("list[*].none", json!([])),
            ("map[*]", json!(null)),
            ("map.*.n", json!([1, 2])),
            ("map.*", json!([{"n": 1}, {"n": 2}, 5])),
            ("list.*", json!(null)),
            ("list[0].*.b", json!([1])),
            ("*.y.n", json!([1])),
            ("*[0]", json!([{"a": {"b": 1}}, [1, [2]], {"i": [{"s": "on"}, {"s": "off"}]}])),
            ("nested[]", json!([1, [2], 3, {"k": [4]}])),
            ("nested[][]", json!([1, 2, 3, {"k": [4]}])),
            ("nested[].k[]", json!([4])),
            ("nested[*][0]", json!([1, {"k": [4]}])),
            ("map[]", json!(null)),
            ("reservations[*].i[*].s", json!([["on", "off"], ["on"]])),
            ("reservations[*].i[].s", json!(["on", "off", "on"])),
            ("reservations[].i[].s", json!(["on", "off", "on"])),
            ("reservations[].i | [0]", json!([{"s": "on"}, {"s": "off"}])),
            ("reservations[].i[0].s", json!(["on", "on"])),
            ("(list[*].a)[0]", json!({"b": 1})),
            ("list[*].a | [1].b", json!(2)),
        ],
    );
    check(&json!([[0], [1]]), &[("[*][0]", json!([0, 1])), ("[]", json!([0, 1])), ("[*] | [0]", json!([0]))]);
}

#[test]
fn filters_and_comparators() {
    let value = json!({"d": [
        {"n": "a", "v": 1, "t": true, "e": ""}, {"n": "b", "v": 2, "l": [0]}, {"n": "c", "v": 2.0},
        {"n": "d", "v": "2"}, {"n": "e"}
    ], "o": {"v": 1}});
    check(
        &value,
        &[
            ("d[?v == `2`].n", json!(["b", "c"])),
            ("d[?v != `2`].n", json!(["a", "d", "e"])),
            ("d[?v > `1`].n", json!(["b", "c"])),
            ("d[?v >= `1`].n", json!(["a", "b", "c"])),
            ("d[?v < `2`].n", json!(["a"])),
            ("d[?v <= `2`].n", json!(["a", "b", "c"])),
            ("d[?n == 'a'].v", json!([1])),
            ("d[?n == `a`].v | [0]", json!(1)),
            ("d[?n > 'c'].n", json!(["d", "e"])),
            ("d[?t].n", json!(["a"])),
            ("d[?!t].n", json!(["b", "c", "d", "e"])),
            ("d[?e].n", json!([])),
            ("d[?v].n", json!(["a", "b", "c", "d"])),
            ("d[?l[0] == `0`].n", json!(["b"])),
            ("d[?n=='a' || n=='b' && v==`1`].n", json!(["a"])),
            ("d[?(n=='a' || n=='b') && v==`2`].n", json!(["b"])),
            ("d[?!(n=='a')] | length(@)", json!(4)),
            ("d[?contains(['a', 'e'], n)].n", json!(["a", "e"])),
            ("d[?v == null].n", json!(["e"])),
            ("d[?n=='a'][]", json!([{"n": "a", "v": 1, "t": true, "e": ""}])),
            ("o[?v]", json!(null)),
            ("d[?n=='b'].l[0]", json!([0])),
            ("d[?n=='b'].l | [0] | [0]", json!(0)),
            ("'a' < `1`", json!(null)),
            ("`true` < `false`", json!(null)),
            ("`true` == `1`", json!(false)),
            ("`{\"a\": 1, \"b\": 2}` == `{\"b\": 2.0, \"a\": 1}`", json!(true)),
            ("`[1, 2]` == `[2, 1]`", json!(false)),
        ],
    );
}

#[test]
fn logic() {
    let value = json!({"t": true, "f": false, "n": 5, "z": 0, "e": "", "l": [], "o": {}});
    check(
        &value,
        &[
            ("none || n", json!(5)),
            ("f || e || l || o || 'x'", json!("x")),
            ("t && n", json!(5)),
            ("f && n", json!(false)),
            ("l && n", json!([])),
            ("z && n", json!(5)),
            ("!z", json!(false)),
            ("!e", json!(true)),
            ("!!n", json!(true)),
            ("!n == t", json!(false)),
            ("none || none", json!(null)),
            ("t || f && f", json!(true)),
            ("(t || f) && f", json!(false)),
        ],
    );
}

#[test]
fn multiselects_and_pipes() {
    let value = json!({"b": 1, "a": {"d": 2, "c": [1, 2]}, "list": [{"x": 1, "y": 2}, {"x": 3}]});
    check(
        &value,
        &[
            ("{z: b, \"a b\": a.d, m: none}", json!({"z": 1, "a b": 2, "m": null})),
            ("[b, a.d, none]", json!([1, 2, null])),
            ("a.{two: d, first: c[0]}", json!({"two": 2, "first": 1})),
            ("a.[d, c]", json!([2, [1, 2]])),
            ("none.{a: b}", json!(null)),
            ("none.[a]", json!(null)),
            ("list[].{y: y, x: x}", json!([{"y": 2, "x": 1}, {"y": null, "x": 3}])),
            ("list[*].[x]", json!([[1], [3]])),
            ("list[].[x, y][]", json!([1, 2, 3])),
            ("a | c | [1]", json!(2)),
            ("{a: a} | a.d", json!(2)),
            ("list[*].x | [0]", json!(1)),
            ("[[b]]", json!([[1]])),
            ("`{\"k\": [1]}`.k[0]", json!(1)),
            ("{l: `1`, r: 'raw', l: `2`}", json!({"l": 2, "r": "raw"})),
        ],
    );
}

#[test]
fn queries_of_scripts() {
    let namespace = json!({
        "id": "/subscriptions/s/resourceGroups/g", "identity": {"principalId": "p"},
        "properties": {"messaging": {"endpoints": {"hub1": {"resourceId": "r1"}, "hub2": {"resourceId": "r2"}}}},
    });
    check(
        &namespace,
        &[
            ("identity.principalId", json!("p")),
            ("properties.messaging.endpoints.*.resourceId", json!(["r1", "r2"])),
            (
                "{Id: id, Count: length(keys(properties.messaging.endpoints))}",
                json!({"Id": "/subscriptions/s/resourceGroups/g", "Count": 2}),
            ),
        ],
    );
}

#[test]
fn work_is_bounded() {
    let doubled = vec!["[@, @]"; 60].join("|");
    assert_eq!(failure(&doubled, &json!({"a": 1})), RuntimeError::TooMuchWork);
    let longer = vec!["join(@, [@, @])"; 60].join("|");
    assert_eq!(failure(&longer, &json!("text")), RuntimeError::TooMuchWork);
    let nested = "map(&map(&map(&map(&@, `[1,2,3]`), `[1,2,3]`), `[1,2,3]`), `[1,2,3]`)";
    assert!(compile(nested).unwrap().search(&json!(null)).is_ok());
}

#[test]
fn deep_expressions_and_values_do_not_exhaust_the_stack() {
    let chain = vec!["a"; 120].join(".");
    assert_eq!(search(&chain, &json!({"a": 1})), json!(null));
    let flat = format!("@{}", "[]".repeat(60));
    let mut value = json!([1]);
    for _ in 0..100 {
        value = json!([value]);
    }
    assert!(search(&flat, &value).is_array());
}

/// Pieces from which random text makes many valid and almost valid expressions.
const PIECES: &str = "(a|b|\"a b\"|@|\\*|\\.|\\[|\\]|\\[\\?|\\[\\]|\\[0\\]|\\[1:\\]|\\[\\*\\]|\\{|\\}|a: |\\(|\\)|,|&|&&|\\|\\||\\||!|==|<|`1`|`x`|'r'|length\\(|sort_by\\(@, &|map\\(&| |-1|:){0,14}";

proptest! {
    #[test]
    fn any_text_compiles_or_fails_without_panic(text in "\\PC{0,60}") {
        let _ = compile(&text);
    }

    #[test]
    fn what_compiles_runs_without_panic(text in PIECES) {
        if let Ok(expression) = compile(&text) {
            let value = json!({"a": [{"a": 1, "b": "x"}, [0, 1], "r"], "b": {"a b": [1, 2]}, "a b": -1.5});
            let _ = expression.search(&value);
            let _ = expression.search(&json!(["b", "a", "c"]));
            let _ = expression.search(&json!(null));
        }
    }
}
