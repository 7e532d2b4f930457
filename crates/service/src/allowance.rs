//! How much somebody who has proven who it is may do: one device with its key, or one registration, does not fill the disk or
//! the inventory in a minute.
//!
//! What is done has a cost in time, the time that it takes at the sustained rate. Who has been quiet may run ahead of that by
//! the burst. Counts are those of one process, and live in memory only.

use ferrohub_model::clock::Moment;
use ferrohub_model::error::{Error, ErrorKind};
use ferrohub_model::guessing::Recent;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The allowances of those with one kind of key.
///
/// Of each only the moment is kept until which it has used its time up, and only while that lies ahead. Where many do
/// much at once, those that have done nothing for longest are forgotten, so memory is bounded.
pub(crate) struct Allowances {
    burst: Duration,
    hasher: RandomState,
    /// By the hash of a key.
    used_up: Mutex<Recent<u64, Moment>>,
}

impl Allowances {
    /// Allowances that may be overdrawn by `burst`, of at most `most` keys.
    pub(crate) fn new(burst: Duration, most: usize) -> Self {
        Self { burst, hasher: RandomState::new(), used_up: Mutex::new(Recent::new(most)) }
    }

    /// Takes `cost`, and says how long to wait before doing what it was taken for.
    pub(crate) fn take(&self, key: impl Hash, cost: Duration, now: Moment) -> Duration {
        let key = self.hasher.hash_one(key);
        let mut all = self.lock();
        let used_up = used_up(&all, key, now) + cost;
        all.put_among(key, used_up, |until| *until > now);
        used_up.since(now).saturating_sub(self.burst)
    }

    /// Takes `cost` if that is allowed now.
    ///
    /// # Errors
    /// How long to wait otherwise; nothing was taken then.
    pub(crate) fn try_take(&self, key: impl Hash, cost: Duration, now: Moment) -> Result<(), Duration> {
        let key = self.hasher.hash_one(key);
        let mut all = self.lock();
        let used_up = used_up(&all, key, now) + cost;
        let wait = used_up.since(now).saturating_sub(self.burst);
        if !wait.is_zero() {
            return Err(wait);
        }
        all.put_among(key, used_up, |until| *until > now);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Recent<u64, Moment>> {
        // Nothing between two changes of the maps can panic.
        self.used_up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until when the key has used its time up; not before now.
fn used_up(all: &Recent<u64, Moment>, key: u64, now: Moment) -> Moment {
    all.get(&key).map_or(now, |until| until.max(now))
}

/// The refusal of somebody who does too much; `what` says what, without a full stop.
pub(crate) fn too_much(what: &str, wait: Duration) -> Error {
    let seconds = u32::try_from(wait.as_secs() + 1).unwrap_or(u32::MAX);
    metrics::counter!("ferrohub_too_much_refused_total").increment(1);
    let message = format!("{what}; try again in {seconds} seconds.");
    let mut error = Error::new(ErrorKind::Throttled, "TooManyRequests", message).with_iot_code(429_001);
    error.retry_after_seconds = Some(seconds);
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_is_free_and_then_the_rate_holds() {
        let allowances = Allowances::new(10 * SECOND, 100);
        let mut now = Moment::START;
        assert_eq!(allowances.take(1, 10 * SECOND, now), Duration::ZERO);
        assert_eq!(allowances.take(1, 2 * SECOND, now), 2 * SECOND);
        assert_eq!(allowances.take(2, SECOND, now), Duration::ZERO, "another has an allowance of its own");
        now = now + 4 * SECOND;
        assert_eq!(allowances.take(1, 2 * SECOND, now), Duration::ZERO);
        now = now + 100 * SECOND;
        assert_eq!(allowances.take(1, 11 * SECOND, now), SECOND, "to be quiet for long saves no more than a burst");
    }

    #[test]
    fn what_is_refused_costs_nothing() {
        let allowances = Allowances::new(2 * SECOND, 100);
        let now = Moment::START;
        assert_eq!(allowances.try_take(1, 2 * SECOND, now), Ok(()));
        for _ in 0..3 {
            assert_eq!(allowances.try_take(1, SECOND, now), Err(SECOND));
        }
        assert_eq!(allowances.try_take(1, SECOND, now + SECOND), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_who_goes_on_is_not_forgotten() {
        let allowances = Allowances::new(SECOND, 100);
        let now = Moment::START;
        allowances.take(0, 1000 * SECOND, now);
        for nth in 1..1000 {
            allowances.take(nth, SECOND, now);
            if nth % 20 == 0 {
                assert!(allowances.take(0, SECOND, now) > 900 * SECOND);
            }
        }
        let held = allowances.lock().len();
        assert!(held <= 100, "{held}");
    }
}
