//! A device that wants to be provisioned (reference: iot-hub-and-dps.md A.7).

use super::applicants::Presence;
use super::keep_alive::allowed_silence;
use super::packets::{self, PacketError, PacketStream};
use super::{End, Mqtt};
use crate::client::Client;
use crate::errors;
use crate::listener::Life;
use crate::registration;
use ferrohub_model::api_version;
use ferrohub_model::clock::{Moment, timeout};
use ferrohub_model::error::Result;
use ferrohub_model::limits;
use ferrohub_service::provisioning::{OperationStatus, RegisterRequest};
use ferrohub_wire::dps_topic::{self, DpsLogin, DpsPublish};
use ferrohub_wire::mqtt::{ConnAck, Connect, ConnectReturnCode, Packet, Publish, QoS, SubAck, SubAckCode};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// A device that was let in.
pub(super) struct Applicant {
    /// Who it is; the document comes with its PUBLISH.
    caller: RegisterRequest,
    subscribed: bool,
    allowed_silence: Duration,
    presence: Presence,
    ends: Moment,
}

/// Checks the attestation, so that a wrong key is refused by CONNACK as DPS does.
pub(super) async fn open(mqtt: &Mqtt, login: DpsLogin, connect: &Connect, client: Client) -> Result<Applicant> {
    api_version::PROVISIONING.check(login.api_version.as_deref())?;
    let authorization = super::token(connect)?;
    let caller = RegisterRequest {
        id_scope: login.id_scope,
        registration_id: login.registration_id,
        api_version: login.api_version,
        authorization,
        peer_chain: client.chain,
        peer: client.peer,
        csr: None,
        tpm: None,
        payload: None,
    };
    mqtt.gate.attest(registration::caller(&caller)).await?;
    let presence = mqtt.applicants.enter(&caller.id_scope, &caller.registration_id);
    let ends = mqtt.clock.monotonic() + limits::APPLICANT_LIFE;
    let allowed_silence = allowed_silence(connect.keep_alive_seconds);
    Ok(Applicant { caller, subscribed: false, allowed_silence, presence, ends })
}

/// Serves the device until its connection ends.
pub(super) async fn run<S>(mqtt: &Mqtt, mut applicant: Applicant, mut packets: PacketStream<S>, life: &Life) -> End
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    packets.set_max(limits::DPS_MQTT_PACKET_BYTES);
    // Sessions are never persistent here, whatever CONNECT says.
    packets.send(&Packet::ConnAck(ConnAck { session_present: false, code: ConnectReturnCode::Accepted }));
    let end = loop {
        let packet = match next(mqtt, &applicant, &mut packets, life).await {
            Ok(packet) => packet,
            Err(end) => break end,
        };
        if let Err(end) = handle(mqtt, &mut applicant, &mut packets, packet).await {
            break end;
        }
    };
    packets.close().await;
    end
}

/// The next packet. What is queued goes out before it is waited for: a SUBSCRIBE and the PUBLISH right behind it are answered
/// with one write.
async fn next<S>(mqtt: &Mqtt, applicant: &Applicant, packets: &mut PacketStream<S>, life: &Life) -> Result<Packet, End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if packets.owes() {
        packets.flush().await.map_err(|_| End::Vanished)?;
    }
    if let Some(packet) = packets.next().map_err(|error| End::Offence(error.to_string()))? {
        return Ok(packet);
    }
    packets.flush().await.map_err(|_| End::Vanished)?;
    let read = tokio::select! {
        read = timeout(mqtt.clock.as_ref(), applicant.allowed_silence, packets.read()) => read,
        () = applicant.presence.displaced() => {
            return Err(End::Service("newer connections of the same device took its place".into()));
        }
        () = mqtt.clock.sleep_until(applicant.ends) => {
            return Err(End::Service("a connection to a provisioning service does not last longer".into()));
        }
        () = life.stopping() => return Err(End::Stopping),
    };
    match read {
        Ok(Ok(Some(packet))) => Ok(packet),
        Ok(Ok(None)) => Err(End::Vanished),
        Ok(Err(PacketError::Broken(error))) => Err(packets::broken(&error)),
        Ok(Err(PacketError::Protocol(error))) => Err(End::Offence(error.to_string())),
        Err(_) => Err(End::Silent),
    }
}

async fn handle<S>(
    mqtt: &Mqtt,
    applicant: &mut Applicant,
    packets: &mut PacketStream<S>,
    packet: Packet,
) -> Result<(), End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match packet {
        Packet::Publish(publish) => answer(mqtt, applicant, packets, &publish).await?,
        Packet::Subscribe(subscribe) => {
            if subscribe.filters.len() > limits::MQTT_SUBSCRIPTIONS {
                return Err(End::Offence(format!("more than {} topic filters", limits::MQTT_SUBSCRIPTIONS)));
            }
            let mut codes = Vec::with_capacity(subscribe.filters.len());
            for entry in &subscribe.filters {
                let known = dps_topic::is_response_filter(&entry.filter);
                applicant.subscribed |= known;
                codes.push(if known {
                    SubAckCode::Granted(entry.qos.min(QoS::AtLeastOnce))
                } else {
                    SubAckCode::Failure
                });
            }
            packets.send(&Packet::SubAck(SubAck { packet_id: subscribe.packet_id, codes }));
        }
        Packet::Unsubscribe(unsubscribe) => {
            applicant.subscribed &= !unsubscribe.filters.iter().any(|filter| dps_topic::is_response_filter(filter));
            packets.send(&Packet::UnsubAck(unsubscribe.packet_id));
        }
        Packet::PingReq => packets.send(&Packet::PingResp),
        Packet::Disconnect => return Err(End::Disconnect),
        Packet::PubAck(_) => {}
        _ => return Err(End::Offence("a client must not send this packet".into())),
    }
    Ok(())
}

async fn answer<S>(
    mqtt: &Mqtt,
    applicant: &Applicant,
    packets: &mut PacketStream<S>,
    publish: &Publish,
) -> Result<(), End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if publish.qos == QoS::ExactlyOnce {
        return Err(End::Offence("QoS 2 is not supported".into()));
    }
    let (rid, outcome) = match DpsPublish::parse(&publish.topic) {
        DpsPublish::Register { rid } => (rid, register(mqtt, applicant, &publish.payload).await),
        DpsPublish::OperationStatus { rid, operation_id } => {
            (rid, mqtt.gate.operation_status(registration::caller(&applicant.caller), operation_id).await)
        }
        DpsPublish::Unknown => return Err(End::Offence("the provisioning service does not know this topic".into())),
    };
    if let Some(id) = publish.packet_id {
        packets.send(&Packet::PubAck(id));
    }
    let (status, retry_after, body) = match outcome {
        Ok(status) => registration::answer(status),
        Err(error) => {
            let trace = mqtt.trace();
            errors::log(&error, &trace);
            (errors::dps::status(&error), error.retry_after_seconds, errors::dps::body(&error, &trace))
        }
    };
    if applicant.subscribed {
        packets.deliver(dps_topic::response(status, rid, retry_after), body.to_string().into_bytes());
    }
    // Answers are long, and what is queued must stay small whatever the peer sends.
    packets.flush().await.map_err(|_| End::Vanished)
}

async fn register(mqtt: &Mqtt, applicant: &Applicant, payload: &[u8]) -> Result<OperationStatus> {
    let request = registration::request(payload, applicant.caller.clone())?;
    mqtt.gate.register(request).await
}
