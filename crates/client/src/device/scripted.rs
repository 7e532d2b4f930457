//! The device against a server that plays a script: what it sends, and what it makes of the answers.
#![expect(clippy::disallowed_methods, reason = "keys of a test")]

use super::connection::{Connection, Login};
use super::dial::Dial;
use super::hub::{Desired, HubDevice, Proof};
use super::registration::{RegistrationRequest, register};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::{Clock, timeout};
use ferrohub_model::error::{ErrorKind, Result};
use ferrohub_pki::name::SubjectName;
use ferrohub_pki::platform::{DEFAULT_KEY, create_platform_root, create_server_chain};
use ferrohub_pki::profile::ServerFields;
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::signer::{Signer, SoftwareSigner};
use ferrohub_wire::mqtt::{ConnAck, ConnectReturnCode, Decoder, Packet, Publish, QoS, SubAck, SubAckCode, encode};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const HOST: &str = "hub1.azure-devices.localhost";

/// What the server does with a packet: packets to send, or `None` to hang up.
type Script = fn(&Packet) -> Option<Vec<Packet>>;

/// Starts a server for one connection; gives what a device needs to reach it.
async fn server(script: Script) -> Dial {
    let now = SystemClock.now();
    let key = || Arc::new(SoftwareSigner::generate(DEFAULT_KEY).unwrap());
    let name = SubjectName::from_common_name("Scripted").unwrap();
    let root = create_platform_root(name, key(), &SystemRandom, now).await.unwrap();
    let ca_pem = root.certificate().to_pem();
    let fields = ServerFields { dns_names: vec![HOST.into()], ip_addresses: Vec::new(), days: 1 };
    let server = key();
    let public = server.public_key_info_der();
    let chain = create_server_chain(&root, fields, public, &SystemRandom, now).await.unwrap();
    let chain = chain.iter().map(|certificate| CertificateDer::from(certificate.der().to_vec())).collect();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server.to_pkcs8().unwrap().to_vec()));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut stream = TlsAcceptor::from(Arc::new(config)).accept(socket).await.unwrap();
        let (mut decoder, mut input) = (Decoder::new(64 * 1024), BytesMut::new());
        loop {
            while let Some(packet) = decoder.decode(&mut input).unwrap() {
                let Some(answers) = script(&packet) else { return };
                let mut output = BytesMut::new();
                for answer in &answers {
                    encode(answer, &mut output).unwrap();
                }
                stream.write_all(&output).await.unwrap();
                stream.flush().await.unwrap();
            }
            if stream.read_buf(&mut input).await.unwrap_or(0) == 0 {
                return;
            }
        }
    });
    Dial::new(address, HOST, ca_pem.as_bytes(), None, SystemClock::shared()).unwrap()
}

fn accept(code: ConnectReturnCode) -> Packet {
    Packet::ConnAck(ConnAck { session_present: false, code })
}

fn sub_ack(packet_id: u16, filters: usize) -> Packet {
    Packet::SubAck(SubAck { packet_id, codes: vec![SubAckCode::Granted(QoS::AtLeastOnce); filters] })
}

fn message(topic: &str, payload: &str) -> Packet {
    let payload = Bytes::copy_from_slice(payload.as_bytes());
    Packet::Publish(Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: false,
        topic: topic.into(),
        packet_id: None,
        payload,
    })
}

async fn open(dial: &Dial) -> Result<Connection> {
    let login = Login { client_id: "sn-1".into(), user_name: "u".into(), password: None };
    Connection::open(dial, &login).await
}

#[tokio::test]
async fn a_refused_login_says_so() {
    let dial = server(|_| Some(vec![accept(ConnectReturnCode::NotAuthorized)])).await;
    let error = open(&dial).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::Unauthenticated);
    assert!(error.message.contains(HOST) && error.message.contains("return code 5"), "{error}");
}

#[tokio::test]
async fn a_registration_id_that_breaks_the_rule_is_not_sent() {
    let dial = server(|_| panic!("it was sent")).await;
    let request = RegistrationRequest {
        id_scope: "0ne00000000".into(),
        registration_id: "pump 1".into(),
        device_key: None,
        csr: None,
        payload: None,
    };
    let error = register(&dial, &request).await.err().unwrap();
    assert!(error.message.contains("'pump 1' is not valid: 1 to 128"), "{error}");
}

#[tokio::test]
async fn a_server_with_another_name_or_issuer_is_not_trusted() {
    let dial = server(|_| None).await;
    let other = server(|_| None).await;
    let addresses = dial.addresses().to_vec();
    let error = open(&other.at(addresses)).await.err().unwrap();
    assert_eq!(error.code, crate::tls_fault::UNTRUSTED, "{error}");
}

#[tokio::test]
async fn a_server_that_hangs_up_fails_the_publish_at_once() {
    let dial = server(|packet| match packet {
        Packet::Connect(_) => Some(vec![accept(ConnectReturnCode::Accepted)]),
        _ => None,
    })
    .await;
    let connection = open(&dial).await.unwrap();
    let publishing = connection.publish("a".into(), Bytes::new());
    let error = timeout(&SystemClock, Duration::from_secs(5), publishing).await.unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    let error = connection.publish("bad/#".into(), Bytes::new()).await.unwrap_err();
    assert!(error.message.contains("closed") || error.message.contains("broke"), "{error}");
}

#[tokio::test]
async fn a_message_that_mqtt_cannot_carry_leaves_the_connection_alone() {
    let dial = server(|packet| match packet {
        Packet::Connect(_) => Some(vec![accept(ConnectReturnCode::Accepted)]),
        Packet::Publish(publish) => Some(vec![Packet::PubAck(publish.packet_id?)]),
        _ => Some(Vec::new()),
    })
    .await;
    let connection = open(&dial).await.unwrap();
    assert_eq!(connection.publish("a/#".into(), Bytes::new()).await.unwrap_err().kind, ErrorKind::Invalid);
    connection.publish("a/b".into(), Bytes::new()).await.unwrap();
    connection.close().await;
}

#[tokio::test]
async fn a_registration_polls_until_it_is_assigned() {
    let dial = server(|packet| match packet {
        Packet::Connect(connect) => {
            let user = "0ne1/registrations/sn-1/api-version=2025-07-01-preview&ClientVersion=ferrohub-device";
            let right = connect.client_id == "sn-1" && connect.user_name.as_deref()?.starts_with(user) && connect.password.is_some();
            Some(vec![accept(if right { ConnectReturnCode::Accepted } else { ConnectReturnCode::NotAuthorized })])
        }
        Packet::Subscribe(subscribe) => Some(vec![sub_ack(subscribe.packet_id, 1)]),
        Packet::Publish(publish) => {
            let answer = if publish.topic.starts_with("$dps/registrations/PUT/iotdps-register/?$rid=1") {
                let body: serde_json::Value = serde_json::from_slice(&publish.payload).ok()?;
                assert_eq!(body, json!({"registrationId": "sn-1", "csr": "Q1NS"}));
                message("$dps/registrations/res/202/?$rid=1&retry-after=0", r#"{"operationId":"4.a.b","status":"assigning"}"#)
            } else if publish.topic.ends_with("?$rid=2&operationId=4.a.b") {
                // Busy is no end.
                message("$dps/registrations/res/429/?$rid=2&retry-after=0", r#"{"errorCode":429001,"message":"slow down"}"#)
            } else {
                let state = r#"{"assignedHub":"hub1.azure-devices.localhost","deviceId":"sn-1","issuedCertificateChain":["AQ==","Ag==","Aw=="]}"#;
                message("$dps/registrations/res/200/?$rid=3", &format!(r#"{{"operationId":"4.a.b","status":"assigned","registrationState":{state}}}"#))
            };
            Some(vec![Packet::PubAck(publish.packet_id?), answer])
        }
        _ => Some(Vec::new()),
    })
    .await;
    let request = RegistrationRequest {
        id_scope: "0ne1".into(),
        registration_id: "sn-1".into(),
        device_key: Some(STANDARD.encode(b"0123456789abcdef")),
        csr: Some("Q1NS".into()),
        payload: None,
    };
    let registration = register(&dial, &request).await.unwrap();
    assert_eq!(
        (registration.assigned_hub.as_str(), registration.device_id.as_str(), registration.polls),
        (HOST, "sn-1", 2)
    );
    assert_eq!(registration.chain, [[1], [2], [3]]);
}

/// Answers certificate requests one after the other: busy, one is pending, and then the certificates, with other messages between.
fn issuing(packet: &Packet) -> Option<Vec<Packet>> {
    let publish = match packet {
        Packet::Connect(_) => return Some(vec![accept(ConnectReturnCode::Accepted)]),
        Packet::Subscribe(subscribe) => return Some(vec![sub_ack(subscribe.packet_id, subscribe.filters.len())]),
        Packet::Publish(publish) => publish,
        _ => return Some(Vec::new()),
    };
    let rid = publish.topic.strip_prefix("$iothub/credentials/POST/issueCertificate/?$rid=")?;
    assert!((4..=36).contains(&rid.len()) && rid.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-'), "{rid}");
    let body: serde_json::Value = serde_json::from_slice(&publish.payload).ok()?;
    let say =
        |rid: &str, status: u16, body: &str| message(&format!("$iothub/credentials/res/{status}/?$rid={rid}"), body);
    let answers = match rid.rsplit_once('-')?.1 {
        "1" => vec![say(rid, 429, r#"{"errorCode":429002,"message":"busy","retryAfter":1}"#)],
        "2" => {
            assert_eq!(body, json!({"id": "d1", "csr": "Q1NS"}));
            vec![say(rid, 409, r#"{"errorCode":409004,"message":"pending","info":{"requestId":"r"}}"#)]
        }
        "3" => {
            assert_eq!(body, json!({"id": "d1", "csr": "Q1NS", "replace": "*"}));
            vec![
                say("r-of-another-life", 200, r#"{"certificates":["CQ=="]}"#),
                say(rid, 202, r#"{"correlationId":"c","operationExpires":"2026-01-31T12:52:20.565000000Z"}"#),
                message("$iothub/twin/PATCH/properties/desired/?$version=2", r#"{"x":1,"$version":2}"#),
                say(rid, 200, r#"{"correlationId":"c","certificates":["AQ==","Ag==","Aw=="]}"#),
            ]
        }
        _ => vec![
            say(rid, 202, "{}"),
            say(rid, 400, r#"{"errorCode":400037,"message":"CSR did not pass verification"}"#),
        ],
    };
    Some([vec![Packet::PubAck(publish.packet_id?)], answers].concat())
}

#[tokio::test]
async fn a_certificate_is_asked_for_until_the_hub_gives_it_or_says_no() {
    let mut device = HubDevice::connect(&server(issuing).await, HOST, "d1", Proof::Certificate).await.unwrap();
    assert_eq!(device.renew("Q1NS").await.unwrap(), [[1], [2], [3]]);
    // What came in between is not lost.
    assert_eq!(device.wait(Duration::from_secs(1)).await.unwrap().unwrap().version, 2);
    assert_eq!(device.wait(Duration::from_millis(10)).await.unwrap(), None);
    let error = device.renew("bad").await.unwrap_err();
    assert_eq!(error.numeric_code(), 400_037);
    assert!(error.message.contains("CSR did not pass verification"), "{error}");
    device.close().await;
}

#[tokio::test]
async fn a_device_sends_reports_and_listens() {
    let dial = server(|packet| match packet {
        Packet::Connect(connect) => {
            let right = connect.user_name.as_deref()?.starts_with("hub1.azure-devices.localhost/Pump:1/?api-version=")
                && connect.password.is_none();
            Some(vec![accept(if right { ConnectReturnCode::Accepted } else { ConnectReturnCode::NotAuthorized })])
        }
        Packet::Subscribe(subscribe) => Some(vec![sub_ack(subscribe.packet_id, subscribe.filters.len())]),
        Packet::Publish(publish) => {
            let mut answers = vec![Packet::PubAck(publish.packet_id?)];
            match publish.topic.as_str() {
                "devices/Pump:1/messages/events/$.ct=application%2Fjson&a=b%26c" => {}
                "$iothub/twin/PATCH/properties/reported/?$rid=1" => {
                    // A desired change arrives before the answer and must not be lost.
                    answers
                        .push(message("$iothub/twin/PATCH/properties/desired/?$version=4", r#"{"x":1,"$version":4}"#));
                    answers.push(message("$iothub/twin/res/204/?$rid=1&$version=9", ""));
                }
                "$iothub/twin/GET/?$rid=2" => {
                    answers.push(message("$iothub/twin/res/200/?$rid=2", r#"{"desired":{"x":1},"reported":{"y":2}}"#))
                }
                _ => return None,
            }
            Some(answers)
        }
        _ => Some(Vec::new()),
    })
    .await;
    let mut device = HubDevice::connect(&dial, HOST, "Pump:1", Proof::Certificate).await.unwrap();
    device.send("{}", &[("$.ct", "application/json"), ("a", "b&c")]).await.unwrap();
    assert_eq!(device.report(&json!({"y": 2})).await.unwrap(), 9);
    let twin = device.twin().await.unwrap();
    assert_eq!((twin.desired, twin.reported), (json!({"x": 1}), json!({"y": 2})));
    let change = device.desired(Duration::from_secs(1)).await.unwrap();
    assert_eq!(change, Desired { version: 4, patch: json!({"x": 1, "$version": 4}) });
    assert_eq!(device.desired(Duration::from_millis(10)).await.unwrap_err().kind, ErrorKind::Unavailable);
    let large = vec![0; ferrohub_model::limits::TELEMETRY_BYTES + 1];
    assert_eq!(device.send(large, &[]).await.unwrap_err().kind, ErrorKind::TooLarge);
    device.close().await;
}
