//! Two processes over one store: what one takes away is gone in the other, and they make one installation.

use super::fixture::{HUB, World, bearer, plant};
use ferrohub_clock::SystemClock;
use ferrohub_messaging::disk::RealDisk;
use ferrohub_messaging_local::{LocalBus, LocalEventLog};
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::seal::MasterKey;
use ferrohub_service::arm::types::Types;
use ferrohub_service::arm::{ArmRequest, Engine};
use ferrohub_service::authn::Audience;
use ferrohub_service::authz::{Actor, builtin};
use ferrohub_service::keyring::Keyring;
use ferrohub_service::platform::{Engines, Platform, Settings};
use ferrohub_service::{Service, StartConfig, tables};
use ferrohub_store_sqlite::SqliteStore;
use std::sync::Arc;
use uuid::Uuid;

/// A further process over the world's store that hears nothing from the others.
struct Deaf {
    engine: Engine,
}

impl Deaf {
    async fn beside(world: &World) -> Self {
        let first = world.platform();
        let engines = Engines { bus: Arc::new(LocalBus::new()), ..world.engines() };
        let keyring = Arc::new(Keyring::new(MasterKey::generate(&SystemRandom), first.random.clone()));
        let settings = Settings { domain: "localhost".into(), pki_url: None };
        let platform = Platform::open(engines, keyring, settings, first.tenancy.clone(), Types::built_in());
        Self { engine: Engine::new(platform.await.unwrap()) }
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
            client: ferrohub_service::arm::Client::default(),
        };
        self.engine.handle(request).await.is_ok()
    }
}

#[tokio::test]
async fn a_role_taken_away_in_one_process_is_gone_in_the_other() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let stranger = world.stranger().await;
    // Nothing reaches this one: what it knows it has read.
    let deaf = Deaf::beside(&world).await;
    assert!(!deaf.allows(&stranger, &plant.hub).await);
    let made = world.assign(stranger.id(), builtin::READER, &plant.hub).await;
    assert!(deaf.allows(&stranger, &plant.hub).await);
    let assignment = made["id"].as_str().unwrap();
    world.send(&world.owner, "DELETE", assignment, "2022-04-01", None).await.unwrap();
    assert!(!deaf.allows(&stranger, &plant.hub).await);
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
                webhooks: None,
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
            at.authn.bearer(Some(&token), Audience::Arm).await.unwrap();
        }
    }
}
