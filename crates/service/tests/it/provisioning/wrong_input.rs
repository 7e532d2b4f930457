//! Wrong input: each gets its code and a sentence, and nothing is stored.

use super::world::{World, csr};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::error::Error;
use ferrohub_service::provisioning::EnrollmentKind::Group;
use ferrohub_service::provisioning::{DeviceCaller, RegisterRequest};
use ferrohub_service::tables::{CERTIFICATES, DEVICES, REGISTRATIONS};
use ferrohub_wire::sas_token::{derive_device_key, sign};
use serde_json::json;

async fn refused(world: &World, request: RegisterRequest) -> Error {
    let error = world.service().register(request).await.unwrap_err();
    for table in [&CERTIFICATES, &DEVICES, &REGISTRATIONS] {
        assert!(world.rows(table).await.is_empty(), "{}: {error}", table.name);
    }
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_requests() {
    let world = World::new().await;
    let folder = world.folder.path();
    let key = world.group("g1", json!({"credentialPolicyName": "default"})).await;
    let good = STANDARD.decode(csr(folder, "d1", &[])).unwrap();
    let mut forged = good.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    for (text, code, word) in [
        ("not base64!".to_owned(), 400_004, "base64"),
        (String::new(), 400_004, "csr"),
        ("A".repeat(8 * 1024 + 4), 400_004, "maximum"),
        (STANDARD.encode(b"certainly no request"), 400_037, "PKCS#10"),
        (STANDARD.encode(&forged), 400_037, "signature"),
        (csr(folder, "d2", &[]), 400_037, "d2"),
        (csr(folder, "D1", &[]), 400_037, "D1"),
    ] {
        let error = refused(&world, world.request(&key, "d1", Some(text.clone()))).await;
        assert_eq!(error.numeric_code(), code, "{text}: {error}");
        assert!(error.message.contains(word), "{text}: {}", error.message);
    }
    // The right one still works.
    assert_eq!(world.register(&key, "d1", Some(STANDARD.encode(good))).await["status"], "assigned");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_ids() {
    let world = World::new().await;
    let key = world.group("g1", json!({})).await;
    let expiry = world.platform().clock.unix_seconds() + 600;
    let resource = format!("{}/registrations/d1", world.scope);
    let device_key = derive_device_key(&key, "d1");
    for (authorization, word) in [
        (None, "Authorization"),
        (Some(String::new()), "Authorization"),
        (Some("Bearer x".to_owned()), "malformed"),
        (Some(sign(&resource, b"another key entirely", expiry, Some("registration"))), "No enrollment group"),
        (Some(sign(&resource, &key, expiry, Some("registration"))), "No enrollment group"),
        (Some(sign(&resource, &device_key, expiry - 1200, Some("registration"))), "expired"),
        (Some(sign("0NE1/registrations/d1", &device_key, expiry, Some("registration"))), "0NE1"),
        (Some(sign(&world.scope, &device_key, expiry, Some("registration"))), "SAS token is for"),
        (Some(sign(&format!("{}/registrations/d2", world.scope), &device_key, expiry, Some("registration"))), "d2"),
        (Some(sign(&resource, &device_key, expiry, Some("device"))), "skn=registration"),
    ] {
        let mut request = world.request(&key, "d1", None);
        request.authorization = authorization;
        let error = refused(&world, request).await;
        assert_eq!((error.numeric_code(), error.http_status()), (401_002, 401), "{word}");
        assert!(error.message.contains(word), "{word}: {}", error.message);
    }
    for id in ["", "a b", "d_", &"x".repeat(129)] {
        let mut request = world.request(&key, "d1", None);
        request.registration_id = id.into();
        assert_eq!(refused(&world, request).await.numeric_code(), 400_004, "{id}");
    }
    for scope in ["", "0NE9", "a/b", &"x".repeat(500)] {
        let mut request = world.request(&key, "d1", None);
        request.id_scope = scope.into();
        assert_eq!(refused(&world, request).await.numeric_code(), 404_201, "{scope}");
    }
    let mut request = world.request(&key, "d1", Some("x".into()));
    request.api_version = Some("yesterday".into());
    assert_eq!(refused(&world, request).await.numeric_code(), 400_004);
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_of_what_is_not_there() {
    let world = World::new().await;
    let key = world.group("g1", json!({})).await;
    let token = world.token(&key, "d1");
    let caller = DeviceCaller {
        id_scope: &world.scope,
        registration_id: "d1",
        api_version: None,
        authorization: Some(&token),
        peer_chain: &[],
        peer: Default::default(),
    };
    assert!(world.service().authenticate_device(caller).await.is_ok());
    assert_eq!(world.service().operation_status(caller, "5.0.0").await.unwrap_err().numeric_code(), 404_202);
    world.register(&key, "d1", None).await;
    assert_eq!(world.service().operation_status(caller, "5.0.0").await.unwrap_err().numeric_code(), 404_202);
    let wrong = sign(
        &format!("{}/registrations/d1", world.scope),
        b"no such key at all",
        world.platform().clock.unix_seconds() + 60,
        Some("registration"),
    );
    let stranger = DeviceCaller { authorization: Some(&wrong), ..caller };
    assert_eq!(world.service().authenticate_device(stranger).await.unwrap_err().numeric_code(), 401_002);
    let certified = DeviceCaller { authorization: None, peer_chain: &[vec![0x30]], ..caller };
    let refused = world.service().authenticate_device(certified).await.unwrap_err();
    assert_eq!(refused.numeric_code(), 401_002);
    assert!(refused.message.contains("Invalid certificate."), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_groups_key_does_not_take_a_device_over() {
    let world = World::new().await;
    let first = world.group("g1", json!({})).await;
    let second = world.group("g2", json!({})).await;
    world.register(&first, "d1", None).await;
    let error = world.service().register(world.request(&second, "d1", None)).await.unwrap_err();
    assert_eq!(error.numeric_code(), 409_201);
    assert!(!error.message.contains("g1") && !error.message.contains("dps"), "{error}: whose it is, is not told");
    let dps = world.dps().await;
    world.service().delete_registration(&world.caller().await, &dps, "d1", None).await.unwrap();
    assert_eq!(world.register(&second, "d1", None).await["status"], "assigned");
    // A disabled group refuses, and enabling it helps at once.
    let body = json!({"attestation": {"type": "symmetricKey"}, "provisioningStatus": "disabled"});
    world.service().put_enrollment(&world.caller().await, &dps, Group, "g2", &body, Some("*")).await.unwrap();
    let error = world.service().register(world.request(&second, "d1", None)).await.unwrap_err();
    assert_eq!(error.numeric_code(), 401_002);
    assert!(error.message.contains("disabled"));
    world
        .service()
        .put_enrollment(
            &world.caller().await,
            &dps,
            Group,
            "g2",
            &json!({"attestation": {"type": "symmetricKey"}}),
            Some("*"),
        )
        .await
        .unwrap();
    assert_eq!(world.register(&second, "d1", None).await["status"], "assigned");
}
