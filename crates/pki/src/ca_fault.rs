//! What makes the certificate of a CA worthless, whoever holds it: an anchor, one above a device's, one that is uploaded.

use crate::certificate::Certificate;
use crate::public_key::{KeyProblem, PublicKey};
use jiff::Timestamp;
use std::fmt;

/// Why nothing may be verified with a CA certificate. `Display` is a clause for a sentence such as "the CA 'CN=x' ...".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaFault {
    /// Its validity has ended.
    Expired(Timestamp),
    /// Its validity has not begun.
    NotYetValid(Timestamp),
    /// Basic constraints do not say CA.
    NotCa,
    /// The key usage does not name keyCertSign (RFC 5280, 4.2.1.3).
    KeyUsage,
    /// The extended key usage names other purposes, clientAuth not among them.
    Purpose,
    /// It names itself as its issuer, and its own key does not verify its signature.
    Signature,
    /// The key is of a kind or size that is not accepted.
    Key(KeyProblem),
    /// More CAs lie between it and the device's certificate than its path length constraint allows.
    PathLength(u8),
}

impl fmt::Display for CaFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired(end) => write!(f, "has expired on {end}"),
            Self::NotYetValid(start) => write!(f, "is not valid before {start}"),
            Self::NotCa => f.write_str("is no certificate authority (basic constraints CA:TRUE are missing)"),
            Self::KeyUsage => f.write_str("may not sign certificates (its key usage lacks keyCertSign)"),
            Self::Purpose => f.write_str("is for other purposes (its extended key usage lacks clientAuth)"),
            Self::Signature => f.write_str("is self-signed with a wrong signature"),
            Self::Key(problem) => write!(f, "has a key that is not usable: {problem}"),
            Self::PathLength(length) => {
                write!(f, "allows {length} further certificate authorities below it, and there are more")
            }
        }
    }
}

impl Certificate {
    /// What makes it worthless as a CA at any time, its own signature included: the dear part, once for each certificate.
    pub fn lasting_ca_fault(&self) -> Option<CaFault> {
        if let Some(fault) = self.ca_facts_fault() {
            return Some(fault);
        }
        if let Err(problem) = PublicKey::from_spki(self.public_key_info_der()) {
            return Some(CaFault::Key(problem));
        }
        (self.is_self_issued() && self.verify_signed_by(self).is_err()).then_some(CaFault::Signature)
    }

    /// What its own words say against it as a CA, whatever the time.
    pub(crate) fn ca_facts_fault(&self) -> Option<CaFault> {
        if !self.is_ca() {
            return Some(CaFault::NotCa);
        }
        if !self.may_sign_certificates() {
            return Some(CaFault::KeyUsage);
        }
        (!self.is_for_client_authentication()).then_some(CaFault::Purpose)
    }

    /// What `now` says against it.
    pub fn time_fault(&self, now: Timestamp) -> Option<CaFault> {
        if now < self.not_before() {
            return Some(CaFault::NotYetValid(self.not_before()));
        }
        (now > self.not_after()).then_some(CaFault::Expired(self.not_after()))
    }
}
