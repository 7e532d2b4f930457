//! `az lock …`, and the same of a group, a resource and the subscription.

use super::resource;
use crate::az::args::Args;
use crate::az::command::{Command, Handler};
use crate::az::context::{Context, Task, query_value, segment};
use crate::az::failure::{Failure, Result};
use crate::az::members::text;
use crate::az::options::rooted;
use crate::az::output::{Columns, Output};
use crate::az::versions;
use http::Method;
use serde_json::{Value, json};

const NAME: &str = "--name/-n! # Name of the lock.";
const LEVEL: &str = "--lock-type/-t! {CanNotDelete,ReadOnly} # What it forbids: deleting, or any change.
--notes # Why it is there.";
const CHANGE: &str = "--lock-type/-t {CanNotDelete,ReadOnly} # What it forbids: deleting, or any change.
--notes # Why it is there.";
const LOOK_UP: &str = "--name/-n # Name of the lock.
--ids + # Ids of locks, instead of name and place.";
const FILTER: &str = "--filter-string # OData filter, such as atScope().";
const GROUP: &str = "--resource-group/-g # Resource group.";
const GROUP_REQUIRED: &str = "--resource-group/-g! # Resource group.";
const RESOURCE: &str = "--resource-group/-g # Resource group; the subscription without it.
--resource/--resource-name # Name or id of the resource; the group without it.
--resource-type # Type of the resource, such as Microsoft.Devices/IotHubs.
--namespace # Provider namespace, where the type has none.
--parent # Parent of the resource, such as namespaces/ns1.";

/// Columns of the table format.
const COLUMNS: Columns =
    &[("Name", "name"), ("Level", "level"), ("ResourceGroup", "resourceGroup"), ("Notes", "notes")];

const fn row(words: &'static str, summary: &'static str, options: &'static [&'static str], run: Handler) -> Command {
    Command::new(words, summary, options, run)
}

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    row("lock create", "Lock a subscription, a group or a resource.", &[NAME, LEVEL, RESOURCE], create),
    row("lock list", "List locks.", &[FILTER, RESOURCE], list),
    row("lock show", "Show a lock.", &[LOOK_UP, RESOURCE], show),
    row("lock update", "Change a lock.", &[LOOK_UP, CHANGE, RESOURCE], update),
    row("lock delete", "Take a lock away.", &[LOOK_UP, RESOURCE], delete),
    row("group lock create", "Lock a resource group.", &[NAME, LEVEL, GROUP_REQUIRED], create),
    row("group lock list", "List the locks of a resource group.", &[FILTER, GROUP_REQUIRED], list),
    row("group lock show", "Show a lock of a resource group.", &[LOOK_UP, GROUP], show),
    row("group lock update", "Change a lock of a resource group.", &[LOOK_UP, CHANGE, GROUP], update),
    row("group lock delete", "Take a lock of a resource group away.", &[LOOK_UP, GROUP], delete),
    row("resource lock create", "Lock a resource.", &[NAME, LEVEL, RESOURCE], create),
    row("resource lock list", "List the locks of a resource.", &[FILTER, RESOURCE], list),
    row("resource lock show", "Show a lock of a resource.", &[LOOK_UP, RESOURCE], show),
    row("resource lock update", "Change a lock of a resource.", &[LOOK_UP, CHANGE, RESOURCE], update),
    row("resource lock delete", "Take a lock of a resource away.", &[LOOK_UP, RESOURCE], delete),
    row("account lock create", "Lock the subscription.", &[NAME, LEVEL], create),
    row("account lock list", "List the locks of the subscription.", &[FILTER], list),
    row("account lock show", "Show a lock of the subscription.", &[LOOK_UP], show),
    row("account lock update", "Change a lock of the subscription.", &[LOOK_UP, CHANGE], update),
    row("account lock delete", "Take a lock of the subscription away.", &[LOOK_UP], delete),
];

/// An option, where the command has it.
fn optional<'a>(args: &'a Args, key: &'static str) -> Option<&'a str> {
    args.declares(key).then(|| args.text(key)).flatten().filter(|value| !value.is_empty())
}

/// What the command is about: a resource, a group, else the subscription.
fn scope(context: &mut Context<'_>, args: &Args) -> Result<String> {
    let group = optional(args, "--resource-group");
    let Some(name) = optional(args, "--resource") else {
        if args.command().starts_with("resource ") {
            return Err(Failure::error(
                "--resource is required: the name of the resource with --resource-type, or its id.",
            ));
        }
        return match group {
            Some(group) => context.group_path(group),
            None => context.subscription_path(),
        };
    };
    if name.contains("/providers/") {
        return Ok(rooted(name.trim_end_matches('/')));
    }
    let kind = resource::full_type(args)
        .ok_or_else(|| Failure::error(format!("--resource-type is required with --resource {name}.")))?;
    resource::id_of(context, group, &kind, args.text("--parent"), name)
}

/// The locks that the command names: by id, or one by its name and place.
fn named(context: &mut Context<'_>, args: &Args) -> Result<Vec<String>> {
    if let Some(ids) = args.list("--ids") {
        return Ok(ids.iter().flat_map(|ids| ids.split_whitespace()).map(rooted).collect());
    }
    let name = args
        .text("--name")
        .ok_or_else(|| Failure::error("--name with the place of the lock, or --ids, is required."))?;
    Ok(vec![format!("{}/providers/Microsoft.Authorization/locks/{}", scope(context, args)?, segment(name))])
}

/// A lock as core `az` prints it.
fn shown(lock: Value) -> Value {
    let properties = lock.get("properties").cloned().unwrap_or_default();
    json!({
        "id": lock.get("id"), "level": properties.get("level"), "name": lock.get("name"), "notes": properties.get("notes"),
        "owners": properties.get("owners"), "type": lock.get("type"),
    })
}

/// One as itself, several as a list.
fn all(mut locks: Vec<Value>) -> Output {
    let value = if locks.len() == 1 { locks.remove(0) } else { Value::Array(locks) };
    Output::with_columns(value, COLUMNS)
}

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = format!(
            "{}/providers/Microsoft.Authorization/locks/{}",
            scope(context, args)?,
            segment(args.filled("--name")?)
        );
        let mut body = json!({"properties": {"level": args.required("--lock-type")?}});
        if let Some(notes) = args.text("--notes") {
            body["properties"]["notes"] = json!(notes);
        }
        let made = context.arm_write(Method::PUT, &path, versions::LOCKS, &body, false).await?;
        Ok(Output::with_columns(shown(made), COLUMNS))
    })
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let mut path = format!("{}/providers/Microsoft.Authorization/locks", scope(context, args)?);
        if let Some(filter) = args.text("--filter-string") {
            path.push_str(&format!("?$filter={}", query_value(filter)));
        }
        let found = context.arm_list(&path, versions::LOCKS).await?;
        Ok(Output::with_columns(Value::Array(found.into_iter().map(shown).collect()), COLUMNS))
    })
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let mut found = Vec::new();
        for path in named(context, args)? {
            found.push(shown(context.arm_get(&path, versions::LOCKS).await?));
        }
        Ok(all(found))
    })
}

fn update<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        if args.text("--lock-type").is_none() && args.text("--notes").is_none() {
            return Err(Failure::error("Nothing to change: give --lock-type or --notes."));
        }
        let mut changed = Vec::new();
        for path in named(context, args)? {
            let lock = context.arm_get(&path, versions::LOCKS).await?;
            let level = args.text("--lock-type").unwrap_or(text(&lock, "/properties/level"));
            let notes = args
                .text("--notes")
                .map(str::to_owned)
                .or_else(|| lock.pointer("/properties/notes").and_then(Value::as_str).map(str::to_owned));
            let body = json!({"properties": {"level": level, "notes": notes}});
            changed.push(shown(context.arm_write(Method::PUT, &path, versions::LOCKS, &body, false).await?));
        }
        Ok(all(changed))
    })
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        for path in named(context, args)? {
            context.arm_act(Method::DELETE, &path, versions::LOCKS, None, false).await?;
        }
        Ok(Output::nothing())
    })
}

#[cfg(test)]
mod tests {
    use crate::az::scripted::{Answer, SUBSCRIPTION, Scripted};
    use serde_json::json;

    #[tokio::test]
    async fn a_lock_stands_where_its_options_say() {
        let server = Scripted::signed_in(|seen| {
            let lock = json!({"id": "/l", "name": "keep", "properties": {"level": "CanNotDelete", "notes": "n"}});
            match seen.call.split(' ').next()? {
                "GET" if seen.call.contains("/locks/") => Some(Answer::ok(lock)),
                "GET" => Some(Answer::list(json!([lock]))),
                "PUT" => Some(Answer::ok(lock)),
                _ => Some(Answer::new(204, json!(null))),
            }
        })
        .await;
        let s = format!("/subscriptions/{SUBSCRIPTION}");
        let hub = format!("{s}/resourceGroups/rg/providers/Microsoft.Devices/IotHubs/h1");
        for (words, call) in [
            ("lock create -n keep -t CanNotDelete", format!("PUT {s}/providers/Microsoft.Authorization/locks/keep")),
            (
                "group lock create -n keep -g rg --lock-type readonly --notes n",
                format!("PUT {s}/resourceGroups/rg/providers/Microsoft.Authorization/locks/keep"),
            ),
            (
                "lock create -n keep -t CanNotDelete -g rg --resource h1 --resource-type Microsoft.Devices/IotHubs",
                format!("PUT {hub}/providers/Microsoft.Authorization/locks/keep"),
            ),
            (
                "resource lock list -g rg --resource-name p --resource-type policies --namespace Microsoft.DeviceRegistry --parent namespaces/n/credentials/default",
                format!(
                    "GET {s}/resourceGroups/rg/providers/Microsoft.DeviceRegistry/namespaces/n/credentials/default/policies/p/providers/Microsoft.Authorization/locks"
                ),
            ),
            ("account lock show -n keep", format!("GET {s}/providers/Microsoft.Authorization/locks/keep")),
            ("lock delete --ids /l1", "DELETE /l1".to_owned()),
        ] {
            let ran = server.az(&words.split(' ').collect::<Vec<_>>()).await;
            assert_eq!(ran.code, 0, "{words}: {}", ran.err);
            assert_eq!(server.calls().last(), Some(&call), "{words}");
        }
        let table = server.az(&["lock", "list", "-o", "tsv", "--query", "[].[name, level, notes]"]).await;
        assert_eq!(table.out, "keep\tCanNotDelete\tn\n", "{}", table.err);
        server.az(&["lock", "update", "-n", "keep", "--notes", "new"]).await;
        let sent = server.seen().last().unwrap().body.clone();
        assert_eq!(sent, json!({"properties": {"level": "CanNotDelete", "notes": "new"}}));
        for wrong in ["lock create -n keep", "resource lock list -g rg", "lock create -n k -t Never"] {
            assert_ne!(server.az(&wrong.split(' ').collect::<Vec<_>>()).await.code, 0, "{wrong}");
        }
    }
}
