//! Bytes to packets.

use bytes::{Buf, Bytes, BytesMut};

use super::packet::{
    ConnAck, Connect, ConnectReturnCode, LastWill, Packet, Publish, QoS, SubAck, SubAckCode, Subscribe, TopicFilter,
    Unsubscribe,
};
use super::text::{check_filter, check_string, check_topic};
use super::{MAX_REMAINING_LENGTH, MqttError};

/// Level byte of MQTT 3.1.1 (standard, section 3.1.2.2).
const LEVEL_OF_MQTT_3_1_1: u8 = 4;

/// Cuts a stream of bytes into packets.
///
/// After an error the stream is out of step: close the connection.
#[derive(Debug, Clone)]
pub struct Decoder {
    max_packet_bytes: usize,
}

impl Decoder {
    /// A decoder that refuses packets over `max_packet_bytes` (fixed header included) as soon as
    /// their length is known, before their body is read.
    pub fn new(max_packet_bytes: usize) -> Self {
        Self { max_packet_bytes }
    }

    /// Changes the limit, for instance once CONNECT was accepted.
    pub fn set_max(&mut self, max_packet_bytes: usize) {
        self.max_packet_bytes = max_packet_bytes;
    }

    /// Takes one packet off the front of `buffer`; `None` means that more bytes are needed.
    ///
    /// # Errors
    /// [`MqttError`] for a malformed or too large packet.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Packet>, MqttError> {
        let Some(&first) = buffer.first() else {
            return Ok(None);
        };
        check_first_byte(first)?;
        let Some((remaining, header_bytes)) = remaining_length(&buffer[1..])? else {
            return Ok(None);
        };
        let size = 1 + header_bytes + remaining;
        if size > self.max_packet_bytes {
            return Err(MqttError::TooLarge { size, limit: self.max_packet_bytes });
        }
        if buffer.len() < size {
            return Ok(None);
        }
        let mut body = buffer.split_to(size).freeze();
        body.advance(1 + header_bytes);
        packet(first, Reader(body)).map(Some)
    }
}

/// Length and the number of bytes it took; `None` while incomplete.
fn remaining_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, MqttError> {
    let mut value = 0_usize;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            debug_assert!(value <= MAX_REMAINING_LENGTH);
            return Ok(Some((value, index + 1)));
        }
    }
    if bytes.len() >= 4 { Err(MqttError::BadLength) } else { Ok(None) }
}

/// Refuses reserved types and flags (standard, tables 2.1 and 2.2) before the length arrives.
fn check_first_byte(first: u8) -> Result<(), MqttError> {
    let flags = first & 0x0f;
    let (name, wanted) = match first >> 4 {
        1 => ("CONNECT", 0),
        2 => ("CONNACK", 0),
        3 => return check_publish_flags(flags),
        4 => ("PUBACK", 0),
        5 => ("PUBREC", 0),
        6 => ("PUBREL", 2),
        7 => ("PUBCOMP", 0),
        8 => ("SUBSCRIBE", 2),
        9 => ("SUBACK", 0),
        10 => ("UNSUBSCRIBE", 2),
        11 => ("UNSUBACK", 0),
        12 => ("PINGREQ", 0),
        13 => ("PINGRESP", 0),
        14 => ("DISCONNECT", 0),
        other => return Err(MqttError::ReservedType(other)),
    };
    if flags != wanted {
        return Err(MqttError::ReservedFlags(name));
    }
    Ok(())
}

fn check_publish_flags(flags: u8) -> Result<(), MqttError> {
    let qos = QoS::from_bits((flags >> 1) & 3)?;
    if qos == QoS::AtMostOnce && flags & 8 != 0 {
        return Err(MqttError::ReservedFlags("PUBLISH"));
    }
    Ok(())
}

fn packet(first: u8, mut reader: Reader) -> Result<Packet, MqttError> {
    let packet = match first >> 4 {
        1 => Packet::Connect(connect(&mut reader)?),
        2 => Packet::ConnAck(conn_ack(&mut reader)?),
        3 => return publish(first & 0x0f, reader).map(Packet::Publish),
        4 => Packet::PubAck(reader.packet_id()?),
        5 => Packet::PubRec(reader.packet_id()?),
        6 => Packet::PubRel(reader.packet_id()?),
        7 => Packet::PubComp(reader.packet_id()?),
        8 => Packet::Subscribe(subscribe(&mut reader)?),
        9 => Packet::SubAck(sub_ack(&mut reader)?),
        10 => Packet::Unsubscribe(unsubscribe(&mut reader)?),
        11 => Packet::UnsubAck(reader.packet_id()?),
        12 => Packet::PingReq,
        13 => Packet::PingResp,
        14 => Packet::Disconnect,
        other => return Err(MqttError::ReservedType(other)),
    };
    reader.finish()?;
    Ok(packet)
}

fn connect(reader: &mut Reader) -> Result<Connect, MqttError> {
    let name = reader.binary()?;
    if name != "MQTT" && name != "MQIsdp" {
        return Err(MqttError::BadProtocolName);
    }
    let level = reader.byte()?;
    if name != "MQTT" || level != LEVEL_OF_MQTT_3_1_1 {
        return Err(MqttError::UnsupportedProtocol { level });
    }
    let flags = reader.byte()?;
    if flags & 0x01 != 0 {
        return Err(MqttError::ReservedFlags("CONNECT"));
    }
    let keep_alive_seconds = reader.word()?;
    let client_id = reader.string()?;
    let will = will(flags, reader)?;
    let has_user_name = flags & 0x80 != 0;
    let has_password = flags & 0x40 != 0;
    if has_password && !has_user_name {
        return Err(MqttError::PasswordWithoutUserName);
    }
    let user_name = if has_user_name { Some(reader.string()?) } else { None };
    let password = if has_password { Some(reader.binary()?) } else { None };
    Ok(Connect { client_id, clean_session: flags & 0x02 != 0, keep_alive_seconds, will, user_name, password })
}

fn will(flags: u8, reader: &mut Reader) -> Result<Option<LastWill>, MqttError> {
    if flags & 0x04 == 0 {
        // Will level and retain flag must be 0 without a will (standard, 3.1.2.6 and 3.1.2.7).
        return if flags & 0x38 == 0 { Ok(None) } else { Err(MqttError::ReservedFlags("CONNECT")) };
    }
    let qos = QoS::from_bits((flags >> 3) & 3)?;
    let topic = reader.string()?;
    check_topic(&topic)?;
    let payload = reader.binary()?;
    Ok(Some(LastWill { topic, payload, qos, retain: flags & 0x20 != 0 }))
}

fn conn_ack(reader: &mut Reader) -> Result<ConnAck, MqttError> {
    let flags = reader.byte()?;
    if flags & 0xfe != 0 {
        return Err(MqttError::ReservedFlags("CONNACK"));
    }
    let code = ConnectReturnCode::from_byte(reader.byte()?)?;
    let session_present = flags == 1;
    if session_present && code != ConnectReturnCode::Accepted {
        return Err(MqttError::ReservedFlags("CONNACK"));
    }
    Ok(ConnAck { session_present, code })
}

fn publish(flags: u8, mut reader: Reader) -> Result<Publish, MqttError> {
    let qos = QoS::from_bits((flags >> 1) & 3)?;
    let topic = reader.string()?;
    check_topic(&topic)?;
    let packet_id = if qos == QoS::AtMostOnce { None } else { Some(reader.packet_id()?) };
    Ok(Publish { dup: flags & 8 != 0, qos, retain: flags & 1 != 0, topic, packet_id, payload: reader.0 })
}

fn subscribe(reader: &mut Reader) -> Result<Subscribe, MqttError> {
    let packet_id = reader.packet_id()?;
    let mut filters = Vec::new();
    while !reader.0.is_empty() {
        let filter = reader.string()?;
        check_filter(&filter)?;
        let options = reader.byte()?;
        if options & 0xfc != 0 {
            return Err(MqttError::ReservedFlags("SUBSCRIBE"));
        }
        filters.push(TopicFilter { filter, qos: QoS::from_bits(options)? });
    }
    if filters.is_empty() {
        return Err(MqttError::EmptyList);
    }
    Ok(Subscribe { packet_id, filters })
}

fn sub_ack(reader: &mut Reader) -> Result<SubAck, MqttError> {
    let packet_id = reader.packet_id()?;
    let mut codes = Vec::new();
    while !reader.0.is_empty() {
        codes.push(match reader.byte()? {
            0x80 => SubAckCode::Failure,
            byte @ 0..=2 => SubAckCode::Granted(QoS::from_bits(byte)?),
            other => return Err(MqttError::BadReturnCode(other)),
        });
    }
    if codes.is_empty() {
        return Err(MqttError::EmptyList);
    }
    Ok(SubAck { packet_id, codes })
}

fn unsubscribe(reader: &mut Reader) -> Result<Unsubscribe, MqttError> {
    let packet_id = reader.packet_id()?;
    let mut filters = Vec::new();
    while !reader.0.is_empty() {
        let filter = reader.string()?;
        check_filter(&filter)?;
        filters.push(filter);
    }
    if filters.is_empty() {
        return Err(MqttError::EmptyList);
    }
    Ok(Unsubscribe { packet_id, filters })
}

/// The rest of one packet's body.
struct Reader(Bytes);

impl Reader {
    fn byte(&mut self) -> Result<u8, MqttError> {
        self.0.try_get_u8().map_err(|_| MqttError::Truncated)
    }

    fn word(&mut self) -> Result<u16, MqttError> {
        self.0.try_get_u16().map_err(|_| MqttError::Truncated)
    }

    fn packet_id(&mut self) -> Result<u16, MqttError> {
        match self.word()? {
            0 => Err(MqttError::BadPacketId),
            id => Ok(id),
        }
    }

    fn binary(&mut self) -> Result<Bytes, MqttError> {
        let length = usize::from(self.word()?);
        if self.0.len() < length {
            return Err(MqttError::Truncated);
        }
        Ok(self.0.split_to(length))
    }

    fn string(&mut self) -> Result<String, MqttError> {
        let length = usize::from(self.word()?);
        let bytes = self.0.get(..length).ok_or(MqttError::Truncated)?;
        let text = std::str::from_utf8(bytes).map_err(|_| MqttError::BadString)?;
        check_string(text)?;
        let text = text.to_owned();
        self.0.advance(length);
        Ok(text)
    }

    fn finish(self) -> Result<(), MqttError> {
        match self.0.len() {
            0 => Ok(()),
            left => Err(MqttError::TrailingBytes(left)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Result<Option<Packet>, MqttError> {
        Decoder::new(1024).decode(&mut BytesMut::from(bytes))
    }

    fn connect_bytes(name: &str, level: u8, flags: u8, rest: &[u8]) -> Vec<u8> {
        let mut body = vec![0, u8::try_from(name.len()).unwrap()];
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(&[level, flags, 0, 60]);
        body.extend_from_slice(rest);
        let mut packet = vec![0x10, u8::try_from(body.len()).unwrap()];
        packet.extend(body);
        packet
    }

    #[test]
    fn a_connect_of_the_standards_kind() {
        let bytes = connect_bytes("MQTT", 4, 0xc2, b"\0\x02d1\0\x01u\0\x01p");
        let Some(Packet::Connect(connect)) = decode(&bytes).unwrap() else {
            panic!("not a CONNECT");
        };
        assert_eq!(connect.client_id, "d1");
        assert_eq!(connect.keep_alive_seconds, 60);
        assert!(connect.clean_session);
        assert_eq!(connect.user_name.as_deref(), Some("u"));
        assert_eq!(connect.password.as_deref(), Some(&b"p"[..]));
    }

    #[test]
    fn other_versions_are_named_whatever_follows() {
        let five = connect_bytes("MQTT", 5, 0x02, &[5, 0x11, 0, 0, 0, 10, 0, 1, b'd']);
        assert_eq!(decode(&five), Err(MqttError::UnsupportedProtocol { level: 5 }));
        let three = connect_bytes("MQIsdp", 3, 0x02, b"\0\x01d");
        assert_eq!(decode(&three), Err(MqttError::UnsupportedProtocol { level: 3 }));
        assert_eq!(decode(&connect_bytes("HTTP", 4, 2, b"\0\x01d")), Err(MqttError::BadProtocolName));
    }

    #[test]
    fn connect_flags() {
        let reserved = Err(MqttError::ReservedFlags("CONNECT"));
        assert_eq!(decode(&connect_bytes("MQTT", 4, 0x03, b"\0\x01d")), reserved);
        assert_eq!(decode(&connect_bytes("MQTT", 4, 0x20, b"\0\x01d")), reserved);
        assert_eq!(decode(&connect_bytes("MQTT", 4, 0x08, b"\0\x01d")), reserved);
        assert_eq!(decode(&connect_bytes("MQTT", 4, 0x1c, b"\0\x01d\0\x01t\0\0")), Err(MqttError::BadQoS));
        assert_eq!(decode(&connect_bytes("MQTT", 4, 0x42, b"\0\x01d\0\x01p")), Err(MqttError::PasswordWithoutUserName));
        let only_user = connect_bytes("MQTT", 4, 0x82, b"\0\x01d\0\x01u");
        assert!(matches!(
            decode(&only_user),
            Ok(Some(Packet::Connect(Connect { password: None, user_name: Some(_), .. })))
        ));
        assert_eq!(decode(&connect_bytes("MQTT", 4, 0x06, b"\0\x01d\0\x01#\0\0")), Err(MqttError::BadTopic));
    }

    #[test]
    fn malformed_packets() {
        let cases: [(&[u8], MqttError); 19] = [
            (&[0x00], MqttError::ReservedType(0)),
            (&[0xf0], MqttError::ReservedType(15)),
            (&[0x36], MqttError::BadQoS),
            (&[0x38], MqttError::ReservedFlags("PUBLISH")),
            (&[0x80], MqttError::ReservedFlags("SUBSCRIBE")),
            (&[0x60], MqttError::ReservedFlags("PUBREL")),
            (&[0xc1], MqttError::ReservedFlags("PINGREQ")),
            (&[0x30, 0xff, 0xff, 0xff, 0xff], MqttError::BadLength),
            (&[0x30, 0xff, 0xff, 0x7f], MqttError::TooLarge { size: 2_097_155, limit: 1024 }),
            (&[0xc0, 1, 0], MqttError::TrailingBytes(1)),
            (&[0x40, 2, 0, 0], MqttError::BadPacketId),
            (&[0x40, 1, 0], MqttError::Truncated),
            (&[0x32, 5, 0, 1, b'a', 0, 0], MqttError::BadPacketId),
            (&[0x30, 4, 0, 2, 0xc3, 0x28], MqttError::BadString),
            (&[0x30, 3, 0, 1, 0], MqttError::BadString),
            (&[0x30, 3, 0, 1, b'+'], MqttError::BadTopic),
            (&[0x82, 2, 0, 1], MqttError::EmptyList),
            (&[0x82, 6, 0, 1, 0, 1, b'a', 3], MqttError::BadQoS),
            (&[0x82, 6, 0, 1, 0, 1, b'a', 4], MqttError::ReservedFlags("SUBSCRIBE")),
        ];
        for (bytes, error) in cases {
            assert_eq!(decode(bytes), Err(error), "{bytes:x?}");
        }
    }

    #[test]
    fn server_packets_for_the_device_role() {
        assert_eq!(decode(&[0x20, 2, 1, 5]), Err(MqttError::ReservedFlags("CONNACK")));
        assert_eq!(decode(&[0x20, 2, 2, 0]), Err(MqttError::ReservedFlags("CONNACK")));
        assert_eq!(decode(&[0x20, 2, 0, 9]), Err(MqttError::BadReturnCode(9)));
        assert_eq!(decode(&[0x90, 3, 0, 1, 3]), Err(MqttError::BadReturnCode(3)));
        assert_eq!(
            decode(&[0x90, 4, 0, 1, 1, 0x80]),
            Ok(Some(Packet::SubAck(SubAck {
                packet_id: 1,
                codes: vec![SubAckCode::Granted(QoS::AtLeastOnce), SubAckCode::Failure],
            })))
        );
    }

    #[test]
    fn the_limit_holds_before_the_body_arrives_and_can_be_raised() {
        let mut decoder = Decoder::new(4);
        let mut buffer = BytesMut::from(&[0x30, 3, 0, 1, b'a'][..]);
        assert_eq!(decoder.decode(&mut buffer), Err(MqttError::TooLarge { size: 5, limit: 4 }));
        decoder.set_max(5);
        assert!(decoder.decode(&mut buffer).unwrap().is_some());
        assert!(buffer.is_empty());
    }
}
