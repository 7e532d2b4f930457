//! Authentication: a small Entra. Issues RS256 tokens for client credentials and for people, who sign in by a password or in a
//! browser, and verifies bearer tokens.

mod assertion;
mod audience;
mod authorize;
mod browser;
mod browser_sessions;
mod chains;
mod clients;
mod codes;
mod device_code;
mod keys;
mod oauth;
mod person;
mod sign_in_links;
mod signing;
mod ticket;

pub use audience::Audience;
pub use authorize::{Back, Refusal, ResponseMode};
pub use browser::{Asks, Browser, Form, Next, Said, Step};
pub(crate) use browser_sessions::{end_all_of, sweep as sweep_sessions};
pub(crate) use chains::ended as chain_ended;
pub use clients::{LINK_PATH, PORTAL, PORTAL_PATH};
pub(crate) use codes::ended as code_ended;
pub(crate) use device_code::ended as device_code_ended;
pub(crate) use keys::{SIGNING_KEY, StoredKeys, rotate as rotate_keys, rotate_old as rotate_old_keys};
pub use oauth::OAuthError;
pub(crate) use sign_in_links::{ended as sign_in_link_ended, new_sign_in_link};
pub use signing::SigningKey;

use crate::authz::Actor;
use crate::directory;
use crate::platform::Platform;
use aws_lc_rs::digest::{SHA256, digest};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits;
use ferrohub_model::principal::Principal;
use keys::SigningKeys;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// Lifetime of an access token in seconds (Entra's default is 60 to 90 minutes; ours 1 hour less a second, as clients expect).
const TOKEN_SECONDS: i64 = 3599;

/// Clock skew that is tolerated on `nbf`, seconds (Entra's SDKs use 5 minutes).
const SKEW_SECONDS: i64 = 300;

/// Claims of an access token.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    aud: String,
    iss: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    appid: String,
    #[serde(default)]
    appidacr: String,
    idp: String,
    idtyp: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    oid: String,
    /// [`Principal::generation`] of the principal that it was made for.
    #[serde(default)]
    generation: u64,
    /// What an application may do for a person: everything that the person may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scp: Option<String>,
    sub: String,
    tid: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unique_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    upn: Option<String>,
    ver: String,
}

/// Issues and verifies tokens.
pub struct Authenticator {
    platform: Arc<Platform>,
    keys: SigningKeys,
    /// Tokens whose signature was verified, by their SHA-256.
    verified: Cache<[u8; 32], Arc<Claims>>,
}

impl Authenticator {
    /// An authenticator that signs with the installation's key, or with `key` where it has none of its own.
    pub fn new(platform: Arc<Platform>, key: SigningKey) -> Self {
        Self {
            keys: SigningKeys::new(Arc::clone(&platform), key),
            platform,
            verified: Cache::new(limits::VERIFIED_TOKENS),
        }
    }

    /// The actor of an `Authorization: Bearer` header, for a service that accepts `audience`.
    ///
    /// # Errors
    /// Entra's and ARM's codes for a missing, malformed, unsigned, expired or foreign token.
    pub async fn bearer(&self, authorization: Option<&str>, audience: Audience) -> Result<Actor> {
        let header = authorization
            .ok_or_else(|| Error::unauthenticated("Authentication failed. The 'Authorization' header is missing."))?;
        let token = header
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or_else(|| {
                Error::unauthenticated(
                    "Authentication failed. The 'Authorization' header is provided in an invalid format.",
                )
                .with_code("AuthenticationFailedInvalidHeader")
            })?;
        if self.keys.refresh().await? {
            self.verified.clear();
        }
        let claims = self.claims(token)?;
        self.check_times(&claims)?;
        audience.check(&claims.aud, &self.platform.settings.domain)?;
        if !claims.tid.eq_ignore_ascii_case(&self.platform.tenancy.tenant_id) {
            return Err(Error::unauthenticated(format!(
                "The access token is from the wrong issuer '{}'. It must match the tenant '{}' associated with this subscription.",
                claims.iss, self.platform.tenancy.tenant_id
            ))
            .with_code("InvalidAuthenticationTokenTenant"));
        }
        match directory::by_id(self.platform.store.as_ref(), &claims.oid).await? {
            Some(principal) => {
                check_standing(&principal, claims.generation)?;
                Ok(Actor::of(principal))
            }
            None => Err(Error::unauthenticated(
                "The principal of this access token was deleted; sign in again with an existing one.",
            )
            .with_code("InvalidAuthenticationToken")),
        }
    }

    /// The claims of a token of ours. Verified once: the signature of the same bytes does not change, and whatever may
    /// change (the time, the principal) is looked at on every use.
    fn claims(&self, token: &str) -> Result<Arc<Claims>> {
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        if let Some(claims) = self.verified.get(&key) {
            return Ok(claims);
        }
        let claims: Arc<Claims> = Arc::new(self.keys.verify(token)?);
        self.verified.insert(key, Arc::clone(&claims));
        Ok(claims)
    }

    fn check_times(&self, claims: &Claims) -> Result<()> {
        let now = self.platform.clock.unix_seconds();
        if now >= claims.exp {
            return Err(Error::unauthenticated(format!(
                "The access token expiry UTC time '{}' is earlier than the current UTC time. Get a new token.",
                jiff::Timestamp::from_second(claims.exp).map_or_else(|_| claims.exp.to_string(), |t| t.to_string())
            ))
            .with_code("ExpiredAuthenticationToken"));
        }
        if now + SKEW_SECONDS < claims.nbf {
            return Err(Error::unauthenticated("The access token is not valid yet; check the clocks.")
                .with_code("InvalidAuthenticationToken"));
        }
        Ok(())
    }

    /// OpenID configuration of a tenant. `v2` selects the v2.0 document.
    pub fn openid_configuration(&self, tenant: &str, base_url: &str, v2: bool) -> Value {
        let adfs = tenant.eq_ignore_ascii_case("adfs");
        let root = format!("{base_url}/{tenant}");
        let oauth = if v2 && !adfs { format!("{root}/oauth2/v2.0") } else { format!("{root}/oauth2") };
        json!({
            "issuer": self.issuer(v2),
            "authorization_endpoint": format!("{oauth}/authorize"),
            "token_endpoint": format!("{oauth}/token"),
            "device_authorization_endpoint": format!("{oauth}/devicecode"),
            "end_session_endpoint": format!("{oauth}/logout"),
            "jwks_uri": format!("{root}/discovery/v2.0/keys"),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "grant_types_supported": [
                "authorization_code",
                "client_credentials",
                "password",
                "refresh_token",
                "urn:ietf:params:oauth:grant-type:device_code"
            ],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "code_challenge_methods_supported": ["S256"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "profile", "offline_access"],
            "claims_supported": ["aud", "iss", "iat", "nbf", "exp", "appid", "oid", "sub", "tid", "ver"],
            "tenant_region_scope": "WW"
        })
    }

    /// The public keys with which tokens can be checked.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn jwks(&self) -> Result<Value> {
        self.keys.jwks().await
    }

    /// The time, unix seconds.
    fn now(&self) -> i64 {
        self.platform.clock.unix_seconds()
    }

    fn issuer(&self, v2: bool) -> String {
        let tenant = &self.platform.tenancy.tenant_id;
        if v2 {
            format!("https://login.microsoftonline.com/{tenant}/v2.0")
        } else {
            format!("https://sts.windows.net/{tenant}/")
        }
    }
}

/// Refuses a token of somebody who may not act any more, or one that has ended with everything else that was given before.
fn check_standing(principal: &Principal, generation: u64) -> Result<()> {
    let refused = |why: &str| {
        Err(Error::unauthenticated(format!("The principal of this access token {why}."))
            .with_code("InvalidAuthenticationToken"))
    };
    if principal.disabled {
        return refused("is disabled; ask an owner of the subscription to enable it");
    }
    match &principal.user {
        _ if generation == principal.generation => Ok(()),
        Some(_) => refused("changed its password or had its sign-ins revoked since; sign in again"),
        None => refused("was disabled since; sign in again"),
    }
}
