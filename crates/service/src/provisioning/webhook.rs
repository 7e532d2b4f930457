//! Custom allocation: a webhook of the operator says which hub a device gets (reference: iot-hub-and-dps.md A.10).
//!
//! Who speaks HTTPS is an engine behind [`Webhooks`]; what is asked, how often, and what an answer may say is decided here
//! ([ADR 0032](../../../../docs/adr/0032-a-registration-waits-for-its-webhook.md)).

use super::attest::Attested;
use super::linked_hub::linked_hubs;
use super::register::RegisterRequest;
use super::{DpsRef, ProvisioningService};
use async_trait::async_trait;
use ferrohub_model::clock::timeout;
use ferrohub_model::enrollment::{AllocationPolicy, CustomAllocation, EnrollmentKind, InitialTwin, parse_initial_twin};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::registration::Registration;
use serde_json::{Map, Value, json};
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

/// What a webhook decided about a device.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// Host of the hub, as it was written.
    pub(super) hub_host: String,
    /// The twin that a new device starts with, in the place of the enrollment's.
    pub(super) initial_twin: Option<InitialTwin>,
    /// What the device is told.
    pub(super) payload: Option<Value>,
}

impl ProvisioningService {
    /// Refuses a webhook that could never be asked.
    pub(super) fn check_webhook(&self, definition: &CustomAllocation) -> Result<(), String> {
        match &self.webhooks {
            Some(webhooks) => webhooks.check(&definition.webhook_url),
            None => Err("this server may ask none; its operator names hosts and what vouches for them in 'webhooks' of the configuration".into()),
        }
    }

    /// Asks the enrollment's webhook about a device; `None` where no webhook decides, or the device stays where it is. Nothing is held
    /// meanwhile: a webhook that is slow makes nobody wait but its own devices. The inner error is the registration's failure.
    ///
    /// # Errors
    /// `Throttled` while too many are asked.
    pub(super) async fn ask_webhook(
        &self,
        dps: &DpsRef,
        attested: &Attested,
        request: &RegisterRequest,
        existing: Option<&Registration>,
    ) -> Result<Option<Result<Answer>>> {
        let settings = attested.settings();
        let (Some(AllocationPolicy::Custom), Some(definition)) =
            (settings.allocation_policy, &settings.custom_allocation_definition)
        else {
            return Ok(None);
        };
        let present = existing.and_then(|existing| existing.assignment.as_ref());
        let linked = linked_hubs(dps);
        let stands = present.is_some_and(|had| linked.iter().any(|hub| hub.host.eq_ignore_ascii_case(&had.hub_host)));
        if stands && !settings.reprovision_policy.update_hub_assignment {
            return Ok(None);
        }
        let _permit = self.asking.try_acquire().map_err(|_| busy())?;
        let body = question(dps, attested, request, existing);
        let answer = match self.post(definition, body.to_string().into_bytes()).await {
            Ok(bytes) => read(&bytes),
            Err(why) => Err(why),
        };
        let answer = answer.map_err(|why| {
            let enrollment = &attested.enrollment;
            failed(format!(
                "Custom allocation failed: the webhook of the {} '{}' {why}.",
                enrollment.kind().word(),
                enrollment.id()
            ))
        });
        Ok(Some(answer))
    }

    async fn post(&self, definition: &CustomAllocation, body: Vec<u8>) -> Result<Vec<u8>, String> {
        self.check_webhook(definition).map_err(|why| format!("may not be asked: {why}"))?;
        let Some(webhooks) = &self.webhooks else { return Err("may not be asked".into()) };
        let url = versioned(definition);
        let clock = self.platform.clock.as_ref();
        let mut last = String::new();
        for number in 0..WEBHOOK_TRIES {
            if number > 0 {
                clock.sleep(WEBHOOK_PAUSE).await;
            }
            match timeout(clock, WEBHOOK_PATIENCE, webhooks.post(&url, body.clone())).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(WebhookFault::Lasting(why))) => return Err(why),
                Ok(Err(WebhookFault::Passing(why))) => last = why,
                Err(_) => last = format!("did not answer within {} seconds", WEBHOOK_PATIENCE.as_secs()),
            }
        }
        Err(format!("{last} ({WEBHOOK_TRIES} tries)"))
    }
}

/// The URL with the api-version in which the webhook wants to be asked.
fn versioned(definition: &CustomAllocation) -> String {
    let (url, version) = (&definition.webhook_url, &definition.api_version);
    if url.contains("api-version=") {
        return url.clone();
    }
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}api-version={version}")
}

/// The document that a webhook gets: the enrollment without its keys, the device, and the hubs that it may name.
fn question(dps: &DpsRef, attested: &Attested, request: &RegisterRequest, existing: Option<&Registration>) -> Value {
    let enrollment = &attested.enrollment;
    let mut device = Map::new();
    device.insert("registrationId".into(), request.registration_id.clone().into());
    if let Some(had) = existing.and_then(|existing| existing.assignment.as_ref()) {
        device.insert("currentIotHubHostName".into(), had.hub_host.clone().into());
        device.insert("currentDeviceId".into(), had.device_id.clone().into());
    }
    let (name, value) = attested.attested_by().shown();
    device.insert(name.into(), value);
    if let Some(payload) = &request.payload {
        device.insert("payload".into(), payload.clone());
    }
    let linked = linked_hubs(dps);
    let hosts: Vec<&str> = super::allocate::candidates(&linked, attested.settings(), AllocationPolicy::Custom)
        .into_iter()
        .map(|hub| hub.host.as_str())
        .collect();
    let member = match enrollment.kind() {
        EnrollmentKind::Group => "enrollmentGroup",
        EnrollmentKind::Individual => "individualEnrollment",
    };
    json!({member: enrollment.view(), "deviceRuntimeContext": device, "linkedHubs": hosts})
}

/// What an answer says, or what is wrong with it.
fn read(bytes: &[u8]) -> Result<Answer, String> {
    let body: Value = serde_json::from_slice(bytes).map_err(|_| "answered something that is not JSON".to_owned())?;
    let host = body.get("iotHubHostName").and_then(Value::as_str).unwrap_or_default();
    if host.is_empty() {
        return Err("answered without 'iotHubHostName'".into());
    }
    let initial_twin = match body.get("initialTwin") {
        None | Some(Value::Null) => None,
        Some(_) => Some(
            parse_initial_twin(&body)
                .map_err(|error| format!("answered with a wrong initialTwin: {}", error.message))?,
        ),
    };
    let payload = body.get("payload").filter(|payload| !payload.is_null()).cloned();
    Ok(Answer { hub_host: host.to_owned(), initial_twin, payload })
}

/// The failure of a custom allocation (DPS: 400207).
pub(super) fn failed(message: String) -> Error {
    Error::invalid(message).with_code("CustomAllocationFailed").with_iot_code(400_207)
}

fn busy() -> Error {
    let text = "Too many webhooks of custom allocation are asked at the moment; register again in a few seconds.";
    let mut error = Error::new(ErrorKind::Throttled, "TooManyRequests", text).with_iot_code(429_001);
    error.retry_after_seconds = Some(3);
    error
}
