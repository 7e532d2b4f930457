//! The delete of a group takes everything in it, in an order that works, while others still try to write there.

use super::fixture::{ADR, HUB, World, plant};
use super::views::{everything, world_of_everything};
use serde_json::json;

const GROUPS: &str = "2024-11-01";

#[tokio::test]
async fn whatever_there_is_goes_with_its_group() {
    let world = world_of_everything().await;
    let locked: Vec<String> = everything(&world).await.into_iter().map(|(_, id)| id).collect();
    for id in locked.iter().filter(|id| id.contains("/locks/")) {
        world.send(&world.owner, "DELETE", id, "2020-05-01", None).await.unwrap();
    }
    let group = world.group("rg1");
    let gone = world.send(&world.owner, "DELETE", &group, GROUPS, None).await.unwrap();
    assert!(matches!(gone.status, 200 | 202));
    let left: Vec<String> = everything(&world).await.into_iter().map(|(_, id)| id).collect();
    assert!(left.iter().all(|id| !id.contains("/resourceGroups/")), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_made_in_a_group_that_goes() {
    let world = World::new().await;
    let plant = plant(&world).await;
    for number in 0..60 {
        let device = format!("{}/devices/device-{number}", plant.namespace);
        world.put(&device, ADR, json!({"location": "westeurope", "properties": {}})).await;
    }
    let hub = |number: usize| format!("{}/providers/Microsoft.Devices/IotHubs/late-{number}", plant.group);
    let write = async {
        let mut codes = std::collections::BTreeSet::new();
        for number in 0..200 {
            let body = json!({"location": "westeurope", "sku": {"name": "S1", "capacity": 1}});
            if let Err(error) = world.send(&world.owner, "PUT", &hub(number), HUB, Some(body)).await {
                codes.insert(error.code);
            }
            if let Err(error) =
                world.send(&world.owner, "PUT", &plant.group, GROUPS, Some(json!({"location": "westeurope"}))).await
            {
                codes.insert(error.code);
                // From now on it would be made anew.
                break;
            }
        }
        codes
    };
    let delete = world.send(&world.owner, "DELETE", &plant.group, GROUPS, None);
    let both = async { tokio::join!(delete, write) };
    let (gone, codes) = Box::pin(world.while_time_passes(both)).await;
    gone.unwrap();
    assert!(codes.contains("ResourceGroupBeingDeleted"), "{codes:?}");
    let error = world.refused(&world.owner, "GET", &plant.group, GROUPS, None).await;
    assert_eq!(error.code, "ResourceGroupNotFound");
}
