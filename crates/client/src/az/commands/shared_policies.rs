//! `az iot hub policy renew-key` and `az iot dps policy renew-key`: shared access keys made anew.

use super::dps;
use super::hub;
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task, segment};
use crate::az::data_plane::Service;
use crate::az::failure::{Failure, Result};
use crate::az::members::{set_at, text};
use http::Method;
use serde_json::{Value, json};

const RENEW: &str = "--renew-key/--rk! {primary,secondary,swap} # Which key is made anew, or both change places.
--no-wait flag # Do not wait for the end.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "iot hub policy renew-key",
        "Make a key of a hub's shared access policy anew.",
        &[
            "--hub-name! # Name of the hub.
--name/-n! # Name of the policy.
--resource-group/-g # Resource group; the subscription is searched without it.",
            RENEW,
        ],
        renew_hub,
    )
    .with_ids(&["--hub-name", "--name"]),
    Command::new(
        "iot dps policy renew-key",
        "Make a key of a provisioning service's shared access policy anew. Ours: Azure's az has it for hubs only.",
        &[
            "--dps-name/-n! # Name of the service.
--policy-name/--pn! # Name of the policy.
--resource-group/-g # Resource group; the subscription is searched without it.",
            RENEW,
        ],
        renew_dps,
    ),
];

fn renew_hub<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let hub = hub::find(context, args, "--hub-name").await?;
        Ok(renew(context, args, Service::Hub, hub, args.filled("--name")?).await?.into())
    })
}

fn renew_dps<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let dps = dps::find(context, args, "--dps-name").await?;
        Ok(renew(context, args, Service::Dps, dps, args.filled("--policy-name")?).await?.into())
    })
}

/// Writes the service back with the policy's key left out, which the server then makes; yields the policy.
async fn renew(
    context: &mut Context<'_>,
    args: &Args,
    service: Service,
    mut resource: Value,
    policy: &str,
) -> Result<Value> {
    let id = text(&resource, "/id").to_owned();
    let mut answer = context.arm_post(&format!("{id}/listkeys"), service.version(), None).await?;
    let mut policies = match answer.get_mut("value").map(Value::take) {
        Some(Value::Array(policies)) => policies,
        _ => Vec::new(),
    };
    let found = policies.iter_mut().find(|one| text(one, "/keyName").eq_ignore_ascii_case(policy));
    let chosen = found.ok_or_else(|| Failure::error(format!("Policy {policy} not found.")))?;
    match args.required("--renew-key")? {
        "primary" => chosen["primaryKey"] = Value::Null,
        "secondary" => chosen["secondaryKey"] = Value::Null,
        _ => {
            let (primary, secondary) = (chosen["primaryKey"].take(), chosen["secondaryKey"].take());
            chosen["primaryKey"] = secondary;
            chosen["secondaryKey"] = primary;
        }
    }
    set_at(&mut resource, &["properties", "authorizationPolicies"], json!(policies))?;
    let etag = text(&resource, "/etag").to_owned();
    let etag = Some(etag.as_str()).filter(|etag| !etag.is_empty());
    let no_wait = args.flag("--no-wait");
    context.arm_write_if(Method::PUT, &id, service.version(), &resource, no_wait, etag).await?;
    if no_wait {
        return Ok(Value::Null);
    }
    let keys = if service == Service::Hub { "IotHubKeys" } else { "keys" };
    let path = format!("{id}/{keys}/{}/listkeys", segment(policy));
    context.arm_post(&path, service.version(), None).await
}
