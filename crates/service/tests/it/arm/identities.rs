//! An identity is its principal, not its name: what was deleted and made anew under the same id is another one.

use super::fixture::{DPS, HUB, Plant, World, plant};
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
