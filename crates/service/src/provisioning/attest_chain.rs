//! Attestation with a client certificate: the device's own, or one below a CA that an enrollment names.
//!
//! Groups are not looked through: the issuer's name of each certificate that was presented leads to those whose CA has this
//! name, and the chain is then verified against these CAs, as a hub verifies it.

use super::access::{shown, unauthorized};
use super::attest::{Attested, Proof, attested, no_certificate};
use super::enrollment::{Enrollment, reference_column, signer_column, stored_certificate};
use super::enrollment_parts::info;
use super::register::DeviceCaller;
use super::{DpsRef, ProvisioningService};
use crate::resources::{self, Stored, tag};
use crate::tables::ENROLLMENT_GROUPS;
use ferrohub_model::enrollment::{Attestation, CertificateInfo, EnrollmentKind, Pair, X509Attestation};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::limits::{CHAIN_CANDIDATES, CHAIN_LENGTH};
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::chain::{Anchor, CODE_BAD_CERTIFICATE, verify_client_chain};
use ferrohub_store::{Page, Row};
use serde_json::Value;
use std::sync::Arc;

/// A CA certificate of the provisioning service that its owner proved to hold the key of.
pub(super) struct VerifiedCa {
    /// Its name there.
    pub(super) name: String,
    /// The certificate.
    pub(super) certificate: Certificate,
}

/// A group that may have let the device in, and one of its CAs.
struct Candidate {
    row: Arc<Row>,
    ca: Certificate,
}

impl ProvisioningService {
    /// The verified certificates of the provisioning service, which CA references name.
    pub(super) async fn verified_cas(&self, dps: &DpsRef) -> Result<Vec<VerifiedCa>> {
        let tag = Some(tag::PROVISIONING_CERTIFICATE);
        let all = resources::children(&self.platform, dps.uid, &dps.id, tag).await?;
        let verified = |entry: &&Stored| entry.resource.value(&["isVerified"]).and_then(Value::as_bool) == Some(true);
        let read = |entry: &Stored| {
            let text = entry.resource.text(&["certificate"]).unwrap_or_default();
            let certificate = Certificate::from_pem_or_base64(text)
                .map_err(|error| Error::internal(format!("the certificate '{}' does not parse: {error}", entry.id)))?;
            Ok(VerifiedCa { name: entry.name().to_owned(), certificate })
        };
        all.iter().filter(verified).map(read).collect()
    }

    /// The proof of a device whose individual enrollment attests by X.509.
    pub(super) async fn by_own_chain(
        &self,
        dps: &DpsRef,
        x509: &X509Attestation,
        caller: &DeviceCaller<'_>,
    ) -> Result<Proof> {
        let leaf = leaf(caller)?;
        let X509Attestation::CaReferences(names) = x509 else {
            // The very certificate counts; who signed it does not matter.
            if !x509.certificates().any(|known| known.info.sha256_thumbprint == leaf.sha256()) {
                return Err(no_certificate(dps, caller.registration_id));
            }
            let fault = leaf.time_fault(self.platform.now());
            let refused = |fault| unauthorized(format!("The client certificate '{}' {fault}.", leaf.subject()));
            return fault.map_or(Ok(Proof::Certificate { own: Box::new(info(&leaf)), signer: None }), |fault| {
                Err(refused(fault))
            });
        };
        let named = |ca: &VerifiedCa| names.iter().any(|name| name.eq_ignore_ascii_case(&ca.name));
        let cas = self.verified_cas(dps).await?.into_iter().filter(named).map(|ca| ca.certificate).collect();
        let signer = self.verify(caller, cas)?.1;
        Ok(Proof::Certificate { own: Box::new(info(&leaf)), signer: Some(Box::new(signer)) })
    }

    /// The group whose CA is the nearest one above the caller's certificate.
    pub(super) async fn by_group_chain(&self, dps: &DpsRef, caller: &DeviceCaller<'_>) -> Result<Attested> {
        let leaf = leaf(caller)?;
        let candidates = self.candidates(dps, caller).await?;
        if candidates.is_empty() {
            // What is wrong with the chain itself is said first.
            let malformed = verify_client_chain(caller.peer_chain, &[], self.platform.now()).err();
            let malformed = malformed.filter(|error| error.iot_code == CODE_BAD_CERTIFICATE);
            return Err(malformed.map_or_else(|| no_certificate(dps, caller.registration_id), refused));
        }
        let cas = candidates.iter().map(|candidate| candidate.ca.clone()).collect();
        let (print, signer) = self.verify(caller, cas)?;
        let home = self.home_group(dps, caller.registration_id).await?.map(|row| row.key.clone());
        let mut fitting: Vec<&Candidate> =
            candidates.iter().filter(|candidate| candidate.ca.sha256() == print).collect();
        fitting.sort_by_key(|candidate| (home.as_ref() != Some(&candidate.row.key), candidate.row.key.clone()));
        let found = fitting.first().ok_or_else(|| Error::internal("a verified chain ends in no CA of a group"))?;
        let group = Enrollment::of_row(EnrollmentKind::Group, &found.row)?;
        let proof = Proof::Certificate { own: Box::new(info(&leaf)), signer: Some(Box::new(signer)) };
        Ok(attested(dps, group, &found.row, caller.registration_id, proof))
    }

    /// The groups with a CA that has the name of an issuer in the chain, the leaf's first.
    async fn candidates(&self, dps: &DpsRef, caller: &DeviceCaller<'_>) -> Result<Vec<Candidate>> {
        let cas = self.verified_cas(dps).await?;
        let mut found = Vec::new();
        let mut seen: Vec<Vec<u8>> = Vec::new();
        for der in caller.peer_chain.iter().take(CHAIN_LENGTH) {
            let Ok(certificate) = Certificate::from_der(der) else { continue };
            let issuer = certificate.issuer_der();
            if seen.iter().any(|seen| seen == issuer) {
                continue;
            }
            seen.push(issuer.to_vec());
            for row in self.groups_with(&signer_column(dps, issuer)).await? {
                for ca in signing(&row)?.into_iter().filter(|ca| ca.subject_der() == issuer) {
                    found.push(Candidate { row: Arc::clone(&row), ca });
                }
            }
            for ca in cas.iter().filter(|ca| ca.certificate.subject_der() == issuer) {
                for row in self.groups_with(&reference_column(dps, &ca.name)).await? {
                    found.push(Candidate { row, ca: ca.certificate.clone() });
                }
            }
        }
        Ok(found)
    }

    /// The groups that a column leads to; few in any case.
    async fn groups_with(&self, value: &str) -> Result<Vec<Arc<Row>>> {
        let mut rows = Vec::new();
        for column in ["primary", "secondary"] {
            let page = Page::first(CHAIN_CANDIDATES);
            rows.extend(self.platform.store.find(&ENROLLMENT_GROUPS, column, value, page).await?);
        }
        Ok(rows)
    }

    /// Verifies the caller's chain; the thumbprint of the CA in which it ends, and what that says.
    fn verify(&self, caller: &DeviceCaller<'_>, cas: Vec<Certificate>) -> Result<(String, CertificateInfo)> {
        let anchors: Vec<Anchor> = cas.into_iter().map(Anchor::new).collect();
        let verified = verify_client_chain(caller.peer_chain, &anchors, self.platform.now()).map_err(refused)?;
        let anchor =
            anchors.get(verified.anchor_index).ok_or_else(|| Error::internal("a verified chain ends in no anchor"))?;
        Ok((verified.anchor_sha256, info(anchor.certificate())))
    }
}

/// The caller's own certificate, which must be made out to the registration.
fn leaf(caller: &DeviceCaller<'_>) -> Result<Certificate> {
    let der = caller.peer_chain.first().map(Vec::as_slice).unwrap_or_default();
    let leaf =
        Certificate::from_der(der).map_err(|error| unauthorized(format!("Invalid certificate. {}", error.message)))?;
    if leaf.common_name() != Some(caller.registration_id) {
        let name: String = leaf.common_name().unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
        return Err(unauthorized(format!(
            "The client certificate is for '{}', not for '{}'; the registration id is the common name of the certificate.",
            shown(&name),
            caller.registration_id
        )));
    }
    Ok(leaf)
}

/// The signing certificates of a group.
fn signing(row: &Row) -> Result<Vec<Certificate>> {
    let group = Enrollment::of_row(EnrollmentKind::Group, row)?;
    match group.attestation() {
        Attestation::X509(X509Attestation::SigningCertificates(Pair { primary, secondary })) => {
            primary.iter().chain(secondary).map(|given| stored_certificate(&given.certificate)).collect()
        }
        _ => Ok(Vec::new()),
    }
}

/// A refusal of the verifier as DPS words it: one code for all.
fn refused(error: Error) -> Error {
    match error.kind {
        ErrorKind::Unauthenticated => error.with_code("Unauthorized").with_iot_code(401_002),
        _ => error,
    }
}
