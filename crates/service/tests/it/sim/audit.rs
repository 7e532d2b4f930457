//! What must hold whenever nothing is under way: the only file of the simulation that reads tables.

use super::ledger::Renewing;
use super::life::Life;
use super::twins::{REVISION, state_of, versions_of};
use super::workload::Plant;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::clock::Clock;
use ferrohub_model::limits::PRESENCE_LEASE;
use ferrohub_model::renewal::{RenewalState, Renewals};
use ferrohub_model::uid::uid_key;
use ferrohub_pki::certificate::Certificate;
use ferrohub_service::hub::identity;
use ferrohub_service::tables::{
    AUTHORITIES, CERTIFICATES, DEVICE_SESSIONS, DEVICES, ENROLLMENT_GROUPS, INDIVIDUAL_ENROLLMENTS, OPERATIONS,
    PROCESSES, REGISTRATIONS, RENEWALS, RESOURCES, REVOCATIONS, TWINS,
};
use ferrohub_store::{Page, Row, Store, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Panics with the seed when something does not hold.
pub(super) async fn audit(seed: u64, life: &Life, plant: &Plant) {
    plant.ledger.lock().unwrap().it_is(life.platform.now());
    no_orphans(seed, life, plant).await;
    let running = life.store.find(&OPERATIONS, "state", "running", Page::first(10)).await.unwrap();
    assert!(running.is_empty(), "seed {seed}: operations go on: {running:?}");
    promises(seed, life, plant).await;
    nobody_connected(seed, life, plant).await;
}

/// The process of before crashed and the one of now has stopped: what the one left unsaid its lease says. Where its clock was ahead by less
/// than a lease, that is as much longer: clocks of two machines differ.
async fn nobody_connected(seed: u64, life: &Life, plant: &Plant) {
    let leases: Vec<String> = rows(life, &PROCESSES).await.iter().map(|row| row.text().to_owned()).collect();
    let begun = life.platform.now();
    life.clock().sleep(PRESENCE_LEASE * 2 + Duration::from_secs(1)).await;
    let (hub, caller) = plant.caller(life).await.unwrap();
    for device in plant.devices() {
        if let Ok(shown) = life.hub.get_device(&caller, &hub, &device).await {
            assert_eq!(shown["connectionState"], "Disconnected", "seed {seed}: {device} at {begun}, {leases:?}");
        }
    }
}

async fn rows(life: &Life, table: &'static Table) -> Vec<Arc<Row>> {
    life.store.scan(table, "", Page::first(1000)).await.unwrap()
}

/// The part of a text before its first slash.
fn head(text: &str) -> &str {
    text.split('/').next().unwrap_or_default()
}

fn column(row: &Row, index: usize) -> Option<&str> {
    row.columns.get(index).and_then(Option::as_deref)
}

async fn no_orphans(seed: u64, life: &Life, plant: &Plant) {
    let resources = rows(life, &RESOURCES).await;
    // Parent and type of each resource by its uid; a row's place is `{parent}/{tag}/{name}`.
    let known: BTreeMap<&str, (&str, &str)> = resources
        .iter()
        .map(|row| {
            let mut place = column(row, 0).unwrap().split('/');
            (row.key.as_str(), (place.next().unwrap(), place.next().unwrap()))
        })
        .collect();
    let tenancy: BTreeSet<&str> = known
        .values()
        .filter(|(_, tag)| *tag == known_group(seed, &known, plant, &resources))
        .map(|(parent, _)| *parent)
        .collect();
    assert_eq!(tenancy.len(), 1, "seed {seed}: groups lie in one subscription");
    let devices = rows(life, &DEVICES).await;
    let is_device: BTreeSet<&str> = devices.iter().map(|row| row.key.as_str()).collect();
    let twins = rows(life, &TWINS).await;
    let has_twin: BTreeSet<&str> = twins.iter().map(|row| row.key.as_str()).collect();
    assert_eq!(is_device, has_twin, "seed {seed}: a device has a twin and a twin has a device");
    for session in rows(life, &DEVICE_SESSIONS).await {
        assert!(is_device.contains(session.key.as_str()), "seed {seed}: a session without its device: {session:?}");
    }
    for renewal in rows(life, &RENEWALS).await {
        assert!(is_device.contains(renewal.key.as_str()), "seed {seed}: a renewal without its device: {renewal:?}");
    }
    for device in &devices {
        let hub = head(column(device, 0).unwrap());
        assert!(known.contains_key(hub), "seed {seed}: a device without its hub: {device:?}");
        // Every hub of the workload is linked, so every device is mirrored.
        let shown = resources.iter().find(|row| row.key == device.key);
        let shown = shown.unwrap_or_else(|| panic!("seed {seed}: the registry does not know {device:?}"));
        let (device, shown) = (device.value().unwrap(), shown.value().unwrap());
        let enabled = device["status"] != "disabled";
        assert_eq!(shown["properties"]["enabled"], enabled, "seed {seed}: hub and registry differ: {device} {shown}");
    }
    let mirrored = resources.iter().filter(|row| is_device.contains(row.key.as_str())).count();
    let device_tag =
        resources.iter().find(|row| is_device.contains(row.key.as_str())).map(|row| known[row.key.as_str()].1);
    let shown = known.values().filter(|(_, tag)| Some(*tag) == device_tag).count();
    assert_eq!(shown, mirrored, "seed {seed}: the registry shows a device that no hub has");
    // Roles and locks among them: none is left whose device is gone.
    for (uid, (parent, tag)) in &known {
        let above =
            known.contains_key(parent) || tenancy.contains(parent) || parent.trim_matches(['0', '-']).is_empty();
        assert!(
            above || *parent == *uid || is_scope(life, parent),
            "seed {seed}: {tag} {uid} lies in nothing ({parent})"
        );
    }
    for authority in rows(life, &AUTHORITIES).await {
        // One that waits is its owner's next.
        let owner = column(&authority, 0).map(head);
        assert!(owner.is_none_or(|owner| known.contains_key(owner)), "seed {seed}: an authority without owner");
    }
    let certificates = rows(life, &CERTIFICATES).await;
    for certificate in &certificates {
        assert!(column(certificate, 1).is_some(), "seed {seed}: a certificate without its place: {certificate:?}");
    }
    for entry in rows(life, &REVOCATIONS).await {
        let known = certificates.iter().any(|row| entry.key.ends_with(&format!("/{}", row.key)));
        assert!(known, "seed {seed}: an entry of a revocation list without its certificate: {entry:?}");
    }
    for table in [&ENROLLMENT_GROUPS, &INDIVIDUAL_ENROLLMENTS, &REGISTRATIONS] {
        for row in rows(life, table).await {
            assert!(known.contains_key(head(&row.key)), "seed {seed}: {} without its service: {row:?}", table.name);
        }
    }
}

/// The tag of resource groups: that of the plant's own.
fn known_group<'a>(
    seed: u64,
    known: &BTreeMap<&'a str, (&'a str, &'a str)>,
    plant: &Plant,
    resources: &'a [Arc<Row>],
) -> &'a str {
    let name = format!("/{}", plant.hub.resource_group.as_deref().unwrap().to_lowercase());
    let group = resources.iter().find(|row| {
        let place = column(row, 0).unwrap();
        place.ends_with(&name) && place.matches('/').count() == 2
    });
    let group = group.unwrap_or_else(|| panic!("seed {seed}: the plant's group is gone"));
    known[group.key.as_str()].1
}

/// Whether this is the uid of the subscription, which has no row.
fn is_scope(life: &Life, uid: &str) -> bool {
    let subscription = &life.platform.tenancy.subscription_id;
    uid.replace('-', "") == subscription.replace('-', "")
}

/// What was accepted has ended, and its outcome waits for the device; a certificate among them is known, and no other's.
async fn renewals(seed: u64, life: &Life, plant: &Plant) {
    let (hub, _) = plant.caller(life).await.unwrap();
    let accepted = plant.ledger.lock().unwrap().kept_renewals(life.platform.now());
    for (device, Renewing { operation, expires, .. }) in accepted {
        let found = identity::load(life.platform.store.as_ref(), hub.uid, &device).await.unwrap();
        let uid = found.unwrap_or_else(|| panic!("seed {seed}: {device} renewed and is lost")).device.uid;
        let row = life.store.get(&RENEWALS, &uid_key(uid)).await.unwrap();
        let row = row.unwrap_or_else(|| panic!("seed {seed}: the renewals of {device} are lost"));
        let all = row.parse::<Renewals>().unwrap();
        let ended = all.operations.iter().find(|one| one.correlation_id == operation);
        let ended =
            ended.unwrap_or_else(|| panic!("seed {seed}: a renewal of {device} was accepted and is lost: {all:?}"));
        assert!(ended.waits(life.platform.now()) && ended.expires == expires, "seed {seed}: {ended:?}");
        plant.ledger.lock().unwrap().ended(&device);
    }
    for row in rows(life, &RENEWALS).await {
        for ended in &row.parse::<Renewals>().unwrap().operations {
            let RenewalState::Issued { leaf, .. } = &ended.state else { continue };
            let leaf = Certificate::from_der(&STANDARD.decode(leaf).unwrap()).unwrap();
            let serial = leaf.serial_hex().to_lowercase();
            let known = life.store.get(&CERTIFICATES, &serial).await.unwrap();
            assert!(known.is_some(), "seed {seed}: the renewed certificate {serial} is not known");
            plant.ledger.lock().unwrap().given(serial, format!("the renewal {}", ended.correlation_id));
        }
    }
}

async fn promises(seed: u64, life: &Life, plant: &Plant) {
    let (hub, caller) = plant.caller(life).await.unwrap();
    let (devices, registrations, trees, made, published) = {
        let ledger = plant.ledger.lock().unwrap();
        let of = |prefix: &str| ledger.below(prefix);
        (of("device/"), of("registration/"), of("tree/"), of("made/"), ledger.published.clone())
    };
    for (key, present, absent, versions) in devices {
        let id = key.strip_prefix("device/").unwrap();
        let turn = plant.ledger.lock().unwrap().life(&key).map(|(turn, _)| turn);
        let twin = life.hub.get_twin(&caller, &hub, id).await;
        assert!(twin.is_ok() || !present, "seed {seed}: {key} was acknowledged and is lost");
        assert!(twin.is_err() || !absent, "seed {seed}: {key} was deleted and is back");
        if present && let Ok(twin) = twin {
            let now = versions_of(&twin);
            for (part, was) in versions {
                assert!(now[part] >= was, "seed {seed}: {part} of {id} fell from {was} to {}: {twin}", now[part]);
            }
            plant.ledger.lock().unwrap().stood_for(&key, now[REVISION], &state_of(&twin), turn);
        }
    }
    for (key, present, ..) in registrations {
        let id = key.strip_prefix("registration/").unwrap();
        let found = life.hub.get_device(&caller, &hub, id).await;
        assert!(found.is_ok() || !present, "seed {seed}: {key} was assigned and the hub does not know it");
    }
    for (key, present, absent, _) in trees {
        let shown = plant.shows(life, &key).await;
        assert!(shown || !present, "seed {seed}: {key} was acknowledged and is lost");
        assert!(!shown || !absent, "seed {seed}: {key} was deleted and is back");
    }
    for (key, present, absent, _) in made {
        let shown = plant.shows_made(life, &key).await;
        assert!(shown || !present, "seed {seed}: {key} on a device was acknowledged and is lost");
        assert!(!shown || !absent, "seed {seed}: {key} on a device was deleted and is back");
    }
    renewals(seed, life, plant).await;
    let events = plant.events(life).await;
    let lost: Vec<_> = published.difference(&events).collect();
    assert!(lost.is_empty(), "seed {seed}: events were acknowledged and are lost: {lost:?}");
    let certificates = rows(life, &CERTIFICATES).await;
    for serial in plant.ledger.lock().unwrap().serials.keys() {
        let known = certificates.iter().any(|row| row.key.eq_ignore_ascii_case(serial));
        assert!(known, "seed {seed}: certificate {serial} was handed out and is not known");
    }
}
