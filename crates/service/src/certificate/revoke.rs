//! Revoking issued certificates: their rows, from which the revocation lists are made. That a device gets in no more is its
//! credential id's doing (`registry::revoke`), and happens before.

use super::record;
use crate::audit::{self, AuditEvent, Kind};
use crate::platform::{Change, Platform};
use crate::tables::CERTIFICATES;
use ferrohub_model::certificate_authority::{CertificateRecord, CertificateState};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::uid::uid_key;
use ferrohub_store::{Pages, Row};
use jiff::Timestamp;
use std::sync::Arc;
use uuid::Uuid;

/// Certificates revoked in one unit of work, with an expectation and four rows each: below `limits::UNIT_ROWS`.
const ROWS: usize = 100;

/// Revokes, as of `at`, the certificates of a device that carry a credential id, in steps. May be run again after an
/// interruption; certificates under a later credential id are left alone.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn revoke_credential(platform: &Platform, device: Uuid, credential: Uuid, at: Timestamp) -> Result<usize> {
    let (key, mut revoked) = (uid_key(device), 0);
    let mut pages = Pages::find(platform.store.as_ref(), &CERTIFICATES, "device", &key, ROWS);
    while let Some(mut rows) = pages.next().await? {
        let mut attempts = platform.attempts();
        loop {
            attempts
                .begin(|| Error::unavailable("The device's certificates are being changed by many at once.", 1))
                .await?;
            if attempts.again() {
                rows = read_again(platform, &rows).await?;
            }
            let (mut change, mut count) = (Change::new(), 0);
            for row in &rows {
                count += usize::from(add(platform, row, credential, at, &mut change)?);
            }
            if count == 0 || platform.try_commit(change).await? {
                revoked += count;
                break;
            }
        }
    }
    metrics::counter!("ferrohub_certificates_revoked_total").increment(revoked as u64);
    Ok(revoked)
}

/// Whether the certificate is one that is to be revoked, which is added then.
fn add(platform: &Platform, row: &Row, credential: Uuid, at: Timestamp, change: &mut Change) -> Result<bool> {
    let record = row.parse::<CertificateRecord>()?;
    if record.credential_id != credential || record.state != CertificateState::Issued {
        return Ok(false);
    }
    record::revoke(&record, row.version, at, &mut change.unit)?;
    let event = AuditEvent::new(Kind::CertificateRevoked, &record.subject, format!("authority {}", record.issuer));
    change.unit.put(audit::row(platform, event.what(format!("serial {}", record.serial)))?);
    Ok(true)
}

async fn read_again(platform: &Platform, rows: &[Arc<Row>]) -> Result<Vec<Arc<Row>>> {
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        // One that ran out was swept meanwhile.
        found.extend(platform.store.get(&CERTIFICATES, &row.key).await?);
    }
    Ok(found)
}
