//! The command lines that the server's messages print: they exist, parse and do what the message says.

use super::examples::EXAMPLES;
use super::parser;
use super::scripted::{Answer, SUBSCRIPTION, Scripted};
use super::table;
use serde_json::{Value, json};
use std::collections::HashMap;

/// Every command that `crates/service` prints, its placeholders filled. Who prints another one adds it here.
const PRINTED: &[&str] = &[
    "az ad app credential reset --id 22222222-2222-4222-8222-222222222222",
    "az account show --query id",
    "az identity create --name \"i1\" --resource-group \"rg\"",
    "az iot adr ns create --name n1 --resource-group rg --location westus",
    "az iot adr ns credential create --namespace n1 --resource-group rg",
    "az iot adr ns identity assign --name \"n1\" --resource-group \"rg\" --system-assigned",
    "az iot adr ns device update --namespace n1 --resource-group rg --name d1 --enabled false",
    "az iot adr ns policy create --namespace n1 --resource-group rg --name p1",
    "az iot adr ns policy delete --namespace n1 --resource-group rg --name 'p 1'",
    "az iot dps enrollment-group compute-device-key --dps-name dps1 --enrollment-id 'g1' --registration-id r1",
    "az iot dps enrollment-group registration delete --dps-name 'dps1' --registration-id r1",
    "az iot dps enrollment-group update --dps-name 'dps1' --enrollment-id g1 --provisioning-status enabled",
    "az iot dps identity assign --name \"dps1\" --resource-group \"rg\" --user-assigned \"/i\"",
    "az iot dps identity remove --name \"dps1\" --resource-group \"rg\" --system-assigned",
    "az iot dps linked-hub create --dps-name \"dps1\" --resource-group \"rg\" --hub-name \"h1\"",
    "az iot dps linked-hub delete --dps-name \"dps1\" --resource-group \"rg\" --linked-hub \"h1.azure-devices.localhost\"",
    "az iot dps show --name dps1 --query properties.idScope",
    "az iot dps update --name dps1 --resource-group rg --ns-resource-id '/n' --mi-user-assigned '/i' --ns-identity-id '/i'",
    "az iot dps update --name dps1 --resource-group rg --ns-resource-id '/n' --ns-identity-id '/i'",
    "az iot hub certificate create --hub-name h1 --name c1 --path ca.pem --verified",
    "az iot hub certificate delete --hub-name h1 --name c1 --etag '*'",
    "az iot hub certificate list --hub-name h1",
    "az iot hub connection-string show --hub-name 'h1'",
    "az iot hub create --name h1 --resource-group rg --sku GEN2 --mi-user-assigned /i --ns-resource-id /n --ns-identity-id /i",
    "az iot hub device-identity delete --hub-name 'h1' --device-id 'd1'",
    "az iot hub identity assign --name \"h1\" --resource-group \"rg\" --system-assigned",
    "az iot hub identity remove --name \"h1\" --resource-group \"rg\" --system-assigned",
    "az role assignment create --assignee-object-id \"o1\" --assignee-principal-type ServicePrincipal --role \"IoT Hub Data Contributor\" --scope \"/s\"",
];

/// The words of a line as a shell splits it, without its escapes.
fn shell_words(line: &str) -> Vec<String> {
    let (mut words, mut quote, mut open) = (vec![String::new()], None, false);
    for c in line.chars() {
        match (c, quote) {
            ('"' | '\'', None) => (quote, open) = (Some(c), true),
            (c, Some(end)) if c == end => quote = None,
            (' ', None) => {
                if open {
                    words.push(String::new());
                }
                open = false;
            }
            (c, _) => {
                words.last_mut().unwrap().push(c);
                open = true;
            }
        }
    }
    assert!(quote.is_none(), "{line}: a quote is not closed");
    words
}

#[test]
fn every_line_that_the_server_prints_parses() {
    for line in PRINTED.iter().chain(EXAMPLES.iter().flat_map(|(_, lines)| *lines)) {
        let words = shell_words(line);
        let named = words[1..].iter().take_while(|word| !word.starts_with('-')).count();
        let path = words[1..=named].join(" ");
        let command = table::all().find(|command| command.words == path).unwrap_or_else(|| panic!("no 'az {path}'"));
        let parsed = parser::parse(command, &words[named + 1..], &HashMap::new());
        assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err().message);
    }
}

#[tokio::test]
async fn linking_a_bare_service_attaches_the_identity_of_the_link() {
    let server = Scripted::signed_in(|seen| match seen.call.split_once(' ')? {
        ("GET", path) => Some(Answer::ok(json!({"id": path, "name": "dps1", "etag": "e1", "properties": {}}))),
        ("PUT", _) => Some(Answer::ok(seen.body.clone())),
        _ => None,
    })
    .await;
    let words = ["iot", "dps", "update", "--name", "dps1", "-g", "rg", "--ns-resource-id", "/n"];
    let ran = server.az(&[&words[..], &["--ns-identity-id", "/i"]].concat()).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let sent: Vec<Value> = server.seen().into_iter().filter(|s| s.call.starts_with("PUT")).map(|s| s.body).collect();
    assert_eq!(sent.len(), 1, "attached and linked in one write");
    assert_eq!(sent[0]["identity"], json!({"type": "UserAssigned", "userAssignedIdentities": {"/i": {}}}));
    assert_eq!(sent[0]["properties"]["deviceRegistryNamespace"]["selectedUserAssignedIdentityResourceId"], "/i");
}

#[tokio::test]
async fn a_certificate_is_uploaded_once() {
    let hub = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Devices/IotHubs/h1");
    let server = Scripted::signed_in(|seen| match seen.call.split_once(' ')? {
        ("GET", path) if path.ends_with("/certificates/old") => Some(Answer::ok(json!({"name": "old", "etag": "AA="}))),
        ("GET", path) if path.ends_with("/certificates/new") => None,
        ("GET", path) => Some(Answer::ok(json!({"id": path, "name": "h1"}))),
        ("PUT", _) => Some(Answer::ok(json!({"name": "new", "properties": seen.body["properties"]}))),
        _ => None,
    })
    .await;
    std::fs::write(server.folder().join("ca.pem"), "PEM\n").unwrap();
    let create = |name: &'static str, path: &'static str| {
        ["iot", "hub", "certificate", "create", "--hub-name", "h1", "-g", "rg", "-n", name, "-p", path, "-v"]
    };
    let ran = server.az(&create("new", "ca.pem")).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let put = server.seen().into_iter().find(|seen| seen.call.starts_with("PUT")).unwrap();
    assert_eq!(put.call, format!("PUT {hub}/certificates/new"));
    assert_eq!(put.body, json!({"properties": {"certificate": "PEM", "isVerified": true}}));
    let again = server.az(&create("old", "ca.pem")).await;
    assert_eq!(again.code, 1);
    assert!(again.err.contains("delete --hub-name h1 --name old --etag AA="), "{}", again.err);
    let missing = server.az(&create("new", "none.pem")).await;
    assert!(missing.code == 1 && missing.err.contains("none.pem"), "{}", missing.err);
    assert_eq!(server.seen().iter().filter(|seen| seen.call.starts_with("PUT")).count(), 1);
}

#[tokio::test]
async fn a_new_secret_replaces_the_others_unless_it_is_appended() {
    let server = Scripted::signed_in(|seen| match seen.call.split_once(' ')? {
        ("GET", path) if path.starts_with("/v1.0/applications?") => {
            let held = if path.contains("bare") { json!([]) } else { json!([{"keyId": "k1"}]) };
            Some(Answer::list(json!([{"id": "o1", "appId": "a1", "passwordCredentials": held}])))
        }
        ("POST", "/v1.0/applications/o1/addPassword") => Some(Answer::ok(json!({"secretText": "fresh"}))),
        ("POST", "/v1.0/applications/o1/removePassword") => Some(Answer::ok(Value::Null)),
        _ => None,
    })
    .await;
    let reset = ["ad", "app", "credential", "reset", "--id"];
    for (options, removed) in
        [(&["bare"][..], 0), (&["full", "--append", "--end-date", "2027-12-31"], 0), (&["full"], 1)]
    {
        let ran = server.az(&[&reset[..], options].concat()).await;
        assert_eq!(ran.code, 0, "{}", ran.err);
        let out: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(out, json!({"appId": "a1", "password": "fresh", "tenant": "t1"}));
        let gone: Vec<Value> =
            server.seen().into_iter().filter(|s| s.call.ends_with("/removePassword")).map(|s| s.body).collect();
        assert_eq!(gone, vec![json!({"keyId": "k1"}); removed], "{options:?}");
    }
    let added: Vec<Value> =
        server.seen().into_iter().filter(|s| s.call.ends_with("/addPassword")).map(|s| s.body).collect();
    assert_eq!(added[1]["passwordCredential"]["endDateTime"], "2027-12-31T00:00:00Z");
}

#[tokio::test]
async fn words_of_azure_that_are_not_built_are_no_misspellings() {
    let server = Scripted::start(|_| None).await;
    for (words, path, list) in [
        (&["iot", "hub", "manual-failover", "-n", "h1"][..], "iot hub manual-failover", "az iot hub --help"),
        (&["graph", "shared-query", "list"], "graph shared-query list", "az graph --help"),
        (&["iot", "adr", "ns", "job", "list"], "iot adr ns job list", "az iot adr ns --help"),
        (&["iot", "hub", "route", "creat"], "iot hub route", "az iot hub --help"),
        (&["vm", "create", "-n", "x"], "vm create", "az --help"),
    ] {
        let ran = server.az(words).await;
        assert_eq!(ran.code, 2);
        let text = format!(
            "ERROR: '{path}' is one of Azure's that is not built in Ferrohub's az. What it has is listed by '{list}'\n"
        );
        assert_eq!(ran.err, text);
        let help: Vec<&str> = list.split(' ').skip(1).collect();
        let shown = server.az(&help).await;
        assert_eq!(shown.code, 0);
        assert!(shown.out.contains("Azure's, not built here:"), "{}", shown.out);
    }
    let ran = server.az(&["account", "management-group", "show", "-n", "x"]).await;
    assert!(
        ran.code == 2 && ran.err.contains("There are no management groups: a role at each subscription"),
        "{}",
        ran.err
    );
    for (words, last, closest) in [(&["iot", "hubb", "show"][..], "hubb", "hub"), (&["grup", "list"], "grup", "group")]
    {
        let ran = server.az(words).await;
        let text =
            format!("ERROR: '{last}' is misspelled or not recognized by the system.\nDid you mean '{closest}' ?\n");
        assert!(ran.code == 2 && ran.err.starts_with(&text), "{}", ran.err);
    }
    for line in [&["extension", "list-versions", "-n", "azure-iot"][..], &["extension", "list-available", "-d"]] {
        let ran = server.az(line).await;
        assert_eq!((ran.code, ran.out.as_str()), (0, "[]\n"), "{}", ran.err);
    }
}
