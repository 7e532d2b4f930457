//! Issuing a device's certificate: serial number first, signature second, and the row for the caller's unit.

use super::authority::{authority, authority_of, ca_url, crl_url, open_issuer, row_of};
use super::policy::leaf_days;
use crate::platform::{Change, Platform};
use crate::resources::Stored;
use crate::tables::{AUTHORITIES, CERTIFICATES};
use ferrohub_model::certificate_authority::{AuthorityRecord, CertificateRecord, CertificateState};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{LEAF_VALIDITY_DEFAULT_DAYS, READ_ROWS};
use ferrohub_model::uid::uid_key;
use ferrohub_pki::csr::{CODE_BAD_REQUEST, CertificateRequest};
use ferrohub_pki::issue::Serial;
use ferrohub_pki::profile::{LeafFields, Profile};
use ferrohub_store::{ConflictKind, Pages, Put, StoreError, UnitOfWork};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Draws of a serial number before something is wrong with the generator: ours (two equal ones of 126 bits do not happen).
const SERIAL_DRAWS: usize = 4;
/// Age at which an intent without a certificate is swept: ours (an issue takes milliseconds).
const INTENT_AGE: Duration = Duration::from_secs(3600);
/// Intents swept in one unit: ours.
const SWEEP_ROWS: usize = 200;

/// What is asked for.
pub struct IssueRequest<'a> {
    /// Namespace of the policy.
    pub namespace: &'a Stored,
    /// The authority that signs.
    pub authority: &'a Stored,
    /// Its certificate policy.
    pub policy: &'a Stored,
    /// The verified request; only its key is taken.
    pub csr: &'a CertificateRequest,
    /// Registration id, which the request's common name must be.
    pub registration_id: &'a str,
    /// Device id, which becomes the common name of the certificate.
    pub device_id: &'a str,
    /// Uid of the device identity.
    pub device_uid: Uuid,
    /// The device's current credential id.
    pub credential_id: Uuid,
}

/// A signed certificate whose row waits for the caller's unit of work.
#[derive(Debug)]
pub struct Issued {
    /// Leaf, issuing authority, root: DER.
    pub chain: [Vec<u8>; 3],
    /// Serial number, lower-case hex.
    pub serial: String,
    /// What must be committed together with the device.
    pub unit: UnitOfWork,
}

/// Checks that a request names the device that sends it.
///
/// # Errors
/// `Invalid` (400037) naming both names.
pub fn check_common_name(csr: &CertificateRequest, registration_id: &str) -> Result<()> {
    match csr.common_name() {
        Some(name) if name == registration_id => Ok(()),
        Some(name) => {
            let shown: String = name.chars().take(128).collect();
            Err(Error::invalid(format!(
                "The certificate request's common name '{shown}' is not the registration id '{registration_id}'; they must be equal, letter by letter."
            ))
            .with_iot_code(CODE_BAD_REQUEST))
        }
        None => Err(Error::invalid(format!(
            "The certificate request has no common name; its subject must be 'CN={registration_id}'."
        ))
        .with_iot_code(CODE_BAD_REQUEST)),
    }
}

/// Issues the certificate of a device. The serial number is committed before anything is signed; the
/// certificate counts once the caller has committed [`Issued::unit`].
///
/// # Errors
/// `Invalid` where the request names another device; `Conflict` where the policy's authority is gone or expired.
pub async fn issue_leaf(platform: &Platform, request: IssueRequest<'_>) -> Result<Issued> {
    check_common_name(request.csr, request.registration_id)?;
    let (issuing, root) = chain_of(platform, &request).await?;
    let issuer = open_issuer(platform, &issuing).await?;
    let version = row_of(platform, issuing.id).await?.version;
    let profile = Profile::leaf(fields(platform, &request, &issuing))?;
    let now = platform.now();
    let mut record = CertificateRecord {
        serial: String::new(),
        issuer: issuing.id,
        chain: vec![issuing.id, root.id],
        device: request.device_uid,
        subject: request.device_id.to_owned(),
        credential_id: request.credential_id,
        state: CertificateState::Intent,
        created: now,
        not_before: now,
        not_after: now,
        sha256: String::new(),
        revoked: None,
    };
    let (serial, intent_version) = reserve_serial(platform, &mut record).await?;
    let prepared = issuer.prepare(&profile, request.csr.public_key_info_der(), serial, now)?;
    let leaf = prepared.issue().await?;
    record.state = CertificateState::Issued;
    record.not_before = leaf.not_before();
    record.not_after = leaf.not_after();
    record.sha256 = leaf.sha256().to_ascii_uppercase();
    let mut unit = UnitOfWork::new();
    unit.expect_version(&CERTIFICATES, record.serial.clone(), intent_version);
    // An authority that was retired meanwhile must not have issued.
    unit.expect_version(&AUTHORITIES, issuing.id.to_string(), version);
    unit.put(put(&record)?);
    metrics::counter!("ferrohub_certificates_issued_total").increment(1);
    Ok(Issued {
        chain: [leaf.der().to_vec(), issuing.certificate_der, root.certificate_der],
        serial: record.serial,
        unit,
    })
}

/// Removes intents that never became a certificate. Returns how many went; the worker calls it now and then.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn sweep_intents(platform: &Platform, now: Timestamp) -> Result<usize> {
    let mut removed = 0;
    let intent = CertificateState::Intent.as_str();
    let mut pages = Pages::find(platform.store.as_ref(), &CERTIFICATES, "state", intent, SWEEP_ROWS);
    while let Some(rows) = pages.next().await? {
        let mut change = Change::new();
        for row in rows {
            let record = row.parse::<CertificateRecord>()?;
            let stale = now.duration_since(record.created).unsigned_abs() > INTENT_AGE && now > record.created;
            if stale {
                change.unit.expect_version(&CERTIFICATES, row.key.clone(), row.version);
                change.unit.delete(&CERTIFICATES, row.key.clone());
            }
        }
        let count = change.unit.len();
        if count > 0 {
            if !platform.try_commit(change).await? {
                // Somebody else swept: the next round sees what is left.
                break;
            }
            removed += count;
        }
    }
    Ok(removed)
}

/// Revoked certificates of an authority that have not expired: what its revocation list holds.
pub(super) async fn revoked_of(platform: &Platform, authority: Uuid) -> Result<Vec<Arc<CertificateRecord>>> {
    let now = platform.now();
    let mut found = Vec::new();
    let revoked = CertificateState::Revoked.as_str();
    let mut pages = Pages::find(platform.store.as_ref(), &CERTIFICATES, "state", revoked, READ_ROWS);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            let record = row.parse::<CertificateRecord>()?;
            if record.issuer == authority && record.not_after > now {
                found.push(record);
            }
        }
    }
    Ok(found)
}

async fn chain_of(platform: &Platform, request: &IssueRequest<'_>) -> Result<(AuthorityRecord, AuthorityRecord)> {
    let missing = || {
        Error::conflict(format!(
            "The policy '{}' of the namespace '{}' has no certificate authority any more, so it issues nothing; create it again.",
            request.authority.name(),
            request.namespace.name()
        ))
        .with_iot_code(409_000)
    };
    let issuing = authority_of(platform, request.authority.uid).await?.ok_or_else(missing)?;
    let root = match issuing.issuer {
        Some(id) => authority(platform, id).await?.ok_or_else(missing)?,
        None => return Err(Error::internal(format!("authority {} of a policy is a root", issuing.id))),
    };
    Ok((issuing, root))
}

fn fields(platform: &Platform, request: &IssueRequest<'_>, issuing: &AuthorityRecord) -> LeafFields {
    let days = leaf_days(request.policy).unwrap_or(LEAF_VALIDITY_DEFAULT_DAYS);
    let base = platform.settings.pki_url.as_deref();
    LeafFields {
        common_name: request.device_id.to_owned(),
        days,
        credential_id: request.credential_id,
        crl_url: base.map(|base| crl_url(base, issuing.id)),
        issuer_url: base.map(|base| ca_url(base, issuing.id)),
    }
}

/// Commits the intent under a serial number that nobody has; returns the number and its row's version.
async fn reserve_serial(platform: &Platform, record: &mut CertificateRecord) -> Result<(Serial, u64)> {
    for _ in 0..SERIAL_DRAWS {
        let serial = Serial::random(platform.random.as_ref());
        record.serial = serial.to_hex().to_ascii_lowercase();
        let mut change = Change::new();
        change.unit.expect_absent(&CERTIFICATES, record.serial.clone());
        change.unit.put(put(record)?);
        match platform.commit(change).await {
            Ok(committed) => {
                let version = committed.versions.first().copied();
                return version
                    .map(|version| (serial, version))
                    .ok_or_else(|| Error::internal("a commit without versions"));
            }
            Err(StoreError::Conflict { kind: ConflictKind::Absent, .. }) => {
                tracing::warn!("a random serial number was taken; drawing again");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::internal("no free serial number: the random generator repeats itself"))
}

fn put(record: &CertificateRecord) -> Result<Put> {
    let columns =
        vec![Some(uid_key(record.issuer)), Some(uid_key(record.device)), Some(record.state.as_str().to_owned())];
    Ok(Put::new(&CERTIFICATES, record.serial.clone(), columns, record)?)
}
