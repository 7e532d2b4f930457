use super::fixture::{GROUP, World, put_hub, resource};
use ferrohub_model::error::ErrorKind;
use ferrohub_model::principal::{Principal, PrincipalKind};
use ferrohub_model::resource::{AssignedIdentity, Identity};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_service::directory;
use ferrohub_service::hub::HubRef;
use ferrohub_service::platform::Change;
use ferrohub_service::registry;
use ferrohub_service::resources::{self, RowExtra};
use ferrohub_service::tables::DEVICES;
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
