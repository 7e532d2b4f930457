//! Reads beside writes: each sees what was answered before it began, and none goes back behind another.
//!
//! Each pair of rows has one writer, whose n-th unit puts both rows with the document n, or deletes both; which
//! of the two is decided by the seed. A unique value passes from one row of the pair to the other. Readers
//! on other threads note, before each read, how far the pair is known to have come, and after it, how far it
//! was begun: what they read must lie between.

use super::*;
use std::sync::atomic::{AtomicU64, Ordering};

/// Seed of the run; a failure names it with pair and step.
const SEED: u64 = 0x5eed_0000_0000_0005;
const PAIRS: u64 = 4;
const READERS: u64 = 6;
/// Ways of reading a pair.
const WAYS: u64 = 8;
/// Units of each writer.
const UNITS: u64 = 300;

/// How far a pair of rows has come.
#[derive(Default)]
struct Pair {
    /// The unit whose commit was begun last.
    begun: AtomicU64,
    /// No read that begins now may show less than this: it was answered, or read by somebody.
    known: AtomicU64,
}

pub(super) async fn reads_see_what_was_answered(place: &dyn Place) {
    let store = open(place, "races").await;
    let pairs: Arc<Vec<Pair>> = Arc::new((0..PAIRS).map(|_| Pair::default()).collect());
    let mut tasks: Vec<BoxFuture<'static, ()>> = Vec::new();
    for number in 0..PAIRS {
        let (store, pairs) = (Arc::clone(&store), Arc::clone(&pairs));
        tasks.push(Box::pin(async move { write(&*store, &pairs[number as usize], number).await }));
    }
    for reader in 0..READERS {
        let (store, pairs) = (Arc::clone(&store), Arc::clone(&pairs));
        tasks.push(Box::pin(async move { read(&*store, &pairs, reader).await }));
    }
    place.together(tasks).await;
    for (number, pair) in (0..).zip(pairs.iter()) {
        assert_eq!(pair.known.load(Ordering::SeqCst), UNITS);
        look(&*store, pair, number, 0).await;
    }
}

/// SplitMix64: a number that depends on all of `parts`.
fn mix(parts: [u64; 3]) -> u64 {
    let mut state = SEED;
    for part in parts {
        state = state.wrapping_add(part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^= state >> 31;
    }
    state
}

/// Whether the pair's rows are there after its n-th unit; unit 0 is the empty table.
fn present(pair: u64, unit: u64) -> bool {
    unit > 0 && !mix([pair, unit, 1]).is_multiple_of(4)
}

fn names(pair: u64) -> [String; 2] {
    [format!("p{pair}-a"), format!("p{pair}-b")]
}

/// The unique value of a pair, and a prefix of it.
fn serial(pair: u64) -> (String, String) {
    (format!("serial/{pair}/x"), format!("serial/{pair}/"))
}

/// The label of the row that has the unique value.
fn label(pair: u64) -> String {
    format!("holder-{pair}")
}

/// Position of the row that has the pair's unique value after its n-th unit.
fn holder(pair: u64, unit: u64) -> usize {
    (mix([pair, unit, 2]) % 2) as usize
}

async fn write(store: &dyn Store, pair: &Pair, number: u64) {
    let ((serial, _), holds) = (serial(number), label(number));
    for n in 1..=UNITS {
        let mut unit = UnitOfWork::new();
        // Deleted first: the unique value may pass from the second row to the first.
        for key in names(number) {
            unit.delete(&THINGS, key);
        }
        if present(number, n) {
            for (position, key) in names(number).iter().enumerate() {
                let (value, colour) = match position == holder(number, n) {
                    true => (Some(serial.as_str()), holds.as_str()),
                    false => (None, "red"),
                };
                unit.put(thing(key, value, Some(colour), json!(n)));
            }
        }
        pair.begun.store(n, Ordering::SeqCst);
        store.commit(unit).await.expect("the unit commits");
        pair.known.fetch_max(n, Ordering::SeqCst);
    }
}

async fn read(store: &dyn Store, pairs: &[Pair], reader: u64) {
    let mut step = 0;
    while pairs.iter().any(|pair| pair.known.load(Ordering::SeqCst) < UNITS) {
        step += 1;
        let number = mix([reader, step, 3]) % PAIRS;
        look(store, &pairs[number as usize], number, mix([reader, step, 4]) % WAYS).await;
    }
}

/// Reads a pair in one of several ways and checks what came.
async fn look(store: &dyn Store, pair: &Pair, number: u64, way: u64) {
    let from = pair.known.load(Ordering::SeqCst);
    let names = names(number);
    let rows: Vec<Option<Arc<Row>>> = match way {
        0 | 1 => vec![get(store, &names[way as usize]).await],
        2 => store.get_many(&THINGS, &names).await.expect("get_many works"),
        3 => {
            let found = store.scan(&THINGS, &format!("p{number}-"), Page::first(10)).await;
            found.expect("the scan works").into_iter().map(Some).collect()
        }
        4 => {
            let found = store.find_one(&THINGS, "serial", &serial(number).0).await;
            vec![found.expect("the look-up works")]
        }
        5 => {
            let found = store.find(&THINGS, "colour", &label(number), Page::first(10)).await;
            found.expect("the look-up works").into_iter().map(Some).collect()
        }
        _ => {
            let (value, prefix) = serial(number);
            let prefix = if way == 6 { value } else { prefix };
            let found = store.range(&THINGS, "serial", &prefix, Page::first(10)).await;
            found.expect("the range works").into_iter().map(Some).collect()
        }
    };
    let to = pair.begun.load(Ordering::SeqCst);
    let seen: Vec<Option<u64>> = rows.iter().map(|row| row.as_ref().map(|row| unit_of(row))).collect();
    let told = format!("seed {SEED:#x}, pair {number}, way {way}: read {seen:?} where {from}..={to} was possible");
    assert!(seen.windows(2).all(|two| two[0] == two[1]), "{told}: one unit was seen in part");
    match seen.first().copied().flatten() {
        Some(unit) => {
            assert!((from..=to).contains(&unit) && present(number, unit), "{told}");
            assert_eq!(rows.len(), if matches!(way, 2 | 3) { 2 } else { 1 }, "{told}");
            check_row(&rows, way, number, unit, &told);
            pair.known.fetch_max(unit, Ordering::SeqCst);
        }
        None => {
            let absent = (from..=to).find(|unit| !present(number, *unit));
            let absent = absent.unwrap_or_else(|| not_possible(&told));
            pair.known.fetch_max(absent, Ordering::SeqCst);
        }
    }
}

fn unit_of(row: &Row) -> u64 {
    *row.parse().expect("the document is the number of its unit")
}

/// A look-up by the unique value shows the row that had it after that unit.
fn check_row(rows: &[Option<Arc<Row>>], way: u64, number: u64, unit: u64, told: &str) {
    if way > 3 {
        let key = rows[0].as_ref().map(|row| row.key.as_str());
        assert_eq!(key, Some(names(number)[holder(number, unit)].as_str()), "{told}");
    }
}

#[expect(clippy::panic, reason = "a conformance suite reports by panicking")]
fn not_possible(told: &str) -> u64 {
    panic!("{told}: a row went missing")
}
