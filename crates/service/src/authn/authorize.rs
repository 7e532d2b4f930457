//! What a browser brings to the authorization endpoint (RFC 6749 section 4.1.1, RFC 7636, OpenID Connect Core 3.1.2.1), and how it is
//! sent back.

use super::clients::PublicClient;
use super::oauth::{OAuthError, missing_field};
use super::person::Wanted;
use serde::{Deserialize, Serialize};

/// Longest `state` and `nonce` that are given back, bytes: ours.
const ECHO_BYTES: usize = 4096;
/// Characters of a challenge by S256 (RFC 7636, 4.2: base64url of 32 bytes).
const CHALLENGE_CHARS: usize = 43;

/// How the answer travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResponseMode {
    /// In the query of the redirect URI.
    Query,
    /// Behind its `#`.
    Fragment,
    /// In a form that the browser posts there.
    FormPost,
}

/// The way back to a client: with a code, or with what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Back {
    /// Where to; one of the places to which codes of the client may go.
    pub uri: String,
    /// How.
    pub mode: ResponseMode,
    /// What.
    pub fields: Vec<(&'static str, String)>,
}

/// A refusal of what a browser brought.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// What is wrong.
    pub error: OAuthError,
    /// The way back, where the client may be told; else the person is.
    pub back: Option<Back>,
}

impl From<OAuthError> for Refusal {
    fn from(error: OAuthError) -> Self {
        Self { error, back: None }
    }
}

/// What is done with a session that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Prompt {
    /// It is enough.
    Auto,
    /// It must be enough: nobody is asked anything.
    None,
    /// The person chooses between it and another sign-in.
    Select,
    /// It is not enough.
    Login,
}

/// A request that may be answered with a code.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AuthorizeRequest {
    /// Application id.
    pub(super) client: String,
    pub(super) redirect_uri: String,
    pub(super) mode: ResponseMode,
    pub(super) state: Option<String>,
    pub(super) nonce: Option<String>,
    /// What the code's redeemer must know, by S256.
    pub(super) challenge: String,
    pub(super) wanted: Wanted,
    pub(super) prompt: Prompt,
    /// The name that the form is filled in with.
    pub(super) hint: String,
    /// Whether the endpoint of version 2.0 was asked.
    pub(super) v2: bool,
}

impl AuthorizeRequest {
    /// Reads the parameters of a browser that is at `origin`. Until client and redirect URI are known to belong together nothing is
    /// sent anywhere.
    pub(super) fn of(fields: &[(String, String)], origin: &str, domain: &str, v2: bool) -> Result<Self, Refusal> {
        let field = |name: &str| {
            fields
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
                .filter(|value| !value.is_empty())
        };
        let client_id = field("client_id").ok_or_else(|| missing_field("client_id"))?;
        let client = PublicClient::by_id(client_id).ok_or_else(|| unknown_client(client_id))?;
        let uri = field("redirect_uri").ok_or_else(|| missing_field("redirect_uri"))?;
        if !client.takes_codes_at(uri, origin, domain) {
            return Err(wrong_address(client, uri).into());
        }
        let state = field("state").map(str::to_owned);
        let mode = match field("response_mode") {
            None | Some("query") => Ok(ResponseMode::Query),
            Some("fragment") => Ok(ResponseMode::Fragment),
            Some("form_post") => Ok(ResponseMode::FormPost),
            Some(other) => Err(invalid(
                "invalid_request",
                900_561,
                format!("The response_mode '{}' is none of query, fragment and form_post.", shown(other)),
            )),
        };
        let known = mode.as_ref().copied().unwrap_or(ResponseMode::Query);
        let refusal = |error: OAuthError| Refusal { back: Some(refused(uri, known, state.as_deref(), &error)), error };
        mode.map_err(refusal)?;
        if state.as_ref().is_some_and(|text| text.len() > ECHO_BYTES) {
            return Err(invalid("invalid_request", 900_144, "The parameter 'state' is too long.").into());
        }
        check_response_type(field("response_type")).map_err(refusal)?;
        let nonce = field("nonce").map(str::to_owned);
        if nonce.as_ref().is_some_and(|text| text.len() > ECHO_BYTES) {
            return Err(refusal(invalid("invalid_request", 900_144, "The parameter 'nonce' is too long.")));
        }
        Ok(Self {
            client: client.id.to_owned(),
            redirect_uri: uri.to_owned(),
            mode: known,
            nonce,
            challenge: challenge(field("code_challenge"), field("code_challenge_method")).map_err(refusal)?,
            wanted: Wanted::of(fields).map_err(refusal)?,
            prompt: prompt(field("prompt"), client).map_err(refusal)?,
            hint: field("login_hint").unwrap_or_default().chars().take(256).collect(),
            state: state.clone(),
            v2,
        })
    }

    /// The client's name for people.
    pub(super) fn client_name(&self) -> &'static str {
        PublicClient::by_id(&self.client).map_or("", |client| client.name)
    }

    /// Whether the code goes to a program on the person's machine.
    pub(super) fn is_for_a_program(&self) -> bool {
        PublicClient::by_id(&self.client).is_some_and(|client| client.native)
    }

    /// Origin of the place that the browser will go to, for a policy that says where a form may lead.
    pub(super) fn goes_to(&self) -> String {
        let end = self.redirect_uri.match_indices('/').nth(2).map_or(self.redirect_uri.len(), |(at, _)| at);
        self.redirect_uri[..end].to_owned()
    }

    /// Back with a code.
    pub(super) fn with_code(&self, code: String) -> Back {
        let mut fields = vec![("code", code)];
        fields.extend(self.state.clone().map(|state| ("state", state)));
        Back { uri: self.redirect_uri.clone(), mode: self.mode, fields }
    }

    /// Back with what is wrong.
    pub(super) fn refused(&self, error: OAuthError) -> Refusal {
        Refusal { back: Some(refused(&self.redirect_uri, self.mode, self.state.as_deref(), &error)), error }
    }
}

fn refused(uri: &str, mode: ResponseMode, state: Option<&str>, error: &OAuthError) -> Back {
    let mut fields = vec![("error", error.error.to_owned()), ("error_description", error.description.clone())];
    fields.extend(state.filter(|state| state.len() <= ECHO_BYTES).map(|state| ("state", state.to_owned())));
    Back { uri: uri.to_owned(), mode, fields }
}

fn invalid(error: &'static str, code: u32, text: impl std::fmt::Display) -> OAuthError {
    OAuthError::new(400, error, code, text)
}

fn unknown_client(id: &str) -> OAuthError {
    invalid(
        "unauthorized_client",
        700_016,
        format!(
            "Application with identifier '{}' was not found among those that people sign in with: the portal, Azure CLI, Azure PowerShell, Visual Studio and Visual Studio Code.",
            shown(id)
        ),
    )
}

fn wrong_address(client: &PublicClient, uri: &str) -> OAuthError {
    let expected = if client.native {
        "http://localhost with any port"
    } else {
        "/portal/ at the address that the browser is at, which is portal.<domain> or the plain domain"
    };
    invalid(
        "invalid_request",
        50_011,
        format!(
            "The redirect URI '{}' specified in the request does not match the redirect URIs configured for the application '{}': {expected}.",
            shown(uri),
            client.id
        ),
    )
}

fn check_response_type(sent: Option<&str>) -> Result<(), OAuthError> {
    match sent {
        Some("code") => Ok(()),
        Some(other) => Err(invalid(
            "unsupported_response_type",
            700_054,
            format!("response_type '{}' is not enabled for the application; it is 'code'.", shown(other)),
        )),
        None => Err(missing_field("response_type")),
    }
}

fn challenge(sent: Option<&str>, method: Option<&str>) -> Result<String, OAuthError> {
    let Some(challenge) = sent else {
        return Err(invalid(
            "invalid_request",
            9_002_325,
            "Proof Key for Code Exchange is required: send code_challenge and code_challenge_method=S256.",
        ));
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if method == Some("S256") && challenge.len() == CHALLENGE_CHARS && challenge.chars().all(plain) {
        return Ok(challenge.to_owned());
    }
    Err(invalid(
        "invalid_request",
        501_491,
        "Invalid size of Code_Challenge parameter, or a method other than S256: it is the base64url form of a SHA-256.",
    ))
}

fn prompt(sent: Option<&str>, client: &PublicClient) -> Result<Prompt, OAuthError> {
    match sent {
        // A code for a program goes to whoever listens on a port of the machine, so somebody says yes to it each time.
        None if client.native => Ok(Prompt::Select),
        None => Ok(Prompt::Auto),
        Some("none") => Ok(Prompt::None),
        Some("login") => Ok(Prompt::Login),
        Some("select_account" | "consent") => Ok(Prompt::Select),
        Some(other) => Err(invalid(
            "invalid_request",
            90_023,
            format!(
                "Unsupported 'prompt' value '{}'; there are none, login, select_account and consent.",
                shown(other)
            ),
        )),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::PORTAL;

    const ORIGIN: &str = "https://portal.localhost:8443";
    const CLI: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";

    fn of(changes: &[(&str, &str)]) -> Result<AuthorizeRequest, Refusal> {
        let mut fields = vec![
            ("client_id", PORTAL),
            ("redirect_uri", "https://portal.localhost:8443/portal/"),
            ("response_type", "code"),
            ("scope", "https://management.azure.com/.default openid offline_access"),
            ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
            ("code_challenge_method", "S256"),
            ("state", "s1"),
        ];
        fields.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        fields.extend(changes.iter().copied().filter(|(_, value)| !value.is_empty()));
        let fields: Vec<_> = fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        AuthorizeRequest::of(&fields, ORIGIN, "localhost", true)
    }

    #[test]
    fn what_is_wrong_before_the_address_is_known_is_sent_nowhere() {
        for (name, value, code) in [
            ("client_id", "", 900_144),
            ("client_id", "11111111-1111-4111-8111-111111111111", 700_016),
            ("redirect_uri", "", 900_144),
            ("redirect_uri", "https://evil.example/portal/", 50_011),
            ("redirect_uri", "http://localhost:1", 50_011),
        ] {
            let refusal = of(&[(name, value)]).unwrap_err();
            assert_eq!((refusal.error.code, refusal.back), (code, None), "{name}={value}");
        }
    }

    #[test]
    fn what_is_wrong_afterwards_goes_back_with_the_state() {
        for (name, value, error, code) in [
            ("response_type", "", "invalid_request", 900_144),
            ("response_type", "token", "unsupported_response_type", 700_054),
            ("response_type", "code id_token", "unsupported_response_type", 700_054),
            ("response_mode", "x", "invalid_request", 900_561),
            ("code_challenge", "", "invalid_request", 9_002_325),
            ("code_challenge", "short", "invalid_request", 501_491),
            ("code_challenge_method", "plain", "invalid_request", 501_491),
            ("code_challenge_method", "", "invalid_request", 501_491),
            ("scope", "", "invalid_request", 900_144),
            ("prompt", "always", "invalid_request", 90_023),
        ] {
            let refusal = of(&[(name, value)]).unwrap_err();
            let back = refusal.back.unwrap();
            assert_eq!((refusal.error.error, refusal.error.code), (error, code), "{name}={value}");
            assert_eq!(back.fields[0].1, error);
            assert_eq!(back.fields.last().unwrap(), &("state", "s1".to_owned()));
        }
    }

    #[test]
    fn a_program_is_asked_about_each_time() {
        let cli = of(&[("client_id", CLI), ("redirect_uri", "http://localhost:8400")]).unwrap();
        assert_eq!((cli.prompt, cli.goes_to().as_str()), (Prompt::Select, "http://localhost:8400"));
        let portal = of(&[]).unwrap();
        assert_eq!((portal.prompt, portal.goes_to().as_str()), (Prompt::Auto, ORIGIN));
        assert_eq!(of(&[("prompt", "none")]).unwrap().prompt, Prompt::None);
        let back = portal.with_code("c".into());
        assert_eq!((back.mode, back.fields.len()), (ResponseMode::Query, 2));
    }
}
