//! What the publishing point serves without authentication: certificates of authorities and revocation lists.

use super::authority::{authority, open_issuer};
use super::cache::SignedList;
use super::issue::revoked_of;
use crate::platform::Platform;
use ferrohub_model::certificate_authority::{AuthorityRecord, AuthorityState, CertificateRecord};
use ferrohub_model::error::{Error, Result};
use ferrohub_pki::crl::{RevocationReason, RevokedEntry, build_crl};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How long a revocation list is good: ours.
const LIST_LIFETIME: Duration = Duration::from_secs(7 * 86_400);
/// How long before its end a list is signed anew, so that nobody holds one that just ran out: ours.
const LIST_RENEWAL: Duration = Duration::from_secs(86_400);

/// Certificate of an authority, DER.
///
/// # Errors
/// `ResourceNotFound` for an unknown authority.
pub async fn ca_certificate(platform: &Platform, id: Uuid) -> Result<Vec<u8>> {
    Ok(known(platform, id).await?.certificate_der.clone())
}

/// Revocation list of an authority, DER. It is signed once and served until it is a day before its end or
/// another certificate was revoked.
///
/// # Errors
/// `ResourceNotFound` for an unknown authority.
pub async fn crl(platform: &Platform, id: Uuid) -> Result<Arc<Vec<u8>>> {
    let record = known(platform, id).await?;
    if record.state == AuthorityState::Retired {
        return Ok(Arc::new(record.last_crl.clone()));
    }
    let revoked = revoked_of(platform, id).await?;
    let now = platform.now();
    // A list does not outlive its authority, whose last one stands to the end. That of one that has ended is still asked for,
    // by those who hold its certificates: it is well-formed, and says nothing about the authority.
    let longest = later(now, LIST_LIFETIME)?;
    let next_update = if record.not_after > now { longest.min(record.not_after) } else { longest };
    if let Some(list) = platform.authorities.list(id)
        && list.entries == revoked.len()
        && (list.next_update > later(now, LIST_RENEWAL)? || list.next_update == next_update)
    {
        return Ok(list.der);
    }
    let der = Arc::new(sign(platform, &record, next_update, &revoked).await?);
    platform.authorities.keep_list(id, SignedList { der: Arc::clone(&der), next_update, entries: revoked.len() });
    Ok(der)
}

/// The list that stands until the authority's own certificate ends, signed when its key goes.
pub(super) async fn last_crl(platform: &Platform, record: &AuthorityRecord) -> Result<Vec<u8>> {
    let revoked = revoked_of(platform, record.id).await?;
    // An authority that has expired still gets a list that is well-formed.
    let end = record.not_after.max(later(platform.now(), LIST_RENEWAL)?);
    sign(platform, record, end, &revoked).await
}

async fn sign(
    platform: &Platform,
    record: &AuthorityRecord,
    next_update: Timestamp,
    revoked: &[Arc<CertificateRecord>],
) -> Result<Vec<u8>> {
    let issuer = open_issuer(platform, record).await?;
    let now = platform.now();
    let entries: Vec<RevokedEntry> = revoked
        .iter()
        .map(|certificate| RevokedEntry {
            serial_hex: certificate.serial.clone(),
            revoked_at: certificate.revoked.unwrap_or(now),
            reason: RevocationReason::Unspecified,
        })
        .collect();
    // Time grows, also over a restart, and is the same in every process.
    let number = u64::try_from(now.as_millisecond()).map_err(|_| Error::internal("the clock stands before 1970"))?;
    build_crl(&issuer, number, now, next_update, &entries).await
}

async fn known(platform: &Platform, id: Uuid) -> Result<Arc<AuthorityRecord>> {
    authority(platform, id)
        .await?
        .ok_or_else(|| Error::not_found(format!("There is no certificate authority '{id}' here.")))
}

fn later(now: Timestamp, by: Duration) -> Result<Timestamp> {
    now.checked_add(by).map_err(|e| Error::internal(format!("time: {e}")))
}
