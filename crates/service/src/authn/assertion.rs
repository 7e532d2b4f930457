//! Client assertions (RFC 7523): a JWT that the key of one of the application's certificates signed stands in for a secret.

use super::oauth::OAuthError;
use super::{Authenticator, SKEW_SECONDS};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ferrohub_model::principal::{CertificateCredential, Principal};
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::public_key::PublicKey;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::Deserialize;

/// The only kind of assertion that there is (RFC 7523, 2.2).
const KIND: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Longest assertion that is looked at, bytes: ours. It may carry a certificate chain (`x5c`).
const ASSERTION_BYTES: usize = 32 * 1024;

/// The claims that count.
#[derive(Debug, Deserialize)]
struct Claims {
    #[serde(default)]
    aud: String,
    #[serde(default)]
    iss: String,
    #[serde(default)]
    sub: String,
    /// A NumericDate may have a fraction (RFC 7519, 2), and MSAL for Python sends one.
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
}

impl Authenticator {
    /// The application that an assertion proves: signed by one of its certificates, made for this token service, and now.
    pub(super) async fn client_by_assertion(
        &self,
        client_id: Option<&str>,
        kind: Option<&str>,
        assertion: &str,
    ) -> Result<Principal, OAuthError> {
        if kind != Some(KIND) {
            let text =
                format!("The request body must contain the parameter 'client_assertion_type' with the value '{KIND}'.");
            return Err(OAuthError::new(400, "invalid_request", 900_144, text));
        }
        if assertion.len() > ASSERTION_BYTES {
            return Err(malformed("it is too long"));
        }
        let header = jsonwebtoken::decode_header(assertion).map_err(|_| malformed("its header is no JOSE header"))?;
        let claims = claims(assertion).ok_or_else(|| malformed("its claims are no JSON with 'exp'"))?;
        let client_id = client_id.filter(|id| !id.is_empty()).unwrap_or(&claims.sub);
        let principal = self.application(client_id).await?;
        let credential = signed_by(&principal, assertion, &header)?;
        if !claims.iss.eq_ignore_ascii_case(&principal.app_id) || !claims.sub.eq_ignore_ascii_case(&principal.app_id) {
            return Err(invalid(
                700_021,
                "Client assertion application identifier doesn't match 'client_id' parameter: 'iss' and 'sub' are the client id.",
            ));
        }
        if !self.is_own(&claims.aud) {
            return Err(invalid(
                700_023,
                "Client assertion audience claim does not match Realm issuer: 'aud' is the address of this token endpoint.",
            ));
        }
        let now = self.platform.clock.unix_seconds();
        let (earliest, latest) = (seconds(now - SKEW_SECONDS), seconds(now + SKEW_SECONDS));
        if earliest >= claims.exp || claims.nbf.is_some_and(|nbf| latest < nbf) {
            return Err(invalid(700_024, "Client assertion is not within its valid time range. Compare the clocks."));
        }
        if now >= credential.expires || credential.label.starts.is_some_and(|starts| now + SKEW_SECONDS < starts) {
            return Err(not_registered("The key used is expired."));
        }
        Ok(Principal::clone(&principal))
    }

    /// Whether an audience is this tenant's token service under a name of ours (or Entra's, which some clients have built
    /// in): the endpoint, the authority or the issuer.
    fn is_own(&self, audience: &str) -> bool {
        if audience == self.issuer(true) || audience == self.issuer(false) {
            return true;
        }
        let Some((host, path)) = audience.strip_prefix("https://").and_then(|rest| rest.split_once('/')) else {
            return false;
        };
        let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        let name = name.map_or(host, |(name, _)| name).trim_start_matches('[').trim_end_matches(']');
        let domain = &self.platform.settings.domain;
        let ours = name.eq_ignore_ascii_case(domain)
            || name.eq_ignore_ascii_case(&format!("login.{domain}"))
            || name.eq_ignore_ascii_case("login.microsoftonline.com")
            || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        let (tenant, rest) = path.split_once('/').unwrap_or((path, ""));
        ours && self.is_tenant(tenant)
            && ["", "v2.0", "oauth2/token", "oauth2/v2.0/token"].contains(&rest.trim_end_matches('/'))
    }
}

#[expect(clippy::cast_precision_loss, reason = "unix seconds are far below 2^52")]
fn seconds(seconds: i64) -> f64 {
    seconds as f64
}

/// The claims, before anything is proven.
fn claims(assertion: &str) -> Option<Claims> {
    let payload = assertion.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?).ok()
}

/// The certificate of the application that signed the assertion, named by its thumbprint in the header.
fn signed_by<'a>(
    principal: &'a Principal,
    assertion: &str,
    header: &Header,
) -> Result<&'a CertificateCredential, OAuthError> {
    let algorithm = match header.alg {
        Algorithm::RS256 | Algorithm::PS256 => header.alg,
        _ => return Err(malformed("its algorithm is neither RS256 nor PS256")),
    };
    for credential in &principal.certificates {
        let Some(certificate) =
            STANDARD.decode(&credential.certificate).ok().and_then(|der| Certificate::from_der(&der).ok())
        else {
            continue;
        };
        if !names(header, &certificate) {
            continue;
        }
        let valid = decoding_key(&certificate).is_some_and(|key| verifies(assertion, &key, algorithm));
        if !valid {
            return Err(invalid(700_027, "Client assertion failed signature validation."));
        }
        return Ok(credential);
    }
    Err(not_registered("The key was not found."))
}

/// Whether the header names the certificate: `x5t` (SHA-1), `x5t#S256`, or the SHA-1 in hexadecimal as `kid`.
fn names(header: &Header, certificate: &Certificate) -> bool {
    let is = |sent: &Option<String>, thumbprint: &str| {
        let sent = sent.as_ref().map(|sent| sent.trim_end_matches('='));
        sent.is_some() && sent == hex::decode(thumbprint).ok().map(|bytes| URL_SAFE_NO_PAD.encode(bytes)).as_deref()
    };
    let named = header.kid.as_ref().is_some_and(|kid| kid.eq_ignore_ascii_case(certificate.sha1()));
    is(&header.x5t, certificate.sha1()) || is(&header.x5t_s256, certificate.sha256()) || named
}

fn decoding_key(certificate: &Certificate) -> Option<DecodingKey> {
    let key = PublicKey::from_spki(certificate.public_key_info_der()).ok()?;
    let (modulus, exponent) = key.rsa_components()?;
    DecodingKey::from_rsa_components(&URL_SAFE_NO_PAD.encode(modulus), &URL_SAFE_NO_PAD.encode(exponent)).ok()
}

fn verifies(assertion: &str, key: &DecodingKey, algorithm: Algorithm) -> bool {
    let mut rules = Validation::new(algorithm);
    // Times and audience are asked about afterwards, with Entra's words.
    rules.validate_exp = false;
    rules.validate_nbf = false;
    rules.validate_aud = false;
    rules.required_spec_claims.clear();
    jsonwebtoken::decode::<serde_json::Value>(assertion, key, &rules).is_ok()
}

fn malformed(why: &str) -> OAuthError {
    OAuthError::new(400, "invalid_request", 50_027, format!("JWT token is invalid or malformed: {why}."))
}

fn invalid(code: u32, text: &str) -> OAuthError {
    OAuthError::new(401, "invalid_client", code, text)
}

fn not_registered(reason: &str) -> OAuthError {
    invalid(
        700_027,
        &format!(
            "The certificate with identifier used to sign the client assertion is not registered on application. [Reason - {reason}]"
        ),
    )
}
