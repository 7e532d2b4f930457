//! The token service over HTTP: OpenID documents, the token endpoint, and the way to the pages of the sign-in.

use super::reply::Reply;
use super::request::{Call, method_not_allowed, parse_query};
use super::sign_in;
use crate::errors;
use crate::guesses::{Guesses, Kind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::error::{Error, Result};
use ferrohub_service::Service;
use ferrohub_service::audit::{self, AuditEvent};
use ferrohub_service::authn::{LINK_PATH, OAuthError};
use ferrohub_service::route::{Found, RouteInfo, Row, Table, Wants};
use http::header::{CACHE_CONTROL, RETRY_AFTER};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

/// What a path below a tenant asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// OpenID configuration; `v2` selects the v2.0 document.
    Configuration { v2: bool },
    /// The token endpoint.
    Token { v2: bool },
    /// The public keys.
    Keys,
    /// Where a tenant's authority is: what MSAL asks before it trusts a host it does not know.
    Instance,
    /// How a person signs in: with a password, here.
    Realm,
    /// Where a browser is sent to sign somebody in.
    Authorize { v2: bool },
    /// A form of the sign-in, sent by a person.
    Proceed,
    /// Asks whether to sign out.
    AskToSignOut,
    /// Signs out.
    SignOut,
    /// A code for a device without a browser.
    DeviceCode { v2: bool },
    /// The page on which that code is typed.
    DeviceLogin,
    /// The page of a link that signs a person in.
    Link,
    /// What else Entra has, completing "The token service does not have …".
    NotBuilt(&'static str),
}

const fn row(method: &'static str, path: &'static str, run: Wanted) -> Row<Wanted> {
    let wants = if matches!(run, Wanted::Token { .. }) { Wants::ClientSecret } else { Wants::Nothing };
    Row { method, path, wants, run }
}

static ROUTES: Table<Wanted> = Table::new(&[
    row("GET", "/{tenant}/.well-known/openid-configuration", Wanted::Configuration { v2: false }),
    row("GET", "/{tenant}/v2.0/.well-known/openid-configuration", Wanted::Configuration { v2: true }),
    row("POST", "/{tenant}/oauth2/token", Wanted::Token { v2: false }),
    row("POST", "/{tenant}/oauth2/v2.0/token", Wanted::Token { v2: true }),
    row("GET", "/{tenant}/discovery/keys", Wanted::Keys),
    row("GET", "/{tenant}/discovery/v2.0/keys", Wanted::Keys),
    row("GET", "/{tenant}/discovery/instance", Wanted::Instance),
    row("GET", "/{tenant}/oauth2/authorize", Wanted::Authorize { v2: false }),
    row("POST", "/{tenant}/oauth2/authorize", Wanted::Proceed),
    row("GET", "/{tenant}/oauth2/logout", Wanted::AskToSignOut),
    row("POST", "/{tenant}/oauth2/logout", Wanted::SignOut),
    row("GET", "/{tenant}/oauth2/v2.0/authorize", Wanted::Authorize { v2: true }),
    row("POST", "/{tenant}/oauth2/v2.0/authorize", Wanted::Proceed),
    row("GET", "/{tenant}/oauth2/v2.0/logout", Wanted::AskToSignOut),
    row("POST", "/{tenant}/oauth2/v2.0/logout", Wanted::SignOut),
    row("POST", "/{tenant}/oauth2/devicecode", Wanted::DeviceCode { v2: false }),
    row("POST", "/{tenant}/oauth2/v2.0/devicecode", Wanted::DeviceCode { v2: true }),
    row("GET", "/devicelogin", Wanted::DeviceLogin),
    row("POST", "/devicelogin", Wanted::Proceed),
    row("GET", LINK_PATH, Wanted::Link),
    row("POST", LINK_PATH, Wanted::Proceed),
    row("GET", "/{tenant}/userrealm/{name}", Wanted::Realm),
    row("*", "/{tenant}/userrealm/**", Wanted::NotBuilt("federated realms")),
    row("*", "/{tenant}/oauth2/v2.0/userinfo", Wanted::NotBuilt("the claims of people")),
    row("*", "/{tenant}/openid/userinfo", Wanted::NotBuilt("the claims of people")),
    row("*", "/{tenant}/kerberos", Wanted::NotBuilt("Kerberos")),
    row("*", "/{tenant}/saml2", Wanted::NotBuilt("SAML")),
    row("*", "/{tenant}/wsfed", Wanted::NotBuilt("WS-Federation")),
    row("*", "/{tenant}/federationmetadata/**", Wanted::NotBuilt("WS-Federation")),
]);

/// The routes of the token service.
pub(super) fn routes() -> Vec<RouteInfo> {
    ROUTES.info("login")
}

/// Answers a request.
pub(super) async fn handle(service: &Service, call: &Call, guesses: &Guesses) -> Result<Reply> {
    let (wanted, path) = match ROUTES.find(call.method.as_str(), &call.segments()?) {
        Found::Row(row, path) => (row.run, path),
        Found::OtherMethods(methods) => return Err(method_not_allowed(call, &methods.join(", "))),
        Found::Nothing => return Err(unknown(call)),
    };
    let tenant = path.first().map(String::as_str).unwrap_or_default();
    let base_url = call.base_url();
    match wanted {
        Wanted::Configuration { v2 } => {
            Ok(Reply::json(200, &service.authn.openid_configuration(tenant, &base_url, v2)))
        }
        Wanted::Keys => Ok(Reply::json(200, &service.authn.jwks().await?)),
        Wanted::Realm => Ok(Reply::json(200, &realm(path.get(1).map(String::as_str).unwrap_or_default()))),
        Wanted::Instance => Ok(Reply::json(200, &instance(call, &service.tenancy().tenant_id))),
        Wanted::Token { v2 } => token(service, call, tenant, v2, guesses).await,
        Wanted::Authorize { v2 } => sign_in::authorize(service, call, tenant, v2).await,
        Wanted::Proceed => sign_in::proceed(service, call).await,
        Wanted::AskToSignOut => Ok(sign_in::ask_to_sign_out(call)),
        Wanted::SignOut => sign_in::sign_out(service, call).await,
        Wanted::DeviceCode { v2 } => device_code(service, call, tenant, v2).await,
        Wanted::DeviceLogin => sign_in::device_login(service, call).await,
        Wanted::Link => Ok(sign_in::link(service, call).await),
        Wanted::NotBuilt(what) => Err(Error::not_implemented(format!(
            "The token service does not have {what}. Sign in as a service principal at /{{tenant}}/oauth2/v2.0/token."
        ))),
    }
}

async fn token(service: &Service, call: &Call, tenant: &str, v2: bool, guesses: &Guesses) -> Result<Reply> {
    let form = std::str::from_utf8(&call.body)
        .map_err(|_| Error::invalid("The request body must be an application/x-www-form-urlencoded form."))?;
    let (form, basic) = (parse_query(form), basic(call)?);
    let client = basic.as_ref().map(|(id, _)| id.as_str());
    let client = client.or_else(|| form.iter().find(|(key, _)| key == "client_id").map(|(_, value)| value.as_str()));
    let client = client.map(str::to_owned);
    let target =
        proves(&form, basic.as_ref()).map(|name| guesses.target(Kind::ClientSecret, name, call.client.origin()));
    let reply = match service.authn.token(tenant, &form, basic, call.client.peer.address, v2).await {
        Ok(token) => {
            if let Some(target) = &target {
                guesses.right(target);
            }
            call.client.prove();
            service.note_sign_in(sign_in(call, client.as_deref(), &form));
            Reply::json(200, &token)
        }
        Err(refusal) => {
            tracing::debug!(code = refusal.code, "token refused");
            if let Some(target) = target.filter(|_| refusal.is_a_wrong_client()) {
                guesses.wrong(&target)?;
            }
            // A device that asks whether somebody said yes is no attempt of its own.
            if !matches!(refusal.error, "authorization_pending" | "slow_down") {
                let event =
                    sign_in(call, client.as_deref(), &form).refused(refusal.code.to_string(), &refusal.description);
                service.note_sign_in(event);
            }
            refused(&refusal, call)
        }
    };
    Ok(reply.with(CACHE_CONTROL, "no-store"))
}

/// A code for a device without a browser.
async fn device_code(service: &Service, call: &Call, tenant: &str, v2: bool) -> Result<Reply> {
    let form = std::str::from_utf8(&call.body)
        .map_err(|_| Error::invalid("The request body must be an application/x-www-form-urlencoded form."))?;
    let (form, address) = (parse_query(form), call.client.peer.address);
    let reply = match service.authn.device_code(tenant, &form, &call.base_url(), address, v2).await {
        Ok(code) => Reply::json(200, &code),
        Err(refusal) => refused(&refusal, call),
    };
    Ok(reply.with(CACHE_CONTROL, "no-store"))
}

/// The client that a request proves to be, or tries to. A public one with which a person comes shows nothing that could be
/// guessed, and is the same for everybody behind an address; the person's password is counted where it is looked at.
fn proves<'a>(form: &'a [(String, String)], basic: Option<&'a (String, String)>) -> Option<&'a str> {
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let shows = field("client_secret").is_some() || field("client_assertion").is_some();
    match basic {
        Some((id, _)) => Some(id),
        None if shows || field("grant_type") == Some("client_credentials") => {
            Some(field("client_id").unwrap_or_default())
        }
        None => None,
    }
}

/// A refusal in OAuth's shape.
fn refused(refusal: &OAuthError, call: &Call) -> Reply {
    let body = errors::oauth::body(refusal.error, &refusal.description, refusal.code, &call.trace);
    let reply = Reply::json(refusal.status, &body);
    match refusal.retry_after {
        Some(seconds) => reply.with(RETRY_AFTER, seconds.to_string()),
        None => reply,
    }
}

/// How the person with this name signs in. The same for everybody: whether there is one is not told.
fn realm(name: &str) -> Value {
    let domain = name.rsplit_once('@').map(|(_, domain)| domain).unwrap_or_default();
    json!({
        "ver": "1.0",
        "account_type": "Managed",
        "domain_name": domain,
        "cloud_instance_name": "microsoftonline.com",
        "cloud_audience_urn": "urn:federation:MicrosoftOnline"
    })
}

/// What the audit log is told of somebody who asked for a token.
fn sign_in(call: &Call, client: Option<&str>, form: &[(String, String)]) -> AuditEvent {
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let wanted = field("scope").or_else(|| field("resource")).unwrap_or_default();
    let who = field("username").or(client).unwrap_or_default();
    let how = field("grant_type").unwrap_or_default();
    audited(call, who, how, wanted)
}

/// What the audit log is told of somebody who signs in, for what.
pub(super) fn audited(call: &Call, who: &str, how: &str, wanted: &str) -> AuditEvent {
    let event = AuditEvent::new(audit::Kind::SignIn, who, wanted).what(how).from(call.client.peer.address);
    AuditEvent {
        request_id: Some(call.trace.request_id),
        correlation_id: Some(call.correlation_id),
        agent: call.header("user-agent").map(super::request::shown),
        ..event
    }
}

/// Client id and secret of an HTTP Basic header, each percent-encoded (RFC 6749, 2.3.1).
fn basic(call: &Call) -> Result<Option<(String, String)>> {
    let Some(header) = call.authorization() else { return Ok(None) };
    let malformed = || Error::unauthenticated("The Authorization header is not 'Basic base64(client id:secret)'.");
    let (scheme, text) = header.split_once(' ').ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let bytes = STANDARD.decode(text.trim()).map_err(|_| malformed())?;
    let text = String::from_utf8(bytes).map_err(|_| malformed())?;
    let (id, secret) = text.split_once(':').ok_or_else(malformed)?;
    let decode =
        |part: &str| percent_decode_str(part).decode_utf8().map(|text| text.into_owned()).map_err(|_| malformed());
    Ok(Some((decode(id)?, decode(secret)?)))
}

/// The answer to MSAL's instance discovery: this host alone is the authority.
fn instance(call: &Call, tenant: &str) -> Value {
    let tenant = call.query("authorization_endpoint").and_then(tenant_of).unwrap_or(tenant);
    json!({
        "tenant_discovery_endpoint": format!("{}/{tenant}/v2.0/.well-known/openid-configuration", call.base_url()),
        "api-version": "1.1",
        "metadata": [{
            "preferred_network": call.authority,
            "preferred_cache": call.authority,
            "aliases": [call.authority]
        }]
    })
}

/// The tenant in `https://host/{tenant}/oauth2/v2.0/authorize`.
fn tenant_of(endpoint: &str) -> Option<&str> {
    let path = endpoint.strip_prefix("https://")?.split_once('/')?.1;
    path.split('/')
        .next()
        .filter(|tenant| !tenant.is_empty() && tenant.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)))
}

fn unknown(call: &Call) -> Error {
    Error::not_found(format!(
        "The token service has nothing at '{}'. It serves /{{tenant}}/oauth2/v2.0/token, /{{tenant}}/v2.0/.well-known/openid-configuration and /{{tenant}}/discovery/v2.0/keys.",
        super::request::shown(&call.path)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::https::request::tests::call;

    #[test]
    fn paths_below_a_tenant() {
        let of = |path: &str| {
            let segments: Vec<String> = format!("t/{path}").split('/').map(str::to_owned).collect();
            ["GET", "POST"].into_iter().find_map(|method| match ROUTES.find(method, &segments) {
                Found::Row(row, _) => Some(row.run),
                _ => None,
            })
        };
        assert_eq!(of("oauth2/v2.0/token"), Some(Wanted::Token { v2: true }));
        assert_eq!(of("OAuth2/Token"), Some(Wanted::Token { v2: false }));
        assert_eq!(of("v2.0/.well-known/openid-configuration"), Some(Wanted::Configuration { v2: true }));
        assert_eq!(of("discovery/v2.0/keys"), Some(Wanted::Keys));
        assert_eq!(of("discovery/instance"), Some(Wanted::Instance));
        assert_eq!(of("oauth2/v2.0/devicecode"), Some(Wanted::DeviceCode { v2: true }));
        assert_eq!(of("userrealm/ann@example.com"), Some(Wanted::Realm));
        assert_eq!(of("userrealm"), Some(Wanted::NotBuilt("federated realms")));
        assert_eq!(of("saml2"), Some(Wanted::NotBuilt("SAML")));
        assert_eq!(of("oauth2/v2.0"), None);
    }

    #[test]
    fn basic_credentials_are_decoded_twice() {
        let mut call = call("POST", "h", "/t/oauth2/token", "");
        assert_eq!(basic(&call).unwrap(), None);
        // "app:a%2Bb~"
        call.headers.insert("authorization", "Basic YXBwOmElMkJifg==".parse().unwrap());
        assert_eq!(basic(&call).unwrap(), Some(("app".into(), "a+b~".into())));
        for bad in ["Basic", "Bearer x", "Basic !!", "Basic YXBw"] {
            call.headers.insert("authorization", bad.parse().unwrap());
            assert!(basic(&call).is_err(), "{bad}");
        }
    }

    #[test]
    fn who_shows_a_secret_is_counted_and_a_public_client_is_not() {
        let form = |text: &str| parse_query(text);
        for grant in ["password", "refresh_token", "authorization_code"] {
            let person = form(&format!("grant_type={grant}&client_id=c&username=ann%40x"));
            assert_eq!(proves(&person, None), None, "{grant}");
            let secret = form(&format!("grant_type={grant}&client_id=c&username=ann%40x&client_secret=s"));
            assert_eq!(proves(&secret, None), Some("c"), "{grant}");
        }
        let client = form("grant_type=client_credentials&client_id=c&username=ann");
        assert_eq!(proves(&client, None), Some("c"));
        assert_eq!(proves(&client, Some(&("b".into(), "s".into()))), Some("b"));
        assert_eq!(
            (realm("ann@x.example")["domain_name"].as_str(), realm("")["account_type"].as_str()),
            (Some("x.example"), Some("Managed"))
        );
    }

    #[test]
    fn instance_discovery_names_this_host() {
        let call = call(
            "GET",
            "localhost:8443",
            "/common/discovery/instance?authorization_endpoint=https://localhost:8443/tt/oauth2/v2.0/authorize",
            "",
        );
        let value = instance(&call, "own");
        assert_eq!(
            value["tenant_discovery_endpoint"],
            "https://localhost:8443/tt/v2.0/.well-known/openid-configuration"
        );
        assert_eq!(value["metadata"][0]["aliases"][0], "localhost:8443");
        assert_eq!(tenant_of("https://h/a?b/"), None);
        assert_eq!(tenant_of("http://h/a"), None);
    }
}
