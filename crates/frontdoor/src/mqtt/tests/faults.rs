//! Faults on demand.

use super::*;

fn ask(fault: &str, delay: &str, more: &str) -> Packet {
    let bag = format!(
        "AzIoTHub_FaultOperationType={fault}&AzIoTHub_FaultOperationCloseReason=boom&AzIoTHub_FaultOperationDelayInSecs={delay}{more}"
    );
    publish(&format!("{EVENTS}{bag}"), "x", Some(1))
}

#[tokio::test]
async fn a_connection_ends_after_the_delay_where_the_hub_allows_it() {
    for fault in ["KillTcp", "ShutDownMqtt"] {
        let rig = Rig::new(9);
        rig.gate.requests.faults.store(true, Ordering::Relaxed);
        let mut client = rig.device().await;
        let asked = SystemClock.monotonic();
        client.send(&[ask(fault, "0.3", ""), publish(EVENTS, "kept", Some(2))]).await;
        assert_eq!(client.receive().await, Some(Packet::PubAck(1)));
        assert_eq!(client.receive().await, Some(Packet::PubAck(2)));
        assert_eq!(client.receive().await, None, "{fault}");
        assert!(SystemClock.monotonic().since(asked) >= Duration::from_millis(300));
        assert_eq!(rig.stored(), ["kept"], "the wish is no telemetry");
        rig.device().await;
    }
}

#[tokio::test]
async fn throttling_holds_what_is_sent_and_loses_nothing() {
    let rig = Rig::new(9);
    rig.gate.requests.faults.store(true, Ordering::Relaxed);
    let mut client = rig.device().await;
    let asked = SystemClock.monotonic();
    client.send(&[ask("InvokeThrottling", "0", "&AzIoTHub_FaultOperationDurationInSecs=0.4")]).await;
    assert_eq!(client.receive().await, Some(Packet::PubAck(1)));
    SystemClock.sleep(Duration::from_millis(100)).await;
    client.send(&[publish(EVENTS, "late", Some(2))]).await;
    assert_eq!(client.receive().await, Some(Packet::PubAck(2)));
    assert!(SystemClock.monotonic().since(asked) >= Duration::from_millis(400));
    assert_eq!(rig.stored(), ["late"]);
}

#[tokio::test]
async fn elsewhere_the_wish_is_telemetry_like_any_other() {
    let rig = Rig::new(9);
    let mut client = rig.device().await;
    client.send(&[ask("KillTcp", "0", ""), Packet::PingReq]).await;
    assert_eq!(client.receive().await, Some(Packet::PingResp));
    assert_eq!(client.receive().await, Some(Packet::PubAck(1)));
    assert_eq!(rig.stored(), ["x"]);
}

#[tokio::test]
async fn a_fault_that_mqtt_does_not_have_is_refused() {
    for wish in [ask("KillAmqpConnection", "0", ""), ask("KillTcp", "later", "")] {
        let rig = Rig::new(9);
        rig.gate.requests.faults.store(true, Ordering::Relaxed);
        let mut client = rig.device().await;
        client.send(&[wish]).await;
        assert_eq!(client.receive().await, None);
        assert!(rig.stored().is_empty());
    }
}
