//! The lint: reads a certificate with another parser than the builder's and checks every field
//! against tables of its own. A finding is a fault of ours, so it becomes an internal error.

use crate::algorithm::SignatureAlgorithm;
use crate::encode;
use crate::oid;
use crate::profile::{AlternativeName, BACKDATE, Lifetime, Profile, ProfileKind};
use const_oid::ObjectIdentifier;
use der::flagset::FlagSet;
use der::{Decode, Encode};
use ferrohub_model::error::{Error, Result};
use jiff::Timestamp;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, CrlDistributionPoints, ExtendedKeyUsage,
    KeyUsage, KeyUsages, NameConstraints, SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::time::Time;
use x509_cert::{Certificate, TbsCertificate, Version};

/// What the certificate must say.
pub(crate) struct Expected<'a> {
    pub(crate) profile: &'a Profile,
    pub(crate) subject: &'a [u8],
    pub(crate) issuer: &'a [u8],
    /// None where the certificate signs itself.
    pub(crate) issuer_key_id: Option<&'a [u8]>,
    pub(crate) bounds: Option<(Timestamp, Timestamp)>,
    pub(crate) public_key_info: &'a [u8],
    pub(crate) serial: &'a [u8],
    pub(crate) algorithm: SignatureAlgorithm,
    pub(crate) now: Timestamp,
}

/// A broken rule, by name.
type Finding = &'static str;

/// Lints a whole certificate (its signature is a throw-away one and is not looked at). Returns the
/// SHA-256 of the to-be-signed bytes that were linted.
pub(crate) fn lint(der: &[u8], expected: &Expected<'_>) -> Result<[u8; 32]> {
    let failed = |finding: &str| Error::internal(format!("certificate lint: {finding}"));
    let certificate = Certificate::from_der(der).map_err(|error| failed(&format!("does not parse: {error}")))?;
    let signed = encode::split_signed(der).map_err(encode::internal)?;
    let tbs = certificate.tbs_certificate();
    if tbs.signature() != certificate.signature_algorithm() {
        return Err(failed("inner and outer signature algorithm differ"));
    }
    let fields = check_fields(tbs, expected).and_then(|()| check_validity(tbs, expected));
    fields.map_err(failed)?;
    check_set(tbs, expected).and_then(|()| check_usage(tbs, expected)).map_err(failed)?;
    check_key_ids(tbs, expected).and_then(|()| check_names(tbs, expected)).map_err(failed)?;
    check_constraints(tbs, expected).and_then(|()| check_urls(tbs, expected)).map_err(failed)?;
    Ok(encode::sha256(signed.content))
}

fn check_fields(tbs: &TbsCertificate, expected: &Expected<'_>) -> Result<(), Finding> {
    let same = |value: der::Result<Vec<u8>>, want: &[u8]| value.is_ok_and(|der| der == want);
    if tbs.version() != Version::V3 || tbs.issuer_unique_id().is_some() || tbs.subject_unique_id().is_some() {
        return Err("not a plain version 3 certificate");
    }
    let serial = tbs.serial_number().as_bytes();
    if serial != expected.serial || serial.first().is_none_or(|first| *first >= 0x80) || serial.len() > 20 {
        return Err("the serial number is not the reserved positive one");
    }
    if *tbs.signature() != expected.algorithm.identifier() {
        return Err("the signature algorithm is not the issuer's");
    }
    if !same(tbs.issuer().to_der(), expected.issuer) {
        return Err("the issuer is not the issuing CA's subject");
    }
    if !same(tbs.subject().to_der(), expected.subject) {
        return Err("the subject is not the profile's");
    }
    if tbs.subject().is_empty() && expected.profile.kind != ProfileKind::Server {
        return Err("the subject is empty");
    }
    if !same(tbs.subject_public_key_info().to_der(), expected.public_key_info) {
        return Err("the public key is not byte for byte the requested one");
    }
    Ok(())
}

fn check_validity(tbs: &TbsCertificate, expected: &Expected<'_>) -> Result<(), Finding> {
    let validity = tbs.validity();
    for time in [&validity.not_before, &validity.not_after] {
        let utc = matches!(time, Time::UtcTime(_));
        if utc != (time.to_date_time().year() < 2050) {
            return Err("a time is not UTCTime before 2050 and GeneralizedTime from then on");
        }
    }
    let moment = |time: &Time| encode::timestamp(time).map_err(|_| "a time is out of range");
    let (start, end) = (moment(&validity.not_before)?, moment(&validity.not_after)?);
    let backdate = i64::try_from(BACKDATE.as_secs()).unwrap_or(i64::MAX);
    let now = expected.now.as_second();
    if start.as_second() > now || now - start.as_second() > backdate || end <= start || end.as_second() <= now {
        return Err("the validity does not enclose now, or is backdated too far");
    }
    if expected.bounds.is_some_and(|(from, to)| start < from || end > to) {
        return Err("the certificate would outlive its issuer");
    }
    // A year has at most 366 days; a cut by the issuer only shortens.
    let most_days = match expected.profile.lifetime {
        Lifetime::Days(days) => i64::from(days),
        Lifetime::Years(years) => i64::from(years) * 366,
    };
    if end.as_second() - now > most_days * 86_400 {
        return Err("the validity is longer than the profile's");
    }
    if expected.profile.kind == ProfileKind::Leaf && most_days > 3650 {
        return Err("a leaf is valid for more than 3650 days");
    }
    Ok(())
}

/// Each extension at most once, none that is not expected, with the right criticality.
fn check_set(tbs: &TbsCertificate, expected: &Expected<'_>) -> Result<(), Finding> {
    let profile = expected.profile;
    let end_entity = matches!(profile.kind, ProfileKind::Leaf | ProfileKind::Server);
    let wanted: [(ObjectIdentifier, bool, bool); 9] = [
        (oid::BASIC_CONSTRAINTS, true, true),
        (oid::KEY_USAGE, true, true),
        (oid::EXTENDED_KEY_USAGE, end_entity, false),
        (oid::SUBJECT_KEY_ID, true, false),
        (oid::AUTHORITY_KEY_ID, expected.issuer_key_id.is_some(), false),
        (oid::SUBJECT_ALT_NAME, end_entity, tbs.subject().is_empty()),
        (oid::NAME_CONSTRAINTS, !profile.permitted.is_empty(), true),
        (oid::CRL_DISTRIBUTION_POINTS, profile.crl_url.is_some(), false),
        (oid::AUTHORITY_INFO_ACCESS, profile.issuer_url.is_some(), false),
    ];
    let found = tbs.extensions().map_or(&[][..], Vec::as_slice);
    for (id, present, critical) in wanted {
        let mut of_id = found.iter().filter(|extension| extension.extn_id == id);
        match (of_id.next(), of_id.next(), present) {
            (Some(extension), None, true) if extension.critical == critical => {}
            (None, None, false) => {}
            _ => {
                return Err("an extension is missing, doubled, unexpected or of the wrong criticality");
            }
        }
    }
    let known = |id: &ObjectIdentifier| wanted.iter().any(|(want, ..)| want == id);
    if !found.iter().all(|extension| known(&extension.extn_id)) {
        return Err("an extension is not in the profile");
    }
    Ok(())
}

fn get<'a, T>(tbs: &'a TbsCertificate) -> Result<Option<T>, Finding>
where
    T: Decode<'a, Error = der::Error> + const_oid::AssociatedOid,
{
    let found = tbs.get_extension::<T>().map_err(|_| "an extension does not parse")?;
    Ok(found.map(|(_, value)| value))
}

fn check_usage(tbs: &TbsCertificate, expected: &Expected<'_>) -> Result<(), Finding> {
    let ca: FlagSet<KeyUsages> = KeyUsages::DigitalSignature | KeyUsages::KeyCertSign | KeyUsages::CRLSign;
    let end: FlagSet<KeyUsages> = KeyUsages::DigitalSignature.into();
    let (is_ca, path_length, usage, purpose) = match expected.profile.kind {
        ProfileKind::Root => (true, Some(1), ca, None),
        ProfileKind::Issuing | ProfileKind::PlatformRoot => (true, Some(0), ca, None),
        ProfileKind::Leaf => (false, None, end, Some(oid::CLIENT_AUTH)),
        ProfileKind::Server => (false, None, end, Some(oid::SERVER_AUTH)),
    };
    let constraints = get::<BasicConstraints>(tbs)?;
    if constraints != Some(BasicConstraints { ca: is_ca, path_len_constraint: path_length }) {
        return Err("the basic constraints are not the profile's");
    }
    if get::<KeyUsage>(tbs)?.map(|found| found.0) != Some(usage) {
        return Err("the key usage is not the profile's");
    }
    if get::<ExtendedKeyUsage>(tbs)?.map(|found| found.0) != purpose.map(|id| vec![id]) {
        return Err("the extended key usage is not the profile's");
    }
    Ok(())
}

fn check_key_ids(tbs: &TbsCertificate, expected: &Expected<'_>) -> Result<(), Finding> {
    let bits = tbs.subject_public_key_info().subject_public_key.raw_bytes();
    let own = get::<SubjectKeyIdentifier>(tbs)?;
    if own.is_none_or(|found| found.0.as_bytes() != encode::sha1(bits)) {
        return Err("the subject key identifier is not that of the key");
    }
    let issuer = get::<AuthorityKeyIdentifier>(tbs)?;
    let found = issuer.as_ref().and_then(|value| value.key_identifier.as_ref()).map(der::asn1::OctetString::as_bytes);
    if found != expected.issuer_key_id {
        return Err("the authority key identifier is not the issuer's");
    }
    Ok(())
}

fn check_names(tbs: &TbsCertificate, expected: &Expected<'_>) -> Result<(), Finding> {
    let found = get::<SubjectAltName>(tbs)?.map(|names| names.0).unwrap_or_default();
    let wanted = &expected.profile.names;
    let equal = found.len() == wanted.len()
        && found.iter().zip(wanted).all(|(name, want)| match (name, want) {
            (GeneralName::UniformResourceIdentifier(uri), AlternativeName::Uri(text)) => uri.as_str() == text,
            (GeneralName::DnsName(dns), AlternativeName::Dns(text)) => dns.as_str() == text,
            (GeneralName::IpAddress(octets), AlternativeName::Ip(ip)) => match ip {
                std::net::IpAddr::V4(v4) => octets.as_bytes() == v4.octets(),
                std::net::IpAddr::V6(v6) => octets.as_bytes() == v6.octets(),
            },
            _ => false,
        });
    let one_id = |name: &GeneralName| matches!(name, GeneralName::UniformResourceIdentifier(uri) if uri.as_str().starts_with("urn:uuid:"));
    if !equal {
        return Err("the alternative names are not the profile's");
    }
    if expected.profile.kind == ProfileKind::Leaf && !(found.len() == 1 && found.iter().all(one_id)) {
        return Err("a leaf does not carry exactly its credential id");
    }
    Ok(())
}

/// What a root is constrained to: its names, and no address at all.
fn check_constraints(tbs: &TbsCertificate, expected: &Expected<'_>) -> Result<(), Finding> {
    let Some(found) = get::<NameConstraints>(tbs)? else { return Ok(()) };
    let permitted = found.permitted_subtrees.unwrap_or_default();
    let wanted = &expected.profile.permitted;
    let named = permitted.len() == wanted.len()
        && permitted
            .iter()
            .zip(wanted)
            .all(|(subtree, want)| matches!(&subtree.base, GeneralName::DnsName(name) if name.as_str() == want));
    let excluded = found.excluded_subtrees.unwrap_or_default();
    let all_of = |bytes: usize| {
        excluded.iter().any(
            |subtree| matches!(&subtree.base, GeneralName::IpAddress(octets) if octets.as_bytes() == vec![0; bytes]),
        )
    };
    if named && excluded.len() == 2 && all_of(8) && all_of(32) {
        Ok(())
    } else {
        Err("the name constraints are not the profile's")
    }
}

fn check_urls(tbs: &TbsCertificate, expected: &Expected<'_>) -> Result<(), Finding> {
    let is = |name: &GeneralName, url: &str| matches!(name, GeneralName::UniformResourceIdentifier(uri) if uri.as_str() == url);
    if let (Some(points), Some(url)) = (get::<CrlDistributionPoints>(tbs)?, &expected.profile.crl_url) {
        let good = match points.0.as_slice() {
            [point] => match &point.distribution_point {
                Some(DistributionPointName::FullName(names)) => {
                    names.len() == 1 && names.iter().all(|name| is(name, url))
                }
                _ => false,
            },
            _ => false,
        };
        if !good {
            return Err("the CRL distribution point is not the profile's");
        }
    }
    if let (Some(access), Some(url)) = (get::<AuthorityInfoAccessSyntax>(tbs)?, &expected.profile.issuer_url) {
        let good = matches!(access.0.as_slice(), [one] if one.access_method == oid::CA_ISSUERS && is(&one.access_location, url));
        if !good {
            return Err("the issuer's location is not the profile's");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::KeyKind;
    use crate::issue::{Serial, Signing};
    use crate::name::SubjectName;
    use crate::signer::{Signer, SoftwareSigner};
    use futures_util::FutureExt;
    use std::sync::Arc;

    /// A self-signed root and what it was made from.
    struct Root {
        profile: Profile,
        name: Vec<u8>,
        key: Vec<u8>,
        serial: Serial,
        now: Timestamp,
        der: Vec<u8>,
    }

    impl Root {
        fn new() -> Self {
            let now = Timestamp::from_second(1_800_000_000).unwrap();
            let subject = SubjectName::parse("CN=Lint Root").unwrap();
            let signer = SoftwareSigner::generate(KeyKind::P384).unwrap();
            let key = signer.public_key_info_der().to_vec();
            let signing = Signing::for_root(Arc::new(signer), &subject).now_or_never().unwrap().unwrap();
            let profile = Profile::root(subject.clone(), None).unwrap();
            let serial = Serial::from_random([7; 16]);
            let root = signing.prepare(&profile, &key, serial, now).unwrap().issue().now_or_never().unwrap().unwrap();
            let name = subject.to_der().unwrap();
            Self { profile, name, key, serial, now, der: root.der().to_vec() }
        }

        fn expected(&self) -> Expected<'_> {
            Expected {
                profile: &self.profile,
                subject: &self.name,
                issuer: &self.name,
                issuer_key_id: None,
                bounds: None,
                public_key_info: &self.key,
                serial: self.serial.as_bytes(),
                algorithm: SignatureAlgorithm::EcdsaP384Sha384,
                now: self.now,
            }
        }
    }

    /// One right certificate; every expectation changed in turn must be noticed.
    #[test]
    fn each_wrong_expectation_is_a_finding() {
        let root = Root::new();
        lint(&root.der, &root.expected()).unwrap();
        let later = |seconds| Timestamp::from_second(root.now.as_second() + seconds).unwrap();
        let named = |text: &str| SubjectName::parse(text).unwrap();
        let other = named("CN=Other").to_der().unwrap();
        let issuing = Profile::issuing(named("CN=Lint Root"), None).unwrap();
        let shorter = Profile::root(named("CN=Lint Root"), Some(30)).unwrap();
        let mut with_url = root.profile.clone();
        with_url.crl_url = Some("http://pki.test/a.crl".to_owned());
        let key = SoftwareSigner::generate(KeyKind::P384).unwrap();
        let good = || root.expected();
        let wrong = [
            Expected { profile: &issuing, ..good() },
            Expected { profile: &shorter, ..good() },
            Expected { profile: &with_url, ..good() },
            Expected { subject: &other, ..good() },
            Expected { issuer: &other, ..good() },
            Expected { issuer_key_id: Some(&[1; 20]), ..good() },
            Expected { bounds: Some((root.now, later(60))), ..good() },
            Expected { public_key_info: key.public_key_info_der(), ..good() },
            Expected { serial: &[8; 16], ..good() },
            Expected { algorithm: SignatureAlgorithm::EcdsaP256Sha256, ..good() },
            Expected { now: later(1_000), ..good() },
            Expected { now: later(-1_000), ..good() },
        ];
        for (index, case) in wrong.iter().enumerate() {
            let error = lint(&root.der, case).unwrap_err();
            assert!(error.context.unwrap().starts_with("certificate lint:"), "case {index}");
        }
    }
}
