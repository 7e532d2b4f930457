//! An engine for tests: keys that are not in this process, every call of which makes its caller wait. It stands in for
//! a PKCS#11 token or a remote service, gives no key out, and forgets everything when its last handle is dropped.

use super::{KeyStore, no_such_key};
use crate::algorithm::{KeyKind, SignatureAlgorithm};
use crate::signer::{Signer, SoftwareSigner};
use async_trait::async_trait;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::key_reference::KeyReference;
use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use uuid::Uuid;

/// Name of the engine.
pub const ENGINE: &str = "distant";

/// A handle on the device at the other end.
#[derive(Clone, Default)]
pub struct DistantKeys(Arc<Device>);

#[derive(Default)]
struct Device {
    keys: Mutex<HashMap<(String, Uuid), Arc<SoftwareSigner>>>,
    waits: AtomicUsize,
    lost: AtomicBool,
}

struct DistantKey {
    device: Arc<Device>,
    key: Arc<SoftwareSigner>,
}

impl DistantKeys {
    /// Ids of the keys that the device holds.
    pub fn ids(&self) -> Vec<Uuid> {
        self.0.lock().keys().map(|(_, id)| *id).collect()
    }

    /// From now on the device does not answer, or answers again; it keeps its keys.
    pub fn lose(&self, lost: bool) {
        self.0.lost.store(lost, Ordering::Relaxed);
    }

    /// How often a caller waited.
    pub fn waits(&self) -> usize {
        self.0.waits.load(Ordering::Relaxed)
    }
}

impl Device {
    fn lock(&self) -> MutexGuard<'_, HashMap<(String, Uuid), Arc<SoftwareSigner>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Not ready when it is polled first; an error while the device is lost.
    async fn answer(&self) -> Result<()> {
        self.waits.fetch_add(1, Ordering::Relaxed);
        let mut asked = false;
        poll_fn(|context| {
            if std::mem::replace(&mut asked, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        match self.lost.load(Ordering::Relaxed) {
            true => Err(Error::unavailable("The device 'distant' is not there.", 5)),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Signer for DistantKey {
    fn public_key_info_der(&self) -> &[u8] {
        self.key.public_key_info_der()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        self.device.answer().await?;
        self.key.sign_in_process(message)
    }
}

#[async_trait]
impl KeyStore for DistantKeys {
    fn engine(&self) -> &str {
        ENGINE
    }

    async fn generate(&self, reference: &KeyReference, kind: KeyKind) -> Result<Arc<dyn Signer>> {
        self.0.answer().await?;
        if reference.exportable {
            return Err(Error::invalid("This key store gives no key out."));
        }
        let key = Arc::new(SoftwareSigner::generate(kind)?);
        let place = (reference.scope.clone(), reference.id);
        let mut keys = self.0.lock();
        if keys.contains_key(&place) {
            return Err(Error::conflict(format!("There is a key {reference} already.")));
        }
        keys.insert(place, Arc::clone(&key));
        Ok(Arc::new(DistantKey { device: Arc::clone(&self.0), key }))
    }

    async fn open(&self, reference: &KeyReference) -> Result<Arc<dyn Signer>> {
        self.0.answer().await?;
        let key = self.0.lock().get(&(reference.scope.clone(), reference.id)).map(Arc::clone);
        match key {
            Some(key) if reference.engine == ENGINE => Ok(Arc::new(DistantKey { device: Arc::clone(&self.0), key })),
            _ => Err(no_such_key(reference)),
        }
    }

    async fn destroy(&self, reference: &KeyReference) -> Result<()> {
        self.0.answer().await?;
        self.0.lock().remove(&(reference.scope.clone(), reference.id));
        Ok(())
    }
}
