//! Attestation by TPM (reference: iot-hub-and-dps.md A.6): the device gets a key that only its TPM opens, and signs with it.
//!
//! A challenge is stored nowhere: its key follows from a secret of the service, the enrollment and the time, so that every process knows
//! it. The registration that it lets in counts it as answered in the same unit of work, and from then on another key follows.

use super::access::unauthorized;
use super::attest::{Attested, Proof, no_key};
use super::enrollment::Enrollment;
use super::group_keys::DeviceKeys;
use super::register::{DeviceCaller, RegisterRequest};
use super::{DpsRef, ProvisioningService};
use crate::platform::Change;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::device_id::check_registration_id;
use ferrohub_model::enrollment::{Attestation, Challenges, EnrollmentKind, IndividualEnrollment, TpmKeys};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::network::Target;
use ferrohub_pki::tpm::{TpmPublic, seal_key};
use ferrohub_store::Row;
use ferrohub_wire::sas_token::{SasFailure, SasToken};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Seconds of a stretch of time: a challenge counts in the one in which it was made and in the next. Ours.
const WINDOW_SECONDS: i64 = 300;

/// What a device without credentials gets that has to prove its TPM first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TpmChallenge {
    /// The key to sign with, sealed to the TPM, base64.
    pub authentication_key: String,
    /// Name of the key in the token (`skn`).
    pub key_name: &'static str,
}

/// A TPM that answered a challenge.
pub(super) struct TpmProof {
    /// The keys with which the device may go to its hub.
    pub(super) keys: DeviceKeys,
    /// The stretch of time in which the challenge was made; `None` where it is the one that was answered last.
    window: Option<i64>,
}

/// The TPM of a register request.
pub(super) struct Tpm {
    endorsement: TpmPublic,
    storage: TpmPublic,
}

impl ProvisioningService {
    /// Whether the caller, who brings no credentials, may be one that has to be challenged: what it sends is worth reading then.
    ///
    /// # Errors
    /// As for registering.
    pub async fn may_be_challenged(&self, caller: &DeviceCaller<'_>) -> Result<bool> {
        if caller.authorization.is_some() || !caller.peer_chain.is_empty() {
            return Ok(false);
        }
        let dps = self.dps_by_scope(caller.id_scope).await?;
        Ok(self.enrolled_tpm(&dps, caller).await?.is_some())
    }

    /// The challenge to a device that registers without credentials and is enrolled with a TPM; `None` where others decide.
    ///
    /// # Errors
    /// `Unauthenticated` (401002) where the request names no TPM, or another one than the enrollment, or that is disabled; `Invalid` (400004)
    /// for a malformed storage root key.
    pub async fn tpm_challenge(&self, request: &RegisterRequest) -> Result<Option<TpmChallenge>> {
        let caller = request.caller();
        if !self.may_be_challenged(&caller).await? {
            return Ok(None);
        }
        let dps = self.dps_by_scope(caller.id_scope).await?;
        let Some((row, enrollment)) = self.enrolled_tpm(&dps, &caller).await? else { return Ok(None) };
        let tpm = tpm_of(&dps, &enrollment, request)?;
        let record = Enrollment::Individual(Arc::clone(&enrollment));
        super::attest::check_enabled(&dps, &record)?;
        let window = self.window();
        let key = self.challenge_key(&dps, &row, &enrollment, enrollment.challenges.answered, window).await?;
        let sealed = tpm.seal(key.as_slice(), self)?;
        Ok(Some(TpmChallenge { authentication_key: sealed, key_name: "registration" }))
    }

    async fn enrolled_tpm(
        &self,
        dps: &DpsRef,
        caller: &DeviceCaller<'_>,
    ) -> Result<Option<(Arc<Row>, Arc<IndividualEnrollment>)>> {
        dps.let_in(caller.peer, Target::DeviceApi)?;
        check_registration_id(caller.registration_id)?;
        let row = self.enrollment_row(EnrollmentKind::Individual, dps, caller.registration_id).await?;
        let Some(row) = row else { return Ok(None) };
        match Enrollment::of_row(EnrollmentKind::Individual, &row)? {
            Enrollment::Individual(individual) if matches!(individual.record.attestation, Attestation::Tpm(_)) => {
                Ok(Some((row, individual)))
            }
            _ => Ok(None),
        }
    }

    /// The proof of a device that signed with the key of a challenge: of one that may be answered, or of the one that was answered last,
    /// with which it asks how its registration went.
    pub(super) async fn by_tpm(
        &self,
        dps: &DpsRef,
        row: &Row,
        enrollment: &IndividualEnrollment,
        caller: &DeviceCaller<'_>,
        token: &SasToken,
    ) -> Result<TpmProof> {
        let Challenges { answered, window: last } = enrollment.challenges;
        let now = self.window();
        let mut candidates = vec![(answered, now, Some(now)), (answered, now - 1, Some(now - 1))];
        candidates.extend(answered.checked_sub(1).map(|before| (before, last, None)));
        for (number, made, window) in candidates {
            let key = self.challenge_key(dps, row, enrollment, number, made).await?;
            match token.verify_any(&[key.as_slice()], self.platform.clock.unix_seconds()) {
                Ok(()) => return Ok(TpmProof { keys: self.hub_keys(dps, row, enrollment).await?, window }),
                Err(SasFailure::Expired) => {
                    return Err(unauthorized(
                        "The SAS token has expired; sign a new one, and check the device's clock.",
                    ));
                }
                Err(SasFailure::BadSignature) => {}
            }
        }
        Err(no_key(dps, caller.registration_id))
    }

    async fn challenge_key(
        &self,
        dps: &DpsRef,
        row: &Row,
        enrollment: &IndividualEnrollment,
        number: u64,
        window: i64,
    ) -> Result<Zeroizing<[u8; 32]>> {
        let parts: [&[u8]; 4] =
            [row.key.as_bytes(), enrollment.record.etag.as_bytes(), &number.to_be_bytes(), &window.to_be_bytes()];
        self.derive(dps, "tpm challenge", &parts).await
    }

    /// The device's keys for its hub: the same as long as the enrollment is not made anew or given another TPM.
    async fn hub_keys(&self, dps: &DpsRef, row: &Row, enrollment: &IndividualEnrollment) -> Result<DeviceKeys> {
        let created = enrollment.record.created.as_nanosecond().to_be_bytes();
        let endorsement = match &enrollment.record.attestation {
            Attestation::Tpm(keys) => keys.endorsement_key.as_bytes(),
            _ => &[],
        };
        let parts = [row.key.as_bytes(), &created, endorsement];
        let primary = self.derive(dps, "tpm hub key primary", &parts).await?;
        let secondary = self.derive(dps, "tpm hub key secondary", &parts).await?;
        let bytes = |key: &[u8; 32]| Zeroizing::new(key.to_vec());
        Ok(DeviceKeys::new(bytes(&primary), bytes(&secondary)))
    }

    async fn derive(&self, dps: &DpsRef, label: &str, parts: &[&[u8]]) -> Result<Zeroizing<[u8; 32]>> {
        let platform = &self.platform;
        platform.keyring.derive(platform.store.as_ref(), &dps.stored.key(), label, parts).await
    }

    fn window(&self) -> i64 {
        self.platform.clock.unix_seconds().div_euclid(WINDOW_SECONDS)
    }
}

impl Tpm {
    fn seal(&self, key: &[u8], service: &ProvisioningService) -> Result<String> {
        seal_key(&self.endorsement, &self.storage, key, service.platform.random.as_ref())
            .map(|sealed| STANDARD.encode(sealed))
    }

    /// The device's key for its hub, sealed for it.
    pub(super) fn seal_hub_key(&self, proof: &TpmProof, service: &ProvisioningService) -> Result<String> {
        self.seal(proof.keys.primary(), service)
    }
}

impl Attested {
    /// The TPM of the request, where the enrollment has one: its challenge must be open, and becomes answered by `change`.
    pub(super) fn tpm(&self, dps: &DpsRef, request: &RegisterRequest) -> Result<Option<Tpm>> {
        let (Proof::Tpm(proof), Enrollment::Individual(enrollment)) = (&self.proof, &self.enrollment) else {
            return Ok(None);
        };
        if proof.window.is_none() {
            return Err(unauthorized(
                "The challenge was answered already. Register without Authorization to get another one.",
            ));
        }
        tpm_of(dps, enrollment, request).map(Some)
    }

    /// Adds to `change`, which expects the enrollment as it was read, that its challenge is answered.
    pub(super) fn answer_challenge(&self, dps: &DpsRef, change: &mut Change) -> Result<()> {
        let (Proof::Tpm(proof), Enrollment::Individual(enrollment)) = (&self.proof, &self.enrollment) else {
            return Ok(());
        };
        let window = proof.window.ok_or_else(|| Error::internal("an answered challenge lets nobody in again"))?;
        let mut enrollment = (**enrollment).clone();
        enrollment.challenges = Challenges { answered: enrollment.challenges.answered + 1, window };
        change.unit.put(Enrollment::Individual(Arc::new(enrollment)).put(dps)?);
        Ok(())
    }
}

/// The TPM that a request names, which must be the one of the enrollment.
fn tpm_of(dps: &DpsRef, enrollment: &IndividualEnrollment, request: &RegisterRequest) -> Result<Tpm> {
    let Attestation::Tpm(enrolled) = &enrollment.record.attestation else {
        return Err(Error::internal("an enrollment without a TPM"));
    };
    let Some(TpmKeys { endorsement_key, storage_root_key }) = &request.tpm else {
        return Err(unauthorized(
            "The device is enrolled with a TPM: send its endorsementKey and storageRootKey in 'tpm', over HTTPS.",
        ));
    };
    let other = || no_key(dps, &request.registration_id);
    let endorsement = TpmPublic::from_base64("endorsement key", endorsement_key).map_err(|_| other())?;
    // What was enrolled may be no key of a TPM at all; then nobody has it.
    if TpmPublic::from_base64("endorsement key", &enrolled.endorsement_key).ok().as_ref() != Some(&endorsement) {
        return Err(other());
    }
    let sent = storage_root_key.as_ref().or(enrolled.storage_root_key.as_ref());
    let Some(sent) = sent else {
        return Err(unauthorized("The request has no 'tpm.storageRootKey', and the enrollment names none."));
    };
    let storage = TpmPublic::from_base64("storage root key", sent).map_err(|error| error.with_iot_code(400_004))?;
    if let Some(enrolled) = &enrolled.storage_root_key
        && TpmPublic::from_base64("storage root key", enrolled).ok().as_ref() != Some(&storage)
    {
        return Err(other());
    }
    Ok(Tpm { endorsement, storage })
}
