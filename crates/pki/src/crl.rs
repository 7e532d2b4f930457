//! Certificate revocation lists, version 2, complete, signed by the CA that issued the certificates.

use crate::encode;
use crate::issue::Issuer;
use der::Encode;
use ferrohub_model::error::{Error, Result};
use jiff::Timestamp;
use x509_cert::Version;
use x509_cert::certificate::Rfc5280;
use x509_cert::crl::{RevokedCert, TbsCertList};
use x509_cert::ext::pkix::{CrlNumber, CrlReason};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;

/// Object identifiers that only revocation lists use (RFC 5280, 5.2.3 and 5.3.1).
const CRL_NUMBER: const_oid::ObjectIdentifier = const_oid::ObjectIdentifier::new_unwrap("2.5.29.20");
const REASON_CODE: const_oid::ObjectIdentifier = const_oid::ObjectIdentifier::new_unwrap("2.5.29.21");

/// Why a certificate was revoked (RFC 5280, 5.3.1; those that a registry has a use for).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RevocationReason {
    /// No reason given: the entry carries no reason extension.
    Unspecified,
    /// The private key may be known to others.
    KeyCompromise,
    /// The device changed hands or place.
    AffiliationChanged,
    /// A newer certificate takes its place.
    Superseded,
    /// The device is out of use.
    CessationOfOperation,
    /// The right to the certificate was withdrawn.
    PrivilegeWithdrawn,
}

/// One revoked certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedEntry {
    /// Serial number as [`crate::certificate::Certificate::serial_hex`] shows it.
    pub serial_hex: String,
    /// Time of the revocation.
    pub revoked_at: Timestamp,
    /// Reason.
    pub reason: RevocationReason,
}

/// Builds and signs a CRL of `issuer`, possibly empty. `number` must grow with each list of the issuer.
///
/// # Errors
/// `Internal` where a serial number is no hex of 1 to 20 bytes or the times are out of order; the signer's error.
pub async fn build_crl(
    issuer: &Issuer,
    number: u64,
    this_update: Timestamp,
    next_update: Timestamp,
    revoked: &[RevokedEntry],
) -> Result<Vec<u8>> {
    if next_update <= this_update {
        return Err(Error::internal("a CRL whose next update is not after its update"));
    }
    let signing = issuer.signing();
    let entries = revoked.iter().map(entry).collect::<Result<Vec<_>>>()?;
    let number = CrlNumber::try_from(number).map_err(encode::internal)?;
    let mut extensions = Vec::with_capacity(2);
    if let Some(key_id) = signing.key_id() {
        extensions.push(encode::authority_key_identifier(key_id)?);
    }
    extensions.push(encode::extension(CRL_NUMBER, false, &number)?);
    let list = TbsCertList::<Rfc5280> {
        version: Version::V2,
        signature: signing.algorithm().identifier(),
        issuer: name(signing.name_der())?,
        this_update: encode::time(this_update)?,
        next_update: Some(encode::time(next_update)?),
        // RFC 5280, 5.1.2.6: absent, not empty, where nothing is revoked.
        revoked_certificates: (!entries.is_empty()).then_some(entries),
        crl_extensions: Some(extensions),
    };
    signing.sign(&list.to_der().map_err(encode::internal)?).await
}

fn entry(revoked: &RevokedEntry) -> Result<RevokedCert<Rfc5280>> {
    let wrong =
        || Error::internal(format!("the serial number '{}' of a CRL entry is no hex number", revoked.serial_hex));
    let bytes = hex::decode(&revoked.serial_hex).map_err(|_| wrong())?;
    if bytes.is_empty() {
        return Err(wrong());
    }
    let reason = match revoked.reason {
        RevocationReason::Unspecified => None,
        RevocationReason::KeyCompromise => Some(CrlReason::KeyCompromise),
        RevocationReason::AffiliationChanged => Some(CrlReason::AffiliationChanged),
        RevocationReason::Superseded => Some(CrlReason::Superseded),
        RevocationReason::CessationOfOperation => Some(CrlReason::CessationOfOperation),
        RevocationReason::PrivilegeWithdrawn => Some(CrlReason::PrivilegeWithdrawn),
    };
    let reason = reason.map(|code| encode::extension(REASON_CODE, false, &code)).transpose()?;
    Ok(RevokedCert {
        serial_number: SerialNumber::new(&bytes).map_err(encode::internal)?,
        revocation_date: encode::time(revoked.revoked_at)?,
        crl_entry_extensions: reason.map(|extension| vec![extension]),
    })
}

fn name(der: &[u8]) -> Result<Name> {
    der::Decode::from_der(der).map_err(encode::internal)
}
