//! All services over one platform, as the front door and the binary use them.

use crate::arm::Engine;
use crate::arm::types::Types;
use crate::authn::Authenticator;
use crate::bootstrap::{self, OwnerCredential};
use crate::graph::Graph;
use crate::hub::HubService;
use crate::keyring::Keyring;
use crate::platform::{Engines, Platform, Settings};
use crate::provisioning::ProvisioningService;
use crate::worker;
use ferrohub_model::error::Result;
use ferrohub_pki::platform::ServerIdentity;
use ferrohub_pki::seal::MasterKey;
use std::sync::Arc;
use tokio::sync::watch;

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
}

/// The services.
pub struct Service {
    /// Shared state.
    pub platform: Arc<Platform>,
    /// Resource Manager.
    pub arm: Engine,
    /// Tokens.
    pub authn: Authenticator,
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
    /// The owner's credential, when this start made one.
    pub owner: Option<OwnerCredential>,
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
        let keyring = Keyring::new(config.master_key, engines.random.clone());
        let names = server_names(&config.settings.domain);
        let mut installation = bootstrap::open(&engines, &keyring, &names).await?;
        if installation.owner.is_none() && config.owner_file_missing {
            installation.owner = Some(bootstrap::renew_owner(&engines, &installation.tenancy).await?);
        }
        let platform = Platform::open(engines, keyring, config.settings, installation.tenancy, config.types).await?;
        let service = Arc::new(Self {
            arm: Engine::new(platform.clone()),
            authn: Authenticator::new(platform.clone(), installation.signing_key),
            graph: Graph::new(platform.clone()),
            hub: HubService::new(platform.clone()),
            provisioning: ProvisioningService::new(platform.clone()),
            platform,
        });
        Ok(Started { service, owner: installation.owner, ca_pem: installation.ca_pem, server: installation.server })
    }

    /// Does background work until `stop` becomes true.
    pub async fn run_worker(self: Arc<Self>, stop: watch::Receiver<bool>) {
        worker::run(self.platform.clone(), stop).await;
    }
}

/// The names that the server's certificate covers: Azure's labels under the domain.
pub fn server_names(domain: &str) -> Vec<String> {
    let mut names = vec![domain.to_string()];
    for label in ["management", "login", "graph", "portal", "pki", "*.azure-devices", "*.azure-devices-provisioning"] {
        names.push(format!("{label}.{domain}"));
    }
    names
}
