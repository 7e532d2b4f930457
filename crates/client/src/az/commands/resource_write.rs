//! `az resource create|update|patch|tag|invoke-action|move|wait`: changes of resources of any type.

use super::resource::{TARGET, only, targets, version_for};
use crate::az::args::Args;
use crate::az::command::{Command, GENERIC_UPDATE};
use crate::az::context::{Context, Task, segment};
use crate::az::failure::{Failure, Result};
use crate::az::json_text;
use crate::az::members::text;
use crate::az::options::{location, rooted, tags};
use crate::az::output::Output;
use crate::az::update;
use crate::az::versions;
use crate::az::wait;
use http::Method;
use serde_json::{Map, Value, json};

const PROPERTIES: &str = "--properties/-p! # JSON of the properties, or with --is-full-object of the whole resource.
--is-full-object flag # What is given is the whole resource.";
const NO_WAIT: &str = "--no-wait flag # Do not wait for the end.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "resource create",
        "Create a resource of any type.",
        &[TARGET, PROPERTIES, "--location/-l # Region; that of the group without it."],
        create,
    ),
    Command::new(
        "resource update",
        "Change a resource of any type: read it, change it, write it back.",
        &[TARGET, GENERIC_UPDATE, "--include-response-body 3st # Ignored."],
        update_resource,
    ),
    Command::new("resource patch", "Change parts of a resource of any type.", &[TARGET, PROPERTIES], patch),
    Command::new(
        "resource tag",
        "Change the tags of resources.",
        &[
            TARGET,
            "--tags! * # Tags: key=value; an empty text clears them.
--is-incremental/-i flag # Add to the tags that are there.",
        ],
        tag,
    ),
    Command::new(
        "resource invoke-action",
        "Call an action of a resource.",
        &[TARGET, "--action! # Name of the action.\n--request-body # JSON of its body.", NO_WAIT],
        invoke,
    ),
    Command::new(
        "resource move",
        "Move resources to another group.",
        &["--ids! + # Resource ids, all of one group.
--destination-group! # Group to move them to.
--destination-subscription-id # Subscription of that group."],
        move_resources,
    ),
    Command::new(
        "resource wait",
        "Wait until a resource is as wanted.",
        &[TARGET, wait::OPTIONS, "--include-response-body 3st # Ignored."],
        wait_for,
    ),
];

/// The object that `--properties` is, as the body of a write.
fn given(args: &Args) -> Result<Map<String, Value>> {
    let given = match json_text::parse(args.required("--properties")?)? {
        Value::Object(members) => members,
        _ => return Err(Failure::error("--properties is no JSON object.")),
    };
    Ok(match args.flag("--is-full-object") {
        true => given,
        false => Map::from_iter([("properties".to_owned(), Value::Object(given))]),
    })
}

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let id = only(targets(context, args)?)?;
        let mut body = given(args)?;
        if !body.contains_key("location") {
            match (args.text("--location"), args.text("--resource-group")) {
                (None, None) => {}
                (_, group) => {
                    let place = location(context, args, group.unwrap_or_default()).await?;
                    body.insert("location".to_owned(), json!(place));
                }
            }
        }
        let version = version_for(context, args, &id).await?;
        Ok(context.arm_write(Method::PUT, &id, &version, &Value::Object(body), false).await?.into())
    })
}

fn update_resource<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let mut changed = Vec::new();
        for id in targets(context, args)? {
            let version = version_for(context, args, &id).await?;
            let mut resource = context.arm_get(&id, &version).await?;
            update::apply_tagged(args, &mut resource)?;
            changed.push(context.arm_write(Method::PUT, &id, &version, &resource, false).await?);
        }
        Ok(one_or_all(changed))
    })
}

fn patch<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let body = Value::Object(given(args)?);
        let mut changed = Vec::new();
        for id in targets(context, args)? {
            let version = version_for(context, args, &id).await?;
            changed.push(context.arm_write(Method::PATCH, &id, &version, &body, false).await?);
        }
        Ok(one_or_all(changed))
    })
}

fn tag<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let wanted = tags(args).unwrap_or_else(|| json!({}));
        let incremental = args.flag("--is-incremental");
        if incremental && wanted == json!({}) {
            return Err(Failure::error(
                "When modifying tag incrementally, the parameters of tag must have specific values.",
            ));
        }
        let mut changed = Vec::new();
        for id in targets(context, args)? {
            let version = version_for(context, args, &id).await?;
            let mut all = Map::new();
            if incremental {
                let resource = context.arm_get(&id, &version).await?;
                all.extend(resource.get("tags").and_then(Value::as_object).cloned().unwrap_or_default());
            }
            all.extend(wanted.as_object().cloned().unwrap_or_default());
            let body = json!({"tags": all});
            changed.push(context.arm_write(Method::PATCH, &id, &version, &body, false).await?);
        }
        Ok(one_or_all(changed))
    })
}

fn invoke<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let body = args.text("--request-body").map(json_text::parse).transpose()?;
        let mut answers = Vec::new();
        for id in targets(context, args)? {
            let version = version_for(context, args, &id).await?;
            let path = format!("{id}/{}", segment(args.filled("--action")?));
            let no_wait = args.flag("--no-wait");
            answers.push(context.arm_act(Method::POST, &path, &version, body.as_ref(), no_wait).await?);
        }
        Ok(one_or_all(answers))
    })
}

fn move_resources<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let given = args.list("--ids").unwrap_or_default();
        let ids: Vec<String> = given.iter().flat_map(|ids| ids.split_whitespace()).map(rooted).collect();
        let mut groups = Vec::new();
        for id in &ids {
            let parts: Vec<&str> = id.split('/').collect();
            if parts.len() < 9 || !parts[3].eq_ignore_ascii_case("resourceGroups") {
                return Err(Failure::error(format!("Invalid id \"{id}\", as it has no group or subscription field")));
            }
            groups.push(parts[..5].join("/").to_lowercase());
        }
        groups.dedup();
        let [group] = groups.as_slice() else {
            return Err(Failure::error("All resources should be under the same subscription and the same group"));
        };
        let subscription = match args.text("--destination-subscription-id") {
            Some(id) => format!("/subscriptions/{}", segment(id)),
            None => context.subscription_path()?,
        };
        let target = format!("{subscription}/resourceGroups/{}", args.filled("--destination-group")?);
        let body = json!({"resources": ids, "targetResourceGroup": target});
        let path = format!("{group}/moveResources");
        context.arm_act(Method::POST, &path, versions::RESOURCES, Some(&body), false).await?;
        Ok(Output::nothing())
    })
}

fn wait_for<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        wait::check(args)?;
        let id = only(targets(context, args)?)?;
        let version = version_for(context, args, &id).await?;
        wait::until(context, args, &id, &version).await
    })
}

/// One as itself, several as a list; nothing where there is no answer.
fn one_or_all(mut values: Vec<Value>) -> Output {
    match values.len() {
        1 if text(&values[0], "/id").is_empty() && values[0].is_null() => Output::nothing(),
        1 => values.remove(0).into(),
        _ => Value::Array(values).into(),
    }
}

#[cfg(test)]
mod tests {
    use crate::az::scripted::{Answer, SUBSCRIPTION, Scripted};
    use serde_json::json;

    #[tokio::test]
    async fn any_type_can_be_written() {
        let server = Scripted::signed_in(|seen| {
            let found = json!({"id": "/x", "location": "westus", "tags": {"a": "b"}, "properties": {"n": 1}});
            Some(match seen.call.split(' ').next()? {
                "GET" => Answer::ok(found),
                "POST" if seen.call.ends_with("/moveResources") => Answer::new(204, json!(null)),
                "POST" => Answer::ok(json!({"keys": 2})),
                _ => Answer::ok(seen.body.clone()),
            })
        })
        .await;
        let group = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/rg");
        let id = format!("{group}/providers/Microsoft.Devices/IotHubs/h1");
        let by_name = "-g rg -n h1 --resource-type Microsoft.Devices/IotHubs --api-version 1";
        for (words, method, body) in [
            (
                format!("resource create {by_name} -l westus -p {{\"n\":2}}"),
                "PUT",
                json!({"properties": {"n": 2}, "location": "westus"}),
            ),
            (
                format!("resource create --ids {id} --api-version 1 --is-full-object -p {{\"location\":\"x\"}}"),
                "PUT",
                json!({"location": "x"}),
            ),
            (
                format!("resource update {by_name} --set properties.n=5"),
                "PUT",
                json!({"id": "/x", "location": "westus", "tags": {"a": "b"}, "properties": {"n": 5}}),
            ),
            (format!("resource patch {by_name} -p {{\"n\":3}}"), "PATCH", json!({"properties": {"n": 3}})),
            (format!("resource tag {by_name} --tags c=d"), "PATCH", json!({"tags": {"c": "d"}})),
            (format!("resource tag {by_name} --tags c=d -i"), "PATCH", json!({"tags": {"a": "b", "c": "d"}})),
        ] {
            let ran = server.az(&words.split(' ').collect::<Vec<_>>()).await;
            assert_eq!(ran.code, 0, "{words}: {}", ran.err);
            let seen = server.seen().pop().unwrap();
            assert_eq!((seen.call, seen.body), (format!("{method} {id}"), body), "{words}");
        }
        let acted = server
            .az(&format!("resource invoke-action {by_name} --action listkeys").split(' ').collect::<Vec<_>>())
            .await;
        assert_eq!(acted.out, "{\n  \"keys\": 2\n}\n", "{}", acted.err);
        let moved = server.az(&["resource", "move", "--ids", &id, "--destination-group", "other"]).await;
        assert_eq!((moved.code, moved.out.as_str()), (0, ""), "{}", moved.err);
        let seen = server.seen().pop().unwrap();
        assert_eq!(seen.call, format!("POST {}/moveResources", group.to_lowercase()));
        assert_eq!(seen.body["targetResourceGroup"], format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/other"));
        let two = format!("{} {}", id, id.replace("/rg/", "/rg2/"));
        let refused = server.az(&["resource", "move", "--ids", &two, "--destination-group", "other"]).await;
        assert!(refused.code == 1 && refused.err.contains("same group"), "{}", refused.err);
    }
}
