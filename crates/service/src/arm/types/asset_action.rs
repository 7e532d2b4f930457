//! `assets/{asset}/executeAction`: has an asset's management action carried out by the Azure IoT Operations instance that is
//! connected to it (reference: device-registry-api.md section 4). None ever is here, and the answer says so.

use crate::arm::body;
use crate::arm::context::SubContext;
use crate::arm::declaration::SubAnswer;
use crate::arm::schema::{Check, Property, acted};
use ferrohub_model::error::{Error, Result};
use serde_json::{Map, Value, json};

/// The action's name.
pub(super) const EXECUTE: &str = "executeAction";

const GROUP: &str = "managementGroupName";
const ACTION: &str = "managementActionName";
const REQUEST: &[Property] = &[
    acted(GROUP, Check::Text(4096)).required(),
    acted(ACTION, Check::Text(4096)).required(),
    acted("payload", Check::Object(64 * 1024)),
];

/// Answers 200 with `status` `Failed`, as Azure reports an action that was not carried out.
pub(super) fn answer(cx: &SubContext<'_>) -> Result<SubAnswer> {
    let sent = body::action(cx, REQUEST)?;
    let (group, action) = (text(sent, GROUP), text(sent, ACTION));
    let groups = cx.stored.resource.value(&["managementGroups"]);
    let found = named(groups, group).ok_or_else(|| unknown(cx, GROUP, group))?;
    named(found.get("actions"), action).ok_or_else(|| unknown(cx, ACTION, action))?;
    let message = format!(
        "The action '{action}' of '{group}' was not carried out: no Azure IoT Operations instance is connected to the asset '{}', and Ferrohub has none. Ask the device itself, such as by a message through its IoT hub.",
        cx.id.name()
    );
    Ok(SubAnswer::Done(
        200,
        Some(json!({
            "assetResourceId": cx.stored.id.to_string(),
            "managementGroupName": group,
            "managementActionName": action,
            "status": "Failed",
            "error": {"code": "NoConnectedInstance", "message": message, "details": []}
        })),
    ))
}

fn text<'a>(sent: &'a Map<String, Value>, member: &str) -> &'a str {
    sent.get(member).and_then(Value::as_str).unwrap_or_default()
}

fn named<'a>(list: Option<&'a Value>, name: &str) -> Option<&'a Value> {
    list?.as_array()?.iter().find(|entry| entry.get("name").and_then(Value::as_str) == Some(name))
}

fn unknown(cx: &SubContext<'_>, member: &str, name: &str) -> Error {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
    Error::invalid_property(
        member,
        format!(
            "The asset '{}' has no '{shown}' among its management groups and their actions ('{member}').",
            cx.id.name()
        ),
    )
}
