//! `az iot adr ns identity …`: a namespace's identity of its own, with which it works on its hubs.

use crate::az::adr_paths::namespace_path;
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task};
use crate::az::failure::{Failure, Result};
use crate::az::versions;
use crate::az::wait;
use http::Method;
use serde_json::{Value, json};

const TARGET: &str = "--namespace/--name/-n! # Name of the namespace.
--resource-group/-g! # Resource group.";
const OWN: &str = "--system-assigned/--system 3st # The namespace's own identity; it can have no other.
~--user-assigned-identity/--user *
--no-wait flag # Do not wait for the end.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new("iot adr ns identity show", "Show a namespace's identity.", &[TARGET], show),
    Command::new("iot adr ns identity assign", "Give a namespace an identity of its own.", &[TARGET, OWN], assign),
    Command::new(
        "iot adr ns identity wait",
        "Wait until a namespace and its identity are as wanted.",
        &[TARGET, wait::OPTIONS],
        wait_for,
    ),
    Command::new("iot adr ns identity remove", "Take a namespace's identity away.", &[TARGET, OWN], remove),
];

async fn path(context: &mut Context<'_>, args: &Args) -> Result<String> {
    let group = args.filled("--resource-group")?.to_owned();
    namespace_path(context, &group, args.filled("--namespace")?)
}

fn shown(namespace: &Value) -> Value {
    namespace.get("identity").cloned().unwrap_or(Value::Null)
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args).await?;
        Ok(shown(&context.arm_get(&path, versions::REGISTRY).await?).into())
    })
}

/// Sets the kind of identity.
async fn write(context: &mut Context<'_>, args: &Args, kind: &str) -> Result<Value> {
    if args.given("--user-assigned-identity") {
        return Err(Failure::error("A namespace has no user-assigned identities; give --system-assigned alone."));
    }
    if args.switch("--system-assigned") != Some(true) {
        return Err(Failure::error("Say which identity is meant: --system-assigned"));
    }
    let path = path(context, args).await?;
    let body = json!({"identity": {"type": kind}});
    let no_wait = args.flag("--no-wait");
    Ok(shown(&context.arm_write(Method::PATCH, &path, versions::REGISTRY, &body, no_wait).await?))
}

fn wait_for<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        wait::check(args)?;
        let path = path(context, args).await?;
        wait::until(context, args, &path, versions::REGISTRY).await
    })
}

fn assign<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move { Ok(write(context, args, "SystemAssigned").await?.into()) })
}

fn remove<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move { Ok(write(context, args, "None").await?.into()) })
}
