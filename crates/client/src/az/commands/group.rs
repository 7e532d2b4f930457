//! `az group …`: resource groups.

use crate::az::args::Args;
use crate::az::command::{Command, GENERIC_UPDATE};
use crate::az::context::{Context, Task};
use crate::az::failure::Failure;
use crate::az::members::put;
use crate::az::options::{region, tags};
use crate::az::output::{Columns, Output};
use crate::az::update;
use crate::az::versions;
use crate::az::wait;
use http::Method;
use serde_json::{Map, Value, json};

const NAME: &str = "--name/-n/--resource-group/-g! # Name of the resource group: 1 to 90 letters, digits, '-', '_', '.', '(' and ')', not ending in a full stop.";

/// Columns of the table format.
const COLUMNS: Columns = &[("Name", "name"), ("Location", "location"), ("Status", "properties.provisioningState")];

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "group create",
        "Create a resource group.",
        &[
            NAME,
            "--location/-l! # Region.
--managed-by # Resource that manages the group.
--tags * # Tags: key=value; an empty text clears them.",
        ],
        create,
    ),
    Command::new("group show", "Show a resource group.", &[NAME], show),
    Command::new(
        "group list",
        "List resource groups.",
        &["--tag ? # Only groups with this tag: key or key=value."],
        list,
    ),
    Command::new("group exists", "Say whether a resource group exists.", &[NAME], exists),
    Command::new(
        "group update",
        "Change a resource group.",
        &[NAME, "--tags * # Tags: key=value; an empty text clears them.", GENERIC_UPDATE],
        update_group,
    ),
    Command::new(
        "group delete",
        "Delete a resource group and everything in it.",
        &[
            NAME,
            "--no-wait flag # Do not wait for the end.
~--force-deletion-types/-f",
        ],
        delete,
    )
    .confirmed(),
    Command::new("group wait", "Wait until a condition holds.", &[NAME, wait::OPTIONS], wait_for),
];

/// A group as core `az` prints it: with the members that it does not have, as null.
fn shown(mut group: Value) -> Value {
    for member in ["managedBy", "tags"] {
        if let Value::Object(members) = &mut group
            && !members.contains_key(member)
        {
            members.insert(member.to_owned(), Value::Null);
        }
    }
    group
}

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = context.group_path(args.filled("--name")?)?;
        let mut body = Map::new();
        let location = region(context, args.required("--location")?).await?;
        put(&mut body, "location", Some(Value::String(location)));
        put(&mut body, "tags", tags(args));
        put(&mut body, "managedBy", args.text("--managed-by").map(|id| json!(id)));
        let group = context.arm_write(Method::PUT, &path, versions::RESOURCES, &Value::Object(body), false).await?;
        Ok(Output::with_columns(shown(group), COLUMNS))
    })
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = context.group_path(args.filled("--name")?)?;
        Ok(Output::with_columns(shown(context.arm_get(&path, versions::RESOURCES).await?), COLUMNS))
    })
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = format!("{}/resourcegroups", context.subscription_path()?);
        let mut groups = context.arm_list(&path, versions::RESOURCES).await?;
        if let Some(tag) = args.text("--tag") {
            let (key, value) = tag.split_once('=').map_or((tag, None), |(key, value)| (key, Some(value)));
            groups.retain(|group| {
                let held = group.get("tags").and_then(|tags| tags.get(key)).and_then(Value::as_str);
                held.is_some() && (value.is_none() || held == value)
            });
        }
        Ok(Output::with_columns(Value::Array(groups.into_iter().map(shown).collect()), COLUMNS))
    })
}

fn exists<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = context.group_path(args.filled("--name")?)?;
        let response = context.arm_raw(Method::HEAD, &path, versions::RESOURCES, None).await?;
        match response.status.as_u16() {
            404 => Ok(Value::Bool(false).into()),
            200..300 => Ok(Value::Bool(true).into()),
            status => Err(Failure::of_arm(status, response.status.canonical_reason().unwrap_or("Unknown"), b"")),
        }
    })
}

fn update_group<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = context.group_path(args.filled("--name")?)?;
        let mut group = context.arm_get(&path, versions::RESOURCES).await?;
        if let Some(tags) = tags(args) {
            group["tags"] = tags;
        }
        update::apply_tagged(args, &mut group)?;
        let group = context.arm_write(Method::PUT, &path, versions::RESOURCES, &group, false).await?;
        Ok(Output::with_columns(shown(group), COLUMNS))
    })
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = context.group_path(args.filled("--name")?)?;
        context.arm_act(Method::DELETE, &path, versions::RESOURCES, None, args.flag("--no-wait")).await?;
        Ok(Output::nothing())
    })
}

fn wait_for<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = context.group_path(args.filled("--name")?)?;
        wait::check(args)?;
        wait::until(context, args, &path, versions::RESOURCES).await
    })
}
