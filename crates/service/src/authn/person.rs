//! What people get at the token endpoint: for a name and a password (RFC 6749 section 4.3), and for a refresh token that stands for
//! their sign-in afterwards.

use super::clients::PublicClient;
use super::oauth::{OAuthError, Proof, check_length, missing_field};
use super::{Authenticator, Claims, TOKEN_SECONDS};
use crate::directory;
use crate::guesses::{self, Guess};
use crate::platform::Change;
use crate::tables::PRINCIPALS;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ferrohub_model::error::ErrorKind;
use ferrohub_model::principal::{Principal, User};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;

/// Entra's code for a name or a password that is wrong; which of them is not told.
const WRONG_PASSWORD: u32 = 50_126;
/// Longest list of scopes, bytes: ours. Rows and forms keep what was asked for.
const SCOPE_BYTES: usize = 1024;
/// Scopes that ask for no resource.
const OPEN_ID: &[&str] = &["openid", "profile", "email", "offline_access"];
/// What is asked of a person's token where a request names no resource.
const GRAPH: &str = "https://graph.microsoft.com";

/// No sign-in name: it has no '@'.
const NOBODY: &str = "nobody";

type Form = [(String, String)];

/// A field of a form that is there and not empty.
pub(super) fn field<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

impl Authenticator {
    /// The answer to a name and a password.
    pub(super) async fn token_by_password(
        &self,
        form: &Form,
        basic: Option<(String, String)>,
        address: Option<IpAddr>,
        v2: bool,
    ) -> Result<Value, OAuthError> {
        let client = self.client_of_person(form, basic).await?;
        let name = field(form, "username").ok_or_else(|| missing_field("username"))?;
        let secret = field(form, "password").ok_or_else(|| missing_field("password"))?;
        let wanted = Wanted::of(form)?;
        self.check_resource(&wanted.resource)?;
        let person = self.person_by_password(name, secret, address).await?;
        refuse_who_may_not(&person)?;
        let refresh = match wanted.refresh {
            true => Some(self.begin_chain(&person, &client, None, None).await?),
            false => None,
        };
        self.answer(&person, Answer { client: &client, wanted: &wanted, nonce: None, refresh }, v2).await
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
        let (person, next) = self.next_link(token, &client).await?;
        self.answer(&person, Answer { client: &client, wanted: &wanted, nonce: None, refresh: Some(next) }, v2).await
    }

    /// Application id of the client with which a person comes: a public one, or an application that proves itself.
    pub(super) async fn client_of_person(
        &self,
        form: &Form,
        basic: Option<(String, String)>,
    ) -> Result<String, OAuthError> {
        let named = field(form, "client_id").unwrap_or_default();
        match PublicClient::by_id(named) {
            Some(known) if basic.is_none() => Ok(known.id.to_owned()),
            _ => Ok(self.proven_client(form, &basic).await?.0.app_id),
        }
    }

    /// The person whose name and password these are, tried from `address`. Whether the password must be changed first is not
    /// looked at.
    pub(super) async fn person_by_password(
        &self,
        name: &str,
        secret: &str,
        address: Option<IpAddr>,
    ) -> Result<Arc<Principal>, OAuthError> {
        let store = self.platform.store.as_ref();
        let found = directory::by_user_name(store, name).await?;
        if found.is_some() {
            // Who is looked for in vain is looked for on disk, who is found in memory: how long it took must not tell them apart.
            directory::by_user_name(store, NOBODY).await?;
        }
        let guess = Guess { name, person: found.as_deref(), address };
        let fits = guesses::try_password(&self.platform, guess, secret).await.map_err(|error| match error.kind {
            ErrorKind::Throttled => OAuthError::locked(error.retry_after_seconds),
            _ => error.into(),
        })?;
        let Some(person) = found.filter(|_| fits) else {
            return Err(invalid_grant(
                WRONG_PASSWORD,
                "Error validating credentials due to invalid username or password.",
            ));
        };
        refuse_the_disabled(&person)?;
        Ok(person)
    }

    /// Makes `change` hold only as long as the person is as it was found when its password was looked at, which takes a while; `false`
    /// where it is not any more.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) async fn expect_as_judged(
        &self,
        person: &Principal,
        change: &mut Change,
    ) -> ferrohub_model::error::Result<bool> {
        let Some(row) = self.platform.store.get(&PRINCIPALS, &person.id).await? else { return Ok(false) };
        let now = directory::from_row(&row)?;
        change.unit.expect_version(&PRINCIPALS, person.id.clone(), row.version);
        Ok(judged(&now) == judged(person))
    }

    /// The tokens of a person, for a client.
    pub(super) async fn answer(&self, person: &Principal, answer: Answer<'_>, v2: bool) -> Result<Value, OAuthError> {
        let Answer { client, wanted, nonce, refresh } = answer;
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
            generation: person.generation,
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
            let mut id = json!({
                "aud": client, "iss": self.issuer(true), "iat": now, "nbf": now, "exp": now + TOKEN_SECONDS,
                "name": person.display_name, "oid": person.id, "preferred_username": user.name, "sub": person.id,
                "tid": tenant, "ver": "2.0"
            });
            if let Some(nonce) = nonce {
                id["nonce"] = nonce.into();
            }
            answer["id_token"] = self.keys.sign(&id).await?.into();
        }
        if let Some(refresh) = refresh {
            answer["refresh_token"] = refresh.into();
        }
        Ok(answer)
    }
}

/// What the answer to somebody is made of.
pub(super) struct Answer<'a> {
    /// Application id of the client.
    pub(super) client: &'a str,
    pub(super) wanted: &'a Wanted,
    /// What the client wants to find in the ID token again.
    pub(super) nonce: Option<&'a str>,
    /// The refresh token, where one is handed out.
    pub(super) refresh: Option<String>,
}

pub(super) fn refuse_the_disabled(person: &Principal) -> Result<(), OAuthError> {
    if person.disabled {
        return Err(invalid_grant(
            50_057,
            format!(
                "The user account is disabled. An owner enables it: az ad user update --id {} --account-enabled true",
                person.name()
            ),
        ));
    }
    Ok(())
}

/// What of a person ends everything that was begun before it changed.
fn judged(person: &Principal) -> (bool, u64, Option<bool>) {
    (person.disabled, person.generation, person.user.as_ref().map(|user| user.must_change))
}

/// Refuses somebody whose password was right.
pub(super) fn refuse_who_may_not(person: &Principal) -> Result<(), OAuthError> {
    refuse_the_disabled(person)?;
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

pub(super) fn invalid_grant(code: u32, text: impl std::fmt::Display) -> OAuthError {
    OAuthError::new(400, "invalid_grant", code, text)
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wanted {
    pub(super) resource: String,
    /// The scopes of the resource, as they were asked for.
    scopes: String,
    id_token: bool,
    pub(super) refresh: bool,
}

impl Wanted {
    /// The same, with the ID token and the refresh token that were asked for before.
    pub(super) fn with_openid_of(self, before: &Self) -> Self {
        Self { id_token: self.id_token || before.id_token, refresh: self.refresh || before.refresh, ..self }
    }

    /// The resource of the scopes (v2.0), or `resource` (v1).
    pub(super) fn of(form: &Form) -> Result<Self, OAuthError> {
        let scope = field(form, "scope").unwrap_or_default();
        if scope.len() > SCOPE_BYTES {
            let text = "The provided value for the input parameter 'scope' is too long.";
            return Err(OAuthError::new(400, "invalid_scope", 70_011, text));
        }
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
        assert_eq!(of("scope", &"https://management.azure.com/.default ".repeat(40)), Err(70_011));
    }
}
