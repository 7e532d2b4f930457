//! Who may use a hub's service API: shared access policies and bearer tokens.

use super::{CACHED_HUBS, HubRef, HubService, without_port};
use crate::authn::{Audience, Authenticator};
use crate::platform::Platform;
use crate::tables::RESOURCES;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::error::{Error, Result};
use ferrohub_wire::sas_token::{SasFailure, SasToken};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;
use uuid::Uuid;
use zeroize::Zeroizing;

/// A right of a shared access policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Reading identities.
    RegistryRead,
    /// Writing identities.
    RegistryWrite,
    /// Twins, methods, events and the other service endpoints.
    ServiceConnect,
    /// The device endpoints.
    DeviceConnect,
}

impl Right {
    /// Azure's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RegistryRead => "RegistryRead",
            Self::RegistryWrite => "RegistryWrite",
            Self::ServiceConnect => "ServiceConnect",
            Self::DeviceConnect => "DeviceConnect",
        }
    }
}

/// A policy with its keys opened.
struct PolicyKeys {
    rights: Vec<String>,
    primary: Zeroizing<Vec<u8>>,
    secondary: Zeroizing<Vec<u8>>,
}

type Policies = HashMap<String, Arc<PolicyKeys>>;

/// The version of a hub's row, and the keys that were opened from it.
type Opened = (u64, Arc<OnceCell<Policies>>);

/// Opened keys of hubs, kept for as long as the hub's row has the version they were read from. They are opened once
/// for all who ask at the same time.
#[derive(Default)]
pub(super) struct HubKeys(Mutex<HashMap<Uuid, Opened>>);

impl HubKeys {
    /// The policy `name` of the hub with its keys; `None` when there is none.
    async fn policy(&self, platform: &Platform, hub: &HubRef, name: &str) -> Result<Option<Arc<PolicyKeys>>> {
        let cell = self.cell(hub);
        let policies = cell.get_or_try_init(|| open_policies(platform, hub)).await?;
        Ok(policies.get(name).cloned())
    }

    fn cell(&self, hub: &HubRef) -> Arc<OnceCell<Policies>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, cell)) = all.get(&hub.uid).filter(|(version, _)| *version == hub.stored.version) {
            return Arc::clone(cell);
        }
        if all.len() >= CACHED_HUBS && !all.contains_key(&hub.uid) {
            all.clear();
        }
        let cell = Arc::<OnceCell<Policies>>::default();
        all.insert(hub.uid, (hub.stored.version, Arc::clone(&cell)));
        cell
    }
}

async fn open_policies(platform: &Platform, hub: &HubRef) -> Result<Policies> {
    let mut policies = Policies::new();
    let declared = hub.stored.resource.value(&["authorizationPolicies"]).and_then(serde_json::Value::as_array);
    for policy in declared.into_iter().flatten() {
        let text = |name: &str| policy.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
        let name = text("keyName");
        let rights = text("rights").split(',').map(|right| right.trim().to_owned()).collect();
        let primary = open_key(platform, hub, &format!("{name}/primary")).await?;
        let secondary = open_key(platform, hub, &format!("{name}/secondary")).await?;
        policies.insert(name.to_owned(), Arc::new(PolicyKeys { rights, primary, secondary }));
    }
    Ok(policies)
}

/// The decoded key; empty, which verifies nothing, when there is none.
async fn open_key(platform: &Platform, hub: &HubRef, field: &str) -> Result<Zeroizing<Vec<u8>>> {
    let Some(sealed) = hub.stored.resource.secrets.get(field) else {
        return Ok(Zeroizing::new(Vec::new()));
    };
    let owner = hub.stored.key();
    let text = platform.keyring.open(platform.store.as_ref(), &owner, RESOURCES.name, &owner, field, sealed).await?;
    let key = STANDARD
        .decode(text.as_slice())
        .map_err(|_| Error::internal(format!("key {field} of hub {} is not base64", hub.name)))?;
    Ok(Zeroizing::new(key))
}

impl HubService {
    /// Refuses unless the `Authorization` of a service request carries `right` by a shared access policy, or a
    /// bearer token whose principal may do `data_action` (such as `Microsoft.Devices/IotHubs/devices/read`) on the hub.
    ///
    /// # Errors
    /// 401002 without, or with bad, credentials; 401003 for a wrong key or an expired token; 403000 for a principal without the right.
    pub async fn service_caller(
        &self,
        hub: &HubRef,
        authorization: Option<&str>,
        right: Right,
        data_action: &str,
        authenticator: &Authenticator,
    ) -> Result<()> {
        let Some(text) = authorization.map(str::trim).filter(|text| !text.is_empty()) else {
            return Err(unauthorized_access(
                "Authorization header missing. Send a SAS token of a policy of this hub, or a bearer token for 'https://iothubs.azure.net'.",
            ));
        };
        if is_bearer(text) {
            let base_url = format!("https://{}", hub.host);
            let actor =
                authenticator.bearer(Some(text), Audience::Hub, &base_url).await.map_err(|error| {
                    match error.iot_code {
                        0 => error.with_iot_code(401_002),
                        _ => error,
                    }
                })?;
            return self.platform.authorize_data(&actor, data_action, &hub.id);
        }
        let token = SasToken::parse(text)
            .map_err(|error| error.with_code("IotHubUnauthorizedAccess").with_iot_code(401_002))?;
        check_policy_token(&self.platform, &self.keys, hub, &token, &hub.host, right).await
    }
}

/// Refuses unless `token` was signed with a key of a policy of `hub` that has `right`, and covers `resource`.
pub(super) async fn check_policy_token(
    platform: &Platform,
    keys: &HubKeys,
    hub: &HubRef,
    token: &SasToken,
    resource: &str,
    right: Right,
) -> Result<()> {
    if hub.is_on("disableLocalAuth") {
        return Err(unauthorized_access(format!(
            "The hub '{}' has local authentication switched off (disableLocalAuth): SAS tokens of its policies are refused. Use a bearer token.",
            hub.name
        )));
    }
    check_resource(token, resource)?;
    let name = token
        .policy
        .as_deref()
        .ok_or_else(|| unauthorized_access("The SAS token names no policy (skn); sign it with a policy of the hub."))?;
    let Some(policy) = keys.policy(platform, hub, name).await? else {
        // The same text as for a wrong key: names of policies are not for strangers.
        return Err(bad_signature());
    };
    verify(token, &[&policy.primary, &policy.secondary], platform.clock.unix_seconds())?;
    if !policy.rights.iter().any(|has| has.eq_ignore_ascii_case(right.as_str())) {
        return Err(unauthorized_access(format!(
            "Authorization rule '{name}' does not allow access for '{}'. Use a policy with the right {}.",
            hub.host,
            right.as_str()
        )));
    }
    Ok(())
}

/// Refuses a token for another hub or another device. Clients that were given a port write it into `sr`.
pub(super) fn check_resource(token: &SasToken, wanted: &str) -> Result<()> {
    let mut token = token.clone();
    let (host, rest) = match token.resource.split_once('/') {
        Some((host, rest)) => (host, Some(rest)),
        None => (token.resource.as_str(), None),
    };
    let host = without_port(host);
    token.resource = rest.map_or_else(|| host.to_owned(), |rest| format!("{host}/{rest}"));
    if token.covers(wanted) {
        return Ok(());
    }
    let shown: String = token.resource.chars().filter(|c| !c.is_control()).take(300).collect();
    Err(unauthorized_access(format!(
        "The SAS token is for '{shown}', which does not cover '{wanted}'. Sign one for '{wanted}'."
    )))
}

/// Checks signature and time.
pub(super) fn verify(token: &SasToken, keys: &[&[u8]], now_unix: i64) -> Result<()> {
    match token.verify_any(keys, now_unix) {
        Ok(()) => Ok(()),
        Err(SasFailure::Expired) => Err(unauthorized("The SAS token has expired; sign a new one.")),
        Err(SasFailure::BadSignature) => Err(bad_signature()),
    }
}

fn bad_signature() -> Error {
    unauthorized(
        "The signature of the SAS token is wrong; sign it with the primary or the secondary key as it stands now.",
    )
}

fn is_bearer(text: &str) -> bool {
    text.split_once(' ').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
}

/// 401002: the credentials are not for this.
pub(super) fn unauthorized_access(message: impl Into<String>) -> Error {
    Error::unauthenticated(message).with_code("IotHubUnauthorizedAccess").with_iot_code(401_002)
}

/// 401003: the credentials are wrong.
pub(super) fn unauthorized(message: impl Into<String>) -> Error {
    Error::unauthenticated(message).with_code("IotHubUnauthorized").with_iot_code(401_003)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_wire::sas_token::sign;

    #[test]
    fn a_port_in_the_audience_is_ignored_and_another_hub_is_not() {
        let token = |resource: &str| SasToken::parse(&sign(resource, b"key", 10, None)).unwrap();
        assert!(check_resource(&token("h.localhost:8443"), "h.localhost/devices/d").is_ok());
        assert!(check_resource(&token("h.localhost:8443/devices/d"), "h.localhost/devices/d").is_ok());
        let error = check_resource(&token("other.localhost/devices/d"), "h.localhost/devices/d").unwrap_err();
        assert_eq!(error.numeric_code(), 401_002);
        assert!(error.message.contains("other.localhost/devices/d"));
    }

    #[test]
    fn wrong_key_and_expiry_are_told_apart() {
        let token = SasToken::parse(&sign("h", b"key", 10, None)).unwrap();
        assert!(verify(&token, &[b"key"], 9).is_ok());
        assert!(verify(&token, &[b"key"], 10).unwrap_err().message.contains("expired"));
        assert!(verify(&token, &[b"other", b""], 9).unwrap_err().message.contains("signature"));
    }
}
