//! From the ADR device to the hub: enabling and disabling.

use crate::hub::identity;
use crate::platform::{Change, Platform};
use crate::tables::DEVICES;
use ferrohub_model::device::DeviceStatus;
use ferrohub_model::error::Result;
use ferrohub_model::resource::Resource;

/// Adds to `change` what `enabled` on an ADR device means for the hub identity behind it: its status, and the notice
/// that closes an open connection. Nothing happens where the status is that already, or no hub device stands behind it.
///
/// # Errors
/// When the store cannot be read. The commit fails with a conflict when the identity changed meanwhile.
pub async fn apply_enabled(platform: &Platform, device: &Resource, enabled: bool, change: &mut Change) -> Result<()> {
    let Some(row) = platform.store.find_one(&DEVICES, "uid", &device.uid.to_string()).await? else { return Ok(()) };
    let was = identity::device_from_row(&row)?;
    let status = if enabled { DeviceStatus::Enabled } else { DeviceStatus::Disabled };
    if was.device.status == status {
        return Ok(());
    }
    let mut next = (*was.device).clone();
    next.status = status;
    next.status_reason = (!enabled).then(|| "Disabled in the device registry".to_owned());
    identity::add_update(platform, &was, &mut next, change)
}

/// Whether a hub identity stands behind an ADR device.
///
/// # Errors
/// When the store cannot be read.
pub async fn hub_device_exists(platform: &Platform, device: &Resource) -> Result<bool> {
    Ok(platform.store.count(&DEVICES, "uid", &device.uid.to_string()).await? > 0)
}
