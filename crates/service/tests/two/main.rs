//! The suite of `tests/it` once more, with two processes over one store, one log, one bus and one clock that are asked in
//! turn. Left out: `authz`, which asks a table and no process, and `sim`, which has processes of its own.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test reports by panicking")]

#[path = "../it/arm/mod.rs"]
mod arm;
#[path = "../it/hub/mod.rs"]
mod hub;
#[path = "../it/installation.rs"]
mod installation;
#[path = "../it/owner.rs"]
mod owner;
#[path = "../it/provisioning/mod.rs"]
mod provisioning;

/// Processes that serve an installation.
const PROCESSES: usize = 2;
