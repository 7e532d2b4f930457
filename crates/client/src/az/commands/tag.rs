//! `az tag …`: the tags of one thing, and the tag names of the subscription.

use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task, segment};
use crate::az::failure::{Failure, Result};
use crate::az::options::{rooted, tags};
use crate::az::output::Output;
use crate::az::versions;
use http::Method;
use serde_json::{Value, json};

const RESOURCE: &str = "--resource-id # Id of a resource, group or subscription.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new("tag list", "List the tag names of the subscription, or the tags of one thing.", &[RESOURCE], list),
    Command::new(
        "tag create",
        "Make a tag name, or replace the tags of one thing.",
        &[RESOURCE, "--name/-n # Tag name.", "--tags * # Tags: key=value; an empty text clears them."],
        create,
    ),
    Command::new(
        "tag update",
        "Change the tags of one thing.",
        &["--resource-id! # Id of a resource, group or subscription.
--operation! {Merge,Replace,Delete} # What to do with the tags given.
--tags! * # Tags: key=value."],
        update,
    ),
    Command::new(
        "tag delete",
        "Delete a tag name, or all tags of one thing.",
        &[RESOURCE, "--name/-n # Tag name."],
        delete,
    )
    .confirmed(),
    Command::new(
        "tag add-value",
        "Add a value to a tag name.",
        &["--name/-n! # Tag name.\n--value! # Value."],
        add_value,
    ),
    Command::new(
        "tag remove-value",
        "Remove a value of a tag name.",
        &["--name/-n! # Tag name.\n--value! # Value."],
        remove_value,
    ),
];

/// The tags of the thing with this id.
fn tags_of(id: &str) -> String {
    format!("{}/providers/Microsoft.Resources/tags/default", rooted(id.trim_end_matches('/')))
}

/// A tag name of the subscription.
fn tag_name(context: &mut Context<'_>, args: &Args) -> Result<String> {
    let name = args.filled("--name")?;
    Ok(format!("{}/tagNames/{}", context.subscription_path()?, segment(name)))
}

fn one_of(args: &Args) -> Result<()> {
    if args.given("--name") == args.given("--resource-id") {
        return Err(Failure::error("usage error: --name | --resource-id: give the one or the other."));
    }
    Ok(())
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        if let Some(id) = args.text("--resource-id") {
            return Ok(context.arm_get(&tags_of(id), versions::RESOURCES).await?.into());
        }
        let path = format!("{}/tagNames", context.subscription_path()?);
        Ok(Value::Array(context.arm_list(&path, versions::RESOURCES).await?).into())
    })
}

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        one_of(args)?;
        let Some(id) = args.text("--resource-id") else {
            let path = tag_name(context, args)?;
            return Ok(context.arm_write(Method::PUT, &path, versions::RESOURCES, &json!({}), false).await?.into());
        };
        let tags = tags(args).ok_or_else(|| Failure::error("--tags is required with --resource-id."))?;
        let body = json!({"properties": {"tags": tags}});
        Ok(context.arm_write(Method::PUT, &tags_of(id), versions::RESOURCES, &body, false).await?.into())
    })
}

fn update<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let body = json!({"operation": args.required("--operation")?, "properties": {"tags": tags(args)}});
        let path = tags_of(args.filled("--resource-id")?);
        Ok(context.arm_write(Method::PATCH, &path, versions::RESOURCES, &body, false).await?.into())
    })
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        one_of(args)?;
        let path = match args.text("--resource-id") {
            Some(id) => tags_of(id),
            None => tag_name(context, args)?,
        };
        context.arm_act(Method::DELETE, &path, versions::RESOURCES, None, false).await?;
        Ok(Output::nothing())
    })
}

fn value_path(context: &mut Context<'_>, args: &Args) -> Result<String> {
    Ok(format!("{}/tagValues/{}", tag_name(context, args)?, segment(args.filled("--value")?)))
}

fn add_value<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = value_path(context, args)?;
        Ok(context.arm_write(Method::PUT, &path, versions::RESOURCES, &json!({}), false).await?.into())
    })
}

fn remove_value<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = value_path(context, args)?;
        context.arm_act(Method::DELETE, &path, versions::RESOURCES, None, false).await?;
        Ok(Output::nothing())
    })
}

#[cfg(test)]
mod tests {
    use crate::az::scripted::{Answer, SUBSCRIPTION, Scripted};
    use serde_json::json;

    #[tokio::test]
    async fn tags_of_a_thing_and_names_of_a_subscription() {
        let server = Scripted::signed_in(|seen| {
            Some(match seen.call.starts_with("DELETE") {
                true => Answer::new(200, json!(null)),
                false if seen.call.ends_with("/tagNames") => Answer::list(json!([{"tagName": "a"}])),
                false => Answer::ok(json!({"name": "default", "properties": {"tags": {"a": "b"}}})),
            })
        })
        .await;
        let names = format!("/subscriptions/{SUBSCRIPTION}/tagNames");
        let of = "/subscriptions/s/providers/Microsoft.Resources/tags/default";
        for (words, call, body) in [
            ("tag list", format!("GET {names}"), json!("")),
            ("tag list --resource-id /subscriptions/s", format!("GET {of}"), json!("")),
            ("tag create -n a", format!("PUT {names}/a"), json!({})),
            (
                "tag create --resource-id subscriptions/s --tags a=b c",
                format!("PUT {of}"),
                json!({"properties": {"tags": {"a": "b", "c": ""}}}),
            ),
            (
                "tag update --resource-id /subscriptions/s --operation merge --tags a=b",
                format!("PATCH {of}"),
                json!({"operation": "Merge", "properties": {"tags": {"a": "b"}}}),
            ),
            ("tag add-value -n a --value v/1", format!("PUT {names}/a/tagValues/v%2F1"), json!({})),
            ("tag remove-value -n a --value v", format!("DELETE {names}/a/tagValues/v"), json!("")),
            ("tag delete -n a -y", format!("DELETE {names}/a"), json!("")),
            ("tag delete --resource-id /subscriptions/s --yes", format!("DELETE {of}"), json!("")),
        ] {
            let ran = server.az(&words.split(' ').collect::<Vec<_>>()).await;
            assert_eq!(ran.code, 0, "{words}: {}", ran.err);
            let seen = server.seen().pop().unwrap();
            assert_eq!((seen.call, seen.body), (call, body), "{words}");
        }
        for wrong in [
            "tag create",
            "tag create -n a --resource-id /s",
            "tag delete -n a",
            "tag update --resource-id /s --tags a=b",
        ] {
            assert_ne!(server.az(&wrong.split(' ').collect::<Vec<_>>()).await.code, 0, "{wrong}");
        }
    }
}
