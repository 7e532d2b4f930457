//! `az iot dps …`: provisioning services, their policies and connection strings.

use crate::az::args::Args;
use crate::az::command::{Command, GENERIC_UPDATE};
use crate::az::context::{Context, Task, segment};
use crate::az::data_plane::Service;
use crate::az::failure::{Failure, Result};
use crate::az::members::{put, set_at, text};
use crate::az::options::{has_namespace_identity, key_member, location, rooted, tags};
use crate::az::output::Output;
use crate::az::update;
use crate::az::versions;
use ferrohub_wire::connection_string::ConnectionString;
use http::Method;
use serde_json::{Map, Value, json};

const TARGET: &str = "--name/-n! # Name of the service.
--resource-group/-g # Resource group; the subscription is searched without it.";
const LINK: &str = "--mi-system-assigned 3st # Give the service an identity of its own.
--mi-user-assigned * # User-assigned identities.
--ns-resource-id/--ns-id # Namespace to link to; an empty text unlinks.
--ns-identity-id # Identity with which the service works on the namespace; its own one without it.";
const POLICY_TARGET: &str = "--dps-name/-n! # Name of the service.
--resource-group/-g # Resource group; the subscription is searched without it.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "iot dps create",
        "Create a provisioning service.",
        &[
            "--name/-n! # Name of the service: 3 to 64 letters, digits and inner hyphens.
--resource-group/-g! # Resource group.
--location/-l # Region; the group's without it.
--sku {S1} =S1 # Pricing tier.
--unit int =1 # Units.
--tags * # Tags: key=value; an empty text clears them.
--enforce-data-residency/--edr 3st # Keep data in the region.",
            LINK,
        ],
        create,
    ),
    Command::new("iot dps show", "Show a provisioning service.", &[TARGET], show).with_ids(&["--name"]),
    Command::new(
        "iot dps list",
        "List provisioning services.",
        &["--resource-group/-g # Resource group; the subscription without it."],
        list,
    ),
    Command::new(
        "iot dps update",
        "Change a provisioning service.",
        &[TARGET, LINK, "--tags * # Tags: key=value; an empty text clears them.", GENERIC_UPDATE],
        update_dps,
    )
    .with_ids(&["--name"]),
    Command::new("iot dps delete", "Delete a provisioning service.", &[TARGET], delete).with_ids(&["--name"]),
    Command::new("iot dps policy list", "List shared access policies.", &[POLICY_TARGET], policy_list),
    Command::new(
        "iot dps policy show",
        "Show a shared access policy.",
        &[POLICY_TARGET, "--policy-name/--pn! # Name of the policy."],
        policy_show,
    ),
    Command::new(
        "iot dps connection-string show",
        "Show connection strings.",
        &["--dps-name/-n # Name of the service; every one without it.
--resource-group/-g # Resource group.
--policy-name/--pn =provisioningserviceowner # Shared access policy.
--key-type/--kt {primary,secondary} =primary # Which of the two keys.
--show-all/--all flag # Every policy."],
        connection_string,
    ),
];

/// The service that `name_key` and `--resource-group` name.
///
/// # Errors
/// `az`'s texts where there is none.
pub(crate) async fn find(context: &mut Context<'_>, args: &Args, name_key: &'static str) -> Result<Value> {
    let name = args.filled(name_key)?;
    match args.text("--resource-group") {
        Some(group) => {
            let path = format!("{}/{}", context.collection_path(Some(group), Service::Dps.kind())?, segment(name));
            context.arm_get(&path, versions::DPS).await
        }
        None => context.find_service(Service::Dps, name, None).await.map_err(|failure| match failure.is_not_found() {
            true => Failure::error(format!("No DPS found with name {name} in current subscription.")),
            false => failure,
        }),
    }
}

/// Writes the identity and namespace options into a service's body.
fn apply_link(args: &Args, body: &mut Value) -> Result<()> {
    apply_identity(args, body);
    match (args.text("--ns-resource-id"), args.text("--ns-identity-id").filter(|id| !id.is_empty())) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(Failure::error(
            "Device Registry namespace id (--ns-resource-id) is required when specifying namespace user identity.",
        )),
        (Some(""), _) => set_at(body, &["properties", "deviceRegistryNamespace"], Value::Null),
        (Some(namespace), identity) => {
            let mut link = json!({"resourceId": rooted(namespace), "authenticationType": "SystemAssigned"});
            if let Some(identity) = identity {
                link["authenticationType"] = json!("UserAssigned");
                link["selectedUserAssignedIdentityResourceId"] = json!(rooted(identity));
            }
            set_at(body, &["properties", "deviceRegistryNamespace"], link)
        }
    }
}

/// Writes the service's identities: those held, unless `--mi-user-assigned` names others, and the one that a
/// link works with. Azure's `az` leaves that one out, and its link of a service without identities is refused.
fn apply_identity(args: &Args, body: &mut Value) {
    let given = args.list("--mi-user-assigned");
    let own = args.switch("--mi-system-assigned");
    let linked = args.text("--ns-resource-id").filter(|namespace| !namespace.is_empty());
    let worker = linked.and(args.text("--ns-identity-id")).filter(|id| !id.is_empty()).map(rooted);
    let held = body.pointer("/identity/userAssignedIdentities").and_then(Value::as_object);
    let mut users: Vec<String> = match given {
        Some(ids) => ids.iter().filter(|id| !id.is_empty()).map(|id| rooted(id)).collect(),
        None => held.into_iter().flat_map(Map::keys).cloned().collect(),
    };
    let missing = worker.filter(|id| !users.iter().any(|user| user.eq_ignore_ascii_case(id)));
    if given.is_none() && own.is_none() && missing.is_none() {
        return;
    }
    users.extend(missing);
    let own = own.unwrap_or_else(|| text(body, "/identity/type").to_lowercase().contains("systemassigned"));
    let kind = match (own, users.is_empty()) {
        (true, true) => "SystemAssigned",
        (true, false) => "SystemAssigned,UserAssigned",
        (false, false) => "UserAssigned",
        (false, true) => "None",
    };
    let mut identity = Map::new();
    put(&mut identity, "type", Some(json!(kind)));
    if !users.is_empty() {
        let users: Map<String, Value> = users.into_iter().map(|id| (id, json!({}))).collect();
        put(&mut identity, "userAssignedIdentities", Some(Value::Object(users)));
    }
    body["identity"] = Value::Object(identity);
}

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let name = args.filled("--name")?;
        let group = args.filled("--resource-group")?;
        args.refuse_empty(&["--mi-user-assigned", "--ns-resource-id", "--ns-identity-id"])?;
        has_namespace_identity(args, "provisioning service")?;
        let check = format!(
            "{}/providers/Microsoft.Devices/checkProvisioningServiceNameAvailability",
            context.subscription_path()?
        );
        let path = format!("{}/{}", context.collection_path(Some(group), Service::Dps.kind())?, segment(name));
        let mut body = json!({
            "location": location(context, args, group).await?,
            "properties": {},
            "sku": {"name": args.text("--sku").unwrap_or("S1"), "capacity": args.integer("--unit").unwrap_or(1)},
        });
        if let Some(tags) = tags(args) {
            body["tags"] = tags;
        }
        if args.switch("--enforce-data-residency") == Some(true) {
            body["properties"]["enableDataResidency"] = json!(true);
        }
        apply_link(args, &mut body)?;
        has_namespace_identity(args, "provisioning service")?;
        let answer = context.arm_post(&check, versions::DPS, Some(&json!({"name": name}))).await?;
        if answer.get("nameAvailable") == Some(&Value::Bool(false)) {
            let reason = answer.get("message").and_then(Value::as_str).unwrap_or("the name is taken");
            return Err(Failure::error(format!("IotDps name '{name}' is not available: {reason}")));
        }
        Ok(context.arm_write(Method::PUT, &path, versions::DPS, &body, false).await?.into())
    })
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move { Ok(find(context, args, "--name").await?.into()) })
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = context.collection_path(args.text("--resource-group"), Service::Dps.kind())?;
        Ok(Value::Array(context.arm_list(&path, versions::DPS).await?).into())
    })
}

fn update_dps<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let mut dps = find(context, args, "--name").await?;
        apply_link(args, &mut dps)?;
        if let Some(tags) = tags(args) {
            dps["tags"] = tags;
        }
        update::apply_tagged(args, &mut dps)?;
        Ok(write(context, &dps, false).await?.into())
    })
}

/// Puts a changed service back, if nobody else changed it meanwhile.
///
/// # Errors
/// ARM's error.
pub(crate) async fn write(context: &mut Context<'_>, dps: &Value, no_wait: bool) -> Result<Value> {
    let (id, etag) = (text(dps, "/id").to_owned(), text(dps, "/etag").to_owned());
    let etag = Some(etag.as_str()).filter(|etag| !etag.is_empty());
    context.arm_write_if(Method::PUT, &id, versions::DPS, dps, no_wait, etag).await
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = match args.text("--resource-group") {
            Some(group) => format!(
                "{}/{}",
                context.collection_path(Some(group), Service::Dps.kind())?,
                segment(args.filled("--name")?)
            ),
            None => text(&find(context, args, "--name").await?, "/id").to_owned(),
        };
        context.arm_act(Method::DELETE, &path, versions::DPS, None, false).await?;
        Ok(Output::nothing())
    })
}

async fn keys(context: &mut Context<'_>, dps: &Value) -> Result<Vec<Value>> {
    let mut answer = context.arm_post(&format!("{}/listkeys", text(dps, "/id")), versions::DPS, None).await?;
    match answer.get_mut("value").map(Value::take) {
        Some(Value::Array(keys)) => Ok(keys),
        _ => Ok(Vec::new()),
    }
}

async fn key(context: &mut Context<'_>, dps: &Value, policy: &str) -> Result<Value> {
    context.arm_post(&format!("{}/keys/{}/listkeys", text(dps, "/id"), segment(policy)), versions::DPS, None).await
}

fn policy_list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let dps = find(context, args, "--dps-name").await?;
        Ok(Value::Array(keys(context, &dps).await?).into())
    })
}

fn policy_show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let dps = find(context, args, "--dps-name").await?;
        Ok(key(context, &dps, args.filled("--policy-name")?).await?.into())
    })
}

async fn strings_of(context: &mut Context<'_>, args: &Args, dps: &Value) -> Result<Value> {
    let host = text(dps, "/properties/serviceOperationsHostName").to_owned();
    let rendered = |key: &Value| {
        let (name, secret) = (text(key, "/keyName"), text(key, key_member(args)));
        json!(ConnectionString::for_policy(&host, name, secret).reveal())
    };
    if args.flag("--show-all") {
        return Ok(Value::Array(keys(context, dps).await?.iter().map(rendered).collect()));
    }
    Ok(rendered(&key(context, dps, args.required("--policy-name")?).await?))
}

fn connection_string<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        if args.text("--dps-name").is_some() {
            let dps = find(context, args, "--dps-name").await?;
            return Ok(json!({"connectionString": strings_of(context, args, &dps).await?}).into());
        }
        let path = context.collection_path(args.text("--resource-group"), Service::Dps.kind())?;
        let mut all = Vec::new();
        for dps in context.arm_list(&path, versions::DPS).await? {
            let strings = strings_of(context, args, &dps).await?;
            all.push(json!({"name": text(&dps, "/name"), "connectionString": strings}));
        }
        Ok(Value::Array(all).into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::az::parser;
    use std::collections::HashMap;

    fn body(options: &[&str]) -> Result<Value> {
        changed(json!({"properties": {}}), options)
    }

    fn changed(mut body: Value, options: &[&str]) -> Result<Value> {
        let arguments: Vec<String> =
            ["-n", "d", "-g", "g"].iter().chain(options).map(|option| (*option).to_owned()).collect();
        let args = parser::parse(&COMMANDS[0], &arguments, &HashMap::new())?;
        apply_link(&args, &mut body)?;
        Ok(body)
    }

    #[test]
    fn a_link_with_a_user_assigned_identity() {
        let made = body(&["--mi-user-assigned", "/i", "--ns-resource-id", "/ns", "--ns-identity-id", "/i"]).unwrap();
        assert_eq!(made["identity"], json!({"type": "UserAssigned", "userAssignedIdentities": {"/i": {}}}));
        assert_eq!(
            made["properties"]["deviceRegistryNamespace"],
            json!({"resourceId": "/ns", "authenticationType": "UserAssigned", "selectedUserAssignedIdentityResourceId": "/i"})
        );
    }

    #[test]
    fn an_empty_namespace_unlinks_and_a_lone_identity_is_refused() {
        assert_eq!(body(&["--ns-id", ""]).unwrap()["properties"], json!({"deviceRegistryNamespace": null}));
        assert!(body(&["--ns-identity-id", "/i"]).unwrap_err().message.contains("--ns-resource-id"));
    }

    #[test]
    fn the_identity_of_a_link_is_attached_unless_it_is_already() {
        let link = ["--ns-id", "/ns", "--ns-identity-id", "/i"];
        assert_eq!(
            body(&link).unwrap()["identity"],
            json!({"type": "UserAssigned", "userAssignedIdentities": {"/i": {}}})
        );
        let holds = |users: Value| json!({"identity": {"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": users}, "properties": {}});
        let added = changed(holds(json!({"/j": {"clientId": "c"}})), &link).unwrap();
        assert_eq!(added["identity"], holds(json!({"/j": {}, "/i": {}}))["identity"]);
        let there = holds(json!({"/I": {"clientId": "c"}}));
        assert_eq!(changed(there.clone(), &link).unwrap()["identity"], there["identity"]);
        let named = changed(there, &[&link[..], &["--mi-user-assigned", "/j"]].concat()).unwrap();
        assert_eq!(named["identity"], holds(json!({"/j": {}, "/i": {}}))["identity"]);
        assert!(body(&["--ns-id", "", "--ns-identity-id", "/i"]).unwrap().get("identity").is_none());
    }
}
