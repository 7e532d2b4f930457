//! A browser, as tests play it: forms are filled in as they came, cookies are kept, redirects are followed by hand.

use crate::http_client::{Answer, HttpClient};
use crate::rig::Rig;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

pub(crate) const CLI: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
pub(crate) const PORTAL: &str = "c44b4083-3bb0-49c1-b47d-974e53cbdf3c";
pub(crate) const PASSWORD: &str = "Correct-Horse-1";
pub(crate) const GRAPH: &str = "https://graph.microsoft.com";
/// Appendix B of RFC 7636.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A browser at one server, whose port its addresses name.
pub(crate) struct Browser<'a> {
    https: &'a HttpClient,
    pub(crate) origin: String,
    host: &'a str,
    pub(crate) cookies: Vec<(String, String)>,
}

impl<'a> Browser<'a> {
    pub(crate) fn at(https: &'a HttpClient, host: &'a str, port: u16) -> Self {
        Self { https, origin: format!("https://{host}:{port}"), host, cookies: Vec::new() }
    }

    pub(crate) async fn send(&mut self, method: &str, path: &str, site: &str, form: &[(&str, &str)]) -> Answer {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let headers = [
            ("cookie", cookies.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
            ("accept", "text/html"),
            ("sec-fetch-site", site),
            ("sec-fetch-mode", "navigate"),
        ];
        let headers = if cookies.is_empty() { &headers[1..] } else { &headers[..] };
        let answer = self.https.send(method, self.host, path, headers, encoded(form)).await;
        for cookie in answer.headers.get_all("set-cookie") {
            let text = cookie.to_str().unwrap();
            assert!(
                text.starts_with("__Host-ferrohub-") && text.ends_with("Path=/; Secure; HttpOnly; SameSite=Strict"),
                "{text}"
            );
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }

    pub(crate) async fn authorize(&mut self, client: &str, redirect: &str, more: &[(&str, &str)]) -> Answer {
        let mut fields = vec![
            ("client_id", client),
            ("redirect_uri", redirect),
            ("response_type", "code"),
            ("scope", "https://management.azure.com/.default openid profile offline_access"),
            ("state", "s t&1"),
            ("nonce", "n1"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        fields.extend(more);
        self.send("GET", &format!("/organizations/oauth2/v2.0/authorize?{}", encoded(&fields)), "none", &[]).await
    }

    pub(crate) async fn fill_in(&mut self, page: &Answer, fields: &[(&str, &str)]) -> Answer {
        let flow = hidden(&page.text, "flow");
        let mut form = vec![("flow", flow.as_str())];
        form.extend(fields);
        self.send("POST", "/organizations/oauth2/v2.0/authorize", "same-origin", &form).await
    }

    /// Signs in with the portal, and gives the tokens.
    pub(crate) async fn portal(&mut self, name: &str) -> Value {
        let redirect = format!("{}/portal/", self.origin);
        let page = self.authorize(PORTAL, &redirect, &[]).await;
        let back = self.fill_in(&page, &[("username", name), ("password", PASSWORD)]).await;
        let code = query_of(back.header("location"), "code");
        self.token(&[
            ("grant_type", "authorization_code"),
            ("client_id", PORTAL),
            ("code", &code),
            ("redirect_uri", &redirect),
            ("code_verifier", VERIFIER),
        ])
        .await
        .expect(200)
    }

    pub(crate) async fn token(&self, form: &[(&str, &str)]) -> Answer {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.https.send("POST", self.host, "/organizations/oauth2/v2.0/token", &headers, encoded(form)).await
    }

    pub(crate) async fn refresh(&self, client: &str, token: &Value, audience: &str) -> Answer {
        let scope = format!("{audience}/.default offline_access");
        let token = token["refresh_token"].as_str().unwrap();
        self.token(&[
            ("grant_type", "refresh_token"),
            ("client_id", client),
            ("refresh_token", token),
            ("scope", &scope),
        ])
        .await
    }
}

pub(crate) fn encoded(form: &[(&str, &str)]) -> String {
    let text = |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    form.iter().map(|(name, value)| format!("{name}={}", text(value))).collect::<Vec<_>>().join("&")
}

pub(crate) fn hidden(html: &str, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let (_, rest) = html.split_once(&start).unwrap_or_else(|| panic!("no {name} in {html}"));
    rest.split_once('"').unwrap().0.to_owned()
}

pub(crate) fn query_of(location: &str, name: &str) -> String {
    let query = location.split_once('?').unwrap_or_else(|| panic!("no query in '{location}'")).1;
    let found = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    let found = found.unwrap_or_else(|| panic!("no {name} in '{location}'"));
    percent_encoding::percent_decode_str(found).decode_utf8().unwrap().into_owned()
}

pub(crate) fn claims(token: &Value, member: &str) -> Value {
    let middle = token[member].as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(middle).unwrap()).unwrap()
}

pub(crate) async fn graph(rig: &Rig, method: &str, path: &str, body: Value) -> Value {
    let token = rig.token_of(&rig.owner.client_id, &rig.owner.client_secret, GRAPH).await;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let answer = rig.https.send(method, "graph.localhost", &format!("/v1.0/{path}"), &headers, body.to_string()).await;
    assert!(answer.status < 300, "{method} {path}: {}", answer.text);
    if answer.text.is_empty() { Value::Null } else { answer.json() }
}

pub(crate) async fn person(rig: &Rig, alias: &str, must_change: bool) -> Value {
    let body = json!({
        "accountEnabled": true, "displayName": alias, "mailNickname": alias,
        "userPrincipalName": format!("{alias}@plant.example"),
        "passwordProfile": {"password": PASSWORD, "forceChangePasswordNextSignIn": must_change}
    });
    graph(rig, "POST", "users", body).await
}

/// A client of one server, with its port.
pub(crate) fn one(rig: &Rig) -> (HttpClient, u16) {
    let port = rig.ports().https;
    (HttpClient::new(vec![port], &rig.ca_pem), port)
}
