//! Custom allocation: a webhook of the operator says which hub a device gets (reference: iot-hub-and-dps.md A.10).
//!
//! Who speaks HTTPS is an engine behind [`Webhooks`]; what is asked, how often, and what an answer may say is decided here
//! ([ADR 0032](../../../../docs/adr/0032-a-registration-waits-for-its-webhook.md)).

use async_trait::async_trait;
use std::time::Duration;

/// Speaks HTTPS to webhooks.
#[async_trait]
pub trait Webhooks: Send + Sync {
    /// Whether a webhook at `url` may be asked at all.
    ///
    /// # Errors
    /// A sentence that says why not, and what the operator of the server can do.
    fn check(&self, url: &str) -> Result<(), String>;

    /// Sends `body`, which is JSON, by POST, follows no redirect and reads an answer of at most
    /// [`WEBHOOK_ANSWER_BYTES`](ferrohub_model::limits::WEBHOOK_ANSWER_BYTES). It may take as long as it likes: who asks
    /// stops waiting.
    ///
    /// # Errors
    /// Why there is no answer.
    async fn post(&self, url: &str, body: Vec<u8>) -> Result<Vec<u8>, WebhookFault>;
}

/// Why a webhook gave no answer, as a clause for a sentence such as "The webhook …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookFault {
    /// It may work the next time: it cannot be reached, or has a fault of its own.
    Passing(String),
    /// It will be the same the next time.
    Lasting(String),
}

/// Longest wait for one answer (as DPS: 5 s).
pub const WEBHOOK_PATIENCE: Duration = Duration::from_secs(5);
/// How often a webhook is asked for one registration: ours.
pub const WEBHOOK_TRIES: usize = 3;
/// Wait before the next try: ours.
pub const WEBHOOK_PAUSE: Duration = Duration::from_millis(200);
