//! How issued certificates lie in the store: a row for each, found by device and in the order of their ends; for a revoked one an
//! entry of its issuer's revocation list beside it, small enough that a list of 100,000 is read at once.

use crate::platform::Platform;
use crate::tables::{CERTIFICATES, REVOCATION_GENERATIONS, REVOCATIONS};
use ferrohub_model::certificate_authority::{CertificateRecord, CertificateState};
use ferrohub_model::error::Result;
use ferrohub_model::limits::{READ_ROWS, REVOCATION_ROWS};
use ferrohub_model::uid::uid_key;
use ferrohub_pki::crl::{RevocationReason, RevokedEntries, RevokedEntry};
use ferrohub_store::{Pages, Put, UnitOfWork};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

/// Where the column `place` stands among the columns of [`CERTIFICATES`].
pub(super) const PLACE_COLUMN: usize = 1;
/// Digits of a serial number at the end of a place: its second half, which is random.
const PLACE_SERIAL: usize = 16;

/// The entry of a revocation list. Times are in Unix seconds.
#[derive(Debug, Serialize, Deserialize)]
struct Revocation {
    /// When it was revoked.
    at: i64,
    /// When the certificate ends, and with it the need for the entry.
    until: i64,
}

/// The row of an issued certificate.
///
/// # Errors
/// Internal, when it does not serialize.
pub fn put(record: &CertificateRecord) -> Result<Put> {
    let columns = vec![Some(uid_key(record.device)), Some(place(record))];
    Ok(Put::new(&CERTIFICATES, record.serial.clone(), columns, record)?)
}

/// Where a certificate stands among those of its issuer: by its end, and those that end in the same second by the millisecond in which
/// they were asked for, so that the newest is the last and a commit writes one page of the index.
pub(super) fn place(record: &CertificateRecord) -> String {
    let from = record.serial.len().saturating_sub(PLACE_SERIAL);
    let serial = record.serial.get(from..).unwrap_or(&record.serial);
    let millisecond = record.created.subsec_millisecond().unsigned_abs();
    format!("{}{millisecond:03x}{serial}", place_from(record.issuer, record.not_after))
}

/// What the places of certificates of `issuer` that end at `end` begin with: 22 characters of the issuer, 8 of the time.
pub(super) fn place_from(issuer: Uuid, end: Timestamp) -> String {
    let seconds = u32::try_from(end.as_second().max(0)).unwrap_or(u32::MAX);
    format!("{}{seconds:08x}", uid_key(issuer))
}

/// The key of the entry of a certificate in its issuer's revocation list.
pub(super) fn revocation_key(record: &CertificateRecord) -> String {
    format!("{}/{}", uid_key(record.issuer), record.serial)
}

/// Adds to `unit` that the certificate `record`, whose row has `version`, is revoked: its row, the entry of its issuer's
/// revocation list, and that the list which was signed last is not the newest any more. One that is revoked stays as it is.
///
/// # Errors
/// Internal, when a row does not serialize.
pub fn revoke(record: &CertificateRecord, version: u64, at: Timestamp, unit: &mut UnitOfWork) -> Result<()> {
    if record.state == CertificateState::Revoked {
        return Ok(());
    }
    let mut record = record.clone();
    record.state = CertificateState::Revoked;
    record.revoked = Some(at);
    let entry = Revocation { at: at.as_second(), until: record.not_after.as_second() };
    unit.expect_version(&CERTIFICATES, record.serial.clone(), version);
    unit.put(put(&record)?);
    unit.put(Put::new(&REVOCATIONS, revocation_key(&record), Vec::new(), &entry)?);
    touch(record.issuer, unit)
}

/// Adds to `unit` that the revocation list of `issuer` is to be signed anew. A unit names an issuer once.
///
/// # Errors
/// Internal, when a row does not serialize.
pub(super) fn touch(issuer: Uuid, unit: &mut UnitOfWork) -> Result<()> {
    let put = Put::new(&REVOCATION_GENERATIONS, issuer.to_string(), Vec::new(), &json!({}))?;
    let noted = unit.changes().iter().any(|change| *change == ferrohub_store::RowChange::Put(put.clone()));
    if !noted {
        unit.put(put);
    }
    Ok(())
}

/// Grows with every revocation of a certificate of `issuer`; 0 while there was none. To be read before the entries.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn generation(platform: &Platform, issuer: Uuid) -> Result<u64> {
    let row = platform.store.get(&REVOCATION_GENERATIONS, &issuer.to_string()).await?;
    Ok(row.map_or(0, |row| row.version))
}

/// Adds to `unit` that no certificate of `issuer` was revoked since its generation was read.
pub(super) fn expect_generation(issuer: Uuid, generation: u64, unit: &mut UnitOfWork) {
    match generation {
        0 => unit.expect_absent(&REVOCATION_GENERATIONS, issuer.to_string()),
        version => unit.expect_version(&REVOCATION_GENERATIONS, issuer.to_string(), version),
    };
}

/// Whether `issuer` has a certificate that is good and has not ended at `now`. They stand in the order of their ends, so the first one
/// that is not revoked tells.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn has_living(platform: &Platform, issuer: Uuid, now: Timestamp) -> Result<bool> {
    let next = now.checked_add(Duration::from_secs(1)).unwrap_or(now);
    let prefix = uid_key(issuer);
    let pages = Pages::range(platform.store.as_ref(), &CERTIFICATES, "place", &prefix, READ_ROWS);
    let mut pages = pages.following(Some(place_from(issuer, next)));
    while let Some(rows) = pages.next().await? {
        for row in rows {
            if row.parse::<CertificateRecord>()?.state == CertificateState::Issued {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Revoked certificates of `issuer` that have not ended at `now`, the settled time: what its revocation list holds. Read page by page and
/// kept as they are written into the list.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn revoked_of(platform: &Platform, issuer: Uuid, now: Timestamp) -> Result<RevokedEntries> {
    let now = now.as_second();
    let mut entries = RevokedEntries::default();
    let prefix = format!("{}/", uid_key(issuer));
    let mut pages = Pages::scan(platform.store.as_ref(), &REVOCATIONS, &prefix, REVOCATION_ROWS);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            let revocation: Revocation = row.part()?;
            if revocation.until > now {
                entries.push(&RevokedEntry {
                    serial_hex: row.key.get(prefix.len()..).unwrap_or_default().to_owned(),
                    revoked_at: Timestamp::from_second(revocation.at).unwrap_or_default(),
                    reason: RevocationReason::Unspecified,
                })?;
            }
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_store::RowChange;

    fn record(serial: u128, end: i64) -> CertificateRecord {
        CertificateRecord {
            serial: format!("{serial:032x}"),
            issuer: Uuid::from_u128(7),
            chain: Vec::new(),
            device: Uuid::from_u128(8),
            subject: "d".into(),
            credential_id: Uuid::from_u128(9),
            state: CertificateState::Issued,
            created: Timestamp::UNIX_EPOCH,
            not_before: Timestamp::UNIX_EPOCH,
            not_after: Timestamp::from_second(end).unwrap(),
            sha256: String::new(),
            revoked: None,
        }
    }

    #[test]
    fn places_sort_by_the_end_and_begin_with_the_issuer() {
        let places: Vec<String> = [(3, 9), (1, 10), (2, 0x1000_0000), (4, 4_294_967_295), (5, 9_000_000_000)]
            .map(|(serial, end)| place(&record(serial, end)))
            .to_vec();
        assert!(places.is_sorted(), "{places:?}");
        assert!(places.iter().all(|place| place.len() == 49 && place.starts_with(&uid_key(Uuid::from_u128(7)))));
        assert!(places[1].starts_with(&place_from(Uuid::from_u128(7), Timestamp::from_second(10).unwrap())));
    }

    #[test]
    fn a_revocation_is_three_rows_and_several_of_an_issuer_touch_its_list_once() {
        let mut unit = UnitOfWork::new();
        for serial in 1..=3 {
            revoke(&record(serial, 100), 5, Timestamp::from_second(50).unwrap(), &mut unit).unwrap();
        }
        assert_eq!((unit.len(), unit.put_twice()), (7, None));
        let tables: Vec<&str> = unit
            .changes()
            .iter()
            .filter_map(|change| match change {
                RowChange::Put(put) => Some(put.table.name),
                RowChange::Delete { .. } => None,
            })
            .collect();
        assert_eq!(tables[..3], ["certificates", "revocations", "revocation_generations"]);
        let mut revoked = record(1, 100);
        revoked.state = CertificateState::Revoked;
        let mut unit = UnitOfWork::new();
        revoke(&revoked, 5, Timestamp::UNIX_EPOCH, &mut unit).unwrap();
        assert!(unit.is_empty());
    }
}
