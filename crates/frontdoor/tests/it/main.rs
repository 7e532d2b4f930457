//! The front door in this process on free ports, over the real services and engines; one process serves. `tests/two` has the
//! same modules served by two.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says by a panic what failed")]

mod browser;
mod control;
mod crowd;
mod enrollments;
mod http_client;
mod journey;
mod network;
mod publishing;
mod rig;
mod sign_in;
mod sign_in_link;
mod strangers;
mod sweep;
mod sweep_topics;
mod websocket;

/// Processes that serve an installation.
const PROCESSES: usize = 1;
