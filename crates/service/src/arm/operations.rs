//! Long-running operations: durable rows with a lease. The request that starts one drives it for a
//! moment; what is not done by then, or was cut off, the worker finishes. Steps are safe to run twice.

use super::declaration::TypeDecl;
use super::{ArmRequest, ArmResponse, tree};
use crate::platform::{Change, Platform};
use crate::tables::OPERATIONS;
use ferrohub_model::api_version::ApiVersion;
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::time::rfc3339;
use ferrohub_store::{Page, Put, Row, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// How long a lease lasts without renewal, milliseconds: ours.
const LEASE_MS: i64 = 15_000;
/// How long the starting request waits before it answers 202: ours.
const BRIEFLY: Duration = Duration::from_secs(8);
/// Seconds a client is told to wait between polls; clients wait 30 where none is given.
pub const RETRY_AFTER_SECONDS: u32 = 1;

/// The operation that every type has: the delete of a tree.
pub const DELETE: &str = "delete";

/// Where an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Not finished.
    Running,
    /// Finished well.
    Succeeded,
    /// Finished with an error.
    Failed,
}

/// The stored form of an operation.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Id, a GUID.
    pub id: String,
    /// What is done: [`DELETE`], or an operation that the type knows.
    pub kind: String,
    /// Tag of the type that knows it.
    #[serde(rename = "type")]
    pub of: String,
    /// Resource that it is done to.
    pub resource: String,
    /// Object id of who started it; checked once, when it was accepted.
    pub initiator: String,
    /// Where it stands.
    pub state: State,
    /// HTTP status that the synchronous form would have answered.
    pub result_status: u16,
    /// What the executor needs to know.
    pub input: Value,
    /// Start, RFC 3339.
    pub started: String,
    /// End, RFC 3339.
    #[serde(default)]
    pub ended: Option<String>,
    /// Error of a failed operation.
    #[serde(default)]
    pub error: Option<Failure>,
    /// Who works on it and until when (Unix milliseconds).
    #[serde(default)]
    pub lease: Option<(Uuid, i64)>,
    /// Times that somebody took it up.
    #[serde(default)]
    pub attempts: u32,
    /// Correlation id of the starting request.
    pub correlation: String,
}

/// Why an operation failed, as whoever asks later is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// ARM's code.
    pub code: String,
    /// Text for a person.
    pub message: String,
    /// HTTP status that the synchronous form would have answered.
    pub status: u16,
    /// Further errors: code and message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<(String, String)>,
}

impl Failure {
    fn of(error: &Error) -> Self {
        Self {
            code: error.code.into(),
            message: error.message.clone(),
            status: error.http_status(),
            details: error.details.clone(),
        }
    }

    /// The answer for whoever waited: the same code and status, whoever finished the operation.
    pub(super) fn answer(&self) -> ArmResponse {
        let mut error = json!({"code": self.code, "message": self.message});
        if !self.details.is_empty() {
            let details = self.details.iter().map(|(code, message)| json!({"code": code, "message": message}));
            error["details"] = details.collect();
        }
        ArmResponse::new(self.status, Some(json!({ "error": error })))
    }
}

/// What driving an operation came to.
pub enum Outcome {
    /// Finished well.
    Succeeded,
    /// Finished here with this error.
    Failed(Error),
    /// Finished with this error by somebody else.
    Settled(Failure),
    /// Still at work, here or elsewhere.
    Running,
}

impl Record {
    /// A new operation of `kind` on `resource`.
    pub fn new(
        platform: &Platform,
        request: &ArmRequest,
        decl: &TypeDecl,
        kind: &str,
        resource: &ResourceId,
        result_status: u16,
        input: Value,
    ) -> Self {
        let (initiator, correlation) = (request.actor.id(), request.correlation_id);
        Self::with(platform, initiator, correlation, decl.kind.tag, kind, resource, result_status, input)
    }

    /// A new operation of `kind` on the resource of the type with the tag `of`, started by the principal `initiator`.
    #[expect(clippy::too_many_arguments, reason = "the fields of a row; a struct would only rename them")]
    pub fn with(
        platform: &Platform,
        initiator: &str,
        correlation: Uuid,
        of: &str,
        kind: &str,
        resource: &ResourceId,
        result_status: u16,
        input: Value,
    ) -> Self {
        Self {
            id: platform.random.uuid_v4().to_string(),
            kind: kind.into(),
            of: of.into(),
            resource: resource.to_string(),
            initiator: initiator.into(),
            state: State::Running,
            result_status,
            input,
            started: rfc3339(platform.now()),
            ended: None,
            error: None,
            lease: None,
            attempts: 0,
            correlation: correlation.to_string(),
        }
    }

    fn put(&self) -> Result<Put> {
        let state = if self.state == State::Running { "running" } else { "done" };
        Ok(Put::new(&OPERATIONS, self.id.clone(), vec![Some(state.into())], self)?)
    }
}

/// The right to work on an operation, renewed between steps.
pub struct Lease {
    record: Record,
    version: u64,
    owner: Uuid,
}

impl Lease {
    /// Extends the lease once a third of it has passed.
    ///
    /// # Errors
    /// Unavailable, when another process took the operation over.
    pub async fn renew(&mut self, platform: &Platform) -> Result<()> {
        let now = platform.now().as_millisecond();
        if self.record.lease.is_some_and(|(_, until)| until - now > LEASE_MS * 2 / 3) {
            return Ok(());
        }
        self.record.lease = Some((self.owner, now + LEASE_MS));
        self.save(platform).await
    }

    async fn save(&mut self, platform: &Platform) -> Result<()> {
        let mut change = Change::new();
        change.unit.expect_version(&OPERATIONS, self.record.id.clone(), self.version);
        change.unit.put(self.record.put()?);
        match platform.commit(change).await {
            Ok(committed) => {
                self.version = committed.versions.first().copied().unwrap_or(self.version);
                Ok(())
            }
            Err(StoreError::Conflict { .. }) => {
                Err(Error::unavailable("another process works on this operation", 1).with_code(LEASE_LOST))
            }
            Err(other) => Err(other.into()),
        }
    }
}

/// Code of the private error that says: the lease is somebody else's now.
const LEASE_LOST: &str = "LeaseLost";

/// Commits a new operation together with `change`; answers its id.
///
/// # Errors
/// When the unit is refused.
pub async fn start(platform: &Platform, record: Record, mut change: Change) -> Result<String> {
    change.unit.put(record.put()?);
    platform.commit(change).await?;
    Ok(record.id)
}

/// An operation by id.
///
/// # Errors
/// When the store cannot be read.
pub async fn load(platform: &Platform, id: &str) -> Result<Option<(Record, u64)>> {
    let Ok(key) = Uuid::parse_str(id) else { return Ok(None) };
    let Some(row) = platform.store.get(&OPERATIONS, &key.to_string()).await? else { return Ok(None) };
    Ok(Some((row.parse::<Record>()?.as_ref().clone(), row.version)))
}

/// Drives an operation for as long as a request may wait.
///
/// # Errors
/// When the store fails; the operation then stays for the worker.
pub async fn drive_briefly(platform: &Platform, id: &str) -> Result<Outcome> {
    match tokio::time::timeout(BRIEFLY, drive(platform, id)).await {
        Ok(outcome) => outcome,
        Err(_) => Ok(Outcome::Running),
    }
}

/// Takes the lease and runs the operation to its end.
///
/// # Errors
/// When the store fails; the operation then stays for the worker.
pub async fn drive(platform: &Platform, id: &str) -> Result<Outcome> {
    let Some(mut lease) = take(platform, id).await? else {
        return Ok(settled(load(platform, id).await?));
    };
    let record = lease.record.clone();
    let outcome = execute(platform, &record, &mut lease).await;
    match &outcome {
        Ok(()) => lease.record.state = State::Succeeded,
        // What may pass by itself is tried again when the lease has run out.
        Err(error)
            if matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Internal) && lease.record.attempts < 10 =>
        {
            tracing::warn!(operation = id, %error, context = error.context, "an operation is tried again later");
            return Ok(Outcome::Running);
        }
        Err(error) => {
            if record.kind == DELETE
                && let Err(stuck) = tree::give_up(platform, &record).await
            {
                tracing::error!(operation = id, %stuck, context = stuck.context, "a mark of deletion could not be taken off");
            }
            lease.record.state = State::Failed;
            lease.record.error = Some(Failure::of(error));
        }
    }
    lease.record.lease = None;
    lease.record.ended = Some(rfc3339(platform.now()));
    lease.save(platform).await?;
    Ok(match outcome {
        Ok(()) => Outcome::Succeeded,
        Err(error) => Outcome::Failed(error),
    })
}

fn settled(found: Option<(Record, u64)>) -> Outcome {
    match found {
        Some((record, _)) if record.state == State::Succeeded => Outcome::Succeeded,
        Some((record, _)) if record.state == State::Failed => record.error.map_or(Outcome::Running, Outcome::Settled),
        _ => Outcome::Running,
    }
}

async fn take(platform: &Platform, id: &str) -> Result<Option<Lease>> {
    let Some((mut record, version)) = load(platform, id).await? else { return Ok(None) };
    let now = platform.now().as_millisecond();
    if record.state != State::Running || record.lease.is_some_and(|(_, until)| until > now) {
        return Ok(None);
    }
    let owner = platform.random.uuid_v4();
    record.lease = Some((owner, now + LEASE_MS));
    record.attempts += 1;
    let mut lease = Lease { record, version, owner };
    match lease.save(platform).await {
        Ok(()) => Ok(Some(lease)),
        Err(error) if error.code == LEASE_LOST => Ok(None),
        Err(error) => Err(error),
    }
}

async fn execute(platform: &Platform, record: &Record, lease: &mut Lease) -> Result<()> {
    if record.kind == DELETE {
        return tree::run(platform, record, lease).await;
    }
    match platform.types.tagged(&record.of) {
        Some(decl) => decl.behavior.run(platform, record, lease).await,
        None => Err(Error::internal(format!("operation {} is of the unknown type {}", record.id, record.of))),
    }
}

/// Ids of operations that nobody works on, for the worker.
///
/// # Errors
/// When the store cannot be read.
pub async fn abandoned(platform: &Platform, limit: usize) -> Result<Vec<String>> {
    let rows = platform.store.find(&OPERATIONS, "state", "running", Page::first(limit)).await?;
    let now = platform.now().as_millisecond();
    let free = |row: &Row| row.parse::<Record>().is_ok_and(|r| r.lease.is_none_or(|(_, until)| until <= now));
    Ok(rows.into_iter().filter(|row| free(row)).map(|row| row.key.clone()).collect())
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
    let base = format!(
        "{}/subscriptions/{}/providers/{}/locations/{location}",
        request.base_url, platform.tenancy.subscription_id, decl.kind.provider
    );
    let mut answer = ArmResponse::new(202, None);
    answer.headers.push(("Location", format!("{base}/operationResults/{id}?api-version={version}")));
    if request.method != "POST" || decl.action_status {
        answer.headers.push(("Azure-AsyncOperation", format!("{base}/operationStatuses/{id}?api-version={version}")));
    }
    answer.headers.push(("Retry-After", RETRY_AFTER_SECONDS.to_string()));
    answer
}

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
        platform.authorize(&request.actor, "Microsoft.Resources/subscriptions/operationresults/read", &resource)?;
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

fn status_body(request: &ArmRequest, record: &Record) -> Value {
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
    if let Some(ended) = &record.ended {
        body["endTime"] = ended.clone().into();
    }
    if let Some(failure) = &record.error {
        body["error"] = json!({"code": failure.code, "message": failure.message});
    }
    body
}

fn query_text(request: &ArmRequest) -> String {
    request.query.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}
