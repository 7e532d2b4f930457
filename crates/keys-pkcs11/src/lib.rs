//! Private keys in a PKCS#11 token: a hardware security module, a smart card, or SoftHSM.
//!
//! A key is made in the token, marked sensitive and never extractable, and signs there. Its name is what a
//! [`KeyReference`] says: `CKA_ID` is the key's id, `CKA_LABEL` is `ferrohub:` and the scope. So it is found again after a
//! restart, and opens under its own scope only. The public half lies beside it under the same name.
//!
//! PKCS#11 blocks, so one thread owns the session (`token_connection.rs`); callers queue before it, up to a limit and for a limited
//! time. A token that is lost costs its callers an error that names it. The thread connects again when it is asked next,
//! at most once a second, and never tries a PIN again that the token refused: tokens lock themselves after a few.

mod encoding;
mod fault;
mod module;
mod pin;
mod token;
mod token_connection;

pub use pin::Pin;

use crate::encoding::Kind;
use crate::fault::Fault;
use crate::token::{Found, Name, Token};
use crate::token_connection::TokenConnection;
use async_trait::async_trait;
use ferrohub_model::clock::{Clock, timeout};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::key_reference::KeyReference;
use ferrohub_model::limits::{TOKEN_PATIENCE, TOKEN_QUEUE};
use ferrohub_pki::algorithm::{KeyKind, SignatureAlgorithm};
use ferrohub_pki::key_store::{KeyStore, no_such_key};
use ferrohub_pki::signer::Signer;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::Builder;
use tokio::sync::oneshot;

/// Name of the engine, as references and the namespaces' setting carry it.
pub const ENGINE: &str = "pkcs11";

/// Which token, and how to log in to it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The vendor's PKCS#11 library, such as `/usr/lib/softhsm/libsofthsm2.so`.
    pub module: PathBuf,
    /// Label of the token.
    pub token: String,
    /// PIN of the token's user.
    pub pin: Pin,
}

/// The keys of one token.
pub struct Pkcs11Keys(Arc<Desk>);

/// Where callers queue before the thread.
struct Desk {
    token: String,
    clock: Arc<dyn Clock>,
    queue: SyncSender<Job>,
}

type Job = Box<dyn FnOnce(&mut TokenConnection) + Send>;

impl Pkcs11Keys {
    /// The keys of the token that `settings` name. Nothing is opened yet: a token that is not there must not keep a
    /// server from starting. See [`Pkcs11Keys::probe`].
    ///
    /// # Errors
    /// `Internal` where no thread can be started.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self> {
        let (queue, jobs) = sync_channel(TOKEN_QUEUE);
        let token = settings.token.clone();
        let mut connection = TokenConnection::new(settings, Arc::clone(&clock));
        Builder::new()
            .name("pkcs11".to_owned())
            .spawn(move || serve(&mut connection, &jobs))
            .map_err(|error| Error::internal(format!("starting the thread of the PKCS#11 token: {error}")))?;
        Ok(Self(Arc::new(Desk { token, clock, queue })))
    }

    /// Logs in to the token where that has not been done.
    ///
    /// # Errors
    /// `Unavailable` with a sentence that says what is wrong with it.
    pub async fn probe(&self) -> Result<()> {
        self.0.ask(|token| token.alive()).await
    }

    fn signer(&self, name: Name, found: Found) -> Result<Arc<dyn Signer>> {
        let algorithm = SignatureAlgorithm::for_key(found.kind)
            .ok_or_else(|| Error::internal(format!("the key {name} is of kind {}, which signs nothing", found.kind)))?;
        let public_key_info = found.public_key_info;
        Ok(Arc::new(TokenKey { desk: Arc::clone(&self.0), name, algorithm, public_key_info }))
    }
}

fn serve(connection: &mut TokenConnection, jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        job(connection);
    }
}

impl Desk {
    /// Has the thread do `work` with the token; twice, when the connection turns out to be lost.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Token) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        self.try_ask(work).await?.map_err(|fault| fault.told(&self.token))
    }

    /// As [`Desk::ask`], with the fault for those who know what to do about one.
    async fn try_ask<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Token) -> Result<T, Fault> + Send + 'static,
    ) -> Result<Result<T, Fault>> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // A caller that went away wants nothing done.
            if !answer.is_closed() {
                let _ = answer.send(connection.run(&work));
            }
        });
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => self
                .unavailable(&format!("has {TOKEN_QUEUE} requests waiting, which is the most; try again in a second")),
            TrySendError::Disconnected(_) => self.unavailable("is not served any more; restart the server"),
        })?;
        match timeout(self.clock.as_ref(), TOKEN_PATIENCE, answered).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(_)) => Err(self.unavailable("is not served any more; restart the server")),
            Err(_) => Err(self.unavailable(&format!("did not answer within {} seconds", TOKEN_PATIENCE.as_secs()))),
        }
    }

    fn unavailable(&self, what: &str) -> Error {
        Error::unavailable(format!("The PKCS#11 token '{}' {what}.", self.token), 1)
    }
}

#[async_trait]
impl KeyStore for Pkcs11Keys {
    fn engine(&self) -> &str {
        ENGINE
    }

    async fn generate(&self, reference: &KeyReference, kind: KeyKind) -> Result<Arc<dyn Signer>> {
        if reference.exportable {
            return Err(Error::invalid(format!(
                "A key in the PKCS#11 token '{}' never leaves it, so none is made there that could.",
                self.0.token
            )));
        }
        let template = Kind::of(kind)?;
        let name = Name::of(reference);
        let made = {
            let name = name.clone();
            self.0.ask(move |token| token.generate(&name, &template)).await?
        };
        self.signer(name, made)
    }

    async fn open(&self, reference: &KeyReference) -> Result<Arc<dyn Signer>> {
        if reference.engine != ENGINE || reference.exportable {
            return Err(no_such_key(reference));
        }
        let name = Name::of(reference);
        let wanted = name.clone();
        match self.0.try_ask(move |token| token.find(&wanted)).await? {
            Ok(found) => self.signer(name, found),
            Err(Fault::NoKey) => Err(no_such_key(reference)),
            Err(fault) => Err(fault.told(&self.0.token)),
        }
    }

    async fn destroy(&self, reference: &KeyReference) -> Result<()> {
        let name = Name::of(reference);
        match self.0.try_ask(move |token| token.destroy(&name)).await? {
            Ok(()) | Err(Fault::NoKey) => Ok(()),
            Err(fault) => Err(fault.told(&self.0.token)),
        }
    }
}

/// A key that lives in the token.
struct TokenKey {
    desk: Arc<Desk>,
    name: Name,
    algorithm: SignatureAlgorithm,
    public_key_info: Vec<u8>,
}

#[async_trait]
impl Signer for TokenKey {
    fn public_key_info_der(&self) -> &[u8] {
        &self.public_key_info
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let input = encoding::to_sign(self.algorithm, message)?;
        let (name, algorithm) = (self.name.clone(), self.algorithm);
        let raw = self.desk.ask(move |token| token.sign(&name, algorithm, &input)).await?;
        encoding::signature(self.algorithm, raw)
    }
}
