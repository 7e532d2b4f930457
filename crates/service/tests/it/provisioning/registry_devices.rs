//! Registry devices that mirror identities of a hub: how they prove who they are, and what they are good for.

use super::renewing::Plant;
use crate::owner::REGISTRY_API;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_service::tables::ACTIVITY;
use serde_json::{Value, json};

const NEWEST: &str = "2026-11-02-preview";

impl Plant {
    async fn registry_device(&self, device: &str) -> ResourceId {
        let shown = self.world.registry().await;
        let id = ResourceId::parse(shown[device]["id"].as_str().unwrap()).unwrap();
        self.world.namespace.child("registryDevices", id.name())
    }

    async fn below(&self, device: &ResourceId, path: &str) -> Value {
        let answer = self.world.owner.look(&format!("{device}/{path}"), NEWEST).await.unwrap();
        assert_eq!(answer.status, 200);
        answer.body.unwrap()
    }

    async fn put_at_hub(&self, device: &str, body: Value) {
        let (hub, caller) = self.world.hub_caller().await;
        let there = self.world.hubs().get_device(&caller, &hub, device).await.is_ok();
        self.world.hubs().put_device(&caller, &hub, device, &body, there.then_some("*")).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_a_certificate_of_a_policy_shows_it_and_loses_it() {
    let plant = Plant::new().await;
    let chain = plant.chain("d1").await;
    let device = plant.registry_device("d1").await;
    let policy =
        plant.world.namespace.child("certificateAuthorities", "default").child("certificatePolicies", "default");
    let profiles = plant.below(&device, "authenticationProfiles").await;
    let profile = &profiles["value"][0];
    assert_eq!(profile["properties"]["authenticationType"], "CertificateAuthoritySignedX509Certificate");
    assert_eq!(
        profile["properties"]["certificateAuthority"],
        json!({"certificatePolicyResourceId": policy.to_string()})
    );
    assert_eq!(*profile, plant.below(&device, "authenticationProfiles/Default").await);
    let capabilities = plant.below(&device, "capabilities").await;
    assert_eq!(capabilities["value"].as_array().unwrap().len(), 1);
    assert_eq!(
        capabilities["value"][0]["properties"],
        json!({
            "capabilityType": "Microsoft.IoTHub", "enablementState": "Enabled", "messagingEndpointName": "hub1",
            "provisioningState": "Succeeded", "authenticationProfileResourceId": profile["id"],
        })
    );
    assert_eq!(capabilities["value"][0], plant.below(&device, "capabilities/HUB1").await);

    let keys = format!("{device}/authenticationProfiles/default/listKeys");
    let refused = plant.world.owner.act(&keys, NEWEST, None).await.unwrap_err();
    assert_eq!((refused.http_status(), refused.code), (400, "InvalidAuthenticationType"));
    let revoke = format!("{device}/authenticationProfiles/default/revokeCertificates");
    let refused = plant.world.owner.act(&revoke, NEWEST, Some(json!({"disable": true}))).await.unwrap_err();
    assert_eq!(refused.code, "InvalidRequestContent");
    drop(plant.connect("d1", &chain).await);
    let answer = plant.world.owner.act(&revoke, NEWEST, None).await.unwrap();
    assert_eq!(answer.status, 202);
    let location = answer.headers.iter().find(|(name, _)| *name == "Location").unwrap().1.clone();
    let path = location.split_once("/subscriptions").unwrap().1.split('?').next().unwrap().to_owned();
    let polled = plant.world.owner.look(&format!("/subscriptions{path}"), NEWEST).await.unwrap();
    assert_eq!((polled.status, polled.body), (204, None));
    assert!(plant.world.hubs().connect(plant.login("d1", &chain)).await.is_err());
    assert_eq!(plant.world.certificates("revoked").await, 1);
    // The profile is kept, and with it the device comes back.
    assert_eq!(*profile, plant.below(&device, "authenticationProfiles/default").await);
    let again = plant.chain("d1").await;
    plant.connect("d1", &again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_told_to_whom_may_list_them_and_that_is_written_down() {
    let plant = Plant::new().await;
    plant.put_at_hub("d1", json!({})).await;
    let device = plant.registry_device("d1").await;
    let profile = plant.below(&device, "authenticationProfiles/default").await;
    assert_eq!(profile["properties"], json!({"authenticationType": "SymmetricKey", "provisioningState": "Succeeded"}));
    let path = format!("{device}/authenticationProfiles/default/listKeys");
    let before = plant.world.rows(&ACTIVITY).await.len();
    let keys = plant.world.owner.act(&path, NEWEST, None).await.unwrap().body.unwrap();
    for name in ["primaryKey", "secondaryKey"] {
        assert_eq!(keys["symmetricKey"][name].as_str().unwrap().len(), 88);
    }
    let rows = plant.world.rows(&ACTIVITY).await;
    assert_eq!(rows.len(), before + 1);
    let row = rows.last().unwrap().value().unwrap().to_string();
    assert!(row.contains("registryDevices/authenticationProfiles/listKeys/action"), "{row}");
    assert!(!row.contains(keys["symmetricKey"]["primaryKey"].as_str().unwrap()));
    let revoke = format!("{device}/authenticationProfiles/default/revokeCertificates");
    assert_eq!(plant.world.owner.act(&revoke, NEWEST, None).await.unwrap_err().code, "InvalidAuthenticationType");

    let print = "A".repeat(64);
    let thumbprints = json!({"primaryThumbprint": print, "secondaryThumbprint": null});
    plant
        .put_at_hub(
            "d1",
            json!({"authentication": {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": print}}}),
        )
        .await;
    let profile = plant.below(&device, "authenticationProfiles/default").await;
    assert_eq!(profile["properties"]["selfSignedThumbprints"], thumbprints);
    plant.put_at_hub("d1", json!({"authentication": {"type": "none"}})).await;
    assert_eq!(plant.below(&device, "authenticationProfiles").await, json!({"value": []}));
    let missing =
        plant.world.owner.look(&format!("{device}/authenticationProfiles/default"), NEWEST).await.unwrap_err();
    assert_eq!(missing.code, "ResourceNotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_switched_off_and_renamed_from_either_side_or_not_at_all() {
    let plant = Plant::new().await;
    let chain = plant.chain("d1").await;
    let device = plant.registry_device("d1").await;
    let owner = &plant.world.owner;
    let body = json!({"properties": {"enablementState": "disabled", "hardwareRevision": "B"}});
    let shown = owner.ask("PATCH", &device, NEWEST, Some(body)).await.unwrap().body.unwrap();
    assert_eq!(shown["properties"]["enablementState"], "Disabled");
    assert!(plant.world.hubs().connect(plant.login("d1", &chain)).await.is_err());
    let capability = plant.below(&device, "capabilities/hub1").await;
    assert_eq!(capability["properties"]["enablementState"], "DisabledByParent");
    plant.put_at_hub("d1", json!({"status": "enabled", "authentication": {"type": "certificateAuthority"}})).await;
    let shown = owner.get(&device, NEWEST).await;
    assert_eq!(
        (&shown["properties"]["enablementState"], &shown["properties"]["hardwareRevision"]),
        (&json!("Enabled"), &json!("B"))
    );
    // The id is the identity's; what is read can be put back, and nothing else.
    owner.put(&device, NEWEST, shown.clone()).await;
    let older = plant.world.namespace.child("devices", device.name());
    for (id, version) in [(&device, NEWEST), (&older, REGISTRY_API)] {
        let mut other = owner.get(id, version).await;
        other["properties"]["externalDeviceId"] = "d2".into();
        let refused = owner.ask("PUT", id, version, Some(other)).await.unwrap_err();
        assert_eq!((refused.http_status(), refused.code), (409, "PropertyChangeNotAllowed"), "{id}");
        let refused = owner.ask("DELETE", id, version, None).await.unwrap_err();
        assert_eq!((refused.http_status(), refused.code), (409, "DeviceInUse"), "{id}");
    }
    // Attributes are no hindrance when the hub deletes the device.
    let attributes = ResourceId::parse(&format!("{device}/attributes/site")).unwrap();
    owner.put(&attributes, NEWEST, json!({"properties": {"reportedBy": "User", "hall": 7}})).await;
    let (hub, caller) = plant.world.hub_caller().await;
    plant.world.hubs().delete_device(&caller, &hub, "d1", None).await.unwrap();
    assert_eq!(owner.ask("GET", &device, NEWEST, None).await.unwrap_err().code, "ResourceNotFound");
}
