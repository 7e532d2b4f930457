//! One life of the process: services over what survived, and the clock's hand.

use super::store::{Rows, SimStore};
use crate::installation::{MASTER_KEY, Turns};
use crate::owner::Owner;
use async_trait::async_trait;
use bytes::Bytes;
use ferrohub_clock::SystemClock;
use ferrohub_messaging::disk::ForgetfulDisk;
use ferrohub_messaging::{Bus, Claim, Subscription};
use ferrohub_messaging_local::{LocalBus, LocalEventLog, Options};
use ferrohub_model::clock::{Clock, ManualClock, Moment};
use ferrohub_model::error::Result;
use ferrohub_model::random::{Random, SeededRandom};
use ferrohub_pki::seal::MasterKey;
use ferrohub_pki::signer::SoftwareSigner;
use ferrohub_service::arm::types::Types;
use ferrohub_service::authn::{Authenticator, SigningKey};
use ferrohub_service::hub::HubService;
use ferrohub_service::keyring::Keyring;
use ferrohub_service::platform::{Engines, Platform, Settings, Tenancy};
use ferrohub_service::provisioning::ProvisioningService;
use ferrohub_service::tables::{OPERATIONS, RENEWALS};
use ferrohub_service::worker;
use ferrohub_store::{Page, Store};
use futures_util::poll;
use jiff::Timestamp;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::watch;

/// Seconds by which a clock that was set wrong is off, at most: not quite a day, for which events are kept.
const OFF: u64 = 23 * 3600;

/// When every machine began.
fn began() -> Timestamp {
    "2026-11-20T10:00:00Z".parse().unwrap()
}

/// What a crash leaves, and what does not depend on the process.
pub(super) struct Machine {
    pub(super) seed: u64,
    pub(super) clock: Arc<ManualClock>,
    pub(super) random: Arc<SeededRandom>,
    pub(super) rows: Arc<Mutex<Rows>>,
    pub(super) disk: ForgetfulDisk,
}

/// A process.
pub(super) struct Life {
    pub(super) platform: Arc<Platform>,
    pub(super) store: Arc<SimStore>,
    pub(super) bus: Arc<LossyBus>,
    pub(super) log: Arc<LocalEventLog>,
    pub(super) hub: HubService,
    pub(super) provisioning: ProvisioningService,
    pub(super) owner: Owner,
    clock: Arc<ManualClock>,
}

/// A bus that loses messages while it is told to.
#[derive(Default)]
pub(super) struct LossyBus {
    inner: LocalBus,
    random: Mutex<Option<Arc<SeededRandom>>>,
    pub(super) loses: AtomicBool,
}

#[async_trait]
impl Bus for LossyBus {
    async fn publish(&self, subject: &str, payload: Bytes) -> Result<()> {
        let mut byte = [0];
        if let Some(random) = self.random.lock().unwrap().as_ref() {
            random.fill(&mut byte);
        }
        if self.loses.load(Ordering::Relaxed) && byte[0] < 64 {
            return Ok(());
        }
        self.inner.publish(subject, payload).await
    }

    async fn subscribe(&self, subject: &str) -> Result<Subscription> {
        self.inner.subscribe(subject).await
    }

    async fn claim(&self, key: &str) -> Result<Claim> {
        self.inner.claim(key).await
    }
}

impl Machine {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            clock: Arc::new(ManualClock::new(began())),
            random: Arc::new(SeededRandom::new(seed)),
            rows: Arc::default(),
            disk: ForgetfulDisk::new(),
        }
    }

    pub(super) fn below(&self, limit: u64) -> u64 {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        u64::from_le_bytes(bytes) % limit
    }

    /// Sets the wall clock wrong, almost a day at most, and leaves the monotonic one alone.
    pub(super) fn jump(&self) {
        let (right, off) = (self.right(), Duration::from_secs(self.below(OFF)));
        self.clock.set_wall(if self.below(2) == 0 { right + off } else { right - off });
    }

    /// Sets the wall clock right.
    pub(super) fn set_right(&self) {
        self.clock.set_wall(self.right());
    }

    /// What a clock says that nobody set.
    fn right(&self) -> Timestamp {
        began() + self.clock.monotonic().since(Moment::START)
    }

    fn engines(&self) -> (Engines, Arc<SimStore>, Arc<LossyBus>, Arc<LocalEventLog>) {
        let store = Arc::new(SimStore::over(Arc::clone(&self.rows), self.below(u64::MAX)));
        let bus = Arc::new(LossyBus { random: Mutex::new(Some(Arc::clone(&self.random))), ..LossyBus::default() });
        let small = Options { segment_bytes: 16 * 1024, ..Options::default() };
        let log = LocalEventLog::open(Arc::new(self.disk.clone()), Path::new("/log"), self.clock.clone(), small);
        let log = Arc::new(log.unwrap_or_else(|error| panic!("seed {}: {error:?}", self.seed)));
        let engines = Engines {
            store: store.clone(),
            log: log.clone(),
            bus: bus.clone(),
            clock: self.clock.clone(),
            random: self.random.clone(),
            keys: None,
        };
        (engines, store, bus, log)
    }

    /// The first start.
    pub(super) async fn install(&self) -> Life {
        let (engines, store, bus, log) = self.engines();
        let (installation, owner) = drive(&self.clock, &store, Owner::install(engines, settings())).await;
        Life::of(Arc::clone(installation.platform()), owner, store, bus, log, Arc::clone(&self.clock))
    }

    /// A machine of its own that begins with the rows of this one.
    pub(super) fn copy(&self, seed: u64) -> Self {
        let rows = self.rows.lock().unwrap().clone();
        Self { rows: Arc::new(Mutex::new(rows)), ..Self::new(seed) }
    }

    /// A start on a copy of the machine on which `first` runs.
    pub(super) async fn start_as(&self, first: &Life) -> Life {
        self.start(first.platform.tenancy.clone(), &first.owner).await
    }

    /// The start after the power went off in the middle of `before`: what was not synced is lost, or not.
    pub(super) async fn restart(&mut self, before: Life) -> Life {
        before.store.die();
        let (tenancy, owner) = (before.platform.tenancy.clone(), before.owner);
        drop((before.platform, before.hub, before.provisioning, before.log));
        self.disk = self.disk.crash(Some(self.below(u64::MAX)));
        self.start(tenancy, &owner).await
    }

    async fn start(&self, tenancy: Tenancy, owner: &Owner) -> Life {
        let (engines, store, bus, log) = self.engines();
        let platform = drive(&self.clock, &store, open(engines, tenancy)).await;
        let owner = Owner::at(std::slice::from_ref(&platform), Turns::default(), owner.actor.clone());
        Life::of(platform, owner, store, bus, log, Arc::clone(&self.clock))
    }
}

/// One key for the tokens of all lives: to make an RSA key takes longer than a life.
fn token_key() -> SigningKey {
    static SIGNER: OnceLock<Arc<SoftwareSigner>> = OnceLock::new();
    let signer = SIGNER.get_or_init(|| Arc::new(SoftwareSigner::generate(SigningKey::KIND).unwrap()));
    SigningKey::new(Arc::clone(signer) as _).unwrap()
}

async fn open(engines: Engines, tenancy: Tenancy) -> Arc<Platform> {
    let keyring = Arc::new(Keyring::new(master_key(), engines.random.clone()));
    Platform::open(engines, keyring, settings(), tenancy, Types::built_in()).await.unwrap()
}

fn settings() -> Settings {
    Settings { domain: "localhost".into(), pki_url: None }
}

fn master_key() -> MasterKey {
    MasterKey::from_bytes(&MASTER_KEY).unwrap()
}

impl Life {
    fn of(
        platform: Arc<Platform>,
        owner: Owner,
        store: Arc<SimStore>,
        bus: Arc<LossyBus>,
        log: Arc<LocalEventLog>,
        clock: Arc<ManualClock>,
    ) -> Self {
        let authenticator = Arc::new(Authenticator::new(Arc::clone(&platform), token_key()));
        let hub = HubService::new(Arc::clone(&platform), Arc::clone(&authenticator));
        let provisioning = ProvisioningService::new(Arc::clone(&platform), authenticator);
        Self { platform, store, bus, log, hub, provisioning, owner, clock }
    }

    pub(super) fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// Does `work`, and lets time pass when nothing else happens.
    pub(super) async fn drive<T>(&self, work: impl Future<Output = T>) -> T {
        drive(&self.clock, &self.store, work).await
    }

    /// Runs the worker until no operation and no renewal is left.
    pub(super) async fn settle(&self, seed: u64) {
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(worker::run(Arc::clone(&self.platform), stopped));
        let mut left = usize::MAX;
        for _ in 0..200 {
            self.drive(self.clock.sleep(Duration::from_secs(2))).await;
            let rows = self.drive(self.store.find(&OPERATIONS, "state", "running", Page::first(100))).await.unwrap();
            let renewals = self.drive(self.store.find(&RENEWALS, "state", "pending", Page::first(100))).await.unwrap();
            left = rows.len() + renewals.len();
            if left == 0 {
                break;
            }
        }
        assert_eq!(left, 0, "seed {seed}: an operation or a renewal does not end");
        let _ = stop.send(true);
        self.drive(running).await.unwrap();
    }
}

/// Polls `work`; when the store is left alone and the log's own threads had a moment, the clock moves to the next sleeper.
async fn drive<T>(clock: &ManualClock, store: &SimStore, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let (mut calls, mut quiet) = (0, 0);
    loop {
        for _ in 0..16 {
            if let Poll::Ready(done) = poll!(work.as_mut()) {
                return done;
            }
            tokio::task::yield_now().await;
        }
        if store.calls() == calls {
            quiet += 1;
            // The log's threads are not this one.
            SystemClock.block(Duration::from_micros(20));
        } else {
            (calls, quiet) = (store.calls(), 0);
        }
        if quiet > 2
            && let Some(due) = clock.next_due()
        {
            clock.advance(due);
            quiet = 0;
        }
    }
}
