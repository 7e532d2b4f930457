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
use crate::az::wait::{self, Look};
use http::Method;
use serde_json::{Map, Value, json};

const NAMESPACE: &str = "--namespace/--ns! # Name of the namespace.
--resource-group/-g! # Resource group.";
const DEVICE: &str = "--device-name/--dn/--name/-n! # Name of the device.";
const WHICH: &str = "--device-name/--dn/--name/-n # Name of the device.
--external-device-id/--ext-id # Id of the device at its hub, instead of its name; all devices are looked through.";

/// Columns of the table format.
const COLUMNS: Columns = &[
    ("Name", "name"),
    ("ExternalDeviceId", "properties.externalDeviceId"),
    ("EnablementState", "properties.enabled"),
    ("ProvisioningState", "properties.provisioningState"),
];

/// The same for the shape of the newest generation.
const NEWEST_COLUMNS: Columns = &[
    ("Name", "name"),
    ("ExternalDeviceId", "properties.externalDeviceId"),
    ("EnablementState", "properties.enablementState"),
    ("ProvisioningState", "properties.provisioningState"),
];

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "iot adr ns device show",
        "Show a device: by its name as the older generation has it, by its external id as the newest.",
        &[NAMESPACE, WHICH],
        show,
    ),
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
            "--no-wait flag # Do not wait for the end.",
        ],
        update,
    ),
    Command::new(
        "iot adr ns device wait",
        "Wait until a device is as wanted, in the shape of the newest generation.",
        &[NAMESPACE, WHICH, wait::OPTIONS],
        wait_for,
    ),
    Command::new(
        "iot adr ns device revoke",
        "Revoke a device's certificates.",
        &[
            NAMESPACE,
            DEVICE,
            "--disable flag # Disable the device too: it gets no certificate and no connection until it is enabled at its hub.",
        ],
        revoke,
    )
    .confirmed_after(
        "All certificates of the device are taken away and its connection ends at once. It comes back by registering anew\n\
         with a certificate request, unless --disable keeps it out.",
    ),
];

fn collection(context: &mut Context<'_>, args: &Args) -> Result<String> {
    let namespace = namespace_path(context, args.filled("--resource-group")?, args.filled("--namespace")?)?;
    Ok(format!("{namespace}/devices"))
}

fn path(context: &mut Context<'_>, args: &Args) -> Result<String> {
    Ok(format!("{}/{}", collection(context, args)?, segment(args.filled("--device-name")?)))
}

/// The device of the newest generation whose id at its hub was given; `None` where the namespace has none.
///
/// # Errors
/// ARM's error; several devices have that id.
async fn by_external_id(context: &mut Context<'_>, args: &Args) -> Result<Option<Value>> {
    let wanted = args.filled("--external-device-id")?;
    let namespace = namespace_path(context, args.filled("--resource-group")?, args.filled("--namespace")?)?;
    let all = context.arm_list(&format!("{namespace}/registryDevices"), versions::AUTHORITIES).await?;
    let mut found: Vec<Value> =
        all.into_iter().filter(|one| text(one, "/properties/externalDeviceId") == wanted).collect();
    if found.len() > 1 {
        let names: Vec<String> = found.iter().map(|one| format!("'{}'", text(one, "/name"))).collect();
        return Err(Failure::error(format!(
            "{} devices have the external id '{wanted}': {}. Give one of these names with --name.",
            names.len(),
            names.join(", ")
        )));
    }
    Ok(found.pop())
}

/// Refuses a device that is named in no way, or in both.
///
/// # Errors
/// A sentence that names the options.
fn is_named(args: &Args) -> Result<()> {
    match (args.text("--device-name"), args.text("--external-device-id")) {
        (Some(_), None) => args.filled("--device-name").map(drop),
        (None, Some(_)) => args.filled("--external-device-id").map(drop),
        (Some(_), Some(_)) => {
            Err(Failure::error("Give either --name or --external-device-id: each of them names a device."))
        }
        (None, None) => Err(Failure::error("Say which device is meant: --name or --external-device-id.")),
    }
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
        is_named(args)?;
        if args.given("--external-device-id") {
            let found = by_external_id(context, args).await?;
            let missing = || {
                let (id, namespace) = (args.text("--external-device-id"), args.text("--namespace"));
                Failure::not_found(format!(
                    "No device with the external id '{}' exists in namespace '{}'. 'az iot adr ns device list' shows those there are.",
                    id.unwrap_or_default(),
                    namespace.unwrap_or_default()
                ))
            };
            return Ok(Output::with_columns(found.ok_or_else(missing)?, NEWEST_COLUMNS));
        }
        let path = path(context, args)?;
        match context.arm_get(&path, versions::REGISTRY).await {
            Ok(device) => Ok(Output::with_columns(device, COLUMNS)),
            Err(failure) => Err(named_otherwise(context, args, failure).await),
        }
    })
}

/// The device that the options name, as the newest generation has it.
fn look<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Look<'a> {
    Box::pin(async move {
        if args.given("--external-device-id") {
            return by_external_id(context, args).await;
        }
        let namespace = namespace_path(context, args.filled("--resource-group")?, args.filled("--namespace")?)?;
        let path = format!("{namespace}/registryDevices/{}", segment(args.filled("--device-name")?));
        context.arm_find(&path, versions::AUTHORITIES).await
    })
}

fn wait_for<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        wait::check(args)?;
        is_named(args)?;
        wait::until_found(context, args, look).await
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
    match context
        .arm_write(Method::PATCH, &path, versions::AUTHORITIES, &Value::Object(body), args.flag("--no-wait"))
        .await
    {
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
            put(&mut properties, "attributes", Some(json_text::given_or_file(context, given)?));
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
                "Nothing to change. Give --tags, --enabled, --os-version, --attributes or --policy-resource-id, or in the words of the newest generation --enablement-state, --manufacturer, --model, --hardware-revision or --software-revision.",
            ));
        }
        match context
            .arm_write(Method::PATCH, &path, versions::REGISTRY, &Value::Object(body), args.flag("--no-wait"))
            .await
        {
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
    async fn a_device_is_found_by_its_external_id_on_any_page() {
        let server = Scripted::signed_in(|seen| {
            let (method, path) = seen.call.split_once(' ')?;
            let device = |name: &str, id: &str, state: &str| json!({"name": name, "properties": {"externalDeviceId": id, "enablementState": "Enabled", "provisioningState": state}});
            Some(match (method, path.split('?').next()?.rsplit('/').next()?) {
                ("GET", "registryDevices") if path.contains("page=2") => {
                    // The device is there from the second look on.
                    let state = if seen.before == 0 { "Accepted" } else { "Succeeded" };
                    Answer::list(json!([device("c", "Pump:3", state), device("d", "twice", "Succeeded")]))
                }
                ("GET", "registryDevices") => {
                    let next = format!("https://{}{path}?page=2", seen.host);
                    let first = json!([device("a", "pump:3", "Succeeded"), device("b", "twice", "Succeeded")]);
                    Answer::ok(json!({"value": first, "nextLink": next}))
                }
                ("GET", "c") => Answer::ok(json!({"name": "c", "properties": {"enabled": true, "provisioningState": "Succeeded"}})),
                _ => return None,
            })
        })
        .await;
        let az = async |words: &str| {
            let words = format!("iot adr ns device {words} --ns n1 -g rg");
            server.az(&words.split(' ').collect::<Vec<_>>()).await
        };
        let waited = az("wait --ext-id Pump:3 --created --interval 1").await;
        assert_eq!(waited.code, 0, "{}", waited.err);
        assert_eq!(server.calls().iter().filter(|call| call.ends_with("page=2")).count(), 2);
        let shown = az("show --external-device-id Pump:3 --query [name,properties.enablementState] -o tsv").await;
        assert_eq!(shown.out, "c\nEnabled\n", "{}", shown.err);
        assert_eq!(az("show -n c --query properties.enabled -o tsv").await.out, "true\n");
        let table = az("show --ext-id Pump:3 -o table").await;
        assert!(table.out.contains("EnablementState") && table.out.contains("Enabled  "), "{}", table.out);
        assert_eq!(az("wait -n c --exists").await.code, 0);
        assert!(server.calls().pop().unwrap().ends_with("/registryDevices/c"));
        assert_eq!(az("wait --ext-id nobody --deleted").await.code, 0);
        let nobody = az("show --ext-id nobody").await;
        assert!(nobody.code == 3 && nobody.err.contains("'nobody'"), "{}", nobody.err);
        for words in ["show --ext-id twice", "wait --ext-id twice --exists"] {
            let twice = az(words).await;
            assert!(twice.code == 1 && twice.err.contains("'b', 'd'"), "{words}: {}", twice.err);
        }
        let before = server.calls().len();
        for words in
            ["show", "show -n c --ext-id Pump:3", "wait --exists", "wait -n c --ext-id x --exists", "show --ext-id="]
        {
            let wrong = az(words).await;
            assert!(wrong.code == 1 && wrong.err.contains("--external-device-id"), "{words}: {}", wrong.err);
        }
        assert_eq!(server.calls().len(), before);
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
