//! `az group …`: resource groups.

use crate::az::args::Args;
use crate::az::command::{Command, GENERIC_UPDATE};
use crate::az::context::{Context, Task};
use crate::az::failure::{Failure, Result};
use crate::az::members::put;
use crate::az::options::{region, tags};
use crate::az::output::{Columns, Output};
use crate::az::update;
use crate::az::versions;
use ferrohub_wire::jmespath;
use http::Method;
use serde_json::{Map, Value, json};
use std::time::Duration;

const NAME: &str = "--name/--resource-group/-n/-g! # Name of the resource group.";

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
    Command::new(
        "group wait",
        "Wait until a condition holds.",
        &[
            NAME,
            "--created flag # Until provisioningState is Succeeded.
--updated flag # Until provisioningState is Succeeded.
--deleted flag # Until it is gone.
--exists flag # Until it is there.
--custom # Until this JMESPath query is true.
--interval int =30 # Seconds between looks.
--timeout int =3600 # Seconds to wait at most.",
        ],
        wait,
    ),
];

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = context.group_path(args.filled("--name")?)?;
        let mut body = Map::new();
        let location = region(context, args.required("--location")?).await?;
        put(&mut body, "location", Some(Value::String(location)));
        put(&mut body, "tags", tags(args));
        put(&mut body, "managedBy", args.text("--managed-by").map(|id| json!(id)));
        let group = context.arm_write(Method::PUT, &path, versions::RESOURCES, &Value::Object(body), false).await?;
        Ok(Output::with_columns(group, COLUMNS))
    })
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = context.group_path(args.filled("--name")?)?;
        Ok(Output::with_columns(context.arm_get(&path, versions::RESOURCES).await?, COLUMNS))
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
        Ok(Output::with_columns(Value::Array(groups), COLUMNS))
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
        update::apply(args, &mut group)?;
        let group = context.arm_write(Method::PUT, &path, versions::RESOURCES, &group, false).await?;
        Ok(Output::with_columns(group, COLUMNS))
    })
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = context.group_path(args.filled("--name")?)?;
        context.arm_act(Method::DELETE, &path, versions::RESOURCES, None, args.flag("--no-wait")).await?;
        Ok(Output::nothing())
    })
}

fn wait<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = context.group_path(args.filled("--name")?)?;
        let conditions = ["--created", "--updated", "--deleted", "--exists", "--custom"];
        if !conditions.into_iter().any(|condition| args.given(condition)) {
            return Err(Failure::error(
                "incorrect usage: --created | --updated | --deleted | --exists | --custom JMESPATH",
            ));
        }
        let interval = u64::try_from(args.integer("--interval").unwrap_or(30)).unwrap_or(30).max(1);
        let timeout = u64::try_from(args.integer("--timeout").unwrap_or(3600)).unwrap_or(3600);
        for _ in 0..=timeout / interval {
            if holds(args, context.arm_find(&path, versions::RESOURCES).await?.as_ref())? {
                return Ok(Output::nothing());
            }
            context.environment.clock.sleep(Duration::from_secs(interval)).await;
        }
        Err(Failure::error("Wait operation timed-out after the given time; see --timeout."))
    })
}

/// Whether a resource (`None`: there is none) meets the conditions of a wait command.
fn holds(args: &Args, resource: Option<&Value>) -> Result<bool> {
    let Some(resource) = resource else {
        return Ok(args.flag("--deleted"));
    };
    if args.flag("--exists") {
        return Ok(true);
    }
    let state = resource.pointer("/properties/provisioningState").and_then(Value::as_str).unwrap_or_default();
    if (args.flag("--created") || args.flag("--updated")) && state.eq_ignore_ascii_case("Succeeded") {
        return Ok(true);
    }
    let Some(custom) = args.text("--custom") else {
        return Ok(false);
    };
    let expression =
        jmespath::compile(custom).map_err(|error| Failure::usage(format!("argument --custom: {error}")))?;
    let found = expression.search(resource).map_err(|error| Failure::error(error.to_string()))?;
    let empty = match &found {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    };
    Ok(!empty)
}
