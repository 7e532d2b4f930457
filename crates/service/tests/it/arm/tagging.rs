//! The tags API at every scope, and the names of tags over a subscription.

use super::fixture::{ADR, HUB, World, plant};
use super::views::{everything, world_of_everything};
use ferrohub_service::authz::builtin;
use serde_json::{Value, json};

const TAGS: &str = "2024-11-01";
const TAG_CONTRIBUTOR: &str = "4a9ae827-6dc8-4573-8ac7-8239d42aa03f";

fn tags_of(scope: &str) -> String {
    format!("{scope}/providers/Microsoft.Resources/tags/default")
}

fn patch(operation: &str, tags: Value) -> Value {
    json!({"operation": operation, "properties": {"tags": tags}})
}

#[tokio::test]
async fn tags_of_every_tracked_type_are_read_and_changed_at_their_scope() {
    let world = world_of_everything().await;
    // Whoever may tag needs no right to write what is tagged.
    let tagger = world.stranger().await;
    world.assign(tagger.id(), TAG_CONTRIBUTOR, &format!("/subscriptions/{}", world.subscription)).await;
    for (decl, path) in everything(&world).await {
        let version = decl.versions()[0];
        if !decl.tracked {
            let error = world.refused(&world.owner, "GET", &tags_of(&path), TAGS, None).await;
            assert_eq!(error.code, "TagsNotSupported", "{path}");
            continue;
        }
        let before = world.get(&path, version).await;
        let tags = json!({"properties": {"tags": {"One": "1", "two": "2"}}});
        let set = world.put(&tags_of(&path), TAGS, tags).await;
        assert_eq!(set["id"], tags_of(&path));
        assert_eq!((set["name"].as_str(), set["type"].as_str()), (Some("default"), Some("Microsoft.Resources/tags")));
        let merge = patch("merge", json!({"ONE": "x", "three": ""}));
        let merged = world.send(&tagger, "PATCH", &tags_of(&path), TAGS, Some(merge)).await.unwrap().body.unwrap();
        assert_eq!(merged["properties"]["tags"], json!({"two": "2", "ONE": "x", "three": ""}), "{path}");
        let less = patch("Delete", json!({"TWO": "2", "three": ""}));
        let less = world.send(&tagger, "PATCH", &tags_of(&path), TAGS, Some(less)).await.unwrap().body.unwrap();
        assert_eq!(less["properties"]["tags"], json!({"ONE": "x"}));
        assert_eq!(world.get(&tags_of(&path), TAGS).await["properties"]["tags"], json!({"ONE": "x"}));
        // Nothing but the tags is another.
        let without = |mut doc: Value| {
            for name in ["etag", "systemData", "tags"] {
                doc.as_object_mut().unwrap().shift_remove(name);
            }
            // Documents of the registry count their writes.
            if let Some(properties) = doc["properties"].as_object_mut() {
                for name in ["version", "lastTransitionTime"] {
                    properties.shift_remove(name);
                }
            }
            doc
        };
        let (after, before) = (without(world.get(&path, version).await), without(before));
        assert_eq!(after, before, "{path}");
        let gone = world.send(&world.owner, "DELETE", &tags_of(&path), TAGS, None).await.unwrap();
        assert_eq!(gone.status, 200);
        assert_eq!(world.get(&tags_of(&path), TAGS).await["properties"]["tags"], json!({}));
    }
}

#[tokio::test]
async fn a_subscription_has_tags_and_names_of_tags() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let subscription = format!("/subscriptions/{}", world.subscription);
    world.put(&tags_of(&subscription), TAGS, json!({"properties": {"tags": {"Site": "north"}}})).await;
    assert_eq!(world.get(&subscription, TAGS).await["tags"], json!({"Site": "north"}));
    world.put(&tags_of(&plant.hub), TAGS, json!({"properties": {"tags": {"site": "north", "line": "b"}}})).await;
    world.put(&tags_of(&plant.namespace), TAGS, json!({"properties": {"tags": {"SITE": "south"}}})).await;
    let names = format!("{subscription}/tagNames");
    let ask = async |method: &str, path: &str| {
        world.send(&world.owner, method, path, TAGS, None).await.map(|answer| (answer.status, answer.body))
    };
    let (status, made) = ask("PUT", &format!("{names}/owner")).await.unwrap();
    assert_eq!((status, made.unwrap()["count"]["value"].as_u64()), (201, Some(0)));
    assert_eq!(ask("PUT", &format!("{names}/Owner")).await.unwrap().0, 200);
    assert_eq!(ask("PUT", &format!("{names}/owner/tagValues/me")).await.unwrap().0, 201);
    let list = world.get(&names, TAGS).await;
    let seen: Vec<(String, u64, usize)> = list["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| {
            let values = name["values"].as_array().unwrap().len();
            (name["tagName"].as_str().unwrap().to_lowercase(), name["count"]["value"].as_u64().unwrap(), values)
        })
        .collect();
    assert_eq!(seen, [("line".into(), 1, 1), ("owner".into(), 0, 1), ("site".into(), 3, 2)]);
    assert_eq!(ask("DELETE", &format!("{names}/site/tagValues/south")).await.unwrap_err().code, "TagInUse");
    assert_eq!(ask("DELETE", &format!("{names}/site")).await.unwrap_err().http_status(), 409);
    assert_eq!(ask("DELETE", &format!("{names}/owner/tagValues/me")).await.unwrap().0, 200);
    assert_eq!(ask("DELETE", &format!("{names}/owner")).await.unwrap().0, 200);
    assert_eq!(ask("DELETE", &format!("{names}/owner")).await.unwrap().0, 204);
    assert_eq!(ask("PUT", &format!("{names}/a%3Cb")).await.unwrap_err().code, "InvalidTags");
}

#[tokio::test]
async fn who_may_what_and_what_is_refused() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let stranger = world.stranger().await;
    let body = json!({"properties": {"tags": {"a": "b"}}});
    for (method, action) in [("GET", "read"), ("PUT", "write"), ("PATCH", "write"), ("DELETE", "delete")] {
        let sent = (method != "GET" && method != "DELETE").then(|| body.clone());
        let error = world.refused(&stranger, method, &tags_of(&plant.hub), TAGS, sent).await;
        assert!(error.message.contains(&format!("Microsoft.Resources/tags/{action}")), "{method}: {error}");
    }
    world.assign(stranger.id(), builtin::CONTRIBUTOR, &plant.hub).await;
    world.send(&stranger, "PUT", &tags_of(&plant.hub), TAGS, Some(body.clone())).await.unwrap();
    let error = world.refused(&stranger, "PUT", &tags_of(&plant.namespace), TAGS, Some(body.clone())).await;
    assert_eq!(error.http_status(), 403);
    for (method, path, sent, code) in [
        ("PUT", tags_of(&plant.hub), json!({"tags": {}}), "InvalidPropertyValue"),
        ("PATCH", tags_of(&plant.hub), patch("Merge", json!([])), "InvalidPropertyValue"),
        ("PATCH", tags_of(&plant.hub), json!({"properties": {"tags": {}}}), "InvalidPropertyValue"),
        ("PUT", tags_of(&plant.hub), json!({"properties": {"tags": {"a/b": "x"}}}), "InvalidTags"),
        ("PUT", tags_of(&plant.hub), json!({"properties": {"tags": {"a": 1}}}), "InvalidTags"),
        (
            "PUT",
            tags_of(&format!("/subscriptions/{}", world.subscription)),
            json!({"properties": {"tags": {"a": 1}}}),
            "InvalidTags",
        ),
        ("PUT", tags_of(&format!("{}x", plant.hub)), body.clone(), "ResourceNotFound"),
        ("PUT", tags_of("/subscriptions/00000000-0000-0000-0000-000000000001"), body.clone(), "SubscriptionNotFound"),
        ("PUT", tags_of(""), body.clone(), "InvalidScope"),
    ] {
        let error = world.refused(&world.owner, method, &path, TAGS, Some(sent.clone())).await;
        assert_eq!(error.code, code, "{method} {path} {sent}: {error}");
    }
    let many: serde_json::Map<String, Value> = (0..51).map(|n| (format!("t{n}"), json!("x"))).collect();
    let error =
        world.refused(&world.owner, "PATCH", &tags_of(&plant.hub), TAGS, Some(patch("Merge", many.into()))).await;
    assert_eq!(error.code, "InvalidTags");
    let lock = format!("{}/providers/Microsoft.Authorization/locks/l", plant.hub);
    world.put(&lock, "2020-05-01", json!({"properties": {"level": "ReadOnly"}})).await;
    for (method, sent) in [("PUT", Some(body.clone())), ("DELETE", None)] {
        let error = world.refused(&world.owner, method, &tags_of(&plant.hub), TAGS, sent).await;
        assert_eq!(error.code, "ScopeLocked");
    }
    assert_eq!(world.get(&plant.hub, HUB).await["tags"], json!({"a": "b"}));
    world.get(&plant.namespace, ADR).await;
}

#[tokio::test]
async fn names_of_tags_ahead_of_their_use_have_room_and_devices_are_not_counted() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let device = json!({"location": "westeurope", "tags": {"of-device": "x"}, "properties": {}});
    world.put(&format!("{}/devices/pump-1", plant.namespace), ADR, device).await;
    world.put(&tags_of(&plant.dps), TAGS, json!({"properties": {"tags": {"after-devices": "x"}}})).await;
    let names = format!("/subscriptions/{}/tagNames", world.subscription);
    let all = world.get(&names, TAGS).await.to_string();
    assert!(all.contains("after-devices") && !all.contains("of-device"), "{all}");
    // Each value has a kilobyte.
    let (mut made, filler) = (0, "\u{1d518}".repeat(250));
    world.put(&format!("{names}/big"), TAGS, json!({})).await;
    let error = loop {
        let path = format!("{names}/big/tagValues/{made:04}{filler}");
        match world.send(&world.owner, "PUT", &path, TAGS, None).await {
            Ok(_) => made += 1,
            Err(error) => break error,
        }
        assert!(made < 1000, "there is no end");
    };
    assert_eq!((error.http_status(), error.code), (409, "TagNamesLimitExceeded"));
    assert!(made > 200, "{made}");
}
