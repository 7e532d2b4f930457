//! The edges from a hub or a provisioning service to its namespace: as which identity it acts, and whether it may.

use crate::authz::{self, Actor, Plane};
use crate::platform::Platform;
use crate::resources::{self, Stored};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource::{Reference, Resource};
use ferrohub_model::resource_id::ResourceId;

/// What mirroring a device needs on the namespace: making, changing and removing it. The seeds' six-action
/// role has no `devices/delete`, and what a hub mirrors it must be able to take back.
pub const DEVICES_WRITE: &str = "Microsoft.DeviceRegistry/namespaces/devices/write";
/// The right to write a device in the shape of 2026-11-02-preview.
pub const REGISTRY_DEVICES_WRITE: &str = "Microsoft.DeviceRegistry/namespaces/registryDevices/write";
/// One of the two rights with which a provisioning service may have certificates issued.
pub const POLICIES_READ: &str = "Microsoft.DeviceRegistry/namespaces/credentials/policies/read";
/// The other one, a data action.
pub const ISSUE_CERTIFICATE: &str = "Microsoft.DeviceRegistry/namespaces/credentials/policies/issueCertificate/action";

/// What a namespace needs on a hub to change the device identities there, a data action.
pub const HUB_DEVICES_WRITE: &str = "Microsoft.Devices/IotHubs/devices/write";

/// The reference from a hub or DPS to its namespace.
pub const NAMESPACE: &str = "namespace";
/// The reference from a CA certificate of a hub to the certificate authority of the namespace that it was brought from.
pub const AUTHORITY: &str = "authority";
/// The reference from a hub or DPS to the user-assigned identity as which it acts on its namespace, and from a namespace to the
/// one as which it acts on its hubs.
pub const IDENTITY: &str = "identity";

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
    open(platform, Service { stored: hub, word: "hub" }).await
}

/// The edge of a provisioning service: `deviceRegistryNamespace` names the namespace and which identity is
/// used. `None` = not linked.
///
/// # Errors
/// As [`hub_edge`].
pub async fn dps_edge(platform: &Platform, dps: &Stored) -> Result<Option<NamespaceEdge>> {
    open(platform, Service { stored: dps, word: "dps" }).await
}

/// The object id of the identity as which a namespace acts on its hubs: the user-assigned one that it names, or its own.
pub fn outbound_principal(namespace: &Resource) -> Option<&str> {
    let identity = namespace.identity.as_ref()?;
    match namespace.links.get(IDENTITY) {
        Some(user) => Some(identity.assigned(user.uid)?.principal_id.as_str()),
        None => identity.system_principal_id.as_deref(),
    }
}

/// The identity as which a namespace acts on its hubs: the user-assigned one that it names, or its own.
///
/// # Errors
/// `NamespaceIdentityMissing` where it has none; `PrincipalNotFound` when that was deleted.
pub async fn namespace_actor(platform: &Platform, namespace: &Stored) -> Result<Actor> {
    match outbound_principal(&namespace.resource) {
        Some(principal) => platform.identity_actor(principal).await,
        None => Err(Error::forbidden(format!(
            "The namespace '{0}' has no system-assigned identity with which it could write to its hubs. Give it one: az iot adr ns identity assign --name \"{0}\" --resource-group \"{1}\" --system-assigned",
            namespace.name(),
            namespace.group()
        ))
        .with_code("NamespaceIdentityMissing")),
    }
}

/// Refuses unless a namespace may change device identities of a hub: what it changes on a mirrored device reaches the
/// hub as the namespace's own identity.
///
/// # Errors
/// As [`namespace_actor`]; `AuthorizationFailed` naming principal, action, hub and the command that grants it.
pub async fn check_hub_devices(platform: &Platform, namespace: &Stored, hub: &ResourceId) -> Result<()> {
    let actor = namespace_actor(platform, namespace).await?;
    platform.authorize_data(&actor, HUB_DEVICES_WRITE, hub)
}

/// Refuses unless the edge may have certificates of `policy` issued: reading policies or issuing, either will do.
///
/// # Errors
/// `AuthorizationFailed` (403000) naming principal, action, scope and the command that grants it: at the namespace, where the
/// same grant is enough for everything that a registration needs.
pub fn check_issue(platform: &Platform, edge: &NamespaceEdge, policy: &ResourceId) -> Result<()> {
    let access = platform.access();
    let may = access.allows(edge.actor.id(), Plane::Control, POLICIES_READ, policy)
        || access.allows(edge.actor.id(), Plane::Data, ISSUE_CERTIFICATE, policy);
    if may {
        return Ok(());
    }
    Err(authz::denied(&access, &edge.actor, Plane::Control, POLICIES_READ, policy, &edge.id))
}

/// The service at the near end of an edge.
struct Service<'a> {
    stored: &'a Stored,
    /// Its word in `az iot`.
    word: &'static str,
}

impl Service<'_> {
    fn principal(&self) -> Option<&str> {
        let identity = self.stored.resource.identity.as_ref()?;
        match self.user() {
            Some(user) => Some(identity.assigned(user.uid)?.principal_id.as_str()),
            None => identity.system_principal_id.as_deref(),
        }
    }

    /// The user-assigned identity as which it acts; its own identity without one.
    fn user(&self) -> Option<&Reference> {
        self.stored.resource.links.get(IDENTITY)
    }

    /// How a person calls it.
    fn title(&self) -> String {
        let kind = if self.word == "hub" { "IoT hub" } else { "provisioning service" };
        format!("{kind} '{}'", self.stored.name())
    }

    /// The `az` command that gives it, or takes from it, the identity as which it acts.
    fn command(&self, verb: &str) -> String {
        let (word, name, group) = (self.word, self.stored.name(), self.stored.group());
        let which = match self.user() {
            Some(user) => format!("--user-assigned \"{}\"", user.id),
            None => "--system-assigned".to_owned(),
        };
        format!("az iot {word} identity {verb} --name \"{name}\" --resource-group \"{group}\" {which}")
    }

    /// What to do when the principal of the attached identity is gone.
    async fn repair(&self, platform: &Platform) -> Result<String> {
        let assign = self.command("assign");
        let Some(user) = self.user() else {
            return Ok(format!("Give it a new one: {} && {assign}", self.command("remove")));
        };
        let id = ResourceId::parse(&user.id)?;
        if resources::get(platform, &id).await?.is_some() {
            return Ok(format!("The identity '{id}' was made anew under its name; attach it again: {assign}"));
        }
        let (name, group) = (id.name(), id.resource_group.as_deref().unwrap_or_default());
        Ok(format!(
            "The identity '{id}' was deleted; make it anew and attach it again: az identity create --name \"{name}\" --resource-group \"{group}\" && {assign}"
        ))
    }
}

async fn open(platform: &Platform, service: Service<'_>) -> Result<Option<NamespaceEdge>> {
    let Some(link) = service.stored.resource.links.get(NAMESPACE) else { return Ok(None) };
    let namespace = resources::by_uid(platform, link.uid).await?;
    let namespace = match namespace {
        Some(namespace) => namespace,
        None => return Err(resources::missing(&ResourceId::parse(&link.id)?)),
    };
    let id = namespace.id.clone();
    let Some(principal) = service.principal() else {
        let (title, assign) = (service.title(), service.command("assign"));
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
    Ok(Some(NamespaceEdge { namespace, id, actor }))
}
