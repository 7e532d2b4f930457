//! What the publishing point serves without authentication: certificates of authorities and revocation lists.

use super::authority::open_for_lists;
use super::authority_rows::of_namespace;
use super::list_rows;
use super::record::{expect_generation, generation, revoked_of};
use crate::platform::{Change, Platform};
use crate::settled;
use crate::tables::AUTHORITIES;
use ferrohub_model::certificate_authority::{AuthorityRecord, AuthorityState, RevocationList};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::READ_ROWS;
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::crl::{RevocationReason, RevokedEntries, RevokedEntry, sign_crl};
use ferrohub_store::{Pages, Row};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How long a revocation list is good: ours.
const LIST_LIFETIME: Duration = Duration::from_secs(7 * 86_400);
/// How long before its end a list is signed anew, so that nobody holds one that just ran out: ours.
const LIST_RENEWAL: Duration = Duration::from_secs(86_400);
/// How far the clocks of two processes may be apart without one finding the other's list to be of the future: ours.
const CLOCKS_APART: Duration = Duration::from_secs(300);

/// Certificate of an authority, DER.
///
/// # Errors
/// `ResourceNotFound` for an unknown authority.
pub async fn ca_certificate(platform: &Platform, id: Uuid) -> Result<Vec<u8>> {
    let record = known(platform, id).await?.parse::<AuthorityRecord>()?;
    match record.has_certificate() {
        true => Ok(record.certificate_der.clone()),
        false => Err(unknown(id)),
    }
}

/// Revocation list of an authority, DER. It is signed once, by one process, and served by all of them until it is a day
/// before its end or another certificate was revoked; one of a clock that stood ahead as long as that clock stands there.
///
/// # Errors
/// `ResourceNotFound` for an unknown authority.
pub async fn crl(platform: &Platform, id: Uuid) -> Result<Vec<u8>> {
    let mut attempts = platform.attempts();
    loop {
        attempts.begin(|| contended(id)).await?;
        let authority = known(platform, id).await?;
        let record = authority.parse::<AuthorityRecord>()?;
        match record.state {
            AuthorityState::Active | AuthorityState::Superseded => {}
            AuthorityState::Retired | AuthorityState::Revoked if !record.last_crl.is_empty() => {
                return Ok(record.last_crl.clone());
            }
            AuthorityState::Retired | AuthorityState::Revoked => {
                let head = list_rows::head(platform, id).await?;
                let list = head.list.ok_or_else(|| unknown(id))?;
                // What was signed while it ended may still be taking its place.
                match list_rows::text(platform, id, &list).await? {
                    Some(der) => return Ok(der),
                    None => continue,
                }
            }
            // It has signed nothing yet, or publishes its lists elsewhere.
            AuthorityState::Pending | AuthorityState::External => return Err(unknown(id)),
        }
        let head = list_rows::head(platform, id).await?;
        // Before the entries: one that comes meanwhile has the list signed once more.
        let generation = generation(platform, id).await?;
        let now = platform.now();
        if let Some(list) = &head.list
            && list.generation == generation
            && is_good(list, &record, now)?
            && let Some(der) = list_rows::text(platform, id, list).await?
        {
            return Ok(der);
        }
        let revoked = entries_of(platform, &record, settled::stood(platform).await?).await?;
        let list = RevocationList {
            der: Vec::new(),
            parts: 0,
            number: number(platform, head.list.as_deref())?,
            this_update: Some(now),
            next_update: next_update(&record, now)?,
            generation,
        };
        let der = sign(platform, &record, &list, now, &revoked).await?;
        let mut change = Change::new();
        head.expect(id, &mut change);
        head.replace(id, list, &der, &mut change)?;
        // One that is retired meanwhile keeps its last list.
        change.unit.expect_version(&AUTHORITIES, authority.key.clone(), authority.version);
        if platform.try_commit(change).await? {
            return Ok(der);
        }
    }
}

fn contended(id: Uuid) -> Error {
    Error::unavailable(
        format!("The revocation list of '{id}' is being signed by many at once; try again in a second."),
        1,
    )
}

/// When a newer list must be there than one of `now`. A list does not outlive its authority, whose last one stands to the end. That of one
/// that has ended is still asked for, by those who hold its certificates: it is well-formed, and says nothing about the authority.
fn next_update(record: &AuthorityRecord, now: Timestamp) -> Result<Timestamp> {
    let longest = later(now, LIST_LIFETIME)?;
    Ok(if record.not_after > now { longest.min(record.not_after) } else { longest })
}

/// Whether a list that was signed before does as well as one of `now`: it lasts for a while, and was not signed under a clock that stood
/// ahead, because it would not count yet for those whose clock is right, and stay for as long as that clock was ahead.
fn is_good(list: &RevocationList, record: &AuthorityRecord, now: Timestamp) -> Result<bool> {
    let wanted = next_update(record, now)?;
    let lasts = list.next_update > later(now, LIST_RENEWAL)? || list.next_update == wanted;
    let counts = list.this_update.unwrap_or(now) <= later(now, CLOCKS_APART)?;
    Ok(lasts && counts && list.next_update <= later(wanted, CLOCKS_APART)?)
}

/// Signs the list that stands until the authority's own certificate ends, when its key goes; it is in the unit of `change`, which holds
/// only as long as nothing else is revoked or signed. Nobody can sign it anew where the clock is wrong, so it counts from settled time on.
pub(super) async fn put_last(platform: &Platform, record: &AuthorityRecord, change: &mut Change) -> Result<()> {
    let head = list_rows::head(platform, record.id).await?;
    let generation = generation(platform, record.id).await?;
    let settled = settled::stood(platform).await?;
    let revoked = entries_of(platform, record, settled).await?;
    let list = RevocationList {
        der: Vec::new(),
        parts: 0,
        number: number(platform, head.list.as_deref())?,
        this_update: Some(settled),
        // An authority that has expired still gets a list that is well-formed.
        next_update: record.not_after.max(later(platform.now(), LIST_RENEWAL)?),
        generation,
    };
    let der = sign(platform, record, &list, settled, &revoked).await?;
    head.expect(record.id, change);
    expect_generation(record.id, generation, &mut change.unit);
    head.replace(record.id, list, &der, change)
}

/// Whether a list must be signed by now that nobody asked for: none is there, or none that is good.
async fn is_due(platform: &Platform, record: &AuthorityRecord) -> Result<bool> {
    let Some(list) = list_rows::head(platform, record.id).await?.list else { return Ok(true) };
    Ok(!is_good(&list, record, platform.now())?)
}

/// Signs the revocation lists that are near their end, or of a clock that stood ahead, so that one is there when it is asked for. Returns
/// how many.
///
/// # Errors
/// When the store cannot be read. A list that cannot be signed is left for the next time.
pub async fn refresh_lists(platform: &Platform) -> Result<usize> {
    let mut signed = 0;
    let mut pages = Pages::scan(platform.store.as_ref(), &AUTHORITIES, "", READ_ROWS);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            let record = row.parse::<AuthorityRecord>()?;
            if !record.state.signs_lists() || !is_due(platform, &record).await? {
                continue;
            }
            match crl(platform, record.id).await {
                Ok(_) => signed += 1,
                Err(error) => {
                    tracing::warn!(%error, context = error.context, authority = %record.id, "a revocation list could not be signed");
                }
            }
        }
    }
    Ok(signed)
}

/// What the list of an authority holds: certificates of devices, or those of issuing authorities under a root, that have not ended at `now`,
/// the settled time. A clock that stands ahead takes nothing off.
async fn entries_of(platform: &Platform, record: &AuthorityRecord, now: Timestamp) -> Result<RevokedEntries> {
    if record.is_issuing() {
        return revoked_of(platform, record.id, now).await;
    }
    let mut entries = RevokedEntries::default();
    for below in of_namespace(platform, record.namespace).await? {
        let Some(revoked_at) = below.revoked.filter(|_| below.issuer == Some(record.id) && below.not_after > now)
        else {
            continue;
        };
        let serial_hex = Certificate::from_der(&below.certificate_der)?.serial_hex().to_owned();
        entries.push(&RevokedEntry { serial_hex, revoked_at, reason: RevocationReason::Unspecified })?;
    }
    Ok(entries)
}

async fn sign(
    platform: &Platform,
    record: &AuthorityRecord,
    list: &RevocationList,
    from: Timestamp,
    revoked: &RevokedEntries,
) -> Result<Vec<u8>> {
    let issuer = open_for_lists(platform, record).await?;
    sign_crl(&issuer, list.number, from, list.next_update, revoked).await
}

/// The number of a list that is signed now: time grows, also over a restart, and is the same in every process. Two lists of one
/// millisecond, or of a clock that was set back, have different ones too, by which their parts are told apart.
fn number(platform: &Platform, before: Option<&RevocationList>) -> Result<u64> {
    let now = u64::try_from(platform.now().as_millisecond());
    let now = now.map_err(|_| Error::internal("the clock stands before 1970"))?;
    Ok(before.map_or(now, |before| now.max(before.number + 1)))
}

async fn known(platform: &Platform, id: Uuid) -> Result<Arc<Row>> {
    let row = platform.store.get(&AUTHORITIES, &id.to_string()).await?;
    row.ok_or_else(|| unknown(id))
}

fn unknown(id: Uuid) -> Error {
    Error::not_found(format!("There is no certificate authority '{id}' here."))
}

fn later(now: Timestamp, by: Duration) -> Result<Timestamp> {
    now.checked_add(by).map_err(|e| Error::internal(format!("time: {e}")))
}
