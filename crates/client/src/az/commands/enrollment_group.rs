//! `az iot dps enrollment-group …`, and the key of a device of a group.

use super::enrollment_settings::{REMOVALS, SETTINGS, apply, certificates, keys, pair};
use crate::az::args::Args;
use crate::az::command::{Command, DPS_CONTEXT};
use crate::az::context::{Context, Task, segment};
use crate::az::data_plane::Service;
use crate::az::failure::{Failure, Result};
use crate::az::members::text;
use crate::az::output::Output;
use crate::az::shell::shell_quoted;
use crate::device::key;
use http::Method;
use serde_json::{Value, json};

const GROUP: &str = "--enrollment-id/--eid/--group-id/--gid! # Id of the enrollment group.";
const REGISTRATION: &str = "--registration-id/--rid! # Registration id of the device.";
const ETAG: &str = "--etag/-e # Only with this ETag.";
const AUTHORITIES: &str = "--root-ca-name/--ca-name/--cn # Name of an uploaded CA certificate that attests.
--secondary-root-ca-name/--secondary-ca-name/--scn # Name of the other one.";
const DERIVED: &str = "--enrollment-id/--eid/--group-id/--gid # Id of the enrollment group.
--symmetric-key/--key # The group's key, instead of asking the service.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "iot dps enrollment-group create",
        "Create an enrollment group; with a symmetric key where nothing else is said.",
        &[DPS_CONTEXT, GROUP, AUTHORITIES, SETTINGS],
        create,
    ),
    Command::new(
        "iot dps enrollment-group show",
        "Show an enrollment group.",
        &[DPS_CONTEXT, GROUP, "--show-keys/--keys 3st # With its keys."],
        show,
    ),
    Command::new(
        "iot dps enrollment-group list",
        "List enrollment groups.",
        &[DPS_CONTEXT, "--top int # Groups at most."],
        list,
    ),
    Command::new(
        "iot dps enrollment-group update",
        "Change an enrollment group.",
        &[DPS_CONTEXT, GROUP, AUTHORITIES, SETTINGS, REMOVALS, ETAG],
        update,
    ),
    Command::new("iot dps enrollment-group delete", "Delete an enrollment group.", &[DPS_CONTEXT, GROUP, ETAG], delete),
    Command::new(
        "iot dps enrollment-group compute-device-key",
        "Derive a device's key from a group's.",
        &[DPS_CONTEXT, REGISTRATION, DERIVED],
        compute_key,
    ),
    Command::new(
        "iot dps compute-device-key",
        "Derive a device's key from a group's. The older name of 'iot dps enrollment-group compute-device-key'.",
        &[DPS_CONTEXT, "--registration-id! # Registration id of the device.", DERIVED],
        compute_key,
    ),
];

fn path(args: &Args) -> Result<String> {
    Ok(format!("/enrollmentGroups/{}", segment(args.filled("--enrollment-id")?)))
}

/// The attestation that the options name, over the one that is held; `None` where they name none.
fn attestation(context: &Context<'_>, args: &Args, held: &Value) -> Result<Option<Value>> {
    let names = ["--root-ca-name", "--secondary-root-ca-name"];
    let (keys, names) = (keys(args), pair(args, names, ["primary", "secondary"]));
    let signing = |held: &Value| certificates(context, args, &held["x509"]["signingCertificates"]);
    let files = signing(held)?;
    if [keys.is_some(), names.is_some(), files.is_some()].into_iter().filter(|given| *given).count() > 1 {
        return Err(Failure::error(
            "An enrollment group attests by keys, by certificates or by the names of CA certificates; give one kind.",
        ));
    }
    if let Some(Value::Object(given)) = keys {
        let mut both = held["symmetricKey"].as_object().cloned().unwrap_or_default();
        both.extend(given);
        return Ok(Some(json!({"type": "symmetricKey", "symmetricKey": both})));
    }
    if let Some(Value::Object(given)) = names {
        let mut both = held["x509"]["caReferences"].as_object().cloned().unwrap_or_default();
        both.extend(given);
        return Ok(Some(json!({"type": "x509", "x509": {"caReferences": both}})));
    }
    Ok(files.map(|both| json!({"type": "x509", "x509": {"signingCertificates": both}})))
}

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let mut group = json!({
            "enrollmentGroupId": args.filled("--enrollment-id")?,
            "attestation": {"type": "symmetricKey", "symmetricKey": {}},
            "capabilities": {"iotEdge": false},
            "initialTwin": {"tags": {}, "properties": {"desired": {}}},
            "reprovisionPolicy": {"updateHubAssignment": true, "migrateDeviceData": true},
        });
        if let Some(attestation) = attestation(context, args, &Value::Null)? {
            group["attestation"] = attestation;
        }
        apply(context, args, &mut group)?;
        let plane = context.data_plane(args, Service::Dps).await?;
        match context.call(&plane, Method::GET, &path(args)?, None, None).await {
            Ok(_) => {
                let (id, name) = (args.filled("--enrollment-id")?, args.text("--dps-name").unwrap_or("<service>"));
                return Err(Failure::error(format!(
                    "Enrollment group '{id}' already exists; nothing was changed. To change it: az iot dps enrollment-group update --dps-name {} --enrollment-id {}",
                    shell_quoted(name),
                    shell_quoted(id)
                )));
            }
            Err(failure) if failure.is_not_found() => {}
            Err(failure) => return Err(failure),
        }
        Ok(context.call(&plane, Method::PUT, &path(args)?, Some(&group), None).await?.into())
    })
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Dps).await?;
        let mut group = context.call(&plane, Method::GET, &path(args)?, None, None).await?;
        if args.switch("--show-keys") == Some(true) && text(&group, "/attestation/type") == "symmetricKey" {
            let mechanism = format!("{}/attestationmechanism", path(args)?);
            group["attestation"] = context.call(&plane, Method::POST, &mechanism, None, None).await?;
        }
        Ok(group.into())
    })
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Dps).await?;
        let query = json!({"query": "SELECT *"});
        Ok(context.query(&plane, "/enrollmentGroups/query", &query, args.integer("--top")).await?.into())
    })
}

/// The `If-Match` of a change; DPS takes it without quotes.
fn if_match(args: &Args) -> &str {
    args.text("--etag").unwrap_or("*")
}

fn update<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Dps).await?;
        let mut group = context.call(&plane, Method::GET, &path(args)?, None, None).await?;
        if text(&group, "/attestation/type") == "symmetricKey" {
            // A GET hides the keys; sending it back as it is would make new ones.
            let mechanism = format!("{}/attestationmechanism", path(args)?);
            group["attestation"] = context.call(&plane, Method::POST, &mechanism, None, None).await?;
        }
        if let Some(attestation) = attestation(context, args, &group["attestation"])? {
            group["attestation"] = attestation;
        }
        apply(context, args, &mut group)?;
        Ok(context.call(&plane, Method::PUT, &path(args)?, Some(&group), Some(if_match(args))).await?.into())
    })
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Dps).await?;
        context.call(&plane, Method::DELETE, &path(args)?, None, Some(if_match(args))).await?;
        Ok(Output::nothing())
    })
}

fn compute_key<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let registration = args.filled("--registration-id")?;
        if let Some(key) = args.text("--symmetric-key") {
            return Ok(json!(key::derive(key, registration)?).into());
        }
        if args.text("--enrollment-id").is_none() {
            return Err(Failure::error(
                "Give the group's key (--symmetric-key), or the group (--enrollment-id) and its service (--dps-name).",
            ));
        }
        let plane = context.data_plane(args, Service::Dps).await?;
        let mechanism = format!("{}/attestationmechanism", path(args)?);
        let attestation = context.call(&plane, Method::POST, &mechanism, None, None).await?;
        let key = text(&attestation, "/symmetricKey/primaryKey");
        if key.is_empty() {
            return Err(Failure::error(
                "Requested enrollment group has an unsupported attestation type: it does not use a symmetric key.",
            ));
        }
        Ok(json!(key::derive(key, registration)?).into())
    })
}
