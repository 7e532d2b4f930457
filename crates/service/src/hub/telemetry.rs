//! Telemetry: from a device's connection into the event log. This path never touches the store.

use bytes::Bytes;
use ferrohub_messaging::{EventProperties, NewEvent};
use ferrohub_model::error::Result;
use ferrohub_model::message::{Origin, check_size, stored_system};
use uuid::Uuid;

/// A message as a device sends it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Telemetry {
    /// The payload.
    pub payload: Bytes,
    /// System properties under the wire's names (`$.mid`) or the log's (`message-id`); what a device may not set is dropped.
    pub system: Vec<(String, String)>,
    /// Application properties; a name may have no value.
    pub application: Vec<(String, Option<String>)>,
}

/// The event that is stored for a message. `enqueued` is RFC 3339.
///
/// # Errors
/// `MessageTooLarge` (413001); `ArgumentInvalid` (400004) for too many properties.
pub(super) fn event(
    message: Telemetry,
    stream: Uuid,
    partition: u16,
    origin: &Origin,
    enqueued: &str,
) -> Result<NewEvent> {
    check_size(message.payload.len(), &message.system, &message.application)?;
    let properties =
        EventProperties { system: stored_system(&message.system, origin, enqueued), application: message.application };
    Ok(NewEvent { stream, partition, body: message.payload, properties })
}
