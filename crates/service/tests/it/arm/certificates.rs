//! The inventory of issued certificates, revocation lists over it, and what the worker does about certificates that end.

use super::fixture::{ADR, Plant, World, plant};
use super::workers::work_until;
use ferrohub_model::certificate_authority::{AuthorityRecord, CertificateRecord, CertificateState};
use ferrohub_model::random::Random;
use ferrohub_model::uid::uid_key;
use ferrohub_pki::random::SystemRandom;
use ferrohub_service::certificate::{self, certificate_row};
use ferrohub_service::platform::Change;
use ferrohub_service::tables::{ACTIVITY, AUTHORITIES, CERTIFICATES, META, REVOCATIONS};
use ferrohub_store::{Page, Put};
use jiff::Timestamp;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const DAY: i64 = 86_400;

/// The issuing authority of a policy.
pub(super) async fn issuing(world: &World, plant: &Plant, policy: &str) -> Arc<AuthorityRecord> {
    let id = format!("{}/certificateAuthorities/{policy}", plant.namespace);
    let uid = world.get(&id, "2026-11-02-preview").await["properties"]["uuid"].as_str().unwrap().to_owned();
    let uid = uid.parse::<Uuid>().unwrap();
    certificate::authority_of(world.platform(), uid).await.unwrap().unwrap()
}

/// A certificate of a device that ends in so many days.
pub(super) fn record(
    world: &World,
    issuer: &AuthorityRecord,
    device: Uuid,
    name: &str,
    days: i64,
) -> CertificateRecord {
    let now = world.platform().now().as_second();
    CertificateRecord {
        serial: format!("4{}", &SystemRandom.uuid_v4().simple().to_string()[1..]),
        issuer: issuer.id,
        chain: vec![issuer.id, issuer.issuer.unwrap()],
        device,
        subject: name.to_owned(),
        credential_id: Uuid::from_u128(1),
        state: CertificateState::Issued,
        created: world.platform().now(),
        not_before: Timestamp::from_second(now - 300).unwrap(),
        not_after: Timestamp::from_second(now + days * DAY).unwrap(),
        sha256: "AB".repeat(32),
        revoked: None,
    }
}

pub(super) async fn write(world: &World, records: &[CertificateRecord]) {
    for records in records.chunks(400) {
        let mut change = Change::new();
        for record in records {
            change.unit.put(certificate_row(record).unwrap());
        }
        world.platform().commit(change).await.unwrap();
    }
}

pub(super) async fn revoke(world: &World, serials: &[String]) {
    let mut change = Change::new();
    for serial in serials {
        let row = world.platform().store.get(&CERTIFICATES, serial).await.unwrap().unwrap();
        let record = row.parse::<CertificateRecord>().unwrap();
        certificate::revoke_certificate(&record, row.version, world.platform().now(), &mut change.unit).unwrap();
    }
    world.platform().commit(change).await.unwrap();
}

/// Serial numbers of every page of a list, in the order in which they were shown.
async fn listed(world: &World, plant: &Plant, query: &str) -> Vec<String> {
    let mut path = format!("{}/certificates?{query}", plant.namespace);
    let mut found = Vec::new();
    loop {
        let page = world.get(&path, ADR).await;
        let names = page["value"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap().to_owned());
        found.extend(names);
        let Some(next) = page["nextLink"].as_str() else { return found };
        let next = percent_encoding::percent_decode_str(next).decode_utf8().unwrap().into_owned();
        path = next[next.find("/subscriptions/").unwrap()..]
            .replace(&format!("api-version={ADR}&"), "")
            .replace(&format!("&api-version={ADR}"), "");
    }
}

/// Six certificates of two authorities, the first policy's and that of `extra`, for a device Pump:7 and another one.
async fn six(world: &World, plant: &Plant) -> [CertificateRecord; 6] {
    world.put(&format!("{}/credentials/default/policies/extra", plant.namespace), ADR, json!({"properties": {}})).await;
    let (first, second) = (issuing(world, plant, "default").await, issuing(world, plant, "extra").await);
    let identity = world.get(&plant.identity, "2025-05-31-preview").await;
    let principal = identity["properties"]["principalId"].as_str().unwrap().to_owned();
    world.assign(&principal, ferrohub_service::authz::builtin::CONTRIBUTOR, &plant.namespace).await;
    let hub = world.service().hub.by_host("hub1.azure-devices.localhost").await.unwrap();
    let caller = world.hub_owner(&plant.hub, &hub.host).await;
    world.service().hub.put_device(&caller, &hub, "Pump:7", &json!({}), None).await.unwrap();
    let identity = ferrohub_service::hub::identity::load(world.platform().store.as_ref(), hub.uid, "Pump:7");
    let device = identity.await.unwrap().unwrap().device.uid;
    let other = Uuid::from_u128(77);
    [
        record(world, &first, device, "Pump:7", 10),
        record(world, &first, device, "Pump:7", -1),
        record(world, &second, device, "Pump:7", 20),
        record(world, &second, other, "d2", 5),
        record(world, &first, other, "d2", 400),
        record(world, &first, other, "d2", 0),
    ]
}

#[tokio::test]
async fn certificates_are_found_by_device_serial_issuer_state_and_end() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let all = six(&world, &plant).await;
    let (first, second) = (issuing(&world, &plant, "default").await, issuing(&world, &plant, "extra").await);
    write(&world, &all).await;
    revoke(&world, &[all[4].serial.clone()]).await;
    let of = |numbers: &[usize]| numbers.iter().map(|at| all[*at].serial.clone()).collect::<BTreeSet<_>>();
    let day = |days: i64| Timestamp::from_second(world.platform().now().as_second() + days * DAY).unwrap().to_string();
    let questions = [
        (String::new(), vec![0, 1, 2, 3, 4, 5]),
        ("deviceId=Pump%3A7".replace("%3A", ":"), vec![0, 1, 2]),
        ("deviceId=pump:7".into(), vec![]),
        (format!("serialNumber={}", all[3].serial.to_uppercase()), vec![3]),
        ("serialNumber=00".into(), vec![]),
        ("issuer=EXTRA".into(), vec![2, 3]),
        (format!("issuer={}", first.thumbprint.to_lowercase()), vec![0, 1, 4, 5]),
        (format!("issuer={}", second.subject), vec![2, 3]),
        (format!("issuer={}/credentials/default/policies/extra", plant.namespace), vec![2, 3]),
        ("state=active".into(), vec![0, 2, 3]),
        ("state=Expired".into(), vec![1, 5]),
        ("state=Revoked".into(), vec![4]),
        (format!("expiresBefore={}", day(6)), vec![1, 3, 5]),
        (format!("expiresBefore={}&state=Active", day(11)), vec![0, 3]),
        (format!("expiresBefore={}&state=Active&issuer=default&deviceId=Pump:7", day(11)), vec![0]),
        ("state=Revoked&issuer=extra".into(), vec![]),
    ];
    for (query, wanted) in questions {
        for top in ["", "&$top=1", "&$top=2"] {
            let found = listed(&world, &plant, &format!("{query}{top}")).await;
            let set: BTreeSet<String> = found.iter().cloned().collect();
            assert_eq!((set, found.len()), (of(&wanted), wanted.len()), "{query}{top}");
        }
    }
    // Of one authority they come in the order in which they end.
    let ordered = listed(&world, &plant, "issuer=default").await;
    assert_eq!(ordered, [1, 5, 0, 4].map(|at| all[at].serial.clone()));

    let one = world.get(&format!("{}/certificates/{}", plant.namespace, all[4].serial), ADR).await;
    let shown = &one["properties"];
    assert_eq!((&shown["state"], &shown["deviceId"]), (&json!("Revoked"), &json!("d2")));
    let authority = format!("{}/certificateAuthorities/default", plant.namespace);
    assert_eq!(shown["issuer"]["certificateAuthorityResourceId"], authority);
    assert!(shown["revoked"].is_string() && shown["validityNotAfter"].is_string());
    let one = world.get(&format!("{}/certificates/{}", plant.namespace, all[0].serial), ADR).await;
    assert_eq!(one["type"], "Microsoft.DeviceRegistry/namespaces/certificates");
    assert_eq!(one["id"], format!("{}/certificates/{}", plant.namespace, all[0].serial));
    assert!(one["properties"]["deviceResourceId"].as_str().is_none_or(|id| id.contains("/devices/")));
}

#[tokio::test]
async fn what_a_revoked_authority_issued_is_no_good_any_more() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let all = six(&world, &plant).await;
    write(&world, &all).await;
    revoke(&world, &[all[4].serial.clone()]).await;
    let of = |numbers: &[usize]| numbers.iter().map(|at| all[*at].serial.clone()).collect::<BTreeSet<_>>();
    let extra = format!("{}/credentials/default/policies/extra", plant.namespace);
    world.send(&world.owner, "POST", &format!("{extra}/revokeIssuer"), ADR, None).await.unwrap();
    for (query, wanted) in [
        ("state=IssuerRevoked", vec![2, 3]),
        ("state=Active", vec![0]),
        ("state=Expired", vec![1, 5]),
        ("state=Revoked", vec![4]),
        ("state=issuerrevoked&issuer=default", vec![]),
        ("state=IssuerRevoked&deviceId=Pump:7", vec![2]),
    ] {
        for top in ["", "&$top=1"] {
            let found = listed(&world, &plant, &format!("{query}{top}")).await;
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), of(&wanted), "{query}{top}");
        }
    }
    let one = world.get(&format!("{}/certificates/{}", plant.namespace, all[3].serial), ADR).await;
    assert_eq!(one["properties"]["state"], "IssuerRevoked");
    assert!(one["properties"]["issuer"]["revoked"].is_string() && one["properties"].get("revoked").is_none());
}

#[tokio::test]
async fn wrong_questions_are_refused_and_others_see_nothing() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let path = format!("{}/certificates", plant.namespace);
    for (query, target) in [
        ("state=Fine", "state"),
        ("expiresBefore=tomorrow", "expiresBefore"),
        ("serialNumber=xyz", "serialNumber"),
        ("issuer=nobody", "issuer"),
        ("device=d1", "device"),
        ("$top=0", "$top"),
        ("$filter=a", "$filter"),
    ] {
        let error = world.refused(&world.owner, "GET", &format!("{path}?{query}"), ADR, None).await;
        assert_eq!((error.http_status(), error.target.as_deref()), (400, Some(target)), "{query}: {error}");
    }
    for token in ["x", "AAAA", "_w"] {
        let answer = world.send(&world.owner, "GET", &format!("{path}?$skipToken={token}"), ADR, None).await;
        assert!(answer.is_ok_and(|answer| answer.status == 200) || token != "AAAA", "{token}");
    }
    let missing = world.refused(&world.owner, "GET", &format!("{path}/00"), ADR, None).await;
    assert_eq!(missing.http_status(), 404);
    let stranger = world.stranger().await;
    for path in [path.clone(), format!("{path}/00")] {
        let refused = world.refused(&stranger, "GET", &path, ADR, None).await;
        assert!(refused.message.contains("Microsoft.DeviceRegistry/namespaces/certificates/read"), "{refused}");
    }
    // A certificate of another namespace is not shown here.
    let other = format!("{}/providers/Microsoft.DeviceRegistry/namespaces/elsewhere", plant.group);
    world.put(&other, ADR, json!({"location": "westeurope"})).await;
    let issuer = issuing(&world, &plant, "default").await;
    let foreign = record(&world, &issuer, Uuid::from_u128(1), "d", 5);
    write(&world, std::slice::from_ref(&foreign)).await;
    let path = format!("{other}/certificates/{}", foreign.serial);
    assert_eq!(world.refused(&world.owner, "GET", &path, ADR, None).await.http_status(), 404);
    let query = format!("{other}/certificates?serialNumber={}", foreign.serial);
    assert_eq!(world.get(&query, ADR).await["value"], json!([]));
}

async fn serials(world: &World, issuer: &AuthorityRecord) -> (BTreeSet<String>, Vec<u8>) {
    let der = world.service().crl(issuer.id).await.unwrap();
    let mut openssl = Command::new("openssl")
        .args(["crl", "-inform", "DER", "-noout", "-text"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the openssl command is the oracle of this test");
    openssl.stdin.take().unwrap().write_all(&der).unwrap();
    let output = openssl.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let found = text.lines().filter_map(|line| line.trim().strip_prefix("Serial Number: "));
    (found.map(str::to_lowercase).collect(), der)
}

#[tokio::test]
async fn a_list_holds_its_authoritys_revoked_certificates_and_is_signed_when_one_more_is() {
    let world = World::new().await;
    let plant = plant(&world).await;
    world.put(&format!("{}/credentials/default/policies/extra", plant.namespace), ADR, json!({"properties": {}})).await;
    let (first, second) = (issuing(&world, &plant, "default").await, issuing(&world, &plant, "extra").await);
    let mut all: Vec<CertificateRecord> =
        (0..7).map(|number| record(&world, &first, Uuid::from_u128(number), "d", 10)).collect();
    all.push(record(&world, &second, Uuid::from_u128(9), "d", 10));
    all.push(record(&world, &first, Uuid::from_u128(9), "d", -1));
    write(&world, &all).await;
    let (none, empty) = serials(&world, &first).await;
    assert!(none.is_empty());
    revoke(&world, &all[..3].iter().chain(&all[7..]).map(|record| record.serial.clone()).collect::<Vec<_>>()).await;
    let (some, list) = serials(&world, &first).await;
    // Neither another authority's nor one that has ended.
    assert_eq!(some, all[..3].iter().map(|record| record.serial.clone()).collect());
    assert_ne!(list, empty);
    // Another authority's revocation, and none, leave it as it was signed.
    assert_eq!(serials(&world, &first).await.1, list);
    assert_eq!(serials(&world, &second).await.0, BTreeSet::from([all[7].serial.clone()]));
    // One goes and one comes: their number is the same.
    world.clock.advance(Duration::from_secs(60));
    revoke(&world, &[all[3].serial.clone()]).await;
    assert_eq!(serials(&world, &first).await.0, all[..4].iter().map(|record| record.serial.clone()).collect());
    // Twice is once.
    let newest = serials(&world, &first).await.1;
    let row = world.platform().store.get(&CERTIFICATES, &all[3].serial).await.unwrap().unwrap();
    let mut change = Change::new();
    let again = row.parse::<CertificateRecord>().unwrap();
    certificate::revoke_certificate(&again, row.version, world.platform().now(), &mut change.unit).unwrap();
    assert!(change.unit.is_empty());
    assert_eq!(serials(&world, &first).await.1, newest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_places_old_rows_and_takes_what_ended_long_ago() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let issuer = issuing(&world, &plant, "default").await;
    let mut change = Change::new();
    let unplaced: Vec<CertificateRecord> =
        (0..250).map(|number| record(&world, &issuer, Uuid::from_u128(number), "old", 5)).collect();
    for record in &unplaced {
        let columns = vec![Some(uid_key(record.device)), None];
        change.unit.put(Put::new(&CERTIFICATES, record.serial.clone(), columns, record).unwrap());
    }
    world.platform().commit(change).await.unwrap();
    let kept = record(&world, &issuer, Uuid::from_u128(1), "kept", 300);
    write(&world, std::slice::from_ref(&kept)).await;
    revoke(&world, &[unplaced[0].serial.clone()]).await;
    let mut change = Change::new();
    change.unit.delete(&META, "certificates-placed");
    world.platform().commit(change).await.unwrap();
    assert_eq!(listed(&world, &plant, "").await.len(), 2, "the revoked one was written anew");
    let step = Duration::from_millis(500);
    work_until(&world, "places", step, async || listed(&world, &plant, "").await.len() == 251).await;

    // Five days on they have ended and are shown so, until thirty more have gone by.
    world.clock.advance(Duration::from_secs(6 * 86_400));
    let expired = listed(&world, &plant, "state=Expired").await;
    assert_eq!(expired.len(), 249);
    let step = Duration::from_secs(6 * 3600);
    let rows = async || world.platform().store.scan(&CERTIFICATES, "", Page::first(1000)).await.unwrap().len();
    work_until(&world, "the sweep", step, async || rows().await == 1).await;
    assert_eq!(listed(&world, &plant, "").await, [kept.serial]);
    assert!(world.platform().store.scan(&REVOCATIONS, "", Page::first(10)).await.unwrap().is_empty());
    let authorities = world.platform().store.scan(&AUTHORITIES, "", Page::first(10)).await.unwrap().len();
    assert_eq!(authorities, 2);
}

/// The warnings of the activity log: resource, code, message.
async fn warnings(world: &World) -> Vec<(String, String, String)> {
    let rows = world.platform().store.scan(&ACTIVITY, "", Page::first(5000)).await.unwrap();
    let docs = rows.iter().map(|row| row.value().unwrap()).filter(|doc| doc["level"] == "Warning");
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    docs.map(|doc| (text(&doc["resourceId"]), text(&doc["error"]["code"]), text(&doc["error"]["message"]))).collect()
}

/// Starts with an authority whose end is so many days away.
pub(super) async fn shorten(world: &World, issuer: &AuthorityRecord, days: i64) {
    let id = issuer.id.to_string();
    let row = world.platform().store.get(&AUTHORITIES, &id).await.unwrap().unwrap();
    let mut record = row.parse::<AuthorityRecord>().unwrap().as_ref().clone();
    record.not_after = Timestamp::from_second(world.platform().now().as_second() + days * DAY).unwrap();
    let mut change = Change::new();
    change.unit.put(Put::new(&AUTHORITIES, id, row.columns.clone(), &record).unwrap());
    world.platform().commit(change).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_soon_is_said_once() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let issuer = issuing(&world, &plant, "default").await;
    let named = format!("{}/certificateAuthorities/default", plant.namespace);
    let all =
        [record(&world, &issuer, Uuid::from_u128(1), "d", 3), record(&world, &issuer, Uuid::from_u128(2), "d", 20)];
    write(&world, &all).await;
    shorten(&world, &issuer, 29).await;
    let step = Duration::from_millis(500);
    work_until(&world, "the first warnings", step, async || warnings(&world).await.len() == 2).await;
    let said = warnings(&world).await;
    let find = |resource: &str| said.iter().find(|warning| warning.0 == resource).unwrap();
    assert_eq!(find(&named).1, "CertificateAuthorityExpiring");
    let counts = find(&plant.namespace);
    assert_eq!(counts.1, "CertificatesExpiring");
    assert!(counts.2.contains("1 end within 7 days and 2 within 30; 0 have ended"), "{}", counts.2);

    // Another sweep of the same day says nothing more; a week before the end it is said again.
    let step = Duration::from_secs(120);
    let started = world.platform().now();
    let hours = async |hours: i64| world.platform().now().as_second() - started.as_second() > hours * 3600;
    work_until(&world, "some sweeps", step, async || hours(2).await).await;
    assert_eq!(warnings(&world).await.len(), 2);
    shorten(&world, &issuer, 6).await;
    work_until(&world, "the second warning", step, async || warnings(&world).await.len() == 3).await;
    work_until(&world, "some more sweeps", step, async || hours(6).await).await;
    assert_eq!(warnings(&world).await.len(), 3);
    assert_eq!(warnings(&world).await.iter().filter(|warning| warning.0 == named).count(), 2);
}
