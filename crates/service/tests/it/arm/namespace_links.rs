//! Links that are written on a namespace: its endpoints, and the identity as which it acts on hubs.

use super::fixture::{DPS, HUB, World, plant};
use ferrohub_service::authz::builtin;
use serde_json::{Value, json};

pub(super) const NEWEST: &str = "2026-11-02-preview";
const OLDER: &str = "2026-03-01-preview";
/// Azure Device Registry Contributor.
pub(super) const REGISTRY_CONTRIBUTOR: &str = "a5c3590a-3a1a-4cd4-9648-ea0a32b15137";

/// A namespace, a hub and a provisioning service that do not know of each other.
pub(super) struct Site {
    pub(super) world: World,
    pub(super) group: String,
    identity: String,
    pub(super) namespace: String,
    pub(super) hub: String,
    pub(super) dps: String,
}

impl Site {
    pub(super) async fn new() -> Self {
        let world = World::new().await;
        let group = world.group("rg1");
        world.put(&group, "2024-11-01", json!({"location": "westeurope"})).await;
        let identity = format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/uami1");
        world.put(&identity, "2025-05-31-preview", json!({"location": "westeurope"})).await;
        let system = json!({"type": "SystemAssigned"});
        let namespace = format!("{group}/providers/Microsoft.DeviceRegistry/namespaces/plant7");
        world.put(&namespace, NEWEST, json!({"location": "westeurope", "identity": system})).await;
        let hub = format!("{group}/providers/Microsoft.Devices/IotHubs/hub1");
        let both = json!({"type": "SystemAssigned, UserAssigned", "userAssignedIdentities": {identity.clone(): {}}});
        world
            .put(&hub, HUB, json!({"location": "westeurope", "sku": {"name": "S1", "capacity": 1}, "identity": both}))
            .await;
        let dps = format!("{group}/providers/Microsoft.Devices/provisioningServices/dps1");
        world
            .put(&dps, DPS, json!({"location": "westeurope", "sku": {"name": "S1", "capacity": 1}, "identity": both}))
            .await;
        Self { world, group, identity, namespace, hub, dps }
    }

    pub(super) async fn principal(&self, id: &str, version: &str) -> String {
        self.world.get(id, version).await["identity"]["principalId"].as_str().unwrap().to_owned()
    }

    /// Every role that the links need.
    pub(super) async fn grant(&self) {
        let namespace = self.principal(&self.namespace, NEWEST).await;
        self.world.assign(&namespace, builtin::CONTRIBUTOR, &self.hub).await;
        for (id, version) in [(&self.hub, HUB), (&self.dps, DPS)] {
            let principal = self.principal(id, version).await;
            self.world.assign(&principal, REGISTRY_CONTRIBUTOR, &self.namespace).await;
        }
    }

    pub(super) fn body(&self) -> Value {
        let caller = json!({"type": "SystemAssigned"});
        json!({"location": "westeurope", "identity": {"type": "SystemAssigned"}, "properties": {
            "messaging": {"endpoints": {"hub-one": {
                "endpointType": "Microsoft.Devices/IotHubs", "resourceId": self.hub, "inboundCallerIdentity": caller,
                "provisioning": {"availability": "Available", "allocationWeight": 3}}}},
            "provisioning": {"endpoints": {"dps-one": {
                "endpointType": "Microsoft.Devices/provisioningServices", "resourceId": self.dps, "inboundCallerIdentity": caller}}}}})
    }

    pub(super) async fn put(&self, body: Value) -> Value {
        self.world.put(&self.namespace, NEWEST, body).await
    }

    async fn refused(&self, method: &str, body: Value) -> ferrohub_model::error::Error {
        self.world.refused(&self.world.owner, method, &self.namespace, NEWEST, Some(body)).await
    }
}

pub(super) fn hub_of(namespace: &Value) -> &Value {
    &namespace["properties"]["messaging"]["endpoints"]["hub-one"]
}

pub(super) fn dps_of(namespace: &Value) -> &Value {
    &namespace["properties"]["provisioning"]["endpoints"]["dps-one"]
}

#[tokio::test]
async fn a_link_fails_without_roles_stands_with_them_and_is_seen_from_both_sides() {
    let site = Site::new().await;
    let failed = site.put(site.body()).await;
    assert_eq!(failed["properties"]["provisioningState"], "Succeeded");
    for (endpoint, code) in [(hub_of(&failed), "AdrMiNotAuthorized"), (dps_of(&failed), "AuthorizationFailed")] {
        assert_eq!((&endpoint["linkingState"], &endpoint["linkingError"]["code"]), (&json!("Failed"), &json!(code)));
        assert!(
            endpoint["linkingError"]["message"].as_str().unwrap().contains("az role assignment create"),
            "{endpoint}"
        );
    }
    assert!(site.world.get(&site.hub, HUB).await["properties"].get("deviceRegistry").is_none());
    // What is read can be put back, roles or none; it is tried again.
    assert_eq!(site.put(failed.clone()).await["properties"], failed["properties"]);

    site.grant().await;
    let linked = site.put(failed).await;
    let host = "hub1.azure-devices.localhost";
    assert_eq!(
        *hub_of(&linked),
        json!({
        "endpointType": "Microsoft.Devices/IotHubs", "address": host, "deviceAddress": host, "resourceId": site.hub,
        "inboundCallerIdentity": {"type": "SystemAssigned"},
        "provisioning": {"availability": "Available", "allocationWeight": 3}, "linkingState": "Succeeded"})
    );
    assert_eq!(
        *dps_of(&linked),
        json!({
        "endpointType": "Microsoft.Devices/provisioningServices", "resourceId": site.dps,
        "inboundCallerIdentity": {"type": "SystemAssigned"}, "linkingState": "Succeeded"})
    );
    let hub = site.world.get(&site.hub, "2026-10-01-preview").await;
    let link = &hub["properties"]["deviceRegistry"];
    assert_eq!(
        (&link["namespaceResourceId"], &link["identity"]["type"]),
        (&json!(site.namespace), &json!("SystemAssigned"))
    );
    let dps = site.world.get(&site.dps, "2026-11-01").await;
    assert_eq!(dps["properties"]["deviceRegistryNamespaces"][0]["resourceId"], site.namespace);
    let older = site.world.get(&site.dps, DPS).await;
    assert_eq!(older["properties"]["deviceRegistryNamespace"]["resourceId"], site.namespace);

    // Older shapes show the hub as they always did, and keep what they do not know.
    let older = site.world.get(&site.namespace, OLDER).await;
    assert_eq!(
        *hub_of(&older),
        json!({"endpointType": "Microsoft.Devices/IotHubs", "address": host, "resourceId": site.hub})
    );
    assert!(older["properties"].get("provisioning").is_none());
    site.world.put(&site.namespace, OLDER, older.clone()).await;
    site.world.put(&site.namespace, OLDER, json!({"location": "westeurope"})).await;
    let tags = json!({"tags": {"a": "b"}});
    for version in [OLDER, NEWEST] {
        site.world.send(&site.world.owner, "PATCH", &site.namespace, version, Some(tags.clone())).await.unwrap();
    }
    let again = site.world.get(&site.namespace, NEWEST).await;
    assert_eq!(again["properties"], linked["properties"]);
    for (id, version) in [(&site.hub, HUB), (&site.dps, DPS), (&site.dps, "2026-11-01"), (&site.namespace, NEWEST)] {
        let shown = site.world.get(id, version).await;
        site.world.put(id, version, shown).await;
    }
    assert_eq!(site.world.get(&site.namespace, NEWEST).await["properties"], linked["properties"]);
}

#[tokio::test]
async fn a_link_is_changed_and_taken_away_and_made_again() {
    let site = Site::new().await;
    site.grant().await;
    site.put(site.body()).await;
    let refused = site.world.refused(&site.world.owner, "DELETE", &site.namespace, NEWEST, None).await;
    assert_eq!(refused.code, "NamespaceInUse");
    // Another identity, which has no role yet: the link that stands stays as it is.
    let user = json!({"type": "UserAssigned", "userAssignedIdentity": site.identity});
    let patch = json!({"properties": {"messaging": {"endpoints": {"hub-one": {"inboundCallerIdentity": user}}}}});
    let error = site.refused("PATCH", patch.clone()).await;
    assert_eq!((error.http_status(), error.code), (403, "LinkedAuthorizationFailed"));
    assert_eq!(
        hub_of(&site.world.get(&site.namespace, NEWEST).await)["inboundCallerIdentity"]["type"],
        "SystemAssigned"
    );
    let identity = site.world.get(&site.identity, "2025-05-31-preview").await;
    site.world
        .assign(identity["properties"]["principalId"].as_str().unwrap(), REGISTRY_CONTRIBUTOR, &site.namespace)
        .await;
    let changed =
        site.world.send(&site.world.owner, "PATCH", &site.namespace, NEWEST, Some(patch)).await.unwrap().body.unwrap();
    assert_eq!(hub_of(&changed)["inboundCallerIdentity"], user);
    assert_eq!(
        site.world.get(&site.hub, HUB).await["properties"]["deviceRegistry"]["identityResourceId"],
        site.identity
    );
    // Changed at the hub, it is seen here.
    let mut hub = site.world.get(&site.hub, "2026-10-01-preview").await;
    hub["properties"]["deviceRegistry"]["identity"] = json!({"type": "SystemAssigned"});
    site.world.put(&site.hub, "2026-10-01-preview", hub).await;
    assert_eq!(
        hub_of(&site.world.get(&site.namespace, NEWEST).await)["inboundCallerIdentity"],
        json!({"type": "SystemAssigned"})
    );

    let gone = json!({"properties": {"messaging": {"endpoints": {"hub-one": null}}, "provisioning": {"endpoints": {"dps-one": null}}}});
    let shown =
        site.world.send(&site.world.owner, "PATCH", &site.namespace, NEWEST, Some(gone)).await.unwrap().body.unwrap();
    assert!(
        shown["properties"].get("messaging").is_none() && shown["properties"].get("provisioning").is_none(),
        "{shown}"
    );
    assert!(site.world.get(&site.hub, HUB).await["properties"].get("deviceRegistry").is_none());
    assert_eq!(site.world.get(&site.dps, "2026-11-01").await["properties"]["deviceRegistryNamespaces"], json!([]));
    let linked = site.put(site.body()).await;
    assert_eq!(
        (&hub_of(&linked)["linkingState"], &dps_of(&linked)["linkingState"]),
        (&json!("Succeeded"), &json!("Succeeded"))
    );
    // Unlinked from its own side, the endpoint says so, and is linked again when it is sent again.
    let mut dps = site.world.get(&site.dps, DPS).await;
    dps["properties"].as_object_mut().unwrap().shift_remove("deviceRegistryNamespace");
    site.world.put(&site.dps, DPS, dps).await;
    let shown = site.world.get(&site.namespace, NEWEST).await;
    assert_eq!(
        (&dps_of(&shown)["linkingState"], &dps_of(&shown)["linkingError"]["code"]),
        (&json!("Failed"), &json!("LinkableResourceNotReady"))
    );
    assert_eq!(dps_of(&site.put(shown).await)["linkingState"], "Succeeded");
    // A hub that is deleted leaves an endpoint that can be taken away.
    site.world.send(&site.world.owner, "DELETE", &site.hub, HUB, None).await.unwrap();
    let shown = site.world.get(&site.namespace, NEWEST).await;
    assert_eq!(hub_of(&shown)["linkingState"], "Failed");
    site.put(shown.clone()).await;
    let mut less = shown;
    less["properties"]["messaging"]["endpoints"] = json!({});
    assert!(site.put(less).await["properties"].get("messaging").is_none());
}

#[tokio::test]
async fn wrong_endpoints_are_refused_and_nothing_is_linked() {
    let site = Site::new().await;
    site.grant().await;
    let other = format!("{}/providers/Microsoft.DeviceRegistry/namespaces/other", site.group);
    site.world.put(&other, NEWEST, json!({"location": "westeurope", "identity": {"type": "SystemAssigned"}})).await;
    let nowhere = site.hub.replace("hub1", "nowhere");
    let hub = |member: &str, value: Value| {
        let mut body = site.body();
        body["properties"]["messaging"]["endpoints"]["hub-one"][member] = value;
        body
    };
    let dps = |member: &str, value: Value| {
        let mut body = site.body();
        body["properties"]["provisioning"]["endpoints"]["dps-one"][member] = value;
        body
    };
    let (at_hub, at_dps) = ("properties.messaging.endpoints.hub-one", "properties.provisioning.endpoints.dps-one");
    for (body, status, target) in [
        (hub("resourceId", Value::Null), 400, format!("{at_hub}.resourceId")),
        (hub("resourceId", json!("hub1")), 400, format!("{at_hub}.resourceId")),
        (hub("resourceId", json!(site.dps)), 400, format!("{at_hub}.resourceId")),
        (hub("resourceId", json!(nowhere)), 400, format!("{at_hub}.resourceId")),
        (hub("address", json!("elsewhere")), 400, format!("{at_hub}.address")),
        (
            hub("endpointType", json!("Microsoft.Devices/provisioningServices")),
            400,
            "properties.messaging.endpoints".into(),
        ),
        (hub("provisioning", json!({"availability": "Sometimes"})), 400, format!("{at_hub}.provisioning.availability")),
        (hub("provisioning", json!({"allocationWeight": 0})), 400, format!("{at_hub}.provisioning.allocationWeight")),
        (
            hub("inboundCallerIdentity", json!({"type": "UserAssigned"})),
            400,
            format!("{at_hub}.inboundCallerIdentity.userAssignedIdentity"),
        ),
        (
            hub("inboundCallerIdentity", json!({"type": "SystemAssigned", "userAssignedIdentity": site.identity})),
            400,
            format!("{at_hub}.inboundCallerIdentity.userAssignedIdentity"),
        ),
        (
            hub("inboundCallerIdentity", json!({"type": "UserAssigned", "userAssignedIdentity": site.hub})),
            400,
            format!("{at_hub}.inboundCallerIdentity.userAssignedIdentity"),
        ),
        (dps("resourceId", json!(site.hub)), 400, format!("{at_dps}.resourceId")),
        (dps("endpointType", json!("Microsoft.Devices/IotHubs")), 400, "properties.provisioning.endpoints".into()),
        (dps("address", json!("x")), 400, format!("{at_dps}.address")),
    ] {
        let error = site.refused("PUT", body.clone()).await;
        assert_eq!((error.http_status(), error.target), (status, Some(target)), "{body}: {}", error.message);
    }
    let mut twice = site.body();
    twice["properties"]["messaging"]["endpoints"]["hub-two"] =
        twice["properties"]["messaging"]["endpoints"]["hub-one"].clone();
    assert_eq!(site.refused("PUT", twice).await.code, "InvalidPropertyValue");
    let mut named = site.body();
    named["properties"]["messaging"]["endpoints"] =
        json!({"a_b": named["properties"]["messaging"]["endpoints"]["hub-one"]});
    assert_eq!(site.refused("PUT", named).await.code, "InvalidPropertyValue");
    assert!(site.world.get(&site.hub, HUB).await["properties"].get("deviceRegistry").is_none());

    site.put(site.body()).await;
    let mut renamed = site.body();
    renamed["properties"]["messaging"]["endpoints"] =
        json!({"hub-two": renamed["properties"]["messaging"]["endpoints"]["hub-one"]});
    let error = site.refused("PUT", renamed).await;
    assert_eq!((error.http_status(), error.code), (409, "PropertyChangeNotAllowed"));
    let error = site.world.refused(&site.world.owner, "PUT", &other, NEWEST, Some(site.body())).await;
    assert_eq!((error.http_status(), error.code), (409, "AlreadyLinkedToAnotherNamespace"));
    assert!(error.message.contains(&site.namespace), "{error}");
}

#[tokio::test]
async fn a_hub_linked_from_its_own_side_is_put_back_and_offered_when_that_is_said() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let shown = world.get(&plant.namespace, NEWEST).await;
    let endpoint = &shown["properties"]["messaging"]["endpoints"]["hub1"];
    assert_eq!(
        endpoint["inboundCallerIdentity"],
        json!({"type": "UserAssigned", "userAssignedIdentity": plant.identity})
    );
    assert_eq!((&endpoint["linkingState"], endpoint.get("provisioning")), (&json!("Succeeded"), None));
    assert_eq!(shown["properties"]["provisioning"]["endpoints"]["dps1"]["linkingState"], "Succeeded");
    let back = world.put(&plant.namespace, NEWEST, shown.clone()).await;
    assert_eq!(back["properties"], shown["properties"]);
    let mut offered = shown;
    offered["properties"]["messaging"]["endpoints"]["hub1"]["provisioning"] = json!({"availability": "disabled"});
    let back = world.put(&plant.namespace, NEWEST, offered).await;
    let endpoint = &back["properties"]["messaging"]["endpoints"]["hub1"];
    assert_eq!(endpoint["provisioning"], json!({"availability": "Disabled", "allocationWeight": 1}));
}

#[tokio::test]
async fn a_namespace_acts_as_the_identity_that_it_names() {
    let site = Site::new().await;
    let users = json!({"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": {site.identity.clone(): {}}});
    let user = json!({"type": "UserAssigned", "userAssignedIdentity": site.identity});
    let of = |identity: &Value, outbound: Value| json!({"location": "westeurope", "identity": identity, "properties": {"outboundIdentity": outbound}});
    let shown = site.put(of(&users, user.clone())).await;
    assert_eq!(
        (&shown["identity"]["type"], &shown["properties"]["outboundIdentity"]),
        (&json!("SystemAssigned,UserAssigned"), &user)
    );
    // Older shapes know its own identity only, and take nothing away.
    let older = site.world.get(&site.namespace, OLDER).await;
    assert_eq!(older["identity"]["type"], "SystemAssigned");
    assert!(
        older["identity"].get("userAssignedIdentities").is_none()
            && older["properties"].get("outboundIdentity").is_none()
    );
    site.world.put(&site.namespace, OLDER, older).await;
    let again = site.world.get(&site.namespace, NEWEST).await;
    assert_eq!((&again["identity"], &again["properties"]), (&shown["identity"], &shown["properties"]));
    let error = site
        .world
        .refused(
            &site.world.owner,
            "PUT",
            &site.namespace,
            OLDER,
            Some(json!({"location": "westeurope", "identity": users})),
        )
        .await;
    assert_eq!((error.http_status(), error.target.as_deref()), (400, Some("identity.userAssignedIdentities")));
    let error = site
        .world
        .refused(
            &site.world.owner,
            "PATCH",
            &site.namespace,
            OLDER,
            Some(json!({"identity": {"type": "UserAssigned"}})),
        )
        .await;
    assert_eq!(error.target.as_deref(), Some("identity.type"));

    // The role of the named identity counts, not that of its own.
    site.grant().await;
    let mut body = site.body();
    (body["identity"], body["properties"]["outboundIdentity"]) = (users.clone(), user.clone());
    let failed = site.put(body.clone()).await;
    assert_eq!(hub_of(&failed)["linkingError"]["code"], "AdrMiNotAuthorized");
    let principal = site.world.get(&site.identity, "2025-05-31-preview").await["properties"]["principalId"].clone();
    site.world.assign(principal.as_str().unwrap(), builtin::CONTRIBUTOR, &site.hub).await;
    assert_eq!(hub_of(&site.put(body).await)["linkingState"], "Succeeded");
    let bare = site.refused("PUT", of(&json!({"type": "SystemAssigned"}), user.clone())).await;
    assert!(bare.http_status() == 409 || bare.http_status() == 400, "{bare}");
    for (identity, outbound) in [
        (&users, json!({"type": "UserAssigned"})),
        (&users, json!({"type": "SystemAssigned", "userAssignedIdentity": site.identity})),
        (&users, json!({"type": "UserAssigned", "userAssignedIdentity": site.identity.replace("uami1", "uami2")})),
    ] {
        let error = site.refused("PUT", of(identity, outbound.clone())).await;
        assert_eq!(error.http_status(), 400, "{outbound}: {error}");
    }
    let back = site.put(of(&json!({"type": "SystemAssigned"}), Value::Null)).await;
    assert_eq!(
        (&back["identity"]["type"], back["properties"].get("outboundIdentity")),
        (&json!("SystemAssigned"), None)
    );
}

#[tokio::test]
async fn a_namespace_without_an_identity_links_no_hub_and_who_may_not_write_a_service_links_none() {
    let site = Site::new().await;
    site.grant().await;
    let mut body = site.body();
    body["identity"] = json!({"type": "None"});
    body["properties"].as_object_mut().unwrap().shift_remove("provisioning");
    let shown = site.put(body.clone()).await;
    assert_eq!(hub_of(&shown)["linkingError"]["code"], "OutboundIdentityUnavailable");
    // An identity of this very write has no role yet.
    body["identity"] = json!({"type": "SystemAssigned"});
    let shown = site.put(body).await;
    assert_eq!(hub_of(&shown)["linkingError"]["code"], "NamespaceMiTokenAcquisitionFailed");

    let stranger = site.world.stranger().await;
    site.world.assign(stranger.id(), builtin::CONTRIBUTOR, &site.namespace).await;
    let mut body = site.world.get(&site.namespace, NEWEST).await;
    body["properties"]["messaging"]["endpoints"] = json!({});
    body["properties"]["provisioning"] = site.body()["properties"]["provisioning"].clone();
    for role in [None, Some(builtin::READER)] {
        if let Some(role) = role {
            site.world.assign(stranger.id(), role, &site.dps).await;
        }
        let error = site.world.refused(&stranger, "PUT", &site.namespace, NEWEST, Some(body.clone())).await;
        assert_eq!((error.http_status(), error.code), (403, "LinkedAuthorizationFailed"), "{role:?}: {error}");
    }
    assert_eq!(site.world.get(&site.dps, "2026-11-01").await["properties"]["deviceRegistryNamespaces"], json!([]));
    site.world.assign(stranger.id(), builtin::CONTRIBUTOR, &site.dps).await;
    let shown = site.world.send(&stranger, "PUT", &site.namespace, NEWEST, Some(body)).await.unwrap().body.unwrap();
    assert_eq!(dps_of(&shown)["linkingState"], "Succeeded");
}

#[tokio::test]
async fn a_link_is_taken_away_by_those_who_may_write_both_sides() {
    let site = Site::new().await;
    site.grant().await;
    site.put(site.body()).await;
    let world = &site.world;
    for part in ["credentials/default", "credentials/default/policies/default"] {
        let path = format!("{}/{part}", site.namespace);
        world.put(&path, OLDER, json!({"location": "westeurope", "properties": {}})).await;
    }
    world
        .send(&world.owner, "POST", &format!("{}/credentials/default/synchronize", site.namespace), OLDER, None)
        .await
        .unwrap();
    let certificates = world.get(&format!("{}/certificates", site.hub), HUB).await;
    let certificate = certificates["value"][0]["id"].as_str().unwrap().to_owned();
    let stranger = world.stranger().await;
    for scope in [&site.namespace, &site.identity] {
        world.assign(stranger.id(), builtin::CONTRIBUTOR, scope).await;
    }
    for (room, target) in [("messaging", &site.hub), ("provisioning", &site.dps)] {
        world.assign(stranger.id(), builtin::READER, target).await;
        let mut body = site.body();
        body["properties"][room]["endpoints"] = json!({});
        let error = world.refused(&stranger, "PUT", &site.namespace, NEWEST, Some(body)).await;
        assert_eq!((error.http_status(), error.code), (403, "LinkedAuthorizationFailed"), "{room}: {error}");
        assert!(error.message.contains("/write") && error.message.contains(target.as_str()), "{error}");
    }
    let mut body = site.body();
    body["properties"]["messaging"]["endpoints"] = json!({});
    let lock = format!("{certificate}/providers/Microsoft.Authorization/locks/keep");
    world.put(&lock, "2020-05-01", json!({"properties": {"level": "CanNotDelete"}})).await;
    let error = site.refused("PUT", body.clone()).await;
    assert_eq!(error.code, "ScopeLocked", "{error}");
    world.get(&certificate, HUB).await;
    world.send(&world.owner, "DELETE", &lock, "2020-05-01", None).await.unwrap();
    world.assign(stranger.id(), builtin::CONTRIBUTOR, &site.hub).await;
    world.send(&stranger, "PUT", &site.namespace, NEWEST, Some(body)).await.unwrap();
    assert!(world.get(&site.hub, HUB).await["properties"].get("deviceRegistry").is_none());
    assert_eq!(world.refused(&world.owner, "GET", &certificate, HUB, None).await.http_status(), 404);
}
