//! `ferrohub proxy`: by which Azure's own clients, unchanged, reach this server under Azure's own names, and nothing else. A
//! CONNECT proxy on loopback: connections to our names go through as they are; those to Azure's end here, under a certificate
//! that the clients were told to trust, and go on to the server.
//!
//! | Module | What it is |
//! |---|---|
//! | [`identity`] | the certificate for Azure's names, and the root above it whose key is thrown away |
//! | [`way`] | which names and ports lead where |
//! | [`connect`] | the request of a client, and what is answered to it |
//! | [`tunnel`] | one connection from its first byte to its last |

mod connect;
mod identity;
mod tunnel;
mod way;

use crate::cli::ProxyArgs;
use crate::config::{Variables, default_data_dir};
use crate::data_dir::{read_bounded, write_atomically};
use crate::output::line;
use crate::signals::Signals;
use crate::{logs, own};
use ferrohub_client::profile;
use ferrohub_clock::SystemClock;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{PROXY_CERTIFICATE_DAYS, PROXY_CONNECTIONS};
use ferrohub_pki::random::SystemRandom;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tunnel::Proxy;

/// How `ferrohub env` finds a running proxy; gone when it ends in order.
const PROXY_FILE: &str = "proxy.json";
/// What clients behind the proxy trust, PEM: the server's CA, and the root for Azure's names.
const TRUST_FILE: &str = "proxy-ca.pem";
/// Held by the one proxy of a data folder.
const LOCK_FILE: &str = "proxy.lock";
/// Logs that a proxy shows where nothing else is said.
const LOG_LEVEL: &str = "info";

/// `proxy.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProxyFile {
    pid: u32,
    port: u16,
    ca_file: String,
}

impl ProxyFile {
    /// That of the proxy on a data folder, if one was started and did not end in order.
    ///
    /// # Errors
    /// `Invalid` where the file cannot be read.
    pub(crate) fn find(data_dir: &Path) -> Result<Option<Self>> {
        let path = data_dir.join(PROXY_FILE);
        if !path.exists() {
            return Ok(None);
        }
        let found = serde_json::from_slice(&read_bounded(&path)?);
        found.map(Some).map_err(|error| Error::invalid(format!("{} is not valid: {error}.", path.display())))
    }

    /// Its port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What its clients trust.
    pub(crate) fn ca_file(&self, data_dir: &Path) -> PathBuf {
        data_dir.join(&self.ca_file)
    }
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// A sentence on what keeps the proxy from starting.
pub(crate) async fn run(args: &ProxyArgs, variables: &Variables) -> Result<()> {
    let mut signals = Signals::listen()?;
    logs::start(args.log_format, args.log_level.as_deref().unwrap_or(LOG_LEVEL))?;
    let folder = match &args.data_dir {
        Some(folder) => folder.clone(),
        None => default_data_dir(variables)?,
    };
    let server = profile::read_server_file(&folder)?;
    let folder = folder.canonicalize().map_err(|error| unusable(&folder, &error))?;
    own::check(&folder)?;
    let _lock = lock(&folder)?;
    let ca_pem = read_bounded(&folder.join(&server.ca_file))?;
    let identity = identity::make(PROXY_CERTIFICATE_DAYS, &SystemRandom, &SystemClock).await?;
    let trust = [ca_pem.trim_ascii_end(), b"\n", identity.root_pem.as_bytes()].concat();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await.map_err(|error| {
        Error::invalid(format!(
            "Cannot listen on 127.0.0.1:{}: {error}. Choose another port with --port; 0 takes a free one.",
            args.port
        ))
    })?;
    let port = listener.local_addr().map_err(|error| Error::internal(format!("the proxy's port: {error}")))?.port();
    let proxy = Arc::new(Proxy::new(folder.clone(), ca_pem, identity, SystemClock::shared())?);
    let file = ProxyFile { pid: std::process::id(), port, ca_file: TRUST_FILE.to_owned() };
    write(&folder, TRUST_FILE, &trust)?;
    // Last: who finds this file finds the rest.
    write(&folder, PROXY_FILE, &serde_json::to_vec_pretty(&file).map_err(|error| Error::internal(error.to_string()))?)?;
    line(&format!(
        "ferrohub proxy ready on 127.0.0.1:{port} for the data folder {0}. In the shell of a script: eval \"$(ferrohub env --data-dir {0})\"",
        folder.display()
    ));
    tokio::select! {
        () = serve(&listener, &proxy) => {}
        () = signals.received() => {}
    }
    // A file that stays behind is found out by `ferrohub env`, which looks whether the port answers.
    let _ = std::fs::remove_file(folder.join(PROXY_FILE));
    Ok(())
}

/// Takes connections, so many at a time; the rest wait in the system's queue.
async fn serve(listener: &TcpListener, proxy: &Arc<Proxy>) {
    let places = Arc::new(Semaphore::new(PROXY_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((socket, _)) => {
                let proxy = Arc::clone(proxy);
                tokio::spawn(async move {
                    Box::pin(proxy.tunnel(socket)).await;
                    drop(place);
                });
            }
            // Such as no descriptor left: the next one may find one.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                ferrohub_model::clock::Clock::sleep(&SystemClock, tunnel::PAUSE).await;
            }
        }
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    write_atomically(folder, name, bytes, 0o644)
        .map_err(|error| Error::invalid(format!("Cannot write {}: {error}.", folder.join(name).display())))
}

fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK_FILE);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(&path).map_err(|error| unusable(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::conflict(format!(
            "A proxy runs on the data folder {} already; use it ('ferrohub env' knows it), or stop it first.",
            folder.display()
        ))),
        Err(TryLockError::Error(error)) => Err(unusable(&path, &error)),
    }
}

fn unusable(path: &Path, error: &std::io::Error) -> Error {
    Error::invalid(format!("Cannot use {}: {error}.", path.display()))
}
