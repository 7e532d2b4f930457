//! Writing and removing the ADR device of a hub device.

use super::edge::DEVICES_WRITE;
use super::naming::free_name;
use crate::authz::Actor;
use crate::platform::{Change, Platform};
use crate::resources::{self, RowExtra, Stored};
use crate::tables::RESOURCES;
use ferrohub_model::device::{DeviceIdentity, DeviceStatus};
use ferrohub_model::error::Result;
use ferrohub_model::resource::{Resource, SystemData};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::time::rfc3339;
use serde_json::{Map, Value, json};
use uuid::Uuid;

const DEVICE_TYPE: &str = "Microsoft.DeviceRegistry/namespaces/devices";

/// The `lookup` column of an ADR device's row.
pub fn lookup_key(namespace: Uuid, hub: Uuid, device_id: &str) -> String {
    format!("{namespace}/{hub}/{device_id}")
}

/// The ADR device of a hub device, if it has one.
///
/// # Errors
/// When the store cannot be read.
pub async fn mirrored(platform: &Platform, namespace: Uuid, hub: Uuid, device_id: &str) -> Result<Option<Stored>> {
    let key = lookup_key(namespace, hub, device_id);
    platform.store.find_one(&RESOURCES, "lookup", &key).await?.as_deref().map(resources::from_row).transpose()
}

/// Adds to `change` the ADR device of `device` as it will stand, and returns its name. A device that is mirrored
/// already keeps its name, tags and whatever people wrote on it; `policy` replaces its policy where it is given.
///
/// # Errors
/// `AuthorizationFailed` (403000) unless `actor` may write devices on the namespace; when the store cannot be read.
/// The unit's commit fails with a conflict when somebody else took the name meanwhile: call again then.
pub async fn mirror_put(
    platform: &Platform,
    actor: &Actor,
    namespace: &Stored,
    hub: &Stored,
    device: &DeviceIdentity,
    policy: Option<&ResourceId>,
    change: &mut Change,
) -> Result<String> {
    mirror_move(platform, actor, namespace, hub, device, policy, None, change).await
}

/// Like [`mirror_put`] for a device that comes from the hub with the uid `from` of the same namespace: its ADR device
/// moves along instead of being made anew.
///
/// # Errors
/// As [`mirror_put`].
#[expect(clippy::too_many_arguments, reason = "who, where, what and from where; a struct would only rename them")]
pub(crate) async fn mirror_move(
    platform: &Platform,
    actor: &Actor,
    namespace: &Stored,
    hub: &Stored,
    device: &DeviceIdentity,
    policy: Option<&ResourceId>,
    from: Option<Uuid>,
    change: &mut Change,
) -> Result<String> {
    let namespace_id = namespace.id()?;
    platform.authorize(actor, DEVICES_WRITE, &namespace_id)?;
    let hub_uid = hub.resource.uid;
    let now = rfc3339(platform.now());
    let mut existing = mirrored(platform, namespace.resource.uid, hub_uid, &device.device_id).await?;
    if let (None, Some(from)) = (&existing, from) {
        existing = mirrored(platform, namespace.resource.uid, from, &device.device_id).await?;
    }
    let (mut resource, former) = match existing {
        Some(stored) => {
            let id = stored.id()?;
            change.unit.expect_version(&RESOURCES, id.key(), stored.version);
            (stored.resource.clone(), Some(stored.resource))
        }
        None => {
            let id = free_name(platform, &namespace_id, hub_uid, &device.device_id).await?;
            change.unit.expect_absent(&RESOURCES, id.key());
            // Two devices must not be left behind in a namespace that goes.
            change.unit.expect_exists(&RESOURCES, namespace_id.key());
            (fresh(&id, namespace, device, actor, &now), None)
        }
    };
    resource.uid = device.uid;
    fill(&mut resource, hub, device, policy);
    if former.as_ref() == Some(&resource) {
        return Ok(resource.name);
    }
    touch(&mut resource, actor, &now, platform.random.uuid_v4());
    let extra = RowExtra {
        unique_name: None,
        link: Some(hub.id()?.key()),
        lookup: Some(lookup_key(namespace.resource.uid, hub_uid, &device.device_id)),
    };
    change.unit.put(resources::put(&resource, extra)?);
    Ok(resource.name)
}

/// Adds to `change` the removal of the ADR device of a hub device; nothing happens where there is none.
///
/// # Errors
/// `AuthorizationFailed` (403000) unless `actor` may write devices on the namespace; when the store cannot be read.
pub async fn mirror_delete(
    platform: &Platform,
    actor: &Actor,
    namespace: &Stored,
    hub: &Stored,
    device: &DeviceIdentity,
    change: &mut Change,
) -> Result<()> {
    platform.authorize(actor, DEVICES_WRITE, &namespace.id()?)?;
    let Some(stored) = mirrored(platform, namespace.resource.uid, hub.resource.uid, &device.device_id).await? else {
        return Ok(());
    };
    let key = stored.id()?.key();
    change.unit.expect_version(&RESOURCES, key.clone(), stored.version);
    change.unit.delete(&RESOURCES, key);
    Ok(())
}

fn fresh(id: &ResourceId, namespace: &Stored, device: &DeviceIdentity, actor: &Actor, now: &str) -> Resource {
    Resource {
        id: id.to_string(),
        uid: device.uid,
        name: id.name().to_owned(),
        kind: DEVICE_TYPE.to_owned(),
        location: namespace.resource.location.clone(),
        tags: None,
        sku: None,
        identity: None,
        properties: Map::new(),
        secrets: std::collections::BTreeMap::new(),
        system_data: SystemData {
            created_by: actor.name().to_owned(),
            created_by_type: actor.kind_name().to_owned(),
            created_at: now.to_owned(),
            ..SystemData::default()
        },
        etag: String::new(),
    }
}

/// What the hub identity says about its ADR device. Everything else on it belongs to people.
fn fill(resource: &mut Resource, hub: &Stored, device: &DeviceIdentity, policy: Option<&ResourceId>) {
    let properties = &mut resource.properties;
    properties.insert("uuid".into(), json!(device.uid.to_string()));
    properties.insert("enabled".into(), json!(device.status == DeviceStatus::Enabled));
    properties.insert("externalDeviceId".into(), json!(device.device_id));
    properties.insert("provisioningState".into(), json!("Succeeded"));
    if let Some(policy) = policy {
        properties.insert("policy".into(), json!({"resourceId": policy.to_string()}));
    }
    let address = hub.resource.text(&["hostName"]).unwrap_or_default();
    let assigned = json!({"endpointType": "Microsoft.Devices/IotHubs", "address": address});
    let mut endpoints =
        properties.get("endpoints").filter(|value| value.is_object()).cloned().unwrap_or_else(|| json!({}));
    if !endpoints.get("outbound").is_some_and(Value::is_object) {
        endpoints["outbound"] = json!({});
    }
    endpoints["outbound"]["assigned"] = json!({(hub.resource.name.clone()): assigned});
    properties.insert("endpoints".into(), endpoints);
}

fn touch(resource: &mut Resource, actor: &Actor, now: &str, etag: Uuid) {
    let version = resource.properties.get("version").and_then(Value::as_u64).unwrap_or(0).saturating_add(1);
    resource.properties.insert("version".into(), json!(version));
    resource.properties.insert("lastTransitionTime".into(), json!(now));
    resource.system_data.last_modified_by = actor.name().to_owned();
    resource.system_data.last_modified_by_type = actor.kind_name().to_owned();
    resource.system_data.last_modified_at = now.to_owned();
    resource.etag = etag.to_string();
}
