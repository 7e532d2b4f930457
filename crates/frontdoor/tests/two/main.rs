//! The suite of `tests/it` once more, with two servers over one store, one log and one bus that are asked by turns.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says by a panic what failed")]

#[path = "../it/browser.rs"]
mod browser;
#[path = "../it/control.rs"]
mod control;
#[path = "../it/crowd.rs"]
mod crowd;
#[path = "../it/enrollments.rs"]
mod enrollments;
#[path = "../it/http_client.rs"]
mod http_client;
#[path = "../it/journey.rs"]
mod journey;
#[path = "../it/network.rs"]
mod network;
#[path = "../it/publishing.rs"]
mod publishing;
#[path = "../it/rig.rs"]
mod rig;
#[path = "../it/sign_in.rs"]
mod sign_in;
#[path = "../it/sign_in_link.rs"]
mod sign_in_link;
#[path = "../it/strangers.rs"]
mod strangers;
#[path = "../it/sweep.rs"]
mod sweep;
#[path = "../it/sweep_topics.rs"]
mod sweep_topics;
#[path = "../it/websocket.rs"]
mod websocket;

/// Processes that serve an installation.
const PROCESSES: usize = 2;
