//! What a bus promises.

use super::*;
use crate::{Delivery, Subscription};
use bytes::Bytes;
use ferrohub_model::clock::timeout;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

async fn next(subscription: &mut Subscription, clock: &dyn Clock) -> Delivery {
    let delivery = timeout(clock, PATIENCE, subscription.next()).await;
    delivery.expect("a delivery comes soon").expect("the bus is there")
}

async fn publish(bus: &dyn Bus, subject: &str, text: &str) {
    let payload = Bytes::copy_from_slice(text.as_bytes());
    bus.publish(subject, payload).await.expect("publishing works");
}

fn message(text: &str) -> Delivery {
    Delivery::Message(Bytes::copy_from_slice(text.as_bytes()))
}

pub(super) async fn subscribers_get_their_subject(bus: &dyn Bus, other_bus: &dyn Bus, clock: &dyn Clock) {
    publish(bus, "a.1", "nobody hears this").await;
    let mut first = bus.subscribe("a.1").await.expect("subscribing works");
    let mut second = other_bus.subscribe("a.1").await.expect("subscribing works");
    let mut other = bus.subscribe("a.2").await.expect("subscribing works");
    for text in ["one", "two"] {
        publish(bus, "a.1", text).await;
    }
    publish(bus, "a.2", "three").await;
    for subscription in [&mut first, &mut second] {
        assert_eq!(next(subscription, clock).await, message("one"));
        assert_eq!(next(subscription, clock).await, message("two"));
    }
    assert_eq!(next(&mut other, clock).await, message("three"));
    drop(second);
    publish(bus, "a.1", "four").await;
    assert_eq!(next(&mut first, clock).await, message("four"));
    assert_eq!(first.try_next(), None);
}

pub(super) async fn a_slow_subscriber_is_told(bus: &dyn Bus, other_bus: &dyn Bus, clock: &dyn Clock) {
    let mut slow = other_bus.subscribe("slow").await.expect("subscribing works");
    let sent = 4 * ferrohub_model::limits::BUS_QUEUE as u64;
    for number in 0..sent {
        publish(bus, "slow", &number.to_string()).await;
    }
    let (mut received, mut lost) = (0, 0);
    while received + lost < sent {
        match next(&mut slow, clock).await {
            Delivery::Message(_) => received += 1,
            Delivery::Lagged(count) => lost += count,
        }
    }
    assert_eq!(received + lost, sent, "every message is given or counted as lost");
    assert!(lost > 0, "the queue of a subscriber is bounded");
    publish(bus, "slow", "again").await;
    assert_eq!(next(&mut slow, clock).await, message("again"));
}

pub(super) async fn the_newest_claim_wins(bus: &dyn Bus, other_bus: &dyn Bus, clock: &dyn Clock) {
    let first = bus.claim("device").await.expect("claiming works");
    let other = bus.claim("other").await.expect("claiming works");
    assert!(!first.is_lost());
    let second = other_bus.claim("device").await.expect("claiming works");
    timeout(clock, PATIENCE, first.lost()).await.expect("the older claim is told");
    assert!(first.is_lost() && !second.is_lost() && !other.is_lost());
    assert!(second.epoch() > first.epoch());
    drop(first);
    let third = bus.claim("device").await.expect("claiming works");
    timeout(clock, PATIENCE, second.lost()).await.expect("dropping a lost claim does not release the newer one");
    assert!(third.epoch() > second.epoch() && !third.is_lost() && !other.is_lost());
}

pub(super) async fn a_dropped_claim_is_released(bus: &dyn Bus, other_bus: &dyn Bus) {
    let first = bus.claim("left").await.expect("claiming works");
    let epoch = first.epoch();
    drop(first);
    let second = other_bus.claim("left").await.expect("claiming works");
    assert!(second.epoch() > epoch, "epochs are not used twice");
    assert!(!second.is_lost());
}
