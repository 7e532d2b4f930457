//! `az identity …`: user-assigned managed identities.

use crate::az::args::Args;
use crate::az::command::{Command, GENERIC_UPDATE};
use crate::az::context::{Context, Task, segment};
use crate::az::failure::Result;
use crate::az::members::{flattened, put};
use crate::az::options::{location, tags};
use crate::az::output::Output;
use crate::az::update;
use crate::az::versions;
use http::Method;
use serde_json::{Map, Value, json};

const KIND: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";
const TARGET: &str = "--name/-n/--resource-name! # Name of the identity: 3 to 128 letters, digits, hyphens and underscores, first a letter or digit.
--resource-group/-g! # Resource group.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "identity create",
        "Create an identity.",
        &[
            TARGET,
            "--location/-l # Region; the group's without it.
--tags + # Tags: key=value; an empty text clears them.
--isolation-scope {None,Regional} # Isolation scope.
~--resource-restriction +",
        ],
        create,
    ),
    Command::new("identity show", "Show an identity.", &[TARGET], show).with_ids(&["--name"]),
    Command::new(
        "identity list",
        "List identities.",
        &["--resource-group/-g # Resource group.
~--max-items
~--next-token"],
        list,
    ),
    Command::new(
        "identity update",
        "Change an identity.",
        &[TARGET, "--tags + # Tags: key=value; an empty text clears them.", GENERIC_UPDATE],
        update_identity,
    )
    .with_ids(&["--name"]),
    Command::new("identity delete", "Delete an identity.", &[TARGET], delete).with_ids(&["--name"]),
];

fn path(context: &mut Context<'_>, args: &Args) -> Result<String> {
    let collection = context.collection_path(Some(args.filled("--resource-group")?), KIND)?;
    Ok(format!("{collection}/{}", segment(args.filled("--name")?)))
}

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args)?;
        let mut body = Map::new();
        let region = location(context, args, args.required("--resource-group")?).await?;
        put(&mut body, "location", Some(Value::String(region)));
        put(&mut body, "tags", tags(args));
        put(&mut body, "properties", args.text("--isolation-scope").map(|scope| json!({"isolationScope": scope})));
        let made = context.arm_write(Method::PUT, &path, versions::IDENTITIES, &Value::Object(body), false).await?;
        Ok(flattened(made).into())
    })
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args)?;
        Ok(flattened(context.arm_get(&path, versions::IDENTITIES).await?).into())
    })
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = context.collection_path(args.text("--resource-group"), KIND)?;
        let found = context.arm_list(&path, versions::IDENTITIES).await?;
        Ok(Value::Array(found.into_iter().map(flattened).collect()).into())
    })
}

fn update_identity<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args)?;
        let mut resource = context.arm_get(&path, versions::IDENTITIES).await?;
        if let Some(tags) = tags(args) {
            resource["tags"] = tags;
        }
        update::apply_tagged(args, &mut resource)?;
        let made = context.arm_write(Method::PUT, &path, versions::IDENTITIES, &resource, false).await?;
        Ok(flattened(made).into())
    })
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args)?;
        context.arm_act(Method::DELETE, &path, versions::IDENTITIES, None, false).await?;
        Ok(Output::nothing())
    })
}
