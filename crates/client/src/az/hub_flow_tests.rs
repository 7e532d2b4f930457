//! Hubs that are made and linked by `az iot hub create`, against a scripted server.

use super::flow_tests::{GROUP, path};
use super::scripted::{Answer, Scripted, Seen};
use serde_json::{Value, json};

/// A group with the namespaces `names`; the identity holds a role with the seeds' actions on those
/// that begin with `mine`.
fn hub_script(seen: &Seen, names: &[&str]) -> Option<Answer> {
    let role = "/providers/Microsoft.Authorization/roleDefinitions/r1";
    let call = path(seen);
    let namespace = |name: &str| {
        let id = format!("{GROUP}/providers/Microsoft.DeviceRegistry/namespaces/{name}");
        json!({"id": id, "name": name, "identity": {"principalId": "ns-principal"}})
    };
    let tail = call.split('?').next()?;
    if tail == "GET RG/DeviceRegistry/namespaces" {
        return Some(Answer::list(names.iter().map(|name| namespace(name)).collect()));
    }
    if tail.contains("namespaces/") && tail.ends_with("roleAssignments") {
        let scope = seen.call.split("/providers/Microsoft.Authorization").next()?.trim_start_matches("GET ");
        let held = json!({"properties": {"principalId": "uami", "scope": scope, "roleDefinitionId": role}});
        return Some(Answer::list(if scope.contains("/mine") { json!([held]) } else { json!([]) }));
    }
    let actions = ["Microsoft.DeviceRegistry/namespaces/read", "Microsoft.DeviceRegistry/namespaces/devices/write"];
    if tail.contains("namespaces/") && tail.ends_with("roleDefinitions") {
        let other = json!({"name": "r2", "properties": {"permissions": [{"actions": ["*/read"]}]}});
        let mine = json!({"name": "r1", "properties": {"permissions": [{"actions": actions}]}});
        return Some(Answer::list(json!([other, mine])));
    }
    if tail.starts_with("GET RG/DeviceRegistry/namespaces/") {
        return Some(Answer::ok(namespace(tail.rsplit('/').next()?)));
    }
    match tail {
        "GET /i1" => Some(Answer::ok(json!({"properties": {"principalId": "uami"}}))),
        "PUT RG/Devices/IotHubs/h1" => {
            let mut hub = seen.body.clone();
            hub["id"] = json!(format!("{GROUP}/providers/Microsoft.Devices/IotHubs/h1"));
            Some(Answer::new(201, hub))
        }
        "GET RG/Devices/IotHubs/h1/Authorization/roleDefinitions" => Some(Answer::list(json!([{"id": role}]))),
        _ => Some(Answer::error(
            403,
            "AuthorizationFailed",
            "The client may not assign roles. To grant it: az role assignment create --role \"Role Based Access Control Administrator\".",
        )),
    }
}

const HUB_LINE: &[&str] = &[
    "iot",
    "hub",
    "create",
    "--name",
    "h1",
    "--resource-group",
    "rg",
    "--location",
    "westus2",
    "--sku",
    "S1",
    "--enable-file-upload",
    "true",
    "--assign-identity",
    "/i1",
];

fn hub_body(server: &Scripted) -> Option<Value> {
    server
        .seen()
        .into_iter()
        .find(|seen| seen.call.starts_with("PUT") && seen.call.ends_with("/h1"))
        .map(|seen| seen.body)
}

#[tokio::test]
async fn a_hub_is_linked_to_the_one_namespace_its_identity_may_use() {
    let server = Scripted::signed_in(|seen| hub_script(seen, &["theirs", "mine"])).await;
    let ran = server.az(HUB_LINE).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let body = hub_body(&server).unwrap();
    let namespace = format!("{GROUP}/providers/Microsoft.DeviceRegistry/namespaces/mine");
    assert_eq!(
        body["properties"]["deviceRegistry"],
        json!({"namespaceResourceId": namespace, "identityResourceId": "/i1"})
    );
    // The server has no file upload and refuses it; the published line makes its hub all the same, and is told.
    assert_eq!(body["properties"]["enableFileUploadNotifications"], false);
    assert!(ran.err.contains("Ferrohub has no file upload"), "{}", ran.err);
    assert!(ran.err.contains("linked to namespace") && ran.err.contains("/mine"), "{}", ran.err);
    // The caller may not assign roles: both commands are there to be run, and the hub stays.
    assert_eq!(ran.err.matches("az role assignment create").count(), 2, "{}", ran.err);
    for role in ["Contributor", "IoT Hub Registry Contributor"] {
        let command =
            format!("az role assignment create --assignee \"ns-principal\" --role \"{role}\" --scope \"{GROUP}/");
        assert!(ran.err.contains(&command), "{}", ran.err);
    }
}

#[tokio::test]
async fn a_hub_without_a_usable_namespace_is_plain_and_with_several_refused() {
    let none = Scripted::signed_in(|seen| hub_script(seen, &["theirs"])).await;
    let ran = none.az(HUB_LINE).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("WARNING: The hub is not linked"), "{}", ran.err);
    assert_eq!(hub_body(&none).unwrap()["properties"].get("deviceRegistry"), None);

    let several = Scripted::signed_in(|seen| hub_script(seen, &["mine", "mine-too"])).await;
    let ran = several.az(HUB_LINE).await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("/mine\n") && ran.err.contains("/mine-too\n"), "{}", ran.err);
    assert_eq!(hub_body(&several), None);

    let unset = ["iot", "hub", "create", "-n", "h1", "-g", "rg", "--assign-identity", ""];
    assert!(none.az(&unset).await.err.contains("--mi-user-assigned is empty"));

    let plain = Scripted::signed_in(|seen| hub_script(seen, &["mine"])).await;
    let ran = plain.az(&["iot", "hub", "create", "-n", "h1", "-g", "rg", "-l", "westus2"]).await;
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(hub_body(&plain).unwrap()["properties"].get("deviceRegistry"), None);
}

#[tokio::test]
async fn a_hub_is_linked_although_another_command_changed_the_service() {
    let server = Scripted::signed_in(|seen| match (seen.call.split(' ').next()?, seen.before) {
        ("GET", before) => {
            let linked = vec![json!({"name": "other.azure-devices.localhost"}); before];
            let properties = json!({"iotHubs": linked});
            Some(Answer::ok(
                json!({"id": seen.call.strip_prefix("GET ")?, "etag": before.to_string(), "properties": properties}),
            ))
        }
        ("PUT", 0) => Some(Answer::error(412, "PreconditionFailed", "The condition of If-Match is not met.")),
        ("PUT", _) => Some(Answer::ok(json!({"id": "x"}))),
        _ => None,
    })
    .await;
    let string = "HostName=h1.azure-devices.localhost;SharedAccessKeyName=iothubowner;SharedAccessKey=QUFBQQ==";
    let words = ["iot", "dps", "linked-hub", "create", "-g", "rg", "--dps-name", "d1", "-l", "westus"];
    let ran = server.az(&[&words[..], &["--connection-string", string]].concat()).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let puts: Vec<Value> = server.seen().into_iter().filter(|s| s.call.starts_with("PUT")).map(|s| s.body).collect();
    let linked = |put: &Value| put["properties"]["iotHubs"].as_array().unwrap().len();
    assert_eq!(puts.iter().map(linked).collect::<Vec<_>>(), [1, 2], "the second try starts from what is there then");
}
