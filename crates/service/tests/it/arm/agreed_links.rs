//! Links that are made from the side of a hub or a provisioning service: somebody who may write the namespace agrees to them.

use super::activity::rows;
use super::fixture::{DPS, HUB};
use super::namespace_links::{NEWEST, REGISTRY_CONTRIBUTOR, Site};
use ferrohub_service::authz::builtin;
use serde_json::{Value, json};

/// Who may read a namespace cannot put a hub or a service of their own beside those of its owner: every synchronization and every revocation
/// would end at it.
#[tokio::test]
async fn a_link_from_the_other_side_needs_somebody_who_may_write_the_namespace() {
    let site = Site::new().await;
    let world = &site.world;
    let own = world.group("rg2");
    world.put(&own, "2024-11-01", json!({"location": "westeurope"})).await;
    let stranger = world.stranger().await;
    world.assign(stranger.id(), builtin::CONTRIBUTOR, &own).await;
    world.assign(stranger.id(), builtin::READER, &site.group).await;
    let identity = format!("{own}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/theirs");
    let body = Some(json!({"location": "westeurope"}));
    let made = world.send(&stranger, "PUT", &identity, "2025-05-31-preview", body).await.unwrap().body.unwrap();
    let principal = made["properties"]["principalId"].as_str().unwrap().to_owned();
    let both = json!({"type": "UserAssigned", "userAssignedIdentities": {identity.clone(): {}}});
    let sku = json!({"name": "S1", "capacity": 1});
    let hub = format!("{own}/providers/Microsoft.Devices/IotHubs/theirs");
    let linked = json!({"namespaceResourceId": site.namespace, "identityResourceId": identity});
    let hub_body =
        json!({"location": "westeurope", "sku": sku, "identity": both, "properties": {"deviceRegistry": linked}});
    let dps = format!("{own}/providers/Microsoft.Devices/provisioningServices/theirs");
    let linked = json!({"resourceId": site.namespace, "authenticationType": "UserAssigned", "selectedUserAssignedIdentityResourceId": identity});
    let dps_body = json!({"location": "westeurope", "sku": sku, "identity": both, "properties": {"deviceRegistryNamespace": linked}});
    let both = [(&hub, HUB, hub_body), (&dps, DPS, dps_body)];
    for (id, version, body) in &both {
        let error = world.refused(&stranger, "PUT", id, version, Some(body.clone())).await;
        assert_eq!((error.http_status(), error.code), (403, "LinkedAuthorizationFailed"), "{error}");
        assert!(error.message.contains("namespaces/devices/write"), "{error}");
    }
    assert!(
        world.get(&site.namespace, NEWEST).await["properties"]["messaging"]["endpoints"]
            .as_object()
            .is_none_or(|all| all.is_empty())
    );

    // The owner of the namespace agrees by the role of the identity; it is told there.
    world.assign(&principal, REGISTRY_CONTRIBUTOR, &site.namespace).await;
    for (id, version, body) in &both {
        world.send(&stranger, "PUT", id, version, Some(body.clone())).await.unwrap();
        // What stands is not asked about again.
        world.send(&stranger, "PUT", id, version, Some(body.clone())).await.unwrap();
    }
    let told = rows(world, &site.namespace).await;
    let theirs: Vec<&Value> = told.iter().filter(|row| row["callerId"] == stranger.id()).collect();
    assert_eq!(theirs.len(), 2, "{theirs:?}");
    assert!(theirs.iter().all(|row| row["operationName"] == "Microsoft.DeviceRegistry/namespaces/write"));
    let without = json!({"location": "westeurope", "sku": sku, "properties": {}});
    world.send(&stranger, "PUT", &dps, DPS, Some(without)).await.unwrap();
    assert_eq!(rows(world, &site.namespace).await.len(), told.len() + 1, "and that it went");
}
