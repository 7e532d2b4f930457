//! Sealing of secrets: the master key wraps one data key per namespace, hub and DPS; data keys seal fields.

use crate::tables::DATA_KEYS;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::OPEN_DATA_KEYS;
use ferrohub_model::random::Random;
use ferrohub_pki::seal::{self, Aad, DataKey, MasterKey};
use ferrohub_store::{Put, Row, Store, StoreError, UnitOfWork};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;
use zeroize::Zeroizing;

/// The keys of the installation.
pub struct Keyring {
    master: MasterKey,
    random: Arc<dyn Random>,
    open: Cache<String, Arc<Opened>>,
}

/// A row of [`DATA_KEYS`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WrappedKey {
    /// Id of the data key, under which it seals.
    pub(crate) id: Uuid,
    /// Base64 of the key, wrapped by the master key.
    pub(crate) wrapped: String,
    /// The same key, wrapped by a master key that takes over: only while one is exchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<Next>,
}

/// A data key under the master key that takes over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Next {
    /// Check value of that master key.
    pub(crate) check: String,
    /// Base64 of the wrapped key.
    pub(crate) wrapped: String,
}

impl WrappedKey {
    /// The data key, opened with the master key that it is or is about to be wrapped by.
    pub(crate) fn open(&self, master: &MasterKey) -> Result<DataKey> {
        let next = self.next.as_ref().filter(|next| next.check == master.check_value());
        let text = next.map_or(&self.wrapped, |next| &next.wrapped);
        let wrapped = STANDARD.decode(text).map_err(|error| Error::internal(format!("data key: {error}")))?;
        master.unwrap(self.id, &wrapped)
    }
}

struct Opened {
    id: Uuid,
    key: DataKey,
}

impl Keyring {
    /// A keyring under `master`.
    pub fn new(master: MasterKey, random: Arc<dyn Random>) -> Self {
        Self { master, random, open: Cache::new(OPEN_DATA_KEYS) }
    }

    /// The value by which a wrong master key is noticed.
    pub fn check_value(&self) -> String {
        self.master.check_value()
    }

    /// Refuses a stored check value of another master key.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub fn verify_check_value(&self, stored: &str) -> Result<()> {
        self.master.verify_check_value(stored)
    }

    /// Seals `plain` for the field `field` of `row` in `table`, under the data key of `owner`. Base64.
    ///
    /// # Errors
    /// When the store fails or the provider cannot seal.
    pub async fn seal(
        &self,
        store: &dyn Store,
        owner: &str,
        table: &str,
        row: &str,
        field: &str,
        plain: &[u8],
    ) -> Result<String> {
        let opened = self.data_key(store, owner).await?;
        let sealed = seal::seal(opened.id, &opened.key, &Aad { table, row, field }, plain, self.random.as_ref())?;
        Ok(STANDARD.encode(sealed))
    }

    /// Opens what [`Keyring::seal`] made with the same arguments.
    ///
    /// # Errors
    /// Internal, when the text was not sealed for this place or by these keys.
    pub async fn open(
        &self,
        store: &dyn Store,
        owner: &str,
        table: &str,
        row: &str,
        field: &str,
        sealed: &str,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let opened = self.existing(store, owner).await?;
        let opened = opened.ok_or_else(|| Error::internal(format!("no data key for owner {owner}")))?;
        let bytes = STANDARD
            .decode(sealed)
            .map_err(|_| Error::internal(format!("sealed field {table}/{row}/{field} is not base64")))?;
        seal::open(opened.id, &opened.key, &Aad { table, row, field }, &bytes)
    }

    /// Opens what came back from outside and may be anything; `None` where it was not sealed for this place or by these keys.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn reopen(
        &self,
        store: &dyn Store,
        owner: &str,
        place: &Aad<'_>,
        sealed: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let opened = self.existing(store, owner).await?;
        Ok(opened.and_then(|opened| seal::open(opened.id, &opened.key, place, sealed).ok()))
    }

    /// A secret that follows from the data key of `owner`, what it is for, and `parts`: the same in every process, and stored nowhere.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn derive(
        &self,
        store: &dyn Store,
        owner: &str,
        label: &str,
        parts: &[&[u8]],
    ) -> Result<Zeroizing<[u8; 32]>> {
        Ok(self.data_key(store, owner).await?.key.derive(label, parts))
    }

    /// Forgets the opened data key of an owner whose row in [`DATA_KEYS`] was deleted: everything sealed under it is gone for good.
    pub fn forget(&self, owner: &str) {
        self.open.remove(owner);
    }

    /// The data key of an owner, made where there is none.
    async fn data_key(&self, store: &dyn Store, owner: &str) -> Result<Arc<Opened>> {
        if let Some(opened) = self.existing(store, owner).await? {
            return Ok(opened);
        }
        let made = Arc::new(self.make(store, owner).await?);
        self.open.insert(owner.into(), made.clone());
        Ok(made)
    }

    /// The data key of an owner, where there is one.
    async fn existing(&self, store: &dyn Store, owner: &str) -> Result<Option<Arc<Opened>>> {
        if let Some(opened) = self.open.get(owner) {
            return Ok(Some(opened));
        }
        let Some(row) = store.get(&DATA_KEYS, owner).await? else { return Ok(None) };
        let opened = Arc::new(self.unwrap(&row)?);
        self.open.insert(owner.into(), opened.clone());
        Ok(Some(opened))
    }

    fn unwrap(&self, row: &Row) -> Result<Opened> {
        let stored = row.parse::<WrappedKey>()?;
        Ok(Opened { id: stored.id, key: stored.open(&self.master)? })
    }

    /// Makes a data key; when another caller was faster, its key is used.
    async fn make(&self, store: &dyn Store, owner: &str) -> Result<Opened> {
        let (id, key) = (self.random.uuid_v4(), DataKey::generate(self.random.as_ref()));
        let wrapped = STANDARD.encode(self.master.wrap(id, &key, self.random.as_ref())?);
        let mut unit = UnitOfWork::new();
        unit.expect_absent(&DATA_KEYS, owner);
        unit.put(Put::new(&DATA_KEYS, owner, Vec::new(), &WrappedKey { id, wrapped, next: None })?);
        match store.commit(unit).await {
            Ok(_) => Ok(Opened { id, key }),
            Err(StoreError::Conflict { .. }) => match store.get(&DATA_KEYS, owner).await? {
                Some(row) => self.unwrap(&row),
                None => Err(Error::unavailable("the data key was deleted while it was made; try again", 1)),
            },
            Err(other) => Err(other.into()),
        }
    }
}
