//! Authorization codes: a minute, once, for the client, the address and the verifier that they were made for.

use super::Authenticator;
use super::authorize::AuthorizeRequest;
use super::browser_sessions::Living;
use super::chains::ByCode;
use super::oauth::{OAuthError, missing_field};
use super::person::{Answer, Wanted, field, invalid_grant};
use super::ticket;
use super::ticket::{Shown, Ticket};
use crate::platform::Change;
use crate::tables::{AUTHORIZATION_CODES, REFRESH_CHAINS};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ferrohub_model::error::{Error, Result};
use ferrohub_store::{Put, Row};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Seconds for which a code is good: ours (Entra: up to ten minutes; RFC 6749 recommends no more than that).
const CODE_SECONDS: i64 = 60;
/// Seconds for which a used code is remembered, so that whoever brings it again is found out.
const REMEMBERED_SECONDS: i64 = 600;
/// Most characters of a verifier (RFC 7636, 4.1: 43 to 128).
const VERIFIER_CHARS: std::ops::RangeInclusive<usize> = 43..=128;

/// A row of [`AUTHORIZATION_CODES`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Code {
    /// SHA-256 of the code's secret.
    hash: String,
    session: String,
    request: AuthorizeRequest,
    /// Unix seconds at which it was made.
    at: i64,
    /// Once somebody brought it: key of the chain of refresh tokens that comes of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chain: Option<String>,
}

/// A code that somebody brought: key of its row, and of the chain that comes of it.
struct Brought {
    id: String,
    chain: String,
}

impl Authenticator {
    /// A code that lets the client of `request` act for the person of a session.
    pub(super) async fn issue_code(&self, request: &AuthorizeRequest, session: &Living) -> Result<String> {
        let ticket = Ticket::new(&self.platform);
        let code = Code {
            hash: ticket.hash,
            session: session.id.clone(),
            request: request.clone(),
            at: self.now(),
            chain: None,
        };
        let mut change = Change::new();
        change.unit.put(Put::new(&AUTHORIZATION_CODES, ticket.id, Vec::new(), &code)?);
        self.platform.commit(change).await?;
        Ok(ticket.text.to_string())
    }

    /// The answer to a code at the token endpoint.
    pub(super) async fn token_by_code(
        &self,
        form: &[(String, String)],
        basic: Option<(String, String)>,
        v2: bool,
    ) -> Result<Value, OAuthError> {
        let client = self.client_of_person(form, basic).await?;
        let text = field(form, "code").ok_or_else(|| missing_field("code"))?;
        let verifier = field(form, "code_verifier").ok_or_else(|| missing_field("code_verifier"))?;
        let address = field(form, "redirect_uri").ok_or_else(|| missing_field("redirect_uri"))?;
        let (code, session, by) = self.redeemed(text, &client, address, verifier).await?;
        // Another resource than was asked for at first may be named here, as Entra lets a client do.
        let wanted = match field(form, "scope").or_else(|| field(form, "resource")) {
            Some(_) => Wanted::of(form)?.with_openid_of(&code.request.wanted),
            None => code.request.wanted.clone(),
        };
        self.check_resource(&wanted.resource)?;
        let refresh = match wanted.refresh {
            true => {
                let by = ByCode { id: &by.id, chain: &by.chain };
                Some(self.begin_chain(&session.person, &client, Some(&session), Some(by)).await?)
            }
            false => None,
        };
        let answer = Answer { client: &client, wanted: &wanted, nonce: code.request.nonce.as_deref(), refresh };
        self.answer(&session.person, answer, v2).await
    }

    /// Takes a code, once.
    async fn redeemed(
        &self,
        text: &str,
        client: &str,
        address: &str,
        verifier: &str,
    ) -> Result<(Code, Living, Brought), OAuthError> {
        let unknown =
            || invalid_grant(70_008, "The provided authorization code has expired or is none. Sign in again.");
        let shown = Shown::of(text).ok_or_else(unknown)?;
        let contended = || Error::conflict("The authorization code is used by many at the same time.");
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(contended).await?;
            let row = self.platform.store.get(&AUTHORIZATION_CODES, &shown.id).await.map_err(Error::from)?;
            let Some(row) = row else { return Err(unknown()) };
            let code = Code::clone(&*row.parse::<Code>().map_err(Error::from)?);
            if !shown.fits(&code.hash) {
                return Err(unknown());
            }
            if let Some(chain) = code.chain {
                // Two have it, and one of them stole it: what came of it ends (RFC 6749, 4.1.2), and nothing more comes of it.
                let mut change = Change::new();
                change.unit.delete(&REFRESH_CHAINS, chain);
                change.unit.delete(&AUTHORIZATION_CODES, shown.id.clone());
                self.platform.commit(change).await.map_err(Error::from)?;
                return Err(invalid_grant(
                    54_005,
                    "OAuth2 Authorization code was already redeemed. Sign in again; what it was redeemed for is refused from now on.",
                ));
            }
            if self.now() >= code.at + CODE_SECONDS {
                return Err(unknown());
            }
            let mut change = Change::new();
            change.unit.expect_version(&AUTHORIZATION_CODES, shown.id.clone(), row.version);
            let chain = self.platform.new_id().to_string();
            let used = Code { chain: Some(chain.clone()), ..code.clone() };
            change.unit.put(Put::new(&AUTHORIZATION_CODES, shown.id.clone(), Vec::new(), &used).map_err(Error::from)?);
            if !self.platform.try_commit(change).await? {
                continue;
            }
            // Whoever brings it with something wrong has used it up.
            check(&code.request, client, address, verifier)?;
            let session = self.living_session(&code.session).await?;
            let session = session.ok_or_else(|| {
                invalid_grant(50_173, "The session in which the authorization code was made has ended. Sign in again.")
            })?;
            return Ok((code, session, Brought { id: shown.id, chain }));
        }
    }
}

fn check(request: &AuthorizeRequest, client: &str, address: &str, verifier: &str) -> Result<(), OAuthError> {
    if !request.client.eq_ignore_ascii_case(client) {
        return Err(invalid_grant(70_000, "The authorization code was issued to another client."));
    }
    if request.redirect_uri != address {
        return Err(invalid_grant(
            500_112,
            "The reply address does not match the reply address provided when requesting Authorization code.",
        ));
    }
    let hash = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
    if !VERIFIER_CHARS.contains(&verifier.len()) || !ticket::same(&hash, &request.challenge) {
        return Err(invalid_grant(
            501_481,
            "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
        ));
    }
    Ok(())
}

/// Unix seconds at which the code of a row was made, where it may be forgotten by `now`.
pub(crate) fn ended(row: &Row, now: i64) -> Option<i64> {
    let at = row.parse::<Code>().ok()?.at;
    (now >= at + REMEMBERED_SECONDS).then_some(at)
}
