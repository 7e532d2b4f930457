//! Registrations of devices at a provisioning service, and the operations that made them.

use crate::api_version::ApiVersion;
use crate::enrollment::{CertificateInfo, EnrollmentKind};
use crate::limits::REGISTRATION_OPERATIONS;
use crate::time::rfc3339;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// Day of the first api-version whose devices are told which MQTT their hub speaks, `2026-11-02-preview`.
const PROFILE_SINCE: &str = "2026-11-02";

/// State of a registration or of one of its operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RegistrationStatus {
    /// Accepted; the result comes with the next poll.
    Assigning,
    /// The device has a hub.
    Assigned,
    /// It could not be done; the error says why.
    Failed,
    /// The enrollment is disabled.
    Disabled,
}

impl RegistrationStatus {
    /// The word of the protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Assigning => "assigning",
            Self::Assigned => "assigned",
            Self::Failed => "failed",
            Self::Disabled => "disabled",
        }
    }
}

/// How a device came to its hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Substatus {
    /// For the first time.
    InitialAssignment,
    /// Again, its twin kept.
    DeviceDataMigrated,
    /// Again, its twin reset to the initial one.
    DeviceDataReset,
    /// At a hub that had the device before the provisioning service knew of it.
    ReprovisionedToInitialAssignment,
}

/// Why an operation failed, as the device reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationFailure {
    /// Numeric code; the first three digits are an HTTP status.
    pub code: u32,
    /// Text for a person.
    pub message: String,
}

/// The hub and identity that a device was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assignment {
    /// Host name of the hub.
    pub hub_host: String,
    /// Uid of the hub.
    pub hub: Uuid,
    /// Device id at the hub.
    pub device_id: String,
    /// Uid of the device identity.
    pub device: Uuid,
    /// How it came to it.
    pub substatus: Substatus,
    /// What the webhook of custom allocation tells the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
}

/// The enrollment that a registration belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EnrolledBy {
    /// The group with this id.
    Group(String),
    /// The individual enrollment with this registration id.
    Individual(String),
}

impl EnrolledBy {
    /// Of which kind it is.
    pub fn kind(&self) -> EnrollmentKind {
        match self {
            Self::Group(_) => EnrollmentKind::Group,
            Self::Individual(_) => EnrollmentKind::Individual,
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        match self {
            Self::Group(id) | Self::Individual(id) => id,
        }
    }

    /// The id, where it is a group's.
    pub fn group(&self) -> Option<&str> {
        match self {
            Self::Group(id) => Some(id),
            Self::Individual(_) => None,
        }
    }
}

/// With what a device proved that it belongs to its enrollment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AttestedBy {
    /// A symmetric key.
    #[default]
    SymmetricKey,
    /// A client certificate.
    X509 {
        /// The device's own.
        certificate: Box<CertificateInfo>,
        /// That of the CA by which its enrollment knows it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signer: Option<Box<CertificateInfo>>,
    },
    /// A TPM.
    Tpm,
}

impl AttestedBy {
    fn is_key(&self) -> bool {
        *self == Self::SymmetricKey
    }

    /// The same for somebody who decides about the device.
    pub fn shown(&self) -> (&'static str, Value) {
        self.view(None).unwrap_or(("tpm", json!({})))
    }

    /// The member of a registration's state that tells it, and its value; `group` is the group's id, where it is one.
    fn view(&self, group: Option<&str>) -> Option<(&'static str, Value)> {
        let (name, mut value) = match self {
            Self::SymmetricKey => ("symmetricKey", json!({})),
            Self::X509 { certificate, signer } => {
                let mut view = json!({"certificateInfo": certificate.view()});
                if let Some(signer) = signer {
                    view["signingCertificateInfo"] = signer.view();
                }
                ("x509", view)
            }
            Self::Tpm => return None,
        };
        if let Some(group) = group {
            value["enrollmentGroupId"] = json!(group);
        }
        Some((name, value))
    }
}

/// One register request and its result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationOperation {
    /// Operation id.
    pub id: String,
    /// Result: assigned, failed or disabled.
    pub status: RegistrationStatus,
    /// The assignment, where it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignment: Option<Assignment>,
    /// The failure, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<RegistrationFailure>,
    /// The certificate that was issued, base64 DER; empty where none was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
    /// Ids of the authorities whose certificates go behind it, its issuer first. Theirs are the same for every device and
    /// are not repeated here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<Uuid>,
    /// The device's key for its hub, sealed to its TPM, base64; where it attested by TPM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpm_key: Option<String>,
    /// When it ended.
    pub ended: Timestamp,
}

/// A registration as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// Registration id with the case it was first made with.
    pub id: String,
    /// The enrollment that let the device in last. In a row: `group` or `individual`.
    #[serde(flatten)]
    pub enrollment: EnrolledBy,
    /// How the device proved itself then.
    #[serde(default, skip_serializing_if = "AttestedBy::is_key")]
    pub attested: AttestedBy,
    /// State after the newest operation.
    pub status: RegistrationStatus,
    /// The assignment that stands; kept when a later operation fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignment: Option<Assignment>,
    /// Failure of the newest operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<RegistrationFailure>,
    /// When it was first made.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
    /// Entity tag: base64 of a quoted GUID.
    pub etag: String,
    /// The newest operations, newest first, at most [`REGISTRATION_OPERATIONS`].
    #[serde(default)]
    pub operations: Vec<RegistrationOperation>,
}

impl Registration {
    /// Puts `operation` in front and takes its result over.
    pub fn record(&mut self, operation: RegistrationOperation, etag: String) {
        self.status = operation.status;
        self.failure.clone_from(&operation.failure);
        if operation.assignment.is_some() {
            self.assignment.clone_from(&operation.assignment);
        }
        self.updated = operation.ended;
        self.etag = etag;
        self.operations.insert(0, operation);
        self.operations.truncate(REGISTRATION_OPERATIONS);
    }

    /// An operation of this registration.
    pub fn operation(&self, id: &str) -> Option<&RegistrationOperation> {
        self.operations.iter().find(|operation| operation.id == id)
    }

    /// `DeviceRegistrationState` as the service API shows it: never with certificates.
    pub fn view(&self) -> Value {
        let mut view = self.base(self.status, self.assignment.as_ref(), self.failure.as_ref(), self.updated);
        view["etag"] = json!(self.etag);
        view
    }

    /// `DeviceRegistrationResult` as the device's look-up shows it: how it proved itself, and no certificates. `version` is the api-version
    /// that the device asks at; without one the newest is meant.
    pub fn own_view(&self, version: Option<&str>) -> Value {
        let mut view = self.view();
        self.show_attestation(&mut view);
        show_profile(&mut view, version);
        view
    }

    fn show_attestation(&self, view: &mut Value) {
        if let Some((name, value)) = self.attested.view(self.enrollment.group()) {
            view[name] = value;
        }
    }

    /// `RegistrationOperationStatus` of one operation, with the certificate that it issued and, behind it, `authorities`:
    /// those of its authorities, base64 DER. The chain is left out when they are not all there. `version` as for
    /// [`Registration::own_view`].
    pub fn operation_view(
        &self,
        operation: &RegistrationOperation,
        authorities: Vec<String>,
        version: Option<&str>,
    ) -> Value {
        let mut state =
            self.base(operation.status, operation.assignment.as_ref(), operation.failure.as_ref(), operation.ended);
        self.show_attestation(&mut state);
        show_profile(&mut state, version);
        state["etag"] = json!(self.etag);
        if let Some(key) = &operation.tpm_key {
            state["tpm"] = json!({"authenticationKey": key});
        }
        if !operation.chain.is_empty() && authorities.len() == operation.authorities.len() {
            let chain = operation.chain.iter().cloned().chain(authorities);
            state["issuedCertificateChain"] = chain.map(Value::String).collect();
        }
        let mut view = json!({"operationId": operation.id, "status": operation.status.as_str()});
        view["registrationState"] = state;
        view
    }

    fn base(
        &self,
        status: RegistrationStatus,
        assignment: Option<&Assignment>,
        failure: Option<&RegistrationFailure>,
        updated: Timestamp,
    ) -> Value {
        let mut view = json!({
            "registrationId": self.id,
            "createdDateTimeUtc": rfc3339(self.created),
            "status": status.as_str(),
            "lastUpdatedDateTimeUtc": rfc3339(updated),
        });
        if let Some(assignment) = assignment {
            view["assignedHub"] = json!(assignment.hub_host);
            view["deviceId"] = json!(assignment.device_id);
            view["substatus"] = json!(assignment.substatus);
            if let Some(payload) = &assignment.payload {
                view["payload"] = payload.clone();
            }
        }
        if let Some(failure) = failure {
            view["errorCode"] = json!(failure.code);
            view["errorMessage"] = json!(failure.message);
        }
        view
    }
}

/// Says which MQTT the assigned hub speaks: every hub here the one of all SDKs, 3.1.1 (reference: certificates.md 2.2).
fn show_profile(state: &mut Value, version: Option<&str>) {
    let knows = version.is_none_or(|it| ApiVersion::parse(it).is_ok_and(|version| version.date() >= PROFILE_SINCE));
    if knows && state.get("assignedHub").is_some() {
        state["connectionProfile"] = json!("classic");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(id: &str, status: RegistrationStatus) -> RegistrationOperation {
        let assigned = status == RegistrationStatus::Assigned;
        RegistrationOperation {
            id: id.into(),
            status,
            assignment: assigned.then(|| Assignment {
                hub_host: "h.azure-devices.localhost".into(),
                hub: Uuid::from_u128(1),
                device_id: "d1".into(),
                device: Uuid::from_u128(2),
                substatus: Substatus::InitialAssignment,
                payload: None,
            }),
            failure: (!assigned).then(|| RegistrationFailure { code: 403_000, message: "no".into() }),
            chain: if assigned { vec!["TEVBRg==".into()] } else { Vec::new() },
            authorities: if assigned { vec![Uuid::from_u128(3)] } else { Vec::new() },
            tpm_key: None,
            ended: Timestamp::from_second(1).unwrap(),
        }
    }

    fn registration() -> Registration {
        let at = Timestamp::from_second(0).unwrap();
        Registration {
            id: "d1".into(),
            enrollment: EnrolledBy::Group("g1".into()),
            attested: AttestedBy::SymmetricKey,
            status: RegistrationStatus::Assigning,
            assignment: None,
            failure: None,
            created: at,
            updated: at,
            etag: String::new(),
            operations: Vec::new(),
        }
    }

    #[test]
    fn a_failure_keeps_the_assignment_and_its_own_result() {
        let mut registration = registration();
        registration.record(operation("1", RegistrationStatus::Assigned), "a".into());
        registration.record(operation("2", RegistrationStatus::Failed), "b".into());
        let view = registration.view();
        assert_eq!((view["status"].as_str(), view["errorCode"].as_u64()), (Some("failed"), Some(403_000)));
        assert_eq!(view["assignedHub"], "h.azure-devices.localhost");
        let shown = |id: &str, authorities: &[&str]| {
            let authorities = authorities.iter().map(|&text| text.to_owned()).collect();
            let version = Some("2025-07-01-preview");
            registration.operation_view(registration.operation(id).unwrap(), authorities, version)["registrationState"]
                .take()
        };
        let first = shown("1", &["Q0E="]);
        assert_eq!(first["substatus"], "initialAssignment");
        assert_eq!(first["issuedCertificateChain"], json!(["TEVBRg==", "Q0E="]));
        assert!(shown("1", &[]).get("issuedCertificateChain").is_none(), "half a chain is none");
        assert!(shown("2", &[]).get("assignedHub").is_none());
    }

    #[test]
    fn newer_devices_are_told_which_mqtt_their_hub_speaks() {
        let mut registration = registration();
        assert!(registration.own_view(None).get("connectionProfile").is_none(), "it has no hub yet");
        registration.record(operation("1", RegistrationStatus::Assigned), "a".into());
        let known = registration.operation("1").unwrap();
        for (version, wanted) in [
            (Some("2025-07-01-preview"), None),
            (Some("2021-06-01"), None),
            (Some("2026-11-02-PREVIEW"), Some("classic")),
            (None, Some("classic")),
        ] {
            let state = registration.operation_view(known, Vec::new(), version)["registrationState"].take();
            assert_eq!(state["connectionProfile"].as_str(), wanted, "{version:?}");
            assert_eq!(registration.own_view(version)["connectionProfile"].as_str(), wanted, "{version:?}");
        }
        assert!(registration.view().get("connectionProfile").is_none(), "it is for devices");
    }

    #[test]
    fn rows_of_the_first_registrations_are_read() {
        let mut stored = serde_json::to_value(registration()).unwrap();
        assert_eq!(stored["group"], "g1", "as it ever was");
        assert_eq!(stored.as_object_mut().unwrap().remove("attested"), None);
        assert_eq!(serde_json::from_value::<Registration>(stored).unwrap(), registration());
    }

    #[test]
    fn a_state_tells_how_the_device_proved_itself() {
        let at = Timestamp::from_second(0).unwrap();
        let info = |name: &str| {
            Box::new(CertificateInfo {
                subject_name: format!("CN={name}"),
                sha1_thumbprint: "A1".into(),
                sha256_thumbprint: "A256".into(),
                issuer_name: "CN=ca".into(),
                not_before: at,
                not_after: at,
                serial_number: "01".into(),
                version: 3,
            })
        };
        let mut registration = registration();
        assert_eq!(registration.own_view(None)["symmetricKey"], json!({"enrollmentGroupId": "g1"}));
        registration.attested = AttestedBy::X509 { certificate: info("d1"), signer: Some(info("ca")) };
        let x509 = registration.own_view(None)["x509"].take();
        assert_eq!(
            (&x509["enrollmentGroupId"], &x509["certificateInfo"]["subjectName"]),
            (&json!("g1"), &json!("CN=d1"))
        );
        assert_eq!(x509["signingCertificateInfo"]["sha256Thumbprint"], "A256");
        registration.enrollment = EnrolledBy::Individual("d1".into());
        assert!(registration.own_view(None)["x509"].get("enrollmentGroupId").is_none());
        let stored = serde_json::to_value(&registration).unwrap();
        assert_eq!(serde_json::from_value::<Registration>(stored).unwrap(), registration);
    }

    #[test]
    fn a_look_up_never_shows_certificates_and_old_operations_go() {
        let mut registration = registration();
        for number in 0..=REGISTRATION_OPERATIONS {
            registration.record(operation(&number.to_string(), RegistrationStatus::Assigned), "e".into());
        }
        assert!(!registration.view().to_string().contains("TEVBRg"));
        assert!(registration.operation("0").is_none());
        assert_eq!(registration.operations.len(), REGISTRATION_OPERATIONS);
        let doc = serde_json::to_value(&registration).unwrap();
        assert_eq!(serde_json::from_value::<Registration>(doc).unwrap(), registration);
    }
}
