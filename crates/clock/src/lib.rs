//! The machine's clock: the engine behind [`Clock`], and the only place that reads ambient time.
//!
//! It is a crate of its own because it needs a runtime's timer, which `model` must not see, and because tests and benches
//! of every room run by it. In production only the program names it.
#![expect(clippy::disallowed_methods, reason = "this is the one clock that reads the machine's time")]

use ferrohub_model::clock::{Clock, Moment, Sleep};
use jiff::Timestamp;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::time::Instant;

/// The machine's clock. All values are the same clock, which begins when it is first asked.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

/// Where monotonic time begins.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

impl SystemClock {
    /// The clock to be handed on.
    pub fn shared() -> Arc<dyn Clock> {
        Arc::new(Self)
    }

    /// Blocks this thread for `pause`: for tests and tools that have no runtime.
    pub fn block(self, pause: Duration) {
        std::thread::sleep(pause);
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Moment {
        // Both as tokio sees them, so that a runtime whose time is paused stays in one time.
        let began = *BEGAN;
        Moment::START + Instant::now().saturating_duration_since(began)
    }

    /// # Panics
    /// Outside a runtime with a timer.
    fn sleep_until(&self, until: Moment) -> Sleep {
        match BEGAN.checked_add(until.since(Moment::START)) {
            Some(until) => Box::pin(tokio::time::sleep_until(until)),
            None => Box::pin(std::future::pending()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_model::clock::{Elapsed, timeout};

    #[tokio::test(start_paused = true)]
    async fn sleeps_and_timeouts_follow_the_runtime() {
        let clock = SystemClock;
        let begun = clock.monotonic();
        clock.sleep(Duration::from_secs(3600)).await;
        assert_eq!(clock.monotonic().since(begun).as_secs(), 3600);
        let slow = clock.sleep(Duration::from_secs(2));
        assert_eq!(timeout(&clock, Duration::from_secs(1), slow).await, Err(Elapsed));
        clock.sleep_until(begun).await;
        assert_eq!(clock.monotonic().since(begun).as_secs(), 3601);
        assert!(timeout(&clock, Duration::MAX, async {}).await.is_ok());
    }
}
