//! Command lines about enrollments, CA certificates, policies and certificate authorities: what they send.

use super::scripted::{Answer, SUBSCRIPTION, Scripted, Seen};
use serde_json::{Value, json};

const PEM: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----";

/// A service `d1` with one enrollment of each kind, and whatever else is asked for.
fn script(seen: &Seen) -> Option<Answer> {
    let (method, path) = seen.call.split_once(' ')?;
    let rg = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers");
    let id = format!("{rg}/Microsoft.Devices/provisioningServices/d1");
    let host = "d1.azure-devices-provisioning.localhost";
    let rights = "ServiceConfig, DeviceConnect, EnrollmentWrite";
    let keys = json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": "UEs=", "secondaryKey": "U0s="}});
    let x509 = json!({"clientCertificates": {"primary": {"certificate": "A"}, "secondary": {"certificate": "B"}}});
    Some(match (method, path) {
        ("PUT" | "PATCH", _) => Answer::ok(seen.body.clone()),
        ("POST", path) if path == format!("{id}/listkeys") => {
            Answer::list(json!([{"keyName": "owner", "primaryKey": "UEs=", "rights": rights}]))
        }
        ("POST", path) if path.ends_with("/listkeys") => Answer::ok(json!({"keyName": "shown"})),
        ("GET", path) if path == id => {
            Answer::ok(json!({"id": id, "name": "d1", "etag": "e1", "properties": {"serviceOperationsHostName": host}}))
        }
        ("GET", "/enrollments/sym") => {
            Answer::ok(json!({"registrationId": "sym", "attestation": {"type": "symmetricKey"}}))
        }
        ("POST", "/enrollments/sym/attestationmechanism") => Answer::ok(keys),
        ("GET", "/enrollments/cert") => {
            Answer::ok(json!({"registrationId": "cert", "attestation": {"type": "x509", "x509": x509}}))
        }
        ("GET", "/enrollmentGroups/ca") => Answer::ok(json!({"enrollmentGroupId": "ca", "attestation": {
            "type": "x509", "x509": {"caReferences": {"primary": "ca1"}}}})),
        ("POST", "/enrollments/query" | "/enrollmentGroups/query" | "/registrations/g/query") => match seen.before {
            0 => Answer::ok(json!([{"registrationId": "a"}, {"registrationId": "b"}]))
                .header("x-ms-continuation", "next"),
            _ => Answer::ok(json!([{"registrationId": "c"}])),
        },
        ("GET", "/registrations/r1") => Answer::ok(json!({"registrationId": "r1", "status": "assigned"})),
        ("DELETE", _) => Answer::new(204, Value::Null),
        ("GET", path) if path.ends_with("/namespaces/n1") => Answer::ok(json!({"location": "westus"})),
        ("GET", path) if path.ends_with("/held") => Answer::ok(json!({"name": "held", "etag": "x"})),
        ("POST", path) if path.contains("/certificates/") || path.contains("/certificateAuthorities/") => {
            Answer::ok(json!({"asked": path.rsplit('/').next()?, "body": seen.body}))
        }
        _ => return None,
    })
}

const DPS: [&str; 4] = ["--dps-name", "d1", "-g", "rg"];

/// Runs a line that must succeed; gives what it printed.
async fn az(server: &Scripted, words: &[&str]) -> Value {
    let ran = server.az(words).await;
    assert_eq!(ran.code, 0, "{words:?}: {}", ran.err);
    serde_json::from_str(&ran.out).unwrap_or(Value::Null)
}

fn last(server: &Scripted, method: &str) -> Seen {
    server.seen().into_iter().rfind(|seen| seen.call.starts_with(method)).unwrap()
}

#[tokio::test]
async fn an_enrollment_of_each_attestation() {
    let server = Scripted::signed_in(script).await;
    std::fs::write(server.folder().join("cert.pem"), format!("{PEM}\n")).unwrap();
    std::fs::write(server.folder().join("cert.der"), [0x30, 0x82, 0xff]).unwrap();
    let create = ["iot", "dps", "enrollment", "create", "--eid", "new"];
    for (options, attestation) in [
        (&["--at", "symmetrickey"][..], json!({"type": "symmetricKey", "symmetricKey": {}})),
        (
            &["--at", "symmetricKey", "--pk", "UEs=", "--sk", "U0s="],
            json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": "UEs=", "secondaryKey": "U0s="}}),
        ),
        (&["--at", "tpm", "--ek", "RUs="], json!({"type": "tpm", "tpm": {"endorsementKey": "RUs="}})),
        (
            &["--at", "x509", "--cp", "cert.pem", "--scp", "cert.der"],
            json!({"type": "x509", "x509": {"clientCertificates": {
                "primary": {"certificate": PEM}, "secondary": {"certificate": "MIL/"}}}}),
        ),
    ] {
        az(&server, &[&create[..], &DPS, options].concat()).await;
        let put = last(&server, "PUT");
        assert_eq!((put.call.as_str(), &put.body["attestation"]), ("PUT /enrollments/new", &attestation));
    }
    let settings = [
        "--at",
        "symmetricKey",
        "-d",
        "Pump-1",
        "--info",
        "{\"serial\": 7}",
        "--edge-enabled",
        "--ps",
        "disabled",
        "--rp",
        "never",
        "--ap",
        "custom",
        "--wh",
        "https://f.example/api",
        "--av",
        "2019-03-31",
        "--ih",
        "h1.x",
        "h2.x",
        "--cpn",
        "default",
        "--tags",
        "{\"a\": 1}",
        "--props",
        "{\"b\": 2}",
    ];
    let made = az(&server, &[&create[..], &DPS, &settings].concat()).await;
    let wanted = json!({
        "registrationId": "new", "deviceId": "Pump-1", "optionalDeviceInformation": {"serial": 7}, "capabilities": {"iotEdge": true},
        "provisioningStatus": "disabled", "reprovisionPolicy": {"updateHubAssignment": false, "migrateDeviceData": false},
        "allocationPolicy": "custom", "customAllocationDefinition": {"webhookUrl": "https://f.example/api", "apiVersion": "2019-03-31"},
        "iotHubs": ["h1.x", "h2.x"], "credentialPolicyName": "default", "attestation": {"type": "symmetricKey", "symmetricKey": {}},
        "initialTwin": {"tags": {"a": 1}, "properties": {"desired": {"b": 2}}},
    });
    assert_eq!(made, wanted);
}

#[tokio::test]
async fn what_does_not_go_together_is_refused_before_anything_is_sent() {
    let server = Scripted::signed_in(script).await;
    for (options, text) in [
        (&["create", "--at", "tpm"][..], "Endorsement key is requested"),
        (&["create", "--at", "x509"], "Please provide at least one certificate"),
        (&["create", "--at", "symmetricKey", "--pk", "UEs="], "Please provide both primary and secondary keys or none"),
        (
            &["create", "--at", "tpm", "--ek", "x", "--pk", "UEs="],
            "--primary-key does not belong to the attestation type 'tpm'.",
        ),
        (&["create", "--at", "symmetricKey", "--ap", "static"], "Please provide a hub to be assigned with device."),
        (
            &["create", "--at", "symmetricKey", "--ap", "static", "--ih", "a b"],
            "Only one hub is required in static allocation policy.",
        ),
        (
            &["create", "--at", "symmetricKey", "--ap", "custom", "--wh", "https://x"],
            "Please provide both the Azure function webhook url and Azure function api-version when the allocation-policy is defined as Custom.",
        ),
        (
            &["create", "--at", "symmetricKey", "--wh", "https://x", "--av", "1"],
            "--webhook-url and --api-version go together, with --allocation-policy custom.",
        ),
        (
            &["create", "--at", "symmetricKey", "--ap", "hashed", "--hn", "h"],
            "'iot_hub_host_name' is not required when allocation-policy is defined.",
        ),
    ] {
        let ran = server.az(&[&["iot", "dps", "enrollment"], options, &["--eid", "new"], &DPS].concat()).await;
        assert_eq!((ran.code, ran.err), (1, format!("ERROR: {text}\n")), "{options:?}");
    }
    assert!(server.calls().is_empty(), "{:?}", server.calls());
    let words = ["iot", "dps", "enrollment", "create", "--eid", "sym", "--at", "symmetricKey"];
    let again = server.az(&[&words[..], &DPS].concat()).await;
    assert!(again.code == 1 && again.err.contains("Enrollment 'sym' already exists"), "{}", again.err);
    assert!(!server.calls().iter().any(|call| call.starts_with("PUT")));
}

#[tokio::test]
async fn an_update_keeps_what_it_is_not_told() {
    let server = Scripted::signed_in(script).await;
    std::fs::write(server.folder().join("new.pem"), PEM).unwrap();
    let update = async |id: &str, options: &[&str]| {
        az(&server, &[&["iot", "dps", "enrollment", "update", "--eid", id], options, &DPS].concat()).await
    };
    let made = update("sym", &["--sk", "TmV3", "--ps", "disabled"]).await;
    assert_eq!(made["attestation"]["symmetricKey"], json!({"primaryKey": "UEs=", "secondaryKey": "TmV3"}));
    assert_eq!(made["provisioningStatus"], "disabled");
    let made = update("cert", &["--rsc", "--cp", "new.pem"]).await;
    assert_eq!(made["attestation"]["x509"]["clientCertificates"], json!({"primary": {"certificate": PEM}}));
    let made = update("cert", &["--ee", "true"]).await;
    assert_eq!(made["attestation"]["x509"]["clientCertificates"]["secondary"], json!({"certificate": "B"}));
    for (options, text) in [
        (&["--rc", "--rsc"][..], "Please provide at least one certificate: nothing would attest any more."),
        (&["--rc", "--cp", "new.pem"], "--certificate-path and --remove-certificate exclude each other."),
        (&["--pk", "UEs="], "--primary-key does not belong to the attestation type 'x509'."),
    ] {
        let words = [&["iot", "dps", "enrollment", "update", "--eid", "cert"], options, &DPS].concat();
        assert_eq!(server.az(&words).await.err, format!("ERROR: {text}\n"));
    }
    let group = ["iot", "dps", "enrollment-group", "update", "--eid", "ca", "--scn", "ca2"];
    let made = az(&server, &[&group[..], &DPS].concat()).await;
    assert_eq!(made["attestation"]["x509"]["caReferences"], json!({"primary": "ca1", "secondary": "ca2"}));
    let shown =
        az(&server, &[&["iot", "dps", "enrollment", "show", "--eid", "sym", "--show-keys"][..], &DPS].concat()).await;
    assert_eq!(shown["attestation"]["symmetricKey"]["primaryKey"], "UEs=");
}

#[tokio::test]
async fn lists_are_followed_to_their_end() {
    let server = Scripted::signed_in(script).await;
    for words in [
        &["iot", "dps", "enrollment", "list"][..],
        &["iot", "dps", "enrollment-group", "list"],
        &["iot", "dps", "registration", "list", "--eid", "g"],
    ] {
        let all = az(&server, &[words, &DPS, &["--query", "[].registrationId"]].concat()).await;
        assert_eq!(all, json!(["a", "b", "c"]), "{words:?}");
    }
    let group = ["iot", "dps", "enrollment-group", "registration", "list", "--gid", "g", "--top", "1"];
    assert_eq!(az(&server, &[&group[..], &DPS].concat()).await.as_array().unwrap().len(), 1);
    for words in [
        &["iot", "dps", "registration", "show", "--registration-id", "r1"][..],
        &["iot", "dps", "enrollment", "registration", "show", "--eid", "r1"],
        &["iot", "dps", "enrollment-group", "registration", "show", "--rid", "r1"],
    ] {
        assert_eq!(az(&server, &[words, &DPS].concat()).await["status"], "assigned", "{words:?}");
    }
    az(&server, &[&["iot", "dps", "enrollment", "registration", "delete", "--eid", "r1"][..], &DPS].concat()).await;
    assert_eq!(last(&server, "DELETE").call, "DELETE /registrations/r1");
    let derived = ["iot", "dps", "compute-device-key", "--registration-id", "r1", "--key", "UEs="];
    assert_eq!(az(&server, &derived).await, json!("/PR7r47W1NXSiYXe6JEoCeGf4sYTFxmAaoZS1e9m7+Y="));
}

#[tokio::test]
async fn possession_of_a_ca_is_proven_with_a_code() {
    let server = Scripted::signed_in(script).await;
    std::fs::write(server.folder().join("proof.pem"), PEM).unwrap();
    let certificate = |verb: &'static str| ["iot", "dps", "certificate", verb, "--name", "held", "-e", "x"];
    let code = az(&server, &[&certificate("generate-verification-code")[..], &DPS].concat()).await;
    assert_eq!(code["asked"], "generateVerificationCode");
    let proven = az(&server, &[&certificate("verify")[..], &DPS, &["-p", "proof.pem"]].concat()).await;
    assert_eq!(proven, json!({"asked": "verify", "body": {"certificate": PEM}}));
    let updated = az(&server, &[&certificate("update")[..], &DPS, &["-p", "proof.pem"]].concat()).await;
    assert_eq!(updated, json!({"properties": {"certificate": PEM, "isVerified": false}}));
    let created = ["iot", "dps", "certificate", "create", "-n", "fresh", "-p", "proof.pem", "-v"];
    assert_eq!(az(&server, &[&created[..], &DPS].concat()).await["properties"]["isVerified"], true);
    let again = server
        .az(&[&["iot", "dps", "certificate", "create", "-n", "held", "-p", "proof.pem"][..], &DPS].concat())
        .await;
    assert!(again.err.contains("az iot dps certificate delete --dps-name d1 --name held --etag x"), "{}", again.err);
    let words =
        [&["iot", "dps", "certificate", "update", "-n", "none", "-e", "x", "-p", "proof.pem"][..], &DPS].concat();
    let text =
        "ERROR: Certificate 'none' does not exist. Use 'iot dps certificate create' to create a new certificate.\n";
    assert_eq!(server.az(&words).await.err, text);
    assert_eq!(server.az(&[&certificate("delete")[..], &DPS].concat()).await.code, 0);
}

#[tokio::test]
async fn policies_of_a_provisioning_service() {
    let server = Scripted::signed_in(script).await;
    let policy = |verb: &'static str, name: &'static str| ["iot", "dps", "policy", verb, "--pn", name];
    let rights = ["-r", "EnrollmentRead", "ServiceConfig", "--primary-key", "UEs="];
    let made = az(&server, &[&policy("create", "reader")[..], &DPS, &rights].concat()).await;
    assert_eq!(made, json!({"keyName": "shown"}));
    let sent = last(&server, "PUT").body;
    let wanted = json!({"keyName": "reader", "rights": "EnrollmentRead, ServiceConfig", "primaryKey": "UEs="});
    assert_eq!(sent["properties"]["authorizationPolicies"][1], wanted);
    az(&server, &[&policy("update", "owner")[..], &DPS, &["--primary-key", ""]].concat()).await;
    assert_eq!(last(&server, "PUT").body["properties"]["authorizationPolicies"][0]["primaryKey"], Value::Null);
    az(&server, &[&policy("delete", "OWNER")[..], &DPS].concat()).await;
    assert_eq!(last(&server, "PUT").body["properties"]["authorizationPolicies"], json!([]));
    for (words, code, text) in [
        ([&policy("create", "Owner")[..], &DPS, &rights].concat(), 1, "Access policy Owner already exists."),
        ([&policy("update", "none")[..], &DPS].concat(), 3, "Access policy none doesn't exist."),
        ([&policy("delete", "none")[..], &DPS].concat(), 3, "Access policy none doesn't exist."),
    ] {
        let ran = server.az(&words).await;
        assert_eq!((ran.code, ran.err), (code, format!("ERROR: {text}\n")));
    }
}

#[tokio::test]
async fn certificate_authorities_of_both_grammars() {
    let server = Scripted::signed_in(script).await;
    std::fs::write(server.folder().join("chain.pem"), PEM).unwrap();
    let namespace = ["--ns", "n1", "-g", "rg"];
    let base =
        format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.DeviceRegistry/namespaces/n1");
    let issuer = format!("{base}/certificateAuthorities/root");
    for (options, properties) in [
        (&["--type", "root"][..], json!({"certificateAuthorityType": "Root", "keyType": "ECC"})),
        (
            &["--type", "ICA", "--issuer-type", "Microsoft", "--issuer-ca-name", "root"],
            json!({"certificateAuthorityType": "ICA", "keyType": "ECC",
                "issuer": {"issuerType": "Microsoft", "certificateAuthorityResourceId": issuer}}),
        ),
        (
            &["--type", "ICA", "--issuer-type", "External"],
            json!({"certificateAuthorityType": "ICA", "keyType": "ECC", "issuer": {"issuerType": "External"}}),
        ),
    ] {
        let made =
            az(&server, &[&["iot", "adr", "ns", "ca", "create", "-n", "new"], &namespace[..], options].concat()).await;
        assert_eq!(made, json!({"location": "westus", "properties": properties}));
    }
    for (options, text) in [
        (&["--type", "ICA"][..], "--issuer-type is required when --type ICA."),
        (
            &["--type", "Root", "--issuer-type", "External"],
            "--issuer-type and --issuer-ca-name are for --type ICA: a root signs itself.",
        ),
        (
            &["--type", "ICA", "--issuer-type", "Microsoft"],
            "--issuer-ca-name is required when --issuer-type Microsoft.",
        ),
    ] {
        let words = [&["iot", "adr", "ns", "ca", "create", "-n", "new"], &namespace[..], options].concat();
        assert_eq!(server.az(&words).await.err, format!("ERROR: {text}\n"));
    }
    let policy = ["iot", "adr", "ns", "ca", "policy", "create", "--ca", "held", "-n", "short", "--vd", "7"];
    let made = az(&server, &[&policy[..], &namespace].concat()).await;
    assert_eq!(made["properties"], json!({"certificate": {"validityPeriodInDays": 7}}));
    assert_eq!(last(&server, "PUT").call, format!("PUT {base}/certificateAuthorities/held/certificatePolicies/short"));
    let patch =
        ["iot", "adr", "ns", "ca", "policy", "update", "--ca", "held", "-n", "short", "--vd", "9", "--tags", "a=b"];
    let made = az(&server, &[&patch[..], &namespace].concat()).await;
    assert_eq!(made, json!({"tags": {"a": "b"}, "properties": {"certificate": {"validityPeriodInDays": 9}}}));
    az(
        &server,
        &[&["iot", "adr", "ns", "ca", "activate", "-n", "held", "--ccf", "chain.pem"], &namespace[..]].concat(),
    )
    .await;
    let sent = last(&server, "POST");
    assert_eq!(sent.call, format!("POST {base}/certificateAuthorities/held/activate"));
    assert_eq!(sent.body, json!({"certificateChain": PEM}));
    az(&server, &[&["iot", "adr", "ns", "ca", "revoke", "-n", "held", "-y"], &namespace[..]].concat()).await;
    assert_eq!(last(&server, "POST").call, format!("POST {base}/certificateAuthorities/held/revokeAndRotate"));
    az(&server, &[&["iot", "adr", "ns", "ca", "wait", "-n", "held", "--exists"], &namespace[..]].concat()).await;
    let nothing = server.az(&[&["iot", "adr", "ns", "ca", "update", "-n", "held"], &namespace[..]].concat()).await;
    assert!(nothing.err.contains("Nothing to change"), "{}", nothing.err);
}
