//! Modules of devices: their ids, IoT Hub's JSON view of them, and the body of a PUT.

use super::put::{authentication, only, text};
use super::{AuthenticationPut, DeviceIdentity, DeviceLive, argument_invalid, or_never};
use crate::error::{Error, Result};
use crate::limits::{DEVICE_ID_CHARS, MANAGED_BY_CHARS};
use serde_json::{Value, json};

/// Members of a module that the hub writes. Clients send back what they read, so these are taken and say nothing.
const READ_ONLY: &[&str] = &[
    "moduleId",
    "deviceId",
    "generationId",
    "etag",
    "connectionState",
    "connectionStateUpdatedTime",
    "lastActivityTime",
    "cloudToDeviceMessageCount",
];
/// Members that a client writes.
const WRITTEN: &[&str] = &["managedBy", "authentication"];

/// Checks a module id: as a device id, and `~` besides (IoT Hub docs). Case matters.
///
/// # Errors
/// `ArgumentInvalid` (400004) naming the rule.
pub fn check_module_id(id: &str) -> Result<()> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-.%_*?!(),:=@$'~".contains(c);
    if id.is_empty() || id.len() > DEVICE_ID_CHARS || !id.chars().all(legal) {
        return Err(argument_invalid(format!(
            "The module id '{}' is not valid: 1 to 128 ASCII letters, digits and -.%_*?!(),:=@$'~ are allowed.",
            id.chars().filter(|c| !c.is_control()).take(DEVICE_ID_CHARS).collect::<String>()
        )));
    }
    Ok(())
}

/// What a client asks for with a PUT of a module. `None` is "not given": create takes the default, update keeps what is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModulePut {
    /// New credentials.
    pub authentication: Option<AuthenticationPut>,
    /// Who manages it; an inner `None` clears it.
    pub managed_by: Option<Option<String>>,
}

impl ModulePut {
    /// Reads the body of `PUT /devices/{device_id}/modules/{module_id}`.
    ///
    /// # Errors
    /// `ArgumentInvalid` (400004) naming the member and the rule.
    pub fn parse(device_id: &str, module_id: &str, body: &Value) -> Result<Self> {
        check_module_id(module_id)?;
        let Some(body) = body.as_object() else {
            return Err(argument_invalid("The body of a module is a JSON object."));
        };
        only(body, "", &[READ_ONLY, WRITTEN])?;
        for (member, of_path) in [("deviceId", device_id), ("moduleId", module_id)] {
            if text(body, member)?.is_some_and(|given| given != of_path) {
                return Err(argument_invalid(format!(
                    "The member '{member}' of the body is not the '{of_path}' of the path; make them equal or leave it out."
                )));
            }
        }
        let managed_by = match text(body, "managedBy")? {
            Some(long) if long.chars().count() > MANAGED_BY_CHARS => {
                return Err(argument_invalid(format!(
                    "The member 'managedBy' is longer than {MANAGED_BY_CHARS} characters."
                )));
            }
            managed_by => managed_by.map(str::to_owned).filter(|text| !text.is_empty()),
        };
        Ok(Self {
            authentication: body.get("authentication").map_or(Ok(None), authentication)?,
            managed_by: body.contains_key("managedBy").then_some(managed_by),
        })
    }
}

impl DeviceIdentity {
    /// The `Module` document of IoT Hub's service API.
    pub fn module_view(&self, live: &DeviceLive) -> Value {
        let (primary, secondary) = live.keys.clone().unzip();
        json!({
            "moduleId": self.module_id,
            "managedBy": self.managed_by,
            "deviceId": self.device_id,
            "generationId": self.generation_id,
            "etag": self.etag,
            "connectionState": live.connection.state(),
            "connectionStateUpdatedTime": or_never(live.connection.updated.as_deref()),
            "lastActivityTime": or_never(live.connection.last_activity.as_deref()),
            "cloudToDeviceMessageCount": 0,
            "authentication": {
                "type": self.authentication.kind.as_str(),
                "symmetricKey": {"primaryKey": primary, "secondaryKey": secondary},
                "x509Thumbprint": self.thumbprints(),
            },
        })
    }
}

/// The refusal of a module that the device does not have: `ModuleNotFound` (404010).
pub fn module_not_found(device_id: &str, module_id: &str) -> Error {
    Error::not_found(format!("The device '{device_id}' has no module '{module_id}'; check its case, or create it."))
        .with_code("ModuleNotFound")
        .with_iot_code(404_010)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_reads_what_clients_send() {
        // azure-iothub for Node, and the CLI.
        let sent = json!({"moduleId": "m", "deviceId": "d", "managedBy": "me", "authentication": {"type": "sas", "symmetricKey": {}}});
        let put = ModulePut::parse("d", "m", &sent).unwrap();
        assert_eq!(put.managed_by, Some(Some("me".into())));
        assert_eq!(put.authentication, Some(AuthenticationPut::Sas { primary: None, secondary: None }));
        let cleared = ModulePut::parse("d", "m", &json!({"managedBy": null})).unwrap();
        assert_eq!((cleared.managed_by, cleared.authentication), (Some(None), None));
        assert_eq!(ModulePut::parse("d", "m", &json!({})).unwrap(), ModulePut::default());
    }

    #[test]
    fn faults_name_the_member() {
        let long = "x".repeat(MANAGED_BY_CHARS + 1);
        for (body, word) in [
            (json!([]), "JSON object"),
            (json!({"deviceId": "D"}), "'deviceId'"),
            (json!({"moduleId": "other"}), "'moduleId'"),
            (json!({"status": "disabled"}), "status"),
            (json!({"managedBy": 1}), "'managedBy'"),
            (json!({ "managedBy": long }), "'managedBy'"),
            (json!({"authentication": {"type": "x"}}), "authentication.type"),
        ] {
            let error = ModulePut::parse("d", "m", &body).unwrap_err();
            assert_eq!(error.numeric_code(), 400_004);
            assert!(error.message.contains(word), "{body}: {}", error.message);
        }
        for id in ["", "a/b", "a b", "é", &"m".repeat(129)] {
            assert!(check_module_id(id).is_err(), "{id}");
        }
        assert!(check_module_id("$edgeAgent~1").is_ok());
    }
}
