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

mod world;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use ferrohub_service::Service;
use ferrohub_service::authz::Actor;
use ferrohub_service::hub::HubRef;
use ferrohub_service::provisioning::PageRequest;
use ferrohub_wire::sas_token;
use serde_json::{Value, json};
use std::sync::Arc;
use world::{HUB, HUB_HOST, KEY, World};

/// A hub and its owner's policy.
struct Bench {
    service: Arc<Service>,
    hub: HubRef,
    caller: Actor,
}

fn main() {
    let devices = world::count("FERROHUB_BENCH_DEVICES", 100_000);
    let folder = tempfile::tempdir().unwrap();
    world::run(async {
        let bench = Bench::new(folder.path()).await;
        bench.fill(devices).await;
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
            bench.ask(what, query).await;
        }
    });
}

impl Bench {
    async fn new(folder: &std::path::Path) -> Self {
        let world = World::open(folder).await;
        let policy = json!({"keyName": "iothubowner", "primaryKey": KEY, "secondaryKey": KEY, "rights": "RegistryRead, RegistryWrite, ServiceConnect"});
        let body = json!({"location": "westeurope", "sku": {"name": "S1", "capacity": 1}, "properties": {"authorizationPolicies": [policy]}});
        world.put(&format!("{}/providers/Microsoft.Devices/IotHubs/hub1", world.group), HUB, body).await;
        let hub = world.service.hub.by_host(HUB_HOST).await.unwrap();
        let expiry = SystemClock.unix_seconds() + 3600;
        let token = sas_token::sign(&hub.host, &STANDARD.decode(KEY).unwrap(), expiry, Some("iothubowner"));
        let caller = world.service.hub.authenticate(&hub, Some(&token)).await.unwrap();
        Self { service: world.service, hub, caller }
    }

    async fn fill(&self, devices: usize) {
        let started = SystemClock.monotonic();
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
        let seconds = SystemClock.monotonic().since(started).as_secs_f64();
        println!("{devices} devices made in bulk: {seconds:.1} s");
    }

    async fn ask(&self, what: &str, query: &str) {
        let started = SystemClock.monotonic();
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
        let seconds = SystemClock.monotonic().since(started).as_secs_f64();
        println!("{what}: {seconds:.2} s, {results} results on {pages} pages");
    }
}
