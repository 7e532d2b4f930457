//! Time as an argument: the wall clock, and a monotonic one that owns all sleeping and every deadline.
//!
//! Ambient time is forbidden by `clippy.toml`. The machine's clock is an engine of its own (`ferrohub-clock`), as a store
//! is; [`ManualClock`] is the one of tests and simulations.

mod alarm;
mod manual;

pub use alarm::Alarm;
pub use manual::ManualClock;

use jiff::Timestamp;
use std::fmt;
use std::future::{Future, poll_fn};
use std::ops::Add;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

/// A source of time. Wall-clock time can be set back; the monotonic time only grows and serves timers and durations.
pub trait Clock: Send + Sync + 'static {
    /// Wall-clock time.
    fn now(&self) -> Timestamp;

    /// Monotonic time.
    fn monotonic(&self) -> Moment;

    /// Ends once [`Self::monotonic`] has reached `until`, at once when it has already.
    fn sleep_until(&self, until: Moment) -> Sleep;

    /// Ends when `pause` has passed.
    fn sleep(&self, pause: Duration) -> Sleep {
        self.sleep_until(self.monotonic() + pause)
    }

    /// Seconds since the Unix epoch.
    fn unix_seconds(&self) -> i64 {
        self.now().as_second()
    }
}

/// A wait for a moment. It is a box, so nothing that happens for each message may make one; dropping it ends the wait.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// A point in a clock's monotonic time: nanoseconds since the clock began. Moments of two clocks mean nothing to each
/// other, and none outlives the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// The beginning of the clock.
    pub const START: Self = Self(0);

    /// The time from `earlier` to this moment; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    /// The moment `later` after this one; the last one there is (after 584 years) where that is out of range.
    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(later.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// The time for a piece of work ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it took too long")
    }
}

impl std::error::Error for Elapsed {}

/// Gives `work` as long as `within` from its first wait on. Work that needs no wait costs no look at the clock.
///
/// # Errors
/// [`Elapsed`], and `work` is dropped.
pub fn timeout<T>(
    clock: &dyn Clock,
    within: Duration,
    work: impl Future<Output = T>,
) -> impl Future<Output = Result<T, Elapsed>> {
    bounded(work, move || clock.sleep(within))
}

/// Gives `work` until the moment `until`. Work that is done at once is done, also behind that moment.
///
/// # Errors
/// [`Elapsed`], and `work` is dropped.
pub fn timeout_at<T>(
    clock: &dyn Clock,
    until: Moment,
    work: impl Future<Output = T>,
) -> impl Future<Output = Result<T, Elapsed>> {
    bounded(work, move || clock.sleep_until(until))
}

async fn bounded<T>(work: impl Future<Output = T>, limit: impl Fn() -> Sleep) -> Result<T, Elapsed> {
    let mut work = pin!(work);
    let mut sleep: Option<Sleep> = None;
    poll_fn(move |cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Ok(done));
        }
        sleep.get_or_insert_with(&limit).as_mut().poll(cx).map(|()| Err(Elapsed))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_neither_overflow_nor_run_backwards() {
        let later = Moment::START + Duration::from_millis(5);
        assert_eq!(later.since(Moment::START), Duration::from_millis(5));
        assert_eq!(Moment::START.since(later), Duration::ZERO);
        let last = later + Duration::MAX;
        assert_eq!(last + Duration::from_nanos(1), last);
    }
}
