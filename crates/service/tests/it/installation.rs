//! One installation and the processes that serve it: as many as the test binary says, over one store, one log, one bus and
//! one clock. Whoever asks is sent to the next process, so that what one answered the other must know.

use ferrohub_clock::SystemClock;
use ferrohub_model::clock::{Clock, ManualClock};
use ferrohub_pki::seal::MasterKey;
use ferrohub_service::arm::types::Types;
use ferrohub_service::bootstrap::OwnerCredential;
use ferrohub_service::platform::{Engines, Platform, Settings};
use ferrohub_service::{Service, StartConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The master key of every installation of the tests.
pub(super) const MASTER_KEY: [u8; 32] = [42; 32];

/// Which process is asked next. Neither one after the other nor at random: the Thue-Morse sequence is the same in each run,
/// and whoever asks every second time does not always meet the same one. Clones take turns together.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<AtomicU32>);

impl Turns {
    /// The one of `all` whose turn it is.
    pub(super) fn next<'a, T>(&self, all: &'a [T]) -> &'a T {
        &all[self.0.fetch_add(1, Ordering::Relaxed).count_ones() as usize % all.len()]
    }
}

/// Lets time pass while `work` goes on: who loses to another writer waits for a while, be it a worker that is told to stop.
pub(super) async fn while_time_passes<T>(clock: &ManualClock, work: impl Future<Output = T>) -> T {
    let passing = async {
        loop {
            SystemClock.sleep(Duration::from_millis(1)).await;
            clock.advance(Duration::from_millis(2));
        }
    };
    tokio::select! {
        done = work => done,
        () = passing => unreachable!("it never ends"),
    }
}

pub(super) struct Installation {
    services: Vec<Arc<Service>>,
    platforms: Vec<Arc<Platform>>,
    pub(super) turns: Turns,
}

impl Installation {
    /// Starts the processes one after the other; the first makes the installation, or a new secret of its owner.
    pub(super) async fn start(engines: Engines, settings: Settings, types: Types) -> (Self, OwnerCredential) {
        let (mut services, mut platforms, mut owner) = (Vec::new(), Vec::new(), None);
        for number in 0..crate::PROCESSES {
            let config = StartConfig {
                settings: settings.clone(),
                master_key: MasterKey::from_bytes(&MASTER_KEY).unwrap(),
                owner_file_missing: number == 0,
                types: types.clone(),
                webhooks: None,
            };
            let started = Service::start(engines.clone(), config).await.unwrap();
            services.push(started.service);
            platforms.push(started.platform);
            owner = owner.or(started.owner);
        }
        (Self { services, platforms, turns: Turns::default() }, owner.unwrap())
    }

    /// The services of the next process.
    pub(super) fn service(&self) -> &Arc<Service> {
        self.turns.next(&self.services)
    }

    /// What the next process stands on.
    pub(super) fn platform(&self) -> &Arc<Platform> {
        self.turns.next(&self.platforms)
    }

    /// What each process stands on.
    pub(super) fn platforms(&self) -> &[Arc<Platform>] {
        &self.platforms
    }
}

/// From now on `clock` goes as the machine's does.
pub(super) fn let_time_pass(clock: &Arc<ManualClock>) {
    let clock = Arc::clone(clock);
    tokio::spawn(async move {
        loop {
            let begun = SystemClock.monotonic();
            SystemClock.sleep(Duration::from_millis(2)).await;
            clock.advance(SystemClock.monotonic().since(begun));
        }
    });
}
