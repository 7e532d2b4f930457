//! Certificate requests, profiles, issuing, chains and sealed keys.
//!
//! Pure: time and randomness are arguments, nothing here reads a file or a socket. Signing is asynchronous, because a
//! key may live in a token or with a remote service ([`key_store`]); no runtime is needed or known here.
//! Key generation and signing use the provider's own generator (aws-lc-rs), because the provider
//! takes no other.
//!
//! Issuing follows the order of letsencrypt/boulder: the profile decides every field, the
//! certificate is built and linted under a throw-away signature, and only a linted one can be signed.

pub mod age;
pub mod algorithm;
pub mod authority;
pub mod ca_fault;
pub mod certificate;
pub mod chain;
pub mod crl;
pub mod csr;
mod encode;
pub mod external;
pub mod issue;
pub mod key;
pub mod key_store;
mod lint;
pub mod name;
mod oid;
pub mod password;
pub mod platform;
pub mod profile;
pub mod public_key;
pub mod random;
pub mod seal;
pub mod signer;
pub mod tpm;
