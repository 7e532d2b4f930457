//! Results that are made of one document each, in an order that the query asks for.
//!
//! Every page goes through all documents and keeps those that come next. What is kept is their place in the order; the documents
//! of the page are read once more at the end, so that memory does not grow with their size.

use super::mark::{Mark, Ranked, directions};
use super::scan::Scan;
use super::{Found, Run, eval, push, too_long};
use ferrohub_model::error::Result;
use ferrohub_model::limits::{HUB_QUERY_PAGE_BYTES, HUB_QUERY_TIME};
use ferrohub_wire::iothub_query::By;
use serde_json::Value;
use std::collections::BinaryHeap;

/// A page of the results.
pub(super) async fn run(run: &Run<'_>) -> Result<Found> {
    let directions = directions(run.query);
    let before = run.mark.as_ref().map(|mark| mark.ranked(&directions));
    let mut best: BinaryHeap<Ranked> = BinaryHeap::new();
    let mut scan = Scan::of(run, None, HUB_QUERY_TIME);
    while let Some(documents) = scan.next().await? {
        for document in documents {
            if !run.query.condition.as_ref().is_none_or(|condition| eval::holds(condition, &document.value)) {
                continue;
            }
            let ranked = Ranked::new(keys(run, &document.value), document.name, &directions);
            if before.as_ref().is_some_and(|before| ranked <= *before) {
                continue;
            }
            best.push(ranked);
            // One more than wanted tells whether there is another page.
            if best.len() > run.limit + 1 {
                best.pop();
            }
        }
        if scan.is_over() {
            return Err(too_long());
        }
    }
    let mut best = best.into_sorted_vec();
    let mut more = best.len() > run.limit;
    best.truncate(run.limit);
    let names: Vec<String> = best.iter().map(|ranked| ranked.name.clone()).collect();
    let mut chosen = Scan::of(run, None, HUB_QUERY_TIME).only(&names);
    let (mut items, mut bytes) = (Vec::new(), 0);
    while let Some(documents) = chosen.next().await? {
        for document in documents {
            bytes += push(&mut items, run.query, document.value).max(document.bytes);
            if bytes >= HUB_QUERY_PAGE_BYTES {
                let shown = names.iter().position(|name| *name == document.name).map_or(names.len(), |at| at + 1);
                more |= shown < best.len();
                best.truncate(shown);
                return Ok(Found { items, mark: last(&best, more) });
            }
        }
    }
    Ok(Found { items, mark: last(&best, more) })
}

fn last(best: &[Ranked], more: bool) -> Option<Mark> {
    best.last().filter(|_| more).map(Ranked::mark)
}

fn keys(run: &Run<'_>, document: &Value) -> Vec<Option<Value>> {
    let key = |by: &By| match by {
        By::Value(expression) => eval::order_key(eval::value(expression, document)),
        By::Item(_) | By::Group(_) => None,
    };
    run.query.order.iter().map(|order| key(&order.by)).collect()
}
