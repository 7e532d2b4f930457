//! The crate against the openssl command line as oracle, and against hostile bytes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test helper stops its test on the first fault"
)]

mod chain;
mod crl;
mod csr;
mod hostile;
mod issue;
mod openssl;
mod platform;
