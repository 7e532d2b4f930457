//! IoT hubs (`Microsoft.Devices/IotHubs`).

use super::iot_hub_properties::{PROPERTIES, SKUS, defaults};
use super::keys::{self, DefaultPolicy};
use super::{consumer_groups, hub_reads, linked_namespace, network};
use crate::arm::context::{DeleteContext, PutContext, SubContext};
use crate::arm::declaration::{Behavior, IdentityRule, NameRule, Quota, SubAnswer, TypeDecl, View, inner_dashes};
use crate::arm::schema::{Property, read_only};
use crate::arm::{region, render};
use crate::authz::Actor;
use crate::hub;
use crate::platform::{Platform, device_subject};
use crate::provisioning::linked_hub::{LATENCY_TAG, latency_of};
use crate::registry;
use crate::resources::{self, Kind, Stored, tag};
use async_trait::async_trait;
use ferrohub_model::device::{devices_of, modules_of};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits;
use ferrohub_model::resource::{Reference, Resource};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_store::Expect;
use serde_json::{Map, Value, json};

/// The api-versions that are known, oldest first.
pub(super) const FAMILY: &[&str] = &[
    FIRST,
    "2019-11-04",
    "2020-03-01",
    "2021-07-02",
    "2022-04-30-preview",
    "2023-06-30-preview",
    LAST_CLASSIC,
    FIRST_REGISTRY,
    "2026-03-01-preview",
    LAST_POLICY,
    FIRST_AUTHORITY,
    "2026-11-01",
];
/// The oldest api-version.
pub(super) const FIRST: &str = "2018-04-01";
/// The last one before the link to a namespace.
pub(super) const LAST_CLASSIC: &str = "2023-06-30";
/// The first one that knows the link.
pub(super) const FIRST_REGISTRY: &str = "2025-08-01-preview";
/// The last one whose certificates name a policy.
pub(super) const LAST_POLICY: &str = "2026-05-01-preview";
/// The first one whose certificates name a certificate authority, and whose link to a namespace says as what it acts.
pub(super) const FIRST_AUTHORITY: &str = "2026-10-01-preview";

/// The reference from a hub or DPS to its namespace.
pub(super) const NAMESPACE: &str = registry::NAMESPACE;
/// The reference to the identity as which it acts there.
pub(super) const IDENTITY: &str = registry::IDENTITY;

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    tracked: true,
    quota: Some(Quota {
        name: "IotHubs",
        words: "IoT hubs",
        most: limits::HUBS_OF_SUBSCRIPTION,
        above: None,
        holds: false,
    }),
    name: NameRule { min: 3, max: 50, legal: inner_dashes, text: "letters, digits and inner '-'" },
    global_name: Some("iothubs"),
    name_check: Some("checkNameAvailability"),
    properties: PROPERTIES,
    beside: SCOPE_MEMBERS,
    identity: IdentityRule::Both("SystemAssigned, UserAssigned"),
    sku: true,
    tree: true,
    subs: hub_reads::SUBS,
    behavior: &IotHub,
    ..TypeDecl::new(
        Kind { listed: true, ..Kind::new(tag::IOT_HUB, "Microsoft.Devices", &["IotHubs"]) },
        FAMILY,
        &[
            View::hiding(
                FIRST,
                Some(LAST_CLASSIC),
                &["properties.deviceRegistry", "properties.authorizationPolicies", consumer_groups::PATH],
            ),
            // The older link names the identity by its id alone, and nothing of the namespace but its id.
            View {
                to: to_identity_id,
                from: from_identity_id,
                ..View::hiding(
                    FIRST_REGISTRY,
                    Some(LAST_POLICY),
                    &[
                        "properties.authorizationPolicies",
                        consumer_groups::PATH,
                        "properties.deviceRegistry.namespaceUuid",
                        "properties.deviceRegistry.dataPlaneHostName",
                        "properties.deviceRegistry.linkingProperties",
                    ],
                )
            },
            View::hiding(FIRST_AUTHORITY, None, &["properties.authorizationPolicies", consumer_groups::PATH]),
        ],
    )
};

/// The user-assigned identity of the link to a namespace, from 2025-08-01-preview to 2026-05-01-preview.
const IDENTITY_ID: &str = "identityResourceId";
const USER_ASSIGNED: &str = "userAssignedIdentity";

fn to_identity_id(doc: &mut Value) {
    let Some(link) = doc.pointer_mut("/properties/deviceRegistry").and_then(Value::as_object_mut) else { return };
    // A system-assigned identity is what no id means.
    if let Some(id) =
        link.shift_remove("identity").and_then(|mut identity| identity.get_mut(USER_ASSIGNED).map(Value::take))
    {
        link.insert(IDENTITY_ID.into(), id);
    }
}

fn from_identity_id(doc: &mut Value) {
    let Some(link) = doc.pointer_mut("/properties/deviceRegistry").and_then(Value::as_object_mut) else { return };
    // Two answers to one question stay, to be refused.
    if link.contains_key("identity") {
        return;
    }
    if let Some(id) = link.shift_remove(IDENTITY_ID) {
        link.insert("identity".into(), json!({"type": "UserAssigned", USER_ASSIGNED: id}));
    }
}

const DEFAULT_POLICIES: &[DefaultPolicy] = &[
    DefaultPolicy("iothubowner", "RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect"),
    DefaultPolicy("service", "ServiceConnect"),
    DefaultPolicy("device", "DeviceConnect"),
    DefaultPolicy("registryRead", "RegistryRead"),
    DefaultPolicy("registryReadWrite", "RegistryRead, RegistryWrite"),
];
const RIGHTS: &[&str] = &["RegistryRead", "RegistryWrite", "ServiceConnect", "DeviceConnect"];

/// Partitions of the event log, least, default and most (IoT Hub: 2 to 128 by tier, CLI default 4).
const PARTITIONS: (u64, u64, u64) = (1, 4, 32);
/// Days of retention (IoT Hub: 1 to 7).
const RETENTION_DAYS: (u64, u64) = (1, 7);

/// A tag that the allocation of devices goes by must say something.
fn check_latency(tags: Option<&Map<String, Value>>) -> Result<()> {
    let Some(tags) = tags.filter(|tags| tags.keys().any(|name| name.eq_ignore_ascii_case(LATENCY_TAG))) else {
        return Ok(());
    };
    latency_of(tags).map(drop).ok_or_else(|| {
        Error::invalid_property(
            format!("tags.{LATENCY_TAG}"),
            format!("The tag '{LATENCY_TAG}' is a whole number of milliseconds, 60000 at most: provisioning services with the allocation policy geoLatency go by it."),
        )
    })
}

struct IotHub;

#[async_trait]
impl Behavior for IotHub {
    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        cx.resource.sku = Some(check_sku(cx.resource.sku.as_ref())?);
        keep_least_tls(cx)?;
        network::check_rules(&cx.resource)?;
        check_latency(cx.resource.tags.as_ref())?;
        self.link(cx).await?;
        events(cx)?;
        keys::apply(cx, DEFAULT_POLICIES, RIGHTS).await?;
        let host = cx.platform.settings.hub_host(cx.id.name());
        let properties = &mut cx.resource.properties;
        properties.insert("provisioningState".into(), "Succeeded".into());
        properties.insert("state".into(), "Active".into());
        properties.insert("hostName".into(), host.clone().into());
        // Where a hub is follows from its region; it is shown, not stored.
        properties.shift_remove("locations");
        for (name, value) in defaults() {
            properties.entry(name).or_insert(value);
        }
        cx.extra.lookup = Some(format!("host/{host}"));
        // Open connections look at the hub again, thousands at once: only when there is something to see.
        if cx.existing.is_some_and(|was| hub::concerns_sessions(&was.resource, &cx.resource)) {
            cx.change.trust_changed(cx.uid);
        }
        Ok(())
    }

    async fn before_delete(&self, cx: &mut DeleteContext<'_>) -> Result<()> {
        // Everything that is sealed under its data key goes for good with it.
        cx.change.unit.delete(&crate::tables::DATA_KEYS, cx.stored.key());
        for prefix in [devices_of(cx.stored.uid), modules_of(cx.stored.uid, None)] {
            cx.change.unit.expect(Expect::NonePrefixed { table: &crate::tables::DEVICES, column: "place", prefix });
        }
        cx.change.trust_changed(cx.stored.uid);
        Ok(())
    }

    async fn purge(&self, platform: &Platform, actor: &Actor, stored: &Stored) -> Result<()> {
        let gone = hub::purge(platform, actor, stored).await?;
        for device in gone {
            let subject = device_subject(stored.uid, &device);
            platform.bus.publish(&subject, bytes::Bytes::new()).await?;
        }
        Ok(())
    }

    async fn after_delete(&self, platform: &Platform, stored: &Stored) -> Result<()> {
        platform.keyring.forget(&stored.key());
        Ok(())
    }

    async fn decorate(&self, platform: &Platform, stored: &Stored, _: &View, view: &mut Value) -> Result<()> {
        add_scope_members(stored, view);
        view["properties"]["locations"] = locations(stored.resource.location.as_deref().unwrap_or_default());
        // An older Ferrohub took keys of storage accounts and kept them as they were.
        for storage in
            view.pointer_mut("/properties/storageEndpoints").and_then(Value::as_object_mut).into_iter().flatten()
        {
            storage.1["connectionString"] = "".into();
        }
        let name = stored.name();
        let host = stored.resource.text(&["hostName"]).unwrap_or_default().to_string();
        if let Some(namespace) = stored.resource.links.get(NAMESPACE) {
            let seen = linked_namespace::SeenNamespace::of(platform, stored, namespace).await?;
            let identity = match stored.resource.links.get(IDENTITY) {
                Some(identity) => {
                    json!({"type": "UserAssigned", USER_ASSIGNED: render::reference_id(platform, identity).await?})
                }
                None => json!({"type": "SystemAssigned"}),
            };
            view["properties"]["deviceRegistry"] = json!({
                "namespaceResourceId": seen.id,
                "namespaceUuid": namespace.uid.to_string(),
                "dataPlaneHostName": seen.host,
                "identity": identity,
                "linkingProperties": {"state": if seen.stands { "Success" } else { "Orphaned" }},
            });
        }
        if let Some(events) = view.pointer_mut("/properties/eventHubEndpoints/events").and_then(Value::as_object_mut) {
            events.insert("path".into(), name.to_lowercase().into());
            events.insert("endpoint".into(), format!("sb://{host}/").into());
        }
        Ok(())
    }

    async fn sub(&self, cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
        hub_reads::answer(cx).await
    }
}

impl IotHub {
    /// The link to a namespace: chosen when the hub is made, never changed, kept by every later write.
    async fn link(&self, cx: &mut PutContext<'_>) -> Result<()> {
        let path = "properties.deviceRegistry.namespaceResourceId";
        let Some(wanted) = cx.resource.properties.shift_remove("deviceRegistry").filter(|v| !v.is_null()) else {
            return Ok(());
        };
        let text = |name: &str| wanted.get(name).and_then(Value::as_str).map(str::to_string);
        let namespace_id = text("namespaceResourceId")
            .ok_or_else(|| Error::invalid_property(path, "'deviceRegistry' needs a 'namespaceResourceId'."))?;
        let former = cx.existing.and_then(|stored| stored.resource.links.get(NAMESPACE)).cloned();
        let target = match &former {
            // What is linked already is not asked about again; gone or not, it is what it was.
            Some(former) if same_target(cx, former, &namespace_id).await? => None,
            _ if cx.is_new() => Some(linked_namespace::link_target(cx, path, &namespace_id, None).await?),
            _ => {
                let stands = match &former {
                    Some(former) => format!("'{}'", render::reference_id(cx.platform, former).await?),
                    None => "none".to_string(),
                };
                return Err(Error::conflict(format!(
                    "The namespace of hub '{}' is {stands} and never changes; it is chosen when the hub is made. Delete the hub and make it anew.",
                    cx.id.name()
                ))
                .with_code("PropertyChangeNotAllowed")
                .with_target(path));
            }
        };
        if let Some(target) = &target {
            cx.resource.links.insert(NAMESPACE.into(), Reference { uid: target.uid, id: target.id.to_string() });
        }
        act_as(cx, &wanted).await?;
        match target {
            Some(target) => linked_namespace::agree(cx, &target).await,
            None => Ok(()),
        }
    }
}

/// As which identity the hub acts on its namespace: one of its user-assigned ones, its own, or where nothing is said the
/// one that it acts as already.
async fn act_as(cx: &mut PutContext<'_>, wanted: &Value) -> Result<()> {
    let path = "properties.deviceRegistry.identity";
    let given = wanted.get("identity").filter(|identity| !identity.is_null());
    let text = |name: &str| given.and_then(|identity| identity.get(name)).and_then(Value::as_str);
    let user = text(USER_ASSIGNED).filter(|id| !id.is_empty()).map(str::to_owned);
    match (text("type").map(str::to_ascii_lowercase).as_deref(), user) {
        (None | Some("userassigned"), Some(user)) => {
            let reference = attached(cx, &user).await?;
            cx.resource.links.insert(IDENTITY.into(), reference);
            return Ok(());
        }
        (None, None) if given.is_none() && cx.resource.links.contains_key(IDENTITY) => return Ok(()),
        (None, None) if given.is_none() => {}
        (Some("systemassigned"), None) => drop(cx.resource.links.remove(IDENTITY)),
        (Some("systemassigned"), Some(_)) => {
            return Err(Error::invalid_property(path, "'userAssignedIdentity' goes with the type UserAssigned only."));
        }
        _ => {
            return Err(Error::invalid_property(
                path,
                "'identity' has the type SystemAssigned, or UserAssigned with a 'userAssignedIdentity'.",
            ));
        }
    }
    if cx.resource.identity.as_ref().is_none_or(|identity| identity.system_principal_id.is_none()) {
        return Err(Error::invalid_property(
            path,
            "A hub that is linked to a namespace needs an identity to act as: one of its user-assigned identities that the link names, or its own.",
        ));
    }
    Ok(())
}

/// The region of a hub and the one that it would fail over to, as Azure pairs them.
fn locations(region: &str) -> Value {
    let primary = json!({"location": region::display(region), "role": "primary"});
    match region::paired(region) {
        Some(paired) => json!([primary, {"location": region::display(paired), "role": "secondary"}]),
        None => json!([primary]),
    }
}

/// Whether a reference points at what the id names, or is shown under that very id.
async fn same_target(cx: &PutContext<'_>, reference: &Reference, id: &str) -> Result<bool> {
    let shown = render::reference_id(cx.platform, reference).await?;
    Ok(ResourceId::parse(id)?.same(&ResourceId::parse(&shown)?))
}

/// The identity that a link names must be attached to the resource. One that was deleted stays named, attached or not.
pub(super) async fn attached(cx: &PutContext<'_>, identity: &str) -> Result<Reference> {
    let id = ResourceId::parse(identity)?;
    for assigned in cx.resource.identity.iter().flat_map(|identity| &identity.user_assigned) {
        let reference = Reference { uid: assigned.uid, id: assigned.id.clone() };
        if same_target(cx, &reference, identity).await? {
            return Ok(reference);
        }
    }
    let former = cx.existing.and_then(|stored| stored.resource.links.get(IDENTITY));
    if let Some(former) = former
        && same_target(cx, former, identity).await?
    {
        if resources::id_of(cx.platform, former.uid).await?.is_none() {
            return Ok(former.clone());
        }
        return Err(Error::conflict(format!(
            "The identity '{id}' cannot be taken off '{}', which acts on its namespace as this identity; name another one in the link first.",
            cx.id.name()
        ))
        .with_code("FailedIdentityOperation")
        .with_target("identity.userAssignedIdentities"));
    }
    Err(Error::invalid_property(
        "identity.userAssignedIdentities",
        format!(
            "The identity '{id}' is not attached to '{0}'. Name it in identity.userAssignedIdentities of the same request, or attach it first: az iot {1} identity assign --name \"{0}\" --resource-group \"{2}\" --user-assigned{3} \"{id}\"",
            cx.id.name(),
            match cx.kind.tag {
                tag::IOT_HUB => "hub",
                tag::NAMESPACE => "adr ns",
                _ => "dps",
            },
            cx.id.resource_group.as_deref().unwrap_or_default(),
            if cx.kind.tag == tag::NAMESPACE { "-identity" } else { "" }
        ),
    ))
}

/// The members that [`add_scope_members`] shows.
pub(super) const SCOPE_MEMBERS: &[Property] = &[read_only("resourcegroup"), read_only("subscriptionid")];

/// The members that the CLI reads in lower case (reference: cli.md section 8).
pub(super) fn add_scope_members(stored: &Stored, view: &mut Value) {
    if let Some(map) = view.as_object_mut() {
        map.insert("resourcegroup".into(), stored.group().into());
        map.insert("subscriptionid".into(), stored.id.subscription.clone().unwrap_or_default().into());
    }
}

fn check_sku(sent: Option<&Value>) -> Result<Value> {
    let name = sent.and_then(|s| s.get("name")).and_then(Value::as_str).unwrap_or("S1");
    let known = SKUS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let Some((name, tier)) = known else {
        let list: Vec<&str> = SKUS.iter().map(|(name, _)| *name).collect();
        return Err(Error::invalid_property(
            "sku.name",
            format!(
                "The SKU '{}' is not known; there are: {}.",
                name.chars().take(20).collect::<String>(),
                list.join(", ")
            ),
        ));
    };
    let capacity = sent.and_then(|s| s.get("capacity")).and_then(Value::as_u64).unwrap_or(1);
    Ok(json!({"name": name, "tier": tier, "capacity": capacity}))
}

/// The least TLS version is chosen when the hub is made; without one it is 1.2 (reference: iot-hub-and-dps.md section F).
fn keep_least_tls(cx: &PutContext<'_>) -> Result<()> {
    let least = |resource: &Resource| resource.text(&["minTlsVersion"]).unwrap_or("1.2").to_owned();
    match cx.existing.map(|stored| least(&stored.resource)) {
        Some(before) if before != least(&cx.resource) => Err(Error::conflict(format!(
            "The hub '{}' was made with minTlsVersion {before}, which cannot be changed. Delete the hub and make it anew.",
            cx.id.name()
        ))
        .with_code("PropertyChangeNotAllowed")
        .with_target("properties.minTlsVersion")),
        _ => Ok(()),
    }
}

/// Partitions are fixed when the hub is made; retention may change.
fn events(cx: &mut PutContext<'_>) -> Result<()> {
    let path = "properties.eventHubEndpoints.events";
    let sent = cx.resource.value(&["eventHubEndpoints", "events"]).cloned().unwrap_or(Value::Null);
    let before = cx
        .existing
        .and_then(|stored| stored.resource.value(&["eventHubEndpoints", "events", "partitionCount"]))
        .and_then(Value::as_u64);
    let number = |name: &str| {
        sent.get(name)
            .filter(|v| !v.is_null())
            .map(|v| {
                v.as_u64().ok_or_else(|| {
                    Error::invalid_property(format!("{path}.{name}"), format!("'{name}' is a whole number."))
                })
            })
            .transpose()
    };
    let partitions = match (number("partitionCount")?, before) {
        (Some(now), Some(before)) if now != before => {
            return Err(Error::conflict(format!(
                "The number of partitions of hub '{}' is {before} and cannot be changed.",
                cx.id.name()
            ))
            .with_code("PropertyChangeNotAllowed"));
        }
        (sent, before) => sent.or(before).unwrap_or(PARTITIONS.1),
    };
    let retention = number("retentionTimeInDays")?.unwrap_or(RETENTION_DAYS.0);
    if !(PARTITIONS.0..=PARTITIONS.2).contains(&partitions)
        || !(RETENTION_DAYS.0..=RETENTION_DAYS.1).contains(&retention)
    {
        return Err(Error::invalid_property(
            path,
            format!(
                "A hub has {} to {} partitions and keeps events {} to {} days.",
                PARTITIONS.0, PARTITIONS.2, RETENTION_DAYS.0, RETENTION_DAYS.1
            ),
        ));
    }
    let ids: Vec<String> = (0..partitions).map(|p| p.to_string()).collect();
    cx.resource.properties.insert(
        "eventHubEndpoints".into(),
        json!({"events": {"retentionTimeInDays": retention, "partitionCount": partitions, "partitionIds": ids}}),
    );
    Ok(())
}
