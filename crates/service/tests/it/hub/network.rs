//! From where a hub is reached, and where messages go that no route has.

use super::fixture::{World, put_hub, request};
use ferrohub_clock::SystemClock;
use ferrohub_messaging::ReadFrom;
use ferrohub_model::clock::timeout;
use ferrohub_model::network::{Peer, Tls};
use ferrohub_service::hub::{CloseReason, DeviceLogin, OpenSession, SessionEvent, Telemetry};
use serde_json::{Value, json};
use std::time::Duration;

const HOME: &str = "10.0.0.7";

fn peer(address: &str, tls: Tls) -> Peer {
    Peer::new(address.parse().unwrap(), tls)
}

fn login(world: &World, key: &str, peer: Peer) -> DeviceLogin {
    DeviceLogin { peer, ..request("d", Some(world.device_token("d", key)), Vec::new()) }
}

async fn set(world: &World, properties: Value) {
    put_hub(world, "hub1", properties.as_object().unwrap().clone()).await;
}

async fn close_reason(session: &mut OpenSession) -> CloseReason {
    match timeout(&SystemClock, Duration::from_secs(10), session.next_event()).await.unwrap() {
        SessionEvent::Closed { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn rules_decide_who_connects_and_who_stays() {
    let world = World::new().await;
    let key = world.sas_device("d").await;
    let session = world.service().connect(login(&world, &key, peer(HOME, Tls::V1_2))).await.unwrap();
    let rule = |action: &str, mask: &str| json!({"filterName": action, "action": action, "ipMask": mask});
    set(&world, json!({"ipFilterRules": [rule("Accept", "10.0.0.0/24"), rule("Reject", "0.0.0.0/0")]})).await;
    session.publish(&[Telemetry::default()]).await.unwrap();
    for (address, welcome) in [(HOME, true), ("::ffff:10.0.0.9", true), ("10.0.1.1", false), ("::1", false)] {
        let met = world.service().connect(login(&world, &key, peer(address, Tls::V1_2))).await;
        let refused = met.err().map(|error| (error.numeric_code(), error.message));
        let text = "The hub 'hub1' cannot be reached from this address.".to_owned();
        assert_eq!(refused, (!welcome).then_some((401_002, text)), "{address}");
        let asked = world.service().by_request(&world.hub.host, None, peer(address, Tls::V1_2)).await;
        assert_eq!(asked.err().map(|error| error.numeric_code()), (!welcome).then_some(401_002), "{address}");
    }
    let mut session = world.service().connect(login(&world, &key, peer(HOME, Tls::V1_2))).await.unwrap();
    set(&world, json!({"ipFilterRules": [rule("Reject", HOME)]})).await;
    assert_eq!(close_reason(&mut session).await, CloseReason::AddressRefused);
    let mut other = world.service().connect(login(&world, &key, peer("::1", Tls::V1_2))).await.unwrap();
    set(&world, json!({"publicNetworkAccess": "Disabled"})).await;
    assert_eq!(close_reason(&mut other).await, CloseReason::AddressRefused);
    for address in [HOME, "::1", "127.0.0.1"] {
        let error = world.service().connect(login(&world, &key, peer(address, Tls::V1_3))).await.err().unwrap();
        assert_eq!(error.numeric_code(), 401_002);
    }
    set(&world, json!({"publicNetworkAccess": "Enabled"})).await;
    world.service().connect(login(&world, &key, peer(HOME, Tls::V1_2))).await.unwrap();
}

#[tokio::test]
async fn a_hub_for_tls_1_3_takes_nothing_older() {
    let world = World::new().await;
    put_hub(&world, "hub2", json!({"minTlsVersion": "1.3"}).as_object().unwrap().clone()).await;
    let strict = "hub2.azure-devices.localhost";
    for (host, tls, welcome) in
        [(strict, Tls::V1_3, true), (strict, Tls::V1_2, false), (world.hub.host.as_str(), Tls::V1_2, true)]
    {
        let met = world.service().by_request(host, None, peer(HOME, tls)).await;
        assert_eq!(met.is_ok(), welcome, "{host} {tls:?}");
        if let Err(error) = met {
            assert!(error.message.contains("TLS 1.3") && error.numeric_code() == 401_002, "{error}");
        }
    }
    let only = async |host: &str| world.service().takes_tls_1_3_only(host).await.unwrap();
    assert!(only(strict).await && !only(&world.hub.host).await && !only("nobody.azure-devices.localhost").await);
}

async fn stored(world: &World) -> usize {
    let mut count = 0;
    for partition in 0..world.hub.partition_count {
        let read = world.service().read_events(&world.caller, &world.hub, partition, ReadFrom::Beginning, 100).await;
        count += read.unwrap().len();
    }
    count
}

#[tokio::test]
async fn without_the_fallback_route_messages_go_nowhere() {
    let world = World::new().await;
    let key = world.sas_device("d").await;
    let mut open = world.connect_sas("d", &key).await;
    open.publish(&[Telemetry::default()]).await.unwrap();
    assert_eq!(stored(&world).await, 1);
    set(&world, json!({"routing": {"fallbackRoute": {"isEnabled": false}}})).await;
    // The open session hears of it with the other changes of its hub.
    let waited = timeout(&SystemClock, Duration::from_millis(200), open.next_event()).await;
    assert!(waited.is_err(), "{waited:?}");
    open.publish(&[Telemetry::default()]).await.unwrap();
    let anew = world.connect_sas("d", &key).await;
    anew.publish(&[Telemetry::default()]).await.unwrap();
    assert_eq!(stored(&world).await, 1);
    let large = Telemetry { payload: vec![0; 300 * 1024].into(), ..Telemetry::default() };
    assert_eq!(anew.publish(&[large]).await.unwrap_err().numeric_code(), 413_001);
    set(&world, json!({"routing": {"fallbackRoute": {"isEnabled": true}}})).await;
    world.connect_sas("d", &key).await.publish(&[Telemetry::default()]).await.unwrap();
    assert_eq!(stored(&world).await, 2);
}
