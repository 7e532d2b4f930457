//! `az iot adr ns device …`: devices of a namespace.

use crate::az::adr_paths::namespace_path;
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task, segment};
use crate::az::failure::{Failure, Result};
use crate::az::json_text;
use crate::az::members::{put, text};
use crate::az::options::tags;
use crate::az::output::{Columns, Output};
use crate::az::versions;
use crate::profile::read_bounded;
use http::Method;
use serde_json::{Map, Value, json};

const NAMESPACE: &str = "--namespace/--ns! # Name of the namespace.
--resource-group/-g! # Resource group.";
const DEVICE: &str = "--device-name/--dn/--name/-n! # Name of the device.";

/// Columns of the table format.
const COLUMNS: Columns = &[
    ("Name", "name"),
    ("ExternalDeviceId", "properties.externalDeviceId"),
    ("EnablementState", "properties.enabled"),
    ("ProvisioningState", "properties.provisioningState"),
];

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new("iot adr ns device show", "Show a device.", &[NAMESPACE, DEVICE], show),
    Command::new("iot adr ns device list", "List devices.", &[NAMESPACE], list),
    Command::new(
        "iot adr ns device update",
        "Change a device.",
        &[
            NAMESPACE,
            DEVICE,
            "--tags * # Tags: key=value.
--enabled 3st # Whether the device may connect.
--os-version # Version of its operating system.
--attributes # JSON of attributes, or a file with it.
--policy-resource-id # Policy that issues its certificates; an empty text clears it.
--enablement-state {Enabled,Disabled} # Whether the device may connect, in the words of the newest generation.
--manufacturer # Manufacturer.
--model # Model.
--hardware-revision # Revision of its hardware.
--software-revision # Revision of its software.",
        ],
        update,
    ),
    Command::new(
        "iot adr ns device revoke",
        "Revoke a device's certificates.",
        &[NAMESPACE, DEVICE, "--disable flag # Disable the device too."],
        revoke,
    )
    .confirmed(),
];

fn collection(context: &mut Context<'_>, args: &Args) -> Result<String> {
    let namespace = namespace_path(context, args.filled("--resource-group")?, args.filled("--namespace")?)?;
    Ok(format!("{namespace}/devices"))
}

fn path(context: &mut Context<'_>, args: &Args) -> Result<String> {
    Ok(format!("{}/{}", collection(context, args)?, segment(args.filled("--device-name")?)))
}

/// Adds to a device that is not there the name of the one whose id at its hub was given: the two differ where the id is no legal name.
async fn named_otherwise(context: &mut Context<'_>, args: &Args, failure: Failure) -> Failure {
    if !failure.is_not_found() {
        return failure;
    }
    let wanted = args.text("--device-name").unwrap_or_default();
    let Ok(collection) = collection(context, args) else { return failure };
    let Ok(all) = context.arm_list(&collection, versions::REGISTRY).await else { return failure };
    let meant = all.iter().filter(|one| text(one, "/properties/externalDeviceId") == wanted);
    let names: Vec<String> = meant.map(|one| format!("'{}'", text(one, "/name"))).collect();
    if names.is_empty() {
        return failure;
    }
    let one_of = if names.len() == 1 { "Give that name" } else { "Give one of these names" };
    let message = format!(
        "{}\nThe namespace has a device with the externalDeviceId '{wanted}' under the name {}. {one_of} with --name.",
        failure.message,
        names.join(", ")
    );
    Failure { message, ..failure }
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args)?;
        match context.arm_get(&path, versions::REGISTRY).await {
            Ok(device) => Ok(Output::with_columns(device, COLUMNS)),
            Err(failure) => Err(named_otherwise(context, args, failure).await),
        }
    })
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = collection(context, args)?;
        Ok(Output::with_columns(Value::Array(context.arm_list(&path, versions::REGISTRY).await?), COLUMNS))
    })
}

/// Options that only the newest generation has, and their properties there.
const NEWEST: &[(&str, &str)] = &[
    ("--enablement-state", "enablementState"),
    ("--manufacturer", "manufacturer"),
    ("--model", "model"),
    ("--hardware-revision", "hardwareRevision"),
    ("--software-revision", "softwareRevision"),
];

/// An update in the words of the newest generation: the same device, as a `registryDevices` of its namespace.
async fn update_newest(context: &mut Context<'_>, args: &Args) -> Result<Output> {
    let older = ["--enabled", "--os-version", "--attributes", "--policy-resource-id"];
    if let Some(option) = older.into_iter().find(|option| args.given(option)) {
        return Err(Failure::error(format!(
            "{option} is of the older generation, and does not go with --enablement-state, --manufacturer, --model, --hardware-revision and --software-revision."
        )));
    }
    let namespace = namespace_path(context, args.filled("--resource-group")?, args.filled("--namespace")?)?;
    let path = format!("{namespace}/registryDevices/{}", segment(args.filled("--device-name")?));
    let mut properties = Map::new();
    for (option, member) in NEWEST {
        put(&mut properties, member, args.text(option).map(|value| json!(value)));
    }
    let mut body = Map::new();
    put(&mut body, "tags", tags(args));
    put(&mut body, "properties", Some(Value::Object(properties)));
    match context.arm_write(Method::PATCH, &path, versions::AUTHORITIES, &Value::Object(body), false).await {
        Ok(device) => Ok(device.into()),
        Err(failure) => Err(named_otherwise(context, args, failure).await),
    }
}

fn update<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        if NEWEST.iter().any(|(option, _)| args.given(option)) {
            return update_newest(context, args).await;
        }
        let path = path(context, args)?;
        let mut properties = Map::new();
        put(&mut properties, "enabled", args.switch("--enabled").map(Value::Bool));
        put(&mut properties, "operatingSystemVersion", args.text("--os-version").map(|version| json!(version)));
        if let Some(given) = args.text("--attributes") {
            let file = context.environment.path(given);
            let content = if !given.contains('{') && file.is_file() {
                String::from_utf8_lossy(&read_bounded(&file)?).into_owned()
            } else {
                given.to_owned()
            };
            put(&mut properties, "attributes", Some(json_text::parse(&content)?));
        }
        let policy = args.text("--policy-resource-id");
        let policy = policy.map(|id| if id.is_empty() { Value::Null } else { json!({"resourceId": id}) });
        put(&mut properties, "policy", policy);
        let mut body = Map::new();
        put(&mut body, "tags", tags(args));
        if !properties.is_empty() {
            put(&mut body, "properties", Some(Value::Object(properties)));
        }
        if body.is_empty() {
            return Err(Failure::error(
                "Nothing to change. Give --tags, --enabled, --os-version, --attributes or --policy-resource-id.",
            ));
        }
        match context.arm_write(Method::PATCH, &path, versions::REGISTRY, &Value::Object(body), false).await {
            Ok(device) => Ok(device.into()),
            Err(failure) => Err(named_otherwise(context, args, failure).await),
        }
    })
}

fn revoke<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = format!("{}/revoke", path(context, args)?);
        let body = json!({"disable": args.flag("--disable")});
        let answer = match context.arm_act(Method::POST, &path, versions::REGISTRY, Some(&body), false).await {
            Ok(answer) => answer,
            Err(failure) => return Err(named_otherwise(context, args, failure).await),
        };
        match answer["result"].as_str() {
            Some("Failed") => {
                let why = answer["error"]["message"].as_str().unwrap_or("The server does not say why.");
                Err(Failure::error(format!("The device was not revoked. {why}")))
            }
            _ => Ok(Output::nothing()),
        }
    })
}

#[cfg(test)]
mod tests {
    use crate::az::scripted::{Answer, Scripted};
    use serde_json::json;

    #[tokio::test]
    async fn who_gives_the_id_at_the_hub_hears_the_name() {
        let server = Scripted::signed_in(|seen| {
            let listed = json!([{"name": "pump-1-abc", "properties": {"externalDeviceId": "Pump:1"}}, {"name": "x"}]);
            (seen.call.starts_with("GET") && seen.call.ends_with("/devices")).then(|| Answer::list(listed))
        })
        .await;
        let device = ["-n", "Pump:1", "--ns", "n1", "-g", "rg"];
        for words in [&["show"][..], &["revoke", "-y"], &["update", "--enabled", "false"], &["update", "--model", "m"]]
        {
            let ran = server.az(&[&["iot", "adr", "ns", "device"], words, &device].concat()).await;
            assert!(ran.code == 3 && ran.err.contains("under the name 'pump-1-abc'"), "{words:?}: {}", ran.err);
        }
        let nobody = server.az(&["iot", "adr", "ns", "device", "show", "-n", "y", "--ns", "n1", "-g", "rg"]).await;
        assert!(!nobody.err.contains("under the name"), "{}", nobody.err);
    }

    #[tokio::test]
    async fn a_revocation_that_failed_is_an_error() {
        let server = Scripted::start(|seen| {
            let result = match seen.call.split("/devices/").nth(1)? {
                "d1/revoke" => json!({"result": "Succeeded"}),
                "d2/revoke" => {
                    json!({"result": "Failed", "error": {"code": "404", "message": "No active credential."}})
                }
                _ => return None,
            };
            let as_sent = seen.call.starts_with("POST") && seen.body == json!({"disable": true});
            as_sent.then(|| Answer::ok(result))
        })
        .await;
        assert_eq!(server.az(&["login"]).await.code, 0);
        let revoke = |device: &'static str| {
            ["iot", "adr", "ns", "device", "revoke", "-n", device, "--ns", "n1", "-g", "rg", "--disable", "-y"]
        };
        let done = server.az(&revoke("d1")).await;
        assert_eq!((done.code, done.out.as_str()), (0, ""), "{}", done.err);
        let failed = server.az(&revoke("d2")).await;
        assert_eq!(
            (failed.code, failed.err.as_str()),
            (1, "ERROR: The device was not revoked. No active credential.\n")
        );
    }
}
