//! The token endpoint: client credentials (RFC 6749 section 4.4), and what people bring ([`super::person`]), with Entra's error texts.

use super::{Audience, Authenticator, Claims, SKEW_SECONDS, TOKEN_SECONDS};
use crate::directory;
use ferrohub_model::error::{Error, ErrorKind};
use ferrohub_model::principal::{ClientSecret, Principal, PrincipalKind};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;

/// An OAuth error as the token endpoint answers it.
#[derive(Debug, Clone)]
pub struct OAuthError {
    /// HTTP status: 400 or 401.
    pub status: u16,
    /// OAuth error word such as `invalid_client`.
    pub error: &'static str,
    /// Text for a person, starting with Entra's `AADSTS` code.
    pub description: String,
    /// Entra's numeric code.
    pub code: u32,
    /// Seconds after which a retry makes sense.
    pub retry_after: Option<u32>,
}

/// Entra's code for an account at which too many wrong passwords were tried.
const LOCKED: u32 = 50_053;

impl OAuthError {
    pub(super) fn new(status: u16, error: &'static str, code: u32, text: impl std::fmt::Display) -> Self {
        Self { status, error, description: format!("AADSTS{code}: {text}"), code, retry_after: None }
    }

    /// Whether the client is unknown or what it proves itself with is wrong.
    pub fn is_a_wrong_client(&self) -> bool {
        matches!(self.error, "invalid_client" | "unauthorized_client")
    }

    /// Whether too many wrong passwords were tried at the name.
    pub fn is_locked(&self) -> bool {
        self.code == LOCKED
    }

    /// The refusal of a name at which too many wrong passwords were tried, for so many seconds.
    pub(super) fn locked(retry_after: Option<u32>) -> Self {
        let text = "The account is locked, you've tried to sign in too many times with an incorrect user ID or password. Wait for a minute and try again.";
        Self { retry_after, ..Self::new(400, "invalid_grant", LOCKED, text) }
    }
}

/// Longest client secret that is looked at, bytes: ours.
const SECRET_BYTES: usize = 1024;

/// How a client proved who it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Proof {
    Secret,
    Certificate,
    /// None: the client is public, and it is the person who proved something.
    Person,
}

impl Proof {
    /// Entra's `appidacr`.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Secret => "1",
            Self::Certificate => "2",
            Self::Person => "0",
        }
    }
}

impl From<Error> for OAuthError {
    fn from(error: Error) -> Self {
        match error.kind {
            // What is full or busy says so elsewhere; strangers bring it about as often as they like.
            ErrorKind::Unavailable => tracing::debug!(%error, context = error.context, "token request failed"),
            _ => tracing::error!(%error, context = error.context, "token request failed"),
        }
        let text = "A transient error has occurred. Please try again.";
        let retry_after = error.retry_after_seconds;
        Self { retry_after, ..Self::new(503, "temporarily_unavailable", 90033, text) }
    }
}

impl Authenticator {
    /// Answers a token request of `tenant` with the form fields `form` (and HTTP Basic credentials, if any), which came from
    /// `address`.
    ///
    /// # Errors
    /// [`OAuthError`] with Entra's codes.
    pub async fn token(
        &self,
        tenant: &str,
        form: &[(String, String)],
        basic: Option<(String, String)>,
        address: Option<IpAddr>,
        v2: bool,
    ) -> Result<Value, OAuthError> {
        let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        self.check_tenant(tenant)?;
        match field("grant_type") {
            Some("client_credentials") => {}
            Some("password") => return self.token_by_password(form, basic, address, v2).await,
            Some("authorization_code") => return self.token_by_code(form, basic, v2).await,
            Some("urn:ietf:params:oauth:grant-type:device_code" | "device_code") => {
                return self.token_by_device_code(form, basic).await;
            }
            Some("refresh_token") => return self.token_by_refresh(form, basic, v2).await,
            Some(other) => {
                return Err(OAuthError::new(
                    400,
                    "unsupported_grant_type",
                    70003,
                    format!(
                        "The app requested an unsupported grant type '{}'. Ferrohub issues tokens for 'client_credentials' (a service principal with a secret or a certificate), 'authorization_code', 'password' and the device code (a person) and 'refresh_token'.",
                        other.chars().take(60).collect::<String>()
                    ),
                ));
            }
            None => return Err(missing_field("grant_type")),
        }
        let (principal, proof) = self.proven_client(form, &basic).await?;
        let resource = resource_of(field("scope"), field("resource"))?;
        self.check_resource(&resource)?;
        let token = self.access_token(&principal, proof, &resource, v2).await?;
        let now = self.platform.clock.unix_seconds();
        Ok(json!({
            "token_type": "Bearer",
            "expires_in": TOKEN_SECONDS,
            "ext_expires_in": TOKEN_SECONDS,
            "expires_on": (now + TOKEN_SECONDS).to_string(),
            "not_before": now.to_string(),
            "resource": resource,
            "access_token": token
        }))
    }

    /// The application that a request proves to be, and how.
    pub(super) async fn proven_client(
        &self,
        form: &[(String, String)],
        basic: &Option<(String, String)>,
    ) -> Result<(Principal, Proof), OAuthError> {
        let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        if let Some(assertion) = field("client_assertion") {
            let kind = field("client_assertion_type");
            return Ok((self.client_by_assertion(field("client_id"), kind, assertion).await?, Proof::Certificate));
        }
        let (client_id, secret) = match basic {
            Some((id, secret)) => (id.as_str(), Some(secret.as_str())),
            None => (field("client_id").unwrap_or_default(), field("client_secret")),
        };
        Ok((self.client(client_id, secret).await?, Proof::Secret))
    }

    /// Whether a tenant's name is ours, or one of those that mean whichever it is.
    pub(super) fn is_tenant(&self, tenant: &str) -> bool {
        tenant.eq_ignore_ascii_case(&self.platform.tenancy.tenant_id)
            || ["common", "organizations", "adfs"].iter().any(|name| tenant.eq_ignore_ascii_case(name))
    }

    pub(super) fn check_tenant(&self, tenant: &str) -> Result<(), OAuthError> {
        if self.is_tenant(tenant) {
            return Ok(());
        }
        let shown: String = tenant.chars().take(80).collect();
        Err(OAuthError::new(
            400,
            "invalid_request",
            90002,
            format!("Tenant '{shown}' not found. This Ferrohub's tenant is '{}'.", self.platform.tenancy.tenant_id),
        ))
    }

    /// Refuses a resource that is not served here: what nobody looks at would be a key to nothing, or to somebody else's house.
    pub(super) fn check_resource(&self, resource: &str) -> Result<(), OAuthError> {
        if Audience::of(resource, &self.platform.settings.domain).is_some() {
            return Ok(());
        }
        Err(OAuthError::new(
            400,
            "invalid_resource",
            500_011,
            format!(
                "The resource principal named {resource} was not found in the tenant named {}. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant.",
                self.platform.tenancy.tenant_id
            ),
        ))
    }

    /// The application that a client says it is; nothing is proven yet.
    pub(super) async fn application(&self, client_id: &str) -> Result<Arc<Principal>, OAuthError> {
        let shown: String = client_id.chars().take(80).collect();
        let found = directory::by_app_id(self.platform.store.as_ref(), client_id).await?;
        match found {
            Some(found) if found.kind == PrincipalKind::ServicePrincipal && found.disabled => Err(OAuthError::new(
                400,
                "unauthorized_client",
                7_000_112,
                format!("Application '{shown}'({}) is disabled.", found.display_name),
            )),
            Some(found) if found.kind == PrincipalKind::ServicePrincipal => Ok(found),
            Some(found) if found.kind == PrincipalKind::Application => Err(OAuthError::new(
                400,
                "unauthorized_client",
                7_000_229,
                format!(
                    "The client application {shown} is missing service principal in the tenant {0}. Make it: az ad sp create --id {shown}",
                    self.platform.tenancy.tenant_id
                ),
            )),
            _ => Err(OAuthError::new(
                400,
                "unauthorized_client",
                700_016,
                format!("Application with identifier '{shown}' was not found in the directory."),
            )),
        }
    }

    async fn client(&self, client_id: &str, secret: Option<&str>) -> Result<Principal, OAuthError> {
        let principal = self.application(client_id).await?;
        let secret = secret.ok_or_else(|| {
            OAuthError::new(
                401,
                "invalid_client",
                7_000_218,
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
            )
        })?;
        let now = self.platform.clock.unix_seconds();
        let fits = |stored: &&ClientSecret| ferrohub_pki::key::verify_secret(secret, &stored.hash);
        let known = principal.secrets.iter().find(fits).filter(|_| secret.len() <= SECRET_BYTES);
        match known {
            None => Err(OAuthError::new(
                401,
                "invalid_client",
                7_000_215,
                format!(
                    "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{client_id}'."
                ),
            )),
            Some(stored) if stored.expires <= now => Err(OAuthError::new(
                401,
                "invalid_client",
                7_000_222,
                format!(
                    "The provided client secret keys for app '{client_id}' are expired. Add a new one: az ad app credential reset --id {client_id} --append; or, for the owner, stop the server and run: ferrohub owner reset"
                ),
            )),
            Some(stored) if stored.label.starts.is_some_and(|starts| now + SKEW_SECONDS < starts) => {
                Err(OAuthError::new(
                    401,
                    "invalid_client",
                    7_000_215,
                    format!(
                        "The provided client secret of app '{client_id}' is not valid yet: its startDateTime lies ahead."
                    ),
                ))
            }
            Some(_) => Ok(Principal::clone(&principal)),
        }
    }

    async fn access_token(
        &self,
        principal: &Principal,
        proof: Proof,
        resource: &str,
        v2: bool,
    ) -> Result<String, OAuthError> {
        let now = self.platform.clock.unix_seconds();
        let tenant = self.platform.tenancy.tenant_id.clone();
        let claims = Claims {
            aud: resource.into(),
            iss: self.issuer(v2),
            iat: now,
            nbf: now,
            exp: now + TOKEN_SECONDS,
            appid: principal.app_id.clone(),
            appidacr: proof.class().into(),
            idp: self.issuer(false),
            idtyp: "app".into(),
            name: None,
            oid: principal.id.clone(),
            generation: principal.generation,
            scp: None,
            sub: principal.id.clone(),
            tid: tenant,
            unique_name: None,
            upn: None,
            ver: "1.0".into(),
        };
        Ok(self.keys.sign(&claims).await?)
    }
}

/// The refusal of a form without a field that it must have.
pub(super) fn missing_field(name: &str) -> OAuthError {
    let text = format!("The request body must contain the following parameter: '{name}'.");
    OAuthError::new(400, "invalid_request", 900_144, text)
}

/// The audience of a request: the scope without `/.default` (v2.0), or `resource` (v1).
fn resource_of(scope: Option<&str>, resource: Option<&str>) -> Result<String, OAuthError> {
    let text = match (scope, resource) {
        (_, Some(resource)) if !resource.is_empty() => resource,
        (Some(scope), _) => scope
            .split_whitespace()
            .find_map(|word| word.strip_suffix("/.default"))
            .ok_or_else(|| OAuthError::new(400, "invalid_scope", 1_002_012, "The provided value for scope is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI)."))?,
        _ => return Err(missing_field("scope")),
    };
    check_length(text)?;
    Ok(text.into())
}

/// Refuses the name of a resource that is longer than any.
pub(super) fn check_length(text: &str) -> Result<(), OAuthError> {
    if text.len() > 512 {
        return Err(OAuthError::new(
            400,
            "invalid_scope",
            70011,
            "The provided value for the input parameter 'scope' is too long.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resource_keeps_its_slash() {
        assert_eq!(resource_of(Some("https://x//.default"), None).unwrap(), "https://x/");
        assert_eq!(resource_of(Some("openid https://x/.default"), None).unwrap(), "https://x");
        assert_eq!(resource_of(None, Some("https://y")).unwrap(), "https://y");
        assert_eq!(resource_of(Some("nothing"), None).unwrap_err().code, 1_002_012);
        assert_eq!(resource_of(None, None).unwrap_err().code, 900_144);
    }
}
