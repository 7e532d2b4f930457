//! The services over the real embedded engines, served by one process. `tests/two` has the same modules served by two.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test reports by panicking")]

mod arm;
mod authz;
mod hub;
mod installation;
mod owner;
mod provisioning;
mod sim;

/// Processes that serve an installation.
const PROCESSES: usize = 1;
