//! The simulated device: registers at DPS and talks to a hub over MQTT 3.1.1, as a real one does.
//!
//! | Module | What it is |
//! |---|---|
//! | [`key`] | Device keys from a group's key, and SAS tokens |
//! | [`csr`] | The device's own EC key and its certificate request |
//! | [`dial`] | Where to connect, under which name, trusting whom |
//! | [`connection`] | One MQTT connection: acknowledged publishes, keep-alive, time limits |
//! | [`registration`] | DPS: register, poll, assigned |
//! | [`hub`] | The hub: telemetry, twin, desired properties |
//! | [`renewal`] | The hub: another certificate before the one it has ends |
//! | [`network`] | Where DPS and hubs are, and what is trusted there |
//! | [`life`] | All of it, one after the other, for as long as the device lives |
//!
//! Everything it waits for has a time limit, and every failure is a sentence.

pub mod connection;
pub mod csr;
pub mod dial;
pub mod hub;
pub mod key;
pub mod life;
pub mod network;
pub mod registration;
pub mod renewal;
#[cfg(test)]
mod scripted;
