//! Putting a backup back, into a folder that holds nothing.
//!
//! Everything is read into [`RESTORING`] inside the folder and looked at there: the sums of every entry, the master key
//! against every data key, then all that `ferrohub doctor` looks at. Only then are the files moved to their places. As
//! long as [`RESTORING`] is there no other verb uses the folder; a restore that was killed is begun anew by the next one.

use super::files::{self, remove_if_there, sync_folder};
use super::{FORMAT, MANIFEST, MOST_JSON, Manifest, SUMS, Summing, Sums, lock, progress, size};
use crate::cli::{RestoreArgs, ServerFlags};
use crate::config::{Config, MasterKeySource, Variables};
use crate::data_dir::{DataDir, LOCK_FILE, LOG_FOLDER, MASTER_KEY_FILE, OWNER_FILE, RESTORING, STORE_FILE};
use crate::master_key;
use crate::output::{duration, line, print, since};
use ferrohub_client::profile::unreadable;
use ferrohub_clock::SystemClock;
use ferrohub_messaging::disk::RealDisk;
use ferrohub_messaging_local::{LocalEventLog, snapshot};
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{Error, Result};
use ferrohub_pki::age::{Reader, Unlock};
use ferrohub_service::tables;
use ferrohub_store_sqlite::SqliteStore;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// Where parts go, store last: what has a store has all.
const PARTS: [&str; 4] = [LOG_FOLDER, OWNER_FILE, MASTER_KEY_FILE, STORE_FILE];

/// Reads the backup, checks it and puts it in place.
///
/// # Errors
/// `Forbidden` where key or passphrase do not open it; `Invalid` where it is damaged, cut, newer, or the folder is not empty.
pub(crate) async fn run(args: &RestoreArgs, variables: &Variables) -> Result<()> {
    let flags = ServerFlags { config: args.config.clone(), data_dir: args.data_dir.clone(), ..ServerFlags::default() };
    let config = Config::load(&flags, variables)?;
    // Whoever misspelled its name is not asked for a key first.
    let file = File::open(&args.backup).map_err(|error| unreadable(&args.backup, &error))?;
    let unlock = lock::unlock(args.identity.as_deref(), &args.passphrase, variables)?;
    let begun = SystemClock.monotonic();
    let target = Target::take(&config.data_dir)?;
    let outcome = restore(&target, file, unlock, &config).await;
    if outcome.is_err() {
        target.clear()?;
    }
    let (manifest, bytes) = outcome?;
    print(&format!(
        "Restored {} of {} into {} in {}.{} Start it: ferrohub serve --data-dir '{}'",
        size(bytes),
        manifest.taken,
        target.path.display(),
        duration(since(begun)),
        manifest.elsewhere(),
        target.path.display()
    ))
}

async fn restore(target: &Target, file: File, unlock: Unlock, config: &Config) -> Result<(Manifest, u64)> {
    let staging = target.staging();
    files::make_folder(&staging)?;
    let into = staging.clone();
    let read = tokio::task::spawn_blocking(move || unpack(file, &unlock, &into));
    let (manifest, bytes) = read.await.map_err(|error| Error::internal(format!("reading a backup: {error}")))??;
    line(&format!("read  {}, taken {} by ferrohub {}", size(bytes), manifest.taken, manifest.program));
    check_master_key(&manifest, &staging, config).await?;
    let of = staging.clone();
    let looked = tokio::task::spawn_blocking(move || look(&of));
    looked.await.map_err(|error| Error::internal(format!("checking a backup: {error}")))??;
    line("checked  store, event log, master key");
    target.put_in_place()?;
    Ok((manifest, bytes))
}

/// Unpacks into `staging`; the sums are right when this returns.
fn unpack(file: File, unlock: &Unlock, staging: &Path) -> Result<(Manifest, u64)> {
    let damaged = |error: io::Error| Error::invalid(format!("The backup cannot be restored: {error}."));
    let mut archive = tar::Archive::new(Reader::new(BufReader::new(file), unlock)?);
    let (mut manifest, mut sums, mut found, mut bytes) = (None, None, Sums::new(), 0);
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let name = entry.path().map_err(damaged)?.to_string_lossy().into_owned();
        if sums.is_some() || found.contains_key(&name) || !entry.header().entry_type().is_file() {
            return Err(strange(&name));
        }
        match (&manifest, name.as_str()) {
            (None, MANIFEST) => {
                let mut content = Summing::new(&mut entry);
                manifest = Some(read_manifest(&mut content)?);
                found.insert(name, content.sum());
            }
            (None, _) => return Err(strange(&name)),
            (Some(_), SUMS) => sums = Some(json::<Sums>(&mut entry, SUMS)?),
            (Some(_), _) => {
                let mut content = Summing::new(&mut entry);
                let before = bytes;
                bytes += files::write(&place(staging, &name)?, &mut content)?;
                progress(before, bytes);
                found.insert(name, content.sum());
            }
        }
    }
    // Behind the archive's end too: only the last piece says that nothing was cut off.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(damaged)?;
    let (Some(manifest), Some(sums)) = (manifest, sums) else {
        return Err(Error::invalid("The backup is not whole: its list of sums is missing."));
    };
    if sums != found {
        let wrong = sums.iter().find(|(name, sum)| found.get(*name) != Some(sum));
        let name = wrong.map_or_else(|| "an entry that is not in its list".to_owned(), |(name, _)| name.clone());
        return Err(Error::invalid(format!("The backup is damaged: {name} is not what was backed up.")));
    }
    Ok((manifest, bytes))
}

fn read_manifest(content: &mut dyn Read) -> Result<Manifest> {
    let value = json::<serde_json::Value>(content, MANIFEST)?;
    let format = value.get("format").and_then(serde_json::Value::as_u64).unwrap_or_default();
    if format > u64::from(FORMAT) {
        return Err(Error::invalid(format!(
            "The backup has format {format}, made by a newer Ferrohub; this one knows {FORMAT}. Restore it with the newer program."
        )));
    }
    serde_json::from_value(value).map_err(|error| Error::invalid(format!("The backup's {MANIFEST} is wrong: {error}.")))
}

fn json<T: serde::de::DeserializeOwned>(content: &mut dyn Read, name: &str) -> Result<T> {
    let mut text = Vec::new();
    let read = content.take(MOST_JSON).read_to_end(&mut text);
    read.map_err(|error| Error::invalid(format!("The backup cannot be restored: {error}.")))?;
    serde_json::from_slice(&text).map_err(|error| Error::invalid(format!("The backup's {name} is wrong: {error}.")))
}

/// Where an entry goes. Only names that a backup has are taken: an archive may say anything.
fn place(staging: &Path, name: &str) -> Result<PathBuf> {
    if let Some(part) = name.strip_prefix(LOG_FOLDER).and_then(|rest| rest.strip_prefix('/'))
        && snapshot::is_part(part)
    {
        let folder = staging.join(LOG_FOLDER);
        if !folder.exists() {
            files::make_folder(&folder)?;
        }
        return Ok(folder.join(part));
    }
    match name {
        STORE_FILE | OWNER_FILE | MASTER_KEY_FILE => Ok(staging.join(name)),
        _ => Err(strange(name)),
    }
}

fn strange(name: &str) -> Error {
    Error::invalid(format!("The backup has '{}' where no backup of Ferrohub has it.", name.escape_default()))
}

/// The master key, from the backup or from where the configuration says, must open every data key.
async fn check_master_key(manifest: &Manifest, staging: &Path, config: &Config) -> Result<()> {
    let needed = &manifest.master_key.fingerprint;
    let key = match (&config.master_key, manifest.master_key.included) {
        (Some(source), _) => master_key::named(source)?,
        (None, true) => master_key::of_file(&staging.join(MASTER_KEY_FILE))?,
        (None, false) => {
            return Err(Error::invalid(format!(
                "The backup does not contain the master key {needed}, without which its secrets cannot be opened: name the key's file in FERROHUB_MASTER_KEY_FILE, or the key in FERROHUB_MASTER_KEY."
            )));
        }
    };
    if key.fingerprint() != *needed {
        return Err(Error::forbidden(format!(
            "The backup needs the master key {needed}, and the one that {} is {}.",
            match config.master_key {
                Some(MasterKeySource::File(_)) => "the configuration names",
                Some(MasterKeySource::Environment) => "FERROHUB_MASTER_KEY holds",
                None => "it contains",
            },
            key.fingerprint()
        )));
    }
    master_key::verify(&staging.join(STORE_FILE), &key).await?;
    if config.master_key.is_some() {
        // It is kept elsewhere here: no second one lies about.
        remove_if_there(&staging.join(MASTER_KEY_FILE))
            .map_err(|error| Error::invalid(format!("Cannot remove the backup's master key: {error}.")))?;
    }
    Ok(())
}

/// What `ferrohub doctor` looks at.
fn look(staging: &Path) -> Result<()> {
    let damaged = |what: &str, fault: String| Error::invalid(format!("The backup's {what} is damaged: {fault}."));
    let faults = SqliteStore::check(&staging.join(STORE_FILE), tables::ALL)
        .map_err(|error| damaged("store", error.to_string()))?;
    if let Some(fault) = faults.into_iter().next() {
        return Err(damaged("store", fault));
    }
    let faults = LocalEventLog::check(&RealDisk, &staging.join(LOG_FOLDER))
        .map_err(|error| damaged("event log", error.context.unwrap_or(error.message)))?;
    faults.into_iter().next().map_or(Ok(()), |fault| Err(damaged("event log", fault)))
}

/// The folder that is restored into, locked.
struct Target {
    path: PathBuf,
    made: bool,
    _lock: DataDir,
}

impl Target {
    fn take(path: &Path) -> Result<Self> {
        let made = !path.exists();
        let lock = DataDir::lock(path)?;
        let target = Self { path: lock.path().to_owned(), made, _lock: lock };
        if target.staging().exists() {
            line("cleared  what a restore that was cut off left");
            target.clear_parts()?;
        }
        let unreadable = |error: io::Error| unreadable(&target.path, &error);
        for entry in std::fs::read_dir(&target.path).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            if name != LOCK_FILE {
                return Err(Error::invalid(format!(
                    "The data folder {} is not empty ({}); restore into a folder of its own with --data-dir.",
                    target.path.display(),
                    name.to_string_lossy()
                )));
            }
        }
        Ok(target)
    }

    fn staging(&self) -> PathBuf {
        self.path.join(RESTORING)
    }

    fn put_in_place(&self) -> Result<()> {
        let staging = self.staging();
        let fail = |error: io::Error| Error::invalid(format!("Cannot put the backup in place: {error}."));
        let log = staging.join(LOG_FOLDER);
        sync_folder(&log).map_err(fail)?;
        for part in PARTS {
            if staging.join(part).exists() {
                std::fs::rename(staging.join(part), self.path.join(part)).map_err(fail)?;
            }
        }
        sync_folder(&self.path).map_err(fail)?;
        std::fs::remove_dir_all(&staging).map_err(fail)?;
        sync_folder(&self.path).map_err(fail)
    }

    /// Leaves the folder as it was found.
    fn clear(&self) -> Result<()> {
        self.clear_parts()?;
        if self.made {
            let gone = remove_if_there(&self.path.join(LOCK_FILE)).and_then(|()| std::fs::remove_dir(&self.path));
            gone.map_err(|error| Error::invalid(format!("Cannot remove {}: {error}.", self.path.display())))?;
        }
        Ok(())
    }

    /// Removes what restores put into the folder, which was empty before; the mark of a restore under way last.
    fn clear_parts(&self) -> Result<()> {
        let staging = self.staging();
        if !staging.exists() {
            return Ok(());
        }
        let parts = PARTS.iter().map(|part| self.path.join(part)).chain([staging]);
        for path in parts {
            let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { remove_if_there(&path) };
            removed.map_err(|error| Error::invalid(format!("Cannot remove {}: {error}.", path.display())))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_a_backup_has_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| place(folder.path(), name);
        assert_eq!(at("store.db").unwrap(), folder.path().join("store.db"));
        assert!(at("log/00000000000000000007.log").unwrap().starts_with(folder.path().join("log")));
        for name in [
            "../store.db",
            "/etc/passwd",
            "log/../../x",
            "log/x.log",
            "log/",
            "server.json",
            "log",
            "log/00000000000000000007.sh",
            "restoring",
            "",
        ] {
            assert!(at(name).is_err(), "{name}");
        }
    }
}
