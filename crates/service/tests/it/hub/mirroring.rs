use super::fixture::{GROUP, World, put_hub, resource};
use ferrohub_model::error::ErrorKind;
use ferrohub_model::principal::{Principal, PrincipalKind};
use ferrohub_model::resource::{AssignedIdentity, Identity};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_service::directory;
use ferrohub_service::hub::HubRef;
use ferrohub_service::platform::Change;
use ferrohub_service::registry;
use ferrohub_service::resources::{self, RowExtra, Stored};
use ferrohub_service::tables::{DEVICES, PRINCIPALS};
use serde_json::{Map, json};

const IDENTITY_OBJECT: &str = "11111111-1111-1111-1111-111111111111";
/// Azure Device Registry Contributor.
const CONTRIBUTOR: &str = "a5c3590a-3a1a-4cd4-9648-ea0a32b15137";

fn namespace_id() -> String {
    format!("{GROUP}/providers/Microsoft.DeviceRegistry/namespaces/ns1")
}

/// Links the hub to a namespace with a user-assigned identity that has no right yet.
async fn link(world: &World) -> HubRef {
    let identity_id = format!("{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id1");
    let principal = Principal {
        id: IDENTITY_OBJECT.into(),
        app_id: "22222222-2222-2222-2222-222222222222".into(),
        display_name: "id1".into(),
        kind: PrincipalKind::ManagedIdentity,
        resource_id: Some(identity_id.clone()),
        application_object_id: None,
        secrets: Vec::new(),
    };
    let mut change = Change::new();
    change.unit.put(directory::put(&principal).unwrap());
    world.platform.commit(change).await.unwrap();
    let namespace =
        resource(&namespace_id(), "Microsoft.DeviceRegistry/namespaces", world.platform.new_id(), json!({}));
    world.put(&namespace, RowExtra::default()).await;
    let link = json!({"namespaceResourceId": namespace_id(), "identityResourceId": identity_id.to_lowercase()});
    let mut hub = put_hub(&world.platform, "h1", Map::from_iter([("deviceRegistry".to_owned(), link)])).await;
    let assigned = AssignedIdentity { principal_id: IDENTITY_OBJECT.into(), client_id: principal.app_id };
    hub.identity = Some(Identity { system_principal_id: None, user_assigned: [(identity_id, assigned)].into() });
    let extra = RowExtra { lookup: Some(format!("host/{}", super::fixture::HOST)), ..RowExtra::default() };
    world.put(&hub, extra).await;
    world.service.by_host(super::fixture::HOST).await.unwrap()
}

async fn grant(world: &World) {
    let id = format!(
        "{}/providers/Microsoft.Authorization/roleAssignments/33333333-3333-3333-3333-333333333333",
        namespace_id()
    );
    let properties = json!({"scope": namespace_id(), "principalId": IDENTITY_OBJECT,
        "roleDefinitionId": format!("/subscriptions/s1/providers/Microsoft.Authorization/roleDefinitions/{CONTRIBUTOR}")});
    world
        .put(
            &resource(&id, "Microsoft.Authorization/roleAssignments", world.platform.new_id(), properties),
            RowExtra::default(),
        )
        .await;
}

#[tokio::test]
async fn a_linked_hub_mirrors_its_devices_with_its_identity() {
    let world = World::new().await;
    let hub = link(&world).await;
    let refused = world.service.put_device(&hub, "Pump:1", &json!({}), None).await.unwrap_err();
    assert_eq!((refused.kind, refused.numeric_code()), (ErrorKind::Forbidden, 403_000));
    assert_eq!(refused.denial.as_ref().unwrap().action, "Microsoft.DeviceRegistry/namespaces/devices/write");
    assert!(refused.message.contains("az role assignment create"), "{refused}");
    assert!(
        world.platform.store.get(&DEVICES, &format!("{}/Pump:1", hub.uid)).await.unwrap().is_none(),
        "nothing half made"
    );

    grant(&world).await;
    world.service.put_device(&hub, "Pump:1", &json!({}), None).await.unwrap();
    let namespace =
        resources::require(world.platform.store.as_ref(), &ResourceId::parse(&namespace_id()).unwrap()).await.unwrap();
    let mirrored =
        async || registry::mirrored(&world.platform, namespace.resource.uid, hub.uid, "Pump:1").await.unwrap();
    let device = mirrored().await.unwrap().resource;
    assert_eq!((device.text(&["externalDeviceId"]), device.value(&["enabled"])), (Some("Pump:1"), Some(&json!(true))));

    world.service.put_device(&hub, "Pump:1", &json!({"status": "disabled"}), Some("*")).await.unwrap();
    assert_eq!(mirrored().await.unwrap().resource.value(&["enabled"]), Some(&json!(false)));
    world.service.delete_device(&hub, "Pump:1", Some("*")).await.unwrap();
    assert!(mirrored().await.is_none());
}

#[tokio::test]
async fn an_identity_that_is_gone_is_named_with_the_command_that_repairs_it() {
    let world = World::new().await;
    let hub = link(&world).await;
    let mut change = Change::new();
    change.unit.delete(&PRINCIPALS, IDENTITY_OBJECT);
    world.platform.commit(change).await.unwrap();
    let identity_id = format!("{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id1");
    let refusal = async || {
        let error = world.service.put_device(&hub, "d", &json!({}), None).await.unwrap_err();
        assert_eq!(
            (error.kind, error.code, error.numeric_code()),
            (ErrorKind::Forbidden, "PrincipalNotFound", 403_000)
        );
        error.message
    };
    let shown = identity_id.to_lowercase();
    let attach =
        format!("az iot hub identity assign --name \"h1\" --resource-group \"g1\" --user-assigned \"{shown}\"");
    let message = refusal().await;
    assert!(message.contains("IoT hub 'h1'") && message.contains(IDENTITY_OBJECT), "{message}");
    assert!(message.contains("az identity create --name \"id1\"") && message.ends_with(&attach), "{message}");
    let anew =
        resource(&identity_id, "Microsoft.ManagedIdentity/userAssignedIdentities", world.platform.new_id(), json!({}));
    world.put(&anew, RowExtra::default()).await;
    let message = refusal().await;
    assert!(message.contains("made anew") && message.ends_with(&attach), "{message}");
    assert!(!message.contains("az identity create"), "{message}");

    let dps_id = format!("{GROUP}/providers/Microsoft.Devices/provisioningServices/dps1");
    let link =
        json!({"deviceRegistryNamespace": {"resourceId": namespace_id(), "authenticationType": "SystemAssigned"}});
    let mut dps = resource(&dps_id, "Microsoft.Devices/provisioningServices", world.platform.new_id(), link);
    let command = "az iot dps identity assign --name \"dps1\" --resource-group \"g1\" --system-assigned";
    for gone in [None, Some(IDENTITY_OBJECT.to_owned())] {
        dps.identity = gone.map(|id| Identity { system_principal_id: Some(id), user_assigned: [].into() });
        let stored = Stored { resource: dps.clone(), version: 1 };
        let message = registry::dps_edge(&world.platform, &stored).await.err().unwrap().message;
        assert!(message.contains("provisioning service 'dps1'") && message.ends_with(command), "{message}");
    }
}
