//! The master key: where it comes from, and `ferrohub master-key rotate`, which exchanges it while the server is stopped.
//!
//! The new key lies beside the old one as `{file}.next` until the store is sealed with it; then it takes the old one's
//! name. Whatever moment the program is killed at, one of the two files opens the store, and a start finds out which.

use crate::cli::{MasterKeyRotateArgs, ServerFlags};
use crate::config::{Config, MasterKeySource, Variables};
use crate::data_dir::{DataDir, MASTER_KEY_FILE, master_key_file, parse_master_key, read_bounded, sync_folder_of};
use crate::output::print;
use ferrohub_clock::SystemClock;
use ferrohub_model::error::{Error, Result};
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::seal::{MasterKey, fingerprint};
use ferrohub_service::key_store::authorities_elsewhere;
use ferrohub_service::{master_key, tables};
use ferrohub_store::Store;
use ferrohub_store_sqlite::SqliteStore;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const VARIABLE: &str = "FERROHUB_MASTER_KEY";

/// The master key from where the configuration says; the first start of a folder makes its file.
///
/// # Errors
/// A sentence on what is wrong with it.
pub(crate) fn load(config: &Config, folder: &DataDir) -> Result<MasterKey> {
    match &config.master_key {
        None => folder.master_key(&SystemRandom),
        Some(MasterKeySource::File(path)) => master_key_file(path, !folder.store().exists(), &SystemRandom),
        Some(source) => named(source),
    }
}

/// The key that the store is sealed with: `key`, or the one beside its file, where a rotation was cut off after the store
/// had been sealed with that one; it then gets its name. Whether `key` is wrong is not said here.
///
/// # Errors
/// When the store cannot be read or the file not be renamed.
pub(crate) async fn settle(key: MasterKey, config: &Config, folder: &DataDir, store: &dyn Store) -> Result<MasterKey> {
    let Some(file) = file(config, folder) else { return Ok(key) };
    let next = next_of(&file);
    let Some(check) = master_key::check_value(store).await? else { return Ok(key) };
    if key.check_value() == check || !next.exists() {
        return Ok(key);
    }
    let other = of_file(&next)?;
    if other.check_value() != check {
        return Ok(key);
    }
    take_over(&next, &file)?;
    tracing::info!(fingerprint = other.fingerprint(), "the rotation of the master key that was cut off is finished");
    Ok(other)
}

/// `ferrohub master-key rotate`.
///
/// # Errors
/// `Conflict` while the server runs or where the key is not that of the store; `NotFound` where nothing was installed.
pub(crate) async fn rotate(args: &MasterKeyRotateArgs, variables: &Variables) -> Result<()> {
    let flags = ServerFlags { config: args.config.clone(), data_dir: args.data_dir.clone(), ..ServerFlags::default() };
    let config = Config::load(&flags, variables)?;
    let folder = DataDir::open_existing(&config.data_dir)?;
    let from = load(&config, &folder)?;
    let (target, file) = match (file(&config, &folder), &args.new_key_file) {
        (Some(file), None) => (next_of(&file), Some(file)),
        (None, Some(path)) => (path.clone(), None),
        (Some(file), Some(_)) => {
            return Err(Error::invalid(format!(
                "The new key takes the place of {}; --new-key-file is for a master key that comes from {VARIABLE}.",
                file.display()
            )));
        }
        (None, None) => {
            return Err(Error::invalid(format!(
                "The master key comes from {VARIABLE}: name with --new-key-file where the new one is to be written."
            )));
        }
    };
    // What a rotation that was cut off made is used: the store may be sealed with it.
    let to = master_key_file(&target, true, &SystemRandom)?;
    let store = open(&folder.store())?;
    let count = master_key::exchange(&store, &from, &to, &SystemRandom).await?;
    drop(store);
    let where_to = match &file {
        Some(file) => {
            if config.master_key.is_some() {
                keep(file, &from)?;
            }
            take_over(&target, file)?;
            format!("It is in {}.", file.display())
        }
        None => {
            format!("It is in {}: set {VARIABLE} to what the file says before you start the server.", target.display())
        }
    };
    let former = match config.master_key {
        None => "Backups from before contain it.",
        Some(_) => "Backups from before need it: keep it as long as you keep those.",
    };
    print(&format!(
        "The new master key is {}; {count} data keys are wrapped anew. {where_to} The former one was {}. {former}",
        to.fingerprint(),
        from.fingerprint()
    ))
}

/// What a backup says of the store at `path`, which no server has open: its check value, and how many authorities have their
/// key in which other key store.
///
/// # Errors
/// `NotFound` where there is no installation in it.
pub(crate) async fn of_store(path: &Path) -> Result<(String, BTreeMap<String, usize>)> {
    let store = open(path)?;
    let check = master_key::check_value(&store).await?;
    let check =
        check.ok_or_else(|| Error::not_found(format!("The store {} holds no installation yet.", path.display())))?;
    Ok((check, authorities_elsewhere(&store).await?))
}

/// Has `key` open every data key of the store at `path`, which no server has open.
///
/// # Errors
/// As [`master_key::verify`].
pub(crate) async fn verify(path: &Path, key: &MasterKey) -> Result<usize> {
    master_key::verify(&open(path)?, key).await
}

/// The text of the key file in the data folder that belongs to a store with this check value.
///
/// # Errors
/// `Conflict` where neither it nor the one beside it does.
pub(crate) fn text_for(data: &Path, check: &str) -> Result<Zeroizing<Vec<u8>>> {
    let file = data.join(MASTER_KEY_FILE);
    for path in [file.clone(), next_of(&file)] {
        if path.exists() && of_file(&path)?.check_value() == check {
            return read_bounded(&path).map(Zeroizing::new);
        }
    }
    Err(Error::conflict(format!(
        "{} is not the master key {} that the store is sealed with; put that one back, or take the backup with --without-master-key.",
        file.display(),
        fingerprint(check)
    )))
}

/// The key that the configuration names, which must be there.
///
/// # Errors
/// A sentence on what is wrong with it.
pub(crate) fn named(source: &MasterKeySource) -> Result<MasterKey> {
    match source {
        MasterKeySource::File(path) => of_file(path),
        MasterKeySource::Environment => {
            let text = std::env::var(VARIABLE).map_err(|_| {
                Error::invalid(format!("The configuration takes the master key from {VARIABLE}, which is not set."))
            })?;
            parse_master_key(&text, VARIABLE)
        }
    }
}

/// The key in a file, which must be there.
///
/// # Errors
/// As [`master_key_file`].
pub(crate) fn of_file(path: &Path) -> Result<MasterKey> {
    master_key_file(path, false, &SystemRandom)
}

/// The file of the key, where it is in one.
fn file(config: &Config, folder: &DataDir) -> Option<PathBuf> {
    match &config.master_key {
        None => Some(folder.path().join(MASTER_KEY_FILE)),
        Some(MasterKeySource::File(path)) => Some(path.clone()),
        Some(MasterKeySource::Environment) => None,
    }
}

fn next_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

/// Gives the former key a name of its own: backups that do not contain it need it.
fn keep(file: &Path, key: &MasterKey) -> Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(key.fingerprint());
    match std::fs::hard_link(file, &name) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Error::invalid(format!("Cannot keep the former master key beside {}: {error}.", file.display())))
        }
        _ => Ok(()),
    }
}

fn take_over(next: &Path, file: &Path) -> Result<()> {
    let renamed = std::fs::rename(next, file).and_then(|()| sync_folder_of(file));
    renamed.map_err(|error| Error::invalid(format!("Cannot rename {} to {}: {error}.", next.display(), file.display())))
}

fn open(path: &Path) -> Result<SqliteStore> {
    let options = ferrohub_store_sqlite::Options::default();
    SqliteStore::open(path, tables::ALL, SystemClock::shared(), options)
        .map_err(|error| Error::invalid(format!("Cannot open the store {}: {error}.", path.display())))
}
