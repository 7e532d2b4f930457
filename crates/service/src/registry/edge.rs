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
    let user = hub.resource.text(&["deviceRegistry", "identityResourceId"]);
    open(platform, namespace, Service { resource: &hub.resource, word: "hub", user }).await.map(Some)
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
    let user = selected.filter(|_| user);
    open(platform, namespace, Service { resource: &dps.resource, word: "dps", user }).await.map(Some)
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

/// The service at the near end of an edge.
struct Service<'a> {
    resource: &'a Resource,
    /// Its word in `az iot`.
    word: &'static str,
    /// The user-assigned identity as which it acts; its own identity without one.
    user: Option<&'a str>,
}

impl Service<'_> {
    fn principal(&self) -> Option<&str> {
        let identity = self.resource.identity.as_ref()?;
        match self.user {
            Some(id) => Some(identity.user_assigned(id)?.principal_id.as_str()),
            None => identity.system_principal_id.as_deref(),
        }
    }

    /// How a person calls it.
    fn title(&self) -> String {
        let kind = if self.word == "hub" { "IoT hub" } else { "provisioning service" };
        format!("{kind} '{}'", self.resource.name)
    }

    /// The `az` command that gives it, or takes from it, the identity as which it acts.
    fn command(&self, verb: &str) -> Result<String> {
        let group = ResourceId::parse(&self.resource.id)?.resource_group.unwrap_or_default();
        let (word, name) = (self.word, &self.resource.name);
        let which = match self.user {
            Some(id) => format!("--user-assigned \"{id}\""),
            None => "--system-assigned".to_owned(),
        };
        Ok(format!("az iot {word} identity {verb} --name \"{name}\" --resource-group \"{group}\" {which}"))
    }

    /// What to do when the principal of the attached identity is gone.
    async fn repair(&self, platform: &Platform) -> Result<String> {
        let assign = self.command("assign")?;
        let Some(id) = self.user else {
            return Ok(format!("Give it a new one: {} && {assign}", self.command("remove")?));
        };
        let id = ResourceId::parse(id)?;
        if resources::get(platform.store.as_ref(), &id).await?.is_some() {
            return Ok(format!("The identity '{id}' was made anew under its name; attach it again: {assign}"));
        }
        let (name, group) = (id.name(), id.resource_group.as_deref().unwrap_or_default());
        Ok(format!(
            "The identity '{id}' was deleted; make it anew and attach it again: az identity create --name \"{name}\" --resource-group \"{group}\" && {assign}"
        ))
    }
}

async fn open(platform: &Platform, namespace: &str, service: Service<'_>) -> Result<NamespaceEdge> {
    let id = ResourceId::parse(namespace)?;
    let Some(principal) = service.principal() else {
        let (title, assign) = (service.title(), service.command("assign")?);
        return Err(Error::forbidden(format!(
            "The {title} has no identity with which it could act on the namespace '{id}'. Attach the identity that its link names: {assign}"
        ))
        .with_iot_code(403_000));
    };
    let actor = match platform.identity_actor(principal).await {
        Ok(actor) => actor,
        Err(mut error) if error.code == "PrincipalNotFound" => {
            error.message = format!(
                "The {} acts on the namespace '{id}' as the identity with object id '{principal}', which does not exist any more. {}",
                service.title(),
                service.repair(platform).await?
            );
            return Err(error);
        }
        Err(error) => return Err(error),
    };
    let namespace = resources::require(platform.store.as_ref(), &id).await?;
    Ok(NamespaceEdge { namespace, id, actor })
}
