//! A long-running operation as it is stored: a durable row with a lease.

use super::activity::{self, Entry};
use super::request::ArmResponse;
use crate::authz::Actor;
use crate::lease;
use crate::platform::{Change, Platform};
use crate::tables::OPERATIONS;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::time::rfc3339;
use ferrohub_store::{Pages, Put, Row, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// How long a lease lasts without renewal, milliseconds: ours.
const LEASE_MS: i64 = 15_000;

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
pub struct StoredOperation {
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
    /// What became of its parts, once it has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// How many of its parts are done, and of how many, where it counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<(usize, usize)>,
    /// What the answer at its `Location` says once it has ended well, where that says something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Who works on it and until when (Unix milliseconds).
    #[serde(default)]
    pub lease: Option<(Uuid, i64)>,
    /// Times that somebody took it up since it last got on, without those that waited for another operation.
    #[serde(default)]
    pub attempts: u32,
    /// Correlation id of the starting request.
    pub correlation: String,
    /// The row of the activity log that began it, from which that of its end is made; an operation of an older program has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Entry<'static>>,
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
    pub(super) fn of(error: &Error) -> Self {
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

/// A part of an operation: what was done to one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The resource.
    pub resource: String,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

impl Step {
    pub(super) fn of(resource: &ResourceId, error: Option<&Error>) -> Self {
        Self { resource: resource.to_string(), error: error.map(Failure::of) }
    }

    /// As one of `operations` in ARM's operation status.
    pub(super) fn view(&self) -> Value {
        let name = self.resource.rsplit('/').next().unwrap_or_default();
        let status = if self.error.is_none() { "Succeeded" } else { "Failed" };
        let mut view = json!({"id": self.resource, "name": name, "resourceId": self.resource, "status": status});
        if let Some(failure) = &self.error {
            view["error"] = json!({"code": failure.code, "message": failure.message});
        }
        view
    }
}

impl StoredOperation {
    /// A new operation of `kind` on `resource`, which the type with the tag `of` knows; `begun` is the row of the activity log of the
    /// request that begins it.
    pub fn new(
        platform: &Platform,
        begun: Entry<'static>,
        of: &str,
        kind: &str,
        resource: &ResourceId,
        result_status: u16,
        input: Value,
    ) -> Self {
        let new =
            Self::with(platform, &begun.caller_id, begun.correlation_id, of, kind, resource, result_status, input);
        Self { begun: Some(begun), ..new }
    }

    /// Who works on it: the worker, on behalf of whoever started it.
    pub(crate) fn actor(&self) -> Actor {
        Actor::worker_for(&self.initiator)
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
            steps: Vec::new(),
            progress: None,
            result: None,
            lease: None,
            attempts: 0,
            correlation: correlation.to_string(),
            begun: None,
        }
    }

    /// Its row.
    pub(super) fn put(&self) -> Result<Put> {
        let state = if self.state == State::Running { "running" } else { "done" };
        Ok(Put::new(&OPERATIONS, self.id.clone(), vec![Some(state.into())], self)?)
    }
}

/// The right to work on an operation, renewed between steps.
pub struct Lease {
    pub(super) record: StoredOperation,
    /// Whether what the row says of attempts is not so any more.
    recount: bool,
    version: u64,
    owner: Uuid,
}

impl Lease {
    /// Says how far it is; written with the next renewal.
    pub(super) fn tell(&mut self, done: usize, of: usize) {
        self.record.progress = Some((done, of.max(done)));
    }

    /// Says that something was done that stays done: whoever gets on is not given up, however often it was interrupted.
    pub(super) fn got_on(&mut self) {
        self.recount |= self.record.attempts > 1;
        self.record.attempts = 1;
    }

    /// Leaves the operation, which met `error`, to whoever comes when the lease has run out. Waiting for others is no attempt.
    pub(super) async fn put_off(mut self, platform: &Platform, error: &Error) -> Result<()> {
        if error.code == WAITS {
            self.record.attempts = self.record.attempts.saturating_sub(1);
            self.recount = true;
        }
        match self.recount {
            true => self.save(platform).await,
            false => Ok(()),
        }
    }

    /// Extends the lease once a third of it has passed.
    ///
    /// # Errors
    /// Unavailable, when another process took the operation over.
    pub async fn renew(&mut self, platform: &Platform) -> Result<()> {
        let now = platform.now().as_millisecond();
        if self.record.lease.is_some_and(|(_, until)| lease::is_fresh(until, now, LEASE_MS)) {
            return Ok(());
        }
        self.record.lease = Some((self.owner, now + LEASE_MS));
        self.save(platform).await
    }

    /// Saves the operation as ended, with the row of the activity log that says how.
    pub(super) async fn end(mut self, platform: &Platform, outcome: Option<&Error>) -> Result<()> {
        self.record.state = if outcome.is_some() { State::Failed } else { State::Succeeded };
        self.record.error = outcome.map(Failure::of);
        self.record.lease = None;
        self.record.ended = Some(rfc3339(platform.now()));
        let mut change = Change::new();
        if let Some(begun) = &self.record.begun {
            change.unit.put(activity::end(platform, begun, self.record.result_status, outcome)?);
        }
        self.save_with(platform, change).await
    }

    async fn save(&mut self, platform: &Platform) -> Result<()> {
        self.save_with(platform, Change::new()).await
    }

    async fn save_with(&mut self, platform: &Platform, mut change: Change) -> Result<()> {
        change.unit.expect_version(&OPERATIONS, self.record.id.clone(), self.version);
        change.unit.put(self.record.put()?);
        match platform.commit(change).await {
            Ok(committed) => {
                // The operation's row is the last one.
                let version = committed.versions.last().copied().unwrap_or(self.version);
                assert!(version > self.version, "versions of operation {} only grow", self.record.id);
                self.version = version;
                self.recount = false;
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
/// Code of the private error that says: another operation is at work, and this one can go on when it has ended.
pub(super) const WAITS: &str = "WaitsForAnother";

/// An operation by id.
///
/// # Errors
/// When the store cannot be read.
pub async fn load(platform: &Platform, id: &str) -> Result<Option<(StoredOperation, u64)>> {
    let Ok(key) = Uuid::parse_str(id) else { return Ok(None) };
    let Some(row) = platform.store.get(&OPERATIONS, &key.to_string()).await? else { return Ok(None) };
    Ok(Some((row.parse::<StoredOperation>()?.as_ref().clone(), row.version)))
}

/// Takes the lease of an operation; `None` when it has ended or somebody else has it.
pub(super) async fn take(platform: &Platform, id: &str) -> Result<Option<Lease>> {
    let Some((mut record, version)) = load(platform, id).await? else { return Ok(None) };
    let now = platform.now().as_millisecond();
    if record.state != State::Running || record.lease.is_some_and(|(_, until)| lease::holds(until, now, LEASE_MS)) {
        return Ok(None);
    }
    let owner = platform.random.uuid_v4();
    record.lease = Some((owner, now + LEASE_MS));
    record.attempts += 1;
    let mut lease = Lease { record, recount: false, version, owner };
    match lease.save(platform).await {
        Ok(()) => Ok(Some(lease)),
        Err(error) if error.code == LEASE_LOST => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether an operation on a resource, or on something below it, has not ended.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn is_running(platform: &Platform, id: &ResourceId) -> Result<bool> {
    let mut pages = Pages::find(platform.store.as_ref(), &OPERATIONS, "state", "running", RUNNING);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            let record = row.parse::<StoredOperation>()?;
            // Operations on something above, such as the move that asks, are told apart by their own rules.
            if ResourceId::parse(&record.resource).is_ok_and(|on| on.is_within(id)) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Rows of running operations read at once: ours.
const RUNNING: usize = 200;

/// Ids of operations that nobody works on, `limit` of them, for a worker: those behind `turn`, where its last round ended, come first. So
/// operations that wait for another one do not keep it from its turn, however many they are.
///
/// # Errors
/// When the store cannot be read.
pub async fn abandoned(platform: &Platform, turn: &mut String, limit: usize) -> Result<Vec<String>> {
    let now = platform.now().as_millisecond();
    let held = |record: &StoredOperation| record.lease.is_some_and(|(_, until)| lease::holds(until, now, LEASE_MS));
    let free = |row: &Row| row.parse::<StoredOperation>().is_ok_and(|record| !held(&record));
    let mut pages = Pages::find(platform.store.as_ref(), &OPERATIONS, "state", "running", RUNNING);
    let mut ids = Vec::new();
    while let Some(rows) = pages.next().await? {
        ids.extend(rows.iter().filter(|row| free(row)).map(|row| row.key.clone()));
    }
    let behind = ids.partition_point(|id| *id <= *turn);
    ids.rotate_left(behind);
    ids.truncate(limit);
    if let Some(last) = ids.last() {
        turn.clone_from(last);
    }
    Ok(ids)
}
