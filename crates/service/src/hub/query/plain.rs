//! Results that are made of one document each, in the order in which documents lie.

use super::mark::Mark;
use super::scan::Scan;
use super::{Found, Run, eval, push};
use ferrohub_model::error::Result;
use ferrohub_model::limits::{HUB_QUERY_PAGE_BYTES, HUB_QUERY_PAGE_TIME};

/// A page of the results. It ends when it is full, or when going through documents that do not fit has taken long enough.
pub(super) async fn run(run: &Run<'_>) -> Result<Found> {
    let after = run.mark.as_ref().map(|mark| mark.after.as_str());
    let mut scan = Scan::of(run, after, HUB_QUERY_PAGE_TIME);
    let (mut items, mut bytes) = (Vec::new(), 0);
    let mut last = None;
    while let Some(documents) = scan.next().await? {
        for document in documents {
            if items.len() == run.limit || bytes >= HUB_QUERY_PAGE_BYTES {
                return Ok(Found { items, mark: last.map(Mark::behind) });
            }
            if run.query.condition.as_ref().is_none_or(|condition| eval::holds(condition, &document.value)) {
                bytes += push(&mut items, run.query, document.value).max(document.bytes);
            }
            last = Some(document.name);
        }
        if scan.is_over() {
            return Ok(Found { items, mark: last.map(Mark::behind) });
        }
    }
    Ok(Found { items, mark: None })
}
