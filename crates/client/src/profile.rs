//! Sign-in state and settings of the command line, and where the server's data folder is.
//!
//! State lives in `$FERROHUB_CONFIG_DIR`, else `~/.config/ferrohub`; never in `~/.azure`.

use crate::device::network::MQTT_PORT;
use crate::environment::Environment;
use crate::http::ServerAddress;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::CLIENT_FILE_BYTES;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Code of the error for a data folder on which no server has run.
pub const NO_SERVER: &str = "NoServerFile";

/// `server.json`: written by the server at each start. Members we do not know are ignored.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerFile {
    /// Domain of the server's names.
    pub domain: String,
    /// Address to dial.
    pub address: String,
    /// HTTPS port.
    pub https_port: u16,
    /// MQTT over TLS port.
    #[serde(default)]
    pub mqtt_port: Option<u16>,
    /// Base URLs.
    pub urls: ServerUrls,
    /// CA file, relative to the data folder.
    #[serde(default = "default_ca_file")]
    pub ca_file: String,
}

/// Base URLs of the control plane, without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerUrls {
    /// Azure Resource Manager.
    pub resource_manager: String,
    /// Sign-in (Entra).
    pub login: String,
    /// Microsoft Graph, without `/v1.0`.
    pub graph: String,
}

/// `owner.json`: the owner's service principal.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnerFile {
    /// Tenant id.
    pub tenant_id: String,
    /// First subscription.
    #[serde(default)]
    pub subscription_id: Option<String>,
    /// Application id.
    pub client_id: String,
    /// Secret.
    pub client_secret: String,
}

/// How to reach a server: everything a client needs before it signs in.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Where to dial.
    pub address: ServerAddress,
    /// Base URLs.
    pub urls: ServerUrls,
    /// Trusted CA certificates, PEM.
    pub ca_pem: Vec<u8>,
}

/// Where the profile's server is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum ServerReference {
    /// A local data folder; ports are read from its `server.json` each time.
    #[serde(rename_all = "camelCase")]
    DataFolder {
        /// Path of the folder.
        path: PathBuf,
    },
    /// A server elsewhere.
    #[serde(rename_all = "camelCase")]
    Remote {
        /// Domain of the server's names.
        domain: String,
        /// Host to dial.
        host: String,
        /// Port to dial.
        https_port: u16,
        /// Base URLs.
        urls: ServerUrls,
        /// CA file.
        ca_file: PathBuf,
    },
}

/// One subscription of the profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// Subscription id.
    pub id: String,
    /// Display name.
    pub name: String,
    /// `Enabled`, …
    pub state: String,
    /// Tenant.
    pub tenant_id: String,
    /// Whether commands use it when none is named.
    pub is_default: bool,
}

/// Who is signed in and where. Stored with mode 0600.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// The server.
    pub server: ServerReference,
    /// Tenant.
    pub tenant_id: String,
    /// Application id of the service principal.
    pub client_id: String,
    /// Secret; absent where the data folder's `owner.json` is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// Subscriptions seen at sign-in.
    pub subscriptions: Vec<Subscription>,
}

impl Profile {
    /// The signed-in profile, if there is one.
    ///
    /// # Errors
    /// `Invalid` where the file cannot be read or is not ours.
    pub fn load(environment: &Environment) -> Result<Option<Self>> {
        let path = config_dir(environment)?.join("profile.json");
        read_json(&path, "Delete it and run 'az login' again")
    }

    /// Stores the profile, readable by its owner only.
    ///
    /// # Errors
    /// `Invalid` where the file cannot be written.
    pub fn save(&self, environment: &Environment) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(|error| Error::internal(error.to_string()))?;
        write_private(&config_dir(environment)?.join("profile.json"), &text)
    }

    /// Removes the stored profile; fine where there is none.
    ///
    /// # Errors
    /// `Invalid` where the file cannot be removed.
    pub fn remove(environment: &Environment) -> Result<()> {
        let path = config_dir(environment)?.join("profile.json");
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::invalid(format!("Cannot remove {}: {error}.", path.display()))),
        }
    }

    /// The subscription that `choice` (a name or an id, ignoring case) or the default means.
    pub fn subscription(&self, choice: Option<&str>) -> Option<&Subscription> {
        match choice {
            Some(choice) => self
                .subscriptions
                .iter()
                .find(|one| one.id.eq_ignore_ascii_case(choice) || one.name.eq_ignore_ascii_case(choice)),
            None => self.subscriptions.iter().find(|one| one.is_default),
        }
    }

    /// The secret: the profile's own, else that of the data folder's `owner.json`.
    ///
    /// # Errors
    /// `Invalid` where neither has one for this client id.
    pub fn secret(&self) -> Result<String> {
        if let Some(secret) = &self.client_secret {
            return Ok(secret.clone());
        }
        if let ServerReference::DataFolder { path } = &self.server {
            let owner = read_owner_file(&path.join("owner.json"))?;
            if owner.client_id == self.client_id {
                return Ok(owner.client_secret);
            }
        }
        Err(Error::invalid("The data folder belongs to another owner than the one signed in. Run 'az login' again."))
    }
}

impl ServerReference {
    /// Reads what a client needs to reach the server.
    ///
    /// # Errors
    /// `Invalid` where a file is missing or malformed; the message says what to do.
    pub fn endpoint(&self) -> Result<Endpoint> {
        match self {
            Self::DataFolder { path } => {
                let server = read_server_file(path)?;
                Ok(Endpoint {
                    address: ServerAddress {
                        domain: server.domain,
                        host: server.address,
                        https_port: server.https_port,
                    },
                    urls: server.urls.trimmed(),
                    ca_pem: read_bounded(&path.join(&server.ca_file))?,
                })
            }
            Self::Remote { domain, host, https_port, urls, ca_file } => Ok(Endpoint {
                address: ServerAddress { domain: domain.clone(), host: host.clone(), https_port: *https_port },
                urls: urls.clone().trimmed(),
                ca_pem: read_bounded(ca_file)?,
            }),
        }
    }
}

impl ServerReference {
    /// The server's port for MQTT over TLS; of one elsewhere, that which Azure has.
    ///
    /// # Errors
    /// As [`ServerReference::endpoint`].
    pub fn mqtt_port(&self) -> Result<u16> {
        let known = match self {
            Self::DataFolder { path } => read_server_file(path)?.mqtt_port,
            Self::Remote { .. } => None,
        };
        Ok(known.unwrap_or(MQTT_PORT))
    }
}

impl ServerUrls {
    /// The same URLs without trailing slashes.
    #[must_use]
    pub fn trimmed(self) -> Self {
        let trim = |url: String| url.trim_end_matches('/').to_owned();
        Self { resource_manager: trim(self.resource_manager), login: trim(self.login), graph: trim(self.graph) }
    }
}

/// The folder of the command line's own state.
///
/// # Errors
/// `Invalid` where there is not even a home folder.
pub fn config_dir(environment: &Environment) -> Result<PathBuf> {
    if let Some(path) = environment.variable("FERROHUB_CONFIG_DIR") {
        return Ok(environment.path(path));
    }
    match environment.home() {
        Some(home) => Ok(home.join(".config").join("ferrohub")),
        None => Err(Error::invalid("There is no home folder to keep the sign-in in; set HOME or FERROHUB_CONFIG_DIR.")),
    }
}

/// The server's data folder: `$FERROHUB_DATA_DIR`, else `$XDG_DATA_HOME/ferrohub`, else
/// `~/.local/share/ferrohub`. It need not exist.
///
/// # Errors
/// `Invalid` where there is not even a home folder.
pub fn data_dir(environment: &Environment) -> Result<PathBuf> {
    if let Some(path) = environment.variable("FERROHUB_DATA_DIR") {
        return Ok(environment.path(path));
    }
    if let Some(path) = environment.variable("XDG_DATA_HOME") {
        return Ok(environment.path(path).join("ferrohub"));
    }
    match environment.home() {
        Some(home) => Ok(home.join(".local").join("share").join("ferrohub")),
        None => Err(Error::invalid("There is no home folder to look for the data folder in; set FERROHUB_DATA_DIR.")),
    }
}

/// The `server.json` of a data folder.
///
/// # Errors
/// [`NO_SERVER`] where it is missing (the server never ran there); `Invalid` where it cannot be read or is malformed.
pub fn read_server_file(data_dir: &Path) -> Result<ServerFile> {
    let path = data_dir.join("server.json");
    read_json(&path, "Restart 'ferrohub serve', which writes it anew")?.ok_or_else(|| {
        Error::invalid(format!(
            "{} does not exist: no server has run on this data folder. Start one with 'ferrohub serve' or 'ferrohub quickstart', \
             or name the folder of another in FERROHUB_DATA_DIR.",
            path.display()
        ))
        .with_code(NO_SERVER)
    })
}

/// The `owner.json` at `path`.
///
/// # Errors
/// `Invalid` where it is missing or malformed.
pub fn read_owner_file(path: &Path) -> Result<OwnerFile> {
    let file =
        read_json(path, "If it is a data folder's, delete it and restart 'ferrohub serve', which makes a new one")?;
    file.ok_or_else(|| {
        Error::invalid(format!(
            "{} does not exist. If it is a data folder's, restart 'ferrohub serve', which makes a new one; or sign in with \
             'az login --service-principal -u APP_ID -p SECRET -t TENANT'.",
            path.display()
        ))
    })
}

/// Settings of `az config`: section, then key, then value.
pub type Settings = BTreeMap<String, BTreeMap<String, String>>;

/// The stored settings; empty where there are none.
///
/// # Errors
/// `Invalid` where the file is not TOML of two levels.
pub fn load_settings(environment: &Environment) -> Result<Settings> {
    let path = config_dir(environment)?.join("config.toml");
    let Some(bytes) = read_if_there(&path)? else { return Ok(Settings::new()) };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    toml::from_str(&text).map_err(|error| Error::invalid(format!("{} is not valid: {error}.", path.display())))
}

/// Stores the settings.
///
/// # Errors
/// `Invalid` where the file cannot be written.
pub fn save_settings(environment: &Environment, settings: &Settings) -> Result<()> {
    let text = toml::to_string(settings).map_err(|error| Error::internal(error.to_string()))?;
    write_private(&config_dir(environment)?.join("config.toml"), text.as_bytes())
}

fn default_ca_file() -> String {
    "ca.pem".to_owned()
}

/// Reads a JSON file, `None` where there is none; `remedy` says what to do about a damaged one.
fn read_json<T: DeserializeOwned>(path: &Path, remedy: &str) -> Result<Option<T>> {
    let Some(bytes) = read_if_there(path)? else { return Ok(None) };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| Error::invalid(format!("{} is not valid: {error}. {remedy}.", path.display())))
}

/// Reads a file of at most `CLIENT_FILE_BYTES`.
///
/// # Errors
/// `Invalid` where it cannot be read or is larger.
pub fn read_bounded(path: &Path) -> Result<Vec<u8>> {
    let unreadable = |error: std::io::Error| unreadable(path, &error);
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > CLIENT_FILE_BYTES {
        return Err(Error::invalid(format!(
            "{} is {size} bytes; at most {CLIENT_FILE_BYTES} are read.",
            path.display()
        )));
    }
    std::fs::read(path).map_err(unreadable)
}

/// The same for a file that may be missing: only one that is not there counts as that, none that is somebody else's.
fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(path, &error)),
        Ok(_) => read_bounded(path).map(Some),
    }
}

/// Why `path` cannot be read; where that is a matter of rights, with who has them.
pub fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let whose = if error.kind() == ErrorKind::PermissionDenied { whose(path) } else { String::new() };
    Error::invalid(format!("Cannot read {}: {error}.{whose}", path.display()))
}

/// A sentence on whom `path` belongs to, or the nearest folder above it that can be seen.
#[cfg(unix)]
fn whose(path: &Path) -> String {
    let seen = path.ancestors().find_map(|at| Some((at, std::fs::metadata(at).ok()?)));
    seen.map_or_else(String::new, |(at, metadata)| {
        let user = std::os::unix::fs::MetadataExt::uid(&metadata);
        format!(" {} belongs to user {user}: run this as that user.", at.display())
    })
}

#[cfg(not(unix))]
fn whose(_path: &Path) -> String {
    String::new()
}

/// Writes `bytes` to `path` by way of a file beside it, mode 0600, in a folder of mode 0700.
fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |error: std::io::Error| Error::invalid(format!("Cannot write {}: {error}.", path.display()));
    if let Some(folder) = path.parent() {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(failed)?;
    }
    // The process id keeps two commands that run at once from writing into one file.
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let _ = std::fs::remove_file(&beside);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    drop(file);
    std::fs::rename(&beside, path).map_err(failed)
}
