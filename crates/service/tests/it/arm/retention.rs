//! The worker takes the events that are past their hub's retention, and those of hubs that are gone; not on the word of a
//! clock that jumped.

use super::fixture::{World, plant};
use bytes::Bytes;
use ferrohub_clock::SystemClock;
use ferrohub_messaging::{NewEvent, ReadFrom};
use ferrohub_model::clock::Clock;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_service::tables::ACTIVITY;
use ferrohub_service::{resources, worker};
use ferrohub_store::Page;
use jiff::SignedDuration;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Events that are left of a stream.
async fn left(world: &World, stream: Uuid) -> usize {
    world.platform().log.read(stream, 0, ReadFrom::Beginning, 10, 1 << 20).await.unwrap().len()
}

/// Lets the worker that runs sweep until that many events of the stream are left.
async fn sweep_until(world: &World, stream: Uuid, count: usize) {
    for _ in 0..500 {
        if left(world, stream).await == count {
            return;
        }
        // The worker may have lain down after the clock was moved.
        world.clock.advance(Duration::from_secs(2));
        SystemClock.sleep(Duration::from_millis(10)).await;
    }
    panic!("the sweep left {} events, {count} were expected", left(world, stream).await);
}

/// A worker of the world, as one process has it.
struct Working {
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Working {
    fn start(world: &World) -> Self {
        let (stop, stopped) = watch::channel(false);
        Self { stop, running: tokio::spawn(worker::run(Arc::clone(world.platform()), stopped)) }
    }

    async fn end(self, world: &World) {
        self.stop.send(true).unwrap();
        world.while_time_passes(self.running).await.unwrap();
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);

fn event(stream: Uuid) -> NewEvent {
    NewEvent { stream, partition: 0, properties: Default::default(), body: Bytes::from_static(b"x") }
}

async fn hub(world: &World) -> Uuid {
    let hub = ResourceId::parse(&plant(world).await.hub).unwrap();
    resources::require(world.platform(), &hub).await.unwrap().uid
}

#[tokio::test]
async fn a_hub_keeps_its_events_for_its_retention_and_a_hub_that_is_gone_keeps_none() {
    let world = World::new().await;
    let (hub, gone) = (hub(&world).await, Uuid::from_u128(7));
    world.platform().log.append(vec![event(hub), event(gone)]).await.unwrap();
    let working = Working::start(&world);
    sweep_until(&world, gone, 0).await;
    assert_eq!(left(&world, hub).await, 1, "the hub is there and its event is young");
    // A hub keeps events for a day unless it says more.
    world.clock.advance(DAY + Duration::from_secs(1));
    world.platform().log.append(vec![event(hub)]).await.unwrap();
    sweep_until(&world, hub, 1).await;
    working.end(&world).await;
}

#[tokio::test]
async fn nothing_goes_on_the_word_of_a_clock_that_jumped() {
    let world = World::new().await;
    let hub = hub(&world).await;
    let kept = async || {
        let rows = world.platform().store.scan(&ACTIVITY, "", Page::first(1000)).await.unwrap();
        (left(&world, hub).await, rows.len())
    };
    // A sweep takes the stream of a hub that is gone, which shows that there was one.
    let sweep = async |number: u128| {
        let gone = Uuid::from_u128(number);
        world.platform().log.append(vec![event(gone)]).await.unwrap();
        world.clock.advance(Duration::from_secs(600));
        sweep_until(&world, gone, 0).await;
    };
    world.platform().log.append(vec![event(hub)]).await.unwrap();
    let (before, start) = (kept().await, world.clock.now());
    let working = Working::start(&world);
    sweep(7).await;

    // While it runs, and then at a start.
    world.clock.set_wall(start + SignedDuration::from_hours(24 * 200));
    sweep(8).await;
    assert_eq!(kept().await, before);
    working.end(&world).await;
    let working = Working::start(&world);
    sweep(9).await;
    assert_eq!(kept().await, before);
    // Back again: nothing was lost, and what is old in truth goes.
    world.clock.set_wall(start + SignedDuration::from_hours(1));
    sweep(10).await;
    assert_eq!(kept().await, before);
    world.clock.advance(DAY);
    world.platform().log.append(vec![event(hub)]).await.unwrap();
    sweep_until(&world, hub, 1).await;
    working.end(&world).await;
}

#[tokio::test]
async fn an_installation_that_was_off_catches_up() {
    let world = World::new().await;
    let hub = hub(&world).await;
    world.platform().log.append(vec![event(hub)]).await.unwrap();
    let working = Working::start(&world);
    let gone = Uuid::from_u128(7);
    world.platform().log.append(vec![event(gone)]).await.unwrap();
    sweep_until(&world, gone, 0).await;
    working.end(&world).await;

    world.clock.advance(DAY * 4);
    let working = Working::start(&world);
    world.platform().log.append(vec![event(hub)]).await.unwrap();
    for _ in 0..(24 * 6) {
        world.clock.advance(Duration::from_secs(600));
        tokio::task::yield_now().await;
    }
    sweep_until(&world, hub, 1).await;
    working.end(&world).await;
}
