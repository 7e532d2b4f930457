//! The services over the real embedded engines.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test reports by panicking")]

mod arm;
mod authz;
mod hub;
mod owner;
mod provisioning;
