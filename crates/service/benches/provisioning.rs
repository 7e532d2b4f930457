//! Provisioning a million devices in process, over the real store: each registers with a request of its own, polls, and has its
//! chain. What was asked for: the rate of the last 10,000 within a fifth of that of the first, by processor time.
//!
//! `FERROHUB_BENCH_DEVICES` says how many; 1,000,000 without it, which takes some ten minutes and 3 GB in the temporary folder.
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
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::external;
use ferrohub_pki::name::SubjectName;
use ferrohub_pki::signer::SoftwareSigner;
use ferrohub_service::provisioning::{DeviceCaller, RegisterRequest};
use ferrohub_wire::sas_token::{derive_device_key, sign};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use world::{Plant, World, processor_time};

/// Devices that are measured together.
const WINDOW: usize = 10_000;
/// Registrations under way at a time.
const CALLERS: usize = 64;

fn main() {
    let devices = world::count("FERROHUB_BENCH_DEVICES", 1_000_000).max(2 * WINDOW);
    let folder = tempfile::tempdir().unwrap();
    world::run(async {
        let world = World::open(folder.path()).await;
        let plant = world.plant().await;
        let key = SoftwareSigner::generate(KeyKind::P256).unwrap();
        let mut windows = Vec::new();
        for first in (0..devices).step_by(WINDOW) {
            let devices = requests(&plant, &key, first, WINDOW.min(devices - first)).await;
            let window = provision(&world, &plant, &devices).await;
            if windows.is_empty() || (first / WINDOW + 1).is_multiple_of(10) {
                println!("{} devices: {window}", first + devices.len());
            }
            windows.push(window);
        }
        let (first, last) = (&windows[0], &windows[windows.len() - 1]);
        println!(
            "of {devices} devices the last {WINDOW} took {:.2} of the processor time of the first, and {:.2} of the time",
            last.used.as_secs_f64() / first.used.as_secs_f64(),
            last.took.as_secs_f64() / first.took.as_secs_f64()
        );
    });
}

/// A device and what it sends, made before anything is measured.
struct Device {
    id: String,
    token: String,
    csr: String,
}

/// What one registration of a window took.
struct Window {
    took: Duration,
    used: Duration,
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rate = 1.0 / self.took.as_secs_f64();
        write!(f, "{:?} each, {rate:.0}/s; {:?} of processor time each", self.took, self.used)
    }
}

async fn requests(plant: &Plant, key: &SoftwareSigner, first: usize, count: usize) -> Vec<Device> {
    let (group_key, expiry) = (STANDARD.decode(&plant.group_key).unwrap(), SystemClock.unix_seconds() + 3600);
    let mut devices = Vec::with_capacity(count);
    for number in first..first + count {
        let id = format!("device-{number:07}");
        let resource = format!("{}/registrations/{id}", plant.id_scope);
        let token = sign(&resource, &derive_device_key(&group_key, &id), expiry, Some("registration"));
        let request = external::request(&SubjectName::from_common_name(&id).unwrap(), key).await.unwrap();
        devices.push(Device { id, token, csr: STANDARD.encode(request) });
    }
    devices
}

async fn provision(world: &World, plant: &Plant, devices: &[Device]) -> Window {
    let (next, started, used) = (AtomicUsize::new(0), SystemClock.monotonic(), processor_time());
    let callers = (0..CALLERS).map(|_| async {
        while let Some(device) = devices.get(next.fetch_add(1, Ordering::Relaxed)) {
            one(world, plant, device).await;
        }
    });
    futures_util::future::join_all(callers).await;
    let count = u32::try_from(devices.len()).unwrap();
    Window { took: SystemClock.monotonic().since(started) / count, used: (processor_time() - used) / count }
}

async fn one(world: &World, plant: &Plant, device: &Device) {
    let service = &world.service.provisioning;
    let request = RegisterRequest {
        id_scope: plant.id_scope.clone(),
        registration_id: device.id.clone(),
        authorization: Some(device.token.clone()),
        csr: Some(device.csr.clone()),
        ..RegisterRequest::default()
    };
    let first = service.register(request).await.unwrap();
    let caller = DeviceCaller {
        id_scope: &plant.id_scope,
        registration_id: &device.id,
        api_version: None,
        authorization: Some(&device.token),
        peer_chain: &[],
        peer: Default::default(),
    };
    let done = service.operation_status(caller, &first.operation_id).await.unwrap();
    let chain = &done.body["registrationState"]["issuedCertificateChain"];
    assert_eq!(chain.as_array().map(Vec::len), Some(3), "{}", done.body);
}
