//! `az graph query`: one query over all resources.

use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task};
use crate::az::failure::Failure;
use crate::az::output::Output;
use crate::az::versions;
use serde_json::json;

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[Command::new(
    "graph query",
    "Query the resources of subscriptions.",
    &["--graph-query/-q! # Query, in the language of Resource Graph (KQL); @file reads it from a file.
--first int =100 # Rows at most, 1 to 1000.
--skip int =0 # Rows to leave out first.
--skip-token # What an answer gave to go on with.
--subscriptions/-s + # Subscriptions; the one in use without it.
--management-groups/-m + # Not supported.
--allow-partial-scopes/-a 3st # Ignored."],
    query,
)];

fn query<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        if args.given("--management-groups") {
            return Err(Failure::error("Management groups are not built; name subscriptions with --subscriptions."));
        }
        let subscriptions = match args.list("--subscriptions") {
            Some(ids) => ids.to_vec(),
            None => vec![context.subscription()?],
        };
        let mut options = json!({
            "$top": args.integer("--first"), "$skip": args.integer("--skip"), "resultFormat": "objectArray",
        });
        if let Some(token) = args.text("--skip-token") {
            options["$skipToken"] = json!(token);
        }
        let body = json!({"subscriptions": subscriptions, "query": args.filled("--graph-query")?, "options": options});
        let path = "/providers/Microsoft.ResourceGraph/resources";
        let answer = context.arm_post(path, versions::RESOURCE_GRAPH, Some(&body)).await?;
        let shown = json!({
            "count": answer.get("count"),
            "data": answer.get("data").cloned().unwrap_or_else(|| json!([])),
            "skip_token": answer.get("$skipToken"),
            "total_records": answer.get("totalRecords"),
        });
        // The rows differ from query to query, so the table is that of a list.
        Ok(Output { value: Some(shown), rows: Some("data"), ..Output::nothing() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::az::scripted::{Answer, SUBSCRIPTION, Scripted};
    use serde_json::Value;

    #[tokio::test]
    async fn a_query_and_its_next_page() {
        let server = Scripted::signed_in(|seen| {
            let asked = seen.call == "POST /providers/Microsoft.ResourceGraph/resources";
            asked.then(|| {
                Answer::ok(json!({"count": 1, "totalRecords": 2, "$skipToken": "t", "resultTruncated": "false", "data": [{"name": "h1", "kind": ""}]}))
            })
        })
        .await;
        let ran = server.az(&["graph", "query", "-q", "resources | project name", "--first", "1"]).await;
        let answer: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(
            (&answer["data"], &answer["skip_token"], &answer["total_records"]),
            (&json!([{"name": "h1", "kind": ""}]), &json!("t"), &json!(2))
        );
        let sent = server.seen().pop().unwrap().body;
        assert_eq!(sent["subscriptions"], json!([SUBSCRIPTION]));
        assert_eq!(sent["options"], json!({"$top": 1, "$skip": 0, "resultFormat": "objectArray"}));
        server.az(&["graph", "query", "-q", "x", "--skip-token", "t", "-s", "a", "b"]).await;
        let sent = server.seen().pop().unwrap().body;
        assert_eq!((&sent["options"]["$skipToken"], &sent["subscriptions"]), (&json!("t"), &json!(["a", "b"])));
        let table = server.az(&["graph", "query", "-q", "x", "-o", "table"]).await;
        assert!(table.out.contains("h1") && table.out.starts_with("Kind    Name"), "{}", table.out);
        let refused = server.az(&["graph", "query", "-q", "x", "-m", "mg"]).await;
        assert!(refused.code == 1 && refused.err.contains("not built"), "{}", refused.err);
    }
}
