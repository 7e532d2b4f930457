//! `az iot hub query`, and lists that are queries.

use crate::az::args::Args;
use crate::az::command::{Command, HUB_CONTEXT};
use crate::az::context::{Context, Task};
use crate::az::data_plane::Service;
use serde_json::json;

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

#[cfg(test)]
mod tests {
    use crate::az::scripted::{Answer, Scripted};
    use serde_json::{Value, json};

    const LOGIN: &str = "HostName=h1.azure-devices.localhost;SharedAccessKeyName=iothubowner;SharedAccessKey=c2VjcmV0";

    #[tokio::test]
    async fn queries() {
        let server = Scripted::signed_in(|seen| match seen.call.as_str() {
            "POST /devices/query" => Some(match seen.before {
                0 => Answer::ok(json!([{"deviceId": "a"}, {"deviceId": "b"}])).header("x-ms-continuation", "next"),
                _ => Answer::ok(json!([{"deviceId": "c"}])),
            }),
            _ => None,
        })
        .await;
        let az = async |words: &[&str]| server.az(&[&["iot", "hub"], words, &["--login", LOGIN]].concat()).await;
        let all = az(&["query", "-q", "select * from devices"]).await;
        assert_eq!(serde_json::from_str::<Value>(&all.out).unwrap().as_array().unwrap().len(), 3, "{}", all.err);
        let some = az(&["device-twin", "list", "--top", "1", "--edge-enabled"]).await;
        assert_eq!(serde_json::from_str::<Value>(&some.out).unwrap().as_array().unwrap().len(), 1, "{}", some.err);
        assert_eq!(server.seen().pop().unwrap().body["query"], "select * from devices where capabilities.iotEdge=true");
    }
}
