//! The commands, one file per group. Each has its part of the table and its handlers.

mod account;
mod adr_credential;
mod adr_device;
mod adr_namespace;
mod adr_policy;
mod device_identity;
mod device_twin;
mod directory;
mod dps;
mod enrollment_group;
mod group;
mod hub;
mod hub_certificate;
mod hub_create;
mod hub_keys;
mod hub_link;
mod identity;
mod linked_hub;
mod managed_identity;
mod resource;
mod rest;
mod role_assignment;
mod role_definition;
pub(crate) mod settings;
mod sign_in;

use super::failure::{Failure, Result};
use super::grammar::Command;
use super::parser::Args;
use super::session::Session;
use serde_json::{Map, Value};

/// Every part of the command table.
pub(crate) const TABLES: &[&[Command]] = &[
    sign_in::COMMANDS,
    account::COMMANDS,
    settings::COMMANDS,
    group::COMMANDS,
    resource::COMMANDS,
    role_definition::COMMANDS,
    role_assignment::COMMANDS,
    directory::COMMANDS,
    identity::COMMANDS,
    adr_namespace::COMMANDS,
    adr_credential::COMMANDS,
    adr_policy::COMMANDS,
    adr_device::COMMANDS,
    hub_create::COMMANDS,
    hub::COMMANDS,
    managed_identity::COMMANDS,
    hub_certificate::COMMANDS,
    hub_keys::COMMANDS,
    device_identity::COMMANDS,
    device_twin::COMMANDS,
    dps::COMMANDS,
    linked_hub::COMMANDS,
    enrollment_group::COMMANDS,
    rest::COMMANDS,
];

/// The api-versions that this command line sends.
pub(crate) mod versions {
    /// Resource groups, resources, providers.
    pub(crate) const RESOURCES: &str = "2024-11-01";
    /// Subscriptions and locations.
    pub(crate) const SUBSCRIPTIONS: &str = "2022-12-01";
    /// Role definitions.
    pub(crate) const ROLE_DEFINITIONS: &str = "2022-05-01-preview";
    /// Role assignments.
    pub(crate) const ROLE_ASSIGNMENTS: &str = "2022-04-01";
    /// User-assigned identities.
    pub(crate) const IDENTITIES: &str = "2025-05-31-preview";
    /// Device registry: the generation with credentials and policies.
    pub(crate) const REGISTRY: &str = "2026-03-01-preview";
    /// IoT hubs: the first with the namespace link.
    pub(crate) const HUB: &str = "2025-08-01-preview";
    /// Device Provisioning Services: the first with the namespace link.
    pub(crate) const DPS: &str = "2025-02-01-preview";
    /// A hub's data plane.
    pub(crate) const HUB_DATA: &str = "2021-04-12";
    /// A provisioning service's data plane: the first with credential policies.
    pub(crate) const DPS_DATA: &str = "2025-07-01-preview";
    /// `/metadata/endpoints`.
    pub(crate) const METADATA: &str = "2022-09-01";
}

/// `--tags a=b c "d=e f"` as an object; an empty text clears; `None` where not given.
fn tags(args: &Args) -> Option<Value> {
    let given = args.list("--tags")?;
    let mut tags = Map::new();
    for pair in given.iter().filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        tags.insert(key.to_owned(), Value::String(value.to_owned()));
    }
    Some(Value::Object(tags))
}

/// The region to create in: `--location` (a display name is looked up), else the group's.
async fn location(session: &mut Session<'_>, args: &Args, group: &str) -> Result<String> {
    match args.text("--location").filter(|location| !location.is_empty()) {
        Some(location) => region(session, location).await,
        None => {
            let path = session.group_path(group)?;
            let group = session.arm_get(&path, versions::RESOURCES).await?;
            Ok(text(&group, "/location").to_owned())
        }
    }
}

/// The short name of a region; one with a space is taken for a display name and looked up.
async fn region(session: &mut Session<'_>, location: &str) -> Result<String> {
    if !location.contains(' ') {
        return Ok(location.to_owned());
    }
    let path = format!("{}/locations", session.subscription_path()?);
    let all = session.arm_list(&path, versions::SUBSCRIPTIONS).await?;
    let found = all.iter().find(|one| text(one, "/displayName").eq_ignore_ascii_case(location));
    Ok(found.map_or(location, |one| text(one, "/name")).to_owned())
}

/// The text at a JSON pointer, or an empty one.
fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Sets `key` of an object where there is a value.
fn put(object: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        object.insert(key.to_owned(), value);
    }
}

/// Lifts the members of `properties` to the top, as core `az` prints some types.
fn flattened(mut resource: Value) -> Value {
    if let Value::Object(members) = &mut resource
        && let Some(Value::Object(properties)) = members.shift_remove("properties")
    {
        members.extend(properties);
    }
    resource
}

/// A scope or id with its leading slash: shells of Windows swallow it.
fn rooted(scope: &str) -> String {
    if scope.starts_with('/') { scope.to_owned() } else { format!("/{scope}") }
}

/// Sets a member of the object at a JSON pointer, making the objects on the way.
///
/// # Errors
/// Where something on the way is not an object.
fn set_at(root: &mut Value, path: &[&str], value: Value) -> Result<()> {
    let mut at = root;
    for key in path {
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(members) = at else {
            return Err(Failure::error(format!("The server's answer has no object where '{key}' belongs.")));
        };
        at = members.entry((*key).to_owned()).or_insert(Value::Null);
    }
    *at = value;
    Ok(())
}
