//! Bytes of strangers: what is held for all peers together, and for those of one address, has a bound.

use crate::places::Origin;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What may be held.
pub(crate) struct Budget {
    total: usize,
    each: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    total: usize,
    by: HashMap<Origin, usize>,
}

/// What is held for one request; given back when this is dropped.
pub(crate) struct Share {
    budget: Arc<Budget>,
    origin: Origin,
    bytes: usize,
}

impl Budget {
    /// At most `total` bytes for all and `each` for one address.
    pub(crate) fn new(total: usize, each: usize) -> Arc<Self> {
        Arc::new(Self { total, each, held: Mutex::default() })
    }

    /// A share of `origin`, empty.
    pub(crate) fn share(self: &Arc<Self>, origin: Origin) -> Share {
        Share { budget: self.clone(), origin, bytes: 0 }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Takes `bytes` more; false where there are not so many left.
    #[must_use]
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        if bytes == 0 {
            return true;
        }
        let mut held = self.budget.lock();
        let own = held.by.get(&self.origin).copied().unwrap_or(0);
        if held.total + bytes > self.budget.total || own + bytes > self.budget.each {
            return false;
        }
        held.total += bytes;
        held.by.insert(self.origin, own + bytes);
        self.bytes += bytes;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut held = self.budget.lock();
        held.total -= self.bytes;
        if let Some(own) = held.by.get_mut(&self.origin) {
            *own -= self.bytes;
            if *own == 0 {
                held.by.remove(&self.origin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    #[test]
    fn one_address_cannot_take_everything_and_all_is_given_back() {
        let at = |last: u8| Origin::of(IpAddr::from([127, 0, 0, last]));
        let budget = Budget::new(100, 40);
        let mut first = budget.share(at(1));
        assert!(first.grow(40) && !first.grow(1));
        let mut same = budget.share(at(1));
        assert!(!same.grow(1) && same.grow(0));
        let (mut second, mut third) = (budget.share(at(2)), budget.share(at(3)));
        assert!(second.grow(40) && third.grow(20) && !third.grow(1), "a hundred for all");
        drop(first);
        assert!(third.grow(20) && same.grow(20));
        drop((second, third, same));
        let held = budget.lock();
        assert_eq!((held.total, held.by.len()), (0, 0));
    }
}
