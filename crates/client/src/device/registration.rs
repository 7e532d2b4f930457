//! Registration at DPS over MQTT (reference: iot-hub-and-dps.md, A.7; certificates.md, 2.2).

use super::connection::{ANSWER_TIMEOUT, Connection, Login};
use super::dial::Dial;
use super::key::{registration_token, token_expiry};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ferrohub_model::clock::Clock;
use ferrohub_model::device_id::check_registration_id;
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::limits::CHAIN_LENGTH;
use ferrohub_wire::dps_topic::{self, DpsLogin, DpsResponse};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// DPS device api-version: the first one with certificate requests.
const API_VERSION: &str = "2025-07-01-preview";
/// The same without a certificate request: the newest that every service takes.
const PLAIN_API_VERSION: &str = "2021-06-01";
/// Longest wait for the end of a registration: ours.
const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(120);
/// Pause between polls where DPS names none, seconds (SDK default: 2).
const DEFAULT_RETRY_SECONDS: u64 = 2;
/// Longest pause that the device lets DPS ask for, seconds: ours.
const MAX_RETRY_SECONDS: u64 = 30;

/// What a device registers with.
#[derive(Clone)]
pub struct RegistrationRequest {
    /// Id scope of the provisioning service.
    pub id_scope: String,
    /// Registration id.
    pub registration_id: String,
    /// The device's key, base64; none where the TLS certificate proves the identity.
    pub device_key: Option<String>,
    /// Base64 DER certificate request.
    pub csr: Option<String>,
    /// Custom payload.
    pub payload: Option<Value>,
}

/// What an assigned device got.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Host name of the hub.
    pub assigned_hub: String,
    /// Device id on that hub.
    pub device_id: String,
    /// Issued certificates, DER, leaf first; empty where no request was sent.
    pub chain: Vec<Vec<u8>>,
    /// Such as `initialAssignment`.
    pub substatus: Option<String>,
    /// Polls until the answer was final.
    pub polls: u32,
    /// The final answer as DPS sent it.
    pub document: Value,
}

/// Registers and waits until DPS has decided.
///
/// # Errors
/// What DPS said: its error code and message; a registration id that breaks the rule; or what went wrong on the way.
pub async fn register(dial: &Dial, request: &RegistrationRequest) -> Result<Registration> {
    // The server could only answer with a return code, which names no rule.
    check_registration_id(&request.registration_id)?;
    let clock = dial.clock().as_ref();
    let mut connection = Connection::open(dial, &login(request, clock)?).await?;
    let result = exchange(&mut connection, request, clock).await;
    connection.close().await;
    result
}

fn login(request: &RegistrationRequest, clock: &dyn Clock) -> Result<Login> {
    let RegistrationRequest { id_scope, registration_id, device_key, .. } = request;
    let password = match device_key {
        Some(key) => Some(registration_token(id_scope, registration_id, key, token_expiry(clock))?),
        None => None,
    };
    let login = DpsLogin {
        id_scope: id_scope.clone(),
        registration_id: registration_id.clone(),
        api_version: Some(if request.csr.is_some() { API_VERSION } else { PLAIN_API_VERSION }.to_owned()),
        client_version: Some(concat!("ferrohub-device/", env!("CARGO_PKG_VERSION")).to_owned()),
    };
    Ok(Login { client_id: registration_id.clone(), user_name: login.user_name(), password })
}

async fn exchange(
    connection: &mut Connection,
    request: &RegistrationRequest,
    clock: &dyn Clock,
) -> Result<Registration> {
    connection.subscribe(&[dps_topic::RESPONSES_FILTER]).await?;
    let deadline = clock.monotonic() + REGISTRATION_TIMEOUT;
    let mut operation: Option<String> = None;
    let mut requests = 0_u32;
    loop {
        requests += 1;
        let rid = requests.to_string();
        match &operation {
            None => connection.publish(dps_topic::register(&rid), document(request)?).await?,
            Some(operation) => connection.publish(dps_topic::operation_status(&rid, operation), Bytes::new()).await?,
        }
        let answer = answer_to(connection, &rid, clock).await?;
        if answer.status < 300 {
            let misread = |error| Error::internal(format!("DPS answered no operation status: {error}"));
            let document: Value = serde_json::from_slice(&answer.payload).map_err(misread)?;
            let state = OperationStatus::deserialize(&document).map_err(misread)?;
            if state.status != "assigning" {
                return outcome(state, requests - 1).map(|outcome| Registration { document, ..outcome });
            }
            operation = state.operation_id.filter(|id| !id.is_empty());
        } else if answer.status < 429 {
            return Err(refusal(answer.status, &answer.payload));
        }
        let pause = answer.retry_after.map_or(DEFAULT_RETRY_SECONDS, u64::from).min(MAX_RETRY_SECONDS);
        let pause = Duration::from_secs(pause);
        if clock.monotonic() + pause > deadline {
            let text =
                format!("DPS did not finish the registration within {} seconds.", REGISTRATION_TIMEOUT.as_secs());
            return Err(Error::unavailable(text, 1));
        }
        clock.sleep(pause).await;
    }
}

fn document(request: &RegistrationRequest) -> Result<Bytes> {
    let mut body = json!({ "registrationId": request.registration_id });
    if let Some(csr) = &request.csr {
        body["csr"] = json!(csr);
    }
    if let Some(payload) = &request.payload {
        body["payload"] = payload.clone();
    }
    serde_json::to_vec(&body).map(Bytes::from).map_err(|error| Error::internal(error.to_string()))
}

struct Answer {
    status: u16,
    retry_after: Option<u32>,
    payload: Bytes,
}

async fn answer_to(connection: &mut Connection, request_id: &str, clock: &dyn Clock) -> Result<Answer> {
    let deadline = clock.monotonic() + ANSWER_TIMEOUT;
    loop {
        let message = connection.next(deadline.since(clock.monotonic())).await?;
        if let Some(response) = DpsResponse::parse(&message.topic)
            && response.rid == request_id
        {
            return Ok(Answer {
                status: response.status,
                retry_after: response.retry_after_seconds,
                payload: message.payload.clone(),
            });
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OperationStatus {
    operation_id: Option<String>,
    status: String,
    registration_state: Option<RegistrationState>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RegistrationState {
    assigned_hub: Option<String>,
    device_id: Option<String>,
    substatus: Option<String>,
    error_code: Option<u32>,
    error_message: Option<String>,
    issued_certificate_chain: Option<Vec<String>>,
}

fn outcome(status: OperationStatus, polls: u32) -> Result<Registration> {
    let state = status.registration_state.unwrap_or_default();
    if status.status != "assigned" {
        let code = state.error_code.unwrap_or(0);
        let message = state.error_message.unwrap_or_else(|| "it gave no reason".to_owned());
        return Err(Error::forbidden(format!(
            "DPS ended the registration as '{}': {message} (error code {code}).",
            status.status
        ))
        .with_iot_code(code));
    }
    let (Some(assigned_hub), Some(device_id)) = (state.assigned_hub, state.device_id) else {
        return Err(Error::internal("DPS answered 'assigned' without a hub or a device id"));
    };
    let chain = certificates(&state.issued_certificate_chain.unwrap_or_default(), "DPS")?;
    Ok(Registration { assigned_hub, device_id, chain, substatus: state.substatus, polls, document: Value::Null })
}

/// Certificates as a service sends them, DER.
pub(super) fn certificates(chain: &[String], who: &str) -> Result<Vec<Vec<u8>>> {
    if chain.len() > CHAIN_LENGTH {
        let text = format!("{who} sent {} certificates; at most {CHAIN_LENGTH} are read.", chain.len());
        return Err(Error::invalid(text));
    }
    let not_base64 = |_| Error::invalid(format!("{who} sent a certificate that is not base64."));
    let decode = |text: &String| STANDARD.decode(text).map_err(not_base64);
    chain.iter().map(decode).collect()
}

/// An error document of DPS (`{errorCode, trackingId, message}`) as a sentence.
fn refusal(status: u16, payload: &[u8]) -> Error {
    let document: Value = serde_json::from_slice(payload).unwrap_or(Value::Null);
    let code =
        document["errorCode"].as_u64().and_then(|code| u32::try_from(code).ok()).unwrap_or(u32::from(status) * 1000);
    let message = document["message"].as_str().unwrap_or("it gave no reason");
    let kind = match status {
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict,
        _ => ErrorKind::Invalid,
    };
    Error::new(kind, "RegistrationRefused", format!("DPS refused the registration: {message} (error code {code})."))
        .with_iot_code(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(value: Value) -> OperationStatus {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_assignment_is_read_and_a_chain_may_be_null() {
        let assigned = status(json!({"operationId": "o", "status": "assigned", "registrationState": {
            "assignedHub": "h.azure-devices.localhost", "deviceId": "d", "issuedCertificateChain": ["AQI=", "Aw=="]}}));
        let registration = outcome(assigned, 1).unwrap();
        assert_eq!(registration.chain, [vec![1, 2], vec![3]]);
        let without = status(json!({"status": "assigned", "registrationState": {
            "assignedHub": "h", "deviceId": "d", "issuedCertificateChain": null}}));
        assert!(outcome(without, 1).unwrap().chain.is_empty());
    }

    #[test]
    fn failures_carry_code_and_message() {
        let failed = status(
            json!({"status": "failed", "registrationState": {"errorCode": 403_000, "errorMessage": "No right on the namespace."}}),
        );
        let error = outcome(failed, 1).unwrap_err();
        assert_eq!(error.numeric_code(), 403_000);
        assert!(error.message.contains("No right on the namespace."), "{error}");
        let error = refusal(401, br#"{"errorCode":401002,"trackingId":"t","message":"Unauthorized"}"#);
        assert_eq!((error.kind, error.numeric_code()), (ErrorKind::Unauthenticated, 401_002));
        assert_eq!(refusal(404, b"no json").numeric_code(), 404_000);
    }
}
