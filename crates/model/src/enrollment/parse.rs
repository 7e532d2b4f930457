//! Reading the body of an enrollment group's PUT.

use super::{
    AllocationPolicy, GroupSettings, InitialTwin, ProvisioningStatus, ReprovisionPolicy, RequestedKeys, bad,
    check_group_id, check_key, not_built, shown,
};
use crate::error::Result;
use crate::limits::INITIAL_TWIN_BYTES;
use serde_json::{Map, Value};

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
        return Err(bad(
            "enrollmentGroupId",
            format!("The body names the enrollment group '{}', the address names '{id}'.", shown(named)),
        ));
    }
    let keys = parse_attestation(body)?;
    let (allocation_policy, iot_hubs) = (text(body, "allocationPolicy")?, parse_hubs(body)?);
    if iot_hubs.is_some() && allocation_policy.is_none() {
        return Err(bad(
            "allocationPolicy",
            "iotHubs needs an allocationPolicy that chooses among them: hashed, geoLatency or static.".into(),
        ));
    }
    let settings = GroupSettings {
        provisioning_status: parse_status(body)?,
        credential_policy_name: parse_policy(body)?,
        allocation_policy: allocation_policy.map(AllocationPolicy::parse).transpose()?,
        iot_hubs,
        iot_hub_host_name: text(body, "iotHubHostName")?.map(str::to_owned),
        initial_twin: parse_twin(body)?,
        reprovision_policy: parse_reprovision(body)?,
        iot_edge: parse_edge(body)?,
    };
    Ok((settings, keys))
}

fn parse_attestation(body: &Value) -> Result<RequestedKeys> {
    let Some(attestation) = object(body, "attestation")? else {
        return Err(bad(
            "attestation",
            "The enrollment group has no attestation; give {\"type\": \"symmetricKey\"}.".into(),
        ));
    };
    let kind = text(attestation, "type")?.unwrap_or("symmetricKey");
    match kind.to_ascii_lowercase().as_str() {
        "symmetrickey" => {}
        "x509" => return Err(not_built("The attestation type 'x509' is not built yet; use symmetricKey.")),
        "tpm" => {
            return Err(bad(
                "attestation.type",
                "The attestation type 'tpm' is not possible for an enrollment group; use symmetricKey.".into(),
            ));
        }
        _ => {
            return Err(bad(
                "attestation.type",
                format!("The attestation type '{}' is unknown; use symmetricKey.", shown(kind)),
            ));
        }
    }
    let Some(given) = object(attestation, "symmetricKey")? else { return Ok(RequestedKeys::default()) };
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
        return Err(not_built(
            "certificatePolicyResourceId (api-version 2026-07-01-preview) is not built; name the policy in credentialPolicyName.",
        ));
    }
    if let (Some(old), Some(new)) = (old, new)
        && !old.eq_ignore_ascii_case(new)
    {
        return Err(bad(
            "certificatePolicyName",
            format!(
                "credentialPolicyName is '{}' and certificatePolicyName is '{}'; they must name the same policy.",
                shown(old),
                shown(new)
            ),
        ));
    }
    if let (Some(policy), Some(authority)) = (new, text(body, "certificateAuthorityName")?)
        && !policy.eq_ignore_ascii_case(authority)
    {
        return Err(bad(
            "certificateAuthorityName",
            format!(
                "A policy has its own issuing authority of the same name here; certificateAuthorityName must be '{}', not '{}'.",
                shown(policy),
                shown(authority)
            ),
        ));
    }
    let name = old.or(new);
    if let Some(name) = name
        && !(name.len() <= 63 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
    {
        return Err(bad(
            "credentialPolicyName",
            format!("'{}' is not the name of a policy: 3 to 63 letters, digits and '-'.", shown(name)),
        ));
    }
    Ok(name.map(str::to_owned))
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

fn parse_twin(body: &Value) -> Result<InitialTwin> {
    let Some(twin) = object(body, "initialTwin")? else { return Ok(InitialTwin::default()) };
    object(twin, "properties")?;
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
    match capabilities.get("iotEdge") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(edge)) => Ok(*edge),
        Some(_) => Err(bad("capabilities.iotEdge", "capabilities.iotEdge is true or false.".into())),
    }
}

fn parse_reprovision(body: &Value) -> Result<ReprovisionPolicy> {
    let Some(policy) = object(body, "reprovisionPolicy")? else { return Ok(ReprovisionPolicy::default()) };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use serde_json::json;

    fn symmetric(extra: Value) -> Value {
        let mut body = json!({"enrollmentGroupId": "g1", "attestation": {"type": "symmetricKey", "symmetricKey": {}}});
        for (name, value) in extra.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    }

    #[test]
    fn what_the_cli_sends_is_read() {
        let body = symmetric(
            json!({"capabilities": {"iotEdge": false}, "initialTwin": {"tags": {}, "properties": {"desired": {"a": 1}}},
            "reprovisionPolicy": {"updateHubAssignment": true, "migrateDeviceData": false}, "credentialPolicyName": "default",
            "iotHubs": null, "allocationPolicy": "Hashed", "etag": "x", "unknown": 1}),
        );
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
            (json!({"iotHubs": ["h"]}), "allocationPolicy"),
            (json!({"attestation": 7}), "attestation"),
            (json!({"attestation": {"symmetricKey": "x"}}), "symmetricKey"),
            (json!({"initialTwin": []}), "initialTwin"),
            (json!({"initialTwin": {"properties": 1}}), "properties"),
            (json!({"reprovisionPolicy": true}), "reprovisionPolicy"),
            (json!({"capabilities": "edge"}), "capabilities"),
            (json!({"capabilities": {"iotEdge": "yes"}}), "capabilities.iotEdge"),
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
}
