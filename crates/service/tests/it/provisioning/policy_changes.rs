//! The registry gives a device another credential policy: its certificates follow.

use super::renewing::{Plant, ask, decoded, ended, failure};
use crate::owner::REGISTRY_API;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_pki::certificate::Certificate;
use ferrohub_service::hub::identity;
use ferrohub_service::resources;
use serde_json::{Value, json};

const FIRST_API: &str = "2025-11-01-preview";

impl Plant {
    async fn adr_id(&self, device: &str) -> ResourceId {
        let shown = self.world.registry().await;
        ResourceId::parse(shown[device]["id"].as_str().unwrap()).unwrap()
    }

    /// Gives the device the policy with this name, or takes its policy away.
    async fn set_policy(&self, device: &str, policy: Option<&str>, version: &str) {
        let policy = policy.map(|name| json!({"resourceId": self.world.policy_id(name).to_string()}));
        let body = json!({"properties": {"policy": policy}});
        let id = self.adr_id(device).await;
        let shown = self.world.owner.ask("PATCH", &id, version, Some(body)).await.unwrap().body.unwrap();
        assert_eq!(shown["properties"].get("policy"), policy.as_ref());
    }

    async fn identity(&self, device: &str) -> identity::StoredDevice {
        let hub = self.world.stored(&self.world.hub_id("hub1")).await;
        identity::load(self.world.platform().store.as_ref(), hub.uid, device).await.unwrap().unwrap()
    }

    /// The name of the policy that the hub goes by.
    async fn policy_at_hub(&self, device: &str) -> Option<String> {
        let policy = self.identity(device).await.device.policy?;
        Some(resources::by_uid(self.world.platform(), policy).await.unwrap().unwrap().name().to_owned())
    }

    async fn second_policy(&self) {
        self.world.write_policy("second", None).await.unwrap();
        self.world.synchronize().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_comes_with_its_old_certificate_for_one_of_its_new_policy() {
    let plant = Plant::new().await;
    plant.second_policy().await;
    let old = plant.chain("d1").await;
    let open = plant.connect("d1", &old).await;
    let etag = plant.identity("d1").await.device.etag.clone();
    plant.set_policy("d1", Some("second"), REGISTRY_API).await;
    assert_eq!(plant.policy_at_hub("d1").await.as_deref(), Some("second"));
    assert_ne!(plant.identity("d1").await.device.etag, etag);
    drop(open);

    // The one of the policy before lets it in, and it is that which it asks for the new one with.
    let mut session = plant.connect("d1", &old).await;
    ask(&session, "rid-1", &plant.body("d1")).await.unwrap();
    let new = decoded(&ended(&mut session).await.outcome.unwrap());
    let issuer = |chain: &[Vec<u8>]| Certificate::from_der(&chain[1]).unwrap().subject().to_string();
    assert!(issuer(&new).contains("second") && issuer(&old).contains("default"), "{} {}", issuer(&new), issuer(&old));
    drop(session);
    // Whoever lost the answer comes with the old one again.
    drop(plant.connect("d1", &old).await);
    let etag = plant.identity("d1").await.device.etag.clone();
    drop(plant.connect("d1", &new).await);
    assert!(plant.identity("d1").await.device.former_policies.is_empty(), "it has one of its policy");
    assert_eq!(plant.identity("d1").await.device.etag, etag, "no change in the sense of the service API");
    let refused = plant.world.hubs().connect(plant.login("d1", &old)).await.err().unwrap();
    assert!(refused.message.contains("not the one of the device's credential policy"), "{refused}");
    drop(plant.connect("d1", &new).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_policy_nothing_is_renewed_and_what_was_issued_stays() {
    let plant = Plant::new().await;
    let old = plant.chain("d1").await;
    plant.set_policy("d1", None, FIRST_API).await;
    assert_eq!(plant.policy_at_hub("d1").await, None);
    let session = plant.connect("d1", &old).await;
    let (code, _) = ask(&session, "rid-1", &plant.body("d1")).await.unwrap_err();
    assert_eq!(code, 412_005);
    drop(session);
    plant.set_policy("d1", Some("default"), FIRST_API).await;
    let mut session = plant.connect("d1", &old).await;
    ask(&session, "rid-2", &plant.body("d1")).await.unwrap();
    let renewed = ended(&mut session).await;
    renewed.outcome.unwrap();
    session.connection().renewals_delivered(&[renewed.correlation_id]).await.unwrap();
    // Accepted under one policy, carried out under none: the device is told.
    ask(&session, "rid-3", &plant.body("d1")).await.unwrap();
    plant.set_policy("d1", None, REGISTRY_API).await;
    assert_eq!(failure(&mut session).await.0, 412_005);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_does_not_name_the_policy_leaves_it_and_one_without_the_right_is_refused_whole() {
    let plant = Plant::new().await;
    plant.second_policy().await;
    plant.chain("d1").await;
    let id = plant.adr_id("d1").await;
    let owner = &plant.world.owner;
    // A newer shape has no policy; a PATCH of something else does not say it.
    let newest = owner.get(&id, "2026-04-01").await;
    owner.put(&id, "2026-04-01", newest).await;
    owner.ask("PATCH", &id, REGISTRY_API, Some(json!({"properties": {"attributes": {"a": 1}}}))).await.unwrap();
    assert_eq!(plant.policy_at_hub("d1").await.as_deref(), Some("default"));
    // Leaving it out of a PUT takes it away.
    let mut bare = owner.get(&id, REGISTRY_API).await;
    bare["properties"].as_object_mut().unwrap().shift_remove("policy");
    owner.put(&id, REGISTRY_API, bare).await;
    assert_eq!(plant.policy_at_hub("d1").await, None);

    plant.world.revoke_all().await;
    let version = owner.get(&id, REGISTRY_API).await["properties"]["version"].clone();
    let body = json!({"properties": {"policy": {"resourceId": plant.world.policy_id("second").to_string()}}});
    let refused = owner.ask("PATCH", &id, REGISTRY_API, Some(body)).await.unwrap_err();
    assert_eq!(refused.denial.as_ref().unwrap().action, "Microsoft.Devices/IotHubs/devices/write");
    assert_eq!(owner.get(&id, REGISTRY_API).await["properties"]["version"], version);
    assert_eq!(plant.policy_at_hub("d1").await, None);
    for wrong in [json!("/subscriptions/x"), Value::from(plant.world.hub_id("hub1").to_string())] {
        let body = json!({"properties": {"policy": {"resourceId": wrong}}});
        let refused = owner.ask("PATCH", &id, REGISTRY_API, Some(body)).await.unwrap_err();
        assert_eq!(refused.http_status(), 400, "{refused}");
    }
}
