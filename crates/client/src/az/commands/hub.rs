//! `az iot hub show|list|update|delete`.

use super::hub_create::{SETTINGS, apply_settings};
use crate::az::args::Args;
use crate::az::command::{Command, GENERIC_UPDATE};
use crate::az::context::{Context, Task, segment};
use crate::az::data_plane::Service;
use crate::az::failure::{Failure, Result};
use crate::az::members::text;
use crate::az::options::tags;
use crate::az::output::Output;
use crate::az::update;
use crate::az::versions;
use crate::az::wait;
use http::Method;
use serde_json::{Value, json};

const TARGET: &str = "--name/-n! # Name of the hub: 3 to 50 letters, digits and inner hyphens.
--resource-group/-g # Resource group; the subscription is searched without it.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new("iot hub show", "Show a hub.", &[TARGET], show).with_ids(&["--name"]),
    Command::new(
        "iot hub list",
        "List hubs.",
        &["--resource-group/-g # Resource group; the subscription without it."],
        list,
    ),
    Command::new(
        "iot hub update",
        "Change a hub.",
        &[TARGET, SETTINGS, GENERIC_UPDATE, "--no-wait flag # Do not wait for the end."],
        update_hub,
    )
    .with_ids(&["--name"]),
    Command::new("iot hub wait", "Wait until a condition of a hub holds.", &[TARGET, wait::OPTIONS], wait_for)
        .with_ids(&["--name"]),
    Command::new("iot hub show-stats", "Count a hub's devices.", &[TARGET], show_stats).with_ids(&["--name"]),
    Command::new("iot hub delete", "Delete a hub.", &[TARGET, "--no-wait flag # Do not wait for the end."], delete)
        .with_ids(&["--name"]),
];

/// The hub that `name_key` and `--resource-group` name.
///
/// # Errors
/// `az`'s texts where there is none, exit 1.
pub(crate) async fn find(context: &mut Context<'_>, args: &Args, name_key: &'static str) -> Result<Value> {
    let name = args.filled(name_key)?;
    let group = args.text("--resource-group");
    if let Some(group) = group {
        let group_path = context.group_path(group)?;
        context.arm_get(&group_path, versions::RESOURCES).await?;
    }
    context.find_service(Service::Hub, name, group).await.map_err(|failure| match (failure.is_not_found(), group) {
        (false, _) => failure,
        (true, Some(group)) => {
            Failure::error(format!("An IotHub '{name}' under resource group '{group}' was not found."))
        }
        (true, None) => Failure::error(format!("No IoT Hub found with name {name} in current subscription.")),
    })
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move { Ok(find(context, args, "--name").await?.into()) })
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = context.collection_path(args.text("--resource-group"), Service::Hub.kind())?;
        Ok(Value::Array(context.arm_list(&path, versions::HUB).await?).into())
    })
}

fn update_hub<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let mut hub = find(context, args, "--name").await?;
        apply_settings(args, &mut hub["properties"])?;
        if let Some(sku) = args.text("--sku") {
            hub["sku"]["name"] = json!(sku);
        }
        if let Some(units) = args.integer("--unit") {
            hub["sku"]["capacity"] = json!(units);
        }
        if let Some(tags) = tags(args) {
            hub["tags"] = tags;
        }
        update::apply_tagged(args, &mut hub)?;
        let id = text(&hub, "/id").to_owned();
        let etag = text(&hub, "/etag").to_owned();
        let etag = Some(etag.as_str()).filter(|etag| !etag.is_empty());
        let made = context.arm_write_if(Method::PUT, &id, versions::HUB, &hub, args.flag("--no-wait"), etag).await?;
        Ok(made.into())
    })
}

fn wait_for<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        wait::check(args)?;
        // As `az`: a hub that is not there yet is an error, not something to wait for; one that is gone is gone.
        let hub = match find(context, args, "--name").await {
            Err(failure) if args.flag("--deleted") && failure.message.contains("found") => return Ok(Output::nothing()),
            found => found?,
        };
        wait::until(context, args, text(&hub, "/id"), versions::HUB).await
    })
}

fn show_stats<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let hub = find(context, args, "--name").await?;
        Ok(context.arm_get(&format!("{}/IotHubStats", text(&hub, "/id")), versions::HUB).await?.into())
    })
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let name = args.filled("--name")?;
        let path = match args.text("--resource-group") {
            Some(group) => format!("{}/{}", context.collection_path(Some(group), Service::Hub.kind())?, segment(name)),
            None => text(&find(context, args, "--name").await?, "/id").to_owned(),
        };
        context.arm_act(Method::DELETE, &path, versions::HUB, None, args.flag("--no-wait")).await?;
        Ok(Output::nothing())
    })
}
