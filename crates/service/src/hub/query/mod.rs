//! Queries over a hub's devices and modules: `POST /devices/query` (reference: iot-hub-and-dps.md C.6).
//!
//! What a query means is read by [`ferrohub_wire::iothub_query`] and evaluated here, once, over the documents that twins are. The
//! store only narrows where a condition names device ids. Every page is read anew, so a query sees what was written before it;
//! a continuation says behind which document, or which place in the order, the next page begins, and so is not moved by writes.
//!
//! | File | What |
//! |---|---|
//! | `narrow` | which rows a condition can be about, and which parts of a document a query looks at |
//! | `scan` | rows to documents, so many at a time |
//! | `eval` | expressions |
//! | `plain`, `ordered`, `groups` | the three ways in which results are made |
//! | `mark` | continuations |

mod eval;
mod groups;
mod mark;
mod narrow;
mod ordered;
mod plain;
mod scan;

use super::access::QUERY;
use super::{HubRef, HubService};
use crate::authz::Actor;
use crate::platform::Platform;
use crate::provisioning::PageRequest;
use ferrohub_model::clock::timeout;
use ferrohub_model::device::argument_invalid;
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::limits::{HUB_QUERY_PATIENCE, HUB_QUERY_TIME, QUERY_PAGE};
use ferrohub_wire::iothub_query::{Projected, Query, Select, Source};
use mark::Mark;
use serde_json::{Map, Value};

/// A page of results.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryPage {
    /// Twins, or objects of the query's own making.
    pub items: Vec<Value>,
    /// IoT Hub's word for what they are: `twin` or `raw`.
    pub item_type: &'static str,
    /// `x-ms-continuation` of the next page; `None` when this is the last one. A page may be short, or empty, and not the last.
    pub continuation: Option<String>,
}

/// A query that is run for one page.
struct Run<'a> {
    platform: &'a Platform,
    hub: &'a HubRef,
    query: &'a Query,
    /// Results of this page, at most.
    limit: usize,
    /// Where the page before ended.
    mark: Option<Mark>,
}

/// Results of a page, and where it ends if there may be more.
struct Found {
    items: Vec<Value>,
    mark: Option<Mark>,
}

impl HubService {
    /// One page of a query's results.
    ///
    /// # Errors
    /// The refusal of an actor without the right; `ArgumentInvalid` (400004) for a query or a continuation that is none, naming the
    /// position; `RequestTimedOut` (400024) where every device must be seen and that takes too long; `ThrottlingException` (429001)
    /// while many queries run; 501 for `devices.jobs`.
    pub async fn query(&self, actor: &Actor, hub: &HubRef, text: &str, page: &PageRequest) -> Result<QueryPage> {
        self.authorize(actor, hub, &QUERY).await?;
        if text.trim().is_empty() {
            return Err(argument_invalid("The body is a JSON object whose 'query' is the text of the query."));
        }
        let query = Query::parse(text)?;
        if query.source == Source::Jobs {
            let text = "Jobs over many devices are not built, so there is nothing in devices.jobs; query devices or devices.modules.";
            return Err(Error::not_implemented(text).with_iot_code(501_000));
        }
        let mark = Mark::read(page.continuation.as_deref(), text, hub)?;
        let shown = mark.as_ref().map_or(0, |mark| mark.shown);
        let left = query.top.map_or(u64::MAX, |top| top.saturating_sub(shown));
        let wanted = page.max_items.filter(|count| *count > 0).unwrap_or(QUERY_PAGE).min(QUERY_PAGE);
        let limit = usize::try_from(left).unwrap_or(usize::MAX).min(wanted);
        let item_type = if query.select == Select::All { "twin" } else { "raw" };
        if limit == 0 {
            return Ok(QueryPage { items: Vec::new(), item_type, continuation: None });
        }
        let clock = self.platform.clock.as_ref();
        let Ok(Ok(_turn)) = timeout(clock, HUB_QUERY_PATIENCE, self.queries.acquire()).await else {
            return Err(busy());
        };
        let run = Run { platform: &self.platform, hub, query: &query, limit, mark };
        let found = if query.is_grouped() {
            groups::run(&run).await?
        } else if query.order.is_empty() {
            plain::run(&run).await?
        } else {
            ordered::run(&run).await?
        };
        let all = query.top.is_some_and(|top| shown + found.items.len() as u64 >= top);
        let next = found.mark.filter(|_| !all);
        let continuation = next.map(|mark| mark.written(shown + found.items.len() as u64, text, hub));
        Ok(QueryPage { items: found.items, item_type, continuation })
    }
}

fn busy() -> Error {
    let text = "Many queries over devices run already; try again in a few seconds, or ask for fewer at the same time.";
    let mut error = Error::new(ErrorKind::Throttled, "ThrottlingException", text).with_iot_code(429_001);
    error.retry_after_seconds = Some(5);
    error
}

/// A query that must see every device has taken too long.
fn too_long() -> Error {
    Error::invalid(format!(
        "The query was stopped after {} seconds: with GROUP BY, ORDER BY or an aggregate every device is looked at before the first result. Narrow it with a condition on deviceId, such as STARTSWITH(deviceId, 'a').",
        HUB_QUERY_TIME.as_secs()
    ))
    .with_code("RequestTimedOut")
    .with_iot_code(400_024)
}

/// Adds what a query shows of a document, and says how many bytes that has where it is not the document itself.
fn push(items: &mut Vec<Value>, query: &Query, document: Value) -> usize {
    match query.select {
        Select::All => {
            items.push(document);
            0
        }
        Select::Items(_) => {
            let shown = projected(query, &document);
            let bytes = eval::size(&shown);
            items.push(shown);
            bytes
        }
    }
}

/// What a query shows of a document.
fn projected(query: &Query, document: &Value) -> Value {
    let mut shown = Map::new();
    for item in query.items() {
        if let Projected::Value(expression) = &item.shows
            && let Some(value) = eval::value(expression, document)
        {
            shown.insert(item.name.clone(), value.into_owned());
        }
    }
    Value::Object(shown)
}
