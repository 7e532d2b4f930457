//! Turns: who changes a thing waits for whoever in this process changes it already, instead of building in vain.

use std::hash::{DefaultHasher, Hash, Hasher};
use tokio::sync::{Mutex, MutexGuard};

/// A fixed number of queues over which the keys of things are spread: things of different keys rarely wait for each
/// other, and nothing has to be remembered about any of them. A turn keeps nobody else apart than callers in this
/// process; what another process does is found out by a unit's expectations.
///
/// Nobody may take a second turn of the same stripes while holding one: both could be the same queue.
pub struct Stripes(Vec<Mutex<()>>);

impl Stripes {
    /// So many queues; at least one.
    pub fn new(queues: usize) -> Self {
        Self((0..queues.max(1)).map(|_| Mutex::new(())).collect())
    }

    /// Waits for the turn to change the thing with `key`; it ends when the guard is dropped.
    pub async fn turn(&self, key: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let queue = usize::try_from(hasher.finish() % self.0.len() as u64).unwrap_or(0);
        self.0[queue].lock().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn one_key_waits_and_most_others_do_not() {
        let stripes = Stripes::new(64);
        let held = stripes.turn("a").now_or_never().unwrap();
        assert!(stripes.turn("a").now_or_never().is_none());
        let free = (0..1000).filter(|key| stripes.turn(&key.to_string()).now_or_never().is_some()).count();
        assert!((900..1000).contains(&free), "{free} of 1000 keys are in other queues");
        drop(held);
        assert!(stripes.turn("a").now_or_never().is_some());
        assert!(Stripes::new(0).turn("a").now_or_never().is_some());
    }
}
