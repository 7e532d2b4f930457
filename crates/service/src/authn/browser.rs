//! What happens in a browser between a client's question and its answer: who is known by a session goes back with a code, everybody else
//! gets a form. Nothing is kept between two steps of a person who has not signed in: the form carries it, sealed, and tied to a cookie
//! of that browser, so that no other page can fill it in.

mod password;
mod sign_in_link;

use super::Authenticator;
use super::authorize::{AuthorizeRequest, Back, Prompt, Refusal};
use super::browser_sessions::{Begun, Living};
use super::oauth::OAuthError;
use super::person::{field, refuse_who_may_not};
use super::ticket;
use crate::directory;
use crate::sha256;
use ferrohub_model::error::Result;
use ferrohub_model::principal::Principal;
use password::Proven;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::net::IpAddr;
use zeroize::Zeroizing;

/// Seconds for which a form may lie open: ours.
const FORM_SECONDS: i64 = 3600;
/// Longest sealed form that is looked at, bytes: ours (a request with the longest state and nonce has some 16 KB).
const FORM_BYTES: usize = 32 * 1024;

/// A browser, as it shows itself.
#[derive(Debug, Clone, Copy)]
pub struct Browser<'a> {
    /// `https://host:port` that it is at.
    pub origin: &'a str,
    /// What its session cookie holds.
    pub session: Option<&'a str>,
    /// What the cookie holds that ties forms to it.
    pub binding: &'a str,
    /// Where it is.
    pub address: Option<IpAddr>,
}

/// What comes next in a browser.
#[derive(Debug)]
pub struct Step {
    /// Where it goes.
    pub next: Next,
    /// What its session cookie holds from now on, where one began.
    pub session: Option<Zeroizing<String>>,
    /// The name of who signed in or went on with a session, for the audit log.
    pub who: Option<String>,
}

/// Where a browser goes.
#[derive(Debug)]
pub enum Next {
    /// Back to the client.
    Back(Back),
    /// To a form.
    Form(Box<Form>),
    /// To the portal, by a link.
    Portal,
    /// Nowhere: there is no more to do here.
    End(Said),
}

/// How a sign-in of a device ended for the person in the browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// The device is signed in.
    Yes,
    /// It is not.
    No,
}

/// A form for a person.
#[derive(Debug)]
pub struct Form {
    /// What it asks for.
    pub asks: Asks,
    /// What it brings back.
    pub flow: String,
    /// Origin that it may lead to in the end.
    pub goes_to: Option<String>,
    /// What was wrong with what was sent before.
    pub fault: Option<OAuthError>,
}

/// What a form asks for.
#[derive(Debug)]
pub enum Asks {
    /// A name and a password.
    Password {
        /// The client's name.
        client: &'static str,
        /// The name that is filled in.
        hint: String,
        /// Who is signed in already and may go on.
        known: Option<String>,
    },
    /// Another password than the one that was right and must be changed.
    NewPassword {
        /// Whose.
        name: String,
    },
    /// Whether somebody signs in by a link, who may choose a password at once.
    Link {
        /// Whom the link signs in.
        name: String,
        /// Whether the password that there is must be changed first.
        must_change: bool,
    },
    /// The code that a device shows.
    DeviceCode {
        /// What is filled in.
        typed: String,
    },
    /// Whether a device may sign in.
    Device {
        /// The client's name.
        client: &'static str,
        /// The code that it shows.
        code: String,
        /// As whom.
        name: String,
    },
}

/// What somebody signs in for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Purpose {
    /// A client that gets a code.
    Code(Box<AuthorizeRequest>),
    /// A device that shows this code.
    Device(String),
    /// The portal, by the link with this key.
    Link(String),
}

impl Purpose {
    /// The client's name for people.
    fn client_name(&self) -> &'static str {
        match self {
            Self::Code(request) => request.client_name(),
            Self::Device(_) => "a device",
            Self::Link(_) => "the portal",
        }
    }

    /// The name that the form is filled in with.
    fn hint(&self) -> String {
        match self {
            Self::Code(request) => request.hint.clone(),
            Self::Device(_) | Self::Link(_) => String::new(),
        }
    }

    /// Whether a session that there is counts for nothing.
    fn asks_again(&self) -> bool {
        matches!(self, Self::Code(request) if request.prompt == Prompt::Login)
    }
}

/// What a form brings back.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Flow {
    /// SHA-256 of what the cookie of the browser holds.
    binding: String,
    /// Unix seconds at which it was made.
    at: i64,
    purpose: Purpose,
    /// Whose password was right and must be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proven: Option<Proven>,
}

impl Authenticator {
    /// Answers a browser at the authorization endpoint of `tenant`.
    ///
    /// # Errors
    /// [`Refusal`] with Entra's codes, and the way back where the client may be told.
    pub async fn authorize(
        &self,
        tenant: &str,
        fields: &[(String, String)],
        browser: Browser<'_>,
        v2: bool,
    ) -> Result<Step, Refusal> {
        self.check_tenant(tenant)?;
        let request = AuthorizeRequest::of(fields, browser.origin, &self.platform.settings.domain, v2)?;
        self.check_resource(&request.wanted.resource).map_err(|error| request.refused(error))?;
        let living = self.session(browser.session).await.map_err(OAuthError::from)?;
        let meant =
            |living: &Living| request.hint.is_empty() || request.hint.eq_ignore_ascii_case(living.person.name());
        match (request.prompt, living) {
            (Prompt::None, _) if request.is_for_a_program() => Err(request.refused(OAuthError::new(
                400,
                "interaction_required",
                50_058,
                "A person says yes to each sign-in of a program; send no prompt=none.",
            ))),
            (Prompt::Auto | Prompt::None, Some(living)) if meant(&living) => {
                self.back(&request, &living, None).await.map_err(Refusal::from)
            }
            (Prompt::None, _) => Err(request.refused(OAuthError::new(
                400,
                "login_required",
                50_058,
                "Session information is not sufficient for single-sign-on: nobody is signed in in this browser.",
            ))),
            (Prompt::Login, _) | (_, None) => {
                let purpose = Purpose::Code(Box::new(request));
                Ok(self.ask_password(purpose, browser, None, None).await.map_err(OAuthError::from)?)
            }
            (_, Some(living)) => {
                let known = Some(living.person.name().to_owned());
                let purpose = Purpose::Code(Box::new(request));
                Ok(self.ask_password(purpose, browser, known, None).await.map_err(OAuthError::from)?)
            }
        }
    }

    /// Asks for the code that a device shows; `typed` is filled in.
    ///
    /// # Errors
    /// When the form cannot be sealed.
    pub async fn device_login(&self, typed: &str, browser: Browser<'_>) -> Result<Step> {
        self.ask_code(typed, browser, None).await
    }

    /// Goes on with a form that a person sent.
    ///
    /// # Errors
    /// [`Refusal`] where the form is none of this browser's.
    pub async fn proceed(&self, form: &[(String, String)], browser: Browser<'_>) -> Result<Step, Refusal> {
        let flow = self.flow(field(form, "flow").unwrap_or_default(), browser.binding).await?;
        let living = self.session(browser.session).await.map_err(OAuthError::from)?;
        let living = living.filter(|_| !flow.purpose.asks_again());
        let stepped = match (field(form, "step"), living) {
            (Some(word @ ("link" | "link-password")), _) => {
                self.take_link(flow, form, browser, word == "link-password").await?
            }
            // The page of a link asks for no password, and signs nobody else in.
            _ if matches!(flow.purpose, Purpose::Link(_)) => return Err(not_here().into()),
            (Some("code"), living) => {
                let purpose = Purpose::Device(field(form, "code").unwrap_or_default().chars().take(32).collect());
                match living {
                    Some(living) => self.go_on(purpose, browser, living, None).await?,
                    None => self.ask_password(purpose, browser, None, None).await.map_err(OAuthError::from)?,
                }
            }
            (Some("known"), Some(living)) => self.go_on(flow.purpose, browser, living, None).await?,
            (Some(word @ ("approve" | "decline")), Some(living)) => {
                self.answer_for(flow.purpose, browser, &living, word == "approve").await.map_err(OAuthError::from)?
            }
            (Some("known" | "approve" | "decline" | "other"), _) => {
                self.ask_password(flow.purpose, browser, None, None).await.map_err(OAuthError::from)?
            }
            (Some("new-password"), _) => self.take_new_password(flow, form, browser).await?,
            _ => self.take_password(flow, form, browser).await?,
        };
        Ok(stepped)
    }

    /// Ends the session of a browser, and every refresh token that came of it. The name of whose it was.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sign_out(&self, session: Option<&str>) -> Result<Option<String>> {
        let Some(person) = self.end_session(session).await? else { return Ok(None) };
        let found = directory::by_id(self.platform.store.as_ref(), &person).await?;
        Ok(Some(found.map_or(person, |found| found.name().to_owned())))
    }

    async fn signed_in(&self, purpose: Purpose, browser: Browser<'_>, begun: Begun) -> Result<Step, OAuthError> {
        self.settle_session(browser.session, &begun).await?;
        self.go_on(purpose, browser, begun.living, Some(begun.cookie)).await
    }

    /// Does with a session what somebody signed in for.
    async fn go_on(
        &self,
        purpose: Purpose,
        browser: Browser<'_>,
        living: Living,
        session: Option<Zeroizing<String>>,
    ) -> Result<Step, OAuthError> {
        let typed = match purpose {
            Purpose::Code(request) => return self.back(&request, &living, session).await,
            Purpose::Link(_) => {
                let who = Some(living.person.name().to_owned());
                return Ok(Step { next: Next::Portal, session, who });
            }
            Purpose::Device(typed) => typed,
        };
        let name = living.person.name().to_owned();
        let step = match self.waiting_device(&typed).await? {
            Some(device) => {
                let asks =
                    Asks::Device { client: device.client_name(), code: device.user_code.clone(), name: name.clone() };
                self.ask(asks, &self.new_flow(Purpose::Device(device.user_code), browser), None).await?
            }
            None => self.ask_code(&typed, browser, Some(no_such_code())).await?,
        };
        let who = session.is_some().then_some(name);
        Ok(Step { session, who, ..step })
    }

    /// Tells a device what the person said.
    async fn answer_for(&self, purpose: Purpose, browser: Browser<'_>, living: &Living, yes: bool) -> Result<Step> {
        let Purpose::Device(code) = purpose else { return self.ask_code("", browser, Some(no_such_code())).await };
        if !self.answer_device(&code, living, yes).await? {
            return self.ask_code("", browser, Some(no_such_code())).await;
        }
        let said = if yes { Said::Yes } else { Said::No };
        Ok(Step { next: Next::End(said), session: None, who: yes.then(|| living.person.name().to_owned()) })
    }

    /// Back to the client with a code.
    async fn back(
        &self,
        request: &AuthorizeRequest,
        living: &Living,
        session: Option<Zeroizing<String>>,
    ) -> Result<Step, OAuthError> {
        refuse_who_may_not(&living.person)?;
        let code = self.issue_code(request, living).await?;
        Ok(Step { next: Next::Back(request.with_code(code)), session, who: Some(living.person.name().to_owned()) })
    }

    async fn ask_password(
        &self,
        purpose: Purpose,
        browser: Browser<'_>,
        known: Option<String>,
        fault: Option<OAuthError>,
    ) -> Result<Step> {
        let asks = Asks::Password { client: purpose.client_name(), hint: purpose.hint(), known };
        self.ask(asks, &self.new_flow(purpose, browser), fault).await
    }

    async fn ask_code(&self, typed: &str, browser: Browser<'_>, fault: Option<OAuthError>) -> Result<Step> {
        let typed: String = typed.chars().take(32).collect();
        let flow = self.new_flow(Purpose::Device(typed.clone()), browser);
        self.ask(Asks::DeviceCode { typed }, &flow, fault).await
    }

    fn new_flow(&self, purpose: Purpose, browser: Browser<'_>) -> Flow {
        Flow { binding: sha256::hex(browser.binding.as_bytes()), at: self.now(), purpose, proven: None }
    }

    async fn ask_new_password(&self, flow: &Flow, name: &str, fault: Option<OAuthError>) -> Result<Step> {
        self.ask(Asks::NewPassword { name: name.to_owned() }, flow, fault).await
    }

    async fn ask(&self, asks: Asks, flow: &Flow, fault: Option<OAuthError>) -> Result<Step> {
        let goes_to = match &flow.purpose {
            Purpose::Code(request) => Some(request.goes_to()),
            Purpose::Device(_) | Purpose::Link(_) => None,
        };
        let flow = self.seal("form", &json!(flow).to_string()).await?;
        Ok(Step { next: Next::Form(Box::new(Form { asks, flow, goes_to, fault })), session: None, who: None })
    }

    /// What a form brings back to the browser that it was made for.
    async fn flow(&self, sealed: &str, binding: &str) -> Result<Flow, OAuthError> {
        let text = Some(sealed).filter(|text| text.len() <= FORM_BYTES).ok_or_else(not_here)?;
        let text = self.unseal("form", text).await.map_err(OAuthError::from)?.ok_or_else(not_here)?;
        let flow: Flow = serde_json::from_slice(&text).map_err(|_| not_here())?;
        let fits = !binding.is_empty() && ticket::same(&flow.binding, &sha256::hex(binding.as_bytes()));
        Some(flow).filter(|flow| fits && self.now() < flow.at + FORM_SECONDS).ok_or_else(not_here)
    }
}

fn not_here() -> OAuthError {
    OAuthError::new(
        400,
        "invalid_request",
        90_100,
        "The form was not made for this browser, or lay open for too long. Go back to where you came from and sign in again; cookies must be allowed for this page.",
    )
}

fn no_such_code() -> OAuthError {
    OAuthError::new(
        400,
        "invalid_grant",
        70_020,
        "The code is none that a device shows now. Look at it again, or begin anew there.",
    )
}

fn must_change(person: &Principal) -> bool {
    person.user.as_ref().is_some_and(|user| user.must_change)
}
