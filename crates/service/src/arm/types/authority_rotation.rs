//! Issuing CAs that rotate by themselves: a successor before the end, or under the next root, at the hubs first; a request in time
//! where somebody else signs; a root that cannot last for a successor; and the end of those whose last certificate has ended. Done by the worker, by settled time: a clock that
//! jumps rotates nothing.

use super::authority_life::{INITIATOR, INSTALL, actor, holders, hubs_of, origin};
use super::root_rotation::{self, ROTATE};
use super::{authority, hub_certificate};
use crate::arm::activity;
use crate::arm::operation::StoredOperation;
use crate::certificate::{self, AuthorityRecord, AuthorityState};
use crate::platform::{Change, Platform};
use crate::registry;
use crate::resources::{self, Stored};
use crate::tables::{AUTHORITIES, OPERATIONS};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::limits::{LEAF_VALIDITY_DEFAULT_DAYS, READ_ROWS};
use ferrohub_model::uid::uid_key;
use ferrohub_store::Pages;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

/// Days beyond the validity of a leaf for which a successor has time to reach the hubs, or a customer to sign: ours.
const MARGIN_DAYS: i64 = 30;
/// Looks at every issuing CA at `now`, the settled time. Returns how many changed.
///
/// # Errors
/// When the store cannot be read. What fails for one authority is logged, and tried again by the next look.
pub(crate) async fn sweep(platform: &Platform, now: Timestamp) -> Result<usize> {
    let (mut changed, mut superseded) = (0, Vec::new());
    let mut pages = Pages::scan(platform.store.as_ref(), &AUTHORITIES, "", READ_ROWS);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            let record = row.parse::<AuthorityRecord>()?;
            match record.state {
                AuthorityState::Active if record.is_issuing() => {
                    changed += usize::from(noted(&record, renew(platform, &record, row.version, now).await));
                }
                AuthorityState::Superseded => superseded.push((record, row.version)),
                _ => {}
            }
        }
    }
    let records: Vec<Arc<AuthorityRecord>> = superseded.iter().map(|(record, _)| Arc::clone(record)).collect();
    let needed = certificate::still_needed(platform, &records, now).await?;
    for (record, version) in superseded.into_iter().filter(|(record, _)| !needed.contains(&record.id)) {
        changed += usize::from(noted(&record, end(platform, &record, version).await));
    }
    Ok(changed)
}

fn noted(record: &AuthorityRecord, outcome: Result<bool>) -> bool {
    outcome.unwrap_or_else(|error| {
        tracing::warn!(%error, context = error.context, authority = %record.id, subject = record.subject, "an issuing CA could not be rotated; the next sweep tries again");
        false
    })
}

/// How long before its end an authority is followed: as long as a leaf lives, so that no leaf is cut short, and a month more;
/// half its life at most.
fn lead(record: &AuthorityRecord, leaf_days: u32) -> SignedDuration {
    let wanted = SignedDuration::from_hours((i64::from(leaf_days) + MARGIN_DAYS) * 24);
    wanted.min(record.not_after.duration_since(record.not_before) / 2)
}

/// Prepares what follows an authority that is near its end. Returns whether something was done.
async fn renew(platform: &Platform, record: &AuthorityRecord, version: u64, now: Timestamp) -> Result<bool> {
    let Some(owner) = resources::by_uid(platform, record.owner).await? else { return Ok(false) };
    let policy = certificate::policy_of(platform, owner.uid).await?;
    let days = policy.as_ref().and_then(certificate::leaf_days).unwrap_or(LEAF_VALIDITY_DEFAULT_DAYS);
    let (lead, left) = (lead(record, days), record.not_after.duration_since(now));
    let followed = root_rotation::is_followed(platform, record).await?;
    if left > lead && !followed {
        return Ok(false);
    }
    let pending = certificate::pending_of(platform, owner.uid).await?.map(|(pending, _)| pending);
    match (record.is_external(), pending) {
        (true, Some(_)) => Ok(false),
        (true, None) => ask(platform, &owner, record, version).await,
        (false, None) => {
            if !followed && root_rotation::begin_before(platform, &owner, record, now + lead).await? {
                return Ok(true);
            }
            let mut change = Change::new();
            match certificate::prepare(platform, record, version, &mut change).await {
                Ok(next) => install(platform, &owner, &next, false, change).await,
                Err(error) if error.kind == ErrorKind::Conflict => {
                    warn(platform, &owner, record, version, &error).await
                }
                Err(error) => Err(error),
            }
        }
        // The hubs did not take it. Half-way to the end it takes over all the same.
        (false, Some(next)) => {
            if is_under_way(platform, &owner, next.id).await? {
                return Ok(false);
            }
            let refused = Error::conflict(format!(
                "The successor of the issuing CA '{}' could not be brought to every hub that trusts it; the operations of this authority say why. It is tried again, and takes over in any case before the present one ends on {}.",
                record.subject, record.not_after
            ))
            .with_code("SuccessorNotOnHubs");
            warn(platform, &owner, record, version, &refused).await?;
            install(platform, &owner, &next, left <= lead / 2, Change::new()).await
        }
    }
}

/// Asks the customer for a new certificate while the present one goes on.
async fn ask(platform: &Platform, owner: &Stored, record: &AuthorityRecord, version: u64) -> Result<bool> {
    let mut change = Change::new();
    certificate::ask_again(platform, record, version, &mut change).await?;
    let told = format!(
        "The issuing CA '{}' under your own root ends on {}. Sign the certificate signing request that is shown now, and activate the chain.",
        record.subject, record.not_after
    );
    let (action, code) = (format!("{}/write", authority::KIND.full()), "CertificateExpiringSoon");
    change.unit.put(activity::warning(platform, &origin(&actor(), platform), &owner.id, &action, code, &told)?);
    platform.try_commit(change).await
}

/// Commits `change` with the operation that brings `next` to the hubs and lets it take over.
async fn install(
    platform: &Platform,
    owner: &Stored,
    next: &AuthorityRecord,
    anyway: bool,
    mut change: Change,
) -> Result<bool> {
    let (actor, correlation) = (actor(), platform.new_id());
    let input = json!({"owner": uid_key(owner.uid), "authority": next.id.to_string(), "anyway": anyway, "holders": true,
        "request": correlation, "correlation": correlation});
    let tag = authority::KIND.tag;
    let mut record = StoredOperation::with(platform, INITIATOR, correlation, tag, INSTALL, &owner.id, 204, input);
    let action = format!("{}/write", authority::KIND.full());
    let origin = activity::Origin::service(&actor, correlation, correlation);
    let (row, begun) = activity::begin_of_service(platform, &origin, &owner.id, &action)?;
    change.unit.put(row);
    record.begun = Some(begun);
    change.unit.put(record.put()?);
    platform.try_commit(change).await
}

/// Writes a warning into the activity log, once for each authority.
async fn warn(
    platform: &Platform,
    owner: &Stored,
    record: &AuthorityRecord,
    version: u64,
    error: &Error,
) -> Result<bool> {
    if record.warned {
        return Ok(false);
    }
    let mut change = Change::new();
    certificate::mark_warned(record, version, &mut change)?;
    let action = format!("{}/write", authority::KIND.full());
    let (actor, message) = (actor(), &error.message);
    let origin = origin(&actor, platform);
    change.unit.put(activity::warning(platform, &origin, &owner.id, &action, error.code, message)?);
    platform.try_commit(change).await
}

/// Whether an operation works on this authority of `owner` already, or on its root.
async fn is_under_way(platform: &Platform, owner: &Stored, id: Uuid) -> Result<bool> {
    let (id, root) = (id.to_string(), owner.resource.link(authority::ISSUER).map(uid_key));
    let mut pages = Pages::find(platform.store.as_ref(), &OPERATIONS, "state", "running", READ_ROWS);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            let record = row.parse::<StoredOperation>()?;
            let names = |member: &str| record.input.get(member).and_then(|value| value.as_str());
            let installs = record.kind == INSTALL && names("authority") == Some(&id);
            if installs || record.kind == ROTATE && root.is_some() && names("owner") == root.as_deref() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Ends a superseded authority that no certificate of a device needs any more: off the hubs, then without its key. A hub that
/// refuses keeps an entry that is worth nothing.
async fn end(platform: &Platform, record: &Arc<AuthorityRecord>, version: u64) -> Result<bool> {
    if let Some(owner) = resources::by_uid(platform, record.owner).await?
        && let Err(error) = withdraw(platform, &owner, record).await
    {
        tracing::warn!(%error, authority = %record.id, "the entries of an issuing CA without living certificates stay on a hub");
    }
    certificate::finish(platform, record, version).await
}

async fn withdraw(platform: &Platform, owner: &Stored, record: &AuthorityRecord) -> Result<()> {
    let with_entry = holders(platform, owner).await?;
    let Some(namespace) = resources::by_uid(platform, owner.parent).await?.filter(|_| !with_entry.is_empty()) else {
        return Ok(());
    };
    let actor = registry::namespace_actor(platform, &namespace).await?;
    for hub in hubs_of(platform, owner).await?.into_iter().filter(|hub| with_entry.contains(&hub.uid)) {
        platform.authorize(&actor, "Microsoft.Devices/IotHubs/certificates/write", &hub.id)?;
        hub_certificate::take_away(platform, &origin(&actor, platform), &hub, record).await?;
    }
    Ok(())
}
