//! `az iot hub device-identity parent …` and `children …`: which edge device a device is below.

use crate::az::args::Args;
use crate::az::command::{Command, HUB_CONTEXT};
use crate::az::context::{Context, Task, segment};
use crate::az::data_plane::{DataPlane, Service};
use crate::az::failure::{Failure, Result};
use crate::az::members::text;
use crate::az::output::Output;
use http::Method;
use serde_json::{Value, json};

const DEVICE: &str = "--device-id/-d! # Id of the device.";
const EDGE: &str = "--device-id/-d! # Id of the edge device.";
const FORCE: &str = "--force/-f flag # Also where it has another parent.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new("iot hub device-identity parent show", "Show the parent of a device.", &[HUB_CONTEXT, DEVICE], parent),
    Command::new(
        "iot hub device-identity parent set",
        "Put a device below an edge device.",
        &[HUB_CONTEXT, DEVICE, "--parent-device-id/--pd! # Id of the edge device.", FORCE],
        set_parent,
    ),
    Command::new(
        "iot hub device-identity children list",
        "List the devices below an edge device.",
        &[HUB_CONTEXT, EDGE],
        children,
    ),
    Command::new(
        "iot hub device-identity children add",
        "Put devices below an edge device.",
        &[HUB_CONTEXT, EDGE, "--child-list/--cl! + # Ids of the devices.", FORCE],
        add_children,
    ),
    Command::new(
        "iot hub device-identity children remove",
        "Take devices from below an edge device.",
        &[
            HUB_CONTEXT,
            EDGE,
            "--child-list/--cl * # Ids of the devices.
--remove-all/-a flag # All of them.",
        ],
        remove_children,
    ),
];

async fn device(context: &mut Context<'_>, plane: &DataPlane, id: &str) -> Result<Value> {
    context.call(plane, Method::GET, &format!("/devices/{}", segment(id.trim())), None, None).await
}

fn is_edge(device: &Value) -> bool {
    device.pointer("/capabilities/iotEdge").and_then(Value::as_bool) == Some(true)
}

/// The device, which must be an edge device.
async fn edge(context: &mut Context<'_>, plane: &DataPlane, id: &str) -> Result<Value> {
    let found = device(context, plane, id).await?;
    match is_edge(&found) {
        true => Ok(found),
        false => Err(Failure::error(format!("The device \"{id}\" should be an edge device."))),
    }
}

/// The scope of what a device is below; empty where it is below nothing.
fn above(device: &Value) -> &str {
    text(device, "/parentScopes/0")
}

/// Puts a device below the scope, unless somebody changed it meanwhile; an empty one takes it away from there.
async fn place(context: &mut Context<'_>, plane: &DataPlane, mut child: Value, scope: &str) -> Result<()> {
    match is_edge(&child) {
        true if scope.is_empty() => child["parentScopes"] = json!([]),
        true => child["parentScopes"] = json!([scope]),
        false => child["deviceScope"] = json!(scope),
    }
    let (path, etag) =
        (format!("/devices/{}", segment(text(&child, "/deviceId"))), format!("\"{}\"", text(&child, "/etag")));
    context.call(plane, Method::PUT, &path, Some(&child), Some(&etag)).await.map(drop)
}

/// Refuses a device that has a parent, unless it is to get another one.
fn free(args: &Args, child: &Value) -> Result<()> {
    if above(child).is_empty() || args.flag("--force") {
        return Ok(());
    }
    Err(Failure::error(format!(
        "The entered device \"{}\" already has a parent device, please use '--force' to overwrite",
        text(child, "/deviceId")
    )))
}

fn parent<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Hub).await?;
        let id = args.filled("--device-id")?;
        let child = device(context, &plane, id).await?;
        // A scope is made of the id and a number: ms-azure-iot-edge://{id}-{number}.
        let named = above(&child).strip_prefix("ms-azure-iot-edge://").and_then(|rest| rest.rsplit_once('-'));
        let Some((parent, _)) = named else {
            return Err(Failure::error(format!("Device \"{id}\" doesn't have any parent device.")));
        };
        let mut found = device(context, &plane, parent).await?;
        found["hub"] = json!(plane.host);
        Ok(found.into())
    })
}

fn set_parent<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Hub).await?;
        let parent = edge(context, &plane, args.filled("--parent-device-id")?).await?;
        let child = device(context, &plane, args.filled("--device-id")?).await?;
        free(args, &child)?;
        place(context, &plane, child, text(&parent, "/deviceScope")).await?;
        Ok(Output::nothing())
    })
}

/// Ids of the devices below an edge device.
async fn below(context: &mut Context<'_>, plane: &DataPlane, edge: &Value) -> Result<Vec<String>> {
    let scope = text(edge, "/deviceScope");
    let query = format!("select deviceId from devices where array_contains(parentScopes, '{scope}')");
    let found = context.query(plane, "/devices/query", &json!({"query": query}), None).await?;
    Ok(found.as_array().into_iter().flatten().map(|one| text(one, "/deviceId").to_owned()).collect())
}

fn children<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Hub).await?;
        let edge = edge(context, &plane, args.filled("--device-id")?).await?;
        Ok(json!(below(context, &plane, &edge).await?).into())
    })
}

fn add_children<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Hub).await?;
        let edge = edge(context, &plane, args.filled("--device-id")?).await?;
        let mut all = Vec::new();
        // Nothing is changed where one of them may not be.
        for id in args.list("--child-list").unwrap_or_default() {
            let child = device(context, &plane, id).await?;
            free(args, &child)?;
            all.push(child);
        }
        for child in all {
            place(context, &plane, child, text(&edge, "/deviceScope")).await?;
        }
        Ok(Output::nothing())
    })
}

fn remove_children<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Hub).await?;
        let id = args.filled("--device-id")?;
        let edge = edge(context, &plane, id).await?;
        let ids = match (args.flag("--remove-all"), args.list("--child-list")) {
            (true, _) => below(context, &plane, &edge).await?,
            (false, Some(ids)) => ids.to_vec(),
            (false, None) => {
                return Err(Failure::error("Please specify child list or use --remove-all to remove all children."));
            }
        };
        if ids.is_empty() {
            return Err(Failure::error(format!("No registered child devices found for \"{id}\" edge device.")));
        }
        let mut all = Vec::new();
        for one in ids {
            let child = device(context, &plane, &one).await?;
            if above(&child) != text(&edge, "/deviceScope") {
                return Err(Failure::error(format!(
                    "The entered child device \"{one}\" isn't assigned as a child of edge device \"{id}\""
                )));
            }
            all.push(child);
        }
        for child in all {
            place(context, &plane, child, "").await?;
        }
        Ok(Output::nothing())
    })
}

#[cfg(test)]
mod tests {
    use crate::az::scripted::{Answer, Scripted, Seen};
    use serde_json::{Value, json};

    const LOGIN: &str = "HostName=h1.azure-devices.localhost;SharedAccessKeyName=iothubowner;SharedAccessKey=c2VjcmV0";
    const SCOPE: &str = "ms-azure-iot-edge://gate-7-639";

    fn script(seen: &Seen) -> Option<Answer> {
        let device = |id: &str, edge: bool, above: Value| {
            Answer::ok(json!({
                "deviceId": id, "etag": "e", "capabilities": {"iotEdge": edge}, "parentScopes": above,
                "deviceScope": if edge { SCOPE } else { "" }
            }))
        };
        Some(match seen.call.as_str() {
            "GET /devices/gate-7" => device("gate-7", true, json!([])),
            "GET /devices/lower" => device("lower", true, json!([])),
            "GET /devices/leaf" => device("leaf", false, json!([])),
            "GET /devices/child" => device("child", false, json!([SCOPE])),
            "POST /devices/query" => Answer::ok(json!([{"deviceId": "child"}])),
            "PUT /devices/leaf" | "PUT /devices/child" | "PUT /devices/lower" => Answer::ok(seen.body.clone()),
            _ => return None,
        })
    }

    #[tokio::test]
    async fn devices_come_below_an_edge_device_and_go() {
        let server = Scripted::signed_in(script).await;
        let az = async |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            server.az(&[&["iot", "hub", "device-identity"], words.as_slice(), &["--login", LOGIN]].concat()).await
        };
        for (line, call, member, value) in [
            ("parent set -d leaf --pd gate-7", "PUT /devices/leaf", "deviceScope", json!(SCOPE)),
            ("children add -d gate-7 --cl lower", "PUT /devices/lower", "parentScopes", json!([SCOPE])),
            ("children add -d gate-7 --cl child -f", "PUT /devices/child", "deviceScope", json!(SCOPE)),
            ("children remove -d gate-7 --cl child", "PUT /devices/child", "deviceScope", json!("")),
            ("children remove -d gate-7 -a", "PUT /devices/child", "deviceScope", json!("")),
        ] {
            let ran = az(line).await;
            assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{line}: {}", ran.err);
            let sent = server.seen().pop().unwrap();
            assert_eq!((sent.call.as_str(), &sent.body[member]), (call, &value), "{line}");
        }
        let shown = az("parent show -d child").await;
        assert_eq!(serde_json::from_str::<Value>(&shown.out).unwrap()["deviceId"], "gate-7", "{}", shown.err);
        let listed = az("children list -d gate-7").await;
        assert_eq!(serde_json::from_str::<Value>(&listed.out).unwrap(), json!(["child"]), "{}", listed.err);
        for (wrong, why) in [
            ("parent show -d leaf", "doesn't have any parent"),
            ("parent set -d child --pd gate-7", "--force"),
            ("parent set -d child --pd leaf", "should be an edge device"),
            ("children remove -d gate-7 --cl leaf", "isn't assigned"),
            ("children remove -d gate-7", "--remove-all"),
        ] {
            let ran = az(wrong).await;
            assert!(ran.code == 1 && ran.err.contains(why), "{wrong}: {}", ran.err);
        }
    }
}
