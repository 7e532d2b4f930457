//! Registrations at a provisioning service, in the three groups that `az` has for them: `az iot dps enrollment registration …`,
//! `az iot dps enrollment-group registration …` and `az iot dps registration …`.

use crate::az::args::Args;
use crate::az::command::{Command, DPS_CONTEXT};
use crate::az::context::{Context, Task, segment};
use crate::az::data_plane::Service;
use crate::az::failure::Result;
use crate::az::output::Output;
use http::Method;
use serde_json::json;

const GROUP: &str = "--enrollment-id/--eid/--group-id/--gid! # Id of the enrollment group.";
const REGISTRATION: &str = "--registration-id/--rid! # Registration id of the device.";
const ENROLLMENT: &str = "--enrollment-id/--eid! # Registration id of the device, which its enrollment has too.";
const ETAG: &str = "--etag/-e # Only with this ETag.";
const TOP: &str = "--top int # Registrations at most.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "iot dps enrollment registration show",
        "Show the registration of an individual enrollment.",
        &[DPS_CONTEXT, ENROLLMENT],
        show,
    ),
    Command::new(
        "iot dps enrollment registration delete",
        "Delete the registration of an individual enrollment.",
        &[DPS_CONTEXT, ENROLLMENT, ETAG],
        delete,
    ),
    Command::new(
        "iot dps enrollment-group registration show",
        "Show the registration of a device.",
        &[DPS_CONTEXT, REGISTRATION],
        show,
    ),
    Command::new(
        "iot dps enrollment-group registration list",
        "List the registrations of a group.",
        &[DPS_CONTEXT, GROUP, TOP],
        list,
    ),
    Command::new(
        "iot dps enrollment-group registration delete",
        "Delete a registration.",
        &[DPS_CONTEXT, REGISTRATION, ETAG],
        delete,
    ),
    Command::new(
        "iot dps registration show",
        "Show the registration of a device.",
        &[DPS_CONTEXT, "--registration-id! # Registration id of the device."],
        show,
    ),
    Command::new("iot dps registration list", "List the registrations of a group.", &[DPS_CONTEXT, GROUP, TOP], list),
    Command::new(
        "iot dps registration delete",
        "Delete a registration.",
        &[DPS_CONTEXT, "--registration-id! # Registration id of the device.", ETAG],
        delete,
    ),
];

fn path(args: &Args) -> Result<String> {
    let id = if args.declares("--registration-id") { "--registration-id" } else { "--enrollment-id" };
    Ok(format!("/registrations/{}", segment(args.filled(id)?)))
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Dps).await?;
        Ok(context.call(&plane, Method::GET, &path(args)?, None, None).await?.into())
    })
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Dps).await?;
        let path = format!("/registrations/{}/query", segment(args.filled("--enrollment-id")?));
        Ok(context.query(&plane, &path, &json!({}), args.integer("--top")).await?.into())
    })
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Dps).await?;
        let etag = Some(args.text("--etag").unwrap_or("*"));
        context.call(&plane, Method::DELETE, &path(args)?, None, etag).await?;
        Ok(Output::nothing())
    })
}
