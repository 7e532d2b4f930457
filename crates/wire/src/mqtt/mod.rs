//! MQTT 3.1.1 (OASIS standard, 29 October 2014) for both roles.
//!
//! [`Decoder`] takes bytes and yields [`Packet`]s; [`encode`] does the reverse. Both are strict:
//! whatever the standard calls malformed is an error, after which the connection must be closed.
//! Sessions, keep-alive, QoS flows and subscriptions are the caller's business.

mod decode;
mod encode;
pub mod packet;
mod text;

pub use decode::Decoder;
pub use encode::encode;
pub use packet::{
    ConnAck, Connect, ConnectReturnCode, LastWill, Packet, Publish, QoS, SubAck, SubAckCode, Subscribe, TopicFilter,
    Unsubscribe,
};

/// Largest remaining length that four length bytes can say (standard, table 2.4).
pub const MAX_REMAINING_LENGTH: usize = 268_435_455;

/// Why a packet could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MqttError {
    /// The packet is longer than the decoder's limit.
    #[error("packet of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// Whole packet, fixed header included, bytes.
        size: usize,
        /// The limit in force, bytes.
        limit: usize,
    },
    /// The remaining length does not end within four bytes.
    #[error("remaining length is longer than four bytes")]
    BadLength,
    /// Packet type 0 or 15.
    #[error("packet type {0} is reserved")]
    ReservedType(u8),
    /// Flag bits have a value that the standard reserves.
    #[error("reserved flag bits are set in {0}")]
    ReservedFlags(&'static str),
    /// The packet ends before a field is complete.
    #[error("packet ends inside a field")]
    Truncated,
    /// Bytes are left over after the last field.
    #[error("{0} bytes follow the last field")]
    TrailingBytes(usize),
    /// A quality of service of 3.
    #[error("quality of service 3 does not exist")]
    BadQoS,
    /// A packet id of 0, or none where the quality of service wants one, or one where it must not be.
    #[error("packet id is missing, zero or not allowed")]
    BadPacketId,
    /// A string that is not UTF-8, contains U+0000 or is longer than 65,535 bytes.
    #[error("string is not valid")]
    BadString,
    /// A topic name that is empty or has wildcards.
    #[error("topic name is empty or has wildcards")]
    BadTopic,
    /// A topic filter that is empty or has misplaced wildcards.
    #[error("topic filter is empty or has misplaced wildcards")]
    BadFilter,
    /// SUBSCRIBE, SUBACK or UNSUBSCRIBE without an entry.
    #[error("list of topic filters is empty")]
    EmptyList,
    /// CONNECT names a protocol that is not MQTT.
    #[error("protocol name is not MQTT")]
    BadProtocolName,
    /// CONNECT wants another version of MQTT: answer CONNACK 1 and close.
    #[error("protocol level {level} is not supported, only 4 (MQTT 3.1.1)")]
    UnsupportedProtocol {
        /// Level that the client asked for: 3 is MQTT 3.1, 5 is MQTT 5.
        level: u8,
    },
    /// CONNECT has a password without a user name.
    #[error("password without a user name")]
    PasswordWithoutUserName,
    /// A return code that the standard does not define.
    #[error("return code {0} is not defined")]
    BadReturnCode(u8),
}
