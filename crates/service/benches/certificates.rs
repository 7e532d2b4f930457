//! Certificates through the service, over the real store: issuing (request verified, leaf signed and committed, 64 callers),
//! a revocation list of 100,000 entries (asked for: under a second, reading and signing included), and questions to an inventory.
//!
//! `FERROHUB_BENCH_CERTIFICATES` says how many certificates the inventory holds; 200,000 without it.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark prints its result and stops at the first failure"
)]

use ferrohub_clock::SystemClock;
use ferrohub_messaging::disk::RealDisk;
use ferrohub_messaging_local::{LocalBus, LocalEventLog};
use ferrohub_model::certificate_authority::{CertificateRecord, CertificateState};
use ferrohub_model::clock::Clock;
use ferrohub_model::random::Random;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_pki::csr::CertificateRequest;
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::seal::MasterKey;
use ferrohub_service::arm::ArmRequest;
use ferrohub_service::arm::types::Types;
use ferrohub_service::authn::Audience;
use ferrohub_service::authz::Actor;
use ferrohub_service::certificate::{self, AuthorityRecord, IssueRequest, Standing, Wanted, certificate_row};
use ferrohub_service::platform::{Change, Engines, Platform, Settings};
use ferrohub_service::{Service, StartConfig, resources, tables};
use ferrohub_store_sqlite::{Options, SqliteStore};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const REVOKED: usize = 100_000;
const ISSUED: usize = 20_000;
const CALLERS: usize = 64;
const API: &str = "2026-03-01-preview";

struct World {
    service: Arc<Service>,
    platform: Arc<Platform>,
    owner: Actor,
    namespace: String,
    issuer: Arc<AuthorityRecord>,
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::new(folder.path()).await;
        world.issue(folder.path()).await;
        world.revoke_and_list().await;
        world.inventory().await;
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
        let token = service.authn.token(&tenant, &form, None, true).await.unwrap();
        let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
        let owner = service.authn.bearer(Some(&bearer), Audience::Arm).await.unwrap();
        let group = format!("/subscriptions/{}/resourceGroups/rg", credential.subscription_id);
        let namespace = format!("{group}/providers/Microsoft.DeviceRegistry/namespaces/plant");
        put(&service, &owner, &group, "2024-11-01", json!({"location": "westeurope"})).await;
        put(&service, &owner, &namespace, API, json!({"location": "westeurope"})).await;
        put(&service, &owner, &format!("{namespace}/credentials/default"), API, json!({"location": "westeurope"}))
            .await;
        let policy = format!("{namespace}/credentials/default/policies/default");
        put(&service, &owner, &policy, API, json!({"properties": {}})).await;
        let authority = format!("{namespace}/certificateAuthorities/default");
        let authority = resources::get(&started.platform, &ResourceId::parse(&authority).unwrap()).await.unwrap();
        let issuer = certificate::authority_of(&started.platform, authority.unwrap().uid).await.unwrap().unwrap();
        Self { service, platform: started.platform, owner, namespace, issuer }
    }

    async fn stored(&self, below: &str) -> resources::Stored {
        let id = ResourceId::parse(&format!("{}{below}", self.namespace)).unwrap();
        resources::require(&self.platform, &id).await.unwrap()
    }

    /// Requests are verified, leaves signed and committed.
    async fn issue(&self, folder: &std::path::Path) {
        let der = request(folder);
        let namespace = self.stored("").await;
        let authority = self.stored("/certificateAuthorities/default").await;
        let policy = self.stored("/certificateAuthorities/default/certificatePolicies/default").await;
        let one = async || {
            let csr = CertificateRequest::from_der(&der).unwrap();
            let request = IssueRequest {
                namespace: &namespace,
                authority: &authority,
                policy: &policy,
                csr: &csr,
                registration_id: "device-1",
                device_id: "device-1",
                device_uid: SystemRandom.uuid_v4(),
                credential_id: SystemRandom.uuid_v4(),
            };
            let issued = certificate::issue_leaf(&self.platform, request).await.unwrap();
            let mut change = Change::new();
            change.unit.append(issued.unit);
            self.platform.commit(change).await.unwrap();
        };
        let started = SystemClock.monotonic();
        let callers = (0..CALLERS).map(|_| async {
            for _ in 0..ISSUED / CALLERS {
                one().await;
            }
        });
        futures_util::future::join_all(callers).await;
        let each = SystemClock.monotonic().since(started) / u32::try_from(ISSUED / CALLERS * CALLERS).unwrap();
        println!(
            "issue through the service: {each:?} each, {:.0}/s, all callers on one thread",
            1.0 / each.as_secs_f64()
        );
    }

    async fn write(&self, count: usize, days: impl Fn(usize) -> i64) -> Vec<String> {
        let now = self.platform.now().as_second();
        let mut serials = Vec::with_capacity(count);
        for start in (0..count).step_by(250) {
            let mut change = Change::new();
            for number in start..count.min(start + 250) {
                let record = self.record(now, days(number));
                change.unit.put(certificate_row(&record).unwrap());
                serials.push(record.serial);
            }
            self.platform.commit(change).await.unwrap();
        }
        serials
    }

    fn record(&self, now: i64, days: i64) -> CertificateRecord {
        CertificateRecord {
            serial: format!("4{}", &SystemRandom.uuid_v4().simple().to_string()[1..]),
            issuer: self.issuer.id,
            chain: vec![self.issuer.id, self.issuer.issuer.unwrap()],
            device: SystemRandom.uuid_v4(),
            subject: "device-1".into(),
            credential_id: SystemRandom.uuid_v4(),
            state: CertificateState::Issued,
            created: self.platform.now(),
            not_before: Timestamp::from_second(now - 300).unwrap(),
            not_after: Timestamp::from_second(now + days * 86_400).unwrap(),
            sha256: "AB".repeat(32),
            revoked: None,
        }
    }

    async fn revoke(&self, serials: &[String]) {
        for serials in serials.chunks(200) {
            let mut change = Change::new();
            for serial in serials {
                let record = certificate::issued_by_serial(&self.platform, serial).await.unwrap().unwrap();
                let row = self.platform.store.get(&tables::CERTIFICATES, serial).await.unwrap().unwrap();
                certificate::revoke_certificate(&record, row.version, self.platform.now(), &mut change.unit).unwrap();
            }
            self.platform.commit(change).await.unwrap();
        }
    }

    async fn revoke_and_list(&self) {
        let serials = self.write(REVOKED + 3, |_| 300).await;
        self.revoke(&serials[..REVOKED]).await;
        for serial in &serials[REVOKED..] {
            let (took, list) = timed(self.service.crl(self.issuer.id)).await;
            println!(
                "revocation list of {REVOKED} entries, read, encoded, signed, stored: {took:?}, {} bytes",
                list.unwrap().len()
            );
            let (again, list) = timed(self.service.crl(self.issuer.id)).await;
            println!("the same list again: {again:?}, {} bytes", list.unwrap().len());
            self.revoke(std::slice::from_ref(serial)).await;
        }
    }

    async fn inventory(&self) {
        let count = std::env::var("FERROHUB_BENCH_CERTIFICATES").ok().and_then(|text| text.parse().ok());
        let count = count.unwrap_or(200_000);
        self.write(count, |number| i64::try_from(number % 90).unwrap() - 10).await;
        let now = self.platform.now();
        let soon = now.checked_add(Duration::from_secs(7 * 86_400)).unwrap();
        let wanted = |standing, ends_before, devices| Wanted {
            issuers: vec![Arc::clone(&self.issuer)],
            devices,
            serial: None,
            standing,
            ends_before,
        };
        for (what, wanted) in [
            ("the first page of all", wanted(None, None, None)),
            ("of those that are active and end within a week", wanted(Some(Standing::Active), Some(soon), None)),
            ("of the revoked", wanted(Some(Standing::Revoked), None, None)),
            ("of a device", wanted(None, None, Some(vec![Uuid::from_u128(1)]))),
        ] {
            let (took, page) = timed(certificate::inventory_page(&self.platform, &wanted, None, 200)).await;
            println!("inventory of {count} and the revoked, {what}: {took:?}, {} rows", page.unwrap().0.len());
        }
        let prefix = ferrohub_model::uid::uid_key(self.issuer.id);
        let end = format!("{prefix}~");
        let store = self.platform.store.as_ref();
        let (took, all) = timed(store.count_between(&tables::CERTIFICATES, "place", &prefix, &end)).await;
        println!("counting all {} of an authority: {took:?}", all.unwrap());
        let path = format!("{}/certificates", self.namespace);
        let (took, answer) = timed(ask(&self.service, &self.owner, "GET", &path, API, None)).await;
        println!("the first page over ARM: {took:?}, {} rows", answer["value"].as_array().unwrap().len());
    }
}

async fn timed<T>(what: impl Future<Output = T>) -> (Duration, T) {
    let started = SystemClock.monotonic();
    let done = what.await;
    (SystemClock.monotonic().since(started), done)
}

async fn put(service: &Service, owner: &Actor, path: &str, version: &str, body: Value) {
    ask(service, owner, "PUT", path, version, Some(body)).await;
}

async fn ask(service: &Service, owner: &Actor, method: &str, path: &str, version: &str, body: Option<Value>) -> Value {
    let request = ArmRequest {
        method: method.into(),
        path: path.into(),
        query: vec![("api-version".into(), version.into())],
        body,
        if_match: None,
        if_none_match: None,
        actor: owner.clone(),
        base_url: "https://localhost:8443".into(),
        request_id: Uuid::nil(),
        correlation_id: Uuid::nil(),
        client: ferrohub_service::arm::Client::default(),
    };
    service.arm.handle(request).await.unwrap().body.unwrap_or_default()
}

/// A P-256 request from the openssl command line.
fn request(folder: &std::path::Path) -> Vec<u8> {
    let words =
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -outform DER -out r -subj /CN=device-1";
    let status = Command::new("openssl").current_dir(folder).args(words.split(' ')).output().unwrap();
    assert!(status.status.success(), "openssl req failed");
    std::fs::read(folder.join("r")).unwrap()
}
