//! Enrollment groups in the shape of the service API's api-version. From 2026-11-01 on three names stand where one stood:
//! the namespace, the issuing authority and its policy, together or not at all (reference: device-registry-api.md section 9).

use super::{DpsRef, ProvisioningService};
use crate::registry;
use crate::resources;
use ferrohub_model::api_version::ApiVersion;
use ferrohub_model::error::{Error, Result};
use serde_json::Value;

/// The one name of the older shape.
const POLICY: &str = "credentialPolicyName";
/// The three of the newer one.
const NAMES: [&str; 3] = ["namespaceName", "certificateAuthorityName", "certificatePolicyName"];
/// The first day of the newer shape.
const SINCE: &str = "2026-11-01";

fn is_newer(version: Option<&str>) -> bool {
    version.and_then(|text| ApiVersion::parse(text).ok()).is_some_and(|version| version.date() >= SINCE)
}

impl ProvisioningService {
    /// Shows enrollment groups as an api-version has them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn shape(&self, dps: &DpsRef, version: Option<&str>, groups: &mut [Value]) -> Result<()> {
        if !is_newer(version) {
            return Ok(());
        }
        let namespace = match dps.stored.resource.links.get(registry::NAMESPACE) {
            Some(link) => resources::id_of(&self.platform, link.uid).await?,
            None => None,
        };
        for group in groups {
            let policy = group.as_object_mut().and_then(|group| group.shift_remove(POLICY));
            let (Some(policy), Some(namespace)) = (policy, &namespace) else { continue };
            group[NAMES[0]] = namespace.name().into();
            group[NAMES[1]] = policy.clone();
            group[NAMES[2]] = policy;
        }
        Ok(())
    }
}

/// Refuses a part of the three names.
///
/// # Errors
/// `Invalid` (400004) naming what is missing.
pub fn check_names(version: Option<&str>, body: &Value) -> Result<()> {
    let is_there = |name: &&str| body.get(*name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    let missing: Vec<&str> = NAMES.into_iter().filter(|name| !is_there(name)).collect();
    if !is_newer(version) || missing.is_empty() || missing.len() == NAMES.len() {
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
