//! Links that sign a person in once, without a password: for whoever holds the data folder, and for people whose password nobody knows any
//! more. A row each, which keeps the SHA-256 of what was handed out. A person has one at a time: another one ends the one before.
//!
//! Opening a link shows a page and uses nothing up, since programs open links too, to look at what is behind them; the page's button does.

use super::oauth::OAuthError;
use super::ticket::{Shown, Ticket};
use super::{Authenticator, person};
use crate::directory;
use crate::platform::{Change, Platform};
use crate::tables::SIGN_IN_LINKS;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::READ_ROWS;
use ferrohub_model::principal::{Principal, PrincipalKind};
use ferrohub_store::{Pages, Put, Row};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Seconds for which a link is good: ours. It is made when somebody sits there who opens it.
const LINK_SECONDS: i64 = 15 * 60;
/// Seconds for which a link is remembered, so that whoever opens it later reads what became of it: ours.
const REMEMBERED_SECONDS: i64 = 24 * 3600;

/// A row of [`SIGN_IN_LINKS`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignInLink {
    /// SHA-256 of the link's secret.
    hash: String,
    /// Object id of the person.
    person: String,
    /// [`Principal::generation`] of the person when it was made.
    #[serde(default)]
    generation: u64,
    /// Unix seconds at which it was made.
    at: i64,
    /// Unix seconds at which it was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    used: Option<i64>,
}

/// A link that was just made.
pub(crate) struct NewSignInLink {
    /// What names it and proves that it was handed out.
    pub(crate) ticket: Zeroizing<String>,
    /// Unix seconds at which it ends.
    pub(crate) expires: i64,
}

/// Adds a link for a person to `change`; those that the person had and nobody used go. Of two that are made at the same time the one with
/// the higher key counts, see [`Authenticator::good_for`].
///
/// # Errors
/// When the store fails.
pub(crate) async fn new_sign_in_link(
    platform: &Platform,
    person: &Principal,
    change: &mut Change,
) -> Result<NewSignInLink> {
    let mut pages = Pages::find(platform.store.as_ref(), &SIGN_IN_LINKS, "person", &person.id, READ_ROWS);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            if row.parse::<SignInLink>()?.used.is_none() {
                change.unit.delete(&SIGN_IN_LINKS, row.key.clone());
            }
        }
    }
    let (ticket, at) = (Ticket::new(platform), platform.clock.unix_seconds());
    let link =
        SignInLink { hash: ticket.hash, person: person.id.clone(), generation: person.generation, at, used: None };
    change.unit.put(put(&ticket.id, &link)?);
    Ok(NewSignInLink { ticket: ticket.text, expires: at + LINK_SECONDS })
}

impl Authenticator {
    /// The row and the person of a link that somebody opened.
    pub(super) async fn opened_link(&self, ticket: &str) -> Result<(String, Arc<Principal>), OAuthError> {
        let shown = Shown::of(ticket).ok_or_else(none_of_ours)?;
        let link = self.link(&shown.id).await?.filter(|(_, link)| shown.fits(&link.hash));
        let (_, link) = link.ok_or_else(none_of_ours)?;
        let person = self.good_for(&shown.id, &link).await?;
        Ok((shown.id, person))
    }

    /// The person of the link in this row.
    pub(super) async fn person_of_link(&self, id: &str) -> Result<Arc<Principal>, OAuthError> {
        let (_, link) = self.link(id).await?.ok_or_else(none_of_ours)?;
        self.good_for(id, &link).await
    }

    /// Lets `change` use up a link, which only one can; whom it signs in. What signs in is of the same unit, so a link is not used up by
    /// a sign-in that came to nothing.
    pub(super) async fn use_link(&self, id: &str, change: &mut Change) -> Result<Arc<Principal>, OAuthError> {
        let (version, link) = self.link(id).await?.ok_or_else(none_of_ours)?;
        let person = self.good_for(id, &link).await?;
        change.unit.expect_version(&SIGN_IN_LINKS, id, version);
        change.unit.put(put(id, &SignInLink { used: Some(self.now()), ..link })?);
        Ok(person)
    }

    async fn link(&self, id: &str) -> Result<Option<(u64, SignInLink)>, OAuthError> {
        let row = self.platform.store.get(&SIGN_IN_LINKS, id).await.map_err(Error::from)?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some((row.version, SignInLink::clone(&*row.parse::<SignInLink>().map_err(Error::from)?))))
    }

    /// The person whom a link signs in, where it still does.
    async fn good_for(&self, id: &str, link: &SignInLink) -> Result<Arc<Principal>, OAuthError> {
        if link.used.is_some() {
            return Err(refused(
                90_102,
                "This link was used already, and signs in once only. If it was not you who used it, somebody else has signed in: sign every session of the person out (az rest --method post --url '<graph>/v1.0/users/<name>/revokeSignInSessions').",
            ));
        }
        if self.now() >= link.at + LINK_SECONDS {
            return Err(refused(90_103, "This link has expired: it is good for a quarter of an hour."));
        }
        let found = directory::by_id(self.platform.store.as_ref(), &link.person).await?;
        let person = found.filter(|found| found.kind == PrincipalKind::User).ok_or_else(none_of_ours)?;
        person::refuse_the_disabled(&person)?;
        if link.generation != person.generation {
            return Err(refused(
                90_105,
                "This link has ended: the password of the person was changed, or its sign-ins were revoked, since it was made.",
            ));
        }
        match self.is_last(id, &person.id).await? {
            true => Ok(person),
            false => Err(none_of_ours()),
        }
    }

    /// Whether no link was made for the person after the one with this key.
    async fn is_last(&self, id: &str, person: &str) -> Result<bool> {
        let mut pages = Pages::find(self.platform.store.as_ref(), &SIGN_IN_LINKS, "person", person, READ_ROWS);
        while let Some(rows) = pages.next().await? {
            if rows.iter().any(|row| row.key.as_str() > id) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Unix seconds at which the link of a row was made, where it may be forgotten by `now`.
pub(crate) fn ended(row: &Row, now: i64) -> Option<i64> {
    let at = row.parse::<SignInLink>().ok()?.at;
    (now >= at + REMEMBERED_SECONDS).then_some(at)
}

fn put(id: &str, link: &SignInLink) -> Result<Put> {
    Ok(Put::new(&SIGN_IN_LINKS, id.to_owned(), vec![Some(link.person.clone())], link)?)
}

fn none_of_ours() -> OAuthError {
    refused(
        90_101,
        "This server knows no such link. Another one was made since, or it was not copied whole, or it is another server's.",
    )
}

/// A refusal, with the way to another link.
fn refused(code: u32, text: &str) -> OAuthError {
    let text = format!("{text} Whoever holds the data folder makes another one: ferrohub owner link");
    OAuthError::new(400, "invalid_request", code, text)
}
