//! Everything that a device can do over MQTT, tried by everybody: CONNECT by those who may not, every topic and every filter with ids
//! of its own and of others. Topics and filters come from the tables that the dialects are read by; what came back is a file that is
//! read in a review, and a topic that the file does not know fails the test:
//! `INSTA_UPDATE=always cargo test -p ferrohub-frontdoor --test it topics`.

use crate::journey::{HUB_HOST, Plant, token};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use ferrohub_client::device::key;
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::{Clock, timeout};
use ferrohub_wire::mqtt::{
    Connect, ConnectReturnCode, Decoder, Packet, Publish, QoS, SubAckCode, Subscribe, TopicFilter, encode,
};
use ferrohub_wire::sas_token;
use ferrohub_wire::{dps_topic, hub_topic};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const GLOBAL: &str = "global.azure-devices-provisioning.localhost";
const PATIENCE: Duration = Duration::from_secs(30);
const API: &str = "2025-08-01-preview";

/// Who connects: user name and password.
#[derive(Clone)]
struct Login {
    host: &'static str,
    client_id: String,
    user_name: String,
    password: Option<String>,
}

/// A connection that was let in.
struct Line {
    stream: TlsStream<TcpStream>,
    decoder: Decoder,
    read: BytesMut,
}

impl Line {
    /// Connects; the code of the CONNACK where that refuses.
    async fn open(plant: &Plant, login: &Login) -> Result<Self, ConnectReturnCode> {
        let stream = plant.rig.https.dial(plant.rig.ports().mqtt, login.host).await.unwrap();
        let mut line = Self { stream, decoder: Decoder::new(1 << 20), read: BytesMut::new() };
        line.send(&Packet::Connect(Connect {
            client_id: login.client_id.clone(),
            clean_session: true,
            keep_alive_seconds: 60,
            will: None,
            user_name: Some(login.user_name.clone()),
            password: login.password.clone().map(Bytes::from),
        }))
        .await;
        match line.next().await {
            Some(Packet::ConnAck(ack)) if ack.code == ConnectReturnCode::Accepted => Ok(line),
            Some(Packet::ConnAck(ack)) => Err(ack.code),
            other => panic!("no CONNACK but {other:?}"),
        }
    }

    async fn send(&mut self, packet: &Packet) {
        let mut out = BytesMut::new();
        encode(packet, &mut out).unwrap();
        // A peer that has closed is seen by what is read.
        let _ = self.stream.write_all(&out).await;
    }

    /// The next packet; `None` once the server has closed.
    async fn next(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = self.decoder.decode(&mut self.read).unwrap() {
                return Some(packet);
            }
            let read = timeout(&SystemClock, PATIENCE, self.stream.read_buf(&mut self.read));
            match read.await.unwrap() {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    async fn subscribe(&mut self, filter: &str) -> String {
        let filters = vec![TopicFilter { filter: filter.into(), qos: QoS::AtMostOnce }];
        self.send(&Packet::Subscribe(Subscribe { packet_id: 1, filters })).await;
        match self.next().await {
            Some(Packet::SubAck(ack)) if ack.codes == [SubAckCode::Failure] => "refused".into(),
            Some(Packet::SubAck(_)) => "granted".into(),
            None => "closed".into(),
            other => panic!("{filter}: {other:?}"),
        }
    }

    /// Publishes, and hears how it went: the status of the answer where there is one, or that it was taken, or the end.
    async fn publish(&mut self, topic: &str, payload: &str) -> String {
        let publish = Publish {
            dup: false,
            qos: QoS::AtLeastOnce,
            retain: false,
            topic: topic.into(),
            packet_id: Some(7),
            payload: Bytes::from(payload.to_owned()),
        };
        self.send(&Packet::Publish(publish)).await;
        let (mut taken, mut answered) = (false, None);
        let wants_answer = topic.contains("$rid=") && !topic.contains("/methods/");
        while !taken || wants_answer && answered.is_none() {
            match self.next().await {
                Some(Packet::PubAck(7)) => taken = true,
                Some(Packet::Publish(answer)) => {
                    let text = answer.topic.split("/res/").nth(1).unwrap();
                    answered = Some(text.split('/').next().unwrap_or_default().to_owned());
                }
                None => return "closed".into(),
                other => panic!("{topic}: {other:?}"),
            }
        }
        answered.unwrap_or_else(|| "taken".into())
    }
}

/// The devices of the sweep: s1 with a module m1, s2, and one that is disabled; their keys.
async fn device(plant: &Plant, id: &str, status: &str) -> String {
    let body = json!({"deviceId": id, "status": status});
    key_of(&put(plant, &format!("/devices/{id}"), &body).await)
}

async fn put(plant: &Plant, path: &str, body: &Value) -> Value {
    let owner = token(HUB_HOST, &plant.hub_key, "iothubowner");
    let headers = [("authorization", owner.as_str()), ("content-type", "application/json")];
    let path = format!("{path}?api-version=2021-04-12");
    let answer = plant.rig.https.send("PUT", HUB_HOST, &path, &headers, body.to_string()).await;
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
    answer.json()
}

fn key_of(identity: &Value) -> String {
    identity["authentication"]["symmetricKey"]["primaryKey"].as_str().unwrap().to_owned()
}

/// A device's own token.
fn own(resource: &str, key: &str) -> String {
    sas_token::sign(resource, &STANDARD.decode(key).unwrap(), SystemClock.unix_seconds() + 3600, None)
}

/// `id` is that of a device, or `{device}/{module}`.
fn at_hub(id: &str, password: Option<String>) -> Login {
    let user_name = format!("{HUB_HOST}/{id}/?api-version={API}");
    Login { host: HUB_HOST, client_id: id.into(), user_name, password }
}

fn at_dps(plant: &Plant, id: &str, password: Option<String>) -> Login {
    let user_name = format!("{}/registrations/{id}/api-version=2025-07-01-preview", plant.id_scope);
    Login { host: GLOBAL, client_id: id.into(), user_name, password }
}

fn of_group(plant: &Plant, signs: &str, group_key: &str) -> Option<String> {
    let own = key::derive(group_key, signs).unwrap();
    Some(key::registration_token(&plant.id_scope, signs, &own, SystemClock.unix_seconds() + 600).unwrap())
}

/// Connects as everybody: a line for each.
async fn connects(plant: &Plant, plane: &str, everybody: &[(&str, Login, bool)], lines: &mut String) {
    writeln!(lines, "{plane} CONNECT").unwrap();
    for (who, login, may) in everybody {
        let outcome = Line::open(plant, login).await.map_or_else(|code| format!("{code:?}"), |_| "accepted".into());
        assert_eq!(outcome == "accepted", *may, "{plane} as {who}: {outcome}");
        writeln!(lines, "    {outcome}: {who}").unwrap();
    }
}

/// Whether the text has ids, and they are not those of who asks.
fn is_anothers(pattern: &str, module: Option<&str>, ids: (&str, &str)) -> bool {
    let of_module = pattern.contains("{module}");
    pattern.contains("{device}") && (ids.0 != "s1" || of_module != module.is_some() || of_module && ids.1 != "m1")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_of_others_are_nobodys() {
    let plant = Plant::build().await;
    let (s1, s2) = (device(&plant, "s1", "enabled").await, device(&plant, "s2", "enabled").await);
    let off = device(&plant, "off", "disabled").await;
    let m1 = key_of(&put(&plant, "/devices/s1/modules/m1", &json!({"deviceId": "s1", "moduleId": "m1"})).await);
    put(&plant, "/devices/s1/modules/m2", &json!({"deviceId": "s1", "moduleId": "m2"})).await;
    let wrong = STANDARD.encode([9u8; 32]);
    let of = |id: &str, key: &str| Some(own(&format!("{HUB_HOST}/devices/{id}"), key));
    let of_m1 = |key: &str| Some(own(&format!("{HUB_HOST}/devices/s1/modules/m1"), key));
    let elsewhere = Some(own("hub2.azure-devices.localhost/devices/s1", &s1));
    let policy = |name: &str| Some(token(&format!("{HUB_HOST}/devices/s1"), &plant.hub_key, name));
    let mut lines = String::new();
    let hub = [
        ("nobody", at_hub("s1", None), false),
        ("garbage", at_hub("s1", Some("x".into())), false),
        ("wrong key", at_hub("s1", of("s1", &wrong)), false),
        ("another device's key", at_hub("s1", of("s1", &s2)), false),
        ("another device's token", at_hub("s1", of("s2", &s2)), false),
        ("another hub's token", at_hub("s1", elsewhere), false),
        ("a device that is not there", at_hub("nobody", of("nobody", &wrong)), false),
        ("a disabled device", at_hub("off", of("off", &off)), false),
        ("a device as its module", at_hub("s1/m1", of("s1", &s1)), false),
        ("a module as its device", at_hub("s1", of_m1(&m1)), false),
        ("a policy without the right", at_hub("s1", policy("registryRead")), false),
        ("a policy", at_hub("s1", policy("iothubowner")), true),
        ("device", at_hub("s1", of("s1", &s1)), true),
        ("module", at_hub("s1/m1", of_m1(&m1)), true),
    ];
    connects(&plant, "hub", &hub, &mut lines).await;
    let dps = [
        ("nobody", at_dps(&plant, "r1", None), false),
        ("garbage", at_dps(&plant, "r1", Some("x".into())), false),
        ("wrong key", at_dps(&plant, "r1", of_group(&plant, "r1", &wrong)), false),
        ("another device", at_dps(&plant, "r1", of_group(&plant, "r2", &plant.group_key)), false),
        ("a device of the hub", at_dps(&plant, "s1", of("s1", &s1)), false),
        ("device", at_dps(&plant, "r1", of_group(&plant, "r1", &plant.group_key)), true),
    ];
    connects(&plant, "dps", &dps, &mut lines).await;
    let (device, module) = (&hub[12].1, &hub[13].1);
    for (who, login, own_module) in [("device", device, None), ("module", module, Some("m1"))] {
        at_the_hub(&plant, who, login, own_module, &mut lines).await;
    }
    at_provisioning(&plant, &mut lines).await;
    insta::with_settings!({ prepend_module_to_snapshot => false }, { insta::assert_snapshot!("topics", lines) });
    plant.rig.stop().await;
}

/// Every topic and filter of a hub, with ids of one's own and of others, on a connection each; and those of provisioning.
async fn at_the_hub(plant: &Plant, who: &str, login: &Login, module: Option<&str>, lines: &mut String) {
    let answers = [hub_topic::TWIN_RESPONSES_FILTER, hub_topic::CREDENTIAL_RESPONSES_FILTER];
    let publishes =
        hub_topic::publish_topics().into_iter().chain(dps_topic::publish_topics()).map(|topic| (true, topic));
    let filters = hub_topic::filters().into_iter().chain([dps_topic::RESPONSES_FILTER.to_owned()]);
    for (publishes, pattern) in publishes.chain(filters.map(|filter| (false, filter))) {
        writeln!(lines, "hub {} {pattern} as {who}", if publishes { "PUBLISH" } else { "SUBSCRIBE" }).unwrap();
        let everything = [("s1", "m1"), ("s2", "m1"), ("s1", "m2")];
        let differ = everything.iter().take(if pattern.contains("{module}") { 3 } else { 2 });
        for ids in differ.take(if pattern.contains("{device}") { 3 } else { 1 }) {
            let text = pattern.replace("{device}", ids.0).replace("{module}", ids.1);
            let text = text.replace("{rid}", "1").replace("{status}", "200").replace("{operationId}", "o");
            let mut line = Line::open(plant, login).await.unwrap();
            for filter in answers {
                assert_eq!(line.subscribe(filter).await, "granted");
            }
            let outcome = if publishes { line.publish(&text, "{}").await } else { line.subscribe(&text).await };
            let refused = matches!(outcome.as_str(), "closed" | "refused");
            let foreign = pattern.starts_with("$dps/") || is_anothers(&pattern, module, *ids);
            assert!(refused || !foreign, "{text} as {who}: {outcome}");
            writeln!(lines, "    {outcome}: {text}").unwrap();
        }
    }
}

/// Every topic of a provisioning service, an operation of another device, and the topics of a hub.
async fn at_provisioning(plant: &Plant, lines: &mut String) {
    let open = async |id: &str| {
        let login = at_dps(plant, id, of_group(plant, id, &plant.group_key));
        let mut line = Line::open(plant, &login).await.unwrap();
        assert_eq!(line.subscribe(dps_topic::RESPONSES_FILTER).await, "granted");
        line
    };
    let body = r#"{"registrationId": "r1"}"#;
    let other = operation_of(&mut open("r2").await).await;
    let mine = operation_of(&mut open("r1").await).await;
    for pattern in dps_topic::publish_topics() {
        writeln!(lines, "dps PUBLISH {pattern}").unwrap();
        for (of, operation) in [("its own", &mine), ("another's", &other)]
            .into_iter()
            .take(1 + usize::from(pattern.contains("{operationId}")))
        {
            let text = pattern.replace("{rid}", "1").replace("{operationId}", operation);
            let outcome = open("r1").await.publish(&text, body).await;
            assert_eq!(outcome.starts_with('2'), of == "its own", "{pattern} of {of}: {outcome}");
            writeln!(lines, "    {outcome}: {of}").unwrap();
        }
    }
    for topic in hub_topic::publish_topics() {
        let outcome = open("r1").await.publish(&topic.replace("{rid}", "1").replace("{status}", "200"), "{}").await;
        assert_eq!(outcome, "closed", "{topic} at a provisioning service");
    }
    for filter in hub_topic::filters() {
        let outcome = open("r1").await.subscribe(&filter).await;
        assert_eq!(outcome, "refused", "{filter} at a provisioning service");
    }
}

/// The operation by which a device registers.
async fn operation_of(line: &mut Line) -> String {
    line.send(&Packet::Publish(Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: false,
        topic: dps_topic::register("1"),
        packet_id: None,
        payload: Bytes::from_static(b"{}"),
    }))
    .await;
    match line.next().await {
        Some(Packet::Publish(answer)) => {
            let body: Value = serde_json::from_slice(&answer.payload).unwrap();
            body["operationId"].as_str().unwrap().to_owned()
        }
        other => panic!("no answer but {other:?}"),
    }
}
