//! Enrollment groups of a provisioning service: what a client may write, what is stored, what is shown.

use crate::error::{Error, Result};
use crate::time::rfc3339;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Bytes of a decoded symmetric key, least and most (DPS docs: 16 to 64).
pub const KEY_BYTES: (usize, usize) = (16, 64);
/// Characters of an enrollment group id (DPS docs: 128).
pub const GROUP_ID_CHARS: usize = 128;
/// Longest initial twin as JSON text: the sum of the twin's own limits (8 KB of tags, 32 KB of desired properties).
pub const INITIAL_TWIN_BYTES: usize = 40 * 1024;

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
            "custom" => Err(not_built("The allocation policy 'custom' (a webhook) is not built; use hashed, geoLatency or static.")),
            _ => Err(bad("allocationPolicy", format!("The allocation policy '{}' is unknown; use hashed, geoLatency or static.", shown(word)))),
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
    if id.len() > GROUP_ID_CHARS || !id.chars().all(legal) || !last_ok {
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
    let long_enough = STANDARD.decode(key).is_ok_and(|bytes| (KEY_BYTES.0..=KEY_BYTES.1).contains(&bytes.len()));
    if !long_enough {
        return Err(bad(property, format!("{property} is not a key: give the standard base64 of {} to {} bytes.", KEY_BYTES.0, KEY_BYTES.1)));
    }
    Ok(())
}

/// Reads the body of an enrollment group's PUT. Null and absent are the same; unknown and read-only fields are ignored.
///
/// # Errors
/// `ArgumentInvalid` (400004) naming the property; `NotImplemented` for what is not built.
pub fn parse_group(id: &str, body: &Value) -> Result<(GroupSettings, RequestedKeys)> {
    check_group_id(id)?;
    if !body.is_object() {
        return Err(bad("body", "The body of an enrollment group is a JSON object.".into()));
    }
    if let Some(named) = text(body, "enrollmentGroupId")?
        && !named.eq_ignore_ascii_case(id)
    {
        return Err(bad("enrollmentGroupId", format!("The body names the enrollment group '{}', the address names '{id}'.", shown(named))));
    }
    let keys = parse_attestation(body)?;
    let settings = GroupSettings {
        provisioning_status: parse_status(body)?,
        credential_policy_name: parse_policy(body)?,
        allocation_policy: text(body, "allocationPolicy")?.map(AllocationPolicy::parse).transpose()?,
        iot_hubs: parse_hubs(body)?,
        iot_hub_host_name: text(body, "iotHubHostName")?.map(str::to_owned),
        initial_twin: parse_twin(body)?,
        reprovision_policy: parse_reprovision(body)?,
        iot_edge: body.pointer("/capabilities/iotEdge").and_then(Value::as_bool).unwrap_or(false),
    };
    Ok((settings, keys))
}

fn parse_attestation(body: &Value) -> Result<RequestedKeys> {
    let attestation = body.get("attestation").filter(|value| !value.is_null());
    let Some(attestation) = attestation else {
        return Err(bad("attestation", "The enrollment group has no attestation; give {\"type\": \"symmetricKey\"}.".into()));
    };
    let kind = text(attestation, "type")?.unwrap_or("symmetricKey");
    match kind.to_ascii_lowercase().as_str() {
        "symmetrickey" => {}
        "x509" => return Err(not_built("The attestation type 'x509' is not built yet; use symmetricKey.")),
        "tpm" => return Err(bad("attestation.type", "The attestation type 'tpm' is not possible for an enrollment group; use symmetricKey.".into())),
        _ => return Err(bad("attestation.type", format!("The attestation type '{}' is unknown; use symmetricKey.", shown(kind)))),
    }
    let Some(given) = attestation.get("symmetricKey").filter(|value| !value.is_null()) else {
        return Ok(RequestedKeys::default());
    };
    let key = |name: &str| -> Result<Option<String>> {
        let Some(key) = text(given, name)?.filter(|key| !key.is_empty()) else { return Ok(None) };
        check_key(name, key)?;
        Ok(Some(key.to_owned()))
    };
    Ok(RequestedKeys { primary: key("primaryKey")?, secondary: key("secondaryKey")? })
}

fn parse_status(body: &Value) -> Result<ProvisioningStatus> {
    match text(body, "provisioningStatus")?.map(str::to_ascii_lowercase).as_deref() {
        None | Some("enabled") => Ok(ProvisioningStatus::Enabled),
        Some("disabled") => Ok(ProvisioningStatus::Disabled),
        Some(_) => Err(bad("provisioningStatus", "provisioningStatus is 'enabled' or 'disabled'.".into())),
    }
}

/// The policy under any of the names that Azure gave it; all that are given must mean the same one.
fn parse_policy(body: &Value) -> Result<Option<String>> {
    let old = text(body, "credentialPolicyName")?.filter(|name| !name.is_empty());
    let new = text(body, "certificatePolicyName")?.filter(|name| !name.is_empty());
    if text(body, "certificatePolicyResourceId")?.is_some() {
        return Err(not_built("certificatePolicyResourceId (api-version 2026-07-01-preview) is not built; name the policy in credentialPolicyName."));
    }
    if let (Some(old), Some(new)) = (old, new)
        && !old.eq_ignore_ascii_case(new)
    {
        return Err(bad("certificatePolicyName", format!("credentialPolicyName is '{}' and certificatePolicyName is '{}'; they must name the same policy.", shown(old), shown(new))));
    }
    if let (Some(policy), Some(authority)) = (new, text(body, "certificateAuthorityName")?)
        && !policy.eq_ignore_ascii_case(authority)
    {
        return Err(bad(
            "certificateAuthorityName",
            format!("A policy has its own issuing authority of the same name here; certificateAuthorityName must be '{}', not '{}'.", shown(policy), shown(authority)),
        ));
    }
    let name = old.or(new);
    if let Some(name) = name
        && !(name.len() <= 63 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
    {
        return Err(bad("credentialPolicyName", format!("'{}' is not the name of a policy: 3 to 63 letters, digits and '-'.", shown(name))));
    }
    Ok(name.map(str::to_owned))
}

fn parse_hubs(body: &Value) -> Result<Option<Vec<String>>> {
    let Some(hubs) = body.get("iotHubs").filter(|value| !value.is_null()) else { return Ok(None) };
    let names: Option<Vec<String>> = hubs.as_array().and_then(|list| list.iter().map(|hub| hub.as_str().map(str::to_owned)).collect());
    match names {
        Some(names) if names.is_empty() => Ok(None),
        Some(names) if names.len() <= crate::limits::LINKED_HUBS => Ok(Some(names)),
        _ => Err(bad("iotHubs", format!("iotHubs is a list of at most {} host names of linked hubs.", crate::limits::LINKED_HUBS))),
    }
}

fn parse_twin(body: &Value) -> Result<InitialTwin> {
    let Some(twin) = body.get("initialTwin").filter(|value| !value.is_null()) else { return Ok(InitialTwin::default()) };
    if twin.to_string().len() > INITIAL_TWIN_BYTES {
        return Err(bad("initialTwin", format!("initialTwin is larger than {INITIAL_TWIN_BYTES} bytes.")));
    }
    let part = |pointer: &str| -> Result<Map<String, Value>> {
        let Some(value) = twin.pointer(pointer).filter(|value| !value.is_null()) else { return Ok(Map::new()) };
        let mut map = value.as_object().cloned().ok_or_else(|| bad("initialTwin", format!("initialTwin{pointer} is a JSON object.")))?;
        // The C# client sends the collection's own bookkeeping along (reference B.3).
        for bookkeeping in ["version", "count", "metadata", "$version", "$metadata"] {
            if bookkeeping.starts_with('$') || map.get("metadata").is_some_and(|m| m.get("lastUpdated").is_some()) {
                map.remove(bookkeeping);
            }
        }
        Ok(map)
    };
    Ok(InitialTwin { tags: part("/tags")?, desired: part("/properties/desired")? })
}

fn parse_reprovision(body: &Value) -> Result<ReprovisionPolicy> {
    let Some(policy) = body.get("reprovisionPolicy").filter(|value| !value.is_null()) else { return Ok(ReprovisionPolicy::default()) };
    let flag = |name: &str| match policy.get(name) {
        None | Some(Value::Null) => Ok(true),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(bad("reprovisionPolicy", format!("reprovisionPolicy.{name} is true or false."))),
    };
    Ok(ReprovisionPolicy { update_hub_assignment: flag("updateHubAssignment")?, migrate_device_data: flag("migrateDeviceData")? })
}

fn text<'a>(body: &'a Value, name: &str) -> Result<Option<&'a str>> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(bad(name, format!("{name} is a text."))),
    }
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
    use crate::error::ErrorKind;

    fn symmetric(extra: Value) -> Value {
        let mut body = json!({"enrollmentGroupId": "g1", "attestation": {"type": "symmetricKey", "symmetricKey": {}}});
        for (name, value) in extra.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    }

    #[test]
    fn what_the_cli_sends_is_read() {
        let body = symmetric(json!({"capabilities": {"iotEdge": false}, "initialTwin": {"tags": {}, "properties": {"desired": {"a": 1}}},
            "reprovisionPolicy": {"updateHubAssignment": true, "migrateDeviceData": false}, "credentialPolicyName": "default",
            "iotHubs": null, "allocationPolicy": "Hashed", "etag": "x", "unknown": 1}));
        let (settings, keys) = parse_group("g1", &body).unwrap();
        assert_eq!(keys, RequestedKeys::default());
        assert_eq!(settings.credential_policy_name.as_deref(), Some("default"));
        assert_eq!(settings.allocation_policy, Some(AllocationPolicy::Hashed));
        assert_eq!(settings.initial_twin.desired["a"], 1);
        assert!(!settings.reprovision_policy.migrate_device_data && settings.reprovision_policy.update_hub_assignment);
    }

    #[test]
    fn wrong_values_are_named() {
        for (extra, target) in [
            (json!({"provisioningStatus": "on"}), "provisioningStatus"),
            (json!({"allocationPolicy": "best"}), "allocationPolicy"),
            (json!({"iotHubs": "h"}), "iotHubs"),
            (json!({"enrollmentGroupId": "g2"}), "enrollmentGroupId"),
            (json!({"attestation": null}), "attestation"),
            (json!({"attestation": {"type": "tpm"}}), "attestation.type"),
            (json!({"attestation": {"symmetricKey": {"primaryKey": "c2hvcnQ="}}}), "primaryKey"),
            (json!({"credentialPolicyName": "a", "certificatePolicyName": "b"}), "certificatePolicyName"),
            (json!({"certificatePolicyName": "a", "certificateAuthorityName": "b"}), "certificateAuthorityName"),
            (json!({"reprovisionPolicy": {"migrateDeviceData": "yes"}}), "reprovisionPolicy"),
        ] {
            let error = parse_group("g1", &symmetric(extra.clone())).unwrap_err();
            assert_eq!((error.numeric_code(), error.target.as_deref()), (400_004, Some(target)), "{extra}");
        }
        for extra in [json!({"attestation": {"type": "x509"}}), json!({"allocationPolicy": "custom"})] {
            assert_eq!(parse_group("g1", &symmetric(extra)).unwrap_err().kind, ErrorKind::NotImplemented);
        }
        assert!(parse_group("g1", &json!([])).is_err());
        assert!(parse_group("g_", &symmetric(json!({}))).is_err());
    }

    #[test]
    fn bookkeeping_of_a_collection_is_no_property() {
        let body = symmetric(json!({"initialTwin": {"properties": {"desired":
            {"version": 3, "count": 1, "metadata": {"lastUpdated": "2026-01-01T00:00:00Z"}, "$version": 3, "fan": "on"}}}}));
        let (settings, _) = parse_group("g1", &body).unwrap();
        assert_eq!(Value::Object(settings.initial_twin.desired), json!({"fan": "on"}));
    }

    #[test]
    fn a_view_has_no_keys() {
        let (settings, _) = parse_group("g1", &symmetric(json!({}))).unwrap();
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
