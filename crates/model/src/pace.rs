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

    /// How much longer a batch of `gathered` callers, `waited` after its first one, waits for more: at most a quarter of
    /// what the last batch took, and at most a millisecond, in all; zero once they are all there.
    pub fn patience(&self, gathered: usize, waited: Duration) -> Duration {
        if gathered >= self.callers {
            return Duration::ZERO;
        }
        (self.took / 4).min(LONGEST).saturating_sub(waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_the_callers_of_the_last_batch_and_not_long() {
        let pace = Pace::after(64, Duration::from_micros(400));
        let (none, micros) = (Duration::ZERO, Duration::from_micros);
        assert_eq!(pace.patience(1, none), micros(100));
        assert_eq!(pace.patience(1, micros(99)), micros(1));
        assert_eq!(pace.patience(1, micros(101)), none);
        assert_eq!(pace.patience(64, none), none);
        assert_eq!(Pace::after(64, Duration::from_secs(1)).patience(1, none), LONGEST);
        assert_eq!(Pace::after(1, Duration::from_secs(1)).patience(1, none), none);
        assert_eq!(Pace::default().patience(1, none), none);
    }
}
