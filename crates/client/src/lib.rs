//! The az-compatible command line and the simulated device.
//!
//! - [`http`]: the HTTPS client that dials our server and trusts only the given CA.
//! - [`profile`]: who is signed in, where the server and its data folder are.
//! - [`az`]: the command line itself; [`az::run`] is its one entry.
//! - [`device`]: the simulated device.
//! - [`tls_fault`]: why TLS with a server failed.

pub mod az;
pub mod device;
pub mod environment;
pub mod http;
pub mod profile;
pub mod tls_fault;
