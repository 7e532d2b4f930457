//! Individual enrollments with keys, many enrollments at once, and what happens at the same time.

use super::world::{World, csr};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::enrollment::EnrollmentKind;
use ferrohub_service::provisioning::EnrollmentKind::{Group, Individual};
use ferrohub_service::provisioning::{DeviceCaller, PageRequest, RegisterRequest};
use ferrohub_service::tables::{DEVICES, REGISTRATIONS};
use ferrohub_wire::sas_token::sign;
use serde_json::{Value, json};

/// Makes or changes an individual enrollment with keys; gives its primary key.
async fn enroll(world: &World, id: &str, extra: Value) -> Vec<u8> {
    world.try_enroll(Individual, id, json!({"type": "symmetricKey"}), extra).await.unwrap();
    world.keys(Individual, id).await[0].clone()
}

/// A request signed with the key as it is.
fn request(world: &World, key: &[u8], id: &str) -> RegisterRequest {
    let expiry = world.platform().clock.unix_seconds() + 3600;
    RegisterRequest {
        id_scope: world.scope.clone(),
        registration_id: id.into(),
        authorization: Some(sign(&format!("{}/registrations/{id}", world.scope), key, expiry, Some("registration"))),
        ..RegisterRequest::default()
    }
}

async fn state(world: &World, request: RegisterRequest) -> Value {
    let first = world.service().register(request.clone()).await.unwrap();
    let caller = DeviceCaller {
        id_scope: &request.id_scope,
        registration_id: &request.registration_id,
        api_version: None,
        authorization: request.authorization.as_deref(),
        peer_chain: &[],
        peer: Default::default(),
    };
    let done = world.service().operation_status(caller, &first.operation_id).await.unwrap();
    done.body["registrationState"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_an_individual_enrollment_is_used_as_it_is() {
    let world = World::new().await;
    let group = world.group("g1", json!({})).await;
    world.register(&group, "d1", None).await;
    let key = enroll(&world, "d1", json!({"deviceId": "Named"})).await;
    // It decides alone from now on, and takes the registration over.
    let refused = world.service().register(world.request(&group, "d1", None)).await.unwrap_err();
    assert_eq!(refused.numeric_code(), 401_002);
    let derived = world.service().register(world.request(&key, "d1", None)).await.unwrap_err();
    assert!(derived.message.contains("used as it is"), "{derived}");
    let registered = state(&world, request(&world, &key, "d1")).await;
    assert_eq!((&registered["deviceId"], &registered["status"]), (&json!("Named"), &json!("assigned")));
    assert_eq!(registered["symmetricKey"], json!({}));
    let (dps, caller) = (world.dps().await, world.caller().await);
    let shown =
        world.service().query_enrollments(&caller, &dps, Individual, None, &PageRequest::default()).await.unwrap();
    assert_eq!(shown.items[0]["registrationState"]["deviceId"], "Named");
    let of_group =
        world.service().query_registrations(&caller, &dps, "g1", None, &PageRequest::default()).await.unwrap();
    assert!(of_group.items.is_empty(), "it is the group's no more");
    // Another device id is another device.
    enroll(&world, "d1", json!({"deviceId": "Renamed"})).await;
    assert_eq!(state(&world, request(&world, &key, "d1")).await["deviceId"], "Renamed");
    enroll(&world, "d1", json!({"provisioningStatus": "disabled"})).await;
    let disabled = world.service().register(request(&world, &key, "d1")).await.unwrap_err();
    assert!(
        disabled.numeric_code() == 401_002 && disabled.message.contains("az iot dps enrollment update"),
        "{disabled}"
    );
    // With it its registration goes, and the group decides again.
    world.service().delete_enrollment(&caller, &dps, Individual, "D1", None).await.unwrap();
    assert_eq!(world.service().registration(&caller, &dps, "d1").await.unwrap_err().numeric_code(), 404_202);
    assert_eq!(world.register(&group, "d1", None).await["status"], "assigned");
}

#[tokio::test(flavor = "multi_thread")]
async fn either_key_of_an_individual_enrollment_is_good_here_and_at_the_hub() {
    let world = World::new().await;
    let primary = enroll(&world, "d1", json!({})).await;
    let secondary = world.keys(Individual, "d1").await[1].clone();
    assert_ne!(primary, secondary);
    for key in [&secondary, &primary] {
        assert_eq!(state(&world, request(&world, key, "d1")).await["status"], "assigned");
        world.connects_by_key("d1", key).await.unwrap();
    }
    // While the primary one is changed, the device goes on with the other one.
    let keys = json!({"primaryKey": STANDARD.encode([5u8; 64]), "secondaryKey": STANDARD.encode(&secondary)});
    let attestation = json!({"type": "symmetricKey", "symmetricKey": keys});
    world.try_enroll(Individual, "d1", attestation, json!({})).await.unwrap();
    assert_eq!(state(&world, request(&world, &secondary, "d1")).await["status"], "assigned");
    let refused = world.service().register(request(&world, &primary, "d1")).await.unwrap_err();
    assert_eq!(refused.numeric_code(), 401_002);
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_of_an_enrollment_for_edge_devices_are_such() {
    let world = World::new().await;
    let edge = json!({"capabilities": {"iotEdge": true}});
    let alone = enroll(&world, "gate-1", edge.clone()).await;
    state(&world, request(&world, &alone, "gate-1")).await;
    let gates = world.group("gates", edge.clone()).await;
    world.register(&gates, "gate-2", None).await;
    let issued =
        world.group("issued", json!({"capabilities": edge["capabilities"], "credentialPolicyName": "default"})).await;
    let csr = csr(world.folder.path(), "gate-3", &[]);
    world.register(&issued, "gate-3", Some(csr)).await;
    let plain = world.group("plain", json!({})).await;
    world.register(&plain, "d1", None).await;
    let (hub, caller) = world.hub_caller().await;
    for (id, edge) in [("gate-1", true), ("gate-2", true), ("gate-3", true), ("d1", false)] {
        let device = world.hubs().get_device(&caller, &hub, id).await.unwrap();
        let twin = world.hubs().get_twin(&caller, &hub, id).await.unwrap();
        for shown in [&device, &twin] {
            assert_eq!(shown["capabilities"], json!({ "iotEdge": edge }), "{id}: {shown}");
        }
        assert_eq!(device["deviceScope"].is_string(), edge, "an edge device is a scope of its own: {device}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_no_enrollment_with_a_tpm() {
    let world = World::new().await;
    let tpm = json!({"type": "tpm", "tpm": {"endorsementKey": "RUs="}});
    let made = world.try_enroll(Individual, "d2", tpm.clone(), json!({})).await.unwrap();
    assert_eq!(made["attestation"], tpm);
    let refused = world.service().register(request(&world, b"any key at all will do", "d2")).await.unwrap_err();
    assert_eq!(refused.numeric_code(), 401_002);
}

async fn bulk(world: &World, kind: EnrollmentKind, body: Value) -> Result<Value, u32> {
    let (dps, caller) = (world.dps().await, world.caller().await);
    let answer = world.service().bulk_enrollments(&caller, &dps, kind, None, &body).await;
    answer.map_err(|error| error.numeric_code())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_says_of_each_what_went_wrong() {
    let world = World::new().await;
    for (kind, list, id) in
        [(Individual, "enrollments", "registrationId"), (Group, "enrollmentGroups", "enrollmentGroupId")]
    {
        let item = |name: &str, extra: Value| {
            let mut item = json!({"attestation": {"type": "symmetricKey"}});
            item[id] = json!(name);
            for (member, value) in extra.as_object().unwrap() {
                item[member] = value.clone();
            }
            item
        };
        let run = async |mode: &str, items: Value| {
            let mut body = json!({ "mode": mode });
            body[list] = items;
            bulk(&world, kind, body).await
        };
        let both = json!([item("a", json!({})), item("b", json!({}))]);
        assert_eq!(run("create", both.clone()).await.unwrap(), json!({"isSuccessful": true, "errors": []}));
        let again = run("create", both).await.unwrap();
        assert_eq!((&again["isSuccessful"], &again["errors"][1]["errorCode"]), (&json!(false), &json!(409_201)));
        assert_eq!(again["errors"][1][id], "b");
        let disabled = json!({"provisioningStatus": "disabled"});
        let some = run(
            "UPDATE",
            json!([item("a", disabled.clone()), item("c", json!({})), item("b", json!({"colour": 1})), json!({})]),
        )
        .await
        .unwrap();
        let codes: Vec<&Value> = some["errors"].as_array().unwrap().iter().map(|error| &error["errorCode"]).collect();
        assert_eq!(codes, [404_201, 400_004, 400_004]);
        let (dps, caller) = (world.dps().await, world.caller().await);
        let a = world.service().enrollment(&caller, &dps, kind, "a").await.unwrap();
        assert_eq!(a["provisioningStatus"], "disabled");
        let stale = json!([item("a", json!({"etag": "old"})), item("b", json!({}))]);
        let stale = run("updateIfMatchETag", stale).await.unwrap();
        assert_eq!(
            (&stale["errors"][0]["errorCode"], &stale["errors"][1]["errorCode"]),
            (&json!(412_001), &json!(400_004))
        );
        assert_eq!(run("updateIfMatchETag", json!([a])).await.unwrap()["isSuccessful"], true);
        let gone = run("delete", json!([item("a", json!({})), item("zz", json!({}))])).await.unwrap();
        assert_eq!(gone["errors"][0][id], "zz");
        assert!(world.service().enrollment(&caller, &dps, kind, "a").await.is_err());
        let eleven: Vec<Value> = (0..11).map(|number| item(&format!("n{number}"), json!({}))).collect();
        for (mode, items) in [
            ("create", json!(eleven)),
            ("create", json!([])),
            ("merge", json!([item("a", json!({}))])),
            ("create", json!({})),
        ] {
            assert_eq!(run(mode, items).await.unwrap_err(), 400_004, "{mode}");
        }
        assert_eq!(bulk(&world, kind, json!([])).await.unwrap_err(), 400_004);
        let unknown = json!({"mode": "create", list: [item("a", json!({}))], "more": 1});
        assert_eq!(bulk(&world, kind, unknown).await.unwrap_err(), 400_004);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrollment_that_goes_while_its_devices_register_leaves_no_half() {
    let world = World::new().await;
    for round in 0..8 {
        let id = format!("d{round}");
        let key = enroll(&world, &id, json!({})).await;
        let (dps, caller) = (world.dps().await, world.caller().await);
        let registering =
            futures_util::future::join_all((0..4).map(|_| world.service().register(request(&world, &key, &id))));
        let deleting = world.service().delete_enrollment(&caller, &dps, Individual, &id, None);
        let (answers, deleted) = tokio::join!(registering, deleting);
        deleted.unwrap();
        for error in answers.into_iter().filter_map(Result::err) {
            assert_eq!(error.numeric_code(), 401_002, "{error}");
        }
        let left = world.rows(&REGISTRATIONS).await;
        assert!(left.iter().all(|row| !row.key.ends_with(&id)), "a registration without its enrollment");
    }
    // Devices of those that were in time stay at the hub, each once.
    assert!(world.rows(&DEVICES).await.len() <= 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_registrations_of_one_id_make_one_device() {
    let world = World::new().await;
    let key = enroll(&world, "d1", json!({})).await;
    let elsewhere = world.elsewhere();
    let (one, other) = tokio::join!(
        world.service().register(request(&world, &key, "d1")),
        elsewhere.register(request(&world, &key, "d1"))
    );
    assert_ne!(one.unwrap().operation_id, other.unwrap().operation_id);
    assert_eq!((world.rows(&DEVICES).await.len(), world.rows(&REGISTRATIONS).await.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_needs_its_own_rights() {
    let world = World::new().await;
    let dps = world.dps().await;
    let host = "dps1.azure-devices-provisioning.localhost";
    let token = sign(host, &[7; 64], world.platform().clock.unix_seconds() + 60, Some("reader"));
    let reader = world.service().authenticate(&dps, Some(&token)).await.unwrap();
    enroll(&world, "d1", json!({})).await;
    let service = world.service();
    assert!(service.enrollment(&reader, &dps, Individual, "d1").await.is_ok());
    let body = json!({"attestation": {"type": "symmetricKey"}});
    let refused = [
        service.put_enrollment(&reader, &dps, Individual, "d2", &body, None).await.map(drop),
        service.delete_enrollment(&reader, &dps, Individual, "d1", None).await,
        service.attestation_mechanism(&reader, &dps, Individual, "d1").await.map(drop),
        service.bulk_enrollments(&reader, &dps, Individual, None, &json!("nonsense")).await.map(drop),
        service.bulk_enrollments(&reader, &dps, Group, None, &json!({"mode": "delete"})).await.map(drop),
    ];
    for refused in refused {
        assert_eq!(refused.unwrap_err().numeric_code(), 403_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_may_be_called_otherwise_than_its_authority() {
    const NEW: &str = "2026-11-02-preview";
    let world = World::new().await;
    let authority = world.namespace.child("certificateAuthorities", "line-a");
    let root = world.namespace.child("certificateAuthorities", "default-root").to_string();
    let issuer = json!({"issuerType": "Microsoft", "certificateAuthorityResourceId": root});
    let ica = json!({"certificateAuthorityType": "ICA", "keyType": "ECC", "issuer": issuer});
    world.owner.put(&authority, NEW, json!({"location": "eastus", "properties": ica})).await;
    let leaf = json!({"location": "eastus", "properties": {"certificate": {"validityPeriodInDays": 7}}});
    world.owner.put(&authority.child("certificatePolicies", "leaf7"), NEW, leaf).await;
    let names =
        json!({"namespaceName": "plant", "certificateAuthorityName": "line-a", "certificatePolicyName": "leaf7"});
    let key = enroll(&world, "d1", names.clone()).await;
    let mut asking = request(&world, &key, "d1");
    asking.csr = Some(csr(world.folder.path(), "d1", &[]));
    let state = state(&world, asking).await;
    assert_eq!(state["issuedCertificateChain"].as_array().map(Vec::len), Some(3), "{state}");
    let (dps, caller) = (world.dps().await, world.caller().await);
    let mut shown = world.service().enrollment(&caller, &dps, Individual, "d1").await.unwrap();
    assert_eq!(shown["credentialPolicyName"], "line-a", "older clients call it by its authority");
    world
        .service()
        .shape(&caller, &dps, Individual, Some("2026-11-01"), std::slice::from_mut(&mut shown))
        .await
        .unwrap();
    for (member, name) in names.as_object().unwrap() {
        assert_eq!(&shown[member], name, "{member}");
    }
    let wrong = json!({"certificateAuthorityName": "line-a", "certificatePolicyName": "line-a2"});
    let refused = world.try_enroll(Individual, "d1", json!({"type": "symmetricKey"}), wrong).await.unwrap_err();
    assert!(refused.message.contains("it has 'leaf7'"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_shown_as_each_generation_names_it() {
    let world = World::new().await;
    let (dps, caller) = (world.dps().await, world.caller().await);
    enroll(&world, "d1", json!({"credentialPolicyName": "default"})).await;
    let shown = async |version: &str| {
        let mut found = world.service().enrollment(&caller, &dps, Individual, "d1").await.unwrap();
        world
            .service()
            .shape(&caller, &dps, Individual, Some(version), std::slice::from_mut(&mut found))
            .await
            .unwrap();
        found
    };
    assert_eq!(shown("2025-07-01-preview").await["credentialPolicyName"], "default");
    let names = shown("2026-11-01").await;
    assert_eq!((&names["namespaceName"], &names["certificateAuthorityName"]), (&json!("plant"), &json!("default")));
    assert!(names.get("credentialPolicyName").is_none());
    let by_id = shown("2026-07-01-preview").await;
    let id = by_id["certificatePolicyResourceId"].as_str().unwrap().to_owned();
    assert!(id.ends_with("/namespaces/plant/certificateAuthorities/default/certificatePolicies/default"), "{id}");
    // Each is taken back, whatever the version.
    for read in [names, by_id] {
        let put = world.service().put_enrollment(&caller, &dps, Individual, "d1", &read, Some("*")).await.unwrap();
        assert_eq!(put["credentialPolicyName"], "default");
    }
    let elsewhere =
        json!({"attestation": {"type": "symmetricKey"}, "certificatePolicyResourceId": id.replace("/rg/", "/other/")});
    let refused = world.service().put_enrollment(&caller, &dps, Individual, "d2", &elsewhere, None).await.unwrap_err();
    assert!(refused.numeric_code() == 400_004 && refused.message.contains("is linked to"), "{refused}");
}
