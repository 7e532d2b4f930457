//! Verifying the chain that a TLS client presented.
//!
//! Any CA certificate may be an anchor, an issuing CA too: synchronize puts the issuing CA on the
//! hub, and devices send one, two or three certificates. What is presented is cut down to one line of names that leads to an
//! anchor before any signature is looked at, so that a chain costs what its length says, however it is knotted.

use crate::ca_fault::CaFault;
use crate::certificate::{Certificate, Tbs};
use crate::encode::split_signed;
use crate::public_key::{KeyProblem, PublicKey};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits;
use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use std::cell::RefCell;
use std::time::Duration;
use uuid::Uuid;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, VerifiedPath, anchor_from_trusted_cert};

pub use crate::certificate::thumbprints;

/// IoT numeric code of an unreadable or oversized client certificate (401002: "Invalid certificate.").
pub const CODE_BAD_CERTIFICATE: u32 = 401_002;
/// IoT numeric code of a client certificate that is not trusted (401003 IotHubUnauthorized).
pub const CODE_UNTRUSTED: u32 = 401_003;

/// What a verified leaf says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedLeaf {
    /// First common name of the subject.
    pub common_name: Option<String>,
    /// Credential id of a certificate issued by Ferrohub.
    pub credential_id: Option<Uuid>,
    /// SHA-1 thumbprint, upper-case hex.
    pub sha1: String,
    /// SHA-256 thumbprint, upper-case hex.
    pub sha256: String,
    /// Serial number, upper-case hex.
    pub serial_hex: String,
    /// When the first certificate of the verified path ends, the leaf's own or one above it, the anchor included.
    pub valid_until: Timestamp,
    /// Which of the given anchors the chain ends in.
    pub anchor_index: usize,
    /// SHA-256 thumbprint of that anchor, upper-case hex.
    pub anchor_sha256: String,
}

/// A CA certificate in which chains may end, with what is wrong with it for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    certificate: Certificate,
    fault: Option<CaFault>,
}

impl Anchor {
    /// Looks at everything but the time, once. One that is worthless is kept, to say so when a chain ends in it.
    pub fn new(certificate: Certificate) -> Self {
        let fault = certificate.lasting_ca_fault();
        Self { certificate, fault }
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    fn fault(&self, now: Timestamp) -> Option<CaFault> {
        self.fault.clone().or_else(|| self.certificate.time_fault(now))
    }
}

/// Verifies `presented` (leaf first) for client authentication against `anchors` (roots or issuing CAs) at `now`. Every CA of the
/// path is held to what it says of itself: validity, basic constraints, key usage, extended key usage, path length.
///
/// # Errors
/// `Unauthenticated`: code 401002 where the chain is empty, too long, malformed or has a key that is
/// refused; 401003 where it is expired, not yet valid, from an unknown issuer or not for client authentication, or a CA above it is.
pub fn verify_client_chain(presented: &[impl AsRef<[u8]>], anchors: &[Anchor], now: Timestamp) -> Result<VerifiedLeaf> {
    verify_client_chain_with(ALL_VERIFICATION_ALGS, presented, anchors, now)
}

/// The same with the signature algorithms given, whoever wants to know how many signatures are looked at.
///
/// # Errors
/// Those of [`verify_client_chain`].
pub fn verify_client_chain_with(
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    presented: &[impl AsRef<[u8]>],
    anchors: &[Anchor],
    now: Timestamp,
) -> Result<VerifiedLeaf> {
    check_sizes(presented)?;
    let chain = presented
        .iter()
        .map(|der| Certificate::from_der(der.as_ref()).map_err(|error| malformed(error.context.unwrap_or_default())))
        .collect::<Result<Vec<_>>>()?;
    let (leaf, others) = chain.split_first().ok_or_else(no_certificate)?;
    let line = Line::of(leaf, others, anchors.get(..limits::CHAIN_ANCHORS).unwrap_or(anchors), now);
    let leaf_der = CertificateDer::from(leaf.der());
    let ders: Vec<CertificateDer<'_>> = line.above.iter().map(|above| CertificateDer::from(above.der())).collect();
    let anchor_ders: Vec<CertificateDer<'_>> =
        line.anchors.iter().map(|(_, anchor)| CertificateDer::from(anchor.certificate.der())).collect();
    let trust = anchor_ders.iter().map(anchor_from_trusted_cert).collect::<Result<Vec<TrustAnchor<'_>>, _>>();
    let trust = trust.map_err(|error| Error::internal(format!("an anchor that parsed is refused: {error:?}")))?;
    let end_entity = EndEntityCert::try_from(&leaf_der).map_err(|error| line.explain(&error, leaf, None))?;
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let place = |path: &VerifiedPath<'_>| trust.iter().position(|anchor| std::ptr::eq(anchor, path.anchor()));
    let fault = RefCell::new(None);
    let check = |path: &VerifiedPath<'_>| {
        let anchor = place(path).and_then(|at| line.anchors.get(at)).map(|(_, anchor)| *anchor);
        let length = path.intermediate_certificates().count();
        let found = line.fault_of(length, anchor);
        found.map_or(Ok(()), |found| {
            fault.replace(Some(found));
            Err(webpki::Error::UnknownIssuer)
        })
    };
    let path = end_entity
        .verify_for_usage(algorithms, &trust, &ders, time, KeyUsage::client_auth(), None, Some(&check))
        .map_err(|error| line.explain(&error, leaf, fault.take()))?;
    let (index, anchor) = place(&path)
        .and_then(|at| line.anchors.get(at))
        .ok_or_else(|| Error::internal("the verified path ends in no anchor"))?;
    let used = line.above.get(..path.intermediate_certificates().count()).unwrap_or_default();
    let ends = used.iter().map(|above| above.not_after()).chain([anchor.certificate.not_after()]);
    Ok(VerifiedLeaf {
        common_name: leaf.common_name().map(str::to_owned),
        credential_id: leaf.credential_id(),
        sha1: leaf.sha1().to_owned(),
        sha256: leaf.sha256().to_owned(),
        serial_hex: leaf.serial_hex().to_owned(),
        valid_until: ends.fold(leaf.not_after(), Timestamp::min),
        anchor_index: *index,
        anchor_sha256: anchor.certificate.sha256().to_owned(),
    })
}

/// A CA that cannot be used, by its name.
type Unusable = (String, CaFault);

/// What of a chain, and of the anchors, can matter: one line of names.
struct Line<'a> {
    /// Those above the leaf, each the issuer of the one before, each name once.
    above: Vec<&'a Certificate>,
    /// The usable anchors to which a certificate of the line leads by its issuer's name, with their places.
    anchors: Vec<(usize, &'a Anchor)>,
    /// An anchor to which the line leads and which cannot be used.
    unusable: Option<Unusable>,
}

impl<'a> Line<'a> {
    /// Follows the names from the leaf upwards. Certificates that name themselves as their issuer lead nowhere: one that is
    /// trusted is an anchor.
    fn of(leaf: &'a Certificate, others: &'a [Certificate], anchors: &'a [Anchor], now: Timestamp) -> Self {
        let mut above: Vec<&Certificate> = Vec::new();
        let mut current = leaf;
        let mut line = Self { above: Vec::new(), anchors: Vec::new(), unusable: None };
        loop {
            let mut candidates: Vec<(usize, &Anchor)> = Vec::new();
            for (index, anchor) in anchors.iter().enumerate() {
                if anchor.certificate.subject_der() != current.issuer_der() {
                    continue;
                }
                match anchor.fault(now) {
                    None => candidates.push((index, anchor)),
                    Some(fault) => line.unusable = Some((anchor.certificate.subject().to_string(), fault)),
                }
                // What stands above the highest anchor that was met is of no use.
                line.above.clone_from(&above);
            }
            line.anchors.extend(likely(current, candidates));
            let fits = |other: &&Certificate| {
                other.subject_der() == current.issuer_der()
                    && !other.is_self_issued()
                    && above.iter().all(|used| used.subject_der() != other.subject_der())
            };
            let named = |other: &&Certificate| {
                current.authority_key_id().is_none_or(|id| other.subject_key_id().is_none_or(|own| own == id))
            };
            let next = others.iter().filter(fits).find(named).or_else(|| others.iter().find(fits));
            let Some(next) = next else { return line };
            above.push(next);
            current = next;
        }
    }

    /// What is wrong with the CAs of a path of the first `length` above the leaf, beside what the verifier itself looks at.
    fn fault_of(&self, length: usize, anchor: Option<&Anchor>) -> Option<Unusable> {
        let used = self.above.get(..length).unwrap_or_default();
        let own = used.iter().find_map(|ca| Some((ca.subject().to_string(), ca.ca_facts_fault()?)));
        let longest = anchor.and_then(|anchor| anchor.certificate.path_length());
        own.or_else(|| {
            let longest = longest.filter(|longest| usize::from(*longest) < length)?;
            Some((anchor?.certificate.subject().to_string(), CaFault::PathLength(longest)))
        })
    }

    fn explain(&self, error: &webpki::Error, leaf: &Certificate, fault: Option<Unusable>) -> Error {
        let unknown = matches!(error, webpki::Error::UnknownIssuer);
        match fault.or_else(|| self.unusable.clone()).filter(|_| unknown) {
            Some((name, fault)) => refused(
                CODE_UNTRUSTED,
                format!(
                    "The certificate authority '{name}' above the client certificate '{}' {fault}; it needs one that is good.",
                    leaf.subject()
                ),
            ),
            None => explain(error, leaf),
        }
    }
}

/// Of anchors that have the name of the issuer of `current`, those with the key that it names, if there are such; few in any case.
fn likely<'a>(current: &Certificate, mut candidates: Vec<(usize, &'a Anchor)>) -> Vec<(usize, &'a Anchor)> {
    let id = current.authority_key_id();
    let named = |candidate: &(usize, &Anchor)| id.is_some() && candidate.1.certificate.subject_key_id() == id;
    if candidates.iter().any(named) {
        candidates.retain(named);
    }
    candidates.truncate(limits::CHAIN_CANDIDATES);
    candidates
}

/// Everything that makes path building dear: length, bytes, RSA sizes.
fn check_sizes(presented: &[impl AsRef<[u8]>]) -> Result<()> {
    if presented.is_empty() {
        return Err(no_certificate());
    }
    if presented.len() > limits::CHAIN_LENGTH {
        return Err(refused(
            CODE_BAD_CERTIFICATE,
            format!(
                "The client presented {} certificates; at most {} are accepted.",
                presented.len(),
                limits::CHAIN_LENGTH
            ),
        ));
    }
    for der in presented {
        let der = der.as_ref();
        if der.len() > limits::CERTIFICATE_BYTES {
            return Err(refused(
                CODE_BAD_CERTIFICATE,
                format!(
                    "The client presented a certificate of {} bytes; at most {} are accepted.",
                    der.len(),
                    limits::CERTIFICATE_BYTES
                ),
            ));
        }
        let signed = split_signed(der).map_err(|error| malformed(error.to_string()))?;
        let tbs = Tbs::parse(signed.content).map_err(|error| malformed(error.to_string()))?;
        if let Err(problem) = PublicKey::from_spki(tbs.public_key_info) {
            return Err(bad_key(&problem));
        }
    }
    Ok(())
}

fn explain(error: &webpki::Error, leaf: &Certificate) -> Error {
    let name = leaf.subject();
    let (code, message) = match error {
        webpki::Error::CertExpired { .. } => (
            CODE_UNTRUSTED,
            format!(
                "The client certificate '{name}' or a certificate above it has expired (the client's own ends on {}); provision the device again.",
                leaf.not_after()
            ),
        ),
        webpki::Error::CertNotValidYet { .. } => (
            CODE_UNTRUSTED,
            format!("The client certificate '{name}' or a certificate above it is not valid yet; check the clocks."),
        ),
        webpki::Error::UnknownIssuer => (
            CODE_UNTRUSTED,
            format!(
                "The client certificate '{name}' has the unknown issuer '{}'. A hub must be given the CA certificate (synchronize the credential policy, or upload it), a provisioning service an enrollment that names it.",
                leaf.issuer()
            ),
        ),
        webpki::Error::RequiredEkuNotFoundContext(_) => (
            CODE_UNTRUSTED,
            format!(
                "The client certificate '{name}' is not for client authentication; its extended key usage lacks clientAuth."
            ),
        ),
        webpki::Error::UnsupportedCertVersion => (
            CODE_BAD_CERTIFICATE,
            format!(
                "The client certificate '{name}' or a certificate above it is of an older version of X.509; a chain needs version 3."
            ),
        ),
        webpki::Error::EndEntityUsedAsCa => (
            CODE_UNTRUSTED,
            format!("What signed the client certificate '{name}' is no certificate authority (CA:TRUE)."),
        ),
        webpki::Error::NameConstraintViolation => {
            (CODE_UNTRUSTED, format!("The name constraints above the client certificate '{name}' forbid a name in it."))
        }
        webpki::Error::UnsupportedSignatureAlgorithmContext(_)
        | webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => (
            CODE_BAD_CERTIFICATE,
            format!("The client certificate '{name}' or one above it is signed by SHA-1 or the like."),
        ),
        webpki::Error::CaUsedAsEndEntity => (
            CODE_UNTRUSTED,
            format!("The client certificate '{name}' is a CA certificate; present a device certificate."),
        ),
        webpki::Error::InvalidSignatureForPublicKey => (
            CODE_UNTRUSTED,
            format!(
                "The signature of the client certificate '{name}' or of a certificate above it is wrong: it was changed, or the CA that signed it was revoked or replaced by another one of the same name; provision the device again."
            ),
        ),
        webpki::Error::PathLenConstraintViolated
        | webpki::Error::MaximumPathDepthExceeded
        | webpki::Error::MaximumPathBuildCallsExceeded
        | webpki::Error::MaximumSignatureChecksExceeded => {
            (CODE_UNTRUSTED, format!("The chain above the client certificate '{name}' is too long."))
        }
        _ => (
            CODE_BAD_CERTIFICATE,
            format!("The client certificate '{name}' or a certificate above it is not acceptable."),
        ),
    };
    refused(code, message).with_context(format!("webpki: {error:?}"))
}

fn no_certificate() -> Error {
    refused(CODE_BAD_CERTIFICATE, "The client presented no certificate.".to_owned())
}

fn malformed(context: String) -> Error {
    refused(CODE_BAD_CERTIFICATE, "The client presented a malformed certificate.".to_owned()).with_context(context)
}

fn bad_key(problem: &KeyProblem) -> Error {
    refused(CODE_BAD_CERTIFICATE, format!("The client presented a certificate whose key is not usable: {problem}."))
}

fn refused(code: u32, message: String) -> Error {
    Error::unauthenticated(message).with_iot_code(code)
}
