//! `az iot hub consumer-group …` and what else is below a hub in Resource Manager.

use super::hub::find;
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task, segment};
use crate::az::failure::Result;
use crate::az::members::text;
use crate::az::output::Output;
use crate::az::versions;
use http::Method;
use serde_json::{Value, json};

const HUB: &str = "--hub-name! # Name of the hub.
--resource-group/-g # Resource group; the subscription is searched without it.
--event-hub-name =events # Endpoint of the hub; there is one.";
const NAME: &str = "--name/-n! # Name of the consumer group.";
const TARGET: &str = "--name/-n! # Name of the hub.
--resource-group/-g # Resource group; the subscription is searched without it.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new("iot hub consumer-group create", "Create a consumer group.", &[HUB, NAME], create),
    Command::new("iot hub consumer-group show", "Show a consumer group.", &[HUB, NAME], show),
    Command::new("iot hub consumer-group list", "List consumer groups.", &[HUB], list),
    Command::new("iot hub consumer-group delete", "Delete a consumer group.", &[HUB, NAME], delete),
    Command::new("iot hub list-skus", "List the pricing tiers that a hub may have.", &[TARGET], list_skus)
        .with_ids(&["--name"]),
    Command::new("iot hub show-quota-metrics", "Show how much of its quotas a hub uses.", &[TARGET], quotas)
        .with_ids(&["--name"]),
];

/// The consumer groups of the hub and endpoint that the options name.
async fn collection(context: &mut Context<'_>, args: &Args) -> Result<String> {
    let hub = find(context, args, "--hub-name").await?;
    let endpoint = segment(args.filled("--event-hub-name")?);
    Ok(format!("{}/eventHubEndpoints/{endpoint}/ConsumerGroups", text(&hub, "/id")))
}

async fn path(context: &mut Context<'_>, args: &Args) -> Result<String> {
    let name = segment(args.filled("--name")?);
    Ok(format!("{}/{name}", collection(context, args).await?))
}

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args).await?;
        let body = json!({"properties": {"name": args.filled("--name")?}});
        Ok(context.arm_write(Method::PUT, &path, versions::HUB, &body, false).await?.into())
    })
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args).await?;
        Ok(context.arm_get(&path, versions::HUB).await?.into())
    })
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = collection(context, args).await?;
        Ok(Value::Array(context.arm_list(&path, versions::HUB).await?).into())
    })
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args).await?;
        context.arm_act(Method::DELETE, &path, versions::HUB, None, false).await?;
        Ok(Output::nothing())
    })
}

/// A list that lies below the hub.
async fn below(context: &mut Context<'_>, args: &Args, name: &str) -> Result<Output> {
    let hub = find(context, args, "--name").await?;
    let path = format!("{}/{name}", text(&hub, "/id"));
    Ok(Value::Array(context.arm_list(&path, versions::HUB).await?).into())
}

fn list_skus<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(below(context, args, "skus"))
}

fn quotas<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(below(context, args, "quotaMetrics"))
}

#[cfg(test)]
mod tests {
    use crate::az::scripted::{Answer, Scripted};
    use serde_json::json;

    const HUB: &str =
        "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/rg/providers/Microsoft.Devices/IotHubs/h1";

    #[tokio::test]
    async fn what_lies_below_a_hub() {
        let server = Scripted::signed_in(|seen| {
            let (method, path) = seen.call.split_once(' ')?;
            Some(match method {
                "GET" if path.ends_with("/IotHubs") => Answer::list(json!([{"id": HUB, "name": "h1"}])),
                "GET" if path.ends_with("/ConsumerGroups/cg") => Answer::ok(json!({"name": "cg"})),
                "GET" => Answer::list(json!([{"name": "x"}])),
                "DELETE" => Answer::new(204, json!(null)),
                _ => Answer::ok(seen.body.clone()),
            })
        })
        .await;
        for (words, call) in [
            ("consumer-group create --hub-name h1 -n cg", "PUT /eventHubEndpoints/events/ConsumerGroups/cg"),
            ("consumer-group show --hub-name h1 -n cg", "GET /eventHubEndpoints/events/ConsumerGroups/cg"),
            ("consumer-group list --hub-name h1", "GET /eventHubEndpoints/events/ConsumerGroups"),
            ("consumer-group delete --hub-name h1 -n cg", "DELETE /eventHubEndpoints/events/ConsumerGroups/cg"),
            ("list-skus -n h1", "GET /skus"),
            ("show-quota-metrics -n h1", "GET /quotaMetrics"),
        ] {
            let words: Vec<&str> = ["iot", "hub"].into_iter().chain(words.split(' ')).collect();
            let ran = server.az(&words).await;
            assert_eq!(ran.code, 0, "{words:?}: {}", ran.err);
            assert_eq!(server.calls().pop().unwrap().replace(HUB, ""), call);
        }
    }
}
