//! A platform over the embedded engines in a temporary folder, with one hub in it.

use super::counted::Counted;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_messaging::disk::RealDisk;
use ferrohub_messaging_local::{LocalBus, LocalEventLog};
use ferrohub_model::clock::{Clock, ManualClock};
use ferrohub_model::random::Random;
use ferrohub_model::resource::{Resource, SystemData};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::seal::MasterKey;
use ferrohub_service::hub::{ConnectRequest, HubRef, HubService, Session};
use ferrohub_service::keyring::Keyring;
use ferrohub_service::platform::{Change, Engines, Platform, Settings, Tenancy};
use ferrohub_service::resources::{self, RowExtra};
use ferrohub_service::tables;
use ferrohub_store_sqlite::SqliteStore;
use ferrohub_wire::sas_token;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

pub(super) const GROUP: &str = "/subscriptions/s1/resourceGroups/g1";
pub(super) const HOST: &str = "h1.azure-devices.localhost";
pub(super) const POLICY_KEY: &str = "cG9saWN5LWtleS1wcmltYXJ5LTAwMDE=";

const POLICIES: &[(&str, &str)] = &[
    ("iothubowner", "RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect"),
    ("service", "ServiceConnect"),
    ("device", "DeviceConnect"),
    ("registryRead", "RegistryRead"),
];

pub(super) struct World {
    pub(super) platform: Arc<Platform>,
    pub(super) service: HubService,
    pub(super) clock: Arc<ManualClock>,
    pub(super) hub: HubRef,
    pub(super) store: Arc<Counted>,
    _folder: tempfile::TempDir,
}

impl World {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new("2026-11-20T10:00:00Z".parse().unwrap()));
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let store = SqliteStore::open(&folder.path().join("store.db"), tables::ALL, Default::default()).unwrap();
        let log =
            LocalEventLog::open(Arc::new(RealDisk), &folder.path().join("log"), clock.clone(), Default::default())
                .unwrap();
        let store = Arc::new(Counted::new(store));
        let engines = Engines {
            store: store.clone(),
            log: Arc::new(log),
            bus: Arc::new(LocalBus::new()),
            clock: clock.clone(),
            random: random.clone(),
        };
        let keyring = Keyring::new(MasterKey::generate(random.as_ref()), random);
        let settings = Settings { domain: "localhost".into(), pki_url: None };
        let tenancy = Tenancy { tenant_id: "t1".into(), subscription_id: "s1".into() };
        let platform = Arc::new(Platform::open(engines, keyring, settings, tenancy).await.unwrap());
        let service = HubService::new(Arc::clone(&platform));
        put_hub(&platform, "h1", Map::new()).await;
        let hub = service.by_host(HOST).await.unwrap();
        Self { platform, service, clock, hub, store, _folder: folder }
    }

    pub(super) fn now_unix(&self) -> i64 {
        self.clock.unix_seconds()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A token under a policy of the hub.
    pub(super) fn policy_token(&self, resource: &str, policy: &str) -> String {
        sas_token::sign(resource, &STANDARD.decode(POLICY_KEY).unwrap(), self.now_unix() + 3600, Some(policy))
    }

    /// Makes a device with symmetric keys and gives its primary key.
    pub(super) async fn sas_device(&self, id: &str) -> String {
        let made = self.service.put_device(&self.hub, id, &json!({}), None).await.unwrap();
        made["authentication"]["symmetricKey"]["primaryKey"].as_str().unwrap().to_owned()
    }

    pub(super) fn device_token(&self, id: &str, key: &str) -> String {
        sas_token::sign(&format!("{HOST}/devices/{id}"), &STANDARD.decode(key).unwrap(), self.now_unix() + 3600, None)
    }

    pub(super) async fn connect_sas(&self, id: &str, key: &str) -> Session {
        self.service.connect(request(id, Some(self.device_token(id, key)), Vec::new())).await.unwrap()
    }

    pub(super) async fn put(&self, resource: &Resource, extra: RowExtra) {
        let mut change = Change::new();
        change.access = true;
        change.unit.put(resources::put(resource, extra).unwrap());
        self.platform.commit(change).await.unwrap();
    }
}

pub(super) fn request(id: &str, password: Option<String>, peer_chain: Vec<Vec<u8>>) -> ConnectRequest {
    ConnectRequest {
        host: HOST.into(),
        client_id: id.into(),
        device_id: id.into(),
        module_id: None,
        api_version: Some("2021-04-12".into()),
        password,
        peer_chain,
    }
}

/// Stores a hub with its policies; `more` is merged into its properties. A hub that is there keeps its uid.
pub(super) async fn put_hub(platform: &Platform, name: &str, more: Map<String, Value>) -> Resource {
    let id = format!("{GROUP}/providers/Microsoft.Devices/IotHubs/{name}");
    let key = ResourceId::parse(&id).unwrap();
    let was = resources::get(platform.store.as_ref(), &key).await.unwrap();
    let uid = was.map_or_else(|| platform.new_id(), |was| was.resource.uid);
    let mut secrets = BTreeMap::new();
    for (policy, _) in POLICIES {
        for half in ["primary", "secondary"] {
            let field = format!("{policy}/{half}");
            let text = if half == "primary" { POLICY_KEY } else { "c2Vjb25kYXJ5LWtleS1zZWNvbmRhcnkwMDI=" };
            let sealed = platform
                .keyring
                .seal(platform.store.as_ref(), &uid.to_string(), "resources", &key.key(), &field, text.as_bytes())
                .await
                .unwrap();
            secrets.insert(field, sealed);
        }
    }
    let policies: Vec<Value> =
        POLICIES.iter().map(|(name, rights)| json!({"keyName": name, "rights": rights})).collect();
    let host = format!("{name}.azure-devices.localhost");
    let mut resource = resource(
        &id,
        "Microsoft.Devices/IotHubs",
        uid,
        json!({
            "hostName": host,
            "state": "Active",
            "eventHubEndpoints": {"events": {"partitionCount": 4}},
            "authorizationPolicies": policies,
        }),
    );
    resource.properties.extend(more);
    resource.secrets = secrets;
    let mut change = Change::new();
    let extra =
        RowExtra { unique_name: Some(format!("iothubs/{name}")), link: None, lookup: Some(format!("host/{host}")) };
    change.unit.put(resources::put(&resource, extra).unwrap());
    platform.commit(change).await.unwrap();
    resource
}

pub(super) fn resource(id: &str, kind: &str, uid: Uuid, properties: Value) -> Resource {
    Resource {
        id: id.into(),
        uid,
        name: id.rsplit('/').next().unwrap().into(),
        kind: kind.into(),
        location: Some("westeurope".into()),
        tags: None,
        sku: None,
        identity: None,
        properties: properties.as_object().unwrap().clone(),
        secrets: BTreeMap::new(),
        system_data: SystemData::default(),
        etag: "e".into(),
    }
}
