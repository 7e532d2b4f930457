//! The activity log: one row for each write, delete and action, in the unit of work of what it reports.
//! Refused and failed requests of known callers are rows too, the repeated ones by their number (`failures`); unauthenticated
//! ones are only counted.

use super::request::ArmRequest;
use crate::authz::Actor;
use crate::platform::{Change, Platform};
use crate::tables::ACTIVITY;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::time::rfc3339;
use ferrohub_store::{Put, StoreError};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// Who is named in rows of what nobody did.
const SERVICE: &str = "Ferrohub";
/// Rows that are written at a time: ours.
const ROWS: usize = 100;

/// The row for a request that succeeded with `status`.
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
    put(platform, &entry(platform, &origin(request), id, action, ("Succeeded", status, None)))
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
    let entry = entry(platform, &origin, id, action, ("Failed", error.http_status(), Some(cause)));
    let written = match serde_json::to_value(&entry) {
        Ok(row) if platform.failures.note(&row, platform.clock.monotonic()) => write(platform, vec![row]).await,
        Ok(_) => return,
        Err(error) => Err(Error::internal(format!("a row of the activity log: {error}"))),
    };
    if let Err(store) = written {
        tracing::error!(%store, request = %request.request_id, "a failed request could not be written to the activity log");
    }
}

/// Writes how often failed requests were repeated in the hours that are over.
pub(crate) async fn record_repeats(platform: &Platform) {
    let mut rows = platform.failures.ended(platform.clock.monotonic());
    for row in &mut rows {
        row["time"] = rfc3339(platform.now()).into();
    }
    if let Err(store) = write(platform, rows).await {
        tracing::error!(%store, "the number of repeated requests could not be written to the activity log");
    }
}

async fn write(platform: &Platform, rows: Vec<Value>) -> Result<()> {
    for rows in rows.chunks(ROWS) {
        let mut change = Change::new();
        for row in rows {
            change.unit.put(put(platform, row)?);
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
    }
}

/// Who did something, and in answer to what.
pub struct Origin<'a> {
    /// Who.
    pub actor: &'a Actor,
    /// HTTP method of the request; empty for work that a service does by itself.
    pub method: &'a str,
    /// Request that caused it.
    pub request_id: Uuid,
    /// What ties it to other rows.
    pub correlation_id: Uuid,
}

/// The row of a write that a service made in answer to an operation.
pub fn of_service(platform: &Platform, origin: &Origin<'_>, id: &ResourceId, action: &str) -> Result<Put> {
    put(platform, &entry(platform, origin, id, action, ("Succeeded", 200, None)))
}

/// The row of something that nobody did and somebody should know of: `code` and `message` say what.
///
/// # Errors
/// Internal, when the row does not serialize.
pub fn warning_row(platform: &Platform, id: &ResourceId, action: &str, code: &str, message: &str) -> Result<Put> {
    let warning = Entry {
        time: rfc3339(platform.now()),
        operation_name: action,
        resource_id: id.to_string(),
        caller: SERVICE,
        caller_id: "",
        method: "",
        status: "Active",
        level: Some("Warning"),
        http_status: 0,
        error: Some(json!({"code": code, "message": message})),
        request_id: Uuid::nil(),
        correlation_id: Uuid::nil(),
    };
    put(platform, &warning)
}

/// The row of something that its owner should look after, and that nobody asked for.
///
/// # Errors
/// Internal, when the row does not serialize.
pub fn warning(platform: &Platform, origin: &Origin<'_>, id: &ResourceId, action: &str, why: &Error) -> Result<Put> {
    let cause = json!({"code": why.code, "message": why.message});
    put(platform, &entry(platform, origin, id, action, ("Warning", 200, Some(cause))))
}

/// How a request ended: the word, the HTTP status, and the cause if it failed.
type Outcome = (&'static str, u16, Option<Value>);

fn entry<'a>(
    platform: &Platform,
    origin: &Origin<'a>,
    id: &ResourceId,
    action: &'a str,
    (status, http_status, error): Outcome,
) -> Entry<'a> {
    Entry {
        time: rfc3339(platform.now()),
        operation_name: action,
        resource_id: id.to_string(),
        caller: origin.actor.name(),
        caller_id: origin.actor.id(),
        method: origin.method,
        status,
        level: None,
        http_status,
        error,
        request_id: origin.request_id,
        correlation_id: origin.correlation_id,
    }
}

fn put(platform: &Platform, entry: &impl Serialize) -> Result<Put> {
    Ok(Put::new(&ACTIVITY, platform.new_id().to_string(), vec![], entry)?)
}

/// What a row holds. Its id is the key; subscription, group and type are in the resource id. Every write of the control plane
/// makes one, so nothing is kept twice and it is written without a tree of values in between.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    time: String,
    operation_name: &'a str,
    resource_id: String,
    caller: &'a str,
    caller_id: &'a str,
    method: &'a str,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<&'a str>,
    http_status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
    request_id: Uuid,
    correlation_id: Uuid,
}
