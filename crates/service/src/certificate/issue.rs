//! Issuing a device's certificate: serial number first, signature second, and the row for the caller's unit.

use super::authority::{ca_url, crl_url, open_issuer};
use super::authority_rows::{authority, pending_of, row_of_owner};
use super::policy::{is_enabled, leaf_days};
use super::record::put;
use crate::audit::{self, AuditEvent, Kind};
use crate::platform::Platform;
use crate::resources::Stored;
use crate::tables::{AUTHORITIES, CERTIFICATES, RESOURCES};
use ferrohub_model::certificate_authority::{AuthorityRecord, CertificateRecord, CertificateState};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::LEAF_VALIDITY_DEFAULT_DAYS;
use ferrohub_pki::csr::{CODE_BAD_REQUEST, CertificateRequest};
use ferrohub_pki::profile::{LeafFields, Profile};
use ferrohub_store::UnitOfWork;
use std::sync::Arc;
use uuid::Uuid;

/// What is asked for.
pub struct IssueRequest<'a> {
    /// Namespace of the policy.
    pub namespace: &'a Stored,
    /// The authority that signs.
    pub authority: &'a Stored,
    /// Its certificate policy.
    pub policy: &'a Stored,
    /// The verified request; only its key is taken.
    pub csr: &'a CertificateRequest,
    /// Registration id, which the request's common name must be.
    pub registration_id: &'a str,
    /// Device id, which becomes the common name of the certificate.
    pub device_id: &'a str,
    /// Uid of the device identity.
    pub device_uid: Uuid,
    /// The device's current credential id.
    pub credential_id: Uuid,
}

/// A signed certificate whose row waits for the caller's unit of work.
#[derive(Debug)]
pub struct Issued {
    /// The certificate, DER.
    pub leaf_der: Vec<u8>,
    /// Ids of the issuing authority and of the root.
    pub authorities: [Uuid; 2],
    /// What must be committed together with the device.
    pub unit: UnitOfWork,
}

/// Checks that a request names the device that sends it.
///
/// # Errors
/// `Invalid` (400037) naming both names.
pub fn check_common_name(csr: &CertificateRequest, registration_id: &str) -> Result<()> {
    match csr.common_name() {
        Some(name) if name == registration_id => Ok(()),
        Some(name) => {
            let shown: String = name.chars().take(128).collect();
            Err(Error::invalid(format!(
                "The certificate request's common name '{shown}' is not the registration id '{registration_id}'; they must be equal, letter by letter."
            ))
            .with_iot_code(CODE_BAD_REQUEST))
        }
        None => Err(Error::invalid(format!(
            "The certificate request has no common name; its subject must be 'CN={registration_id}'."
        ))
        .with_iot_code(CODE_BAD_REQUEST)),
    }
}

/// Issues the certificate of a device. The serial number is reserved on disk before anything is signed; the
/// certificate counts once the caller has committed [`Issued::unit`].
///
/// # Errors
/// `Invalid` where the request names another device; `Conflict` where the policy is disabled or its authority gone or expired.
pub async fn issue_leaf(platform: &Platform, request: IssueRequest<'_>) -> Result<Issued> {
    check_common_name(request.csr, request.registration_id)?;
    if !is_enabled(request.policy) {
        return Err(disabled(request.authority.name(), request.namespace));
    }
    let (issuing, version, root) = chain_of(platform, &request).await?;
    let issuer = open_issuer(platform, &issuing).await?;
    let profile = Profile::leaf(fields(platform, &request, &issuing))?;
    let now = platform.now();
    let serial = platform.serials.next(platform).await?;
    let prepared = issuer.prepare(&profile, request.csr.public_key_info_der(), serial, now)?;
    let leaf = prepared.sign().await?;
    let record = CertificateRecord {
        serial: serial.to_hex().to_ascii_lowercase(),
        issuer: issuing.id,
        chain: vec![issuing.id, root],
        device: request.device_uid,
        subject: request.device_id.to_owned(),
        credential_id: request.credential_id,
        state: CertificateState::Issued,
        created: now,
        not_before: leaf.not_before(),
        not_after: leaf.not_after(),
        sha256: leaf.sha256(),
        revoked: None,
    };
    let mut unit = UnitOfWork::new();
    unit.expect_absent(&CERTIFICATES, record.serial.clone());
    // An authority that was retired meanwhile must not have issued.
    unit.expect_version(&AUTHORITIES, issuing.id.to_string(), version);
    // Nor must a policy that was disabled meanwhile.
    unit.expect_version(&RESOURCES, request.policy.key(), request.policy.version);
    unit.put(put(&record)?);
    let event = AuditEvent::new(Kind::CertificateIssued, request.device_id, request.authority.id.to_string());
    unit.put(audit::row(platform, event.what(format!("serial {}", record.serial)))?);
    Ok(Issued { leaf_der: leaf.into_der(), authorities: [issuing.id, root], unit })
}

fn disabled(policy: &str, namespace: &Stored) -> Error {
    Error::conflict(format!(
        "The policy '{policy}' of the namespace '{0}' is disabled, so it issues no certificates. Enable it: az iot adr ns policy enable --namespace {0} --resource-group {1} --name {policy}",
        namespace.name(),
        namespace.group()
    ))
    .with_code("PolicyDisabled")
    .with_iot_code(409_000)
}

/// The issuing authority with its row's version, and the id of the root, which must be there.
async fn chain_of(platform: &Platform, request: &IssueRequest<'_>) -> Result<(Arc<AuthorityRecord>, u64, Uuid)> {
    let missing = || {
        Error::conflict(format!(
            "The policy '{}' of the namespace '{}' has no certificate authority any more, so it issues nothing; create it again.",
            request.authority.name(),
            request.namespace.name()
        ))
        .with_iot_code(409_000)
    };
    let Some((issuing, version)) = row_of_owner(platform, request.authority.uid).await? else {
        return Err(match pending_of(platform, request.authority.uid).await? {
            None => missing(),
            Some(_) => waiting(request),
        });
    };
    let root = match issuing.issuer {
        Some(id) => authority(platform, id).await?.ok_or_else(missing)?,
        None => return Err(Error::internal(format!("authority {} of a policy is a root", issuing.id))),
    };
    Ok((issuing, version, root.id))
}

/// A policy whose issuing CA nobody has signed yet.
fn waiting(request: &IssueRequest<'_>) -> Error {
    Error::conflict(format!(
        "The policy '{0}' of the namespace '{1}' waits for the certificate of its issuing CA (PendingActivation), so it issues nothing yet. Sign its request and activate it: az iot adr ns policy activate-byor --namespace {1} --name {0} --certificate-chain-file '<chain.pem>'",
        request.authority.name(),
        request.namespace.name()
    ))
    .with_iot_code(409_000)
}

fn fields(platform: &Platform, request: &IssueRequest<'_>, issuing: &AuthorityRecord) -> LeafFields {
    let days = leaf_days(request.policy).unwrap_or(LEAF_VALIDITY_DEFAULT_DAYS);
    let base = platform.settings.pki_url.as_deref();
    LeafFields {
        common_name: request.device_id.to_owned(),
        days,
        credential_id: request.credential_id,
        crl_url: base.map(|base| crl_url(base, issuing.id)),
        issuer_url: base.map(|base| ca_url(base, issuing.id)),
    }
}
