//! `ferrohub device run`: simulated devices against a running server.

use crate::cli::DeviceRunArgs;
use crate::config::{Variables, default_data_dir};
use crate::data_dir::read_bounded;
use crate::output::{duration, print};
use ferrohub_client::device::csr::DeviceKey;
use ferrohub_client::device::dial::{ClientCertificate, Dial};
use ferrohub_client::device::hub::{HubDevice, Proof};
use ferrohub_client::device::key;
use ferrohub_client::device::registration::{RegistrationRequest, register};
use ferrohub_client::profile;
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{Error, Result};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Where the server is and what to trust.
struct Server {
    address: SocketAddr,
    ca_pem: Vec<u8>,
    dps_host: String,
}

/// Runs the devices one after another; the first failure ends the run.
///
/// # Errors
/// The device's error as a sentence.
pub(crate) async fn run(args: &DeviceRunArgs, variables: &Variables, clock: &Arc<dyn Clock>) -> Result<()> {
    if args.key.is_none() && args.group_key.is_none() {
        return Err(Error::invalid("A device needs its key: give --key, --group-key, or set FERROHUB_DEVICE_KEY."));
    }
    let server = server(args, variables)?;
    for number in 1..=args.devices {
        let id = match args.devices {
            1 => args.registration_id.clone(),
            _ => format!("{}-{number}", args.registration_id),
        };
        one(args, &server, &id, clock)
            .await
            .map_err(|error| Error { message: format!("{id}: {}", error.message), ..error })?;
    }
    Ok(())
}

async fn one(args: &DeviceRunArgs, server: &Server, id: &str, clock: &Arc<dyn Clock>) -> Result<()> {
    let device_key = match (&args.key, &args.group_key) {
        (Some(key), _) => key.clone(),
        (None, Some(group)) => key::derive(group, id)?,
        (None, None) => return Err(Error::invalid("A device needs its key.")),
    };
    let own_key = DeviceKey::generate()?;
    let csr = if args.csr { Some(own_key.certificate_request(id)?) } else { None };
    let request = RegistrationRequest {
        id_scope: args.id_scope.clone(),
        registration_id: id.to_owned(),
        device_key: Some(device_key.clone()),
        csr,
        payload: None,
    };
    let begun = clock.monotonic();
    let registration =
        register(&Dial::new(server.address, &server.dps_host, &server.ca_pem, None, clock.clone())?, &request).await?;
    print(&format!(
        "{id}: assigned to {} as {} in {}",
        registration.assigned_hub,
        registration.device_id,
        duration(clock.monotonic().since(begun))
    ))?;
    let begun = clock.monotonic();
    let hub = &registration.assigned_hub;
    let (certificate, proof) = if args.csr {
        if registration.chain.is_empty() {
            return Err(Error::invalid("DPS issued no certificate: its enrollment names no credential policy."));
        }
        (Some(ClientCertificate { chain: &registration.chain, key: &own_key }), Proof::Certificate)
    } else {
        (None, Proof::Key(device_key.as_str()))
    };
    let dial = Dial::new(server.address, hub, &server.ca_pem, certificate, clock.clone())?;
    let device = HubDevice::connect(&dial, hub, &registration.device_id, proof).await?;
    print(&format!("{id}: connected in {}", duration(clock.monotonic().since(begun))))?;
    let begun = clock.monotonic();
    for number in 1..=args.count {
        let body = serde_json::json!({ "number": number }).to_string();
        device.send(body, &[("$.ct", "application/json"), ("$.ce", "utf-8")]).await?;
        if args.interval > 0 && number < args.count {
            clock.sleep(Duration::from_millis(args.interval)).await;
        }
    }
    print(&format!("{id}: {} messages acknowledged in {}", args.count, duration(clock.monotonic().since(begun))))?;
    device.close().await;
    Ok(())
}

fn server(args: &DeviceRunArgs, variables: &Variables) -> Result<Server> {
    if let (Some(address), Some(ca), Some(host)) = (args.server, &args.ca, &args.host) {
        return Ok(Server { address, ca_pem: read_bounded(ca)?, dps_host: host.clone() });
    }
    let folder = match &args.data_dir {
        Some(folder) => folder.clone(),
        None => default_data_dir(variables)?,
    };
    let file = profile::read_server_file(&folder)?;
    let ip: IpAddr = file
        .address
        .parse()
        .map_err(|_| Error::invalid(format!("{} names no IP address; give --server.", folder.display())))?;
    let port = file
        .mqtt_port
        .ok_or_else(|| Error::invalid(format!("{} names no MQTT port; give --server.", folder.display())))?;
    Ok(Server {
        address: args.server.unwrap_or_else(|| SocketAddr::new(ip, port)),
        ca_pem: read_bounded(args.ca.as_ref().unwrap_or(&folder.join(&file.ca_file)))?,
        dps_host: args.host.clone().unwrap_or_else(|| format!("global.azure-devices-provisioning.{}", file.domain)),
    })
}
