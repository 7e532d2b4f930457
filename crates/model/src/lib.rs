//! The nouns of Ferrohub: pure values, no I/O, no clock, no randomness.
//!
//! Every other room speaks in these terms. To add a noun, add a file named after it and
//! use the same file name in the rooms that store, serve or print it.

pub mod api_version;
pub mod azure_names;
pub mod certificate_authority;
pub mod clock;
pub mod device;
pub mod device_id;
pub mod device_session;
pub mod enrollment;
pub mod error;
pub mod guessing;
pub mod json_size;
pub mod key_reference;
pub mod limits;
pub mod message;
pub mod model_id;
pub mod network;
pub mod pace;
pub mod principal;
pub mod random;
pub mod registration;
pub mod renewal;
pub mod resource;
pub mod resource_id;
pub mod role;
pub mod spelling;
pub mod subscription;
pub mod terminal;
pub mod time;
pub mod twin;
pub mod uid;
