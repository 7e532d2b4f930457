//! The control plane's edges: routing, shapes of errors, headers, the small listeners.

use crate::rig::Rig;
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn plain(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn what_az_asks_for_before_it_signs_in() {
    let rig = Rig::start().await;
    let https = &rig.https;
    let metadata = https.send("GET", "localhost", "/metadata/endpoints?api-version=2022-09-01", &[], "").await;
    assert_eq!(metadata.expect(200)["resourceManager"], format!("https://localhost:{}", metadata.port));
    let tenant = &rig.owner.tenant_id;
    let path = format!("/{tenant}/v2.0/.well-known/openid-configuration");
    let openid = https.send("GET", "localhost", &path, &[], "").await;
    let endpoint = format!("https://localhost:{}/{tenant}/oauth2/v2.0/token", openid.port);
    assert_eq!(openid.expect(200)["token_endpoint"], endpoint);
    let keys =
        https.send("GET", "login.localhost", &format!("/{tenant}/discovery/v2.0/keys"), &[], "").await.expect(200);
    assert_eq!(keys["keys"][0]["kty"], "RSA");
    let subscriptions = rig.arm("GET", "/subscriptions", "2022-12-01", None).await.expect(200);
    assert_eq!(subscriptions["value"][0]["subscriptionId"], json!(rig.owner.subscription_id));
    rig.stop().await;
}

#[tokio::test]
async fn refusals_have_the_shape_of_their_service() {
    let rig = Rig::start().await;
    let https = &rig.https;
    let unsigned = https.send("GET", "management.localhost", "/subscriptions?api-version=2022-12-01", &[], "").await;
    assert_eq!(unsigned.expect(401)["error"]["code"], "AuthenticationFailed");
    assert!(unsigned.header("www-authenticate").contains(&rig.owner.tenant_id));
    assert!(!unsigned.header("x-ms-request-id").is_empty() && !unsigned.header("x-ms-routing-request-id").is_empty());

    let wrong = "grant_type=client_credentials&client_secret=wrong&scope=https%3A%2F%2Fx%2F.default&client_id="
        .to_owned()
        + &rig.owner.client_id;
    let refused =
        https.send("POST", "localhost", &format!("/{}/oauth2/v2.0/token", rig.owner.tenant_id), &[], wrong).await;
    assert_eq!(refused.expect(401)["error"], "invalid_client");

    let nothing = https.send("GET", "localhost", "/favicon.ico", &[], "").await;
    assert!(nothing.expect(404)["error"]["message"].as_str().unwrap().contains("/subscriptions"));

    let hub = https.send("GET", "nohub.azure-devices.localhost", "/devices/d?api-version=2020-09-30", &[], "").await;
    assert_eq!((hub.status, hub.header("iothub-errorcode")), (401, "IotHubNotFound"));
    assert!(hub.json()["Message"].as_str().unwrap().starts_with("ErrorCode:IotHubNotFound;"));

    let dps = https
        .send("PUT", "global.azure-devices-provisioning.localhost", "/0neUNKNOWN/registrations/r/register", &[], "{}")
        .await;
    assert_eq!((dps.status, dps.header("x-ms-error-code")), (404, "404201"));
    assert_eq!(dps.json()["errorCode"], 404_201);

    let huge = vec![b'x'; 600 * 1024];
    let too_large =
        https.send("PUT", "nohub.azure-devices.localhost", "/devices/d?api-version=2021-04-12", &[], huge).await;
    assert_eq!((too_large.status, too_large.header("iothub-errorcode")), (413, "MessageTooLarge"));
    let web_socket = https.send("GET", "nohub.azure-devices.localhost", "/$iothub/websocket", &[], "").await;
    assert_eq!((web_socket.status, web_socket.header("iothub-errorcode")), (400, "ArgumentInvalid"));
    assert!(web_socket.text.contains("Upgrade: websocket"), "{}", web_socket.text);
    rig.stop().await;
}

#[tokio::test]
async fn a_broken_document_and_the_clients_own_ids() {
    let rig = Rig::start().await;
    let bearer = format!("Bearer {}", rig.token().await);
    let path = format!("/subscriptions/{}/resourceGroups/g?api-version=2024-11-01", rig.owner.subscription_id);
    let headers = [
        ("authorization", bearer.as_str()),
        ("x-ms-client-request-id", "mine"),
        ("x-ms-return-client-request-id", "true"),
    ];
    let broken = rig.https.send("PUT", "localhost", &path, &headers, "{").await;
    assert_eq!(broken.expect(400)["error"]["code"], "InvalidRequestContent");
    assert_eq!(broken.header("x-ms-client-request-id"), "mine");
    // `az` sends a template whose key has no quotes; what to say is that its target is not built.
    let unbuilt = path.replace("?", "/providers/Microsoft.Insights/diagnosticSettings/d?");
    let template = r#"{"properties": {"mode": "Incremental", template: {}}}"#;
    assert_eq!(
        rig.https.send("PUT", "localhost", &unbuilt, &headers, template).await.expect(501)["error"]["code"],
        "NotImplemented"
    );
    let form = [("authorization", bearer.as_str()), ("content-type", "text/csv")];
    assert_eq!(
        rig.https.send("PUT", "localhost", &path, &form, "a,b").await.expect(415)["error"]["code"],
        "UnsupportedMediaType"
    );
    let large = vec![b' '; 5 * 1024 * 1024];
    rig.https.send("PUT", "localhost", &path, &headers, large.clone()).await.expect(413);
    assert_eq!(rig.https.send("PUT", "localhost", &path, &[], large).await.status, 413, "to whoever it is");
    // Each was a write that failed, though none came as far as Resource Manager.
    let since = (rig.service().clock().now() - jiff::SignedDuration::from_mins(10)).to_string();
    let log = format!(
        "/subscriptions/{}/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01&$filter=eventTimestamp%20ge%20'{since}'",
        rig.owner.subscription_id
    );
    let log = rig.https.send("GET", "localhost", &log, &headers, "").await.expect(200);
    let failed = log["value"].as_array().unwrap().iter().filter(|event| event["status"]["value"] == "Failed");
    let mut told: Vec<&str> = failed.map(|event| event["subStatus"]["value"].as_str().unwrap()).collect();
    told.sort_unstable();
    assert_eq!(told, ["BadRequest", "NotImplemented", "RequestEntityTooLarge", "UnsupportedMediaType"]);
    rig.stop().await;
}

#[tokio::test]
async fn small_listeners_and_an_orderly_stop() {
    let rig = Rig::start().await;
    let ports = rig.ports();
    assert!(plain(ports.health.unwrap(), "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(plain(ports.health.unwrap(), "/readyz").await.ends_with("ready\n"));
    assert!(
        plain(ports.pki.unwrap(), "/crl/00000000-0000-0000-0000-000000000001.crl").await.starts_with("HTTP/1.1 404")
    );
    // A connection that says nothing does not hold up the stop.
    let silent = TcpStream::connect(("127.0.0.1", ports.https)).await.unwrap();
    let started = SystemClock.monotonic();
    rig.stop().await;
    let took = SystemClock.monotonic().since(started);
    assert!(took.as_secs() < 5, "{took:?}");
    drop(silent);
    assert!(TcpStream::connect(("127.0.0.1", ports.https)).await.is_err());
}

#[tokio::test]
async fn both_loopback_addresses_are_served_on_one_port() {
    let rig = Rig::start().await;
    let port = rig.ports().https;
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_ok());
    assert_eq!(TcpStream::connect(("::1", port)).await.is_ok(), has_ipv6);
    rig.stop().await;
}

#[tokio::test]
async fn a_request_has_one_host() {
    let rig = Rig::start().await;
    let path = "/metadata/endpoints?api-version=2022-09-01";
    let twice = rig.https.send("GET", "localhost", path, &[("host", "other.localhost")], "").await;
    assert!(twice.expect(400).to_string().contains("Host header"), "{}", twice.text);
    rig.https.send("GET", "localhost", path, &[], "").await.expect(200);
    rig.stop().await;
}
