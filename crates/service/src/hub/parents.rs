//! Which IoT Edge device another device stands under.
//!
//! A row holds its parent's uid. Whether that one is still an edge device of the hub is looked up by whoever shows it: a parent that
//! was deleted, made anew or moved to another hub leaves its children without one, as if they had never had it.

use super::HubRef;
use super::identity::{self, StoredDevice};
use crate::platform::{Change, Platform};
use crate::tables::DEVICES;
use ferrohub_model::device::{DeviceIdentity, DevicePut, EdgeScope, ParentWish, Scopes, invalid_scope, wanted_parent};
use ferrohub_model::error::Result;
use ferrohub_model::limits::EDGE_LAYERS;
use ferrohub_model::uid::uid_key;

/// What a device and its twin show of the hierarchy.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn scopes(platform: &Platform, device: &DeviceIdentity) -> Result<Scopes> {
    Ok(device.scopes(parent_scope(platform, device).await?.as_deref()))
}

/// The scope of its parent, where it has one that is still there.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn parent_scope(platform: &Platform, device: &DeviceIdentity) -> Result<Option<String>> {
    let parent = parent_of(platform, device).await?;
    Ok(parent.and_then(|parent| EdgeScope::of(&parent.device).map(|scope| scope.to_string())))
}

/// Gives `device`, which is as it will stand else, the parent that `wanted` names, and has `change` expect that parent and all above it as
/// they are now. `shown` is what the device shows today.
///
/// # Errors
/// `InvalidDeviceScope` (400028) for a scope of no edge device of the hub, a ring, too many layers, and as [`wanted_parent`].
pub(super) async fn set_parent(
    platform: &Platform,
    hub: &HubRef,
    device: &mut DeviceIdentity,
    wanted: &DevicePut,
    shown: &Scopes,
    change: &mut Change,
) -> Result<()> {
    let scope = match wanted_parent(device, wanted, shown)? {
        ParentWish::Keep => return Ok(()),
        ParentWish::Nobody => {
            device.parent = None;
            return Ok(());
        }
        ParentWish::Scope(scope) => scope,
    };
    let parent = edge_device(platform, hub, scope).await?;
    device.parent = Some(parent.device.uid);
    let mut above = Some(parent);
    // The device itself is a layer too, if it is an edge device.
    let mut layers = usize::from(device.iot_edge);
    while let Some(edge) = above {
        layers += 1;
        if edge.device.uid == device.uid {
            return Err(invalid_scope(format!(
                "The device '{}' cannot stand under '{}', which stands under it.",
                device.device_id,
                EdgeScope::parse(scope).map_or(scope, |scope| scope.device_id)
            )));
        }
        if layers > EDGE_LAYERS {
            return Err(invalid_scope(format!(
                "The device '{}' would stand below more than {EDGE_LAYERS} layers of IoT Edge devices; choose a parent further up.",
                device.device_id
            )));
        }
        change.unit.expect_version(&DEVICES, uid_key(edge.device.uid), edge.version);
        above = parent_of(platform, &edge.device).await?;
    }
    Ok(())
}

async fn parent_of(platform: &Platform, device: &DeviceIdentity) -> Result<Option<StoredDevice>> {
    let Some(uid) = device.parent else { return Ok(None) };
    let found = identity::by_uid(platform.store.as_ref(), uid).await?;
    Ok(found.filter(|parent| parent.device.hub == device.hub && parent.device.iot_edge))
}

/// The edge device of the hub that has this scope.
async fn edge_device(platform: &Platform, hub: &HubRef, scope: &str) -> Result<StoredDevice> {
    let unknown = || {
        let shown: String = scope.chars().filter(|c| !c.is_control()).take(200).collect();
        invalid_scope(format!(
            "The scope '{shown}' is not that of an IoT Edge device of the hub '{}'; take the deviceScope that one shows.",
            hub.name
        ))
    };
    let parsed = EdgeScope::parse(scope).ok_or_else(unknown)?;
    // An id that is none names no device either.
    let found = identity::load(platform.store.as_ref(), hub.uid, parsed.device_id)
        .await
        .map_err(|error| if error.numeric_code() == 400_004 { unknown() } else { error })?;
    found.filter(|found| parsed.is_of(&found.device)).ok_or_else(unknown)
}
