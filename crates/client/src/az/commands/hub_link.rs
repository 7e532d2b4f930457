//! The link of a new hub to a namespace: named, or inferred from the hub's identity; and the roles
//! that the namespace needs on the hub.
//!
//! Azure infers nothing. The published instructions rely on it, so it lives in this client.

use super::role_assignment::{assign, of_principal};
use super::role_definition::{definitions, resolve};
use crate::az::adr_paths::NAMESPACES;
use crate::az::args::Args;
use crate::az::context::Context;
use crate::az::failure::{Failure, Result};
use crate::az::members::text;
use crate::az::options::{rooted, user_identities};
use crate::az::principals::Principal;
use crate::az::versions;
use serde_json::{Map, Value};

/// Roles of the namespace's identity on a linked hub, as `az` grants them.
const NAMESPACE_ROLES: &[&str] = &["Contributor", "IoT Hub Registry Contributor"];

const READ: &str = "Microsoft.DeviceRegistry/namespaces/read";
const WRITES: &[&str] =
    &["Microsoft.DeviceRegistry/namespaces/write", "Microsoft.DeviceRegistry/namespaces/devices/write"];

/// A link to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamespaceLink {
    /// Resource id of the namespace.
    pub(crate) namespace: String,
    /// Resource id of the identity with which the hub works on it.
    pub(crate) identity: String,
}

/// The link that the command line names, or that follows from its one identity.
///
/// # Errors
/// A half-named link, or several namespaces to choose from.
pub(crate) async fn choose(context: &mut Context<'_>, args: &Args, group: &str) -> Result<Option<NamespaceLink>> {
    let users = user_identities(args);
    let named = |key| args.text(key).filter(|id: &&str| !id.is_empty()).map(rooted);
    match (named("--ns-resource-id"), named("--ns-identity-id")) {
        (Some(namespace), Some(identity)) => {
            return Ok(Some(NamespaceLink { namespace, identity }));
        }
        (Some(namespace), None) => {
            let [identity] = users.as_slice() else {
                return Err(Failure::error(
                    "--ns-identity-id is required with --ns-resource-id: the identity with which the hub works on the namespace.",
                ));
            };
            return Ok(Some(NamespaceLink { namespace, identity: identity.clone() }));
        }
        (None, Some(_)) => {
            return Err(Failure::error(
                "--ns-resource-id is required with --ns-identity-id: the namespace to link to.",
            ));
        }
        (None, None) => {}
    }
    if users.is_empty() {
        return Ok(None);
    }
    infer(context, group, &users).await
}

/// The group's one namespace on which one of the identities may read and write.
async fn infer(context: &mut Context<'_>, group: &str, identities: &[String]) -> Result<Option<NamespaceLink>> {
    let found = match candidates(context, group, identities).await {
        Ok(found) => found,
        // Who may not look cannot be told to which namespace the hub would belong.
        Err(failure) if failure.status == Some(403) => {
            let reason = failure.message.lines().next().unwrap_or_default().to_owned();
            context.warn(&format!("Which namespaces the hub's identity may use cannot be read: {reason}"));
            Vec::new()
        }
        Err(failure) => return Err(failure),
    };
    match found.as_slice() {
        [] => {
            context.warn(&format!(
                "The hub is not linked to a namespace: no namespace of resource group '{group}' lets its identity read and write. To link it, give \
                 the identity a role on the namespace, delete the hub and create it anew with these options: --ns-resource-id '<id of the namespace>' --ns-identity-id '<id of the identity>'"
            ));
            Ok(None)
        }
        [link] => {
            context.note(&format!(
                "One namespace of the group lets the hub's identity read and write; the hub is linked to namespace {}",
                link.namespace
            ));
            Ok(Some(link.clone()))
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|link| link.namespace.as_str()).collect();
            Err(Failure::error(format!(
                "The hub's identity may read and write several namespaces of resource group '{group}':\n    {}\nChoose one with --ns-resource-id and \
                 --ns-identity-id. Nothing was created.",
                ids.join("\n    ")
            )))
        }
    }
}

/// The namespaces of the group that one of the identities may read and write, each once.
async fn candidates(context: &mut Context<'_>, group: &str, identities: &[String]) -> Result<Vec<NamespaceLink>> {
    let mut found: Vec<NamespaceLink> = Vec::new();
    let path = context.collection_path(Some(group), NAMESPACES)?;
    let namespaces = context.arm_list(&path, versions::REGISTRY).await?;
    for identity in identities {
        let resource = context.arm_get(&rooted(identity), versions::IDENTITIES).await?;
        let principal = text(&resource, "/properties/principalId").to_owned();
        for namespace in &namespaces {
            let id = text(namespace, "/id");
            let known = found.iter().any(|link| link.namespace == id);
            if !known && may_read_and_write(context, id, &principal).await? {
                found.push(NamespaceLink { namespace: id.to_owned(), identity: identity.clone() });
            }
        }
    }
    Ok(found)
}

/// Whether the principal's roles allow reading the namespace, and writing it or its devices.
async fn may_read_and_write(context: &mut Context<'_>, namespace: &str, principal: &str) -> Result<bool> {
    let held = of_principal(context, namespace, principal).await?;
    let last = |id: &str| id.rsplit('/').next().unwrap_or_default().to_lowercase();
    let roles: Vec<String> = held.iter().map(|one| last(text(one, "/properties/roleDefinitionId"))).collect();
    if roles.is_empty() {
        return Ok(false);
    }
    // Asked at the namespace: a caller with rights on the group only may not read roles above it.
    let mut definitions = definitions(context, namespace, None).await?;
    definitions.retain(|definition| roles.contains(&text(definition, "/name").to_lowercase()));
    let allows = |action: &str| definitions.iter().any(|definition| grants(definition, action));
    Ok(allows(READ) && WRITES.iter().any(|action| allows(action)))
}

/// Whether a role definition allows `action`.
fn grants(definition: &Value, action: &str) -> bool {
    let permissions = definition.pointer("/properties/permissions").and_then(Value::as_array);
    let matches = |permission: &Value, key: &str| {
        let patterns = permission.get(key).and_then(Value::as_array);
        patterns.into_iter().flatten().filter_map(Value::as_str).any(|pattern| pattern_matches(pattern, action))
    };
    permissions
        .into_iter()
        .flatten()
        .any(|permission| matches(permission, "actions") && !matches(permission, "notActions"))
}

/// Whether an action pattern with `*` matches, ignoring case.
fn pattern_matches(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_lowercase(), action.to_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| action.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Gives the namespace's own identity its roles on the hub. Where the caller may not, warns with the
/// commands to run; the hub stays.
///
/// # Errors
/// ARM's error while reading the namespace.
pub(crate) async fn grant_namespace(
    context: &mut Context<'_>,
    namespace: &str,
    hub: &Value,
    custom_role: Option<&str>,
) -> Result<()> {
    let resource = context.arm_get(namespace, versions::REGISTRY).await?;
    let principal_id = text(&resource, "/identity/principalId").to_owned();
    if principal_id.is_empty() {
        context.warn(&format!(
            "The namespace has no identity of its own, so it gets no roles on the hub, and credential sync will fail: {namespace}"
        ));
        return Ok(());
    }
    let scope = text(hub, "/id").to_owned();
    let principal =
        Principal { object_id: principal_id.clone(), kind: Some("ServicePrincipal".to_owned()), name: None };
    let custom: Vec<&str> = custom_role.into_iter().collect();
    let roles = if custom.is_empty() { NAMESPACE_ROLES } else { custom.as_slice() };
    let mut refusal = None;
    for role in roles {
        let granted = match resolve(context, role, &scope).await {
            Ok(id) => assign(context, &principal, &id, &scope, Map::new()).await.map(|_| ()),
            Err(failure) => Err(failure),
        };
        if let Err(failure) = granted {
            refusal.get_or_insert(failure);
        }
    }
    if let Some(failure) = refusal {
        // What the caller itself would have to be granted is not what is to be done here.
        let reason = failure.message.lines().next().unwrap_or_default();
        let reason = reason.split(" To grant it: ").next().unwrap_or_default();
        let commands: Vec<String> = roles
            .iter()
            .map(|role| {
                format!(
                    "    az role assignment create --assignee \"{principal_id}\" --role \"{role}\" --scope \"{scope}\""
                )
            })
            .collect();
        context.warn(&format!(
            "The hub was created, but its namespace could not be given its roles on it: {reason}\nAsk someone who may assign roles to run:\n{}",
            commands.join("\n")
        ));
    }
    Ok(())
}

/// Gives the hub's own identity `role` at each of `scopes`.
///
/// # Errors
/// ARM's error, or a hub without an identity of its own.
pub(crate) async fn grant_own_identity(
    context: &mut Context<'_>,
    hub: &Value,
    role: &str,
    scopes: &[String],
) -> Result<()> {
    let object_id = text(hub, "/identity/principalId").to_owned();
    if object_id.is_empty() || scopes.is_empty() {
        return Err(Failure::error(
            "--role needs --scopes and --mi-system-assigned: it is given to the hub's own identity.",
        ));
    }
    let principal = Principal { object_id, kind: Some("ServicePrincipal".to_owned()), name: None };
    for scope in scopes {
        let scope = rooted(scope.trim_end_matches('/'));
        let id = resolve(context, role, &scope).await?;
        assign(context, &principal, &id, &scope, Map::new()).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patterns_match_ignoring_case() {
        for pattern in [
            "*",
            "*/read",
            "microsoft.deviceregistry/*",
            "Microsoft.DeviceRegistry/namespaces/read",
            "Microsoft.*/namespaces/*",
        ] {
            assert!(pattern_matches(pattern, READ), "{pattern}");
        }
        for pattern in ["Microsoft.DeviceRegistry/namespaces", "*/write", "Microsoft.Devices/*", ""] {
            assert!(!pattern_matches(pattern, READ), "{pattern}");
        }
    }

    #[test]
    fn what_a_role_excludes_it_does_not_grant() {
        let role = json!({"properties": {"permissions": [{"actions": ["*"], "notActions": ["Microsoft.DeviceRegistry/*/write"]}]}});
        assert!(grants(&role, READ));
        assert!(WRITES.iter().all(|action| !grants(&role, action)));
        assert!(!grants(&json!({}), READ));
    }
}
