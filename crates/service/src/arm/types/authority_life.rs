//! The life of an issuing CA, whichever generation asks: revoked and replaced, activated under somebody else's root, and
//! followed by a successor before it ends or when its root was followed.
//!
//! What is decided is one unit of work; what follows from it at the hubs is a durable operation that is safe to run twice.
//! Hubs are written through `synchronize`, as the namespace's identity, and each has its result in the operation's status.

use super::linked_namespace::linked_hubs;
use super::synchronize::{self, Wanted};
use super::{authority, hub_certificate};
use crate::arm::activity;
use crate::arm::context::SubContext;
use crate::arm::declaration::SubAnswer;
use crate::arm::operation::{Lease, StoredOperation};
use crate::arm::operations;
use crate::authz::Actor;
use crate::certificate::{self, AuthorityRecord};
use crate::platform::{Change, Platform};
use crate::resources::{self, Stored, missing};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{CERTIFICATE_BYTES, CHAIN_LENGTH};
use ferrohub_model::uid::{parse_uid_key, uid_key};
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::external::check_chain;
use serde_json::{Value, json};
use uuid::Uuid;

/// Revokes what the input names, makes what takes its place, and tells the hubs.
const REVOKE: &str = "revoke";
/// Brings an authority that waits to the hubs, and lets it take over.
pub(super) const INSTALL: &str = "install";

/// Who starts what nobody asked for.
pub(super) const INITIATOR: &str = "rotation";

/// Answers `revokeIssuer` and `revokeAndRotate`.
///
/// # Errors
/// `Conflict` where nothing is there to revoke.
pub(super) async fn revoke(cx: &SubContext<'_>, action: &str) -> Result<SubAnswer> {
    let platform = cx.platform;
    let generations = certificate::generations(platform, cx.stored.uid).await?;
    let trusted: Vec<Value> = generations
        .iter()
        .filter(|(record, _)| record.state.signs_lists())
        .map(|(record, _)| record.id.to_string().into())
        .collect();
    if trusted.is_empty() {
        return Err(Error::conflict(format!(
            "'{}' has no active issuing CA that could be revoked: it waits for its certificate (PendingActivation).",
            cx.stored.name()
        ))
        .with_code("IssuingCaNotActive"));
    }
    accept(cx, action, (REVOKE, json!({ "authorities": trusted }), None), Change::new()).await
}

/// Answers `activateBringYourOwnRoot` and `activate`. Sent again with the same chain it is answered again.
///
/// # Errors
/// Those of [`check_chain`]; `InvalidIssuerType` for an authority under a root of ours; `Conflict` where no request waits.
pub(super) async fn activate(cx: &SubContext<'_>, action: &str) -> Result<SubAnswer> {
    let platform = cx.platform;
    let name = cx.stored.name();
    if !authority::is_external(cx.stored) {
        return Err(Error::invalid(format!(
            "The issuing CA of '{name}' is signed by the namespace's own root, so there is nothing to activate. A root of your own is chosen when it is made."
        ))
        .with_code("InvalidIssuerType"));
    }
    let text = chain_text(cx.body)?;
    let mut attempts = platform.attempts();
    loop {
        attempts
            .begin(|| Error::unavailable(format!("'{name}' is changed by many at once; try again in a second."), 1))
            .await?;
        let (pending, mut change) = (certificate::pending_of(platform, cx.stored.uid).await?, Change::new());
        let accepted = match pending {
            Some((pending, version)) if !pending.has_certificate() => {
                let chain = check_chain(text, &pending.request_der, platform.now())?;
                certificate::accept(platform, &pending, version, &chain, &mut change).await?.id
            }
            other => {
                let known = match other {
                    Some((pending, _)) => Some(pending),
                    None => certificate::authority_of(platform, cx.stored.uid).await?,
                };
                let known = known.ok_or_else(|| missing(cx.id))?;
                if !begins_with(text, &known) {
                    return Err(Error::conflict(format!(
                        "'{name}' has no certificate signing request that waits: its issuing CA is active, and a new request is made before it ends."
                    ))
                    .with_code("NoPendingCertificateSigningRequest"));
                }
                known.id
            }
        };
        let input = json!({"authority": accepted.to_string(), "anyway": true});
        match accept(cx, action, (INSTALL, input, None), change).await {
            Err(error) if error.code == CHANGED => {}
            other => return other,
        }
    }
}

/// Code of the private error that says: a row changed meanwhile.
pub(super) const CHANGED: &str = "AuthorityChanged";

/// Commits `change` with an operation (its kind, its input, and what it answers in the end) and its row in the activity log, and
/// drives the operation for a moment.
///
/// # Errors
/// [`CHANGED`] where somebody else was faster.
pub(super) async fn accept(
    cx: &SubContext<'_>,
    action: &str,
    (kind, mut input, result): (&str, Value, Option<Value>),
    mut change: Change,
) -> Result<SubAnswer> {
    input["owner"] = uid_key(cx.stored.uid).into();
    input["request"] = json!(cx.request.request_id);
    input["correlation"] = json!(cx.request.correlation_id);
    let (row, begun) = activity::begin(cx.platform, cx.request, cx.id, action)?;
    let mut record = StoredOperation::new(cx.platform, begun, authority::KIND.tag, kind, cx.id, 204, input);
    record.result = result;
    change.unit.put(row);
    change.unit.put(record.put()?);
    if !cx.platform.try_commit(change).await? {
        return Err(Error::conflict("A certificate authority was changed meanwhile.").with_code(CHANGED));
    }
    operations::drive_briefly(cx.platform, &record.id).await?;
    Ok(SubAnswer::Accepted { operation: record.id })
}

/// The authority resource that an operation is about; `None` once it was deleted.
///
/// # Errors
/// Internal, where the operation names none; when the store cannot be read.
pub(super) async fn owner_of(platform: &Platform, record: &StoredOperation) -> Result<Option<Stored>> {
    let owner = record.input.get("owner").and_then(Value::as_str).and_then(parse_uid_key);
    let owner = owner.ok_or_else(|| Error::internal(format!("operation {} names no authority", record.id)))?;
    resources::by_uid(platform, owner).await
}

/// Carries out an operation of this file on the authority resource `owner`.
pub(super) async fn run(
    platform: &Platform,
    record: &StoredOperation,
    lease: &mut Lease,
    owner: &Stored,
) -> Result<()> {
    match record.kind.as_str() {
        REVOKE => run_revoke(platform, record, lease, owner).await,
        INSTALL => run_install(platform, record, lease, owner).await,
        other => Err(Error::internal(format!("operation {} is of unknown kind {other}", record.id))),
    }
}

async fn run_revoke(platform: &Platform, record: &StoredOperation, lease: &mut Lease, owner: &Stored) -> Result<()> {
    let list = record.input.get("authorities").and_then(Value::as_array);
    let targets: Vec<Uuid> = list.into_iter().flatten().filter_map(id_of).collect();
    let mut attempts = platform.attempts();
    loop {
        attempts.begin(|| Error::unavailable(format!("'{}' is changed by many at once.", owner.name()), 1)).await?;
        let mut change = Change::new();
        if !certificate::revoke(platform, owner.uid, &targets, &mut change).await? {
            break;
        }
        // Sessions under it end now, whether or not its entry can be taken off the hub.
        for hub in hubs_of(platform, owner).await? {
            change.trust_changed(hub.uid);
        }
        if platform.try_commit(change).await? {
            break;
        }
    }
    push(platform, record, lease, owner, None).await
}

async fn run_install(platform: &Platform, record: &StoredOperation, lease: &mut Lease, owner: &Stored) -> Result<()> {
    let anyway = record.input.get("anyway").and_then(Value::as_bool).unwrap_or(false);
    let Some(id) = record.input.get("authority").and_then(id_of) else { return Ok(()) };
    let hubs = match goes_everywhere(record) {
        true => None,
        false => Some(holders(platform, owner).await?),
    };
    let pushed = push(platform, record, lease, owner, hubs).await;
    if pushed.is_ok() || anyway {
        certificate::take_over(platform, id).await?;
    }
    pushed
}

/// A successor that nobody asked for goes where the one before it is; what is activated goes to every linked hub.
fn goes_everywhere(record: &StoredOperation) -> bool {
    record.input.get("holders").and_then(Value::as_bool) != Some(true)
}

/// Brings what is trusted of an authority resource to hubs, and takes off what is revoked.
pub(super) async fn push(
    platform: &Platform,
    record: &StoredOperation,
    lease: &mut Lease,
    owner: &Stored,
    hubs: Option<Vec<Uuid>>,
) -> Result<()> {
    let linked = hubs_of(platform, owner).await?;
    if linked.is_empty() || hubs.as_ref().is_some_and(Vec::is_empty) {
        return Ok(());
    }
    let Some(namespace) = resources::by_uid(platform, owner.parent).await? else { return Ok(()) };
    synchronize::bring(platform, &namespace, record, lease, &Wanted::one(owner.uid, hubs)).await
}

/// The hubs that are linked to the namespace of an authority resource.
pub(super) async fn hubs_of(platform: &Platform, owner: &Stored) -> Result<Vec<Stored>> {
    match resources::by_uid(platform, owner.parent).await? {
        Some(namespace) => linked_hubs(platform, &namespace).await,
        None => Ok(Vec::new()),
    }
}

/// The hubs that have an entry of an authority resource.
pub(super) async fn holders(platform: &Platform, owner: &Stored) -> Result<Vec<Uuid>> {
    let mut found = Vec::new();
    for hub in hubs_of(platform, owner).await? {
        if hub_certificate::has_of(platform, &hub, owner.uid).await? {
            found.push(hub.uid);
        }
    }
    Ok(found)
}

fn id_of(value: &Value) -> Option<Uuid> {
    value.as_str().and_then(|text| Uuid::parse_str(text).ok())
}

fn chain_text(body: Option<&Value>) -> Result<&str> {
    let path = "certificateChain";
    let wrong = |what: &str| {
        Error::invalid_property(
            path,
            format!(
                "{what} The body is {{\"certificateChain\": \"<PEM>\"}}: the issuing CA's certificate, then the root that signed it."
            ),
        )
    };
    let body = body.and_then(Value::as_object).ok_or_else(|| wrong("There is no body."))?;
    if let Some(name) = body.keys().find(|name| name.as_str() != path) {
        let shown: String = name.chars().take(80).collect();
        return Err(wrong(&format!("There is no member '{shown}'.")).with_target(shown));
    }
    let text = body.get(path).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    let text = text.ok_or_else(|| wrong("'certificateChain' is missing."))?;
    // Base64 makes three bytes four characters.
    if text.len() > CHAIN_LENGTH * CERTIFICATE_BYTES * 2 {
        return Err(wrong("'certificateChain' is too long."));
    }
    Ok(text)
}

/// Whether a chain begins with the certificate of this authority.
fn begins_with(pem: &str, known: &AuthorityRecord) -> bool {
    let first = Certificate::chain_from_pem(pem).ok().and_then(|chain| chain.into_iter().next());
    first.is_some_and(|first| first.der() == known.certificate_der)
}

/// Who acts where nobody asked.
pub(super) fn actor() -> Actor {
    Actor::worker_for(INITIATOR)
}

/// What rows of the activity log say of where it came from.
pub(super) fn origin<'a>(actor: &'a Actor, platform: &Platform) -> activity::Origin<'a> {
    let id = platform.new_id();
    activity::Origin::service(actor, id, id)
}
