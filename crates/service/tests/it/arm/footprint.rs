//! What a device takes on disk: identity, twin and ADR device together.

use super::fixture::{World, plant};
use ferrohub_service::authz::builtin;
use futures_util::stream::{self, StreamExt as _};
use serde_json::json;

/// Devices made; enough that half-filled pages do not count.
const DEVICES: usize = 3000;
/// Bytes of one device, from the issue: 1,000,000 devices in 2 GB.
const BYTES: u64 = 2000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_takes_at_most_two_thousand_bytes() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let identity = world.get(&plant.identity, "2025-05-31-preview").await;
    let principal = identity["properties"]["principalId"].as_str().unwrap().to_owned();
    world.assign(&principal, builtin::CONTRIBUTOR, &plant.namespace).await;
    let host = "hub1.azure-devices.localhost";
    let hub = world.service().hub.by_host(host).await.unwrap();
    let actor = world.hub_owner(&plant.hub, host).await;
    let made = stream::iter(0..DEVICES).map(|number| {
        let (service, hub, actor) = (world.service(), &hub, &actor);
        async move {
            let body = json!({"deviceId": format!("sensor-{number:06}"), "status": "enabled"});
            service.hub.put_device(actor, hub, &format!("sensor-{number:06}"), &body, None).await.unwrap();
        }
    });
    made.buffer_unordered(64).collect::<Vec<()>>().await;
    let listed = world.get(&format!("{}/devices?$top=1", plant.namespace), super::fixture::ADR).await;
    assert_eq!(listed["value"][0]["properties"]["externalDeviceId"], "sensor-000000");
    let empty = World::new().await.close();
    let each = (world.close() - empty) / DEVICES as u64;
    println!("{each} bytes a device");
    assert!(each <= BYTES, "a device takes {each} bytes in the store's file");
}
