//! Unlinking a hub while devices come, are written on, or get the namespace's CAs: whatever comes in between, nothing is lost and nothing
//! is left behind.

use super::between::writes;
use super::fixture::{ADR, BASE, HUB, World, plant};
use super::linked_devices::{device, devices, hub, operations, settled, without_hub};
use super::namespace_links::{NEWEST, Site};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::uid::uid_key;
use ferrohub_service::arm::operations::drive;
use ferrohub_service::arm::{ArmRequest, ArmResponse, Client};
use ferrohub_service::hub::identity;
use ferrohub_service::resources;
use ferrohub_service::tables::RESOURCES;
use ferrohub_store::UnitOfWork;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

pub(super) type Answer = Result<ArmResponse, ferrohub_model::error::Error>;

/// A hub with these devices that is linked, and its devices brought unless the worker has not come to it yet.
pub(super) async fn linked(names: &[&str], brought: bool) -> Site {
    let site = Site::new().await;
    for name in names {
        device(&site, name, json!({})).await;
    }
    site.grant().await;
    site.put(site.body()).await;
    if brought {
        settled(&site.world).await;
        assert_eq!(devices(&site.world, &site.namespace).await.len(), names.len());
    }
    site
}

/// Whether a unit makes the link or takes it away: the one that writes the namespace's row.
pub(super) async fn links(world: &World, namespace: &str) -> impl Fn(&UnitOfWork) -> bool + Send + use<> {
    let namespace = resources::require(world.platform(), &ResourceId::parse(namespace).unwrap()).await.unwrap();
    writes(&RESOURCES, &namespace.key())
}

pub(super) async fn unlink(site: &Site) -> Answer {
    let (world, body) = (&site.world, without_hub());
    let unlink = world.send(&world.owner, "PATCH", &site.namespace, NEWEST, Some(body));
    Box::pin(world.while_time_passes(unlink)).await
}

/// A request of the owner that stands for itself.
pub(super) fn later(
    world: &World,
    method: &'static str,
    (path, version): (String, &'static str),
    body: Option<Value>,
) -> impl Future<Output = Answer> + use<> {
    let service = Arc::clone(world.service());
    let request = ArmRequest {
        method: method.into(),
        path,
        query: vec![("api-version".into(), version.into())],
        body,
        if_match: None,
        if_none_match: None,
        actor: world.owner.clone(),
        base_url: BASE.into(),
        request_id: Uuid::nil(),
        correlation_id: Uuid::nil(),
        client: Client::default(),
    };
    async move { service.arm.handle(request).await }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_that_are_brought_while_their_hub_is_unlinked_go_again() {
    let site = linked(&["device-1"], false).await;
    let bring = operations(&site.world, "bringDevices").await.remove(0);
    let platform = Arc::clone(site.world.platform());
    let before = links(&site.world, &site.namespace).await;
    site.world.store.meanwhile(before, async move { drop(drive(&platform, &bring.id).await.unwrap()) });
    unlink(&site).await.unwrap();
    assert!(site.world.store.happened());
    settled(&site.world).await;
    assert_eq!(devices(&site.world, &site.namespace).await, Vec::<String>::new());
    let (hub, _) = hub(&site).await;
    let known = identity::load(site.world.platform().store.as_ref(), hub.uid, "device-1").await.unwrap().unwrap();
    assert!(resources::by_uid(site.world.platform(), known.device.uid).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_writes_on_a_device_while_its_hub_is_unlinked_is_not_lost() {
    let written = [
        ("PATCH", "", json!({"tags": {"hall": "7"}})),
        ("PUT", "/attributes/hall", json!({"properties": {"reportedBy": "User", "number": 7}})),
    ];
    for (method, below, body) in written {
        let site = linked(&["device-1", "device-2"], true).await;
        let path = format!("{}/registryDevices/device-1{below}", site.namespace);
        let write = later(&site.world, method, (path, NEWEST), Some(body));
        let before = links(&site.world, &site.namespace).await;
        site.world.store.meanwhile(before, async move { drop(write.await.unwrap()) });
        let refused = unlink(&site).await.err().unwrap();
        assert!(site.world.store.happened());
        assert_eq!((refused.http_status(), refused.code), (409, "EndpointInUse"), "{method}");
        assert!(refused.message.contains("'device-1'"), "{refused}");
        settled(&site.world).await;
        assert_eq!(devices(&site.world, &site.namespace).await, ["device-1", "device-2"], "{method}");
        // Nothing of the attempt stays in the way.
        device(&site, "device-3", json!({})).await;
        assert_eq!(devices(&site.world, &site.namespace).await.len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_is_made_while_its_hub_is_unlinked_holds_it() {
    let site = linked(&["device-1"], true).await;
    let (hub, caller) = hub(&site).await;
    let (service, at) = (Arc::clone(site.world.service()), hub.clone());
    let make = async move { drop(service.hub.put_device(&caller, &at, "device-0", &json!({}), None).await.unwrap()) };
    let before = links(&site.world, &site.namespace).await;
    site.world.store.meanwhile(before, make);
    let refused = unlink(&site).await.err().unwrap();
    assert_eq!(refused.code, "EndpointInUse");
    assert!(refused.message.contains("'device-0'"), "{refused}");
    settled(&site.world).await;
    assert_eq!(devices(&site.world, &site.namespace).await, ["device-0", "device-1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_read_the_hub_before_it_was_unlinked_writes_as_it_is_now() {
    let site = linked(&["device-1", "device-2"], true).await;
    let (before, caller) = hub(&site).await;
    unlink(&site).await.unwrap();
    settled(&site.world).await;
    let service = &site.world.service().hub;
    let enabled = json!({"status": "disabled"});
    service.put_device(&caller, &before, "device-1", &enabled, Some("*")).await.unwrap();
    service.put_device(&caller, &before, "device-3", &json!({}), None).await.unwrap();
    service.delete_device(&caller, &before, "device-2", None).await.unwrap();
    assert_eq!(devices(&site.world, &site.namespace).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_its_former_namespace_lets_go_is_not_written_on_and_may_be_deleted() {
    let site = linked(&["device-1", "device-2"], true).await;
    unlink(&site).await.unwrap();
    // The worker has not come to it.
    let (world, owner) = (&site.world, &site.world.owner);
    let one = format!("{}/registryDevices/device-1", site.namespace);
    let older = format!("{}/devices/device-1", site.namespace);
    let writes = [
        ("PATCH", one.clone(), NEWEST, json!({"tags": {"hall": "7"}})),
        ("PATCH", older.clone(), ADR, json!({"properties": {"enabled": false}})),
        ("PUT", format!("{one}/attributes/hall"), NEWEST, json!({"properties": {"reportedBy": "User"}})),
        ("POST", format!("{older}/revoke"), ADR, json!({"disable": true})),
    ];
    for (method, path, version, body) in writes {
        let refused = world.refused(owner, method, &path, version, Some(body)).await;
        assert_eq!((refused.http_status(), refused.code), (409, "DeviceUnlinked"), "{method} {path}: {refused}");
    }
    world.send(owner, "DELETE", &one, NEWEST, None).await.unwrap();
    assert_eq!(devices(world, &site.namespace).await, ["device-2"]);
    settled(world).await;
    assert_eq!(devices(world, &site.namespace).await, Vec::<String>::new());
    let (hub, _) = hub(&site).await;
    for name in ["device-1", "device-2"] {
        let known = identity::load(world.platform().store.as_ref(), hub.uid, name).await.unwrap().unwrap();
        let left = world.platform().store.get(&RESOURCES, &uid_key(known.device.uid)).await.unwrap();
        assert!(left.is_none(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ca_that_is_brought_while_its_hub_is_unlinked_is_not_trusted_afterwards() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let before = links(&world, &plant.namespace).await;
    let path = format!("{}/credentials/default/synchronize", plant.namespace);
    let synchronize = later(&world, "POST", (path, ADR), None);
    world.store.meanwhile(before, async move { drop(synchronize.await.unwrap()) });
    let without = json!({"properties": {"messaging": {"endpoints": {"hub1": null}}}});
    let unlink = world.send(&world.owner, "PATCH", &plant.namespace, NEWEST, Some(without));
    Box::pin(world.while_time_passes(unlink)).await.unwrap();
    assert!(world.store.happened());
    let hub = world.get(&plant.hub, HUB).await;
    assert!(hub["properties"].get("deviceRegistry").is_none());
    assert_eq!(world.get(&format!("{}/certificates", plant.hub), HUB).await["value"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_is_made_while_its_hub_is_linked_comes_with_the_link() {
    let site = Site::new().await;
    site.grant().await;
    let (hub, caller) = hub(&site).await;
    let (service, at) = (Arc::clone(site.world.service()), hub.clone());
    let make = async move { drop(service.hub.put_device(&caller, &at, "device-1", &json!({}), None).await.unwrap()) };
    let before = links(&site.world, &site.namespace).await;
    site.world.store.meanwhile(before, make);
    let (world, body) = (&site.world, site.body());
    let link = world.send(&world.owner, "PUT", &site.namespace, NEWEST, Some(body));
    Box::pin(world.while_time_passes(link)).await.unwrap();
    assert!(world.store.happened());
    settled(world).await;
    assert_eq!(devices(world, &site.namespace).await, ["device-1"]);
}
