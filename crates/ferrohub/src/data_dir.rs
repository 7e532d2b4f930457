//! The data folder: its lock, and the files in it that are not the store's or the log's.

use crate::own;
use ferrohub_client::profile::unreadable;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::DATA_FILE_BYTES;
use ferrohub_model::random::Random;
use ferrohub_pki::seal::MasterKey;
use serde::Serialize;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A data folder that no other process uses while this value lives.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    // Locks end when their files are closed, also by a crash. The folder itself is locked, because whoever removes a lock file
    // removes its lock; the file says who holds it.
    _folder: File,
    _lock: File,
}

/// `server.json`: how local clients find the server. Rewritten at each start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServerFile {
    pub(crate) pid: u32,
    pub(crate) version: &'static str,
    pub(crate) domain: String,
    pub(crate) address: String,
    pub(crate) https_port: u16,
    pub(crate) mqtt_port: u16,
    pub(crate) pki_port: Option<u16>,
    pub(crate) metrics_port: u16,
    pub(crate) urls: Urls,
    pub(crate) ca_file: &'static str,
}

/// Base URLs, without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Urls {
    pub(crate) resource_manager: String,
    pub(crate) login: String,
    pub(crate) graph: String,
}

impl Urls {
    /// The URLs for a domain. Names below `localhost` do not resolve everywhere, so there the bare
    /// name serves all three; the path tells them apart, and gives Graph a name of its own for its tokens.
    pub(crate) fn of(domain: &str, port: u16) -> Self {
        let suffix = if port == 443 { String::new() } else { format!(":{port}") };
        let url = |label: &str| match domain {
            "localhost" => format!("https://localhost{suffix}"),
            _ => format!("https://{label}.{domain}{suffix}"),
        };
        let graph = if domain == "localhost" { format!("https://localhost{suffix}/graph") } else { url("graph") };
        Self { resource_manager: url("management"), login: url("login"), graph }
    }
}

/// Files of the folder, by name.
pub(crate) const SERVER_FILE: &str = "server.json";
/// What clients trust, PEM.
pub(crate) const CA_FILE: &str = "ca.pem";
/// The owner's credential.
pub(crate) const OWNER_FILE: &str = "owner.json";
/// The store's database.
pub(crate) const STORE_FILE: &str = "store.db";
/// The event log's folder.
pub(crate) const LOG_FOLDER: &str = "log";
/// Who uses the folder.
pub(crate) const LOCK_FILE: &str = "lock";
/// What a restore reads into before anything is put in place. While it is there, nothing else uses the folder.
pub(crate) const RESTORING: &str = "restoring";
/// The key under which secrets are sealed, where it is not elsewhere.
pub(crate) const MASTER_KEY_FILE: &str = "master.key";

impl DataDir {
    /// Makes the folder (0700) where it is missing and takes its lock.
    ///
    /// # Errors
    /// `Conflict` naming the process that holds the lock; `Invalid` where the folder cannot be used, others can change it, or
    /// a restore into it was cut off.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let folder = Self::lock(path)?;
        unfinished_restore(&folder.path)?;
        Ok(folder)
    }

    /// As [`DataDir::open`], for the restore itself.
    ///
    /// # Errors
    /// As [`DataDir::open`].
    pub(crate) fn lock(path: &Path) -> Result<Self> {
        let unusable =
            |error: std::io::Error| Error::invalid(format!("Cannot use the data folder {}: {error}.", path.display()));
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        let path = path.canonicalize().map_err(unusable)?;
        own::check(&path)?;
        let folder = File::open(&path).map_err(unusable)?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join(LOCK_FILE))
            .map_err(unusable)?;
        for file in [&folder, &lock] {
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(held(&path, &lock)),
                Err(TryLockError::Error(error)) => return Err(unusable(error)),
            }
        }
        lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id())).map_err(unusable)?;
        Ok(Self { path, _folder: folder, _lock: lock })
    }

    /// The folder of a server that has stopped; nothing is made.
    ///
    /// # Errors
    /// As [`installed`] and [`DataDir::open`].
    pub(crate) fn open_existing(path: &Path) -> Result<Self> {
        installed(path)?;
        Self::open(path)
    }

    /// Path of the folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Path of the store's database.
    pub(crate) fn store(&self) -> PathBuf {
        self.path.join(STORE_FILE)
    }

    /// Path of the event log's folder.
    pub(crate) fn log(&self) -> PathBuf {
        self.path.join(LOG_FOLDER)
    }

    /// Writes `server.json`.
    ///
    /// # Errors
    /// `Invalid` where it cannot be written.
    pub(crate) fn write_server(&self, server: &ServerFile) -> Result<()> {
        let text = serde_json::to_vec_pretty(server).map_err(|error| Error::internal(error.to_string()))?;
        self.write(SERVER_FILE, &text, 0o644)
    }

    /// Writes a file of the folder whole or not at all, and durably.
    ///
    /// # Errors
    /// `Invalid` where it cannot be written.
    pub(crate) fn write(&self, name: &str, bytes: &[u8], mode: u32) -> Result<()> {
        write_atomically(&self.path, name, bytes, mode)
            .map_err(|error| Error::invalid(format!("Cannot write {}: {error}.", self.path.join(name).display())))
    }

    /// The master key of the folder; made at the first start.
    ///
    /// # Errors
    /// As [`master_key_file`].
    pub(crate) fn master_key(&self, random: &dyn Random) -> Result<MasterKey> {
        // A folder with a store and without a key has lost its key: a new one would open nothing.
        let may_create = !self.store().exists();
        master_key_file(&self.path.join(MASTER_KEY_FILE), may_create, random)
    }
}

/// Refuses a folder that holds no installation.
///
/// # Errors
/// `NotFound` where nothing was installed, `Invalid` where it cannot be looked into.
pub(crate) fn installed(path: &Path) -> Result<()> {
    let store = path.join(STORE_FILE);
    match std::fs::metadata(&store) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::not_found(format!(
            "The data folder {} holds no installation; name its folder with --data-dir.",
            path.display()
        ))),
        Err(error) => Err(unreadable(&store, &error)),
    }
}

/// Refuses a folder into which a restore was cut off: half of an installation may lie there.
///
/// # Errors
/// `Conflict` with the command that finishes it.
pub(crate) fn unfinished_restore(path: &Path) -> Result<()> {
    match path.join(RESTORING).exists() {
        false => Ok(()),
        true => Err(Error::conflict(format!(
            "A restore into the data folder {} is under way or was cut off; run 'ferrohub restore' into it again, or name another folder with --data-dir.",
            path.display()
        ))),
    }
}

/// Reads a master key (hex or base64 of 32 bytes) from a file that only its owner can read; makes it where
/// it is missing and `may_create`.
///
/// # Errors
/// `Invalid` where the file is missing, open to others, or holds no key.
pub(crate) fn master_key_file(path: &Path, may_create: bool, random: &dyn Random) -> Result<MasterKey> {
    match std::fs::metadata(path) {
        Ok(metadata) => {
            if metadata.mode() & 0o077 != 0 {
                return Err(Error::invalid(format!(
                    "The master key {} can be read by others; run 'chmod 600 {}'.",
                    path.display(),
                    path.display()
                )));
            }
            parse_master_key(&String::from_utf8_lossy(&read_bounded(path)?), &path.display().to_string())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && may_create => create_master_key(path, random),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::invalid(format!(
            "The master key {} is missing, and without it the store's secrets cannot be opened; put it back or set FERROHUB_MASTER_KEY.",
            path.display()
        ))),
        Err(error) => Err(Error::invalid(format!("Cannot read the master key {}: {error}.", path.display()))),
    }
}

/// The master key in a text; `origin` names where the text is from.
///
/// # Errors
/// `Invalid` where the text is no key.
pub(crate) fn parse_master_key(text: &str, origin: &str) -> Result<MasterKey> {
    MasterKey::from_text(text.trim())
        .map_err(|error| Error { message: format!("{origin}: {}", error.message), ..error })
}

fn create_master_key(path: &Path, random: &dyn Random) -> Result<MasterKey> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Err(Error::invalid(format!("{} is no file name.", path.display())));
    };
    // A bare name lies in the current folder, which Path::parent calls "".
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let key = MasterKey::generate(random);
    let mut text = key.to_hex();
    text.push('\n');
    write_atomically(folder, name, text.as_bytes(), 0o600)
        .map_err(|error| Error::invalid(format!("Cannot write the master key {}: {error}.", path.display())))?;
    Ok(key)
}

/// Reads a file of at most 1 MB.
///
/// # Errors
/// `Invalid` where it cannot be read or is larger.
pub(crate) fn read_bounded(path: &Path) -> Result<Vec<u8>> {
    let unreadable = |error: std::io::Error| unreadable(path, &error);
    let mut bytes = Vec::new();
    File::open(path).map_err(unreadable)?.take(DATA_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > DATA_FILE_BYTES {
        return Err(Error::invalid(format!("{} is over {DATA_FILE_BYTES} bytes.", path.display())));
    }
    Ok(bytes)
}

/// Writes a file of `folder` whole or not at all: a new file beside, synced, renamed over the old one; then the folder, so that the name lasts too.
pub(crate) fn write_atomically(folder: &Path, name: &str, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let beside = folder.join(format!("{name}.new"));
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, folder.join(name))?;
    File::open(folder)?.sync_all()
}

/// Writes a file that must not be there yet, for its owner alone, durably.
///
/// # Errors
/// `Invalid` where it is there or cannot be written.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let fail = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::invalid(format!("{} is there already.", path.display())),
        _ => Error::invalid(format!("Cannot write {}: {error}.", path.display())),
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(fail)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| sync_folder_of(path)).map_err(fail)
}

/// Makes the name of a file durable.
///
/// # Errors
/// Of the file system.
pub(crate) fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    // A bare name lies in the current folder, which Path::parent calls "".
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn held(path: &Path, lock: &File) -> Error {
    let mut text = String::new();
    let holder = match lock.take(20).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => format!("process {}", text.trim()),
        _ => "another process".to_owned(),
    };
    Error::conflict(format!(
        "The data folder {} is in use by {holder}; stop it, or name another folder with --data-dir.",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_model::random::SeededRandom;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_folder_has_one_user_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a").join("b");
        let first = DataDir::open(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        let error = DataDir::open(&path).unwrap_err();
        assert!(error.message.contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        assert!(DataDir::open(&path).is_ok());
    }

    #[test]
    fn the_master_key_is_made_once_and_kept() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataDir::open(parent.path()).unwrap();
        let key = folder.master_key(&SeededRandom::new(1)).unwrap();
        assert_eq!(folder.master_key(&SeededRandom::new(2)).unwrap().check_value(), key.check_value());
        let path = parent.path().join(MASTER_KEY_FILE);
        assert_eq!(mode(&path), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(folder.master_key(&SeededRandom::new(3)).unwrap_err().message.contains("chmod 600"));
    }

    #[test]
    fn a_master_key_may_be_named_without_a_folder() {
        // Tests share the current folder, so the name is one of a kind and removed again.
        let name = format!("ferrohub-test-{}.key", std::process::id());
        let made = master_key_file(Path::new(&name), true, &SeededRandom::new(1));
        let read = master_key_file(Path::new(&name), false, &SeededRandom::new(2));
        std::fs::remove_file(&name).unwrap();
        assert_eq!(made.unwrap().check_value(), read.unwrap().check_value());
    }

    #[test]
    fn a_lost_master_key_is_not_replaced() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataDir::open(parent.path()).unwrap();
        std::fs::write(folder.store(), b"rows").unwrap();
        let error = folder.master_key(&SeededRandom::new(1)).unwrap_err();
        assert!(error.message.contains("is missing"), "{error}");
        assert!(!parent.path().join(MASTER_KEY_FILE).exists());
    }

    #[test]
    fn the_lock_is_the_folders_own() {
        let parent = tempfile::tempdir().unwrap();
        let first = DataDir::open(parent.path()).unwrap();
        std::fs::remove_file(parent.path().join(LOCK_FILE)).unwrap();
        let error = DataDir::open(parent.path()).unwrap_err();
        assert!(error.message.contains("in use"), "{error}");
        drop(first);
        assert!(DataDir::open(parent.path()).is_ok());
    }

    #[test]
    fn a_stopped_servers_folder_is_not_made_up() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("typo");
        assert!(DataDir::open_existing(&path).unwrap_err().message.contains("holds no installation"));
        assert!(!path.exists());
    }

    #[test]
    fn keys_of_another_length_are_refused_naming_the_place() {
        let error = parse_master_key(&"01".repeat(31), "FERROHUB_MASTER_KEY").err().unwrap();
        assert!(error.message.starts_with("FERROHUB_MASTER_KEY: "), "{error}");
        assert!(parse_master_key("no key", "x").is_err());
        assert!(parse_master_key(&format!(" {}\n", "01".repeat(32)), "x").is_ok());
    }

    #[test]
    fn files_replace_each_other_whole() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataDir::open(parent.path()).unwrap();
        folder.write("owner.json", b"one", 0o600).unwrap();
        folder.write("owner.json", b"two", 0o600).unwrap();
        assert_eq!(std::fs::read(parent.path().join("owner.json")).unwrap(), b"two");
        assert_eq!(mode(&parent.path().join("owner.json")), 0o600);
        assert!(!parent.path().join("owner.json.new").exists());
    }

    #[test]
    fn urls_follow_domain_and_port() {
        assert_eq!(Urls::of("localhost", 443).resource_manager, "https://localhost");
        assert_eq!(Urls::of("localhost", 8443).login, "https://localhost:8443");
        assert_eq!(Urls::of("localhost", 8443).graph, "https://localhost:8443/graph");
        assert_eq!(Urls::of("iot.example", 8443).graph, "https://graph.iot.example:8443");
    }
}
