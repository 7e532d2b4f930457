//! Protocols as bytes in and events out: no sockets, no clock, no randomness.
//!
//! | Module | What it is |
//! |---|---|
//! | [`mqtt`] | MQTT 3.1.1 packets, decoder and encoder for both roles (server and simulated device) |
//! | [`hub_topic`] | The IoT Hub dialect on MQTT: topics, filters, user name, property bags |
//! | [`hub_delivery`] | What a hub sends a device: topics as a device reads them |
//! | [`dps_topic`] | The DPS dialect on MQTT: topics, filters, user name |
//! | [`sas_token`] | Shared access signatures: parse, verify, sign, derive device keys |
//! | [`connection_string`] | `HostName=...;SharedAccessKey=...` texts |
//! | [`etag`] | `If-Match` and `If-None-Match` values |
//! | [`iothub_query`] | IoT Hub's query language over devices and modules |
//! | [`jmespath`] | The query language of `az --query` |
//! | [`kql`] | The query language of Resource Graph: parsed, planned, and run over tables that somebody else holds |
//! | [`odata`] | The `$filter` of lists |
//! | [`websocket`] | WebSocket frames of a client, as a carrier of bytes |
//!
//! # How to add the next protocol
//! 1. One module, named by the protocol. Framing goes into a `Decoder` with
//!    `decode(&mut self, &mut BytesMut) -> Result<Option<Event>, E>`: `None` means "more bytes
//!    are needed", an error means "close the connection". Printing is one `encode` function.
//! 2. Meaning that is not framing (topics, addresses, user names) is a second module, so that the
//!    codec can serve another dialect.
//! 3. Every length is checked before anything is reserved for it; the limits stand in
//!    [`ferrohub_model::limits`]. A secret never appears in a `Debug` text.
//! 4. Time is an argument in Unix seconds. Sockets, timers and tasks belong to the front door.
//! 5. Each decoder has two property tests: random bytes never panic, and what was encoded
//!    decodes to the same value, also when it arrives byte by byte.

pub mod connection_string;
pub mod dps_topic;
pub mod etag;
pub mod group_filter;
pub mod hub_delivery;
mod hub_login;
pub mod hub_topic;
pub mod iothub_query;
pub mod jmespath;
pub mod kql;
pub mod mqtt;
pub mod odata;
mod property_bag;
mod query_text;
pub mod sas_token;
pub mod websocket;
