//! The crate against the openssl command line as oracle, and against hostile bytes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test helper stops its test on the first fault, and has keys of its own"
)]

mod age;
mod ca_faults;
mod chain;
mod crl;
mod csr;
mod external;
mod hostile;
mod issue;
mod key_store;
mod openssl;
mod platform;
mod tpm;
