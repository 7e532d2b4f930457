//! The activity log: one row for each write, delete and action, in the unit of work of what it reports.
//! Refused and failed requests of known callers are rows too; unauthenticated ones are only counted.

use super::ArmRequest;
use crate::platform::{Change, Platform};
use crate::tables::ACTIVITY;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::time::rfc3339;
use ferrohub_store::Put;
use serde_json::{Value, json};

/// The row for a request that succeeded with `status`.
///
/// # Errors
/// Those of [`Put::new`].
pub fn success_row(
    platform: &Platform,
    request: &ArmRequest,
    id: &ResourceId,
    action: &str,
    status: u16,
) -> Result<Put> {
    row(platform, request, id, action, "Succeeded", status, None)
}

/// Writes the row of a request whose effect was not one unit of work.
///
/// # Errors
/// When the store cannot be written.
pub async fn record_success(
    platform: &Platform,
    request: &ArmRequest,
    id: &ResourceId,
    action: &str,
    status: u16,
) -> Result<()> {
    let mut change = Change::new();
    change.unit.put(success_row(platform, request, id, action, status)?);
    platform.commit(change).await?;
    Ok(())
}

/// Writes the row of a request that was refused or failed. A store that cannot write it is logged; the client gets the first error.
pub async fn record_failure(platform: &Platform, request: &ArmRequest, id: &ResourceId, action: &str, error: &Error) {
    let cause = json!({"code": error.code, "message": error.message});
    let written = async {
        let mut change = Change::new();
        change.unit.put(row(platform, request, id, action, "Failed", error.http_status(), Some(cause))?);
        platform.commit(change).await.map_err(Error::from)
    };
    if let Err(store) = written.await {
        tracing::error!(%store, context = store.context, request = %request.request_id, "a failed request could not be written to the activity log");
    }
}

fn row(
    platform: &Platform,
    request: &ArmRequest,
    id: &ResourceId,
    action: &str,
    outcome: &str,
    status: u16,
    error: Option<Value>,
) -> Result<Put> {
    let key = platform.new_id().to_string();
    let at = rfc3339(platform.now());
    let doc = json!({
        "id": key,
        "time": at,
        "operationName": action,
        "resourceId": id.to_string(),
        "resourceType": id.resource_type(),
        "resourceGroup": id.resource_group,
        "subscriptionId": id.subscription,
        "caller": request.actor.name(),
        "callerId": request.actor.id(),
        "method": request.method,
        "status": outcome,
        "httpStatus": status,
        "error": error,
        "requestId": request.request_id.to_string(),
        "correlationId": request.correlation_id.to_string()
    });
    let columns = vec![
        id.subscription.as_deref().map(str::to_lowercase),
        id.resource_group.as_deref().map(str::to_lowercase),
        Some(request.correlation_id.to_string()),
    ];
    Ok(Put::new(&ACTIVITY, key, columns, &doc)?)
}
