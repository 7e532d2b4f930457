//! Requests that are answered: twin, registration.

use super::*;

#[tokio::test]
async fn twin_requests_are_answered_once_subscribed() {
    let rig = Rig::new(0);
    let mut client = rig.device().await;
    client.send(&[publish("$iothub/twin/GET/?$rid=0", "", Some(1))]).await;
    assert_eq!(client.receive().await, Some(Packet::PubAck(1)));
    let codes = client
        .subscribe(&[
            "$iothub/twin/res/#",
            "devices/d1/messages/devicebound/#",
            "devices/+/messages/devicebound/#",
            "$iothub/methods/POST/#",
            "devices/d2/messages/devicebound/#",
            "x/#",
        ])
        .await;
    let (granted, refused) = (SubAckCode::Granted(QoS::AtLeastOnce), SubAckCode::Failure);
    assert_eq!(codes, [granted, granted, granted, refused, refused, refused]);
    client.send(&[publish("$iothub/twin/GET/?$rid=a", "", None)]).await;
    assert_eq!(
        client.delivered().await,
        ("$iothub/twin/res/200/?$rid=a".into(), json!({"desired": {"$version": 1}, "reported": {"$version": 1}}))
    );
    client.send(&[publish("$iothub/twin/PATCH/properties/reported/?$rid=b", r#"{"t":1}"#, None)]).await;
    assert_eq!(client.delivered().await, ("$iothub/twin/res/204/?$rid=b&$version=2".into(), Value::Null));
    for (rid, body) in [("c", "[1]"), ("d", "{")] {
        client.send(&[publish(&format!("$iothub/twin/PATCH/properties/reported/?$rid={rid}"), body, None)]).await;
        let (topic, answer) = client.delivered().await;
        assert_eq!(topic, format!("$iothub/twin/res/400/?$rid={rid}"));
        assert!(answer["message"].is_string() && answer["trackingId"].is_string(), "{answer}");
    }
    for (rid, version, status) in [("e", "7", 412), ("f", "x", 400), ("g", "-1", 400), ("h", "1", 204), ("i", "", 204)]
    {
        let topic = format!("$iothub/twin/PATCH/properties/reported/?$rid={rid}&$version={version}");
        client.send(&[publish(&topic, r#"{"t":1}"#, None)]).await;
        let (topic, answer) = client.delivered().await;
        assert!(topic.starts_with(&format!("$iothub/twin/res/{status}/?$rid={rid}")), "{topic} {answer}");
        if status == 412 {
            assert_eq!(answer["errorCode"], 412_001);
        }
    }
    let taken = [json!({"t": 1}), json!({"t": 1}), json!({"t": 1})];
    assert_eq!(*rig.gate.requests.reported.lock().unwrap(), taken);
}

#[tokio::test]
async fn desired_changes_and_the_end_of_the_session() {
    let rig = Rig::new(0);
    let mut client = rig.device().await;
    client.subscribe(&["$iothub/twin/PATCH/properties/desired/#"]).await;
    rig.events.send(SessionEvent::Desired { version: 4, patch: json!({"a": 1, "$version": 4}) }).unwrap();
    assert_eq!(
        client.delivered().await,
        ("$iothub/twin/PATCH/properties/desired/?$version=4".into(), json!({"a": 1, "$version": 4}))
    );
    rig.events.send(SessionEvent::Closed { reason: CloseReason::Replaced }).unwrap();
    assert_eq!(client.receive().await, None);
}

#[tokio::test]
async fn registration_over_mqtt() {
    let rig = Rig::new(0);
    let mut client = rig.dial();
    let user = "0ne1/registrations/r1/api-version=2025-07-01-preview&ClientVersion=x";
    assert_eq!(client.connect(connect("r1", user, "sas")).await, ConnectReturnCode::Accepted);
    assert_eq!(
        client.subscribe(&["$dps/registrations/res/#", "#"]).await,
        [SubAckCode::Granted(QoS::AtLeastOnce), SubAckCode::Failure]
    );
    client
        .send(&[publish(
            "$dps/registrations/PUT/iotdps-register/?$rid=1",
            r#"{"registrationId":"r1","csr":"AA=="}"#,
            Some(1),
        )])
        .await;
    assert_eq!(client.receive().await, Some(Packet::PubAck(1)));
    let (topic, body) = client.delivered().await;
    assert_eq!(topic, "$dps/registrations/res/202/?$rid=1&retry-after=3");
    assert_eq!(body["operationId"], "op1");
    client
        .send(&[publish("$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=op1", " ", Some(2))])
        .await;
    assert_eq!(client.receive().await, Some(Packet::PubAck(2)));
    let (topic, body) = client.delivered().await;
    assert_eq!((topic.as_str(), &body["status"]), ("$dps/registrations/res/200/?$rid=2", &json!("assigned")));
    client
        .send(&[publish("$dps/registrations/GET/iotdps-get-operationstatus/?$rid=3&operationId=op9", "", None)])
        .await;
    let (topic, body) = client.delivered().await;
    assert_eq!((topic.as_str(), &body["errorCode"]), ("$dps/registrations/res/404/?$rid=3", &json!(404_202)));
    client.send(&[publish("$dps/registrations/PUT/iotdps-register/?$rid=4", "{", None)]).await;
    assert_eq!(client.delivered().await.0, "$dps/registrations/res/400/?$rid=4");
    let registered = rig.gate.registered.lock().unwrap().clone();
    assert_eq!(registered.len(), 1);
    assert_eq!(
        (registered[0].csr.as_deref(), registered[0].api_version.as_deref()),
        (Some("AA=="), Some("2025-07-01-preview"))
    );
    client.send(&[publish("devices/r1/messages/events/", "x", None)]).await;
    assert_eq!(client.receive().await, None);
}

#[tokio::test]
async fn a_device_that_does_not_read_gets_no_answers_piled_up() {
    let rig = Rig::new(0);
    let requests = &rig.gate.requests;
    requests.twin.0.store(30_000, Ordering::Relaxed);
    let mut client = rig.device().await;
    client.subscribe(&["$iothub/twin/res/#"]).await;
    let asked = 400;
    let packets: Vec<Packet> = (0..asked).map(|_| publish("$iothub/twin/GET/?$rid=1", "", None)).collect();
    client.send(&packets).await;
    // The pipe takes 1 MiB; a quarter of one may wait behind it.
    let settled = async {
        let mut before = usize::MAX;
        loop {
            let reads = requests.twin.1.load(Ordering::Relaxed);
            if reads > 0 && reads == before {
                return reads;
            }
            before = reads;
            SystemClock.sleep(Duration::from_millis(300)).await;
        }
    };
    let reads = settled.await;
    assert!(reads < 60, "{reads} answers for a device that reads none");
    for _ in 0..asked {
        assert_eq!(client.delivered().await.0, "$iothub/twin/res/200/?$rid=1");
    }
}

#[tokio::test]
async fn a_device_has_few_connections_to_its_provisioning_service() {
    let rig = Rig::new(0);
    let user = "0ne1/registrations/dev/api-version=2019-03-31";
    let mut clients = Vec::new();
    for _ in 0..=limits::CONNECTIONS_OF_APPLICANT {
        let mut client = rig.dial();
        assert_eq!(client.connect(connect("dev", user, "any")).await, ConnectReturnCode::Accepted);
        clients.push(client);
    }
    let mut oldest = clients.remove(0);
    assert_eq!(oldest.receive().await, None, "the oldest is closed");
    for client in &mut clients {
        client.send(&[Packet::PingReq]).await;
        assert_eq!(client.receive().await, Some(Packet::PingResp));
    }
}

#[tokio::test]
async fn a_device_that_does_not_read_cannot_hold_on_to_its_connection() {
    let rig = Rig::new(0);
    rig.gate.requests.twin.0.store(30_000, Ordering::Relaxed);
    let mut client = rig.device().await;
    client.subscribe(&["$iothub/twin/res/#"]).await;
    let packets: Vec<Packet> = (0..400).map(|_| publish("$iothub/twin/GET/?$rid=1", "", None)).collect();
    client.send(&packets).await;
    while rig.gate.requests.twin.1.load(Ordering::Relaxed) < 36 {
        SystemClock.sleep(Duration::from_millis(20)).await;
    }
    rig.events.send(SessionEvent::Closed { reason: CloseReason::Disabled }).unwrap();
    // Sooner than a peer must take what is written to it.
    let ended = ferrohub_model::clock::timeout(&SystemClock, limits::MQTT_WRITE_TIMEOUT / 3, rig.events.closed()).await;
    assert!(ended.is_ok(), "the connection of a disabled device is still there");
}
