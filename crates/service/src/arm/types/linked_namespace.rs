//! What is linked to a namespace, and the namespace as a hub or a provisioning service has it: linked from that side, and shown there.

use crate::arm::context::PutContext;
use crate::authz::{self, Actor};
use crate::platform::Platform;
use crate::registry;
use crate::resources::{self, Stored, tag};
use crate::tables::RESOURCES;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource::Reference;
use ferrohub_model::resource_id::ResourceId;
use uuid::Uuid;

/// The hubs that are linked to a namespace.
pub(super) async fn linked_hubs(platform: &Platform, namespace: &Stored) -> Result<Vec<Stored>> {
    let mut linked = resources::linked(platform, &namespace.key()).await?;
    linked.retain(|stored| stored.is(tag::IOT_HUB));
    Ok(linked)
}

/// The provisioning services that are linked to a namespace.
pub(super) async fn linked_services(platform: &Platform, namespace: &Stored) -> Result<Vec<Stored>> {
    let mut linked = resources::linked(platform, &namespace.key()).await?;
    linked.retain(|stored| stored.is(tag::PROVISIONING_SERVICE));
    Ok(linked)
}

/// The namespace to which a hub or DPS wants to be linked: it must exist, and whoever makes the link must be able to
/// read it. A link that stands already is not asked about again.
pub(super) async fn link_target(
    cx: &mut PutContext<'_>,
    path: &str,
    text: &str,
    former: Option<Uuid>,
) -> Result<Stored> {
    let id = ResourceId::parse(text)?;
    if cx.platform.kinds.of(&id).is_none_or(|kind| kind.tag != tag::NAMESPACE) {
        return Err(Error::invalid_property(path, format!("'{text}' is not the id of a Device Registry namespace.")));
    }
    let found = resources::get(cx.platform, &id).await?;
    let stands = former.is_some() && found.as_ref().map(|found| found.uid) == former;
    if !stands {
        cx.platform.authorize(cx.actor, "Microsoft.DeviceRegistry/namespaces/read", &id).map_err(authz::linked)?;
    }
    let stored = found.ok_or_else(|| {
        Error::invalid_property(
            path,
            format!("The namespace '{id}' does not exist. Make it first: az iot adr ns create --name {} --resource-group {} --location '{}'", id.name(), id.resource_group.as_deref().unwrap_or_default(), cx.resource.location.as_deref().unwrap_or("<region>")),
        )
    })?;
    if !stands && stored.is_going() {
        return Err(Error::conflict(format!("The namespace '{id}' is being deleted; nothing can be linked to it."))
            .with_code("NamespaceBeingDeleted"));
    }
    // The version, not only the existence: a namespace that is marked for deletion meanwhile wins.
    cx.change.unit.expect_version(&RESOURCES, stored.key(), stored.version);
    cx.extra.link = Some(stored.key());
    Ok(stored)
}

/// Refuses a new link, made from the side of a hub or a provisioning service, to which nobody agreed who may write devices of the namespace:
/// whoever makes it, or somebody who gave the identity as which it acts there its role. Tells of it at the namespace.
///
/// # Errors
/// `LinkedAuthorizationFailed`.
pub(super) async fn agree(cx: &mut PutContext<'_>, namespace: &Stored) -> Result<()> {
    let may = |actor: &Actor| cx.platform.authorize(actor, registry::DEVICES_WRITE, &namespace.id);
    if let Err(mut refusal) = may(cx.actor)
        && acting_identity(cx).await?.is_none_or(|identity| may(&identity).is_err())
    {
        refusal.message.push_str(
            " Or let whoever may assign roles there give it to the identity as which the link acts, before the link is made.",
        );
        return Err(authz::linked(refusal));
    }
    tell(cx, &namespace.id)
}

/// The identity as which the link acts; `None` where it is made in this very write, so that it has no role yet.
async fn acting_identity(cx: &PutContext<'_>) -> Result<Option<Actor>> {
    let Some(principal) = registry::outbound_principal(&cx.resource) else { return Ok(None) };
    match cx.platform.identity_actor(principal).await {
        Ok(actor) => Ok(Some(actor)),
        Err(error) if error.code == "PrincipalNotFound" => Ok(None),
        Err(error) => Err(error),
    }
}

/// Adds the row of the activity log to the change that says at a namespace that its endpoints are others.
pub(super) fn tell(cx: &mut PutContext<'_>, namespace: &ResourceId) -> Result<()> {
    let row = cx.told(namespace, "Microsoft.DeviceRegistry/namespaces/write")?;
    cx.change.unit.put(row);
    Ok(())
}

/// What a hub or a provisioning service shows of the namespace that it is linked to.
pub(super) struct SeenNamespace {
    /// Its id as it is now, or as it was written once it is gone.
    pub(super) id: String,
    /// Its region.
    pub(super) location: String,
    /// Where its data plane is.
    pub(super) host: String,
    /// Whether it is there.
    pub(super) stands: bool,
}

impl SeenNamespace {
    /// The namespace that `reference` of `stored` points at. One that is gone lay in the region of what is linked.
    pub(super) async fn of(platform: &Platform, stored: &Stored, reference: &Reference) -> Result<Self> {
        let found = resources::by_uid(platform, reference.uid).await?;
        let location = found.as_ref().unwrap_or(stored).resource.location.clone().unwrap_or_default();
        let host = platform.settings.registry_host(&location);
        let id = found.as_ref().map_or_else(|| reference.id.clone(), |found| found.id.to_string());
        Ok(Self { id, location, host, stands: found.is_some() })
    }
}
