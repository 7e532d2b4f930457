//! `az iot device registration create`: a device registers, as the SDKs would have it do.

use crate::az::args::Args;
use crate::az::command::{Command, DPS_CONTEXT};
use crate::az::context::{Context, Task, segment};
use crate::az::data_plane::Service;
use crate::az::failure::{Failure, Result};
use crate::az::json_text;
use crate::az::members::text;
use crate::device::connection::asking_the_audit_log;
use crate::device::csr::DeviceKey;
use crate::device::dial::ClientCertificate;
use crate::device::key;
use crate::device::registration::{RegistrationRequest, register};
use crate::profile::read_bounded;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_pki::certificate::Certificate;
use http::Method;
use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject;

const OPTIONS: &str = "--registration-id/--rid! # Registration id of the device.
--id-scope/--scope # Id scope of the service; that of --dps-name without it.
--enrollment-group-id/--group-id/--gid # Enrollment group whose key the device's key is derived from.
--symmetric-key/--key # The device's key, or with --compute-key that of its group, base64.
--compute-key/--ck flag # Derive the device's key from the given one.
--certificate-file-path/--cp # File of the device's certificate, PEM, leaf first.
--key-file-path/--kp # File of its key, PEM (PKCS#8).
--csr # File of a certificate request, PEM or DER: ask for a certificate.
--payload # JSON for the allocation function.
--provisioning-host/--host # Host name at which devices register; that of the server without it.
~--passphrase/--pass";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[Command::new(
    "iot device registration create",
    "Register a device at a provisioning service.",
    &[DPS_CONTEXT, OPTIONS],
    create,
)];

/// What the device proves with who it is.
enum Proof {
    Key(String),
    Certificate(Vec<Vec<u8>>, DeviceKey),
}

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let registration_id = args.filled("--registration-id")?.to_owned();
        let proof = proof(context, args, &registration_id).await?;
        let id_scope = id_scope(context, args).await?;
        let host = match args.text("--provisioning-host") {
            Some(host) => host.to_owned(),
            None => format!("global.azure-devices-provisioning.{}", context.domain()?),
        };
        let payload = args.text("--payload").map(json_text::parse).transpose()?;
        let csr = args.text("--csr").map(|file| request(context, file)).transpose()?;
        let network = context.device_network().await?;
        let (device_key, certificate) = match &proof {
            Proof::Key(key) => (Some(key.clone()), None),
            Proof::Certificate(chain, key) => (None, Some(ClientCertificate { chain, key })),
        };
        let dial = network.dial(&host, certificate).await?;
        let asked = RegistrationRequest { id_scope, registration_id, device_key, csr, payload };
        Ok(register(&dial, &asked).await.map_err(asking_the_audit_log)?.document.into())
    })
}

async fn proof(context: &mut Context<'_>, args: &Args, registration_id: &str) -> Result<Proof> {
    if args.given("--passphrase") {
        return Err(Failure::error(
            "--passphrase is not built; write the key without one: openssl pkcs8 -topk8 -nocrypt -in KEY -out PLAIN_KEY",
        ));
    }
    let files = (args.text("--certificate-file-path"), args.text("--key-file-path"));
    let group = args.text("--enrollment-group-id");
    match (args.text("--symmetric-key"), files) {
        (Some(_), (Some(_), _) | (_, Some(_))) => {
            Err(Failure::error("A device registers with a key or with a certificate; give one of them."))
        }
        (Some(key), _) if args.flag("--compute-key") => Ok(Proof::Key(key::derive(key, registration_id)?)),
        (Some(key), _) => Ok(Proof::Key(key.to_owned())),
        (None, (Some(chain), Some(key))) => {
            let pem = read_bounded(&context.environment.path(chain))?;
            let certificates = Certificate::chain_from_pem(&String::from_utf8_lossy(&pem))?;
            let key = DeviceKey::from_pem(&read_bounded(&context.environment.path(key))?)?;
            Ok(Proof::Certificate(certificates.iter().map(|one| one.der().to_vec()).collect(), key))
        }
        (None, (Some(_), None) | (None, Some(_))) => {
            Err(Failure::error("Both certificate and key files are required for registration with x509."))
        }
        (None, (None, None)) => {
            let plane = context.data_plane(args, Service::Dps).await?;
            let path = match group {
                Some(group) => format!("/enrollmentGroups/{}/attestationmechanism", segment(group)),
                None => format!("/enrollments/{}/attestationmechanism", segment(registration_id)),
            };
            let attestation = context.call(&plane, Method::POST, &path, None, None).await?;
            let key = text(&attestation, "/symmetricKey/primaryKey");
            if key.is_empty() {
                return Err(Failure::error(
                    "The enrollment has no symmetric key: give the device's certificate with --certificate-file-path and --key-file-path.",
                ));
            }
            let key = if group.is_some() { key::derive(key, registration_id)? } else { key.to_owned() };
            Ok(Proof::Key(key))
        }
    }
}

async fn id_scope(context: &mut Context<'_>, args: &Args) -> Result<String> {
    if let Some(scope) = args.text("--id-scope") {
        return Ok(scope.to_owned());
    }
    let Some(name) = args.text("--dps-name") else {
        return Err(Failure::error("Give the id scope (--id-scope), or the service (--dps-name)."));
    };
    let dps = context.find_service(Service::Dps, name, args.text("--resource-group")).await?;
    Ok(text(&dps, "/properties/idScope").to_owned())
}

/// A certificate request as DPS takes it: base64 of the DER.
fn request(context: &Context<'_>, file: &str) -> Result<String> {
    let bytes = read_bounded(&context.environment.path(file))?;
    Ok(match CertificateSigningRequestDer::from_pem_slice(&bytes) {
        Ok(request) => STANDARD.encode(&request),
        Err(_) => STANDARD.encode(&bytes),
    })
}
