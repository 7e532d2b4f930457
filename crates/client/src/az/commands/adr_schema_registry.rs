//! `az iot adr schema registry …`: registries of schemas.

use crate::az::adr_paths::{SCHEMA_REGISTRIES, schema_registry_path};
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task};
use crate::az::failure::{Failure, Result};
use crate::az::identities::{BOTH, Identities};
use crate::az::members::{put, set_at};
use crate::az::options::{location, rooted, tags};
use crate::az::outbound::{self, Outbound};
use crate::az::output::{Columns, Output};
use crate::az::versions::SCHEMAS;
use crate::az::wait;
use http::Method;
use serde_json::{Map, Value, json};

const TARGET: &str = "--name/-n! # Name of the registry: 3 to 64 lower-case letters, digits and inner hyphens.
--resource-group/-g! # Resource group.";
const ABOUT: &str = "--description/--desc # What it is for.
--display-name # Name for people.
--tags * # Tags: key=value; an empty text clears them.";
const IDENTITY: &str = "--system-assigned-mi/--mi-sa 3st # Whether it has an identity of its own.
--user-assigned-mi/--mi-ua + # Ids of its user-assigned identities.";
const NO_WAIT: &str = "--no-wait flag # Do not wait for the end.";

/// Columns of the table format.
const COLUMNS: Columns = &[
    ("Name", "name"),
    ("Namespace", "properties.namespace"),
    ("Location", "location"),
    ("DisplayName", "properties.displayName"),
    ("ProvisioningState", "properties.provisioningState"),
];

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "iot adr schema registry create",
        "Create a schema registry.",
        &[
            TARGET,
            "--registry-namespace! # Name by which services find its schemas: 2 to 32 lower-case letters, digits and inner hyphens; no other registry has it.
--storage-account-container-url/--container-url! # URL of the container in which Azure keeps the contents; Ferrohub keeps them itself.
--location/-l # Region; the group's without it.",
            ABOUT,
            IDENTITY,
            outbound::OPTIONS,
            NO_WAIT,
        ],
        create,
    ),
    Command::new("iot adr schema registry show", "Show a schema registry.", &[TARGET], show),
    Command::new(
        "iot adr schema registry list",
        "List schema registries.",
        &["--resource-group/-g # Resource group; the subscription without it."],
        list,
    ),
    Command::new(
        "iot adr schema registry update",
        "Change a schema registry.",
        &[TARGET, ABOUT, IDENTITY, outbound::OPTIONS, NO_WAIT],
        update,
    ),
    Command::new(
        "iot adr schema registry delete",
        "Delete a schema registry with its schemas.",
        &[TARGET, NO_WAIT],
        delete,
    )
    .confirmed(),
    Command::new(
        "iot adr schema registry wait",
        "Wait until a schema registry is as wanted.",
        &[TARGET, wait::OPTIONS],
        wait_for,
    ),
];

fn path(context: &mut Context<'_>, args: &Args) -> Result<String> {
    schema_registry_path(context, args.filled("--resource-group")?, args.filled("--name")?)
}

/// Whether the options say which identities the registry has.
fn names_identities(args: &Args) -> bool {
    args.given("--system-assigned-mi") || args.given("--user-assigned-mi")
}

/// The identities that a registry with `held` is to have: those that the options name; without one, the outbound one is
/// added to those it has.
///
/// # Errors
/// The outbound identity is none of those that the options name.
fn identities(args: &Args, held: &Identities, outbound: &Outbound) -> Result<Identities> {
    let mut wanted = held.clone();
    if let Some(own) = args.switch("--system-assigned-mi") {
        wanted.own = own;
    }
    if let Some(ids) = args.list("--user-assigned-mi") {
        wanted.users = ids.iter().map(|id| rooted(id)).collect();
    }
    if outbound.is_among(&wanted) {
        return Ok(wanted);
    }
    if names_identities(args) {
        let missing = match outbound {
            Outbound::User(id) => format!("--user-assigned-mi {id}"),
            _ => "--system-assigned-mi".to_owned(),
        };
        return Err(Failure::error(format!(
            "The outbound identity is none of the identities that the registry is to have. Add {missing}, or leave --system-assigned-mi and --user-assigned-mi out."
        )));
    }
    Ok(outbound.attached(wanted))
}

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        args.refuse_empty(&["--user-assigned-mi"])?;
        let outbound = Outbound::of(args)?;
        let identities = identities(args, &Identities::default(), &outbound)?;
        let path = path(context, args)?;
        let mut properties = Map::new();
        put(&mut properties, "namespace", Some(json!(args.filled("--registry-namespace")?)));
        let container = args.filled("--storage-account-container-url")?;
        put(&mut properties, "storageAccountContainerUrl", Some(json!(container)));
        put(&mut properties, "description", args.text("--description").map(|value| json!(value)));
        put(&mut properties, "displayName", args.text("--display-name").map(|value| json!(value)));
        put(&mut properties, "outboundIdentity", outbound.body().filter(|body| !body.is_null()));
        let mut body = Map::new();
        put(&mut body, "location", Some(json!(location(context, args, args.filled("--resource-group")?).await?)));
        put(&mut body, "tags", tags(args));
        let has_some = identities != Identities::default();
        put(&mut body, "identity", has_some.then(|| identities.body(BOTH)));
        put(&mut body, "properties", Some(Value::Object(properties)));
        let no_wait = args.flag("--no-wait");
        Ok(context.arm_write(Method::PUT, &path, SCHEMAS, &Value::Object(body), no_wait).await?.into())
    })
}

fn update<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        args.refuse_empty(&["--user-assigned-mi"])?;
        let outbound = Outbound::of(args)?;
        let path = path(context, args)?;
        let mut patch = json!({});
        for (option, member) in [("--description", "description"), ("--display-name", "displayName")] {
            if let Some(value) = args.text(option) {
                set_at(&mut patch, &["properties", member], json!(value))?;
            }
        }
        if let Some(body) = outbound.patch() {
            set_at(&mut patch, &["properties", "outboundIdentity"], body)?;
        }
        if let Some(tags) = tags(args) {
            patch["tags"] = tags;
        }
        if names_identities(args) || matches!(outbound, Outbound::Own | Outbound::User(_)) {
            let held = Identities::of(&context.arm_get(&path, SCHEMAS).await?);
            let wanted = identities(args, &held, &outbound)?;
            if wanted != held {
                patch["identity"] = wanted.patch(&held, BOTH);
            }
        } else if patch == json!({}) {
            return Err(Failure::error(
                "Nothing to update. Give --description, --display-name, --tags, --system-assigned-mi, --user-assigned-mi, --outbound-system-assigned-mi or --outbound-user-assigned-mi.",
            ));
        }
        let no_wait = args.flag("--no-wait");
        Ok(context.arm_write(Method::PATCH, &path, SCHEMAS, &patch, no_wait).await?.into())
    })
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args)?;
        Ok(Output::with_columns(context.arm_get(&path, SCHEMAS).await?, COLUMNS))
    })
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        args.refuse_empty(&["--resource-group"])?;
        let path = context.collection_path(args.text("--resource-group"), SCHEMA_REGISTRIES)?;
        Ok(Output::with_columns(Value::Array(context.arm_list(&path, SCHEMAS).await?), COLUMNS))
    })
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args)?;
        context.arm_act(Method::DELETE, &path, SCHEMAS, None, args.flag("--no-wait")).await?;
        Ok(Output::nothing())
    })
}

fn wait_for<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        wait::check(args)?;
        let path = path(context, args)?;
        wait::until(context, args, &path, SCHEMAS).await
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::az::parser;
    use std::collections::HashMap;

    /// The identity and the outbound identity that a create with these options sends.
    fn chosen(options: &str) -> Result<(Value, Option<Value>)> {
        let target = "-n r -g g --registry-namespace ns --container-url https://a/b";
        let words: Vec<String> = target.split(' ').chain(options.split_whitespace()).map(str::to_owned).collect();
        let args = parser::parse(&COMMANDS[0], &words, &HashMap::new())?;
        let outbound = Outbound::of(&args)?;
        Ok((identities(&args, &Identities::default(), &outbound)?.body(BOTH), outbound.body()))
    }

    #[test]
    fn an_outbound_identity_is_one_of_the_registrys() {
        let (own, none) = (json!({"type": "SystemAssigned"}), json!({"type": "None"}));
        let user = json!({"type": "UserAssigned", "userAssignedIdentities": {"/u": {}}});
        let as_user = json!({"type": "UserAssigned", "userAssignedIdentity": "/u"});
        for (options, identity, outbound) in [
            ("", &none, None),
            ("--mi-sa", &own, None),
            ("--mi-ua u", &user, None),
            ("--omi-sa", &own, Some(own.clone())),
            ("--omi-sa false", &none, Some(Value::Null)),
            ("--omi-ua /u", &user, Some(as_user.clone())),
            ("--omi-ua /U --mi-ua /u", &user, Some(json!({"type": "UserAssigned", "userAssignedIdentity": "/U"}))),
            ("--mi-sa --omi-sa true", &own, Some(own.clone())),
        ] {
            assert_eq!(chosen(options), Ok((identity.clone(), outbound)), "{options}");
        }
        let both = json!({"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": {"/u": {}}});
        assert_eq!(chosen("--mi-sa --mi-ua /u --omi-ua /u"), Ok((both, Some(as_user))));
        for (options, word) in [
            ("--mi-sa --omi-ua /u", "Add --user-assigned-mi /u"),
            ("--mi-ua /u --omi-sa", "Add --system-assigned-mi"),
            ("--mi-sa false --omi-sa", "Add --system-assigned-mi"),
            ("--omi-sa --omi-ua /u", "exclude each other"),
            ("--omi-sa false --omi-ua /u", "exclude each other"),
            ("--omi-ua=", "--outbound-user-assigned-mi is empty"),
        ] {
            let failure = chosen(options).unwrap_err();
            assert!(failure.exit == 1 && failure.message.contains(word), "{options}: {}", failure.message);
        }
    }
}
