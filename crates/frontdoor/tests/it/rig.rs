//! An installation in a temporary folder with as many servers as the test binary says, over one store, one log and one bus,
//! and the owner's way of talking to them by turns.

use crate::http_client::{Answer, HttpClient};
use ferrohub_clock::SystemClock;
use ferrohub_frontdoor::{Addresses, Frontdoor, FrontdoorConfig, Ports, Running, ServerIdentity};
use ferrohub_messaging::disk::RealDisk;
use ferrohub_messaging_local::{LocalBus, LocalEventLog};
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::seal::MasterKey;
use ferrohub_service::arm::types::Types;
use ferrohub_service::bootstrap::OwnerCredential;
use ferrohub_service::platform::{Engines, Settings};
use ferrohub_service::{Service, StartConfig, Started, tables};
use ferrohub_store::Store;
use ferrohub_store_sqlite::SqliteStore;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Which of several is asked next. Neither one after the other nor at random: the Thue-Morse sequence is the same in each
/// run, and whoever asks every second time does not always meet the same one.
#[derive(Default)]
pub(crate) struct Turns(AtomicU32);

impl Turns {
    pub(crate) fn next<'a, T>(&self, all: &'a [T]) -> &'a T {
        &all[self.0.fetch_add(1, Ordering::Relaxed).count_ones() as usize % all.len()]
    }
}

/// A server with services of its own.
struct Server {
    service: Arc<Service>,
    running: Running,
}

pub(crate) struct Rig {
    servers: Vec<Server>,
    turns: Turns,
    pub(crate) owner: OwnerCredential,
    pub(crate) ca_pem: String,
    pub(crate) https: HttpClient,
    /// For rows that would take long to come about.
    pub(crate) store: Arc<dyn Store>,
    _folder: tempfile::TempDir,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::with_connections(1000).await
    }

    /// One that has descriptors for so many connections.
    pub(crate) async fn with_connections(connections: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = SystemClock::shared();
        let random = Arc::new(SystemRandom);
        let store =
            SqliteStore::open(&folder.path().join("store.db"), tables::ALL, clock.clone(), Default::default()).unwrap();
        let log =
            LocalEventLog::open(Arc::new(RealDisk), &folder.path().join("log"), clock.clone(), Default::default())
                .unwrap();
        let engines = Engines {
            store: Arc::new(store),
            log: Arc::new(log),
            bus: Arc::new(LocalBus::new()),
            clock,
            random,
            keys: None,
        };
        let mut servers = Vec::new();
        let (mut owner, mut ca_pem) = (None, String::new());
        for _ in 0..crate::PROCESSES {
            let config = StartConfig {
                settings: Settings { domain: "localhost".into(), pki_url: Some("http://localhost:1".into()) },
                master_key: MasterKey::from_bytes(&[42; 32]).unwrap(),
                owner_file_missing: owner.is_none(),
                types: Types::built_in(),
                webhooks: None,
            };
            let started = Service::start(engines.clone(), config).await.unwrap();
            let running = Frontdoor::start(door(&started, connections), started.service.clone()).await.unwrap();
            servers.push(Server { service: started.service, running });
            owner = owner.or(started.owner);
            ca_pem = started.ca_pem;
        }
        let https = HttpClient::new(servers.iter().map(|server| server.running.ports().https).collect(), &ca_pem);
        Self {
            servers,
            turns: Turns::default(),
            owner: owner.unwrap(),
            ca_pem,
            https,
            store: engines.store,
            _folder: folder,
        }
    }

    /// The services of the next server.
    pub(crate) fn service(&self) -> &Arc<Service> {
        &self.turns.next(&self.servers).service
    }

    /// The ports of the next server.
    pub(crate) fn ports(&self) -> Ports {
        self.turns.next(&self.servers).running.ports()
    }

    pub(crate) fn mqtt(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports().mqtt))
    }

    pub(crate) async fn stop(self) {
        for server in self.servers {
            server.running.stop().await;
        }
    }

    /// A token of the owner for Resource Manager.
    pub(crate) async fn token(&self) -> String {
        self.token_of(&self.owner.client_id, &self.owner.client_secret, "https://management.azure.com").await
    }

    /// A token of an application for an audience.
    pub(crate) async fn token_of(&self, client_id: &str, client_secret: &str, audience: &str) -> String {
        let scope = format!("{audience}/.default").replace(':', "%3A").replace('/', "%2F");
        let form =
            format!("grant_type=client_credentials&client_id={client_id}&client_secret={client_secret}&scope={scope}");
        let path = format!("/{}/oauth2/v2.0/token", self.owner.tenant_id);
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let answer = self.https.send("POST", "login.localhost", &path, &headers, form).await;
        answer.expect(200)["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn arm(&self, method: &str, path: &str, version: &str, body: Option<&Value>) -> Answer {
        let bearer = format!("Bearer {}", self.token().await);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let body = body.map(Value::to_string).unwrap_or_default();
        self.https.send(method, "management.localhost", &format!("{path}?api-version={version}"), &headers, body).await
    }
}

/// Listeners on free ports.
fn door(started: &Started, connections: usize) -> FrontdoorConfig {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    FrontdoorConfig {
        addresses: Addresses {
            https: vec![any, "[::1]:0".parse().unwrap()],
            mqtt: vec![any],
            pki: vec![any],
            health: Some(any),
        },
        connections,
        identity: ServerIdentity::from(&started.server),
        metrics: None,
    }
}
