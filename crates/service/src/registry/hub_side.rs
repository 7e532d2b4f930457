//! From the ADR device to the hub: enabling and disabling, and the policy that its certificates come from.

use super::edge::check_hub_devices;
use crate::authz::Actor;
use crate::hub::identity;
use crate::platform::{Change, Platform};
use crate::resources;
use ferrohub_model::device::{DeviceIdentity, DeviceStatus};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// What a write of an ADR device changes that the hub identity behind it follows.
#[derive(Debug, Clone, Copy)]
pub struct Followed {
    /// The right that the write needs on the device, as the shape has it through which it is written.
    pub right: &'static str,
    /// Whether the device may connect.
    pub enabled: Option<bool>,
    /// Uid of the certificate policy that its certificates come from, or that there is none.
    pub policy: Option<Option<Uuid>>,
}

/// Adds to `change` what a write of an ADR device means for the hub identity behind it: its status, with the notice that closes
/// an open connection, and its policy. Nothing happens where that is so already, or no hub device stands behind it; a write that
/// changes neither, such as one of tags, needs no right beyond its own.
///
/// # Errors
/// The refusal of an actor that may not write the ADR device, or of a namespace whose identity may not write devices of the hub; when the store cannot be read. The commit fails
/// with a conflict when the identity changed meanwhile.
pub async fn apply_to_hub(
    platform: &Platform,
    actor: &Actor,
    device: Uuid,
    id: &ResourceId,
    wanted: Followed,
    change: &mut Change,
) -> Result<()> {
    if wanted.enabled.is_none() && wanted.policy.is_none() {
        return Ok(());
    }
    platform.authorize(actor, wanted.right, id)?;
    let Some(was) = identity::by_uid(platform.store.as_ref(), device).await? else { return Ok(()) };
    let mut next = was.device.as_ref().clone();
    if let Some(enabled) = wanted.enabled {
        let status = if enabled { DeviceStatus::Enabled } else { DeviceStatus::Disabled };
        if next.status != status {
            next.status = status;
            next.status_reason = (!enabled).then(|| "Disabled in the device registry".to_owned());
        }
    }
    if let Some(policy) = wanted.policy {
        next.change_policy(policy);
    }
    if next == *was.device {
        return Ok(());
    }
    let above = id.parent().ok_or_else(|| Error::internal("a device without namespace"))?;
    let namespace = resources::require(platform, &above).await?;
    if let Some(hub) = resources::id_of(platform, was.device.hub).await? {
        check_hub_devices(platform, &namespace, &hub).await?;
    }
    identity::add_update(platform, &was, &mut next, change)
}

/// The hub identity behind an ADR device, if there is one: the two share their uid.
///
/// # Errors
/// When the store cannot be read.
pub async fn hub_device(platform: &Platform, device: Uuid) -> Result<Option<Arc<DeviceIdentity>>> {
    Ok(identity::by_uid(platform.store.as_ref(), device).await?.map(|found| found.device))
}

/// Adds to the shown properties of an ADR device what follows from the hub identity behind it: its id and where it is
/// assigned.
///
/// # Errors
/// When the store cannot be read.
pub async fn show_hub_device(platform: &Platform, device: Uuid, properties: &mut Value) -> Result<()> {
    let Some(device) = hub_device(platform, device).await? else { return Ok(()) };
    properties["externalDeviceId"] = device.device_id.clone().into();
    let Some(hub) = resources::by_uid(platform, device.hub).await? else { return Ok(()) };
    let address = hub.resource.text(&["hostName"]).unwrap_or_default();
    let assigned = json!({"endpointType": "Microsoft.Devices/IotHubs", "address": address});
    if !properties["endpoints"].is_object() {
        properties["endpoints"] = json!({});
    }
    if !properties["endpoints"]["outbound"].is_object() {
        properties["endpoints"]["outbound"] = json!({});
    }
    properties["endpoints"]["outbound"]["assigned"] = json!({(hub.name().to_owned()): assigned});
    Ok(())
}

/// Takes out of properties that are to be stored what [`show_hub_device`] shows.
pub fn without_assigned(properties: &mut Map<String, Value>) {
    properties.shift_remove("externalDeviceId");
    let Some(endpoints) = properties.get_mut("endpoints").and_then(Value::as_object_mut) else { return };
    if let Some(outbound) = endpoints.get_mut("outbound").and_then(Value::as_object_mut) {
        outbound.shift_remove("assigned");
        if outbound.is_empty() {
            endpoints.shift_remove("outbound");
        }
    }
    if endpoints.is_empty() {
        properties.shift_remove("endpoints");
    }
}
