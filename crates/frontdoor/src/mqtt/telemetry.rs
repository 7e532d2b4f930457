//! Publishes on their way to the log: read ahead, appended in batches, acknowledged in order.

use crate::gate::DeviceRequests;
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{ErrorKind, Result};
use ferrohub_model::limits;
use ferrohub_model::message::check_size;
use ferrohub_service::hub::Telemetry;
use ferrohub_wire::hub_topic::PropertyBag;
use ferrohub_wire::mqtt::Publish;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// Pauses between attempts while the log is full.
const RETRY_PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Publishes of one connection that are not acknowledged yet.
pub(super) struct Pipeline {
    clock: Arc<dyn Clock>,
    waiting: Batch,
    sending: Option<BoxFuture<'static, Result<Vec<u16>>>>,
}

/// What goes to the log together.
#[derive(Default)]
struct Batch {
    telemetry: Vec<Telemetry>,
    /// Packet ids to acknowledge afterwards, in the order of arrival.
    acknowledge: Vec<u16>,
    bytes: usize,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.telemetry.is_empty() && self.acknowledge.is_empty()
    }
}

impl Pipeline {
    /// An empty one, whose pauses go by `clock`.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, waiting: Batch::default(), sending: None }
    }

    /// Whether another packet may be read.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.telemetry.len() < limits::MQTT_IN_FLIGHT
            && self.waiting.acknowledge.len() < limits::MQTT_IN_FLIGHT
            && self.waiting.bytes < limits::MQTT_QUEUE_BYTES
    }

    /// Whether everything was acknowledged.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.sending.is_none()
    }

    /// Queues a message, and its acknowledgement if it wants one.
    pub(super) fn push(&mut self, telemetry: Telemetry, packet_id: Option<u16>) {
        debug_assert!(self.has_room(), "a packet was read that there was no room for");
        self.waiting.bytes += telemetry.payload.len();
        self.waiting.telemetry.push(telemetry);
        self.waiting.acknowledge.extend(packet_id);
    }

    /// Queues an acknowledgement behind those of earlier messages (MQTT 3.1.1, 4.6: in the order of arrival).
    pub(super) fn push_acknowledgement(&mut self, packet_id: u16) {
        self.waiting.acknowledge.push(packet_id);
    }

    /// Waits until the batch in work is safe, starting one if none is; returns the packet ids to acknowledge.
    /// Waits for ever when there is nothing to do. Nothing is lost when the future is dropped.
    pub(super) async fn advance(&mut self, requests: &Arc<dyn DeviceRequests>) -> Result<Vec<u16>> {
        if self.sending.is_none() && !self.waiting.is_empty() {
            let batch = std::mem::take(&mut self.waiting);
            self.sending = Some(Box::pin(send(requests.clone(), batch, self.clock.clone())));
        }
        let Some(sending) = &mut self.sending else { return std::future::pending().await };
        let result = sending.await;
        self.sending = None;
        result
    }
}

/// Appends a batch. A full log is waited for: the peer is not read meanwhile, and nothing is dropped.
async fn send(requests: Arc<dyn DeviceRequests>, batch: Batch, clock: Arc<dyn Clock>) -> Result<Vec<u16>> {
    let mut pause = RETRY_PAUSES.0;
    while !batch.telemetry.is_empty() {
        match requests.publish(&batch.telemetry).await {
            Ok(()) => break,
            Err(error) if matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Throttled) => {
                clock.sleep(pause).await;
                pause = (pause * 2).min(RETRY_PAUSES.1);
            }
            Err(error) => return Err(error),
        }
    }
    metrics::counter!("ferrohub_mqtt_messages_total").increment(batch.telemetry.len() as u64);
    Ok(batch.acknowledge)
}

/// The message of a PUBLISH with the property bag `bag` of its topic.
///
/// # Errors
/// `Invalid` for a broken bag, `TooLarge` over the limit for payload and properties together.
pub(super) fn message(publish: &Publish, bag: &str) -> Result<Telemetry> {
    let mut properties = PropertyBag::parse(bag)?;
    if publish.retain {
        properties.push("mqtt-retain".into(), Some("true".into()));
    }
    // Checked here so that one bad message cannot spoil the batch it would go with.
    check_size(publish.payload.len(), &properties.system, &properties.application)?;
    Ok(Telemetry { payload: publish.payload.clone(), system: properties.system, application: properties.application })
}
