//! Where namespaces, their credential and their policies are, and schema registries.

use super::context::{Context, segment};
use super::failure::Result;
use super::members::text;
use super::versions;

/// Resource type of a namespace.
pub(crate) const NAMESPACES: &str = "Microsoft.DeviceRegistry/namespaces";

/// The path of the namespace `name`.
///
/// # Errors
/// Not signed in.
pub(crate) fn namespace_path(context: &mut Context<'_>, group: &str, name: &str) -> Result<String> {
    Ok(format!("{}/{}", context.collection_path(Some(group), NAMESPACES)?, segment(name)))
}

/// The path of a namespace's one credential.
pub(crate) fn credential_path(namespace: &str) -> String {
    format!("{namespace}/credentials/default")
}

/// The path of a policy.
pub(crate) fn policy_path(namespace: &str, name: &str) -> String {
    format!("{}/policies/{}", credential_path(namespace), segment(name))
}

/// The region of a namespace, for the children that are made in it.
///
/// # Errors
/// ARM's error.
pub(crate) async fn region_of(context: &mut Context<'_>, namespace: &str) -> Result<String> {
    let found = context.arm_get(namespace, versions::REGISTRY).await?;
    Ok(text(&found, "/location").to_owned())
}

/// Resource type of a schema registry.
pub(crate) const SCHEMA_REGISTRIES: &str = "Microsoft.DeviceRegistry/schemaRegistries";

/// The path of the schema registry `name`.
///
/// # Errors
/// Not signed in.
pub(crate) fn schema_registry_path(context: &mut Context<'_>, group: &str, name: &str) -> Result<String> {
    Ok(format!("{}/{}", context.collection_path(Some(group), SCHEMA_REGISTRIES)?, segment(name)))
}
