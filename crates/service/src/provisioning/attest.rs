//! Attestation with the symmetric key of an enrollment group: whose token is this?

use super::access::{shown, unauthorized};
use super::group_index::DeviceKeys;
use super::register::DeviceCaller;
use super::{DpsRef, ProvisioningService};
use crate::authz::{Actor, DeviceProof};
use crate::tables::{ENROLLMENT_GROUPS, REGISTRATIONS};
use ferrohub_model::device_id::check_registration_id;
use ferrohub_model::enrollment::{EnrollmentGroup, ProvisioningStatus};
use ferrohub_model::error::Result;
use ferrohub_model::network::Target;
use ferrohub_store::Row;
use ferrohub_wire::sas_token::{SasFailure, SasToken};
use std::sync::Arc;

/// A device that proved which group it belongs to.
pub(super) struct Attested {
    /// The group.
    pub(super) group: Arc<EnrollmentGroup>,
    /// Key of its row.
    pub(super) group_key: String,
    /// Version of its row.
    pub(super) group_version: u64,
    /// The device's own keys.
    pub(super) keys: DeviceKeys,
    /// The device, proven.
    pub(super) actor: Actor,
}

impl ProvisioningService {
    /// Finds the enrollment group whose key signed the caller's token.
    ///
    /// # Errors
    /// `Unauthenticated` (401002) where the service does not let its address in, where there is none, the token is malformed or expired, or the group is disabled;
    /// `Invalid` (400004) for a malformed registration id.
    pub(super) async fn attest(&self, dps: &DpsRef, caller: &DeviceCaller<'_>) -> Result<Attested> {
        dps.let_in(caller.peer, Target::DeviceApi)?;
        check_registration_id(caller.registration_id)?;
        let token = parse_token(caller)?;
        let now = self.platform.clock.unix_seconds();
        // A device that registered before is looked for in its own group first.
        let home = self.home_group(dps, caller.registration_id).await?;
        if let Some(row) = &home
            && let Some(attested) = self.try_group(dps, row, caller.registration_id, &token, now).await?
        {
            return admitted(attested);
        }
        for (row_key, keys) in self.group_index(dps).await?.iter() {
            let tried = home.as_ref().is_some_and(|home| home.key == *row_key);
            if tried || keys.derive(caller.registration_id).verify(&token, now) == Err(SasFailure::BadSignature) {
                continue;
            }
            // The group as it is now decides.
            if let Some(row) = self.platform.store.get(&ENROLLMENT_GROUPS, row_key).await?
                && let Some(attested) = self.try_group(dps, &row, caller.registration_id, &token, now).await?
            {
                return admitted(attested);
            }
        }
        Err(unauthorized(format!(
            "No enrollment group of the provisioning service '{0}' has a key from which the device key of '{1}' was derived. Derive it from the group's primary or secondary key: az iot dps enrollment-group compute-device-key --dps-name {0} --enrollment-id '<group>' --registration-id {1}",
            dps.name, caller.registration_id
        )))
    }

    async fn home_group(&self, dps: &DpsRef, registration_id: &str) -> Result<Option<Arc<Row>>> {
        let store = self.platform.store.as_ref();
        let Some(registration) = store.get(&REGISTRATIONS, &dps.row_key(registration_id)).await? else {
            return Ok(None);
        };
        match registration.columns.first().cloned().flatten() {
            Some(key) => Ok(store.get(&ENROLLMENT_GROUPS, &key).await?),
            None => Ok(None),
        }
    }

    async fn try_group(
        &self,
        dps: &DpsRef,
        row: &Row,
        registration_id: &str,
        token: &SasToken,
        now: i64,
    ) -> Result<Option<Attested>> {
        let keys = self.group_keys(row).await?.derive(registration_id);
        match keys.verify(token, now) {
            Err(SasFailure::BadSignature) => Ok(None),
            Err(SasFailure::Expired) => {
                Err(unauthorized("The SAS token has expired; sign a new one, and check the device's clock."))
            }
            Ok(()) => {
                let group = super::groups::from_row(row)?;
                let proof = DeviceProof { home: dps.uid, id: registration_id.to_owned() };
                let actor = Actor::device(proof);
                Ok(Some(Attested { group, group_key: row.key.clone(), group_version: row.version, keys, actor }))
            }
        }
    }
}

/// The token, which must name exactly this registration.
fn parse_token(caller: &DeviceCaller<'_>) -> Result<SasToken> {
    let Some(header) = caller.authorization.filter(|header| !header.trim().is_empty()) else {
        return Err(if caller.peer_chain.is_empty() {
            unauthorized(
                "The request has no Authorization; send a SharedAccessSignature signed with the device key (skn=registration).",
            )
        } else {
            unauthorized(
                "Attestation with a client certificate is not built yet; send a SharedAccessSignature of a symmetric-key enrollment group.",
            )
        });
    };
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
    Ok(token)
}

fn admitted(attested: Attested) -> Result<Attested> {
    match attested.group.settings.provisioning_status {
        ProvisioningStatus::Enabled => Ok(attested),
        ProvisioningStatus::Disabled => Err(unauthorized(format!(
            "The enrollment group '{0}' is disabled; enable it: az iot dps enrollment-group update --dps-name '<service>' --enrollment-id {0} --provisioning-status enabled",
            attested.group.id
        ))),
    }
}
