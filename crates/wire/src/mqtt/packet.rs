//! The packets of MQTT 3.1.1 as values.

use std::fmt;

use bytes::Bytes;

use super::MqttError;

/// Quality of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QoS {
    /// 0: no acknowledgement.
    AtMostOnce,
    /// 1: PUBACK.
    AtLeastOnce,
    /// 2: PUBREC, PUBREL, PUBCOMP. IoT Hub and DPS refuse it on PUBLISH and grant 1 on SUBSCRIBE.
    ExactlyOnce,
}

impl QoS {
    /// The level of two bits.
    ///
    /// # Errors
    /// [`MqttError::BadQoS`] for anything over 2.
    pub fn from_bits(bits: u8) -> Result<Self, MqttError> {
        match bits {
            0 => Ok(Self::AtMostOnce),
            1 => Ok(Self::AtLeastOnce),
            2 => Ok(Self::ExactlyOnce),
            _ => Err(MqttError::BadQoS),
        }
    }

    /// 0, 1 or 2.
    pub fn bits(self) -> u8 {
        match self {
            Self::AtMostOnce => 0,
            Self::AtLeastOnce => 1,
            Self::ExactlyOnce => 2,
        }
    }
}

/// Any packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// Client to server: first packet.
    Connect(Connect),
    /// Server to client: answer to CONNECT.
    ConnAck(ConnAck),
    /// A message, both ways.
    Publish(Publish),
    /// Acknowledges a QoS 1 PUBLISH; holds the packet id.
    PubAck(u16),
    /// First answer to a QoS 2 PUBLISH; holds the packet id.
    PubRec(u16),
    /// Answer to PUBREC; holds the packet id.
    PubRel(u16),
    /// Last answer of a QoS 2 flow; holds the packet id.
    PubComp(u16),
    /// Client to server: wants messages.
    Subscribe(Subscribe),
    /// Server to client: answer to SUBSCRIBE.
    SubAck(SubAck),
    /// Client to server: wants no more messages.
    Unsubscribe(Unsubscribe),
    /// Server to client: answer to UNSUBSCRIBE; holds the packet id.
    UnsubAck(u16),
    /// Client to server: keep-alive.
    PingReq,
    /// Server to client: answer to PINGREQ.
    PingResp,
    /// Client to server: orderly end, the will is dropped.
    Disconnect,
}

/// CONNECT of protocol `MQTT` level 4.
#[derive(Clone, PartialEq, Eq)]
pub struct Connect {
    /// May be empty; the standard wants CONNACK 2 for that unless `clean_session`.
    pub client_id: String,
    /// Whether a stored session is dropped.
    pub clean_session: bool,
    /// Seconds; 0 switches keep-alive off.
    pub keep_alive_seconds: u16,
    /// Message that the server publishes if the client vanishes.
    pub will: Option<LastWill>,
    /// User name.
    pub user_name: Option<String>,
    /// Password, only together with a user name; a SAS token here. Never printed by `Debug`.
    pub password: Option<Bytes>,
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("client_id", &self.client_id)
            .field("clean_session", &self.clean_session)
            .field("keep_alive_seconds", &self.keep_alive_seconds)
            .field("will", &self.will)
            .field("user_name", &self.user_name)
            .field("password", &self.password.as_ref().map(|_| "(hidden)"))
            .finish()
    }
}

/// The will of a CONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastWill {
    /// Topic name without wildcards.
    pub topic: String,
    /// Body, at most 65,535 bytes.
    pub payload: Bytes,
    /// Level at which the server publishes it.
    pub qos: QoS,
    /// Retain flag.
    pub retain: bool,
}

/// CONNACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnAck {
    /// Whether the server has stored state of this client; must be false unless accepted.
    pub session_present: bool,
    /// The verdict.
    pub code: ConnectReturnCode,
}

/// Verdict of a CONNACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectReturnCode {
    /// 0.
    Accepted,
    /// 1: the server does not speak this level.
    UnacceptableProtocol,
    /// 2: the client id is not allowed.
    IdentifierRejected,
    /// 3: the service is not available.
    ServerUnavailable,
    /// 4: the data of user name or password is malformed.
    BadUserNameOrPassword,
    /// 5: not authorised to connect.
    NotAuthorized,
}

impl ConnectReturnCode {
    /// The code of a byte.
    ///
    /// # Errors
    /// [`MqttError::BadReturnCode`] for anything over 5.
    pub fn from_byte(byte: u8) -> Result<Self, MqttError> {
        match byte {
            0 => Ok(Self::Accepted),
            1 => Ok(Self::UnacceptableProtocol),
            2 => Ok(Self::IdentifierRejected),
            3 => Ok(Self::ServerUnavailable),
            4 => Ok(Self::BadUserNameOrPassword),
            5 => Ok(Self::NotAuthorized),
            other => Err(MqttError::BadReturnCode(other)),
        }
    }

    /// 0 to 5.
    pub fn byte(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::UnacceptableProtocol => 1,
            Self::IdentifierRejected => 2,
            Self::ServerUnavailable => 3,
            Self::BadUserNameOrPassword => 4,
            Self::NotAuthorized => 5,
        }
    }
}

/// PUBLISH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// Redelivery; never set at QoS 0.
    pub dup: bool,
    /// Quality of service.
    pub qos: QoS,
    /// Retain flag.
    pub retain: bool,
    /// Topic name: not empty, no wildcards.
    pub topic: String,
    /// Present, and not 0, exactly when `qos` is 1 or 2.
    pub packet_id: Option<u16>,
    /// Body.
    pub payload: Bytes,
}

/// One entry of a SUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicFilter {
    /// Filter, wildcards allowed.
    pub filter: String,
    /// Highest level that the client wants.
    pub qos: QoS,
}

/// SUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe {
    /// Not 0.
    pub packet_id: u16,
    /// At least one.
    pub filters: Vec<TopicFilter>,
}

/// Answer to one entry of a SUBSCRIBE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubAckCode {
    /// Subscribed at this level.
    Granted(QoS),
    /// 0x80: refused.
    Failure,
}

/// SUBACK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubAck {
    /// Id of the SUBSCRIBE.
    pub packet_id: u16,
    /// One for each entry of the SUBSCRIBE, in its order.
    pub codes: Vec<SubAckCode>,
}

/// UNSUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsubscribe {
    /// Not 0.
    pub packet_id: u16,
    /// At least one.
    pub filters: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_survive_the_way_through_a_byte() {
        for byte in 0..=5 {
            assert_eq!(ConnectReturnCode::from_byte(byte).unwrap().byte(), byte);
        }
        assert_eq!(ConnectReturnCode::from_byte(6), Err(MqttError::BadReturnCode(6)));
        for bits in 0..=2 {
            assert_eq!(QoS::from_bits(bits).unwrap().bits(), bits);
        }
        assert_eq!(QoS::from_bits(3), Err(MqttError::BadQoS));
    }

    #[test]
    fn a_password_is_not_printed() {
        let connect = Connect {
            client_id: "d".into(),
            clean_session: true,
            keep_alive_seconds: 60,
            will: None,
            user_name: Some("u".into()),
            password: Some(Bytes::from_static(b"sesame")),
        };
        assert!(!format!("{connect:?}").contains("sesame"));
    }
}
