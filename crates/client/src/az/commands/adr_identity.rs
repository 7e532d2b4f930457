//! `az iot adr ns identity …`: a namespace's identities, with one of which it works on its hubs.

use crate::az::adr_paths::namespace_path;
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task};
use crate::az::failure::{Failure, Result};
use crate::az::identities::{BOTH, Identities};
use crate::az::options::rooted;
use crate::az::versions;
use crate::az::wait;
use http::Method;
use serde_json::{Value, json};

const TARGET: &str = "--namespace/--name/-n! # Name of the namespace.
--resource-group/-g! # Resource group.";
const WHICH: &str = "--system-assigned/--system 3st # The namespace's own identity.
--user-assigned-identity/--user * # Ids of user-assigned identities; remove takes all of them without an id.
--no-wait flag # Do not wait for the end.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new("iot adr ns identity show", "Show a namespace's identities.", &[TARGET], show),
    Command::new("iot adr ns identity assign", "Give a namespace identities.", &[TARGET, WHICH], assign),
    Command::new(
        "iot adr ns identity wait",
        "Wait until a namespace and its identity are as wanted.",
        &[TARGET, wait::OPTIONS],
        wait_for,
    ),
    Command::new("iot adr ns identity remove", "Take identities from a namespace.", &[TARGET, WHICH], remove),
];

async fn path(context: &mut Context<'_>, args: &Args) -> Result<String> {
    let group = args.filled("--resource-group")?.to_owned();
    namespace_path(context, &group, args.filled("--namespace")?)
}

fn shown(namespace: &Value) -> Value {
    namespace.get("identity").cloned().unwrap_or(Value::Null)
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args).await?;
        Ok(shown(&context.arm_get(&path, versions::AUTHORITIES).await?).into())
    })
}

/// Writes the identities that `change` makes of those there are.
async fn write(
    context: &mut Context<'_>,
    args: &Args,
    change: fn(&Args, &mut Identities) -> Result<()>,
) -> Result<Value> {
    args.refuse_empty(&["--user-assigned-identity"])?;
    if args.switch("--system-assigned") != Some(true) && !args.given("--user-assigned-identity") {
        return Err(Failure::error("Say which identities are meant: --system-assigned, --user-assigned-identity"));
    }
    let path = path(context, args).await?;
    // Older shapes do not know user-assigned identities, and would take them away with the other one.
    let held = Identities::of(&context.arm_get(&path, versions::AUTHORITIES).await?);
    let mut wanted = held.clone();
    change(args, &mut wanted)?;
    let body = json!({"identity": wanted.patch(&held, BOTH)});
    let no_wait = args.flag("--no-wait");
    Ok(shown(&context.arm_write(Method::PATCH, &path, versions::AUTHORITIES, &body, no_wait).await?))
}

fn added(args: &Args, identities: &mut Identities) -> Result<()> {
    identities.own |= args.switch("--system-assigned") == Some(true);
    for id in args.list("--user-assigned-identity").unwrap_or_default() {
        if !identities.has(&rooted(id)) {
            identities.users.push(rooted(id));
        }
    }
    Ok(())
}

fn taken(args: &Args, identities: &mut Identities) -> Result<()> {
    identities.own &= args.switch("--system-assigned") != Some(true);
    let Some(ids) = args.list("--user-assigned-identity") else { return Ok(()) };
    if let Some(unknown) = ids.iter().find(|id| !identities.has(&rooted(id))) {
        return Err(Failure::error(format!(
            "The namespace does not have the identity {unknown}; it has: {}.",
            identities.users.join(", ")
        )));
    }
    identities.users.retain(|held| !ids.is_empty() && !ids.iter().any(|id| rooted(id).eq_ignore_ascii_case(held)));
    Ok(())
}

fn wait_for<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        wait::check(args)?;
        let path = path(context, args).await?;
        wait::until(context, args, &path, versions::REGISTRY).await
    })
}

fn assign<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move { Ok(write(context, args, added).await?.into()) })
}

fn remove<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move { Ok(write(context, args, taken).await?.into()) })
}

#[cfg(test)]
mod tests {
    use crate::az::scripted::{Answer, Scripted};
    use serde_json::json;

    #[tokio::test]
    async fn identities_of_a_namespace_are_added_to_and_taken_from_those_it_has() {
        let server = Scripted::signed_in(|seen| {
            let identity = json!({"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": {"/A": {}}});
            Some(Answer::ok(match seen.call.split(' ').next()? {
                "GET" => json!({"name": "n1", "location": "westus2", "identity": identity}),
                _ => seen.body.clone(),
            }))
        })
        .await;
        let both = |users: serde_json::Value| json!({"identity": {"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": users}});
        for (words, sent) in [
            ("identity assign --system --user /a /b", both(json!({"/A": {}, "/b": {}}))),
            (
                "identity remove --system",
                json!({"identity": {"type": "UserAssigned", "userAssignedIdentities": {"/A": {}}}}),
            ),
            ("identity remove --user", json!({"identity": {"type": "SystemAssigned"}})),
            ("identity remove --system --user /a", json!({"identity": {"type": "None"}})),
            (
                "update --omi-sa",
                json!({"properties": {"outboundIdentity": {"type": "SystemAssigned", "userAssignedIdentity": null}}}),
            ),
            ("update --omi-sa false --tags a=b", json!({"properties": {"outboundIdentity": null}, "tags": {"a": "b"}})),
            (
                "update --omi-ua /c --no-wait",
                json!({"properties": {"outboundIdentity": {"type": "UserAssigned", "userAssignedIdentity": "/c"}},
                    "identity": both(json!({"/A": {}, "/c": {}}))["identity"]}),
            ),
            (
                "create -l westus2 --omi-ua /c",
                json!({"location": "westus2", "identity": both(json!({"/c": {}}))["identity"],
                    "properties": {"outboundIdentity": {"type": "UserAssigned", "userAssignedIdentity": "/c"}}}),
            ),
        ] {
            let words = format!("iot adr ns {words} -n n1 -g rg");
            let ran = server.az(&words.split(' ').collect::<Vec<_>>()).await;
            assert_eq!(ran.code, 0, "{words}: {}", ran.err);
            assert_eq!(server.seen().pop().unwrap().body, sent, "{words}");
        }
        for (wrong, word) in [
            ("identity assign", "--user-assigned-identity"),
            ("identity assign --system false", "--user-assigned-identity"),
            ("identity remove --user /b", "it has: /A"),
            ("update --omi-sa --omi-ua /c", "exclude each other"),
        ] {
            let words = format!("iot adr ns {wrong} -n n1 -g rg");
            let ran = server.az(&words.split(' ').collect::<Vec<_>>()).await;
            assert!(ran.code == 1 && ran.err.contains(word), "{wrong}: {}", ran.err);
        }
    }
}
