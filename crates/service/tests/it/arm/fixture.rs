//! An installation in a temporary folder, asked as its owner or as somebody else.

use super::between::Between;
use crate::installation::{Installation, while_time_passes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_messaging::disk::RealDisk;
use ferrohub_messaging_local::{LocalBus, LocalEventLog};
use ferrohub_model::clock::{Clock, ManualClock};
use ferrohub_model::error::Error;
use ferrohub_model::random::Random;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_pki::random::SystemRandom;
use ferrohub_service::arm::types::Types;
use ferrohub_service::arm::{ArmRequest, ArmResponse};
use ferrohub_service::authn::Audience;
use ferrohub_service::authz::Actor;
use ferrohub_service::graph::GraphRequest;
use ferrohub_service::key_store::OtherKeys;
use ferrohub_service::platform::{Engines, Platform, Settings};
use ferrohub_service::{Service, resources, tables};
use ferrohub_store_sqlite::SqliteStore;
use ferrohub_wire::sas_token;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

pub(super) const BASE: &str = "https://localhost:8443";
pub(super) const ADR: &str = "2026-03-01-preview";
pub(super) const HUB: &str = "2025-08-01-preview";
pub(super) const DPS: &str = "2025-02-01-preview";

pub(super) struct World {
    installation: Installation,
    pub(super) clock: Arc<ManualClock>,
    pub(super) store: Arc<Between>,
    pub(super) owner: Actor,
    pub(super) subscription: String,
    _folder: tempfile::TempDir,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(Types::built_in(), None).await
    }

    /// A world that serves these types.
    pub(super) async fn with_types(types: Types) -> Self {
        Self::with(types, None).await
    }

    /// A world that serves these types and has `keys` beside the key store in its rows.
    pub(super) async fn with(types: Types, keys: Option<OtherKeys>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new("2026-11-20T10:00:00Z".parse().unwrap()));
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let store =
            SqliteStore::open(&folder.path().join("store.db"), tables::ALL, clock.clone(), Default::default()).unwrap();
        let store = Arc::new(Between::new(store));
        let log =
            LocalEventLog::open(Arc::new(RealDisk), &folder.path().join("log"), clock.clone(), Default::default())
                .unwrap();
        let engines = Engines {
            store: store.clone(),
            log: Arc::new(log),
            bus: Arc::new(LocalBus::new()),
            clock: clock.clone(),
            random: random.clone(),
            keys,
        };
        let settings = Settings { domain: "localhost".into(), pki_url: None };
        let (installation, owner) = Installation::start(engines, settings, types).await;
        let actor = sign_in(installation.service(), &owner.client_id, &owner.client_secret).await;
        Self { installation, clock, store, owner: actor, subscription: owner.subscription_id, _folder: folder }
    }

    /// Closes everything and gives the bytes of the store's file.
    pub(super) fn close(self) -> u64 {
        let Self { installation, store, _folder: folder, .. } = self;
        // Closing the store folds the write-ahead log in.
        drop((installation, store));
        std::fs::metadata(folder.path().join("store.db")).unwrap().len()
    }

    /// The services of the next process.
    pub(super) fn service(&self) -> &Arc<Service> {
        self.installation.service()
    }

    /// What the next process stands on.
    pub(super) fn platform(&self) -> &Arc<Platform> {
        self.installation.platform()
    }

    /// What each process stands on.
    pub(super) fn platforms(&self) -> &[Arc<Platform>] {
        self.installation.platforms()
    }

    pub(super) fn group(&self, name: &str) -> String {
        format!("/subscriptions/{}/resourceGroups/{name}", self.subscription)
    }

    pub(super) async fn send(
        &self,
        actor: &Actor,
        method: &str,
        path: &str,
        version: &str,
        body: Option<Value>,
    ) -> Result<ArmResponse, Error> {
        let if_match = self.condition(method, path).await;
        self.request(actor, method, path, version, body, if_match).await
    }

    /// What a change of a hub's certificate must say; nothing else must.
    async fn condition(&self, method: &str, path: &str) -> Option<&'static str> {
        let changes = ["PUT", "PATCH", "DELETE"].contains(&method) && path.contains("/certificates/");
        let id = ResourceId::parse(path.split('?').next().unwrap_or_default()).ok().filter(|_| changes)?;
        resources::get(self.platform(), &id).await.ok()?.map(|_| "*")
    }

    pub(super) async fn request(
        &self,
        actor: &Actor,
        method: &str,
        path: &str,
        version: &str,
        body: Option<Value>,
        if_match: Option<&str>,
    ) -> Result<ArmResponse, Error> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut query: Vec<(String, String)> =
            query.split('&').filter_map(|p| p.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect();
        query.push(("api-version".into(), version.into()));
        self.service()
            .arm
            .handle(ArmRequest {
                method: method.into(),
                path: path.into(),
                query,
                body,
                if_match: if_match.map(str::to_string),
                if_none_match: None,
                actor: actor.clone(),
                base_url: BASE.into(),
                request_id: Uuid::nil(),
                correlation_id: Uuid::nil(),
                client: ferrohub_service::arm::Client::default(),
            })
            .await
    }

    pub(super) async fn put(&self, path: &str, version: &str, body: Value) -> Value {
        let answer = self
            .send(&self.owner, "PUT", path, version, Some(body))
            .await
            .unwrap_or_else(|e| panic!("PUT {path}: {} {e} {:?}", e.code, e.context));
        assert!(matches!(answer.status, 200 | 201), "PUT {path}: {}", answer.status);
        answer.body.unwrap()
    }

    pub(super) async fn get(&self, path: &str, version: &str) -> Value {
        self.send(&self.owner, "GET", path, version, None)
            .await
            .unwrap_or_else(|e| panic!("GET {path}: {e}"))
            .body
            .unwrap()
    }

    pub(super) async fn refused(
        &self,
        actor: &Actor,
        method: &str,
        path: &str,
        version: &str,
        body: Option<Value>,
    ) -> Error {
        match self.send(actor, method, path, version, body).await {
            Ok(answer) => panic!("{method} {path} was answered {}", answer.status),
            Err(error) => error,
        }
    }

    /// The owner policy of a hub.
    pub(super) async fn hub_owner(&self, hub: &str, host: &str) -> Actor {
        let keys = self.send(&self.owner, "POST", &format!("{hub}/listkeys"), HUB, None).await.unwrap().body.unwrap();
        let key = keys["value"][0]["primaryKey"].as_str().unwrap();
        let (key, expiry) = (STANDARD.decode(key).unwrap(), self.clock.unix_seconds() + 3600);
        let token = sas_token::sign(host, &key, expiry, keys["value"][0]["keyName"].as_str());
        let hub = self.service().hub.by_host(host).await.unwrap();
        self.service().hub.authenticate(&hub, Some(&token)).await.unwrap()
    }

    /// Lets time pass while `work` goes on: who loses to another writer waits for a while.
    pub(super) async fn while_time_passes<T>(&self, work: impl Future<Output = T>) -> T {
        while_time_passes(&self.clock, work).await
    }

    /// A service principal without any right.
    pub(super) async fn stranger(&self) -> Actor {
        let graph = |method: &str, path: &[&str], body: Value| GraphRequest {
            method: method.into(),
            path: path.iter().map(ToString::to_string).collect(),
            query: Vec::new(),
            body: Some(body),
            actor: self.owner.clone(),
            base_url: BASE.into(),
            address: None,
        };
        let made = self
            .service()
            .graph
            .handle(graph("POST", &["applications"], json!({"displayName": "stranger"})))
            .await
            .unwrap()
            .1
            .unwrap();
        let id = made["id"].as_str().unwrap();
        let secret = self
            .service()
            .graph
            .handle(graph("POST", &["applications", id, "addPassword"], json!({})))
            .await
            .unwrap()
            .1
            .unwrap();
        sign_in(self.service(), made["appId"].as_str().unwrap(), secret["secretText"].as_str().unwrap()).await
    }

    /// What this world stands on, for another process beside it.
    pub(super) fn engines(&self) -> Engines {
        let platform = self.platform();
        Engines {
            store: platform.store.clone(),
            log: platform.log.clone(),
            bus: platform.bus.clone(),
            clock: platform.clock.clone(),
            random: platform.random.clone(),
            keys: None,
        }
    }

    /// An `Authorization` header of the owner for a scope; the owner gets a second secret for it.
    pub(super) async fn token(&self, scope: &str) -> String {
        let owner = ferrohub_service::bootstrap::renew_owner(&self.engines(), &self.platform().tenancy).await.unwrap();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &owner.client_id),
            ("client_secret", &owner.client_secret),
            ("scope", scope),
        ]
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .to_vec();
        let token = self.service().authn.token(&owner.tenant_id, &form, None, None, true).await.unwrap();
        format!("Bearer {}", token["access_token"].as_str().unwrap())
    }

    pub(super) async fn assign(&self, principal: &str, role: &str, scope: &str) -> Value {
        let definition =
            format!("/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{role}", self.subscription);
        let name = SystemRandom.uuid_v4();
        self.put(
            &format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}"),
            "2022-04-01",
            json!({"properties": {"roleDefinitionId": definition, "principalId": principal, "principalType": "ServicePrincipal"}}),
        )
        .await
    }
}

async fn sign_in(service: &Service, client_id: &str, secret: &str) -> Actor {
    let header = bearer(service, client_id, secret).await;
    service.authn.bearer(Some(&header), Audience::Arm).await.unwrap()
}

/// The `Authorization` header of a token for ARM.
pub(super) async fn bearer(service: &Service, client_id: &str, secret: &str) -> String {
    let form: Vec<(String, String)> = [
        ("grant_type", "client_credentials"),
        ("client_id", client_id),
        ("client_secret", secret),
        ("scope", "https://management.azure.com/.default"),
    ]
    .map(|(k, v)| (k.to_string(), v.to_string()))
    .to_vec();
    let tenant = service.tenancy().tenant_id.clone();
    let token = service.authn.token(&tenant, &form, None, None, true).await.unwrap();
    format!("Bearer {}", token["access_token"].as_str().unwrap())
}

/// The whole set of the seeds: group, identity, namespace with credential and policy, linked hub, linked DPS, roles.
pub(super) struct Plant {
    pub(super) group: String,
    pub(super) identity: String,
    pub(super) namespace: String,
    pub(super) hub: String,
    pub(super) dps: String,
}

pub(super) async fn plant(world: &World) -> Plant {
    let group = world.group("rg1");
    world.put(&group, "2024-11-01", json!({"location": "West Europe"})).await;
    let identity = format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/uami1");
    world.put(&identity, "2025-05-31-preview", json!({"location": "westeurope"})).await;
    let namespace = format!("{group}/providers/Microsoft.DeviceRegistry/namespaces/plant7");
    let made =
        world.put(&namespace, ADR, json!({"location": "westeurope", "identity": {"type": "SystemAssigned"}})).await;
    let namespace_principal = made["identity"]["principalId"].as_str().unwrap().to_string();
    world.put(&format!("{namespace}/credentials/default"), ADR, json!({"location": "westeurope"})).await;
    world.put(&format!("{namespace}/credentials/default/policies/default"), ADR, json!({"properties": {}})).await;
    let hub = format!("{group}/providers/Microsoft.Devices/IotHubs/hub1");
    world
        .put(
            &hub,
            HUB,
            json!({
                "location": "westeurope", "sku": {"name": "S1", "capacity": 1},
                "identity": {"type": "UserAssigned", "userAssignedIdentities": {identity.clone(): {}}},
                "properties": {"deviceRegistry": {"namespaceResourceId": namespace, "identityResourceId": identity}}
            }),
        )
        .await;
    world.assign(&namespace_principal, ferrohub_service::authz::builtin::CONTRIBUTOR, &hub).await;
    let dps = format!("{group}/providers/Microsoft.Devices/provisioningServices/dps1");
    world
        .put(
            &dps,
            DPS,
            json!({
                "location": "westeurope", "sku": {"name": "S1", "capacity": 1},
                "identity": {"type": "UserAssigned", "userAssignedIdentities": {identity.clone(): {}}},
                "properties": {"deviceRegistryNamespace": {
                    "resourceId": namespace, "authenticationType": "UserAssigned", "selectedUserAssignedIdentityResourceId": identity
                }}
            }),
        )
        .await;
    Plant { group, identity, namespace, hub, dps }
}
