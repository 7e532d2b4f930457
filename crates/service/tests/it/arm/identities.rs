//! An identity is its principal, not its name: what was deleted and made anew under the same id is another one.

use super::fixture::{ADR, DPS, HUB, Plant, World, plant};
use ferrohub_service::authz::{Actor, builtin};
use serde_json::{Value, json};

const IDENTITY: &str = "2023-01-31";

struct Remade {
    world: World,
    plant: Plant,
    /// Object id of the identity that was attached and deleted.
    gone: String,
    /// Contributor on hub and DPS, without a right on the identity.
    narrow: Actor,
}

impl Remade {
    /// Deletes the identity of the plant.
    async fn new() -> Self {
        let world = World::new().await;
        let plant = plant(&world).await;
        let shown = world.get(&plant.identity, IDENTITY).await;
        let gone = shown["properties"]["principalId"].as_str().unwrap().to_owned();
        let deleted = world.send(&world.owner, "DELETE", &plant.identity, IDENTITY, None).await.unwrap();
        assert_eq!(deleted.status, 200, "as in Azure, an attached identity may go");
        let narrow = world.stranger().await;
        for scope in [&plant.hub, &plant.dps] {
            world.assign(narrow.id(), builtin::CONTRIBUTOR, scope).await;
        }
        world.assign(narrow.id(), builtin::READER, &plant.namespace).await;
        Self { world, plant, gone, narrow }
    }

    async fn make_anew(&self) -> String {
        let made = self.world.put(&self.plant.identity, IDENTITY, json!({"location": "westeurope"})).await;
        made["properties"]["principalId"].as_str().unwrap().to_owned()
    }

    /// Hub and DPS with their api-versions.
    fn holders(&self) -> [(&str, &'static str); 2] {
        [(self.plant.hub.as_str(), HUB), (self.plant.dps.as_str(), DPS)]
    }

    async fn attached(&self, path: &str, version: &str) -> Value {
        let shown = self.world.get(path, version).await;
        let all = shown["identity"]["userAssignedIdentities"].as_object().unwrap();
        assert_eq!(all.len(), 1, "{shown}");
        all[&self.plant.identity]["principalId"].clone()
    }
}

#[tokio::test]
async fn a_resource_whose_identity_is_gone_is_tagged_as_before() {
    let remade = Remade::new().await;
    for again in [false, true] {
        for (path, version) in remade.holders() {
            let tags = json!({"tags": {"again": again.to_string()}});
            remade.world.send(&remade.narrow, "PATCH", path, version, Some(tags)).await.unwrap();
            // What `az … update` does: all that was read, with a change.
            let mut whole = remade.world.get(path, version).await;
            whole["tags"]["put"] = "1".into();
            let answer =
                remade.world.send(&remade.narrow, "PUT", path, version, Some(whole)).await.unwrap().body.unwrap();
            assert_eq!(answer["tags"], json!({"again": again.to_string(), "put": "1"}));
            assert_eq!(remade.attached(path, version).await, remade.gone.as_str());
        }
        remade.make_anew().await;
    }
}

#[tokio::test]
async fn one_made_anew_is_attached_by_those_who_may_assign_it() {
    let remade = Remade::new().await;
    let new = remade.make_anew().await;
    for (path, version) in remade.holders() {
        let body = json!({"identity": {"type": "UserAssigned", "userAssignedIdentities": {remade.plant.identity.clone(): {"principalId": new}}}});
        let error = remade.world.refused(&remade.narrow, "PATCH", path, version, Some(body)).await;
        assert_eq!(error.code, "LinkedAuthorizationFailed", "{path}");
        let mut whole = remade.world.get(path, version).await;
        whole["identity"]["userAssignedIdentities"] = json!({remade.plant.identity.clone(): {}});
        let error = remade.world.refused(&remade.narrow, "PUT", path, version, Some(whole.clone())).await;
        assert_eq!(error.code, "LinkedAuthorizationFailed", "{path}");
        assert_eq!(remade.attached(path, version).await, remade.gone.as_str());
        remade.world.put(path, version, whole).await;
        assert_eq!(remade.attached(path, version).await, new.as_str());
        // Attached now, so that whoever may not assign it may keep it.
        let whole = remade.world.get(path, version).await;
        remade.world.send(&remade.narrow, "PUT", path, version, Some(whole)).await.unwrap();
    }
}

#[tokio::test]
async fn an_identity_is_taken_off_unless_the_resource_acts_as_it() {
    for gone in [false, true] {
        let world = World::new().await;
        let plant = plant(&world).await;
        if gone {
            world.send(&world.owner, "DELETE", &plant.identity, IDENTITY, None).await.unwrap();
        }
        for (path, version) in [(&plant.hub, HUB), (&plant.dps, DPS)] {
            // Ids are the same whatever their case.
            let off = json!({"identity": {"userAssignedIdentities": {plant.identity.to_uppercase(): null}}});
            let answer = world.send(&world.owner, "PATCH", path, version, Some(off)).await;
            match gone {
                true => assert!(answer.unwrap().body.unwrap()["identity"]["userAssignedIdentities"].is_null()),
                false => {
                    let error = answer.unwrap_err();
                    assert_eq!((error.http_status(), error.code), (409, "FailedIdentityOperation"), "{error}");
                    assert!(
                        error.message.contains(&plant.identity) && error.message.contains("acts on its namespace"),
                        "{error}"
                    );
                }
            }
        }
        // Without its link the service acts as nobody, and lets go of the identity.
        let mut whole = world.get(&plant.dps, DPS).await;
        whole["properties"]["deviceRegistryNamespace"] = Value::Null;
        whole["identity"] = json!({"type": "None"});
        let answer = world.put(&plant.dps, DPS, whole).await;
        assert!(
            answer["identity"]["userAssignedIdentities"].is_null()
                && answer["properties"].get("deviceRegistryNamespace").is_none()
        );
    }
}

#[tokio::test]
async fn what_an_identity_is_attached_to_and_what_a_resource_is_itself() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let path = format!("{}/listAssociatedResources", plant.identity);
    let ask = async |actor: &Actor| {
        world.send(actor, "POST", &path, "2022-01-31-preview", None).await.map(|answer| answer.body.unwrap())
    };
    let all = ask(&world.owner).await.unwrap();
    let ids: Vec<&str> = all["value"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&plant.hub.as_str()) && all["totalCount"] == ids.len(), "{all}");
    let stranger = world.stranger().await;
    assert_eq!(ask(&stranger).await.unwrap_err().code, "AuthorizationFailed");
    world.assign(stranger.id(), builtin::CONTRIBUTOR, &plant.identity).await;
    assert_eq!(ask(&stranger).await.unwrap()["value"], json!([]), "what one may not read is not told of");
    let alias = json!({"properties": {"displayName": "Second plant"}});
    let made = world.put("/providers/Microsoft.Subscription/aliases/plant2", "2021-10-01", alias).await;
    let other = made["properties"]["subscriptionId"].as_str().unwrap();
    let group = format!("/subscriptions/{other}/resourceGroups/rg9");
    world.put(&group, "2024-11-01", json!({"location": "westeurope"})).await;
    let away = json!({"type": "UserAssigned", "userAssignedIdentities": {plant.identity.clone(): {}}});
    let hub = format!("{group}/providers/Microsoft.Devices/IotHubs/hub9");
    world
        .put(&hub, HUB, json!({"location": "westeurope", "sku": {"name": "S1", "capacity": 1}, "identity": away}))
        .await;
    let all = ask(&world.owner).await.unwrap();
    let there = all["value"].as_array().unwrap().iter().find(|one| one["id"] == hub.as_str()).unwrap();
    assert_eq!((&there["subscriptionId"], &there["subscriptionDisplayName"]), (&json!(other), &json!("Second plant")));

    let own = |scope: &str| format!("{scope}/providers/Microsoft.ManagedIdentity/identities/default");
    let shown = world.get(&own(&plant.namespace), "2024-11-30").await;
    let namespace = world.get(&plant.namespace, ADR).await;
    assert_eq!(shown["properties"]["principalId"], namespace["identity"]["principalId"]);
    for (scope, status) in [(plant.hub.clone(), 404), (plant.group.clone(), 404), (format!("{}x", plant.hub), 404)] {
        let refused = world.refused(&world.owner, "GET", &own(&scope), "2024-11-30", None).await;
        assert_eq!(refused.http_status(), status, "{scope}");
    }
    assert_eq!(world.refused(&stranger, "GET", &own(&plant.namespace), "2024-11-30", None).await.http_status(), 403);
}
