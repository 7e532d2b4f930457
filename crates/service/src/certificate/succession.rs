//! How one authority of a resource follows another: prepared, taken over, revoked, at its end.
//!
//! A successor has the subject of the one before it and a key of its own, so that hubs can trust both while certificates of
//! both live. It waits (`Pending`) until the hubs have its certificate, and then takes over in one unit of work; who issues
//! meanwhile expects the version of the authority's row and begins again. ADR 0034.

use super::authority::{Draft, Waiting, ask_to_sign, close, draft_root, drop_pending, record, sign_issuing};
use super::authority_rows::{
    authority, authority_of, from_row, generations, of_namespace, put, rewrite, row_of_owner, rows_of_namespace,
};
use super::record::has_living;
use crate::platform::{Change, Platform};
use crate::resources::Stored;
use crate::settled;
use crate::tables::AUTHORITIES;
use ferrohub_model::certificate_authority::{AuthorityRecord, AuthorityState};
use ferrohub_model::error::{Error, Result};
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::external::ExternalChain;
use ferrohub_pki::name::SubjectName;
use jiff::Timestamp;
use std::collections::HashSet;
use std::sync::Arc;
use uuid::Uuid;

/// Makes the successor of an active issuing authority, signed by the root that signs now; it waits.
///
/// # Errors
/// `Conflict` when the root is gone or ends too soon.
pub async fn prepare(
    platform: &Platform,
    active: &AuthorityRecord,
    version: u64,
    change: &mut Change,
) -> Result<AuthorityRecord> {
    let mut next = successor(platform, active, change).await?;
    next.state = AuthorityState::Pending;
    next.follows = Some(active.id);
    change.unit.expect_version(&AUTHORITIES, active.id.to_string(), version);
    change.unit.expect_absent(&AUTHORITIES, next.id.to_string());
    change.unit.put(put(&next)?);
    Ok(next)
}

/// Makes key and request of the successor of an active authority that a root of somebody else signed; it waits.
///
/// # Errors
/// When the key cannot be made.
pub async fn ask_again(
    platform: &Platform,
    active: &AuthorityRecord,
    version: u64,
    change: &mut Change,
) -> Result<AuthorityRecord> {
    change.unit.expect_version(&AUTHORITIES, active.id.to_string(), version);
    ask(platform, active, Some(active.id), change).await
}

/// Gives an authority that waits the chain that answers its request. The customer's root becomes a row, unless it is one.
///
/// # Errors
/// When the store cannot be read.
pub async fn accept(
    platform: &Platform,
    pending: &AuthorityRecord,
    version: u64,
    chain: &ExternalChain,
    change: &mut Change,
) -> Result<AuthorityRecord> {
    let known = rows_of_namespace(platform, pending.namespace).await?;
    let same = |record: &AuthorityRecord| {
        record.state == AuthorityState::External && record.certificate_der == chain.root.der()
    };
    let root = match known.iter().find(|(record, _)| same(record)) {
        Some((record, version)) => {
            change.unit.expect_version(&AUTHORITIES, record.id.to_string(), *version);
            record.id
        }
        None => {
            let root = outside(platform.new_id(), pending, &chain.root);
            change.unit.expect_absent(&AUTHORITIES, root.id.to_string());
            change.unit.put(put(&root)?);
            root.id
        }
    };
    let signed = AuthorityRecord {
        // As it stands in the certificate, where the case may be another.
        subject: chain.issuing.subject().to_string(),
        certificate_der: chain.issuing.der().to_vec(),
        not_before: chain.issuing.not_before(),
        not_after: chain.issuing.not_after().min(chain.root.not_after()),
        thumbprint: chain.issuing.sha256().to_ascii_uppercase(),
        issuer: Some(root),
        ..pending.clone()
    };
    rewrite(&signed, version, change)?;
    Ok(signed)
}

/// Lets an authority that has its certificate take over from the active one, in a unit of its own. Nothing happens where it
/// did already or is gone. Returns whether it did now.
///
/// # Errors
/// When the store fails or is contended.
pub async fn take_over(platform: &Platform, id: Uuid) -> Result<bool> {
    let mut attempts = platform.attempts();
    loop {
        attempts.begin(|| Error::unavailable("The authority is changed by many at once; try again.", 1)).await?;
        let Some(row) = platform.store.get(&AUTHORITIES, &id.to_string()).await? else { return Ok(false) };
        let next = from_row(&row)?;
        if next.state != AuthorityState::Pending || !next.has_certificate() {
            return Ok(false);
        }
        let mut change = Change::new();
        // First, because it gives the unique columns free.
        if let Some((active, version)) = row_of_owner(platform, next.owner).await? {
            let superseded = AuthorityRecord { state: AuthorityState::Superseded, ..(*active).clone() };
            rewrite(&superseded, version, &mut change)?;
        }
        let active = AuthorityRecord { state: AuthorityState::Active, warned: false, ..(*next).clone() };
        rewrite(&active, row.version, &mut change)?;
        if platform.try_commit(change).await? {
            return Ok(true);
        }
    }
}

/// Revokes those of `targets` that are still trusted. Where the active one is among them, a new one takes its place: signed by
/// the same root, or waiting for the customer's. Returns whether there was anything to revoke.
///
/// # Errors
/// `Conflict` when the root is gone; when the store cannot be read.
pub async fn revoke(platform: &Platform, owner: Uuid, targets: &[Uuid], change: &mut Change) -> Result<bool> {
    let rows = generations(platform, owner).await?;
    let mut ended = false;
    for (record, version) in &rows {
        if record.state.signs_lists() && targets.contains(&record.id) {
            close(platform, record, *version, AuthorityState::Revoked, change).await?;
            ended = true;
        }
    }
    let active = rows.iter().find(|(record, _)| record.state == AuthorityState::Active);
    let Some((active, _)) = active.filter(|(record, _)| targets.contains(&record.id)) else { return Ok(ended) };
    for (pending, version) in rows.iter().filter(|(record, _)| record.state == AuthorityState::Pending) {
        drop_pending(platform, pending, *version, change)?;
    }
    if active.is_external() {
        ask(platform, active, None, change).await?;
    } else {
        let next = successor(platform, active, change).await?;
        change.unit.expect_absent(&AUTHORITIES, next.id.to_string());
        change.unit.put(put(&next)?);
    }
    Ok(ended)
}

/// Notes that the owner of an authority was told of its end.
///
/// # Errors
/// Internal, when the row does not serialize.
pub fn mark_warned(record: &AuthorityRecord, version: u64, change: &mut Change) -> Result<()> {
    rewrite(&AuthorityRecord { warned: true, ..record.clone() }, version, change)
}

/// Which of these authorities have certificates of devices that are good and have not ended at `now`.
///
/// # Errors
/// When the store cannot be read.
async fn still_used(platform: &Platform, authorities: &[Uuid], now: Timestamp) -> Result<HashSet<Uuid>> {
    let mut used = HashSet::new();
    for id in authorities {
        if has_living(platform, *id, now).await? {
            used.insert(*id);
        }
    }
    Ok(used)
}

/// Whether devices have good certificates of any authority of this resource.
///
/// # Errors
/// When the store cannot be read.
pub async fn has_live_leaves(platform: &Platform, owner: Uuid) -> Result<bool> {
    let rows = generations(platform, owner).await?;
    let ids: Vec<Uuid> =
        rows.iter().filter(|(record, _)| record.state.signs_lists()).map(|(record, _)| record.id).collect();
    Ok(!ids.is_empty() && !still_used(platform, &ids, settled::stood(platform).await?).await?.is_empty())
}

/// Lets another root take the place of the one of a resource, which must still be `active`: it signs from now on, with a key and a
/// name of its own. The one before signs revocation lists only. ADR 0050.
///
/// # Errors
/// When the key cannot be made.
pub async fn replace_root(
    platform: &Platform,
    namespace: &Stored,
    active: &AuthorityRecord,
    version: u64,
    change: &mut Change,
) -> Result<AuthorityRecord> {
    // First, because it gives the unique columns free.
    rewrite(&AuthorityRecord { state: AuthorityState::Superseded, ..active.clone() }, version, change)?;
    let kind = Certificate::from_der(&active.certificate_der)?.key_kind()?;
    let next = draft_root(platform, namespace, active.owner, None, kind, change).await?;
    let next = AuthorityRecord { follows: Some(active.id), ..next };
    change.unit.expect_absent(&AUTHORITIES, next.id.to_string());
    change.unit.put(put(&next)?);
    Ok(next)
}

/// Which of these superseded authorities are needed at `now`: issuing ones while devices have good certificates of them, roots
/// while an authority that they signed is.
///
/// # Errors
/// When the store cannot be read.
pub async fn still_needed(
    platform: &Platform,
    superseded: &[Arc<AuthorityRecord>],
    now: Timestamp,
) -> Result<HashSet<Uuid>> {
    let issuing = superseded.iter().filter(|record| record.is_issuing()).map(|record| record.id);
    let mut needed = still_used(platform, &issuing.collect::<Vec<_>>(), now).await?;
    for root in superseded.iter().filter(|record| !record.is_issuing()) {
        let below = of_namespace(platform, root.namespace).await?;
        if below.iter().any(|record| record.issuer == Some(root.id) && record.is_trusted()) {
            needed.insert(root.id);
        }
    }
    Ok(needed)
}

/// Ends a superseded authority whose last certificate has ended, in a unit of its own.
///
/// # Errors
/// When the store fails.
pub async fn finish(platform: &Platform, record: &Arc<AuthorityRecord>, version: u64) -> Result<bool> {
    let mut change = Change::new();
    close(platform, record, version, AuthorityState::Retired, &mut change).await?;
    platform.try_commit(change).await
}

/// Ends the authorities of a namespace that is deleted whose resources went before, each in a unit of its own: its devices go too, so nothing
/// can be revoked any more, and with its data key the keys do.
///
/// # Errors
/// When the store fails or is contended.
pub async fn end_left(platform: &Platform, namespace: Uuid) -> Result<()> {
    let mut attempts = platform.attempts();
    loop {
        let rows = rows_of_namespace(platform, namespace).await?;
        let left = rows.into_iter().find(|(record, _)| record.left && record.state.signs_lists());
        let Some((record, version)) = left else { return Ok(()) };
        match finish(platform, &record, version).await? {
            true => attempts = platform.attempts(),
            false => {
                attempts
                    .begin(|| Error::unavailable("The authority is changed by many at once; try again.", 1))
                    .await?;
            }
        }
    }
}

/// A new authority beside `active`, of the same subject and kind of key, signed by the root that signs now; not added to `change` yet.
async fn successor(platform: &Platform, active: &AuthorityRecord, change: &mut Change) -> Result<AuthorityRecord> {
    let signer = match active.issuer {
        Some(id) => authority(platform, id).await?,
        None => None,
    };
    // A root that another one took over from signs nothing below it any more.
    let signer = match signer {
        Some(root) if root.state == AuthorityState::Superseded => authority_of(platform, root.owner).await?,
        other => other,
    };
    let root = signer.filter(|root| root.state == AuthorityState::Active).ok_or_else(|| {
        Error::conflict(format!("The root that signed '{}' is gone, so nothing can take its place.", active.subject))
    })?;
    let kind = Certificate::from_der(&active.certificate_der)?.key_kind()?;
    let subject = SubjectName::parse(&active.subject)?;
    let (key, certificate) = sign_issuing(platform, &root, subject, kind, change).await?;
    let draft =
        Draft { id: platform.new_id(), namespace: active.namespace, owner: active.owner, issuer: Some(root.id), key };
    Ok(record(draft, &certificate))
}

async fn ask(
    platform: &Platform,
    active: &AuthorityRecord,
    follows: Option<Uuid>,
    change: &mut Change,
) -> Result<AuthorityRecord> {
    let kind = Certificate::from_der(&active.certificate_der)?.key_kind()?;
    let subject = SubjectName::parse(&active.subject)?;
    let waiting = Waiting { id: platform.new_id(), namespace: active.namespace, owner: active.owner, follows };
    ask_to_sign(platform, waiting, &subject, kind, change).await
}

/// A root of somebody else, as a row.
fn outside(id: Uuid, below: &AuthorityRecord, root: &Certificate) -> AuthorityRecord {
    AuthorityRecord {
        id,
        namespace: below.namespace,
        owner: below.owner,
        subject: root.subject().to_string(),
        certificate_der: root.der().to_vec(),
        not_before: root.not_before(),
        not_after: root.not_after(),
        thumbprint: root.sha256().to_ascii_uppercase(),
        issuer: None,
        state: AuthorityState::External,
        key: None,
        last_crl: Vec::new(),
        request_der: Vec::new(),
        follows: None,
        revoked: None,
        warned: false,
        left: false,
    }
}
