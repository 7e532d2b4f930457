//! Reading a hub with 100,000 devices through the service, over the real store: all of them listed page by page (asked for: under 5 s), counted,
//! filtered by a tag, grouped. Devices are made with bulk operations of 100, as scripts make them.
//!
//! `FERROHUB_BENCH_DEVICES` says how many devices there are; 100,000 without it.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark prints its result and stops at the first failure"
)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_clock::SystemClock;
use ferrohub_messaging::disk::RealDisk;
use ferrohub_messaging_local::{LocalBus, LocalEventLog};
use ferrohub_model::clock::Clock;
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::seal::MasterKey;
use ferrohub_service::arm::ArmRequest;
use ferrohub_service::arm::types::Types;
use ferrohub_service::authn::Audience;
use ferrohub_service::authz::Actor;
use ferrohub_service::hub::HubRef;
use ferrohub_service::platform::{Engines, Settings};
use ferrohub_service::provisioning::PageRequest;
use ferrohub_service::{Service, StartConfig, tables};
use ferrohub_store_sqlite::{Options, SqliteStore};
use ferrohub_wire::sas_token;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

const KEY: &str = "cG9saWN5LWtleS1wcmltYXJ5LTAwMDE=";
const HUB_API: &str = "2025-08-01-preview";

struct World {
    service: Arc<Service>,
    clock: Arc<dyn Clock>,
    hub: HubRef,
    caller: Actor,
}

fn main() {
    let devices = std::env::var("FERROHUB_BENCH_DEVICES").map_or(100_000, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::new(folder.path()).await;
        world.fill(devices).await;
        for (what, query) in [
            ("every twin, page by page", "SELECT * FROM devices"),
            ("every device id", "SELECT deviceId FROM devices"),
            ("a count", "SELECT COUNT() AS n FROM devices"),
            ("a hundredth by a tag", "SELECT deviceId FROM devices WHERE tags.site = 7"),
            ("ten by a prefix of the id", "SELECT * FROM devices WHERE STARTSWITH(deviceId, 'device-00001')"),
            (
                "groups by a tag",
                "SELECT tags.site AS site, COUNT() AS n FROM devices GROUP BY tags.site ORDER BY n DESC",
            ),
            ("the last hundred in an order", "SELECT TOP 100 deviceId FROM devices ORDER BY tags.number DESC"),
        ] {
            world.ask(what, query).await;
        }
    });
}

impl World {
    async fn new(folder: &std::path::Path) -> Self {
        let clock = SystemClock::shared();
        let store =
            SqliteStore::open(&folder.join("store.db"), tables::ALL, Arc::clone(&clock), Options::default()).unwrap();
        let log = LocalEventLog::open(Arc::new(RealDisk), &folder.join("log"), Arc::clone(&clock), Default::default());
        let engines = Engines {
            store: Arc::new(store),
            log: Arc::new(log.unwrap()),
            bus: Arc::new(LocalBus::new()),
            clock: Arc::clone(&clock),
            random: Arc::new(SystemRandom),
            keys: None,
        };
        let config = StartConfig {
            settings: Settings { domain: "localhost".into(), pki_url: None },
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
        let token = service.authn.token(&tenant, &form, None, true).await.unwrap();
        let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
        let owner = service.authn.bearer(Some(&bearer), Audience::Arm).await.unwrap();
        let group = format!("/subscriptions/{}/resourceGroups/rg", credential.subscription_id);
        put(&service, &owner, &group, "2024-11-01", json!({"location": "westeurope"})).await;
        let policy = json!({"keyName": "iothubowner", "primaryKey": KEY, "secondaryKey": KEY, "rights": "RegistryRead, RegistryWrite, ServiceConnect"});
        let body = json!({"location": "westeurope", "sku": {"name": "S1", "capacity": 1}, "properties": {"authorizationPolicies": [policy]}});
        put(&service, &owner, &format!("{group}/providers/Microsoft.Devices/IotHubs/hub1"), HUB_API, body).await;
        let hub = service.hub.by_host("hub1.azure-devices.localhost").await.unwrap();
        let expiry = clock.unix_seconds() + 3600;
        let token = sas_token::sign(&hub.host, &STANDARD.decode(KEY).unwrap(), expiry, Some("iothubowner"));
        let caller = service.hub.authenticate(&hub, Some(&token)).await.unwrap();
        Self { service, clock, hub, caller }
    }

    async fn fill(&self, devices: usize) {
        let started = self.clock.monotonic();
        for first in (0..devices).step_by(100) {
            let entry = |number: usize| {
                json!({
                    "id": format!("device-{number:06}"),
                    "importMode": "create",
                    "tags": {"site": number % 100, "number": number},
                    "properties": {"desired": {"interval": 30}},
                })
            };
            let body: Value = (first..(first + 100).min(devices)).map(entry).collect();
            assert!(self.service.hub.bulk(&self.caller, &self.hub, &body).await.unwrap().is_empty());
        }
        let seconds = self.clock.monotonic().since(started).as_secs_f64();
        println!("{devices} devices made in bulk: {seconds:.1} s");
    }

    async fn ask(&self, what: &str, query: &str) {
        let started = self.clock.monotonic();
        let (mut results, mut pages, mut continuation) = (0, 0, None);
        loop {
            let page = PageRequest { max_items: None, continuation };
            let page = self.service.hub.query(&self.caller, &self.hub, query, &page).await.unwrap();
            (results, pages) = (results + page.items.len(), pages + 1);
            continuation = page.continuation;
            if continuation.is_none() {
                break;
            }
        }
        let seconds = self.clock.monotonic().since(started).as_secs_f64();
        println!("{what}: {seconds:.2} s, {results} results on {pages} pages");
    }
}

async fn put(service: &Service, owner: &Actor, path: &str, version: &str, body: Value) {
    let request = ArmRequest {
        method: "PUT".into(),
        path: path.into(),
        query: vec![("api-version".into(), version.into())],
        body: Some(body),
        if_match: None,
        if_none_match: None,
        actor: owner.clone(),
        base_url: "https://localhost:8443".into(),
        request_id: Uuid::nil(),
        correlation_id: Uuid::nil(),
        client: Default::default(),
    };
    service.arm.handle(request).await.unwrap();
}
