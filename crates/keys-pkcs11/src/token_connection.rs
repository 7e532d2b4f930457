//! The thread's hold on the token: connected when it is needed, again when it was lost.

use crate::fault::Fault;
use crate::token::Token;
use crate::{Settings, module};
use ferrohub_model::clock::{Clock, Moment};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Least time between two tries to connect: ours. Some libraries take seconds to find out that nothing is there.
const PAUSE: Duration = Duration::from_secs(1);

/// What the thread knows of the token.
pub(crate) struct TokenConnection {
    settings: Settings,
    clock: Arc<dyn Clock>,
    token: Option<Token>,
    /// Why the last try to connect failed, and when.
    failed: Option<(Moment, Fault)>,
    /// The PIN that the token refused: it is not tried again.
    refused: Option<Zeroizing<String>>,
}

impl TokenConnection {
    pub(crate) fn new(settings: Settings, clock: Arc<dyn Clock>) -> Self {
        Self { settings, clock, token: None, failed: None, refused: None }
    }

    /// Does `work` with the token; once more with a new connection where this one turns out to be lost. It may also be
    /// that a key is not there because the token is not: some libraries go on answering, of an empty token. So only a
    /// new connection is believed that.
    pub(crate) fn run<T>(&mut self, work: &impl Fn(&mut Token) -> Result<T, Fault>) -> Result<T, Fault> {
        let is_new = self.token.is_none();
        let outcome = match self.connected().and_then(work) {
            Err(fault @ (Fault::Lost(_) | Fault::NoKey)) if !is_new => {
                tracing::warn!(token = self.settings.token, ?fault, "the PKCS#11 token may be lost; connecting again");
                self.disconnect();
                self.connected().and_then(work)
            }
            outcome => outcome,
        };
        match outcome {
            // It is there, as a new connection shows, and fails all the same.
            Err(Fault::Lost(text)) if self.token.is_some() => {
                self.disconnect();
                Err(Fault::Other(text))
            }
            outcome => outcome,
        }
    }

    fn connected(&mut self) -> Result<&mut Token, Fault> {
        if self.token.is_none() {
            let now = self.clock.monotonic();
            if let Some((when, fault)) = &self.failed
                && now.since(*when) < PAUSE
            {
                return Err(fault.clone());
            }
            match self.connect() {
                Ok(token) => {
                    tracing::info!(token = self.settings.token, "connected to the PKCS#11 token");
                    self.failed = None;
                    self.token = Some(token);
                }
                Err(fault) => {
                    self.failed = Some((self.clock.monotonic(), fault.clone()));
                    return Err(fault);
                }
            }
        }
        self.token.as_mut().ok_or_else(|| Fault::Other("is not connected".to_owned()))
    }

    fn connect(&mut self) -> Result<Token, Fault> {
        let pin = self.settings.pin.read().map_err(Fault::Login)?;
        if self.refused.as_ref() == Some(&pin) {
            return Err(Fault::Login(
                "refused this PIN before, so it is not tried again: it would lock itself; put the right one in its place".into(),
            ));
        }
        let module = module::load(&self.settings.module)?;
        let connected = Token::connect(&module, &self.settings.token, &pin);
        match &connected {
            Ok(_) => self.refused = None,
            Err(Fault::Login(_)) => self.refused = Some(pin),
            // It may be plugged in later, which libraries see when they start.
            Err(_) => module::forget(&module),
        }
        connected
    }

    fn disconnect(&mut self) {
        if let Some(token) = self.token.take() {
            let module = token.close();
            module::forget(&module);
        }
    }
}
