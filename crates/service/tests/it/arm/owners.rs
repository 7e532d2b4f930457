//! The last Owner cannot go, however it is tried; roles go with their principal; the folder's holder gets back in.

use super::fixture::{BASE, HUB, World, bearer};
use super::people::{GRAPH, PASSWORD};
use crate::installation::MASTER_KEY;
use ferrohub_model::error::Error;
use ferrohub_pki::seal::MasterKey;
use ferrohub_service::authn::Audience;
use ferrohub_service::authz::{Actor, builtin};
use ferrohub_service::graph::GraphRequest;
use serde_json::{Value, json};

const ROLES: &str = "2022-04-01";

async fn graph(world: &World, method: &str, path: &[&str]) -> Result<(u16, Option<Value>), Error> {
    let request = GraphRequest {
        method: method.into(),
        path: path.iter().map(ToString::to_string).collect(),
        query: Vec::new(),
        body: None,
        actor: world.owner.clone(),
        base_url: BASE.into(),
        address: None,
    };
    world.service().graph.handle(request).await
}

fn subscription(world: &World) -> String {
    format!("/subscriptions/{}", world.subscription)
}

/// Ids of the assignments of a principal.
async fn roles_of(world: &World, principal: &str) -> Vec<String> {
    let path = format!("{}/providers/Microsoft.Authorization/roleAssignments", subscription(world));
    let all = world.get(&path, ROLES).await;
    let found = all["value"].as_array().unwrap().iter();
    found
        .filter(|one| one["properties"]["principalId"] == principal)
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect()
}

async fn identity(world: &World, group: &str, name: &str) -> (String, String) {
    let id = format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}");
    let made = world.put(&id, "2023-01-31", json!({"location": "westeurope"})).await;
    (id, made["properties"]["principalId"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn the_last_owner_cannot_go_by_any_way() {
    let world = World::new().await;
    let owner = world.owner.id().to_owned();
    let founding = roles_of(&world, &owner).await.remove(0);
    let shown = graph(&world, "GET", &["servicePrincipals", &owner]).await.unwrap().1.unwrap();
    let applications = graph(&world, "GET", &["applications"]).await.unwrap().1.unwrap();
    let application = applications["value"].as_array().unwrap().iter().find(|one| one["appId"] == shown["appId"]);
    let application = application.unwrap()["id"].as_str().unwrap().to_owned();
    // An Owner of a group is none of the subscription, and one whose principal is gone is none at all.
    let group = world.group("rg1");
    world.put(&group, "2024-11-01", json!({"location": "westeurope"})).await;
    let stranger = world.stranger().await;
    world.assign(stranger.id(), builtin::OWNER, &group).await;
    for (kind, id) in [("servicePrincipals", owner.as_str()), ("applications", application.as_str())] {
        let error = graph(&world, "DELETE", &[kind, id]).await.unwrap_err();
        assert_eq!((error.http_status(), error.code), (409, "LastRbacAdmin"), "{kind}");
        assert!(error.message.contains("assign Owner there to somebody else first"), "{error}");
    }
    let error = world.refused(&world.owner, "DELETE", &founding, ROLES, None).await;
    assert_eq!((error.http_status(), error.code), (409, "LastRbacAdmin"));

    // Where an identity is the only other Owner, neither it nor its group can go once the founder went.
    let (id, principal) = identity(&world, &group, "boss").await;
    let made = world.assign(&principal, builtin::OWNER, &subscription(&world)).await;
    let gone = world.send(&world.owner, "DELETE", &founding, ROLES, None).await.unwrap();
    assert_eq!(gone.status, 200);
    // What the founder may not do any more, an Owner by the identity may.
    world.platform().refresh_access().await.unwrap();
    let boss = world.platform().identity_actor(&principal).await.unwrap();
    for (path, version) in [(id.as_str(), "2023-01-31"), (group.as_str(), "2024-11-01")] {
        let error = world.refused(&boss, "DELETE", path, version, None).await;
        assert_eq!((error.http_status(), error.code), (409, "LastRbacAdmin"), "{path}");
    }
    let left = world.send(&boss, "GET", &id, "2023-01-31", None).await.unwrap();
    assert_eq!(left.status, 200, "nothing of the group went");
    let error = world.refused(&boss, "DELETE", made["id"].as_str().unwrap(), ROLES, None).await;
    assert_eq!(error.code, "LastRbacAdmin");
    // With another Owner the same requests go through.
    let path = format!(
        "{}/providers/Microsoft.Authorization/roleAssignments/{}",
        subscription(&world),
        "09090909-0909-4909-8909-090909090909"
    );
    let body = json!({"properties": {"roleDefinitionId": made["properties"]["roleDefinitionId"], "principalId": stranger.id(), "principalType": "ServicePrincipal"}});
    assert_eq!(world.send(&boss, "PUT", &path, ROLES, Some(body)).await.unwrap().status, 201);
    assert_eq!(world.send(&stranger, "DELETE", &group, "2024-11-01", None).await.unwrap().status, 200);
    let list = format!("{}/providers/Microsoft.Authorization/roleAssignments", subscription(&world));
    let all = world.send(&stranger, "GET", &list, ROLES, None).await.unwrap().body.unwrap();
    assert_eq!(all["value"].as_array().unwrap().len(), 1, "roles in the group and of its identity went: {all}");
}

#[tokio::test]
async fn a_system_identity_that_is_the_last_owner_stays() {
    let world = World::new().await;
    let group = world.group("rg1");
    world.put(&group, "2024-11-01", json!({"location": "westeurope"})).await;
    let hub = format!("{group}/providers/Microsoft.Devices/IotHubs/hub1");
    let body = |kind: &str| json!({"location": "westeurope", "sku": {"name": "S1", "capacity": 1}, "identity": {"type": kind}});
    let made = world.put(&hub, HUB, body("SystemAssigned")).await;
    let principal = made["identity"]["principalId"].as_str().unwrap().to_owned();
    world.assign(&principal, builtin::OWNER, &subscription(&world)).await;
    let founding = roles_of(&world, world.owner.id()).await.remove(0);
    world.send(&world.owner, "DELETE", &founding, ROLES, None).await.unwrap();
    world.platform().refresh_access().await.unwrap();
    let own = world.platform().identity_actor(&principal).await.unwrap();
    let error = world.refused(&own, "PUT", &hub, HUB, Some(body("None"))).await;
    assert_eq!(error.code, "LastRbacAdmin");
    let error = world.refused(&own, "DELETE", &hub, HUB, None).await;
    assert_eq!(error.code, "LastRbacAdmin");
    assert_eq!(world.send(&own, "GET", &hub, HUB, None).await.unwrap().status, 200);
}

#[tokio::test]
async fn roles_go_with_their_principal_and_the_log_tells() {
    let world = World::new().await;
    let group = world.group("rg1");
    world.put(&group, "2024-11-01", json!({"location": "westeurope"})).await;
    let stranger = world.stranger().await;
    // More than go in one unit.
    for number in 0..130 {
        let group = world.group(&format!("g{number}"));
        world.put(&group, "2024-11-01", json!({"location": "westeurope"})).await;
        world.assign(stranger.id(), builtin::READER, &group).await;
    }
    let (id, principal) = identity(&world, &group, "mid").await;
    world.assign(&principal, builtin::READER, &group).await;
    world.assign(&principal, builtin::READER, &id).await;
    assert_eq!(roles_of(&world, &principal).await.len(), 2);
    assert_eq!(world.send(&world.owner, "DELETE", &id, "2023-01-31", None).await.unwrap().status, 200);
    assert_eq!(roles_of(&world, &principal).await, Vec::<String>::new());
    assert_eq!(graph(&world, "DELETE", &["servicePrincipals", stranger.id()]).await.unwrap().0, 204);
    assert_eq!(roles_of(&world, stranger.id()).await, Vec::<String>::new());
    for platform in world.platforms() {
        platform.refresh_access().await.unwrap();
        assert!(!platform.access().knows(stranger.id()) && !platform.access().knows(&principal));
    }
    let store = world.platform().store.clone();
    let rows = store.last(&ferrohub_service::tables::ACTIVITY, "", ferrohub_store::Page::first(2000)).await.unwrap();
    let told = rows.iter().filter(|row| {
        let row = row.value().unwrap();
        row["operationName"] == "Microsoft.Authorization/roleAssignments/delete" && row["method"] == ""
    });
    assert_eq!(told.count(), 132, "each is told of, once");
}

#[tokio::test]
async fn two_owners_who_remove_each_other_leave_one() {
    for _ in 0..5 {
        let world = World::new().await;
        let other = world.stranger().await;
        world.assign(other.id(), builtin::OWNER, &subscription(&world)).await;
        let founding = roles_of(&world, world.owner.id()).await.remove(0);
        let path = ["servicePrincipals", other.id()];
        let (first, second) =
            tokio::join!(world.send(&other, "DELETE", &founding, ROLES, None), graph(&world, "DELETE", &path));
        assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    }
}

/// The owner signed in with what a reset gave.
async fn reset(world: &World) -> Actor {
    let engines = world.engines();
    let key = MasterKey::from_bytes(&[1; 32]).unwrap();
    assert!(ferrohub_service::reset_owner(&engines, key).await.is_err(), "another master key");
    let key = MasterKey::from_bytes(&MASTER_KEY).unwrap();
    let owner = ferrohub_service::reset_owner(&engines, key).await.unwrap();
    let header = bearer(world.service(), &owner.client_id, &owner.client_secret).await;
    world.service().authn.bearer(Some(&header), Audience::Arm).await.unwrap()
}

#[tokio::test]
async fn an_owner_who_was_lost_is_made_good_again() {
    let world = World::new().await;
    // Only the secret was lost: the same principal, without its former secrets.
    let again = reset(&world).await;
    assert_eq!(again.id(), world.owner.id());
    assert_eq!(roles_of(&world, again.id()).await.len(), 1);
    // So is the person whom links sign in.
    let link = Some(serde_json::json!({}));
    let person = world.directory("POST", "ferrohub.signInLink", link.clone()).await["id"].as_str().unwrap().to_owned();
    for role in roles_of(&world, &person).await {
        world.send(&world.owner, "DELETE", &role, ROLES, None).await.unwrap();
    }
    world.directory("PATCH", &format!("users/{person}"), Some(json!({"accountEnabled": false}))).await;
    let refused = world.graph_as(&world.owner, "POST", "ferrohub.signInLink", link.clone()).await.unwrap_err();
    assert!(refused.message.contains("is disabled"), "{refused}");
    let again = reset(&world).await;
    assert_eq!(world.graph_as(&again, "POST", "ferrohub.signInLink", link).await.unwrap()["id"], person);
    assert_eq!(roles_of(&world, &person).await.len(), 1);
    // The right was lost.
    let other = world.stranger().await;
    world.assign(other.id(), builtin::OWNER, &subscription(&world)).await;
    let founding = roles_of(&world, again.id()).await.remove(0);
    world.send(&world.owner, "DELETE", &founding, ROLES, None).await.unwrap();
    let again = reset(&world).await;
    assert_eq!(roles_of(&world, again.id()).await.len(), 1);
    // The principal was lost.
    graph(&world, "DELETE", &["servicePrincipals", again.id()]).await.unwrap();
    let again = reset(&world).await;
    assert_ne!(again.id(), world.owner.id());
    let group = world.group("rg9");
    let made = world.send(&again, "PUT", &group, "2024-11-01", Some(json!({"location": "westeurope"}))).await.unwrap();
    assert_eq!(made.status, 201);
    let rows = world
        .platform()
        .store
        .last(&ferrohub_service::tables::ACTIVITY, "", ferrohub_store::Page::first(2000))
        .await
        .unwrap();
    let told = rows.iter().filter(|row| row.value().unwrap()["caller"] == "worker:owner-reset").count();
    assert_eq!(told, 4 + 3, "four resets, three assignments");
}

#[tokio::test]
async fn of_two_owners_who_are_disabled_at_once_one_stays() {
    let world = World::new().await;
    let (ann, bob) = (world.user("ann").await, world.user("bob").await);
    let scope = format!("/subscriptions/{}", world.subscription);
    let founding = world.get(&format!("{scope}/providers/Microsoft.Authorization/roleAssignments"), "2022-04-01").await;
    for (number, person) in [&ann, &bob].into_iter().enumerate() {
        let name = format!("00000000-0000-4000-8000-00000000000{number}");
        let definition = format!("{scope}/providers/Microsoft.Authorization/roleDefinitions/{}", builtin::OWNER);
        let role = json!({"roleDefinitionId": definition, "principalId": person["id"], "principalType": "User"});
        let path = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}");
        world.put(&path, ROLES, json!({"properties": role})).await;
    }
    let gone =
        world.send(&world.owner, "DELETE", founding["value"][0]["id"].as_str().unwrap(), "2022-04-01", None).await;
    assert_eq!(gone.unwrap().status, 200);
    let token = world.sign_in_for(GRAPH, "ann@plant.example", PASSWORD).await.unwrap();
    let actor = world.bearer_of(&token, Audience::Graph).await.unwrap();
    let disable = async |person: &Value| {
        let path = format!("users/{}", person["id"].as_str().unwrap());
        world.graph_as(&actor, "PATCH", &path, Some(json!({"accountEnabled": false}))).await
    };
    let both = async { tokio::join!(disable(&ann), disable(&bob)) };
    let (one, other) = Box::pin(world.while_time_passes(both)).await;
    assert_ne!(one.is_ok(), other.is_ok(), "{one:?} {other:?}");
    let error = one.err().or(other.err()).unwrap();
    assert!(matches!(error.code, "LastRbacAdmin" | "Authorization_RequestDenied"), "{error}");
}
