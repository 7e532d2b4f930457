//! What a running command works with: who is signed in, tokens, warnings, the HTTPS client.

use super::failure::{Failure, Result};
use super::output::Output;
use crate::device::network::{Network, Place};
use crate::environment::Environment;
use crate::http::{Client, Response};
use crate::profile::{Endpoint, Profile, ServerReference, ServerUrls, Settings};
use bytes::Bytes;
use ferrohub_model::error::Error;
use ferrohub_model::terminal::escaped_except;
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::collections::HashMap;
use std::future::Future;
use std::io::Write;
use std::pin::Pin;

/// A running handler.
pub(crate) type Task<'a> = Pin<Box<dyn Future<Output = Result<Output>> + Send + 'a>>;

/// Token scope of Azure Resource Manager.
pub(crate) const ARM_SCOPE: &str = "https://management.azure.com/.default";
/// Token scope of Microsoft Graph.
pub(crate) const GRAPH_SCOPE: &str = "https://graph.microsoft.com/.default";
/// Token scope of every hub's data plane.
pub(crate) const HUB_SCOPE: &str = "https://iothubs.azure.net/.default";
/// Token scope of every DPS's data plane.
pub(crate) const DPS_SCOPE: &str = "https://azure-devices-provisioning.net/.default";

/// Seconds of life a kept token must have left to be used again.
const TOKEN_MARGIN_SECONDS: i64 = 60;

/// Characters that stay as they are in one segment of a path.
const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b'$');

/// One segment of a URL's path, percent-encoded.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// A value of a URL's query or of a form, percent-encoded.
pub(crate) fn query_value(text: &str) -> String {
    const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, VALUE).to_string()
}

/// An access token and when it ends.
#[derive(Clone)]
pub(crate) struct Token {
    /// The bearer token.
    pub(crate) secret: String,
    /// Unix time at which it expires.
    pub(crate) expires_on: i64,
}

/// Who is signed in, at which server, with which tokens.
struct SignedIn {
    profile: Profile,
    client: Client,
    urls: ServerUrls,
    tokens: HashMap<String, Token>,
}

/// The state of one command line.
pub(crate) struct Context<'e> {
    /// The process around it.
    pub(crate) environment: &'e mut Environment,
    /// Settings of `az config`.
    pub(crate) settings: Settings,
    err: &'e mut (dyn Write + Send),
    quiet: bool,
    verbose: bool,
    subscription_choice: Option<String>,
    signed_in: Option<SignedIn>,
}

impl<'e> Context<'e> {
    /// A context that has not looked at the profile yet.
    pub(crate) fn new(environment: &'e mut Environment, settings: Settings, err: &'e mut (dyn Write + Send)) -> Self {
        Self { environment, settings, err, quiet: false, verbose: false, subscription_choice: None, signed_in: None }
    }

    /// Applies the global options.
    pub(crate) fn configure(&mut self, quiet: bool, verbose: bool, subscription: Option<&str>) {
        self.quiet = quiet;
        self.verbose = verbose;
        self.subscription_choice = subscription.map(str::to_owned);
    }

    /// Chooses the subscription that the following calls work on.
    pub(crate) fn choose_subscription(&mut self, choice: &str) {
        self.subscription_choice = Some(choice.to_owned());
    }

    /// A line on stderr that is no error; `--only-show-errors` hides it.
    pub(crate) fn warn(&mut self, text: &str) {
        if !self.quiet {
            self.say(&format!("WARNING: {text}"));
        }
    }

    /// A line on stderr that only says what is done; `--only-show-errors` hides it.
    pub(crate) fn note(&mut self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    /// A line on stderr, as it is.
    pub(crate) fn say(&mut self, text: &str) {
        // Nothing useful can be done when stderr is closed. Names in warnings are other people's.
        let _ = writeln!(self.err, "{}", escaped_except(text, &['\n', '\t']));
        let _ = self.err.flush();
    }

    /// Text on stderr without a line end: the question of a confirmation.
    pub(crate) fn ask(&mut self, text: &str) -> String {
        let _ = write!(self.err, "{text}");
        let _ = self.err.flush();
        let mut answer = String::new();
        let _ = std::io::BufRead::read_line(&mut self.environment.stdin, &mut answer);
        answer.trim().to_owned()
    }

    /// Signs in against `endpoint` as `profile` says, for this command line only.
    ///
    /// # Errors
    /// What the CA file or the client's construction said.
    pub(crate) fn connect(&mut self, profile: Profile, endpoint: Endpoint) -> Result<()> {
        let client = Client::new(&endpoint.ca_pem, endpoint.address, self.environment.clock.clone())?;
        self.signed_in = Some(SignedIn { profile, client, urls: endpoint.urls, tokens: HashMap::new() });
        Ok(())
    }

    fn signed_in(&mut self) -> Result<&mut SignedIn> {
        if self.signed_in.is_none() {
            let profile = Profile::load(self.environment)?.ok_or_else(Failure::not_signed_in)?;
            other_data_folder(self.environment, &profile)?;
            let endpoint = profile.server.endpoint()?;
            self.connect(profile, endpoint)?;
        }
        self.signed_in.as_mut().ok_or_else(Failure::not_signed_in)
    }

    /// The signed-in profile.
    ///
    /// # Errors
    /// `az`'s text where nobody is signed in.
    pub(crate) fn profile(&mut self) -> Result<&Profile> {
        self.signed_in().map(|signed_in| &signed_in.profile)
    }

    /// Base URLs of the server.
    ///
    /// # Errors
    /// As [`Context::profile`].
    pub(crate) fn urls(&mut self) -> Result<ServerUrls> {
        self.signed_in().map(|signed_in| signed_in.urls.clone())
    }

    /// The id of the subscription to work on.
    ///
    /// # Errors
    /// Not signed in, or a name that is no subscription of the profile.
    pub(crate) fn subscription(&mut self) -> Result<String> {
        let choice = self.subscription_choice.clone();
        let profile = self.profile()?;
        if let Some(found) = profile.subscription(choice.as_deref()) {
            return Ok(found.id.clone());
        }
        match choice {
            // An id that was not there at sign-in may exist by now: the server decides.
            Some(id) if uuid::Uuid::parse_str(&id).is_ok() => Ok(id),
            Some(name) => Err(unknown_subscription(&name)),
            None => Err(Failure::not_signed_in()),
        }
    }

    /// A token for `scope`, by client credentials; kept for the length of the command.
    ///
    /// # Errors
    /// The sign-in service's description, exit 1.
    pub(crate) async fn token(&mut self, scope: &str) -> Result<Token> {
        let now = self.environment.clock.unix_seconds();
        let signed_in = self.signed_in()?;
        if let Some(kept) = signed_in.tokens.get(scope)
            && kept.expires_on > now + TOKEN_MARGIN_SECONDS
        {
            return Ok(kept.clone());
        }
        let form = format!(
            "client_id={}&client_secret={}&grant_type=client_credentials&scope={}",
            query_value(&signed_in.profile.client_id),
            query_value(&signed_in.profile.secret()?),
            query_value(scope),
        );
        let url = format!("{}/{}/oauth2/v2.0/token", signed_in.urls.login, segment(&signed_in.profile.tenant_id));
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json")];
        let sent = signed_in.client.request(Method::POST, &url, &headers, Bytes::from(form)).await;
        let response = sent.map_err(explained)?;
        let body = response.json().unwrap_or(Value::Null);
        let Some(secret) = body.get("access_token").and_then(Value::as_str) else {
            let said =
                body.get("error_description").and_then(Value::as_str).unwrap_or("the sign-in service gave no reason");
            return Err(Failure::error(format!("Sign-in failed ({}): {said}", response.status.as_u16())));
        };
        let life = body.get("expires_in").and_then(|life| life.as_i64().or_else(|| life.as_str()?.parse().ok()));
        let token = Token { secret: secret.to_owned(), expires_on: now + life.unwrap_or(3599) };
        signed_in.tokens.insert(scope.to_owned(), token.clone());
        Ok(token)
    }

    /// Sends one request with the given `Authorization` value, if any.
    ///
    /// # Errors
    /// The server cannot be reached; the text says how to start it.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        url: &str,
        authorization: Option<&str>,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Response> {
        let mut all =
            vec![("accept", "application/json"), ("user-agent", concat!("ferrohub-az/", env!("CARGO_PKG_VERSION")))];
        if let Some(value) = authorization {
            all.push(("authorization", value));
        }
        all.extend_from_slice(headers);
        if !body.is_empty() && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            all.push(("content-type", "application/json"));
        }
        let shown = method.clone();
        let answer = self.signed_in()?.client.request(method, url, &all, body).await;
        if self.verbose {
            let result =
                answer.as_ref().map_or_else(|error| error.message.clone(), |response| response.status.to_string());
            self.say(&format!("INFO: {shown} {url} -> {result}"));
        }
        answer.map_err(explained)
    }

    /// Whether `url` belongs to the signed-in server, so that a token may go there.
    ///
    /// # Errors
    /// As [`Context::profile`].
    pub(crate) fn owns_url(&mut self, url: &str) -> Result<bool> {
        let signed_in = self.signed_in()?;
        let host = |url: &str| url.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_ascii_lowercase));
        let Some(wanted) = host(url) else {
            return Ok(false);
        };
        let urls = [&signed_in.urls.resource_manager, &signed_in.urls.login, &signed_in.urls.graph];
        Ok(signed_in.client.server().owns(&wanted) || urls.iter().any(|base| host(base).as_ref() == Some(&wanted)))
    }

    /// The server as its devices see it.
    ///
    /// # Errors
    /// As [`Context::profile`]; the server's host cannot be looked up.
    pub(crate) async fn device_network(&mut self) -> Result<Network> {
        let server = self.profile()?.server.clone();
        let (endpoint, port) = (server.endpoint()?, server.mqtt_port()?);
        let host = endpoint.address.host;
        let found = tokio::net::lookup_host((host.as_str(), port)).await.ok().and_then(|mut all| all.next());
        let address = found.ok_or_else(|| Failure::error(format!("The name {host} cannot be looked up.")))?;
        Ok(Network::new(Place::At(address), endpoint.ca_pem, self.environment.clock.clone()))
    }

    /// Domain of the server's names.
    ///
    /// # Errors
    /// As [`Context::profile`].
    pub(crate) fn domain(&mut self) -> Result<String> {
        Ok(self.signed_in()?.client.server().domain.clone())
    }
}

/// Refuses to work on another server than the one that the person names now: who sets FERROHUB_DATA_DIR means that folder.
fn other_data_folder(environment: &Environment, profile: &Profile) -> Result<()> {
    let (Some(named), ServerReference::DataFolder { path }) =
        (environment.variable("FERROHUB_DATA_DIR"), &profile.server)
    else {
        return Ok(());
    };
    let real = |path: &std::path::Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let named = environment.path(named);
    if real(&named) == real(path) {
        return Ok(());
    }
    Err(Failure::error(format!(
        "You are signed in at the server of the data folder {}, but FERROHUB_DATA_DIR names {}. Run 'az login' to sign in there, or unset \
         the variable.",
        path.display(),
        named.display()
    )))
}

/// `az`'s text for a subscription that the profile does not have.
pub(crate) fn unknown_subscription(name: &str) -> Failure {
    Failure::error(format!("The subscription of '{name}' doesn't exist in cloud 'AzureCloud'."))
}

/// Adds to a server that cannot be reached what to do about it.
fn explained(error: Error) -> Failure {
    let hint = " Is the server running? 'ferrohub serve' starts it; 'az login' chooses another.";
    let unreachable = error.message.starts_with("Cannot reach");
    Failure::error(if unreachable { format!("{}{hint}", error.message) } else { error.message })
}
