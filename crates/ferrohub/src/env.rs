//! `ferrohub env`: the exports with which clients written for Azure reach this server through `ferrohub proxy`.

use crate::cli::{EnvArgs, Shell};
use crate::config::{Variables, default_data_dir};
use crate::output::print;
use crate::proxy::ProxyFile;
use ferrohub_client::environment::Environment;
use ferrohub_client::profile::{self, OwnerFile};
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::timeout;
use ferrohub_model::error::{Error, Result};
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpStream;

/// Longest wait for the proxy: ours.
const PATIENCE: Duration = Duration::from_secs(3);
/// What clients dial without a proxy. No name: `localhost` would take `{hub}.azure-devices.localhost` with it.
const NO_PROXY: &str = "127.0.0.1,::1";

/// Prints the exports.
///
/// # Errors
/// `Invalid` where no server or proxy runs on the data folder; the message says what to start.
pub(crate) async fn run(args: &EnvArgs, variables: &Variables, environment: &Environment) -> Result<()> {
    let folder = match &args.data_dir {
        Some(folder) => folder.clone(),
        None => default_data_dir(variables)?,
    };
    profile::read_server_file(&folder)?;
    let folder = folder
        .canonicalize()
        .map_err(|error| Error::invalid(format!("Cannot use the data folder {}: {error}.", folder.display())))?;
    let proxy = ProxyFile::find(&folder)?.ok_or_else(|| none_runs(&folder))?;
    let connecting = TcpStream::connect(("127.0.0.1", proxy.port()));
    if !matches!(timeout(&SystemClock, PATIENCE, connecting).await, Ok(Ok(_))) {
        return Err(none_runs(&folder));
    }
    let owner = profile::read_owner_file(&folder.join("owner.json"))?;
    let az = profile::config_dir(environment)?.join(format!("azure-cli-{}", label(&owner.tenant_id)));
    let exports = exports(&proxy, &folder, &az, &owner, args.credentials);
    let shell = args.shell.unwrap_or_else(|| Shell::of(variables.get("SHELL").map_or("", String::as_str)));
    for (name, value) in exports {
        print(&shell.export(name, &value))?;
    }
    Ok(())
}

fn none_runs(folder: &Path) -> Error {
    let folder = folder.display();
    Error::invalid(format!(
        "No proxy runs on the data folder {folder}. Start one beside the server, with 'ferrohub proxy --data-dir {folder}'."
    ))
}

/// A tenant's id as a part of a folder's name.
fn label(tenant: &str) -> String {
    tenant.chars().filter(char::is_ascii_alphanumeric).take(8).collect()
}

/// Names and values, in the order in which they are printed.
fn exports(
    proxy: &ProxyFile,
    folder: &Path,
    az: &Path,
    owner: &OwnerFile,
    credentials: bool,
) -> Vec<(&'static str, String)> {
    let url = format!("http://127.0.0.1:{}", proxy.port());
    let trust = proxy.ca_file(folder).display().to_string();
    let mut all = Vec::new();
    // curl, Python and Node look at the one or the other; paho-mqtt, which `az` and the device SDK use, at the third.
    all.extend(["HTTPS_PROXY", "https_proxy", "mqtt_proxy"].map(|name| (name, url.clone())));
    all.extend(["NO_PROXY", "no_proxy"].map(|name| (name, NO_PROXY.to_owned())));
    // python-requests; curl; OpenSSL (MQTT, AMQP); Node.
    let trusting = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"];
    all.extend(trusting.map(|name| (name, trust.clone())));
    all.push(("AZURE_CONFIG_DIR", az.display().to_string()));
    // Each would ask a host that is not there.
    all.extend(
        ["AZURE_CORE_COLLECT_TELEMETRY", "AZURE_EXTENSION_USE_DYNAMIC_INSTALL"].map(|name| (name, "no".to_owned())),
    );
    all.push(("AZURE_TENANT_ID", owner.tenant_id.clone()));
    if let Some(subscription) = &owner.subscription_id {
        all.push(("AZURE_SUBSCRIPTION_ID", subscription.clone()));
    }
    if credentials {
        all.push(("AZURE_CLIENT_ID", owner.client_id.clone()));
        all.push(("AZURE_CLIENT_SECRET", owner.client_secret.clone()));
    }
    all
}

impl Shell {
    /// The shell whose program is at `path`.
    fn of(path: &str) -> Self {
        match path.rsplit('/').next() {
            Some("fish") => Self::Fish,
            Some("pwsh" | "powershell") => Self::Powershell,
            _ => Self::Sh,
        }
    }

    /// One line that sets a variable for the programs that this shell starts.
    fn export(self, name: &str, value: &str) -> String {
        match self {
            Self::Sh => format!("export {name}='{}'", value.replace('\'', r"'\''")),
            Self::Fish => format!("set -gx {name} '{}';", value.replace('\\', r"\\").replace('\'', r"\'")),
            Self::Powershell => format!("$Env:{name} = '{}'", value.replace('\'', "''")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shell_quotes_in_its_own_way() {
        let value = r"it's \here $HOME";
        assert_eq!(Shell::Sh.export("A", value), r"export A='it'\''s \here $HOME'");
        assert_eq!(Shell::Fish.export("A", value), r"set -gx A 'it\'s \\here $HOME';");
        assert_eq!(Shell::Powershell.export("A", value), r"$Env:A = 'it''s \here $HOME'");
        assert_eq!(Shell::of("/usr/bin/fish"), Shell::Fish);
        assert_eq!(Shell::of("/bin/zsh"), Shell::Sh);
        assert_eq!(Shell::of("pwsh"), Shell::Powershell);
    }

    #[test]
    fn the_secret_is_printed_on_request_only() {
        let proxy: ProxyFile =
            serde_json::from_value(serde_json::json!({"pid": 1, "port": 8888, "caFile": "p.pem"})).unwrap();
        let owner: OwnerFile = serde_json::from_value(
            serde_json::json!({"tenantId": "t", "subscriptionId": "s", "clientId": "c", "clientSecret": "hidden"}),
        )
        .unwrap();
        let of = |credentials| exports(&proxy, Path::new("/d"), Path::new("/az"), &owner, credentials);
        let value = |all: &[(&str, String)], name: &str| {
            all.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
        };
        assert!(of(false).iter().all(|(_, value)| value != "hidden"));
        assert_eq!(value(&of(true), "AZURE_CLIENT_SECRET").as_deref(), Some("hidden"));
        assert_eq!(value(&of(false), "REQUESTS_CA_BUNDLE").as_deref(), Some("/d/p.pem"));
        assert_eq!(value(&of(false), "HTTPS_PROXY").as_deref(), Some("http://127.0.0.1:8888"));
    }
}
