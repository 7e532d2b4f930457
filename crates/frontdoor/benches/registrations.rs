//! Registrations with a certificate over TLS and MQTT, server and load generator in this process: how long each stage takes alone,
//! how many a second there are, what happens when 10,000 devices come at once, and how soon a revoked device is out.
//!
//! `FERROHUB_BENCH_DEVICES` says how many come at once; 10,000 without it, each with two descriptors of this process (`ulimit -n 32768`).
//! Each must get its own identity and certificate; who is turned away comes again when it is told to. Asked for: 1,400 a second on two
//! cores, and out within a second.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark prints its result and stops at the first failure"
)]

#[path = "../../service/benches/world/mod.rs"]
mod world;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ferrohub_client::device::connection::{Connection, Login};
use ferrohub_client::device::csr::DeviceKey;
use ferrohub_client::device::dial::{ClientCertificate, Dial};
use ferrohub_client::device::hub::{HubDevice, Proof};
use ferrohub_client::device::key;
use ferrohub_clock::SystemClock;
use ferrohub_frontdoor::{Addresses, Frontdoor, FrontdoorConfig, ServerIdentity};
use ferrohub_model::clock::{Clock, Moment};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_pki::certificate::Certificate;
use ferrohub_service::tables::{CERTIFICATES, DEVICES};
use ferrohub_store::{Page, Table};
use ferrohub_wire::dps_topic::{self, DpsLogin, DpsResponse};
use futures_util::StreamExt as _;
use futures_util::stream;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use world::{HUB_HOST, Plant, REGISTRY, World, processor_time};

const DPS_HOST: &str = "global.azure-devices-provisioning.localhost";
/// Registrations of the measure of stages, one after another.
const ALONE: usize = 200;
/// Registrations of the measure of the rate, and how many at a time.
const RATE: (usize, usize) = (6_000, 256);
/// Devices that are revoked.
const REVOKED: usize = 20;
/// How long a device that is turned away waits before it comes again.
const AGAIN: Duration = Duration::from_millis(500);
/// How long one tries.
const PATIENCE: Duration = Duration::from_secs(300);

struct Bench {
    world: World,
    plant: Plant,
    mqtt: SocketAddr,
    dial: Dial,
}

/// When each stage of a registration ended.
struct Stages {
    begun: Moment,
    connected: Moment,
    subscribed: Moment,
    accepted: Moment,
    assigned: Moment,
    read: Moment,
}

/// How often a device came in vain: it was told when to come again, or had no connection, or not for long enough.
#[derive(Default)]
struct Turned {
    told: usize,
    outside: usize,
}

/// What a device got.
struct Registered {
    stages: Stages,
    device_id: String,
    chain: Vec<Vec<u8>>,
}

fn main() {
    let devices = world::count("FERROHUB_BENCH_DEVICES", 10_000);
    let folder = tempfile::tempdir().unwrap();
    world::run(async {
        let world = World::open(folder.path()).await;
        let plant = world.plant().await;
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let config = FrontdoorConfig {
            addresses: Addresses { https: vec![any], mqtt: vec![any], pki: vec![any], health: Some(any) },
            connections: devices + 1000,
            identity: ServerIdentity::from(&world.server),
            metrics: None,
        };
        let running = Frontdoor::start(config, Arc::clone(&world.service)).await.unwrap();
        let mqtt = SocketAddr::from(([127, 0, 0, 1], running.ports().mqtt));
        let dial = Dial::new(mqtt, DPS_HOST, world.ca_pem.as_bytes(), None, SystemClock::shared()).unwrap();
        let bench = Bench { world, plant, mqtt, dial };
        bench.stages().await;
        bench.rate().await;
        bench.at_once(devices).await;
        bench.revoked().await;
        running.stop().await;
    });
}

impl Bench {
    /// Each stage alone, by its median.
    async fn stages(&self) {
        let key = DeviceKey::generate().unwrap();
        let (mut tls, mut done) = (Vec::new(), Vec::new());
        for number in 0..ALONE {
            tls.push(self.handshake().await);
            let id = format!("alone-{number}");
            done.push(self.register(&id, &key.certificate_request(&id).unwrap()).await.unwrap().stages);
        }
        let median = |of: &dyn Fn(&Stages) -> Duration| {
            let mut all: Vec<Duration> = done.iter().map(of).collect();
            middle(&mut all)
        };
        println!("a registration with a certificate alone, medians of {ALONE}:");
        println!("  TCP and TLS alone (in the next line too): {:?}", middle(&mut tls));
        println!("  TLS, and CONNECT with a SAS token: {:?}", median(&|one| one.connected.since(one.begun)));
        println!("  SUBSCRIBE: {:?}", median(&|one| one.subscribed.since(one.connected)));
        println!("  register, to its 202: {:?}", median(&|one| one.accepted.since(one.subscribed)));
        println!("  poll, to the chain: {:?}", median(&|one| one.assigned.since(one.accepted)));
        println!("  reading the chain: {:?}", median(&|one| one.read.since(one.assigned)));
        println!("  all of it: {:?}", median(&|one| one.read.since(one.begun)));
    }

    async fn handshake(&self) -> Duration {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.world.ca_pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let begun = SystemClock.monotonic();
        let stream = TcpStream::connect(self.mqtt).await.unwrap();
        let name = ServerName::try_from(DPS_HOST).unwrap();
        let _open = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        SystemClock.monotonic().since(begun)
    }

    /// How many a second, with what they cost, load generator included.
    async fn rate(&self) {
        let key = DeviceKey::generate().unwrap();
        let ids: Vec<String> = (0..RATE.0).map(|number| format!("rate-{number}")).collect();
        let requests: Vec<String> = ids.iter().map(|id| key.certificate_request(id).unwrap()).collect();
        let (begun, used) = (SystemClock.monotonic(), processor_time());
        let all = stream::iter(ids.iter().zip(&requests));
        all.for_each_concurrent(RATE.1, |(id, csr)| async { drop(self.register(id, csr).await.unwrap()) }).await;
        let (took, used) = (SystemClock.monotonic().since(begun), processor_time() - used);
        println!(
            "{} registrations, {} at a time: {:.0}/s, {:?} of processor time each, load generator included",
            RATE.0,
            RATE.1,
            RATE.0 as f64 / took.as_secs_f64(),
            used / u32::try_from(RATE.0).unwrap()
        );
    }

    /// All at the same moment; none is lost, and none gets what is another's.
    async fn at_once(&self, devices: usize) {
        let key = DeviceKey::generate().unwrap();
        let ids: Vec<String> = (0..devices).map(|number| format!("crowd-{number}")).collect();
        let requests: Vec<String> = ids.iter().map(|id| key.certificate_request(id).unwrap()).collect();
        let before = (self.rows(&DEVICES).await, self.rows(&CERTIFICATES).await);
        let begun = SystemClock.monotonic();
        let all = ids.iter().zip(&requests).map(|(id, csr)| self.insist(id, csr, begun));
        let done = futures_util::future::join_all(all).await;
        let took = SystemClock.monotonic().since(begun);
        let (mut serials, mut turned, mut last) = (HashSet::new(), Turned::default(), Vec::new());
        for (id, (one, registered)) in ids.iter().zip(done) {
            assert_eq!(&registered.device_id, id, "each has its own identity");
            let leaf = Certificate::from_der(&registered.chain[0]).unwrap();
            assert_eq!((leaf.common_name(), registered.chain.len()), (Some(id.as_str()), 3));
            assert!(serials.insert(leaf.serial_hex().to_owned()), "{id} got another's certificate");
            turned.told += one.told;
            turned.outside += one.outside;
            last.push(registered.stages.read.since(begun));
        }
        let after = (self.rows(&DEVICES).await, self.rows(&CERTIFICATES).await);
        assert_eq!(after.0 - before.0, devices, "no identity beside those that were asked for");
        // Who lost its connection between certificate and answer came again and got one more; who was told to wait had none made.
        let (made, lost) = (after.1 - before.1, turned.outside);
        assert!(
            (devices..=devices + lost).contains(&made),
            "{made} certificates for {devices} devices that lost a connection {lost} times"
        );
        println!(
            "{devices} at the same moment: {took:.1?}, {:.0}/s, half of them within {:.1?}; told to wait {} times, without a connection {} times; {} certificates more than devices",
            devices as f64 / took.as_secs_f64(),
            middle(&mut last),
            turned.told,
            turned.outside,
            made - devices
        );
    }

    /// Comes again until it is registered; how often it was turned away, and what it got.
    async fn insist(&self, id: &str, csr: &str, begun: Moment) -> (Turned, Registered) {
        let mut turned = Turned::default();
        loop {
            let error = match self.register(id, csr).await {
                Ok(registered) => return (turned, registered),
                Err(error) => error,
            };
            let waited = SystemClock.monotonic().since(begun);
            assert!(waited < PATIENCE, "{id} after {waited:?}: {error}");
            let pause = match error.kind {
                ErrorKind::Throttled => {
                    turned.told += 1;
                    error.retry_after_seconds.map_or(AGAIN, |seconds| Duration::from_secs(seconds.into()))
                }
                kind => {
                    assert_eq!(kind, ErrorKind::Unavailable, "{id}: {error}");
                    turned.outside += 1;
                    AGAIN
                }
            };
            SystemClock.sleep(pause).await;
        }
    }

    /// From the request to revoke a device to the end of its connection, and to the refusal of its certificate.
    async fn revoked(&self) {
        let (mut closed, mut refused) = (Vec::new(), Vec::new());
        for number in 0..REVOKED {
            let (id, key) = (format!("revoked-{number}"), DeviceKey::generate().unwrap());
            let chain = self.register(&id, &key.certificate_request(&id).unwrap()).await.unwrap().chain;
            let certificate = ClientCertificate { chain: &chain, key: &key };
            let ca = self.world.ca_pem.as_bytes();
            let dial = Dial::new(self.mqtt, HUB_HOST, ca, Some(certificate), SystemClock::shared()).unwrap();
            let mut device = HubDevice::connect(&dial, HUB_HOST, &id, Proof::Certificate).await.unwrap();
            let path = format!("{}/devices/{id}/revoke", self.plant.namespace);
            let begun = SystemClock.monotonic();
            self.world.send("POST", &path, REGISTRY, Some(json!({"disable": false}))).await;
            while let Ok(Some(_)) = device.wait(PATIENCE).await {}
            closed.push(SystemClock.monotonic().since(begun));
            let again = HubDevice::connect(&dial, HUB_HOST, &id, Proof::Certificate).await;
            assert!(again.is_err(), "{id} came in with a revoked certificate");
            refused.push(SystemClock.monotonic().since(begun));
        }
        let slowest = closed.iter().max().copied().unwrap_or_default();
        println!(
            "a revoked device is out after {:?}, the slowest of {REVOKED} after {slowest:?}; refused when it comes again after {:?}",
            middle(&mut closed),
            middle(&mut refused)
        );
    }

    async fn register(&self, id: &str, csr: &str) -> Result<Registered> {
        let begun = SystemClock.monotonic();
        let device_key = key::derive(&self.plant.group_key, id)?;
        let expiry = SystemClock.unix_seconds() + 3600;
        let password = key::registration_token(&self.plant.id_scope, id, &device_key, expiry)?;
        let login = DpsLogin {
            id_scope: self.plant.id_scope.clone(),
            registration_id: id.to_owned(),
            api_version: Some("2025-07-01-preview".to_owned()),
            client_version: None,
        };
        let login = Login { client_id: id.to_owned(), user_name: login.user_name(), password: Some(password) };
        let mut connection = Connection::open(&self.dial, &login).await?;
        let connected = SystemClock.monotonic();
        connection.subscribe(&[dps_topic::RESPONSES_FILTER]).await?;
        let subscribed = SystemClock.monotonic();
        let body = Bytes::from(json!({"registrationId": id, "csr": csr}).to_string());
        connection.publish(dps_topic::register("1"), body).await?;
        let mut answer = answer(&mut connection).await?;
        let accepted = SystemClock.monotonic();
        let operation = answer["operationId"].as_str().unwrap_or_default().to_owned();
        while answer["status"] == "assigning" {
            connection.publish(dps_topic::operation_status("2", &operation), Bytes::new()).await?;
            answer = self::answer(&mut connection).await?;
        }
        let assigned = SystemClock.monotonic();
        let state = &answer["registrationState"];
        let chain = state["issuedCertificateChain"].as_array().cloned().unwrap_or_default();
        let chain = chain.iter().map(|text| STANDARD.decode(text.as_str().unwrap()).unwrap()).collect();
        let read = SystemClock.monotonic();
        let device_id = state["deviceId"].as_str().unwrap_or_default().to_owned();
        connection.close().await;
        let stages = Stages { begun, connected, subscribed, accepted, assigned, read };
        Ok(Registered { stages, device_id, chain })
    }

    async fn rows(&self, table: &'static Table) -> usize {
        let (mut rows, mut page) = (0, Page::first(5000));
        loop {
            let found = self.world.platform.store.scan(table, "", page).await.unwrap();
            rows += found.len();
            match found.last() {
                Some(last) if found.len() == 5000 => page = Page::following(last.key.clone(), 5000),
                _ => return rows,
            }
        }
    }
}

/// The next answer of DPS; one that names a time to wait is an error, and any other refusal is no answer to a crowd.
async fn answer(connection: &mut Connection) -> Result<Value> {
    let message = connection.next(Duration::from_secs(60)).await?;
    let response = DpsResponse::parse(&message.topic).unwrap();
    if response.status < 300 {
        return Ok(serde_json::from_slice(&message.payload).unwrap());
    }
    let text = String::from_utf8_lossy(&message.payload).into_owned();
    assert!(response.retry_after_seconds.is_some(), "refused without a time to wait: {text}");
    let mut error = Error::new(ErrorKind::Throttled, "TooManyRequests", text);
    error.retry_after_seconds = response.retry_after_seconds;
    Err(error)
}

fn middle(all: &mut [Duration]) -> Duration {
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}
