//! How long a writer that commits in groups waits for the callers that it knows of.

use std::time::Duration;

/// Longest wait, whatever a batch takes: ours.
const LONGEST: Duration = Duration::from_millis(1);

/// Who is likely to come together again, and how long they are waited for.
///
/// A lone caller waits for nobody; 64 callers share one sync instead of two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    callers: usize,
    most: Duration,
}

impl Pace {
    /// After a batch whose `callers` are to be waited for, `most` long at most, and never longer than a millisecond.
    pub fn after(callers: usize, most: Duration) -> Self {
        Self { callers, most: most.min(LONGEST) }
    }

    /// How much longer a batch of `gathered` callers, `waited` after its first one, waits for more; zero once they are all there.
    pub fn patience(&self, gathered: usize, waited: Duration) -> Duration {
        if gathered >= self.callers {
            return Duration::ZERO;
        }
        self.most.saturating_sub(waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_the_callers_it_knows_and_not_long() {
        let pace = Pace::after(64, Duration::from_micros(100));
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
