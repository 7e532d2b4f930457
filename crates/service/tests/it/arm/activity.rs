//! Every write leaves a row in the activity log, in the unit of work of what it reports.

use super::fixture::{ADR, HUB, World, plant};
use super::namespace_links::Site;
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use ferrohub_model::limits;
use ferrohub_service::platform::Platform;
use ferrohub_service::tables::ACTIVITY;
use ferrohub_service::worker;
use ferrohub_store::Page;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The rows of a resource, oldest first; what follows is younger, so that the order is that of time.
pub(super) async fn rows(world: &World, resource: &str) -> Vec<Value> {
    world.clock.advance(Duration::from_millis(1));
    let all = world.platform().store.scan(&ACTIVITY, "", Page::first(1000)).await.unwrap();
    all.iter().map(|row| row.value().unwrap()).filter(|doc| doc["resourceId"] == resource).collect()
}

#[tokio::test]
async fn writes_actions_and_deletes_are_reported_once_each() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let policy = format!("{}/credentials/default/policies/default", plant.namespace);
    let made = rows(&world, &policy).await;
    assert_eq!(made.len(), 1);
    assert_eq!(made[0]["operationName"], "Microsoft.DeviceRegistry/namespaces/credentials/policies/write");
    assert_eq!((&made[0]["status"], &made[0]["httpStatus"]), (&json!("Succeeded"), &json!(201)));
    assert_eq!((&made[0]["caller"], &made[0]["callerId"]), (&json!(world.owner.name()), &json!(world.owner.id())));
    let credential = format!("{}/credentials/default", plant.namespace);
    world.send(&world.owner, "POST", &format!("{credential}/synchronize"), ADR, None).await.unwrap();
    let mut told: Vec<Value> = rows(&world, &credential).await.iter().map(|row| row["status"].clone()).collect();
    // Of one millisecond, so in any order.
    told.sort_by_key(Value::to_string);
    assert_eq!(told, ["Started", "Succeeded", "Succeeded"], "made, and a synchronization that began and ended");
    world.send(&world.owner, "POST", &format!("{}/listkeys", plant.hub), HUB, None).await.unwrap();
    let of_hub = rows(&world, &plant.hub).await;
    assert_eq!(of_hub.last().unwrap()["operationName"], "Microsoft.Devices/IotHubs/listkeys/action");
    world.clock.advance(Duration::from_millis(1));
    world.send(&world.owner, "DELETE", &policy, ADR, None).await.unwrap();
    assert_eq!(rows(&world, &policy).await.last().unwrap()["httpStatus"], 204);
    // Reading leaves nothing behind.
    let before = rows(&world, &plant.namespace).await.len();
    world.get(&plant.namespace, ADR).await;
    assert_eq!(rows(&world, &plant.namespace).await.len(), before);
}

/// What a request writes beside its own resource is told where it is.
#[tokio::test]
async fn what_is_written_along_has_a_row_of_its_own() {
    let site = Site::new().await;
    let world = &site.world;
    site.grant().await;
    let before = rows(world, &site.hub).await.len();
    site.put(site.body()).await;
    for (linked, action) in
        [(&site.hub, "Microsoft.Devices/IotHubs/write"), (&site.dps, "Microsoft.Devices/provisioningServices/write")]
    {
        let of_namespace = rows(world, &site.namespace).await;
        let written =
            of_namespace.iter().rfind(|row| row["operationName"] == "Microsoft.DeviceRegistry/namespaces/write");
        let told = rows(world, linked).await;
        let last = told.last().unwrap();
        assert_eq!((&last["operationName"], &last["callerId"]), (&json!(action), &json!(world.owner.id())));
        assert_eq!(last["correlationId"], written.unwrap()["correlationId"], "{linked}");
    }
    assert_eq!(rows(world, &site.hub).await.len(), before + 1);

    let groups = format!("{}/eventHubEndpoints/events/ConsumerGroups/cg-1", site.hub);
    for (method, action) in [("PUT", "write"), ("PUT", "write"), ("DELETE", "delete")] {
        world.send(&world.owner, method, &groups, HUB, None).await.unwrap();
        let told = rows(world, &site.hub).await;
        let action = format!("Microsoft.Devices/IotHubs/eventHubEndpoints/ConsumerGroups/{action}");
        assert_eq!(told.last().unwrap()["operationName"].as_str().unwrap().to_lowercase(), action.to_lowercase());
    }
    assert_eq!(rows(world, &site.hub).await.len(), before + 4, "one each, also for what was there already");
}

#[tokio::test]
async fn a_refused_write_of_a_known_caller_is_a_row_and_changes_nothing_else() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let stranger = world.stranger().await;
    let before = rows(&world, &plant.hub).await.len();
    world.refused(&stranger, "PUT", &plant.hub, HUB, Some(json!({"location": "westeurope"}))).await;
    let after = rows(&world, &plant.hub).await;
    assert_eq!(after.len(), before + 1);
    let last = after.last().unwrap();
    assert_eq!((&last["status"], &last["httpStatus"]), (&json!("Failed"), &json!(403)));
    assert_eq!((&last["callerId"], &last["error"]["code"]), (&json!(stranger.id()), &json!("AuthorizationFailed")));
    world.clock.advance(Duration::from_millis(1));
    // A write that lost against its condition reports its failure, and no success.
    let hub = world.get(&plant.hub, HUB).await;
    world.request(&world.owner, "PUT", &plant.hub, HUB, Some(hub), Some("\"stale\"")).await.unwrap_err();
    let statuses: Vec<Value> =
        rows(&world, &plant.hub).await.iter().skip(before).map(|row| row["httpStatus"].clone()).collect();
    assert_eq!(statuses, [json!(403), json!(412)]);
}

#[tokio::test]
async fn what_is_refused_again_and_again_is_counted() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let stranger = world.stranger().await;
    let all = async || world.platform().store.scan(&ACTIVITY, "", Page::first(10_000)).await.unwrap().len();
    let before = all().await;
    for _ in 0..300 {
        world.refused(&stranger, "DELETE", &plant.hub, HUB, None).await;
    }
    for nth in 0..300 {
        let path = format!("/subscriptions/{}/resourceGroups/made-up-{nth}", world.platform().tenancy.subscription_id);
        world.request(&stranger, "DELETE", &path, "2024-11-01", None, None).await.unwrap_err();
    }
    let each = limits::FAILURES_OF_CALLER * crate::PROCESSES;
    assert!((2..=each).contains(&(all().await - before)), "{}", all().await - before);
    // A success of the same minute is told in full.
    let (rows_before, body) = (rows(&world, &plant.hub).await.len(), world.get(&plant.hub, HUB).await);
    for _ in 0..3 {
        world.request(&world.owner, "PUT", &plant.hub, HUB, Some(body.clone()), None).await.unwrap();
    }
    assert_eq!(rows(&world, &plant.hub).await.len(), rows_before + 3);
    // When the hour is over, the worker tells how often it was.
    world.clock.advance(Duration::from_secs(3601));
    let (stop, stopped) = watch::channel(false);
    let start = |platform: &Arc<Platform>| tokio::spawn(worker::run(Arc::clone(platform), stopped.clone()));
    let workers: Vec<JoinHandle<()>> = world.platforms().iter().map(start).collect();
    let wanted = 300 - crate::PROCESSES as u64;
    for attempt in 0.. {
        let told: u64 = rows(&world, &plant.hub).await.iter().filter_map(|row| row["repeats"].as_u64()).sum();
        if told == wanted {
            break;
        }
        assert!(attempt < 500, "{told} repeats are told, {wanted} were expected");
        // A worker may have lain down after the clock was moved.
        world.clock.advance(Duration::from_secs(2));
        SystemClock.sleep(Duration::from_millis(10)).await;
    }
    stop.send(true).unwrap();
    for worker in workers {
        world.while_time_passes(worker).await.unwrap();
    }
}

/// Writes that fail: method, path, where the row lies (empty: at the path), action.
fn failing_writes(hub: &str, subscription: &str, group: &str) -> Vec<(&'static str, String, String, &'static str)> {
    let tags = |scope: &str| format!("{scope}/providers/Microsoft.Resources/tags/default");
    vec![
        ("PUT", tags(hub), hub.to_owned(), "Microsoft.Resources/tags/write"),
        ("PATCH", tags(subscription), subscription.to_owned(), "Microsoft.Resources/tags/write"),
        ("DELETE", tags(hub), hub.to_owned(), "Microsoft.Resources/tags/delete"),
        (
            "PUT",
            format!("{subscription}/tagNames/a%25"),
            subscription.to_owned(),
            "Microsoft.Resources/subscriptions/tagNames/write",
        ),
        (
            "DELETE",
            format!("{subscription}/tagNames/a/tagValues/b"),
            subscription.to_owned(),
            "Microsoft.Resources/subscriptions/tagNames/delete",
        ),
        (
            "POST",
            format!("{subscription}/providers/Microsoft.Devices/unregister"),
            subscription.to_owned(),
            "Microsoft.Devices/unregister/action",
        ),
        (
            "POST",
            format!("{subscription}/providers/Microsoft.Devices/checkNameAvailability"),
            subscription.to_owned(),
            "Microsoft.Devices/checkNameAvailability/action",
        ),
        (
            "POST",
            format!("{subscription}/providers/Microsoft.Subscription/rename"),
            subscription.to_owned(),
            "Microsoft.Subscription/rename/action",
        ),
        (
            "PUT",
            "/providers/Microsoft.Subscription/aliases/other".into(),
            subscription.to_owned(),
            "Microsoft.Subscription/aliases/write",
        ),
        (
            "PUT",
            format!("{group}/providers/Microsoft.Authorization/denyAssignments/1"),
            group.to_owned(),
            "Microsoft.Authorization/denyAssignments/write",
        ),
        (
            "POST",
            format!("{group}/moveResources"),
            group.to_owned(),
            "Microsoft.Resources/subscriptions/resourceGroups/moveResources/action",
        ),
        ("POST", format!("{}/exportDevices", hub), hub.to_owned(), "Microsoft.Devices/IotHubs/exportDevices/action"),
        (
            "PUT",
            format!("{group}/providers/Microsoft.Storage/storageAccounts/a"),
            String::new(),
            "Microsoft.Storage/storageAccounts/write",
        ),
        ("DELETE", format!("{group}/providers/No.Such/x/y"), String::new(), "No.Such/x/delete"),
        ("POST", format!("{subscription}/providers/No.Such/start"), subscription.to_owned(), "No.Such/start/action"),
        ("POST", format!("{group}/elsewhere"), group.to_owned(), "Microsoft.Resources/resourceGroups/elsewhere/action"),
    ]
}

/// What is no resource type, and what is nothing at all: each failed write of them is a row, under its action and where it was tried.
#[tokio::test]
async fn every_failed_write_is_a_row_whatever_would_have_answered_it() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let stranger = world.stranger().await;
    let subscription = format!("/subscriptions/{}", world.subscription);
    let group = world.group("plant-rg");
    for (method, path, place, action) in failing_writes(&plant.hub, &subscription, &group) {
        let place = if place.is_empty() { &path } else { &place };
        let failed = async || {
            let of = |row: &Value| row["operationName"] == action && row["callerId"] == stranger.id();
            rows(&world, place).await.into_iter().filter(of).collect::<Vec<_>>()
        };
        let error = world.request(&stranger, method, &path, "2021-04-01", None, None).await.unwrap_err();
        let told = failed().await;
        let all = world.platform().store.scan(&ACTIVITY, "", Page::first(1000)).await.unwrap();
        let near: Vec<Value> =
            all.iter().map(|row| row.value().unwrap()).filter(|row| row["callerId"] == stranger.id()).collect();
        assert_eq!(told.len(), 1, "{method} {path}: {near:#?}");
        assert_eq!((&told[0]["status"], &told[0]["error"]["code"]), (&json!("Failed"), &json!(error.code)), "{path}");
    }
    // Nobody reads the log of a subscription that is not there, and a question is no write.
    let before = world.platform().store.scan(&ACTIVITY, "", Page::first(1000)).await.unwrap().len();
    let elsewhere = format!("/subscriptions/{}/tagNames/a", uuid::Uuid::nil());
    world.request(&stranger, "PUT", &elsewhere, "2021-04-01", None, None).await.unwrap_err();
    for path in [
        "/providers/Microsoft.ResourceGraph/resources",
        &format!("{group}/providers/Microsoft.Authorization/checkAccess"),
    ] {
        world.request(&stranger, "POST", path, "2021-04-01", Some(json!([])), None).await.unwrap_err();
    }
    assert_eq!(world.platform().store.scan(&ACTIVITY, "", Page::first(1000)).await.unwrap().len(), before);
}
