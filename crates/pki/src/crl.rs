//! Certificate revocation lists, version 2, complete, signed by the CA that issued the certificates.
//!
//! Entries are written as they come and not kept otherwise: a list of 100,000 takes its 4 MB and no tree of values.

use crate::encode;
use crate::issue::Issuer;
use der::Encode;
use ferrohub_model::error::{Error, Result};
use jiff::Timestamp;
use x509_cert::ext::pkix::CrlNumber;

/// Object identifier that only revocation lists use (RFC 5280, 5.2.3).
const CRL_NUMBER: const_oid::ObjectIdentifier = const_oid::ObjectIdentifier::new_unwrap("2.5.29.20");
/// An entry's extensions with a reason (RFC 5280, 5.3.1; its id is 2.5.29.21), up to the code itself.
const REASON: [u8; 13] = [0x30, 0x0C, 0x30, 0x0A, 0x06, 0x03, 0x55, 0x1D, 0x15, 0x04, 0x03, 0x0A, 0x01];
/// Longest serial number, octets (RFC 5280, 4.1.2.2).
const SERIAL_BYTES: usize = 20;

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

impl RevocationReason {
    /// The code of the reason's extension.
    fn code(self) -> Option<u8> {
        match self {
            Self::Unspecified => None,
            Self::KeyCompromise => Some(1),
            Self::AffiliationChanged => Some(3),
            Self::Superseded => Some(4),
            Self::CessationOfOperation => Some(5),
            Self::PrivilegeWithdrawn => Some(9),
        }
    }
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

/// The entries of a list that is being put together, encoded.
#[derive(Debug, Clone, Default)]
pub struct RevokedEntries {
    der: Vec<u8>,
    count: usize,
}

impl RevokedEntries {
    /// Adds an entry.
    ///
    /// # Errors
    /// `Internal` where the serial number is no hex of 1 to 20 octets, or the time is before 1970.
    pub fn push(&mut self, revoked: &RevokedEntry) -> Result<()> {
        let wrong = || {
            Error::internal(format!("the serial number '{}' of a CRL entry is no hex of 20 octets", revoked.serial_hex))
        };
        let bytes = hex::decode(&revoked.serial_hex).map_err(|_| wrong())?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        // An INTEGER: no needless zeros in front, one where the number would else be negative.
        let digits = bytes.get(zeros.min(bytes.len().saturating_sub(1))..).unwrap_or_default();
        let sign = usize::from(digits.first().is_some_and(|first| *first >= 0x80));
        if digits.is_empty() || digits.len() + sign > SERIAL_BYTES {
            return Err(wrong());
        }
        let time = encode::time(revoked.revoked_at)?.to_der().map_err(encode::internal)?;
        let reason = revoked.reason.code();
        let length = 2 + sign + digits.len() + time.len() + reason.map_or(0, |_| REASON.len() + 1);
        // At most 22 octets of serial number, 17 of time and 14 of reason: a length of one octet.
        self.der.extend([0x30, short(length)?, 0x02, short(sign + digits.len())?]);
        self.der.extend(std::iter::repeat_n(0, sign));
        self.der.extend_from_slice(digits);
        self.der.extend_from_slice(&time);
        if let Some(code) = reason {
            self.der.extend_from_slice(&REASON);
            self.der.push(code);
        }
        self.count += 1;
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Octets of what was written.
    pub fn bytes(&self) -> usize {
        self.der.len()
    }
}

/// Builds and signs a CRL of `issuer`, possibly empty. `number` must grow with each list of the issuer.
///
/// # Errors
/// Those of [`RevokedEntries::push`] and [`sign_crl`].
pub async fn build_crl(
    issuer: &Issuer,
    number: u64,
    this_update: Timestamp,
    next_update: Timestamp,
    revoked: &[RevokedEntry],
) -> Result<Vec<u8>> {
    let mut entries = RevokedEntries::default();
    revoked.iter().try_for_each(|entry| entries.push(entry))?;
    sign_crl(issuer, number, this_update, next_update, &entries).await
}

/// Builds and signs a CRL of `issuer` with these entries. `number` must grow with each list of the issuer.
///
/// # Errors
/// `Internal` where the times are out of order; the signer's error.
pub async fn sign_crl(
    issuer: &Issuer,
    number: u64,
    this_update: Timestamp,
    next_update: Timestamp,
    revoked: &RevokedEntries,
) -> Result<Vec<u8>> {
    if next_update <= this_update {
        return Err(Error::internal("a CRL whose next update is not after its update"));
    }
    let signing = issuer.signing();
    let mut extensions = Vec::with_capacity(2);
    if let Some(key_id) = signing.key_id() {
        extensions.push(encode::authority_key_identifier(key_id)?);
    }
    let number = CrlNumber::try_from(number).map_err(encode::internal)?;
    extensions.push(encode::extension(CRL_NUMBER, false, &number)?);
    let version = 1_u8.to_der().map_err(encode::internal)?;
    let algorithm = signing.algorithm().identifier().to_der().map_err(encode::internal)?;
    let this_update = encode::time(this_update)?.to_der().map_err(encode::internal)?;
    let next_update = encode::time(next_update)?.to_der().map_err(encode::internal)?;
    // RFC 5280, 5.1.2.6: absent, not empty, where nothing is revoked.
    let entries = if revoked.is_empty() { Vec::new() } else { encode::sequence(&[&revoked.der])? };
    let extensions = encode::tagged(0, &extensions)?;
    let parts: [&[u8]; 7] =
        [&version, &algorithm, signing.name_der(), &this_update, &next_update, &entries, &extensions];
    signing.sign(&encode::sequence(&parts)?).await
}

/// A length that takes one octet.
fn short(length: usize) -> Result<u8> {
    u8::try_from(length).ok().filter(|length| *length < 0x80).ok_or_else(|| Error::internal("a long CRL entry"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use der::Decode;
    use x509_cert::certificate::Rfc5280;
    use x509_cert::crl::RevokedCert;
    use x509_cert::ext::pkix::CrlReason;

    #[test]
    fn each_entry_is_what_another_encoder_reads_and_writes() {
        let serials = ["00", "01", "7F", "80", "00FF", "0000000000000000000000000000000000000000FF", &"7F".repeat(20)];
        let times = [0, 1_900_000_000, 2_524_607_999, 2_524_608_000, 250_000_000_000];
        let reasons =
            [RevocationReason::Unspecified, RevocationReason::KeyCompromise, RevocationReason::PrivilegeWithdrawn];
        for serial in serials {
            for seconds in times {
                for reason in reasons {
                    let at = Timestamp::from_second(seconds).unwrap();
                    let entry = RevokedEntry { serial_hex: serial.to_owned(), revoked_at: at, reason };
                    let mut entries = RevokedEntries::default();
                    entries.push(&entry).unwrap();
                    let read = RevokedCert::<Rfc5280>::from_der(&entries.der).unwrap();
                    assert_eq!(read.to_der().unwrap(), entries.der, "{serial} {seconds}");
                    assert_eq!(read.revocation_date.to_unix_duration().as_secs(), seconds.unsigned_abs());
                    let extensions = read.crl_entry_extensions.unwrap_or_default();
                    let code =
                        extensions.first().map(|one| CrlReason::from_der(one.extn_value.as_bytes()).unwrap() as u8);
                    assert_eq!(code, reason.code());
                }
            }
        }
    }
}
