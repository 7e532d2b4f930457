//! Enrollments of both kinds, as the service API reads and writes them.

use super::access::{Needs, shown};
use super::enrollment::{Enrollment, missing, table};
use super::page::{PageRequest, Paged};
use super::query::refuse_condition;
use super::{DpsRef, ProvisioningService, registrations};
use crate::audit::{self, AuditEvent, Kind};
use crate::authz::Actor;
use crate::platform::Change;
use crate::tables::{REGISTRATIONS, RESOURCES};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::enrollment::{
    Attestation, Challenges, EnrollmentGroup, EnrollmentKind, EnrollmentPut, EnrollmentRecord, IndividualEnrollment,
};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::registration::EnrolledBy;
use ferrohub_model::uid::uid_key;
use ferrohub_store::Row;
use ferrohub_wire::etag::EtagCondition;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

impl ProvisioningService {
    /// An enrollment, without its keys.
    ///
    /// # Errors
    /// The refusal of an actor without the right; `NotFound` (404201).
    pub async fn enrollment(&self, actor: &Actor, dps: &DpsRef, kind: EnrollmentKind, id: &str) -> Result<Value> {
        self.authorize(actor, dps, Needs::of(kind).read).await?;
        let row = self.enrollment_row(kind, dps, id).await?.ok_or_else(|| missing(kind, dps, id))?;
        self.shown_enrollment(dps, &Enrollment::of_row(kind, &row)?).await
    }

    /// Creates an enrollment, or replaces the one that `if_match` names, and returns it without its keys. Keys that the body does not name are
    /// kept, or generated for a new one.
    ///
    /// # Errors
    /// The refusal of an actor without the right; 409201 over an existing one without `if_match`; `PreconditionFailed` (412001) when it does not
    /// fit; `Invalid` (400004) naming the property, also for a credential policy that does not exist or a provisioning service that is linked to no namespace.
    pub async fn put_enrollment(
        &self,
        actor: &Actor,
        dps: &DpsRef,
        kind: EnrollmentKind,
        id: &str,
        body: &Value,
        if_match: Option<&str>,
    ) -> Result<Value> {
        self.authorize(actor, dps, Needs::of(kind).write).await?;
        let mut put = EnrollmentPut::parse(kind, id, body)?;
        self.name_hubs_here(&mut put.settings);
        self.check_settings(dps, &put.settings)?;
        let policy = match &put.policy {
            Some(named) => match self.check_policy(dps, named).await {
                Ok((authority, name)) => {
                    put.settings.credential_policy_name = Some(name);
                    Some(authority)
                }
                // What it names already may stay, so that an enrollment whose policy was deleted can be disabled.
                Err(error) if error.target.is_none() && self.names_policy(kind, dps, id, &named.authority).await? => {
                    None
                }
                Err(error) => return Err(error),
            },
            None => None,
        };
        let _turn = self.platform.turn(&dps.row_key(id)).await;
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(|| contended(id)).await?;
            let existing = self.enrollment_row(kind, dps, id).await?;
            if existing.is_some() && if_match.is_none() {
                return Err(already_there(kind, dps, id));
            }
            let former = existing.as_ref().map(|row| Enrollment::of_row(kind, row)).transpose()?;
            check_match(if_match, former.as_ref(), kind, dps, id)?;
            let enrollment = self.build(dps, kind, id, &put, former.as_ref()).await?;
            let change = write(dps, &enrollment, existing.as_deref(), policy)?;
            if self.platform.try_commit(change).await? {
                return self.shown_enrollment(dps, &enrollment).await;
            }
        }
    }

    /// Whether the stored enrollment names this policy.
    async fn names_policy(&self, kind: EnrollmentKind, dps: &DpsRef, id: &str, policy: &str) -> Result<bool> {
        let Some(row) = self.enrollment_row(kind, dps, id).await? else { return Ok(false) };
        let stored = Enrollment::of_row(kind, &row)?;
        let named = stored.settings().credential_policy_name.as_deref();
        Ok(named.is_some_and(|named| named.eq_ignore_ascii_case(policy)))
    }

    /// Deletes an enrollment. Devices that registered through it keep their hub; the registration of an individual one goes with it.
    ///
    /// # Errors
    /// The refusal of an actor without the right; `NotFound` (404201); `PreconditionFailed` (412001) when
    /// `if_match` does not fit.
    pub async fn delete_enrollment(
        &self,
        actor: &Actor,
        dps: &DpsRef,
        kind: EnrollmentKind,
        id: &str,
        if_match: Option<&str>,
    ) -> Result<()> {
        self.authorize(actor, dps, Needs::of(kind).delete).await?;
        let _turn = self.platform.turn(&dps.row_key(id)).await;
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(|| contended(id)).await?;
            let row = self.enrollment_row(kind, dps, id).await?.ok_or_else(|| missing(kind, dps, id))?;
            let enrollment = Enrollment::of_row(kind, &row)?;
            check_match(if_match, Some(&enrollment), kind, dps, id)?;
            let mut change = Change::new();
            change.unit.expect_version(table(kind), row.key.clone(), row.version);
            change.unit.delete(table(kind), row.key.clone());
            match kind {
                EnrollmentKind::Group => Self::next_generation(dps, &mut change)?,
                EnrollmentKind::Individual => self.forget_registration(dps, id, &mut change).await?,
            }
            if self.platform.try_commit(change).await? {
                return Ok(());
            }
        }
    }

    /// All enrollments of a kind, page by page. `body` is tolerated in any shape (the CLI sends a stringified dictionary),
    /// except that a query with a condition is refused rather than answered wrongly.
    ///
    /// # Errors
    /// The refusal of an actor without the right; `Invalid` (400004) for a condition or a foreign continuation.
    pub async fn query_enrollments(
        &self,
        actor: &Actor,
        dps: &DpsRef,
        kind: EnrollmentKind,
        body: Option<&Value>,
        page: &PageRequest,
    ) -> Result<Paged> {
        self.authorize(actor, dps, Needs::of(kind).read).await?;
        refuse_condition(body, collection(kind))?;
        let prefix = dps.row_key("");
        let rows = self.platform.store.scan(table(kind), &prefix, page.of_store(&prefix)?).await?;
        let mut paged = page.answer(&prefix, rows, |row| Ok(Enrollment::of_row(kind, row)?.view()))?;
        if kind == EnrollmentKind::Individual {
            self.add_states(dps, &mut paged.items).await?;
        }
        Ok(paged)
    }

    /// The attestation mechanism with its keys and certificates.
    ///
    /// # Errors
    /// The refusal of an actor without the right; `NotFound` (404201).
    pub async fn attestation_mechanism(
        &self,
        actor: &Actor,
        dps: &DpsRef,
        kind: EnrollmentKind,
        id: &str,
    ) -> Result<Value> {
        self.authorize(actor, dps, Needs::of(kind).mechanism).await?;
        let row = self.enrollment_row(kind, dps, id).await?.ok_or_else(|| missing(kind, dps, id))?;
        let enrollment = Enrollment::of_row(kind, &row)?;
        let event = AuditEvent::by(Kind::KeysRead, actor, dps.id.to_string());
        audit::note(&self.platform, event.what(format!("attestation mechanism of {id}")));
        let mut view = enrollment.attestation().view();
        match enrollment.attestation() {
            Attestation::SymmetricKey(keys) => {
                let (primary, secondary) = self.open_keys(kind, &row.key, keys).await?;
                view["symmetricKey"] = json!({"primaryKey": *primary, "secondaryKey": *secondary});
            }
            Attestation::X509(x509) => view["x509"] = x509.view(true),
            Attestation::Tpm(_) => {}
        }
        Ok(view)
    }

    /// The enrollment as it will stand.
    async fn build(
        &self,
        dps: &DpsRef,
        kind: EnrollmentKind,
        id: &str,
        put: &EnrollmentPut,
        former: Option<&Enrollment>,
    ) -> Result<Enrollment> {
        let now = self.platform.now();
        let was = former.map(Enrollment::record);
        let record = EnrollmentRecord {
            settings: put.settings.clone(),
            attestation: self.attestation(dps, kind, id, &put.attestation, was.map(|was| &was.attestation)).await?,
            created: was.map_or(now, |was| was.created),
            updated: now,
            etag: self.new_etag(),
        };
        let id = former.map_or(id, Enrollment::id).to_owned();
        Ok(match kind {
            EnrollmentKind::Group => Enrollment::Group(Arc::new(EnrollmentGroup { id, record })),
            EnrollmentKind::Individual => Enrollment::Individual(Arc::new(IndividualEnrollment {
                id,
                device_id: put.device_id.clone(),
                optional_device_information: put.optional_device_information.clone(),
                // The new etag makes all former challenges void.
                challenges: Challenges::default(),
                record,
            })),
        })
    }

    async fn shown_enrollment(&self, dps: &DpsRef, enrollment: &Enrollment) -> Result<Value> {
        let mut view = enrollment.view();
        if enrollment.kind() == EnrollmentKind::Individual {
            self.add_states(dps, std::slice::from_mut(&mut view)).await?;
        }
        Ok(view)
    }

    /// Adds `registrationState` to individual enrollments whose device registered.
    async fn add_states(&self, dps: &DpsRef, views: &mut [Value]) -> Result<()> {
        let keys: Vec<String> =
            views.iter().map(|view| dps.row_key(view["registrationId"].as_str().unwrap_or_default())).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let rows = self.platform.store.get_many(&REGISTRATIONS, &keys).await?;
        for (view, row) in views.iter_mut().zip(rows) {
            let Some(row) = row else { continue };
            let registration = registrations::from_row(&row)?;
            if matches!(registration.enrollment, EnrolledBy::Individual(_)) {
                view["registrationState"] = registration.view();
            }
        }
        Ok(())
    }

    /// Adds to `change`, which deletes an individual enrollment, that the registration made through it goes.
    async fn forget_registration(&self, dps: &DpsRef, id: &str, change: &mut Change) -> Result<()> {
        let Some(row) = self.registration_row(dps, id).await? else {
            change.unit.expect_absent(&REGISTRATIONS, dps.row_key(id));
            return Ok(());
        };
        change.unit.expect_version(&REGISTRATIONS, row.key.clone(), row.version);
        if matches!(registrations::from_row(&row)?.enrollment, EnrolledBy::Individual(_)) {
            change.unit.delete(&REGISTRATIONS, row.key.clone());
        }
        Ok(())
    }

    /// A new entity tag in DPS's form: base64 of a quoted GUID.
    pub(super) fn new_etag(&self) -> String {
        STANDARD.encode(format!("\"{}\"", self.platform.random.uuid_v4()))
    }
}

/// The collection of a kind, as a query names it.
pub(super) fn collection(kind: EnrollmentKind) -> &'static str {
    match kind {
        EnrollmentKind::Group => "enrollmentGroups",
        EnrollmentKind::Individual => "enrollments",
    }
}

/// The unit that writes an enrollment in the place of `existing`.
fn write(dps: &DpsRef, enrollment: &Enrollment, existing: Option<&Row>, policy: Option<Uuid>) -> Result<Change> {
    let mut change = Change::new();
    let row = enrollment.put(dps)?;
    match existing {
        Some(existing) => change.unit.expect_version(row.table, row.key.clone(), existing.version),
        None => change.unit.expect_absent(row.table, row.key.clone()),
    };
    change.unit.expect_exists(&RESOURCES, dps.stored.key());
    if let Some(policy) = policy {
        change.unit.expect_exists(&RESOURCES, uid_key(policy));
    }
    change.unit.put(row);
    if enrollment.kind() == EnrollmentKind::Group {
        ProvisioningService::next_generation(dps, &mut change)?;
    }
    Ok(change)
}

/// The etag rule of the service API: no `If-Match` means no condition.
pub(super) fn precondition(if_match: Option<&str>, etag: Option<&str>, what: &str) -> Result<()> {
    match if_match {
        Some(value) if !EtagCondition::parse(value).allows_match(etag) => Err(Error::precondition(format!(
            "Precondition failed. {what} has another ETag than If-Match says; read it again and repeat the change."
        ))
        .with_iot_code(412_001)),
        _ => Ok(()),
    }
}

/// Documents say that a PUT without a condition replaces; users of the service are refused (reference: iot-hub-and-dps.md B.2).
fn already_there(kind: EnrollmentKind, dps: &DpsRef, id: &str) -> Error {
    let code = match kind {
        EnrollmentKind::Group => "EnrollmentGroupAlreadyExists",
        EnrollmentKind::Individual => "EnrollmentAlreadyExists",
    };
    Error::conflict(format!(
        "The provisioning service '{}' has an {} '{}' already; send its etag in If-Match, or '*', to change it.",
        dps.name,
        kind.word(),
        shown(id)
    ))
    .with_code(code)
    .with_iot_code(409_201)
}

fn check_match(
    if_match: Option<&str>,
    enrollment: Option<&Enrollment>,
    kind: EnrollmentKind,
    dps: &DpsRef,
    id: &str,
) -> Result<()> {
    let etag = enrollment.map(|enrollment| enrollment.record().etag.as_str());
    precondition(if_match, etag, &format!("The {} '{}' of '{}'", kind.word(), shown(id), dps.name))
}

pub(super) fn bad(message: String) -> Error {
    Error::invalid(message).with_code("ArgumentInvalid").with_iot_code(400_004)
}

pub(super) fn contended(id: &str) -> Error {
    Error::unavailable(format!("'{}' is being changed by others all the time; try again in a second.", shown(id)), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_condition_always_holds() {
        assert!(precondition(None, None, "x").is_ok() && precondition(Some("*"), Some("e"), "x").is_ok());
        assert!(precondition(Some("\"e\""), Some("e"), "x").is_ok());
        for (given, etag) in [(Some("*"), None), (Some("f"), Some("e"))] {
            assert_eq!(precondition(given, etag, "x").unwrap_err().numeric_code(), 412_001);
        }
    }
}
