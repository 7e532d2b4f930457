//! The worker lets issuing CAs be followed before they end, asks in time where somebody else signs, keeps revocation lists
//! fresh, and ends what no certificate needs any more.

use super::fixture::{ADR, HUB, Plant, World, plant};
use crate::provisioning::world::csr;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_clock::SystemClock;
use ferrohub_model::certificate_authority::{AuthorityRecord, AuthorityState, RevocationList};
use ferrohub_model::clock::Clock;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_pki::csr::CertificateRequest;
use ferrohub_service::certificate::{self, IssueRequest, issue_leaf};
use ferrohub_service::platform::Change;
use ferrohub_service::tables::{ACTIVITY, AUTHORITIES, REVOCATION_LISTS};
use ferrohub_service::{resources, worker};
use ferrohub_store::Page;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

const DAY: Duration = Duration::from_secs(86_400);

/// Runs the worker until `done` says so; time goes on meanwhile.
pub(super) async fn work_until(world: &World, what: &str, done: impl AsyncFn() -> bool) {
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker::run(Arc::clone(world.platform()), stopped));
    let mut reached = false;
    for _ in 0..1500 {
        reached = done().await;
        if reached {
            break;
        }
        world.clock.advance(Duration::from_secs(60));
        SystemClock.sleep(Duration::from_millis(2)).await;
    }
    stop.send(true).unwrap();
    world.while_time_passes(running).await.unwrap();
    assert!(reached, "{what}");
}

/// Lets so many days be lived through: settled time follows, and what was due is done.
pub(super) async fn live(world: &World, days: u32) {
    let until = world.clock.now() + days * DAY;
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker::run(Arc::clone(world.platform()), stopped));
    for _ in 0..20 {
        SystemClock.sleep(Duration::from_millis(5)).await;
        world.clock.advance(Duration::from_secs(700));
    }
    // A clock that jumps is believed as far as time was lived through, which this one says it was.
    world.clock.advance(until.duration_since(world.clock.now()).unsigned_abs());
    for _ in 0..1500 {
        if settled(world).await >= until {
            break;
        }
        SystemClock.sleep(Duration::from_millis(2)).await;
        world.clock.advance(Duration::from_secs(60));
    }
    stop.send(true).unwrap();
    world.while_time_passes(running).await.unwrap();
    assert!(settled(world).await >= until, "the settled time stands at {}", settled(world).await);
}

async fn settled(world: &World) -> jiff::Timestamp {
    let row = world.platform().store.get(&ferrohub_service::tables::META, "settled-time").await.unwrap();
    row.and_then(|row| row.value().unwrap()["at"].as_str().map(|at| at.parse().unwrap())).unwrap_or_default()
}

pub(super) async fn records(world: &World) -> Vec<Arc<AuthorityRecord>> {
    let rows = world.platform().store.scan(&AUTHORITIES, "", Page::first(100)).await.unwrap();
    let mut records: Vec<_> = rows.iter().map(|row| row.parse::<AuthorityRecord>().unwrap()).collect();
    records.retain(|record| record.is_issuing());
    records.sort_by_key(|record| record.id);
    records
}

async fn states(world: &World) -> Vec<AuthorityState> {
    records(world).await.iter().map(|record| record.state).collect()
}

async fn entries(world: &World, plant: &Plant) -> usize {
    world.get(&format!("{}/certificates", plant.hub), HUB).await["value"].as_array().unwrap().len()
}

/// Codes of the warnings in the activity log.
pub(super) async fn warnings(world: &World) -> Vec<String> {
    let rows = world.platform().store.scan(&ACTIVITY, "", Page::first(1000)).await.unwrap();
    let rows = rows.iter().map(|row| row.value().unwrap().clone()).filter(|row| row["level"] == "Warning");
    rows.map(|row| row["error"]["code"].as_str().unwrap().to_owned()).collect()
}

pub(super) async fn issue(world: &World, plant: &Plant, folder: &tempfile::TempDir) -> Vec<u8> {
    let platform = world.platform();
    let stored = async |path: &str| resources::require(platform, &ResourceId::parse(path).unwrap()).await.unwrap();
    let namespace = stored(&plant.namespace).await;
    let authority = stored(&format!("{}/certificateAuthorities/default", plant.namespace)).await;
    let policy = certificate::policy_of(platform, authority.uid).await.unwrap().unwrap();
    let der = STANDARD.decode(csr(folder.path(), "d1", &[])).unwrap();
    let request = CertificateRequest::from_der(&der).unwrap();
    let issued = issue_leaf(
        platform,
        IssueRequest {
            namespace: &namespace,
            authority: &authority,
            policy: &policy,
            csr: &request,
            registration_id: "d1",
            device_id: "d1",
            device_uid: Uuid::from_u128(1),
            credential_id: Uuid::from_u128(2),
        },
    )
    .await
    .unwrap();
    let mut change = Change::new();
    change.unit.append(issued.unit);
    platform.commit(change).await.unwrap();
    issued.leaf_der
}

pub(super) async fn synchronize(world: &World, plant: &Plant) {
    let path = format!("{}/credentials/default/synchronize", plant.namespace);
    assert_eq!(world.send(&world.owner, "POST", &path, ADR, None).await.unwrap().status, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuing_ca_is_followed_before_it_cuts_a_leaf_short() {
    let world = World::new().await;
    let (plant, folder) = (plant(&world).await, tempfile::tempdir().unwrap());
    synchronize(&world, &plant).await;
    let first = records(&world).await[0].clone();
    let days = first.not_after.duration_since(world.clock.now()).as_hours() / 24;
    live(&world, u32::try_from(days).unwrap() - 70).await;
    assert_eq!(states(&world).await, [AuthorityState::Active], "too early");
    // A leaf lives 30 days, and a month more is time to bring the successor to the hubs.
    live(&world, 9).await;
    let leaf = issue(&world, &plant, &folder).await;
    work_until(&world, "a successor", async || {
        states(&world).await.len() == 2 && states(&world).await[1] == AuthorityState::Active
    })
    .await;
    assert_eq!(states(&world).await, [AuthorityState::Superseded, AuthorityState::Active]);
    let second = records(&world).await[1].clone();
    assert_eq!((&second.subject, second.follows), (&first.subject, Some(first.id)));
    assert_ne!(second.certificate_der, first.certificate_der);
    assert_eq!(entries(&world, &plant).await, 2, "both are trusted while leaves of both live");
    let issued = ferrohub_pki::certificate::Certificate::from_der(&leaf).unwrap();
    assert!(issued.not_after() < first.not_after, "no leaf outlives its issuer");
    let next = issue(&world, &plant, &folder).await;
    let next = ferrohub_pki::certificate::Certificate::from_der(&next).unwrap();
    next.verify_signed_by(&ferrohub_pki::certificate::Certificate::from_der(&second.certificate_der).unwrap()).unwrap();
    assert!(certificate::crl(world.platform(), first.id).await.is_ok());

    live(&world, 31).await;
    work_until(&world, "its end", async || states(&world).await[0] == AuthorityState::Retired).await;
    assert_eq!(states(&world).await, [AuthorityState::Retired, AuthorityState::Active]);
    assert_eq!(entries(&world, &plant).await, 1);
    assert!(records(&world).await[0].key.is_none());
    assert!(certificate::crl(world.platform(), first.id).await.is_ok(), "its last list stays published");
    assert!(warnings(&world).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_waits_for_a_hub_that_refuses_it_and_the_log_says_so() {
    let world = World::new().await;
    let plant = plant(&world).await;
    synchronize(&world, &plant).await;
    for stored in resources::every(world.platform(), resources::tag::ROLE_ASSIGNMENT).await.unwrap() {
        if stored.id.to_string().starts_with(&plant.hub) {
            world.send(&world.owner, "DELETE", &stored.id.to_string(), "2022-04-01", None).await.unwrap();
        }
    }
    let first = records(&world).await[0].clone();
    let days = first.not_after.duration_since(world.clock.now()).as_hours() / 24;
    live(&world, u32::try_from(days).unwrap() - 59).await;
    work_until(&world, "a warning", async || !warnings(&world).await.is_empty()).await;
    assert_eq!(states(&world).await, [AuthorityState::Active, AuthorityState::Pending]);
    assert_eq!(warnings(&world).await, ["SuccessorNotOnHubs"]);
    let namespace = world.get(&plant.namespace, ADR).await;
    let principal = namespace["identity"]["principalId"].as_str().unwrap();
    world.assign(principal, ferrohub_service::authz::builtin::CONTRIBUTOR, &plant.hub).await;
    // The first one has no leaves, so it ends as soon as it is followed.
    work_until(&world, "the successor", async || states(&world).await[1] == AuthorityState::Active).await;
    work_until(&world, "its end", async || states(&world).await[0] == AuthorityState::Retired).await;
    assert_eq!(entries(&world, &plant).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_signed_anew_before_they_end_though_nobody_asks() {
    let world = World::new().await;
    plant(&world).await;
    let lists = async || {
        let rows = world.platform().store.scan(&REVOCATION_LISTS, "", Page::first(100)).await.unwrap();
        rows.iter().map(|row| row.parse::<RevocationList>().unwrap().next_update).collect::<Vec<_>>()
    };
    assert!(lists().await.is_empty());
    work_until(&world, "lists of root and issuing CA", async || lists().await.len() == 2).await;
    let first = lists().await[0];
    world.clock.advance(DAY * 6 + DAY / 2);
    work_until(&world, "newer ones", async || lists().await.iter().all(|next| *next > first)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_made_in_time_where_somebody_else_signs() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let byor = format!("{}/credentials/default/policies/byor", plant.namespace);
    let body = json!({"properties": {"certificate": {"certificateAuthorityConfiguration": {"bringYourOwnRoot": {"enabled": true}}}}});
    let made = world.put(&byor, ADR, body).await;
    let own = |policy: &Value| {
        policy["properties"]["certificate"]["certificateAuthorityConfiguration"]["bringYourOwnRoot"].clone()
    };
    let request = own(&made)["certificateSigningRequest"].as_str().unwrap().to_owned();
    let chain = sign(&world, &request).await;
    let activate = format!("{byor}/activateBringYourOwnRoot");
    world.send(&world.owner, "POST", &activate, ADR, Some(json!({"certificateChain": chain}))).await.unwrap();
    assert_eq!(own(&world.get(&byor, ADR).await)["status"], "Active");
    live(&world, 700 - 58).await;
    work_until(&world, "a new request", async || {
        own(&world.get(&byor, ADR).await)["status"] == "ActiveButPendingRenewal"
    })
    .await;
    assert_ne!(own(&world.get(&byor, ADR).await)["certificateSigningRequest"], json!(request));
    assert_eq!(warnings(&world).await, ["CertificateExpiringSoon"]);
    let later = world.clock.now() + Duration::from_secs(3600);
    work_until(&world, "another sweep", async || world.clock.now() > later).await;
    assert_eq!(warnings(&world).await.len(), 1, "it is told once");
}

/// A chain of 700 days for a request, made by openssl under a root that is not ours.
async fn sign(world: &World, request: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("ica.csr"), request).unwrap();
    let (from, to) = (world.clock.now(), world.clock.now() + 700 * DAY);
    let at = |time: jiff::Timestamp| time.strftime("%Y%m%d%H%M%SZ").to_string();
    let run = |arguments: &[&str]| crate::provisioning::world::openssl(folder.path(), arguments);
    let usage = "keyUsage=critical,digitalSignature,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n";
    let config = format!(
        "[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\nnew_certs_dir=.\nserial=serial\ndefault_md=sha384\npolicy=any\ncopy_extensions=copy\nunique_subject=no\n[any]\nCN=supplied\n[root]\nbasicConstraints=critical,CA:TRUE,pathlen:1\n{usage}"
    );
    std::fs::write(path("ca.cnf"), config).unwrap();
    std::fs::write(path("index.txt"), "").unwrap();
    std::fs::write(path("serial"), "01\n").unwrap();
    run(&["ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", "own.key"]);
    run(&["req", "-new", "-key", "own.key", "-subj", "/CN=Own Root", "-out", "own.csr"]);
    let (start, end) = (at(from), at(to));
    let dates = [
        "-startdate",
        start.as_str(),
        "-enddate",
        end.as_str(),
        "-batch",
        "-notext",
        "-config",
        "ca.cnf",
        "-keyfile",
        "own.key",
    ];
    run(&[&["ca", "-selfsign", "-in", "own.csr", "-extensions", "root", "-out", "own.pem"], &dates[..]].concat());
    run(&[&["ca", "-cert", "own.pem", "-in", "ica.csr", "-out", "ica.pem"], &dates[..]].concat());
    let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    format!("{}{}", read("ica.pem"), read("own.pem"))
}
