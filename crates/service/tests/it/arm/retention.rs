//! The worker takes the events that are past their hub's retention, and those of hubs that are gone.

use super::fixture::{World, plant};
use bytes::Bytes;
use ferrohub_clock::SystemClock;
use ferrohub_messaging::{NewEvent, ReadFrom};
use ferrohub_model::clock::Clock;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_service::{resources, worker};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

/// Events that are left of a stream.
async fn left(world: &World, stream: Uuid) -> usize {
    world.platform.log.read(stream, 0, ReadFrom::Beginning, 10, 1 << 20).await.unwrap().len()
}

/// Lets a worker sweep until that many events of the stream are left.
async fn sweep_until(world: &World, stream: Uuid, count: usize) {
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker::run(Arc::clone(&world.platform), stopped));
    for _ in 0..500 {
        if left(world, stream).await == count {
            stop.send(true).unwrap();
            return running.await.unwrap();
        }
        SystemClock.sleep(Duration::from_millis(10)).await;
    }
    panic!("the sweep left {} events, {count} were expected", left(world, stream).await);
}

#[tokio::test]
async fn a_hub_keeps_its_events_for_its_retention_and_a_hub_that_is_gone_keeps_none() {
    let world = World::new().await;
    let hub = ResourceId::parse(&plant(&world).await.hub).unwrap();
    let hub = resources::require(&world.platform, &hub).await.unwrap().uid;
    let gone = Uuid::from_u128(7);
    let event =
        |stream| NewEvent { stream, partition: 0, properties: Default::default(), body: Bytes::from_static(b"x") };
    world.platform.log.append(vec![event(hub), event(gone)]).await.unwrap();
    sweep_until(&world, gone, 0).await;
    assert_eq!(left(&world, hub).await, 1, "the hub is there and its event is young");
    // A hub keeps events for a day unless it says more.
    world.clock.advance(Duration::from_secs(24 * 3600 + 1));
    world.platform.log.append(vec![event(hub)]).await.unwrap();
    sweep_until(&world, hub, 1).await;
}
