//! Revoking a device: what its certificates are worth afterwards, and how it comes back.

use super::renewing::{Plant, next};
use super::world::{csr, openssl};
use crate::owner::{REGISTRY_API, ROLE_API};
use ferrohub_model::certificate_authority::{CertificateRecord, CertificateState};
use ferrohub_model::error::ErrorKind;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::uid::uid_key;
use ferrohub_service::arm::request::ArmResponse;
use ferrohub_service::certificate;
use ferrohub_service::hub::{CloseReason, SessionEvent, identity};
use ferrohub_service::platform::Change;
use ferrohub_service::resources::{self, tag};
use ferrohub_service::tables::{ACTIVITY, CERTIFICATES, OPERATIONS, RENEWALS};
use ferrohub_store::Put;
use serde_json::{Value, json};

impl Plant {
    async fn adr(&self, device: &str) -> ResourceId {
        let shown = self.world.registry().await;
        ResourceId::parse(shown[device]["id"].as_str().unwrap()).unwrap()
    }

    async fn revoke(&self, device: &str, body: Option<Value>) -> ArmResponse {
        let path = format!("{}/revoke", self.adr(device).await);
        self.world.owner.act(&path, REGISTRY_API, body).await.unwrap()
    }

    /// What the answer at the `Location` of an accepted revocation says.
    async fn result(&self, answer: &ArmResponse) -> Value {
        assert_eq!(answer.status, 202);
        let header = |name: &str| answer.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        assert!(header("Azure-AsyncOperation").is_some() && header("Retry-After").is_some());
        let location = header("Location").unwrap();
        let path = location.split_once("/subscriptions").unwrap().1.split('?').next().unwrap();
        let polled = self.world.owner.look(&format!("/subscriptions{path}"), REGISTRY_API).await.unwrap();
        assert_eq!(polled.status, 200);
        polled.body.unwrap()
    }

    async fn refusal(&self, device: &str, chain: &[Vec<u8>]) -> (u32, String) {
        let refused = self.world.hubs().connect(self.login(device, chain)).await.err().expect("a refusal");
        (refused.numeric_code(), refused.message)
    }

    /// Serial numbers on the revocation list of the policy's authority, as openssl reads them.
    async fn revoked_serials(&self) -> Vec<String> {
        let authority = self.world.stored(&self.world.policy_id("default")).await;
        let record = certificate::authority_of(self.world.platform(), authority.uid).await.unwrap().unwrap();
        let folder = self.world.folder.path();
        std::fs::write(folder.join("list.crl"), certificate::crl(self.world.platform(), record.id).await.unwrap())
            .unwrap();
        let text = openssl(folder, &["crl", "-inform", "DER", "-in", "list.crl", "-noout", "-text"]);
        let text = String::from_utf8(text).unwrap();
        text.lines().filter_map(|line| line.trim().strip_prefix("Serial Number: ")).map(str::to_lowercase).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_device_is_out_at_once_and_comes_back_with_a_new_registration() {
    let plant = Plant::new().await;
    let first = plant.chain("d1").await;
    let second = plant.chain("d1").await;
    let other = plant.chain("d2").await;
    let mut session = plant.connect("d1", &first).await;
    let mut bystander = plant.connect("d2", &other).await;
    let body = json!({"id": "d1", "csr": csr(plant.world.folder.path(), "d1", &[])});
    session.connection().renew("rid-1", &body).await.unwrap();

    let answer = plant.revoke("d1", Some(json!({"disable": false}))).await;
    assert_eq!(plant.result(&answer).await, json!({"result": "Succeeded"}));
    let closed = SessionEvent::Closed { reason: CloseReason::CredentialsChanged };
    assert_eq!(next(&mut session).await, closed);
    for chain in [&first, &second] {
        let (code, message) = plant.refusal("d1", chain).await;
        assert!(code == 401_003 && message.contains("revoked or replaced"), "{message}");
    }
    assert!(plant.world.rows(&RENEWALS).await.is_empty(), "what was pending is dropped");
    assert_eq!((plant.world.certificates("revoked").await, plant.world.certificates("issued").await), (2, 1));
    let mut wanted: Vec<String> = [&first, &second]
        .iter()
        .map(|chain| {
            let leaf = ferrohub_pki::certificate::Certificate::from_der(&chain[0]).unwrap();
            let folder = plant.world.folder.path();
            std::fs::write(folder.join("leaf.der"), leaf.der()).unwrap();
            let text = openssl(folder, &["x509", "-inform", "DER", "-in", "leaf.der", "-noout", "-serial"]);
            String::from_utf8(text).unwrap().trim().trim_start_matches("serial=").to_lowercase()
        })
        .collect();
    let mut listed = plant.revoked_serials().await;
    wanted.sort();
    listed.sort();
    assert_eq!(listed, wanted);

    let device = plant.world.owner.get(&plant.adr("d1").await, REGISTRY_API).await;
    assert_eq!(device["properties"]["enabled"], true, "it stays enabled");
    let third = plant.chain("d1").await;
    plant.connect("d1", &third).await;
    assert!(plant.world.hubs().connect(plant.login("d1", &second)).await.is_err());
    let still = ferrohub_model::clock::timeout(
        &ferrohub_clock::SystemClock,
        std::time::Duration::from_millis(50),
        bystander.next_event(),
    );
    assert!(still.await.is_err(), "another device is not concerned");
    let rows = plant.world.rows(&ACTIVITY).await;
    let acted: Vec<Value> = rows.iter().map(|row| row.value().unwrap()).collect();
    let acted = acted.iter().filter(|row| row.to_string().contains("namespaces/devices/revoke/action")).count();
    assert_eq!(acted, 2, "that it began and that it ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_disable_the_device_gets_no_new_certificate_either() {
    let plant = Plant::new().await;
    let chain = plant.chain("d1").await;
    let mut session = plant.connect("d1", &chain).await;
    let answer = plant.revoke("d1", Some(json!({"disable": true}))).await;
    assert_eq!(plant.result(&answer).await, json!({"result": "Succeeded"}));
    assert_eq!(next(&mut session).await, SessionEvent::Closed { reason: CloseReason::Disabled });
    let shown = plant.world.owner.get(&plant.adr("d1").await, REGISTRY_API).await;
    assert_eq!(shown["properties"]["enabled"], false);
    let done = plant.world.register(&plant.key, "d1", Some(csr(plant.world.folder.path(), "d1", &[]))).await;
    assert_eq!(
        (&done["status"], &done["registrationState"]["errorCode"]),
        (&json!("failed"), &json!(403_012)),
        "{done}"
    );
    let told = done["registrationState"]["errorMessage"].as_str().unwrap();
    assert!(
        told.contains("az iot hub device-identity update --hub-name ") && told.contains("d1 --status enabled"),
        "{told}"
    );
    let enabled = json!({"properties": {"enabled": true}});
    plant.world.owner.ask("PATCH", &plant.adr("d1").await, REGISTRY_API, Some(enabled)).await.unwrap();
    assert!(plant.refusal("d1", &chain).await.1.contains("revoked or replaced"), "revoked stays revoked");
    let chain = plant.chain("d1").await;
    plant.connect("d1", &chain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_there_is_nothing_to_revoke() {
    let plant = Plant::new().await;
    plant.world.register(&plant.key, "plain", None).await;
    for body in [None, Some(json!({})), Some(json!({"disable": false}))] {
        let answer = plant.revoke("plain", body).await;
        let body = answer.body.unwrap();
        assert_eq!((answer.status, &body["result"], &body["error"]["code"]), (200, &json!("Failed"), &json!("404")));
        assert!(body["error"]["message"].as_str().unwrap().starts_with("No active credential"), "{body}");
    }
    let answer = plant.revoke("plain", Some(json!({"disable": true}))).await;
    assert_eq!(plant.result(&answer).await, json!({"result": "Succeeded"}), "disabling it is something to do");
    assert_eq!(plant.world.registry().await["plain"]["properties"]["enabled"], false);
    let by_hand = plant.world.namespace.child("devices", "by-hand");
    plant
        .world
        .owner
        .put(&by_hand, REGISTRY_API, json!({"location": "eastus", "properties": {"externalDeviceId": "by-hand"}}))
        .await;
    assert_eq!(plant.revoke("by-hand", None).await.body.unwrap()["result"], "Failed");
    for body in [json!({"disable": null}), json!({"disable": "yes"}), json!({"enable": true}), json!([])] {
        let path = format!("{}/revoke", plant.adr("plain").await);
        let refused = plant.world.owner.act(&path, REGISTRY_API, Some(body)).await.unwrap_err();
        assert_eq!((refused.kind, refused.code), (ErrorKind::Invalid, "InvalidRequestContent"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_namespace_needs_its_right_on_the_hub() {
    let plant = Plant::new().await;
    let chain = plant.chain("d1").await;
    let namespace = plant.world.owner.get(&plant.world.namespace, REGISTRY_API).await;
    let principal = namespace["identity"]["principalId"].as_str().unwrap();
    for stored in resources::every(plant.world.platform(), tag::ROLE_ASSIGNMENT).await.unwrap() {
        if stored.resource.text(&["principalId"]) == Some(principal) {
            plant.world.owner.delete(&stored.id, ROLE_API).await;
        }
    }
    let path = format!("{}/revoke", plant.adr("d1").await);
    let refused = plant.world.owner.act(&path, REGISTRY_API, None).await.unwrap_err();
    assert_eq!(refused.code, "AuthorizationFailed");
    assert!(refused.message.contains("Microsoft.Devices/IotHubs/devices/write"), "{refused}");
    plant.connect("d1", &chain).await;
    assert_eq!(plant.world.certificates("revoked").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_certificates_are_revoked_in_steps() {
    let plant = Plant::new().await;
    let chain = plant.chain("d1").await;
    let rows = plant.world.rows(&CERTIFICATES).await;
    let made = rows[0].parse::<CertificateRecord>().unwrap();
    for hundred in 0..10_u32 {
        let mut change = Change::new();
        for number in 0..100_u32 {
            let record = CertificateRecord { serial: format!("{:08x}", 1 + hundred * 100 + number), ..(*made).clone() };
            let columns = vec![Some(uid_key(record.device)), None];
            change.unit.put(Put::new(&CERTIFICATES, record.serial.clone(), columns, &record).unwrap());
        }
        plant.world.platform().commit(change).await.unwrap();
    }
    let answer = plant.revoke("d1", None).await;
    assert_eq!(plant.result(&answer).await, json!({"result": "Succeeded"}));
    let states: Vec<CertificateState> = plant
        .world
        .rows(&CERTIFICATES)
        .await
        .iter()
        .map(|row| row.parse::<CertificateRecord>().unwrap().state)
        .collect();
    assert_eq!(states, [CertificateState::Revoked; 1001]);
    assert!(plant.world.hubs().connect(plant.login("d1", &chain)).await.is_err());
    assert_eq!(plant.revoked_serials().await.len(), 1001);
    assert_eq!(plant.world.rows(&OPERATIONS).await.iter().filter(|row| row.text().contains("\"revoke\"")).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_has_not_heard_of_it_yet_gets_no_new_certificate() {
    let plant = Plant::new().await;
    let chain = plant.chain("d1").await;
    let session = plant.connect("d1", &chain).await;
    let home = plant.world.stored(&plant.world.hub_id("hub1")).await.uid;
    let was = identity::load(plant.world.platform().store.as_ref(), home, "d1").await.unwrap().unwrap();
    let mut device = (*was.device).clone();
    device.credential_id = Some(uuid::Uuid::from_u128(9));
    let mut change = Change::new();
    identity::add_update(plant.world.platform(), &was, &mut device, &mut change).unwrap();
    // The notice is lost.
    change.notices.clear();
    plant.world.platform().commit(change).await.unwrap();
    let body = json!({"id": "d1", "csr": csr(plant.world.folder.path(), "d1", &[])});
    let refused = session.connection().renew("rid-1", &body).await.unwrap_err();
    assert_eq!((refused.error.kind, refused.error.numeric_code()), (ErrorKind::Unauthenticated, 401_003));
    assert!(plant.world.rows(&RENEWALS).await.is_empty());
}
