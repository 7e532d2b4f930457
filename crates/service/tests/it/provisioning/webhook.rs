//! Custom allocation: what a webhook is asked, what its answers come to, and the policies beside it.

use super::world::World;
use crate::owner::DPS_API;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::{Clock, ManualClock};
use ferrohub_service::provisioning::EnrollmentKind::Group;
use ferrohub_service::provisioning::{
    DeviceCaller, ProvisioningService, RegisterRequest, WEBHOOK_PATIENCE, WEBHOOK_TRIES, WebhookFault, Webhooks,
};
use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

const URL: &str = "https://hooks.example.com/allocate?code=hunter2";

/// What is answered; nothing where the answer never comes.
type Scripted = Option<Result<Vec<u8>, WebhookFault>>;

/// A webhook that answers what it is told to, and remembers what it was asked.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Scripted>>,
    asked: Mutex<Vec<(String, Value)>>,
}

impl Script {
    fn say(&self, answer: Result<Value, WebhookFault>) {
        let answer = answer.map(|body| match body {
            Value::String(text) => text.into_bytes(),
            body => body.to_string().into_bytes(),
        });
        self.answers.lock().unwrap().push_back(Some(answer));
    }

    /// The next one never comes.
    fn hang(&self) {
        self.answers.lock().unwrap().push_back(None);
    }

    fn asked(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

#[async_trait]
impl Webhooks for Script {
    fn check(&self, url: &str) -> Result<(), String> {
        if url.starts_with("https://hooks.example.com/") { Ok(()) } else { Err("it is not on the list".into()) }
    }

    async fn post(&self, url: &str, body: Vec<u8>) -> Result<Vec<u8>, WebhookFault> {
        self.asked.lock().unwrap().push((url.to_owned(), serde_json::from_slice(&body).unwrap()));
        let next = self.answers.lock().unwrap().pop_front().expect("nobody said what to answer");
        match next {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

struct Plant {
    world: World,
    script: Arc<Script>,
    service: ProvisioningService,
    key: Vec<u8>,
}

impl Plant {
    /// Two linked hubs and a group that asks the webhook.
    async fn new(extra: Value) -> Self {
        Self::of(World::new().await, extra).await
    }

    async fn of(world: World, extra: Value) -> Self {
        let script = Arc::new(Script::default());
        let service = world.elsewhere().with_webhooks(Some(script.clone()));
        world.write_hub("hub2", true).await;
        world.link(&["hub1", "hub2"]).await;
        let plant = Self { world, script, service, key: Vec::new() };
        plant.put(extra).await.unwrap();
        let dps = plant.world.dps().await;
        let keys = plant.service.attestation_mechanism(&plant.world.caller().await, &dps, Group, "g").await.unwrap();
        let key = STANDARD.decode(keys["symmetricKey"]["primaryKey"].as_str().unwrap()).unwrap();
        Self { key, ..plant }
    }

    async fn put(&self, extra: Value) -> ferrohub_model::error::Result<Value> {
        let mut body = json!({
            "enrollmentGroupId": "g", "attestation": {"type": "symmetricKey", "symmetricKey": {}},
            "allocationPolicy": "custom",
            "customAllocationDefinition": {"webhookUrl": URL, "apiVersion": "2019-03-31"},
            "initialTwin": {"tags": {"from": "enrollment"}}
        });
        for (name, value) in extra.as_object().unwrap() {
            body[name] = value.clone();
        }
        let (actor, dps) = (self.world.caller().await, self.world.dps().await);
        let there = self.service.enrollment(&actor, &dps, Group, "g").await.is_ok();
        self.service.put_enrollment(&actor, &dps, Group, "g", &body, there.then_some("*")).await
    }

    async fn register(&self, payload: Option<Value>) -> Value {
        let request = RegisterRequest { payload, ..self.world.request(&self.key, "d1", None) };
        let first = self.service.register(request.clone()).await.unwrap();
        let caller = DeviceCaller {
            id_scope: &request.id_scope,
            registration_id: "d1",
            api_version: None,
            authorization: request.authorization.as_deref(),
            peer_chain: &[],
            peer: Default::default(),
        };
        self.service.operation_status(caller, &first.operation_id).await.unwrap().body["registrationState"].take()
    }

    /// The twin's tags at a hub; null where it has no such device.
    async fn tags(&self, hub: &str) -> Value {
        let hub = self.world.hubs().by_host(&host(hub)).await.unwrap();
        let store = self.world.platform().store.as_ref();
        let Some(device) = ferrohub_service::hub::identity::load(store, hub.uid, "d1").await.unwrap() else {
            return Value::Null;
        };
        let twin = ferrohub_service::hub::twins::load(store, device.device.uid).await.unwrap().unwrap();
        json!(twin.twin.tags)
    }
}

fn host(hub: &str) -> String {
    format!("{hub}.azure-devices.localhost")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_decides_and_its_words_reach_the_device() {
    let plant = Plant::new(json!({})).await;
    plant.script.say(Ok(json!({
        "iotHubHostName": host("HUB2"), "initialTwin": {"tags": {"from": "webhook"}, "properties": {"desired": {"a": 1}}},
        "payload": {"welcome": [1, 2]}
    })));
    let state = plant.register(Some(json!({"model": "m1"}))).await;
    assert_eq!(
        (&state["assignedHub"], &state["payload"]),
        (&json!(host("hub2")), &json!({"welcome": [1, 2]})),
        "{state}"
    );
    assert_eq!(plant.tags("hub2").await, json!({"from": "webhook"}));
    let asked = plant.script.asked();
    let [(url, body)] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(url, &format!("{URL}&api-version=2019-03-31"));
    assert_eq!(body["linkedHubs"], json!([host("hub1"), host("hub2")]));
    assert_eq!(
        body["deviceRuntimeContext"],
        json!({"registrationId": "d1", "symmetricKey": {}, "payload": {"model": "m1"}})
    );
    assert_eq!(body["enrollmentGroup"]["enrollmentGroupId"], "g");
    assert!(!body.to_string().contains("primaryKey"));
    // Asked again, it may send the device elsewhere; the data go along.
    plant.script.say(Ok(json!({"iotHubHostName": host("hub1")})));
    let state = plant.register(None).await;
    assert_eq!((&state["assignedHub"], &state["substatus"]), (&json!(host("hub1")), &json!("deviceDataMigrated")));
    assert!(state.get("payload").is_none());
    let device = plant.script.asked()[0].1["deviceRuntimeContext"].take();
    assert_eq!((&device["currentIotHubHostName"], &device["currentDeviceId"]), (&json!(host("hub2")), &json!("d1")));
    assert_eq!((plant.tags("hub1").await, plant.tags("hub2").await), (json!({"from": "webhook"}), Value::Null));
    // Reset: the twin begins anew, as the webhook wants it, or else as the enrollment does.
    plant.put(json!({"reprovisionPolicy": {"updateHubAssignment": true, "migrateDeviceData": false}})).await.unwrap();
    plant.script.say(Ok(json!({"iotHubHostName": host("hub2")})));
    assert_eq!(plant.register(None).await["substatus"], "deviceDataReset");
    assert_eq!(plant.tags("hub2").await, json!({"from": "enrollment"}));
    plant.script.say(Ok(json!({"iotHubHostName": host("hub2"), "initialTwin": {"tags": {"again": "webhook"}}})));
    assert_eq!(plant.register(None).await["substatus"], "deviceDataReset");
    assert_eq!(plant.tags("hub2").await, json!({"again": "webhook"}));
    // Never: nobody is asked, and the device stays.
    plant.script.asked();
    plant.put(json!({"reprovisionPolicy": {"updateHubAssignment": false, "migrateDeviceData": false}})).await.unwrap();
    assert_eq!(plant.register(None).await["assignedHub"], json!(host("hub2")));
    assert!(plant.script.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_count_fails_the_registration() {
    let plant = Plant::new(json!({"iotHubs": [host("hub1")]})).await;
    let lasting = |text: &str| Err(WebhookFault::Lasting(text.into()));
    for (answer, word) in [
        (Ok(json!("garbage")), "not JSON"),
        (Ok(json!("")), "not JSON"),
        (Ok(json!([])), "without 'iotHubHostName'"),
        (Ok(json!({"iotHubHostName": 7})), "without 'iotHubHostName'"),
        (Ok(json!({"iotHubHostName": "evil.example.com"})), "none of those"),
        (Ok(json!({"iotHubHostName": host("hub2")})), "none of those"),
        (Ok(json!({"iotHubHostName": host("hub1"), "initialTwin": 7})), "wrong initialTwin"),
        (Ok(json!({"iotHubHostName": host("hub1"), "initialTwin": {"tags": []}})), "wrong initialTwin"),
        (Ok(json!({"iotHubHostName": host("hub1"), "initialTwin": {"x": 1}})), "wrong initialTwin"),
        (lasting("answered with a redirect (302 Found), which is not followed"), "redirect"),
        (lasting("answered with more than 32768 bytes"), "more than"),
    ] {
        plant.script.say(answer);
        let state = plant.register(None).await;
        let message = state["errorMessage"].as_str().unwrap();
        assert_eq!((&state["status"], &state["errorCode"]), (&json!("failed"), &json!(400_207)), "{state}");
        assert!(message.contains(word) && message.starts_with("Custom allocation failed"), "{word}: {message}");
        assert!(!message.contains("hunter2"), "what stands in the URL is for the operator");
        assert_eq!(plant.script.asked().len(), 1, "{word}");
        assert_eq!(plant.tags("hub1").await, Value::Null);
    }
    // What may pass is tried again, so many times.
    for number in 1..=WEBHOOK_TRIES {
        for _ in 1..number {
            plant.script.say(Err(WebhookFault::Passing("answered 503".into())));
        }
        plant.script.say(Ok(json!({"iotHubHostName": host("hub1")})));
        assert_eq!(plant.register(None).await["status"], "assigned");
        assert_eq!(plant.script.asked().len(), number);
    }
    for _ in 0..WEBHOOK_TRIES {
        plant.script.say(Err(WebhookFault::Passing("answered 503".into())));
    }
    let state = plant.register(None).await;
    assert!(state["errorMessage"].as_str().unwrap().contains("answered 503 (3 tries)"), "{state}");
    // What was assigned before stands at the hub.
    assert_ne!(plant.tags("hub1").await, Value::Null);
}

#[tokio::test]
async fn a_webhook_that_hangs_is_not_waited_for() {
    let clock = Arc::new(ManualClock::new("2026-11-20T10:00:00Z".parse().unwrap()));
    let plant = Plant::of(World::timed(clock.clone()).await, json!({})).await;
    (0..WEBHOOK_TRIES).for_each(|_| plant.script.hang());
    let tick = async {
        loop {
            tokio::task::yield_now().await;
            clock.advance(WEBHOOK_PATIENCE / 50);
            SystemClock.sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    let latest = clock.monotonic() + WEBHOOK_PATIENCE * 4;
    let state = tokio::select! {
        state = plant.register(None) => state,
        () = tick => unreachable!("it ticks for ever"),
    };
    assert!(state["errorMessage"].as_str().unwrap().contains("did not answer within 5 seconds"), "{state}");
    assert_eq!(plant.script.asked().len(), WEBHOOK_TRIES);
    assert!(clock.monotonic() < latest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_may_not_be_asked_is_refused_when_it_is_written() {
    let plant = Plant::new(json!({})).await;
    let definition = |url: &str| json!({"customAllocationDefinition": {"webhookUrl": url, "apiVersion": "2019-03-31"}});
    let error = plant.put(definition("https://169.254.169.254/latest")).await.unwrap_err();
    assert!(error.numeric_code() == 400_004 && error.message.contains("not on the list"), "{error}");
    // A server whose configuration names none, be it later.
    let without = plant.world.service();
    let (actor, dps) = (plant.world.caller().await, plant.world.dps().await);
    let mut body = plant.service.enrollment(&actor, &dps, Group, "g").await.unwrap();
    body["provisioningStatus"] = json!("enabled");
    let error = without.put_enrollment(&actor, &dps, Group, "g", &body, Some("*")).await.unwrap_err();
    assert!(error.message.contains("'webhooks' of the configuration"), "{error}");
    let done = plant.world.register_at(without, &plant.key, "d1", None).await;
    let message = done["registrationState"]["errorMessage"].as_str().unwrap();
    assert!(message.contains("'webhooks' of the configuration"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lowest_latency_wins_and_is_looked_at_again() {
    let world = World::new().await;
    world.write_hub("hub2", true).await;
    world.link(&["hub1", "hub2"]).await;
    let tag = async |hub: &str, latency: &str| {
        let mut body = world.owner.get(&world.hub_id(hub), crate::owner::HUB_API).await;
        body["tags"] = json!({"allocationLatencyMs": latency});
        world.owner.ask("PUT", &world.hub_id(hub), crate::owner::HUB_API, Some(body)).await
    };
    let key = world.group("g", json!({"allocationPolicy": "geoLatency"})).await;
    let assigned = async || world.register(&key, "d1", None).await["registrationState"]["assignedHub"].clone();
    tag("hub1", "40").await.unwrap();
    assert_eq!(assigned().await, host("hub1"), "the other one has none");
    tag("hub2", "15").await.unwrap();
    assert_eq!(assigned().await, host("hub2"));
    tag("hub1", "3").await.unwrap();
    assert_eq!(assigned().await, host("hub1"));
    let key = world.group("g", json!({"allocationPolicy": "geoLatency", "reprovisionPolicy": {"updateHubAssignment": false, "migrateDeviceData": false}})).await;
    tag("hub2", "1").await.unwrap();
    let done = world.register(&key, "d1", None).await;
    assert_eq!(done["registrationState"]["assignedHub"], host("hub1"), "it never moves");
    for wrong in ["near", "-1", "60001", ""] {
        let error = tag("hub1", wrong).await.err().unwrap();
        assert_eq!((error.http_status(), error.target.as_deref()), (400, Some("tags.allocationLatencyMs")), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_spread_over_hubs_by_their_weights() {
    const DEVICES: usize = 240;
    let world = World::new().await;
    world.write_hub("hub2", true).await;
    world.link(&["hub1", "hub2"]).await;
    let key = world.group("g", json!({"allocationPolicy": "hashed"})).await;
    for (weights, wave) in [([1, 3], "a"), ([4, 1], "b")] {
        let mut dps = world.owner.get(&world.dps, DPS_API).await;
        for link in dps["properties"]["iotHubs"].as_array_mut().unwrap() {
            link["allocationWeight"] = json!(if link["name"] == host("hub1") { weights[0] } else { weights[1] });
        }
        world.owner.put(&world.dps, DPS_API, dps).await;
        let devices = stream::iter((0..DEVICES).map(|number| format!("{wave}{number}")));
        let assigned = devices.map(async |id| world.register(&key, &id, None).await["registrationState"].clone());
        let states: Vec<Value> = assigned.buffer_unordered(8).collect().await;
        let at = |name: &str| states.iter().filter(|state| state["assignedHub"] == host(name)).count();
        let shares = [at("hub1"), at("hub2")];
        assert_eq!(shares[0] + shares[1], DEVICES, "each has one of the two");
        for (share, weight) in shares.iter().zip(weights) {
            // More than four standard deviations on either side.
            let fair = DEVICES * weight / (weights[0] + weights[1]);
            assert!(share.abs_diff(fair) < DEVICES / 8, "{shares:?} by the weights {weights:?}");
        }
    }
}
