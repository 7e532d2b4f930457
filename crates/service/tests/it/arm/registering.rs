//! A registration is decided by rows that others may change before it is written: it goes by what they are by then.

use super::between::{writes, writes_any};
use super::fixture::{DPS, HUB, World};
use super::namespace_links::{self, NEWEST};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::clock::Clock;
use ferrohub_service::authz::Actor;
use ferrohub_service::provisioning::EnrollmentKind::Individual;
use ferrohub_service::provisioning::{DpsRef, RegisterRequest};
use ferrohub_service::tables::REGISTRATIONS;
use ferrohub_wire::sas_token::sign;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const KEY: [u8; 64] = [7; 64];
/// IoT Hub Data Contributor.
const HUB_DATA_CONTRIBUTOR: &str = "4fc6c259-987e-4a07-842e-c321cc9d413f";

/// A provisioning service with one hub, neither of them of a namespace.
struct Site {
    world: World,
    hub: String,
    dps: String,
}

impl Site {
    async fn new() -> Arc<Self> {
        let world = World::new().await;
        let group = world.group("rg1");
        world.put(&group, "2024-11-01", json!({"location": "westeurope"})).await;
        let hub = format!("{group}/providers/Microsoft.Devices/IotHubs/hub1");
        let dps = format!("{group}/providers/Microsoft.Devices/provisioningServices/dps1");
        let site = Self { world, hub, dps };
        site.write_hub(&STANDARD.encode(KEY)).await;
        site.write_dps(true).await;
        for id in ["d1", "d2"] {
            site.enroll(id, "enabled").await;
        }
        Arc::new(site)
    }

    async fn write_hub(&self, key: &str) {
        let policies = json!([{"keyName": "iothubowner", "primaryKey": key, "secondaryKey": key,
            "rights": "RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect"}]);
        let body = json!({"location": "westeurope", "sku": {"name": "S1", "capacity": 1}, "properties": {"authorizationPolicies": policies}});
        self.world.put(&self.hub, HUB, body).await;
    }

    async fn write_dps(&self, linked: bool) {
        let key = STANDARD.encode(KEY);
        let text =
            format!("HostName=hub1.azure-devices.localhost;SharedAccessKeyName=iothubowner;SharedAccessKey={key}");
        let hubs = if linked { json!([{"connectionString": text, "location": "westeurope"}]) } else { json!([]) };
        let policies = json!([{"keyName": "provisioningserviceowner", "rights": "ServiceConfig, DeviceConnect, EnrollmentWrite", "primaryKey": key}]);
        let properties = json!({"iotHubs": hubs, "authorizationPolicies": policies});
        let body = json!({"location": "westeurope", "sku": {"name": "S1", "capacity": 1}, "properties": properties});
        self.world.put(&self.dps, DPS, body).await;
    }

    async fn scope(&self) -> String {
        self.world.get(&self.dps, DPS).await["properties"]["idScope"].as_str().unwrap().to_owned()
    }

    async fn operator(&self) -> (DpsRef, Actor) {
        let provisioning = &self.world.service().provisioning;
        let dps = provisioning.dps_by_scope(&self.scope().await).await.unwrap();
        let expiry = self.world.clock.unix_seconds() + 3600;
        let host = "dps1.azure-devices-provisioning.localhost";
        let token = sign(host, &KEY, expiry, Some("provisioningserviceowner"));
        let caller = provisioning.authenticate(&dps, Some(&token)).await.unwrap();
        (dps, caller)
    }

    async fn enroll(&self, id: &str, status: &str) {
        let (dps, caller) = self.operator().await;
        let key = STANDARD.encode(KEY);
        let attestation = json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": key, "secondaryKey": key}});
        let body = json!({"attestation": attestation, "provisioningStatus": status});
        let provisioning = &self.world.service().provisioning;
        let present = provisioning.enrollment(&caller, &dps, Individual, id).await.is_ok();
        let any = present.then_some("*");
        provisioning.put_enrollment(&caller, &dps, Individual, id, &body, any).await.unwrap();
    }

    /// Registers a device: what its poll says, or the number of the refusal.
    async fn register(&self, id: &str) -> Result<Value, u32> {
        let (scope, expiry) = (self.scope().await, self.world.clock.unix_seconds() + 3600);
        let request = RegisterRequest {
            authorization: Some(sign(&format!("{scope}/registrations/{id}"), &KEY, expiry, Some("registration"))),
            id_scope: scope,
            registration_id: id.to_owned(),
            ..RegisterRequest::default()
        };
        let provisioning = &self.world.service().provisioning;
        provisioning.register(request).await.map_err(|error| error.numeric_code())?;
        let (dps, caller) = self.operator().await;
        Ok(provisioning.registration(&caller, &dps, id).await.unwrap())
    }

    /// Key of the registration of a device.
    async fn key(&self, id: &str) -> String {
        let id_of_dps = ferrohub_model::resource_id::ResourceId::parse(&self.dps).unwrap();
        let dps = ferrohub_service::resources::require(self.world.platform(), &id_of_dps).await.unwrap();
        format!("{}/{id}", dps.key())
    }
}

#[tokio::test]
async fn what_changes_before_a_registration_is_written_decides_it() {
    for (changed, wanted) in
        [("nothing", Ok(0)), ("link", Ok(400_208)), ("key", Ok(400_209)), ("enrollment", Err(401_002))]
    {
        let site = Site::new().await;
        let other = Arc::clone(&site);
        site.world.store.meanwhile(writes_any(&REGISTRATIONS), async move {
            match changed {
                "link" => other.write_dps(false).await,
                "key" => other.write_hub(&STANDARD.encode([8; 64])).await,
                "enrollment" => other.enroll("d1", "disabled").await,
                _ => {}
            }
        });
        let answer = site.register("d1").await;
        assert!(site.world.store.happened());
        let told = answer.map(|told| {
            let assigned = told["status"] == "assigned" && told["assignedHub"] == "hub1.azure-devices.localhost";
            if assigned { 0 } else { told["errorCode"].as_u64().unwrap_or_else(|| panic!("{told}")) }
        });
        assert_eq!(told, wanted, "{changed}");
    }
}

/// A hub that a namespace offers to the provisioning service belongs to what decided as well.
#[tokio::test]
async fn a_hub_that_its_namespace_offers_no_more_gets_no_device() {
    for (withdrawn, wanted) in [(false, "assigned"), (true, "failed")] {
        let linked = namespace_links::Site::new().await;
        linked.grant().await;
        linked.put(linked.body()).await;
        let namespace = linked.principal(&linked.namespace, NEWEST).await;
        linked.world.assign(&namespace, HUB_DATA_CONTRIBUTOR, &linked.hub).await;
        let mut dps = linked.world.get(&linked.dps, DPS).await;
        let key = STANDARD.encode(KEY);
        dps["properties"]["authorizationPolicies"] = json!([{"keyName": "provisioningserviceowner",
            "rights": "ServiceConfig, DeviceConnect, EnrollmentWrite", "primaryKey": key}]);
        linked.world.put(&linked.dps, DPS, dps).await;
        let mut less = linked.world.get(&linked.namespace, NEWEST).await;
        less["properties"]["messaging"]["endpoints"]["hub-one"]["provisioning"]["availability"] = "Disabled".into();
        let namespace = linked.namespace.clone();
        let site = Arc::new(Site { world: linked.world, hub: linked.hub, dps: linked.dps });
        site.enroll("d1", "enabled").await;
        let other = Arc::clone(&site);
        site.world.store.meanwhile(writes_any(&REGISTRATIONS), async move {
            if withdrawn {
                other.world.put(&namespace, NEWEST, less).await;
            }
        });
        let told = site.register("d1").await.unwrap();
        assert!(site.world.store.happened());
        assert_eq!(told["status"], wanted, "{told}");
    }
}

/// What they expect of the service they only read.
#[tokio::test]
async fn registrations_of_one_service_are_in_nobodys_way() {
    let site = Site::new().await;
    let (other, key) = (Arc::clone(&site), site.key("d1").await);
    let (tries, counted) = (Arc::new(AtomicUsize::new(0)), writes(&REGISTRATIONS, &key));
    let counts = Arc::clone(&tries);
    site.world.store.refuse(move |unit| {
        counts.fetch_add(counted(unit).into(), Ordering::Relaxed);
        false
    });
    site.world.store.meanwhile(writes(&REGISTRATIONS, &key), async move {
        assert_eq!(other.register("d2").await.unwrap()["status"], "assigned");
    });
    assert_eq!(site.register("d1").await.unwrap()["status"], "assigned");
    assert!(site.world.store.happened());
    assert_eq!(tries.load(Ordering::Relaxed), 1, "written at once");
}
