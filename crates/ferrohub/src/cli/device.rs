//! The command line of simulated devices.

use super::values::{endpoint, whole_number};
use clap::{Args, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct DeviceArgs {
    #[command(subcommand)]
    pub(crate) verb: DeviceVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceVerb {
    /// Register at DPS, connect to the assigned hub, send telemetry; with --stay live on and renew the certificate.
    Run(DeviceRunArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DeviceRunArgs {
    /// Data folder of a local server (or FERROHUB_DATA_DIR): gives address, port and CA file.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
    /// IP address and MQTT port to dial, such as 192.0.2.7:8883; default from the data folder.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = endpoint)]
    pub(crate) server: Option<SocketAddr>,
    /// Services whose names can be looked up, as Azure's: dial their port 8883, and trust what this machine trusts.
    #[arg(long, conflicts_with_all = ["server", "data_dir"])]
    pub(crate) azure: bool,
    /// CA file, PEM; default from the data folder, with --azure what this machine trusts.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// DPS host name; default global.azure-devices-provisioning.{domain}, with --azure that of Azure.
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Id scope of the provisioning service.
    #[arg(long)]
    pub(crate) id_scope: String,
    /// Registration id; with several devices a number is appended.
    #[arg(long)]
    pub(crate) registration_id: String,
    /// The device's key, base64 (or FERROHUB_DEVICE_KEY).
    #[arg(long, value_name = "KEY", conflicts_with = "group_key", env = "FERROHUB_DEVICE_KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
    /// The enrollment group's key, from which each device's key is derived.
    #[arg(long, value_name = "KEY")]
    pub(crate) group_key: Option<String>,
    /// Certificate with which the device registers, PEM, leaf first; instead of a key.
    #[arg(long, value_name = "FILE", requires = "certificate_key", conflicts_with_all = ["key", "group_key", "devices"])]
    pub(crate) certificate: Option<PathBuf>,
    /// Key of that certificate, PEM (PKCS#8).
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(crate) certificate_key: Option<PathBuf>,
    /// Ask for a certificate and connect to the hub with it instead of the key.
    #[arg(long)]
    pub(crate) csr: bool,
    /// Telemetry messages of each device; default 10, with --stay without end.
    #[arg(long)]
    pub(crate) count: Option<u32>,
    /// Devices, one after another.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) devices: u32,
    /// Milliseconds between two messages; default none, with --stay 5000.
    #[arg(long, value_name = "MS", value_parser = whole_number)]
    pub(crate) interval: Option<u64>,
    /// Stay connected until Ctrl-C: show the twin and its changes, renew the certificate, connect again when a connection ends.
    #[arg(long, conflicts_with = "devices")]
    pub(crate) stay: bool,
    /// Part of a certificate's validity after which --stay asks for another one, percent.
    #[arg(long, default_value_t = 80, value_name = "PERCENT", requires = "stay", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) renew_at: u8,
}
