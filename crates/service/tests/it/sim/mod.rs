//! The whole service in a simulation: one seed decides what clients ask for, who gets a turn, when the store is busy or
//! fails, what the bus loses, when the disk or the power goes, and what a crash leaves.
//!
//! `FERROHUB_SIM_SEEDS=5000` runs more seeds, `FERROHUB_SIM_SEED=17` one alone. A failure names its seed. The log's own
//! threads are real, so a seed decides almost everything, not everything: run a failing one a few times.
//!
//! | File | What it is |
//! |---|---|
//! | `store` | the store, which passes the conformance suite |
//! | `life` | one life of the process, and the clock's hand |
//! | `workload` | what clients ask for |
//! | `ledger` | what they were promised |
//! | `audit` | what must hold |

mod audit;
mod ledger;
mod life;
mod store;
mod workload;

use life::Machine;
use std::sync::atomic::Ordering;
use workload::Plant;

const SEEDS: u64 = 200;
/// Crashes in the life of one installation.
const LIVES: u64 = 3;
/// Clients at once, and what each asks for before the crash at the latest.
const CLIENTS: u64 = 3;
const STEPS: u64 = 8;

#[test]
fn crashes_and_faults_break_no_promise() {
    let wanted = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match wanted("FERROHUB_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..wanted("FERROHUB_SIM_SEEDS").unwrap_or(SEEDS),
    };
    let folder = tempfile::tempdir().unwrap();
    let requests: Vec<String> =
        (0..3).map(|number| crate::provisioning::csr(folder.path(), &format!("r{number}"), &[])).collect();
    let (runs, mut acknowledged) = (seeds.end - seeds.start, 0);
    for seed in seeds {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        acknowledged += runtime.block_on(simulate(seed, &requests));
    }
    // The workload must really get somewhere in spite of the faults.
    assert!(acknowledged > runs * 10, "{acknowledged} answers in {runs} runs");
}

/// Gives how much was acknowledged.
async fn simulate(seed: u64, requests: &[String]) -> u64 {
    let mut machine = Machine::new(seed);
    let mut life = machine.install().await;
    let plant = life.drive(Plant::build(&life)).await;
    for _ in 0..LIVES {
        life.store.fail_one_in(40);
        life.bus.loses.store(true, Ordering::Relaxed);
        match machine.below(3) {
            0 => machine.disk.fail_at(1 + machine.below(20)),
            1 => machine.disk.die_at(1 + machine.below(20)),
            _ => {}
        }
        let until = machine.below(CLIENTS * STEPS * 40);
        let before = life.store.calls();
        let clients = (0..CLIENTS).map(|_| async {
            for _ in 0..STEPS {
                plant.step(&life, &machine, requests).await;
            }
        });
        let work = futures_util::future::join_all(clients);
        let crash = async {
            while life.store.calls() - before < until {
                tokio::task::yield_now().await;
            }
        };
        // Who is dropped here was in the middle of something.
        life.drive(futures_util::future::select(Box::pin(work), Box::pin(crash))).await;
        plant.ledger.lock().unwrap().settle();
        life = machine.restart(life, true).await;
        life.settle(seed).await;
        life.drive(audit::audit(seed, &life, &plant)).await;
    }
    plant.ledger.lock().unwrap().acknowledged
}
