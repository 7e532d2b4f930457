//! The state of a connection, over a pipe instead of a socket and a gate instead of the services.

mod asking;
mod connecting;
mod faults;
mod lasting;
mod over_websocket;
mod publishing;
mod renewing;

use super::*;
use crate::gate::{DeviceEvents, DeviceRequests, Gate, Opened};
use crate::listener::Life;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use ferrohub_clock::SystemClock;
use ferrohub_model::device_session::{SessionKind, Subscriptions};
use ferrohub_model::random::SeededRandom;
use ferrohub_model::registration::RegistrationStatus;
use ferrohub_service::hub::{
    CloseReason, DeviceLogin, RenewalAccepted, RenewalEnded, RenewalRefused, SessionEvent, Telemetry,
};
use ferrohub_service::provisioning::{DeviceCaller, OperationStatus, RegisterRequest};
use ferrohub_wire::mqtt::{Decoder, LastWill, Publish, QoS, SubAckCode, Subscribe, TopicFilter, Unsubscribe, encode};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::{Semaphore, mpsc, watch};
use uuid::Uuid;

const HUB_USER: &str = "hub1.azure-devices.localhost/d1/?api-version=2021-04-12";

/// A gate that remembers what it was asked.
struct FakeGate {
    requests: Arc<FakeRequests>,
    events: Mutex<Option<mpsc::UnboundedReceiver<SessionEvent>>>,
    registered: Mutex<Vec<RegisterRequest>>,
}

/// A device's rights at a log that takes a batch for each permit.
struct FakeRequests {
    stored: Mutex<Vec<Vec<Telemetry>>>,
    permits: Semaphore,
    failures: Mutex<Vec<Error>>,
    reported: Mutex<Vec<Value>>,
    /// The device's row: what is remembered, and how often that was written.
    remembered: Mutex<(Option<Subscriptions>, usize)>,
    kind: Mutex<SessionKind>,
    /// What the next attempt to remember fails with.
    forgetful: Mutex<Option<Error>>,
    /// Whether the hub lets the device ask for faults.
    faults: AtomicBool,
    renewals: FakeRenewals,
    /// Length of a text in the twin, and how often the twin was read.
    twin: (AtomicUsize, AtomicUsize),
}

/// The device's row of renewals.
#[derive(Default)]
struct FakeRenewals {
    asked: Mutex<Vec<(String, Value)>>,
    ended: Mutex<Vec<RenewalEnded>>,
    delivered: Mutex<Vec<Uuid>>,
}

struct FakeEvents(mpsc::UnboundedReceiver<SessionEvent>);

#[async_trait]
impl Gate for FakeGate {
    async fn login(&self, login: DeviceLogin, kind: SessionKind) -> Result<Opened> {
        if let Some(module) = &login.module_id {
            return Err(Error::not_implemented(format!("no module '{module}'")));
        }
        match login.token.as_deref() {
            Some("good") => {}
            Some(_) => return Err(Error::unauthenticated("wrong key")),
            None if login.peer_chain.is_empty() => return Err(Error::unauthenticated("no credentials")),
            None => {}
        }
        let events = self.events.lock().unwrap().take().unwrap_or_else(|| mpsc::unbounded_channel().1);
        *self.requests.kind.lock().unwrap() = kind;
        let mut remembered = self.requests.remembered.lock().unwrap();
        if kind == SessionKind::Clean {
            remembered.0 = None;
        }
        Ok(Opened { requests: self.requests.clone(), events: Box::new(FakeEvents(events)), remembered: remembered.0 })
    }

    async fn attest(&self, caller: DeviceCaller<'_>) -> Result<()> {
        if caller.id_scope == "0ne1" { Ok(()) } else { Err(Error::not_found("scope").with_iot_code(404_201)) }
    }

    async fn register(&self, request: RegisterRequest) -> Result<OperationStatus> {
        let body = json!({"operationId": "op1", "status": "assigning"});
        self.registered.lock().unwrap().push(request);
        Ok(OperationStatus {
            operation_id: "op1".into(),
            status: RegistrationStatus::Assigning,
            retry_after_seconds: 3,
            body,
        })
    }

    async fn operation_status(&self, _caller: DeviceCaller<'_>, operation_id: &str) -> Result<OperationStatus> {
        if operation_id != "op1" {
            return Err(Error::not_found("no such operation").with_iot_code(404_202));
        }
        let body = json!({"operationId": "op1", "status": "assigned", "registrationState": {"assignedHub": "h"}});
        Ok(OperationStatus {
            operation_id: "op1".into(),
            status: RegistrationStatus::Assigned,
            retry_after_seconds: 3,
            body,
        })
    }
}

#[async_trait]
impl DeviceRequests for FakeRequests {
    async fn publish(&self, batch: &[Telemetry]) -> Result<()> {
        self.permits.acquire().await.unwrap().forget();
        if let Some(error) = self.failures.lock().unwrap().pop() {
            return Err(error);
        }
        self.stored.lock().unwrap().push(batch.to_vec());
        Ok(())
    }

    async fn twin(&self) -> Result<Value> {
        let (length, reads) = (self.twin.0.load(Ordering::Relaxed), &self.twin.1);
        reads.fetch_add(1, Ordering::Relaxed);
        let mut twin = json!({"desired": {"$version": 1}, "reported": {"$version": 1}});
        if length > 0 {
            twin["reported"]["text"] = "x".repeat(length).into();
        }
        Ok(twin)
    }

    async fn patch_reported(&self, patch: Value, version: Option<u64>) -> Result<u64> {
        if version.is_some_and(|version| version != 1) {
            return Err(Error::precondition("another version").with_iot_code(412_001));
        }
        if !patch.is_object() {
            return Err(Error::invalid("not an object"));
        }
        self.reported.lock().unwrap().push(patch);
        Ok(2)
    }

    async fn remember(&self, wanted: Subscriptions) -> Result<()> {
        if let Some(error) = self.forgetful.lock().unwrap().take() {
            return Err(error);
        }
        let mut remembered = self.remembered.lock().unwrap();
        if *self.kind.lock().unwrap() == SessionKind::Lasting && remembered.0 != Some(wanted) {
            *remembered = (Some(wanted), remembered.1 + 1);
        }
        Ok(())
    }

    async fn renew(&self, rid: &str, body: &Value) -> std::result::Result<RenewalAccepted, Box<RenewalRefused>> {
        self.renewals.asked.lock().unwrap().push((rid.to_owned(), body.clone()));
        if body["replace"] == "none" {
            let error = Error::precondition("nothing to replace").with_iot_code(412_001);
            return Err(Box::new(RenewalRefused { error, info: Some(json!({"requestId": "none"})) }));
        }
        if body["replace"] == "full" {
            let mut error = Error::new(ErrorKind::Throttled, "TooManyRequests", "too many wait").with_iot_code(429_002);
            error.retry_after_seconds = Some(5);
            return Err(Box::new(RenewalRefused { error, info: None }));
        }
        Ok(RenewalAccepted { correlation_id: Uuid::nil(), expires: "2026-01-31T12:52:20.565Z".parse().unwrap() })
    }

    async fn ended_renewals(&self) -> Result<Vec<RenewalEnded>> {
        Ok(self.renewals.ended.lock().unwrap().clone())
    }

    async fn renewals_delivered(&self, operations: &[Uuid]) -> Result<()> {
        self.renewals.ended.lock().unwrap().retain(|one| !operations.contains(&one.correlation_id));
        self.renewals.delivered.lock().unwrap().extend(operations);
        Ok(())
    }

    fn heard(&self) {}

    fn may_fault(&self) -> bool {
        self.faults.load(Ordering::Relaxed)
    }
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
        let requests = FakeRequests {
            stored: Mutex::default(),
            permits: Semaphore::new(permits),
            failures: Mutex::default(),
            reported: Mutex::default(),
            remembered: Mutex::default(),
            kind: Mutex::new(SessionKind::Clean),
            forgetful: Mutex::default(),
            faults: AtomicBool::new(false),
            renewals: FakeRenewals::default(),
            twin: Default::default(),
        };
        let gate = Arc::new(FakeGate {
            requests: Arc::new(requests),
            events: Mutex::new(Some(receiver)),
            registered: Mutex::default(),
        });
        let (stop, stopped) = watch::channel(false);
        let clock = SystemClock::shared();
        let mqtt = Arc::new(Mqtt::new(
            gate.clone(),
            clock.clone(),
            Arc::new(SeededRandom::new(1)),
            Arc::new(Guesses::new(clock.clone())),
        ));
        Self { mqtt, gate, events, stop, life: Life::new(stopped, clock) }
    }

    fn dial(&self) -> Client {
        self.dial_until(SystemClock.monotonic() + Duration::from_secs(limits::CONNECT_TIMEOUT_SECONDS))
    }

    fn dial_until(&self, deadline: Moment) -> Client {
        let (near, far) = tokio::io::duplex(1024 * 1024);
        let (mqtt, life) = (self.mqtt.clone(), self.life.clone());
        tokio::spawn(async move { mqtt.serve(far, Default::default(), &life, deadline).await });
        Client { stream: near, decoder: Decoder::new(1 << 20), buffer: BytesMut::new() }
    }

    async fn device(&self) -> Client {
        let mut client = self.dial();
        assert_eq!(client.connect(connect("d1", HUB_USER, "good")).await, ConnectReturnCode::Accepted);
        client
    }

    fn stored(&self) -> Vec<String> {
        let batches = self.gate.requests.stored.lock().unwrap();
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
        let filters =
            filters.iter().map(|filter| TopicFilter { filter: (*filter).into(), qos: QoS::ExactlyOnce }).collect();
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
