//! `az iot adr schema …` and `az iot adr schema version …`: schemas of a registry, and their contents.

use crate::az::adr_paths::schema_registry_path;
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task, segment};
use crate::az::failure::{Failure, Result};
use crate::az::members::put;
use crate::az::options::tags;
use crate::az::output::{Columns, Output};
use crate::az::versions::SCHEMAS;
use crate::az::wait;
use http::Method;
use serde_json::{Map, Value, json};

const REGISTRY: &str = "--registry! # Name of the schema registry.
--resource-group/-g! # Resource group.";
const NAME: &str = "--name/-n! # Name of the schema: 3 to 64 lower-case letters, digits and inner hyphens.";
const SCHEMA: &str = "--schema! # Name of the schema.";
const VERSION: &str = "--version! # Name of the version: 1 to 10 digits.";
const NO_WAIT: &str = "--no-wait flag # Do not wait for the end.";

/// Most digits of a version's name (ARM's pattern of `schemaVersions` names: 1 to 10 digits).
const VERSION_DIGITS: usize = 10;

/// Columns of the table format of schemas.
const COLUMNS: Columns = &[
    ("Name", "name"),
    ("SchemaType", "properties.schemaType"),
    ("Format", "properties.format"),
    ("DisplayName", "properties.displayName"),
    ("ProvisioningState", "properties.provisioningState"),
];
/// Columns of the table format of versions.
const VERSION_COLUMNS: Columns = &[
    ("Name", "name"),
    ("Description", "properties.description"),
    ("Hash", "properties.hash"),
    ("ProvisioningState", "properties.provisioningState"),
];

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "iot adr schema create",
        "Create a schema: what its versions are written in.",
        &[
            REGISTRY,
            NAME,
            "--schema-type! {MessageSchema,ThingDescription,ThingModel} # What it describes.
--format! {JsonSchema/draft-07,Delta/1.0,JsonLD/1.1} # How its versions are written.
--description # What it is for.
--display-name # Name for people.
--tags * # Tags: key=value.",
        ],
        create,
    ),
    Command::new("iot adr schema show", "Show a schema.", &[REGISTRY, NAME], show),
    Command::new("iot adr schema list", "List the schemas of a registry.", &[REGISTRY], list),
    Command::new("iot adr schema delete", "Delete a schema with its versions.", &[REGISTRY, NAME, NO_WAIT], delete)
        .confirmed(),
    Command::new(
        "iot adr schema wait",
        "Wait until a schema is as wanted.",
        &[REGISTRY, NAME, wait::OPTIONS],
        wait_for,
    ),
    Command::new(
        "iot adr schema version create",
        "Create a version of a schema: a content that never changes.",
        &[
            REGISTRY,
            SCHEMA,
            VERSION,
            "--schema-content! # The content as text; @file takes that of a file.
--description # What changed with it.",
        ],
        create_version,
    ),
    Command::new("iot adr schema version show", "Show a version of a schema.", &[REGISTRY, SCHEMA, VERSION], show),
    Command::new("iot adr schema version list", "List the versions of a schema.", &[REGISTRY, SCHEMA], list),
    Command::new(
        "iot adr schema version delete",
        "Delete a version of a schema.",
        &[REGISTRY, SCHEMA, VERSION, NO_WAIT],
        delete,
    )
    .confirmed(),
    Command::new(
        "iot adr schema version wait",
        "Wait until a version of a schema is as wanted.",
        &[REGISTRY, SCHEMA, VERSION, wait::OPTIONS],
        wait_for,
    ),
];

/// Whether the command is about versions, and not about schemas.
fn of_versions(args: &Args) -> bool {
    args.declares("--schema")
}

/// The path of what the command lists.
fn collection(context: &mut Context<'_>, args: &Args) -> Result<String> {
    let registry = schema_registry_path(context, args.filled("--resource-group")?, args.filled("--registry")?)?;
    Ok(match of_versions(args) {
        true => format!("{registry}/schemas/{}/schemaVersions", segment(args.filled("--schema")?)),
        false => format!("{registry}/schemas"),
    })
}

/// The path of what the command names.
fn path(context: &mut Context<'_>, args: &Args) -> Result<String> {
    let name = if of_versions(args) { version(args)? } else { args.filled("--name")? };
    Ok(format!("{}/{}", collection(context, args)?, segment(name)))
}

/// # Errors
/// A version that is no number of at most ten digits.
fn version(args: &Args) -> Result<&str> {
    let version = args.filled("--version")?;
    if version.len() <= VERSION_DIGITS && version.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(version);
    }
    Err(Failure::error(format!(
        "'{version}' is no name of a version: --version has 1 to {VERSION_DIGITS} digits, such as 1."
    )))
}

fn columns(args: &Args) -> Columns {
    if of_versions(args) { VERSION_COLUMNS } else { COLUMNS }
}

/// Makes what the command names, with the properties that these options say.
async fn write(context: &mut Context<'_>, args: &Args, members: &[(&'static str, &str)]) -> Result<Output> {
    let path = path(context, args)?;
    let mut properties = Map::new();
    for (option, member) in members {
        put(&mut properties, member, args.text(option).map(|value| json!(value)));
    }
    if args.declares("--tags") {
        put(&mut properties, "tags", tags(args));
    }
    let made = context.arm_write(Method::PUT, &path, SCHEMAS, &json!({"properties": properties}), false).await?;
    Ok(Output::with_columns(made, columns(args)))
}

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(write(
        context,
        args,
        &[
            ("--schema-type", "schemaType"),
            ("--format", "format"),
            ("--description", "description"),
            ("--display-name", "displayName"),
        ],
    ))
}

fn create_version<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        args.filled("--schema-content")?;
        write(context, args, &[("--schema-content", "schemaContent"), ("--description", "description")]).await
    })
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args)?;
        Ok(Output::with_columns(context.arm_get(&path, SCHEMAS).await?, columns(args)))
    })
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = collection(context, args)?;
        Ok(Output::with_columns(Value::Array(context.arm_list(&path, SCHEMAS).await?), columns(args)))
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
