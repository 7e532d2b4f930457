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
    // That it is assigned elsewhere, and where, is not told to who may not look there.
    let other = world.group("rg2");
    world.put(&other, "2024-11-01", json!({"location": "westeurope"})).await;
    world.assign(attacker.id(), &uuid_like(1).to_string(), &other).await;
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
        .token(&tenant, &form("https://management.azure.com/.default", "wrong"), None, None, true)
        .await
        .unwrap_err();
    assert_eq!((wrong.status, wrong.error, wrong.code), (401, "invalid_client", 7_000_215));
    let elsewhere = world
        .service()
        .authn
        .token("11111111-1111-4111-8111-111111111111", &form("x/.default", "y"), None, None, true)
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

#[tokio::test]
async fn a_role_given_at_what_two_generations_show_is_found_and_deleted_under_either_id() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let stranger = world.stranger().await;
    let roles = "providers/Microsoft.Authorization/roleAssignments";
    let credential = format!("{}/credentials/default", plant.namespace);
    for face in [credential.clone(), format!("{credential}/policies/default")] {
        let made = world.assign(stranger.id(), builtin::READER, &face).await;
        let id = made["id"].as_str().unwrap();
        assert_eq!(made["properties"]["scope"], face.as_str());
        let own = async |scope: &str, filter: &str| {
            let list = world.get(&format!("{scope}/{roles}?$filter={filter}"), "2022-04-01").await;
            let all = list["value"].as_array().unwrap().clone();
            all.into_iter().filter(|one| one["properties"]["principalId"] == stranger.id()).collect::<Vec<_>>()
        };
        let listed = own(&face, "atScope()").await;
        assert_eq!(listed.len(), 1, "{face}: {listed:?}");
        assert_eq!((&listed[0]["id"], &listed[0]["properties"]["scope"]), (&made["id"], &face.as_str().into()));
        // From above it is shown where it is stored, and that is the same assignment.
        let above = own(&plant.namespace, "principalId eq 'x' or assignedTo('x') or not atScope()").await;
        assert_eq!(above.len(), 1, "{above:?}");
        let home = above[0]["id"].as_str().unwrap();
        assert!(home.contains("/certificateAuthorities/"), "{home}");
        assert_eq!(world.get(home, "2022-04-01").await["name"], made["name"]);
        assert_eq!(own(home.split("/providers/Microsoft.Authorization").next().unwrap(), "atScope()").await.len(), 1);
        let again = format!("{face}/{roles}/{}", uuid_like(0x71));
        let body = json!({"properties": made["properties"]});
        assert_eq!(
            world.refused(&world.owner, "PUT", &again, "2022-04-01", Some(body)).await.code,
            "RoleAssignmentExists"
        );
        assert_eq!(world.send(&world.owner, "DELETE", id, "2022-04-01", None).await.unwrap().status, 200);
        assert!(own(&face, "atScope()").await.is_empty());
    }
}

#[tokio::test]
async fn a_role_does_not_lie_on_a_role() {
    let world = World::new().await;
    let subscription = format!("/subscriptions/{}", world.subscription);
    let made = world.assign(world.stranger().await.id(), builtin::READER, &subscription).await;
    let definition = format!("{subscription}/providers/Microsoft.Authorization/roleDefinitions/{}", builtin::READER);
    for scope in [made["id"].as_str().unwrap(), &definition] {
        for kind in ["roleAssignments", "roleDefinitions"] {
            let path = format!("{scope}/providers/Microsoft.Authorization/{kind}/{}", uuid_like(1));
            for (method, path) in [("PUT", path.as_str()), ("GET", path.rsplit_once('/').unwrap().0)] {
                let error =
                    world.refused(&world.owner, method, path, "2022-04-01", Some(json!({"properties": {}}))).await;
                assert_eq!((error.http_status(), error.code), (400, "InvalidScope"), "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn a_custom_role_is_checked_narrowed_and_deleted_with_care() {
    let world = World::new().await;
    let (one, two) = (world.group("rg1"), world.group("rg2"));
    for group in [&one, &two] {
        world.put(group, "2024-11-01", json!({"location": "westeurope"})).await;
    }
    let path = format!("{one}/providers/Microsoft.Authorization/roleDefinitions/{}", uuid_like(1));
    let body = |scopes: &[&String], actions: serde_json::Value| json!({"properties": {"roleName": "Operator", "assignableScopes": scopes, "permissions": [actions]}});
    for bad in ["", "nonsense", "Microsoft.Devices//read", "Microsoft.Devices/Iot Hubs/read", "a/b\nc", "**é/read"] {
        let refused = world
            .refused(&world.owner, "PUT", &path, "2022-04-01", Some(body(&[&one], json!({"actions": [bad]}))))
            .await;
        assert_eq!((refused.http_status(), refused.code), (400, "InvalidActionOrNotAction"), "{bad:?}");
    }
    let actions = json!({"actions": ["Microsoft.Devices/*"], "notActions": ["*/delete"], "dataActions": ["Microsoft.Devices/IotHubs/*/read"], "notDataActions": ["Microsoft.Devices/IotHubs/twins/read"]});
    world.put(&path, "2022-04-01", body(&[&one, &two], actions.clone())).await;
    let stranger = world.stranger().await;
    let made = world.assign(stranger.id(), &uuid_like(1), &two).await;
    let narrowed = world.refused(&world.owner, "PUT", &path, "2022-04-01", Some(body(&[&one], actions.clone()))).await;
    assert_eq!((narrowed.http_status(), narrowed.code), (409, "RoleDefinitionHasAssignments"));
    assert!(narrowed.message.contains(made["id"].as_str().unwrap()), "{narrowed}");

    let check = async |id: &str, data: bool, scope: &str, who: &str| {
        let body = json!({"Subject": {"Attributes": {"ObjectId": who}}, "Actions": [{"Id": id, "IsDataAction": data}]});
        let path = format!("{scope}/providers/Microsoft.Authorization/checkAccess");
        let answer =
            world.send(&world.owner, "POST", &path, "2018-09-01-preview", Some(body)).await.unwrap().body.unwrap();
        (answer[0]["accessDecision"].as_str().unwrap().to_owned(), answer[0]["roleAssignment"]["id"].clone())
    };
    let hub = format!("{two}/providers/Microsoft.Devices/IotHubs/h");
    for (id, data, scope, want) in [
        ("Microsoft.Devices/IotHubs/write", false, &hub, "Allowed"),
        ("Microsoft.Devices/IotHubs/delete", false, &hub, "NotAllowed"),
        ("Microsoft.Devices/IotHubs/devices/read", true, &hub, "Allowed"),
        ("Microsoft.Devices/IotHubs/twins/read", true, &hub, "NotAllowed"),
        ("Microsoft.Devices/IotHubs/devices/read", false, &hub, "Allowed"),
        ("Microsoft.Devices/IotHubs/write", false, &one, "NotAllowed"),
        ("Microsoft.Devices/IotHubs/write", true, &hub, "NotAllowed"),
    ] {
        let (decision, assignment) = check(id, data, scope, stranger.id()).await;
        assert_eq!(decision, want, "{id} {data} {scope}");
        assert_eq!(assignment.as_str(), made["id"].as_str().filter(|_| want == "Allowed"));
    }
    assert_eq!(check("*/read", false, &hub, &uuid_like(9)).await.0, "NotAllowed", "nobody may nothing");
    // About oneself everybody may ask; about others, who may read roles there.
    let ask = format!("{two}/providers/Microsoft.Authorization/checkAccess");
    let own = json!({"Actions": [{"Id": "Microsoft.Devices/IotHubs/read"}], "Resource": {"Id": hub}});
    let answer = world.send(&stranger, "POST", &ask, "2018-09-01-preview", Some(own)).await.unwrap().body.unwrap();
    assert_eq!(answer[0]["accessDecision"], "Allowed");
    let other = json!({"Subject": {"Attributes": {"ObjectId": world.owner.id()}}, "Actions": [{"Id": "a/b"}]});
    assert_eq!(
        world.refused(&stranger, "POST", &ask, "2018-09-01-preview", Some(other)).await.code,
        "AuthorizationFailed"
    );
    for (body, target) in [
        (json!({}), "Actions"),
        (json!({"Actions": [{}]}), "Actions"),
        (json!({"Actions": [{"Id": "a/b"}], "Resource": {"Id": one}}), "Resource.Id"),
    ] {
        let refused = world.refused(&world.owner, "POST", &ask, "2018-09-01-preview", Some(body)).await;
        assert_eq!((refused.http_status(), refused.target.as_deref()), (400, Some(target)));
    }
}

#[tokio::test]
async fn what_there_is_to_ask_about_rights() {
    let world = World::new().await;
    let subscription = format!("/subscriptions/{}", world.subscription);
    let stranger = world.stranger().await;
    let denials = format!("{subscription}/providers/Microsoft.Authorization/denyAssignments");
    assert_eq!(world.get(&format!("{denials}?$filter=atScope()"), "2022-04-01").await, json!({"value": []}));
    assert_eq!(world.refused(&stranger, "GET", &denials, "2022-04-01", None).await.code, "AuthorizationFailed");
    let one = format!("{denials}/{}", uuid_like(1));
    assert_eq!(world.refused(&world.owner, "GET", &one, "2022-04-01", None).await.code, "DenyAssignmentNotFound");
    assert_eq!(world.refused(&world.owner, "PUT", &one, "2022-04-01", Some(json!({}))).await.http_status(), 501);
    assert_eq!(
        world
            .refused(&world.owner, "GET", &format!("{denials}?$filter=colour eq 'x'"), "2022-04-01", None)
            .await
            .http_status(),
        400
    );

    let all =
        world.get("/providers/Microsoft.Authorization/providerOperations?$expand=resourceTypes", "2022-04-01").await;
    let devices = world
        .get("/providers/Microsoft.Authorization/providerOperations/microsoft.devices", "2018-01-01-preview")
        .await;
    assert!(all["value"].as_array().unwrap().contains(&devices));
    let operations = |kind: &str| {
        let kinds = devices["resourceTypes"].as_array().unwrap();
        let found = kinds.iter().find(|one| one["name"] == kind).unwrap_or_else(|| panic!("{kind}"));
        found["operations"].as_array().unwrap().clone()
    };
    assert!(operations("IotHubs").iter().any(|one| one["name"] == "Microsoft.Devices/IotHubs/listkeys/action"));
    assert!(
        operations("IotHubs/devices")
            .iter()
            .any(|one| one["name"] == "Microsoft.Devices/IotHubs/devices/read" && one["isDataAction"] == true)
    );
    let unknown = "/providers/Microsoft.Authorization/providerOperations/Microsoft.Nothing";
    assert_eq!(world.refused(&world.owner, "GET", unknown, "2022-04-01", None).await.http_status(), 404);

    // A definition belongs to the tenant, and is read by whoever may in the subscription.
    let reader = format!("/providers/Microsoft.Authorization/roleDefinitions/{}", builtin::READER);
    assert_eq!(world.get(&reader, "2022-04-01").await["properties"]["roleName"], "Reader");
    assert_eq!(world.refused(&stranger, "GET", &reader, "2022-04-01", None).await.code, "AuthorizationFailed");
    let permissions = format!("{subscription}/providers/Microsoft.Authorization/permissions");
    assert_eq!(world.get(&permissions, "2022-04-01").await["value"][0]["actions"], json!(["*"]));
    let none = world.send(&stranger, "GET", &permissions, "2022-04-01", None).await.unwrap().body.unwrap();
    assert_eq!(none["value"], json!([]));
    // A condition would have to be evaluated: it is refused.
    let definition = format!("{subscription}/providers/Microsoft.Authorization/roleDefinitions/{}", builtin::READER);
    let path = format!("{subscription}/providers/Microsoft.Authorization/roleAssignments/{}", uuid_like(2));
    for (name, value) in [
        ("condition", json!("@Resource[a] StringEquals 'b'")),
        ("conditionVersion", json!("2.0")),
        ("delegatedManagedIdentityResourceId", json!("/x")),
    ] {
        let mut body = json!({"properties": {"roleDefinitionId": definition, "principalId": stranger.id()}});
        body["properties"][name] = value;
        let refused = world.send(&world.owner, "PUT", &path, "2022-04-01", Some(body)).await;
        assert!(name == "conditionVersion" || refused.unwrap_err().message.contains("Ferrohub"), "{name}");
    }
}

fn uuid_like(n: u8) -> String {
    format!("00000000-0000-4000-8000-0000000000{n:02x}")
}
