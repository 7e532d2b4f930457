//! Writing and removing the ADR device of a hub device. The two share their uid, so nothing has to be looked up by name.

use super::brought::{BROUGHT, elsewhere};
use super::edge::{DEVICES_WRITE, NamespaceEdge};
use super::naming::{first_name, free_name};
use crate::authz::Actor;
use crate::extensions;
use crate::platform::{Change, Platform};
use crate::resources::{self, Entry, Kind, RowExtra, Stored, Told, tag};
use ferrohub_model::device::{DeviceIdentity, DeviceStatus};
use ferrohub_model::error::Result;
use ferrohub_model::resource::{Reference, Resource};
use serde_json::json;
use uuid::Uuid;

/// The type of ADR devices.
pub const DEVICE: Kind =
    Kind { counted: true, ..Kind::new(tag::DEVICE, "Microsoft.DeviceRegistry", &["namespaces", "devices"]) };
/// The reference from an ADR device to its certificate policy.
pub const POLICY: &str = "policy";

/// Adds to `change` the ADR device of `device` as it will stand, and returns its name. A device that is mirrored
/// already keeps its name, tags and whatever people wrote on it, also when it moves to another hub; `policy`, the uid of a
/// certificate policy, replaces its policy where it is given.
///
/// # Errors
/// `AuthorizationFailed` (403000) unless `actor` may write devices on the namespace; Unavailable while another namespace still has the device; when the store cannot be read.
/// The unit's commit fails with a conflict when somebody else took the name meanwhile: call again then.
pub async fn mirror_put(
    platform: &Platform,
    actor: &Actor,
    namespace: &Stored,
    device: &DeviceIdentity,
    policy: Option<Uuid>,
    change: &mut Change,
) -> Result<String> {
    let was = resources::by_uid(platform, device.uid).await?;
    let name = match &was {
        Some(was) if was.parent != namespace.uid => return Err(elsewhere(&device.device_id)),
        Some(was) => was.resource.name.clone(),
        None => free_name(platform, namespace, device.hub, &device.device_id).await?,
    };
    write(platform, actor, namespace, device, &Written { name, was, policy, brought: false }, change)
}

/// The same for a device that has never been stored, so that nothing can have its uid.
///
/// # Errors
/// As [`mirror_put`].
pub async fn mirror_new(
    platform: &Platform,
    actor: &Actor,
    namespace: &Stored,
    device: &DeviceIdentity,
    policy: Option<Uuid>,
    change: &mut Change,
) -> Result<String> {
    let name = free_name(platform, namespace, device.hub, &device.device_id).await?;
    write(platform, actor, namespace, device, &Written { name, was: None, policy, brought: false }, change)
}

/// The same under the first name that stands for it, whether that is free or not: the unit's commit tells.
///
/// # Errors
/// `AuthorizationFailed` (403000) unless `actor` may write devices on the namespace.
pub fn mirror_presumed(
    platform: &Platform,
    actor: &Actor,
    namespace: &Stored,
    device: &DeviceIdentity,
    policy: Option<Uuid>,
    change: &mut Change,
) -> Result<String> {
    let name = first_name(device.hub, &device.device_id);
    write(platform, actor, namespace, device, &Written { name, was: None, policy, brought: false }, change)
}

/// The ADR device to write.
pub(super) struct Written {
    pub(super) name: String,
    pub(super) was: Option<Stored>,
    pub(super) policy: Option<Uuid>,
    /// Whether the link of the hub brings it.
    pub(super) brought: bool,
}

pub(super) fn write(
    platform: &Platform,
    actor: &Actor,
    namespace: &Stored,
    device: &DeviceIdentity,
    Written { name, was, policy, brought }: &Written,
    change: &mut Change,
) -> Result<String> {
    platform.authorize(actor, DEVICES_WRITE, &namespace.id)?;
    let mut resource = match was {
        Some(was) => was.resource.as_ref().clone(),
        None => Resource { name: name.clone(), location: namespace.resource.location.clone(), ..Resource::default() },
    };
    resource.properties.insert("enabled".into(), json!(device.status == DeviceStatus::Enabled));
    if let Some(policy) = *policy {
        resource.links.insert(POLICY.into(), Reference { uid: policy, id: String::new() });
    }
    if *brought {
        resource.properties.insert(BROUGHT.into(), true.into());
    }
    if was.as_ref().is_some_and(|was| *was.resource == resource) {
        return Ok(resource.name);
    }
    let entry = Entry {
        uid: device.uid,
        kind: &DEVICE,
        parent: namespace.uid,
        id: DEVICE.child_of(&namespace.id, name),
        below_new: false,
        was: was.as_ref(),
        resource,
        extra: RowExtra::default(),
    };
    let told = if *brought { Told::ByItsOperation } else { Told::DataPlane };
    resources::put(platform, actor, entry, told, change)?;
    Ok(name.clone())
}

/// Adds to `change` the removal of the ADR device of a hub device, which goes for `caller`; nothing happens where there is none.
///
/// # Errors
/// `AuthorizationFailed` (403000) unless the hub's identity may write devices on the namespace of `edge`; when the store cannot be read.
pub async fn mirror_delete(
    platform: &Platform,
    caller: &Actor,
    edge: &NamespaceEdge,
    device: &DeviceIdentity,
    change: &mut Change,
) -> Result<()> {
    platform.authorize(&edge.actor, DEVICES_WRITE, &edge.namespace.id)?;
    match resources::by_uid(platform, device.uid).await? {
        Some(stored) => remove_mirrored(platform, caller, &stored, change).await,
        None => Ok(()),
    }
}

/// Adds to `change` the removal of an ADR device that goes with its identity, for `caller`, and of the roles and locks on it: with
/// them it could not go, and whoever deletes a device of a hub is not one to be told of them.
///
/// # Errors
/// When the store fails.
pub async fn remove_mirrored(platform: &Platform, caller: &Actor, stored: &Stored, change: &mut Change) -> Result<()> {
    extensions::remove_with(platform, caller, stored, &[tag::ROLE_ASSIGNMENT, tag::LOCK], change).await
}
