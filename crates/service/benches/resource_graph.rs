//! Resource Graph over many devices: what the first query costs, which reads them all, and what later ones do.
//!
//! `FERROHUB_BENCH_DEVICES` says how many there are, 1,000,000 without it: devices of three namespaces, each with its identity on a
//! hub. What was asked for: an indexed filter under 50 ms, a full scan with `summarize` under 1 s.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark prints its result and stops at the first failure"
)]

use ferrohub_clock::SystemClock;
use ferrohub_messaging::disk::RealDisk;
use ferrohub_messaging_local::{LocalBus, LocalEventLog};
use ferrohub_model::clock::Clock;
use ferrohub_model::device::{Authentication, AuthenticationType, DeviceIdentity, DeviceStatus};
use ferrohub_model::random::Random;
use ferrohub_model::resource::{Resource, SystemData};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::uid::uid_key;
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::seal::MasterKey;
use ferrohub_service::arm::ArmRequest;
use ferrohub_service::arm::types::Types;
use ferrohub_service::authn::Audience;
use ferrohub_service::authz::Actor;
use ferrohub_service::platform::{Change, Engines, Platform, Settings};
use ferrohub_service::{Service, StartConfig, resources, tables};
use ferrohub_store::Put;
use ferrohub_store_sqlite::{Options, SqliteStore};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const NAMESPACES: usize = 3;
const UNIT: usize = 250;

struct World {
    service: Arc<Service>,
    platform: Arc<Platform>,
    owner: Actor,
    group: String,
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::env::var("FERROHUB_BENCH_DEVICES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::new(folder.path()).await;
        world.fill(count).await;
        world.ask(count).await;
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
            clock,
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
        let world = Self { service, platform: started.platform, owner, group };
        world.send("PUT", &world.group, "2024-11-01", json!({"location": "westeurope"})).await;
        for number in 0..NAMESPACES {
            world.send("PUT", &world.namespace(number), "2026-03-01-preview", json!({"location": "westeurope"})).await;
        }
        let hub = json!({"location": "westeurope", "sku": {"name": "S1", "capacity": 1}});
        world.send("PUT", &world.hub(), "2025-08-01-preview", hub).await;
        world
    }

    fn namespace(&self, number: usize) -> String {
        format!("{}/providers/Microsoft.DeviceRegistry/namespaces/plant{number}", self.group)
    }

    fn hub(&self) -> String {
        format!("{}/providers/Microsoft.Devices/IotHubs/hub1", self.group)
    }

    async fn send(&self, method: &str, path: &str, version: &str, body: Value) -> Value {
        let request = ArmRequest {
            method: method.into(),
            path: path.into(),
            query: vec![("api-version".into(), version.into())],
            body: Some(body),
            if_match: None,
            if_none_match: None,
            actor: self.owner.clone(),
            base_url: "https://localhost".into(),
            request_id: Uuid::nil(),
            correlation_id: Uuid::nil(),
            client: Default::default(),
        };
        self.service.arm.handle(request).await.unwrap().body.unwrap()
    }

    async fn uid(&self, id: &str) -> Uuid {
        resources::require(&self.platform, &ResourceId::parse(id).unwrap()).await.unwrap().uid
    }

    /// Writes the rows that registrations would have written.
    async fn fill(&self, count: usize) {
        let hub = self.uid(&self.hub()).await;
        let mut namespaces = Vec::new();
        for number in 0..NAMESPACES {
            namespaces.push(self.uid(&self.namespace(number)).await);
        }
        for start in (0..count).step_by(UNIT) {
            let mut change = Change::new();
            for number in start..count.min(start + UNIT) {
                let (uid, name) = (self.platform.new_id(), format!("device-{number:07}"));
                let place = format!("{}/dv/{name}", uid_key(namespaces[number % NAMESPACES]));
                let columns = vec![Some(place), None, None, None, None];
                change.unit.put(Put::new(&tables::RESOURCES, uid_key(uid), columns, &device(&name, number)).unwrap());
                let place = format!("{}/{name}", uid_key(hub));
                change
                    .unit
                    .put(Put::new(&tables::DEVICES, uid_key(uid), vec![Some(place)], &identity(number)).unwrap());
            }
            self.platform.commit(change).await.unwrap();
        }
    }

    async fn ask(&self, count: usize) {
        let before = resident_mb();
        let (took, _) = self.timed("Resources | where name == 'nothing' | count").await;
        println!("first query, {count} devices read: {took:?}, {} MB more", resident_mb() - before);
        let middle = count / 2;
        let id = format!("{}/devices/device-{middle:07}", self.namespace(middle % NAMESPACES));
        let namespace = self.namespace(1);
        for (what, query) in [
            ("by id", format!("Resources | where id =~ '{id}'")),
            ("by name", format!("Resources | where name == 'device-{middle:07}'")),
            ("by type and name", format!("Resources | where type =~ 'microsoft.deviceregistry/namespaces/devices' and name == 'device-{middle:07}'")),
            ("hubs, devices beside them", "Resources | where type =~ 'microsoft.devices/iothubs'".into()),
            ("a namespace's, counted", format!("Resources | where id startswith '{namespace}/' | count")),
            ("scan: count by manufacturer", "Resources | summarize count() by tostring(properties.manufacturer)".into()),
            ("scan: count by location and enabled", "Resources | where type =~ 'microsoft.deviceregistry/namespaces/devices' | summarize count() by location, tostring(properties.enabled)".into()),
            ("scan: max and dcount of an attribute", "Resources | summarize max(toint(properties.attributes.floor)), dcount(tostring(tags.line))".into()),
            ("scan: filter of a text, page of 1000", "Resources | where properties.model contains 'x7' | project id, name".into()),
            ("scan: sorted, page of 1000", "Resources | order by name asc | project id, name".into()),
            ("first page of all columns", "Resources".into()),
        ] {
            let mut all = Vec::new();
            let mut total = Value::Null;
            for _ in 0..5 {
                let (took, answer) = self.timed(&query).await;
                all.push(took);
                total = answer["totalRecords"].clone();
            }
            all.sort();
            println!("{what}: {:?} (of five: {:?} to {:?}), {total} rows", all[2], all[0], all[4]);
        }
        self.send("PATCH", &id, "2026-03-01-preview", json!({"tags": {"line": "new"}})).await;
        let (took, answer) = self.timed("Resources | where tags.line == 'new' | project name").await;
        println!("scan behind a write: {took:?}, {}", answer["data"][0]["name"]);
    }

    async fn timed(&self, query: &str) -> (Duration, Value) {
        let started = SystemClock.monotonic();
        let path = "/providers/Microsoft.ResourceGraph/resources";
        let answer = self.send("POST", path, "2022-10-01", json!({ "query": query })).await;
        (SystemClock.monotonic().since(started), answer)
    }
}

fn device(name: &str, number: usize) -> Resource {
    let manufacturer = ["Contoso", "Fabrikam", "Northwind", "Adventure"][number % 4];
    let properties = json!({
        "enabled": !number.is_multiple_of(10),
        "version": 1,
        "manufacturer": manufacturer,
        "model": format!("x{}", number % 40),
        "operatingSystem": "Linux",
        "attributes": {"floor": number % 12, "hall": format!("hall-{}", number % 25)},
    });
    let stamps = ["00000000-0000-0000-0000-000000000001", "ManagedIdentity", "2026-11-20T10:00:00Z"];
    Resource {
        name: name.into(),
        location: Some("westeurope".into()),
        tags: json!({"line": format!("line-{}", number % 100)}).as_object().cloned(),
        properties: properties.as_object().cloned().unwrap(),
        system_data: SystemData::from(stamps.map(str::to_owned).to_vec()),
        etag: SystemRandom.uuid_v4().to_string(),
        ..Resource::default()
    }
}

fn identity(number: usize) -> DeviceIdentity {
    DeviceIdentity {
        hub: Uuid::nil(),
        uid: Uuid::nil(),
        device_id: String::new(),
        generation_id: "638000000000000000".into(),
        etag: "MTIzNDU2Nzg5".into(),
        status: if number.is_multiple_of(10) { DeviceStatus::Disabled } else { DeviceStatus::Enabled },
        status_reason: None,
        status_updated: ferrohub_model::time::NEVER.into(),
        authentication: Authentication { kind: AuthenticationType::CertificateAuthority, ..Authentication::default() },
        iot_edge: false,
        parent: None,
        credential_id: Some(SystemRandom.uuid_v4()),
        policy: None,
        former_policies: Vec::new(),
        module_id: None,
        managed_by: None,
        own_chain: false,
        created: "2026-11-20T10:00:00Z".into(),
    }
}

/// Memory of this process that is in use, MB.
fn resident_mb() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = pages.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
    pages * 4096 / (1024 * 1024)
}
