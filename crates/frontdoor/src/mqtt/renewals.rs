//! Certificate requests on MQTT: what is read, what is answered, what of it has arrived (reference: certificates.md section 3).

use crate::errors::{self, Trace};
use crate::json_body;
use ferrohub_model::api_version::ApiVersion;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::renewal::{CODE_NOT_JSON, bad};
use ferrohub_model::time::nanoseconds;
use ferrohub_service::hub::{RenewalAccepted, RenewalEnded};
use ferrohub_wire::mqtt::Packet;
use serde_json::{Value, json};
use uuid::Uuid;

/// The first api-version that knows certificate requests.
const FIRST_VERSION: &str = "2025-08-01-preview";

/// Outcomes that were written to the device and of which it is not known yet that they arrived: messages are sent at QoS 0.
#[derive(Debug, Default)]
pub(super) struct Renewals {
    written: Vec<Uuid>,
}

impl Renewals {
    pub(super) fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// Notes that an outcome is written; false where it was already.
    pub(super) fn note(&mut self, operation: Uuid) -> bool {
        let new = !self.written.contains(&operation);
        if new {
            self.written.push(operation);
        }
        new
    }

    /// What has been written until now.
    pub(super) fn take(&mut self) -> Vec<Uuid> {
        std::mem::take(&mut self.written)
    }
}

/// Whether a packet of the device shows that it takes what is written to it. Telemetry does too, but never waits for the store.
pub(super) fn shows_life(packet: &Packet) -> bool {
    match packet {
        Packet::Publish(publish) => publish.topic.starts_with("$iothub/"),
        _ => true,
    }
}

/// Whether a device that connected with this api-version may ask for certificates.
pub(super) fn known_by(version: Option<&str>) -> bool {
    let version = version.and_then(|text| ApiVersion::parse(text).ok());
    version.is_some_and(|version| version.cmp_declared(FIRST_VERSION).is_ge())
}

/// The payload of a request.
pub(super) fn read(known: bool, payload: &[u8]) -> Result<Value> {
    if !known {
        return Err(Error::invalid(format!(
            "Certificates are renewed from api-version {FIRST_VERSION} on; connect with it, or a later one, in the user name."
        ))
        .with_code("InvalidProtocolVersion")
        .with_iot_code(400_001));
    }
    if json_body::is_blank(payload) {
        return Err(bad("The payload is missing; include JSON with 'id' and 'csr'."));
    }
    json_body::parse(payload).map_err(|fault| {
        Error::invalid(format!("The hub cannot decode json format of the payload: {fault}."))
            .with_iot_code(CODE_NOT_JSON)
    })
}

/// The answer to a request that was accepted.
pub(super) fn accepted(accepted: &RenewalAccepted) -> (u16, Value) {
    let expires = nanoseconds(accepted.expires);
    (202, json!({"correlationId": accepted.correlation_id, "operationExpires": expires}))
}

/// The answer that tells how an accepted request ended.
pub(super) fn outcome(ended: &RenewalEnded, trace: &Trace) -> (u16, Value) {
    match &ended.outcome {
        Ok(chain) => (200, json!({"correlationId": ended.correlation_id, "certificates": chain})),
        Err(failure) => errors::mqtt::credential_failure(failure, ended.correlation_id, trace),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_know_certificate_requests() {
        for (version, known) in [
            (None, false),
            (Some("2021-04-12"), false),
            (Some("2025-07-01-preview"), false),
            (Some("2025-08-01-preview"), true),
            (Some("2025-08-01-Preview"), true),
            (Some("2026-11-01"), true),
        ] {
            assert_eq!(known_by(version), known, "{version:?}");
        }
    }

    #[test]
    fn payloads_that_are_no_json() {
        assert_eq!(read(true, b" ").unwrap_err().numeric_code(), 400_004);
        assert_eq!(read(true, br#"{"id": "d1", "#).unwrap_err().numeric_code(), 400_006);
        assert_eq!(read(false, b"{}").unwrap_err().numeric_code(), 400_001);
        assert_eq!(read(true, b"[]").unwrap(), json!([]), "what it must be is the hub's to say");
    }

    #[test]
    fn an_outcome_is_written_once() {
        let mut renewals = Renewals::default();
        assert!(renewals.note(Uuid::nil()) && !renewals.note(Uuid::nil()));
        assert_eq!(renewals.take(), [Uuid::nil()]);
        assert!(renewals.is_empty() && renewals.note(Uuid::nil()));
    }
}
