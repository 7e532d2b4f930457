use super::fixture::{HOST, World, put_hub, request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_messaging::ReadFrom;
use ferrohub_model::limits::MODULES_PER_DEVICE;
use ferrohub_service::hub::{ClientId, CloseReason, DeviceLogin, OpenSession, SessionEvent, Telemetry};
use ferrohub_service::tables::{DEVICES, TWINS};
use ferrohub_store::Page;
use ferrohub_wire::sas_token;
use serde_json::{Map, Value, json};

const M: ClientId<'_> = ClientId { device_id: "d", module_id: Some("m") };

async fn made(world: &World, client: ClientId<'_>) -> Value {
    world.service().put_module(&world.caller, &world.hub, client, &json!({}), None).await.unwrap().0
}

fn key(identity: &Value) -> &str {
    identity["authentication"]["symmetricKey"]["primaryKey"].as_str().unwrap()
}

fn login(world: &World, client: ClientId<'_>, key: &str) -> DeviceLogin {
    let resource = format!("{HOST}/devices/{}/modules/{}", client.device_id, client.module_id.unwrap());
    let token = sas_token::sign(&resource, &STANDARD.decode(key).unwrap(), world.now_unix() + 3600, None);
    DeviceLogin { module_id: client.module_id.map(str::to_owned), ..request(client.device_id, Some(token), Vec::new()) }
}

async fn closed(session: &mut OpenSession) -> CloseReason {
    match session.next_event().await {
        SessionEvent::Closed { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_module_lives_from_put_to_delete() {
    let world = World::new().await;
    let (service, hub, caller) = (world.service(), &world.hub, &world.caller);
    let orphan = service.put_module(caller, hub, M, &json!({}), None).await.unwrap_err();
    assert_eq!(orphan.numeric_code(), 404_001, "no device, no module");
    world.sas_device("d").await;
    let (module, new) = service.put_module(caller, hub, M, &json!({"managedBy": "me"}), None).await.unwrap();
    assert!(new);
    assert_eq!(
        (&module["deviceId"], &module["moduleId"], &module["managedBy"]),
        (&json!("d"), &json!("m"), &json!("me"))
    );
    assert_eq!(STANDARD.decode(key(&module)).unwrap().len(), 64);
    assert_eq!(service.get_module(caller, hub, M).await.unwrap(), module);
    assert_eq!(service.list_modules(caller, hub, "d").await.unwrap(), std::slice::from_ref(&module));
    let again = service.put_module(caller, hub, M, &json!({}), None).await.unwrap_err();
    assert_eq!((again.numeric_code(), again.code), (409_301, "ModuleAlreadyExistsOnDevice"));
    let stale = service.put_module(caller, hub, M, &json!({}), Some("\"x\"")).await.unwrap_err();
    assert_eq!(stale.numeric_code(), 412_001);
    let (changed, new) = service.put_module(caller, hub, M, &module, Some("\"*\"")).await.unwrap();
    assert!(!new && key(&changed) == key(&module) && changed["etag"] != module["etag"], "put back as it was read");
    for missing in [ClientId::module("d", "M"), ClientId::module("d", "other")] {
        assert_eq!(service.get_module(caller, hub, missing).await.unwrap_err().numeric_code(), 404_010);
        assert_eq!(
            service.put_module(caller, hub, missing, &json!({}), Some("*")).await.unwrap_err().numeric_code(),
            404_010
        );
        assert_eq!(service.get_twin(caller, hub, missing).await.unwrap_err().numeric_code(), 404_010);
    }
    let patch = json!({"tags": {"a": 1}, "properties": {"desired": {"x": 2}}});
    let twin = service.patch_twin(caller, hub, M, &patch, None).await.unwrap();
    assert_eq!(
        (&twin["moduleId"], &twin["tags"], &twin["properties"]["desired"]["x"]),
        (&json!("m"), &json!({"a": 1}), &json!(2))
    );
    let device = service.get_twin(caller, hub, "d").await.unwrap();
    assert_eq!((device.get("moduleId"), &device["tags"]), (None, &json!({})), "the device's twin is another");
    service.delete_module(caller, hub, M, Some("\"*\"")).await.unwrap();
    assert_eq!(service.delete_module(caller, hub, M, None).await.unwrap_err().numeric_code(), 404_010);
    assert_eq!(service.list_modules(caller, hub, "d").await.unwrap(), [] as [Value; 0]);
}

#[tokio::test]
async fn modules_go_with_their_device_and_their_hub() {
    let world = World::new().await;
    let (service, hub, caller) = (world.service(), &world.hub, &world.caller);
    for device in ["d", "d2"] {
        world.sas_device(device).await;
        for module in ["m", "n"] {
            made(&world, ClientId::module(device, module)).await;
        }
    }
    service.delete_device(caller, hub, "d", None).await.unwrap();
    let rows = async |table| world.platform().store.scan(table, "", Page::first(99)).await.unwrap().len();
    assert_eq!((rows(&DEVICES).await, rows(&TWINS).await), (3, 3));
    assert_eq!(service.list_modules(caller, hub, "d2").await.unwrap().len(), 2);
    world.owner.delete(&world.made.id, crate::owner::HUB_API).await;
    assert_eq!((rows(&DEVICES).await, rows(&TWINS).await), (0, 0));
}

#[tokio::test]
async fn a_device_has_so_many_modules_and_no_more() {
    let world = World::new().await;
    world.sas_device("d").await;
    for number in 0..MODULES_PER_DEVICE {
        made(&world, ClientId::module("d", &format!("m{number}"))).await;
    }
    let error = world.service().put_module(&world.caller, &world.hub, M, &json!({}), None).await.unwrap_err();
    assert_eq!((error.numeric_code(), error.code), (413_003, "TooManyModulesOnDevice"));
}

#[tokio::test]
async fn a_module_connects_as_itself() {
    let world = World::new().await;
    let (service, hub, caller) = (world.service(), &world.hub, &world.caller);
    let device_key = world.sas_device("d").await;
    let module = made(&world, M).await;
    let mut session = service.connect(login(&world, M, key(&module))).await.unwrap();
    let with_device_key = service.connect(login(&world, M, &device_key)).await.map(drop).unwrap_err();
    assert_eq!(with_device_key.numeric_code(), 401_003, "the device's key is not the module's");
    let unknown = service.connect(login(&world, ClientId::module("d", "x"), &device_key)).await.map(drop).unwrap_err();
    assert_eq!((unknown.numeric_code(), unknown.code), (401_002, "ModuleNotFound"));

    assert_eq!(service.get_module(caller, hub, M).await.unwrap()["connectionState"], "Connected");
    assert_eq!(service.get_device(caller, hub, "d").await.unwrap()["connectionState"], "Disconnected");
    let device = world.connect_sas("d", &device_key).await;
    session.publish(&[Telemetry { payload: "x".into(), ..Telemetry::default() }]).await.unwrap();
    let mut events = Vec::new();
    for partition in 0..hub.partition_count {
        events.extend(service.read_events(caller, hub, partition, ReadFrom::Beginning, 9).await.unwrap());
    }
    let system = |name: &str| {
        events[0].properties.system.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    assert_eq!(system("iothub-connection-device-id").as_deref(), Some("d"));
    assert_eq!(system("iothub-connection-module-id").as_deref(), Some("m"));
    assert!(system("iothub-connection-auth-method").unwrap().contains(r#""scope":"module""#));

    assert_eq!(session.patch_reported(json!({"t": 1}), None).await.unwrap(), 2);
    service.patch_twin(caller, hub, M, &json!({"properties": {"desired": {"x": 2}}}), None).await.unwrap();
    match session.next_event().await {
        SessionEvent::Desired { patch, .. } => assert_eq!(patch["x"], 2),
        other => panic!("{other:?}"),
    }
    assert_eq!(device.twin().await.unwrap()["desired"], json!({"$version": 1}), "the device hears nothing of it");
    service.put_device(caller, hub, "d", &json!({"status": "disabled"}), Some("*")).await.unwrap();
    assert_eq!(closed(&mut session).await, CloseReason::Disabled);
    let out = service.connect(login(&world, M, key(&module))).await.map(drop).unwrap_err();
    assert_eq!(out.numeric_code(), 403_012);
}

#[tokio::test]
async fn a_module_loses_its_connection_with_its_key_or_its_device() {
    let world = World::new().await;
    let (service, hub, caller) = (world.service(), &world.hub, &world.caller);
    world.sas_device("d").await;
    let module = made(&world, M).await;
    let mut session = service.connect(login(&world, M, key(&module))).await.unwrap();
    let body = json!({"policyKey": "both", "devices": [{"id": "d", "moduleId": "m"}]});
    let fresh = service.regenerate_keys(caller, hub, &body).await.unwrap();
    assert_eq!(closed(&mut session).await, CloseReason::CredentialsChanged);
    let new_key = fresh.rotated[0]["primaryKey"].as_str().unwrap();
    let mut session = service.connect(login(&world, M, new_key)).await.unwrap();
    service.delete_device(caller, hub, "d", None).await.unwrap();
    assert_eq!(closed(&mut session).await, CloseReason::Deleted);
    world.sas_device("d").await;
    let module = made(&world, M).await;
    let off = Map::from_iter([("disableModuleSAS".to_owned(), Value::from(true))]);
    let mut session = service.connect(login(&world, M, key(&module))).await.unwrap();
    put_hub(&world, "hub1", off).await;
    assert_eq!(closed(&mut session).await, CloseReason::CredentialsChanged);
    assert_eq!(service.connect(login(&world, M, key(&module))).await.map(drop).unwrap_err().numeric_code(), 401_002);
}
