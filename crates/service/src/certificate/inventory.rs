//! The certificates that a namespace's authorities issued, page by page. Each way to ask has an index: a device, a serial number,
//! or an authority with the order in which its certificates end.

use super::record::{PLACE_COLUMN, place, place_from};
use crate::platform::Platform;
use crate::tables::{CERTIFICATES, REVOCATIONS};
use ferrohub_model::certificate_authority::{AuthorityRecord, CertificateRecord, CertificateState};
use ferrohub_model::error::Result;
use ferrohub_model::limits::READ_ROWS;
use ferrohub_model::uid::uid_key;
use ferrohub_store::{Page, Pages, Row};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Certificates looked at for one page at most, so that a page of few matches stays cheap: ours.
const LOOKED_AT: usize = 5000;

/// Whether a certificate is good at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is valid, or will be.
    Active,
    /// It was revoked; that it has ended since changes nothing.
    Revoked,
    /// It has ended.
    Expired,
    /// The authority that issued it was revoked, so no hub takes it.
    IssuerRevoked,
}

impl Standing {
    /// Every one, by its word.
    pub const ALL: [(&'static str, Self); 4] = [
        ("Active", Self::Active),
        ("Revoked", Self::Revoked),
        ("Expired", Self::Expired),
        ("IssuerRevoked", Self::IssuerRevoked),
    ];

    /// How a certificate of `issuer` stands at `now`.
    pub fn of(record: &CertificateRecord, issuer: &AuthorityRecord, now: Timestamp) -> Self {
        match record.state {
            CertificateState::Revoked => Self::Revoked,
            CertificateState::Issued if record.not_after <= now => Self::Expired,
            CertificateState::Issued if issuer.revoked.is_some() => Self::IssuerRevoked,
            CertificateState::Issued => Self::Active,
        }
    }

    /// Whether a certificate of `issuer` may stand so.
    fn may_be_of(self, issuer: &AuthorityRecord) -> bool {
        match self {
            Self::Active => issuer.revoked.is_none(),
            Self::IssuerRevoked => issuer.revoked.is_some(),
            Self::Revoked | Self::Expired => true,
        }
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Revoked => "Revoked",
            Self::Expired => "Expired",
            Self::IssuerRevoked => "IssuerRevoked",
        }
    }
}

/// Which certificates are wanted.
pub struct Wanted {
    /// Those of these authorities.
    pub issuers: Vec<Arc<AuthorityRecord>>,
    /// Those of the devices with these uids.
    pub devices: Option<Vec<Uuid>>,
    /// The one with this serial number, lower-case hex.
    pub serial: Option<String>,
    /// Those that stand so.
    pub standing: Option<Standing>,
    /// Those that end before.
    pub ends_before: Option<Timestamp>,
}

/// One page, and after what the next one begins.
pub type Found = (Vec<Arc<CertificateRecord>>, Option<String>);

/// The certificate with this serial number, lower-case hex.
///
/// # Errors
/// When the store cannot be read.
pub async fn by_serial(platform: &Platform, serial: &str) -> Result<Option<Arc<CertificateRecord>>> {
    let row = platform.store.get(&CERTIFICATES, serial).await?;
    Ok(row.map(|row| row.parse()).transpose()?)
}

/// At most `top` certificates behind `after`. A page with a next one may have fewer, or none.
///
/// # Errors
/// When the store cannot be read.
pub async fn page(platform: &Platform, wanted: &Wanted, after: Option<&str>, top: usize) -> Result<Found> {
    let now = platform.now();
    if let Some(serial) = &wanted.serial {
        let found = by_serial(platform, serial).await?;
        return Ok((found.filter(|record| wanted.takes(record, now)).into_iter().collect(), None));
    }
    if let Some(devices) = &wanted.devices {
        return of_devices(platform, wanted, devices, after, top).await;
    }
    let fitting = |record: &&Arc<AuthorityRecord>| wanted.standing.is_none_or(|standing| standing.may_be_of(record));
    let mut issuers: Vec<Uuid> = wanted.issuers.iter().filter(fitting).map(|record| record.id).collect();
    issuers.sort_unstable();
    let mut walk = Walk { platform, wanted, now, after: after.unwrap_or_default().to_owned(), looked_at: 0 };
    let mut found = Vec::new();
    for issuer in issuers {
        // Places and entries of an authority begin with its uid.
        let prefix = uid_key(issuer);
        if walk.after.get(..prefix.len()).is_some_and(|behind| behind > prefix.as_str()) {
            continue;
        }
        while !walk.step(issuer, &prefix, top, &mut found).await? {
            if found.len() >= top || walk.looked_at >= LOOKED_AT {
                return Ok((found, Some(walk.after)));
            }
        }
    }
    Ok((found, None))
}

impl Wanted {
    fn takes(&self, record: &CertificateRecord, now: Timestamp) -> bool {
        let Some(issuer) = self.issuers.iter().find(|issuer| issuer.id == record.issuer) else { return false };
        self.standing.is_none_or(|standing| Standing::of(record, issuer, now) == standing)
            && self.ends_before.is_none_or(|end| record.not_after < end)
            && self.devices.as_ref().is_none_or(|devices| devices.contains(&record.device))
    }
}

/// Certificates of one authority after the other.
struct Walk<'a> {
    platform: &'a Platform,
    wanted: &'a Wanted,
    now: Timestamp,
    /// Place or entry that was looked at last.
    after: String,
    looked_at: usize,
}

impl Walk<'_> {
    /// Looks at some more of an authority's certificates; whether those were the last of them.
    async fn step(
        &mut self,
        issuer: Uuid,
        prefix: &str,
        top: usize,
        found: &mut Vec<Arc<CertificateRecord>>,
    ) -> Result<bool> {
        let limit = (top + 1 - found.len()).clamp(1, READ_ROWS);
        let revoked = self.wanted.standing == Some(Standing::Revoked);
        let rows = match revoked {
            true => self.revoked(prefix, limit).await?,
            false => self.placed(issuer, prefix, limit).await?,
        };
        let last = rows.len() < limit;
        let end = self.upper_bound(issuer);
        for (at, row) in rows {
            if !revoked && end.as_ref().is_some_and(|end| at >= *end) {
                return Ok(true);
            }
            if found.len() >= top {
                return Ok(false);
            }
            self.looked_at += 1;
            self.after = at;
            let Some(row) = row else { continue };
            let record = row.parse::<CertificateRecord>()?;
            if self.wanted.takes(&record, self.now) {
                found.push(record);
            }
        }
        Ok(last)
    }

    /// Certificates in the order in which they end, with their places.
    async fn placed(&self, issuer: Uuid, prefix: &str, limit: usize) -> Result<Vec<(String, Option<Arc<Row>>)>> {
        let first = match self.wanted.standing {
            Some(Standing::Active | Standing::IssuerRevoked) => place_from(issuer, next_second(self.now)),
            _ => String::new(),
        };
        let after = Some(first.max(self.after.clone())).filter(|after| !after.is_empty());
        let rows = self.platform.store.range(&CERTIFICATES, "place", prefix, Page { after, limit }).await?;
        Ok(rows
            .into_iter()
            .map(|row| (row.columns.get(PLACE_COLUMN).cloned().flatten().unwrap_or_default(), Some(row)))
            .collect())
    }

    /// Revoked certificates, with the keys of their entries.
    async fn revoked(&self, prefix: &str, limit: usize) -> Result<Vec<(String, Option<Arc<Row>>)>> {
        let store = self.platform.store.as_ref();
        let after = Some(self.after.clone()).filter(|after| after.starts_with(prefix));
        let entries = store.scan(&REVOCATIONS, &format!("{prefix}/"), Page { after, limit }).await?;
        let serials: Vec<String> =
            entries.iter().map(|entry| entry.key.get(prefix.len() + 1..).unwrap_or_default().to_owned()).collect();
        let rows = store.get_many(&CERTIFICATES, &serials).await?;
        Ok(entries.iter().map(|entry| entry.key.clone()).zip(rows).collect())
    }

    /// The place from which on no certificate of an authority is wanted.
    fn upper_bound(&self, issuer: Uuid) -> Option<String> {
        let ended = self.wanted.standing == Some(Standing::Expired);
        let ended = ended.then(|| place_from(issuer, next_second(self.now)));
        let before = self.wanted.ends_before.map(|end| place_from(issuer, end));
        [ended, before].into_iter().flatten().min()
    }
}

/// Certificates end with a whole second: what has not ended at `now` ends no earlier.
fn next_second(now: Timestamp) -> Timestamp {
    now.checked_add(Duration::from_secs(1)).unwrap_or(now)
}

async fn of_devices(
    platform: &Platform,
    wanted: &Wanted,
    devices: &[Uuid],
    after: Option<&str>,
    top: usize,
) -> Result<Found> {
    let now = platform.now();
    let mut found: Vec<(String, Arc<CertificateRecord>)> = Vec::new();
    for device in devices {
        let device = uid_key(*device);
        let mut pages = Pages::find(platform.store.as_ref(), &CERTIFICATES, "device", &device, READ_ROWS);
        while let Some(rows) = pages.next().await? {
            for row in rows {
                let record = row.parse::<CertificateRecord>()?;
                // One of an older program may have none until it is swept.
                let place = row.columns.get(PLACE_COLUMN).cloned().flatten().unwrap_or_else(|| place(&record));
                if wanted.takes(&record, now) && after.is_none_or(|after| place.as_str() > after) {
                    found.push((place, record));
                }
            }
            // The first ones are wanted, however many a device has.
            found.sort_unstable_by(|one, other| one.0.cmp(&other.0));
            found.truncate(top + 1);
        }
    }
    let more = found.len() > top;
    found.truncate(top);
    let next = found.last().filter(|_| more).map(|(place, _)| place.clone());
    Ok((found.into_iter().map(|(_, record)| record).collect(), next))
}
