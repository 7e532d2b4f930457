//! Two processes over one store: what one takes away is gone in the other, and they make one installation.

use super::fixture::{HUB, World, bearer, plant};
use ferrohub_clock::SystemClock;
use ferrohub_messaging::Bus;
use ferrohub_messaging::disk::RealDisk;
use ferrohub_messaging_local::{LocalBus, LocalEventLog};
use ferrohub_model::clock::Clock;
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::seal::MasterKey;
use ferrohub_service::arm::types::Types;
use ferrohub_service::arm::{ArmRequest, Engine};
use ferrohub_service::authn::Audience;
use ferrohub_service::authz::{Actor, builtin};
use ferrohub_service::keyring::Keyring;
use ferrohub_service::platform::{Engines, Platform, Settings};
use ferrohub_service::{Service, StartConfig, tables, worker};
use ferrohub_store_sqlite::SqliteStore;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

/// A second process with its worker.
struct Other {
    engine: Engine,
    _stop: watch::Sender<bool>,
}

impl Other {
    async fn beside(world: &World, bus: Arc<dyn Bus>) -> Self {
        let first = &world.platform;
        let engines = Engines {
            store: first.store.clone(),
            log: first.log.clone(),
            bus,
            clock: first.clock.clone(),
            random: first.random.clone(),
            keys: None,
        };
        let keyring = Arc::new(Keyring::new(MasterKey::generate(&SystemRandom), first.random.clone()));
        let settings = Settings { domain: "localhost".into(), pki_url: None };
        let platform = Platform::open(engines, keyring, settings, first.tenancy.clone(), Types::built_in());
        let platform = platform.await.unwrap();
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(worker::run(Arc::clone(&platform), stopped));
        Self { engine: Engine::new(platform), _stop: stop }
    }

    async fn allows(&self, actor: &Actor, path: &str) -> bool {
        let request = ArmRequest {
            method: "GET".into(),
            path: path.into(),
            query: vec![("api-version".into(), HUB.into())],
            body: None,
            if_match: None,
            if_none_match: None,
            actor: actor.clone(),
            base_url: super::fixture::BASE.into(),
            request_id: Uuid::nil(),
            correlation_id: Uuid::nil(),
        };
        self.engine.handle(request).await.is_ok()
    }

    /// Waits until the other process answers so; `pass` is called between two looks.
    async fn comes_to(&self, wanted: bool, actor: &Actor, path: &str, pass: impl Fn()) {
        for _ in 0..500 {
            if self.allows(actor, path).await == wanted {
                return;
            }
            pass();
            SystemClock.sleep(Duration::from_millis(10)).await;
        }
        panic!("the other process still answers {}", !wanted);
    }
}

#[tokio::test]
async fn a_role_taken_away_in_one_process_is_gone_in_the_other() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let stranger = world.stranger().await;
    let told = Other::beside(&world, world.platform.bus.clone()).await;
    // Nothing reaches this one: it has to look for itself.
    let deaf = Other::beside(&world, Arc::new(LocalBus::new())).await;
    let (look, wait) = (|| {}, || world.clock.advance(Duration::from_secs(1)));
    assert!(!told.allows(&stranger, &plant.hub).await && !deaf.allows(&stranger, &plant.hub).await);
    let made = world.assign(stranger.id(), builtin::READER, &plant.hub).await;
    told.comes_to(true, &stranger, &plant.hub, look).await;
    deaf.comes_to(true, &stranger, &plant.hub, wait).await;
    let assignment = made["id"].as_str().unwrap();
    world.send(&world.owner, "DELETE", assignment, "2022-04-01", None).await.unwrap();
    told.comes_to(false, &stranger, &plant.hub, look).await;
    deaf.comes_to(false, &stranger, &plant.hub, wait).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_first_starts_at_once_make_one_installation() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let clock = SystemClock::shared();
        let path = folder.path().join("store.db");
        let store = Arc::new(SqliteStore::open(&path, tables::ALL, clock.clone(), Default::default()).unwrap());
        let log =
            LocalEventLog::open(Arc::new(RealDisk), &folder.path().join("log"), clock.clone(), Default::default());
        let (log, bus) = (Arc::new(log.unwrap()), Arc::new(LocalBus::new()));
        let start = || {
            let engines = Engines {
                store: store.clone(),
                log: log.clone(),
                bus: bus.clone(),
                clock: clock.clone(),
                random: Arc::new(SystemRandom),
                keys: None,
            };
            let config = StartConfig {
                settings: Settings { domain: "localhost".into(), pki_url: None },
                master_key: MasterKey::from_bytes(&[7; 32]).unwrap(),
                owner_file_missing: false,
                types: Types::built_in(),
            };
            tokio::spawn(Service::start(engines, config))
        };
        let (one, other) = tokio::join!(start(), start());
        let (one, other) = (one.unwrap().unwrap(), other.unwrap().unwrap());
        assert_eq!(one.platform.tenancy.tenant_id, other.platform.tenancy.tenant_id);
        assert_eq!((&one.ca_pem, one.server.chain_pem()), (&other.ca_pem, other.server.chain_pem()));
        assert_eq!(one.server.key_pem(), other.server.key_pem());
        let owners: Vec<_> = [&one.owner, &other.owner].into_iter().flatten().collect();
        assert_eq!(owners.len(), 1, "one of them made the owner");
        // A token of either is good at the other: they sign with one key.
        for (from, at) in [(&one.service, &other.service), (&other.service, &one.service)] {
            let token = bearer(from, &owners[0].client_id, &owners[0].client_secret).await;
            at.authn.bearer(Some(&token), Audience::Arm, super::fixture::BASE).await.unwrap();
        }
    }
}
