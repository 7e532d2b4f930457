//! Provisioning over the real engines: what devices and operators see.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests may fail the test")]

mod attesting;
mod certificates;
mod concurrency;
mod edges;
mod groups;
mod individuals;
mod kept;
mod offered;
mod policies;
mod policy_changes;
mod references;
mod registering;
mod registry_devices;
mod renewal_limits;
mod renewing;
mod revoking;
mod succession;
mod tpm;
mod trusting;
mod webhook;
pub(super) mod world;
mod wrong_input;
mod x509;
