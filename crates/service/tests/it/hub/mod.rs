//! Hubs: identities, twins, connections, certificates, telemetry.

mod bulk;
mod certificates;
mod counted;
mod fixture;
mod fleet;
mod mirroring;
mod modules;
mod network;
mod parents;
mod presence;
mod queries;
mod registry;
mod sessions;
