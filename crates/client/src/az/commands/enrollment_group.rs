//! `az iot dps enrollment-group …` and its registrations.

use crate::az::args::Args;
use crate::az::command::{Command, DPS_CONTEXT};
use crate::az::context::{Context, Task, segment};
use crate::az::data_plane::Service;
use crate::az::failure::{Failure, Result};
use crate::az::json_text;
use crate::az::members::{put, set_at, text};
use crate::az::options::first;
use crate::az::output::Output;
use crate::az::sas;
use crate::az::shell::shell_quoted;
use crate::profile::read_bounded;
use http::Method;
use serde_json::{Map, Value, json};

const GROUP: &str = "--enrollment-id/--eid/--group-id/--gid! # Id of the enrollment group.";
const REGISTRATION: &str = "--registration-id/--rid! # Registration id of the device.";
const ETAG: &str = "--etag/-e # Only with this ETag.";
const SETTINGS: &str = "--primary-key/--pk # Primary key of the attestation, base64.
--secondary-key/--sk # Secondary key of the attestation, base64.
--certificate-path/--cp # File of the CA certificate that attests.
--secondary-certificate-path/--scp # File of the other CA certificate.
--root-ca-name/--ca-name/--cn # Name of an uploaded CA certificate that attests.
--secondary-root-ca-name/--secondary-ca-name/--scn # Name of the other one.
--credential-policy-name/--cpn # Policy of the linked namespace that issues the devices' certificates.
--provisioning-status/--ps {disabled,enabled} # Whether devices may register.
--reprovision-policy/--rp {reprovisionandmigratedata,reprovisionandresetdata,never} # What happens when a device registers again.
--allocation-policy/--ap {hashed,geoLatency,static,custom} # How a hub is chosen.
--iot-hubs/--ih + # Host names of the hubs to choose from.
--initial-twin-tags/--tags # JSON of tags of a new twin, or a file with it.
--initial-twin-properties/--props # JSON of desired properties of a new twin, or a file with it.
--edge-enabled/--ee 3st # Whether the devices are edge devices.
~--iot-hub-host-name/--hn
~--webhook-url/--wh
~--api-version/--av";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "iot dps enrollment-group create",
        "Create an enrollment group; with a symmetric key where nothing else is said.",
        &[DPS_CONTEXT, GROUP, SETTINGS],
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
        &[DPS_CONTEXT, GROUP, SETTINGS, ETAG],
        update,
    ),
    Command::new("iot dps enrollment-group delete", "Delete an enrollment group.", &[DPS_CONTEXT, GROUP, ETAG], delete),
    Command::new(
        "iot dps enrollment-group compute-device-key",
        "Derive a device's key from a group's.",
        &[
            DPS_CONTEXT,
            REGISTRATION,
            "--enrollment-id/--eid/--group-id/--gid # Id of the enrollment group.
--symmetric-key/--key # The group's key, instead of asking the service.",
        ],
        compute_key,
    ),
    Command::new(
        "iot dps enrollment-group registration show",
        "Show a registration.",
        &[DPS_CONTEXT, REGISTRATION],
        registration_show,
    ),
    Command::new(
        "iot dps enrollment-group registration list",
        "List the registrations of a group.",
        &[DPS_CONTEXT, GROUP, "--top int # Registrations at most."],
        registration_list,
    ),
    Command::new(
        "iot dps enrollment-group registration delete",
        "Delete a registration.",
        &[DPS_CONTEXT, REGISTRATION, ETAG],
        registration_delete,
    ),
];

fn path(args: &Args) -> Result<String> {
    Ok(format!("/enrollmentGroups/{}", segment(args.filled("--enrollment-id")?)))
}

/// The attestation that the options name; `None` where they name none.
fn attestation(context: &Context<'_>, args: &Args) -> Result<Option<Value>> {
    let keys = args.given("--primary-key") || args.given("--secondary-key");
    let files = args.given("--certificate-path") || args.given("--secondary-certificate-path");
    let names = args.given("--root-ca-name") || args.given("--secondary-root-ca-name");
    if [keys, files, names].into_iter().filter(|given| *given).count() > 1 {
        return Err(Failure::error(
            "An enrollment group attests by keys, by certificates or by the names of CA certificates; give one kind.",
        ));
    }
    if keys {
        let mut pair = Map::new();
        put(&mut pair, "primaryKey", args.text("--primary-key").map(|key| json!(key)));
        put(&mut pair, "secondaryKey", args.text("--secondary-key").map(|key| json!(key)));
        return Ok(Some(json!({"type": "symmetricKey", "symmetricKey": pair})));
    }
    if names {
        let mut pair = Map::new();
        put(&mut pair, "primary", args.text("--root-ca-name").map(|name| json!(name)));
        put(&mut pair, "secondary", args.text("--secondary-root-ca-name").map(|name| json!(name)));
        return Ok(Some(json!({"type": "x509", "x509": {"caReferences": pair}})));
    }
    if files {
        let mut pair = Map::new();
        for (key, option) in [("primary", "--certificate-path"), ("secondary", "--secondary-certificate-path")] {
            if let Some(file) = args.text(option) {
                let pem = String::from_utf8_lossy(&read_bounded(&context.environment.path(file))?).into_owned();
                pair.insert(key.to_owned(), json!({"certificate": pem}));
            }
        }
        return Ok(Some(json!({"type": "x509", "x509": {"signingCertificates": pair}})));
    }
    Ok(None)
}

/// Writes the options into a group.
fn apply_settings(context: &Context<'_>, args: &Args, group: &mut Value) -> Result<()> {
    for unbuilt in ["--webhook-url", "--iot-hub-host-name", "--api-version"] {
        if args.given(unbuilt) {
            return Err(Failure::error(format!("{unbuilt} is not built yet; leave it away.")));
        }
    }
    if let Some(attestation) = attestation(context, args)? {
        group["attestation"] = attestation;
    }
    let texts = [
        ("--credential-policy-name", "credentialPolicyName"),
        ("--provisioning-status", "provisioningStatus"),
        ("--allocation-policy", "allocationPolicy"),
    ];
    for (option, member) in texts {
        if let Some(value) = args.text(option) {
            group[member] = json!(value);
        }
    }
    if let Some(hubs) = args.list("--iot-hubs") {
        let hosts: Vec<&str> = hubs.iter().flat_map(|hubs| hubs.split_whitespace()).collect();
        group["iotHubs"] = json!(hosts);
    }
    if let Some(edge) = args.switch("--edge-enabled") {
        set_at(group, &["capabilities", "iotEdge"], json!(edge))?;
    }
    if let Some(policy) = args.text("--reprovision-policy") {
        let (update, migrate) = match policy {
            "reprovisionandmigratedata" => (true, true),
            "reprovisionandresetdata" => (true, false),
            _ => (false, false),
        };
        group["reprovisionPolicy"] = json!({"updateHubAssignment": update, "migrateDeviceData": migrate});
    }
    let twin: [(&'static str, &[&str]); 2] = [
        ("--initial-twin-tags", &["initialTwin", "tags"]),
        ("--initial-twin-properties", &["initialTwin", "properties", "desired"]),
    ];
    for (option, at) in twin {
        if let Some(given) = args.text(option) {
            let file = context.environment.path(given);
            let content = if !given.contains('{') && file.is_file() {
                String::from_utf8_lossy(&read_bounded(&file)?).into_owned()
            } else {
                given.to_owned()
            };
            set_at(group, at, json_text::parse(&content)?)?;
        }
    }
    Ok(())
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
        apply_settings(context, args, &mut group)?;
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
        let found = context.call(&plane, Method::POST, "/enrollmentGroups/query", Some(&query), None).await?;
        Ok(first(found, args).into())
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
        apply_settings(context, args, &mut group)?;
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
            return Ok(json!(sas::device_key(key, registration)?).into());
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
        Ok(json!(sas::device_key(key, registration)?).into())
    })
}

fn registration_path(args: &Args) -> Result<String> {
    Ok(format!("/registrations/{}", segment(args.filled("--registration-id")?)))
}

fn registration_show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Dps).await?;
        Ok(context.call(&plane, Method::GET, &registration_path(args)?, None, None).await?.into())
    })
}

fn registration_list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Dps).await?;
        let path = format!("/registrations/{}/query", segment(args.filled("--enrollment-id")?));
        let found = context.call(&plane, Method::POST, &path, Some(&json!({})), None).await?;
        Ok(first(found, args).into())
    })
}

fn registration_delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Dps).await?;
        context.call(&plane, Method::DELETE, &registration_path(args)?, None, Some(if_match(args))).await?;
        Ok(Output::nothing())
    })
}
