//! What every service stands on: the engines, the clock, randomness, the keys and the roles.

use crate::allowance::Allowances;
use crate::arm::activity::Entry;
use crate::arm::types::Types;
use crate::attempts::Attempts;
use crate::audit::Audit;
use crate::authz::{self, AccessSnapshot, Actor, Plane};
use crate::certificate::{AuthorityCache, Serials};
use crate::directory;
use crate::guesses::Guesses;
use crate::hub::RenewalQueues;
use crate::hub::presence::Presence;
use crate::key_store::{Keys, OtherKeys};
use crate::keyring::Keyring;
use crate::locks::{LOCK_GENERATION, LockCache};
use crate::passwords::Passwords;
use crate::repeats::Repeats;
use crate::resource_graph::ResourceGraph;
use crate::resources::{self, Kinds};
use crate::shared_access::{Holder, Need, PolicyCache};
use crate::stripes::Stripes;
use crate::tables::META;
use arc_swap::ArcSwap;
use bytes::Bytes;
use ferrohub_messaging::{Bus, EventLog};
use ferrohub_model::azure_names;
use ferrohub_model::clock::Clock;
use ferrohub_model::error::Result;
use ferrohub_model::limits;
use ferrohub_model::random::Random;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::subscription::Subscription;
use ferrohub_store::{Committed, Put, Store, StoreError, UnitOfWork};
use jiff::Timestamp;
use std::sync::{Arc, OnceLock};
use uuid::Uuid;

/// Key in `META` of the row whose version grows with every change of a role or of what roles reach.
pub(crate) const ACCESS_GENERATION: &str = "access-generation";

/// Rows that [`Platform::commit`] adds: the generations of roles and of locks.
const ROWS_OF_COMMIT: usize = 2;

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

    /// The name here of the hub or provisioning service that `host` (without a port) names, in lower case: Azure's own
    /// `{hub}.azure-devices.net` is the hub of that name. Any other host is itself.
    pub fn own_host(&self, host: &str) -> String {
        azure_names::here(host, &self.domain).unwrap_or_else(|| host.to_lowercase())
    }

    /// Host name of Device Registry's data plane in a region.
    pub fn registry_host(&self, region: &str) -> String {
        format!("{region}.api.deviceregistry.{}", self.domain)
    }
}

/// For how long logs are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Days of the activity log (Azure: 90).
    pub activity_days: u32,
    /// Days of the audit log (Entra: 30; ours is wider).
    pub audit_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { activity_days: 90, audit_days: 90 }
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
    /// A key store beside the one in the rows, for the keys of namespaces.
    pub keys: Option<OtherKeys>,
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
    /// Serial numbers of certificates, reserved.
    pub(crate) serials: Serials,
    /// Opened keys of shared access policies.
    pub(crate) policies: PolicyCache,
    /// Failed requests of late.
    pub(crate) failures: Repeats<Entry<'static>>,
    /// What is to be audited.
    pub(crate) audit: Audit,
    /// Devices that are connected to this process.
    pub(crate) presence: Arc<Presence>,
    /// What each device has written of late.
    pub(crate) writes: Allowances,
    /// What each registration, and each device that renews, has asked for of late.
    pub(crate) registrations: Allowances,
    /// Renewals of certificates that this process has in work.
    pub(crate) renewals: RenewalQueues,
    /// Who may hash a password now.
    pub(crate) passwords: Passwords,
    /// Who tries passwords.
    pub(crate) guesses: Guesses,
    /// What queries of Resource Graph read.
    pub(crate) resource_graph: ResourceGraph,
    /// The resource types that are served.
    pub types: Types,
    /// What rows and ids need to know of them.
    pub kinds: Kinds,
    /// The subscriptions, the first one first.
    pub(crate) subscriptions: ArcSwap<Vec<Arc<Subscription>>>,
    /// The management locks.
    pub(crate) lock_cache: LockCache,
    retention: OnceLock<Retention>,
    access: ArcSwap<Access>,
    access_reload: tokio::sync::Mutex<()>,
    turns: Stripes,
    twin_turns: Stripes,
}

/// A unit of work with what must follow its commit.
#[derive(Clone, Default)]
pub struct Change {
    /// The rows.
    pub unit: UnitOfWork,
    /// Whether role definitions or assignments change.
    pub access: bool,
    /// Whether management locks change, or where one reaches.
    pub locks: bool,
    /// Bus messages sent once the unit is committed: subject and payload. They may be lost; readers re-read the store.
    pub notices: Vec<(String, Bytes)>,
}

impl Change {
    /// An empty change.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds everything of `other`; `false`, and nothing is added, where both together are more than one unit takes with the
    /// rows that a commit adds.
    pub(crate) fn take_in(&mut self, other: Self) -> bool {
        let rows = self.unit.len() + other.unit.len();
        let expectations = self.unit.expectations().len() + other.unit.expectations().len();
        if rows.max(expectations) > limits::UNIT_ROWS - ROWS_OF_COMMIT {
            return false;
        }
        self.unit.append(other.unit);
        self.access |= other.access;
        self.locks |= other.locks;
        self.notices.extend(other.notices);
        true
    }

    /// Announces after the commit that the trust of a hub (by uid) changed.
    pub fn trust_changed(&mut self, hub: Uuid) {
        self.notices.push((trust_subject(hub), Bytes::new()));
    }
}

/// The roles, with the version of the row [`ACCESS_GENERATION`] before they were read.
struct Access {
    generation: u64,
    snapshot: Arc<AccessSnapshot>,
}

/// Bus subject on which a change of a hub's trusted CAs is announced.
pub fn trust_subject(hub: Uuid) -> String {
    format!("trust.{hub}")
}

/// Bus subject on which a change of an identity (status, keys, deletion) is announced: of a device by its id, of a module by
/// `{device id}/{module id}`.
pub fn device_subject(hub: Uuid, client: &str) -> String {
    format!("device.{hub}.{client}")
}

/// What a notice on [`device_subject`] says where it is not about the identity but about a renewal that has ended.
pub(crate) const RENEWAL_ENDED: &[u8] = b"renewal";

/// Announces after the commit of `change` that a renewal of a device has ended.
pub(crate) fn tell_of_renewal(hub: Uuid, device_id: &str, change: &mut Change) {
    change.notices.push((device_subject(hub, device_id), Bytes::from_static(RENEWAL_ENDED)));
}

/// Bus subject on which new desired properties of a device or a module, named as in [`device_subject`], are announced.
pub fn desired_subject(hub: Uuid, client: &str) -> String {
    format!("desired.{hub}.{client}")
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
        let platform = Arc::new(Self {
            kinds: types.kinds(),
            types,
            passwords: Passwords::new(Arc::clone(&engines.random)),
            guesses: Guesses::default(),
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
            serials: Serials::default(),
            policies: PolicyCache::default(),
            failures: Repeats::new("ferrohub_failures_not_written_total"),
            audit: Audit::default(),
            presence: Arc::new(presence),
            writes: Allowances::new(limits::DEVICE_BURST, limits::COUNTED_ALLOWANCES),
            registrations: Allowances::new(
                limits::REGISTRATION_PERIOD * limits::REGISTRATION_BURST,
                limits::COUNTED_ALLOWANCES,
            ),
            renewals: RenewalQueues::default(),
            subscriptions: ArcSwap::default(),
            lock_cache: LockCache::default(),
            resource_graph: ResourceGraph::default(),
            retention: OnceLock::new(),
            access: ArcSwap::from_pointee(Access { generation: 0, snapshot: Arc::default() }),
            access_reload: tokio::sync::Mutex::new(()),
            turns: Stripes::new(TURNS),
            twin_turns: Stripes::new(TWIN_TURNS),
        });
        platform.ensure_access_generation().await?;
        platform.ensure_lock_generation().await?;
        platform.load_access().await?;
        Ok(platform)
    }

    /// For how long logs are kept.
    pub(crate) fn retention(&self) -> Retention {
        self.retention.get().copied().unwrap_or_default()
    }

    /// Says for how long logs are kept, once; the first word counts.
    pub(crate) fn keep_logs(&self, retention: Retention) {
        self.retention.get_or_init(|| retention);
    }

    /// Wall-clock time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new time-ordered id.
    pub fn new_id(&self) -> Uuid {
        self.random.uuid_v7(u64::try_from(self.now().as_millisecond()).unwrap_or(0))
    }

    /// The roles as they stood when [`Platform::refresh_access`] last looked.
    pub fn access(&self) -> Arc<AccessSnapshot> {
        Arc::clone(&self.access.load().snapshot)
    }

    /// Makes sure that the roles in memory are those of the store, whichever process changed them last. Whatever a client
    /// can reach does this before it asks whether the client may; it is one read of a row that the engine keeps in memory.
    ///
    /// # Errors
    /// When the store cannot be read: nobody is let in by roles that may be gone.
    pub async fn refresh_access(&self) -> Result<()> {
        if self.access.load().generation == self.access_generation().await? {
            return Ok(());
        }
        let _turn = self.access_reload.lock().await;
        if self.access.load().generation == self.access_generation().await? {
            return Ok(());
        }
        self.load_access().await
    }

    /// The roles of the store, and the version of the row [`ACCESS_GENERATION`] of `META` that has not changed as long as they
    /// have not.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn access_at(&self) -> Result<(u64, Arc<AccessSnapshot>)> {
        self.refresh_access().await?;
        let access = self.access.load();
        Ok((access.generation, Arc::clone(&access.snapshot)))
    }

    async fn load_access(&self) -> Result<()> {
        // Read before the roles: a change in between is seen as one by the next look.
        let generation = self.access_generation().await?;
        self.load_subscriptions().await?;
        let snapshot = Arc::new(resources::load_access(self).await?);
        self.access.store(Arc::new(Access { generation, snapshot }));
        Ok(())
    }

    /// Makes the row of the generation where nobody did: engines keep rows in memory, not that there is none.
    async fn ensure_access_generation(&self) -> Result<()> {
        if self.access_generation().await? > 0 {
            return Ok(());
        }
        let mut change = Change::new();
        change.unit.expect_absent(&META, ACCESS_GENERATION);
        change.access = true;
        self.try_commit(change).await.map(drop)
    }

    async fn access_generation(&self) -> Result<u64> {
        Ok(self.store.get(&META, ACCESS_GENERATION).await?.map_or(0, |row| row.version))
    }

    /// Refuses unless `actor` may do the control-plane `action` on `scope`.
    ///
    /// # Errors
    /// `AuthorizationFailed` with the command that grants the right.
    pub fn authorize(&self, actor: &Actor, action: &str, scope: &ResourceId) -> Result<()> {
        authz::authorize(&self.access(), actor, Plane::Control, action, scope)
    }

    /// Refuses unless `actor` may do the data-plane `action` on `scope`.
    ///
    /// # Errors
    /// `AuthorizationFailed` with the command that grants the right.
    pub fn authorize_data(&self, actor: &Actor, action: &str, scope: &ResourceId) -> Result<()> {
        authz::authorize(&self.access(), actor, Plane::Data, action, scope)
    }

    /// Refuses unless `actor` may do what `need` says at the hub or provisioning service `holder`.
    ///
    /// # Errors
    /// The service's refusal of a policy without the right; `AuthorizationFailed` for everybody else.
    pub(crate) async fn authorize_need(&self, actor: &Actor, need: &Need, holder: &Holder<'_>) -> Result<()> {
        self.refresh_access().await?;
        authz::authorize_need(&self.access(), actor, need, holder)
    }

    /// The actor of a managed identity, by the object id of its principal. The roles that decide what it may are as new as
    /// the store's.
    ///
    /// # Errors
    /// `PrincipalNotFound` when the identity was deleted.
    pub async fn identity_actor(&self, principal_id: &str) -> Result<Actor> {
        self.refresh_access().await?;
        directory::identity_actor(self.store.as_ref(), principal_id).await
    }

    /// Waits for this process's turn to change the thing with `key`. Writers of one thing queue up here
    /// instead of racing; what another process does is still found out by the store's expectations.
    pub async fn turn(&self, key: &str) -> tokio::sync::MutexGuard<'_, ()> {
        self.turns.turn(key).await
    }

    /// The attempts of one change.
    pub(crate) fn attempts(&self) -> Attempts<'_> {
        Attempts::new(self.clock.as_ref(), self.random.as_ref())
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

    /// Commits and lets follow what must: a change of roles is seen by every process's next look, notices are published.
    ///
    /// Notices go out even when the caller is gone before it happens (a client that closes its connection, a time-out), so
    /// that a session that must end hears of it.
    ///
    /// # Errors
    /// The store's error; conflicts are named so that the caller can retry.
    pub async fn commit(&self, mut change: Change) -> std::result::Result<Committed, StoreError> {
        if change.access {
            change.unit.put(Put::new(&META, ACCESS_GENERATION, Vec::new(), &())?);
        }
        if change.locks {
            change.unit.put(Put::new(&META, LOCK_GENERATION, Vec::new(), &())?);
        }
        if change.notices.is_empty() {
            return self.store.commit(change.unit).await;
        }
        let (store, bus) = (Arc::clone(&self.store), Arc::clone(&self.bus));
        let whole = tokio::spawn(async move {
            let committed = store.commit(change.unit).await;
            // An engine that failed may have done it all the same.
            if committed.is_ok() || matches!(committed, Err(StoreError::Engine(_))) {
                publish(bus.as_ref(), change.notices).await;
            }
            committed
        });
        whole.await.unwrap_or_else(|fault| Err(StoreError::Engine(format!("the commit's task ended: {fault}"))))
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
