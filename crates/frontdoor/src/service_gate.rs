//! The gate over the real services.

use crate::gate::{DeviceEvents, DeviceRequests, Gate, Opened};
use crate::tls::Hosts;
use async_trait::async_trait;
use ferrohub_model::device_session::{SessionKind, Subscriptions};
use ferrohub_model::error::Result;
use ferrohub_service::Service;
use ferrohub_service::hub::{
    self, DeviceLogin, OpenSession, RenewalAccepted, RenewalEnded, RenewalRefused, SessionEvent, Telemetry,
};
use ferrohub_service::provisioning::{DeviceCaller, OperationStatus, RegisterRequest};
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

/// The services behind the ports for devices.
pub(crate) struct ServiceGate {
    service: Arc<Service>,
}

impl ServiceGate {
    pub(crate) fn new(service: Arc<Service>) -> Self {
        Self { service }
    }
}

#[async_trait]
impl Gate for ServiceGate {
    async fn login(&self, login: DeviceLogin, kind: SessionKind) -> Result<Opened> {
        let (device, host, address) = (login.device_id.clone(), login.host.clone(), login.peer.address);
        let opened = self.service.hub.open(login, kind).await;
        if let Err(error) = &opened {
            self.service.note_refused(&device, &host, address, error);
        }
        let session = opened?;
        Ok(Opened { requests: session.connection(), remembered: session.remembered(), events: Box::new(session) })
    }

    async fn attest(&self, caller: DeviceCaller<'_>) -> Result<()> {
        let (device, scope, address) =
            (caller.registration_id.to_owned(), caller.id_scope.to_owned(), caller.peer.address);
        let proven = self.service.provisioning.authenticate_connection(caller).await;
        if let Err(error) = &proven {
            self.service.note_refused(&device, &scope, address, error);
        }
        proven.map(drop)
    }

    async fn register(&self, request: RegisterRequest) -> Result<OperationStatus> {
        self.service.provisioning.register(request).await
    }

    async fn operation_status(&self, caller: DeviceCaller<'_>, operation_id: &str) -> Result<OperationStatus> {
        self.service.provisioning.operation_status(caller, operation_id).await
    }
}

#[async_trait]
impl Hosts for ServiceGate {
    async fn takes_tls_1_3_only(&self, host: &str) -> bool {
        self.service.hub.takes_tls_1_3_only(host).await.unwrap_or(false)
    }
}

#[async_trait]
impl DeviceRequests for hub::DeviceConnection {
    async fn publish(&self, batch: &[Telemetry]) -> Result<()> {
        Self::publish(self, batch).await
    }

    async fn twin(&self) -> Result<Value> {
        Self::twin(self).await
    }

    async fn patch_reported(&self, patch: Value, version: Option<u64>) -> Result<u64> {
        Self::patch_reported(self, patch, version).await
    }

    async fn remember(&self, wanted: Subscriptions) -> Result<()> {
        Self::remember(self, wanted).await
    }

    async fn renew(&self, request_id: &str, body: &Value) -> std::result::Result<RenewalAccepted, Box<RenewalRefused>> {
        Self::renew(self, request_id, body).await
    }

    async fn ended_renewals(&self) -> Result<Vec<RenewalEnded>> {
        Self::ended_renewals(self).await
    }

    async fn renewals_delivered(&self, operations: &[Uuid]) -> Result<()> {
        Self::renewals_delivered(self, operations).await
    }

    fn heard(&self) {
        Self::heard(self);
    }

    fn may_fault(&self) -> bool {
        Self::may_fault(self)
    }
}

#[async_trait]
impl DeviceEvents for OpenSession {
    async fn next_event(&mut self) -> SessionEvent {
        Self::next_event(self).await
    }
}
