//! The installation's private keys: made, opened by reference, given up. No row holds a key, and no service sees one.
//!
//! A key may be made in a device that no unit of work reaches. So its name is written down first, in [`LOOSE_KEYS`];
//! the unit that brings the key into use takes the name out, and the unit that retires its owner puts the name back.
//! What stays there is destroyed by the worker: a key that never came into use, and one that nobody uses any more.
//!
//! The installation's own keys are sealed in the store: it signs tokens, and lets everybody in, while a token of PKCS#11
//! is lost. Where the keys of a namespace's authorities are made says its tag ([`choice`], ADR 0035).

pub mod choice;
mod sealed;

pub use sealed::{ENGINE, SealedKeys};

use crate::bootstrap::OWNER_SCOPE;
use crate::keyring::Keyring;
use crate::platform::Engines;
use crate::tables::{AUTHORITIES, LOOSE_KEYS, RESOURCES};
use ferrohub_model::certificate_authority::AuthorityRecord;
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::key_reference::KeyReference;
use ferrohub_model::limits::READ_ROWS;
use ferrohub_model::random::Random;
use ferrohub_model::resource::Resource;
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::key_store::KeyStore;
use ferrohub_pki::signer::Signer;
use ferrohub_store::{Pages, Put, Row, Store, UnitOfWork};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
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
    other: Option<OtherKeys>,
}

/// A key store beside the one that seals keys in the store.
#[derive(Clone)]
pub struct OtherKeys {
    /// The engine.
    pub engine: Arc<dyn KeyStore>,
    /// Whether the keys of namespaces that do not say otherwise are made in it.
    pub is_default: bool,
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
    /// The keys of an installation: sealed in its store, and in the key store that `engines` names.
    pub fn new(engines: &Engines, keyring: Arc<Keyring>) -> Self {
        let sealed: Arc<dyn KeyStore> = Arc::new(SealedKeys::new(Arc::clone(&engines.store), keyring));
        Self {
            store: Arc::clone(&engines.store),
            clock: Arc::clone(&engines.clock),
            random: Arc::clone(&engines.random),
            other: engines.keys.clone(),
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
            KeyUse::Signing if scope != OWNER_SCOPE => self.chosen_by(scope).await?,
            KeyUse::Signing | KeyUse::Tls => &self.sealed,
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
    /// Those of [`KeyStore::open`]; `Unavailable` when the engine of the reference is not among this start's.
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

    /// Destroys keys that were given up, and those that did not come into use within an hour. Returns how many went. An
    /// engine that does not answer keeps none of the others' keys alive.
    ///
    /// # Errors
    /// When the store fails, or, once all were tried, the first failure of an engine; what is left is for the next sweep.
    pub async fn sweep(&self) -> Result<usize> {
        let (mut destroyed, mut failed) = (0, None);
        let mut pages = Pages::scan(self.store.as_ref(), &LOOSE_KEYS, "", SWEEP_ROWS);
        while let Some(rows) = pages.next().await? {
            for row in rows {
                match self.sweep_one(&row).await {
                    Ok(gone) => destroyed += usize::from(gone),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
        }
        failed.map_or(Ok(destroyed), Err)
    }

    /// Refuses the tags of a namespace that choose a key store which this server does not have.
    ///
    /// # Errors
    /// `InvalidPropertyValue` naming those that there are.
    pub fn check_choice(&self, tags: Option<&Map<String, Value>>) -> Result<()> {
        match choice::of(tags) {
            Some(name) if self.named(name).is_none() => Err(choice::unknown(name, &self.names())),
            _ => Ok(()),
        }
    }

    /// Where the namespace `scope` wants its keys made.
    async fn chosen_by(&self, scope: &str) -> Result<&Arc<dyn KeyStore>> {
        let row = self.store.get(&RESOURCES, scope).await?;
        let resource = row.map(|row| row.parse::<Resource>()).transpose()?;
        match resource.as_deref().and_then(|resource| choice::of(resource.tags.as_ref())) {
            Some(name) => self.named(name).ok_or_else(|| not_started_with(name)),
            None => {
                Ok(self.other.as_ref().filter(|other| other.is_default).map_or(&self.sealed, |other| &other.engine))
            }
        }
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
        self.named(&reference.engine)
            .ok_or_else(|| not_started_with(&reference.engine).with_context(format!("the key {reference}")))
    }

    fn engines(&self) -> impl Iterator<Item = &Arc<dyn KeyStore>> {
        std::iter::once(&self.sealed).chain(self.other.as_ref().map(|other| &other.engine))
    }

    fn named(&self, name: &str) -> Option<&Arc<dyn KeyStore>> {
        self.engines().find(|engine| engine.engine() == name)
    }

    fn names(&self) -> Vec<&str> {
        self.engines().map(|engine| engine.engine()).collect()
    }

    fn loose(&self, reference: &KeyReference, given_up: bool) -> Result<Put> {
        let loose = Loose { key: reference.clone(), since: self.clock.now(), given_up };
        Ok(Put::new(&LOOSE_KEYS, reference.id.to_string(), Vec::new(), &loose)?)
    }
}

/// A key store that rows name and that the configuration of this start does not have.
fn not_started_with(name: &str) -> Error {
    Error::unavailable(
        format!(
            "The keys of this namespace live in the key store '{name}', with which this server was not started; configure it and start the server again."
        ),
        60,
    )
}

/// Living authorities whose key is not in the store, and so in no copy of it, by key store.
///
/// # Errors
/// When the store cannot be read.
pub async fn authorities_elsewhere(store: &dyn Store) -> Result<BTreeMap<String, usize>> {
    let mut found = BTreeMap::new();
    let mut pages = Pages::scan(store, &AUTHORITIES, "", READ_ROWS);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            let record = row.parse::<AuthorityRecord>()?;
            if let Some(key) = record.key.as_ref().filter(|key| key.engine != ENGINE) {
                *found.entry(key.engine.clone()).or_default() += 1;
            }
        }
    }
    Ok(found)
}
