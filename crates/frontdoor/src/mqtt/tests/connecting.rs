//! The first packet, keep-alive, and how connections end.

use super::*;

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
        // No SDK tries for ever what is refused so: modules, and api-versions that nobody knows.
        (
            "d1/m1",
            "hub1.azure-devices.localhost/d1/m1/?api-version=2021-04-12",
            "good",
            ConnectReturnCode::NotAuthorized,
        ),
        (
            "d1",
            "hub1.azure-devices.localhost/d1/?api-version=2031-01-01",
            "good",
            ConnectReturnCode::UnacceptableProtocol,
        ),
        ("d1", "hub1.azure-devices.localhost/d1", "good", ConnectReturnCode::Accepted),
        ("r1", "0ne1/registrations/r1/api-version=2031-01-01", "x", ConnectReturnCode::UnacceptableProtocol),
        ("r1", "0ne2/registrations/r1/api-version=2019-03-31", "x", ConnectReturnCode::NotAuthorized),
    ] {
        assert_eq!(rig.dial().connect(connect(client_id, user, password)).await, code, "{client_id} {user}");
    }
    let mut newer = rig.dial();
    newer.raw(&[0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0, 60, 0, 0, 0]).await;
    assert!(matches!(
        newer.receive().await,
        Some(Packet::ConnAck(ConnAck { code: ConnectReturnCode::UnacceptableProtocol, .. }))
    ));
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
    let started = SystemClock.monotonic();
    let mut client = rig.dial_until(started + Duration::from_millis(100));
    client.raw(&[0x10, 60, 0, 4, b'M']).await;
    assert_eq!(client.receive().await, None);
    assert!(SystemClock.monotonic().since(started) >= Duration::from_millis(100));
}

#[tokio::test]
async fn a_silent_device_is_dropped_after_one_and_a_half_keep_alives() {
    let rig = Rig::new(0);
    let mut client = rig.dial();
    let mut hasty = connect("d1", HUB_USER, "good");
    hasty.keep_alive_seconds = 1;
    assert_eq!(client.connect(hasty).await, ConnectReturnCode::Accepted);
    SystemClock.sleep(Duration::from_millis(1000)).await;
    client.send(&[Packet::PingReq]).await;
    assert_eq!(client.receive().await, Some(Packet::PingResp));
    let last_sign = SystemClock.monotonic();
    assert_eq!(client.receive().await, None);
    let silent = SystemClock.monotonic().since(last_sign);
    assert!(silent >= Duration::from_millis(1400), "{silent:?}");
}

#[tokio::test]
async fn offences_close_the_connection() {
    let rig = Rig::new(9);
    let qos2 = Packet::Publish(Publish {
        dup: false,
        qos: QoS::ExactlyOnce,
        retain: false,
        topic: EVENTS.into(),
        packet_id: Some(1),
        payload: Bytes::new(),
    });
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
async fn stopping_stores_what_was_read_and_closes() {
    let rig = Rig::new(0);
    let mut client = rig.device().await;
    client.send(&[publish(EVENTS, "x", Some(1)), Packet::PingReq]).await;
    assert_eq!(client.receive().await, Some(Packet::PingResp));
    rig.stop.send(true).unwrap();
    rig.gate.requests.permits.add_permits(1);
    assert_eq!(client.receive().await, Some(Packet::PubAck(1)));
    assert_eq!(client.receive().await, None);
    assert_eq!(rig.stored(), ["x"]);
}
