//! `ferrohub device run`: simulated devices against a running server, or against Azure.

use crate::cli::DeviceRunArgs;
use crate::config::{Variables, default_data_dir};
use crate::data_dir::read_bounded;
use crate::output::{asking_for_the_server, duration, print};
use crate::signals::Signals;
use ferrohub_client::device::connection::{NOT_MQTT, asking_the_audit_log};
use ferrohub_client::device::csr::DeviceKey;
use ferrohub_client::device::key;
use ferrohub_client::device::life::{Event, Life, Onboarding};
use ferrohub_client::device::network::{Network, Place, system_roots};
use ferrohub_client::profile::{self, NO_SERVER};
use ferrohub_client::tls_fault::UNTRUSTED;
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::terminal::escaped;
use ferrohub_pki::certificate::Certificate;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
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
    let Services { network, dps_host, advice } = services(args, variables, clock)?;
    if args.stay {
        let mut signals = Signals::listen()?;
        let life = life(args, network, dps_host, &args.registration_id)?;
        let tell = &mut |event: Event<'_>| show(&args.registration_id, true, &advice, &event);
        return life.until(signals.received(), tell).await.map_err(|error| advice.on(error));
    }
    for number in 1..=args.devices {
        let id = match args.devices {
            1 => args.registration_id.clone(),
            _ => format!("{}-{number}", args.registration_id),
        };
        let life = life(args, network.clone(), dps_host.clone(), &id)?;
        life.once(&mut |event| show(&id, false, &advice, &event))
            .await
            .map_err(|error| advice.on(error))
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
fn show(id: &str, stays: bool, advice: &Advice, event: &Event<'_>) -> Result<()> {
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
        Event::Broken(error, pause) => {
            format!("{} Goes on in {}.", advice.on((*error).clone()).message, duration(*pause))
        }
    };
    // Twins and refusals hold what others wrote.
    print(&escaped(&format!("{id}: {text}")))
}

/// The services that the devices talk to.
struct Services {
    network: Network,
    dps_host: String,
    advice: Advice,
}

/// What is known of a server of ours when something goes wrong with it; of Azure nothing is.
#[derive(Default)]
struct Advice {
    is_ours: bool,
    /// The CA file that is trusted.
    ca: PathBuf,
    /// The port that `server.json` of a data folder names, and the one that is dialled.
    ports: Option<(u16, u16)>,
}

impl Advice {
    /// The error, with what to do about it.
    fn on(&self, error: Error) -> Error {
        let more = match error.code {
            _ if !self.is_ours => return error,
            UNTRUSTED => {
                let message = format!(
                    "The server's certificate is not from the CA in {}. Give the ca.pem of that server's data folder with --ca.",
                    self.ca.display()
                );
                return Error { message, ..error };
            }
            NOT_MQTT => match self.ports {
                Some((named, dialled)) if named != dialled => format!(" server.json of the data folder names {named}."),
                _ => String::new(),
            },
            _ => return asking_for_the_server(asking_the_audit_log(error)),
        };
        Error { message: format!("{}{more}", error.message), ..error }
    }
}

/// Where the services are, whom to trust, and the host name of DPS.
fn services(args: &DeviceRunArgs, variables: &Variables, clock: &Arc<dyn Clock>) -> Result<Services> {
    let network = |place, ca_pem| Network::new(place, ca_pem, clock.clone());
    if args.azure {
        let ca_pem = args.ca.as_ref().map_or_else(system_roots, |file| read_bounded(file))?;
        let dps_host = args.host.clone().unwrap_or_else(|| AZURE.to_owned());
        return Ok(Services { network: network(Place::LookedUp, ca_pem), dps_host, advice: Advice::default() });
    }
    if let (Some(address), Some(ca), Some(host)) = (args.server, &args.ca, &args.host) {
        let advice = Advice { is_ours: true, ca: ca.clone(), ports: None };
        return Ok(Services {
            network: network(Place::At(address), read_bounded(ca)?),
            dps_host: host.clone(),
            advice,
        });
    }
    let folder = match &args.data_dir {
        Some(folder) => folder.clone(),
        None => default_data_dir(variables)?,
    };
    let file = profile::read_server_file(&folder).map_err(|error| match error.code {
        NO_SERVER => Error {
            message: format!(
                "{} Devices of a server elsewhere need --server ADDRESS:PORT, --ca FILE and --host NAME, all three.",
                error.message
            ),
            ..error
        },
        _ => error,
    })?;
    let ip: IpAddr = file
        .address
        .parse()
        .map_err(|_| Error::invalid(format!("{} names no IP address; give --server.", folder.display())))?;
    let port = file
        .mqtt_port
        .ok_or_else(|| Error::invalid(format!("{} names no MQTT port; give --server.", folder.display())))?;
    let address = args.server.unwrap_or_else(|| SocketAddr::new(ip, port));
    let ca = args.ca.clone().unwrap_or_else(|| folder.join(&file.ca_file));
    let dps_host = args.host.clone().unwrap_or_else(|| format!("global.azure-devices-provisioning.{}", file.domain));
    let network = network(Place::At(address), read_bounded(&ca)?);
    Ok(Services { network, dps_host, advice: Advice { is_ours: true, ca, ports: Some((port, address.port())) } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_client::device::connection::REFUSED;

    #[test]
    fn advice_is_for_servers_of_ours() {
        let ours = Advice { is_ours: true, ca: "d/ca.pem".into(), ports: Some((27_883, 8443)) };
        let told =
            |advice: &Advice, code: &'static str| advice.on(Error::unavailable("No.", 1).with_code(code)).message;
        assert!(told(&ours, UNTRUSTED).contains("not from the CA in d/ca.pem"));
        assert_eq!(told(&ours, NOT_MQTT), "No. server.json of the data folder names 27883.");
        assert!(told(&ours, REFUSED).contains("ferrohub audit export"));
        for code in [UNTRUSTED, NOT_MQTT, REFUSED] {
            assert_eq!(told(&Advice::default(), code), "No.");
        }
    }
}
