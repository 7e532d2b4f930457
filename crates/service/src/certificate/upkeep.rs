//! What the worker does about certificates: those that ended long ago go, rows of an older program get their place, and what ends
//! soon is counted and said.

use super::authority_rows::every_authority;
use super::record::{place_from, put, revocation_key};
use crate::platform::{Change, Platform};
use crate::tables::{CERTIFICATES, META, REVOCATIONS};
use ferrohub_model::certificate_authority::{CertificateRecord, CertificateState};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::ENDED_CERTIFICATE_DAYS;
use ferrohub_model::uid::uid_key;
use ferrohub_store::{Page, Pages, Put};
use jiff::Timestamp;
use serde_json::json;
use std::time::Duration;

/// Certificates that go, or get their place, in one unit: ours.
const ROWS: usize = 100;
/// The name in [`META`] that says that every certificate has its place.
const PLACED: &str = "certificates-placed";

/// Removes certificates that ended so many days before `now`, the settled time, with their entries of revocation lists. Gives
/// how many went.
///
/// # Errors
/// When the store fails; the rest is left for the next sweep.
pub(crate) async fn sweep(platform: &Platform, now: Timestamp) -> Result<usize> {
    let mut gone = 0;
    let end = earlier(now, ENDED_CERTIFICATE_DAYS)?;
    for record in every_authority(platform).await? {
        let (prefix, until) = (uid_key(record.id), place_from(record.id, end));
        loop {
            let page = Page::first(ROWS);
            let rows = platform.store.range(&CERTIFICATES, "place", &prefix, page).await?;
            let whole = rows.len() == ROWS;
            let mut change = Change::new();
            for row in rows {
                if row.columns.get(1).is_some_and(|place| place.as_deref() >= Some(until.as_str())) {
                    break;
                }
                let certificate = row.parse::<CertificateRecord>()?;
                change.unit.expect_version(&CERTIFICATES, row.key.clone(), row.version);
                change.unit.delete(&CERTIFICATES, row.key.clone());
                if certificate.state == CertificateState::Revoked {
                    change.unit.delete(&REVOCATIONS, revocation_key(&certificate));
                }
            }
            let expected = change.unit.expectations().len();
            // Where somebody wrote one of them meanwhile, the next sweep looks again.
            if expected == 0 || !platform.try_commit(change).await? {
                break;
            }
            gone += expected;
            if !whole || expected < ROWS {
                break;
            }
        }
    }
    Ok(gone)
}

/// Gives certificates that an older program wrote their place; once for each installation. Gives how many there were.
///
/// # Errors
/// When the store fails; the next sweep begins anew.
pub(crate) async fn fill_places(platform: &Platform) -> Result<usize> {
    if platform.store.get(&META, PLACED).await?.is_some() {
        return Ok(0);
    }
    let mut filled = 0;
    let mut pages = Pages::scan(platform.store.as_ref(), &CERTIFICATES, "", ROWS);
    while let Some(rows) = pages.next().await? {
        let mut change = Change::new();
        for row in rows.into_iter().filter(|row| row.columns.get(1).is_none_or(Option::is_none)) {
            change.unit.expect_version(&CERTIFICATES, row.key.clone(), row.version);
            change.unit.put(put(&*row.parse::<CertificateRecord>()?)?);
        }
        let rows = change.unit.len();
        if rows > 0 && !platform.try_commit(change).await? {
            return Ok(filled);
        }
        filled += rows;
    }
    let mut change = Change::new();
    change.unit.put(Put::new(&META, PLACED, Vec::new(), &json!({}))?);
    platform.commit(change).await?;
    Ok(filled)
}

fn earlier(now: Timestamp, days: u32) -> Result<Timestamp> {
    let by = Duration::from_secs(u64::from(days) * 86_400);
    now.checked_sub(by).map_err(|error| Error::internal(format!("time: {error}")))
}
