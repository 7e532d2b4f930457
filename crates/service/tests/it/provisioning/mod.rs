//! Provisioning over the real engines: what devices and operators see.

mod concurrency;
mod edges;
mod groups;
mod registering;
mod world;
mod wrong_input;
