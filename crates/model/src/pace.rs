//! How long a writer that commits in groups waits for the callers of its last batch.

use std::time::Duration;

/// Longest wait, whatever a batch takes: ours.
const LONGEST: Duration = Duration::from_millis(1);

/// What the last batch was like: how many callers are likely to come together again, and what it took.
///
/// A lone caller waits for nobody; 64 callers share one sync instead of two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    callers: usize,
    took: Duration,
}

impl Pace {
    /// After a batch of `callers` that took `took`, from its first write to its answers.
    pub fn after(callers: usize, took: Duration) -> Self {
        Self { callers, took }
    }

    /// Whether a batch of `gathered` callers, `waited` after its first one, should wait for more: at most a quarter of
    /// what the last batch took, and at most a millisecond.
    pub fn expects_more(&self, gathered: usize, waited: Duration) -> bool {
        gathered < self.callers && waited < (self.took / 4).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_the_callers_of_the_last_batch_and_not_long() {
        let pace = Pace::after(64, Duration::from_micros(400));
        assert!(pace.expects_more(1, Duration::from_micros(99)));
        assert!(!pace.expects_more(1, Duration::from_micros(100)));
        assert!(!pace.expects_more(64, Duration::ZERO));
        assert!(!Pace::after(64, Duration::from_secs(1)).expects_more(1, LONGEST));
        assert!(!Pace::after(1, Duration::from_secs(1)).expects_more(1, Duration::ZERO));
        assert!(!Pace::default().expects_more(1, Duration::ZERO));
    }
}
