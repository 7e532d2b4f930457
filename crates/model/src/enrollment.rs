//! Enrollment groups of a provisioning service: what a client may write, what is stored, what is shown.

use crate::error::{Error, Result};
use crate::limits::{DEVICE_KEY_BYTES, ENROLLMENT_GROUP_ID_CHARS};
use crate::time::rfc3339;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

mod parse;

pub use parse::parse_group;

/// Whether devices may register through an enrollment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProvisioningStatus {
    /// They may.
    #[default]
    Enabled,
    /// They are refused.
    Disabled,
}

/// How a linked hub is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AllocationPolicy {
    /// By weight, evenly spread.
    Hashed,
    /// By network distance; one place has one distance, so this spreads like `hashed`.
    GeoLatency,
    /// The one hub that the enrollment names.
    Static,
}

impl AllocationPolicy {
    /// Parses the word of the enrollment (`hashed`) or of the ARM resource (`Hashed`).
    ///
    /// # Errors
    /// `NotImplemented` for `custom`; `ArgumentInvalid` (400004) for other words.
    pub fn parse(word: &str) -> Result<Self> {
        match word.to_ascii_lowercase().as_str() {
            "hashed" => Ok(Self::Hashed),
            "geolatency" => Ok(Self::GeoLatency),
            "static" => Ok(Self::Static),
            "custom" => Err(not_built(
                "The allocation policy 'custom' (a webhook) is not built; use hashed, geoLatency or static.",
            )),
            _ => Err(bad(
                "allocationPolicy",
                format!("The allocation policy '{}' is unknown; use hashed, geoLatency or static.", shown(word)),
            )),
        }
    }

    /// The word as an enrollment writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hashed => "hashed",
            Self::GeoLatency => "geoLatency",
            Self::Static => "static",
        }
    }
}

/// What happens to a device that registers again (DPS docs; both default to true).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReprovisionPolicy {
    /// Whether the hub is chosen again when the assigned one is no longer allowed.
    pub update_hub_assignment: bool,
    /// Whether the twin moves along; otherwise the initial twin is written again.
    pub migrate_device_data: bool,
}

impl Default for ReprovisionPolicy {
    fn default() -> Self {
        Self { update_hub_assignment: true, migrate_device_data: true }
    }
}

/// The twin that a device starts with.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct InitialTwin {
    /// Tags.
    #[serde(default)]
    pub tags: Map<String, Value>,
    /// Desired properties.
    #[serde(default)]
    pub desired: Map<String, Value>,
}

/// The part of an enrollment group that a client writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupSettings {
    /// Whether devices may register through it.
    pub provisioning_status: ProvisioningStatus,
    /// Name of the certificate policy in the namespace of the provisioning service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_policy_name: Option<String>,
    /// How a hub is chosen; `None` = as the provisioning service says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocation_policy: Option<AllocationPolicy>,
    /// Host names of the hubs that may be chosen; `None` = all linked ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iot_hubs: Option<Vec<String>>,
    /// The one hub of the policy `static`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iot_hub_host_name: Option<String>,
    /// The twin that devices start with.
    pub initial_twin: InitialTwin,
    /// What happens on another registration.
    pub reprovision_policy: ReprovisionPolicy,
    /// Whether devices are IoT Edge devices.
    pub iot_edge: bool,
}

/// Both keys of a symmetric-key attestation: base64 text, or sealed base64 in a stored group.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymmetricKeys {
    /// Primary key.
    pub primary: String,
    /// Secondary key.
    pub secondary: String,
}

impl std::fmt::Debug for SymmetricKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SymmetricKeys { .. }")
    }
}

/// Keys that a request names; absent ones are kept or generated.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RequestedKeys {
    /// Primary key, base64.
    pub primary: Option<String>,
    /// Secondary key, base64.
    pub secondary: Option<String>,
}

impl std::fmt::Debug for RequestedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RequestedKeys { .. }")
    }
}

/// An enrollment group as stored; its keys are sealed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnrollmentGroup {
    /// Its id with the case it was made with.
    pub id: String,
    /// What the client wrote.
    pub settings: GroupSettings,
    /// The sealed keys.
    pub keys: SymmetricKeys,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
    /// Entity tag: base64 of a quoted GUID, as DPS writes it.
    pub etag: String,
}

impl EnrollmentGroup {
    /// The group as GET and query show it: without keys.
    pub fn view(&self) -> Value {
        let settings = &self.settings;
        let mut view = json!({
            "enrollmentGroupId": self.id,
            "attestation": {"type": "symmetricKey"},
            "capabilities": {"iotEdge": settings.iot_edge},
            "etag": self.etag,
            "initialTwin": {"tags": settings.initial_twin.tags, "properties": {"desired": settings.initial_twin.desired}},
            "provisioningStatus": settings.provisioning_status,
            "reprovisionPolicy": settings.reprovision_policy,
            "createdDateTimeUtc": rfc3339(self.created),
            "lastUpdatedDateTimeUtc": rfc3339(self.updated),
        });
        let optional = [
            ("allocationPolicy", settings.allocation_policy.map(|policy| json!(policy.as_str()))),
            ("iotHubs", settings.iot_hubs.as_ref().map(|hubs| json!(hubs))),
            ("iotHubHostName", settings.iot_hub_host_name.as_ref().map(|host| json!(host))),
            ("credentialPolicyName", settings.credential_policy_name.as_ref().map(|name| json!(name))),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                view[name] = value;
            }
        }
        view
    }
}

/// Checks an enrollment group id: 1 to 128 letters, digits, `-._:`, ending in a letter, digit or dash (DPS docs).
///
/// # Errors
/// `ArgumentInvalid` (400004) naming the rule.
pub fn check_group_id(id: &str) -> Result<()> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    let last_ok = id.chars().last().is_some_and(|c| c.is_ascii_alphanumeric() || c == '-');
    if id.len() > ENROLLMENT_GROUP_ID_CHARS || !id.chars().all(legal) || !last_ok {
        return Err(bad(
            "enrollmentGroupId",
            format!(
                "The enrollment group id '{}' is not valid: 1 to 128 letters, digits, '-', '.', '_' and ':' are allowed, and the last one is a letter, a digit or '-'.",
                shown(id)
            ),
        ));
    }
    Ok(())
}

/// Checks a symmetric key: base64 of 16 to 64 bytes (DPS docs).
///
/// # Errors
/// `ArgumentInvalid` (400004) naming the rule, never the key.
pub fn check_key(property: &str, key: &str) -> Result<()> {
    let long_enough =
        STANDARD.decode(key).is_ok_and(|bytes| (DEVICE_KEY_BYTES.0..=DEVICE_KEY_BYTES.1).contains(&bytes.len()));
    if !long_enough {
        return Err(bad(
            property,
            format!(
                "{property} is not a key: give the standard base64 of {} to {} bytes.",
                DEVICE_KEY_BYTES.0, DEVICE_KEY_BYTES.1
            ),
        ));
    }
    Ok(())
}

fn bad(property: &str, message: String) -> Error {
    Error::invalid(message).with_code("ArgumentInvalid").with_iot_code(400_004).with_target(property)
}

fn not_built(message: &str) -> Error {
    Error::not_implemented(message).with_iot_code(501_000)
}

fn shown(text: &str) -> String {
    text.chars().take(128).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_has_no_keys() {
        let (settings, _) = parse_group("g1", &json!({"attestation": {"type": "symmetricKey"}})).unwrap();
        let keys = SymmetricKeys { primary: "SEALED-1".into(), secondary: "SEALED-2".into() };
        let at = Timestamp::from_second(0).unwrap();
        let group = EnrollmentGroup { id: "g1".into(), settings, keys, created: at, updated: at, etag: "e".into() };
        let view = group.view();
        assert_eq!(view["attestation"], json!({"type": "symmetricKey"}));
        assert_eq!(view["provisioningStatus"], "enabled");
        assert!(!view.to_string().contains("SEALED") && !format!("{group:?}").contains("SEALED"));
        assert_eq!(serde_json::from_value::<EnrollmentGroup>(serde_json::to_value(&group).unwrap()).unwrap(), group);
    }
}
