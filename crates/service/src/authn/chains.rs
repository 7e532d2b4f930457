//! Refresh tokens. Each use hands out the next one of a chain, and an old one that comes again ends the chain: one of the two
//! who hold it stole it. A chain is a row; a token says which, for whom and which link of it, sealed under the installation's data key.
//!
//! A chain ends with its time, with the session that it began in, and with everything that ends a person's tokens.

use super::browser_sessions::SESSION_SECONDS;
use super::clients::PublicClient;
use super::oauth::OAuthError;
use super::person::{invalid_grant, refuse_who_may_not};
use super::{Authenticator, browser_sessions};
use crate::bootstrap::OWNER_SCOPE;
use crate::directory;
use crate::platform::{Change, Platform};
use crate::tables::{AUTHORIZATION_CODES, REFRESH_CHAINS, SESSIONS};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::REFRESH_TOKEN_BYTES;
use ferrohub_model::limits::{CHAINS_OF_A_PERSON, READ_ROWS};
use ferrohub_model::principal::{Principal, PrincipalKind};
use ferrohub_pki::seal::Aad;
use ferrohub_store::{Pages, Put, Row};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

/// Life of a refresh token, seconds (Entra: 90 days).
const REFRESH_SECONDS: i64 = 90 * 24 * 3600;
/// Seconds for which a link of a chain may still be used once it was replaced: programs of one person that share a cache, or whose
/// answer was lost, ask with the same one. Ours.
const LEEWAY_SECONDS: i64 = 60;
/// Links that were replaced of late and are remembered: ours, more than programs that share a cache are.
const REPLACED: usize = 64;

/// A row of [`REFRESH_CHAINS`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chain {
    person: String,
    /// Key of the session that it began in; a password at the token endpoint begins none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// [`Principal::generation`] of the person when it began.
    #[serde(default)]
    generation: u64,
    /// Number of the link that is good.
    link: u64,
    /// Unix seconds at which each of the links before was replaced, the last one first: those of the last minute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    replaced: Vec<i64>,
    /// Unix seconds at which the chain ends.
    until: i64,
}

impl Chain {
    /// Whether `link` was replaced, but so lately that whoever brings it need not have stolen it.
    fn was_good_of_late(&self, link: u64, now: i64) -> bool {
        let before = self.link.checked_sub(link).and_then(|back| usize::try_from(back).ok()).unwrap_or(0);
        let replaced = before.checked_sub(1).and_then(|index| self.replaced.get(index));
        replaced.is_some_and(|at| now < at + LEEWAY_SECONDS)
    }

    /// The same, with the next link as the good one.
    fn with_another_link(&self, now: i64) -> Self {
        let lately = self.replaced.iter().copied().take_while(|at| now < at + LEEWAY_SECONDS).take(REPLACED - 1);
        let replaced = std::iter::once(now).chain(lately).collect();
        Self { link: self.link + 1, replaced, ..self.clone() }
    }
}

/// The authorization code that a chain is begun for: as long as its row is there, nobody else has brought it.
pub(super) struct ByCode<'a> {
    /// Key of its row.
    pub(super) id: &'a str,
    /// Key of the chain, which that row names already.
    pub(super) chain: &'a str,
}

/// What a refresh token says.
#[derive(Debug, Serialize, Deserialize)]
struct Token {
    chain: String,
    link: u64,
    /// Object id of the person.
    oid: String,
    /// [`Principal::generation`] of the person when the chain began.
    #[serde(default)]
    generation: u64,
    /// Application id of the client to which it was given.
    client: String,
    until: i64,
}

impl Authenticator {
    /// The first refresh token of a new chain. The oldest chain of a person that has too many ends.
    ///
    /// # Errors
    /// `invalid_grant` where the session has ended meanwhile, or somebody else brought the code.
    pub(super) async fn begin_chain(
        &self,
        person: &Principal,
        client: &str,
        session: Option<&browser_sessions::Living>,
        code: Option<ByCode<'_>>,
    ) -> Result<String, OAuthError> {
        let (platform, now) = (&self.platform, self.now());
        let id = code.as_ref().map_or_else(|| platform.new_id().to_string(), |code| code.chain.to_owned());
        // The portal's are as those of single-page applications: a day from the sign-in, and no longer.
        let page = PublicClient::by_id(client).is_some_and(|client| !client.native);
        let day = session.filter(|_| page).map(|living| living.session.made + SESSION_SECONDS);
        let chain = Chain {
            person: person.id.clone(),
            session: session.map(|living| living.id.clone()),
            generation: person.generation,
            link: 1,
            replaced: Vec::new(),
            until: day.unwrap_or(now + REFRESH_SECONDS),
        };
        let mut change = Change::new();
        change.unit.put(put(&id, &chain)?);
        if !self.expect_as_judged(person, &mut change).await? {
            return Err(revoked());
        }
        if let Some(living) = session {
            // Whoever signs out ends the session first and its chains then.
            change.unit.expect_exists(&SESSIONS, living.id.clone());
        }
        if let Some(code) = code {
            change.unit.expect_exists(&AUTHORIZATION_CODES, code.id);
        }
        if platform.store.count(&REFRESH_CHAINS, "person", &person.id).await.map_err(Error::from)? >= CHAINS_OF_A_PERSON
        {
            let mut pages = Pages::find(platform.store.as_ref(), &REFRESH_CHAINS, "person", &person.id, 1);
            for row in pages.next().await.map_err(Error::from)?.unwrap_or_default() {
                change.unit.delete(&REFRESH_CHAINS, row.key.clone());
            }
        }
        if !platform.try_commit(change).await? {
            return Err(revoked());
        }
        Ok(self.sealed(&id, &chain, client).await?)
    }

    /// The person of a refresh token of `client`, and the next token.
    pub(super) async fn next_link(&self, token: &str, client: &str) -> Result<(Arc<Principal>, String), OAuthError> {
        let token = self.opened(token).await?;
        if !token.client.eq_ignore_ascii_case(client) {
            return Err(invalid_grant(70_000, "The refresh token was issued to another client."));
        }
        if self.now() >= token.until {
            return Err(invalid_grant(700_082, "The refresh token has expired due to inactivity. Sign in again."));
        }
        let found = directory::by_id(self.platform.store.as_ref(), &token.oid).await?;
        let Some(person) = found.filter(|found| found.kind == PrincipalKind::User) else {
            return Err(invalid_grant(50_034, "The user account was deleted from the directory."));
        };
        refuse_who_may_not(&person)?;
        if token.generation != person.generation {
            return Err(revoked());
        }
        let next = self.forge(&token, client).await?;
        Ok((person, next))
    }

    /// Makes the next link of the chain, or ends it.
    async fn forge(&self, token: &Token, client: &str) -> Result<String, OAuthError> {
        let page = PublicClient::by_id(client).is_some_and(|client| !client.native);
        let contended = || Error::conflict("The refresh token is used by many at the same time; try again.");
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(contended).await?;
            let row = self.platform.store.get(&REFRESH_CHAINS, &token.chain).await.map_err(Error::from)?;
            let Some(row) = row else { return Err(revoked()) };
            let (was, now) = (row.parse::<Chain>().map_err(Error::from)?, self.now());
            if now >= was.until {
                return Err(invalid_grant(700_082, "The refresh token has expired due to inactivity. Sign in again."));
            }
            if !self.may_go_on(&was, page).await? {
                return Err(revoked());
            }
            let mut change = Change::new();
            change.unit.expect_version(&REFRESH_CHAINS, token.chain.clone(), row.version);
            if was.was_good_of_late(token.link, now) {
                return Ok(self.sealed(&token.chain, &was, client).await?);
            }
            if token.link != was.link {
                change.unit.delete(&REFRESH_CHAINS, token.chain.clone());
                if !self.platform.try_commit(change).await? {
                    continue;
                }
                tracing::warn!(person = was.person, client, "a refresh token was used again, and its chain has ended");
                return Err(invalid_grant(
                    70_000,
                    "The refresh token was used before. Somebody else may hold it, so it and what came of it are refused. Sign in again.",
                ));
            }
            let until = if page { was.until } else { now + REFRESH_SECONDS };
            let next = Chain { until, ..was.with_another_link(now) };
            change.unit.put(put(&token.chain, &next)?);
            if self.platform.try_commit(change).await? {
                return Ok(self.sealed(&token.chain, &next, client).await?);
            }
        }
    }

    /// Whether nobody signed out. The page of a session that has ended is signed out as well; programs outlive theirs, but not its row,
    /// which stays as long as a chain names it, and goes with whoever signs out: before the chains do, and at times without them, where
    /// the store fails in between.
    async fn may_go_on(&self, chain: &Chain, page: bool) -> Result<bool> {
        match &chain.session {
            Some(id) if page => Ok(self.living_session(id).await?.is_some()),
            Some(id) => Ok(self.platform.store.get(&SESSIONS, id).await?.is_some()),
            None => Ok(!page),
        }
    }

    async fn sealed(&self, id: &str, chain: &Chain, client: &str) -> Result<String> {
        let token = Token {
            chain: id.to_owned(),
            link: chain.link,
            oid: chain.person.clone(),
            client: client.to_owned(),
            generation: chain.generation,
            until: chain.until,
        };
        self.seal("refresh", &json!(token).to_string()).await
    }

    async fn opened(&self, token: &str) -> Result<Token, OAuthError> {
        let malformed = || invalid_grant(9_002_313, "Invalid request. The refresh token is malformed or not valid.");
        let text = Some(token).filter(|token| token.len() <= REFRESH_TOKEN_BYTES).ok_or_else(malformed)?;
        let text = self.unseal("refresh", text).await?.ok_or_else(malformed)?;
        serde_json::from_slice(&text).map_err(|_| malformed())
    }

    /// A text under the installation's data key, in the letters of a URL, which need no escaping in a form.
    pub(super) async fn seal(&self, what: &str, text: &str) -> Result<String> {
        let (store, keyring) = (self.platform.store.as_ref(), &self.platform.keyring);
        let sealed = keyring.seal(store, OWNER_SCOPE, "tokens", what, "1", text.as_bytes()).await?;
        Ok(sealed.trim_end_matches('=').replace('+', "-").replace('/', "_"))
    }

    /// What [`Self::seal`] made; `None` for anything else.
    ///
    /// # Errors
    /// When the store cannot be read: that says nothing about what was sealed.
    pub(super) async fn unseal(&self, what: &str, sealed: &str) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>> {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(sealed) else { return Ok(None) };
        let (store, keyring) = (self.platform.store.as_ref(), &self.platform.keyring);
        keyring.reopen(store, OWNER_SCOPE, &Aad { table: "tokens", row: what, field: "1" }, &bytes).await
    }
}

pub(super) fn revoked() -> OAuthError {
    invalid_grant(
        50_173,
        "The provided grant has expired due to it being revoked: somebody signed out, the password was changed or sign-ins were revoked since. Sign in again.",
    )
}

/// Ends the chains whose `column` is `value`.
///
/// # Errors
/// When the store fails.
pub(super) async fn end_where(platform: &Platform, column: &'static str, value: &str) -> Result<()> {
    let mut pages = Pages::find(platform.store.as_ref(), &REFRESH_CHAINS, column, value, READ_ROWS);
    while let Some(rows) = pages.next().await? {
        let mut change = Change::new();
        for row in rows {
            change.unit.delete(&REFRESH_CHAINS, row.key.clone());
        }
        platform.commit(change).await?;
    }
    Ok(())
}

/// Makes the chains of one session those of another.
///
/// # Errors
/// When the store fails.
pub(super) async fn hand_over(platform: &Platform, from: &str, to: &str) -> Result<()> {
    let mut pages = Pages::find(platform.store.as_ref(), &REFRESH_CHAINS, "session", from, READ_ROWS);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            hand_over_one(platform, &row.key, from, to).await?;
        }
    }
    Ok(())
}

/// One chain, whose next link may be made meanwhile.
async fn hand_over_one(platform: &Platform, id: &str, from: &str, to: &str) -> Result<()> {
    let contended = || Error::conflict("A refresh token is used by many at the same time; try again.");
    let mut attempts = platform.attempts();
    loop {
        attempts.begin(contended).await?;
        let Some(row) = platform.store.get(&REFRESH_CHAINS, id).await? else { return Ok(()) };
        let mut chain = Chain::clone(&*row.parse::<Chain>()?);
        if chain.session.as_deref() != Some(from) {
            return Ok(());
        }
        chain.session = Some(to.to_owned());
        let mut change = Change::new();
        change.unit.expect_version(&REFRESH_CHAINS, id, row.version);
        change.unit.put(put(id, &chain)?);
        if platform.try_commit(change).await? {
            return Ok(());
        }
    }
}

/// Unix seconds at which the chain of a row ended, where it has by `now`.
pub(crate) fn ended(row: &Row, now: i64) -> Option<i64> {
    let until = row.parse::<Chain>().ok()?.until;
    (now >= until).then_some(until)
}

fn put(id: &str, chain: &Chain) -> Result<Put> {
    let columns = vec![Some(chain.person.clone()), chain.session.clone()];
    Ok(Put::new(&REFRESH_CHAINS, id.to_owned(), columns, chain)?)
}
