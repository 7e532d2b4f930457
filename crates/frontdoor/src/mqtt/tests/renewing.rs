//! Certificate requests: who is answered what, and when an outcome is withheld, delivered and done with.

use super::*;
use ferrohub_model::renewal::RenewalFailure;

const USER: &str = "hub1.azure-devices.localhost/d1/?api-version=2025-08-01-preview";
const FILTER: &str = "$iothub/credentials/res/#";
const TOPIC: &str = "$iothub/credentials/POST/issueCertificate/?$rid=";

fn ask(rid: &str, body: &str) -> Packet {
    publish(&format!("{TOPIC}{rid}"), body, Some(1))
}

fn ended(rid: &str, id: u128) -> RenewalEnded {
    let outcome = Ok(vec!["TEVBRg==".into(), "SUNB".into(), "Uk9PVA==".into()]);
    RenewalEnded { request_id: rid.into(), correlation_id: Uuid::from_u128(id), outcome }
}

async fn device(rig: &Rig, clean: bool) -> Client {
    let mut client = rig.dial();
    let connect = Connect { clean_session: clean, ..connect("d1", USER, "good") };
    assert_eq!(client.connect(connect).await, ConnectReturnCode::Accepted);
    client
}

impl Client {
    async fn acknowledged(&mut self) {
        assert_eq!(self.receive().await, Some(Packet::PubAck(1)));
    }

    /// Nothing else is on its way.
    async fn silent(&mut self) {
        self.send(&[Packet::PingReq]).await;
        assert_eq!(self.receive().await, Some(Packet::PingResp));
    }
}

#[tokio::test]
async fn answers() {
    let rig = Rig::new(0);
    let mut client = device(&rig, true).await;
    client.send(&[ask("abcd", "{}")]).await;
    client.acknowledged().await;
    client.silent().await;
    assert!(rig.gate.requests.renewals.asked.lock().unwrap().is_empty(), "nobody listens: nothing is done");
    client.subscribe(&[FILTER]).await;
    client.send(&[publish("$iothub/credentials/POST/issueCertificate/", "{}", Some(1))]).await;
    client.acknowledged().await;
    client.silent().await;
    assert!(rig.gate.requests.renewals.asked.lock().unwrap().is_empty(), "there is no request id");

    for (body, status, code) in [("", 400, 400_004), ("{", 400, 400_006), (r#"{"replace": "none"}"#, 412, 412_001)] {
        client.send(&[ask("ab-1", body)]).await;
        client.acknowledged().await;
        let (topic, answer) = client.delivered().await;
        assert_eq!(topic, format!("$iothub/credentials/res/{status}/?$rid=ab-1"));
        assert_eq!(answer["errorCode"], code, "{answer}");
    }
    client.send(&[ask("ab-1", r#"{"replace": "full"}"#)]).await;
    client.acknowledged().await;
    let (topic, answer) = client.delivered().await;
    assert_eq!(topic, "$iothub/credentials/res/429/?$rid=ab-1");
    assert_eq!((&answer["errorCode"], &answer["retryAfter"]), (&json!(429_002), &json!(5)), "{answer}");
    client.send(&[ask("ab-2", r#"{"id": "d1"}"#)]).await;
    client.acknowledged().await;
    let (topic, answer) = client.delivered().await;
    assert_eq!(topic, "$iothub/credentials/res/202/?$rid=ab-2");
    assert_eq!(answer, json!({"correlationId": Uuid::nil(), "operationExpires": "2026-01-31T12:52:20.565000000Z"}));
    assert_eq!(rig.gate.requests.renewals.asked.lock().unwrap().last().unwrap(), &("ab-2".into(), json!({"id": "d1"})));
}

#[tokio::test]
async fn an_older_version_does_not_know_them() {
    let rig = Rig::new(0);
    let mut client = rig.device().await;
    client.subscribe(&[FILTER]).await;
    client.send(&[ask("abcd", "{}")]).await;
    client.acknowledged().await;
    let (topic, answer) = client.delivered().await;
    assert_eq!((topic.as_str(), &answer["errorCode"]), ("$iothub/credentials/res/400/?$rid=abcd", &json!(400_001)));
    assert!(answer["message"].as_str().unwrap().contains("2025-08-01-preview"), "{answer}");
}

#[tokio::test]
async fn an_outcome_is_withheld_until_somebody_listens_and_done_with_once_it_arrived() {
    let rig = Rig::new(1);
    let renewals = &rig.gate.requests.renewals;
    let mut client = device(&rig, true).await;
    client.subscribe(&[FILTER]).await;
    client.send(&[Packet::Unsubscribe(Unsubscribe { packet_id: 4, filters: vec![FILTER.into()] })]).await;
    assert_eq!(client.receive().await, Some(Packet::UnsubAck(4)));
    renewals.ended.lock().unwrap().push(ended("abcd", 1));
    rig.events.send(SessionEvent::Renewed { ended: vec![ended("abcd", 1)] }).unwrap();
    client.silent().await;
    client.subscribe(&[FILTER]).await;
    let (topic, answer) = client.delivered().await;
    assert_eq!(topic, "$iothub/credentials/res/200/?$rid=abcd");
    let chain = json!(["TEVBRg==", "SUNB", "Uk9PVA=="]);
    assert_eq!(answer, json!({"correlationId": Uuid::from_u128(1), "certificates": chain}));

    // The notice comes late, and telemetry is no reason to write anything.
    rig.events.send(SessionEvent::Renewed { ended: vec![ended("abcd", 1)] }).unwrap();
    client.send(&[publish(EVENTS, "x", Some(1))]).await;
    client.acknowledged().await;
    assert!(renewals.delivered.lock().unwrap().is_empty());
    client.silent().await;
    assert_eq!(*renewals.delivered.lock().unwrap(), [Uuid::from_u128(1)]);
    client.subscribe(&[FILTER]).await;
    client.silent().await;
}

#[tokio::test]
async fn what_did_not_arrive_is_delivered_again() {
    let rig = Rig::new(0);
    rig.gate.requests.renewals.ended.lock().unwrap().push(ended("abcd", 1));
    for _ in 0..2 {
        let mut client = device(&rig, true).await;
        client.subscribe(&[FILTER]).await;
        assert_eq!(client.delivered().await.0, "$iothub/credentials/res/200/?$rid=abcd");
        // The connection breaks.
        drop(client);
    }
    let mut client = device(&rig, true).await;
    client.subscribe(&[FILTER]).await;
    client.delivered().await;
    client.send(&[Packet::Disconnect]).await;
    assert_eq!(client.receive().await, None);
    assert_eq!(
        *rig.gate.requests.renewals.delivered.lock().unwrap(),
        [Uuid::from_u128(1)],
        "a farewell shows life too"
    );
}

#[tokio::test]
async fn a_remembered_subscription_hears_of_it_and_of_a_failure() {
    let rig = Rig::new(0);
    let mut client = device(&rig, false).await;
    client.subscribe(&[FILTER]).await;
    client.send(&[Packet::Disconnect]).await;
    assert_eq!(client.receive().await, None);
    let (events, receiver) = mpsc::unbounded_channel();
    *rig.gate.events.lock().unwrap() = Some(receiver);
    let failure = RenewalFailure {
        status: 400,
        code: 400_037,
        message: "no request".into(),
        credential: Some(("400000".into(), "no request".into())),
        retry_after_seconds: None,
    };
    let failed = RenewalEnded { outcome: Err(failure), ..ended("abcd", 7) };
    events.send(SessionEvent::Renewed { ended: vec![failed] }).unwrap();
    let mut client = device(&rig, false).await;
    let (topic, answer) = client.delivered().await;
    assert_eq!(topic, "$iothub/credentials/res/400/?$rid=abcd");
    assert_eq!((&answer["errorCode"], &answer["info"]["credentialError"]), (&json!(400_037), &json!("400000")));
    assert_eq!(answer["info"]["correlationId"], json!(Uuid::from_u128(7)));
    assert!(answer["info"].get("requestId").is_none(), "clients take that for a conflict");
}
