//! Reading the body of an enrollment's PUT.

use super::{
    AllocationPolicy, CustomAllocation, EnrollmentSettings, InitialTwin, PolicyName, ProvisioningStatus,
    ReprovisionPolicy, RequestedAttestation, bad, check_group_id, object, only, shown, text,
};
use crate::device_id::{check_device_id, check_registration_id};
use crate::error::Result;
use crate::limits::{INITIAL_TWIN_BYTES, OPTIONAL_DEVICE_INFORMATION_BYTES, WEBHOOK_URL_CHARS};
use serde_json::{Map, Value};

/// For whom an enrollment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EnrollmentKind {
    /// For many devices.
    Group,
    /// For the one device that it names.
    Individual,
}

impl EnrollmentKind {
    /// The member of a body that names the enrollment.
    pub fn id_member(self) -> &'static str {
        match self {
            Self::Group => "enrollmentGroupId",
            Self::Individual => "registrationId",
        }
    }

    /// What it is called in a sentence.
    pub fn word(self) -> &'static str {
        match self {
            Self::Group => "enrollment group",
            Self::Individual => "individual enrollment",
        }
    }

    /// Checks an id of this kind.
    ///
    /// # Errors
    /// `ArgumentInvalid` (400004) naming the rule.
    pub fn check_id(self, id: &str) -> Result<()> {
        match self {
            Self::Group => check_group_id(id),
            Self::Individual => check_registration_id(id),
        }
    }
}

/// Members that the server writes. Clients send back what they read, so these are taken and say nothing.
const READ_ONLY: &[&str] = &["etag", "createdDateTimeUtc", "lastUpdatedDateTimeUtc"];
/// The same of an individual enrollment.
const READ_ONLY_OF_INDIVIDUALS: &[&str] = &["registrationState"];
/// Members that a client writes, and with other names of the policy.
const WRITTEN: &[&str] = &[
    "attestation",
    "capabilities",
    "iotHubHostName",
    "initialTwin",
    "provisioningStatus",
    "reprovisionPolicy",
    "allocationPolicy",
    "iotHubs",
    "customAllocationDefinition",
    "credentialPolicyName",
    "certificatePolicyResourceId",
    "namespaceName",
    "certificateAuthorityName",
    "certificatePolicyName",
];
/// The same of an individual enrollment only.
const WRITTEN_OF_INDIVIDUALS: &[&str] = &["deviceId", "optionalDeviceInformation"];

/// What a client asks for with a PUT of an enrollment.
#[derive(Debug, Clone, PartialEq)]
pub struct EnrollmentPut {
    /// All but the attestation and the policy, which must be looked up.
    pub settings: EnrollmentSettings,
    /// The policy as the body names it.
    pub policy: Option<PolicyName>,
    /// The attestation.
    pub attestation: RequestedAttestation,
    /// Device id of an individual enrollment.
    pub device_id: Option<String>,
    /// What the client keeps beside an individual enrollment.
    pub optional_device_information: Option<Value>,
}

impl EnrollmentPut {
    /// Reads the body of an enrollment's PUT. Null and absent are the same, read-only members say nothing, unknown ones are
    /// refused with their path.
    ///
    /// # Errors
    /// `ArgumentInvalid` (400004) naming the property.
    pub fn parse(kind: EnrollmentKind, id: &str, body: &Value) -> Result<Self> {
        kind.check_id(id)?;
        let individual = kind == EnrollmentKind::Individual;
        if !body.is_object() {
            return Err(bad("body", format!("The body of an {} is a JSON object.", kind.word())));
        }
        let (own, taken): (&[&str], &[&str]) =
            if individual { (WRITTEN_OF_INDIVIDUALS, READ_ONLY_OF_INDIVIDUALS) } else { (&[], &[]) };
        only(body, "", &[READ_ONLY, taken, &[kind.id_member()], WRITTEN, own])?;
        if let Some(named) = text(body, kind.id_member())?
            && !named.eq_ignore_ascii_case(id)
        {
            return Err(bad(
                kind.id_member(),
                format!("The body names the {} '{}', the address names '{id}'.", kind.word(), shown(named)),
            ));
        }
        let device_id = text(body, "deviceId")?.filter(|id| individual && !id.is_empty());
        device_id.map_or(Ok(()), check_device_id).map_err(|error| error.with_target("deviceId"))?;
        let policy = PolicyName::parse(body)?;
        let (allocation_policy, webhook) = parse_allocation(body)?;
        Ok(Self {
            attestation: RequestedAttestation::parse(kind, body)?,
            device_id: device_id.map(str::to_owned),
            optional_device_information: if individual { parse_information(body)? } else { None },
            settings: EnrollmentSettings {
                provisioning_status: parse_status(body)?,
                credential_policy_name: policy.as_ref().map(|policy| policy.authority.clone()),
                allocation_policy,
                custom_allocation_definition: webhook,
                iot_hubs: parse_hubs(body)?,
                iot_hub_host_name: text(body, "iotHubHostName")?.filter(|host| !host.is_empty()).map(str::to_owned),
                initial_twin: parse_initial_twin(body)?,
                reprovision_policy: parse_reprovision(body)?,
                iot_edge: parse_edge(body)?,
            },
            policy,
        })
    }
}

/// How a hub is chosen, and the webhook where it chooses.
fn parse_allocation(body: &Value) -> Result<(Option<AllocationPolicy>, Option<CustomAllocation>)> {
    let word = text(body, "allocationPolicy")?.filter(|word| !word.is_empty());
    let policy = word.map(AllocationPolicy::parse).transpose()?;
    if parse_hubs(body)?.is_some() && policy.is_none() {
        return Err(bad(
            "allocationPolicy",
            "iotHubs needs an allocationPolicy that chooses among them: hashed, geoLatency, static or custom.".into(),
        ));
    }
    let given = object(body, "customAllocationDefinition")?;
    match (policy, given) {
        (Some(AllocationPolicy::Custom), Some(given)) => Ok((policy, Some(parse_webhook(given)?))),
        (Some(AllocationPolicy::Custom), None) => Err(bad(
            "customAllocationDefinition",
            "The allocation policy 'custom' needs a customAllocationDefinition with webhookUrl and apiVersion.".into(),
        )),
        (_, Some(_)) => Err(bad(
            "customAllocationDefinition",
            "A customAllocationDefinition is of the allocation policy 'custom'; set allocationPolicy to custom, or leave it out.".into(),
        )),
        (_, None) => Ok((policy, None)),
    }
}

fn parse_webhook(given: &Value) -> Result<CustomAllocation> {
    only(given, "customAllocationDefinition.", &[&["webhookUrl", "apiVersion"]])?;
    let member = |name: &str| -> Result<String> {
        let path = format!("customAllocationDefinition.{name}");
        let text = text(given, name).map_err(|error| error.with_target(path.clone()))?.unwrap_or_default();
        match text.chars().count() {
            1..=WEBHOOK_URL_CHARS => Ok(text.to_owned()),
            _ => Err(bad(&path, format!("{path} is a text of 1 to {WEBHOOK_URL_CHARS} characters."))),
        }
    };
    Ok(CustomAllocation { webhook_url: member("webhookUrl")?, api_version: member("apiVersion")? })
}

/// `optionalDeviceInformation` is an open object, whatever the client puts in.
fn parse_information(body: &Value) -> Result<Option<Value>> {
    let given =
        object(body, "optionalDeviceInformation")?.filter(|given| given.as_object().is_some_and(|map| !map.is_empty()));
    if given.is_some_and(|given| given.to_string().len() > OPTIONAL_DEVICE_INFORMATION_BYTES) {
        return Err(bad(
            "optionalDeviceInformation",
            format!("optionalDeviceInformation is larger than {OPTIONAL_DEVICE_INFORMATION_BYTES} bytes."),
        ));
    }
    Ok(given.cloned())
}

fn parse_status(body: &Value) -> Result<ProvisioningStatus> {
    match text(body, "provisioningStatus")?.map(str::to_ascii_lowercase).as_deref() {
        None | Some("enabled") => Ok(ProvisioningStatus::Enabled),
        Some("disabled") => Ok(ProvisioningStatus::Disabled),
        Some(_) => Err(bad("provisioningStatus", "provisioningStatus is 'enabled' or 'disabled'.".into())),
    }
}

fn parse_hubs(body: &Value) -> Result<Option<Vec<String>>> {
    let Some(hubs) = body.get("iotHubs").filter(|value| !value.is_null()) else { return Ok(None) };
    let names: Option<Vec<String>> =
        hubs.as_array().and_then(|list| list.iter().map(|hub| hub.as_str().map(str::to_owned)).collect());
    match names {
        Some(names) if names.is_empty() => Ok(None),
        Some(names) if names.len() <= crate::limits::LINKED_HUBS => Ok(Some(names)),
        _ => Err(bad(
            "iotHubs",
            format!("iotHubs is a list of at most {} host names of linked hubs.", crate::limits::LINKED_HUBS),
        )),
    }
}

/// The member `initialTwin` of an enrollment, or of a webhook's answer.
///
/// # Errors
/// `ArgumentInvalid` (400004) naming the member.
pub fn parse_initial_twin(body: &Value) -> Result<InitialTwin> {
    let Some(twin) = object(body, "initialTwin")? else { return Ok(InitialTwin::default()) };
    only(twin, "initialTwin.", &[&["tags", "properties"]])?;
    if let Some(properties) = object(twin, "properties")? {
        only(properties, "initialTwin.properties.", &[&["desired"]])?;
    }
    if twin.to_string().len() > INITIAL_TWIN_BYTES {
        return Err(bad("initialTwin", format!("initialTwin is larger than {INITIAL_TWIN_BYTES} bytes.")));
    }
    let part = |pointer: &str| -> Result<Map<String, Value>> {
        let Some(value) = twin.pointer(pointer).filter(|value| !value.is_null()) else { return Ok(Map::new()) };
        let mut map = value
            .as_object()
            .cloned()
            .ok_or_else(|| bad("initialTwin", format!("initialTwin{pointer} is a JSON object.")))?;
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

fn parse_edge(body: &Value) -> Result<bool> {
    let Some(capabilities) = object(body, "capabilities")? else { return Ok(false) };
    only(capabilities, "capabilities.", &[&["iotEdge"]])?;
    match capabilities.get("iotEdge") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(edge)) => Ok(*edge),
        Some(_) => Err(bad("capabilities.iotEdge", "capabilities.iotEdge is true or false.".into())),
    }
}

fn parse_reprovision(body: &Value) -> Result<ReprovisionPolicy> {
    let Some(policy) = object(body, "reprovisionPolicy")? else { return Ok(ReprovisionPolicy::default()) };
    only(policy, "reprovisionPolicy.", &[&["updateHubAssignment", "migrateDeviceData"]])?;
    let flag = |name: &str| match policy.get(name) {
        None | Some(Value::Null) => Ok(true),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(bad("reprovisionPolicy", format!("reprovisionPolicy.{name} is true or false."))),
    };
    Ok(ReprovisionPolicy {
        update_hub_assignment: flag("updateHubAssignment")?,
        migrate_device_data: flag("migrateDeviceData")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrollment::RequestedKeys;
    use serde_json::json;

    fn symmetric(extra: Value) -> Value {
        let mut body = json!({"attestation": {"type": "symmetricKey", "symmetricKey": {}}});
        for (name, value) in extra.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    }

    fn group(body: &Value) -> Result<EnrollmentPut> {
        EnrollmentPut::parse(EnrollmentKind::Group, "g1", body)
    }

    #[test]
    fn what_the_cli_sends_is_read() {
        let body = symmetric(
            json!({"enrollmentGroupId": "G1", "capabilities": {"iotEdge": false}, "initialTwin": {"tags": {}, "properties": {"desired": {"a": 1}}},
            "reprovisionPolicy": {"updateHubAssignment": true, "migrateDeviceData": false}, "credentialPolicyName": "default",
            "iotHubs": null, "allocationPolicy": "Hashed", "etag": "x", "iotHubHostName": "", "unknown": null}),
        );
        let put = group(&body).unwrap();
        assert_eq!(put.attestation, RequestedAttestation::SymmetricKey(RequestedKeys::default()));
        let settings = put.settings;
        assert_eq!(settings.credential_policy_name.as_deref(), Some("default"));
        assert_eq!(settings.allocation_policy, Some(AllocationPolicy::Hashed));
        assert_eq!(settings.initial_twin.desired["a"], 1);
        assert!(!settings.reprovision_policy.migrate_device_data && settings.reprovision_policy.update_hub_assignment);
    }

    #[test]
    fn an_individual_enrollment_has_more_members() {
        let body = symmetric(json!({"registrationId": "d1", "deviceId": "Pump 7".replace(' ', "-"),
            "optionalDeviceInformation": {"shelf": {"row": 7}}, "registrationState": {"status": "assigned"}, "allocationPolicy": "custom",
            "customAllocationDefinition": {"webhookUrl": "https://x/", "apiVersion": "2019-03-31"}}));
        let put = EnrollmentPut::parse(EnrollmentKind::Individual, "d1", &body).unwrap();
        assert_eq!(put.device_id.as_deref(), Some("Pump-7"));
        assert_eq!(put.optional_device_information, Some(json!({"shelf": {"row": 7}})));
        assert_eq!(put.settings.custom_allocation_definition.unwrap().webhook_url, "https://x/");
        for (body, target) in [
            (symmetric(json!({"registrationId": "d2"})), "registrationId"),
            (symmetric(json!({"deviceId": "a b"})), "deviceId"),
            (symmetric(json!({"optionalDeviceInformation": 7})), "optionalDeviceInformation"),
            (symmetric(json!({"optionalDeviceInformation": {"a": "x".repeat(9000)}})), "optionalDeviceInformation"),
            (symmetric(json!({"enrollmentGroupId": "g"})), "enrollmentGroupId"),
        ] {
            let error = EnrollmentPut::parse(EnrollmentKind::Individual, "d1", &body).unwrap_err();
            assert_eq!((error.numeric_code(), error.target.as_deref()), (400_004, Some(target)), "{body}");
        }
    }

    #[test]
    fn wrong_values_are_named() {
        for (extra, target) in [
            (json!({"provisioningStatus": "on"}), "provisioningStatus"),
            (json!({"allocationPolicy": "best"}), "allocationPolicy"),
            (json!({"allocationPolicy": "custom"}), "customAllocationDefinition"),
            (
                json!({"allocationPolicy": "custom", "customAllocationDefinition": {"webhookUrl": "x"}}),
                "customAllocationDefinition.apiVersion",
            ),
            (
                json!({"customAllocationDefinition": {"webhookUrl": "x", "apiVersion": "y"}}),
                "customAllocationDefinition",
            ),
            (json!({"iotHubs": "h"}), "iotHubs"),
            (json!({"iotHubs": ["h"]}), "allocationPolicy"),
            (json!({"attestation": 7}), "attestation"),
            (json!({"initialTwin": []}), "initialTwin"),
            (json!({"initialTwin": {"properties": 1}}), "properties"),
            (json!({"reprovisionPolicy": true}), "reprovisionPolicy"),
            (json!({"capabilities": "edge"}), "capabilities"),
            (json!({"capabilities": {"iotEdge": "yes"}}), "capabilities.iotEdge"),
            (json!({"enrollmentGroupId": "g2"}), "enrollmentGroupId"),
            (json!({"attestation": null}), "attestation"),
            (json!({"credentialPolicyName": "a", "certificatePolicyName": "b"}), "certificatePolicyName"),
            (json!({"reprovisionPolicy": {"migrateDeviceData": "yes"}}), "reprovisionPolicy"),
        ] {
            let error = group(&symmetric(extra.clone())).unwrap_err();
            assert_eq!((error.numeric_code(), error.target.as_deref()), (400_004, Some(target)), "{extra}");
        }
        assert!(group(&json!([])).is_err());
        assert!(EnrollmentPut::parse(EnrollmentKind::Group, "g_", &symmetric(json!({}))).is_err());
    }

    #[test]
    fn unknown_members_are_refused_with_their_path_at_every_depth() {
        for (extra, path) in [
            (json!({"unknown": 1}), "unknown"),
            (json!({"deviceId": "d"}), "deviceId"),
            (json!({"capabilities": {"iotFog": true}}), "capabilities.iotFog"),
            (json!({"initialTwin": {"desired": {}}}), "initialTwin.desired"),
            (json!({"initialTwin": {"properties": {"reported": {}}}}), "initialTwin.properties.reported"),
            (json!({"reprovisionPolicy": {"never": true}}), "reprovisionPolicy.never"),
            (json!({"attestation": {"type": "symmetricKey", "key": "x"}}), "attestation.key"),
            (
                json!({"attestation": {"type": "symmetricKey", "symmetricKey": {"tertiaryKey": "x"}}}),
                "attestation.symmetricKey.tertiaryKey",
            ),
            (json!({"attestation": {"type": "x509", "x509": {"roots": {}}}}), "attestation.x509.roots"),
        ] {
            let error = group(&symmetric(extra)).unwrap_err();
            assert_eq!(error.target.as_deref(), Some(path), "{error}");
            assert!(error.message.contains(path), "{error}");
        }
    }

    #[test]
    fn bookkeeping_of_a_collection_is_no_property() {
        let body = symmetric(json!({"initialTwin": {"properties": {"desired":
            {"version": 3, "count": 1, "metadata": {"lastUpdated": "2026-01-01T00:00:00Z"}, "$version": 3, "fan": "on"}}}}));
        assert_eq!(Value::Object(group(&body).unwrap().settings.initial_twin.desired), json!({"fan": "on"}));
    }
}
