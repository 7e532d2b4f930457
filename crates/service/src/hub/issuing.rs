//! Carrying out the renewals that a hub accepted: soon after, by the process that accepted them; else by the worker of
//! whichever process finds them.

use super::access::unauthorized;
use super::renewal::StoredRenewals;
use super::{HubRef, contended, identity, trust};
use crate::certificate::{self, IssueRequest, issue_leaf};
use crate::platform::{self, Change, Platform};
use crate::registry::{self, NamespaceEdge};
use crate::resources::{self, Stored};
use crate::tables::{DEVICES, RENEWALS, RESOURCES};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::clock::timeout;
use ferrohub_model::device::{AuthenticationType, DeviceIdentity, DeviceStatus};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::limits::{READ_ROWS, REMEMBERED_HUBS, RENEWALS_WAITING};
use ferrohub_model::renewal::{
    CODE_BACKLOG_FULL, CODE_BACKLOG_TIMEOUT, CODE_NOT_SET_UP, Renewal, RenewalFailure, RenewalState, Renewals,
};
use ferrohub_model::uid::{parse_uid_key, uid_key};
use ferrohub_pki::csr::{CODE_BAD_REQUEST, CertificateRequest};
use ferrohub_store::{Pages, Row};
use futures_util::StreamExt as _;
use jiff::Timestamp;
use quick_cache::sync::Cache;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// The word in the column of rows with an operation that is to be carried out.
pub(super) const PENDING: &str = "pending";

/// Time between accepting and issuing: ours. IoT Hub takes some seconds, and a device may replace, leave or unsubscribe while an
/// operation is pending; a device that counts on that meets it here too.
const PAUSE: Duration = Duration::from_secs(1);
/// Renewals of one hub that one process carries out at a time: ours.
const AT_A_TIME: usize = 16;
/// Longest wait for that: ours.
const LONGEST_TURN: Duration = Duration::from_secs(30);
/// Seconds after which a device is told to try again where too many wait: ours.
const RETRY_AFTER_SECONDS: u32 = 5;
/// Age at which an operation that is pending is taken up by the worker: ours.
const ABANDONED: Duration = Duration::from_secs(5);
/// Time after acceptance for which a fault of ours that may pass is tried again: ours.
const PATIENCE: Duration = Duration::from_secs(60);
/// Operations that the worker takes up in one round, and at a time: ours.
const TAKEN_UP: (usize, usize) = (256, 16);

/// Which renewals of each hub this process has in work.
pub(crate) struct RenewalQueues {
    hubs: Cache<Uuid, Queue>,
}

#[derive(Clone)]
struct Queue {
    waiting: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

/// A place among the renewals that wait at a hub.
pub(super) struct Slot {
    _place: OwnedSemaphorePermit,
    turns: Arc<Semaphore>,
}

impl Default for RenewalQueues {
    fn default() -> Self {
        Self { hubs: Cache::new(REMEMBERED_HUBS) }
    }
}

impl RenewalQueues {
    /// A place for one more renewal of a hub.
    ///
    /// # Errors
    /// 429002 when all are taken.
    pub(super) fn slot(&self, hub: Uuid) -> Result<Slot> {
        let queue = self.hubs.get(&hub).unwrap_or_else(|| {
            let queue = Queue {
                waiting: Arc::new(Semaphore::new(RENEWALS_WAITING)),
                turns: Arc::new(Semaphore::new(AT_A_TIME)),
            };
            self.hubs.insert(hub, queue.clone());
            queue
        });
        match queue.waiting.try_acquire_owned() {
            Ok(place) => Ok(Slot { _place: place, turns: queue.turns }),
            Err(_) => Err(throttled(
                CODE_BACKLOG_FULL,
                format!(
                    "{RENEWALS_WAITING} certificate requests wait at this hub, which is the most; try again later."
                ),
            )),
        }
    }
}

fn throttled(code: u32, message: impl Into<String>) -> Error {
    let mut error = Error::new(ErrorKind::Throttled, "TooManyRequests", message).with_iot_code(code);
    error.retry_after_seconds = Some(RETRY_AFTER_SECONDS);
    error
}

/// From where a device's certificate comes.
struct Source {
    edge: NamespaceEdge,
    authority: Stored,
    policy: Stored,
    credential_id: Uuid,
}

/// Refuses unless a certificate could be issued for the device as it, its policy and its hub stand now, to a connection that rests
/// on the credential id `credential`. Gives the version of the identity that this was said of.
///
/// # Errors
/// 404001 for a device that is gone, 412005 naming what is missing, 403000 for a right that is; 401003 where the device was revoked
/// meanwhile: what still has its connection for a moment gets nothing new.
pub(super) async fn check_set_up(
    platform: &Platform,
    hub: Uuid,
    device: Uuid,
    credential: Option<Uuid>,
) -> Result<u64> {
    let found = identity::by_uid(platform.store.as_ref(), device).await?.filter(|found| found.device.hub == hub);
    let found = found.ok_or_else(|| {
        Error::not_found("The device was deleted.").with_code("DeviceNotFound").with_iot_code(404_001)
    })?;
    let source = source(platform, &found.device).await?;
    if credential != Some(source.credential_id) {
        return Err(unauthorized("The certificate of this connection was revoked; provision the device again."));
    }
    Ok(found.version)
}

async fn source(platform: &Platform, device: &DeviceIdentity) -> Result<Source> {
    let id = &device.device_id;
    if device.status == DeviceStatus::Disabled {
        let line = identity::enabling("HUB", id);
        return Err(Error::forbidden(format!(
            "The device '{id}' is disabled and gets no certificate; enable it: {line}"
        ))
        .with_code("DeviceDisabled")
        .with_iot_code(403_012));
    }
    let kind = device.authentication.kind;
    if kind != AuthenticationType::CertificateAuthority {
        return Err(not_set_up(format!(
            "The device '{id}' has the authentication type '{}', so a certificate would not let it in. Register it with a certificate signing request at the Device Provisioning Service first.",
            kind.as_str()
        )));
    }
    let (Some(policy), Some(credential_id)) = (device.policy, device.credential_id) else {
        return Err(not_set_up(format!(
            "The device '{id}' has no credential policy that could issue its certificate. Register it with a certificate signing request at the Device Provisioning Service, through an enrollment that has one."
        )));
    };
    let hub = resources::by_uid(platform, device.hub).await?.map(HubRef::of);
    let hub = hub.ok_or_else(|| Error::not_found("The hub was deleted.").with_iot_code(404_000))?;
    let Some(edge) = registry::hub_edge(platform, &hub.stored).await? else {
        return Err(not_set_up(format!(
            "The hub '{}' is not linked to a Device Registry namespace, so nothing issues certificates for its devices.",
            hub.name
        )));
    };
    let policy = resources::by_uid(platform, policy).await?;
    let authority = match &policy {
        Some(policy) => resources::by_uid(platform, policy.parent).await?,
        None => None,
    };
    let (Some(policy), Some(authority)) = (policy, authority.filter(|found| found.parent == edge.namespace.uid)) else {
        return Err(not_set_up(format!(
            "The credential policy of the device '{id}' is not in the namespace '{}' any more. Register the device at the Device Provisioning Service through an enrollment with another policy.",
            edge.id
        )));
    };
    let policy_id = edge.id.child("credentials", "default").child("policies", authority.name());
    registry::check_issue(platform, &edge, &policy_id)?;
    let record = certificate::authority_of(platform, authority.uid).await?;
    let trusted = match &record {
        Some(record) => trust::trusts(platform, &hub, &record.thumbprint).await?,
        None => false,
    };
    if !trusted {
        return Err(not_set_up(format!(
            "The hub '{}' does not trust the issuing CA of the credential policy '{}', so a certificate of it would not let the device in. Bring it there: az iot adr ns credential sync --namespace \"{}\" --resource-group \"{}\"",
            hub.name,
            authority.name(),
            edge.namespace.name(),
            edge.namespace.group()
        )));
    }
    Ok(Source { edge, authority, policy, credential_id })
}

fn not_set_up(message: String) -> Error {
    Error::precondition(message).with_iot_code(CODE_NOT_SET_UP)
}

/// Carries out an operation that was just accepted, when its turn comes. A process that stops meanwhile leaves it to the next.
pub(super) async fn carry_out_in_turn(platform: Weak<Platform>, device: Uuid, operation: Uuid, slot: Slot) {
    let Some(clock) = platform.upgrade().map(|platform| Arc::clone(&platform.clock)) else { return };
    clock.sleep(PAUSE).await;
    let Some(platform) = platform.upgrade() else { return };
    let platform = platform.as_ref();
    let turn = timeout(platform.clock.as_ref(), LONGEST_TURN, slot.turns.acquire()).await;
    let late = matches!(turn, Err(_) | Ok(Err(_)));
    if late {
        let error = throttled(CODE_BACKLOG_TIMEOUT, "The certificate request waited too long for its turn; try again.");
        report(device, end(platform, device, operation, Some(&error)).await);
    } else {
        report(device, drive(platform, device, operation).await);
    }
}

/// Takes up operations that nobody carries out: their process died, or met a fault that may have passed. Gives how many.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn take_up(platform: &Platform) -> Result<usize> {
    let now = platform.now();
    let mut found = Vec::new();
    let mut pages = Pages::find(platform.store.as_ref(), &RENEWALS, "state", PENDING, READ_ROWS);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            found.extend(abandoned(&row, now)?);
        }
        if found.len() >= TAKEN_UP.0 {
            break;
        }
    }
    let count = found.len();
    let each = |(device, operation)| async move { report(device, drive(platform, device, operation).await) };
    futures_util::stream::iter(found).for_each_concurrent(TAKEN_UP.1, each).await;
    Ok(count)
}

fn abandoned(row: &Row, now: Timestamp) -> Result<Option<(Uuid, Uuid)>> {
    let renewals = row.parse::<Renewals>()?;
    let Some(pending) = renewals.operations.iter().find(|one| one.is_pending()) else { return Ok(None) };
    // A clock that was set back must not keep it from being carried out.
    let age = now.duration_since(pending.accepted);
    let fresh = !age.is_negative() && age.unsigned_abs() < ABANDONED;
    Ok(parse_uid_key(&row.key).filter(|_| !fresh).map(|device| (device, pending.correlation_id)))
}

fn report(device: Uuid, done: Result<()>) {
    if let Err(error) = done {
        tracing::warn!(%device, %error, context = error.context, "a certificate could not be renewed; it is tried again");
    }
}

/// Carries out an operation. A fault of ours that may pass leaves it pending, unless it has been that for a while.
async fn drive(platform: &Platform, device: Uuid, operation: Uuid) -> Result<()> {
    let Err(error) = end(platform, device, operation, None).await else { return Ok(()) };
    let stored = StoredRenewals::load(platform, device).await?;
    let accepted = stored.renewals.operations.iter().find(|one| one.correlation_id == operation);
    let age = accepted.map(|one| platform.now().duration_since(one.accepted).unsigned_abs());
    if age.is_none_or(|age| age < PATIENCE) {
        return Err(error);
    }
    tracing::warn!(%device, %error, context = error.context, "a certificate could not be renewed");
    end(platform, device, operation, Some(&error)).await
}

/// Ends an operation: with a certificate, or with why there is none, which is `given` where it is known already. The outcome and
/// the row of the certificate are one unit, under the identity as it was read.
async fn end(platform: &Platform, device: Uuid, operation: Uuid, given: Option<&Error>) -> Result<()> {
    let mut attempts = platform.attempts();
    loop {
        attempts.begin(|| contended("The device's renewals")).await?;
        let mut stored = StoredRenewals::load(platform, device).await?;
        let Some(place) = stored.renewals.operations.iter().position(|one| one.correlation_id == operation) else {
            return Ok(());
        };
        let RenewalState::Pending { csr } = stored.renewals.operations[place].state.clone() else { return Ok(()) };
        // The row goes with its device.
        let Some(found) = identity::by_uid(platform.store.as_ref(), device).await? else { return Ok(()) };
        let mut change = Change::new();
        if platform.now() >= stored.renewals.operations[place].expires {
            stored.renewals.operations.remove(place);
        } else {
            let issued = match given {
                Some(error) => Err(error.clone()),
                None => issue(platform, &found.device, &csr, &mut change).await,
            };
            stored.renewals.operations[place].state = match issued {
                Ok(state) => state,
                Err(error) if given.is_none() && passes(&error) => return Err(error),
                Err(error) => RenewalState::Failed { failure: failure(&error), delivered: false },
            };
        }
        count(stored.renewals.operations.get(place));
        stored.add(device, &mut change)?;
        change.unit.expect_version(&DEVICES, uid_key(device), found.version);
        platform::tell_of_renewal(found.device.hub, &found.device.device_id, &mut change);
        if platform.try_commit(change).await? {
            return Ok(());
        }
    }
}

/// Whether a fault may pass by itself.
fn passes(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Internal | ErrorKind::Throttled)
}

fn count(ended: Option<&Renewal>) {
    let status = match ended.map(|one| &one.state) {
        Some(RenewalState::Issued { .. }) => "issued",
        Some(RenewalState::Failed { .. }) => "failed",
        _ => "expired",
    };
    metrics::counter!("ferrohub_renewals_total", "status" => status).increment(1);
    if status == "issued" {
        metrics::counter!("ferrohub_certificates_issued_total").increment(1);
    }
}

async fn issue(platform: &Platform, device: &DeviceIdentity, csr: &str, change: &mut Change) -> Result<RenewalState> {
    let der = STANDARD.decode(csr).map_err(|_| Error::internal("a stored certificate request is not base64"))?;
    let csr = CertificateRequest::from_der(&der)?;
    let id = device.device_id.as_str();
    if csr.common_name() != Some(id) {
        let shown: String =
            csr.common_name().unwrap_or_default().chars().filter(|c| !c.is_control()).take(128).collect();
        return Err(Error::invalid(format!(
            "The certificate request did not pass verification: its common name is '{shown}', not the device id '{id}'; they must be equal, letter by letter."
        ))
        .with_iot_code(CODE_BAD_REQUEST));
    }
    let source = source(platform, device).await?;
    let request = IssueRequest {
        namespace: &source.edge.namespace,
        authority: &source.authority,
        policy: &source.policy,
        csr: &csr,
        registration_id: id,
        device_id: id,
        device_uid: device.uid,
        credential_id: source.credential_id,
    };
    let issued = issue_leaf(platform, request).await?;
    change.unit.append(issued.unit);
    change.unit.expect_exists(&RESOURCES, source.policy.key());
    let leaf = STANDARD.encode(&issued.leaf_der);
    Ok(RenewalState::Issued { leaf, authorities: issued.authorities.to_vec(), delivered: false })
}

/// What the device is told of an error: the code that IoT Hub was seen to give, and beside it what the credential service said.
fn failure(error: &Error) -> RenewalFailure {
    let credential = match error.numeric_code() {
        CODE_BAD_REQUEST => Some("400000".to_owned()),
        CODE_BACKLOG_TIMEOUT => None,
        _ => Some(error.code.to_owned()),
    };
    RenewalFailure {
        status: error.http_status(),
        code: code_of(error),
        message: error.message.clone(),
        credential: credential.map(|code| (code, error.message.clone())),
        retry_after_seconds: error.retry_after_seconds,
    }
}

/// The number of an error in an answer to a certificate request (reference: certificates.md 3.2).
pub fn code_of(error: &Error) -> u32 {
    match (error.iot_code, error.kind) {
        (0, ErrorKind::Internal) => 500_001,
        (0, ErrorKind::Unavailable) => 503_001,
        (0, ErrorKind::NotFound) => 404_001,
        _ => error.numeric_code(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_has_places_and_another_hub_has_its_own() {
        let queues = RenewalQueues::default();
        let (hub, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut held: Vec<Slot> = (0..RENEWALS_WAITING).map(|_| queues.slot(hub).unwrap()).collect();
        let refused = queues.slot(hub).map(drop).unwrap_err();
        assert_eq!((refused.numeric_code(), refused.http_status()), (CODE_BACKLOG_FULL, 429));
        assert_eq!(refused.retry_after_seconds, Some(RETRY_AFTER_SECONDS));
        assert!(queues.slot(other).is_ok());
        held.pop();
        assert!(queues.slot(hub).is_ok());
    }

    #[test]
    fn what_a_device_is_told_of_a_failure() {
        let told = failure(&Error::invalid("bad").with_iot_code(CODE_BAD_REQUEST));
        assert_eq!((told.status, told.code), (400, 400_037));
        assert_eq!(told.credential, Some(("400000".into(), "bad".into())));
        let told = failure(&throttled(CODE_BACKLOG_TIMEOUT, "late"));
        assert_eq!((told.status, told.code, told.credential.clone()), (429, 429_003, None));
        assert_eq!(told.retry_after_seconds, Some(RETRY_AFTER_SECONDS));
        for (error, code) in [
            (Error::internal("x"), 500_001),
            (Error::unavailable("busy", 1), 503_001),
            (Error::not_found("gone"), 404_001),
            (not_set_up("policy".into()), 412_005),
        ] {
            assert_eq!(code_of(&error), code, "{error}");
        }
    }
}
