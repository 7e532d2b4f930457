//! `az iot hub identity …` and `az iot dps identity …`: managed identities of a service.

use super::dps;
use super::hub;
use super::hub_link::grant_own_identity;
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task};
use crate::az::data_plane::Service;
use crate::az::failure::{Failure, Result};
use crate::az::identities::{BOTH, BOTH_OF_A_HUB, Identities};
use crate::az::members::text;
use http::Method;
use serde_json::Value;

const TARGET: &str = "--name/-n! # Name of the service.
--resource-group/-g # Resource group; the subscription is searched without it.";
const ASSIGN: &str = "--system-assigned/--system 3st # The service's own identity.
--user-assigned/--user + # User-assigned identities.
--role # Role for the service's own identity, at --scopes.
--scopes * # Scopes of --role.";
const REMOVE: &str = "--system-assigned/--system 3st # The service's own identity.
--user-assigned/--user * # User-assigned identities; all of them without an id.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new("iot hub identity show", "Show a hub's identities.", &[TARGET], show_hub).with_ids(&["--name"]),
    Command::new("iot hub identity assign", "Give a hub identities.", &[TARGET, ASSIGN], assign_hub)
        .with_ids(&["--name"]),
    Command::new("iot hub identity remove", "Take identities from a hub.", &[TARGET, REMOVE], remove_hub)
        .with_ids(&["--name"]),
    Command::new("iot dps identity show", "Show a provisioning service's identities.", &[TARGET], show_dps)
        .with_ids(&["--name"]),
    Command::new("iot dps identity assign", "Give a provisioning service identities.", &[TARGET, ASSIGN], assign_dps)
        .with_ids(&["--name"]),
    Command::new(
        "iot dps identity remove",
        "Take identities from a provisioning service.",
        &[TARGET, REMOVE],
        remove_dps,
    )
    .with_ids(&["--name"]),
];

async fn find(context: &mut Context<'_>, args: &Args, service: Service) -> Result<Value> {
    match service {
        Service::Hub => hub::find(context, args, "--name").await,
        Service::Dps => dps::find(context, args, "--name").await,
    }
}

async fn show(context: &mut Context<'_>, args: &Args, service: Service) -> Result<Value> {
    let resource = find(context, args, service).await?;
    Ok(resource.get("identity").cloned().unwrap_or(Value::Null))
}

/// How the service writes that it has identities of both kinds.
fn both(service: Service) -> &'static str {
    if service == Service::Hub { BOTH_OF_A_HUB } else { BOTH }
}

async fn write(
    context: &mut Context<'_>,
    service: Service,
    mut resource: Value,
    identities: &Identities,
) -> Result<Value> {
    resource["identity"] = identities.body(both(service));
    let (id, etag) = (text(&resource, "/id").to_owned(), text(&resource, "/etag").to_owned());
    let etag = Some(etag.as_str()).filter(|etag| !etag.is_empty());
    context.arm_write_if(Method::PUT, &id, service.version(), &resource, false, etag).await
}

async fn assign(context: &mut Context<'_>, args: &Args, service: Service) -> Result<Value> {
    let resource = find(context, args, service).await?;
    let mut identities = Identities::of(&resource);
    if !args.given("--system-assigned") && !args.given("--user-assigned") {
        return Err(Failure::error(
            "No identities provided to assign. Please provide system (--system) or user-assigned identities (--user).",
        ));
    }
    identities.own |= args.switch("--system-assigned") == Some(true);
    for id in args.list("--user-assigned").unwrap_or_default() {
        if !identities.has(id) {
            identities.users.push(id.clone());
        }
    }
    let made = write(context, service, resource, &identities).await?;
    if let Some(role) = args.text("--role") {
        grant_own_identity(context, &made, role, args.list("--scopes").unwrap_or_default()).await?;
    }
    Ok(made.get("identity").cloned().unwrap_or(Value::Null))
}

async fn remove(context: &mut Context<'_>, args: &Args, service: Service) -> Result<Value> {
    let resource = find(context, args, service).await?;
    let mut identities = Identities::of(&resource);
    if !args.given("--system-assigned") && !args.given("--user-assigned") {
        return Err(Failure::error(
            "No identities provided to remove. Please provide system (--system) or user-assigned identities (--user).",
        ));
    }
    if args.switch("--system-assigned") == Some(true) {
        if !identities.own {
            return Err(Failure::error("The service has no identity of its own to remove."));
        }
        identities.own = false;
    }
    if let Some(ids) = args.list("--user-assigned") {
        if let Some(unknown) = ids.iter().find(|id| !identities.has(id)) {
            return Err(Failure::error(format!("The service does not have the identity {unknown}.")));
        }
        identities.users.retain(|held| !ids.is_empty() && !ids.iter().any(|id| id.eq_ignore_ascii_case(held)));
    }
    let made = write(context, service, resource, &identities).await?;
    Ok(made.get("identity").cloned().unwrap_or(Value::Null))
}

fn show_hub<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move { Ok(show(context, args, Service::Hub).await?.into()) })
}

fn assign_hub<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move { Ok(assign(context, args, Service::Hub).await?.into()) })
}

fn remove_hub<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move { Ok(remove(context, args, Service::Hub).await?.into()) })
}

fn show_dps<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move { Ok(show(context, args, Service::Dps).await?.into()) })
}

fn assign_dps<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move { Ok(assign(context, args, Service::Dps).await?.into()) })
}

fn remove_dps<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move { Ok(remove(context, args, Service::Dps).await?.into()) })
}
