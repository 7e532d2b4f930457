//! Device Registry namespaces (`Microsoft.DeviceRegistry/namespaces`).

use super::asset_migration::{self, MIGRATE};
use super::registry_versions::{NEWEST, REGISTRY_FAMILY};
use super::{certificate_inventory as inventory, linked_devices, namespace_links as links};
use crate::arm::context::{DeleteContext, PutContext, SubContext};
use crate::arm::declaration::{Behavior, IdentityRule, NameRule, Quota, SubAnswer, TypeDecl, View, inner_dashes};
use crate::arm::operation::{Lease, StoredOperation};
use crate::arm::schema::{Check, PROVISIONING_STATE, Property, acted, descriptive, read_only, unbuilt};
use crate::authz::Actor;
use crate::certificate;
use crate::key_store::choice;
use crate::platform::Platform;
use crate::resources::{self, Kind, Stored, tag};
use crate::tables::RESOURCES;
use async_trait::async_trait;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_store::Expect;
use serde_json::Value;
use uuid::Uuid;

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    tracked: true,
    quota: Some(Quota {
        name: "namespaces",
        words: "Namespaces",
        most: limits::NAMESPACES_OF_SUBSCRIPTION,
        above: None,
        holds: true,
    }),
    name: NameRule {
        min: 3,
        max: 64,
        legal: |name| inner_dashes(name) && !name.chars().any(|c| c.is_ascii_uppercase()),
        text: "lower-case letters, digits and inner '-' (^[a-z0-9][a-z0-9-]*[a-z0-9]$)",
    },
    properties: PROPERTIES,
    identity: IdentityRule::Both("SystemAssigned,UserAssigned"),
    // ADR answers 202 or 204 to a delete, never 200 (reference: device-registry-api.md section 3).
    delete: (204, 204),
    tree: true,
    marked: true,
    action_status: false,
    subs: &[("POST", MIGRATE), ("GET", "certificates"), ("GET", "certificates/{serial}")],
    behavior: &Namespace,
    ..TypeDecl::new(
        Kind { listed: true, ..Kind::new(tag::NAMESPACE, "Microsoft.DeviceRegistry", &["namespaces"]) },
        REGISTRY_FAMILY,
        &[
            View::hiding("2025-07-01-preview", Some("2026-03-01-preview"), BEFORE_MANAGEMENT),
            View::hiding("2026-04-01", Some("2026-04-01"), BEFORE_LINKS),
            View::hiding(NEWEST, None, &["etag"]),
        ],
    )
};

/// What older shapes do not know: links that are written on the namespace, and identities beside its own.
const BEFORE_LINKS: &[&str] = &[
    "etag",
    "identity.userAssignedIdentities",
    "properties.provisioning",
    "properties.updating",
    "properties.outboundIdentity",
    "properties.observability",
    "properties.messaging.endpoints.*.deviceAddress",
    "properties.messaging.endpoints.*.inboundCallerIdentity",
    "properties.messaging.endpoints.*.provisioning",
    "properties.messaging.endpoints.*.linkingState",
    "properties.messaging.endpoints.*.linkingError",
];
/// And, before that, management endpoints.
const BEFORE_MANAGEMENT: &[&str] = &[
    "etag",
    "identity.userAssignedIdentities",
    "properties.management",
    "properties.provisioning",
    "properties.updating",
    "properties.outboundIdentity",
    "properties.observability",
    "properties.messaging.endpoints.*.deviceAddress",
    "properties.messaging.endpoints.*.inboundCallerIdentity",
    "properties.messaging.endpoints.*.provisioning",
    "properties.messaging.endpoints.*.linkingState",
    "properties.messaging.endpoints.*.linkingError",
];

/// Most endpoints of one kind: ours.
const ENDPOINTS: usize = 100;
const OTHER_BROKER: &str = "where a broker or management service that is no part of Ferrohub is reached";
const ADDRESS: Check = Check::Text(2048);
const IDENTITY_MEMBERS: Check = Check::Members(&[
    acted("type", Check::OneOf(&["SystemAssigned", "UserAssigned"])),
    acted("userAssignedIdentity", Check::Text(1024)),
]);
/// How provisioning services may use a hub.
const OFFER: Check = Check::Members(&[
    acted("availability", Check::OneOf(&["Available", "Disabled"])),
    acted("allocationWeight", Check::Integer(1, 1000)),
]);
/// Of a hub the address is read only; the rest makes the link.
const MESSAGING: Check = Check::Members(&[
    descriptive("endpointType", ADDRESS, OTHER_BROKER),
    descriptive("address", ADDRESS, OTHER_BROKER),
    descriptive("resourceId", ADDRESS, OTHER_BROKER),
    read_only("deviceAddress"),
    acted("inboundCallerIdentity", IDENTITY_MEMBERS),
    acted("provisioning", OFFER),
    read_only("linkingState"),
    read_only("linkingError"),
]);
const SERVICE: Check = Check::Members(&[
    acted("endpointType", ADDRESS),
    acted("resourceId", ADDRESS),
    acted("inboundCallerIdentity", IDENTITY_MEMBERS),
    read_only("linkingState"),
    read_only("linkingError"),
]);
const MANAGEMENT: Check = Check::Members(&[
    descriptive("endpointType", ADDRESS, OTHER_BROKER).required(),
    descriptive("address", ADDRESS, OTHER_BROKER).required(),
    descriptive("scopeId", ADDRESS, OTHER_BROKER).required(),
    descriptive("resourceId", ADDRESS, OTHER_BROKER).required(),
]);
/// Device Update is not built: its links are refused by their names.
const UPDATING: Check = Check::Members(&[acted("endpoints", Check::Named(&Check::Object(4096), ENDPOINTS))]);
/// What a namespace's properties are (reference: device-registry-api.md sections 4 and 6).
const PROPERTIES: &[Property] = &[
    acted("messaging", Check::Members(&[acted("endpoints", Check::Named(&MESSAGING, ENDPOINTS))])),
    acted("management", Check::Members(&[acted("endpoints", Check::Named(&MANAGEMENT, ENDPOINTS))])),
    acted("provisioning", Check::Members(&[acted("endpoints", Check::Named(&SERVICE, ENDPOINTS))])),
    acted("updating", UPDATING),
    acted("outboundIdentity", IDENTITY_MEMBERS),
    unbuilt("observability", Check::Off, "Ferrohub sends no telemetry about a namespace anywhere."),
    read_only("uuid"),
    read_only("dataEndpoint"),
    PROVISIONING_STATE,
];

struct Namespace;

#[async_trait]
impl Behavior for Namespace {
    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        let tags = cx.resource.tags.as_ref();
        cx.platform.keys.check_choice(tags)?;
        choice::keep(cx.existing.and_then(|stored| stored.resource.tags.as_ref()), tags)?;
        if cx.view.first != NEWEST {
            require_addresses(cx)?;
        }
        links::write(cx).await?;
        let uid = cx.uid.to_string();
        let properties = &mut cx.resource.properties;
        properties.insert("uuid".into(), uid.into());
        properties.insert("provisioningState".into(), "Succeeded".into());
        Ok(())
    }

    async fn run(&self, platform: &Platform, record: &StoredOperation, lease: &mut Lease) -> Result<()> {
        linked_devices::run(platform, record, lease).await
    }

    async fn purge(&self, platform: &Platform, _: &Actor, stored: &Stored) -> Result<()> {
        certificate::end_left(platform, stored.uid).await
    }

    async fn before_delete(&self, cx: &mut DeleteContext<'_>) -> Result<()> {
        // Everything that is sealed under its data key goes for good with it.
        cx.change.unit.delete(&crate::tables::DATA_KEYS, cx.stored.key());
        let holders = resources::linked(cx.platform, &cx.stored.key()).await?;
        if !holders.is_empty() {
            let list: Vec<String> = holders.iter().map(|s| format!("{} '{}'", word(s), s.name())).collect();
            let mut error = Error::conflict(format!(
                "The namespace '{}' cannot be deleted while these are linked to it: {}. Delete the hubs and delete or unlink the provisioning services first.",
                cx.id.name(),
                list.join(", ")
            ))
            .with_code("NamespaceInUse");
            error.details = holders.into_iter().map(|s| ("LinkedResource".to_string(), s.id.to_string())).collect();
            return Err(error);
        }
        // A hub or DPS that is linked while the namespace goes loses the race, whichever comes first.
        cx.change.unit.expect(Expect::NoneWith { table: &RESOURCES, column: "link", value: cx.stored.key() });
        Ok(())
    }

    async fn held_by(&self, platform: &Platform, stored: &Stored, going: &ResourceId) -> Result<Vec<String>> {
        let mut holders = resources::linked(platform, &stored.key()).await?;
        holders.retain(|holder| !holder.id.is_within(going));
        Ok(holders.into_iter().map(|holder| format!("linked to it is '{}'", holder.id)).collect())
    }

    async fn after_delete(&self, platform: &Platform, stored: &Stored) -> Result<()> {
        platform.keyring.forget(&stored.key());
        Ok(())
    }

    async fn decorate(&self, platform: &Platform, stored: &Stored, shape: &View, view: &mut Value) -> Result<()> {
        links::decorate(platform, stored, shape, view).await
    }

    fn shown_operations(&self, stored: &Stored) -> Vec<Uuid> {
        linked_devices::shown_operations(&stored.resource)
    }

    async fn sub(&self, cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
        if cx.is("GET", &[inventory::SEGMENT]) {
            return inventory::list(cx).await.map(Some);
        }
        if cx.is("GET", &[inventory::SEGMENT, "*"])
            && let Some(serial) = cx.tail.last()
        {
            return inventory::show(cx, serial).await.map(Some);
        }
        if cx.is("POST", &[MIGRATE]) {
            return asset_migration::answer(cx).await.map(Some);
        }
        Ok(None)
    }
}

/// Endpoints have an address in older shapes; one that the newest wrote without stays without.
fn require_addresses(cx: &PutContext<'_>) -> Result<()> {
    let endpoints = cx.body.pointer("/properties/messaging/endpoints").and_then(Value::as_object);
    let stored = |name: &str| cx.existing?.resource.value(&["messaging", "endpoints", name]);
    for (name, endpoint) in endpoints.into_iter().flatten().filter(|(_, endpoint)| !endpoint.is_null()) {
        let had_none = stored(name).is_some_and(|stored| stored.get("address").is_none());
        if endpoint.get("address").is_none_or(Value::is_null) && !had_none {
            let path = format!("properties.messaging.endpoints.{name}.address");
            return Err(Error::invalid(format!(
                "The request content was invalid: the required property '{path}' is missing."
            ))
            .with_code("InvalidRequestContent")
            .with_target(path));
        }
    }
    Ok(())
}

fn word(stored: &Stored) -> &'static str {
    if stored.is(tag::IOT_HUB) { "IoT hub" } else { "Device Provisioning Service" }
}
