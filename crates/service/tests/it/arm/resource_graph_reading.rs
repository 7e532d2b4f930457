//! How Resource Graph comes to know all devices: step by step, whoever waits for it.

use super::fixture::{HUB, World, plant};
use super::resource_graph::{DATA_READER, ask_as, hub_owner, rows};
use ferrohub_service::tables::{DEVICES, RESOURCES, TWINS};
use serde_json::{Value, json};
use std::task::Poll;

/// Whoever waits for the first query may go at any moment: what was read until then stays, and the next query sees everything, with what
/// was written and deleted in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_query_that_is_given_up_leaves_the_next_one_right() {
    for patience in [1, 2, 3, 5, 8, 13] {
        let world = World::new().await;
        let plant = plant(&world).await;
        world.assign(world.owner.id(), DATA_READER, &plant.hub).await;
        let caller = hub_owner(&world, &plant).await;
        let hub = world.service().hub.by_host("hub1.azure-devices.localhost").await.unwrap();
        for number in 0..20 {
            world.service().hub.put_device(&caller, &hub, &format!("d-{number:02}"), &json!({}), None).await.unwrap();
        }
        for round in 0..3 {
            {
                let query = if round == 1 { "Resources | count" } else { "iothubdevices | count" };
                let mut asked = std::pin::pin!(ask_as(&world, &world.owner, json!({ "query": query })));
                let mut looked = 0;
                std::future::poll_fn(|context| {
                    looked += 1;
                    let over = asked.as_mut().poll(context).is_ready() || looked > patience;
                    if over { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
            }
            let (old, new) = (format!("d-{round:02}"), format!("e-{round}"));
            world.service().hub.delete_device(&caller, &hub, &old, None).await.unwrap();
            world.service().hub.put_device(&caller, &hub, &new, &json!({}), None).await.unwrap();
            let tags = json!({"tags": {"round": format!("{round}")}});
            world.send(&world.owner, "PATCH", &plant.hub, HUB, Some(tags)).await.unwrap();
        }
        // Those of the namespace and those of the hub are the same ones.
        for table in ["Resources | where type =~ 'microsoft.deviceregistry/namespaces/devices'", "iothubdevices"] {
            let found = rows(&world, &format!("{table} | order by name asc | project name")).await;
            let names: Vec<&str> = found.as_array().unwrap().iter().map(|row| row[0].as_str().unwrap()).collect();
            let kept = (3..20).map(|number| format!("d-{number:02}"));
            let wanted: Vec<String> = kept.chain((0..3).map(|round| format!("e-{round}"))).collect();
            assert_eq!(names, wanted, "{table} after {patience} looks");
        }
        assert_eq!(
            rows(&world, "where type =~ 'microsoft.devices/iothubs' | project tags.round").await,
            json!([["2"]])
        );
    }
}

/// What was read for queries without twins stays: the first one with twins reads those, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twins_are_read_beside_what_is_read_already() {
    /// So many that each process answers some.
    const ASKED: usize = 8;
    let world = World::new().await;
    let plant = plant(&world).await;
    world.assign(world.owner.id(), DATA_READER, &plant.hub).await;
    let caller = hub_owner(&world, &plant).await;
    let hub = world.service().hub.by_host("hub1.azure-devices.localhost").await.unwrap();
    let tagged = async |name: &str, site: &str| {
        let entry = json!([{"id": name, "importMode": "create", "tags": {"site": site}}]);
        assert!(world.service().hub.bulk(&caller, &hub, &entry).await.unwrap().is_empty());
    };
    for number in 0..20 {
        tagged(&format!("d-{number:02}"), "north").await;
    }
    for _ in 0..ASKED {
        assert_eq!(rows(&world, "where type endswith 'namespaces/devices' | count").await, json!([[20]]));
    }
    let before = (world.store.scans(&RESOURCES), world.store.scans(&DEVICES));
    tagged("d-20", "south").await;
    for _ in 0..ASKED {
        let sites = "iothubdevices | summarize count() by tostring(tags.site) | order by count_ asc";
        assert_eq!(rows(&world, sites).await, json!([["south", 1], ["north", 20]]));
        assert_eq!(rows(&world, "where type endswith 'namespaces/devices' | count").await, json!([[21]]));
    }
    assert_eq!((world.store.scans(&RESOURCES), world.store.scans(&DEVICES)), before);
    assert!(world.store.scans(&TWINS) >= world.platforms().len());
}

/// More devices than a step reads, written while it reads: each query sees what was written before it, twins included.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_devices_are_read_by_steps_and_followed() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let caller = hub_owner(&world, &plant).await;
    let hub = world.service().hub.by_host("hub1.azure-devices.localhost").await.unwrap();
    let bulk = async |from: usize, upto: usize| {
        for first in (from..upto).step_by(100) {
            let entry = |n: usize| json!({"id": format!("d-{n:05}"), "importMode": "create", "tags": {"site": n % 10}});
            let body: Value = (first..(first + 100).min(upto)).map(entry).collect();
            assert!(world.service().hub.bulk(&caller, &hub, &body).await.unwrap().is_empty());
        }
    };
    bulk(0, 2_500).await;
    assert_eq!(rows(&world, "where type endswith 'namespaces/devices' | count").await, json!([[2_500]]));
    world.assign(world.owner.id(), DATA_READER, &plant.hub).await;
    assert_eq!(rows(&world, "iothubdevices | where tags.site == 7 | count").await, json!([[250]]));
    bulk(2_500, 4_700).await;
    assert_eq!(rows(&world, "where type endswith 'namespaces/devices' | count").await, json!([[4_700]]));
    assert_eq!(rows(&world, "iothubdevices | count").await, json!([[4_700]]));
}
