use super::*;
use proptest::prelude::*;

const T1: &str = "2026-11-20T10:00:00.0000000Z";
const T2: &str = "2026-11-20T11:00:00.0000000Z";

fn desired(value: &Value) -> Value {
    json!({"properties": {"desired": value}})
}

#[test]
fn a_new_twin_has_version_one_and_the_first_etag() {
    let twin = Twin::new(T1);
    assert_eq!(twin.etag(), "AAAAAAAAAAE=");
    assert_eq!(twin.device_view(), json!({"desired": {"$version": 1}, "reported": {"$version": 1}}));
    let initial = Twin::initial(Some(&json!({"site": "7"})), Some(&json!({"rate": {"s": 5}})), T1).unwrap();
    assert_eq!(initial.desired_view(), json!({"rate": {"s": 5}, "$version": 1}));
    assert_eq!(initial.desired.metadata["rate"]["s"], json!({"$lastUpdated": T1, "$lastUpdatedVersion": 1}));
}

#[test]
fn a_patch_merges_and_null_deletes() {
    let mut twin =
        Twin::initial(Some(&json!({"a": 1, "b": 2})), Some(&json!({"x": {"p": 1, "q": 2}, "y": 1})), T1).unwrap();
    let body = json!({"tags": {"a": null}, "properties": {"desired": {"x": {"p": null, "r": 3}, "$version": 77, "$metadata": {}}, "reported": {"no": 1}}});
    let change = twin.patch(&body, T2).unwrap().unwrap();
    assert_eq!(change, DesiredChange { version: 2, patch: json!({"x": {"p": null, "r": 3}, "$version": 2}) });
    assert_eq!(Value::Object(twin.tags.clone()), json!({"b": 2}));
    assert_eq!(twin.desired_view(), json!({"x": {"q": 2, "r": 3}, "y": 1, "$version": 2}));
    let metadata = &twin.desired.metadata;
    assert_eq!((&metadata["$lastUpdated"], &metadata["$lastUpdatedVersion"]), (&json!(T2), &json!(2)));
    assert_eq!(metadata["x"]["q"]["$lastUpdatedVersion"], 1);
    assert_eq!(metadata["x"]["r"]["$lastUpdatedVersion"], 2);
    assert_eq!(metadata["y"]["$lastUpdated"], T1);
    assert!(metadata["x"].get("p").is_none());
    assert_eq!((twin.version, twin.etag().as_str()), (4, "AAAAAAAAAAM="));
}

#[test]
fn an_object_replaces_a_value_and_a_value_an_object() {
    let mut twin = Twin::initial(None, Some(&json!({"a": 1, "b": {"c": 1}})), T1).unwrap();
    twin.patch(&desired(&json!({"a": {"n": null, "m": 1}, "b": [1, 2]})), T2).unwrap();
    assert_eq!(twin.desired_view(), json!({"a": {"m": 1}, "b": [1, 2], "$version": 2}));
    assert_eq!(twin.desired.metadata["b"], json!({"$lastUpdated": T2, "$lastUpdatedVersion": 2}));
}

#[test]
fn replace_tells_the_device_the_difference() {
    let mut twin = Twin::initial(None, Some(&json!({"a": 1, "b": {"c": 1, "d": 2}, "e": 5})), T1).unwrap();
    let change = twin.replace(&desired(&json!({"b": {"c": 1, "x": 3}, "e": 5})), T2).unwrap().unwrap();
    assert_eq!(change.patch, json!({"a": null, "b": {"d": null, "x": 3}, "$version": 2}));
    assert_eq!(twin.desired_view(), json!({"b": {"c": 1, "x": 3}, "e": 5, "$version": 2}));
    assert!(twin.replace(&json!({"tags": {"t": 1}}), T2).unwrap().is_none());
    assert_eq!(twin.desired.version, 2);
}

#[test]
fn reports_have_their_own_version_and_leave_the_etag() {
    let mut twin = Twin::new(T1);
    let etag = twin.etag();
    assert_eq!(twin.patch_reported(&json!({"t": 20.5}), T2).unwrap(), 2);
    assert_eq!(twin.patch_reported(&json!({"t": null}), T2).unwrap(), 3);
    assert_eq!(twin.device_view()["reported"], json!({"$version": 3}));
    assert_eq!((twin.etag(), twin.version), (etag, 4));
    assert!(twin.reported.metadata.get("$lastUpdatedVersion").is_none());
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!({"k": inner}))
}

#[test]
fn limits_name_the_path_and_the_limit() {
    let long_key = "k".repeat(TWIN_KEY_BYTES + 1);
    for (value, words) in [
        (json!({"a": {"b": "x".repeat(4097)}}), vec!["properties.desired.a.b", "4096"]),
        (json!({"a": {"b": TWIN_INTEGER + 1}}), vec!["properties.desired.a.b", "4503599627370496"]),
        (json!({"a": [1, -TWIN_INTEGER - 1]}), vec!["properties.desired.a[1]", "4503599627370496"]),
        (json!({"a": u64::MAX}), vec!["properties.desired.a", "4503599627370496"]),
        (json!({"a": TWIN_INTEGER}), vec!["properties.desired.a", "4503599627370495"]),
        (serde_json::from_str(r#"{"a": 18446744073709551616}"#).unwrap(), vec!["properties.desired.a", "integer"]),
        (serde_json::from_str(r#"{"a": -99999999999999999999}"#).unwrap(), vec!["properties.desired.a", "integer"]),
        (json!({"a": {"b": [1, null]}}), vec!["properties.desired.a.b[1]", "null"]),
        (json!({"a#b": 1}), vec!["'a#b'"]),
        (nested(11), vec!["properties.desired.k.k", "10"]),
        (json!({"a b": 1}), vec!["'a b'", "properties.desired"]),
        (json!({"a.b": null}), vec!["'a.b'"]),
        (json!({"x": {"$version": 1}}), vec!["'$version'", "properties.desired.x"]),
        (json!({ long_key.as_str(): 1 }), vec!["1025", "1024"]),
        (json!([1]), vec!["properties.desired"]),
    ] {
        let mut twin = Twin::new(T1);
        let error = twin.patch(&desired(&value), T2).unwrap_err();
        assert_eq!(error.numeric_code(), 400_004);
        for word in words {
            assert!(error.message.contains(word), "{} lacks {word}", error.message);
        }
        assert_eq!(twin, Twin::new(T1), "a refused patch leaves no trace");
    }
    let mut twin = Twin::new(T1);
    assert!(twin.patch(&desired(&nested(10)), T2).is_ok());
    assert!(
        twin.patch(
            &desired(&json!({"a": TWIN_INTEGER - 1, "b": 1e300, "c": -TWIN_INTEGER, "d": 6.022e23, "e": 1e18 + 0.5})),
            T2
        )
        .is_ok()
    );
}

#[test]
fn null_is_a_value_of_patches_only() {
    let body = json!({"tags": {"a": {"b": null}}});
    for whole in [body.clone(), json!({"properties": {"desired": {"x": null}}}), json!({"tags": {"a": [null]}})] {
        let mut twin = Twin::new(T1);
        let error = twin.replace(&whole, T2).unwrap_err();
        assert!(error.numeric_code() == 400_004 && error.message.contains("null"), "{error}");
        assert_eq!(twin, Twin::new(T1));
    }
    assert!(Twin::new(T1).patch(&body, T2).is_ok());
    let error = Twin::initial(Some(&json!({"a": null})), None, T1).unwrap_err();
    assert!(error.message.contains("'tags.a'"), "{error}");
    assert!(Twin::new(T1).replace(&json!({"properties": {"desired": {"$version": null, "x": 1}}}), T2).is_ok());
    assert!(Twin::new(T1).patch_reported(&json!({"a": [null]}), T2).is_err());
}

#[test]
fn sizes_are_those_after_the_merge() {
    let part = |name: &str| json!({ name: ["x".repeat(4000), "y".repeat(4000)] });
    let mut twin = Twin::new(T1);
    for name in ["a", "b", "c", "d"] {
        twin.patch_reported(&part(name), T2).unwrap();
    }
    let error = twin.patch_reported(&part("e"), T2).unwrap_err();
    assert!(error.message.contains("properties.reported") && error.message.contains("32768"), "{}", error.message);
    assert_eq!(twin.reported.version, 5);
    let error =
        twin.patch(&json!({"tags": {"t": ["x".repeat(4000), "y".repeat(4000), "z".repeat(400)]}}), T2).unwrap_err();
    assert!(error.message.contains("'tags'") && error.message.contains("8192"));
}

#[test]
fn null_empties_a_section() {
    let mut twin = Twin::initial(Some(&json!({"a": 1})), Some(&json!({"x": 1})), T1).unwrap();
    let change = twin.patch(&json!({"tags": null, "properties": {"desired": null}}), T2).unwrap().unwrap();
    assert_eq!(change.patch, json!({"x": null, "$version": 2}));
    assert!(twin.tags.is_empty() && twin.desired.properties.is_empty());
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(12, 48, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-d. $]{1,2}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_object() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[a-e]", any_value(), 0..5).prop_map(|map| Value::Object(map.into_iter().collect()))
}

fn same_keys(properties: &Map<String, Value>, metadata: &Map<String, Value>) -> bool {
    let known = metadata.keys().filter(|key| !key.starts_with('$')).count();
    known == properties.len()
        && properties.iter().all(|(key, value)| match (value, metadata.get(key)) {
            (Value::Object(below), Some(Value::Object(meta))) => same_keys(below, meta),
            (_, Some(Value::Object(meta))) => meta.keys().all(|key| key.starts_with('$')),
            _ => false,
        })
}

fn has_null_member(object: &Map<String, Value>) -> bool {
    object.values().any(|value| value.is_null() || value.as_object().is_some_and(has_null_member))
}

proptest! {
    #[test]
    fn any_patch_is_refused_whole_or_applied_once(first in any_object(), second in any_value()) {
        let mut twin = Twin::new(T1);
        let _ = twin.patch_reported(&first, T1);
        let before = twin.clone();
        if twin.patch_reported(&second, T2).is_err() {
            prop_assert_eq!(&twin, &before);
            return Ok(());
        }
        let once = twin.reported.properties.clone();
        prop_assert!(twin.patch_reported(&second, T2).is_ok());
        prop_assert_eq!(&twin.reported.properties, &once, "a second application changes nothing");
        prop_assert!(same_keys(&twin.reported.properties, &twin.reported.metadata));
        prop_assert!(!has_null_member(&once));
        prop_assert!(serde_json::to_vec(&once).unwrap().len() <= TWIN_PROPERTIES_BYTES);
    }

    #[test]
    fn a_difference_leads_to_the_replacement(first in any_object(), second in any_object()) {
        let (mut told, mut replaced) = (Twin::new(T1), Twin::new(T1));
        if told.patch(&desired(&first), T1).is_err() || replaced.patch(&desired(&first), T1).is_err() {
            return Ok(());
        }
        if let Ok(Some(change)) = replaced.replace(&desired(&second), T2) {
            told.patch(&desired(&change.patch), T2).unwrap();
            prop_assert_eq!(&told.desired.properties, &replaced.desired.properties);
        }
    }

    #[test]
    fn stored_twins_survive_json(first in any_object()) {
        let mut twin = Twin::new(T1);
        let _ = twin.patch(&desired(&first), T1);
        let stored = serde_json::to_string(&twin).unwrap();
        let read: Twin = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), stored);
    }
}
