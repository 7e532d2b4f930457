//! What two handles of one log promise each other, as two processes have them.

use super::log_checks::{HUB, OTHER_HUB, append, bounds, event, fill, read, sequences};
use crate::{EventLog, ReadFrom};
use ferrohub_model::clock::{Clock, timeout};
use ferrohub_model::error::ErrorKind;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// Whatever was acknowledged at one handle is read at the other, in the one order that the log has.
pub(super) async fn what_one_appends_the_other_reads(one: &dyn EventLog, other: &dyn EventLog) {
    let mut positions = Vec::new();
    for round in 0..10 {
        let (writer, reader) = if round % 2 == 0 { (one, other) } else { (other, one) };
        positions.extend(
            append(writer, vec![event(HUB, 0, format!("{round}/0")), event(HUB, 0, format!("{round}/1"))]).await,
        );
        let found = read(reader, 0, ReadFrom::Sequence(2 * round)).await;
        assert_eq!(sequences(&found), [2 * round, 2 * round + 1], "round {round}: it is there at once");
        assert_eq!(bounds(reader, 0).await, bounds(writer, 0).await, "round {round}");
    }
    let all = read(one, 0, ReadFrom::Beginning).await;
    assert_eq!(all, read(other, 0, ReadFrom::Beginning).await, "both give out the same");
    let numbers: Vec<u64> = positions.iter().map(|position| position.sequence).collect();
    assert_eq!(numbers, (0..20).collect::<Vec<_>>(), "both count on from where the other stopped");
    assert!(positions.windows(2).all(|pair| pair[0].offset < pair[1].offset), "offsets grow across handles");
    assert_eq!(one.streams().await.expect("streams work"), other.streams().await.expect("streams work"));
}

/// Events that each of two racing handles appends.
const EACH: u64 = 200;

/// Appends that race through two handles take turns: no gap, nothing twice, each handle's own in its order.
pub(super) async fn appends_at_both_leave_no_gap(one: &dyn EventLog, other: &dyn EventLog) {
    let write = async |log: &dyn EventLog| {
        let mut mine = Vec::new();
        for _ in 0..EACH {
            mine.push(append(log, vec![event(HUB, 0, "race")]).await[0].sequence);
        }
        assert!(mine.is_sorted(), "one handle's events stay in order");
        mine
    };
    let (mut all, rest) = tokio::join!(write(one), write(other));
    all.extend(rest);
    all.sort_unstable();
    assert_eq!(all, (0..2 * EACH).collect::<Vec<_>>());
    for log in [one, other] {
        assert_eq!(sequences(&read(log, 0, ReadFrom::Beginning).await), all);
    }
}

/// Who waits at one handle wakes for an append at the other, for its own stream only, and finds the event.
pub(super) async fn appends_wake_at_both(one: &dyn EventLog, other: &dyn EventLog, clock: &dyn Clock) {
    for (number, (writer, reader)) in [(one, other), (other, one)].into_iter().enumerate() {
        let (mut appended, elsewhere) = (reader.appended(HUB), reader.appended(OTHER_HUB));
        let before = *appended.borrow_and_update();
        let (woken, _) = tokio::join!(timeout(clock, PATIENCE, appended.changed()), fill(writer, 1));
        woken.expect("an append wakes who waits at the other handle").expect("the log is open");
        assert!(*appended.borrow() > before, "the watched value grows");
        assert_eq!(read(reader, 0, ReadFrom::Sequence(number as u64)).await.len(), 1, "who wakes finds the event");
        assert!(!elsewhere.has_changed().expect("the log is open"), "nobody wakes for another stream");
    }
}

/// What one handle expired or dropped the other gives out no more.
pub(super) async fn what_one_takes_is_gone_at_both(one: &dyn EventLog, other: &dyn EventLog, clock: &dyn Clock) {
    fill(one, 5).await;
    clock.sleep(Duration::from_millis(20)).await;
    let kept = fill(other, 1).await[0];
    append(one, vec![event(OTHER_HUB, 0, "kept")]).await;
    one.expire(HUB, kept.enqueued_ms).await.expect("expiry works");
    // Both worker processes sweep; the later one, whose clock may be behind, takes no more and brings nothing back.
    other.expire(HUB, kept.enqueued_ms).await.expect("expiring twice is no error");
    other.expire(HUB, 0).await.expect("a line that moves back is no error");
    for log in [one, other] {
        assert_eq!(sequences(&read(log, 0, ReadFrom::Beginning).await), [5]);
        assert_eq!(bounds(log, 0).await.map(|bounds| bounds.first_sequence), Some(5));
        assert_eq!(log.bounds(OTHER_HUB, 0).await.expect("bounds work").map(|bounds| bounds.last_sequence), Some(0));
    }
    let next = fill(other, 1).await[0].sequence;
    assert_eq!(next, 6, "the count goes on at the handle that did not expire");

    let (first, second) = tokio::join!(one.drop_stream(HUB), other.drop_stream(HUB));
    first.and(second).expect("both may drop it");
    for log in [one, other] {
        assert_eq!(log.streams().await.expect("streams work"), [OTHER_HUB]);
        assert!(read(log, 0, ReadFrom::Beginning).await.is_empty());
        let refused = log.append(vec![event(HUB, 0, "late")]).await;
        assert_eq!(refused.expect_err("a dropped stream takes nothing").kind, ErrorKind::NotFound);
    }
}
