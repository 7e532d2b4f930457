//! Signing in by a password in a browser, and choosing another one.

use super::{Asks, Browser, Flow, Next, Step, must_change};
use crate::authn::chains;
use crate::authn::oauth::OAuthError;
use crate::authn::person::{field, invalid_grant};
use crate::authn::{Authenticator, sessions};
use crate::directory;
use crate::guesses;
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
        self.signed_in(flow.purpose, browser, &person).await
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
        if let Some(fault) = self.fault_of_new(form, &person, browser).await? {
            return Ok(self.ask_new_password(&flow, person.name(), Some(fault)).await?);
        }
        let person = self.set_password(&person, field(form, "new_password").unwrap_or_default()).await?;
        self.signed_in(flow.purpose, browser, &person).await
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

    /// What is wrong with a password that a person chose.
    pub(super) async fn fault_of_new(
        &self,
        form: &[(String, String)],
        person: &Principal,
        browser: Browser<'_>,
    ) -> Result<Option<OAuthError>, OAuthError> {
        let (new, again) =
            (field(form, "new_password").unwrap_or_default(), field(form, "new_password_again").unwrap_or_default());
        let stored = person.user.as_ref().map(|user| user.password.as_str()).unwrap_or_default();
        let text = if new != again {
            "The two passwords differ.".to_owned()
        } else if !password::is_complex(new) {
            format!("The password is not complex enough: {RULE}.")
        } else if self
            .platform
            .passwords
            .turn_of(&guesses::source_at(browser.address))
            .await?
            .verify(new, stored)
            .await?
        {
            "Choose another password than the one that you have.".to_owned()
        } else {
            return Ok(None);
        };
        Ok(Some(OAuthError::new(400, "invalid_request", 50_055, text)))
    }

    /// Sets the password that a person chose, and ends what came of the one before; refused where that was exchanged, the person
    /// locked out, or everything of the person revoked since `judged` was read.
    pub(super) async fn set_password(&self, judged: &Principal, new: &str) -> Result<Arc<Principal>, OAuthError> {
        let id = judged.id.as_str();
        let hash = self.platform.passwords.hash(new).await?;
        let contended = || Error::conflict("The person is being changed by others at the same time; try again.");
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(contended).await?;
            let row = self.platform.store.get(&PRINCIPALS, id).await.map_err(Error::from)?;
            let row = row.ok_or_else(|| invalid_grant(50_034, "The user account was deleted from the directory."))?;
            let mut person = Principal::clone(&*directory::from_row(&row)?);
            if person.disabled || person.user != judged.user || person.generation != judged.generation {
                return Err(chains::revoked());
            }
            person.set_password(&hash);
            let mut change = Change::new();
            change.unit.expect_version(&PRINCIPALS, id, row.version);
            change.unit.put(directory::put(&person)?);
            if self.platform.try_commit(change).await? {
                sessions::end_all_of(&self.platform, id).await?;
                return Ok(Arc::new(person));
            }
        }
    }
}
