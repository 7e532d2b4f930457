//! Answers as the real `az` 2.91 printed them for the same lines on the same server.

use super::scripted::{Answer, SUBSCRIPTION, Scripted, Seen};
use serde_json::{Value, json};

const HUB: &str =
    "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/rg/providers/Microsoft.Devices/IotHubs/h1";

/// A subscription with one group, hub, service, role and certificate.
fn script(seen: &Seen) -> Option<Answer> {
    let (method, path) = seen.call.split_once(' ')?;
    let path = path.split('?').next()?;
    let hub = json!({
        "id": HUB, "name": "h1", "location": "westeurope", "etag": "e1", "tags": {"a": "b"},
        "properties": {"hostName": "h1.azure-devices.localhost", "authorizationPolicies": null}
    });
    let dps = json!({
        "id": HUB.replace("IotHubs/h1", "provisioningServices/d1"), "name": "d1", "etag": "e2",
        "properties": {"iotHubs": [
            {"name": "h0.azure-devices.localhost", "allocationWeight": 1},
            {"name": "h1.azure-devices.localhost", "allocationWeight": 1}
        ]}
    });
    let keys = json!([
        {"keyName": "device", "primaryKey": "UEs=", "secondaryKey": "U0s=", "rights": "DeviceConnect"},
        {"keyName": "iothubowner", "primaryKey": "T1A=", "secondaryKey": "T1M=", "rights": "RegistryWrite"}
    ]);
    let last = path.rsplit('/').next()?;
    Some(match (method, last) {
        ("PUT" | "PATCH", _) => Answer::ok(seen.body.clone()),
        ("GET", "IotHubs") => Answer::list(json!([hub])),
        ("GET", "provisioningServices") => Answer::list(json!([dps])),
        ("GET", "h1") => Answer::ok(hub),
        ("GET", "d1") => Answer::ok(dps),
        ("GET", "IotHubStats") => Answer::ok(json!({"totalDeviceCount": 2})),
        ("POST", "listkeys") if path.contains("/IotHubKeys/device/") => Answer::ok(keys[0].clone()),
        ("POST", "listkeys") if path.contains("Keys/") => Answer::ok(keys[1].clone()),
        ("POST", "listkeys") => Answer::list(keys),
        ("GET", "certificates") => Answer::list(json!([{
            "id": format!("{HUB}/certificates/c1"), "name": "c1", "etag": "x",
            "properties": {"subject": "CA", "expiry": "soon", "created": "now", "thumbprint": "AB", "isVerified": true, "certificate": "PEM"}
        }])),
        ("GET", "rg") => Answer::ok(json!({
            "id": format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"), "name": "rg", "location": "westeurope",
            "type": "Microsoft.Resources/resourceGroups", "tags": {}, "properties": {"provisioningState": "Succeeded"}
        })),
        ("GET", "roleAssignments") => Answer::list(json!([{
            "id": "/a/1", "name": "1", "properties": {"principalId": "p1", "roleDefinitionId": "/r/r1", "scope": format!("/subscriptions/{SUBSCRIPTION}")}
        }])),
        ("GET", "roleDefinitions") => Answer::list(json!([{
            "id": "/r/r1", "name": "r1", "type": "Microsoft.Authorization/roleDefinitions",
            "properties": {"roleName": "Reader", "type": "BuiltInRole", "description": "Looks."}
        }])),
        ("POST", "getByIds") => Answer::list(json!([{"id": "p1", "servicePrincipalNames": ["app1"]}])),
        _ => return None,
    })
}

#[tokio::test]
async fn tables() {
    let server = Scripted::signed_in(script).await;
    for (words, wanted) in [
        (
            &["role", "assignment", "list"][..],
            "Principal    Role    Scope\n-----------  ------  ---------------------------------------------------\napp1         Reader  /subscriptions/11111111-1111-4111-8111-111111111111\n",
        ),
        (
            &["role", "definition", "list"],
            "Name    Type                                     Description\n------  ---------------------------------------  -------------\nReader  Microsoft.Authorization/roleDefinitions  Looks.\n",
        ),
        (
            &["iot", "hub", "certificate", "list", "--hub-name", "h1"],
            "Name    ResourceGroup    Created    Expiry    Subject    Thumbprint    IsVerified\n------  ---------------  ---------  --------  ---------  ------------  ------------\nc1      rg               now        soon      CA         AB            True\n",
        ),
        (&["iot", "hub", "identity", "show", "-n", "h1"], ""),
    ] {
        let ran = server.az(&[words, &["-o", "table"]].concat()).await;
        assert_eq!((ran.code, ran.out.as_str()), (0, wanted), "{}", ran.err);
    }
    let account = server.az(&["account", "list", "-o", "table"]).await;
    assert!(account.out.starts_with("Name"), "{}", account.out);
    let titles: Vec<&str> = account.out.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(titles, ["Name", "CloudName", "SubscriptionId", "TenantId", "State", "IsDefault"]);
    let group = server.az(&["group", "show", "-n", "rg", "-o", "tsv"]).await;
    let wanted = format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/rg\twesteurope\tNone\trg\t\t\tMicrosoft.Resources/resourceGroups\n"
    );
    assert_eq!((group.code, group.out), (0, wanted));
}

#[tokio::test]
async fn refusals() {
    let server = Scripted::signed_in(script).await;
    for (words, code, text) in [
        (&["iot", "hub", "show"][..], 1, "(--name | --ids) are required"),
        (&["iot", "hub", "policy", "list"], 1, "(--hub-name | --ids) are required"),
        (&["iot", "dps", "show"], 1, "(--name | --ids) are required"),
        (&["iot", "hub", "show", "-n", "nohub"], 1, "No IoT Hub found with name nohub in current subscription."),
        (
            &["iot", "dps", "linked-hub", "create", "--dps-name", "d1", "--hub-name", "nohub"],
            1,
            "No IoT Hub found with name nohub in current subscription.",
        ),
        (
            &["iot", "dps", "linked-hub", "create", "--dps-name", "d1"],
            1,
            "Please provide the IoT Hub name or connection string.",
        ),
        (
            &["iot", "hub", "update", "-n", "h1", "--set", "properties.nope.x=1"],
            1,
            "Couldn't find 'nope' in 'properties'. Available options: ['authorizationPolicies', 'hostName']",
        ),
        (
            &["group", "update", "-n", "rg", "--set", "nope.x=1"],
            1,
            "Couldn't find 'nope' in ''. Available options: ['id', 'location', 'name', 'properties', 'tags', 'type']",
        ),
        (
            &["iot", "hub", "wait", "-n", "h1"],
            1,
            "incorrect usage: --created | --updated | --deleted | --exists | --custom JMESPATH",
        ),
        (
            &["iot", "hub", "policy", "renew-key", "--hub-name", "h1", "-n", "nope", "--renew-key", "primary"],
            1,
            "Policy nope not found.",
        ),
        (
            &["iot", "hub", "create", "-n", "h2", "-g", "rg", "--sku", "GEN2"],
            1,
            "Generation2 IoT Hubs require both ADR namespace resource ID (--adr-ns-id) and ADR identity resource ID (--adr-identity-id).",
        ),
        (
            &[
                "iot",
                "hub",
                "create",
                "-n",
                "h2",
                "-g",
                "rg",
                "--sku",
                "S1",
                "--ns-resource-id",
                "/n",
                "--ns-identity-id",
                "/i",
            ],
            1,
            "ADR properties are only supported for Generation2 IoT Hub SKUs.",
        ),
    ] {
        let ran = server.az(words).await;
        assert_eq!((ran.code, ran.err), (code, format!("ERROR: {text}\n")), "{words:?}");
    }
    assert!(!server.calls().iter().any(|call| call.starts_with("PUT")), "{:?}", server.calls());
}

#[tokio::test]
async fn tags_are_text_and_a_linked_hub_is_one_object() {
    let server = Scripted::signed_in(script).await;
    for (words, wanted) in [
        (&["iot", "hub", "update", "-n", "h1"][..], json!({"a": "b", "x": "2", "y": "True", "z": "{'k': 1}"})),
        (&["group", "update", "-n", "rg"], json!({"x": "2", "y": "True", "z": "{'k': 1}"})),
    ] {
        let set = ["--set", "tags.x=2", "tags.y=true", "tags.z={\"k\": 1}", "--query", "tags"];
        let ran = server.az(&[words, &set].concat()).await;
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap(), wanted);
    }
    let update =
        ["iot", "dps", "linked-hub", "update", "--dps-name", "d1", "--linked-hub", "h1", "--allocation-weight", "3"];
    let ran = server.az(&update).await;
    let shown: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(shown["name"], "h1.azure-devices.localhost", "{}", ran.err);
}

#[tokio::test]
async fn commands_of_hubs() {
    let server = Scripted::signed_in(script).await;
    let waited = server.az(&["iot", "hub", "wait", "-n", "h1", "--exists"]).await;
    assert_eq!((waited.code, waited.out.as_str()), (0, ""), "{}", waited.err);
    assert_eq!(server.az(&["iot", "hub", "wait", "-n", "gone", "--deleted"]).await.code, 0);
    assert_eq!(server.az(&["iot", "hub", "wait", "-n", "gone", "--created"]).await.code, 1);
    let stats = server.az(&["iot", "hub", "show-stats", "-n", "h1"]).await;
    assert_eq!(serde_json::from_str::<Value>(&stats.out).unwrap(), json!({"totalDeviceCount": 2}));
    let strings = server.az(&["iot", "hub", "show-connection-string", "-n", "h1", "--key", "secondary"]).await;
    assert!(strings.err.starts_with("WARNING: This command has been deprecated"), "{}", strings.err);
    let string = "HostName=h1.azure-devices.localhost;SharedAccessKeyName=iothubowner;SharedAccessKey=T1M=";
    assert_eq!(serde_json::from_str::<Value>(&strings.out).unwrap(), json!({ "connectionString": string }));
    let quiet = server.az(&["iot", "hub", "show-connection-string", "-n", "h1", "--all", "--only-show-errors"]).await;
    let all = serde_json::from_str::<Value>(&quiet.out).unwrap();
    assert_eq!((quiet.err.as_str(), all["connectionString"].as_array().unwrap().len()), ("", 2));

    for (which, primary, secondary) in [
        ("primary", json!(null), json!("U0s=")),
        ("secondary", json!("UEs="), json!(null)),
        ("swap", json!("U0s="), json!("UEs=")),
    ] {
        let ran =
            server.az(&["iot", "hub", "policy", "renew-key", "--hub-name", "h1", "-n", "device", "--rk", which]).await;
        assert_eq!(ran.code, 0, "{}", ran.err);
        let put = server.seen().into_iter().rfind(|seen| seen.call.starts_with("PUT")).unwrap();
        let sent = &put.body["properties"]["authorizationPolicies"][0];
        assert_eq!((&sent["primaryKey"], &sent["secondaryKey"]), (&primary, &secondary), "{which}");
        assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap()["keyName"], "device");
    }
    let renew = ["iot", "dps", "policy", "renew-key", "-n", "d1", "--pn", "device", "--rk", "primary"];
    assert_eq!(server.az(&renew).await.code, 0);
    let put = server.seen().into_iter().rfind(|seen| seen.call.starts_with("PUT")).unwrap();
    assert!(put.call.ends_with("/provisioningServices/d1"), "{}", put.call);
    assert_eq!(put.body["properties"]["authorizationPolicies"][0]["primaryKey"], Value::Null);
}

#[tokio::test]
async fn a_foreign_tenant_is_refused() {
    let server = Scripted::signed_in(script).await;
    for words in [&["login", "--tenant", "other"][..], &["account", "get-access-token", "--tenant", "other"]] {
        let ran = server.az(words).await;
        assert_eq!(ran.code, 1);
        let text = "ERROR: AADSTS90002: Tenant 'other' not found. The tenant of this server is 't1'.\n";
        assert_eq!(ran.err, text, "{words:?}");
    }
}

#[tokio::test]
async fn help_shows_examples_and_name_rules() {
    let server = Scripted::start(|_| None).await;
    let help = server.az(&["iot", "hub", "create", "--help"]).await.out;
    for part in ["3 to 50 letters", "Examples\n    az iot hub create --name plant-hub", "--sku GEN2"] {
        assert!(help.contains(part), "{part}: {help}");
    }
}

#[tokio::test]
async fn an_identity_for_the_namespace_is_one_of_its_own() {
    let server = Scripted::signed_in(script).await;
    for (service, title) in [("dps", "provisioning service"), ("hub", "hub")] {
        let words = format!(
            "iot {service} create -n x2 -g rg -l w --ns-resource-id /n --ns-identity-id /i --mi-user-assigned /j"
        );
        let ran = server.az(&words.split(' ').collect::<Vec<_>>()).await;
        let text = format!(
            "ERROR: The {title} works on the namespace as an identity that it has: add --mi-user-assigned /i (the same one as --ns-identity-id).\n"
        );
        assert_eq!((ran.code, ran.err), (1, text));
    }
}
