//! What somebody without any right can do to the door: hold what is not theirs, keep others out, try, and pretend.

use crate::journey::{DPS_HOST, HUB_HOST, Plant, put, token};
use crate::rig::Rig;
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::timeout;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const MANAGEMENT: &str = "https://management.azure.com";
const GRAPH: &str = "https://graph.microsoft.com";

/// A connection from 127.0.0.`from` on which nothing is said.
async fn silent(from: u8, port: u16) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, from], 0).into()).unwrap();
    socket.connect(([127, 0, 0, 1], port).into()).await.unwrap()
}

/// The answer to raw bytes on a connection of their own, up to its end or for five seconds.
async fn said(rig: &Rig, host: &str, bytes: &str) -> String {
    let port = rig.ports().https;
    let mut stream = rig.https.dial(port, host).await.unwrap();
    stream.write_all(bytes.replace("{port}", &port.to_string()).as_bytes()).await.unwrap();
    let mut text = Vec::new();
    let _ = timeout(&SystemClock, Duration::from_secs(5), stream.read_to_end(&mut text)).await;
    String::from_utf8_lossy(&text).into_owned()
}

/// A plain request that is answered in time.
async fn plain(port: u16, path: &str) -> String {
    let answer = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.map(|_| text)
    };
    timeout(&SystemClock, Duration::from_secs(5), answer).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_body_is_not_waited_for_where_the_head_is_refused() {
    let plant = Plant::build().await;
    let rig = &plant.rig;
    let places = [
        ("management.localhost", "/subscriptions/x/resourceGroups/g?api-version=2024-11-01"),
        ("graph.localhost", "/v1.0/applications"),
        ("localhost", "/graph/v1.0/applications"),
        (HUB_HOST, "/devices/d?api-version=2021-04-12"),
        (DPS_HOST, "/enrollmentGroups/g?api-version=2021-10-01"),
        ("global.azure-devices-provisioning.localhost", "/{scope}/registrations/r/register?api-version=2021-06-01"),
        ("localhost", "/nothing"),
        ("nohub.azure-devices.localhost", "/$iothub/websocket"),
    ];
    let asked = places.iter().flat_map(|(host, path)| [(*host, *path, ""), (*host, *path, "expect: 100-continue\r\n")]);
    let asked = asked.map(|(host, path, expect)| {
        let head = format!(
            "PUT {} HTTP/1.1\r\nhost: {host}:{{port}}\r\ncontent-length: 60000\r\n{expect}connection: close\r\n\r\n",
            path.replace("{scope}", &plant.id_scope)
        );
        async move {
            let answer = said(rig, host, &head).await;
            let status = answer.get(..12).unwrap_or_default();
            assert!(["HTTP/1.1 401", "HTTP/1.1 404", "HTTP/1.1 405"].contains(&status), "{host}{path}: {answer}");
        }
    });
    futures_util::future::join_all(asked).await;
    plant.rig.stop().await;
}

#[tokio::test]
async fn silence_from_one_address_keeps_nobody_else_out() {
    let rig = Rig::with_connections(128).await;
    let ports = rig.ports();
    let mut held = Vec::new();
    for port in [ports.https, ports.mqtt] {
        for _ in 0..110 {
            held.push(silent(7, port).await);
        }
    }
    let path = "/metadata/endpoints?api-version=2022-09-01";
    for from in 1..4 {
        let asked = rig.https.send_from(from, "GET", "localhost", path, &[], "");
        timeout(&SystemClock, Duration::from_secs(3), asked).await.unwrap().expect(200);
    }
    let mut device = silent(2, ports.mqtt).await;
    // Whatever is no handshake is answered with an alert.
    device.write_all(b"no TLS at all").await.unwrap();
    let answered = timeout(&SystemClock, Duration::from_secs(3), device.read(&mut [0; 16])).await.unwrap();
    assert!(answered.unwrap() > 0);
    drop(held);
    rig.stop().await;
}

#[tokio::test]
async fn half_requests_do_not_hide_the_health_or_the_revocation_list() {
    let rig = Rig::start().await;
    let ports = rig.ports();
    let mut held = Vec::new();
    for port in [ports.health.unwrap(), ports.pki.unwrap()] {
        for _ in 0..300 {
            let mut stream = silent(1, port).await;
            // One that was turned away already takes no bytes.
            let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: ").await;
            held.push(stream);
        }
    }
    assert!(plain(ports.health.unwrap(), "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(plain(ports.health.unwrap(), "/readyz").await.starts_with("HTTP/1.1 200"));
    assert!(
        plain(ports.pki.unwrap(), "/crl/00000000-0000-0000-0000-000000000001.crl").await.starts_with("HTTP/1.1 404")
    );
    drop(held);
    rig.stop().await;
}

#[tokio::test]
async fn wrong_secrets_are_slowed_down_and_lock_nobody_out() {
    let rig = Rig::start().await;
    let path = format!("/{}/oauth2/v2.0/token", rig.owner.tenant_id);
    let form = |secret: &str| {
        let client = &rig.owner.client_id;
        format!(
            "grant_type=client_credentials&client_id={client}&client_secret={secret}&scope=https%3A%2F%2Fmanagement.azure.com%2F.default"
        )
    };
    let mut statuses = Vec::new();
    for _ in 0..40 * crate::PROCESSES {
        let answer = rig.https.send_from(5, "POST", "localhost", &path, &[], form("wrong")).await;
        if answer.status == 429 {
            assert!((1..=61).contains(&answer.header("retry-after").parse::<u32>().unwrap()), "{answer:?}");
            assert_eq!(answer.json()["error"], "temporarily_unavailable");
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses[..10], [401; 10]);
    assert!(statuses[20 * crate::PROCESSES..].iter().filter(|status| **status == 429).count() > 10, "{statuses:?}");
    // The right one counts while the wrong ones wait, and what it undoes begins anew.
    let right = form(&rig.owner.client_secret);
    rig.https.send_from(5, "POST", "localhost", &path, &[], right).await.expect(200);
    // The owner is elsewhere.
    rig.https.send_from(6, "POST", "localhost", &path, &[], form(&rig.owner.client_secret)).await.expect(200);
    // And at the same address others are not meant.
    let other = form("wrong").replace(&rig.owner.client_id, "00000000-0000-0000-0000-000000000001");
    let other = rig.https.send_from(5, "POST", "localhost", &path, &[], other).await;
    assert_eq!(other.expect(400)["error"], "unauthorized_client");
    rig.stop().await;
}

#[tokio::test]
async fn wrong_keys_are_slowed_down_too() {
    let plant = Plant::build().await;
    let wrong = token(HUB_HOST, "d3Jvbmc=", "iothubowner");
    let path = "/devices/d?api-version=2021-04-12";
    let mut statuses = Vec::new();
    for _ in 0..130 * crate::PROCESSES {
        let headers = [("authorization", wrong.as_str())];
        let answer = plant.rig.https.send_from(5, "GET", HUB_HOST, path, &headers, "").await;
        if answer.status == 429 {
            assert_eq!(answer.header("iothub-errorcode"), "ThrottlingException");
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses[..100], [401; 100]);
    assert!(statuses.contains(&429), "{statuses:?}");
    let right = token(HUB_HOST, &plant.hub_key, "iothubowner");
    let headers = [("authorization", right.as_str())];
    for from in [5, 6] {
        plant.rig.https.send_from(from, "GET", HUB_HOST, path, &headers, "").await.expect(404);
    }
    plant.rig.stop().await;
}

#[tokio::test]
async fn a_token_is_good_for_the_service_that_it_names() {
    let rig = Rig::start().await;
    let (id, secret) = (rig.owner.client_id.clone(), rig.owner.client_secret.clone());
    let planes = [
        (vec![MANAGEMENT, "https://localhost", "https://management.localhost:1"], "localhost", "/subscriptions"),
        (vec![GRAPH, "https://localhost:1/graph", "https://graph.localhost"], "localhost", "/graph/v1.0/applications"),
    ];
    for (names, _, _) in &planes {
        for name in names {
            let bearer = format!("Bearer {}", rig.token_of(&id, &secret, name).await);
            for (accepted, host, path) in &planes {
                let path = format!("{path}?api-version=2022-12-01");
                let answer = rig.https.send("GET", host, &path, &[("authorization", bearer.as_str())], "").await;
                let wanted = if accepted.contains(name) { 200 } else { 401 };
                assert_eq!(answer.status, wanted, "a token for {name} at {path}: {}", answer.text);
            }
        }
    }
    let path = format!("/{}/oauth2/v2.0/token", rig.owner.tenant_id);
    for (resource, host) in [
        ("https://vault.azure.net", "localhost"),
        ("https://192.0.2.7:8443", "192.0.2.7"),
        ("https://evil.example", "localhost"),
    ] {
        let form = format!(
            "grant_type=client_credentials&client_id={id}&client_secret={secret}&scope={}%2F.default",
            resource.replace(':', "%3A").replace('/', "%2F")
        );
        // The Host header of the request makes no audience.
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}:8443\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{form}",
            form.len()
        );
        let answer = said(&rig, "localhost", &head).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("AADSTS500011"), "{answer}");
        assert!(answer.contains("\"invalid_resource\""), "{answer}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_request_line_does_not_name_another_host() {
    let rig = Rig::start().await;
    let path = "/metadata/endpoints?api-version=2022-09-01";
    let own = format!(
        "GET https://localhost:{{port}}{path} HTTP/1.1\r\nhost: localhost:{{port}}\r\nconnection: close\r\n\r\n"
    );
    assert!(said(&rig, "localhost", &own).await.starts_with("HTTP/1.1 200"));
    for line in [
        format!("GET https://other.example{path} HTTP/1.1"),
        format!("GET http://localhost:{{port}}{path} HTTP/1.1"),
        "CONNECT other.example:443 HTTP/1.1".to_owned(),
    ] {
        let answer =
            said(&rig, "localhost", &format!("{line}\r\nhost: localhost:{{port}}\r\nconnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{line}: {answer}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_managed_identity_has_no_password() {
    let rig = Rig::start().await;
    let group = format!("/subscriptions/{}/resourceGroups/g", rig.owner.subscription_id);
    put(&rig, &group, "2024-11-01", json!({"location": "swedencentral"})).await;
    let path = format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/mine");
    let made = put(&rig, &path, "2023-01-31", json!({"location": "swedencentral"})).await;
    let identity = &made["properties"];
    let token = rig.token_of(&rig.owner.client_id, &rig.owner.client_secret, GRAPH).await;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let path = format!("/v1.0/servicePrincipals/{}/addPassword", identity["principalId"].as_str().unwrap());
    let answer = rig.https.send("POST", "graph.localhost", &path, &headers, "{}").await;
    let error = &answer.expect(400)["error"];
    assert_eq!(error["code"], "Request_BadRequest");
    assert!(error["message"].as_str().unwrap().contains("managed identity"), "{error}");
    rig.stop().await;
}

#[tokio::test]
async fn names_of_policies_cannot_be_probed() {
    let plant = Plant::build().await;
    for (host, owner, path) in [
        (HUB_HOST, "iothubowner", "/devices/d?api-version=2020-09-30"),
        (DPS_HOST, "provisioningserviceowner", "/enrollmentGroups/g?api-version=2021-10-01"),
    ] {
        let mut answers = Vec::new();
        for policy in [owner, "nobody", "IOTHUBOWNER ", "service"] {
            let authorization = token(host, "d3Jvbmc=", policy);
            let headers = [("authorization", authorization.as_str())];
            let answer = plant.rig.https.send("GET", host, path, &headers, "").await;
            let body = answer.json();
            let told = body.get("Message").or_else(|| body.get("message")).cloned();
            answers.push((
                answer.status,
                answer.header("iothub-errorcode").to_owned(),
                body["errorCode"].clone(),
                told,
            ));
        }
        assert_eq!(answers[0].0, 401);
        assert!(answers[0].3.is_some() && answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    }
    plant.rig.stop().await;
}
