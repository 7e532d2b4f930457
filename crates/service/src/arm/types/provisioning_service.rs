//! Device Provisioning Services (`Microsoft.Devices/provisioningServices`).

use super::iot_hub::{IDENTITY, NAMESPACE, SCOPE_MEMBERS, add_scope_members, attached};
use super::keys::{self, DefaultPolicy};
use super::{hub_reads, linked_hubs, linked_namespace, network};
use crate::arm::context::{DeleteContext, PutContext, SubContext};
use crate::arm::declaration::{Behavior, IdentityRule, NameRule, Quota, SubAnswer, TypeDecl, View, inner_dashes};
use crate::arm::render;
use crate::arm::schema::{Check, PROVISIONING_STATE, Property, acted, descriptive, read_only, unbuilt};
use crate::authz::Actor;
use crate::platform::Platform;
use crate::provisioning;
use crate::resources::{self, Kind, Stored, tag};
use crate::tables;
use async_trait::async_trait;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{IP_RULES, LINKED_HUBS, SERVICES_OF_SUBSCRIPTION};
use ferrohub_model::resource::Reference;
use ferrohub_store::Expect;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    tracked: true,
    quota: Some(Quota {
        name: "ProvisioningServices",
        words: "Provisioning services",
        most: SERVICES_OF_SUBSCRIPTION,
        above: None,
        holds: false,
    }),
    name: NameRule { min: 3, max: 64, legal: inner_dashes, text: "letters, digits and inner '-'" },
    global_name: Some("provisioningservices"),
    name_check: Some("checkProvisioningServiceNameAvailability"),
    properties: PROPERTIES,
    beside: SCOPE_MEMBERS,
    identity: IdentityRule::Both("SystemAssigned,UserAssigned"),
    sku: true,
    tree: true,
    subs: &[
        ("POST", "listkeys"),
        ("POST", "keys/{name}/listkeys"),
        ("GET", "skus"),
        ("GET", "privateEndpointConnections"),
        ("GET", "privateEndpointConnections/{name}"),
        ("DELETE", "privateEndpointConnections/{name}"),
        ("GET", "privateLinkResources"),
        ("GET", "privateLinkResources/{group}"),
    ],
    behavior: &ProvisioningService,
    ..TypeDecl::new(
        Kind { listed: true, ..Kind::new(tag::PROVISIONING_SERVICE, "Microsoft.Devices", &["provisioningServices"]) },
        FAMILY,
        VIEWS,
    )
};

/// The api-versions of provisioning services and their certificates.
pub(super) const FAMILY: &[&str] = &[
    FIRST,
    "2018-01-22",
    "2020-03-01",
    "2021-10-15",
    "2022-02-05",
    "2022-12-12",
    "2023-03-01-preview",
    "2025-02-01-preview",
    "2026-03-01-preview",
    FIRST_LIST,
    NO_NAMESPACE,
    LIST,
];
/// The first of them.
pub(super) const FIRST: &str = "2017-11-15";

const IP_RULE: Check = Check::Members(&[
    acted("filterName", Check::Own),
    acted("action", Check::Own),
    acted("ipMask", Check::Own),
    acted("target", Check::OneOf(&["all", "serviceApi", "deviceApi"])),
]);
const SELECTED: &str = "selectedUserAssignedIdentityResourceId";
const NAMESPACE_LINK: Check = Check::Members(&[
    acted("resourceId", Check::Text(1024)),
    acted("authenticationType", Check::OneOf(&["SystemAssigned", "UserAssigned"])),
    acted(SELECTED, Check::Text(1024)),
    read_only("namespaceUuid"),
    read_only("dataAddress"),
    read_only("location"),
    read_only("linkingState"),
]);
/// What a service's properties are (reference: iot-hub-and-dps.md G.2).
const PROPERTIES: &[Property] = &[
    acted("iotHubs", Check::Each(&linked_hubs::LINKED_HUB, LINKED_HUBS)),
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
    acted(NAMESPACES, Check::Own),
    acted("disableLocalAuth", Check::Bool),
    unbuilt("privateEndpointConnections", Check::Off, "Ferrohub has no private endpoints."),
    PROVISIONING_STATE,
    read_only("state"),
    read_only("serviceOperationsHostName"),
    read_only("deviceProvisioningHostName"),
    read_only("portalOperationsHostName"),
    read_only("idScope"),
];

/// The first api-version that shows the link to a namespace as a list, read-only.
const FIRST_LIST: &str = "2026-06-01-preview";
/// The one that shows none.
const NO_NAMESPACE: &str = "2026-08-31";
/// The one that shows the list again, and lives on.
const LIST: &str = "2026-11-01";

/// Reference: device-registry-api.md section 9. Core `az` 2.91 speaks 2021-10-15, which knows neither identity nor
/// namespace (cli.md section 1). What the newest shape says of a namespace beyond its id, the writable link does not.
static VIEWS: &[View] = &[
    View {
        to: linked_hubs::to_connection_strings,
        from: linked_hubs::from_connection_strings,
        ..View::hiding(
            FIRST,
            Some("2022-02-05"),
            &["identity", "properties.deviceRegistryNamespace", LIST_PATH, "properties.authorizationPolicies"],
        )
    },
    View {
        to: linked_hubs::to_connection_strings,
        from: linked_hubs::from_connection_strings,
        ..View::hiding(
            "2022-12-12",
            Some("2023-03-01-preview"),
            &["properties.deviceRegistryNamespace", LIST_PATH, "properties.authorizationPolicies"],
        )
    },
    View {
        to: linked_hubs::to_connection_strings,
        from: linked_hubs::from_connection_strings,
        ..View::hiding("2025-02-01-preview", Some("2025-02-01-preview"), WRITABLE_LINK)
    },
    View::hiding("2026-03-01-preview", Some("2026-03-01-preview"), WRITABLE_LINK),
    View {
        to: to_list,
        from: from_list,
        ..View::hiding(FIRST_LIST, Some(FIRST_LIST), &["properties.authorizationPolicies"])
    },
    View::hiding(
        NO_NAMESPACE,
        Some(NO_NAMESPACE),
        &["properties.deviceRegistryNamespace", LIST_PATH, "properties.authorizationPolicies"],
    ),
    View { to: to_list, from: from_list, ..View::hiding(LIST, None, &["properties.authorizationPolicies"]) },
];
const WRITABLE_LINK: &[&str] = &[
    LIST_PATH,
    "properties.authorizationPolicies",
    "properties.deviceRegistryNamespace.namespaceUuid",
    "properties.deviceRegistryNamespace.dataAddress",
    "properties.deviceRegistryNamespace.location",
    "properties.deviceRegistryNamespace.linkingState",
];
/// The list of the newest shape.
const NAMESPACES: &str = "deviceRegistryNamespaces";
const LIST_PATH: &str = "properties.deviceRegistryNamespaces";

fn to_list(doc: &mut Value) {
    let Some(properties) = doc.get_mut("properties").and_then(Value::as_object_mut) else { return };
    let link = properties.shift_remove("deviceRegistryNamespace");
    properties.insert(NAMESPACES.into(), link.into_iter().collect());
}

/// A list of more than one stays as it is, to be refused: there is at most one link.
fn from_list(doc: &mut Value) {
    let Some(properties) = doc.get_mut("properties").and_then(Value::as_object_mut) else { return };
    // The one link of older shapes is not known here: beside the list it stays, to be refused.
    if properties.get("deviceRegistryNamespace").is_some_and(|link| !link.is_null()) {
        return;
    }
    let link = match properties.get_mut(NAMESPACES) {
        Some(Value::Array(list)) if list.len() < 2 => list.pop(),
        Some(Value::Null) => None,
        _ => return,
    };
    properties.shift_remove(NAMESPACES);
    if let Some(link) = link {
        properties.insert("deviceRegistryNamespace".into(), link);
    }
}

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
        network::check_rules(&cx.resource)?;
        link_namespace(cx).await?;
        linked_hubs::link(cx).await?;
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
        for table in [&tables::ENROLLMENT_GROUPS, &tables::INDIVIDUAL_ENROLLMENTS, &tables::REGISTRATIONS] {
            cx.change.unit.expect(Expect::NoneBelow { table, prefix: format!("{key}/") });
        }
        cx.change.unit.delete(&tables::DATA_KEYS, key);
        Ok(())
    }

    async fn purge(&self, platform: &Platform, _: &Actor, stored: &Stored) -> Result<()> {
        provisioning::purge(platform, stored.uid).await
    }

    async fn after_delete(&self, platform: &Platform, stored: &Stored) -> Result<()> {
        platform.keyring.forget(&stored.key());
        Ok(())
    }

    async fn decorate(&self, platform: &Platform, stored: &Stored, _: &View, view: &mut Value) -> Result<()> {
        add_scope_members(stored, view);
        if let Some(namespace) = stored.resource.links.get(NAMESPACE) {
            let mut link = Map::new();
            let seen = linked_namespace::SeenNamespace::of(platform, stored, namespace).await?;
            link.insert("resourceId".into(), seen.id.into());
            let user = stored.resource.links.get(IDENTITY);
            let word = if user.is_some() { "UserAssigned" } else { "SystemAssigned" };
            link.insert("authenticationType".into(), word.into());
            if let Some(identity) = user {
                let id = render::reference_id(platform, identity).await?;
                link.insert(SELECTED.into(), id.into());
            }
            link.insert("namespaceUuid".into(), namespace.uid.to_string().into());
            link.insert("dataAddress".into(), seen.host.into());
            link.insert("location".into(), seen.location.into());
            link.insert("linkingState".into(), if seen.stands { "Succeeded" } else { "Orphaned" }.into());
            view["properties"]["deviceRegistryNamespace"] = Value::Object(link);
        }
        linked_hubs::decorate(platform, stored, view).await
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
        hub_reads::network(cx)
    }
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

/// The link is read-only where it is a list: what is sent says what stands, or is refused.
async fn keep_namespace(cx: &mut PutContext<'_>) -> Result<()> {
    let path = format!("properties.{NAMESPACES}");
    let refused = || {
        Error::invalid_property(
            path.clone(),
            format!(
                "'{NAMESPACES}' is read-only. Link the service with an api-version that writes 'deviceRegistryNamespace', such as 2026-03-01-preview: az iot dps update --name {} --resource-group {} --ns-resource-id '<namespace>' --ns-identity-id '<identity>'",
                cx.id.name(),
                cx.id.resource_group.as_deref().unwrap_or_default()
            ),
        )
    };
    if cx.body.pointer(&format!("/properties/{NAMESPACES}")).is_some_and(|list| !list.is_null()) {
        return Err(refused());
    }
    let Some(sent) = cx.resource.properties.shift_remove("deviceRegistryNamespace") else { return Ok(()) };
    let Some(namespace) = cx.resource.links.get(NAMESPACE) else { return Err(refused()) };
    let text = |name: &str| sent.get(name).and_then(Value::as_str).unwrap_or_default();
    let stands = render::reference_id(cx.platform, namespace).await?;
    let (word, user) = match cx.resource.links.get(IDENTITY) {
        Some(identity) => ("UserAssigned", render::reference_id(cx.platform, identity).await?),
        None => ("SystemAssigned", String::new()),
    };
    let says = |name: &str, stands: &str| text(name).is_empty() || text(name).eq_ignore_ascii_case(stands);
    let same =
        text("resourceId").eq_ignore_ascii_case(&stands) && says("authenticationType", word) && says(SELECTED, &user);
    if same { Ok(()) } else { Err(refused()) }
}

/// The link to a namespace: may be set, changed and taken away; the service lies in the namespace's region.
async fn link_namespace(cx: &mut PutContext<'_>) -> Result<()> {
    if !cx.can_say(LINK) {
        return Ok(());
    }
    if [FIRST_LIST, LIST].contains(&cx.view.first) {
        return keep_namespace(cx).await;
    }
    let former = cx.existing.and_then(|stored| stored.resource.link(NAMESPACE));
    let Some(wanted) = cx.resource.properties.shift_remove("deviceRegistryNamespace").filter(|v| !v.is_null()) else {
        cx.resource.links.remove(NAMESPACE);
        cx.resource.links.remove(IDENTITY);
        cx.extra.link = None;
        return tell_former(cx, former).await;
    };
    let text = |name: &str| wanted.get(name).and_then(Value::as_str).filter(|t| !t.is_empty()).map(str::to_string);
    let id = text("resourceId").ok_or_else(|| {
        Error::invalid_property(format!("{LINK}.resourceId"), "'deviceRegistryNamespace' needs a 'resourceId'.")
    })?;
    let target = linked_namespace::link_target(cx, &format!("{LINK}.resourceId"), &id, former).await?;
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
    act_as(cx, text("authenticationType").as_deref(), text(SELECTED).as_deref()).await?;
    cx.resource.links.insert(NAMESPACE.into(), Reference { uid: target.uid, id: target.id.to_string() });
    if former == Some(target.uid) {
        return Ok(());
    }
    linked_namespace::agree(cx, &target).await?;
    tell_former(cx, former).await
}

/// Tells at the namespace to which the service was linked that it is not any more.
async fn tell_former(cx: &mut PutContext<'_>, former: Option<Uuid>) -> Result<()> {
    let Some(former) = former else { return Ok(()) };
    match resources::id_of(cx.platform, former).await? {
        Some(id) => linked_namespace::tell(cx, &id),
        None => Ok(()),
    }
}

/// As which identity the service acts on its namespace: its own, or the user-assigned one that is named.
async fn act_as(cx: &mut PutContext<'_>, word: Option<&str>, selected: Option<&str>) -> Result<()> {
    let user = word.map_or(selected.is_some(), |word| word.eq_ignore_ascii_case("UserAssigned"));
    match selected {
        Some(identity) if user => {
            let reference = attached(cx, identity).await?;
            cx.resource.links.insert(IDENTITY.into(), reference);
            Ok(())
        }
        None if user => Err(Error::invalid_property(
            format!("{LINK}.{SELECTED}"),
            "With the authentication type UserAssigned, this names the identity.",
        )),
        Some(_) => Err(Error::invalid_property(
            format!("{LINK}.{SELECTED}"),
            format!("'{SELECTED}' goes with the authentication type UserAssigned only."),
        )),
        None if cx.resource.identity.as_ref().is_none_or(|i| i.system_principal_id.is_none()) => {
            Err(Error::invalid_property(
                LINK,
                "The link acts as the system-assigned identity, but the service has none. Give it one, or name a user-assigned identity.",
            ))
        }
        None => {
            cx.resource.links.remove(IDENTITY);
            Ok(())
        }
    }
}
