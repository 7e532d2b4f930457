//! Encoding that several modules share: times, digests, splitting a signed structure, extensions.

use crate::oid;
use aws_lc_rs::digest;
use const_oid::ObjectIdentifier;
use der::asn1::{BitStringRef, ContextSpecificRef, GeneralizedTime, OctetString, UtcTime};
use der::{DateTime, Decode, Encode, Reader, SliceReader, TagMode, TagNumber};
use ferrohub_model::error::{Error, Result};
use jiff::Timestamp;
use spki::AlgorithmIdentifierRef;
use std::time::Duration;
use x509_cert::ext::Extension;
use x509_cert::time::Time;

/// The three parts of a certificate, request or revocation list, borrowed byte for byte.
pub(crate) struct Signed<'a> {
    /// DER of the signed content, tag and length included.
    pub(crate) content: &'a [u8],
    pub(crate) algorithm: AlgorithmIdentifierRef<'a>,
    pub(crate) signature: &'a [u8],
}

/// Splits `SEQUENCE { content, algorithm, signature }`. Trailing data is an error.
pub(crate) fn split_signed(bytes: &[u8]) -> der::Result<Signed<'_>> {
    let mut reader = SliceReader::new(bytes)?;
    let parts = reader.sequence(|inner| {
        let content = inner.tlv_bytes()?;
        let algorithm = AlgorithmIdentifierRef::decode(inner)?;
        let signature = BitStringRef::decode(inner)?;
        let signature = signature.as_bytes().ok_or_else(|| der::Tag::BitString.value_error())?;
        Ok::<_, der::Error>(Signed { content, algorithm, signature })
    })?;
    reader.finish()?;
    Ok(parts)
}

/// Puts content, algorithm and signature together.
pub(crate) fn join_signed(content: &[u8], algorithm: &[u8], signature: &[u8]) -> Result<Vec<u8>> {
    let bits = BitStringRef::from_bytes(signature).and_then(|bits| bits.to_der()).map_err(internal)?;
    sequence(&[content, algorithm, &bits])
}

/// A DER SEQUENCE of already encoded elements.
pub(crate) fn sequence(elements: &[&[u8]]) -> Result<Vec<u8>> {
    let body = elements.concat();
    der::asn1::AnyRef::new(der::Tag::Sequence, &body).and_then(|any| any.to_der()).map_err(internal)
}

/// The DER of `value` under an explicit context-specific tag.
pub(crate) fn tagged<T>(number: u32, value: &T) -> Result<Vec<u8>>
where
    T: der::EncodeValue + der::Tagged,
{
    let field = ContextSpecificRef { tag_number: TagNumber(number), tag_mode: TagMode::Explicit, value };
    field.to_der().map_err(internal)
}

/// UTCTime up to 2049, GeneralizedTime after (RFC 5280, 4.1.2.5). Fractions of a second are dropped.
pub(crate) fn time(at: Timestamp) -> Result<Time> {
    let seconds = u64::try_from(at.as_second()).map_err(|_| Error::internal("a certificate time before 1970"))?;
    let date = DateTime::from_unix_duration(Duration::from_secs(seconds)).map_err(internal)?;
    if date.year() <= UtcTime::MAX_YEAR {
        return UtcTime::from_date_time(date).map(Time::UtcTime).map_err(internal);
    }
    Ok(Time::GeneralTime(GeneralizedTime::from_date_time(date)))
}

/// The moment that a certificate's time means. The end of the year 9999, which says "no end" (RFC 5280, 4.1.2.5), lies a day
/// behind the last moment that is counted here, and is that moment.
pub(crate) fn timestamp(time: &Time) -> der::Result<Timestamp> {
    let seconds = time.to_unix_duration().as_secs();
    let failed = || der::Tag::UtcTime.value_error().to_error();
    let seconds = i64::try_from(seconds).map_err(|_| failed())?;
    Ok(Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX))
}

/// An extension of `id` with the DER of `value`.
pub(crate) fn extension(id: ObjectIdentifier, critical: bool, value: &impl Encode) -> Result<Extension> {
    let der = value.to_der().map_err(internal)?;
    let extn_value = OctetString::new(der).map_err(internal)?;
    Ok(Extension { extn_id: id, critical, extn_value })
}

/// Key identifier, method 1 of RFC 5280, 4.2.1.2: SHA-1 of the key bits. A name, not a security measure.
pub(crate) fn key_identifier(key_bits: &[u8]) -> [u8; 20] {
    sha1(key_bits)
}

/// SHA-1, which Azure uses for thumbprints and RFC 5280 for key identifiers.
pub(crate) fn sha1(bytes: &[u8]) -> [u8; 20] {
    let mut out = [0; 20];
    out.copy_from_slice(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref());
    out
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// The authorityKeyIdentifier extension with a key identifier only.
pub(crate) fn authority_key_identifier(key_id: &[u8]) -> Result<Extension> {
    let value = x509_cert::ext::pkix::AuthorityKeyIdentifier {
        key_identifier: Some(OctetString::new(key_id).map_err(internal)?),
        authority_cert_issuer: None,
        authority_cert_serial_number: None,
    };
    extension(oid::AUTHORITY_KEY_ID, false, &value)
}

pub(crate) fn internal(error: der::Error) -> Error {
    Error::internal(format!("DER encoding: {error}"))
}
