//! The first engine: keys in the store, each sealed under the data key of its scope. They are opened into the memory
//! of this process, and here is the only place where a server's private key is PKCS#8.
#![expect(clippy::disallowed_methods, reason = "this engine is where a key turns into bytes and back")]

use crate::keyring::Keyring;
use crate::tables::SEALED_KEYS;
use async_trait::async_trait;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::key_reference::KeyReference;
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::key_store::{KeyStore, no_such_key, not_exportable};
use ferrohub_pki::signer::{Signer, SoftwareSigner};
use ferrohub_store::{Put, Store, StoreError, UnitOfWork};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Name of the engine.
pub const ENGINE: &str = "sealed";

/// What a row holds.
#[derive(Serialize, Deserialize)]
struct Sealed {
    /// Base64 of the sealed key.
    key: String,
}

/// Keys sealed in the store.
pub struct SealedKeys {
    store: Arc<dyn Store>,
    keyring: Arc<Keyring>,
}

impl SealedKeys {
    /// The keys in `store` that were sealed with `keyring`.
    pub fn new(store: Arc<dyn Store>, keyring: Arc<Keyring>) -> Self {
        Self { store, keyring }
    }

    async fn pkcs8(&self, reference: &KeyReference) -> Result<Zeroizing<Vec<u8>>> {
        if reference.engine != ENGINE {
            return Err(no_such_key(reference));
        }
        let row = reference.id.to_string();
        let stored = self.store.get(&SEALED_KEYS, &row).await?.ok_or_else(|| no_such_key(reference))?;
        let sealed = stored.parse::<Sealed>()?;
        self.keyring
            .open(self.store.as_ref(), &reference.scope, SEALED_KEYS.name, &row, field(reference), &sealed.key)
            .await
    }
}

/// A new key. Primes are looked for on a thread that nobody else waits for: an RSA key takes tenths of a second.
async fn make(kind: KeyKind) -> Result<SoftwareSigner> {
    let KeyKind::Rsa(_) = kind else { return SoftwareSigner::generate(kind) };
    let made = tokio::task::spawn_blocking(move || SoftwareSigner::generate(kind)).await;
    made.map_err(|error| Error::internal(format!("making a key: {error}")))?
}

/// Whether a key may be exported is sealed with it: a changed reference opens nothing.
fn field(reference: &KeyReference) -> &'static str {
    if reference.exportable { "exportable key" } else { "key" }
}

#[async_trait]
impl KeyStore for SealedKeys {
    fn engine(&self) -> &str {
        ENGINE
    }

    async fn generate(&self, reference: &KeyReference, kind: KeyKind) -> Result<Arc<dyn Signer>> {
        let (signer, row) = (make(kind).await?, reference.id.to_string());
        let store = self.store.as_ref();
        let key = self
            .keyring
            .seal(store, &reference.scope, SEALED_KEYS.name, &row, field(reference), &signer.to_pkcs8()?)
            .await?;
        let mut unit = UnitOfWork::new();
        unit.expect_absent(&SEALED_KEYS, row.clone());
        unit.put(Put::new(&SEALED_KEYS, row, Vec::new(), &Sealed { key })?);
        match store.commit(unit).await {
            Ok(_) => Ok(Arc::new(signer)),
            Err(StoreError::Conflict { .. }) => Err(Error::conflict(format!("There is a key {reference} already."))),
            Err(other) => Err(other.into()),
        }
    }

    async fn open(&self, reference: &KeyReference) -> Result<Arc<dyn Signer>> {
        let pkcs8 = self.pkcs8(reference).await?;
        let signer = SoftwareSigner::from_pkcs8(&pkcs8)
            .map_err(|error| Error::internal(format!("the key {reference} is sealed but no key: {error}")))?;
        Ok(Arc::new(signer))
    }

    async fn export(&self, reference: &KeyReference) -> Result<Zeroizing<Vec<u8>>> {
        if !reference.exportable {
            return Err(not_exportable(reference));
        }
        self.pkcs8(reference).await
    }

    async fn destroy(&self, reference: &KeyReference) -> Result<()> {
        let mut unit = UnitOfWork::new();
        unit.delete(&SEALED_KEYS, reference.id.to_string());
        self.store.commit(unit).await?;
        Ok(())
    }
}
