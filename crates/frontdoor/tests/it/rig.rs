//! A server with its engines in a temporary folder, and the owner's way of talking to it.

use crate::http_client::{Answer, HttpClient};
use ferrohub_clock::SystemClock;
use ferrohub_frontdoor::{Frontdoor, FrontdoorConfig, Running, ServerIdentity};
use ferrohub_messaging::disk::RealDisk;
use ferrohub_messaging_local::{LocalBus, LocalEventLog};
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::seal::MasterKey;
use ferrohub_service::arm::types::Types;
use ferrohub_service::bootstrap::OwnerCredential;
use ferrohub_service::platform::{Engines, Settings};
use ferrohub_service::{Service, StartConfig, tables};
use ferrohub_store_sqlite::SqliteStore;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;

pub(crate) struct Rig {
    pub(crate) service: Arc<Service>,
    pub(crate) running: Running,
    pub(crate) owner: OwnerCredential,
    pub(crate) ca_pem: String,
    pub(crate) https: HttpClient,
    _folder: tempfile::TempDir,
}

impl Rig {
    pub(crate) async fn start() -> Self {
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
            random: random.clone(),
            keys: None,
        };
        let settings = Settings { domain: "localhost".into(), pki_url: Some("http://localhost:1".into()) };
        let config = StartConfig {
            settings,
            master_key: MasterKey::generate(random.as_ref()),
            owner_file_missing: true,
            types: Types::built_in(),
        };
        let started = Service::start(engines, config).await.unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let door = FrontdoorConfig {
            https: vec![any, "[::1]:0".parse().unwrap()],
            mqtt: vec![any],
            pki: vec![any],
            health: Some(any),
            connections: 1000,
            identity: ServerIdentity::from(&started.server),
            metrics: None,
        };
        let running = Frontdoor::start(door, started.service.clone()).await.unwrap();
        let https = HttpClient::new(running.ports().https, &started.ca_pem);
        Self {
            service: started.service,
            running,
            owner: started.owner.unwrap(),
            ca_pem: started.ca_pem,
            https,
            _folder: folder,
        }
    }

    pub(crate) fn mqtt(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.running.ports().mqtt))
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
