//! Attestation by TPM: challenge, answer, registration, and what must not get through.

use super::world::World;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::clock::ManualClock;
use ferrohub_model::enrollment::TpmKeys;
use ferrohub_model::error::{Error, Result};
use ferrohub_pki::tpm::TpmPublic;
use ferrohub_pki::tpm::emulator::TpmEmulator;
use ferrohub_service::hub::DeviceLogin;
use ferrohub_service::provisioning::EnrollmentKind::Individual;
use ferrohub_service::provisioning::{DeviceCaller, OperationStatus, ProvisioningService, RegisterRequest};
use ferrohub_wire::sas_token::sign;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const ID: &str = "pump-1";

fn text(key: &TpmPublic) -> String {
    STANDARD.encode(key.to_bytes())
}

/// Enrolls [`ID`] with the TPM.
async fn enroll(world: &World, tpm: &TpmEmulator, extra: Value) -> Result<Value> {
    let mut body = json!({"registrationId": ID, "attestation": {"type": "tpm", "tpm": {"endorsementKey": text(tpm.endorsement())}}});
    for (name, value) in extra.as_object().unwrap() {
        body[name] = value.clone();
    }
    world.service().put_enrollment(&world.caller().await, &world.dps().await, Individual, ID, &body, Some("*")).await
}

async fn enrolled(world: &World, extra: Value) -> TpmEmulator {
    let tpm = TpmEmulator::new().unwrap();
    let body = json!({"registrationId": ID, "attestation": {"type": "tpm", "tpm": {"endorsementKey": text(tpm.endorsement())}}});
    world
        .service()
        .put_enrollment(&world.caller().await, &world.dps().await, Individual, ID, &body, None)
        .await
        .unwrap();
    if extra != json!({}) {
        enroll(world, &tpm, extra).await.unwrap();
    }
    tpm
}

fn request(world: &World, tpm: &TpmEmulator, authorization: Option<String>) -> RegisterRequest {
    RegisterRequest {
        id_scope: world.scope.clone(),
        registration_id: ID.into(),
        authorization,
        tpm: Some(TpmKeys { endorsement_key: text(tpm.endorsement()), storage_root_key: Some(text(tpm.storage())) }),
        ..RegisterRequest::default()
    }
}

fn token(world: &World, key: &[u8]) -> String {
    let expiry = world.platform().clock.unix_seconds() + 3600;
    sign(&format!("{}/registrations/{ID}", world.scope), key, expiry, Some("registration"))
}

/// The answer to a new challenge: a token.
async fn answer(world: &World, service: &ProvisioningService, tpm: &TpmEmulator) -> String {
    let challenge = service.tpm_challenge(&request(world, tpm, None)).await.unwrap().unwrap();
    assert_eq!(challenge.key_name, "registration");
    token(world, &tpm.open(&STANDARD.decode(challenge.authentication_key).unwrap()).unwrap())
}

async fn poll(world: &World, token: &str, first: &OperationStatus) -> Result<Value> {
    let caller = DeviceCaller {
        id_scope: &world.scope,
        registration_id: ID,
        api_version: None,
        authorization: Some(token),
        peer_chain: &[],
        peer: Default::default(),
    };
    world.service().operation_status(caller, &first.operation_id).await.map(|done| done.body)
}

fn code<T>(outcome: Result<T>) -> u32 {
    outcome.err().map_or(0, |error: Error| error.numeric_code())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tpm_is_challenged_and_gets_its_hub_key() {
    let world = World::new().await;
    let tpm = enrolled(&world, json!({})).await;
    // Any process knows the challenge that another one made.
    let answer = answer(&world, &world.elsewhere(), &tpm).await;
    let first = world.service().register(request(&world, &tpm, Some(answer.clone()))).await.unwrap();
    let done = poll(&world, &answer, &first).await.unwrap();
    let state = &done["registrationState"];
    assert_eq!((&done["status"], &state["deviceId"]), (&json!("assigned"), &json!(ID)), "{done}");
    let sealed = STANDARD.decode(state["tpm"]["authenticationKey"].as_str().unwrap()).unwrap();
    let key = tpm.open(&sealed).unwrap();
    // With which it may go to its hub, and with no other.
    let connects = async |key: &[u8]| {
        let expiry = world.platform().clock.unix_seconds() + 3600;
        let token = sign(&format!("{}/devices/{ID}", world.hub_host), key, expiry, None);
        let login = DeviceLogin {
            host: world.hub_host.clone(),
            device_id: ID.into(),
            module_id: None,
            model_id: None,
            token: Some(token),
            peer_chain: Vec::new(),
            peer: Default::default(),
        };
        world.hubs().connect(login).await.is_ok()
    };
    assert!(connects(&key).await && !connects(&[7; 32]).await);
    assert!(state.get("symmetricKey").is_none());
    // A device that registers again keeps its key, sealed anew.
    let answer = self::answer(&world, world.service(), &tpm).await;
    let again = world.service().register(request(&world, &tpm, Some(answer.clone()))).await.unwrap();
    let state = poll(&world, &answer, &again).await.unwrap()["registrationState"].take();
    let anew = STANDARD.decode(state["tpm"]["authenticationKey"].as_str().unwrap()).unwrap();
    assert!(anew != sealed && tpm.open(&anew) == Some(key));
    // Of two that answer with the same at once one is let in.
    let next = self::answer(&world, world.service(), &tpm).await;
    let elsewhere = world.elsewhere();
    let both = || request(&world, &tpm, Some(next.clone()));
    let (one, other) = tokio::join!(world.service().register(both()), elsewhere.register(both()));
    assert!(one.is_ok() != other.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_is_answered_once_and_not_for_long() {
    let clock = Arc::new(ManualClock::new("2026-11-20T10:00:00Z".parse().unwrap()));
    let world = World::timed(clock.clone()).await;
    let tpm = enrolled(&world, json!({})).await;
    let register = async |token: &str| world.service().register(request(&world, &tpm, Some(token.into()))).await;
    let answer = answer(&world, world.service(), &tpm).await;
    let first = register(&answer).await.unwrap();
    assert_eq!(code(register(&answer).await), 401_002, "replayed");
    poll(&world, &answer, &first).await.unwrap();
    // The service forgets the registration; the answer stays used.
    let (actor, dps) = (world.caller().await, world.dps().await);
    world.service().delete_registration(&actor, &dps, ID, None).await.unwrap();
    assert_eq!(code(register(&answer).await), 401_002, "replayed after a deletion");
    // One that is too old.
    let late = self::answer(&world, world.service(), &tpm).await;
    clock.advance(Duration::from_secs(310));
    let in_time = self::answer(&world, world.service(), &tpm).await;
    clock.advance(Duration::from_secs(300));
    assert_eq!(code(register(&late).await), 401_002);
    register(&in_time).await.unwrap();
    // One from before the enrollment was written again.
    let former = self::answer(&world, world.service(), &tpm).await;
    enroll(&world, &tpm, json!({})).await.unwrap();
    assert_eq!(code(register(&former).await), 401_002);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_not_the_tpm_is_refused() {
    let world = World::new().await;
    let tpm = enrolled(&world, json!({})).await;
    let other = TpmEmulator::new().unwrap();
    let service = world.service();
    let ask = async |request: RegisterRequest| service.tpm_challenge(&request).await;
    assert_eq!(code(ask(request(&world, &other, None)).await), 401_002, "another TPM");
    assert_eq!(code(ask(RegisterRequest { tpm: None, ..request(&world, &tpm, None) }).await), 401_002, "none");
    let keys = |endorsement_key: String, storage_root_key: Option<String>| RegisterRequest {
        tpm: Some(TpmKeys { endorsement_key, storage_root_key }),
        ..request(&world, &tpm, None)
    };
    let own = text(tpm.endorsement());
    for (request, wanted) in [
        (keys(own.clone(), None), 401_002),
        (keys("!".into(), Some(text(tpm.storage()))), 401_002),
        (keys(own.clone(), Some("!".into())), 400_004),
        (keys(own.clone(), Some("A".repeat(100_000))), 400_004),
    ] {
        assert_eq!(code(ask(request).await), wanted);
    }
    // Somebody who sees a challenge cannot open it, and keys that were guessed sign nothing.
    let sealed = ask(request(&world, &tpm, None)).await.unwrap().unwrap().authentication_key;
    assert_eq!(other.open(&STANDARD.decode(sealed).unwrap()), None);
    for key in [&[0u8; 32][..], b"registration", tpm.endorsement().to_bytes().as_slice()] {
        let guessed = service.register(request(&world, &tpm, Some(token(&world, key)))).await;
        assert_eq!(code(guessed), 401_002);
    }
    // A challenge answered with the keys of another TPM in the body.
    let answer = answer(&world, service, &tpm).await;
    assert_eq!(code(service.register(request(&world, &other, Some(answer.clone()))).await), 401_002);
    // Over MQTT there is no challenge.
    let caller = DeviceCaller {
        id_scope: &world.scope,
        registration_id: ID,
        api_version: None,
        authorization: Some(&answer),
        peer_chain: &[],
        peer: Default::default(),
    };
    assert!(service.authenticate_device(caller).await.is_ok());
    let refused = service.authenticate_connection(caller).await.unwrap_err();
    assert!(refused.numeric_code() == 401_002 && refused.message.contains("HTTPS"), "{refused}");
    let nobody = DeviceCaller { registration_id: "nobody", authorization: None, ..caller };
    assert!(!service.may_be_challenged(&nobody).await.unwrap());
    enroll(&world, &tpm, json!({"provisioningStatus": "disabled"})).await.unwrap();
    assert_eq!(code(ask(request(&world, &tpm, None)).await), 401_002);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_storage_root_key_of_the_enrollment_counts() {
    let world = World::new().await;
    let (tpm, other) = (enrolled(&world, json!({})).await, TpmEmulator::new().unwrap());
    let keys = json!({"endorsementKey": text(tpm.endorsement()), "storageRootKey": text(tpm.storage())});
    let shown = enroll(&world, &tpm, json!({"attestation": {"type": "tpm", "tpm": keys}})).await.unwrap();
    assert_eq!(shown["attestation"]["tpm"], keys);
    answer(&world, world.service(), &tpm).await;
    let mut mixed = request(&world, &tpm, None);
    mixed.tpm.as_mut().unwrap().storage_root_key = Some(text(other.storage()));
    assert_eq!(code(world.service().tpm_challenge(&mixed).await), 401_002);
    mixed.tpm.as_mut().unwrap().storage_root_key = None;
    assert!(world.service().tpm_challenge(&mixed).await.unwrap().is_some());
}
