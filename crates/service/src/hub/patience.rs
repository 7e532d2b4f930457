//! How long a session puts up with a store that is too busy to answer.

use ferrohub_model::clock::Moment;
use ferrohub_model::random::Random;
use std::time::Duration;

/// The longest pause before the second try, doubled for each further one: ours.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause at all: ours.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After how long without an answer the session gives up: ours.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Pauses between the tries of one check. The pauses are random, so that thousands of sessions that were
/// refused in one moment do not come back in one moment.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// When the first try failed.
    since: Option<Moment>,
    /// When the next try is due.
    due: Option<Moment>,
    tries: u32,
}

impl Patience {
    /// When the next try is due, if one is waited for.
    pub(super) fn due(&self) -> Option<Moment> {
        self.due
    }

    /// Whether the next try must still wait.
    pub(super) fn waits(&self, now: Moment) -> bool {
        self.due.is_some_and(|due| now < due)
    }

    /// Notes that a try failed, and whether there is to be another.
    pub(super) fn failed(&mut self, now: Moment, random: &dyn Random) -> bool {
        let since = *self.since.get_or_insert(now);
        if now.since(since) >= LONGEST_WAIT {
            return false;
        }
        let most = FIRST_PAUSE.saturating_mul(1 << self.tries.min(10)).min(LONGEST_PAUSE);
        let mut bytes = [0; 4];
        random.fill(&mut bytes);
        // From half of the longest to all of it.
        let part = f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX);
        self.due = Some(now + most.mul_f64(0.5 + part / 2.0));
        self.tries = self.tries.saturating_add(1);
        true
    }

    /// Notes that everything could be looked at.
    pub(super) fn rest(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_model::random::SeededRandom;

    #[test]
    fn pauses_grow_differ_and_end() {
        let (mut patience, random) = (Patience::default(), SeededRandom::new(7));
        let start = Moment::START;
        let (mut now, mut pauses) = (start, Vec::new());
        while patience.failed(now, &random) {
            assert!(patience.waits(now));
            let due = patience.due().unwrap();
            pauses.push(due.since(now));
            now = due;
            assert!(!patience.waits(now));
        }
        assert!((FIRST_PAUSE / 2..=FIRST_PAUSE).contains(&pauses[0]), "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE));
        let waited = now.since(start);
        assert!((LONGEST_WAIT..=LONGEST_WAIT + LONGEST_PAUSE).contains(&waited), "{waited:?}");
        patience.rest();
        assert!(patience.failed(now, &random));
        let again = patience.due().unwrap().since(now);
        assert!(again <= FIRST_PAUSE && again != pauses[0]);
    }
}
