//! Whether the link of a hub stands still while something is written that goes with it.
//!
//! Unlinking a hub goes through all its devices first, which takes a while, and then is one unit of work. What is written meanwhile and would
//! have been decided by must make that unit fail. So the hub's row is marked before, which gives it another version: whoever read it
//! earlier reads again. Whoever then writes something that counts takes the mark off in the unit that writes it, and with the version
//! that changes so, whoever unlinks looks at everything again. A mark that nobody took off, of a process that ended, costs the next
//! writer a row. ADR 0051.

use super::edge::NAMESPACE;
use crate::hub::identity;
use crate::platform::{Change, Platform};
use crate::resources::{self, Stored};
use crate::tables::{DEVICES, RESOURCES};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource::Reference;
use ferrohub_model::uid::uid_key;
use uuid::Uuid;

/// The reference in a hub's row that says that somebody looks whether it can be unlinked from that namespace.
pub(crate) const UNLINKING: &str = "unlinking";

/// Makes `change` hold only as long as the row of `hub` is as it was read, and whoever looks meanwhile whether the hub can be unlinked
/// look again.
///
/// # Errors
/// Internal, when the row does not serialize.
pub fn hold_link(hub: &Stored, change: &mut Change) -> Result<()> {
    if !hub.resource.links.contains_key(UNLINKING) {
        change.unit.expect_version(&RESOURCES, hub.key(), hub.version);
        return Ok(());
    }
    let mut resource = hub.resource.as_ref().clone();
    resource.links.remove(UNLINKING);
    resources::rewrite(hub, resource, change)
}

/// The same for a write of the ADR device `device`, where it mirrors an identity: nobody writes on one that its namespace lets go.
///
/// # Errors
/// `DeviceUnlinked` (409) where the hub of the identity is not linked to the device's namespace any more; when the store cannot be read.
pub async fn hold_link_of(platform: &Platform, device: &Stored, change: &mut Change) -> Result<()> {
    let Some(was) = identity::by_uid(platform.store.as_ref(), device.uid).await? else { return Ok(()) };
    let Some(hub) = resources::by_uid(platform, was.device.hub).await? else { return Ok(()) };
    if hub.resource.link(NAMESPACE) != Some(device.parent) {
        return Err(Error::conflict(format!(
            "The device '{}' mirrors an identity of the hub '{}', which is not linked to this namespace any more, so the namespace lets it go. Link the hub again to keep it, or delete it here.",
            device.name(),
            hub.name()
        ))
        .with_code("DeviceUnlinked"));
    }
    // One that moves to another hub meanwhile goes by the link of that one.
    change.unit.expect_version(&DEVICES, uid_key(was.device.uid), was.version);
    hold_link(&hub, change)
}

/// Marks the hub as one of which somebody looks whether it can be unlinked from `namespace`, in a unit of its own, and gives it as it is
/// then; `None` where it is not linked to that any more.
///
/// # Errors
/// When the store fails or is contended.
pub async fn mark_unlinking(platform: &Platform, hub: Uuid, namespace: Uuid) -> Result<Option<Stored>> {
    let mut attempts = platform.attempts();
    loop {
        let Some(stored) = resources::by_uid(platform, hub).await? else { return Ok(None) };
        if stored.resource.link(NAMESPACE) != Some(namespace) {
            return Ok(None);
        }
        if stored.resource.links.contains_key(UNLINKING) {
            return Ok(Some(stored));
        }
        attempts
            .begin(|| Error::unavailable(format!("The hub '{}' is being changed by many at once.", stored.name()), 1))
            .await?;
        let mut resource = stored.resource.as_ref().clone();
        resource.links.insert(UNLINKING.into(), Reference { uid: namespace, id: String::new() });
        let mut change = Change::new();
        resources::rewrite(&stored, resource, &mut change)?;
        platform.try_commit(change).await?;
    }
}
