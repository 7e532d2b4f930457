//! Renewing certificates through the hub, from the device's session to the row and back.

use super::world::{CONTRIBUTOR, World, csr, verify};
use crate::owner::{HUB_API, REGISTRY_API};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::{Clock as _, timeout};
use ferrohub_model::device_session::{SessionKind, Subscriptions};
use ferrohub_model::renewal::Renewals;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_service::hub::{DeviceLogin, OpenSession, RenewalAccepted, RenewalEnded, RenewalRefused, SessionEvent};
use ferrohub_service::resources::tag;
use ferrohub_service::tables::{CERTIFICATES, RENEWALS};
use ferrohub_service::{resources, worker};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

pub(super) struct Plant {
    pub(super) world: World,
    pub(super) key: Vec<u8>,
    hub_grant: ResourceId,
}

impl Plant {
    /// A world in which devices can renew: the hub may have certificates issued, and trusts the policy.
    pub(super) async fn new() -> Self {
        Self::of(World::new().await).await
    }

    /// The same in this world.
    pub(super) async fn of(world: World) -> Self {
        let hub = world.owner.get(&world.hub_id("hub1"), HUB_API).await;
        let hub_grant =
            world.grant(hub["identity"]["principalId"].as_str().unwrap(), &world.namespace, CONTRIBUTOR).await;
        let namespace = world.owner.get(&world.namespace, REGISTRY_API).await;
        let principal = namespace["identity"]["principalId"].as_str().unwrap().to_owned();
        let hub = world.hub_id("hub1");
        world.grant(&principal, &hub, CONTRIBUTOR).await;
        let data = world.role(&[], &["Microsoft.Devices/IotHubs/devices/write"]).await;
        world.grant(&principal, &hub, &data).await;
        world.synchronize().await;
        let key = world.group("g1", json!({"credentialPolicyName": "default"})).await;
        Self { world, key, hub_grant }
    }

    /// Registers a device with a certificate request and gives its chain.
    pub(super) async fn chain(&self, device: &str) -> Vec<Vec<u8>> {
        let done = self.world.register(&self.key, device, Some(csr(self.world.folder.path(), device, &[]))).await;
        let chain = done["registrationState"]["issuedCertificateChain"].as_array().unwrap_or_else(|| panic!("{done}"));
        chain.iter().map(|text| STANDARD.decode(text.as_str().unwrap()).unwrap()).collect()
    }

    pub(super) fn login(&self, device: &str, chain: &[Vec<u8>]) -> DeviceLogin {
        DeviceLogin {
            host: self.world.hub_host.clone(),
            device_id: device.into(),
            module_id: None,
            model_id: None,
            token: None,
            peer_chain: chain.to_vec(),
            peer: Default::default(),
        }
    }

    pub(super) async fn connect(&self, device: &str, chain: &[Vec<u8>]) -> OpenSession {
        self.world.hubs().connect(self.login(device, chain)).await.unwrap()
    }

    pub(super) fn body(&self, device: &str) -> Value {
        json!({"id": device, "csr": csr(self.world.folder.path(), device, &[])})
    }

    async fn device(&self) -> (OpenSession, Vec<Vec<u8>>) {
        let chain = self.chain("d1").await;
        (self.connect("d1", &chain).await, chain)
    }
}

pub(super) async fn ask(
    session: &OpenSession,
    rid: &str,
    body: &Value,
) -> Result<RenewalAccepted, (u32, RenewalRefused)> {
    session.connection().renew(rid, body).await.map_err(|refused| (refused.error.numeric_code(), *refused))
}

pub(super) async fn next(session: &mut OpenSession) -> SessionEvent {
    timeout(&SystemClock, Duration::from_secs(10), session.next_event()).await.expect("an event is due")
}

pub(super) async fn ended(session: &mut OpenSession) -> RenewalEnded {
    match next(session).await {
        SessionEvent::Renewed { ended } if ended.len() == 1 => ended.into_iter().next().unwrap(),
        other => panic!("{other:?}"),
    }
}

pub(super) async fn failure(session: &mut OpenSession) -> (u32, String) {
    let failure = ended(session).await.outcome.unwrap_err();
    (failure.code, failure.message)
}

pub(super) fn decoded(chain: &[String]) -> Vec<Vec<u8>> {
    chain.iter().map(|text| STANDARD.decode(text).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_as_good_as_the_old_one_which_stays_good() {
    let plant = Plant::new().await;
    let (mut session, old) = plant.device().await;
    let folder = plant.world.folder.path();
    // With a key of its own: a renewal may change it.
    std::fs::remove_file(folder.join("device.key")).unwrap();
    let accepted = ask(&session, "rid-1", &plant.body("d1")).await.unwrap();
    let done = ended(&mut session).await;
    assert_eq!((done.request_id.as_str(), done.correlation_id), ("rid-1", accepted.correlation_id));
    let new = decoded(&done.outcome.unwrap());
    assert_eq!(new.len(), 3);
    assert_eq!(new[1..], old[1..]);
    assert_ne!(new[0], old[0]);
    verify(folder, &new);
    let waited = timeout(&SystemClock, Duration::from_millis(100), session.next_event()).await;
    assert!(waited.is_err(), "the session goes on: {waited:?}");
    drop(session);
    for chain in [&old, &new] {
        plant.connect("d1", chain).await;
    }
    assert_eq!(plant.world.certificates("issued").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_operation_is_pending_and_gives_way_to_whoever_names_it() {
    let plant = Plant::new().await;
    let (mut session, _) = plant.device().await;
    let (body, with) = (plant.body("d1"), |replace: &str| {
        let mut body = plant.body("d1");
        body["replace"] = replace.into();
        body
    });
    let first = ask(&session, "rid-1", &body).await.unwrap();
    let (code, refused) = ask(&session, "rid-2", &body).await.unwrap_err();
    let info = refused.info.unwrap();
    assert_eq!((code, &info["requestId"]), (409_004, &json!("rid-1")));
    assert_eq!(info["correlationId"], json!(first.correlation_id));
    assert_eq!(info["operationExpires"], json!(ferrohub_model::time::nanoseconds(first.expires)));
    let (code, refused) = ask(&session, "rid-2", &with("rid-9")).await.unwrap_err();
    assert_eq!((code, refused.info), (412_001, Some(json!({"requestId": "rid-9"}))));
    assert_eq!(ask(&session, "rid-1", &body).await.unwrap(), first, "asked again it is the same");
    let second = ask(&session, "rid-2", &with("rid-1")).await.unwrap();
    let third = ask(&session, "rid-3", &with("*")).await.unwrap();
    assert_ne!(second.correlation_id, third.correlation_id);
    let done = ended(&mut session).await;
    assert_eq!((done.request_id.as_str(), done.correlation_id), ("rid-3", third.correlation_id));
    assert!(done.outcome.is_ok());
    session.connection().renewals_delivered(&[done.correlation_id]).await.unwrap();
    let waited = timeout(&SystemClock, Duration::from_millis(1500), session.next_event()).await;
    assert!(waited.is_err(), "those that gave way end without a word: {waited:?}");
    let (code, _) = ask(&session, "rid-4", &with("rid-3")).await.unwrap_err();
    assert_eq!(code, 412_001, "an operation that has ended is not pending");
    ask(&session, "rid-4", &with("*")).await.unwrap();
    assert_eq!(ended(&mut session).await.request_id, "rid-4");
    assert_eq!(plant.world.certificates("issued").await, 3, "one for each that was not replaced");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_gives_the_same_certificate() {
    let plant = Plant::new().await;
    let (mut session, _) = plant.device().await;
    let body = plant.body("d1");
    let accepted = ask(&session, "rid-1", &body).await.unwrap();
    let first = ended(&mut session).await;
    session.connection().renewals_delivered(&[first.correlation_id]).await.unwrap();
    assert!(session.connection().ended_renewals().await.unwrap().is_empty());
    assert_eq!(ask(&session, "rid-1", &body).await.unwrap(), accepted);
    assert_eq!(ended(&mut session).await, first);
    let other = plant.body("d1");
    assert_ne!(other["csr"], body["csr"], "the signature of a request is made anew");
    session.connection().renewals_delivered(&[first.correlation_id]).await.unwrap();
    assert_ne!(ask(&session, "rid-1", &other).await.unwrap().correlation_id, accepted.correlation_id);
    assert_ne!(ended(&mut session).await.outcome, first.outcome);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_good_request_fails_after_it_was_accepted() {
    let plant = Plant::new().await;
    let (mut session, _) = plant.device().await;
    let folder = plant.world.folder.path();
    for (rid, csr, word) in [
        ("rid-1", STANDARD.encode("no request at all"), "not a DER-encoded PKCS#10"),
        ("rid-2", csr(folder, "d2", &[]), "common name is 'd2', not the device id 'd1'"),
    ] {
        let body = json!({"id": "d1", "csr": csr});
        let accepted = ask(&session, rid, &body).await.unwrap();
        let done = ended(&mut session).await;
        let failure = done.outcome.unwrap_err();
        assert_eq!((done.correlation_id, failure.status, failure.code), (accepted.correlation_id, 400, 400_037));
        let (code, message) = failure.credential.unwrap();
        assert!(code == "400000" && message.contains(word), "{message}");
        session.connection().renewals_delivered(&[done.correlation_id]).await.unwrap();
    }
    let accepted = ask(&session, "rid-1", &plant.body("d1")).await.unwrap();
    let done = ended(&mut session).await;
    assert!(done.correlation_id == accepted.correlation_id && done.outcome.is_ok(), "a failure binds nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_issued_a_certificate_is_told_why() {
    let plant = Plant::new().await;
    let world = &plant.world;
    let chain = plant.chain("d1").await;
    let session = plant.connect("d1", &chain).await;
    world.owner.delete(&plant.hub_grant, crate::owner::ROLE_API).await;
    let (code, refused) = ask(&session, "rid-1", &plant.body("d1")).await.unwrap_err();
    assert_eq!(code, 403_000);
    assert!(refused.error.message.contains("az role assignment create"), "{}", refused.error);
    let hub = world.owner.get(&world.hub_id("hub1"), HUB_API).await;
    let issuing =
        world.role(&[], &["Microsoft.DeviceRegistry/namespaces/credentials/policies/issueCertificate/action"]).await;
    world.grant(hub["identity"]["principalId"].as_str().unwrap(), &world.namespace, &issuing).await;
    ask(&session, "rid-1", &plant.body("d1")).await.unwrap();

    // Keys, which have no policy.
    world.register(&plant.key, "plain", None).await;
    let token = {
        let home = world.hubs().by_host(&world.hub_host).await.unwrap();
        let found = world.platform();
        let device =
            ferrohub_service::hub::identity::load(found.store.as_ref(), home.uid, "plain").await.unwrap().unwrap();
        let keys = ferrohub_service::hub::identity::open_keys(found, &device.device).await.unwrap().unwrap();
        let expiry = found.clock.unix_seconds() + 3600;
        ferrohub_wire::sas_token::sign(
            &format!("{}/devices/plain", world.hub_host),
            &STANDARD.decode(keys.0.as_str()).unwrap(),
            expiry,
            None,
        )
    };
    let login = DeviceLogin { token: Some(token), ..plant.login("plain", &[]) };
    let plain = world.hubs().connect(login).await.unwrap();
    let (code, refused) = ask(&plain, "rid-1", &plant.body("plain")).await.unwrap_err();
    assert!(code == 412_005 && refused.error.message.contains("type 'sas'"), "{}", refused.error);

    // A policy that was not synchronized, and one that was deleted.
    world.write_policy("second", None).await.unwrap();
    let second = world.group("g2", json!({"credentialPolicyName": "second"})).await;
    let done = world.register(&second, "d2", Some(csr(world.folder.path(), "d2", &[]))).await;
    assert_eq!(done["status"], "assigned");
    world.synchronize().await;
    let chain = done["registrationState"]["issuedCertificateChain"].as_array().unwrap();
    let chain: Vec<Vec<u8>> = chain.iter().map(|text| STANDARD.decode(text.as_str().unwrap()).unwrap()).collect();
    let mut session = plant.connect("d2", &chain).await;
    let hub = world.stored(&world.hub_id("hub1")).await;
    let entries = resources::children(world.platform(), hub.uid, &hub.id, Some(tag::HUB_CERTIFICATE)).await.unwrap();
    let entry = entries.iter().find(|entry| entry.name().contains("second")).unwrap_or_else(|| panic!("{entries:?}"));
    ask(&session, "rid-1", &plant.body("d2")).await.unwrap();
    world.owner.delete(&entry.id, HUB_API).await;
    assert!(matches!(next(&mut session).await, SessionEvent::Closed { .. }));
    SystemClock.sleep(Duration::from_millis(1500)).await;
    world.synchronize().await;
    let mut session = plant.connect("d2", &chain).await;
    let (code, message) = failure(&mut subscribed(&plant, "d2", &chain).await).await;
    assert!(code == 412_005 && message.contains("az iot adr ns credential sync"), "{code} {message}");
    drop(session);
    world.owner.delete(&world.policy_id("second"), REGISTRY_API).await;
    session = plant.connect("d2", &chain).await;
    let (code, refused) = ask(&session, "rid-2", &plant.body("d2")).await.unwrap_err();
    assert!(code == 412_005 && refused.error.message.contains("not in the namespace"), "{}", refused.error);
}

/// A lasting session that hears of renewals.
pub(super) async fn subscribed(plant: &Plant, device: &str, chain: &[Vec<u8>]) -> OpenSession {
    let login = || plant.login(device, chain);
    let session = plant.world.hubs().open(login(), SessionKind::Lasting).await.unwrap();
    let wanted = Subscriptions { credentials: true, ..Subscriptions::default() };
    session.connection().remember(wanted).await.unwrap();
    drop(session);
    plant.world.hubs().open(login(), SessionKind::Lasting).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_waits_for_the_device_wherever_it_connects() {
    let plant = Plant::new().await;
    let (session, chain) = plant.device().await;
    let accepted = ask(&session, "rid-1", &plant.body("d1")).await.unwrap();
    drop(session);
    let mut session = subscribed(&plant, "d1", &chain).await;
    let done = ended(&mut session).await;
    assert_eq!(done.correlation_id, accepted.correlation_id);
    drop(session);
    let session = plant.connect("d1", &chain).await;
    let connection = session.connection();
    assert_eq!(connection.ended_renewals().await.unwrap(), [done], "nobody said that the device has it");
    connection.renewals_delivered(&[accepted.correlation_id]).await.unwrap();
    assert!(connection.ended_renewals().await.unwrap().is_empty());
    let row = &plant.world.rows(&RENEWALS).await[0];
    assert_eq!(row.columns, [None]);
    assert_eq!(row.value().unwrap()["expires"], row.value().unwrap()["operations"][0]["expires"]);
    assert_eq!(row.parse::<Renewals>().unwrap().operations.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_outlives_the_process() {
    let mut plant = Plant::new().await;
    let (session, chain) = plant.device().await;
    let accepted = ask(&session, "rid-1", &plant.body("d1")).await.unwrap();
    drop(session);
    // What is in work in memory is gone with the engines; the row is not.
    plant.world.reopen().await;
    let (stop, stopped) = watch::channel(false);
    let worker = tokio::spawn(worker::run(Arc::clone(plant.world.platform()), stopped));
    let mut session = subscribed(&plant, "d1", &chain).await;
    let done = ended(&mut session).await;
    assert_eq!(done.correlation_id, accepted.correlation_id);
    assert!(done.outcome.is_ok());
    stop.send(true).unwrap();
    worker.await.unwrap();
    let mut serials: Vec<_> = plant.world.rows(&CERTIFICATES).await.iter().map(|row| row.key.clone()).collect();
    serials.dedup();
    assert_eq!(serials.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_go_with_their_device() {
    let plant = Plant::new().await;
    let (mut session, _) = plant.device().await;
    ask(&session, "rid-1", &plant.body("d1")).await.unwrap();
    let (home, caller) = plant.world.hub_caller().await;
    plant.world.hubs().delete_device(&caller, &home, "d1", None).await.unwrap();
    assert!(matches!(next(&mut session).await, SessionEvent::Closed { .. }));
    SystemClock.sleep(Duration::from_millis(1500)).await;
    assert!(plant.world.rows(&RENEWALS).await.is_empty());
    assert_eq!(plant.world.certificates("issued").await, 1, "nothing was issued for a device that is gone");
}
