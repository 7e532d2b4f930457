//! What an enrollment is made of when it is written: checked settings, sealed keys, certificates that were looked at.

use super::access::shown;
use super::enrollment::table;
use super::enrollments::bad;
use super::{DpsRef, ProvisioningService};
use ferrohub_model::azure_names;
use ferrohub_model::enrollment::{
    AllocationPolicy, Attestation, CertificateInfo, EnrolledCertificate, EnrollmentKind, EnrollmentSettings,
    InitialTwin, Pair, RequestedAttestation, RequestedCertificate, RequestedKeys, RequestedX509, SymmetricKeys,
    X509Attestation,
};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::time::rfc3339;
use ferrohub_model::twin::Twin;
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::key::generate_symmetric_key;
use jiff::Timestamp;
use serde_json::Value;
use zeroize::Zeroizing;

const PRIMARY: &str = "primary";
const SECONDARY: &str = "secondary";

impl ProvisioningService {
    /// Gives hubs that a client behind `ferrohub proxy` named as Azure does the names that they have here.
    pub(super) fn name_hubs_here(&self, settings: &mut EnrollmentSettings) {
        let domain = &self.platform.settings.domain;
        for host in settings.iot_hubs.iter_mut().flatten().chain(&mut settings.iot_hub_host_name) {
            if let Some(here) = azure_names::here(host, domain) {
                *host = here;
            }
        }
    }

    /// Refuses settings that no device could be provisioned with.
    pub(super) fn check_settings(&self, dps: &DpsRef, settings: &EnrollmentSettings) -> Result<()> {
        check_hubs(dps, settings)?;
        if let Some(definition) = &settings.custom_allocation_definition {
            self.check_webhook(definition).map_err(|why| {
                bad(format!("The webhook cannot be asked: {why}.")).with_target("customAllocationDefinition.webhookUrl")
            })?;
        }
        initial_twin(settings, self.platform.now()).map(drop)
    }

    /// The attestation as it will be stored; `former` is that of the enrollment now, whose keys and certificates the request may mean.
    pub(super) async fn attestation(
        &self,
        dps: &DpsRef,
        kind: EnrollmentKind,
        id: &str,
        requested: &RequestedAttestation,
        former: Option<&Attestation>,
    ) -> Result<Attestation> {
        Ok(match requested {
            RequestedAttestation::SymmetricKey(keys) => {
                let former = match former {
                    Some(Attestation::SymmetricKey(former)) => Some(former),
                    _ => None,
                };
                Attestation::SymmetricKey(self.seal_keys(dps, kind, id, keys, former).await?)
            }
            RequestedAttestation::X509(x509) => {
                self.check_references(dps, x509, former).await?;
                let former: Vec<&EnrolledCertificate> = match former {
                    Some(Attestation::X509(former)) => former.certificates().collect(),
                    _ => Vec::new(),
                };
                Attestation::X509(certificates(x509, &former, self.platform.now())?)
            }
            RequestedAttestation::Tpm(keys) => Attestation::Tpm(keys.clone()),
        })
    }

    /// CA references name verified certificates of the service. What the enrollment names already may stay: who disables it need not
    /// first prove something.
    async fn check_references(
        &self,
        dps: &DpsRef,
        requested: &RequestedX509,
        former: Option<&Attestation>,
    ) -> Result<()> {
        let RequestedX509::CaReferences(names) = requested else { return Ok(()) };
        let kept: Vec<&String> = match former {
            Some(Attestation::X509(X509Attestation::CaReferences(pair))) => pair.iter().collect(),
            _ => Vec::new(),
        };
        let verified = self.verified_cas(dps).await?;
        let known = |name: &str| {
            kept.iter().any(|kept| kept.eq_ignore_ascii_case(name))
                || verified.iter().any(|ca| ca.name.eq_ignore_ascii_case(name))
        };
        match names.iter().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => Err(bad(format!(
                "The provisioning service '{0}' has no verified certificate '{1}'. Upload it and prove that its key is yours: az iot dps certificate create --dps-name {0} --certificate-name {1} --path '<file>', then generate-verification-code and verify.",
                dps.name,
                shown(name)
            ))
            .with_target("attestation.x509.caReferences")),
        }
    }

    /// The opened keys of an enrollment, base64, primary first; `key` is that of its row.
    pub(super) async fn open_keys(
        &self,
        kind: EnrollmentKind,
        key: &str,
        keys: &SymmetricKeys,
    ) -> Result<(Zeroizing<String>, Zeroizing<String>)> {
        Ok((
            self.open_key(kind, key, PRIMARY, &keys.primary).await?,
            self.open_key(kind, key, SECONDARY, &keys.secondary).await?,
        ))
    }

    async fn open_key(&self, kind: EnrollmentKind, key: &str, field: &str, sealed: &str) -> Result<Zeroizing<String>> {
        let owner = key.split('/').next().unwrap_or_default();
        let platform = &self.platform;
        let bytes = platform.keyring.open(platform.store.as_ref(), owner, table(kind).name, key, field, sealed).await?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Error::internal(format!("{field} key of {} {key} is no text", kind.word())))?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    async fn seal_keys(
        &self,
        dps: &DpsRef,
        kind: EnrollmentKind,
        id: &str,
        requested: &RequestedKeys,
        former: Option<&SymmetricKeys>,
    ) -> Result<SymmetricKeys> {
        let key = dps.row_key(id);
        let seal = async |field: &str, requested: Option<&str>, former: Option<&String>| {
            let generated;
            let plain = match (requested, former) {
                (Some(requested), _) => requested,
                (None, Some(former)) => return Ok(former.clone()),
                (None, None) => {
                    generated = generate_symmetric_key(self.platform.random.as_ref());
                    generated.as_str()
                }
            };
            let (platform, owner) = (&self.platform, dps.stored.key());
            let store = platform.store.as_ref();
            platform.keyring.seal(store, &owner, table(kind).name, &key, field, plain.as_bytes()).await
        };
        Ok(SymmetricKeys {
            primary: seal(PRIMARY, requested.primary.as_deref(), former.map(|keys| &keys.primary)).await?,
            secondary: seal(SECONDARY, requested.secondary.as_deref(), former.map(|keys| &keys.secondary)).await?,
        })
    }
}

/// The certificates that a request names, parsed and looked at.
fn certificates(requested: &RequestedX509, former: &[&EnrolledCertificate], now: Timestamp) -> Result<X509Attestation> {
    let both = |pair: &Pair<RequestedCertificate>, form: &str, ca: bool| -> Result<Pair<EnrolledCertificate>> {
        let side = |given: &Option<RequestedCertificate>, side: &str| {
            let path = format!("attestation.x509.{form}.{side}.certificate");
            given.as_ref().map(|given| certificate(given, former, ca, now, &path)).transpose()
        };
        Ok(Pair { primary: side(&pair.primary, PRIMARY)?, secondary: side(&pair.secondary, SECONDARY)? })
    };
    Ok(match requested {
        RequestedX509::ClientCertificates(pair) => {
            X509Attestation::ClientCertificates(both(pair, "clientCertificates", false)?)
        }
        RequestedX509::SigningCertificates(pair) => {
            X509Attestation::SigningCertificates(both(pair, "signingCertificates", true)?)
        }
        RequestedX509::CaReferences(pair) => X509Attestation::CaReferences(pair.clone()),
    })
}

/// One certificate. What the enrollment has already is taken as it is, also when it has expired: who disables an enrollment need not
/// first give it another certificate.
fn certificate(
    requested: &RequestedCertificate,
    former: &[&EnrolledCertificate],
    ca: bool,
    now: Timestamp,
    path: &str,
) -> Result<EnrolledCertificate> {
    let known = |print: &str| former.iter().find(|former| former.info.sha256_thumbprint == print).copied().cloned();
    let refuse = |why: String| bad(format!("{path} cannot be used: {why}")).with_target(path);
    let text = match requested {
        RequestedCertificate::Kept(print) => {
            return known(print).ok_or_else(|| {
                refuse(format!(
                    "the enrollment has no certificate with the thumbprint {print} to keep; give the certificate."
                ))
            });
        }
        RequestedCertificate::Text(text) => text,
    };
    let certificate = Certificate::from_pem_or_base64(text).map_err(|error| refuse(error.message))?;
    if let Some(known) = known(certificate.sha256()) {
        return Ok(known);
    }
    let name = certificate.subject();
    let fault = if ca { certificate.lasting_ca_fault() } else { None };
    if let Some(fault) = fault.or_else(|| certificate.time_fault(now)) {
        return Err(refuse(format!("the certificate '{name}' {fault}.")));
    }
    if let Err(error) = certificate.key_kind() {
        return Err(refuse(format!("the key of '{name}' is not usable: {}", error.message)));
    }
    Ok(EnrolledCertificate { certificate: certificate.to_base64(), info: Box::new(info(&certificate)) })
}

/// What a certificate says, as the APIs show it.
pub(super) fn info(certificate: &Certificate) -> CertificateInfo {
    CertificateInfo {
        subject_name: certificate.subject().to_string(),
        sha1_thumbprint: certificate.sha1().to_owned(),
        sha256_thumbprint: certificate.sha256().to_owned(),
        issuer_name: certificate.issuer().to_string(),
        not_before: certificate.not_before(),
        not_after: certificate.not_after(),
        serial_number: certificate.serial_hex().to_owned(),
        version: certificate.version(),
    }
}

fn check_hubs(dps: &DpsRef, settings: &EnrollmentSettings) -> Result<()> {
    let linked = super::linked_hub::linked_hubs(dps);
    let named = settings.iot_hubs.iter().flatten().chain(&settings.iot_hub_host_name);
    for host in named {
        if !linked.iter().any(|hub| hub.host.eq_ignore_ascii_case(host)) {
            let known: Vec<&str> = linked.iter().map(|hub| hub.host.as_str()).collect();
            return Err(bad(format!(
                "The hub '{}' is not linked to the provisioning service '{}'; linked are: {}.",
                shown(host),
                dps.name,
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            )));
        }
    }
    let count = settings.iot_hubs.as_ref().map_or(0, Vec::len);
    if settings.allocation_policy == Some(AllocationPolicy::Static)
        && settings.iot_hub_host_name.is_none()
        && count != 1
    {
        return Err(bad(
            "The allocation policy 'static' needs exactly one hub in iotHubs, or iotHubHostName.".to_owned()
        ));
    }
    Ok(())
}

/// The twin with which devices of an enrollment start, under the twin's own rules.
///
/// # Errors
/// `ArgumentInvalid` (400004) naming the path and the limit.
pub(super) fn initial_twin(settings: &EnrollmentSettings, now: Timestamp) -> Result<Twin> {
    let InitialTwin { tags, desired } = &settings.initial_twin;
    Twin::initial(Some(&Value::Object(tags.clone())), Some(&Value::Object(desired.clone())), &rfc3339(now))
}
