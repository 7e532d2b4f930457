//! Hashing passwords that people choose: slow on purpose, so only so many are looked at at once, whoever asks.

mod turns;

use crate::client_here;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{PASSWORD_BYTES, PASSWORD_HASHES};
use ferrohub_model::random::Random;
use ferrohub_pki::password;
use std::sync::Arc;
use tokio::sync::oneshot;
use turns::{Turn, Turns, Who};
use zeroize::Zeroizing;

/// What every password must be, as refusals tell it.
pub(crate) const RULE: &str = "8 to 256 characters of three kinds out of lower case, upper case, digits and symbols";

/// Who may hash a password now.
pub(crate) struct Passwords {
    turns: Arc<Turns>,
    random: Arc<dyn Random>,
}

impl Passwords {
    pub(crate) fn new(random: Arc<dyn Random>) -> Self {
        Self { turns: Turns::new(PASSWORD_HASHES), random }
    }

    /// A turn of somebody at an address (as `repeats::source_of` has it) to have a password looked at, once it has come.
    ///
    /// # Errors
    /// `Unavailable` where too many wait already, or the client has gone.
    pub(crate) async fn turn_of(&self, source: &str) -> Result<Place> {
        self.turn(Who::At(source)).await
    }

    /// A turn of somebody who has proven who it is.
    ///
    /// # Errors
    /// As of [`Self::turn_of`].
    pub(crate) async fn place(&self) -> Result<Place> {
        self.turn(Who::Proven).await
    }

    async fn turn(&self, who: Who<'_>) -> Result<Place> {
        let (mut client, mut waiting) = (client_here::of_this_work(), self.turns.wait(who)?);
        tokio::select! {
            // In this order, or who has gone might be called.
            biased;
            () = client.gone() => Err(nobody()),
            turn = waiting.turn() => Ok(Place { turn: turn? }),
        }
    }

    /// The stored form of a password, which was found complex enough.
    ///
    /// # Errors
    /// As of [`Self::turn_of`]; internal, when the task that hashes ends.
    pub(crate) async fn hash(&self, secret: &str) -> Result<String> {
        let (secret, random) = (Zeroizing::new(secret.to_owned()), Arc::clone(&self.random));
        let place = self.place().await?;
        place.on_thread(move || password::hash(&secret, random.as_ref())).await?
    }
}

/// A turn to look at a password.
pub(crate) struct Place {
    turn: Turn,
}

impl Place {
    /// Whether `secret` is the password with this stored form; nobody's (`""`) takes as long.
    ///
    /// # Errors
    /// `Unavailable` where the client has gone before; internal, when the task that hashes ends.
    pub(crate) async fn verify(self, secret: &str, stored: &str) -> Result<bool> {
        if secret.len() > PASSWORD_BYTES {
            return Ok(false);
        }
        let (secret, stored) = (Zeroizing::new(secret.to_owned()), stored.to_owned());
        self.on_thread(move || password::verify(&secret, &stored)).await
    }

    /// Works on a thread where it may take its time. The turn is over when the work is, not when somebody stops waiting for it; what
    /// nobody waits for when its thread has come is not begun.
    async fn on_thread<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let ((done, answer), client) = (oneshot::channel(), client_here::of_this_work());
        let task = tokio::task::spawn_blocking(move || {
            let _turn = self.turn;
            if done.is_closed() || client.has_gone() {
                return false;
            }
            // Who has gone meanwhile misses nothing.
            let _ = done.send(work());
            true
        });
        match (answer.await, task.await) {
            (Ok(answer), _) => Ok(answer),
            (Err(_), Ok(false)) => Err(nobody()),
            (Err(error), Ok(true)) => Err(ended(&error)),
            (Err(_), Err(error)) => Err(ended(&error)),
        }
    }
}

fn ended(error: &dyn std::fmt::Display) -> Error {
    Error::internal(format!("the hash of a password: {error}"))
}

/// What nobody reads.
fn nobody() -> Error {
    Error::unavailable("The client has gone before its password was looked at.", 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_model::error::ErrorKind;
    use ferrohub_pki::random::SystemRandom;
    use futures_util::future::FutureExt as _;
    use std::sync::atomic::{AtomicBool, Ordering};

    async fn all_taken(passwords: &Passwords) -> Vec<Place> {
        let mut taken = Vec::new();
        for _ in 0..PASSWORD_HASHES {
            taken.push(passwords.place().await.unwrap());
        }
        taken
    }

    #[tokio::test]
    async fn a_request_whose_client_goes_while_it_waits_ends_and_waits_no_more() {
        let passwords = Passwords::new(Arc::new(SystemRandom));
        let taken = all_taken(&passwords).await;
        let (here, waits) = client_here::for_client(passwords.turn_of("10.0.0.1"));
        let mut waits = Box::pin(waits);
        assert!(waits.as_mut().now_or_never().is_none());
        drop(here);
        assert_eq!(waits.await.err().unwrap().kind, ErrorKind::Unavailable);
        let mut dropped = Box::pin(passwords.turn_of("10.0.0.1"));
        assert!(dropped.as_mut().now_or_never().is_none());
        drop((dropped, taken));
        assert_eq!(all_taken(&passwords).await.len(), PASSWORD_HASHES, "nobody who has gone holds a turn");
    }

    /// With one thread for all that blocks, which is busy until `work` was given up.
    fn given_up_before_its_thread_comes(give_up: impl AsyncFnOnce(&Passwords, Arc<AtomicBool>)) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let (passwords, begun) = (Passwords::new(Arc::new(SystemRandom)), Arc::new(AtomicBool::new(false)));
            let (release, released) = std::sync::mpsc::channel::<()>();
            let busy = tokio::task::spawn_blocking(move || released.recv());
            give_up(&passwords, Arc::clone(&begun)).await;
            assert!(passwords.turns.wait(Who::Proven).is_ok(), "one turn is left");
            drop(release);
            busy.await.unwrap().unwrap_err();
            assert_eq!(all_taken(&passwords).await.len(), PASSWORD_HASHES, "its turn is over");
            begun.load(Ordering::Relaxed)
        })
    }

    #[test]
    fn a_hash_that_nobody_waits_for_any_more_is_not_begun() {
        let work = |begun: Arc<AtomicBool>| move || begun.store(true, Ordering::Relaxed);
        let dropped = given_up_before_its_thread_comes(async |passwords, begun| {
            let mut hash = Box::pin(passwords.place().await.unwrap().on_thread(work(begun)));
            assert!(hash.as_mut().now_or_never().is_none());
        });
        assert!(!dropped, "whose future was dropped");
        let gone = given_up_before_its_thread_comes(async |passwords, begun| {
            let place = passwords.place().await.unwrap();
            let (here, hash) = client_here::for_client(place.on_thread(work(begun)));
            let mut hash = Box::pin(hash);
            assert!(hash.as_mut().now_or_never().is_none());
            drop(here);
            // As a task that goes on without its client.
            tokio::spawn(hash);
        });
        assert!(!gone, "whose client has gone");
        let waited_for = given_up_before_its_thread_comes(async |passwords, begun| {
            let place = passwords.place().await.unwrap();
            let mut hash = Box::pin(place.on_thread(work(begun)));
            assert!(hash.as_mut().now_or_never().is_none());
            tokio::spawn(hash);
        });
        assert!(waited_for);
    }
}
