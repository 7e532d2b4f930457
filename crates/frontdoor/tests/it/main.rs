//! The front door in this process on free ports, over the real services and engines.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says by a panic what failed")]

mod control;
mod http_client;
mod journey;
mod rig;
mod sweep;
