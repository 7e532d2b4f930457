//! A device at its hub: telemetry, twin and what it subscribes to.

use super::fault::{self, Fault, Faults};
use super::keep_alive::allowed_silence;
use super::packets::{self, PacketStream};
use super::renewals::Renewals;
use super::telemetry::{self, Pipeline};
use super::{End, Mqtt};
use super::{renewals, subscriptions};
use crate::client::Client;
use crate::errors;
use crate::gate::{DeviceEvents, DeviceRequests};
use crate::json_body;
use crate::listener::Life;
use ferrohub_model::api_version;
use ferrohub_model::clock::{Alarm, timeout};
use ferrohub_model::device_session::{SessionKind, Subscriptions};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::limits;
use ferrohub_service::hub::{DeviceLogin, RenewalEnded, SessionEvent, Telemetry};
use ferrohub_wire::hub_topic::{self, HubLogin, HubPublish};
use ferrohub_wire::mqtt::{
    ConnAck, Connect, ConnectReturnCode, LastWill, Packet, Publish, QoS, SubAck, SubAckCode, Subscribe, Unsubscribe,
};
use serde_json::Value;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// Time in which messages that were read are still brought to safety after a connection has ended.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The connection of a device that was let in, and what the device is to be told.
pub(super) type Admitted<'a, S> = (Box<Connection<'a, S>>, Box<dyn DeviceEvents>);

/// A device that was let in.
pub(super) struct Device {
    requests: Arc<dyn DeviceRequests>,
    device_id: String,
    module_id: Option<String>,
    subscriptions: Subscriptions,
    session_present: bool,
    allowed_silence: Duration,
    will: Option<Telemetry>,
    /// Whether its api-version knows certificate requests.
    renews: bool,
}

impl Device {
    fn set(&self, wanted: &mut Subscriptions, filter: &str, on: bool) -> bool {
        subscriptions::set(wanted, filter, &self.device_id, self.module_id.as_deref(), on)
    }
}

/// Authenticates the device and reads its will.
pub(super) async fn open(
    mqtt: &Mqtt,
    login: &HubLogin,
    connect: &Connect,
    client: Client,
) -> Result<(Device, Box<dyn DeviceEvents>)> {
    api_version::HUB.check(login.api_version.as_deref())?;
    let will = connect.will.as_ref().map(|will| will_message(login, will)).transpose()?;
    let token = super::token(connect)?;
    let kind = if connect.clean_session { SessionKind::Clean } else { SessionKind::Lasting };
    let who = DeviceLogin {
        host: login.host.clone(),
        device_id: login.device_id.clone(),
        module_id: login.module_id.clone(),
        model_id: login.model_id.clone(),
        token,
        peer_chain: client.chain,
        peer: client.peer,
    };
    let opened = mqtt.gate.login(who, kind).await?;
    let device = Device {
        requests: opened.requests,
        device_id: login.device_id.clone(),
        module_id: login.module_id.clone(),
        subscriptions: opened.remembered.unwrap_or_default(),
        session_present: opened.remembered.is_some(),
        allowed_silence: allowed_silence(connect.keep_alive_seconds),
        will,
        renews: renewals::known_by(login.api_version.as_deref()),
    };
    Ok((device, opened.events))
}

/// The will as the telemetry that it becomes (reference: iot-hub-and-dps.md D.3).
fn will_message(login: &HubLogin, will: &LastWill) -> Result<Telemetry> {
    let publish = Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: will.retain,
        topic: will.topic.clone(),
        packet_id: None,
        payload: will.payload.clone(),
    };
    match HubPublish::parse(&will.topic) {
        HubPublish::Telemetry { device, module, bag }
            if device == login.device_id && module == login.module_id.as_deref() && will.qos != QoS::ExactlyOnce =>
        {
            let mut message = telemetry::message(&publish, bag)?;
            message.application.push(("iothub-MessageType".into(), Some("Will".into())));
            Ok(message)
        }
        _ => Err(Error::invalid(format!(
            "The will's topic must be the telemetry topic 'devices/{}/messages/events/' at QoS 0 or 1.",
            login.device_id
        ))),
    }
}

/// Serves the device until its connection ends, and brings what it sent to safety.
pub(super) async fn run<S>(
    mut connection: Box<Connection<'_, S>>,
    mut events: Box<dyn DeviceEvents>,
    life: &Life,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let end = connection.serve(events.as_mut(), life).await;
    Box::pin(connection.finish(&end)).await;
    end
}

/// A connection on which a device is served.
pub(super) struct Connection<'a, S> {
    mqtt: &'a Mqtt,
    device: Device,
    packets: PacketStream<S>,
    pipeline: Pipeline,
    faults: Faults,
    renewals: Renewals,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin + Send> Connection<'a, S> {
    /// The connection of `device`, boxed: it passes through several futures, each of which would have room for it.
    pub(super) fn new(mqtt: &'a Mqtt, device: Device, packets: PacketStream<S>) -> Box<Self> {
        let pipeline = Pipeline::new(mqtt.clock.clone());
        let (faults, renewals) = (Faults::default(), Renewals::default());
        Box::new(Self { mqtt, device, packets, pipeline, faults, renewals })
    }

    async fn serve(&mut self, events: &mut dyn DeviceEvents, life: &Life) -> End {
        self.packets.set_max(limits::MQTT_PACKET_BYTES);
        self.packets.send(&Packet::ConnAck(ConnAck {
            session_present: self.device.session_present,
            code: ConnectReturnCode::Accepted,
        }));
        // These outlive the turns of the loop: a turn is a batch of messages, and to wait anew for each would cost more.
        let (clock, allowed_silence) = (&self.mqtt.clock, self.device.allowed_silence);
        let mut silence = Alarm::new(clock.clone(), clock.monotonic() + allowed_silence);
        let mut stopping = pin!(life.stopping());
        loop {
            let event = {
                let mut next = events.next_event();
                loop {
                    if let Err(end) = self.take_buffered().await {
                        return end;
                    }
                    let owed = self.packets.owes();
                    tokio::select! {
                        // A peer that does not read keeps nothing from ending its connection.
                        event = &mut next => break event,
                        written = self.packets.flush() => if written.is_err() {
                            return End::Vanished;
                        },
                    }
                    if owed {
                        // What was left unread for the sake of its answers.
                        continue;
                    }
                    let reading = self.pipeline.has_room() && !self.faults.holds();
                    if !reading {
                        // While we do not listen, nobody can be called silent.
                        silence.set(clock.monotonic() + allowed_silence);
                    }
                    tokio::select! {
                        safe = self.pipeline.advance(&self.device.requests) => match safe {
                            Ok(ids) => ids.iter().for_each(|id| self.packets.send(&Packet::PubAck(*id))),
                            Err(error) => return self.fault(&error),
                        },
                        more = self.packets.fill(), if reading => match more {
                            Ok(true) => silence.set(clock.monotonic() + allowed_silence),
                            Ok(false) => return End::Vanished,
                            Err(error) => return packets::broken(&error),
                        },
                        () = self.faults.due(clock.as_ref()) => {
                            if let Some(fault) = self.faults.turn(clock.monotonic()) {
                                return End::Injected(fault);
                            }
                        }
                        event = &mut next => break event,
                        () = silence.rings(), if reading => return End::Silent,
                        () = stopping.as_mut() => return End::Stopping,
                    }
                }
            };
            match event {
                SessionEvent::Closed { reason } => return End::Service(reason.to_string()),
                _ if self.packets.owes() => return End::Vanished,
                SessionEvent::Desired { version, patch } => self.desired(version, &patch),
                SessionEvent::Renewed { ended } => self.renewed(&ended),
            }
        }
    }

    /// Handles the packets that have arrived, as far as there is room for their messages and their answers.
    async fn take_buffered(&mut self) -> Result<(), End> {
        while self.pipeline.has_room() && !self.faults.holds() && !self.packets.owes() {
            match self.packets.next() {
                Ok(Some(packet)) => self.handle(packet).await?,
                Ok(None) => return Ok(()),
                Err(error) => return Err(End::Offence(error.to_string())),
            }
        }
        Ok(())
    }

    async fn handle(&mut self, packet: Packet) -> Result<(), End> {
        if !self.renewals.is_empty() && renewals::shows_life(&packet) {
            Box::pin(self.renewals_arrived()).await;
        }
        match packet {
            Packet::Publish(publish) => self.publish(publish).await?,
            Packet::Subscribe(subscribe) => self.subscribe(&subscribe).await?,
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(&unsubscribe).await?,
            Packet::PingReq => {
                self.device.requests.heard();
                self.packets.send(&Packet::PingResp);
            }
            Packet::Disconnect => return Err(End::Disconnect),
            // We deliver at QoS 0 only; an acknowledgement from an earlier life of the client does no harm.
            Packet::PubAck(_) => {}
            other => return Err(End::Offence(format!("a client must not send {}", name(&other)))),
        }
        Ok(())
    }

    async fn publish(&mut self, publish: Publish) -> Result<(), End> {
        if publish.qos == QoS::ExactlyOnce {
            return Err(End::Offence("QoS 2 is not supported".into()));
        }
        match HubPublish::parse(&publish.topic) {
            HubPublish::Telemetry { device, module, bag } => {
                if device != self.device.device_id || module != self.device.module_id.as_deref() {
                    return Err(End::Offence("the topic is another device's".into()));
                }
                let message = telemetry::message(&publish, bag).map_err(|error| End::Offence(error.to_string()))?;
                if self.device.requests.may_fault()
                    && let Some(asked) = fault::asked(&message).map_err(|error| End::Offence(error.to_string()))?
                {
                    self.faults.plan(asked, self.mqtt.clock.monotonic());
                    self.acknowledge(publish.packet_id);
                    return Ok(());
                }
                self.pipeline.push(message, publish.packet_id);
            }
            HubPublish::TwinGet { rid } => {
                self.acknowledge(publish.packet_id);
                let twin = self.device.requests.twin().await;
                self.answer_twin(rid, twin.map(|twin| (200, None, twin.to_string().into_bytes())));
            }
            HubPublish::TwinReportedPatch { rid, version } => {
                self.acknowledge(publish.packet_id);
                let version = patch_reported(self.device.requests.as_ref(), version, &publish.payload).await;
                self.answer_twin(rid, version.map(|version| (204, Some(version), Vec::new())));
            }
            // No method is ever called, so this is an answer that came too late.
            HubPublish::MethodResponse { .. } => self.acknowledge(publish.packet_id),
            HubPublish::CredentialIssue { rid } => {
                self.acknowledge(publish.packet_id);
                // Without a request id, or where nobody listens, the hub stays silent (reference: certificates.md 3.1).
                if let Some(rid) = rid.filter(|_| self.device.subscriptions.credentials) {
                    Box::pin(self.renew(rid, &publish.payload)).await;
                }
            }
            HubPublish::Unknown => return Err(End::Offence("the hub does not know this topic".into())),
        }
        Ok(())
    }

    fn answer_twin(&mut self, rid: &str, answer: Result<(u16, Option<u64>, Vec<u8>)>) {
        let (status, version, body) = answer.unwrap_or_else(|error| {
            let trace = self.mqtt.trace();
            errors::log(&error, &trace);
            (errors::mqtt::twin_status(&error), None, errors::mqtt::body(&error, &trace).to_string().into_bytes())
        });
        if self.device.subscriptions.twin {
            self.packets.deliver(hub_topic::twin_response(status, rid, version), body);
        }
    }

    async fn renew(&mut self, rid: &str, payload: &[u8]) {
        let requests = Arc::clone(&self.device.requests);
        let answer = match renewals::read(self.device.renews, payload) {
            Ok(body) => requests.renew(rid, &body).await,
            Err(error) => Err(error.into()),
        };
        let (status, body) = match answer {
            Ok(accepted) => renewals::accepted(&accepted),
            Err(refused) => {
                let trace = self.mqtt.trace();
                errors::log(&refused.error, &trace);
                errors::mqtt::credential_refusal(&refused.error, refused.info, &trace)
            }
        };
        self.packets.deliver(hub_topic::credential_response(status, rid), body.to_string().into_bytes());
    }

    /// Delivers what the device listens for; what it does not waits for its next SUBSCRIBE.
    fn renewed(&mut self, ended: &[RenewalEnded]) {
        if !self.device.subscriptions.credentials {
            return;
        }
        for one in ended {
            if !self.renewals.note(one.correlation_id) {
                continue;
            }
            let (status, body) = renewals::outcome(one, &self.mqtt.trace());
            let topic = hub_topic::credential_response(status, &one.request_id);
            self.packets.deliver(topic, body.to_string().into_bytes());
        }
    }

    /// The device lives, so what was delivered to it has arrived. Where that cannot be written it is delivered once more.
    async fn renewals_arrived(&mut self) {
        if let Err(error) = self.device.requests.renewals_delivered(&self.renewals.take()).await {
            errors::log(&error, &self.mqtt.trace());
        }
    }

    fn desired(&mut self, version: u64, patch: &Value) {
        if self.device.subscriptions.desired {
            self.packets.deliver(hub_topic::desired_patch(version), patch.to_string().into_bytes());
        }
    }

    /// SUBACK means that a lasting session has it. Where that cannot be written now, every filter is refused, as MQTT 3.1.1
    /// lets a server say it (3.9.3), and what the device hears stays as it was.
    async fn subscribe(&mut self, subscribe: &Subscribe) -> Result<(), End> {
        if subscribe.filters.len() > limits::MQTT_SUBSCRIPTIONS {
            return Err(End::Offence(format!("more than {} topic filters", limits::MQTT_SUBSCRIPTIONS)));
        }
        let mut wanted = self.device.subscriptions;
        let mut codes = Vec::with_capacity(subscribe.filters.len());
        for entry in &subscribe.filters {
            let known = self.device.set(&mut wanted, &entry.filter, true);
            codes.push(if known { SubAckCode::Granted(entry.qos.min(QoS::AtLeastOnce)) } else { SubAckCode::Failure });
        }
        let mut ended = Vec::new();
        match remember_and_fetch(self.device.requests.as_ref(), wanted).await {
            Ok(waiting) => (self.device.subscriptions, ended) = (wanted, waiting),
            Err(error) if error.kind == ErrorKind::Unavailable => {
                errors::log(&error, &self.mqtt.trace());
                codes.fill(SubAckCode::Failure);
            }
            Err(error) => return Err(self.fault(&error)),
        }
        self.packets.send(&Packet::SubAck(SubAck { packet_id: subscribe.packet_id, codes }));
        self.renewed(&ended);
        Ok(())
    }

    /// UNSUBACK cannot say no, so the connection ends where the change cannot be written.
    async fn unsubscribe(&mut self, unsubscribe: &Unsubscribe) -> Result<(), End> {
        let mut wanted = self.device.subscriptions;
        for filter in &unsubscribe.filters {
            self.device.set(&mut wanted, filter, false);
        }
        self.device.requests.remember(wanted).await.map_err(|error| self.fault(&error))?;
        self.device.subscriptions = wanted;
        self.packets.send(&Packet::UnsubAck(unsubscribe.packet_id));
        Ok(())
    }

    fn acknowledge(&mut self, packet_id: Option<u16>) {
        let Some(id) = packet_id else { return };
        if self.pipeline.is_idle() {
            self.packets.send(&Packet::PubAck(id));
        } else {
            self.pipeline.push_acknowledgement(id);
        }
    }

    fn fault(&self, error: &Error) -> End {
        if error.kind == ErrorKind::Unauthenticated {
            return End::Service(error.message.clone());
        }
        errors::log(error, &self.mqtt.trace());
        End::Fault(error.message.clone())
    }

    /// Brings messages that were read to safety, then the will if it is due, and closes.
    async fn finish(mut self: Box<Self>, end: &End) {
        // Once the log has failed, what is left was never acknowledged: the device sends it again.
        if !matches!(end, End::Fault(_)) {
            let clock = self.mqtt.clock.as_ref();
            if timeout(clock, DRAIN_TIMEOUT, self.drain(end)).await.is_err() {
                tracing::warn!("messages of a closed connection could not be stored in time");
            }
        }
        // A connection that breaks says nothing any more.
        if !matches!(end, End::Injected(Fault::Kill)) {
            self.packets.close().await;
        }
    }

    async fn drain(&mut self, end: &End) {
        while !self.pipeline.is_idle() {
            match self.pipeline.advance(&self.device.requests).await {
                Ok(ids) => ids.iter().for_each(|id| self.packets.send(&Packet::PubAck(*id))),
                Err(error) => return errors::log(&error, &self.mqtt.trace()),
            }
        }
        let due = matches!(end, End::Vanished | End::Silent | End::Offence(_) | End::Injected(_));
        let Some(will) = self.device.will.take().filter(|_| due) else { return };
        if let Err(error) = self.device.requests.publish(&[will]).await {
            errors::log(&error, &self.mqtt.trace());
        }
    }
}

/// Keeps what the device wants to hear, and gives what it then is to be told at once.
async fn remember_and_fetch(requests: &dyn DeviceRequests, wanted: Subscriptions) -> Result<Vec<RenewalEnded>> {
    requests.remember(wanted).await?;
    match wanted.credentials {
        true => requests.ended_renewals().await,
        false => Ok(Vec::new()),
    }
}

async fn patch_reported(requests: &dyn DeviceRequests, version: Option<&str>, payload: &[u8]) -> Result<u64> {
    let version = version.map(|text| text.parse().map_err(|_| no_version(text))).transpose()?;
    let patch = json_body::parse(payload).map_err(|fault| {
        Error::invalid(format!("The reported properties are not JSON: {fault}.")).with_iot_code(400_004)
    })?;
    requests.patch_reported(patch, version).await
}

fn no_version(text: &str) -> Error {
    let shown: String = text.chars().take(40).collect();
    Error::invalid(format!("The '$version' of the topic is '{shown}'; a number is expected, or leave it out."))
        .with_iot_code(400_004)
}

fn name(packet: &Packet) -> &'static str {
    match packet {
        Packet::Connect(_) => "a second CONNECT",
        Packet::PubRec(_) | Packet::PubRel(_) | Packet::PubComp(_) => "QoS 2 packets",
        _ => "packets of a server",
    }
}
