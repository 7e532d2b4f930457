//! What somebody is told who got something wrong: the cause, and what to do.

use super::scripted::{Answer, SUBSCRIPTION, Scripted};
use serde_json::{Value, json};

#[tokio::test]
async fn files_that_are_not_there_are_not_told_as_wrong_json() {
    let server = Scripted::signed_in(|_| None).await;
    let create = ["role", "definition", "create", "--role-definition"];
    for (given, said) in [
        ("role.json", "'role.json' is no JSON, and there is no such file: "),
        ("@role.json", "the file 'role.json' says, and there is no such file"),
        ("{\"Name\"", "Failed to parse string as JSON"),
    ] {
        let ran = server.az(&[&create[..], &[given]].concat()).await;
        assert!(ran.code == 1 && ran.err.contains(said), "{given}: {}", ran.err);
    }
    let ran = server.az(&["rest", "--method", "put", "--url", "/x", "--body", "@body.json"]).await;
    assert!(ran.code == 1 && ran.err.contains("the file 'body.json'"), "{}", ran.err);
    assert!(server.calls().is_empty(), "{:?}", server.calls());
}

#[tokio::test]
async fn a_name_where_an_id_belongs_is_refused_with_the_command_that_prints_the_id() {
    let server = Scripted::signed_in(|_| None).await;
    for (words, command) in [
        (
            "iot dps create -n d -g g --ns-resource-id /n --ns-identity-id worker --mi-user-assigned /i",
            "az identity show",
        ),
        ("iot hub create -n h -g g --mi-user-assigned worker", "az identity show"),
        ("iot hub identity assign -n h --user-assigned worker", "az identity show"),
        ("iot dps create -n d -g g --ns-resource-id plant", "az iot adr ns show"),
    ] {
        let ran = server.az(&words.split(' ').collect::<Vec<_>>()).await;
        let said = ran.err.contains("takes a full resource id") && ran.err.contains(&format!("{command} --name "));
        assert!(ran.code == 2 && said, "{words}: {}", ran.err);
    }
    assert!(server.calls().is_empty(), "{:?}", server.calls());
}

#[tokio::test]
async fn a_role_that_is_not_there_names_the_one_that_may_be_meant() {
    let server = Scripted::signed_in(|seen| {
        let all =
            "GET /subscriptions/11111111-1111-4111-8111-111111111111/providers/Microsoft.Authorization/roleDefinitions";
        let roles = ["Reader", "Contributor"].map(|name| json!({"id": name, "properties": {"roleName": name}}));
        match seen.call.strip_prefix(all)? {
            "" => Some(Answer::list(json!(roles))),
            _ => Some(Answer::list(json!([]))),
        }
    })
    .await;
    let words = ["role", "assignment", "create", "--assignee-object-id", "o", "--role", "Contributer", "--scope"];
    let scope = format!("/subscriptions/{SUBSCRIPTION}");
    let ran = server.az(&[&words[..], &[scope.as_str()]].concat()).await;
    let text = "ERROR: Role 'Contributer' doesn't exist.\nDid you mean 'Contributor' ?\n";
    assert!(ran.err.starts_with(text), "{} {:?}", ran.err, server.calls());
}

#[tokio::test]
async fn what_cuts_devices_off_says_so_before_it_asks() {
    let server = Scripted::signed_in(|_| None).await;
    for words in [
        "iot adr ns device revoke -n d",
        "iot adr ns device auth revoke-certs --dn d -n default",
        "iot adr ns policy revoke-issuer -n p",
        "iot adr ns ca revoke -n c",
    ] {
        let line = format!("{words} --ns n -g rg");
        let asked = server.az(&line.split(' ').collect::<Vec<_>>()).await;
        let help = server.az(&format!("{words} --help").split(' ').collect::<Vec<_>>()).await;
        for text in [&asked.err, &help.out] {
            assert!(text.contains("connection") && text.contains("registering anew"), "{words}: {text}");
        }
    }
    assert!(server.calls().is_empty(), "{:?}", server.calls());
}

#[tokio::test]
async fn a_device_at_a_port_of_another_service_is_told_so() {
    let server = Scripted::signed_in(|_| None).await;
    let file = server.folder().join("data/server.json");
    let mut moved: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    moved["mqttPort"] = moved["httpsPort"].clone();
    std::fs::write(&file, moved.to_string()).unwrap();
    let words = "iot device registration create --id-scope 0ne00000000 --symmetric-key AAAA --rid";
    let register = |id: &str| format!("{words} {id}").split(' ').map(str::to_owned).collect::<Vec<_>>();
    let ran = server.az(&register("pump").iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert!(ran.err.contains("not MQTT") && ran.err.contains("another port"), "{}", ran.err);
    let ran = server.az(&register("pump.").iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert!(ran.err.contains("'pump.' is not valid: 1 to 128"), "{}", ran.err);
}
