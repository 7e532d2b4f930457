//! Resources move between groups with everything that lies below them and points at them; or nothing moves.

use super::fixture::{ADR, DPS, HUB, Plant, World, plant};
use ferrohub_service::authz::builtin;
use serde_json::{Value, json};

const GROUPS: &str = "2024-11-01";

fn wanted(ids: &[&str], target: &str) -> Value {
    json!({"resources": ids, "targetResourceGroup": target})
}

async fn world() -> (World, Plant, String) {
    let world = World::new().await;
    let plant = plant(&world).await;
    let other = world.group("rg2");
    world.put(&other, GROUPS, json!({"location": "northeurope"})).await;
    (world, plant, other)
}

#[tokio::test]
async fn what_moves_takes_its_children_roles_and_links_along() {
    let (world, plant, other) = world().await;
    let device = format!("{}/devices/pump-1", plant.namespace);
    world.put(&device, ADR, json!({"location": "westeurope", "properties": {"enabled": true}})).await;
    let stranger = world.stranger().await;
    world.assign(stranger.id(), builtin::READER, &plant.hub).await;
    let before = world.get(&plant.hub, HUB).await;
    let action = format!("{}/moveResources", plant.group);
    let ids = [plant.hub.as_str(), plant.namespace.as_str()];
    let look = format!("{}/validateMoveResources", plant.group);
    let fine = world.send(&world.owner, "POST", &look, GROUPS, Some(wanted(&ids, &other))).await.unwrap();
    assert_eq!(fine.status, 204);
    world.get(&plant.hub, HUB).await;
    let moved = world.send(&world.owner, "POST", &action, GROUPS, Some(wanted(&ids, &other))).await.unwrap();
    assert_eq!(moved.status, 204);
    let here = |id: &str| id.replace("/resourceGroups/rg1/", "/resourceGroups/rg2/");
    for (path, version) in [(&plant.hub, HUB), (&plant.namespace, ADR), (&device, ADR)] {
        let error = world.refused(&world.owner, "GET", path, version, None).await;
        assert_eq!(error.code, "ResourceNotFound", "{path}");
        world.get(&here(path), version).await;
    }
    // The group's place is not the resource's; the identity stayed behind, and is shown where it is.
    let mut hub = world.get(&here(&plant.hub), HUB).await;
    assert_eq!(hub["location"], "westeurope");
    assert_eq!(hub["properties"]["deviceRegistry"]["namespaceResourceId"], here(&plant.namespace));
    assert_eq!(hub["properties"]["deviceRegistry"]["identityResourceId"], plant.identity);
    hub["id"] = before["id"].clone();
    assert_eq!(
        (hub["etag"].clone(), hub["properties"]["hostName"].clone()),
        (before["etag"].clone(), before["properties"]["hostName"].clone())
    );
    let dps = world.get(&plant.dps, DPS).await;
    assert_eq!(dps["properties"]["deviceRegistryNamespace"]["resourceId"], here(&plant.namespace));
    // Roles at the resource's own scope go along.
    world.send(&stranger, "GET", &here(&plant.hub), HUB, None).await.unwrap();
    let listed = world
        .get(&format!("{}/providers/Microsoft.Authorization/roleAssignments", here(&plant.hub)), "2022-04-01")
        .await;
    let scopes: Vec<&str> =
        listed["value"].as_array().unwrap().iter().filter_map(|one| one["properties"]["scope"].as_str()).collect();
    assert!(scopes.contains(&here(&plant.hub).as_str()), "{scopes:?}");
    // The service edges still hold, and both groups can be emptied on their own.
    let synchronize = format!("{}/credentials/default/synchronize", here(&plant.namespace));
    world.send(&world.owner, "POST", &synchronize, ADR, None).await.unwrap();
    let error = world.refused(&world.owner, "DELETE", &other, GROUPS, None).await;
    assert!(error.message.contains(&plant.dps), "{error}");
    world.send(&world.owner, "DELETE", &plant.group, GROUPS, None).await.unwrap();
    world.send(&world.owner, "DELETE", &other, GROUPS, None).await.unwrap();
}

#[tokio::test]
async fn wrong_moves_move_nothing() {
    let (world, plant, other) = world().await;
    let device = format!("{}/devices/pump-1", plant.namespace);
    world.put(&device, ADR, json!({"location": "westeurope", "properties": {}})).await;
    let elsewhere = format!("{other}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/uami9");
    world.put(&elsewhere, "2025-05-31-preview", json!({"location": "westeurope"})).await;
    let twin = format!("{other}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/UAMI1");
    world.put(&twin, "2025-05-31-preview", json!({"location": "westeurope"})).await;
    let missing = format!("{}x", plant.hub);
    let nowhere = world.group("none");
    let assignment = format!("{}/providers/Microsoft.Authorization/roleAssignments/{}", plant.hub, uuid::Uuid::nil());
    let many: Vec<&str> = std::iter::repeat_n(plant.hub.as_str(), 801).collect();
    for (body, status, code) in [
        (wanted(&[&plant.hub], &plant.group), 400, "CannotMoveResource"),
        (wanted(&[&plant.hub], &plant.group.to_uppercase()), 400, "CannotMoveResource"),
        (wanted(&[&plant.hub, &elsewhere], &other), 400, "CannotMoveResource"),
        (wanted(&[&plant.hub, &device], &other), 400, "CannotMoveResource"),
        (wanted(&[&assignment], &other), 400, "CannotMoveResource"),
        (wanted(&[&plant.group], &other), 400, "CannotMoveResource"),
        (wanted(&[&plant.hub, &missing], &other), 404, "ResourceNotFound"),
        (wanted(&[&plant.hub], &nowhere), 400, "ResourceGroupNotFound"),
        (wanted(&[&plant.hub], &plant.hub), 400, "InvalidPropertyValue"),
        (wanted(&[], &other), 400, "InvalidPropertyValue"),
        (wanted(&many, &other), 400, "InvalidPropertyValue"),
        (wanted(&["nonsense"], &other), 400, "InvalidResourceId"),
        (json!({"targetResourceGroup": other}), 400, "InvalidPropertyValue"),
        (json!({"resources": [plant.hub]}), 400, "InvalidPropertyValue"),
        (wanted(&[&plant.hub, &plant.identity], &other), 409, "ResourceMoveFailed"),
    ] {
        for action in ["moveResources", "validateMoveResources"] {
            let path = format!("{}/{action}", plant.group);
            let error = world.refused(&world.owner, "POST", &path, GROUPS, Some(body.clone())).await;
            assert_eq!((error.http_status(), error.code), (status, code), "{action}: {error}");
        }
    }
    let action = format!("{}/moveResources", plant.group);
    for (scope, level) in [(&plant.hub, "CanNotDelete"), (&other, "ReadOnly"), (&plant.group, "CanNotDelete")] {
        let lock = format!("{scope}/providers/Microsoft.Authorization/locks/l");
        world.put(&lock, "2020-05-01", json!({"properties": {"level": level}})).await;
        let error = world.refused(&world.owner, "POST", &action, GROUPS, Some(wanted(&[&plant.hub], &other))).await;
        assert_eq!(error.code, "ScopeLocked", "{scope}");
        world.send(&world.owner, "DELETE", &lock, "2020-05-01", None).await.unwrap();
    }
    let stranger = world.stranger().await;
    let error = world.refused(&stranger, "POST", &action, GROUPS, Some(wanted(&[&plant.hub], &other))).await;
    assert!(error.message.contains("resourceGroups/moveResources/action"), "{error}");
    world.assign(stranger.id(), builtin::CONTRIBUTOR, &plant.group).await;
    let error = world.refused(&stranger, "POST", &action, GROUPS, Some(wanted(&[&plant.hub], &other))).await;
    assert!(error.message.contains("Microsoft.Resources/subscriptions/resourceGroups/write"), "{error}");
    world.get(&plant.hub, HUB).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_move_and_a_delete_of_a_group_leave_what_somebody_could_have_asked_for() {
    let world = World::new().await;
    for round in 0..4 {
        let (one, two) = (world.group(&format!("a{round}")), world.group(&format!("b{round}")));
        let hub = format!("{one}/providers/Microsoft.Devices/IotHubs/mover{round}");
        for group in [&one, &two] {
            world.put(group, GROUPS, json!({"location": "westeurope"})).await;
        }
        world.put(&hub, HUB, json!({"location": "westeurope", "sku": {"name": "S1", "capacity": 1}})).await;
        let going = if round % 2 == 0 { &one } else { &two };
        let action = format!("{one}/moveResources");
        let wish = Some(wanted(&[&hub], &two));
        let moving = world.send(&world.owner, "POST", &action, GROUPS, wish);
        let delete = world.send(&world.owner, "DELETE", going, GROUPS, None);
        let both = async { tokio::join!(moving, delete) };
        let (moved, gone) = Box::pin(world.while_time_passes(both)).await;
        gone.unwrap();
        let there = hub.replace(&one, &two);
        let places = [
            world.send(&world.owner, "GET", &hub, HUB, None).await.is_ok(),
            world.send(&world.owner, "GET", &there, HUB, None).await.is_ok(),
        ];
        let want = match (moved.is_ok(), round % 2 == 0) {
            (true, true) => [false, true],
            (true, false) | (false, true) => [false, false],
            (false, false) => [true, false],
        };
        assert_eq!(places, want, "round {round}: {moved:?}");
        let log = format!(
            "/subscriptions/{}/providers/Microsoft.Insights/eventtypes/management/values?$filter=eventTimestamp ge '2026-11-01T00:00:00Z' and resourceUri eq '{one}' and status eq 'Failed'",
            world.subscription
        );
        let told = world.get(&log, "2015-04-01").await["value"].as_array().unwrap().clone();
        let action = "Microsoft.Resources/subscriptions/resourceGroups/moveResources/action";
        let failed = told.iter().filter(|event| event["operationName"]["value"] == action).count();
        assert_eq!(failed, usize::from(moved.is_err()), "one row for one failure: {told:?}");
    }
}

#[tokio::test]
async fn many_resources_move_in_steps_that_can_be_taken_up_again() {
    let world = World::new().await;
    let (one, two) = (world.group("one"), world.group("two"));
    for group in [&one, &two] {
        world.put(group, GROUPS, json!({"location": "westeurope"})).await;
    }
    let id = |group: &str, number: usize| {
        format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/identity-{number}")
    };
    for number in 0..250 {
        world.put(&id(&one, number), "2025-05-31-preview", json!({"location": "westeurope"})).await;
    }
    let ids: Vec<String> = (0..250).map(|number| id(&one, number)).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let moved =
        world.send(&world.owner, "POST", &format!("{one}/moveResources"), GROUPS, Some(wanted(&ids, &two))).await;
    assert_eq!(moved.unwrap().status, 204);
    for number in [0, 99, 100, 249] {
        world.get(&id(&two, number), "2025-05-31-preview").await;
    }
    let left = world.get(&format!("{one}/resources"), GROUPS).await;
    assert_eq!(left["value"], json!([]));
}
