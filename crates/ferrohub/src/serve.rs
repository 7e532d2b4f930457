//! The server: opens the engines, wires the rooms together, stops them in order.

use crate::cli::ServeArgs;
use crate::config::{Config, TokenConfig, Variables, WebhookHosts, unknown_variables};
use crate::data_dir::{CA_FILE, DataDir, OWNER_FILE, STORE_FILE, ServerFile, Urls};
use crate::output::{duration, endpoint, line, since};
use crate::signals::Signals;
use crate::{backup, descriptors, logs, master_key, owner_link, ports, tls_files};
use ferrohub_clock::SystemClock;
use ferrohub_frontdoor::{Frontdoor, FrontdoorConfig, HttpsWebhooks, Running, ServerIdentity, StartError};
use ferrohub_keys_pkcs11::Pkcs11Keys;
use ferrohub_messaging::disk::RealDisk;
use ferrohub_messaging_local::{LocalBus, LocalEventLog};
use ferrohub_model::clock::{Clock, timeout};
use ferrohub_model::error::{Error, Result};
use ferrohub_pki::random::SystemRandom;
use ferrohub_service::arm::types::Types;
use ferrohub_service::bootstrap::OwnerCredential;
use ferrohub_service::key_store::OtherKeys;
use ferrohub_service::platform::{Engines, Settings};
use ferrohub_service::provisioning::Webhooks;
use ferrohub_service::{Service, StartConfig, Started, tables};
use ferrohub_store::StoreError;
use ferrohub_store_sqlite::SqliteStore;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Logs that a server shows where nothing else is said.
const LOG_LEVEL: &str = "info";
/// Longest wait for the worker when the server stops: ours.
const WORKER_PATIENCE: Duration = Duration::from_secs(15);

/// A server that runs.
pub(crate) struct Server {
    folder: DataDir,
    file: ServerFile,
    /// Whether this start made the installation.
    is_first: bool,
    door: Running,
    worker: JoinHandle<()>,
    stop: watch::Sender<bool>,
    engines: Engines,
    // Last, so that engines close before the folder's lock is given up.
    service: Arc<Service>,
}

/// `ferrohub serve`: runs until SIGINT or SIGTERM.
///
/// # Errors
/// A sentence on what keeps the server from starting.
pub(crate) async fn run(args: &ServeArgs, variables: &Variables) -> Result<()> {
    let mut signals = Signals::listen()?;
    let config = Config::load(&args.server, variables)?;
    logs::start(config.log_format, config.log_level.as_deref().unwrap_or(LOG_LEVEL))?;
    warn_of_unknown(variables);
    let begun = SystemClock.monotonic();
    let server = signals.unless_received(start(&config), 0).await?;
    let file = server.file();
    tracing::info!(
        elapsed_ms = u64::try_from(since(begun).as_millis()).unwrap_or(u64::MAX),
        https_port = file.https_port,
        mqtt_port = file.mqtt_port,
        data_dir = %server.data_dir().path().display(),
        "ready"
    );
    line(&format!(
        "ferrohub {} ready in {}: {}, MQTT {}, data folder {}",
        file.version,
        duration(since(begun)),
        file.urls.resource_manager,
        endpoint(&file.address, file.mqtt_port),
        server.data_dir().path().display()
    ));
    owner_link::tell(file, server.data_dir().path(), server.is_first).await;
    signals.received().await;
    tracing::info!("stopping");
    server.stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// A typing error in a variable's name would otherwise pass in silence.
pub(crate) fn warn_of_unknown(variables: &Variables) {
    for name in unknown_variables(variables) {
        tracing::warn!(name, "environment variable is not known and does nothing");
    }
}

/// Starts a server on the configuration's data folder.
///
/// # Errors
/// A sentence on what keeps it from starting.
pub(crate) async fn start(config: &Config) -> Result<Server> {
    let connections = descriptors::connections()?;
    let from_files =
        config.tls.as_ref().map(|files| tls_files::load(files, &config.domain, &SystemClock)).transpose()?;
    let mut addresses = ports::addresses(config)?;
    if !config.data_dir.join(STORE_FILE).exists() {
        // A first start that cannot listen leaves nothing behind; who comes later is told first of a folder in use.
        ports::check_free(&addresses).await?;
    }
    let folder = DataDir::open(&config.data_dir)?;
    backup::clear(folder.path());
    let metrics = recorder()?;
    let master_key = master_key::load(config, &folder)?;
    let pki_port = match config.pki_port {
        Some(0) => Some(ports::free_port()?),
        other => other,
    };
    let mut engines = engines(&folder).await?;
    let master_key = master_key::settle(master_key, config, &folder, engines.store.as_ref()).await?;
    engines.keys = config.token.as_ref().map(token).transpose()?;
    let settings = Settings {
        domain: config.domain.clone(),
        pki_url: pki_port.map(|port| format!("http://{}:{port}", pki_host(&config.domain))),
    };
    let owner_file_missing = !folder.path().join(OWNER_FILE).exists();
    let webhooks = config.webhooks.as_ref().map(webhooks).transpose()?;
    let start = StartConfig { settings, master_key, owner_file_missing, types: Types::built_in(), webhooks };
    let started = Service::start(engines.clone(), start).await?;
    // A certificate from a file has an issuer of its own, which clients must trust instead of ours.
    let trusted = from_files.as_ref().map_or(started.ca_pem.as_bytes(), |identity| &identity.chain_pem);
    write_credentials(&folder, trusted, &started)?;
    let identity = from_files.unwrap_or_else(|| ServerIdentity::from(&started.server));
    let (service, is_first) = (started.service, started.is_first);
    for address in &mut addresses.pki {
        address.set_port(pki_port.unwrap_or_default());
    }
    let door = FrontdoorConfig { addresses, connections, identity, metrics: Some(metrics) };
    let door = Frontdoor::start(door, service.clone()).await.map_err(|error| not_open(&error))?;
    let (stop, stopped) = watch::channel(false);
    service.keep_logs(config.retention);
    let worker = tokio::spawn(service.clone().run_worker(stopped));
    let file = server_file(config, &door);
    // Last: who finds this file finds the rest.
    folder.write_server(&file)?;
    Ok(Server { folder, file, is_first, door, worker, stop, engines, service })
}

impl Server {
    /// What `server.json` says.
    pub(crate) fn file(&self) -> &ServerFile {
        &self.file
    }

    /// The data folder.
    pub(crate) fn data_dir(&self) -> &DataDir {
        &self.folder
    }

    /// Stops in order: the door first, then the worker, then the log and the store.
    pub(crate) async fn stop(self) {
        let Self { folder, door, mut worker, stop, engines, service, .. } = self;
        door.stop().await;
        // The worker is gone already if nobody listens.
        let _ = stop.send(true);
        if timeout(&SystemClock, WORKER_PATIENCE, &mut worker).await.is_err() {
            tracing::warn!("the worker did not end in time");
            worker.abort();
        }
        if let Err(error) = engines.log.close().await {
            tracing::error!(%error, context = error.context, "the event log could not be closed");
        }
        drop((service, engines));
        drop(folder);
    }
}

/// The way out to the webhooks that the configuration names.
fn webhooks(hosts: &WebhookHosts) -> Result<Arc<dyn Webhooks>> {
    let trusted = std::fs::read(&hosts.trust).map_err(|error| {
        Error::invalid(format!("Cannot read the trust file of webhooks {}: {error}.", hosts.trust.display()))
    })?;
    Ok(Arc::new(HttpsWebhooks::new(&hosts.allow, &trusted)?))
}

/// Writes what clients trust and, when this start made it, the owner's credential.
fn write_credentials(folder: &DataDir, trusted: &[u8], started: &Started) -> Result<()> {
    folder.write(CA_FILE, trusted, 0o644)?;
    started.owner.as_ref().map_or(Ok(()), |owner| write_owner(folder, owner))
}

/// Writes the owner's credential.
///
/// # Errors
/// `Invalid` where it cannot be written.
pub(crate) fn write_owner(folder: &DataDir, owner: &OwnerCredential) -> Result<()> {
    let text = serde_json::to_vec_pretty(owner).map_err(|error| Error::internal(error.to_string()))?;
    folder.write(OWNER_FILE, &text, 0o600)
}

fn recorder() -> Result<PrometheusHandle> {
    PrometheusBuilder::new().install_recorder().map_err(|error| Error::internal(format!("metrics: {error}")))
}

/// The PKCS#11 token as a key store. One that does not answer keeps no server from starting: only the namespaces whose
/// keys it has wait for it.
fn token(config: &TokenConfig) -> Result<OtherKeys> {
    let keys = Arc::new(Pkcs11Keys::new(config.settings.clone(), SystemClock::shared())?);
    let probed = Arc::clone(&keys);
    tokio::spawn(async move {
        if let Err(error) = probed.probe().await {
            tracing::warn!(%error, context = error.context, "the PKCS#11 token does not answer");
        }
    });
    Ok(OtherKeys { engine: keys, is_default: config.is_default })
}

/// Opens store, log and bus.
///
/// # Errors
/// A sentence on what is wrong with the files.
pub(crate) async fn engines(folder: &DataDir) -> Result<Engines> {
    let (store_path, log_path) = (folder.store(), folder.log());
    let clock = SystemClock::shared();
    let (store_clock, log_clock) = (clock.clone(), clock.clone());
    // The log was there before the store was, so a store without one has lost it.
    if store_path.exists() && !log_path.exists() {
        return Err(Error::invalid(format!(
            "The event log {} is missing, and with it every event that was stored; restore the folder from a backup, or make the folder, empty, to go on without them.",
            log_path.display()
        )));
    }
    // Opening reads and syncs files.
    let opened = tokio::task::spawn_blocking(move || -> Result<(SqliteStore, LocalEventLog)> {
        let log = LocalEventLog::open(
            Arc::new(RealDisk),
            &log_path,
            log_clock,
            ferrohub_messaging_local::Options::default(),
        )?;
        let store = SqliteStore::open(&store_path, tables::ALL, store_clock, ferrohub_store_sqlite::Options::default())
            .map_err(|error| unopened(&store_path, &error))?;
        Ok((store, log))
    });
    let (store, log) = opened.await.map_err(|error| Error::internal(format!("opening the engines: {error}")))??;
    Ok(Engines {
        store: Arc::new(store),
        log: Arc::new(log),
        bus: Arc::new(LocalBus::new()),
        clock,
        random: Arc::new(SystemRandom),
        keys: None,
    })
}

/// Why the store cannot be opened, and what to do.
fn unopened(path: &Path, error: &StoreError) -> Error {
    let remedy = match error {
        StoreError::Damaged(_) => {
            " Restore the data folder from a backup; 'ferrohub doctor' lists all that is damaged."
        }
        _ => "",
    };
    Error::invalid(format!("Cannot open the store {}: {error}.{remedy}", path.display()))
}

/// Why the door does not open.
fn not_open(error: &StartError) -> Error {
    match error {
        StartError::Bind(fault) => Error::invalid(ports::told(fault)),
        StartError::Tls(_) => Error::invalid(format!("{error}.")),
    }
}

fn server_file(config: &Config, door: &Running) -> ServerFile {
    let ports = door.ports();
    let dialled = config.listen.first().copied().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let address = match dialled {
        // Listening everywhere: local clients dial loopback.
        address if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        address => address,
    };
    ServerFile {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION"),
        domain: config.domain.clone(),
        address: address.to_string(),
        https_port: ports.https,
        mqtt_port: ports.mqtt,
        pki_port: ports.pki,
        metrics_port: ports.health.unwrap_or_default(),
        urls: Urls::of(&config.domain, ports.https),
        ca_file: CA_FILE,
    }
}

/// Names below localhost do not resolve everywhere.
fn pki_host(domain: &str) -> String {
    if domain == "localhost" { domain.to_owned() } else { format!("pki.{domain}") }
}
