//! The embedded EventLog (one journal per data folder) and the in-process Bus.
//!
//! The journal is a row of segment files that hold the events of all partitions in the order of
//! their arrival. One thread takes everything that waits, appends it, syncs once, publishes the
//! index and answers. `record.rs` says what a record looks like, `seal.rs` why no body passes for
//! one, `sidecar.rs` what is written beside a sealed segment, `recovery.rs` what is believed after a
//! crash and why.

mod bus;
mod fault;
mod horizon;
mod index;
mod log;
mod reader;
mod record;
mod recovery;
mod reserve;
mod seal;
mod segment;
mod sidecar;
pub mod snapshot;
mod writer;

pub use bus::LocalBus;
pub use log::{LocalEventLog, Options};
