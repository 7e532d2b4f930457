//! What a device's connection asks of the services, whatever protocol it speaks: log in with a token or a certificate,
//! publish, read and report a twin, renew its certificate, hear what happens, be remembered. A protocol translates and decides nothing; its state machine is
//! tested without the services.

use async_trait::async_trait;
use ferrohub_model::device_session::{SessionKind, Subscriptions};
use ferrohub_model::error::Result;
use ferrohub_service::hub::{DeviceLogin, RenewalAccepted, RenewalEnded, RenewalRefused, SessionEvent, Telemetry};
use ferrohub_service::provisioning::{DeviceCaller, OperationStatus, RegisterRequest};
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

/// Lets devices in.
#[async_trait]
pub(crate) trait Gate: Send + Sync + 'static {
    /// Authenticates a device of a hub and opens its session. A clean one forgets what was remembered before.
    async fn login(&self, login: DeviceLogin, kind: SessionKind) -> Result<Opened>;
    /// Authenticates a device that wants to be provisioned.
    async fn attest(&self, caller: DeviceCaller<'_>) -> Result<()>;
    /// Starts or repeats a registration.
    async fn register(&self, request: RegisterRequest) -> Result<OperationStatus>;
    /// State of a registration that was started.
    async fn operation_status(&self, caller: DeviceCaller<'_>, operation_id: &str) -> Result<OperationStatus>;
}

/// A device's session at its hub. It ends when both halves are dropped.
pub(crate) struct Opened {
    /// What the device asks for.
    pub(crate) requests: Arc<dyn DeviceRequests>,
    /// What the device is told.
    pub(crate) events: Box<dyn DeviceEvents>,
    /// What the device wanted to hear in its last lasting session; `None`: there was none.
    pub(crate) remembered: Option<Subscriptions>,
}

/// What a device asks for on its connection.
#[async_trait]
pub(crate) trait DeviceRequests: Send + Sync {
    /// Appends telemetry; `Ok` means that it is safe on disk.
    async fn publish(&self, batch: &[Telemetry]) -> Result<()>;
    /// The twin as a device sees it: `{desired, reported}`.
    async fn twin(&self) -> Result<Value>;
    /// Merges into the reported properties; returns their new version.
    async fn patch_reported(&self, patch: Value, version: Option<u64>) -> Result<u64>;
    /// Keeps what the device wants to hear, if its session is a lasting one; `Ok` means that it is safe on disk.
    async fn remember(&self, wanted: Subscriptions) -> Result<()>;
    /// Accepts a request for a new certificate; `Ok` means that it is safe on disk.
    async fn renew(&self, request_id: &str, body: &Value) -> std::result::Result<RenewalAccepted, Box<RenewalRefused>>;
    /// Such requests that have ended and of which the device does not know yet.
    async fn ended_renewals(&self) -> Result<Vec<RenewalEnded>>;
    /// Notes that the device knows how these requests ended.
    async fn renewals_delivered(&self, operations: &[Uuid]) -> Result<()>;
    /// Notes a sign of life.
    fn heard(&self);
    /// Whether the device may ask for faults of its connection.
    fn may_fault(&self) -> bool;
}

/// What a device is told.
#[async_trait]
pub(crate) trait DeviceEvents: Send {
    /// Waits for news from the hub. Nothing is lost when the future is dropped.
    async fn next_event(&mut self) -> SessionEvent;
}
