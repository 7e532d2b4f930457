//! How loud strangers may be in the log: what one address causes is told a few times a minute, and what all cause together some
//! more. The rest goes where only who looks for it sees it.

use crate::places::Origin;
use ferrohub_model::clock::{Clock, Moment};
use ferrohub_model::limits::{REFUSED_LINES, REFUSED_LINES_OF_ADDRESS};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Time after which all may be told anew: ours.
const MINUTE: Duration = Duration::from_secs(60);

/// What was told in the present minute.
#[derive(Default)]
struct Told {
    since: Option<Moment>,
    total: u32,
    by: HashMap<Origin, u32>,
}

/// Decides what is told.
pub(crate) struct Quiet {
    clock: Arc<dyn Clock>,
    told: Mutex<Told>,
}

impl Quiet {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, told: Mutex::default() }
    }

    /// Whether a line about a peer at `address` may still be told.
    pub(crate) fn may_tell(&self, address: IpAddr) -> bool {
        let now = self.clock.monotonic();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.since.is_none_or(|since| now.since(since) >= MINUTE) {
            *told = Told { since: Some(now), ..Told::default() };
        }
        // No more addresses than lines are remembered.
        if told.total >= REFUSED_LINES {
            return false;
        }
        let own = told.by.entry(Origin::of(address)).or_default();
        if *own >= REFUSED_LINES_OF_ADDRESS {
            return false;
        }
        *own += 1;
        told.total += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_model::clock::ManualClock;

    #[test]
    fn few_lines_for_one_address_and_some_for_all() {
        let clock = Arc::new(ManualClock::new(jiff::Timestamp::UNIX_EPOCH));
        let quiet = Quiet::new(clock.clone());
        let told = |last: u8| (0..1000).filter(|_| quiet.may_tell(IpAddr::from([127, 0, 0, last]))).count();
        assert_eq!((told(1), told(2)), (10, 10));
        assert_eq!((3..=255).map(told).sum::<usize>(), 180);
        clock.advance(MINUTE);
        assert_eq!(told(1), 10);
    }
}
