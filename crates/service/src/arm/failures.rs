//! Failed requests on their way to the activity log. A row is durable, and whoever can sign in can fail as often as they like, so
//! repeats are counted and not written: in an hour a caller makes a bounded number of rows, and what came beyond is told
//! by a number when the hour is over. The numbers are this process's and are lost with it.

use ferrohub_model::clock::Moment;
use ferrohub_model::limits;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// For how long repeats are counted: ours.
const WINDOW: Duration = Duration::from_secs(3600);

/// What makes two failures the same: what was tried, where, and how it failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Sort {
    action: String,
    scope: String,
    code: String,
}

/// A kind of failure of one caller.
struct Counted {
    /// The row that was written, without its id.
    row: Value,
    repeats: u64,
}

/// The failures of one caller in its present window.
struct Caller {
    since: Moment,
    sorts: HashMap<Sort, Counted>,
    /// Those for which there was no room: the row of the first, and how many.
    beyond: Option<Counted>,
}

/// The failures of late, by caller.
#[derive(Default)]
pub(crate) struct Failures(Mutex<HashMap<String, Caller>>);

impl Failures {
    /// Takes note of a failure that `row` tells of; true where the row is to be written.
    pub(super) fn note(&self, row: &Value, now: Moment) -> bool {
        let text = |pointer: &str| row.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_lowercase();
        let sort = Sort { action: text("/operationName"), scope: text("/resourceId"), code: text("/error/code") };
        let mut callers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = text("/callerId");
        if !callers.contains_key(&id) && callers.len() >= limits::FAILING_CALLERS {
            metrics::counter!("ferrohub_failures_not_written_total").increment(1);
            return false;
        }
        let caller = callers.entry(id).or_insert_with(|| Caller { since: now, sorts: HashMap::new(), beyond: None });
        if let Some(known) = caller.sorts.get_mut(&sort) {
            known.repeats += 1;
            return false;
        }
        if caller.sorts.len() < limits::FAILURES_OF_CALLER {
            caller.sorts.insert(sort, Counted { row: row.clone(), repeats: 0 });
            return true;
        }
        caller.beyond.get_or_insert_with(|| Counted { row: row.clone(), repeats: 0 }).repeats += 1;
        false
    }

    /// Ends the windows that are over at `now`: a row for each sort that was repeated, with how often, and one for the rest.
    pub(super) fn ended(&self, now: Moment) -> Vec<Value> {
        let mut callers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over: Vec<String> =
            callers.iter().filter(|(_, caller)| now.since(caller.since) >= WINDOW).map(|(id, _)| id.clone()).collect();
        let ended = over.iter().filter_map(|id| callers.remove(id));
        let counted = ended.flat_map(|caller| caller.sorts.into_values().chain(caller.beyond));
        counted
            .filter(|counted| counted.repeats > 0)
            .map(|Counted { mut row, repeats }| {
                row["repeats"] = repeats.into();
                row
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(caller: &str, scope: usize) -> Value {
        json!({"callerId": caller, "operationName": "a/write", "resourceId": format!("/S/{scope}"), "error": {"code": "c"}})
    }

    #[test]
    fn repeats_are_counted_and_told_when_the_hour_is_over() {
        let failures = Failures::default();
        let begin = Moment::START;
        assert!(failures.note(&row("p", 1), begin));
        for _ in 0..1000 {
            assert!(!failures.note(&row("P", 1), begin));
        }
        assert!(failures.note(&row("q", 1), begin), "another caller");
        assert!(failures.note(&row("p", 2), begin), "another scope");
        assert!(failures.ended(begin + WINDOW / 2).is_empty());
        let told = failures.ended(begin + WINDOW);
        assert_eq!(told.len(), 1);
        assert_eq!((&told[0]["repeats"], &told[0]["resourceId"]), (&json!(1000), &json!("/S/1")));
        assert!(failures.note(&row("p", 1), begin + WINDOW), "a new hour");
    }

    #[test]
    fn a_caller_makes_a_bounded_number_of_rows_whatever_it_tries() {
        let failures = Failures::default();
        let written = (0..10_000).filter(|nth| failures.note(&row("p", *nth), Moment::START)).count();
        assert_eq!(written, limits::FAILURES_OF_CALLER);
        let told = failures.ended(Moment::START + WINDOW);
        assert_eq!((told.len(), &told[0]["repeats"]), (1, &json!(10_000 - written)));
        let callers =
            (0..limits::FAILING_CALLERS * 2).filter(|nth| failures.note(&row(&nth.to_string(), 1), Moment::START));
        assert_eq!(callers.count(), limits::FAILING_CALLERS);
    }
}
