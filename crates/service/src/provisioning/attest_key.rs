//! Attestation with a symmetric key: the device's own, or one derived from that of a group.

use super::access::unauthorized;
use super::attest::{Attested, Proof, attested, no_key};
use super::enrollment::Enrollment;
use super::group_keys::DeviceKeys;
use super::{DpsRef, ProvisioningService};
use crate::tables::ENROLLMENT_GROUPS;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::enrollment::{EnrollmentKind, SymmetricKeys};
use ferrohub_model::error::{Error, Result};
use ferrohub_store::Row;
use ferrohub_wire::sas_token::{SasFailure, SasToken};
use zeroize::Zeroizing;

impl ProvisioningService {
    /// The keys of an individual enrollment, if one of them signed the token.
    pub(super) async fn by_own_key(
        &self,
        dps: &DpsRef,
        row: &Row,
        keys: &SymmetricKeys,
        registration_id: &str,
        token: &SasToken,
    ) -> Result<DeviceKeys> {
        let (primary, secondary) = self.open_keys(EnrollmentKind::Individual, &row.key, keys).await?;
        let decode = |text: &str| {
            let bytes = STANDARD.decode(text);
            bytes
                .map(Zeroizing::new)
                .map_err(|_| Error::internal(format!("the key of enrollment {} is not base64", row.key)))
        };
        let keys = DeviceKeys::new(decode(&primary)?, decode(&secondary)?);
        match keys.verify(token, self.platform.clock.unix_seconds()) {
            Ok(()) => Ok(keys),
            Err(SasFailure::Expired) => Err(expired()),
            Err(SasFailure::BadSignature) => Err(no_key(dps, registration_id)),
        }
    }

    /// The group from whose key the one that signed the token was derived.
    pub(super) async fn by_group_key(&self, dps: &DpsRef, registration_id: &str, token: &SasToken) -> Result<Attested> {
        // A device that registered before is looked for in its own group first.
        if let Some(row) = self.home_group(dps, registration_id).await?
            && let Some(attested) = self.try_group(dps, &row, registration_id, token).await?
        {
            return Ok(attested);
        }
        let index = self.group_index(dps).await?;
        let now = self.platform.clock.unix_seconds();
        let Some(row_key) = self.search(dps, &index, registration_id, token, now).await? else {
            return Err(no_key(dps, registration_id));
        };
        // The group as it is now decides.
        if let Some(row) = self.platform.store.get(&ENROLLMENT_GROUPS, &row_key).await?
            && let Some(attested) = self.try_group(dps, &row, registration_id, token).await?
        {
            return Ok(attested);
        }
        Err(no_key(dps, registration_id))
    }

    async fn try_group(
        &self,
        dps: &DpsRef,
        row: &Row,
        registration_id: &str,
        token: &SasToken,
    ) -> Result<Option<Attested>> {
        let Some(keys) = self.group_keys(row).await? else { return Ok(None) };
        let keys = keys.derive(registration_id);
        match keys.verify(token, self.platform.clock.unix_seconds()) {
            Err(SasFailure::BadSignature) => Ok(None),
            Err(SasFailure::Expired) => Err(expired()),
            Ok(()) => {
                let group = Enrollment::of_row(EnrollmentKind::Group, row)?;
                Ok(Some(attested(dps, group, row, registration_id, Proof::Keys(keys))))
            }
        }
    }
}

fn expired() -> Error {
    unauthorized("The SAS token has expired; sign a new one, and check the device's clock.")
}
