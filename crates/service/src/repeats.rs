//! What happens again and again on its way to a log. A row is durable, and whoever can reach us can fail as often as they like,
//! so repeats are counted and not written: in an hour a source makes a bounded number of rows, and what came beyond is told
//! by a number when the hour is over. The numbers are this process's and are lost with it.

use ferrohub_model::clock::Moment;
use ferrohub_model::limits;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// For how long repeats are counted: ours.
const WINDOW: Duration = Duration::from_secs(3600);

/// What makes two of a source the same: what was tried, where, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Sort([String; 3]);

impl Sort {
    /// What was tried, where, and how it ended; in any case of letters.
    pub(crate) fn new(action: &str, place: &str, code: &str) -> Self {
        Self([action, place, code].map(str::to_lowercase))
    }
}

/// One sort of a source.
struct Counted<R> {
    /// The row that was written.
    row: R,
    repeats: u64,
}

/// What a source did in its present window.
struct Source<R> {
    since: Moment,
    sorts: HashMap<Sort, Counted<R>>,
    /// Those for which there was no room: the row of the first, and how many.
    beyond: Option<Counted<R>>,
}

/// What happened of late, by source.
pub(crate) struct Repeats<R> {
    sources: Mutex<HashMap<String, Source<R>>>,
    /// What was neither written nor counted since somebody asked, for want of room.
    lost: AtomicU64,
    /// The name under which metrics count the same.
    lost_total: &'static str,
}

/// The source that an address is: an IPv6 one counts with its whole /64, in which one machine has as many as it wants.
pub(crate) fn source_of(address: Option<&str>) -> String {
    let address = address.unwrap_or_default();
    match address.parse() {
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_string()
        }
        _ => address.to_owned(),
    }
}

impl<R: Clone> Repeats<R> {
    /// Nothing yet; what finds no room adds to the metric `lost_total`.
    pub(crate) fn new(lost_total: &'static str) -> Self {
        Self { sources: Mutex::default(), lost: AtomicU64::new(0), lost_total }
    }

    /// How much was lost since this was asked last.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }

    /// Takes note of what `row` tells of; true where the row is to be written.
    pub(crate) fn note(&self, source: &str, sort: Sort, row: &R, now: Moment) -> bool {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let id = source.to_lowercase();
        if !sources.contains_key(&id) && sources.len() >= limits::FAILING_CALLERS {
            self.lost.fetch_add(1, Ordering::Relaxed);
            metrics::counter!(self.lost_total).increment(1);
            return false;
        }
        let source = sources.entry(id).or_insert_with(|| Source { since: now, sorts: HashMap::new(), beyond: None });
        if let Some(known) = source.sorts.get_mut(&sort) {
            known.repeats += 1;
            return false;
        }
        if source.sorts.len() < limits::FAILURES_OF_CALLER {
            source.sorts.insert(sort, Counted { row: row.clone(), repeats: 0 });
            return true;
        }
        source.beyond.get_or_insert_with(|| Counted { row: row.clone(), repeats: 0 }).repeats += 1;
        false
    }

    /// Ends the windows that are over at `now`: a row for each sort that was repeated, with how often, and one for the rest.
    pub(crate) fn ended(&self, now: Moment) -> Vec<(R, u64)> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let over: Vec<String> =
            sources.iter().filter(|(_, source)| now.since(source.since) >= WINDOW).map(|(id, _)| id.clone()).collect();
        let ended = over.iter().filter_map(|id| sources.remove(id));
        let counted = ended.flat_map(|source| source.sorts.into_values().chain(source.beyond));
        counted.filter(|counted| counted.repeats > 0).map(|counted| (counted.row, counted.repeats)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(repeats: &Repeats<usize>, source: &str, place: usize, now: Moment) -> bool {
        repeats.note(source, Sort::new("a/write", &format!("/S/{place}"), "c"), &place, now)
    }

    #[test]
    fn repeats_are_counted_and_told_when_the_hour_is_over() {
        let failures = Repeats::new("lost");
        let begin = Moment::START;
        assert!(note(&failures, "p", 1, begin));
        for _ in 0..1000 {
            assert!(!note(&failures, "P", 1, begin));
        }
        assert!(note(&failures, "q", 1, begin), "another caller");
        assert!(note(&failures, "p", 2, begin), "another scope");
        assert!(failures.ended(begin + WINDOW / 2).is_empty());
        assert_eq!(failures.ended(begin + WINDOW), [(1, 1000)]);
        assert!(note(&failures, "p", 1, begin + WINDOW), "a new hour");
    }

    #[test]
    fn a_source_makes_a_bounded_number_of_rows_whatever_it_tries() {
        let failures = Repeats::new("lost");
        let written = (0..10_000).filter(|nth| note(&failures, "p", *nth, Moment::START)).count();
        assert_eq!(written, limits::FAILURES_OF_CALLER);
        let told = failures.ended(Moment::START + WINDOW);
        assert_eq!((told.len(), told[0].1), (1, 10_000 - written as u64));
        let sources =
            (0..limits::FAILING_CALLERS * 2).filter(|nth| note(&failures, &nth.to_string(), 1, Moment::START));
        assert_eq!(sources.count(), limits::FAILING_CALLERS);
        assert_eq!((failures.lost(), failures.lost()), (limits::FAILING_CALLERS as u64, 0));
    }

    #[test]
    fn addresses_of_one_network_are_one_source() {
        for (address, source) in [
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2::9", "2001:db8:1:2::"),
            ("2001:db8:1:3::9", "2001:db8:1:3::"),
            ("192.0.2.7", "192.0.2.7"),
        ] {
            assert_eq!(source_of(Some(address)), source);
        }
        assert_eq!(source_of(None), "");
    }
}
