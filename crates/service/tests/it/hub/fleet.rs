//! Thousands of sessions of one hub, and a store that cannot answer all of them at once.

use super::fixture::{HOST, World, put_hub, request};
use crate::owner::HUB_API;
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::{Clock, timeout};
use ferrohub_model::limits::STORE_QUEUE;
use ferrohub_service::hub::identity::{self, Credentials, DeviceSpec};
use ferrohub_service::hub::{CloseReason, OpenSession, SessionEvent, Telemetry};
use ferrohub_service::platform::{Change, device_subject, trust_subject};
use ferrohub_service::{resources, tables};
use ferrohub_store::StoreError;
use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::task::JoinSet;

/// More than the store's queue takes at once.
const SESSIONS: usize = 3000;
/// Who reads at one time while a hub is changed: the sessions of each process as one, and whoever changes it.
const READERS: usize = crate::PROCESSES + 1;

async fn notify(world: &World) {
    let mut change = Change::new();
    change.trust_changed(world.hub.uid);
    world.platform().commit(change).await.unwrap();
}

async fn switch(world: &World, name: &str) {
    put_hub(world, "hub1", Map::from_iter([(name.to_owned(), json!(true))])).await;
    notify(world).await;
}

/// Opens many sessions that rest on a policy of the hub.
async fn fleet(world: &World) -> Vec<OpenSession> {
    let ids: Vec<String> = (0..SESSIONS).map(|number| format!("d{number}")).collect();
    for some in ids.chunks(100) {
        let mut change = Change::new();
        for id in some {
            let spec = DeviceSpec::new(id, Credentials::Keys { primary: None, secondary: None });
            let mut device = identity::draft(world.platform(), &world.hub, spec).await.unwrap();
            let twin = ferrohub_model::twin::Twin::new("2026-11-20T10:00:00.0000000Z");
            identity::add_create(world.platform(), &mut device, &twin, &mut change).unwrap();
        }
        world.platform().commit(change).await.unwrap();
    }
    let token = world.policy_token(HOST, "device");
    let mut sessions = Vec::new();
    for some in ids.chunks(200) {
        let connecting = some.iter().map(|id| world.service().connect(request(id, Some(token.clone()), Vec::new())));
        sessions.extend(join_all(connecting).await.into_iter().map(Result::unwrap));
    }
    sessions
}

/// Waits until the store is left alone.
async fn settled(world: &World) {
    let mut before = usize::MAX;
    while before != world.store.reads() {
        before = world.store.reads();
        SystemClock.sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_sessions_of_a_hub_survive_its_notices_and_end_for_the_right_reason() {
    let world = World::new().await;
    world.let_time_pass();
    let sessions = fleet(&world).await;
    assert!(sessions.len() > STORE_QUEUE);
    let (mut running, mut connections) = (JoinSet::new(), Vec::new());
    for mut session in sessions {
        connections.push(session.connection());
        running.spawn(async move { session.next_event().await });
    }

    // A change of the hub's trust wakes all at once: those of one process share one reading at a time, however long it takes.
    // Were it not shared, thousands would read while the first still does.
    world.store.slow_down(Some((world.clock.clone(), Duration::from_millis(20))));
    for _ in 0..3 {
        switch(&world, "disableDeviceSAS").await;
    }
    settled(&world).await;
    assert!(world.store.most_at_once() <= READERS, "{} reads at once", world.store.most_at_once());
    world.store.slow_down(None);

    // A look at each device cannot be shared, and is more than the store takes at once: those refused come again.
    for connection in &connections {
        let subject = device_subject(world.hub.uid, connection.device_id());
        world.platform().bus.publish(&subject, bytes::Bytes::new()).await.unwrap();
    }
    settled(&world).await;
    assert!(running.try_join_next().is_none(), "a session ended");
    for connection in connections.iter().step_by(500) {
        connection.publish(&[Telemetry::default()]).await.unwrap();
    }

    world.store.slow_down(Some((world.clock.clone(), Duration::from_millis(20))));
    switch(&world, "disableLocalAuth").await;
    let mut ended = 0;
    let all = async {
        while let Some(event) = running.join_next().await {
            assert_eq!(event.unwrap(), SessionEvent::Closed { reason: CloseReason::CredentialsChanged });
            ended += 1;
        }
    };
    timeout(&SystemClock, Duration::from_secs(30), all).await.unwrap();
    assert_eq!(ended, SESSIONS);
    assert!(world.store.most_at_once() <= READERS, "{} reads at once", world.store.most_at_once());
}

#[tokio::test]
async fn a_session_keeps_what_a_busy_store_could_not_tell() {
    let world = World::new().await;
    world.let_time_pass();
    let key = world.sas_device("d").await;
    let mut session = world.connect_sas("d", &key).await;
    for rate in [1, 2] {
        let body = json!({"properties": {"desired": {"rate": rate}}});
        world.service().patch_twin(&world.caller, &world.hub, "d", &body, None).await.unwrap();
    }
    notify(&world).await;
    world.platform().bus.publish(&device_subject(world.hub.uid, "d"), bytes::Bytes::new()).await.unwrap();
    world.store.fail(Some(StoreError::Busy));
    // Dropped and begun anew again and again: nothing is forgotten, and the store is not asked more often for it.
    let mut told = 1;
    for _ in 0..20 {
        match timeout(&SystemClock, Duration::from_millis(20), session.next_event()).await {
            // Heard of before the notices.
            Ok(SessionEvent::Desired { version, .. }) => told = version,
            Ok(other) => panic!("{other:?}"),
            Err(_) => {}
        }
    }
    let refusals = world.store.refusals();
    assert!((1..10).contains(&refusals), "{refusals} refusals");
    world.store.fail(None);
    while told < 3 {
        match timeout(&SystemClock, Duration::from_secs(10), session.next_event()).await {
            Ok(SessionEvent::Desired { version, .. }) => told = version,
            other => panic!("{other:?}"),
        }
    }
    let connection = session.connection();
    connection.publish(&[Telemetry::default()]).await.unwrap();

    world.store.fail(Some(StoreError::Busy));
    put_switch_behind(&world).await;
    let waited = timeout(&SystemClock, Duration::from_millis(300), session.next_event()).await;
    assert!(waited.is_err(), "{waited:?}");
    world.store.fail(None);
    let event = timeout(&SystemClock, Duration::from_secs(10), session.next_event()).await.unwrap();
    assert_eq!(event, SessionEvent::Closed { reason: CloseReason::CredentialsChanged });
    assert!(connection.publish(&[Telemetry::default()]).await.is_err());
}

/// Switches device keys off although the store does not read.
async fn put_switch_behind(world: &World) {
    let mut hub = world.made.resource.as_ref().clone();
    hub.properties.insert("disableDeviceSAS".into(), json!(true));
    let mut change = Change::new();
    resources::rewrite(&world.made, hub, &mut change).unwrap();
    change.trust_changed(world.hub.uid);
    world.platform().commit(change).await.unwrap();
}

#[tokio::test]
async fn a_store_that_fails_for_good_ends_the_session() {
    let world = World::new().await;
    let key = world.sas_device("d").await;
    let mut session = world.connect_sas("d", &key).await;
    world.store.fail(Some(StoreError::Engine("the disk is gone".into())));
    notify(&world).await;
    let event = timeout(&SystemClock, Duration::from_secs(5), session.next_event()).await.unwrap();
    assert_eq!(event, SessionEvent::Closed { reason: CloseReason::Unavailable });
}

#[tokio::test]
async fn only_what_sessions_rest_on_is_announced_to_them() {
    let world = World::new().await;
    let mut heard = world.platform().bus.subscribe(&trust_subject(world.hub.uid)).await.unwrap();
    let send = async |method: &str, body: Value| {
        let answer = world.owner.ask(method, &world.made.id, HUB_API, Some(body)).await;
        answer.unwrap_or_else(|error| panic!("{error} {:?}", error.context)).body.unwrap()
    };
    let mut body = send("PATCH", json!({"tags": {"a": "b"}})).await;
    body["tags"] = json!({"a": "c"});
    body["sku"] = json!({"name": "S2", "capacity": 2});
    send("PUT", body.clone()).await;
    assert!(heard.try_next().is_none(), "tags and units do not concern sessions");
    for name in ["disableLocalAuth", "disableDeviceSAS"] {
        body["properties"][name] = json!(true);
        send("PUT", body.clone()).await;
        assert!(heard.try_next().is_some(), "{name}");
    }
    let policies = json!([{"keyName": "device", "rights": "DeviceConnect"}]);
    body["properties"]["authorizationPolicies"] = policies.clone();
    send("PUT", body.clone()).await;
    assert!(heard.try_next().is_some(), "policies were taken away");
    send("PUT", body.clone()).await;
    assert!(heard.try_next().is_none(), "a policy that is put back without keys keeps its keys");
    body["properties"]["authorizationPolicies"][0]["primaryKey"] = json!("bmV3LWtleS1uZXcta2V5LW5ldy1rZXk=");
    send("PUT", body).await;
    assert!(heard.try_next().is_some(), "a key was changed");
}

#[tokio::test]
async fn a_hub_made_anew_does_not_get_the_devices_of_the_former_one() {
    let world = World::new().await;
    world.sas_device("d").await;
    let mut change = Change::new();
    change.unit.delete(&tables::RESOURCES, world.made.key());
    world.platform().commit(change).await.unwrap();
    put_hub(&world, "hub1", Map::new()).await;
    let anew = world.service().by_host(HOST).await.unwrap();
    assert_ne!(anew.uid, world.hub.uid);
    let refused = world.service().put_device(&world.caller, &world.hub, "e", &json!({}), None).await.unwrap_err();
    assert_eq!(refused.numeric_code(), 401_001);
    assert!(identity::load(world.platform().store.as_ref(), world.hub.uid, "e").await.unwrap().is_none());
    // A write of the hub between the caller's reading and the commit is no reason to refuse.
    put_hub(&world, "hub1", Map::new()).await;
    world.service().put_device(&world.caller_of(&anew).await, &anew, "e", &json!({}), None).await.unwrap();
}
