//! Device Provisioning Services (`Microsoft.Devices/provisioningServices`).

use super::iot_hub::{IDENTITY, NAMESPACE, SCOPE_MEMBERS, add_scope_members, attached};
use super::keys::{self, DefaultPolicy};
use super::{namespace, network};
use crate::arm::context::{DeleteContext, PutContext, SubContext};
use crate::arm::declaration::{Behavior, IdentityRule, NameRule, SubAnswer, TypeDecl, View, inner_dashes};
use crate::arm::schema::{Check, PROVISIONING_STATE, Property, acted, descriptive, read_only, unbuilt};
use crate::arm::{region, render};
use crate::hub::HubRef;
use crate::platform::Platform;
use crate::provisioning::{self, linked_hub};
use crate::resources::{self, Kind, Stored, tag};
use crate::shared_access;
use async_trait::async_trait;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{IP_RULES, LINKED_HUBS};
use ferrohub_model::resource::Reference;
use ferrohub_model::uid::uid_key;
use ferrohub_store::Expect;
use ferrohub_wire::connection_string::ConnectionString;
use serde_json::{Map, Value, json};

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    tracked: true,
    name: NameRule { min: 3, max: 64, legal: inner_dashes, text: "letters, digits and inner '-'" },
    global_name: Some("provisioningservices"),
    name_check: Some("checkProvisioningServiceNameAvailability"),
    properties: PROPERTIES,
    beside: SCOPE_MEMBERS,
    identity: IdentityRule::Both("SystemAssigned,UserAssigned"),
    sku: true,
    tree: true,
    subs: &[("POST", "listkeys"), ("POST", "keys/{name}/listkeys"), ("GET", "skus")],
    behavior: &ProvisioningService,
    ..TypeDecl::new(
        Kind { listed: true, ..Kind::new(tag::PROVISIONING_SERVICE, "Microsoft.Devices", &["provisioningServices"]) },
        &[
            "2017-11-15",
            "2018-01-22",
            "2020-03-01",
            "2021-10-15",
            "2022-02-05",
            "2022-12-12",
            "2023-03-01-preview",
            "2025-02-01-preview",
            "2026-03-01-preview",
        ],
        &[
            // Core `az` 2.91 speaks 2021-10-15, which knows neither identity nor namespace (reference: cli.md section 1).
            View::hiding(
                "2017-11-15",
                Some("2022-02-05"),
                &["identity", "properties.deviceRegistryNamespace", "properties.authorizationPolicies"],
            ),
            View::hiding(
                "2022-12-12",
                Some("2023-03-01-preview"),
                &["properties.deviceRegistryNamespace", "properties.authorizationPolicies"],
            ),
            View::hiding("2025-02-01-preview", None, &["properties.authorizationPolicies"]),
        ],
    )
};

const LINKED_HUB: Check = Check::Members(&[
    acted("connectionString", Check::Text(CONNECTION_STRING_CHARS)),
    acted("location", Check::Text(100)),
    read_only("name"),
    acted("applyAllocationPolicy", Check::Bool),
    acted("allocationWeight", Check::Own),
]);
const IP_RULE: Check = Check::Members(&[
    acted("filterName", Check::Own),
    acted("action", Check::Own),
    acted("ipMask", Check::Own),
    acted("target", Check::Own),
]);
const NAMESPACE_LINK: Check = Check::Members(&[
    acted("resourceId", Check::Text(1024)),
    acted("authenticationType", Check::OneOf(&["SystemAssigned", "UserAssigned"])),
    acted("selectedUserAssignedIdentityResourceId", Check::Text(1024)),
]);
/// What a service's properties are (reference: iot-hub-and-dps.md G.2).
const PROPERTIES: &[Property] = &[
    acted("iotHubs", Check::Each(&LINKED_HUB, LINKED_HUBS)),
    acted("allocationPolicy", Check::OneOf(ALLOCATION_POLICIES)),
    keys::POLICIES_PROPERTY,
    acted("publicNetworkAccess", Check::OneOf(&["Enabled", "Disabled"])),
    acted("ipFilterRules", Check::Each(&IP_RULE, IP_RULES)),
    descriptive(
        "enableDataResidency",
        Check::Bool,
        "whether data may be copied to another region; Ferrohub never copies any out of its data folder",
    ),
    acted("deviceRegistryNamespace", NAMESPACE_LINK),
    acted("disableLocalAuth", Check::Bool),
    unbuilt("privateEndpointConnections", Check::Off, "Ferrohub has no private endpoints."),
    PROVISIONING_STATE,
    read_only("state"),
    read_only("serviceOperationsHostName"),
    read_only("deviceProvisioningHostName"),
    read_only("portalOperationsHostName"),
    read_only("idScope"),
];
/// Longest connection string of a linked hub: ours.
const CONNECTION_STRING_CHARS: usize = 2048;
const ALLOCATION_POLICIES: &[&str] = &["Hashed", "GeoLatency", "Static"];

const DEFAULT_POLICIES: &[DefaultPolicy] = &[DefaultPolicy(
    "provisioningserviceowner",
    "ServiceConfig, EnrollmentRead, EnrollmentWrite, DeviceConnect, RegistrationStatusRead, RegistrationStatusWrite",
)];
const RIGHTS: &[&str] = &[
    "ServiceConfig",
    "EnrollmentRead",
    "EnrollmentWrite",
    "DeviceConnect",
    "RegistrationStatusRead",
    "RegistrationStatusWrite",
];
const LINK: &str = "properties.deviceRegistryNamespace";

struct ProvisioningService;

#[async_trait]
impl Behavior for ProvisioningService {
    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        cx.resource.sku = Some(check_sku(cx.resource.sku.as_ref())?);
        network::check_rules(&cx.resource, true)?;
        link_namespace(cx).await?;
        link_hubs(cx).await?;
        keys::apply(cx, DEFAULT_POLICIES, RIGHTS).await?;
        let scope = match cx.existing.and_then(|stored| stored.resource.text(&["idScope"])) {
            Some(scope) => scope.to_string(),
            None => new_id_scope(cx.platform),
        };
        let policy = allocation_policy(cx.resource.text(&["allocationPolicy"]))?;
        let hosts = (cx.platform.settings.dps_host(cx.id.name()), cx.platform.settings.global_dps_host());
        let properties = &mut cx.resource.properties;
        properties.insert("provisioningState".into(), "Succeeded".into());
        properties.insert("state".into(), "Active".into());
        properties.insert("allocationPolicy".into(), policy.into());
        properties.insert("serviceOperationsHostName".into(), hosts.0.into());
        properties.insert("deviceProvisioningHostName".into(), hosts.1.into());
        properties.insert("idScope".into(), scope.clone().into());
        cx.extra.lookup = Some(format!("scope/{}", scope.to_uppercase()));
        Ok(())
    }

    async fn before_delete(&self, cx: &mut DeleteContext<'_>) -> Result<()> {
        // Everything that is sealed under its data key goes for good with it.
        let key = cx.stored.key();
        for table in [&crate::tables::ENROLLMENT_GROUPS, &crate::tables::REGISTRATIONS] {
            cx.change.unit.expect(Expect::NoneBelow { table, prefix: format!("{key}/") });
        }
        cx.change.unit.delete(&crate::tables::DATA_KEYS, key);
        Ok(())
    }

    async fn purge(&self, platform: &Platform, stored: &Stored) -> Result<()> {
        provisioning::purge(platform, stored.uid).await
    }

    async fn after_delete(&self, platform: &Platform, stored: &Stored) -> Result<()> {
        platform.keyring.forget(&stored.key());
        Ok(())
    }

    async fn decorate(&self, platform: &Platform, stored: &Stored, view: &mut Value) -> Result<()> {
        add_scope_members(stored, view);
        if let Some(namespace) = stored.resource.links.get(NAMESPACE) {
            let mut link = Map::new();
            let id = render::reference_id(platform, namespace).await?;
            link.insert("resourceId".into(), id.into());
            let user = stored.resource.links.get(IDENTITY);
            let word = if user.is_some() { "UserAssigned" } else { "SystemAssigned" };
            link.insert("authenticationType".into(), word.into());
            if let Some(identity) = user {
                let id = render::reference_id(platform, identity).await?;
                link.insert("selectedUserAssignedIdentityResourceId".into(), id.into());
            }
            view["properties"]["deviceRegistryNamespace"] = Value::Object(link);
        }
        for hub in view.pointer_mut("/properties/iotHubs").and_then(Value::as_array_mut).into_iter().flatten() {
            let name = hub.get("name").and_then(Value::as_str).unwrap_or_default().to_string();
            let policy = hub.get("keyName").and_then(Value::as_str).unwrap_or("iothubowner").to_string();
            if let Some(map) = hub.as_object_mut() {
                map.shift_remove("keyName");
                map.insert("connectionString".into(), masked(&name, &policy).into());
            }
        }
        Ok(())
    }

    async fn sub(&self, cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
        if cx.is("POST", &["listkeys"]) {
            return Ok(Some(SubAnswer::Done(200, Some(keys::list(cx, None).await?))));
        }
        if cx.is("POST", &["keys", "*", "listkeys"]) {
            return Ok(Some(SubAnswer::Done(200, Some(keys::list(cx, Some(&cx.tail[1])).await?))));
        }
        if cx.is("GET", &["skus"]) {
            return Ok(Some(SubAnswer::Done(200, Some(json!({"value": [{"name": "S1"}]})))));
        }
        Ok(None)
    }
}

fn masked(host: &str, policy: &str) -> String {
    format!("HostName={host};SharedAccessKeyName={policy};SharedAccessKey=****")
}

fn check_sku(sent: Option<&Value>) -> Result<Value> {
    let name = sent.and_then(|s| s.get("name")).and_then(Value::as_str).unwrap_or("S1");
    if !name.eq_ignore_ascii_case("S1") {
        return Err(Error::invalid_property("sku.name", "A Device Provisioning Service has the SKU S1."));
    }
    let capacity = sent.and_then(|s| s.get("capacity")).and_then(Value::as_u64).unwrap_or(1);
    Ok(json!({"name": "S1", "tier": "Standard", "capacity": capacity}))
}

fn allocation_policy(sent: Option<&str>) -> Result<&'static str> {
    let wanted = sent.unwrap_or("Hashed");
    ALLOCATION_POLICIES.iter().copied().find(|known| known.eq_ignore_ascii_case(wanted)).ok_or_else(|| {
        Error::invalid_property("properties.allocationPolicy", "The allocation policy is Hashed, GeoLatency or Static.")
    })
}

/// An id scope in Azure's form: `0ne` and eight hexadecimal digits, upper case.
fn new_id_scope(platform: &Platform) -> String {
    let mut bytes = [0u8; 4];
    platform.random.fill(&mut bytes);
    format!("0ne{}", hex::encode_upper(bytes))
}

/// The link to a namespace: may be set, changed and taken away; the service lies in the namespace's region.
async fn link_namespace(cx: &mut PutContext<'_>) -> Result<()> {
    if !cx.can_say(LINK) {
        return Ok(());
    }
    let former = cx.existing.and_then(|stored| stored.resource.link(NAMESPACE));
    let Some(wanted) = cx.resource.properties.shift_remove("deviceRegistryNamespace").filter(|v| !v.is_null()) else {
        cx.resource.links.remove(NAMESPACE);
        cx.resource.links.remove(IDENTITY);
        cx.extra.link = None;
        return Ok(());
    };
    let text = |name: &str| wanted.get(name).and_then(Value::as_str).filter(|t| !t.is_empty()).map(str::to_string);
    let id = text("resourceId").ok_or_else(|| {
        Error::invalid_property(format!("{LINK}.resourceId"), "'deviceRegistryNamespace' needs a 'resourceId'.")
    })?;
    let target = namespace::link_target(cx, &format!("{LINK}.resourceId"), &id, former).await?;
    if target.resource.location != cx.resource.location {
        return Err(Error::invalid_property(
            LINK,
            format!(
                "A Device Provisioning Service lies in the region of its namespace: '{}' is in '{}', this service in '{}'.",
                target.name(),
                target.resource.location.as_deref().unwrap_or_default(),
                cx.resource.location.as_deref().unwrap_or_default()
            ),
        ));
    }
    let selected = text("selectedUserAssignedIdentityResourceId");
    let user = text("authenticationType").map_or(selected.is_some(), |t| t.eq_ignore_ascii_case("UserAssigned"));
    if user {
        let identity = selected.ok_or_else(|| {
            Error::invalid_property(
                format!("{LINK}.selectedUserAssignedIdentityResourceId"),
                "With the authentication type UserAssigned, this names the identity.",
            )
        })?;
        let reference = attached(cx, &identity).await?;
        cx.resource.links.insert(IDENTITY.into(), reference);
    } else if cx.resource.identity.as_ref().is_none_or(|i| i.system_principal_id.is_none()) {
        return Err(Error::invalid_property(
            LINK,
            "The link acts as the system-assigned identity, but the service has none. Give it one, or name a user-assigned identity.",
        ));
    } else {
        cx.resource.links.remove(IDENTITY);
    }
    cx.resource.links.insert(NAMESPACE.into(), Reference { uid: target.uid, id: target.id.to_string() });
    Ok(())
}

/// The linked hubs: each connection string is checked against the hub and sealed; a masked one keeps the stored key.
async fn link_hubs(cx: &mut PutContext<'_>) -> Result<()> {
    let sent = match cx.resource.properties.get("iotHubs") {
        Some(Value::Array(list)) => list.clone(),
        _ => Vec::new(),
    };
    let mut linked: Vec<Value> = Vec::new();
    let mut fields = Vec::new();
    for entry in &sent {
        let view = link_hub(cx, entry).await?;
        let name = view.get("name").and_then(Value::as_str).unwrap_or_default().to_lowercase();
        if linked
            .iter()
            .any(|other| other.get("name").and_then(Value::as_str).is_some_and(|o| o.eq_ignore_ascii_case(&name)))
        {
            return Err(Error::invalid_property(
                "properties.iotHubs",
                format!("The hub '{name}' is linked twice (IH400303 duplicate iot hubs)."),
            ));
        }
        fields.push(format!("linkedHub/{name}"));
        linked.push(view);
    }
    cx.resource.secrets.retain(|field, _| !field.starts_with("linkedHub/") || fields.contains(field));
    cx.resource.properties.insert("iotHubs".into(), Value::Array(linked));
    Ok(())
}

async fn link_hub(cx: &mut PutContext<'_>, entry: &Value) -> Result<Value> {
    let path = "properties.iotHubs.connectionString";
    let text = entry.get("connectionString").and_then(Value::as_str).unwrap_or_default();
    let parsed = ConnectionString::parse(text).map_err(|e| e.with_target(path))?;
    let host = parsed.host_name().unwrap_or_default().to_lowercase();
    let field = format!("linkedHub/{host}");
    let key = parsed.key().unwrap_or_default();
    let masked = key.contains('*') || key.is_empty();
    let mut link = match (masked, stored_link(cx, &host)) {
        // A masked key keeps the stored one, even when the hub is gone meanwhile: the entry must stay removable.
        (true, Some(link)) => link,
        (true, None) => {
            return Err(Error::invalid_property(
                path,
                format!(
                    "The key in the connection string of '{host}' is masked, and none is stored. Send the whole connection string."
                ),
            ));
        }
        (false, _) => {
            let hub = hub_at(cx.platform, &host, path).await?;
            let policy = parsed.policy().unwrap_or_default();
            check_hub_key(cx.platform, &hub, policy, key).await?;
            let owner = uid_key(cx.uid);
            let store = cx.platform.store.as_ref();
            let sealed = cx.platform.keyring.seal(store, &owner, "resources", &owner, &field, text.as_bytes()).await?;
            cx.resource.secrets.insert(field, sealed);
            json!({"name": host, "location": hub.resource.location, "keyName": policy})
        }
    };
    if let Some(location) = entry.get("location").and_then(Value::as_str).filter(|t| !t.is_empty()) {
        link["location"] = region::normalize(location, "Microsoft.Devices/IotHubs")?.into();
    }
    let weight = entry.get("allocationWeight").filter(|v| !v.is_null()).map_or(Ok(1), |v| {
        let rule = "'allocationWeight' is a whole number from 0 to 1000.";
        v.as_u64()
            .filter(|w| *w <= 1000)
            .ok_or_else(|| Error::invalid_property("properties.iotHubs.allocationWeight", rule))
    })?;
    link["applyAllocationPolicy"] = entry.get("applyAllocationPolicy").and_then(Value::as_bool).unwrap_or(true).into();
    link["allocationWeight"] = weight.into();
    Ok(link)
}

/// The link to `host` as it is stored, with its key.
fn stored_link(cx: &PutContext<'_>, host: &str) -> Option<Value> {
    let links = cx.existing?.resource.properties.get("iotHubs")?.as_array()?;
    let named =
        |link: &&Value| link.get("name").and_then(Value::as_str).is_some_and(|name| name.eq_ignore_ascii_case(host));
    links.iter().find(named).filter(|_| cx.resource.secrets.contains_key(&format!("linkedHub/{host}"))).cloned()
}

async fn hub_at(platform: &Platform, host: &str, path: &str) -> Result<Stored> {
    resources::by_lookup(platform, "lookup", &format!("host/{host}")).await?.ok_or_else(|| {
        Error::invalid_property(
            path,
            format!("There is no IoT hub with the host name '{host}' here. Its connection string: az iot hub connection-string show --hub-name '<hub>'"),
        )
    })
}

/// The key must be one of the hub's, with the rights that provisioning needs.
async fn check_hub_key(platform: &Platform, hub: &Stored, policy: &str, key: &str) -> Result<()> {
    let hub = HubRef::of(hub.clone());
    let checked = shared_access::check_key(platform, &hub.holder(), policy, key, linked_hub::LINK_RIGHTS).await?;
    checked.map_err(|refusal| {
        Error::invalid_property(
            "properties.iotHubs.connectionString",
            format!(
                "The connection string of '{}' cannot be used: {}. Take the one that `az iot hub connection-string show --hub-name {}` prints.",
                hub.name,
                linked_hub::why(refusal, policy),
                hub.name
            ),
        )
    })
}
