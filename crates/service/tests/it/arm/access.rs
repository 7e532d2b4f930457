//! Rights are asked for on every request, and tokens are checked.

use super::fixture::{HUB, World, plant};
use ferrohub_service::authn::Audience;
use ferrohub_service::authz::builtin;
use ferrohub_service::resources::Scope;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn without_a_right_nothing_is_told_or_done() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let stranger = world.stranger().await;
    for decl in world.platform().types.all() {
        let id = match decl.kind.path {
            ["resourceGroups"] => plant.group.clone(),
            [first] if decl.kind.scope == Scope::InSubscription => {
                format!("/subscriptions/{}/providers/{}/{first}/thing", world.subscription, decl.kind.provider)
            }
            [first] => format!("{}/providers/{}/{first}/thing", plant.group, decl.kind.provider),
            [first, second] => {
                format!("{}/providers/{}/{first}/thing/{second}/default", plant.group, decl.kind.provider)
            }
            [first, second, third] => {
                format!("{}/providers/{}/{first}/thing/{second}/default/{third}/x", plant.group, decl.kind.provider)
            }
            _ => unreachable!(),
        };
        let version = decl.versions()[0];
        for method in ["GET", "PUT", "PATCH", "DELETE"] {
            let error = world.refused(&stranger, method, &id, version, Some(json!({"location": "westeurope"}))).await;
            assert_eq!(error.code, "AuthorizationFailed", "{method} {id}");
            assert!(
                error.message.contains(stranger.id()) && error.message.contains("az role assignment create"),
                "{error}"
            );
        }
    }
    for action in ["listkeys", "IotHubKeys/iothubowner/listkeys", "readEvents"] {
        assert_eq!(
            world.refused(&stranger, "POST", &format!("{}/{action}", plant.hub), HUB, None).await.http_status(),
            403
        );
    }
    let none = world.send(&stranger, "GET", "/subscriptions", "2022-12-01", None).await.unwrap().body.unwrap();
    assert_eq!(none["value"], json!([]));
}

#[tokio::test]
async fn a_role_reaches_exactly_as_far_as_it_says() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let stranger = world.stranger().await;
    let made = world.assign(stranger.id(), builtin::READER, &plant.hub).await;
    assert_eq!(world.send(&stranger, "GET", &plant.hub, HUB, None).await.unwrap().status, 200);
    assert_eq!(
        world.refused(&stranger, "GET", &plant.dps, "2025-02-01-preview", None).await.code,
        "AuthorizationFailed"
    );
    assert_eq!(
        world.refused(&stranger, "POST", &format!("{}/listkeys", plant.hub), HUB, None).await.code,
        "AuthorizationFailed"
    );
    let again = world
        .send(
            &world.owner,
            "PUT",
            &format!("{}/providers/Microsoft.Authorization/roleAssignments/{}", plant.hub, uuid_like(7)),
            "2022-04-01",
            Some(json!({"properties": made["properties"]})),
        )
        .await
        .unwrap_err();
    assert_eq!(again.code, "RoleAssignmentExists");
    let gone = world.send(&world.owner, "DELETE", made["id"].as_str().unwrap(), "2022-04-01", None).await.unwrap();
    assert_eq!(gone.status, 200);
    assert_eq!(gone.body.unwrap()["properties"]["principalId"], stranger.id());
    assert_eq!(world.refused(&stranger, "GET", &plant.hub, HUB, None).await.code, "AuthorizationFailed");
}

#[tokio::test]
async fn custom_roles_have_unique_names_and_reachable_scopes() {
    let world = World::new().await;
    let group = world.group("rg1");
    world.put(&group, "2024-11-01", json!({"location": "westeurope"})).await;
    let path = |n: u8| format!("{group}/providers/Microsoft.Authorization/roleDefinitions/{}", uuid_like(n));
    let body = |name: &str, scope: &str| json!({"properties": {"roleName": name, "assignableScopes": [scope], "permissions": [{"actions": ["Microsoft.DeviceRegistry/namespaces/devices/write "]}]}});
    let made = world.put(&path(1), "2022-05-01-preview", body("ADR integration", group.trim_start_matches('/'))).await;
    assert_eq!(made["properties"]["assignableScopes"][0], group);
    assert_eq!(made["properties"]["type"], "CustomRole");
    let twice =
        world.refused(&world.owner, "PUT", &path(2), "2022-05-01-preview", Some(body("adr INTEGRATION", &group))).await;
    assert_eq!(twice.code, "RoleDefinitionWithSameNameExists");
    let literal = world
        .refused(
            &world.owner,
            "PUT",
            &path(3),
            "2022-05-01-preview",
            Some(body("x", "/subscriptions/$SUBSCRIPTION_ID")),
        )
        .await;
    assert!(literal.message.contains("double quotes"), "{literal}");
    let found = world
        .get(
            &format!("{group}/providers/Microsoft.Authorization/roleDefinitions?$filter=roleName eq 'ADR integration'"),
            "2022-05-01-preview",
        )
        .await;
    assert_eq!(found["value"].as_array().unwrap().len(), 1);
    let stranger = world.stranger().await;
    world.assign(stranger.id(), &uuid_like(1), &group).await;
    assert_eq!(
        world.refused(&world.owner, "DELETE", &path(1), "2022-05-01-preview", None).await.code,
        "RoleDefinitionHasAssignments"
    );
}

#[tokio::test]
async fn a_narrow_right_to_write_roles_does_not_reach_further() {
    let world = World::new().await;
    let group = world.group("rg1");
    world.put(&group, "2024-11-01", json!({"location": "westeurope"})).await;
    let subscription = format!("/subscriptions/{}", world.subscription);
    let role =
        |scope: &str, n: u8| format!("{scope}/providers/Microsoft.Authorization/roleDefinitions/{}", uuid_like(n));
    let body = |name: &str, scope: &str, action: &str| json!({"properties": {"roleName": name, "assignableScopes": [scope], "permissions": [{"actions": [action]}]}});
    let version = "2022-04-01";
    world.put(&role(&subscription, 1), version, body("wide", &subscription, "Microsoft.Devices/IotHubs/read")).await;
    world.put(&role(&group, 2), version, body("wide by path", &subscription, "Microsoft.Devices/IotHubs/read")).await;
    let attacker = world.stranger().await;
    world.assign(attacker.id(), builtin::OWNER, &group).await;
    // One definition per GUID, whatever scope the path names: who may write roles in the group changes none that reach further.
    for n in [1, 2] {
        let rewrite = world.refused(&attacker, "PUT", &role(&group, n), version, Some(body("mine", &group, "*"))).await;
        assert_eq!(rewrite.code, "LinkedAuthorizationFailed", "{n}");
        let delete = world.refused(&attacker, "DELETE", &role(&group, n), version, None).await;
        assert_eq!(delete.code, "LinkedAuthorizationFailed", "{n}");
    }
    // A role of the group can be assigned in the group only.
    world.put(&role(&group, 4), version, body("all of the group", &group, "*")).await;
    let properties = json!({
        "roleDefinitionId": role(&subscription, 4), "principalId": attacker.id(), "principalType": "ServicePrincipal"
    });
    let path = format!("{subscription}/providers/Microsoft.Authorization/roleAssignments/{}", uuid_like(9));
    let beyond = world.refused(&world.owner, "PUT", &path, "2022-04-01", Some(json!({"properties": properties}))).await;
    assert_eq!(beyond.code, "RoleAssignmentScopeNotAssignableToRoleDefinition");
    world.put(&role(&group, 3), version, body("narrow", &group, "Microsoft.Devices/IotHubs/read")).await;
    // az deletes through the subscription what it made in the group.
    let refused = world.refused(&attacker, "DELETE", &role(&subscription, 3), version, None).await;
    assert_eq!(refused.code, "AuthorizationFailed");
    assert_eq!(world.send(&world.owner, "DELETE", &role(&subscription, 3), version, None).await.unwrap().status, 200);
    assert_eq!(world.refused(&world.owner, "GET", &role(&group, 3), version, None).await.http_status(), 404);
}

#[tokio::test]
async fn tokens_expire_and_belong_to_one_audience() {
    let world = World::new().await;
    let form = |scope: &str, secret: &str| {
        let app = world.owner.name().to_owned();
        [("grant_type", "client_credentials"), ("client_id", app.as_str()), ("client_secret", secret), ("scope", scope)]
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .to_vec()
    };
    let tenant = world.platform().tenancy.tenant_id.clone();
    let wrong = world
        .service()
        .authn
        .token(&tenant, &form("https://management.azure.com/.default", "wrong"), None, true)
        .await
        .unwrap_err();
    assert_eq!((wrong.status, wrong.error, wrong.code), (401, "invalid_client", 7_000_215));
    let elsewhere = world
        .service()
        .authn
        .token("11111111-1111-4111-8111-111111111111", &form("x/.default", "y"), None, true)
        .await
        .unwrap_err();
    assert_eq!(elsewhere.code, 90002);
    let authn = &world.service().authn;
    assert_eq!(authn.bearer(None, Audience::Arm).await.unwrap_err().code, "AuthenticationFailed");
    assert_eq!(
        authn.bearer(Some("Basic x"), Audience::Arm).await.unwrap_err().code,
        "AuthenticationFailedInvalidHeader"
    );
    assert_eq!(authn.bearer(Some("Bearer a.b.c"), Audience::Arm).await.unwrap_err().code, "InvalidAuthenticationToken");
    let stranger_token = world.token("https://iothubs.azure.net/.default").await;
    assert_eq!(
        authn.bearer(Some(&stranger_token), Audience::Arm).await.unwrap_err().code,
        "InvalidAuthenticationTokenAudience"
    );
    let good = world.token("https://management.azure.com//.default").await;
    assert!(authn.bearer(Some(&good), Audience::Arm).await.is_ok());
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(authn.bearer(Some(&good), Audience::Arm).await.unwrap_err().code, "ExpiredAuthenticationToken");
}

fn uuid_like(n: u8) -> String {
    format!("00000000-0000-4000-8000-0000000000{n:02x}")
}
