//! The services over the real embedded engines.

mod hub;
mod provisioning;
