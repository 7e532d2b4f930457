//! What every service stands on: the engines, the clock, randomness, the keys and the roles.

use crate::arm::types::Types;
use crate::authz::{self, AccessSnapshot, Actor, Plane};
use crate::certificate::AuthorityCache;
use crate::directory;
use crate::hub::presence::Presence;
use crate::key_store::Keys;
use crate::keyring::Keyring;
use crate::resources::{self, Kinds};
use crate::shared_access::{Holder, Need, PolicyCache};
use crate::stripes::Stripes;
use arc_swap::ArcSwap;
use bytes::Bytes;
use ferrohub_messaging::{Bus, EventLog};
use ferrohub_model::clock::{Clock, timeout};
use ferrohub_model::error::Result;
use ferrohub_model::random::Random;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_pki::key_store::KeyStore;
use ferrohub_store::{Committed, Store, StoreError, UnitOfWork};
use jiff::Timestamp;
use std::sync::{Arc, Weak};
use std::time::Duration;
use uuid::Uuid;

/// After how long roles are re-read although no change was heard of: ours.
const ACCESS_PERIOD: Duration = Duration::from_secs(30);

/// Times the roles are re-read after a change before giving up, about a minute: ours.
const RELOADS: u32 = 66;

/// Queues over which writers of one process are spread: ours.
const TURNS: usize = 256;
/// The same for writers of twins, which are many and brief: ours.
const TWIN_TURNS: usize = 1024;

/// Names and addresses under which the product is reached.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Domain of all host names, such as `localhost`.
    pub domain: String,
    /// Base URL of the plain-HTTP publishing point for CRLs and CA certificates; `None` leaves it out of certificates.
    pub pki_url: Option<String>,
}

impl Settings {
    /// Host name of a hub: `{hub}.azure-devices.{domain}`; never carries a port.
    pub fn hub_host(&self, hub: &str) -> String {
        format!("{}.azure-devices.{}", hub.to_lowercase(), self.domain)
    }

    /// Host name of a provisioning service.
    pub fn dps_host(&self, dps: &str) -> String {
        format!("{}.azure-devices-provisioning.{}", dps.to_lowercase(), self.domain)
    }

    /// Host name at which devices of every provisioning service register.
    pub fn global_dps_host(&self) -> String {
        format!("global.azure-devices-provisioning.{}", self.domain)
    }
}

/// Tenant and subscription that the first start made.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tenancy {
    /// Tenant id.
    pub tenant_id: String,
    /// Subscription id.
    pub subscription_id: String,
}

/// The engines under the services, as the binary wires them.
#[derive(Clone)]
pub struct Engines {
    /// Rows.
    pub store: Arc<dyn Store>,
    /// Telemetry.
    pub log: Arc<dyn EventLog>,
    /// Notifications and claims.
    pub bus: Arc<dyn Bus>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Where keys that sign are made; `None`: sealed in the store.
    pub keys: Option<Arc<dyn KeyStore>>,
}

/// Shared state of all services.
pub struct Platform {
    /// Rows.
    pub store: Arc<dyn Store>,
    /// Telemetry.
    pub log: Arc<dyn EventLog>,
    /// Notifications and claims.
    pub bus: Arc<dyn Bus>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Sealing of secrets.
    pub keyring: Arc<Keyring>,
    /// Private keys that sign.
    pub keys: Keys,
    /// Names.
    pub settings: Settings,
    /// Tenant and subscription.
    pub tenancy: Tenancy,
    /// Opened certificate authorities.
    pub authorities: AuthorityCache,
    /// Opened keys of shared access policies.
    pub(crate) policies: PolicyCache,
    /// Devices that are connected to this process.
    pub(crate) presence: Arc<Presence>,
    /// The resource types that are served.
    pub types: Types,
    /// What rows and ids need to know of them.
    pub kinds: Kinds,
    own: Weak<Platform>,
    access: ArcSwap<AccessSnapshot>,
    access_reload: tokio::sync::Mutex<()>,
    turns: Stripes,
    twin_turns: Stripes,
}

/// A unit of work with what must follow its commit.
#[derive(Default)]
pub struct Change {
    /// The rows.
    pub unit: UnitOfWork,
    /// Whether role definitions or assignments change.
    pub access: bool,
    /// Bus messages sent once the unit is committed: subject and payload. They may be lost; readers re-read the store.
    pub notices: Vec<(String, Bytes)>,
}

impl Change {
    /// An empty change.
    pub fn new() -> Self {
        Self::default()
    }

    /// Announces after the commit that the trust of a hub (by uid) changed.
    pub fn trust_changed(&mut self, hub: Uuid) {
        self.notices.push((trust_subject(hub), Bytes::new()));
    }
}

/// Bus subject on which a change of roles is announced to the other processes.
const ACCESS_SUBJECT: &str = "access";

/// Bus subject on which a change of a hub's trusted CAs is announced.
pub fn trust_subject(hub: Uuid) -> String {
    format!("trust.{hub}")
}

/// Bus subject on which a change of a device's identity (status, keys, deletion) is announced.
pub fn device_subject(hub: Uuid, device_id: &str) -> String {
    format!("device.{hub}.{device_id}")
}

/// Bus subject on which a device's new desired properties are announced.
pub fn desired_subject(hub: Uuid, device_id: &str) -> String {
    format!("desired.{hub}.{device_id}")
}

impl Platform {
    /// A platform over `engines` that serves `types`; reads all roles.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(
        engines: Engines,
        keyring: Arc<Keyring>,
        settings: Settings,
        tenancy: Tenancy,
        types: Types,
    ) -> Result<Arc<Self>> {
        let keys = Keys::new(&engines, Arc::clone(&keyring));
        let started_ms = u64::try_from(engines.clock.now().as_millisecond()).unwrap_or(0);
        let presence = Presence::new(engines.random.uuid_v7(started_ms), Arc::clone(&engines.clock));
        let platform = Arc::new_cyclic(|own| Self {
            own: own.clone(),
            kinds: types.kinds(),
            types,
            store: engines.store,
            log: engines.log,
            bus: engines.bus,
            clock: engines.clock,
            random: engines.random,
            keyring,
            keys,
            settings,
            tenancy,
            authorities: AuthorityCache::default(),
            policies: PolicyCache::default(),
            presence: Arc::new(presence),
            access: ArcSwap::from_pointee(AccessSnapshot::default()),
            access_reload: tokio::sync::Mutex::new(()),
            turns: Stripes::new(TURNS),
            twin_turns: Stripes::new(TWIN_TURNS),
        });
        platform.access.store(Arc::new(resources::load_access(&platform).await?));
        Ok(platform)
    }

    /// Wall-clock time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new time-ordered id.
    pub fn new_id(&self) -> Uuid {
        self.random.uuid_v7(u64::try_from(self.now().as_millisecond()).unwrap_or(0))
    }

    /// The roles as they stand.
    pub fn access(&self) -> Arc<AccessSnapshot> {
        self.access.load_full()
    }

    /// Refuses unless `actor` may do the control-plane `action` on `scope`.
    ///
    /// # Errors
    /// `AuthorizationFailed` with the command that grants the right.
    pub fn authorize(&self, actor: &Actor, action: &str, scope: &ResourceId) -> Result<()> {
        authz::authorize(&self.access.load(), actor, Plane::Control, action, scope)
    }

    /// Refuses unless `actor` may do the data-plane `action` on `scope`.
    ///
    /// # Errors
    /// `AuthorizationFailed` with the command that grants the right.
    pub fn authorize_data(&self, actor: &Actor, action: &str, scope: &ResourceId) -> Result<()> {
        authz::authorize(&self.access.load(), actor, Plane::Data, action, scope)
    }

    /// Refuses unless `actor` may do what `need` says at the hub or provisioning service `holder`.
    ///
    /// # Errors
    /// The service's refusal of a policy without the right; `AuthorizationFailed` for everybody else.
    pub(crate) fn authorize_need(&self, actor: &Actor, need: &Need, holder: &Holder<'_>) -> Result<()> {
        authz::authorize_need(&self.access.load(), actor, need, holder)
    }

    /// The actor of a managed identity, by the object id of its principal.
    ///
    /// # Errors
    /// `PrincipalNotFound` when the identity was deleted.
    pub async fn identity_actor(&self, principal_id: &str) -> Result<Actor> {
        directory::identity_actor(self.store.as_ref(), principal_id).await
    }

    /// Waits for this process's turn to change the thing with `key`. Writers of one thing queue up here
    /// instead of racing; what another process does is still found out by the store's expectations.
    pub async fn turn(&self, key: &str) -> tokio::sync::MutexGuard<'_, ()> {
        self.turns.turn(key).await
    }

    /// Like [`Platform::commit`] for one of several `Attempts`: `false` where a row has a newer
    /// version than was read, so that reading again and building a new unit makes sense.
    ///
    /// # Errors
    /// The store's, except conflicts.
    pub async fn try_commit(&self, change: Change) -> Result<bool> {
        match self.commit(change).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_conflict() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The same for the twin of the device `device_id`. Both sides write a twin all the time, and two whose units land in
    /// one group commit would meet there again and again, with the same one losing each time.
    pub async fn twin_turn(&self, device_id: &str) -> tokio::sync::MutexGuard<'_, ()> {
        self.twin_turns.turn(device_id).await
    }

    /// Commits and lets follow what must: roles are re-read, notices published.
    ///
    /// What follows is done even when the caller is gone before it happens (a client that closes its connection, a
    /// time-out), so that a role that was taken away never stays in force in memory.
    ///
    /// # Errors
    /// The store's error; conflicts are named so that the caller can retry.
    pub async fn commit(&self, change: Change) -> std::result::Result<Committed, StoreError> {
        debug_assert_eq!(change.unit.put_twice(), None, "a unit puts a row twice");
        if !change.access && change.notices.is_empty() {
            return self.store.commit(change.unit).await;
        }
        let Some(own) = self.own.upgrade() else { return Err(StoreError::Engine("the platform is going away".into())) };
        let whole = tokio::spawn(async move {
            let committed = own.store.commit(change.unit).await;
            // An engine that failed may have done it all the same.
            let done = committed.is_ok() || matches!(committed, Err(StoreError::Engine(_)));
            let mut notices = change.notices;
            if change.access && done {
                own.reload_access().await;
                notices.push((ACCESS_SUBJECT.to_owned(), Bytes::new()));
            }
            if done {
                publish(own.bus.as_ref(), notices).await;
            }
            committed
        });
        whole.await.unwrap_or_else(|fault| Err(StoreError::Engine(format!("the commit's task ended: {fault}"))))
    }

    /// Keeps the roles as they are changed by other processes, for as long as it is polled: it re-reads them when a change is
    /// announced, and every half a minute because an announcement may be lost.
    pub(crate) async fn follow_access(&self) {
        loop {
            let mut news = match self.bus.subscribe(ACCESS_SUBJECT).await {
                Ok(news) => news,
                Err(error) => {
                    tracing::warn!(%error, "changes of roles are not heard of; they are re-read now and then");
                    self.clock.sleep(ACCESS_PERIOD).await;
                    self.reload_access().await;
                    continue;
                }
            };
            // What was changed before anybody listened.
            self.reload_access().await;
            while let Ok(Some(_)) | Err(_) = timeout(self.clock.as_ref(), ACCESS_PERIOD, news.next()).await {
                while news.try_next().is_some() {}
                self.reload_access().await;
            }
            // The bus is gone: perhaps it comes back.
            self.clock.sleep(ACCESS_PERIOD).await;
        }
    }

    /// Re-reads the roles until it succeeds: a right that was taken away must not stay in force because the store was busy.
    async fn reload_access(&self) {
        let mut pause = Duration::from_millis(20);
        for attempt in 1..=RELOADS {
            let turn = self.access_reload.lock().await;
            match resources::load_access(self).await {
                Ok(snapshot) => return self.access.store(Arc::new(snapshot)),
                Err(error) => tracing::error!(%error, context = error.context, attempt, "roles could not be re-read"),
            }
            drop(turn);
            self.clock.sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
        tracing::error!(
            "roles could not be re-read for a minute; the former ones stay in force until the worker reads them, the next change or the next start"
        );
    }
}

async fn publish(bus: &dyn Bus, notices: Vec<(String, Bytes)>) {
    for (subject, payload) in notices {
        // A lost notice is made up for by re-reading; the commit stands.
        if let Err(error) = bus.publish(&subject, payload).await {
            tracing::warn!(%error, subject, "a notice could not be published");
        }
    }
}
