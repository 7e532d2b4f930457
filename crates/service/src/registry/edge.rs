//! The edges from a hub or a provisioning service to its namespace: as which identity it acts, and whether it may.

use crate::authz::{self, Actor, Plane};
use crate::platform::Platform;
use crate::resources::{self, Stored};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource::Resource;
use ferrohub_model::resource_id::ResourceId;

/// What mirroring a device needs on the namespace: making, changing and removing it. The seeds' six-action
/// role has no `devices/delete`, and what a hub mirrors it must be able to take back.
pub const DEVICES_WRITE: &str = "Microsoft.DeviceRegistry/namespaces/devices/write";
/// One of the two rights with which a provisioning service may have certificates issued.
pub const POLICIES_READ: &str = "Microsoft.DeviceRegistry/namespaces/credentials/policies/read";
/// The other one, a data action.
pub const ISSUE_CERTIFICATE: &str = "Microsoft.DeviceRegistry/namespaces/credentials/policies/issueCertificate/action";

/// A service's link to its namespace, with the identity as which it acts there.
pub struct NamespaceEdge {
    /// The namespace.
    pub namespace: Stored,
    /// Its id.
    pub id: ResourceId,
    /// The service's identity.
    pub actor: Actor,
}

/// The edge of a hub: `deviceRegistry` names the namespace and a user-assigned identity. `None` = not linked.
///
/// # Errors
/// Forbidden (403000) when the identity is not attached or was deleted; `ResourceNotFound` when the namespace was deleted.
pub async fn hub_edge(platform: &Platform, hub: &Stored) -> Result<Option<NamespaceEdge>> {
    let Some(namespace) = hub.resource.text(&["deviceRegistry", "namespaceResourceId"]) else { return Ok(None) };
    let identity = hub.resource.text(&["deviceRegistry", "identityResourceId"]);
    let principal = match identity {
        Some(id) => user_assigned(&hub.resource, id),
        None => system_assigned(&hub.resource),
    };
    open(platform, namespace, principal, &hub.resource, "az iot hub identity assign --name").await.map(Some)
}

/// The edge of a provisioning service: `deviceRegistryNamespace` names the namespace and which identity is
/// used. `None` = not linked.
///
/// # Errors
/// As [`hub_edge`].
pub async fn dps_edge(platform: &Platform, dps: &Stored) -> Result<Option<NamespaceEdge>> {
    let property = "deviceRegistryNamespace";
    let Some(namespace) = dps.resource.text(&[property, "resourceId"]) else { return Ok(None) };
    let selected = dps.resource.text(&[property, "selectedUserAssignedIdentityResourceId"]);
    let user = dps
        .resource
        .text(&[property, "authenticationType"])
        .is_some_and(|kind| kind.eq_ignore_ascii_case("UserAssigned"));
    let principal = match selected {
        Some(id) if user => user_assigned(&dps.resource, id),
        _ => system_assigned(&dps.resource),
    };
    open(platform, namespace, principal, &dps.resource, "az iot dps identity assign --name").await.map(Some)
}

/// Refuses unless the edge may have certificates of `policy` issued: reading policies or issuing, either will do.
///
/// # Errors
/// `AuthorizationFailed` (403000) naming principal, action, scope and the command that grants it.
pub fn check_issue(platform: &Platform, edge: &NamespaceEdge, policy: &ResourceId) -> Result<()> {
    let access = platform.access();
    let may = access.allows(edge.actor.id(), Plane::Control, POLICIES_READ, policy)
        || access.allows(edge.actor.id(), Plane::Data, ISSUE_CERTIFICATE, policy);
    if may {
        return Ok(());
    }
    Err(authz::denied(&access, &edge.actor, Plane::Control, POLICIES_READ, policy, policy))
}

async fn open(
    platform: &Platform,
    namespace: &str,
    principal: Option<&str>,
    service: &Resource,
    assign: &str,
) -> Result<NamespaceEdge> {
    let id = ResourceId::parse(namespace)?;
    let principal = principal.ok_or_else(|| {
        Error::forbidden(format!(
            "'{0}' has no identity with which it could act on the namespace '{id}'. Attach the identity that its link names: {assign} {0}",
            service.name
        ))
        .with_iot_code(403_000)
    })?;
    let actor = platform.identity_actor(principal).await?;
    let namespace = resources::require(platform.store.as_ref(), &id).await?;
    Ok(NamespaceEdge { namespace, id, actor })
}

fn user_assigned<'a>(service: &'a Resource, id: &str) -> Option<&'a str> {
    Some(service.identity.as_ref()?.user_assigned(id)?.principal_id.as_str())
}

fn system_assigned(service: &Resource) -> Option<&str> {
    service.identity.as_ref()?.system_principal_id.as_deref()
}
