//! `az resource …` and `az provider …`: resources of any type, and their providers.

use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task, query_value, segment};
use crate::az::failure::{Failure, Result};
use crate::az::members::text;
use crate::az::options::rooted;
use crate::az::output::Output;
use crate::az::versions;
use http::Method;
use serde_json::Value;

pub(super) const TARGET: &str = "--ids + # Resource ids.
--name/-n # Name of the resource.
--resource-type # Type, such as Microsoft.Devices/IotHubs.
--namespace # Provider namespace, where the type has none.
--parent # Parent, such as namespaces/ns1.
--resource-group/-g # Resource group.
--api-version # Api-version; the newest stable one without it.
--latest-include-preview/-v flag # Take the newest api-version, previews too.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "resource list",
        "List resources.",
        &["--resource-group/-g # Resource group.
--resource-type # Type, such as Microsoft.Devices/IotHubs.
--namespace # Provider namespace, where the type has none.
--name/-n # Name.
--location/-l # Region.
--tag ? # Only with this tag: key or key=value."],
        list,
    ),
    Command::new("resource show", "Show a resource.", &[TARGET, "--include-response-body 3st # Ignored."], show),
    Command::new(
        "resource delete",
        "Delete a resource.",
        &[TARGET, "--no-wait flag # Do not wait for the end."],
        delete,
    ),
    Command::new("provider list", "List resource providers.", &["--expand # Ignored."], provider_list),
    Command::new(
        "provider show",
        "Show a resource provider.",
        &["--namespace/-n! # Namespace, such as Microsoft.Devices.
--expand # Ignored."],
        provider_show,
    ),
    Command::new(
        "provider register",
        "Register a resource provider.",
        &["--namespace/-n! # Namespace, such as Microsoft.Devices.
--wait flag # Wait until it is registered.
--consent-to-permissions/-c flag # Ignored.
--management-group-id/-m # Not supported.
~--accept-terms"],
        provider_register,
    ),
    Command::new(
        "provider unregister",
        "Unregister a resource provider.",
        &["--namespace/-n! # Namespace, such as Microsoft.Devices.
--wait flag # Wait until it is unregistered."],
        provider_unregister,
    ),
];

/// The type that the options name, with its provider.
pub(super) fn full_type(args: &Args) -> Option<String> {
    let kind = args.text("--resource-type")?;
    Some(match args.text("--namespace") {
        Some(namespace) if !kind.contains('/') => format!("{namespace}/{kind}"),
        _ => kind.to_owned(),
    })
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let mut filters = Vec::new();
        let pairs = [
            ("resourceGroup", args.text("--resource-group").map(str::to_owned)),
            ("resourceType", full_type(args)),
            ("name", args.text("--name").map(str::to_owned)),
            ("location", args.text("--location").map(str::to_owned)),
        ];
        for (key, value) in pairs {
            filters.extend(value.map(|value| format!("{key} eq '{value}'")));
        }
        if let Some(tag) = args.text("--tag") {
            let (key, value) = tag.split_once('=').unwrap_or((tag, ""));
            filters.push(format!("tagname eq '{key}'"));
            if !value.is_empty() {
                filters.push(format!("tagvalue eq '{value}'"));
            }
        }
        let mut path =
            format!("{}/resources?$expand=createdTime,changedTime,provisioningState", context.subscription_path()?);
        if !filters.is_empty() {
            path.push_str(&format!("&$filter={}", query_value(&filters.join(" and "))));
        }
        Ok(Value::Array(context.arm_list(&path, versions::RESOURCES).await?).into())
    })
}

/// The ids that the target options name.
pub(super) fn targets(context: &mut Context<'_>, args: &Args) -> Result<Vec<String>> {
    if let Some(ids) = args.list("--ids") {
        return Ok(ids.iter().flat_map(|ids| ids.split_whitespace()).map(rooted).collect());
    }
    let (Some(kind), Some(name)) = (full_type(args), args.text("--name")) else {
        return Err(Failure::error("--ids, or --name with --resource-type and --resource-group, is required."));
    };
    Ok(vec![id_of(context, args.text("--resource-group"), &kind, args.text("--parent"), name)?])
}

/// The id of a resource by the parts that people give.
///
/// # Errors
/// Not signed in; a type without a provider.
pub(super) fn id_of(
    context: &mut Context<'_>,
    group: Option<&str>,
    kind: &str,
    parent: Option<&str>,
    name: &str,
) -> Result<String> {
    let scope = match group {
        Some(group) => context.group_path(group)?,
        None => context.subscription_path()?,
    };
    let (namespace, types) = kind.split_once('/').ok_or_else(|| {
        Failure::error(format!("'{kind}' is not a resource type. Give one such as Microsoft.Devices/IotHubs."))
    })?;
    let parent = parent.map(|parent| format!("{}/", parent.trim_matches('/'))).unwrap_or_default();
    Ok(format!("{scope}/providers/{namespace}/{parent}{types}/{}", segment(name)))
}

/// The one id of a command that is about one resource.
pub(super) fn only(mut ids: Vec<String>) -> Result<String> {
    match ids.len() {
        1 => Ok(ids.remove(0)),
        count => Err(Failure::error(format!("This command is about one resource; {count} were named."))),
    }
}

/// The api-version for a resource: the one given, else one that its provider lists for its type.
pub(super) async fn version_for(context: &mut Context<'_>, args: &Args, id: &str) -> Result<String> {
    if let Some(version) = args.text("--api-version") {
        return Ok(version.to_owned());
    }
    let lower = id.to_lowercase();
    let Some(at) = lower.rfind("/providers/") else {
        return Ok(versions::RESOURCES.to_owned());
    };
    let parts: Vec<&str> = id[at + "/providers/".len()..].split('/').collect();
    let namespace = parts.first().copied().unwrap_or_default();
    let kind = parts.iter().skip(1).step_by(2).copied().collect::<Vec<_>>().join("/");
    let path = format!("{}/providers/{}", context.subscription_path()?, segment(namespace));
    let provider = context.arm_get(&path, versions::RESOURCES).await?;
    let types = provider.get("resourceTypes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let found = types.iter().find(|one| text(one, "/resourceType").eq_ignore_ascii_case(&kind));
    let listed = found.and_then(|one| one.get("apiVersions")).and_then(Value::as_array);
    let mut all: Vec<&str> = listed.into_iter().flatten().filter_map(Value::as_str).collect();
    all.sort_unstable_by(|a, b| b.cmp(a));
    let stable = all.iter().find(|version| args.flag("--latest-include-preview") || !version.contains("preview"));
    stable.or(all.first()).map(|version| (*version).to_owned()).ok_or_else(|| {
        Failure::error(format!("The provider {namespace} has no type '{kind}'. Check the id, or give --api-version."))
    })
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let mut found = Vec::new();
        for id in targets(context, args)? {
            let version = version_for(context, args, &id).await?;
            found.push(context.arm_get(&id, &version).await?);
        }
        Ok(if found.len() == 1 { found.remove(0).into() } else { Value::Array(found).into() })
    })
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        for id in targets(context, args)? {
            let version = version_for(context, args, &id).await?;
            context.arm_act(Method::DELETE, &id, &version, None, args.flag("--no-wait")).await?;
        }
        Ok(Output::nothing())
    })
}

fn provider_list<'a>(context: &'a mut Context<'_>, _args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = format!("{}/providers", context.subscription_path()?);
        Ok(Value::Array(context.arm_list(&path, versions::RESOURCES).await?).into())
    })
}

fn provider_show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = format!("{}/providers/{}", context.subscription_path()?, segment(args.filled("--namespace")?));
        Ok(context.arm_get(&path, versions::RESOURCES).await?.into())
    })
}

fn provider_register<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        if args.given("--management-group-id") {
            return Err(Failure::error("Management groups are not built yet; register in the subscription."));
        }
        let path =
            format!("{}/providers/{}/register", context.subscription_path()?, segment(args.filled("--namespace")?));
        context.arm_post(&path, versions::RESOURCES, None).await?;
        Ok(Output::nothing())
    })
}

fn provider_unregister<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let namespace = segment(args.filled("--namespace")?);
        let path = format!("{}/providers/{namespace}/unregister", context.subscription_path()?);
        context.arm_post(&path, versions::RESOURCES, None).await?;
        Ok(Output::nothing())
    })
}
