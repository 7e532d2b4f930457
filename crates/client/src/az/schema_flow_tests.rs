//! Whole command lines about schema registries, schemas and versions: what they send, print and exit with.

use super::flow_tests::path;
use super::scripted::{Answer, Scripted, Seen};
use serde_json::{Value, json};

/// Two registries: `r1` with identities, and one on a second page.
fn script(seen: &Seen) -> Option<Answer> {
    let call = path(seen);
    let identity = json!({"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": {"/a": {}, "/b": {}}});
    let one = json!({"name": "r1", "location": "westus2", "identity": identity,
        "properties": {"namespace": "plant", "provisioningState": "Succeeded"}});
    let (method, place) = call.split_once(' ')?;
    Some(match (method, place.split('?').next()?) {
        ("GET", "RG") => Answer::ok(json!({"location": "westus2"})),
        ("GET", "RG/DeviceRegistry/schemaRegistries") if place.contains("page=2") => {
            Answer::list(json!([{"name": "r2"}]))
        }
        ("GET", "RG/DeviceRegistry/schemaRegistries") => {
            let next = seen.call.trim_start_matches("GET ");
            Answer::ok(
                json!({"value": [one], "nextLink": format!("https://localhost:{}{next}?page=2", seen.host.rsplit(':').next()?)}),
            )
        }
        ("GET", "RG/DeviceRegistry/schemaRegistries/gone") => return None,
        ("GET", place) if place.ends_with('s') => Answer::list(json!([one])),
        ("GET", _) => Answer::ok(one),
        ("DELETE", _) => {
            Answer::new(202, Value::Null).header("location", "{base}/operations/1").header("retry-after", "1")
        }
        _ => Answer::ok(seen.body.clone()),
    })
}

async fn az(server: &Scripted, words: &str) -> super::scripted::Ran {
    let words = format!("iot adr schema {words} -g rg");
    server.az(&words.split(' ').collect::<Vec<_>>()).await
}

#[tokio::test]
async fn a_registry_is_made_in_the_groups_region_with_the_identity_that_goes_out() {
    let server = Scripted::signed_in(script).await;
    let create = "registry create -n r1 --registry-namespace plant --container-url https://a/b";
    for (options, body) in [
        ("", json!({"location": "westus2", "properties": {}})),
        ("-l eastus --tags a=b", json!({"location": "eastus", "tags": {"a": "b"}, "properties": {}})),
        (
            "--desc d --display-name D --mi-sa --mi-ua x/u",
            json!({"location": "westus2", "identity": {"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": {"/x/u": {}}},
                "properties": {"description": "d", "displayName": "D"}}),
        ),
        (
            "--omi-ua /u",
            json!({"location": "westus2", "identity": {"type": "UserAssigned", "userAssignedIdentities": {"/u": {}}},
                "properties": {"outboundIdentity": {"type": "UserAssigned", "userAssignedIdentity": "/u"}}}),
        ),
        ("--omi-sa false", json!({"location": "westus2", "properties": {}})),
    ] {
        let mut wanted = body;
        wanted["properties"]["namespace"] = json!("plant");
        wanted["properties"]["storageAccountContainerUrl"] = json!("https://a/b");
        let ran = az(&server, format!("{create} {options}").trim()).await;
        assert_eq!(ran.code, 0, "{options}: {}", ran.err);
        let sent = server.seen().pop().unwrap();
        assert_eq!(
            (path(&sent), sent.body),
            ("PUT RG/DeviceRegistry/schemaRegistries/r1".to_owned(), wanted),
            "{options}"
        );
    }
    let before = server.calls().len();
    for wrong in [
        "registry create -n r1 --registry-namespace plant",
        &format!("{create} --omi-sa --omi-ua /u"),
        &format!("{create} --mi-sa --omi-ua /u"),
        "registry update -n r1 --omi-sa --omi-ua /u",
    ] {
        assert_ne!(az(&server, wrong).await.code, 0, "{wrong}");
    }
    assert_eq!(server.calls().len(), before, "what is wrong by itself is not sent");
}

#[tokio::test]
async fn a_registry_is_changed_listed_waited_for_and_deleted() {
    let server = Scripted::signed_in(script).await;
    for (options, body) in [
        ("--desc d --tags a=b", json!({"properties": {"description": "d"}, "tags": {"a": "b"}})),
        ("--omi-sa false", json!({"properties": {"outboundIdentity": null}})),
        (
            "--omi-sa",
            json!({"properties": {"outboundIdentity": {"type": "SystemAssigned", "userAssignedIdentity": null}}}),
        ),
        (
            "--omi-ua /c",
            json!({"properties": {"outboundIdentity": {"type": "UserAssigned", "userAssignedIdentity": "/c"}},
                "identity": {"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": {"/a": {}, "/b": {}, "/c": {}}}}),
        ),
        (
            "--mi-ua /a",
            json!({"identity": {"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": {"/a": {}, "/b": null}}}),
        ),
    ] {
        let ran = az(&server, &format!("registry update -n r1 {options}")).await;
        assert_eq!(ran.code, 0, "{options}: {}", ran.err);
        let sent = server.seen().pop().unwrap();
        let patched = "PATCH RG/DeviceRegistry/schemaRegistries/r1".to_owned();
        assert_eq!((path(&sent), sent.body), (patched, body), "{options}");
    }
    let nothing = az(&server, "registry update -n r1").await;
    assert!(
        nothing.code == 1 && nothing.err.starts_with("ERROR: Nothing to update. Give --description"),
        "{}",
        nothing.err
    );
    assert_eq!(az(&server, "registry list --query [].name -o tsv").await.out, "r1\nr2\n");
    let shown = az(&server, "registry show -n r1 -o table").await;
    assert!(shown.out.starts_with("Name    Namespace    Location"), "{}", shown.out);
    assert_eq!(az(&server, "registry show -n gone").await.code, 3);
    assert_eq!(az(&server, "registry wait -n r1 --created").await.code, 0);
    assert_eq!(az(&server, "registry wait -n gone --deleted").await.code, 0);
    assert_eq!(az(&server, "registry wait -n r1").await.code, 1);
    assert_eq!(az(&server, "registry delete -n r1").await.code, 1, "nobody was asked");
    let ran = az(&server, "registry delete -n r1 --yes --no-wait").await;
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    assert_eq!(path(&server.seen().pop().unwrap()), "DELETE RG/DeviceRegistry/schemaRegistries/r1");
}

#[tokio::test]
async fn schemas_and_versions_lie_below_their_registry() {
    let server = Scripted::signed_in(script).await;
    std::fs::write(server.folder().join("pump.json"), "{\"type\": \"object\"}\n").unwrap();
    let base = "RG/DeviceRegistry/schemaRegistries/r1/schemas";
    for (words, call, body) in [
        (
            "create -n s1 --registry r1 --schema-type messageschema --format jsonschema/DRAFT-07 --display-name S --tags a=b",
            "PUT /s1",
            json!({"properties": {"schemaType": "MessageSchema", "format": "JsonSchema/draft-07", "displayName": "S", "tags": {"a": "b"}}}),
        ),
        ("show -n s1 --registry r1", "GET /s1", json!("")),
        ("list --registry r1", "GET ", json!("")),
        ("wait -n s1 --registry r1 --exists", "GET /s1", json!("")),
        ("delete -n s1 --registry r1 -y --no-wait", "DELETE /s1", json!("")),
        (
            "version create --version 0000000001 --schema s1 --registry r1 --schema-content @pump.json --description first",
            "PUT /s1/schemaVersions/0000000001",
            json!({"properties": {"schemaContent": "{\"type\": \"object\"}", "description": "first"}}),
        ),
        (
            "version create --version 2 --schema s1 --registry r1 --schema-content {}",
            "PUT /s1/schemaVersions/2",
            json!({"properties": {"schemaContent": "{}"}}),
        ),
        ("version show --version 2 --schema s1 --registry r1", "GET /s1/schemaVersions/2", json!("")),
        ("version list --schema s1 --registry r1", "GET /s1/schemaVersions", json!("")),
        ("version wait --version 2 --schema s1 --registry r1 --updated", "GET /s1/schemaVersions/2", json!("")),
        ("version delete --version 2 --schema s1 --registry r1 -y --no-wait", "DELETE /s1/schemaVersions/2", json!("")),
    ] {
        let ran = az(&server, words).await;
        assert_eq!(ran.code, 0, "{words}: {}", ran.err);
        let sent = server.seen().pop().unwrap();
        assert_eq!((path(&sent).replace(base, ""), sent.body), (call.to_owned(), body), "{words}");
    }
    let before = server.calls().len();
    for version in ["00000000001", "v1", "1.0", "-1"] {
        let words = format!("version create --version={version} --schema s1 --registry r1 --schema-content {{}}");
        let ran = az(&server, &words).await;
        assert!(ran.code == 1 && ran.err.contains("1 to 10 digits"), "{version}: {}", ran.err);
    }
    let kind = az(&server, "create -n s1 --registry r1 --schema-type Text --format Delta/1.0").await;
    assert!(kind.code == 2 && kind.err.contains("MessageSchema"), "{}", kind.err);
    assert_eq!(server.calls().len(), before);
}
