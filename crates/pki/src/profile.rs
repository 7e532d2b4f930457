//! Profiles decide every field of a certificate; nothing but the key comes from a request.

use crate::certificate::CREDENTIAL_URI_PREFIX;
use crate::encode;
use crate::name::SubjectName;
use crate::oid;
use const_oid::ObjectIdentifier;
use der::asn1::{Ia5String, OctetString};
use der::flagset::FlagSet;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use std::net::IpAddr;
use std::time::Duration;
use uuid::Uuid;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AccessDescription, AuthorityInfoAccessSyntax, BasicConstraints, CrlDistributionPoints, ExtendedKeyUsage, KeyUsage,
    KeyUsages, NameConstraints, SubjectAltName, SubjectKeyIdentifier,
};

/// How far before now a certificate starts, for devices whose clocks are behind: ours.
pub const BACKDATE: Duration = Duration::from_secs(300);

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProfileKind {
    /// Root of a namespace's certificate management.
    Root,
    /// Issuing CA of a certificate policy.
    Issuing,
    /// A device's operational certificate.
    Leaf,
    /// Root of the platform's own TLS.
    PlatformRoot,
    /// The platform's TLS server certificate.
    Server,
}

/// How long a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Calendar years.
    Years(u32),
    /// Days of 86 400 seconds.
    Days(u32),
}

/// A subject alternative name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlternativeName {
    /// A URI.
    Uri(String),
    /// A DNS name, possibly with `*` as its first label.
    Dns(String),
    /// An IP address.
    Ip(IpAddr),
}

/// The fields of a device's certificate.
#[derive(Debug, Clone)]
pub struct LeafFields {
    /// Registration or device id, 1 to 128 characters.
    pub common_name: String,
    /// Validity, 1 to 3650 days (`limits::LEAF_VALIDITY_DAYS`).
    pub days: u32,
    /// The device's current credential id, written as the URI `urn:uuid:<uuid>`; revocation rotates it.
    pub credential_id: Uuid,
    /// Where the issuer's revocation list is served.
    pub crl_url: Option<String>,
    /// Where the issuer's certificate is served (AIA caIssuers).
    pub issuer_url: Option<String>,
}

/// The names of the platform's server certificate.
#[derive(Debug, Clone)]
pub struct ServerFields {
    /// DNS names; the first label may be `*`.
    pub dns_names: Vec<String>,
    /// IP addresses.
    pub ip_addresses: Vec<IpAddr>,
    /// Validity, 1 to [`limits::SERVER_CERTIFICATE_DAYS`] days.
    pub days: u32,
}

/// Every field of a certificate except key, serial, issuer and time of issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    pub(crate) kind: ProfileKind,
    pub(crate) subject: SubjectName,
    pub(crate) lifetime: Lifetime,
    pub(crate) names: Vec<AlternativeName>,
    pub(crate) crl_url: Option<String>,
    pub(crate) issuer_url: Option<String>,
    /// DNS names below which alone a CA may certify; everything where it is empty.
    pub(crate) permitted: Vec<String>,
}

impl Profile {
    /// A root CA: path length 1, keyCertSign, cRLSign and digitalSignature. `years` is
    /// [`limits::ROOT_YEARS_MIN`] to [`limits::CA_YEARS_MAX`], default [`limits::ROOT_YEARS_DEFAULT`].
    ///
    /// # Errors
    /// `InvalidPropertyValue` (target `validityYears`).
    pub fn root(subject: SubjectName, years: Option<u32>) -> Result<Self> {
        let years = checked_years(years, limits::ROOT_YEARS_DEFAULT, limits::ROOT_YEARS_MIN)?;
        Ok(Self::bare(ProfileKind::Root, subject, Lifetime::Years(years)))
    }

    /// An issuing CA: path length 0, no extended key usage. `years` is [`limits::ISSUING_YEARS_MIN`] to
    /// [`limits::CA_YEARS_MAX`], default [`limits::ISSUING_YEARS_DEFAULT`].
    ///
    /// # Errors
    /// `InvalidPropertyValue` (target `validityYears`).
    pub fn issuing(subject: SubjectName, years: Option<u32>) -> Result<Self> {
        let years = checked_years(years, limits::ISSUING_YEARS_DEFAULT, limits::ISSUING_YEARS_MIN)?;
        Ok(Self::bare(ProfileKind::Issuing, subject, Lifetime::Years(years)))
    }

    /// The root of the platform's own TLS: path length 0. `years` as for [`Profile::root`].
    ///
    /// # Errors
    /// `InvalidPropertyValue` (target `validityYears`).
    pub fn platform_root(subject: SubjectName, years: Option<u32>) -> Result<Self> {
        let years = checked_years(years, limits::ROOT_YEARS_DEFAULT, limits::ROOT_YEARS_MIN)?;
        Ok(Self::bare(ProfileKind::PlatformRoot, subject, Lifetime::Years(years)))
    }

    /// A root for TLS that can vouch for `permitted` and what is below these names only, and for no address: its name
    /// constraints are critical, so that a client which does not know them refuses it (RFC 5280, 4.2.1.10).
    ///
    /// # Errors
    /// `InvalidPropertyValue` where there is no name, one is malformed, or `days` is out of range.
    pub fn constrained_root(subject: SubjectName, days: u32, permitted: Vec<String>) -> Result<Self> {
        let days = checked_days(days, 1, limits::SERVER_CERTIFICATE_DAYS)?;
        if permitted.is_empty() || permitted.len() > limits::SERVER_CERTIFICATE_NAMES {
            return Err(Error::invalid_property(
                "permitted",
                format!("A constrained root is for 1 to {} names.", limits::SERVER_CERTIFICATE_NAMES),
            ));
        }
        let mut profile = Self::bare(ProfileKind::PlatformRoot, subject, Lifetime::Days(days));
        profile.permitted = permitted.into_iter().map(checked_subtree).collect::<Result<_>>()?;
        Ok(profile)
    }

    /// A device's certificate: CA:FALSE, digitalSignature, clientAuth, the credential id as URI.
    ///
    /// # Errors
    /// `InvalidPropertyValue` where a field is out of its range.
    pub fn leaf(fields: LeafFields) -> Result<Self> {
        let (least, most) = limits::LEAF_VALIDITY_DAYS;
        let days = checked_days(fields.days, least, most)?;
        let subject = SubjectName::from_common_name(&fields.common_name)?;
        let mut profile = Self::bare(ProfileKind::Leaf, subject, Lifetime::Days(days));
        profile.names.push(AlternativeName::Uri(format!("{CREDENTIAL_URI_PREFIX}{}", fields.credential_id)));
        profile.crl_url = fields.crl_url.map(checked_url).transpose()?;
        profile.issuer_url = fields.issuer_url.map(checked_url).transpose()?;
        Ok(profile)
    }

    /// The platform's TLS server certificate: serverAuth; the first DNS name is the common name.
    ///
    /// # Errors
    /// `InvalidPropertyValue` where there is no name, too many, or one is malformed.
    pub fn server(fields: ServerFields) -> Result<Self> {
        let days = checked_days(fields.days, 1, limits::SERVER_CERTIFICATE_DAYS)?;
        let count = fields.dns_names.len() + fields.ip_addresses.len();
        if count == 0 || count > limits::SERVER_CERTIFICATE_NAMES {
            return Err(Error::invalid_property(
                "dnsNames",
                format!(
                    "A server certificate needs 1 to {} names; {count} were given.",
                    limits::SERVER_CERTIFICATE_NAMES
                ),
            ));
        }
        let mut names = Vec::with_capacity(count);
        for name in fields.dns_names {
            names.push(AlternativeName::Dns(checked_dns(name)?));
        }
        names.extend(fields.ip_addresses.into_iter().map(AlternativeName::Ip));
        // RFC 5280 allows 64 characters in a common name, and verifiers of TLS servers look at the alternative names.
        let first = names.iter().find_map(|name| match name {
            AlternativeName::Dns(dns) if dns.len() <= 64 => Some(dns.as_str()),
            _ => None,
        });
        let subject = first.map_or_else(|| Ok(SubjectName::empty()), SubjectName::from_common_name)?;
        let mut profile = Self::bare(ProfileKind::Server, subject, Lifetime::Days(days));
        profile.names = names;
        Ok(profile)
    }

    /// The same profile with a CRL distribution point, an http or https URL.
    ///
    /// # Errors
    /// `InvalidPropertyValue` where it is no such URL.
    pub fn with_crl_url(mut self, url: String) -> Result<Self> {
        self.crl_url = Some(checked_url(url)?);
        Ok(self)
    }

    /// The same profile with an AIA caIssuers location, an http or https URL.
    ///
    /// # Errors
    /// `InvalidPropertyValue` where it is no such URL.
    pub fn with_issuer_url(mut self, url: String) -> Result<Self> {
        self.issuer_url = Some(checked_url(url)?);
        Ok(self)
    }

    /// What the certificate is for.
    pub fn kind(&self) -> ProfileKind {
        self.kind
    }

    /// The subject.
    pub fn subject(&self) -> &SubjectName {
        &self.subject
    }

    fn bare(kind: ProfileKind, subject: SubjectName, lifetime: Lifetime) -> Self {
        Self { kind, subject, lifetime, names: Vec::new(), crl_url: None, issuer_url: None, permitted: Vec::new() }
    }

    /// Start and end for an issue at `now`: backdated start, end counted from now, whole seconds.
    pub(crate) fn validity(&self, now: Timestamp) -> Result<(Timestamp, Timestamp)> {
        let far = |error: jiff::Error| Error::internal(format!("certificate validity: {error}"));
        let now = Timestamp::from_second(now.as_second()).map_err(far)?;
        let start = now.checked_sub(BACKDATE).map_err(far)?;
        let end = match self.lifetime {
            Lifetime::Days(days) => now.checked_add(Duration::from_secs(u64::from(days) * 86_400)).map_err(far)?,
            Lifetime::Years(years) => {
                let years = i64::from(years).years();
                now.to_zoned(TimeZone::UTC).checked_add(years).map_err(far)?.timestamp()
            }
        };
        Ok((start, end))
    }

    /// The extensions, in a fixed order. `key_bits` are those of the subject, `issuer_key_id` is
    /// absent on a self-signed certificate.
    pub(crate) fn extensions(&self, key_bits: &[u8], issuer_key_id: Option<&[u8]>) -> Result<Vec<Extension>> {
        let rules = Rules::of(self.kind);
        let constraints = BasicConstraints { ca: rules.is_ca, path_len_constraint: rules.path_length };
        let key_id = OctetString::new(encode::key_identifier(key_bits)).map_err(encode::internal)?;
        let mut list = vec![
            encode::extension(oid::BASIC_CONSTRAINTS, true, &constraints)?,
            encode::extension(oid::KEY_USAGE, true, &KeyUsage(rules.key_usage))?,
        ];
        if let Some(purpose) = rules.purpose {
            list.push(encode::extension(oid::EXTENDED_KEY_USAGE, false, &ExtendedKeyUsage(vec![purpose]))?);
        }
        list.push(encode::extension(oid::SUBJECT_KEY_ID, false, &SubjectKeyIdentifier(key_id))?);
        if let Some(issuer) = issuer_key_id {
            list.push(encode::authority_key_identifier(issuer)?);
        }
        if !self.permitted.is_empty() {
            list.push(encode::extension(oid::NAME_CONSTRAINTS, true, &name_constraints(&self.permitted)?)?);
        }
        if !self.names.is_empty() {
            let names = self.names.iter().map(general_name).collect::<Result<Vec<_>>>()?;
            // RFC 5280, 4.2.1.6: critical where the subject is empty.
            let critical = self.subject == SubjectName::empty();
            list.push(encode::extension(oid::SUBJECT_ALT_NAME, critical, &SubjectAltName(names))?);
        }
        if let Some(url) = &self.crl_url {
            let point = DistributionPoint {
                distribution_point: Some(DistributionPointName::FullName(vec![uri(url)?])),
                reasons: None,
                crl_issuer: None,
            };
            list.push(encode::extension(oid::CRL_DISTRIBUTION_POINTS, false, &CrlDistributionPoints(vec![point]))?);
        }
        if let Some(url) = &self.issuer_url {
            let access = AccessDescription { access_method: oid::CA_ISSUERS, access_location: uri(url)? };
            list.push(encode::extension(oid::AUTHORITY_INFO_ACCESS, false, &AuthorityInfoAccessSyntax(vec![access]))?);
        }
        Ok(list)
    }
}

/// What a kind of certificate may do.
struct Rules {
    is_ca: bool,
    path_length: Option<u8>,
    key_usage: FlagSet<KeyUsages>,
    purpose: Option<ObjectIdentifier>,
}

impl Rules {
    fn of(kind: ProfileKind) -> Self {
        let ca = KeyUsages::DigitalSignature | KeyUsages::KeyCertSign | KeyUsages::CRLSign;
        let end: FlagSet<KeyUsages> = KeyUsages::DigitalSignature.into();
        match kind {
            ProfileKind::Root => Self { is_ca: true, path_length: Some(1), key_usage: ca, purpose: None },
            ProfileKind::Issuing | ProfileKind::PlatformRoot => {
                Self { is_ca: true, path_length: Some(0), key_usage: ca, purpose: None }
            }
            ProfileKind::Leaf => {
                Self { is_ca: false, path_length: None, key_usage: end, purpose: Some(oid::CLIENT_AUTH) }
            }
            ProfileKind::Server => {
                Self { is_ca: false, path_length: None, key_usage: end, purpose: Some(oid::SERVER_AUTH) }
            }
        }
    }
}

/// The names below `permitted`, and no address.
fn name_constraints(permitted: &[String]) -> Result<NameConstraints> {
    let subtree = |base| GeneralSubtree { base, minimum: 0, maximum: None };
    let named = permitted.iter().map(|name| Ia5String::new(name).map(|name| subtree(GeneralName::DnsName(name))));
    let named = named.collect::<der::Result<Vec<_>>>().map_err(encode::internal)?;
    // Address and mask, all zero: every IPv4 and every IPv6 address.
    let addresses = [8, 32].map(|bytes| OctetString::new(vec![0; bytes]).map(GeneralName::IpAddress));
    let mut excluded = Vec::new();
    for address in addresses {
        excluded.push(subtree(address.map_err(encode::internal)?));
    }
    Ok(NameConstraints { permitted_subtrees: Some(named), excluded_subtrees: Some(excluded) })
}

fn general_name(name: &AlternativeName) -> Result<GeneralName> {
    match name {
        AlternativeName::Uri(text) => uri(text),
        AlternativeName::Dns(dns) => Ia5String::new(dns).map(GeneralName::DnsName).map_err(encode::internal),
        AlternativeName::Ip(ip) => Ok(GeneralName::from(*ip)),
    }
}

fn uri(text: &str) -> Result<GeneralName> {
    Ia5String::new(text).map(GeneralName::UniformResourceIdentifier).map_err(encode::internal)
}

fn checked_years(years: Option<u32>, default: u32, least: u32) -> Result<u32> {
    let years = years.unwrap_or(default);
    if !(least..=limits::CA_YEARS_MAX).contains(&years) {
        return Err(Error::invalid_property(
            "validityYears",
            format!(
                "A validity of {years} years is out of range for this certificate authority; give {least} to {} years.",
                limits::CA_YEARS_MAX
            ),
        ));
    }
    Ok(years)
}

fn checked_days(days: u32, least: u32, most: u32) -> Result<u32> {
    if !(least..=most).contains(&days) {
        return Err(Error::invalid_property(
            "validityPeriodInDays",
            format!("A validity of {days} days is out of range; give {least} to {most} days."),
        ));
    }
    Ok(days)
}

fn checked_url(url: String) -> Result<String> {
    let known = url.starts_with("http://") || url.starts_with("https://");
    if !known || url.len() > limits::CERTIFICATE_URL_CHARS || !url.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::invalid_property(
            "url",
            format!(
                "'{url}' is not an http or https URL of at most {} printable ASCII characters.",
                limits::CERTIFICATE_URL_CHARS
            ),
        ));
    }
    Ok(url)
}

/// A name for a constraint, which stands for itself and all below it: no wildcard.
fn checked_subtree(name: String) -> Result<String> {
    let name = checked_dns(name)?;
    if name.starts_with('*') {
        return Err(Error::invalid_property(
            "permitted",
            format!("'{name}': a constraint covers what is below it anyway."),
        ));
    }
    Ok(name)
}

fn checked_dns(name: String) -> Result<String> {
    let labels = name.strip_prefix("*.").unwrap_or(&name);
    let good = !labels.is_empty()
        && name.len() <= 253
        && labels.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        });
    if !good {
        return Err(Error::invalid_property(
            "dnsNames",
            format!(
                "'{name}' is not a DNS name; use letters, digits, '-' and '.', with '*' only as the whole first label."
            ),
        ));
    }
    Ok(name)
}
