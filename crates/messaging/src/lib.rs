//! The EventLog and Bus traits, the disk seam and their conformance suites.
//!
//! [`EventLog`] keeps device-to-cloud events durably with Event Hubs' terms: partition, sequence
//! number, offset, enqueued time. [`Bus`] carries wake-ups, method calls and claims between
//! connections; it may lose messages, so every consumer re-reads the store or the log when told.
//!
//! To add an engine: implement a trait in a crate of its own and call
//! [`conformance::event_log`] or [`conformance::bus`] from its tests.

mod bus;
pub mod conformance;
pub mod disk;
mod event;
mod forgetful;
mod log;
mod packed;

pub use bus::{Bus, Claim, ClaimHold, Delivery, Publisher, Subscription};
pub use event::{EventProperties, NewEvent, Position, StoredEvent, partition_for};
pub use log::{Bounds, EventLog, ReadFrom};
pub use packed::{Packed, Packer};
