//! The server's own certificate under clocks that stand wrong.

use ferrohub_messaging::disk::RealDisk;
use ferrohub_messaging_local::{LocalBus, LocalEventLog};
use ferrohub_model::clock::{Clock, ManualClock};
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::seal::MasterKey;
use ferrohub_service::arm::types::Types;
use ferrohub_service::platform::{Engines, Settings};
use ferrohub_service::{Service, StartConfig, tables};
use ferrohub_store_sqlite::SqliteStore;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

#[tokio::test]
async fn a_certificate_from_the_future_is_made_anew_and_a_clock_that_is_behind_is_not_obeyed() {
    let folder = tempfile::tempdir().unwrap();
    let right: Timestamp = "2026-11-28T12:00:00Z".parse().unwrap();
    let clock = Arc::new(ManualClock::new(right));
    let store = SqliteStore::open(&folder.path().join("store.db"), tables::ALL, clock.clone(), Default::default());
    let log = LocalEventLog::open(Arc::new(RealDisk), &folder.path().join("log"), clock.clone(), Default::default());
    let engines = Engines {
        store: Arc::new(store.unwrap()),
        log: Arc::new(log.unwrap()),
        bus: Arc::new(LocalBus::new()),
        clock: clock.clone(),
        random: Arc::new(SystemRandom),
        keys: None,
    };
    let start = async |domain: &str, at: Timestamp| {
        clock.set_wall(at);
        let config = StartConfig {
            settings: Settings { domain: domain.into(), pki_url: None },
            master_key: MasterKey::from_bytes(&[7; 32]).unwrap(),
            owner_file_missing: false,
            types: Types::built_in(),
            webhooks: None,
        };
        let started = Service::start(engines.clone(), config).await.unwrap();
        Certificate::from_pem(started.server.chain_pem().split_inclusive("-----END CERTIFICATE-----\n").next().unwrap())
            .unwrap()
    };
    let hours = |hours: i64| right + SignedDuration::from_hours(hours);
    let first = start("localhost", right).await;
    assert_eq!(start("localhost", hours(1)).await, first, "a good one is kept");
    // Another name has one made, under a clock that is eight days ahead.
    let ahead = start("iot.example", hours(8 * 24)).await;
    assert!(ahead.not_before() > hours(2));
    let again = start("iot.example", hours(2)).await;
    assert!(again.not_before() <= hours(2) && again != ahead, "{}", again.not_before());
    // Before the beginning of its own CA nothing better can be made.
    assert_eq!(start("iot.example", hours(-24 * 365)).await, again);
    assert_eq!(clock.now(), hours(-24 * 365));
}
