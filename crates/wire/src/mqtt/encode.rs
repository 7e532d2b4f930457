//! Packets to bytes.

use bytes::{BufMut, BytesMut};

use super::packet::{ConnectReturnCode, LastWill};
use super::text::{MAX_FIELD_BYTES, check_filter, check_string, check_topic};
use super::{ConnAck, Connect, MAX_REMAINING_LENGTH, MqttError, Packet, Publish, QoS, SubAckCode};

/// Appends `packet` to `out`; on an error `out` is as before.
///
/// # Errors
/// [`MqttError`] for a value that the standard does not allow, so that whatever is written can be decoded.
pub fn encode(packet: &Packet, out: &mut BytesMut) -> Result<(), MqttError> {
    let start = out.len();
    let result = write(packet, out);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn write(packet: &Packet, out: &mut BytesMut) -> Result<(), MqttError> {
    match packet {
        Packet::Connect(connect) => write_connect(connect, out),
        Packet::ConnAck(ack) => write_conn_ack(*ack, out),
        Packet::Publish(publish) => write_publish(publish, out),
        Packet::PubAck(id) => write_id(0x40, *id, out),
        Packet::PubRec(id) => write_id(0x50, *id, out),
        Packet::PubRel(id) => write_id(0x62, *id, out),
        Packet::PubComp(id) => write_id(0x70, *id, out),
        Packet::Subscribe(subscribe) => {
            let mut body = list_body(subscribe.packet_id, subscribe.filters.len())?;
            for entry in &subscribe.filters {
                check_filter(&entry.filter)?;
                put_field(&mut body, entry.filter.as_bytes())?;
                body.put_u8(entry.qos.bits());
            }
            write_body(0x82, &body, out)
        }
        Packet::SubAck(ack) => {
            let mut body = list_body(ack.packet_id, ack.codes.len())?;
            for code in &ack.codes {
                body.put_u8(match code {
                    SubAckCode::Granted(qos) => qos.bits(),
                    SubAckCode::Failure => 0x80,
                });
            }
            write_body(0x90, &body, out)
        }
        Packet::Unsubscribe(unsubscribe) => {
            let mut body = list_body(unsubscribe.packet_id, unsubscribe.filters.len())?;
            for filter in &unsubscribe.filters {
                check_filter(filter)?;
                put_field(&mut body, filter.as_bytes())?;
            }
            write_body(0xa2, &body, out)
        }
        Packet::UnsubAck(id) => write_id(0xb0, *id, out),
        Packet::PingReq => write_body(0xc0, &[], out),
        Packet::PingResp => write_body(0xd0, &[], out),
        Packet::Disconnect => write_body(0xe0, &[], out),
    }
}

fn write_connect(connect: &Connect, out: &mut BytesMut) -> Result<(), MqttError> {
    if connect.password.is_some() && connect.user_name.is_none() {
        return Err(MqttError::PasswordWithoutUserName);
    }
    let mut flags = u8::from(connect.clean_session) << 1;
    flags |= u8::from(connect.user_name.is_some()) << 7;
    flags |= u8::from(connect.password.is_some()) << 6;
    if let Some(will) = &connect.will {
        flags |= 0x04 | (will.qos.bits() << 3) | (u8::from(will.retain) << 5);
    }
    let mut body = Vec::with_capacity(64);
    put_field(&mut body, b"MQTT")?;
    body.put_u8(4);
    body.put_u8(flags);
    body.put_u16(connect.keep_alive_seconds);
    put_string(&mut body, &connect.client_id)?;
    if let Some(LastWill { topic, payload, .. }) = &connect.will {
        check_topic(topic)?;
        put_string(&mut body, topic)?;
        put_field(&mut body, payload)?;
    }
    if let Some(user_name) = &connect.user_name {
        put_string(&mut body, user_name)?;
    }
    if let Some(password) = &connect.password {
        put_field(&mut body, password)?;
    }
    write_body(0x10, &body, out)
}

fn write_conn_ack(ack: ConnAck, out: &mut BytesMut) -> Result<(), MqttError> {
    if ack.session_present && ack.code != ConnectReturnCode::Accepted {
        return Err(MqttError::ReservedFlags("CONNACK"));
    }
    write_body(0x20, &[u8::from(ack.session_present), ack.code.byte()], out)
}

fn write_publish(publish: &Publish, out: &mut BytesMut) -> Result<(), MqttError> {
    check_topic(&publish.topic)?;
    let with_id = publish.qos != QoS::AtMostOnce;
    if publish.packet_id.is_some() != with_id || publish.packet_id == Some(0) {
        return Err(MqttError::BadPacketId);
    }
    if publish.dup && !with_id {
        return Err(MqttError::ReservedFlags("PUBLISH"));
    }
    let id_bytes = if with_id { 2 } else { 0 };
    let remaining = 2 + publish.topic.len() + id_bytes + publish.payload.len();
    let flags = u8::from(publish.dup) << 3 | publish.qos.bits() << 1 | u8::from(publish.retain);
    write_header(0x30 | flags, remaining, out)?;
    put_string(out, &publish.topic)?;
    if let Some(id) = publish.packet_id {
        out.put_u16(id);
    }
    out.put_slice(&publish.payload);
    Ok(())
}

fn write_id(first: u8, id: u16, out: &mut BytesMut) -> Result<(), MqttError> {
    if id == 0 {
        return Err(MqttError::BadPacketId);
    }
    write_body(first, &id.to_be_bytes(), out)
}

fn list_body(packet_id: u16, entries: usize) -> Result<Vec<u8>, MqttError> {
    if packet_id == 0 {
        return Err(MqttError::BadPacketId);
    }
    if entries == 0 {
        return Err(MqttError::EmptyList);
    }
    Ok(packet_id.to_be_bytes().to_vec())
}

fn write_body(first: u8, body: &[u8], out: &mut BytesMut) -> Result<(), MqttError> {
    write_header(first, body.len(), out)?;
    out.put_slice(body);
    Ok(())
}

fn write_header(first: u8, remaining: usize, out: &mut BytesMut) -> Result<(), MqttError> {
    if remaining > MAX_REMAINING_LENGTH {
        return Err(MqttError::TooLarge { size: remaining, limit: MAX_REMAINING_LENGTH });
    }
    out.reserve(5 + remaining);
    out.put_u8(first);
    let mut rest = remaining;
    loop {
        // Masked to seven bits, so the cast keeps the value.
        let digit = (rest & 0x7f) as u8;
        rest >>= 7;
        if rest == 0 {
            out.put_u8(digit);
            return Ok(());
        }
        out.put_u8(digit | 0x80);
    }
}

fn put_string(out: &mut impl BufMut, text: &str) -> Result<(), MqttError> {
    check_string(text)?;
    put_field(out, text.as_bytes())
}

fn put_field(out: &mut impl BufMut, bytes: &[u8]) -> Result<(), MqttError> {
    if bytes.len() > MAX_FIELD_BYTES {
        return Err(MqttError::BadString);
    }
    let length = u16::try_from(bytes.len()).map_err(|_| MqttError::BadString)?;
    out.put_u16(length);
    out.put_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::mqtt::{Decoder, SubAck, Subscribe, TopicFilter, Unsubscribe};

    fn qos() -> impl Strategy<Value = QoS> {
        prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)]
    }

    fn payload() -> impl Strategy<Value = Bytes> {
        vec(any::<u8>(), 0..300).prop_map(Bytes::from)
    }

    fn topic() -> impl Strategy<Value = String> {
        "[^+#\0]{1,60}"
    }

    fn filter() -> impl Strategy<Value = String> {
        "([^+#/\0]{0,8}/|\\+/){0,3}([^+#/\0]{1,8}|#|\\+)"
    }

    prop_compose! {
        fn connect()(
            client_id in "[^\0]{0,30}",
            clean_session in any::<bool>(),
            keep_alive_seconds in any::<u16>(),
            will in proptest::option::of((topic(), payload(), qos(), any::<bool>())),
            user in proptest::option::of(("[^\0]{0,30}", proptest::option::of(payload()))),
        ) -> Packet {
            let (user_name, password) = match user {
                Some((name, password)) => (Some(name), password),
                None => (None, None),
            };
            let will = will.map(|(topic, payload, qos, retain)| LastWill { topic, payload, qos, retain });
            Packet::Connect(Connect { client_id, clean_session, keep_alive_seconds, will, user_name, password })
        }
    }

    prop_compose! {
        fn publish()(
            qos in qos(), dup in any::<bool>(), retain in any::<bool>(),
            topic in topic(), id in 1..=u16::MAX, payload in payload(),
        ) -> Packet {
            let with_id = qos != QoS::AtMostOnce;
            Packet::Publish(Publish {
                dup: dup && with_id, qos, retain, topic, packet_id: with_id.then_some(id), payload,
            })
        }
    }

    fn conn_ack() -> impl Strategy<Value = Packet> {
        (0_u8..=5, any::<bool>()).prop_map(|(code, present)| {
            let code = ConnectReturnCode::from_byte(code).unwrap();
            let session_present = present && code == ConnectReturnCode::Accepted;
            Packet::ConnAck(ConnAck { session_present, code })
        })
    }

    fn any_packet() -> impl Strategy<Value = Packet> {
        let id = || 1..=u16::MAX;
        let entry = (filter(), qos()).prop_map(|(filter, qos)| TopicFilter { filter, qos });
        let code = prop_oneof![qos().prop_map(SubAckCode::Granted), Just(SubAckCode::Failure)];
        prop_oneof![
            connect(),
            publish(),
            conn_ack(),
            id().prop_map(Packet::PubAck),
            id().prop_map(Packet::PubRec),
            id().prop_map(Packet::PubRel),
            id().prop_map(Packet::PubComp),
            id().prop_map(Packet::UnsubAck),
            (id(), vec(entry, 1..5))
                .prop_map(|(packet_id, filters)| { Packet::Subscribe(Subscribe { packet_id, filters }) }),
            (id(), vec(code, 1..5)).prop_map(|(packet_id, codes)| Packet::SubAck(SubAck { packet_id, codes })),
            (id(), vec(filter(), 1..5))
                .prop_map(|(packet_id, filters)| { Packet::Unsubscribe(Unsubscribe { packet_id, filters }) }),
            Just(Packet::PingReq),
            Just(Packet::PingResp),
            Just(Packet::Disconnect),
        ]
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same(packets in vec(any_packet(), 1..4)) {
            let mut wire = BytesMut::new();
            for packet in &packets {
                encode(packet, &mut wire).unwrap();
            }
            let mut decoder = Decoder::new(1 << 20);
            let mut arrived = BytesMut::new();
            let mut decoded = Vec::new();
            for byte in wire {
                arrived.put_u8(byte);
                decoded.extend(decoder.decode(&mut arrived).unwrap());
            }
            prop_assert_eq!(decoded, packets);
            prop_assert!(arrived.is_empty());
        }

        #[test]
        fn random_bytes_never_panic_and_what_decodes_encodes_again(bytes in vec(any::<u8>(), 0..200)) {
            let mut buffer = BytesMut::from(&bytes[..]);
            let mut decoder = Decoder::new(150);
            while let Ok(Some(packet)) = decoder.decode(&mut buffer) {
                let mut again = BytesMut::new();
                encode(&packet, &mut again).unwrap();
                prop_assert_eq!(Decoder::new(1024).decode(&mut again), Ok(Some(packet)));
            }
        }

        #[test]
        fn damaged_packets_never_panic(packet in any_packet(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut wire = BytesMut::new();
            encode(&packet, &mut wire).unwrap();
            let at = at.index(wire.len());
            wire[at] = byte;
            let mut decoder = Decoder::new(1 << 16);
            while let Ok(Some(_)) = decoder.decode(&mut wire) {}
        }
    }

    #[test]
    fn a_publish_of_the_standards_kind() {
        let mut out = BytesMut::new();
        let packet = Packet::Publish(Publish {
            dup: false,
            qos: QoS::AtLeastOnce,
            retain: false,
            topic: "a/b".into(),
            packet_id: Some(10),
            payload: Bytes::from_static(b"hi"),
        });
        encode(&packet, &mut out).unwrap();
        assert_eq!(&out[..], &[0x32, 9, 0, 3, b'a', b'/', b'b', 0, 10, b'h', b'i']);
    }

    #[test]
    fn what_the_standard_forbids_is_not_written() {
        let publish = |qos, packet_id, dup, topic: &str| {
            let topic = topic.to_owned();
            Packet::Publish(Publish { dup, qos, retain: false, topic, packet_id, payload: Bytes::new() })
        };
        let cases = [
            (publish(QoS::AtMostOnce, Some(1), false, "t"), MqttError::BadPacketId),
            (publish(QoS::AtLeastOnce, None, false, "t"), MqttError::BadPacketId),
            (publish(QoS::AtLeastOnce, Some(0), false, "t"), MqttError::BadPacketId),
            (publish(QoS::AtMostOnce, None, true, "t"), MqttError::ReservedFlags("PUBLISH")),
            (publish(QoS::AtMostOnce, None, false, "a/#"), MqttError::BadTopic),
            (Packet::PubAck(0), MqttError::BadPacketId),
            (Packet::Subscribe(Subscribe { packet_id: 1, filters: vec![] }), MqttError::EmptyList),
        ];
        for (packet, error) in cases {
            let mut out = BytesMut::from(&b"before"[..]);
            assert_eq!(encode(&packet, &mut out), Err(error), "{packet:?}");
            assert_eq!(&out[..], b"before");
        }
    }

    #[test]
    fn lengths_of_one_to_four_bytes() {
        for (payload_bytes, header) in [(124, 2), (125, 3), (16_380, 3), (16_381, 4), (2_097_149, 5)] {
            let mut out = BytesMut::new();
            let packet = Packet::Publish(Publish {
                dup: false,
                qos: QoS::AtMostOnce,
                retain: false,
                topic: "t".into(),
                packet_id: None,
                payload: Bytes::from(vec![0; payload_bytes]),
            });
            encode(&packet, &mut out).unwrap();
            assert_eq!(out.len(), header + 3 + payload_bytes, "{payload_bytes}");
        }
    }
}
