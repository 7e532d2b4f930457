//! Wrong keys and secrets slow down whoever sends them: after a few, the next wrong one is told to wait. What is counted is a name
//! together with an address. A right one counts at any time: behind one address may be a plant, and nobody in it may lock the others out.
//!
//! Keys and secrets are random and long, so this keeps no key from being guessed. It keeps the noise of trying down, and tells a
//! client in a loop to stop. So each process counts for itself, and forgets with its end. Passwords, which people choose,
//! are another matter and counted in `ferrohub_service`.

use crate::places::Origin;
use ferrohub_model::clock::{Clock, Moment};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::guessing::{FORGOTTEN, Recent, wait_after};
use ferrohub_model::limits;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What may be guessed at, with the number of wrong ones that cost nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The secret of an application at the token endpoint.
    ClientSecret,
    /// The key of a shared access policy at a hub or a provisioning service.
    PolicyKey,
    /// The key of a device at its hub, or of a group at the provisioning service.
    DeviceKey,
}

impl Kind {
    /// Ours. A device whose clock is wrong tries often and means no harm.
    fn free(self) -> u32 {
        match self {
            Self::ClientSecret => 10,
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
}

/// The wrong ones of late, those of each kind by themselves: names that somebody makes up push out none of another kind.
pub(crate) struct Guesses {
    clock: Arc<dyn Clock>,
    hasher: RandomState,
    kinds: [Mutex<Recent<Target, Wrong>>; 3],
}

impl Guesses {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let kinds = std::array::from_fn(|_| Mutex::new(Recent::new(limits::GUESSED_NAMES)));
        Self { clock, hasher: RandomState::new(), kinds }
    }

    /// The target `name`, ignoring case, for a peer at `origin`.
    pub(crate) fn target(&self, kind: Kind, name: &str, origin: Origin) -> Target {
        Target { kind, name: self.hasher.hash_one(name.to_ascii_lowercase()), origin }
    }

    fn of(&self, target: &Target) -> MutexGuard<'_, Recent<Target, Wrong>> {
        let [secrets, policies, devices] = &self.kinds;
        let kind = match target.kind {
            Kind::ClientSecret => secrets,
            Kind::PolicyKey => policies,
            Kind::DeviceKey => devices,
        };
        kind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of what became of a guess, and tells it to whoever guessed: of a wrong one that came before its time, only that.
    ///
    /// # Errors
    /// Those of `outcome`; `Throttled`.
    pub(crate) fn judge<T>(&self, target: &Target, outcome: Result<T>) -> Result<T> {
        match &outcome {
            Ok(_) => self.right(target),
            Err(error) if error.kind == ErrorKind::Unauthenticated => self.wrong(target)?,
            Err(_) => {}
        }
        outcome
    }

    /// Refuses while the time for the next guess has not come.
    fn check(&self, target: &Target) -> Result<()> {
        let now = self.clock.monotonic();
        let until = self.of(target).get(target).map(|wrong| wrong.not_before).filter(|until| *until > now);
        let Some(until) = until else { return Ok(()) };
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

    /// A right one: the wrong ones before it were its owner's.
    pub(crate) fn right(&self, target: &Target) {
        self.of(target).remove(target);
    }

    /// A wrong one. Before its time it counts for nothing.
    ///
    /// # Errors
    /// `Throttled` with the seconds that are left.
    pub(crate) fn wrong(&self, target: &Target) -> Result<()> {
        let waits = self.check(target);
        let now = self.clock.monotonic();
        let mut recent = self.of(target);
        if waits.is_err() {
            // It stays among those of late all the same: names that are made up do not push out what is tried on.
            let known = recent.get(target);
            known.into_iter().for_each(|known| recent.put(*target, known));
            return waits;
        }
        let known = recent.get(target).filter(|wrong| now.since(wrong.last) < FORGOTTEN);
        let count = known.map_or(0, |wrong| wrong.count).saturating_add(1);
        recent.put(*target, Wrong { count, last: now, not_before: now + wait_after(count, target.kind.free()) });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_model::clock::ManualClock;
    use std::net::IpAddr;
    use std::time::Duration;

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
            guesses.wrong(&target).unwrap();
            let wait = guesses.check(&target).err().and_then(|error| error.retry_after_seconds).unwrap_or(0);
            waits.push(wait);
            clock.advance(Duration::from_secs(u64::from(wait)));
        }
        assert_eq!(waits[..10], [0; 10]);
        assert!(waits[10..].is_sorted() && waits[10] <= 2 && waits[17] == 61, "{waits:?}");
        // In between it counts, whatever was wrong before.
        guesses.wrong(&target).unwrap();
        assert!(
            guesses
                .judge::<()>(&target, Err(Error::unauthenticated("x")))
                .is_err_and(|error| error.http_status() == 429)
        );
        assert_eq!(guesses.judge(&target, Ok(7)).unwrap(), 7);
        assert!(
            guesses
                .judge::<()>(&target, Err(Error::unauthenticated("x")))
                .is_err_and(|error| error.http_status() == 401)
        );
        assert!(guesses.check(&target).is_ok());
    }

    #[test]
    fn nobody_is_locked_out_by_others() {
        let (_, guesses) = fixture();
        let target = guesses.target(Kind::ClientSecret, "app", at(1));
        for _ in 0..1000 {
            let _ = guesses.wrong(&target);
        }
        let refused = guesses.check(&guesses.target(Kind::ClientSecret, "APP", at(1))).unwrap_err();
        assert_eq!((refused.http_status(), refused.numeric_code()), (429, 429_001));
        assert!(guesses.check(&guesses.target(Kind::ClientSecret, "app", at(2))).is_ok());
        assert!(guesses.check(&guesses.target(Kind::ClientSecret, "other", at(1))).is_ok());
        assert!(guesses.check(&guesses.target(Kind::PolicyKey, "app", at(1))).is_ok());
    }

    #[test]
    fn wrong_ones_are_forgotten_in_the_end() {
        let (clock, guesses) = fixture();
        let target = guesses.target(Kind::ClientSecret, "app", at(1));
        for _ in 0..11 {
            guesses.wrong(&target).unwrap();
        }
        clock.advance(FORGOTTEN);
        guesses.wrong(&target).unwrap();
        assert!(guesses.check(&target).is_ok());
    }

    #[test]
    fn made_up_names_take_bounded_memory_and_push_out_neither_what_is_tried_on_nor_other_kinds() {
        let (_, guesses) = fixture();
        let tried = guesses.target(Kind::ClientSecret, "tried", at(1));
        let key = guesses.target(Kind::PolicyKey, "hub/owner", at(1));
        for _ in 0..101 {
            guesses.wrong(&key).unwrap();
        }
        for nth in 0..limits::GUESSED_NAMES * 2 {
            guesses.wrong(&guesses.target(Kind::ClientSecret, &format!("made up {nth}"), at(2))).unwrap();
            if nth % 1000 == 0 {
                let _ = guesses.wrong(&tried);
            }
        }
        assert!(guesses.check(&tried).is_err() && guesses.check(&key).is_err());
        assert!(guesses.of(&tried).len() <= limits::GUESSED_NAMES);
    }
}
