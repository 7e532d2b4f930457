//! Sessions of browsers: a person that signed in and need not do so again for a while. A row each, found by what a cookie holds.
//!
//! A session ends by itself (hours without use, a day in all), by signing out, and with whatever ends a person's tokens: another
//! password, a revocation, being disabled or deleted. Programs that were signed in with it outlive it; its row stays as long as one of
//! them does, so that signing out finds them, and the next session of the browser takes them over.

use super::oauth::OAuthError;
use super::person::refuse_who_may_not;
use super::ticket::{Shown, Ticket};
use super::{Authenticator, chains};
use crate::directory;
use crate::platform::{Change, Platform};
use crate::tables::{REFRESH_CHAINS, SESSIONS};
use ferrohub_model::error::Result;
use ferrohub_model::limits::{READ_ROWS, SESSIONS_OF_A_PERSON};
use ferrohub_model::principal::{Principal, PrincipalKind};
use ferrohub_store::{Page, Pages, Put, Row};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Seconds without use after which a session has ended: ours.
const IDLE_SECONDS: i64 = 8 * 3600;
/// Seconds after which a session has ended: Entra's refresh tokens of single-page applications live as long.
pub(super) const SESSION_SECONDS: i64 = 24 * 3600;
/// Seconds within which another use is not written down: ours.
const USE_SECONDS: i64 = 60;

/// A row of [`SESSIONS`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BrowserSession {
    /// SHA-256 of the cookie's secret.
    hash: String,
    /// Object id of the person.
    pub(super) person: String,
    /// [`Principal::generation`] of the person when it signed in.
    #[serde(default)]
    generation: u64,
    /// Unix seconds at which the person signed in.
    pub(super) made: i64,
    /// Unix seconds of the last use.
    used: i64,
}

/// A session that counts.
pub(super) struct Living {
    /// Key of its row.
    pub(super) id: String,
    pub(super) session: BrowserSession,
    pub(super) person: Arc<Principal>,
}

/// A session that begins.
pub(super) struct Begun {
    pub(super) living: Living,
    /// What the cookie holds.
    pub(super) cookie: Zeroizing<String>,
    /// Keys of the sessions that end for it.
    ended: Vec<String>,
}

impl Authenticator {
    /// Begins a session of a person who just proved to be one, in the browser with this cookie.
    ///
    /// # Errors
    /// `invalid_grant` where the person is not as it was when its password was looked at.
    pub(super) async fn begin_session(&self, person: &Principal, cookie: Option<&str>) -> Result<Begun, OAuthError> {
        let mut change = Change::new();
        let begun = self.add_session(person, cookie, &mut change).await?;
        if !self.expect_as_judged(person, &mut change).await? || !self.platform.try_commit(change).await? {
            return Err(chains::revoked());
        }
        Ok(begun)
    }

    /// Lets `change`, which sees to it that the person is as it was judged, begin a session. The former one of the browser with this
    /// cookie takes no place: it is replaced ([`Self::settle_session`]), or ends at once where it is another person's. The oldest ones
    /// of a person that has too many end.
    pub(super) async fn add_session(
        &self,
        person: &Principal,
        cookie: Option<&str>,
        change: &mut Change,
    ) -> Result<Begun> {
        let (ticket, now) = (Ticket::new(&self.platform), self.now());
        let session = BrowserSession {
            hash: ticket.hash,
            person: person.id.clone(),
            generation: person.generation,
            made: now,
            used: now,
        };
        change.unit.put(put(&ticket.id, &session)?);
        let former = self.session_of(cookie).await?;
        let own = former.as_ref().filter(|(_, former)| former.person == person.id).map(|(id, _)| id.as_str());
        let mut ended = self.too_many(&person.id, own).await?;
        if own.is_none() {
            ended.extend(former.map(|(id, _)| id));
        }
        for id in &ended {
            change.unit.delete(&SESSIONS, id.clone());
        }
        let living = Living { id: ticket.id, session, person: Arc::new(person.clone()) };
        Ok(Begun { living, cookie: ticket.text, ended })
    }

    /// Keys of the oldest sessions of a person, as many as are too many with another one; `own` is replaced by that, and does not count.
    async fn too_many(&self, person: &str, own: Option<&str>) -> Result<Vec<String>> {
        let store = self.platform.store.as_ref();
        let held = store.count(&SESSIONS, "person", person).await?.saturating_sub(own.is_some().into());
        let Some(more) = held.checked_sub(SESSIONS_OF_A_PERSON) else { return Ok(Vec::new()) };
        // Two that begin at once may both find room, so there may be some more.
        let more = usize::try_from(more + 1).unwrap_or(READ_ROWS).min(READ_ROWS - 1);
        // In the order of their keys, which is that of time.
        let oldest = store.find(&SESSIONS, "person", person, Page::first(more + 1)).await?;
        Ok(oldest.iter().map(|row| row.key.clone()).filter(|key| Some(key.as_str()) != own).take(more).collect())
    }

    /// Sees to what a session that began leaves behind: the programs of those that ended for it are signed out, the former session of
    /// the same person in that browser is replaced.
    pub(super) async fn settle_session(&self, cookie: Option<&str>, begun: &Begun) -> Result<()> {
        for ended in &begun.ended {
            chains::end_where(&self.platform, "session", ended).await?;
        }
        self.replace_session(cookie, &begun.living).await
    }

    /// The session of a cookie, whether it counts or not, with its key.
    async fn session_of(&self, cookie: Option<&str>) -> Result<Option<(String, BrowserSession)>> {
        let Some(shown) = cookie.and_then(Shown::of) else { return Ok(None) };
        let Some(row) = self.platform.store.get(&SESSIONS, &shown.id).await? else { return Ok(None) };
        let session = BrowserSession::clone(&*row.parse::<BrowserSession>()?);
        Ok(shown.fits(&session.hash).then_some((shown.id, session)))
    }

    /// The session of a cookie, where it counts; its use is written down.
    pub(super) async fn session(&self, cookie: Option<&str>) -> Result<Option<Living>> {
        let Some(shown) = cookie.and_then(Shown::of) else { return Ok(None) };
        let Some(living) = self.living_session(&shown.id).await? else { return Ok(None) };
        Ok(Some(living).filter(|living| shown.fits(&living.session.hash)))
    }

    /// The session with this id, where it counts.
    pub(super) async fn living_session(&self, id: &str) -> Result<Option<Living>> {
        let Some(row) = self.platform.store.get(&SESSIONS, id).await? else { return Ok(None) };
        let (session, now) = (row.parse::<BrowserSession>()?, self.now());
        if has_ended(&session, now) {
            return Ok(None);
        }
        let found = directory::by_id(self.platform.store.as_ref(), &session.person).await?;
        let Some(person) = found.filter(|found| found.kind == PrincipalKind::User) else { return Ok(None) };
        if refuse_who_may_not(&person).is_err() || session.generation != person.generation {
            return Ok(None);
        }
        let mut session = BrowserSession::clone(&session);
        if now - session.used >= USE_SECONDS {
            session.used = now;
            let mut change = Change::new();
            change.unit.expect_version(&SESSIONS, id, row.version);
            change.unit.put(put(id, &session)?);
            // Who lost against another use, or the end, has nothing to add.
            self.platform.try_commit(change).await?;
        }
        Ok(Some(Living { id: id.to_owned(), session, person }))
    }

    /// Ends the session of the same person that a browser had before `living`, of which its cookie tells. What was signed in with it
    /// belongs to the new one.
    async fn replace_session(&self, cookie: Option<&str>, living: &Living) -> Result<()> {
        let platform = &self.platform;
        let former = self.session_of(cookie).await?;
        let Some((id, _)) = former.filter(|(id, it)| *id != living.id && it.person == living.session.person) else {
            return Ok(());
        };
        chains::hand_over(platform, &id, &living.id).await?;
        let mut change = Change::new();
        change.unit.delete(&SESSIONS, id.clone());
        platform.commit(change).await?;
        // After the session: a chain that is begun from now on finds none.
        chains::hand_over(platform, &id, &living.id).await
    }

    /// Ends the session of a cookie, and every refresh token that came of it. Whose it was.
    pub(super) async fn end_session(&self, cookie: Option<&str>) -> Result<Option<String>> {
        let Some((id, session)) = self.session_of(cookie).await? else { return Ok(None) };
        let mut change = Change::new();
        change.unit.delete(&SESSIONS, id.clone());
        self.platform.commit(change).await?;
        // After the session: a chain that is begun meanwhile finds none.
        chains::end_where(&self.platform, "session", &id).await?;
        Ok(Some(session.person))
    }
}

/// Takes away every session and every refresh token of a person, which have ended with its [`Principal::generation`]: so that what
/// counts for nothing takes no place.
///
/// # Errors
/// When the store fails.
pub(crate) async fn end_all_of(platform: &Platform, person: &str) -> Result<()> {
    end_all_but(platform, person, None).await
}

/// The same, but for the session with the key `begun`, which began with the present generation.
///
/// # Errors
/// When the store fails.
pub(super) async fn end_all_but(platform: &Platform, person: &str, begun: Option<&str>) -> Result<()> {
    let mut pages = Pages::find(platform.store.as_ref(), &SESSIONS, "person", person, READ_ROWS);
    while let Some(rows) = pages.next().await? {
        let mut change = Change::new();
        for row in rows.iter().filter(|row| Some(row.key.as_str()) != begun) {
            change.unit.delete(&SESSIONS, row.key.clone());
        }
        platform.commit(change).await?;
    }
    chains::end_where(platform, "person", person).await
}

/// Takes away the rows of sessions that had ended by `now` (Unix seconds) and of which no program is signed in any more; how many.
///
/// # Errors
/// When the store fails.
pub(crate) async fn sweep(platform: &Platform, now: i64) -> Result<usize> {
    let mut swept = 0;
    let mut pages = Pages::scan(platform.store.as_ref(), &SESSIONS, "", READ_ROWS);
    while let Some(rows) = pages.next().await? {
        for row in rows.iter().filter(|row| ended(row, now)) {
            if platform.store.count(&REFRESH_CHAINS, "session", &row.key).await? > 0 {
                continue;
            }
            let mut change = Change::new();
            change.unit.expect_version(&SESSIONS, row.key.clone(), row.version);
            change.unit.delete(&SESSIONS, row.key.clone());
            swept += usize::from(platform.try_commit(change).await?);
        }
    }
    Ok(swept)
}

fn ended(row: &Row, now: i64) -> bool {
    row.parse::<BrowserSession>().is_ok_and(|session| has_ended(&session, now))
}

fn has_ended(session: &BrowserSession, now: i64) -> bool {
    now >= session.made + SESSION_SECONDS || now >= session.used + IDLE_SECONDS
}

fn put(id: &str, session: &BrowserSession) -> Result<Put> {
    Ok(Put::new(&SESSIONS, id.to_owned(), vec![Some(session.person.clone())], session)?)
}
