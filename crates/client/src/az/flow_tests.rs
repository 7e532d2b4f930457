//! Whole command lines against a scripted server: what they send, print and exit with.

use super::scripted::{Answer, Scripted, Seen};
use serde_json::{Value, json};

pub(super) const GROUP: &str = "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/rg";

pub(super) fn path(seen: &Seen) -> String {
    seen.call.replace(GROUP, "RG").replace("/providers/", "/").replace("Microsoft.", "")
}

#[tokio::test]
async fn sign_in_show_and_sign_out() {
    let server = Scripted::start(|_| None).await;
    let before = server.az(&["account", "show"]).await;
    assert_eq!((before.code, before.err.as_str()), (1, "ERROR: Please run 'az login' to setup account.\n"));
    let listed = server.az(&["account", "list"]).await;
    assert_eq!((listed.code, listed.out.as_str()), (0, "[]\n"));
    assert!(listed.err.contains("az login"), "{}", listed.err);

    let login = server.az(&["login", "--query", "[0].cloudName", "-o", "tsv"]).await;
    assert_eq!((login.code, login.out.as_str()), (0, "AzureCloud\n"), "{}", login.err);
    let shown = server.az(&["account", "show", "--query", "[id, tenantId, environmentName]", "-o", "tsv"]).await;
    assert_eq!(shown.out, "11111111-1111-4111-8111-111111111111\nt1\nAzureCloud\n");
    let stored = std::fs::read_to_string(server.folder().join("config/profile.json")).unwrap();
    assert!(!stored.contains("s3cret"), "the owner's secret stays in the data folder");

    let unknown = server.az(&["account", "set", "--subscription", "nope"]).await;
    assert_eq!(unknown.err, "ERROR: The subscription of 'nope' doesn't exist in cloud 'AzureCloud'.\n");
    assert_eq!(server.az(&["account", "set", "-s", "main"]).await.code, 0);
    assert_eq!(server.az(&["account", "get-access-token", "--query", "accessToken", "-o", "tsv"]).await.out, "tok\n");
    assert_eq!(server.az(&["logout"]).await.code, 0);
    assert_eq!(server.az(&["account", "show"]).await.code, 1);
}

#[cfg(unix)]
#[tokio::test]
async fn a_kept_secret_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let server = Scripted::start(|_| None).await;
    let wrong = server.az(&["login", "--service-principal", "-u", "c1", "-p", "wrong", "-t", "t1"]).await;
    assert_eq!(wrong.code, 1);
    assert!(wrong.err.contains("AADSTS7000215") && !wrong.err.contains("wrong"), "{}", wrong.err);
    let right = server.az(&["login", "--service-principal", "-u", "c1", "-p", "s3cret", "-t", "t1"]).await;
    assert_eq!(right.code, 0, "{}", right.err);
    let file = server.folder().join("config/profile.json");
    assert!(std::fs::read_to_string(&file).unwrap().contains("s3cret"));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_missing_data_folder_says_what_to_do() {
    let server = Scripted::start(|_| None).await;
    let mut environment = server.environment();
    environment.variables.insert("FERROHUB_DATA_DIR".to_owned(), "elsewhere".to_owned());
    let ran = server.az_in(&mut environment, &["login"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("ferrohub serve") && ran.err.contains("--server"), "{}", ran.err);
}

#[tokio::test]
async fn a_server_that_does_not_run_is_named_with_the_way_to_start_it() {
    let server = Scripted::signed_in(|_| None).await;
    let file = server.folder().join("data/server.json");
    let mut moved: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    // Port 1 (tcpmux) is served by nobody.
    moved["urls"] = json!({"resourceManager": "https://localhost:1", "login": "https://localhost:1", "graph": "https://localhost:1"});
    std::fs::write(&file, moved.to_string()).unwrap();
    let ran = server.az(&["group", "list"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("Cannot reach localhost:1") && ran.err.contains("ferrohub serve"), "{}", ran.err);
}

#[tokio::test]
async fn an_operation_is_polled_and_the_resource_read_at_its_end() {
    let server = Scripted::signed_in(|seen| match (seen.call.split(' ').next()?, seen.before) {
        ("PUT", _) => {
            let made = json!({"id": "x", "name": "rg", "properties": {"provisioningState": "Accepted"}});
            Some(Answer::new(201, made).header("azure-asyncoperation", "{base}/operations/1"))
        }
        ("GET", 0) if seen.call.contains("operations") => {
            Some(Answer::ok(json!({"status": "InProgress"})).header("retry-after", "1"))
        }
        ("GET", _) if seen.call.contains("operations") => Some(Answer::ok(json!({"status": "Succeeded"}))),
        ("GET", _) => Some(Answer::ok(
            json!({"id": "x", "name": "rg", "location": "westus", "properties": {"provisioningState": "Succeeded"}}),
        )),
        _ => None,
    })
    .await;
    let ran = server.az(&["GROUP", "Create", "--n", "rg", "--loc", "westus", "-o", "table"]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.out, "Name    Location    Status\n------  ----------  ---------\nrg      westus      Succeeded\n");
    assert_eq!(
        server.calls(),
        [format!("PUT {GROUP}"), "GET /operations/1".into(), "GET /operations/1".into(), format!("GET {GROUP}")]
    );
    assert!(server.seen().iter().all(|seen| seen.authorization == "Bearer tok"));
}

#[tokio::test]
async fn a_failed_operation_is_an_error() {
    let server = Scripted::signed_in(|seen| match seen.call.split(' ').next()? {
        "DELETE" => {
            Some(Answer::new(202, Value::Null).header("location", "{base}/operations/2").header("retry-after", "1"))
        }
        _ => Some(Answer::error(409, "Conflict", "The group holds a lock.")),
    })
    .await;
    let ran = server.az(&["group", "delete", "-n", "rg", "-y"]).await;
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (1, "ERROR: (Conflict) The group holds a lock.\nCode: Conflict\nMessage: The group holds a lock.\n")
    );
    let quick = server.az(&["group", "delete", "-n", "rg", "-y", "--no-wait"]).await;
    assert_eq!((quick.code, quick.out.as_str(), quick.err.as_str()), (0, "", ""));
}

#[tokio::test]
async fn no_token_goes_to_a_url_that_is_not_the_servers() {
    let server = Scripted::signed_in(|seen| {
        let listing = json!({"value": [], "nextLink": "https://evil.example/steal"});
        seen.call.ends_with("/resourcegroups").then(|| Answer::ok(listing))
    })
    .await;
    let ran = server.az(&["group", "list"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("no token is sent there"), "{}", ran.err);
}

#[tokio::test]
async fn a_confirmation_without_a_terminal_is_refused_with_the_way_out() {
    let server = Scripted::signed_in(|_| Some(Answer::new(204, Value::Null))).await;
    let line = ["iot", "adr", "ns", "delete", "--name", "n1", "--resource-group", "rg"];
    let ran = server.az(&line).await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.starts_with(
        "WARNING: Unable to prompt for confirmation as no tty available. Use --yes.\nERROR: Operation cancelled.\n"
    ));
    assert!(ran.err.contains("az iot adr ns delete --name n1 --resource-group rg --yes"), "{}", ran.err);
    assert!(server.calls().is_empty());
    let mut environment = server.environment();
    environment.variables.insert("AZURE_CORE_DISABLE_CONFIRM_PROMPT".to_owned(), "true".to_owned());
    assert_eq!(server.az_in(&mut environment, &line).await.code, 0);
    let mut asked = server.environment();
    (asked.stdin_is_terminal, asked.stdin) = (true, Box::new(std::io::Cursor::new("y\n")));
    assert_eq!(server.az_in(&mut asked, &line).await.code, 0);
    assert_eq!(server.calls().len(), 2);
}

#[tokio::test]
async fn a_bare_namespace_create_makes_credential_and_policy() {
    let server = Scripted::signed_in(|seen| {
        let made =
            json!({"id": "/ns", "name": "n1", "location": "westus2", "properties": {"provisioningState": "Succeeded"}});
        seen.call.starts_with("PUT").then(|| Answer::new(201, made))
    })
    .await;
    let ran = server.az(&["iot", "adr", "ns", "create", "-n", "n1", "-g", "rg", "-l", "westus2"]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let puts: Vec<Seen> = server.seen().into_iter().filter(|seen| seen.call.starts_with("PUT")).collect();
    let paths: Vec<String> = puts.iter().map(path).collect();
    let ns = "PUT RG/DeviceRegistry/namespaces/n1";
    assert_eq!(
        paths,
        [ns.to_owned(), format!("{ns}/credentials/default"), format!("{ns}/credentials/default/policies/default")]
    );
    assert_eq!(puts[0].body["identity"], json!({"type": "SystemAssigned"}));
    assert_eq!(
        puts[2].body["properties"]["certificate"],
        json!({"certificateAuthorityConfiguration": {"keyType": "ECC"}, "leafCertificateConfiguration": {"validityPeriodInDays": 30}})
    );
}

#[tokio::test]
async fn a_policy_that_exists_is_not_created_and_one_that_does_not_is_not_shown() {
    let server = Scripted::signed_in(|seen| match seen.call.rsplit('/').next()? {
        "n1" => Some(Answer::ok(json!({"location": "westus2"}))),
        "policies" => Some(Answer::list(json!([{"name": "default"}, {"name": "other"}]))),
        "default" => Some(Answer::ok(json!({"name": "default"}))),
        _ => None,
    })
    .await;
    let target = ["--namespace", "n1", "-g", "rg", "--name"];
    let created = server.az(&[&["iot", "adr", "ns", "policy", "create"][..], &target, &["default"]].concat()).await;
    assert_eq!(created.code, 1);
    assert!(created.err.contains("'default' already exists in namespace 'n1'"), "{}", created.err);
    assert!(server.calls().iter().all(|call| call.starts_with("GET")));
    let shown = server.az(&[&["iot", "adr", "ns", "policy", "show"][..], &target, &["policy-name"]].concat()).await;
    assert_eq!(shown.code, 3);
    assert!(shown.err.contains("'policy-name'") && shown.err.contains("'default', 'other'"), "{}", shown.err);
}

#[tokio::test]
async fn what_is_beyond_azure_sends_what_the_server_knows() {
    let server = Scripted::signed_in(|seen| {
        let call = seen.call.split('?').next()?;
        match (call.split(' ').next()?, call.rsplit('/').next()?) {
            ("GET", "certificates") => Some(Answer::list(json!([{"name": "4a"}, {"name": "4b"}]))),
            ("POST", "rotate") => {
                let answer = Answer::new(202, Value::Null).header("azure-asyncoperation", "{base}/operations/1");
                Some(answer.header("location", "{base}/results/1"))
            }
            ("GET", "1") if call.contains("/operations/") => Some(Answer::ok(json!({"status": "Succeeded"}))),
            ("GET", "1") => Some(Answer::ok(json!({"subject": "CN=next root", "certificate": "PEM"}))),
            ("GET", "synchronization") => Some(Answer::list(json!([{"hub": "h", "policy": "p", "state": "Pending"}]))),
            ("GET", _) => Some(Answer::ok(json!({"name": "4a"}))),
            ("PATCH", _) => Some(Answer::ok(json!({"properties": {"enabled": seen.body["properties"]["enabled"]}}))),
            ("POST", _) => Some(Answer::new(204, Value::Null)),
            _ => None,
        }
    })
    .await;
    let az = async |words: &str| {
        let words: Vec<&str> = words.split(' ').chain(["--ns", "n1", "-g", "rg"]).collect();
        let ran = server.az(&words).await;
        assert_eq!(ran.code, 0, "{words:?}: {}", ran.err);
        (ran.out, server.seen().pop().unwrap())
    };
    let (out, seen) = az("iot adr ns certificate list -d Pump:7 --state expired --top 1 --query [].name -o tsv").await;
    assert_eq!(out, "4a\n");
    let call = path(&seen);
    assert!(call.starts_with("GET RG/DeviceRegistry/namespaces/n1/certificates?deviceId=Pump%3A7"), "{call}");
    assert!(call.contains("state=Expired"), "{call}");
    let (_, seen) = az("iot adr ns certificate show --serial 4A:0b").await;
    assert_eq!(path(&seen), "GET RG/DeviceRegistry/namespaces/n1/certificates/4A0b");
    for (word, enabled) in [("disable", "false"), ("enable", "true")] {
        let (out, _) = az(&format!("iot adr ns policy {word} -n p1 --query properties.enabled -o tsv")).await;
        assert_eq!(out.trim(), enabled);
    }
    let (_, seen) = az("iot adr ns credential sync --policies a b --hubs h").await;
    assert_eq!(seen.body, json!({"policies": ["a", "b"], "hubs": ["h"]}));
    let (_, seen) = az("iot adr ns credential undo-sync --policies a --yes").await;
    assert!(seen.call.ends_with("/credentials/default/undoSynchronize"), "{}", seen.call);
    assert_eq!(seen.body, json!({"policies": ["a"]}));
    let (out, _) = az("iot adr ns credential sync-status -o tsv --query [].state").await;
    assert_eq!(out, "Pending\n");
    let (_, seen) = az("iot adr ns credential sync").await;
    assert_eq!(seen.body, json!(""));
    for words in ["iot adr ns credential rotate", "iot adr ns ca rotate -n root"] {
        let (out, _) = az(&format!("{words} --yes --query subject -o tsv")).await;
        assert_eq!(out, "CN=next root\n", "{words}");
    }
}

#[tokio::test]
async fn a_repeated_role_assignment_succeeds() {
    let server = Scripted::signed_in(|seen| {
        let role = "/providers/Microsoft.Authorization/roleDefinitions/r1";
        let held = json!({"id": "a1", "name": "a1", "properties": {"principalId": "p1", "scope": GROUP, "roleDefinitionId": role}});
        match path(seen).split('?').next()? {
            "GET /v1.0/servicePrincipals" => Some(Answer::list(json!([{"id": "p1", "appId": "app"}]))),
            "GET RG/Authorization/roleDefinitions" => Some(Answer::list(json!([{"id": role}]))),
            "GET RG/Authorization/roleAssignments" => Some(Answer::list(json!([held]))),
            _ => Some(Answer::error(409, "RoleAssignmentExists", "The role assignment already exists.")),
        }
    })
    .await;
    let line = ["role", "assignment", "create", "--assignee", "app", "--role", "Contributor", "--scope", &GROUP[1..]];
    let ran = server.az(&[&line[..], &["--query", "[id, principalId, scope]", "-o", "tsv"]].concat()).await;
    assert_eq!((ran.code, ran.out), (0, format!("a1\np1\n{GROUP}\n")), "{}", ran.err);
}

#[tokio::test]
async fn a_data_plane_is_dialled_at_the_server_by_its_own_name() {
    let server = Scripted::signed_in(|seen| {
        let id = format!("{GROUP}/providers/Microsoft.Devices/provisioningServices/d1");
        let host = "d1.azure-devices-provisioning.localhost";
        match seen.call.rsplit('/').next()? {
            "d1" => {
                Some(Answer::ok(json!({"id": id, "name": "d1", "properties": {"serviceOperationsHostName": host}})))
            }
            "listkeys" => Some(Answer::list(json!([
                {"keyName": "weak", "primaryKey": "UEs=", "rights": "ServiceConfig"},
                {"keyName": "owner", "primaryKey": "UEs=", "rights": "ServiceConfig, DeviceConnect, EnrollmentWrite"},
            ]))),
            "e1" if seen.call.starts_with("PUT") => Some(Answer::ok(seen.body.clone())),
            "held" if seen.call.starts_with("GET") => Some(Answer::ok(json!({"enrollmentGroupId": "held"}))),
            _ => Some(Answer::new(404, json!({"errorCode": 404201, "message": "Enrollment not found."}))),
        }
    })
    .await;
    let context = ["--dps-name", "d1", "-g", "rg", "--enrollment-id"];
    let create =
        [&["iot", "dps", "enrollment-group", "create"][..], &context, &["e1", "--credential-policy", "default"]]
            .concat();
    let ran = server.az(&create).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let put = server.seen().into_iter().find(|seen| seen.call.starts_with("PUT")).unwrap();
    assert_eq!(put.call, "PUT /enrollmentGroups/e1");
    assert_eq!(put.host, "d1.azure-devices-provisioning.localhost");
    assert!(put.authorization.starts_with("SharedAccessSignature sr=d1.azure-devices-provisioning.localhost&sig="));
    assert!(put.authorization.ends_with("&skn=owner"));
    assert_eq!(put.body["credentialPolicyName"], "default");
    // One that is there already is not overwritten.
    let again = server.az(&[&["iot", "dps", "enrollment-group", "create"][..], &context, &["held"]].concat()).await;
    assert_eq!(again.code, 1);
    assert!(again.err.contains("'held' already exists"), "{}", again.err);
    let command = "az iot dps enrollment-group update --dps-name d1 --enrollment-id held\n";
    assert!(again.err.ends_with(command), "{}", again.err);
    assert!(!server.calls().iter().any(|call| call == "PUT /enrollmentGroups/held"));
    let missing = server.az(&[&["iot", "dps", "enrollment-group", "show"][..], &context, &["nope"]].concat()).await;
    assert_eq!(missing.code, 3);
    assert_eq!(missing.err, "ERROR: {'errorCode': 404201, 'message': 'Enrollment not found.'}\n");
}

#[tokio::test]
async fn rest_replaces_the_subscription_and_prints_what_comes() {
    let server = Scripted::signed_in(|seen| match seen.call.split('/').next_back()? {
        "text" => Some(Answer::ok(json!("plain"))),
        "resourceGroups" => Some(Answer::ok(json!({"b": 1, "a": 2}))),
        _ => Some(Answer::error(404, "NotFound", "no")),
    })
    .await;
    let ran = server.az(&["rest", "--url", "/subscriptions/{subscriptionId}/resourceGroups?api-version=1"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (0, "{\n  \"a\": 2,\n  \"b\": 1\n}\n"), "{}", ran.err);
    let failed = server.az(&["rest", "-m", "PUT", "-u", "/nowhere", "-b", "{}"]).await;
    assert_eq!(failed.code, 1);
    assert!(failed.err.starts_with("ERROR: Not Found({"), "{}", failed.err);
}

#[tokio::test]
async fn ids_replace_names_and_several_give_a_list() {
    let server = Scripted::signed_in(|seen| {
        let name = seen.call.rsplit('/').next()?;
        Some(Answer::ok(json!({"name": name, "properties": {"principalId": name}})))
    })
    .await;
    let id = |name: &str| format!("{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}");
    let ran =
        server.az(&["identity", "show", "--ids", &id("a"), &id("b"), "--query", "[].principalId", "-o", "tsv"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (0, "a\nb\n"), "{}", ran.err);
    assert_eq!(server.az(&["identity", "show", "--ids", "nonsense"]).await.code, 1);
}

#[tokio::test]
async fn words_help_files_and_configuration() {
    let server = Scripted::start(|_| None).await;
    let unknown = server.az(&["iot", "hubx"]).await;
    assert_eq!(
        (unknown.code, unknown.err.as_str()),
        (
            2,
            "ERROR: 'hubx' is misspelled or not recognized by the system.\nDid you mean 'hub' ?\nFerrohub's az has no 'iot hubx'; what it has is listed by 'az iot --help'\n"
        )
    );
    let bare = server.az(&["iot", "adr"]).await;
    assert_eq!(bare.code, 2);
    assert!(bare.err.starts_with("ERROR: 'az iot adr' is a group of commands; say which of them.\n"), "{}", bare.err);
    for line in [&["--help"][..], &["iot", "-h"], &["iot", "hub", "create", "--help"], &["group", "list", "--he"]] {
        let help = server.az(line).await;
        assert_eq!(help.code, 0, "{}", help.err);
        assert!(help.out.contains(" : "), "{}", help.out);
    }
    assert!(server.az(&["iot", "hub", "create", "-h"]).await.out.contains("--name -n [Required]"));

    std::fs::write(server.folder().join("query.txt"), "\"azure-cli\"\n").unwrap();
    assert_eq!(server.az(&["version", "--query", "@query.txt", "-o", "tsv"]).await.out, "2.91.0\n");
    let missing = server.az(&["version", "--query", "@missing.txt"]).await;
    assert!(missing.code == 2 && missing.err.contains("the file 'missing.txt'"), "{}", missing.err);

    assert_eq!(server.az(&["config", "set", "core.output=tsv", "defaults.group=g9"]).await.code, 0);
    assert_eq!(server.az(&["config", "get", "defaults.group", "--query", "value"]).await.out, "g9\n");
    let mut environment = server.environment();
    environment.variables.insert("AZURE_CORE_OUTPUT".to_owned(), "yaml".to_owned());
    let yaml = server.az_in(&mut environment, &["config", "get", "defaults"]).await;
    assert_eq!(yaml.out, "- name: group\n  source: config.toml\n  value: g9\n");
    for line in [&["upgrade"][..], &["extension", "add", "--name", "azure-iot", "-y"]] {
        assert_eq!(server.az(line).await.code, 0);
    }
}

#[tokio::test]
async fn without_a_home_nothing_is_written_anywhere() {
    let server = Scripted::start(|_| None).await;
    let mut environment = server.environment();
    environment.variables.remove("FERROHUB_CONFIG_DIR");
    let ran = server.az_in(&mut environment, &["login"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("no home folder") && ran.err.contains("FERROHUB_CONFIG_DIR"), "{}", ran.err);
    assert!(!server.folder().join(".config").exists());
}

#[tokio::test]
async fn damaged_files_say_what_to_do() {
    let server = Scripted::signed_in(|_| None).await;
    for (file, remedy) in [
        ("config/profile.json", "run 'az login' again"),
        ("data/owner.json", "delete it and restart 'ferrohub serve'"),
        ("data/server.json", "Restart 'ferrohub serve'"),
    ] {
        let path = server.folder().join(file);
        let good = std::fs::read(&path).unwrap();
        std::fs::write(&path, "{damaged").unwrap();
        let ran = server.az(&["group", "list"]).await;
        assert!(ran.code == 1 && ran.err.contains(remedy), "{file}: {}", ran.err);
        std::fs::write(&path, good).unwrap();
    }
    std::fs::remove_file(server.folder().join("data/owner.json")).unwrap();
    let ran = server.az(&["login"]).await;
    assert!(ran.err.contains("does not exist") && ran.err.contains("makes a new one"), "{}", ran.err);
    // What cannot be looked at is no file that is missing: here a file stands where the folder is said to be.
    let mut environment = server.environment();
    let blocked = server.folder().join("data/ca.pem").to_string_lossy().into_owned();
    environment.variables.insert("FERROHUB_DATA_DIR".to_owned(), blocked);
    let ran = server.az_in(&mut environment, &["login"]).await;
    assert!(ran.err.contains("ERROR: Cannot read ") && !ran.err.contains("no server has run"), "{}", ran.err);
    std::fs::remove_file(server.folder().join("data/server.json")).unwrap();
    let ran = server.az(&["login"]).await;
    assert!(ran.err.contains("no server has run") && ran.err.contains("az login --server URL"), "{}", ran.err);
}

#[tokio::test]
async fn a_server_elsewhere_needs_https_and_its_own_ca() {
    let (server, other) = (Scripted::start(|_| None).await, Scripted::start(|_| None).await);
    let file = std::fs::read_to_string(server.folder().join("data/server.json")).unwrap();
    let port = serde_json::from_str::<Value>(&file).unwrap()["httpsPort"].as_u64().unwrap();
    let ca = |one: &Scripted| one.folder().join("data/ca.pem").to_string_lossy().into_owned();
    let bare = server.az(&["login", "--server", &format!("localhost:{port}"), "--ca", &ca(&server)]).await;
    assert!(bare.err.contains(&format!("such as https://localhost:{port}")), "{}", bare.err);
    let url = format!("https://localhost:{port}");
    let ran = server.az(&["login", "--server", &url, "--ca", &ca(&other)]).await;
    assert!(ran.err.contains(&format!("is not from the CA in {}", ca(&other))), "{}", ran.err);
}
