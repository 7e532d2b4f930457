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

mod world;

use ferrohub_clock::SystemClock;
use ferrohub_model::certificate_authority::{CertificateRecord, CertificateState};
use ferrohub_model::clock::Clock;
use ferrohub_model::random::Random;
use ferrohub_pki::csr::CertificateRequest;
use ferrohub_pki::random::SystemRandom;
use ferrohub_service::certificate::{self, AuthorityRecord, IssueRequest, Standing, Wanted, certificate_row};
use ferrohub_service::platform::{Change, Platform};
use ferrohub_service::{resources, tables};
use jiff::Timestamp;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;
use world::{REGISTRY, World, processor_time, timed};

const REVOKED: usize = 100_000;
const ISSUED: usize = 20_000;
const CALLERS: usize = 64;

/// An installation with an issuing authority.
struct Bench {
    world: World,
    platform: Arc<Platform>,
    namespace: String,
    issuer: Arc<AuthorityRecord>,
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    // Only issuing, for a comparison with another program: `issue`.
    let all = !std::env::args().any(|word| word == "issue");
    world::run(async {
        let bench = Bench::new(folder.path()).await;
        bench.issue(folder.path()).await;
        if all {
            bench.revoke_and_list().await;
            bench.inventory().await;
        }
    });
}

impl Bench {
    async fn new(folder: &std::path::Path) -> Self {
        let world = World::open(folder).await;
        let namespace = world.with_policy().await;
        let authority = world.stored(&format!("{namespace}/certificateAuthorities/default")).await;
        let issuer = certificate::authority_of(&world.platform, authority.uid).await.unwrap().unwrap();
        Self { platform: Arc::clone(&world.platform), world, namespace, issuer }
    }

    async fn stored(&self, below: &str) -> resources::Stored {
        self.world.stored(&format!("{}{below}", self.namespace)).await
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
                device_uid: self.platform.new_id(),
                credential_id: SystemRandom.uuid_v4(),
            };
            let issued = certificate::issue_leaf(&self.platform, request).await.unwrap();
            let mut change = Change::new();
            change.unit.append(issued.unit);
            self.platform.commit(change).await.unwrap();
        };
        let (started, used) = (SystemClock.monotonic(), processor_time());
        let callers = (0..CALLERS).map(|_| async {
            for _ in 0..ISSUED / CALLERS {
                one().await;
            }
        });
        futures_util::future::join_all(callers).await;
        let count = u32::try_from(ISSUED / CALLERS * CALLERS).unwrap();
        let (took, used) = (SystemClock.monotonic().since(started) / count, (processor_time() - used) / count);
        println!(
            "issue through the service: {took:?} each, {:.0}/s, all callers on one thread; {used:?} of processor time each, {:.0} a processor second",
            1.0 / took.as_secs_f64(),
            1.0 / used.as_secs_f64()
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
            let (took, list) = timed(self.world.service.crl(self.issuer.id)).await;
            println!(
                "revocation list of {REVOKED} entries, read, encoded, signed, stored: {took:?}, {} bytes",
                list.unwrap().len()
            );
            let (again, list) = timed(self.world.service.crl(self.issuer.id)).await;
            println!("the same list again: {again:?}, {} bytes", list.unwrap().len());
            self.revoke(std::slice::from_ref(serial)).await;
        }
    }

    async fn inventory(&self) {
        let count = world::count("FERROHUB_BENCH_CERTIFICATES", 200_000);
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
        let (took, answer) = timed(self.world.send("GET", &path, REGISTRY, None)).await;
        println!("the first page over ARM: {took:?}, {} rows", answer["value"].as_array().unwrap().len());
    }
}

/// A P-256 request from the openssl command line.
fn request(folder: &std::path::Path) -> Vec<u8> {
    let words =
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -outform DER -out r -subj /CN=device-1";
    let status = Command::new("openssl").current_dir(folder).args(words.split(' ')).output().unwrap();
    assert!(status.status.success(), "openssl req failed");
    std::fs::read(folder.join("r")).unwrap()
}
