//! Two processes over one store: who is connected where, and what is remembered.

use super::fixture::{World, request};
use crate::installation::{MASTER_KEY, while_time_passes};
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use ferrohub_model::device_session::{SessionKind, Subscriptions};
use ferrohub_model::error::ErrorKind;
use ferrohub_model::random::{Random, SeededRandom};
use ferrohub_pki::seal::MasterKey;
use ferrohub_service::arm::types::Types;
use ferrohub_service::hub::{self, OpenSession, SessionEvent, Telemetry};
use ferrohub_service::platform::Engines;
use ferrohub_service::tables::{DEVICE_SESSIONS, PROCESSES, TWINS};
use ferrohub_service::{Service, StartConfig, worker};
use ferrohub_store::{Page, Store, StoreError};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const TWIN: Subscriptions =
    Subscriptions { twin: true, desired: false, credentials: false, device_bound: false, inputs: false };

/// A process with its worker, over the engines of a world.
struct Process {
    service: Arc<Service>,
    worker: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Process {
    async fn start(world: &World) -> Self {
        let first = world.platform();
        let engines = Engines {
            store: first.store.clone(),
            log: first.log.clone(),
            bus: first.bus.clone(),
            clock: first.clock.clone(),
            random: first.random.clone(),
            keys: None,
        };
        let config = StartConfig {
            settings: first.settings.clone(),
            master_key: MasterKey::from_bytes(&MASTER_KEY).unwrap(),
            owner_file_missing: false,
            types: Types::built_in(),
            webhooks: None,
        };
        let started = Service::start(engines, config).await.unwrap();
        let (service, platform) = (started.service, started.platform);
        let (stop, stopped) = watch::channel(false);
        let worker = tokio::spawn(worker::run(platform, stopped));
        Self { service, worker, stop }
    }

    async fn connect(&self, world: &World, id: &str, kind: SessionKind) -> OpenSession {
        let token = world.policy_token(super::fixture::HOST, "device");
        self.service.hub.open(request(id, Some(token), Vec::new()), kind).await.unwrap()
    }

    async fn device(&self, world: &World, id: &str) -> Value {
        self.service.hub.get_device(&world.caller, &world.hub, id).await.unwrap()
    }

    async fn shows(&self, world: &World, id: &str) -> bool {
        self.device(world, id).await["connectionState"] == "Connected"
    }

    /// Lets time pass until this process shows the device so.
    async fn comes_to(&self, world: &World, id: &str, connected: bool) {
        for _ in 0..1000 {
            if self.shows(world, id).await == connected {
                return;
            }
            pass(world, 100).await;
        }
        panic!("{id} is still shown as connected = {}", !connected);
    }

    /// Ends in order.
    async fn stop(self, world: &World) {
        self.stop.send(true).unwrap();
        while_time_passes(&world.clock, self.worker).await.unwrap();
    }

    /// Ends like the power.
    fn die(&self) {
        self.worker.abort();
    }
}

/// Lets so many milliseconds pass, and what they set off happen.
async fn pass(world: &World, milliseconds: u64) {
    world.clock.advance(Duration::from_millis(milliseconds));
    SystemClock.sleep(Duration::from_millis(2)).await;
}

/// Waits until every process has renewed its lease, which takes them a while where the machine is busy: a third of its 30 seconds is left.
async fn all_renew(world: &World) {
    for round in 1..=10_000 {
        let rows = world.store.scan(&PROCESSES, "", Page::first(100)).await.unwrap();
        let until = |row: &Arc<ferrohub_store::Row>| row.value().unwrap()["until"].as_i64().unwrap();
        let fresh = world.now().as_microsecond() + 10_000_000;
        if rows.iter().all(|row| until(row) > fresh) {
            return;
        }
        // One that was slow to write its last renewal counts its third from when it had, so some time has to pass, far slower than its lease.
        if round % 200 == 0 {
            world.clock.advance(Duration::from_millis(100));
        }
        SystemClock.sleep(Duration::from_millis(1)).await;
    }
    panic!("a process does not renew its lease");
}

async fn rows(world: &World, table: &'static ferrohub_store::Table) -> usize {
    world.store.scan(table, "", Page::first(1000)).await.unwrap().len()
}

#[tokio::test]
async fn those_that_are_connected_are_counted_and_found() {
    let world = World::new().await;
    for id in ["d", "e"] {
        world.sas_device(id).await;
    }
    let one = Process::start(&world).await;
    let hubs = &one.service.hub;
    let connected = async || hubs.service_statistics(&world.caller, &world.hub).await.unwrap();
    assert_eq!(connected().await, json!({"connectedDeviceCount": 0}));
    let session = one.connect(&world, "d", SessionKind::Clean).await;
    assert_eq!(connected().await, json!({"connectedDeviceCount": 1}));
    let query = "SELECT * FROM devices WHERE connectionState = 'Connected'";
    let found = hubs.query(&world.caller, &world.hub, query, &Default::default()).await.unwrap();
    assert_eq!(found.items.iter().map(|item| &item["deviceId"]).collect::<Vec<_>>(), ["d"]);
    drop(session);
    assert_eq!(connected().await, json!({"connectedDeviceCount": 0}));

    // Of another process by its rows, which are not gone through with every question; of each hub its own.
    let other = Process::start(&world).await;
    let (own, session) =
        (one.connect(&world, "d", SessionKind::Clean).await, other.connect(&world, "e", SessionKind::Clean).await);
    one.comes_to(&world, "e", true).await;
    pass(&world, 5_000).await;
    assert_eq!(connected().await, json!({"connectedDeviceCount": 2}));
    let reads = world.store.reads();
    assert_eq!(connected().await, json!({"connectedDeviceCount": 2}));
    assert!(world.store.reads() - reads <= 2, "{}", world.store.reads() - reads);
    super::fixture::put_hub(&world, "hub2", serde_json::Map::new()).await;
    let second = hubs.by_host("hub2.azure-devices.localhost").await.unwrap();
    let caller = world.caller_of(&second).await;
    let count = hubs.service_statistics(&caller, &second).await.unwrap();
    assert_eq!(count, json!({"connectedDeviceCount": 0}));
    drop((own, session));
    other.stop(&world).await;
    one.stop(&world).await;
}

#[tokio::test]
async fn a_process_shows_its_own_at_once_and_the_others_soon() {
    let world = World::new().await;
    world.sas_device("d").await;
    let (one, other) = (Process::start(&world).await, Process::start(&world).await);
    let session = one.connect(&world, "d", SessionKind::Clean).await;
    assert!(one.shows(&world, "d").await && !other.shows(&world, "d").await);
    other.comes_to(&world, "d", true).await;
    let own = one.device(&world, "d").await;
    assert_eq!(own["connectionStateUpdatedTime"], "2026-11-20T10:00:00.0000000Z");
    assert_eq!(other.device(&world, "d").await, own);

    // Activity is written rarely, and telemetry does not wait for it.
    for _ in 0..4 {
        pass(&world, 74_000).await;
        session.publish(&[Telemetry::default()]).await.unwrap();
    }
    let heard = async |process: &Process| process.device(&world, "d").await["lastActivityTime"].clone();
    assert_ne!(heard(&one).await, heard(&other).await);
    pass(&world, 10_000).await;
    session.publish(&[Telemetry::default()]).await.unwrap();
    for _ in 0..1000 {
        if heard(&one).await == heard(&other).await {
            break;
        }
        pass(&world, 100).await;
    }
    assert_eq!(heard(&one).await, heard(&other).await);

    drop(session);
    assert!(!one.shows(&world, "d").await);
    other.comes_to(&world, "d", false).await;
    assert_eq!(other.device(&world, "d").await, one.device(&world, "d").await);
}

#[tokio::test]
async fn a_device_that_moves_is_connected_where_it_is() {
    let world = World::new().await;
    world.sas_device("d").await;
    let (one, other) = (Process::start(&world).await, Process::start(&world).await);
    let first = one.connect(&world, "d", SessionKind::Clean).await;
    other.comes_to(&world, "d", true).await;
    let second = other.connect(&world, "d", SessionKind::Clean).await;
    assert!(other.shows(&world, "d").await);
    one.comes_to(&world, "d", true).await;
    // The old session is not polled: it does not know yet that it lost the device.
    for _ in 0..50 {
        pass(&world, 100).await;
        assert!(one.shows(&world, "d").await && other.shows(&world, "d").await);
    }
    drop(first);
    for _ in 0..50 {
        pass(&world, 100).await;
        assert!(one.shows(&world, "d").await && other.shows(&world, "d").await);
    }
    let third = one.connect(&world, "d", SessionKind::Clean).await;
    drop(second);
    other.comes_to(&world, "d", true).await;
    drop(third);
    other.comes_to(&world, "d", false).await;
    assert!(!one.shows(&world, "d").await);
}

#[tokio::test]
async fn devices_of_a_process_that_died_are_not_connected_for_ever() {
    let world = World::new().await;
    world.sas_device("d").await;
    let (one, other) = (Process::start(&world).await, Process::start(&world).await);
    let _session = one.connect(&world, "d", SessionKind::Clean).await;
    other.comes_to(&world, "d", true).await;
    // As long as the process lives, so does what it says.
    for _ in 0..60 {
        pass(&world, 1000).await;
        all_renew(&world).await;
    }
    assert!(other.shows(&world, "d").await);
    one.die();
    // What it had handed to the store is written before this is.
    world.sas_device("later").await;
    let died = world.now();
    pass(&world, 15_000).await;
    assert!(other.shows(&world, "d").await, "half a minute is not over");
    pass(&world, 15_000).await;
    pass(&world, 1).await;
    let shown = other.device(&world, "d").await;
    assert_eq!(shown["connectionState"], "Disconnected");
    let since: jiff::Timestamp = shown["connectionStateUpdatedTime"].as_str().unwrap().parse().unwrap();
    assert!(since > died && since < world.now(), "{since}");
    // The sweep takes it off the list and says the same; the one after it, where the dead process was the last to write up to
    // when sweeps look.
    for _ in 0..1400 {
        if rows(&world, &PROCESSES).await == 0 {
            break;
        }
        pass(&world, 1000).await;
    }
    assert_eq!(rows(&world, &PROCESSES).await, 0);
    let row = world.store.scan(&DEVICE_SESSIONS, "", Page::first(1)).await.unwrap().pop().unwrap();
    assert_eq!(row.columns, [None], "no row names it any more");
    assert_eq!(other.device(&world, "d").await, shown);
    // It may come back to any process.
    let session = other.connect(&world, "d", SessionKind::Clean).await;
    assert!(other.shows(&world, "d").await);
    drop(session);
}

#[tokio::test]
async fn a_process_that_stops_in_order_leaves_nobody_connected() {
    let world = World::new().await;
    for id in ["gone", "open"] {
        world.sas_device(id).await;
    }
    let (one, other) = (Process::start(&world).await, Process::start(&world).await);
    let gone = one.connect(&world, "gone", SessionKind::Clean).await;
    let _open = one.connect(&world, "open", SessionKind::Clean).await;
    other.comes_to(&world, "open", true).await;
    drop(gone);
    one.stop(&world).await;
    assert!(!other.shows(&world, "gone").await && !other.shows(&world, "open").await);
    assert_eq!((rows(&world, &PROCESSES).await, rows(&world, &DEVICE_SESSIONS).await), (0, 2));
}

#[tokio::test]
async fn a_process_that_was_taken_for_dead_says_everything_anew() {
    let world = World::new().await;
    world.sas_device("d").await;
    let (one, other) = (Process::start(&world).await, Process::start(&world).await);
    let _session = one.connect(&world, "d", SessionKind::Clean).await;
    other.comes_to(&world, "d", true).await;
    // What a sweep of another process writes.
    let row = world.store.scan(&DEVICE_SESSIONS, "", Page::first(1)).await.unwrap().pop().unwrap();
    let process = row.columns[0].clone().unwrap();
    let mut unit = ferrohub_store::UnitOfWork::new();
    unit.delete(&PROCESSES, process);
    unit.put(ferrohub_store::Put::new(&DEVICE_SESSIONS, row.key.clone(), vec![None], &json!({"updated": 1})).unwrap());
    world.store.commit(unit).await.unwrap();
    assert!(!other.shows(&world, "d").await && one.shows(&world, "d").await);
    other.comes_to(&world, "d", true).await;
}

#[tokio::test]
async fn a_busy_store_delays_and_closes_nothing() {
    let world = World::new().await;
    for id in ["comes", "goes"] {
        world.sas_device(id).await;
    }
    let (one, other) = (Process::start(&world).await, Process::start(&world).await);
    let goes = one.connect(&world, "goes", SessionKind::Clean).await;
    other.comes_to(&world, "goes", true).await;
    let mut comes = one.connect(&world, "comes", SessionKind::Clean).await;
    world.store.fail(Some(StoreError::Busy));
    drop(goes);
    for _ in 0..50 {
        pass(&world, 500).await;
    }
    assert!(world.store.refusals() > 2, "the writer tried");
    world.store.fail(None);
    comes.publish(&[Telemetry::default()]).await.unwrap();
    other.comes_to(&world, "goes", false).await;
    other.comes_to(&world, "comes", true).await;
    let event = ferrohub_model::clock::timeout(&SystemClock, Duration::from_millis(50), comes.next_event()).await;
    assert!(event.is_err(), "{event:?}");
}

#[tokio::test]
async fn a_deleted_device_leaves_no_row() {
    let world = World::new().await;
    for id in ["deleted", "purged"] {
        world.sas_device(id).await;
    }
    let one = Process::start(&world).await;
    let deleted = one.connect(&world, "deleted", SessionKind::Lasting).await;
    deleted.connection().remember(TWIN).await.unwrap();
    let _purged = one.connect(&world, "purged", SessionKind::Clean).await;
    while rows(&world, &DEVICE_SESSIONS).await < 2 {
        pass(&world, 100).await;
    }
    one.service.hub.delete_device(&world.caller, &world.hub, "deleted", None).await.unwrap();
    assert_eq!(rows(&world, &DEVICE_SESSIONS).await, 1);
    // Neither the end of its connection nor what it still asks for brings the row back.
    let late = Subscriptions { desired: true, ..TWIN };
    assert_eq!(deleted.connection().remember(late).await.unwrap_err().kind, ErrorKind::NotFound);
    drop(deleted);
    hub::purge(world.platform(), &world.caller, &world.made).await.unwrap();
    for _ in 0..30 {
        pass(&world, 100).await;
    }
    assert_eq!((rows(&world, &DEVICE_SESSIONS).await, rows(&world, &TWINS).await), (0, 0));
}

#[tokio::test]
async fn what_a_lasting_session_wants_is_found_by_any_process() {
    let world = World::new().await;
    world.sas_device("d").await;
    let (one, other) = (Process::start(&world).await, Process::start(&world).await);
    let twin_before = one.service.hub.get_twin(&world.caller, &world.hub, "d").await.unwrap();
    let first = one.connect(&world, "d", SessionKind::Lasting).await;
    assert_eq!(first.remembered(), None);
    first.connection().remember(TWIN).await.unwrap();
    let twin_after = one.service.hub.get_twin(&world.caller, &world.hub, "d").await.unwrap();
    assert_eq!((&twin_after["etag"], &twin_after["version"]), (&twin_before["etag"], &twin_before["version"]));
    let version = async || world.store.scan(&DEVICE_SESSIONS, "", Page::first(1)).await.unwrap()[0].version;
    let before = version().await;
    for _ in 0..10 {
        first.connection().remember(TWIN).await.unwrap();
    }
    assert_eq!(version().await, before, "what changes nothing is not written");

    let second = other.connect(&world, "d", SessionKind::Lasting).await;
    assert_eq!(second.remembered(), Some(TWIN));
    let refused = first.connection().remember(Subscriptions::default()).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Unauthenticated, "who lost the device wants nothing more");
    let more = Subscriptions { desired: true, ..TWIN };
    second.connection().remember(more).await.unwrap();
    assert_eq!(one.connect(&world, "d", SessionKind::Lasting).await.remembered(), Some(more));

    // A clean session forgets, remembers nothing of its own, and takes no longer-lived state away from the connection.
    let clean = other.connect(&world, "d", SessionKind::Clean).await;
    assert_eq!(clean.remembered(), None);
    clean.connection().remember(more).await.unwrap();
    assert_eq!(one.connect(&world, "d", SessionKind::Lasting).await.remembered(), None);
}

#[tokio::test]
async fn a_resumed_session_hears_of_changes_since_it_is_back() {
    let world = World::new().await;
    world.sas_device("d").await;
    let (one, other) = (Process::start(&world).await, Process::start(&world).await);
    let first = one.connect(&world, "d", SessionKind::Lasting).await;
    first.connection().remember(Subscriptions { desired: true, ..TWIN }).await.unwrap();
    drop(first);
    let patch = async |rate: u64| {
        let body = json!({"properties": {"desired": {"rate": rate}}});
        one.service.hub.patch_twin(&world.caller, &world.hub, "d", &body, None).await.unwrap();
    };
    patch(1).await;
    let mut second = other.connect(&world, "d", SessionKind::Lasting).await;
    assert!(second.remembered().unwrap().desired);
    patch(2).await;
    let event = ferrohub_model::clock::timeout(&SystemClock, Duration::from_secs(5), second.next_event()).await;
    assert_eq!(event.unwrap(), SessionEvent::Desired { version: 3, patch: json!({"rate": 2, "$version": 3}) });
}

#[tokio::test]
async fn only_who_had_a_lasting_session_pays_for_a_look() {
    let world = World::new().await;
    for id in ["plain", "lasting"] {
        world.sas_device(id).await;
    }
    // No worker, whose reads would be counted too.
    let connect = async |id: &str, kind| {
        let token = world.policy_token(super::fixture::HOST, "device");
        world.service().open(request(id, Some(token), Vec::new()), kind).await.unwrap()
    };
    let reads = async |id: &str, kind| {
        drop(connect(id, kind).await);
        let before = world.store.reads();
        drop(connect(id, kind).await);
        world.store.reads() - before
    };
    let plain = reads("plain", SessionKind::Clean).await;
    assert_eq!(reads("plain", SessionKind::Lasting).await, plain);
    assert_eq!(reads("lasting", SessionKind::Clean).await, plain);
    let session = connect("lasting", SessionKind::Lasting).await;
    session.connection().remember(TWIN).await.unwrap();
    drop(session);
    assert_eq!(reads("lasting", SessionKind::Lasting).await, plain + 1);
}

/// Many devices go from one process to the other, some away, while the store is busy now and then; in the end every process
/// shows each where it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_devices_move_and_each_ends_where_it_is() {
    const DEVICES: usize = 300;
    let world = World::new().await;
    // Who meets another writer waits a moment before the next attempt.
    world.let_time_pass();
    for number in 0..DEVICES {
        world.sas_device(&format!("d{number}")).await;
    }
    let processes = [Process::start(&world).await, Process::start(&world).await];
    let random = SeededRandom::new(19);
    let below = |limit: u64| {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % limit).unwrap()
    };
    let mut sessions: Vec<Option<OpenSession>> = (0..DEVICES).map(|_| None).collect();
    let mut late = Vec::new();
    for step in 0..3000 {
        let number = below(DEVICES as u64);
        let id = format!("d{number}");
        // An old session learns late that it lost the device.
        late.extend(sessions[number].take());
        if below(3) > 0 {
            let kind = if below(2) == 0 { SessionKind::Clean } else { SessionKind::Lasting };
            let session = processes[below(2)].connect(&world, &id, kind).await;
            session.connection().remember(TWIN).await.unwrap();
            sessions[number] = Some(session);
        } else {
            late.retain(|session: &OpenSession| session.connection().device_id() != id);
        }
        if late.len() > 100 {
            late.swap_remove(below(100));
        }
        match step % 100 {
            50 => world.clock.advance(Duration::from_millis(1500)),
            60 => {
                world.store.fail(Some(StoreError::Busy));
                SystemClock.sleep(Duration::from_millis(3)).await;
                world.store.fail(None);
            }
            _ => {}
        }
    }
    drop(late);
    for (number, session) in sessions.iter().enumerate() {
        for process in &processes {
            process.comes_to(&world, &format!("d{number}"), session.is_some()).await;
        }
    }
    // And it stays so.
    for _ in 0..50 {
        pass(&world, 200).await;
    }
    for (number, session) in sessions.iter().enumerate() {
        for process in &processes {
            assert_eq!(process.shows(&world, &format!("d{number}")).await, session.is_some(), "d{number}");
        }
    }
    drop(sessions);
    for process in processes {
        process.stop(&world).await;
    }
    assert_eq!(rows(&world, &PROCESSES).await, 0);
}
