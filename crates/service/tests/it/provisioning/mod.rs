//! Provisioning over the real engines: what devices and operators see.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests may fail the test")]

mod attesting;
mod concurrency;
mod edges;
mod groups;
mod kept;
mod policies;
mod registering;
mod renewing;
mod revoking;
mod succession;
mod trusting;
pub(super) mod world;
mod wrong_input;
