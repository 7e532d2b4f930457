//! Hashing passwords that people choose: slow on purpose, so only so many are looked at at once, whoever asks.

use ferrohub_model::error::{Error, Result};
use ferrohub_model::random::Random;
use ferrohub_pki::password;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit};
use zeroize::Zeroizing;

/// Passwords that one process hashes at once, each with 19 MiB and a processor: ours.
const HASHES_AT_ONCE: usize = 2;
/// Longest password that is looked at, bytes: ours.
const PASSWORD_BYTES: usize = 1024;

/// What every password must be, as refusals tell it.
pub(crate) const RULE: &str = "8 to 256 characters of three kinds out of lower case, upper case, digits and symbols";

/// Passwords of strangers that wait to be looked at in one process, and of these from one address: ours. Each takes some tens of
/// milliseconds, so the last one waits for about a second.
const WAITING: usize = 64;
const WAITING_OF_ADDRESS: usize = 8;

/// Who may hash a password now.
pub(crate) struct Passwords {
    places: Semaphore,
    /// Who waits, by address.
    waiting: Mutex<HashMap<String, usize>>,
    random: Arc<dyn Random>,
}

impl Passwords {
    pub(crate) fn new(random: Arc<dyn Random>) -> Self {
        Self { places: Semaphore::new(HASHES_AT_ONCE), waiting: Mutex::default(), random }
    }

    /// A turn of somebody at an address (as `repeats::source_of` has it) to have a password looked at, once it has come.
    ///
    /// # Errors
    /// `Unavailable` where too many wait already.
    pub(crate) async fn turn_of(&self, source: &str) -> Result<Place<'_>> {
        let _waits = self.wait(source)?;
        self.place().await
    }

    /// A turn of somebody who has proven who it is.
    ///
    /// # Errors
    /// Internal, when there are no turns any more.
    pub(crate) async fn place(&self) -> Result<Place<'_>> {
        Ok(Place { _permit: self.places.acquire().await.map_err(|error| ended(&error))? })
    }

    fn wait(&self, source: &str) -> Result<Waits<'_>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, here) = (waiting.values().sum::<usize>(), waiting.get(source).copied().unwrap_or(0));
        if all >= WAITING || here >= WAITING_OF_ADDRESS {
            return Err(Error::unavailable("Too many passwords wait to be looked at. Try again in 2 seconds.", 2));
        }
        waiting.insert(source.to_owned(), here + 1);
        Ok(Waits { passwords: self, source: source.to_owned() })
    }

    /// The stored form of a password, which was found complex enough.
    ///
    /// # Errors
    /// Internal, when the task that hashes ends.
    pub(crate) async fn hash(&self, secret: &str) -> Result<String> {
        let (secret, random) = (Zeroizing::new(secret.to_owned()), Arc::clone(&self.random));
        let _place = self.place().await?;
        on_thread(move || password::hash(&secret, random.as_ref())).await?
    }
}

/// Somebody who waits, until this is dropped.
struct Waits<'p> {
    passwords: &'p Passwords,
    source: String,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut waiting = self.passwords.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = waiting.get_mut(&self.source) {
            *here -= 1;
            if *here == 0 {
                waiting.remove(&self.source);
            }
        }
    }
}

/// A turn to look at a password.
pub(crate) struct Place<'p> {
    _permit: SemaphorePermit<'p>,
}

impl Place<'_> {
    /// Whether `secret` is the password with this stored form; nobody's (`""`) takes as long.
    ///
    /// # Errors
    /// Internal, when the task that hashes ends.
    pub(crate) async fn verify(&self, secret: &str, stored: &str) -> Result<bool> {
        if secret.len() > PASSWORD_BYTES {
            return Ok(false);
        }
        let (secret, stored) = (Zeroizing::new(secret.to_owned()), stored.to_owned());
        on_thread(move || password::verify(&secret, &stored)).await
    }
}

async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| ended(&error))
}

fn ended(error: &dyn std::fmt::Display) -> Error {
    Error::internal(format!("the hash of a password: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_model::error::ErrorKind;
    use ferrohub_pki::random::SystemRandom;

    #[test]
    fn few_wait_and_fewer_from_one_address() {
        let passwords = Passwords::new(Arc::new(SystemRandom));
        let waits: Vec<_> = (0..WAITING_OF_ADDRESS).map(|_| passwords.wait("10.0.0.1").unwrap()).collect();
        let refused = passwords.wait("10.0.0.1").err().unwrap();
        assert_eq!((refused.kind, refused.retry_after_seconds), (ErrorKind::Unavailable, Some(2)));
        let others: Vec<_> =
            (WAITING_OF_ADDRESS..WAITING).map(|number| passwords.wait(&format!("10.0.1.{number}")).unwrap()).collect();
        assert!(passwords.wait("10.0.2.1").is_err(), "all places are taken");
        drop(waits);
        assert!(passwords.wait("10.0.0.1").is_ok());
        drop(others);
        assert!(passwords.waiting.lock().unwrap().is_empty());
    }
}
