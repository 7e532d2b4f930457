//! What the product does: authentication, authorization, the ARM engine, registry, hub,
//! provisioning, certificates and the worker.
//!
//! Services decide and write; they know no socket, no TLS and no SQL. Each service method that a client can reach takes
//! an [`authz::Actor`] and asks whether it may, itself. Each write is one [`platform::Change`].
//!
//! To add an ARM resource type, add one file under `arm/types/` and name it in `arm/types/mod.rs`.

mod allowance;
pub mod arm;
mod attempts;
pub mod audit;
pub mod authn;
pub mod authz;
pub mod bootstrap;
pub mod certificate;
pub mod client_here;
mod departure;
pub mod directory;
mod extensions;
pub mod graph;
mod guesses;
pub mod hub;
pub mod key_store;
pub mod keyring;
mod lease;
mod locks;
mod log_query;
pub mod master_key;
mod owner_person;
mod owner_reset;
mod passwords;
pub mod platform;
pub mod provisioning;
mod readiness;
pub mod registry;
mod repeats;
mod resource_graph;
pub mod resources;
pub mod route;
mod service;
mod settled;
mod sha256;
pub mod shared_access;
pub mod stripes;
mod subscriptions;
pub mod tables;
pub mod worker;

pub use owner_reset::{reset_owner, rotate_signing_key};
pub use readiness::NotReady;
pub use service::{Service, StartConfig, Started, server_names};
