//! Enrollments of a provisioning service: what a client may write, what is stored, what is shown. A group is for many devices, an
//! individual enrollment for the one that it names; both are thin things over the same attestation and the same settings.

use crate::error::{Error, Result};
use crate::limits::{DEVICE_KEY_BYTES, ENROLLMENT_GROUP_ID_CHARS};
use crate::time::rfc3339;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

mod attestation;
mod parse;
mod parse_attestation;
mod policy_name;

pub use attestation::{
    Attestation, CertificateInfo, EnrolledCertificate, Pair, RequestedAttestation, RequestedCertificate, RequestedKeys,
    RequestedX509, SymmetricKeys, TpmKeys, X509Attestation,
};
pub use parse::{EnrollmentKind, EnrollmentPut, parse_initial_twin};
pub use policy_name::PolicyName;

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
    /// The lowest latency, as each hub's tag says it; evenly spread among equals.
    GeoLatency,
    /// The one hub that the enrollment names.
    Static,
    /// A webhook is asked.
    Custom,
}

impl AllocationPolicy {
    /// Parses the word of the enrollment (`hashed`) or of the ARM resource (`Hashed`).
    ///
    /// # Errors
    /// `ArgumentInvalid` (400004) for other words.
    pub fn parse(word: &str) -> Result<Self> {
        match word.to_ascii_lowercase().as_str() {
            "hashed" => Ok(Self::Hashed),
            "geolatency" => Ok(Self::GeoLatency),
            "static" => Ok(Self::Static),
            "custom" => Ok(Self::Custom),
            _ => Err(bad(
                "allocationPolicy",
                format!(
                    "The allocation policy '{}' is unknown; use hashed, geoLatency, static or custom.",
                    shown(word)
                ),
            )),
        }
    }

    /// The word as an enrollment writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hashed => "hashed",
            Self::GeoLatency => "geoLatency",
            Self::Static => "static",
            Self::Custom => "custom",
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

/// The webhook of the allocation policy `custom`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomAllocation {
    /// Where it is asked.
    pub webhook_url: String,
    /// The api-version that it is asked with.
    pub api_version: String,
}

/// What groups and individual enrollments share beside the attestation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnrollmentSettings {
    /// Whether devices may register through it.
    pub provisioning_status: ProvisioningStatus,
    /// The credential policy in the namespace of the provisioning service, by the name of its issuing authority, which has one policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_policy_name: Option<String>,
    /// How a hub is chosen; `None` = as the provisioning service says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocation_policy: Option<AllocationPolicy>,
    /// The webhook; there exactly with the policy `custom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_allocation_definition: Option<CustomAllocation>,
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

/// What both kinds of enrollment are made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnrollmentRecord {
    /// What the client wrote.
    pub settings: EnrollmentSettings,
    /// How a device proves that it belongs here. In a row: `keys`, `x509` or `tpm`.
    #[serde(flatten)]
    pub attestation: Attestation,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
    /// Entity tag: base64 of a quoted GUID, as DPS writes it.
    pub etag: String,
}

/// An enrollment group as stored; its keys are sealed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnrollmentGroup {
    /// Its id with the case it was made with.
    pub id: String,
    /// All else.
    #[serde(flatten)]
    pub record: EnrollmentRecord,
}

/// An enrollment of one device as stored; its keys are sealed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndividualEnrollment {
    /// The registration id with the case it was made with.
    pub id: String,
    /// The device id at the hub; `None` = the registration id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// What the client keeps beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional_device_information: Option<Value>,
    /// Challenges to its TPM that were answered; none of another attestation.
    #[serde(default, skip_serializing_if = "Challenges::is_new")]
    pub challenges: Challenges,
    /// All else.
    #[serde(flatten)]
    pub record: EnrollmentRecord,
}

/// Which challenges to a TPM count: each is answered once, and polls go on with the answer that counted last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenges {
    /// How many were answered since the enrollment was written.
    pub answered: u64,
    /// The stretch of time in which the last of them was made.
    pub window: i64,
}

impl Challenges {
    fn is_new(&self) -> bool {
        *self == Self::default()
    }
}

impl EnrollmentGroup {
    /// The group as GET and query show it: without keys.
    pub fn view(&self) -> Value {
        let mut view = json!({"enrollmentGroupId": self.id});
        self.record.show(&mut view);
        view
    }
}

impl IndividualEnrollment {
    /// The enrollment as GET and query show it: without keys, and without the state of its registration, which is a row of its own.
    pub fn view(&self) -> Value {
        let mut view = json!({"registrationId": self.id});
        for (name, value) in [
            ("deviceId", self.device_id.clone().map(Value::String)),
            ("optionalDeviceInformation", self.optional_device_information.clone()),
        ] {
            if let Some(value) = value {
                view[name] = value;
            }
        }
        self.record.show(&mut view);
        view
    }
}

impl EnrollmentRecord {
    fn show(&self, view: &mut Value) {
        let settings = &self.settings;
        let twin = &settings.initial_twin;
        view["attestation"] = self.attestation.view();
        view["capabilities"] = json!({"iotEdge": settings.iot_edge});
        view["etag"] = json!(self.etag);
        view["initialTwin"] = json!({"tags": twin.tags, "properties": {"desired": twin.desired}});
        view["provisioningStatus"] = json!(settings.provisioning_status);
        view["reprovisionPolicy"] = json!(settings.reprovision_policy);
        view["createdDateTimeUtc"] = json!(rfc3339(self.created));
        view["lastUpdatedDateTimeUtc"] = json!(rfc3339(self.updated));
        let optional = [
            ("allocationPolicy", settings.allocation_policy.map(|policy| json!(policy.as_str()))),
            (
                "customAllocationDefinition",
                settings.custom_allocation_definition.as_ref().map(|webhook| json!(webhook)),
            ),
            ("iotHubs", settings.iot_hubs.as_ref().map(|hubs| json!(hubs))),
            ("iotHubHostName", settings.iot_hub_host_name.as_ref().map(|host| json!(host))),
            ("credentialPolicyName", settings.credential_policy_name.as_ref().map(|name| json!(name))),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                view[name] = value;
            }
        }
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

/// A member that is an object, if it is there.
fn object<'a>(body: &'a Value, name: &str) -> Result<Option<&'a Value>> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(object @ Value::Object(_)) => Ok(Some(object)),
        Some(_) => Err(bad(name, format!("{name} is a JSON object."))),
    }
}

fn text<'a>(body: &'a Value, name: &str) -> Result<Option<&'a str>> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(bad(name, format!("{name} is a text."))),
    }
}

/// Refuses a member that nobody knows, with its path; `null` says nothing. The last lists are those that can be written.
fn only(body: &Value, path: &str, known: &[&[&str]]) -> Result<()> {
    let Some(members) = body.as_object() else { return Ok(()) };
    let lost = |name: &str, value: &Value| !value.is_null() && !known.iter().any(|names| names.contains(&name));
    match members.iter().find(|(name, value)| lost(name, value)) {
        None => Ok(()),
        Some((unknown, _)) => {
            let unknown: String = unknown.chars().filter(|c| !c.is_control()).take(64).collect();
            let known = known.concat().join(", ");
            Err(bad(
                &format!("{path}{unknown}"),
                format!("The member '{path}{unknown}' is not one of this enrollment; there are: {known}."),
            ))
        }
    }
}

fn shown(text: &str) -> String {
    text.chars().take(128).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(attestation: Attestation) -> EnrollmentRecord {
        let body = json!({"attestation": {"type": "symmetricKey"}});
        let settings = EnrollmentPut::parse(EnrollmentKind::Group, "g1", &body).unwrap().settings;
        let at = Timestamp::from_second(0).unwrap();
        EnrollmentRecord { settings, attestation, created: at, updated: at, etag: "e".into() }
    }

    #[test]
    fn a_view_has_no_keys() {
        let keys = SymmetricKeys { primary: "SEALED-1".into(), secondary: "SEALED-2".into() };
        let group = EnrollmentGroup { id: "g1".into(), record: record(Attestation::SymmetricKey(keys)) };
        let view = group.view();
        assert_eq!(view["attestation"], json!({"type": "symmetricKey"}));
        assert_eq!(view["provisioningStatus"], "enabled");
        assert!(!view.to_string().contains("SEALED") && !format!("{group:?}").contains("SEALED"));
        assert_eq!(serde_json::from_value::<EnrollmentGroup>(serde_json::to_value(&group).unwrap()).unwrap(), group);
    }

    #[test]
    fn rows_of_the_first_groups_are_read() {
        let row = json!({"id": "g1", "settings": {"provisioningStatus": "enabled", "initialTwin": {}, "iotEdge": false,
            "reprovisionPolicy": {"updateHubAssignment": true, "migrateDeviceData": true}},
            "keys": {"primary": "a", "secondary": "b"}, "created": "1970-01-01T00:00:00Z", "updated": "1970-01-01T00:00:00Z", "etag": "e"});
        let group: EnrollmentGroup = serde_json::from_value(row).unwrap();
        let keys = SymmetricKeys { primary: "a".into(), secondary: "b".into() };
        assert_eq!(group, EnrollmentGroup { id: "g1".into(), record: record(Attestation::SymmetricKey(keys)) });
    }

    #[test]
    fn an_individual_enrollment_is_kept_whole() {
        let references = Pair { primary: Some("ca1".to_owned()), secondary: None };
        let enrollment = IndividualEnrollment {
            id: "d1".into(),
            device_id: Some("Device-1".into()),
            optional_device_information: Some(json!({"shelf": 7})),
            challenges: Challenges::default(),
            record: record(Attestation::X509(X509Attestation::CaReferences(references))),
        };
        let view = enrollment.view();
        assert_eq!(view["attestation"], json!({"type": "x509", "x509": {"caReferences": {"primary": "ca1"}}}));
        assert_eq!((&view["deviceId"], &view["optionalDeviceInformation"]["shelf"]), (&json!("Device-1"), &json!(7)));
        let stored = serde_json::to_value(&enrollment).unwrap();
        assert_eq!(serde_json::from_value::<IndividualEnrollment>(stored).unwrap(), enrollment);
    }
}
