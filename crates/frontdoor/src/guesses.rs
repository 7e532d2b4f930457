//! Wrong credentials slow down whoever sends them: after a few, the next is not looked at before its time. What is counted is
//! a name together with an address, so that nobody locks out the owner of a name from elsewhere.
//!
//! Keys and secrets are random and long, so this keeps no key from being guessed. It keeps the work and the noise of trying down,
//! and tells a client in a loop to stop.
//!
//! Passwords can be guessed, and from many addresses at once. So wrong ones are also counted by name alone, for all addresses from
//! which the right one never came: those wait together, a minute at the longest for each wrong one. Whoever signed in from an address
//! before is counted there only, and no stranger locks that out.

use crate::places::Origin;
use ferrohub_model::clock::{Clock, Moment};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::limits;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest wait after a wrong one: ours.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Time after which wrong ones are forgotten: ours.
const FORGOTTEN: Duration = Duration::from_secs(15 * 60);

/// What may be guessed at, with the number of wrong ones that cost nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The secret of an application at the token endpoint.
    ClientSecret,
    /// The key of a shared access policy at a hub or a provisioning service.
    PolicyKey,
    /// The key of a device at its hub, or of a group at the provisioning service.
    DeviceKey,
    /// The password of a person at the token endpoint. People choose theirs, so it is counted from everywhere as well.
    Password,
}

impl Kind {
    /// Ours. A device whose clock is wrong tries often and means no harm.
    fn free(self) -> u32 {
        match self {
            Self::ClientSecret | Self::Password => 10,
            Self::PolicyKey | Self::DeviceKey => 100,
        }
    }
}

/// A name at which somebody at an address guesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    kind: Kind,
    name: u64,
    origin: Origin,
}

#[derive(Debug, Clone, Copy)]
struct Wrong {
    count: u32,
    last: Moment,
    not_before: Moment,
    /// Whether a right one came from here before.
    familiar: bool,
}

/// Wrong passwords from strange addresses that cost nothing: ours, more than one address has.
const FREE_FROM_ANYWHERE: u32 = 30;
/// Time for which an address stays familiar after a right password: ours.
const FAMILIAR: Duration = Duration::from_secs(30 * 24 * 3600);

/// The wrong ones of late. Two halves, of which the older is dropped when the younger is full: what is still being tried is
/// carried over, and memory is bounded whatever names strangers make up.
pub(crate) struct Guesses {
    clock: Arc<dyn Clock>,
    hasher: RandomState,
    halves: Mutex<[HashMap<Target, Wrong>; 2]>,
}

impl Guesses {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, hasher: RandomState::new(), halves: Mutex::default() }
    }

    /// The target `name`, ignoring case, for a peer at `origin`.
    pub(crate) fn target(&self, kind: Kind, name: &str, origin: Origin) -> Target {
        Target { kind, name: self.hasher.hash_one(name.to_ascii_lowercase()), origin }
    }

    fn lock(&self) -> MutexGuard<'_, [HashMap<Target, Wrong>; 2]> {
        self.halves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, target: &Target, now: Moment) -> Option<Wrong> {
        let halves = self.lock();
        let found = halves.iter().find_map(|half| half.get(target).copied());
        found.filter(|wrong| now.since(wrong.last) < if wrong.familiar { FAMILIAR } else { FORGOTTEN })
    }

    /// The name from everywhere, where that counts: for a password, at an address from which the right one never came.
    fn anywhere(&self, target: &Target, now: Moment) -> Option<Target> {
        let familiar = self.known(target, now).is_some_and(|known| known.familiar);
        (target.kind == Kind::Password && !familiar)
            .then_some(Target { origin: Origin::of(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), ..*target })
    }

    /// Refuses while the time for the next guess has not come.
    ///
    /// # Errors
    /// `Throttled` with the seconds that are left.
    pub(crate) fn check(&self, target: &Target) -> Result<()> {
        let now = self.clock.monotonic();
        let waits = [Some(*target), self.anywhere(target, now)];
        let waits = waits.into_iter().flatten().filter_map(|target| self.known(&target, now));
        let Some(until) = waits.map(|wrong| wrong.not_before).max().filter(|until| *until > now) else { return Ok(()) };
        let seconds = u32::try_from(until.since(now).as_secs() + 1).unwrap_or(u32::MAX);
        metrics::counter!("ferrohub_guesses_refused_total").increment(1);
        let mut error = Error::new(
            ErrorKind::Throttled,
            "TooManyRequests",
            format!(
                "Too many wrong credentials came from this address for this name. Check them, and try again in {seconds} seconds."
            ),
        )
        .with_iot_code(429_001);
        error.retry_after_seconds = Some(seconds);
        Err(error)
    }

    /// Takes note of what became of a guess that was looked at.
    pub(crate) fn note<T>(&self, target: &Target, outcome: &Result<T>) {
        match outcome {
            Ok(_) => self.right(target),
            Err(error) if error.kind == ErrorKind::Unauthenticated => self.wrong(target),
            Err(_) => {}
        }
    }

    /// A right one: the wrong ones before it were its owner's.
    pub(crate) fn right(&self, target: &Target) {
        for half in self.lock().iter_mut() {
            half.remove(target);
        }
        if target.kind == Kind::Password {
            let now = self.clock.monotonic();
            self.keep(target, Wrong { count: 0, last: now, not_before: now, familiar: true });
        }
    }

    /// A wrong one.
    pub(crate) fn wrong(&self, target: &Target) {
        let now = self.clock.monotonic();
        if let Some(anywhere) = self.anywhere(target, now) {
            self.count(&anywhere, FREE_FROM_ANYWHERE, now);
        }
        self.count(target, target.kind.free(), now);
    }

    fn count(&self, target: &Target, free: u32, now: Moment) {
        let known = self.known(target, now);
        let count = known.map_or(0, |wrong| wrong.count).saturating_add(1);
        let wait = match count.checked_sub(free) {
            None | Some(0) => Duration::ZERO,
            Some(over) => Duration::from_secs(1 << (over - 1).min(6)).min(LONGEST_WAIT),
        };
        let familiar = known.is_some_and(|wrong| wrong.familiar);
        self.keep(target, Wrong { count, last: now, not_before: now + wait, familiar });
    }

    fn keep(&self, target: &Target, wrong: Wrong) {
        let mut halves = self.lock();
        if halves[0].len() >= limits::GUESSED_NAMES / 2 && !halves[0].contains_key(target) {
            halves.swap(0, 1);
            halves[0] = HashMap::new();
        }
        halves[0].insert(*target, wrong);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_model::clock::ManualClock;

    fn at(last: u8) -> Origin {
        Origin::of(IpAddr::from([127, 0, 0, last]))
    }

    fn fixture() -> (Arc<ManualClock>, Guesses) {
        let clock = Arc::new(ManualClock::new(jiff::Timestamp::UNIX_EPOCH));
        (clock.clone(), Guesses::new(clock))
    }

    #[test]
    fn the_wait_grows_and_a_right_one_ends_it() {
        let (clock, guesses) = fixture();
        let target = guesses.target(Kind::ClientSecret, "App", at(1));
        let mut waits = Vec::new();
        for _ in 0..18 {
            assert!(guesses.check(&target).is_ok());
            guesses.wrong(&target);
            let wait = guesses.check(&target).err().and_then(|error| error.retry_after_seconds).unwrap_or(0);
            waits.push(wait);
            clock.advance(Duration::from_secs(u64::from(wait)));
        }
        assert_eq!(waits[..10], [0; 10]);
        assert!(waits[10..].is_sorted() && waits[10] <= 2 && waits[17] == 61, "{waits:?}");
        guesses.right(&target);
        guesses.wrong(&target);
        assert!(guesses.check(&target).is_ok());
    }

    #[test]
    fn nobody_is_locked_out_by_others() {
        let (_, guesses) = fixture();
        let target = guesses.target(Kind::ClientSecret, "app", at(1));
        for _ in 0..1000 {
            guesses.wrong(&target);
        }
        let refused = guesses.check(&guesses.target(Kind::ClientSecret, "APP", at(1))).unwrap_err();
        assert_eq!((refused.http_status(), refused.numeric_code()), (429, 429_001));
        assert!(guesses.check(&guesses.target(Kind::ClientSecret, "app", at(2))).is_ok());
        assert!(guesses.check(&guesses.target(Kind::ClientSecret, "other", at(1))).is_ok());
        assert!(guesses.check(&guesses.target(Kind::PolicyKey, "app", at(1))).is_ok());
    }

    #[test]
    fn a_password_is_guessed_from_many_addresses_and_its_owner_gets_in_all_the_same() {
        let (clock, guesses) = fixture();
        let own = guesses.target(Kind::Password, "ann@x", at(1));
        guesses.right(&own);
        for last in 2..=32 {
            guesses.wrong(&guesses.target(Kind::Password, "ANN@x", at(last)));
        }
        let stranger = guesses.target(Kind::Password, "ann@x", at(200));
        let wait = guesses.check(&stranger).unwrap_err().retry_after_seconds.unwrap();
        assert!(wait <= 61, "{wait}");
        assert!(guesses.check(&own).is_ok(), "a familiar address");
        assert!(guesses.check(&guesses.target(Kind::Password, "bob@x", at(200))).is_ok());
        for _ in 0..100 {
            guesses.wrong(&guesses.target(Kind::Password, "ann@x", at(77)));
        }
        assert!(guesses.check(&stranger).unwrap_err().retry_after_seconds.unwrap() <= 61, "never longer than that");
        assert!(guesses.check(&own).is_ok());
        for _ in 0..11 {
            guesses.wrong(&own);
        }
        assert!(guesses.check(&own).is_err(), "its own wrong ones count");
        clock.advance(Duration::from_secs(61));
        assert!(guesses.check(&own).is_ok() && guesses.check(&stranger).is_ok());
    }

    #[test]
    fn wrong_ones_are_forgotten_in_the_end() {
        let (clock, guesses) = fixture();
        let target = guesses.target(Kind::ClientSecret, "app", at(1));
        for _ in 0..11 {
            guesses.wrong(&target);
        }
        clock.advance(FORGOTTEN);
        guesses.wrong(&target);
        assert!(guesses.check(&target).is_ok());
    }

    #[test]
    fn made_up_names_take_bounded_memory_and_do_not_push_out_what_is_tried_on() {
        let (_, guesses) = fixture();
        let tried = guesses.target(Kind::ClientSecret, "tried", at(1));
        for nth in 0..limits::GUESSED_NAMES * 2 {
            guesses.wrong(&guesses.target(Kind::ClientSecret, &format!("made up {nth}"), at(2)));
            if nth % 1000 == 0 {
                guesses.wrong(&tried);
            }
        }
        assert!(guesses.check(&tried).is_err());
        let held: usize = guesses.lock().iter().map(HashMap::len).sum();
        assert!(held <= limits::GUESSED_NAMES, "{held}");
    }
}
