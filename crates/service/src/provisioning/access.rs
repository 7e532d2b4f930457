//! Who may use the service API: shared access policies with rights, or a bearer token with data actions.

use super::{DpsRef, ProvisioningService};
use crate::authn::{Audience, Authenticator};
use crate::tables::RESOURCES;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::error::{Error, Result};
use ferrohub_wire::sas_token::{SasFailure, SasToken};
use serde_json::Value;
use zeroize::Zeroizing;

/// A right of a shared access policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Reading and changing the service's configuration.
    ServiceConfig,
    /// Reading enrollments.
    EnrollmentRead,
    /// Reading and writing enrollments.
    EnrollmentWrite,
    /// Reading registrations.
    RegistrationStatusRead,
    /// Deleting registrations.
    RegistrationStatusWrite,
    /// Registering devices.
    DeviceConnect,
}

impl Right {
    /// The word in `rights`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServiceConfig => "ServiceConfig",
            Self::EnrollmentRead => "EnrollmentRead",
            Self::EnrollmentWrite => "EnrollmentWrite",
            Self::RegistrationStatusRead => "RegistrationStatusRead",
            Self::RegistrationStatusWrite => "RegistrationStatusWrite",
            Self::DeviceConnect => "DeviceConnect",
        }
    }

    /// Whether `rights` (`ServiceConfig, EnrollmentWrite`) hold this one. Writing includes reading; Azure's own default
    /// policy has ServiceConfig, DeviceConnect and EnrollmentWrite and lists and deletes registrations with them.
    fn granted_by(self, rights: &str) -> bool {
        let enough: &[&str] = match self {
            Self::EnrollmentRead => &["EnrollmentRead", "EnrollmentWrite"],
            Self::RegistrationStatusRead => &["RegistrationStatusRead", "RegistrationStatusWrite", "EnrollmentWrite"],
            Self::RegistrationStatusWrite => &["RegistrationStatusWrite", "EnrollmentWrite"],
            _ => &[self.as_str()],
        };
        rights.split(',').map(str::trim).any(|held| enough.iter().any(|right| right.eq_ignore_ascii_case(held)))
    }
}

impl ProvisioningService {
    /// Lets a caller of the service API pass who holds `right` through a shared access policy, or `data_action`
    /// (such as `Microsoft.Devices/provisioningServices/enrollmentGroups/read`) through a role.
    ///
    /// # Errors
    /// `Unauthenticated` (401002) for a missing, malformed, expired or wrong signature, and the authenticator's refusals
    /// of a token; `Forbidden` (403000) without the right.
    pub async fn service_caller(
        &self,
        dps: &DpsRef,
        authorization: Option<&str>,
        right: Right,
        data_action: &str,
        authenticator: &Authenticator,
    ) -> Result<()> {
        let Some(header) = authorization else {
            return Err(unauthorized(
                "The request has no Authorization header; send a SharedAccessSignature or a bearer token.",
            ));
        };
        let bearer = header.split_once(' ').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        if bearer {
            let actor = authenticator.bearer(Some(header), Audience::Dps, "").await?;
            return self.platform.authorize_data(&actor, data_action, &dps.id);
        }
        if dps.stored.resource.value(&["disableLocalAuth"]).and_then(serde_json::Value::as_bool) == Some(true) {
            return Err(unauthorized(format!(
                "The provisioning service '{}' has local authentication switched off (disableLocalAuth): SAS tokens of its policies are refused. Use a bearer token.",
                dps.name
            )));
        }
        let token = SasToken::parse(header).map_err(|e| e.with_iot_code(401_002))?;
        let host = dps.stored.resource.text(&["serviceOperationsHostName"]).unwrap_or_default();
        if host.is_empty() || !token.covers(host) {
            return Err(unauthorized(format!("The SAS token is for '{}', not for '{host}'.", shown(&token.resource))));
        }
        let policy = token
            .policy
            .as_deref()
            .ok_or_else(|| unauthorized("The SAS token names no policy; add skn={policy name}."))?;
        let rights = policy_rights(dps, policy).ok_or_else(|| {
            unauthorized(format!(
                "The provisioning service '{}' has no shared access policy '{}'.",
                dps.name,
                shown(policy)
            ))
        })?;
        let keys = self.policy_keys(dps, &rights.name).await?;
        let keys: Vec<&[u8]> = keys.iter().map(|key| key.as_slice()).collect();
        token.verify_any(&keys, self.platform.clock.unix_seconds()).map_err(|failure| match failure {
            SasFailure::Expired => unauthorized("The SAS token has expired; sign a new one."),
            SasFailure::BadSignature => {
                unauthorized(format!("The SAS token is not signed with a key of the policy '{}'.", rights.name))
            }
        })?;
        if right.granted_by(&rights.rights) {
            return Ok(());
        }
        Err(Error::forbidden(format!(
            "The shared access policy '{}' has the rights '{}' and not {}; use a policy that has it, such as provisioningserviceowner.",
            rights.name,
            rights.rights,
            right.as_str()
        ))
        .with_iot_code(403_000))
    }

    async fn policy_keys(&self, dps: &DpsRef, policy: &str) -> Result<Vec<Zeroizing<Vec<u8>>>> {
        let mut keys = Vec::with_capacity(2);
        for field in [format!("{policy}/primary"), format!("{policy}/secondary")] {
            if let Some(text) = self.open_secret(&dps.stored, &field).await? {
                keys.extend(STANDARD.decode(text.as_slice()).ok().map(Zeroizing::new));
            }
        }
        Ok(keys)
    }

    /// A sealed secret of an ARM resource, under the resource's own data key.
    pub(super) async fn open_secret(
        &self,
        stored: &crate::resources::Stored,
        field: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let Some(sealed) = stored.resource.secrets.get(field) else { return Ok(None) };
        let row = stored.key();
        self.platform
            .keyring
            .open(self.platform.store.as_ref(), &row, RESOURCES.name, &row, field, sealed)
            .await
            .map(Some)
    }
}

/// A shared access policy of a resource.
pub(super) struct PolicyRights {
    /// Its name as stored, which names its secrets.
    pub(super) name: String,
    /// Its rights, separated by commas.
    pub(super) rights: String,
}

/// The shared access policy of this name, ignoring case.
pub(super) fn rights_of(policies: Option<&Value>, name: &str) -> Option<PolicyRights> {
    policies?.as_array()?.iter().find_map(|policy| {
        let found = policy.get("keyName")?.as_str()?;
        let rights = policy.get("rights")?.as_str()?;
        found.eq_ignore_ascii_case(name).then(|| PolicyRights { name: found.to_owned(), rights: rights.to_owned() })
    })
}

fn policy_rights(dps: &DpsRef, name: &str) -> Option<PolicyRights> {
    rights_of(dps.stored.resource.value(&["authorizationPolicies"]), name)
}

/// Compares two keys as text without telling by time where they differ.
pub(super) fn same_key(left: &[u8], right: &[u8]) -> bool {
    verify_slices_are_equal(left, right).is_ok()
}

/// DPS's refusal of credentials: 401002.
pub(super) fn unauthorized(message: impl Into<String>) -> Error {
    Error::unauthenticated(message).with_code("Unauthorized").with_iot_code(401_002)
}

/// At most 256 characters of something that a caller sent.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(256).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn writing_includes_reading_and_not_the_other_way_round() {
        let owner = "ServiceConfig, DeviceConnect, EnrollmentWrite";
        for right in [
            Right::ServiceConfig,
            Right::EnrollmentRead,
            Right::EnrollmentWrite,
            Right::RegistrationStatusRead,
            Right::RegistrationStatusWrite,
        ] {
            assert!(right.granted_by(owner), "{right:?}");
        }
        assert!(Right::EnrollmentRead.granted_by("enrollmentread"));
        assert!(!Right::EnrollmentWrite.granted_by("EnrollmentRead, RegistrationStatusRead"));
        assert!(!Right::RegistrationStatusWrite.granted_by("RegistrationStatusRead"));
        assert!(!Right::DeviceConnect.granted_by(""));
    }

    #[test]
    fn a_policy_is_found_ignoring_case() {
        let policies = json!([{"keyName": "Reader", "rights": "EnrollmentRead"}, {"keyName": 7}]);
        let found = rights_of(Some(&policies), "reader").unwrap();
        assert_eq!((found.name.as_str(), found.rights.as_str()), ("Reader", "EnrollmentRead"));
        assert!(rights_of(Some(&policies), "other").is_none() && rights_of(None, "reader").is_none());
        assert!(same_key(b"ab", b"ab") && !same_key(b"ab", b"ac") && !same_key(b"ab", b"abc"));
    }
}
