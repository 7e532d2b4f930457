//! Long-running operations at work. The request that starts one drives it for a
//! moment; what is not done by then, or was cut off, the worker finishes. Steps are safe to run twice.

use super::declaration::TypeDecl;
use super::operation::{DELETE, Failure, Lease, State, Step, StoredOperation, WAITS, load, take};
use super::request::{ArmRequest, ArmResponse};
use super::tree;
use crate::platform::{Change, Platform};
use ferrohub_model::api_version::ApiVersion;
use ferrohub_model::clock::timeout;
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::resource_id::ResourceId;
use serde_json::{Value, json};
use std::time::Duration;

/// How long the starting request waits before it answers 202: ours.
const BRIEFLY: Duration = Duration::from_secs(8);
/// Seconds a client is told to wait between polls; clients wait 30 where none is given.
pub const RETRY_AFTER_SECONDS: u32 = 1;

/// Times that an operation is taken up in vain before it is given up: ours.
const ATTEMPTS: u32 = 10;

/// What driving an operation came to.
pub enum OperationOutcome {
    /// Finished well.
    Succeeded,
    /// Finished here with this error.
    Failed(Error),
    /// Finished with this error by somebody else.
    Settled(Failure),
    /// Still at work, here or elsewhere.
    Running,
}

/// Commits a new operation together with `change`; answers its id.
///
/// # Errors
/// When the unit is refused.
pub async fn start(platform: &Platform, record: StoredOperation, mut change: Change) -> Result<String> {
    change.unit.put(record.put()?);
    platform.commit(change).await?;
    Ok(record.id)
}

/// Drives an operation for as long as a request may wait.
///
/// # Errors
/// When the store fails; the operation then stays for the worker.
pub async fn drive_briefly(platform: &Platform, id: &str) -> Result<OperationOutcome> {
    match timeout(platform.clock.as_ref(), BRIEFLY, Box::pin(drive(platform, id))).await {
        Ok(outcome) => outcome,
        Err(_) => Ok(OperationOutcome::Running),
    }
}

/// Takes the lease and runs the operation to its end.
///
/// # Errors
/// When the store fails; the operation then stays for the worker.
pub async fn drive(platform: &Platform, id: &str) -> Result<OperationOutcome> {
    let Some(mut lease) = take(platform, id).await? else {
        return Ok(settled(load(platform, id).await?));
    };
    let record = lease.record.clone();
    assert_eq!(record.state, State::Running, "operation {id} was taken up after its end");
    let outcome = execute(platform, &record, &mut lease).await;
    match &outcome {
        Ok(()) => {}
        // What may pass by itself is tried again when the lease has run out.
        Err(error) if passes(error, lease.record.attempts) => {
            tracing::warn!(operation = id, %error, context = error.context, "an operation is tried again later");
            if let Err(error) = lease.put_off(platform, error).await {
                tracing::warn!(operation = id, %error, context = error.context, "how often it was tried could not be noted");
            }
            return Ok(OperationOutcome::Running);
        }
        Err(_) => {
            if record.kind == DELETE
                && let Err(stuck) = tree::give_up(platform, &record).await
            {
                tracing::error!(operation = id, %stuck, context = stuck.context, "a mark of deletion could not be taken off");
            }
        }
    }
    lease.end(platform, outcome.as_ref().err()).await?;
    Ok(match outcome {
        Ok(()) => OperationOutcome::Succeeded,
        Err(error) => OperationOutcome::Failed(error),
    })
}

/// Whether what failed may go well another time.
fn passes(error: &Error, attempts: u32) -> bool {
    let transient = matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Internal);
    transient && (attempts < ATTEMPTS || error.code == WAITS)
}

fn settled(found: Option<(StoredOperation, u64)>) -> OperationOutcome {
    match found {
        Some((record, _)) if record.state == State::Succeeded => OperationOutcome::Succeeded,
        Some((record, _)) if record.state == State::Failed => {
            record.error.map_or(OperationOutcome::Running, OperationOutcome::Settled)
        }
        _ => OperationOutcome::Running,
    }
}

async fn execute(platform: &Platform, record: &StoredOperation, lease: &mut Lease) -> Result<()> {
    if record.kind == DELETE {
        return tree::run(platform, record, lease).await;
    }
    match platform.types.tagged(&record.of) {
        Some(decl) => decl.behavior.run(platform, record, lease).await,
        None => Err(Error::internal(format!("operation {} is of the unknown type {}", record.id, record.of))),
    }
}

/// The 202 answer of an accepted operation.
pub(super) fn accepted(
    platform: &Platform,
    request: &ArmRequest,
    decl: &TypeDecl,
    location: &str,
    id: &str,
    version: &ApiVersion,
) -> ArmResponse {
    let named = request.path.trim_start_matches('/').split('/').nth(1).filter(|id| platform.subscription(id).is_some());
    let subscription = named.unwrap_or(&platform.tenancy.subscription_id);
    let provider = decl.kind.provider;
    let base = format!("{}/subscriptions/{subscription}/providers/{provider}/locations/{location}", request.base_url);
    let mut answer = ArmResponse::new(202, None);
    answer.headers.push(("Location", format!("{base}/operationResults/{id}?api-version={version}")));
    if request.method != "POST" || decl.action_status {
        answer.headers.push(("Azure-AsyncOperation", format!("{base}/operationStatuses/{id}?api-version={version}")));
    }
    answer.headers.push(("Retry-After", RETRY_AFTER_SECONDS.to_string()));
    answer
}

/// Reading the outcome of an operation that somebody else started.
pub(super) const READ_RESULTS: &str = "Microsoft.Resources/subscriptions/operationresults/read";

/// Answers a poll of `operationStatuses`, `operationResults` or `operationresults`.
///
/// # Errors
/// NotFound, or the caller is neither the initiator nor a reader of the subscription.
pub(super) async fn poll(platform: &Platform, request: &ArmRequest, results: bool, id: &str) -> Result<ArmResponse> {
    let unknown = || {
        let shown: String = id.chars().take(60).collect();
        Error::not_found(format!("The operation '{shown}' does not exist or has expired."))
            .with_code("OperationNotFound")
    };
    let (record, _) = load(platform, id).await?.ok_or_else(unknown)?;
    if record.initiator != request.actor.id() {
        let resource = ResourceId::parse(&record.resource)?;
        platform.authorize(&request.actor, READ_RESULTS, &resource)?;
    }
    let running = record.state == State::Running;
    let mut answer = if results {
        match (&record.error, running) {
            (_, true) => {
                let mut waiting = ArmResponse::new(202, None);
                waiting
                    .headers
                    .push(("Location", format!("{}{}?{}", request.base_url, request.path, query_text(request))));
                waiting
            }
            (Some(failure), _) => failure.answer(),
            (None, _) if record.result.is_some() => ArmResponse::new(200, record.result.clone()),
            // Azure's own synchronization has no body and answers none; one that chose hears what became of its choice.
            (None, _) if !record.steps.is_empty() && chose(&record) => {
                ArmResponse::new(200, Some(json!({ "operations": steps(&record) })))
            }
            (None, _) => ArmResponse::new(if record.result_status == 202 { 204 } else { record.result_status }, None),
        }
    } else {
        ArmResponse::new(200, Some(status_body(request, &record)))
    };
    if running {
        answer.headers.push(("Retry-After", RETRY_AFTER_SECONDS.to_string()));
    }
    Ok(answer)
}

fn status_body(request: &ArmRequest, record: &StoredOperation) -> Value {
    let status = match record.state {
        State::Running => "InProgress",
        State::Succeeded => "Succeeded",
        State::Failed => "Failed",
    };
    let mut body = json!({
        "id": request.path,
        "name": record.id,
        "status": status,
        "startTime": record.started,
        "resourceId": record.resource
    });
    let done = |(done, of): (usize, usize)| done.saturating_mul(100) / of.max(1);
    if let Some(progress) = record.progress.filter(|_| record.state == State::Running) {
        body["percentComplete"] = done(progress).min(99).into();
    } else if record.state == State::Succeeded {
        body["percentComplete"] = 100.into();
    }
    if let Some(ended) = &record.ended {
        body["endTime"] = ended.clone().into();
    }
    if let Some(failure) = &record.error {
        body["error"] = json!({"code": failure.code, "message": failure.message});
    }
    if !record.steps.is_empty() {
        body["operations"] = steps(record);
    }
    body
}

fn steps(record: &StoredOperation) -> Value {
    record.steps.iter().map(Step::view).collect()
}

/// Whether the request named what the operation is done to.
fn chose(record: &StoredOperation) -> bool {
    ["policies", "hubs"].iter().any(|list| record.input.get(list).is_some())
}

fn query_text(request: &ArmRequest) -> String {
    request.query.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}
