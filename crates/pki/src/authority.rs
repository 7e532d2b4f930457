//! Making certificate authorities: a root that signs itself, and issuing CAs under it. Their keys come from a
//! [`crate::key_store::KeyStore`]; here only their public halves and their signatures are seen.

use crate::algorithm::KeyKind;
use crate::certificate::Certificate;
use crate::issue::{Issuer, Serial, Signing};
use crate::name::SubjectName;
use crate::profile::Profile;
use crate::signer::Signer;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::ISSUING_YEARS_MIN;
use ferrohub_model::random::Random;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use std::sync::Arc;

/// Key kind of a certificate authority where none is asked for (reference/certificates.md 1.2).
pub const DEFAULT_KEY: KeyKind = KeyKind::P384;

/// Makes a root of the default validity, subject as given, that signs itself with `key`.
///
/// # Errors
/// As [`create_self_signed`].
pub async fn create_root(
    subject: SubjectName,
    key: Arc<dyn Signer>,
    random: &dyn Random,
    now: Timestamp,
) -> Result<Issuer> {
    create_self_signed(&Profile::root(subject, None)?, key, random, now).await
}

/// Makes a self-signed authority of `profile` (a root or the platform's root) with `key`.
///
/// # Errors
/// `InvalidPropertyValue` for a key that no CA may have; the signer's error; `Internal` on a fault of the provider.
pub async fn create_self_signed(
    profile: &Profile,
    key: Arc<dyn Signer>,
    random: &dyn Random,
    now: Timestamp,
) -> Result<Issuer> {
    let signing = Signing::for_root(Arc::clone(&key), profile.subject()).await?;
    let prepared = signing.prepare(profile, signing.public_key_info(), Serial::random(random), now)?;
    let certificate = prepared.issue().await?;
    certificate.verify_signed_by(&certificate)?;
    Issuer::new(certificate, key).await
}

/// Makes an issuing CA of `profile` under `root` with `key`.
///
/// # Errors
/// `Conflict` where the root ends in less than [`ISSUING_YEARS_MIN`] years: issue a new root first.
/// Otherwise as [`Issuer::prepare`] and [`Issuer::new`].
pub async fn create_issuing(
    root: &Issuer,
    profile: &Profile,
    key: Arc<dyn Signer>,
    random: &dyn Random,
    now: Timestamp,
) -> Result<Issuer> {
    let certificate = issue_authority(root, profile, key.public_key_info_der(), random, now).await?;
    Issuer::new(certificate, key).await
}

/// Issues a CA certificate for a key that only its owner signs with (an external request).
///
/// # Errors
/// As [`create_issuing`].
pub async fn issue_authority(
    root: &Issuer,
    profile: &Profile,
    public_key_info: &[u8],
    random: &dyn Random,
    now: Timestamp,
) -> Result<Certificate> {
    let prepared = root.prepare(profile, public_key_info, Serial::random(random), now)?;
    let least = now
        .to_zoned(TimeZone::UTC)
        .checked_add(i64::from(ISSUING_YEARS_MIN).years())
        .map_err(|error| Error::internal(format!("certificate validity: {error}")))?
        .timestamp();
    if prepared.was_cut() && prepared.not_after() < least {
        return Err(Error::conflict(format!(
            "The root '{}' ends on {}, less than {ISSUING_YEARS_MIN} years from now, so an issuing CA under it would be too short-lived; create a new root first.",
            root.certificate().subject(),
            root.certificate().not_after()
        )));
    }
    let certificate = prepared.issue().await?;
    certificate.verify_signed_by(root.certificate())?;
    Ok(certificate)
}
