//! Between PKCS#11's forms and those of X.509: curves, public keys, digests, signatures.

use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};
use const_oid::ObjectIdentifier;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use der::asn1::{AnyRef, BitString, OctetStringRef, UintRef};
use der::{Decode, Encode, Sequence};
use ferrohub_model::error::{Error, Result};
use ferrohub_pki::algorithm::{KeyKind, SignatureAlgorithm};
use ferrohub_pki::public_key::PublicKey;
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

/// RFC 5480, RFC 8017.
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// RFC 5758, RFC 8017: signatures.
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
/// DigestInfo in front of a SHA-256 digest (RFC 8017, 9.2, note 1).
const SHA256_INFO: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];
/// The public exponent of every RSA key that is made.
const F4: [u8; 3] = [1, 0, 1];

/// A kind of key that a token is asked to make.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// On this named curve.
    Curve(ObjectIdentifier),
    /// RSA of so many bits.
    Rsa(usize),
}

impl Kind {
    /// How a token is asked for a key of `kind`; whether it makes such keys it says itself.
    ///
    /// # Errors
    /// `InvalidPropertyValue` for kinds that sign nothing here, or too weakly.
    pub(crate) fn of(kind: KeyKind) -> Result<Self> {
        let known = SignatureAlgorithm::for_key(kind).and(match kind {
            KeyKind::P256 => Some(Self::Curve(P256)),
            KeyKind::P384 => Some(Self::Curve(P384)),
            KeyKind::P521 => Some(Self::Curve(P521)),
            KeyKind::Rsa(bits @ (2048 | 3072 | 4096)) => Some(Self::Rsa(bits)),
            KeyKind::Rsa(_) | KeyKind::Ed25519 => None,
        });
        known.ok_or_else(|| {
            Error::invalid_property("keyType", format!("Keys of kind {kind} are not made in a PKCS#11 token."))
        })
    }

    pub(crate) fn mechanism(&self) -> Mechanism<'static> {
        match self {
            Self::Curve(_) => Mechanism::EccKeyPairGen,
            Self::Rsa(_) => Mechanism::RsaPkcsKeyPairGen,
        }
    }

    /// What the template of the public half says of the kind.
    pub(crate) fn parameters(&self) -> Vec<Attribute> {
        match self {
            Self::Curve(curve) => curve.to_der().map(Attribute::EcParams).into_iter().collect(),
            Self::Rsa(bits) => {
                let bits = cryptoki::types::Ulong::from(u64::try_from(*bits).unwrap_or(u64::MAX));
                vec![Attribute::ModulusBits(bits), Attribute::PublicExponent(F4.to_vec())]
            }
        }
    }
}

#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

/// Kind and SubjectPublicKeyInfo of a public key with these attributes, or what is wrong with them.
pub(crate) fn public_key(attributes: &[Attribute]) -> Result<(KeyKind, Vec<u8>), String> {
    let (mut curve, mut point, mut modulus, mut exponent) = (None, None, None, None);
    for attribute in attributes {
        match attribute {
            Attribute::EcParams(bytes) => curve = Some(bytes),
            Attribute::EcPoint(bytes) => point = Some(bytes),
            Attribute::Modulus(bytes) => modulus = Some(bytes),
            Attribute::PublicExponent(bytes) => exponent = Some(bytes),
            _ => {}
        }
    }
    let wrong = |error: der::Error| format!("the token describes a public key wrongly: {error}");
    let (oid, parameters, bits) = match (curve, point, modulus, exponent) {
        (Some(curve), Some(point), _, _) => {
            // PKCS#11 wraps the point in an OCTET STRING; some tokens do not.
            let bits = <&OctetStringRef>::from_der(point).map_or(point.as_slice(), OctetStringRef::as_bytes);
            (EC_PUBLIC_KEY, AnyRef::from_der(curve).map_err(wrong)?, bits.to_vec())
        }
        (_, _, Some(modulus), Some(exponent)) => {
            let modulus = UintRef::new(modulus).map_err(wrong)?;
            let key = RsaPublicKey { modulus, exponent: UintRef::new(exponent).map_err(wrong)? };
            (RSA_ENCRYPTION, AnyRef::NULL, key.to_der().map_err(wrong)?)
        }
        _ => return Err("the token tells nothing of a public key".to_owned()),
    };
    let info = SubjectPublicKeyInfoOwned {
        algorithm: AlgorithmIdentifierOwned { oid, parameters: Some(parameters.into()) },
        subject_public_key: BitString::from_bytes(&bits).map_err(wrong)?,
    };
    let info = info.to_der().map_err(wrong)?;
    let kind = PublicKey::from_spki(&info)
        .map_err(|problem| format!("the token made no key that can be used: {problem}"))?
        .kind();
    Ok((kind, info))
}

/// What the token is given to sign: the digest, for RSA with the name of its algorithm in front.
///
/// # Errors
/// `Internal` for an algorithm that is new and not known here.
pub(crate) fn to_sign(algorithm: SignatureAlgorithm, message: &[u8]) -> Result<Vec<u8>> {
    let digest = |of| digest::digest(of, message).as_ref().to_vec();
    match algorithm.oid() {
        ECDSA_SHA256 => Ok(digest(&SHA256)),
        ECDSA_SHA384 => Ok(digest(&SHA384)),
        ECDSA_SHA512 => Ok(digest(&SHA512)),
        RSA_SHA256 => Ok([&SHA256_INFO, digest(&SHA256).as_slice()].concat()),
        other => Err(Error::internal(format!("no PKCS#11 token signs with {other}"))),
    }
}

/// How a token signs it.
pub(crate) fn mechanism(algorithm: SignatureAlgorithm) -> Mechanism<'static> {
    if algorithm.oid() == RSA_SHA256 { Mechanism::RsaPkcs } else { Mechanism::Ecdsa }
}

#[derive(Sequence)]
struct EcdsaSignature<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

/// A token's signature as X.509 has it: for ECDSA PKCS#11 gives the two numbers side by side.
///
/// # Errors
/// `Internal` where it is none.
pub(crate) fn signature(algorithm: SignatureAlgorithm, raw: Vec<u8>) -> Result<Vec<u8>> {
    if algorithm.oid() == RSA_SHA256 {
        return Ok(raw);
    }
    let none = || Error::internal(format!("the PKCS#11 token gave {} bytes that are no ECDSA signature", raw.len()));
    if raw.is_empty() || !raw.len().is_multiple_of(2) {
        return Err(none());
    }
    let (r, s) = raw.split_at(raw.len() / 2);
    let signature = EcdsaSignature { r: UintRef::new(r).map_err(|_| none())?, s: UintRef::new(s).map_err(|_| none())? };
    signature.to_der().map_err(|_| none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_pki::signer::{Signer, SoftwareSigner};

    #[test]
    fn the_two_numbers_become_der() {
        let mut raw = vec![0; 96];
        (raw[47], raw[48], raw[95]) = (5, 0x80, 7);
        let der = signature(SignatureAlgorithm::EcdsaP384Sha384, raw).unwrap();
        // 5 is short, and a number whose first bit is set gets a zero in front.
        assert_eq!((&der[..6], der.len()), (&[0x30, 54, 2, 1, 5, 2][..], 56));
        assert_eq!((der[6], der[7], der[8]), (49, 0, 0x80));
        for wrong in [vec![], vec![1; 95]] {
            assert!(signature(SignatureAlgorithm::EcdsaP384Sha384, wrong).is_err());
        }
        assert_eq!(signature(SignatureAlgorithm::RsaPkcs1Sha256, vec![9; 3]).unwrap(), [9; 3]);
    }

    #[test]
    fn a_public_key_is_what_x509_says() {
        for (kind, wrapped) in [(KeyKind::P256, true), (KeyKind::P384, true), (KeyKind::P384, false)] {
            let key = SoftwareSigner::generate(kind).unwrap();
            let bits = PublicKey::from_spki(key.public_key_info_der()).unwrap().bits().to_vec();
            let point = if wrapped { OctetStringRef::new(&bits).unwrap().to_der().unwrap() } else { bits };
            let Attribute::EcParams(curve) = Kind::of(kind).unwrap().parameters().remove(0) else { panic!("no curve") };
            let told = public_key(&[Attribute::EcParams(curve), Attribute::EcPoint(point)]).unwrap();
            assert_eq!(told, (kind, key.public_key_info_der().to_vec()));
        }
        let key = SoftwareSigner::generate(KeyKind::Rsa(2048)).unwrap();
        let parts = PublicKey::from_spki(key.public_key_info_der()).unwrap();
        let (modulus, exponent) = parts.rsa_components().unwrap();
        let told = public_key(&[Attribute::Modulus(modulus.to_vec()), Attribute::PublicExponent(exponent.to_vec())]);
        assert_eq!(told.unwrap(), (KeyKind::Rsa(2048), key.public_key_info_der().to_vec()));
        assert!(public_key(&[]).is_err());
        assert!(public_key(&[Attribute::EcParams(vec![1]), Attribute::EcPoint(vec![4])]).is_err());
    }

    #[test]
    fn weak_and_unknown_kinds_are_refused() {
        for kind in [KeyKind::Rsa(1024), KeyKind::Rsa(8192), KeyKind::Ed25519] {
            assert_eq!(Kind::of(kind).unwrap_err().target.as_deref(), Some("keyType"), "{kind}");
        }
    }
}
