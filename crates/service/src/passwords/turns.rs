//! Who comes next where only few may work at once. Addresses take turns, and so do those who have proven who they are with all others:
//! however many an address has sent, the next one of another waits for one of them.

use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{WAITING_HASHES, WAITING_HASHES_OF_ADDRESS, WAITING_HASHES_PROVEN};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Who waits.
#[derive(Debug, Clone, Copy)]
pub(super) enum Who<'a> {
    /// Somebody who has proven who it is.
    Proven,
    /// A stranger at an address.
    At(&'a str),
}

/// Hands out turns.
pub(super) struct Turns {
    queue: Mutex<Queue>,
}

/// A turn, which the next one gets when this is dropped.
pub(super) struct Turn {
    turns: Arc<Turns>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.pass_on();
    }
}

/// Somebody who waits, until this is dropped.
pub(super) struct Waiting {
    turns: Arc<Turns>,
    number: u64,
    called: oneshot::Receiver<Turn>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.turns.lock().leave(self.number);
    }
}

impl Waiting {
    /// The turn, once it has come.
    pub(super) async fn turn(&mut self) -> Result<Turn> {
        (&mut self.called).await.map_err(|error| Error::internal(format!("the turn of a password: {error}")))
    }
}

struct Waiter {
    number: u64,
    call: oneshot::Sender<Turn>,
}

struct Address {
    source: String,
    waiters: VecDeque<Waiter>,
}

struct Queue {
    /// Turns that nobody has; somebody waits only while there is none.
    free: usize,
    last: u64,
    proven: VecDeque<Waiter>,
    /// Whether the last one that was called had proven who it is.
    was_proven: bool,
    /// Addresses where somebody waits, in the order of their turns.
    addresses: VecDeque<Address>,
}

impl Queue {
    fn check_room(&self, who: Who<'_>) -> Result<()> {
        let full = match who {
            Who::Proven => self.proven.len() >= WAITING_HASHES_PROVEN,
            Who::At(source) => {
                let all: usize = self.addresses.iter().map(|address| address.waiters.len()).sum();
                let here = self.addresses.iter().find(|address| address.source == source);
                all >= WAITING_HASHES || here.is_some_and(|here| here.waiters.len() >= WAITING_HASHES_OF_ADDRESS)
            }
        };
        match full {
            true => Err(Error::unavailable("Too many passwords wait to be looked at. Try again in 2 seconds.", 2)),
            false => Ok(()),
        }
    }

    fn join(&mut self, who: Who<'_>, waiter: Waiter) {
        let Who::At(source) = who else { return self.proven.push_back(waiter) };
        match self.addresses.iter_mut().find(|address| address.source == source) {
            Some(address) => address.waiters.push_back(waiter),
            None => self.addresses.push_back(Address { source: source.to_owned(), waiters: [waiter].into() }),
        }
    }

    fn leave(&mut self, number: u64) {
        self.proven.retain(|waiter| waiter.number != number);
        for address in &mut self.addresses {
            address.waiters.retain(|waiter| waiter.number != number);
        }
        self.addresses.retain(|address| !address.waiters.is_empty());
    }

    /// Whose turn it is.
    fn next(&mut self) -> Option<Waiter> {
        self.was_proven = !self.proven.is_empty() && (!self.was_proven || self.addresses.is_empty());
        if self.was_proven {
            return self.proven.pop_front();
        }
        let mut address = self.addresses.pop_front()?;
        let waiter = address.waiters.pop_front();
        if !address.waiters.is_empty() {
            self.addresses.push_back(address);
        }
        waiter
    }
}

impl Turns {
    /// Turns of which `at_once` are out at most.
    pub(super) fn new(at_once: usize) -> Arc<Self> {
        let queue =
            Queue { free: at_once, last: 0, proven: VecDeque::new(), was_proven: false, addresses: VecDeque::new() };
        Arc::new(Self { queue: Mutex::new(queue) })
    }

    /// Waits for a turn from now on.
    ///
    /// # Errors
    /// `Unavailable` where too many wait already.
    pub(super) fn wait(self: &Arc<Self>, who: Who<'_>) -> Result<Waiting> {
        let (call, called) = oneshot::channel();
        let mut queue = self.lock();
        queue.last += 1;
        let number = queue.last;
        if queue.free > 0 {
            queue.free -= 1;
            drop(queue);
            // Its receiver is right here.
            let _ = call.send(Turn { turns: Arc::clone(self) });
        } else {
            queue.check_room(who)?;
            queue.join(who, Waiter { number, call });
        }
        Ok(Waiting { turns: Arc::clone(self), number, called })
    }

    fn pass_on(self: &Arc<Self>) {
        let mut queue = self.lock();
        let Some(next) = queue.next() else {
            queue.free += 1;
            return;
        };
        drop(queue);
        // Who leaves at this very moment drops the turn, which passes it on.
        let _ = next.call.send(Turn { turns: Arc::clone(self) });
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_model::error::ErrorKind;

    /// In which order those who wait are called, by their place in `waits`.
    fn order(first: Turn, waits: &mut [Waiting]) -> Vec<usize> {
        let (mut turn, mut order) = (Some(first), Vec::new());
        while let Some(ended) = turn.take() {
            drop(ended);
            for (place, waiting) in waits.iter_mut().enumerate() {
                if let Ok(called) = waiting.called.try_recv() {
                    order.push(place);
                    turn = Some(called);
                }
            }
        }
        order
    }

    #[tokio::test]
    async fn addresses_take_turns_and_whoever_has_proven_itself_waits_for_one_stranger() {
        let turns = Turns::new(1);
        let first = turns.wait(Who::At("a")).unwrap().turn().await.unwrap();
        let who = [
            Who::At("a"),
            Who::At("a"),
            Who::At("a"),
            Who::At("b"),
            Who::At("c"),
            Who::At("b"),
            Who::Proven,
            Who::Proven,
        ];
        let mut waits: Vec<_> = who.iter().map(|who| turns.wait(*who).unwrap()).collect();
        assert_eq!(order(first, &mut waits), [6, 0, 7, 3, 4, 1, 5, 2]);
        let queue = turns.lock();
        assert_eq!((queue.free, queue.addresses.len(), queue.proven.len()), (1, 0, 0));
    }

    #[tokio::test]
    async fn who_has_gone_is_not_called_and_holds_no_turn() {
        let turns = Turns::new(1);
        let first = turns.wait(Who::At("a")).unwrap().turn().await.unwrap();
        let mut waits: Vec<_> = ["a", "b", "a"].iter().map(|at| turns.wait(Who::At(at)).unwrap()).collect();
        drop(waits.remove(1));
        assert_eq!(turns.lock().addresses.len(), 1, "it has left at once");
        assert_eq!(order(first, &mut waits), [0, 1]);
        // One that was called, and went before it heard.
        let first = turns.wait(Who::Proven).unwrap().turn().await.unwrap();
        let called = turns.wait(Who::Proven).unwrap();
        drop(first);
        assert_eq!(turns.lock().free, 0);
        drop(called);
        assert_eq!(turns.lock().free, 1);
    }

    #[tokio::test]
    async fn few_wait_and_fewer_from_one_address() {
        let turns = Turns::new(1);
        let _first = turns.wait(Who::Proven).unwrap().turn().await.unwrap();
        let waits: Vec<_> = (0..WAITING_HASHES_OF_ADDRESS).map(|_| turns.wait(Who::At("10.0.0.1")).unwrap()).collect();
        let refused = turns.wait(Who::At("10.0.0.1")).err().unwrap();
        assert_eq!((refused.kind, refused.retry_after_seconds), (ErrorKind::Unavailable, Some(2)));
        let other = |number: usize| turns.wait(Who::At(&format!("10.0.1.{number}")));
        let others: Vec<_> = (WAITING_HASHES_OF_ADDRESS..WAITING_HASHES).map(|number| other(number).unwrap()).collect();
        assert!(turns.wait(Who::At("10.0.2.1")).is_err(), "all places are taken");
        let proven: Vec<_> = (0..WAITING_HASHES_PROVEN).map(|_| turns.wait(Who::Proven).unwrap()).collect();
        assert!(turns.wait(Who::Proven).is_err());
        drop(waits);
        assert!(turns.wait(Who::At("10.0.0.1")).is_ok());
        drop((others, proven));
        let queue = turns.lock();
        assert!(queue.addresses.is_empty() && queue.proven.is_empty());
    }
}
