//! `az iot adr ns device …` of the newest generation (with profiles, attributes and capabilities), and `az iot adr ns group …`.

use crate::az::adr_paths::{namespace_path, region_of};
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task, segment};
use crate::az::failure::{Failure, Result};
use crate::az::json_text;
use crate::az::members::{put, set_at};
use crate::az::options::{region, tags};
use crate::az::output::{Columns, Output};
use crate::az::versions::AUTHORITIES;
use crate::az::wait;
use http::Method;
use serde_json::{Map, Value, json};

const NAMESPACE: &str = "--namespace/--ns! # Name of the namespace.
--resource-group/-g! # Resource group.";
const DEVICE: &str = "--device-name/--dn/--name/-n! # Name of the device.";
const OF_DEVICE: &str = "--registry-device-name/--rdn/--device-name/--dn! # Name of the device.";
const PROFILE: &str = "--auth-profile-name/--apn/--name/-n! # Name of the authentication profile.";
const ATTRIBUTE: &str = "--attribute-name/--an/--name/-n! # Name of the attribute.";
const CAPABILITY: &str = "--capability-name/--cn/--name/-n! # Name of the capability.";
const GROUP: &str = "--group-name/--gn/--name/-n! # Name of the group.";
const LOCATION: &str = "--location/-l # Region; that of the namespace without it.";
const TAGS: &str = "--tags * # Tags: key=value; an empty text clears them.";
const NO_WAIT: &str = "--no-wait flag # Do not wait for the end.";
const ABOUT: &str = "--display-name # Name for people.
--description # What it is for.";

/// Columns of the table format of groups.
const GROUP_COLUMNS: Columns = &[
    ("Name", "name"),
    ("QueryFilter", "properties.queryFilter"),
    ("MembershipState", "properties.membershipState"),
    ("DisplayName", "properties.displayName"),
];

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "iot adr ns device create",
        "Create a device.",
        &[
            NAMESPACE,
            DEVICE,
            "--external-device-id/--ext-id # Id of the device at its hub; its name without it.
--enablement-state {Enabled,Disabled} =Enabled # Whether it may connect.
--manufacturer # Manufacturer.
--model # Model.
--hardware-revision # Revision of its hardware.
--software-revision # Revision of its software.",
            LOCATION,
            TAGS,
            NO_WAIT,
        ],
        create_device,
    ),
    Command::new("iot adr ns device delete", "Delete a device.", &[NAMESPACE, DEVICE, NO_WAIT], delete).confirmed(),
    Command::new(
        "iot adr ns device auth list",
        "List a device's authentication profiles.",
        &[NAMESPACE, OF_DEVICE],
        list,
    ),
    Command::new(
        "iot adr ns device auth show",
        "Show an authentication profile.",
        &[NAMESPACE, OF_DEVICE, PROFILE],
        show,
    ),
    Command::new(
        "iot adr ns device auth show-keys",
        "Show the keys of an authentication profile.",
        &[NAMESPACE, OF_DEVICE, PROFILE],
        show_keys,
    ),
    Command::new(
        "iot adr ns device auth wait",
        "Wait until an authentication profile is as wanted.",
        &[NAMESPACE, OF_DEVICE, PROFILE, wait::OPTIONS],
        wait_for,
    ),
    Command::new(
        "iot adr ns device auth revoke-certs",
        "Revoke the certificates of an authentication profile.",
        &[NAMESPACE, OF_DEVICE, PROFILE, NO_WAIT],
        revoke,
    )
    .confirmed_after(
        "All certificates of the device are taken away and its connection ends at once. It comes back by registering anew\n\
         with a certificate request; 'az iot adr ns device revoke --disable' keeps it out.",
    ),
    Command::new(
        "iot adr ns device attribute create",
        "Write an attribute of a device.",
        &[
            NAMESPACE,
            OF_DEVICE,
            ATTRIBUTE,
            "--schema # URL of the schema of its properties.
--properties/--props # JSON of its properties, or a file with it.
~--reported-by/--rb {User} =User",
        ],
        create_attribute,
    ),
    Command::new("iot adr ns device attribute list", "List a device's attributes.", &[NAMESPACE, OF_DEVICE], list),
    Command::new("iot adr ns device attribute show", "Show an attribute.", &[NAMESPACE, OF_DEVICE, ATTRIBUTE], show),
    Command::new(
        "iot adr ns device attribute delete",
        "Delete an attribute.",
        &[NAMESPACE, OF_DEVICE, ATTRIBUTE],
        delete,
    )
    .confirmed(),
    Command::new("iot adr ns device capability list", "List a device's capabilities.", &[NAMESPACE, OF_DEVICE], list),
    Command::new("iot adr ns device capability show", "Show a capability.", &[NAMESPACE, OF_DEVICE, CAPABILITY], show),
    Command::new(
        "iot adr ns group create",
        "Create a group of devices.",
        &[
            NAMESPACE,
            GROUP,
            "--query-string/--qs! # Which devices are in it; * is all.
--group-type/--gt {RegistryDevice} =RegistryDevice # What its members are.",
            ABOUT,
            LOCATION,
            TAGS,
        ],
        create_group,
    ),
    Command::new("iot adr ns group show", "Show a group.", &[NAMESPACE, GROUP], show),
    Command::new("iot adr ns group list", "List groups.", &[NAMESPACE], list),
    Command::new("iot adr ns group update", "Change a group.", &[NAMESPACE, GROUP, ABOUT, TAGS], update_group),
    Command::new("iot adr ns group delete", "Delete a group.", &[NAMESPACE, GROUP], delete).confirmed(),
    Command::new("iot adr ns group refresh", "Look anew which devices are in a group.", &[NAMESPACE, GROUP], refresh),
    Command::new("iot adr ns group count", "Count the members of a group.", &[NAMESPACE, GROUP], count),
    Command::new(
        "iot adr ns group list-members",
        "List the members of a group.",
        &[
            NAMESPACE,
            GROUP,
            "--page-size int # Members of one answer, 1 to 1000.\n--skip-token # What an answer gave to go on with.",
        ],
        members,
    ),
    Command::new(
        "iot adr ns group wait",
        "Wait until a group is as wanted.",
        &[NAMESPACE, GROUP, wait::OPTIONS],
        wait_for,
    ),
];

/// The option that names the thing of the command, and where its like lie.
fn place(args: &Args) -> (&'static str, &'static str) {
    let command = args.command();
    if command.contains(" group ") {
        ("--group-name", "groups")
    } else if command.contains(" auth ") {
        ("--auth-profile-name", "authenticationProfiles")
    } else if command.contains(" attribute ") {
        ("--attribute-name", "attributes")
    } else if command.contains(" capability ") {
        ("--capability-name", "capabilities")
    } else {
        ("--device-name", "registryDevices")
    }
}

/// The path of what the command lists.
fn collection(context: &mut Context<'_>, args: &Args) -> Result<String> {
    let namespace = namespace_path(context, args.filled("--resource-group")?, args.filled("--namespace")?)?;
    let (_, kind) = place(args);
    Ok(match args.declares("--registry-device-name") {
        true => format!("{namespace}/registryDevices/{}/{kind}", segment(args.filled("--registry-device-name")?)),
        false => format!("{namespace}/{kind}"),
    })
}

/// The path of what the command names.
fn path(context: &mut Context<'_>, args: &Args) -> Result<String> {
    let (name, _) = place(args);
    Ok(format!("{}/{}", collection(context, args)?, segment(args.filled(name)?)))
}

/// Makes a resource of the namespace, unless one of that name is there.
async fn create(context: &mut Context<'_>, args: &Args, properties: Value) -> Result<Value> {
    let path = path(context, args)?;
    let namespace = namespace_path(context, args.filled("--resource-group")?, args.filled("--namespace")?)?;
    let location = match args.text("--location").filter(|location| !location.is_empty()) {
        Some(location) => region(context, location).await?,
        None => region_of(context, &namespace).await?,
    };
    if context.arm_find(&path, AUTHORITIES).await?.is_some() {
        let name = args.filled(place(args).0)?;
        return Err(Failure::error(format!("'{name}' already exists. Choose another name, or change it with update.")));
    }
    let mut body = Map::new();
    put(&mut body, "location", Some(json!(location)));
    put(&mut body, "tags", tags(args));
    put(&mut body, "properties", Some(properties));
    let no_wait = args.declares("--no-wait") && args.flag("--no-wait");
    context.arm_write(Method::PUT, &path, AUTHORITIES, &Value::Object(body), no_wait).await
}

fn create_device<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let mut properties = Map::new();
        for (option, member) in [
            ("--external-device-id", "externalDeviceId"),
            ("--enablement-state", "enablementState"),
            ("--manufacturer", "manufacturer"),
            ("--model", "model"),
            ("--hardware-revision", "hardwareRevision"),
            ("--software-revision", "softwareRevision"),
        ] {
            put(&mut properties, member, args.text(option).map(|value| json!(value)));
        }
        Ok(create(context, args, Value::Object(properties)).await?.into())
    })
}

fn create_group<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let mut properties = Map::new();
        put(&mut properties, "groupType", Some(json!(args.required("--group-type")?)));
        put(&mut properties, "queryFilter", Some(json!(args.filled("--query-string")?)));
        put(&mut properties, "displayName", args.text("--display-name").map(|value| json!(value)));
        put(&mut properties, "description", args.text("--description").map(|value| json!(value)));
        let made = create(context, args, Value::Object(properties)).await?;
        Ok(Output::with_columns(made, GROUP_COLUMNS))
    })
}

fn update_group<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let mut patch = json!({});
        for (option, member) in [("--display-name", "displayName"), ("--description", "description")] {
            if let Some(value) = args.text(option) {
                set_at(&mut patch, &["properties", member], json!(value))?;
            }
        }
        if let Some(tags) = tags(args) {
            patch["tags"] = tags;
        }
        if patch == json!({}) {
            return Err(Failure::error("Nothing to change: give --display-name, --description or --tags."));
        }
        let path = path(context, args)?;
        let changed = context.arm_write(Method::PATCH, &path, AUTHORITIES, &patch, false).await?;
        Ok(Output::with_columns(changed, GROUP_COLUMNS))
    })
}

fn create_attribute<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let mut properties = json!({});
        if let Some(given) = args.text("--properties") {
            properties = json_text::given_or_file(context, given)?;
        }
        let Value::Object(members) = &mut properties else {
            return Err(Failure::error("--properties is no JSON object."));
        };
        members.insert("reportedBy".to_owned(), json!(args.required("--reported-by")?));
        put(members, "schema", args.text("--schema").map(|value| json!(value)));
        let path = path(context, args)?;
        let body = json!({"properties": properties});
        Ok(context.arm_write(Method::PUT, &path, AUTHORITIES, &body, false).await?.into())
    })
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args)?;
        let found = context.arm_get(&path, AUTHORITIES).await?;
        Ok(if place(args).1 == "groups" { Output::with_columns(found, GROUP_COLUMNS) } else { found.into() })
    })
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = collection(context, args)?;
        let found = Value::Array(context.arm_list(&path, AUTHORITIES).await?);
        Ok(if place(args).1 == "groups" { Output::with_columns(found, GROUP_COLUMNS) } else { found.into() })
    })
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args)?;
        let no_wait = args.declares("--no-wait") && args.flag("--no-wait");
        context.arm_act(Method::DELETE, &path, AUTHORITIES, None, no_wait).await?;
        Ok(Output::nothing())
    })
}

fn wait_for<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        wait::check(args)?;
        let path = path(context, args)?;
        wait::until(context, args, &path, AUTHORITIES).await
    })
}

fn show_keys<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args)?;
        Ok(context.arm_post(&format!("{path}/listKeys"), AUTHORITIES, None).await?.into())
    })
}

fn revoke<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = format!("{}/revokeCertificates", path(context, args)?);
        context.arm_act(Method::POST, &path, AUTHORITIES, None, args.flag("--no-wait")).await?;
        Ok(Output::nothing())
    })
}

fn refresh<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args)?;
        context.arm_act(Method::POST, &format!("{path}/refreshMembers"), AUTHORITIES, None, false).await?;
        Ok(Output::with_columns(context.arm_get(&path, AUTHORITIES).await?, GROUP_COLUMNS))
    })
}

fn count<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args)?;
        Ok(context.arm_post(&format!("{path}/countMembers"), AUTHORITIES, None).await?.into())
    })
}

fn members<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let mut body = Map::new();
        put(&mut body, "pageSize", args.integer("--page-size").map(|size| json!(size)));
        put(&mut body, "skipToken", args.text("--skip-token").map(|token| json!(token)));
        let path = format!("{}/listMembers", path(context, args)?);
        Ok(context.arm_post(&path, AUTHORITIES, Some(&Value::Object(body))).await?.into())
    })
}

#[cfg(test)]
mod tests {
    use crate::az::scripted::{Answer, SUBSCRIPTION, Scripted};
    use serde_json::{Value, json};

    #[tokio::test]
    async fn devices_and_groups_of_the_newest_generation() {
        let server = Scripted::signed_in(|seen| {
            let (method, path) = seen.call.split_once(' ')?;
            Some(match method {
                "GET" if path.ends_with("/namespaces/n1") => Answer::ok(json!({"location": "westus2"})),
                "GET" if path.ends_with("/new") => return None,
                "GET" if path.ends_with('s') => Answer::list(json!([{"name": "x"}])),
                "GET" => Answer::ok(json!({"name": "x", "properties": {"queryFilter": "*"}})),
                "DELETE" => Answer::new(204, Value::Null),
                "POST" if path.ends_with("/countMembers") => Answer::ok(json!({"count": 3})),
                "POST" => Answer::new(204, Value::Null),
                _ => Answer::ok(seen.body.clone()),
            })
        })
        .await;
        let base =
            format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.DeviceRegistry/namespaces/n1");
        for (words, call, body) in [
            (
                "device create -n new --ext-id Pump:1 --model m",
                "PUT registryDevices/new",
                json!({"location": "westus2", "properties": {"externalDeviceId": "Pump:1", "enablementState": "Enabled", "model": "m"}}),
            ),
            ("device delete -n d1 -y", "DELETE registryDevices/d1", json!("")),
            ("device auth list --rdn d1", "GET registryDevices/d1/authenticationProfiles", json!("")),
            ("device auth wait --rdn d1 -n p --exists", "GET registryDevices/d1/authenticationProfiles/p", json!("")),
            (
                "device auth show-keys --rdn d1 -n p",
                "POST registryDevices/d1/authenticationProfiles/p/listKeys",
                json!(""),
            ),
            (
                "device auth revoke-certs --dn d1 -n p -y",
                "POST registryDevices/d1/authenticationProfiles/p/revokeCertificates",
                json!(""),
            ),
            (
                "device attribute create --rdn d1 -n a --props {\"floor\":2}",
                "PUT registryDevices/d1/attributes/a",
                json!({"properties": {"floor": 2, "reportedBy": "User"}}),
            ),
            ("device capability show --rdn d1 -n c", "GET registryDevices/d1/capabilities/c", json!("")),
            (
                "group create -n new --qs * --description all",
                "PUT groups/new",
                json!({"location": "westus2", "properties": {"groupType": "RegistryDevice", "queryFilter": "*", "description": "all"}}),
            ),
            ("group update -n g --display-name G", "PATCH groups/g", json!({"properties": {"displayName": "G"}})),
            ("group count -n g", "POST groups/g/countMembers", json!("")),
            ("group list-members -n g --page-size 5", "POST groups/g/listMembers", json!({"pageSize": 5})),
        ] {
            let words = format!("iot adr ns {words} --ns n1 -g rg");
            let ran = server.az(&words.split(' ').collect::<Vec<_>>()).await;
            assert_eq!(ran.code, 0, "{words}: {}", ran.err);
            let seen = server.seen().pop().unwrap();
            assert_eq!((seen.call.replace(&format!("{base}/"), ""), seen.body), (call.to_owned(), body), "{words}");
        }
        for wrong in [
            "device create -n d1",
            "group update -n g",
            "group create -n new",
            "device attribute create --rdn d -n a --props 5",
        ] {
            let words = format!("iot adr ns {wrong} --ns n1 -g rg");
            assert_ne!(server.az(&words.split(' ').collect::<Vec<_>>()).await.code, 0, "{wrong}");
        }
    }
}
