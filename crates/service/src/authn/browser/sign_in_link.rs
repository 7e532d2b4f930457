//! Signing in by a link: its page, and the button of that page.

use super::{Asks, Browser, Flow, Purpose, Step, must_change, not_here};
use crate::authn::Authenticator;
use crate::authn::authorize::Refusal;
use crate::authn::browser_sessions::Begun;
use crate::authn::clients::is_of_the_portal;
use crate::authn::oauth::OAuthError;
use crate::authn::person::field;
use crate::guesses;
use crate::platform::Change;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::principal::Principal;

impl Authenticator {
    /// Asks whoever opened a link whether to sign in by it.
    ///
    /// # Errors
    /// [`Refusal`] for a link that is none, was used, has expired, or was opened at an address that is not the portal's.
    pub async fn open_link(&self, ticket: &str, browser: Browser<'_>) -> Result<Step, Refusal> {
        let domain = &self.platform.settings.domain;
        if !is_of_the_portal(browser.origin, domain) {
            let port = browser.origin.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
            let port = port.map(|(_, port)| format!(":{port}")).unwrap_or_default();
            let text = format!(
                "A link signs in at the address of the portal, https://portal.{domain}{port}. Open it there, as it was printed."
            );
            return Err(OAuthError::new(400, "invalid_request", 90_104, text).into());
        }
        let (id, person) = self.opened_link(ticket).await?;
        let flow = self.new_flow(Purpose::Link(id), browser);
        Ok(self.ask_link(&flow, &person, None).await.map_err(OAuthError::from)?)
    }

    /// Signs in by a link, which is used up; with a password that is chosen meanwhile, where one is wanted.
    pub(super) async fn take_link(
        &self,
        flow: Flow,
        form: &[(String, String)],
        browser: Browser<'_>,
        with_password: bool,
    ) -> Result<Step, OAuthError> {
        let Purpose::Link(id) = &flow.purpose else { return Err(not_here()) };
        let person = self.person_of_link(id).await?;
        let with_password = with_password || must_change(&person);
        if with_password && let Some(fault) = self.fault_of_new(form, &person).await? {
            return Ok(self.ask_link(&flow, &person, Some(fault)).await?);
        }
        let begun = match with_password {
            true => {
                let new = field(form, "new_password").unwrap_or_default();
                self.begin_with_password(&person, new, Some(id), browser).await?
            }
            false => self.begin_by_link(id, browser).await?,
        };
        // The next password that this person types there is not a stranger's.
        guesses::seen(&self.platform, &person, browser.address).await;
        if let Err(error) = self.settle_session(browser.session, &begun).await {
            // The link is used up: whoever is refused now could not come again.
            tracing::warn!(%error, context = error.context, "what the former session of a browser leaves behind was not seen to");
        }
        self.go_on(flow.purpose, browser, begun.living, Some(begun.cookie)).await
    }

    /// Uses a link up and begins a session, at once.
    async fn begin_by_link(&self, id: &str, browser: Browser<'_>) -> Result<Begun, OAuthError> {
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(contended).await?;
            let mut change = Change::new();
            let person = self.use_link(id, &mut change).await?;
            let begun = self.add_session(&person, browser.session, &mut change).await?;
            if self.expect_as_judged(&person, &mut change).await? && self.platform.try_commit(change).await? {
                return Ok(begun);
            }
        }
    }

    async fn ask_link(&self, flow: &Flow, person: &Principal, fault: Option<OAuthError>) -> Result<Step> {
        let asks = Asks::Link { name: person.name().to_owned(), must_change: must_change(person) };
        self.ask(asks, flow, fault).await
    }
}

fn contended() -> Error {
    Error::conflict("The link is used by many at the same time.")
}
