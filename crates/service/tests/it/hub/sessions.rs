use super::fixture::{HOST, World, put_hub, request, tag_hub};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ferrohub_clock::SystemClock;
use ferrohub_messaging::{ReadFrom, partition_for};
use ferrohub_model::clock::timeout;
use ferrohub_model::error::ErrorKind;
use ferrohub_model::limits::{BUS_QUEUE, TELEMETRY_BYTES};
use ferrohub_service::hub::{self, CloseReason, DeviceLogin, OpenSession, SessionEvent, Telemetry};
use ferrohub_service::platform::Change;
use ferrohub_service::tables::RESOURCES;
use ferrohub_wire::sas_token;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

async fn next(session: &mut OpenSession) -> SessionEvent {
    timeout(&SystemClock, Duration::from_secs(5), session.next_event()).await.expect("an event is due")
}

async fn closed(session: &mut OpenSession) -> CloseReason {
    match next(session).await {
        SessionEvent::Closed { reason } => reason,
        other => panic!("{other:?}"),
    }
}

async fn silent(session: &mut OpenSession) {
    let waited = timeout(&SystemClock, Duration::from_millis(50), session.next_event()).await;
    assert!(waited.is_err(), "{waited:?}");
}

async fn update(world: &World, body: Value) {
    world.service().put_device(&world.caller, &world.hub, "d", &body, Some("*")).await.unwrap();
}

#[tokio::test]
async fn telemetry_reaches_the_log_with_its_origin() {
    let world = World::new().await;
    let key = world.sas_device("d").await;
    let session = world.connect_sas("d", &key).await;
    let message = |number: u8| Telemetry {
        payload: Bytes::from(vec![number]),
        system: vec![("$.mid".into(), number.to_string())],
        application: vec![("kind".into(), Some("temp".into())), ("flag".into(), None)],
    };
    session.publish(&[message(1), message(2)]).await.unwrap();
    let partition = partition_for("d", 4);
    let events =
        world.service().read_events(&world.caller, &world.hub, partition, ReadFrom::Beginning, 10).await.unwrap();
    assert_eq!(events.iter().map(|event| event.body[0]).collect::<Vec<_>>(), [1, 2]);
    let properties = &events[1].properties;
    assert_eq!(properties.system("message-id"), Some("2"));
    assert_eq!(properties.system("iothub-connection-device-id"), Some("d"));
    assert_eq!(
        properties.system("iothub-connection-auth-method"),
        Some(r#"{"scope":"device","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}"#)
    );
    let body = json!({"partition": partition, "fromSequence": 1, "maxEvents": 5});
    let view = hub::read_events_view(world.platform(), &world.caller, &world.made, Some(&body)).await.unwrap();
    assert_eq!(view["events"].as_array().unwrap().len(), 1);
    let event = &view["events"][0];
    assert_eq!(
        (&event["sequenceNumber"], &event["body"], &event["partition"]),
        (&json!(1), &json!("Ag=="), &json!(partition))
    );
    assert_eq!(event["enqueuedTimeUtc"], "2026-11-20T10:00:00.0000000Z");
    assert_eq!(event["applicationProperties"], json!({"kind": "temp", "flag": null}));
    let body = json!({"partition": -1});
    assert!(hub::read_events_view(world.platform(), &world.caller, &world.made, Some(&body)).await.is_err());

    let device = world.service().get_device(&world.caller, &world.hub, "d").await.unwrap();
    assert_eq!(properties.system("iothub-connection-auth-generation-id"), device["generationId"].as_str());
    assert_eq!(properties.application, [("kind".to_owned(), Some("temp".to_owned())), ("flag".to_owned(), None)]);

    let large = Telemetry { payload: Bytes::from(vec![0; TELEMETRY_BYTES + 1]), ..Telemetry::default() };
    let refused = session.publish(&[message(3), large]).await.unwrap_err();
    assert_eq!((refused.kind, refused.numeric_code()), (ErrorKind::TooLarge, 413_001));
    assert_eq!(
        world.service().read_events(&world.caller, &world.hub, partition, ReadFrom::Beginning, 10).await.unwrap().len(),
        2
    );
    assert!(world.service().read_events(&world.caller, &world.hub, 4, ReadFrom::Beginning, 10).await.is_err());
}

#[tokio::test]
async fn a_device_that_writes_without_end_waits_and_others_do_not() {
    let world = World::new().await;
    let (key, other) = (world.sas_device("d").await, world.sas_device("e").await);
    let session = world.connect_sas("d", &key).await;
    let message = Telemetry { payload: Bytes::from(vec![0; TELEMETRY_BYTES]), ..Telemetry::default() };
    let batch = vec![message; 16];
    // 64 MiB are let through in one go, and a second of writing is 4 MiB of them.
    let mut written = 0;
    while let Ok(done) = timeout(&SystemClock, Duration::from_secs(2), session.publish(&batch)).await {
        done.unwrap();
        written += 1;
        assert!(written < 20, "it goes on for ever");
    }
    assert!(written >= 14, "{written} of 16");
    let waits = timeout(&SystemClock, Duration::from_millis(200), session.publish(&batch)).await;
    assert!(waits.is_err(), "{waits:?}");
    let refused = session.patch_reported(json!({"a": 1}), None).await.unwrap_err();
    assert_eq!((refused.numeric_code(), refused.http_status()), (429_001, 429), "{refused:?}");
    assert!(refused.retry_after_seconds.is_some());
    // Another connection of the same device has no other allowance.
    let session = world.connect_sas("d", &key).await;
    let mut written = 0;
    while timeout(&SystemClock, Duration::from_millis(800), session.publish(&batch)).await.is_ok() {
        written += 1;
        // Another process counts anew.
        assert!(written <= 17, "it goes on for ever");
    }
    let another = world.connect_sas("e", &other).await;
    timeout(&SystemClock, Duration::from_secs(20), another.publish(&batch)).await.expect("another device").unwrap();
}

/// At once only there: another process hears of it later.
#[tokio::test]
async fn at_the_sessions_own_process_connection_state_follows_it_at_once() {
    let world = World::new().await;
    let key = world.sas_device("d").await;
    let own = world.service();
    let state = async || own.get_device(&world.caller, &world.hub, "d").await.unwrap()["connectionState"].clone();
    let session = own.connect(request("d", Some(world.device_token("d", &key)), Vec::new())).await.unwrap();
    assert_eq!(state().await, "Connected");
    assert_eq!(
        own.get_twin(&world.caller, &world.hub, "d").await.unwrap()["lastActivityTime"],
        "2026-11-20T10:00:00.0000000Z"
    );
    drop(session);
    assert_eq!(state().await, "Disconnected");
}

#[tokio::test]
async fn wrong_credentials_are_refused_with_their_reason() {
    let world = World::new().await;
    let key = world.sas_device("d").await;
    world.sas_device("other").await;
    let bytes = STANDARD.decode(&key).unwrap();
    let mine = format!("{HOST}/devices/d");
    let late = world.now_unix() + 3600;
    let wrong = [9u8; 32];
    for (password, code, word) in [
        (None, 401_003, "neither"),
        (Some(String::new()), 401_003, "neither"),
        (Some("hunter2".to_owned()), 401_003, "malformed"),
        (Some(sas_token::sign(&mine, &wrong, late, None)), 401_003, "signature"),
        (Some(sas_token::sign(&mine, &bytes, world.now_unix() - 300, None)), 401_003, "expired"),
        (Some(sas_token::sign("hub2.azure-devices.localhost/devices/d", &bytes, late, None)), 401_002, "hub2"),
        (Some(sas_token::sign(&format!("{HOST}/devices/other"), &bytes, late, None)), 401_002, "devices/other"),
        (Some(world.policy_token(HOST, "service")), 401_002, "service"),
        (Some(world.policy_token(HOST, "nobody")), 401_003, "signature"),
    ] {
        let error = world.service().connect(request("d", password.clone(), Vec::new())).await.err().unwrap();
        assert_eq!((error.kind, error.numeric_code()), (ErrorKind::Unauthenticated, code), "{password:?}: {error}");
        assert!(error.message.contains(word), "{error} lacks {word}");
    }
    for policy in ["device", "iothubowner"] {
        assert!(
            world.service().connect(request("d", Some(world.policy_token(HOST, policy)), Vec::new())).await.is_ok()
        );
    }
}

#[tokio::test]
async fn wrong_names_are_refused() {
    let world = World::new().await;
    let key = world.sas_device("d").await;
    let token = || Some(world.device_token("d", &key));
    let mut unknown_hub = request("d", token(), Vec::new());
    unknown_hub.host = "h9.azure-devices.localhost".into();
    assert_eq!(world.service().connect(unknown_hub).await.err().unwrap().numeric_code(), 401_001);
    let mut module = request("d", token(), Vec::new());
    module.module_id = Some("m".into());
    let no_module = world.service().connect(module).await.err().unwrap();
    assert_eq!((no_module.numeric_code(), no_module.code), (401_002, "ModuleNotFound"));
    let missing = world.service().connect(request("D", token(), Vec::new())).await.err().unwrap();
    assert!(missing.message.contains("does not contain the specified device 'D'"), "{missing}");
    update(&world, json!({"status": "disabled", "statusReason": "stolen"})).await;
    let disabled = world.service().connect(request("d", token(), Vec::new())).await.err().unwrap();
    assert_eq!((disabled.kind, disabled.numeric_code()), (ErrorKind::Forbidden, 403_012));
}

#[tokio::test]
async fn device_keys_can_be_switched_off() {
    let world = World::new().await;
    let key = world.sas_device("d").await;
    put_hub(&world, "hub1", Map::from_iter([("disableDeviceSAS".to_owned(), json!(true))])).await;
    let refused =
        world.service().connect(request("d", Some(world.device_token("d", &key)), Vec::new())).await.err().unwrap();
    assert!(refused.message.contains("disableDeviceSAS"));
}

#[tokio::test]
async fn the_newest_connection_wins() {
    let world = World::new().await;
    let key = world.sas_device("d").await;
    let mut first = world.connect_sas("d", &key).await;
    let connection = first.connection();
    let own = world.service();
    let token = world.device_token("d", &key);
    let mut second = own.connect(request("d", Some(token), Vec::new())).await.unwrap();
    assert_eq!(closed(&mut first).await, CloseReason::Replaced);
    assert_eq!(closed(&mut first).await, CloseReason::Replaced, "it stays closed");
    assert_eq!(connection.publish(&[Telemetry::default()]).await.unwrap_err().kind, ErrorKind::Unauthenticated);
    drop((first, connection));
    silent(&mut second).await;
    // At once only at its own process.
    assert_eq!(own.get_device(&world.caller, &world.hub, "d").await.unwrap()["connectionState"], "Connected");
    // Somebody with a wrong key cannot throw it out.
    let stranger = request(
        "d",
        Some(sas_token::sign(&format!("{HOST}/devices/d"), &[1; 32], world.now_unix() + 60, None)),
        Vec::new(),
    );
    assert!(world.service().connect(stranger).await.is_err());
    silent(&mut second).await;
}

#[tokio::test]
async fn changes_of_the_identity_close_only_what_rests_on_them() {
    let world = World::new().await;
    let key = world.sas_device("d").await;
    let mut session = world.connect_sas("d", &key).await;
    update(&world, json!({"statusReason": "fine"})).await;
    update(&world, json!({"authentication": {"type": "sas", "symmetricKey": {"primaryKey": key, "secondaryKey": STANDARD.encode([1u8; 32])}}})).await;
    silent(&mut session).await;
    update(
        &world,
        json!({"authentication": {"type": "sas", "symmetricKey": {"primaryKey": STANDARD.encode([2u8; 32])}}}),
    )
    .await;
    assert_eq!(closed(&mut session).await, CloseReason::CredentialsChanged);

    let mut session = world.connect_sas("d", &STANDARD.encode([1u8; 32])).await;
    update(&world, json!({"status": "disabled"})).await;
    assert_eq!(closed(&mut session).await, CloseReason::Disabled);
    update(&world, json!({"status": "enabled"})).await;

    let mut session = world.connect_sas("d", &STANDARD.encode([2u8; 32])).await;
    world.service().delete_device(&world.caller, &world.hub, "d", None).await.unwrap();
    world.sas_device("d").await;
    assert_eq!(closed(&mut session).await, CloseReason::Deleted, "a new device of the same name is another device");
}

#[tokio::test]
async fn a_session_ends_with_its_token() {
    let world = World::new().await;
    let key = world.sas_device("d").await;
    let mut session = world.connect_sas("d", &key).await;
    world.clock.advance(Duration::from_secs(3600 + 299));
    silent(&mut session).await;
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(closed(&mut session).await, CloseReason::TokenExpired);
}

#[tokio::test]
async fn a_deleted_hub_ends_its_sessions() {
    let world = World::new().await;
    let key = world.sas_device("d").await;
    let mut session = world.connect_sas("d", &key).await;
    let mut change = Change::new();
    change.trust_changed(world.hub.uid);
    world.platform().commit(change).await.unwrap();
    silent(&mut session).await;
    let mut change = Change::new();
    change.unit.delete(&RESOURCES, world.made.key());
    change.trust_changed(world.hub.uid);
    world.platform().commit(change).await.unwrap();
    assert_eq!(closed(&mut session).await, CloseReason::HubDeleted);
}

#[tokio::test]
async fn switching_tokens_off_ends_the_sessions_that_rest_on_them() {
    let world = World::new().await;
    let key = world.sas_device("d").await;
    world.sas_device("e").await;
    let mut keyed = world.connect_sas("d", &key).await;
    let mut by_policy =
        world.service().connect(request("e", Some(world.policy_token(HOST, "device")), Vec::new())).await.unwrap();
    let switch = async |name: &str| {
        put_hub(&world, "hub1", Map::from_iter([(name.to_owned(), json!(true))])).await;
        let mut change = Change::new();
        change.trust_changed(world.hub.uid);
        world.platform().commit(change).await.unwrap();
    };
    switch("disableLocalAuth").await;
    assert_eq!(closed(&mut by_policy).await, CloseReason::CredentialsChanged);
    silent(&mut keyed).await;
    switch("disableDeviceSAS").await;
    assert_eq!(closed(&mut keyed).await, CloseReason::CredentialsChanged);
}

#[tokio::test]
async fn desired_properties_reach_the_device_in_order() {
    let world = World::new().await;
    let key = world.sas_device("d").await;
    let mut session = world.connect_sas("d", &key).await;
    for rate in [1, 2] {
        let body = json!({"properties": {"desired": {"rate": rate}}});
        world.service().patch_twin(&world.caller, &world.hub, "d", &body, None).await.unwrap();
    }
    world.service().patch_twin(&world.caller, &world.hub, "d", &json!({"tags": {"a": 1}}), None).await.unwrap();
    for (version, rate) in [(2, 1), (3, 2)] {
        assert_eq!(
            next(&mut session).await,
            SessionEvent::Desired { version, patch: json!({"rate": rate, "$version": version}) }
        );
    }
    silent(&mut session).await;
    assert_eq!(session.patch_reported(json!({"rate": 2}), None).await.unwrap(), 2);
    assert_eq!(
        session.twin().await.unwrap(),
        json!({"desired": {"rate": 2, "$version": 3}, "reported": {"rate": 2, "$version": 2}})
    );
    for version in [1, 3] {
        let stale = session.patch_reported(json!({"rate": 9}), Some(version)).await.unwrap_err();
        assert_eq!(stale.numeric_code(), 412_001);
        assert!(stale.message.contains(&format!("have the $version 2, not {version}")), "{stale}");
    }
    assert_eq!(session.patch_reported(json!({"rate": 3}), Some(2)).await.unwrap(), 3);
    assert_eq!(session.patch_reported(json!({"a b": 2}), None).await.unwrap_err().numeric_code(), 400_004);
}

#[tokio::test]
async fn a_slow_device_gets_everything_at_once() {
    let world = World::new().await;
    let key = world.sas_device("d").await;
    let mut session = world.connect_sas("d", &key).await;
    let last = BUS_QUEUE + 10;
    for number in 1..=last {
        let body = json!({"properties": {"desired": {format!("p{}", number % 7): number}}});
        world.service().patch_twin(&world.caller, &world.hub, "d", &body, None).await.unwrap();
    }
    let mut known = Map::new();
    let mut version = 1;
    while version < last as u64 + 1 {
        let SessionEvent::Desired { version: told, patch } = next(&mut session).await else { panic!("closed") };
        assert!(told > version);
        version = told;
        known.extend(patch.as_object().unwrap().clone());
    }
    assert_eq!(Value::Object(known), session.twin().await.unwrap()["desired"]);
    silent(&mut session).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_write_one_twin_all_get_their_way() {
    const WRITERS: usize = 16;
    const WRITES: usize = 20;
    let world = Arc::new(World::new().await);
    world.let_time_pass();
    let key = world.sas_device("d").await;
    let connection = world.connect_sas("d", &key).await.connection();
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let (world, connection) = (Arc::clone(&world), Arc::clone(&connection));
        writers.push(tokio::spawn(async move {
            for number in 0..WRITES {
                let value = json!({format!("w{writer}"): number});
                match writer % 4 {
                    0 => drop(connection.patch_reported(value, None).await.unwrap()),
                    1 => {
                        let identity =
                            json!({"deviceId": "d", "status": "enabled", "statusReason": format!("{number}")});
                        world.service().put_device(&world.caller, &world.hub, "d", &identity, Some("*")).await.unwrap();
                    }
                    2 => drop(
                        world
                            .service()
                            .patch_twin(&world.caller, &world.hub, "d", &json!({"tags": value}), None)
                            .await
                            .unwrap(),
                    ),
                    _ => {
                        let body = json!({"properties": {"desired": value}});
                        world.service().patch_twin(&world.caller, &world.hub, "d", &body, Some("*")).await.unwrap();
                    }
                }
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let twin = world.service().get_twin(&world.caller, &world.hub, "d").await.unwrap();
    for (writer, side) in [(0, "reported"), (3, "desired")] {
        let properties = &twin["properties"][side];
        assert_eq!(properties["$version"], json!(1 + WRITERS / 4 * WRITES), "{side}");
        assert_eq!(properties[format!("w{writer}")], json!(WRITES - 1), "{side}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_write_a_twin_at_once_and_nothing_is_lost() {
    let world = Arc::new(World::new().await);
    world.let_time_pass();
    let key = world.sas_device("d").await;
    let connection = world.connect_sas("d", &key).await.connection();
    let reports = tokio::spawn(async move {
        for number in 0..25 {
            connection.patch_reported(json!({format!("r{number}"): number}), None).await.unwrap();
        }
    });
    let wishes = {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            for number in 0..25 {
                let body = json!({"properties": {"desired": {format!("d{number}"): number}}});
                world.service().patch_twin(&world.caller, &world.hub, "d", &body, None).await.unwrap();
            }
        })
    };
    reports.await.unwrap();
    wishes.await.unwrap();
    let twin = world.service().get_twin(&world.caller, &world.hub, "d").await.unwrap();
    for side in ["desired", "reported"] {
        let properties = twin["properties"][side].as_object().unwrap();
        assert_eq!((properties.len(), &properties["$version"]), (27, &json!(26)), "{side}");
    }
}

#[tokio::test]
async fn an_announced_model_stands_in_the_twin_and_in_what_is_sent() {
    let world = World::new().await;
    let key = world.sas_device("d").await;
    let login = |model: Option<&str>| DeviceLogin {
        model_id: model.map(str::to_owned),
        ..request("d", Some(world.device_token("d", &key)), Vec::new())
    };
    let twin = async || world.service().get_twin(&world.caller, &world.hub, "d").await.unwrap();
    assert_eq!(twin().await["modelId"], "");
    let session = world.service().connect(login(Some("dtmi:com:example:Thermostat;1"))).await.unwrap();
    let first = twin().await;
    assert_eq!((&first["modelId"], &first["etag"]), (&json!("dtmi:com:example:Thermostat;1"), &json!("AAAAAAAAAAE=")));
    session.publish(&[Telemetry::default()]).await.unwrap();
    let partition = partition_for("d", 4);
    let events =
        world.service().read_events(&world.caller, &world.hub, partition, ReadFrom::Beginning, 10).await.unwrap();
    assert_eq!(events[0].properties.system("dt-dataschema"), Some("dtmi:com:example:Thermostat;1"));
    world.service().connect(login(Some("dtmi:com:example:Thermostat;1"))).await.unwrap();
    world.service().connect(login(None)).await.unwrap();
    assert_eq!(twin().await["version"], first["version"], "nothing new is no write");
    world.service().connect(login(Some("dtmi:com:example:Thermostat;2"))).await.unwrap();
    assert_eq!(twin().await["modelId"], "dtmi:com:example:Thermostat;2");
    let refused = world.service().connect(login(Some("Thermostat"))).await.err().unwrap();
    assert_eq!(refused.numeric_code(), 400_004);
}

#[tokio::test]
async fn faults_are_for_hubs_whose_tag_allows_them() {
    let world = World::new().await;
    let key = world.sas_device("d").await;
    for (tags, allowed) in [
        (json!({}), false),
        (json!({"ferrohub-fault-injection": "false"}), false),
        (json!({"Ferrohub-Fault-Injection": "True"}), true),
        (json!({"other": "true"}), false),
    ] {
        tag_hub(&world, "hub1", tags.clone()).await;
        assert_eq!(world.connect_sas("d", &key).await.connection().may_fault(), allowed, "{tags}");
    }
}
