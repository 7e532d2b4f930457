//! A device on its hub over MQTT (reference: iot-hub-and-dps.md, D.1 and D.2).

use super::connection::{ANSWER_TIMEOUT, Connection, Login};
use super::dial::Dial;
use super::key::{device_token, token_expiry};
use bytes::Bytes;
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::limits::{DEVICE_DESIRED_QUEUE, TELEMETRY_BYTES};
use ferrohub_wire::hub_delivery::HubDelivery;
use ferrohub_wire::hub_topic::{self, HubLogin, PropertyBag};
use ferrohub_wire::mqtt::Publish;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Hub device api-version for devices with issued certificates: the first with their renewal.
const API_VERSION: &str = "2025-08-01-preview";
/// The same for those without: hubs without certificate management know no preview.
const PLAIN_API_VERSION: &str = "2021-04-12";

/// How a device proves its identity to the hub.
#[derive(Clone, Copy)]
pub enum Proof<'a> {
    /// With the client certificate of its [`Dial`].
    Certificate,
    /// With a token signed by this key, base64.
    Key(&'a str),
}

/// A device's twin as the device sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Twin {
    /// What the back end wants.
    pub desired: Value,
    /// What the device said.
    pub reported: Value,
}

/// A change of the desired properties.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// Version of the desired properties after the change.
    pub version: u64,
    /// The change, with `$version`.
    pub patch: Value,
}

/// A connected device.
pub struct HubDevice {
    pub(super) connection: Connection,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) device_id: String,
    pub(super) requests: u32,
    /// Whether the answers to certificate requests were subscribed to.
    pub(super) hears_credentials: bool,
    desired: VecDeque<Desired>,
}

impl HubDevice {
    /// Connects `device_id` to the hub `host` and subscribes to twin answers and desired properties.
    ///
    /// # Errors
    /// As [`Connection::open`] and [`Connection::subscribe`].
    pub async fn connect(dial: &Dial, host: &str, device_id: &str, proof: Proof<'_>) -> Result<Self> {
        let clock = Arc::clone(dial.clock());
        let (password, api_version) = match proof {
            Proof::Certificate => (None, API_VERSION),
            Proof::Key(key) => {
                (Some(device_token(host, device_id, key, token_expiry(clock.as_ref()))?), PLAIN_API_VERSION)
            }
        };
        let login = HubLogin {
            host: host.to_owned(),
            device_id: device_id.to_owned(),
            module_id: None,
            api_version: Some(api_version.to_owned()),
            client_type: Some(concat!("ferrohub-device/", env!("CARGO_PKG_VERSION")).to_owned()),
            model_id: None,
        };
        let login = Login { client_id: login.client_id(), user_name: login.user_name(), password };
        let connection = Connection::open(dial, &login).await?;
        connection.subscribe(&[hub_topic::TWIN_RESPONSES_FILTER, hub_topic::DESIRED_PATCHES_FILTER]).await?;
        let (device_id, desired) = (device_id.to_owned(), VecDeque::new());
        Ok(Self { connection, clock, device_id, requests: 0, hears_credentials: false, desired })
    }

    /// Sends one telemetry message at QoS 1 and waits until the hub has it on disk (PUBACK). A
    /// property name that starts with `$.` is a system property, such as `$.ct` for the content type.
    ///
    /// # Errors
    /// `TooLarge` over 256 KB, else as [`Connection::publish`].
    pub async fn send(&self, payload: impl Into<Bytes>, properties: &[(&str, &str)]) -> Result<()> {
        let payload = payload.into();
        if payload.len() > TELEMETRY_BYTES {
            let text = format!("A message of {} bytes is over the limit of {TELEMETRY_BYTES}.", payload.len());
            return Err(Error::new(ErrorKind::TooLarge, "MessageTooLarge", text));
        }
        let mut bag = PropertyBag::default();
        for (name, value) in properties {
            bag.push((*name).to_owned(), Some((*value).to_owned()));
        }
        let topic = hub_topic::telemetry(&self.device_id, None, &bag);
        self.connection.publish(topic, payload).await
    }

    /// Reads the twin.
    ///
    /// # Errors
    /// The hub's status as a sentence, or that the connection ended.
    pub async fn twin(&mut self) -> Result<Twin> {
        let answer = self.ask(hub_topic::twin_get, Bytes::new()).await?;
        let mut document: Value = serde_json::from_slice(&answer.payload)
            .map_err(|error| Error::internal(format!("the hub's twin is not JSON: {error}")))?;
        Ok(Twin { desired: document["desired"].take(), reported: document["reported"].take() })
    }

    /// Reports properties as a merge patch; gives the new version of the reported properties.
    ///
    /// # Errors
    /// The hub's status as a sentence, or that the connection ended.
    pub async fn report(&mut self, patch: &Value) -> Result<u64> {
        let body = serde_json::to_vec(patch).map_err(|error| Error::internal(error.to_string()))?;
        let answer = self.ask(hub_topic::reported_patch, Bytes::from(body)).await?;
        answer.version.ok_or_else(|| Error::internal("the hub acknowledged reported properties without a version"))
    }

    /// The next change of the desired properties, in the order in which they came.
    ///
    /// # Errors
    /// `Unavailable` where none comes `within` the time or the connection ended.
    pub async fn desired(&mut self, within: Duration) -> Result<Desired> {
        self.wait(within).await?.ok_or_else(|| {
            Error::unavailable(format!("The hub changed no desired property within {} seconds.", within.as_secs()), 1)
        })
    }

    /// The same; `None` where none comes `within` the time. May be dropped and called again without loss.
    ///
    /// # Errors
    /// `Unavailable` where the connection ended.
    pub async fn wait(&mut self, within: Duration) -> Result<Option<Desired>> {
        let deadline = self.clock.monotonic() + within;
        loop {
            if let Some(change) = self.desired.pop_front() {
                return Ok(Some(change));
            }
            let left = deadline.since(self.clock.monotonic());
            let Some(message) = self.connection.wait(left).await? else { return Ok(None) };
            self.keep_desired(&message);
        }
    }

    /// Says DISCONNECT.
    pub async fn close(self) {
        self.connection.close().await;
    }

    async fn ask(&mut self, topic: fn(&str) -> String, body: Bytes) -> Result<TwinAnswer> {
        self.requests = self.requests.wrapping_add(1);
        let request_id = self.requests.to_string();
        self.connection.publish(topic(&request_id), body).await?;
        let deadline = self.clock.monotonic() + ANSWER_TIMEOUT;
        loop {
            let message = self.connection.next(deadline.since(self.clock.monotonic())).await?;
            match HubDelivery::parse(&message.topic) {
                HubDelivery::TwinResponse { status, rid, version } if rid == request_id => {
                    return TwinAnswer { version, payload: message.payload.clone() }.checked(status);
                }
                _ => self.keep_desired(&message),
            }
        }
    }

    pub(super) fn keep_desired(&mut self, message: &Publish) {
        if let Some(change) = desired_change(message) {
            if self.desired.len() == DEVICE_DESIRED_QUEUE {
                self.desired.pop_front();
            }
            self.desired.push_back(change);
        }
    }
}

struct TwinAnswer {
    version: Option<u64>,
    payload: Bytes,
}

impl TwinAnswer {
    fn checked(self, status: u16) -> Result<Self> {
        if (200..300).contains(&status) {
            return Ok(self);
        }
        let reason: String = String::from_utf8_lossy(&self.payload).chars().take(500).collect();
        Err(Error::invalid(format!("The hub refused the twin request with status {status}: {reason}")))
    }
}

fn desired_change(message: &Publish) -> Option<Desired> {
    match HubDelivery::parse(&message.topic) {
        HubDelivery::DesiredPatch { version } => {
            Some(Desired { version, patch: serde_json::from_slice(&message.payload).ok()? })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_wire::mqtt::QoS;
    use serde_json::json;

    fn message(topic: &str, payload: &'static str) -> Publish {
        Publish {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: false,
            topic: topic.into(),
            packet_id: None,
            payload: Bytes::from_static(payload.as_bytes()),
        }
    }

    #[test]
    fn desired_changes_are_told_from_other_messages() {
        let topic = hub_topic::desired_patch(2);
        let change = desired_change(&message(&topic, r#"{"a":1,"$version":2}"#)).unwrap();
        assert_eq!(change, Desired { version: 2, patch: json!({"a": 1, "$version": 2}) });
        assert!(desired_change(&message(&topic, "no json")).is_none());
        assert!(desired_change(&message(&hub_topic::twin_response(200, "1", None), "{}")).is_none());
    }

    #[test]
    fn a_refused_report_says_why() {
        let answer = TwinAnswer { version: None, payload: Bytes::from_static(b"depth over 10") };
        let error = answer.checked(400).err().unwrap();
        assert!(error.message.contains("status 400: depth over 10"), "{error}");
    }
}
