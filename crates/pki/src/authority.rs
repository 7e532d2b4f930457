//! Making certificate authorities: a root that signs itself, and issuing CAs under it.

use crate::algorithm::KeyKind;
use crate::certificate::Certificate;
use crate::issue::{Issuer, Serial, Signing};
use crate::name::SubjectName;
use crate::profile::Profile;
use crate::signer::{Signer, SoftwareSigner};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::ISSUING_YEARS_MIN;
use ferrohub_model::random::Random;
use jiff::{Timestamp, ToSpan, tz::TimeZone};

/// Key kind of a certificate authority where none is asked for (reference/certificates.md 1.2).
pub const DEFAULT_KEY: KeyKind = KeyKind::P384;

/// A new authority: its certificate and the key that belongs to it.
#[derive(Debug)]
pub struct Authority {
    /// The CA's certificate.
    pub certificate: Certificate,
    /// The CA's key, for `to_pkcs8` and sealing.
    pub signer: SoftwareSigner,
}

impl Authority {
    /// The authority as an issuer.
    ///
    /// # Errors
    /// As [`Issuer::new`].
    pub fn into_issuer(self) -> Result<Issuer> {
        Issuer::new(self.certificate, Box::new(self.signer))
    }

    /// A second handle on the same authority, from its PKCS#8 and certificate.
    ///
    /// # Errors
    /// As [`Issuer::new`] and [`SoftwareSigner::from_pkcs8`].
    pub fn to_issuer(&self) -> Result<Issuer> {
        let signer = SoftwareSigner::from_pkcs8(&self.signer.to_pkcs8()?)?;
        Issuer::new(self.certificate.clone(), Box::new(signer))
    }
}

/// Makes a root with a P-384 key: the default validity, subject as given.
///
/// # Errors
/// As [`create_self_signed`].
pub fn create_root(subject: SubjectName, random: &dyn Random, now: Timestamp) -> Result<Authority> {
    create_self_signed(&Profile::root(subject, None)?, DEFAULT_KEY, random, now)
}

/// Makes a self-signed authority of `profile` (a root or the platform's root) with a new key of `kind`.
///
/// # Errors
/// `InvalidPropertyValue` for a key kind that no CA may have; `Internal` on a fault of the provider.
pub fn create_self_signed(profile: &Profile, kind: KeyKind, random: &dyn Random, now: Timestamp) -> Result<Authority> {
    let signer = SoftwareSigner::generate(kind)?;
    let copy = SoftwareSigner::from_pkcs8(&signer.to_pkcs8()?)?;
    let signing = Signing::for_root(Box::new(copy), profile.subject())?;
    let certificate = signing.prepare(profile, signing.public_key_info(), Serial::random(random), now)?.issue()?;
    certificate.verify_signed_by(&certificate)?;
    Ok(Authority { certificate, signer })
}

/// Makes an issuing CA of `profile` under `root`, with a new key of `kind`.
///
/// # Errors
/// `Conflict` where the root ends in less than [`ISSUING_YEARS_MIN`] years: issue a new root first.
/// Otherwise as [`Issuer::prepare`].
pub fn create_issuing(
    root: &Issuer,
    profile: &Profile,
    kind: KeyKind,
    random: &dyn Random,
    now: Timestamp,
) -> Result<Authority> {
    let signer = SoftwareSigner::generate(kind)?;
    let certificate = issue_authority(root, profile, signer.public_key_info_der(), random, now)?;
    Ok(Authority { certificate, signer })
}

/// Issues a CA certificate for a key that lives elsewhere (a PKCS#11 token, an external request).
///
/// # Errors
/// As [`create_issuing`].
pub fn issue_authority(
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
    let certificate = prepared.issue()?;
    certificate.verify_signed_by(root.certificate())?;
    Ok(certificate)
}
