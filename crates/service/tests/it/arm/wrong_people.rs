//! What is no person and no group is refused, by the name of what is wrong.

use super::fixture::World;
use super::people::{PASSWORD, group, ids, reference, user};
use serde_json::{Value, json};

#[tokio::test]
async fn wrong_people_are_refused_by_name() {
    let world = World::new().await;
    world.user("ann").await;
    let with = |name: &str, value: Value| {
        let mut body = user("bob");
        body[name] = value;
        body
    };
    for (body, status, target) in [
        (user("ANN"), 400, "userPrincipalName"),
        (with("userPrincipalName", "bob".into()), 400, "userPrincipalName"),
        (with("userPrincipalName", "bob@".into()), 400, "userPrincipalName"),
        (with("userPrincipalName", "b ob@plant.example".into()), 400, "userPrincipalName"),
        (with("displayName", "a\u{1b}[2J".into()), 400, "displayName"),
        (with("mailNickname", "a@b".into()), 400, "mailNickname"),
        (with("accountEnabled", "true".into()), 400, "accountEnabled"),
        (with("passwordProfile", json!({"password": "short"})), 400, "passwordProfile.password"),
        (with("passwordProfile", json!({"forceChangePasswordNextSignIn": false})), 400, "passwordProfile"),
        (with("passwordProfile", json!({"password": PASSWORD, "x": 1})), 400, "passwordProfile.x"),
        (with("passwordProfile", Value::Null), 400, "passwordProfile"),
        (with("jobTitle", 7.into()), 400, "jobTitle"),
        (with("skills", json!(["x"])), 501, "skills"),
    ] {
        let refused = world.graph_as(&world.owner, "POST", "users", Some(body.clone())).await.unwrap_err();
        assert_eq!((refused.http_status(), refused.target.as_deref()), (status, Some(target)), "{body}");
    }
    let mut body = user("o'neil");
    body["jobTitle"] = "Engineer".into();
    assert_eq!(world.directory("POST", "users", Some(body)).await["jobTitle"], "Engineer");
    assert_eq!(world.directory("GET", "users('o''neil@plant.example')", None).await["surname"], Value::Null);
    let found = world
        .directory("GET", "users?$filter=startswith(displayName,'o''neil') and accountEnabled eq true", None)
        .await;
    assert_eq!(ids(&found).len(), 1);
    world
        .directory(
            "PATCH",
            "users/o'neil@plant.example",
            Some(json!({"jobTitle": null, "userPrincipalName": "neil@plant.example"})),
        )
        .await;
    assert_eq!(world.directory("GET", "users/NEIL@plant.example", None).await["jobTitle"], Value::Null);
    let renamed = world
        .graph_as(
            &world.owner,
            "PATCH",
            "users/neil@plant.example",
            Some(json!({"userPrincipalName": "ann@plant.example"})),
        )
        .await;
    assert_eq!(renamed.unwrap_err().target.as_deref(), Some("userPrincipalName"));
}

#[tokio::test]
async fn wrong_groups_are_refused_by_name() {
    let world = World::new().await;
    for (name, value, status) in [
        ("mailEnabled", json!(true), 400),
        ("securityEnabled", json!(false), 400),
        ("groupTypes", json!(["Unified"]), 501),
        ("displayName", json!(""), 400),
        ("members@odata.bind", json!(["x"]), 400),
        (
            "members@odata.bind",
            json!(["https://graph.microsoft.com/v1.0/users/11111111-1111-4111-8111-111111111111"]),
            404,
        ),
    ] {
        let mut body = group("g");
        body[name] = value;
        let refused = world.graph_as(&world.owner, "POST", "groups", Some(body)).await.unwrap_err();
        assert_eq!(refused.http_status(), status, "{name}: {refused}");
    }
    let made = world.directory("POST", "groups", Some(group("g"))).await;
    let at = format!("groups/{}/members/$ref", made["id"].as_str().unwrap());
    assert_eq!(world.graph_as(&world.owner, "POST", &at, Some(reference(&made))).await.unwrap_err().http_status(), 400);
    assert_eq!(world.graph_as(&world.owner, "POST", &at, Some(json!({}))).await.unwrap_err().http_status(), 400);
    let owner = format!("groups/{}/owners/$ref", made["id"].as_str().unwrap());
    assert_eq!(
        world.graph_as(&world.owner, "POST", &owner, Some(reference(&made))).await.unwrap_err().http_status(),
        400
    );
}
