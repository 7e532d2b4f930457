//! Where private keys live. Nothing outside an engine sees a key: it is made and opened by its name, and it signs.
//!
//! To add an engine: implement [`KeyStore`] in a crate of its own, call [`conformance::run`] from its tests, and hand
//! it to the services where the binary wires its engines. The name of a key is chosen before the key is made, so that
//! the caller can write down what it is about to make; a key that never came into use is then found and destroyed.

pub mod conformance;
pub mod distant;

use crate::algorithm::KeyKind;
use crate::signer::Signer;
use async_trait::async_trait;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::key_reference::KeyReference;
use std::sync::Arc;
use zeroize::Zeroizing;

/// An engine that makes, keeps and opens private keys.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// Name of the engine, as references carry it.
    fn engine(&self) -> &str;

    /// Makes a key of `kind` under the name `reference`. It is kept durably when this returns.
    ///
    /// # Errors
    /// `Conflict` where the name is taken; `InvalidPropertyValue` (target `keyType`) for a kind, or `Invalid` for an
    /// exportable key, that the engine does not make; `Unavailable` where it does not answer.
    async fn generate(&self, reference: &KeyReference, kind: KeyKind) -> Result<Arc<dyn Signer>>;

    /// The key with the name `reference`. Callers keep what they opened: an engine may look far for it.
    ///
    /// # Errors
    /// `Internal` where there is no such key, or not under this scope; `Unavailable` where the engine does not answer.
    async fn open(&self, reference: &KeyReference) -> Result<Arc<dyn Signer>>;

    /// The key itself as PKCS#8, for the one use that needs it in the memory of this process: TLS.
    ///
    /// # Errors
    /// `Internal` where the key was not made exportable, and always in an engine that gives no keys out.
    async fn export(&self, reference: &KeyReference) -> Result<Zeroizing<Vec<u8>>> {
        Err(not_exportable(reference))
    }

    /// Destroys a key. Nothing happens where there is none.
    ///
    /// # Errors
    /// `Unavailable` where the engine does not answer.
    async fn destroy(&self, reference: &KeyReference) -> Result<()>;
}

/// The error of [`KeyStore::open`] for a key that is not there.
pub fn no_such_key(reference: &KeyReference) -> Error {
    Error::internal(format!("there is no key {reference}"))
}

/// The error of [`KeyStore::export`] for a key that stays where it is.
pub fn not_exportable(reference: &KeyReference) -> Error {
    Error::internal(format!("the key {reference} was not made to be exported"))
}
