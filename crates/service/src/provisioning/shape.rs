//! Enrollments in the shape of the service API's api-version: each generation names the credential policy its own way
//! (reference: iot-hub-and-dps.md B.3). From 2026-11-01 on three names stand where one stood: the namespace, the issuing authority and its
//! policy, together or not at all (device-registry-api.md section 9); 2026-07-01-preview has the id of the policy.

use super::access::Needs;
use super::policy::policy_id;
use super::{DpsRef, ProvisioningService};
use crate::authz::Actor;
use crate::certificate;
use crate::registry;
use crate::resources::{self, Stored};
use ferrohub_model::api_version::ApiVersion;
use ferrohub_model::enrollment::EnrollmentKind;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use serde_json::Value;

/// The one name of the older shape.
const POLICY: &str = "credentialPolicyName";
/// The id in between.
const ID: &str = "certificatePolicyResourceId";
/// The three of the newer one.
const NAMES: [&str; 3] = ["namespaceName", "certificateAuthorityName", "certificatePolicyName"];
/// The first day of the id, and that of the three names.
const SINCE: (&str, &str) = ("2026-07-01", "2026-11-01");

/// How an api-version names a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naming {
    Name,
    Id,
    Names,
}

fn naming(version: Option<&str>) -> Naming {
    let version = version.and_then(|text| ApiVersion::parse(text).ok());
    match version.as_ref().map(ApiVersion::date) {
        Some(date) if date >= SINCE.1 => Naming::Names,
        Some(date) if date >= SINCE.0 => Naming::Id,
        _ => Naming::Name,
    }
}

impl ProvisioningService {
    /// Shows enrollments of a kind as an api-version has them, to whoever may read or write them.
    ///
    /// # Errors
    /// The refusal of an actor who may do neither; when the store cannot be read.
    pub async fn shape(
        &self,
        actor: &Actor,
        dps: &DpsRef,
        kind: EnrollmentKind,
        version: Option<&str>,
        enrollments: &mut [Value],
    ) -> Result<()> {
        let naming = naming(version);
        if naming == Naming::Name {
            return Ok(());
        }
        let needs = Needs::of(kind);
        if let Err(refused) = self.authorize(actor, dps, needs.read).await {
            self.authorize(actor, dps, needs.write).await.map_err(|_| refused)?;
        }
        let namespace = match dps.stored.resource.links.get(registry::NAMESPACE) {
            Some(link) => resources::id_of(&self.platform, link.uid).await?,
            None => None,
        };
        for enrollment in enrollments {
            let authority = enrollment.as_object_mut().and_then(|members| members.shift_remove(POLICY));
            let (Some(Value::String(authority)), Some(namespace)) = (authority, &namespace) else { continue };
            let policy = self.policy_name(namespace, &authority).await?;
            if naming == Naming::Id {
                let id = namespace.child("certificateAuthorities", &authority).child("certificatePolicies", &policy);
                enrollment[ID] = id.to_string().into();
                continue;
            }
            enrollment[NAMES[0]] = namespace.name().into();
            enrollment[NAMES[1]] = authority.into();
            enrollment[NAMES[2]] = policy.into();
        }
        Ok(())
    }

    /// The name of the policy of an issuing authority; the authority's own where it is gone.
    async fn policy_name(&self, namespace: &ResourceId, authority: &str) -> Result<String> {
        let found = resources::get(&self.platform, &policy_id(namespace, authority)).await?;
        let policy = match found {
            Some(found) => certificate::policy_of(&self.platform, found.uid).await?,
            None => None,
        };
        Ok(policy.as_ref().map_or(authority, Stored::name).to_owned())
    }
}

/// Refuses a part of the three names.
///
/// # Errors
/// `Invalid` (400004) naming what is missing.
pub fn check_names(version: Option<&str>, body: &Value) -> Result<()> {
    let is_there = |name: &&str| body.get(*name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    let missing: Vec<&str> = NAMES.into_iter().filter(|name| !is_there(name)).collect();
    if naming(version) != Naming::Names || missing.is_empty() || missing.len() == NAMES.len() {
        return Ok(());
    }
    Err(Error::invalid(format!("{} go together; {} is missing.", NAMES.join(", "), missing.join(", ")))
        .with_code("ArgumentInvalid")
        .with_iot_code(400_004))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_generation_has_its_own_name() {
        for (version, expected) in [
            (None, Naming::Name),
            (Some("2019-03-31"), Naming::Name),
            (Some("2025-07-01-preview"), Naming::Name),
            (Some("2026-07-01-preview"), Naming::Id),
            (Some("2026-11-01"), Naming::Names),
            (Some("2026-11-02-preview"), Naming::Names),
        ] {
            assert_eq!(naming(version), expected, "{version:?}");
        }
    }

    #[test]
    fn the_three_names_go_together() {
        let all = json!({"namespaceName": "n", "certificateAuthorityName": "a", "certificatePolicyName": "a"});
        let part = json!({"certificatePolicyName": "a", "namespaceName": ""});
        for (version, body, fits) in [
            (Some("2026-11-01"), &all, true),
            (Some("2026-11-02-preview"), &json!({"credentialPolicyName": "a"}), true),
            (Some("2026-11-01"), &part, false),
            (Some("2025-07-01-preview"), &part, true),
            (None, &part, true),
        ] {
            assert_eq!(check_names(version, body).is_ok(), fits, "{version:?} {body}");
        }
        let error = check_names(Some("2026-11-01"), &part).unwrap_err();
        assert!(error.message.contains("namespaceName, certificateAuthorityName is missing"), "{error}");
    }
}
