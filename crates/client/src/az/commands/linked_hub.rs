//! `az iot dps linked-hub …`: the hubs that a provisioning service assigns devices to.

use super::dps;
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task};
use crate::az::data_plane::Service;
use crate::az::failure::{Failure, Result};
use crate::az::members::{set_at, text};
use crate::az::output::Output;
use crate::az::sas;
use crate::az::versions;
use ferrohub_wire::connection_string::ConnectionString;
use serde_json::{Value, json};

const DPS: &str = "--dps-name! # Name of the provisioning service.
--resource-group/-g # Its resource group; the subscription is searched without it.";
const LINKED: &str = "--linked-hub! # Host name or name of the linked hub.";
const CHOICES: &str = "--allocation-weight int # Weight in the allocation.
--apply-allocation-policy 3st # Whether devices are allocated to it.
--no-wait flag # Do not wait for the end.";

/// Tries to write a service that others change at the same time: ours.
const ATTEMPTS: u32 = 20;

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "iot dps linked-hub create",
        "Link a hub.",
        &[
            DPS,
            "--hub-name/--hn # Name of the hub.
--hub-resource-group/--hrg # Resource group of the hub.
--connection-string # Connection string of the hub, instead of its name.
~--location/-l",
            CHOICES,
        ],
        create,
    ),
    Command::new("iot dps linked-hub list", "List the linked hubs.", &[DPS], list),
    Command::new("iot dps linked-hub show", "Show a linked hub.", &[DPS, LINKED], show),
    Command::new("iot dps linked-hub update", "Change a linked hub.", &[DPS, LINKED, CHOICES], update),
    Command::new(
        "iot dps linked-hub delete",
        "Unlink a hub.",
        &[DPS, LINKED, "--no-wait flag # Do not wait for the end."],
        delete,
    ),
];

fn hubs(dps: &Value) -> Vec<Value> {
    dps.pointer("/properties/iotHubs").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Connection string and region of the hub to link.
async fn hub_to_link(context: &mut Context<'_>, args: &Args) -> Result<(String, String)> {
    if let Some(given) = args.text("--connection-string") {
        let host = sas::host_of(&ConnectionString::parse(given)?)?.to_owned();
        let region = match args.text("--location") {
            Some(region) => region.to_owned(),
            None => {
                let name = host.split('.').next().unwrap_or_default().to_owned();
                text(&context.find_service(Service::Hub, &name, None).await?, "/location").to_owned()
            }
        };
        return Ok((given.to_owned(), region));
    }
    let Some(name) = args.text("--hub-name").filter(|name| !name.is_empty()) else {
        return Err(Failure::error("Please provide the IoT Hub name or connection string."));
    };
    let group = args.text("--hub-resource-group");
    let found = context.find_service(Service::Hub, name, group).await;
    let hub = found.map_err(|failure| match (failure.is_not_found(), group) {
        (false, _) => failure,
        (true, None) => Failure::error(format!("No IoT Hub found with name {name} in current subscription.")),
        (true, Some(group)) => {
            Failure::error(format!("An IotHub '{name}' under resource group '{group}' was not found."))
        }
    })?;
    let path = format!("{}/IotHubKeys/iothubowner/listkeys", text(&hub, "/id"));
    let key = context.arm_post(&path, versions::HUB, None).await?;
    let string = ConnectionString::for_policy(
        text(&hub, "/properties/hostName"),
        text(&key, "/keyName"),
        text(&key, "/primaryKey"),
    );
    Ok((string.reveal(), text(&hub, "/location").to_owned()))
}

fn apply_choices(args: &Args, hub: &mut Value) {
    if let Some(weight) = args.integer("--allocation-weight") {
        hub["allocationWeight"] = json!(weight);
    }
    if let Some(apply) = args.switch("--apply-allocation-policy") {
        hub["applyAllocationPolicy"] = json!(apply);
    }
}

/// Reads the service, changes its hubs, puts it back and yields the list that it then has. When another
/// command changed the service in between, all of that again.
async fn change(
    context: &mut Context<'_>,
    args: &Args,
    edit: impl Fn(&mut Vec<Value>) -> Result<()> + Send,
) -> Result<Value> {
    let no_wait = args.flag("--no-wait");
    for attempt in 1.. {
        let mut dps = dps::find(context, args, "--dps-name").await?;
        let mut all = hubs(&dps);
        edit(&mut all)?;
        set_at(&mut dps, &["properties", "iotHubs"], Value::Array(all))?;
        match dps::write(context, &dps, no_wait).await {
            Err(failure) if failure.status == Some(412) && attempt < ATTEMPTS => {}
            Err(failure) => return Err(failure),
            Ok(_) if no_wait => break,
            Ok(_) => {
                let fresh = context.arm_get(text(&dps, "/id"), versions::DPS).await?;
                return Ok(Value::Array(hubs(&fresh)));
            }
        }
    }
    Ok(Value::Null)
}

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let (connection_string, region) = hub_to_link(context, args).await?;
        let mut hub = json!({"connectionString": connection_string, "location": region});
        apply_choices(args, &mut hub);
        let link = |all: &mut Vec<Value>| {
            all.push(hub.clone());
            Ok(())
        };
        Ok(change(context, args, link).await?.into())
    })
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move { Ok(Value::Array(hubs(&dps::find(context, args, "--dps-name").await?)).into()) })
}

/// Whether `wanted` (a host name, or the hub's own name) means this linked hub.
fn means(hub: &Value, wanted: &str) -> bool {
    let name = text(hub, "/name");
    let own = name.split('.').next().unwrap_or_default();
    name.eq_ignore_ascii_case(wanted) || (!wanted.contains('.') && own.eq_ignore_ascii_case(wanted))
}

fn position(all: &[Value], args: &Args) -> Result<usize> {
    let wanted = args.filled("--linked-hub")?;
    all.iter().position(|hub| means(hub, wanted)).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|hub| text(hub, "/name")).collect();
        let linked =
            if names.is_empty() { "no hub is linked".to_owned() } else { format!("linked are: {}", names.join(", ")) };
        Failure::error(format!(
            "Linked hub '{wanted}' does not exist in provisioning service '{}'; {linked}.",
            args.text("--dps-name").unwrap_or_default()
        ))
    })
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let mut all = hubs(&dps::find(context, args, "--dps-name").await?);
        let at = position(&all, args)?;
        Ok(all.swap_remove(at).into())
    })
}

fn update<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let apply = |all: &mut Vec<Value>| {
            let at = position(all, args)?;
            apply_choices(args, &mut all[at]);
            Ok(())
        };
        let mut all = match change(context, args, apply).await? {
            Value::Array(all) => all,
            _ => return Ok(Output::nothing()),
        };
        let at = position(&all, args)?;
        Ok(all.swap_remove(at).into())
    })
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let unlink = |all: &mut Vec<Value>| {
            all.remove(position(all, args)?);
            Ok(())
        };
        change(context, args, unlink).await?;
        Ok(Output::nothing())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linked_hub_is_named_by_host_or_name() {
        let hub = json!({"name": "h1.azure-devices.localhost"});
        assert!(means(&hub, "h1") && means(&hub, "H1.azure-devices.localhost"));
        assert!(!means(&hub, "h") && !means(&hub, "h1.azure-devices.net"));
    }
}
