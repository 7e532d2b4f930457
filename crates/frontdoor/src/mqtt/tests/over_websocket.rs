//! The same connections over WebSocket: bounds that hold for a socket hold for what is carried in frames.

use super::*;
use crate::websocket::WebSocket;
use ferrohub_model::limits::MQTT_WRITE_TIMEOUT;

/// A short frame as a client sends it, with a mask of zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    let head = if length < 126 {
        vec![first, 0x80 | u8::try_from(length).unwrap()]
    } else {
        [&[first, 0xFE][..], &length.to_be_bytes()].concat()
    };
    [&head[..], &[0; 4], payload].concat()
}

fn bytes(packets: &[Packet]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    for packet in packets {
        encode(packet, &mut bytes).unwrap();
    }
    bytes.to_vec()
}

/// Serves a pipe of so many bytes; gives its near end and what ends with the connection.
fn dial(rig: &Rig, room: usize) -> (DuplexStream, tokio::task::JoinHandle<()>) {
    let (near, far) = tokio::io::duplex(room);
    let (mqtt, life) = (rig.mqtt.clone(), rig.life.clone());
    let deadline = SystemClock.monotonic() + Duration::from_secs(limits::CONNECT_TIMEOUT_SECONDS);
    let served = tokio::spawn(async move {
        mqtt.serve(WebSocket::new(far, Bytes::new()), Default::default(), &life, deadline).await;
    });
    (near, served)
}

#[tokio::test(start_paused = true)]
async fn one_that_asks_and_never_reads_is_dropped() {
    let rig = Rig::new(0);
    let (mut near, served) = dial(&rig, 256);
    let hello = [
        Packet::Connect(connect("d1", HUB_USER, "good")),
        Packet::Subscribe(Subscribe {
            packet_id: 1,
            filters: vec![TopicFilter { filter: "$iothub/twin/res/#".into(), qos: QoS::AtMostOnce }],
        }),
    ];
    near.write_all(&frame(0x82, &bytes(&hello))).await.unwrap();
    let begun = SystemClock.monotonic();
    let ask = frame(0x82, &bytes(&[publish("$iothub/twin/GET/?$rid=1", "", None)]));
    let asking = async { while near.write_all(&ask).await.is_ok() {} };
    tokio::join!(asking, async { served.await.unwrap() });
    let lived = SystemClock.monotonic().since(begun);
    assert!(lived >= MQTT_WRITE_TIMEOUT && lived < MQTT_WRITE_TIMEOUT * 2, "{lived:?}");
}

#[tokio::test(start_paused = true)]
async fn pings_of_web_socket_keep_no_session_alive() {
    let rig = Rig::new(0);
    let (mut near, served) = dial(&rig, 1 << 20);
    let mut hello = connect("d1", HUB_USER, "good");
    hello.keep_alive_seconds = 10;
    near.write_all(&frame(0x82, &bytes(&[Packet::Connect(hello)]))).await.unwrap();
    let begun = SystemClock.monotonic();
    let pinging = async {
        while near.write_all(&frame(0x89, b"here")).await.is_ok() {
            SystemClock.sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! { () = pinging => {}, ended = served => ended.unwrap() }
    let lived = SystemClock.monotonic().since(begun);
    assert!((15..25).contains(&lived.as_secs()), "{lived:?}");
}

#[tokio::test(start_paused = true)]
async fn nor_do_they_put_off_the_connect() {
    let rig = Rig::new(0);
    let (mut near, served) = dial(&rig, 1 << 20);
    let begun = SystemClock.monotonic();
    let pinging = async {
        while near.write_all(&frame(0x89, b"wait")).await.is_ok() {
            SystemClock.sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! { () = pinging => {}, ended = served => ended.unwrap() }
    let lived = SystemClock.monotonic().since(begun).as_secs();
    assert!((limits::CONNECT_TIMEOUT_SECONDS..limits::CONNECT_TIMEOUT_SECONDS + 5).contains(&lived), "{lived}");
}
