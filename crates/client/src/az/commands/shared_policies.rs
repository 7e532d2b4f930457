//! `az iot hub policy …` and `az iot dps policy …` that write: shared access policies, and their keys made anew.

use super::dps;
use super::hub;
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task, segment};
use crate::az::data_plane::Service;
use crate::az::failure::{Failure, Result};
use crate::az::members::{set_at, text};
use crate::az::output::Output;
use http::Method;
use serde_json::{Value, json};

const RENEW: &str = "--renew-key/--rk! {primary,secondary,swap} # Which key is made anew, or both change places.
--no-wait flag # Do not wait for the end.";

const HUB: &str = "--hub-name! # Name of the hub.
--resource-group/-g # Resource group; the subscription is searched without it.";
const DPS: &str = "--dps-name/-n! # Name of the service.
--resource-group/-g # Resource group; the subscription is searched without it.";
const DPS_POLICY: &str = "--policy-name/--pn! # Name of the policy.";
const KEYS: &str = "--primary-key # Primary key, base64; one is made without it.
--secondary-key # Secondary key, base64; one is made without it.";
const NO_WAIT: &str = "--no-wait flag # Do not wait for the end.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "iot hub policy renew-key",
        "Make a key of a hub's shared access policy anew.",
        &[
            "--hub-name! # Name of the hub.
--name/-n! # Name of the policy.
--resource-group/-g # Resource group; the subscription is searched without it.",
            RENEW,
        ],
        renew_hub,
    )
    .with_ids(&["--hub-name", "--name"]),
    Command::new(
        "iot dps policy renew-key",
        "Make a key of a provisioning service's shared access policy anew. Ours: Azure's az has it for hubs only.",
        &[
            "--dps-name/-n! # Name of the service.
--policy-name/--pn! # Name of the policy.
--resource-group/-g # Resource group; the subscription is searched without it.",
            RENEW,
        ],
        renew_dps,
    ),
    Command::new(
        "iot hub policy create",
        "Create a shared access policy of a hub.",
        &[
            HUB,
            "--name/-n! # Name of the policy.
--permissions! + # Rights: RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect.",
        ],
        create,
    ),
    Command::new(
        "iot hub policy delete",
        "Delete a shared access policy of a hub.",
        &[HUB, "--name/-n! # Name of the policy."],
        delete,
    )
    .with_ids(&["--hub-name", "--name"]),
    Command::new(
        "iot dps policy create",
        "Create a shared access policy of a provisioning service.",
        &[
            DPS,
            DPS_POLICY,
            "--rights/-r! {ServiceConfig,EnrollmentRead,EnrollmentWrite,DeviceConnect,RegistrationStatusRead,RegistrationStatusWrite} + # Rights.",
            KEYS,
            NO_WAIT,
        ],
        create,
    ),
    Command::new(
        "iot dps policy update",
        "Change a shared access policy of a provisioning service.",
        &[
            DPS,
            DPS_POLICY,
            "--rights/-r {ServiceConfig,EnrollmentRead,EnrollmentWrite,DeviceConnect,RegistrationStatusRead,RegistrationStatusWrite} + # Rights.",
            KEYS,
            NO_WAIT,
        ],
        update,
    ),
    Command::new(
        "iot dps policy delete",
        "Delete a shared access policy of a provisioning service.",
        &[DPS, DPS_POLICY, NO_WAIT],
        delete,
    ),
];

fn renew_hub<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let hub = hub::find(context, args, "--hub-name").await?;
        Ok(renew(context, args, Service::Hub, hub, args.filled("--name")?).await?.into())
    })
}

fn renew_dps<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let dps = dps::find(context, args, "--dps-name").await?;
        Ok(renew(context, args, Service::Dps, dps, args.filled("--policy-name")?).await?.into())
    })
}

/// Writes the service back with the policy's key left out, which the server then makes; yields the policy.
async fn renew(
    context: &mut Context<'_>,
    args: &Args,
    service: Service,
    resource: Value,
    policy: &str,
) -> Result<Value> {
    let id = text(&resource, "/id").to_owned();
    let mut policies = policies_of(context, service, &resource).await?;
    let found = policies.iter_mut().find(|one| text(one, "/keyName").eq_ignore_ascii_case(policy));
    let chosen = found.ok_or_else(|| Failure::error(format!("Policy {policy} not found.")))?;
    match args.required("--renew-key")? {
        "primary" => chosen["primaryKey"] = Value::Null,
        "secondary" => chosen["secondaryKey"] = Value::Null,
        _ => {
            let (primary, secondary) = (chosen["primaryKey"].take(), chosen["secondaryKey"].take());
            chosen["primaryKey"] = secondary;
            chosen["secondaryKey"] = primary;
        }
    }
    if write(context, args, service, resource, policies).await?.is_some() {
        one(context, service, &id, policy).await
    } else {
        Ok(Value::Null)
    }
}

/// The policies of a service, with their keys.
async fn policies_of(context: &mut Context<'_>, service: Service, resource: &Value) -> Result<Vec<Value>> {
    let path = format!("{}/listkeys", text(resource, "/id"));
    let mut answer = context.arm_post(&path, service.version(), None).await?;
    match answer.get_mut("value").map(Value::take) {
        Some(Value::Array(policies)) => Ok(policies),
        _ => Ok(Vec::new()),
    }
}

/// Writes the service back with these policies, if it is still as it was read; `None` where that is not waited for.
async fn write(
    context: &mut Context<'_>,
    args: &Args,
    service: Service,
    mut resource: Value,
    policies: Vec<Value>,
) -> Result<Option<Value>> {
    let (id, etag) = (text(&resource, "/id").to_owned(), text(&resource, "/etag").to_owned());
    set_at(&mut resource, &["properties", "authorizationPolicies"], json!(policies))?;
    let etag = Some(etag.as_str()).filter(|etag| !etag.is_empty());
    let no_wait = args.declares("--no-wait") && args.flag("--no-wait");
    let written = context.arm_write_if(Method::PUT, &id, service.version(), &resource, no_wait, etag).await?;
    Ok((!no_wait).then_some(written))
}

/// One policy with its keys.
async fn one(context: &mut Context<'_>, service: Service, id: &str, policy: &str) -> Result<Value> {
    let keys = if service == Service::Hub { "IotHubKeys" } else { "keys" };
    let path = format!("{id}/{keys}/{}/listkeys", segment(policy));
    context.arm_post(&path, service.version(), None).await
}

/// The service that a command is about, and the name of the policy.
async fn target<'a>(context: &mut Context<'_>, args: &'a Args) -> Result<(Service, Value, &'a str)> {
    if args.declares("--hub-name") {
        return Ok((Service::Hub, hub::find(context, args, "--hub-name").await?, args.filled("--name")?));
    }
    Ok((Service::Dps, dps::find(context, args, "--dps-name").await?, args.filled("--policy-name")?))
}

/// Rights as a policy holds them.
fn rights(args: &Args) -> Option<String> {
    let option = if args.declares("--rights") { "--rights" } else { "--permissions" };
    let given = args.list(option)?;
    let all: Vec<&str> = given.iter().flat_map(|one| one.split([',', ' '])).filter(|one| !one.is_empty()).collect();
    Some(all.join(", "))
}

/// Writes the options into a policy.
fn apply(args: &Args, policy: &mut Value) {
    if let Some(rights) = rights(args) {
        policy["rights"] = json!(rights);
    }
    for (option, member) in [("--primary-key", "primaryKey"), ("--secondary-key", "secondaryKey")] {
        if let Some(key) = args.declares(option).then(|| args.text(option)).flatten() {
            // An empty one asks for a new one.
            policy[member] = if key.is_empty() { Value::Null } else { json!(key) };
        }
    }
}

fn already_there(service: Service, name: &str) -> Failure {
    match service {
        Service::Hub => Failure::error(format!("Policy {name} already existed.")),
        Service::Dps => Failure::error(format!("Access policy {name} already exists.")),
    }
}

fn not_there(service: Service, name: &str) -> Failure {
    match service {
        Service::Hub => Failure::error(format!("Policy {name} not found.")),
        Service::Dps => Failure::not_found(format!("Access policy {name} doesn't exist.")),
    }
}

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let (service, resource, name) = target(context, args).await?;
        let mut policies = policies_of(context, service, &resource).await?;
        if policies.iter().any(|one| text(one, "/keyName").eq_ignore_ascii_case(name)) {
            return Err(already_there(service, name));
        }
        let mut policy = json!({"keyName": name});
        apply(args, &mut policy);
        policies.push(policy);
        let id = text(&resource, "/id").to_owned();
        Ok(match (write(context, args, service, resource, policies).await?, service) {
            (None, _) => Output::nothing(),
            // As `az` does: of a hub it prints all.
            (Some(hub), Service::Hub) => hub.into(),
            (Some(_), Service::Dps) => one(context, service, &id, name).await?.into(),
        })
    })
}

fn update<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let (service, resource, name) = target(context, args).await?;
        let mut policies = policies_of(context, service, &resource).await?;
        let found = policies.iter_mut().find(|one| text(one, "/keyName").eq_ignore_ascii_case(name));
        apply(args, found.ok_or_else(|| not_there(service, name))?);
        let id = text(&resource, "/id").to_owned();
        let written = write(context, args, service, resource, policies).await?;
        Ok(if written.is_some() { one(context, service, &id, name).await?.into() } else { Output::nothing() })
    })
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let (service, resource, name) = target(context, args).await?;
        let mut policies = policies_of(context, service, &resource).await?;
        let before = policies.len();
        policies.retain(|one| !text(one, "/keyName").eq_ignore_ascii_case(name));
        if policies.len() == before {
            return Err(not_there(service, name));
        }
        let id = text(&resource, "/id").to_owned();
        Ok(match (write(context, args, service, resource, policies).await?, service) {
            (None, _) => Output::nothing(),
            (Some(hub), Service::Hub) => hub.into(),
            (Some(_), Service::Dps) => Value::Array(policies_of(context, service, &json!({"id": id})).await?).into(),
        })
    })
}
