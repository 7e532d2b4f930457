//! WebSocket on the HTTPS port, frame by frame: what a client must not send, and strangers who hold what is not theirs.

use crate::journey::{HUB_HOST, Plant, token};
use crate::rig::Rig;
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::timeout;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const PATIENCE: Duration = Duration::from_secs(5);

fn upgrade(host: &str) -> String {
    format!(
        "GET /$iothub/websocket HTTP/1.1\r\nhost: {host}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: mqtt\r\n\r\n"
    )
}

/// A frame as a client sends it, with a mask of zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    let head = match u8::try_from(length) {
        Ok(short @ 0..126) => vec![first, 0x80 | short],
        _ => [&[first, 0xFE][..], &length.to_be_bytes()].concat(),
    };
    [&head[..], &[0; 4], payload].concat()
}

/// A CONNECT of MQTT 3.1.1 for a device of the hub with a token of the hub's owner.
fn connect(plant: &Plant, device: &str) -> Vec<u8> {
    let texts = [
        device.to_owned(),
        format!("{HUB_HOST}/{device}/?api-version=2021-04-12"),
        token(&format!("{HUB_HOST}/devices/{device}"), &plant.hub_key, "iothubowner"),
    ];
    let mut body = b"\0\x04MQTT\x04\xC2\0\x3C".to_vec();
    for text in texts {
        body.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        body.extend(text.bytes());
    }
    let length = body.len();
    let mut packet = vec![0x10, u8::try_from(length % 128).unwrap() | 0x80, u8::try_from(length / 128).unwrap()];
    packet.extend(body);
    packet
}

async fn device(plant: &Plant, id: &str) {
    let owner = token(HUB_HOST, &plant.hub_key, "iothubowner");
    let headers = [("authorization", owner.as_str()), ("content-type", "application/json")];
    let (path, body) = (format!("/devices/{id}?api-version=2021-04-12"), format!(r#"{{"deviceId":"{id}"}}"#));
    plant.rig.https.send("PUT", HUB_HOST, &path, &headers, body).await.expect(200);
}

/// Sends the upgrade with `behind` right behind it, and reads the answer to the upgrade.
async fn upgraded(rig: &Rig, behind: &[u8]) -> TlsStream<TcpStream> {
    let mut stream = rig.https.dial(rig.ports().https, HUB_HOST).await.unwrap();
    stream.write_all(&[upgrade(HUB_HOST).as_bytes(), behind].concat()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    for line in
        ["upgrade: websocket", "sec-websocket-protocol: mqtt", "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="]
    {
        assert!(head.lines().any(|header| header == line), "{line}: {head}");
    }
    stream
}

async fn rest(stream: &mut TlsStream<TcpStream>) -> Vec<u8> {
    let mut all = Vec::new();
    let _ = timeout(&SystemClock, PATIENCE, stream.read_to_end(&mut all)).await.unwrap();
    all
}

#[tokio::test]
async fn what_comes_right_behind_the_upgrade_is_not_lost() {
    let plant = Plant::build().await;
    device(&plant, "ws1").await;
    let sent = connect(&plant, "ws1");
    let (first, second) = sent.split_at(9);
    let behind = [frame(0x02, first), frame(0x89, b"alive?"), frame(0x80, second)].concat();
    let mut stream = upgraded(&plant.rig, &behind).await;
    let mut answer = [0; 14];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"\x8A\x06alive?\x82\x04\x20\x02\0\0");
    // A close frame is answered with one, and ends the session.
    stream.write_all(&frame(0x88, &[0x03, 0xE8])).await.unwrap();
    assert_eq!(rest(&mut stream).await, [0x88, 2, 0x03, 0xE8]);
    plant.rig.stop().await;
}

#[tokio::test]
async fn what_a_client_must_not_send_is_named_and_ends_the_connection() {
    let plant = Plant::build().await;
    device(&plant, "ws2").await;
    let welcome = connect(&plant, "ws2");
    let unmasked = [&[0x82, 2][..], &[0xC0, 0]].concat();
    for (wrong, code) in [
        (frame(0x81, b"text"), 1003_u16),
        (unmasked, 1002),
        (frame(0xC2, b"reserved"), 1002),
        (frame(0x80, b"a part of nothing"), 1002),
        (frame(0x89, &[0; 126]), 1002),
    ] {
        // Before a CONNECT, and in a session.
        let mut stream = upgraded(&plant.rig, &wrong).await;
        let expected = [&[0x88, 2][..], &code.to_be_bytes()].concat();
        assert_eq!(rest(&mut stream).await, expected, "{wrong:?}");
        let mut stream = upgraded(&plant.rig, &frame(0x82, &welcome)).await;
        let mut accepted = [0; 6];
        stream.read_exact(&mut accepted).await.unwrap();
        assert_eq!(accepted, [0x82, 4, 0x20, 2, 0, 0]);
        stream.write_all(&wrong).await.unwrap();
        assert_eq!(rest(&mut stream).await, expected, "{wrong:?}");
    }
    // A frame that says that it is endless is held to the limit of what is in it.
    let mut endless = vec![0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];
    endless.extend([0x10, 0xFF, 0xFF, 0xFF, 0x7F]);
    let mut stream = upgraded(&plant.rig, &endless).await;
    assert_eq!(rest(&mut stream).await, [0x88, 2, 0x03, 0xE8]);
    plant.rig.stop().await;
}

#[tokio::test]
async fn upgrades_without_a_connect_keep_nobody_else_out() {
    let rig = Rig::with_connections(128).await;
    let port = rig.ports().https;
    let mut held = Vec::new();
    for number in 0..110 {
        // One that gave way to the next is as good.
        if let Ok(mut stream) = rig.https.dial_from(7, port, HUB_HOST).await {
            let head = upgrade(HUB_HOST);
            let said = if number % 2 == 0 { head.as_str() } else { &head[..head.len() - 2] };
            let _ = stream.write_all(said.as_bytes()).await;
            held.push(stream);
        }
    }
    let path = "/metadata/endpoints?api-version=2022-09-01";
    for from in 1..4 {
        let asked = rig.https.send_from(from, "GET", "localhost", path, &[], "");
        timeout(&SystemClock, PATIENCE, asked).await.unwrap().expect(200);
    }
    drop(held);
    rig.stop().await;
}

#[tokio::test]
async fn a_stop_ends_what_is_behind_an_upgrade() {
    let plant = Plant::build().await;
    device(&plant, "ws3").await;
    let mut session = upgraded(&plant.rig, &frame(0x82, &connect(&plant, "ws3"))).await;
    session.read_exact(&mut [0; 6]).await.unwrap();
    let mut silent = upgraded(&plant.rig, b"").await;
    timeout(&SystemClock, PATIENCE, plant.rig.stop()).await.unwrap();
    assert_eq!(rest(&mut session).await, [0x88, 2, 0x03, 0xE8]);
    assert!(rest(&mut silent).await.is_empty());
}
