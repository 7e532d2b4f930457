//! Certificate policies: the leaf settings of an issuing authority, one for each.

use crate::platform::Platform;
use crate::resources::{self, Stored};
use ferrohub_model::error::Result;
use ferrohub_model::uid::uid_key;
use serde_json::Value;
use uuid::Uuid;

/// The `lookup` column of the one policy of an issuing authority.
pub fn policy_lookup(authority: Uuid) -> String {
    format!("leaf/{}", uid_key(authority))
}

/// The policy of an issuing authority, if it has one.
///
/// # Errors
/// When the store cannot be read.
pub async fn policy_of(platform: &Platform, authority: Uuid) -> Result<Option<Stored>> {
    resources::by_lookup(platform, "lookup", &policy_lookup(authority)).await
}

/// Member of a certificate policy that says whether it issues: ours, Azure has none (ADR 0036).
pub const ENABLED: &str = "enabled";

/// Whether a stored policy issues; one that never said so does.
pub fn is_enabled(policy: &Stored) -> bool {
    policy.resource.value(&[ENABLED]).and_then(Value::as_bool).unwrap_or(true)
}

/// Days for which certificates of a stored policy are good.
pub fn leaf_days(policy: &Stored) -> Option<u32> {
    let days = policy.resource.value(&["certificate", "validityPeriodInDays"]).and_then(Value::as_u64)?;
    u32::try_from(days).ok()
}
