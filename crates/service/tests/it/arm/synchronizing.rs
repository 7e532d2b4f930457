//! `synchronize` takes what its body names, and says what became of each hub.

use super::fixture::{ADR, HUB, Plant, World, plant};
use ferrohub_service::authz::builtin;
use serde_json::{Value, json};

/// The answers at `Location` and of the operation's status.
async fn synchronize(world: &World, plant: &Plant, body: Option<Value>) -> (u16, Value, Value) {
    let path = format!("{}/credentials/default/synchronize", plant.namespace);
    let accepted = world.send(&world.owner, "POST", &path, ADR, body).await.unwrap();
    assert_eq!(accepted.status, 202);
    let (_, location) = accepted.headers.iter().find(|(name, _)| *name == "Location").unwrap();
    let location = location.split('?').next().unwrap();
    let location = &location[location.find("/subscriptions/").unwrap()..];
    let result = world.send(&world.owner, "GET", location, ADR, None).await.unwrap();
    let status = world.get(&location.replace("operationResults", "operationStatuses"), ADR).await;
    (result.status, result.body.unwrap_or_default(), status)
}

/// The policies whose CAs a hub trusts.
async fn trusted(world: &World, hub: &str) -> Vec<String> {
    let listed = world.get(&format!("{hub}/certificates"), HUB).await;
    let entries = listed["value"].as_array().unwrap().iter();
    let ids = entries.map(|entry| entry["properties"]["policyResourceId"].as_str().unwrap().to_owned());
    let mut names: Vec<String> = ids.map(|id| id.rsplit('/').next().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// A second hub and a second policy. The namespace has no right on the hub.
async fn second(world: &World, plant: &Plant) -> String {
    let hub = format!("{}/providers/Microsoft.Devices/IotHubs/hub2", plant.group);
    let body = json!({"location": "westeurope", "identity": {"type": "UserAssigned", "userAssignedIdentities": {plant.identity.clone(): {}}},
        "properties": {"deviceRegistry": {"namespaceResourceId": plant.namespace, "identityResourceId": plant.identity}}});
    world.put(&hub, HUB, body).await;
    world.put(&format!("{}/credentials/default/policies/extra", plant.namespace), ADR, json!({"properties": {}})).await;
    hub
}

#[tokio::test]
async fn only_what_is_named_is_taken() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let hub2 = second(&world, &plant).await;
    let policy = format!("{}/credentials/default/policies/EXTRA", plant.namespace);
    let (status, answer, _) = synchronize(&world, &plant, Some(json!({"policies": [policy], "hubs": ["HUB1"]}))).await;
    let done = json!({"id": plant.hub, "name": "hub1", "resourceId": plant.hub, "status": "Succeeded"});
    assert_eq!((status, answer), (200, json!({"operations": [done]})));
    assert_eq!(trusted(&world, &plant.hub).await, ["extra"]);
    assert!(trusted(&world, &hub2).await.is_empty());
    let authority = format!("{}/certificateAuthorities/default", plant.namespace);
    let (status, ..) = synchronize(&world, &plant, Some(json!({"policies": [authority], "hubs": [plant.hub]}))).await;
    assert_eq!((status, trusted(&world, &plant.hub).await), (200, vec!["default".to_owned(), "extra".to_owned()]));
}

#[tokio::test]
async fn each_hub_has_a_result() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let hub2 = second(&world, &plant).await;
    let (status, answer, operation) = synchronize(&world, &plant, Some(json!({"policies": ["default"]}))).await;
    assert_eq!((status, &answer["error"]["code"]), (403, &json!("AuthorizationFailed")));
    assert_eq!(operation["status"], "Failed");
    let results: Vec<(&str, &str)> = operation["operations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (step["name"].as_str().unwrap(), step["status"].as_str().unwrap()))
        .collect();
    assert_eq!(results, [("hub1", "Succeeded"), ("hub2", "Failed")]);
    let refusal = operation["operations"][1]["error"]["message"].as_str().unwrap();
    assert!(refusal.contains("hub2") && refusal.contains("az role assignment create"), "{refusal}");
    assert_eq!(trusted(&world, &plant.hub).await, ["default"]);

    let namespace = world.get(&plant.namespace, ADR).await;
    world.assign(namespace["identity"]["principalId"].as_str().unwrap(), builtin::CONTRIBUTOR, &hub2).await;
    // Without a body it is Azure's: all of both, and no content.
    let (status, answer, operation) = synchronize(&world, &plant, None).await;
    assert_eq!((status, answer, operation["operations"].as_array().unwrap().len()), (204, Value::Null, 2));
    for hub in [&plant.hub, &hub2] {
        assert_eq!(trusted(&world, hub).await, ["default", "extra"]);
    }
    let (status, ..) = synchronize(&world, &plant, Some(json!({}))).await;
    assert_eq!(status, 204);
}

#[tokio::test]
async fn what_a_body_names_must_be_there() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let loose = format!("{}/providers/Microsoft.Devices/IotHubs/loose", plant.group);
    world.put(&loose, HUB, json!({"location": "westeurope"})).await;
    let path = format!("{}/credentials/default/synchronize", plant.namespace);
    for (body, target) in [
        (json!({"policies": ["nobody"]}), "policies"),
        (json!({"policies": []}), "policies"),
        (json!({"policies": "default"}), "policies"),
        (json!({"policies": [plant.hub]}), "policies"),
        (json!({"policies": ["default", 7]}), "policies"),
        (json!({"hubs": ["loose"]}), "hubs"),
        (json!({"hubs": [loose]}), "hubs"),
        (json!({"hubs": [{}]}), "hubs"),
        (json!({"policy": ["default"]}), "policy"),
        (json!(["default"]), ""),
    ] {
        let error = world.refused(&world.owner, "POST", &path, ADR, Some(body.clone())).await;
        let seen = (error.http_status(), error.code, error.target.as_deref());
        assert_eq!(seen, (400, "InvalidRequestContent", Some(target)), "{body} {}", error.message);
    }
    assert!(trusted(&world, &plant.hub).await.is_empty());
}

/// Hub, policy, state and code of the error, as they are shown.
async fn states(world: &World, plant: &Plant) -> Vec<(String, String, String, String)> {
    let path = format!("{}/credentials/default/synchronization", plant.namespace);
    let shown = world.get(&path, ADR).await;
    let text = |entry: &Value, at: &str| entry.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
    let value = shown["value"].as_array().unwrap().iter();
    value
        .map(|entry| (text(entry, "/hub"), text(entry, "/policy"), text(entry, "/state"), text(entry, "/error/code")))
        .collect()
}

fn line(hub: &str, policy: &str, state: &str, code: &str) -> (String, String, String, String) {
    (hub.into(), policy.into(), state.into(), code.into())
}

async fn undo(world: &World, plant: &Plant, body: Value) -> (u16, Value) {
    let path = format!("{}/credentials/default/undoSynchronize", plant.namespace);
    let accepted = world.send(&world.owner, "POST", &path, ADR, Some(body)).await.unwrap();
    assert_eq!(accepted.status, 202);
    let (_, location) = accepted.headers.iter().find(|(name, _)| *name == "Location").unwrap();
    let location = location.split('?').next().unwrap();
    let location = &location[location.find("/subscriptions/").unwrap()..];
    let result = world.send(&world.owner, "GET", location, ADR, None).await.unwrap();
    (result.status, result.body.unwrap_or_default())
}

#[tokio::test]
async fn where_each_policy_stands_on_each_hub_is_shown_and_can_be_undone() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let hub2 = second(&world, &plant).await;
    let pending = |hub: &str, policy: &str| line(hub, policy, "Pending", "");
    let none = [("hub1", "default"), ("hub1", "extra"), ("hub2", "default"), ("hub2", "extra")];
    assert_eq!(states(&world, &plant).await, none.map(|(hub, policy)| pending(hub, policy)));

    synchronize(&world, &plant, Some(json!({"policies": ["default"]}))).await;
    let refused = "AuthorizationFailed";
    let wanted = [
        line("hub1", "default", "Synchronized", ""),
        pending("hub1", "extra"),
        line("hub2", "default", "Failed", refused),
        pending("hub2", "extra"),
    ];
    assert_eq!(states(&world, &plant).await, wanted);
    let path = format!("{}/credentials/default/synchronization", plant.namespace);
    let first = world.get(&format!("{path}?$top=1"), ADR).await;
    assert_eq!(first["value"].as_array().unwrap().len(), 1);
    assert!(first["nextLink"].is_string() && first["value"][0]["lastAttempt"].is_string());
    assert_eq!(first["value"][0]["hubResourceId"], plant.hub);

    let namespace = world.get(&plant.namespace, ADR).await;
    world.assign(namespace["identity"]["principalId"].as_str().unwrap(), builtin::CONTRIBUTOR, &hub2).await;
    synchronize(&world, &plant, None).await;
    assert!(states(&world, &plant).await.iter().all(|entry| entry.2 == "Synchronized" && entry.3.is_empty()));

    // Off one hub, and only there; twice is once.
    for _ in 0..2 {
        assert_eq!(undo(&world, &plant, json!({"policies": ["default"], "hubs": ["hub1"]})).await.0, 200);
        assert_eq!(trusted(&world, &plant.hub).await, ["extra"]);
        assert_eq!(trusted(&world, &hub2).await, ["default", "extra"]);
        assert_eq!(states(&world, &plant).await[0], line("hub1", "default", "Undone", ""));
    }
    assert_eq!(undo(&world, &plant, json!({"policies": ["extra"]})).await.0, 200);
    assert_eq!((trusted(&world, &plant.hub).await, trusted(&world, &hub2).await), (vec![], vec!["default".into()]));
    synchronize(&world, &plant, Some(json!({"policies": ["default"], "hubs": ["hub1"]}))).await;
    assert_eq!(states(&world, &plant).await[0], line("hub1", "default", "Synchronized", ""));

    // An entry that somebody deletes by hand is missing, whatever was noted.
    let entries = world.get(&format!("{}/certificates", plant.hub), HUB).await;
    let entry = entries["value"][0]["id"].as_str().unwrap().to_owned();
    world.send(&world.owner, "DELETE", &entry, HUB, None).await.unwrap();
    assert_eq!(states(&world, &plant).await[0], pending("hub1", "default"));
}

#[tokio::test]
async fn what_is_undone_is_named_and_needs_the_right_to_delete() {
    let world = World::new().await;
    let plant = plant(&world).await;
    synchronize(&world, &plant, None).await;
    let path = format!("{}/credentials/default/undoSynchronize", plant.namespace);
    for body in [None, Some(json!({})), Some(json!({"hubs": ["hub1"]})), Some(json!({"policies": ["nobody"]}))] {
        let error = world.refused(&world.owner, "POST", &path, ADR, body.clone()).await;
        let seen = (error.http_status(), error.code, error.target.as_deref());
        assert_eq!(seen, (400, "InvalidRequestContent", Some("policies")), "{body:?}");
    }
    let stranger = world.stranger().await;
    let body = json!({"policies": ["default"]});
    let error = world.refused(&stranger, "POST", &path, ADR, Some(body.clone())).await;
    assert!(error.message.contains("credentials/undoSynchronize/action"), "{error}");
    let shown = format!("{}/credentials/default/synchronization", plant.namespace);
    let error = world.refused(&stranger, "GET", &shown, ADR, None).await;
    assert!(error.message.contains("credentials/synchronization/read"), "{error}");

    // The namespace's identity must be able to delete at the hub.
    let roles =
        world.get(&format!("{}/providers/Microsoft.Authorization/roleAssignments", plant.hub), "2022-04-01").await;
    let namespace = world.get(&plant.namespace, ADR).await;
    let principal = &namespace["identity"]["principalId"];
    let assigned =
        roles["value"].as_array().unwrap().iter().find(|role| role["properties"]["principalId"] == *principal);
    let assigned = assigned.unwrap()["id"].as_str().unwrap().to_owned();
    world.send(&world.owner, "DELETE", &assigned, "2022-04-01", None).await.unwrap();
    let (status, answer) = undo(&world, &plant, body).await;
    assert_eq!((status, &answer["error"]["code"]), (403, &json!("AuthorizationFailed")), "{answer}");
    assert_eq!(trusted(&world, &plant.hub).await, ["default"]);
    assert_eq!(states(&world, &plant).await, [line("hub1", "default", "Synchronized", "AuthorizationFailed")]);
}

/// What somebody made on a CA that a hub trusts, or below a policy, is no reason for it to stay for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_on_what_goes_with_a_policy_go_along() {
    let world = World::new().await;
    let plant = plant(&world).await;
    synchronize(&world, &plant, None).await;
    let listed = world.get(&format!("{}/certificates", plant.hub), HUB).await;
    let entry = listed["value"][0]["id"].as_str().unwrap().to_owned();
    let below = format!("{}/certificateAuthorities/default/certificatePolicies/default", plant.namespace);
    let stranger = world.stranger().await;
    let mut roles = Vec::new();
    for scope in [&entry, &below] {
        let made = world.assign(stranger.id(), builtin::READER, scope).await;
        roles.push(made["id"].as_str().unwrap().to_owned());
    }
    let (status, answer) = undo(&world, &plant, json!({"policies": ["default"]})).await;
    assert_eq!((status, trusted(&world, &plant.hub).await), (200, Vec::new()), "{answer}");
    let policy = format!("{}/credentials/default/policies/default", plant.namespace);
    Box::pin(world.while_time_passes(world.send(&world.owner, "DELETE", &policy, ADR, None))).await.unwrap();
    assert_eq!(world.refused(&world.owner, "GET", &policy, ADR, None).await.http_status(), 404);
    for role in roles {
        assert_eq!(world.refused(&world.owner, "GET", &role, "2022-04-01", None).await.http_status(), 404, "{role}");
    }
}
