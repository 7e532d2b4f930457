//! The command line of our own verbs. `az` has its own parser and never comes here.

mod device;
mod values;

pub(crate) use device::{DeviceArgs, DeviceRunArgs, DeviceVerb};

use crate::logs::LogFormat;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

/// Self-hosted Azure Device Registry, IoT Hub and Device Provisioning Service.
#[derive(Debug, Parser)]
#[command(
    name = "ferrohub",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    subcommand_required = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

impl Cli {
    /// The command line of this process; one that is wrong, or asks for help, ends it.
    pub(crate) fn of_process() -> Self {
        Self::from_words(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    fn from_words(words: impl Iterator<Item = OsString>) -> Result<Self, clap::Error> {
        let matches = values::taking_negative_numbers(Self::command()).try_get_matches_from(words)?;
        Self::from_arg_matches(&matches)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Start the server.
    Serve(ServeArgs),
    /// Start a server, set up a hub with certificate management, and run a device against it.
    Quickstart(QuickstartArgs),
    /// Azure's `az` command line against this server; see `ferrohub az --help`.
    #[command(disable_help_flag = true)]
    Az {
        /// What follows `az`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run simulated devices against a running server, or against Azure.
    Device(DeviceArgs),
    /// Set up hub, provisioning service and namespace with certificate management, step by step.
    Setup(SetupArgs),
    /// Let Azure's own clients reach this server under Azure's own names: a proxy on this machine, which knows nobody else.
    Proxy(ProxyArgs),
    /// Print the exports with which clients written for Azure go through 'ferrohub proxy'.
    Env(EnvArgs),
    /// Print a hub's event log.
    Events(EventsArgs),
    /// Who did what to which resource: the activity log.
    Activity(LogArgs),
    /// Sign-ins, keys read, certificates issued and revoked, connections refused, changes of the directory: the audit log.
    Audit(LogArgs),
    /// Get in, or back in, as the owner of an installation.
    Owner(OwnerArgs),
    /// Write a whole installation into one encrypted file; the server may run.
    Backup(BackupArgs),
    /// Put a backup back, into an empty data folder.
    Restore(RestoreArgs),
    /// Make a key pair for backups: the public key goes to the server, the secret one stays away from it.
    BackupKey(BackupKeyArgs),
    /// Exchange the key that wraps all others.
    MasterKey(MasterKeyArgs),
    /// Exchange the key that signs tokens.
    SigningKey(SigningKeyArgs),
    /// Print what is served as an OpenAPI document.
    Openapi,
    /// Check data folder, ports and names, and say what to do.
    Doctor(DoctorArgs),
    /// Print the version.
    Version,
}

/// Flags of `serve` and `quickstart`; they win over FERROHUB_… variables and the configuration file.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ServerFlags {
    /// Configuration file, TOML (or FERROHUB_CONFIG).
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Data folder (or FERROHUB_DATA_DIR); default ~/.local/share/ferrohub.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Domain of all host names; default localhost.
    #[arg(long)]
    pub(crate) domain: Option<String>,
    /// Addresses to listen on; default 127.0.0.1,::1.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', value_parser = values::address)]
    pub(crate) listen: Option<Vec<IpAddr>>,
    /// HTTPS port; 0 takes a free one; default 443 where it may be bound, else 8443.
    #[arg(long, value_name = "PORT")]
    pub(crate) https_port: Option<u16>,
    /// MQTT over TLS port; 0 takes a free one; default 8883.
    #[arg(long, value_name = "PORT")]
    pub(crate) mqtt_port: Option<u16>,
    /// Plain HTTP port for CRLs and CA certificates; off unless given.
    #[arg(long, value_name = "PORT")]
    pub(crate) pki_port: Option<u16>,
    /// Metrics and health port, on loopback; 0 takes a free one; default 9464.
    #[arg(long, value_name = "PORT")]
    pub(crate) metrics_port: Option<u16>,
    /// Log format; default text on a terminal, else json.
    #[arg(long, value_enum)]
    pub(crate) log_format: Option<LogFormat>,
    /// Log filter such as 'info' or 'warn,ferrohub_service=debug'.
    #[arg(long, value_name = "FILTER")]
    pub(crate) log_level: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) server: ServerFlags,
}

#[derive(Debug, Args)]
pub(crate) struct QuickstartArgs {
    #[command(flatten)]
    pub(crate) server: ServerFlags,
    /// End after the summary instead of serving until Ctrl-C.
    #[arg(long)]
    pub(crate) once: bool,
}

/// Variables: TenantId, SubscriptionId, ResourceGroup, Location, NamespaceName, HubName, DpsName, UserIdentity, WorkingFolder,
/// CustomRoleName. What is not given is asked for, or with --file taken as it is proposed.
#[derive(Debug, Args)]
pub(crate) struct SetupArgs {
    /// Data folder of the server to sign in at (or FERROHUB_DATA_DIR), where nobody is signed in.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
    /// File with variables, 'Name = value' a line; nothing is asked then.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// A variable; may be given several times, and wins over the file.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ProxyArgs {
    /// Data folder of the server (or FERROHUB_DATA_DIR).
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 8888, value_name = "PORT")]
    pub(crate) port: u16,
    /// Log format; default text on a terminal, else json.
    #[arg(long, value_enum)]
    pub(crate) log_format: Option<LogFormat>,
    /// Log filter such as 'info' (what is refused) or 'warn'.
    #[arg(long, value_name = "FILTER")]
    pub(crate) log_level: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct EnvArgs {
    /// Data folder of the server and its proxy (or FERROHUB_DATA_DIR).
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Shell that reads the lines; default the one that SHELL names, else sh.
    #[arg(long, value_enum)]
    pub(crate) shell: Option<Shell>,
    /// Print the owner's AZURE_CLIENT_ID and AZURE_CLIENT_SECRET too, with which azure-identity signs in.
    #[arg(long)]
    pub(crate) credentials: bool,
}

/// A shell, by how it sets a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Shell {
    /// sh, bash, zsh and their like: `eval "$(ferrohub env)"`.
    Sh,
    /// fish: `ferrohub env | source`.
    Fish,
    /// PowerShell: `ferrohub env | Out-String | Invoke-Expression`.
    Powershell,
}

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Hub name.
    #[arg(value_name = "HUB")]
    pub(crate) hub: String,
    /// Data folder of the server (or FERROHUB_DATA_DIR); it must be running.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Partition; default all.
    #[arg(long)]
    pub(crate) partition: Option<u16>,
    /// First sequence number in each partition.
    #[arg(long, default_value_t = 0, value_name = "SEQUENCE", value_parser = values::whole_number)]
    pub(crate) from: u64,
    /// Go on printing events as they come, until Ctrl-C.
    #[arg(long)]
    pub(crate) follow: bool,
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    #[command(subcommand)]
    pub(crate) verb: LogVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogVerb {
    /// Write the log as JSON lines, oldest first; the server must be running.
    Export(LogExportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct LogExportArgs {
    /// Data folder of the server (or FERROHUB_DATA_DIR).
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
    /// First moment, such as 2026-01-31 or 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME", conflicts_with = "days")]
    pub(crate) since: Option<String>,
    /// Days to go back where no first moment is given.
    #[arg(long, default_value_t = 90, value_name = "DAYS")]
    pub(crate) days: u32,
    /// Last moment; default now.
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    pub(crate) until: Option<String>,
    /// Further conditions of the log's $filter, such as "status eq 'Failed'"; several are joined by 'and'.
    #[arg(long, value_name = "CONDITIONS")]
    pub(crate) filter: Option<String>,
    /// File to append to; default the standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Go on writing events as they come, until Ctrl-C.
    #[arg(long)]
    pub(crate) follow: bool,
    /// Put the file aside as FILE.1, FILE.2, … when it has so many megabytes.
    #[arg(long, value_name = "MB", requires = "out", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) rotate_mb: Option<u64>,
    /// Files that were put aside and stay.
    #[arg(long, value_name = "COUNT", default_value_t = 5, requires = "rotate_mb", value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub(crate) keep: u32,
}

#[derive(Debug, Args)]
pub(crate) struct OwnerArgs {
    #[command(subcommand)]
    pub(crate) verb: OwnerVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OwnerVerb {
    /// Replace the owner's secret, and make the owner anew where it was deleted; the server must be stopped.
    Reset(OwnerResetArgs),
    /// Print a link that signs a person in to the portal once; the server must be running.
    Link(OwnerLinkArgs),
}

#[derive(Debug, Args)]
pub(crate) struct OwnerResetArgs {
    /// Configuration file, TOML (or FERROHUB_CONFIG).
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Data folder (or FERROHUB_DATA_DIR) of the stopped server.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct OwnerLinkArgs {
    /// Data folder (or FERROHUB_DATA_DIR) of the running server.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Whom it signs in, such as ann@plant.example; without it the installation's own person, who is made where there is none.
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct SigningKeyArgs {
    #[command(subcommand)]
    pub(crate) verb: SigningKeyVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SigningKeyVerb {
    /// Sign tokens with a new key; the server must be stopped. The server does this by itself every 90 days.
    Rotate(SigningKeyRotateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SigningKeyRotateArgs {
    /// Configuration file, TOML (or FERROHUB_CONFIG).
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Data folder (or FERROHUB_DATA_DIR) of the stopped server.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Refuse all tokens of before at once: somebody else may have the key.
    #[arg(long)]
    pub(crate) revoke: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// Configuration file, TOML (or FERROHUB_CONFIG).
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Data folder (or FERROHUB_DATA_DIR).
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
    /// File to write, which must not be there yet.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Public key whose holder can open the backup, 'age1…' (from 'ferrohub backup-key' or age-keygen); may be given several times.
    #[arg(long = "recipient", value_name = "KEY")]
    pub(crate) recipients: Vec<String>,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    /// Leave the master key out although it lies in the data folder; a restore then asks for it.
    #[arg(long)]
    pub(crate) without_master_key: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PassphraseArgs {
    /// File whose first line is the passphrase (or the passphrase itself in FERROHUB_BACKUP_PASSPHRASE).
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The backup.
    #[arg(value_name = "BACKUP")]
    pub(crate) backup: PathBuf,
    /// Configuration file, TOML (or FERROHUB_CONFIG).
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Data folder (or FERROHUB_DATA_DIR) to make; it must hold nothing.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
    /// File with the secret key.
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BackupKeyArgs {
    /// File for the secret key, which must not be there yet.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct MasterKeyArgs {
    #[command(subcommand)]
    pub(crate) verb: MasterKeyVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MasterKeyVerb {
    /// Make a new master key and wrap all data keys with it; the server must be stopped.
    Rotate(MasterKeyRotateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct MasterKeyRotateArgs {
    /// Configuration file, TOML (or FERROHUB_CONFIG).
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Data folder (or FERROHUB_DATA_DIR) of the stopped server.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where the new key is written, when the present one comes from FERROHUB_MASTER_KEY.
    #[arg(long, value_name = "FILE")]
    pub(crate) new_key_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) server: ServerFlags,
    /// Name of a hub whose host name is looked up too.
    #[arg(long, value_name = "HUB")]
    pub(crate) hub: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'w>(words: impl IntoIterator<Item = &'w str>) -> Result<Cli, clap::Error> {
        Cli::from_words(words.into_iter().map(OsString::from))
    }

    #[test]
    fn the_grammar_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_are_read() {
        let cli = read(["ferrohub", "quickstart", "--once", "--https-port", "0", "--listen", "127.0.0.1,::1"]).unwrap();
        let Verb::Quickstart(args) = cli.verb else { panic!("another verb") };
        assert!(args.once);
        assert_eq!((args.server.https_port, args.server.listen.unwrap().len()), (Some(0), 2));
        assert!(read(["ferrohub", "serve", "--mqtt-port", "x"]).is_err());
        assert!(read(["ferrohub", "backup"]).is_err());
        let reset = read(["ferrohub", "owner", "reset", "--data-dir", "/x"]).unwrap();
        let Verb::Owner(OwnerArgs { verb: OwnerVerb::Reset(args) }) = reset.verb else { panic!("another verb") };
        assert_eq!((args.data_dir, args.config), (Some("/x".into()), None));
        let link = read(["ferrohub", "owner", "link", "--user", "ann@plant.example"]).unwrap();
        let Verb::Owner(OwnerArgs { verb: OwnerVerb::Link(args) }) = link.verb else { panic!("another verb") };
        assert_eq!((args.data_dir, args.user.as_deref()), (None, Some("ann@plant.example")));
    }

    #[test]
    fn a_device_renews_at_80_percent_where_nothing_else_is_said() {
        let device = |words: &str| {
            let words = format!("ferrohub device run --id-scope 0ne00000000 --registration-id d1 {words}");
            let Verb::Device(args) = read(words.split_whitespace())?.verb else { panic!("another verb") };
            let DeviceVerb::Run(args) = args.verb;
            Ok::<_, clap::Error>(args.renew_at)
        };
        assert_eq!(device("--stay --csr").unwrap(), 80);
        assert_eq!(device("--stay --csr --renew-at 5").unwrap(), 5);
        assert!(device("--stay --csr --renew-at 101").is_err());
        assert!(device("--csr --renew-at 5").is_err(), "who does not stay renews nothing");
    }
}
