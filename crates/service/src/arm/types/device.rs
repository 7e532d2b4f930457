//! ADR devices (`Microsoft.DeviceRegistry/namespaces/devices`): mirrored hub identities, and devices made by people.

use crate::arm::context::{DeleteContext, PutContext, SubContext};
use crate::arm::declaration::{Behavior, IdentityRule, NameRule, Scope, SubAnswer, TypeDecl, View};
use crate::registry;
use crate::resources::kind;
use async_trait::async_trait;
use ferrohub_model::device_id::is_registry_name;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::time::rfc3339;
use serde_json::Value;

/// The declaration.
pub static DECL: TypeDecl = TypeDecl {
    namespace: "Microsoft.DeviceRegistry",
    kinds: &["namespaces", "devices"],
    key: kind::DEVICE,
    scope: Scope::InGroup,
    tracked: true,
    singleton: None,
    views: &[
        View { versions: &["2025-07-01-preview", "2025-10-01"], hidden: &["properties.policy"] },
        View { versions: &["2025-11-01-preview", "2026-03-01-preview"], hidden: &[] },
        View { versions: &["2026-04-01"], hidden: &["properties.policy"] },
    ],
    any_version: false,
    name: NameRule {
        min: 3,
        max: 63,
        legal: is_registry_name,
        text: "letters, digits and '-', starting with a letter or digit",
    },
    global_name: None,
    properties: &[
        "enabled",
        "externalDeviceId",
        "discoveredDeviceRef",
        "manufacturer",
        "model",
        "operatingSystem",
        "operatingSystemVersion",
        "attributes",
        "endpoints",
        "policy",
    ],
    read_only: &["uuid", "version", "lastTransitionTime", "status", "provisioningState"],
    create_only: &["externalDeviceId", "discoveredDeviceRef", "manufacturer", "model", "operatingSystem"],
    identity: IdentityRule::No,
    sku: false,
    put: (201, 200),
    delete: (204, 204),
    tree: false,
    subscription_list: false,
    behavior: &Device,
};

/// Largest `attributes` object, bytes of JSON: ours.
const ATTRIBUTES_BYTES: usize = 64 * 1024;

struct Device;

#[async_trait]
impl Behavior for Device {
    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        let before = cx.existing.map(|stored| &stored.resource);
        let enabled = cx.resource.properties.get("enabled").filter(|v| !v.is_null()).map_or(Ok(true), |v| {
            v.as_bool().ok_or_else(|| Error::invalid_property("properties.enabled", "'enabled' is true or false."))
        })?;
        if cx.resource.properties.get("attributes").is_some_and(|a| a.to_string().len() > ATTRIBUTES_BYTES) {
            return Err(Error::invalid_property(
                "properties.attributes",
                format!("'attributes' may have {ATTRIBUTES_BYTES} bytes at most."),
            ));
        }
        check_policy(cx)?;
        let version = before.and_then(|r| r.value(&["version"])).and_then(Value::as_u64).unwrap_or(0) + 1;
        let (uid, now) = (cx.resource.uid.to_string(), rfc3339(cx.platform.now()));
        let name = cx.id.name().to_string();
        let properties = &mut cx.resource.properties;
        properties.insert("uuid".into(), uid.into());
        properties.insert("enabled".into(), enabled.into());
        properties.entry("externalDeviceId").or_insert_with(|| name.into());
        properties.insert("version".into(), version.into());
        properties.insert("lastTransitionTime".into(), now.into());
        properties.insert("provisioningState".into(), "Succeeded".into());
        // A change of `enabled` reaches the hub identity in the same unit of work.
        let changed = before.is_some_and(|r| r.value(&["enabled"]).and_then(Value::as_bool) != Some(enabled));
        if changed {
            registry::apply_enabled(cx.platform, &cx.resource, enabled, &mut cx.change).await?;
        }
        Ok(())
    }

    async fn before_delete(&self, cx: &mut DeleteContext<'_>) -> Result<()> {
        if !cx.cascade && registry::hub_device_exists(cx.platform, &cx.stored.resource).await? {
            return Err(Error::conflict(format!(
                "The device '{}' mirrors an identity of an IoT hub. Delete that identity: az iot hub device-identity delete --hub-name '<hub>' --device-id '{}'; this one goes with it.",
                cx.id.name(),
                cx.stored.resource.text(&["externalDeviceId"]).unwrap_or_default()
            ))
            .with_code("DeviceInUse"));
        }
        Ok(())
    }

    async fn sub(&self, cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
        if cx.is("POST", &["revoke"]) {
            let namespace = cx.id.parent().map(|parent| parent.name().to_string()).unwrap_or_default();
            return Err(Error::not_implemented(format!(
                "Ferrohub does not revoke a device's certificates yet. To keep the device out, disable it: az iot adr ns device update --namespace {namespace} --resource-group {} --name {} --enabled false",
                cx.id.resource_group.as_deref().unwrap_or_default(),
                cx.id.name()
            )));
        }
        Ok(None)
    }
}

/// A device's policy must be one of its own namespace.
fn check_policy(cx: &PutContext<'_>) -> Result<()> {
    let Some(policy) = cx.resource.properties.get("policy").and_then(|p| p.get("resourceId")).and_then(Value::as_str)
    else {
        return Ok(());
    };
    let id = ResourceId::parse(policy)?;
    let inside = cx.id.parent().is_some_and(|namespace| id.is_within(&namespace));
    if inside && id.resource_type().eq_ignore_ascii_case(kind::POLICY) {
        return Ok(());
    }
    Err(Error::invalid_property(
        "properties.policy.resourceId",
        format!("'{policy}' is not a policy of this device's namespace."),
    ))
}
