//! The front door in this process on free ports, over the real services and engines.

mod control;
mod http_client;
mod journey;
mod rig;
