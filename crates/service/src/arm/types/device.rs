//! ADR devices (`Microsoft.DeviceRegistry/namespaces/devices`): mirrored hub identities, and devices made by people.

use super::device_revoke::{self, REVOKE};
use super::registry_members::{ATTRIBUTES, CONFIGURATION, HOST_AUTHENTICATION, OF_OPERATIONS, OUTBOUND, TEXT};
use super::registry_versions::REGISTRY_FAMILY;
use crate::arm::context::{DeleteContext, PutContext, SubContext};
use crate::arm::declaration::{Behavior, ExtendedLocationRule, NameRule, Quota, SubAnswer, TypeDecl, View};
use crate::arm::operation::{Lease, StoredOperation};
use crate::arm::schema::{Check, PROVISIONING_STATE, Property, acted, descriptive, read_only};
use crate::certificate;
use crate::platform::Platform;
use crate::registry::{self, Followed};
use crate::resources::{self, Stored, tag};
use crate::tables::RESOURCES;
use async_trait::async_trait;
use ferrohub_model::device_id::is_registry_name;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits;
use ferrohub_model::resource::Reference;
use ferrohub_model::resource_id::ResourceId;
use serde_json::{Value, json};
use uuid::Uuid;

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    tracked: true,
    quota: Some(Quota {
        name: "devices",
        words: "Devices",
        most: limits::DEVICES_OF_NAMESPACE,
        above: Some("namespace"),
        holds: true,
    }),
    numerous: true,
    name: NameRule {
        min: 3,
        max: 63,
        legal: is_registry_name,
        text: "letters, digits and '-', starting with a letter or digit",
    },
    properties: PROPERTIES,
    extended_location: ExtendedLocationRule::May,
    delete: (204, 204),
    action_status: true,
    subs: &[("POST", REVOKE)],
    behavior: &Device,
    ..TypeDecl::new(
        registry::DEVICE,
        REGISTRY_FAMILY,
        &[
            View::hiding("2025-07-01-preview", Some("2025-10-01"), &["properties.policy"]),
            View::hiding("2025-11-01-preview", Some("2026-03-01-preview"), &[]),
            View::hiding("2026-04-01", None, &["properties.policy"]),
        ],
    )
};

const WHAT_IT_IS: &str = "what the device is, for people and programs that look for it";
/// Most endpoints of one kind: ours.
const ENDPOINTS: usize = 100;
const INBOUND: Check = Check::Members(&[
    descriptive("endpointType", TEXT, OF_OPERATIONS).required(),
    descriptive("address", TEXT, OF_OPERATIONS).required(),
    descriptive("version", TEXT, OF_OPERATIONS),
    descriptive("additionalConfiguration", CONFIGURATION, OF_OPERATIONS),
    descriptive("authentication", HOST_AUTHENTICATION, OF_OPERATIONS),
    descriptive("trustSettings", Check::Members(&[descriptive("trustList", TEXT, OF_OPERATIONS)]), OF_OPERATIONS),
]);
/// What a device's properties are (reference: device-registry-api.md section 4).
const PROPERTIES: &[Property] = &[
    acted("enabled", Check::Bool),
    descriptive("externalDeviceId", TEXT, "the id under which the device is known elsewhere").create_only(),
    descriptive("discoveredDeviceRef", TEXT, "from which discovered device it was made").create_only(),
    descriptive("manufacturer", TEXT, WHAT_IT_IS).create_only(),
    descriptive("model", TEXT, WHAT_IT_IS).create_only(),
    descriptive("operatingSystem", TEXT, WHAT_IT_IS).create_only(),
    descriptive("operatingSystemVersion", TEXT, WHAT_IT_IS),
    descriptive("attributes", ATTRIBUTES, WHAT_IT_IS),
    descriptive(
        "endpoints",
        Check::Members(&[
            descriptive("inbound", Check::Named(&INBOUND, ENDPOINTS), OF_OPERATIONS),
            descriptive(
                "outbound",
                Check::Members(&[
                    descriptive("assigned", Check::Named(&OUTBOUND, ENDPOINTS), OF_OPERATIONS).required(),
                    descriptive("unassigned", Check::Named(&OUTBOUND, ENDPOINTS), OF_OPERATIONS),
                ]),
                OF_OPERATIONS,
            ),
        ]),
        OF_OPERATIONS,
    ),
    acted("policy", Check::Members(&[acted("resourceId", Check::Text(1024))])),
    read_only("uuid"),
    read_only("version"),
    read_only("lastTransitionTime"),
    read_only("status"),
    PROVISIONING_STATE,
];

struct Device;

#[async_trait]
impl Behavior for Device {
    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        let enabled = cx.resource.value(&["enabled"]).and_then(Value::as_bool).unwrap_or(true);
        link_policy(cx).await?;
        write(cx, enabled, registry::DEVICES_WRITE).await
    }

    async fn before_delete(&self, cx: &mut DeleteContext<'_>) -> Result<()> {
        refuse_mirrored(cx).await
    }

    async fn decorate(&self, platform: &Platform, stored: &Stored, _: &View, doc: &mut Value) -> Result<()> {
        only_declared(PROPERTIES, doc);
        let properties = &mut doc["properties"];
        properties["uuid"] = stored.uid.to_string().into();
        properties["lastTransitionTime"] = stored.resource.system_data.last_modified_at.clone().into();
        properties["provisioningState"] = "Succeeded".into();
        registry::show_hub_device(platform, stored.uid, properties).await?;
        if let Some(policy) = stored.resource.links.get(registry::POLICY)
            && let Some(id) = certificate_face(platform, policy.uid).await?
        {
            properties["policy"] = json!({"resourceId": id.to_string()});
        }
        Ok(())
    }

    async fn sub(&self, cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
        match cx.is("POST", &[REVOKE]) {
            true => device_revoke::answer(cx, DECL.kind.tag).await.map(Some),
            false => Ok(None),
        }
    }

    async fn run(&self, platform: &Platform, record: &StoredOperation, lease: &mut Lease) -> Result<()> {
        device_revoke::run(platform, record, lease).await
    }
}

/// Takes out of what is shown the members that only another generation of the type knows.
pub(super) fn only_declared(known: &[Property], doc: &mut Value) {
    if let Some(shown) = doc.get_mut("properties").and_then(Value::as_object_mut) {
        shown.retain(|name, _| known.iter().any(|property| property.name == name));
    }
}

/// Completes the row of a device, whichever generation writes it, and lets the hub identity behind it follow in the same
/// unit. `right` is what the shape needs for a write.
pub(super) async fn write(cx: &mut PutContext<'_>, enabled: bool, right: &'static str) -> Result<()> {
    let before = cx.existing.map(|stored| stored.resource.as_ref());
    let was_enabled = before.and_then(|r| r.value(&["enabled"])).and_then(Value::as_bool);
    let (had, has) = (before.and_then(|r| r.link(registry::POLICY)), cx.resource.link(registry::POLICY));
    let name = cx.id.name().to_string();
    let mirrored = match cx.existing {
        Some(stored) => registry::hub_device(cx.platform, stored.uid).await?,
        None => None,
    };
    if let Some(mirrored) = &mirrored {
        keep_device_id(cx, &mirrored.device_id)?;
    }
    if let Some(stored) = cx.existing {
        registry::hold_link_of(cx.platform, stored, &mut cx.change).await?;
    }
    let properties = &mut cx.resource.properties;
    properties.insert("enabled".into(), enabled.into());
    // What follows from the row, its stamps or the hub identity behind it is shown, not stored.
    for shown in ["uuid", "lastTransitionTime", "provisioningState"] {
        properties.shift_remove(shown);
    }
    match mirrored {
        Some(_) => registry::without_assigned(properties),
        None => drop(properties.entry("externalDeviceId").or_insert_with(|| name.into())),
    }
    let followed = Followed {
        right,
        enabled: was_enabled.is_some_and(|was| was != enabled).then_some(enabled),
        policy: (had != has).then_some(has),
    };
    registry::apply_to_hub(cx.platform, cx.actor, cx.uid, cx.id, followed, &mut cx.change).await
}

/// The id of a device that mirrors an identity of a hub is that identity's.
fn keep_device_id(cx: &PutContext<'_>, device_id: &str) -> Result<()> {
    let path = "properties.externalDeviceId";
    let sent = cx.body.pointer("/properties/externalDeviceId").and_then(Value::as_str);
    if sent.is_none_or(|sent| sent == device_id) {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "The device '{}' mirrors the identity '{device_id}' of an IoT hub; its 'externalDeviceId' is that and cannot be changed.",
        cx.id.name()
    ))
    .with_code("PropertyChangeNotAllowed")
    .with_target(path))
}

/// What mirrors an identity of a hub goes with it only, as long as the hub is linked.
pub(super) async fn refuse_mirrored(cx: &mut DeleteContext<'_>) -> Result<()> {
    if cx.cascade {
        return Ok(());
    }
    let Some(device) = registry::hub_device(cx.platform, cx.stored.uid).await? else { return Ok(()) };
    let hub = resources::by_uid(cx.platform, device.hub).await?;
    if let Some(hub) = hub.as_ref().filter(|hub| hub.resource.link(registry::NAMESPACE) != Some(cx.stored.parent)) {
        // The namespace lets it go, or could not; it must not come back meanwhile.
        cx.change.unit.expect_version(&RESOURCES, hub.key(), hub.version);
        return Ok(());
    }
    Err(Error::conflict(format!(
        "The device '{}' mirrors an identity of an IoT hub, and goes with it. Delete that identity: az iot hub device-identity delete --hub-name '{}' --device-id '{}'",
        cx.id.name(),
        hub.as_ref().map_or("<hub>", Stored::name),
        device.device_id
    ))
    .with_code("DeviceInUse"))
}

/// The id of a certificate policy as the generation shows it that has `policy` on devices; `None` once it is gone.
async fn certificate_face(platform: &Platform, policy: Uuid) -> Result<Option<ResourceId>> {
    let Some(policy) = resources::by_uid(platform, policy).await? else { return Ok(None) };
    super::policy::face(platform, &policy).await
}

/// A device's policy must be one of its own namespace. It is kept as a reference to the certificate policy.
async fn link_policy(cx: &mut PutContext<'_>) -> Result<()> {
    if !cx.can_say("properties.policy") {
        return Ok(());
    }
    let sent = cx.resource.properties.shift_remove("policy");
    let text = sent.as_ref().and_then(|policy| policy.get("resourceId")).and_then(Value::as_str);
    let Some(text) = text else {
        cx.resource.links.remove(registry::POLICY);
        return Ok(());
    };
    let id = ResourceId::parse(text)?;
    let inside = cx.id.parent().is_some_and(|namespace| id.is_within(&namespace));
    let found = if inside { resources::get(cx.platform, &id).await? } else { None };
    let policy = match found {
        Some(authority) if authority.is(tag::CERTIFICATE_AUTHORITY) => {
            certificate::policy_of(cx.platform, authority.uid).await?
        }
        found => found.filter(|found| found.is(tag::CERTIFICATE_POLICY)),
    };
    let Some(policy) = policy else {
        return Err(Error::invalid_property(
            "properties.policy.resourceId",
            format!("'{text}' is not a policy of this device's namespace."),
        ));
    };
    let reference = Reference { uid: policy.uid, id: String::new() };
    cx.resource.links.insert(registry::POLICY.into(), reference);
    Ok(())
}

/// Whether the row says that the device may connect.
pub(super) fn is_enabled(stored: &Stored) -> bool {
    stored.resource.value(&["enabled"]).and_then(Value::as_bool).unwrap_or(true)
}
