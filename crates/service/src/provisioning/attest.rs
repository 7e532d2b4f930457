//! Which enrollment lets a device in, and with what it proved that.
//!
//! An individual enrollment of the registration id decides alone; else the groups are looked through, by key
//! (`attest_key`) or by certificate (`attest_chain`). The first that fits decides, also when it is disabled.

use super::access::{shown, unauthorized};
use super::attest_tpm::TpmProof;
use super::enrollment::Enrollment;
use super::group_keys::DeviceKeys;
use super::register::DeviceCaller;
use super::{DpsRef, ProvisioningService};
use crate::authz::{Actor, DeviceProof};
use crate::hub::identity::Credentials;
use crate::tables::{ENROLLMENT_GROUPS, REGISTRATIONS};
use ferrohub_model::device_id::check_registration_id;
use ferrohub_model::enrollment::{
    Attestation, CertificateInfo, EnrollmentKind, EnrollmentSettings, ProvisioningStatus, X509Attestation,
};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::network::Target;
use ferrohub_model::registration::AttestedBy;
use ferrohub_store::Row;
use ferrohub_wire::sas_token::SasToken;
use std::sync::Arc;

/// A device that proved which enrollment it belongs to.
pub(super) struct Attested {
    /// The enrollment.
    pub(super) enrollment: Enrollment,
    /// Key of its row.
    pub(super) row_key: String,
    /// Version of its row.
    pub(super) row_version: u64,
    /// With what the device proved it.
    pub(super) proof: Proof,
    /// The device, proven.
    pub(super) actor: Actor,
}

/// With what a device proves that it belongs to an enrollment.
pub(super) enum Proof {
    /// A symmetric key; these are the device's own, with which it may go to its hub.
    Keys(DeviceKeys),
    /// A client certificate, and the CA certificate by which the enrollment knows it, if that is how it knows it.
    Certificate {
        /// The device's.
        own: Box<CertificateInfo>,
        /// The CA's.
        signer: Option<Box<CertificateInfo>>,
    },
    /// A TPM.
    Tpm(TpmProof),
}

impl Attested {
    pub(super) fn settings(&self) -> &EnrollmentSettings {
        self.enrollment.settings()
    }

    /// The device id that the enrollment names, if it does.
    pub(super) fn device_id(&self) -> Option<&str> {
        match &self.enrollment {
            Enrollment::Group(_) => None,
            Enrollment::Individual(individual) => individual.device_id.as_deref(),
        }
    }

    /// As the registration keeps it.
    pub(super) fn attested_by(&self) -> AttestedBy {
        match &self.proof {
            Proof::Keys(_) => AttestedBy::SymmetricKey,
            Proof::Certificate { own, signer } => AttestedBy::X509 { certificate: own.clone(), signer: signer.clone() },
            Proof::Tpm(_) => AttestedBy::Tpm,
        }
    }

    /// With what the device goes to its hub when no certificate is issued: what it came with.
    pub(super) fn hub_credentials(&self) -> Credentials {
        match (&self.proof, self.enrollment.attestation()) {
            (Proof::Keys(keys) | Proof::Tpm(TpmProof { keys, .. }), _) => {
                let (primary, secondary) = keys.to_base64();
                Credentials::Keys { primary: Some(primary.to_string()), secondary: Some(secondary.to_string()) }
            }
            (Proof::Certificate { .. }, Attestation::X509(X509Attestation::ClientCertificates(pair))) => {
                let [primary, secondary] = [&pair.primary, &pair.secondary]
                    .map(|given| given.as_ref().map(|given| given.info.sha256_thumbprint.clone()));
                Credentials::Thumbprints { primary, secondary }
            }
            (Proof::Certificate { .. }, _) => Credentials::CertificateAuthority,
        }
    }
}

impl ProvisioningService {
    /// Finds the enrollment that lets the caller in.
    ///
    /// # Errors
    /// `Unauthenticated` (401002) where the service does not let its address in, where there is none, the token is malformed or expired, the
    /// certificate is not good, or the enrollment is disabled; `Invalid` (400004) for a malformed registration id.
    pub(super) async fn attest(&self, dps: &DpsRef, caller: &DeviceCaller<'_>) -> Result<Attested> {
        dps.let_in(caller.peer, Target::DeviceApi)?;
        check_registration_id(caller.registration_id)?;
        let token = parse_token(caller)?;
        if token.is_none() && caller.peer_chain.is_empty() {
            return Err(unauthorized(
                "The request has no Authorization and no client certificate; send a SharedAccessSignature signed with the device key (skn=registration), or present a certificate.",
            ));
        }
        let individual = self.enrollment_row(EnrollmentKind::Individual, dps, caller.registration_id).await?;
        let attested = match (individual, &token) {
            (Some(row), _) => self.by_individual(dps, &row, caller, token.as_ref()).await?,
            (None, Some(token)) => self.by_group_key(dps, caller.registration_id, token).await?,
            (None, None) => self.by_group_chain(dps, caller).await?,
        };
        admitted(dps, attested)
    }

    async fn by_individual(
        &self,
        dps: &DpsRef,
        row: &Row,
        caller: &DeviceCaller<'_>,
        token: Option<&SasToken>,
    ) -> Result<Attested> {
        let enrollment = Enrollment::of_row(EnrollmentKind::Individual, row)?;
        let proof = match (enrollment.attestation(), token) {
            (Attestation::SymmetricKey(keys), Some(token)) => {
                Proof::Keys(self.by_own_key(dps, row, keys, caller.registration_id, token).await?)
            }
            (Attestation::X509(x509), _) if !caller.peer_chain.is_empty() => {
                self.by_own_chain(dps, x509, caller).await?
            }
            (Attestation::Tpm(_), Some(token)) => {
                let Enrollment::Individual(individual) = &enrollment else {
                    return Err(Error::internal("a group is enrolled with a TPM"));
                };
                Proof::Tpm(self.by_tpm(dps, row, individual, caller, token).await?)
            }
            (Attestation::Tpm(_), None) => return Err(no_key(dps, caller.registration_id)),
            (Attestation::SymmetricKey(_), None) => return Err(no_certificate(dps, caller.registration_id)),
            (Attestation::X509(_), _) => return Err(no_key(dps, caller.registration_id)),
        };
        Ok(attested(dps, enrollment, row, caller.registration_id, proof))
    }

    /// The group through which the device registered last, if it was one.
    pub(super) async fn home_group(&self, dps: &DpsRef, registration_id: &str) -> Result<Option<Arc<Row>>> {
        let store = self.platform.store.as_ref();
        let Some(registration) = store.get(&REGISTRATIONS, &dps.row_key(registration_id)).await? else {
            return Ok(None);
        };
        match registration.columns.first().cloned().flatten() {
            Some(key) => Ok(store.get(&ENROLLMENT_GROUPS, &key).await?),
            None => Ok(None),
        }
    }
}

/// The device of an enrollment whose row this is, let in by `proof`.
pub(super) fn attested(
    dps: &DpsRef,
    enrollment: Enrollment,
    row: &Row,
    registration_id: &str,
    proof: Proof,
) -> Attested {
    let actor = Actor::device(DeviceProof { home: dps.uid, id: registration_id.to_owned() });
    Attested { enrollment, row_key: row.key.clone(), row_version: row.version, proof, actor }
}

/// The refusal of a key, the same whatever there is: which enrollments there are is not for strangers.
pub(super) fn no_key(dps: &DpsRef, registration_id: &str) -> Error {
    unauthorized(format!(
        "No enrollment group of the provisioning service '{0}' has a key from which the device key of '{1}' was derived, and no individual enrollment has that key. The key of an individual enrollment is used as it is; derive that of a group's device: az iot dps enrollment-group compute-device-key --dps-name {0} --enrollment-id '<group>' --registration-id {1}",
        dps.name, registration_id
    ))
}

/// The refusal of a certificate, the same whatever there is.
pub(super) fn no_certificate(dps: &DpsRef, registration_id: &str) -> Error {
    unauthorized(format!(
        "No enrollment of the provisioning service '{}' knows the client certificate of '{registration_id}' or a certificate authority above it. An individual enrollment names the certificate itself, a group a certificate authority; present all certificates between it and the device's.",
        dps.name
    ))
}

/// The token, where there is one; it must name exactly this registration.
fn parse_token(caller: &DeviceCaller<'_>) -> Result<Option<SasToken>> {
    let Some(header) = caller.authorization.filter(|header| !header.trim().is_empty()) else { return Ok(None) };
    let token = SasToken::parse(header).map_err(|e| e.with_iot_code(401_002))?;
    let mut segments = token.resource.trim_matches('/').split('/');
    let names_it = segments.next().is_some_and(|scope| scope.eq_ignore_ascii_case(caller.id_scope))
        && segments.next().is_some_and(|word| word.eq_ignore_ascii_case("registrations"))
        && segments.next().is_some_and(|id| id.eq_ignore_ascii_case(caller.registration_id))
        && segments.next().is_none();
    if !names_it {
        return Err(unauthorized(format!(
            "The SAS token is for '{}', not for '{}/registrations/{}'.",
            shown(&token.resource),
            caller.id_scope,
            caller.registration_id
        )));
    }
    if token.policy.as_deref().is_some_and(|name| !name.eq_ignore_ascii_case("registration")) {
        return Err(unauthorized("The SAS token of a registration has skn=registration."));
    }
    Ok(Some(token))
}

fn admitted(dps: &DpsRef, attested: Attested) -> Result<Attested> {
    check_enabled(dps, &attested.enrollment).map(|()| attested)
}

/// Refuses an enrollment that is disabled.
pub(super) fn check_enabled(dps: &DpsRef, enrollment: &Enrollment) -> Result<()> {
    match enrollment.settings().provisioning_status {
        ProvisioningStatus::Enabled => Ok(()),
        ProvisioningStatus::Disabled => {
            let kind = enrollment.kind();
            let command = match kind {
                EnrollmentKind::Group => "enrollment-group",
                EnrollmentKind::Individual => "enrollment",
            };
            Err(unauthorized(format!(
                "The {0} '{1}' is disabled; enable it: az iot dps {command} update --dps-name '{2}' --enrollment-id '{1}' --provisioning-status enabled",
                kind.word(),
                enrollment.id(),
                dps.name
            )))
        }
    }
}
