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

mod world;

use ferrohub_model::device::{Authentication, AuthenticationType, DeviceIdentity, DeviceStatus};
use ferrohub_model::random::Random;
use ferrohub_model::resource::{Resource, SystemData};
use ferrohub_model::uid::uid_key;
use ferrohub_pki::random::SystemRandom;
use ferrohub_service::platform::Change;
use ferrohub_service::tables;
use ferrohub_store::Put;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;
use world::{HUB, REGISTRY, World, timed};

const NAMESPACES: usize = 3;
const UNIT: usize = 250;

/// An installation with devices.
struct Bench {
    world: World,
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let count = world::count("FERROHUB_BENCH_DEVICES", 1_000_000);
    world::run(async {
        let bench = Bench::new(folder.path()).await;
        bench.fill(count).await;
        bench.ask(count).await;
    });
}

impl Bench {
    async fn new(folder: &std::path::Path) -> Self {
        let bench = Self { world: World::open(folder).await };
        for number in 0..NAMESPACES {
            bench.world.put(&bench.namespace(number), REGISTRY, json!({"location": "westeurope"})).await;
        }
        let hub = json!({"location": "westeurope", "sku": {"name": "S1", "capacity": 1}});
        bench.world.put(&bench.hub(), HUB, hub).await;
        bench
    }

    fn namespace(&self, number: usize) -> String {
        self.world.namespace(&format!("plant{number}"))
    }

    fn hub(&self) -> String {
        format!("{}/providers/Microsoft.Devices/IotHubs/hub1", self.world.group)
    }

    async fn uid(&self, id: &str) -> Uuid {
        self.world.stored(id).await.uid
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
                let (uid, name) = (self.world.platform.new_id(), format!("device-{number:07}"));
                let place = format!("{}/dv/{name}", uid_key(namespaces[number % NAMESPACES]));
                let columns = vec![Some(place), None, None, None, None];
                change.unit.put(Put::new(&tables::RESOURCES, uid_key(uid), columns, &device(&name, number)).unwrap());
                let place = format!("{}/{name}", uid_key(hub));
                change
                    .unit
                    .put(Put::new(&tables::DEVICES, uid_key(uid), vec![Some(place)], &identity(number)).unwrap());
            }
            self.world.platform.commit(change).await.unwrap();
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
        let new = json!({"location": "westeurope", "tags": {"line": "new"}});
        self.world.put(&format!("{}/devices/new", self.namespace(0)), REGISTRY, new).await;
        let (took, answer) = self.timed("Resources | where tags.line == 'new' | project name").await;
        println!("scan behind a write: {took:?}, {}", answer["data"][0]["name"]);
    }

    async fn timed(&self, query: &str) -> (Duration, Value) {
        let path = "/providers/Microsoft.ResourceGraph/resources";
        timed(self.world.send("POST", path, "2022-10-01", Some(json!({ "query": query })))).await
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
