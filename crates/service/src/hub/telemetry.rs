//! Telemetry: from a device's connection into the event log. This path never touches the store.

use bytes::Bytes;
use ferrohub_messaging::{NewEvent, Packed, Packer};
use ferrohub_model::error::Result;
use ferrohub_model::message::{Origin, annotations, check_size, settable};
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

/// What the hub adds to every message of a batch. `enqueued` is RFC 3339.
pub(super) fn added(origin: &Origin, enqueued: &str) -> Packed {
    let mut packer = Packer::default();
    for (name, value) in annotations(origin, enqueued) {
        packer.system(name, value);
    }
    packer.finish()
}

/// The event that is stored for a message, with what the hub adds.
///
/// # Errors
/// `MessageTooLarge` (413001); `ArgumentInvalid` (400004) for too many properties.
pub(super) fn event(message: &Telemetry, stream: Uuid, partition: u16, added: &Packed) -> Result<NewEvent> {
    check_size(message.payload.len(), &message.system, &message.application)?;
    let properties = if message.system.is_empty() && message.application.is_empty() {
        added.clone()
    } else {
        let mut packer = Packer::default();
        for (name, value) in settable(&message.system) {
            packer.system(name, value);
        }
        packer.packed(added);
        for (name, value) in &message.application {
            packer.application(name, value.as_deref());
        }
        packer.finish()
    };
    Ok(NewEvent { stream, partition, body: message.payload.clone(), properties })
}
