//! A stored enrollment of either kind: where its row lies, what it is called, what it holds.

use super::access::shown;
use super::{DpsRef, ProvisioningService};
use crate::platform::{Change, Platform};
use crate::sha256;
use crate::tables::{ENROLLMENT_GROUPS, INDIVIDUAL_ENROLLMENTS};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::enrollment::{
    Attestation, EnrollmentGroup, EnrollmentKind, EnrollmentRecord, EnrollmentSettings, IndividualEnrollment, Pair,
    X509Attestation,
};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::registration::EnrolledBy;
use ferrohub_model::uid::uid_key;
use ferrohub_pki::certificate::Certificate;
use ferrohub_store::{Expect, Page, Put, Row, Table};
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

/// An enrollment as it was read.
#[derive(Debug, Clone)]
pub(super) enum Enrollment {
    /// Of many devices.
    Group(Arc<EnrollmentGroup>),
    /// Of one.
    Individual(Arc<IndividualEnrollment>),
}

/// The table of a kind.
pub(super) fn table(kind: EnrollmentKind) -> &'static Table {
    match kind {
        EnrollmentKind::Group => &ENROLLMENT_GROUPS,
        EnrollmentKind::Individual => &INDIVIDUAL_ENROLLMENTS,
    }
}

impl Enrollment {
    /// Parses a row of the table of `kind`.
    pub(super) fn of_row(kind: EnrollmentKind, row: &Row) -> Result<Self> {
        Ok(match kind {
            EnrollmentKind::Group => Self::Group(row.parse()?),
            EnrollmentKind::Individual => Self::Individual(row.parse()?),
        })
    }

    /// Of which kind it is.
    pub(super) fn kind(&self) -> EnrollmentKind {
        match self {
            Self::Group(_) => EnrollmentKind::Group,
            Self::Individual(_) => EnrollmentKind::Individual,
        }
    }

    /// Its id, with the case that it was made with.
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Group(group) => &group.id,
            Self::Individual(individual) => &individual.id,
        }
    }

    /// What both kinds have.
    pub(super) fn record(&self) -> &EnrollmentRecord {
        match self {
            Self::Group(group) => &group.record,
            Self::Individual(individual) => &individual.record,
        }
    }

    /// What the client wrote.
    pub(super) fn settings(&self) -> &EnrollmentSettings {
        &self.record().settings
    }

    /// How a device proves that it belongs here.
    pub(super) fn attestation(&self) -> &Attestation {
        &self.record().attestation
    }

    /// How a registration refers to it.
    pub(super) fn reference(&self) -> EnrolledBy {
        match self {
            Self::Group(group) => EnrolledBy::Group(group.id.clone()),
            Self::Individual(individual) => EnrolledBy::Individual(individual.id.clone()),
        }
    }

    /// As GET and query show it.
    pub(super) fn view(&self) -> Value {
        match self {
            Self::Group(group) => group.view(),
            Self::Individual(individual) => individual.view(),
        }
    }

    /// Its row.
    pub(super) fn put(&self, dps: &DpsRef) -> Result<Put> {
        let (key, columns) = (dps.row_key(self.id()), self.columns(dps)?);
        Ok(match self {
            Self::Group(group) => Put::new(&ENROLLMENT_GROUPS, key, columns, group.as_ref())?,
            Self::Individual(individual) => Put::new(&INDIVIDUAL_ENROLLMENTS, key, columns, individual.as_ref())?,
        })
    }

    /// What it is found by: the names of the CAs that sign for it.
    fn columns(&self, dps: &DpsRef) -> Result<Vec<Option<String>>> {
        let Attestation::X509(x509) = self.attestation() else { return Ok(vec![None, None]) };
        let both = match x509 {
            X509Attestation::ClientCertificates(_) => [None, None],
            X509Attestation::CaReferences(Pair { primary, secondary }) => {
                [primary, secondary].map(|name| name.as_ref().map(|name| reference_column(dps, name)))
            }
            X509Attestation::SigningCertificates(Pair { primary, secondary }) => {
                let mut both = [None, None];
                for (column, given) in both.iter_mut().zip([primary, secondary]) {
                    let Some(given) = given else { continue };
                    let subject = stored_certificate(&given.certificate)?;
                    *column = Some(signer_column(dps, subject.subject_der()));
                }
                both
            }
        };
        Ok(both.into())
    }
}

/// The column of enrollments that a CA with this subject, DER, signs for.
pub(super) fn signer_column(dps: &DpsRef, subject: &[u8]) -> String {
    format!("{}/x509/{}", dps.stored.key(), sha256::hex(subject).get(..32).unwrap_or_default())
}

/// The column of enrollments that refer to this certificate of the service.
pub(super) fn reference_column(dps: &DpsRef, name: &str) -> String {
    reference(&dps.stored.key(), name)
}

fn reference(dps: &str, name: &str) -> String {
    format!("{dps}/ca/{}", name.to_ascii_lowercase())
}

/// The enrollments, a few of them, that refer to the certificate `name` of the provisioning service `dps`.
///
/// # Errors
/// The store's.
pub(crate) async fn that_refer_to(platform: &Platform, dps: Uuid, name: &str) -> Result<Vec<String>> {
    let value = reference(&uid_key(dps), name);
    let mut found = Vec::new();
    for kind in [EnrollmentKind::Group, EnrollmentKind::Individual] {
        for column in REFERENCES {
            for row in platform.store.find(table(kind), column, &value, Page::first(SHOWN)).await? {
                found.push(format!("the {} '{}'", kind.word(), Enrollment::of_row(kind, &row)?.id()));
            }
        }
    }
    found.dedup();
    Ok(found)
}

/// Adds to `change` that no enrollment refers to the certificate.
pub(crate) fn expect_none_refers(dps: Uuid, name: &str, change: &mut Change) {
    for kind in [EnrollmentKind::Group, EnrollmentKind::Individual] {
        for column in REFERENCES {
            let value = reference(&uid_key(dps), name);
            change.unit.expect(Expect::NoneWith { table: table(kind), column, value });
        }
    }
}

/// The columns of both tables that name CAs.
const REFERENCES: [&str; 2] = ["primary", "secondary"];
/// Enrollments that a refusal names at most.
const SHOWN: usize = 5;

/// A certificate of a stored enrollment.
pub(super) fn stored_certificate(base64: &str) -> Result<Certificate> {
    let der = STANDARD.decode(base64).map_err(|_| Error::internal("a certificate of an enrollment is not base64"))?;
    Certificate::from_der(&der).map_err(|error| Error::internal(format!("a certificate of an enrollment: {error}")))
}

impl ProvisioningService {
    /// The row of an enrollment, if there is one.
    pub(super) async fn enrollment_row(
        &self,
        kind: EnrollmentKind,
        dps: &DpsRef,
        id: &str,
    ) -> Result<Option<Arc<Row>>> {
        Ok(self.platform.store.get(table(kind), &dps.row_key(id)).await?)
    }
}

/// The refusal for an enrollment that does not exist.
pub(super) fn missing(kind: EnrollmentKind, dps: &DpsRef, id: &str) -> Error {
    Error::not_found(format!("The provisioning service '{}' has no {} '{}'.", dps.name, kind.word(), shown(id)))
        .with_iot_code(404_201)
}
