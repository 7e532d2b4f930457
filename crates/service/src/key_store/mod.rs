//! The installation's private keys: made, opened by reference, given up. No row holds a key, and no service sees one.
//!
//! A key may be made in a device that no unit of work reaches. So its name is written down first, in [`LOOSE_KEYS`];
//! the unit that brings the key into use takes the name out, and the unit that retires its owner puts the name back.
//! What stays there is destroyed by the worker: a key that never came into use, and one that nobody uses any more.

mod sealed;

pub use sealed::{ENGINE, SealedKeys};

use crate::keyring::Keyring;
use crate::platform::Engines;
use crate::tables::LOOSE_KEYS;
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::key_reference::KeyReference;
use ferrohub_model::random::Random;
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::key_store::KeyStore;
use ferrohub_pki::signer::Signer;
use ferrohub_store::{Pages, Put, Row, Store, UnitOfWork};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Age at which a key that did not come into use is destroyed: ours (making an authority takes milliseconds).
const LOOSE_AGE: Duration = Duration::from_secs(3600);
/// Loose keys looked at in one step of a sweep: ours.
const SWEEP_ROWS: usize = 200;

/// What a key is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// It signs certificates or tokens, wherever it lives.
    Signing,
    /// TLS needs it in the memory of this process: it is made where it can be exported.
    Tls,
}

/// The key stores of an installation.
pub struct Keys {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    sealed: Arc<dyn KeyStore>,
    /// Where signing keys are made. What was made elsewhere still opens there.
    chosen: Arc<dyn KeyStore>,
}

/// A name in [`LOOSE_KEYS`].
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Loose {
    key: KeyReference,
    since: Timestamp,
    /// Nobody will use it: it is destroyed whatever its age.
    given_up: bool,
}

impl Keys {
    /// The keys of an installation: sealed in its store, or in the key store that `engines` names.
    pub fn new(engines: &Engines, keyring: Arc<Keyring>) -> Self {
        let sealed: Arc<dyn KeyStore> = Arc::new(SealedKeys::new(Arc::clone(&engines.store), keyring));
        Self {
            store: Arc::clone(&engines.store),
            clock: Arc::clone(&engines.clock),
            random: Arc::clone(&engines.random),
            chosen: engines.keys.clone().unwrap_or_else(|| Arc::clone(&sealed)),
            sealed,
        }
    }

    /// Makes a key of `scope` (uid of a namespace, or `platform`). It comes into use with the commit of `unit`, which
    /// must hold the reference; without that commit it is destroyed some time later.
    ///
    /// # Errors
    /// Those of [`KeyStore::generate`]; when the store fails.
    pub async fn generate(
        &self,
        purpose: KeyUse,
        scope: &str,
        kind: KeyKind,
        unit: &mut UnitOfWork,
    ) -> Result<(KeyReference, Arc<dyn Signer>)> {
        let engine = match purpose {
            KeyUse::Signing => &self.chosen,
            KeyUse::Tls => &self.sealed,
        };
        let reference = KeyReference {
            engine: engine.engine().to_owned(),
            scope: scope.to_owned(),
            id: self.random.uuid_v4(),
            exportable: purpose == KeyUse::Tls,
        };
        let name = reference.id.to_string();
        let mut before = UnitOfWork::new();
        before.expect_absent(&LOOSE_KEYS, name.clone());
        before.put(self.loose(&reference, false)?);
        let committed = self.store.commit(before).await?;
        let version = committed.versions.first().copied();
        let version = version.ok_or_else(|| Error::internal("a commit without versions"))?;
        let signer = engine.generate(&reference, kind).await?;
        unit.expect_version(&LOOSE_KEYS, name.clone(), version);
        unit.delete(&LOOSE_KEYS, name);
        Ok((reference, signer))
    }

    /// Opens a key; the caller keeps what it opened.
    ///
    /// # Errors
    /// Those of [`KeyStore::open`]; `Internal` when the engine of the reference is not among this start's.
    pub async fn open(&self, reference: &KeyReference) -> Result<Arc<dyn Signer>> {
        self.engine(reference)?.open(reference).await
    }

    /// The key of the TLS listener as PKCS#8.
    ///
    /// # Errors
    /// Those of [`KeyStore::export`].
    pub async fn export(&self, reference: &KeyReference) -> Result<Zeroizing<Vec<u8>>> {
        self.engine(reference)?.export(reference).await
    }

    /// Adds to `unit`, which must take the reference out of its row, that the key is destroyed after the commit.
    ///
    /// # Errors
    /// `Internal` where the name does not serialize.
    pub fn give_up(&self, reference: &KeyReference, unit: &mut UnitOfWork) -> Result<()> {
        unit.put(self.loose(reference, true)?);
        Ok(())
    }

    /// Destroys keys that were given up, and those that did not come into use within an hour. Returns how many went.
    ///
    /// # Errors
    /// When the store or an engine fails; the rest is left for the next sweep.
    pub async fn sweep(&self) -> Result<usize> {
        let mut destroyed = 0;
        let mut pages = Pages::scan(self.store.as_ref(), &LOOSE_KEYS, "", SWEEP_ROWS);
        while let Some(rows) = pages.next().await? {
            for row in rows {
                destroyed += usize::from(self.sweep_one(&row).await?);
            }
        }
        Ok(destroyed)
    }

    async fn sweep_one(&self, row: &Row) -> Result<bool> {
        let (name, mut version, loose) = (row.key.clone(), row.version, row.parse::<Loose>()?);
        if !loose.given_up {
            let now = self.clock.now();
            if now <= loose.since || now.duration_since(loose.since).unsigned_abs() <= LOOSE_AGE {
                return Ok(false);
            }
            // Given up first: a unit that would still bring it into use then fails, before the key is gone.
            let mut unit = UnitOfWork::new();
            unit.expect_version(&LOOSE_KEYS, name.clone(), version);
            unit.put(self.loose(&loose.key, true)?);
            match self.store.commit(unit).await {
                Ok(committed) => version = committed.versions.first().copied().unwrap_or(version),
                Err(error) if error.is_conflict() => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        self.engine(&loose.key)?.destroy(&loose.key).await?;
        let mut unit = UnitOfWork::new();
        unit.expect_version(&LOOSE_KEYS, name.clone(), version);
        unit.delete(&LOOSE_KEYS, name);
        match self.store.commit(unit).await {
            Ok(_) => Ok(true),
            // Another process swept it at the same time.
            Err(error) if error.is_conflict() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn engine(&self, reference: &KeyReference) -> Result<&Arc<dyn KeyStore>> {
        [&self.sealed, &self.chosen].into_iter().find(|engine| engine.engine() == reference.engine).ok_or_else(|| {
            Error::internal(format!(
                "the key {reference} lives in the key store '{}', with which this program was not started",
                reference.engine
            ))
        })
    }

    fn loose(&self, reference: &KeyReference, given_up: bool) -> Result<Put> {
        let loose = Loose { key: reference.clone(), since: self.clock.now(), given_up };
        Ok(Put::new(&LOOSE_KEYS, reference.id.to_string(), Vec::new(), &loose)?)
    }
}
