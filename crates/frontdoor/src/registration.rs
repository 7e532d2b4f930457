//! What HTTPS and MQTT share about registering: the body of the request and the form of the answer.

use crate::json_body;
use ferrohub_model::enrollment::TpmKeys;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::registration::RegistrationStatus;
use ferrohub_service::provisioning::{DeviceCaller, OperationStatus, RegisterRequest};
use serde_json::{Map, Value};

/// The request that a DeviceRegistration document makes for `caller`, whose own document is empty (reference: iot-hub-and-dps.md A.2). An empty one is an
/// empty document: C's SDK over HTTPS and Python's over MQTT leave things out in different ways.
///
/// # Errors
/// `Invalid` for text that is not a JSON object, another registration id, or malformed or unknown members.
pub(crate) fn request(document: &[u8], caller: RegisterRequest) -> Result<RegisterRequest> {
    let mut fields = parse(document)?;
    if let Some(id) = fields.get("registrationId").filter(|id| !id.is_null())
        && !id.as_str().is_some_and(|id| id.eq_ignore_ascii_case(&caller.registration_id))
    {
        return Err(invalid(format!(
            "The body's registrationId is not '{}', which the request is for.",
            caller.registration_id
        )));
    }
    let tpm = fields.remove("tpm").filter(|tpm| !tpm.is_null()).map(|tpm| tpm_keys(&tpm)).transpose()?;
    let csr = match fields.remove("csr") {
        None | Some(Value::Null) => None,
        Some(Value::String(csr)) => Some(csr),
        Some(_) => return Err(invalid("The csr must be a text: the base64 of a DER certificate signing request.")),
    };
    let payload = fields.remove("payload").filter(|payload| !payload.is_null());
    if let Some(name) = fields.keys().find(|name| *name != "registrationId") {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
        return Err(invalid(format!(
            "A registration has no member '{shown}'; it has registrationId, payload, csr and tpm. The enrollment says which device id and hub the device gets."
        )));
    }
    Ok(RegisterRequest { csr, tpm, payload, ..caller })
}

fn tpm_keys(tpm: &Value) -> Result<TpmKeys> {
    let text = |name: &str| match tpm.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(invalid(format!("tpm.{name} must be a text: the base64 of a TPM2B_PUBLIC."))),
    };
    let endorsement_key = text("endorsementKey")?.ok_or_else(|| invalid("'tpm' needs an endorsementKey."))?;
    Ok(TpmKeys { endorsement_key, storage_root_key: text("storageRootKey")? })
}

/// Who asks.
pub(crate) fn caller(request: &RegisterRequest) -> DeviceCaller<'_> {
    DeviceCaller {
        id_scope: &request.id_scope,
        registration_id: &request.registration_id,
        api_version: request.api_version.as_deref(),
        authorization: request.authorization.as_deref(),
        peer_chain: &request.peer_chain,
        peer: request.peer,
    }
}

fn parse(document: &[u8]) -> Result<Map<String, Value>> {
    if json_body::is_blank(document) {
        return Ok(Map::new());
    }
    match json_body::parse(document) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(invalid("The registration must be a JSON object.")),
        Err(fault) => Err(invalid(format!("The registration is not JSON: {fault}."))),
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::invalid(message).with_iot_code(400_004)
}

/// Status, seconds to wait and body of an answer: 202 while the device has to ask again, else 200.
pub(crate) fn answer(status: OperationStatus) -> (u16, Option<u32>, Value) {
    if status.status == RegistrationStatus::Assigning {
        return (202, Some(status.retry_after_seconds), status.body);
    }
    (200, None, status.body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn applicant() -> RegisterRequest {
        RegisterRequest { id_scope: "0ne1".into(), registration_id: "Sn-1".into(), ..RegisterRequest::default() }
    }

    #[test]
    fn bodies_of_the_sdks() {
        let of = |text: &str| request(text.as_bytes(), applicant());
        let python = of(r#"{"payload":null,"registrationId":"sn-1"}"#).unwrap();
        assert_eq!((python.csr, python.payload), (None, None));
        let full = of(r#"{"registrationId":"Sn-1","csr":"MII=","payload":{"a":[1]}}"#).unwrap();
        assert_eq!((full.csr.as_deref(), full.payload), (Some("MII="), Some(json!({"a": [1]}))));
        assert_eq!(of(" ").unwrap().payload, None);
        for bad in [
            "[]",
            "{",
            r#"{"registrationId":"other"}"#,
            r#"{"registrationId":7}"#,
            r#"{"csr":7}"#,
            r#"{"deviceId":"x"}"#,
        ] {
            assert_eq!(of(bad).unwrap_err().numeric_code(), 400_004, "{bad}");
        }
        let tpm = of(r#"{"tpm":{"endorsementKey":"x","storageRootKey":null}}"#).unwrap().tpm.unwrap();
        assert_eq!((tpm.endorsement_key.as_str(), tpm.storage_root_key), ("x", None));
        for bad in [r#"{"tpm":{}}"#, r#"{"tpm":7}"#, r#"{"tpm":{"endorsementKey":7}}"#] {
            assert_eq!(of(bad).unwrap_err().numeric_code(), 400_004, "{bad}");
        }
    }

    #[test]
    fn polling_goes_on_while_assigning() {
        let of = |status| {
            let (code, wait, _) =
                answer(OperationStatus { operation_id: "o".into(), status, retry_after_seconds: 3, body: Value::Null });
            (code, wait)
        };
        assert_eq!(of(RegistrationStatus::Assigning), (202, Some(3)));
        assert_eq!(of(RegistrationStatus::Assigned), (200, None));
        assert_eq!(of(RegistrationStatus::Failed), (200, None));
    }
}
