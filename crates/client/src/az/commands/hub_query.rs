//! `az iot hub query`, lists that are queries, and the keys of devices made anew.

use crate::az::args::Args;
use crate::az::command::{Command, HUB_CONTEXT};
use crate::az::context::{Context, Task, segment};
use crate::az::data_plane::{DataPlane, Service};
use crate::az::failure::{Failure, Result};
use crate::az::members::text;
use crate::az::options::if_match;
use crate::az::output::Output;
use http::Method;
use serde_json::{Value, json};

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "iot hub query",
        "Query the devices of a hub.",
        &[
            HUB_CONTEXT,
            "--query-command/-q! # Query, such as: select * from devices where tags.line = 'b'.
--top int # Rows at most; all without it.",
        ],
        query,
    ),
    Command::new(
        "iot hub device-twin list",
        "List twins.",
        &[HUB_CONTEXT, "--top int =1000 # Twins at most.\n--edge-enabled/--ee 3st # Edge devices only."],
        twins,
    ),
    Command::new(
        "iot hub device-identity renew-key",
        "Make the keys of devices anew.",
        &[
            HUB_CONTEXT,
            "--device-id/-d! + # Ids of devices.
--key-type/--kt! {primary,secondary,swap,both} # Which of the two keys.
--etag/-e # Only if the device has this ETag.
--include-modules/--im 3st # Not supported: keys of modules are made anew by 'module-identity update'.
--no-progress 3st # Ignored.",
        ],
        renew_key,
    ),
];

fn query<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Hub).await?;
        let body = json!({"query": args.filled("--query-command")?});
        Ok(context.query(&plane, "/devices/query", &body, args.integer("--top")).await?.into())
    })
}

fn twins<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Hub).await?;
        let mut query = "select * from devices".to_owned();
        if let Some(edge) = args.switch("--edge-enabled") {
            query.push_str(&format!(" where capabilities.iotEdge={edge}"));
        }
        Ok(context.query(&plane, "/devices/query", &json!({"query": query}), args.integer("--top")).await?.into())
    })
}

fn renew_key<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        if args.switch("--include-modules") == Some(true) {
            return Err(Failure::error(
                "--include-modules is not built: name devices only, and give modules new keys with 'az iot hub module-identity update'.",
            ));
        }
        let kind = match args.required("--key-type")? {
            "both" => "both",
            // The hub knows no swap; it is two writes of what it shows.
            "swap" => "",
            "secondary" => "secondaryKey",
            _ => "primaryKey",
        };
        let ids: Vec<&str> = args.list("--device-id").unwrap_or_default().iter().map(String::as_str).collect();
        if ids.len() > 1 && args.given("--etag") {
            return Err(Failure::error("--etag is for one device."));
        }
        let plane = context.data_plane(args, Service::Hub).await?;
        if kind.is_empty() {
            return swap(context, args, &plane, &ids).await;
        }
        let named = |id: &&str| match args.text("--etag") {
            Some(etag) => json!({"id": id, "etag": etag}),
            None => json!({"id": id}),
        };
        let body = json!({"policyKey": kind, "devices": ids.iter().map(named).collect::<Vec<_>>()});
        let answer = context.call(&plane, Method::POST, "/devices/keys/regenerate", Some(&body), None).await?;
        refused(&answer)?;
        let [id] = ids.as_slice() else { return Ok(answer.into()) };
        let mut identity = context.call(&plane, Method::GET, &format!("/devices/{}", segment(id)), None, None).await?;
        identity["hub"] = json!(plane.host);
        Ok(identity.into())
    })
}

/// Exchanges the two keys of each device, unless somebody changed it meanwhile.
async fn swap(context: &mut Context<'_>, args: &Args, plane: &DataPlane, ids: &[&str]) -> Result<Output> {
    let mut changed = Vec::new();
    for id in ids {
        let path = format!("/devices/{}", segment(id));
        let mut identity = context.call(plane, Method::GET, &path, None, None).await?;
        let key = |member: &str| text(&identity, &format!("/authentication/symmetricKey/{member}")).to_owned();
        let (primary, secondary) = (key("primaryKey"), key("secondaryKey"));
        if primary.is_empty() || secondary.is_empty() {
            return Err(Failure::error(format!(
                "The device '{id}' has no two keys to swap: it does not sign in with keys."
            )));
        }
        identity["authentication"]["symmetricKey"] = json!({"primaryKey": secondary, "secondaryKey": primary});
        let etag = match args.text("--etag") {
            Some(_) => if_match(args),
            None => format!("\"{}\"", text(&identity, "/etag")),
        };
        let mut made = context.call(plane, Method::PUT, &path, Some(&identity), Some(&etag)).await?;
        made["hub"] = json!(plane.host);
        changed.push(made);
    }
    Ok(if changed.len() == 1 { changed.remove(0).into() } else { Value::Array(changed).into() })
}

/// The failure of an answer that names errors.
fn refused(answer: &Value) -> Result<()> {
    let errors = answer.get("errors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if errors.is_empty() {
        return Ok(());
    }
    let said: Vec<String> = errors
        .iter()
        .map(|error| {
            let code = error.get("errorCode").map(Value::to_string).unwrap_or_default();
            format!("{}: {} {}", text(error, "/deviceId"), code.trim_matches('"'), text(error, "/errorStatus"))
        })
        .collect();
    Err(Failure::error(format!("Keys were not made anew. {}", said.join("; "))))
}

#[cfg(test)]
mod tests {
    use crate::az::scripted::{Answer, Scripted};
    use serde_json::{Value, json};

    const LOGIN: &str = "HostName=h1.azure-devices.localhost;SharedAccessKeyName=iothubowner;SharedAccessKey=c2VjcmV0";

    #[tokio::test]
    async fn queries_and_keys() {
        let server = Scripted::signed_in(|seen| match seen.call.as_str() {
            "POST /devices/query" => Some(match seen.before {
                0 => Answer::ok(json!([{"deviceId": "a"}, {"deviceId": "b"}])).header("x-ms-continuation", "next"),
                _ => Answer::ok(json!([{"deviceId": "c"}])),
            }),
            "POST /devices/keys/regenerate" if seen.body["devices"][0]["id"] == "gone" => Some(Answer::ok(
                json!({"errors": [{"deviceId": "gone", "errorCode": 404001, "errorStatus": "no such device"}]}),
            )),
            "POST /devices/keys/regenerate" => Some(Answer::ok(json!({"errors": []}))),
            "GET /devices/b" => Some(Answer::ok(
                json!({"deviceId": "b", "etag": "e", "authentication": {"symmetricKey": {"primaryKey": "P", "secondaryKey": "S"}}}),
            )),
            "PUT /devices/b" => Some(Answer::ok(seen.body.clone())),
            "GET /devices/a" => Some(Answer::ok(json!({"deviceId": "a"}))),
            _ => None,
        })
        .await;
        let az = async |words: &[&str]| server.az(&[&["iot", "hub"], words, &["--login", LOGIN]].concat()).await;
        let all = az(&["query", "-q", "select * from devices"]).await;
        assert_eq!(serde_json::from_str::<Value>(&all.out).unwrap().as_array().unwrap().len(), 3, "{}", all.err);
        let some = az(&["device-twin", "list", "--top", "1", "--edge-enabled"]).await;
        assert_eq!(serde_json::from_str::<Value>(&some.out).unwrap().as_array().unwrap().len(), 1, "{}", some.err);
        assert_eq!(server.seen().pop().unwrap().body["query"], "select * from devices where capabilities.iotEdge=true");
        let renewed = az(&["device-identity", "renew-key", "-d", "a", "--kt", "both"]).await;
        assert!(renewed.out.contains("h1.azure-devices.localhost"), "{}", renewed.err);
        let swapped = az(&["device-identity", "renew-key", "-d", "b", "--kt", "swap"]).await;
        assert_eq!(swapped.code, 0, "{}", swapped.err);
        let sent = server.seen().pop().unwrap();
        let keys = json!({"primaryKey": "S", "secondaryKey": "P"});
        assert_eq!((sent.call.as_str(), &sent.body["authentication"]["symmetricKey"]), ("PUT /devices/b", &keys));
        let gone = az(&["device-identity", "renew-key", "-d", "gone", "--kt", "primary"]).await;
        assert!(gone.code == 1 && gone.err.contains("gone: 404001 no such device"), "{}", gone.err);
    }
}
