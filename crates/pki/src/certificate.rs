//! A parsed X.509 certificate: the facts that the product shows and compares.

use crate::algorithm::{self, KeyKind};
use crate::encode::{self, sha1, sha256, split_signed};
use crate::name::SubjectName;
use crate::oid;
use crate::public_key::PublicKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use const_oid::ObjectIdentifier;
use der::asn1::{AnyRef, IntRef};
use der::{Decode, Encode, Reader, SliceReader, TagMode, TagNumber};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits;
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use std::net::IpAddr;
use uuid::Uuid;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::time::Time;

/// Prefix of the URI that carries a device's credential id.
pub const CREDENTIAL_URI_PREFIX: &str = "urn:uuid:";

/// A certificate with its facts read out once. Nothing about it is trusted by being parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    subject: SubjectName,
    issuer: SubjectName,
    subject_der: Vec<u8>,
    issuer_der: Vec<u8>,
    public_key_info: Vec<u8>,
    version: u8,
    serial_hex: String,
    not_before: Timestamp,
    not_after: Timestamp,
    facts: Extensions,
    sha1: String,
    sha256: String,
}

/// What the extensions say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Extensions {
    is_ca: bool,
    path_length: Option<u8>,
    key_usage: Option<KeyUsage>,
    purposes: Option<Vec<ObjectIdentifier>>,
    subject_key_id: Option<Vec<u8>>,
    authority_key_id: Option<Vec<u8>>,
    uris: Vec<String>,
    dns_names: Vec<String>,
    ip_addresses: Vec<IpAddr>,
}

/// TBSCertificate, borrowed byte for byte.
pub(crate) struct Tbs<'a> {
    /// 1 or 3; 2 is as good as unknown.
    pub(crate) version: u8,
    pub(crate) serial: &'a [u8],
    pub(crate) issuer: &'a [u8],
    pub(crate) not_before: Time,
    pub(crate) not_after: Time,
    pub(crate) subject: &'a [u8],
    pub(crate) public_key_info: &'a [u8],
    pub(crate) extensions: Vec<Extension>,
}

/// Thumbprints of a certificate's DER: (SHA-1, SHA-256), upper-case hex, as IoT Hub shows them.
pub fn thumbprints(der: &[u8]) -> (String, String) {
    (hex::encode_upper(sha1(der)), hex::encode_upper(sha256(der)))
}

/// Version of X.509 of a certificate, DER; `None` for what is none.
pub fn version_of(der: &[u8]) -> Option<u8> {
    split_signed(der).and_then(|signed| Tbs::parse(signed.content).map(|tbs| tbs.version)).ok()
}

impl Certificate {
    /// Parses one DER certificate of at most `limits::CERTIFICATE_BYTES`.
    ///
    /// # Errors
    /// `Invalid` where it is too large or not a certificate.
    pub fn from_der(der: &[u8]) -> Result<Self> {
        if der.len() > limits::CERTIFICATE_BYTES {
            return Err(Error::invalid(format!(
                "The certificate has {} bytes; at most {} are accepted.",
                der.len(),
                limits::CERTIFICATE_BYTES
            )));
        }
        Self::parse(der).map_err(|error| {
            Error::invalid("The certificate is not a DER-encoded X.509 certificate.").with_context(error.to_string())
        })
    }

    /// Parses the one certificate of a PEM text.
    ///
    /// # Errors
    /// `Invalid` where there is none, more than one, something else, or it is malformed.
    pub fn from_pem(pem: &str) -> Result<Self> {
        let mut chain = Self::chain_from_pem(pem)?;
        if chain.len() > 1 {
            return Err(Error::invalid(format!(
                "The PEM text has {} certificates and exactly one is expected; leave the others out.",
                chain.len()
            )));
        }
        Ok(chain.swap_remove(0))
    }

    /// Parses every certificate of a PEM text, 1 to `limits::CHAIN_LENGTH`, in its order.
    ///
    /// # Errors
    /// `Invalid` where there is none, too many, one is malformed, or something that is no certificate is among them: a private
    /// key that was sent along must not be kept.
    pub fn chain_from_pem(pem: &str) -> Result<Vec<Self>> {
        refuse_other_blocks(pem)?;
        let mut chain = Vec::new();
        for item in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let der = item.map_err(|error| {
                Error::invalid(
                    "The PEM text is malformed; each certificate needs its BEGIN and END line and base64 between them.",
                )
                .with_context(error.to_string())
            })?;
            if chain.len() == limits::CHAIN_LENGTH {
                return Err(Error::invalid(format!(
                    "The PEM text has more than {} certificates.",
                    limits::CHAIN_LENGTH
                )));
            }
            chain.push(Self::from_der(&der)?);
        }
        if chain.is_empty() {
            return Err(Error::invalid("The PEM text has no '-----BEGIN CERTIFICATE-----' block."));
        }
        Ok(chain)
    }

    /// Parses what certificate uploads carry: PEM, base64 of DER, or base64 of PEM.
    ///
    /// # Errors
    /// `Invalid` where it is none of them.
    pub fn from_pem_or_base64(text: &str) -> Result<Self> {
        if text.contains("-----BEGIN") {
            return Self::from_pem(text);
        }
        let compact: String = text.split_whitespace().collect();
        let bytes = STANDARD.decode(compact).map_err(|error| {
            Error::invalid("The certificate is neither PEM nor base64 of DER.").with_context(error.to_string())
        })?;
        match std::str::from_utf8(&bytes) {
            Ok(pem) if pem.contains("-----BEGIN") => Self::from_pem(pem),
            _ => Self::from_der(&bytes),
        }
    }

    fn parse(der: &[u8]) -> der::Result<Self> {
        let signed = split_signed(der)?;
        let tbs = Tbs::parse(signed.content)?;
        let (sha1, sha256) = thumbprints(der);
        Ok(Self {
            subject: SubjectName::from_der(tbs.subject)?,
            issuer: SubjectName::from_der(tbs.issuer)?,
            subject_der: tbs.subject.to_vec(),
            issuer_der: tbs.issuer.to_vec(),
            public_key_info: tbs.public_key_info.to_vec(),
            version: tbs.version,
            serial_hex: hex::encode_upper(tbs.serial),
            not_before: encode::timestamp(&tbs.not_before)?,
            not_after: encode::timestamp(&tbs.not_after)?,
            facts: Extensions::read(&tbs.extensions)?,
            der: der.to_vec(),
            sha1,
            sha256,
        })
    }

    /// The certificate's bytes.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// PEM with lines of 64 characters and a final line break.
    pub fn to_pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }

    /// Base64 of the DER on one line: the form in `issuedCertificateChain` and `certificates`.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&self.der)
    }

    /// The subject.
    pub fn subject(&self) -> &SubjectName {
        &self.subject
    }

    /// The issuer's name.
    pub fn issuer(&self) -> &SubjectName {
        &self.issuer
    }

    /// The subject, DER, as in the certificate.
    pub fn subject_der(&self) -> &[u8] {
        &self.subject_der
    }

    /// The subject's first common name.
    pub fn common_name(&self) -> Option<&str> {
        self.subject.common_name()
    }

    /// Serial number, upper-case hex of its DER content, without a leading sign byte.
    pub fn serial_hex(&self) -> &str {
        &self.serial_hex
    }

    /// Start of the validity.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// End of the validity.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// SHA-1 thumbprint, 40 upper-case hex digits.
    pub fn sha1(&self) -> &str {
        &self.sha1
    }

    /// SHA-256 thumbprint, 64 upper-case hex digits.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// DER SubjectPublicKeyInfo, byte for byte.
    pub fn public_key_info_der(&self) -> &[u8] {
        &self.public_key_info
    }

    /// Version of X.509: 3, or 1 for what `openssl x509 -req` makes without extensions, as Azure's tutorials do.
    pub fn version(&self) -> u8 {
        self.version
    }

    /// The key for a verifier that knows no certificates: content of its algorithm identifier, DER, and the key bits.
    ///
    /// # Errors
    /// `Invalid` where it is malformed.
    pub fn key_parts(&self) -> Result<(Vec<u8>, &[u8])> {
        let malformed = || Error::invalid(format!("The certificate '{}' has a malformed key.", self.subject));
        let info = SubjectPublicKeyInfoRef::from_der(&self.public_key_info).map_err(|_| malformed())?;
        let algorithm = info.algorithm.to_der().map_err(|_| malformed())?;
        let content = AnyRef::from_der(&algorithm).map_err(|_| malformed())?.value().to_vec();
        Ok((content, info.subject_public_key.as_bytes().ok_or_else(malformed)?))
    }

    /// Kind of the key.
    ///
    /// # Errors
    /// `Invalid` where the key is of a kind or size that is not accepted.
    pub fn key_kind(&self) -> Result<KeyKind> {
        self.public_key().map(|key| key.kind())
    }

    pub(crate) fn public_key(&self) -> Result<PublicKey<'_>> {
        PublicKey::from_spki(&self.public_key_info).map_err(|problem| {
            Error::invalid(format!("The certificate '{}' has an unusable key: {problem}.", self.subject))
        })
    }

    /// Basic constraints say CA.
    pub fn is_ca(&self) -> bool {
        self.facts.is_ca
    }

    /// Path length constraint of a CA.
    pub fn path_length(&self) -> Option<u8> {
        self.facts.path_length
    }

    /// True where the key may sign certificates: the key usage is absent or names keyCertSign.
    pub fn may_sign_certificates(&self) -> bool {
        self.facts.key_usage.is_none_or(|usage| usage.key_cert_sign())
    }

    /// True where it may be used towards a server that authenticates its clients: the extended key usage is absent, or names
    /// clientAuth or any purpose.
    pub fn is_for_client_authentication(&self) -> bool {
        let fits = |purpose: &ObjectIdentifier| [oid::CLIENT_AUTH, oid::ANY_PURPOSE].contains(purpose);
        self.facts.purposes.as_ref().is_none_or(|purposes| purposes.iter().any(fits))
    }

    /// The issuer's key identifier, where the certificate names one.
    pub(crate) fn authority_key_id(&self) -> Option<&[u8]> {
        self.facts.authority_key_id.as_deref()
    }

    /// The issuer's name, DER, as in the certificate.
    pub fn issuer_der(&self) -> &[u8] {
        &self.issuer_der
    }

    /// Subject key identifier.
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.facts.subject_key_id.as_deref()
    }

    /// URI subject alternative names.
    pub fn uri_sans(&self) -> &[String] {
        &self.facts.uris
    }

    /// DNS subject alternative names.
    pub fn dns_sans(&self) -> &[String] {
        &self.facts.dns_names
    }

    /// IP address subject alternative names.
    pub fn ip_sans(&self) -> &[IpAddr] {
        &self.facts.ip_addresses
    }

    /// The device's credential id: the first alternative name `urn:uuid:<uuid>`.
    pub fn credential_id(&self) -> Option<Uuid> {
        self.facts.uris.iter().find_map(|uri| {
            let prefix = uri.get(..CREDENTIAL_URI_PREFIX.len())?;
            let rest = uri.get(CREDENTIAL_URI_PREFIX.len()..)?;
            prefix.eq_ignore_ascii_case(CREDENTIAL_URI_PREFIX).then(|| Uuid::try_parse(rest).ok())?
        })
    }

    /// Issuer and subject are the same name, byte for byte.
    pub fn is_self_issued(&self) -> bool {
        self.issuer_der == self.subject_der
    }

    /// Checks that `issuer` is named as the issuer and that its key verifies the signature. Says
    /// nothing about validity, constraints or trust.
    ///
    /// # Errors
    /// `Invalid` where the names differ, the algorithm is unsupported or the signature is wrong.
    pub fn verify_signed_by(&self, issuer: &Self) -> Result<()> {
        if self.issuer_der != issuer.subject_der && !self.issuer.matches(&issuer.subject) {
            return Err(Error::invalid(format!(
                "The certificate '{}' was issued by '{}', not by '{}'.",
                self.subject, self.issuer, issuer.subject
            )));
        }
        let signed = split_signed(&self.der).map_err(encode::internal)?;
        let key = issuer.public_key()?;
        algorithm::verify(key.kind(), key.bits(), &signed.algorithm, signed.content, signed.signature).map_err(|_| {
            Error::invalid(format!(
                "The signature of the certificate '{}' does not verify with the key of '{}'.",
                self.subject, issuer.subject
            ))
        })
    }
}

impl<'a> Tbs<'a> {
    pub(crate) fn parse(content: &'a [u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(content)?;
        let tbs = reader.sequence(|inner| {
            // Counted from 0, and left out for the first.
            let version = inner.context_specific::<u8>(TagNumber(0), TagMode::Explicit)?.unwrap_or(0);
            let serial = IntRef::decode(inner)?;
            let _algorithm = AlgorithmIdentifierRef::decode(inner)?;
            let issuer = inner.tlv_bytes()?;
            let (not_before, not_after) =
                inner.sequence(|validity| Ok::<_, der::Error>((Time::decode(validity)?, Time::decode(validity)?)))?;
            let subject = inner.tlv_bytes()?;
            let public_key_info = inner.tlv_bytes()?;
            let _issuer_id = inner.context_specific::<der::asn1::BitStringRef<'_>>(TagNumber(1), TagMode::Implicit)?;
            let _subject_id = inner.context_specific::<der::asn1::BitStringRef<'_>>(TagNumber(2), TagMode::Implicit)?;
            let extensions = inner.context_specific::<Vec<Extension>>(TagNumber(3), TagMode::Explicit)?;
            Ok::<_, der::Error>(Self {
                version: version.saturating_add(1),
                serial: serial_bytes(serial.as_bytes()),
                issuer,
                not_before,
                not_after,
                subject,
                public_key_info,
                extensions: extensions.unwrap_or_default(),
            })
        })?;
        reader.finish()?;
        Ok(tbs)
    }
}

fn serial_bytes(bytes: &[u8]) -> &[u8] {
    match bytes {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    }
}

impl Extensions {
    fn read(extensions: &[Extension]) -> der::Result<Self> {
        let mut facts = Self::default();
        let mut seen: Vec<ObjectIdentifier> = Vec::with_capacity(extensions.len());
        for extension in extensions {
            if seen.contains(&extension.extn_id) {
                return Err(der::ErrorKind::Failed.into());
            }
            seen.push(extension.extn_id);
            let value = extension.extn_value.as_bytes();
            match extension.extn_id {
                oid::BASIC_CONSTRAINTS => {
                    let constraints = BasicConstraints::from_der(value)?;
                    facts.is_ca = constraints.ca;
                    facts.path_length = constraints.path_len_constraint;
                }
                oid::KEY_USAGE => facts.key_usage = Some(KeyUsage::from_der(value)?),
                oid::SUBJECT_KEY_ID => {
                    facts.subject_key_id = Some(SubjectKeyIdentifier::from_der(value)?.0.as_bytes().to_vec());
                }
                oid::EXTENDED_KEY_USAGE => facts.purposes = Some(ExtendedKeyUsage::from_der(value)?.0),
                oid::AUTHORITY_KEY_ID => {
                    // A hint for finding the issuer, and no more.
                    let id = AuthorityKeyIdentifier::from_der(value).ok().and_then(|id| id.key_identifier);
                    facts.authority_key_id = id.map(|id| id.as_bytes().to_vec());
                }
                oid::SUBJECT_ALT_NAME => facts.read_names(&SubjectAltName::from_der(value)?),
                _ => {}
            }
        }
        Ok(facts)
    }

    fn read_names(&mut self, names: &SubjectAltName) {
        for name in &names.0 {
            match name {
                GeneralName::UniformResourceIdentifier(uri) => self.uris.push(uri.as_str().to_owned()),
                GeneralName::DnsName(dns) => self.dns_names.push(dns.as_str().to_owned()),
                GeneralName::IpAddress(octets) => self.ip_addresses.extend(ip_address(octets.as_bytes())),
                _ => {}
            }
        }
    }
}

fn refuse_other_blocks(pem: &str) -> Result<()> {
    for (_, rest) in pem.match_indices("-----BEGIN").map(|(at, mark)| pem.split_at(at + mark.len())) {
        let label = rest.split("-----").next().unwrap_or_default().trim();
        if label == "CERTIFICATE" {
            continue;
        }
        if label.contains("PRIVATE KEY") {
            return Err(Error::invalid(
                "The PEM text holds a private key, which does not belong here and was not kept. Send the certificate alone, and think of the key as seen by others.",
            ));
        }
        let shown: String = label.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(40).collect();
        return Err(Error::invalid(format!("The PEM text holds a block '{shown}'; only certificates are expected.")));
    }
    Ok(())
}

fn ip_address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(octets) {
        return Some(IpAddr::from(v4));
    }
    <[u8; 16]>::try_from(octets).ok().map(IpAddr::from)
}

/// PEM with lines of 64 characters (RFC 7468).
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}
