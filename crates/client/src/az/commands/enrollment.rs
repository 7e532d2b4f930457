//! `az iot dps enrollment …`: individual enrollments.

use super::enrollment_settings::{REMOVALS, SETTINGS, apply, certificates, keys};
use crate::az::args::Args;
use crate::az::command::{Command, DPS_CONTEXT};
use crate::az::context::{Context, Task, segment};
use crate::az::data_plane::Service;
use crate::az::failure::{Failure, Result};
use crate::az::json_text;
use crate::az::members::{set_at, text};
use crate::az::output::Output;
use crate::az::shell::shell_quoted;
use http::Method;
use serde_json::{Value, json};

const ENROLLMENT: &str = "--enrollment-id/--eid! # Registration id of the device.";
const ETAG: &str = "--etag/-e # Only with this ETag.";
const DEVICE: &str = "--device-id/-d # Device id at the hub; the registration id without it.
--device-information/--info # JSON of anything that is known of the device, or a file with it.
--endorsement-key/--ek # Endorsement key of the device's TPM, base64.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "iot dps enrollment create",
        "Create an individual enrollment.",
        &[
            DPS_CONTEXT,
            ENROLLMENT,
            "--attestation-type/--at! {tpm,x509,symmetricKey} # How the device proves who it is.",
            DEVICE,
            SETTINGS,
        ],
        create,
    ),
    Command::new(
        "iot dps enrollment show",
        "Show an individual enrollment.",
        &[DPS_CONTEXT, ENROLLMENT, "--show-keys/--keys 3st # With its keys."],
        show,
    ),
    Command::new(
        "iot dps enrollment list",
        "List individual enrollments.",
        &[DPS_CONTEXT, "--top int # Enrollments at most."],
        list,
    ),
    Command::new(
        "iot dps enrollment update",
        "Change an individual enrollment.",
        &[DPS_CONTEXT, ENROLLMENT, DEVICE, SETTINGS, REMOVALS, ETAG],
        update,
    ),
    Command::new(
        "iot dps enrollment delete",
        "Delete an individual enrollment.",
        &[DPS_CONTEXT, ENROLLMENT, ETAG],
        delete,
    ),
];

fn path(args: &Args) -> Result<String> {
    Ok(format!("/enrollments/{}", segment(args.filled("--enrollment-id")?)))
}

/// The attestation of a new enrollment.
fn attestation(context: &Context<'_>, args: &Args) -> Result<Value> {
    let kind = args.required("--attestation-type")?;
    refuse_others(args, kind)?;
    Ok(match kind {
        "tpm" => {
            let Some(key) = args.text("--endorsement-key") else {
                return Err(Failure::error("Endorsement key is requested"));
            };
            json!({"type": "tpm", "tpm": {"endorsementKey": key}})
        }
        "x509" => {
            let Some(pair) = certificates(context, args, &Value::Null)? else {
                return Err(Failure::error("Please provide at least one certificate"));
            };
            json!({"type": "x509", "x509": {"clientCertificates": pair}})
        }
        _ => {
            if args.given("--primary-key") != args.given("--secondary-key") {
                return Err(Failure::error("Please provide both primary and secondary keys or none"));
            }
            json!({"type": "symmetricKey", "symmetricKey": keys(args).unwrap_or_else(|| json!({}))})
        }
    })
}

/// Refuses options of another attestation than `kind`, which would silently not count.
fn refuse_others(args: &Args, kind: &str) -> Result<()> {
    let of = [
        ("tpm", &["--endorsement-key"][..]),
        ("x509", &["--certificate-path", "--secondary-certificate-path"]),
        ("symmetricKey", &["--primary-key", "--secondary-key"]),
    ];
    let foreign = of.iter().filter(|(other, _)| *other != kind).flat_map(|(_, options)| *options);
    match foreign.copied().find(|option| args.given(option)) {
        None => Ok(()),
        Some(option) => Err(Failure::error(format!("{option} does not belong to the attestation type '{kind}'."))),
    }
}

fn apply_device(context: &Context<'_>, args: &Args, enrollment: &mut Value) -> Result<()> {
    if let Some(device) = args.text("--device-id") {
        enrollment["deviceId"] = json!(device);
    }
    if let Some(given) = args.text("--device-information") {
        enrollment["optionalDeviceInformation"] = json_text::given_or_file(context, given)?;
    }
    apply(context, args, enrollment)
}

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let mut enrollment = json!({
            "registrationId": args.filled("--enrollment-id")?,
            "attestation": attestation(context, args)?,
            "capabilities": {"iotEdge": false},
            "initialTwin": {"tags": {}, "properties": {"desired": {}}},
            "optionalDeviceInformation": {},
            "reprovisionPolicy": {"updateHubAssignment": true, "migrateDeviceData": true},
        });
        apply_device(context, args, &mut enrollment)?;
        let plane = context.data_plane(args, Service::Dps).await?;
        match context.call(&plane, Method::GET, &path(args)?, None, None).await {
            Ok(_) => {
                let (id, name) = (args.filled("--enrollment-id")?, args.text("--dps-name").unwrap_or("<service>"));
                return Err(Failure::error(format!(
                    "Enrollment '{id}' already exists; nothing was changed. To change it: az iot dps enrollment update --dps-name {} --enrollment-id {}",
                    shell_quoted(name),
                    shell_quoted(id)
                )));
            }
            Err(failure) if failure.is_not_found() => {}
            Err(failure) => return Err(failure),
        }
        Ok(context.call(&plane, Method::PUT, &path(args)?, Some(&enrollment), None).await?.into())
    })
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Dps).await?;
        let mut enrollment = context.call(&plane, Method::GET, &path(args)?, None, None).await?;
        if args.switch("--show-keys") == Some(true) && text(&enrollment, "/attestation/type") == "symmetricKey" {
            let mechanism = format!("{}/attestationmechanism", path(args)?);
            enrollment["attestation"] = context.call(&plane, Method::POST, &mechanism, None, None).await?;
        }
        Ok(enrollment.into())
    })
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Dps).await?;
        let query = json!({"query": "SELECT *"});
        Ok(context.query(&plane, "/enrollments/query", &query, args.integer("--top")).await?.into())
    })
}

fn update<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Dps).await?;
        let mut enrollment = context.call(&plane, Method::GET, &path(args)?, None, None).await?;
        let kind = text(&enrollment, "/attestation/type").to_owned();
        refuse_others(args, &kind)?;
        match kind.as_str() {
            "symmetricKey" => {
                // A GET hides the keys; sending it back as it is would make new ones.
                let mechanism = format!("{}/attestationmechanism", path(args)?);
                enrollment["attestation"] = context.call(&plane, Method::POST, &mechanism, None, None).await?;
                if let Some(Value::Object(given)) = keys(args) {
                    for (member, key) in given {
                        set_at(&mut enrollment, &["attestation", "symmetricKey", &member], key)?;
                    }
                }
            }
            "x509" => {
                let held = enrollment["attestation"]["x509"]["clientCertificates"].clone();
                if let Some(pair) = certificates(context, args, &held)? {
                    set_at(&mut enrollment, &["attestation", "x509", "clientCertificates"], pair)?;
                }
            }
            _ => {
                if let Some(key) = args.text("--endorsement-key") {
                    set_at(&mut enrollment, &["attestation", "tpm", "endorsementKey"], json!(key))?;
                }
            }
        }
        apply_device(context, args, &mut enrollment)?;
        let etag = Some(args.text("--etag").unwrap_or("*"));
        Ok(context.call(&plane, Method::PUT, &path(args)?, Some(&enrollment), etag).await?.into())
    })
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Dps).await?;
        let etag = Some(args.text("--etag").unwrap_or("*"));
        context.call(&plane, Method::DELETE, &path(args)?, None, etag).await?;
        Ok(Output::nothing())
    })
}
