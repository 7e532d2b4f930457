//! People and groups: made, signed in, disabled, deleted; roles through groups.

use super::fixture::{BASE, World};
use ferrohub_model::error::Error;
use ferrohub_service::Service;
use ferrohub_service::authn::Audience;
use ferrohub_service::authz::{Actor, builtin};
use ferrohub_service::graph::GraphRequest;
use ferrohub_service::platform::Platform;
use serde_json::{Value, json};
use std::time::Duration;

pub(super) const PASSWORD: &str = "Correct-Horse-1";
const CLI: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
/// What asks for a token of Graph.
pub(super) const GRAPH: &str = "https://graph.microsoft.com/.default";
const ARM: &str = "https://management.azure.com/.default offline_access openid profile";

/// Signs a person in by its password through one process.
pub(super) async fn sign_in_through(
    service: &Service,
    platform: &Platform,
    address: [u8; 4],
    name: &str,
    password: &str,
) -> Result<Value, ferrohub_service::authn::OAuthError> {
    let fields =
        [("grant_type", "password"), ("client_id", CLI), ("username", name), ("password", password), ("scope", ARM)];
    let form: Vec<_> = fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    service.authn.token(&platform.tenancy.tenant_id, &form, None, Some(address.into()), true).await
}

impl World {
    pub(super) async fn graph_as(
        &self,
        actor: &Actor,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Error> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request = GraphRequest {
            method: method.into(),
            path: path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
            query: query.split_once('=').map(|(k, v)| (k.into(), v.into())).into_iter().collect(),
            body,
            actor: actor.clone(),
            base_url: BASE.into(),
            address: Some(std::net::Ipv4Addr::new(198, 51, 100, 1).into()),
        };
        self.service().graph.handle(request).await.map(|(_, body)| body.unwrap_or_default())
    }

    pub(super) async fn directory(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let answer = self.graph_as(&self.owner, method, path, body).await;
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    pub(super) async fn user(&self, alias: &str) -> Value {
        self.directory("POST", "users", Some(user(alias))).await
    }

    /// What the token endpoint answers to somebody at an address.
    pub(super) async fn sign_in_at(
        &self,
        address: [u8; 4],
        name: &str,
        password: &str,
    ) -> Result<Value, ferrohub_service::authn::OAuthError> {
        sign_in_through(self.service(), self.platform(), address, name, password).await
    }

    async fn granted(&self, fields: &[(&str, &str)]) -> Result<Value, u32> {
        let form: Vec<_> = fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let tenant = self.platform().tenancy.tenant_id.clone();
        self.service().authn.token(&tenant, &form, None, None, true).await.map_err(|error| error.code)
    }

    /// A token of a person for a scope.
    pub(super) async fn sign_in_for(&self, scope: &str, name: &str, password: &str) -> Result<Value, u32> {
        let form = [("grant_type", "password"), ("client_id", CLI), ("username", name), ("password", password)];
        self.granted(&[&form[..], &[("scope", scope)]].concat()).await
    }

    async fn sign_in(&self, name: &str, password: &str) -> Result<Value, u32> {
        self.sign_in_for(ARM, name, password).await
    }

    async fn refreshed(&self, token: &Value, client: &str) -> Result<Value, u32> {
        self.granted(&[
            ("grant_type", "refresh_token"),
            ("client_id", client),
            ("refresh_token", token["refresh_token"].as_str().unwrap()),
            ("scope", GRAPH),
        ])
        .await
    }

    pub(super) async fn bearer_of(&self, token: &Value, audience: Audience) -> Result<Actor, Error> {
        let header = format!("Bearer {}", token["access_token"].as_str().unwrap());
        self.service().authn.bearer(Some(&header), audience).await
    }
}

pub(super) fn user(alias: &str) -> Value {
    json!({
        "accountEnabled": true, "displayName": format!("{alias} of the plant"), "mailNickname": alias,
        "userPrincipalName": format!("{alias}@plant.example"),
        "passwordProfile": {"password": PASSWORD, "forceChangePasswordNextSignIn": false}
    })
}

pub(super) fn group(name: &str) -> Value {
    json!({"displayName": name, "mailEnabled": false, "mailNickname": name, "securityEnabled": true})
}

pub(super) fn reference(object: &Value) -> Value {
    json!({"@odata.id": format!("https://graph.microsoft.com/v1.0/directoryObjects/{}", object["id"].as_str().unwrap())})
}

pub(super) fn ids(list: &Value) -> Vec<&str> {
    list["value"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_person_signs_in_and_is_told_apart() {
    let world = World::new().await;
    let ann = world.user("Ann").await;
    assert_eq!((&ann["userPrincipalName"], &ann["accountEnabled"]), (&"Ann@plant.example".into(), &true.into()));
    let token = world.sign_in("ann@PLANT.example", PASSWORD).await.unwrap();
    for member in ["access_token", "id_token", "refresh_token", "client_info", "scope"] {
        assert!(token[member].is_string(), "{member}");
    }
    let actor = world.bearer_of(&token, Audience::Arm).await.unwrap();
    assert_eq!(
        (actor.id(), actor.name(), actor.kind_name()),
        (ann["id"].as_str().unwrap(), "Ann@plant.example", "User")
    );
    assert!(world.bearer_of(&token, Audience::Graph).await.is_err(), "a token is for one service");
    for (name, password, code) in [
        ("ann@plant.example", "Correct-Horse-2", 50_126),
        ("nobody@plant.example", PASSWORD, 50_126),
        ("\0", PASSWORD, 50_126),
        (&"x".repeat(5000), PASSWORD, 50_126),
        ("ann@plant.example", &"x".repeat(5000), 50_126),
        ("", PASSWORD, 900_144),
    ] {
        assert_eq!(world.sign_in(name, password).await.unwrap_err(), code, "{name}");
    }
    let other = world.refreshed(&token, CLI).await.unwrap();
    let actor = world.bearer_of(&other, Audience::Graph).await.unwrap();
    let me = world.graph_as(&actor, "GET", "me", None).await.unwrap();
    assert_eq!(me["id"], ann["id"]);
    assert_eq!(world.graph_as(&world.owner, "GET", "me", None).await.unwrap_err().http_status(), 400);
    assert_eq!(world.refreshed(&token, "1950a258-227b-4e31-a9cf-717495945fc2").await.unwrap_err(), 70_000);
    let forged = json!({"refresh_token": "A".repeat(100)});
    assert_eq!(world.refreshed(&forged, CLI).await.unwrap_err(), 9_002_313);
    assert_eq!(world.refreshed(&json!({"refresh_token": "!"}), CLI).await.unwrap_err(), 9_002_313);
    // A client that is none of Entra's public ones proves itself.
    let form = [
        ("grant_type", "password"),
        ("client_id", world.owner.name()),
        ("username", "ann@plant.example"),
        ("password", PASSWORD),
        ("scope", ARM),
    ];
    assert_eq!(world.granted(&form).await.unwrap_err(), 7_000_218);
    world.clock.advance(Duration::from_secs(91 * 24 * 3600));
    assert_eq!(world.refreshed(&token, CLI).await.unwrap_err(), 700_082);
}

/// All within one second: neither a time nor the order of requests in flight decides.
#[tokio::test]
async fn who_is_disabled_deleted_or_has_another_password_is_out_at_once() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    let at = format!("users/{}", ann["id"].as_str().unwrap());
    let token = world.sign_in("ann@plant.example", PASSWORD).await.unwrap();
    let actor = world.bearer_of(&token, Audience::Arm).await.unwrap();
    world.directory("PATCH", "users/ann@plant.example", Some(json!({"accountEnabled": false}))).await;
    assert_eq!(world.sign_in("ann@plant.example", PASSWORD).await.unwrap_err(), 50_057);
    assert_eq!(world.refreshed(&token, CLI).await.unwrap_err(), 50_057);
    let refused = world.bearer_of(&token, Audience::Arm).await.unwrap_err();
    assert_eq!((refused.http_status(), refused.code), (401, "InvalidAuthenticationToken"));
    world.directory("PATCH", &at, Some(json!({"accountEnabled": true}))).await;
    assert!(world.bearer_of(&token, Audience::Arm).await.is_err(), "what it got before does not come back");
    assert_eq!(world.refreshed(&token, CLI).await.unwrap_err(), 50_173);

    let token = world.sign_in("ann@plant.example", PASSWORD).await.unwrap();
    let forced = json!({"passwordProfile": {"password": "Another-Horse-1", "forceChangePasswordNextSignIn": true}});
    world.directory("PATCH", &at, Some(forced)).await;
    assert!(world.bearer_of(&token, Audience::Arm).await.is_err());
    assert_eq!(world.sign_in("ann@plant.example", PASSWORD).await.unwrap_err(), 50_126);
    assert_eq!(world.sign_in("ann@plant.example", "Another-Horse-1").await.unwrap_err(), 50_055);
    world.directory("PATCH", &at, Some(json!({"passwordProfile": {"forceChangePasswordNextSignIn": false}}))).await;
    let token = world.sign_in("ann@plant.example", "Another-Horse-1").await.unwrap();

    // Whoever knows the password sets another one.
    let change = |current: &str| json!({"currentPassword": current, "newPassword": "Third-Horse-1"});
    let wrong = world.graph_as(&actor, "POST", "me/changePassword", Some(change("x"))).await.unwrap_err();
    assert_eq!(wrong.target.as_deref(), Some("currentPassword"));
    let actor = world.bearer_of(&token, Audience::Arm).await.unwrap();
    world.graph_as(&actor, "POST", "me/changePassword", Some(change("Another-Horse-1"))).await.unwrap();
    assert!(world.bearer_of(&token, Audience::Arm).await.is_err());
    let token = world.sign_in("ann@plant.example", "Third-Horse-1").await.unwrap();
    world.directory("POST", &format!("{at}/revokeSignInSessions"), None).await;
    assert!(world.bearer_of(&token, Audience::Arm).await.is_err());

    let token = world.sign_in("ann@plant.example", "Third-Horse-1").await.unwrap();
    world.directory("DELETE", &at, None).await;
    assert!(world.bearer_of(&token, Audience::Arm).await.is_err());
    assert_eq!(world.refreshed(&token, CLI).await.unwrap_err(), 50_034);
    assert_eq!(world.sign_in("ann@plant.example", "Third-Horse-1").await.unwrap_err(), 50_126);
    world.user("ann").await;
}

#[tokio::test]
async fn a_disabled_application_is_out_at_once() {
    let world = World::new().await;
    let app = world.directory("POST", "applications", Some(json!({"displayName": "a"}))).await;
    let secret = world
        .directory("POST", &format!("applications/{}/addPassword", app["id"].as_str().unwrap()), Some(json!({})))
        .await;
    let (client, secret) = (app["appId"].as_str().unwrap(), secret["secretText"].as_str().unwrap());
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", client),
        ("client_secret", secret),
        ("scope", "https://management.azure.com/.default"),
    ];
    let token = world.granted(&form).await.unwrap();
    let id = world.bearer_of(&token, Audience::Arm).await.unwrap().id().to_owned();
    let at = format!("servicePrincipals/{id}");
    world.directory("PATCH", &at, Some(json!({"accountEnabled": false}))).await;
    assert_eq!(world.directory("GET", &at, None).await["accountEnabled"], false);
    assert_eq!(world.granted(&form).await.unwrap_err(), 7_000_112);
    assert!(world.bearer_of(&token, Audience::Arm).await.is_err());
    world.directory("PATCH", &at, Some(json!({"accountEnabled": true}))).await;
    assert!(world.bearer_of(&token, Audience::Arm).await.is_err(), "a token of before comes back");
    let token = world.granted(&form).await.unwrap();
    assert!(world.bearer_of(&token, Audience::Arm).await.is_ok());
    let keyed = world.directory("GET", &format!("servicePrincipals(appId='{client}')"), None).await;
    assert_eq!(keyed["id"], id.as_str());
}

/// A person is in the inner group, and each group in the other.
async fn the_directory_says_who_is_in(world: &World, ann: &Value, inner: &Value, outer: &Value) {
    let at = |group: &Value| format!("groups/{}", group["id"].as_str().unwrap());
    let id = ann["id"].as_str().unwrap();
    let list = world.directory("GET", &format!("{}/members", at(inner)), None).await;
    assert_eq!(ids(&list).len(), 2);
    assert_eq!(ids(&world.directory("GET", &format!("{}/transitiveMembers", at(outer)), None).await).len(), 2);
    assert_eq!(
        ids(&world.directory("GET", "users/ann@plant.example/memberOf", None).await),
        [inner["id"].as_str().unwrap()]
    );
    assert_eq!(ids(&world.directory("GET", &format!("directoryObjects/{id}/transitiveMemberOf"), None).await).len(), 2);
    let both = world
        .directory("POST", &format!("users/{id}/getMemberGroups"), Some(json!({"securityEnabledOnly": false})))
        .await;
    assert_eq!(both["value"].as_array().unwrap().len(), 2);
    let check = json!({"groupIds": [outer["id"], "11111111-1111-4111-8111-111111111111"]});
    assert_eq!(
        world.directory("POST", &format!("directoryObjects/{id}/checkMemberGroups"), Some(check)).await["value"],
        json!([outer["id"]])
    );
    let twice = world
        .graph_as(&world.owner, "POST", &format!("{}/members/$ref", at(inner)), Some(reference(ann)))
        .await
        .unwrap_err();
    assert!(twice.http_status() == 400 && twice.message.contains("already exist"), "{twice}");
}

#[tokio::test]
async fn members_have_the_roles_of_their_groups_while_they_are_in() {
    let world = World::new().await;
    let rg = world.group("rg1");
    world.put(&rg, "2024-11-01", json!({"location": "westeurope"})).await;
    let ann = world.user("ann").await;
    let token = world.sign_in("ann@plant.example", PASSWORD).await.unwrap();
    let actor = world.bearer_of(&token, Audience::Arm).await.unwrap();
    let (inner, outer) = (
        world.directory("POST", "groups", Some(group("inner"))).await,
        world.directory("POST", "groups", Some(group("outer"))).await,
    );
    let at = |group: &Value| format!("groups/{}", group["id"].as_str().unwrap());
    world.directory("POST", &format!("{}/members/$ref", at(&outer)), Some(reference(&inner))).await;
    world.directory("POST", &format!("{}/members/$ref", at(&inner)), Some(reference(&ann))).await;
    // A circle is no way to run for ever.
    world.directory("POST", &format!("{}/members/$ref", at(&inner)), Some(reference(&outer))).await;
    let definition = format!(
        "/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{}",
        world.subscription,
        builtin::READER
    );
    let assignment =
        format!("{rg}/providers/Microsoft.Authorization/roleAssignments/00000000-0000-4000-8000-000000000001");
    assert_eq!(world.refused(&actor, "GET", &rg, "2024-11-01", None).await.code, "AuthorizationFailed");
    let made = world
        .put(
            &assignment,
            "2022-04-01",
            json!({"properties": {"roleDefinitionId": definition, "principalId": outer["id"]}}),
        )
        .await;
    assert_eq!(made["properties"]["principalType"], "Group");
    assert_eq!(world.send(&actor, "GET", &rg, "2024-11-01", None).await.unwrap().status, 200);
    let shown = world.send(&actor, "GET", "/subscriptions", "2022-12-01", None).await.unwrap().body.unwrap();
    assert_eq!(shown["value"].as_array().unwrap().len(), 1);
    let roles = format!("{rg}/providers/Microsoft.Authorization/roleAssignments");
    let id = ann["id"].as_str().unwrap();
    for (filter, count) in [
        (format!("principalId eq '{id}'"), 0),
        (format!("assignedTo('{id}')"), 1),
        (format!("atScope() and assignedTo('{id}')"), 1),
    ] {
        let list = world.get(&format!("{roles}?$filter={filter}"), "2022-04-01").await;
        assert_eq!(ids(&list).len(), count, "{filter}");
    }
    let mine = world
        .send(&actor, "GET", &format!("{roles}?$filter=asTarget()"), "2022-04-01", None)
        .await
        .unwrap()
        .body
        .unwrap();
    assert_eq!(ids(&mine), [made["id"].as_str().unwrap()]);

    the_directory_says_who_is_in(&world, &ann, &inner, &outer).await;
    world.directory("DELETE", &format!("{}/members/{id}/$ref", at(&inner)), None).await;
    assert_eq!(world.refused(&actor, "GET", &rg, "2024-11-01", None).await.code, "AuthorizationFailed");
    world.directory("POST", &format!("{}/members/$ref", at(&outer)), Some(reference(&ann))).await;
    assert_eq!(world.send(&actor, "GET", &rg, "2024-11-01", None).await.unwrap().status, 200);
    world.directory("DELETE", &at(&outer), None).await;
    assert_eq!(world.refused(&actor, "GET", &rg, "2024-11-01", None).await.code, "AuthorizationFailed");
    assert_eq!(world.refused(&world.owner, "GET", &assignment, "2022-04-01", None).await.http_status(), 404);
    assert_eq!(ids(&world.directory("GET", &format!("users/{id}/memberOf"), None).await), Vec::<&str>::new());
}

#[tokio::test]
async fn owners_of_a_group_manage_it_and_nothing_else() {
    let world = World::new().await;
    let (ann, bob) = (world.user("ann").await, world.user("bob").await);
    let mut body = group("crew");
    body["members@odata.bind"] = json!([reference(&bob)["@odata.id"]]);
    body["owners@odata.bind"] = json!([reference(&ann)["@odata.id"]]);
    let crew = world.directory("POST", "groups", Some(body)).await;
    let other = world.directory("POST", "groups", Some(group("other"))).await;
    let at = |group: &Value| format!("groups/{}", group["id"].as_str().unwrap());
    assert_eq!(
        ids(&world.directory("GET", &format!("{}/owners", at(&crew)), None).await),
        [ann["id"].as_str().unwrap()]
    );
    let token = world.sign_in("ann@plant.example", PASSWORD).await.unwrap();
    let actor = world.bearer_of(&token, Audience::Arm).await.unwrap();
    assert_eq!(
        ids(&world.graph_as(&actor, "GET", "me/ownedObjects", None).await.unwrap()),
        [crew["id"].as_str().unwrap()]
    );
    world.graph_as(&actor, "POST", &format!("{}/members/$ref", at(&crew)), Some(reference(&ann))).await.unwrap();
    world.graph_as(&actor, "PATCH", &at(&crew), Some(json!({"description": "night shift"}))).await.unwrap();
    for (method, path, body) in [
        ("PATCH", at(&other), json!({"description": "mine"})),
        ("POST", format!("{}/members/$ref", at(&other)), reference(&ann)),
        ("DELETE", format!("users/{}", bob["id"].as_str().unwrap()), Value::Null),
        ("POST", "groups".to_owned(), group("x")),
    ] {
        let refused = world.graph_as(&actor, method, &path, Some(body)).await.unwrap_err();
        assert_eq!((refused.http_status(), refused.code), (403, "Authorization_RequestDenied"), "{method} {path}");
    }
}

#[tokio::test]
async fn the_last_owner_is_neither_disabled_nor_taken_out_of_its_group() {
    let world = World::new().await;
    let subscription = format!("/subscriptions/{}", world.subscription);
    let roles = format!("{subscription}/providers/Microsoft.Authorization/roleAssignments");
    let ann = world.user("ann").await;
    let admins = world.directory("POST", "groups", Some(group("admins"))).await;
    let at = format!("groups/{}", admins["id"].as_str().unwrap());
    world.directory("POST", &format!("{at}/members/$ref"), Some(reference(&ann))).await;
    let definition = format!("{subscription}/providers/Microsoft.Authorization/roleDefinitions/{}", builtin::OWNER);
    let founding = ids(&world.get(&roles, "2022-04-01").await)[0].to_owned();
    let made = world
        .put(
            &format!("{roles}/00000000-0000-4000-8000-000000000001"),
            "2022-04-01",
            json!({"properties": {"roleDefinitionId": definition, "principalId": admins["id"]}}),
        )
        .await;
    let sp = format!("servicePrincipals/{}", world.owner.id());
    assert_eq!(world.send(&world.owner, "DELETE", &founding, "2022-04-01", None).await.unwrap().status, 200);
    let token = world.sign_in("ann@plant.example", PASSWORD).await.unwrap();
    let boss = world.bearer_of(&token, Audience::Arm).await.unwrap();
    let person = format!("users/{}", ann["id"].as_str().unwrap());
    for (method, path, body) in [
        ("PATCH", person.clone(), Some(json!({"accountEnabled": false}))),
        ("DELETE", person.clone(), None),
        ("DELETE", at.clone(), None),
        ("DELETE", format!("{at}/members/{}/$ref", ann["id"].as_str().unwrap()), None),
    ] {
        let refused = world.graph_as(&boss, method, &path, body).await.unwrap_err();
        assert_eq!((refused.http_status(), refused.code), (409, "LastRbacAdmin"), "{method} {path}");
    }
    assert_eq!(
        world.refused(&boss, "DELETE", made["id"].as_str().unwrap(), "2022-04-01", None).await.code,
        "LastRbacAdmin"
    );
    // Somebody else who may sign in is enough; one who is disabled is not.
    let bob = world.graph_as(&boss, "POST", "users", Some(user("bob"))).await.unwrap();
    world.graph_as(&boss, "POST", &format!("{at}/members/$ref"), Some(reference(&bob))).await.unwrap();
    world
        .graph_as(
            &boss,
            "PATCH",
            &format!("users/{}", bob["id"].as_str().unwrap()),
            Some(json!({"accountEnabled": false})),
        )
        .await
        .unwrap();
    assert_eq!(world.graph_as(&boss, "DELETE", &person, None).await.unwrap_err().code, "LastRbacAdmin");
    world
        .graph_as(
            &boss,
            "PATCH",
            &format!("users/{}", bob["id"].as_str().unwrap()),
            Some(json!({"accountEnabled": true})),
        )
        .await
        .unwrap();
    world.graph_as(&boss, "PATCH", &sp, Some(json!({"accountEnabled": false}))).await.unwrap();
    world.graph_as(&boss, "DELETE", &person, None).await.unwrap();
}
