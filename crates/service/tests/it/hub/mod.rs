//! Hubs: identities, twins, connections, certificates, telemetry.

mod certificates;
mod counted;
mod fixture;
mod fleet;
mod mirroring;
mod network;
mod parents;
mod presence;
mod registry;
mod sessions;
