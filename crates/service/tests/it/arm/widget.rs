//! A type that only the tests have: what "adding a resource type is one file" takes.

use ferrohub_service::arm::declaration::{NameRule, TypeDecl, View, inner_dashes};
use ferrohub_service::arm::schema::{Check, PROVISIONING_STATE, acted};
use ferrohub_service::resources::{Kind, tag};
use serde_json::{Value, json};

/// Widgets, whose older shape calls their size `width`.
pub(super) static DECL: TypeDecl = TypeDecl {
    tracked: true,
    name: NameRule { min: 2, max: 10, legal: inner_dashes, text: "letters, digits and inner '-'" },
    properties: &[
        acted("size", Check::Integer(1, 9)),
        acted("colour", Check::OneOf(&["Red", "Blue"])).create_only(),
        acted("note", Check::Text(100)),
        PROVISIONING_STATE,
    ],
    subs: &[("POST", "polish")],
    ..TypeDecl::new(
        Kind { listed: true, ..Kind::new("widget", "Test.Widgets", &["widgets"]) },
        &["2030-01-01", "2031-01-01"],
        &[
            View {
                to: |doc| rename(doc, "size", "width"),
                from: |doc| rename(doc, "width", "size"),
                ..View::hiding("2030-01-01", Some("2030-01-01"), &["etag", "properties.note"])
            },
            View::hiding("2031-01-01", None, &["etag"]),
        ],
    )
};

fn rename(doc: &mut Value, from: &str, to: &str) {
    if let Some(properties) = doc.get_mut("properties").and_then(Value::as_object_mut)
        && let Some(value) = properties.shift_remove(from)
    {
        properties.insert(to.into(), value);
    }
}

pub(super) fn provider(group: &str) -> String {
    format!("{group}/providers/Test.Widgets")
}

pub(super) fn body() -> Value {
    json!({"location": "westeurope", "tags": {"a": "b"}, "properties": {"width": 3, "colour": "Red"}})
}

mod tests {
    use super::super::fixture::World;
    use super::*;
    use ferrohub_service::arm::types::Types;

    #[tokio::test]
    async fn a_declaration_is_all_that_a_type_takes() {
        let world = World::with_types(Types::built_in().with(&[&DECL])).await;
        let group = world.group("rg1");
        world.put(&group, "2024-11-01", json!({"location": "westeurope"})).await;
        let path = format!("{}/widgets/w1", provider(&group));
        let made = world.put(&path, "2030-01-01", body()).await;
        assert_eq!(
            (made["type"].as_str(), made["properties"]["width"].as_u64()),
            (Some("Test.Widgets/widgets"), Some(3))
        );
        let newer = world.get(&path, "2031-01-01").await;
        assert_eq!(newer["properties"]["size"], 3);

        // What the older shape does not know is kept by its writes.
        let mut with_note = newer.clone();
        with_note["properties"]["note"] = json!("keep");
        world.put(&path, "2031-01-01", with_note).await;
        world.put(&path, "2030-01-01", body()).await;
        assert_eq!(world.get(&path, "2031-01-01").await["properties"]["note"], "keep");

        for (properties, code, target) in [
            (json!({"width": 10}), "InvalidPropertyValue", "properties.size"),
            (json!({"width": 3, "colour": "Green"}), "InvalidPropertyValue", "properties.colour"),
            (json!({"width": 3, "colour": "Blue"}), "PropertyChangeNotAllowed", "properties.colour"),
        ] {
            let body = json!({"location": "westeurope", "properties": properties});
            let error = world.refused(&world.owner, "PUT", &path, "2030-01-01", Some(body)).await;
            assert_eq!((error.code, error.target.as_deref()), (code, Some(target)));
        }
        let stranger = world.stranger().await;
        let error = world.refused(&stranger, "GET", &path, "2031-01-01", None).await;
        assert!(error.message.contains("Test.Widgets/widgets/read"), "{}", error.message);
        let listed = world.get(&format!("{}/widgets", provider(&group)), "2031-01-01").await;
        assert_eq!(listed["value"].as_array().unwrap().len(), 1);
        let provider =
            world.get(&format!("/subscriptions/{}/providers/Test.Widgets", world.subscription), "2024-11-01").await;
        assert_eq!(provider["resourceTypes"][0]["apiVersions"], json!(["2031-01-01", "2030-01-01"]));
        let gone = world.send(&world.owner, "DELETE", &path, "2031-01-01", None).await.unwrap();
        assert_eq!(gone.status, 200);
        assert!(world.platform().types.tagged(tag::NAMESPACE).is_some());
    }
}
