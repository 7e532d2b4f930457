//! Hubs: identities, twins, connections, certificates, telemetry.

mod certificates;
mod fixture;
mod mirroring;
mod registry;
mod sessions;
