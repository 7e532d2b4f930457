//! Registry devices: ADR devices as 2026-11-01 and its previews show them (`Microsoft.DeviceRegistry/namespaces/registryDevices`). The row
//! behind one is a [`super::device`]'s, under the same name. What only one of the two shapes knows stays when the other is written.

use super::device;
use super::registry_attributes as attributes;
use super::registry_profiles as profiles;
use super::registry_versions::{NEWEST, REGISTRY_FAMILY};
use crate::arm::context::{DeleteContext, PutContext, SubContext};
use crate::arm::declaration::{Behavior, NameRule, SubAnswer, TypeDecl, View};
use crate::arm::schema::{Check, PROVISIONING_STATE, Property, acted, descriptive, read_only};
use crate::platform::Platform;
use crate::registry;
use crate::resources::{self, Face, Kind, Stored, tag};
use async_trait::async_trait;
use ferrohub_model::device_id::is_registry_name;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use serde_json::{Map, Value, json};

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    tracked: true,
    name: NameRule {
        min: 3,
        max: 63,
        legal: is_registry_name,
        text: "letters, digits and '-', starting with a letter or digit",
    },
    properties: PROPERTIES,
    delete: (204, 204),
    action_status: false,
    subs: &[
        ("GET", "attributes"),
        ("GET", "attributes/{name}"),
        ("PUT", "attributes/{name}"),
        ("DELETE", "attributes/{name}"),
        ("GET", "authenticationProfiles"),
        ("GET", "authenticationProfiles/{name}"),
        ("POST", "authenticationProfiles/{name}/listKeys"),
        ("POST", "authenticationProfiles/{name}/revokeCertificates"),
        ("GET", "capabilities"),
        ("GET", "capabilities/{name}"),
    ],
    behavior: &RegistryDevice,
    ..TypeDecl::new(
        Kind { face: Some(&RegistryDevice), ..Kind::new("rdv", "Microsoft.DeviceRegistry", &["namespaces", SEGMENT]) },
        REGISTRY_FAMILY,
        &[View::hiding(NEWEST, None, &[])],
    )
};

/// The type's own segment.
pub(super) const SEGMENT: &str = "registryDevices";
const WHAT_IT_IS: &str = "what the device is, for people and programs that look for it";
/// Longest text of one member: ours.
const TEXT: Check = Check::Text(4096);
/// A type of device (reference: device-registry-api.md section 6): at most one, of at most 512 characters.
const TYPE_REF: Check = Check::Text(512);
/// Whether a device may connect.
const STATE: &str = "enablementState";
const STATES: &[&str] = &["Enabled", "Disabled"];
/// What a registry device's properties are (reference: device-registry-api.md section 6).
const PROPERTIES: &[Property] = &[
    acted(STATE, Check::OneOf(STATES)),
    descriptive("externalDeviceId", TEXT, "the id under which the device is known elsewhere").create_only(),
    descriptive("manufacturer", TEXT, WHAT_IT_IS),
    descriptive("model", TEXT, WHAT_IT_IS),
    descriptive("hardwareRevision", TEXT, WHAT_IT_IS),
    descriptive("softwareRevision", TEXT, WHAT_IT_IS),
    descriptive("deviceTypeRefs", Check::Each(&TYPE_REF, 1), WHAT_IT_IS),
    read_only("uuid"),
    PROVISIONING_STATE,
];

struct RegistryDevice;

#[async_trait]
impl Face for RegistryDevice {
    async fn behind(&self, platform: &Platform, parent: &Stored, name: &str) -> Result<Option<Stored>> {
        resources::named(platform, &registry::DEVICE, parent.uid, &parent.id, name).await
    }

    fn every(&self) -> Option<&'static str> {
        Some(tag::DEVICE)
    }

    async fn id_of(&self, _platform: &Platform, stored: &Stored) -> Result<Option<ResourceId>> {
        let namespace = stored.id.parent().filter(|_| stored.is(tag::DEVICE));
        Ok(namespace.map(|namespace| namespace.child(SEGMENT, stored.name())))
    }
}

#[async_trait]
impl Behavior for RegistryDevice {
    async fn stored_as(&self, _platform: &Platform, parent: &Stored) -> Result<Option<(&'static Kind, Stored)>> {
        Ok(Some((&registry::DEVICE, parent.clone())))
    }

    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        let state = cx.resource.properties.shift_remove(STATE);
        let state = state.as_ref().and_then(Value::as_str).ok_or_else(|| {
            Error::invalid_property(
                format!("properties.{STATE}"),
                format!("A registry device needs an '{STATE}': {}.", STATES.join(" or ")),
            )
        })?;
        device::write(cx, state.eq_ignore_ascii_case(STATES[0]), registry::REGISTRY_DEVICES_WRITE).await
    }

    async fn before_delete(&self, cx: &mut DeleteContext<'_>) -> Result<()> {
        device::refuse_mirrored(cx).await
    }

    async fn decorate(&self, platform: &Platform, stored: &Stored, _: &View, doc: &mut Value) -> Result<()> {
        show(platform, stored, doc).await
    }

    async fn sub(&self, cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
        match cx.tail.first().map(|segment| segment.to_ascii_lowercase()).as_deref() {
            Some("attributes") => attributes::answer(cx).await,
            Some("authenticationprofiles") => profiles::answer(cx).await,
            Some("capabilities") => profiles::capabilities(cx).await,
            _ => Ok(None),
        }
    }
}

/// Whether registry devices have a property of this name.
pub(super) fn knows(name: &str) -> bool {
    PROPERTIES.iter().any(|property| property.name == name)
}

/// The row of a device in the shape of this type.
async fn show(platform: &Platform, stored: &Stored, doc: &mut Value) -> Result<()> {
    device::only_declared(PROPERTIES, doc);
    let shown = doc.get_mut("properties").and_then(Value::as_object_mut);
    let mut shown: Map<String, Value> = shown.map(std::mem::take).unwrap_or_default();
    let mut properties = Map::new();
    properties.insert(STATE.into(), STATES[usize::from(!device::is_enabled(stored))].into());
    properties.append(&mut shown);
    properties.insert("uuid".into(), stored.uid.to_string().into());
    properties.insert("provisioningState".into(), "Succeeded".into());
    if let Some(mirrored) = registry::hub_device(platform, stored.uid).await? {
        properties.insert("externalDeviceId".into(), mirrored.device_id.clone().into());
    }
    doc["properties"] = Value::Object(properties);
    Ok(())
}

/// What filters over devices are asked about.
pub(super) async fn summary(platform: &Platform, stored: &Stored) -> Result<Value> {
    let resource = stored.resource.as_ref();
    let mut doc = json!({
        "name": stored.name(),
        "location": resource.location,
        "tags": resource.tags.clone().unwrap_or_default(),
        "properties": resource.properties,
        "attributes": attributes::summary(stored)?,
    });
    show(platform, stored, &mut doc).await?;
    Ok(doc)
}
