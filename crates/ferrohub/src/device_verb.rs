//! `ferrohub device run`: simulated devices against a running server, or against Azure.

use crate::cli::DeviceRunArgs;
use crate::config::{Variables, default_data_dir};
use crate::data_dir::read_bounded;
use crate::output::{asking_for_the_server, duration, print};
use crate::signals::Signals;
use ferrohub_client::device::csr::DeviceKey;
use ferrohub_client::device::key;
use ferrohub_client::device::life::{Event, Life, Onboarding};
use ferrohub_client::device::network::{Network, Place, system_roots};
use ferrohub_client::profile;
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::terminal::escaped;
use ferrohub_pki::certificate::Certificate;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Host name at which Azure's devices register.
const AZURE: &str = "global.azure-devices-provisioning.net";
/// How times are shown.
const TIME: &str = "%Y-%m-%d %H:%M:%S UTC";
/// Messages where nothing else is said.
const MESSAGES: u32 = 10;
/// Time between two messages of a device that stays, where nothing else is said: ours.
const STAYING_INTERVAL: Duration = Duration::from_secs(5);

/// Runs the devices one after another; the first failure ends the run. One that stays does so until a signal comes.
///
/// # Errors
/// The device's error as a sentence.
pub(crate) async fn run(args: &DeviceRunArgs, variables: &Variables, clock: &Arc<dyn Clock>) -> Result<()> {
    if args.key.is_none() && args.group_key.is_none() && args.certificate.is_none() {
        return Err(Error::invalid(
            "A device needs something to prove who it is: give --key, --group-key or --certificate, or set FERROHUB_DEVICE_KEY.",
        ));
    }
    let (network, dps_host) = services(args, variables, clock)?;
    if args.stay {
        let mut signals = Signals::listen()?;
        let life = life(args, network, dps_host, &args.registration_id)?;
        return life.until(signals.received(), &mut |event| show(&args.registration_id, true, &event)).await;
    }
    for number in 1..=args.devices {
        let id = match args.devices {
            1 => args.registration_id.clone(),
            _ => format!("{}-{number}", args.registration_id),
        };
        let life = life(args, network.clone(), dps_host.clone(), &id)?;
        life.once(&mut |event| show(&id, false, &event))
            .await
            .map_err(|error| if args.azure { error } else { asking_for_the_server(error) })
            .map_err(|error| Error { message: format!("{id}: {}", error.message), ..error })?;
    }
    Ok(())
}

fn life(args: &DeviceRunArgs, network: Network, dps_host: String, id: &str) -> Result<Life> {
    let onboarding = match (&args.key, &args.group_key, args.certificate.as_ref().zip(args.certificate_key.as_ref())) {
        (Some(key), _, _) => Onboarding::Key(key.clone()),
        (None, Some(group), _) => Onboarding::Key(key::derive(group, id)?),
        (None, None, Some((chain, key))) => certificate(chain, key)?,
        (None, None, None) => return Err(Error::invalid("A device needs its key or its certificate.")),
    };
    let (messages, interval) = if args.stay { (None, STAYING_INTERVAL) } else { (Some(MESSAGES), Duration::ZERO) };
    Ok(Life {
        network,
        dps_host,
        id_scope: args.id_scope.clone(),
        registration_id: id.to_owned(),
        onboarding,
        wants_certificate: args.csr,
        messages: args.count.or(messages),
        interval: args.interval.map_or(interval, Duration::from_millis),
        renew_at_percent: args.renew_at,
    })
}

fn certificate(chain: &Path, key: &Path) -> Result<Onboarding> {
    let of_file =
        |path: &Path, error: Error| Error { message: format!("{}: {}", path.display(), error.message), ..error };
    let text = String::from_utf8(read_bounded(chain)?)
        .map_err(|_| Error::invalid(format!("{} is not a PEM file.", chain.display())))?;
    let certificates = Certificate::chain_from_pem(&text).map_err(|error| of_file(chain, error))?;
    let key = DeviceKey::from_pem(&read_bounded(key)?).map_err(|error| of_file(key, error))?;
    Ok(Onboarding::Certificate { chain: certificates.iter().map(|one| one.der().to_vec()).collect(), key })
}

/// Prints what happens to the device called `id`.
fn show(id: &str, stays: bool, event: &Event<'_>) -> Result<()> {
    let text = match event {
        Event::Assigned(registration, time) => {
            let (hub, device) = (&registration.assigned_hub, &registration.device_id);
            format!("assigned to {hub} as {device} in {}", duration(*time))
        }
        Event::Certified(_, _) if !stays => return Ok(()),
        Event::Certified(leaf, renewal) => format!(
            "has certificate {} of {} until {}; asks for another one at {}",
            leaf.serial_hex(),
            leaf.issuer(),
            leaf.not_after().strftime(TIME),
            renewal.strftime(TIME)
        ),
        Event::Connected(time) => format!("connected in {}", duration(*time)),
        Event::Twin(twin) => format!("twin: desired {}, reported {}", twin.desired, twin.reported),
        Event::Acknowledged(1, time) => format!("1 message acknowledged in {}", duration(*time)),
        Event::Acknowledged(messages, time) => format!("{messages} messages acknowledged in {}", duration(*time)),
        Event::Desired(change) => format!("desired properties, version {}: {}", change.version, change.patch),
        Event::Renews => "asks the hub for another certificate".to_owned(),
        Event::RenewalRefused(error) => format!("{} Asks DPS.", error.message),
        Event::NotRenewed(error) => format!("keeps its certificate for now: {}", error.message),
        Event::Broken(error, pause) => format!("{} Goes on in {}.", error.message, duration(*pause)),
    };
    // Twins and refusals hold what others wrote.
    print(&escaped(&format!("{id}: {text}")))
}

/// Where the services are, whom to trust, and the host name of DPS.
fn services(args: &DeviceRunArgs, variables: &Variables, clock: &Arc<dyn Clock>) -> Result<(Network, String)> {
    let network = |place, ca_pem| Network::new(place, ca_pem, clock.clone());
    if args.azure {
        let ca_pem = args.ca.as_ref().map_or_else(system_roots, |file| read_bounded(file))?;
        return Ok((network(Place::LookedUp, ca_pem), args.host.clone().unwrap_or_else(|| AZURE.to_owned())));
    }
    if let (Some(address), Some(ca), Some(host)) = (args.server, &args.ca, &args.host) {
        return Ok((network(Place::At(address), read_bounded(ca)?), host.clone()));
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
    let address = args.server.unwrap_or_else(|| SocketAddr::new(ip, port));
    let ca_pem = read_bounded(args.ca.as_ref().unwrap_or(&folder.join(&file.ca_file)))?;
    let host = args.host.clone().unwrap_or_else(|| format!("global.azure-devices-provisioning.{}", file.domain));
    Ok((network(Place::At(address), ca_pem), host))
}
