//! Signing in by a password in a browser, and choosing another one.

use super::{Asks, Browser, Flow, Next, Step, must_change};
use crate::authn::browser_sessions::Begun;
use crate::authn::chains;
use crate::authn::oauth::OAuthError;
use crate::authn::person::{field, invalid_grant};
use crate::authn::{Authenticator, browser_sessions};
use crate::directory;
use crate::passwords::RULE;
use crate::platform::Change;
use crate::tables::PRINCIPALS;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::principal::{Principal, PrincipalKind};
use ferrohub_pki::password;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Somebody whose password was right.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Proven {
    /// Object id.
    pub(super) person: String,
    /// [`Principal::generation`] then.
    pub(super) generation: u64,
}

impl Authenticator {
    pub(super) async fn take_password(
        &self,
        flow: Flow,
        form: &[(String, String)],
        browser: Browser<'_>,
    ) -> Result<Step, OAuthError> {
        let (name, secret) = (field(form, "username").unwrap_or_default(), field(form, "password").unwrap_or_default());
        let person = match self.person_by_password(name.trim(), secret, browser.address).await {
            Ok(person) => person,
            Err(fault) => {
                let mut step = self.ask_password(flow.purpose, browser, None, Some(fault)).await?;
                if let Next::Form(form) = &mut step.next
                    && let Asks::Password { hint, .. } = &mut form.asks
                {
                    *hint = name.chars().take(256).collect();
                }
                return Ok(step);
            }
        };
        if must_change(&person) {
            let proven = Proven { person: person.id.clone(), generation: person.generation };
            let flow = Flow { proven: Some(proven), at: self.now(), ..flow };
            return Ok(self.ask_new_password(&flow, person.name(), None).await?);
        }
        let begun = self.begin_session(&person, browser.session).await?;
        self.signed_in(flow.purpose, browser, begun).await
    }

    pub(super) async fn take_new_password(
        &self,
        flow: Flow,
        form: &[(String, String)],
        browser: Browser<'_>,
    ) -> Result<Step, OAuthError> {
        let Some(person) = self.who_awaits_password(flow.proven.as_ref()).await? else {
            return Ok(self.ask_password(flow.purpose, browser, None, None).await?);
        };
        if let Some(fault) = self.fault_of_new(form, &person).await? {
            return Ok(self.ask_new_password(&flow, person.name(), Some(fault)).await?);
        }
        let new = field(form, "new_password").unwrap_or_default();
        let begun = self.begin_with_password(&person, new, None, browser).await?;
        self.signed_in(flow.purpose, browser, begun).await
    }

    /// Whoever showed a password that must be changed, where that is still so.
    async fn who_awaits_password(&self, proven: Option<&Proven>) -> Result<Option<Arc<Principal>>> {
        let Some(proven) = proven else { return Ok(None) };
        let found = directory::by_id(self.platform.store.as_ref(), &proven.person).await?;
        Ok(found.filter(|found| {
            found.kind == PrincipalKind::User
                && must_change(found)
                && !found.disabled
                && found.generation == proven.generation
        }))
    }

    /// What is wrong with a password that a person chose, who has proven who it is.
    pub(super) async fn fault_of_new(
        &self,
        form: &[(String, String)],
        person: &Principal,
    ) -> Result<Option<OAuthError>, OAuthError> {
        let (new, again) =
            (field(form, "new_password").unwrap_or_default(), field(form, "new_password_again").unwrap_or_default());
        let stored = person.user.as_ref().map(|user| user.password.as_str()).unwrap_or_default();
        let text = if new != again {
            "The two passwords differ.".to_owned()
        } else if !password::is_complex(new) {
            format!("The password is not complex enough: {RULE}.")
        } else if self.platform.passwords.place().await?.verify(new, stored).await? {
            "Choose another password than the one that you have.".to_owned()
        } else {
            return Ok(None);
        };
        Ok(Some(OAuthError::new(400, "invalid_request", 50_055, text)))
    }

    /// Sets the password that a person chose, uses up the link by which it came, where it came by one, and begins a session, all at once;
    /// ends what came of the password before. Refused where that was exchanged, the person locked out, or everything of the person
    /// revoked since `judged` was read.
    pub(super) async fn begin_with_password(
        &self,
        judged: &Principal,
        new: &str,
        link: Option<&str>,
        browser: Browser<'_>,
    ) -> Result<Begun, OAuthError> {
        let id = judged.id.as_str();
        let hash = self.platform.passwords.hash(new).await?;
        let contended = || Error::conflict("The person is being changed by others at the same time; try again.");
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(contended).await?;
            let mut change = Change::new();
            if let Some(link) = link {
                self.use_link(link, &mut change).await?;
            }
            let row = self.platform.store.get(&PRINCIPALS, id).await.map_err(Error::from)?;
            let row = row.ok_or_else(|| invalid_grant(50_034, "The user account was deleted from the directory."))?;
            let mut person = Principal::clone(&*directory::from_row(&row)?);
            if person.disabled || person.user != judged.user || person.generation != judged.generation {
                return Err(chains::revoked());
            }
            person.set_password(&hash);
            change.unit.expect_version(&PRINCIPALS, id, row.version);
            change.unit.put(directory::put(&person)?);
            let begun = self.add_session(&person, browser.session, &mut change).await?;
            if self.platform.try_commit(change).await? {
                if let Err(error) = browser_sessions::end_all_but(&self.platform, id, Some(&begun.living.id)).await {
                    // They have ended with the password, and go when their time is over.
                    tracing::warn!(%error, context = error.context, "sessions that ended with a password were not taken away");
                }
                return Ok(begun);
            }
        }
    }
}
