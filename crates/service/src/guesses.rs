//! Whoever tries passwords waits. People choose theirs, so they can be guessed, from many addresses and through every process at
//! once.
//!
//! Wrong ones are counted by the name together with the address, so that nobody locks out the owner of a name from elsewhere, and
//! by the name alone for all addresses from which the right one never came: those wait together. Whoever signed in from an address
//! before is counted there only, and no stranger locks that out. A strange address is counted by itself as well, whatever names it tries.
//!
//! A process counts for itself until a person's name has cost what is free. From then on the count is a row, which every process
//! looks at and no restart forgets: each further wrong one writes it, and those are a second to a minute apart (ADR 0053). Names of
//! nobody are counted alike, so that the answers do not tell who there is, but apart and in memory only: whoever makes names up
//! fills neither the store nor the place of those that exist.

use crate::directory;
use crate::platform::{Change, Platform};
use crate::repeats::source_of;
use crate::tables::{PASSWORD_GUESSES, PRINCIPALS};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::guessing::{FORGOTTEN, LONGEST_WAIT, Recent, wait_after};
use ferrohub_model::limits;
use ferrohub_model::limits::{FAMILIAR_ADDRESSES, FREE_GUESSES, FREE_GUESSES_FROM_ANYWHERE, FREE_GUESSES_OF_ADDRESS};
use ferrohub_model::principal::Principal;
use ferrohub_store::Put;
use serde::{Deserialize, Serialize};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Seconds for which an address stays familiar after a right password: ours.
const FAMILIAR_SECONDS: i64 = 30 * 24 * 3600;
/// Seconds within which another right password from a familiar address is not written down: ours.
const SEEN_SECONDS: i64 = 24 * 3600;

/// Somebody at an address who tries the password of a name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guess<'a> {
    /// The name as it was typed.
    pub(crate) name: &'a str,
    /// Whose it is; `None` where there is nobody of that name.
    pub(crate) person: Option<&'a Principal>,
    /// Where it comes from.
    pub(crate) address: Option<IpAddr>,
}

/// Wrong ones in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    wrong: u32,
    /// Unix seconds of the last one.
    last: i64,
    /// Unix seconds before which none is looked at.
    until: i64,
}

impl Count {
    /// Both, where each may know of wrong ones that the other does not.
    fn with(self, other: Self) -> Self {
        Self { wrong: self.wrong.max(other.wrong), last: self.last.max(other.last), until: self.until.max(other.until) }
    }

    /// The same, or nothing where it is forgotten by `now`.
    fn at(self, now: i64) -> Self {
        let forgotten = now - self.last >= i64::try_from(FORGOTTEN.as_secs()).unwrap_or(i64::MAX);
        if forgotten { Self::default() } else { self }
    }

    /// With one more.
    fn and_one(self, free: u32, now: i64) -> Self {
        let wrong = self.at(now).wrong.saturating_add(1);
        let wait = i64::try_from(wait_after(wrong, free).as_secs()).unwrap_or(i64::MAX);
        // Seconds that have begun are cut off, so that a wait of one would be none.
        Self { wrong, last: now, until: if wait == 0 { now } else { now.saturating_add(wait + 1) } }
    }

    /// Seconds that are left. One that is longer than any is of a clock that was set back since.
    fn left(self, now: i64) -> i64 {
        let longest = i64::try_from(LONGEST_WAIT.as_secs() + 1).unwrap_or(i64::MAX);
        Some(self.until.saturating_sub(now)).filter(|left| (1..=longest).contains(left)).unwrap_or(0)
    }
}

/// A row of [`PASSWORD_GUESSES`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Remembered {
    /// From all strange addresses.
    anywhere: Count,
    familiar: Vec<Familiar>,
}

/// An address from which the right password came.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Familiar {
    source: String,
    /// Unix seconds at which it came last.
    at: i64,
    /// Wrong ones from there since.
    count: Count,
}

impl Remembered {
    fn familiar(&self, source: &str, now: i64) -> Option<&Familiar> {
        self.familiar.iter().find(|known| known.source == source && now - known.at < FAMILIAR_SECONDS)
    }

    /// Counts a wrong one that made the count `count`.
    fn wrong(&mut self, source: &str, count: Count, now: i64) {
        let familiar = self.familiar.iter_mut().find(|known| known.source == source);
        match familiar.filter(|known| now - known.at < FAMILIAR_SECONDS) {
            Some(known) => known.count = known.count.at(now).with(count),
            None => self.anywhere = self.anywhere.at(now).with(count),
        }
    }

    /// The right one came from there.
    fn right(&mut self, source: &str, now: i64) {
        self.familiar.retain(|known| known.source != source && now - known.at < FAMILIAR_SECONDS);
        self.familiar.sort_by_key(|known| std::cmp::Reverse(known.at));
        self.familiar.truncate(FAMILIAR_ADDRESSES - 1);
        self.familiar.push(Familiar { source: source.to_owned(), at: now, count: Count::default() });
    }
}

/// Names, or names at addresses, as numbers.
type Key = (u64, Option<u64>);

/// What one process counted of late: of names that exist, and of those that do not.
pub(crate) struct Guesses {
    hasher: RandomState,
    /// By name.
    names: [Mutex<Recent<Key, Count>>; 2],
    /// By name and address.
    places: [Mutex<Recent<Key, Count>>; 2],
    /// By address, whatever the name.
    sources: Mutex<Recent<u64, Count>>,
}

impl Default for Guesses {
    fn default() -> Self {
        let table = |_| Mutex::new(Recent::new(limits::GUESSED_NAMES));
        Self {
            hasher: RandomState::new(),
            names: std::array::from_fn(table),
            places: std::array::from_fn(table),
            sources: Mutex::new(Recent::new(limits::GUESSED_NAMES)),
        }
    }
}

impl Guesses {
    /// The key of a guess with its address, or without.
    fn key(&self, guess: &Guess<'_>, source: Option<&str>) -> Key {
        let name = match guess.person {
            Some(person) => person.id.clone(),
            None => guess.name.to_lowercase(),
        };
        (self.hasher.hash_one(name), source.map(|source| self.hasher.hash_one(source)))
    }

    fn table(&self, guess: &Guess<'_>, key: Key) -> MutexGuard<'_, Recent<Key, Count>> {
        let tables = if key.1.is_some() { &self.places } else { &self.names };
        let [exists, made_up] = tables;
        let table = if guess.person.is_some() { exists } else { made_up };
        table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, guess: &Guess<'_>, key: Key) -> Count {
        self.table(guess, key).get(&key).unwrap_or_default()
    }

    /// What somebody at `source` waits for, and how many are free of it.
    fn before(&self, guess: &Guess<'_>, known: &Remembered, source: &str, now: i64) -> (Count, u32) {
        let of = |key, known: Count| self.count(guess, key).at(now).with(known.at(now));
        match known.familiar(source, now) {
            Some(familiar) => (of(self.key(guess, Some(source)), familiar.count), FREE_GUESSES),
            None => (of(self.key(guess, None), known.anywhere), FREE_GUESSES_FROM_ANYWHERE),
        }
    }

    /// Wrong ones from an address.
    fn of_source(&self, source: &str) -> Count {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.get(&self.hasher.hash_one(source)).unwrap_or_default()
    }

    /// One more of them.
    fn one_more_from(&self, source: &str, now: i64) {
        let (key, mut sources) =
            (self.hasher.hash_one(source), self.sources.lock().unwrap_or_else(PoisonError::into_inner));
        let count = sources.get(&key).unwrap_or_default().and_one(FREE_GUESSES_OF_ADDRESS, now);
        sources.put(key, count);
    }

    /// One more where `known` is what else is known of; the count from now on. Of many at once each is counted.
    fn one_more(&self, guess: &Guess<'_>, key: Key, known: Count, free: u32, now: i64) -> Count {
        let mut table = self.table(guess, key);
        let count = table.get(&key).unwrap_or_default().at(now).with(known.at(now)).and_one(free, now);
        table.put(key, count);
        count
    }

    #[cfg(test)]
    fn keep(&self, guess: &Guess<'_>, key: Key, count: Count) {
        self.table(guess, key).put(key, count);
    }
}

/// Whether `secret` is the password of the one whom `guess` names.
///
/// # Errors
/// `Throttled` while the time for the next guess has not come, with the seconds that are left; what the store says.
pub(crate) async fn try_password(platform: &Platform, guess: Guess<'_>, secret: &str) -> Result<bool> {
    check(platform, &guess).await?;
    let place = platform.passwords.turn_of(&source(&guess)).await?;
    // Those before in the queue may have been wrong ones for the same name.
    check(platform, &guess).await?;
    let claim = claim(platform, &guess).await?;
    let stored = guess.person.and_then(|person| person.user.as_ref()).map(|user| user.password.as_str());
    let fits = place.verify(secret, stored.unwrap_or_default()).await? && guess.person.is_some();
    match fits {
        true => right(platform, &guess, claim).await,
        false if claim.is_none() => wrong(platform, &guess).await,
        false => {}
    }
    Ok(fits)
}

async fn check(platform: &Platform, guess: &Guess<'_>) -> Result<()> {
    check_known(platform, guess, &remembered(platform, guess).await?.0)
}

/// The same where `remembered` is what the store has of the person.
fn check_known(platform: &Platform, guess: &Guess<'_>, remembered: &Remembered) -> Result<()> {
    let (source, now) = (source(guess), platform.clock.unix_seconds());
    let (guesses, name) = (&platform.guesses, platform.guesses.key(guess, None));
    let here = guesses.count(guess, platform.guesses.key(guess, Some(&source)));
    let left = match remembered.familiar(&source, now) {
        Some(familiar) => familiar.count.left(now).max(here.left(now)),
        None => {
            let name = remembered.anywhere.left(now).max(guesses.count(guess, name).left(now));
            name.max(here.left(now)).max(guesses.of_source(&source).left(now))
        }
    };
    if left == 0 {
        return Ok(());
    }
    metrics::counter!("ferrohub_guesses_refused_total").increment(1);
    let text = format!("Too many wrong passwords were tried for this name. Try again in {left} seconds.");
    let mut error = Error::new(ErrorKind::Throttled, "TooManyRequests", text);
    error.retry_after_seconds = u32::try_from(left).ok();
    Err(error)
}

/// Somebody who was counted beforehand.
struct Claim {
    /// The count of all strange addresses before and with that, for a stranger.
    anywhere: Option<(Count, Count)>,
}

/// Counts somebody beforehand, as if the password were wrong, once what is free is used up: of many processes that find the wait over at
/// the same time one has the next guess, and the others wait again. `None` as long as guesses are free, or where the row cannot be written.
///
/// # Errors
/// As of [`check`].
async fn claim(platform: &Platform, guess: &Guess<'_>) -> Result<Option<Claim>> {
    let Some(person) = guess.person else { return Ok(None) };
    let (source, now) = (source(guess), platform.clock.unix_seconds());
    let mut attempts = platform.attempts();
    loop {
        attempts.begin(contended).await?;
        let Ok((known, version)) = remembered(platform, guess).await else { return Ok(None) };
        // By the row that is written: since it was looked at before, somebody else may have been counted.
        check_known(platform, guess, &known)?;
        let (count, free) = platform.guesses.before(guess, &known, &source, now);
        if count.wrong < free {
            return Ok(None);
        }
        let mut next = known.clone();
        next.wrong(&source, count.and_one(free, now), now);
        match put_row(platform, &person.id, &next, version).await {
            Ok(true) => {}
            Ok(false) if directory::by_id(platform.store.as_ref(), &person.id).await?.is_none() => return Ok(None),
            Ok(false) => continue,
            Err(error) => {
                tracing::warn!(%error, context = error.context, "who tries passwords could not be written down");
                return Ok(None);
            }
        }
        count_wrong(platform, guess, &known);
        let strange = known.familiar(&source, now).is_none();
        return Ok(Some(Claim { anywhere: strange.then_some((known.anywhere, next.anywhere)) }));
    }
}

/// Takes note of a wrong one. What cannot be written down still counts in this process.
async fn wrong(platform: &Platform, guess: &Guess<'_>) {
    let known = remembered(platform, guess).await.map(|(known, _)| known).unwrap_or_else(|error| {
        tracing::warn!(%error, context = error.context, "what was guessed before could not be read");
        Remembered::default()
    });
    let (count, free) = count_wrong(platform, guess, &known);
    if count.wrong > free {
        let (source, now) = (source(guess), platform.clock.unix_seconds());
        write(platform, guess, |known| known.wrong(&source, count, now)).await;
    }
}

/// Counts a wrong one in this process; the count that it waits for, and how many are free of it.
fn count_wrong(platform: &Platform, guess: &Guess<'_>, known: &Remembered) -> (Count, u32) {
    let (source, now, guesses) = (source(guess), platform.clock.unix_seconds(), &platform.guesses);
    let familiar = known.familiar(&source, now);
    let of_place = familiar.map(|known| known.count).unwrap_or_default();
    let here = guesses.one_more(guess, guesses.key(guess, Some(&source)), of_place, FREE_GUESSES, now);
    if familiar.is_some() {
        return (here, FREE_GUESSES);
    }
    guesses.one_more_from(&source, now);
    let name = guesses.key(guess, None);
    (guesses.one_more(guess, name, known.anywhere, FREE_GUESSES_FROM_ANYWHERE, now), FREE_GUESSES_FROM_ANYWHERE)
}

/// Takes note of the right one: the wrong ones before it from there were its owner's, and what was counted beforehand was none.
async fn right(platform: &Platform, guess: &Guess<'_>, claim: Option<Claim>) {
    let (source, now) = (source(guess), platform.clock.unix_seconds());
    let (here, name) = (platform.guesses.key(guess, Some(&source)), platform.guesses.key(guess, None));
    platform.guesses.table(guess, here).remove(&here);
    let anywhere = claim.as_ref().and_then(|claim| claim.anywhere);
    if let Some((before, _)) = anywhere {
        platform.guesses.table(guess, name).put(name, before);
    }
    let known = remembered(platform, guess).await.map(|(known, _)| known).unwrap_or_default();
    let fresh = |known: &Familiar| known.count.wrong == 0 && now - known.at < SEEN_SECONDS;
    if claim.is_some() || !known.familiar(&source, now).is_some_and(fresh) {
        write(platform, guess, |known| {
            known.right(&source, now);
            if let Some((before, _)) = anywhere.filter(|(_, with)| known.anywhere == *with) {
                known.anywhere = before;
            }
        })
        .await;
    }
}

/// Takes note that a person proved itself at an address in another way than by its password: it is no stranger there.
pub(crate) async fn seen(platform: &Platform, person: &Principal, address: Option<IpAddr>) {
    right(platform, &Guess { name: person.name(), person: Some(person), address }, None).await;
}

/// Forgets the wrong ones from strange addresses: they were for a password that somebody else has set anew.
pub(crate) async fn forgive(platform: &Platform, person: &Principal) {
    let guess = Guess { name: person.name(), person: Some(person), address: None };
    let name = platform.guesses.key(&guess, None);
    platform.guesses.table(&guess, name).remove(&name);
    if remembered(platform, &guess).await.is_ok_and(|(known, _)| known.anywhere != Count::default()) {
        write(platform, &guess, |known| known.anywhere = Count::default()).await;
    }
}

/// What the store remembers of the person, with the version of its row.
async fn remembered(platform: &Platform, guess: &Guess<'_>) -> Result<(Remembered, Option<u64>)> {
    let Some(person) = guess.person else { return Ok((Remembered::default(), None)) };
    let Some(row) = platform.store.get(&PASSWORD_GUESSES, &person.id).await? else {
        return Ok((Remembered::default(), None));
    };
    Ok((Remembered::clone(&*row.parse::<Remembered>()?), Some(row.version)))
}

fn contended() -> Error {
    Error::conflict("Many try the password of one person at the same time. Try again.")
}

/// Changes the row of the person, if it is one. Whether somebody may sign in does not hang on it, so a store that is busy is
/// no more than said.
async fn write(platform: &Platform, guess: &Guess<'_>, change: impl Fn(&mut Remembered) + Send + Sync) {
    let Some(person) = guess.person else { return };
    if let Err(error) = try_write(platform, guess, &person.id, &change).await {
        tracing::warn!(%error, context = error.context, "who tries passwords could not be written down");
    }
}

async fn try_write(
    platform: &Platform,
    guess: &Guess<'_>,
    id: &str,
    edit: &(impl Fn(&mut Remembered) + Send + Sync),
) -> Result<()> {
    let mut attempts = platform.attempts();
    loop {
        attempts.begin(contended).await?;
        let (mut known, version) = remembered(platform, guess).await?;
        edit(&mut known);
        if put_row(platform, id, &known, version).await? {
            return Ok(());
        }
        if directory::by_id(platform.store.as_ref(), id).await?.is_none() {
            return Ok(());
        }
    }
}

/// Writes the row of a person, where it is as it was read.
async fn put_row(platform: &Platform, id: &str, known: &Remembered, version: Option<u64>) -> Result<bool> {
    let mut change = Change::new();
    match version {
        Some(version) => change.unit.expect_version(&PASSWORD_GUESSES, id, version),
        None => change.unit.expect_absent(&PASSWORD_GUESSES, id),
    };
    // Whoever was deleted meanwhile leaves nothing.
    change.unit.expect_exists(&PRINCIPALS, id);
    change.unit.put(Put::new(&PASSWORD_GUESSES, id.to_owned(), Vec::new(), known)?);
    platform.try_commit(change).await
}

/// What the address of a guess is counted by.
fn source(guess: &Guess<'_>) -> String {
    source_of(guess.address.map(|address| address.to_canonical().to_string()).as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_model::principal::PrincipalKind;

    #[test]
    fn counts_of_two_processes_are_one_and_end() {
        let (here, there) = (Count { wrong: 31, last: 100, until: 101 }, Count { wrong: 33, last: 90, until: 94 });
        let both = here.with(there);
        assert_eq!(both, Count { wrong: 33, last: 100, until: 101 });
        assert_eq!(both.and_one(30, 102), Count { wrong: 34, last: 102, until: 111 });
        assert_eq!(both.at(100 + 899), both);
        assert_eq!(both.at(100 + 900), Count::default());
        assert_eq!((both.left(99), both.left(101), both.left(-4000)), (2, 0, 0), "a clock that was set back");
    }

    #[test]
    fn names_that_are_made_up_push_out_none_that_exists() {
        let guesses = Guesses::default();
        let ann = Principal::new(PrincipalKind::User, "ann's id".into(), String::new(), String::new());
        let of_ann = Guess { name: "ann@x", person: Some(&ann), address: None };
        let (name, place) = (guesses.key(&of_ann, None), guesses.key(&of_ann, Some("10.0.0.1")));
        for key in [name, place] {
            guesses.keep(&of_ann, key, Count { wrong: 20, last: 1, until: 1 });
        }
        for number in 0..2 * limits::GUESSED_NAMES {
            let made_up = format!("nobody-{number}@x");
            let guess = Guess { name: &made_up, person: None, address: None };
            for key in [guesses.key(&guess, None), guesses.key(&guess, Some("10.0.0.2"))] {
                guesses.keep(&guess, key, Count { wrong: 1, last: 1, until: 1 });
            }
        }
        assert_eq!((guesses.count(&of_ann, name).wrong, guesses.count(&of_ann, place).wrong), (20, 20));
        let stranger = Guess { person: None, ..of_ann };
        assert_ne!(guesses.key(&stranger, None), name);
    }

    #[test]
    fn few_addresses_stay_familiar() {
        let mut known = Remembered::default();
        for number in 0..40 {
            known.right(&format!("10.0.0.{number}"), number);
        }
        assert_eq!(known.familiar.len(), FAMILIAR_ADDRESSES);
        assert!(known.familiar("10.0.0.39", 40).is_some() && known.familiar("10.0.0.3", 40).is_none());
        assert!(known.familiar("10.0.0.39", 39 + FAMILIAR_SECONDS).is_none());
        known.wrong("10.0.0.39", Count { wrong: 11, last: 41, until: 42 }, 41);
        known.wrong("10.0.0.200", Count { wrong: 31, last: 41, until: 42 }, 41);
        assert_eq!((known.familiar("10.0.0.39", 41).unwrap().count.wrong, known.anywhere.wrong), (11, 31));
        known.right("10.0.0.39", 50);
        assert_eq!(known.familiar("10.0.0.39", 50).unwrap().count, Count::default());
    }
}
