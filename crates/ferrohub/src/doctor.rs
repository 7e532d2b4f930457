//! `ferrohub doctor`: looks at what commonly goes wrong, and says what to do.

use crate::cli::DoctorArgs;
use crate::config::{Config, TokenConfig, Variables, unknown_variables};
use crate::data_dir::{CA_FILE, DataDir, OWNER_FILE, SERVER_FILE, STORE_FILE, read_bounded};
use crate::output::{endpoint, print};
use crate::{own, ports};
use ferrohub_client::profile::{self, NO_SERVER, ServerFile};
use ferrohub_clock::SystemClock;
use ferrohub_keys_pkcs11::Pkcs11Keys;
use ferrohub_messaging::disk::RealDisk;
use ferrohub_messaging_local::LocalEventLog;
use ferrohub_model::clock::{Clock, timeout};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_pki::ca_fault::CaFault;
use ferrohub_pki::certificate::Certificate;
use ferrohub_service::tables;
use ferrohub_store_sqlite::SqliteStore;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};

/// Longest wait for a port or a name: ours.
const PATIENCE: Duration = Duration::from_secs(3);

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grade {
    Good,
    /// Works, but some clients will need help.
    Hint,
    Bad,
}

/// Prints the findings; `false` where something does not work.
///
/// # Errors
/// `Invalid` where the configuration cannot be read.
pub(crate) async fn run(args: &DoctorArgs, variables: &Variables) -> Result<bool> {
    let config = Config::load(&args.server, variables)?;
    let mut findings = Findings(Vec::new());
    for name in unknown_variables(variables) {
        findings.add(Grade::Hint, format!("the environment variable {name} is not known and does nothing"));
    }
    folder(&config.data_dir, &mut findings);
    let is_installed = config.data_dir.join(STORE_FILE).exists();
    let runs = is_installed && damage(&config.data_dir, &mut findings).await?;
    if let Some(token) = &config.token {
        findings.token(token).await?;
    }
    let server = match profile::read_server_file(&config.data_dir) {
        Ok(server) => Some(server),
        Err(error) => {
            match error.code {
                // Put back from a backup, say: it is as good as any.
                NO_SERVER if is_installed => findings.add(Grade::Hint, error.message),
                // Told of by what was looked at before.
                NO_SERVER if !config.data_dir.exists() => {}
                _ => findings.add(Grade::Bad, error.message),
            }
            None
        }
    };
    let running = server.as_ref().filter(|_| runs);
    if let Some(server) = running {
        answering_ports(server, &mut findings).await;
    }
    free_ports(&config, running, &mut findings).await;
    let domain = server.as_ref().map_or(config.domain.as_str(), |server| server.domain.as_str());
    names(domain, args.hub.as_deref(), server.as_ref(), &mut findings).await;
    findings.print()
}

fn folder(path: &Path, findings: &mut Findings) {
    match std::fs::metadata(path) {
        Err(error) => {
            findings.add(Grade::Bad, format!("data folder {}: {error}; 'ferrohub serve' makes it", path.display()));
            return;
        }
        Ok(metadata) if metadata.mode() & 0o077 != 0 && metadata.mode() & 0o022 == 0 => {
            findings.add(
                Grade::Hint,
                format!("data folder {} is open to others; run 'chmod 700 {}'", path.display(), path.display()),
            );
        }
        Ok(_) => {}
    }
    let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    match own::fault(&place, rustix::process::geteuid().as_raw()) {
        None => findings.add(Grade::Good, format!("data folder {}", path.display())),
        Some(sentence) => findings.add(Grade::Bad, sentence),
    }
    let certificates =
        read_bounded(&path.join(CA_FILE)).and_then(|pem| Certificate::chain_from_pem(&String::from_utf8_lossy(&pem)));
    match certificates {
        Ok(chain) if !chain.is_empty() => findings.dates(&path.join(CA_FILE), &chain[0]),
        Ok(_) => findings.add(
            Grade::Bad,
            format!("CA file {} holds no certificate; start the server once", path.join(CA_FILE).display()),
        ),
        Err(error) => findings.add(Grade::Bad, format!("CA file: {}", error.message)),
    }
    match std::fs::metadata(path.join(OWNER_FILE)) {
        Ok(metadata) if metadata.mode() & 0o077 == 0 => {
            findings.add(Grade::Good, format!("owner's credential {}", path.join(OWNER_FILE).display()))
        }
        Ok(_) => {
            let file = path.join(OWNER_FILE);
            findings.add(
                Grade::Bad,
                format!("{} can be read by others; run 'chmod 600 {}'", file.display(), file.display()),
            );
        }
        Err(error) => {
            findings.add(Grade::Hint, format!("owner's credential {}: {error}", path.join(OWNER_FILE).display()))
        }
    }
}

/// Store and log from end to end, where no server has them open; whether one has.
async fn damage(path: &Path, findings: &mut Findings) -> Result<bool> {
    let folder = match DataDir::open(path) {
        Ok(folder) => folder,
        Err(error) if error.kind == ErrorKind::Conflict => {
            findings.add(
                Grade::Good,
                "store and event log are in use and not checked; stop the server to have them checked".to_owned(),
            );
            return Ok(true);
        }
        // Told of by what was looked at before.
        Err(_) => return Ok(false),
    };
    findings.add(Grade::Hint, "no server runs on the data folder; 'ferrohub serve' starts one".to_owned());
    let found = tokio::task::spawn_blocking(move || {
        let store = SqliteStore::check(&folder.store(), tables::ALL).map_err(|error| error.to_string());
        let log = LocalEventLog::check(&RealDisk, &folder.log()).map_err(|error| error.to_string());
        (folder, store, log)
    });
    let (folder, store, log) = found.await.map_err(|error| Error::internal(format!("checking files: {error}")))?;
    for (what, path, faults) in [("store", folder.store(), store), ("event log", folder.log(), log)] {
        match faults {
            Ok(faults) if faults.is_empty() => findings.add(Grade::Good, format!("{what} {} is whole", path.display())),
            Ok(faults) => {
                for fault in faults {
                    findings.add(Grade::Bad, format!("{what}: {fault}; restore the data folder from a backup"));
                }
            }
            Err(error) => findings.add(Grade::Bad, format!("{what} {}: {error}", path.display())),
        }
    }
    Ok(false)
}

/// The ports of a server that runs.
async fn answering_ports(server: &ServerFile, findings: &mut Findings) {
    let mqtt = server.mqtt_port.map(|port| ("MQTT", port));
    for (what, port) in [("HTTPS", server.https_port)].into_iter().chain(mqtt) {
        let address = endpoint(&server.address, port);
        match timeout(&SystemClock, PATIENCE, TcpStream::connect((server.address.as_str(), port))).await {
            Ok(Ok(_)) => findings.add(Grade::Good, format!("{what} answers at {address}")),
            Ok(Err(error)) => findings.add(
                Grade::Bad,
                format!("{what} does not answer at {address} ({error}), although a server has the data folder: it starts or stops, or {SERVER_FILE} is not its own"),
            ),
            Err(_) => {
                findings.add(Grade::Bad, format!("{what} at {address} does not answer; look for a firewall in between"))
            }
        }
    }
}

/// The ports that the next start takes; beside a server that runs, those that are asked for and not its own.
async fn free_ports(config: &Config, running: Option<&ServerFile>, findings: &mut Findings) {
    let mut addresses = match ports::addresses(config) {
        Ok(addresses) => addresses,
        Err(error) => return findings.add(Grade::Bad, error.message),
    };
    if let Some(server) = running {
        // Which others it has, its file does not tell clients.
        (addresses.pki, addresses.health) = (Vec::new(), None);
        if [None, Some(server.https_port)].contains(&config.https_port) {
            addresses.https.clear();
        }
        if config.mqtt_port.is_none() || config.mqtt_port == server.mqtt_port {
            addresses.mqtt.clear();
        }
        if addresses.https.is_empty() && addresses.mqtt.is_empty() {
            return;
        }
    }
    let faults = addresses.faults().await;
    for fault in &faults {
        // Of what nobody asked for, another port may be meant.
        let is_asked = [config.https_port, config.mqtt_port, config.pki_port, config.metrics_port]
            .contains(&Some(fault.address().port()));
        findings.add(if is_asked { Grade::Bad } else { Grade::Hint }, ports::told(fault));
    }
    if faults.is_empty() {
        let named: Vec<String> =
            [addresses.https.first(), addresses.mqtt.first(), addresses.pki.first(), addresses.health.as_ref()]
                .into_iter()
                .flatten()
                .filter(|address| address.port() != 0)
                .map(|address| address.port().to_string())
                .collect();
        findings.add(Grade::Good, format!("ports for the next start are free: {}", named.join(", ")));
    }
}

async fn names(domain: &str, hub: Option<&str>, server: Option<&ServerFile>, findings: &mut Findings) {
    let hub = hub.map_or_else(|| "any-hub".to_owned(), str::to_lowercase);
    let wanted = [
        domain.to_owned(),
        format!("{hub}.azure-devices.{domain}"),
        format!("global.azure-devices-provisioning.{domain}"),
    ];
    let mut missing = Vec::new();
    for name in wanted {
        let found = timeout(&SystemClock, PATIENCE, lookup_host((name.as_str(), 443))).await;
        match found.ok().and_then(std::result::Result::ok).and_then(|mut addresses| addresses.next()) {
            Some(address) => findings.add(Grade::Good, format!("{name} resolves to {}", address.ip())),
            None => missing.push(name),
        }
    }
    if !missing.is_empty() {
        let address = server.map_or("127.0.0.1", |server| server.address.as_str());
        findings.add(Grade::Hint, remedy(&missing, domain, address));
    }
}

/// What to do about names that do not resolve. Our own clients dial the address and need nothing.
fn remedy(missing: &[String], domain: &str, address: &str) -> String {
    let line = format!("'{address} {}'", missing.join(" "));
    let resolver = if domain == "localhost" || domain.ends_with(".localhost") {
        ", or install the resolver for *.localhost (Debian: apt install libnss-myhostname)"
    } else {
        ", or add them to your DNS"
    };
    format!(
        "{} not resolve: Azure's clients that dial these names need the line {line} in /etc/hosts (with your own hub's name){resolver}; \
         'ferrohub az' and 'ferrohub device' need nothing, device SDKs can use GatewayHostName={domain}",
        if missing.len() == 1 { format!("{} does", missing[0]) } else { format!("{} do", missing.join(", ")) }
    )
}

struct Findings(Vec<(Grade, String)>);

impl Findings {
    /// A CA whose dates do not fit makes every client fail, with words that point elsewhere.
    fn dates(&mut self, file: &Path, ca: &Certificate) {
        let day = |at: jiff::Timestamp| at.strftime("%Y-%m-%d %H:%M UTC").to_string();
        let (file, until) = (file.display(), day(ca.not_after()));
        match ca.time_fault(SystemClock.now()) {
            None => self.add(Grade::Good, format!("CA file {file} ({}, until {until})", ca.subject())),
            Some(CaFault::NotYetValid(start)) => self.add(
                Grade::Bad,
                format!(
                    "CA file {file}: {} is not valid before {}, and this machine's clock says {}: set the clock right; if the folder was made under a clock that stood ahead, make it anew",
                    ca.subject(),
                    day(start),
                    day(SystemClock.now())
                ),
            ),
            Some(fault) => self.add(
                Grade::Bad,
                format!("CA file {file}: {} {fault}; this machine's clock says {}", ca.subject(), day(SystemClock.now())),
            ),
        }
    }

    /// The PKCS#11 token, with a log-in.
    async fn token(&mut self, config: &TokenConfig) -> Result<()> {
        let keys = Pkcs11Keys::new(config.settings.clone(), SystemClock::shared())?;
        match keys.probe().await {
            Ok(()) => self.add(Grade::Good, format!("PKCS#11 token '{}' answers", config.settings.token)),
            Err(error) => {
                let detail = error.context.map(|context| format!(" ({context})")).unwrap_or_default();
                self.add(Grade::Bad, format!("{}{detail}", error.message));
            }
        }
        Ok(())
    }

    fn add(&mut self, grade: Grade, text: String) {
        self.0.push((grade, text));
    }

    /// Prints every finding; `false` where one is bad.
    fn print(&self) -> Result<bool> {
        for (grade, text) in &self.0 {
            let mark = match grade {
                Grade::Good => "ok   ",
                Grade::Hint => "hint ",
                Grade::Bad => "BAD  ",
            };
            print(&format!("{mark} {text}"))?;
        }
        Ok(self.0.iter().all(|(grade, _)| *grade != Grade::Bad))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_names_the_line_to_add() {
        let missing =
            ["h.azure-devices.localhost".to_owned(), "global.azure-devices-provisioning.localhost".to_owned()];
        let text = remedy(&missing, "localhost", "127.0.0.1");
        assert!(
            text.contains("'127.0.0.1 h.azure-devices.localhost global.azure-devices-provisioning.localhost'"),
            "{text}"
        );
        assert!(text.contains("libnss-myhostname"), "{text}");
        assert!(remedy(&missing[..1], "iot.example", "192.0.2.1").contains("DNS"));
    }

    #[test]
    fn a_missing_folder_is_bad_and_a_hint_is_not() {
        let mut findings = Findings(Vec::new());
        findings.add(Grade::Hint, "x".into());
        assert!(findings.print().unwrap());
        folder(Path::new("/nonexistent/ferrohub"), &mut findings);
        assert!(!findings.print().unwrap());
    }
}
