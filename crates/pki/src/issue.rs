//! Issuing, in the order of letsencrypt/boulder: build, lint under a throw-away signature; only then sign.
//!
//! [`Issuer::prepare`] yields a [`Prepared`], which [`Prepared::issue`] consumes: a certificate that
//! was not linted cannot be signed, and one that was linted is signed at most once.

use crate::algorithm::{KeyKind, SignatureAlgorithm};
use crate::certificate::Certificate;
use crate::encode;
use crate::lint::{self, Expected};
use crate::name::SubjectName;
use crate::profile::Profile;
use crate::public_key::PublicKey;
use crate::signer::{Signer, SoftwareSigner};
use aws_lc_rs::signature::ParsedPublicKey;
use der::Encode;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::CA_RSA_MIN_BITS;
use ferrohub_model::random::Random;
use jiff::Timestamp;
use std::fmt;
use std::sync::Arc;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::Validity;

/// What a signer signs when it is taken into use; no certificate begins like it.
const TRIAL_MESSAGE: &[u8] = b"ferrohub: trial of a signer";
/// What the throw-away key signs: no certificate.
const THROW_AWAY_MESSAGE: &[u8] = b"ferrohub lint: not a certificate";

/// A serial number: 16 random bytes with the sign bit cleared and the next one set, so that it is
/// positive, never zero and always 32 hex digits (126 random bits; RFC 5280 allows 20 bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Serial([u8; 16]);

impl Serial {
    /// A new serial number.
    pub fn random(random: &dyn Random) -> Self {
        let mut bytes = [0; 16];
        random.fill(&mut bytes);
        Self::from_random(bytes)
    }

    /// A new serial number of `block`. Its second half is random: whoever makes two of one block sees to it that they differ.
    pub fn in_block(block: SerialBlock, random: &dyn Random) -> Self {
        let mut bytes = [0; 16];
        let (first, second) = bytes.split_at_mut(SERIAL_BLOCK_BYTES);
        first.copy_from_slice(&block.0);
        random.fill(second);
        Self(bytes)
    }

    /// The serial number of 16 random bytes; the two highest bits are set to 01.
    pub fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[0] = (bytes[0] & 0x7F) | 0x40;
        Self(bytes)
    }

    /// Upper-case hex, 32 digits: what [`Certificate::serial_hex`] will show.
    pub fn to_hex(self) -> String {
        hex::encode_upper(self.0)
    }

    /// The bytes, big-endian.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Bytes of a serial number that tell its block. The other half stays random in each number, as the CA/Browser Forum's
/// Baseline Requirements ask (7.1: at least 64 bits, not in sequence).
const SERIAL_BLOCK_BYTES: usize = 8;

/// What the serial numbers of one block begin with: 62 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SerialBlock([u8; SERIAL_BLOCK_BYTES]);

impl SerialBlock {
    /// A new block.
    pub fn random(random: &dyn Random) -> Self {
        let mut bytes = [0; SERIAL_BLOCK_BYTES];
        random.fill(&mut bytes);
        bytes[0] = (bytes[0] & 0x7F) | 0x40;
        Self(bytes)
    }

    /// Lower-case hex, 16 digits.
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

/// A certificate authority that can sign: its certificate and its key.
pub struct Issuer {
    certificate: Certificate,
    signing: Signing,
}

/// The signing half, which a root that does not exist yet has too.
pub(crate) struct Signing {
    signer: Arc<dyn Signer>,
    /// A signature by a throw-away key that stands in while a certificate is linted. It is well-formed
    /// and verifies nothing; made once, because the lint does not look at it and 4 000 a second do count.
    throw_away_signature: Vec<u8>,
    verifier: ParsedPublicKey,
    algorithm: SignatureAlgorithm,
    algorithm_der: Vec<u8>,
    name_der: Vec<u8>,
    /// None on a root that signs itself: its own key identifier is in the SKI.
    key_id: Option<Vec<u8>>,
    /// The issuer's own validity.
    bounds: Option<(Timestamp, Timestamp)>,
}

/// A linted certificate that waits for its one real signature.
#[must_use = "a prepared certificate is not signed until issue() is called"]
pub struct Prepared<'a> {
    signing: &'a Signing,
    content: Vec<u8>,
    linted: [u8; 32],
    was_cut: bool,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// A certificate that was signed this moment, and what is asked of it first. Nothing is read out of its bytes again: the lint did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCertificate {
    der: Vec<u8>,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl SignedCertificate {
    /// Its bytes.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its bytes, without a copy.
    pub fn into_der(self) -> Vec<u8> {
        self.der
    }

    /// Start of the validity, a whole second.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// End of the validity, a whole second.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// SHA-256 thumbprint, 64 upper-case hex digits.
    pub fn sha256(&self) -> String {
        hex::encode_upper(encode::sha256(&self.der))
    }
}

impl Issuer {
    /// Joins a CA certificate and its key.
    ///
    /// # Errors
    /// `Invalid` where the certificate is no CA, may not sign certificates, or has another key than the signer;
    /// the signer's error, because it is tried.
    pub async fn new(certificate: Certificate, signer: Arc<dyn Signer>) -> Result<Self> {
        let name = certificate.subject().to_string();
        if !certificate.is_ca() || !certificate.may_sign_certificates() {
            return Err(Error::invalid(format!(
                "The certificate '{name}' cannot issue: it needs CA:TRUE and the key usage keyCertSign."
            )));
        }
        let own = certificate.public_key()?;
        let key_id =
            certificate.subject_key_id().map_or_else(|| encode::key_identifier(own.bits()).to_vec(), <[u8]>::to_vec);
        let matching = PublicKey::from_spki(signer.public_key_info_der()).is_ok_and(|key| key.bits() == own.bits());
        if !matching {
            return Err(Error::invalid(format!("The private key does not belong to the certificate '{name}'.")));
        }
        let bounds = Some((certificate.not_before(), certificate.not_after()));
        let signing = Signing::new(signer, certificate.subject_der().to_vec(), Some(key_id), bounds).await?;
        Ok(Self { certificate, signing })
    }

    /// The CA's certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Builds the certificate of `profile` for the key `public_key_info` (DER, used byte for byte), puts
    /// a throw-away signature under it and lints it. `serial` should be reserved by the caller first.
    ///
    /// # Errors
    /// `Invalid` where the key is not usable, `Conflict` where the issuer is not valid at `now`,
    /// `Internal` where the lint refuses what was built (the context names the rule).
    pub fn prepare(
        &self,
        profile: &Profile,
        public_key_info: &[u8],
        serial: Serial,
        now: Timestamp,
    ) -> Result<Prepared<'_>> {
        let own = &self.certificate;
        if now < own.not_before() {
            return Err(Error::conflict(format!(
                "The certificate authority '{}' is not valid before {}, and this server's clock says {now}; set the clock right.",
                own.subject(),
                own.not_before()
            )));
        }
        if now >= own.not_after() {
            return Err(Error::conflict(format!(
                "The certificate authority '{}' was valid until {} and issues nothing any more; make a new one.",
                own.subject(),
                own.not_after()
            )));
        }
        self.signing.prepare(profile, public_key_info, serial, now)
    }

    pub(crate) fn signing(&self) -> &Signing {
        &self.signing
    }
}

impl Signing {
    /// A root before it exists: it signs itself under `subject`.
    pub(crate) async fn for_root(signer: Arc<dyn Signer>, subject: &SubjectName) -> Result<Self> {
        Self::new(signer, subject.to_der()?, None, None).await
    }

    async fn new(
        signer: Arc<dyn Signer>,
        name_der: Vec<u8>,
        key_id: Option<Vec<u8>>,
        bounds: Option<(Timestamp, Timestamp)>,
    ) -> Result<Self> {
        let algorithm = signer.algorithm();
        let key = PublicKey::from_spki(signer.public_key_info_der())
            .map_err(|problem| Error::internal(format!("the signer's public key: {problem}")))?;
        // The key that signs tokens is shorter, and so is never taken for an authority's.
        if matches!(key.kind(), KeyKind::Rsa(bits) if bits < CA_RSA_MIN_BITS) {
            return Err(Error::invalid_property(
                "keyType",
                format!(
                    "A certificate authority must have a P-256, P-384, P-521 or RSA key of at least {CA_RSA_MIN_BITS} bits; this one is {}.",
                    key.kind()
                ),
            ));
        }
        let verifier = ParsedPublicKey::new(algorithm.verifier(), key.bits())
            .map_err(|_| Error::internal("the signer's public key does not fit its algorithm"))?;
        let signing = Self {
            throw_away_signature: SoftwareSigner::generate(KeyKind::P256)?.sign_in_process(THROW_AWAY_MESSAGE)?,
            verifier,
            algorithm,
            algorithm_der: algorithm.identifier().to_der().map_err(encode::internal)?,
            name_der,
            key_id,
            bounds,
            signer,
        };
        signing.check(TRIAL_MESSAGE, &signing.signer.sign(TRIAL_MESSAGE).await?)?;
        Ok(signing)
    }

    pub(crate) fn name_der(&self) -> &[u8] {
        &self.name_der
    }

    pub(crate) fn key_id(&self) -> Option<&[u8]> {
        self.key_id.as_deref()
    }

    pub(crate) fn public_key_info(&self) -> &[u8] {
        self.signer.public_key_info_der()
    }

    pub(crate) fn prepare(
        &self,
        profile: &Profile,
        public_key_info: &[u8],
        serial: Serial,
        now: Timestamp,
    ) -> Result<Prepared<'_>> {
        let key = PublicKey::from_spki(public_key_info)
            .map_err(|problem| Error::invalid(format!("The key to certify is not usable: {problem}.")))?;
        let (wanted_start, wanted_end) = profile.validity(now)?;
        let (not_before, not_after) = match self.bounds {
            Some((start, end)) => (wanted_start.max(start), wanted_end.min(end)),
            None => (wanted_start, wanted_end),
        };
        let subject = profile.subject.to_der()?;
        let content = self.content(profile, &subject, &key, public_key_info, serial, (not_before, not_after))?;
        let unsigned = encode::join_signed(&content, &self.algorithm_der, &self.throw_away_signature)?;
        let linted = lint::lint(
            &unsigned,
            &Expected {
                profile,
                subject: &subject,
                issuer: &self.name_der,
                issuer_key_id: self.key_id(),
                bounds: self.bounds,
                public_key_info,
                serial: serial.as_bytes(),
                algorithm: self.algorithm,
                now,
            },
        )?;
        Ok(Prepared { signing: self, content, linted, was_cut: not_after < wanted_end, not_before, not_after })
    }

    /// The TBSCertificate. Issuer, subject and key are copied byte for byte.
    fn content(
        &self,
        profile: &Profile,
        subject: &[u8],
        key: &PublicKey<'_>,
        public_key_info: &[u8],
        serial: Serial,
        (not_before, not_after): (Timestamp, Timestamp),
    ) -> Result<Vec<u8>> {
        let version = encode::tagged(0, &2u8)?;
        let serial =
            SerialNumber::<x509_cert::certificate::Rfc5280>::new(serial.as_bytes()).map_err(encode::internal)?;
        let serial = serial.to_der().map_err(encode::internal)?;
        let validity: Validity = Validity::new(encode::time(not_before)?, encode::time(not_after)?);
        let validity = validity.to_der().map_err(encode::internal)?;
        let extensions = profile.extensions(key.bits(), self.key_id())?;
        let extensions = encode::tagged(3, &extensions)?;
        encode::sequence(&[
            &version,
            &serial,
            &self.algorithm_der,
            &self.name_der,
            &validity,
            subject,
            public_key_info,
            &extensions,
        ])
    }

    /// Signs `content` with the real key. A device's signature is verified, so that a faulty one never hands out a
    /// broken certificate; the in-process signer was tried when it was taken into use.
    pub(crate) async fn sign(&self, content: &[u8]) -> Result<Vec<u8>> {
        let signature = self.signer.sign(content).await?;
        if !self.signer.is_in_process() {
            self.check(content, &signature)?;
        }
        encode::join_signed(content, &self.algorithm_der, &signature)
    }

    fn check(&self, content: &[u8], signature: &[u8]) -> Result<()> {
        self.verifier
            .verify_sig(content, signature)
            .map_err(|_| Error::internal("the signer returned a signature that does not verify"))
    }

    pub(crate) fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }
}

impl Prepared<'_> {
    /// True where the validity was cut to the issuer's: the issuing CA is due for renewal.
    pub fn was_cut(&self) -> bool {
        self.was_cut
    }

    /// End of the validity that the certificate will have.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Signs with the issuer's key, and reads what came of it.
    ///
    /// # Errors
    /// As for [`Prepared::sign`].
    pub async fn issue(self) -> Result<Certificate> {
        Certificate::from_der(self.sign().await?.der())
    }

    /// Signs with the issuer's key.
    ///
    /// # Errors
    /// The signer's error; `Internal` where the signed bytes are not the linted ones or the signature does not verify.
    pub async fn sign(self) -> Result<SignedCertificate> {
        let der = self.signing.sign(&self.content).await?;
        let signed = encode::split_signed(&der).map_err(encode::internal)?;
        if encode::sha256(signed.content) != self.linted {
            return Err(Error::internal("the signed certificate is not the linted one"));
        }
        let second = |at: Timestamp| Timestamp::from_second(at.as_second()).unwrap_or(at);
        Ok(SignedCertificate { der, not_before: second(self.not_before), not_after: second(self.not_after) })
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("subject", &self.certificate.subject().to_string()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Prepared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}
