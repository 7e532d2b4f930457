//! MQTT packets.

use bytes::BytesMut;
use ferrohub_wire::mqtt::{Decoder, MqttError, Packet, encode};

/// Limit of the decoder: small, so that the limit is met too.
const PACKET_BYTES: usize = 4096;

/// Cuts a stream into packets: at once and byte by byte alike; each packet prints and reads back as the same.
pub(crate) fn mqtt(data: &[u8]) {
    let (packets, end) = decode(std::iter::once(data));
    let (drop_by_drop, end_too) = decode(data.chunks(1));
    assert_eq!(packets, drop_by_drop);
    assert_eq!(end, end_too);
    for packet in packets {
        let mut out = BytesMut::new();
        assert_eq!(encode(&packet, &mut out), Ok(()), "{packet:?}");
        assert_eq!(Decoder::new(PACKET_BYTES + 4).decode(&mut out), Ok(Some(packet)));
        assert!(out.is_empty());
    }
}

/// The packets, and the error after which nothing more is read.
fn decode<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<Packet>, Option<MqttError>) {
    let mut decoder = Decoder::new(PACKET_BYTES);
    let (mut buffer, mut packets) = (BytesMut::new(), Vec::new());
    for chunk in chunks {
        buffer.extend_from_slice(chunk);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(packet)) => packets.push(packet),
                Ok(None) => break,
                Err(error) => return (packets, Some(error)),
            }
        }
    }
    (packets, None)
}
