//! `az iot hub device-twin …` and `module-twin …`.

use crate::az::args::Args;
use crate::az::command::{Command, GENERIC_UPDATE, HUB_CONTEXT};
use crate::az::context::{Context, Task, segment};
use crate::az::data_plane::Service;
use crate::az::failure::{Failure, Result};
use crate::az::json_text;
use crate::az::options::if_match;
use crate::az::update;
use http::Method;
use serde_json::{Map, Value, json};

const DEVICE: &str = "--device-id/-d! # Id of the device.";
const MODULE: &str = "--module-id/-m! # Id of the module.";
const ETAG: &str = "--etag/-e # Only if the twin has this ETag.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new("iot hub device-twin show", "Show a twin.", &[HUB_CONTEXT, DEVICE], show),
    Command::new(
        "iot hub device-twin update",
        "Change a twin's tags or desired properties.",
        &[
            HUB_CONTEXT,
            DEVICE,
            ETAG,
            "--desired # JSON of desired properties, or a file with it.
--tags # JSON of tags, or a file with it.",
            GENERIC_UPDATE,
        ],
        update_twin,
    ),
    Command::new(
        "iot hub device-twin replace",
        "Replace a twin's tags and desired properties.",
        &[HUB_CONTEXT, DEVICE, ETAG, "--json/-j! # JSON of the twin, or a file with it."],
        replace,
    ),
    Command::new("iot hub module-twin show", "Show a module's twin.", &[HUB_CONTEXT, DEVICE, MODULE], show),
    Command::new(
        "iot hub module-twin update",
        "Change the tags or desired properties of a module's twin.",
        &[
            HUB_CONTEXT,
            DEVICE,
            MODULE,
            ETAG,
            "--desired # JSON of desired properties, or a file with it.
--tags # JSON of tags, or a file with it.",
            GENERIC_UPDATE,
        ],
        update_twin,
    ),
    Command::new(
        "iot hub module-twin replace",
        "Replace the tags and desired properties of a module's twin.",
        &[HUB_CONTEXT, DEVICE, MODULE, ETAG, "--json/-j! # JSON of the twin, or a file with it."],
        replace,
    ),
];

fn path(args: &Args) -> Result<String> {
    let device = segment(args.filled("--device-id")?);
    Ok(match args.declares("--module-id") {
        true => format!("/twins/{device}/modules/{}", segment(args.filled("--module-id")?)),
        false => format!("/twins/{device}"),
    })
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Hub).await?;
        Ok(context.call(&plane, Method::GET, &path(args)?, None, None).await?.into())
    })
}

fn update_twin<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let mut patch = Map::new();
        if let Some(desired) = args.text("--desired") {
            patch.insert("properties".to_owned(), json!({"desired": json_text::given_or_file(context, desired)?}));
        }
        if let Some(tags) = args.text("--tags") {
            patch.insert("tags".to_owned(), json_text::given_or_file(context, tags)?);
        }
        let plane = context.data_plane(args, Service::Hub).await?;
        let mut patch = Value::Object(patch);
        if update::requested(args) {
            let mut twin = context.call(&plane, Method::GET, &path(args)?, None, None).await?;
            let before = writable(&twin);
            update::apply(args, &mut twin)?;
            merge(&mut patch, difference(&before, &writable(&twin)));
        }
        if patch.as_object().is_none_or(Map::is_empty) {
            return Err(Failure::error("Nothing to change. Give --desired, --tags, --set, --add or --remove."));
        }
        Ok(context.call(&plane, Method::PATCH, &path(args)?, Some(&patch), Some(&if_match(args))).await?.into())
    })
}

/// The parts of a twin that the back end may write, without metadata.
fn writable(twin: &Value) -> Value {
    let mut desired = twin.pointer("/properties/desired").cloned().unwrap_or_else(|| json!({}));
    if let Value::Object(members) = &mut desired {
        members.retain(|key, _| !key.starts_with('$'));
    }
    let tags = twin.get("tags").filter(|tags| tags.is_object()).cloned().unwrap_or_else(|| json!({}));
    json!({"tags": tags, "properties": {"desired": desired}})
}

/// The merge patch that turns `before` into `after`.
fn difference(before: &Value, after: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        return after.clone();
    };
    let mut patch = Map::new();
    for (key, value) in new {
        match old.get(key) {
            Some(same) if same == value => {}
            Some(other) if other.is_object() && value.is_object() => {
                patch.insert(key.clone(), difference(other, value));
            }
            _ => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    Value::Object(patch)
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn replace<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let twin = json_text::given_or_file(context, args.filled("--json")?)?;
        let plane = context.data_plane(args, Service::Hub).await?;
        Ok(context.call(&plane, Method::PUT, &path(args)?, Some(&twin), Some(&if_match(args))).await?.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generic_update_becomes_a_merge_patch() {
        let before = json!({"tags": {"a": 1, "b": 2}, "properties": {"desired": {"x": {"y": 1, "z": 2}}}});
        let after = json!({"tags": {"a": 1}, "properties": {"desired": {"x": {"y": 5, "z": 2}}}});
        assert_eq!(
            difference(&before, &after),
            json!({"tags": {"b": null}, "properties": {"desired": {"x": {"y": 5}}}})
        );
    }

    #[test]
    fn metadata_is_not_writable() {
        let twin = json!({"properties": {"desired": {"a": 1, "$version": 3, "$metadata": {}}, "reported": {"q": 1}}});
        assert_eq!(writable(&twin), json!({"tags": {}, "properties": {"desired": {"a": 1}}}));
    }
}
