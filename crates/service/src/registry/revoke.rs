//! Revoking a device: its credential id is rotated, so that no certificate issued until now opens its hub any more.

use super::edge::check_hub_devices;
use super::link::hold_link_of;
use super::mirror::DEVICE;
use crate::authz::Actor;
use crate::hub::identity;
use crate::platform::{Change, Platform};
use crate::resources::{self, Entry, Stored, Told};
use crate::tables::RENEWALS;
use ferrohub_model::device::DeviceStatus;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::uid::uid_key;
use serde_json::Value;
use uuid::Uuid;

/// What a revocation takes away at once.
pub struct Revocation {
    /// The credential id that its certificates carried; `None` for a device that had none.
    pub credential: Option<Uuid>,
}

/// Adds to `change` what takes a device's certificates away: a new credential id, which closes an open connection, and the end
/// of renewals that are pending; with `disable` the device is disabled, at its hub and in the registry. `None` where there is
/// nothing to take away.
///
/// # Errors
/// The refusal of a namespace whose identity may not write devices of the hub, or to which the hub is not linked any more; when the store cannot be read. The commit
/// fails with a conflict when the device changed meanwhile.
pub async fn revoke_device(
    platform: &Platform,
    actor: &Actor,
    stored: &Stored,
    disable: bool,
    change: &mut Change,
) -> Result<Option<Revocation>> {
    let Some(was) = identity::by_uid(platform.store.as_ref(), stored.uid).await? else { return Ok(None) };
    let credential = was.device.credential_id;
    if credential.is_none() && !disable {
        return Ok(None);
    }
    hold_link_of(platform, stored, change).await?;
    let namespace = resources::by_uid(platform, stored.parent).await?;
    let namespace = namespace.ok_or_else(|| Error::internal("a device without namespace"))?;
    if let Some(hub) = resources::id_of(platform, was.device.hub).await? {
        check_hub_devices(platform, &namespace, &hub).await?;
    }
    let mut next = was.device.as_ref().clone();
    next.credential_id = credential.map(|_| platform.random.uuid_v4());
    if disable {
        next.status = DeviceStatus::Disabled;
        next.status_reason = Some("Disabled in the device registry".to_owned());
        show_disabled(platform, actor, stored, change)?;
    }
    identity::add_update(platform, &was, &mut next, change)?;
    change.unit.delete(&RENEWALS, uid_key(stored.uid));
    Ok(Some(Revocation { credential }))
}

fn show_disabled(platform: &Platform, actor: &Actor, stored: &Stored, change: &mut Change) -> Result<()> {
    let mut resource = stored.resource.as_ref().clone();
    if resource.value(&["enabled"]).and_then(Value::as_bool) == Some(false) {
        return Ok(());
    }
    resource.properties.insert("enabled".into(), false.into());
    let entry = Entry {
        uid: stored.uid,
        kind: &DEVICE,
        parent: stored.parent,
        id: stored.id.clone(),
        below_new: false,
        was: Some(stored),
        resource,
        extra: stored.extra.clone(),
    };
    resources::put(platform, actor, entry, Told::ByItsOperation, change).map(drop)
}
