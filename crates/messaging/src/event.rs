//! Events of the log, before and after they are stored.

use crate::Packed;
use bytes::Bytes;
use uuid::Uuid;

/// Properties of an event, in the order in which the device gave them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventProperties {
    /// System properties and annotations, such as `message-id` or `iothub-connection-device-id`.
    pub system: Vec<(String, String)>,
    /// Application properties; a name without `=` in an MQTT topic has no value.
    pub application: Vec<(String, Option<String>)>,
}

impl EventProperties {
    /// Whether there is no property at all.
    pub fn is_empty(&self) -> bool {
        self.system.is_empty() && self.application.is_empty()
    }

    /// The system property called `name`.
    pub fn system(&self, name: &str) -> Option<&str> {
        self.system.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// An event to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Internal id of the hub (or other stream) that the event belongs to.
    pub stream: Uuid,
    /// Partition of the stream, see [`partition_for`].
    pub partition: u16,
    /// The payload.
    pub body: Bytes,
    /// The properties.
    pub properties: Packed,
}

/// An event as read from the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Internal id of the stream.
    pub stream: Uuid,
    /// Partition of the stream.
    pub partition: u16,
    /// Number of the event in its partition: 0, 1, 2 and so on, never used twice.
    pub sequence: u64,
    /// Position of the event in its partition, bytes; Event Hubs prints it as text.
    pub offset: u64,
    /// When the log took the event, milliseconds since the Unix epoch; never falls in a partition.
    pub enqueued_ms: i64,
    /// The payload.
    pub body: Bytes,
    /// The properties.
    pub properties: EventProperties,
}

/// Where an appended event went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Number of the event in its partition.
    pub sequence: u64,
    /// Position of the event in its partition, bytes.
    pub offset: u64,
    /// When the log took the event, milliseconds since the Unix epoch.
    pub enqueued_ms: i64,
}

const FNV_OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// The partition of a device among `count` (0 counts as 1): FNV-1a, 64 bits, over the device id's
/// bytes, high half folded onto the low half, modulo `count`. Stable for ever: consumers rely on a
/// device's events staying in one partition. (Azure keeps its own hash secret; only stability counts.)
pub fn partition_for(device_id: &str, count: u16) -> u16 {
    let hash = device_id.bytes().fold(FNV_OFFSET_BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
    let folded = (hash >> 32) ^ (hash & 0xffff_ffff);
    u16::try_from(folded % u64::from(count.max(1))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_keeps_its_partition() {
        // Computed by an independent program; a change would move every device of every installation.
        let found: Vec<u16> =
            ["sensor1", "Sensor1", "a", "", "gerät-7"].iter().map(|id| partition_for(id, 32)).collect();
        assert_eq!(found, [4, 8, 0, 1, 14]);
        assert_eq!(partition_for("sensor1", 0), 0);
        assert_eq!(partition_for("sensor1", 1), 0);
    }

    #[test]
    fn devices_spread_evenly() {
        let mut counts = [0u32; 4];
        for number in 0..4000 {
            counts[usize::from(partition_for(&format!("device-{number:04}"), 4))] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
