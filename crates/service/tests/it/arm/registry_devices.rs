//! Registry devices: the devices of a namespace in the shape of 2026-11-02-preview, over the same rows.

use super::fixture::{World, plant};
use ferrohub_service::authz::builtin;
use ferrohub_service::resources;
use serde_json::{Value, json};

const NEWEST: &str = "2026-11-02-preview";
const OLDER: &str = "2026-03-01-preview";

struct Ids {
    namespace: String,
    older: String,
    newest: String,
}

async fn made() -> (World, Ids) {
    let world = World::new().await;
    let namespace = plant(&world).await.namespace;
    let ids = Ids {
        older: format!("{namespace}/devices/Pump-1"),
        newest: format!("{namespace}/registryDevices/Pump-1"),
        namespace,
    };
    (world, ids)
}

async fn patched(world: &World, path: &str, version: &str, body: Value) -> Value {
    world.send(&world.owner, "PATCH", path, version, Some(body)).await.unwrap().body.unwrap()
}

#[tokio::test]
async fn one_device_is_seen_and_written_through_both() {
    let (world, ids) = made().await;
    let body = json!({"location": "westeurope", "tags": {"a": "1"}, "properties": {
        "enablementState": "Enabled", "externalDeviceId": "pump:1", "manufacturer": "Fabrikam", "model": "P9",
        "hardwareRevision": "A", "softwareRevision": "1.2", "deviceTypeRefs": ["dtmi:x;1"]}});
    let made = world.put(&ids.newest, NEWEST, body.clone()).await;
    assert_eq!(
        (&made["id"], &made["type"]),
        (&json!(ids.newest), &json!("Microsoft.DeviceRegistry/namespaces/registryDevices"))
    );
    assert_eq!(made["etag"].as_str().unwrap().len(), 36);
    let mut wanted = body["properties"].clone();
    wanted["uuid"] = made["properties"]["uuid"].clone();
    wanted["provisioningState"] = "Succeeded".into();
    assert_eq!(made["properties"], wanted);

    let old = world.get(&ids.older, OLDER).await;
    assert_eq!(
        (&old["id"], &old["tags"], &old["location"]),
        (&json!(ids.older), &json!({"a": "1"}), &json!("westeurope"))
    );
    for (name, value) in [
        ("enabled", json!(true)),
        ("externalDeviceId", json!("pump:1")),
        ("manufacturer", json!("Fabrikam")),
        ("version", json!(1)),
    ] {
        assert_eq!(old["properties"][name], value, "{name}");
    }
    assert_eq!(old["properties"]["uuid"], made["properties"]["uuid"]);
    assert!(old["properties"].get("hardwareRevision").is_none() && old["properties"].get("enablementState").is_none());

    // What one shape does not know stays when the other is written.
    let mut put_back = old.clone();
    put_back["properties"]["operatingSystemVersion"] = "3.7".into();
    put_back["properties"]["attributes"] = json!({"line": "B"});
    put_back["properties"]["enabled"] = false.into();
    world.put(&ids.older, OLDER, put_back).await;
    let newest = world.get(&ids.newest, NEWEST).await;
    assert_eq!(
        (&newest["properties"]["enablementState"], &newest["properties"]["deviceTypeRefs"]),
        (&json!("Disabled"), &json!(["dtmi:x;1"]))
    );
    let changed = json!({"tags": {"b": "2"}, "properties": {"manufacturer": "Contoso", "deviceTypeRefs": null, "enablementState": "Enabled"}});
    let newest = patched(&world, &ids.newest, NEWEST, changed).await;
    assert_eq!(
        (&newest["properties"]["manufacturer"], newest["properties"].get("deviceTypeRefs")),
        (&json!("Contoso"), None)
    );
    let old = world.get(&ids.older, OLDER).await;
    for (name, value) in [
        ("enabled", json!(true)),
        ("operatingSystemVersion", json!("3.7")),
        ("attributes", json!({"line": "B"})),
        ("version", json!(3)),
    ] {
        assert_eq!(old["properties"][name], value, "{name}");
    }
    assert_eq!(old["tags"], json!({"b": "2"}));

    // Deleted through one it is gone for the other; listed it is in both.
    world.put(&format!("{}/devices/zz-last", ids.namespace), OLDER, json!({"location": "westeurope"})).await;
    let list = world.get(&format!("{}/registryDevices?$top=1", ids.namespace), NEWEST).await;
    assert_eq!((list["value"].as_array().unwrap().len(), &list["value"][0]["id"]), (1, &json!(ids.newest)));
    let next = list["nextLink"].as_str().unwrap().split_once("/subscriptions").unwrap().1.to_owned();
    let token = next.split("skipToken=").nth(1).unwrap();
    let list = world.get(&format!("{}/registryDevices?$skipToken={token}", ids.namespace), NEWEST).await;
    assert_eq!((&list["value"][0]["name"], list.get("nextLink")), (&json!("zz-last"), None));
    let gone = world.send(&world.owner, "DELETE", &ids.newest.to_lowercase(), NEWEST, None).await.unwrap();
    assert_eq!(gone.status, 204);
    assert_eq!(world.refused(&world.owner, "GET", &ids.older, OLDER, None).await.code, "ResourceNotFound");
    assert_eq!(world.refused(&world.owner, "GET", &ids.newest, NEWEST, None).await.code, "ResourceNotFound");
}

#[tokio::test]
async fn wrong_registry_devices_are_refused_with_the_member() {
    let (world, ids) = made().await;
    let with = |name: &str, value: Value| {
        let mut body = json!({"location": "westeurope", "properties": {"enablementState": "Enabled"}});
        body["properties"][name] = value;
        body
    };
    for (name, value) in [
        ("enablementState", Value::Null),
        ("enablementState", json!("On")),
        ("enablementState", json!(true)),
        ("deviceTypeRefs", json!(["a", "b"])),
        ("deviceTypeRefs", json!("a")),
        ("hardwareRevision", json!(7)),
        ("model", json!("m".repeat(5000))),
    ] {
        let error = world.refused(&world.owner, "PUT", &ids.newest, NEWEST, Some(with(name, value.clone()))).await;
        assert_eq!((error.http_status(), error.code), (400, "InvalidPropertyValue"), "{name} {value}");
        assert_eq!(error.target.unwrap(), format!("properties.{name}"), "{value}");
    }
    let error = world
        .refused(&world.owner, "PUT", &ids.newest, NEWEST, Some(with("deviceTypeRefs", json!(["a".repeat(513)]))))
        .await;
    assert_eq!(error.target.as_deref(), Some("properties.deviceTypeRefs[0]"));
    let error = world.refused(&world.owner, "PUT", &ids.newest, NEWEST, Some(with("enabled", json!(true)))).await;
    assert_eq!((error.code, error.target.as_deref()), ("InvalidRequestContent", Some("properties.enabled")));
    let error = world.refused(&world.owner, "GET", &ids.newest, OLDER, None).await;
    assert_eq!(error.code, "NoRegisteredProviderFound");
    let lonely = ids.newest.replace("plant7", "nowhere");
    let error = world.refused(&world.owner, "PUT", &lonely, NEWEST, Some(with("model", json!("m")))).await;
    assert_eq!(error.code, "ParentResourceNotFound");
    world.put(&ids.newest, NEWEST, with("externalDeviceId", json!("a"))).await;
    let error =
        world.refused(&world.owner, "PUT", &ids.newest, NEWEST, Some(with("externalDeviceId", json!("b")))).await;
    assert_eq!((error.http_status(), error.code), (409, "PropertyChangeNotAllowed"));
    let error = world
        .refused(
            &world.owner,
            "PUT",
            &format!("{}x", ids.newest.replace("Pump-1", "-x")),
            NEWEST,
            Some(with("model", json!("m"))),
        )
        .await;
    assert_eq!(error.code, "InvalidResourceName");
}

#[tokio::test]
async fn attributes_belong_to_a_device_and_are_none_of_it() {
    let (world, ids) = made().await;
    let site = format!("{}/attributes/Site", ids.newest);
    let body = json!({"properties": {"reportedBy": "User", "schema": "https://contoso.example/s", "hall": 7, "deep": {"a": [1]}}});
    let error = world.refused(&world.owner, "PUT", &site, NEWEST, Some(body.clone())).await;
    assert_eq!(error.code, "ResourceNotFound", "the device is not there");
    world
        .put(&ids.newest, NEWEST, json!({"location": "westeurope", "properties": {"enablementState": "Enabled"}}))
        .await;
    let (device, older) = (world.get(&ids.newest, NEWEST).await, world.get(&ids.older, OLDER).await);
    let made = world.send(&world.owner, "PUT", &site, NEWEST, Some(body.clone())).await.unwrap();
    assert_eq!(made.status, 201);
    let made = made.body.unwrap();
    assert_eq!((&made["id"], &made["properties"]), (&json!(site), &body["properties"]));
    assert_eq!(made["type"], "Microsoft.DeviceRegistry/namespaces/registryDevices/attributes");
    assert_eq!(world.get(&site.replace("Site", "SITE"), NEWEST).await, made);
    assert_eq!(world.get(&format!("{}/attributes", ids.newest), NEWEST).await, json!({"value": [made]}));
    assert_eq!(
        (world.get(&ids.newest, NEWEST).await, world.get(&ids.older, OLDER).await),
        (device, older),
        "none of the device"
    );
    // What is read can be put back, and the device's own writes leave it alone.
    assert_eq!(world.put(&site, NEWEST, made.clone()).await["properties"], made["properties"]);
    patched(&world, &ids.newest, NEWEST, json!({"properties": {"model": "m"}})).await;
    let old = world.get(&ids.older, OLDER).await;
    world.put(&ids.older, OLDER, old).await;
    assert_eq!(world.get(&site, NEWEST).await["properties"], made["properties"]);

    let stale = Some("\"stale\"");
    for method in ["PUT", "DELETE"] {
        let refused = world.request(&world.owner, method, &site, NEWEST, Some(body.clone()), stale).await.unwrap_err();
        assert_eq!(refused.http_status(), 412, "{method}");
    }
    for (wrong, target) in [
        (json!({}), "properties"),
        (json!({"properties": []}), "properties"),
        (json!({"properties": {}}), "properties.reportedBy"),
        (json!({"properties": {"reportedBy": "Nobody"}}), "properties.reportedBy"),
        (json!({"properties": {"reportedBy": "User", "schema": 1}}), "properties.schema"),
        (json!({"properties": {"reportedBy": "User", "x": "x".repeat(9000)}}), "properties"),
        (json!({"properties": {"reportedBy": "User"}, "more": 1}), "more"),
    ] {
        let error = world.refused(&world.owner, "PUT", &site, NEWEST, Some(wrong.clone())).await;
        assert_eq!((error.http_status(), error.target.as_deref()), (400, Some(target)), "{wrong}");
    }
    let update = json!({"properties": {"reportedBy": "Microsoft.DeviceUpdate"}});
    assert_eq!(world.refused(&world.owner, "PUT", &site, NEWEST, Some(update)).await.http_status(), 501);
    let named =
        world.refused(&world.owner, "PUT", &format!("{}/attributes/a_b", ids.newest), NEWEST, Some(body.clone())).await;
    assert_eq!(named.code, "InvalidResourceName");
    for number in 1..16 {
        world.put(&format!("{}/attributes/set-{number}", ids.newest), NEWEST, body.clone()).await;
    }
    let full =
        world.refused(&world.owner, "PUT", &format!("{}/attributes/set-16", ids.newest), NEWEST, Some(body)).await;
    assert_eq!((full.http_status(), full.code), (409, "QuotaExceeded"));

    for _ in 0..2 {
        assert_eq!(world.send(&world.owner, "DELETE", &site, NEWEST, None).await.unwrap().status, 204);
    }
    assert_eq!(world.refused(&world.owner, "GET", &site, NEWEST, None).await.code, "ResourceNotFound");
    assert_eq!(world.send(&world.owner, "DELETE", &ids.older, OLDER, None).await.unwrap().status, 204);
}

#[tokio::test]
async fn two_writers_of_attributes_lose_nothing() {
    let (world, ids) = made().await;
    world
        .put(&ids.newest, NEWEST, json!({"location": "westeurope", "properties": {"enablementState": "Enabled"}}))
        .await;
    let body = json!({"properties": {"reportedBy": "User"}});
    let (world, newest) = (&world, &ids.newest);
    let writes = (0..8).map(|number| {
        let (path, body) = (format!("{newest}/attributes/set-{number}"), body.clone());
        async move { world.send(&world.owner, "PUT", &path, NEWEST, Some(body)).await.unwrap().status }
    });
    let tags = world.send(&world.owner, "PATCH", &ids.older, OLDER, Some(json!({"tags": {"t": "1"}})));
    let writes = async { tokio::join!(futures_util::future::join_all(writes), tags) };
    let (statuses, tagged) = Box::pin(world.while_time_passes(writes)).await;
    assert_eq!((statuses, tagged.unwrap().status), (vec![201; 8], 200));
    let list = world.get(&format!("{}/attributes", ids.newest), NEWEST).await;
    assert_eq!(list["value"].as_array().unwrap().len(), 8);
}

#[tokio::test]
async fn a_role_on_either_id_of_a_device_reaches_both() {
    let (world, ids) = made().await;
    world
        .put(&ids.newest, NEWEST, json!({"location": "westeurope", "properties": {"enablementState": "Enabled"}}))
        .await;
    let stranger = world.stranger().await;
    world.assign(stranger.id(), builtin::READER, &ids.older).await;
    for path in ["", "/attributes", "/authenticationProfiles", "/capabilities"] {
        let answer = world.send(&stranger, "GET", &format!("{}{path}", ids.newest), NEWEST, None).await.unwrap();
        assert_eq!(answer.status, 200, "{path}");
    }
    for (method, path) in [
        ("PUT", "attributes/site"),
        ("DELETE", "attributes/site"),
        ("POST", "authenticationProfiles/default/listKeys"),
        ("POST", "authenticationProfiles/default/revokeCertificates"),
    ] {
        let error = world.refused(&stranger, method, &format!("{}/{path}", ids.newest), NEWEST, Some(json!({}))).await;
        assert_eq!(error.code, "AuthorizationFailed", "{method} {path}");
    }
    // A device that no hub knows proves itself nowhere.
    for path in ["authenticationProfiles", "capabilities"] {
        assert_eq!(world.get(&format!("{}/{path}", ids.newest), NEWEST).await, json!({"value": []}));
        let path = format!("{}/{path}/default", ids.newest);
        assert_eq!(world.refused(&world.owner, "GET", &path, NEWEST, None).await.code, "ResourceNotFound");
    }
    let id = ferrohub_model::resource_id::ResourceId::parse(&ids.newest).unwrap();
    let stored = resources::get(world.platform(), &id).await.unwrap().unwrap();
    let all: Vec<String> =
        resources::ids_of(world.platform(), stored.uid).await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(all, [ids.older.clone(), ids.newest.clone()]);
}
