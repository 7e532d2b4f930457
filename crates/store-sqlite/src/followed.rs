//! Which keys were written of late, for readers that follow some tables ([`ferrohub_store::Changes`]). Nothing is remembered
//! before somebody asks, and then so many keys at most: who comes too late reads everything again.

use crate::cache::Touch;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keys that are remembered, some 70 bytes each: ours.
const REMEMBERED: usize = 200_000;

#[derive(Default)]
pub(crate) struct Followed {
    any: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tables: Vec<Table>,
    /// Batch, table, key.
    keys: VecDeque<(u64, u16, Box<str>)>,
}

/// A table that somebody follows.
struct Table {
    number: u16,
    /// Of batches up to this one keys of it may be missing.
    forgotten: u64,
}

/// The keys of a batch that are followed, collected while it was begun.
pub(crate) struct Noted {
    /// The tables that were followed then.
    tables: Vec<u16>,
    keys: Vec<(u16, Box<str>)>,
}

impl State {
    fn table(&mut self, number: u16) -> Option<&mut Table> {
        self.tables.iter_mut().find(|table| table.number == number)
    }
}

impl Noted {
    /// Adds a change of a table that is followed.
    fn add(&mut self, table: u16, change: &Touch<'_>) {
        if self.tables.contains(&table) {
            let key = match change {
                Touch::Put(put) => put.key.as_str(),
                Touch::Delete(key) => key,
            };
            self.keys.push((table, key.into()));
        }
    }
}

impl Followed {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the changes of a batch that begins; `None` when nobody follows anything.
    pub(crate) fn note<'a>(&self, changes: impl Iterator<Item = (u16, Touch<'a>)>) -> Option<Noted> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let tables = self.lock().tables.iter().map(|table| table.number).collect();
        let mut noted = Noted { tables, keys: Vec::new() };
        changes.for_each(|(table, change)| noted.add(table, &change));
        Some(noted)
    }

    /// Remembers what was noted of batch `number`, whatever became of it, before that counts as ended.
    pub(crate) fn ended(&self, number: u64, noted: Option<Noted>) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let Noted { tables, keys } = noted.unwrap_or_else(|| Noted { tables: Vec::new(), keys: Vec::new() });
        let mut state = self.lock();
        // Somebody began to follow these while it was under way.
        for missed in state.tables.iter_mut().filter(|table| !tables.contains(&table.number)) {
            missed.forgotten = number;
        }
        state.keys.extend(keys.into_iter().map(|(table, key)| (number, table, key)));
        while state.keys.len() > REMEMBERED {
            let Some((number, table, _)) = state.keys.pop_front() else { break };
            if let Some(table) = state.table(table) {
                table.forgotten = table.forgotten.max(number);
            }
        }
    }

    /// Where things stand, and what was written in `tables` since `after`; `ended` is the number of the last batch that did.
    pub(crate) fn since(
        &self,
        tables: &[u16],
        after: Option<u64>,
        ended: &AtomicU64,
    ) -> (u64, Option<Vec<(u16, String)>>) {
        let mut state = self.lock();
        let upto = ended.load(Ordering::Acquire);
        let mut whole_since = 0;
        for number in tables {
            match state.table(*number) {
                Some(known) => whole_since = whole_since.max(known.forgotten),
                None => {
                    state.tables.push(Table { number: *number, forgotten: upto });
                    self.any.store(true, Ordering::Release);
                    whole_since = u64::MAX;
                }
            }
        }
        let Some(after) = after.filter(|after| *after >= whole_since && *after <= upto) else {
            return (upto, None);
        };
        let fresh = state.keys.iter().rev().take_while(|(number, ..)| *number > after);
        let wanted = fresh.filter(|(_, table, _)| tables.contains(table));
        (upto, Some(wanted.map(|(_, table, key)| (*table, key.to_string())).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(followed: &Followed, ended: &AtomicU64, table: u16, key: &str) {
        let noted = followed.note([(table, Touch::Delete(key))].into_iter());
        let number = ended.load(Ordering::Relaxed) + 1;
        followed.ended(number, noted);
        ended.store(number, Ordering::Relaxed);
    }

    #[test]
    fn a_table_that_is_followed_later_lacks_what_was_under_way_and_the_others_lack_nothing() {
        let (followed, ended) = (Followed::default(), AtomicU64::new(0));
        let (start, _) = followed.since(&[1], None, &ended);
        let under_way = followed.note([(1, Touch::Delete("a")), (2, Touch::Delete("b"))].into_iter());
        let (second, all) = followed.since(&[2], None, &ended);
        assert_eq!(all, None);
        followed.ended(1, under_way);
        ended.store(1, Ordering::Relaxed);
        assert_eq!(followed.since(&[1], Some(start), &ended), (1, Some(vec![(1, "a".to_owned())])));
        assert_eq!(followed.since(&[2], Some(second), &ended), (1, None));
        write(&followed, &ended, 2, "c");
        assert_eq!(followed.since(&[2], Some(1), &ended), (2, Some(vec![(2, "c".to_owned())])));
    }

    #[test]
    fn who_follows_is_told_and_who_is_late_reads_again() {
        let (followed, ended) = (Followed::default(), AtomicU64::new(0));
        write(&followed, &ended, 1, "before");
        let under_way = followed.note([(1, Touch::Delete("under way"))].into_iter());
        let (start, all) = followed.since(&[1], Some(0), &ended);
        assert_eq!((start, all), (1, None), "nobody followed until now");
        followed.ended(2, under_way);
        ended.store(2, Ordering::Relaxed);
        assert_eq!(followed.since(&[1], Some(start), &ended), (2, None), "it was begun before");
        write(&followed, &ended, 1, "a");
        write(&followed, &ended, 2, "of another table");
        assert_eq!(followed.since(&[1], Some(2), &ended), (4, Some(vec![(1, "a".to_owned())])));
        assert_eq!(followed.since(&[1], Some(4), &ended), (4, Some(Vec::new())));
        assert_eq!(followed.since(&[1, 2], Some(4), &ended), (4, None), "a table more");
        assert_eq!(
            followed.since(&[1], Some(2), &ended).1,
            Some(vec![(1, "a".to_owned())]),
            "of the other nothing is lost"
        );
        write(&followed, &ended, 2, "b");
        assert_eq!(followed.since(&[1, 2], Some(4), &ended), (5, Some(vec![(2, "b".to_owned())])));
        for _ in 0..=REMEMBERED {
            write(&followed, &ended, 1, "c");
        }
        assert_eq!(followed.since(&[1, 2], Some(4), &ended).1, None, "too many in between");
        assert_eq!(followed.since(&[2], Some(5), &ended).1, Some(Vec::new()), "they were of the other table");
        assert_eq!(followed.since(&[1, 2], Some(u64::MAX), &ended).1, None, "of another handle");
    }
}
