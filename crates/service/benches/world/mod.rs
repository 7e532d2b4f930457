//! What the benchmarks stand on: an installation over the real engines in a folder, asked as its owner; and, for those that
//! provision, a namespace with a policy, a hub and a provisioning service with an enrollment group.
#![allow(dead_code, reason = "each benchmark uses its part")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_clock::SystemClock;
use ferrohub_messaging::disk::RealDisk;
use ferrohub_messaging_local::{LocalBus, LocalEventLog};
use ferrohub_model::clock::Clock;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_pki::platform::ServerIdentity;
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::seal::MasterKey;
use ferrohub_service::arm::types::Types;
use ferrohub_service::arm::{ArmRequest, Client};
use ferrohub_service::authn::Audience;
use ferrohub_service::authz::{Actor, builtin};
use ferrohub_service::platform::{Engines, Platform, Settings};
use ferrohub_service::provisioning::EnrollmentKind;
use ferrohub_service::{Service, StartConfig, resources, tables};
use ferrohub_store_sqlite::{Options, SqliteStore};
use ferrohub_wire::connection_string::ConnectionString;
use ferrohub_wire::sas_token;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// The program's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Api-versions of the registry, hubs and provisioning services.
pub(crate) const REGISTRY: &str = "2026-03-01-preview";
pub(crate) const HUB: &str = "2025-08-01-preview";
pub(crate) const DPS: &str = "2025-02-01-preview";
/// The built-in role with which a namespace writes devices of a hub (reference: certificates.md section 6).
const HUB_REGISTRY_CONTRIBUTOR: &str = "4ea46cd5-c1b2-4a8e-910b-273211f9ce47";
/// The key of every shared access policy, and the host of the hub.
pub(crate) const KEY: &str = "cG9saWN5LWtleS1wcmltYXJ5LTAwMDE=";
pub(crate) const HUB_HOST: &str = "hub1.azure-devices.localhost";

/// An installation and its owner.
pub(crate) struct World {
    pub(crate) service: Arc<Service>,
    pub(crate) platform: Arc<Platform>,
    pub(crate) owner: Actor,
    /// The resource group that is made.
    pub(crate) group: String,
    pub(crate) ca_pem: String,
    pub(crate) server: ServerIdentity,
}

/// What devices register with.
pub(crate) struct Plant {
    pub(crate) namespace: String,
    pub(crate) id_scope: String,
    pub(crate) group_key: String,
}

/// Runs `work` as the benchmarks do: two workers.
pub(crate) fn run(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(work);
}

/// A number from the environment.
pub(crate) fn count(variable: &str, without: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(without)
}

/// Runs `what` and says how long it took.
pub(crate) async fn timed<T>(what: impl Future<Output = T>) -> (Duration, T) {
    let started = SystemClock.monotonic();
    let done = what.await;
    (SystemClock.monotonic().since(started), done)
}

/// Processor time of this process until now, all threads; in steps of 10 ms, as Linux counts it.
pub(crate) fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // Behind the name, which may hold anything: user and system time are the 12th and 13th field.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

impl World {
    /// An installation in `folder` with an empty resource group.
    pub(crate) async fn open(folder: &Path) -> Self {
        let clock = SystemClock::shared();
        let store =
            SqliteStore::open(&folder.join("store.db"), tables::ALL, Arc::clone(&clock), Options::default()).unwrap();
        let log = LocalEventLog::open(Arc::new(RealDisk), &folder.join("log"), Arc::clone(&clock), Default::default());
        let engines = Engines {
            store: Arc::new(store),
            log: Arc::new(log.unwrap()),
            bus: Arc::new(LocalBus::new()),
            clock,
            random: Arc::new(SystemRandom),
            keys: None,
        };
        let config = StartConfig {
            settings: Settings { domain: "localhost".into(), pki_url: Some("http://127.0.0.1:8080".into()) },
            master_key: MasterKey::from_bytes(&[42; 32]).unwrap(),
            owner_file_missing: true,
            types: Types::built_in(),
            webhooks: None,
        };
        let started = Service::start(engines, config).await.unwrap();
        let (service, credential) = (started.service, started.owner.unwrap());
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", credential.client_id.as_str()),
            ("client_secret", credential.client_secret.as_str()),
            ("scope", "https://management.azure.com/.default"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let tenant = service.tenancy().tenant_id.clone();
        let token = service.authn.token(&tenant, &form, None, None, true).await.unwrap();
        let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
        let owner = service.authn.bearer(Some(&bearer), Audience::Arm).await.unwrap();
        let group = format!("/subscriptions/{}/resourceGroups/rg", credential.subscription_id);
        let (platform, ca_pem, server) = (started.platform, started.ca_pem, started.server);
        let world = Self { service, platform, owner, group, ca_pem, server };
        world.send("PUT", &world.group, "2024-11-01", Some(json!({"location": "westeurope"}))).await;
        world
    }

    /// A request to Resource Manager, which must succeed; its body.
    pub(crate) async fn send(&self, method: &str, path: &str, version: &str, body: Option<Value>) -> Value {
        let request = ArmRequest {
            method: method.into(),
            path: path.into(),
            query: vec![("api-version".into(), version.into())],
            body,
            if_match: None,
            if_none_match: None,
            actor: self.owner.clone(),
            base_url: "https://localhost:8443".into(),
            request_id: Uuid::nil(),
            correlation_id: Uuid::nil(),
            client: Client::default(),
        };
        self.service.arm.handle(request).await.unwrap().body.unwrap_or_default()
    }

    pub(crate) async fn put(&self, path: &str, version: &str, body: Value) -> Value {
        self.send("PUT", path, version, Some(body)).await
    }

    pub(crate) async fn stored(&self, id: &str) -> resources::Stored {
        resources::require(&self.platform, &ResourceId::parse(id).unwrap()).await.unwrap()
    }

    /// The id of a namespace with this name.
    pub(crate) fn namespace(&self, name: &str) -> String {
        format!("{}/providers/Microsoft.DeviceRegistry/namespaces/{name}", self.group)
    }

    /// A namespace with a policy 'default'.
    pub(crate) async fn with_policy(&self) -> String {
        let namespace = self.namespace("plant");
        let identity = json!({"location": "westeurope", "identity": {"type": "SystemAssigned"}});
        self.put(&namespace, REGISTRY, identity).await;
        self.put(&format!("{namespace}/credentials/default"), REGISTRY, json!({"location": "westeurope"})).await;
        let policy = format!("{namespace}/credentials/default/policies/default");
        self.put(&policy, REGISTRY, json!({"properties": {}})).await;
        namespace
    }

    /// A namespace with a policy that a hub trusts, and a provisioning service with a group that issues by it.
    pub(crate) async fn plant(&self) -> Plant {
        let namespace = self.with_policy().await;
        let hub = format!("{}/providers/Microsoft.Devices/IotHubs/hub1", self.group);
        let rights = "RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect";
        let rule = json!({"keyName": "iothubowner", "primaryKey": KEY, "secondaryKey": KEY, "rights": rights});
        let properties = json!({"authorizationPolicies": [rule], "deviceRegistry": {"namespaceResourceId": namespace}});
        let identity = json!({"type": "SystemAssigned"});
        let body = json!({"location": "westeurope", "sku": {"name": "S1", "capacity": 1}, "identity": identity, "properties": properties});
        let made = self.put(&hub, HUB, body).await;
        self.assign(&made, &namespace).await;
        let above = self.send("GET", &namespace, REGISTRY, None).await;
        self.assign(&above, &hub).await;
        self.assign_role(&above, &hub, HUB_REGISTRY_CONTRIBUTOR).await;
        let dps = format!("{}/providers/Microsoft.Devices/provisioningServices/dps1", self.group);
        let link = ConnectionString::for_policy(HUB_HOST, "iothubowner", KEY);
        let hubs = json!([{"connectionString": link.reveal().as_str(), "location": "westeurope"}]);
        let rule = json!({"keyName": "provisioningserviceowner", "rights": "ServiceConfig, DeviceConnect, EnrollmentWrite", "primaryKey": KEY});
        let registry = json!({"resourceId": namespace, "authenticationType": "SystemAssigned"});
        let properties = json!({"iotHubs": hubs, "authorizationPolicies": [rule], "deviceRegistryNamespace": registry});
        let body = json!({"location": "westeurope", "sku": {"name": "S1", "capacity": 1}, "identity": identity, "properties": properties});
        let made = self.put(&dps, DPS, body).await;
        self.assign(&made, &namespace).await;
        self.send("POST", &format!("{namespace}/credentials/default/synchronize"), REGISTRY, None).await;
        let id_scope = made["properties"]["idScope"].as_str().unwrap().to_owned();
        Plant { namespace, group_key: self.enroll(&id_scope).await, id_scope }
    }

    /// An enrollment group that issues by the policy 'default'; its key.
    async fn enroll(&self, id_scope: &str) -> String {
        let service = &self.service.provisioning;
        let dps = service.dps_by_scope(id_scope).await.unwrap();
        let expiry = self.platform.clock.unix_seconds() + 3600;
        let host = "dps1.azure-devices-provisioning.localhost";
        let token = sas_token::sign(host, &STANDARD.decode(KEY).unwrap(), expiry, Some("provisioningserviceowner"));
        let caller = service.authenticate(&dps, Some(&token)).await.unwrap();
        let attestation = json!({"type": "symmetricKey", "symmetricKey": {}});
        let body = json!({"enrollmentGroupId": "g1", "attestation": attestation, "credentialPolicyName": "default"});
        let kind = EnrollmentKind::Group;
        service.put_enrollment(&caller, &dps, kind, "g1", &body, None).await.unwrap();
        let mechanism = service.attestation_mechanism(&caller, &dps, kind, "g1").await.unwrap();
        mechanism["symmetricKey"]["primaryKey"].as_str().unwrap().to_owned()
    }

    async fn assign(&self, of: &Value, scope: &str) {
        self.assign_role(of, scope, builtin::CONTRIBUTOR).await;
    }

    async fn assign_role(&self, of: &Value, scope: &str, role: &str) {
        let subscription = self.group.split("/resourceGroups/").next().unwrap();
        let role = format!("{subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}");
        let properties = json!({"roleDefinitionId": role, "principalId": of["identity"]["principalId"], "principalType": "ServicePrincipal"});
        let path = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{}", self.platform.new_id());
        self.put(&path, "2022-04-01", json!({ "properties": properties })).await;
    }
}
