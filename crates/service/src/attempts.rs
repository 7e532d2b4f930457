//! Trying again what met a newer version of a row.

use ferrohub_model::clock::Clock;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::CONFLICT_RETRIES;
use ferrohub_model::random::Random;
use std::time::Duration;

/// Longest pause before another attempt: ours.
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

/// Counts the attempts of one change. Each attempt reads, builds its unit anew and submits it with
/// [`Platform::try_commit`](crate::platform::Platform::try_commit):
///
/// ```ignore
/// let mut attempts = platform.attempts();
/// loop {
///     attempts.begin(|| contended(id)).await?;
///     … read, check, build `change` …
///     if platform.try_commit(change).await? {
///         return Ok(…);
///     }
/// }
/// ```
///
/// Writers of one process queue up (`Platform::turn`), those of two do not: their units may land in the same group commits
/// again and again, with the same one losing each time. So who lost twice waits for a random while, longer each time.
pub(crate) struct Attempts<'a> {
    begun: usize,
    clock: &'a dyn Clock,
    random: &'a dyn Random,
}

impl<'a> Attempts<'a> {
    /// None made yet.
    pub(crate) fn new(clock: &'a dyn Clock, random: &'a dyn Random) -> Self {
        Self { begun: 0, clock, random }
    }

    /// Begins the next attempt; the third and later ones after a pause.
    ///
    /// # Errors
    /// `contended` after [`CONFLICT_RETRIES`] of them.
    pub(crate) async fn begin(&mut self, contended: impl FnOnce() -> Error) -> Result<()> {
        if self.begun >= CONFLICT_RETRIES {
            return Err(contended());
        }
        if self.begun > 1 {
            self.clock.sleep(self.pause()).await;
        }
        self.begun += 1;
        Ok(())
    }

    /// Between nothing and 2 ms before the third attempt, twice as much before each later one.
    fn pause(&self) -> Duration {
        let longest = LONGEST_PAUSE.min(Duration::from_millis(1 << (self.begun - 1).min(16)));
        let mut share = [0; 4];
        self.random.fill(&mut share);
        longest.mul_f64(f64::from(u32::from_le_bytes(share)) / f64::from(u32::MAX))
    }

    /// Whether the attempt that was begun is not the first: what was read before is old.
    pub(crate) fn again(&self) -> bool {
        self.begun > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_model::clock::ManualClock;
    use ferrohub_model::random::SeededRandom;
    use futures_util::FutureExt;

    #[test]
    fn they_end() {
        let (clock, random) = (ManualClock::new("2026-11-20T10:00:00Z".parse().unwrap()), SeededRandom::new(1));
        let mut attempts = Attempts::new(&clock, &random);
        for number in 0..CONFLICT_RETRIES {
            {
                let mut begun = std::pin::pin!(attempts.begin(|| Error::conflict("x")));
                let at_once = begun.as_mut().now_or_never();
                assert_eq!(at_once.is_some(), number < 2, "attempt {number}");
                if at_once.is_none() {
                    clock.advance(LONGEST_PAUSE);
                    begun.now_or_never().unwrap().unwrap();
                }
            }
            assert_eq!(attempts.again(), number > 0);
        }
        assert_eq!(attempts.begin(|| Error::conflict("x")).now_or_never().unwrap().unwrap_err().message, "x");
    }
}
