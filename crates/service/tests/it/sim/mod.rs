//! The whole service in a simulation: one seed decides what clients ask for, who gets a turn, when the store is busy or
//! fails, what the bus loses, when the disk or the power goes, when somebody sets the clock, and what a crash leaves.
//!
//! `FERROHUB_SIM_SEEDS=5000` runs more seeds, `FERROHUB_SIM_SEED=17` one alone. A failure names its seed. The log's own
//! threads are real, so a seed decides almost everything, not everything: run a failing one a few times.
//!
//! | File | What it is |
//! |---|---|
//! | `guard` | who notices that a life does not go on |
//! | `store` | the store, which passes the conformance suite |
//! | `life` | one life of the process, and the clock's hand |
//! | `workload` | what clients ask for |
//! | `twins` | what is watched of a twin |
//! | `ledger` | what they were promised |
//! | `audit` | what must hold |

mod audit;
mod guard;
mod ledger;
mod life;
mod store;
mod twins;
mod workload;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::clock::Clock;
use ferrohub_model::renewal::{RenewalState, Renewals};
use ferrohub_service::{tables, worker};
use ferrohub_store::{Page, Put, Store, UnitOfWork};
use futures_util::future::{Either, join_all, select};
use guard::Guard;
use life::{Life, Machine};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use workload::{Made, Plant};

const SEEDS: u64 = 200;
/// Fewer runs than these say nothing of how far the workload gets.
const FEW: u64 = 20;
/// Crashes in the life of one installation.
const LIVES: u64 = 3;
/// Clients at once, and what each asks for before the crash at the latest.
const CLIENTS: u64 = 3;
const STEPS: u64 = 6;
/// Calls of the store that a step takes, about, with what the worker does meanwhile.
const CALLS: u64 = 24;
/// Longest that a phase of a life may take, by the machine's clock. They take milliseconds.
const GUARD: Duration = Duration::from_secs(120);

#[test]
fn crashes_and_faults_break_no_promise() {
    let wanted = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match wanted("FERROHUB_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..wanted("FERROHUB_SIM_SEEDS").unwrap_or(SEEDS),
    };
    let folder = tempfile::tempdir().unwrap();
    let requests: Vec<String> =
        (0..3).map(|number| crate::provisioning::world::csr(folder.path(), &format!("r{number}"), &[])).collect();
    let (runs, mut tally) = (seeds.end - seeds.start, Tally::default());
    let guard = Guard::over("the installation", GUARD, |stuck| {
        eprintln!("{stuck}");
        std::process::exit(1);
    });
    runtime().block_on(async {
        // No run's seed: two machines with one seed would make the same ids.
        let first = Machine::new(u64::MAX);
        let origin = first.install().await;
        let plant = origin.drive(Box::pin(Plant::build(&origin))).await;
        // Before anybody sets the clock: settled time begins at the right one.
        origin.settle(u64::MAX).await;
        for seed in seeds {
            guard.at(format!("seed {seed}: the first start"));
            let machine = first.copy(seed);
            let life = machine.start_as(&origin).await;
            Box::pin(simulate(machine, life, &plant.clone(), &requests, &mut tally, &guard)).await;
        }
    });
    if runs < FEW {
        return;
    }
    // The workload must really get somewhere, and the crashes must really meet it.
    assert!(tally.acknowledged > runs * 15, "{tally:?} in {runs} runs");
    assert!(tally.crashes > runs, "{tally:?} in {runs} runs");
    assert!(tally.jumps * 2 > runs && tally.published * 4 > runs, "{tally:?} in {runs} runs");
}

#[derive(Debug, Default)]
struct Tally {
    acknowledged: u64,
    /// How often the wall clock was set under a client.
    jumps: u64,
    /// Messages of devices.
    published: u64,
    /// Lives that ended in the middle of something.
    crashes: u64,
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

async fn simulate(
    mut machine: Machine,
    mut life: Life,
    plant: &Plant,
    requests: &[String],
    tally: &mut Tally,
    guard: &Guard,
) {
    let seed = machine.seed;
    plant.ledger.lock().unwrap().seed = seed;
    for number in 1..=LIVES {
        let phase = |what: &str| guard.at(format!("seed {seed}, life {number}: {what}"));
        phase("clients at work");
        life.store.fail_one_in(40);
        life.bus.loses.store(true, Ordering::Relaxed);
        match machine.below(3) {
            0 => machine.disk.fail_at(1 + machine.below(20)),
            1 => machine.disk.die_at(1 + machine.below(20)),
            _ => {}
        }
        maybe_jump(&machine, plant);
        let (before, until) = (life.store.calls(), machine.below(CLIENTS * STEPS * CALLS));
        let clients = (0..CLIENTS).map(|_| async {
            for _ in 0..STEPS {
                plant.step(&life, &machine, requests).await;
            }
        });
        let work = join_all(clients);
        let crash = async {
            while life.store.calls() - before < until {
                tokio::task::yield_now().await;
            }
        };
        let (_stop, stopped) = watch::channel(false);
        let background = worker::run(Arc::clone(&life.platform), stopped);
        // Who is dropped here was in the middle of something.
        let ended = life.drive(select(Box::pin(work), select(Box::pin(crash), Box::pin(background)))).await;
        tally.crashes += u64::from(matches!(ended, Either::Right(_)));
        drop(ended);
        plant.ledger.lock().unwrap().settle();
        // It comes up with a clock that stands otherwise.
        maybe_jump(&machine, plant);
        phase("the start after the crash");
        life = machine.restart(life).await;
        phase("the worker at work");
        life.settle(seed).await;
        // Promises were made by clocks of all kinds; they are held against the right one.
        machine.set_right();
        phase("the audit");
        life.drive(Box::pin(audit::audit(seed, &life, plant))).await;
    }
    let ledger = plant.ledger.lock().unwrap();
    tally.acknowledged += ledger.acknowledged;
    tally.jumps += ledger.jumps;
    tally.published += ledger.published.len() as u64;
}

/// Sets the wall clock wrong, every other time.
fn maybe_jump(machine: &Machine, plant: &Plant) {
    if machine.below(2) == 0 {
        plant.ledger.lock().unwrap().it_is(machine.clock.now());
        machine.jump();
        plant.ledger.lock().unwrap().it_is(machine.clock.now());
    }
}

/// An auditor who never objects proves nothing.
#[test]
fn the_auditor_notices_what_is_missing() {
    let (device, twin) = (&tables::DEVICES, &tables::TWINS);
    // Without device and twin it is the session that is left behind.
    for lost in [&[device][..], &[twin], &[&tables::RESOURCES], &[device, twin]] {
        let noticed = std::panic::catch_unwind(|| {
            runtime().block_on(async {
                let machine = Machine::new(1);
                let life = machine.install().await;
                let plant = life.drive(Box::pin(Plant::build(&life))).await;
                life.drive(plant.put_device(&life, 1)).await.unwrap();
                life.drive(plant.connect(&life, 1, 1)).await.unwrap();
                life.drive(Box::pin(audit::audit(1, &life, &plant))).await;
                lost.iter().for_each(|table| drop(machine.rows.lock().unwrap().lose_one_of(table)));
                life.drive(Box::pin(audit::audit(2, &life, &plant))).await;
            });
        });
        let what = noticed.expect_err("a lost row is noticed");
        let what = what.downcast_ref::<String>().expect("it says what");
        assert!(what.contains("seed 2:"), "{lost:?}: {what}");
        assert!(lost.len() == 1 || what.contains("a session without its device"), "{what}");
    }
}

/// A role or a lock on a device that is gone, with everything else that was the device's.
#[test]
fn the_auditor_notices_what_was_made_on_a_device_and_stays_behind() {
    for made in [Made::Role, Made::Lock] {
        let noticed = std::panic::catch_unwind(|| {
            runtime().block_on(async {
                let machine = Machine::new(1);
                let life = machine.install().await;
                let plant = life.drive(Box::pin(Plant::build(&life))).await;
                life.drive(plant.put_device(&life, 1)).await.unwrap();
                life.drive(Box::pin(plant.put_on(&life, made, 1))).await.unwrap();
                life.drive(Box::pin(audit::audit(1, &life, &plant))).await;
                let device = machine.rows.lock().unwrap().lose_one_of(&tables::DEVICES);
                for table in [&tables::TWINS, &tables::RESOURCES] {
                    machine.rows.lock().unwrap().lose(table, &device);
                }
                life.drive(Box::pin(audit::audit(2, &life, &plant))).await;
            });
        });
        let what = noticed.expect_err("what stays behind is noticed");
        let what = what.downcast_ref::<String>().expect("it says what");
        assert!(what.contains("seed 2:") && what.contains("lies in nothing"), "{made:?}: {what}");
    }
}

/// A certificate that was given for one thing stands as the outcome of another.
#[test]
fn the_auditor_notices_a_renewal_with_a_serial_number_that_was_given_before() {
    let folder = tempfile::tempdir().unwrap();
    let request = crate::provisioning::world::csr(folder.path(), "r0", &[]);
    let noticed = std::panic::catch_unwind(|| {
        runtime().block_on(async {
            let machine = Machine::new(1);
            let life = machine.install().await;
            let plant = life.drive(Box::pin(Plant::build(&life))).await;
            life.drive(Box::pin(plant.renew(&life, 0, &request))).await.unwrap();
            life.settle(1).await;
            life.drive(Box::pin(audit::audit(1, &life, &plant))).await;
            let former = STANDARD.encode(&plant.ledger.lock().unwrap().chains["r0"][0]);
            let row = life.drive(life.store.scan(&tables::RENEWALS, "", Page::first(1))).await.unwrap().remove(0);
            let mut value = row.value().unwrap();
            let RenewalState::Issued { leaf, .. } = &row.parse::<Renewals>().unwrap().operations[0].state else {
                panic!("nothing was issued: {value}")
            };
            value = serde_json::from_str(&value.to_string().replace(leaf, &former)).unwrap();
            let mut unit = UnitOfWork::new();
            unit.put(Put::new(&tables::RENEWALS, row.key.clone(), row.columns.to_vec(), &value).unwrap());
            life.drive(life.store.commit(unit)).await.unwrap();
            life.drive(Box::pin(audit::audit(2, &life, &plant))).await;
        });
    });
    let what = noticed.expect_err("a serial number that was given before is noticed");
    let what = what.downcast_ref::<String>().expect("it says what");
    assert!(what.contains("was given twice"), "{what}");
}

/// A life that waits for what never comes is noticed from outside its paused clock, by name.
#[test]
fn the_guard_names_the_life_that_hangs() {
    let (tell, told) = tokio::sync::oneshot::channel();
    runtime().block_on(async {
        let machine = Machine::new(7);
        let life = machine.install().await;
        let guard = Guard::over("the start", Duration::from_millis(300), |stuck| tell.send(stuck).unwrap());
        guard.at("seed 7, life 2: clients at work".into());
        let hang = std::future::pending::<()>();
        let Either::Right((stuck, _)) = life.drive(select(Box::pin(hang), Box::pin(told))).await else {
            panic!("what never comes came");
        };
        assert_eq!(stuck.unwrap(), "seed 7, life 2: clients at work did not end for 300 ms: it hangs");
    });
}
