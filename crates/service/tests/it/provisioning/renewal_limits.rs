//! What a renewal at the hub is bounded by: how long its outcome is kept, and how many wait at a hub.

use super::renewing::{Plant, ask, ended, subscribed};
use super::world::World;
use crate::installation::let_time_pass;
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::{Clock as _, ManualClock, timeout};
use ferrohub_model::limits::{REGISTRATION_BURST, RENEWALS_WAITING};
use ferrohub_model::renewal::Renewals;
use ferrohub_service::tables::RENEWALS;
use ferrohub_service::worker;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// For how long an outcome is kept for its device (reference/certificates.md section 3).
const KEPT: Duration = Duration::from_secs(12 * 3600);
const MINUTE: Duration = Duration::from_secs(60);
/// Longest wait for what is done in the background.
const PATIENCE: Duration = Duration::from_secs(60);

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new("2026-11-20T10:00:00Z".parse().unwrap()))
}

/// The operations of each device that has some.
async fn operations(plant: &Plant) -> Vec<Renewals> {
    plant.world.rows(&RENEWALS).await.iter().map(|row| row.parse::<Renewals>().unwrap().as_ref().clone()).collect()
}

/// Waits until `there` says so.
async fn until(what: &str, there: impl AsyncFn() -> bool) {
    let waiting = async {
        while !there().await {
            SystemClock.sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(&SystemClock, PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_is_kept_for_twelve_hours_and_swept_after_them() {
    let clock = clock();
    let plant = Plant::of(World::timed(clock.clone()).await).await;
    let_time_pass(&clock);
    let (early, late) = (plant.chain("d1").await, plant.chain("d2").await);
    let session = plant.connect("d1", &early).await;
    let asked = clock.now();
    let accepted = ask(&session, "rid-1", &plant.body("d1")).await.unwrap();
    let kept = accepted.expires.duration_since(asked).unsigned_abs();
    assert!((KEPT..KEPT + MINUTE).contains(&kept), "the device is told that it has {kept:?}");
    drop(session);
    let first = ended(&mut subscribed(&plant, "d1", &early).await).await;
    assert!(first.outcome.is_ok());

    clock.advance(KEPT - 10 * MINUTE);
    assert_eq!(ended(&mut subscribed(&plant, "d1", &early).await).await, first, "nobody said that the device has it");
    let session = plant.connect("d2", &late).await;
    ask(&session, "rid-2", &plant.body("d2")).await.unwrap();
    drop(session);
    clock.advance(20 * MINUTE);
    let mut session = subscribed(&plant, "d1", &early).await;
    let waited = timeout(&SystemClock, Duration::from_millis(1500), session.next_event()).await;
    assert!(waited.is_err(), "its time is over: {waited:?}");
    assert!(session.connection().ended_renewals().await.unwrap().is_empty());
    assert_eq!(operations(&plant).await.len(), 2, "nobody has swept so far");
    assert_eq!(ended(&mut subscribed(&plant, "d2", &late).await).await.request_id, "rid-2", "this one still waits");

    let (stop, stopped) = watch::channel(false);
    let worker = tokio::spawn(worker::run(Arc::clone(plant.world.platform()), stopped));
    until("the sweep takes what has run out", async || operations(&plant).await.len() < 2).await;
    stop.send(true).unwrap();
    worker.await.unwrap();
    let left = operations(&plant).await;
    assert_eq!((left.len(), left[0].operations[0].request_id.as_str()), (1, "rid-2"));
    let again = ask(&session, "rid-1", &plant.body("d1")).await.unwrap();
    assert_ne!(again.correlation_id, accepted.correlation_id, "what has run out is not known any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_carried_out_in_twelve_hours_is_dropped() {
    // Time stands still, and so the operation stays pending.
    let clock = clock();
    let plant = Plant::of(World::timed(clock.clone()).await).await;
    let chain = plant.chain("d1").await;
    let session = plant.connect("d1", &chain).await;
    ask(&session, "rid-1", &plant.body("d1")).await.unwrap();
    assert!(operations(&plant).await[0].operations[0].is_pending());
    clock.advance(KEPT + MINUTE);
    // Who is to carry it out may not have begun to wait for its turn before that.
    let_time_pass(&clock);
    until("the operation is dropped", async || operations(&plant).await[0].operations.is_empty()).await;
    assert_eq!(plant.world.certificates("issued").await, 1, "nothing was issued so late");
    assert!(session.connection().ended_renewals().await.unwrap().is_empty());
    ask(&session, "rid-2", &plant.body("d1")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_with_too_many_renewals_refuses_more_until_some_are_done() {
    // Time stands still, so what is accepted waits.
    let clock = clock();
    let plant = Plant::of(World::timed(clock.clone()).await).await;
    // Places are those of one process.
    let hubs = plant.world.hubs();
    // A device may ask a number of times at once, so some that each replace what they asked for fill all the places.
    let each = usize::try_from(REGISTRATION_BURST).unwrap();
    let mut devices = Vec::new();
    for number in 0..=RENEWALS_WAITING.div_ceil(each) {
        let id = format!("d{number}");
        let chain = plant.chain(&id).await;
        let mut body = plant.body(&id);
        body["replace"] = json!("*");
        devices.push((hubs.connect(plant.login(&id, &chain)).await.unwrap(), body));
    }
    let (last, body) = devices.pop().unwrap();
    let fill = devices.iter().enumerate().map(async |(place, (session, body))| {
        for number in 0..each.min(RENEWALS_WAITING - place * each) {
            ask(session, &format!("rid-{number}"), body).await.unwrap();
        }
    });
    futures_util::future::join_all(fill).await;
    let (code, refused) = ask(&last, "rid-1", &body).await.unwrap_err();
    assert_eq!((code, refused.error.http_status(), refused.info), (429_002, 429, None));
    assert!(refused.error.retry_after_seconds.is_some_and(|seconds| seconds > 0), "{}", refused.error);
    assert!(refused.error.message.contains(&RENEWALS_WAITING.to_string()), "{}", refused.error);
    assert_eq!(operations(&plant).await.len(), devices.len(), "what is refused leaves nothing behind");
    let_time_pass(&clock);
    until("places become free", async || ask(&last, "rid-1", &body).await.is_ok()).await;
}
