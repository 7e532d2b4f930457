//! What an event log promises.

use super::*;
use crate::{Bounds, EventProperties, NewEvent, Packed, Position, ReadFrom, StoredEvent};
use bytes::Bytes;
use ferrohub_model::clock::timeout;
use ferrohub_model::error::ErrorKind;
use ferrohub_model::limits;
use futures_util::future::join_all;
use std::collections::BTreeSet;
use std::time::Duration;
use uuid::Uuid;

pub(super) const HUB: Uuid = Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0001);
pub(super) const OTHER_HUB: Uuid = Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0002);
const MANY: usize = 10_000;
const NO_LIMIT: usize = usize::MAX;

pub(super) fn event(stream: Uuid, partition: u16, body: impl Into<Bytes>) -> NewEvent {
    NewEvent { stream, partition, body: body.into(), properties: Packed::default() }
}

pub(super) async fn append(log: &dyn EventLog, events: Vec<NewEvent>) -> Vec<Position> {
    let count = events.len();
    let positions = log.append(events).await.expect("the append works");
    assert_eq!(positions.len(), count, "one position for each event");
    positions
}

pub(super) async fn read(log: &dyn EventLog, partition: u16, from: ReadFrom) -> Vec<StoredEvent> {
    log.read(HUB, partition, from, MANY, NO_LIMIT).await.expect("the read works")
}

pub(super) async fn bounds(log: &dyn EventLog, partition: u16) -> Option<Bounds> {
    log.bounds(HUB, partition).await.expect("bounds work")
}

pub(super) fn sequences(events: &[StoredEvent]) -> Vec<u64> {
    events.iter().map(|event| event.sequence).collect()
}

/// `count` events in partition 0, each appended on its own.
pub(super) async fn fill(log: &dyn EventLog, count: usize) -> Vec<Position> {
    let mut positions = Vec::with_capacity(count);
    for number in 0..count {
        positions.extend(append(log, vec![event(HUB, 0, format!("event {number}"))]).await);
    }
    positions
}

pub(super) async fn what_was_appended_is_read(log: &dyn EventLog) {
    assert_eq!(bounds(log, 0).await, None);
    assert!(read(log, 0, ReadFrom::Beginning).await.is_empty());
    let properties = EventProperties {
        system: vec![("message-id".into(), "ü \u{0} 😀".into())],
        application: vec![("b".into(), Some(String::new())), ("a".into(), None), ("b".into(), Some("twice".into()))],
    };
    let bodies = [Bytes::new(), Bytes::from_static(&[0, 255, 10, 13]), Bytes::from(vec![7; limits::TELEMETRY_BYTES])];
    let events: Vec<NewEvent> = bodies
        .iter()
        .map(|body| NewEvent { properties: Packed::from(&properties), ..event(HUB, 3, body.clone()) })
        .collect();
    let positions = append(log, events).await;
    let found = read(log, 3, ReadFrom::Beginning).await;
    assert_eq!(found.len(), bodies.len());
    for ((event, position), body) in found.iter().zip(&positions).zip(&bodies) {
        assert_eq!((event.stream, event.partition), (HUB, 3));
        assert_eq!(event.sequence, position.sequence);
        assert_eq!(event.offset, position.offset);
        assert_eq!(event.enqueued_ms, position.enqueued_ms);
        assert_eq!(&event.body, body);
        assert_eq!(event.properties, properties);
    }
    assert!(append(log, Vec::new()).await.is_empty());
}

pub(super) async fn partitions_count_on_their_own(log: &dyn EventLog) {
    let mixed =
        vec![event(HUB, 0, "a"), event(HUB, 1, "b"), event(OTHER_HUB, 0, "c"), event(HUB, 0, "d"), event(HUB, 31, "e")];
    let positions = append(log, mixed).await;
    let numbers: Vec<u64> = positions.iter().map(|position| position.sequence).collect();
    assert_eq!(numbers, [0, 0, 0, 1, 0]);
    let found = read(log, 0, ReadFrom::Beginning).await;
    let bodies: Vec<&[u8]> = found.iter().map(|event| event.body.as_ref()).collect();
    assert_eq!(bodies, [b"a", b"d"]);
    let partitions = log.partitions(HUB).await.expect("partitions work");
    assert_eq!(partitions, [0, 1, 31]);
    let partitions = log.partitions(Uuid::nil()).await.expect("partitions work");
    assert!(partitions.is_empty());
    let known = bounds(log, 0).await.expect("the partition has bounds");
    let newest = &positions[3];
    assert_eq!(
        known,
        Bounds {
            first_sequence: 0,
            last_sequence: 1,
            last_enqueued_ms: newest.enqueued_ms,
            last_offset: newest.offset
        }
    );
}

pub(super) async fn reads_start_where_they_are_told(log: &dyn EventLog, clock: &dyn Clock) {
    let mut positions = fill(log, 10).await;
    // So that there are events on both sides of a moment.
    clock.sleep(Duration::from_millis(20)).await;
    positions.extend(fill(log, 10).await);
    let all: Vec<u64> = (0..20).collect();
    for from in 0..22 {
        let found = read(log, 0, ReadFrom::Sequence(from)).await;
        let wanted: Vec<u64> = all.iter().copied().filter(|number| *number >= from).collect();
        assert_eq!(sequences(&found), wanted, "from sequence {from}");
    }
    let moments: BTreeSet<i64> = positions.iter().map(|position| position.enqueued_ms).collect();
    for moment in moments.iter().flat_map(|moment| [moment - 1, *moment]) {
        let found = read(log, 0, ReadFrom::EnqueuedAfter(moment)).await;
        let later = positions.iter().filter(|position| position.enqueued_ms > moment);
        let wanted: Vec<u64> = later.map(|position| position.sequence).collect();
        assert_eq!(sequences(&found), wanted, "enqueued after {moment}");
    }
    for position in &positions {
        let found = read(log, 0, ReadFrom::OffsetAfter(position.offset)).await;
        assert_eq!(sequences(&found), all[position.sequence as usize + 1..]);
    }
    assert_eq!(sequences(&read(log, 0, ReadFrom::Beginning).await), all);
    assert!(read(log, 0, ReadFrom::End).await.is_empty());
    for pair in positions.windows(2) {
        assert!(pair[0].offset < pair[1].offset, "offsets grow");
        assert!(pair[0].enqueued_ms <= pair[1].enqueued_ms, "time never falls");
    }
}

pub(super) async fn reads_stop_at_their_limits(log: &dyn EventLog) {
    let events = (0..10).map(|_| event(HUB, 0, vec![1; 100])).collect();
    append(log, events).await;
    let count = async |max_events: usize, max_bytes: usize| {
        let found = log.read(HUB, 0, ReadFrom::Beginning, max_events, max_bytes);
        found.await.expect("the read works").len()
    };
    assert_eq!(count(3, NO_LIMIT).await, 3);
    assert_eq!(count(0, NO_LIMIT).await, 0);
    assert_eq!(count(NO_LIMIT, 1).await, 1, "never none when there is one");
    let some = count(NO_LIMIT, 500).await;
    assert!((1..=5).contains(&some), "500 bytes hold at most five bodies of 100, got {some}");
}

pub(super) async fn limits_hold(log: &dyn EventLog) {
    let large = event(HUB, 0, vec![1; limits::LOG_RECORD_BYTES]);
    let refused = log.append(vec![event(HUB, 0, "small"), large]).await;
    let error = refused.expect_err("a record over the limit is refused");
    assert_eq!(error.kind, ErrorKind::TooLarge);
    assert_eq!(bounds(log, 0).await, None, "nothing of it was appended");
}

/// Writers that race, and events that each appends.
const WRITERS: usize = 64;
const EACH: usize = 20;

pub(super) async fn concurrent_appends_leave_no_gap(log: Arc<dyn EventLog>) {
    let writers = (0..WRITERS).map(|writer| {
        let log = Arc::clone(&log);
        async move {
            let mut mine = Vec::new();
            for number in 0..EACH {
                let body = format!("{writer}/{number}");
                let positions = append(&*log, vec![event(HUB, 0, body.clone())]).await;
                mine.push((positions[0].sequence, body));
            }
            assert!(mine.is_sorted(), "one writer's events stay in order");
            mine
        }
    });
    let mut acknowledged: Vec<(u64, String)> = join_all(writers).await.into_iter().flatten().collect();
    acknowledged.sort();
    let found = read(&*log, 0, ReadFrom::Beginning).await;
    assert_eq!(sequences(&found), (0..(WRITERS * EACH) as u64).collect::<Vec<_>>());
    for (event, (sequence, body)) in found.iter().zip(&acknowledged) {
        assert_eq!((event.sequence, event.body.as_ref()), (*sequence, body.as_bytes()));
    }
}

pub(super) async fn watchers_are_woken(log: Arc<dyn EventLog>, clock: &dyn Clock) {
    let (mut appended, other) = (log.appended(HUB), log.appended(OTHER_HUB));
    let before = *appended.borrow_and_update();
    let follower = async {
        let mut next = 0;
        while next < 20 {
            let found = read(&*log, 0, ReadFrom::Sequence(next)).await;
            next += found.len() as u64;
            if found.is_empty() {
                timeout(clock, Duration::from_secs(10), appended.changed())
                    .await
                    .expect("an append wakes")
                    .expect("the log is open");
            }
        }
        *appended.borrow()
    };
    let (after, _) = tokio::join!(follower, fill(&*log, 20));
    assert!(after > before, "the watched value grows");
    assert!(!other.has_changed().expect("the log is open"), "nobody wakes for another stream");
    append(&*log, vec![event(OTHER_HUB, 0, "other")]).await;
    assert!(other.has_changed().expect("the log is open"));
}

pub(super) async fn everything_outlives_a_restart(place: &dyn Place) {
    let open = async || open(place, "restart").await;
    let mut expected = Vec::new();
    for round in 0..3 {
        let log = open().await;
        assert_eq!(read(&*log, 0, ReadFrom::Beginning).await, expected, "round {round}");
        fill(&*log, 5).await;
        append(&*log, vec![event(OTHER_HUB, 1, "other")]).await;
        expected = read(&*log, 0, ReadFrom::Beginning).await;
        assert_eq!(sequences(&expected), (0..5 * (round + 1)).collect::<Vec<u64>>());
        log.close().await.expect("the log closes");
    }
    let log = open().await;
    let other = log.bounds(OTHER_HUB, 1).await.expect("bounds work");
    assert_eq!(other.map(|bounds| bounds.last_sequence), Some(2));
    log.close().await.expect("the log closes");
}

pub(super) async fn expiry_keeps_the_count(place: &dyn Place) {
    let log = open(place, "expiry").await;
    let positions = fill(&*log, 10).await;
    let removed = log.expire(HUB, positions[0].enqueued_ms).await.expect("expiry works");
    assert_eq!(removed, 0, "nothing is older than the first event");
    assert_eq!(read(&*log, 0, ReadFrom::Beginning).await.len(), 10);
    log.expire(HUB, i64::MAX).await.expect("expiry works");
    let left = bounds(&*log, 0).await.expect("the partition is still known");
    assert_eq!(left.last_sequence, 9);
    let found = read(&*log, 0, ReadFrom::Sequence(0)).await;
    assert_eq!(sequences(&found), (left.first_sequence..10).collect::<Vec<_>>());
    log.close().await.expect("the log closes");

    let log = open(place, "expiry").await;
    assert_eq!(bounds(&*log, 0).await, Some(left), "bounds outlive a restart");
    assert_eq!(log.partitions(HUB).await.expect("partitions work"), [0]);
    let next = fill(&*log, 1).await[0];
    assert_eq!(next.sequence, 10, "sequence numbers are never used twice");
    assert!(next.offset > positions[9].offset && next.enqueued_ms >= positions[9].enqueued_ms);
    let found = read(&*log, 0, ReadFrom::Beginning).await;
    assert_eq!(sequences(&found), (left.first_sequence..11).collect::<Vec<_>>());
    log.close().await.expect("the log closes");
}

pub(super) async fn streams_expire_on_their_own(place: &dyn Place, clock: &dyn Clock) {
    let log = open(place, "streams").await;
    let pair = || vec![event(HUB, 0, vec![1; 400]), event(OTHER_HUB, 0, vec![2; 400])];
    for _ in 0..20 {
        append(&*log, pair()).await;
    }
    clock.sleep(Duration::from_millis(20)).await;
    let later = append(&*log, pair()).await[0].enqueued_ms;
    log.expire(HUB, later).await.expect("expiry works");
    let other = async |log: &dyn EventLog| {
        let found = log.read(OTHER_HUB, 0, ReadFrom::Beginning, MANY, NO_LIMIT).await;
        sequences(&found.expect("the read works"))
    };
    let all: Vec<u64> = (0..21).collect();
    for from in [ReadFrom::Beginning, ReadFrom::Sequence(3), ReadFrom::OffsetAfter(0), ReadFrom::EnqueuedAfter(0)] {
        assert_eq!(sequences(&read(&*log, 0, from).await), [20], "{from:?}: nothing older is given out");
    }
    assert_eq!(other(&*log).await, all, "another stream's retention takes nothing");
    assert_eq!(bounds(&*log, 0).await.map(|bounds| bounds.first_sequence), Some(20));
    log.expire(HUB, 0).await.expect("expiry works");
    assert_eq!(read(&*log, 0, ReadFrom::Beginning).await.len(), 1, "a line that moves back brings nothing back");
    log.close().await.expect("the log closes");
    drop(log);

    let log = open(place, "streams").await;
    assert_eq!(sequences(&read(&*log, 0, ReadFrom::Beginning).await), [20], "the line outlives a restart");
    assert_eq!(other(&*log).await, all);
    log.close().await.expect("the log closes");
}

pub(super) async fn dropped_streams_are_gone(place: &dyn Place) {
    let log = open(place, "dropped").await;
    fill(&*log, 5).await;
    append(&*log, vec![event(OTHER_HUB, 1, "other")]).await;
    assert_eq!(log.streams().await.expect("streams work"), [HUB, OTHER_HUB]);
    log.drop_stream(HUB).await.expect("dropping works");
    log.drop_stream(HUB).await.expect("dropping twice is no error");
    log.drop_stream(Uuid::nil()).await.expect("nor is dropping what never was");
    let gone = async |log: &dyn EventLog| {
        assert_eq!(log.streams().await.expect("streams work"), [OTHER_HUB]);
        assert!(log.partitions(HUB).await.expect("partitions work").is_empty());
        assert_eq!(bounds(log, 0).await, None);
        assert!(read(log, 0, ReadFrom::Beginning).await.is_empty());
        let refused = log.append(vec![event(HUB, 0, "late")]).await;
        assert_eq!(refused.expect_err("a dropped stream takes nothing").kind, ErrorKind::NotFound);
        append(log, vec![event(OTHER_HUB, 1, "on")]).await;
    };
    gone(&*log).await;
    log.close().await.expect("the log closes");
    drop(log);
    let log = open(place, "dropped").await;
    gone(&*log).await;
    let other = log.bounds(OTHER_HUB, 1).await.expect("bounds work");
    assert_eq!(other.map(|bounds| bounds.last_sequence), Some(2));
    log.close().await.expect("the log closes");
}

pub(super) async fn a_closed_log_refuses(log: &dyn EventLog) {
    fill(log, 1).await;
    log.close().await.expect("the log closes");
    log.close().await.expect("closing twice is no error");
    let refused = log.append(vec![event(HUB, 0, "late")]).await;
    assert_eq!(refused.expect_err("a closed log refuses").kind, ErrorKind::Unavailable);
}
