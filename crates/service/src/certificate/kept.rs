//! Certificates of devices themselves. The inventory keeps what tells one from another, not their bytes; those are kept for the device,
//! with the registration or renewal that it got them by, and are found there until the device got others
//! ([ADR 0056](../../../../docs/adr/0056-certificates-as-files.md)).

use crate::platform::Platform;
use crate::resources::Stored;
use crate::tables::{REGISTRATIONS, RENEWALS};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::certificate_authority::CertificateRecord;
use ferrohub_model::error::Result;
use ferrohub_model::registration::Registration;
use ferrohub_model::renewal::{RenewalState, Renewals};
use ferrohub_model::uid::uid_key;
use ferrohub_pki::certificate::Certificate;

/// The certificate of `record`, where a registration at one of `services` or a renewal still has it.
///
/// # Errors
/// When the store cannot be read.
pub async fn kept(platform: &Platform, services: &[Stored], record: &CertificateRecord) -> Result<Option<Certificate>> {
    let mut leaves = Vec::new();
    if let Some(row) = platform.store.get(&RENEWALS, &uid_key(record.device)).await? {
        for operation in &row.parse::<Renewals>()?.operations {
            if let RenewalState::Issued { leaf, .. } = &operation.state {
                leaves.push(leaf.clone());
            }
        }
    }
    for service in services {
        let key = format!("{}/{}", service.key(), record.subject.to_ascii_lowercase());
        let Some(row) = platform.store.get(&REGISTRATIONS, &key).await? else { continue };
        let registration = row.parse::<Registration>()?;
        leaves.extend(registration.operations.iter().filter_map(|operation| operation.chain.first().cloned()));
    }
    let mut certificates = leaves.iter().filter_map(|leaf| Certificate::from_der(&STANDARD.decode(leaf).ok()?).ok());
    Ok(certificates.find(|found| found.sha256().eq_ignore_ascii_case(&record.sha256)))
}
