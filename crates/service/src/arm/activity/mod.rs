//! The activity log: one row for each write, delete and action, in the unit of work of what it reports; a long operation has two,
//! for its beginning and for its end. Refused and failed requests of known callers are rows too, the repeated ones by their
//! number (`crate::repeats`); unauthenticated ones are only counted.
//!
//! | File | What it is |
//! |---|---|
//! | `entry` | a row as it is stored |
//! | `event` | a row as Azure Monitor shows it |
//! | `filter` | which rows are wanted |
//! | `listing` | the answers to those who read the log |

mod entry;
mod event;
mod filter;
pub(super) mod listing;

pub use entry::{Entry, Origin};

use super::request::ArmRequest;
use crate::platform::{Change, Platform};
use crate::repeats::Sort;
use entry::{ACTIVE, FAILED, STARTED, SUCCEEDED};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::time::rfc3339;
use ferrohub_store::{Put, StoreError};
use serde_json::json;
use std::borrow::Cow;

/// Rows that are written at a time: ours.
const ROWS: usize = 100;
/// Characters of a URI that a row keeps: ours.
const URI_CHARS: usize = 1024;
/// Status of an answer to what goes on behind it.
const ACCEPTED: u16 = 202;

/// The row for a request that was answered well with `status`; 202 is the beginning of something longer.
///
/// # Errors
/// Internal, when the row does not serialize.
pub fn success_row(
    platform: &Platform,
    request: &ArmRequest,
    id: &ResourceId,
    action: &str,
    status: u16,
) -> Result<Put> {
    let word = if status == ACCEPTED { STARTED } else { SUCCEEDED };
    Entry::new(platform, &origin(request), id, action, (word, status, None)).put(platform)
}

/// The row of another write that a request makes beside its own, in the same unit.
///
/// # Errors
/// Internal, when the row does not serialize.
pub fn of_request(platform: &Platform, request: &ArmRequest, id: &ResourceId, action: &str) -> Result<Put> {
    let origin = Origin::service(&request.actor, request.request_id, request.correlation_id);
    of_service(platform, &origin, id, action)
}

/// Writes the row of a request whose effect was not one unit of work: of an action that shows something, or that wrote for
/// itself before. On a disk that takes no more, the row is a line of the server's log instead, so that reading goes on.
///
/// # Errors
/// When the store fails otherwise.
pub async fn record_success(
    platform: &Platform,
    request: &ArmRequest,
    id: &ResourceId,
    action: &str,
    status: u16,
) -> Result<()> {
    let mut change = Change::new();
    change.unit.put(success_row(platform, request, id, action, status)?);
    match platform.commit(change).await {
        Ok(_) => Ok(()),
        Err(StoreError::Unwritable(why)) => {
            let (caller, status) = (request.actor.id(), i64::from(status));
            tracing::error!(why, %id, action, caller, status, request = %request.request_id, "the disk takes no row of the activity log; this line stands for it");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes the row of a request that was refused or failed, unless it repeats one of late. A store that cannot write it is
/// logged; the client gets the first error.
pub async fn record_failure(platform: &Platform, request: &ArmRequest, id: &ResourceId, action: &str, error: &Error) {
    let cause = json!({"code": error.code, "message": error.message});
    let origin = origin(request);
    let entry = Entry::new(platform, &origin, id, action, (FAILED, error.http_status(), Some(cause))).kept();
    let sort = Sort::new(action, &entry.resource_id, error.code);
    if !platform.failures.note(&entry.caller_id, sort, &entry, platform.clock.monotonic()) {
        return;
    }
    if let Err(store) = write(platform, &[entry]).await {
        tracing::error!(%store, request = %request.request_id, "a failed request could not be written to the activity log");
    }
}

/// Writes how often failed requests were repeated in the hours that are over.
pub(crate) async fn record_repeats(platform: &Platform) {
    let now = Cow::from(rfc3339(platform.now()));
    let ended = platform.failures.ended(platform.clock.monotonic()).into_iter();
    let lost = platform.failures.lost();
    if lost > 0 {
        tracing::error!(
            lost,
            "requests of more callers failed than are counted at a time, and are not in the activity log"
        );
    }
    let rows: Vec<Entry<'static>> =
        ended.map(|(entry, repeats)| Entry { repeats: Some(repeats), time: now.clone(), ..entry }).collect();
    if let Err(store) = write(platform, &rows).await {
        tracing::error!(%store, "the number of repeated requests could not be written to the activity log");
    }
}

async fn write(platform: &Platform, rows: &[Entry<'static>]) -> Result<()> {
    for rows in rows.chunks(ROWS) {
        let mut change = Change::new();
        for row in rows {
            change.unit.put(row.put(platform)?);
        }
        platform.commit(change).await?;
    }
    Ok(())
}

fn origin(request: &ArmRequest) -> Origin<'_> {
    Origin {
        actor: &request.actor,
        method: &request.method,
        request_id: request.request_id,
        correlation_id: request.correlation_id,
        client: request.client.clone(),
        uri: Some(uri_of(request).into()),
    }
}

fn uri_of(request: &ArmRequest) -> String {
    let query = request.query.iter().map(|(name, value)| name.len() + value.len() + 2).sum::<usize>();
    let mut uri = String::with_capacity(request.base_url.len() + request.path.len() + query);
    uri.push_str(&request.base_url);
    uri.push_str(&request.path);
    for (nth, (name, value)) in request.query.iter().enumerate() {
        uri.extend([if nth == 0 { "?" } else { "&" }, name, "=", value]);
    }
    if let Some((end, _)) = uri.char_indices().nth(URI_CHARS) {
        uri.truncate(end);
    }
    uri
}

/// The row of a write that a service made in answer to an operation.
///
/// # Errors
/// Internal, when the row does not serialize.
pub fn of_service(platform: &Platform, origin: &Origin<'_>, id: &ResourceId, action: &str) -> Result<Put> {
    Entry::new(platform, origin, id, action, (SUCCEEDED, 200, None)).put(platform)
}

/// The row of something that its owner should look after, and that nobody asked for: `code` and `message` say what.
///
/// # Errors
/// Internal, when the row does not serialize.
pub fn warning(
    platform: &Platform,
    origin: &Origin<'_>,
    id: &ResourceId,
    action: &str,
    code: &str,
    message: &str,
) -> Result<Put> {
    let cause = json!({"code": code, "message": message});
    let mut entry = Entry::new(platform, origin, id, action, (ACTIVE, 0, Some(cause)));
    entry.level = Some("Warning".into());
    entry.put(platform)
}

/// The row of a request that begins a long operation, and what that keeps for the row of its end.
///
/// # Errors
/// Internal, when the row does not serialize.
pub(super) fn begin(
    platform: &Platform,
    request: &ArmRequest,
    id: &ResourceId,
    action: &str,
) -> Result<(Put, Entry<'static>)> {
    let entry = Entry::new(platform, &origin(request), id, action, (STARTED, ACCEPTED, None)).kept();
    Ok((entry.put(platform)?, entry))
}

/// The row that begins a long operation of a service, and what that keeps for the row of its end.
///
/// # Errors
/// Internal, when the row does not serialize.
pub(super) fn begin_of_service(
    platform: &Platform,
    origin: &Origin<'_>,
    id: &ResourceId,
    action: &str,
) -> Result<(Put, Entry<'static>)> {
    let entry = Entry::new(platform, origin, id, action, (STARTED, ACCEPTED, None)).kept();
    Ok((entry.put(platform)?, entry))
}

/// The row that ends what `begun` began.
///
/// # Errors
/// Internal, when the row does not serialize.
pub(super) fn end(platform: &Platform, begun: &Entry<'static>, status: u16, error: Option<&Error>) -> Result<Put> {
    let mut entry = begun.clone();
    entry.time = rfc3339(platform.now()).into();
    entry.status = if error.is_some() { FAILED } else { SUCCEEDED }.into();
    entry.http_status = error.map_or(status, Error::http_status);
    entry.error = error.map(|error| json!({"code": error.code, "message": error.message}));
    entry.put(platform)
}
