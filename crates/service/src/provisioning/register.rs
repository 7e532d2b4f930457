//! The device API: register, poll, look up.

use super::access::{shown, unauthorized};
use super::assign::Assigned;
use super::attest::{Attested, Proof};
use super::attest_tpm::Tpm;
use super::enrollment::table;
use super::enrollments::contended;
use super::registrations::{from_row, missing, put};
use super::webhook::Answer;
use super::{DpsRef, ProvisioningService};
use crate::allowance;
use crate::authz::Actor;
use crate::certificate::{certificates_of, check_common_name};
use crate::platform::Change;
use crate::tables::{ENROLLMENT_GROUPS, INDIVIDUAL_ENROLLMENTS, REGISTRATIONS};
use ferrohub_model::api_version::ApiVersion;
use ferrohub_model::enrollment::{AllocationPolicy, EnrollmentKind, TpmKeys};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::limits::{CSR_BASE64_BYTES, REGISTRATION_PERIOD};
use ferrohub_model::network::Peer;
use ferrohub_model::registration::{Registration, RegistrationFailure, RegistrationOperation, RegistrationStatus};
use ferrohub_pki::csr::CertificateRequest;
use ferrohub_store::Row;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// First api-version that honours `csr` (reference: iot-hub-and-dps.md A.1).
const CSR_SINCE: &str = "2025-07-01-preview";

/// A device that asks, and what it proves itself with.
#[derive(Debug, Clone, Copy)]
pub struct DeviceCaller<'a> {
    /// Id scope as sent.
    pub id_scope: &'a str,
    /// Registration id as sent.
    pub registration_id: &'a str,
    /// `api-version`; without one the newest is meant.
    pub api_version: Option<&'a str>,
    /// `SharedAccessSignature …`, from the header or the MQTT password.
    pub authorization: Option<&'a str>,
    /// Certificates that the TLS peer presented and holds the key of, leaf first, DER.
    pub peer_chain: &'a [Vec<u8>],
    /// From where it comes.
    pub peer: Peer,
}

/// A register request, from whichever protocol.
#[derive(Debug, Clone, Default)]
pub struct RegisterRequest {
    /// Id scope as sent.
    pub id_scope: String,
    /// Registration id as sent.
    pub registration_id: String,
    /// `api-version`; without one the newest is meant.
    pub api_version: Option<String>,
    /// `SharedAccessSignature …`.
    pub authorization: Option<String>,
    /// Certificates that the TLS peer presented, leaf first, DER.
    pub peer_chain: Vec<Vec<u8>>,
    /// From where it comes.
    pub peer: Peer,
    /// `csr` of the body: base64 of a DER PKCS#10 request.
    pub csr: Option<String>,
    /// `tpm` of the body.
    pub tpm: Option<TpmKeys>,
    /// `payload` of the body: for the webhook of custom allocation.
    pub payload: Option<Value>,
}

/// A device whose registration is decided.
pub(super) struct Applicant<'a> {
    /// Registration id as sent.
    pub(super) id: &'a str,
    /// Its verified request for a certificate.
    pub(super) csr: Option<&'a CertificateRequest>,
    /// What a webhook decided, where one was asked.
    pub(super) answer: Option<&'a Result<Answer>>,
    /// Its TPM, where it proved one.
    pub(super) tpm: Option<&'a Tpm>,
    /// Whether no hub and no namespace is asked if it knows the device: the unit expects that none does.
    pub(super) presumed_new: bool,
}

/// State of an operation, and `RegistrationOperationStatus` as the device reads it.
#[derive(Debug, Clone)]
pub struct OperationStatus {
    /// Operation id.
    pub operation_id: String,
    /// State: `assigning` is answered with 202, anything else with 200.
    pub status: RegistrationStatus,
    /// Seconds after which a poll makes sense.
    pub retry_after_seconds: u32,
    /// The JSON answer.
    pub body: Value,
}

impl RegisterRequest {
    pub(super) fn caller(&self) -> DeviceCaller<'_> {
        DeviceCaller {
            id_scope: &self.id_scope,
            registration_id: &self.registration_id,
            api_version: self.api_version.as_deref(),
            authorization: self.authorization.as_deref(),
            peer_chain: &self.peer_chain,
            peer: self.peer,
        }
    }

    /// The verified certificate request, where there is one and the api-version knows of it.
    fn certificate_request(&self) -> Result<Option<CertificateRequest>> {
        let Some(text) = &self.csr else { return Ok(None) };
        if let Some(version) = &self.api_version {
            let too_old =
                ApiVersion::parse(version).map_err(|e| e.with_iot_code(400_004))? < ApiVersion::parse(CSR_SINCE)?;
            if too_old {
                return Ok(None);
            }
        }
        let csr = CertificateRequest::from_base64(text, CSR_BASE64_BYTES)?;
        check_common_name(&csr, &self.registration_id)?;
        Ok(Some(csr))
    }
}

impl ProvisioningService {
    /// Registers a device. When this returns, the result is stored and durable, whether it is an assignment or a failure
    /// of the registration; the answer is `assigning`, and the poll shows the result.
    ///
    /// # Errors
    /// Nothing is stored for: an unknown id scope (404201), a refused token (401002), a malformed registration id or
    /// request (400004), a certificate request that does not verify or names another device (400037), a registration that
    /// belongs to another enrollment group (409201), a device that registers too often (429001, with the time to wait), and faults
    /// of ours (5xx).
    pub async fn register(&self, request: RegisterRequest) -> Result<OperationStatus> {
        let caller = request.caller();
        let mut dps = self.dps_by_scope(&request.id_scope).await?;
        let mut attested = self.attest(&dps, &caller).await?;
        let csr = request.certificate_request()?;
        self.allow(&dps, &request.registration_id)?;
        let mut answer = self.ask(&dps, &attested, &request).await?;
        // What keeps equal ids apart for certain are the unit's expectations.
        let _turn = self.registering.turn(&dps.row_key(&request.registration_id)).await;
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(|| contended(&request.registration_id)).await?;
            if attempts.again() {
                dps = self.dps_by_scope(&request.id_scope).await?;
                let former = attested.row_version;
                attested = self.attest(&dps, &caller).await?;
                if attested.row_version != former {
                    answer = self.ask(&dps, &attested, &request).await?;
                }
            }
            let existing = self.registration_row(&dps, &request.registration_id).await?;
            self.authorize_device(&dps, existing.as_deref(), &attested).await?;
            // A device without a registration is nearly always new everywhere. The unit expects that, so where it is not,
            // the commit meets a conflict and the next attempt looks.
            let presumed_new = existing.is_none() && !attempts.again();
            let tpm = attested.tpm(&dps, &request)?;
            let applicant = Applicant {
                id: &request.registration_id,
                csr: csr.as_ref(),
                tpm: tpm.as_ref(),
                answer: answer.as_ref(),
                presumed_new,
            };
            let (registration, change) = self.try_register(&dps, &attested, &applicant, existing.as_deref()).await?;
            if self.platform.try_commit(change).await? {
                count(&registration);
                return Ok(self.accepted(&registration));
            }
        }
    }

    /// A device may not register in a loop: each time is a certificate.
    fn allow(&self, dps: &DpsRef, registration: &str) -> Result<()> {
        let now = self.platform.clock.monotonic();
        self.platform
            .registrations
            .try_take(dps.row_key(registration), REGISTRATION_PERIOD, now)
            .map_err(|wait| allowance::too_much(&format!("The device '{registration}' registers too often"), wait))
    }

    /// The state of an operation that [`ProvisioningService::register`] returned. The newest
    /// [`ferrohub_model::limits::REGISTRATION_OPERATIONS`] operations of a registration are known.
    ///
    /// # Errors
    /// As for registering; `NotFound` (404202) for an unknown registration or operation.
    pub async fn operation_status(&self, caller: DeviceCaller<'_>, operation_id: &str) -> Result<OperationStatus> {
        let (dps, registration) = self.own_registration(caller).await?;
        let operation = registration.operation(operation_id).ok_or_else(|| {
            Error::not_found(format!(
                "The registration '{}' of '{}' has no operation '{}'; register again.",
                caller.registration_id,
                dps.name,
                shown(operation_id)
            ))
            .with_iot_code(404_202)
        })?;
        let authorities = certificates_of(&self.platform, &operation.authorities).await?;
        Ok(OperationStatus {
            operation_id: operation.id.clone(),
            status: operation.status,
            retry_after_seconds: self.retry_after_seconds,
            body: registration.operation_view(operation, authorities, caller.api_version),
        })
    }

    /// `DeviceRegistrationResult` of the caller, without certificates. `has_csr` says whether the body carried a `csr`.
    ///
    /// # Errors
    /// As for registering; `Invalid` (400004) for a `csr`; `NotFound` (404202) for an unknown registration.
    pub async fn registration_lookup(&self, caller: DeviceCaller<'_>, has_csr: bool) -> Result<Value> {
        if has_csr {
            return Err(
                Error::invalid("A look-up takes no 'csr'; send it with the register request.").with_iot_code(400_004)
            );
        }
        let (_, registration) = self.own_registration(caller).await?;
        Ok(registration.own_view(caller.api_version))
    }

    /// The device that asks, attested by the head of its request.
    ///
    /// # Errors
    /// As for registering.
    pub async fn authenticate_device(&self, caller: DeviceCaller<'_>) -> Result<Actor> {
        let dps = self.dps_by_scope(caller.id_scope).await?;
        Ok(self.attest(&dps, &caller).await?.actor)
    }

    /// The device that opens an MQTT connection, attested by its credentials. A TPM is challenged over HTTPS only
    /// (reference: iot-hub-and-dps.md A.6).
    ///
    /// # Errors
    /// As for registering; 401002 for a device that is enrolled with a TPM.
    pub async fn authenticate_connection(&self, caller: DeviceCaller<'_>) -> Result<Actor> {
        let dps = self.dps_by_scope(caller.id_scope).await?;
        let attested = self.attest(&dps, &caller).await?;
        match attested.proof {
            Proof::Tpm(_) => {
                Err(unauthorized("A device that is enrolled with a TPM registers over HTTPS, not over MQTT."))
            }
            Proof::Keys(_) | Proof::Certificate { .. } => Ok(attested.actor),
        }
    }

    async fn own_registration(&self, caller: DeviceCaller<'_>) -> Result<(DpsRef, Arc<Registration>)> {
        let dps = self.dps_by_scope(caller.id_scope).await?;
        let attested = self.attest(&dps, &caller).await?;
        let row = self
            .registration_row(&dps, caller.registration_id)
            .await?
            .ok_or_else(|| missing(&dps, caller.registration_id))?;
        self.authorize_device(&dps, Some(&row), &attested).await?;
        Ok((dps, from_row(&row)?))
    }

    /// What lets a device into one group must not open what another one registered in another group. An individual enrollment names the device,
    /// so it takes over what a group registered, and the other way round once it is gone.
    async fn authorize_device(&self, dps: &DpsRef, existing: Option<&Row>, attested: &Attested) -> Result<()> {
        let Some(row) = existing.filter(|_| attested.enrollment.kind() == EnrollmentKind::Group) else { return Ok(()) };
        let Some(owner) = row.columns.first().cloned().flatten().filter(|key| *key != attested.row_key) else {
            return Ok(());
        };
        if self.platform.store.get(&ENROLLMENT_GROUPS, &owner).await?.is_none() {
            return Ok(());
        }
        let registration = from_row(row)?;
        // Whose it is, is for the operator: the key of one group opens no list of the others.
        let context = format!(
            "it is of the enrollment group '{}', and the credentials are of '{}'; az iot dps enrollment-group registration delete --dps-name '{}' --registration-id '{}' gives it free",
            registration.enrollment.id(),
            attested.enrollment.id(),
            dps.name,
            registration.id
        );
        Err(Error::conflict(format!(
            "The registration '{}' belongs to another enrollment than these credentials do; its operator can delete it first.",
            registration.id
        ))
        .with_context(context)
        .with_iot_code(409_201))
    }

    async fn ask(
        &self,
        dps: &DpsRef,
        attested: &Attested,
        request: &RegisterRequest,
    ) -> Result<Option<Result<Answer>>> {
        if attested.settings().allocation_policy != Some(AllocationPolicy::Custom) {
            return Ok(None);
        }
        // Who would be refused anyway makes no noise elsewhere.
        attested.tpm(dps, request)?;
        let existing = self.registration_row(dps, &request.registration_id).await?;
        self.authorize_device(dps, existing.as_deref(), attested).await?;
        let existing = existing.map(|row| from_row(&row)).transpose()?;
        self.ask_webhook(dps, attested, request, existing.as_deref()).await
    }

    /// One attempt: the registration as it will stand and the unit of work that makes it so.
    async fn try_register(
        &self,
        dps: &DpsRef,
        attested: &Attested,
        applicant: &Applicant<'_>,
        existing: Option<&Row>,
    ) -> Result<(Registration, Change)> {
        let now = self.platform.now();
        let version = existing.map(|row| row.version);
        let mut registration = match existing {
            Some(row) => (*from_row(row)?).clone(),
            None => first_registration(applicant.id, attested, now),
        };
        registration.enrollment = attested.enrollment.reference();
        registration.attested = attested.attested_by();
        let mut operation = RegistrationOperation {
            id: self.operation_id(),
            status: RegistrationStatus::Assigned,
            assignment: None,
            failure: None,
            chain: Vec::new(),
            authorities: Vec::new(),
            tpm_key: None,
            ended: now,
        };
        let mut change = match self.assign(dps, attested, applicant, registration.assignment.as_ref()).await {
            Ok(Assigned { assignment, issued, change }) => {
                operation.assignment = Some(assignment);
                if let (None, Some(tpm), Proof::Tpm(proof)) = (&issued, applicant.tpm, &attested.proof) {
                    operation.tpm_key = Some(tpm.seal_hub_key(proof, self)?);
                }
                if let Some(issued) = issued {
                    operation.chain = vec![issued.leaf];
                    operation.authorities = issued.authorities.to_vec();
                }
                change
            }
            Err(error) if is_of_the_registration(&error) => {
                tracing::info!(
                    registration = applicant.id,
                    dps = dps.name,
                    code = error.numeric_code(),
                    "registration failed: {}",
                    error.message
                );
                operation.status = RegistrationStatus::Failed;
                operation.failure = Some(RegistrationFailure { code: error.numeric_code(), message: error.message });
                Change::new()
            }
            Err(error) => return Err(error),
        };
        registration.record(operation, self.new_etag());
        let row = put(dps, &registration)?;
        match version {
            Some(version) => change.unit.expect_version(&REGISTRATIONS, row.key.clone(), version),
            None => change.unit.expect_absent(&REGISTRATIONS, row.key.clone()),
        };
        // An enrollment that was disabled or a service that was deleted or changed meanwhile (other hubs, another policy, other
        // addresses that it lets in) registers nobody by what it was, and an individual enrollment that came meanwhile decides.
        // Registrations only read these rows, so they are in nobody's way.
        let kind = attested.enrollment.kind();
        change.unit.expect_version(table(kind), attested.row_key.clone(), attested.row_version);
        attested.answer_challenge(dps, &mut change)?;
        if kind == EnrollmentKind::Group {
            change.unit.expect_absent(&INDIVIDUAL_ENROLLMENTS, dps.row_key(applicant.id));
        }
        dps.expect_unchanged(&mut change);
        change.unit.put(row);
        Ok((registration, change))
    }

    fn accepted(&self, registration: &Registration) -> OperationStatus {
        let operation_id = registration.operations.first().map(|operation| operation.id.clone()).unwrap_or_default();
        OperationStatus {
            status: RegistrationStatus::Assigning,
            retry_after_seconds: self.retry_after_seconds,
            body: json!({"operationId": operation_id, "status": RegistrationStatus::Assigning.as_str()}),
            operation_id,
        }
    }

    /// An operation id in DPS's form: a digit, 16 hexadecimal digits and a GUID.
    fn operation_id(&self) -> String {
        let mut bytes = [0u8; 8];
        self.platform.random.fill(&mut bytes);
        format!("5.{}.{}", hex::encode(bytes), self.platform.random.uuid_v4())
    }
}

/// The registration of a device that has none.
fn first_registration(id: &str, attested: &Attested, now: Timestamp) -> Registration {
    Registration {
        id: id.to_owned(),
        enrollment: attested.enrollment.reference(),
        attested: attested.attested_by(),
        status: RegistrationStatus::Assigning,
        assignment: None,
        failure: None,
        created: now,
        updated: now,
        etag: String::new(),
        operations: Vec::new(),
    }
}

/// Counts what was committed.
fn count(registration: &Registration) {
    let Some(operation) = registration.operations.first() else { return };
    metrics::counter!("ferrohub_registrations_total", "status" => operation.status.as_str()).increment(1);
    metrics::counter!("ferrohub_certificates_issued_total").increment(operation.chain.len() as u64);
}

/// Whether the device learns of the error by its poll: it is about the registration, not a fault of ours that will pass.
fn is_of_the_registration(error: &Error) -> bool {
    matches!(
        error.kind,
        ErrorKind::Invalid
            | ErrorKind::Forbidden
            | ErrorKind::NotFound
            | ErrorKind::Conflict
            | ErrorKind::PreconditionFailed
            | ErrorKind::TooLarge
            | ErrorKind::NotImplemented
    )
}
