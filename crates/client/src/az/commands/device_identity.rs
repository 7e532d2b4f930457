//! `az iot hub device-identity …`.

use super::identity_keys::{self, AUTHENTICATION};
use crate::az::args::Args;
use crate::az::command::{Command, GENERIC_UPDATE, HUB_CONTEXT};
use crate::az::context::{Context, Task, segment};
use crate::az::data_plane::{DataPlane, Service};
use crate::az::failure::Result;
use crate::az::members::set_at;
use crate::az::options::if_match;
use crate::az::output::Output;
use crate::az::update;
use http::Method;
use serde_json::{Value, json};

const DEVICE: &str = "--device-id/-d! # Id of the device.";
const STATUS: &str = "--status/--sta {disabled,enabled} # Whether it may connect.
--status-reason/--star # Why.
--edge-enabled/--ee 3st # Whether it is an edge device.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "iot hub device-identity create",
        "Create a device.",
        &[HUB_CONTEXT, DEVICE, AUTHENTICATION, STATUS, "--device-scope # Scope of the parent edge device."],
        create,
    ),
    Command::new("iot hub device-identity show", "Show a device.", &[HUB_CONTEXT, DEVICE], show),
    Command::new(
        "iot hub device-identity list",
        "List devices.",
        &[
            HUB_CONTEXT,
            "--top int =1000 # Devices at most.
--edge-enabled/--ee 3st # Edge devices only.",
        ],
        list,
    ),
    Command::new(
        "iot hub device-identity update",
        "Change a device.",
        &[HUB_CONTEXT, DEVICE, AUTHENTICATION, STATUS, "--etag/-e # Only if the device has this ETag.", GENERIC_UPDATE],
        update_device,
    ),
    Command::new(
        "iot hub device-identity delete",
        "Delete a device.",
        &[HUB_CONTEXT, DEVICE, "--etag/-e # Only if the device has this ETag."],
        delete,
    ),
    Command::new(
        "iot hub device-identity connection-string show",
        "Show a device's connection string.",
        &[HUB_CONTEXT, DEVICE, "--key-type/--kt {primary,secondary} =primary # Which of the two keys."],
        connection_string,
    ),
];

/// The path of a device on the data plane.
fn path(args: &Args) -> Result<String> {
    Ok(format!("/devices/{}", segment(args.filled("--device-id")?)))
}

/// Writes the authentication and status options into an identity.
fn apply_options(args: &Args, identity: &mut Value) -> Result<()> {
    identity_keys::apply(args, identity)?;
    for (option, member) in [("--status", "status"), ("--status-reason", "statusReason")] {
        if let Some(value) = args.text(option) {
            identity[member] = json!(value);
        }
    }
    if let Some(edge) = args.switch("--edge-enabled") {
        set_at(identity, &["capabilities", "iotEdge"], json!(edge))?;
    }
    Ok(())
}

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let id = args.filled("--device-id")?;
        let mut identity = json!({
            "deviceId": id,
            "status": "enabled",
            "authentication": {"symmetricKey": {}, "type": "sas"},
            "capabilities": {"iotEdge": false},
        });
        apply_options(args, &mut identity)?;
        if let Some(scope) = args.text("--device-scope") {
            // The scope of an edge device is its own; what is given is its parent's.
            let edge = identity["capabilities"]["iotEdge"] == true;
            identity[if edge { "parentScopes" } else { "deviceScope" }] =
                if edge { json!([scope]) } else { json!(scope) };
        }
        let plane = context.data_plane(args, Service::Hub).await?;
        Ok(context.call(&plane, Method::PUT, &path(args)?, Some(&identity), None).await?.into())
    })
}

async fn get(context: &mut Context<'_>, args: &Args) -> Result<(DataPlane, Value)> {
    let plane = context.data_plane(args, Service::Hub).await?;
    let identity = context.call(&plane, Method::GET, &path(args)?, None, None).await?;
    Ok((plane, identity))
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let (plane, mut identity) = get(context, args).await?;
        identity["hub"] = json!(plane.host);
        Ok(identity.into())
    })
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Hub).await?;
        let mut query = "select * from devices".to_owned();
        if let Some(edge) = args.switch("--edge-enabled") {
            query.push_str(&format!(" where capabilities.iotEdge={edge}"));
        }
        Ok(context.query(&plane, "/devices/query", &json!({"query": query}), args.integer("--top")).await?.into())
    })
}

fn update_device<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let (plane, mut identity) = get(context, args).await?;
        apply_options(args, &mut identity)?;
        update::apply(args, &mut identity)?;
        let etag = if_match(args);
        identity["etag"] = json!(etag.trim_matches('"'));
        Ok(context.call(&plane, Method::PUT, &path(args)?, Some(&identity), Some(&etag)).await?.into())
    })
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Hub).await?;
        context.call(&plane, Method::DELETE, &path(args)?, None, Some(&if_match(args))).await?;
        Ok(Output::nothing())
    })
}

fn connection_string<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let (plane, identity) = get(context, args).await?;
        Ok(identity_keys::connection_string(args, &plane, &identity))
    })
}
