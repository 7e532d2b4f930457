use super::fixture::{HOST, POLICY_KEY, World, put_hub};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_messaging::ReadFrom;
use ferrohub_model::device::device_place;
use ferrohub_model::error::{Error, ErrorKind};
use ferrohub_service::hub;
use ferrohub_service::platform::Change;
use ferrohub_service::shared_access::Right;
use ferrohub_service::tables::{DEVICES, RESOURCES, TWINS};
use ferrohub_store::Page;
use ferrohub_wire::sas_token;
use serde_json::{Map, json};
use std::sync::Arc;
use std::time::Duration;

const READ: &str = "Microsoft.Devices/IotHubs/devices/read";

#[tokio::test]
async fn a_device_lives_from_put_to_delete() {
    let world = World::new().await;
    let (service, hub) = (world.service(), &world.hub);
    let made = service
        .put_device(&world.caller, hub, "Pump:1", &json!({"deviceId": "Pump:1", "statusReason": "new"}), None)
        .await
        .unwrap();
    let key = made["authentication"]["symmetricKey"]["primaryKey"].as_str().unwrap();
    assert_eq!(STANDARD.decode(key).unwrap().len(), 64);
    assert_eq!(
        (&made["status"], &made["statusReason"], &made["connectionState"]),
        (&json!("enabled"), &json!("new"), &json!("Disconnected"))
    );
    assert_eq!(made["statusUpdatedTime"], "0001-01-01T00:00:00Z");
    assert_eq!(service.get_device(&world.caller, hub, "Pump:1").await.unwrap(), made);
    assert_eq!(
        service.get_device(&world.caller, hub, "pump:1").await.unwrap_err().numeric_code(),
        404_001,
        "ids are case-sensitive"
    );

    let again = service.put_device(&world.caller, hub, "Pump:1", &json!({}), None).await.unwrap_err();
    assert_eq!((again.kind, again.numeric_code(), again.code), (ErrorKind::Conflict, 409_001, "DeviceAlreadyExists"));
    let stale = service.put_device(&world.caller, hub, "Pump:1", &json!({}), Some("\"AAAA\"")).await.unwrap_err();
    assert_eq!((stale.kind, stale.numeric_code()), (ErrorKind::PreconditionFailed, 412_001));
    let missing = service.put_device(&world.caller, hub, "other", &json!({}), Some("*")).await.unwrap_err();
    assert_eq!((missing.numeric_code(), missing.code), (404_001, "DeviceNotFound"));

    let etag = format!("\"{}\"", made["etag"].as_str().unwrap());
    let disabled =
        service.put_device(&world.caller, hub, "Pump:1", &json!({"status": "disabled"}), Some(&etag)).await.unwrap();
    assert_eq!((&disabled["status"], &disabled["statusReason"]), (&json!("disabled"), &json!("new")));
    assert_eq!(disabled["authentication"], made["authentication"], "keys stay");
    assert_eq!(disabled["statusUpdatedTime"], "2026-11-20T10:00:00.0000000Z");
    assert_eq!(disabled["generationId"], made["generationId"]);
    assert_ne!(disabled["etag"], made["etag"]);

    let twin = service.get_twin(&world.caller, hub, "Pump:1").await.unwrap();
    assert_eq!(
        (&twin["status"], &twin["deviceEtag"], &twin["etag"]),
        (&json!("disabled"), &disabled["etag"], &json!("AAAAAAAAAAE="))
    );

    assert_eq!(
        service.delete_device(&world.caller, hub, "Pump:1", Some("nope")).await.unwrap_err().numeric_code(),
        412_001
    );
    service.delete_device(&world.caller, hub, "Pump:1", Some("\"*\"")).await.unwrap();
    assert_eq!(service.delete_device(&world.caller, hub, "Pump:1", None).await.unwrap_err().numeric_code(), 404_001);
    assert_eq!(service.get_twin(&world.caller, hub, "Pump:1").await.unwrap_err().numeric_code(), 404_001);
    for table in [&DEVICES, &TWINS] {
        assert!(world.platform().store.scan(table, "", Page::first(10)).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn keys_are_sealed_where_they_lie() {
    let world = World::new().await;
    let key = world.sas_device("d").await;
    let place = device_place(world.hub.uid, "d").unwrap();
    let row = world.platform().store.find_one(&DEVICES, "place", &place).await.unwrap().unwrap();
    assert!(!row.text().contains(&key));
}

#[tokio::test]
async fn authentication_can_be_changed() {
    let world = World::new().await;
    let (service, hub) = (world.service(), &world.hub);
    world.sas_device("d").await;
    let key = STANDARD.encode([5u8; 32]);
    let body = json!({"authentication": {"type": "sas", "symmetricKey": {"primaryKey": key}}});
    let changed = service.put_device(&world.caller, hub, "d", &body, Some("*")).await.unwrap();
    assert_eq!(changed["authentication"]["symmetricKey"]["primaryKey"], json!(key));
    let body = json!({"authentication": {"type": "certificateAuthority"}});
    let changed = service.put_device(&world.caller, hub, "d", &body, Some("*")).await.unwrap();
    assert_eq!(changed["authentication"]["type"], "certificateAuthority");
    assert_eq!(changed["authentication"]["symmetricKey"], json!({"primaryKey": null, "secondaryKey": null}));
    let bad = service
        .put_device(
            &world.caller,
            hub,
            "d",
            &json!({"authentication": {"symmetricKey": {"primaryKey": "AAAA"}}}),
            Some("*"),
        )
        .await
        .unwrap_err();
    assert_eq!(bad.numeric_code(), 400_004);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_creators_one_wins() {
    let world = Arc::new(World::new().await);
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let world = Arc::clone(&world);
            tokio::spawn(
                async move { world.service().put_device(&world.caller, &world.hub, "d", &json!({}), None).await },
            )
        })
        .collect();
    let mut made = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => made += 1,
            Err(error) => assert_eq!(error.numeric_code(), 409_001, "{error}"),
        }
    }
    assert_eq!(made, 1);
}

#[tokio::test]
async fn twins_are_patched_and_replaced_under_their_etag() {
    let world = World::new().await;
    let (service, hub) = (world.service(), &world.hub);
    world.sas_device("d").await;
    let body = json!({"tags": {"site": "7"}, "properties": {"desired": {"rate": 5}}});
    let patched = service.patch_twin(&world.caller, hub, "d", &body, Some("\"AAAAAAAAAAE=\"")).await.unwrap();
    assert_eq!((&patched["tags"], &patched["properties"]["desired"]["rate"]), (&json!({"site": "7"}), &json!(5)));
    assert_eq!(patched["properties"]["desired"]["$version"], 2);
    assert_eq!(
        service.patch_twin(&world.caller, hub, "d", &body, Some("\"AAAAAAAAAAE=\"")).await.unwrap_err().numeric_code(),
        412_001
    );
    let replaced = service
        .replace_twin(&world.caller, hub, "d", &json!({"properties": {"desired": {"mode": "x"}}}), Some("*"))
        .await
        .unwrap();
    assert!(replaced["properties"]["desired"].get("rate").is_none());
    assert_eq!(replaced["tags"], json!({"site": "7"}));
    assert_eq!(service.get_twin(&world.caller, hub, "d").await.unwrap(), replaced);
    // What names neither tags nor desired properties changes nothing.
    for body in [json!({}), json!({"properties": {}}), json!({"properties": null}), json!({"etag": "x"})] {
        assert_eq!(service.patch_twin(&world.caller, hub, "d", &body, None).await.unwrap(), replaced, "{body}");
        assert_eq!(service.replace_twin(&world.caller, hub, "d", &body, Some("*")).await.unwrap(), replaced, "{body}");
    }
    let deep = service.patch_twin(&world.caller, hub, "d", &json!({"tags": {"a.b": 1}}), None).await.unwrap_err();
    assert_eq!(deep.numeric_code(), 400_004);
    assert_eq!(
        service.patch_twin(&world.caller, hub, "nobody", &json!({}), None).await.unwrap_err().numeric_code(),
        404_001
    );
}

#[tokio::test]
async fn hubs_are_found_by_host_and_by_token_and_not_when_deleted() {
    let world = World::new().await;
    let service = world.service();
    assert_eq!(service.by_host("Hub1.Azure-Devices.LocalHost:8443").await.unwrap().uid, world.hub.uid);
    assert_eq!(service.by_host("hub2.azure-devices.localhost").await.unwrap_err().numeric_code(), 401_001);
    let token = world.policy_token(HOST, "service");
    assert_eq!(
        service.by_request("localhost:8443", Some(&token), Default::default()).await.unwrap().uid,
        world.hub.uid
    );
    assert_eq!(service.by_request("localhost", None, Default::default()).await.unwrap_err().numeric_code(), 401_001);
    let mut change = Change::new();
    change.unit.delete(&RESOURCES, world.made.key());
    world.platform().commit(change).await.unwrap();
    assert_eq!(service.by_host(HOST).await.unwrap_err().numeric_code(), 401_001);
}

/// Whether the `Authorization` lets its bearer past authorization in an operation that needs `right`.
async fn attempt(world: &World, authorization: Option<&str>, right: Right) -> Result<(), Error> {
    let (service, hub) = (world.service(), &world.hub);
    let actor = service.authenticate(hub, authorization).await?;
    let answer = match right {
        Right::RegistryRead => service.get_device(&actor, hub, "none").await.map(drop),
        Right::RegistryWrite => service.delete_device(&actor, hub, "none", None).await,
        _ => service.get_twin(&actor, hub, "none").await.map(drop),
    };
    match answer {
        Err(error) if error.numeric_code() == 404_001 => Ok(()),
        other => other,
    }
}

#[tokio::test]
async fn policies_carry_rights() {
    let world = World::new().await;
    let call = async |token: Option<String>, right| attempt(&world, token.as_deref(), right).await;
    let token = |policy: &str| Some(world.policy_token(HOST, policy));
    assert!(call(token("iothubowner"), Right::RegistryWrite).await.is_ok());
    assert!(call(token("registryRead"), Right::RegistryRead).await.is_ok());
    assert!(call(token("REGISTRYREAD"), Right::RegistryRead).await.is_ok(), "names ignore case");
    assert!(
        call(Some(world.policy_token("Hub1.azure-devices.localhost:8443", "service")), Right::ServiceConnect)
            .await
            .is_ok()
    );

    let narrow = call(token("registryRead"), Right::RegistryWrite).await.unwrap_err();
    assert_eq!(narrow.numeric_code(), 401_002);
    assert!(
        narrow.message.starts_with(&format!("Authorization rule 'registryRead' does not allow access for '{HOST}'")),
        "{narrow}"
    );
    assert!(call(None, Right::RegistryRead).await.unwrap_err().message.starts_with("Authorization header missing"));
    assert_eq!(call(token("nobody"), Right::RegistryRead).await.unwrap_err().numeric_code(), 401_003);
    let foreign = world.policy_token("hub2.azure-devices.localhost", "iothubowner");
    assert_eq!(call(Some(foreign), Right::RegistryRead).await.unwrap_err().numeric_code(), 401_002);
    let key = STANDARD.decode(POLICY_KEY).unwrap();
    let expired = sas_token::sign(HOST, &key, world.now_unix() - 300, Some("iothubowner"));
    assert!(call(Some(expired), Right::RegistryRead).await.unwrap_err().message.contains("expired"));
    assert_eq!(
        call(Some("Bearer x.y.z".into()), Right::RegistryRead).await.unwrap_err().kind,
        ErrorKind::Unauthenticated
    );
    assert_eq!(call(Some("Basic eDp5".into()), Right::RegistryRead).await.unwrap_err().numeric_code(), 401_002);
}

#[tokio::test]
async fn an_actor_reaches_no_further_than_what_was_proven() {
    let world = World::new().await;
    let (service, hub) = (world.service(), &world.hub);
    let key = world.sas_device("d").await;
    put_hub(&world, "hub2", Map::new()).await;
    let other = service.by_host("hub2.azure-devices.localhost").await.unwrap();
    let elsewhere = service.get_device(&world.caller, &other, "d").await.unwrap_err();
    assert_eq!(elsewhere.kind, ErrorKind::Forbidden, "a policy opens its own hub only");
    let session = world.connect_sas("d", &key).await;
    let connection = session.connection();
    let device = connection.actor();
    assert_eq!((device.id(), device.name(), device.kind_name()), ("device:d", "d", "Key"));
    for refused in [
        service.get_device(device, hub, "d").await.unwrap_err(),
        service.get_twin(device, hub, "d").await.unwrap_err(),
        service.read_events(device, hub, 0, ReadFrom::Beginning, 1).await.unwrap_err(),
    ] {
        assert_eq!((refused.kind, refused.numeric_code()), (ErrorKind::Forbidden, 403_000), "{refused}");
        assert!(!refused.message.contains("az role assignment"), "a device is granted no role: {refused}");
    }
}

#[tokio::test]
async fn local_authentication_can_be_switched_off_at_once() {
    let world = World::new().await;
    put_hub(&world, "hub1", Map::from_iter([("disableLocalAuth".to_owned(), json!(true))])).await;
    let hub = world.service().by_host(HOST).await.unwrap();
    let token = world.policy_token(HOST, "iothubowner");
    let refused = world.service().authenticate(&hub, Some(&token)).await.unwrap_err();
    assert_eq!(refused.numeric_code(), 401_002);
    assert!(refused.message.contains("disableLocalAuth"));
}

#[tokio::test]
async fn a_bearer_token_needs_a_role_with_the_data_action() {
    let world = World::new().await;
    let object = world.service_principal().await;
    let token = async |audience: &str| world.bearer(audience).await;
    let call = async |token: &str| attempt(&world, Some(token), Right::RegistryRead).await;
    let good = token("https://iothubs.azure.net/.default").await;
    let denied = call(&good).await.unwrap_err();
    assert_eq!((denied.kind, denied.denial.as_ref().unwrap().action.as_str()), (ErrorKind::Forbidden, READ));
    assert!(denied.message.contains("az role assignment create") && denied.message.contains("IoT Hub"), "{denied}");
    // IoT Hub Data Reader.
    world.owner.assign(&object, "b447c946-2db7-41ec-983d-d8bf3b1c77e3", &world.made.id).await;
    assert!(call(&good).await.is_ok());
    let foreign = call(&token("https://management.azure.com/.default").await).await.unwrap_err();
    assert_eq!(foreign.kind, ErrorKind::Unauthenticated);
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(call(&good).await.unwrap_err().kind, ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn a_hub_is_counted_and_purged() {
    let world = World::new().await;
    let (service, hub) = (world.service(), &world.hub);
    put_hub(&world, "hub2", Map::new()).await;
    let other = service.by_host("hub2.azure-devices.localhost").await.unwrap();
    service.put_device(&world.caller_of(&other).await, &other, "d0", &json!({}), None).await.unwrap();
    for number in 0..3 {
        let status = if number == 0 { "disabled" } else { "enabled" };
        service.put_device(&world.caller, hub, &format!("d{number}"), &json!({"status": status}), None).await.unwrap();
    }
    let counts = hub::statistics(world.platform(), &world.caller, &world.made).await.unwrap();
    assert_eq!(counts, json!({"totalDeviceCount": 3, "enabledDeviceCount": 2, "disabledDeviceCount": 1}));
    assert_eq!(hub::purge(world.platform(), &world.caller, &world.made).await.unwrap(), ["d0", "d1", "d2"]);
    assert_eq!(hub::purge(world.platform(), &world.caller, &world.made).await.unwrap(), Vec::<String>::new());
    assert_eq!(hub::statistics(world.platform(), &world.caller, &world.made).await.unwrap()["totalDeviceCount"], 0);
    assert!(
        service.get_device(&world.caller_of(&other).await, &other, "d0").await.is_ok(),
        "another hub's device of the same name stays"
    );
    for table in [&DEVICES, &TWINS] {
        let left = world.platform().store.scan(table, "", Page::first(10)).await.unwrap();
        assert_eq!(left.len(), 1, "only the other hub's device is left in {}", table.name);
    }
}
