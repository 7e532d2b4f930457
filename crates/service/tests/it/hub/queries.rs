use super::fixture::World;
use ferrohub_model::error::{Error, ErrorKind};
use ferrohub_service::hub::{ClientId, QueryPage};
use ferrohub_service::provisioning::PageRequest;
use serde_json::{Value, json};

async fn asked(world: &World, query: &str, page: PageRequest) -> Result<QueryPage, Error> {
    world.service().query(&world.caller, &world.hub, query, &page).await
}

async fn all(world: &World, query: &str) -> Vec<Value> {
    let page = asked(world, query, PageRequest::default()).await.unwrap();
    assert_eq!(page.continuation, None, "{query}");
    page.items
}

async fn ids(world: &World, query: &str) -> Vec<String> {
    all(world, query).await.iter().map(|item| item["deviceId"].as_str().unwrap().to_owned()).collect()
}

/// All results, `count` at a time.
async fn paged(world: &World, query: &str, count: usize) -> Vec<Value> {
    let (mut items, mut continuation) = (Vec::new(), None);
    loop {
        let page = asked(world, query, PageRequest { max_items: Some(count), continuation }).await.unwrap();
        assert!(page.items.len() <= count);
        items.extend(page.items);
        continuation = page.continuation;
        if continuation.is_none() {
            return items;
        }
    }
}

/// Devices `a` to `f`: floors 1, 2, 3, 1, 2, none; `f` disabled.
async fn populated() -> World {
    let world = World::new().await;
    let (service, hub) = (world.service(), &world.hub);
    for (id, floor) in [("a", Some(1)), ("b", Some(2)), ("c", Some(3)), ("d", Some(1)), ("e", Some(2)), ("f", None)] {
        let status = if floor.is_none() { "disabled" } else { "enabled" };
        service.put_device(&world.caller, hub, id, &json!({ "status": status }), None).await.unwrap();
        if let Some(floor) = floor {
            let body = json!({"tags": {"floor": floor}, "properties": {"desired": {"speed": floor * 10}}});
            service.patch_twin(&world.caller, hub, id, &body, None).await.unwrap();
        }
    }
    for module in ["m1", "m2"] {
        service.put_module(&world.caller, hub, ClientId::module("a", module), &json!({}), None).await.unwrap();
    }
    world
}

#[tokio::test]
async fn twins_are_found_by_what_they_are() {
    let world = populated().await;
    for (condition, wanted) in [
        ("tags.floor = 1", &["a", "d"][..]),
        ("tags.floor > 1 AND NOT deviceId = 'e'", &["b", "c"]),
        ("properties.desired.speed >= 20 AND deviceId IN ['b', 'c', 'z']", &["b", "c"]),
        ("status = 'disabled'", &["f"]),
        ("NOT IS_DEFINED(tags.floor)", &["f"]),
        ("tags.floor != 1", &["b", "c", "e"]),
        ("STARTSWITH(deviceId, 'c') OR deviceId = 'a'", &["a", "c"]),
        ("connectionState = 'Disconnected' AND capabilities.iotEdge = false", &["a", "b", "c", "d", "e", "f"]),
        ("lastActivityTime > '2000'", &[]),
        ("deviceId = 'nobody'", &[]),
    ] {
        assert_eq!(ids(&world, &format!("SELECT * FROM devices WHERE {condition}")).await, wanted, "{condition}");
    }
    let found = asked(&world, "select * from devices where deviceId = 'c'", PageRequest::default()).await.unwrap();
    assert_eq!(found.item_type, "twin");
    let twin = world.service().get_twin(&world.caller, &world.hub, "c").await.unwrap();
    assert_eq!(found.items, [twin], "as it is read by itself");
    let raw = asked(
        &world,
        "SELECT deviceId, tags.floor AS f FROM devices WHERE deviceId IN ['c', 'f']",
        PageRequest::default(),
    );
    let raw = raw.await.unwrap();
    assert_eq!((raw.item_type, raw.items), ("raw", vec![json!({"deviceId": "c", "f": 3}), json!({"deviceId": "f"})]));
    assert_eq!(all(&world, "SELECT TOP 2 deviceId FROM devices").await.len(), 2);
    assert_eq!(all(&world, "SELECT TOP 0 * FROM devices").await.len(), 0);
}

#[tokio::test]
async fn modules_are_queried_beside_devices() {
    let world = populated().await;
    let found = all(&world, "SELECT * FROM devices.modules WHERE moduleId = 'm2'").await;
    let twin = world.service().get_twin(&world.caller, &world.hub, ClientId::module("a", "m2")).await.unwrap();
    assert_eq!(found, [twin]);
    assert_eq!((&found[0]["deviceId"], &found[0]["moduleId"]), (&json!("a"), &json!("m2")));
    assert_eq!(all(&world, "SELECT COUNT() AS n FROM devices.modules").await, [json!({"n": 2})]);
    assert_eq!(all(&world, "SELECT COUNT() AS n FROM devices.modules WHERE deviceId = 'b'").await, [json!({"n": 0})]);
    assert_eq!(all(&world, "SELECT COUNT() AS n FROM devices").await, [json!({"n": 6})], "modules are no devices");
    assert_eq!(paged(&world, "SELECT moduleId FROM devices.modules", 1).await.len(), 2);
}

#[tokio::test]
async fn groups_and_aggregates() {
    let world = populated().await;
    let grouped =
        "SELECT tags.floor AS floor, COUNT() AS n FROM devices GROUP BY tags.floor ORDER BY n DESC, tags.floor DESC";
    let wanted =
        [json!({"floor": 2, "n": 2}), json!({"floor": 1, "n": 2}), json!({"floor": 3, "n": 1}), json!({"n": 1})];
    assert_eq!(all(&world, grouped).await, wanted);
    assert_eq!(paged(&world, grouped, 1).await, wanted, "page by page");
    let numbers = "SELECT AVG(tags.floor) AS avg, SUM(tags.floor) AS sum, MIN(tags.floor) AS min, MAX(deviceId) AS max, COUNT(tags.floor) AS n FROM devices";
    assert_eq!(all(&world, numbers).await, [json!({"avg": 1.8, "sum": 9, "min": 1, "max": "f", "n": 5})]);
    let nothing =
        "SELECT COUNT() AS n, SUM(tags.floor) AS sum, AVG(tags.floor) AS avg FROM devices WHERE tags.floor > 9";
    assert_eq!(all(&world, nothing).await, [json!({"n": 0, "sum": 0})]);
    assert_eq!(
        all(&world, "SELECT tags.floor FROM devices WHERE tags.floor > 9 GROUP BY tags.floor").await,
        [] as [Value; 0]
    );
}

#[tokio::test]
async fn an_order_is_kept_over_pages() {
    let world = populated().await;
    let query = "SELECT deviceId FROM devices ORDER BY tags.floor DESC, deviceId DESC";
    let wanted = ["c", "e", "b", "d", "a", "f"];
    assert_eq!(ids(&world, query).await, wanted);
    for count in 1..=4 {
        let found = paged(&world, query, count).await;
        assert_eq!(found, wanted.map(|id| json!({ "deviceId": id })), "{count} at a time");
    }
    let top = paged(&world, "SELECT TOP 3 deviceId FROM devices ORDER BY tags.floor", 2).await;
    assert_eq!(top, ["f", "a", "d"].map(|id| json!({ "deviceId": id })), "undefined comes first");
}

#[tokio::test]
async fn a_continuation_stays_where_it_is_while_devices_come_and_go() {
    let world = populated().await;
    let (service, hub, query) = (world.service(), &world.hub, "SELECT deviceId FROM devices");
    let first = asked(&world, query, PageRequest { max_items: Some(2), continuation: None }).await.unwrap();
    assert_eq!(first.items, [json!({"deviceId": "a"}), json!({"deviceId": "b"})]);
    service.delete_device(&world.caller, hub, "b", None).await.unwrap();
    service.delete_device(&world.caller, hub, "c", None).await.unwrap();
    for id in ["aa", "dd"] {
        service.put_device(&world.caller, hub, id, &json!({}), None).await.unwrap();
    }
    let next = PageRequest { max_items: Some(3), continuation: first.continuation.clone() };
    let second = asked(&world, query, next).await.unwrap();
    assert_eq!(second.items, ["d", "dd", "e"].map(|id| json!({ "deviceId": id })), "each once, what was just made too");
    for (query, token) in [
        ("SELECT deviceId FROM devices WHERE true", first.continuation.as_deref()),
        (query, Some("e30")),
        (query, Some("***")),
        (query, Some("eyJxIjowLCJuIjowLCJhIjoiYSJ9")),
    ] {
        let page = PageRequest { max_items: None, continuation: token.map(str::to_owned) };
        let refused = asked(&world, query, page).await.unwrap_err();
        assert_eq!(refused.numeric_code(), 400_004, "{token:?}");
        assert!(refused.message.contains("x-ms-continuation"));
    }
}

#[tokio::test]
async fn what_cannot_be_answered_is_said() {
    let world = World::new().await;
    let error = asked(&world, "SELECT * FROM devices WHERE", PageRequest::default()).await.unwrap_err();
    assert_eq!((error.kind, error.numeric_code()), (ErrorKind::Invalid, 400_004));
    assert!(error.message.contains("position 28"), "{}", error.message);
    let jobs = asked(&world, "SELECT * FROM devices.jobs", PageRequest::default()).await.unwrap_err();
    assert_eq!((jobs.kind, jobs.numeric_code()), (ErrorKind::NotImplemented, 501_000));
    // The right is asked for before the query is looked at.
    let token = world.policy_token(super::fixture::HOST, "device");
    let device = world.service().authenticate(&world.hub, Some(&token)).await.unwrap();
    let refused = world.service().query(&device, &world.hub, "nonsense", &PageRequest::default()).await.unwrap_err();
    assert_eq!(refused.numeric_code(), 401_002);
    for policy in ["service", "registryRead"] {
        let token = world.policy_token(super::fixture::HOST, policy);
        let actor = world.service().authenticate(&world.hub, Some(&token)).await.unwrap();
        assert!(
            world.service().query(&actor, &world.hub, "SELECT * FROM devices", &PageRequest::default()).await.is_ok(),
            "{policy}"
        );
    }
}

#[tokio::test]
async fn lists_and_counts() {
    let world = populated().await;
    let (service, hub) = (world.service(), &world.hub);
    let listed = service.list_devices(&world.caller, hub, None).await.unwrap();
    assert_eq!(listed.iter().map(|device| &device["deviceId"]).collect::<Vec<_>>(), ["a", "b", "c", "d", "e", "f"]);
    assert_eq!(listed[0], service.get_device(&world.caller, hub, "a").await.unwrap(), "keys and all");
    assert_eq!(service.list_devices(&world.caller, hub, Some(2)).await.unwrap().len(), 2);
    assert_eq!(service.list_devices(&world.caller, hub, Some(0)).await.unwrap().len(), 0);
    let counts = service.device_statistics(&world.caller, hub).await.unwrap();
    assert_eq!(counts, json!({"totalDeviceCount": 6, "enabledDeviceCount": 5, "disabledDeviceCount": 1}));
}

#[tokio::test]
async fn no_query_holds_more_than_it_may() {
    let world = World::new().await;
    let (service, hub) = (world.service(), &world.hub);
    // Thirty twins with about 8 KB of tags each, which no two have in common.
    let words: Vec<String> = (0..2).map(|letter| letter.to_string().repeat(3900)).collect();
    for number in 0..30 {
        let id = format!("d{number:02}");
        service.put_device(&world.caller, hub, &id, &json!({}), None).await.unwrap();
        let tags = json!({"a": words[0], "b": words[1], "n": number});
        service.patch_twin(&world.caller, hub, &id, &json!({ "tags": tags }), None).await.unwrap();
    }
    let items =
        |count: usize, value: &str| (0..count).map(|n| format!("{value} AS a{n}")).collect::<Vec<_>>().join(", ");
    for query in [
        format!("SELECT {} FROM devices", items(100, "tags")),
        format!("SELECT {} FROM devices ORDER BY deviceId", items(100, "tags")),
        format!("SELECT {} FROM devices GROUP BY tags", items(100, "tags")),
        format!("SELECT {} FROM devices GROUP BY tags ORDER BY a0, a1", items(100, "tags")),
    ] {
        let first = asked(&world, &query, PageRequest::default()).await.unwrap();
        assert!((5..20).contains(&first.items.len()) && first.continuation.is_some(), "{query}: {}", first.items.len());
        assert_eq!(paged(&world, &query, 1000).await.len(), 30, "{query}");
    }
    let lists = (0..10).map(|n| format!("[{n}, {}]", ["tags"; 10].join(", "))).collect::<Vec<_>>().join(", ");
    let error = asked(&world, &format!("SELECT COUNT() FROM devices GROUP BY {lists}"), PageRequest::default())
        .await
        .unwrap_err();
    assert!(error.numeric_code() == 400_004 && error.message.contains("16 MB"), "{error}");
    let nested = (0..60).fold("deviceId".to_owned(), |text, _| format!("CONCAT({text}, 'x')"));
    let query = format!("SELECT COUNT() AS n FROM devices WHERE LENGTH({nested}) = 63");
    assert_eq!(all(&world, &query).await, [json!({"n": 30})], "an argument is looked at once");
    assert_eq!(all(&world, "SELECT COUNT() AS n FROM devices").await, [json!({"n": 30})]);
}
