//! Locks at every scope, against every kind of write; made and taken while others write.

use super::fixture::{ADR, DPS, HUB, World, plant};
use ferrohub_service::authz::builtin;
use serde_json::{Value, json};

const LOCKS: &str = "2020-05-01";
const GROUPS: &str = "2024-11-01";

fn lock(scope: &str, name: &str) -> String {
    format!("{scope}/providers/Microsoft.Authorization/locks/{name}")
}

fn level(level: &str) -> Value {
    json!({"properties": {"level": level, "notes": "kept"}})
}

#[tokio::test]
async fn what_cannot_be_deleted_can_be_changed_and_holds_what_is_above() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let synchronize = format!("{}/credentials/default/synchronize", plant.namespace);
    world.send(&world.owner, "POST", &synchronize, ADR, None).await.unwrap();
    let hub_lock = lock(&plant.hub, "keep");
    let made = world.put(&hub_lock, LOCKS, level("cannotdelete")).await;
    assert_eq!(
        (made["type"].as_str(), made["properties"]["level"].as_str()),
        (Some("Microsoft.Authorization/locks"), Some("CanNotDelete"))
    );
    assert_eq!(made["properties"]["notes"], "kept");
    assert!(made["systemData"]["createdAt"].is_string() && made.get("location").is_none(), "{made}");
    assert!(world.get(&hub_lock, "2016-09-01").await.get("systemData").is_none());
    let certificate = world.get(&format!("{}/certificates", plant.hub), HUB).await["value"][0]["id"].clone();
    let certificate = certificate.as_str().unwrap().to_owned();
    for (path, version) in [(&plant.hub, HUB), (&certificate, HUB), (&plant.group, GROUPS)] {
        let error = world.refused(&world.owner, "DELETE", path, version, None).await;
        assert_eq!((error.code, error.http_status()), ("ScopeLocked", 409), "{path}");
        let text = format!(
            "cannot perform delete operation because following scope(s) are locked: '{}'. Please remove the lock and try again.",
            plant.hub
        );
        assert!(error.message.contains(&text) && error.details[0].1.contains(&hub_lock), "{error} {:?}", error.details);
    }
    // Nothing of the group went, and nothing is marked.
    assert_eq!(world.get(&plant.group, GROUPS).await["properties"]["provisioningState"], "Succeeded");
    for (path, version) in [(&plant.namespace, ADR), (&plant.dps, DPS), (&certificate, HUB)] {
        world.get(path, version).await;
    }
    let mut hub = world.get(&plant.hub, HUB).await;
    hub["tags"] = json!({"a": "b"});
    world.put(&plant.hub, HUB, hub).await;
    world.send(&world.owner, "POST", &format!("{}/listkeys", plant.hub), HUB, None).await.unwrap();
    let gone = world.send(&world.owner, "DELETE", &hub_lock, LOCKS, None).await.unwrap();
    assert_eq!(gone.status, 200);
    assert_eq!(world.send(&world.owner, "DELETE", &hub_lock, LOCKS, None).await.unwrap().status, 204);
    world.send(&world.owner, "DELETE", &plant.group, GROUPS, None).await.unwrap();
}

#[tokio::test]
async fn what_is_read_only_takes_no_write_of_any_kind() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let stranger = world.stranger().await;
    let group_lock = lock(&plant.group, "freeze");
    world.put(&group_lock, LOCKS, level("ReadOnly")).await;
    let new_hub = format!("{}/providers/Microsoft.Devices/IotHubs/hub9", plant.group);
    let device = format!("{}/devices/d1", plant.namespace);
    let role = format!("{}/providers/Microsoft.Authorization/roleAssignments/{}", plant.hub, uuid::Uuid::from_u128(7));
    let definition = format!(
        "/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{}",
        world.subscription,
        builtin::READER
    );
    let assignment = json!({"properties": {"roleDefinitionId": definition, "principalId": stranger.id()}});
    for (method, path, version, body) in [
        ("PUT", new_hub.clone(), HUB, Some(json!({"location": "westeurope", "sku": {"name": "S1", "capacity": 1}}))),
        ("PUT", plant.group.clone(), GROUPS, Some(json!({"location": "westeurope"}))),
        ("PATCH", plant.hub.clone(), HUB, Some(json!({"tags": {}}))),
        ("PUT", device.clone(), ADR, Some(json!({"location": "westeurope", "properties": {}}))),
        ("PUT", role.clone(), "2022-04-01", Some(assignment)),
        ("DELETE", plant.dps.clone(), DPS, None),
        ("POST", format!("{}/listkeys", plant.hub), HUB, None),
        ("POST", format!("{}/credentials/default/synchronize", plant.namespace), ADR, None),
    ] {
        let error = world.refused(&world.owner, method, &path, version, body).await;
        assert_eq!(error.code, "ScopeLocked", "{method} {path}: {error}");
        let word = if method == "DELETE" { "delete" } else { "write" };
        assert!(error.message.contains(&format!("cannot perform {word} operation")), "{error}");
        assert!(error.message.contains(&plant.group), "{error}");
    }
    world.get(&plant.hub, HUB).await;
    // A lock can be made and changed where there is one; what is read-only holds whatever else says.
    world.put(&lock(&plant.hub, "too"), LOCKS, level("CanNotDelete")).await;
    world.put(&group_lock, LOCKS, level("CanNotDelete")).await;
    world.put(&plant.group, GROUPS, json!({"location": "westeurope"})).await;
    let error = world.refused(&world.owner, "DELETE", &plant.hub, HUB, None).await;
    assert_eq!(error.details.len(), 2, "{:?}", error.details);
}

#[tokio::test]
async fn a_lock_of_the_subscription_reaches_everything_and_lists_are_by_scope() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let subscription = format!("/subscriptions/{}", world.subscription);
    let face = format!("{}/credentials/default", plant.namespace);
    for (scope, name) in [(&subscription, "top"), (&plant.group, "middle"), (&plant.namespace, "ns"), (&face, "root")] {
        world.put(&lock(scope, name), LOCKS, level("CanNotDelete")).await;
    }
    let names = async |scope: &str, query: &str| {
        let list = world.get(&format!("{scope}/providers/Microsoft.Authorization/locks{query}"), LOCKS).await;
        let mut names: Vec<String> =
            list["value"].as_array().unwrap().iter().map(|lock| lock["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(names(&subscription, "").await, "middle ns root top");
    assert_eq!(names(&plant.group, "").await, "middle ns root");
    assert_eq!(names(&plant.group, "?$filter=atScope()").await, "middle top");
    assert_eq!(names(&plant.hub, "").await, "");
    assert_eq!(names(&plant.hub, "?$filter=atScope()").await, "middle top");
    assert_eq!(names(&face, "").await, "root");
    // The other generation's name of the same authority is locked as well.
    let error = world.refused(&world.owner, "DELETE", &face, ADR, None).await;
    assert_eq!(error.code, "ScopeLocked");
    let error = world.refused(&world.owner, "DELETE", &plant.dps, DPS, None).await;
    assert!(error.message.contains(&format!("'{subscription},{}'", plant.group)), "{error}");
}

#[tokio::test]
async fn a_lock_needs_a_level_a_scope_and_the_right() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let path = lock(&plant.hub, "keep");
    for (body, target) in [
        (json!({"properties": {}}), "properties.level"),
        (json!({}), "properties.level"),
        (json!({"properties": {"level": "NotSpecified"}}), "properties.level"),
        (json!({"properties": {"level": 3}}), "properties.level"),
        (json!({"properties": {"level": "ReadOnly", "owners": [{"x": 1}]}}), "properties.owners[0].x"),
    ] {
        let error = world.refused(&world.owner, "PUT", &path, LOCKS, Some(body.clone())).await;
        assert_eq!((error.http_status(), error.target.as_deref()), (400, Some(target)), "{body}: {error}");
    }
    for (path, status) in [
        (lock("", "keep"), 403),
        (lock(&world.group("none"), "keep"), 404),
        (lock(&format!("{}x", plant.hub), "keep"), 404),
        (lock(&plant.hub, "a:b"), 400),
        (lock("/subscriptions/00000000-0000-0000-0000-000000000001", "keep"), 404),
    ] {
        let error = world.refused(&world.owner, "PUT", &path, LOCKS, Some(level("ReadOnly"))).await;
        assert_eq!(error.http_status(), status, "{path}: {error}");
    }
    let stranger = world.stranger().await;
    world.assign(stranger.id(), builtin::CONTRIBUTOR, &plant.group).await;
    let error = world.refused(&stranger, "PUT", &path, LOCKS, Some(level("ReadOnly"))).await;
    assert!(error.message.contains("Microsoft.Authorization/locks/write"), "{error}");
    for number in 0..20 {
        world.put(&lock(&plant.hub, &format!("l{number}")), LOCKS, level("CanNotDelete")).await;
    }
    let error = world.refused(&world.owner, "PUT", &path, LOCKS, Some(level("ReadOnly"))).await;
    assert_eq!(error.code, "LockLimitExceeded");
    world.put(&lock(&plant.hub, "l3"), LOCKS, level("ReadOnly")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_write_is_answered_past_a_lock() {
    let world = World::new().await;
    let plant = plant(&world).await;
    for round in 0..5 {
        let path = lock(&plant.group, "freeze");
        let write = async |number: usize| {
            for step in 0..20 {
                let tags = json!({"tags": {"n": format!("{round}.{number}.{step}")}});
                match world.send(&world.owner, "PATCH", &plant.hub, HUB, Some(tags)).await {
                    Ok(_) => {}
                    Err(error) => assert_eq!(error.code, "ScopeLocked", "{error}"),
                }
            }
        };
        let freeze = async {
            world.put(&path, LOCKS, level("ReadOnly")).await;
            world.get(&plant.hub, HUB).await["etag"].clone()
        };
        let all = async { tokio::join!(freeze, write(1), write(2), write(3)) };
        let (frozen, ..) = Box::pin(world.while_time_passes(all)).await;
        assert_eq!(world.get(&plant.hub, HUB).await["etag"], frozen, "written past the lock");
        world.send(&world.owner, "DELETE", &path, LOCKS, None).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_group_goes_whole_or_stays_whole_when_something_in_it_is_locked_meanwhile() {
    let world = World::new().await;
    for round in 0..6 {
        let group = world.group(&format!("g{round}"));
        world.put(&group, GROUPS, json!({"location": "westeurope"})).await;
        let mut hubs = Vec::new();
        for number in 0..3 {
            let hub = format!("{group}/providers/Microsoft.Devices/IotHubs/h{round}{number}");
            world.put(&hub, HUB, json!({"location": "westeurope", "sku": {"name": "S1", "capacity": 1}})).await;
            hubs.push(hub);
        }
        let path = lock(&hubs[2], "keep");
        let delete = world.send(&world.owner, "DELETE", &group, GROUPS, None);
        let lock = world.send(&world.owner, "PUT", &path, LOCKS, Some(level("CanNotDelete")));
        let both = async { tokio::join!(delete, lock) };
        let (gone, locked) = Box::pin(world.while_time_passes(both)).await;
        if let Err(error) = &locked {
            assert!(gone.is_ok() && matches!(error.http_status(), 404 | 409), "{error}");
            let error = world.refused(&world.owner, "GET", &group, GROUPS, None).await;
            assert_eq!(error.code, "ResourceGroupNotFound");
            continue;
        }
        assert_eq!(gone.unwrap_err().code, "ScopeLocked");
        for hub in &hubs {
            assert_eq!(world.get(hub, HUB).await["properties"]["provisioningState"], "Succeeded");
        }
        assert_eq!(world.get(&group, GROUPS).await["properties"]["provisioningState"], "Succeeded");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_write_below_a_resource_is_answered_past_a_lock() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let below = format!("{}/eventHubEndpoints/events/ConsumerGroups", plant.hub);
    let path = lock(&plant.hub, "frozen");
    for round in 0..5 {
        let write = async |number: usize| {
            for step in 0..10 {
                let group = format!("{below}/g{number}");
                let method = if step % 2 == 0 { "PUT" } else { "DELETE" };
                let body = Some(json!({"properties": {"name": format!("g{number}")}}));
                match world.send(&world.owner, method, &group, HUB, body.filter(|_| method == "PUT")).await {
                    Ok(_) => {}
                    Err(error) => assert!(matches!(error.http_status(), 404 | 409), "{round} {error}"),
                }
            }
        };
        let freeze = async {
            world.put(&path, LOCKS, level("ReadOnly")).await;
            world.get(&plant.hub, HUB).await["etag"].clone()
        };
        let all = async { tokio::join!(freeze, write(1), write(2), write(3)) };
        let (frozen, ..) = Box::pin(world.while_time_passes(all)).await;
        assert_eq!(world.get(&plant.hub, HUB).await["etag"], frozen, "written past the lock");
        world.send(&world.owner, "DELETE", &path, LOCKS, None).await.unwrap();
    }
}

/// The roles on a resource go before it, in a unit of their own, which holds as long as no lock is made.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_resource_that_is_locked_while_it_is_deleted_goes_whole_or_stays() {
    let world = World::new().await;
    let group = world.group("g1");
    world.put(&group, GROUPS, json!({"location": "westeurope"})).await;
    let stranger = world.stranger().await;
    for round in 0..12 {
        let identity = format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/identity-{round}");
        world.put(&identity, "2023-01-31", json!({"location": "westeurope"})).await;
        world.assign(stranger.id(), builtin::READER, &identity).await;
        let path = lock(&identity, "keep");
        let delete = world.send(&world.owner, "DELETE", &identity, "2023-01-31", None);
        let lock = async {
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
            world.send(&world.owner, "PUT", &path, LOCKS, Some(level("CanNotDelete"))).await
        };
        let both = async { tokio::join!(delete, lock) };
        let (gone, locked) = Box::pin(world.while_time_passes(both)).await;
        let assignments = format!("{identity}/providers/Microsoft.Authorization/roleAssignments?$filter=atScope()");
        if let Err(refused) = gone {
            assert_eq!(refused.code, "ScopeLocked");
            locked.unwrap();
            assert_eq!(world.get(&identity, "2023-01-31").await["id"], json!(identity));
            world.send(&world.owner, "DELETE", &path, LOCKS, None).await.unwrap();
            world.send(&world.owner, "DELETE", &identity, "2023-01-31", None).await.unwrap();
        } else if let Err(error) = locked {
            assert!(matches!(error.http_status(), 404 | 409), "{error}");
        } else {
            panic!("{round}: both were answered well, and one of them was not looked at");
        }
        world.put(&identity, "2023-01-31", json!({"location": "westeurope"})).await;
        let left = world.get(&assignments, "2022-04-01").await;
        let here = |one: &&Value| one["properties"]["scope"] == json!(identity);
        assert_eq!(left["value"].as_array().unwrap().iter().filter(here).count(), 0, "{left}");
    }
}

/// A delete that began before somebody locked the resource takes no role of it.
#[tokio::test]
async fn the_roles_of_a_locked_resource_stay() {
    let world = World::new().await;
    let group = world.group("g1");
    world.put(&group, GROUPS, json!({"location": "westeurope"})).await;
    let identity = format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/identity-1");
    world.put(&identity, "2023-01-31", json!({"location": "westeurope"})).await;
    let stranger = world.stranger().await;
    let made = world.assign(stranger.id(), builtin::READER, &identity).await;
    for above in [&identity, &group] {
        let path = lock(above, "keep");
        world.put(&path, LOCKS, level("CanNotDelete")).await;
        let refused = world.refused(&world.owner, "DELETE", &identity, "2023-01-31", None).await;
        assert_eq!(refused.code, "ScopeLocked", "{refused}");
        assert_eq!(world.get(made["id"].as_str().unwrap(), "2022-04-01").await["id"], made["id"]);
        world.send(&world.owner, "DELETE", &path, LOCKS, None).await.unwrap();
    }
}
