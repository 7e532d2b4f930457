//! `az identity …`: user-assigned managed identities.

use crate::az::args::Args;
use crate::az::command::{Command, GENERIC_UPDATE};
use crate::az::failure::Result;
use crate::az::members::{flattened, put};
use crate::az::options::{location, tags};
use crate::az::output::Outcome;
use crate::az::session::{Session, Task, segment};
use crate::az::update;
use crate::az::versions;
use http::Method;
use serde_json::{Map, Value, json};

const KIND: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";
const TARGET: &str = "--name/-n/--resource-name! # Name of the identity.
--resource-group/-g! # Resource group.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "identity create",
        "Create an identity.",
        &[
            TARGET,
            "--location/-l # Region; the group's without it.
--tags + # Tags: key=value; an empty text clears them.
--isolation-scope {None,Regional} # Isolation scope.
~--resource-restriction +",
        ],
        create,
    ),
    Command::new("identity show", "Show an identity.", &[TARGET], show).with_ids(&["--name"]),
    Command::new(
        "identity list",
        "List identities.",
        &["--resource-group/-g # Resource group.
~--max-items
~--next-token"],
        list,
    ),
    Command::new(
        "identity update",
        "Change an identity.",
        &[TARGET, "--tags + # Tags: key=value; an empty text clears them.", GENERIC_UPDATE],
        update_identity,
    )
    .with_ids(&["--name"]),
    Command::new("identity delete", "Delete an identity.", &[TARGET], delete).with_ids(&["--name"]),
];

fn path(session: &mut Session<'_>, args: &Args) -> Result<String> {
    let collection = session.collection_path(Some(args.filled("--resource-group")?), KIND)?;
    Ok(format!("{collection}/{}", segment(args.filled("--name")?)))
}

fn create<'a>(session: &'a mut Session<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(session, args)?;
        let mut body = Map::new();
        let region = location(session, args, args.required("--resource-group")?).await?;
        put(&mut body, "location", Some(Value::String(region)));
        put(&mut body, "tags", tags(args));
        put(&mut body, "properties", args.text("--isolation-scope").map(|scope| json!({"isolationScope": scope})));
        let made = session.arm_write(Method::PUT, &path, versions::IDENTITIES, &Value::Object(body), false).await?;
        Ok(flattened(made).into())
    })
}

fn show<'a>(session: &'a mut Session<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(session, args)?;
        Ok(flattened(session.arm_get(&path, versions::IDENTITIES).await?).into())
    })
}

fn list<'a>(session: &'a mut Session<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = session.collection_path(args.text("--resource-group"), KIND)?;
        let found = session.arm_list(&path, versions::IDENTITIES).await?;
        Ok(Value::Array(found.into_iter().map(flattened).collect()).into())
    })
}

fn update_identity<'a>(session: &'a mut Session<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(session, args)?;
        let mut resource = session.arm_get(&path, versions::IDENTITIES).await?;
        if let Some(tags) = tags(args) {
            resource["tags"] = tags;
        }
        update::apply(args, &mut resource)?;
        let made = session.arm_write(Method::PUT, &path, versions::IDENTITIES, &resource, false).await?;
        Ok(flattened(made).into())
    })
}

fn delete<'a>(session: &'a mut Session<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(session, args)?;
        session.arm_act(Method::DELETE, &path, versions::IDENTITIES, None, false).await?;
        Ok(Outcome::nothing())
    })
}
