//! All services over one platform, as the front door and the binary use them.

use crate::arm::Engine;
use crate::arm::types::Types;
use crate::audit::{self, AuditEvent, AuditOutcome, Kind};
use crate::authn::Authenticator;
use crate::bootstrap::{self, OwnerCredential};
use crate::certificate;
use crate::graph::Graph;
use crate::hub::HubService;
use crate::key_store::Keys;
use crate::keyring::Keyring;
use crate::platform::{Engines, Platform, Retention, Settings, Tenancy};
use crate::provisioning::{ProvisioningService, Webhooks};
use crate::readiness::{NotReady, Readiness};
use crate::repeats::source_of;
use crate::worker;
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::random::Random;
use ferrohub_pki::platform::ServerIdentity;
use ferrohub_pki::seal::MasterKey;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::watch;
use uuid::Uuid;

/// What a start needs to know.
pub struct StartConfig {
    /// Names and addresses.
    pub settings: Settings,
    /// The key under which all secrets are sealed.
    pub master_key: MasterKey,
    /// The resource types to serve; the product's own are [`Types::built_in`].
    pub types: Types,
    /// Whether the owner's credential file is missing, so that a new secret must be made.
    pub owner_file_missing: bool,
    /// The way out to webhooks of custom allocation; without one none is asked.
    pub webhooks: Option<Arc<dyn Webhooks>>,
}

/// The services. A front door holds this value and nothing else, so what it can reach asks for an [`crate::authz::Actor`]
/// or is public; rows it cannot reach at all:
///
/// ```compile_fail
/// fn peek(service: &ferrohub_service::Service) -> &ferrohub_service::platform::Platform {
///     &service.platform
/// }
/// ```
///
/// nor the resource behind a hub or a provisioning service, which it may look for by a host name:
///
/// ```compile_fail
/// fn peek(hub: &ferrohub_service::hub::HubRef) {
///     println!("{:?}", hub.stored);
/// }
/// ```
///
/// and it cannot make an actor up, only prove one:
///
/// ```compile_fail
/// fn forge(principal: ferrohub_model::principal::Principal) -> ferrohub_service::authz::Actor {
///     ferrohub_service::authz::Actor::of(principal)
/// }
/// ```
pub struct Service {
    /// Shared state. Private: it is the key to every row, and whoever holds this value only asks through the services.
    platform: Arc<Platform>,
    readiness: Readiness,
    /// Resource Manager.
    pub arm: Engine,
    /// Tokens.
    pub authn: Arc<Authenticator>,
    /// Directory.
    pub graph: Graph,
    /// Hubs' data plane.
    pub hub: HubService,
    /// Provisioning services' data plane.
    pub provisioning: ProvisioningService,
}

/// What a start hands to the binary beside the services.
pub struct Started {
    /// The services.
    pub service: Arc<Service>,
    /// What the services stand on, for whoever brought the engines.
    pub platform: Arc<Platform>,
    /// The owner's credential, when this start made one.
    pub owner: Option<OwnerCredential>,
    /// Whether this start made the installation.
    pub is_first: bool,
    /// What TLS clients trust, PEM.
    pub ca_pem: String,
    /// The server's certificate and key.
    pub server: ServerIdentity,
}

impl Service {
    /// Opens the installation in the store (the first start makes it) and builds the services.
    ///
    /// # Errors
    /// A wrong master key, a store that fails.
    pub async fn start(engines: Engines, config: StartConfig) -> Result<Started> {
        let keyring = Arc::new(Keyring::new(config.master_key, engines.random.clone()));
        let keys = Keys::new(&engines, Arc::clone(&keyring));
        let names = server_names(&config.settings.domain);
        let mut installation = bootstrap::open(&engines, &keyring, &keys, &names).await?;
        let is_first = installation.owner.is_some();
        if installation.owner.is_none() && config.owner_file_missing {
            installation.owner = match bootstrap::renew_owner(&engines, &installation.tenancy).await {
                Ok(owner) => Some(owner),
                // Nobody becomes Owner by a start: somebody took the founding one away.
                Err(error) if error.kind == ErrorKind::NotFound => {
                    tracing::warn!(
                        "{error} No owner.json is written; to get in, stop the server and run 'ferrohub owner reset'"
                    );
                    None
                }
                Err(error) => return Err(error),
            };
        }
        let platform = Platform::open(engines, keyring, config.settings, installation.tenancy, config.types).await?;
        let authn = Arc::new(Authenticator::new(platform.clone(), installation.signing_key));
        let service = Arc::new(Self {
            arm: Engine::new(platform.clone()),
            hub: HubService::new(platform.clone(), authn.clone()),
            provisioning: ProvisioningService::new(platform.clone(), authn.clone()).with_webhooks(config.webhooks),
            authn,
            graph: Graph::new(platform.clone()),
            platform: platform.clone(),
            readiness: Readiness::default(),
        });
        Ok(Started {
            service,
            platform,
            owner: installation.owner,
            is_first,
            ca_pem: installation.ca_pem,
            server: installation.server,
        })
    }

    /// Time, as the services see it.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.platform.clock
    }

    /// Randomness.
    pub fn random(&self) -> &Arc<dyn Random> {
        &self.platform.random
    }

    /// Names and addresses.
    pub fn settings(&self) -> &Settings {
        &self.platform.settings
    }

    /// Tenant and subscription.
    pub fn tenancy(&self) -> &Tenancy {
        &self.platform.tenancy
    }

    /// Whether store and event log take reads and writes: a row and a file are written to find out, now and then.
    ///
    /// # Errors
    /// Which of them does not, and what it says.
    pub async fn ready(&self) -> Result<(), NotReady> {
        self.readiness.look(&self.platform).await
    }

    /// The certificate of a certificate authority, DER. Public: certificates name where it is.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn ca_certificate(&self, id: Uuid) -> Result<Vec<u8>> {
        certificate::ca_certificate(&self.platform, id).await
    }

    /// The revocation list of a certificate authority, DER. Public: certificates name where it is.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn crl(&self, id: Uuid) -> Result<Vec<u8>> {
        certificate::crl(&self.platform, id).await
    }

    /// Says for how long logs are kept; before the worker runs.
    pub fn keep_logs(&self, retention: Retention) {
        self.platform.keep_logs(retention);
    }

    /// Takes note of somebody who asked for a token, as the front door saw it: a sign-in that went well is an event of its own,
    /// one that did not is counted with its like of the same address.
    pub fn note_sign_in(&self, event: AuditEvent) {
        match (event.status, event.address.clone()) {
            (AuditOutcome::Succeeded, _) => audit::note(&self.platform, event),
            (AuditOutcome::Failed, address) => {
                audit::note_once(&self.platform, &source_of(address.as_deref()), event);
            }
        }
    }

    /// Takes note of a device that was not let in at `host` from `address`, counted with its like of the same address. What
    /// passes by itself is no refusal.
    pub fn note_refused(&self, device: &str, host: &str, address: Option<IpAddr>, error: &Error) {
        if matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Internal) {
            return;
        }
        let event = AuditEvent::new(Kind::ConnectionRefused, device, host).from(address);
        let code = error.numeric_code().to_string();
        let event = event.refused(code, &error.message);
        let source = source_of(event.address.as_deref());
        audit::note_once(&self.platform, &source, event);
    }

    /// Does background work until `stop` becomes true.
    pub async fn run_worker(self: Arc<Self>, stop: watch::Receiver<bool>) {
        worker::run(self.platform.clone(), stop).await;
    }
}

/// The names that the server's certificate covers: Azure's labels under the domain.
pub fn server_names(domain: &str) -> Vec<String> {
    let mut names = vec![domain.to_string()];
    const LABELS: [&str; 8] = [
        "management",
        "login",
        "graph",
        "portal",
        "pki",
        "*.azure-devices",
        "*.azure-devices-provisioning",
        "*.api.deviceregistry",
    ];
    for label in LABELS {
        names.push(format!("{label}.{domain}"));
    }
    names
}
