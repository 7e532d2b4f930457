use super::fixture::World;
use crate::owner::{DPS_API, IDENTITY_API, REGISTRY_API};
use ferrohub_model::device::device_place;
use ferrohub_model::error::ErrorKind;
use ferrohub_model::resource::Identity;
use ferrohub_service::hub::identity;
use ferrohub_service::registry;
use ferrohub_service::resources::{self, tag};
use ferrohub_service::tables::DEVICES;
use serde_json::json;
use std::sync::Arc;

/// Azure Device Registry Contributor.
const CONTRIBUTOR: &str = "a5c3590a-3a1a-4cd4-9648-ea0a32b15137";

/// Object id of the identity as which the hub acts.
async fn principal(world: &World) -> String {
    let identity = world.owner.get(&world.identity_id(), IDENTITY_API).await;
    identity["properties"]["principalId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_linked_hub_mirrors_its_devices_with_its_identity() {
    let world = World::linked().await;
    let hub = &world.hub;
    let refused = world.service().put_device(&world.caller, hub, "Pump:1", &json!({}), None).await.unwrap_err();
    assert_eq!((refused.kind, refused.numeric_code()), (ErrorKind::Forbidden, 403_000));
    assert_eq!(refused.denial.as_ref().unwrap().action, "Microsoft.DeviceRegistry/namespaces/devices/write");
    assert!(refused.message.contains("az role assignment create"), "{refused}");
    let place = device_place(hub.uid, "Pump:1").unwrap();
    assert!(world.platform().store.find_one(&DEVICES, "place", &place).await.unwrap().is_none(), "nothing half made");

    world.owner.assign(&principal(&world).await, CONTRIBUTOR, &world.namespace_id()).await;
    world.service().put_device(&world.caller, hub, "Pump:1", &json!({}), None).await.unwrap();
    let made = identity::load(world.platform().store.as_ref(), hub.uid, "Pump:1").await.unwrap().unwrap();
    let mirrored = async || resources::by_uid(world.platform(), made.device.uid).await.unwrap();
    let device = mirrored().await.unwrap();
    assert!(device.is(tag::DEVICE) && device.id.is_within(&world.namespace_id()), "{}", device.id);
    let shown = world.owner.get(&device.id, REGISTRY_API).await;
    assert_eq!(shown["properties"]["externalDeviceId"], "Pump:1");
    assert_eq!(device.resource.value(&["enabled"]), Some(&json!(true)));

    world.service().put_device(&world.caller, hub, "Pump:1", &json!({"status": "disabled"}), Some("*")).await.unwrap();
    assert_eq!(mirrored().await.unwrap().resource.value(&["enabled"]), Some(&json!(false)));
    world.service().delete_device(&world.caller, hub, "Pump:1", Some("*")).await.unwrap();
    assert!(mirrored().await.is_none());
}

#[tokio::test]
async fn an_identity_that_is_gone_is_named_with_the_command_that_repairs_it() {
    let world = World::linked().await;
    let (identity_id, object) = (world.identity_id(), principal(&world).await);
    world.owner.delete(&identity_id, IDENTITY_API).await;
    let refusal = async || {
        let error = world.service().put_device(&world.caller, &world.hub, "d", &json!({}), None).await.unwrap_err();
        assert_eq!(
            (error.kind, error.code, error.numeric_code()),
            (ErrorKind::Forbidden, "PrincipalNotFound", 403_000)
        );
        error.message
    };
    let attach =
        format!("az iot hub identity assign --name \"hub1\" --resource-group \"g1\" --user-assigned \"{identity_id}\"");
    let message = refusal().await;
    assert!(message.contains("IoT hub 'hub1'") && message.contains(&object), "{message}");
    assert!(message.contains("az identity create --name \"id1\"") && message.ends_with(&attach), "{message}");
    world.owner.put(&identity_id, IDENTITY_API, json!({"location": "westeurope"})).await;
    let message = refusal().await;
    assert!(message.contains("made anew") && message.ends_with(&attach), "{message}");
    assert!(!message.contains("az identity create"), "{message}");

    let dps_id = world.group.resource("Microsoft.Devices", "provisioningServices", "dps1");
    let link = json!({"resourceId": world.namespace_id().to_string(), "authenticationType": "SystemAssigned"});
    let body = json!({"location": "westeurope", "identity": {"type": "SystemAssigned"}, "properties": {"deviceRegistryNamespace": link}});
    world.owner.put(&dps_id, DPS_API, body).await;
    let mut dps = resources::require(world.platform(), &dps_id).await.unwrap();
    let command = "az iot dps identity assign --name \"dps1\" --resource-group \"g1\" --system-assigned";
    for gone in [None, Some(object)] {
        let identity = gone.map(|id| Identity { system_principal_id: Some(id), user_assigned: Vec::new() });
        Arc::make_mut(&mut dps.resource).identity = identity;
        let message = registry::dps_edge(world.platform(), &dps).await.err().unwrap().message;
        assert!(message.contains("provisioning service 'dps1'") && message.ends_with(command), "{message}");
    }
}
