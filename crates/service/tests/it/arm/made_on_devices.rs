//! Roles and locks that people made on devices of a namespace: they go with a device or hold it, and never stay behind alone.

use super::between::writes;
use super::fixture::{ADR, World, plant};
use super::linked_devices::{devices, hub, operations, settled};
use super::namespace_links::{NEWEST, Site};
use super::resource_graph::rows;
use super::unlinking::{later, linked, links, unlink};
use super::workers::work_until;
use crate::installation::MASTER_KEY;
use ferrohub_model::random::Random;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::uid::{parse_uid_key, uid_key};
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::seal::MasterKey;
use ferrohub_service::arm::operation::State;
use ferrohub_service::arm::operations::drive;
use ferrohub_service::arm::types::Types;
use ferrohub_service::authz::builtin;
use ferrohub_service::hub::identity;
use ferrohub_service::platform::{Change, Settings};
use ferrohub_service::tables::{ACTIVITY, DEVICES, OPERATIONS, RESOURCES};
use ferrohub_service::{Service, StartConfig, resources};
use ferrohub_store::{Page, Put, Row, Table};
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const GROUPS: &str = "2024-11-01";
const HUB: &str = super::fixture::HUB;
const LOCKS: &str = "2016-09-01";
const ROLES: &str = "2022-04-01";
/// More than go in one unit.
const MANY: usize = 300;

async fn all(world: &World) -> Vec<Arc<Row>> {
    world.platform().store.scan(&RESOURCES, "", Page::first(1000)).await.unwrap()
}

/// Places of the rows that lie below no resource, subscription or tenant.
async fn left_behind(world: &World) -> Vec<String> {
    let rows = all(world).await;
    let subscription = uid_key(world.subscription.parse().unwrap());
    let known: HashSet<&str> = rows.iter().map(|row| row.key.as_str()).chain([subscription.as_str()]).collect();
    let tenant = uid_key(Uuid::nil());
    let place = |row: &Arc<Row>| row.columns[0].clone().unwrap();
    let lost = |place: &String| {
        let parent = place.split('/').next().unwrap();
        !known.contains(parent) && parent != tenant
    };
    rows.iter().map(place).filter(lost).collect()
}

/// Uid of a device, which its identity and its ADR device share.
async fn uid_of(site: &Site, name: &str) -> Uuid {
    let (hub, _) = hub(site).await;
    let found = identity::load(site.world.platform().store.as_ref(), hub.uid, name).await.unwrap();
    found.unwrap().device.uid
}

/// A role and a lock on a device; gives their ids.
async fn made_on(world: &World, device: &str) -> [String; 2] {
    let stranger = world.stranger().await;
    let role = world.assign(stranger.id(), builtin::READER, device).await;
    let lock = format!("{device}/providers/Microsoft.Authorization/locks/held");
    world.put(&lock, LOCKS, json!({"properties": {"level": "CanNotDelete"}})).await;
    [role["id"].as_str().unwrap().to_owned(), lock]
}

/// Has another process write a row, with another etag, before this one's next write of it.
fn written_meanwhile(world: &World, table: &'static Table, row: Arc<Row>, etag: &'static str) {
    let (platform, before) = (Arc::clone(world.platform()), writes(table, &row.key));
    let write = async move {
        let mut doc = row.value().unwrap();
        doc["etag"] = etag.into();
        let mut change = Change::new();
        change.unit.put(Put::new(table, row.key.clone(), row.columns.clone(), &doc).unwrap());
        platform.commit(change).await.unwrap();
    };
    world.store.unwatched();
    world.store.meanwhile(before, write);
}

async fn stand(world: &World, [role, lock]: &[String; 2]) {
    world.get(role, ROLES).await;
    world.get(lock, LOCKS).await;
}

async fn remove(world: &World, id: &str, version: &str) {
    Box::pin(world.while_time_passes(world.send(&world.owner, "DELETE", id, version, None))).await.unwrap();
}

/// Carries out what is left of operations, without a worker: that sweeps what they leave behind.
async fn ended(world: &World) {
    let platform = Arc::clone(world.platform());
    let running = async || platform.store.find(&OPERATIONS, "state", "running", Page::first(10)).await.unwrap();
    for row in running().await {
        Box::pin(world.while_time_passes(drive(&platform, &row.key))).await.unwrap();
    }
    assert!(running().await.is_empty());
}

/// Everybody keeps their rights, locks stand, queries are answered, and another process starts.
async fn all_is_well(world: &World) {
    let stranger = world.stranger().await;
    let group = world.group("other");
    world.put(&group, GROUPS, json!({"location": "westeurope"})).await;
    world.assign(stranger.id(), builtin::READER, &group).await;
    let lock = format!("{group}/providers/Microsoft.Authorization/locks/held");
    world.put(&lock, LOCKS, json!({"properties": {"level": "CanNotDelete"}})).await;
    for _ in world.platforms() {
        world.send(&stranger, "GET", &group, GROUPS, None).await.unwrap();
        assert_eq!(world.refused(&world.owner, "DELETE", &group, GROUPS, None).await.code, "ScopeLocked");
        let scope = format!("/subscriptions/{}/providers/Microsoft.Authorization", world.subscription);
        let listed = world.get(&format!("{scope}/locks"), LOCKS).await;
        assert!(listed["value"].as_array().unwrap().iter().any(|one| one["id"] == json!(lock)), "{listed}");
        world.get(&format!("{scope}/roleAssignments"), ROLES).await;
        assert_eq!(rows(world, "ResourceContainers | where name == 'other' | project name").await, json!([["other"]]));
    }
    let config = StartConfig {
        settings: Settings { domain: "localhost".into(), pki_url: None },
        master_key: MasterKey::from_bytes(&MASTER_KEY).unwrap(),
        owner_file_missing: false,
        types: Types::built_in(),
        webhooks: None,
    };
    Service::start(world.engines(), config).await.unwrap();
    remove(world, &lock, LOCKS).await;
    remove(world, &group, GROUPS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_takes_what_was_made_on_its_devices_along_and_says_so() {
    let site = linked(&["device-1", "device-2", "device-3"], true).await;
    let world = &site.world;
    let [role, lock] = made_on(world, &format!("{}/devices/device-2", site.namespace)).await;
    remove(world, &site.hub, HUB).await;
    ended(world).await;
    assert_eq!(left_behind(world).await, Vec::<String>::new());
    assert_eq!(devices(world, &site.namespace).await, Vec::<String>::new());
    let log = world.platform().store.scan(&ACTIVITY, "", Page::first(1000)).await.unwrap();
    for (id, action) in [(role, "roleAssignments/delete"), (lock, "locks/delete")] {
        let told =
            |row: &&Arc<Row>| row.text().to_lowercase().contains(&id.to_lowercase()) && row.text().contains(action);
        assert_eq!(log.iter().filter(told).count(), 1, "{id}");
    }
    all_is_well(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_goes_with_the_roles_on_the_devices_of_its_hub() {
    let site = linked(&["device-1"], true).await;
    let world = &site.world;
    let stranger = world.stranger().await;
    world.assign(stranger.id(), builtin::READER, &format!("{}/devices/device-1", site.namespace)).await;
    remove(world, &site.group, GROUPS).await;
    ended(world).await;
    assert_eq!(left_behind(world).await, Vec::<String>::new());
    assert_eq!(world.refused(&world.owner, "GET", &site.group, GROUPS, None).await.code, "ResourceGroupNotFound");
    all_is_well(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_made_on_a_device_while_its_hub_goes_is_not_left() {
    for (first, makes_lock) in [(true, false), (true, true), (false, false), (false, true)] {
        let site = linked(&["device-1"], true).await;
        let world = &site.world;
        let device = format!("{}/devices/device-1", site.namespace);
        let stranger = world.stranger().await;
        if !first {
            made_on(world, &device).await;
        }
        let (path, version, properties) = match makes_lock {
            true => ("locks/late".to_owned(), LOCKS, json!({"level": "ReadOnly"})),
            false => {
                let id = |role: &str| {
                    format!(
                        "/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{role}",
                        world.subscription
                    )
                };
                let properties = json!({"roleDefinitionId": id(builtin::CONTRIBUTOR), "principalId": stranger.id(), "principalType": "ServicePrincipal"});
                (format!("roleAssignments/{}", Uuid::from_u128(7)), ROLES, properties)
            }
        };
        let path = format!("{device}/providers/Microsoft.Authorization/{path}");
        let make = later(world, "PUT", (path, version), Some(json!({ "properties": properties })));
        let key = uid_key(uid_of(&site, "device-1").await);
        world.store.meanwhile(writes(&DEVICES, &key), async move { drop(make.await.unwrap()) });
        remove(world, &site.hub, HUB).await;
        ended(world).await;
        assert!(world.store.happened());
        assert_eq!(left_behind(world).await, Vec::<String>::new(), "{first} {makes_lock}");
        assert_eq!(devices(world, &site.namespace).await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_is_brought_while_its_hub_goes_goes_too() {
    let site = linked(&["device-1"], false).await;
    let world = &site.world;
    let bring = operations(world, "bringDevices").await.remove(0);
    let key = uid_key(uid_of(&site, "device-1").await);
    let platform = Arc::clone(world.platform());
    world.store.meanwhile(writes(&DEVICES, &key), async move { drop(drive(&platform, &bring.id).await.unwrap()) });
    remove(world, &site.hub, HUB).await;
    ended(world).await;
    assert!(world.store.happened());
    assert_eq!(operations(world, "bringDevices").await[0].progress, Some((1, 1)), "it was brought");
    assert_eq!(devices(world, &site.namespace).await, Vec::<String>::new());
    assert!(all(world).await.iter().all(|row| row.key != key));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_lies_below_nothing_takes_nobodys_rights_away_and_goes() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let device = format!("{}/devices/device-1", plant.namespace);
    world.put(&device, ADR, json!({"location": "westeurope", "properties": {}})).await;
    let [role, lock] = made_on(&world, &device).await;
    let stored = resources::require(world.platform(), &ResourceId::parse(&device).unwrap()).await.unwrap();
    // As an older program deleted the devices of a hub.
    let mut change = Change { access: true, locks: true, ..Change::new() };
    change.unit.delete(&RESOURCES, stored.key());
    world.platform().commit(change).await.unwrap();
    assert_eq!(left_behind(&world).await.len(), 2);
    all_is_well(&world).await;
    for (id, version) in [(&role, ROLES), (&lock, LOCKS)] {
        assert_eq!(world.refused(&world.owner, "GET", id, version, None).await.http_status(), 404);
    }
    for row in all(&world).await.iter().filter(|row| row.columns[0].as_ref().unwrap().starts_with(&stored.key())) {
        let uid = parse_uid_key(&row.key).unwrap();
        assert!(resources::by_uid(world.platform(), uid).await.unwrap().is_none(), "no id leads to it");
    }
    let swept = async || left_behind(&world).await.is_empty();
    work_until(&world, "what lies below nothing", Duration::from_secs(60), swept).await;
    all_is_well(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_goes_with_as_many_roles_as_there_are_on_it() {
    let site = linked(&["device-1"], true).await;
    let world = &site.world;
    let device = format!("{}/devices/device-1", site.namespace);
    made_on(world, &device).await;
    let uid = uid_key(uid_of(&site, "device-1").await);
    let prefix = format!("{uid}/ra/");
    let model = all(world).await.into_iter().find(|row| row.columns[0].as_ref().unwrap().starts_with(&prefix)).unwrap();
    let mut change = Change { access: true, ..Change::new() };
    for number in 0..MANY {
        let (key, name) = (uid_key(SystemRandom.uuid_v4()), Uuid::from_u128(number as u128).to_string());
        let mut columns = model.columns.clone();
        columns[0] = Some(format!("{prefix}{name}"));
        for unique in columns.iter_mut().skip(2).flatten().filter(|value| !value.starts_with("role/")) {
            unique.push_str(&number.to_string());
        }
        let mut doc = model.value().unwrap();
        doc["name"] = name.into();
        change.unit.put(Put::new(&RESOURCES, key, columns, &doc).unwrap());
    }
    world.platform().commit(change).await.unwrap();
    let roles = world.get(&format!("{device}/providers/Microsoft.Authorization/roleAssignments"), ROLES).await;
    assert!(roles["value"].as_array().unwrap().len() > MANY);
    let (at, caller) = hub(&site).await;
    let delete = world.service().hub.delete_device(&caller, &at, "device-1", None);
    Box::pin(world.while_time_passes(delete)).await.unwrap();
    assert_eq!(devices(world, &site.namespace).await, Vec::<String>::new());
    assert_eq!(left_behind(world).await, Vec::<String>::new());
    all_is_well(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_that_is_refused_takes_nothing_away() {
    let site = linked(&["device-1"], true).await;
    let world = &site.world;
    let made = made_on(world, &format!("{}/devices/device-1", site.namespace)).await;
    let (at, caller) = hub(&site).await;
    let key = uid_key(uid_of(&site, "device-1").await);
    let row = world.platform().store.get(&DEVICES, &key).await.unwrap().unwrap();
    let etag = format!("\"{}\"", row.value().unwrap()["etag"].as_str().unwrap());
    written_meanwhile(world, &DEVICES, row, "bmV3ZXI=");
    let delete = world.service().hub.delete_device(&caller, &at, "device-1", Some(&etag));
    let refused = Box::pin(world.while_time_passes(delete)).await.unwrap_err();
    assert!(world.store.happened());
    assert_eq!(refused.http_status(), 412);
    stand(world, &made).await;
    let delete = world.service().hub.delete_device(&caller, &at, "device-1", Some("\"bmV3ZXI=\""));
    Box::pin(world.while_time_passes(delete)).await.unwrap();
    assert_eq!(left_behind(world).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_of_a_resource_that_is_refused_takes_no_role_away() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let device = format!("{}/devices/device-1", plant.namespace);
    let etag = world.put(&device, ADR, json!({"location": "westeurope", "properties": {}})).await["etag"].clone();
    let stranger = world.stranger().await;
    let role = world.assign(stranger.id(), builtin::READER, &device).await;
    let stored = resources::require(world.platform(), &ResourceId::parse(&device).unwrap()).await.unwrap();
    let row = world.platform().store.get(&RESOURCES, &stored.key()).await.unwrap().unwrap();
    written_meanwhile(&world, &RESOURCES, row, "newer");
    let delete = world.request(&world.owner, "DELETE", &device, ADR, None, etag.as_str());
    let refused = Box::pin(world.while_time_passes(delete)).await.err().unwrap();
    assert!(world.store.happened());
    assert_eq!(refused.http_status(), 412, "{refused}");
    world.get(role["id"].as_str().unwrap(), ROLES).await;
    remove(&world, &device, ADR).await;
    assert_eq!(left_behind(&world).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_is_linked_again_before_it_was_let_go_keeps_what_was_made_on_it() {
    let site = linked(&["device-1", "device-2"], true).await;
    let world = &site.world;
    unlink(&site).await.unwrap();
    let made = made_on(world, &format!("{}/devices/device-2", site.namespace)).await;
    let release = operations(world, "releaseDevices").await.remove(0).id;
    let link = later(world, "PUT", (site.namespace.clone(), NEWEST), Some(site.body()));
    let key = uid_key(uid_of(&site, "device-1").await);
    world.store.meanwhile(writes(&RESOURCES, &key), async move { drop(link.await.unwrap()) });
    let platform = Arc::clone(world.platform());
    Box::pin(world.while_time_passes(drive(&platform, &release))).await.unwrap();
    assert!(world.store.happened());
    settled(world).await;
    assert_eq!(devices(world, &site.namespace).await, ["device-1", "device-2"]);
    stand(world, &made).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_on_which_somebody_makes_something_after_the_link_went_is_not_let_go() {
    for locked in [false, true] {
        let site = linked(&["device-1", "device-2"], true).await;
        let world = &site.world;
        unlink(&site).await.unwrap();
        let device = format!("{}/devices/device-2", site.namespace);
        let [role, lock] = made_on(world, &device).await;
        remove(world, &lock, LOCKS).await;
        if locked {
            remove(world, &role, ROLES).await;
            world.put(&lock, LOCKS, json!({"properties": {"level": "CanNotDelete"}})).await;
        }
        settled(world).await;
        assert_eq!(devices(world, &site.namespace).await, ["device-2"]);
        let (kept, version) = if locked { (&lock, LOCKS) } else { (&role, ROLES) };
        world.get(kept, version).await;
        let release = operations(world, "releaseDevices").await.remove(0);
        assert_eq!(release.state, State::Failed);
        assert!(release.error.as_ref().unwrap().message.contains("'device-2'"), "{:?}", release.error);
        // What the message says is what helps.
        if locked {
            remove(world, kept, version).await;
        }
        remove(world, &format!("{}/registryDevices/device-2", site.namespace), NEWEST).await;
        assert_eq!(left_behind(world).await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_or_a_lock_on_a_device_holds_the_link_of_its_hub_and_not_the_device() {
    let site = linked(&["device-1", "device-2"], true).await;
    let world = &site.world;
    made_on(world, &format!("{}/devices/device-1", site.namespace)).await;
    let [role, lock] = made_on(world, &format!("{}/devices/device-2", site.namespace)).await;
    let (at, caller) = hub(&site).await;
    let delete = world.service().hub.delete_device(&caller, &at, "device-1", None);
    Box::pin(world.while_time_passes(delete)).await.unwrap();
    assert_eq!(devices(world, &site.namespace).await, ["device-2"]);
    // Whoever made them wants them to stay.
    for (id, version) in [(&lock, LOCKS), (&role, ROLES)] {
        let refused = unlink(&site).await.err().unwrap();
        assert_eq!((refused.http_status(), refused.code), (409, "EndpointInUse"));
        assert!(refused.message.contains("'device-2'"), "{refused}");
        remove(world, id, version).await;
    }
    unlink(&site).await.unwrap();
    settled(world).await;
    assert_eq!(devices(world, &site.namespace).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_is_made_while_a_hub_is_unlinked_holds_it() {
    let site = linked(&["device-1"], true).await;
    let world = &site.world;
    let definition = format!(
        "/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{}",
        world.subscription,
        builtin::READER
    );
    let body = json!({"properties": {"roleDefinitionId": definition, "principalId": world.stranger().await.id(), "principalType": "ServicePrincipal"}});
    let role = format!(
        "{}/devices/device-1/providers/Microsoft.Authorization/roleAssignments/{}",
        site.namespace,
        Uuid::from_u128(7)
    );
    let make = later(world, "PUT", (role.clone(), ROLES), Some(body));
    let before = links(world, &site.namespace).await;
    world.store.meanwhile(before, async move { drop(make.await.unwrap()) });
    assert_eq!(unlink(&site).await.err().unwrap().code, "EndpointInUse");
    assert!(world.store.happened());
    settled(world).await;
    assert_eq!(devices(world, &site.namespace).await, ["device-1"]);
    world.get(&role, ROLES).await;
}
