//! The devices that a hub had before a namespace linked it: they come with the link, and what it brought goes with it.

use super::fixture::World;
use super::namespace_links::{NEWEST, Site, hub_of};
use super::resource_graph::rows;
use super::workers::work_until;
use ferrohub_model::uid::uid_key;
use ferrohub_service::arm::operation::{State, StoredOperation};
use ferrohub_service::arm::operations::{OperationOutcome, drive};
use ferrohub_service::authz::{Actor, builtin};
use ferrohub_service::hub::{HubRef, identity};
use ferrohub_service::platform::Change;
use ferrohub_service::tables::{DEVICES as IDENTITIES, OPERATIONS, RESOURCES};
use ferrohub_store::{Page, Put, RowChange, UnitOfWork};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use uuid::Uuid;

const HOST: &str = "hub1.azure-devices.localhost";
/// More than two batches.
const DEVICES: usize = 230;

/// The hub and somebody who may write its devices.
pub(super) async fn hub(site: &Site) -> (HubRef, Actor) {
    let hub = site.world.service().hub.by_host(HOST).await.unwrap();
    let caller = site.world.hub_owner(&site.hub, HOST).await;
    (hub, caller)
}

pub(super) async fn device(site: &Site, id: &str, body: Value) {
    let (hub, caller) = hub(site).await;
    site.world.service().hub.put_device(&caller, &hub, id, &body, None).await.unwrap();
}

/// Names of the namespace's devices.
pub(super) async fn devices(world: &World, namespace: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut path = format!("{namespace}/registryDevices");
    loop {
        let page = world.get(&path, NEWEST).await;
        all.extend(page["value"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["nextLink"].as_str() else { return all };
        let token = next.split("$skipToken=").nth(1).unwrap();
        path = format!("{namespace}/registryDevices?$skipToken={token}");
    }
}

pub(super) async fn settled(world: &World) {
    let store = &world.platform().store;
    let done = async || store.find(&OPERATIONS, "state", "running", Page::first(1)).await.unwrap().is_empty();
    work_until(world, "the devices of a hub", Duration::from_secs(2), done).await;
}

pub(super) async fn operations(world: &World, kind: &str) -> Vec<StoredOperation> {
    let rows = world.platform().store.scan(&OPERATIONS, "", Page::first(1000)).await.unwrap();
    let all = rows.iter().map(|row| row.parse::<StoredOperation>().unwrap().as_ref().clone());
    all.filter(|record| record.kind == kind).collect()
}

pub(super) fn without_hub() -> Value {
    json!({"properties": {"messaging": {"endpoints": {"hub-one": null}}}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_from_before_the_link_come_with_it_and_go_with_it() {
    let site = Site::new().await;
    for nth in 0..DEVICES {
        device(&site, &format!("device-{nth:03}"), json!({})).await;
    }
    device(&site, "Twin-1", json!({})).await;
    device(&site, "twin-1", json!({"status": "disabled"})).await;
    device(&site, "no:name", json!({})).await;
    site.grant().await;
    let linked = site.put(site.body()).await;
    assert_eq!(hub_of(&linked)["linkingState"], "InProgress");
    assert!(linked.to_string().find("bringing").is_none(), "{linked}");
    settled(&site.world).await;
    let shown = site.world.get(&site.namespace, NEWEST).await;
    assert_eq!(hub_of(&shown)["linkingState"], "Succeeded");
    let names = devices(&site.world, &site.namespace).await;
    assert_eq!(names.len(), DEVICES + 3);
    assert!(names.iter().any(|name| name.starts_with("no-name-")), "{names:?}");
    let mut disabled = 0;
    for name in names.iter().filter(|name| name.to_lowercase().starts_with("twin-1")) {
        let one = site.world.get(&format!("{}/registryDevices/{name}", site.namespace), NEWEST).await;
        disabled += usize::from(one["properties"]["enablementState"] == "Disabled");
    }
    assert_eq!(disabled, 1);
    let brought = operations(&site.world, "bringDevices").await;
    assert_eq!((brought.len(), brought[0].progress), (1, Some((DEVICES + 3, DEVICES + 3))));

    // What is read is put back, and nothing is brought twice.
    site.put(shown).await;
    assert_eq!(operations(&site.world, "bringDevices").await.len(), 1);
    // Somebody wrote on one: that would be lost.
    let first = format!("{}/registryDevices/device-000", site.namespace);
    let tag = |value: Value| json!({ "tags": value });
    let owner = &site.world.owner;
    site.world.send(owner, "PATCH", &first, NEWEST, Some(tag(json!({"hall": "7"})))).await.unwrap();
    let refused = site.world.refused(owner, "PATCH", &site.namespace, NEWEST, Some(without_hub())).await;
    assert_eq!((refused.http_status(), refused.code), (409, "EndpointInUse"));
    assert!(refused.message.contains("'device-000'"), "{refused}");
    let (hub, caller) = hub(&site).await;
    site.world.service().hub.delete_device(&caller, &hub, "device-000", None).await.unwrap();
    assert_eq!(devices(&site.world, &site.namespace).await.len(), DEVICES + 2);

    site.world.send(owner, "PATCH", &site.namespace, NEWEST, Some(without_hub())).await.unwrap();
    // One that goes meanwhile leaves nothing behind, and it is as if it had never been linked.
    let hub = site.world.service().hub.by_host(HOST).await.unwrap();
    let known = identity::load(site.world.platform().store.as_ref(), hub.uid, "device-001").await.unwrap().unwrap();
    site.world.service().hub.delete_device(&caller, &hub, "device-001", None).await.unwrap();
    let row = site.world.platform().store.get(&RESOURCES, &uid_key(known.device.uid)).await.unwrap();
    assert!(row.is_none());
    settled(&site.world).await;
    assert_eq!(devices(&site.world, &site.namespace).await, Vec::<String>::new());
    assert_eq!(operations(&site.world, "releaseDevices").await.len(), 1);
    device(&site, "device-000", json!({})).await;
    assert_eq!(devices(&site.world, &site.namespace).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_brought_is_noted_at_the_endpoint_and_tried_again() {
    let site = Site::new().await;
    device(&site, "device-1", json!({})).await;
    site.grant().await;
    site.put(site.body()).await;
    // The role goes before the worker comes to it.
    let principal = site.principal(&site.hub, super::fixture::HUB).await;
    let roles = format!("{}/providers/Microsoft.Authorization/roleAssignments", site.namespace);
    let all = site.world.get(&roles, "2022-04-01").await;
    let role = all["value"].as_array().unwrap().iter().find(|role| role["properties"]["principalId"] == principal);
    let role = role.unwrap()["id"].as_str().unwrap();
    site.world.send(&site.world.owner, "DELETE", role, "2022-04-01", None).await.unwrap();
    settled(&site.world).await;
    let failed = site.world.get(&site.namespace, NEWEST).await;
    assert_eq!(
        (&hub_of(&failed)["linkingState"], &hub_of(&failed)["linkingError"]["code"]),
        (&json!("Failed"), &json!("AuthorizationFailed"))
    );
    assert_eq!(devices(&site.world, &site.namespace).await, Vec::<String>::new());
    site.world.assign(&principal, super::namespace_links::REGISTRY_CONTRIBUTOR, &site.namespace).await;
    let again = site.put(failed).await;
    assert_eq!(hub_of(&again)["linkingState"], "InProgress");
    settled(&site.world).await;
    assert_eq!(devices(&site.world, &site.namespace).await, ["device-1"]);
    let shown = site.world.get(&site.namespace, NEWEST).await;
    assert_eq!(hub_of(&shown)["linkingState"], "Succeeded");
    assert!(hub_of(&shown).get("linkingError").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_says_of_an_endpoint_what_a_get_says_whenever_its_operation_ends() {
    let site = Site::new().await;
    device(&site, "device-1", json!({})).await;
    site.grant().await;
    // So many that each process answers some.
    let says = async |state: &str| {
        let shown = site.world.get(&site.namespace, NEWEST).await;
        assert_eq!(hub_of(&shown)["linkingState"], state);
        for _ in 0..8 {
            let query = "where type =~ 'microsoft.deviceregistry/namespaces' | project properties";
            assert_eq!(rows(&site.world, query).await, json!([[shown["properties"]]]), "{state}");
        }
    };
    site.put(site.body()).await;
    says("InProgress").await;
    let principal = site.principal(&site.hub, super::fixture::HUB).await;
    let roles = format!("{}/providers/Microsoft.Authorization/roleAssignments", site.namespace);
    let all = site.world.get(&roles, "2022-04-01").await;
    let role = all["value"].as_array().unwrap().iter().find(|role| role["properties"]["principalId"] == principal);
    site.world
        .send(&site.world.owner, "DELETE", role.unwrap()["id"].as_str().unwrap(), "2022-04-01", None)
        .await
        .unwrap();
    settled(&site.world).await;
    says("Failed").await;
    // One that was swept away failed long ago, and nobody knows of what.
    let failed = operations(&site.world, "bringDevices").await.remove(0).id;
    let mut change = Change::new();
    change.unit.delete(&OPERATIONS, failed);
    site.world.platform().commit(change).await.unwrap();
    says("Succeeded").await;
    site.world.send(&site.world.owner, "PATCH", &site.namespace, NEWEST, Some(without_hub())).await.unwrap();
    settled(&site.world).await;
    site.world.assign(&principal, super::namespace_links::REGISTRY_CONTRIBUTOR, &site.namespace).await;
    site.put(site.body()).await;
    says("InProgress").await;
    settled(&site.world).await;
    says("Succeeded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_namespace_gets_the_devices_once_the_first_has_let_them_go() {
    let site = Site::new().await;
    device(&site, "device-1", json!({})).await;
    site.grant().await;
    site.put(site.body()).await;
    settled(&site.world).await;
    let other = format!("{}/providers/Microsoft.DeviceRegistry/namespaces/other", site.group);
    let body = json!({"location": "westeurope", "identity": {"type": "SystemAssigned"}});
    site.world.put(&other, NEWEST, body).await;
    site.world.assign(&site.principal(&other, NEWEST).await, builtin::CONTRIBUTOR, &site.hub).await;
    let principal = site.principal(&site.hub, super::fixture::HUB).await;
    site.world.assign(&principal, super::namespace_links::REGISTRY_CONTRIBUTOR, &other).await;
    // Unlinked and linked elsewhere at once, with a write of the device in between.
    site.world.send(&site.world.owner, "PATCH", &site.namespace, NEWEST, Some(without_hub())).await.unwrap();
    let mut linked = site.body();
    linked["properties"].as_object_mut().unwrap().shift_remove("provisioning");
    site.world.put(&other, NEWEST, linked).await;
    let (hub, caller) = hub(&site).await;
    let early = site.world.service().hub.put_device(&caller, &hub, "device-1", &json!({}), Some("*")).await;
    assert_eq!(early.unwrap_err().http_status(), 503);
    settled(&site.world).await;
    assert_eq!(devices(&site.world, &site.namespace).await, Vec::<String>::new());
    assert_eq!(devices(&site.world, &other).await, ["device-1"]);
    site.world.service().hub.put_device(&caller, &hub, "device-1", &json!({}), Some("*")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_of_elsewhere_does_not_come_along() {
    let site = Site::new().await;
    device(&site, "device-1", json!({})).await;
    let (hub, _) = hub(&site).await;
    let store = site.world.platform().store.as_ref();
    let known = identity::load(store, hub.uid, "device-1").await.unwrap().unwrap();
    // It had a certificate when its hub was another namespace's.
    let mut device = known.device.as_ref().clone();
    device.policy = Some(Uuid::from_u128(7));
    let mut change = Change::new();
    identity::add_update(site.world.platform(), &known, &mut device, &mut change).unwrap();
    site.world.platform().commit(change).await.unwrap();
    site.grant().await;
    site.put(site.body()).await;
    settled(&site.world).await;
    let brought = site.world.get(&format!("{}/devices/device-1", site.namespace), "2026-03-01-preview").await;
    assert_eq!(brought["properties"].get("policy"), None, "{brought}");
    // It is no more than what the link brought, and goes with it.
    site.world.send(&site.world.owner, "PATCH", &site.namespace, NEWEST, Some(without_hub())).await.unwrap();
    settled(&site.world).await;
    assert_eq!(devices(&site.world, &site.namespace).await, Vec::<String>::new());
}

/// The operation as it is made to stand.
async fn rewrite(world: &World, id: &str, change: impl FnOnce(&mut StoredOperation)) {
    let row = world.platform().store.get(&OPERATIONS, id).await.unwrap().unwrap();
    let mut record = row.parse::<StoredOperation>().unwrap().as_ref().clone();
    change(&mut record);
    let mut unit = Change::new();
    unit.unit.put(Put::new(&OPERATIONS, id, row.columns.clone(), &record).unwrap());
    world.platform().commit(unit).await.unwrap();
}

/// Links the hub to another namespace, which may have it, and gives its id.
async fn link_elsewhere(site: &Site) -> String {
    let other = format!("{}/providers/Microsoft.DeviceRegistry/namespaces/other", site.group);
    let body = json!({"location": "westeurope", "identity": {"type": "SystemAssigned"}});
    site.world.put(&other, NEWEST, body).await;
    site.world.assign(&site.principal(&other, NEWEST).await, builtin::CONTRIBUTOR, &site.hub).await;
    let principal = site.principal(&site.hub, super::fixture::HUB).await;
    site.world.assign(&principal, super::namespace_links::REGISTRY_CONTRIBUTOR, &other).await;
    let mut linked = site.body();
    linked["properties"].as_object_mut().unwrap().shift_remove("provisioning");
    site.world.put(&other, NEWEST, linked).await;
    other
}

/// A site whose hub was linked and unlinked again, and the operation that lets its device go.
async fn unlinked() -> (Site, String) {
    let site = Site::new().await;
    device(&site, "device-1", json!({})).await;
    site.grant().await;
    site.put(site.body()).await;
    settled(&site.world).await;
    site.world.send(&site.world.owner, "PATCH", &site.namespace, NEWEST, Some(without_hub())).await.unwrap();
    let release = operations(&site.world, "releaseDevices").await.remove(0).id;
    (site, release)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_waits_for_another_as_long_as_that_lets_the_devices_go() {
    let (site, release) = unlinked().await;
    // Another process is at it, and it takes long.
    let long = site.world.platform().now().as_millisecond() + 3_600_000;
    rewrite(&site.world, &release, |record| record.lease = Some((Uuid::from_u128(1), long))).await;
    let other = link_elsewhere(&site).await;
    let running = async || {
        let all = operations(&site.world, "bringDevices").await;
        all.into_iter().find(|record| record.state == State::Running).expect("it was given up")
    };
    for _ in 0..12 {
        let bring = running().await;
        let outcome = drive(site.world.platform(), &bring.id).await.unwrap();
        assert!(matches!(outcome, OperationOutcome::Running));
        site.world.clock.advance(Duration::from_secs(20));
    }
    let shown = site.world.get(&other, NEWEST).await;
    assert_eq!(hub_of(&shown)["linkingState"], "InProgress");
    rewrite(&site.world, &release, |record| record.lease = None).await;
    settled(&site.world).await;
    assert_eq!(devices(&site.world, &other).await, ["device-1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_does_not_wait_for_what_nobody_lets_go() {
    let (site, release) = unlinked().await;
    // As an older program left it.
    let mut change = Change::new();
    change.unit.delete(&OPERATIONS, release);
    site.world.platform().commit(change).await.unwrap();
    let other = link_elsewhere(&site).await;
    settled(&site.world).await;
    let shown = site.world.get(&other, NEWEST).await;
    assert_eq!(hub_of(&shown)["linkingState"], "Failed");
    let message = hub_of(&shown)["linkingError"]["message"].as_str().unwrap();
    assert!(message.contains("'device-1'") && message.contains("delete it there"), "{message}");
    // What it says is what helps.
    let left = format!("{}/registryDevices/device-1", site.namespace);
    site.world.send(&site.world.owner, "DELETE", &left, NEWEST, None).await.unwrap();
    site.world.put(&other, NEWEST, shown).await;
    settled(&site.world).await;
    assert_eq!(devices(&site.world, &other).await, ["device-1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_that_gets_on_is_not_given_up_however_often_it_is_interrupted() {
    let site = Site::new().await;
    for nth in 0..DEVICES {
        device(&site, &format!("device-{nth:03}"), json!({})).await;
    }
    site.grant().await;
    site.put(site.body()).await;
    let bring = operations(&site.world, "bringDevices").await.remove(0).id;
    let batches = |unit: &UnitOfWork| {
        let identity = |change: &&RowChange| matches!(change, RowChange::Put(put) if put.table.name == IDENTITIES.name);
        unit.changes().iter().filter(identity).count() > 20
    };
    // Nine times in vain, then one batch gets through.
    rewrite(&site.world, &bring, |record| record.attempts = 9).await;
    let through = AtomicUsize::new(1);
    let spent = move |unit: &UnitOfWork| {
        batches(unit) && through.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err()
    };
    site.world.store.refuse(spent);
    assert!(matches!(drive(site.world.platform(), &bring).await.unwrap(), OperationOutcome::Running));
    assert_eq!(devices(&site.world, &site.namespace).await.len(), 100);
    // Without any progress it ends after as many more.
    for attempt in 1..10 {
        site.world.clock.advance(Duration::from_secs(20));
        let outcome = drive(site.world.platform(), &bring).await.unwrap();
        assert_eq!(matches!(outcome, OperationOutcome::Running), attempt < 9, "attempt {attempt}");
    }
}
