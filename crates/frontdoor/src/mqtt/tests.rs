//! The state of a connection, over a pipe instead of a socket and a gate instead of the services.

use super::gate::{DeviceEvents, DeviceLink, Gate, Opened};
use super::*;
use crate::listener::Life;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use ferrohub_model::clock::ManualClock;
use ferrohub_model::error::Result;
use ferrohub_model::random::SeededRandom;
use ferrohub_model::registration::RegistrationStatus;
use ferrohub_service::hub::{CloseReason, ConnectRequest, SessionEvent, Telemetry};
use ferrohub_service::provisioning::{DeviceCaller, OperationStatus, RegisterRequest};
use ferrohub_wire::mqtt::{Decoder, LastWill, Publish, QoS, SubAckCode, Subscribe, TopicFilter, encode};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::{Semaphore, mpsc, watch};

const HUB_USER: &str = "hub1.azure-devices.localhost/d1/?api-version=2021-04-12";

/// A gate that remembers what it was asked.
struct FakeGate {
    link: Arc<FakeLink>,
    events: Mutex<Option<mpsc::UnboundedReceiver<SessionEvent>>>,
    registered: Mutex<Vec<RegisterRequest>>,
}

/// A device's rights at a log that takes a batch for each permit.
struct FakeLink {
    stored: Mutex<Vec<Vec<Telemetry>>>,
    permits: Semaphore,
    failures: Mutex<Vec<Error>>,
    reported: Mutex<Vec<Value>>,
}

struct FakeEvents(mpsc::UnboundedReceiver<SessionEvent>);

#[async_trait]
impl Gate for FakeGate {
    async fn connect(&self, request: ConnectRequest) -> Result<Opened> {
        match request.password.as_deref() {
            Some("good") => {}
            Some(_) => return Err(Error::unauthenticated("wrong key")),
            None if request.peer_chain.is_empty() => return Err(Error::unauthenticated("no credentials")),
            None => {}
        }
        let events = self.events.lock().unwrap().take().unwrap_or_else(|| mpsc::unbounded_channel().1);
        Ok(Opened { link: self.link.clone(), events: Box::new(FakeEvents(events)) })
    }

    async fn authenticate(&self, caller: DeviceCaller<'_>) -> Result<()> {
        if caller.id_scope == "0ne1" { Ok(()) } else { Err(Error::not_found("scope").with_iot_code(404_201)) }
    }

    async fn register(&self, request: RegisterRequest) -> Result<OperationStatus> {
        let body = json!({"operationId": "op1", "status": "assigning"});
        self.registered.lock().unwrap().push(request);
        Ok(OperationStatus { operation_id: "op1".into(), status: RegistrationStatus::Assigning, retry_after_seconds: 3, body })
    }

    async fn operation_status(&self, _caller: DeviceCaller<'_>, operation_id: &str) -> Result<OperationStatus> {
        if operation_id != "op1" {
            return Err(Error::not_found("no such operation").with_iot_code(404_202));
        }
        let body = json!({"operationId": "op1", "status": "assigned", "registrationState": {"assignedHub": "h"}});
        Ok(OperationStatus { operation_id: "op1".into(), status: RegistrationStatus::Assigned, retry_after_seconds: 3, body })
    }
}

#[async_trait]
impl DeviceLink for FakeLink {
    async fn publish(&self, batch: Vec<Telemetry>) -> Result<()> {
        self.permits.acquire().await.unwrap().forget();
        if let Some(error) = self.failures.lock().unwrap().pop() {
            return Err(error);
        }
        self.stored.lock().unwrap().push(batch);
        Ok(())
    }

    async fn twin(&self) -> Result<Value> {
        Ok(json!({"desired": {"$version": 1}, "reported": {"$version": 1}}))
    }

    async fn patch_reported(&self, patch: Value) -> Result<u64> {
        if !patch.is_object() {
            return Err(Error::invalid("not an object"));
        }
        self.reported.lock().unwrap().push(patch);
        Ok(2)
    }

    fn heard(&self) {}
}

#[async_trait]
impl DeviceEvents for FakeEvents {
    async fn next_event(&mut self) -> SessionEvent {
        match self.0.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }
}

/// A server with one gate, to which clients connect over pipes.
struct Rig {
    mqtt: Arc<Mqtt>,
    gate: Arc<FakeGate>,
    events: mpsc::UnboundedSender<SessionEvent>,
    stop: watch::Sender<bool>,
    life: Life,
}

impl Rig {
    fn new(permits: usize) -> Self {
        let (events, receiver) = mpsc::unbounded_channel();
        let link = FakeLink { stored: Mutex::default(), permits: Semaphore::new(permits), failures: Mutex::default(), reported: Mutex::default() };
        let gate = Arc::new(FakeGate { link: Arc::new(link), events: Mutex::new(Some(receiver)), registered: Mutex::default() });
        let (stop, stopped) = watch::channel(false);
        let clock = Arc::new(ManualClock::new(jiff::Timestamp::UNIX_EPOCH));
        let mqtt = Arc::new(Mqtt::new(gate.clone(), clock, Arc::new(SeededRandom::new(1))));
        Self { mqtt, gate, events, stop, life: Life::new(stopped) }
    }

    fn dial(&self) -> Client {
        self.dial_until(Instant::now() + Duration::from_secs(limits::CONNECT_TIMEOUT_SECONDS))
    }

    fn dial_until(&self, deadline: Instant) -> Client {
        let (near, far) = tokio::io::duplex(1024 * 1024);
        let (mqtt, life) = (self.mqtt.clone(), self.life.clone());
        tokio::spawn(async move { mqtt.serve(far, Vec::new(), &life, deadline).await });
        Client { stream: near, decoder: Decoder::new(1 << 20), buffer: BytesMut::new() }
    }

    async fn device(&self) -> Client {
        let mut client = self.dial();
        assert_eq!(client.connect(connect("d1", HUB_USER, "good")).await, ConnectReturnCode::Accepted);
        client
    }

    fn stored(&self) -> Vec<String> {
        let batches = self.gate.link.stored.lock().unwrap();
        batches.iter().flatten().map(|message| String::from_utf8(message.payload.to_vec()).unwrap()).collect()
    }
}

struct Client {
    stream: DuplexStream,
    decoder: Decoder,
    buffer: BytesMut,
}

impl Client {
    async fn send(&mut self, packets: &[Packet]) {
        let mut bytes = BytesMut::new();
        for packet in packets {
            encode(packet, &mut bytes).unwrap();
        }
        self.raw(&bytes).await;
    }

    async fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next packet; `None` once the server has closed.
    async fn receive(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = self.decoder.decode(&mut self.buffer).unwrap() {
                return Some(packet);
            }
            if self.stream.read_buf(&mut self.buffer).await.unwrap() == 0 {
                return None;
            }
        }
    }

    async fn connect(&mut self, connect: Connect) -> ConnectReturnCode {
        self.send(&[Packet::Connect(connect)]).await;
        match self.receive().await {
            Some(Packet::ConnAck(ack)) => ack.code,
            other => panic!("{other:?}"),
        }
    }

    async fn subscribe(&mut self, filters: &[&str]) -> Vec<SubAckCode> {
        let filters = filters.iter().map(|filter| TopicFilter { filter: (*filter).into(), qos: QoS::ExactlyOnce }).collect();
        self.send(&[Packet::Subscribe(Subscribe { packet_id: 9, filters })]).await;
        match self.receive().await {
            Some(Packet::SubAck(ack)) => ack.codes,
            other => panic!("{other:?}"),
        }
    }

    async fn delivered(&mut self) -> (String, Value) {
        match self.receive().await {
            Some(Packet::Publish(publish)) => {
                assert_eq!(publish.qos, QoS::AtMostOnce);
                (publish.topic, serde_json::from_slice(&publish.payload).unwrap_or(Value::Null))
            }
            other => panic!("{other:?}"),
        }
    }
}

fn connect(client_id: &str, user_name: &str, password: &str) -> Connect {
    Connect {
        client_id: client_id.into(),
        clean_session: true,
        keep_alive_seconds: 60,
        will: None,
        user_name: Some(user_name.into()),
        password: Some(Bytes::copy_from_slice(password.as_bytes())),
    }
}

fn publish(topic: &str, payload: &str, packet_id: Option<u16>) -> Packet {
    Packet::Publish(Publish {
        dup: false,
        qos: if packet_id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce },
        retain: false,
        topic: topic.into(),
        packet_id,
        payload: Bytes::copy_from_slice(payload.as_bytes()),
    })
}

const EVENTS: &str = "devices/d1/messages/events/";

#[tokio::test]
async fn connect_codes() {
    let rig = Rig::new(0);
    let registration = "0ne1/registrations/r1/api-version=2019-03-31";
    for (client_id, user, password, code) in [
        ("d1", HUB_USER, "bad", ConnectReturnCode::NotAuthorized),
        ("d1", HUB_USER, "", ConnectReturnCode::NotAuthorized),
        ("other", HUB_USER, "good", ConnectReturnCode::IdentifierRejected),
        ("", HUB_USER, "good", ConnectReturnCode::IdentifierRejected),
        ("d1", "nonsense", "good", ConnectReturnCode::NotAuthorized),
        ("r1", registration, "x", ConnectReturnCode::Accepted),
        ("R1", registration, "x", ConnectReturnCode::Accepted),
        ("r2", registration, "x", ConnectReturnCode::IdentifierRejected),
        ("r1", "0ne2/registrations/r1/api-version=2019-03-31", "x", ConnectReturnCode::NotAuthorized),
    ] {
        assert_eq!(rig.dial().connect(connect(client_id, user, password)).await, code, "{client_id} {user}");
    }
    let mut newer = rig.dial();
    newer.raw(&[0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0, 60, 0, 0, 0]).await;
    assert!(matches!(newer.receive().await, Some(Packet::ConnAck(ConnAck { code: ConnectReturnCode::UnacceptableProtocol, .. }))));
}

#[tokio::test]
async fn what_is_not_connect_is_closed_without_an_answer() {
    let rig = Rig::new(0);
    for bytes in [&[0xc0, 0][..], b"GET / HTTP/1.1\r\n\r\n", &[0x10, 0xff, 0xff, 0x7f], &[0x10, 4, 0, 9, b'M', b'Q']] {
        let mut client = rig.dial();
        client.raw(bytes).await;
        assert_eq!(client.receive().await, None, "{bytes:x?}");
    }
}

#[tokio::test]
async fn half_a_connect_is_given_up() {
    let rig = Rig::new(0);
    let started = Instant::now();
    let mut client = rig.dial_until(started + Duration::from_millis(100));
    client.raw(&[0x10, 60, 0, 4, b'M']).await;
    assert_eq!(client.receive().await, None);
    assert!(started.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn a_silent_device_is_dropped_after_one_and_a_half_keep_alives() {
    let rig = Rig::new(0);
    let mut client = rig.dial();
    let mut hasty = connect("d1", HUB_USER, "good");
    hasty.keep_alive_seconds = 1;
    assert_eq!(client.connect(hasty).await, ConnectReturnCode::Accepted);
    tokio::time::sleep(Duration::from_millis(1000)).await;
    client.send(&[Packet::PingReq]).await;
    assert_eq!(client.receive().await, Some(Packet::PingResp));
    let last_sign = Instant::now();
    assert_eq!(client.receive().await, None);
    assert!(last_sign.elapsed() >= Duration::from_millis(1400), "{:?}", last_sign.elapsed());
}

#[tokio::test]
async fn acknowledged_in_order_and_only_when_stored() {
    let rig = Rig::new(0);
    let mut client = rig.device().await;
    client.send(&[publish(EVENTS, "1", Some(1)), publish(EVENTS, "2", None), publish(EVENTS, "3", Some(3)), Packet::PingReq]).await;
    assert_eq!(client.receive().await, Some(Packet::PingResp), "reading goes on while the log works");
    client.send(&[publish(EVENTS, "4", Some(4)), publish("$iothub/twin/GET/?$rid=7", "", Some(5))]).await;
    let early = tokio::time::timeout(Duration::from_millis(50), client.receive()).await;
    assert!(early.is_err(), "nothing is acknowledged before it is stored: {early:?}");
    rig.gate.link.permits.add_permits(10);
    for id in [1, 3, 4, 5] {
        assert_eq!(client.receive().await, Some(Packet::PubAck(id)));
    }
    assert_eq!(rig.stored(), ["1", "2", "3", "4"]);
    assert!(rig.gate.link.stored.lock().unwrap().len() <= 2, "what waits goes together");
}

#[tokio::test]
async fn properties_reach_the_log() {
    let rig = Rig::new(9);
    let mut client = rig.device().await;
    let Packet::Publish(mut retained) = publish("devices/d1/messages/events/$.ct=a%2Fb&level=hot&flag", "x", Some(1)) else { unreachable!() };
    retained.retain = true;
    client.send(&[Packet::Publish(retained)]).await;
    assert_eq!(client.receive().await, Some(Packet::PubAck(1)));
    let stored = rig.gate.link.stored.lock().unwrap();
    assert_eq!(stored[0][0].system, [("$.ct".into(), "a/b".into())]);
    assert_eq!(
        stored[0][0].application,
        [("level".into(), Some("hot".into())), ("flag".into(), None), ("mqtt-retain".into(), Some("true".into()))]
    );
}

#[tokio::test]
async fn a_full_log_is_waited_for_and_a_broken_one_closes() {
    let rig = Rig::new(100);
    rig.gate.link.failures.lock().unwrap().extend([Error::unavailable("full", 1), Error::unavailable("full", 1)]);
    let mut client = rig.device().await;
    client.send(&[publish(EVENTS, "kept", Some(1))]).await;
    assert_eq!(client.receive().await, Some(Packet::PubAck(1)));
    assert_eq!(rig.stored(), ["kept"]);
    rig.gate.link.failures.lock().unwrap().push(Error::internal("disk"));
    client.send(&[publish(EVENTS, "lost", Some(2))]).await;
    assert_eq!(client.receive().await, None, "closed without an acknowledgement");
}

#[tokio::test]
async fn the_socket_is_not_read_while_the_log_is_behind() {
    let rig = Rig::new(0);
    let mut client = rig.device().await;
    let count = limits::MQTT_IN_FLIGHT * 2 + 100;
    let messages: Vec<Packet> = (0..count).map(|_| publish(EVENTS, "x", None)).chain([Packet::PingReq]).collect();
    client.send(&messages).await;
    let early = tokio::time::timeout(Duration::from_millis(100), client.receive()).await;
    assert!(early.is_err(), "the PINGREQ behind them waits too: {early:?}");
    rig.gate.link.permits.add_permits(100);
    assert_eq!(client.receive().await, Some(Packet::PingResp));
    client.send(&[Packet::Disconnect]).await;
    assert_eq!(client.receive().await, None);
    assert_eq!(rig.stored().len(), count);
}

#[tokio::test]
async fn what_was_sent_before_disconnect_is_stored() {
    let rig = Rig::new(9);
    let mut client = rig.device().await;
    client.send(&[publish(EVENTS, "last words", None), Packet::Disconnect]).await;
    assert_eq!(client.receive().await, None);
    assert_eq!(rig.stored(), ["last words"]);
}

#[tokio::test]
async fn offences_close_the_connection() {
    let rig = Rig::new(9);
    let qos2 = Packet::Publish(Publish { dup: false, qos: QoS::ExactlyOnce, retain: false, topic: EVENTS.into(), packet_id: Some(1), payload: Bytes::new() });
    let too_large = publish(EVENTS, &"x".repeat(limits::TELEMETRY_BYTES + 1), Some(1));
    let over_the_packet_limit = publish(EVENTS, &"x".repeat(limits::MQTT_PACKET_BYTES), Some(1));
    for offence in [
        qos2,
        too_large,
        over_the_packet_limit,
        publish("devices/d2/messages/events/", "x", None),
        publish("a/topic", "x", None),
        publish("devices/d1/messages/events/=x", "x", None),
        Packet::PubRel(1),
        Packet::Connect(connect("d1", HUB_USER, "good")),
    ] {
        let mut client = rig.device().await;
        client.send(&[offence]).await;
        assert_eq!(client.receive().await, None);
    }
    assert!(rig.stored().is_empty());
}

#[tokio::test]
async fn twin_requests_are_answered_once_subscribed() {
    let rig = Rig::new(0);
    let mut client = rig.device().await;
    client.send(&[publish("$iothub/twin/GET/?$rid=0", "", Some(1))]).await;
    assert_eq!(client.receive().await, Some(Packet::PubAck(1)));
    let codes = client.subscribe(&["$iothub/twin/res/#", "$iothub/methods/POST/#", "devices/d1/messages/devicebound/#", "x/#"]).await;
    let granted = SubAckCode::Granted(QoS::AtLeastOnce);
    assert_eq!(codes, [granted, granted, granted, SubAckCode::Failure]);
    client.send(&[publish("$iothub/twin/GET/?$rid=a", "", None)]).await;
    assert_eq!(client.delivered().await, ("$iothub/twin/res/200/?$rid=a".into(), json!({"desired": {"$version": 1}, "reported": {"$version": 1}})));
    client.send(&[publish("$iothub/twin/PATCH/properties/reported/?$rid=b", r#"{"t":1}"#, None)]).await;
    assert_eq!(client.delivered().await, ("$iothub/twin/res/204/?$rid=b&$version=2".into(), Value::Null));
    for (rid, body) in [("c", "[1]"), ("d", "{")] {
        client.send(&[publish(&format!("$iothub/twin/PATCH/properties/reported/?$rid={rid}"), body, None)]).await;
        let (topic, answer) = client.delivered().await;
        assert_eq!(topic, format!("$iothub/twin/res/400/?$rid={rid}"));
        assert!(answer["message"].is_string() && answer["trackingId"].is_string(), "{answer}");
    }
    assert_eq!(*rig.gate.link.reported.lock().unwrap(), [json!({"t": 1})]);
}

#[tokio::test]
async fn desired_changes_and_the_end_of_the_session() {
    let rig = Rig::new(0);
    let mut client = rig.device().await;
    client.subscribe(&["$iothub/twin/PATCH/properties/desired/#"]).await;
    rig.events.send(SessionEvent::Desired { version: 4, patch: json!({"a": 1, "$version": 4}) }).unwrap();
    assert_eq!(client.delivered().await, ("$iothub/twin/PATCH/properties/desired/?$version=4".into(), json!({"a": 1, "$version": 4})));
    rig.events.send(SessionEvent::Closed { reason: CloseReason::Replaced }).unwrap();
    assert_eq!(client.receive().await, None);
}

#[tokio::test]
async fn certificate_renewal_is_refused_in_words() {
    let rig = Rig::new(0);
    let mut client = rig.device().await;
    client.subscribe(&["$iothub/credentials/res/#"]).await;
    let topic = "$iothub/credentials/POST/issueCertificate/";
    client.send(&[publish(topic, "{}", Some(1)), publish(&format!("{topic}?$rid=abcd"), "{}", None)]).await;
    assert_eq!(client.receive().await, Some(Packet::PubAck(1)));
    let (topic, answer) = client.delivered().await;
    assert_eq!(topic, "$iothub/credentials/res/501/?$rid=abcd");
    assert_eq!(answer["errorCode"], 501_000);
}

#[tokio::test]
async fn the_will_is_stored_unless_the_device_takes_its_leave() {
    for (leave, expected) in [(true, vec![]), (false, vec!["gone"])] {
        let rig = Rig::new(9);
        let mut client = rig.dial();
        let mut with_will = connect("d1", HUB_USER, "good");
        with_will.will = Some(LastWill { topic: EVENTS.into(), payload: Bytes::from_static(b"gone"), qos: QoS::AtLeastOnce, retain: false });
        assert_eq!(client.connect(with_will).await, ConnectReturnCode::Accepted);
        if leave {
            client.send(&[Packet::Disconnect]).await;
        }
        client.stream.shutdown().await.unwrap();
        assert_eq!(client.receive().await, None);
        assert_eq!(rig.stored(), expected);
        if !leave {
            let stored = rig.gate.link.stored.lock().unwrap();
            assert_eq!(stored[0][0].application, [("iothub-MessageType".into(), Some("Will".into()))]);
        }
    }
    let rig = Rig::new(0);
    let mut elsewhere = connect("d1", HUB_USER, "good");
    elsewhere.will = Some(LastWill { topic: "lobby".into(), payload: Bytes::new(), qos: QoS::AtMostOnce, retain: false });
    assert_eq!(rig.dial().connect(elsewhere).await, ConnectReturnCode::BadUserNameOrPassword);
}

#[tokio::test]
async fn a_session_that_is_not_clean_keeps_its_subscriptions() {
    let rig = Rig::new(0);
    let mut lasting = connect("d1", HUB_USER, "good");
    lasting.clean_session = false;
    let mut first = rig.dial();
    first.send(&[Packet::Connect(lasting.clone())]).await;
    assert_eq!(first.receive().await, Some(Packet::ConnAck(ConnAck { session_present: false, code: ConnectReturnCode::Accepted })));
    first.subscribe(&["$iothub/twin/res/#"]).await;
    drop(first);
    let mut second = rig.dial();
    second.send(&[Packet::Connect(lasting)]).await;
    assert_eq!(second.receive().await, Some(Packet::ConnAck(ConnAck { session_present: true, code: ConnectReturnCode::Accepted })));
    second.send(&[publish("$iothub/twin/GET/?$rid=1", "", None)]).await;
    assert_eq!(second.delivered().await.0, "$iothub/twin/res/200/?$rid=1");
}

#[tokio::test]
async fn registration_over_mqtt() {
    let rig = Rig::new(0);
    let mut client = rig.dial();
    let user = "0ne1/registrations/r1/api-version=2025-07-01-preview&ClientVersion=x";
    assert_eq!(client.connect(connect("r1", user, "sas")).await, ConnectReturnCode::Accepted);
    assert_eq!(client.subscribe(&["$dps/registrations/res/#", "#"]).await, [SubAckCode::Granted(QoS::AtLeastOnce), SubAckCode::Failure]);
    client.send(&[publish("$dps/registrations/PUT/iotdps-register/?$rid=1", r#"{"registrationId":"r1","csr":"AA=="}"#, Some(1))]).await;
    assert_eq!(client.receive().await, Some(Packet::PubAck(1)));
    let (topic, body) = client.delivered().await;
    assert_eq!(topic, "$dps/registrations/res/202/?$rid=1&retry-after=3");
    assert_eq!(body["operationId"], "op1");
    client.send(&[publish("$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=op1", " ", Some(2))]).await;
    assert_eq!(client.receive().await, Some(Packet::PubAck(2)));
    let (topic, body) = client.delivered().await;
    assert_eq!((topic.as_str(), &body["status"]), ("$dps/registrations/res/200/?$rid=2", &json!("assigned")));
    client.send(&[publish("$dps/registrations/GET/iotdps-get-operationstatus/?$rid=3&operationId=op9", "", None)]).await;
    let (topic, body) = client.delivered().await;
    assert_eq!((topic.as_str(), &body["errorCode"]), ("$dps/registrations/res/404/?$rid=3", &json!(404_202)));
    client.send(&[publish("$dps/registrations/PUT/iotdps-register/?$rid=4", "{", None)]).await;
    assert_eq!(client.delivered().await.0, "$dps/registrations/res/400/?$rid=4");
    let registered = rig.gate.registered.lock().unwrap().clone();
    assert_eq!(registered.len(), 1);
    assert_eq!((registered[0].csr.as_deref(), registered[0].api_version.as_deref()), (Some("AA=="), Some("2025-07-01-preview")));
    client.send(&[publish("devices/r1/messages/events/", "x", None)]).await;
    assert_eq!(client.receive().await, None);
}

#[tokio::test]
async fn stopping_stores_what_was_read_and_closes() {
    let rig = Rig::new(0);
    let mut client = rig.device().await;
    client.send(&[publish(EVENTS, "x", Some(1)), Packet::PingReq]).await;
    assert_eq!(client.receive().await, Some(Packet::PingResp));
    rig.stop.send(true).unwrap();
    rig.gate.link.permits.add_permits(1);
    assert_eq!(client.receive().await, Some(Packet::PubAck(1)));
    assert_eq!(client.receive().await, None);
    assert_eq!(rig.stored(), ["x"]);
}
