//! `az iot adr ns credential …`: the root CA of a namespace.

use crate::az::adr_paths::{credential_path, namespace_path, region_of};
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task};
use crate::az::failure::{Failure, Result};
use crate::az::members::put;
use crate::az::options::tags;
use crate::az::output::Output;
use crate::az::versions;
use http::Method;
use serde_json::{Map, Value, json};

const TARGET: &str = "--namespace/--ns! # Name of the namespace.
--resource-group/-g! # Resource group.";

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
    Command::new("iot adr ns credential sync", "Make the linked hubs trust the CAs of all policies.", &[TARGET], sync),
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
        match context.arm_act(Method::POST, &path, versions::REGISTRY, None, false).await {
            Ok(_) => {
                let name = args.required("--namespace")?;
                Ok(Output::text(format!("Successfully synchronized credentials for namespace '{name}'\n")))
            }
            Err(failure) => Err(explained(context, args, &namespace, failure).await),
        }
    })
}
