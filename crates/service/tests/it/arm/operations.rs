//! Long operations end, whatever happens on the way, and leave no orphans.

use super::fixture::{ADR, HUB, Plant, World, plant};
use crate::installation::let_time_pass;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_service::arm::operation::{self, StoredOperation};
use ferrohub_service::arm::operations::{self, OperationOutcome};
use ferrohub_service::platform::Change;
use ferrohub_service::resources;
use ferrohub_service::tables::{ACTIVITY, DEVICES, PRINCIPALS, RESOURCES};
use ferrohub_store::Page;
use serde_json::json;
use uuid::Uuid;

#[tokio::test]
async fn deleting_a_group_takes_everything_with_it() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let answer = world.send(&world.owner, "DELETE", &plant.group, "2024-11-01", None).await.unwrap();
    assert_eq!(answer.status, 200);
    let store = &world.platform().store;
    // The owner's assignment stands at the subscription; everything else lay in the group.
    let left = store.scan(&RESOURCES, "", Page::first(100)).await.unwrap();
    assert_eq!(left.len(), 1, "{:?}", left.iter().map(|r| &r.columns).collect::<Vec<_>>());
    assert!(store.scan(&DEVICES, "", Page::first(100)).await.unwrap().is_empty());
    // Owner and the first-party principal stay; the identities of the group are gone.
    assert_eq!(store.scan(&PRINCIPALS, "", Page::first(100)).await.unwrap().len(), 2);
    let error = world.refused(&world.owner, "DELETE", &plant.group, "2024-11-01", None).await;
    assert_eq!(error.code, "ResourceGroupNotFound");
}

/// A hub of another group that keeps the plant's group from going.
async fn link_from_another_group(world: &World, plant: &Plant) {
    let other = world.group("rg2");
    world.put(&other, "2024-11-01", json!({"location": "eastus"})).await;
    let hub = format!("{other}/providers/Microsoft.Devices/IotHubs/hub2");
    let body = json!({"location": "eastus", "identity": {"type": "UserAssigned", "userAssignedIdentities": {plant.identity.clone(): {}}},
        "properties": {"deviceRegistry": {"namespaceResourceId": plant.namespace, "identityResourceId": plant.identity}}});
    world.put(&hub, HUB, body).await;
}

#[tokio::test]
async fn a_group_that_cannot_go_says_what_holds_it() {
    let world = World::new().await;
    let plant = plant(&world).await;
    link_from_another_group(&world, &plant).await;
    let error = world.refused(&world.owner, "DELETE", &plant.group, "2024-11-01", None).await;
    assert_eq!(error.code, "ResourceGroupDeletionBlocked");
    assert!(error.message.contains("plant7") && error.message.contains("hub2"), "{error}");
    let rows = world.platform().store.scan(&ACTIVITY, "", Page::first(1000)).await.unwrap();
    let rows = rows.iter().map(|row| row.value().unwrap()).filter(|row| row["resourceId"] == plant.group.as_str());
    let deletes = rows.filter(|row| row["operationName"].as_str().is_some_and(|name| name.ends_with("/delete")));
    // Of one millisecond, so in any order.
    let mut told: Vec<_> = deletes.map(|row| (row["status"].clone(), row["error"]["code"].clone())).collect();
    told.sort_by_key(|(status, _)| status.to_string());
    let failed = (json!("Failed"), json!("ResourceGroupDeletionBlocked"));
    assert!(told == [failed.clone(), (json!("Started"), json!(null))] || told == [failed], "told once: {told:?}");
    let group = world.get(&plant.group, "2024-11-01").await;
    assert_eq!(group["properties"]["provisioningState"], "Succeeded");
    // Nothing was touched: the CA, the policy and the devices are there, and so is what was linked inside the group.
    let namespace = world.get(&plant.namespace, ADR).await;
    assert_eq!(namespace["properties"]["provisioningState"], "Succeeded");
    let policy = format!("{}/credentials/default/policies/default", plant.namespace);
    assert_eq!(world.get(&policy, ADR).await["name"], "default");
    assert_eq!(world.get(&plant.hub, HUB).await["name"], "hub1");
    assert_eq!(world.get(&plant.dps, super::fixture::DPS).await["name"], "dps1");
}

#[tokio::test]
async fn a_resource_goes_with_the_roles_that_were_assigned_on_it() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let stranger = world.stranger().await;
    let policy = format!("{}/credentials/default/policies/default", plant.namespace);
    let assignment = world.assign(stranger.id(), ferrohub_service::authz::builtin::READER, &policy).await;
    let answer = world.send(&world.owner, "DELETE", &policy, ADR, None).await.unwrap();
    assert_eq!(answer.status, 204);
    let id = assignment["id"].as_str().unwrap();
    assert_eq!(world.refused(&world.owner, "GET", id, "2022-04-01", None).await.http_status(), 404);
}

#[tokio::test]
async fn an_operation_that_was_cut_off_is_taken_up_and_ends() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let platform = world.platform();
    let id = ResourceId::parse(&plant.group).unwrap();
    let uid = uid_of(&world, &plant.group).await;
    let record = StoredOperation::with(
        platform,
        world.owner.id(),
        Uuid::nil(),
        "rg",
        operation::DELETE,
        &id,
        200,
        json!({ "uid": uid }),
    );
    let operation = operations::start(platform, record, Change::new()).await.unwrap();
    assert_eq!(operation::abandoned(platform, &mut String::new(), 10).await.unwrap(), std::slice::from_ref(&operation));
    let poll = format!(
        "/subscriptions/{}/providers/Microsoft.Resources/locations/x/operationStatuses/{operation}",
        world.subscription
    );
    assert_eq!(world.get(&poll, "2024-11-01").await["status"], "InProgress");
    assert!(matches!(operations::drive(platform, &operation).await.unwrap(), OperationOutcome::Succeeded));
    assert_eq!(world.get(&poll, "2024-11-01").await["status"], "Succeeded");
    assert!(operation::abandoned(platform, &mut String::new(), 10).await.unwrap().is_empty());
    // Driving it once more changes nothing.
    assert!(matches!(operations::drive(platform, &operation).await.unwrap(), OperationOutcome::Succeeded));
}

/// Whoever asks, of whichever process, is told why an operation failed, with the code and status that a request which waited would have got.
#[tokio::test]
async fn a_failure_is_the_same_whoever_finished_the_operation() {
    let world = World::new().await;
    let plant = plant(&world).await;
    link_from_another_group(&world, &plant).await;
    let (id, uid) = (ResourceId::parse(&plant.group).unwrap(), uid_of(&world, &plant.group).await);
    let (input, owner) = (json!({ "uid": uid }), world.owner.id());
    let record = StoredOperation::with(world.platform(), owner, Uuid::nil(), "rg", operation::DELETE, &id, 200, input);
    let operation = operations::start(world.platform(), record, Change::new()).await.unwrap();
    let finisher = world.platforms().last().unwrap();
    assert!(matches!(operations::drive(finisher, &operation).await.unwrap(), OperationOutcome::Failed(_)));
    for result in ["operationStatuses", "operationResults"] {
        let path = format!(
            "/subscriptions/{}/providers/Microsoft.Resources/locations/x/{result}/{operation}",
            world.subscription
        );
        let answer = world.send(&world.owner, "GET", &path, "2024-11-01", None).await.unwrap();
        let told = answer.body.unwrap();
        assert_eq!(told["error"]["code"], "ResourceGroupDeletionBlocked", "{told}");
        let status = if result == "operationResults" { 409 } else { 200 };
        assert_eq!(answer.status, status, "{result}");
    }
    // So is a process that drives it once more.
    let OperationOutcome::Settled(again) = operations::drive(world.platform(), &operation).await.unwrap() else {
        panic!("it has ended")
    };
    assert_eq!((again.code.as_str(), again.status), ("ResourceGroupDeletionBlocked", 409));
}

/// Those that wait are looked at again and again, and keep nobody from its turn.
#[tokio::test]
async fn each_operation_that_nobody_works_on_gets_its_turn() {
    let world = World::new().await;
    let platform = world.platform();
    let mut begun = Vec::new();
    for number in 0..5 {
        let id = ResourceId::parse(&world.group(&format!("rg{number}"))).unwrap();
        let (owner, none) = (world.owner.id(), Uuid::nil());
        let record = StoredOperation::with(platform, owner, none, "rg", operation::DELETE, &id, 200, json!({}));
        begun.push(operations::start(platform, record, Change::new()).await.unwrap());
    }
    begun.sort();
    let (mut turn, mut seen) = (String::new(), Vec::new());
    for _ in 0..3 {
        let round = operation::abandoned(platform, &mut turn, 2).await.unwrap();
        assert_eq!(round.len(), 2);
        seen.extend(round);
    }
    assert_eq!(seen[..5], begun, "each once");
    assert_eq!(seen[5], begun[0], "and again from the first");
    assert_eq!(operation::abandoned(platform, &mut turn, 9).await.unwrap().len(), 5, "no more than there are");
}

#[tokio::test]
async fn two_writers_at_once_both_get_an_answer() {
    let world = World::new().await;
    // Writers in two processes wait for each other now and then.
    let_time_pass(&world.clock);
    let plant = plant(&world).await;
    let body = |n: usize| json!({"location": "westeurope", "tags": {"n": n.to_string()}});
    let writes = (0..24).map(|n| world.send(&world.owner, "PUT", &plant.namespace, ADR, Some(body(n))));
    for answer in futures_util::future::join_all(writes).await {
        assert_eq!(answer.unwrap().status, 200);
    }
    let same_name = (0..8).map(|n| {
        let path = format!(
            "{}/providers/Microsoft.Devices/IotHubs/{}",
            plant.group,
            if n % 2 == 0 { "racer" } else { "RACER" }
        );
        let world = &world;
        async move { world_send(world, &path).await }
    });
    let outcomes = futures_util::future::join_all(same_name).await;
    assert!(outcomes.iter().all(|status| matches!(status, 200 | 201)), "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|status| **status == 201).count(), 1);
}

async fn world_send(world: &World, path: &str) -> u16 {
    world.send(&world.owner, "PUT", path, HUB, Some(json!({"location": "westeurope"}))).await.unwrap().status
}

async fn uid_of(world: &World, path: &str) -> String {
    let id = ResourceId::parse(path).unwrap();
    resources::require(world.platform(), &id).await.unwrap().key()
}

#[tokio::test]
async fn an_old_delete_leaves_what_was_made_anew_alone() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let platform = world.platform();
    let id = ResourceId::parse(&plant.group).unwrap();
    let uid = uid_of(&world, &plant.group).await;
    let record = StoredOperation::with(
        platform,
        world.owner.id(),
        Uuid::nil(),
        "rg",
        operation::DELETE,
        &id,
        200,
        json!({ "uid": uid }),
    );
    let old = operations::start(platform, record, Change::new()).await.unwrap();
    world.send(&world.owner, "DELETE", &plant.group, "2024-11-01", None).await.unwrap();
    world.put(&plant.group, "2024-11-01", json!({"location": "eastus"})).await;
    world.put(&plant.namespace, ADR, json!({"location": "eastus"})).await;
    assert!(matches!(operations::drive(platform, &old).await.unwrap(), OperationOutcome::Succeeded));
    let kept = world.get(&plant.namespace, ADR).await;
    assert_eq!(kept["properties"]["provisioningState"], "Succeeded");
    assert_eq!(world.get(&plant.group, "2024-11-01").await["properties"]["provisioningState"], "Succeeded");
}

#[tokio::test]
async fn what_is_being_deleted_takes_no_writes() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let id = ResourceId::parse(&plant.namespace).unwrap();
    let stored = resources::require(world.platform(), &id).await.unwrap();
    let mut resource = stored.resource.as_ref().clone();
    resource.properties.insert("provisioningState".into(), json!("Deleting"));
    let mut change = Change::new();
    resources::rewrite(&stored, resource, &mut change).unwrap();
    world.platform().commit(change).await.unwrap();
    let body = json!({"location": "westeurope", "tags": {"a": "b"}});
    for method in ["PUT", "PATCH"] {
        let error = world.refused(&world.owner, method, &plant.namespace, ADR, Some(body.clone())).await;
        assert_eq!(error.code, "ResourceBeingDeleted", "{method}");
    }
    let child = format!("{}/devices/pump-1", plant.namespace);
    let error = world.refused(&world.owner, "PUT", &child, ADR, Some(json!({"location": "westeurope"}))).await;
    assert_eq!(error.code, "ParentResourceBeingDeleted");
}
