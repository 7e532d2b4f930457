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
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{READ_ROWS, SESSIONS_OF_A_PERSON};
use ferrohub_model::principal::{Principal, PrincipalKind};
use ferrohub_store::{Pages, Put, Row};
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
pub(super) struct Session {
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
    pub(super) session: Session,
    pub(super) person: Arc<Principal>,
}

impl Authenticator {
    /// Begins a session of a person who just proved to be one: its id and what the cookie holds. The oldest one of a person that has
    /// too many ends.
    ///
    /// # Errors
    /// `invalid_grant` where the person is not as it was when its password was looked at.
    pub(super) async fn begin_session(
        &self,
        person: &Principal,
    ) -> std::result::Result<(Living, Zeroizing<String>), OAuthError> {
        let platform = &self.platform;
        let (ticket, now) = (Ticket::new(platform), self.now());
        let session = Session {
            hash: ticket.hash,
            person: person.id.clone(),
            generation: person.generation,
            made: now,
            used: now,
        };
        let mut change = Change::new();
        change.unit.put(put(&ticket.id, &session)?);
        if !self.expect_as_judged(person, &mut change).await? {
            return Err(chains::revoked());
        }
        let mut oldest = None;
        let held = platform.store.count(&SESSIONS, "person", &person.id).await.map_err(Error::from)?;
        if held >= SESSIONS_OF_A_PERSON {
            // In the order of their keys, which is that of time.
            let mut pages = Pages::find(platform.store.as_ref(), &SESSIONS, "person", &person.id, 1);
            for row in pages.next().await.map_err(Error::from)?.unwrap_or_default() {
                change.unit.delete(&SESSIONS, row.key.clone());
                oldest = Some(row.key.clone());
            }
        }
        if !platform.try_commit(change).await? {
            return Err(chains::revoked());
        }
        if let Some(oldest) = oldest {
            chains::end_where(platform, "session", &oldest).await?;
        }
        Ok((Living { id: ticket.id, session, person: Arc::new(person.clone()) }, ticket.text))
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
        let (session, now) = (row.parse::<Session>()?, self.now());
        if has_ended(&session, now) {
            return Ok(None);
        }
        let found = directory::by_id(self.platform.store.as_ref(), &session.person).await?;
        let Some(person) = found.filter(|found| found.kind == PrincipalKind::User) else { return Ok(None) };
        if refuse_who_may_not(&person).is_err() || session.generation != person.generation {
            return Ok(None);
        }
        let mut session = Session::clone(&session);
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

    /// Ends the session that a browser had before `living`, of which its cookie tells. What was signed in with it belongs to the new one
    /// where the person is the same, and ends otherwise: nobody could sign it out in that browser any more.
    pub(super) async fn replace_session(&self, cookie: Option<&str>, living: &Living) -> Result<()> {
        let platform = &self.platform;
        let Some(shown) = cookie.and_then(Shown::of).filter(|shown| shown.id != living.id) else { return Ok(()) };
        let Some(row) = platform.store.get(&SESSIONS, &shown.id).await? else { return Ok(()) };
        let former = row.parse::<Session>()?;
        if !shown.fits(&former.hash) {
            return Ok(());
        }
        let same = former.person == living.session.person;
        if same {
            chains::hand_over(platform, &shown.id, &living.id).await?;
        }
        let mut change = Change::new();
        change.unit.delete(&SESSIONS, shown.id.clone());
        platform.commit(change).await?;
        // After the session: a chain that is begun from now on finds none.
        match same {
            true => chains::hand_over(platform, &shown.id, &living.id).await,
            false => chains::end_where(platform, "session", &shown.id).await,
        }
    }

    /// Ends the session of a cookie, and every refresh token that came of it. Whose it was.
    pub(super) async fn end_session(&self, cookie: Option<&str>) -> Result<Option<String>> {
        let Some(shown) = cookie.and_then(Shown::of) else { return Ok(None) };
        let Some(row) = self.platform.store.get(&SESSIONS, &shown.id).await? else { return Ok(None) };
        let session = row.parse::<Session>()?;
        if !shown.fits(&session.hash) {
            return Ok(None);
        }
        let mut change = Change::new();
        change.unit.delete(&SESSIONS, shown.id.clone());
        self.platform.commit(change).await?;
        // After the session: a chain that is begun meanwhile finds none.
        chains::end_where(&self.platform, "session", &shown.id).await?;
        Ok(Some(session.person.clone()))
    }
}

/// Takes away every session and every refresh token of a person, which have ended with its [`Principal::generation`]: so that what
/// counts for nothing takes no place.
///
/// # Errors
/// When the store fails.
pub(crate) async fn end_all_of(platform: &Platform, person: &str) -> Result<()> {
    let mut pages = Pages::find(platform.store.as_ref(), &SESSIONS, "person", person, READ_ROWS);
    while let Some(rows) = pages.next().await? {
        let mut change = Change::new();
        for row in rows {
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
    row.parse::<Session>().is_ok_and(|session| has_ended(&session, now))
}

fn has_ended(session: &Session, now: i64) -> bool {
    now >= session.made + SESSION_SECONDS || now >= session.used + IDLE_SECONDS
}

fn put(id: &str, session: &Session) -> Result<Put> {
    Ok(Put::new(&SESSIONS, id.to_owned(), vec![Some(session.person.clone())], session)?)
}
