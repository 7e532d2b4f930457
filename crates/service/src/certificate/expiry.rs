//! What ends soon: counted for the metrics, and said in the activity log. Certificates of devices are counted in the index of their
//! places, so that a million of them cost no reading.

use super::authority_rows::every_authority;
use super::record::place_from;
use crate::arm::activity::{self, Origin};
use crate::platform::{Change, Platform};
use crate::resources;
use crate::tables::{CERTIFICATES, EXPIRY_WARNINGS};
use ferrohub_model::certificate_authority::{AuthorityRecord, AuthorityState};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::time::rfc3339;
use ferrohub_model::uid::uid_key;
use ferrohub_store::{Put, Row};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

/// Days before the end at which an authority is spoken of, and within which certificates are counted: ours.
const NEAR: [u32; 2] = [30, 7];
/// The same for a root, which others may trust who have to be told of the next one: ours.
const ROOT_NEAR: [u32; 4] = [365, 90, 30, 7];
const DAY: i64 = 86_400;
/// The action in rows of the activity log.
const ACTION: &str = "Microsoft.DeviceRegistry/namespaces/certificates/expiry/action";

/// How many end: those that have, and those that will within so many days (the seven are among the thirty).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ends {
    ended: u64,
    within_7_days: u64,
    within_30_days: u64,
}

/// What was said of an authority or a namespace.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    /// Days before its end, of an authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    days: Option<u32>,
    /// Day since 1970, of a namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    day: Option<i64>,
}

/// Counts what ends soon at `now`, the settled time, for the metrics; writes what is worth a warning.
///
/// # Errors
/// When the store fails.
pub(crate) async fn look(platform: &Platform, now: Timestamp) -> Result<()> {
    let mut authorities = Ends::default();
    let mut namespaces: BTreeMap<Uuid, Ends> = BTreeMap::new();
    for record in every_authority(platform).await? {
        if record.state == AuthorityState::Active {
            authorities.note(record.not_after, now);
            warn_of_authority(platform, &record, now).await?;
        }
        namespaces.entry(record.namespace).or_default().add(issued(platform, record.id, now).await?);
    }
    let mut devices = Ends::default();
    for (namespace, ends) in namespaces {
        devices.add(ends);
        warn_of_certificates(platform, namespace, ends, now).await?;
    }
    show("authority", authorities);
    show("device", devices);
    Ok(())
}

impl Ends {
    fn note(&mut self, end: Timestamp, now: Timestamp) {
        let left = end.as_second() - now.as_second();
        self.add(Self {
            ended: u64::from(left <= 0),
            within_7_days: u64::from((1..=7 * DAY).contains(&left)),
            within_30_days: u64::from((1..=30 * DAY).contains(&left)),
        });
    }

    fn add(&mut self, other: Self) {
        self.ended += other.ended;
        self.within_7_days += other.within_7_days;
        self.within_30_days += other.within_30_days;
    }
}

/// Certificates of an authority by their ends; the revoked ones too.
async fn issued(platform: &Platform, issuer: Uuid, now: Timestamp) -> Result<Ends> {
    let place = |seconds: i64| {
        let end = now.checked_add(Duration::from_secs(seconds.unsigned_abs()));
        end.map(|end| place_from(issuer, end)).map_err(|error| Error::internal(format!("time: {error}")))
    };
    let (start, next) = (uid_key(issuer), place(1)?);
    let store = platform.store.as_ref();
    let count = async |from: &str, to: &str| store.count_between(&CERTIFICATES, "place", from, to).await;
    Ok(Ends {
        ended: count(&start, &next).await?,
        within_7_days: count(&next, &place(7 * DAY + 1)?).await?,
        within_30_days: count(&next, &place(30 * DAY + 1)?).await?,
    })
}

fn show(kind: &'static str, ends: Ends) {
    for (within, count) in [("ended", ends.ended), ("7d", ends.within_7_days), ("30d", ends.within_30_days)] {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; 2^53 certificates are not counted")]
        metrics::gauge!("ferrohub_certificates_ending", "kind" => kind, "within" => within).set(count as f64);
    }
}

/// Says once at each of the days before it that an authority ends.
async fn warn_of_authority(platform: &Platform, record: &AuthorityRecord, now: Timestamp) -> Result<()> {
    let left = record.not_after.as_second() - now.as_second();
    let is_root = record.issuer.is_none();
    let near: &[u32] = if is_root { &ROOT_NEAR } else { &NEAR };
    let days = near.iter().copied().filter(|days| left <= i64::from(*days) * DAY).min();
    let Some(days) = days else { return Ok(()) };
    let row = platform.store.get(&EXPIRY_WARNINGS, &record.id.to_string()).await?;
    let said = said(row.as_deref())?;
    if said.days.is_some_and(|said| said <= days) {
        return Ok(());
    }
    let Some(id) = resources::id_of(platform, record.owner).await? else { return Ok(()) };
    let what = if is_root { "root" } else { "issuing" };
    let end = rfc3339(record.not_after);
    let (code, message) = match left > 0 {
        true => (
            "CertificateAuthorityExpiring",
            format!("The {what} certificate authority '{}' ends on {end}.", record.subject),
        ),
        false => (
            "CertificateAuthorityExpired",
            format!("The {what} certificate authority '{}' ended on {end}.", record.subject),
        ),
    };
    let advice = match is_root {
        false => {
            "Nothing that it issues outlives it, and then it issues nothing: make another policy and let the enrollments use it.".to_owned()
        }
        true => format!(
            "Nothing below it outlives it. Give whoever trusts it by hand the next one: az iot adr ns credential rotate --namespace {} --resource-group {}. Without that it is rotated when the first issuing CA below it needs more time than it has left.",
            id.parent().map(|namespace| namespace.name().to_owned()).unwrap_or_default(),
            id.resource_group.as_deref().unwrap_or_default()
        ),
    };
    let message = format!("{message} {advice}");
    tracing::warn!(%id, subject = record.subject, end, "a certificate authority is near its end");
    let row_of_log = activity::warning(platform, &Origin::nobody(), &id, ACTION, code, &message)?;
    say(platform, record.id.to_string(), row.as_deref(), &Said { days: Some(days), day: None }, row_of_log).await
}

/// Says, at most once a day, how many certificates of a namespace ended or will within a week.
async fn warn_of_certificates(platform: &Platform, namespace: Uuid, ends: Ends, now: Timestamp) -> Result<()> {
    if ends.within_7_days == 0 {
        return Ok(());
    }
    let (key, today) = (uid_key(namespace), now.as_second().div_euclid(DAY));
    let row = platform.store.get(&EXPIRY_WARNINGS, &key).await?;
    if said(row.as_deref())?.day == Some(today) {
        return Ok(());
    }
    let Some(id) = resources::id_of(platform, namespace).await? else { return Ok(()) };
    let message = format!(
        "Of the certificates that devices got in the namespace '{0}', {1} end within 7 days and {2} within 30; {3} have ended. A device that renewed has a newer one beside. Which they are: az iot adr ns certificate list --namespace {0} --resource-group {4}",
        id.name(),
        ends.within_7_days,
        ends.within_30_days,
        ends.ended,
        id.resource_group.as_deref().unwrap_or_default()
    );
    let row_of_log = activity::warning(platform, &Origin::nobody(), &id, ACTION, "CertificatesExpiring", &message)?;
    say(platform, key, row.as_deref(), &Said { days: None, day: Some(today) }, row_of_log).await
}

fn said(row: Option<&Row>) -> Result<Said> {
    Ok(row.map(Row::part).transpose()?.unwrap_or_default())
}

/// Writes a row of the log with what was said; only one process does.
async fn say(platform: &Platform, key: String, was: Option<&Row>, said: &Said, row_of_log: Put) -> Result<()> {
    let mut change = Change::new();
    match was {
        Some(row) => change.unit.expect_version(&EXPIRY_WARNINGS, key.clone(), row.version),
        None => change.unit.expect_absent(&EXPIRY_WARNINGS, key.clone()),
    };
    change.unit.put(Put::new(&EXPIRY_WARNINGS, key, Vec::new(), said)?);
    change.unit.put(row_of_log);
    platform.try_commit(change).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_counted_where_it_falls() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let of = |seconds: i64| {
            let mut ends = Ends::default();
            ends.note(Timestamp::from_second(1_000_000 + seconds).unwrap(), now);
            (ends.ended, ends.within_7_days, ends.within_30_days)
        };
        assert_eq!((of(-1), of(0)), ((1, 0, 0), (1, 0, 0)));
        assert_eq!((of(1), of(7 * DAY), of(7 * DAY + 1)), ((0, 1, 1), (0, 1, 1), (0, 0, 1)));
        assert_eq!((of(30 * DAY), of(30 * DAY + 1)), ((0, 0, 1), (0, 0, 0)));
    }
}
