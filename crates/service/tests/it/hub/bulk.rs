use super::fixture::World;
use ferrohub_model::limits::BULK_DEVICES;
use ferrohub_service::hub::ClientId;
use serde_json::{Value, json};

/// Codes of the entries that failed, by device.
async fn sent(world: &World, body: Value) -> Vec<(String, u32)> {
    let failed = world.service().bulk(&world.caller, &world.hub, &body).await.unwrap();
    failed.into_iter().map(|failed| (failed.device_id, failed.error.numeric_code())).collect()
}

#[tokio::test]
async fn each_entry_holds_or_fails_by_itself() {
    let world = World::new().await;
    let (service, hub, caller) = (world.service(), &world.hub, &world.caller);
    world.sas_device("there").await;
    // As azure-iothub for Node sends them.
    let keys = json!({"type": "sas", "symmetricKey": {"primaryKey": "", "secondaryKey": ""}});
    let failed = sent(
        &world,
        json!([
            {"id": "a", "importMode": "create", "authentication": keys, "tags": {"x": 1}, "properties": {"desired": {"y": 2}}},
            {"id": "there", "importMode": "create"},
            {"id": "b c", "importMode": "create"},
            {"id": "b", "importMode": "CREATE", "status": "sleeping"},
            {"id": "a", "importMode": "create"},
            {"id": "a", "moduleId": "m", "importMode": "create"},
            {"id": "gone", "importMode": "Update"},
            {"id": "new", "status": "disabled", "capabilities": {"iotEdge": true}},
        ]),
    )
    .await;
    let codes = [("there", 409_001), ("b c", 400_004), ("b", 400_004), ("a", 400_011), ("gone", 404_001)];
    assert_eq!(failed, codes.map(|(id, code)| (id.to_owned(), code)));
    let twin = service.get_twin(caller, hub, "a").await.unwrap();
    assert_eq!(
        (&twin["tags"], &twin["properties"]["desired"]["y"], &twin["version"]),
        (&json!({"x": 1}), &json!(2), &json!(2))
    );
    assert!(service.get_device(caller, hub, "new").await.unwrap()["deviceScope"].is_string());
}

#[tokio::test]
async fn modes_go_by_etags_or_not() {
    let world = World::new().await;
    let (service, hub, caller) = (world.service(), &world.hub, &world.caller);
    for id in ["a", "b", "c"] {
        world.sas_device(id).await;
    }
    let etag = service.get_device(caller, hub, "a").await.unwrap()["etag"].clone();
    let wrong = json!([
        {"id": "a", "importMode": "updateIfMatchETag", "etag": "stale", "status": "disabled"},
        {"id": "b", "importMode": "deleteIfMatchETag"},
        {"id": "c", "importMode": "updateTwinIfMatchETag", "twinETag": "AAAAAAAAAAk=", "tags": {"x": 1}},
    ]);
    let codes = [("a", 412_001), ("b", 400_004), ("c", 412_001)].map(|(id, code)| (id.to_owned(), code));
    assert_eq!(sent(&world, wrong).await, codes);
    let right = json!([
        {"id": "a", "importMode": "UpdateIfMatchETag", "eTag": etag, "status": "disabled", "tags": {"x": 1}},
        {"id": "b", "importMode": "delete"},
        {"id": "c", "importMode": "updateTwinIfMatchETag", "twinETag": "AAAAAAAAAAE=", "tags": {"x": 1}},
        {"id": "d", "importMode": "createOrUpdateIfMatchETag", "eTag": "any"},
    ]);
    assert_eq!(sent(&world, right).await, []);
    let device = service.get_device(caller, hub, "a").await.unwrap();
    assert_eq!(device["status"], "disabled");
    for id in ["a", "c"] {
        assert_eq!(service.get_twin(caller, hub, id).await.unwrap()["tags"], json!({"x": 1}), "{id}");
    }
    assert_eq!(service.get_device(caller, hub, "b").await.unwrap_err().numeric_code(), 404_001);
    let twins = json!([{"id": "a", "importMode": "updateTwin", "tags": {"y": 2}, "properties": {"desired": {"z": 3}}}]);
    assert_eq!(sent(&world, twins).await, []);
    let twin = service.get_twin(caller, hub, "a").await.unwrap();
    assert_eq!(
        (&twin["tags"], &twin["properties"]["desired"]["z"]),
        (&json!({"y": 2}), &json!(3)),
        "what is given replaces"
    );
}

#[tokio::test]
async fn a_body_that_is_none_writes_nothing() {
    let world = World::new().await;
    let many: Vec<Value> = (0..=BULK_DEVICES).map(|n| json!({"id": format!("d{n}"), "importMode": "create"})).collect();
    for (body, code) in [
        (json!({}), 400_004),
        (json!([]), 400_004),
        (json!([1]), 400_004),
        (json!([{"id": "a"}, {"importMode": "create"}]), 400_004),
        (json!([{"id": "a"}, {"id": "b", "importMode": "destroy"}]), 400_004),
        (json!([{"id": "a"}, {"id": 7}]), 400_004),
        (json!(many), 413_002),
    ] {
        let error = world.service().bulk(&world.caller, &world.hub, &body).await.unwrap_err();
        assert_eq!(error.numeric_code(), code, "{body}");
    }
    assert_eq!(world.service().list_devices(&world.caller, &world.hub, None).await.unwrap(), [] as [Value; 0]);
    let token = world.policy_token(super::fixture::HOST, "registryRead");
    let reader = world.service().authenticate(&world.hub, Some(&token)).await.unwrap();
    assert_eq!(world.service().bulk(&reader, &world.hub, &json!([])).await.unwrap_err().numeric_code(), 401_002);
}

#[tokio::test]
async fn keys_are_made_anew() {
    let world = World::new().await;
    let (service, hub, caller) = (world.service(), &world.hub, &world.caller);
    for id in ["a", "b"] {
        world.sas_device(id).await;
    }
    service
        .put_device(caller, hub, "x509", &json!({"authentication": {"type": "certificateAuthority"}}), None)
        .await
        .unwrap();
    service.put_module(caller, hub, ClientId::module("a", "m"), &json!({}), None).await.unwrap();
    let keys =
        async |id: &str| service.get_device(caller, hub, id).await.unwrap()["authentication"]["symmetricKey"].clone();
    let before = keys("a").await;
    let body = json!({"policyKey": "primaryKey", "devices": [{"id": "a"}, {"id": "a", "moduleId": "m"}, {"id": "x509"}, {"id": "z"}]});
    let done = service.regenerate_keys(caller, hub, &body).await.unwrap();
    let after = keys("a").await;
    assert_ne!(after["primaryKey"], before["primaryKey"]);
    assert_eq!(after["secondaryKey"], before["secondaryKey"], "the other one stays");
    let shown = json!({"id": "a", "moduleId": null, "primaryKey": after["primaryKey"], "secondaryKey": null});
    assert_eq!((done.policy_key, done.rotated.len(), &done.rotated[0]), ("primaryKey", 2, &shown));
    let codes: Vec<u32> = done.failed.iter().map(|failed| failed.error.numeric_code()).collect();
    assert_eq!(codes, [400_003, 404_001]);
    for (body, code) in [
        (json!({"policyKey": "third", "devices": [{"id": "a"}]}), 400_035),
        (json!({"policyKey": "both"}), 400_004),
        (json!({"policyKey": "both", "devices": [{"moduleId": "m"}]}), 400_004),
        (json!({"policyKey": "both", "devices": [{"id": "a", "moduleId": 1}]}), 400_004),
    ] {
        assert_eq!(service.regenerate_keys(caller, hub, &body).await.unwrap_err().numeric_code(), code, "{body}");
    }
    assert_eq!(keys("a").await, after);
}
