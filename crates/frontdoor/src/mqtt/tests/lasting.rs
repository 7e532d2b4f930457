//! Sessions that outlive their connection.

use super::*;

async fn open(rig: &Rig, clean: bool) -> (Client, bool) {
    let mut client = rig.dial();
    let mut connect = connect("d1", HUB_USER, "good");
    connect.clean_session = clean;
    client.send(&[Packet::Connect(connect)]).await;
    match client.receive().await {
        Some(Packet::ConnAck(ConnAck { session_present, code: ConnectReturnCode::Accepted })) => {
            (client, session_present)
        }
        other => panic!("{other:?}"),
    }
}

async fn answers(client: &mut Client) -> bool {
    client.send(&[publish("$iothub/twin/GET/?$rid=1", "", None), Packet::PingReq]).await;
    match client.receive().await {
        Some(Packet::Publish(publish)) => {
            assert_eq!(publish.topic, "$iothub/twin/res/200/?$rid=1");
            assert_eq!(client.receive().await, Some(Packet::PingResp));
            true
        }
        Some(Packet::PingResp) => false,
        other => panic!("{other:?}"),
    }
}

fn writes(rig: &Rig) -> usize {
    rig.gate.requests.remembered.lock().unwrap().1
}

#[tokio::test]
async fn a_session_that_is_not_clean_goes_on_where_it_ended() {
    let rig = Rig::new(0);
    let (mut first, present) = open(&rig, false).await;
    assert!(!present);
    assert!(!answers(&mut first).await, "nothing is delivered unasked, in a session that is to be kept either");
    first.subscribe(&["$iothub/twin/res/#"]).await;
    assert_eq!(writes(&rig), 1);
    drop(first);
    let (mut second, present) = open(&rig, false).await;
    assert!(present && answers(&mut second).await);
    for _ in 0..10 {
        second.subscribe(&["$iothub/twin/res/#"]).await;
    }
    assert_eq!(writes(&rig), 1, "what changes nothing is not written");
    let filters = vec!["$iothub/twin/res/#".into()];
    second.send(&[Packet::Unsubscribe(Unsubscribe { packet_id: 4, filters })]).await;
    assert_eq!(second.receive().await, Some(Packet::UnsubAck(4)));
    assert_eq!(writes(&rig), 2);
    let (mut third, present) = open(&rig, false).await;
    assert!(present && !answers(&mut third).await);
}

#[tokio::test]
async fn a_clean_session_neither_finds_nor_leaves_anything() {
    let rig = Rig::new(0);
    let (mut client, _) = open(&rig, false).await;
    client.subscribe(&["$iothub/twin/res/#"]).await;
    let (mut client, present) = open(&rig, true).await;
    assert!(!present && !answers(&mut client).await);
    client.subscribe(&["$iothub/twin/res/#"]).await;
    assert!(answers(&mut client).await);
    let (mut client, present) = open(&rig, false).await;
    assert!(!present && !answers(&mut client).await);
}

#[tokio::test]
async fn what_cannot_be_remembered_is_not_acknowledged() {
    let rig = Rig::new(0);
    let (mut client, _) = open(&rig, false).await;
    let fail = |error| *rig.gate.requests.forgetful.lock().unwrap() = Some(error);
    fail(Error::unavailable("busy", 1));
    let codes = client.subscribe(&["$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#"]).await;
    assert_eq!(codes, [SubAckCode::Failure, SubAckCode::Failure]);
    assert!(!answers(&mut client).await, "a refused filter is not in force");
    assert_eq!(client.subscribe(&["$iothub/twin/res/#"]).await, [SubAckCode::Granted(QoS::AtLeastOnce)]);
    assert!(answers(&mut client).await);
    fail(Error::unavailable("busy", 1));
    let filters = vec!["$iothub/twin/res/#".into()];
    client.send(&[Packet::Unsubscribe(Unsubscribe { packet_id: 4, filters })]).await;
    assert_eq!(client.receive().await, None, "UNSUBACK has no word for a refusal");
    let (mut client, present) = open(&rig, false).await;
    assert!(present && answers(&mut client).await);
    fail(Error::not_found("the device was deleted"));
    let filters = vec![TopicFilter { filter: "$iothub/twin/PATCH/properties/desired/#".into(), qos: QoS::AtMostOnce }];
    client.send(&[Packet::Subscribe(Subscribe { packet_id: 9, filters })]).await;
    assert_eq!(client.receive().await, None);
}
