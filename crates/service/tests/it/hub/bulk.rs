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
        (json!({"policyKey": "both", "devices": [{"id": "a", "etag": 1}]}), 400_004),
        (json!({"policyKey": "both", "devices": [{"id": "a", "ifMatch": "x"}]}), 400_004),
        (json!({"policyKey": "both", "devices": ["a"]}), 400_004),
        (json!({"policyKey": "both", "devices": [{"id": "a"}], "force": true}), 400_004),
    ] {
        assert_eq!(service.regenerate_keys(caller, hub, &body).await.unwrap_err().numeric_code(), code, "{body}");
    }
    assert_eq!(keys("a").await, after);
    // Only of an identity that is what the client read.
    let etag = service.get_device(caller, hub, "a").await.unwrap()["etag"].clone();
    let entries = json!([{"id": "b", "etag": "c3RhbGU="}, {"id": "a", "etag": etag}]);
    let body = json!({"policyKey": "both", "devices": entries});
    let done = service.regenerate_keys(caller, hub, &body).await.unwrap();
    assert_eq!((done.rotated.len(), &done.rotated[0]["id"]), (1, &json!("a")));
    assert_eq!((done.failed.len(), done.failed[0].error.numeric_code()), (1, 412_001));
    let again = service.regenerate_keys(caller, hub, &body).await.unwrap();
    assert_eq!((again.rotated.len(), again.failed.len()), (0, 2), "new keys are a new etag");
}

#[tokio::test]
async fn twins_are_written_with_the_right_to_write_twins() {
    let world = World::new().await;
    let object = world.service_principal().await;
    // IoT Hub Registry Contributor.
    world.owner.assign(&object, "4ea46cd5-c1b2-4a8e-910b-273211f9ce47", &world.made.id).await;
    let bearer = world.bearer("https://iothubs.azure.net/.default").await;
    let actor = world.service().authenticate(&world.hub, Some(&bearer)).await.unwrap();
    let send = async |body: Value| world.service().bulk(&actor, &world.hub, &body).await;
    assert!(send(json!([{"id": "a", "importMode": "create"}])).await.unwrap().is_empty());
    let writing = [
        json!([{"id": "a", "importMode": "updateTwin"}]),
        json!([{"id": "a", "importMode": "updateTwinIfMatchETag", "twinETag": "x", "tags": {}}]),
        json!([{"id": "b", "importMode": "create", "tags": {"x": 1}}]),
        json!([{"id": "b", "importMode": "create"}, {"id": "a", "importMode": "update", "properties": {"desired": {"x": 1}}}]),
        json!([{"id": "a", "tags": {"x": 1}}]),
    ];
    for body in &writing {
        let denied = send(body.clone()).await.unwrap_err();
        let action = denied.denial.map(|denial| denial.action);
        assert_eq!(action.as_deref(), Some("Microsoft.Devices/IotHubs/twins/write"), "{body}");
    }
    let gone = world.service().get_device(&world.caller, &world.hub, "b").await.unwrap_err();
    assert_eq!(gone.numeric_code(), 404_001, "nothing of a refused request is written");
    let same = json!([{"id": "a", "importMode": "update", "tags": null}, {"id": "z", "importMode": "delete", "tags": {"x": 1}}]);
    assert_eq!(send(same).await.unwrap().len(), 1, "what is not written needs no right");
    // IoT Hub Twin Contributor.
    world.owner.assign(&object, "494bdba2-168f-4f31-a0a1-191d2f7c028c", &world.made.id).await;
    assert!(send(writing[3].clone()).await.unwrap().is_empty());
}
