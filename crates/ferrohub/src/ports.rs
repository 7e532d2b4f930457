//! The ports that a server is to have: which they are, whether they are free, and who has them where they are not.

use crate::config::Config;
use ferrohub_frontdoor::{Addresses, BindError};
use ferrohub_model::error::{Error, Result};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

/// Port for HTTPS where it may be bound.
const HTTPS_PORT: u16 = 443;
/// Port for HTTPS where 443 may not be bound.
const HTTPS_FALLBACK_PORT: u16 = 8443;
/// MQTT over TLS (IANA 8883, which the SDKs have built in).
const MQTT_PORT: u16 = 8883;
/// Metrics and health, loopback only (the port of OpenTelemetry's Prometheus exporters).
const METRICS_PORT: u16 = 9464;
/// State of a listening socket in Linux's tables.
const LISTENS: &str = "0A";

/// Where a server with this configuration listens.
///
/// # Errors
/// `Invalid` where one port is to do two things.
pub(crate) fn addresses(config: &Config) -> Result<Addresses> {
    let at = |port: u16| config.listen.iter().map(|&address| SocketAddr::new(address, port)).collect::<Vec<_>>();
    let metrics = config.metrics_port.unwrap_or(METRICS_PORT);
    let addresses = Addresses {
        https: at(config.https_port.unwrap_or_else(|| default_https_port(&config.listen))),
        mqtt: at(config.mqtt_port.unwrap_or(MQTT_PORT)),
        pki: config.pki_port.map(at).unwrap_or_default(),
        health: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), metrics)),
    };
    twice(&addresses).map_or(Ok(addresses), |sentence| Err(Error::invalid(sentence)))
}

/// Refuses addresses that are taken, before anything is written.
///
/// # Errors
/// `Invalid` with the address and who has it.
pub(crate) async fn check_free(addresses: &Addresses) -> Result<()> {
    addresses.faults().await.into_iter().next().map_or(Ok(()), |fault| Err(Error::invalid(told(&fault))))
}

/// Why an address cannot be bound, and who has it.
pub(crate) fn told(fault: &BindError) -> String {
    match fault.is_taken().then(|| holder(fault.address().port())).flatten() {
        Some(who) => format!("{fault}: {who}."),
        None => format!("{fault}."),
    }
}

/// A sentence on a port that stands for two things.
fn twice(addresses: &Addresses) -> Option<String> {
    let kinds = [
        ("--https-port", addresses.https.as_slice()),
        ("--mqtt-port", &addresses.mqtt),
        ("--pki-port", &addresses.pki),
        ("--metrics-port", addresses.health.as_slice()),
    ];
    for (index, (flag, all)) in kinds.iter().enumerate() {
        for (other, others) in &kinds[index + 1..] {
            let clash = all.iter().find(|one| others.iter().any(|another| same(one, another)));
            if let Some(address) = clash {
                return Some(format!(
                    "{flag} and {other} are both {}: each needs a port of its own; 0 takes a free one.",
                    address.port()
                ));
            }
        }
    }
    None
}

/// Whether both cannot be bound at once.
fn same(one: &SocketAddr, other: &SocketAddr) -> bool {
    let (a, b) = (one.ip(), other.ip());
    one.port() != 0 && one.port() == other.port() && (a == b || a.is_unspecified() || b.is_unspecified())
}

/// 443 where every address lets us bind it, else 8443.
fn default_https_port(listen: &[IpAddr]) -> u16 {
    let free =
        listen.iter().filter(|address| !matches!(address, IpAddr::V6(ip) if ip.is_loopback()) || listen.len() == 1);
    let mut probes = free.map(|&address| TcpListener::bind(SocketAddr::new(address, HTTPS_PORT)));
    if probes.all(|probe| probe.is_ok()) { HTTPS_PORT } else { HTTPS_FALLBACK_PORT }
}

/// A port that is free now. Its URL goes into certificates before the front door binds it.
///
/// # Errors
/// `Invalid` where there is none.
pub(crate) fn free_port() -> Result<u16> {
    let probe = TcpListener::bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0));
    let address = probe.and_then(|listener| listener.local_addr());
    address
        .map(|address| address.port())
        .map_err(|error| Error::invalid(format!("No free port for --pki-port: {error}.")))
}

/// Who listens on a port, from Linux's tables; `None` where they do not say.
fn holder(port: u16) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let (user, socket) = tables.iter().flat_map(|table| table.lines()).find_map(|line| listener(line, port))?;
    // Not /proc/self and its like.
    let is_process = |name: &std::ffi::OsStr| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    let mut processes = std::fs::read_dir("/proc").ok()?.flatten().filter(|entry| is_process(&entry.file_name()));
    // The files of other users' processes are seen by root alone.
    let process = processes.find(|process| has_socket(&process.path(), &socket));
    Some(match process {
        Some(process) => {
            let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            format!("it is process {} ({})", process.file_name().display(), name.trim())
        }
        None => format!("it is one of user {user}"),
    })
}

/// User and socket of a line of `/proc/net/tcp` that is about a listener on `port`.
fn listener(line: &str, port: u16) -> Option<(String, String)> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let local = columns.get(1)?.rsplit(':').next()?;
    let listens = *columns.get(3)? == LISTENS && u16::from_str_radix(local, 16) == Ok(port);
    listens.then_some(())?;
    Some(((*columns.get(7)?).to_owned(), format!("socket:[{}]", columns.get(9)?)))
}

fn has_socket(process: &Path, socket: &str) -> bool {
    let files = std::fs::read_dir(process.join("fd"));
    files.is_ok_and(|files| {
        files.flatten().any(|file| std::fs::read_link(file.path()).is_ok_and(|link| link.as_os_str() == socket))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Vec<SocketAddr> {
        vec![text.parse().unwrap()]
    }

    #[test]
    fn a_port_does_one_thing() {
        let both = |https: &str, health: &str| {
            let addresses = Addresses {
                https: at(https),
                mqtt: at("127.0.0.1:0"),
                pki: at("127.0.0.1:0"),
                health: Some(health.parse().unwrap()),
            };
            twice(&addresses)
        };
        let clash = both("127.0.0.1:8443", "127.0.0.1:8443").unwrap();
        assert!(clash.starts_with("--https-port and --metrics-port are both 8443"), "{clash}");
        assert!(both("0.0.0.0:8443", "127.0.0.1:8443").is_some());
        assert!(both("192.0.2.1:8443", "127.0.0.1:8443").is_none(), "at another address");
        assert!(both("127.0.0.1:8443", "127.0.0.1:0").is_none(), "any free ones");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn who_has_a_port_is_told() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = Addresses { mqtt: vec![taken.local_addr().unwrap()], ..Addresses::default() };
        let error = check_free(&addresses).await.unwrap_err();
        let holder = format!("it is process {} (", std::process::id());
        assert!(
            error.message.contains("MQTT (--mqtt-port): cannot listen on") && error.message.contains(&holder),
            "{error}"
        );
        drop(taken);
        assert!(check_free(&addresses).await.is_ok());
    }
}
