//! Telemetry on its way to the log.

use super::*;
use ferrohub_model::clock::timeout;

#[tokio::test]
async fn acknowledged_in_order_and_only_when_stored() {
    let rig = Rig::new(0);
    let mut client = rig.device().await;
    client
        .send(&[
            publish(EVENTS, "1", Some(1)),
            publish(EVENTS, "2", None),
            publish(EVENTS, "3", Some(3)),
            Packet::PingReq,
        ])
        .await;
    assert_eq!(client.receive().await, Some(Packet::PingResp), "reading goes on while the log works");
    client.send(&[publish(EVENTS, "4", Some(4)), publish("$iothub/twin/GET/?$rid=7", "", Some(5))]).await;
    let early = timeout(&SystemClock, Duration::from_millis(50), client.receive()).await;
    assert!(early.is_err(), "nothing is acknowledged before it is stored: {early:?}");
    rig.gate.requests.permits.add_permits(10);
    for id in [1, 3, 4, 5] {
        assert_eq!(client.receive().await, Some(Packet::PubAck(id)));
    }
    assert_eq!(rig.stored(), ["1", "2", "3", "4"]);
    assert!(rig.gate.requests.stored.lock().unwrap().len() <= 2, "what waits goes together");
}

#[tokio::test]
async fn properties_reach_the_log() {
    let rig = Rig::new(9);
    let mut client = rig.device().await;
    let Packet::Publish(mut retained) = publish("devices/d1/messages/events/$.ct=a%2Fb&level=hot&flag", "x", Some(1))
    else {
        unreachable!()
    };
    retained.retain = true;
    client.send(&[Packet::Publish(retained)]).await;
    assert_eq!(client.receive().await, Some(Packet::PubAck(1)));
    let stored = rig.gate.requests.stored.lock().unwrap();
    assert_eq!(stored[0][0].system, [("$.ct".into(), "a/b".into())]);
    assert_eq!(
        stored[0][0].application,
        [("level".into(), Some("hot".into())), ("flag".into(), None), ("mqtt-retain".into(), Some("true".into()))]
    );
}

#[tokio::test]
async fn a_full_log_is_waited_for_and_a_broken_one_closes() {
    let rig = Rig::new(100);
    rig.gate.requests.failures.lock().unwrap().extend([Error::unavailable("full", 1), Error::unavailable("full", 1)]);
    let mut client = rig.device().await;
    client.send(&[publish(EVENTS, "kept", Some(1))]).await;
    assert_eq!(client.receive().await, Some(Packet::PubAck(1)));
    assert_eq!(rig.stored(), ["kept"]);
    rig.gate.requests.failures.lock().unwrap().push(Error::internal("disk"));
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
    let early = timeout(&SystemClock, Duration::from_millis(100), client.receive()).await;
    assert!(early.is_err(), "the PINGREQ behind them waits too: {early:?}");
    rig.gate.requests.permits.add_permits(100);
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
async fn the_will_is_stored_unless_the_device_takes_its_leave() {
    for (leave, expected) in [(true, vec![]), (false, vec!["gone"])] {
        let rig = Rig::new(9);
        let mut client = rig.dial();
        let mut with_will = connect("d1", HUB_USER, "good");
        with_will.will = Some(LastWill {
            topic: EVENTS.into(),
            payload: Bytes::from_static(b"gone"),
            qos: QoS::AtLeastOnce,
            retain: false,
        });
        assert_eq!(client.connect(with_will).await, ConnectReturnCode::Accepted);
        if leave {
            client.send(&[Packet::Disconnect]).await;
        }
        client.stream.shutdown().await.unwrap();
        assert_eq!(client.receive().await, None);
        assert_eq!(rig.stored(), expected);
        if !leave {
            let stored = rig.gate.requests.stored.lock().unwrap();
            assert_eq!(stored[0][0].application, [("iothub-MessageType".into(), Some("Will".into()))]);
        }
    }
    let rig = Rig::new(0);
    let mut elsewhere = connect("d1", HUB_USER, "good");
    elsewhere.will =
        Some(LastWill { topic: "lobby".into(), payload: Bytes::new(), qos: QoS::AtMostOnce, retain: false });
    assert_eq!(rig.dial().connect(elsewhere).await, ConnectReturnCode::BadUserNameOrPassword);
}
