//! Configuration: a TOML file, then environment variables, then flags; the later one wins.

mod retention;

use crate::cli::ServerFlags;
use crate::logs::LogFormat;
use ferrohub_keys_pkcs11::Pin;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::CONFIGURATION_FILE_BYTES;
use ferrohub_service::platform::Retention;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Every variable that we read; others that start with `FERROHUB_` are reported as unknown.
const VARIABLES: [&str; 26] = [
    "FERROHUB_CONFIG",
    "FERROHUB_CONFIG_DIR",
    "FERROHUB_DATA_DIR",
    "FERROHUB_DEVICE_KEY",
    "FERROHUB_DOMAIN",
    "FERROHUB_LISTEN",
    "FERROHUB_HTTPS_PORT",
    "FERROHUB_MQTT_PORT",
    "FERROHUB_PKI_PORT",
    "FERROHUB_METRICS_PORT",
    "FERROHUB_TLS_CERTIFICATE",
    "FERROHUB_TLS_KEY",
    "FERROHUB_WEBHOOKS_ALLOW",
    "FERROHUB_WEBHOOKS_TRUST",
    "FERROHUB_MASTER_KEY",
    "FERROHUB_MASTER_KEY_FILE",
    "FERROHUB_PKCS11_MODULE",
    "FERROHUB_PKCS11_TOKEN",
    "FERROHUB_PKCS11_PIN",
    "FERROHUB_PKCS11_PIN_FILE",
    "FERROHUB_PKCS11_DEFAULT",
    "FERROHUB_BACKUP_PASSPHRASE",
    "FERROHUB_ACTIVITY_DAYS",
    "FERROHUB_AUDIT_DAYS",
    "FERROHUB_LOG_FORMAT",
    "FERROHUB_LOG_LEVEL",
];

/// The environment variables of the process, as a value.
pub(crate) type Variables = BTreeMap<String, String>;

/// Where the key that wraps all others comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MasterKeySource {
    /// A file of hex or base64 text, made at the first start if it is missing.
    File(PathBuf),
    /// The environment variable `FERROHUB_MASTER_KEY`, hex or base64.
    Environment,
}

/// Server certificate and key from files, PEM.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsFiles {
    /// Certificate chain, leaf first.
    pub(crate) certificate: PathBuf,
    /// Private key.
    pub(crate) key: PathBuf,
}

/// Webhooks of custom allocation that the server may ask.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookHosts {
    /// Hosts, each with a port where it is not 443; `*.` in front stands for all names below.
    pub(crate) allow: Vec<String>,
    /// CA certificates that vouch for them, PEM.
    pub(crate) trust: PathBuf,
}

/// A PKCS#11 token beside the key store in the data folder.
#[derive(Debug, Clone)]
pub(crate) struct TokenConfig {
    pub(crate) settings: ferrohub_keys_pkcs11::Settings,
    /// Whether the keys of namespaces that do not say otherwise are made in it.
    pub(crate) is_default: bool,
}

/// What the server runs with.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) domain: String,
    pub(crate) listen: Vec<IpAddr>,
    /// `None`: 443 where it may be bound, else 8443.
    pub(crate) https_port: Option<u16>,
    /// `None`: 8883.
    pub(crate) mqtt_port: Option<u16>,
    /// `None`: off.
    pub(crate) pki_port: Option<u16>,
    /// `None`: 9464.
    pub(crate) metrics_port: Option<u16>,
    pub(crate) tls: Option<TlsFiles>,
    /// `None`: no webhook is asked.
    pub(crate) webhooks: Option<WebhookHosts>,
    pub(crate) master_key: Option<MasterKeySource>,
    pub(crate) token: Option<TokenConfig>,
    /// For how long the activity log and the audit log are kept.
    pub(crate) retention: Retention,
    pub(crate) log_format: Option<LogFormat>,
    pub(crate) log_level: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    data_dir: Option<PathBuf>,
    domain: Option<String>,
    listen: Option<Vec<IpAddr>>,
    https_port: Option<u16>,
    mqtt_port: Option<u16>,
    pki_port: Option<u16>,
    metrics_port: Option<u16>,
    tls: Option<TlsFiles>,
    webhooks: Option<WebhookHosts>,
    #[serde(default)]
    master_key: MasterKeyFile,
    #[serde(default)]
    pkcs11: TokenFile,
    #[serde(default)]
    retention: retention::RetentionFile,
    #[serde(default)]
    log: LogFile,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct MasterKeyFile {
    file: Option<PathBuf>,
    env: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenFile {
    module: Option<PathBuf>,
    token: Option<String>,
    pin_file: Option<PathBuf>,
    default: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogFile {
    format: Option<LogFormat>,
    level: Option<String>,
}

impl Config {
    /// Reads the file that `--config` or `FERROHUB_CONFIG` names, if any, and lays variables and flags over it.
    ///
    /// # Errors
    /// `Invalid` naming the file, variable or key that is wrong.
    pub(crate) fn load(flags: &ServerFlags, variables: &Variables) -> Result<Self> {
        let named = flags.config.clone().or_else(|| text(variables, "FERROHUB_CONFIG").map(PathBuf::from));
        let file = match named {
            Some(path) => read_file(&path)?,
            None => ConfigFile::default(),
        };
        let data_dir = match flags.data_dir.clone().or_else(|| path(variables, "FERROHUB_DATA_DIR")).or(file.data_dir) {
            Some(folder) => folder,
            None => default_data_dir(variables)?,
        };
        let config = Self {
            data_dir,
            domain: flags
                .domain
                .clone()
                .or_else(|| text(variables, "FERROHUB_DOMAIN"))
                .or(file.domain)
                .unwrap_or_else(|| "localhost".to_owned()),
            listen: pick(flags.listen.clone(), listen(variables)?, file.listen).unwrap_or_else(loopback),
            https_port: pick(flags.https_port, port(variables, "FERROHUB_HTTPS_PORT")?, file.https_port),
            mqtt_port: pick(flags.mqtt_port, port(variables, "FERROHUB_MQTT_PORT")?, file.mqtt_port),
            pki_port: pick(flags.pki_port, port(variables, "FERROHUB_PKI_PORT")?, file.pki_port),
            metrics_port: pick(flags.metrics_port, port(variables, "FERROHUB_METRICS_PORT")?, file.metrics_port),
            tls: tls(variables, file.tls)?,
            webhooks: webhooks(variables, file.webhooks)?,
            master_key: master_key(variables, &file.master_key)?,
            token: token(variables, file.pkcs11)?,
            retention: retention::read(variables, &file.retention)?,
            log_format: pick(flags.log_format, log_format(variables)?, file.log.format),
            log_level: flags.log_level.clone().or_else(|| text(variables, "FERROHUB_LOG_LEVEL")).or(file.log.level),
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let label_ok = |label: &str| {
            let legal = label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            !label.is_empty() && label.len() <= 63 && legal && !label.starts_with('-') && !label.ends_with('-')
        };
        if self.domain.len() > 200 || !self.domain.split('.').all(label_ok) {
            return Err(Error::invalid(format!(
                "The domain '{}' is not valid: give lower-case DNS labels joined by dots, such as 'localhost' or 'iot.example.com'.",
                self.domain
            )));
        }
        if self.listen.is_empty() {
            return Err(Error::invalid("'listen' names no address; leave it out to listen on 127.0.0.1 and ::1."));
        }
        Ok(())
    }
}

/// Variables that look like ours but are not known: a typing error would otherwise pass in silence.
pub(crate) fn unknown_variables(variables: &Variables) -> Vec<&str> {
    let ours = variables.keys().map(String::as_str).filter(|name| name.starts_with("FERROHUB_"));
    ours.filter(|name| !VARIABLES.contains(name)).collect()
}

/// `$FERROHUB_DATA_DIR`, else `$XDG_DATA_HOME/ferrohub`, else `~/.local/share/ferrohub`.
///
/// # Errors
/// `Invalid` where there is not even a home folder.
pub(crate) fn default_data_dir(variables: &Variables) -> Result<PathBuf> {
    if let Some(folder) = path(variables, "FERROHUB_DATA_DIR") {
        return Ok(folder);
    }
    if let Some(folder) = path(variables, "XDG_DATA_HOME").filter(|folder| folder.is_absolute()) {
        return Ok(folder.join("ferrohub"));
    }
    match path(variables, "HOME") {
        Some(home) => Ok(home.join(".local").join("share").join("ferrohub")),
        None => Err(Error::invalid("There is no home folder to put the data folder in; name one with --data-dir.")),
    }
}

fn pick<T>(flag: Option<T>, variable: Option<T>, file: Option<T>) -> Option<T> {
    flag.or(variable).or(file)
}

fn text(variables: &Variables, name: &str) -> Option<String> {
    variables.get(name).filter(|value| !value.is_empty()).cloned()
}

fn path(variables: &Variables, name: &str) -> Option<PathBuf> {
    text(variables, name).map(PathBuf::from)
}

fn port(variables: &Variables, name: &str) -> Result<Option<u16>> {
    let Some(value) = text(variables, name) else { return Ok(None) };
    let parsed =
        value.parse().map_err(|_| Error::invalid(format!("{name} is '{value}', which is no port (0 to 65535).")))?;
    Ok(Some(parsed))
}

fn listen(variables: &Variables) -> Result<Option<Vec<IpAddr>>> {
    let Some(value) = text(variables, "FERROHUB_LISTEN") else { return Ok(None) };
    let address = |part: &str| {
        part.trim().parse().map_err(|_| {
            Error::invalid(format!(
                "FERROHUB_LISTEN has '{part}', which is no IP address; separate addresses by commas."
            ))
        })
    };
    value.split(',').map(address).collect::<Result<Vec<_>>>().map(Some)
}

fn log_format(variables: &Variables) -> Result<Option<LogFormat>> {
    match text(variables, "FERROHUB_LOG_FORMAT").as_deref() {
        None => Ok(None),
        Some("text") => Ok(Some(LogFormat::Text)),
        Some("json") => Ok(Some(LogFormat::Json)),
        Some(other) => Err(Error::invalid(format!("FERROHUB_LOG_FORMAT is '{other}'; 'text' and 'json' are known."))),
    }
}

fn tls(variables: &Variables, file: Option<TlsFiles>) -> Result<Option<TlsFiles>> {
    match (path(variables, "FERROHUB_TLS_CERTIFICATE"), path(variables, "FERROHUB_TLS_KEY")) {
        (None, None) => Ok(file),
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
        _ => Err(Error::invalid("FERROHUB_TLS_CERTIFICATE and FERROHUB_TLS_KEY belong together; set both or none.")),
    }
}

fn webhooks(variables: &Variables, file: Option<WebhookHosts>) -> Result<Option<WebhookHosts>> {
    match (text(variables, "FERROHUB_WEBHOOKS_ALLOW"), path(variables, "FERROHUB_WEBHOOKS_TRUST")) {
        (None, None) => Ok(file),
        (Some(hosts), Some(trust)) => {
            Ok(Some(WebhookHosts { allow: hosts.split(',').map(|host| host.trim().to_owned()).collect(), trust }))
        }
        _ => Err(Error::invalid(
            "FERROHUB_WEBHOOKS_ALLOW and FERROHUB_WEBHOOKS_TRUST belong together; set both or none.",
        )),
    }
}

fn master_key(variables: &Variables, file: &MasterKeyFile) -> Result<Option<MasterKeySource>> {
    if file.file.is_some() && file.env == Some(true) {
        return Err(Error::invalid("'master_key' has both 'file' and 'env'; keep one."));
    }
    if text(variables, "FERROHUB_MASTER_KEY").is_some() || file.env == Some(true) {
        return Ok(Some(MasterKeySource::Environment));
    }
    Ok(path(variables, "FERROHUB_MASTER_KEY_FILE").or_else(|| file.file.clone()).map(MasterKeySource::File))
}

/// The token, where one is named. The PIN itself is in no configuration file, which others may read.
fn token(variables: &Variables, file: TokenFile) -> Result<Option<TokenConfig>> {
    let module = path(variables, "FERROHUB_PKCS11_MODULE").or(file.module);
    let label = text(variables, "FERROHUB_PKCS11_TOKEN").or(file.token);
    let is_default = match text(variables, "FERROHUB_PKCS11_DEFAULT").as_deref() {
        None => file.default.unwrap_or(false),
        Some("true") => true,
        Some("false") => false,
        Some(other) => {
            return Err(Error::invalid(format!("FERROHUB_PKCS11_DEFAULT is '{other}'; 'true' and 'false' are known.")));
        }
    };
    let given = text(variables, "FERROHUB_PKCS11_PIN").map(|pin| Pin::Given(Zeroizing::new(pin)));
    let pin = given.or_else(|| path(variables, "FERROHUB_PKCS11_PIN_FILE").or(file.pin_file).map(Pin::File));
    let (Some(module), Some(token), Some(pin)) = (&module, &label, &pin) else {
        if module.is_none() && label.is_none() && pin.is_none() && !is_default {
            return Ok(None);
        }
        return Err(Error::invalid(
            "A PKCS#11 token needs three settings: 'module' (the vendor's library), 'token' (its label) under [pkcs11], and 'pin_file', or the PIN in FERROHUB_PKCS11_PIN.",
        ));
    };
    let settings = ferrohub_keys_pkcs11::Settings { module: module.clone(), token: token.clone(), pin: pin.clone() };
    Ok(Some(TokenConfig { settings, is_default }))
}

fn loopback() -> Vec<IpAddr> {
    vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
}

fn read_file(path: &Path) -> Result<ConfigFile> {
    let unreadable = |error: std::io::Error| {
        Error::invalid(format!("Cannot read the configuration file {}: {error}.", path.display()))
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > CONFIGURATION_FILE_BYTES {
        return Err(Error::invalid(format!(
            "The configuration file {} is {size} bytes; at most {CONFIGURATION_FILE_BYTES} are read.",
            path.display()
        )));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let file: ConfigFile = toml::from_str(&text)
        .map_err(|error| Error::invalid(format!("The configuration file {} is not valid: {error}", path.display())))?;
    Ok(file.relative_to(path.parent().unwrap_or(Path::new("."))))
}

impl ConfigFile {
    /// Paths in the file start from the file's own folder.
    fn relative_to(mut self, folder: &Path) -> Self {
        let join = |path: PathBuf| folder.join(path);
        self.data_dir = self.data_dir.map(join);
        self.master_key.file = self.master_key.file.map(join);
        self.webhooks = self.webhooks.map(|hooks| WebhookHosts { trust: join(hooks.trust), ..hooks });
        self.pkcs11.pin_file = self.pkcs11.pin_file.map(join);
        self.pkcs11.module = self.pkcs11.module.map(join);
        self.tls = self.tls.map(|tls| TlsFiles { certificate: join(tls.certificate), key: join(tls.key) });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        let home = [("HOME", "/home/ana")];
        home.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn with_file(text: &str, flags: ServerFlags, pairs: &[(&str, &str)]) -> Result<Config> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ferrohub.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(&ServerFlags { config: Some(path), ..flags }, &variables(pairs))
    }

    #[test]
    fn defaults() {
        let config = Config::load(&ServerFlags::default(), &variables(&[])).unwrap();
        assert_eq!(config.data_dir, PathBuf::from("/home/ana/.local/share/ferrohub"));
        assert_eq!(
            (config.https_port, config.mqtt_port, config.pki_port, config.metrics_port),
            (None, None, None, None)
        );
        assert_eq!(config.listen, loopback());
        assert_eq!(config.domain, "localhost");
    }

    #[test]
    fn flags_win_over_variables_and_variables_over_the_file() {
        let file = "https_port = 1\nmqtt_port = 2\npki_port = 3\ndomain = 'a.example'\n[log]\nformat = 'json'\n";
        let flags = ServerFlags { https_port: Some(0), ..ServerFlags::default() };
        let config = with_file(file, flags, &[("FERROHUB_HTTPS_PORT", "11"), ("FERROHUB_MQTT_PORT", "12")]).unwrap();
        assert_eq!((config.https_port, config.mqtt_port, config.pki_port), (Some(0), Some(12), Some(3)));
        assert_eq!((config.domain.as_str(), config.log_format), ("a.example", Some(LogFormat::Json)));
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        for (text, key) in
            [("htps_port = 1", "htps_port"), ("[log]\nlevle = 'x'", "levle"), ("[master_key]\npath = 'x'", "path")]
        {
            let error = with_file(text, ServerFlags::default(), &[]).unwrap_err();
            assert!(error.message.contains(&format!("unknown field `{key}`")), "{error}");
        }
        let variables = variables(&[("FERROHUB_HTTP_PORT", "1"), ("FERROHUB_DOMAIN", "x")]);
        assert_eq!(unknown_variables(&variables), ["FERROHUB_HTTP_PORT"]);
    }

    #[test]
    fn wrong_values_are_named() {
        for (name, value) in
            [("FERROHUB_MQTT_PORT", "70000"), ("FERROHUB_LISTEN", "127.0.0.1,x"), ("FERROHUB_LOG_FORMAT", "xml")]
        {
            let error = Config::load(&ServerFlags::default(), &variables(&[(name, value)])).unwrap_err();
            assert!(error.message.contains(name), "{error}");
        }
        for domain in ["", "UPPER.example", "a..b", "-a", "a_b"] {
            let flags = ServerFlags { domain: Some(domain.into()), ..ServerFlags::default() };
            assert!(Config::load(&flags, &variables(&[])).is_err(), "{domain}");
        }
        for lonely in ["FERROHUB_TLS_KEY", "FERROHUB_WEBHOOKS_ALLOW", "FERROHUB_WEBHOOKS_TRUST"] {
            assert!(Config::load(&ServerFlags::default(), &variables(&[(lonely, "k")])).is_err());
        }
    }

    #[test]
    fn webhooks_are_hosts_and_what_vouches_for_them() {
        let file = "[webhooks]\nallow = ['hooks.example.com', '*.example.org']\ntrust = 'ca.pem'\n";
        let hooks = with_file(file, ServerFlags::default(), &[]).unwrap().webhooks.unwrap();
        assert_eq!(hooks.allow, ["hooks.example.com", "*.example.org"]);
        assert!(hooks.trust.is_absolute());
        let set = [("FERROHUB_WEBHOOKS_ALLOW", "a.example, b.example:8443"), ("FERROHUB_WEBHOOKS_TRUST", "/ca.pem")];
        let hooks = with_file(file, ServerFlags::default(), &set).unwrap().webhooks.unwrap();
        assert_eq!(
            (hooks.allow.as_slice(), hooks.trust),
            (&["a.example".to_owned(), "b.example:8443".to_owned()][..], "/ca.pem".into())
        );
        assert_eq!(with_file("", ServerFlags::default(), &[]).unwrap().webhooks, None);
        assert!(with_file("[webhooks]\nallow = []\n", ServerFlags::default(), &[]).is_err(), "without a trust file");
    }

    #[test]
    fn paths_of_the_file_start_from_its_folder() {
        let config = with_file("data_dir = 'data'\n[master_key]\nfile = 'key'\n", ServerFlags::default(), &[]).unwrap();
        assert!(config.data_dir.is_absolute() && config.data_dir.ends_with("data"));
        let Some(MasterKeySource::File(key)) = config.master_key else { panic!("no key file") };
        assert!(key.is_absolute());
    }

    #[test]
    fn a_token_needs_module_label_and_pin() {
        let whole = "[pkcs11]\nmodule = '/lib/token.so'\ntoken = 'plant'\npin_file = 'pin'\n";
        let config = with_file(whole, ServerFlags::default(), &[]).unwrap();
        let token = config.token.unwrap();
        assert_eq!((token.settings.token.as_str(), token.is_default), ("plant", false));
        let Pin::File(pin) = token.settings.pin else { panic!("no PIN file") };
        assert!(pin.is_absolute());
        let given = [("FERROHUB_PKCS11_PIN", "8642"), ("FERROHUB_PKCS11_DEFAULT", "true")];
        let config = with_file(whole, ServerFlags::default(), &given).unwrap();
        assert!(config.token.as_ref().unwrap().is_default);
        assert!(!format!("{config:?}").contains("8642"));
        for part in ["[pkcs11]\ntoken = 'plant'\n", "[pkcs11]\ndefault = true\n"] {
            let error = with_file(part, ServerFlags::default(), &[]).unwrap_err();
            assert!(error.message.contains("needs three settings"), "{error}");
        }
        let error = with_file("[pkcs11]\npin = '8642'\n", ServerFlags::default(), &[]).unwrap_err();
        assert!(error.message.contains("unknown field `pin`"), "{error}");
        assert!(with_file(whole, ServerFlags::default(), &[("FERROHUB_PKCS11_DEFAULT", "yes")]).is_err());
    }
}
