use super::*;
use ferrohub_wire::iothub_query::{Projected, Query};
use proptest::prelude::*;
use serde_json::json;

fn document() -> Value {
    json!({
        "deviceId": "pump-1",
        "status": "enabled",
        "tags": {
            "floor": 3, "room": "é4", "list": ["a", 2, null], "none": null, "on": true, "half": 2.5,
            "deep": {"a.b": {"c": 1}}, "empty": {}, "big": 9_007_199_254_740_993_i64,
        },
        "capabilities": {"iotEdge": false},
    })
}

fn found(condition: &str) -> bool {
    let query = Query::parse(&format!("SELECT * FROM devices WHERE {condition}")).unwrap();
    holds(&query.condition.unwrap(), &document())
}

/// `None`: undefined.
fn computed(expression: &str) -> Option<Value> {
    let query = Query::parse(&format!("SELECT {expression} AS x FROM devices")).unwrap();
    match &query.items()[0].shows {
        Projected::Value(expression) => value(expression, &document()).map(Cow::into_owned),
        Projected::Aggregate(..) => panic!("{expression}"),
    }
}

#[test]
fn conditions_hold_or_not() {
    for (condition, holds) in [
        ("deviceId = 'pump-1'", true),
        ("deviceId = 'Pump-1'", false),
        ("DEVICEID = 'pump-1' AND devices.status = 'enabled'", true),
        ("tags.floor = 3 AND tags.floor = 3.0", true),
        ("tags.floor >= 3 AND tags.floor < 4 AND tags.floor <> 5", true),
        ("tags.floor IN [1, 2, 3]", true),
        ("tags.floor NIN [1, 2]", true),
        ("tags.floor NOT IN (3)", false),
        ("tags.room > 'z'", true),
        ("capabilities.iotEdge = false", true),
        ("capabilities.iotEdge", false),
        ("tags.on", true),
        ("NOT capabilities.iotEdge", true),
        ("tags.[[deep]].[[a.b]].c = 1", true),
        ("tags.list[1] = 2", true),
        ("tags.list = ['a', 2, null]", true),
        ("tags.empty = tags.empty", true),
        ("tags.big = 9007199254740993 AND tags.big != 9007199254740992", true),
        ("IS_DEFINED(tags.none) AND IS_NULL(tags.none) AND NOT IS_DEFINED(tags.nothing)", true),
        ("tags.none = null", true),
        ("tags.floor != null", true),
        ("tags.floor = null", false),
        ("STARTSWITH(deviceId, 'pump') AND ENDS_WITH(deviceId, '-1') AND CONTAINS(deviceId, 'mp-')", true),
        ("ARRAY_CONTAINS(tags.list, 'a') AND ARRAY_CONTAINS(tags.list, null)", true),
        ("ARRAY_CONTAINS(tags.list, 'b')", false),
        ("tags.floor + tags.half * 2 = 8", true),
    ] {
        assert_eq!(found(condition), holds, "{condition}");
    }
}

#[test]
fn what_is_undefined_is_not_found_either_way() {
    for undefined in [
        "tags.nothing = 'x'",
        "tags.nothing != 'x'",
        "tags.nothing IN ['x']",
        "tags.nothing NIN ['x']",
        "tags.floor = '3'",
        "tags.floor != '3'",
        "tags.floor < 'x'",
        "tags.list > tags.list",
        "LENGTH(tags.floor) > 0",
        "tags.floor / 0 > 0",
        "tags.floor",
        "undefined",
        "tags.floor.x.y = 1",
    ] {
        assert!(!found(undefined), "{undefined}");
        assert!(!found(&format!("NOT ({undefined})")), "NOT ({undefined})");
        assert!(found(&format!("{undefined} OR true")) && !found(&format!("{undefined} OR false")), "{undefined}");
        assert!(!found(&format!("{undefined} AND true")), "{undefined}");
        assert!(found(&format!("NOT ({undefined} AND false)")), "{undefined}");
    }
}

#[test]
fn functions_compute() {
    for (expression, result) in [
        ("LENGTH(tags.room)", json!(2)),
        ("UPPER(tags.room)", json!("É4")),
        ("LOWER('ABC')", json!("abc")),
        ("CONCAT('a', deviceId, 'b')", json!("apump-1b")),
        ("SUBSTRING(deviceId, 5)", json!("1")),
        ("SUBSTRING(deviceId, 0, 4)", json!("pump")),
        ("SUBSTRING(deviceId, 99, 4)", json!("")),
        ("SUBSTRING(deviceId, 2, -1)", json!("")),
        ("INDEX_OF(tags.room, '4')", json!(1)),
        ("INDEX_OF(tags.room, 'x')", json!(-1)),
        ("ARRAY_LENGTH(tags.list)", json!(3)),
        ("AS_NUMBER('12')", json!(12)),
        ("ABS(-2.5)", json!(2.5)),
        ("POWER(2, 10)", json!(1024)),
        ("SQUARE(tags.floor)", json!(9)),
        ("SQRT(16)", json!(4)),
        ("CEILING(tags.half)", json!(3)),
        ("FLOOR(-tags.half)", json!(-3)),
        ("SIGN(0)", json!(0)),
        ("ROUND_IS_NOT_HERE.x", Value::Null),
        ("7 / 2", json!(3.5)),
        ("8 / 2", json!(4)),
        ("7 % 4", json!(3)),
        ("-tags.floor", json!(-3)),
        ("9223372036854775807 + 1", json!(9_223_372_036_854_775_808.0)),
        ("[tags.floor, tags.nothing, 'x']", json!([3, "x"])),
    ] {
        let wanted = Some(result).filter(|value| !value.is_null());
        assert_eq!(computed(expression), wanted, "{expression}");
    }
    for undefined in [
        "UPPER(tags.floor)",
        "CONCAT('a', 1)",
        "SUBSTRING(deviceId, -1)",
        "SUBSTRING(deviceId, 'x')",
        "SQRT(-1)",
        "EXP(100000)",
        "AS_NUMBER('x')",
        "AS_NUMBER('inf')",
        "1 + 'a'",
        "5 % 0",
        "LENGTH(tags.nothing)",
        "-deviceId",
    ] {
        assert_eq!(computed(undefined), None, "{undefined}");
    }
}

#[test]
fn all_values_have_an_order() {
    let ascending = [
        None,
        Some(json!(null)),
        Some(json!(false)),
        Some(json!(true)),
        Some(json!(-1)),
        Some(json!(0.5)),
        Some(json!(7)),
        Some(json!("A")),
        Some(json!("a")),
        Some(json!([])),
        Some(json!({})),
    ];
    for (left, one) in ascending.iter().enumerate() {
        for (right, other) in ascending.iter().enumerate() {
            assert_eq!(in_order(one.as_ref(), other.as_ref()), left.cmp(&right), "{one:?} {other:?}");
        }
    }
    let long = json!("x".repeat(HUB_QUERY_ORDER_CHARS + 9));
    assert_eq!(order_key(Some(Cow::Borrowed(&long))).unwrap().as_str().unwrap().len(), HUB_QUERY_ORDER_CHARS);
    assert_eq!(order_key(Some(Cow::Borrowed(&json!({"a": 1})))), Some(json!({})));
}

proptest! {
    #[test]
    fn no_query_panics_over_any_document(
        query in "SELECT (\\*|[A-Z]{3,5}\\(tags[.a-z\\[\\]0-9]{0,6}(, ?-?[0-9'.]{1,4})?\\)) FROM devices WHERE [-a-zA-Z0-9.' \"()=<>!+*/%,\\[\\]]{0,40}",
        number: f64,
        text in "\\PC{0,8}",
    ) {
        let Ok(query) = Query::parse(&query) else { return Ok(()) };
        let document = json!({"deviceId": text, "tags": {"a": number, "b": [number, {"c": text}]}});
        for expression in query.expressions() {
            let _ = value(expression, &document);
        }
    }
}

#[test]
fn an_order_of_numbers_is_one_of_any_three() {
    let numbers = [
        json!(9_007_199_254_740_993_i64),
        json!(9_007_199_254_740_992_i64),
        json!(9_007_199_254_740_992.0),
        json!(1),
        json!(1.0),
        json!(u64::MAX),
        json!(i64::MAX),
        json!(-0.0),
        json!(0),
    ];
    let order = |left: &Value, right: &Value| in_order(Some(left), Some(right));
    for places in 0..numbers.len().pow(3) {
        let at = |power: u32| &numbers[places / numbers.len().pow(power) % numbers.len()];
        let (a, b, c) = (at(0), at(1), at(2));
        assert_eq!(order(a, b), order(b, a).reverse(), "{a} {b}");
        if order(a, b).is_lt() && order(b, c).is_le() {
            assert!(order(a, c).is_lt(), "{a} {b} {c}");
        }
    }
}
