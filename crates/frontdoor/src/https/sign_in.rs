//! Signing in and out in a browser: the steps of `ferrohub_service::authn` as pages, redirects and cookies.

use super::login::audited;
use super::pages::{Button, Field, Page};
use super::reply::Reply;
use super::request::{Call, parse_query};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ferrohub_model::error::{Error, Result};
use ferrohub_service::Service;
use ferrohub_service::authn::{
    Asks, Back, Browser, Form, LINK_PATH, Next, OAuthError, PORTAL_PATH, Refusal, ResponseMode, Said, Step,
};
use http::HeaderName;
use http::header::{LOCATION, RETRY_AFTER, SET_COOKIE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// The session. `__Host-` keeps it to this very host, and other programs of the host from setting it.
const SESSION: &str = "__Host-ferrohub-session";
/// What ties a form to its browser before anybody has signed in.
const BINDING: &str = "__Host-ferrohub-form";
/// What both are: never for scripts, never sent along from another site.
const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Strict";
/// What the audit log calls a sign-in by a link.
const LINK: &str = "link";
/// Random bytes of what ties a form to its browser.
const BINDING_BYTES: usize = 32;

/// Answers a browser that a client sent to be signed in.
pub(super) async fn authorize(service: &Service, call: &Call, tenant: &str, v2: bool) -> Result<Reply> {
    let (binding, new) = binding(service, call);
    let origin = call.base_url();
    let browser = browser_of(call, &origin, &binding);
    let stepped = service.authn.authorize(tenant, &call.query, browser, v2).await;
    let reply = answered(service, call, stepped);
    Ok(if new { reply.with(SET_COOKIE, format!("{BINDING}={binding}; {ATTRIBUTES}")) } else { reply })
}

/// Asks for the code that a device shows.
pub(super) async fn device_login(service: &Service, call: &Call) -> Result<Reply> {
    let (binding, new) = binding(service, call);
    let origin = call.base_url();
    let browser = browser_of(call, &origin, &binding);
    let typed = call.query("user_code").or_else(|| call.query("otc")).unwrap_or_default();
    let reply = answered(service, call, Ok(service.authn.device_login(typed, browser).await?));
    Ok(if new { reply.with(SET_COOKIE, format!("{BINDING}={binding}; {ATTRIBUTES}")) } else { reply })
}

/// Asks whoever opened a link whether to sign in by it. The link stays good: what looks at links opens them too.
pub(super) async fn link(service: &Service, call: &Call) -> Reply {
    let (binding, new) = binding(service, call);
    let origin = call.base_url();
    let browser = browser_of(call, &origin, &binding);
    let stepped = service.authn.open_link(call.query("ticket").unwrap_or_default(), browser).await;
    note_refused_link(service, call, &stepped);
    let reply = answered(service, call, stepped);
    if new { reply.with(SET_COOKIE, format!("{BINDING}={binding}; {ATTRIBUTES}")) } else { reply }
}

/// Goes on with a form that a person sent.
pub(super) async fn proceed(service: &Service, call: &Call) -> Result<Reply> {
    refuse_other_sites(call)?;
    let form = form_of(call)?;
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let tries = field("password").is_some();
    let origin = call.base_url();
    let browser = browser_of(call, &origin, cookie(call, BINDING).unwrap_or_default());
    let stepped = service.authn.proceed(&form, browser).await;
    if let (true, Some(fault)) = (tries, stepped.as_ref().ok().and_then(fault_of)) {
        let name = field("username").unwrap_or_default();
        service.note_sign_in(audited(call, name, "browser", "").refused(fault.code.to_string(), &fault.description));
        if fault.is_locked() {
            return Ok(wait_page(fault));
        }
    }
    if call.path == LINK_PATH {
        note_refused_link(service, call, &stepped);
    }
    Ok(answered(service, call, stepped))
}

/// Somebody came with a link that signs nobody in: it was stolen, or somebody is late.
fn note_refused_link(service: &Service, call: &Call, stepped: &std::result::Result<Step, Refusal>) {
    if let Err(Refusal { error, .. }) = stepped {
        service.note_sign_in(audited(call, "", LINK, "").refused(error.code.to_string(), &error.description));
    }
}

/// `GET` of the place to sign out: asks, since any page may lead here.
pub(super) fn ask_to_sign_out(call: &Call) -> Reply {
    let after = call.query("post_logout_redirect_uri").unwrap_or_default();
    let hidden = [("post_logout_redirect_uri", after)];
    Page::new("Sign out")
        .text("This ends your session in this browser, and signs out every program that was signed in with it.")
        .form(&call.path, &hidden, &[], &[Button::new("sign-out", "Sign out")])
        .leads_to(None)
        .reply(200)
}

/// Ends the session of a browser.
pub(super) async fn sign_out(service: &Service, call: &Call) -> Result<Reply> {
    refuse_other_sites(call)?;
    let form = form_of(call)?;
    if let Some(name) = service.authn.sign_out(cookie(call, SESSION)).await? {
        service.note_sign_in(audited(call, &name, "sign-out", ""));
    }
    let wanted = form.iter().find(|(name, _)| name == "post_logout_redirect_uri").map(|(_, value)| value.as_str());
    let own = wanted.filter(|uri| uri.starts_with(&format!("{}{PORTAL_PATH}", call.base_url())));
    let reply = match (own, is_navigation(call)) {
        (_, false) => Reply::empty(204),
        (Some(uri), true) => Reply::empty(303).with(LOCATION, uri),
        (None, true) => Page::new("You are signed out")
            .text("Your session in this browser has ended.")
            .link(PORTAL_PATH, "Sign in again")
            .reply(200),
    };
    Ok(reply
        .with(SET_COOKIE, format!("{SESSION}=; Max-Age=0; {ATTRIBUTES}"))
        .with(HeaderName::from_static("clear-site-data"), "\"storage\""))
}

/// What a step looks like.
fn answered(service: &Service, call: &Call, stepped: std::result::Result<Step, Refusal>) -> Reply {
    let step = match stepped {
        Ok(step) => step,
        Err(Refusal { error, back: Some(back) }) => {
            tracing::debug!(code = error.code, "a sign-in was refused");
            return sent_back(&back);
        }
        Err(Refusal { error, back: None }) => return refused(&error),
    };
    if let Some(name) = &step.who {
        call.client.prove();
        let how = match (&step.session, &step.next) {
            (Some(_), Next::Portal) => LINK,
            (Some(_), _) => "browser",
            (None, _) => "session",
        };
        service.note_sign_in(audited(call, name, how, ""));
    }
    let reply = match &step.next {
        Next::Back(back) => sent_back(back),
        Next::Form(form) => page_of(service, call, form),
        Next::Portal => Reply::empty(303)
            .with(LOCATION, PORTAL_PATH)
            .with(http::header::CACHE_CONTROL, "no-store")
            .with(http::header::REFERRER_POLICY, "no-referrer"),
        Next::End(Said::Yes) => Page::new("The device is signed in").text("You can close this page.").reply(200),
        Next::End(Said::No) => Page::new("The device is not signed in").text("You said no to it.").reply(200),
    };
    match &step.session {
        Some(text) => reply.with(SET_COOKIE, format!("{SESSION}={}; {ATTRIBUTES}", text.as_str())),
        None => reply,
    }
}

/// A browser on its way back to a client.
fn sent_back(back: &Back) -> Reply {
    if back.mode == ResponseMode::FormPost {
        return Page::new("Signing in")
            .text("You are being taken back to the program that you sign in to.")
            .posted_on(&back.uri, &back.fields)
            .reply(200);
    }
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let fields: Vec<String> = back.fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let mark = match back.mode {
        ResponseMode::Fragment => '#',
        _ => '?',
    };
    Reply::empty(303)
        .with(LOCATION, format!("{}{mark}{}", back.uri, fields.join("&")))
        .with(http::header::CACHE_CONTROL, "no-store")
        .with(http::header::REFERRER_POLICY, "no-referrer")
}

fn page_of(service: &Service, call: &Call, form: &Form) -> Reply {
    let fault = form.fault.as_ref().map(plain);
    let hidden = [("flow", form.flow.as_str())];
    let page =
        match &form.asks {
            Asks::Password { client, hint, known } => {
                let mut page = Page::new("Sign in").text(&format!("to {client}")).fault(fault);
                if let Some(known) = known {
                    let go_on = Button::new("known", format!("Continue as {known}"));
                    page = page.form(&call.path, &hidden, &[], &[go_on]).text("Or sign in as somebody else:");
                }
                let name = Field {
                    name: "username",
                    label: "User name",
                    kind: "text",
                    autocomplete: "username",
                    value: hint,
                    first: hint.is_empty() && known.is_none(),
                };
                let secret = secret("password", "Password", "current-password", !hint.is_empty() && known.is_none());
                page.form(&call.path, &hidden, &[name, secret], &[Button::new("password", "Sign in")])
            }
            Asks::NewPassword { name } => Page::new("Choose another password")
                .text(&format!("{name}, your password is good for this once only."))
                .fault(fault)
                .form(
                    &call.path,
                    &hidden,
                    &[
                        secret("new_password", "New password", "new-password", true),
                        secret("new_password_again", "New password again", "new-password", false),
                    ],
                    &[Button::new("new-password", "Set the password and sign in")],
                ),
            Asks::Link { name, must_change } => link_page(call, &hidden, name, *must_change, fault),
            Asks::DeviceCode { typed } => {
                let field =
                    Field { name: "code", label: "Code", kind: "text", autocomplete: "off", value: typed, first: true };
                Page::new("Sign in a device")
                    .text("Enter the code that your device or program shows.")
                    .fault(fault)
                    .form(&call.path, &hidden, &[field], &[Button::new("code", "Next")])
            }
            Asks::Device { client, code, name } => Page::new("Is this yours?")
                .text(&format!("{client} shows the code {code} and would be signed in as {name}."))
                .text("Say yes only if you began this yourself, on a device or in a program of your own.")
                .fault(fault)
                .form(
                    &call.path,
                    &hidden,
                    &[],
                    &[
                        Button::new("approve", "Yes, sign it in"),
                        Button::new("decline", "No"),
                        Button::new("other", "Sign in as somebody else"),
                    ],
                ),
        };
    let page = match weaker(service, call) {
        Some(text) => page.small(&text),
        None => page,
    };
    page.leads_to(form.goes_to.as_deref()).reply(200)
}

/// The page behind a link. Who has no password, or none that counts, may choose one here.
fn link_page(call: &Call, hidden: &[(&str, &str)], name: &str, must_change: bool, fault: Option<&str>) -> Page {
    let passwords = [
        secret("new_password", "New password", "new-password", must_change),
        secret("new_password_again", "New password again", "new-password", false),
    ];
    let both = [Button::new("link-password", "Set the password and sign in")];
    let page = Page::new("Sign in").text(&format!("as {name}, by a link that does so once.")).fault(fault);
    if must_change {
        let text = "Your password is good for this once only: choose another one.";
        return page.text(text).form(&call.path, hidden, &passwords, &both);
    }
    page.form(&call.path, hidden, &[], &[Button::new("link", "Sign in")])
        .text("Or choose a password as well, so that the next time needs no link:")
        .form(&call.path, hidden, &passwords, &both)
}

fn secret(name: &'static str, label: &'static str, autocomplete: &'static str, first: bool) -> Field<'static> {
    Field { name, label, kind: "password", autocomplete, value: "", first }
}

/// On the plain name every program of the machine gets the cookies of every other.
fn weaker(service: &Service, call: &Call) -> Option<String> {
    let domain = &service.settings().domain;
    let host = call.host();
    if host.contains('.') && &host != domain && host.parse::<std::net::IpAddr>().is_err() {
        return None;
    }
    let port = call.authority.rsplit_once(':').map(|(_, port)| format!(":{port}")).unwrap_or_default();
    Some(format!(
        "A browser sends the cookies of '{host}' to every program on that name. The portal at https://portal.{domain}{port}{PORTAL_PATH} has its own."
    ))
}

fn browser_of<'a>(call: &'a Call, origin: &'a str, binding: &'a str) -> Browser<'a> {
    Browser { origin, session: cookie(call, SESSION), binding, address: call.client.peer.address }
}

/// What was wrong, without Entra's number in front.
fn plain(fault: &OAuthError) -> &str {
    fault.description.split_once(": ").map_or(fault.description.as_str(), |(_, text)| text)
}

fn fault_of(step: &Step) -> Option<&OAuthError> {
    match &step.next {
        Next::Form(form) => form.fault.as_ref(),
        Next::Back(_) | Next::Portal | Next::End(_) => None,
    }
}

fn refused(error: &OAuthError) -> Reply {
    Page::new("Sign-in is not possible")
        .fault(Some(plain(error)))
        .small(&format!("AADSTS{}, {}", error.code, error.error))
        .link(PORTAL_PATH, "To the portal")
        .reply(error.status)
}

fn wait_page(fault: &OAuthError) -> Reply {
    let reply = Page::new("Wait a moment").fault(Some(plain(fault))).link(PORTAL_PATH, "Try again").reply(429);
    match fault.retry_after {
        Some(seconds) => reply.with(RETRY_AFTER, seconds.to_string()),
        None => reply,
    }
}

/// Refuses a form that another site had the browser send. Browsers say where it comes from; whoever says nothing is none, and
/// lends nobody his cookies.
fn refuse_other_sites(call: &Call) -> Result<()> {
    let own = match (call.header("sec-fetch-site"), call.header("origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin.eq_ignore_ascii_case(&call.base_url()),
        (None, None) => true,
    };
    if own {
        return Ok(());
    }
    Err(Error::forbidden("The form was sent by another site. Open the sign-in page itself."))
}

/// Whether the answer is shown as a page.
fn is_navigation(call: &Call) -> bool {
    match call.header("sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => call.header("accept").is_some_and(|types| types.contains("text/html")),
    }
}

fn form_of(call: &Call) -> Result<Vec<(String, String)>> {
    let text = std::str::from_utf8(&call.body)
        .map_err(|_| Error::invalid("The request body must be an application/x-www-form-urlencoded form."))?;
    Ok(parse_query(text))
}

/// What ties forms to this browser, and whether it is new.
fn binding(service: &Service, call: &Call) -> (String, bool) {
    let fits = |text: &&str| text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if let Some(known) = cookie(call, BINDING).filter(fits) {
        return (known.to_owned(), false);
    }
    let mut bytes = [0; BINDING_BYTES];
    service.random().fill(&mut bytes);
    (URL_SAFE_NO_PAD.encode(bytes), true)
}

/// A cookie's value, where it is there once.
fn cookie<'a>(call: &'a Call, name: &str) -> Option<&'a str> {
    let headers = call.headers.get_all("cookie").iter().filter_map(|value| value.to_str().ok());
    let mut found = headers
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(known, _)| *known == name)
        .map(|(_, value)| value);
    match (found.next(), found.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::https::request::tests::call;

    #[test]
    fn cookies_are_read_and_doubles_are_none() {
        let mut request = call("GET", "portal.localhost:8443", "/", "");
        assert_eq!(cookie(&request, SESSION), None);
        request.headers.insert("cookie", "a=b; __Host-ferrohub-session=xyz; c".parse().unwrap());
        assert_eq!(cookie(&request, SESSION), Some("xyz"));
        request.headers.append("cookie", "__Host-ferrohub-session=other".parse().unwrap());
        assert_eq!(cookie(&request, SESSION), None);
    }

    #[test]
    fn forms_of_other_sites_are_refused() {
        for (name, value, own) in [
            ("x", "", true),
            ("sec-fetch-site", "same-origin", true),
            ("sec-fetch-site", "same-site", false),
            ("sec-fetch-site", "cross-site", false),
            ("origin", "https://portal.localhost:8443", true),
            ("origin", "https://portal.localhost:9", false),
            ("origin", "null", false),
        ] {
            let mut request = call("POST", "portal.localhost:8443", "/t/oauth2/v2.0/logout", "");
            request.headers.insert(HeaderName::from_static(name), value.parse().unwrap());
            assert_eq!(refuse_other_sites(&request).is_ok(), own, "{name}: {value}");
        }
    }

    #[test]
    fn the_way_back_is_escaped() {
        let back = Back {
            uri: "http://localhost:1".into(),
            mode: ResponseMode::Query,
            fields: vec![("error", "a b".into()), ("state", "x&code=y\r\n#".into())],
        };
        let reply = sent_back(&back);
        assert_eq!(reply.headers[0].1, "http://localhost:1?error=a%20b&state=x%26code%3Dy%0D%0A%23");
        let reply = sent_back(&Back { mode: ResponseMode::FormPost, ..back });
        assert!(String::from_utf8(reply.body.to_vec()).unwrap().contains("name=\"state\" value=\"x&amp;code=y"));
    }
}
