//! Registrations, as the service API reads and deletes them.

use super::access::{DELETE_REGISTRATION, READ_REGISTRATION, shown};
use super::enrollment::missing as missing_enrollment;
use super::enrollments::{contended, precondition};
use super::page::{PageRequest, Paged};
use super::query::refuse_condition;
use super::{DpsRef, ProvisioningService};
use crate::authz::Actor;
use crate::platform::Change;
use crate::tables::REGISTRATIONS;
use ferrohub_model::enrollment::EnrollmentKind;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::registration::Registration;
use ferrohub_store::{Put, Row};
use serde_json::Value;
use std::sync::Arc;

impl ProvisioningService {
    /// A registration's state, never with certificates.
    ///
    /// # Errors
    /// The refusal of an actor without the right; `NotFound` (404202).
    pub async fn registration(&self, actor: &Actor, dps: &DpsRef, id: &str) -> Result<Value> {
        self.authorize(actor, dps, &READ_REGISTRATION).await?;
        let row = self.registration_row(dps, id).await?.ok_or_else(|| missing(dps, id))?;
        Ok(from_row(&row)?.view())
    }

    /// Deletes a registration. The device keeps its identity at the hub and registers anew with the next request.
    ///
    /// # Errors
    /// The refusal of an actor without the right; `NotFound` (404202); `PreconditionFailed` (412001) when
    /// `if_match` does not fit.
    pub async fn delete_registration(
        &self,
        actor: &Actor,
        dps: &DpsRef,
        id: &str,
        if_match: Option<&str>,
    ) -> Result<()> {
        self.authorize(actor, dps, &DELETE_REGISTRATION).await?;
        let _turn = self.registering.turn(&dps.row_key(id)).await;
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(|| contended(id)).await?;
            let row = self.registration_row(dps, id).await?.ok_or_else(|| missing(dps, id))?;
            let registration = from_row(&row)?;
            precondition(
                if_match,
                Some(&registration.etag),
                &format!("The registration '{}' of '{}'", shown(id), dps.name),
            )?;
            let mut change = Change::new();
            change.unit.expect_version(&REGISTRATIONS, row.key.clone(), row.version);
            change.unit.delete(&REGISTRATIONS, row.key.clone());
            if self.platform.try_commit(change).await? {
                return Ok(());
            }
        }
    }

    /// The registrations of an enrollment group, page by page.
    ///
    /// # Errors
    /// The refusal of an actor without the right; `NotFound` (404201) for an unknown group; `Invalid` (400004)
    /// for a condition or a foreign continuation.
    pub async fn query_registrations(
        &self,
        actor: &Actor,
        dps: &DpsRef,
        group: &str,
        body: Option<&Value>,
        page: &PageRequest,
    ) -> Result<Paged> {
        self.authorize(actor, dps, &READ_REGISTRATION).await?;
        refuse_condition(body, "")?;
        if self.enrollment_row(EnrollmentKind::Group, dps, group).await?.is_none() {
            return Err(missing_enrollment(EnrollmentKind::Group, dps, group));
        }
        let prefix = dps.row_key("");
        let rows =
            self.platform.store.find(&REGISTRATIONS, "group", &dps.row_key(group), page.of_store(&prefix)?).await?;
        page.answer(&prefix, rows, |row| Ok(from_row(row)?.view()))
    }

    pub(super) async fn registration_row(&self, dps: &DpsRef, id: &str) -> Result<Option<Arc<Row>>> {
        Ok(self.platform.store.get(&REGISTRATIONS, &dps.row_key(id)).await?)
    }
}

/// Parses a stored registration.
pub(super) fn from_row(row: &Row) -> Result<Arc<Registration>> {
    Ok(row.parse()?)
}

/// The row of a registration.
pub(super) fn put(dps: &DpsRef, registration: &Registration) -> Result<Put> {
    let group = registration.enrollment.group().map(|id| dps.row_key(id));
    Ok(Put::new(&REGISTRATIONS, dps.row_key(&registration.id), vec![group], registration)?)
}

/// The refusal for a registration that does not exist.
pub(super) fn missing(dps: &DpsRef, id: &str) -> Error {
    Error::not_found(format!("The provisioning service '{}' has no registration '{}'.", dps.name, shown(id)))
        .with_iot_code(404_202)
}
