//! Shared access policies of hubs and provisioning services, or a bearer token in their place: one reading of the
//! `Authorization` header, one memory of opened keys, one check of a signature. In what the services differ (codes, and
//! which right includes which) is a table of theirs, `Rules`.
//!
//! A stranger learns nothing from a refusal: a policy that does not exist is refused like a wrong key, and of a policy's
//! rights only those hear who hold its key.

mod keys;
mod right;

pub(crate) use keys::{PolicyCache, open_secret};
pub(crate) use right::PolicyGrant;
pub use right::{Need, Right};

use crate::authn::{Audience, Authenticator};
use crate::authz::Actor;
use crate::platform::Platform;
use crate::resources::Stored;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::azure_names;
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_wire::sas_token::{SasFailure, SasToken};
use keys::PolicyKeys;
use serde_json::Value;

/// What is particular to the policies of one kind of service.
pub(crate) struct Rules {
    /// How messages call such a service.
    pub(crate) word: &'static str,
    /// What a bearer token must be for.
    pub(crate) audience: Audience,
    /// The rights of which any one is enough for the given one.
    pub(crate) enough: fn(Right) -> &'static [Right],
    /// The service's error, with its codes, for a refusal with this text.
    pub(crate) refuse: fn(Refusal, String) -> Error,
}

/// Why credentials are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No `Authorization` at all.
    Missing,
    /// It is neither a SAS token nor a bearer token.
    Malformed,
    /// The service takes no SAS tokens.
    LocalAuthOff,
    /// The token is for something else.
    OtherResource,
    /// The token names no policy.
    NoPolicyName,
    /// No key of the policy gives the signature, or there is no such policy.
    BadSignature,
    /// The signature is right and the time is over.
    Expired,
    /// The policy has not the right.
    NoRight,
}

/// A service with shared access policies, as it stood a moment ago.
pub(crate) struct Holder<'a> {
    /// Its kind's table.
    pub(crate) rules: &'static Rules,
    /// The resource.
    pub(crate) stored: &'a Stored,
    /// Its id.
    pub(crate) id: &'a ResourceId,
    /// The host name that tokens are for: lower case, without a port.
    pub(crate) host: &'a str,
}

impl Holder<'_> {
    /// The service's error for a refusal.
    pub(crate) fn refuse(&self, refusal: Refusal, text: impl Into<String>) -> Error {
        (self.rules.refuse)(refusal, text.into())
    }

    fn local_auth_is_off(&self) -> bool {
        self.stored.resource.value(&["disableLocalAuth"]).and_then(Value::as_bool) == Some(true)
    }
}

/// Who sends a request of the service API with this `Authorization` header: the principal of a bearer token, or a
/// shared access policy. What they may do is asked later, by [`crate::authz::authorize_need`].
///
/// # Errors
/// The service's refusals, all `Unauthenticated`; for a bearer token the authenticator's.
pub(crate) async fn authenticate(
    platform: &Platform,
    authenticator: &Authenticator,
    holder: &Holder<'_>,
    authorization: Option<&str>,
) -> Result<Actor> {
    let Some(text) = authorization.map(str::trim).filter(|text| !text.is_empty()) else {
        return Err(holder.refuse(
            Refusal::Missing,
            format!(
                "Authorization header missing. Send a SAS token of a policy of this {}, or a bearer token for '{}'.",
                holder.rules.word,
                holder.rules.audience.name()
            ),
        ));
    };
    if is_bearer(text) {
        return authenticator.bearer(Some(text), holder.rules.audience).await.map_err(|error| {
            match (error.kind, error.iot_code) {
                (ErrorKind::Unauthenticated, 0) => error.with_iot_code(401_002),
                _ => error,
            }
        });
    }
    let token = SasToken::parse(text).map_err(|error| holder.refuse(Refusal::Malformed, error.message))?;
    verify_policy_token(platform, holder, &token, holder.host).await.map(Actor::policy)
}

/// The policy under which `token` was signed, once it is proven and covers `resource`.
///
/// # Errors
/// The service's refusals; when the store cannot be read.
pub(crate) async fn verify_policy_token(
    platform: &Platform,
    holder: &Holder<'_>,
    token: &SasToken,
    resource: &str,
) -> Result<PolicyGrant> {
    if holder.local_auth_is_off() {
        return Err(holder.refuse(
            Refusal::LocalAuthOff,
            format!(
                "The {} '{}' has local authentication switched off (disableLocalAuth): SAS tokens of its policies are refused. Use a bearer token.",
                holder.rules.word, holder.stored.name()
            ),
        ));
    }
    check_resource(holder, token, resource)?;
    let name = token.policy.as_deref().ok_or_else(|| {
        holder.refuse(
            Refusal::NoPolicyName,
            format!("The SAS token names no policy (skn); sign it with a policy of the {}.", holder.rules.word),
        )
    })?;
    let policy = platform.policies.find(platform, holder.stored, name).await?;
    // No policy, no key: the same refusal as for a wrong one.
    let keys: &[&[u8]] = &policy.as_deref().map_or([&[][..]; 2], PolicyKeys::keys);
    verify(holder, token, keys, platform.clock.unix_seconds())?;
    policy.map(|policy| policy.grant(holder.stored.uid)).ok_or_else(|| Error::internal("an empty key verified a token"))
}

/// Why a key from a connection string does not open a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyRefusal {
    /// The service takes no keys.
    LocalAuthOff,
    /// The key is none of the policy's present keys, or there is no such policy.
    WrongKey,
    /// The policy has not this right.
    NoRight(Right),
}

/// Whether `key`, as a connection string has it, is one of the present keys of the policy `name`, and the policy has
/// all of `rights`.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn check_key(
    platform: &Platform,
    holder: &Holder<'_>,
    name: &str,
    key: &str,
    rights: &[Right],
) -> Result<std::result::Result<(), KeyRefusal>> {
    if holder.local_auth_is_off() {
        return Ok(Err(KeyRefusal::LocalAuthOff));
    }
    let given = STANDARD.decode(key).map(zeroize::Zeroizing::new).unwrap_or_default();
    let policy = platform.policies.find(platform, holder.stored, name).await?;
    let fits = |policy: &PolicyKeys| {
        !given.is_empty() && policy.keys().iter().any(|key| verify_slices_are_equal(key, &given).is_ok())
    };
    let Some(policy) = policy.filter(|policy| fits(policy)) else { return Ok(Err(KeyRefusal::WrongKey)) };
    let grant = policy.grant(holder.stored.uid);
    let lacking = rights.iter().find(|right| !grant.has(**right, holder.rules));
    Ok(lacking.map_or(Ok(()), |right| Err(KeyRefusal::NoRight(*right))))
}

/// The host that a token names; the holder's where it is Azure's own name of it, as clients behind `ferrohub proxy` write it.
fn of_azures_name<'a>(host: &'a str, holder: &'a str) -> &'a str {
    let domain = holder.splitn(3, '.').nth(2).unwrap_or_default();
    if azure_names::here(host, domain).is_some_and(|here| here == holder) { holder } else { host }
}

/// Refuses a token for another service or another device. Clients that were given a port write it into `sr`.
pub(crate) fn check_resource(holder: &Holder<'_>, token: &SasToken, wanted: &str) -> Result<()> {
    let mut token = token.clone();
    let (host, rest) = match token.resource.split_once('/') {
        Some((host, rest)) => (host, Some(rest)),
        None => (token.resource.as_str(), None),
    };
    let host = of_azures_name(without_port(host), holder.host);
    token.resource = rest.map_or_else(|| host.to_owned(), |rest| format!("{host}/{rest}"));
    if !wanted.is_empty() && token.covers(wanted) {
        return Ok(());
    }
    let shown: String = token.resource.chars().filter(|c| !c.is_control()).take(300).collect();
    Err(holder.refuse(
        Refusal::OtherResource,
        format!("The SAS token is for '{shown}', which does not cover '{wanted}'. Sign one for '{wanted}'."),
    ))
}

/// Checks signature and time.
pub(crate) fn verify(holder: &Holder<'_>, token: &SasToken, keys: &[&[u8]], now_unix: i64) -> Result<()> {
    match token.verify_any(keys, now_unix) {
        Ok(()) => Ok(()),
        Err(SasFailure::Expired) => Err(holder.refuse(Refusal::Expired, "The SAS token has expired; sign a new one.")),
        Err(SasFailure::BadSignature) => Err(holder.refuse(
            Refusal::BadSignature,
            "The signature of the SAS token is wrong; sign it with the primary or the secondary key as it stands now.",
        )),
    }
}

/// The host without `:port`.
pub(crate) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_bearer(text: &str) -> bool {
    text.split_once(' ').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_may_name_a_service_as_azure_does() {
        let hub = "h1.azure-devices.plant.example";
        for (named, meant) in [
            ("h1.azure-devices.net", hub),
            ("H1.azure-devices.net", hub),
            (hub, hub),
            ("h2.azure-devices.net", "h2.azure-devices.net"),
            ("h1.azure-devices-provisioning.net", "h1.azure-devices-provisioning.net"),
        ] {
            assert_eq!(of_azures_name(named, hub), meant);
        }
        assert_eq!(of_azures_name("management.azure.com", "management.localhost"), "management.azure.com");
    }
}
