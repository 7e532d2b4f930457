//! Taking a backup, of a folder whose server runs or not.
//!
//! The log's moment comes first, then the store's: so every message that was acknowledged before is in it, and of a hub
//! that is deleted meanwhile at most events that nobody asks for. The store is copied beside itself, looked through as
//! `ferrohub doctor` does, and streamed from there: a damaged store is noticed now, not when its backup is needed.

use super::files::{Part, Scratch};
use super::{FORMAT, MANIFEST, Manifest, MasterKeyNote, SUMS, Summing, Sums, lock, progress, size};
use crate::cli::{BackupArgs, ServerFlags};
use crate::config::{Config, Variables};
use crate::data_dir::{
    LOG_FOLDER, MASTER_KEY_FILE, OWNER_FILE, STORE_FILE, installed, read_bounded, unfinished_restore,
};
use crate::master_key;
use crate::output::{duration, line, print, since};
use ferrohub_clock::SystemClock;
use ferrohub_messaging::disk::RealDisk;
use ferrohub_messaging_local::snapshot::Snapshot;
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{Error, Result};
use ferrohub_pki::age::{Lock, Writer};
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::seal::fingerprint;
use ferrohub_service::tables;
use ferrohub_store_sqlite::SqliteStore;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Copy of the store while a backup is taken, in the data folder.
const COPY: &str = "store.db.copy";

/// What goes into the archive.
struct Plan {
    data: PathBuf,
    manifest: Manifest,
    log: Snapshot,
    store: Scratch,
    owner: Option<Vec<u8>>,
    master_key: Option<Zeroizing<Vec<u8>>>,
}

/// Writes the backup.
///
/// # Errors
/// `NotFound` where there is no installation; a sentence on what is damaged or cannot be read or written.
pub(crate) async fn run(args: &BackupArgs, variables: &Variables) -> Result<()> {
    let flags = ServerFlags { config: args.config.clone(), data_dir: args.data_dir.clone(), ..ServerFlags::default() };
    let config = Config::load(&flags, variables)?;
    installed(&config.data_dir)?;
    let lock = lock::of(&args.recipients, &args.passphrase, variables)?;
    let begun = SystemClock.monotonic();
    let (out, file) = Part::begin(&args.out)?;
    let plan = plan(&config, args.without_master_key).await?;
    let (note, elsewhere) = (plan.manifest.master_key.clone(), plan.manifest.elsewhere());
    let path = args.out.clone();
    let written = tokio::task::spawn_blocking(move || {
        let file = write(plan, file, &lock)?;
        out.finish(file)
    });
    written.await.map_err(|error| Error::internal(format!("writing a backup: {error}")))??;
    let bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
    let key = match note.included {
        true => format!("The master key {} is in it.", note.fingerprint),
        false => format!("The master key {} is not in it: keep it elsewhere, a restore asks for it.", note.fingerprint),
    };
    print(&format!("{}: {} in {}. {key}{elsewhere}", path.display(), size(bytes), duration(since(begun))))
}

/// Fixes the moment, copies the store and looks at it.
async fn plan(config: &Config, without_master_key: bool) -> Result<Plan> {
    let data = config.data_dir.clone();
    unfinished_restore(&data)?;
    let from = data.clone();
    let copied = tokio::task::spawn_blocking(move || -> Result<(Snapshot, Scratch)> {
        let log = Snapshot::take(&RealDisk, &from.join(LOG_FOLDER)).map_err(shown)?;
        let store = Scratch::take(from.join(COPY))?;
        SqliteStore::copy(&from.join(STORE_FILE), store.path()).map_err(unreadable)?;
        let faults = SqliteStore::check(store.path(), tables::ALL).map_err(unreadable)?;
        match faults.as_slice() {
            [] => Ok((log, store)),
            [first, ..] => Err(Error::invalid(format!(
                "The store is damaged and no backup is made of it: {first}. 'ferrohub doctor' lists all; restore an earlier backup."
            ))),
        }
    });
    let (log, store) = copied.await.map_err(|error| Error::internal(format!("copying the store: {error}")))??;
    let (check, keys_elsewhere) = master_key::of_store(store.path()).await?;
    let in_folder = config.master_key.is_none() && !without_master_key;
    let master_key = in_folder.then(|| master_key::text_for(&data, &check)).transpose()?;
    let note = MasterKeyNote { fingerprint: fingerprint(&check).to_owned(), included: master_key.is_some() };
    let owner = data.join(OWNER_FILE);
    Ok(Plan {
        manifest: Manifest {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            taken: SystemClock.now().to_string(),
            master_key: note,
            keys_elsewhere,
        },
        log,
        store,
        owner: owner.exists().then(|| read_bounded(&owner)).transpose()?,
        master_key,
        data,
    })
}

/// Removes the copy of the store that a backup left which was killed; one that is under way keeps its own.
pub(crate) fn clear(data: &Path) {
    let copy = data.join(COPY);
    if Scratch::is_there(&copy) {
        // Taken and dropped: it goes.
        drop(Scratch::take(copy));
    }
}

fn write<W: Write>(plan: Plan, file: W, lock: &Lock) -> Result<W> {
    let mut archive =
        Archive { tar: tar::Builder::new(Writer::new(file, lock, &SystemRandom)?), sums: Sums::new(), bytes: 0 };
    archive.json(MANIFEST, &plan.manifest)?;
    let copy = File::open(plan.store.path()).map_err(|error| failed(plan.store.path(), &error))?;
    let length = copy.metadata().map_err(|error| failed(plan.store.path(), &error))?.len();
    line(&format!("store  {}", size(length)));
    archive.add(STORE_FILE, length, &mut &copy)?;
    drop(plan.store);
    line(&format!("event log  {}", size(plan.log.bytes(&RealDisk).map_err(shown)?)));
    plan.log
        .copy(&RealDisk, &mut |name, length, content| archive.add(&format!("{LOG_FOLDER}/{name}"), length, content))
        .map_err(shown)?;
    for (name, bytes) in
        [(OWNER_FILE, plan.owner.as_deref()), (MASTER_KEY_FILE, plan.master_key.as_deref().map(Vec::as_slice))]
    {
        if let Some(bytes) = bytes {
            archive.add(name, bytes.len() as u64, &mut &*bytes)?;
        }
    }
    let sums = std::mem::take(&mut archive.sums);
    archive.json(SUMS, &sums)?;
    let whole = archive.tar.into_inner().and_then(Writer::finish);
    whole.map_err(|error| failed(&plan.data, &error))
}

struct Archive<W: Write> {
    tar: tar::Builder<Writer<W>>,
    sums: Sums,
    bytes: u64,
}

impl<W: Write> Archive<W> {
    fn add(&mut self, name: &str, length: u64, content: &mut dyn Read) -> Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(length);
        header.set_mode(0o600);
        header.set_entry_type(tar::EntryType::Regular);
        let mut content = Summing::new(content.take(length));
        let added = self.tar.append_data(&mut header, name, &mut content);
        added.map_err(|error| Error::invalid(format!("Cannot write the backup at {name}: {error}.")))?;
        let sum = content.sum();
        if sum.bytes != length {
            return Err(Error::invalid(format!("{name} became shorter while it was copied; take the backup again.")));
        }
        progress(self.bytes, self.bytes + length);
        self.bytes += length;
        self.sums.insert(name.to_owned(), sum);
        Ok(())
    }

    fn json(&mut self, name: &str, value: &impl serde::Serialize) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(value).map_err(|error| Error::internal(error.to_string()))?;
        self.add(name, bytes.len() as u64, &mut bytes.as_slice())
    }
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::invalid(format!("Cannot back up {}: {error}.", path.display()))
}

fn unreadable(error: ferrohub_store::StoreError) -> Error {
    Error::invalid(format!("Cannot back up the store: {error}."))
}

/// An error of the engine with what it says, which is for whoever runs the program.
fn shown(error: Error) -> Error {
    match error.context.clone() {
        Some(context) => Error::invalid(format!("Cannot back up the event log: {context}.")),
        None => error,
    }
}
