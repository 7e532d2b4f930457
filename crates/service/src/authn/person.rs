//! What people sign in with: a name and a password (RFC 6749 section 4.3), and refresh tokens that stand for it afterwards.
//!
//! A refresh token is stored nowhere: it says who, for which client and since when, sealed under the installation's data key. It ends
//! with its time, and with everything that ends a person's tokens (another password, a revocation, being disabled or deleted).

use super::oauth::{OAuthError, Proof, check_length, missing_field};
use super::{Authenticator, Claims, TOKEN_SECONDS};
use crate::bootstrap::OWNER_SCOPE;
use crate::directory;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ferrohub_model::error::Error;
use ferrohub_model::principal::{Principal, PrincipalKind, User};
use ferrohub_pki::password;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Entra's code for a name or a password that is wrong; which of them is not told.
pub(super) const WRONG_PASSWORD: u32 = 50_126;
/// Passwords that are hashed at once: ours.
pub(super) const HASHES_AT_ONCE: usize = 2;
/// Longest password that is looked at, bytes: ours.
const PASSWORD_BYTES: usize = 1024;
/// Longest refresh token that is looked at, bytes: ours.
const REFRESH_BYTES: usize = 2048;
/// Life of a refresh token, seconds (Entra: 90 days).
const REFRESH_SECONDS: i64 = 90 * 24 * 3600;
/// Scopes that ask for no resource.
const OPEN_ID: &[&str] = &["openid", "profile", "email", "offline_access"];
/// What is asked of a person's token where a request names no resource.
const GRAPH: &str = "https://graph.microsoft.com";
/// Entra's applications that have no secret and come with people: the Azure CLI, Azure PowerShell, Visual Studio Code, Visual
/// Studio (reference: clients.md; azure-identity has the first one built in).
const PUBLIC_CLIENTS: &[&str] = &[
    "04b07795-8ddb-461a-bbee-02f9e1bf7b46",
    "1950a258-227b-4e31-a9cf-717495945fc2",
    "aebc6443-996d-45c2-90f0-388ff96faa56",
    "872cd9fa-d31f-45e0-9eab-6e460a02d1f1",
];

/// What a refresh token says.
#[derive(Debug, Serialize, Deserialize)]
struct Refresh {
    /// Object id of the person.
    oid: String,
    /// Application id of the client to which it was given.
    client: String,
    /// Unix seconds at which it was made.
    at: i64,
}

type Form = [(String, String)];

fn field<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

impl Authenticator {
    /// The answer to a name and a password.
    pub(super) async fn token_by_password(
        &self,
        form: &Form,
        basic: Option<(String, String)>,
        v2: bool,
    ) -> Result<Value, OAuthError> {
        let client = self.client_of_person(form, basic).await?;
        let name = field(form, "username").ok_or_else(|| missing_field("username"))?;
        let secret = field(form, "password").ok_or_else(|| missing_field("password"))?;
        let wanted = Wanted::of(form)?;
        self.check_resource(&wanted.resource)?;
        let person = self.person(name, secret).await?;
        self.answer(&person, &client, &wanted, v2).await
    }

    /// The answer to a refresh token.
    pub(super) async fn token_by_refresh(
        &self,
        form: &Form,
        basic: Option<(String, String)>,
        v2: bool,
    ) -> Result<Value, OAuthError> {
        let client = self.client_of_person(form, basic).await?;
        let token = field(form, "refresh_token").ok_or_else(|| missing_field("refresh_token"))?;
        let wanted = Wanted::of(form)?;
        self.check_resource(&wanted.resource)?;
        let refresh = self.opened(token).await?;
        if !refresh.client.eq_ignore_ascii_case(&client) {
            return Err(invalid_grant(70_000, "The refresh token was issued to another client."));
        }
        if self.now() >= refresh.at + REFRESH_SECONDS {
            return Err(invalid_grant(700_082, "The refresh token has expired due to inactivity. Sign in again."));
        }
        let found = directory::by_id(self.platform.store.as_ref(), &refresh.oid).await?;
        let Some(person) = found.filter(|found| found.kind == PrincipalKind::User) else {
            return Err(invalid_grant(50_034, "The user account was deleted from the directory."));
        };
        refuse_who_may_not(&person)?;
        if person.user.as_ref().is_some_and(|user| refresh.at < user.tokens_from) {
            return Err(invalid_grant(
                50_173,
                "The provided grant has expired due to it being revoked: the password was changed or sign-ins were revoked since. Sign in again.",
            ));
        }
        self.answer(&person, &client, &wanted, v2).await
    }

    /// Application id of the client with which a person comes: a public one of Entra's, or an application that proves itself.
    async fn client_of_person(&self, form: &Form, basic: Option<(String, String)>) -> Result<String, OAuthError> {
        let named = field(form, "client_id").unwrap_or_default();
        let known = PUBLIC_CLIENTS.iter().find(|known| known.eq_ignore_ascii_case(named));
        match known {
            Some(known) if basic.is_none() => Ok((*known).to_owned()),
            _ => Ok(self.proven_client(form, &basic).await?.0.app_id),
        }
    }

    /// The person whose name and password these are.
    async fn person(&self, name: &str, secret: &str) -> Result<Arc<Principal>, OAuthError> {
        let found = directory::by_user_name(self.platform.store.as_ref(), name).await?;
        let stored = found.as_ref().and_then(|found| found.user.as_ref()).map(|user| user.password.clone());
        let fits = secret.len() <= PASSWORD_BYTES && self.is_password(secret, stored.unwrap_or_default()).await?;
        let Some(person) = found.filter(|_| fits) else {
            return Err(invalid_grant(
                WRONG_PASSWORD,
                "Error validating credentials due to invalid username or password.",
            ));
        };
        refuse_who_may_not(&person)?;
        Ok(person)
    }

    /// Whether `secret` is the password with this stored form. It takes a while, and so many are looked at at once.
    ///
    /// # Errors
    /// Internal, when the task that hashes ends.
    pub(crate) async fn is_password(&self, secret: &str, stored: String) -> Result<bool, Error> {
        let ended = |error: &dyn std::fmt::Display| Error::internal(format!("the hash of a password: {error}"));
        let _place = self.hashing.acquire().await.map_err(|error| ended(&error))?;
        let secret = Zeroizing::new(secret.to_owned());
        let looked = tokio::task::spawn_blocking(move || password::verify(&secret, &stored)).await;
        looked.map_err(|error| ended(&error))
    }

    async fn answer(&self, person: &Principal, client: &str, wanted: &Wanted, v2: bool) -> Result<Value, OAuthError> {
        let now = self.now();
        let nobody = User::default();
        let user = person.user.as_ref().unwrap_or(&nobody);
        let tenant = self.platform.tenancy.tenant_id.clone();
        let claims = Claims {
            aud: wanted.resource.clone(),
            iss: self.issuer(v2),
            iat: now,
            nbf: now,
            exp: now + TOKEN_SECONDS,
            appid: client.to_owned(),
            appidacr: Proof::Person.class().into(),
            idp: self.issuer(false),
            idtyp: "user".into(),
            name: Some(person.display_name.clone()),
            oid: person.id.clone(),
            scp: Some("user_impersonation".into()),
            sub: person.id.clone(),
            tid: tenant.clone(),
            unique_name: Some(user.name.clone()),
            upn: Some(user.name.clone()),
            ver: "1.0".into(),
        };
        let mut answer = json!({
            "token_type": "Bearer",
            "scope": wanted.scopes,
            "expires_in": TOKEN_SECONDS,
            "ext_expires_in": TOKEN_SECONDS,
            "expires_on": (now + TOKEN_SECONDS).to_string(),
            "not_before": now.to_string(),
            "resource": wanted.resource,
            "access_token": self.keys.sign(&claims).await?,
            "client_info": URL_SAFE_NO_PAD.encode(json!({"uid": person.id, "utid": tenant}).to_string()),
        });
        if wanted.id_token {
            let id = json!({
                "aud": client, "iss": self.issuer(true), "iat": now, "nbf": now, "exp": now + TOKEN_SECONDS,
                "name": person.display_name, "oid": person.id, "preferred_username": user.name, "sub": person.id,
                "tid": tenant, "ver": "2.0"
            });
            answer["id_token"] = self.keys.sign(&id).await?.into();
        }
        if wanted.refresh {
            answer["refresh_token"] =
                self.sealed(&Refresh { oid: person.id.clone(), client: client.to_owned(), at: now }).await?.into();
        }
        Ok(answer)
    }

    async fn sealed(&self, refresh: &Refresh) -> Result<String, OAuthError> {
        let (store, text) = (self.platform.store.as_ref(), json!(refresh).to_string());
        let sealed = self.platform.keyring.seal(store, OWNER_SCOPE, "tokens", "refresh", "1", text.as_bytes()).await?;
        // In the letters of a URL, which need no escaping in a form.
        Ok(sealed.trim_end_matches('=').replace('+', "-").replace('/', "_"))
    }

    async fn opened(&self, token: &str) -> Result<Refresh, OAuthError> {
        let malformed = || invalid_grant(9_002_313, "Invalid request. The refresh token is malformed or not valid.");
        let bytes =
            URL_SAFE_NO_PAD.decode(token).ok().filter(|_| token.len() <= REFRESH_BYTES).ok_or_else(malformed)?;
        let sealed = base64::engine::general_purpose::STANDARD.encode(bytes);
        let keyring = &self.platform.keyring;
        let opened = keyring.open(self.platform.store.as_ref(), OWNER_SCOPE, "tokens", "refresh", "1", &sealed).await;
        let text = opened.map_err(|_| malformed())?;
        serde_json::from_slice(&text).map_err(|_| malformed())
    }
}

/// Refuses somebody whose password was right.
fn refuse_who_may_not(person: &Principal) -> Result<(), OAuthError> {
    if person.disabled {
        return Err(invalid_grant(
            50_057,
            format!(
                "The user account is disabled. An owner enables it: az ad user update --id {} --account-enabled true",
                person.name()
            ),
        ));
    }
    if person.user.as_ref().is_some_and(|user| user.must_change) {
        return Err(invalid_grant(
            50_055,
            format!(
                "The password is expired: another one has to be set. An owner sets it: az ad user update --id {} --password '<password>' --force-change-password-next-sign-in false",
                person.name()
            ),
        ));
    }
    Ok(())
}

fn invalid_grant(code: u32, text: impl std::fmt::Display) -> OAuthError {
    OAuthError::new(400, "invalid_grant", code, text)
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    resource: String,
    /// The scopes of the resource, as they were asked for.
    scopes: String,
    id_token: bool,
    refresh: bool,
}

impl Wanted {
    /// The resource of the scopes (v2.0), or `resource` (v1).
    fn of(form: &Form) -> Result<Self, OAuthError> {
        let scope = field(form, "scope").unwrap_or_default();
        let words: Vec<&str> = scope.split_whitespace().collect();
        let asks = |word: &str| words.contains(&word);
        let scopes: Vec<&str> = words.iter().copied().filter(|word| !OPEN_ID.contains(word)).collect();
        let v1 = field(form, "resource");
        let resource = match (v1, scopes.first()) {
            (Some(resource), _) => resource,
            // The last part names the right; a resource may end with a slash of its own.
            (None, Some(scope)) => scope.rsplit_once('/').map_or(GRAPH, |(resource, _)| resource),
            (None, None) if !words.is_empty() => GRAPH,
            (None, None) => return Err(missing_field("scope")),
        };
        check_length(resource)?;
        Ok(Self {
            resource: resource.to_owned(),
            scopes: if v1.is_some() { "user_impersonation".into() } else { scopes.join(" ") },
            id_token: asks("openid"),
            refresh: asks("offline_access") || v1.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, value: &str) -> Result<Wanted, u32> {
        Wanted::of(&[(name.to_owned(), value.to_owned())]).map_err(|error| error.code)
    }

    #[test]
    fn what_is_asked_for() {
        let az = of("scope", "https://management.core.windows.net//.default offline_access openid profile").unwrap();
        assert_eq!(az.resource, "https://management.core.windows.net/");
        assert_eq!(az.scopes, "https://management.core.windows.net//.default");
        assert!(az.id_token && az.refresh);
        let plain = of("scope", "https://iothubs.azure.net/user_impersonation").unwrap();
        assert_eq!(
            (plain.resource.as_str(), plain.id_token, plain.refresh),
            ("https://iothubs.azure.net", false, false)
        );
        assert_eq!(of("scope", "User.Read openid").unwrap().resource, GRAPH);
        assert_eq!(of("scope", "openid").unwrap().resource, GRAPH);
        assert_eq!(of("resource", "https://management.azure.com/").unwrap().resource, "https://management.azure.com/");
        assert_eq!(of("scope", ""), Err(900_144));
        assert_eq!(of("scope", &format!("https://{}/.default", "x".repeat(600))), Err(70_011));
    }
}
