//! How wrong credentials slow down whoever sends them: keys and secrets at the front door, passwords in the service, by the same
//! waits and with memory that is bounded whatever names strangers make up.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// Longest wait after a wrong one: ours.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Time after which wrong ones are forgotten: ours.
pub const FORGOTTEN: Duration = Duration::from_secs(15 * 60);

/// The wait after so many wrong ones, of which the first `free` cost nothing: a second, two, four, and so on.
pub fn wait_after(wrong: u32, free: u32) -> Duration {
    match wrong.checked_sub(free) {
        None | Some(0) => Duration::ZERO,
        Some(over) => Duration::from_secs(1 << (over - 1).min(6)).min(LONGEST_WAIT),
    }
}

/// What was written of late, by key. Two halves, of which the older one is dropped when the younger one is full: what is still
/// being written is carried over.
#[derive(Debug)]
pub struct Recent<K, V> {
    most: usize,
    halves: [HashMap<K, V>; 2],
}

impl<K: Eq + Hash + Copy, V: Copy> Recent<K, V> {
    /// Nothing yet; at most `most` keys.
    pub fn new(most: usize) -> Self {
        Self { most, halves: [HashMap::new(), HashMap::new()] }
    }

    /// What stands under the key.
    pub fn get(&self, key: &K) -> Option<V> {
        self.halves.iter().find_map(|half| half.get(key).copied())
    }

    /// Writes it.
    pub fn put(&mut self, key: K, value: V) {
        self.put_among(key, value, |_| true);
    }

    /// The same where what is not `living` any more may go first.
    pub fn put_among(&mut self, key: K, value: V, living: impl Fn(&V) -> bool) {
        let most = (self.most / 2).max(1);
        if self.halves[0].len() >= most && !self.halves[0].contains_key(&key) {
            self.halves[0].retain(|_, value| living(value));
            if self.halves[0].len() >= most {
                self.halves.swap(0, 1);
                self.halves[0] = HashMap::new();
            }
        }
        self.halves[0].insert(key, value);
    }

    /// Forgets it.
    pub fn remove(&mut self, key: &K) {
        for half in &mut self.halves {
            half.remove(key);
        }
    }

    /// How many keys it holds.
    pub fn len(&self) -> usize {
        self.halves.iter().map(HashMap::len).sum()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute() {
        let waits: Vec<u64> = (9..20).map(|wrong| wait_after(wrong, 10).as_secs()).collect();
        assert_eq!(waits, [0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(wait_after(u32::MAX, 0), LONGEST_WAIT);
    }

    #[test]
    fn memory_is_bounded_and_what_is_still_written_stays() {
        let mut recent = Recent::new(100);
        for number in 0..1000 {
            recent.put(number, number);
            if number % 10 == 0 {
                recent.put(0, number);
            }
        }
        assert_eq!((recent.get(&0), recent.get(&999), recent.get(&500)), (Some(990), Some(999), None));
        assert!(recent.len() <= 100, "{}", recent.len());
        recent.remove(&0);
        assert_eq!(recent.get(&0), None);
    }

    #[test]
    fn what_lives_stays_where_what_does_not_makes_room() {
        let mut recent = Recent::new(100);
        for number in 0..1000 {
            recent.put_among(number, number, |other| *other < 10);
        }
        assert_eq!((recent.get(&0), recent.get(&9), recent.get(&10)), (Some(0), Some(9), None));
        assert!(recent.len() <= 50, "no half was dropped: {}", recent.len());
    }
}
