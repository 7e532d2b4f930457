//! `az iot adr ns credential …`: the root CA of a namespace.

use crate::az::adr_paths::{credential_path, namespace_path, region_of};
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task};
use crate::az::failure::{Failure, Result};
use crate::az::members::put;
use crate::az::options::tags;
use crate::az::output::{Columns, Output};
use crate::az::versions;
use http::Method;
use serde_json::{Map, Value, json};

const TARGET: &str = "--namespace/--ns! # Name of the namespace.
--resource-group/-g! # Resource group.";

/// Columns of the table format.
const STATES: Columns = &[
    ("Hub", "hub"),
    ("Policy", "policy"),
    ("State", "state"),
    ("LastAttempt", "lastAttempt"),
    ("Error", "error.code"),
];

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "iot adr ns credential create",
        "Create the credential of a namespace.",
        &[TARGET, "--tags * # Tags: key=value; an empty text clears them."],
        create,
    ),
    Command::new("iot adr ns credential show", "Show the credential of a namespace.", &[TARGET], show),
    Command::new("iot adr ns credential delete", "Delete the credential of a namespace.", &[TARGET], delete)
        .confirmed(),
    Command::new(
        "iot adr ns credential sync",
        "Make the linked hubs trust the CAs of all policies, or of some.",
        &[
            TARGET,
            "--policies + # Names or ids of policies; all without it. Ferrohub's own.
--hubs + # Names or ids of linked hubs; all without it. Ferrohub's own.",
        ],
        sync,
    ),
    Command::new(
        "iot adr ns credential rotate",
        "Let another root take the place of the namespace's, and move the CAs of all policies under it. Ferrohub's own: Azure has no such command.",
        &[TARGET],
        rotate,
    )
    .confirmed(),
    Command::new(
        "iot adr ns credential sync-status",
        "Show which linked hub trusts the CA of which policy. Ferrohub's own: Azure has no such command.",
        &[TARGET],
        sync_status,
    ),
    Command::new(
        "iot adr ns credential undo-sync",
        "Take the CAs of policies off linked hubs. Ferrohub's own: Azure has no such command.",
        &[
            TARGET,
            "--policies! + # Names or ids of policies.
--hubs + # Names or ids of linked hubs; all without it.",
        ],
        undo_sync,
    )
    .confirmed(),
];

/// Makes the credential.
///
/// # Errors
/// ARM's error.
pub(crate) async fn create_credential(
    context: &mut Context<'_>,
    namespace: &str,
    region: &str,
    tags: Option<Value>,
) -> Result<Value> {
    let mut body = Map::new();
    put(&mut body, "location", Some(json!(region)));
    put(&mut body, "tags", tags);
    put(&mut body, "properties", Some(json!({})));
    context.arm_write(Method::PUT, &credential_path(namespace), versions::REGISTRY, &Value::Object(body), false).await
}

fn namespace(context: &mut Context<'_>, args: &Args) -> Result<String> {
    namespace_path(context, args.filled("--resource-group")?, args.filled("--namespace")?)
}

/// Adds the way out to a missing credential; a missing namespace keeps the server's words.
async fn explained(context: &mut Context<'_>, args: &Args, namespace: &str, failure: Failure) -> Failure {
    if !failure.is_not_found() {
        return failure;
    }
    if let Err(missing) = context.arm_get(namespace, versions::REGISTRY).await {
        return missing;
    }
    let (ns, group) = (args.text("--namespace").unwrap_or_default(), args.text("--resource-group").unwrap_or_default());
    let message = format!(
        "No credential found for namespace '{ns}' in resource group '{group}'. Use 'az iot adr ns credential create --ns {ns} -g {group}' to create one."
    );
    Failure { message, ..failure }
}

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let namespace = namespace(context, args)?;
        let region = region_of(context, &namespace).await?;
        Ok(create_credential(context, &namespace, &region, tags(args)).await?.into())
    })
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let namespace = namespace(context, args)?;
        match context.arm_get(&credential_path(&namespace), versions::REGISTRY).await {
            Ok(credential) => Ok(credential.into()),
            Err(failure) => Err(explained(context, args, &namespace, failure).await),
        }
    })
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let namespace = namespace(context, args)?;
        let path = credential_path(&namespace);
        match context.arm_act(Method::DELETE, &path, versions::REGISTRY, None, false).await {
            Ok(_) => Ok(Output::nothing()),
            Err(failure) => Err(explained(context, args, &namespace, failure).await),
        }
    })
}

fn sync<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let namespace = namespace(context, args)?;
        let path = format!("{}/synchronize", credential_path(&namespace));
        match context.arm_act(Method::POST, &path, versions::REGISTRY, named(args).as_ref(), false).await {
            Ok(_) => {
                let name = args.required("--namespace")?;
                Ok(Output::text(format!("Successfully synchronized credentials for namespace '{name}'\n")))
            }
            Err(failure) => Err(explained(context, args, &namespace, failure).await),
        }
    })
}

/// The policies and hubs that are named; `None` where neither is, which means all of both.
fn named(args: &Args) -> Option<Value> {
    let mut body = Map::new();
    put(&mut body, "policies", args.list("--policies").map(|names| json!(names)));
    put(&mut body, "hubs", args.list("--hubs").map(|names| json!(names)));
    (!body.is_empty()).then_some(Value::Object(body))
}

fn rotate<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let namespace = namespace(context, args)?;
        let path = format!("{}/rotate", credential_path(&namespace));
        match context.arm_result(&path, versions::REGISTRY).await {
            Ok(root) => Ok(root.into()),
            Err(failure) => Err(explained(context, args, &namespace, failure).await),
        }
    })
}

fn sync_status<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let namespace = namespace(context, args)?;
        let path = format!("{}/synchronization", credential_path(&namespace));
        match context.arm_list(&path, versions::REGISTRY).await {
            Ok(states) => Ok(Output::with_columns(Value::Array(states), STATES)),
            Err(failure) => Err(explained(context, args, &namespace, failure).await),
        }
    })
}

fn undo_sync<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let namespace = namespace(context, args)?;
        let path = format!("{}/undoSynchronize", credential_path(&namespace));
        match context.arm_act(Method::POST, &path, versions::REGISTRY, named(args).as_ref(), false).await {
            Ok(_) => Ok(Output::nothing()),
            Err(failure) => Err(explained(context, args, &namespace, failure).await),
        }
    })
}
