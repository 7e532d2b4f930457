//! The suites that every engine passes.
//!
//! An engine's test implements [`Place`] and calls [`event_log`], or calls [`bus`] with a bus. Each
//! check panics with a sentence when the engine breaks the contract.
#![expect(clippy::expect_used, reason = "a conformance suite reports by panicking, as tests do")]

mod bus_checks;
mod handle_checks;
mod log_checks;
mod turns;

use crate::{Bus, EventLog};
use async_trait::async_trait;
use ferrohub_model::clock::Clock;
use ferrohub_model::error::Result;
use std::sync::Arc;

/// Where an engine keeps the suite's logs.
#[async_trait]
pub trait Place: Send + Sync {
    /// Opens the log called `name`, empty when it is new. The suite closes and drops every handle of a
    /// log before it opens the same one again.
    ///
    /// # Errors
    /// The engine's own.
    async fn open(&self, name: &str) -> Result<Arc<dyn EventLog>>;

    /// A second handle of the log `name` that `first` was opened on, as another process would have it; the same one where
    /// an engine is for one process.
    ///
    /// # Errors
    /// The engine's own.
    async fn second(&self, name: &str, first: &Arc<dyn EventLog>) -> Result<Arc<dyn EventLog>>;
}

/// Runs every check of the event log, on two handles that take turns; waits go by `clock`, which must be the one that the log was opened with.
pub async fn event_log(place: &dyn Place, clock: &dyn Clock) {
    let open = async |name: &str| open(place, name).await;
    log_checks::what_was_appended_is_read(&*open("append").await).await;
    log_checks::partitions_count_on_their_own(&*open("partitions").await).await;
    log_checks::reads_start_where_they_are_told(&*open("starts").await, clock).await;
    log_checks::reads_stop_at_their_limits(&*open("stops").await).await;
    log_checks::limits_hold(&*open("limits").await).await;
    log_checks::concurrent_appends_leave_no_gap(open("concurrent").await).await;
    log_checks::watchers_are_woken(open("watch").await, clock).await;
    log_checks::everything_outlives_a_restart(place).await;
    log_checks::expiry_keeps_the_count(place).await;
    log_checks::streams_expire_on_their_own(place, clock).await;
    log_checks::dropped_streams_are_gone(place).await;
    log_checks::a_closed_log_refuses(&*open("closed").await).await;
    let pair = async |name: &str| pair(place, name).await;
    let (one, other) = pair("crossing").await;
    handle_checks::what_one_appends_the_other_reads(&*one, &*other).await;
    let (one, other) = pair("racing").await;
    handle_checks::appends_at_both_leave_no_gap(&*one, &*other).await;
    let (one, other) = pair("waking").await;
    handle_checks::appends_wake_at_both(&*one, &*other, clock).await;
    let (one, other) = pair("taking").await;
    handle_checks::what_one_takes_is_gone_at_both(&*one, &*other, clock).await;
}

async fn pair(place: &dyn Place, name: &str) -> (Arc<dyn EventLog>, Arc<dyn EventLog>) {
    let first = place.open(name).await.expect("the log opens");
    let second = place.second(name, &first).await.expect("a second handle opens");
    (first, second)
}

/// The log behind two handles that take turns.
async fn open(place: &dyn Place, name: &str) -> Arc<dyn EventLog> {
    let (first, second) = pair(place, name).await;
    Arc::new(turns::Turns::new(first, second))
}

/// Runs every check of the bus over two handles of it, as two processes have them; waits go by `clock`.
pub async fn bus(first: &dyn Bus, second: &dyn Bus, clock: &dyn Clock) {
    for (bus, other) in [(first, first), (first, second), (second, first)] {
        bus_checks::subscribers_get_their_subject(bus, other, clock).await;
        bus_checks::a_slow_subscriber_is_told(bus, other, clock).await;
        bus_checks::the_newest_claim_wins(bus, other, clock).await;
        bus_checks::a_dropped_claim_is_released(bus, other).await;
    }
}
