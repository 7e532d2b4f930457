//! A root that is followed by another one: asked for, or begun by the worker before it could not last any longer. ADR 0050.
//!
//! The next root signs at once. What it takes to move the issuing CAs below it is a durable operation: each gets a successor
//! under the next root, which is brought to the hubs that have the one before, and then takes over. A hub that refuses keeps the
//! issuing CA where it is, and the worker tries again at each sweep. Both roots stand until nothing below the former lives.

use super::authority::{self, is_root};
use super::authority_life::{self, CHANGED, INITIATOR, accept, actor, origin};
use crate::arm::activity;
use crate::arm::context::SubContext;
use crate::arm::declaration::SubAnswer;
use crate::arm::operation::{Lease, Step, StoredOperation};
use crate::certificate::{self, AuthorityRecord, AuthorityState};
use crate::platform::{Change, Platform};
use crate::resources::{self, Stored, missing};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::time::rfc3339;
use ferrohub_model::uid::uid_key;
use ferrohub_pki::certificate::Certificate;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The last segment of the request: ours, Azure has none.
pub(super) const ACTION: &str = "rotate";
/// The operation that moves what is below a root under the next one.
pub(super) const ROTATE: &str = "rotateRoot";
/// Looks at one issuing CA in an operation at most; a pair moves it, and one that waited since before takes another.
const ROUNDS: usize = 6;

/// Answers `rotate` of a root, whichever generation asks. In the end it answers with the next root.
///
/// # Errors
/// `InvalidCertificateAuthorityType` for an issuing CA; `RootRotationUnderWay` while one of those below has not been moved yet.
pub(super) async fn rotate(cx: &SubContext<'_>, action: &str) -> Result<SubAnswer> {
    let platform = cx.platform;
    if !is_root(cx.stored) {
        return Err(Error::invalid(format!(
            "The certificate authority '{}' is an issuing CA (ICA), which is followed by itself before it ends; a Root is rotated. To replace an issuing CA now: revokeAndRotate.",
            cx.stored.name()
        ))
        .with_code("InvalidCertificateAuthorityType"));
    }
    let namespace = resources::by_uid(platform, cx.stored.parent).await?.ok_or_else(|| missing(cx.id))?;
    let mut attempts = platform.attempts();
    loop {
        attempts
            .begin(|| Error::unavailable(format!("'{}' is changed by many at once; try again.", cx.stored.name()), 1))
            .await?;
        let active = certificate::active_of(platform, cx.stored.uid).await?;
        let (active, version) = active.ok_or_else(|| missing(cx.id))?;
        let behind = behind(platform, cx.stored, &active).await?;
        if !behind.is_empty() {
            return Err(Error::conflict(format!(
                "The root of the namespace '{}' is being rotated: these issuing CAs are still below the one before: {}. The activity log says which hub did not take their successors; it is tried again by itself.",
                namespace.name(),
                behind.join(", ")
            ))
            .with_code("RootRotationUnderWay"));
        }
        let mut change = Change::new();
        let next = certificate::replace_root(platform, &namespace, &active, version, &mut change).await?;
        match accept(cx, action, (ROTATE, json!({}), Some(shown(&next)?)), change).await {
            Err(error) if error.code == CHANGED => {}
            other => return other,
        }
    }
}

/// The next root, for those who have to trust it by hand.
fn shown(root: &AuthorityRecord) -> Result<Value> {
    Ok(json!({
        "subject": root.subject,
        "thumbprint": root.thumbprint,
        "validityNotBefore": rfc3339(root.not_before),
        "validityNotAfter": rfc3339(root.not_after),
        "certificate": Certificate::from_der(&root.certificate_der)?.to_pem(),
    }))
}

/// The names of issuing CAs of `root` that are below another one than `active`.
async fn behind(platform: &Platform, root: &Stored, active: &AuthorityRecord) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for below in resources::linked(platform, &root.key()).await? {
        let issuing = certificate::authority_of(platform, below.uid).await?;
        if issuing.is_some_and(|issuing| issuing.issuer != Some(active.id)) {
            names.push(below.name().to_owned());
        }
    }
    Ok(names)
}

/// Whether the root of an issuing CA was followed by another one.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn is_followed(platform: &Platform, issuing: &AuthorityRecord) -> Result<bool> {
    let Some(root) = issuing.issuer else { return Ok(false) };
    Ok(certificate::authority(platform, root).await?.is_some_and(|root| root.state == AuthorityState::Superseded))
}

/// Begins to rotate the root of an issuing CA, the one of the resource `owner`, if it ends before `until`. Returns whether it did.
///
/// # Errors
/// When the store or the key store fails.
pub(super) async fn begin_before(
    platform: &Platform,
    owner: &Stored,
    issuing: &AuthorityRecord,
    until: Timestamp,
) -> Result<bool> {
    let Some(uid) = owner.resource.link(authority::ISSUER) else { return Ok(false) };
    let Some((root, version)) = certificate::active_of(platform, uid).await? else { return Ok(false) };
    if root.not_after > until || issuing.issuer != Some(root.id) {
        return Ok(false);
    }
    let (stored, namespace) =
        (resources::by_uid(platform, uid).await?, resources::by_uid(platform, owner.parent).await?);
    let (Some(stored), Some(namespace)) = (stored, namespace) else { return Ok(false) };
    let mut change = Change::new();
    let next = certificate::replace_root(platform, &namespace, &root, version, &mut change).await?;
    let (actor, correlation) = (actor(), platform.new_id());
    let input = json!({"owner": uid_key(uid), "request": correlation, "correlation": correlation});
    let tag = authority::KIND.tag;
    let mut record = StoredOperation::with(platform, INITIATOR, correlation, tag, ROTATE, &stored.id, 204, input);
    record.result = Some(shown(&next)?);
    let action = format!("{}/{ACTION}/action", authority::KIND.full());
    let told = format!(
        "The root certificate authority '{}' ends on {}, before an issuing CA below it could be followed by one that lasts, so it is followed by '{}'. Whoever trusts it by hand needs the new one too.",
        root.subject,
        rfc3339(root.not_after),
        next.subject
    );
    let by = origin(&actor, platform);
    change.unit.put(activity::warning(platform, &by, &stored.id, &action, "RootCertificateAuthorityFollowed", &told)?);
    let origin = activity::Origin::service(&actor, correlation, correlation);
    let (row, begun) = activity::begin_of_service(platform, &origin, &stored.id, &action)?;
    change.unit.put(row);
    record.begun = Some(begun);
    change.unit.put(record.put()?);
    platform.try_commit(change).await
}

/// Moves each issuing CA of the root `owner` under its present one. Each is tried; the error is the first, with all of them as its
/// details.
///
/// # Errors
/// What a hub refused.
pub(super) async fn run(
    platform: &Platform,
    record: &StoredOperation,
    lease: &mut Lease,
    owner: &Stored,
) -> Result<()> {
    let (mut steps, mut refused): (Vec<Step>, Vec<Error>) = (Vec::new(), Vec::new());
    for below in resources::linked(platform, &owner.key()).await? {
        lease.renew(platform).await?;
        let moved = follow(platform, record, lease, owner, &below).await;
        steps.push(Step::of(&below.id, moved.as_ref().err()));
        if let Err(error) = moved {
            // What passes by itself comes first: the whole is tried again then.
            let passes = matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Internal);
            refused.insert(if passes { 0 } else { refused.len() }, error);
        }
    }
    lease.record.steps = steps;
    let details: Vec<(String, String)> =
        refused.iter().map(|error| (error.code.to_owned(), error.message.clone())).collect();
    match refused.into_iter().next() {
        None => Ok(()),
        Some(mut first) => {
            if details.len() > 1 {
                first.details = details;
            }
            Err(first)
        }
    }
}

/// Moves one issuing CA. One that has none that is active waits for nothing here.
async fn follow(
    platform: &Platform,
    record: &StoredOperation,
    lease: &mut Lease,
    root: &Stored,
    below: &Stored,
) -> Result<()> {
    for _ in 0..ROUNDS {
        let Some(present) = certificate::authority_of(platform, root.uid).await? else { return Ok(()) };
        let Some((active, version)) = certificate::active_of(platform, below.uid).await? else { return Ok(()) };
        if active.issuer == Some(present.id) {
            return Ok(());
        }
        match certificate::pending_of(platform, below.uid).await? {
            Some((next, _)) => {
                let hubs = authority_life::holders(platform, below).await?;
                authority_life::push(platform, record, lease, below, Some(hubs)).await?;
                certificate::take_over(platform, next.id).await?;
            }
            None => {
                let mut change = Change::new();
                certificate::prepare(platform, &active, version, &mut change).await?;
                // Where somebody else was faster, what he made is found by the next look.
                platform.try_commit(change).await?;
            }
        }
    }
    // Prepared, at the hubs, taken over: a round each, and one more pair for a successor that waited since before.
    match is_moved(platform, root, below).await? {
        true => Ok(()),
        false => Err(Error::unavailable(format!("'{}' is changed by many at once.", below.name()), 1)),
    }
}

async fn is_moved(platform: &Platform, root: &Stored, below: &Stored) -> Result<bool> {
    let present = certificate::authority_of(platform, root.uid).await?.map(|root| root.id);
    let active = certificate::authority_of(platform, below.uid).await?;
    Ok(active.is_none_or(|active| active.issuer == present))
}
