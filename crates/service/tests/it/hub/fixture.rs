//! An installation over the embedded engines in a temporary folder, with one hub in it.

use super::counted::Counted;
use crate::installation::{Installation, let_time_pass};
use crate::owner::{GROUP_API, HUB_API, IDENTITY_API, Owner, REGISTRY_API};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_messaging::disk::RealDisk;
use ferrohub_messaging_local::{LocalBus, LocalEventLog};
use ferrohub_model::clock::{Clock, ManualClock};
use ferrohub_model::principal::{ClientSecret, Principal, PrincipalKind};
use ferrohub_model::random::Random;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_pki::key::hash_secret;
use ferrohub_pki::random::SystemRandom;
use ferrohub_service::authn::Authenticator;
use ferrohub_service::authz::Actor;
use ferrohub_service::directory;
use ferrohub_service::hub::{DeviceLogin, HubRef, HubService, OpenSession};
use ferrohub_service::platform::{Change, Engines, Platform, Settings};
use ferrohub_service::resources::{self, Stored};
use ferrohub_service::tables;
use ferrohub_store_sqlite::SqliteStore;
use ferrohub_wire::sas_token;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::sync::Arc;

pub(super) const HOST: &str = "hub1.azure-devices.localhost";
pub(super) const POLICY_KEY: &str = "cG9saWN5LWtleS1wcmltYXJ5LTAwMDE=";

/// Client id of the service principal.
const CLIENT: &str = "55555555-5555-5555-5555-555555555555";

const POLICIES: &[(&str, &str)] = &[
    ("iothubowner", "RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect"),
    ("service", "ServiceConnect"),
    ("device", "DeviceConnect"),
    ("registryRead", "RegistryRead"),
];

pub(super) struct World {
    installation: Installation,
    pub(super) owner: Owner,
    pub(super) clock: Arc<ManualClock>,
    pub(super) group: ResourceId,
    pub(super) hub: HubRef,
    /// The hub as it was made.
    pub(super) made: Stored,
    /// The policy `iothubowner` of the hub.
    pub(super) caller: Actor,
    pub(super) store: Arc<Counted>,
    _folder: tempfile::TempDir,
}

impl World {
    /// A hub without a namespace.
    pub(super) async fn new() -> Self {
        Self::with(false).await
    }

    /// A hub that is linked to the namespace `ns1` with the user-assigned identity `id1`, which has no right yet.
    pub(super) async fn linked() -> Self {
        Self::with(true).await
    }

    async fn with(linked: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new("2026-11-20T10:00:00Z".parse().unwrap()));
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let store =
            SqliteStore::open(&folder.path().join("store.db"), tables::ALL, clock.clone(), Default::default()).unwrap();
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
            keys: None,
        };
        let settings = Settings { domain: "localhost".into(), pki_url: None };
        let (installation, owner) = Owner::install(engines, settings).await;
        let mut group = ResourceId::subscription(&owner.subscription);
        group.resource_group = Some("g1".into());
        owner.put(&group, GROUP_API, json!({"location": "westeurope"})).await;
        let link = if linked { make_namespace(&owner, &group).await } else { json!({}) };
        make_hub(&owner, &hub_id(&group, "hub1"), link).await;
        let hub = installation.service().hub.by_host(HOST).await.unwrap();
        let made = resources::require(installation.platform(), &hub_id(&group, "hub1")).await.unwrap();
        let caller = caller_of(&installation.service().hub, &hub, clock.unix_seconds()).await;
        Self { installation, owner, clock, group, hub, made, caller, store, _folder: folder }
    }

    /// The hubs of the next process.
    pub(super) fn service(&self) -> &HubService {
        &self.installation.service().hub
    }

    /// The tokens of the next process.
    pub(super) fn authenticator(&self) -> &Authenticator {
        &self.installation.service().authn
    }

    /// What the next process stands on.
    pub(super) fn platform(&self) -> &Arc<Platform> {
        self.installation.platform()
    }

    /// The policy `iothubowner` of another hub.
    pub(super) async fn caller_of(&self, hub: &HubRef) -> Actor {
        caller_of(self.service(), hub, self.now_unix()).await
    }

    pub(super) fn namespace_id(&self) -> ResourceId {
        namespace_id(&self.group)
    }

    pub(super) fn identity_id(&self) -> ResourceId {
        identity_id(&self.group)
    }

    /// From now on the clock goes as the machine's does.
    pub(super) fn let_time_pass(&self) {
        let_time_pass(&self.clock);
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
        let made = self.service().put_device(&self.caller, &self.hub, id, &json!({}), None).await.unwrap();
        made["authentication"]["symmetricKey"]["primaryKey"].as_str().unwrap().to_owned()
    }

    /// A service principal without a right; gives its object id.
    pub(super) async fn service_principal(&self) -> String {
        let object = "44444444-4444-4444-4444-444444444444";
        let secret = ClientSecret {
            key_id: "k".into(),
            hash: hash_secret("s3cret", &SystemRandom),
            expires: self.now_unix() + 9999,
            label: Default::default(),
        };
        let principal = Principal {
            secrets: vec![secret],
            ..Principal::new(PrincipalKind::ServicePrincipal, object.into(), CLIENT.into(), "operator".into())
        };
        let mut change = Change::new();
        change.unit.put(directory::put(&principal).unwrap());
        self.platform().commit(change).await.unwrap();
        object.to_owned()
    }

    /// The `Authorization` of the service principal.
    pub(super) async fn bearer(&self, audience: &str) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", CLIENT),
            ("client_secret", "s3cret"),
            ("scope", audience),
        ];
        let form: Vec<(String, String)> = form.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let answer =
            self.authenticator().token(&self.platform().tenancy.tenant_id, &form, None, None, true).await.unwrap();
        format!("Bearer {}", answer["access_token"].as_str().unwrap())
    }

    pub(super) fn device_token(&self, id: &str, key: &str) -> String {
        sas_token::sign(&format!("{HOST}/devices/{id}"), &STANDARD.decode(key).unwrap(), self.now_unix() + 3600, None)
    }

    pub(super) async fn connect_sas(&self, id: &str, key: &str) -> OpenSession {
        self.service().connect(request(id, Some(self.device_token(id, key)), Vec::new())).await.unwrap()
    }
}

async fn caller_of(service: &HubService, hub: &HubRef, now_unix: i64) -> Actor {
    let token = sas_token::sign(&hub.host, &STANDARD.decode(POLICY_KEY).unwrap(), now_unix + 3600, Some("iothubowner"));
    service.authenticate(hub, Some(&token)).await.unwrap()
}

pub(super) fn request(id: &str, token: Option<String>, peer_chain: Vec<Vec<u8>>) -> DeviceLogin {
    DeviceLogin {
        host: HOST.into(),
        device_id: id.into(),
        module_id: None,
        model_id: None,
        token,
        peer_chain,
        peer: Default::default(),
    }
}

fn hub_id(group: &ResourceId, name: &str) -> ResourceId {
    group.resource("Microsoft.Devices", "IotHubs", name)
}

fn namespace_id(group: &ResourceId) -> ResourceId {
    group.resource("Microsoft.DeviceRegistry", "namespaces", "ns1")
}

fn identity_id(group: &ResourceId) -> ResourceId {
    group.resource("Microsoft.ManagedIdentity", "userAssignedIdentities", "id1")
}

/// Makes namespace and identity, and gives the members with which a hub is linked to them.
async fn make_namespace(owner: &Owner, group: &ResourceId) -> Value {
    let (namespace, identity) = (namespace_id(group), identity_id(group));
    owner.put(&identity, IDENTITY_API, json!({"location": "westeurope"})).await;
    owner.put(&namespace, REGISTRY_API, json!({"location": "westeurope"})).await;
    json!({
        "identity": {"type": "UserAssigned", "userAssignedIdentities": {identity.to_string(): {}}},
        "properties": {"deviceRegistry": {"namespaceResourceId": namespace.to_string(), "identityResourceId": identity.to_string()}}
    })
}

/// Writes a hub with its policies and further members.
async fn make_hub(owner: &Owner, id: &ResourceId, more: Value) {
    let policies: Vec<Value> = POLICIES
        .iter()
        .map(|(name, rights)| json!({"keyName": name, "rights": rights, "primaryKey": POLICY_KEY, "secondaryKey": "c2Vjb25kYXJ5LWtleS1zZWNvbmRhcnkwMDI="}))
        .collect();
    let mut body = json!({"location": "westeurope", "sku": {"name": "S1", "capacity": 1}});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body["properties"]["authorizationPolicies"] = policies.into();
    owner.put(id, HUB_API, body).await;
}

/// Writes a hub with its policies; `more` are further properties. A hub that is there keeps its uid.
pub(super) async fn put_hub(world: &World, name: &str, more: Map<String, Value>) {
    make_hub(&world.owner, &hub_id(&world.group, name), json!({ "properties": more })).await;
}

/// Writes the tags of a hub.
pub(super) async fn tag_hub(world: &World, name: &str, tags: Value) {
    make_hub(&world.owner, &hub_id(&world.group, name), json!({ "tags": tags, "properties": {} })).await;
}
